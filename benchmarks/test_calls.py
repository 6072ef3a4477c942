"""
Claim: what one crossing from Python costs, per engine, grouped by row; nanoseconds, against the engines installed here.

``pytest benchmarks/test_calls.py``; ``--benchmark-autosave`` keeps the raw figures. Ratios that are compared with goals come from
``python_calls.py``, which interleaves; pytest-benchmark runs one case after the other.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from peers import Case, gather

PEERS = gather(Path(__file__).parent.parent / "build" / "bench" / "python")


@pytest.mark.parametrize("case", PEERS.cases, ids=lambda case: f"{case.row}-{case.engine}")
def test_call(benchmark: Any, case: Case) -> None:
    benchmark.group = case.row
    benchmark.extra_info["engine"] = case.engine
    benchmark.extra_info["units"] = case.units
    benchmark(case.function, *case.arguments)


@pytest.mark.parametrize("engine", sorted(PEERS.missing))
def test_missing_engine_is_named(engine: str) -> None:
    pytest.skip(f"{engine} is missing: {PEERS.missing[engine]}")
