"""The registry of bridges: descriptors, stage policy, signals, promotion, records, commands (CONTRACTS 12)."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reml_embed.audit import AuditContext, MemorySink
from reml_embed.audit.kinds import missing_keys
from reml_embed.audit.records import Record, read
from reml_embed.cli import reml
from reml_embed.diagnostics.emission import Emitter, problems
from reml_embed.registry._shape import FileError
from reml_embed.registry.bridge import (
    FEATURE,
    GATES,
    AlreadyRegistered,
    BackpressureSignal,
    BridgeState,
    CapabilityViolation,
    InvalidSignal,
    NotFound,
    PromotionFrozen,
    ReloadFailure,
    ReloadUnsupported,
    RuntimeBridgeDescriptor,
    RuntimeBridgeRegistry,
    StageViolation,
    StreamSignal,
    TargetMismatch,
    UnknownItem,
    failed_gates,
    in_order,
    lsp_banner,
)
from reml_embed.registry.bridge_shape import SIGNAL_CHECKLIST, load_descriptors
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.stage import AtLeast, Exact, StageId

EXPERIMENTAL, BETA, STABLE = StageId
ALL_DONE = dict.fromkeys((*SIGNAL_CHECKLIST, "load test"), "")


def descriptor(stage: str = "experimental", **changes: Any) -> RuntimeBridgeDescriptor:
    """A bridge that satisfies the rules of its stage."""
    given: dict[str, Any] = {
        "id": "host.scene", "stage": stage, "required_capabilities": ["async.stream"], "required_effects": ["io.async"],
        "target_profiles": ["desktop-x86_64"], "reload": {"rollback": "required"},
        "audit": {"requires_audit_effect": True, "rollout_checklist": ["load test"]},
    }  # fmt: skip
    if stage == "stable":
        given |= {"required_capabilities": ["core.diagnostics", "gc"], "required_effects": ["audit"]}
    return RuntimeBridgeDescriptor.from_json(given | changes)


def state(stage: StageId, **more: Any) -> BridgeState:
    """A bridge that has done everything."""
    return BridgeState(stage, dict(ALL_DONE), {"bridge.reload", "bridge.rollback", "bridge.smoke_test"}, **more)


class World:
    """A registry with a log."""

    def __init__(self, **options: Any) -> None:
        self.sink = MemorySink()
        self.capabilities = CapabilityRegistry(audit=AuditContext(MemorySink()))
        options.setdefault("features", {FEATURE})
        self.bridges = RuntimeBridgeRegistry(
            self.capabilities, audit=AuditContext(self.sink, channel="bridge"), **options
        )

    def records(self, kind: str | None = None) -> list[Record]:
        """Of that kind."""
        return [record for record in map(Record, self.sink.records) if kind in (None, record.kind)]

    def codes(self) -> list[str]:
        """Of the diagnostics so far."""
        return [found.code for found in self.bridges.diagnostics]


@pytest.fixture
def world() -> World:
    return World()


def backpressure(**changes: Any) -> StreamSignal:
    """A signal as the guide's runner sends it."""
    given: dict[str, Any] = {
        "kind": "pending", "last_reason": "pending.backpressure", "resume_hint": {"min_bytes": 4096, "preferred_bytes": 16384},
        "demand_min_bytes": 4096, "preferred_bytes": 16384, "flow_policy": "auto", "backpressure": BackpressureSignal(16, 4, None),
    }  # fmt: skip
    return StreamSignal(**(given | changes))


# --- 12.1 descriptors -----------------------------------------------------------------------------------------------------


def test_capabilities_and_required_capabilities_are_both_read_and_the_first_is_written() -> None:
    one = RuntimeBridgeDescriptor.from_json({"id": "a", "stage": "beta", "capabilities": ["gc", "async"]})
    other = RuntimeBridgeDescriptor.from_json({"id": "a", "stage": "beta", "required_capabilities": ["async", "gc"]})
    assert one == other
    assert one.capabilities == ("async", "gc")
    assert one.to_json()["required_capabilities"] == ["async", "gc"]


def test_a_descriptor_survives_json() -> None:
    made = descriptor("stable", kind="wasm", engine="wasmtime", module_hash="ab")
    assert RuntimeBridgeDescriptor.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_toml_and_json_declare_the_same(tmp_path: Path) -> None:
    toml, text = tmp_path / "b.toml", tmp_path / "b.json"
    toml.write_text(
        '[[bridge]]\nid = "host.fs"\nstage = "beta"\ncapabilities = ["gc"]\n[bridge.audit]\nrequires_audit_effect = true\n'
        '[bridge.audit.stage]\nrequired = "at_least:beta"\nmode = "at_least"\ncapability = "gc"\n',
        encoding="utf-8",
    )
    text.write_text(
        json.dumps(
            {
                "bridges": [
                    {
                        "id": "host.fs",
                        "stage": "beta",
                        "capabilities": ["gc"],
                        "audit": {
                            "requires_audit_effect": True,
                            "stage": {"required": "at_least:beta", "mode": "at_least", "capability": "gc"},
                        },
                    }
                ]
            }
        ),
        encoding="utf-8",
    )
    one, other = load_descriptors(toml)[0].to_json(), load_descriptors(text)[0].to_json()
    assert one | {"manifest_path": None} == other | {"manifest_path": None}
    assert one["audit"]["stage"] == {"required": "at_least:beta", "mode": "at_least", "capability": "gc"}


def test_a_manifest_without_bridges_declares_none(tmp_path: Path) -> None:
    (tmp_path / "reml.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    assert load_descriptors(tmp_path / "reml.toml") == []


@pytest.mark.parametrize(("given", "path", "code"), [
    ({}, "$.id", "bridge.descriptor.invalid"),
    ({"id": "a b", "stage": "beta"}, "$.id", "bridge.descriptor.invalid"),
    ({"id": "a"}, "$.stage", "bridge.descriptor.invalid"),
    ({"id": "a", "stage": "alpha"}, "$.stage", "config.invalid_stage"),
    ({"id": "a", "stage": "beta", "colour": 1}, "$.colour", "bridge.descriptor.invalid"),
    ({"id": "a", "stage": "beta", "capabilities": ["x", 3]}, "$.capabilities[1]", "bridge.descriptor.invalid"),
    ({"id": "a", "stage": "beta", "capabilities": [], "required_capabilities": []}, "$.capabilities", "bridge.descriptor.invalid"),
    ({"id": "a", "stage": "beta", "reload": {"rollback": "perhaps"}}, "$.reload.rollback", "bridge.descriptor.invalid"),
    ({"id": "a", "stage": "beta", "audit": {"stage": {"required": "most"}}}, "$.audit.stage.required", "config.invalid_stage"),
    ({"id": "a", "stage": "beta", "audit": {"requires_audit_effect": "yes"}}, "$.audit.requires_audit_effect", "bridge.descriptor.invalid"),
    ([], "$", "bridge.descriptor.invalid"),
])  # fmt: skip
def test_a_bad_descriptor_names_key_path_and_code(given: Any, path: str, code: str) -> None:
    with pytest.raises(FileError) as caught:
        RuntimeBridgeDescriptor.from_json(given, file="b.json")
    assert (caught.value.key_path, caught.value.code) == (path, code)
    assert caught.value.message.startswith("b.json: ")


@pytest.mark.parametrize(
    ("name", "text"), [("b.toml", "[[bridge]\n"), ("b.json", "{\n"), ("b.toml", "\n\nx = 1979-99-99\n")]
)
def test_a_bad_descriptor_file_names_the_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        load_descriptors(tmp_path / name)
    assert caught.value.line is not None
    assert str(tmp_path / name) in caught.value.message


# --- 12.2 operations ------------------------------------------------------------------------------------------------------


def test_registering_twice_is_already_registered(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    with pytest.raises(AlreadyRegistered):
        world.bridges.register_bridge(descriptor())


def test_describe_answers_what_was_registered_and_not_found_otherwise(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    assert world.bridges.describe_bridge("host.scene") == descriptor()
    with pytest.raises(NotFound):
        world.bridges.describe_bridge("host.other")


def test_acquire_adds_the_external_bridge_and_failure_removes_it(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    world.bridges.acquire_bridge("host.scene", profile="desktop-x86_64")
    assert world.bridges.platform.runtime_capabilities == {"ExternalBridge(host.scene)"}
    with pytest.raises(TargetMismatch):
        world.bridges.acquire_bridge("host.scene", profile="mac-arm64")
    assert world.bridges.platform.runtime_capabilities == set()


def test_acquire_looks_at_stage_then_capabilities_then_effects_then_target(world: World) -> None:
    wrong = descriptor(required_capabilities=["nobody.knows"], required_effects=["gpu"])
    world.bridges.register_bridge(wrong)
    with pytest.raises(StageViolation):
        world.bridges.acquire_bridge("host.scene", required="at_least:beta", profile="mac-arm64")
    with pytest.raises(CapabilityViolation) as caught:
        world.bridges.acquire_bridge("host.scene", profile="mac-arm64")
    assert caught.value.capability == "nobody.knows"
    other = descriptor(id="host.other", required_effects=["gpu"])
    world.bridges.register_bridge(other)
    with pytest.raises(CapabilityViolation) as caught:
        world.bridges.acquire_bridge("host.other", profile="mac-arm64")
    assert caught.value.missing_effects == ("gpu",)
    world.bridges.register_bridge(descriptor(id="host.third"))
    with pytest.raises(TargetMismatch):
        world.bridges.acquire_bridge("host.third", profile="mac-arm64")


def test_capabilities_are_verified_at_least_at_the_stage_of_the_bridge(world: World) -> None:
    low = descriptor("beta", required_capabilities=["async.distributed"])
    with pytest.raises(CapabilityViolation) as caught:
        world.bridges.register_bridge(low, state=state(BETA))
    assert caught.value.required_stage == AtLeast("beta")
    assert caught.value.actual_stage is EXPERIMENTAL


def test_another_runtime_profile_is_a_target_mismatch_at_once_and_reload_and_streaming_do_not_start(
    world: World,
) -> None:
    calls: list[str] = []
    world.bridges.register_bridge(descriptor(), reload=lambda: calls.append("reload"))
    with pytest.raises(TargetMismatch):
        world.bridges.acquire_bridge("host.scene", profile="mac-arm64")
    with pytest.raises(TargetMismatch):
        world.bridges.stream_signal("host.scene", backpressure())
    with pytest.raises(TargetMismatch):
        world.bridges.reload("host.scene")
    assert calls == []
    found = next(item for item in world.bridges.diagnostics if item.code == "bridge.target.mismatch")
    assert found.extensions["bridge"]["target"] == {"requested": "mac-arm64", "detected": "desktop-x86_64"}
    shown = Emitter().emit(found)
    assert shown["audit_metadata"]["bridge.target.requested"] == "mac-arm64"
    assert shown["audit_metadata"]["target.profile.requested"] == "mac-arm64"


def test_wasi_bridges_need_runtime_async_at_least_beta_and_wasi_preview2(world: World) -> None:
    wasm = descriptor(
        kind="wasm", engine="wasmtime", bundle_hash="aa", module_hash="bb", target_profiles=["wasi-preview2"]
    )
    world.bridges.register_bridge(wasm)
    with pytest.raises(TargetMismatch):
        world.bridges.acquire_bridge("host.scene", profile="desktop-x86_64")
    world.bridges.acquire_bridge("host.scene", profile="wasi-preview2")
    world.capabilities.set_stage("runtime.async", "experimental")
    with pytest.raises(CapabilityViolation) as caught:
        world.bridges.acquire_bridge("host.scene", profile="wasi-preview2")
    assert (caught.value.capability, str(caught.value.required_stage)) == ("runtime.async", "at_least:beta")
    with pytest.raises(TargetMismatch):
        world.bridges.register_bridge(descriptor(id="w", kind="wasm", target_profiles=["desktop-x86_64"]))


def test_wasm_bridges_add_kind_engine_and_hashes_to_their_records(world: World) -> None:
    wasm = descriptor(
        kind="wasm", engine="wasmtime", bundle_hash="aa", module_hash="bb", target_profiles=["wasi-preview2"]
    )
    world.bridges.register_bridge(wasm)
    keys = world.records("bridge.stage")[0].metadata
    assert [keys[f"bridge.{name}"] for name in ("kind", "engine", "bundle_hash", "module_hash")] == [
        "wasm",
        "wasmtime",
        "aa",
        "bb",
    ]


def test_stage_records_go_to_the_file_that_the_environment_names(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stages.json"
    monkeypatch.setenv("BRIDGE_STAGE_RECORDS_PATH", str(path))
    wasm = descriptor(
        kind="wasm",
        engine="wasmtime",
        bundle_hash="aa",
        module_hash="bb",
        target_profiles=["wasi-preview2"],
        audit={"requires_audit_effect": True, "stage": {"capability": "host.scene.run"}},
    )
    world.bridges.register_bridge(wasm)
    world.bridges.acquire_bridge("host.scene", profile="wasi-preview2")
    rows = {row["capability"]: row for row in json.loads(path.read_text("utf-8"))["records"]}
    row = rows["host.scene.run"]
    assert (row["required"], row["actual"], row["engine"], row["module_hash"]) == (
        "exact:experimental",
        "experimental",
        "wasmtime",
        "bb",
    )


def test_reload_and_rollback_are_recorded_and_reach_the_host(world: World) -> None:
    calls: list[Any] = []
    world.bridges.register_bridge(descriptor(), reload=calls.append, rollback=lambda: calls.append("back"))
    scene = world.bridges.acquire_bridge("host.scene")
    scene.reload("new")
    scene.rollback()
    assert calls == ["new", "back"]
    assert [record.kind for record in world.records()][-2:] == ["bridge.reload", "bridge.rollback"]
    assert world.records("bridge.reload")[0].metadata["bridge.reload"] == "applied"
    assert world.records("bridge.rollback")[0].metadata["bridge.reload"] == "rolled_back"


def test_a_failed_reload_is_recorded_and_rolled_back_when_the_contract_demands_it(world: World) -> None:
    calls: list[str] = []

    def fail() -> None:
        raise ValueError("no such scene")

    world.bridges.register_bridge(descriptor(), reload=fail, rollback=lambda: calls.append("back"))
    with pytest.raises(ReloadFailure, match="no such scene") as caught:
        world.bridges.acquire_bridge("host.scene").reload()
    assert isinstance(caught.value.__cause__, ValueError)
    assert calls == ["back"]
    assert world.records("bridge.reload")[0].metadata["bridge.reload"] == "failed"


def test_reload_without_a_contract_is_unsupported(world: World) -> None:
    world.bridges.register_bridge(descriptor("beta", reload=None), state=state(BETA))
    scene = world.bridges.acquire_bridge("host.scene")
    with pytest.raises(ReloadUnsupported):
        scene.reload()
    with pytest.raises(ReloadUnsupported):
        scene.rollback()


# --- 12.3 stage policy ----------------------------------------------------------------------------------------------------


def test_experimental_must_require_the_audit_effect(world: World) -> None:
    with pytest.raises(StageViolation) as caught:
        world.bridges.register_bridge(descriptor(audit={}))
    assert caught.value.missing == ("requires_audit_effect",)
    assert world.bridges.bridges() == []


@pytest.mark.parametrize("spec", [None, {"rollback": "unsupported"}])
def test_experimental_must_implement_rollback(world: World, spec: Any) -> None:
    with pytest.raises(ReloadUnsupported):
        world.bridges.register_bridge(descriptor(reload=spec))


def test_experimental_needs_the_opt_in_at_run() -> None:
    world = World(features=())
    world.bridges.register_bridge(descriptor())
    with pytest.raises(StageViolation, match="-Zruntime-bridge"):
        world.bridges.acquire_bridge("host.scene")


def test_experimental_warns_at_least_once_and_records_bridge_stage_with_stage_experimental(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    found = world.bridges.diagnostics[0]
    assert (found.code, found.severity, found.domain) == ("bridge.stage.experimental", "warning", "runtime")
    assert found.extensions["bridge"]["stage"] == {"required": "exact:experimental", "actual": "experimental"}
    record = world.records("bridge.stage")[0]
    assert record.metadata["event"] == {"event": "bridge.stage", "bridge_id": "host.scene", "stage": "experimental"}


def test_deny_experimental_fails_the_run() -> None:
    world = World(deny_experimental=True)
    world.bridges.register_bridge(descriptor())
    with pytest.raises(StageViolation):
        world.bridges.acquire_bridge("host.scene")
    assert [item.severity for item in world.bridges.diagnostics if item.code == "bridge.stage.experimental"] == [
        "error",
        "error",
    ]


def test_experimental_makes_reload_and_rollback_mandatory_events(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    assert world.bridges.verify_mandatory_events("host.scene") == ("bridge.reload", "bridge.rollback")
    found = world.bridges.diagnostics[-1]
    assert (found.code, found.severity) == ("bridge.audit.missing_event", "warning")
    assert Emitter().emit(found)["audit_metadata"]["bridge.missing_events"] == ["bridge.reload", "bridge.rollback"]


def test_beta_needs_its_checklist_complete(world: World) -> None:
    with pytest.raises(StageViolation) as caught:
        world.bridges.register_bridge(descriptor("beta"))
    assert set(caught.value.missing) == set(ALL_DONE)
    assert world.bridges.diagnostics[-1].extensions["bridge"]["checklist_missing"] == list(ALL_DONE)
    world.bridges.register_bridge(descriptor("beta"), state=state(BETA))


def test_beta_makes_the_smoke_test_mandatory(world: World) -> None:
    world.bridges.register_bridge(descriptor("beta"), state=BridgeState(BETA, dict(ALL_DONE)))
    assert world.bridges.verify_mandatory_events("host.scene") == ("bridge.smoke_test",)
    world.bridges.complete_checklist("host.scene", "bridge.smoke_test", evidence="run 7")
    assert world.bridges.verify_mandatory_events("host.scene") == ()
    assert world.records("bridge.smoke_test")[0].metadata["event"]["evidence"] == "run 7"


def test_beta_allows_only_warnings_for_missing_events(world: World) -> None:
    world.bridges.register_bridge(descriptor("beta"), state=BridgeState(BETA, dict(ALL_DONE)))
    world.bridges.verify_mandatory_events("host.scene")
    assert {item.severity for item in world.bridges.diagnostics} == {"warning"}


def test_promotion_to_beta_records_bridge_promote_with_evidence(world: World) -> None:
    world.bridges.register_bridge(descriptor(), state=state(EXPERIMENTAL))
    done = world.bridges.promote("host.scene", "beta", "nightly run 812")
    assert (done.before, done.to) == (EXPERIMENTAL, BETA)
    record = world.records("bridge.promote")[0]
    keys = record.metadata
    assert (keys["bridge.from"], keys["bridge.to"], keys["bridge.evidence"]) == (
        "experimental",
        "beta",
        "nightly run 812",
    )
    assert record.audit_id == done.audit_id
    assert world.records("bridge.rollout") == []
    assert world.bridges.acquire_bridge("host.scene").stage is BETA


def test_stable_needs_its_capabilities_at_least_stable(world: World) -> None:
    with pytest.raises(CapabilityViolation) as caught:
        world.bridges.register_bridge(descriptor("stable", required_capabilities=["async.stream"]), state=state(STABLE))
    assert str(caught.value.required_stage) == "at_least:stable"


def test_stable_needs_audit_among_the_required_effects(world: World) -> None:
    with pytest.raises(StageViolation) as caught:
        world.bridges.register_bridge(descriptor("stable", required_effects=["memory"]), state=state(STABLE))
    assert caught.value.missing == ("effect audit",)


def test_promotion_to_stable_records_promote_with_evidence_and_rollout_with_outcome_stable(world: World) -> None:
    ready = descriptor("beta", required_capabilities=["core.diagnostics"], required_effects=["audit"])
    world.bridges.register_bridge(ready, state=state(BETA))
    world.bridges.promote("host.scene", "stable", "three weeks in beta")
    assert [record.kind for record in world.records()][-2:] == ["bridge.promote", "bridge.rollout"]
    keys = world.records("bridge.rollout")[0].metadata
    assert keys["outcome"] == "stable"
    assert keys["bridge.checklist"] == list(ALL_DONE)


def test_a_missing_mandatory_event_of_a_stable_bridge_is_an_error(world: World) -> None:
    world.bridges.register_bridge(descriptor("stable"), state=BridgeState(STABLE, dict(ALL_DONE)))
    world.bridges.verify_mandatory_events("host.scene")
    assert (world.codes()[-1], world.bridges.diagnostics[-1].severity) == ("bridge.audit.missing_event", "error")


def test_no_bridge_goes_to_beta_before_the_signal_checklist_is_complete(world: World) -> None:
    world.bridges.register_bridge(descriptor(audit={"requires_audit_effect": True}))
    world.bridges.state("host.scene").events |= {"bridge.reload", "bridge.rollback", "bridge.smoke_test"}
    for item in SIGNAL_CHECKLIST:
        with pytest.raises(StageViolation) as caught:
            world.bridges.promote("host.scene", "beta", "x")
        assert item in caught.value.missing
        world.bridges.complete_checklist("host.scene", item)
    assert world.bridges.promote("host.scene", "beta", "x").to is BETA


def test_a_promotion_without_evidence_or_of_two_steps_is_refused(world: World) -> None:
    world.bridges.register_bridge(descriptor(), state=state(EXPERIMENTAL))
    with pytest.raises(StageViolation) as caught:
        world.bridges.promote("host.scene", "beta", "  ")
    assert caught.value.missing == ("evidence",)
    for to in ("stable", "experimental"):
        with pytest.raises(StageViolation):
            world.bridges.promote("host.scene", to, "x")
    assert world.records("bridge.promote") == []


def test_an_unknown_item_is_refused(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    with pytest.raises(UnknownItem, match="tea"):
        world.bridges.complete_checklist("host.scene", "tea")


# --- 12.4 signals ---------------------------------------------------------------------------------------------------------


def test_point_1_auto_without_backpressure_is_refused_with_contract_violation_and_invalid_signal(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    for reason in ("pending.backpressure", "pending.demand_hint"):
        with pytest.raises(InvalidSignal) as caught:
            world.bridges.stream_signal("host.scene", backpressure(last_reason=reason, backpressure=None))
        assert (caught.value.id, caught.value.missing) == ("host.scene", ("backpressure",))
        assert world.codes()[-1] == "bridge.contract.violation"
    assert world.bridges.stream_signal("host.scene", backpressure(flow_policy="manual", backpressure=None)).audit_id


@pytest.mark.parametrize("name", ["resume_hint", "demand_min_bytes", "preferred_bytes"])
def test_point_1_a_pending_signal_carries_hint_and_bytes(world: World, name: str) -> None:
    world.bridges.register_bridge(descriptor())
    with pytest.raises(InvalidSignal) as caught:
        world.bridges.stream_signal("host.scene", backpressure(**{name: None}))
    assert caught.value.missing == (name,)


def test_point_2_the_signal_is_stored_as_bridge_stream_signal_and_shown_as_stream_meta(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    signalled = world.bridges.stream_signal("host.scene", backpressure(stage_required=AtLeast("beta")))
    stored = world.records("bridge.stage")[-1].metadata["bridge.stream.signal"]
    assert stored == {
        "kind": "pending", "last_reason": "pending.backpressure", "resume_hint": {"min_bytes": 4096, "preferred_bytes": 16384},
        "demand_min_bytes": 4096, "preferred_bytes": 16384, "demand_hint": {"min_bytes": 4096, "preferred_bytes": 16384},
        "bridge_id": "host.scene", "flow_policy": "auto", "stage_required": "at_least:beta", "stage_actual": "experimental",
        "backpressure": {"debounce": 4, "max_lag": 16, "throttle": None},
    }  # fmt: skip
    assert signalled.stream_meta == {"bridge": {"signal": stored}}


def test_point_2_the_tooltip_joins_signal_and_resume_hint(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    assert world.bridges.tooltip("host.scene") == ""
    world.bridges.stream_signal("host.scene", backpressure())
    assert world.bridges.tooltip("host.scene") == (
        "host.scene: pending (pending.backpressure); resume: min_bytes 4096, preferred_bytes 16384"
    )


def test_point_3_backpressure_at_the_required_stage_is_information(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    found = world.bridges.stream_signal("host.scene", backpressure()).diagnostics
    assert [(item.code, item.severity) for item in found] == [("bridge.stage.backpressure", "info")]
    assert found[0].extensions["bridge"]["signal"] == {"kind": "pending"}


def test_point_3_below_the_required_stage_it_is_an_error_with_stage_mismatch_and_the_capability_in_related(
    world: World,
) -> None:
    world.bridges.register_bridge(descriptor())
    found = world.bridges.stream_signal("host.scene", backpressure(stage_required=AtLeast("beta"))).diagnostics
    assert [(item.code, item.severity) for item in found] == [
        ("bridge.stage.backpressure", "error"), ("effects.contract.stage_mismatch", "error"),
    ]  # fmt: skip
    for item in found:
        assert item.json["related"] == [{"capability": "async.stream"}]
        assert item.extensions["bridge"]["stage"] == {"required": "at_least:beta", "actual": "experimental"}
        shown = Emitter().emit(item, file="scene.reml")
        assert problems(shown) == []
        assert shown["audit_metadata"]["bridge.stage.required"] == "at_least:beta"
        assert shown["audit_metadata"]["bridge.stream.signal"]["kind"] == "pending"


def test_point_3_a_demand_hint_is_no_backpressure(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    assert world.bridges.stream_signal("host.scene", backpressure(last_reason="pending.demand_hint")).diagnostics == ()


def test_point_4_completed_before_stable_is_a_stage_violation_and_rolls_back(world: World) -> None:
    calls: list[str] = []
    world.bridges.register_bridge(descriptor(), rollback=lambda: calls.append("back"))
    with pytest.raises(StageViolation) as caught:
        world.bridges.stream_signal("host.scene", StreamSignal("completed", "resume"))
    assert caught.value.required == Exact("stable")
    assert calls == ["back"]
    assert world.records("bridge.rollback")


def test_point_4_completed_is_accepted_while_stable(world: World) -> None:
    world.bridges.register_bridge(descriptor("stable"), state=state(STABLE))
    assert (
        world.bridges.stream_signal("host.scene", StreamSignal("completed", "resume")).stream_meta["bridge"]["signal"][
            "kind"
        ]
        == "completed"
    )


def test_point_5_backpressure_is_shown_first(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    world.bridges.stream_signal("host.scene", backpressure(stage_required=AtLeast("beta")))
    assert in_order(reversed(world.bridges.diagnostics))[0].code == "bridge.stage.backpressure"


@pytest.mark.parametrize(("rate", "shown"), [(1.0, False), (0.99, True), (None, True)])
def test_point_5_the_banner_is_there_below_1(rate: float | None, shown: bool) -> None:
    assert (lsp_banner(rate) is not None) is shown


def test_point_5_a_failed_gate_freezes_promotion_and_its_cause_is_recorded(world: World) -> None:
    world.bridges.register_bridge(descriptor(), state=state(EXPERIMENTAL))
    with pytest.raises(PromotionFrozen, match="is 0.5"):
        world.bridges.promote("host.scene", "beta", "x", gates={GATES[0]: 1.0, GATES[1]: 0.5})
    record = world.records("bridge.promotion_frozen")[0]
    assert record.metadata["bridge.cause"] == f"{GATES[1]} is 0.5"
    with pytest.raises(PromotionFrozen):
        world.bridges.promote("host.scene", "beta", "x")
    assert world.bridges.promote("host.scene", "beta", "x", gates=dict.fromkeys(GATES, 1.0)).to is BETA


def test_point_5_a_gate_without_samples_fails() -> None:
    assert failed_gates({GATES[0]: None, GATES[1]: 1.0}) == [f"{GATES[0]} is without samples"]
    assert len(failed_gates({})) == 2


def test_async_stream_is_in_the_descriptors_capabilities_when_await_is_handled(world: World) -> None:
    waiting = backpressure(last_reason="pending.feeder_await")
    world.bridges.register_bridge(descriptor())
    assert world.bridges.stream_signal("host.scene", waiting).audit_id
    world.bridges.register_bridge(
        descriptor(id="host.other", required_capabilities=["gc"], required_effects=["memory"])
    )
    with pytest.raises(CapabilityViolation) as caught:
        world.bridges.stream_signal("host.other", waiting)
    assert caught.value.capability == "async.stream"


@pytest.mark.parametrize("given", [{"kind": "paused"}, {"flow_policy": "some"}])
def test_unknown_words_of_a_signal_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        backpressure(**given)


# --- 12.5, 12.6 diagnostics and records -----------------------------------------------------------------------------------


def test_every_diagnostic_has_the_domain_runtime_and_bridge_id(world: World) -> None:
    world.bridges.register_bridge(descriptor(), rollback=lambda: None)
    world.bridges.stream_signal("host.scene", backpressure(stage_required=AtLeast("beta")))
    world.bridges.verify_mandatory_events("host.scene")
    world.bridges.refuse_diff("host.scene", "bridge.diff.invalid", expected="SchemaDiff", received="text")
    with pytest.raises(StageViolation):
        world.bridges.promote("host.scene", "beta", "")
    with pytest.raises(StageViolation):
        world.bridges.acquire_bridge("host.scene", required="stable")
    for found in world.bridges.diagnostics:
        shown = Emitter().emit(found, file="reml.toml")
        assert shown["domain"] == "runtime"
        assert shown["audit_metadata"]["bridge.id"] == "host.scene"
        assert set(found.extensions["bridge"]) >= {"id", "stage", "manifest_path", "checklist_missing"}
    assert "runtime.bridge.stage_mismatch" in world.codes()


def test_a_diff_that_does_not_fit_names_what_was_expected_and_received(world: World) -> None:
    world.bridges.register_bridge(descriptor())
    found = Emitter().emit(world.bridges.refuse_diff("host.scene", "bridge.diff.rejected", expected="a", received="b"))
    assert (found["audit_metadata"]["bridge.diff.expected"], found["audit_metadata"]["bridge.diff.received"]) == (
        "a",
        "b",
    )


def test_every_record_has_the_keys_of_its_kind_and_the_bridge_group(world: World) -> None:
    world.bridges.register_bridge(descriptor(), reload=lambda: None, rollback=lambda: None, state=state(EXPERIMENTAL))
    scene = world.bridges.acquire_bridge("host.scene")
    scene.reload()
    scene.rollback()
    scene.stream_signal(backpressure())
    world.bridges.complete_checklist("host.scene", "signal.wiring")
    world.bridges.complete_checklist("host.scene", "bridge.smoke_test")
    world.bridges.promote("host.scene", "beta", "x")
    world.bridges.verify_stage("host.scene", required="exact:beta", pipeline="examples/a/pipeline.reml", diff="x.diff")
    world.bridges.report_gates({})
    kinds = {record.kind for record in world.records()}
    assert kinds >= {
        "bridge.stage",
        "bridge.reload",
        "bridge.rollback",
        "bridge.smoke_test",
        "bridge.promote",
        "bridge_stage_verified",
    }
    for record in world.records():
        assert missing_keys(record) == []
        assert record.capability == "core.runtime.bridge"
        assert record.category == "bridge"
        assert record.channel == "bridge"


def test_bridge_stage_verified_writes_the_actual_stage_in_the_form_of_a_requirement(world: World) -> None:
    world.bridges.register_bridge(descriptor("beta"), state=state(BETA))
    world.bridges.verify_stage(
        "host.scene", required="exact:beta", pipeline="examples/core_diagnostics/pipeline_success.reml", diff="fs.diff"
    )
    keys = world.records("bridge_stage_verified")[0].metadata
    assert (keys["bridge.stage.required"], keys["bridge.stage.actual"]) == ("exact:beta", "at_least:beta")
    assert keys["pipeline.id"] == "dsl://examples/core_diagnostics/pipeline_success.reml"
    assert keys["pipeline.dsl_id"] == "pipeline_success.reml"
    assert keys["bridge.reload.requested_by"] == keys["pipeline.id"]


def test_records_of_a_bridge_of_a_manifest_carry_mode_and_capability(world: World) -> None:
    world.bridges.register_bridge(descriptor(manifest_path="reml.toml", audit={
        "requires_audit_effect": True, "stage": {"mode": "exact", "capability": "async.stream"}}))  # fmt: skip
    keys = world.records("bridge.stage")[0].metadata
    assert (keys["bridge.stage.mode"], keys["bridge.capability"]) == ("exact", "async.stream")


def test_what_cannot_be_recorded_does_not_happen(world: World) -> None:
    class Broken:
        def log(self, *_: Any, **__: Any) -> str:
            raise OSError("disk full")

    world.bridges.audit = Broken()
    with pytest.raises(OSError, match="disk full"):
        world.bridges.register_bridge(descriptor())
    assert world.bridges.bridges() == []


def test_registering_from_many_threads_loses_nothing(world: World) -> None:
    made = [threading.Thread(target=world.bridges.register_bridge, args=(descriptor(id=f"b{at}"),)) for at in range(16)]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join()
    assert sorted(world.bridges.bridges()) == sorted(f"b{at}" for at in range(16))


# --- commands -------------------------------------------------------------------------------------------------------------

MANIFEST = """
[[bridge]]
id = "host.scene"
stage = "experimental"
capabilities = ["async.stream"]
required_effects = ["io.async"]
[bridge.reload]
rollback = "required"
[bridge.audit]
requires_audit_effect = true
rollout_checklist = ["load test"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that declares a bridge."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REML_EMBED_AUDIT_PATH", raising=False)
    monkeypatch.delenv("BRIDGE_STAGE_RECORDS_PATH", raising=False)
    (tmp_path / "reml.toml").write_text(MANIFEST, encoding="utf-8")
    return tmp_path


def command(*words: str) -> Any:
    """``reml bridge …``."""
    return CliRunner().invoke(reml, ["bridge", *words])


def said(done: Any) -> Any:
    """The JSON object that a command printed."""
    return json.loads(done.stdout.splitlines()[0])


def finish(folder: Path) -> None:
    """All that a promotion to beta asks for."""
    for item in (*ALL_DONE, "bridge.smoke_test"):
        assert command("check-off", "host.scene", item, "--evidence", "run 7").exit_code == 0
    sink = MemorySink()
    bridges = RuntimeBridgeRegistry(
        CapabilityRegistry(), audit=AuditContext(sink, channel="bridge"), features={FEATURE}
    )
    bridges.register_bridge(descriptor(), reload=lambda: None, rollback=lambda: None)
    bridges.acquire_bridge("host.scene").reload()
    bridges.rollback("host.scene")
    (folder / "run.ndjson").write_text(
        "".join(record.to_json() + "\n" for record in map(Record, sink.records)), encoding="utf-8"
    )


def test_list_and_describe_show_stage_and_checklist(folder: Path) -> None:
    done = said(command("list", "--format", "json"))
    assert [row["id"] for row in done["bridges"]] == ["host.scene"]
    row = said(command("describe", "host.scene", "--format", "json"))
    assert row["stage"] == "experimental"
    assert row["checklist_missing"] == list(ALL_DONE)
    assert row["events_missing"] == ["bridge.reload", "bridge.rollback"]
    assert "[ ] signal.wiring" in command("describe", "host.scene").output
    assert not (folder / ".reml").exists()


def test_describe_of_an_unknown_bridge_exits_1(folder: Path) -> None:
    done = command("describe", "host.nope")
    assert done.exit_code == 1
    assert "not registered" in done.output


def test_check_off_fills_the_checklist_and_is_recorded(folder: Path) -> None:
    done = said(command("check-off", "host.scene", "signal.wiring"))
    assert set(done) == {"id", "item", "audit_id", "missing"}
    assert "signal.wiring" not in done["missing"]
    record = next(read(".reml/audit.ndjson")).record
    assert record is not None
    assert record.audit_id == done["audit_id"]
    assert missing_keys(record) == []
    assert said(command("describe", "host.scene", "--format", "json"))["checklist_missing"] == list(ALL_DONE)[1:]
    assert command("check-off", "host.scene", "tea").exit_code == 1


def test_promote_prints_what_is_missing_and_exits_1(folder: Path) -> None:
    done = command("promote", "host.scene", "--to", "beta")
    assert done.exit_code == 1
    answer = said(done)
    assert set(answer) == {"id", "from", "to", "audit_id", "missing"}
    assert answer["audit_id"] is None
    assert set(answer["missing"]) == {*ALL_DONE, "bridge.reload", "bridge.rollback", "bridge.smoke_test", "evidence"}


def test_promote_with_everything_done_exits_0_and_keeps_the_stage(folder: Path) -> None:
    finish(folder)
    done = command("promote", "host.scene", "--to", "beta", "--evidence", "nightly", "--audit-source", "run.ndjson")
    assert done.exit_code == 0, done.output
    answer = said(done)
    assert (answer["from"], answer["to"], answer["missing"]) == ("experimental", "beta", [])
    records = [line.record for line in read(".reml/audit.ndjson") if line.record]
    promoted = next(record for record in records if record.kind == "bridge.promote")
    assert promoted.audit_id == answer["audit_id"]
    assert promoted.metadata["cli.command"] == "bridge.promote"
    assert said(command("describe", "host.scene", "--format", "json"))["stage"] == "beta"


def test_promote_freezes_on_gate_failure_until_the_gates_pass(folder: Path) -> None:
    finish(folder)
    bad = {"metrics": [{"metric": GATES[0], "pass_rate": 1.0}, {"metric": GATES[1], "pass_rate": None}]}
    (folder / "gates.json").write_text(json.dumps(bad), encoding="utf-8")
    words = ("promote", "host.scene", "--to", "beta", "--evidence", "x", "--audit-source", "run.ndjson")
    done = command(*words, "--metrics", "gates.json")
    assert done.exit_code == 1
    assert "without samples" in said(done)["missing"][0]
    assert command(*words).exit_code == 1
    assert "without samples" in said(command("describe", "host.scene", "--format", "json"))["frozen"]
    good = {"metrics": [{"metric": name, "pass_rate": 1.0} for name in GATES]}
    (folder / "gates.json").write_text(json.dumps(good), encoding="utf-8")
    assert command(*words, "--metrics", "gates.json").exit_code == 0


def test_check_finds_no_difference_between_manifest_and_its_own_log(folder: Path) -> None:
    finish(folder)
    sink_text = (folder / "run.ndjson").read_text("utf-8")
    assert "bridge.reload" in sink_text
    done = command("check", "--manifest", "reml.toml", "--audit-source", "run.ndjson", "--format", "json")
    assert done.exit_code == 0, done.output
    assert said(done)["differences"] == []


def test_check_reports_stage_capability_unknown_bridges_and_missing_events(folder: Path) -> None:
    world = World()
    world.bridges.register_bridge(
        descriptor("beta", required_capabilities=["gc"], required_effects=["memory"]), state=state(BETA)
    )
    world.bridges.register_bridge(descriptor(id="host.other"))
    (folder / "run.ndjson").write_text(
        "".join(record.to_json() + "\n" for record in world.records()) + "{torn", encoding="utf-8"
    )
    done = command("check", "--manifest", "reml.toml", "--audit-source", "run.ndjson", "--format", "json")
    assert done.exit_code == 1
    rows = {(row["bridge"], row["key"]) for row in said(done)["differences"]}
    assert rows >= {
        ("host.scene", "bridge.stage.actual"), ("host.scene", "bridge.capability"), ("host.other", "bridge.id"), ("", "record"),
        ("host.scene", "event.kind"),
    }  # fmt: skip
    assert (
        "run.ndjson:1: host.scene" in command("check", "--manifest", "reml.toml", "--audit-source", "run.ndjson").output
    )


@pytest.mark.parametrize("words", [
    ("check", "--manifest", "nope.toml", "--audit-source", "reml.toml"), ("check", "--manifest", "reml.toml", "--audit-source", "nope"),
    ("promote", "host.scene", "--to", "alpha"), ("promote", "host.scene"), ("list", "--bridges", "nope.toml"),
    ("promote", "host.scene", "--to", "beta", "--metrics", "reml.toml"), ("promote", "host.scene", "--to", "beta", "--audit-source", "nope"),
])  # fmt: skip
def test_missing_files_and_wrong_usage_exit_2(folder: Path, words: tuple[str, ...]) -> None:
    done = command(*words)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output


def test_a_damaged_state_file_exits_2_and_names_place_and_code(folder: Path) -> None:
    (folder / ".reml").mkdir()
    path = folder / ".reml" / "bridges.json"
    path.write_text(
        '{"schema_version": "3.0.0-alpha", "bridges": {"host.scene": {"stage": "alpha"}}}', encoding="utf-8"
    )
    done = command("describe", "host.scene")
    assert done.exit_code == 2
    assert "bridges.json" in done.output
    assert "config.invalid_stage" in done.output
    assert '$.bridges["host.scene"].stage' in done.output
    assert "alpha" in path.read_text("utf-8")


def test_a_log_that_cannot_be_written_changes_nothing(folder: Path) -> None:
    (folder / "log").mkdir()
    done = command("check-off", "host.scene", "signal.wiring", "--audit", "log")
    assert done.exit_code == 2
    assert said(command("describe", "host.scene", "--format", "json"))["checklist_missing"] == list(ALL_DONE)
    assert not (folder / ".reml" / "bridges.json").exists()


def test_an_export_whose_record_cannot_be_written_exits_with_a_message(folder: Path) -> None:
    (folder / "g.json").write_text('{"nodes": [{"id": "a"}]}', encoding="utf-8")
    (folder / "log").mkdir()
    done = CliRunner().invoke(reml, ["telemetry", "export", "g.json"], env={"REML_EMBED_AUDIT_PATH": "log"})
    assert done.exit_code != 0
    assert "audit log cannot be opened" in str(done.exception)


def test_bridges_declared_twice_are_refused(folder: Path) -> None:
    (folder / ".reml" / "bridges").mkdir(parents=True)
    (folder / ".reml" / "bridges" / "a.json").write_text(
        json.dumps({"id": "host.scene", "stage": "beta"}), encoding="utf-8"
    )
    done = command("list")
    assert done.exit_code == 2
    assert "reml.toml" in done.output
