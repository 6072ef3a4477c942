"""The sample lines of CONTRACTS 1.6, 2.6, 3.5, 9 and 12.6: what is written has their members, no others, and their values."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reml_embed as reml
from reml_embed import audit
from reml_embed._ffi import ffi, lib
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.registry.bridge import FEATURE, RuntimeBridgeRegistry
from reml_embed.registry.bridge_shape import BackpressureSignal, RuntimeBridgeDescriptor, StreamSignal
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.stage import AtLeast

#: Members that say when, who and where: any value will do.
MACHINE = ("target.arch", "target.os", "target.triple")
#: Members of CONTRACTS 0.5 and 3.6 that samples leave out for shortness.
BESIDE = ("audit.build_id", "audit.chain.hash", "audit.chain.previous", "audit.id.label", "audit.id.uuid", "audit.sequence", "audit.source.commit",
          "audit.source.workspace", "audit.timestamp")  # fmt: skip


def members(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its metadata, without what differs each time; order matters not."""
    envelope = record["envelope"]
    metadata = {key: value for key, value in envelope["metadata"].items() if key not in BESIDE}
    for key in MACHINE:
        if key in metadata:
            metadata[key] = str
    return {
        "members": list(record), "envelope": list(envelope), "category": record["category"], "capability": envelope["capability"], "metadata": metadata,
    }  # fmt: skip


def metadata(capability: str, category: str, **found: Any) -> dict[str, Any]:
    """A sample in the form of `members`."""
    common = {"audit.policy.version": "rust.poc.audit.v1", "schema.version": "3.0.0-alpha"}
    return {
        "members": ["timestamp", "category", "envelope"], "envelope": ["audit_id", "capability", "metadata"], "category": category,
        "capability": capability, "metadata": common | found,
    }  # fmt: skip


def test_sample_1_6_a_refused_version_is_recorded() -> None:
    assert lib.reml_create_context(b"0.2.0", ffi.new("reml_embed_context_t**")) == lib.REML_EMBED_STATUS_ABI_MISMATCH
    record = [json.loads(line) for line in drained() if '"0.2.0"' in line][-1]
    assert members(record) == metadata("native.embed", "native.embed", **{
        "audit.channel": "embed", "effect.capability": "native.embed", "effect.manifest_path": None, "effect.provider": "core",
        "effect.stage.actual": "experimental", "effect.stage.required": "at_least:experimental", "embed.abi.version": "0.2.0",
        "embed.status": "abi_mismatch", "error.code": "native.embed.abi_mismatch", "error.message": "abi mismatch: expected 0.1.0, got 0.2.0",
        "error.severity": "error", "event.kind": "native.embed.call", "native.embed.abi_mismatch": True,
        "native.embed.entrypoint": "reml_create_context", "target.arch": str, "target.os": str, "target.triple": str,
    })  # fmt: skip


def drained() -> list[str]:
    """Lines of the process that nobody took."""
    return [json.dumps(line) if isinstance(line, dict) else str(line) for line in audit.drain()]


def test_sample_2_6_a_transferred_result_is_recorded() -> None:
    with reml.Context() as context:
        context.load('fn main() -> List<Str> = ["a"]')
        context.execute("main")
        context.result_take().release()
        records = [record for record in context.drain() if record["envelope"]["metadata"]["event.kind"] == "ffi.call"]
    found = members(records[0])
    bridge = found["metadata"]["bridge"]
    for key in ("abi", "arch", "expected_abi", "platform", "target"):
        assert isinstance(bridge.pop(key), str)
    found["metadata"]["ffi"].pop("latency_ns", None)  # optional (2.6)
    assert found == metadata("ffi.bridge", "ffi.bridge", **{
        "audit.channel": "runtime", "event.kind": "ffi.call",
        "bridge": {
            "audit_pass_rate": 1.0, "extern_symbol": "reml_embed_result_take", "ownership": "transferred", "status": "ok",
            "return": {
                "ownership": "transferred", "rc_adjustment": "dec_ref", "release_handler": "dec_ref", "status": "wrap_and_release",
                "wrap": "wrap_foreign_ptr",
            },
        },
        "ffi": {
            "capability": "ffi.bridge", "capability_stage": "beta", "effect_flags": ["ffi", "unsafe"], "event": "ffi.call",
            "library": "reml_embed", "status": "success", "symbol": "reml_embed_result_take",
        },
    })  # fmt: skip


@pytest.fixture
def checked(tmp_path: Path) -> list[dict[str, Any]]:
    """Records of a check of examples/orders.reml, with its constraint graph."""
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "orders.reml").write_text("fn main() -> Int = 1 + 2\n", encoding="utf-8")
    words = ["examples/orders.reml", "--audit", "log", "--emit-telemetry", "constraint_graph"]
    subprocess.run(
        [sys.executable, "-m", "reml_embed.cli.remlc", *words], cwd=tmp_path, check=True, capture_output=True
    )
    return [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]


def of_command(record: dict[str, Any], *varying: str) -> dict[str, Any]:
    """`members` of a record of a command: ids and counts stand for themselves."""
    found = members(record)
    change_set = found["metadata"]["cli.change_set"]
    assert (change_set["origin"], change_set["policy"]) == ("cli", "rust.poc.audit.v1")
    assert isinstance(change_set["items"], list)
    for key in ("cli.audit_id", "cli.run_id", "cli.change_set", *varying):
        found["metadata"][key] = type(found["metadata"][key])
    return found


def test_sample_3_5_a_completed_pipeline_is_recorded(checked: list[dict[str, Any]]) -> None:
    [record] = [r for r in checked if r["envelope"]["metadata"]["event.kind"] == "pipeline_completed"]
    assert record["envelope"]["metadata"]["cli.command_line"].startswith("remlc ")
    assert of_command(record, "cli.command_line", "timestamp") == metadata("core.diagnostics", "pipeline", **{
        "audit.channel": "cli", "cli.audit_id": str, "cli.change_set": dict, "cli.command": "check", "cli.command_line": str,
        "cli.input": "examples/orders.reml", "cli.phase": "Execution", "cli.program": "remlc", "cli.run_id": str,
        "effect.capability": "core.diagnostics", "effect.manifest_path": None, "effect.provider": "core", "effect.stage.actual": "stable",
        "effect.stage.required": "at_least:beta", "event.kind": "pipeline_completed", "pipeline.count": 1, "pipeline.diagnostics": 0,
        "pipeline.dsl_id": "orders.reml", "pipeline.exit_code": "success", "pipeline.id": "dsl://examples/orders.reml",
        "pipeline.node": "orders", "pipeline.outcome": "success", "scenario.id": "orders", "timestamp": str,
    })  # fmt: skip


def test_sample_9_an_exported_constraint_graph_is_recorded(checked: list[dict[str, Any]]) -> None:
    [record] = [r for r in checked if r["envelope"]["metadata"]["event.kind"] == "telemetry.constraint_graph"]
    assert of_command(record, "telemetry.edges", "telemetry.nodes") == metadata("core.diagnostics", "telemetry", **{
        "audit.channel": "cli", "cli.audit_id": str, "cli.change_set": dict, "cli.command": "check", "cli.run_id": str,
        "event.kind": "telemetry.constraint_graph", "telemetry.edges": int, "telemetry.nodes": int,
        "telemetry.path": "tmp/telemetry/orders-constraint_graph.json",
    })  # fmt: skip


def test_sample_12_6_a_signal_below_the_required_stage_is_recorded() -> None:
    sink = MemorySink()
    capabilities = CapabilityRegistry(audit=AuditContext(MemorySink()))
    bridges = RuntimeBridgeRegistry(capabilities, audit=AuditContext(sink, channel="bridge"), features={FEATURE})
    bridges.register_bridge(RuntimeBridgeDescriptor.from_json({
        "id": "host.scene", "stage": "experimental", "required_capabilities": ["async.stream"], "required_effects": ["io.async"],
        "target_profiles": ["desktop-x86_64"], "reload": {"rollback": "required"}, "audit": {"requires_audit_effect": True},
    }))  # fmt: skip
    hint = {"min_bytes": 4096, "preferred_bytes": 16384}
    bridges.stream_signal("host.scene", StreamSignal(
        kind="pending", last_reason="pending.backpressure", resume_hint=hint, demand_min_bytes=4096, preferred_bytes=16384,
        flow_policy="auto", backpressure=BackpressureSignal(16, 4, None), stage_required=AtLeast("beta"),
    ))  # fmt: skip
    record = [dict(r) for r in sink.records if "bridge.stream.signal" in r["envelope"]["metadata"]][-1]
    assert members(record) == metadata("core.runtime.bridge", "bridge", **{
        "audit.channel": "bridge", "bridge.capability": "async.stream", "bridge.id": "host.scene", "bridge.stage.actual": "experimental",
        "bridge.stage.required": "at_least:beta", "event": {"event": "bridge.stage", "bridge_id": "host.scene", "stage": "experimental"},
        "event.kind": "bridge.stage",
        "bridge.stream.signal": {
            "backpressure": {"debounce": 4, "max_lag": 16, "throttle": None}, "demand_min_bytes": 4096, "flow_policy": "auto",
            "kind": "pending", "last_reason": "pending.backpressure", "preferred_bytes": 16384, "resume_hint": hint, "bridge_id": "host.scene",
            "stage_required": "at_least:beta", "stage_actual": "experimental", "demand_hint": hint,
        },
    })  # fmt: skip
