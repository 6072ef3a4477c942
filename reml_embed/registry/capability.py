"""
The list of what the runtime may do (CONTRACTS 4): capabilities, each with a stage, effects and a provider.

Registering, reading and checking are the library's (``reml_capability.h``), for C hosts and Python alike; a `CapabilityRegistry` is one
of its registries with what an administrator adds: security rules, conductor contracts, manifests, plugins::

    registry = CapabilityRegistry.process()
    handle = registry.verify_capability_stage("gc", AtLeast("beta"), ["memory"])
    handle.as_gc().strategy

Every check leaves a ``capability_check`` record: in the log of the *context* that it names, else in the registry's *audit*.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from reml_embed import target as target_names
from reml_embed._ffi import NULL, ffi, lib, string
from reml_embed.audit.context import AuditContext
from reml_embed.audit.records import Record
from reml_embed.audit.sinks import ContextSink, FileSink
from reml_embed.errors import EXCEPTIONS, InvalidArgumentError
from reml_embed.registry import conductor as contracts
from reml_embed.registry import errors as refusals
from reml_embed.registry import records as stage_records
from reml_embed.registry import security as rules
from reml_embed.registry._shape import FileError, Reader
from reml_embed.registry.descriptor import (
    CapabilityDescriptor,
    CapabilityId,
    CapabilitySecurity,
    Permission,
    Provider,
    SandboxProfile,
    Signature,
    VerifiedAt,
    effect_set,
    read_id,
)
from reml_embed.registry.errors import (
    MATRIX,
    AlreadyRegistered,
    CapabilityError,
    ContractViolation,
    EffectScopeMismatch,
    EffectViolation,
    InvalidHandle,
    ManifestLoadFailure,
    MissingDependency,
    NotRegistered,
    RuntimeError,  # noqa: A004  (the name of the memo)
    SecurityViolation,
    StageViolation,
    UnsafeViolation,
)
from reml_embed.registry.handles import (
    KINDS,
    ActorCapability,
    AsyncCapability,
    AuditCapability,
    CapabilityHandle,
    CollectionsCapability,
    FfiCapability,
    GcCapability,
    HardwareCapability,
    IoCapability,
    MemoryCapability,
    MetricsCapability,
    NativeCapability,
    PluginCapability,
    ProcessCapability,
    RealtimeCapability,
    SecurityCapability,
    SignalCapability,
    SystemCapability,
    make_handle,
)
from reml_embed.registry.stage import AtLeast, Exact, InvalidStageError, StageId, StageRequirement

if TYPE_CHECKING:
    from reml_embed.context import Context

__all__ = [
    "KINDS",
    "MATRIX",
    "RUNTIME_CAPABILITIES",
    "ActorCapability",
    "AlreadyRegistered",
    "AsyncCapability",
    "AtLeast",
    "AuditCapability",
    "CapabilityDescriptor",
    "CapabilityError",
    "CapabilityGuard",
    "CapabilityHandle",
    "CapabilityId",
    "CapabilityRegistry",
    "CapabilitySecurity",
    "CollectionsCapability",
    "ContractViolation",
    "EffectScopeMismatch",
    "EffectViolation",
    "Exact",
    "FfiCapability",
    "FileError",
    "GcCapability",
    "HardwareCapability",
    "InvalidHandle",
    "InvalidStageError",
    "IoCapability",
    "ManifestLoadFailure",
    "MemoryCapability",
    "MetricsCapability",
    "MetricsStageGuard",
    "MissingDependency",
    "NativeCapability",
    "NotRegistered",
    "Permission",
    "PluginCapability",
    "ProcessCapability",
    "Provider",
    "RealtimeCapability",
    "RuntimeError",
    "SandboxProfile",
    "SecurityCapability",
    "SecurityViolation",
    "SignalCapability",
    "Signature",
    "StageId",
    "StageRequirement",
    "StageViolation",
    "SystemCapability",
    "UnsafeViolation",
    "VerifiedAt",
    "runtime_capability_id",
    "transform_capability_manifest",
    "verify_stage_for_io",
]

Requirement = StageRequirement | StageId | str


class Recorder(Protocol):
    """Where records go: `reml_embed.audit.AuditContext` is one."""

    def log(
        self, event: str, payload: Mapping[str, Any] | None = None, *, category: str | None = None, capability: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Write a record; its audit id."""


# --- names of the platform view -------------------------------------------------------------------------------------------

#: RuntimeCapability names (CONTRACTS 4.4, 5.1) → the capability that stands behind each; None: a fact of the machine, no capability.
RUNTIME_CAPABILITIES: dict[str, str | None] = {
    "SIMD": None, "HardwareRng": None, "CryptoExtensions": None, "GPU": "gpu", "ThreadLocal": None, "AsyncScheduler": "async",
    "AsyncBackpressure": "async.backpressure", "ActorMailbox": "actor", "DistributedActor": "async.distributed",
    "AsyncTracing": "tracing", "AsyncSupervisor": "async.supervisor", "Vector512": None, "RegexJit": None, "RegexMetrics": None,
}  # fmt: skip


def runtime_capability_id(name: str) -> str | None:
    """
    The capability behind a RuntimeCapability name; of ``ExternalBridge(id)`` the id; None for facts of the machine.

    Raises:
        KeyError: no such name.
    """
    bridge = re.fullmatch(r"ExternalBridge\((.+)\)", name)
    return bridge[1] if bridge else RUNTIME_CAPABILITIES[name]


@dataclass(frozen=True, slots=True)
class CapabilityGuard:
    """
    A check that was passed.

    Attributes:
        capability: which.
        requirement: what was asked.
        actual_stage: what was found.
    """

    capability: str
    requirement: StageRequirement
    actual_stage: StageId

    def satisfies(self, requirement: Requirement) -> bool:
        """Would the stage that was found pass this one, too?"""
        return StageRequirement.parse(requirement).satisfied_by(self.actual_stage)


def transform_capability_manifest(
    manifest: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """
    What a capability manifest asks for.

    Args:
        manifest: ``{capabilities: [{id, stage, effect_scope, aliases[]}], stage_bounds?}``.
        defaults: ``stage``, ``effect_scope`` and ``stage_bounds`` for what the manifest leaves out.

    Returns:
        ``{requirements: [{id, stage, declared_effects, aliases}], stage_bounds: {minimum, current, maximum}}``; stages of requirements are
        texts like ``at_least:beta``, a bare stage asks for exactly that. Bounds that nobody gives: the lowest stage asked for is
        the minimum and the current one, ``stable`` the maximum.

    Raises:
        StageViolation: a stage is none, or the bounds are out of order. FileError: the shape is wrong; ``key_path`` says where.
    """
    given, fallback = Reader(manifest), Reader(defaults or {})
    given.only("capabilities", "stage_bounds")
    fallback.only("stage", "effect_scope", "stage_bounds")
    found: list[dict[str, Any]] = []
    lowest: list[StageId] = []
    for index, row in enumerate(given.get("capabilities", list, [])):
        item = Reader(row, f"$.capabilities[{index}]")
        item.only("id", "stage", "effect_scope", "aliases")
        name = read_id(item)
        text = item.get("stage", str, None) or fallback.get("stage", str, StageId.EXPERIMENTAL.value)
        try:
            requirement = StageRequirement.parse(text)
        except InvalidStageError as error:
            raise StageViolation(name, None, None, detail=error.message) from None
        lowest.append(requirement.stage)
        effects = item.texts("effect_scope", fallback.texts("effect_scope", []))
        found.append(
            {"id": str(name), "stage": str(requirement), "declared_effects": list(effect_set(effects)),
             "aliases": item.texts("aliases", [])}
        )  # fmt: skip
    bounds: dict[str, str] = {}
    for source in (fallback, given):
        if source.value.get("stage_bounds") is not None:
            part = source.child("stage_bounds")
            part.only("minimum", "current", "maximum")
            bounds |= {name: part.get(name, str) for name in part.value}
    try:
        low = min(lowest, default=StageId.EXPERIMENTAL)
        minimum = StageId.parse(bounds.get("minimum", low))
        current = StageId.parse(bounds.get("current", minimum))
        maximum = StageId.parse(bounds.get("maximum", StageId.STABLE))
    except InvalidStageError as error:
        raise StageViolation("stage_bounds", None, None, detail=error.message) from None
    if not minimum <= current <= maximum:
        raise StageViolation("stage_bounds", None, current, detail=f"{minimum}, {current}, {maximum} are out of order")
    return {
        "requirements": found,
        "stage_bounds": {"minimum": minimum.value, "current": current.value, "maximum": maximum.value},
    }


# --- texts for the library --------------------------------------------------------------------------------------------------


def _text(value: str) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {type(value).__name__}")
    if "\0" in value:
        raise InvalidArgumentError(f"a NUL in {value!r}")
    return ffi.new("char[]", value.encode("utf-8", "surrogatepass"))


def _id(value: str) -> Any:
    """The C text of an id. Raises: InvalidArgumentError: it is none."""
    return _text(CapabilityId(value))


def _take_text(pointer: Any) -> str:
    """A copy of a transferred text, whose buffer is freed."""
    text = string(pointer[0]) or ""
    lib.reml_embed_free(pointer[0])
    return text


class _DefaultSink:
    """Where the records of a registry go that was told nothing."""

    def __init__(self, waiting: deque[dict[str, Any]]) -> None:
        self._waiting = waiting

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        path = os.environ.get("REML_EMBED_AUDIT_PATH")
        if path:
            FileSink(path).write_record(record)
        else:
            self._waiting.append(record.data)


class CapabilityRegistry:
    """
    A registry: the process's (`process`), or one of its own that knows nothing of others.

    Any thread may use it; readers do not wait for each other. A `Context` that is made with ``registry=`` asks this one.

    Args:
        empty: without the built-in capabilities.
        legacy_stable: an id that nobody registered counts as stable, as in the prototype of the memo.
        audit: where ``capability_check`` records of checks without a context go, and ``plugin.revoke``. By default to the file that
            ``REML_EMBED_AUDIT_PATH`` names, else the last 4,096 wait for `drain`.
        trusted_issuers: whose signatures count.
        sandbox_rules: what sandbox profiles allow, by name; a profile without rules allows everything.
    """

    _process: ClassVar[CapabilityRegistry | None] = None
    _process_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, *, empty: bool = False, legacy_stable: bool = False, audit: Recorder | None = None,
        trusted_issuers: Iterable[str] = (), sandbox_rules: Mapping[str, rules.SandboxRules] | None = None,
    ) -> None:  # fmt: skip
        flags = empty * lib.REML_CAPABILITY_REGISTRY_EMPTY | legacy_stable * lib.REML_CAPABILITY_REGISTRY_LEGACY_STABLE
        options = ffi.new(
            "reml_capability_registry_options_t*",
            {"struct_size": ffi.sizeof("reml_capability_registry_options_t"), "flags": flags},
        )
        out = ffi.new("reml_capability_registry_t**")
        self._check(lib.reml_capability_registry_create(options, out))
        self._pointer = ffi.gc(out[0], lib.reml_capability_registry_dispose)
        self._setup(
            legacy_stable=legacy_stable, audit=audit, trusted_issuers=trusted_issuers, sandbox_rules=sandbox_rules
        )

    def _setup(self, *, legacy_stable: bool = False, audit: Recorder | None = None, trusted_issuers: Iterable[str] = (),
               sandbox_rules: Mapping[str, rules.SandboxRules] | None = None) -> None:  # fmt: skip
        self.legacy_stable = legacy_stable
        self._waiting: deque[dict[str, Any]] = deque(maxlen=4096)
        self.audit = audit or AuditContext(_DefaultSink(self._waiting))
        self.trusted_issuers = frozenset(trusted_issuers)
        self.sandbox_rules: dict[str, rules.SandboxRules] = dict(sandbox_rules or {})
        self._dependencies: dict[str, tuple[str, ...]] = {}
        self._targets: set[str] = set()

    @classmethod
    def process(cls) -> CapabilityRegistry:
        """The process's registry, which contexts ask unless they are told otherwise; always the same object."""
        with cls._process_lock:
            if cls._process is None:
                made = cls.__new__(cls)
                made._pointer = NULL
                made._setup()
                cls._process = made
            return cls._process

    def drain(self) -> list[dict[str, Any]]:
        """Take the records that wait, oldest first; those of a registry with *audit*, or with a file, do not wait."""
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found

    def __repr__(self) -> str:
        return f"<CapabilityRegistry {'of the process' if self._pointer == NULL else hex(id(self))}, {len(self)} capabilities>"

    def __len__(self) -> int:
        return int(lib.reml_capability_count(self._pointer))

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and lib.reml_capability_enabled(self._pointer, _text(id)) >= 0

    @staticmethod
    def _check(status: int) -> None:
        if status:
            raise EXCEPTIONS[status](
                f"the registry answered {string(lib.reml_embed_status_label(status))}", status=status
            )

    def _call(self, call: Callable[[Any], int]) -> None:
        """Make a call that may refuse, and raise what it says."""
        error = refusals.new_error()
        status = call(error)
        if status == lib.REML_EMBED_STATUS_ERROR and error.kind:
            raise refusals.from_c(error, legacy_stable=self.legacy_stable)
        self._check(status)

    # --- registering and reading ----------------------------------------------------------------------------------------

    def register(self, handle: CapabilityHandle, *, depends_on: Iterable[str] = ()) -> None:
        """
        Add a capability, enabled, behind those that are there. Its descriptor and metadata are copied.

        Args:
            depends_on: ids that must be registered and enabled now and whenever it is verified.

        Raises:
            AlreadyRegistered: the id is taken.
            MissingDependency: something that it depends on is not there.
            SecurityViolation: an ffi handle that does not pass the checklist of CONTRACTS 2.7, or a sandbox profile that is not kept.
            FileError: its parts are of wrong types.
        """
        descriptor = handle.descriptor()
        if not isinstance(descriptor, CapabilityDescriptor):
            raise TypeError(f"expected a CapabilityDescriptor, got {type(descriptor).__name__}")
        needed = tuple(depends_on)
        if descriptor.id in self:
            raise AlreadyRegistered(descriptor.id)
        if needed:
            self.verify_dependencies(descriptor.id, needed)
        if handle.kind == FfiCapability.kind:
            rules.check_ffi(descriptor)
        rules.check_sandbox(descriptor, self.sandbox_rules)
        metadata = {name: value for name, value in handle.metadata().items() if value != ""}
        keep = [_text(handle.kind), _text(json.dumps(descriptor.to_json())), _text(json.dumps(metadata))]
        spec = ffi.new("reml_capability_spec_t*", {"struct_size": ffi.sizeof("reml_capability_spec_t")})
        spec.kind, spec.descriptor, spec.metadata = keep
        self._call(lambda error: int(lib.reml_capability_register(self._pointer, spec, error)))
        if needed:
            self._dependencies[descriptor.id] = needed

    def _handle(self, pointer: Any) -> CapabilityHandle:
        """A Python handle from the library's, which is released."""
        try:
            kind = string(lib.reml_capability_kind_label(lib.reml_capability_handle_kind(pointer))) or ""
            descriptor = CapabilityDescriptor.from_json(
                json.loads(string(lib.reml_capability_handle_descriptor(pointer)) or "{}")
            )
            metadata = json.loads(string(lib.reml_capability_handle_metadata(pointer)) or "{}")
        finally:
            lib.reml_capability_handle_release(pointer)
        return make_handle(kind, descriptor, metadata)

    def get(self, id: str) -> CapabilityHandle:
        """
        A copy of the handle.

        Raises:
            NotRegistered: nobody registered it.
        """
        out = ffi.new("reml_capability_handle_t**")
        self._call(lambda error: int(lib.reml_capability_get(self._pointer, _id(id), out, error)))
        return self._handle(out[0])

    def describe(self, id: str) -> CapabilityDescriptor:
        """
        A copy of the descriptor.

        Raises:
            NotRegistered: nobody registered it.
        """
        out = ffi.new("char**")
        self._call(lambda error: int(lib.reml_capability_describe(self._pointer, _id(id), out, error)))
        return CapabilityDescriptor.from_json(json.loads(_take_text(out)))

    def describe_all(self) -> list[CapabilityDescriptor]:
        """Copies of all descriptors, in the order of registration."""
        out = ffi.new("char**")
        self._check(lib.reml_capability_describe_all(self._pointer, out))
        return [CapabilityDescriptor.from_json(row) for row in json.loads(_take_text(out))]

    def stage_of(self, effect_tag: str) -> StageId | None:
        """The highest stage among enabled capabilities whose scope has the tag; None: there is none."""
        rank = int(lib.reml_capability_stage_of(self._pointer, _text(effect_tag)))
        return None if rank < 0 else tuple(StageId)[rank]

    def is_enabled(self, id: str) -> bool:
        """
        Is it enabled?

        Raises:
            NotRegistered: nobody registered it.
        """
        found = int(lib.reml_capability_enabled(self._pointer, _id(id)))
        if found < 0:
            raise NotRegistered(id, legacy_stable=self.legacy_stable)
        return bool(found)

    # --- checking ---------------------------------------------------------------------------------------------------------

    def verify_capability(self, id: str) -> None:
        """
        Is it registered?

        Raises:
            NotRegistered: it is not.
        """
        self._call(lambda error: int(lib.reml_capability_verify_capability(self._pointer, _id(id), error)))

    def verify_capability_stage(
        self, id: str, requirement: Requirement, effects: Iterable[str] = (), *, context: Context | None = None,
    ) -> CapabilityHandle:  # fmt: skip
        """
        Check existence, stage and effects, in that order.

        Args:
            requirement: a StageRequirement, or its text; a bare stage means exactly that one.
            effects: tags that its scope has to cover.
            context: whose log gets the ``capability_check`` record; by default the registry's *audit* gets it.

        Returns: the typed handle, a copy; its descriptor has ``last_verified_at``, like the registry's own from now on.

        Raises:
            NotRegistered, StageViolation, EffectScopeMismatch: in this order.
            SecurityViolation: it is disabled. MissingDependency: what it depends on is not there.
            InvalidStageError: *requirement* is none.
        """
        wanted = StageRequirement.parse(requirement)
        asked = self.check_request(id, wanted, effects)
        request = asked[0]
        request.context = NULL if context is None else context._id
        out, error = ffi.new("reml_capability_handle_t**"), refusals.new_error()
        status = lib.reml_capability_verify_capability_stage(self._pointer, request, out, error)
        if status == lib.REML_EMBED_STATUS_ERROR and error.kind:
            metadata = self.check_metadata(asked, error=error)
            raised = refusals.from_c(error, legacy_stable=self.legacy_stable)
            if context is None:
                self._record(metadata)
            if isinstance(raised, NotRegistered):
                raised.required = wanted
            if isinstance(raised, CapabilityError):
                stage_records.write(id, wanted, raised.actual_stage())
            raise raised
        self._check(status)
        metadata = self.check_metadata(asked, handle=out[0])
        handle = self._handle(out[0])
        if context is None:
            self._record(metadata)
        stage_records.write(id, wanted, handle.descriptor().stage)
        self._verify_dependencies_of(handle, asked, context)
        return handle

    @staticmethod
    def check_request(id: str, requirement: StageRequirement, effects: Iterable[str]) -> list[Any]:
        """A ``reml_capability_request_t``, and behind it what it points to."""
        tags = effect_set(effects)
        keep = [_id(id), _text(str(requirement)), _text(target_names.joined("effects", tags)) if tags else NULL]
        request = ffi.new("reml_capability_request_t*", {"struct_size": ffi.sizeof("reml_capability_request_t")})
        request.id, request.requirement, request.effects = keep
        return [request, *keep]

    def check_metadata(
        self,
        asked: list[Any],
        *,
        handle: Any = NULL,
        error: Any = NULL,
        failure: tuple[int, dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """What a ``capability_check`` record says of a check: of a good one, of a refusal, or of a failure (kind, fields) found elsewhere."""
        out = ffi.new("char**")
        if failure is not None:
            error = refusals.new_error()
            self._check(lib.reml_capability_error_make(failure[0], _text(json.dumps(failure[1])), error))
        try:
            self._check(lib.reml_capability_check_metadata(asked[0], handle, error, out))
        finally:
            if failure is not None:
                lib.reml_capability_error_release(error)
        found: dict[str, Any] = json.loads(_take_text(out))
        return found

    def _record(self, metadata: dict[str, Any], context: Context | None = None) -> None:
        """Write a ``capability_check`` record that the library does not write: of a check without a context, or of a failure found here."""
        log = self.audit if context is None else AuditContext(ContextSink(context))
        log.log("capability_check", category="capability", capability=metadata["capability.id"], metadata=metadata)

    def verify_stage(self, id: str, requirement: Requirement, effects: Iterable[str] = (), *, context: Context | None = None) -> StageId:  # fmt: skip
        """The same check as `verify_capability_stage`, for those who need the actual stage only."""
        return self.verify_capability_stage(id, requirement, effects, context=context).descriptor().stage

    def verify_dependencies(self, id: str, needed: Iterable[str]) -> None:
        """
        Are all of *needed* registered and enabled?

        Raises:
            MissingDependency: not all; ``missing`` names the others.
        """
        names = target_names.joined("needed", needed)
        self._call(
            lambda error: int(lib.reml_capability_verify_dependencies(self._pointer, _id(id), _text(names), error))
        )

    def _verify_dependencies_of(self, handle: CapabilityHandle, asked: list[Any], context: Context | None) -> None:
        """After a check that was passed; a failure is a second record."""
        plugin = handle.as_plugin()
        needed = (*self._dependencies.get(handle.id, ()), *(plugin.exposed_capabilities if plugin else ()))
        if not needed:
            return
        try:
            self.verify_dependencies(handle.id, needed)
        except MissingDependency as error:
            fields = error.fields() | {"descriptor": handle.descriptor().to_json()}
            self._record(self.check_metadata(asked, failure=(error.KIND, fields)), context)
            error.descriptor = handle.descriptor()
            raise

    def _guard(
        self, id: str, requirement: Requirement, effects: Iterable[str], context: Context | None
    ) -> CapabilityGuard:
        wanted = StageRequirement.parse(requirement)
        return CapabilityGuard(id, wanted, self.verify_stage(id, wanted, effects, context=context))

    def guard_io_capability(self, id: str, requirement: Requirement, effects: Iterable[str] = ("io",), *, context: Context | None = None) -> CapabilityGuard:  # fmt: skip
        """Check a capability for an input or output operation; raises like `verify_capability_stage`."""
        return self._guard(id, requirement, effects, context)

    def guard_time_capability(self, id: str, requirement: Requirement, effects: Iterable[str] = ("time",), *, context: Context | None = None) -> CapabilityGuard:  # fmt: skip
        """Check a capability for an operation on time; raises like `verify_capability_stage`."""
        return self._guard(id, requirement, effects, context)

    def guard_async_capability(self, id: str, requirement: Requirement, effects: Iterable[str] = ("io.async",), *, context: Context | None = None) -> CapabilityGuard:  # fmt: skip
        """Check a capability for an operation that waits; raises like `verify_capability_stage`."""
        return self._guard(id, requirement, effects, context)

    def guard_unsafe_capability(self, id: str, requirement: Requirement, effects: Iterable[str] = (), *, in_unsafe: bool, context: Context | None = None) -> CapabilityGuard:  # fmt: skip
        """
        Check a capability whose scope may have ``unsafe``.

        Args:
            in_unsafe: is it about to be used inside an unsafe region?

        Raises:
            UnsafeViolation: its scope has ``unsafe`` and it is not. Otherwise like `verify_capability_stage`.
        """
        wanted = StageRequirement.parse(requirement)
        descriptor = self.verify_capability_stage(id, wanted, effects, context=context).descriptor()
        if "unsafe" in descriptor.effect_scope and not in_unsafe:
            raise UnsafeViolation(id, descriptor)
        return CapabilityGuard(id, wanted, descriptor.stage)

    # --- contracts, signatures, permissions ------------------------------------------------------------------------------

    def verify_conductor_contract(
        self, contract: contracts.ConductorContract, *, context: Context | None = None
    ) -> None:
        """
        Verify each requirement of a conductor; then, if it names a manifest, compare with what that declares.

        A failure leaves ``capability_check`` and ``capability_mismatch`` in the registry's *audit*, or in the log of *context*.

        Raises:
            DuplicateDslIdError: two nodes of it have the same id. ManifestLoadFailure, ContractViolation: of the manifest.
            Otherwise like `verify_capability_stage`.
        """
        contracts.verify(self, contract, context=context)

    def verify_conductor_contracts(
        self, given: Iterable[contracts.ConductorContract], *, context: Context | None = None
    ) -> None:
        """
        `verify_conductor_contract` for each.

        Raises:
            DuplicateDslIdError: two of them have the same ``dsl_id``; nothing was verified then.
        """
        rows = list(given)
        contracts.check_unique(row.dsl_id for row in rows)
        for row in rows:
            self.verify_conductor_contract(row, context=context)

    def verify_signature(self, id: str, signature: Signature | Mapping[str, Any] | None = None) -> None:
        """
        Is *signature* (by default the descriptor's own) that of a trusted issuer over the descriptor of *id*?

        Raises:
            NotRegistered: nobody registered it. SecurityViolation: it is not; ``reason`` says why.
        """
        descriptor = self.describe(id)
        if isinstance(signature, Mapping):
            signature = CapabilitySecurity.from_json({"signature": dict(signature)}).signature
        rules.check_signature(descriptor, signature or descriptor.security.signature, self.trusted_issuers)

    def require_permission(self, id: str, permission: Permission) -> None:
        """
        Is the capability permitted to do this?

        Raises:
            NotRegistered: nobody registered it. SecurityViolation: it is not.
        """
        rules.require_permission(self.describe(id), permission)

    # --- administration -----------------------------------------------------------------------------------------------------

    def enable(self, id: str, stage: StageId | str | None = None) -> None:
        """
        Enable it; with a stage, let it stand there. It counts as opted in to from now on.

        Raises:
            NotRegistered: nobody registered it. StageViolation: *stage* is above where it stands.
        """
        text = NULL if stage is None else _text(str(StageId.parse(stage)))
        self._call(lambda error: int(lib.reml_capability_enable(self._pointer, _id(id), text, error)))

    def disable(self, id: str) -> None:
        """
        From now on no check of it passes and no context is granted it.

        Raises:
            NotRegistered: nobody registered it.
        """
        self._call(lambda error: int(lib.reml_capability_disable(self._pointer, _id(id), error)))

    def set_stage(self, id: str, stage: StageId | str) -> None:
        """
        Let it stand at a stage; what has to be true before is the caller's business (`reml_embed.registry.state`).

        Raises:
            NotRegistered: nobody registered it. InvalidStageError: no such stage.
        """
        text = _text(str(StageId.parse(stage)))
        self._call(lambda error: int(lib.reml_capability_set_stage(self._pointer, _id(id), text, error)))

    def unregister(self, id: str) -> None:
        """
        Take it out.

        Raises:
            NotRegistered: nobody registered it. SecurityViolation: the core provides it.
        """
        self._call(lambda error: int(lib.reml_capability_unregister(self._pointer, _id(id), error)))
        self._dependencies.pop(id, None)

    def revoke_plugin(self, id: str) -> list[str]:
        """
        Take out all that a plugin provides, and record ``plugin.revoke``.

        Args:
            id: the plugin's package, or the id of its capability of kind ``plugin``.

        Returns: the ids that were taken out, in the order of their registration.

        Raises:
            NotRegistered: nothing is from it.
        """
        package = id
        if id in self:
            plugin = self.get(id).as_plugin()
            if plugin is None:
                raise NotRegistered(id)
            package = plugin.package or (plugin.descriptor().provider.name or id)
        gone = [row for row in self.describe_all() if row.provider.kind == "plugin" and row.provider.name == package]
        count = ffi.new("size_t*")
        self._call(lambda error: int(lib.reml_capability_revoke_plugin(self._pointer, _text(package), count, error)))
        for row in gone:
            self._dependencies.pop(row.id, None)
        names = [str(row.id) for row in gone]
        version = next((row.provider.version for row in gone if row.provider.version), None)
        metadata: dict[str, Any] = {"plugin.id": id, "plugin.package": package, "plugin.capabilities": names}
        if version is not None:
            metadata["plugin.version"] = version
        payload = {"event": "plugin.revoke", "plugin": package, "capabilities": names}
        self.audit.log("plugin.revoke", payload, category="capability", capability=id, metadata=metadata)
        return names

    def register_custom_target_capability(self, name: str) -> None:
        """
        Add a name to the known target capabilities: ``@cfg(capability = "…")`` may ask for it.

        Of the process's registry it counts for every context made from now on; of another one for those made with it.
        """
        known = target_names.CUSTOM_CAPABILITIES if self._pointer == NULL else self._targets
        known.add(target_names.joined("name", [name]))

    @property
    def custom_target_capabilities(self) -> frozenset[str]:
        """The names that were added, the process's included."""
        return frozenset(target_names.CUSTOM_CAPABILITIES | self._targets)

    def runtime_capabilities(self) -> list[str]:
        """RuntimeCapability names whose capability is registered and enabled; sorted."""
        return sorted(name for name, id in RUNTIME_CAPABILITIES.items() if id and id in self and self.is_enabled(id))  # noqa: A001


# --- names of the memo ------------------------------------------------------------------------------------------------------


def verify_stage_for_io(
    id: str, requirement: Requirement, effects: Iterable[str] = (), *, registry: CapabilityRegistry | None = None,
) -> StageId:  # fmt: skip
    """`CapabilityRegistry.verify_stage` of the process's registry, as adapters call it."""
    asked = CapabilityRegistry.process() if registry is None else registry  # one without entries is false
    return asked.verify_stage(id, requirement, effects)


class MetricsStageGuard:
    """
    The guarded door in front of metrics. It asks each time, so that a capability that is taken away counts at once.

    Args:
        requirement: what ``metrics.emit`` has to satisfy.
        registry: by default the process's.

    Attributes:
        stage: what was found last; None before the first time and after a refusal.
    """

    CAPABILITY = "metrics.emit"

    def __init__(
        self, requirement: Requirement = "at_least:stable", *, registry: CapabilityRegistry | None = None
    ) -> None:
        self.requirement = StageRequirement.parse(requirement)
        self.stage: StageId | None = None
        self._registry = registry

    def verify(self) -> StageId:
        """The stage; raises like `CapabilityRegistry.verify_stage`."""
        self.stage = None
        self.stage = verify_stage_for_io(self.CAPABILITY, self.requirement, ("audit",), registry=self._registry)
        return self.stage
