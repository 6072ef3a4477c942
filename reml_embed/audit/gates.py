"""
Gates: which share of the records of a log is as the contract wants it (CONTRACTS 3.8, and 1.7, 2.8, 6.5, 7.6, 14.4, 15 for the formulas).

Comes in: audit logs, structured logs, diagnostics, reports of validation, a matrix. Goes out: one `Result` for each gate. `GATES` is the one
table: collector, command line and ``docs/gates.md`` are made from it. Nothing that runs reads a gate to decide.
"""

from __future__ import annotations

import json
import os
import platform as machine
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reml_embed.audit.kinds import BRIDGE_REQUIRED, missing_keys
from reml_embed.audit.records import Problem, Record, has, lookup, read
from reml_embed.errors import RemlError
from reml_embed.registry.stage import InvalidStageError, StageId, StageRequirement

if TYPE_CHECKING:
    from reml_embed.metrics import FfiMetrics

#: A gate and the counters of the same run may differ by so much.
TOLERANCE = 1e-9
#: Without a whole log of this platform `sync` fails (guide §1.2).
WATCHED_PLATFORM = "macos-arm64"
#: CONTRACTS 2.4: the platform of each target.
PLATFORMS = {
    "x86_64-unknown-linux-gnu": "linux-x86_64",
    "x86_64-pc-windows-msvc": "windows-msvc-x64",
    "x86_64-pc-windows-gnu": "windows-gnu-x64",
    "arm64-apple-darwin": "macos-arm64",
    "aarch64-apple-darwin": "macos-arm64",
    "aarch64-unknown-linux-gnu": "linux-arm64",
}
_SYSTEMS = {"linux": "unknown-linux-gnu", "darwin": "apple-darwin", "win32": "pc-windows-msvc"}


def platform_id(triple: str | None = None) -> str:
    """The platform id of a target triple, or of this machine; ``unknown`` when the contract has none."""
    if triple is None:
        names = {"amd64": "x86_64", "x64": "x86_64"}
        arch = machine.machine().lower()
        triple = f"{names.get(arch, arch)}-{_SYSTEMS.get(sys.platform, sys.platform)}"
    return PLATFORMS.get(triple, "unknown")


class GateError(RemlError, ValueError):
    """A gate cannot be computed: no such file, no such gate, or a file that is not what it should be."""


# --- what is judged -------------------------------------------------------------------------------------------------------


_MISSING = object()


@dataclass(slots=True)
class Item:
    """
    A record, a diagnostic or a report among the sources.

    Attributes:
        file: where it was read.
        index: its position there, from 0.
        record: the object itself; diagnostics and reports are flat.
        sort: ``record``, ``diagnostic``, ``document`` or ``broken``.
        platform: what it says of the platform; None when it says nothing.
        problem: why a broken line is no record.
    """

    file: str
    index: int
    record: Record
    sort: str
    platform: str | None = None
    problem: Problem | None = None
    _start: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._start = self.record.data if self.record.is_flat else self.record.metadata

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key, in the order of CONTRACTS 0.4, then among extensions; of a diagnostic also in its audit part."""
        start = self._start
        if key in start:
            return start[key]
        head, _, rest = key.partition(".")
        inner = start.get(head)
        if isinstance(inner, dict) and rest in inner:
            return inner[rest]
        for place in self._places():
            if (found := lookup(place, key, _MISSING)) is not _MISSING:
                return found
        return default

    def has(self, key: str) -> bool:
        """Is it there, be it null?"""
        return any(has(place, key) for place in self._places())

    def _places(self) -> Iterator[Record]:
        yield self.record
        data = self.record.data
        names = ("audit_metadata", "extensions") if self.sort == "diagnostic" else ("extensions",)
        for name in names:
            if isinstance(data.get(name), dict):
                yield Record(data[name])
        audit = data.get("audit")
        if self.sort == "diagnostic" and isinstance(audit, dict) and isinstance(audit.get("metadata"), dict):
            yield Record(audit["metadata"])

    @property
    def kind(self) -> str:
        """``event.kind``, or the event of a flat record; empty for anything else."""
        return (self.record.kind or "") if self.sort == "record" else ""

    @property
    def category(self) -> str:
        """``category``, or empty."""
        return self.record.category or ""

    def starts(self, *prefixes: str) -> bool:
        """Do kind or category begin with one of these words?"""
        return any(
            text == prefix or text.startswith(f"{prefix}.")
            for text in (self.kind, self.category)
            for prefix in prefixes
        )

    def mentions(self, prefix: str) -> bool:
        """Does a key begin with *prefix*?"""
        root = prefix.partition(".")[0]
        for place in self._places():
            start = place.data if place.is_flat else place.metadata
            if any(key.startswith(prefix) for key in start) or (root in start and has(place, prefix.rstrip("."))):
                return True
        return False

    def codes(self) -> set[str]:
        """Codes of a diagnostic, or of the record that one was emitted."""
        if self.sort == "diagnostic":
            more = self.record.data.get("codes")
            found = [self.record.data.get("code"), *(more if isinstance(more, list) else ())]
        elif self.kind == "diagnostic.emitted":
            found = [self.get("diagnostic.code"), self.get("code"), self.get("error.code")]
        else:
            found = []
        return {code for code in found if isinstance(code, str)}

    @property
    def audit_id(self) -> str | None:
        """Of the record, or of the diagnostic's audit part."""
        if self.sort == "diagnostic":
            audit = self.record.data.get("audit")
            found = audit.get("audit_id") if isinstance(audit, dict) else None
            return found if isinstance(found, str) else self.record.audit_id
        return self.record.audit_id


class Pool:
    """All items, and the diagnostics among them by what they can be matched with."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self._diagnostics: defaultdict[str, list[Item]] = defaultdict(list)
        for item in items:
            for code in item.codes():
                self._diagnostics[code].append(item)
        self._ids = {item.audit_id for item in items if item.sort == "record"} if self._diagnostics else set()
        self._taken: set[tuple[str, int]] = set()

    def match(self, item: Item, code: str, bridge: str | None) -> Item | None:
        """
        The diagnostic *code* that belongs to *item*: one with its ``audit_id``, else the next of its bridge that belongs to no other.
        """
        waiting = self._diagnostics[code]
        for found in waiting:
            if found.audit_id is not None and found.audit_id == item.audit_id:
                return found
        for number, found in enumerate(waiting):
            if (code, number) in self._taken or (found.audit_id in self._ids and found.kind != "diagnostic.emitted"):
                continue
            if bridge is not None and found.get("bridge.id") == bridge:
                self._taken.add((code, number))
                return found
        return None


_NOTHING = Pool(())


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a matrix: cells by the name of their column, in small letters."""

    file: str
    index: int
    cells: Mapping[str, tuple[str, ...]]

    def words(self, *columns: str) -> tuple[str, ...]:
        """The words of the first column whose name contains one of these."""
        return next((cell for column in columns for name, cell in self.cells.items() if column in name), ())


# --- the table ------------------------------------------------------------------------------------------------------------


def _one(_: Item) -> tuple[int, int]:
    return 1, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """
    One gate.

    Attributes:
        metric: its name.
        section, scenario: how the command line calls it.
        contract: section of the contract.
        formula: what is divided by what, in words.
        select: is an item a sample?
        missing: what a sample lacks; empty: it passed.
        row: the same for rows of a matrix, which then are the samples.
        weight: for how many a sample stands, and how many of them failed.
        threshold: least rate.
        by_platform: computed for each platform by itself.
        optional: left out of its section when there is no sample of it.
        pooled: a sample is judged by what else was read.
    """

    metric: str
    section: str
    contract: str
    formula: str
    scenario: str | None = None
    select: Callable[[Item], bool] = lambda _: False
    missing: Callable[[Item, Pool], Iterable[str]] = lambda _item, _pool: ()
    row: Callable[[Row, Pool], Iterable[str]] | None = None
    weight: Callable[[Item], tuple[int, int]] = _one
    threshold: float = 1.0
    by_platform: bool = False
    optional: bool = False
    pooled: bool = False


def _needs(*keys: str) -> Callable[[Item, Pool], list[str]]:
    """Every key must be there and not null."""
    return lambda item, _: [key for key in keys if item.get(key) is None]


def _failed(item: Item) -> bool:
    return (
        item.get("error.code") is not None
        or item.get("io.error.kind") is not None
        or item.get("error.severity") == "error"
        or item.kind == "core.io.error"
    )


# 2.8


BRIDGE_KEYS = (*BRIDGE_REQUIRED, "bridge.audit_pass_rate")


def _is_crossing(item: Item) -> bool:
    if item.sort != "record" or not (item.kind == "ffi.call" or (item.category == "ffi.bridge" and not item.kind)):
        return False
    return "stubbed" not in (item.get("ffi.status"), item.get("status"))


def _crossing_missing(item: Item, _: Pool) -> list[str]:
    missing = [key for key in BRIDGE_KEYS if item.get(key) is None]
    status = item.get("bridge.status")
    if status not in (None, "ok") and not _crossing_weight(item)[1]:
        missing.append("bridge.status=ok")
    return missing


def _crossing_weight(item: Item) -> tuple[int, int]:
    count, failures = item.get("ffi.count", 1), item.get("ffi.failures", 0)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        count = 1
    if isinstance(failures, bool) or not isinstance(failures, int) or failures < 0:
        failures = 0
    return count, min(failures, count)


# 6.5


def _is_io(item: Item) -> bool:
    return item.sort == "record" and (item.starts("core.io", "core.path") or item.has("io.operation"))


def _is_glob(item: Item) -> bool:
    return _is_io(item) and (
        item.kind == "core.path.glob"
        or item.has("io.glob.pattern")
        or "path.glob" in (item.get("io.operation"), item.get("io.helper"))
    )


def _is_watch(item: Item) -> bool:
    return _is_io(item) and (item.kind == "core.io.watch" or bool(re.match(r"watch", str(item.get("io.operation")))))


def _is_transfer(item: Item) -> bool:
    if not _is_io(item) or _is_glob(item) or _is_watch(item) or not item.starts("core.io"):
        return False
    operation = item.get("io.operation")
    return operation is None or bool(
        re.search(r"(^|\.)(reader|writer|copy|with_reader|read_line|bytes_writer)\b", str(operation))
    )


def _transfer_missing(item: Item, pool: Pool) -> list[str]:
    missing = _needs("io.operation", "io.path", "io.capability", "io.helper", "io.bytes_processed")(item, pool)
    if not (item.get("io.effects.io") or item.get("effects.io")):
        missing.append("effects.io")
    return missing


def _glob_missing(item: Item, pool: Pool) -> list[str]:
    return _needs("io.glob.pattern", "io.helper", *(("io.glob.offending_path",) if _failed(item) else ()))(item, pool)


def _is_buffered(item: Item) -> bool:
    return _is_io(item) and (
        item.mentions("io.buffer.") or any("buffered" in str(item.get(key)) for key in ("io.operation", "io.helper"))
    )


def _buffer_missing(item: Item, pool: Pool) -> list[str]:
    missing = _needs("io.buffer.capacity", "io.buffer.fill")(item, pool)
    capacity, fill = item.get("io.buffer.capacity"), item.get("io.buffer.fill")
    if isinstance(capacity, int | float) and isinstance(fill, int | float) and fill > capacity:
        missing.append("io.buffer.fill<=io.buffer.capacity")
    return missing


def _operations(row: Row, pool: Pool) -> list[Item]:
    names = set(row.words("operation", "api", "function"))
    return [item for item in pool.items if _is_io(item) and names & {item.get("io.operation"), item.get("io.helper")}]


def _row_operation(row: Row, pool: Pool) -> list[str]:
    return [] if _operations(row, pool) else list(row.words("operation", "api", "function")) or ["operation"]


def _row_effects(row: Row, pool: Pool) -> list[str]:
    wanted, found = row.words("effect"), _operations(row, pool)
    if not found:
        return _row_operation(row, pool)

    def has_effect(item: Item, tag: str) -> bool:
        flat = tag.replace(".", "_")
        return any(item.get(f"{place}.{name}") for place in ("io.effects", "effects") for name in (tag, flat))

    return [f"effects.{tag}" for tag in wanted if not any(has_effect(item, tag) for item in found)]


def _row_capability(row: Row, pool: Pool) -> list[str]:
    wanted, found = row.words("capabilit"), _operations(row, pool)
    if not found:
        return _row_operation(row, pool)
    seen = {item.get(key) for item in found for key in ("io.capability", "bridge.capability")}
    return [] if seen & set(wanted) else [f"io.capability={name}" for name in wanted] or ["capability"]


def _is_example(*suites: str) -> Callable[[Item], bool]:
    return lambda item: item.sort != "diagnostic" and item.has("example.status") and item.get("example.suite") in suites


# 14.4


def _reason(item: Item) -> str:
    return str(item.get("stream.last_reason") or item.get("last_reason") or item.get("reason") or "")


def _is_pending(item: Item) -> bool:
    return item.kind == "parser.stream.pending" or (
        item.kind == "parser.stream" and str(item.get("stream.event", "")).lower().startswith("pending")
    )


def _is_backpressure(item: Item) -> bool:
    return _is_pending(item) and _reason(item).lower().removeprefix("pending.") == "backpressure"


def _is_measured(metric: str) -> Callable[[Item], bool]:
    return lambda item: item.kind == "parser.stream.metrics" and item.has(metric)


def _whole(metric: str) -> Callable[[Item, Pool], list[str]]:
    return lambda item, _: [] if item.get(metric) in (1, True) else [f"{metric}=1.0"]


def _hint_missing(item: Item, pool: Pool) -> list[str]:
    if item.kind == "parser.stream.metrics":
        return _whole("parser.stream.demandhint_coverage")(item, pool)
    hints = [
        (name, value)
        for name in ("resume_hint", "demand", "demand_hint", "stream.resume_hint", "continuation.resume_hint")
        if isinstance(value := item.get(f"{name}.min_bytes"), int)
    ]
    if not hints:
        return ["resume_hint.min_bytes"]
    return [f"{name}.min_bytes={hints[0][1]}" for name, value in hints[1:] if value != hints[0][1]]


def _bridge(item: Item) -> str | None:
    found = item.get("bridge.id", item.get("bridge.stream.signal.bridge_id"))
    return found if isinstance(found, str) else None


def _backpressure_missing(item: Item, pool: Pool) -> list[str]:
    found = pool.match(item, "bridge.stage.backpressure", _bridge(item))
    if found is None:
        return ["bridge.stage.backpressure"]
    return _needs("bridge.stage.required", "bridge.stage.actual")(found, pool)


def _has_signal(item: Item) -> bool:
    return item.sort == "record" and isinstance(item.get("bridge.stream.signal"), dict)


def _satisfied(required: str, actual: str) -> bool:
    try:
        return StageRequirement.parse(required).satisfied_by(StageId.parse_actual(actual))
    except InvalidStageError:
        return False


def _propagation_missing(item: Item, pool: Pool) -> list[str]:
    keys = ("bridge.stream.signal.stage_required", "bridge.stream.signal.stage_actual")
    required, actual = (item.get(key) for key in keys)
    missing = [key for key, value in zip(keys, (required, actual), strict=True) if not isinstance(value, str)]
    if not missing and not _satisfied(str(required), str(actual)):
        code = "effects.contract.stage_mismatch"
        if pool.match(item, code, _bridge(item)) is None:
            missing.append(code)
    return missing


# the rest


def _is_diagnostic(item: Item) -> bool:
    return item.sort == "diagnostic"


def _presence_missing(item: Item, _: Pool) -> list[str]:
    return [key for key in ("audit", "timestamp") if not item.record.data.get(key)]


def _is_embed_call(item: Item) -> bool:
    return item.sort == "record" and (
        item.kind in ("native.embed.call", "audit.records_lost") or (item.category == "native.embed" and not item.kind)
    )


def _embed_missing(item: Item, pool: Pool) -> list[str]:
    if item.kind == "audit.records_lost":
        return ["native.embed.call"]
    return _needs("native.embed.entrypoint", "embed.abi.version")(item, pool)


def _lost(item: Item) -> tuple[int, int]:
    count = item.get("audit.records.lost", 1)
    return (count if isinstance(count, int) and count > 0 else 1), 0


def _is_collector(item: Item) -> bool:
    finished = item.kind == "collector.finish" or (not item.kind and item.category == "collector")
    return item.sort == "record" and finished and item.get("case", "audit_cap") == "audit_cap"


def _collector_missing(item: Item, pool: Pool) -> list[str]:
    return _needs("collector.capability", "collector.effect.audit", "collections.change_set.total")(item, pool)


_ITERATOR_KEYS = tuple(
    f"effect.stage.iterator.{name}" for name in ("required", "actual", "kind", "capability", "source")
)


def _is_iterator(item: Item) -> bool:
    return item.sort in ("record", "diagnostic") and (
        item.starts("iterator", "core.iter") or item.mentions("effect.stage.iterator.")
    )


def _is_typeclass(item: Item) -> bool:
    return item.sort in ("record", "diagnostic") and (item.starts("typeclass") or item.mentions("typeclass."))


def _is_staged(item: Item) -> bool:
    keys = ("effect.stage.required", "effect.stage.actual", "effect.capability")
    return item.sort == "record" and (item.kind == "capability_check" or any(item.has(key) for key in keys))


def _stage_missing(item: Item, pool: Pool) -> list[str]:
    missing = _needs("effect.stage.required", "effect.stage.actual", "effect.capability")(item, pool)
    if item.kind == "capability_check":
        missing += [key for key in ("effect.provider", "effect.manifest_path") if not item.has(key)]
    return missing


def _is_validation(item: Item) -> bool:
    return item.sort != "diagnostic" and isinstance(item.record.data.get("validation"), dict)


def _validation_missing(item: Item, _: Pool) -> list[str]:
    return [] if item.record.data["validation"].get("status") == "ok" else ["validation.status=ok"]


def _is_prelude(item: Item) -> bool:
    return any(code.startswith("core.prelude.") for code in item.codes()) or (
        item.sort == "record" and item.starts("core.prelude", "prelude")
    )


def _is_pipeline(item: Item) -> bool:
    return item.sort == "record" and item.kind in ("pipeline_started", "pipeline_completed", "pipeline_failed")


def _of_kind(item: Item, _: Pool) -> list[str]:
    return list(missing_keys(item.record))


def _is_of(*areas: str) -> Callable[[Item], bool]:
    return lambda item: item.sort == "record" and item.starts(*areas)


_GC_KEYS = ("event", "policy", "profile", "heap_bytes", "heap_limit", "last_pause_ms", "total_collections", "pause_target_ms",
            "run_id", "timestamp")  # fmt: skip
_GC_NULL = ("heap_limit", "pause_target_ms")


def _gc_missing(item: Item, _: Pool) -> list[str]:
    """Of an envelope record the payload counts, not what the envelope has beside it."""
    payload = item.record.data if item.record.is_flat else item.record.metadata.get("event")
    flat = payload if isinstance(payload, dict) else item.record.metadata
    return [key for key in _GC_KEYS if key not in flat or (flat[key] is None and key not in _GC_NULL)]


_POINT = tuple(f"metric_point.{name}" for name in ("name", "value", "kind", "timestamp", "tags"))

#: Every gate, by section.
GATES: tuple[Gate, ...] = (
    Gate(
        metric="ffi_bridge.audit_pass_rate", section="ffi_bridge", contract="2.8", by_platform=True,
        formula="`ffi.call` records with every required bridge key and `status = ok` ÷ all; summaries count as often as they say, stubbed calls not",
        select=_is_crossing, missing=_crossing_missing, weight=_crossing_weight,
    ),
    Gate(
        metric="native.embed.audit_presence_rate", section="embed", contract="1.7",
        formula="`native.embed.call` records with `native.embed.entrypoint` and `embed.abi.version` ÷ calls made, records that were lost among them",
        select=_is_embed_call, missing=_embed_missing, weight=_lost,
    ),
    Gate(
        metric="diagnostic.audit_presence_rate", section="diagnostics", contract="3.8",
        formula="diagnostics with `audit` and `timestamp` that are not empty ÷ all",
        select=_is_diagnostic, missing=_presence_missing,
    ),
    Gate(
        metric="iterator.stage.audit_pass_rate", section="iterator", contract="3.8",
        formula="iterator records with all five `effect.stage.iterator.*` ÷ all",
        select=_is_iterator, missing=_needs(*_ITERATOR_KEYS),
    ),
    Gate(
        metric="collectors.audit_cap_pass_rate", section="collectors", scenario="audit_cap", contract="7.6",
        formula="`collector.finish` records (of the case `audit_cap`, or of none) with `collector.capability`, `collector.effect.audit`, `collections.change_set.total` ÷ all",
        select=_is_collector, missing=_collector_missing,
    ),
    Gate(
        metric="runtime.capability_validation", section="runtime", contract="3.8",
        formula="reports on capability files whose `validation.status` is `ok` ÷ all",
        select=_is_validation, missing=_validation_missing,
    ),
    Gate(
        metric="effects.stage.audit_pass_rate", section="effects", contract="3.3",
        formula="records with a key of the stage group that have all three, of capability checks also provider and manifest path ÷ all",
        select=_is_staged, missing=_stage_missing,
    ),
    Gate(
        metric="typeclass.metadata_pass_rate", section="effects", scenario="typeclass", contract="3.8", optional=True,
        formula="typeclass records with `typeclass.constraint` and `typeclass.resolution_state` ÷ all",
        select=_is_typeclass, missing=_needs("typeclass.constraint", "typeclass.resolution_state"),
    ),
    Gate(
        metric="core_diagnostics.pipeline_pass_rate", section="core_diagnostics", contract="3.2",
        formula="`pipeline_*` records with every key of their kind ÷ all",
        select=_is_pipeline, missing=_of_kind,
    ),
    Gate(
        metric="prelude_guard.collector_pass_rate", section="prelude-guard", contract="7.3",
        formula="diagnostics `core.prelude.*` with `prelude.collector`, `collector.capability` and `collector.effect.audit` ÷ all",
        select=_is_prelude, missing=_needs("prelude.collector", "collector.capability", "collector.effect.audit"),
    ),
    Gate(
        metric="numeric_time.metric_point_pass_rate", section="numeric_time", contract="13",
        formula="records of a metric point with all five `metric_point.*` ÷ all",
        select=lambda item: item.sort == "record" and item.mentions("metric_point."), missing=_needs(*_POINT),
    ),
    Gate(
        metric="text.metadata_pass_rate", section="text", contract="3.2",
        formula="records of the text domain with every key that 0.5, 3.2 and 3.3 require ÷ all",
        select=_is_of("text", "core.text", "template", "regex"), missing=_of_kind,
    ),
    Gate(
        metric="gc.stats_pass_rate", section="gc", contract="15",
        formula="`gc.stats` records with every required field ÷ all; only `heap_limit` and `pause_target_ms` may be null",
        select=lambda item: item.kind == "gc.stats", missing=_gc_missing,
    ),
    Gate(
        metric="core_io.reader_writer_effects_pass_rate", section="core_io", scenario="reader_writer", contract="6.5",
        formula="reader, writer and copy records with `io.operation`, `io.path`, `io.capability`, `io.helper`, `io.bytes_processed` and `effects.io` ÷ all",
        select=_is_transfer, missing=_transfer_missing,
    ),
    Gate(
        metric="core_io.path_glob_pass_rate", section="core_io", scenario="path_glob", contract="6.5",
        formula="glob records with `io.glob.pattern`, `io.helper`, and `io.glob.offending_path` when they failed ÷ all",
        select=_is_glob, missing=_glob_missing,
    ),
    Gate(
        metric="core_io.watcher_audit_pass_rate", section="core_io", scenario="watcher_audit", contract="6.5",
        formula="watch records with `io.watch.queue_size` and `io.watch.delay_ns` ÷ all",
        select=_is_watch, missing=_needs("io.watch.queue_size", "io.watch.delay_ns"),
    ),
    Gate(
        metric="core_io.buffered_reader_buffer_stats_pass_rate", section="core_io", scenario="buffered", contract="6.5",
        formula="buffered records with capacity, and fill ≤ capacity ÷ all",
        select=_is_buffered, missing=_buffer_missing,
    ),
    Gate(
        metric="core_io.file_ops_pass_rate", section="core_io", scenario="file_ops", contract="6.5", row=_row_operation,
        formula="rows of the matrix whose operation is in the log ÷ rows",
    ),
    Gate(
        metric="core_io.effect_matrix_pass_rate", section="core_io", scenario="effects_matrix", contract="6.5", row=_row_effects,
        formula="rows of the matrix whose operation is in the log with every effect ÷ rows",
    ),
    Gate(
        metric="core_io.capability_matrix_pass_rate", section="core_io", scenario="capability_matrix", contract="6.5", row=_row_capability,
        formula="rows of the matrix whose operation is in the log with their capability ÷ rows",
    ),
    Gate(
        metric="core_io.example_suite_pass_rate", section="core_io", scenario="example_suite", contract="6.5",
        formula="examples of the suites `core_io` and `core_path` that passed ÷ all",
        select=_is_example("core_io", "core_path"),
        missing=lambda item, _: [] if item.get("example.status") == "passed" else ["example.status=passed"],
    ),
    Gate(
        metric="parser.stream.outcome_consistency", section="streaming", scenario="outcome_consistency", contract="14.4",
        formula="inputs whose streamed result equals the whole-input run ÷ inputs, as `parser.stream.metrics` records tell",
        select=_is_measured("parser.stream.outcome_consistency"), missing=_whole("parser.stream.outcome_consistency"),
    ),
    Gate(
        metric="parser.stream.demandhint_coverage", section="streaming", scenario="demandhint_coverage", contract="14.4",
        formula="pending events with a `min_bytes` hint that equals the continuation's ÷ pending events",
        select=lambda item: _is_pending(item) or _is_measured("parser.stream.demandhint_coverage")(item), missing=_hint_missing,
    ),
    Gate(
        metric="parser.stream.bridge_backpressure_diagnostics", section="streaming", scenario="bridge_backpressure_diagnostics",
        contract="14.4",
        formula="backpressure pendings with a matching `bridge.stage.backpressure` diagnostic that has both stages ÷ backpressure pendings",
        pooled=True, select=_is_backpressure, missing=_backpressure_missing,
    ),
    Gate(
        metric="parser.stream.bridge_stage_propagation", section="streaming", scenario="bridge_stage_propagation", contract="14.4",
        formula="bridge signals with `stage_required`, `stage_actual` and, when unsatisfied, a mismatch diagnostic ÷ bridge signals",
        pooled=True, select=_has_signal, missing=_propagation_missing,
    ),
)  # fmt: skip

#: The gate of the border; how it weighs records is also how others count them.
BRIDGE_GATE = GATES[0]

SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(gate.section for gate in GATES))
SCENARIOS: tuple[str, ...] = tuple(dict.fromkeys(gate.scenario for gate in GATES if gate.scenario))


def find(sections: Iterable[str] = (), scenario: str | None = None) -> list[Gate]:
    """
    Gates of the sections (none: of all), in the order of the table; several scenarios stand between slashes, as in the guide.

    Raises:
        GateError: there is no such section, or no such scenario in it.
    """
    wanted = list(sections)
    for name in wanted:
        if name not in SECTIONS:
            raise GateError(f"there is no section `{name}` (known: {', '.join(SECTIONS)})")
    found = [gate for gate in GATES if not wanted or gate.section in wanted]
    if scenario is not None:
        known = [gate.scenario for gate in found if gate.scenario]
        names = scenario.split("/")
        for name in names:
            if name not in known:
                words = f"known: {', '.join(known)}" if known else "it has none"
                raise GateError(f"there is no scenario `{name}` in {', '.join(wanted) or 'any section'} ({words})")
        found = [gate for gate in found if gate.scenario in names]
    return found


# --- reading --------------------------------------------------------------------------------------------------------------------


def _sort(data: Mapping[str, Any]) -> str:
    if "envelope" in data or "event" in data:
        return "record"
    if "severity" in data and "message" in data:
        return "diagnostic"
    return "document"


def _flatten(data: Any) -> Iterator[dict[str, Any]]:
    """The objects of a whole-file document: a list, an output of a command with ``diagnostics`` or ``examples``, or one object."""
    if isinstance(data, list):
        for item in data:
            yield from _flatten(item)
    elif isinstance(data, dict):
        inner = data.get("diagnostics") if isinstance(data.get("diagnostics"), list) else None
        examples = data.get("examples") if isinstance(data.get("examples"), list) else None
        if inner is not None and "message" not in data:
            yield from _flatten(inner)
        elif examples is not None:
            for row in examples:
                if isinstance(row, dict):
                    suite, status = row.get("suite", data.get("suite")), row.get("status")
                    yield {"example.suite": suite, "example.name": row.get("name"), "example.status": status}
        else:
            yield data


def _document(path: str) -> Any:
    """The whole file as JSON, when its first line is none by itself; else None."""
    file = Path(path)
    if file.exists() and not file.is_file():
        return None  # a pipe is read once, line by line
    with file.open("rb") as opened:
        head = opened.readline(1 << 20).strip()
        if head.startswith((b"\x1f\x8b", b"\xef\xbb\xbf")):
            return None
        while not head and (line := opened.readline(1 << 20)):
            head = line.strip()
        rest = opened.read(1)
    try:
        first = json.loads(head)
    except ValueError:
        first = None
    if isinstance(first, dict) and (rest or _sort(first) != "document"):
        return None
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return None


def _platform(item: Item) -> str | None:
    for key in ("bridge.platform", "io.platform", "platform", "cli.platform", "target.platform"):
        if isinstance(found := item.get(key), str):
            return found
    for key in ("bridge.target", "target.triple"):
        if isinstance(found := item.get(key), str):
            known = platform_id(found)
            return known if known != "unknown" else found
    return None


def load(path: str | os.PathLike[str]) -> Iterator[Item]:
    """
    What a source holds, one object after another: NDJSON, or one JSON document.

    Raises:
        GateError: it cannot be read.
    """
    name = os.fspath(path)
    try:
        document = _document(name)
        if document is not None:
            for index, data in enumerate(_flatten(document)):
                yield _item(name, index, Record(data))
            return
        for line in read(name):
            if line.record is None:
                if line.problem is not None and line.problem.code == "audit.record.torn":
                    continue  # what a power cut leaves; `reml audit verify` tells of it
                yield Item(name, line.number - 1, Record({}), "broken", problem=line.problem)
                continue
            if isinstance(line.record.data.get("diagnostics"), list) and _sort(line.record.data) == "document":
                for data in _flatten(line.record.data):
                    yield _item(name, line.number - 1, Record(data))
                continue
            yield _item(name, line.number - 1, line.record)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise GateError(f"{name}: {reason.lower()}") from None


def _item(file: str, index: int, record: Record) -> Item:
    item = Item(file, index, record, _sort(record.data))
    item.platform = _platform(item)
    return item


def read_matrix(path: str | os.PathLike[str]) -> list[Row]:
    """
    Rows of the first table of a markdown file; words of a cell are in backticks, or apart by commas.

    Raises:
        GateError: it cannot be read, or has no table.
    """
    name = os.fspath(path)
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    tables = [line for line in lines if line.strip().startswith("|")]
    if len(tables) < 2 or not re.fullmatch(r"[\s|:\-]+", tables[1]):
        raise GateError(f"{name}: no table with a head")

    def cells(line: str) -> list[str]:
        return [cell.strip() for cell in line.strip().strip("|").split("|")]

    def words(cell: str) -> tuple[str, ...]:
        found = re.findall(r"`([^`]+)`", cell) or [part.strip() for part in re.split(r"[,/]", cell)]
        return tuple(word for word in found if word and word not in ("–", "-", "—"))

    columns = [column.lower() for column in cells(tables[0])]
    return [
        Row(name, index, dict(zip(columns, map(words, cells(line)), strict=False)))
        for index, line in enumerate(tables[2:])
    ]


# --- judging --------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Result:
    """
    What a gate found.

    Attributes:
        metric: its name.
        total, passed, failed: samples, weighted.
        sources: files that were judged.
        failures: ``{file, index, missing}`` of each sample that failed; *index* counts lines (or objects, or rows) from 0.
        platform: for which; None: for all.
        threshold: least rate.
    """

    metric: str
    sources: list[str]
    platform: str | None = None
    threshold: float = 1.0
    total: int = 0
    failed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """Samples without fault."""
        return self.total - self.failed

    @property
    def pass_rate(self) -> float | None:
        """passed ÷ total; None without samples."""
        return self.passed / self.total if self.total else None

    @property
    def ok(self) -> bool:
        """Is the rate at the threshold? Without samples: no."""
        return self.pass_rate is not None and self.pass_rate >= self.threshold

    def add(self, file: str, index: int, missing: Iterable[str], weight: tuple[int, int] = (1, 0)) -> None:
        """Count a sample."""
        count, failures = weight
        lacking = list(dict.fromkeys(missing))
        self.total += count
        self.failed += count if lacking else failures
        if lacking or failures:
            self.failures.append({"file": file, "index": index, "missing": lacking or ["bridge.status=ok"]})

    def merge(self, other: Result) -> None:
        """Count what another one counted."""
        self.total += other.total
        self.failed += other.failed
        self.failures += other.failures

    def json(self) -> dict[str, Any]:
        """The object of CONTRACTS 3.8; with ``platform`` where a platform was judged by itself."""
        shown: dict[str, Any] = {
            "metric": self.metric, "total": self.total, "passed": self.passed, "failed": self.failed,
            "pass_rate": self.pass_rate, "sources": self.sources, "failures": self.failures,
        }  # fmt: skip
        if self.platform is not None:
            shown["platform"] = self.platform
        return shown


def is_platform(found: str | None, wanted: str) -> bool:
    """Is *found* the platform *wanted*, or one of its family (``windows-msvc`` names ``windows-msvc-x64``)?"""
    return found is not None and (found == wanted or found.startswith(f"{wanted}-"))


class Collector:
    """
    Judges sources one after another, without keeping what was judged.

    A line that is no record fails every gate of its file: what it said is lost. A torn last line does not count.

    Args:
        gates: which; see `find`.
        platforms: judge each by itself; one without samples fails.
        matrix: markdown table for the gates that have rows.
        case: only records whose ``case`` is this.

    Raises:
        GateError: the matrix cannot be read.
    """

    def __init__(
        self, gates: Iterable[Gate], *, platforms: Iterable[str] = (), matrix: str | os.PathLike[str] | None = None, case: str | None = None,
    ) -> None:  # fmt: skip
        self.gates = list(gates)
        self.sources: list[str] = []
        self._platforms = list(dict.fromkeys(platforms))
        self._rows = read_matrix(matrix) if matrix is not None else []
        self._matrix = [os.fspath(matrix)] if matrix is not None else []
        self._case = case
        self._found: list[dict[str | None, Result]] = [{} for _ in self.gates]
        self._kept: list[Item] = []
        self.damaged: list[Item] = []

    def read(self, path: str | os.PathLike[str]) -> Iterator[Item]:
        """
        Judge a source; each item comes out as it was read.

        Raises:
            GateError: it cannot be read.
        """
        name = os.fspath(path)
        self.sources.append(name)
        found: list[dict[str | None, Result]] = [{} for _ in self.gates]
        kept, named = len(self._kept), set()
        for item in load(name):
            if item.platform is not None:
                named.add(item.platform)
            self._take(item, found)
            yield item
        # Records that name no platform are of the one that their file names, when it names only one.
        only = next(iter(named)) if len(named) == 1 else None
        for item in self._kept[kept:]:
            item.platform = item.platform or only
        for total, part in zip(self._found, found, strict=True):
            for platform, result in part.items():
                total.setdefault(platform or only, Result(result.metric, [])).merge(result)

    def _take(self, item: Item, found: list[dict[str | None, Result]]) -> None:
        if item.sort == "broken":
            self.damaged.append(item)
            return
        if self._case is not None and item.get("case") != self._case:
            return
        keep = bool(item.codes())
        for gate, parts in zip(self.gates, found, strict=True):
            if gate.row is not None:
                keep = keep or _is_io(item)
            elif gate.select(item):
                if gate.pooled:
                    keep = True
                else:
                    result = parts.setdefault(item.platform, Result(gate.metric, []))
                    result.add(item.file, item.index, gate.missing(item, _NOTHING), gate.weight(item))
        if keep:
            self._kept.append(item)

    def results(self, *, keep_empty: bool = True) -> list[Result]:
        """What the gates found in everything that was read; those without samples only with *keep_empty*."""
        made: list[Result] = []
        for gate, parts in zip(self.gates, self._found, strict=True):
            wanted: Sequence[str | None] = self._platforms
            if not wanted and gate.by_platform:
                wanted = sorted(name or "unknown" for name in parts)
            for platform in wanted or [None]:
                result = self._sum(gate, parts, platform)
                if not result.total and (gate.optional or not keep_empty):
                    continue
                for item in self.damaged:
                    result.add(item.file, item.index, [item.problem.code if item.problem else "record"])
                made.append(result)
        return made

    def _sum(self, gate: Gate, parts: Mapping[str | None, Result], platform: str | None) -> Result:
        result = Result(gate.metric, [*self.sources, *self._matrix], platform, gate.threshold)

        def belongs(found: str | None) -> bool:
            return platform is None or is_platform(found or "unknown", platform)

        for name, part in parts.items():
            if belongs(name):
                result.merge(part)
        if gate.row is not None or gate.pooled:
            pool = Pool([item for item in self._kept if belongs(item.platform)])
            if gate.row is not None:
                for row in self._rows:
                    result.add(row.file, row.index, gate.row(row, pool))
            for item in pool.items if gate.pooled else ():
                if gate.select(item):
                    result.add(item.file, item.index, gate.missing(item, pool), gate.weight(item))
        return result


def evaluate(
    gates: Iterable[Gate],
    audit_sources: Iterable[str | os.PathLike[str]] = (),
    *,
    diagnostic_sources: Iterable[str | os.PathLike[str]] = (),
    platforms: Iterable[str] = (),
    matrix: str | os.PathLike[str] | None = None,
    case: str | None = None,
    keep_empty: bool = True,
    damaged: list[Item] | None = None,
) -> list[Result]:
    """
    Judge sources; see `Collector`.

    Args:
        gates: which; see `find`.
        audit_sources: logs.
        diagnostic_sources: diagnostics, as NDJSON, a list, or the output of a command.
        platforms: judge each by itself; one without samples fails.
        matrix: markdown table for the gates that have rows.
        case: only records whose ``case`` is this.
        keep_empty: keep gates without samples.
        damaged: takes the lines that are no records; each of them fails every gate that has samples.

    Raises:
        GateError: a source cannot be read.
    """
    collector = Collector(gates, platforms=platforms, matrix=matrix, case=case)
    for path in (*audit_sources, *diagnostic_sources):
        for _ in collector.read(path):
            pass
    if damaged is not None:
        damaged.extend(collector.damaged)
    return collector.results(keep_empty=keep_empty)


def report(results: Sequence[Result]) -> dict[str, Any]:
    """The object that the command prints: of one result the result, of several ``{"metrics": […]}``."""
    return results[0].json() if len(results) == 1 else {"metrics": [result.json() for result in results]}


def compare(
    results: Iterable[Result], counters: FfiMetrics | Mapping[str, Any] | float, *, platform: str | None = None
) -> str | None:
    """
    Hold ``ffi_bridge.audit_pass_rate`` against the counters of the same run (CONTRACTS 2.8).

    Args:
        results: of `evaluate`.
        counters: `FfiMetrics`, the JSON of them, or the pass rate itself (``reml_ffi_bridge_pass_rate``).
        platform: whose; None: all together.

    Returns:
        None when they agree within `TOLERANCE`, else what differs, in words.

    Raises:
        GateError: *counters* say nothing about calls.
    """
    chosen = [
        r for r in results if r.metric == "ffi_bridge.audit_pass_rate" and (platform is None or r.platform == platform)
    ]
    total, passed = sum(result.total for result in chosen), sum(result.passed for result in chosen)
    rate = passed / total if total else 1.0
    expected, calls = _rate_of(counters)
    if calls is not None and calls != total:
        return f"the log tells of {total} calls, the counters of {calls}"
    if abs(rate - expected) > TOLERANCE:
        return f"ffi_bridge.audit_pass_rate is {rate!r} by the log and {expected!r} by the counters"
    return None


def _rate_of(counters: FfiMetrics | Mapping[str, Any] | float) -> tuple[float, int | None]:
    if isinstance(counters, int | float):
        return float(counters), None
    get = counters.get if isinstance(counters, Mapping) else lambda name: getattr(counters, name, None)
    total, good = get("total_calls"), get("success_calls")
    if isinstance(total, int) and isinstance(good, int):
        return (good / total if total else 1.0), total
    for name in ("ffi_bridge_pass_rate", "pass_rate", "audit_pass_rate"):
        rate = get(name)
        if isinstance(rate, int | float) and not isinstance(rate, bool):
            return float(rate), None
    raise GateError("the counters have neither $.total_calls and $.success_calls nor $.pass_rate")


def table() -> str:
    """The gates as the markdown table of ``docs/gates.md``."""
    lines = ["| section | scenario | metric | formula | contract |", "|---|---|---|---|---|"]
    lines += [
        f"| `{gate.section}` | {f'`{gate.scenario}`' if gate.scenario else ''} | `{gate.metric}` | {gate.formula} | {gate.contract} |"
        for gate in GATES
    ]
    return "\n".join(lines) + "\n"
