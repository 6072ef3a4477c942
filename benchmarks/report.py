"""
Raw samples → one report: ``report.py FILE.json … [--output FOLDER]``.

Reads what every part wrote (``measurement.schema.json``), makes medians, intervals and ratios, and says how the run stands to the
goals. FOLDER receives ``report.md``, ``report.json`` (``report.schema.json``) and ``plots/*.svg``; the Markdown is printed too. Files
that lie in a folder may be named by the folder. Exit 0 whatever the figures say, 2 for files that are not ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from figures import Figure, median, more_is_better, number, ratio, readable, spread
from goals import GOALS, fits, judge
from measurement import Malformed, read
from plot import ACCENT, BAD, GOOD, Band, Dot, draw

# kind → heading and the engine that others are divided by, for files that do not say so; the order is the report's. What is not
# here comes after, by name.
PARTS = {
    "c-calls": ("Calls from C", "lua"),
    "python-calls": ("Calls from Python", "cffi"),
    "programs": ("Whole programs", "lua"),
    "frontend": ("From source to bytecode", "lua"),
    "start": ("Start and contexts", "lua"),
    "audit": ("The audit log", "no log"),
    "scaling": ("Scaling", ""),
    "batch": ("Batches", "c"),
    "size": ("Size", "lua"),
    "instructions": ("Instructions", "lua"),
}
APART = {"instructions", "batch"}  # measured by a job of its own, or where there is a program for it
COLOURS = {  # one for each family of engines, chosen to be told apart on white
    "reml": ACCENT, "lua": "#2b6cb0", "luajit": "#6b46c1", "quickjs": "#b7791f", "wasm3": "#319795", "c": "#4a5568",
    "python": "#3c8031", "cffi": "#4a5568", "ctypes": "#a0aec0", "lupa": "#2b6cb0", "numpy": "#3182ce", "wren": "#97266d",
}  # fmt: skip


def title_of(document: dict[str, Any]) -> tuple[str, str]:
    """Heading and baseline: what the file says, else what is known of its kind."""
    title, baseline = PARTS.get(document["kind"], (document["kind"], ""))
    return document.get("title") or title, document.get("baseline") or baseline


def place(document: dict[str, Any]) -> tuple[int, str]:
    """Where a part stands in the report."""
    kinds = list(PARTS)
    family = next((kind for kind in kinds if document["kind"].startswith(kind)), "")
    return (kinds.index(family) if family else len(kinds), document["kind"])


def family(engine: str) -> str:
    """``reml`` of ``reml, as values``."""
    return engine.replace(",", " ").split(maxsplit=1)[0]


def as_table(figure: Figure) -> dict[str, float]:
    """For JSON."""
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def rows_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every row with its figures."""
    _, baseline = title_of(document)
    bases = {item["row"]: item for item in document["rows"] if item["engine"] == baseline and item["samples"]}
    made = []
    for item in document["rows"]:
        unit = item.get("unit", document["unit"])
        line: dict[str, Any] = {
            "row": item["row"],
            "engine": item["engine"],
            "unit": unit,
            "rounds": len(item["samples"]),
        }
        base = bases.get(item["row"])
        if not item["samples"]:
            line["failed"] = item.get("reason", "wrong result")
        else:
            line["median"] = as_table(median(item["samples"]))
            line["spread"] = spread(item["samples"])
            line["least"] = min(item["samples"])
            if (
                base is not None
                and base.get("unit", document["unit"]) == unit
                and min(base["samples"]) > 0
                and min(item["samples"]) > 0
            ):
                line["ratio"] = as_table(ratio(item["samples"], base["samples"]))
        made.append(line)
    order = list(
        dict.fromkeys(item["row"] for item in made)
    )  # the engines of a row stand together, however they were measured
    return sorted(made, key=lambda line: order.index(line["row"]))


def part_of(document: dict[str, Any]) -> dict[str, Any]:
    """One measurement as it stands in report.json."""
    title, baseline = title_of(document)
    return {
        "kind": document["kind"],
        "title": title,
        "baseline": baseline,
        "note": document.get("note", ""),
        "environment": document["environment"],
        "versions": document["versions"],
        "missing": document["missing"],
        "rows": rows_of(document),
    }


def make(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole report as data."""
    documents = sorted(documents, key=place)
    parts = [part_of(document) for document in documents]
    here = {part["kind"] for part in parts}
    machine = dict(documents[0]["environment"]) if documents else {}
    for document in documents:
        machine |= {key: value for key, value in document["environment"].items() if key not in machine}
    times = [document["environment"]["time"] for document in documents if "time" in document["environment"]]
    return {
        "schema": 1,
        "time": max(times, default=""),
        "machine": {
            key: value
            for key, value in machine.items()
            if not key.startswith("load") and key not in {"time", "pinned", "clock"}
        },
        "load": {
            "before the first": documents[0]["environment"].get("load before", "unknown") if documents else "unknown",
            "after the last": documents[-1]["environment"].get("load after", "unknown") if documents else "unknown",
            "highest": max((highest(document) for document in documents), default=0.0),
        },
        "goals": [judge(goal, documents) for goal in GOALS],
        "parts": parts,
        "not_measured": [kind for kind in PARTS if kind not in here and kind not in APART],
        "missing": {engine: reason for part in parts for engine, reason in part["missing"].items()},
    }


def highest(document: dict[str, Any]) -> float:
    """The highest load of the last minute that a part was told."""
    loads = [document["environment"].get(key, "").split() for key in ("load before", "load after")]
    return max((float(words[0]) for words in loads if words and words[0].replace(".", "", 1).isdigit()), default=0.0)


# ---------------------------------------------------------------------------------------------------------------- Markdown


def interval(table: dict[str, float], show: Any = number) -> str:
    """Low to high, or nothing when they are the same."""
    low, high = show(table["low"]), show(table["high"])
    return "" if low == high else f"{low} – {high}"


def in_unit(table: dict[str, float], unit: str) -> tuple[str, str, str]:
    """Value, interval and unit, in the unit in which the value reads best."""
    value, other = readable(table["value"], unit)
    factor = value / table["value"] if table["value"] else 1.0
    scaled = {key: figure * factor for key, figure in table.items()}
    return number(value), interval(scaled), "µs" if other == "us" else other


def goal_line(goal: dict[str, Any]) -> str:
    """One row of the table of goals."""
    unit = "" if goal["unit"] in {"×", "share"} else " " + goal["unit"].replace("us", "µs")
    limit = f"{'≥' if goal['at_least'] else '≤'} {goal['limit']:,g}{'×' if goal['unit'] == '×' else unit}"
    start = f"| {goal['target']} | {goal['what']} "
    if goal["verdict"] == "not measured":
        return f"{start}| | | {limit} | not measured: {goal['why']} |"
    verdict = ("**met**" if goal["verdict"] == "met" else "missed") + (", within the interval" if goal["close"] else "")
    return f"{start}| {number(goal['value'])}{unit} | {interval(goal)} | {limit} | {verdict} |"


def part_lines(part: dict[str, Any], plot: str | None) -> list[str]:
    """One part as Markdown."""
    baseline = part["baseline"]
    lines = [f"## {part['title']}", ""]
    if plot:
        lines += [f"![{part['title']}]({plot})", ""]
    lines += [f"| row | engine | median | 95 % | ± | {f'× {baseline}' if baseline else ''} | {'95 %' if baseline else ''} |",
              "|---|---|---:|---|---:|---:|---|"]  # fmt: skip
    previous = ""
    for row in part["rows"]:
        name = row["row"] if row["row"] != previous else ""
        previous = row["row"]
        if "failed" in row:
            lines.append(f"| {name} | {row['engine']} | failed: {row['failed']} | | | | |")
            continue
        value, around, unit = in_unit(row["median"], row["unit"])
        times = (number(row["ratio"]["value"]), interval(row["ratio"])) if "ratio" in row else ("", "")
        lines.append(
            f"| {name} | {row['engine']} | {value} {unit} | {around} | {row['spread']:.0%} | {times[0]} | {times[1]} |"
        )
    rounds = max((row["rounds"] for row in part["rows"]), default=0)
    facts = part["environment"]
    lines += ["", f"{rounds} round{'s' if rounds != 1 else ''}; {facts.get('clock', 'wall')}; pinned: {facts.get('pinned', 'not said')}; load {facts.get('load before', '?')} before, {facts.get('load after', '?')} after; {facts.get('time', 'time not said')}. "
              + " · ".join(f"{key} {value}" for key, value in part["versions"].items())]  # fmt: skip
    lines += ["", part["note"]] if part["note"] else []
    lines += (
        ["", *[f"- missing: {engine} ({reason})" for engine, reason in part["missing"].items()]]
        if part["missing"]
        else []
    )
    return [*lines, ""]


def markdown(report: dict[str, Any], plots: dict[str, str]) -> str:
    """The report as text."""
    verdicts = [goal["verdict"] for goal in report["goals"]]
    counts = ", ".join(f"{verdicts.count(word)} {word}" for word in ("met", "missed", "not measured"))
    lines = [
        "# Measurements",
        "",
        f"Taken {report['time']}. Every engine of a row was measured in turns with the others. Medians; intervals of 95 % (of a median by ranks, of a ratio by resampling rounds); ± is half of the distance between the quartiles.",
        "",
        "| machine | |",
        "|---|---|",
        *[f"| {key} | {value} |" for key, value in report["machine"].items()],
        f"| load | {report['load']['before the first']} before the first part, {report['load']['after the last']} after the last |",
        "",
    ]
    if report["load"]["highest"] > 1.5:
        lines += [
            f"The machine was busy with other things (load up to {report['load']['highest']:.2f}): read the ratios, not the times.",
            "",
        ]
    lines += ["## Goals", "", f"{counts}.", ""]
    if "goals" in plots:
        lines += [f"![goals]({plots['goals']})", ""]
    lines += [
        "| target | what | measured | 95 % | goal | |",
        "|---:|---|---:|---|---:|---|",
        *map(goal_line, report["goals"]),
        "",
    ]
    for part in report["parts"]:
        lines += part_lines(part, plots.get(part["kind"]))
    if report["not_measured"]:
        lines += [f"Parts that were not measured: {', '.join(report['not_measured'])}.", ""]
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------------- plots


def ratio_plot(part: dict[str, Any]) -> str | None:
    """Every row with a ratio to the baseline, or None when there is none."""
    if not part["baseline"]:
        return None
    limits = {
        (row, goal.ours): goal.limit
        for goal in GOALS
        if goal.peer == part["baseline"] and len(goal.rows) == 1 and fits(goal, part)
        for row in goal.rows
    }
    bands: list[Band] = []
    for row in part["rows"]:
        if "ratio" not in row or row["engine"] == part["baseline"]:
            continue
        if not bands or bands[-1].label.removesuffix(" ↑") != row["row"]:
            bands.append(Band(row["row"] + (" ↑" if more_is_better(row["unit"]) else "")))
        ours = family(row["engine"]) == "reml" or (row["row"], row["engine"]) in limits
        bands[-1].dots.append(
            Dot(
                row["engine"],
                Figure(**row["ratio"]),
                ACCENT if ours else COLOURS.get(family(row["engine"]), "#718096"),
                ours,
                limits.get((row["row"], row["engine"])),
            )
        )
    if not bands:
        return None
    subtitle = f"each engine ÷ {part['baseline']}; medians with 95 % intervals; a green bar is a goal"
    subtitle += "; ↑: more is better" if any(band.label.endswith("↑") for band in bands) else "; less is better"
    return draw(part["title"], subtitle, bands, f"× {part['baseline']}, logarithmic")


def growth_plot(part: dict[str, Any]) -> str | None:
    """For a part without a baseline: each figure of a row ÷ the row's first, where sizes or numbers of threads stand for engines."""
    bands: list[Band] = []
    first: dict[str, float] = {}
    for row in part["rows"]:
        if "failed" in row or row["median"]["value"] <= 0:
            continue
        if row["row"] not in first:
            first[row["row"]] = row["median"]["value"]
            bands.append(Band(row["row"] + (" ↑" if more_is_better(row["unit"]) else "")))
        value, unit = readable(row["median"]["value"], row["unit"])
        figure = Figure(**row["median"]).times(1 / first[row["row"]])
        bands[-1].dots.append(
            Dot(row["engine"], figure, ACCENT, text=f"{row['engine']}: {number(value)} {unit.replace('us', 'µs')}")
        )
    bands = [band for band in bands if len(band.dots) > 1]
    if not bands:
        return None
    return draw(
        part["title"],
        "each figure ÷ the first of its row; medians with 95 % intervals; on the line is linear",
        bands,
        "× the first, logarithmic",
    )


def goals_plot(report: dict[str, Any]) -> str:
    """Every goal as a part of its limit: left of the line is better, for all of them."""
    bands = []
    for goal in report["goals"]:
        if goal["verdict"] == "not measured":
            bands.append(Band(f"{goal['target']} · {goal['what']}", [Dot("", None, "", text="not measured")]))
            continue
        limit = goal["limit"]
        values = [limit / goal[key] if goal["at_least"] else goal[key] / limit for key in ("value", "low", "high")]
        unit = "" if goal["unit"] in {"×", "share"} else " " + goal["unit"].replace("us", "µs")
        words = f"{number(goal['value'])}{unit}, goal {'≥' if goal['at_least'] else '≤'} {limit:,g}{unit}"
        bands.append(
            Band(
                f"{goal['target']} · {goal['what']}",
                [
                    Dot(
                        "",
                        Figure(values[0], min(values), max(values)),
                        GOOD if goal["verdict"] == "met" else BAD,
                        strong=True,
                        text=words,
                    )
                ],
            )
        )
    return draw(
        "Goals",
        "measured ÷ goal (turned round where more is better): left of the line is met",
        bands,
        "parts of the goal, logarithmic",
    )


def plots_of(report: dict[str, Any]) -> dict[str, str]:
    """Name → SVG."""
    made = {
        part["kind"]: picture
        for part in report["parts"]
        if (picture := ratio_plot(part) or growth_plot(part)) is not None
    }
    return {"goals": goals_plot(report), **made}


def collect(paths: list[Path]) -> list[Path]:
    """Files as they are; of a folder, every measurement in it."""
    found: list[Path] = []
    for path in paths:
        found += (
            [file for file in sorted(path.glob("*.json")) if file.name != "report.json"] if path.is_dir() else [path]
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, help="a folder for report.md, report.json and plots/")
    options = parser.parse_args(arguments)
    try:
        documents = [read(path) for path in collect(options.files)]
    except Malformed as error:
        print(f"not one of our measurements: {error}", file=sys.stderr)
        return 2
    if not documents:
        print("nothing was measured yet", file=sys.stderr)
        return 2
    report = make(documents)
    if options.output:
        folder = options.output / "plots"
        folder.mkdir(parents=True, exist_ok=True)
        pictures = plots_of(report)
        for name, picture in pictures.items():
            (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
        (options.output / "report.md").write_text(
            markdown(report, {name: f"plots/{name}.svg" for name in pictures}), encoding="utf-8"
        )
        (options.output / "report.json").write_text(
            json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    print(markdown(report, {}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
