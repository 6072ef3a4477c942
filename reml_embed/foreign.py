"""
Host pointers that scripts may use: `ForeignPtr` and `ForeignBuffer` (CONTRACTS 2; reml_ffi_bridge.h).

Comes in: addresses, and any object with a buffer (bytes, memoryview, a NumPy array). Goes out: values for parameters of type ``Ptr<T>``
and ``ForeignBuffer``; nothing is copied. *Borrowed*: the memory stays Python's, until `ForeignPtr.end`. *Transferred*: the script owns it, and
its release handler runs once when the script has dropped it. Uses after that are refused, and recorded as ``ffi.wrap.ownership_violation``.
"""

from __future__ import annotations

import builtins
import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from reml_embed._ffi import ffi, lib, owned_text, value_struct
from reml_embed.errors import EXCEPTIONS
from reml_embed.values import Opaque

if TYPE_CHECKING:
    from types import TracebackType

    from reml_embed._fast import Border, Handle
    from reml_embed.context import Context

_FOREIGN = ffi.typeof("reml_foreign_t*")
_POINTER = ffi.typeof("void**")
_TYPE = ffi.typeof("reml_type_t*")
_FOREIGN_SIZE = ffi.sizeof("reml_foreign_t")
_OWNERSHIP = {int(lib.REML_OWNERSHIP_BORROWED): "borrowed", int(lib.REML_OWNERSHIP_TRANSFERRED): "transferred"}

_NOTHING = ffi.new("char[1]")  # what an empty buffer points at

Release = Callable[[int], object]


class _Holder:
    """What C keeps while a transferred pointer lives: the release handler, and what must not go before."""

    __slots__ = ("handle", "keep", "release")

    def __init__(self, keep: object, release: Release | None) -> None:
        self.keep = keep
        self.release = release
        self.handle = ffi.new_handle(self)


_held: set[_Holder] = set()


@ffi.def_extern()  # type: ignore[untyped-decorator]
def reml_python_release(data: Any, _length: int, user: Any) -> None:
    """The script has let go. What the handler raises goes where exceptions of finalisers go: to ``sys.unraisablehook``."""
    holder: _Holder = ffi.from_handle(user)
    _held.discard(holder)
    release, holder.release, holder.keep = holder.release, None, None
    if release is not None:
        release(int(ffi.cast("uintptr_t", data)))


def address_of(pointer: object) -> int:
    """
    The address that an int, a pointer of cffi or ctypes, or a `ForeignPtr` stands for; None is NULL.

    Raises:
        TypeError: it is none of them. OverflowError: no address. OwnershipError, StaleError: a ForeignPtr that is over.
    """
    if pointer is None:
        return 0
    if isinstance(pointer, ForeignPtr):
        return pointer.address
    if isinstance(pointer, int) and not isinstance(pointer, bool):
        if not 0 <= pointer < 1 << (8 * ffi.sizeof("void*")):
            raise OverflowError(f"{pointer} is no address")
        return pointer
    if isinstance(pointer, ffi.CData):
        return int(ffi.cast("uintptr_t", pointer))
    if isinstance(pointer, ctypes.c_void_p):
        return pointer.value or 0
    if isinstance(pointer, ctypes._Pointer):
        return ctypes.cast(pointer, ctypes.c_void_p).value or 0
    raise TypeError(f"expected an address, got {type(pointer).__name__}")


class ForeignPtr(Opaque):
    """
    A host pointer in a context: ``Ptr<T>`` or an opaque type of the script's. Made by `Context.foreign_ptr` and `Context.foreign_buffer`, or by
    a script that hands one over. Use a borrowed one in a ``with`` block: its loan ends with the block.
    """

    __slots__ = ("_identity", "_keep", "_owner")
    _identity: Any
    _keep: object
    _owner: bool

    def __init__(
        self, context: Context, border: Border, handle: Handle, *, keep: object = None, owner: bool = False
    ) -> None:
        super().__init__(context, border, handle)
        object.__setattr__(self, "_identity", context._id)  # stays the id of a context that is closed
        object.__setattr__(self, "_keep", keep)
        object.__setattr__(self, "_owner", owner)  # of a loan: ends it at the latest when Python lets go

    # --- looking ------------------------------------------------------------------------------------------------------

    def _info(self) -> Any:
        found = ffi.new(_FOREIGN, {"struct_size": _FOREIGN_SIZE})
        self._check(lib.reml_ffi_foreign_info(self._identity, value_struct(self._handle), found))
        return found

    def _check(self, status: int) -> None:
        if status and self._context.closed:
            raise EXCEPTIONS[status]("the context of the pointer is closed")
        self._context._raise_for(status)

    @property
    def ownership(self) -> str:
        """``borrowed`` or ``transferred``."""
        return _OWNERSHIP[self._info().ownership]

    @property
    def alive(self) -> bool:
        """May it still be used? False also when its context is closed."""
        if self._context.closed:
            return False
        return not self._info().flags & lib.REML_FOREIGN_OVER

    @property
    def type(self) -> str:
        """Its type in Reml: ``Ptr<u8>``, ``ForeignBuffer``."""
        found = ffi.new(_TYPE)
        self._check(lib.reml_value_type(self._identity, value_struct(self._handle), found))
        status, text = owned_text(lambda out, length: lib.reml_type_text(self._identity, found[0], out, length))
        self._check(status)
        return text

    # --- using ----------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> int:
        """
        Where it points to; 0 for a null pointer.

        Raises:
            StaleError: it is over; recorded as an ownership violation.
        """
        found = ffi.new(_POINTER)
        self._check(lib.reml_value_host_data(self._identity, value_struct(self._handle), found))
        return int(ffi.cast("uintptr_t", found[0]))

    def end(self) -> None:
        """
        End a loan: from now on every use of it is refused, and the memory is only Python's.

        Raises:
            StaleError: it is over already. InvalidArgumentError: it was transferred. Both are recorded.
        """
        self._check(lib.reml_ffi_end_borrow(self._identity, value_struct(self._handle)))
        object.__setattr__(self, "_owner", False)
        object.__setattr__(self, "_keep", None)

    def take(self) -> int:
        """
        Take a transferred pointer back from the script: its release handler will not run. Answers its address.

        Raises:
            StaleError: it is over. InvalidArgumentError: it is only borrowed. Both are recorded.
        """
        found = ffi.new(_POINTER)
        self._check(lib.reml_ffi_take_foreign(self._identity, value_struct(self._handle), found))
        holder, kept = self._keep, None
        if isinstance(holder, _Holder):
            _held.discard(holder)
            kept = holder.keep
        object.__setattr__(self, "_keep", kept)  # Python owns the memory behind it again
        return int(ffi.cast("uintptr_t", found[0]))

    def release(self) -> None:
        """
        Run the release handler of a transferred pointer now.

        Raises:
            StaleError: it is over. InvalidArgumentError: it is only borrowed. Both are recorded.
        """
        self._check(lib.reml_ffi_release_foreign(self._identity, value_struct(self._handle)))

    def __enter__(self) -> ForeignPtr:
        return self

    def __exit__(
        self, kind: builtins.type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owner and self.alive:
            self.end()

    def __del__(self, *_: Any) -> None:
        try:
            if self._owner and not self._context.closed:
                status = lib.reml_ffi_end_borrow(self._identity, value_struct(self._handle))
                if status == lib.REML_EMBED_STATUS_WRONG_THREAD:  # only its owner's thread may end it: keep the memory
                    self._context._lent.append(self._keep)
        except AttributeError:  # __init__ did not come that far
            return
        super().__del__()


class ForeignBuffer(ForeignPtr):
    """Memory with a length, which scripts read within its bounds: ``len``, ``get``, ``slice``, ``to_bytes``, ``i32_at``, ``f64_at`` …"""

    __slots__ = ()

    def __enter__(self) -> ForeignBuffer:
        return self

    def __len__(self) -> int:
        """
        Bytes.

        Raises:
            StaleError: it is over; recorded.
        """
        _ = self.address  # refused when it is over
        return int(self._info().length)

    def tobytes(self) -> bytes:
        """
        A copy of what is there.

        Raises:
            StaleError: it is over; recorded.
        """
        address = self.address
        return bytes(ffi.buffer(ffi.cast("char*", address), self._info().length)) if address else b""


def wrap(
    context: Context,
    type_text: str,
    address: int,
    length: int,
    *,
    ownership: str,
    release: Release | None,
    one_run: bool = False,
    keep: object = None,
) -> ForeignPtr:
    """`Context.foreign_ptr` and `Context.foreign_buffer` behind their arguments."""
    if ownership not in ("borrowed", "transferred"):
        raise ValueError(f"ownership must be borrowed or transferred, got {ownership!r}")
    transferred = ownership == "transferred"
    if not transferred and release is not None:
        raise ValueError("a borrowed pointer has no release handler")
    if transferred and one_run:
        raise ValueError("only a loan is for one run")
    found = context._type(type_text)
    given = ffi.new(_FOREIGN, {"struct_size": _FOREIGN_SIZE, "length": length})
    given.data = ffi.cast("void*", address)
    given.ownership = lib.REML_OWNERSHIP_TRANSFERRED if transferred else lib.REML_OWNERSHIP_BORROWED
    given.flags = lib.REML_FOREIGN_ONE_RUN if one_run else 0
    holder = _Holder(keep, release) if transferred else None
    if holder is not None:
        given.release, given.user = lib.reml_python_release, holder.handle
    out = ffi.new("reml_value_t*")
    context._raise_for(lib.reml_ffi_wrap_foreign_ptr(context._id, found, given, out))
    if holder is not None and address:
        _held.add(holder)
    made = ForeignBuffer if type_text == "ForeignBuffer" else ForeignPtr
    return made(
        context,
        context._border,
        (out.kind, out.context, out.bits),
        keep=holder if transferred else keep,
        owner=not transferred and not one_run,
    )


def wrap_buffer(
    context: Context, data: object, *, ownership: str, release: Release | None, one_run: bool
) -> ForeignBuffer:
    """A ForeignBuffer over the memory of *data*, which stays exported until it is released or ended."""
    try:
        exported = ffi.from_buffer("char[]", data)
    except (TypeError, ValueError, BufferError) as error:
        raise TypeError(f"expected an object with a contiguous buffer, got {type(data).__name__}: {error}") from None
    length = len(exported)
    address = int(ffi.cast("uintptr_t", exported if length else _NOTHING))
    made = wrap(
        context, "ForeignBuffer", address, length, ownership=ownership, release=release, one_run=one_run, keep=exported
    )
    return cast("ForeignBuffer", made)


def proxy(context: Context, handle: Handle) -> Opaque:
    """The Python side of a host object that comes out of a script; it owns the handle."""
    info, found = ffi.new(_FOREIGN, {"struct_size": _FOREIGN_SIZE}), ffi.new(_TYPE)
    value = value_struct(handle)
    made: type[Opaque] = Opaque  # another host's object
    if lib.reml_ffi_foreign_info(context._id, value, info) == 0 and lib.reml_value_type(context._id, value, found) == 0:
        _, text = owned_text(lambda out, length: lib.reml_type_text(context._id, found[0], out, length))
        made = ForeignBuffer if text == "ForeignBuffer" else ForeignPtr
    return made(context, context._border, handle)
