"""
Instructions of one crossing, counted by callgrind: ``instructions.py [--json PATH] [--only TEXT] [--engines NAME …]``.

Every loop of ``build/bench/calls`` and ``build/bench/start`` runs twice under valgrind, with few and with more iterations; the difference is that of the
iterations alone, start and set-up fall out. The counts do not depend on what else the machine does, and they hold for one binary: the
same compiler and flags.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import measurement

BUILT = Path(__file__).parent.parent / "build" / "bench"
RUNNERS = [BUILT / "calls", BUILT / "start"]
ENGINES = ["c", "lua", "reml", "luajit", "wasm3", "quickjs"]
# iterations of the short run and of the long one, by what an iteration counts for
FEW, LIFE, BATCH = (200, 1200), (4, 24), (1, 2)


class Uncounted(Exception):
    """Why a case has no count."""


def cases(runner: Path) -> list[tuple[str, str, float]]:
    """Row, engine and units of one iteration."""
    done = subprocess.run([str(runner), "--list", "yes"], capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
    return [(row, engine, float(units)) for row, engine, units in lines]


def collected(runner: Path, row: str, engine: str, iterations: int) -> int:
    """All instructions of one run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(runner), "--count", str(iterations),
               "--row", row, "--engine", engine]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        lines = done.stderr.strip().splitlines()
        raise Uncounted(lines[-1] if lines else f"exit {done.returncode}")
    return int(found[1])


def count(runner: Path, row: str, engine: str, units: float) -> float:
    """Instructions of one unit: a call, an element of a batch, a context."""
    few, more = (
        BATCH if units > 10_000 else LIFE if row.startswith(("create", "again")) else FEW if units == 1 else (2, 6)
    )
    return (collected(runner, row, engine, more) - collected(runner, row, engine, few)) / ((more - few) * units)


def chosen(runners: list[Path], only: str, engines: list[str]) -> list[tuple[Path, str, str, float]]:
    """What to count, each row of an engine once."""
    found: dict[tuple[str, str], tuple[Path, str, str, float]] = {}
    for runner in runners:
        for row, engine, units in cases(runner):
            if only in row and engine.split(",", maxsplit=1)[0] in engines:
                found.setdefault((row, engine), (runner, row, engine, units))
    return list(found.values())


def main() -> int:
    """Command line; 0 also without valgrind, which is then named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runner", type=Path, action="append", help="instead of calls and start; may be given again")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--engines", nargs="*", default=ENGINES, metavar="ENGINE")
    options = parser.parse_args()
    load_before = machine.load()
    rows, missing = [], {}
    if shutil.which("valgrind") is None:
        missing["valgrind"] = "not installed: nothing is counted"
        print(f"missing: valgrind ({missing['valgrind']})")
        wanted = []
    else:
        wanted = chosen(options.runner or RUNNERS, options.only, options.engines)
    print(f"{'row':<32}{'engine':<24}{'instructions':>14}")
    for runner, row, engine, units in wanted:
        try:
            counted = count(runner, row, engine, units)
        except Uncounted as error:
            rows.append(measurement.row(row, engine, [], reason=str(error)))
            print(f"{row:<32}{engine:<24}  FAILED: {error}")
            continue
        rows.append(measurement.row(row, engine, [counted]))
        print(f"{row:<32}{engine:<24}{counted:14.1f}", flush=True)
    if options.json:
        measurement.write(
            options.json,
            {
                "kind": "instructions",
                "title": "Instructions of one crossing",
                "baseline": "lua",
                "note": "Counted by callgrind, set-up taken off; batches and loops: per element. Machine code that an engine makes is counted too.",
                "unit": "instructions",
                "environment": machine.describe("does not matter", load_before, "callgrind"),
                "versions": {"valgrind": machine.first_line(["valgrind", "--version"])},
                "missing": missing,
                "rows": rows,
            },
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
