"""
What bridges are (CONTRACTS 12.1): descriptors, audit duties, reload contracts, stream signals, and what is refused about them.

Comes in: TOML and JSON. Goes out: frozen values. Must not know: registries, logs, files of a directory.

Refusals::

    RemlError
    └── RuntimeBridgeError            id, code
        ├── AlreadyRegistered
        ├── CapabilityViolation       capability, required_stage, actual_stage, missing_effects
        ├── TargetMismatch            requested, detected
        ├── StageViolation            required, actual, missing
        ├── ReloadUnsupported
        ├── ReloadFailure             detail
        ├── NotFound
        ├── InvalidSignal             missing
        ├── UnknownItem               item, known
        └── PromotionFrozen           reason
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from reml_embed import _toml
from reml_embed.errors import RemlError
from reml_embed.registry._shape import FileError, Reader, read_json
from reml_embed.registry.stage import AtLeast, Exact, InvalidStageError, StageId, StageRequirement

CODE: Final = "bridge.descriptor.invalid"
RollbackPolicy = Literal["required", "optional", "unsupported"]
ROLLBACK_POLICIES: Final = ("required", "optional", "unsupported")
DIFF_FORMAT: Final = "SchemaDiff<Old, New>"
STATE_FORMAT: Final = "ReloadState<T>"
SIGNAL_KINDS: Final = ("pending", "resume", "error", "completed")
FLOW_POLICIES: Final = ("auto", "manual")

#: The checklist of CONTRACTS 12.4 (guide 10.5), complete before a bridge goes to beta or above: item → what it asks for.
SIGNAL_CHECKLIST: Final[dict[str, str]] = {
    "signal.wiring": "the runner calls stream_signal on Backpressure and DemandHint; Auto always brings backpressure",
    "signal.stage_audit": "bridge.stage.backpressure carries required and actual stage, beside effects.contract.stage_mismatch",
    "signal.windows_msvc": "the streaming gates are 1.0 on windows-msvc",
    "signal.cli_lsp": "command line and editor show stream_meta.bridge.signal, the backpressure diagnostic first",
}

#: Events that each stage demands, beside those of the descriptor (12.3).
STAGE_EVENTS: Final[dict[StageId, frozenset[str]]] = {
    StageId.EXPERIMENTAL: frozenset({"bridge.reload", "bridge.rollback"}),
    StageId.BETA: frozenset({"bridge.smoke_test"}),
    StageId.STABLE: frozenset({"bridge.smoke_test"}),
}

#: What bridges of WebAssembly modules need (12.2).
WASI_CAPABILITY: Final = "runtime.async"
WASI_TARGET: Final = "wasi-preview2"
WASI_KINDS: Final = frozenset({"wasm", "wasi"})


# --- refusals ---------------------------------------------------------------------------------------------------------


class RuntimeBridgeError(RemlError):
    """
    Something about a bridge was refused.

    Attributes:
        id: of the bridge.
        code: of the diagnostic that tells of it.
    """

    default_status, default_label = 12, "denied"
    CODE: ClassVar[str] = "bridge.contract.violation"

    def __init__(self, id: str, message: str) -> None:
        super().__init__(f"bridge {id}: {message}")
        self.id, self.code, self.detail = id, self.CODE, message


class AlreadyRegistered(RuntimeBridgeError):
    """The id is taken."""

    def __init__(self, id: str) -> None:
        super().__init__(id, "is registered already")


class NotFound(RuntimeBridgeError):
    """Nobody registered it."""

    def __init__(self, id: str) -> None:
        super().__init__(id, "is not registered")


class CapabilityViolation(RuntimeBridgeError):
    """A capability that it needs is missing, stands too low, or has not the effects."""

    def __init__(self, id: str, capability: str, required_stage: StageRequirement, actual_stage: StageId | None,
                 detail: str = "", missing_effects: Iterable[str] = ()) -> None:  # fmt: skip
        self.capability, self.required_stage, self.actual_stage = capability, required_stage, actual_stage
        self.missing_effects = tuple(sorted(missing_effects))
        super().__init__(
            id, f"capability {capability}: {detail or f'{actual_stage} does not satisfy {required_stage}'}"
        )


class TargetMismatch(RuntimeBridgeError):
    """It is for other targets."""

    CODE = "bridge.target.mismatch"

    def __init__(self, id: str, requested: str, detected: str) -> None:
        self.requested, self.detected = requested, detected
        super().__init__(id, f"is for {detected}, not for {requested}")


class StageViolation(RuntimeBridgeError):
    """Its stage is not what was asked for, or it lacks what its stage demands (*missing*)."""

    CODE = "runtime.bridge.stage_mismatch"

    def __init__(
        self, id: str, required: StageRequirement, actual: StageId | None, missing: Iterable[str] = ()
    ) -> None:
        self.required, self.actual, self.missing = required, actual, tuple(missing)
        why = (
            f"stage {required.stage} demands {', '.join(self.missing)}"
            if self.missing
            else f"stage {actual} does not satisfy {required}"
        )
        super().__init__(id, why)


class ReloadUnsupported(RuntimeBridgeError):
    """It cannot be reloaded, or not rolled back."""

    def __init__(self, id: str, what: str = "reload") -> None:
        super().__init__(id, f"{what} is not supported")


class ReloadFailure(RuntimeBridgeError):
    """Its reload or rollback failed."""

    def __init__(self, id: str, detail: str | None = None) -> None:
        super().__init__(id, f"reload failed{f': {detail}' if detail else ''}")


class InvalidSignal(RuntimeBridgeError):
    """A signal lacks what it must carry (12.4.1)."""

    def __init__(self, id: str, missing: Iterable[str]) -> None:
        self.missing = tuple(sorted(missing))
        super().__init__(id, f"the stream signal lacks {', '.join(self.missing)}")


class UnknownItem(RuntimeBridgeError):
    """No such item is on its checklist."""

    def __init__(self, id: str, item: str, known: Iterable[str]) -> None:
        self.item, self.known = item, tuple(known)
        super().__init__(id, f"`{item}` is not on its checklist (known: {', '.join(self.known)})")


class PromotionFrozen(RuntimeBridgeError):
    """A gate failed: it is not promoted until the gates pass again (12.4.5)."""

    def __init__(self, id: str, reason: str) -> None:
        self.reason = reason
        super().__init__(id, f"promotion is frozen: {reason}")


# --- descriptors ------------------------------------------------------------------------------------------------------


def _names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _stage(reader: Reader, name: str, default: Any = ...) -> StageId:
    text = reader.get(name, str, default)
    try:
        return StageId.parse(text)
    except InvalidStageError as error:
        raise reader.wrong(error.message, name, code=error.code) from None


@dataclass(frozen=True, slots=True)
class ReloadSpec:
    """
    How a bridge is reloaded (CONTRACTS 11).

    Attributes:
        diff_format, state_format: names of the formats.
        requires_audit_id: a reload without an audit id is refused.
        rollback: ``required``, ``optional`` or ``unsupported``.
        diagnostics: names of ``reload_event``, ``rollback_event``, ``diff_diagnostic``.
    """

    diff_format: str = DIFF_FORMAT
    state_format: str = STATE_FORMAT
    requires_audit_id: bool = True
    rollback: RollbackPolicy = "required"
    diagnostics: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, reader: Reader) -> ReloadSpec:
        """From its JSON form."""
        reader.only("diff_format", "state_format", "requires_audit_id", "rollback", "diagnostics")
        policy = reader.get("rollback", str, "required").lower()
        if policy not in ROLLBACK_POLICIES:
            raise reader.wrong(f"expected one of {', '.join(ROLLBACK_POLICIES)}, got {policy!r}", "rollback")
        names: dict[str, str] = {}
        if "diagnostics" in reader.value:
            given = reader.child("diagnostics")
            given.only("reload_event", "rollback_event", "diff_diagnostic")
            names = {name: given.get(name, str) for name in given.value}
        return cls(reader.get("diff_format", str, DIFF_FORMAT), reader.get("state_format", str, STATE_FORMAT),
                   reader.get("requires_audit_id", bool, True), policy, names)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "diff_format": self.diff_format, "state_format": self.state_format, "requires_audit_id": self.requires_audit_id,
            "rollback": self.rollback, "diagnostics": dict(self.diagnostics),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuntimeBridgeAuditSpec:
    """
    What a bridge owes the log.

    Attributes:
        audit_domain: becomes ``event.domain``; empty: none.
        mandatory_events: kinds that must be in the log, beside those of the stage.
        requires_audit_effect: the effect ``audit`` is part of every use.
        rollout_checklist: what must be done before a promotion, beside the signal checklist.
        stage_required, stage_mode, stage_capability: what the manifest says (``bridge.stage.mode``, ``bridge.stage.capability``); None: nothing.
    """

    audit_domain: str = ""
    mandatory_events: tuple[str, ...] = ()
    requires_audit_effect: bool = False
    rollout_checklist: tuple[str, ...] = ()
    stage_required: StageRequirement | None = None
    stage_mode: str | None = None
    stage_capability: str | None = None

    @classmethod
    def read(cls, reader: Reader) -> RuntimeBridgeAuditSpec:
        """From its JSON form."""
        reader.only("audit_domain", "mandatory_events", "requires_audit_effect", "rollout_checklist", "stage")
        required, mode, capability = None, None, None
        if "stage" in reader.value:
            stage = reader.child("stage")
            stage.only("required", "mode", "capability")
            text = stage.get("required", str, None)
            mode, capability = stage.get("mode", str, None), stage.get("capability", str, None)
            if mode not in (None, "exact", "at_least"):
                raise stage.wrong(f"expected exact or at_least, got {mode!r}", "mode")
            try:
                required = StageRequirement.parse(text) if text else None
            except InvalidStageError as error:
                raise stage.wrong(error.message, "required", code=error.code) from None
        return cls(
            reader.get("audit_domain", str, ""), _names(reader.texts("mandatory_events", [])),
            reader.get("requires_audit_effect", bool, False), tuple(dict.fromkeys(reader.texts("rollout_checklist", []))),
            required, mode, capability,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Its JSON form."""
        stage = {
            "required": str(self.stage_required) if self.stage_required else None,
            "mode": self.stage_mode,
            "capability": self.stage_capability,
        }
        given = {name: value for name, value in stage.items() if value is not None}
        return {
            "audit_domain": self.audit_domain, "mandatory_events": list(self.mandatory_events),
            "requires_audit_effect": self.requires_audit_effect, "rollout_checklist": list(self.rollout_checklist),
        } | ({"stage": given} if given else {})  # fmt: skip


_ID = re.compile(r"[^\s.]+(\.[^\s.]+)*")
_WASM = ("kind", "engine", "bundle_hash", "module_hash")


@dataclass(frozen=True, slots=True)
class RuntimeBridgeDescriptor:
    """
    What is known of a bridge before it is used.

    Attributes:
        id: dotted, not empty.
        stage: how far it has come.
        required_capabilities: ids, each at least at the stage of the bridge. (`capabilities` in the guide.)
        required_effects: tags that their scopes have to cover.
        target_profiles: where it runs; empty: everywhere.
        reload: how it is reloaded; None: not at all.
        audit: its duties.
        manifest_path: where it was declared.
        kind, engine, bundle_hash, module_hash: of WebAssembly bridges.
    """

    id: str
    stage: StageId
    required_capabilities: tuple[str, ...] = ()
    required_effects: tuple[str, ...] = ()
    target_profiles: tuple[str, ...] = ()
    reload: ReloadSpec | None = None
    audit: RuntimeBridgeAuditSpec = RuntimeBridgeAuditSpec()
    manifest_path: str | None = None
    kind: str | None = None
    engine: str | None = None
    bundle_hash: str | None = None
    module_hash: str | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise FileError(f"a bridge id is a dotted word, got {self.id!r}", code=CODE, key_path="$.id")
        for name in ("required_capabilities", "required_effects", "target_profiles"):
            object.__setattr__(self, name, _names(getattr(self, name)))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the guide calls `required_capabilities`."""
        return self.required_capabilities

    def requirement(self, stage: StageId | None = None) -> StageRequirement:
        """What is asked of it while it stands at *stage* (its own): exactly experimental, else at least that; the manifest goes before."""
        if self.audit.stage_required is not None:
            return self.audit.stage_required
        at = stage or self.stage
        return Exact(at) if at is StageId.EXPERIMENTAL else AtLeast(at)

    @property
    def capability(self) -> str:
        """``bridge.capability`` of its records: what the manifest names, else the first one that it needs."""
        return self.audit.stage_capability or next(iter(self.required_capabilities), "core.runtime.bridge")

    @property
    def checklist(self) -> tuple[str, ...]:
        """All that must be done before it goes to beta or above: the signal checklist, then its own."""
        return tuple(dict.fromkeys((*SIGNAL_CHECKLIST, *self.audit.rollout_checklist)))

    @property
    def is_wasi(self) -> bool:
        """Does it run WebAssembly modules?"""
        return self.kind in WASI_KINDS

    @property
    def can_roll_back(self) -> bool:
        """Is a rollback implemented?"""
        return self.reload is not None and self.reload.rollback != "unsupported"

    def mandatory_events(self, stage: StageId | None = None) -> frozenset[str]:
        """Kinds that must be in the log at *stage*, by default its own."""
        return frozenset(self.audit.mandatory_events) | STAGE_EVENTS[stage or self.stage]

    @classmethod
    def read(cls, reader: Reader, manifest_path: str | None = None) -> RuntimeBridgeDescriptor:
        """
        From its JSON form.

        Raises:
            FileError: ``key_path`` says where, ``code`` what.
        """
        reader.only("id", "stage", "required_capabilities", "capabilities", "required_effects", "target_profiles", "reload", "audit",
                    "manifest_path", *_WASM)  # fmt: skip
        if "required_capabilities" in reader.value and "capabilities" in reader.value:
            raise reader.wrong("`required_capabilities` and `capabilities` are the same: give one", "capabilities")
        name = "capabilities" if "capabilities" in reader.value else "required_capabilities"
        identity = reader.get("id", str)
        if not _ID.fullmatch(identity):
            raise reader.wrong(f"a bridge id is a dotted word, got {identity!r}", "id")
        return cls(
            identity, _stage(reader, "stage"), tuple(reader.texts(name, [])), tuple(reader.texts("required_effects", [])),
            tuple(reader.texts("target_profiles", [])),
            ReloadSpec.read(reader.child("reload")) if reader.value.get("reload") is not None else None,
            RuntimeBridgeAuditSpec.read(reader.child("audit")) if reader.value.get("audit") is not None else RuntimeBridgeAuditSpec(),
            reader.get("manifest_path", str, manifest_path), *(reader.get(name, str, None) for name in _WASM),
        )  # fmt: skip

    @classmethod
    def from_json(cls, value: object, *, file: str | Path | None = None) -> RuntimeBridgeDescriptor:
        """From a JSON object."""
        return cls.read(Reader(value, file=file, code=CODE), None if file is None else str(file))

    def to_json(self) -> dict[str, Any]:
        """Its JSON form; `from_json` reads it."""
        made: dict[str, Any] = {
            "id": self.id, "stage": self.stage.value, "required_capabilities": list(self.required_capabilities),
            "required_effects": list(self.required_effects), "target_profiles": list(self.target_profiles),
            "reload": self.reload.to_json() if self.reload else None, "audit": self.audit.to_json(), "manifest_path": self.manifest_path,
        }  # fmt: skip
        return made | {name: value for name in _WASM if (value := getattr(self, name)) is not None}


def load_descriptors(path: Path) -> list[RuntimeBridgeDescriptor]:
    """
    The bridges that a file declares: one descriptor, ``bridges: […]`` (JSON), ``[[bridge]]`` (TOML, also in a manifest).

    Raises:
        FileError: it cannot be read, or is not what it should be: file, line or key path, code. FileNotFoundError: there is none.
    """
    if path.suffix == ".toml":
        name, value = "bridge", _read_toml(path)
        if "bridge" not in value and "id" not in value:
            return []  # a manifest without bridges
    else:
        name, value = "bridges", read_json(path)
    whole = Reader(value, file=path, code=CODE)
    if name not in whole.value:
        return [RuntimeBridgeDescriptor.read(whole, path.as_posix())]
    found: dict[str, RuntimeBridgeDescriptor] = {}
    for index, item in enumerate(whole.get(name, list)):
        reader = Reader(item, f"$.{name}[{index}]", path, code=CODE)
        made = RuntimeBridgeDescriptor.read(reader, path.as_posix())
        if made.id in found:
            raise reader.wrong(f"`{made.id}` is declared twice", "id")
        found[made.id] = made
    return list(found.values())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return _toml.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}", code="capability.file.io_error", file=path) from None
    except UnicodeDecodeError as error:
        raise FileError(f"is not UTF-8: byte {error.start}", code=CODE, file=path) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise FileError(f"is not TOML: {error}", code=CODE, file=path, line=int(line[1]) if line else None) from None
    except RecursionError:
        raise FileError("is nested too deeply", code=CODE, file=path) from None


# --- signals ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BackpressureSignal:
    """Milliseconds: the lag that is allowed, the least time between pending events, the least time between requests; None: none."""

    max_lag: float | None = None
    debounce: float | None = None
    throttle: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Its JSON form."""
        return {"debounce": self.debounce, "max_lag": self.max_lag, "throttle": self.throttle}


@dataclass(frozen=True, slots=True)
class StreamSignal:
    """
    What a streaming runner tells the bridge behind it (CONTRACTS 12.1).

    Attributes:
        kind: ``pending``, ``resume``, ``error``, ``completed``.
        last_reason: ``pending.backpressure``, ``pending.demand_hint``, …
        resume_hint: a DemandHint as JSON; None: none.
        demand_min_bytes, preferred_bytes: what the parser wants next; None: nothing.
        bridge_id: filled by the registry.
        stage_required, stage_actual: what the runner knows of the stage; None: as the descriptor says.
        flow_policy: ``auto`` or ``manual``.
        backpressure: demanded of pending signals under ``auto``.
    """

    kind: str
    last_reason: str
    resume_hint: Mapping[str, Any] | None = None
    demand_min_bytes: int | None = None
    preferred_bytes: int | None = None
    bridge_id: str | None = None
    stage_required: StageRequirement | None = None
    stage_actual: StageId | None = None
    flow_policy: str | None = None
    backpressure: BackpressureSignal | None = None

    def __post_init__(self) -> None:
        if self.kind not in SIGNAL_KINDS:
            raise ValueError(f"kind: expected one of {', '.join(SIGNAL_KINDS)}, got {self.kind!r}")
        if self.flow_policy not in (None, *FLOW_POLICIES):
            raise ValueError(f"flow_policy: expected one of {', '.join(FLOW_POLICIES)}, got {self.flow_policy!r}")

    @property
    def is_backpressure(self) -> bool:
        """Does the stream wait because too much came?"""
        return self.last_reason == "pending.backpressure"

    def missing(self) -> list[str]:
        """What it lacks: a pending one needs hint and bytes, and backpressure under ``auto``."""
        lacking = [] if self.last_reason else ["last_reason"]
        if self.kind == "pending":
            lacking += [
                name for name in ("resume_hint", "demand_min_bytes", "preferred_bytes") if getattr(self, name) is None
            ]
            if self.flow_policy == "auto" and self.backpressure is None:
                lacking.append("backpressure")
        return sorted(lacking)

    def to_json(self) -> dict[str, Any]:
        """The object that records keep under ``bridge.stream.signal``."""
        made: dict[str, Any] = {
            "kind": self.kind, "last_reason": self.last_reason, "resume_hint": self.resume_hint,
            "demand_min_bytes": self.demand_min_bytes, "preferred_bytes": self.preferred_bytes, "demand_hint": self.resume_hint,
        }  # fmt: skip
        more = {
            "bridge_id": self.bridge_id, "flow_policy": self.flow_policy,
            "stage_required": str(self.stage_required) if self.stage_required else None,
            "stage_actual": self.stage_actual.value if self.stage_actual else None,
            "backpressure": self.backpressure.to_json() if self.backpressure else None,
        }  # fmt: skip
        return made | {name: value for name, value in more.items() if value is not None}
