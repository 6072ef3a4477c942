"""
From Python across the border, engine beside engine in one process:

    python_calls.py [--json PATH] [--rounds N] [--sample-ms MS] [--only TEXT] [--kind NAME]

Loops are calibrated to take about *sample-ms*; every round runs every case once, in turn; raw samples are kept. An engine that is
not installed is named as missing.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import measurement
from peers import Case, gather


def timer_of(case: Case) -> timeit.Timer:
    """The call as a statement of its own, without a wrapper around it."""
    names = {f"a{number}": argument for number, argument in enumerate(case.arguments)}
    return timeit.Timer(f"f({', '.join(names)})", timer=time.process_time, globals={"f": case.function, **names})


def calibrate(timer: timeit.Timer, wanted: float) -> int:
    """The number of calls that take about *wanted* seconds."""
    number = 1
    while True:
        taken = timer.timeit(number)
        if taken >= wanted:
            return number
        number = number * 4 if taken < wanted / 16 else max(number + 1, int(number * wanted / taken))
        if taken >= wanted / 16:
            return number


def main() -> int:
    """Command line; 1 when an engine answered wrongly."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sample-ms", type=float, default=20.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--kind", default="python-calls")
    options = parser.parse_args()
    pinned, load_before = machine.pin(), machine.load()
    peers = gather(Path(__file__).parent.parent / "build" / "bench" / "python")
    cases = [case for case in peers.cases if options.only in case.row]
    timers = [timer_of(case) for case in cases]
    numbers = [calibrate(timer, options.sample_ms / 1e3) for timer in timers]
    samples: list[list[float]] = [[] for _ in cases]
    gc.collect()
    for _ in range(options.rounds):
        for case, timer, number, taken in zip(cases, timers, numbers, samples, strict=True):
            taken.append(timer.timeit(number) * 1e9 / (number * case.units))

    medians = {(case.row, case.engine): statistics.median(taken) for case, taken in zip(cases, samples, strict=True)}
    print(f"{'row':<28}{'engine':<26}{'ns, median':>14}{'to cffi':>10}")
    previous = ""
    for case in cases:
        middle, base = medians[case.row, case.engine], medians.get((case.row, "cffi"))
        ratio = f"{middle / base:.2f}x" if base else "-"
        print(f"{case.row if case.row != previous else '':<28}{case.engine:<26}{middle:14.2f}{ratio:>10}")
        previous = case.row
    for engine, reason in (peers.missing | peers.wrong).items():
        print(f"{'wrong' if engine in peers.wrong else 'missing'}: {engine} ({reason})")
    if options.json:
        rows = [
            measurement.row(case.row, case.engine, taken, iterations=number)
            for case, number, taken in zip(cases, numbers, samples, strict=True)
        ]
        rows += [measurement.row(row, engine, [], reason=reason) for (row, engine), reason in peers.wrong.items()]
        measurement.write(
            options.json,
            {
                "kind": options.kind,
                "title": f"Calls from Python {'.'.join(map(str, sys.version_info[:2]))}",
                "baseline": "cffi",
                "note": "Batches: per element. The C side of cffi and ctypes is `c/callee.c`; records cross to quickjs as JSON, its interface has no other way.",
                "unit": "ns",
                "environment": machine.describe(pinned, load_before, "processor time"),
                "versions": peers.versions,
                "missing": peers.missing,
                "rows": rows,
            },
        )
    return 1 if peers.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
