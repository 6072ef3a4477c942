"""
All parts, one after the other, and the report: ``bench.py [--quick] [--only PART …] [--output FOLDER]``.

Never two at a time: they would measure each other. A part that fails is named, the others go on, and the exit status is 1 at the end.
``--quick`` (or ``BENCH_QUICK=1``) takes a minute: few short rounds, three engines for whole programs; it shows that everything works
and says little about speed. ``make bench`` builds what is compiled and calls this.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import newer_python
import report

HERE = Path(__file__).parent
BUILT = HERE.parent / "build" / "bench"
SUPPORT = ("calls", "frontend", "harness", "callee")  # of c/, what is no measuring program of its own
SHORT = ["--rounds", "3", "--sample-ms", "2"]
LONG = {"scaling": ["--rounds", "7"]}  # what takes many seconds a round


@dataclass(frozen=True)
class Part:
    """One measurement: the file that it writes, its command, what makes it short, and its usual options."""

    kind: str
    command: list[str]
    quick: list[str]
    usual: list[str] = field(default_factory=list)


def script(name: str) -> list[str]:
    return [sys.executable, str(HERE / name)]


def programs_in_c() -> list[str]:
    """Measuring programs of ``c/`` that stand on their own."""
    names = sorted(path.stem for path in (HERE / "c").glob("*.c"))
    return [name for name in names if name not in SUPPORT and not name.startswith(("engine_", "guest_", "run_"))]


def parts() -> list[Part]:
    """Everything, in order."""
    return [
        Part("c-calls", [str(BUILT / "calls")], SHORT),
        Part("python-calls", script("python_calls.py"), SHORT),
        Part("programs", script("programs.py"), ["--rounds", "1", "--engines", "reml", "lua", "c"]),
        Part("frontend", script("frontend.py"), ["--rounds", "3", "--sizes", "0.25", "1"]),
        *(
            Part(name, [str(BUILT / name)], ["--rounds", "1", "--sample-ms", "2"], LONG.get(name, []))
            for name in programs_in_c()
        ),
        Part("size", script("size.py"), []),
    ]


def run(part: Part, folder: Path, *, quick: bool) -> str:
    """Measure; empty, or why there are no figures."""
    target = folder / f"{part.kind}.json"
    target.unlink(missing_ok=True)
    if not Path(part.command[0]).exists():
        return f"{part.command[0]} was not built"
    command = [
        *part.command,
        "--json",
        str(target),
        *(part.quick if quick else os.environ.get("BENCH_ARGS", "").split()),
    ]
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        return f"exit {done.returncode}" + (": a result was wrong, see above" if done.returncode == 1 else "")
    return "" if target.exists() else "it wrote nothing"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH_QUICK", "") not in {"", "0"})
    parser.add_argument("--only", nargs="*", default=[], metavar="PART")
    parser.add_argument("--output", type=Path, default=BUILT)
    options = parser.parse_args(arguments)
    known = parts()
    if unknown := set(options.only) - {part.kind for part in known} - {"python-calls-newer"}:
        print(f"no such part: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    wanted = [part for part in known if part.kind in options.only or not options.only]
    failed = {}
    for number, part in enumerate(wanted, 1):
        print(f"\n[{number}/{len(wanted)}] {part.kind}", flush=True)
        start = time.monotonic()
        if reason := run(part, options.output, quick=options.quick):
            failed[part.kind] = reason
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
    if not options.quick and (not options.only or "python-calls-newer" in options.only):
        print("\nnewer Pythons", flush=True)
        newer_python.measure_all(options.output, os.environ.get("BENCH_ARGS", "").split())
    print()
    report.main([str(options.output), "--output", str(options.output)])
    for kind, reason in failed.items():
        print(f"failed: {kind} ({reason})", file=sys.stderr)
    print(f"written: {options.output / 'report.md'}, report.json, plots/*.svg")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
