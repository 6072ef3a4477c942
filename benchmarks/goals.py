"""
What is wanted, as a table, and how a run stands to it. A goal is a ratio of two engines in the rows of a part, or a number of its own.

The verdict is about the median; when the interval reaches over the limit, it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from figures import UNITS, Figure, mean_ratio, median

PROGRAMS = ("fib", "loop", "nbody", "spectral", "fannkuch", "trees", "words", "sieve", "mandelbrot")


@dataclass(frozen=True)
class Goal:
    """
    *rows* of *part*: *ours* ÷ *peer* (the geometric mean over several rows), or *ours* itself in *unit*, at most or least *limit*.

    Without a peer, row and engine may be patterns (``threads: *``): the worst of what fits counts.
    """

    number: int  # of the target
    what: str
    part: str
    rows: tuple[str, ...]
    ours: str
    peer: str | None
    limit: float
    unit: str = ""
    at_least: bool = False
    python: tuple[tuple[int, int], tuple[int, int]] | None = None  # from this version to below that one


OLD, NEW = ((3, 0), (3, 12)), ((3, 12), (9, 0))
ADD, STRING, RECORD = "add (Int, Int) -> Int", "string of 20 bytes", "record of four fields"
LIFE = "create load run dispose"

GOALS = [
    Goal(1, "C → Reml ÷ lua_pcall", "c-calls", (ADD,), "reml", "lua", 0.4),
    Goal(1, "C → Reml ÷ wasm3", "c-calls", (ADD,), "reml", "wasm3", 1.0),
    Goal(1, "Reml → C host function ÷ a Lua C function", "c-calls", ("script to host, in a loop",), "reml", "lua", 0.4),
    Goal(2, "Python → Reml ÷ cffi (Python before 3.12)", "python-calls", (ADD,), "reml", "cffi", 0.5, python=OLD),
    Goal(2, "Python → Reml ÷ cffi (Python 3.12 or later)", "python-calls", (ADD,), "reml", "cffi", 0.3, python=NEW),
    Goal(2, "Python, 20-byte string in and out ÷ quickjs", "python-calls", (STRING,), "reml", "quickjs", 0.7, python=OLD),
    Goal(2, "Python, record of four fields ÷ lupa", "python-calls", (RECORD,), "reml", "lupa", 0.25, python=OLD),
    Goal(2, "Python, host callback round trip ÷ quickjs", "python-calls", ("callback into Python",), "reml", "quickjs", 0.6, python=OLD),
    Goal(3, "NumPy batch, x*2+1 ÷ the C loop", "python-calls", ("NumPy batch, x * 2 + 1",), "reml", "cffi", 20.0, python=OLD),
    Goal(3, "NumPy batch with a branch ÷ the C loop", "python-calls", ("NumPy batch, with a branch",), "reml", "cffi", 20.0, python=OLD),
    Goal(4, "nine programs, geometric mean ÷ Lua", "programs", PROGRAMS, "reml", "lua", 0.5),
    *(Goal(4, f"{name} ÷ Lua", "programs", (name,), "reml", "lua", 0.9) for name in PROGRAMS),
    Goal(5, "create, load ten lines, run, dispose ÷ Lua", "start", (LIFE,), "reml", "lua", 0.4),
    Goal(5, "an idle context", "start", ("idle: in use in malloc",), "reml", None, 16.0, "KiB"),
    Goal(5, "a second context of the same program", "start", ("again: create load dispose",), "reml", None, 5.0, "us"),
    Goal(6, "1 MB of source to bytecode, bytes a second ÷ Lua", "frontend", ("1 MB",), "reml", "lua", 0.5, at_least=True),
    Goal(7, "audit summary ÷ the call without", "audit", ("scalar call",), "summary", "no log", 1.3),
    Goal(7, "audit every ÷ the call without", "audit", ("scalar call",), "every, journal", "no log", 4.0),
    Goal(7, "NDJSON with its hash chain", "audit", ("chained lines written",), "every, journal", None, 200_000.0, "records/s", at_least=True),
    Goal(8, "n contexts on n threads, share of n, by the wall", "scaling", ("threads: *, wall clock",), "* threads", None, 0.95, "share", at_least=True),
    Goal(8, "n contexts on n threads, share of n, by processor time", "scaling", ("threads: *, processor time",), "* threads", None, 0.95, "share", at_least=True),
    Goal(9, "stripped library", "size", ("stripped library",), "reml", None, 400.0, "KiB"),
]  # fmt: skip


def python_of(document: dict[str, Any]) -> tuple[int, int]:
    """The version of Python that a measurement ran in."""
    major, minor = document["environment"].get("python", "0.0").split()[-1].split(".")[:2]
    return int(major), int(minor)


def fits(goal: Goal, document: dict[str, Any]) -> bool:
    """Whether the measurement is of the part, and of the Python, that the goal is about."""
    if document["kind"] != goal.part and not (goal.python and document["kind"].startswith(goal.part)):
        return False
    return goal.python is None or goal.python[0] <= python_of(document) < goal.python[1]


def samples_of(document: dict[str, Any], row: str, engine: str) -> list[tuple[list[float], str]] | str:
    """Samples and their unit of everything that fits, or why there are none."""
    found = []
    for item in document["rows"]:
        if fnmatchcase(item["row"], row) and fnmatchcase(item["engine"], engine):
            if not item["samples"]:
                return f"{item['engine']}, {item['row']}: {item.get('reason', 'wrong result')}"
            found.append((item["samples"], item.get("unit", document["unit"])))
    if found:
        return found
    if engine in document["missing"]:
        return f"{engine} is missing: {document['missing'][engine]}"
    return f"{engine} has no row “{row}”"


def measure(goal: Goal, documents: list[dict[str, Any]]) -> Figure | str:
    """The goal's figure, or why it could not be had."""
    fitting = [document for document in documents if fits(goal, document)]
    if not fitting:
        of_python = f" with Python {'.'.join(map(str, goal.python[0]))} or later" if goal.python == NEW else ""
        return f"{goal.part} was not measured{of_python}"
    pairs = []
    for row in goal.rows:
        ours = samples_of(fitting[0], row, goal.ours)
        if isinstance(ours, str):
            return ours
        if goal.peer is None:
            figures = [in_unit(median(samples), unit, goal.unit) for samples, unit in ours]
            return (min if goal.at_least else max)(figures, key=lambda figure: figure.value)
        theirs = samples_of(fitting[0], row, goal.peer)
        if isinstance(theirs, str):
            return theirs
        pairs.append((ours[0][0], theirs[0][0]))
    return mean_ratio(pairs)


def in_unit(figure: Figure, unit: str, wanted: str) -> Figure:
    """The same in the unit of the goal."""
    return figure if unit == wanted else figure.times(UNITS[unit] / UNITS[wanted])


def judge(goal: Goal, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """One line of the report's table of goals."""
    line: dict[str, Any] = {
        "target": goal.number,
        "what": goal.what,
        "part": goal.part,
        "limit": goal.limit,
        "unit": goal.unit or "×",
        "at_least": goal.at_least,
    }
    figure = measure(goal, documents)
    if isinstance(figure, str):
        return line | {"verdict": "not measured", "why": figure}
    met = figure.value >= goal.limit if goal.at_least else figure.value <= goal.limit
    close = figure.low < goal.limit < figure.high
    return line | {
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "verdict": "met" if met else "missed",
        "close": close,
    }
