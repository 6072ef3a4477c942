"""
Results of gates as pages that people keep: ``reports/ffi-bridge-summary.md`` and ``reports/iterator-collector-summary.md`` (CONTRACTS 3.8;
the user's ``sync-iterator-audit.sh``).

Comes in: JSON files of ``reml audit metrics``. Goes out: the two pages, of which only the part between two marks is ours: doing it again
changes nothing, and rows of gates that were not measured this time stay.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reml_embed._files import locked, replace_file
from reml_embed.audit.gates import GATES, WATCHED_PLATFORM, GateError

BRIDGE_PAGE, COLLECTOR_PAGE = "ffi-bridge-summary.md", "iterator-collector-summary.md"
_TITLES = {BRIDGE_PAGE: "FFI bridge", COLLECTOR_PAGE: "Iterators, collectors and the rest"}
_BRIDGE_PREFIXES = ("ffi_bridge.", "parser.stream.", "native.embed.")
_BEGIN, _END = "<!-- reml audit sync: begin -->", "<!-- reml audit sync: end -->"
_HEAD = "| KPI | metric | passed | total | pass rate | verdict | sources |\n|---|---|---:|---:|---:|---|---|"
_ALL = "all platforms"
_FIELDS = {"metric": str, "total": int, "passed": int, "failed": int, "sources": list, "failures": list}


@dataclass(frozen=True, slots=True)
class Entry:
    """One result, as a row of a page: *platform*, *kpi* and *metric* name it."""

    platform: str
    kpi: str
    metric: str
    passed: int
    total: int
    rate: float | None
    sources: str

    @property
    def verdict(self) -> str:
        """``ok``, ``below threshold`` or ``no samples``."""
        threshold = next((gate.threshold for gate in GATES if gate.metric == self.metric), 1.0)
        if self.rate is None:
            return "no samples"
        return "ok" if self.rate >= threshold else "below threshold"

    def line(self) -> str:
        """As markdown."""
        rate = "–" if self.rate is None else repr(self.rate)
        cells = (f"`{self.kpi}`", f"`{self.metric}`", self.passed, self.total, rate, self.verdict, self.sources)
        return f"| {' | '.join(str(cell) for cell in cells)} |"


def _kpi(metric: str) -> str:
    found = next((gate for gate in GATES if gate.metric == metric), None)
    return (found.scenario or found.section) if found else metric.partition(".")[0]


def _cell(text: str) -> str:
    """Nothing that a path contains may end a cell or begin markup."""
    return text.replace("\\", "/").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").replace("\r", " ")


def _entry(path: str, place: str, data: Any) -> Entry:
    if not isinstance(data, dict):
        raise GateError(f"{path}: {place}: expected an object, got {type(data).__name__}")
    for name, kind in _FIELDS.items():
        if not isinstance(data.get(name), kind) or isinstance(data.get(name), bool):
            got = type(data[name]).__name__ if name in data else "nothing"
            raise GateError(f"{path}: {place}.{name}: expected {kind.__name__}, got {got}")
    rate = data.get("pass_rate", ...)
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
        raise GateError(
            f"{path}: {place}.pass_rate: expected a number or null, got {'nothing' if rate is ... else repr(rate)}"
        )
    platform = data.get("platform") or _ALL
    if not isinstance(platform, str):
        raise GateError(f"{path}: {place}.platform: expected a text, got {type(platform).__name__}")
    metric = data["metric"]
    names = sorted({_cell(Path(str(source)).name) for source in data["sources"]})
    value = None if rate is None else float(rate)
    return Entry(_cell(platform), _kpi(metric), _cell(metric), data["passed"], data["total"], value, ", ".join(names))


def read_report(path: str | os.PathLike[str]) -> list[Entry]:
    """
    Results in a JSON file of ``reml audit metrics``.

    Raises:
        GateError: it cannot be read, or is another file; the message names file and key path.
    """
    name = os.fspath(path)
    try:
        data = json.loads(Path(name).read_bytes())
    except OSError as error:
        raise GateError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError) as error:
        raise GateError(f"{name}: $: not JSON: {error}") from None
    rows = data.get("metrics") if isinstance(data, dict) and "metrics" in data else [data]
    if not isinstance(rows, list):
        raise GateError(f"{name}: $.metrics: expected a list, got {type(rows).__name__}")
    return [
        _entry(name, f"$.metrics[{index}]" if isinstance(data, dict) and "metrics" in data else "$", row)
        for index, row in enumerate(rows)
    ]


def _parse(block: str) -> Iterable[Entry]:
    """Rows of a page that we wrote; a row that somebody spoilt is left out."""
    platform = _ALL
    for line in block.splitlines():
        if line.startswith("## "):
            platform = line[3:].strip()
        cells = [cell.strip() for cell in line.replace("\\|", "\0").strip().strip("|").split("|")]
        if not line.startswith("| `") or len(cells) != 7:
            continue
        kpi, metric = cells[0].strip("`"), cells[1].strip("`").replace("\0", "\\|")
        with contextlib.suppress(ValueError):
            rate = None if cells[4] == "–" else float(cells[4])
            yield Entry(platform, kpi, metric, int(cells[2]), int(cells[3]), rate, cells[6].replace("\0", "\\|"))


def merge(page: str, name: str, entries: Iterable[Entry]) -> str:
    """The text of a page with *entries* in place of the rows that they replace; *page* is what it was, or empty."""
    if _BEGIN in page and _END in page.partition(_BEGIN)[2]:
        before, _, rest = page.partition(_BEGIN)
        old, _, after = rest.partition(_END)
    else:
        title = f"# {_TITLES[name]}: results of the gates\n\nThe part between the marks is written by `reml audit sync`.\n\n"
        before, old, after = (f"{page.rstrip()}\n\n" if page.strip() else title), "", "\n"
    rows: dict[tuple[str, str, str], Entry] = {}
    for entry in (*_parse(old), *entries):
        rows[entry.platform, entry.kpi, entry.metric] = entry
    parts = [_BEGIN]
    for platform in sorted({key[0] for key in rows}, key=lambda text: (text == _ALL, text)):
        lines = [rows[key].line() for key in sorted(rows) if key[0] == platform]
        parts.append(f"\n## {platform}\n\n{_HEAD}\n" + "\n".join(lines))
    return f"{before}{chr(10).join(parts)}\n\n{_END}{after}"


@dataclass(frozen=True, slots=True)
class Synchronised:
    """
    What `sync` did.

    Attributes:
        pages: files that were written, or were right already.
        entries: what was merged.
        problem: why it fails; None when all is well.
    """

    pages: tuple[Path, ...]
    entries: tuple[Entry, ...]
    problem: str | None


def sync(reports: Iterable[str | os.PathLike[str]], folder: str | os.PathLike[str] = "reports") -> Synchronised:
    """
    Merge results into the two pages below *folder*; nothing is written when a report is wrong.

    The outcome has a problem when ``ffi_bridge.audit_pass_rate`` of ``macos-arm64`` is not among the reports, or below 1.0.

    Raises:
        GateError: a report cannot be read. OSError: a page cannot be written.
    """
    entries = [entry for path in reports for entry in read_report(path)]
    home, pages = Path(folder), list[Path]()
    with locked(home):  # jobs that end together lose no row
        for name in (BRIDGE_PAGE, COLLECTOR_PAGE):
            mine = [entry for entry in entries if entry.metric.startswith(_BRIDGE_PREFIXES) == (name == BRIDGE_PAGE)]
            path = home / name
            old = _page(path)
            if mine or old:
                new = merge(old, name, mine)
                if new != old:
                    replace_file(path, new)
                pages.append(path)
    return Synchronised(tuple(pages), tuple(entries), watched_problem(entries))


def _page(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise GateError(f"{path}: byte {error.start + 1} is not UTF-8; nothing was changed") from None


def watched_problem(entries: Iterable[Entry]) -> str | None:
    """What is wrong with the platform that must never be missing; None: nothing."""
    watched = [e for e in entries if e.metric == "ffi_bridge.audit_pass_rate" and e.platform == WATCHED_PLATFORM]
    again = f"collect the log of {WATCHED_PLATFORM} again"
    if not watched or all(entry.rate is None for entry in watched):
        return f"ffi_bridge.audit_pass_rate: no log of {WATCHED_PLATFORM}; {again}"
    worst = min(entry.rate for entry in watched if entry.rate is not None)
    if worst < 1.0:
        return f"ffi_bridge.audit_pass_rate of {WATCHED_PLATFORM} is {worst!r}, below 1.0; {again}"
    return None
