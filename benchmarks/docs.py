"""
Figures of a run into a document, between its two marks: ``docs.py REPORT.json DOCUMENT.md``.

Out of report.json come the table of goals and one matrix for each part with a baseline; the plots named in ``PLOTS`` are copied beside
the document, into ``plots/``. Nothing outside of the marks is touched.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from figures import more_is_better, number, readable
from report import goal_line

BEGIN = "<!-- figures: made by `make bench-docs` out of build/bench/report.json -->"
END = "<!-- end of figures -->"
PLOTS = ("goals", "programs", "c-calls")


def matrix(part: dict[str, Any]) -> list[str]:
    """Rows × engines: the baseline's figure, and the others divided by it. Second ways of an engine stay in the report."""
    baseline = part["baseline"]
    cells: dict[str, dict[str, str]] = {}
    engines: list[str] = []
    upwards = False
    known = {row["engine"] for row in part["rows"]}
    for row in part["rows"]:
        engine = row["engine"]
        second_way = engine.split(",", maxsplit=1)[0] in known - {engine} and engine != "luajit, JIT off"
        if "failed" in row or second_way or ("ratio" not in row and engine != baseline):
            continue
        upwards = upwards or more_is_better(row["unit"])
        engines += [engine] if engine not in engines else []
        value, unit = readable(row["median"]["value"], row["unit"])
        told = f"{number(value)} {unit.replace('us', 'µs')}" if engine == baseline else number(row["ratio"]["value"])
        cells.setdefault(row["row"], {})[engine] = told
    engines = sorted(engines, key=lambda engine: (engine != "reml", engine == baseline))
    rows = {name: found for name, found in cells.items() if baseline in found and len(found) > 1}
    if not rows:
        return []
    heads = [f"{engine} itself" if engine == baseline else f"{engine} ÷ {baseline}" for engine in engines]
    return [
        f"| {part['title']}{' (more is better)' if upwards else ''} | {' | '.join(heads)} |",
        "|---|" + "---:|" * len(engines),
        *[f"| {name} | {' | '.join(found.get(engine, '') for engine in engines)} |" for name, found in rows.items()],
        "",
    ]


def block(report: dict[str, Any]) -> list[str]:
    """Everything between the marks."""
    machine = report["machine"]
    told = "; ".join(
        machine[key] for key in ("processor", "cores", "kernel", "compiler", "flags", "python") if key in machine
    )
    lines = [
        f"Taken {report['time']} on: {told}. Load {report['load']['before the first']} before, {report['load']['after the last']} after, at most {report['load']['highest']:.2f}.",
        "",
        "| target | what | measured | 95 % | goal | |",
        "|---:|---|---:|---|---:|---|",
        *map(goal_line, report["goals"]),
        "",
        "![Every goal: measured divided by wanted](plots/goals.svg)",
        "",
    ]
    for part in report["parts"]:
        lines += matrix(part)
        if part["kind"] in PLOTS:
            lines += [f"![{part['title']}](plots/{part['kind']}.svg)", ""]
    missing = sorted({f"{engine} ({reason})" for part in report["parts"] for engine, reason in part["missing"].items()})
    return [*lines, *([f"Missing: {'; '.join(missing)}.", ""] if missing else [])]


def main(arguments: list[str] | None = None) -> int:
    """Command line; 2 when the document has no marks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("document", type=Path)
    options = parser.parse_args(arguments)
    text = options.document.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        print(f"{options.document}: no place for figures: {BEGIN} … {END}", file=sys.stderr)
        return 2
    report = json.loads(options.report.read_text(encoding="utf-8"))
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    options.document.write_text(before + "\n".join([BEGIN, "", *block(report)]) + after, encoding="utf-8")
    plots = options.document.parent / "plots"
    plots.mkdir(exist_ok=True)
    for name in PLOTS:
        if (source := options.report.parent / "plots" / f"{name}.svg").exists():
            shutil.copyfile(source, plots / source.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
