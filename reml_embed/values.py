"""
Values of Reml in Python (CONTRACTS 2.7a).

Plain values are copied: `Some`, `Ok`, `Err`, `Duration`, and the classes made for each record and sum type. Structs, Vec,
Table and Ref stay where they are: `StructProxy`, `VecProxy`, `TableProxy` and `ScriptRef` (a `RefHandle`) show them live, and handing a proxy back
to the script hands over the same object. A proxy keeps its context and its object alive; it is released when Python lets it go, on any thread.
"""

from __future__ import annotations

import datetime
from collections.abc import Generator, Iterable, Iterator, MutableMapping, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, TypeVar, overload

from reml_embed._ffi import ffi, lib, owned_text, value_struct
from reml_embed.data.effect_set import EffectSet
from reml_embed.data.ref import RefHandle, RefState, write_record
from reml_embed.errors import refuse_pickling

if TYPE_CHECKING:
    from reml_embed._fast import Border, Handle
    from reml_embed.context import Context
    from reml_embed.data.collectors import AnyLog

T = TypeVar("T")
E = TypeVar("E")
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Some(Generic[T]):
    """An Option that has a value, where the value alone would not tell: ``Option<Option<Int>>``, ``Option<()>``."""

    value: T


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """A Result that went well."""

    value: T


@dataclass(frozen=True, slots=True)
class Err(Generic[E]):
    """A Result that failed; a value like any other, never raised."""

    value: E

    @property
    def error(self) -> E:
        """The same as ``value``."""
        return self.value


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in whole nanoseconds; ``timedelta`` has only microseconds."""

    nanoseconds: int

    @classmethod
    def from_timedelta(cls, delta: datetime.timedelta) -> Duration:
        """Exact: a timedelta is a whole number of microseconds."""
        return cls(delta // datetime.timedelta(microseconds=1) * 1000)

    def to_timedelta(self) -> datetime.timedelta:
        """Raises ValueError when nanoseconds would be lost."""
        if self.nanoseconds % 1000:
            raise ValueError(f"{self.nanoseconds} ns is not a whole number of microseconds")
        return datetime.timedelta(microseconds=self.nanoseconds // 1000)


class Record:
    """Base of the frozen dataclasses made for records; ``__match_args__`` are the fields in the order of their declaration."""

    __slots__ = ()


class Variant:
    """Base of the classes made for sum types: one class per type, and below it one frozen dataclass per constructor."""

    __slots__ = ()


class Proxy:
    """A value that lives in its context, by a handle that is released with this object."""

    __slots__ = ("__weakref__", "_border", "_context", "_handle")
    _border: Border
    _context: Context
    _handle: Handle

    def __init__(self, context: Context, border: Border, handle: Handle) -> None:
        object.__setattr__(self, "_context", context)
        object.__setattr__(self, "_border", border)
        object.__setattr__(self, "_handle", handle)

    def __del__(self, _release: Any = lib.reml_value_release, _struct: Any = value_struct) -> None:
        try:
            context, handle = self._context, self._handle
        except AttributeError:  # __init__ did not come that far
            return
        _release(context._id, _struct(handle))  # from another thread: queued; after the context: refused

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Proxy):
            return NotImplemented
        if self._border is not other._border:
            return False
        return self._border.same(self._handle, other._handle)

    def __hash__(self) -> int:
        return hash(self._border.identity(self._handle))

    def __repr__(self) -> str:
        context = self._context
        status, text = owned_text(
            lambda out, length: lib.reml_value_text(context._id, value_struct(self._handle), out, length)
        )
        return f"<{type(self).__name__} {text}>" if status == 0 else f"<{type(self).__name__} of a closed context>"

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)


class StructProxy(Proxy):
    """A struct: its fields are attributes, read and written in place. Equal means: the same struct."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._border.field(self._handle, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._border.set_field(self._handle, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"the field `{name}` of a struct cannot be deleted")

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._border.fields(self._handle)]


class VecProxy(Proxy, MutableSequence[T]):
    """A Vec. Iterating walks over a copy of its items. Equal means: the same Vec; ``list(vec)`` compares contents."""

    __slots__ = ()
    __hash__ = Proxy.__hash__

    def __len__(self) -> int:
        return self._border.length(self._handle)

    def __iter__(self) -> Iterator[T]:
        return iter(self._border.items(self._handle))

    def __eq__(self, other: object) -> bool:
        return Proxy.__eq__(self, other)

    def _index(self, index: int) -> int:
        length = len(self)
        place = index + length if index < 0 else index
        if not 0 <= place < length:
            raise IndexError(f"index {index} is out of range for {length} items")
        return place

    def _replace(self, items: list[T]) -> None:
        self._border.method(self._handle, "clear")
        self._border.method(self._handle, "extend", items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return list(self)[index]
        item: T = self._border.item(self._handle, self._index(index))
        return item

    @overload
    def __setitem__(self, index: int, value: T) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[T]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            items = list(self)
            items[index] = value
            self._replace(items)
        else:
            self._border.method(self._handle, "set", self._index(index), value)

    def __delitem__(self, index: int | slice) -> None:
        items = list(self)
        del items[index if isinstance(index, slice) else self._index(index)]
        self._replace(items)

    def insert(self, index: int, value: T) -> None:
        """Put *value* before *index*; at the end in constant time."""
        length = len(self)
        if index >= length:
            self._border.method(self._handle, "push", value)
        else:
            items = list(self)
            items.insert(index, value)
            self._replace(items)

    def append(self, value: T) -> None:
        """Put *value* at the end."""
        self._border.method(self._handle, "push", value)

    def extend(self, values: Iterable[T]) -> None:
        """Put all *values* at the end, in one crossing."""
        self._border.method(self._handle, "extend", list(values))

    def clear(self) -> None:
        """Remove everything."""
        self._border.method(self._handle, "clear")

    def reverse(self) -> None:
        """Turn it around in place."""
        self._border.method(self._handle, "reverse")

    def pop(self, index: int = -1) -> T:
        """Take an item out; the last one in constant time."""
        value = self[index]
        if index in (-1, len(self) - 1):
            self._border.method(self._handle, "truncate", len(self) - 1)
        else:
            del self[index]
        return value


class TableProxy(Proxy, MutableMapping[K, V]):
    """A Table. Iterating walks over a copy of its keys, in the order of insertion. Equal means: the same Table."""

    __slots__ = ()
    __hash__ = Proxy.__hash__

    def __len__(self) -> int:
        return self._border.length(self._handle)

    def __iter__(self) -> Iterator[K]:
        return iter([key for key, _ in self._border.items(self._handle)])

    def __eq__(self, other: object) -> bool:
        return Proxy.__eq__(self, other)

    def __contains__(self, key: object) -> bool:
        try:
            return bool(self._border.method(self._handle, "contains_key", key))
        except (TypeError, OverflowError, ValueError):
            return False  # a key that the Table cannot have

    def __getitem__(self, key: K) -> V:
        found = self._border.method(self._handle, "get", key)
        if found is None:
            raise KeyError(key)
        value: V = found.value if isinstance(found, Some) else found
        return value

    def __setitem__(self, key: K, value: V) -> None:
        self._border.method(self._handle, "insert", key, value)

    def __delitem__(self, key: K) -> None:
        if self._border.method(self._handle, "remove", key) is None:
            raise KeyError(key)

    def items(self) -> Any:
        """A list of (key, value) pairs as they are now, in one crossing."""
        return self._border.items(self._handle)


class ScriptRef(Proxy, RefHandle[T]):
    """
    A Ref or Cell: one mutable place. Equal means: the same place.

    `get` and `set` are those of the script. The first operation of `RefHandle` beyond them makes it a counted handle, for which
    ``core.collections.ref`` is asked; counts and borrows are the library's, for all handles of the place, and records go to the context's log.
    """

    __slots__ = ("_counted",)  # unset: not yet; True; False: dropped

    def _count_in(self, *, verified: bool = False) -> None:
        from reml_embed.data import ref  # noqa: PLC0415

        if not verified:
            ref._verify(None, self._context)
        self._must(lib.reml_ref_open(self._context._id, value_struct(self._handle)))
        self._counted = True
        self._begin()

    def _must(self, status: int) -> None:
        if status in (lib.REML_EMBED_STATUS_BUSY, lib.REML_EMBED_STATUS_ERROR):
            self._look().check(exclusive=True)
        self._context._raise_for(status)

    def _ready(self) -> None:
        counted = getattr(self, "_counted", None)
        if counted is None:
            self._count_in()
        elif not counted:
            raise ValueError("the handle was dropped")
        late = self._context._late_cells
        while late:
            late.pop(0)(self)

    def _log(self) -> AnyLog:
        from reml_embed.audit.context import AuditContext  # noqa: PLC0415
        from reml_embed.audit.sinks import ContextSink  # noqa: PLC0415

        return AuditContext(ContextSink(self._context))

    def _look(self) -> RefState:
        state = ffi.new("reml_ref_state_t*", {"struct_size": ffi.sizeof("reml_ref_state_t")})
        self._context._raise_for(lib.reml_ref_state(self._context._id, value_struct(self._handle), state))
        return RefState(state.strong, state.shared, bool(state.exclusive), bool(state.poisoned), state.clones)

    def _state(self) -> RefState:
        self._ready()
        return self._look()

    def _clone(self) -> tuple[ScriptRef[T], RefState]:
        self._ready()
        out = ffi.new("reml_value_t*")
        self._must(lib.reml_ref_clone(self._context._id, value_struct(self._handle), out))
        made: ScriptRef[T] = ScriptRef(self._context, self._border, (out.kind, out.context, out.bits))
        made._counted = True
        return made, self._look()

    def _enter(self, *, exclusive: bool) -> RefState:
        self._ready()
        self._must(lib.reml_ref_borrow(self._context._id, value_struct(self._handle), exclusive))
        return self._look()

    def _leave(self, *, exclusive: bool, poison: bool) -> None:
        status = lib.reml_ref_return(self._context._id, value_struct(self._handle), exclusive, poison)
        if status == lib.REML_EMBED_STATUS_WRONG_THREAD:  # given back with the next operation on a cell of the context
            self._context._late_cells.append(lambda _: self._leave(exclusive=exclusive, poison=poison))
        else:
            self._context._raise_for(status)

    def _record_late_drop(self) -> None:
        """Another thread let a handle go; the library has counted that by now."""
        state = self._look()
        write_record(self._log(), "drop", state.strong, EffectSet(rc=True, rc_ops=state.clones))

    def _release(self) -> RefState | None:
        if self._context.closed:
            self._counted = False
            return None
        state = ffi.new("reml_ref_state_t*", {"struct_size": ffi.sizeof("reml_ref_state_t")})
        status = lib.reml_ref_state(self._context._id, value_struct(self._handle), state)
        self._counted = False
        Proxy.__del__(self)
        if status == lib.REML_EMBED_STATUS_WRONG_THREAD:
            self._context._late_cells.append(ScriptRef._record_late_drop)
        return RefState(state.strong - 1, clones=state.clones) if status == 0 else None

    def _load(self) -> T:
        held: T = self._border.method(self._handle, "get")
        return held

    def _store(self, value: T) -> None:
        self._border.method(self._handle, "set", value)

    def get(self) -> T:
        """What it holds now."""
        if hasattr(self, "_counted"):
            self._state().check(exclusive=False)
        return self._load()

    def set(self, value: T) -> None:
        """Put *value* there."""
        if hasattr(self, "_counted"):
            self._state().check(exclusive=True)
        self._store(value)

    def __del__(self, *_: Any) -> None:
        if not hasattr(self, "_counted"):
            super().__del__()
        elif self._counted:
            with suppress(Exception):  # its log refuses
                self._dropped()


class FutureProxy(Proxy, Generic[T]):
    """A Future or Task of the script: ``await`` it on an event loop. A Task gives ``Ok(value)`` or ``Err(error)``."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, T]:
        return self._context._jobs.future(self).__await__()


class Opaque(Proxy):
    """A value that has no Python form (a Range, an iterator, another host's object): it can be held and handed back."""

    __slots__ = ()

    def __str__(self) -> str:
        return repr(self)


#: Kind of a live value (``reml_kind_t``) → class of its proxy.
PROXIES: dict[int, type[Proxy]] = {
    int(lib.REML_KIND_STRUCT): StructProxy,
    int(lib.REML_KIND_VEC): VecProxy,
    int(lib.REML_KIND_TABLE): TableProxy,
    int(lib.REML_KIND_CELL): ScriptRef,
    int(lib.REML_KIND_FUTURE): FutureProxy,
    int(lib.REML_KIND_TASK): FutureProxy,
}


class Kinds:
    """Names of ``reml_kind_t``: ``Kinds.name(4) == "STRING"``."""

    _names: ClassVar[dict[int, str]] = {
        value: name.removeprefix("REML_KIND_") for value, name in ffi.typeof("reml_kind_t").elements.items()
    }

    @classmethod
    def name(cls, kind: int) -> str:
        """Name of a kind; ``UNKNOWN`` for one that a newer library may have."""
        return cls._names.get(kind, "UNKNOWN")
