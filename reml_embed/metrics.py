"""
Numbers of a running program (CONTRACTS 2.2, 2.8, 13): counters of the border, one metric record for every subsystem, and what is
wrong with them.

`emit_metrics` writes the record of the guide's §6; `render_prometheus` shows what was emitted, together with the process's
own counters. Nothing here raises because a number is bad or a log is full: problems are diagnostics.
"""

from __future__ import annotations

import bisect
import json
import math
import os
import threading
import time
import tomllib
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reml_embed._ffi import lib
from reml_embed.diagnostics import Diagnostic, Entry, Json, build, register_catalog
from reml_embed.errors import RemlError
from reml_embed.values import Duration

if TYPE_CHECKING:
    from reml_embed._exporter import Exporter
    from reml_embed.audit import AuditContext
    from reml_embed.context import Context

register_catalog("metrics", {
    "core.diagnostics.metric_emit_failed": Entry("the log did not take a metric", "warning", "runtime"),
    "conductor.metrics.error_rate_high": Entry("too much fails", "warning"),
    "conductor.metrics.queue_depth_high": Entry("a channel stays above its high watermark"),
    "runtime.sla.violation": Entry("a number is above what was agreed"),
})  # fmt: skip

#: Upper bounds of the latency histograms, in milliseconds; one more bucket takes the rest.
BUCKETS_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
#: Events that parts of this package emit; hosts add their own.
KNOWN_EVENTS = ("gpu.kernel", "embedded.telemetry", "data.validation", "parser.stream", "reload", "actor")
#: Above this share of failures `DslMetrics.check` warns.
ERROR_RATE_HIGH = 0.05
#: After so many cycles above the high watermark a queue is an error.
QUEUE_CYCLES = 3


# --- counters of the border -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FfiMetrics:
    """
    Crossings between host and Reml, each counted once: results read, functions called, host functions called by scripts.

    Always ``acquired == released + live``.
    """

    total_calls: int
    success_calls: int
    borrowed_results: int
    transferred_results: int
    null_results: int
    acquired: int
    released: int
    live: int

    @property
    def pass_rate(self) -> float:
        """Successful calls ÷ calls; 1.0 when there was none."""
        return self.success_calls / self.total_calls if self.total_calls else 1.0


def from_c(struct: Any) -> FfiMetrics:
    """From the library's struct."""
    return FfiMetrics(**{name: int(getattr(struct, name)) for name in FfiMetrics.__slots__})


def process_metrics() -> FfiMetrics:
    """The sum over all contexts of the process, closed ones included."""
    return from_c(lib.reml_ffi_bridge_get_metrics())


def reset_metrics() -> None:
    """Set the counters of the process and of its contexts to zero (handles that are out stay counted)."""
    lib.reml_ffi_bridge_reset_metrics()


# --- the record ---------------------------------------------------------------------------------------------------------


def _number(value: float) -> float | None:
    """As JSON can say it: what is no number is null (CONTRACTS 0.2)."""
    return float(value) if math.isfinite(value) else None


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> Json:
    """Any value as JSON: numbers that JSON has not become null, what it does not know becomes text, keys are sorted."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_json(item) for item in value), key=repr)
    if isinstance(value, datetime):
        return _rfc3339(value)
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeMetrics:
    """
    The guide's record, shared with quality reports.

    Attributes:
        latency_ms: how long it took, in milliseconds.
        throughput_per_min: how many a minute.
        error_rate: share of failures, 0 to 1.
        last_audit_id: the audit record that belongs to it; the same id that the command line and editors show.
        custom: anything else; its numbers become samples of ``reml_custom``.

    Raises:
        ValueError: *error_rate* outside 0..1, or *last_audit_id* is no UUID (or, as TypeError, no text either).
    """

    latency_ms: float
    throughput_per_min: float
    error_rate: float
    last_audit_id: uuid.UUID | str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.error_rate <= 1 and not math.isnan(self.error_rate):
            raise ValueError(f"error_rate must lie within 0..1, got {self.error_rate!r}")
        if isinstance(self.last_audit_id, str):
            object.__setattr__(self, "last_audit_id", uuid.UUID(self.last_audit_id))
        elif not isinstance(self.last_audit_id, uuid.UUID | None):
            raise TypeError(f"last_audit_id must be a UUID, got {type(self.last_audit_id).__name__}")

    def payload(self, event: str) -> dict[str, Json]:
        """The flat record, members in the guide's order."""
        return {
            "event": event,
            "audit_id": None if self.last_audit_id is None else str(self.last_audit_id),
            "latency_ms": _number(self.latency_ms),
            "throughput_per_min": _number(self.throughput_per_min),
            "error_rate": _number(self.error_rate),
            "custom": _json(self.custom),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> RuntimeMetrics:
        """
        Read a flat record back; members that we do not know are left out.

        Raises:
            ValueError: a member is missing or of another kind; the message names it.
        """
        numbers: dict[str, float] = {}
        for name in ("latency_ms", "throughput_per_min", "error_rate"):
            value = payload.get(name, ...)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ValueError(f"expected a number or null at $.{name}, got {'nothing' if value is ... else value!r}")
            numbers[name] = math.nan if value is None else float(value)
        custom = payload.get("custom") or {}
        if not isinstance(custom, Mapping):
            raise ValueError(f"expected an object at $.custom, got {type(custom).__name__}")  # noqa: TRY004  (a reader catches one error)
        return cls(last_audit_id=payload.get("audit_id"), custom=dict(custom), **numbers)


def is_metrics(payload: Mapping[str, Any]) -> bool:
    """Is it the flat record of `RuntimeMetrics`?"""
    return all(name in payload for name in ("event", "latency_ms", "throughput_per_min", "error_rate"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """
    One value at one time.

    Attributes:
        name: what was measured.
        value: a float, an int, a duration (`timedelta` or `Duration`) or a timestamp (aware `datetime`).
        timestamp: when; now by default.
        tags: further words about it.
        audit_id: the record it belongs to.
    """

    name: str
    value: float | timedelta | Duration | datetime
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    tags: Mapping[str, str] = field(default_factory=dict)
    audit_id: uuid.UUID | str | None = None

    @property
    def kind(self) -> str:
        """``float``, ``int``, ``duration`` or ``timestamp``."""
        if isinstance(self.value, timedelta | Duration):
            return "duration"
        if isinstance(self.value, datetime):
            return "timestamp"
        return "int" if isinstance(self.value, int) else "float"

    def metadata(self) -> dict[str, Json]:
        """The keys of an audit record: ``metric_point.…``; durations in nanoseconds, timestamps as RFC 3339."""
        value: Json
        if isinstance(self.value, timedelta):
            value = ((self.value.days * 86_400 + self.value.seconds) * 1_000_000 + self.value.microseconds) * 1000
        elif isinstance(self.value, Duration):
            value = self.value.nanoseconds
        else:
            value = _json(self.value)
        return {
            "metric_point.kind": self.kind,
            "metric_point.name": self.name,
            "metric_point.tags": _json(self.tags),
            "metric_point.timestamp": _rfc3339(self.timestamp),
            "metric_point.value": value,
        }

    def log(self, audit: AuditContext) -> str:
        """Write it as a ``metric_point`` record; answers the audit id, which is the point's own where it has one."""
        given = None if self.audit_id is None else str(self.audit_id)
        return audit.log("metric_point", metadata=self.metadata(), audit_id=given)


# --- counting in a DSL ----------------------------------------------------------------------------------------------------


class Histogram:
    """Latencies in the buckets of `BUCKETS_MS`; not thread-safe by itself."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_MS) + 1)
        self.sum = 0.0

    def observe(self, latency_ms: float) -> None:
        """Count one; what is no number is left out."""
        if math.isfinite(latency_ms):
            self.counts[bisect.bisect_left(BUCKETS_MS, latency_ms)] += 1
            self.sum += latency_ms

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, int]]:
        """(upper bound, how many were at most that), the last one ``+Inf``."""
        rows, total = [], 0
        for bound, count in zip([*map(str, BUCKETS_MS), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((f"{bound}.0" if bound != "+Inf" else bound, total))
        return rows


class DslMetrics:
    """
    What a DSL's pieces of work do: latencies, failures, what is under way, and the channel that feeds them. Thread-safe.

    Args:
        high_watermark: depth above which the channel is too full; None: no such bound.
        clock: seconds that only grow; for tests.
    """

    def __init__(self, *, high_watermark: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.high_watermark = high_watermark
        self.latency = Histogram()
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._failed = self._in_flight = self._depth = self._dropped = self._above = 0

    def begin(self) -> None:
        """A piece of work has begun."""
        with self._lock:
            self._in_flight += 1

    def end(self, latency_ms: float, *, ok: bool = True) -> None:
        """A piece of work that `begin` announced is over."""
        with self._lock:
            self._in_flight = max(0, self._in_flight - 1)
            self.latency.observe(latency_ms)
            self._failed += not ok

    def cycle(self, depth: int, *, dropped: int = 0) -> None:
        """One turn of the channel: how many wait now, and how many more were dropped."""
        with self._lock:
            self._depth = depth
            self._dropped += dropped
            high = self.high_watermark is not None and depth > self.high_watermark
            self._above = self._above + 1 if high else 0

    @property
    def error_rate(self) -> float:
        """Failed pieces ÷ ended ones; 0 when none has ended."""
        return self._failed / count if (count := self.latency.count) else 0.0

    @property
    def throughput_per_min(self) -> float:
        """Ended pieces a minute since the beginning."""
        elapsed = self._clock() - self._began
        return self.latency.count * 60 / elapsed if elapsed > 0 else 0.0

    def snapshot(self) -> dict[str, Json]:
        """The contract's names and their values now."""
        with self._lock:
            histogram: dict[str, Json] = {
                "buckets": dict(self.latency.cumulative()),
                "count": self.latency.count,
                "sum_ms": self.latency.sum,
            }
            return {
                "channel.dropped": self._dropped,
                "channel.queue_depth": self._depth,
                "dsl.error_rate": self.error_rate,
                "dsl.in_flight": self._in_flight,
                "dsl.latency": histogram,
                "dsl.throughput": self.throughput_per_min,
            }

    def metrics(self, *, last_audit_id: uuid.UUID | str | None = None) -> RuntimeMetrics:
        """As a record: mean latency, the rest under ``custom``."""
        count = self.latency.count
        return RuntimeMetrics(
            latency_ms=self.latency.sum / count if count else 0.0,
            throughput_per_min=self.throughput_per_min,
            error_rate=self.error_rate,
            last_audit_id=last_audit_id,
            custom={key: value for key, value in self.snapshot().items() if key != "dsl.latency"},
        )

    def check(self) -> tuple[Diagnostic, ...]:
        """
        What is wrong: ``conductor.metrics.error_rate_high`` (Warning) above `ERROR_RATE_HIGH`,
        ``conductor.metrics.queue_depth_high`` (Error) when the channel was above its high watermark for three cycles.
        """
        found = []
        if self.error_rate > ERROR_RATE_HIGH:
            text = f"dsl.error_rate is {self.error_rate:.3g}, above {ERROR_RATE_HIGH}"
            found.append(build("conductor.metrics.error_rate_high", text))
        if self._above >= QUEUE_CYCLES:
            text = f"channel.queue_depth is {self._depth}, above {self.high_watermark} for {self._above} cycles"
            found.append(build("conductor.metrics.queue_depth_high", text))
        return tuple(found)


# --- memory -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GcMetrics:
    """
    The collector's numbers (CONTRACTS 15).

    Attributes:
        heap_bytes: what values of scripts take now.
        heap_limit: most bytes that the context may use; None without a bound.
        last_pause_ms: how long the last piece of collecting held a run up; 0 before the first.
        total_collections: whole cycles.
        policy: the policy that runs.
        profile: the profile that was asked for; None without one.
        roots: values that the host holds.
    """

    heap_bytes: int
    heap_limit: int | None
    last_pause_ms: float
    total_collections: int
    policy: str
    profile: str | None
    roots: int


class RuntimeCapabilities:
    """What a context can say about itself: ``RuntimeCapabilities(context).metrics()`` (guide §10.4)."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def metrics(self) -> GcMetrics:
        """Numbers of the context now; only its own thread may ask."""
        memory, limit = self._context.memory(), self._context.limits.heap_bytes
        return GcMetrics(
            heap_bytes=memory.heap_bytes,
            heap_limit=None if limit >= type(self._context.limits).UNLIMITED else limit,
            last_pause_ms=memory.pause_last_ns / 1e6,
            total_collections=memory.collections,
            policy="Incremental",
            profile=None,
            roots=memory.live_handles,
        )


# --- emitting -----------------------------------------------------------------------------------------------------------------


class JsonLog(Protocol):
    """Takes flat records: `reml_embed.audit.StructuredLog`, or the host's own logger. Raising means: not taken."""

    def json(self, payload: dict[str, Any], /) -> object:
        """Take one record."""


class StageVerifier(Protocol):
    """What is asked of a registry here; `reml_embed.registry.CapabilityRegistry` is one."""

    def verify_capability_stage(self, id: str, requirement: Any, effects: Any = ..., /) -> Any:  # noqa: A002
        """Raise `RemlError` when the capability is missing, at another stage or without an effect."""


_EMIT, _EMIT_STAGE, _EMIT_EFFECTS = "metrics.emit", "exact:stable", ("audit",)


def _refusal(registry: StageVerifier | None) -> Diagnostic | None:
    """
    Why metrics may not be emitted; None: they may. Asked before each emission and never remembered: a capability that is taken away
    counts at once.
    """
    if registry is None:
        from reml_embed.registry import CapabilityRegistry  # noqa: PLC0415  (it imports this package)

        registry = CapabilityRegistry.process()
    try:
        registry.verify_capability_stage(_EMIT, _EMIT_STAGE, _EMIT_EFFECTS)
    except Exception as error:  # noqa: BLE001  (who measures is never stopped)
        actual = getattr(error, "actual_stage", None)
        if not callable(actual):  # not the registry's answer: it could not be asked, or could not record that it was
            return build("core.diagnostics.metric_emit_failed", f"{_EMIT} cannot be verified: {error}")
        stage = actual()
        effects: Json = {
            "capability": _EMIT,
            "required_effects": list(_EMIT_EFFECTS),
            "stage": {"required": _EMIT_STAGE, "actual": None if stage is None else str(stage)},
        }
        return build("effects.contract.stage_mismatch", f"{_EMIT}: {error}", extensions={"effects": effects})
    return None


@dataclass(frozen=True, slots=True)
class Emission:
    """
    What became of one `emit_metrics`.

    Attributes:
        payload: the flat record.
        written: the log took it.
        diagnostics: what went wrong; empty when all is well.
    """

    payload: dict[str, Json]
    written: bool
    diagnostics: tuple[Diagnostic, ...]


def emit_metrics(
    event: str,
    metrics: RuntimeMetrics,
    *,
    log: JsonLog | str | os.PathLike[str] | None = None,
    registry: StageVerifier | None = None,
    exporter: Exporter | None = None,
    sla: Sla | None = None,
    on_diagnostic: Callable[[Diagnostic], object] | None = None,
) -> Emission:
    """
    One line ``{event, audit_id, latency_ms, throughput_per_min, error_rate, custom}`` in the structured log, and a Prometheus sample.

    Never raises because of what the log, the registry or a rule says.

    Args:
        event: what was measured; one of `KNOWN_EVENTS`, or the host's own word.
        metrics: the numbers.
        log: where the line goes: a log, or the path of a file; the environment variable ``REML_EMBED_STRUCTURED_LOG`` names
            one for calls without it, and without that there is only the sample.
        registry: who says whether ``metrics.emit`` may be used; the process's by default.
        exporter: who shows the sample; the process's by default.
        sla: rules to hold the numbers against.
        on_diagnostic: told of each diagnostic as it is found.

    Returns:
        what was written; among its diagnostics ``effects.contract.stage_mismatch`` (then nothing was emitted),
        ``core.diagnostics.metric_emit_failed`` (Warning: the log did not take it, or the registry could not be asked) and ``runtime.sla.violation``.
    """
    payload = metrics.payload(event)
    found: list[Diagnostic] = []
    refused = _refusal(registry)
    written = False
    if refused is not None:
        found.append(refused)
    else:
        target = log if log is not None else os.environ.get("REML_EMBED_STRUCTURED_LOG") or None
        if target is not None:
            written = _write(target, payload, found)
        _exporter(exporter).observe(event, metrics)
        if sla is not None:
            found.extend(sla.observe(event, metrics))
    if on_diagnostic is not None:
        for diagnostic in found:
            on_diagnostic(diagnostic)
    return Emission(payload, written, tuple(found))


def _write(target: JsonLog | str | os.PathLike[str], payload: dict[str, Json], found: list[Diagnostic]) -> bool:
    from reml_embed.audit import StructuredLog  # noqa: PLC0415  (the package imports this module)

    try:
        log = StructuredLog(target) if isinstance(target, str | os.PathLike) else target
        log.json(payload)
    except Exception as error:  # noqa: BLE001  (whatever a host's log raises must not stop who measures)
        text = f"the metrics of {payload['event']} were not written: {error}"
        found.append(build("core.diagnostics.metric_emit_failed", text))
        return False
    return True


def _exporter(given: Exporter | None) -> Exporter:
    from reml_embed._exporter import process_exporter  # noqa: PLC0415  (only who emits pays for it)

    return given or process_exporter()


def render_prometheus(exporter: Exporter | None = None) -> str:
    """
    Everything that was emitted and counted, in the text format 0.0.4 of Prometheus.

    Raises:
        MissingExtraError: prometheus-client is not installed (``pip install 'reml-embed[ops]'``).
    """
    return _exporter(exporter).render()


# --- service levels -----------------------------------------------------------------------------------------------------------


class SlaFileError(RemlError, ValueError):
    """
    A rule file is wrong.

    Attributes:
        path: the file.
        key_path: where in it: ``$.rule[2].max``.
    """

    def __init__(self, path: str, key_path: str, problem: str) -> None:
        super().__init__(f"{path}: {key_path}: {problem}")
        self.path = path
        self.key_path = key_path


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaRule:
    """
    A number that must not be exceeded.

    Attributes:
        metric: ``latency_ms``, ``throughput_per_min``, ``error_rate`` or ``custom.<key>``.
        max: most it may be.
        severity: of the diagnostic: ``error``, ``warning`` or ``info``.
        window: the mean of so many seconds counts; None: every single value.
        event: only for this event; None: for all.
    """

    metric: str
    max: float
    severity: str = "error"
    window: float | None = None
    event: str | None = None


_MOST_SEEN = 10_000  # values of a window; older ones are let go
_SEVERITIES = ("error", "warning", "info")
_SLA_METRICS = ("latency_ms", "throughput_per_min", "error_rate")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_metric(value: Any) -> bool:
    return value in _SLA_METRICS or (isinstance(value, str) and value.startswith("custom."))


#: What a key of a rule must be: the check, and it in words.
_SLA_KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "metric": (_is_metric, f"one of {', '.join(_SLA_METRICS)} or custom.<key>"),
    "max": (_is_number, "a number"),
    "severity": (lambda value: value in _SEVERITIES, f"one of {', '.join(_SEVERITIES)}"),
    "window": (lambda value: value is None or (_is_number(value) and value > 0), "a number of seconds above 0"),
    "event": (lambda value: value is None or isinstance(value, str), "a text"),
}


def _rule(path: str, index: int, row: Any) -> SlaRule:
    place = f"$.rule[{index}]"
    if not isinstance(row, dict):
        raise SlaFileError(path, place, f"expected a table, got {type(row).__name__}")
    for key in row:
        if key not in _SLA_KEYS:
            raise SlaFileError(path, f"{place}.{key}", f"unknown key (known: {', '.join(_SLA_KEYS)})")
    given = {"severity": "error", **row}
    for key, (fits, words) in _SLA_KEYS.items():
        if not fits(given.get(key)):
            raise SlaFileError(path, f"{place}.{key}", f"expected {words}, got {given.get(key)!r}")
    return SlaRule(**given)


class Sla:
    """Rules and what they have seen. Thread-safe; *clock* answers seconds that only grow."""

    def __init__(self, rules: tuple[SlaRule, ...], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, str], deque[tuple[float, float]]] = {}

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.monotonic) -> Sla:
        """
        Rules from a TOML file (``[[rule]]`` tables) or a JSON file (``{"rule": [...]}`` or the list itself).

        Raises:
            SlaFileError: not readable, not TOML or JSON, or a key is unknown or of another kind.
        """
        name = os.fspath(path)
        try:
            text = Path(name).read_text(encoding="utf-8")
            document = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise SlaFileError(name, "$", str(error)) from None
        rows = document.get("rule") if isinstance(document, dict) else document
        if not isinstance(rows, list):
            raise SlaFileError(name, "$.rule", f"expected a list of rules, got {type(rows).__name__}")
        if isinstance(document, dict) and (unknown := set(document) - {"rule"}):
            raise SlaFileError(name, f"$.{min(unknown)}", "unknown key (known: rule)")
        return cls(tuple(_rule(name, index, row) for index, row in enumerate(rows)), clock=clock)

    def observe(self, event: str, metrics: RuntimeMetrics) -> tuple[Diagnostic, ...]:
        """What the numbers of *event* break: ``runtime.sla.violation``, one for each rule."""
        now, found = self._clock(), []
        for index, rule in enumerate(self.rules):
            if rule.event not in (None, event):
                continue
            value = (
                metrics.custom.get(rule.metric.removeprefix("custom."))
                if rule.metric.startswith("custom.")
                else getattr(metrics, rule.metric)
            )
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                continue
            mean = self._mean((index, event), rule, now, float(value))
            if mean > rule.max:
                over = "" if rule.window is None else f" over {rule.window:g} s"
                text = f"{event}: {rule.metric} is {mean:g}{over}, above {rule.max:g}"
                shown: Json = {
                    "event": event,
                    "max": rule.max,
                    "metric": rule.metric,
                    "value": mean,
                    "window": rule.window,
                }
                found.append(build("runtime.sla.violation", text, severity=rule.severity, extensions={"sla": shown}))
        return tuple(found)

    def _mean(self, key: tuple[int, str], rule: SlaRule, now: float, value: float) -> float:
        if rule.window is None:
            return value
        with self._lock:
            seen = self._seen.setdefault(key, deque(maxlen=_MOST_SEEN))
            seen.append((now, value))
            while seen[0][0] < now - rule.window:
                seen.popleft()
            return sum(number for _, number in seen) / len(seen)
