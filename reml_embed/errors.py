"""
What can go wrong::

    RemlError                     status, label, message; the base of all
    ├── LoadError                 a source is wrong: diagnostics, text
    ├── RunError                  a script failed: code, stack, diagnostics
    │   ├── LimitError            … because it reached a limit
    │   ├── DeniedError           … because it used what it was not granted
    │   ├── UnknownFunctionError  no such function (a KeyError, too)
    │   └── SignatureError        it has another signature (a TypeError, too)
    ├── AbiMismatchError          header, library and requested version do not go together
    ├── UnsupportedTargetError    the library does not run on this system
    ├── InvalidArgumentError      (a ValueError, too)
    ├── OutOfMemoryError          (a MemoryError, too)
    ├── HandleError               a context, function or value that is none
    │   ├── StaleError            closed, released or transferred before
    │   ├── WrongContextError     of another context
    │   └── OwnershipError        released twice, or though it was only borrowed
    ├── BusyError                 not while the context is running
    ├── WrongThreadError          the context belongs to another thread: see Context.adopt
    ├── ForkedError               the context belongs to the parent process
    ├── PendingError              the run waits for the host
    ├── AuditUnavailableError     the log cannot be written, so nothing was done
    ├── AuditMissingError         a call left no audit record
    ├── MissingExtraError         a package of an extra is not installed (an ImportError, too)
    └── CatalogError              a diagnostic code that is known already, or unknown

Exceptions that a Python host function raises are not wrapped: the very same object comes out of the run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

if TYPE_CHECKING:
    from reml_embed.diagnostics import Diagnostic, StackEntry


class RemlError(Exception):
    """
    Base of everything this package raises by itself.

    Attributes:
        message: one line in words.
        status: the library's status (``reml_embed_status_t``).
        label: its name: ``"abi_mismatch"``.
    """

    default_status: ClassVar[int] = 1
    default_label: ClassVar[str] = "error"

    def __init__(self, message: str, *, status: int | None = None, label: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.default_status if status is None else status
        self.label = self.default_label if label is None else label

    def __str__(self) -> str:
        return self.message


class LoadError(RemlError):
    """
    A source could not be loaded; nothing has changed.

    Attributes:
        diagnostics: all that is wrong with it, in source order.
        text: the same as a compiler prints it; what ``str()`` shows.
        coloured: *text* with terminal colours.
    """

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = (), *, text: str = "", coloured: str = "",
                 status: int | None = None, label: str | None = None) -> None:  # fmt: skip
        super().__init__(message, status=status, label=label)
        self.diagnostics = diagnostics
        self.text = text or message
        self.coloured = coloured or self.text

    @property
    def code(self) -> str | None:
        """Code of the first error."""
        return next((diagnostic.code for diagnostic in self.diagnostics if diagnostic.severity == "error"), None)

    def __str__(self) -> str:
        return self.text.rstrip("\n")


class RunError(RemlError):
    """
    A script failed. The context stays usable.

    Attributes:
        code: what happened (``"runtime.arith.overflow"``).
        stack: where, innermost first.
        diagnostics: the same in the shape of load errors.
        text: the same as a compiler prints it, with the source line; empty when it happened outside any source.
        row: the number of the row that failed, in ``Function.map``.
    """

    def __init__(self, message: str, *, code: str | None = None, stack: tuple[StackEntry, ...] = (),
                 diagnostics: tuple[Diagnostic, ...] = (), text: str = "", coloured: str = "", status: int | None = None,
                 label: str | None = None) -> None:  # fmt: skip
        super().__init__(message, status=status, label=label)
        self.code = code
        self.stack = stack
        self.diagnostics = diagnostics
        self.text = text
        self.coloured = coloured or text
        self.row: int | None = None


class LimitError(RunError):
    """A script reached a limit; ``code`` names it: ``runtime.limit.instructions``."""

    default_status, default_label = 15, "limit"


class DeniedError(RunError):
    """A script used a capability that it was not granted."""

    default_status, default_label = 12, "denied"


class UnknownFunctionError(RunError, KeyError):
    """There is no function of that name."""


class SignatureError(RunError, TypeError):
    """A function has another signature than the one asked for, or none that fits."""


class AbiMismatchError(RemlError):
    """
    Header, library and requested version do not go together.

    Attributes:
        record: the audit record of a refusal that never reached the library; None when the library wrote it itself.
    """

    default_status, default_label = 2, "abi_mismatch"

    def __init__(
        self, message: str, *, record: str | None = None, status: int | None = None, label: str | None = None
    ) -> None:
        super().__init__(message, status=status, label=label)
        self.record = record


class UnsupportedTargetError(RemlError):
    """The library does not run on this system."""

    default_status, default_label = 3, "unsupported_target"


class InvalidArgumentError(RemlError, ValueError):
    """An argument that the library refuses."""

    default_status, default_label = 4, "invalid_argument"


class OutOfMemoryError(RemlError, MemoryError):
    """The allocator of a context had nothing left."""

    default_status, default_label = 5, "no_memory"


class HandleError(RemlError):
    """Not a context, function or value, and never was one."""

    default_status, default_label = 6, "invalid_handle"


class WrongContextError(HandleError):
    """A function or value of another context."""

    default_status, default_label = 7, "wrong_context"


class StaleError(HandleError):
    """Closed, released or transferred before; or a borrowed result after the next call."""

    default_status, default_label = 8, "stale"


class OwnershipError(HandleError):
    """Released twice, or released though it was only borrowed. An audit record tells of it (``ffi.wrap.ownership_violation``)."""

    default_status, default_label = 8, "stale"


class BusyError(RemlError):
    """Not while the context is running, or while one of its values is being converted."""

    default_status, default_label = 9, "busy"


#: What is said where the library cannot: it keeps its words for the owner of a context.
WORDS = {
    10: "the context belongs to another thread: see Context.adopt",
    11: "the context belongs to the parent process",
}


class WrongThreadError(RemlError):
    """The context belongs to another thread; ``Context.adopt`` takes it over."""

    default_status, default_label = 10, "wrong_thread"


class ForkedError(RemlError):
    """The context belongs to the parent process; a child can only close it."""

    default_status, default_label = 11, "forked"


class AuditUnavailableError(RemlError):
    """The audit log cannot be opened or written, so nothing was done."""

    default_status, default_label = 13, "audit_unavailable"


class PendingError(RemlError):
    """The run waits for the host."""

    default_status, default_label = 14, "pending"


class AuditMissingError(RemlError):
    """A lifecycle call did not leave exactly one audit record."""


class CatalogError(RemlError, ValueError):
    """
    The catalog of diagnostic codes refuses a code.

    Attributes:
        code: ``catalog.duplicate_key``, ``catalog.unknown_code``, ``catalog.unknown_domain`` or ``catalog.invalid_entry``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, label=code)
        self.code = code


#: Which exception a status becomes; every status of the library but 0 (ok) has a row.
EXCEPTIONS: dict[int, type[RemlError]] = {
    1: RunError,
    2: AbiMismatchError,
    3: UnsupportedTargetError,
    4: InvalidArgumentError,
    5: OutOfMemoryError,
    6: HandleError,
    7: WrongContextError,
    8: StaleError,
    9: BusyError,
    10: WrongThreadError,
    11: ForkedError,
    12: DeniedError,
    13: AuditUnavailableError,
    14: PendingError,
    15: LimitError,
}


def refuse_pickling(what: object) -> NoReturn:
    """Raise: *what* lives in its process."""
    raise TypeError(f"cannot pickle {type(what).__name__!r}: it lives in its context")


class MissingExtraError(RemlError, ImportError):
    """
    A command or function needs packages that are not installed.

    Attributes:
        extra: the extra of this package that brings them.
        module: what could not be imported.
    """

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(f"`{module}` is not installed: pip install 'reml-embed[{extra}]'")
        self.extra = extra
        self.module = module


def require(module: str, extra: str) -> Any:
    """
    Import *module*, which the extra *extra* brings.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.partition(".")[0] == error.name.partition(".")[0]:
            raise MissingExtraError(extra, module) from error
        raise
