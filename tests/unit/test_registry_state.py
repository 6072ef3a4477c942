"""Files about capabilities: .reml/capabilities.json, the runtime capability file, stage records (CONTRACTS 4.6)."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from reml_embed.effects import StageCheckFileError, StageChecks
from reml_embed.registry.capability import (
    CapabilityRegistry,
    FileError,
    NotRegistered,
    SecurityViolation,
    StageId,
    StageViolation,
)
from reml_embed.registry.records import read as read_records
from reml_embed.registry.runtime_file import RuntimeFile, resolve, validation_report
from reml_embed.registry.state import CapabilityState, PromotionError, StateFile

BROKEN = [
    ('{"schema_version": "3.0.0-alpha", "capabi', "$", "capability.file.invalid"),
    ("", "$", "capability.file.invalid"),
    ("[]", "$", "capability.file.invalid"),
    ("{}", "$.schema_version", "capability.file.invalid"),
    ('{"schema_version": "9.9.9", "capabilities": {}}', "$.schema_version", "capability.file.invalid"),
    ('{"schema_version": "3.0.0-alpha", "capabilites": {}}', "$.capabilites", "capability.file.invalid"),
    ('{"schema_version": "3.0.0-alpha", "capabilities": {"io.fs.read": 1}}', '$.capabilities["io.fs.read"]', "capability.file.invalid"),
    ('{"schema_version": "3.0.0-alpha", "capabilities": {"gc": {"stage": "alpha"}}}', "$.capabilities.gc.stage", "config.invalid_stage"),
    ('{"schema_version": "3.0.0-alpha", "capabilities": {"gc": {"stage": "beta", "enabled": "yes", "promoted_at": null, "audit_id": ""}}}', "$.capabilities.gc.enabled", "capability.file.invalid"),
    ('{"schema_version": "3.0.0-alpha", "capabilities": {"gc": {"stage": "beta", "enabled": true, "audit_id": "", "extra": 1}}}', "$.capabilities.gc.extra", "capability.file.invalid"),
    ('{"schema_version": "3.0.0-alpha", "schema_version": "3.0.0-alpha", "capabilities": {}}', "$.schema_version", "capability.file.invalid"),
    ("[" * 100_000, "$", "capability.file.invalid"),
]  # fmt: skip


@pytest.fixture
def state(tmp_path):
    return StateFile(tmp_path)


@pytest.fixture
def registry():
    return CapabilityRegistry()


def log(*_):
    return "id-1"


def passed(state, name, stage, **more):
    given = {"tests_passed": True, "audit_id": "check-1", "timestamp": "2026-03-02T08:15:00Z"} | more
    state.checks.record(name, stage, **given)


# --- .reml/capabilities.json ---------------------------------------------------------------------------------------------


def test_the_state_file_has_the_shape_of_the_contract(state, registry, tmp_path):
    state.enable(registry, "console", "experimental", log)
    passed(state, "console", "experimental")
    state.promote(registry, "console", "beta", "2026-03-02T08:15:00Z", log)
    state.disable(registry, "gpu", log)
    assert json.loads((tmp_path / ".reml" / "capabilities.json").read_text()) == {
        "schema_version": "3.0.0-alpha",
        "capabilities": {
            "console": {"stage": "beta", "enabled": True, "promoted_at": "2026-03-02T08:15:00Z", "audit_id": "id-1"},
            "gpu": {"stage": "experimental", "enabled": False, "promoted_at": None, "audit_id": "id-1"},
        },
    }


def test_a_registry_stands_as_was_decided(state, registry):
    passed(state, "console", "experimental")
    state.promote(registry, "console", "beta", "2026-03-02T08:15:00Z", log)
    state.disable(registry, "gpu", log)
    state.enable(registry, "gc", "beta", log)
    state.apply(registry)
    assert registry.describe("console").stage is StageId.BETA
    assert registry.describe("gc").stage is StageId.BETA
    with pytest.raises(SecurityViolation):
        registry.verify_stage("gpu", "experimental")


@pytest.mark.parametrize(("text", "path", "code"), BROKEN)
def test_a_malformed_state_file_names_file_key_path_and_code_and_is_left_intact(state, registry, text, path, code):
    state.path.parent.mkdir()
    state.path.write_text(text)
    for call in (state.read, lambda: state.apply(registry), lambda: state.enable(registry, "console", None, log), lambda: state.disable(registry, "console", log),
                 lambda: state.promote(registry, "console", "beta", "", log), lambda: state.stage(registry, "console")):  # fmt: skip
        with pytest.raises(FileError) as caught:
            call()
        assert (caught.value.file, caught.value.key_path, caught.value.code) == (str(state.path), path, code)
        for part in (str(state.path), path, code):
            assert part in str(caught.value)
        assert state.path.read_text() == text


def test_a_syntax_error_names_the_line(state):
    state.path.parent.mkdir()
    state.path.write_text('{\n"schema_version":\n oops')
    with pytest.raises(FileError) as caught:
        state.read()
    assert caught.value.line == 3
    assert f"{state.path}:3: " in str(caught.value)
    state.path.write_bytes(b"\xff")
    with pytest.raises(FileError, match="not UTF-8"):
        state.read()


def test_an_unknown_capability_in_the_file_is_named(state, registry):
    state.path.parent.mkdir()
    text = '{"schema_version": "3.0.0-alpha", "capabilities": {"no.such": {"stage": "beta", "enabled": true, "promoted_at": null, "audit_id": ""}}}'
    state.path.write_text(text)
    with pytest.raises(FileError) as caught:
        state.apply(registry)
    assert (caught.value.code, caught.value.key_path) == ("runtime.capability.unknown", '$.capabilities["no.such"]')


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_directory_is_refused(state, registry):
    state.enable(registry, "console", None, log)
    before = state.path.read_text()
    state.path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(FileError) as caught:
            state.disable(registry, "console", log)
    finally:
        state.path.parent.chmod(0o755)
    assert caught.value.code == "capability.file.io_error"
    assert state.path.read_text() == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no read-only folder that root cannot write either")
def test_a_folder_that_nobody_can_write_is_refused(registry):
    with pytest.raises(FileError) as caught:
        StateFile("/proc/self").enable(registry, "console", None, log)
    assert caught.value.code == "capability.file.io_error"


def test_a_directory_that_cannot_be_made_is_refused(tmp_path, registry):
    (tmp_path / ".reml").write_text("a file")
    with pytest.raises(FileError) as caught:
        StateFile(tmp_path).enable(registry, "console", None, log)
    assert caught.value.code == "capability.file.io_error"


def test_a_write_that_fails_leaves_the_old_file(state, registry, monkeypatch):
    state.enable(registry, "console", None, log)
    before = state.path.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        state.disable(registry, "console", log)
    assert state.path.read_text() == before
    assert [path.name for path in state.path.parent.iterdir() if path.name.endswith("json")] == ["capabilities.json"]
    assert [
        path
        for path in state.path.parent.iterdir()
        if path.name.startswith(".capabilities.json.") and not path.name.endswith(".lock")
    ] == []


def test_what_cannot_be_recorded_does_not_happen(state, registry):
    def broken(*_):
        raise OSError("no log")

    with pytest.raises(OSError, match="no log"):
        state.enable(registry, "console", None, broken)
    assert not state.path.exists()


def test_decisions_of_many_threads_all_count(state, registry):
    names = [row.id for row in registry.describe_all()]
    running = [threading.Thread(target=state.disable, args=(registry, name, log)) for name in names]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert set(state.read()) == set(names)


# --- enable, promote -----------------------------------------------------------------------------------------------------------


def test_enable_refuses_a_stage_above_the_registered_one(state, registry):
    with pytest.raises(StageViolation) as caught:
        state.enable(registry, "console", "beta", log)
    assert caught.value.actual_stage() is StageId.EXPERIMENTAL
    with pytest.raises(NotRegistered):
        state.enable(registry, "no.such", None, log)
    assert not state.path.exists()
    assert state.enable(registry, "async", "beta", log).stage is StageId.BETA
    assert state.enable(registry, "async", None, log).stage is StageId.BETA
    assert state.enable(registry, "async", "stable", log).stage is StageId.STABLE


def test_a_promoted_stage_counts_as_registered_until_it_is_lowered(state, registry):
    passed(state, "console", "experimental")
    state.promote(registry, "console", "beta", "t", log)
    state.disable(registry, "console", log)
    assert state.read()["console"] == CapabilityState(StageId.BETA, enabled=False, promoted_at="t", audit_id="id-1")
    assert state.enable(registry, "console", "beta", log) == CapabilityState(
        StageId.BETA, enabled=True, promoted_at="t", audit_id="id-1"
    )
    assert state.enable(registry, "console", "experimental", log).promoted_at is None
    with pytest.raises(StageViolation):
        state.enable(registry, "console", "beta", log)


def test_promotion_goes_one_step_at_a_time(state, registry):
    for stage in ("experimental", "beta", "stable"):
        passed(state, "console", stage)
    for to in ("experimental", "stable"):
        with pytest.raises(StageViolation):
            state.promote(registry, "console", to, "t", log)
    assert state.promote(registry, "console", "beta", "t", log)[0] is StageId.EXPERIMENTAL
    for to in ("experimental", "beta"):
        with pytest.raises(StageViolation):
            state.promote(registry, "console", to, "t", log)
    assert state.promote(registry, "console", "stable", "t", log)[1].stage is StageId.STABLE
    for to in ("experimental", "beta", "stable"):
        with pytest.raises(StageViolation):
            state.promote(registry, "console", to, "t", log)


def test_promotion_refuses_while_promote_without_checks_is_open(state, registry):
    def refused():
        with pytest.raises(PromotionError) as caught:
            state.promote(registry, "console", "beta", "t", log)
        assert caught.value.code() == "effects.stage.promote_without_checks"
        assert not state.path.exists()

    refused()  # no test run at all
    passed(state, "gpu", "experimental")
    passed(state, "console", "stable")
    refused()  # … of another capability, of another stage
    passed(state, "console", "experimental", tests_passed=False)
    refused()  # … that failed
    passed(state, "console", "experimental", open_diagnostics=["effects.stage.missing_opt_in"])
    refused()  # … with open diagnostics
    passed(state, "console", "experimental")
    state.promote(registry, "console", "beta", "t", log)
    with pytest.raises(PromotionError):
        state.promote(registry, "console", "stable", "t", log)  # test again at beta
    passed(state, "console", "beta")
    passed(state, "console", "beta", tests_passed=False)
    with pytest.raises(PromotionError):
        state.promote(registry, "console", "stable", "t", log)  # the latest counts


def test_a_damaged_file_of_checks_refuses_promotion(state, registry):
    StageChecks(state.path.parent.parent).path.parent.mkdir()
    state.checks.path.write_text('[{"id": "console"')
    with pytest.raises(StageCheckFileError):
        state.promote(registry, "console", "beta", "t", log)
    assert not state.path.exists()


# --- the runtime capability file ----------------------------------------------------------------------------------------------------

RUNTIME = {
    "stage": "beta",
    "capabilities": ["io.fs.read", "gc"],
    "overrides": {
        "x86_64-unknown-linux-gnu": {"stage": "stable", "capabilities": ["gc"]},
        "wasm32-wasi": {"capabilities": []},
    },
}


@pytest.fixture
def runtime(tmp_path):
    def write(value=RUNTIME, name="runtime.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return write


def test_priority_is_command_line_then_environment_then_file(runtime, registry):
    file = RuntimeFile.read(runtime(), registry)
    linux = "x86_64-unknown-linux-gnu"
    cli, env = StageId.EXPERIMENTAL, StageId.BETA
    assert resolve(cli, env, file, linux).stage is StageId.EXPERIMENTAL
    assert resolve(None, env, file, linux).stage is StageId.BETA
    assert resolve(None, None, file, linux).stage is StageId.STABLE
    assert resolve(None, None, file, "other").stage is StageId.BETA
    assert resolve(None, None, None).stage is None
    assert resolve(cli, env, file, linux).trace == (
        {"source": "cli", "stage": "experimental"}, {"source": "env", "stage": "beta"}, {"source": f"override:{linux}", "stage": "stable"},
        {"source": "json", "stage": "beta"},
    )  # fmt: skip


def test_overrides_are_by_triple(runtime, registry):
    file = RuntimeFile.read(runtime(), registry)
    assert file.for_target(None).capabilities == ("io.fs.read", "gc")
    assert file.for_target("x86_64-unknown-linux-gnu").capabilities == ("gc",)
    assert (file.for_target("wasm32-wasi").stage, file.for_target("wasm32-wasi").capabilities) == (StageId.BETA, ())
    assert RuntimeFile.read(runtime({}), registry).for_target("x").capabilities is None


@pytest.mark.parametrize(
    ("value", "path", "code"),
    [({"stage": "alpha"}, "$.stage", "config.invalid_stage"), ({"capabilities": ["gc", "no.such"]}, "$.capabilities[1]", "runtime.capability.unknown"),
     ({"capabilities": [1]}, "$.capabilities[0]", "capability.file.invalid"), ({"capability": []}, "$.capability", "capability.file.invalid"),
     ({"overrides": {"a-b": {"stages": 1}}}, '$.overrides["a-b"].stages', "capability.file.invalid"), ({"overrides": {"a": 1}}, "$.overrides.a", "capability.file.invalid"),
     ('{"stage": ', "$", "capability.file.invalid")],
)  # fmt: skip
def test_a_wrong_runtime_file_names_file_key_path_and_code(runtime, registry, value, path, code):
    file = runtime(value)
    with pytest.raises(FileError) as caught:
        RuntimeFile.read(file, registry)
    assert (caught.value.file, caught.value.key_path, caught.value.code) == (str(file), path, code)


def test_the_validation_report_has_the_shape_of_the_contract(runtime, registry, monkeypatch):
    monkeypatch.setenv("REMLC_EFFECT_STAGE", "beta")
    good, bad = runtime(), runtime({"stage": "alpha"}, "bad.json")
    report = validation_report(
        [good, bad, good.with_name("none.json")], registry, cli=StageId.STABLE, timestamp="2026-03-02T08:15:00Z"
    )
    assert list(report) == ["timestamp", "checked_files", "stage_summary", "stage_trace", "validation"]
    assert report["checked_files"] == [str(good), str(bad), str(good.with_name("none.json"))]
    assert report["stage_summary"] == {
        "cli": "stable", "env": "beta", "json": "beta",
        "runtime_candidates": [{"file": str(good), "target": "*", "stage": "beta"}, {"file": str(good), "target": "x86_64-unknown-linux-gnu", "stage": "stable"}],
    }  # fmt: skip
    assert [row["source"] for row in report["stage_trace"]] == ["cli", "env", "json"]
    assert report["validation"]["status"] == "error"
    assert [(row["file"], row["key_path"], row["code"]) for row in report["validation"]["errors"]] == [
        (str(bad), "$.stage", "config.invalid_stage"), (str(good.with_name("none.json")), "$", "capability.file.io_error"),
    ]  # fmt: skip
    monkeypatch.setenv("REMLC_EFFECT_STAGE", "alpha")
    wrong = validation_report([good], registry)
    assert wrong["validation"]["errors"][0]["file"] == "REMLC_EFFECT_STAGE"
    monkeypatch.delenv("REMLC_EFFECT_STAGE")
    assert validation_report([good], registry)["validation"] == {"status": "ok", "errors": []}


# --- stage records ---------------------------------------------------------------------------------------------------------------------


def test_stage_records_hold_the_latest_per_capability(registry, monkeypatch, tmp_path):
    path = tmp_path / "deep" / "records.json"
    monkeypatch.setenv("BRIDGE_STAGE_RECORDS_PATH", str(path))
    registry.verify_stage("gc", "at_least:beta")
    registry.verify_stage("gc", "stable")
    for name, requirement in (("gpu", "stable"), ("no.such", "beta")):
        with pytest.raises((StageViolation, NotRegistered)):
            registry.verify_stage(name, requirement)
    found = read_records(path)
    assert list(found) == ["gc", "gpu", "no.such"]
    assert {name: (row["required"], row["actual"]) for name, row in found.items()} == {
        "gc": ("exact:stable", "stable"), "gpu": ("exact:stable", "experimental"), "no.such": ("exact:beta", "unknown"),
    }  # fmt: skip
    assert found["gc"]["timestamp"].endswith("Z")
    path.write_text("{")
    with pytest.raises(FileError) as caught:
        registry.verify_stage("gc", "stable")
    assert caught.value.file == str(path)
    assert path.read_text() == "{"


def test_without_the_variable_no_stage_records_are_written(registry, monkeypatch, tmp_path):
    monkeypatch.delenv("BRIDGE_STAGE_RECORDS_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    registry.verify_stage("gc", "stable")
    assert list(tmp_path.iterdir()) == []
