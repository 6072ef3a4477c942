"""
Samples → figures: medians, spread, intervals, ratios, and how they are written. No input, no output, no randomness but a fixed seed.

Intervals are of 95 %. That of a median comes from the ranks of its samples (binomial, no assumption about their distribution); that of
a ratio of medians from resampling rounds: both engines of a round are drawn together, because what disturbed a round hit both.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95
DRAWS = 2000
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "bytes": 1.0, "KiB": 1024.0, "MiB": 1048576.0}


@dataclass(frozen=True)
class Figure:
    """A number and the interval that it lies in; *exact* when nothing varied or could be counted."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Figure:
        """The same in another unit."""
        return Figure(self.value * factor, self.low * factor, self.high * factor)


def ranks(count: int, level: float = LEVEL) -> tuple[int, int] | None:
    """
    Positions (from 0) in *count* sorted samples between which the true median lies with probability *level*; None when even the
    least and the most do not reach it (fewer than six samples for 95 %).
    """
    below = 0.0
    found = None
    for k in range(count // 2):
        below += math.comb(count, k) / 2.0**count
        if 1 - 2 * below < level:
            break
        found = (k, count - 1 - k)
    return found


def median(samples: Sequence[float]) -> Figure:
    """The median and its interval; few samples give the whole range that was seen."""
    ordered = sorted(samples)
    low, high = ranks(len(ordered)) or (0, len(ordered) - 1)
    return Figure(statistics.median(ordered), ordered[low], ordered[high])


def spread(samples: Sequence[float]) -> float:
    """Half of the distance between the quartiles, in parts of the median: how restless the samples are."""
    middle = statistics.median(samples)
    if len(samples) < 2 or middle == 0:
        return 0.0
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    return (third - first) / 2 / abs(middle)


def resampled(value: float, draws: list[float]) -> Figure:
    """The interval that holds 95 % of *draws*."""
    ordered = sorted(draws)
    cut = int(len(ordered) * (1 - LEVEL) / 2)
    return Figure(value, ordered[cut], ordered[-1 - cut])


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive numbers."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def mean_ratio(pairs: Sequence[tuple[Sequence[float], Sequence[float]]], draws: int = DRAWS) -> Figure:
    """
    Geometric mean of median(ours) ÷ median(theirs) over *pairs* of interleaved samples; one pair gives its ratio.

    Samples of equal number are of the same rounds and drawn together; others are drawn each on their own.
    """
    value = geometric_mean([statistics.median(ours) / statistics.median(theirs) for ours, theirs in pairs])
    source = random.Random(1)  # the same samples always give the same interval
    found = []
    for _ in range(draws):
        drawn = []
        for ours, theirs in pairs:
            rounds = source.choices(range(len(ours)), k=len(ours))
            others = rounds if len(theirs) == len(ours) else source.choices(range(len(theirs)), k=len(theirs))
            drawn.append(statistics.median([ours[i] for i in rounds]) / statistics.median([theirs[i] for i in others]))
        found.append(geometric_mean(drawn))
    return resampled(value, found)


def ratio(ours: Sequence[float], theirs: Sequence[float], draws: int = DRAWS) -> Figure:
    """median(ours) ÷ median(theirs) and its interval."""
    return mean_ratio([(ours, theirs)], draws)


def more_is_better(unit: str) -> bool:
    """Rates and shares; of times and sizes less is better."""
    return unit.endswith("/s") or unit == "share"


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    size = abs(value)
    return (
        f"{value:,.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 1
        else f"{value:.3g}"
    )


def readable(value: float, unit: str) -> tuple[float, str]:
    """A time or size in the unit in which it reads best."""
    times, sizes = ("ns", "us", "ms", "s"), ("bytes", "KiB", "MiB")
    family = times if unit in times else sizes if unit in sizes else ()
    for other in reversed(family):
        scaled = value * UNITS[unit] / UNITS[other]
        if abs(scaled) >= 1 or other == family[0]:
            return scaled, other
    return value, unit
