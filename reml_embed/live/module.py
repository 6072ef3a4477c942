"""
A module that is replaced while a program calls it (guide §2; CONTRACTS 11)::

    live = LiveModule(Path("scene.reml"), setup=bind_host_functions)
    live.call("step", 3)                  # any thread
    live.reload(Path("scene.reml"))       # any thread; refused as a whole, or served from the next call on
    live.rollback()

Each version is a *generation*: a context of its own with the same host functions, grants, limits and log. A new one is made beside the one
that serves, checked against it, given its state, and takes its place in one step. Calls in flight end where they began; the old context
closes when the last of them has ended.

State goes over by functions that are found by name: ``export_state() -> S`` of the old version, ``import_state(S)`` of the new one; where that
does not take the value, ``migrate(Old) -> S`` of the new version makes one that it takes. State is plain data: what stays in a context (Vec,
Table, structs, functions) cannot go to another one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reml_embed import values
from reml_embed.audit.context import AuditContext
from reml_embed.audit.ids import new_id
from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.audit.sinks import ContextSink
from reml_embed.context import Context
from reml_embed.data import change_set
from reml_embed.diagnostics import Diagnostic
from reml_embed.errors import BusyError, LoadError, RemlError, StaleError
from reml_embed.live.errors import ApplyFailed, AuditIncomplete, ReloadError, RollbackFailed, ValidationFailed
from reml_embed.live.reload import Action, Log, measured
from reml_embed.live.state import HISTORY_MOST, ReloadState, RollbackInfo, now_ms
from reml_embed.registry.bridge import CAPABILITY
from reml_embed.registry.bridge_shape import ReloadSpec
from reml_embed.registry.stage import AtLeast, StageId

if TYPE_CHECKING:
    from reml_embed._fast import Function
    from reml_embed.module import Module

#: Functions of the state; they may come, go and change.
STATE_FUNCTIONS = ("export_state", "import_state", "migrate")
Source = str | bytes | Path
_EFFECTS = re.compile(r" ! \{[^{}]*\}\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Thread(threading.local):
    """Who is calling: *token* tells threads apart, *depth* counts calls that are open."""

    def __init__(self) -> None:
        self.token = object()
        self.depth = 0


_thread = _Thread()


class _Generation:
    """One version and what it runs in. Whoever holds `lock` may use the context."""

    def __init__(self, context: Context, module: Module, source: bytes, file: str | None) -> None:
        self.context, self.module, self.source, self.file = context, module, source, file
        self.known = module.signatures  # asked once: the context belongs to whoever calls
        self.lock = threading.RLock()
        self.owner: object = _thread.token
        self.depth = 0
        self.retired = False
        self.functions: dict[str, Function] = {}
        self.state: ReloadState[Any] | None = None
        self.exported: object = None  # what `import_state` was given; for the way back

    def enter(self) -> None:
        """The calling thread, which holds the lock, owns the context now."""
        if self.owner is not _thread.token:
            self.context.adopt()
            self.owner = _thread.token

    def function(self, name: str) -> Function:
        found = self.functions.get(name)
        if found is None:
            found = self.functions[name] = self.module[name]
        return found

    def retire(self) -> None:
        """No call begins here any more; the last one that is open closes the context."""
        self.retired = True
        if self.lock.acquire(blocking=False):
            try:
                self.close_if_idle()
            finally:
                self.lock.release()

    def close_if_idle(self) -> None:
        if self.retired and not self.depth and not self.context.closed:
            self.enter()
            self.functions.clear()
            with suppress(RemlError):  # its log may be full: nobody is told of the end then, but it has ended
                self.context.close()

    # --- what is compared -----------------------------------------------------------------------------------------------

    def signatures(self, names: Iterable[str] | None) -> dict[str, str]:
        """Name → signature of what a program may rely on: *names*, else what ``@dsl_export`` marks, else every function."""
        known = self.known
        chosen = (
            set(names) if names is not None else {name for name in self.module.exports if name in known} or set(known)
        )
        return {name: _typed(known[name]) for name in sorted(chosen) if name in known and name not in STATE_FUNCTIONS}

    def shapes(self, signatures: Mapping[str, str]) -> dict[str, Any]:
        """Name → constructors and fields of each type of this module that the signatures name."""
        words = sorted({word for text in signatures.values() for word in _WORD.findall(text)})
        found = {word: self.context._border.declared(self.module.name, word) for word in words}
        return {
            name: [[shape[0].__name__, list(shape[1])] for shape in shapes] for name, shapes in found.items() if shapes
        }

    def describe(self, names: Iterable[str] | None) -> dict[str, Any]:
        """What is recorded of this version."""
        signatures = self.signatures(names)
        return {
            "module": self.module.name, "sha256": hashlib.sha256(self.source).hexdigest(), "exports": signatures,
            "types": self.shapes(signatures),
        }  # fmt: skip


class LiveModule:
    """
    A module that serves calls and takes new versions; any thread may use it. One call runs at a time.

    Args:
        source: the first version: a text, or the Path of a file.
        name: file name for diagnostics; by default that of the Path.
        setup: called with each new context before anything is loaded: binds host functions, as for the first one.
        modules: sources that are loaded before it, each time.
        exports: names that the program relies on; by default what ``@dsl_export`` marks, and without such marks every function.
        audit: takes the records of reloads; by default the log of the new context.
        options: further arguments of each `Context`: ``audit`` goes there as *context_audit*.
        context_audit: the ``audit`` of each context.

    Raises:
        LoadError: the first version is wrong. What `Context` and *setup* raise.
    """

    def __init__(
        self, source: Source, *, name: str | None = None, setup: Callable[[Context], object] | None = None, modules: Iterable[Source] = (),
        exports: Iterable[str] | None = None, audit: Log | None = None, context_audit: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        self._setup, self._modules, self._audit = setup, tuple(modules), audit
        self._exports = None if exports is None else tuple(exports)
        self._options = options | ({"audit": context_audit} if context_audit is not None else {})
        self._reloading = threading.Lock()
        self._grants: list[tuple[str, str]] = []
        self._history: list[_Generation] = []  # closed ones: source, state
        self._closed = False
        first = self._build(source, name)
        first.state = ReloadState(
            new_id(), now_ms(), f"module.{first.module.name}", StageId.BETA, SCHEMA_VERSION, first.describe(self._exports)
        )  # fmt: skip
        self._current = first

    def _build(self, source: Source, name: str | None) -> _Generation:
        data = (
            source.read_bytes() if isinstance(source, Path) else source.encode() if isinstance(source, str) else source
        )
        file = name or (str(source) if isinstance(source, Path) else None)
        context = Context(**self._options)
        try:
            for how, capability in self._grants:
                getattr(context, how)(capability)
            if self._setup is not None:
                self._setup(context)
            for before in self._modules:
                context.load(before)
            return _Generation(context, context.load(data, name=file), data, file)
        except BaseException:
            context.close()
            raise

    # --- calling ----------------------------------------------------------------------------------------------------------

    def _enter(self) -> _Generation:
        while True:
            found = self._current
            found.lock.acquire()
            if found is self._current and not self._closed:
                try:
                    found.enter()
                except BaseException:
                    found.lock.release()
                    raise
                found.depth += 1
                _thread.depth += 1
                return found
            found.lock.release()
            if self._closed:
                raise StaleError("the live module is closed")

    @staticmethod
    def _leave(found: _Generation) -> None:
        found.depth -= 1
        _thread.depth -= 1
        try:
            if found.retired:
                found.close_if_idle()
        finally:
            found.lock.release()
            if found.retired:  # it may have been retired between the look and the release
                found.retire()

    def call(self, name: str, *arguments: Any) -> Any:
        """
        Call a function of the version that serves now, as `Function` does.

        What comes back and stays in Reml (Vec, Table, structs) is stale when that version is replaced: see `serving`.

        Raises:
            UnknownFunctionError, RunError, …: as a call of a function. StaleError: it is closed.
        """
        found = self._enter()
        try:
            return found.function(name)(*arguments)
        finally:
            self._leave(found)

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """A function by name; each call goes to the version that serves then."""
        return lambda *arguments: self.call(name, *arguments)

    @contextmanager
    def serving(self) -> Iterator[Module]:
        """The module as it serves now, for several calls that must agree: no other version takes over inside."""
        found = self._enter()
        try:
            yield found.module
        finally:
            self._leave(found)

    @property
    def state(self) -> ReloadState[Any]:
        """What serves: module, SHA-256 of its source, exported signatures and types; since when, under which audit id."""
        state = self._current.state
        assert state is not None  # noqa: S101  (set before it serves)
        return state

    def grant(self, capability: str) -> None:
        """As `Context.grant`, for this version and all to come."""
        self._note("grant", capability)

    def revoke(self, capability: str) -> None:
        """As `Context.revoke`, for this version and all to come."""
        self._note("revoke", capability)

    def _note(self, how: str, capability: str) -> None:
        with self._reloading:
            getattr(self._current.context, how)(capability)
            self._grants.append((how, capability))

    # --- replacing --------------------------------------------------------------------------------------------------------

    def reload(
        self, source: Source, *, name: str | None = None, allow: Container[str] = (), audit_id: str | None = None,
        on_diagnostic: Callable[[Diagnostic], object] | None = None,
    ) -> ReloadState[Any]:  # fmt: skip
        """
        Serve another version. Whatever goes wrong, the old one serves on.

        Args:
            source: the new version.
            name: file name for diagnostics.
            allow: names of functions and types that may be removed or changed; ``export_state``: the state may get lost.
            audit_id: of the records.
            on_diagnostic: told of each diagnostic.

        Returns:
            `state` of the new version.

        Raises:
            ValidationFailed: the source is wrong (the LoadError is ``__cause__``), or an export or a type is missing or another one.
            ApplyFailed: its state functions do not take the state. AuditIncomplete: the log does not take the records.
            BusyError: inside a call of a live module. StaleError: it is closed. OSError: the file cannot be read.
        """
        with self._alone():
            old = self._current
            act = self._action(audit_id, on_diagnostic)
            with measured(act):
                fresh = self._built(act, source, name)
                with self._unless_failing(fresh):
                    self._check(act, old, fresh, allow)
                    self._swap(
                        act, old, fresh, event="bridge.reload", carry=lambda: self._exported(act, old, fresh, allow)
                    )
            self._history = [*self._history, old][-HISTORY_MOST:]
            return self.state

    def rollback(self, *, audit_id: str | None = None) -> ReloadState[Any]:
        """
        Serve the version before again, with the state that it had when it was replaced.

        Raises:
            RollbackFailed: there is none, or it does not load any more. BusyError, StaleError: as `reload`.
        """
        with self._alone():
            act = self._action(audit_id, None)
            with measured(act):
                if not self._history:
                    self._tell(act, "bridge.rollback", "failed", status="failed")
                    raise act.fail(RollbackFailed, "there is no earlier version")
                before = self._history[-1]
                try:
                    fresh = self._build(before.source, before.file)
                    with self._unless_failing(fresh):
                        self._swap(act, self._current, fresh, event="bridge.rollback", carry=lambda: before.exported)
                except (RemlError, TypeError) as error:
                    self._tell(act, "bridge.rollback", "failed", status="failed")
                    raise act.fail(RollbackFailed, f"the earlier version does not serve: {error}") from error
                fresh.state = before.state
                self._history.pop()
            return self.state

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if _thread.depth:
            raise BusyError("a live module cannot be replaced from inside a call")
        with self._reloading:
            if self._closed:
                raise StaleError("the live module is closed")
            yield

    @contextmanager
    def _unless_failing(self, fresh: _Generation) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if fresh is not self._current:
                fresh.retire()
            raise

    def _action(self, audit_id: str | None, on_diagnostic: Callable[[Diagnostic], object] | None) -> Action:
        return Action(
            self.state,
            ReloadSpec(),
            self._audit,
            None,
            AtLeast(StageId.BETA),
            CAPABILITY,
            audit_id or new_id(),
            on_diagnostic,
        )

    def _refused(
        self, act: Action, cls: type[ReloadError], step: str, message: str, outcome: str, total: int = 0
    ) -> ReloadError:
        self._tell(act, "bridge.reload", outcome, total, breaking=outcome == "rejected")
        info = RollbackInfo(act.audit_id, act.state.run_id, message, step, act.state.json(), None, now_ms())
        return act.fail(cls, message, info)

    def _tell(self, act: Action, event: str, outcome: str, total: int = 0, **more: Any) -> None:
        """Record what did not happen; a log that fails does not hide why."""
        with ExitStack() as stack, suppress(RemlError, OSError, ValueError):
            if self._audit is None:  # the log of the context that serves: between two calls
                stack.enter_context(self._current.lock)
                self._current.enter()
            act.audit = self._audit or self._log_of(self._current)
            act.bridge_event(event, outcome, total, **more)

    @staticmethod
    def _log_of(found: _Generation) -> Log:
        return AuditContext(ContextSink(found.context), channel="embed")

    # step 1
    def _built(self, act: Action, source: Source, name: str | None) -> _Generation:
        try:
            return self._build(source, name)
        except LoadError as error:
            act.diagnostics.extend(error.diagnostics)
            for found in error.diagnostics if act.on_diagnostic else ():
                act.on_diagnostic(found)  # type: ignore[misc]
            raise self._refused(act, ValidationFailed, "compare", str(error), "rejected") from error

    def _check(self, act: Action, old: _Generation, fresh: _Generation, allow: Container[str]) -> None:
        """What the program relies on is there, as it was."""
        assert old.state is not None  # noqa: S101
        before, after = old.state.value, fresh.describe(self._exports)
        known = fresh.known
        if before["module"] != after["module"]:
            act.diagnose("reload.module.renamed", f"module {before['module']} is now {after['module']}")
        for name, signature in before["exports"].items():
            if name in allow:
                continue
            if name not in known:
                act.diagnose("reload.export.removed", f"{name}: {signature} is not there any more")
            elif _typed(known[name]) != signature:
                act.diagnose("reload.export.changed", f"{name}: {signature} is now {_typed(known[name])}")
        shapes = fresh.shapes(before["exports"])
        for name, shape in before["types"].items():
            if name not in allow and name in shapes and shapes[name] != shape:
                act.diagnose("reload.type.changed", f"{name}: {_shown(shape)} is now {_shown(shapes[name])}")
        if act.diagnostics:
            text = "; ".join(str(found.json["message"]) for found in act.diagnostics)
            raise self._refused(act, ValidationFailed, "compare", text, "rejected", len(act.diagnostics))

    # step 2
    def _exported(self, act: Action, old: _Generation, fresh: _Generation, allow: Container[str]) -> object:
        """The state of the old version; None: it has none, or it may get lost."""
        if "export_state" not in old.known:
            return None
        if "import_state" not in fresh.known:
            if "export_state" in allow:
                return None
            text = "the old version has export_state, the new one no import_state"
            act.diagnose("reload.state.lost", text)
            raise self._refused(act, ValidationFailed, "compare", text, "rejected")
        old.enter()
        try:
            return old.function("export_state")()
        except RemlError as error:
            text = f"export_state failed: {error}"
            act.diagnose("reload.state.mismatch", text)
            raise self._refused(act, ApplyFailed, "apply", text, "failed") from error

    def _import(self, act: Action, fresh: _Generation, value: object) -> None:
        try:
            try:
                fresh.function("import_state")(_carried(value, fresh))
            except TypeError:
                if "migrate" not in fresh.known:
                    raise
                fresh.function("import_state")(fresh.function("migrate")(_carried(value, fresh)))
        except (RemlError, TypeError, ValueError) as error:
            text = f"the new version does not take the state: {error}"
            act.diagnose("reload.state.mismatch", text)
            raise self._refused(act, ApplyFailed, "apply", text, "failed") from error

    # step 3 and the swap
    def _swap(
        self, act: Action, old: _Generation, fresh: _Generation, *, event: str, carry: Callable[[], object]
    ) -> None:
        has_state = "import_state" in fresh.known
        with ExitStack() as stack:
            if has_state or "export_state" in old.known:
                stack.enter_context(old.lock)  # between export and swap nothing may change the state
                old.enter()
            value = carry()
            if value is not None and not has_state:
                act.diagnose("reload.state.lost", "the version before has export_state, but no import_state")
                raise act.fail(ApplyFailed, "the version before does not take its state back")
            if value is not None:
                self._import(act, fresh, value)
            if event == "bridge.reload":
                old.exported = value
            assert old.state is not None  # noqa: S101
            made = fresh.describe(self._exports)
            changes = change_set.compare(old.state.value, made)
            fresh.state = old.state.followed_by(made, None, run_id=new_id(), audit_id=act.audit_id, at=now_ms())
            self._record(act, fresh, event, changes)
            self._current = fresh
        old.retire()

    def _record(self, act: Action, fresh: _Generation, event: str, changes: change_set.ChangeSet) -> None:
        act.audit, total = self._audit or self._log_of(fresh), len(changes.items)
        assert fresh.state is not None  # noqa: S101
        try:
            if event == "bridge.reload":
                totals = {"config.change_set.total": total, "reload.run_id": fresh.state.run_id}
                act.record("parser.reload", metadata=totals, change_set=changes.json())
                act.bridge_event(event, "applied", total)
            else:
                act.bridge_event(event, "rolled_back", total, status="rolled_back")
        except (RemlError, OSError, ValueError) as error:
            raise self._refused(
                act, AuditIncomplete, "audit", f"the log does not take the records: {error}", "failed"
            ) from error

    # --- life -------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Serve no more: calls in flight end, then the context closes. Closing twice is fine."""
        with self._reloading:
            self._closed = True
            self._current.retire()

    def __enter__(self) -> LiveModule:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LiveModule {self.state.value['module']}{', closed' if self._closed else ''}>"


def _typed(signature: str) -> str:
    """A signature without the effects that were found in the body: callers do not rely on them."""
    return _EFFECTS.sub("", signature)


def _shown(shape: list[list[Any]]) -> str:
    return " | ".join(f"{name}({', '.join(fields)})" for name, fields in shape)


def _carried(value: Any, fresh: _Generation) -> Any:
    """A value of one context as plain data for another; constructors of sum types become those of the new module."""
    if isinstance(value, values.Variant):
        cls = getattr(fresh.module.type(type(value).__mro__[1].__name__), type(value).__name__, None)
        if cls is None:
            raise TypeError(f"the new version has no constructor {type(value).__qualname__}")
        return cls(*(_carried(getattr(value, part.name), fresh) for part in dataclasses.fields(value)))  # type: ignore[arg-type]
    if isinstance(value, values.Record):
        return {part.name: _carried(getattr(value, part.name), fresh) for part in dataclasses.fields(value)}  # type: ignore[arg-type]
    if isinstance(value, values.Some | values.Ok | values.Err):
        return type(value)(*(_carried(getattr(value, name), fresh) for name in type(value).__match_args__))
    if isinstance(value, dict):
        return {_carried(key, fresh): _carried(item, fresh) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_carried(item, fresh) for item in value)
    if isinstance(value, values.Proxy) or callable(value):
        raise TypeError(f"a {type(value).__name__} stays in its context: state is plain data")
    return value
