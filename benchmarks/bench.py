"""
All parts, one after the other, and the report: ``bench.py [--quick] [--only PART …] [--rounds N] [--sample-ms MS] [--output FOLDER]``.

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
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import newer_python
import report

HERE = Path(__file__).parent
BUILT = HERE.parent / "build" / "bench"
SUPPORT = ("calls", "frontend", "harness", "callee")  # of c/, what is no measuring program of its own
ROUNDS, SAMPLE = "--rounds", "--sample-ms"
SHORT = {ROUNDS: "3", SAMPLE: "2"}
ONCE = {ROUNDS: "1", SAMPLE: "2"}


@dataclass(frozen=True)
class Part:
    """One measurement: the file that it writes, its command, options that make it short, and those that it knows."""

    kind: str
    command: list[str]
    quick: dict[str, str]
    knows: tuple[str, ...] = (ROUNDS, SAMPLE)
    quick_only: tuple[str, ...] = ()  # further words of a short run

    def words(self, asked: dict[str, str], *, quick: bool) -> list[str]:
        """Its command with what was asked for, as far as it knows that."""
        options = (self.quick if quick else {}) | {name: value for name, value in asked.items() if name in self.knows}
        return [
            *self.command,
            *(word for pair in options.items() for word in pair),
            *(self.quick_only if quick else ()),
        ]


def script(name: str) -> list[str]:
    return [sys.executable, str(HERE / name)]


def programs_in_c() -> list[str]:
    """Measuring programs of ``c/`` that stand on their own."""
    names = sorted(path.stem for path in (HERE / "c").glob("*.c"))
    return [name for name in names if name not in SUPPORT and not name.startswith(("engine_", "guest_", "run_"))]


def parts() -> list[Part]:
    """Everything, in order."""
    few_engines = ("--engines", "reml", "lua", "c")
    return [
        Part("c-calls", [str(BUILT / "calls")], SHORT),
        Part("python-calls", script("python_calls.py"), SHORT),
        Part("programs", script("programs.py"), {ROUNDS: "1"}, knows=(ROUNDS,), quick_only=few_engines),
        Part("frontend", script("frontend.py"), {ROUNDS: "3"}, knows=(ROUNDS,), quick_only=("--sizes", "0.25", "1")),
        *(Part(name, [str(BUILT / name)], ONCE) for name in programs_in_c()),
        Part("size", script("size.py"), {}, knows=()),
    ]


def run(part: Part, folder: Path, asked: dict[str, str], *, quick: bool) -> str:
    """Measure; empty, or why there are no figures."""
    target = folder / f"{part.kind}.json"
    target.unlink(missing_ok=True)
    if not Path(part.command[0]).exists():
        return f"{part.command[0]} was not built"
    done = subprocess.run([*part.words(asked, quick=quick), "--json", str(target)], check=False)
    if done.returncode != 0:
        return f"exit {done.returncode}" + (": a result was wrong, see above" if done.returncode == 1 else "")
    return "" if target.exists() else "it wrote nothing"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH_QUICK", "") not in {"", "0"})
    parser.add_argument("--only", nargs="*", default=[], metavar="PART")
    parser.add_argument("--rounds", type=int, help="instead of each part's own number")
    parser.add_argument("--sample-ms", type=float, help="how long one sample of a loop takes")
    parser.add_argument("--output", type=Path, default=BUILT)
    options = parser.parse_args(arguments)
    known = parts()
    if unknown := set(options.only) - {part.kind for part in known} - {"python-calls-newer"}:
        print(f"no such part: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    for old in options.output.glob("*.json") if not options.only else ():
        if old.stem not in report.APART:  # counted by a job of its own
            old.unlink()
    wanted = [part for part in known if part.kind in options.only or not options.only]
    asked = {ROUNDS: options.rounds, SAMPLE: options.sample_ms}
    asked = {name: str(value) for name, value in asked.items() if value is not None}
    failed = {}
    for number, part in enumerate(wanted, 1):
        print(f"\n[{number}/{len(wanted)}] {part.kind}", flush=True)
        start = time.monotonic()
        if reason := run(part, options.output, asked, quick=options.quick):
            failed[part.kind] = reason
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
    if not options.quick and (not options.only or "python-calls-newer" in options.only):
        print("\nnewer Pythons", flush=True)
        newer_python.measure_all(options.output.resolve(), [word for pair in asked.items() for word in pair])
    print()
    report.main([str(options.output), "--output", str(options.output)])
    for kind, reason in failed.items():
        print(f"failed: {kind} ({reason})", file=sys.stderr)
    print(f"written: {options.output / 'report.md'}, report.json, plots/*.svg")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
