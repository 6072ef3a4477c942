"""
Bridges to external runtimes: registered, acquired, promoted, signalled, each step recorded (CONTRACTS 12).

Comes in: descriptors (`bridge_shape`), signals of streams, evidence. Goes out: handles, diagnostics, records of the group ``bridge.*``.
Files of a directory are `bridge_state`'s::

    bridges = RuntimeBridgeRegistry(audit=AuditContext(FileSink("audit.ndjson"), channel="bridge"), features={"runtime-bridge"})
    bridges.register_bridge(descriptor, reload=apply, rollback=restore)
    scene = bridges.acquire_bridge("host.scene", profile="desktop-x86_64")
    scene.stream_signal(StreamSignal("pending", "pending.backpressure", …))
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from reml_embed.audit.records import Record, lookup
from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.catalog import Entry, register_catalog
from reml_embed.diagnostics.emission import build
from reml_embed.registry import bridge_shape as shape
from reml_embed.registry import records as stage_records
from reml_embed.registry.bridge_shape import (
    AlreadyRegistered,
    BackpressureSignal,
    CapabilityViolation,
    InvalidSignal,
    NotFound,
    PromotionFrozen,
    ReloadFailure,
    ReloadSpec,
    ReloadUnsupported,
    RuntimeBridgeAuditSpec,
    RuntimeBridgeDescriptor,
    RuntimeBridgeError,
    StageViolation,
    StreamSignal,
    TargetMismatch,
    UnknownItem,
)
from reml_embed.registry.capability import CapabilityRegistry, Recorder
from reml_embed.registry.errors import CapabilityError, EffectScopeMismatch
from reml_embed.registry.stage import AtLeast, Exact, StageId, StageRequirement

__all__ = [
    "AlreadyRegistered", "BackpressureSignal", "BridgeState", "CapabilityViolation", "InvalidSignal", "NotFound", "Promotion",
    "PromotionFrozen", "ReloadFailure", "ReloadSpec", "ReloadUnsupported", "RuntimeBridgeAuditSpec", "RuntimeBridgeDescriptor",
    "RuntimeBridgeError", "RuntimeBridgeHandle", "RuntimeBridgeRegistry", "Signalled", "StageViolation", "StreamSignal",
    "TargetMismatch", "UnknownItem", "failed_gates", "in_order", "lsp_banner",
    "records_itself",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])
CAPABILITY: Final = "core.runtime.bridge"
#: What ``-Z`` opts in to for experimental bridges.
FEATURE: Final = "runtime-bridge"
#: The gates that hold a promotion up (12.4.5), each with threshold 1.0.
GATES: Final = ("parser.stream.bridge_backpressure_diagnostics", "parser.stream.bridge_stage_propagation")
#: Kinds that a promotion writes itself.
_OWN_EVENTS: Final = frozenset({"bridge.promote", "bridge.rollout"})
SMOKE_TEST: Final = "bridge.smoke_test"

register_catalog("bridge", {
    "bridge.contract.violation": Entry("a bridge breaks its contract", "error", "runtime"),
    "bridge.stage.experimental": Entry("the bridge is experimental", "warning", "runtime"),
    "bridge.stage.backpressure": Entry("backpressure reached a bridge", "info", "runtime"),
    "bridge.target.mismatch": Entry("the bridge is for other targets", "error", "runtime"),
    "bridge.audit.missing_event": Entry("mandatory events of a bridge are missing in the log", "error", "runtime"),
    "bridge.diff.invalid": Entry("the difference has not the format of the bridge", "error", "runtime"),
    "bridge.diff.rejected": Entry("the difference would do harm", "error", "runtime"),
    "runtime.bridge.stage_mismatch": Entry("the stage of the bridge is not what was asked for", "error", "runtime"),
})  # fmt: skip


class Platform(Protocol):
    """What the registry tells the platform: ``runtime_capabilities`` has ``ExternalBridge(<id>)`` for each bridge that was acquired."""

    runtime_capabilities: set[str]


@dataclass
class _Machine:
    runtime_capabilities: set[str] = field(default_factory=set)


@dataclass
class BridgeState:
    """
    What happened to a bridge so far.

    Attributes:
        stage: where it stands: that of the descriptor, or the one it was promoted to.
        completed: item of the checklist → audit id of its record.
        events: kinds of its records.
        frozen: why it is not promoted; None: it may be.
        signal: the last one.
    """

    stage: StageId
    completed: dict[str, str] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    frozen: str | None = None
    signal: StreamSignal | None = None
    mismatch: TargetMismatch | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that happened: of *id*, under the audit id of its ``bridge.promote`` record."""

    id: str
    before: StageId
    to: StageId
    audit_id: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """
    What a signal led to.

    Attributes:
        diagnostics: in the order in which they are shown.
        audit_id: of the ``bridge.stage`` record; None without a log.
        stream_meta: ``{"bridge": {"signal": …}}``, for command line and editor.
    """

    diagnostics: tuple[Diagnostic, ...]
    audit_id: str | None
    stream_meta: dict[str, Any]


@dataclass
class _Entry:
    descriptor: RuntimeBridgeDescriptor
    state: BridgeState
    reload: Callable[..., object] | None
    rollback: Callable[[], object] | None

    @property
    def requirement(self) -> StageRequirement:
        return self.descriptor.requirement(self.state.stage)


def records_itself(function: F) -> F:
    """Mark a reload or rollback that leaves ``bridge.reload`` or ``bridge.rollback`` itself, and goes back itself when it fails."""
    function.records_itself = True  # type: ignore[attr-defined]
    return function


def _records_itself(function: Callable[..., object]) -> bool:
    return bool(getattr(function, "records_itself", False))


class RuntimeBridgeHandle:
    """A bridge that was acquired: `reload`, `rollback`, `stream_signal`."""

    def __init__(self, registry: RuntimeBridgeRegistry, id: str) -> None:
        self.id = id
        self._registry = registry

    @property
    def stage(self) -> StageId:
        """Where it stands now."""
        return self._registry.state(self.id).stage

    def reload(self, *arguments: Any) -> Any:
        """
        Reload it; its host function gets *arguments*. A failure is recorded and, where the contract demands it, rolled back.

        Raises:
            ReloadUnsupported; ReloadFailure: the cause is ``__cause__``.
        """
        return self._registry.reload(self.id, *arguments)

    def rollback(self) -> Any:
        """
        Go back to what was before the last reload.

        Raises:
            ReloadUnsupported; ReloadFailure.
        """
        return self._registry.rollback(self.id)

    def stream_signal(self, signal: StreamSignal) -> Signalled:
        """As `RuntimeBridgeRegistry.stream_signal`."""
        return self._registry.stream_signal(self.id, signal)

    def __repr__(self) -> str:
        return f"<RuntimeBridgeHandle {self.id} {self.stage}>"


class RuntimeBridgeRegistry:
    """
    The bridges of a process; any thread may use it.

    Args:
        capabilities: where the capabilities of bridges are verified; by default the process's.
        audit: takes the records; None: nothing is recorded, so no promotion happens.
        platform: is told which bridges are acquired.
        features: what ``-Z`` opted in to.
        deny_experimental: an experimental bridge is an error (``--deny experimental``).
        on_diagnostic: called with each diagnostic; they are kept in `diagnostics`, too.
    """

    def __init__(
        self, capabilities: CapabilityRegistry | None = None, *, audit: Recorder | None = None, platform: Platform | None = None,
        features: Iterable[str] = (), deny_experimental: bool = False, on_diagnostic: Callable[[Diagnostic], None] | None = None,
    ) -> None:  # fmt: skip
        self.capabilities = CapabilityRegistry.process() if capabilities is None else capabilities
        self.audit = audit
        self.platform: Platform = platform or _Machine()
        self.features = frozenset(features)
        self.deny_experimental = deny_experimental
        self.diagnostics: list[Diagnostic] = []
        self._on_diagnostic = on_diagnostic
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.RLock()

    # --- registering --------------------------------------------------------------------------------------------------

    def register_bridge(
        self, descriptor: RuntimeBridgeDescriptor, *, reload: Callable[..., object] | None = None,
        rollback: Callable[[], object] | None = None, state: BridgeState | None = None,
    ) -> None:  # fmt: skip
        """
        Register a bridge; the rules of its stage are checked, and ``bridge.stage`` is recorded.

        Args:
            descriptor: what is known of it.
            reload, rollback: what does it; None: the host does it elsewhere.
            state: what happened to it before, as `bridge_state` keeps it.

        Raises:
            AlreadyRegistered; StageViolation: ``missing`` says what its stage demands; ReloadUnsupported: an experimental one cannot be
            rolled back; CapabilityViolation.
        """
        with self._lock:
            if descriptor.id in self._entries:
                raise AlreadyRegistered(descriptor.id)
            entry = _Entry(descriptor, state or BridgeState(descriptor.stage), reload, rollback)
            self._check_rules(entry, entry.state.stage)
            if (
                descriptor.is_wasi
                and descriptor.target_profiles
                and shape.WASI_TARGET not in descriptor.target_profiles
            ):
                raise self._refuse(
                    entry, TargetMismatch(descriptor.id, shape.WASI_TARGET, ",".join(descriptor.target_profiles))
                )
            self._entries[descriptor.id] = entry
            try:
                self._log(entry, "bridge.stage", {"stage": entry.state.stage.value})
            except BaseException:
                del self._entries[descriptor.id]  # what cannot be recorded does not happen
                raise
            if entry.state.stage is StageId.EXPERIMENTAL:
                self._warn_experimental(entry)

    def adopt(self, descriptor: RuntimeBridgeDescriptor, state: BridgeState) -> None:
        """
        Know a bridge that was registered before, in another process: its rules were checked and recorded then.

        Raises:
            AlreadyRegistered.
        """
        with self._lock:
            if descriptor.id in self._entries:
                raise AlreadyRegistered(descriptor.id)
            self._entries[descriptor.id] = _Entry(descriptor, state, None, None)

    def _check_rules(self, entry: _Entry, stage: StageId) -> None:
        """12.3, "must have", but for the opt-in (at run) and the events (over time)."""
        bridge = entry.descriptor
        if stage is StageId.EXPERIMENTAL:
            if not bridge.audit.requires_audit_effect:
                raise self._refuse(entry, StageViolation(bridge.id, Exact(stage), stage, ["requires_audit_effect"]))
            if not bridge.can_roll_back:
                raise self._refuse(entry, ReloadUnsupported(bridge.id, "rollback, which experimental bridges need,"))
            return
        self._verify_capabilities(entry, stage)
        missing = self._unfinished(entry)
        if stage is StageId.STABLE and "audit" not in bridge.required_effects:
            missing.append("effect audit")
        if missing:
            raise self._refuse(entry, StageViolation(bridge.id, AtLeast(stage), stage, missing))

    @staticmethod
    def _unfinished(entry: _Entry) -> list[str]:
        return [item for item in entry.descriptor.checklist if item not in entry.state.completed]

    def describe_bridge(self, id: str) -> RuntimeBridgeDescriptor:
        """
        The descriptor as it was registered.

        Raises:
            NotFound.
        """
        return self._entry(id).descriptor

    def state(self, id: str) -> BridgeState:
        """What happened to it so far. Raises NotFound."""
        return self._entry(id).state

    def bridges(self) -> list[str]:
        """Ids in the order of registration."""
        with self._lock:
            return list(self._entries)

    def _entry(self, id: str) -> _Entry:
        with self._lock:
            if id not in self._entries:
                raise NotFound(id)
            return self._entries[id]

    # --- acquiring ----------------------------------------------------------------------------------------------------

    def acquire_bridge(
        self, id: str, *, required: StageRequirement | str | None = None, profile: str | None = None
    ) -> RuntimeBridgeHandle:
        """
        Verify a bridge and hand it out; in the order stage → capabilities → effects → target profile.

        Args:
            id: of the bridge.
            required: what is asked of its stage; by default what its descriptor or manifest says.
            profile: ``runtime.profile`` of the configuration; None: nothing is asked.

        Raises:
            NotFound; StageViolation: its stage, or an experimental one without ``-Zruntime-bridge``; CapabilityViolation; TargetMismatch.
        """
        entry = self._entry(id)
        name = f"ExternalBridge({id})"
        wanted = StageRequirement.parse(required) if required is not None else entry.requirement
        try:
            self._verify(entry, wanted, profile)
        except RuntimeBridgeError:
            self.platform.runtime_capabilities.discard(name)
            raise
        self.platform.runtime_capabilities.add(name)
        return RuntimeBridgeHandle(self, id)

    def _verify(self, entry: _Entry, wanted: StageRequirement, profile: str | None) -> None:
        bridge, actual = entry.descriptor, entry.state.stage
        self._note_stage(entry, wanted)
        if not wanted.satisfied_by(actual):
            raise self._refuse(entry, StageViolation(bridge.id, wanted, actual), required=wanted)
        if actual is StageId.EXPERIMENTAL:
            self._warn_experimental(entry)
            if self.deny_experimental or FEATURE not in self.features:
                needs = "no experimental bridge" if self.deny_experimental else f"the opt-in -Z{FEATURE}"
                raise self._refuse(
                    entry, StageViolation(bridge.id, Exact(actual), actual, [needs]), required=Exact(actual)
                )
        self._verify_capabilities(entry, actual)
        profiles = (shape.WASI_TARGET,) if bridge.is_wasi else bridge.target_profiles
        if profile is not None and profiles and profile not in profiles:
            error = TargetMismatch(bridge.id, profile, ",".join(profiles))
            entry.state.mismatch = error
            raise self._refuse(entry, error)
        entry.state.mismatch = None

    def _verify_capabilities(self, entry: _Entry, stage: StageId) -> None:
        bridge, lacking = entry.descriptor, set(entry.descriptor.required_effects)
        needs = {name: AtLeast(stage) for name in bridge.required_capabilities}
        if bridge.is_wasi:
            needs[shape.WASI_CAPABILITY] = AtLeast(max(stage, StageId.BETA))
        scopes: set[str] = set()
        for name, requirement in sorted(needs.items()):
            try:
                scopes |= set(self.capabilities.verify_capability_stage(name, requirement).descriptor().effect_scope)
            except EffectScopeMismatch:
                raise
            except CapabilityError as error:
                raise self._refuse(
                    entry, CapabilityViolation(bridge.id, name, requirement, error.actual_stage(), error.detail())
                ) from error
        lacking -= scopes
        if lacking and needs:
            first = min(needs)
            detail = f"no capability of the bridge has the effects {', '.join(sorted(lacking))}"
            raise self._refuse(entry, CapabilityViolation(bridge.id, first, needs[first], stage, detail, lacking))
        if lacking:
            raise self._refuse(
                entry, StageViolation(bridge.id, AtLeast(stage), stage, [f"effect {name}" for name in sorted(lacking)])
            )

    def _note_stage(self, entry: _Entry, wanted: StageRequirement) -> None:
        more = {
            name: value
            for name in ("kind", "engine", "bundle_hash", "module_hash")
            if (value := getattr(entry.descriptor, name))
        }
        stage_records.write(entry.descriptor.capability, wanted, entry.state.stage, **more)

    def verify_stage(
        self, id: str, *, required: StageRequirement | str, pipeline: str, diff: str, requested_by: str | None = None
    ) -> str | None:
        """
        Record ``bridge_stage_verified`` for a pipeline: *pipeline* is its path, *diff* what a reload applies. Answers the audit id.

        Raises:
            NotFound; StageViolation: the stage does not satisfy *required*.
        """
        entry = self._entry(id)
        wanted, actual = StageRequirement.parse(required), entry.state.stage
        if not StageRequirement.at_least(wanted.stage).satisfied_by(actual):
            raise self._refuse(entry, StageViolation(id, wanted, actual), required=wanted)
        keys = {
            "bridge.stage.required": str(wanted), "bridge.stage.actual": str(AtLeast(actual)), "bridge.reload.diff": diff,
            "bridge.reload.requested_by": requested_by or f"dsl://{pipeline}", "pipeline.id": f"dsl://{pipeline}",
            "pipeline.dsl_id": pipeline.rsplit("/", 1)[-1],
        }  # fmt: skip
        return self._log(entry, "bridge_stage_verified", None, keys)

    # --- reload and rollback ------------------------------------------------------------------------------------------

    def reload(self, id: str, *arguments: Any) -> Any:
        """What `RuntimeBridgeHandle.reload` does."""
        entry = self._entry(id)
        self._require_target(entry)
        if entry.descriptor.reload is None or entry.reload is None:
            raise self._refuse(entry, ReloadUnsupported(id))
        try:
            answer = entry.reload(*arguments)
        except Exception as error:
            if not _records_itself(entry.reload):
                payload = {"stage": entry.state.stage.value, "detail": str(error)}
                self._log(entry, "bridge.reload", payload, {"bridge.reload": "failed"})
                if entry.descriptor.reload.rollback == "required" and entry.rollback is not None:
                    self.rollback(id)
            raise ReloadFailure(id, str(error) or type(error).__name__) from error
        if _records_itself(entry.reload):
            entry.state.events.add("bridge.reload")
        else:
            self._log(entry, "bridge.reload", {"stage": entry.state.stage.value}, {"bridge.reload": "applied"})
        return answer

    def rollback(self, id: str) -> Any:
        """What `RuntimeBridgeHandle.rollback` does."""
        entry = self._entry(id)
        if not entry.descriptor.can_roll_back or entry.rollback is None:
            raise self._refuse(entry, ReloadUnsupported(id, "rollback"))
        try:
            answer = entry.rollback()
        except Exception as error:
            payload = {"stage": entry.state.stage.value, "status": "failed", "detail": str(error)}
            if not _records_itself(entry.rollback):
                self._log(entry, "bridge.rollback", payload, {"bridge.reload": "failed"})
            raise ReloadFailure(id, str(error) or type(error).__name__) from error
        if _records_itself(entry.rollback):
            entry.state.events.add("bridge.rollback")
        else:
            payload = {"stage": entry.state.stage.value, "status": "rolled_back"}
            self._log(entry, "bridge.rollback", payload, {"bridge.reload": "rolled_back"})
        return answer

    def refuse_diff(self, id: str, code: str, *, expected: str, received: str) -> Diagnostic:
        """The diagnostic ``bridge.diff.invalid`` or ``bridge.diff.rejected`` of a reload."""
        keys = {"bridge.diff.expected": expected, "bridge.diff.received": received}
        return self._diagnose(self._entry(id), code, f"expected {expected}, received {received}", metadata=keys)

    @staticmethod
    def _require_target(entry: _Entry) -> None:
        if entry.state.mismatch is not None:
            raise entry.state.mismatch

    # --- signals ------------------------------------------------------------------------------------------------------

    def stream_signal(self, id: str, signal: StreamSignal) -> Signalled:
        """
        Take the signal of a streaming runner (12.4): it is recorded under ``bridge.stream.signal`` and leads to diagnostics.

        Raises:
            NotFound; TargetMismatch: the bridge is for another target; InvalidSignal: the signal lacks something;
            CapabilityViolation: Await is handled without ``async.stream``; StageViolation: ``completed`` before stable, rolled back.
        """
        entry = self._entry(id)
        self._require_target(entry)
        missing = signal.missing()
        if missing:
            raise self._refuse(entry, InvalidSignal(id, missing), signal=signal)
        if signal.last_reason == "pending.feeder_await":
            self._verify_await(entry, signal)
        bridge = entry.descriptor
        required, actual = signal.stage_required or entry.requirement, signal.stage_actual or entry.state.stage
        filled = StreamSignal(
            signal.kind, signal.last_reason, signal.resume_hint, signal.demand_min_bytes, signal.preferred_bytes, id, required,
            actual, signal.flow_policy, signal.backpressure,
        )  # fmt: skip
        if signal.kind == "completed" and entry.state.stage is not StageId.STABLE:
            violation = self._refuse(
                entry,
                StageViolation(id, Exact(StageId.STABLE), entry.state.stage),
                required=Exact(StageId.STABLE),
                signal=filled,
            )
            if bridge.can_roll_back and entry.rollback is not None:
                self.rollback(id)
            raise violation
        keys = {
            "bridge.stream.signal": filled.to_json(),
            "bridge.stage.required": str(required),
            "bridge.stage.actual": actual.value,
        }
        audit_id = self._log(entry, "bridge.stage", {"stage": actual.value}, keys)
        entry.state.signal = filled
        found: list[Diagnostic] = []
        if signal.is_backpressure:
            found = self._tell_backpressure(entry, filled, required, actual)
        return Signalled(tuple(in_order(found)), audit_id, self.stream_meta(id))

    def _tell_backpressure(
        self, entry: _Entry, signal: StreamSignal, required: StageRequirement, actual: StageId
    ) -> list[Diagnostic]:
        satisfied = required.satisfied_by(actual)
        message = f"backpressure reached a bridge {'at' if satisfied else 'below'} the required stage"
        keys = {"bridge.stream.signal": signal.to_json()}
        related = [
            {"capability": name} for name in entry.descriptor.required_capabilities or (entry.descriptor.capability,)
        ]
        more: dict[str, Any] = {
            "required": required,
            "actual": actual,
            "signal": signal,
            "metadata": keys,
            "related": related,
        }
        found = [
            self._diagnose(
                entry, "bridge.stage.backpressure", message, severity="info" if satisfied else "error", **more
            )
        ]
        if not satisfied:
            text = f"stage {actual} of bridge {entry.descriptor.id} does not satisfy {required}"
            found.append(self._diagnose(entry, "effects.contract.stage_mismatch", text, severity="error", **more))
        return found

    def _verify_await(self, entry: _Entry, signal: StreamSignal) -> None:
        bridge, name = entry.descriptor, "async.stream"
        if name in bridge.required_capabilities:
            return
        error = CapabilityViolation(
            bridge.id, name, AtLeast(entry.state.stage), None, "is not in its descriptor, but Await is handled"
        )
        raise self._refuse(entry, error, signal=signal)

    def stream_meta(self, id: str) -> dict[str, Any]:
        """``stream_meta`` for command line and editor: the last signal under ``bridge.signal``; empty before the first."""
        signal = self._entry(id).state.signal
        return {"bridge": {"signal": signal.to_json()}} if signal is not None else {}

    def tooltip(self, id: str) -> str:
        """The editor's line: the last signal and its resume hint; empty before the first."""
        signal = self._entry(id).state.signal
        if signal is None:
            return ""
        hint = ", ".join(f"{name} {value}" for name, value in sorted((signal.resume_hint or {}).items()))
        return f"{id}: {signal.kind} ({signal.last_reason}){f'; resume: {hint}' if hint else ''}"

    # --- promoting ----------------------------------------------------------------------------------------------------

    def complete_checklist(self, id: str, item: str, *, evidence: str = "") -> str | None:
        """
        An item of the checklist is done; the record is of the kind ``bridge.check_off``, for ``bridge.smoke_test`` of that kind.
        Answers its audit id.

        Raises:
            NotFound; UnknownItem.
        """
        entry = self._entry(id)
        known = (*entry.descriptor.checklist, SMOKE_TEST)
        if item not in known:
            raise UnknownItem(id, item, known)
        payload = {"stage": entry.state.stage.value, "item": item, **({"evidence": evidence} if evidence else {})}
        audit_id = self._log(entry, SMOKE_TEST if item == SMOKE_TEST else "bridge.check_off", payload)
        if item != SMOKE_TEST:
            entry.state.completed[item] = audit_id or ""
        return audit_id

    def learn(self, records: Iterable[Record]) -> None:
        """Take note of what logs tell: which events of which bridge have happened."""
        for record in records:
            entry = self._entries.get(str(lookup(record, "bridge.id")))
            if entry is not None and record.kind is not None:
                entry.state.events.add(record.kind)

    def verify_mandatory_events(self, id: str, records: Iterable[Record] = ()) -> tuple[str, ...]:
        """
        The mandatory events that have not happened, sorted; with ``bridge.audit.missing_event`` when there are some: an error of a
        stable bridge, a warning below.
        """
        entry = self._entry(id)
        self.learn(records)
        missing = tuple(sorted(entry.descriptor.mandatory_events(entry.state.stage) - entry.state.events))
        if missing:
            severity = "error" if entry.state.stage is StageId.STABLE else "warning"
            keys = {"bridge.missing_events": list(missing)}
            text = f"mandatory events are missing: {', '.join(missing)}"
            self._diagnose(entry, "bridge.audit.missing_event", text, severity=severity, metadata=keys)
        return missing

    def missing_for(self, id: str, to: StageId, evidence: str = "") -> list[str]:
        """What keeps a bridge from *to*: items of the checklist, events, effects, ``evidence``; capabilities are verified apart."""
        entry = self._entry(id)
        bridge, state = entry.descriptor, entry.state
        wanted = (bridge.mandatory_events(state.stage) | bridge.mandatory_events(to)) - _OWN_EVENTS
        missing = self._unfinished(entry) + sorted(wanted - state.events)
        if to is StageId.STABLE and "audit" not in bridge.required_effects:
            missing.append("effect audit")
        return missing if evidence.strip() else [*missing, "evidence"]

    def promote(
        self, id: str, to: StageId | str, evidence: str, *, gates: Mapping[str, float | None] | None = None
    ) -> Promotion:
        """
        Promote a bridge to the next stage: ``bridge.promote``, for stable ``bridge.rollout`` with outcome ``stable``, too.

        Args:
            id: of the bridge.
            to: the next stage.
            evidence: why it may: a run, a report.
            gates: pass rates by metric. One below 1.0, or without samples, freezes the promotion until they pass.

        Raises:
            PromotionFrozen; StageViolation: not the next stage, or ``missing``; CapabilityViolation; NotFound.
        """
        with self._lock:
            entry = self._entry(id)
            state, bridge, wanted = entry.state, entry.descriptor, StageId.parse(to)
            if gates is not None:
                self.report_gates(gates, id)
            if state.frozen is not None:
                raise PromotionFrozen(id, state.frozen)
            if wanted is not state.stage.next:
                steps = [f"the next stage, {state.stage.next}"] if state.stage.next else ["a stage above stable"]
                raise StageViolation(id, AtLeast(wanted), state.stage, steps)
            missing = self.missing_for(id, wanted, evidence)
            if missing:
                raise self._refuse(
                    entry, StageViolation(id, AtLeast(wanted), state.stage, missing), required=AtLeast(wanted)
                )
            self._verify_capabilities(entry, wanted)
            if self.audit is None:
                raise StageViolation(id, AtLeast(wanted), state.stage, ["an audit log"])
            before = state.stage
            group = {"bridge.stage.required": str(AtLeast(wanted)), "bridge.stage.actual": wanted.value}
            keys = {**group, "bridge.from": before.value, "bridge.to": wanted.value, "bridge.evidence": evidence}
            payload = {"stage": wanted.value, "from": before.value, "to": wanted.value, "evidence": evidence}
            audit_id = self._log(entry, "bridge.promote", payload, keys)
            if wanted is StageId.STABLE:
                done = {**group, "outcome": "stable", "bridge.checklist": list(bridge.checklist)}
                self._log(entry, "bridge.rollout", {"stage": wanted.value, "outcome": "stable"}, done)
            state.stage = wanted
            return Promotion(id, before, wanted, audit_id or "")

    def report_gates(self, gates: Mapping[str, float | None], id: str | None = None) -> None:
        """
        Tell the pass rates of the streaming gates: a failure freezes promotions, of *id* or of all, and its cause is recorded; when all
        pass, what was frozen is free again.
        """
        failed = failed_gates(gates)
        for name in [id] if id is not None else self.bridges():
            entry = self._entry(name)
            cause = "; ".join(failed) or None
            if cause is not None and cause != entry.state.frozen:
                payload = {"stage": entry.state.stage.value, "cause": cause}
                self._log(entry, "bridge.promotion_frozen", payload, {"bridge.cause": cause})
            entry.state.frozen = cause

    # --- telling ------------------------------------------------------------------------------------------------------

    def _log(
        self, entry: _Entry, kind: str, payload: Mapping[str, Any] | None, keys: Mapping[str, Any] | None = None
    ) -> str | None:
        bridge = entry.descriptor
        metadata: dict[str, Any] = {
            "bridge.id": bridge.id, "bridge.stage.required": str(entry.requirement), "bridge.stage.actual": entry.state.stage.value,
            "bridge.capability": bridge.capability,
        }  # fmt: skip
        if bridge.audit.stage_mode is not None or bridge.manifest_path is not None:
            metadata["bridge.stage.mode"] = bridge.audit.stage_mode or entry.requirement.mode
        if bridge.audit.audit_domain:
            metadata["event.domain"] = bridge.audit.audit_domain
        if bridge.is_wasi:
            metadata |= {
                f"bridge.{name}": getattr(bridge, name) for name in ("kind", "engine", "bundle_hash", "module_hash")
            }
        told = {"event": kind, "bridge_id": bridge.id, **payload} if payload is not None else None
        audit_id = None
        if self.audit is not None:
            audit_id = self.audit.log(kind, told, capability=CAPABILITY, metadata=metadata | dict(keys or {}))
        entry.state.events.add(kind)
        return audit_id

    def _diagnose(
        self, entry: _Entry, code: str, message: str, *, severity: str | None = None, required: StageRequirement | None = None,
        actual: StageId | None = None, target: tuple[str, str] | None = None, checklist_missing: Iterable[str] = (),
        signal: StreamSignal | None = None, metadata: Mapping[str, Any] | None = None, related: list[dict[str, str]] | None = None,
    ) -> Diagnostic:  # fmt: skip
        bridge = entry.descriptor
        extension: dict[str, Any] = {
            "id": bridge.id,
            "stage": {"required": str(required or entry.requirement), "actual": (actual or entry.state.stage).value},
            "manifest_path": bridge.manifest_path, "checklist_missing": list(checklist_missing),
        }  # fmt: skip
        if target is not None:
            extension["target"] = {"requested": target[0], "detected": target[1]}
        if signal is not None:
            extension["signal"] = {"kind": signal.kind}
        more: dict[str, Any] = {"related": related} if related else {}
        keys = {"bridge.id": bridge.id, "bridge.capability": bridge.capability, **(metadata or {})}
        found = build(code, message, severity=severity, domain="runtime", file=bridge.manifest_path,
                      extensions={"bridge": extension}, audit_metadata=keys, **more)  # fmt: skip
        self.tell(found)
        return found

    def tell(self, found: Diagnostic) -> None:
        """Keep a diagnostic of a bridge in `diagnostics`, and pass it on."""
        with self._lock:
            self.diagnostics.append(found)
        if self._on_diagnostic is not None:
            self._on_diagnostic(found)

    def _warn_experimental(self, entry: _Entry) -> None:
        message = f"bridge {entry.descriptor.id} is experimental"
        severity = "error" if self.deny_experimental else "warning"
        self._diagnose(
            entry, "bridge.stage.experimental", message, severity=severity, required=Exact(StageId.EXPERIMENTAL)
        )

    def _refuse(
        self,
        entry: _Entry,
        error: RuntimeBridgeError,
        *,
        required: StageRequirement | None = None,
        signal: StreamSignal | None = None,
    ) -> RuntimeBridgeError:
        """Tell of a refusal, and answer it to be raised."""
        missing: Iterable[str] = ()
        target = None
        keys: dict[str, Any] = {}
        if isinstance(error, CapabilityViolation):
            required = required or error.required_stage
            keys["bridge.capability"] = error.capability
        elif isinstance(error, StageViolation):
            required = required or error.required
            missing = [item for item in error.missing if item in entry.descriptor.checklist]
        elif isinstance(error, TargetMismatch):
            target = (error.requested, error.detected)
            keys = {"bridge.target.requested": error.requested, "bridge.target.detected": error.detected,
                    "target.profile.requested": error.requested}  # fmt: skip
        self._diagnose(entry, error.code, error.detail, severity="error", required=required, target=target, checklist_missing=missing,
                       signal=signal, metadata=keys)  # fmt: skip
        return error


# --- gates, order, banner ---------------------------------------------------------------------------------------------


def failed_gates(gates: Mapping[str, float | None]) -> list[str]:
    """Which of `GATES` are below 1.0 or have no samples, in words; gates that are not named count as without samples."""
    found = ((name, gates.get(name)) for name in GATES)
    return [
        f"{name} is {'without samples' if rate is None else rate}" for name, rate in found if rate is None or rate < 1.0
    ]


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """As ``--stream-diagnostics`` shows them: ``bridge.stage.backpressure`` first, the others as they came."""
    return sorted(diagnostics, key=lambda item: item.code != "bridge.stage.backpressure")


def lsp_banner(propagation: float | None) -> str | None:
    """The editor's banner while ``parser.stream.bridge_stage_propagation`` is below 1.0 or unknown; None: none."""
    if propagation is not None and propagation >= 1.0:
        return None
    rate = "has no samples" if propagation is None else f"is {propagation}"
    return f"{GATES[1]} {rate}: bridges signal stages that are not compared; resolve effects.contract.stage_mismatch"
