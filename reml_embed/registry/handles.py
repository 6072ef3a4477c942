"""
Typed handles (CONTRACTS 4.1): one class per kind, with its metadata beside the descriptor.

A registry gives out copies, so changing one changes nothing but itself. ``handle.as_gc()`` is the handle when it is of that kind, else
None; ``handle.expect("gc")`` raises instead.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from reml_embed.registry._shape import Reader
from reml_embed.registry.descriptor import INVALID, CapabilityDescriptor
from reml_embed.registry.errors import InvalidHandle

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from reml_embed.registry.security import SecurityPolicy

Json = Any


@dataclass
class CapabilityHandle:
    """
    What a verified capability is used through.

    Attributes:
        kind: the tag word of its class: ``gc``; ``none`` for an id that counts as stable without being registered.
    """

    kind: ClassVar[str] = "none"

    _descriptor: CapabilityDescriptor

    def descriptor(self) -> CapabilityDescriptor:
        """Its descriptor: stage, effect scope, provider, security."""
        return self._descriptor

    @property
    def id(self) -> str:
        """The capability's id."""
        return self._descriptor.id

    def clone(self, descriptor: CapabilityDescriptor | None = None) -> Self:
        """A copy that shares nothing that can change; with another descriptor when one is given."""
        made = copy.deepcopy(self)
        if descriptor is not None:
            made._descriptor = descriptor
        return made

    def metadata(self) -> dict[str, Json]:
        """What stands beside the descriptor, by its JSON names."""
        return {part.name: getattr(self, part.name) for part in dataclasses.fields(self) if part.name != "_descriptor"}

    def to_json(self) -> dict[str, Json]:
        """``{"kind": …, "descriptor": …, "metadata": …}``."""
        return {"kind": self.kind, "descriptor": self._descriptor.to_json(), "metadata": copy.deepcopy(self.metadata())}

    def expect(self, kind: str) -> CapabilityHandle:
        """
        The handle itself, when it is of *kind*.

        Raises:
            InvalidHandle: it is not.
        """
        if self.kind != kind:
            raise InvalidHandle(self.id, kind, self.kind, self._descriptor)
        return self

    def as_gc(self) -> GcCapability | None:
        """The handle when it is of this kind, else None; so are the ones below."""
        return self if isinstance(self, GcCapability) else None

    def as_io(self) -> IoCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, IoCapability) else None

    def as_async(self) -> AsyncCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, AsyncCapability) else None

    def as_actor(self) -> ActorCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, ActorCapability) else None

    def as_audit(self) -> AuditCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, AuditCapability) else None

    def as_metrics(self) -> MetricsCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, MetricsCapability) else None

    def as_collections(self) -> CollectionsCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, CollectionsCapability) else None

    def as_memory(self) -> MemoryCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, MemoryCapability) else None

    def as_security(self) -> SecurityCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, SecurityCapability) else None

    def as_native(self) -> NativeCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, NativeCapability) else None

    def as_system(self) -> SystemCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, SystemCapability) else None

    def as_process(self) -> ProcessCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, ProcessCapability) else None

    def as_signal(self) -> SignalCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, SignalCapability) else None

    def as_ffi(self) -> FfiCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, FfiCapability) else None

    def as_plugin(self) -> PluginCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, PluginCapability) else None

    def as_hardware(self) -> HardwareCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, HardwareCapability) else None

    def as_realtime(self) -> RealtimeCapability | None:
        """See `as_gc`."""
        return self if isinstance(self, RealtimeCapability) else None


@dataclass
class GcCapability(CapabilityHandle):
    """The collector."""

    kind = "gc"
    strategy: str = "incremental"
    supports_compaction: bool = False
    concurrent: bool = False


@dataclass
class IoCapability(CapabilityHandle):
    """Files, paths, watching, networks."""

    kind = "io"
    adapters: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    supports_async: bool = False


@dataclass
class AsyncCapability(CapabilityHandle):
    """Tasks and timers."""

    kind = "async"
    scheduler: str = "deterministic"
    supports_backpressure: bool = False
    supports_blocking_adapter: bool = False
    supports_mailbox: bool = False


@dataclass
class ActorCapability(CapabilityHandle):
    """Actors; *mailbox_capacity* in messages."""

    kind = "actor"
    scheduler: str = "local"
    supports_remote_mailbox: bool = False
    mailbox_capacity: int = 1024


@dataclass
class AuditCapability(CapabilityHandle):
    """Where records go."""

    kind = "audit"
    transport: str = "json_lines"
    schema_version: str = "3.0.0-alpha"
    persists_history: bool = True


@dataclass
class MetricsCapability(CapabilityHandle):
    """Measurements."""

    kind = "metrics"
    exporters: list[str] = field(default_factory=lambda: ["json"])
    supports_histogram: bool = False
    supports_sampling: bool = False


@dataclass
class CollectionsCapability(CapabilityHandle):
    """Collectors and cells."""

    kind = "collections"
    collector_effects: list[str] = field(default_factory=list)
    tracks_mutation: bool = False
    tracks_reference_count: bool = False


@dataclass
class MemoryCapability(CapabilityHandle):
    """Buffers; *max_allocation_bytes* is 0 where only the context's limit counts."""

    kind = "memory"
    model: str = "managed"
    max_allocation_bytes: int = 0
    supports_guard_pages: bool = False


@dataclass
class SecurityCapability(CapabilityHandle):
    """Policies over other capabilities."""

    kind = "security"
    policies: list[str] = field(default_factory=lambda: ["capability_whitelist"])
    enforces_path_sandbox: bool = False
    tracks_manifest: bool = False

    def enforce(
        self, policy: SecurityPolicy, handle: CapabilityHandle, envelope: MutableMapping[str, Json] | object
    ) -> object:
        """
        Hold *handle* against *policy*; see `reml_embed.registry.security.enforce`, which this is.

        Returns: *envelope*, to whose metadata ``stage_requirement`` and ``effect_scope`` were added.

        Raises:
            StageViolation, EffectScopeMismatch, SecurityViolation: it does not hold; the envelope is as it was.
        """
        from reml_embed.registry.security import enforce  # noqa: PLC0415  (which knows handles)

        return enforce(policy, handle, envelope)


@dataclass
class NativeCapability(CapabilityHandle):
    """Native code in and around the runtime."""

    kind = "native"
    operations: list[str] = field(default_factory=list)


@dataclass
class SystemCapability(CapabilityHandle):
    """What the operating system offers, and everything without a kind of its own."""

    kind = "system"
    operations: list[str] = field(default_factory=list)


@dataclass
class ProcessCapability(CapabilityHandle):
    """Processes and threads."""

    kind = "process"
    operations: list[str] = field(default_factory=list)


@dataclass
class SignalCapability(CapabilityHandle):
    """Signals."""

    kind = "signal"
    operations: list[str] = field(default_factory=list)


@dataclass
class FfiCapability(CapabilityHandle):
    """Foreign functions; registered only after the checklist of CONTRACTS 2.7."""

    kind = "ffi"
    operations: list[str] = field(default_factory=list)
    sandbox_calls: bool = False
    verify_abi: bool = True


@dataclass
class PluginCapability(CapabilityHandle):
    """A plugin, and the ids of what it brings along."""

    kind = "plugin"
    package: str = ""
    version: str = ""
    bundle_id: str = ""
    bundle_version: str = ""
    exposed_capabilities: list[str] = field(default_factory=list)


@dataclass
class HardwareCapability(CapabilityHandle):
    """Accelerators."""

    kind = "hardware"
    accelerators: list[str] = field(default_factory=list)
    supports_simd: bool = False
    supports_gpu: bool = False


@dataclass
class RealtimeCapability(CapabilityHandle):
    """Deadlines; *latency_budget_ns* in nanoseconds."""

    kind = "realtime"
    latency_budget_ns: int = 1_000_000
    supports_deadlines: bool = True
    clock_source: str = "monotonic"


#: Kind → its class, in the order of CONTRACTS 4.1 and of ``reml_capability_kind_t``.
KINDS: dict[str, type[CapabilityHandle]] = {
    kind.kind: kind
    for kind in (
        GcCapability, IoCapability, AsyncCapability, ActorCapability, AuditCapability, MetricsCapability, CollectionsCapability,
        MemoryCapability, SecurityCapability, NativeCapability, SystemCapability, ProcessCapability, SignalCapability,
        FfiCapability, PluginCapability, HardwareCapability, RealtimeCapability,
    )
}  # fmt: skip


def make_handle(
    kind: str, descriptor: CapabilityDescriptor, metadata: Json = None, path: str = "$"
) -> CapabilityHandle:
    """
    A handle of *kind* from its JSON parts.

    Raises:
        FileError: an unknown kind, or metadata that do not belong to it.
    """
    if kind == CapabilityHandle.kind:
        return CapabilityHandle(descriptor)
    cls = KINDS.get(kind)
    if cls is None:
        raise Reader({}, path, code=INVALID).wrong(f"unknown kind `{kind}` (known: {', '.join(KINDS)})", "kind")
    given = Reader(metadata or {}, f"{path}.metadata", code=INVALID)
    names = [part.name for part in dataclasses.fields(cls) if part.name != "_descriptor"]
    given.only(*names)
    return cls(descriptor, **copy.deepcopy(dict(given.value)))
