"""Gates (CONTRACTS 3.8, 1.7, 2.8, 6.5, 7.6, 14.4, 15): what they divide by what, what they print, when they fail."""

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

import reml_embed as reml
from reml_embed import metrics
from reml_embed.audit import AuditContext, FileSink, gates, summaries
from reml_embed.registry.stage import StageRequirement

ROOT = Path(__file__).resolve().parents[2]
REML = [sys.executable, "-m", "reml_embed.cli"]
WHEN = "2026-03-02T08:15:00Z"
BRIDGE = {
    "status": "ok", "target": "x86_64-unknown-linux-gnu", "arch": "x86_64", "platform": "linux-x86_64", "abi": "system_v",
    "expected_abi": "system_v", "ownership": "borrowed", "extern_symbol": "total", "audit_pass_rate": 1.0,
    "return": {"ownership": "borrowed", "status": "wrap", "wrap": "wrap_foreign_ptr", "release_handler": "none", "rc_adjustment": "none"},
}  # fmt: skip


def record(kind, metadata=None, *, category=None, payload=None, audit_id=None, extensions=None):
    members = {"event.kind": kind, **(metadata or {})}
    if payload is not None:
        members["event"] = {"event": kind, **payload}
    data = {"timestamp": WHEN, "envelope": {"audit_id": audit_id or str(uuid.uuid4()), "metadata": members}}
    if category is not None:
        data["category"] = category
    if extensions is not None:
        data["extensions"] = extensions
    return data


def crossing(platform="linux-x86_64", status="ok", **changes):
    bridge = {**BRIDGE, "return": dict(BRIDGE["return"]), "platform": platform, "status": status}
    more = {key: bridge.pop(key) if value is None else value for key, value in changes.items() if key in BRIDGE}
    bridge |= {key: value for key, value in more.items() if changes[key] is not None}
    rest = {key: value for key, value in changes.items() if key not in BRIDGE}
    ffi = {"event": "ffi.call", "library": "l", "symbol": "s", "effect_flags": ["ffi"], "status": "success"}
    return record("ffi.call", {"bridge": bridge, "ffi": ffi, **rest}, category="ffi.bridge")


@pytest.fixture
def log(tmp_path):
    """Write records as a log."""

    def write(*records, name="log.ndjson"):
        path = tmp_path / name
        path.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records), encoding="utf-8")
        return path

    return write


def judge(path, section, scenario=None, **options):
    paths = path if isinstance(path, list) else [path]
    results = gates.evaluate(gates.find([section], scenario), paths, **options)
    assert len(results) == 1, results
    return results[0]


def both_ways(path_good, path_bad, section, scenario=None, *, missing, **options):
    """The good log passes, the bad one fails and says why."""
    good, bad = judge(path_good, section, scenario, **options), judge(path_bad, section, scenario, **options)
    assert (good.total, good.failed, good.pass_rate, good.failures) == (good.total, 0, 1.0, [])
    assert good.total
    assert good.ok
    assert bad.failed == 1
    assert not bad.ok
    assert bad.failures[0]["missing"] == missing
    return good, bad


def run(*arguments, cwd, code=0):
    done = subprocess.run(
        [*REML, "audit", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


# --- 2.8: the bridge -----------------------------------------------------------------------------------------------------


def test_ffi_bridge_divides_whole_good_records_by_all(log):
    _, bad = both_ways(
        log(crossing(), crossing(), name="a"), log(crossing(), crossing(status="error"), name="b"), "ffi_bridge",
        missing=["bridge.status=ok"],
    )  # fmt: skip
    assert bad.pass_rate == 0.5
    assert bad.failures == [{"file": bad.sources[0], "index": 1, "missing": ["bridge.status=ok"]}]


@pytest.mark.parametrize("key", [key for key in gates.BRIDGE_KEYS if not key.startswith("bridge.return.")])
def test_every_bridge_key_is_required(log, key):
    found = judge(log(crossing(**{key.removeprefix("bridge."): None})), "ffi_bridge", platforms=[])
    assert found.failures[0]["missing"][0] == key
    assert found.pass_rate == 0.0


@pytest.mark.parametrize("key", ["ownership", "status", "wrap", "release_handler", "rc_adjustment"])
def test_every_return_key_is_required(log, key):
    data = crossing()
    del data["envelope"]["metadata"]["bridge"]["return"][key]
    assert judge(log(data), "ffi_bridge").failures[0]["missing"] == [f"bridge.return.{key}"]


def test_bridge_keys_may_be_flat(log):
    flat = {f"bridge.{key}": value for key, value in BRIDGE.items() if key != "return"}
    flat |= {f"bridge.return.{key}": value for key, value in BRIDGE["return"].items()}
    assert judge(log(record("ffi.call", flat)), "ffi_bridge").pass_rate == 1.0


def test_summaries_are_weighted_by_their_count(log):
    found = judge(log(crossing(**{"ffi.count": 9, "ffi.failures": 0}), crossing(status="error")), "ffi_bridge")
    assert (found.total, found.passed, found.failed, found.pass_rate) == (10, 9, 1, 0.9)
    found = judge(log(crossing(**{"ffi.count": 10, "ffi.failures": 4}), name="c"), "ffi_bridge")
    assert (found.total, found.passed, found.pass_rate) == (10, 6, 0.6)
    broken = crossing(**{"ffi.count": 10, "ffi.failures": 0}, arch=None)
    assert judge(log(broken, name="d"), "ffi_bridge").failed == 10


def test_stubbed_records_are_skipped(log):
    stub = record(
        "ffi.call",
        {"ffi": {"event": "ffi.call", "library": "stub", "status": "stubbed"}},
        payload={"name": "service", "bytes": 3},
    )
    other = record("ffi.call", payload={"name": "service", "bytes": 3, "status": "stubbed"})
    assert judge(log(crossing(), stub, other), "ffi_bridge").total == 1
    assert judge(log(stub, name="s"), "ffi_bridge").pass_rate is None


def test_the_bridge_is_computed_per_platform(log):
    path = log(crossing(), crossing("macos-arm64", "error"), crossing("macos-arm64"))
    linux, mac = gates.evaluate(gates.find(["ffi_bridge"]), [path])
    assert (linux.platform, linux.pass_rate) == ("linux-x86_64", 1.0)
    assert (mac.platform, mac.pass_rate) == ("macos-arm64", 0.5)
    (only,) = gates.evaluate(gates.find(["ffi_bridge"]), [path], platforms=["macos-arm64"])
    assert (only.total, only.pass_rate) == (2, 0.5)


def test_a_platform_without_samples_fails(log):
    path = log(crossing())
    linux, mac = gates.evaluate(gates.find(["ffi_bridge"]), [path], platforms=["linux-x86_64", "macos-arm64"])
    assert linux.ok
    assert (mac.total, mac.pass_rate, mac.ok) == (0, None, False)


def test_a_platform_names_its_family(log):
    path = log(crossing("windows-msvc-x64"), crossing("windows-gnu-x64"))
    assert judge(path, "ffi_bridge", platforms=["windows-msvc"]).total == 1


def test_records_without_platform_are_of_the_one_their_file_names(log):
    start = record(
        "native.embed.call",
        {"native.embed.entrypoint": "reml_run", "embed.abi.version": "0.1.0", "target.triple": "arm64-apple-darwin"},
    )
    gc = {"event": "gc.stats", **dict.fromkeys(gates._GC_KEYS[1:], 1)}
    assert judge(log(start, gc), "gc", platforms=["macos-arm64"]).total == 1
    assert judge(log(start, gc), "gc", platforms=["linux-x86_64"]).total == 0


def real_run(path, steps, *, every):
    """A run of the library with calls that fail and calls that do not; answers its counters."""
    source = (
        "fn add(a: Int, b: Int) -> Int = a + b\nfn divide(a: Int, b: Int) -> Int = a / b\nfn shout(s: Str) -> Str = s\n"
        'fn main() -> Str { "ok" }\n'
    )
    with reml.Context(audit=path) as context:
        context.set_audit_policy(every=every)
        module = context.load(source)
        for step in steps:
            if step == "fail":
                with pytest.raises(reml.RunError):
                    module["divide"](1, 0)
            elif step == "text":
                module["shout"]("a")
            elif step == "run":
                context.run()
            else:
                module["add"](1, 2)
        return context.metrics()


@pytest.mark.parametrize("every", [True, False], ids=["every", "summary"])
@hypothesis.settings(max_examples=25)
@hypothesis.given(steps=st.lists(st.sampled_from(["add", "add", "text", "fail", "run"]), min_size=1, max_size=40))
def test_the_gate_of_a_real_log_equals_the_counters(tmp_path_factory, every, steps):
    path = tmp_path_factory.mktemp("gate") / "log.ndjson"
    counters = real_run(path, steps, every=every)
    hypothesis.assume(counters.total_calls)
    results = gates.evaluate(gates.find(["ffi_bridge"]), [path])
    (found,) = results
    assert (found.total, found.passed) == (counters.total_calls, counters.success_calls)
    assert gates.compare(results, counters) is None
    assert gates.compare(results, counters.pass_rate) is None


def test_gate_and_counters_agree_about_leaks_violations_and_libraries(tmp_path):
    from reml_embed.library import auto_bind, bind_library, call_ffi

    path = tmp_path / "log"
    context = reml.Context(audit=path)
    context.load('fn main() -> List<Int> = [1, 2]\nfn text() -> Str = "a"')
    context.run("main")
    kept = context.result_take()
    libm = bind_library("m", context=context)
    cosine = auto_bind(libm, "cos", "(F64) -> F64")
    assert call_ffi(cosine, [0.0]) == 1.0
    with pytest.raises(reml.RemlError):
        call_ffi(cosine, ["x"])
    context.run("text")
    released = context.result_take()
    released.release()
    with contextlib.suppress(reml.RemlError):
        released.release()
    before = reml.process_metrics()
    counted = context.metrics()
    context.close()
    after = reml.process_metrics()
    assert kept is not None
    (found,) = gates.evaluate(gates.find(["ffi_bridge"]), [path])
    leaks = after.total_calls - before.total_calls
    assert leaks == 1
    assert (found.total, found.passed) == (counted.total_calls + leaks, counted.success_calls)


def test_gate_and_process_counters_agree(tmp_path, python):
    program = """
from reml_embed.audit import gates
from reml_embed._ffi import lib
with reml.Context(audit="log.ndjson") as context:
    module = context.load("fn add(a: Int, b: Int) -> Int = a / b")
    for i in range(1000): module["add"](i, 1)
    for i in range(3):
        try: module["add"](i, 0)
        except reml.RunError: pass
found = gates.evaluate(gates.find(["ffi_bridge"]), ["log.ndjson"])
assert found[0].total == 1003, found
assert gates.compare(found, lib.reml_ffi_bridge_pass_rate()) is None
assert gates.compare(found, reml.process_metrics()) is None
"""
    python(program)


def test_a_mismatch_above_1e_9_between_gate_and_counters_is_an_error(log, tmp_path):
    path = log(crossing(), crossing(status="error"))
    results = gates.evaluate(gates.find(["ffi_bridge"]), [path])
    assert gates.compare(results, 0.5 + 0.9e-9) is None
    assert "0.5 by the log" in gates.compare(results, 0.5 + 2e-9)
    assert "2 calls, the counters of 3" in gates.compare(results, {"total_calls": 3, "success_calls": 1})
    (tmp_path / "counters.json").write_text('{"total_calls": 2, "success_calls": 1}', encoding="utf-8")
    run("metrics", "--section", "ffi_bridge", "--audit-source", path, "--counters", "counters.json", cwd=tmp_path)
    (tmp_path / "counters.json").write_text('{"pass_rate": 0.75}', encoding="utf-8")
    done = run(
        "metrics",
        "--section",
        "ffi_bridge",
        "--audit-source",
        path,
        "--counters",
        "counters.json",
        cwd=tmp_path,
        code=1,
    )
    assert "0.75 by the counters" in done.stderr
    (tmp_path / "counters.json").write_text('{"x": 1}', encoding="utf-8")
    run(
        "metrics",
        "--section",
        "ffi_bridge",
        "--audit-source",
        path,
        "--counters",
        "counters.json",
        cwd=tmp_path,
        code=2,
    )


# --- 1.7 -----------------------------------------------------------------------------------------------------------------


def test_native_embed_audit_presence_rate_wants_both_mandatory_keys(log):
    good = record("native.embed.call", {"native.embed.entrypoint": "reml_run", "embed.abi.version": "0.1.0"})
    both_ways(
        log(good, name="a"), log(good, record("native.embed.call", {"native.embed.entrypoint": "reml_run"}), name="b"), "embed",
        missing=["embed.abi.version"],
    )  # fmt: skip


def test_records_that_were_lost_count_as_calls_without_record(log):
    good = record("native.embed.call", {"native.embed.entrypoint": "reml_run", "embed.abi.version": "0.1.0"})
    found = judge(log(good, record("audit.records_lost", {"audit.records.lost": 3})), "embed")
    assert (found.total, found.failed) == (4, 3)


def test_a_real_log_has_every_lifecycle_record(tmp_path):
    real_run(tmp_path / "log", ["run"], every=True)
    assert (judge(tmp_path / "log", "embed").total, judge(tmp_path / "log", "embed").pass_rate) == (4, 1.0)


# --- 3.8: diagnostics, iterators, capability files, typeclasses -------------------------------------------------------------


def diagnostic(code="type.mismatch", **members):
    return {
        "message": "m", "severity": "error", "code": code, "timestamp": WHEN,
        "audit": {"audit_id": str(uuid.uuid4()), "metadata": {"event.kind": "diagnostic.emitted"}}, **members,
    }  # fmt: skip


def test_diagnostic_audit_presence_rate(log):
    for empty in ({"audit": {}}, {"audit": None}):
        both_ways(log(diagnostic(), name="a"), log(diagnostic(**empty), name="b"), "diagnostics", missing=["audit"])
    bad = {key: value for key, value in diagnostic().items() if key != "timestamp"}
    both_ways(log(diagnostic(), name="a"), log(bad, name="b"), "diagnostics", missing=["timestamp"])


@pytest.mark.parametrize("shape", ["list", "envelope", "lines", "single", "pretty"])
def test_diagnostics_come_in_every_shape(tmp_path, shape):
    one, two = diagnostic(), diagnostic(audit={})
    text = {
        "list": json.dumps([one, two]), "envelope": json.dumps({"command": "Check", "diagnostics": [one, two]}),
        "lines": f"{json.dumps(one)}\n{json.dumps(two)}\n", "single": json.dumps(two),
        "pretty": json.dumps({"diagnostics": [one, two]}, indent=2),
    }[shape]  # fmt: skip
    path = tmp_path / "found.json"
    path.write_text(text, encoding="utf-8")
    (found,) = gates.evaluate(gates.find(["diagnostics"]), diagnostic_sources=[path])
    assert (found.total, found.failed) == (1 if shape == "single" else 2, 1)


def test_iterator_stage_audit_pass_rate_wants_all_five_keys(log):
    keys = {f"effect.stage.iterator.{name}": "x" for name in ("required", "actual", "kind", "capability", "source")}
    for key in keys:
        less = {other: value for other, value in keys.items() if other != key}
        both_ways(
            log(record("iterator.stage", keys), name="a"),
            log(record("iterator.stage", less), name="b"),
            "iterator",
            missing=[key],
        )
    nested = {
        "effect": {"stage": {"iterator": dict.fromkeys(("required", "actual", "kind", "capability", "source"), "x")}}
    }
    assert judge(log(record("custom", nested), name="c"), "iterator").pass_rate == 1.0


def test_runtime_capability_validation_counts_files_whose_status_is_ok(tmp_path):
    for name, status in (("good", "ok"), ("bad", "error")):
        report = {
            "timestamp": WHEN,
            "checked_files": ["caps.json"],
            "stage_summary": {},
            "stage_trace": [],
            "validation": {"status": status, "errors": []},
        }
        (tmp_path / name).write_text(json.dumps(report, indent=2 if name == "bad" else None), encoding="utf-8")
    both_ways(tmp_path / "good", tmp_path / "bad", "runtime", missing=["validation.status=ok"])


def test_typeclass_metadata_pass_rate(log):
    good = record("typeclass.resolved", {"typeclass.constraint": "Eq<Int>", "typeclass.resolution_state": "resolved"})
    both_ways(
        log(good, name="a"), log(record("typeclass.resolved", {"typeclass.constraint": "Eq<Int>"}), name="b"), "effects", "typeclass",
        missing=["typeclass.resolution_state"],
    )  # fmt: skip


def test_the_section_effects_judges_the_stage_group(log):
    whole = {"effect.stage.required": "exact:beta", "effect.stage.actual": "beta", "effect.capability": "console"}
    less = {key: value for key, value in whole.items() if key != "effect.stage.actual"}
    both_ways(
        log(record("x", whole), name="a"), log(record("x", less), name="b"), "effects", missing=["effect.stage.actual"]
    )
    found = judge(log(record("capability_check", {**whole, "effect.provider": "core"}), name="c"), "effects")
    assert found.failures[0]["missing"] == ["effect.manifest_path"]
    null = {**whole, "effect.provider": "core", "effect.manifest_path": None}
    assert judge(log(record("capability_check", null), name="d"), "effects").ok


# --- the other sections -----------------------------------------------------------------------------------------------------


def test_collectors_audit_cap(log):
    keys = {
        "collector.capability": "core.collections.audit",
        "collector.effect.audit": True,
        "collections.change_set.total": 2,
        "case": "audit_cap",
    }
    for key in list(keys)[:3]:
        less = {other: value for other, value in keys.items() if other != key}
        both_ways(
            log(record("collector.finish", keys), name="a"),
            log(record("collector.finish", less), name="b"),
            "collectors",
            "audit_cap",
            missing=[key],
        )
    other = record("collector.finish", {"case": "list"})
    assert judge(log(record("collector.finish", keys), other, name="c"), "collectors").total == 1


def test_core_diagnostics_wants_the_keys_of_each_pipeline_record(log):
    keys = {"pipeline.id": "dsl://a.reml", "pipeline.dsl_id": "a.reml", "pipeline.node": "a", "timestamp": WHEN}
    good = record("pipeline_completed", {**keys, "pipeline.outcome": "success", "pipeline.count": 1})
    both_ways(
        log(good, name="a"),
        log(record("pipeline_completed", keys), name="b"),
        "core_diagnostics",
        missing=["pipeline.count", "pipeline.outcome"],
    )


def test_prelude_guard(log):
    extensions = {"prelude": {"collector": "list"}, "collector.capability": "c", "collector.effect.audit": True}
    both_ways(
        log(diagnostic("core.prelude.collector_failed", extensions=extensions), name="a"),
        log(diagnostic("core.prelude.collector_failed", extensions={**extensions, "prelude": {}}), name="b"),
        "prelude-guard", missing=["prelude.collector"],
    )  # fmt: skip


def test_numeric_time_judges_metric_points(log):
    point = metrics.MetricPoint(name="n", value=1).metadata()
    less = {key: value for key, value in point.items() if key != "metric_point.kind"}
    both_ways(
        log(record("metric_point", point), name="a"),
        log(record("metric_point", less), name="b"),
        "numeric_time",
        missing=["metric_point.kind"],
    )


def test_text_judges_the_required_keys_of_its_records(log):
    stage = {"effect.capability": "unicode", "effect.stage.required": "exact:stable", "effect.stage.actual": "stable"}
    less = {"effect.capability": "unicode"}
    both_ways(
        log(record("text.normalize", stage), name="a"), log(record("text.normalize", less), name="b"), "text",
        missing=["effect.stage.actual", "effect.stage.required"],
    )  # fmt: skip


def test_gc_wants_every_field_of_gc_stats(log):
    stats = {
        "event": "gc.stats", "policy": "Generational", "profile": "ide", "heap_bytes": 5242880, "heap_limit": None, "last_pause_ms": 1.9,
        "total_collections": 1, "pause_target_ms": 8.0, "run_id": "session-9", "timestamp": "2026-03-02T08:45:00.500Z",
    }  # fmt: skip
    assert judge(log(stats), "gc").ok
    for key in list(stats)[1:]:
        less = {other: value for other, value in stats.items() if other != key}
        both_ways(log(stats, name="a"), log(less, name="b"), "gc", missing=[key])
        both_ways(
            log(record("gc.stats", payload=stats), name="a"),
            log(record("gc.stats", {"event": less}), name="b"),
            "gc",
            missing=[key],
        )
    assert judge(log({**stats, "run_id": None}, name="c"), "gc").failures[0]["missing"] == ["run_id"]


IO = {"io.operation": "io.copy", "io.path": "a", "io.capability": "io.fs.read", "io.helper": "bridge.copy", "io.bytes_processed": 3, "io.effects.io": True}  # fmt: skip


def test_core_io_reader_writer(log):
    for key in IO:
        less = {other: value for other, value in IO.items() if other != key}
        both_ways(
            log(record("core.io.operation", IO), name="a"), log(record("core.io.operation", less), name="b"), "core_io", "reader_writer",
            missing=["effects.io" if key == "io.effects.io" else key],
        )  # fmt: skip
    extended = {key: value for key, value in IO.items() if key != "io.effects.io"}
    found = judge(
        log(record("core.io.operation", extended, extensions={"effects": {"io": True}}), name="c"),
        "core_io",
        "reader_writer",
    )
    assert found.pass_rate == 1.0
    assert (
        judge(
            log(record("core.io.operation", {**IO, "io.operation": "file.metadata"}), name="d"),
            "core_io",
            "reader_writer",
        ).total
        == 0
    )


def test_core_io_path_glob(log):
    good = {
        "io.operation": "path.glob",
        "io.helper": "path.glob",
        "io.glob.pattern": "*.md",
        "io.capability": "io.fs.read",
    }
    failed = {**good, "io.error.kind": "InvalidInput"}
    both_ways(
        log(record("core.path.glob", good), name="a"),
        log(record("core.path.glob", failed), name="b"),
        "core_io",
        "path_glob",
        missing=["io.glob.offending_path"],
    )
    assert judge(
        log(record("core.path.glob", {**failed, "io.glob.offending_path": "["}), name="c"), "core_io", "path_glob"
    ).ok


def test_core_io_watcher(log):
    good = {"io.operation": "watcher.event", "io.watch.queue_size": 0, "io.watch.delay_ns": 5}
    less = {"io.operation": "watcher.event", "io.watch.queue_size": 0}
    both_ways(
        log(record("core.io.watch", good), name="a"),
        log(record("core.io.watch", less), name="b"),
        "core_io",
        "watcher_audit",
        missing=["io.watch.delay_ns"],
    )


def test_core_io_buffered(log):
    good = {"io.operation": "reader.buffered", "io.buffer.capacity": 10, "io.buffer.fill": 10}
    both_ways(
        log(record("core.io.operation", good), name="a"), log(record("core.io.operation", {**good, "io.buffer.fill": 11}), name="b"),
        "core_io", "buffered", missing=["io.buffer.fill<=io.buffer.capacity"],
    )  # fmt: skip
    found = judge(
        log(record("core.io.operation", {"io.operation": "reader.buffered"}), name="c"), "core_io", "buffered"
    )
    assert found.failures[0]["missing"] == ["io.buffer.capacity", "io.buffer.fill"]


MATRIX = """# Effects

| Operation | Effects | Capability |
|---|---|---|
| `io.copy` | `io`, `fs.read` | `io.fs.read` |
| `file.sync` | io | io.fs.write |
"""


@pytest.mark.parametrize(("scenario", "missing"), [("file_ops", ["file.sync"]), ("effects_matrix", ["effects.fs.read"]), ("capability_matrix", ["io.capability=io.fs.read"])])  # fmt: skip
def test_core_io_matrices_count_confirmed_rows(tmp_path, log, scenario, missing):
    matrix = tmp_path / "matrix.md"
    matrix.write_text(MATRIX, encoding="utf-8")
    sync = record(
        "core.io.operation", {"io.operation": "file.sync", "io.capability": "io.fs.write", "io.effects.io": True}
    )
    copy = {"io.operation": "io.copy", "io.capability": "io.fs.read", "io.effects.io": True, "io.effects.fs_read": True}
    good = log(record("core.io.operation", copy), sync, name="a")
    bad = {
        "file_ops": log(record("core.io.operation", copy), name="b"),
        "effects_matrix": log(record("core.io.operation", {**copy, "io.effects.fs_read": False}), sync, name="c"),
        "capability_matrix": log(record("core.io.operation", {**copy, "io.capability": "other"}), sync, name="d"),
    }[scenario]
    both_ways(good, bad, "core_io", scenario, missing=missing, matrix=matrix)
    assert judge(good, "core_io", scenario).pass_rate is None


def test_core_io_example_suite(tmp_path):
    for name, status in (("good", "passed"), ("bad", "failed")):
        rows = {"suite": "core_io", "examples": [{"name": "file_copy", "status": status}]}
        (tmp_path / name).write_text(json.dumps(rows), encoding="utf-8")
    both_ways(tmp_path / "good", tmp_path / "bad", "core_io", "example_suite", missing=["example.status=passed"])


def test_the_examples_tell_how_they_ended_in_the_form_that_the_gate_reads(tmp_path):
    done = subprocess.run(
        [*REML, "examples", "run", "--suite", "core_diagnostics", "--format", "json"], capture_output=True, text=True, cwd=ROOT,
        timeout=120, check=False, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    (tmp_path / "suite.json").write_text(done.stdout, encoding="utf-8")
    items = list(gates.load(tmp_path / "suite.json"))
    assert items
    assert {item.get("example.suite") for item in items} == {"core_diagnostics"}
    assert done.returncode == any(item.get("example.status") != "passed" for item in items)


def test_a_log_is_read_from_a_pipe(tmp_path):
    text = "".join(json.dumps(crossing()) + "\n" for _ in range(3))
    done = subprocess.run(
        [*REML, "audit", "metrics", "--section", "ffi_bridge", "--audit-source", "/dev/stdin"], input=text, capture_output=True,
        text=True, timeout=60, check=True, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert json.loads(done.stdout)["total"] == 3


# --- 14.4: streams -----------------------------------------------------------------------------------------------------------


def pending(reason="pending.backpressure", **more):
    members = {"stream.last_reason": reason, "bridge.id": "host.scene", **more.pop("metadata", {})}
    return record(
        "parser.stream.pending", members, payload={"reason": "Backpressure", "resume_hint": {"min_bytes": 64}}, **more
    )


SIGNAL = {"kind": "pending", "bridge_id": "host.scene", "stage_required": "at_least:beta", "stage_actual": "stable"}


def test_streaming_outcome_consistency(log):
    def measured(value):
        return record(
            "parser.stream.metrics",
            {"parser.stream.outcome_consistency": value, "parser.stream.demandhint_coverage": 1.0},
        )

    both_ways(
        log(measured(1.0), name="a"),
        log(measured(0.98), name="b"),
        "streaming",
        "outcome_consistency",
        missing=["parser.stream.outcome_consistency=1.0"],
    )


def test_streaming_demandhint_coverage(log):
    bad = record(
        "parser.stream.pending", {"stream.last_reason": "pending.demand_hint"}, payload={"reason": "DemandHint"}
    )
    both_ways(
        log(pending(), name="a"),
        log(bad, name="b"),
        "streaming",
        "demandhint_coverage",
        missing=["resume_hint.min_bytes"],
    )
    other = record("parser.stream.pending", payload={"resume_hint": {"min_bytes": 64}, "demand": {"min_bytes": 32}})
    assert judge(log(other, name="c"), "streaming", "demandhint_coverage").failures[0]["missing"] == [
        "demand.min_bytes=64"
    ]


def backpressure(audit_id=None, **stage):
    bridge = {"id": "host.scene", "stage": stage or {"required": "at_least:beta", "actual": "stable"}}
    return {
        **diagnostic("bridge.stage.backpressure", extensions={"bridge": bridge}),
        "audit": {"audit_id": audit_id or str(uuid.uuid4())},
    }


def test_streaming_bridge_backpressure_diagnostics(log):
    scenario = "bridge_backpressure_diagnostics"
    both_ways(
        log(pending(audit_id="a1"), backpressure("a1"), name="a"),
        log(pending(), name="b"),
        "streaming",
        scenario,
        missing=["bridge.stage.backpressure"],
    )
    assert judge(log(pending(), backpressure(), name="c"), "streaming", scenario).ok  # by the bridge
    found = judge(log(pending(), pending(), backpressure(), name="d"), "streaming", scenario)
    assert (found.total, found.failed) == (2, 1)  # one diagnostic belongs to one pending
    half = judge(log(pending(), backpressure(required="at_least:beta"), name="e"), "streaming", scenario)
    assert half.failures[0]["missing"] == ["bridge.stage.actual"]
    assert judge(log(pending("pending.demand_hint"), name="f"), "streaming", scenario).total == 0


def test_streaming_bridge_stage_propagation(log):
    scenario = "bridge_stage_propagation"
    good = record("bridge.stage", {"bridge.id": "host.scene", "bridge.stream.signal": SIGNAL})
    less = record("bridge.stage", {"bridge.stream.signal": {**SIGNAL, "stage_actual": None}})
    both_ways(
        log(good, name="a"), log(less, name="b"), "streaming", scenario, missing=["bridge.stream.signal.stage_actual"]
    )
    low = record("bridge.stage", {"bridge.stream.signal": {**SIGNAL, "stage_actual": "experimental"}}, audit_id="a1")
    mismatch = {**diagnostic("effects.contract.stage_mismatch"), "audit": {"audit_id": "a1"}}
    both_ways(
        log(low, mismatch, name="c"),
        log(low, name="d"),
        "streaming",
        scenario,
        missing=["effects.contract.stage_mismatch"],
    )


def test_streaming_for_windows_needs_every_metric(log, tmp_path):
    """The user's weekly command."""
    bridge = {"bridge.platform": "windows-msvc-x64"}
    records = [
        record("parser.stream.metrics", {"parser.stream.outcome_consistency": 1.0, "parser.stream.demandhint_coverage": 1.0}),
        pending(audit_id="a1", metadata={**bridge, "bridge.stream.signal": SIGNAL}), backpressure("a1"),
    ]  # fmt: skip
    words = ("metrics", "--section", "streaming", "--platform", "windows-msvc", "--require-success")
    done = run(*words, "--audit-source", log(*records), cwd=tmp_path)
    assert [row["pass_rate"] for row in json.loads(done.stdout)["metrics"]] == [1.0] * 4
    run(*words, "--audit-source", log(*records[:2]), cwd=tmp_path, code=1)
    run(*words, "--audit-source", log(pending()), cwd=tmp_path, code=1)


@pytest.mark.parametrize(("required", "told", "ok"), [("at_least:experimental", False, True), ("at_least:beta", True, True), ("at_least:beta", False, False)])  # fmt: skip
def test_the_signals_of_a_real_bridge_pass_with_their_diagnostics(tmp_path, required, told, ok):
    """12.4 and 14.4 fit: what the registry of bridges writes and finds is what the gate wants."""
    from reml_embed.registry.bridge import (
        FEATURE,
        BackpressureSignal,
        RuntimeBridgeDescriptor,
        RuntimeBridgeRegistry,
        StreamSignal,
    )

    log, found = tmp_path / "log.ndjson", tmp_path / "found.json"
    bridges = RuntimeBridgeRegistry(audit=AuditContext(FileSink(log), channel="bridge"), features={FEATURE})
    bridges.register_bridge(RuntimeBridgeDescriptor.from_json({
        "id": "host.scene", "stage": "experimental", "required_capabilities": ["async.stream"], "required_effects": ["io.async"],
        "reload": {"rollback": "required"}, "audit": {"requires_audit_effect": True},
    }))  # fmt: skip
    signal = StreamSignal(
        kind="pending", last_reason="pending.backpressure", resume_hint={"min_bytes": 4096, "preferred_bytes": 16384},
        demand_min_bytes=4096, preferred_bytes=16384, stage_required=StageRequirement.parse(required), flow_policy="auto",
        backpressure=BackpressureSignal(16, 4, None),
    )  # fmt: skip
    for _ in range(3):
        bridges.stream_signal("host.scene", signal)
    diagnostics = [diagnostic.json for diagnostic in bridges.diagnostics] if told else []
    found.write_text(json.dumps({"diagnostics": diagnostics}), encoding="utf-8")
    results = gates.evaluate(gates.find(["streaming"], "bridge_stage_propagation"), [log], diagnostic_sources=[found])
    assert (results[0].total, results[0].ok) == (3, ok)


# --- 3.8: the collector ---------------------------------------------------------------------------------------------------------


def test_one_metric_is_one_object_and_several_are_a_list(log, tmp_path):
    path = log(diagnostic())
    one = json.loads(run("metrics", "--section", "diagnostics", "--diagnostic-source", path, cwd=tmp_path).stdout)
    assert one == {
        "metric": "diagnostic.audit_presence_rate", "total": 1, "passed": 1, "failed": 0, "pass_rate": 1.0, "sources": [str(path)],
        "failures": [],
    }  # fmt: skip
    assert list(one) == ["metric", "total", "passed", "failed", "pass_rate", "sources", "failures"]
    several = json.loads(run("metrics", "--section", "streaming", "--audit-source", path, cwd=tmp_path).stdout)
    assert [row["metric"] for row in several["metrics"]] == [gate.metric for gate in gates.find(["streaming"])]


def test_no_samples_is_null_and_require_success_fails(log, tmp_path):
    path = log(record("custom"))
    done = run("metrics", "--section", "gc", "--audit-source", path, cwd=tmp_path)
    assert json.loads(done.stdout)["pass_rate"] is None
    run("metrics", "--section", "gc", "--audit-source", path, "--require-success", cwd=tmp_path, code=1)
    run("metrics", "--section", "gc", "--require-success", cwd=tmp_path, code=1)
    run("metrics", "--audit-source", path, "--require-success", cwd=tmp_path, code=1)


def test_require_success_exits_with_1_below_the_threshold(log, tmp_path):
    path = log(crossing(status="error"))
    run("metrics", "--section", "ffi_bridge", "--audit-source", path, cwd=tmp_path)
    run("metrics", "--section", "ffi_bridge", "--audit-source", path, "--require-success", cwd=tmp_path, code=1)
    run("metrics", "--section", "ffi_bridge", "--audit-source", log(crossing()), "--require-success", cwd=tmp_path)


def test_macos_below_one_or_missing_fails_and_asks_for_re_collection(log, tmp_path):
    words = ("metrics", "--section", "ffi_bridge", "--platform", "macos-arm64", "--require-success", "--audit-source")
    run(*words, log(crossing("macos-arm64")), cwd=tmp_path)
    for path in (log(crossing("macos-arm64", "error"), name="b"), log(crossing(), name="c")):
        assert "collect the log of macos-arm64 again" in run(*words, path, cwd=tmp_path, code=1).stderr


def test_output_and_secondary_output_hold_what_is_printed(log, tmp_path):
    done = run(
        "metrics",
        "--section",
        "ffi_bridge",
        "--audit-source",
        log(crossing()),
        "--output",
        "out/a.json",
        "--secondary-output",
        "b.json",
        cwd=tmp_path,
    )
    assert (
        (tmp_path / "out" / "a.json").read_text(encoding="utf-8")
        == done.stdout
        == (tmp_path / "b.json").read_text(encoding="utf-8")
    )


def test_check_compares_instead_of_writing(log, tmp_path):
    words = ("metrics", "--section", "ffi_bridge", "--audit-source", log(crossing()), "--output", "a.json")
    assert "not what the sources give" in run(*words, "--check", cwd=tmp_path, code=1).stderr
    assert not (tmp_path / "a.json").exists()
    run(*words, cwd=tmp_path)
    run(*words, "--check", cwd=tmp_path)
    log(crossing(), crossing())
    run(*words, "--check", cwd=tmp_path, code=1)


def test_dry_run_reads_and_writes_nothing(tmp_path):
    done = run(
        "metrics",
        "--section",
        "core_io",
        "--scenario",
        "path_glob",
        "--audit-source",
        "missing",
        "--output",
        "a.json",
        "--dry-run",
        cwd=tmp_path,
    )
    plan = json.loads(done.stdout)
    assert plan["gates"][0]["metric"] == "core_io.path_glob_pass_rate"
    assert (plan["sources"], plan["outputs"]) == (["missing"], ["a.json"])
    assert not list(tmp_path.iterdir())


def test_case_chooses_records(log, tmp_path):
    path = log(record("gc.stats", {"case": "a"}), record("gc.stats", {"case": "b"}))
    for case, total in (("a", 1), ("c", 0)):
        done = run("metrics", "--section", "gc", "--case", case, "--audit-source", path, cwd=tmp_path)
        assert json.loads(done.stdout)["total"] == total


@pytest.mark.parametrize(
    "arguments",
    [["--section", "nothing"], ["--section", "core_io", "--scenario", "nothing"], ["--section"], ["--nothing"]],
)
def test_wrong_usage_exits_with_2(tmp_path, arguments):
    run("metrics", *arguments, cwd=tmp_path, code=2)


def test_a_source_that_cannot_be_read_exits_with_2(tmp_path):
    done = run("metrics", "--section", "gc", "--audit-source", "missing.ndjson", cwd=tmp_path, code=2)
    assert "missing.ndjson: no such file or directory" in done.stderr
    (tmp_path / "m.md").write_text("no table", encoding="utf-8")
    done = run("metrics", "--section", "core_io", "--matrix", "m.md", cwd=tmp_path, code=2)
    assert "m.md: no table with a head" in done.stderr
    (tmp_path / "d").mkdir()
    run("metrics", "--section", "gc", "--audit-source", "d", cwd=tmp_path, code=2)


def test_a_line_that_is_no_record_fails_the_gates_of_its_file(log):
    found = judge(log(crossing(), "nonsense\n", crossing()), "ffi_bridge")
    assert (found.total, found.failed) == (3, 1)
    assert found.failures == [{"file": found.sources[0], "index": 1, "missing": ["audit.record.not_json"]}]


def test_a_torn_last_line_does_not_count(log):
    assert judge(log(crossing(), '{"timestamp":"2026'), "ffi_bridge").total == 1


def test_unknown_kinds_and_keys_never_break_the_reader(log):
    assert (
        judge(log(record("brand.new", {"a.b": [1, {"c": None}]}), {"x": 1}, crossing(future=1)), "ffi_bridge").total
        == 1
    )


@hypothesis.settings(max_examples=60)
@hypothesis.given(st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=6), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["envelope", "metadata", "event", "event.kind", "bridge", "ffi", "ffi.call", "audit", "timestamp", "validation", "extensions", "diagnostics", "examples", "severity", "message", "codes"]), inner, max_size=4), max_leaves=12), max_size=5))  # fmt: skip
def test_no_json_breaks_a_gate(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    for result in gates.evaluate(gates.GATES, [path]):
        assert result.passed + result.failed == result.total
        assert json.dumps(result.json())


def test_every_section_of_the_contract_is_there():
    assert set(gates.SECTIONS) == {
        "iterator", "core_io", "collectors", "streaming", "numeric_time", "runtime", "text", "diagnostics", "effects", "prelude-guard",
        "core_diagnostics", "ffi_bridge", "embed", "gc",
    }  # fmt: skip
    names = [gate.metric for gate in gates.GATES]
    assert len(set(names)) == len(names)
    assert all(gate.threshold == 1.0 for gate in gates.GATES)
    assert {
        "diagnostic.audit_presence_rate", "iterator.stage.audit_pass_rate", "collectors.audit_cap_pass_rate", "ffi_bridge.audit_pass_rate",
        "runtime.capability_validation", "typeclass.metadata_pass_rate", "native.embed.audit_presence_rate",
        "core_io.reader_writer_effects_pass_rate", "core_io.path_glob_pass_rate", "core_io.watcher_audit_pass_rate",
        "core_io.buffered_reader_buffer_stats_pass_rate", "core_io.file_ops_pass_rate", "core_io.effect_matrix_pass_rate",
        "core_io.capability_matrix_pass_rate", "core_io.example_suite_pass_rate", "parser.stream.outcome_consistency",
        "parser.stream.demandhint_coverage", "parser.stream.bridge_backpressure_diagnostics", "parser.stream.bridge_stage_propagation",
    } <= set(names)  # fmt: skip


def test_help_names_every_section_and_scenario(tmp_path):
    text = " ".join(run("metrics", "--help", cwd=tmp_path).stdout.split())
    for name in (*gates.SECTIONS, *gates.SCENARIOS):
        assert name in text, name


def test_the_table_in_the_documentation_is_the_table(tmp_path):
    text = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    assert gates.table() in text


def test_a_hundred_thousand_records_are_judged_in_bounded_time(tmp_path):
    path, line = tmp_path / "log", json.dumps(crossing()) + "\n"
    path.write_text(line * 100_000, encoding="utf-8")
    began = time.monotonic()
    assert judge(path, "ffi_bridge").total == 100_000
    assert time.monotonic() - began < 60


# --- sync -----------------------------------------------------------------------------------------------------------------------


def collected(tmp_path, log, *platforms, section="ffi_bridge", name="report.json", status="ok"):
    path = log(*(crossing(platform, status) for platform in platforms), name=f"{name}.log")
    words = [word for platform in platforms for word in ("--platform", platform)]
    run("metrics", "--section", section, *words, "--audit-source", path, "--output", name, cwd=tmp_path)
    return tmp_path / name


def test_sync_merges_reports_into_the_summaries(tmp_path, log):
    report = collected(tmp_path, log, "linux-x86_64", "macos-arm64")
    gc = tmp_path / "gc.json"
    run("metrics", "--section", "gc", "--audit-source", log(record("gc.stats")), "--output", gc, cwd=tmp_path)
    done = run("sync", "--report", report, gc, cwd=tmp_path)
    assert done.stdout.splitlines() == ["reports/ffi-bridge-summary.md", "reports/iterator-collector-summary.md"]
    bridge = (tmp_path / "reports" / "ffi-bridge-summary.md").read_text(encoding="utf-8")
    assert "## macos-arm64" in bridge
    assert "| `ffi_bridge` | `ffi_bridge.audit_pass_rate` | 1 | 1 | 1.0 | ok | report.json.log |" in bridge
    other = (tmp_path / "reports" / "iterator-collector-summary.md").read_text(encoding="utf-8")
    assert "| `gc` | `gc.stats_pass_rate` | 0 | 1 | 0.0 | below threshold | log.ndjson |" in other


def test_sync_again_changes_nothing(tmp_path, log):
    report = collected(tmp_path, log, "macos-arm64")
    run("sync", "--report", report, cwd=tmp_path)
    page = tmp_path / "reports" / "ffi-bridge-summary.md"
    before, stat = page.read_bytes(), page.stat()
    run("sync", "--report", report, cwd=tmp_path)
    assert page.read_bytes() == before
    assert page.stat().st_mtime_ns == stat.st_mtime_ns
    assert [path.name for path in page.parent.iterdir()] == [page.name]


def test_sync_keeps_what_others_wrote_and_rows_that_were_not_measured(tmp_path, log):
    run("sync", "--report", collected(tmp_path, log, "linux-x86_64"), cwd=tmp_path, code=1)
    page = tmp_path / "reports" / "ffi-bridge-summary.md"
    page.write_text("My words.\n" + page.read_text(encoding="utf-8") + "\n## Checklist\n", encoding="utf-8")
    run("sync", "--report", collected(tmp_path, log, "macos-arm64", name="mac.json"), cwd=tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("My words.\n")
    assert text.endswith("\n## Checklist\n")
    assert text.index("## linux-x86_64") < text.index("## macos-arm64")


def test_sync_fails_when_macos_is_missing_or_below_one(tmp_path, log):
    for status, platform, words in (
        ("ok", "linux-x86_64", "no log of macos-arm64"),
        ("error", "macos-arm64", "is 0.0, below 1.0"),
    ):
        done = run("sync", "--report", collected(tmp_path, log, platform, status=status), cwd=tmp_path, code=1)
        assert words in done.stderr
        assert "collect the log of macos-arm64 again" in done.stderr
    empty = tmp_path / "empty.json"
    run(
        "metrics",
        "--section",
        "ffi_bridge",
        "--platform",
        "macos-arm64",
        "--audit-source",
        log(crossing()),
        "--output",
        empty,
        cwd=tmp_path,
    )
    assert "no log of macos-arm64" in run("sync", "--report", empty, cwd=tmp_path, code=1).stderr
    assert (tmp_path / "reports" / "ffi-bridge-summary.md").exists()  # the pages tell of it all the same


def test_streaming_results_go_to_the_windows_section(tmp_path, log):
    out = tmp_path / "s.json"
    run(
        "metrics",
        "--section",
        "streaming",
        "--platform",
        "windows-msvc",
        "--audit-source",
        log(pending(metadata={"bridge.platform": "windows-msvc-x64"})),
        "--output",
        out,
        cwd=tmp_path,
    )
    run("sync", "--report", out, cwd=tmp_path, code=1)
    text = (tmp_path / "reports" / "ffi-bridge-summary.md").read_text(encoding="utf-8")
    assert "parser.stream.bridge_stage_propagation" in text.partition("## windows-msvc")[2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "$: not JSON"), ("[]", "$: expected an object"), ('{"metrics": 1}', "$.metrics: expected a list"),
        ('{"metrics": [{"metric": 1}]}', "$.metrics[0].metric: expected str, got int"), ('{"metric": "a"}', "$.total: expected int, got nothing"),
        ('{"metric":"a","total":1,"passed":1,"failed":0,"sources":[],"failures":[],"pass_rate":"1"}', "$.pass_rate: expected a number"),
    ],
)  # fmt: skip
def test_a_bad_report_names_file_and_key_path_and_changes_nothing(tmp_path, log, text, says):
    good, bad = collected(tmp_path, log, "macos-arm64"), tmp_path / "bad.json"
    bad.write_text(text, encoding="utf-8")
    done = run("sync", "--report", good, "--report", bad, cwd=tmp_path, code=2)
    assert f"bad.json: {says}" in done.stderr
    assert not (tmp_path / "reports").exists()


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path, log):
    (tmp_path / "reports").write_text("a file", encoding="utf-8")
    run("sync", "--report", collected(tmp_path, log, "macos-arm64"), cwd=tmp_path, code=2)
    run("sync", cwd=tmp_path, code=2)


def test_a_page_that_is_no_text_is_left_alone(tmp_path, log):
    report = collected(tmp_path, log, "macos-arm64")
    page = tmp_path / "reports" / "ffi-bridge-summary.md"
    page.parent.mkdir()
    page.write_bytes(b"\xff\xfe")
    assert "ffi-bridge-summary.md: byte 1 is not UTF-8" in run("sync", "--report", report, cwd=tmp_path, code=2).stderr
    assert page.read_bytes() == b"\xff\xfe"


def test_jobs_that_end_together_lose_no_row(tmp_path, log):
    names = [f"p{number}" for number in range(12)]
    for name in names:
        row = {"metric": "ffi_bridge.audit_pass_rate", "total": 1, "passed": 1, "failed": 0, "sources": [], "failures": [], "pass_rate": 1.0, "platform": name}  # fmt: skip
        (tmp_path / name).write_text(json.dumps(row), encoding="utf-8")
    threads = [threading.Thread(target=summaries.sync, args=([tmp_path / name], tmp_path / "out")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = (tmp_path / "out" / "ffi-bridge-summary.md").read_text(encoding="utf-8")
    assert text.count("\n## ") == len(names)


def test_no_source_name_breaks_the_page(tmp_path):
    rows = {"metric": "ffi_bridge.audit_pass_rate", "total": 1, "passed": 1, "failed": 0, "sources": ["a|b\n## x <!--"], "failures": [], "pass_rate": 1.0, "platform": "macos-arm64"}  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(rows), encoding="utf-8")
    for _ in range(3):
        summaries.sync([tmp_path / "r.json"], tmp_path)
    text = (tmp_path / "ffi-bridge-summary.md").read_text(encoding="utf-8")
    assert text.count("a\\|b ## x &lt;!--") == 1
    assert text.count("\n## ") == 1


def test_merging_is_the_same_in_every_order():
    chance = random.Random(1)
    entries = [
        summaries.Entry(f"p{i % 3}", f"k{i}", "ffi_bridge.audit_pass_rate", i, i + 1, i / (i + 1), "s")
        for i in range(12)
    ]
    pages = set()
    for _ in range(5):
        chance.shuffle(entries)
        page = ""
        for entry in entries:
            page = summaries.merge(page, summaries.BRIDGE_PAGE, [entry])
        pages.add(page)
    assert len(pages) == 1


def test_without_a_source_the_log_that_commands_write_is_judged(tmp_path, monkeypatch):
    def rate(**variables):
        done = subprocess.run(
            [*REML, "audit", "metrics", "--section", "ffi_bridge"], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **variables},
        )  # fmt: skip
        return json.loads(done.stdout)["total"]

    assert rate() == 0
    (tmp_path / ".reml").mkdir()
    (tmp_path / ".reml" / "audit.ndjson").write_text(json.dumps(crossing()) + "\n")
    assert rate() == 1
    (tmp_path / "other").write_text((json.dumps(crossing()) + "\n") * 2)
    assert rate(REML_EMBED_AUDIT_PATH=str(tmp_path / "other")) == 2


def test_several_scenarios_stand_between_slashes():
    found = gates.find(["core_io"], "watcher_audit/path_glob")
    assert [gate.scenario for gate in found] == ["path_glob", "watcher_audit"]
    with pytest.raises(gates.GateError, match="there is no scenario `nope` in core_io"):
        gates.find(["core_io"], "path_glob/nope")
