"""
Raw samples → one Markdown report: ``report.py FILE.json … [--output FILE.md]``.

Reads what calls (C), python_calls.py and programs.py wrote; shows medians and spread per row and engine, ratios to the row's
baseline, what was missing, on what machine, and whether the goals named in DESIGN.md hold. Prints the report; exit 0 whatever the
figures say, 2 for files that are not ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

TITLES = {
    "c-calls": ("From C", "lua"),
    "c-peers": ("From C, peers alone", "lua"),
    "python-calls": ("From Python", "cffi"),
    "programs": ("Whole programs", "lua"),
}
# kind, row, ours, peer, at most this many times the peer
GOALS = [
    ("c-calls", "add (Int, Int) -> Int", "reml", "lua", 0.6),
    ("c-calls", "script to host, in a loop", "reml", "lua", 0.4),
    ("c-calls", "create load run dispose", "reml", "lua", 0.4),
    ("python-calls", "add (Int, Int) -> Int", "reml", "cffi", 0.6),
    ("python-calls", "string of 20 bytes", "reml", "quickjs", 0.7),
    ("python-calls", "record of four fields", "reml", "lupa", 0.25),
    ("python-calls", "callback into Python", "reml", "quickjs", 0.6),
    ("python-calls", "batch of 10^6 doubles", "reml", "cffi", 20.0),
    *(("programs", name, "reml", "lua", 0.8) for name in ("fib", "loop", "trees")),
    *(
        ("programs", name, "reml", "lua", 0.9)
        for name in ("nbody", "spectral", "fannkuch", "words", "sieve", "mandelbrot")
    ),
]


def title_of(document: dict[str, Any]) -> tuple[str, str]:
    """Heading and baseline: what the file says, else what is known of its kind."""
    title, baseline = TITLES.get(document["kind"], (document["kind"], ""))
    return document.get("title") or title, document.get("baseline") or baseline


def medians(document: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(row, engine) → median of the samples; failed cases are left out."""
    return {
        (row["row"], row["engine"]): statistics.median(row["samples"]) for row in document["rows"] if row["samples"]
    }


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def section(document: dict[str, Any]) -> list[str]:
    """One input file as Markdown."""
    title, baseline = title_of(document)
    middle = medians(document)
    lines = [f"## {title}", "", f"| row | engine | median | least | most | | {f'× {baseline}' if baseline else ''} |",
             "|---|---|---:|---:|---:|---|---:|"]  # fmt: skip
    previous = ""
    for row in document["rows"]:
        name = row["row"] if row["row"] != previous else ""
        previous = row["row"]
        if not row["samples"]:
            lines.append(f"| {name} | {row['engine']} | failed: {row.get('reason', 'wrong result')} | | | | |")
            continue
        base = middle.get((row["row"], baseline))
        ratio = f"{middle[row['row'], row['engine']] / base:.2f}" if base else ""
        figures = number(middle[row["row"], row["engine"]]), number(min(row["samples"])), number(max(row["samples"]))
        lines.append(
            f"| {name} | {row['engine']} | {' | '.join(figures)} | {row.get('unit', document['unit'])} | {ratio} |"
        )
    rounds = max((len(row["samples"]) for row in document["rows"]), default=0)
    lines += [
        "",
        f"{rounds} interleaved rounds. " + " · ".join(f"{key} {value}" for key, value in document["versions"].items()),
    ]
    lines += [document["note"]] if document.get("note") else []
    lines += [f"Missing: {engine} ({reason})." for engine, reason in document["missing"].items()]
    lines += [" · ".join(f"{key}: {value}" for key, value in document["environment"].items()), ""]
    return lines


def goals(documents: list[dict[str, Any]]) -> list[str]:
    """Each goal with the ratio of this run; a row or peer that was not measured is said so."""
    lines = ["## Goals", "", "| where | row | ours ÷ peer | goal | |", "|---|---|---:|---:|---|"]
    tables = {document["kind"]: medians(document) for document in documents}
    for kind, row, ours, peer, most in GOALS:
        if kind not in tables:
            continue
        top, bottom = tables[kind].get((row, ours)), tables[kind].get((row, peer))
        if top is None or bottom is None:
            lines.append(f"| {TITLES[kind][0]} | {row} | not measured | ≤ {most} {peer} | |")
            continue
        lines.append(
            f"| {TITLES[kind][0]} | {row} | {top / bottom:.2f} | ≤ {most} {peer} | {'met' if top <= most * bottom else 'missed'} |"
        )
    return [*lines, ""]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    documents = []
    for path in options.files:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not {"kind", "unit", "rows", "versions", "missing", "environment"} <= document.keys():
            print(f"not one of our measurements: {path}", file=sys.stderr)
            return 2
        documents.append(document)
    text = "\n".join(
        ["# Measurements", "", *[line for document in documents for line in section(document)], *goals(documents)]
    )
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
