"""
Metrics for Prometheus (CONTRACTS 13): what was emitted in this process, the process's counters, and what given logs tell.

Comes in: `RuntimeMetrics`, numbers of contexts, logs that grow. Goes out: the text format 0.0.4, as text and over HTTP. Nothing is
registered with prometheus-client's own registry: a host may have one.
"""

from __future__ import annotations

import http.server
import importlib
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from reml_embed import metrics as shapes
from reml_embed.audit.gates import platform_id
from reml_embed.audit.records import LINE_BYTES_MOST, Record, lookup, parse_line
from reml_embed.errors import require

if TYPE_CHECKING:
    from reml_embed.context import Context

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name without ``_total``, what it is, what it says, and the label that tells its samples apart."""

    name: str
    type: str
    text: str
    labels: tuple[str, ...] = ()


#: Every metric there is; the dashboard and the documentation name no other.
FAMILIES: tuple[Family, ...] = (
    Family("reml_latency_ms", "histogram", "Latency of an event, in milliseconds.", ("event",)),
    Family("reml_throughput_per_min", "gauge", "How many a minute, as last emitted.", ("event",)),
    Family("reml_error_rate", "gauge", "Share of failures, as last emitted.", ("event",)),
    Family("reml_custom", "gauge", "A number of the host's own, as last emitted.", ("event", "key")),
    Family("reml_errors", "counter", "Crossings that failed, and records of severity error."),
    Family("reml_gc_heap_bytes", "gauge", "What values of scripts take."),
    Family("reml_gc_pause_ms", "gauge", "The last pause of the collector, in milliseconds."),
    Family("reml_gc_collections", "counter", "Whole cycles of the collector.", ("policy",)),
    Family("reml_ffi_pass_rate", "gauge", "Crossings that went well, divided by all.", ("platform",)),
    Family("reml_ffi_calls", "counter", "Crossings, by what became of the value.", ("ownership",)),
    Family("reml_mailbox_depth", "gauge", "Messages that wait.", ("actor",)),
    Family("reml_stream_lag_ms", "gauge", "How far a stream is behind, in milliseconds."),
    Family("reml_target_config_errors", "gauge", "Errors about the target in the last test run or start.", ("target",)),
)


def table() -> str:
    """Rows of the table in ``docs/metrics.md``."""
    rows = ""
    for family in FAMILIES:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows += f"| `{name}` | {family.type} | {labels} | {family.text} |\n"
    return rows


def sample_names() -> frozenset[str]:
    """Names that a query may use."""
    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}
    return frozenset(family.name + suffix for family in FAMILIES for suffix in suffixes[family.type])


@dataclass(slots=True)
class Gc:
    """The collector's numbers of one context, or of one log."""

    heap_bytes: float = 0
    pause_ms: float = 0
    collections: float = 0
    policy: str = "Incremental"


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


class Numbers:
    """What was seen, by metric; the one place where records become numbers."""

    #: Records whose metadata say how many messages wait: (actor, depth).
    MAILBOXES: ClassVar = (("async.actor.id", "async.mailbox.depth"), ("dsl.actor.id", "dsl.mailbox.depth"))

    #: Records that tell of a target: (errors, name of it).
    TARGETS: ClassVar = {
        "reml.test": ("diagnostics.target_config_errors", "target"),
        "container.start": ("target_config_errors", "container.profile"),
    }

    def __init__(self) -> None:
        self.latency: defaultdict[str, shapes.Histogram] = defaultdict(shapes.Histogram)
        self.gauges: dict[tuple[str, tuple[str, ...]], float] = {}
        self.errors = 0
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.platforms: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.gc: dict[str, Gc] = {}

    def observe(self, event: str, metrics: shapes.RuntimeMetrics) -> None:
        """Count one emission."""
        self.latency[event].observe(metrics.latency_ms)
        self.gauge("reml_throughput_per_min", metrics.throughput_per_min, event)
        self.gauge("reml_error_rate", metrics.error_rate, event)
        for key, value in metrics.custom.items():
            self.gauge("reml_custom", value, event, str(key))

    def gauge(self, name: str, value: Any, *labels: str) -> None:
        """Set a gauge; what is no finite number is left out."""
        number = _finite(value)
        if number is not None:
            self.gauges[name, labels] = number

    def record(self, record: Record, source: str) -> None:
        """Take in a record of a log; unknown kinds say nothing."""
        kind = record.kind
        if record.is_flat and shapes.is_metrics(record.data):
            try:
                self.observe(str(kind), shapes.RuntimeMetrics.from_payload(record.data))
            except (ValueError, TypeError, AttributeError):
                return
        elif kind == "ffi.call":
            self._crossing(record)
        elif kind == "gc.stats":
            self._collection(record, source)
        elif record.severity == "error":
            self.errors += 1
        if kind in self.TARGETS:
            figure, name = self.TARGETS[kind]
            self.gauge("reml_target_config_errors", lookup(record, figure), str(lookup(record, name, "unknown")))
        for actor, depth in self.MAILBOXES:
            if (name := lookup(record, actor)) is not None:
                self.gauge("reml_mailbox_depth", lookup(record, depth), str(name))
        lag = _finite(lookup(record, "stream.lag_nanos", lookup(record, "lag_nanos")))
        if lag is not None:
            self.gauge("reml_stream_lag_ms", lag / 1e6)

    def _crossing(self, record: Record) -> None:
        if lookup(record, "ffi.status") == "stubbed":
            return
        count, failures = lookup(record, "ffi.count", 1), lookup(record, "ffi.failures", 0)
        count = count if isinstance(count, int) and count > 0 else 1
        failures = failures if isinstance(failures, int) else 0
        bad = failures or (0 if lookup(record, "bridge.status") == "ok" else count)
        self.errors += bad
        self.calls[str(lookup(record, "bridge.ownership", "none"))] += count
        totals = self.platforms[str(lookup(record, "bridge.platform", "unknown"))]
        totals[0] += count
        totals[1] += count - bad

    def _collection(self, record: Record, source: str) -> None:
        # A session counts for itself; its last record has the whole of it.
        session = f"{source}#{lookup(record, 'run_id', '')}#{lookup(record, 'policy', '')}"
        self.gc[session] = Gc(
            _finite(lookup(record, "heap_bytes")) or 0.0,
            _finite(lookup(record, "last_pause_ms")) or 0.0,
            _finite(lookup(record, "total_collections")) or 0.0,
            str(lookup(record, "policy", "unknown")),
        )


class Follower:
    """
    A log that somebody else writes: each `poll` takes what was added. A file that was rotated away or cut is read from its beginning; what
    is missing, torn or no record says nothing.
    """

    MOST_BYTES: ClassVar = 64 << 20  # taken at once: a scrape must come to an end

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._at = 0
        self._file: tuple[int, int] | None = None

    def poll(self) -> Iterator[Record]:
        """Records since the last time."""
        try:
            with Path(self.path).open("rb") as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino)
                if identity != self._file or status.st_size < self._at:
                    self._file, self._at = identity, 0
                file.seek(self._at)
                data = file.read(self.MOST_BYTES)
        except OSError:
            return
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) > LINE_BYTES_MOST:
            end = len(data)  # no line is so long
        self._at += end
        for line in data[:end].split(b"\n"):
            record, _ = parse_line(line) if line.strip() else (None, None)
            if record is not None:
                yield record


class Exporter:
    """
    Shows numbers to Prometheus. Thread-safe.

    Args:
        logs: audit and structured logs to read along.
        process: show the counters of this process, too.
    """

    def __init__(self, logs: Iterable[str | os.PathLike[str]] = (), *, process: bool = True) -> None:
        self._numbers = Numbers()
        self._followers = [Follower(path) for path in logs]
        self._process = process
        self._lock = threading.Lock()

    def observe(self, event: str, metrics: shapes.RuntimeMetrics) -> None:
        """A sample of what was emitted; `reml_embed.metrics.emit_metrics` calls it."""
        with self._lock:
            self._numbers.observe(event, metrics)

    def watch(self, context: Context, name: str = "") -> None:
        """Take the collector's numbers of a context, from its own thread; *name* tells contexts apart."""
        found = shapes.RuntimeCapabilities(context).metrics()
        with self._lock:
            self._numbers.gc[f"context#{name or id(context)}"] = Gc(
                found.heap_bytes, found.last_pause_ms, found.total_collections, found.policy
            )

    def mailbox(self, actor: str, depth: int) -> None:
        """How many messages wait for *actor*."""
        with self._lock:
            self._numbers.gauge("reml_mailbox_depth", depth, actor)

    def stream_lag(self, lag_ms: float) -> None:
        """How far a stream is behind."""
        with self._lock:
            self._numbers.gauge("reml_stream_lag_ms", lag_ms)

    def _poll(self) -> None:
        for follower in self._followers:
            for record in follower.poll():
                self._numbers.record(record, follower.path)

    def samples(self) -> dict[str, list[tuple[tuple[str, ...], Any]]]:
        """(label values, value) of each family, sorted; of a histogram the value is a `Histogram`."""
        with self._lock:
            self._poll()
            numbers = self._numbers
            rows: defaultdict[str, list[tuple[tuple[str, ...], Any]]] = defaultdict(list)
            for event, histogram in sorted(numbers.latency.items()):
                copy = shapes.Histogram()
                copy.counts, copy.sum = list(histogram.counts), histogram.sum
                rows["reml_latency_ms"].append(((event,), copy))
            for (name, labels), value in sorted(numbers.gauges.items()):
                rows[name].append((labels, value))
            errors, calls, platforms = (
                numbers.errors,
                dict(numbers.calls),
                {k: tuple(v) for k, v in numbers.platforms.items()},
            )
            gc = list(numbers.gc.values())
        if self._process:
            errors += _add_process(calls, platforms)
        rows["reml_errors"].append(((), errors))
        rows["reml_ffi_calls"] += [((ownership,), count) for ownership, count in sorted(calls.items())]
        rows["reml_ffi_pass_rate"] += [
            ((platform,), good / total if total else 1.0) for platform, (total, good) in sorted(platforms.items())
        ]
        _add_gc(rows, gc)
        return rows

    def collect(self) -> Iterator[Any]:
        """Families as prometheus-client wants them; a `CollectorRegistry` calls it."""
        core = importlib.import_module("prometheus_client.core")
        made = {
            "histogram": core.HistogramMetricFamily,
            "gauge": core.GaugeMetricFamily,
            "counter": core.CounterMetricFamily,
        }
        rows = self.samples()
        for family in FAMILIES:
            metric = made[family.type](family.name, family.text, labels=family.labels)
            for labels, value in rows.get(family.name, ()):
                if isinstance(value, shapes.Histogram):
                    metric.add_metric(labels, value.cumulative(), value.sum)
                else:
                    metric.add_metric(labels, value)
            yield metric

    def render(self) -> str:
        """
        The text format 0.0.4.

        Raises:
            MissingExtraError: prometheus-client is not installed.
        """
        client = require("prometheus_client", "ops")
        registry = client.CollectorRegistry()
        registry.register(self)
        text: bytes = client.generate_latest(registry)
        return text.decode()

    def describe(self) -> list[Any]:
        """Nothing: so that registering does not collect."""
        return []

    def serve(self, port: int = 0, address: str = "127.0.0.1") -> Server:
        """
        Answer scrapes on ``http://address:port/metrics`` from a thread of its own until `Server.close`.

        Raises:
            OSError: the port is taken. MissingExtraError: prometheus-client is not installed.
        """
        require("prometheus_client", "ops")
        return Server(self, address, port)


def _add_process(calls: dict[str, int], platforms: dict[str, tuple[int, ...]]) -> int:
    """Put the process's counters in; answers its failures."""
    counters = shapes.process_metrics()
    if not counters.total_calls:
        return 0
    lent, given = counters.borrowed_results, counters.transferred_results
    shares = {"borrowed": lent, "transferred": given, "none": max(0, counters.total_calls - lent - given)}
    for ownership, count in shares.items():
        calls[ownership] = calls.get(ownership, 0) + count
    platform = platform_id()
    total, good = platforms.get(platform, (0, 0))
    platforms[platform] = (total + counters.total_calls, good + counters.success_calls)
    return counters.total_calls - counters.success_calls


def _add_gc(rows: Mapping[str, list[tuple[tuple[str, ...], Any]]], sessions: list[Gc]) -> None:
    if not sessions:
        return
    rows["reml_gc_heap_bytes"].append(((), sum(session.heap_bytes for session in sessions)))
    rows["reml_gc_pause_ms"].append(((), max(session.pause_ms for session in sessions)))
    totals: dict[str, float] = {}
    for session in sessions:
        totals[session.policy] = totals.get(session.policy, 0) + session.collections
    rows["reml_gc_collections"] += [((policy,), count) for policy, count in sorted(totals.items())]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Service
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer a scrape."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, status, kind = self.server.exporter.render().encode(), 200, CONTENT_TYPE
        elif path == "/":
            body, status, kind = b"reml-embed: see /metrics\n", 200, "text/plain; charset=utf-8"
        else:
            body, status, kind = b"not found\n", 404, "text/plain; charset=utf-8"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library does not print)
        pass


class _Service(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, exporter: Exporter, address: str, port: int) -> None:
        self.exporter = exporter
        super().__init__((address, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's business."""


class Server:
    """A running exporter; ``with`` closes it."""

    def __init__(self, exporter: Exporter, address: str, port: int) -> None:
        self._service = _Service(exporter, address, port)
        self.port: int = self._service.server_address[1]
        self.url = f"http://{address}:{self.port}/metrics"
        self._thread = threading.Thread(target=self._service.serve_forever, name="reml-metrics", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the thread ends, or a signal interrupts."""
        while self._thread.is_alive():
            time.sleep(0.5)

    def close(self) -> None:
        """Stop answering; closing twice is fine."""
        self._service.shutdown()
        self._service.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_process: Exporter | None = None
_process_lock = threading.Lock()


def process_exporter() -> Exporter:
    """The exporter of this process: it shows what is emitted without naming another one."""
    global _process  # noqa: PLW0603  (one per process, as the counters it shows)
    with _process_lock:
        if _process is None:
            _process = Exporter()
        return _process
