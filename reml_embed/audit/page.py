"""
One self-contained page about logs: what happened, when, how often, what failed, and whether the logs are whole.

Comes in: paths of audit logs. Goes out: HTML that needs no network. Everything is aggregated here, so that a log of a hundred thousand
records makes a page like any other; the script of the page only filters, sorts and switches colours. Text of records is escaped, and
the page's policy allows no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from reml_embed.audit import gates
from reml_embed.audit.chain import verify

_BUCKETS_MOST = 72
_ROWS_MOST = 500
_TEXT_MOST = 300
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_BAD_VERDICTS = ("broken", "head_mismatch", "unreadable")


# --- what is known ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Log:
    """A file: where, how long, and what `verify` says of its chain; *verdict* is ``no chain`` for a log without numbers."""

    path: str
    size: int = 0
    records: int = 0
    verdict: str = "no chain"
    detail: str = ""
    head: str = ""


@dataclass(slots=True)
class Tally:
    """How often something happened, how often it failed, and when."""

    count: int = 0
    failed: int = 0
    first: str = ""
    last: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)

    def add(self, when: str, count: int = 1, failed: int = 0) -> None:
        """Count it."""
        self.count += count
        self.failed += failed
        if when:
            self.first = min(self.first, when) if self.first else when
            self.last = max(self.last, when)


@dataclass(slots=True)
class Findings:
    """Everything that the page shows."""

    logs: list[Log] = field(default_factory=list)
    results: list[gates.Result] = field(default_factory=list)
    kinds: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    symbols: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    failures: dict[tuple[str, str, str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    checks: dict[tuple[str, str, str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    seconds: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    calls: int = 0
    failed_calls: int = 0
    failed: int = 0
    records: int = 0
    broken: int = 0

    @property
    def whole(self) -> bool:
        """Is no chain broken, and every line a record?"""
        return not self.broken and all(log.verdict not in _BAD_VERDICTS for log in self.logs)


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return math.floor(moment.timestamp())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return text if len(text) <= _TEXT_MOST else f"{text[:_TEXT_MOST]}…"


def _subject(item: gates.Item) -> str:
    """What a record is about, in one word."""
    keys = (
        "bridge.extern_symbol", "ffi.symbol", "native.embed.entrypoint", "capability.id", "bridge.id", "pipeline.id", "io.operation",
        "async.actor.id", "config.path", "unsafe.function",
    )  # fmt: skip
    return _short(
        next((found for key in keys if isinstance(found := item.get(key), str)), item.record.capability or "")
    )


def collect(paths: Iterable[str | os.PathLike[str]]) -> Findings:
    """
    Read logs once, and check their chains.

    Raises:
        GateError: a log cannot be read.
    """
    found = Findings()
    collector = gates.Collector(gates.GATES)
    for path in paths:
        log = Log(os.fspath(path))
        chained = False
        for item in collector.read(path):
            if item.sort == "broken":
                found.broken += 1
                text = item.problem.message if item.problem else "no record"
                key = ("line", Path(item.file).name, item.problem.code if item.problem else "", text)
                _fail(found, item, key, "")
                continue
            log.records += 1
            chained = chained or item.record.sequence is not None
            _take(found, item)
        log.size = Path(path).stat().st_size
        if chained:
            _check_chain(log)
        found.logs.append(log)
        found.records += log.records
    found.results = collector.results(keep_empty=False)
    return found


def _check_chain(log: Log) -> None:
    path = Path(log.path)
    if not path.is_file():
        log.detail = "read from a pipe: the chain was not checked"
        return
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            log.detail = "packed: unpack it to check its chain"
            return
    report = verify(path)
    log.verdict, log.detail, log.head = report.verdict, report.detail, report.head
    if report.pending:
        waiting = f"{report.pending} more events lie in the journal"
        log.detail = f"{log.detail}; {waiting}" if log.detail else waiting


def _fail(found: Findings, item: gates.Item, key: tuple[str, str, str, str], when: str, count: int = 1) -> None:
    row = found.failures[key]
    row.add(when, count, count)
    if len(row.places) < 2:
        row.places.append(f"{Path(item.file).name}:{item.index + 1}")


def _take(found: Findings, item: gates.Item) -> None:
    record, kind = item.record, item.kind or item.sort
    when = record.timestamp or ""
    count = failed = 1
    crossing = gates.BRIDGE_GATE.select(item)
    bad = record.severity == "error" or item.get("error.code") is not None
    if crossing:
        count, failures = gates.BRIDGE_GATE.weight(item)
        status = item.get("bridge.status")
        failed = failures or (0 if status == "ok" else count)
        found.calls += count
        found.failed_calls += failed
        bad = failed > 0
        row = found.symbols[_short(item.get("ffi.library")), _subject(item)]
        row.add(when, count, failed)
        row.extra["ownership"] = _short(item.get("bridge.ownership"))
        flags = item.get("ffi.effect_flags")
        row.extra["effects"] = _short(" ".join(map(str, flags))) if isinstance(flags, list) else ""
    found.kinds[_short(kind)].add(when, 1, int(bad))
    second = _seconds(when)
    if second is not None:
        bucket = found.seconds[second]
        bucket[0] += count - (failed if bad else 0)
        bucket[1] += failed if bad else 0
    if bad:
        found.failed += 1
        code = _short(item.get("error.code", record.data.get("code"))) or _short(item.get("bridge.status"))
        message = _short(item.get("error.message", record.data.get("message"))).removeprefix(f"{code}: ")
        _fail(found, item, (_short(kind), _subject(item), code, message), when, failed)
    if kind in ("capability_check", "capability_mismatch"):
        key = (
            _short(item.get("capability.id")),
            _short(item.get("effect.stage.required", item.get("capability.expected_stage"))),
            _short(item.get("effect.stage.actual", item.get("capability.actual_stage"))),
            _short(item.get("capability.result", "error")),
        )
        found.checks[key].add(when, 1, int(key[3] != "success"))


# --- drawing ---------------------------------------------------------------------------------------------------------------


def _text(value: object) -> str:
    """Escaped for text and for attributes; what no page should show (control characters) becomes visible."""
    shown = "".join(chr(0x2400 + ord(c)) if ord(c) < 0x20 else c for c in str(value))
    return html.escape(shown, quote=True)


def _number(value: float) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")  # digits in groups of three


def _rate(rate: float | None) -> str:
    if rate is None:
        return "–"
    shown = f"{rate * 100:.2f}".rstrip("0").rstrip(".")
    if rate < 1 and shown == "100":
        shown = "99.99"  # what is not whole is not shown as whole
    return f"{shown}\N{NARROW NO-BREAK SPACE}%"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"


def _time(text: str) -> str:
    return _text(text.replace("T", " ").removesuffix("Z"))


def _mark(good: bool, word: str) -> str:
    return f'<span class="mark {"good" if good else "bad"}">{_text(word)}</span>'


def _buckets(seconds: dict[int, list[int]]) -> tuple[int, int, list[tuple[int, int]]]:
    """(start, step in seconds, [(good, failed)]) so that few enough bars remain."""
    first, last = min(seconds), max(seconds)
    span = last - first + 1
    step = next(
        (step for step in _STEPS if span / step <= _BUCKETS_MOST), math.ceil(span / _BUCKETS_MOST / 86400) * 86400
    )
    start = first // step * step
    rows = [[0, 0] for _ in range((last - start) // step + 1)]
    for second, (good, bad) in seconds.items():
        row = rows[(second - start) // step]
        row[0] += good
        row[1] += bad
    return start, step, [(good, bad) for good, bad in rows]


def _duration(seconds: int) -> str:
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} s"


def _moment(seconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "–"  # the edge of the first or the last year


def _timeline(found: Findings) -> str:
    if not found.seconds:
        return '<p class="none">No record tells a time.</p>'
    start, step, rows = _buckets(found.seconds)
    most = max(good + bad for good, bad in rows) or 1
    width, height, gap = 960.0, 132.0, 2.0
    each = min(48.0, width / len(rows))
    bar = max(1.0, each - gap)
    shapes = []
    for index, (good, bad) in enumerate(rows):
        if not good + bad:
            continue
        x = index * each
        tall = max(3.0, (good + bad) / most * height)
        red = max(3.0, tall * bad / (good + bad)) if bad else 0.0
        label = f"{_moment(start + index * step)}: {good + bad:,} events, {bad:,} failed"
        parts = f'<rect class="hit" x="{x:.2f}" y="0" width="{each:.2f}" height="{height:g}"/>'
        if good:
            parts += f'<rect class="good" x="{x:.2f}" y="{height - tall:.2f}" width="{bar:.2f}" height="{max(0.0, tall - red - (1 if red else 0)):.2f}" rx="1.5"/>'
        if bad:
            parts += (
                f'<rect class="bad" x="{x:.2f}" y="{height - red:.2f}" width="{bar:.2f}" height="{red:.2f}" rx="1.5"/>'
            )
        shapes.append(f'<g tabindex="0" role="img" aria-label="{_text(label)}" data-tip="{_text(label)}">{parts}</g>')
    end, form = start + step * len(rows), "%H:%M:%S" if step < 86400 else "%Y-%m-%d"
    drawn = each * len(rows)
    return (
        f'<figure class="timeline"><div class="scale"><span>{_number(most)}</span><span>events per {_duration(step)}</span></div>'
        f'<svg viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" role="group" aria-label="Events over time">'
        f'<line class="base" x1="0" x2="{width:g}" y1="{height - 0.5:g}" y2="{height - 0.5:g}"/>{"".join(shapes)}</svg>'
        f'<div class="axis" style="width:{drawn / width * 100:.2f}%"><span>{_moment(start)}</span>'
        f"<span>{_moment(end, form)} UTC</span></div>"
        f'<figcaption><span class="key good"></span>as it should <span class="key bad"></span>failed<output id="tip" aria-live="polite"></output></figcaption></figure>'
    )


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, and how it is set and sorted: ``text``, ``long``, ``time`` or ``number``."""

    head: str
    sort: str = "text"


def _table(
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[tuple[str, object]]],
    none: str,
    note: str = "",
) -> str:
    """A section with a table; a cell is (markup, what it is sorted by)."""
    head = f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{_text(title)} <small data-count="{name}">{_number(len(rows))}</small></h2>'
    if not rows:
        return f'{head}<p class="none">{_text(none)}</p></section>'
    heads = "".join(
        f'<th scope="col" class="{c.sort}" aria-sort="none"><button type="button" data-column="{i}">{_text(c.head)}</button></th>'
        for i, c in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{c.sort}" data-key="{_text(key)}">{cell}</td>'
            for c, (cell, key) in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows[:_ROWS_MOST]
    )
    more = f"The first {_number(_ROWS_MOST)} of {_number(len(rows))} rows." if len(rows) > _ROWS_MOST else ""
    notes = f'<p class="note">{_text(" ".join(part for part in (note, more) if part))}</p>' if note or more else ""
    return f'{head}<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>{notes}</section>'


def _plain(value: object, *, code: bool = False) -> tuple[str, object]:
    shown = _text(value)
    return (f"<code>{shown}</code>" if code and shown else shown), value


def _count(value: int) -> tuple[str, object]:
    return _number(value), value


def _bar(tally: Tally) -> tuple[str, object]:
    rate = (tally.count - tally.failed) / tally.count if tally.count else 1.0
    state = "good" if rate >= 1 else "bad"
    return f'<span class="meter {state}"><i style="width:{rate * 100:.1f}%"></i></span><b>{_rate(rate)}</b>', rate


def _gate_rows(found: Findings) -> Iterator[Sequence[tuple[str, object]]]:
    for result in found.results:
        rate = result.pass_rate
        yield (
            (_mark(result.ok, "passed" if result.ok else "failed"), result.ok),
            _plain(result.metric, code=True),
            _plain(result.platform or ""),
            _count(result.passed),
            _count(result.total),
            (_rate(rate), -1 if rate is None else rate),
            _plain(_lacking(result)),
        )


def _lacking(result: gates.Result) -> str:
    keys: defaultdict[str, int] = defaultdict(int)
    for failure in result.failures:
        for key in failure["missing"]:
            keys[key] += 1
    shown = sorted(keys.items(), key=lambda row: (-row[1], row[0]))[:3]
    return ", ".join(f"{key} (in {count:,})" for key, count in shown) + (" …" if len(keys) > 3 else "")


def _sections(found: Findings) -> Iterator[str]:
    number = Column
    yield _table(
        "gates", "Gates", (Column("verdict"), Column("metric"), Column("platform"), number("passed", "number"), number("samples", "number"), number("rate", "number"), Column("missing", "long")),
        list(_gate_rows(found)), "Nothing in these logs is judged by a gate.",
    )  # fmt: skip
    failures = sorted(found.failures.items(), key=lambda row: (-row[1].count, row[0]))
    yield _table(
        "failures", "Failures", (Column("what"), Column("code"), Column("message", "long"), number("times", "number"), Column("last", "time"), Column("where", "long")),
        [((f"<code>{_text(subject)}</code><small>{_text(kind)}</small>", f"{subject} {kind}"), _plain(code, code=True), _plain(message), _count(t.count), (_time(t.last), t.last), _plain(", ".join(t.places)))
         for (kind, subject, code, message), t in failures],
        "Nothing failed.",
    )  # fmt: skip
    symbols = sorted(found.symbols.items(), key=lambda row: (-row[1].failed, -row[1].count, row[0]))
    yield _table(
        "symbols", "Symbols", (Column("symbol"), Column("library"), number("calls", "number"), number("failed", "number"), number("passed", "number"), Column("ownership"), Column("effects"), Column("last", "time")),
        [(_plain(symbol, code=True), _plain(library), _count(t.count), _count(t.failed), _bar(t), _plain(t.extra["ownership"]), _plain(t.extra["effects"]), (_time(t.last), t.last))
         for (library, symbol), t in symbols],
        "Nothing crossed the border.", "Summaries count as often as they say.",
    )  # fmt: skip
    checks = sorted(found.checks.items(), key=lambda row: (-row[1].failed, row[0]))
    yield _table(
        "checks", "Capability checks", (Column("verdict"), Column("capability"), Column("required"), Column("actual"), number("times", "number"), Column("last", "time")),
        [((_mark(not t.failed, result or "unknown"), result), _plain(name, code=True), _plain(required), _plain(actual), _count(t.count), (_time(t.last), t.last))
         for (name, required, actual, result), t in checks],
        "No capability was checked.",
    )  # fmt: skip
    kinds = sorted(found.kinds.items(), key=lambda row: (-row[1].count, row[0]))
    yield _table(
        "kinds", "Kinds of events", (Column("kind"), number("records", "number"), number("failed", "number"), Column("first", "time"), Column("last", "time")),
        [(_plain(kind, code=True), _count(t.count), _count(t.failed), (_time(t.first), t.first), (_time(t.last), t.last)) for kind, t in kinds],
        "The logs are empty.",
    )  # fmt: skip
    yield _table(
        "logs", "Logs", (Column("chain"), Column("file", "long"), number("records", "number"), number("size", "number"), Column("head"), Column("detail", "long")),
        [((_mark(log.verdict not in _BAD_VERDICTS, log.verdict), log.verdict), _plain(log.path), _count(log.records), (_size(log.size), log.size),
          _plain(log.head[:16], code=True), _plain(log.detail)) for log in found.logs],
        "There is no log.",
    )  # fmt: skip


def _tiles(found: Findings) -> str:
    rate = (found.calls - found.failed_calls) / found.calls if found.calls else None
    refused = sum(t.failed for t in found.checks.values())
    tiles = (
        ("records", _number(found.records), ""),
        ("crossings", _number(found.calls), ""),
        ("pass rate", _rate(rate), "" if rate is None or rate >= 1 else "bad"),
        ("failed records", _number(found.failed), "bad" if found.failed else ""),
        ("checks refused", _number(refused), "bad" if refused else ""),
    )
    return "".join(
        f'<div class="tile {state}"><dt>{_text(name)}</dt><dd data-tile="{_text(name)}">{value}</dd></div>'
        for name, value, state in tiles
    )


def _verdict(found: Findings) -> tuple[bool, str]:
    """The one sentence on top."""
    broken = [log for log in found.logs if log.verdict in _BAD_VERDICTS]
    if broken:
        return False, f"The log is not whole: {Path(broken[0].path).name}: {broken[0].detail or broken[0].verdict}."
    if found.broken:
        return False, f"{found.broken:,} lines are no records."
    chained = sum(log.verdict != "no chain" for log in found.logs)
    if not chained:
        whole = "No chain was checked"
    elif chained < len(found.logs):
        whole = f"The chain is whole in {chained} of {len(found.logs)} logs, the others carry none"
    else:
        whole = "The chains are whole" if chained > 1 else "The chain is whole"
    failing = [result for result in found.results if not result.ok]
    if failing:
        words = "one gate fails" if len(failing) == 1 else f"{len(failing)} gates fail"
        return False, f"{whole}; {words}."
    return True, f"{whole}; {'every gate passes' if found.results else 'there is nothing to judge'}."


def _asset(name: str) -> str:
    return resources.files("reml_embed.audit").joinpath(name).read_text(encoding="utf-8")


def render(found: Findings, *, title: str | None = None) -> str:
    """The page: one HTML text."""
    style, script = _asset("page.css"), _asset("page.js")
    digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
    policy = f"default-src 'none'; img-src data:; script-src 'sha256-{digests[0]}'; style-src 'sha256-{digests[1]}'; style-src-attr 'unsafe-inline'"
    names = ", ".join(Path(log.path).name for log in found.logs)
    good, sentence = _verdict(found)
    whole = [tally for tally in found.kinds.values() if tally.first]
    span = f"{_time(min(t.first for t in whole))} – {_time(max(t.last for t in whole))} UTC" if whole else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_text(title or names)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#gates">Skip to the gates</a>
<header>
<div><p class="over">Audit report</p><h1>{_text(title or names)}</h1><p class="span">{span}</p></div>
<div class="tools"><label for="filter">Filter</label><input id="filter" type="search" placeholder="symbol, code, kind …  ( / )" autocomplete="off" spellcheck="false"><button type="button" id="theme" aria-pressed="false" title="Light or dark">◐</button></div>
</header>
<main>
<p class="verdict {"good" if good else "bad"}" role="status">{_text(sentence)}</p>
<dl class="tiles">{_tiles(found)}</dl>
<section id="timeline" aria-labelledby="timeline-title"><h2 id="timeline-title">Timeline</h2>{_timeline(found)}</section>
{chr(10).join(_sections(found))}
</main>
<footer>Written by <code>reml audit report</code>. Arrow keys move along the timeline; heads of columns sort.</footer>
<script>{script}</script>
</body>
</html>
"""
