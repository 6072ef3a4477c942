"""
Whole programs side by side: ``programs.py [--json PATH] [--rounds N] [--only NAME …] [--engines NAME …]``.

Each program of ``programs/`` exists in Reml, Lua, JavaScript, Python and C with the same sizes and the same output, which is compared
with that of C; WebAssembly is compiled from C. Every round runs each engine once, in turn, as a process of its own; what counts is the
processor time of that process, start included. An engine gets fewer rounds when *seconds* are used up, but three at least. An engine
that is not here is named as missing.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import measurement
from build_peers import Missing, compile_wasm, stale

FOLDER = Path(__file__).parent / "programs"
BUILT = Path(__file__).parent.parent / "build" / "bench"
NAMES = ["fib", "loop", "nbody", "spectral", "fannkuch", "trees", "words", "sieve", "mandelbrot", "handlers"]
LEAST_ROUNDS = 3


def reason_of(peer: str, otherwise: str) -> str:
    """What build_peers.py said about a peer that it could not build."""
    said = BUILT / "engines" / f"{peer}.missing"
    return said.read_text(encoding="utf-8").strip() if said.exists() else otherwise


def built(name: str, peer: str) -> str:
    """A runner that was compiled here."""
    if not (BUILT / name).exists():
        raise Missing(reason_of(peer, f"no {name}: make bench-binaries bench-engines"))
    return str(BUILT / name)


def installed(*names: str) -> str:
    """A command of the system."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise Missing(f"{names[0]} is not installed")


def reml(name: str) -> list[str]:
    return [built("run-file", "reml"), str(FOLDER / f"{name}.reml")]


def lua(name: str) -> list[str]:
    return [installed("lua5.4", "lua54", "lua-5.4"), str(FOLDER / f"{name}.lua")]


def luajit(name: str) -> list[str]:
    """LuaJIT speaks Lua 5.1: two programs use what came later and have a second form."""
    own = FOLDER / f"{name}.luajit.lua"
    return [installed("luajit"), str(own if own.exists() else FOLDER / f"{name}.lua")]


def luajit_off(name: str) -> list[str]:
    command, file = luajit(name)
    return [command, "-joff", file]


def quickjs(name: str) -> list[str]:
    return [built("run-js", "quickjs"), str(FOLDER / f"{name}.js")]


def wasm3(name: str) -> list[str]:
    runner, target = built("run-wasm", "wasm3"), BUILT / "programs" / f"{name}.wasm"
    if stale(target, [FOLDER / f"{name}.c"]):
        target.parent.mkdir(parents=True, exist_ok=True)
        compile_wasm(FOLDER / f"{name}.c", target, [])
    return [runner, str(target)]


def python(name: str) -> list[str]:
    return [sys.executable, str(FOLDER / f"{name}.py")]


def c(name: str) -> list[str]:
    """Compiled with -O2."""
    installed(machine.compiler()[0])
    target, source = BUILT / "programs" / name, FOLDER / f"{name}.c"
    if stale(target, [source]):
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*machine.compiler(), "-std=c11", "-O2", str(source), "-lm", "-o", str(target)], check=True)
    return [str(target)]


def wren(_name: str) -> list[str]:
    raise Missing(reason_of("wren", "it was not looked for: make bench-engines"))


ENGINES = {
    "reml": reml, "lua": lua, "luajit": luajit, "luajit, JIT off": luajit_off, "quickjs": quickjs, "wasm3": wasm3, "wren": wren,
    "python": python, "c": c,
}  # fmt: skip
VERSIONS = {
    "lua": ["lua5.4", "-v"], "luajit": ["luajit", "-v"], "c": [*machine.compiler(), "--version"],
    "wasm3": ["clang", "--version"], "python": [sys.executable, "--version"],
}  # fmt: skip


@dataclass
class Run:
    """One process that ended."""

    milliseconds: float
    output: str
    trouble: str


def run_once(command: list[str], limit: float = 300.0) -> Run:
    """Processor time of one run, its output and, when it did not end with 0, why."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return Run(0.0, "", f"no answer within {limit:g} s")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3
    trouble = ""
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        trouble = lines[0] if lines else f"exit {done.returncode}"
    return Run(used, done.stdout, trouble)


def commands(names: list[str], engines: list[str]) -> tuple[dict[str, dict[str, list[str]]], dict[str, str]]:
    """Program → engine → command, and why engines are missing."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    missing: dict[str, str] = {}
    for engine in engines:
        for name in names:
            try:
                found[name][engine] = ENGINES[engine](name)
            except (Missing, OSError, subprocess.CalledProcessError) as error:
                missing[engine] = str(error)
    return found, missing


def measure(
    engines: dict[str, list[str]], rounds: int, seconds: float
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Engine → samples, and engine → what went wrong; outputs are compared with those of the first engine asked for."""
    expected = next((run_once(engines[name]).output for name in ("c", "lua", "python", "reml") if name in engines), "")
    samples: dict[str, list[float]] = {engine: [] for engine in engines}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for engine, command in engines.items():
            if engine in failed or (number >= LEAST_ROUNDS and sum(samples[engine]) > seconds * 1e3):
                continue
            run = run_once(command)
            if run.trouble or run.output != expected:
                failed[engine] = (
                    run.trouble or f"printed {run.output.strip()[:60]!r} instead of {expected.strip()[:60]!r}"
                )
                continue
            samples[engine].append(run.milliseconds)
    return samples, failed


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit 1 when an engine fails or its output differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="for each engine and program, after the first three rounds"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="*", default=[], choices=NAMES, metavar="PROGRAM")
    parser.add_argument("--engines", nargs="*", default=[], choices=list(ENGINES), metavar="ENGINE")
    options = parser.parse_args(arguments)
    pinned, load_before = machine.pin(), machine.load()
    wanted = options.engines or list(ENGINES)
    found, missing = commands(options.only or NAMES, wanted)
    missing |= {engine: "not asked for in this run" for engine in ENGINES if engine not in wanted}
    rows, wrong = [], False
    print(f"{'program':<12}{'engine':<18}{'ms, median':>12}{'ms, least':>12}{'to lua':>10}")
    for name, engines in found.items():
        samples, failed = measure(engines, options.rounds, options.seconds)
        base = statistics.median(samples["lua"]) if samples.get("lua") and "lua" not in failed else None
        for engine, taken in samples.items():
            label = name if engine == next(iter(samples)) else ""
            rows.append(measurement.row(name, engine, taken, reason=failed.get(engine, "")))
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
        measurement.write(
            options.json,
            {
                "kind": "programs",
                "title": "Whole programs",
                "baseline": "lua",
                "note": "A process each, start included. `handlers` is not one of the nine: generators or coroutines where an engine has no effect handlers, a function pointer in C.",
                "unit": "ms",
                "environment": machine.describe(pinned, load_before, "processor time"),
                "versions": {
                    engine: machine.first_line(command) for engine, command in VERSIONS.items() if engine not in missing
                },
                "missing": missing,
                "rows": rows,
            },
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
