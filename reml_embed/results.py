"""
The result of a run as a value that is owned, and by whom (CONTRACTS 2.3).

`BorrowedResult` is lent: the next run, load or close takes it back. `TransferredResult` is yours: it is released exactly once.
Both know their state and refuse to be used afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from reml_embed._ffi import ffi, lib, owned_text, span_text, value_struct
from reml_embed.errors import OwnershipError, StaleError, refuse_pickling
from reml_embed.values import Kinds

if TYPE_CHECKING:
    from types import TracebackType

    from reml_embed._fast import Handle
    from reml_embed.context import Context

_TYPE = ffi.typeof("reml_type_t*")


class _Result:
    """What both have in common."""

    __slots__ = ("__weakref__", "_context", "_handle", "_identity")
    ownership = ""

    def __init__(self, context: Context, handle: Handle) -> None:
        self._context = context
        self._handle = handle
        self._identity = context._id  # stays the id of a context that is closed

    def _check(self) -> None:
        raise NotImplementedError

    def _refuse(self, message: str) -> NoReturn:
        """The value is gone: the library says so, too, and records it as an ownership violation."""
        lib.reml_value_type(self._identity, value_struct(self._handle), ffi.new(_TYPE))
        raise StaleError(message)

    @property
    def kind(self) -> str:
        """Name of its kind: ``INT``, ``STRING``, ``RECORD`` …; ``NONE`` when nothing has run."""
        return Kinds.name(self._handle[0])

    @property
    def value(self) -> Any:
        """The value in Python; None when there is none."""
        self._check()
        return self._context._border.value(*self._handle) if self._handle[0] else None

    @property
    def text(self) -> str:
        """Its Display text; empty when there is none."""
        self._check()
        if not self._handle[0]:
            return ""
        status, text = owned_text(
            lambda out, length: lib.reml_value_text(self._context._id, value_struct(self._handle), out, length)
        )
        self._context._raise_for(status)
        return text

    @property
    def type(self) -> str:
        """Its type as Reml writes it: ``List<Int>``."""
        self._check()
        context, found = self._context, ffi.new(_TYPE)
        context._raise_for(lib.reml_value_type(context._id, value_struct(self._handle), found))
        status, text = owned_text(lambda out, length: lib.reml_type_text(context._id, found[0], out, length))
        context._raise_for(status)
        return text

    @property
    def variant(self) -> str | None:
        """Name of the constructor, for values of sum types (``"Err"``); None for other values."""
        self._check()
        if self.kind != "ADT":
            return None
        context = self._context
        status, name = span_text(lambda out: lib.reml_value_name(context._id, value_struct(self._handle), out))
        context._raise_for(status)
        return name

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)


class BorrowedResult(_Result):
    """The last result, lent by its context until the next run, load or close."""

    __slots__ = ("_epoch",)
    ownership = "borrowed"

    def __init__(self, context: Context, handle: Handle, epoch: int) -> None:
        super().__init__(context, handle)
        self._epoch = epoch

    @property
    def valid(self) -> bool:
        """Can it still be used?"""
        return self._epoch == self._context._epoch and not self._context.closed

    def _check(self) -> None:
        if not self.valid:
            self._refuse("the borrowed result is gone: its context has run, loaded or been closed since")

    def retain(self) -> TransferredResult:
        """One more owner: a result that outlives the loan and must be released."""
        self._check()
        context, out = self._context, ffi.new("reml_value_t*")
        context._raise_for(lib.reml_ffi_acquire_borrowed_result(context._id, value_struct(self._handle), out))
        return TransferredResult(context, (out.kind, out.context, out.bits))

    def release(self) -> NoReturn:
        """
        Refused: what is only borrowed must not be released.

        Raises:
            OwnershipError: always; an audit record tells of it.
        """
        lib.reml_ffi_release_transferred(self._identity, value_struct(self._handle))
        raise OwnershipError("the result is only borrowed")

    def __repr__(self) -> str:
        return f"<BorrowedResult {self.kind}{'' if self.valid else ', gone'}>"


class TransferredResult(_Result):
    """A value handed over by its context. Release it once, or use it in a ``with`` block; collecting it is only the safety net."""

    __slots__ = ("_released",)
    ownership = "transferred"

    def __init__(self, context: Context, handle: Handle) -> None:
        super().__init__(context, handle)
        self._released = False

    @property
    def valid(self) -> bool:
        """Can it still be used?"""
        return not self._released and not self._context.closed

    def _check(self) -> None:
        if self._released:
            self._refuse("the result was released before")
        if self._context.closed:
            self._refuse("the context of the result is closed")

    def release(self) -> None:
        """
        Let the value go.

        Raises:
            OwnershipError: it was released before; an audit record tells of it.
        """
        context = self._context
        status = lib.reml_ffi_release_transferred(self._identity, value_struct(self._handle))
        if self._released:
            raise OwnershipError("the result was released before", status=status or None)
        context._raise_for(status)
        self._released = True

    def __enter__(self) -> TransferredResult:
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.valid:
            self.release()

    def __del__(self, _release: Any = lib.reml_value_release, _struct: Any = value_struct) -> None:
        if not getattr(self, "_released", True):
            _release(self._context._id, _struct(self._handle))  # from another thread: queued

    def __repr__(self) -> str:
        state = "" if self.valid else ", released" if self._released else ", gone"
        return f"<TransferredResult {self.kind}{state}>"
