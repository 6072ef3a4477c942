"""Hot reload of configurations: `reload`, `rollback` and ``reml-run reload`` (CONTRACTS 11; guide §2)."""

import copy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from reml_embed import config
from reml_embed.audit import AuditContext, FileSink, MemorySink, Record
from reml_embed.audit.validation import validate as validate_log
from reml_embed.cli.reml_run import reml_run
from reml_embed.config import schema as schemas
from reml_embed.config.documents import Document, parse
from reml_embed.live import (
    ApplyFailed,
    AuditIncomplete,
    ReloadError,
    ReloadSpec,
    RollbackFailed,
    ValidationFailed,
    reload,
    rollback,
)
from reml_embed.live import state as states
from reml_embed.live.reload import metrics
from reml_embed.registry.bridge_shape import ReloadUnsupported

VALUE = {"service": {"name": "billing", "replicas": 2}, "ports": [80, 443], "legacy": {"mode": "off"}}
STATE = {
    "run_id": "session-7", "last_applied_at": "2026-03-02T08:34:10.250Z", "bridge_id": "host.scene", "stage": "beta",
    "schema_version": "1.0.0", "value": VALUE,
}  # fmt: skip
SCHEMA = {
    "name": "Scene", "version": "1.0.0",
    "fields": {
        "service.name": "string", "service.replicas": {"data_type": "integer", "rules": [{"kind": {"rule": "range", "min": 1}}]},
        "legacy": {"data_type": {"kind": "map"}, "required": False},
    },
}  # fmt: skip
AUDIT_ID = "b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30"


def state_of(**more):
    return states.read(Document("", "json", "", copy.deepcopy(STATE) | more))


def with_schema():
    return state_of(schema=SCHEMA)


def changed(**steps):
    """A change set that sets dotted keys (`__` for dots); None removes."""
    new = copy.deepcopy(VALUE)
    for key, value in steps.items():
        *way, last = key.split("__")
        here = new
        for step in way:
            here = here.setdefault(step, {})
        if value is None:
            del here[last]
        else:
            here[last] = value
    return config.plan(VALUE, new).flat()


def schema_of(**changes):
    """`SCHEMA` with fields set or (None) taken out; `__` for dots."""
    fields = dict(SCHEMA["fields"])
    for written, part in changes.items():
        name = written.replace("__", ".")
        fields = {key: value for key, value in fields.items() if key != name} | ({name: part} if part else {})
    return schemas.read(Document("", "json", "", SCHEMA | {"fields": fields}))


def schema_diff(**changes):
    return schemas.diff(schema_of(), schema_of(**changes))


class World:
    """A log, a structured log and what the parser was given."""

    def __init__(self, tmp_path):
        self.sink = MemorySink()
        self.audit = AuditContext(self.sink, channel="bridge")
        self.path = tmp_path / "structured.ndjson"
        self.parsed = []

    def reload(self, state, diff, **more):
        return reload(self.parsed.append, state, diff, audit=self.audit, log=self.path, audit_id=AUDIT_ID, **more)

    def rollback(self, state, **more):
        return rollback(state, audit=self.audit, log=self.path, **more)

    def records(self, kind):
        return [record for record in self.sink.taken if record.kind == kind]

    def outcomes(self):
        return [(r.kind, r.metadata["bridge.reload"]) for r in self.sink.taken if "bridge.reload" in r.metadata]

    def lines(self, event):
        found = [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []
        return [line for line in found if line["event"] == event]


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in ("REML_EMBED_AUDIT_PATH", "REML_EMBED_STRUCTURED_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return World(tmp_path)


# --- the four steps ---------------------------------------------------------------------------------------------------


def test_all_four_steps_compare_apply_audit_and_the_new_state(world):
    state = state_of()
    new = world.reload(state, changed(service__replicas=3))
    assert new.value == VALUE | {"service": {"name": "billing", "replicas": 3}}
    assert world.parsed == [new.value]
    assert world.sink.kinds == ["parser.reload", "reml.reload", "bridge.reload"]
    assert new.audit_id == AUDIT_ID
    assert new.run_id not in {"", "session-7"}
    assert new.last_applied_at > state.last_applied_at
    assert len(new.last_applied_at) == len("2026-03-02T08:34:10.250Z")
    assert state.value == VALUE
    assert state.audit_id is None


def test_reload_takes_parser_state_and_diff_alone_as_the_guide_writes_it(world):
    new = reload(lambda value: {"compiled": value}, state_of(), changed(service__replicas=3))
    assert new.value["service"]["replicas"] == 3
    assert new.built == {"compiled": new.value}
    assert rollback(new).value == VALUE


def test_step_1_refuses_dangerous_changes_before_anything_is_built(world):
    with pytest.raises(ValidationFailed) as caught:
        world.reload(with_schema(), changed(service__name=None))
    assert caught.value.kind == "ValidationFailed"
    assert caught.value.code == "bridge.diff.rejected"
    assert caught.value.rollback.failed_step == "compare"
    assert world.parsed == []
    assert world.outcomes() == [("bridge.reload", "rejected")]


def test_step_3_parser_reload_carries_the_diff_the_run_id_and_the_bridge_group(world):
    new = world.reload(state_of(), changed(service__replicas=3))
    record = world.records("parser.reload")[0]
    assert record.metadata["config.change_set.total"] == 1
    assert record.metadata["reload.run_id"] == new.run_id
    assert record.change_set == changed(service__replicas=3).json()
    assert {key: record.metadata[key] for key in record.metadata if key.startswith("bridge.")} == {
        "bridge.id": "host.scene", "bridge.stage.required": "at_least:beta", "bridge.stage.actual": "beta",
        "bridge.capability": "core.runtime.bridge",
    }  # fmt: skip


def test_step_4_a_failure_returns_rollback_info(world):
    with pytest.raises(ApplyFailed) as caught:
        world.reload(state_of(), config.plan({"ports": [1]}, {"ports": [2]}).flat())
    info = caught.value.rollback
    assert (info.audit_id, info.run_id, info.failed_step) == (AUDIT_ID, "session-7", "apply")
    assert info.previous_state == STATE
    assert info.change_set["total"] == 1
    assert info.reason
    assert info.created_at


# --- dangerous differences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("diff", "reason"),
    [
        (lambda: schema_diff(service__name=None), "a required field is removed"),
        (lambda: schema_diff(service__name="integer"), "without a converter"),
        (lambda: schema_diff(region="string"), "a required field is added without a default"),
        (lambda: schema_diff(legacy={"data_type": {"kind": "map"}}), "it becomes required without a default"),
        (lambda: changed(service__name=None), "a required field is removed"),
        (lambda: changed(service__replicas="three"), "without a converter"),
        (lambda: {"items": [{"kind": "updated", "key": "ports[0]", "previous": 80, "current": 81}] * 2}, "the key is there twice"),
        (lambda: {"added": [{"name": "a", "required": False}] * 2}, "named twice"),
        (lambda: parse('{"items": [], "items": []}', "json", "d.json"), "a key is there twice"),
    ],
)  # fmt: skip
def test_a_dangerous_diff_is_validation_failed_and_bridge_diff_rejected(world, diff, reason):
    told = []
    with pytest.raises(ValidationFailed, match=reason) as caught:
        world.reload(with_schema(), diff(), on_diagnostic=told.append)
    assert [found.code for found in told] == ["bridge.diff.rejected"]
    assert caught.value.diagnostics == tuple(told)
    assert world.records("bridge.reload")[0].metadata["event"]["diff"]["breaking"] is True


def test_a_type_that_changes_is_dangerous_without_a_schema_too(world):
    with pytest.raises(ValidationFailed, match="from number to string"):
        world.reload(state_of(), changed(service__replicas="3"))


@pytest.mark.parametrize(
    "given",
    [
        "text",
        3,
        None,
        [],
        {"kind": "strange"},
        {"items": 7},
        {"change_set": 1},
        {"items": [{"key": "a"}]},
        {"items": [], "added": []},
    ],
)
def test_a_wrong_format_is_validation_failed_and_bridge_diff_invalid(world, given):
    with pytest.raises(ValidationFailed) as caught:
        world.reload(state_of(), given)
    found = caught.value.diagnostics[0]
    keys = found.json["audit_metadata"]
    assert found.code == "bridge.diff.invalid"
    assert found.domain == "runtime"
    assert keys["bridge.diff.expected"] == "SchemaDiff<Old, New>"
    assert keys["bridge.diff.received"]
    assert keys["bridge.id"] == "host.scene"


def test_a_format_other_than_diff_format_is_refused(world):
    with pytest.raises(ValidationFailed) as caught:
        world.reload(with_schema(), schema_diff(region=None), spec=ReloadSpec(diff_format="ChangeSet"))
    keys = caught.value.diagnostics[0].json["audit_metadata"]
    assert (keys["bridge.diff.expected"], keys["bridge.diff.received"]) == ("ChangeSet", "SchemaDiff")


def test_a_converter_makes_a_change_of_type_safe(world):
    diff = schema_diff(service__replicas="string")
    new = world.reload(with_schema(), diff, converters={"service.replicas": lambda count: f"{count} of them"})
    assert new.value["service"]["replicas"] == "2 of them"
    assert new.schema.fields["service.replicas"].data_type.kind == "string"


def test_a_schema_diff_adds_defaults_and_takes_out_what_nobody_needs(world):
    new = world.reload(with_schema(), schema_diff(legacy=None, region={"data_type": "string", "default_value": "eu"}))
    assert new.value == {"service": VALUE["service"], "ports": [80, 443], "region": "eu"}
    assert set(new.schema.fields) == {"service.name", "service.replicas", "region"}
    back = world.rollback(new)
    assert back.value == VALUE
    assert back.schema == with_schema().schema


def test_a_schema_diff_of_another_schema_does_not_apply(world):
    other = schemas.diff(schema_of(), schema_of(service__replicas={"data_type": "number"}))
    moved = state_of(schema=SCHEMA | {"fields": SCHEMA["fields"] | {"service.replicas": "number"}})
    with pytest.raises(ApplyFailed, match="another one now"):
        world.reload(moved, other)


# --- failures ---------------------------------------------------------------------------------------------------------


def test_an_apply_error_is_apply_failed(world):
    with pytest.raises(ApplyFailed, match="which the change does not know") as caught:
        world.reload(state_of(), {"items": [{"kind": "updated", "key": "ports[0]", "previous": 1, "current": 81}]})
    assert caught.value.code == "config.change_set.conflict"
    assert world.outcomes() == [("bridge.reload", "failed")]


def test_a_value_that_breaks_a_rule_of_the_schema_is_apply_failed(world):
    with pytest.raises(ApplyFailed) as caught:
        world.reload(with_schema(), changed(service__replicas=0))
    assert caught.value.code == "config.schema.rule_violation"


def installer(installed):
    """A parser that installs what it gets, and fails with three replicas after that."""

    def parse_value(value):
        installed.append(value)
        if value["service"]["replicas"] == 3:
            raise ValueError("no room for three")

    return parse_value


def test_a_failed_apply_rolls_back_by_itself_when_the_policy_is_required(world):
    installed = []
    with pytest.raises(ApplyFailed, match="no room for three"):
        reload(
            installer(installed),
            state_of(),
            changed(service__replicas=3),
            audit=world.audit,
            spec=ReloadSpec(rollback="required"),
        )
    assert installed[-1] == VALUE
    assert world.outcomes() == [("bridge.reload", "failed"), ("bridge.rollback", "rolled_back")]


def test_a_failed_apply_is_left_to_the_host_when_the_policy_is_optional(world):
    installed = []
    with pytest.raises(ApplyFailed) as caught:
        reload(
            installer(installed),
            state_of(),
            changed(service__replicas=3),
            audit=world.audit,
            spec=ReloadSpec(rollback="optional"),
        )
    assert len(installed) == 1
    assert caught.value.rollback.previous_state == STATE
    assert world.outcomes() == [("bridge.reload", "failed")]


def test_a_rollback_that_fails_after_a_failed_apply_is_rollback_failed(world):
    def never(value):
        raise ValueError("broken parser")

    with pytest.raises(RollbackFailed, match="the old value is not back"):
        reload(never, state_of(), changed(service__replicas=3), audit=world.audit)


def test_a_missing_audit_id_is_audit_incomplete(world):
    with pytest.raises(AuditIncomplete) as caught:
        reload(world.parsed.append, state_of(), changed(service__replicas=3), spec=ReloadSpec(requires_audit_id=True))
    assert caught.value.code == "bridge.audit.missing_event"
    assert world.parsed == []
    assert caught.value.rollback.failed_step == "audit"


@pytest.mark.parametrize("refused", ["parser.reload", "reml.reload", "bridge.reload"])
def test_a_missing_mandatory_event_is_audit_incomplete_and_the_old_value_is_back(world, refused):
    class Picky:
        def write_record(self, record):
            if record.kind == refused:
                raise OSError(28, "No space left on device")
            world.sink.write_record(record)

    with pytest.raises(AuditIncomplete, match="No space left") as caught:
        reload(
            world.parsed.append, state_of(), changed(service__replicas=3), audit=AuditContext(Picky()), log=world.path
        )
    assert world.parsed[-1] == VALUE
    assert caught.value.rollback.failed_step == "audit"


# --- the way back -----------------------------------------------------------------------------------------------------


def test_rollback_gives_the_previous_state(world):
    first = state_of()
    second = world.reload(first, changed(service__replicas=3))
    third = world.reload(second, config.plan(second.value, second.value | {"ports": []}).flat())
    assert world.rollback(third) == second
    assert world.rollback(world.rollback(third)) == first
    assert world.rollback(third).text() == second.text()


def test_the_history_holds_at_most_10_previous_values(world):
    state = state_of()
    for count in range(3, 16):
        state = world.reload(state, config.plan(state.value, state.value | {"n": count}).flat())
    assert [row["value"].get("n") for row in state.history] == list(range(5, 15))


def test_rollback_without_an_earlier_state_is_rollback_failed(world):
    with pytest.raises(RollbackFailed, match="no earlier state"):
        world.rollback(state_of())
    assert world.outcomes() == [("bridge.rollback", "failed")]


def test_rollback_with_the_policy_unsupported_is_reload_unsupported(world):
    new = world.reload(state_of(), changed(service__replicas=3))
    with pytest.raises(ReloadUnsupported):
        world.rollback(new, spec=ReloadSpec(rollback="unsupported"))


def test_the_rollback_result_records_status_and_audit_id(world):
    new = world.reload(state_of(), changed(service__replicas=3))
    world.rollback(new, audit_id="11111111-2222-4333-8444-555555555555")
    event = world.records("bridge.rollback")[0].metadata["event"]
    assert (event["status"], event["audit_id"]) == ("rolled_back", "11111111-2222-4333-8444-555555555555")


def test_the_parser_gets_the_old_value_again(world):
    new = world.reload(state_of(), changed(service__replicas=3))
    assert rollback(new, parser=lambda value: ("built", value)).built == ("built", VALUE)


# --- audit ------------------------------------------------------------------------------------------------------------


def test_the_bridge_reload_record_is_that_of_the_contract(world):
    world.reload(state_of(), changed(service__replicas=3, ports=[80], legacy=None))
    made = world.records("bridge.reload")[0]
    sample = json.loads(
        '{"timestamp":"2026-03-02T08:35:00Z","category":"bridge","envelope":{"audit_id":"b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30","capability":'
        '"core.runtime.bridge","metadata":{"audit.channel":"bridge","audit.policy.version":"rust.poc.audit.v1","bridge.capability":'
        '"core.runtime.bridge","bridge.id":"host.scene","bridge.reload":"applied","bridge.stage.actual":"beta","bridge.stage.required":'
        '"at_least:beta","event":{"event":"bridge.reload","bridge_id":"host.scene","stage":"beta","audit_id":'
        '"b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30","diff":{"change_set":3,"breaking":false},"state":{"run_id":"session-7","last_applied_at":'
        '"2026-03-02T08:34:10.250Z"}},"event.kind":"bridge.reload","schema.version":"3.0.0-alpha"}}}'
    )
    assert json.loads(made.to_json()) | {"timestamp": ""} == sample | {"timestamp": ""}
    assert list(made.metadata["event"]) == list(sample["envelope"]["metadata"]["event"])


def test_the_structured_log_has_the_flat_line_of_the_guide(world):
    world.reload(state_of(), changed(service__replicas=3))
    line = next(line for line in world.path.read_text().splitlines() if '"reml.reload"' in line)
    assert line.startswith('{"event":"reml.reload","audit_id":"' + AUDIT_ID + '","change_set":{')
    assert set(json.loads(line)) == {"event", "audit_id", "change_set"}
    assert world.lines("bridge.reload")[0]["diff"] == {"change_set": 1, "breaking": False}
    assert world.records("reml.reload")[0].metadata["event"] == json.loads(line)


def test_the_same_audit_id_everywhere(world):
    new = world.reload(state_of(), changed(service__replicas=3))
    assert {record.audit_id for record in world.sink.taken} == {AUDIT_ID} == {new.audit_id}
    assert {
        line["audit_id"] for event in ("reml.reload", "bridge.reload", "reload") for line in world.lines(event)
    } == {AUDIT_ID}
    assert world.records("bridge.reload")[0].metadata["event"]["audit_id"] == AUDIT_ID
    with pytest.raises(ValidationFailed) as caught:
        world.reload(state_of(), "no difference")
    assert caught.value.audit_id == caught.value.rollback.audit_id == AUDIT_ID


def test_the_records_keep_their_required_keys(world, tmp_path):
    new = world.reload(state_of(), changed(service__replicas=3))
    world.rollback(new)
    path = tmp_path / "records.ndjson"
    path.write_text("".join(line if line.endswith("\n") else line + "\n" for line in world.sink.lines))
    verdict = validate_log(path)
    assert verdict.records == 4
    assert verdict.findings == []


def test_metrics_reload_latency_ms_and_reload_failures_total(world):
    before = metrics()
    world.reload(state_of(), changed(service__replicas=3))
    with pytest.raises(ReloadError):
        world.reload(state_of(), "nothing")
    after = metrics()
    assert after["reload.latency_ms"]["count"] == before["reload.latency_ms"]["count"] + 2
    assert after["reload.failures_total"] == before["reload.failures_total"] + 1
    lines = world.lines("reload")
    assert len(lines) == 2
    assert lines[0]["latency_ms"] > 0
    assert lines[1]["custom"]["reload.failures_total"] == after["reload.failures_total"]


def test_prometheus_shows_the_latency_and_the_failures_of_reloads(world):
    pytest.importorskip("prometheus_client")
    from reml_embed.metrics import render_prometheus

    world.reload(state_of(), changed(service__replicas=3))
    text = render_prometheus()
    assert 'reml_latency_ms_count{event="reload"}' in text
    assert (
        f'reml_custom{{event="reload",key="reload.failures_total"}} {float(metrics()["reload.failures_total"])}' in text
    )


# --- states that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "key"),
    [
        ({"run_id": None}, "config.manifest.type_mismatch", "run_id"),
        ({"bridge_id": 3}, "config.manifest.type_mismatch", "bridge_id"),
        ({"last_applied_at": "yesterday"}, "config.manifest.type_mismatch", "last_applied_at"),
        ({"stage": "alpha"}, "config.invalid_stage", "stage"),
        ({"schema_version": "99.0.0"}, "config.schema.version_incompatible", "schema_version"),
        ({"schema_version": "one"}, "config.manifest.type_mismatch", "schema_version"),
        ({"schema_version": "2.0.0", "schema": SCHEMA}, "config.schema.version_incompatible", "schema_version"),
        ({"schema": {"name": "x", "fields": {"a": {"data_type": "strange"}}}}, "config.schema.invalid", "schema.fields.a.data_type"),
        ({"history": {}}, "config.manifest.type_mismatch", "history"),
        ({"history": [3]}, "config.manifest.type_mismatch", "history[0]"),
    ],
)  # fmt: skip
def test_a_state_that_is_none_is_refused_with_code_file_line_and_key_path(change, code, key):
    text = json.dumps(copy.deepcopy(STATE) | change, indent=1)
    with pytest.raises(config.ConfigError) as caught:
        states.read(parse(text, "json", "scene.state"))
    problem = caught.value.problems[0]
    assert (problem.code, problem.file, problem.key_path) == (code, "scene.state", key)
    assert problem.place.line > 1


@pytest.mark.parametrize("name", ["run_id", "last_applied_at", "bridge_id", "stage", "schema_version", "value"])
def test_a_state_without_a_member_is_refused(name):
    data = {key: value for key, value in STATE.items() if key != name}
    with pytest.raises(config.ConfigError, match=f"`{name}` is missing"):
        states.read(Document("", "json", "", data))


def test_members_that_nobody_knows_are_kept(world):
    new = world.reload(state_of(owner="ops"), changed(service__replicas=3))
    assert new.json()["owner"] == "ops"
    assert world.rollback(new).json() == STATE | {"owner": "ops"}


# --- the command ------------------------------------------------------------------------------------------------------


class Shell:
    """`reml-run reload` in an empty folder."""

    def __init__(self, folder):
        self.state, self.diff = folder / "runtime.state", folder / "diff.json"
        self.rollback_file = folder / "runtime.state.rollback.json"
        self.trail = folder / ".reml" / "audit.ndjson"
        self.text = json.dumps(STATE)  # one line without an end: nothing we would write
        self.state.write_text(self.text)
        self.diff.write_text(json.dumps(changed(service__replicas=3).json()))

    def run(self, *arguments, code=0, args=None):
        words = ["reload", *(args if args is not None else [str(self.state), str(self.diff)]), *arguments]
        done = CliRunner().invoke(reml_run, words)
        assert done.exit_code == code, (done.output, done.stderr, done.exception)
        self.stderr = done.stderr
        return json.loads(done.stdout)

    def value(self):
        return json.loads(self.state.read_text())["value"]

    def records(self):
        return [Record.parse(line) for line in self.trail.read_text().splitlines()] if self.trail.exists() else []

    def kinds(self):
        return [record.kind for record in self.records()]


@pytest.fixture
def shell(tmp_path, monkeypatch):
    for name in ("REML_EMBED_AUDIT_PATH", "REML_EMBED_STRUCTURED_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


def test_the_command_applies_and_stdout_holds_exactly_that_object(shell):
    out = shell.run("--audit")
    assert list(out) == ["command", "result", "diagnostics"]
    assert out["command"] == "reload"
    result = out["result"]
    assert list(result) == ["status", "audit_id", "run_id", "change_set"]
    assert result["status"] == "applied"
    saved = json.loads(shell.state.read_text())
    assert saved["value"]["service"]["replicas"] == 3
    assert (saved["audit_id"], saved["run_id"]) == (result["audit_id"], result["run_id"])
    assert result["change_set"] == changed(service__replicas=3).json()
    assert out["diagnostics"] == []


def test_jq_shows_status_and_audit_id(shell):
    if shutil.which("jq") is None:
        pytest.skip("jq is not there")
    line = f"{sys.executable} -m reml_embed.cli.reml_run reload runtime.state diff.json --audit | jq -c '.result | {{status, audit_id}}'"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, timeout=60)
    shown = json.loads(done.stdout)
    assert shown["status"] == "applied"
    assert shown["audit_id"] == json.loads(shell.state.read_text())["audit_id"]


def test_audit_shows_the_records_on_stderr_and_appends_them_to_the_trail(shell, tmp_path, monkeypatch):
    shell.run("--audit")
    assert [
        json.loads(line)["envelope"]["metadata"]["event.kind"] for line in shell.stderr.splitlines()
    ] == shell.kinds()
    assert shell.kinds() == ["parser.reload", "reml.reload", "bridge.reload"]
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(tmp_path / "named.ndjson"))
    shell.run("--rollback", "--audit")
    assert len(shell.kinds()) == 3
    assert len((tmp_path / "named.ndjson").read_text().splitlines()) == 1


def test_a_reload_is_recorded_without_audit_too_and_nothing_is_shown(shell):
    shell.run()
    assert shell.kinds() == ["parser.reload", "reml.reload", "bridge.reload"]
    assert shell.stderr == ""


def test_dry_run_writes_nothing_but_the_result(shell, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    out = shell.run("--dry-run", "--audit")
    assert out["result"]["status"] == "dry_run"
    assert out["result"]["change_set"]["total"] == 1
    after = sorted(path.name for path in tmp_path.iterdir())
    assert after == before
    assert shell.state.read_text() == shell.text


def test_a_dry_run_of_a_dangerous_diff_says_so_and_writes_nothing(shell):
    shell.diff.write_text(json.dumps(changed(service__replicas="3").json()))
    out = shell.run("--dry-run", code=1)
    assert out["result"]["status"] == "rejected"
    assert out["diagnostics"][0]["code"] == "bridge.diff.rejected"
    assert not shell.trail.exists()
    assert not shell.rollback_file.exists()


def test_rollback_restores_the_byte_identical_state_and_consumes_the_rollback_file(shell):
    shell.run()
    info = json.loads(shell.rollback_file.read_text())
    assert set(info) >= {"audit_id", "run_id", "reason", "failed_step", "previous_state", "change_set", "created_at"}
    assert info["previous_state"] == STATE
    out = shell.run("--rollback")
    assert out["result"]["status"] == "rolled_back"
    assert out["result"]["rollback_info"]["audit_id"] == info["audit_id"]
    assert shell.state.read_text() == shell.text
    assert not shell.rollback_file.exists()
    assert shell.records()[-1].metadata["bridge.reload"] == "rolled_back"
    assert shell.records()[-1].audit_id == out["result"]["audit_id"]


def test_rollback_goes_on_through_the_history_byte_for_byte(shell):
    shell.run()
    texts = [shell.state.read_bytes()]
    for count in (4, 5, 6):
        shell.diff.write_text(
            json.dumps(config.plan(shell.value(), shell.value() | {"n": count, "m": "é"}).flat().json())
        )
        shell.run()
        texts.append(shell.state.read_bytes())
    for expected in reversed(texts[:-1]):
        shell.run("--rollback")
        assert shell.state.read_bytes() == expected
    shell.run("--rollback")
    assert json.loads(shell.state.read_text()) == STATE
    out = shell.run("--rollback", code=1)
    assert out["result"]["status"] == "failed"
    assert "no earlier state" in out["diagnostics"][0]["message"]


def test_rollback_without_arguments_means_the_last_recorded_state(shell):
    shell.run()
    assert shell.run(args=["--rollback"])["result"]["status"] == "rolled_back"
    assert shell.state.read_text() == shell.text


def test_rollback_without_arguments_and_without_a_record_is_wrong_usage(shell):
    done = CliRunner().invoke(reml_run, ["reload", "--rollback"])
    assert done.exit_code == 2
    assert "no reload is recorded" in done.stderr
    assert done.stdout == ""


def test_rollback_after_a_failed_reload_leaves_what_was_running(shell):
    shell.run()
    running = shell.state.read_bytes()
    shell.run(code=1)  # the same difference again does not fit
    info = json.loads(shell.rollback_file.read_text())
    assert info["failed_step"] == "apply"
    assert shell.state.read_bytes() == running
    assert shell.run("--rollback")["result"]["status"] == "rolled_back"
    assert shell.state.read_bytes() == running


def test_rollback_of_a_state_that_changed_since_is_refused(shell):
    shell.run()
    shell.state.write_text(shell.state.read_text().replace("billing", "orders"))
    edited = shell.state.read_bytes()
    out = shell.run("--rollback", code=1)
    assert out["diagnostics"][0]["code"] == "config.change_set.conflict"
    assert shell.state.read_bytes() == edited


def test_rollback_with_dry_run_writes_nothing(shell):
    shell.run()
    texts = shell.state.read_bytes(), shell.rollback_file.read_bytes(), shell.trail.read_bytes()
    assert shell.run("--rollback", "--dry-run")["result"]["status"] == "dry_run"
    assert (shell.state.read_bytes(), shell.rollback_file.read_bytes(), shell.trail.read_bytes()) == texts


@pytest.mark.parametrize("form", ["change_set", "entries", "config_diff", "schema_diff"])
def test_a_diff_is_a_change_set_a_schema_diff_or_the_complete_config_diff_output(shell, form, tmp_path):
    new = VALUE | {"service": {"name": "billing", "replicas": 3}}
    if form == "config_diff":
        (tmp_path / "a.json").write_text(json.dumps(VALUE))
        (tmp_path / "b.json").write_text(json.dumps(new))
        command = [
            sys.executable,
            "-m",
            "reml_embed.cli.remlc",
            "config",
            "diff",
            "a.json",
            "b.json",
            "--format",
            "json",
        ]
        shell.diff.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    elif form == "schema_diff":
        shell.state.write_text(json.dumps(STATE | {"schema": SCHEMA}))
        shell.diff.write_text(json.dumps(schema_diff(region={"data_type": "string", "default_value": "eu"}).json()))
        new = VALUE | {"region": "eu"}
    else:
        made = config.plan(VALUE, new)
        shell.diff.write_text(json.dumps((made if form == "entries" else made.flat()).json()))
    shell.run()
    assert shell.value() == new


def test_a_rejected_diff_exits_with_1_and_its_diagnostic_has_the_audit_id_of_the_result(shell):
    shell.diff.write_text('{"kind": "strange"}')
    out = shell.run(code=1)
    assert out["result"]["status"] == "rejected"
    assert out["result"]["rollback_info"]["failed_step"] == "compare"
    found = out["diagnostics"][0]
    assert found["code"] == "bridge.diff.invalid"
    assert found["audit"]["audit_id"] == out["result"]["audit_id"]
    assert found["audit_metadata"]["bridge.diff.received"] == "strange"
    assert found["severity"] == "error"
    assert {record.audit_id for record in shell.records()} == {out["result"]["audit_id"]}
    assert shell.kinds() == ["diagnostic.emitted", "bridge.reload"]
    assert shell.state.read_text() == shell.text


def test_a_diff_that_is_no_json_names_file_and_line(shell):
    shell.diff.write_text('{\n "items": [\n')
    found = shell.run(code=1)["diagnostics"][0]
    assert found["code"] == "bridge.diff.invalid"
    assert found["file"].endswith("diff.json")
    assert found["primary"]["start_line"] == 3


@pytest.mark.parametrize("missing", ["state", "diff"])
def test_a_missing_file_exits_with_2_and_still_prints_the_object(shell, missing):
    getattr(shell, missing).unlink()
    out = shell.run(code=2)
    assert out["result"]["status"] == "failed"
    assert out["diagnostics"][0]["code"] == "config.manifest.io_error"


def test_arguments_may_be_left_out_with_rollback_only(shell):
    assert CliRunner().invoke(reml_run, ["reload", str(shell.state)]).exit_code == 2
    assert CliRunner().invoke(reml_run, ["reload"]).exit_code == 2


def test_a_state_of_another_version_exits_with_1_and_stays_as_it_is(shell):
    text = json.dumps(STATE | {"schema_version": "99.0.0"}, indent=1)
    shell.state.write_text(text)
    found = shell.run(code=1)["diagnostics"][0]
    assert found["code"] == "config.schema.version_incompatible"
    assert found["primary"]["start_line"] == 6
    assert found["extensions"]["config"]["key_path"] == "schema_version"
    assert shell.state.read_text() == text


def test_a_log_that_cannot_be_written_refuses_the_reload_and_the_old_file_is_intact(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(tmp_path / "no" / "such" / "folder.ndjson"))
    out = shell.run(code=1)
    assert out["result"]["status"] == "failed"
    assert out["result"]["rollback_info"]["failed_step"] == "audit"
    assert out["diagnostics"][0]["code"] == "bridge.audit.missing_event"
    assert shell.state.read_text() == shell.text


def test_a_full_disk_leaves_the_old_file_intact(shell, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reml_embed.config.documents.os.fsync", full)
    out = shell.run(code=1)
    assert out["result"]["status"] == "failed"
    assert "No space left" in out["diagnostics"][0]["message"]
    assert shell.state.read_text() == shell.text


def test_ctrl_c_leaves_the_old_state_and_is_recorded(shell, monkeypatch):
    wanted = shell.state

    take = FileSink.write_record

    def stop(sink, record):
        if json.loads(wanted.read_text())["run_id"] != "session-7":  # the new state has just been put in place
            raise KeyboardInterrupt
        take(sink, record)

    monkeypatch.setattr("reml_embed.audit.sinks.FileSink.write_record", stop)
    done = CliRunner().invoke(reml_run, ["reload", str(shell.state), str(shell.diff)])
    assert done.exit_code == 1  # 130 outside of a test
    out = json.loads(done.stdout)
    assert out["result"]["status"] == "failed"
    assert out["diagnostics"][0]["code"] == "runtime.interrupted"
    assert shell.state.read_text() == shell.text
    assert [record.metadata["error.code"] for record in shell.records() if record.kind == "diagnostic.emitted"] == [
        "runtime.interrupted"
    ]


def test_a_folder_that_is_read_only_leaves_the_old_file_intact(shell, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    tmp_path.chmod(0o555)
    try:
        assert shell.run(code=2)["result"]["status"] == "failed"
        assert shell.state.read_text() == shell.text
    finally:
        tmp_path.chmod(0o755)


def declare(folder, **reload_spec):
    row = {
        "id": "host.scene", "stage": "experimental", "required_capabilities": ["io.fs.read"], "required_effects": [], "target_profiles": [],
        "reload": reload_spec or None, "audit": {"requires_audit_effect": True},
    }  # fmt: skip
    (folder / ".reml" / "bridges").mkdir(parents=True)
    (folder / ".reml" / "bridges" / "scene.json").write_text(json.dumps(row))


def test_the_command_refuses_the_flag_when_the_policy_of_the_bridge_is_unsupported(shell, tmp_path):
    declare(tmp_path, rollback="unsupported")
    shell.run()
    out = shell.run("--rollback", code=2)
    assert out["result"]["status"] == "failed"
    assert "rollback" in out["diagnostics"][0]["message"]


def test_the_contract_of_a_declared_bridge_holds_and_its_events_are_noted(shell, tmp_path):
    declare(tmp_path, rollback="required", diff_format="SchemaDiff")
    shell.run()
    shell.run("--rollback")
    kept = json.loads((tmp_path / ".reml" / "bridges.json").read_text())["bridges"]["host.scene"]
    assert set(kept["events"]) == {"parser.reload", "bridge.reload", "bridge.rollback"}
    assert shell.records()[0].metadata["bridge.capability"] == "io.fs.read"


def test_a_bridge_without_a_reload_contract_cannot_be_reloaded(shell, tmp_path):
    declare(tmp_path)
    assert shell.run(code=1)["result"]["status"] == "failed"
    assert shell.state.read_text() == shell.text


def test_two_reloads_at_once_take_turns(shell):
    command = [sys.executable, "-m", "reml_embed.cli.reml_run", "reload", "runtime.state"]
    processes = []
    for name in "abcd":
        (shell.state.parent / f"{name}.json").write_text(
            json.dumps({"items": [{"kind": "added", "key": name, "current": 1}]})
        )
        processes.append(
            subprocess.Popen([*command, f"{name}.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    for process in processes:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, out + error
    assert set(shell.value()) == {*VALUE, *"abcd"}
    assert len(json.loads(shell.state.read_text())["history"]) == 4


# --- a bridge of the registry -------------------------------------------------------------------------------------------


@pytest.fixture
def scene(world):
    """A registered bridge, its reloader and what its parser installed."""
    from reml_embed.live import BridgeReloader
    from reml_embed.registry._shape import Reader
    from reml_embed.registry.bridge import RuntimeBridgeRegistry
    from reml_embed.registry.bridge_shape import RuntimeBridgeDescriptor
    from reml_embed.registry.capability import CapabilityRegistry

    row = {
        "id": "host.scene", "stage": "experimental", "required_capabilities": ["io.fs.read"],
        "reload": {"rollback": "required"}, "audit": {"requires_audit_effect": True},
    }  # fmt: skip
    quiet = AuditContext(MemorySink())
    bridges = RuntimeBridgeRegistry(CapabilityRegistry(audit=quiet), audit=world.audit, features={"runtime-bridge"})
    installed = []
    reloader = BridgeReloader(bridges, "host.scene", state_of(), parser=installer(installed))
    bridges.register_bridge(
        RuntimeBridgeDescriptor.read(Reader(row)), reload=reloader.reload, rollback=reloader.rollback
    )
    return bridges.acquire_bridge("host.scene"), reloader, installed, bridges


def test_the_handle_of_a_bridge_reloads_and_goes_back_under_one_audit_id(world, scene):
    handle, reloader, installed, bridges = scene
    new = handle.reload(changed(service__replicas=4))
    assert reloader.state is new
    records = [
        record for record in world.sink.taken if record.kind in {"parser.reload", "reml.reload", "bridge.reload"}
    ]
    assert len(records) == 3
    assert {record.audit_id for record in records} == {new.audit_id}
    assert {record.metadata["bridge.capability"] for record in records} == {"io.fs.read"}
    assert handle.rollback().value == VALUE
    assert installed[-1] == VALUE
    assert len(world.records("bridge.rollback")) == 1
    assert bridges.state("host.scene").events >= {"bridge.reload", "bridge.rollback"}
    assert bridges.verify_mandatory_events("host.scene") == ()


def test_a_handle_tells_of_a_failed_reload_once_and_the_old_value_is_back(world, scene):
    from reml_embed.registry.bridge import ReloadFailure

    handle, _reloader, installed, bridges = scene
    with pytest.raises(ReloadFailure) as caught:
        handle.reload(changed(service__replicas=3))
    assert isinstance(caught.value.__cause__, ApplyFailed)
    assert installed[-1] == VALUE
    assert world.outcomes() == [("bridge.reload", "failed"), ("bridge.rollback", "rolled_back")]
    with pytest.raises(ReloadFailure):
        handle.reload("nothing")
    assert bridges.diagnostics[-1].code == "bridge.diff.invalid"


# --- kill -9 ----------------------------------------------------------------------------------------------------------

CHILD = """
import json, sys
from pathlib import Path
from click.testing import CliRunner
from reml_embed.cli.reml_run import reml_run
print("ready", flush=True)
n = json.loads(Path("runtime.state").read_text())["value"]["n"]
while True:
    Path("diff.json").write_text(json.dumps({"items": [
        {"kind": "updated", "key": "n", "previous": n, "current": n + 1},
        {"kind": "updated", "key": "pad", "previous": str(n) * 2000, "current": str(n + 1) * 2000}]}))
    done = CliRunner().invoke(reml_run, ["reload", "runtime.state", "diff.json"])
    assert done.exit_code == 0, done.output
    n += 1
"""


def test_kill_9_at_any_moment_leaves_the_old_or_the_new_state_never_a_mixture(shell):
    dice = random.Random(11)
    state = STATE | {"value": {"n": 0, "pad": "0" * 2000}}
    shell.state.write_text(json.dumps(state))
    kills, moved = 50 if os.environ.get("CI") else 12, 0
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(dice.random() * 0.12)
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0]
        assert child.returncode == -signal.SIGKILL, rest
        found = states.read(parse(shell.state.read_text(), "json", "runtime.state"))
        n = found.value["n"]
        assert found.value["pad"] == str(n) * 2000, "a mixture"
        assert [row["value"]["n"] for row in found.history] == list(range(max(0, n - 10), n))
        moved += n > 0
        assert states.StateFile(shell.state).read_rollback() is None or n >= 0
    assert moved, "no child got as far as a reload"
    before = found.value["n"]
    shell.run("--rollback")
    assert shell.value()["n"] in {before, before - 1}
