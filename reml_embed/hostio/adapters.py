"""
The guarded door to files (CONTRACTS 6.2): which capability guards which operation, as two tables, and the adapters that ask the registry.

Comes in: an operation's name. Goes out: its `IoContext`, once the registry has allowed it; records when it ended or failed. The registry is asked
each time; no answer is kept. ``docs/core-io-effects-matrix.md`` is made from `OPERATIONS` and `GUARDS`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from reml_embed.audit.context import AuditContext
from reml_embed.audit.ids import new_id
from reml_embed.audit.sinks import ContextSink, RecordSink
from reml_embed.diagnostics import Emitter
from reml_embed.hostio.context import IoContext, PathLike, WatchStats, count_effects, shown
from reml_embed.hostio.errors import IoError, IoErrorKind, IoFailure, PathSecurityError
from reml_embed.registry.capability import CapabilityGuard, CapabilityRegistry
from reml_embed.registry.errors import CapabilityError, SecurityViolation
from reml_embed.registry.stage import StageRequirement

if TYPE_CHECKING:
    from reml_embed.context import Context
    from reml_embed.hostio.paths import SecurityPolicy


@dataclass(frozen=True, slots=True)
class Guard:
    """
    One guard.

    Attributes:
        name: of the adapter's method; of watchers: the feature.
        capability, requirement, effects: what the registry is asked.
    """

    name: str
    capability: str
    requirement: str
    effects: tuple[str, ...]


#: CONTRACTS 6.2.
GUARDS: Final[dict[str, Guard]] = {row.name: row for row in (
    Guard("ensure_read", "io.fs.read", "at_least:beta", ("io", "fs.read")),
    Guard("ensure_write", "io.fs.write", "at_least:beta", ("io", "fs.write")),
    Guard("ensure_permissions_read", "fs.permissions.read", "exact:stable", ("io", "security")),
    Guard("ensure_permissions_modify", "fs.permissions.modify", "exact:stable", ("io", "security")),
    Guard("ensure_symlink_query", "fs.symlink.query", "at_least:beta", ("io", "fs.symlink")),
    Guard("ensure_symlink_modify", "fs.symlink.modify", "exact:stable", ("io", "fs.symlink", "security")),
    Guard("ensure_security_policy", "security.fs.policy", "exact:stable", ("security",)),
    Guard("ensure_buffered_io_capability", "memory.buffered_io", "at_least:beta", ("mem",)),
    Guard("watcher.fschange", "fs.watcher.native", "at_least:beta", ("io", "watcher")),
    Guard("watcher.recursive", "fs.watcher.recursive", "exact:stable", ("io", "watcher")),
    Guard("watcher.resource_limits", "watcher.resource_limits", "at_least:beta", ("io", "watcher")),
)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One operation.

    Attributes:
        name: ``io.operation``.
        guards: names of guards; the first one is ``io.capability``.
        helper: ``io.helper``, where the caller names none.
        code: of failures; empty: that of their kind.
        kind: of its record.
        is_path: a refused capability is a `PathSecurityError`.
    """

    name: str
    guards: tuple[str, ...]
    helper: str
    code: str = ""
    kind: str = "core.io.operation"
    is_path: bool = False


_READ, _WRITE, _WATCH = "core.io.read_error", "core.io.write_error", "core.io.watcher_error"

OPERATIONS: Final[dict[str, Operation]] = {row.name: row for row in (
    Operation("file.open", ("ensure_read",), "bridge.open"),
    Operation("file.create", ("ensure_write",), "bridge.create"),
    Operation("file.metadata", ("ensure_read", "ensure_permissions_read"), "bridge.metadata"),
    Operation("file.remove", ("ensure_write",), "bridge.remove"),
    Operation("file.sync", ("ensure_write",), "bridge.sync", _WRITE),
    Operation("file.permissions", ("ensure_permissions_read",), "bridge.permissions"),
    Operation("file.set_permissions", ("ensure_permissions_modify",), "bridge.permissions"),
    Operation("file.read_link", ("ensure_symlink_query",), "bridge.symlink"),
    Operation("file.symlink", ("ensure_symlink_modify",), "bridge.symlink"),
    Operation("reader.read", ("ensure_read",), "bridge.reader", _READ),
    Operation("reader.read_exact", ("ensure_read",), "bridge.reader", _READ),
    Operation("reader.buffered", ("ensure_buffered_io_capability", "ensure_read"), "bridge.buffered", f"{_READ}.buffered"),
    Operation("with_reader", ("ensure_read",), "bridge.with_reader"),
    Operation("writer.write", ("ensure_write",), "bridge.writer", _WRITE),
    Operation("writer.flush", ("ensure_write",), "bridge.writer", _WRITE),
    Operation("bytes_writer.write", ("ensure_buffered_io_capability",), "bytes", _WRITE),
    Operation("io.copy", ("ensure_read",), "bridge.copy"),
    Operation("path.glob", ("ensure_read",), "path.glob", "core.path.glob.io_error", "core.path.glob"),
    Operation("path.validate", ("ensure_security_policy",), "path.validate", is_path=True),
    Operation("path.sandbox", ("ensure_security_policy",), "path.sandbox", is_path=True),
    Operation("path.is_safe_symlink", ("ensure_symlink_query", "ensure_security_policy"), "path.symlink", is_path=True),
    Operation("watch.start", ("watcher.fschange",), "bridge.watch", _WATCH, "core.io.watch"),
    Operation("watch.recursive", ("watcher.recursive",), "bridge.watch", _WATCH, "core.io.watch"),
    Operation("watch.resource_limits", ("watcher.resource_limits",), "bridge.watch", _WATCH, "core.io.watch"),
    Operation("watch.events", ("watcher.fschange",), "bridge.watch", _WATCH, "core.io.watch"),
    Operation("watch.stop", ("watcher.fschange",), "bridge.watch", _WATCH, "core.io.watch"),
)}  # fmt: skip

#: Where watchers are supported.
WATCHER_PLATFORMS: Final = ("linux", "darwin", "win32")


# --- records ----------------------------------------------------------------------------------------------------------------


class Trail:
    """
    Writes the records of operations (CONTRACTS 6.4).

    Args:
        audit: where they go.
    """

    def __init__(self, audit: AuditContext) -> None:
        self.audit = audit

    def done(self, context: IoContext, *, kind: str | None = None) -> str:
        """Record an operation; its audit id."""
        row = OPERATIONS.get(context.operation)
        return self.audit.log(
            kind or (row.kind if row else "core.io.operation"), category="core.io", capability=context.capability,
            metadata=context.metadata(), extensions={"io": context.to_json(), "effects": context.effects_json()},
        )  # fmt: skip

    def failed(self, error: IoFailure) -> str:
        """
        Record a failure, once; its audit id. What a capability refused is recorded a second time, as the diagnostic that tells of it,
        under the same id.
        """
        if error.audit_id is not None:
            return error.audit_id
        context = error.context
        kind = "core.path.glob" if context is not None and context.operation == "path.glob" else "core.io.error"
        extensions = error.extensions()
        if error.cause is not None:
            extensions["effects"] |= self._stage(error)
        metadata = error.metadata()
        metadata.setdefault("io.operation", None)
        metadata.setdefault("io.capability", None)
        error.audit_id = self.audit.log(
            kind, category="core.io", capability=context.capability if context else None, metadata=metadata, extensions=extensions,
        )  # fmt: skip
        if error.cause is not None:
            self._emit(error, extensions)
        return error.audit_id

    @staticmethod
    def _stage(error: IoFailure) -> dict[str, Any]:
        cause, context = error.cause, error.context
        stage = cause.actual_stage() if cause else None
        return {
            "capability": cause.id if cause else None, "required_stage": context.stage_required if context else None,
            "actual_stage": stage.value if stage else "unknown",
        }  # fmt: skip

    def _emit(self, error: IoFailure, extensions: dict[str, Any]) -> None:
        diagnostic = error.diagnostic(error.cause.diagnostic if error.cause else None)
        ids = iter((new_id(), error.audit_id or new_id()))
        emitter = Emitter(cast("Any", self.audit), channel=self.audit.channel, make_id=ids.__next__)
        emitter.emit({**diagnostic.json, "extensions": extensions})


# --- adapters ---------------------------------------------------------------------------------------------------------------


class Adapter:
    """
    Asks the registry before files are touched.

    Args:
        registry: by default the process's.
        audit: where refusals are recorded; by default where the registry records.
        context: whose grants count, and whose log gets the records of checks.
    """

    def __init__(
        self, registry: CapabilityRegistry | None = None, *, audit: AuditContext | RecordSink | None = None,
        context: Context | None = None,
    ) -> None:  # fmt: skip
        self.registry = CapabilityRegistry.process() if registry is None else registry  # one without entries is false
        self.context = context
        if audit is None and context is not None:
            audit = ContextSink(context)
        if audit is None:
            recorder = self.registry.audit
            audit = recorder if isinstance(recorder, AuditContext) else None
        if audit is None:
            raise TypeError("the registry records elsewhere than to an AuditContext: name one for files, too")
        self.trail = Trail(audit if isinstance(audit, AuditContext) else AuditContext(audit))

    def ensure(self, name: str, about: IoContext | None = None) -> CapabilityGuard:
        """
        Ask the registry by the guard's name.

        Args:
            about: what is about to be done; its stages are filled in. By default the guard itself.

        Raises:
            IoError: SecurityViolation: the capability is not there, not at the stage, without the effects, or not granted.
            PathSecurityError: ``capability_denied``, of operations that judge paths.
        """
        guard = GUARDS[name]
        about = about or IoContext(name, "adapter.ensure", "", guard.capability)
        about.stage_required = about.stage_required or guard.requirement
        about.tags = tuple(sorted({*about.tags, *guard.effects}))
        count_effects(security="security" in guard.effects, security_events=1)
        try:
            found = self.registry.guard_io_capability(
                guard.capability, guard.requirement, guard.effects, context=self.context
            )
            self._check_grant(guard)
        except CapabilityError as refused:
            raise self._refused(guard, about, refused) from refused
        if about.capability in (None, guard.capability):
            about.capability = guard.capability
            about.stage_required, about.stage_actual = guard.requirement, found.actual_stage.value
        return found

    def _check_grant(self, guard: Guard) -> None:
        if self.context is not None and not self.context.granted(guard.capability):
            descriptor = self.registry.describe(guard.capability)
            raise SecurityViolation(guard.capability, "is not granted to the context", descriptor)

    def _refused(self, guard: Guard, about: IoContext, refused: CapabilityError) -> IoFailure:
        stage = refused.actual_stage()
        about.capability, about.stage_required = guard.capability, guard.requirement
        about.stage_actual = stage.value if stage else "unknown"  # as the library says it
        about.take_effects()
        row = OPERATIONS.get(about.operation)
        message = f"{guard.capability}: {refused.detail()}"
        error: IoFailure
        if row is not None and row.is_path:
            error = PathSecurityError("capability_denied", about.path or "", detail=message, context=about)
        else:
            error = IoError(IoErrorKind.SecurityViolation, message, about)
        error.cause = refused
        self.trail.failed(error)
        return error

    def recheck(self, name: str, about: IoContext) -> None:
        """
        Ask again in the middle of an operation, without a record while the answer is yes.

        Raises:
            IoError: as `ensure`.
        """
        guard = GUARDS[name]
        try:
            found = self.registry.describe(guard.capability)
            fine = (
                self.registry.is_enabled(guard.capability)
                and StageRequirement.parse(guard.requirement).satisfied_by(found.stage)
                and set(guard.effects) <= set(found.effect_scope)
            )
            self._check_grant(guard)
        except CapabilityError:
            fine = False
        if not fine:
            self.ensure(name, about)


class FsAdapter(Adapter):
    """The guards of files and paths; each raises as `Adapter.ensure`."""

    def ensure_read(self, about: IoContext | None = None) -> CapabilityGuard:
        """``io.fs.read``."""
        return self.ensure("ensure_read", about)

    def ensure_write(self, about: IoContext | None = None) -> CapabilityGuard:
        """``io.fs.write``."""
        return self.ensure("ensure_write", about)

    def ensure_permissions_read(self, about: IoContext | None = None) -> CapabilityGuard:
        """``fs.permissions.read``."""
        return self.ensure("ensure_permissions_read", about)

    def ensure_permissions_modify(self, about: IoContext | None = None) -> CapabilityGuard:
        """``fs.permissions.modify``."""
        return self.ensure("ensure_permissions_modify", about)

    def ensure_symlink_query(self, about: IoContext | None = None) -> CapabilityGuard:
        """``fs.symlink.query``."""
        return self.ensure("ensure_symlink_query", about)

    def ensure_symlink_modify(self, about: IoContext | None = None) -> CapabilityGuard:
        """``fs.symlink.modify``."""
        return self.ensure("ensure_symlink_modify", about)

    def ensure_security_policy(self, about: IoContext | None = None) -> CapabilityGuard:
        """``security.fs.policy``."""
        return self.ensure("ensure_security_policy", about)

    def ensure_buffered_io_capability(self, about: IoContext | None = None) -> CapabilityGuard:
        """``memory.buffered_io``."""
        return self.ensure("ensure_buffered_io_capability", about)

    ensure_read_capability = ensure_read
    ensure_write_capability = ensure_write


class WatcherAdapter(Adapter):
    """
    The guards of watchers.

    Attributes:
        platform: of this machine, as `sys.platform` calls it.
    """

    platform: str = sys.platform

    def ensure_watcher_feature(self, feature: str, about: IoContext | None = None) -> CapabilityGuard:
        """
        Ask for ``watcher.fschange``, ``watcher.recursive`` or ``watcher.resource_limits``.

        Raises:
            IoError: UnsupportedPlatform: there are no watchers on this system. InvalidInput: no such feature. As `Adapter.ensure`.
        """
        guard = GUARDS.get(feature) if feature.startswith("watcher.") else None
        about = about or IoContext("watch.start", "adapter.ensure", "", watch=WatchStats())
        about.feature = feature
        if guard is None or not self.platform.startswith(WATCHER_PLATFORMS):
            kind = IoErrorKind.UnsupportedPlatform if guard else IoErrorKind.InvalidInput
            about.capability = guard.capability if guard else about.capability or GUARDS["watcher.fschange"].capability
            words = f"watchers are not supported on {self.platform}" if guard else f"no such feature: {feature}"
            error = IoError(kind, words, about)
            self.trail.failed(error)
            raise error
        return self.ensure(feature, about)


class Host:
    """
    What file operations stand on: who is asked, where records go, which paths are allowed.

    Args:
        registry: who is asked; by default the process's.
        audit: where records go: an `AuditContext` or a sink; by default the log of *context*, else where the registry records.
        context: whose grants count.
        policy: every path is validated against it, and files are opened below its roots only. None: paths are not restricted.
    """

    def __init__(
        self, *, registry: CapabilityRegistry | None = None, audit: AuditContext | RecordSink | None = None,
        context: Context | None = None, policy: SecurityPolicy | None = None,
    ) -> None:  # fmt: skip
        self.fs = FsAdapter(registry, audit=audit, context=context)
        self.trail = self.fs.trail
        self.watcher = WatcherAdapter(self.fs.registry, audit=self.trail.audit, context=context)
        self.policy = policy

    def begin(self, name: str, path: PathLike | None = None, helper: str | None = None) -> IoContext:
        """The context of an operation of `OPERATIONS`, unguarded."""
        row = OPERATIONS[name]
        context = IoContext(row.name, helper or row.helper, shown(path or ""), GUARDS[row.guards[0]].capability)
        context.tags = tuple(sorted({"io", *(tag for guard in row.guards for tag in GUARDS[guard].effects)}))
        if row.kind == "core.io.watch":
            context.watch = WatchStats()
        return context

    def guard(self, context: IoContext) -> IoContext:
        """Ask all guards of its operation; raises as `Adapter.ensure`."""
        for name in OPERATIONS[context.operation].guards:
            if name.startswith("watcher."):
                self.watcher.ensure_watcher_feature(name, context)
            else:
                self.fs.ensure(name, context)
        return context

    @contextmanager
    def failures(self, context: IoContext) -> Iterator[None]:
        """What the block raises becomes an `IoFailure` of *context*, and is recorded once."""
        try:
            yield
        except IoFailure as error:
            context.take_effects()
            error.context = error.context or context
            self.trail.failed(error)
            raise
        except OSError as found:
            context.take_effects()
            failed = IoError.from_os(found, context, code=OPERATIONS[context.operation].code or None)
            self.trail.failed(failed)
            raise failed from found

    @contextmanager
    def operation(self, name: str, path: PathLike | None = None, helper: str | None = None) -> Iterator[IoContext]:
        """
        Guard, run, record: the block gets the context; its record is written when it ends.

        Raises:
            IoFailure: refused, or what the block failed with.
        """
        context = self.guard(self.begin(name, path, helper))
        with self.failures(context):
            yield context
            context.take_effects()
        self.trail.done(context)
