"""
Dots with intervals on a logarithmic axis, as one self-contained SVG: bands of lanes, one lane a dot, its name beside it.

In: plain numbers. Out: text. Lanes never share a line, so labels cannot overlap; a label that would leave the picture stands on the
other side of its dot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from figures import Figure, number

INK, SOFT, GRID, STRIPE = "#1f2933", "#616e7c", "#e4e7eb", "#f7f8fa"
ACCENT, GOOD, BAD = "#c2410c", "#2f855a", "#c53030"
WIDTH, LANE, GAP, TOP, BOTTOM = 1000, 16, 10, 74, 46
FONTS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
LETTER, BOLD_LETTER = 6.4, 7.6  # widths of the small text and of labels, on average


@dataclass(frozen=True)
class Dot:
    """One lane; *strong* for ours; *goal* is where a goal stands, if there is one."""

    name: str
    figure: Figure | None
    colour: str
    strong: bool = False
    goal: float | None = None
    text: str = ""  # in a column of its own on the right, instead of the number


@dataclass(frozen=True)
class Band:
    """A row of the table: its lanes stand together."""

    label: str
    dots: list[Dot] = field(default_factory=list)


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every decade in sight, or 1 alone when there are many decades."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    return [
        step * 10.0**decade for decade in range(first, last + 1) for step in steps if low <= step * 10.0**decade <= high
    ]


def plain(value: float) -> str:
    """0.01, 0.5, 20: as a person writes it."""
    return f"{value:,.10g}"


def text(x: float, y: float, what: str, *, size: int = 11, colour: str = INK, anchor: str = "start", bold: bool = False,
         ground: str = "") -> str:  # fmt: skip
    """A line of text; *ground* is the colour behind it, which keeps lines of the picture off its letters."""
    look = ' font-weight="600"' if bold else ""
    if ground:
        look += f' stroke="{ground}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{look}>{escape(what)}</text>'


def draw(title: str, subtitle: str, bands: list[Band], axis: str, *, line: float = 1.0) -> str:
    """The picture. *line* is drawn strongly: the baseline or the goal; *axis* says what the numbers are."""
    left = max(120.0, min(440.0, max(len(band.label) for band in bands) * BOLD_LETTER + 24))
    column = max((len(dot.text) for band in bands for dot in band.dots), default=0) * BOLD_LETTER
    right = WIDTH - 24.0 - column
    seen = [line] + [
        value
        for band in bands
        for dot in band.dots
        for value in ((dot.figure.low, dot.figure.high, dot.figure.value) if dot.figure else ())
        + ((dot.goal,) if dot.goal else ())
        if value > 0
    ]
    low, high = min(seen) / 1.35, max(seen) * 1.35
    height = TOP + BOTTOM + sum(len(band.dots) * LANE + GAP for band in bands)

    def x_of(value: float) -> float:
        return left + (right - left) * (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
            f' font-family="{FONTS}" aria-label="{escape(title)}">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(20, 30, title, size=18, bold=True),
        text(20, 50, subtitle, size=12, colour=SOFT),
    ]
    y = float(TOP)
    for number_of_band, band in enumerate(bands):
        if number_of_band % 2 == 0:
            parts.append(
                f'<rect x="0" y="{y:.1f}" width="{WIDTH}" height="{len(band.dots) * LANE + GAP}" fill="{STRIPE}"/>'
            )
        y += len(band.dots) * LANE + GAP
    bottom = y
    for value in ticks(low, high):
        x = x_of(value)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{GRID}"/>')
        parts.append(text(x, bottom + 16, plain(value), colour=SOFT, anchor="middle"))
    x = x_of(line)
    parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{INK}" stroke-width="1.5"/>')
    parts.append(text((left + right) / 2, bottom + 33, axis, colour=SOFT, anchor="middle"))
    y = float(TOP)
    for number_of_band, band in enumerate(bands):
        ground = "#ffffff" if number_of_band % 2 else STRIPE
        parts.append(
            text(left - 12, y + (len(band.dots) * LANE + GAP) / 2 + 4, band.label, size=12, anchor="end", bold=True)
        )
        y += GAP / 2
        for dot in band.dots:
            parts.extend(lane(dot, y + LANE / 2, x_of, right, ground))
            y += LANE
        y += GAP / 2
    return "\n".join([*parts, "</svg>"]) + "\n"


def lane(dot: Dot, y: float, x_of: Callable[[float], float], right: float, ground: str) -> list[str]:
    """One dot, its interval, its goal and its name."""
    parts = []
    if dot.text:
        parts.append(
            text(WIDTH - 20, y + 4, dot.text, colour=dot.colour if dot.figure else SOFT, anchor="end", bold=dot.strong)
        )
    if dot.goal is not None:
        x = x_of(dot.goal)
        parts.append(
            f'<line x1="{x:.1f}" y1="{y - 6:.1f}" x2="{x:.1f}" y2="{y + 6:.1f}" stroke="{GOOD}" stroke-width="3">'
            f"<title>goal: {plain(dot.goal)}</title></line>"
        )
    if dot.figure is None:
        return parts
    x, low, high = x_of(dot.figure.value), x_of(dot.figure.low), x_of(dot.figure.high)
    label = "" if dot.text else f"{dot.name} {number(dot.figure.value)}"
    told = f"{dot.text or label} ({number(dot.figure.low)} to {number(dot.figure.high)})"
    parts += [
        f'<line x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}" stroke="{dot.colour}" stroke-width="{2.5 if dot.strong else 2}" stroke-linecap="round"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if dot.strong else 3.5}" fill="{dot.colour}"><title>{escape(told)}</title></circle>',
    ]
    if not label:
        return parts
    width = len(label) * (BOLD_LETTER if dot.strong else LETTER)
    beside = max(high, x + 4) + 7
    if dot.goal is not None and -6 <= x_of(dot.goal) - beside < width:
        beside = x_of(dot.goal) + 7
    colour = dot.colour if dot.strong else INK
    if beside + width > right + 18:
        parts.append(
            text(min(low, x - 4) - 7, y + 4, label, colour=colour, anchor="end", bold=dot.strong, ground=ground)
        )
    else:
        parts.append(text(beside, y + 4, label, colour=colour, bold=dot.strong, ground=ground))
    return parts
