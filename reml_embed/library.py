"""
Foreign shared libraries: bind them, hold each function to a contract, call it with an audit trail (CONTRACTS 2.2–2.7)::

    libm = bind_library("m")
    cos = auto_bind(libm, "cos", "(F64) -> F64")
    call_ffi(cos, [0.0])                                   # 1.0

Comes in: paths, names, signatures, Python values. Goes out: Python values, `Pointer` objects, records. Each call goes through the same steps:
capability stage, security policy, contract (symbol, ownership, ABI), ``ffi.call.start``, the call itself, ``ffi.call.end``, the ``ffi.call`` record
of the result. A step that refuses leaves a failed ``ffi.call`` record, and nothing is called. Scripts reach libraries through
`Context.bind_library`. Libraries are opened by cffi in ABI mode, so their functions run with the GIL released.
"""

from __future__ import annotations

import ctypes.util
import itertools
import os
import re
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import cffi  # type: ignore[import-untyped]

from reml_embed import metrics as metric_table
from reml_embed._ffi import NULL, lib
from reml_embed.abi import (
    ABIS,
    EFFECTS,
    Abi,
    BridgeError,
    BridgeErrorKind,
    CallingConvention,
    FfiError,
    FfiErrorKind,
    FfiType,
    Signature,
    TypeRef,
    check_abi,
    check_ownership,
    host_abi,
    resolve_calling_convention,
)
from reml_embed.audit import AuditContext, ContextSink, FileSink
from reml_embed.errors import OwnershipError, RemlError, refuse_pickling
from reml_embed.foreign import ForeignPtr, address_of
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.handles import CapabilityHandle
from reml_embed.registry.stage import StageRequirement

if TYPE_CHECKING:
    from types import TracebackType

    from reml_embed.audit import Record, RecordSink
    from reml_embed.context import Context
    from reml_embed.registry.security import SecurityPolicy

__all__ = [
    "ABIS",
    "Abi",
    "BridgeError",
    "BridgeErrorKind",
    "CallingConvention",
    "FfiError",
    "FfiErrorKind",
    "FfiType",
    "ForeignContract",
    "ForeignFunction",
    "Library",
    "Pointer",
    "Signature",
    "TypeRef",
    "Wrapper",
    "auto_bind",
    "bind_library",
    "call_ffi",
    "call_ffi_async",
    "call_with_capability",
    "drain",
    "get_function",
    "host_abi",
    "resolve_calling_convention",
    "set_executor",
    "wrap",
]

CAPABILITY = "ffi.bridge"
#: Rows of `metadata.bridge.return` (CONTRACTS 2.6): status, wrap, release_handler, rc_adjustment.
RETURNS: dict[str, tuple[str, str, str, str]] = {
    "borrowed": ("wrap", "wrap_foreign_ptr", "none", "none"),
    "transferred": ("wrap_and_release", "wrap_foreign_ptr", "dec_ref", "dec_ref"),
    "pending": ("pending", "wrap_foreign_ptr", "dec_ref", "none"),
    "failure": ("failure", "none", "none", "none"),
    "null": ("null", "none", "none", "none"),
    "scalar": ("none", "none", "none", "none"),
}


# --- where records go ---------------------------------------------------------------------------------------------------


class _WaitingSink:
    """Keeps the last 4,096 records of libraries that were bound without a context, a log, or ``REML_EMBED_AUDIT_PATH``."""

    def __init__(self) -> None:
        self.records: deque[dict[str, Any]] = deque(maxlen=4096)

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        path = os.environ.get("REML_EMBED_AUDIT_PATH")
        if path:
            FileSink(path).write_record(record)
        else:
            self.records.append(dict(record.data))


_waiting = _WaitingSink()


def drain() -> list[dict[str, Any]]:
    """Take the records that wait: of libraries bound without a context or log of their own."""
    taken = list(_waiting.records)
    _waiting.records.clear()
    return taken


# --- contracts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wrapper:
    """
    How a function is wrapped; ``metadata["ffi.wrapper"]`` of its records.

    Attributes:
        name: of the wrapper.
        null_check: a NULL result is the failure NullReturn (only when wrapped).
        ownership: of the result; None: as its contract says.
        error_map: integer results that are failures, with what they mean; or a callable that answers the meaning, or None.
        call_mode: ``wrapped``, or ``raw``: no NULL check, no error map.
    """

    name: str
    null_check: bool = True
    ownership: str | None = None
    error_map: Mapping[int, str] | Callable[[Any], str | None] | None = None
    call_mode: str = "wrapped"

    def __post_init__(self) -> None:
        if self.call_mode not in ("wrapped", "raw"):
            raise ValueError(f"call_mode must be wrapped or raw, got {self.call_mode!r}")
        if not self.name:
            raise ValueError("a wrapper needs a name")

    def failure(self, result: object) -> str | None:
        """What an integer result means when it is a failure."""
        if self.call_mode == "raw" or self.error_map is None:
            return None
        if callable(self.error_map):
            return self.error_map(result)
        return self.error_map.get(result) if isinstance(result, int) else None

    @property
    def json(self) -> dict[str, Any]:
        """As records have it."""
        found: dict[str, Any] = {"name": self.name, "null_check": self.null_check, "call_mode": self.call_mode}
        if self.ownership is not None:
            found["ownership"] = self.ownership
        if isinstance(self.error_map, Mapping):
            found["error_map"] = {str(key): text for key, text in sorted(self.error_map.items())}
        elif self.error_map is not None:
            found["error_map"] = "function"
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class ForeignContract:
    """
    What is declared of a foreign function and checked before each call.

    Attributes:
        ownership: ``borrowed``, ``transferred`` or ``reference``, of a pointer that it answers; None: borrowed.
        abi: that it was declared for; None: the platform's.
        callconv: name of its calling convention; None: the platform's.
        style: ``sync``, ``blocking``, ``async`` or ``timer``: which effects the call has.
        capability: that the call needs.
        stage: requirement on its stage.
        policy: that the capability has to satisfy; None: none.
    """

    ownership: str | None = None
    abi: str | None = None
    callconv: str | None = None
    style: str = "sync"
    capability: str = CAPABILITY
    stage: str = "at_least:beta"
    policy: SecurityPolicy | None = None

    def __post_init__(self) -> None:
        if self.style not in EFFECTS:
            raise ValueError(f"style must be one of {', '.join(EFFECTS)}, got {self.style!r}")
        StageRequirement.parse(self.stage)

    @property
    def effects(self) -> tuple[str, ...]:
        """Of a call; sorted."""
        return EFFECTS[self.style]


# --- libraries ----------------------------------------------------------------------------------------------------------

_SYMBOL = re.compile(r"[A-Za-z_]\w*\Z")


class Library:
    """
    A shared library that is open. Made by `bind_library`; closing it makes its functions unusable.

    Attributes:
        name: how records call it: the last part of its path; ``process`` for the process itself.
        path: what was opened; empty for the process itself.
        platform: the row of CONTRACTS 2.4 of this machine.
        registry: asked before each call.
    """

    def __init__(
        self,
        path: str,
        handle: Any,
        ffi: Any,
        *,
        context: Context | None,
        audit: AuditContext,
        registry: CapabilityRegistry,
    ) -> None:
        self.path = path
        self.name = Path(path).name or "process"
        self.platform = host_abi()
        self.registry = registry
        self.acquired = self.released = 0
        self._audit = audit
        self._context = None if context is None else weakref.ref(context)
        self._handle = handle
        self._ffi = ffi
        self._declared: set[str] = set()
        self._calls = itertools.count(1)

    @property
    def closed(self) -> bool:
        """Has it been closed?"""
        return self._handle is None

    @property
    def live(self) -> int:
        """Pointers that were transferred and not released; always ``acquired - released``."""
        return self.acquired - self.released

    def close(self) -> None:
        """Close it. Pointers into it must not be used any more. Closing twice is fine."""
        if self._handle is not None:
            self._ffi.dlclose(self._handle)
            self._handle = None

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Library {self.name}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)

    def new(self, c_type: str, value: Any = None) -> Any:
        """Memory for an argument, as cffi makes it: ``new("uint64_t[1]", [64])``. It lives as long as Python holds it."""
        return self._ffi.new(c_type, value) if value is not None else self._ffi.new(c_type)

    def find(self, symbol: str) -> Any:
        """
        Address of a symbol.

        Raises:
            FfiError: SymbolNotFound, or InvalidSignature for what is no name.
        """
        if not isinstance(symbol, str) or not _SYMBOL.match(symbol):
            raise FfiError(FfiErrorKind.InvalidSignature, f"`{symbol}` is no name of a function", library=self.name)
        if self._handle is None:
            raise FfiError(
                FfiErrorKind.LibraryNotFound, f"the library {self.name} is closed", symbol=symbol, library=self.name
            )
        try:
            if symbol not in self._declared:
                self._ffi.cdef(f"void {symbol}(void);")
                self._declared.add(symbol)
            return self._ffi.addressof(self._handle, symbol)
        except AttributeError:
            raise FfiError(
                FfiErrorKind.SymbolNotFound, f"{self.name} has no `{symbol}`", symbol=symbol, library=self.name
            ) from None
        except (cffi.CDefError, cffi.FFIError) as error:  # a keyword of C
            raise FfiError(
                FfiErrorKind.InvalidSignature, f"`{symbol}`: {error}", symbol=symbol, library=self.name
            ) from None

    # --- counting and recording -----------------------------------------------------------------------------------------

    @property
    def context(self) -> Context | None:
        """Whose counters and log its calls belong to; None: the process's."""
        context = None if self._context is None else self._context()
        return None if context is None or context.closed else context

    def _count(self, *, success: bool) -> float:
        """One bridge call; the pass rate afterwards."""
        living = self.context
        status = lib.REML_FFI_BRIDGE_SUCCESS if success else lib.REML_FFI_BRIDGE_FAILURE
        lib.reml_ffi_bridge_record_status(NULL if living is None else living._id, status)
        return (metric_table.process_metrics() if living is None else living.metrics()).pass_rate

    def _bridge(self, function: ForeignFunction, *, status: str, row: str, rate: float) -> dict[str, Any]:
        """`metadata.bridge`: the keys of CONTRACTS 2.6 and no other."""
        contract, declared = function.contract, function.ownership
        words = RETURNS[row]
        returned = {"borrowed": "borrowed", "scalar": "none"}.get(row)
        if returned is None:  # a reference is lent
            returned = {"reference": "borrowed"}.get(declared, declared)
        bridge: dict[str, Any] = {
            "abi": contract.abi or self.platform.expected_abi,
            "arch": self.platform.arch,
            "audit_pass_rate": rate,
            "callconv": contract.callconv or str(self.platform.convention),
            "expected_abi": self.platform.expected_abi,
            "extern_name": function.name,
            "extern_symbol": function.symbol,
            "library": self.name,
            "ownership": "none" if row == "scalar" else declared,
            "platform": self.platform.platform,
            "return": {
                "ownership": returned,
                "rc_adjustment": words[3],
                "release_handler": words[2],
                "status": words[0],
                "wrap": words[1],
            },
            "status": status,
            "target": self.platform.target,
        }
        if function.symbol != function.name:
            bridge["link_name"] = function.symbol
        return bridge

    def _ffi_block(self, function: ForeignFunction, status: str, capability: str, stage: str | None) -> dict[str, Any]:
        block: dict[str, Any] = {
            "capability": capability,
            "effect_flags": list(function.contract.effects),
            "event": "ffi.call",
            "library": self.name,
            "status": status,
            "symbol": function.symbol,
        }
        if stage is not None:
            block["capability_stage"] = stage
        if function.wrapper is not None:
            block["wrapper"] = function.wrapper.name
        return block

    def _record(
        self, function: ForeignFunction, row: str, *, status: str = "ok", error: RemlError | None = None,
        capability: str | None = None, stage: str | None = None, latency_ns: int | None = None, call: int | None = None,
    ) -> None:  # fmt: skip
        """The ``ffi.call`` record, counted once."""
        used = capability or function.contract.capability
        label = {"ok": "success", "error": "failed", "leak": "leak"}[status]
        block = self._ffi_block(function, label, used, stage)
        if latency_ns is not None:
            block["latency_ns"] = latency_ns
        rate = self._count(success=status == "ok")
        metadata: dict[str, Any] = {"bridge": self._bridge(function, status=status, row=row, rate=rate), "ffi": block}
        if function.wrapper is not None:
            metadata["ffi.wrapper"] = function.wrapper.json
        if call is not None:
            metadata["ffi.call_id"] = call
        if error is not None:
            metadata["error.code"] = getattr(error, "code", None) or "ffi.call.failed"
            metadata["error.message"] = str(error)
            metadata["error.severity"] = "error"
        self._audit.log("ffi.call", capability=used, metadata=metadata)

    def _mark(self, event: str, function: ForeignFunction, call: int, capability: str) -> None:
        """``ffi.call.start`` and ``ffi.call.end``."""
        metadata = {"ffi.call_id": call, "ffi.library": self.name, "ffi.symbol": function.symbol}
        self._audit.log(event, capability=capability, metadata=metadata)


class ForeignFunction:
    """
    A function of a library. Made by `get_function` and `auto_bind`; `wrap` gives it a wrapper.

    Attributes:
        name: how it is called here.
        symbol: what the library calls it.
        signature: None until it is known; then it can be called.
        ownership: of what it answers: ``none``, ``borrowed``, ``transferred``, ``reference``.
    """

    __slots__ = ("_address", "_release", "contract", "library", "name", "ownership", "signature", "symbol", "wrapper")

    def __init__(
        self, library: Library, name: str, symbol: str, address: Any, signature: Signature | None,
        contract: ForeignContract, wrapper: Wrapper | None, release: ForeignFunction | Callable[[int], object] | None,
    ) -> None:  # fmt: skip
        self.library = library
        self.name = name
        self.symbol = symbol
        self.signature = signature
        self.contract = contract
        self.wrapper = wrapper
        self._address = address
        self._release = release
        self.ownership = "none"
        if signature is not None:
            owned = wrapper.ownership if wrapper is not None and wrapper.ownership else contract.ownership
            self.ownership = check_ownership(
                signature, owned, releasable=release is not None, symbol=symbol, library=library.name
            )

    def __call__(self, *arguments: Any) -> Any:
        """The same as `call_ffi`."""
        return call_ffi(self, arguments)

    def __repr__(self) -> str:
        return f"<ForeignFunction {self.library.name}:{self.symbol} {self.signature or '(signature not known)'}>"

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)


def bind_library(
    path: str | os.PathLike[str] | None,
    *,
    context: Context | None = None,
    audit: AuditContext | RecordSink | None = None,
    registry: CapabilityRegistry | None = None,
    cdef: str = "",
) -> Library:
    """
    Open a shared library.

    Args:
        path: of a file; a name without ``/`` is looked up as the linker does (``m``, ``libz.so.1``); None: the process itself.
        context: whose counters and log its calls belong to; by default the process's.
        audit: where records go instead: an `AuditContext` or a sink.
        registry: that is asked for capabilities; by default the process's.
        cdef: C declarations of the structs and enums that signatures name.

    Raises:
        FfiError: LibraryNotFound; UnsupportedPlatform; InvalidSignature, when *cdef* is wrong.
    """
    text = "" if path is None else os.fspath(path)
    if not isinstance(text, str) or "\0" in text or (path is not None and not text):
        raise FfiError(FfiErrorKind.LibraryNotFound, f"no library {path!r}")
    foreign = cffi.FFI()
    try:
        if cdef:
            foreign.cdef(cdef)
    except Exception as error:  # noqa: BLE001  (whatever a parser of C may raise)
        raise FfiError(FfiErrorKind.InvalidSignature, f"cdef: {str(error).splitlines()[0]}") from None
    handle = None
    tried = [text]
    if text and "/" not in text:
        found = ctypes.util.find_library(text)
        tried = [name for name in (found, text, f"lib{text}.so") if name]
    for name in tried:
        try:
            handle = foreign.dlopen(name or None)
        except OSError as error:
            problem = str(error)
        else:
            text = name
            break
    if handle is None:
        raise FfiError(FfiErrorKind.LibraryNotFound, f"cannot open {text}: {problem}", library=Path(text).name)
    if isinstance(audit, AuditContext):
        log = audit
    else:
        sink = audit if audit is not None else ContextSink(context) if context is not None else _waiting
        log = AuditContext(sink, channel="runtime")
    return Library(
        text,
        handle,
        foreign,
        context=context,
        audit=log,
        registry=CapabilityRegistry.process() if registry is None else registry,
    )


def get_function(library: Library, name: str) -> ForeignFunction:
    """
    A function by name, without a signature: it cannot be called yet.

    Raises:
        FfiError: SymbolNotFound.
    """
    return ForeignFunction(library, name, name, library.find(name), None, ForeignContract(), None, None)


def auto_bind(
    library: Library,
    name: str,
    signature: str | Signature,
    *,
    link_name: str | None = None,
    contract: ForeignContract | None = None,
    wrapper: Wrapper | None = None,
    ownership: str | None = None,
    release: ForeignFunction | Callable[[int], object] | None = None,
) -> ForeignFunction:
    """
    A function that can be called.

    Args:
        library: that has it.
        name: how it is called here.
        signature: see `Signature.parse`.
        link_name: what the library calls it, when that is not *name*.
        contract: what is declared of it.
        wrapper: how its results are looked at.
        ownership: short for a contract that says no more.
        release: of a function that transfers what it answers: called once with the address, when the `Pointer` is released.

    Raises:
        FfiError: SymbolNotFound, InvalidSignature. BridgeError: the contract does not hold (`ffi.contract.…`).
    """
    symbol = link_name or name
    parsed = signature if isinstance(signature, Signature) else Signature.parse(signature)
    declared = contract or ForeignContract(ownership=ownership)
    address = library.find(symbol)
    check_abi(declared.abi, library.platform, symbol=symbol, library=library.name)
    try:
        address = library._ffi.cast(parsed.c_pointer, address)
    except Exception as error:  # noqa: BLE001  (whatever a parser of C may raise: a struct that is not declared)
        raise FfiError(
            FfiErrorKind.InvalidSignature,
            f"{parsed}: {str(error).splitlines()[0]}",
            symbol=symbol,
            library=library.name,
        ) from None
    return ForeignFunction(library, name, symbol, address, parsed, declared, wrapper, release)


def wrap(function: ForeignFunction, wrapper: Wrapper) -> ForeignFunction:
    """The same function with a wrapper."""
    return ForeignFunction(
        function.library, function.name, function.symbol, function._address, function.signature,
        function.contract, wrapper, function._release,
    )  # fmt: skip


# --- pointers that functions answer ---------------------------------------------------------------------------------------


class Pointer:
    """
    A pointer that a foreign function has answered. A transferred one is released once: by `release`, at the end of a ``with`` block, or by
    `give`, which hands it to a script. Used after that it is refused, and recorded as an ownership violation. One that nobody released is
    recorded as a leak and released when Python collects it.

    Attributes:
        ownership: ``borrowed``, ``transferred`` or ``reference``.
    """

    __slots__ = ("__weakref__", "_address", "_function", "_state", "ownership")

    def __init__(self, function: ForeignFunction, address: int) -> None:
        self._function = function
        self._address = address
        self.ownership = function.ownership
        self._state = "held"
        if self.ownership == "transferred":
            function.library.acquired += 1

    @property
    def alive(self) -> bool:
        """May it still be used?"""
        return self._state == "held" and not self._function.library.closed

    def _use(self, what: str) -> None:
        if self.alive:
            return
        reason = "its library is closed" if self._state == "held" else f"it was {self._state} before"
        self._refuse(f"{what}: {reason}")

    def _refuse(self, message: str) -> NoReturn:
        error = OwnershipError(f"ffi.wrap.ownership_violation: {message}")
        error.code = "ffi.wrap.ownership_violation"  # type: ignore[attr-defined]
        self._function.library._record(self._function, "failure", status="error", error=error)
        raise error

    @property
    def address(self) -> int:
        """Where it points to."""
        self._use("address")
        return self._address

    def text(self, limit: int = 1 << 20) -> str:
        """The NUL-terminated UTF-8 text that it points to, of at most *limit* bytes."""
        self._use("text")
        ffi = self._function.library._ffi
        return cast("bytes", ffi.string(ffi.cast("char *", self._address), limit)).decode("utf-8", "replace")

    def read(self, length: int) -> bytes:
        """A copy of *length* bytes; that so many are there is the caller's knowledge."""
        self._use("read")
        if length < 0:
            raise ValueError(f"a length is not negative, got {length}")
        ffi = self._function.library._ffi
        return bytes(ffi.buffer(ffi.cast("char *", self._address), length))

    def release(self) -> None:
        """
        Call the release handler, once.

        Raises:
            OwnershipError: it is not transferred, or was released or given away before. Recorded.
        """
        self._use("release")
        if self.ownership != "transferred":
            self._refuse(f"release: it is only {'borrowed' if self.ownership == 'borrowed' else 'referred to'}")
        self._end("released")
        self._function.library._record(self._function, "transferred")

    def _end(self, state: str) -> None:
        self._state = state
        self._function.library.released += 1
        release = self._function._release
        if isinstance(release, ForeignFunction):
            call_ffi(release, [self._address])
        elif release is not None:
            release(self._address)

    def give(self, context: Context, type: str = "Ptr<u8>") -> ForeignPtr:  # noqa: A002  (the word of the language)
        """
        Hand it to scripts of a context: a transferred one is theirs, and released when they drop it; a borrowed one is lent on.

        Raises:
            OwnershipError: it is over. Recorded.
        """
        self._use("give")
        if self.ownership != "transferred":
            return context.foreign_ptr(self._address, type)
        made = context.foreign_ptr(
            self._address, type, ownership="transferred", release=lambda _: self._end("released")
        )
        self._state = "given to a script"
        return made

    def __enter__(self) -> Pointer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.alive and self.ownership == "transferred":
            self.release()

    def __del__(self) -> None:
        if getattr(self, "_state", "") != "held" or self.ownership != "transferred" or self._function.library.closed:
            return
        error = OwnershipError("ffi.wrap.ownership_violation: transferred and never released")
        error.code = "ffi.wrap.ownership_violation"  # type: ignore[attr-defined]
        try:
            self._function.library._record(self._function, "pending", status="leak", error=error)
            self._end("released")
        except RemlError:  # a finaliser on a thread that the log does not belong to: the memory goes all the same
            release = self._function._release
            if isinstance(release, ForeignFunction):
                release._address(release.library._ffi.cast("void *", self._address))
            elif self._state == "held" and release is not None:
                release(self._address)
            if self._state == "held":
                self._function.library.released += 1
            self._state = "released"

    def __repr__(self) -> str:
        return f"<Pointer {self._address:#x}, {self.ownership if self.alive else self._state}>"

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)


# --- values -------------------------------------------------------------------------------------------------------------


def _wrong(function: ForeignFunction, place: int, why: str) -> FfiError:
    return FfiError(
        FfiErrorKind.InvalidArgument, f"args[{place}] of `{function.symbol}`: {why}",
        symbol=function.symbol, library=function.library.name,
    )  # fmt: skip


def _to_c(function: ForeignFunction, place: int, kind: TypeRef, value: Any, keep: list[Any]) -> Any:
    """A Python value as cffi takes it. What must live until the call is over goes to *keep*."""
    foreign = function.library._ffi
    if kind.kind is FfiType.Bool:
        if not isinstance(value, bool):
            raise _wrong(function, place, f"expected bool, got {type(value).__name__}")
        return value
    if kind.kind.is_integer:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise _wrong(function, place, f"expected int, got {type(value).__name__}")
        number = value.__index__()
        low, high = kind.range()
        if not low <= number <= high:
            raise _wrong(function, place, f"{number} is out of range for {kind}")
        return number
    if kind.kind in (FfiType.F32, FfiType.F64):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(function, place, f"expected float, got {type(value).__name__}")
        return float(value)
    if kind.kind is FfiType.Struct:
        return value
    return _pointer_to_c(function, place, kind, value, keep, foreign)


def _pointer_to_c(
    function: ForeignFunction, place: int, kind: TypeRef, value: Any, keep: list[Any], foreign: Any
) -> Any:
    if isinstance(value, Pointer):
        return foreign.cast(kind.c_name, value.address)
    if isinstance(value, str):
        if kind.kind is not FfiType.ConstPtr:
            raise _wrong(function, place, "a str is read-only: pass a bytearray, or declare ConstPtr")
        if "\0" in value:
            raise _wrong(function, place, "a text with a NUL in it")
        value = value.encode() + b"\0"
    try:
        return foreign.cast(kind.c_name, address_of(value))
    except TypeError:
        pass
    except OverflowError as error:
        raise _wrong(function, place, str(error)) from None
    try:
        keep.append(foreign.from_buffer("char[]", value, require_writable=kind.kind is not FfiType.ConstPtr))
    except (TypeError, ValueError, BufferError) as error:
        raise _wrong(function, place, f"expected {kind}, got {type(value).__name__}: {error}") from None
    return foreign.cast(kind.c_name, keep[-1])


def _from_c(function: ForeignFunction, result: Any) -> tuple[Any, str]:
    """What Python gets, and the row of the table in CONTRACTS 2.6."""
    signature = cast("Signature", function.signature)
    kind = signature.result.kind
    if kind is FfiType.Void:
        return None, "scalar"
    if kind is FfiType.Bool:
        return bool(result), "scalar"
    if kind.is_integer:
        return int(result), "scalar"
    if kind in (FfiType.F32, FfiType.F64):
        return float(result), "scalar"
    if not kind.is_pointer:
        return result, "scalar"  # a struct by value
    address = int(function.library._ffi.cast("uintptr_t", result))
    if not address:
        return None, "null"
    return Pointer(function, address), "pending" if function.ownership == "transferred" else "borrowed"


# --- calls --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Call:
    """One call on its way through the steps."""

    function: ForeignFunction
    capability: str
    requirement: StageRequirement
    stage: str | None = None
    number: int = 0
    arguments: list[Any] = field(default_factory=list)
    keep: list[Any] = field(default_factory=list)

    def check_capability(self) -> CapabilityHandle:
        """Step 1."""
        try:
            library = self.function.library
            handle = library.registry.verify_capability_stage(
                self.capability, self.requirement, ("ffi",), context=library.context
            )
        except RemlError as error:
            code = getattr(error, "code", None)
            raise self._bridge_error(BridgeErrorKind.Capability, code() if callable(code) else code, error) from error
        stage = str(handle.descriptor().stage)
        self.stage = None if stage == "stable" else stage
        return handle

    def check_policy(self, handle: CapabilityHandle) -> None:
        """Step 2."""
        policy = self.function.contract.policy
        if policy is None:
            return
        try:
            policy.check(handle)
        except RemlError as error:
            raise self._bridge_error(BridgeErrorKind.Security, "capability.security.violation", error) from error

    def check_contract(self, arguments: Sequence[Any]) -> None:
        """Step 3: symbol, ownership, ABI; and that the arguments fit."""
        function = self.function
        library, signature = function.library, function.signature
        if signature is None:
            raise FfiError(
                FfiErrorKind.InvalidSignature, f"the signature of `{function.symbol}` is not known: auto_bind",
                symbol=function.symbol, library=library.name,
            )  # fmt: skip
        library.find(function.symbol)
        check_abi(function.contract.abi, library.platform, symbol=function.symbol, library=library.name)
        resolve_calling_convention(library.platform, {"callconv": function.contract.callconv})
        count = len(signature.parameters)
        if len(arguments) < count or (len(arguments) > count and not signature.variadic):
            raise FfiError(
                FfiErrorKind.InvalidArgument, f"`{function.symbol}` takes {count} arguments, got {len(arguments)}",
                symbol=function.symbol, library=library.name,
            )  # fmt: skip
        for place, (kind, value) in enumerate(zip(signature.parameters, arguments, strict=False)):
            self.arguments.append(_to_c(function, place, kind, value, self.keep))
        for place, value in enumerate(arguments[count:], count):
            if not isinstance(value, library._ffi.CData):
                raise _wrong(function, place, "further arguments must say their C type: library.new, or cffi's cast")
            self.arguments.append(value)

    def _bridge_error(self, kind: BridgeErrorKind, code: str | None, error: RemlError) -> BridgeError:
        return BridgeError(
            kind, code or "capability.security.violation", str(error),
            symbol=self.function.symbol, library=self.function.library.name,
        )  # fmt: skip


def _perform(call: _Call, arguments: Sequence[Any]) -> Any:
    function, library = call.function, call.function.library
    call.number = next(library._calls)
    try:
        call.check_policy(call.check_capability())
        call.check_contract(arguments)
    except (BridgeError, FfiError, OwnershipError) as error:
        _record_failure(call, error)
        raise
    try:
        library._mark("ffi.call.start", function, call.number, call.capability)
    except Exception as error:  # no log, no call; a sink may raise what it likes
        raise BridgeError(
            BridgeErrorKind.Audit, "audit.unavailable", str(error), symbol=function.symbol, library=library.name
        ) from error
    started = time.perf_counter_ns()
    failure: RemlError | None = None
    result, row = None, "failure"
    try:
        answer = function._address(*call.arguments)
        latency = time.perf_counter_ns() - started
        result, row = _from_c(function, answer)
        failure = _judge(function, result, row)
    except (TypeError, ValueError, OverflowError) as error:  # a struct that does not fit
        latency = time.perf_counter_ns() - started
        failure = FfiError(
            FfiErrorKind.InvalidArgument, f"`{function.symbol}`: {error}", symbol=function.symbol, library=library.name
        )
    try:
        library._mark("ffi.call.end", function, call.number, call.capability)
        library._record(
            function, row if failure is None or row == "null" else "failure", status="ok" if failure is None else "error",
            error=failure, capability=call.capability, stage=call.stage, latency_ns=latency, call=call.number,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  (it has happened: say so, and keep what it answered)
        warnings.warn(f"ffi.wrap.audit_missing: {function.symbol}: {error}", RuntimeWarning, stacklevel=3)
    if failure is not None:
        raise failure
    return result


def _record_failure(call: _Call, error: RemlError) -> None:
    try:
        call.function.library._record(
            call.function, "failure", status="error", error=error, capability=call.capability, stage=call.stage,
            call=call.number,
        )  # fmt: skip
    except Exception as unrecorded:  # noqa: BLE001  (the refusal is what the caller has to know)
        error.add_note(f"and it was not recorded: {unrecorded}")


def _judge(function: ForeignFunction, result: Any, row: str) -> FfiError | None:
    """Does the wrapper call this result a failure?"""
    wrapper = function.wrapper
    if wrapper is None:
        wrapper = _PLAIN
    if row == "null":
        if not wrapper.null_check or wrapper.call_mode == "raw":
            return None
        kind, why = FfiErrorKind.NullReturn, "answered NULL"
    else:
        meaning = wrapper.failure(result)
        if meaning is None:
            return None
        kind, why = FfiErrorKind.CallFailed, f"answered {result}: {meaning}"
    return FfiError(kind, f"`{function.symbol}` {why}", symbol=function.symbol, library=function.library.name)


_PLAIN = Wrapper("plain")


def call_ffi(function: ForeignFunction, arguments: Iterable[Any] = ()) -> Any:
    """
    Call a foreign function, with all steps and records.

    Integers, floats and bools go as they are and are checked against the signature; a pointer is None, an address, a `Pointer`, a `ForeignPtr`,
    cffi data, or an object with a buffer (for Ptr a writable one), a ConstPtr also a str.

    Returns: an int, float, bool, None, cffi data for a struct, or a `Pointer`; None for a NULL that the wrapper lets pass.

    Raises:
        BridgeError: a step before the call refused it. FfiError: the arguments do not fit, or the result is a failure.
        OwnershipError: a pointer among the arguments is over.
    """
    if not isinstance(function, ForeignFunction):
        raise TypeError(f"expected a ForeignFunction, got {type(function).__name__}")
    call = _Call(function, function.contract.capability, StageRequirement.parse(function.contract.stage))
    return _perform(call, list(arguments))


def call_with_capability(
    capability: str | CapabilityHandle | tuple[str, str], function: ForeignFunction, arguments: Iterable[Any] = ()
) -> Any:
    """
    As `call_ffi`, for a capability of the caller's choice: an id, an id with a requirement on its stage, or a handle (whose stage it must have).

    Raises:
        BridgeError: as `call_ffi`; the capability has not ``ffi`` in its scope, or not the stage.
    """
    if isinstance(capability, tuple):
        name, requirement = capability[0], StageRequirement.parse(capability[1])
    elif isinstance(capability, str):
        name, requirement = capability, StageRequirement.parse("at_least:experimental")
    else:
        descriptor = capability.descriptor()
        name, requirement = descriptor.id, StageRequirement.parse(f"at_least:{descriptor.stage}")
    return _perform(_Call(function, name, requirement), list(arguments))


# --- calls that do not block an event loop --------------------------------------------------------------------------------

_executor: Executor | None = None


def set_executor(executor: Executor | None) -> None:
    """
    Where `call_ffi_async` calls; None takes it away.

    Raises:
        FfiError: there is one already (``ffi.call.executor_already_set``).
    """
    global _executor  # noqa: PLW0603  (one for the process, as the contract has it)
    if executor is not None and _executor is not None:
        raise FfiError(FfiErrorKind.CallFailed, "take the other one away first", code="ffi.call.executor_already_set")
    _executor = executor


async def call_ffi_async(function: ForeignFunction, arguments: Iterable[Any] = ()) -> Any:
    """
    As `call_ffi`, in the executor, while the event loop goes on. Its records go to the library's log from another thread, so the library must
    not have been bound with a context.

    Raises:
        FfiError: there is no executor (``ffi.call.executor_missing``), or as `call_ffi`.
    """
    import asyncio  # noqa: PLC0415  (not for everybody)

    if _executor is None:
        raise FfiError(
            FfiErrorKind.CallFailed, "set_executor first", code="ffi.call.executor_missing",
            symbol=function.symbol, library=function.library.name,
        )  # fmt: skip
    return await asyncio.get_running_loop().run_in_executor(_executor, call_ffi, function, list(arguments))
