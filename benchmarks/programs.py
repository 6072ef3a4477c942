"""
Whole programs side by side: ``programs.py [--runner PATH] [--rounds N] [--json PATH] [--only NAME …] [--slow]``.

Each program of ``programs/`` exists in Reml, Lua, C and Python with the same sizes and the same output, which is compared first.
Every round runs each engine once, in turn (A B C A B C …), as a process of its own; wall time, raw samples kept. *runner* is the
small C host built by ``make build/bench/run-file``; without one, and for each command that is not installed, the engine is named
as missing. Python and LuaJIT run only with ``--slow``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from environment import describe, version_of

FOLDER = Path(__file__).parent / "programs"
NAMES = ["fib", "loop", "trees", "nbody", "spectral", "fannkuch", "words", "sieve", "mandelbrot", "handlers"]


def compile_c(name: str, folder: Path) -> list[str] | None:
    """The command of the C version, compiled with -O2; None without a compiler."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        return None
    binary = folder / name
    source = FOLDER / f"{name}.c"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-std=c11", "-O2", str(source), "-lm", "-o", str(binary)], check=True)
    return [str(binary)]


def commands(name: str, runner: Path | None, folder: Path, *, slow: bool) -> dict[str, list[str]]:
    """Engine → command, for the engines that are here."""
    found: dict[str, list[str]] = {}
    if runner is not None:
        found["reml"] = [str(runner), str(FOLDER / f"{name}.reml")]
    if lua := shutil.which("lua5.4") or shutil.which("lua"):
        found["lua"] = [lua, str(FOLDER / f"{name}.lua")]
    if native := compile_c(name, folder):
        found["c"] = native
    if (
        slow and (jit := shutil.which("luajit")) and name not in {"spectral", "words", "trees"}
    ):  # these use Lua 5.3's //
        found["luajit"] = [jit, str(FOLDER / f"{name}.lua")]
        found["luajit, JIT off"] = [jit, "-joff", str(FOLDER / f"{name}.lua")]
    if slow:
        found["python"] = [sys.executable, str(FOLDER / f"{name}.py")]
    return found


def run_once(command: list[str]) -> tuple[float, str, str]:
    """Milliseconds, output and, when it did not end with 0, why."""
    start = time.perf_counter_ns()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    taken = (time.perf_counter_ns() - start) / 1e6
    trouble = "" if done.returncode == 0 else (done.stderr or done.stdout).strip().splitlines()[:1]
    return taken, done.stdout, (trouble[0] if trouble else f"exit {done.returncode}") if done.returncode else ""


def main() -> int:
    """Command line; exit 1 when an engine fails or its output differs from C's or Lua's."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runner", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--slow", action="store_true", help="Python and LuaJIT too")
    options = parser.parse_args()
    folder = Path(__file__).parent.parent / "build" / "bench" / "programs"
    missing: dict[str, str] = {}
    if options.runner is None or not options.runner.exists():
        missing["reml"] = "no runner: make build/bench/run-file"
        options.runner = None
    if not (shutil.which("lua5.4") or shutil.which("lua")):
        missing["lua"] = "not installed"

    before = describe()
    rows, wrong = [], False
    print(f"{'program':<12}{'engine':<18}{'ms, median':>12}{'ms, least':>12}{'to lua':>10}")
    for name in options.only or NAMES:
        engines = commands(name, options.runner, folder, slow=options.slow)
        expected = next(run_once(engines[engine])[1] for engine in ("c", "lua", "python", "reml") if engine in engines)
        samples: dict[str, list[float]] = {engine: [] for engine in engines}
        failed: dict[str, str] = {}
        for _ in range(options.rounds):
            for engine, command in engines.items():
                if engine in failed:
                    continue
                taken, output, trouble = run_once(command)
                if trouble or output != expected:
                    failed[engine] = trouble or f"printed {output.strip()[:60]!r} instead of {expected.strip()[:60]!r}"
                    continue
                samples[engine].append(taken)
        base = statistics.median(samples["lua"]) if samples.get("lua") and "lua" not in failed else None
        for engine, taken in samples.items():
            label = name if engine == next(iter(samples)) else ""
            rows.append(
                {
                    "row": name,
                    "engine": engine,
                    "failed": engine in failed,
                    "reason": failed.get(engine, ""),
                    "iterations": 1,
                    "samples": [] if engine in failed else [round(ms, 3) for ms in taken],
                }
            )
            if engine in failed:
                print(f"{label:<12}{engine:<18}  FAILED: {failed[engine]}")
                wrong = True
                continue
            middle = statistics.median(taken)
            print(
                f"{label:<12}{engine:<18}{middle:12.1f}{min(taken):12.1f}{f'{middle / base:.2f}x' if base else '-':>10}",
                flush=True,
            )
    for engine, reason in missing.items():
        print(f"missing: {engine} ({reason})")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        versions = {"lua": version_of(["lua5.4", "-v"]), "c": version_of([os.environ.get("CC", "cc"), "--version"])}
        if options.slow:
            versions |= {"python": sys.version.split()[0], "luajit": version_of(["luajit", "-v"])}
        document = {
            "kind": "programs",
            "unit": "ms",
            "environment": before,
            "versions": versions,
            "missing": missing,
            "rows": rows,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
