"""CONTRACTS 19.3: foreign calls that are answered by stubs, each with its record."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink, Record
from reml_embed.audit.kinds import missing_keys
from reml_embed.effects import Sandbox, StubMissingError, read_dsl, stage_mismatches, stub_record

GUIDE = Path(__file__).parents[2] / "examples" / "guide"

SOURCE = """
extern "host" { type FfiError }
effect ForeignCall : ffi { operation call(name: Text, payload: Bytes) -> Result<Bytes, FfiError> }
fn send(name: Str, text: Str) -> Result<Bytes, FfiError> = do ForeignCall.call(name, text.to_bytes())
"""

#: The example of the contract, without what is never the same.
EXAMPLE = (
    '{"timestamp":"2026-03-02T08:50:33Z","category":"ffi.bridge","envelope":{"audit_id":"6e3cb4a0-1b1c-4b6b-a9f0-0a7b2c9e5d11",'
    '"capability":"foreign-call","metadata":{"audit.channel":"runtime","audit.policy.version":"rust.poc.audit.v1","effect.capability":'
    '"foreign-call","effect.manifest_path":null,"effect.provider":"core","effect.stage.actual":"experimental","effect.stage.required":'
    '"at_least:experimental","event":{"event":"ffi.call","bytes":42,"capability":"foreign-call","effects":["ffi"],"name":"billing",'
    '"payload_bytes":42,"stage":"experimental","status":"stubbed","symbol":"billing"},"event.kind":"ffi.call","ffi":{"capability":'
    '"foreign-call","capability_stage":"experimental","effect_flags":["ffi"],"event":"ffi.call","library":"stub","status":"stubbed",'
    '"symbol":"billing"},"schema.version":"3.0.0-alpha"}}}'
)


def test_the_record_is_that_of_the_contract_byte_for_byte() -> None:
    sink = MemorySink()
    stub_record(AuditContext(sink), "billing", 42, capability="foreign-call", stage="experimental")
    (record,) = sink.records
    data = json.loads(json.dumps(record))
    data["timestamp"] = "2026-03-02T08:50:33Z"
    data["envelope"]["audit_id"] = "6e3cb4a0-1b1c-4b6b-a9f0-0a7b2c9e5d11"
    assert json.dumps(data, separators=(",", ":")) == EXAMPLE
    assert missing_keys(Record(data)) == []


def test_stage_and_capability_are_mandatory() -> None:
    audit = AuditContext(MemorySink())
    for wrong in ({"stage": ""}, {"stage": "alpha"}, {"capability": ""}, {"name": ""}):
        given: dict[str, Any] = {"name": "billing", "capability": "foreign-call", "stage": "beta"} | wrong
        with pytest.raises(ValueError, match="stub record needs"):
            stub_record(audit, given["name"], 1, capability=given["capability"], stage=given["stage"])
    assert audit.sink.records == []  # type: ignore[attr-defined]


@pytest.fixture
def context() -> Any:
    with reml.Context() as made:
        made.load(SOURCE)
        yield made


def stubbed(context: reml.Context) -> list[dict[str, Any]]:
    rows = [row["envelope"]["metadata"] for row in context.drain()]
    return [row for row in rows if row.get("ffi", {}).get("status") == "stubbed"]


def test_stubs_answer_and_leave_records(context: reml.Context) -> None:
    with Sandbox(context, {"billing": b"paid", "echo": bytes.upper}) as sandbox:
        assert context.function("send")("billing", "x" * 42) == reml.Ok(b"paid")
        assert context.function("send")("echo", "abc") == reml.Ok(b"ABC")
    assert sandbox.calls == [("billing", b"x" * 42), ("echo", b"abc")]
    rows = stubbed(context)
    assert [(row["event"]["name"], row["event"]["bytes"]) for row in rows] == [("billing", 42), ("echo", 3)]
    assert all("bridge" not in row for row in rows)
    assert all(row["ffi"]["library"] == "stub" for row in rows)


def test_a_missing_or_failing_stub_is_an_err_and_recorded(context: reml.Context) -> None:
    def fail(payload: bytes) -> bytes:
        raise OSError(payload)

    with Sandbox(context, {"bad": fail}):
        missing = context.function("send")("nobody", "x")
        assert isinstance(missing, reml.Err)
        assert isinstance(missing.error, StubMissingError)
        failed = context.function("send")("bad", "x")
        assert isinstance(failed, reml.Err)
        assert "ffi.call.failed" in str(failed.error)
    assert len(stubbed(context)) == 2


def test_without_a_sandbox_nothing_crosses(context: reml.Context) -> None:
    with pytest.raises(reml.RunError, match="no handler for ForeignCall"):
        context.function("send")("billing", "x")
    assert stubbed(context) == []


def test_a_sandbox_is_opened_once(context: reml.Context) -> None:
    sandbox = Sandbox(context)
    with sandbox, pytest.raises(ValueError, match="open"):
        sandbox.__enter__()


def test_a_record_needs_the_capability_to_be_registered(context: reml.Context) -> None:
    with pytest.raises(reml.RemlError, match=r"runtime\.capability\.unknown"):
        Sandbox(context, capability="no.such").record("billing", 1)


def test_the_guides_block_leaves_the_record_by_audit_log() -> None:
    sys.path.insert(0, str(GUIDE))
    try:
        import guide
    finally:
        sys.path.remove(str(GUIDE))
    folder = "08_ffi_sandbox"
    with reml.Context() as context:
        sandbox = Sandbox(context)
        guide.load_bindings(context, folder)
        context.bind("AuditLog.log", sandbox.log)
        context.bind("encode", lambda request: request)
        context.bind("stub_response", lambda name, payload: payload)
        context.bind("decode_response", reml.Ok)
        context.set_value("audit", object())
        block = guide.load_block(context, folder)
        hints = [item for item in context.diagnostics if item.code == "effects.stage.missing_opt_in"]
        assert hints[0].json["extensions"]["effects"]["stage"] == "experimental"  # type: ignore[index,call-overload]
        assert block["with_foreign_stub"](b"ping") == reml.Ok(b"ping")
        (row,) = stubbed(context)
    assert row["event"] == {
        "event": "ffi.call", "bytes": 4, "capability": "foreign-call", "effects": ["ffi"], "name": "service", "payload_bytes": 4,
        "stage": "experimental", "status": "stubbed", "symbol": "service",
    }  # fmt: skip


def test_an_incomplete_ffi_call_of_a_script_is_refused(context: reml.Context) -> None:
    sandbox = Sandbox(context)
    for value in (
        {"name": "x"},
        {"bytes": 1},
        {"name": "x", "bytes": -1},
        {"name": 1, "bytes": 1},
        {"name": "x", "bytes": True},
    ):
        with pytest.raises(ValueError, match="needs name and bytes"):
            sandbox.log(None, "ffi.call", value)
    sandbox.log(None, "billing.done", {"n": 1})
    assert stubbed(context) == []


def test_a_manifest_must_expect_the_stage_of_the_capability(tmp_path: Path) -> None:
    manifest = tmp_path / "reml.toml"
    text = '[dsl.billing]\nentry = "billing.reml"\nexpect_effects = ["ffi"]\ncapabilities = ["foreign-call"]\n'
    manifest.write_text(text + 'expect_effects_stage = "beta"\n')
    (found,) = stage_mismatches(read_dsl(manifest))
    assert "dsl.billing.expect_effects_stage is beta, foreign-call stands at experimental" in found
    manifest.write_text(text)  # stable, once expect_effects is set
    (found,) = stage_mismatches(read_dsl(manifest))
    assert "is stable" in found
    manifest.write_text(text + 'expect_effects_stage = "experimental"\n')
    assert stage_mismatches(read_dsl(manifest)) == []
