"""Programs that are compiled once and run in many contexts (``reml_program.h``)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from reml_embed._ffi import ffi, lib
from reml_embed.errors import StaleError, refuse_pickling

if TYPE_CHECKING:
    from types import TracebackType


def release(program: Any) -> None:
    """Give up a program; ids that are stale have been given up."""
    lib.reml_program_release(program)


class Program:
    """
    What `Context.compile` made of sources, for any number of contexts and threads: ``other.load(program)``.

    It lives until it is closed, or nothing refers to it, and no context has it loaded any more.
    """

    __slots__ = ("__weakref__", "_finalizer", "_id")

    def __init__(self, program: Any) -> None:
        self._id = program
        self._finalizer = weakref.finalize(self, release, program)
        self._finalizer.atexit = False

    def close(self) -> None:
        """Contexts that have loaded it keep it; it can be loaded no more. Closing twice is fine."""
        self._finalizer()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _info(self) -> Any:
        info = ffi.new("reml_program_info_t*", {"struct_size": ffi.sizeof("reml_program_info_t")})
        if lib.reml_program_info(self._id, info):
            raise StaleError("the program has been closed")
        return info

    @property
    def sources(self) -> int:
        """How many sources it was compiled from."""
        return int(self._info().sources)

    @property
    def bytes(self) -> int:
        """Memory that its contexts share."""
        return int(self._info().bytes)

    @property
    def contexts(self) -> int:
        """How many contexts share it now; one that had to check the sources anew is none of them."""
        return int(self._info().contexts)

    def __reduce__(self) -> Any:
        refuse_pickling(self)

    def __repr__(self) -> str:
        if not self._finalizer.alive:
            return "<Program, closed>"
        return f"<Program of {self.sources} source{'s' * (self.sources != 1)}, in {self.contexts} contexts>"
