"""
Shared cells whose borrows and reference counts are checked and recorded (CONTRACTS 8)::

    place = RefHandle.try_new(1)          # asks the registry for core.collections.ref
    other = place.clone()                 # two handles, one cell
    with other.borrow_mut() as cell:
        cell.value = 2                    # an exception in here poisons the cell
    other.drop()

`EffectfulRef` is a cell of Python's, for any threads. The Ref or Cell of a script is a `reml_embed.ScriptRef`: its counts and borrows are the
library's (``reml_ref.h``), so that every handle of it agrees. Both are `RefHandle`, do the same and leave the same records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from reml_embed.data.effect_set import EffectSet
from reml_embed.errors import RemlError, refuse_pickling

if TYPE_CHECKING:
    from typing import NoReturn, Self

    from reml_embed.context import Context
    from reml_embed.data.collectors import AnyLog
    from reml_embed.registry.capability import CapabilityRegistry

CAPABILITY: Final = "core.collections.ref"
EFFECTS: Final = ("mem", "mut", "rc")

T = TypeVar("T")
V = TypeVar("V")


class BorrowError(RemlError):
    """
    A cell cannot be had: ``except BorrowError.BorrowConflict``.

    Attributes:
        kind: ``Poisoned``, ``BorrowConflict`` or ``CapabilityDenied``.
    """

    kind: ClassVar[str] = ""
    Poisoned: ClassVar[type[BorrowError]]
    BorrowConflict: ClassVar[type[BorrowError]]
    CapabilityDenied: ClassVar[type[BorrowError]]


class Poisoned(BorrowError):  # noqa: N818  (the name of the contract)
    """Whoever wrote to the cell last was stopped half-way."""

    kind = "Poisoned"


class BorrowConflict(BorrowError):  # noqa: N818  (the name of the contract)
    """Somebody else has the cell."""

    kind = "BorrowConflict"


class CapabilityDenied(BorrowError):  # noqa: N818  (the name of the contract)
    """The registry, or the host, does not allow shared cells."""

    kind = "CapabilityDenied"


BorrowError.Poisoned, BorrowError.BorrowConflict, BorrowError.CapabilityDenied = (
    Poisoned,
    BorrowConflict,
    CapabilityDenied,
)


@dataclass(frozen=True, slots=True)
class RefState:
    """
    How a cell stands.

    Attributes:
        strong: handles. shared: borrows that read. exclusive: is there one that writes? poisoned: was one stopped half-way?
        clones: handles that `RefHandle.clone` made, dropped ones too.
    """

    strong: int = 0
    shared: int = 0
    exclusive: bool = False
    poisoned: bool = False
    clones: int = 0

    def check(self, *, exclusive: bool) -> None:
        """
        May it be borrowed?

        Raises:
            BorrowError: no.
        """
        if self.poisoned:
            raise Poisoned("the cell is poisoned: whoever wrote to it last was stopped half-way")
        if self.exclusive:
            raise BorrowConflict("the cell is borrowed for writing")
        if exclusive and self.shared:
            raise BorrowConflict(f"the cell is borrowed for reading, {self.shared} times")


# --- the capability ---------------------------------------------------------------------------------------------------------


def register_ref_capability(registry: CapabilityRegistry | None = None) -> None:
    """Make sure that *registry* (by default the process's) knows ``core.collections.ref``; what is there already stays as it is."""
    from reml_embed.registry import capability as capabilities  # noqa: PLC0415  (not every program has cells)
    from reml_embed.registry.descriptor import Provider, effect_set  # noqa: PLC0415

    where = capabilities.CapabilityRegistry.process() if registry is None else registry
    if CAPABILITY in where:
        return
    descriptor = capabilities.CapabilityDescriptor(
        capabilities.CapabilityId(CAPABILITY),
        capabilities.StageId.STABLE,
        effect_set(EFFECTS),
        Provider.runtime_component("ref_handles"),
    )
    handle = capabilities.CollectionsCapability(
        descriptor, collector_effects=list(EFFECTS), tracks_mutation=True, tracks_reference_count=True
    )
    with suppress(capabilities.AlreadyRegistered):  # another thread was faster
        where.register(handle)


def _verify(registry: CapabilityRegistry | None, context: Context | None) -> CapabilityRegistry:
    """
    The registry that allows cells.

    Raises:
        BorrowError.CapabilityDenied: it does not.
    """
    from reml_embed.registry import capability as capabilities  # noqa: PLC0415

    if registry is None:
        registry = getattr(context, "_registry", None)
    where = capabilities.CapabilityRegistry.process() if registry is None else registry
    try:
        where.verify_capability_stage(CAPABILITY, capabilities.Exact("stable"), EFFECTS, context=context)
    except capabilities.CapabilityError as error:
        raise CapabilityDenied(str(error)) from error
    return where


# --- handles ----------------------------------------------------------------------------------------------------------------


class RefHandle(Generic[T]):
    """
    One handle of a shared cell.

    What `get`, `set` and `value` do leaves no record; they are refused while somebody else has the cell, like `borrow` and `borrow_mut`.
    """

    __slots__ = ()

    @classmethod
    def try_new(
        cls, value: T, *, audit: AnyLog | None = None, registry: CapabilityRegistry | None = None, context: Context | None = None,
    ) -> EffectfulRef[T]:  # fmt: skip
        """
        A cell of Python's that holds *value*, and its first handle.

        Args:
            value: anything.
            audit: where records go; by default to the log of *context*, else where those of *registry* go.
            registry: who is asked; by default that of *context*, else the process's.
            context: whose log gets the ``capability_check``.

        Raises:
            BorrowError.CapabilityDenied: ``core.collections.ref`` is not there, not stable, or without ``mem``, ``mut``, ``rc``.
            AuditUnavailableError, …: the log does not take the record.
        """
        from reml_embed.data.collectors import log_of  # noqa: PLC0415

        where = _verify(registry, context)
        return EffectfulRef(_Cell(value), log_of(audit, where, context))._begin()

    @classmethod
    def new(cls, value: T, **options: Any) -> EffectfulRef[T]:
        """As `try_new`, but a refusal is a `RuntimeError`: for code that cannot go on without."""
        try:
            return cls.try_new(value, **options)
        except CapabilityDenied as error:
            cause: Any = error.__cause__
            raise cause.to_runtime_error() from error

    # --- what differs between cells

    def _count_in(self, *, verified: bool = False) -> None:
        """Begin to count this handle; of cells of scripts only."""

    def _log(self) -> AnyLog:
        raise NotImplementedError

    def _state(self) -> RefState:
        """How the cell stands; raises ValueError when this handle was dropped."""
        raise NotImplementedError

    def _clone(self) -> tuple[Self, RefState]:
        raise NotImplementedError

    def _enter(self, *, exclusive: bool) -> RefState:
        raise NotImplementedError

    def _leave(self, *, exclusive: bool, poison: bool) -> None:
        raise NotImplementedError

    def _release(self) -> RefState | None:
        """End this handle; None: that will be seen later, and recorded then."""
        raise NotImplementedError

    def _load(self) -> T:
        raise NotImplementedError

    def _store(self, value: T) -> None:
        raise NotImplementedError

    # --- what is the same

    def _record(self, what: str, state: RefState, *flags: str) -> None:
        effects = EffectSet(rc_ops=state.clones)
        effects.mark(*flags)
        write_record(self._log(), what, state.strong, effects)

    def _begin(self) -> Self:
        state = self._state()
        self._record("new", state, "mem", *(("rc",) if state.strong > 1 else ()))
        return self

    def clone(self) -> Self:
        """
        Another handle of the same cell.

        Raises:
            AuditUnavailableError, …: the log does not take the record; there is no other handle then.
        """
        made, state = self._clone()
        try:
            self._record("clone", state, "mem", "rc")
        except BaseException:
            made._release()
            raise
        return made

    __copy__ = clone

    def borrow(self) -> Borrowed[T]:
        """
        Borrow to read, until the answer is released; ``with handle.borrow() as cell: cell.value``.

        Raises:
            BorrowError.BorrowConflict: it is borrowed for writing. BorrowError.Poisoned.
        """
        made: Borrowed[T] = self._borrowed(Borrowed, exclusive=False)
        return made

    def borrow_mut(self) -> BorrowedMut[T]:
        """
        Borrow to write. A block that ends with an exception poisons the cell.

        Raises:
            BorrowError.BorrowConflict: it is borrowed at all. BorrowError.Poisoned.
        """
        made: BorrowedMut[T] = self._borrowed(BorrowedMut, exclusive=True)
        return made

    try_borrow_mut = borrow_mut

    def _borrowed(self, kind: Callable[[RefHandle[T]], Any], *, exclusive: bool) -> Any:
        state = self._enter(exclusive=exclusive)
        try:
            if exclusive:
                self._record("borrow_mut", state, "mut", "rc")
            else:
                self._record("borrow", state, "rc")
        except BaseException:
            self._leave(exclusive=exclusive, poison=False)
            raise
        return kind(self)

    def strong_count(self) -> int:
        """Handles of the cell."""
        return self._state().strong

    def into_inner(self) -> T:
        """
        What the cell holds; ends this handle, which has to be the only one.

        Raises:
            BorrowError.BorrowConflict: there are others, or it is borrowed. BorrowError.Poisoned.
        """
        state = self._state()
        state.check(exclusive=True)
        if state.strong != 1:
            raise BorrowConflict(f"the cell has {state.strong} handles, not one")
        held = self._load()
        self.drop()
        return held

    def drop(self) -> None:
        """
        End this handle, once; Python does it for handles that it lets go.

        Raises:
            ValueError: it was dropped before. AuditUnavailableError, …: the record is not taken; the handle has ended all the same.
        """
        self._state()
        self._dropped()

    def _dropped(self) -> None:
        state = self._release()
        if state is not None:
            effects = EffectSet(rc_ops=state.clones)
            effects.release_rc()
            write_record(self._log(), "drop", state.strong, effects)

    def get(self) -> T:
        """What the cell holds now."""
        self._state().check(exclusive=False)
        return self._load()

    def set(self, value: T) -> None:
        """Put *value* there."""
        self._state().check(exclusive=True)
        self._store(value)

    @property
    def value(self) -> T:
        """The same as `get` and `set`."""
        return self.get()

    @value.setter
    def value(self, value: T) -> None:
        self.set(value)


def write_record(log: AnyLog, what: str, strong: int, effects: EffectSet) -> None:
    """Write the record ``ref.<what>`` (CONTRACTS 8)."""
    keys = {f"collector.effect.{name}": getattr(effects, name) for name in ("mem", "mut", "rc", "rc_ops")}
    log.log(f"ref.{what}", category="ref", capability=CAPABILITY, metadata=keys | {"ref.strong_count": strong})


class Borrowed(Generic[T]):
    """A borrow that reads. Release it once; leaving its ``with`` block does, letting it go is the safety net."""

    __slots__ = ("_handle",)
    _exclusive = False

    def __init__(self, handle: RefHandle[T]) -> None:
        self._handle: RefHandle[T] | None = handle

    def _open(self) -> RefHandle[T]:
        if self._handle is None:
            raise ValueError("the borrow is over")
        return self._handle

    @property
    def value(self) -> T:
        """What the cell holds."""
        return self._open()._load()

    def release(self, *, poison: bool = False) -> None:
        """Give it back; a second time does nothing. *poison*: what was written is not whole."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle._leave(exclusive=self._exclusive, poison=poison)

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release(poison=kind is not None)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            with suppress(Exception):  # the context has gone, or is another thread's
                self.release()


class BorrowedMut(Borrowed[T]):
    """A borrow that writes."""

    __slots__ = ()
    _exclusive = True

    @property
    def value(self) -> T:
        """What the cell holds; may be written."""
        return self._open()._load()

    @value.setter
    def value(self, value: T) -> None:
        self._open()._store(value)


# --- cells of Python ----------------------------------------------------------------------------------------------------------


class _Cell(Generic[T]):
    """What the handles of one cell share; the lock is for `state`."""

    __slots__ = ("lock", "state", "value")

    def __init__(self, value: T) -> None:
        self.lock = threading.Lock()
        self.state = RefState(strong=1)
        self.value = value


class EffectfulRef(RefHandle[T]):
    """A handle of a cell of Python's; any thread may use it. `RefHandle.try_new` makes the first one."""

    __slots__ = ("__weakref__", "_audit", "_cell", "_live")

    def __init__(self, cell: _Cell[T], audit: AnyLog) -> None:
        self._cell = cell
        self._audit = audit
        self._live = True

    def _log(self) -> AnyLog:
        return self._audit

    def _going(self) -> None:
        if not self._live:
            raise ValueError("the handle was dropped")

    def _state(self) -> RefState:
        self._going()
        return self._cell.state

    def _change(self, **members: Any) -> RefState:
        """Under the lock: the new state."""
        self._cell.state = replace(self._cell.state, **members)
        return self._cell.state

    def _clone(self) -> tuple[EffectfulRef[T], RefState]:
        with self._cell.lock:
            self._going()
            state = self._cell.state
            state = self._change(strong=state.strong + 1, clones=state.clones + 1)
        return EffectfulRef(self._cell, self._audit), state

    def _enter(self, *, exclusive: bool) -> RefState:
        with self._cell.lock:
            self._going()
            state = self._cell.state
            state.check(exclusive=exclusive)
            return self._change(exclusive=True) if exclusive else self._change(shared=state.shared + 1)

    def _leave(self, *, exclusive: bool, poison: bool) -> None:
        with self._cell.lock:
            state = self._cell.state
            if exclusive:
                self._change(exclusive=False, poisoned=state.poisoned or poison)
            else:
                self._change(shared=state.shared - 1)

    def _release(self) -> RefState | None:
        with self._cell.lock:
            self._going()
            self._live = False
            return self._change(strong=self._cell.state.strong - 1)

    def _load(self) -> T:
        return self._cell.value

    def _store(self, value: T) -> None:
        self._cell.value = value

    def __repr__(self) -> str:
        return f"<EffectfulRef {self._cell.value!r}>" if self._live else "<EffectfulRef, dropped>"

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)

    def __del__(self) -> None:
        if getattr(self, "_live", False):
            with suppress(Exception):  # nobody is there to tell that the log refuses
                self._dropped()


# --- cells of scripts ---------------------------------------------------------------------------------------------------------


def hand_over(context: Context, make: Callable[[V], Any], value: V) -> Any:
    """
    A new cell in the heap of *context*, as a counted handle that can be given to its scripts (guide §1.6).

    The order is that of the guide: the capability is required of the host's grants, registered where it is missing, and its stage and
    effects are verified; only then *make* is called.

    Args:
        context: whose scripts get it.
        make: a function of a script that makes the cell: ``fn place(v: List<Int>) -> Ref<List<Int>> = Ref.new(v)``.
        value: what it holds first.

    Returns:
        A `reml_embed.ScriptRef`.

    Raises:
        BorrowError.CapabilityDenied: one of the three refuses; *make* was not called then.
        TypeError: *make* answers something else.
    """
    if not context.granted(CAPABILITY):
        raise CapabilityDenied(f"{CAPABILITY} is not granted to the context")
    register_ref_capability(context._registry)
    _verify(None, context)
    made = make(value)
    if not isinstance(made, RefHandle) or isinstance(made, EffectfulRef):
        raise TypeError(f"a Ref or Cell of a script is expected, got {made!r}")
    made._count_in(verified=True)
    return made
