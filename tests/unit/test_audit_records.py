"""Records, kinds, ids: CONTRACTS 0.4, 0.5, 3.2, 3.3, 3.6."""

import json
import uuid

import pytest

from reml_embed import audit
from reml_embed.audit.kinds import BRIDGE_REQUIRED, KINDS
from reml_embed.audit.records import read_text
from reml_embed.cli._trail import Trail
from reml_embed.errors import MissingExtraError, require

USERS_LINE = (
    '{"timestamp":"2025-07-01T10:31:55Z","envelope":{"audit_id":"c6cdebe5-2a50-4b2b-96c6-0f74f1fa0f11","capability":"core.runtime.bridge",'
    '"metadata":{"audit.channel":"cli","audit.policy.version":"rust.poc.audit.v1","bridge.id":"host.fs","bridge.stage.required":"exact:beta",'
    '"bridge.stage.actual":"at_least:beta","bridge.reload.diff":"fs-hot-reload.diff","bridge.reload.requested_by":'
    '"dsl://examples/core_diagnostics/pipeline_success.reml","event.kind":"bridge_stage_verified","pipeline.dsl_id":"pipeline_success.reml",'
    '"pipeline.id":"dsl://examples/core_diagnostics/pipeline_success.reml","schema.version":"3.0.0-alpha"}}}'
)


def record(kind, **metadata):
    return audit.Record.make(
        kind, {key.replace("__", "."): value for key, value in metadata.items()},
        timestamp=audit.now(), audit_id=audit.new_id(),
    )  # fmt: skip


def test_the_users_bridge_stage_verified_line_parses_validates_and_reserialises_unchanged():
    line = audit.Record.parse(USERS_LINE)
    assert line.kind == "bridge_stage_verified"
    assert audit.missing_keys(line) == []
    assert line.to_json() == USERS_LINE


def test_unknown_keys_and_unknown_kinds_never_break_a_reader():
    text = '{"timestamp":"2026-01-01T00:00:00Z","new":1,"envelope":{"audit_id":"x","more":[],"metadata":{"event.kind":"of.tomorrow","k":{"deep":1}}}}'
    line = next(read_text(text + "\n"))
    assert line.problem is None
    assert line.record.kind == "of.tomorrow"
    assert audit.missing_keys(line.record) == []
    assert line.record.to_json() == text


def test_keys_are_looked_up_dotted_then_nested_then_flat():
    nested = record("x", bridge={"id": "nested"}, event={"event": "x", "run_id": "flat", "bridge.id": "last"})
    assert audit.lookup(nested, "bridge.id") == "nested"
    assert audit.lookup(nested, "run_id") == "flat"
    nested.metadata["bridge.id"] = "dotted"
    assert audit.lookup(nested, "bridge.id") == "dotted"
    flat = audit.Record({"event": "gc.stats", "policy": "Rc", "diff": {"change_set": 3}, "heap_limit": None})
    assert (audit.lookup(flat, "policy"), audit.lookup(flat, "diff.change_set")) == ("Rc", 3)
    assert audit.has(flat, "heap_limit")
    assert audit.lookup(flat, "heap_limit", 7) is None
    assert not audit.has(flat, "nothing")


def test_keys_of_thousands_of_dots_are_looked_up_in_no_time():
    assert not audit.has(record("x", a={"a": {"a": {}}}), ".".join("a" * 5000))


def test_missing_keys_have_the_text_of_the_contract():
    context = audit.AuditContext(audit.MemorySink())
    with pytest.raises(audit.AuditValidationError) as caught:
        context.log("snapshot.updated")
    assert str(caught.value) == "audit metadata validation failed: missing keys [snapshot.hash, snapshot.name]"
    assert caught.value.missing == ("snapshot.hash", "snapshot.name")
    assert context.sink.lines == []


def test_empty_metadata_is_the_missing_key_metadata():
    empty = audit.Record({"timestamp": "2026-01-01T00:00:00Z", "envelope": {"metadata": {}}})
    assert audit.missing_keys(empty) == ["metadata"]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.required])
def test_each_required_key_of_each_kind_is_required(name):
    kind = KINDS[name]
    keys = set(kind.required) | (set(BRIDGE_REQUIRED) if name == "ffi.call" else set())
    for _ in range(3):  # groups bring further keys
        made = audit.Record.make(
            name, {key: None for key in keys if key != "event.kind"}, timestamp=audit.now(), audit_id=audit.new_id()
        )
        keys |= set(audit.missing_keys(made))
    assert audit.missing_keys(made) == []
    for key in kind.required:
        less = audit.Record.make(
            name, {other: None for other in keys if other != key}, timestamp=audit.now(), audit_id=audit.new_id()
        )
        assert key in audit.missing_keys(less)


def test_other_kinds_of_bridges_need_the_bridge_group():
    assert audit.missing_keys(record("bridge.whatever")) == [
        "bridge.id",
        "bridge.stage.actual",
        "bridge.stage.required",
    ]


def test_stage_group_any_of_three_requires_all_three():
    assert audit.missing_keys(record("custom", effect__capability="x")) == [
        "effect.stage.actual",
        "effect.stage.required",
    ]


def test_bridge_capability_is_satisfied_by_the_capability_of_the_envelope():
    metadata = {"bridge__id": "a", "bridge__stage__required": "beta", "bridge__stage__actual": "beta"}
    assert audit.missing_keys(record("custom", **metadata)) == ["bridge.capability"]
    with_it = record("custom", **metadata)
    with_it.data["envelope"]["capability"] = "core.runtime.bridge"
    assert audit.missing_keys(with_it) == []


def test_a_verified_stage_needs_provider_and_manifest_path_null_allowed():
    made = record(
        "capability_check", effect__capability="x", effect__stage__required="beta", effect__stage__actual="beta"
    )
    assert {"effect.provider", "effect.manifest_path"} <= set(audit.missing_keys(made))
    made.metadata["effect.manifest_path"] = None
    assert "effect.manifest_path" not in audit.missing_keys(made)


def test_log_puts_the_flat_payload_with_its_event_under_metadata_event():
    sink = audit.MemorySink()
    audit_id = audit.AuditContext(sink, domain="d", subject="s", channel="bridge").log(
        "reml.reload", {"audit_id": "a", "change_set": {}}, capability="core.runtime.bridge"
    )
    [made] = sink.taken
    assert made.audit_id == audit_id
    assert made.metadata["event"] == {"event": "reml.reload", "audit_id": "a", "change_set": {}}
    assert made.metadata["event.kind"] == "reml.reload"
    assert {key: made.metadata[key] for key in audit.kinds.BASE_KEYS} == {
        "event.kind": "reml.reload", "schema.version": "3.0.0-alpha", "audit.policy.version": "rust.poc.audit.v1",
        "audit.channel": "bridge",
    }  # fmt: skip


def test_required_keys_of_the_payload_stand_next_to_it():
    sink = audit.MemorySink()
    audit.AuditContext(sink).log("snapshot.updated", {"snapshot": {"name": "a"}, "snapshot.hash": "b"})
    assert sink.taken[0].metadata["snapshot.name"] == "a"


def test_cli_audit_id_is_the_uuid_v5_of_its_label(monkeypatch):
    monkeypatch.setenv("REMLC_GIT_COMMIT", "abc1234")
    made = audit.cli_identity("cli", started="2026-03-02T08:15:00Z", sequence=7)
    assert made["audit.id.label"] == "cli/20260302T081500Z-abc1234#7"
    assert made["cli.audit_id"] == made["audit.id.uuid"] == str(uuid.uuid5(uuid.NAMESPACE_URL, made["audit.id.label"]))
    assert made["audit.source.commit"] == "abc1234"
    monkeypatch.delenv("REMLC_GIT_COMMIT")
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef")
    assert audit.cli_identity(started="2026-03-02T08:15:00Z")["audit.build_id"] == "20260302T081500Z-0123456"


def test_records_of_a_command_carry_the_identity_of_the_run():
    sink = audit.MemorySink()
    trail = Trail("check", {"file": "a.reml"}, sink=sink, inputs=["a.reml"], target="linux")
    trail.log("doc.doctest")
    made = sink.taken[0].metadata
    assert made["cli.run_id"] == trail.run_id
    assert made["cli.audit_id"] == trail.audit_id
    assert made["cli.command"] == "check"
    assert made["audit.channel"] == "cli"
    assert made["cli.change_set"]["items"] == [
        {"kind": "cli-command", "command": "check", "arguments": {"file": "a.reml"}},
        {"kind": "input", "path": "a.reml", "target": "linux"},
    ]
    assert set(made["cli.change_set"]) == {"policy", "origin", "source", "run_id", "items"}


def test_a_file_sink_writes_a_chain(tmp_path):
    sink = audit.FileSink(tmp_path / "a.ndjson")
    context = audit.AuditContext(sink)
    for number in range(3):
        context.log("doc.doctest", {"number": number})
    report = audit.verify(tmp_path / "a.ndjson")
    assert (report.verdict, report.records) == ("ok", 3)
    assert [line.record.sequence for line in audit.read(tmp_path / "a.ndjson")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[1]", "not_object"), ("nonsense", "not_json"), ('{"a":1,"a":2}', "duplicate_key"), ('{"a":NaN}', "not_json"),
        ('{"a":' + "[" * 100000 + "}", "not_json"), ('{"a":' + "9" * 5000 + "}", "not_json"), ("3", "not_object"),
    ],
)  # fmt: skip
def test_a_bad_line_has_a_problem_and_the_next_one_is_read(line, code):
    bad, good = read_text(line + '\n{"event":"x"}\n')
    assert bad.record is None
    assert bad.problem.code == f"audit.record.{code}"
    assert good.number == 2
    assert good.record.kind == "x"


def test_bytes_that_are_no_utf8_and_torn_lines_are_named(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"event":"\xff"}\n\n{"event":"a"}\r\n{"event":"to')
    lines = list(audit.read(path))
    assert [(line.number, line.problem and line.problem.code) for line in lines] == [
        (1, "audit.record.not_utf8"), (3, None), (4, "audit.record.torn"),
    ]  # fmt: skip


def test_a_last_record_without_line_end_counts(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"event":"a"}')
    assert [line.record.kind for line in audit.read(path)] == ["a"]


def test_the_structured_log_has_the_flat_payload_and_nothing_else(tmp_path):
    log = audit.StructuredLog(tmp_path / "log.ndjson")
    log.json({"event": "reml.reload", "audit_id": None, "change_set": {"é": 1}})
    log.json({"event": "x"})
    assert (tmp_path / "log.ndjson").read_text() == (
        '{"event":"reml.reload","audit_id":null,"change_set":{"é":1}}\n{"event":"x"}\n'
    )
    with pytest.raises(ValueError):
        log.json({"event": "x", "v": float("nan")})
    assert len((tmp_path / "log.ndjson").read_text().splitlines()) == 2


def test_failures_of_secondary_sinks_are_reported_and_abort_nothing():
    first, second, told = audit.MemorySink(), audit.MemorySink(), []
    second.failing = True
    sink = audit.MultiSink([first, second], report=lambda *failure: told.append(failure))
    audit.AuditContext(sink).log("doc.doctest")
    assert (first.kinds, sink.failed, told[0][0]) == (["doc.doctest", "audit.sink_failed"], 1, second)
    first.failing = True
    with pytest.raises(OSError):
        audit.AuditContext(sink).log("doc.doctest")


def test_a_missing_extra_names_itself():
    with pytest.raises(MissingExtraError, match=r"pip install 'reml-embed\[ops\]'"):
        require("no_such_module_here", "ops")
    assert require("json", "ops") is json
