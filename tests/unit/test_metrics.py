"""Runtime metrics (CONTRACTS 13, 2.8): one record, its rules, and what Prometheus and Grafana see of it."""

import datetime
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

import reml_embed as reml
from reml_embed import _exporter, metrics
from reml_embed._exporter import Exporter
from reml_embed.audit import AuditContext, FileSink, StructuredLog, gates
from reml_embed.metrics import (
    DslMetrics,
    MetricPoint,
    RuntimeCapabilities,
    RuntimeMetrics,
    Sla,
    SlaFileError,
    emit_metrics,
)
from reml_embed.registry import CapabilityRegistry

client = pytest.importorskip("prometheus_client.parser", reason="prometheus-client is not installed: no exporter")

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = '{"event":"gpu.kernel","audit_id":"5b0e9f6c-1c80-4f0f-8a42-0fd7f1d9e2c4","latency_ms":3.4,"throughput_per_min":1200.0,"error_rate":0.0,"custom":{"device_id":0,"kernel":"saxpy"}}'  # fmt: skip
GPU = RuntimeMetrics(
    latency_ms=3.4, throughput_per_min=1200, error_rate=0, last_audit_id="5b0e9f6c-1c80-4f0f-8a42-0fd7f1d9e2c4",
    custom={"kernel": "saxpy", "device_id": 0},
)  # fmt: skip


def some(**changes):
    return RuntimeMetrics(**{"latency_ms": 1.0, "throughput_per_min": 2.0, "error_rate": 0.0, **changes})


def codes(emission):
    return [(item.code, item.severity) for item in emission.diagnostics]


def samples(text):
    """Every sample of a scrape: name and labels to value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in client.text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def registry():
    """A registry of its own."""
    return CapabilityRegistry()


@pytest.fixture
def exporter():
    return Exporter(process=False)


# --- the record ----------------------------------------------------------------------------------------------------------------


def test_emit_metrics_writes_exactly_the_line_of_the_contract(tmp_path, exporter, registry):
    log = tmp_path / "metrics.ndjson"
    emission = emit_metrics("gpu.kernel", GPU, log=log, exporter=exporter, registry=registry)
    assert log.read_text(encoding="utf-8") == SAMPLE + "\n"
    assert (emission.written, emission.diagnostics) == (True, ())
    assert list(emission.payload) == ["event", "audit_id", "latency_ms", "throughput_per_min", "error_rate", "custom"]


def test_the_audit_id_is_null_without_one(exporter, registry):
    stream = io.StringIO()
    emit_metrics("reload", some(), log=StructuredLog(stream), exporter=exporter, registry=registry)
    assert (
        stream.getvalue()
        == '{"event":"reload","audit_id":null,"latency_ms":1.0,"throughput_per_min":2.0,"error_rate":0.0,"custom":{}}\n'
    )


def test_what_is_no_number_is_null(exporter, registry):
    metrics_with_holes = some(
        latency_ms=math.nan, throughput_per_min=math.inf, custom={"a": math.nan, "b": [-math.inf, 1]}
    )
    emission = emit_metrics(
        "x", metrics_with_holes, log=StructuredLog(io.StringIO()), exporter=exporter, registry=registry
    )
    assert (emission.payload["latency_ms"], emission.payload["throughput_per_min"]) == (None, None)
    assert emission.payload["custom"] == {"a": None, "b": [None, 1]}
    assert emission.written


def test_custom_values_of_any_kind_are_written(registry, exporter):
    when = datetime.datetime(2026, 3, 2, 8, 15, tzinfo=datetime.UTC)
    custom = {
        "id": uuid.UUID(int=7),
        "when": when,
        "set": {3, 1},
        "tuple": (1, "a"),
        "nested": {"z": 1, "a": object},
        5: None,
    }
    shown = some(custom=custom).payload("x")["custom"]
    assert shown["id"] == str(uuid.UUID(int=7))
    assert shown["when"] == "2026-03-02T08:15:00.000Z"
    assert (shown["set"], shown["tuple"], shown["5"]) == ([1, 3], [1, "a"], None)
    assert list(shown) == sorted(shown)


def test_error_rate_lies_within_0_and_1():
    for rate in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"within 0\.\.1"):
            some(error_rate=rate)
    with pytest.raises(ValueError, match="badly formed"):
        some(last_audit_id="no uuid")
    with pytest.raises(TypeError, match="got int"):
        some(last_audit_id=5)


def test_the_fields_are_those_of_quality_reports():
    """10.6: QualityReport has the fields of RuntimeMetrics."""
    assert RuntimeMetrics.__slots__ == ("latency_ms", "throughput_per_min", "error_rate", "last_audit_id", "custom")


def test_a_written_record_reads_back():
    read = RuntimeMetrics.from_payload(json.loads(SAMPLE))
    assert read == RuntimeMetrics(**{name: getattr(GPU, name) for name in RuntimeMetrics.__slots__})
    assert read.payload("gpu.kernel") == json.loads(SAMPLE)
    for changes, place in (
        ({"latency_ms": "1"}, "latency_ms"),
        ({"error_rate": True}, "error_rate"),
        ({"custom": 5}, "custom"),
    ):
        with pytest.raises(ValueError, match=rf"\$\.{place}"):
            RuntimeMetrics.from_payload(json.loads(SAMPLE) | changes)


def test_the_audit_id_is_that_of_the_log(tmp_path, exporter, registry):
    """`audit_id` matches what command line and editors show: it is the id of an audit record."""
    from reml_embed.audit import AuditContext, FileSink, read

    audit_id = AuditContext(FileSink(tmp_path / "audit.ndjson")).log("custom.kind", {"a": 1})
    emit_metrics("reload", some(last_audit_id=audit_id), log=tmp_path / "m", exporter=exporter, registry=registry)
    assert json.loads((tmp_path / "m").read_text(encoding="utf-8"))["audit_id"] == audit_id
    assert [line.record.audit_id for line in read(tmp_path / "audit.ndjson")] == [audit_id]


# --- what may go wrong ------------------------------------------------------------------------------------------------------------


def test_emitting_verifies_metrics_emit_exactly_stable_with_audit(exporter):
    asked = []

    class Registry:
        def verify_capability_stage(self, *arguments):
            asked.append(arguments)

    emit_metrics("x", some(), exporter=exporter, registry=Registry())
    assert asked == [("metrics.emit", "exact:stable", ("audit",))]


def test_a_refusal_is_a_stage_mismatch_and_nothing_is_emitted(tmp_path, exporter, registry):
    registry.set_stage("metrics.emit", "beta")
    log = tmp_path / "log"
    emission = emit_metrics("x", some(), log=log, exporter=exporter, registry=registry)
    assert codes(emission) == [("effects.contract.stage_mismatch", "error")]
    assert emission.diagnostics[0].extensions["effects"]["stage"] == {"required": "exact:stable", "actual": "beta"}
    assert not emission.written
    assert not log.exists()
    assert 'event="x"' not in exporter.render()
    registry.set_stage("metrics.emit", "stable")  # asked each time: it counts at once
    assert emit_metrics("x", some(), log=log, exporter=exporter, registry=registry).written


def test_a_capability_that_is_missing_or_disabled_is_a_stage_mismatch(exporter, registry):
    registry.disable("metrics.emit")
    assert codes(emit_metrics("x", some(), exporter=exporter, registry=registry)) == [
        ("effects.contract.stage_mismatch", "error")
    ]
    registry = CapabilityRegistry(empty=True)
    assert codes(emit_metrics("x", some(), exporter=exporter, registry=registry)) == [
        ("effects.contract.stage_mismatch", "error")
    ]


def test_a_registry_that_cannot_record_its_check_is_a_warning(exporter):
    class Unrecorded:
        def verify_capability_stage(self, *arguments):
            raise reml.AuditUnavailableError("disk full")

    emission = emit_metrics("x", some(), exporter=exporter, registry=Unrecorded())
    assert codes(emission) == [("core.diagnostics.metric_emit_failed", "warning")]


@pytest.mark.parametrize("where", ["directory", "logger", "read-only"])
def test_a_log_that_fails_is_a_warning_and_never_an_exception(tmp_path, exporter, registry, where):
    class Broken:
        def json(self, payload):
            raise OSError("disk full")

    target = {"directory": tmp_path, "logger": Broken(), "read-only": Path("/proc/version/x")}[where]
    told = []
    emission = emit_metrics("x", some(), log=target, exporter=exporter, registry=registry, on_diagnostic=told.append)
    assert codes(emission) == [("core.diagnostics.metric_emit_failed", "warning")]
    assert told == list(emission.diagnostics)
    assert not emission.written
    assert ("reml_latency_ms_count", (("event", "x"),)) in samples(
        exporter.render()
    )  # the sample is there all the same


def test_the_environment_names_a_structured_log(tmp_path, monkeypatch, exporter, registry):
    assert not emit_metrics("x", some(), exporter=exporter, registry=registry).written
    monkeypatch.setenv("REML_EMBED_STRUCTURED_LOG", str(tmp_path / "log"))
    assert emit_metrics("x", some(), exporter=exporter, registry=registry).written


def test_threads_emit_whole_lines(tmp_path, exporter, registry):
    def work(number):
        for index in range(50):
            emit_metrics(
                f"e{number}",
                some(custom={"i": index, "long": "x" * 500}),
                log=tmp_path / "log",
                exporter=exporter,
                registry=registry,
            )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 400
    found = samples(exporter.render())
    assert sum(value for (name, _), value in found.items() if name == "reml_latency_ms_count") == 400


# --- points and DSLs ------------------------------------------------------------------------------------------------------------


def test_metric_points_have_their_audit_keys():
    when = datetime.datetime(2026, 3, 2, 8, 15, 0, 500_000, tzinfo=datetime.UTC)
    rows = [
        (1.5, "float", 1.5), (3, "int", 3), (datetime.timedelta(days=1, microseconds=1), "duration", 86_400_000_001_000),
        (reml.Duration(7), "duration", 7), (when, "timestamp", "2026-03-02T08:15:00.500Z"),
    ]  # fmt: skip
    for value, kind, shown in rows:
        point = MetricPoint(
            name="queue", value=value, timestamp=when, tags={"b": "2", "a": "1"}, audit_id=uuid.UUID(int=1)
        )
        assert point.metadata() == {
            "metric_point.kind": kind, "metric_point.name": "queue", "metric_point.tags": {"a": "1", "b": "2"},
            "metric_point.timestamp": "2026-03-02T08:15:00.500Z", "metric_point.value": shown,
        }  # fmt: skip
    assert json.loads(json.dumps(MetricPoint(name="n", value=math.nan).metadata()))["metric_point.value"] is None


def test_a_metric_point_becomes_a_record_that_its_gate_accepts(tmp_path):
    audit = AuditContext(FileSink(tmp_path / "log"))
    own = uuid.uuid4()
    assert MetricPoint(name="queue", value=3, tags={"a": "b"}, audit_id=own).log(audit) == str(own)
    MetricPoint(name="queue", value=reml.Duration(5)).log(audit)
    (found,) = gates.evaluate(gates.find(["numeric_time"]), [tmp_path / "log"])
    assert (found.total, found.pass_rate) == (2, 1.0)


def test_dsl_metrics_have_the_names_of_the_contract():
    now = [0.0]
    dsl = DslMetrics(clock=lambda: now[0])
    for _ in range(3):
        dsl.begin()
    dsl.end(2.0)
    dsl.end(30.0, ok=False)
    dsl.cycle(5, dropped=2)
    now[0] = 30.0
    shown = dsl.snapshot()
    assert {key: value for key, value in shown.items() if key != "dsl.latency"} == {
        "channel.dropped": 2, "channel.queue_depth": 5, "dsl.error_rate": 0.5, "dsl.in_flight": 1, "dsl.throughput": 4.0,
    }  # fmt: skip
    assert shown["dsl.latency"]["count"] == 2
    assert shown["dsl.latency"]["buckets"]["2.0"] == 1  # a bound belongs to its bucket
    assert shown["dsl.latency"]["buckets"]["50.0"] == 2
    assert dsl.metrics().latency_ms == 16.0
    json.dumps(dsl.metrics().payload("dsl"))


def test_an_error_rate_above_5_percent_warns():
    dsl = DslMetrics()
    for number in range(100):
        dsl.begin()
        dsl.end(1.0, ok=number >= 5)
    assert dsl.check() == ()  # exactly 0.05
    dsl.end(1.0, ok=False)
    assert [(item.code, item.severity) for item in dsl.check()] == [("conductor.metrics.error_rate_high", "warning")]


def test_a_queue_above_its_high_watermark_for_three_cycles_is_an_error():
    dsl = DslMetrics(high_watermark=10)
    for depths, errors in (([11, 11], 0), ([11], 1), ([12], 1), ([10], 0), ([11, 11, 10, 11, 11], 0), ([11], 1)):
        for depth in depths:
            dsl.cycle(depth)
        assert [item.severity for item in dsl.check()] == ["error"] * errors, depths
    free = DslMetrics()
    for _ in range(9):
        free.cycle(10**9)
    assert free.check() == ()


# --- service levels ---------------------------------------------------------------------------------------------------------------


def test_a_broken_rule_is_a_violation(tmp_path, exporter, registry):
    (tmp_path / "sla.toml").write_text(
        '[[rule]]\nmetric = "latency_ms"\nmax = 5\nseverity = "warning"\nevent = "gpu.kernel"\n\n[[rule]]\nmetric = "custom.temperature"\nmax = 90\n',
        encoding="utf-8",
    )
    sla = Sla.load(tmp_path / "sla.toml")

    def emit(event, **more):
        return codes(emit_metrics(event, some(**more), exporter=exporter, registry=registry, sla=sla))

    assert emit("gpu.kernel", latency_ms=5.0) == []
    assert emit("gpu.kernel", latency_ms=5.1) == [("runtime.sla.violation", "warning")]
    assert emit("other", latency_ms=99.0) == []
    assert emit("other", custom={"temperature": 91}) == [("runtime.sla.violation", "error")]
    assert emit("other", custom={"temperature": "hot"}) == []


def test_a_window_judges_the_mean():
    now = [0.0]
    sla = Sla((metrics.SlaRule(metric="latency_ms", max=10, window=60),), clock=lambda: now[0])
    for at, latency, broken in ((0, 15.0, 1), (10, 1.0, 0), (59, 30.0, 1), (61, 1.0, 1), (200, 9.0, 0)):
        now[0] = at
        assert len(sla.observe("x", some(latency_ms=latency))) == broken, at


@pytest.mark.parametrize(
    ("text", "key_path", "says"),
    [
        ("[[rule]]\nmax = 1\n", "$.rule[0].metric", "got None"), ('[[rule]]\nmetric = "latency"\nmax = 1\n', "$.rule[0].metric", "'latency'"),
        ('[[rule]]\nmetric = "latency_ms"\n', "$.rule[0].max", "a number"), ('[[rule]]\nmetric = "latency_ms"\nmax = "1"\n', "$.rule[0].max", "'1'"),
        ('[[rule]]\nmetric = "latency_ms"\nmax = nan\n', "$.rule[0].max", "nan"),
        ('[[rule]]\nmetric = "latency_ms"\nmax = 1\nwindow = 0\n', "$.rule[0].window", "above 0"),
        ('[[rule]]\nmetric = "latency_ms"\nmax = 1\nseverity = "fatal"\n', "$.rule[0].severity", "'fatal'"),
        ('[[rule]]\nmetric = "latency_ms"\nmax = 1\nmaxx = 1\n', "$.rule[0].maxx", "unknown key"), ("rules = 1\n", "$.rule", "a list"),
        ("rule = []\nx = 1\n", "$.x", "unknown key"), ("rule = [1]\n", "$.rule[0]", "a table"), ("[[", "$", "nvalid"),
    ],
)  # fmt: skip
def test_a_wrong_rule_file_names_file_and_key_path(tmp_path, text, key_path, says):
    path = tmp_path / "sla.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SlaFileError) as caught:
        Sla.load(path)
    assert caught.value.key_path == key_path
    assert str(caught.value).startswith(f"{path}: {key_path}: ")
    assert says in str(caught.value)


def test_rules_may_be_json_and_a_missing_file_is_named(tmp_path):
    (tmp_path / "sla.json").write_text('[{"metric": "error_rate", "max": 0.1}]', encoding="utf-8")
    assert Sla.load(tmp_path / "sla.json").rules == (metrics.SlaRule(metric="error_rate", max=0.1),)
    with pytest.raises(SlaFileError, match="No such file"):
        Sla.load(tmp_path / "none.toml")


# --- memory -----------------------------------------------------------------------------------------------------------------------


def test_runtime_capabilities_metrics_have_the_fields_of_the_collector():
    with reml.Context(limits=reml.Limits(heap_bytes=64 << 20)) as context:
        run = context.load("fn work(n: Int) -> Int = (0..n).iter().map(|i| to_string(i)).collect_list().len()\n")[
            "work"
        ]
        capabilities = RuntimeCapabilities(context)
        before = capabilities.metrics()
        assert before.heap_limit == 64 << 20
        assert run(50_000) == 50_000
        grown = capabilities.metrics()
        context.collect()
        after = capabilities.metrics()
        assert after.total_collections > before.total_collections
        assert after.last_pause_ms > 0
        assert after.heap_bytes < grown.heap_bytes < context.memory().peak_bytes
        assert (after.policy, after.profile) == ("Incremental", None)
        assert context.memory().pause_last_ns / 1e6 == after.last_pause_ms
    with reml.Context(limits=reml.Limits(heap_bytes=reml.Limits.UNLIMITED)) as context:
        assert RuntimeCapabilities(context).metrics().heap_limit is None


# --- Prometheus ---------------------------------------------------------------------------------------------------------------------


def full():
    """An exporter that has seen one of everything."""
    exporter = Exporter(process=False)
    exporter.observe("gpu.kernel", GPU)
    exporter.mailbox("worker-7", 12)
    exporter.stream_lag(3.5)
    with reml.Context() as context:
        context.collect()
        exporter.watch(context)
    bridge = {"status": "ok", "platform": "linux-x86_64", "ownership": "borrowed"}
    exporter._numbers.record(
        _exporter.Record({"envelope": {"metadata": {"event.kind": "ffi.call", "bridge": bridge}}}), "log"
    )
    start = {"event.kind": "container.start", "container.profile": "serverless", "target_config_errors": 0}
    exporter._numbers.record(_exporter.Record({"envelope": {"metadata": start}}), "log")
    return exporter


def test_every_metric_of_the_contract_is_exported():
    names = {(name, tuple(label for label, _ in labels)) for name, labels in samples(full().render())}
    assert names == {
        ("reml_latency_ms_bucket", ("event", "le")), ("reml_latency_ms_count", ("event",)), ("reml_latency_ms_sum", ("event",)),
        ("reml_throughput_per_min", ("event",)), ("reml_error_rate", ("event",)), ("reml_errors_total", ()), ("reml_gc_heap_bytes", ()),
        ("reml_gc_pause_ms", ()), ("reml_gc_collections_total", ("policy",)), ("reml_ffi_pass_rate", ("platform",)),
        ("reml_ffi_calls_total", ("ownership",)), ("reml_mailbox_depth", ("actor",)), ("reml_stream_lag_ms", ()),
        ("reml_custom", ("event", "key")), ("reml_target_config_errors", ("target",)),
    }  # fmt: skip
    assert {name for name, _ in names} == _exporter.sample_names()


def test_the_latency_histogram_has_the_buckets_of_the_contract(exporter):
    for latency in (0.5, 1.0, 3.0, 100.0, 5000.0, math.nan):
        exporter.observe("e", some(latency_ms=latency))
    found = {
        dict(labels)["le"]: value
        for (name, labels), value in samples(exporter.render()).items()
        if name == "reml_latency_ms_bucket"
    }
    assert list(map(float, found)) == [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, math.inf]
    assert list(found.values()) == [2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5]


def test_numeric_custom_entries_become_samples_and_others_are_ignored(exporter):
    exporter.observe("e", some(custom={"i": 2, "f": 1.5, "s": "x", "b": True, "n": None, "nan": math.nan}))
    found = {
        dict(labels)["key"]: value
        for (name, labels), value in samples(exporter.render()).items()
        if name == "reml_custom"
    }
    assert found == {"f": 1.5, "i": 2.0}


def test_labels_cannot_break_the_text(exporter):
    exporter.observe('a"\n\\{} reml_fake 1', some())
    assert ("reml_error_rate", (("event", 'a"\n\\{} reml_fake 1'),)) in samples(exporter.render())


def test_the_counters_of_the_process_are_shown(python):
    program = """
from reml_embed.metrics import render_prometheus
with reml.Context() as context:
    module = context.load("fn add(a: Int, b: Int) -> Int = a / b")
    module["add"](1, 1)
    try: module["add"](1, 0)
    except reml.RunError: pass
print(render_prometheus())
print("the rate", reml.process_metrics().pass_rate)
"""
    out = python(program).stdout
    text, _, rate = out.partition("the rate ")
    found = samples(text)
    assert [value for (name, _), value in found.items() if name == "reml_ffi_pass_rate"] == [float(rate)] == [0.5]
    assert found["reml_errors_total", ()] == 1
    assert sum(value for (name, _), value in found.items() if name == "reml_ffi_calls_total") == 2


def test_emit_metrics_shows_up_in_render_prometheus(python):
    python("""
from reml_embed.metrics import RuntimeMetrics, emit_metrics, render_prometheus
emit_metrics("reload", RuntimeMetrics(latency_ms=7, throughput_per_min=1, error_rate=0.25))
assert 'reml_error_rate{event="reload"} 0.25' in render_prometheus()
""")


def scrape(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_a_scrape_over_http(exporter):
    exporter.observe("reload", some(latency_ms=3))
    with exporter.serve() as server:
        kind, text = scrape(server.url)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        assert samples(text)["reml_latency_ms_sum", (("event", "reload"),)] == 3
        exporter.observe("reload", some(latency_ms=4))
        assert (
            samples(scrape(server.url, Accept="application/openmetrics-text")[1])[
                "reml_latency_ms_count", (("event", "reload"),)
            ]
            == 2
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            scrape(server.url.replace("/metrics", "/other"))
        assert caught.value.code == 404
        caught.value.close()
    server.close()
    with pytest.raises(urllib.error.URLError):
        scrape(server.url)


def test_many_scrapes_at_once(exporter):
    found = []
    with exporter.serve() as server:

        def work():
            for number in range(10):
                exporter.observe("e", some(latency_ms=number))
                found.append(samples(scrape(server.url)[1])["reml_latency_ms_count", (("event", "e"),)])

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 60
    assert max(found) == 60


def test_logs_are_read_along(tmp_path):
    """Source: process counters and given logs."""
    log, flat = tmp_path / "audit.ndjson", tmp_path / "metrics.ndjson"
    exporter = Exporter([log, flat], process=False)
    assert samples(exporter.render()) == {("reml_errors_total", ()): 0}
    with reml.Context(audit=log) as context:
        module = context.load('fn add(a: Int, b: Int) -> Int = a / b\nfn text() -> Str = "a"')
        for _ in range(50):
            module["add"](1, 1)
        with pytest.raises(reml.RunError):
            module["add"](1, 0)
        module["text"]()
        context.drain()
        counters = context.metrics()
    flat.write_text(SAMPLE + "\n" + SAMPLE[:40], encoding="utf-8")
    found = samples(exporter.render())
    rates = [value for (name, _), value in found.items() if name == "reml_ffi_pass_rate"]
    assert rates == [pytest.approx(counters.pass_rate, abs=1e-9)]
    assert (
        sum(value for (name, _), value in found.items() if name == "reml_ffi_calls_total") == counters.total_calls == 52
    )
    assert found["reml_errors_total", ()] == 1
    assert found["reml_latency_ms_count", (("event", "gpu.kernel"),)] == 1
    with flat.open("a", encoding="utf-8") as file:
        file.write(SAMPLE[40:] + "\n")
    assert samples(exporter.render())["reml_latency_ms_count", (("event", "gpu.kernel"),)] == 2
    flat.rename(tmp_path / "old")  # rotated
    flat.write_text(
        SAMPLE + "\nnonsense\n[]\n" + '{"event":"x","latency_ms":"a","throughput_per_min":1,"error_rate":7}\n',
        encoding="utf-8",
    )
    assert samples(exporter.render())["reml_latency_ms_count", (("event", "gpu.kernel"),)] == 3


def test_gc_and_mailboxes_come_from_logs(tmp_path):
    stats = {"event": "gc.stats", "policy": "Generational", "profile": "ide", "heap_bytes": 5, "heap_limit": None, "last_pause_ms": 1.9, "total_collections": 4, "pause_target_ms": 8.0, "run_id": "a", "timestamp": "2026-03-02T08:45:00.500Z"}  # fmt: skip
    mailbox = {
        "envelope": {"metadata": {"event.kind": "async.actor.send", "async.actor.id": "w", "async.mailbox.depth": 9}}
    }
    stream = {"envelope": {"metadata": {"event.kind": "parser.stream.progress", "stream.lag_nanos": 2_500_000}}}
    rows = [stats, {**stats, "total_collections": 5}, {**stats, "run_id": "b", "total_collections": 2}, mailbox, stream]
    (tmp_path / "log").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = samples(Exporter([tmp_path / "log"], process=False).render())
    assert found["reml_gc_collections_total", (("policy", "Generational"),)] == 7
    assert (found["reml_gc_heap_bytes", ()], found["reml_gc_pause_ms", ()]) == (10, 1.9)
    assert found["reml_mailbox_depth", (("actor", "w"),)] == 9
    assert found["reml_stream_lag_ms", ()] == 2.5


def test_the_hosts_own_registry_is_left_alone(exporter):
    import prometheus_client

    before = prometheus_client.generate_latest(prometheus_client.REGISTRY)
    exporter.observe("e", some())
    exporter.render()
    assert b"reml_" not in prometheus_client.generate_latest(prometheus_client.REGISTRY)
    assert b"reml_" not in before


def test_without_prometheus_client_the_extra_is_named(python):
    python("""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "prometheus_client":
            raise ModuleNotFoundError("hidden", name=name)
sys.meta_path.insert(0, Hidden())
from reml_embed.metrics import RuntimeMetrics, emit_metrics, render_prometheus
assert emit_metrics("x", RuntimeMetrics(latency_ms=1, throughput_per_min=1, error_rate=0)).diagnostics == ()
try:
    render_prometheus()
except ImportError as error:
    assert "reml-embed[ops]" in str(error), error
else:
    raise AssertionError
""")


def test_the_command_serves_until_it_is_stopped(tmp_path):
    (tmp_path / "log").write_text(SAMPLE + "\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-m", "reml_embed.cli", "metrics", "serve", "--port", "0", "--log", "log"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url), process.stderr.read()
            assert samples(scrape(url)[1])["reml_error_rate", (("event", "gpu.kernel"),)] == 0
            taken = subprocess.run([*words[:-4], "--port", url.split(":")[2].split("/")[0]], env=environment, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
            assert taken.returncode == 2
            assert "Traceback" not in taken.stderr
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


# --- Grafana ------------------------------------------------------------------------------------------------------------------------


def test_the_dashboard_names_only_metrics_that_are_exported():
    board = json.loads((ROOT / "dashboards" / "reml-embed.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    used = {name for query in queries for name in re.findall(r"\breml_\w+", query)}
    assert used <= _exporter.sample_names()
    families = {family.name for family in _exporter.FAMILIES}
    assert {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in used} == families  # and none is left out
    for query in queries:
        assert query.count("(") == query.count(")")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_a_scrape_stays_quick_while_a_log_grows(tmp_path):
    (tmp_path / "log").write_text((SAMPLE + "\n") * 20_000, encoding="utf-8")
    exporter = Exporter([tmp_path / "log"], process=False)
    exporter.render()
    began = time.monotonic()
    for _ in range(20):
        exporter.render()
    assert time.monotonic() - began < 5  # what was read once is not read again


def test_the_page_names_every_metric_and_its_example_runs(python, tmp_path):
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert _exporter.table() in page
    program, printed = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL).groups()
    assert python(program).stdout == printed
    assert re.search(r"```json\n(.*?)```", page, re.DOTALL).group(1) == (tmp_path / "metrics.ndjson").read_text(
        encoding="utf-8"
    )
    (tmp_path / "sla.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL).group(1), encoding="utf-8")
    assert Sla.load(tmp_path / "sla.toml").rules[0].window == 60
