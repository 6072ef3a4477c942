"""
A context: load modules, run them, call their functions.

Comes in: sources, Python values, Python functions. Goes out: Python values, exceptions, audit records. Every call of the guide is
one method here, and leaves one record.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from reml_embed import diagnostics as diagnostic_shapes
from reml_embed import foreign
from reml_embed import limits as limit_table
from reml_embed import metrics as metric_table
from reml_embed import target as target_shapes
from reml_embed._ffi import (
    HEADER_VERSION,
    NULL,
    Border,
    Function,
    Lifecycle,
    SinkHolder,
    check_versions,
    context_pointer,
    ffi,
    lib,
    owned_text,
    span_text,
    status_label,
    string,
    uncounted_lifecycle,
)
from reml_embed._signatures import signature_text
from reml_embed._support import Support, write_stdout
from reml_embed.audit import chain as audit_log
from reml_embed.diagnostics import Json
from reml_embed.effects import HostHandler
from reml_embed.errors import (
    EXCEPTIONS,
    WORDS,
    AuditUnavailableError,
    InvalidArgumentError,
    LoadError,
    RemlError,
    RunError,
    SignatureError,
    StaleError,
    UnknownFunctionError,
    refuse_pickling,
)
from reml_embed.module import Export, Module
from reml_embed.program import Program
from reml_embed.results import BorrowedResult, TransferredResult
from reml_embed.values import Proxy, Some

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from reml_embed._waiting import Jobs
    from reml_embed.diagnostics import Diagnostic
    from reml_embed.effects import OptIn
    from reml_embed.foreign import ForeignBuffer, ForeignPtr
    from reml_embed.library import ForeignContract
    from reml_embed.limits import Limits
    from reml_embed.metrics import FfiMetrics
    from reml_embed.profiling import Profile
    from reml_embed.registry.capability import CapabilityRegistry
    from reml_embed.run_config import RunConfig

F = TypeVar("F", bound=Callable[..., Any])

_BORROWED = ffi.typeof("reml_value_t*")
_EXPLAIN = {"ir": 0, "bytecode": 1, "tree": 2, "tokens": 3}
_DISPOSED = context_pointer(0)


@dataclass(frozen=True, slots=True)
class Memory:
    """
    Memory of a context, in bytes and counts.

    ``live_bytes`` is all of it, ``heap_bytes`` what values of scripts take; ``pause_…_ns`` is what runs waited for the collector.
    """

    live_bytes: int
    peak_bytes: int
    heap_live_objects: int
    collections: int
    allocations: int
    live_handles: int
    heap_bytes: int
    pause_last_ns: int
    pause_longest_ns: int
    pause_total_ns: int


def _c_text(what: str, text: str) -> Any:
    if not isinstance(text, str):
        raise TypeError(f"{what}: expected a text, got {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"{what} with a NUL in it: {text!r}")
    return ffi.new("char[]", os.fsencode(text))


#: Bytes that members naming a command may have.
COMMAND_BYTES_MOST: Final = 4096


def command_fits(members: Mapping[str, Any]) -> bool:
    """Are they few enough for ``Context(audit_command=…)``?"""
    return len(_command_text(members)) <= COMMAND_BYTES_MOST


def _command_text(members: Mapping[str, Any]) -> bytes:
    """Members that name a command, as the library takes them."""
    text = json.dumps(dict(sorted(members.items())), ensure_ascii=False, separators=(",", ":"))
    return text[1:-1].encode("utf-8", "replace")


def _name_command(options: Any, keep: list[object], members: Mapping[str, Any] | None) -> None:
    """Fill in the field of the struct that is about the command."""
    if members is not None:
        keep.append(ffi.new("char[]", _command_text(members)))
        options.audit_command = keep[-1]


def _one_of(grants: Iterable[str] | None, granted_capabilities: Iterable[str] | None) -> Iterable[str] | None:
    if grants is not None and granted_capabilities is not None:
        raise TypeError("grants and granted_capabilities are the same: give one")
    return grants if grants is not None else granted_capabilities


def _ask_for_capabilities(
    options: Any,
    keep: list[object],
    minimum_stage: str,
    granted: Iterable[str] | None,
    registry: CapabilityRegistry | None,
) -> None:
    """Fill in the fields of the struct that are about capabilities."""
    if minimum_stage not in target_shapes.STAGES:
        raise ValueError(f"minimum_stage must be one of {', '.join(target_shapes.STAGES)}, got {minimum_stage!r}")
    options.minimum_stage = target_shapes.STAGES.index(minimum_stage)
    if granted is not None:
        options.granted_capabilities = target_shapes.text(target_shapes.joined("grants", granted), keep)
    if registry is not None:
        options.registry = registry._pointer


def _needs(capability: str | None, stage: str | None, effects: Iterable[str]) -> tuple[str | None, int, str | None]:
    """What a host function asks for, as the border takes it."""
    names = target_shapes.joined("effects", effects)
    if capability is None:
        if stage is not None or names:
            raise ValueError("stage and effects say what is needed of a capability: name it")
        return None, 0, None
    requirement = 0
    if stage is not None:
        requirement = lib.reml_capability_requirement_parse(ffi.new("char[]", stage.encode()))
        if requirement < 0:
            raise ValueError(
                f"config.invalid_stage: {stage!r} is no stage requirement (at_least:beta, exact:stable, …)"
            )
    return capability, requirement, names or None


def _source_bytes(source: str | bytes | Path, name: str | None) -> tuple[bytes, str | None]:
    """A source and the name of its file."""
    if isinstance(source, Path):
        return source.read_bytes(), str(source) if name is None else name
    if isinstance(source, str):
        return source.encode("utf-8", "surrogatepass"), name  # a lone surrogate: the library says that it is not UTF-8
    return bytes(source), name


class Context:
    """
    A place where modules are loaded and run; independent of every other context.

    A context belongs to the thread that made it (see `adopt`). Use it in a ``with`` block, or call `close`; what was borrowed from
    it becomes stale then. Other Python threads run while a script runs, and Ctrl-C stops it.

    Args:
        audit: where audit records go: the path of a file, or an object with ``write(line)``; by default the last 4,096 wait for
            `drain`. The environment variable ``REML_EMBED_AUDIT_PATH`` names a file for contexts without this argument.
        limits: what scripts may use up.
        output: called with each text that scripts print; by default it goes to ``sys.stdout``.
        input: called with the question of each ``Console.ask`` that a script does not handle itself, answers a ``str``; by default the
            answer is empty.
        abi_version: the version of the interface that the caller was written for.
        strict_top_level: top-level expression statements are errors.
        deny_non_exhaustive: a match that misses a case is an error.
        warnings_as_errors: warnings are errors.
        target: what ``@cfg`` asks about, where it differs from this machine: ``os``, ``family``, ``arch``, ``abi``, ``env``, ``vendor``,
            ``profile_id``, ``runtime_revision``, ``stdlib_version`` (texts), ``features``, ``capabilities``, ``known_capabilities``,
            ``runners``, ``known_runners`` (names), ``extra`` (names to texts), ``diagnostics`` (keep what is asked for `cfg_log`).
        features: further features of the target.
        run_config: a `RunConfig`, kept as ``run_config`` for host functions; its target counts where *target* is not given
            (CONTRACTS 5.1).
        minimum_stage: ``experimental``, ``beta`` or ``stable``: code that declares a lower one with ``@requires_capability`` does
            not load.
        grants: ids of the capabilities that scripts may use (see `grant`); by default every enabled one. ``granted_capabilities``
            is the same.
        explicit_experimental: experimental capabilities need a grant by name, or to be enabled explicitly: for hostile code.
        registry: the registry of capabilities that is asked; by default the process's.
        effects: what is opted in to of what is experimental; see `OptIn`.
        args: what ``Env.args()`` answers.
        environment: the variables that ``Env.get_env`` sees; without it every one is denied.
        audit_command: names the command that it works for; see `set_audit_command`. The record of its creation has it, too.
        stress_gc: collect at every chance; for tests.

    Raises:
        AbiMismatchError, UnsupportedTargetError, AuditUnavailableError, OutOfMemoryError: nothing was made.
    """

    _observer: SinkHolder | None = None  # of effects
    _replacing = False  # a module

    def __init__(
        self,
        *,
        audit: str | os.PathLike[str] | audit_log.Sink | None = None,
        limits: Limits | None = None,
        output: Callable[[str], object] | None = None,
        input: Callable[[str], str] | None = None,  # noqa: A002  (named as in the builtin it stands for)
        abi_version: str = HEADER_VERSION,
        strict_top_level: bool = False,
        deny_non_exhaustive: bool = False,
        warnings_as_errors: bool = False,
        target: Mapping[str, Any] | None = None,
        features: Iterable[str] = (),
        run_config: RunConfig | None = None,
        minimum_stage: str = "experimental",
        grants: Iterable[str] | None = None,
        granted_capabilities: Iterable[str] | None = None,
        explicit_experimental: bool = False,
        registry: CapabilityRegistry | None = None,
        effects: OptIn | None = None,
        args: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        audit_command: Mapping[str, Any] | None = None,
        stress_gc: bool = False,
    ) -> None:
        self._id = _DISPOSED
        self._epoch = 0
        self._callbacks = 0
        self._lent: list[
            object
        ] = []  # memory of loans that Python let go of in another thread: it lives as long as the context
        self._types: dict[str, Any] = {}
        self._pid = os.getpid()
        self._sink: SinkHolder | None = None
        self._loading, self.run_config = False, run_config
        self._handler_slots: set[int] = set()  # of the host's handlers: names of their bindings are used again
        check_versions(abi_version)
        flags = (
            strict_top_level * lib.REML_EMBED_OPTION_STRICT_TOP_LEVEL
            | deny_non_exhaustive * lib.REML_EMBED_OPTION_DENY_NON_EXHAUSTIVE
            | warnings_as_errors * lib.REML_EMBED_OPTION_WARNINGS_AS_ERRORS
            | stress_gc * lib.REML_EMBED_OPTION_STRESS_GC
            | explicit_experimental * lib.REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL
        )
        options = ffi.new("reml_embed_options_t*", {"struct_size": ffi.sizeof("reml_embed_options_t"), "flags": flags})
        keep: list[object] = []  # what the struct points to, for the duration of the call
        if limits is not None:
            keep.append(limit_table.to_c(limits))
            options.limits = keep[-1]
        known = registry.custom_target_capabilities if registry is not None else target_shapes.CUSTOM_CAPABILITIES
        if target is None and run_config is not None and run_config.target is not None:
            target = run_config.target.for_context()
        options.target = target_shapes.to_c(target or {}, features, keep, known)
        granted = _one_of(grants, granted_capabilities)
        _ask_for_capabilities(options, keep, minimum_stage, granted, registry)
        _name_command(options, keep, audit_command)
        sink: audit_log.Sink | None = None
        if isinstance(audit, str | os.PathLike):
            keep.append(ffi.new("char[]", os.fsencode(audit)))
            options.audit_path = keep[-1]
        elif audit is not None:
            sink = audit
        out = ffi.new("reml_embed_context_t**")
        with Lifecycle("reml_create_context"):
            status = lib.reml_embed_create(ffi.new("char[]", abi_version.encode()), options, out)
        if status:
            message = string(lib.reml_embed_last_create_error()) or status_label(status)
            raise EXCEPTIONS[status](message, status=status, label=status_label(status))
        self._id, self._registry, self._late_cells = out[0], registry, list[Callable[[Any], object]]()
        self._support = Support(self)
        self._waiting: Jobs | None = None  # made when something waits: it needs asyncio
        try:
            identity = int(ffi.cast("uintptr_t", self._id))
            self._border = Border(identity, self._support, output or write_stdout, Some, Proxy)
            self._border.set_input(input)
        except BaseException:
            uncounted_lifecycle()
            lib.reml_dispose_context(self._id)
            raise
        _open.add(self)
        if sink is not None:
            self._set_sink(sink)
        self._show_surroundings(args, environment, effects)

    def _show_surroundings(
        self, args: Iterable[str], environment: Mapping[str, str] | None, effects: OptIn | None
    ) -> None:
        try:
            if effects is not None:
                self.set_effects(effects)
            if args:
                self.set_args(args)
            if environment is not None:
                self.set_environment(environment)
        except BaseException:
            self.close()
            raise

    def _set_sink(self, sink: audit_log.Sink) -> None:
        self._sink = SinkHolder(sink.write)
        status = lib.reml_embed_set_audit_sink(self._id, lib.reml_python_sink, self._sink.handle, NULL)
        if status:
            error = self._error(status)
            self.close()
            raise error

    # --- life -----------------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Has it been closed?"""
        return bool(self._id == _DISPOSED)

    def close(self) -> None:
        """
        Free everything. Values, functions and results of the context become stale. Closing twice is fine.

        Raises:
            BusyError: the context is running. WrongThreadError: it belongs to another thread.
        """
        if self.closed:
            return
        if self._pid != os.getpid():
            status = self._border.dispose()  # what a child inherited leaves no record: the log is the parent's
        else:
            with Lifecycle("reml_dispose_context"):
                status = self._border.dispose()
        self._raise_for(status)
        self._forget()

    def _forget(self) -> None:
        self._epoch += 1
        self._id = _DISPOSED
        if self._waiting is not None:
            self._waiting.forget()
        self._support.context = None  # no cycle is left: functions that are still out keep only their border
        _open.discard(self)

    def _abandon(self) -> None:
        """Close without anybody to tell: at collection, on whatever thread, and at the end of the interpreter."""
        if self.closed or self._pid != os.getpid():
            return  # finalisers in a child do nothing native
        lib.reml_embed_adopt(self._id)  # nobody else uses it any more; refused while it runs
        uncounted_lifecycle()
        if self._border.dispose() == 0:
            self._forget()

    def _check_open(self) -> None:
        if self.closed:
            raise StaleError("the context is closed")

    def __enter__(self) -> Context:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if "_border" in self.__dict__:
            self._abandon()

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)

    def __repr__(self) -> str:
        return "<Context, closed>" if self.closed else f"<Context {int(ffi.cast('uintptr_t', self._id)):#x}>"

    def adopt(self) -> None:
        """
        Make the calling thread the owner of the context. The threads must agree when.

        Raises:
            BusyError: it is running. ForkedError: it belongs to the parent process.
        """
        self._raise_for(lib.reml_embed_adopt(self._id))

    def grant(self, capability: str) -> None:
        """
        Let scripts use the capability, from any thread and also during a run. A context without ``grants`` may use every enabled
        one that has not been revoked.

        Raises:
            ValueError: not one id.
        """
        self._raise_for(lib.reml_embed_grant(self._id, _c_text("capability", capability)))

    def revoke(self, capability: str) -> None:
        """Take a capability away, from any thread: what needs it raises `DeniedError` from now on, whoever calls it."""
        self._raise_for(lib.reml_embed_revoke(self._id, _c_text("capability", capability)))

    def granted(self, capability: str) -> bool:
        """May scripts use it now, as far as the host is concerned? (It must also be registered and enabled.)"""
        return bool(lib.reml_embed_granted(self._id, _c_text("capability", capability)))

    def interrupt(self) -> None:
        """Stop the current run, from any thread: it ends with a RunError ``runtime.interrupted``."""
        self._raise_for(lib.reml_embed_interrupt(self._id))

    # --- loading --------------------------------------------------------------------------------------------------------

    def load(self, source: str | bytes | Path | Program, *, name: str | None = None, ambient: bool = False) -> Module:
        """
        Check and compile a module. Loading runs nothing; on failure nothing has changed.

        Args:
            source: the text, or the Path of a file; or what `compile` made, here or in another context: then nothing is checked
                again that comes out the same here. The Module is that of its last source.
            name: file name for diagnostics; by default that of the Path.
            ambient: its public items and ``extern "host"`` blocks are visible to modules loaded later, without ``use``.

        Raises:
            LoadError: the source is wrong; it prints like a compiler's errors.
            OSError: the file cannot be read.
        """
        if isinstance(source, Program):
            if name is not None or ambient:
                raise InvalidArgumentError("a program has its names")
            self._loaded(lambda: lib.reml_program_load(self._id, source._id))
        else:
            self._load(source, name, lib.REML_EMBED_SOURCE_AMBIENT if ambient else 0)
        return Module(self, self._border.module() or "")

    def compile(self, *sources: str | bytes | Path) -> Program:
        """
        Load sources, one after the other, and keep what was made for other contexts: ``other.load(program)`` takes microseconds.

        Contexts share it whose target, options and host functions are those that this one had (functions defined in the same order);
        others check the sources anew. Values, grants, limits and records stay those of each context.

        Raises:
            LoadError: a source is wrong; none of them is loaded then.
            OSError: a file cannot be read.
        """
        given = ffi.new("reml_embed_source_t[]", max(len(sources), 1))
        kept = [self._describe(given[i], source, None, 0) for i, source in enumerate(sources)]
        out = ffi.new("reml_program_t**")
        self._loaded(lambda: lib.reml_program_compile(self._id, given, len(sources), out))
        del kept
        return Program(out[0])

    def check(
        self, source: str | bytes | Path, *, name: str | None = None, telemetry: bool = False
    ) -> list[Diagnostic]:
        """
        Say what is wrong with a source, without adding it; warnings included. An empty list: nothing.

        Args:
            source: the text, or the Path of a file.
            name: file name for diagnostics; by default that of the Path.
            telemetry: keep what the checker demanded of types, for `constraints`.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            flags = lib.REML_EMBED_SOURCE_TELEMETRY if telemetry else 0
            self._load(source, name, lib.REML_EMBED_SOURCE_CHECK_ONLY | flags)
        except LoadError as error:
            return list(error.diagnostics)
        return list(self.diagnostics)

    def reload_module(
        self, name: str, source: str | bytes | Path, *, file: str | None = None, allow: Iterable[str] = (),
        let_go: bool = False, keep: bool = True, dry_run: bool = False, audit_id: str | None = None,
    ) -> Module:  # fmt: skip
        """
        Put another version of a loaded module in the place of the one before, while the context goes on.

        It is made and tried beside the version that serves; whatever goes wrong, that one serves on exactly as it was. Else functions that
        Python holds call the new code from the next call on, and values that it holds (Vec, Table, structs) go over with what they share.
        Of the module's state, ``var`` and what has identity go over where name and type are the same, or through ``export_state``,
        ``migrate`` and ``import_state`` of the module. Modules that use it are checked against it.

        Args:
            name: path of the module; ``main`` for one without a name.
            source: the new version: a text, or the Path of a file.
            file: file name for diagnostics; by default that of the Path.
            allow: names of functions, types and values that may go or change; ``export_state``: the state.
            let_go: what Python holds and cannot go over becomes stale, instead of a refusal.
            keep: keep the version before for `rollback_module`, with its memory.
            dry_run: check everything; run, change and record nothing.
            audit_id: of the records; by default a new one.

        Returns:
            The module.

        Raises:
            LoadError: the source is wrong, or lacks what the program relies on (codes ``reload.…``).
            RunError, LimitError: its initialisation or a function of state failed. BaseException: what a host function raised.
            BusyError: inside a run, or while something waits in the context. OSError: the file cannot be read.
        """
        data, file = _source_bytes(source, file)
        flags = (
            let_go * lib.REML_EMBED_RELOAD_LET_GO
            | (not keep) * lib.REML_EMBED_RELOAD_FORGET
            | dry_run * lib.REML_EMBED_RELOAD_DRY_RUN
        )
        allowed = target_shapes.joined("allow", allow)
        self._replace(lambda: self._border.reload(data, file, name, allowed, audit_id, flags))
        return Module(self, name)

    def rollback_module(self, *, audit_id: str | None = None) -> None:
        """
        The version before the last `reload_module` again, with the state that it had then; once.

        Raises:
            LoadError: there is none (``reload.rollback.none``). BusyError: as `reload_module`.
        """
        self._replace(lambda: self._border.rollback(audit_id))

    def _replace(self, act: Callable[[], None]) -> None:
        self._check_open()
        self._epoch += 1
        self._replacing = True
        try:
            act()
        finally:
            self._replacing = False
            self._types.clear()

    @staticmethod
    def _describe(given: Any, source: str | bytes | Path, name: str | None, flags: int) -> tuple[Any, Any]:
        """Fill in a reml_embed_source_t; what it points to is answered."""
        data, name = _source_bytes(source, name)
        given.struct_size, given.flags = ffi.sizeof("reml_embed_source_t"), flags
        text = ffi.from_buffer("char[]", data)
        file = ffi.from_buffer("char[]", (name or "").encode("utf-8", "replace"))
        given.text, given.text_length = text, len(data)
        if name is not None:
            given.file_name, given.file_name_length = file, len(file)
        return text, file

    def _load(self, source: str | bytes | Path, name: str | None, flags: int) -> None:
        given = ffi.new("reml_embed_source_t*")
        kept = self._describe(given, source, name, flags)
        self._loaded(lambda: lib.reml_embed_load(self._id, given))
        del kept

    def _loaded(self, load: Callable[[], int]) -> None:
        self._epoch += 1
        with Lifecycle("reml_load_module"):
            status = load()
        if status:
            self._loading = True
            try:
                raise self._error(status)
            finally:
                self._loading = False

    @property
    def cfg_log(self) -> list[dict[str, Any]]:
        """
        What ``@cfg`` asked while the last module was loaded, in the order of evaluation: ``key``, ``value``, ``result``, ``byte_start``.
        Empty unless the target says ``diagnostics`` (CONTRACTS 5.3).
        """
        status, text = span_text(lambda out: lib.reml_embed_cfg_json(self._id, out))
        self._raise_for(status)
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def functions(self) -> list[tuple[str, str]]:
        """(``Module.name``, signature) of every function of the loaded modules."""
        status, text = owned_text(lambda out, length: lib.reml_embed_functions(self._id, out, length))
        self._raise_for(status)
        rows = (line.partition(" ") for line in text.splitlines())
        return [(path, signature) for path, _, signature in rows if not path.startswith("#")]  # "#host": host functions

    def function(self, name: str, signature: str | None = None) -> Function:
        """
        A top-level function: ``total``, ``Billing.total``; see `Module.function`.

        Raises:
            UnknownFunctionError: there is none (a KeyError, too).
            SignatureError: it has another signature, or a generic one and none was given.
        """
        return self._border.function(name, signature)

    # --- running ----------------------------------------------------------------------------------------------------------

    def run(self, entry: str = "main") -> Any:
        """
        Run a function that needs no parameters; its result as a Python value. The empty name runs module initialisation only.

        Raises:
            RunError, LimitError: the script failed; the context stays usable.
            UnknownFunctionError: there is no such function.
            BaseException: the very object that a host function raised.
        """
        self.execute(entry)
        return self._border.result()

    def execute(self, entry: str = "main") -> None:
        """Like `run`, but leaves the result in the context: see `result_borrow` and `result_take`."""
        if not entry.isascii():
            entry.encode()  # a lone surrogate is refused before anything is done
        if "\0" in entry:
            raise InvalidArgumentError("entry point contains a null character")
        self._epoch += 1
        with Lifecycle("reml_run"):
            self._border.run(entry)

    @property
    def _jobs(self) -> Jobs:
        if self._waiting is None:
            from reml_embed._waiting import Jobs  # noqa: PLC0415  (asyncio is not for everybody)

            self._waiting = Jobs(self)
        return self._waiting

    async def run_async(self, entry: str = "main") -> Any:
        """
        Like `run`, on the running event loop: while the script waits for a timer or an ``async def`` host function, other coroutines
        go on. Several may run in one context. Cancelling it leaves what the script is in the middle of (its ``defer``s run) and
        cancels the coroutines that it waits for.

        Raises:
            RunError, LimitError, UnknownFunctionError: as `run`.
            BaseException: the very object that a host function raised.
        """
        return await self._jobs.entry(entry)

    async def call_async(self, function: Function, *arguments: Any) -> Any:
        """Call a function as `run_async` runs an entry; the value of a Future that it answers."""
        return await self._jobs.call(function, *arguments)

    def result_borrow(self) -> BorrowedResult:
        """The last result, lent until the next run, load or close."""
        out = ffi.new(_BORROWED)
        self._raise_for(lib.reml_embed_result_borrow(self._id, out))
        return BorrowedResult(self, (out.kind, out.context, out.bits), self._epoch)

    def result_take(self) -> TransferredResult:
        """
        The last result, handed over: release it once. The context forgets it.

        Raises:
            RunError: there is none.
        """
        out = ffi.new(_BORROWED)
        self._raise_for(lib.reml_embed_result_take(self._id, out))
        return TransferredResult(self, (out.kind, out.context, out.bits))

    def call(self, function: Function, *arguments: Any) -> TransferredResult:
        """Call a function and keep its result in the context: for values that Python need not see, or cannot."""
        return TransferredResult(self, self._border.call_handle(function, *arguments))

    def profile(self, interval: float = 0.001) -> AbstractContextManager[Profile]:
        """
        Watch where the time of runs goes, for the length of a ``with`` block::

            with context.profile() as profile:
                context.run()
            profile.write_svg("out.svg")

        The `Profile` has its stacks when the block ends, also by an exception. Results and the use of fuel are the same; calls between
        Python and scripts are slower meanwhile.

        Args:
            interval: seconds; a sample is taken at the first poll of the VM after each. 0: at every poll.

        Raises:
            BusyError: the context is running, or one is on. ValueError: no such interval.
        """
        from reml_embed.profiling import profiled  # noqa: PLC0415  (most contexts are never profiled)

        return profiled(self, interval)

    # --- host functions ---------------------------------------------------------------------------------------------------

    def host(
        self,
        name: str,
        *,
        signature: str | None = None,
        capability: str | None = None,
        stage: str | None = None,
        effects: Iterable[str] = (),
    ) -> Callable[[F], F]:
        """
        Decorator: make a Python function callable by modules loaded later, as ``Host.price`` or ``price``.

        The signature comes from *signature* (``(sku: Str) -> Float``) or from the annotations: int, float, str, bool, bytes, None,
        list[int], dict[str, int], tuple[int, str], set[int], int | None, Any; of an ``async def`` it is a ``Future``: the script goes on,
        and the coroutine runs on the event loop of `run_async`, or while a `run` waits. With neither, a function is bound that a module declares
        itself. Exceptions that it raises come out of the run as the same object.

        What it needs: *capability*, an id of the registry, at *stage* (``at_least:beta``, ``exact:stable``; by default any), covering
        *effects*. A module that uses it does not load without (`LoadError`: ``target.capability.unknown``, ``runtime.capability.unknown``,
        ``effects.contract.stage_mismatch``, ``effects.contract.effect_scope_mismatch``); a call after `revoke` raises `DeniedError`,
        and the function has not been called.

        Raises:
            TypeError: there is no Reml type for an annotation.
            ValueError: the stage cannot be read; stage or effects without a capability.
            RemlError: the signature is wrong, or the name is known with another one.
        """

        def decorate(function: F) -> F:
            self.define(name, function, signature=signature, capability=capability, stage=stage, effects=effects)
            return function

        return decorate

    def define(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        signature: str | None = None,
        capability: str | None = None,
        stage: str | None = None,
        effects: Iterable[str] = (),
    ) -> None:
        """The same as `host`, without the decorator. Defining a name again replaces it."""
        if not callable(function):
            raise TypeError(f"expected a callable, got {type(function).__name__}")
        text = signature if signature is not None else signature_text(function)
        self._border.define(name, text, function, *_needs(capability, stage, effects))

    def bind(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        capability: str | None = None,
        stage: str | None = None,
        effects: Iterable[str] = (),
    ) -> None:
        """
        Give *function* to what a module declares without a body: ``fn price(sku: Str) -> Float``, ``fn Logger.json(self, value: Any)``
        in an ``extern "host"`` block. The declaration is the signature; *capability*, *stage* and *effects* as in `host`. Binding a name
        again replaces it.
        """
        if not callable(function):
            raise TypeError(f"expected a callable, got {type(function).__name__}")
        self._border.define(name, None, function, *_needs(capability, stage, effects))

    def callback(self, signature: str, function: Callable[..., Any]) -> Function:
        """
        A function value made from a Python function, for parameters and fields that hold functions: ``(Event) -> ()``. It can be called
        from Python, too. It stays registered until the context is closed, so make it once, not per call.

        Raises:
            RemlError: the signature is wrong.
        """
        if not callable(function):
            raise TypeError(f"expected a callable, got {type(function).__name__}")
        self._callbacks += 1
        name = f"HostCallback.f{self._callbacks}"
        self._border.define(name, signature, function)
        return self._border.function(name, None)

    # --- host pointers ----------------------------------------------------------------------------------------------------

    def foreign_ptr(
        self,
        pointer: object,
        type: str = "Ptr<u8>",  # noqa: A002  (the word of the language)
        *,
        ownership: str = "borrowed",
        release: Callable[[int], object] | None = None,
        one_run: bool = False,
    ) -> ForeignPtr:
        """
        A host pointer as a value for scripts: a parameter, a result of a host function.

        Args:
            pointer: an address, a pointer of cffi or ctypes; None is NULL.
            type: ``Ptr<T>``, or an opaque type that a module declares.
            ownership: ``borrowed``: the memory stays the caller's, who ends the loan (`ForeignPtr.end`, or a ``with`` block).
                ``transferred``: the script owns it.
            release: of a transferred pointer: called once with its address when the script has dropped it, in the thread of the context.
            one_run: the loan is over with the run in progress, or with the next one when none is.

        Raises:
            ValueError: ownership and release do not go together. InvalidArgumentError: the type is not opaque.
        """
        if ownership == "transferred" and release is None:
            raise ValueError("a transferred pointer needs a release handler")
        return foreign.wrap(
            self, type, foreign.address_of(pointer), 0,
            ownership=ownership, release=release, one_run=one_run, keep=pointer,
        )  # fmt: skip

    def foreign_buffer(
        self,
        data: object,
        *,
        ownership: str = "borrowed",
        release: Callable[[int], object] | None = None,
        one_run: bool = False,
    ) -> ForeignBuffer:
        """
        Memory that scripts may read, without a copy: anything with a contiguous buffer (bytes, bytearray, memoryview, a NumPy array).

        Borrowed, it is Python's until the loan is ended. Transferred, the script keeps *data* alive until it drops it; *release* is called
        then, if there is one. An object that is passed where a script expects a ForeignBuffer is transferred by itself.

        Raises:
            TypeError: no contiguous buffer. ValueError: ownership and release do not go together.
        """
        return foreign.wrap_buffer(self, data, ownership=ownership, release=release, one_run=one_run)

    def externs(self) -> list[dict[str, Any]]:
        """
        What the loaded modules expect of their host: ``module``, ``name``, ``symbol``, ``abi`` (``C`` or ``host``), ``parameters``, ``result``,
        ``ownership``, ``variadic``, ``bound``, ``line``.
        """
        status, text = owned_text(lambda out, length: lib.reml_embed_externs(self._id, out, length))
        self._raise_for(status)
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def bind_library(
        self,
        path: str | os.PathLike[str] | None,
        module: str | None = None,
        *,
        header: str = "",
        release: Mapping[str, str] | None = None,
        contract: ForeignContract | None = None,
        registry: CapabilityRegistry | None = None,
    ) -> list[str]:
        """
        Bind what loaded modules declare with ``extern "C"`` to the functions of a shared library that have the same symbols. Calls of scripts go
        through the steps of `reml_embed.library.call_ffi`; their records are in the log of this context.

        Args:
            path: see `reml_embed.library.bind_library`.
            module: bind only what this module declares.
            header: C prototypes; a declaration that says something else is refused (``ffi.signature.invalid``).
            release: symbol → symbol of its release handler, for those that are declared ``@ownership("transferred")``: the pointer is
                released when the script drops it. A script that calls the handler itself gives the pointer up with that call.
            contract: what is declared of all of them, but for the ownership.
            registry: that is asked for capabilities.

        Returns: the symbols that are bound now, in the order of their declaration. Others of the module are left for another library.

        Raises:
            FfiError: LibraryNotFound; SymbolNotFound, when the library has none of them; InvalidSignature.
            BridgeError: a contract does not hold. Nothing is bound then.
        """
        from reml_embed.script_libraries import bind  # noqa: PLC0415  (foreign libraries are not for everybody)

        return bind(self, path, module, header=header, release=release or {}, contract=contract, registry=registry)

    def _type(self, text: str) -> Any:
        found = self._types.get(text)
        if found is None:
            found, encoded = ffi.new("reml_type_t*"), text.encode()
            self._raise_for(lib.reml_type_find(self._id, encoded, len(encoded), found))
            self._types[text] = found
        return found[0]

    # --- effects ----------------------------------------------------------------------------------------------------------

    def set_effects(self, effects: OptIn | None) -> None:
        """What is opted in to, for modules loaded from now on; None: nothing."""
        keep: list[object] = []
        self._raise_for(lib.reml_embed_set_effects(self._id, NULL if effects is None else effects.to_c(keep)))

    def handle(self, effect: str, operations: Mapping[str, Callable[..., Any]]) -> HostHandler:
        """
        Put a handler around every run: Python functions answer the operations of *effect* that reach the root unhandled, and what they
        return is what the script goes on with. Use it in a ``with`` block, or close it. Of several for one effect the latest answers.

        A function whose last parameter is named ``resume`` gets the continuation instead: it calls ``resume(value)`` once.

        Args:
            effect: ``Console``, ``Billing.Ledger``; also one that is declared by a module loaded later.
            operations: all of its operations, by name.

        Raises:
            EffectError: ``effects.handler.depth_exceeded`` (the 33rd), ``effects.handler.unhandled_operation`` (the error names those
                that are missing), ``effects.operation.unknown``.
        """
        return HostHandler(self, effect, operations)

    def observe_effects(self, observer: Callable[[dict[str, Any]], object] | None) -> None:
        """
        Call *observer* with each handler that is applied, each operation that is performed, each computation that is resumed (the events
        of ``reml_effects.h``), while a script runs. It must not use the context; what it raises is dropped. None: nobody.
        """
        self._observer = None if observer is None else SinkHolder(lambda text: observer(json.loads(text)))
        handle = NULL if self._observer is None else self._observer.handle
        told = NULL if self._observer is None else lib.reml_python_sink
        self._raise_for(lib.reml_embed_observe_effects(self._id, told, handle))

    def handlers(self) -> list[dict[str, Any]]:
        """What is known of every place where a loaded module applies a handler: the same objects as `observe_effects` gives."""
        status, text = owned_text(lambda out, length: lib.reml_embed_handlers(self._id, out, length))
        self._raise_for(status)
        found: list[dict[str, Any]] = json.loads(text)
        return found

    # --- top-level values -------------------------------------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """
        A top-level value: ``limit``, ``Billing.limit``. Modules are initialised first.

        Raises:
            RunError: there is no such value, or initialisation failed.
        """
        return self._border.global_value(name)

    def set_value(self, name: str, value: Any) -> None:
        """
        Give a value to ``let name: T`` of the ``extern "host"`` blocks that are loaded.

        Raises:
            KeyError: no loaded module declares it. TypeError: it is of another type.
        """
        self._border.set_global(name, value)

    def exports(self) -> list[Export]:
        """What ``@dsl_export`` says, of all loaded modules in their order."""
        status, text = owned_text(lambda out, length: lib.reml_embed_exports(self._id, out, length))
        self._raise_for(status)
        return [Export(**row) for row in json.loads(text)]

    def execute_conductor(self, name: str) -> Any:
        """
        Run the nodes of the conductor *name* in the order of their dependencies, then its execution block.

        Returns:
            ``Ok([(node, value), …])``, or ``Err(text)`` when nodes depend on each other.
        """
        return self._border.function("Conductor.run", None)(self.value(name))

    # --- settings and facts -------------------------------------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """What scripts may use up; setting it takes effect with the next run or load, inside a run it can only tighten."""
        out = ffi.new("reml_embed_limits_t*", {"struct_size": ffi.sizeof("reml_embed_limits_t")})
        self._raise_for(lib.reml_embed_get_limits(self._id, out))
        return limit_table.from_c(out)

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._raise_for(lib.reml_embed_set_limits(self._id, limit_table.to_c(limits)))

    def set_output(self, output: Callable[[str], object] | None) -> None:
        """Where printed text goes from now on; None: ``sys.stdout``."""
        self._border.set_output(output or write_stdout)

    def set_args(self, args: Iterable[str]) -> None:
        """What ``Env.args()`` answers from now on."""
        if isinstance(args, str):
            raise TypeError("args must be a list of texts, not one text")
        words = [_c_text("argument", word) for word in args]
        self._raise_for(lib.reml_embed_set_args(self._id, ffi.new("char*[]", words), len(words)))

    def set_environment(self, variables: Mapping[str, str], *, deny_others: bool = False) -> None:
        """
        The variables that ``Env.get_env`` sees from now on; it answers ``Ok(None)`` for others, or ``Err`` when they are to be
        denied.
        """
        names = [_c_text("name", name) for name in variables]
        values = [_c_text("value", value) for value in variables.values()]
        status = lib.reml_embed_set_variables(
            self._id, ffi.new("char*[]", names), ffi.new("char*[]", values), len(names), deny_others
        )
        self._raise_for(status)

    def set_input(self, answer: Callable[[str], str] | None) -> None:
        """Who answers ``Console.ask`` from now on; None: nobody, the answer is empty."""
        self._border.set_input(answer)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What the last load or run had to say."""
        status, text = span_text(lambda out: lib.reml_embed_diagnostics_json(self._id, out))
        return diagnostic_shapes.parse(text) if status == 0 and text else ()

    def diagnostics_text(self, *, colour: bool = False) -> str:
        """The same as a compiler prints it."""
        _, text = span_text(lambda out: lib.reml_embed_diagnostics_text(self._id, colour, out))
        return text

    def constraints(self) -> dict[str, Json]:
        """
        The constraint graph of the last `check` with *telemetry*, as the checker writes it; `reml_embed.telemetry` makes it presentable.

        Raises:
            RemlError: the last load did not ask for it, or the source has errors of syntax.
        """
        status, text = span_text(lambda out: lib.reml_embed_constraints_json(self._id, out))
        self._raise_for(status)
        graph: dict[str, Json] = json.loads(text)
        return graph

    def explain(self, what: str, function: str = "") -> str:
        """
        Readable ``ir`` or ``bytecode`` of a function, or of all with an empty name; ``tree`` or ``tokens`` of the module loaded last.
        """
        if what not in _EXPLAIN:
            raise ValueError(f"expected one of {', '.join(_EXPLAIN)}, got {what!r}")
        name = ffi.new("char[]", function.encode())
        status, text = owned_text(
            lambda out, length: lib.reml_embed_explain(self._id, _EXPLAIN[what], name, out, length)
        )
        self._raise_for(status)
        return text

    def metrics(self) -> FfiMetrics:
        """Crossings of this context."""
        self._check_open()
        out = ffi.new("reml_ffi_bridge_metrics_t*")
        self._raise_for(lib.reml_ffi_bridge_context_metrics(self._id, out))
        return metric_table.from_c(out)

    def memory(self) -> Memory:
        """Memory of this context."""
        out = ffi.new("reml_embed_memory_t*", {"struct_size": ffi.sizeof("reml_embed_memory_t")})
        self._raise_for(lib.reml_embed_memory(self._id, out))
        return Memory(**{name: int(getattr(out, name)) for name in Memory.__slots__})

    def collect(self) -> None:
        """Collect garbage now."""
        self._raise_for(lib.reml_embed_collect(self._id))

    # --- audit --------------------------------------------------------------------------------------------------------------

    def audit_log(
        self, kind: str, *, category: str | None = None, capability: str | None = None, channel: str | None = None,
        audit_id: str | None = None, metadata: Mapping[str, Any] | None = None,
        change_set: Mapping[str, Any] | None = None, extensions: Mapping[str, Any] | None = None,
        timestamp: str | None = None,
    ) -> str:  # fmt: skip
        """
        Put a record of the host into the log, behind what was recorded before; see `reml_embed.audit.AuditContext` for records with a payload.

        Args:
            kind: ``event.kind``.
            category: of the record.
            capability: what was used.
            channel: ``cli``, ``embed``, ``runtime`` (the default), ``bridge``, ``lsp``, ``ci``.
            audit_id: a lower-case UUID; by default a new one.
            metadata: dotted keys with JSON values; the library adds those that every record has.
            change_set: a JSON object.
            extensions: a JSON object.
            timestamp: ``2026-03-02T08:15:00Z``; by default now.

        Returns:
            The audit id. The record is in the file, or was taken by the sink, or waits for `drain`.

        Raises:
            InvalidArgumentError: a member is wrong. AuditUnavailableError: the log does not take it. The record is nowhere then.
        """
        self._check_open()
        keep: list[object] = []
        record = audit_log.record_struct(
            kind, keep, category=category, capability=capability, channel=channel, audit_id=audit_id,
            metadata=metadata, change_set=change_set, extensions=extensions, timestamp=timestamp,
        )  # fmt: skip
        out = ffi.new("char[37]")
        self._raise_for(lib.reml_embed_audit_log(self._id, record, out))
        return string(out) or ""

    def drain(self) -> list[dict[str, Any]]:
        """
        Take the records that wait; summaries of calls counted so far are among them. With a file or sink they go there, and the
        list is empty.
        """
        self._check_open()  # without an id the library would answer for the process
        status, text = owned_text(lambda out, length: lib.reml_embed_audit_drain(self._id, out, length))
        self._raise_for(status)
        return audit_log.parse(text)

    @property
    def audit_count(self) -> int:
        """Records of this context so far, all kinds."""
        return int(lib.reml_embed_audit_count(self._id))

    @property
    def audit_dropped(self) -> int:
        """Records that were let go because nothing took them."""
        return int(lib.reml_embed_audit_dropped(self._id))

    def set_audit_policy(self, *, every: bool = False, refuse: bool = True, summary_interval_ms: int = 1000) -> None:
        """One record for each crossing, or summaries; and whether calls are refused while the log fails, or only counted."""
        policy = lib.REML_AUDIT_POLICY_EVERY if every else lib.REML_AUDIT_POLICY_SUMMARY
        failing = lib.REML_AUDIT_ON_FAILURE_REFUSE if refuse else lib.REML_AUDIT_ON_FAILURE_COUNT
        self._raise_for(lib.reml_embed_audit_policy(self._id, policy, failing, summary_interval_ms))

    def set_audit_command(self, members: Mapping[str, Any]) -> None:
        """
        Name the command that the context works for: keys beginning with ``cli.``, added to every later record (CONTRACTS 0.5).

        Raises:
            InvalidArgumentError: other keys, or more than 4 KiB of them.
        """
        text = _command_text(members)
        self._raise_for(lib.reml_embed_audit_command(self._id, ffi.from_buffer("char[]", text), len(text)))

    # --- failures -------------------------------------------------------------------------------------------------------------

    def _raise_for(self, status: int) -> None:
        if status:
            raise self._error(status)

    def _error(self, status: int) -> BaseException:
        """The exception for a status, with what the library says about it."""
        label = status_label(status)
        original = self._waiting.original() if self._waiting is not None else None
        if original is not None:
            return original
        said = string(lib.reml_last_error(self._id))
        if self.closed:
            return StaleError("the context is closed")
        cls = EXCEPTIONS.get(status, RemlError)
        if cls is AuditUnavailableError and self._sink is not None and self._sink.error is not None:
            error = AuditUnavailableError(said or label, status=status, label=label)
            error.__cause__ = self._sink.error
            return error
        if not issubclass(cls, RunError):
            return cls(said or WORDS.get(status, label), status=status, label=label)
        return self._script_error(cls, status, said or label)

    def _script_error(self, cls: type[RunError], status: int, said: str) -> RemlError:
        label, code = status_label(status), self._border.error_code()
        found = self.diagnostics
        text, coloured = self.diagnostics_text(), self.diagnostics_text(colour=True)
        if not any(item.severity == "error" and item.code == code for item in found):
            # What failed lies outside any source; what the context still holds is about something else.
            code = code or "ffi.call.failed"
            found, text, coloured = (diagnostic_shapes.plain(code, said.removeprefix(f"{code}: ")),), "", ""
        if self._loading or (self._replacing and not (code or "").startswith(("runtime.", "host."))):
            return LoadError(said, found, text=text, coloured=coloured, status=status, label=label)
        stack = next((item.stack for item in found if item.severity == "error"), ())
        if code == "runtime.entry.unknown":
            cls = UnknownFunctionError
        elif code == "type.mismatch" and cls is RunError:
            cls = SignatureError
        return cls(
            said, code=code, stack=stack, diagnostics=found, text=text, coloured=coloured, status=status, label=label
        )


_open: weakref.WeakSet[Context] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what is still open while Python is whole: nothing native is left for finalisers of a dying interpreter."""
    for context in list(_open):
        try:
            context._abandon()
        except Exception as error:  # noqa: BLE001  (the others must be closed, too)
            sys.stderr.write(f"reml_embed: {error}\n")
