"""
The only importer of the extension: the C interface as cffi shows it (``ffi``, ``lib``), and the fast half (``Border``, ``Function``).

Comes in: nothing. Goes out: declarations, texts copied out of the library, the check that every lifecycle call leaves a record.
Must not know: contexts, modules, values.
"""

from __future__ import annotations

import datetime
import json
import platform
import sys
import threading
import uuid
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any

from reml_embed import _embed
from reml_embed.errors import AbiMismatchError, AuditMissingError

ffi: Any = _embed.ffi
lib: Any = _embed.lib


def _load_fast() -> Any:
    """The module `_fast`, which lies in the same shared object under its own entry point."""
    name, path = "reml_embed._fast", str(_embed.__file__)
    spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} has no module _fast")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


if TYPE_CHECKING:
    from reml_embed._fast import Border as Border  # noqa: PLC0414  (that is how a checker is told to pass a name on)
    from reml_embed._fast import Function as Function  # noqa: PLC0414
else:
    _fast = _load_fast()
    Border, Function = _fast.Border, _fast.Function

NULL = ffi.NULL
UNLIMITED: int = int(lib.REML_EMBED_UNLIMITED)
HEADER_VERSION: str = ffi.string(lib.REML_EMBED_ABI_VERSION).decode()

# Every type that finalisers and callbacks use is looked up once here, so that none is made late or on two threads at once.
_VALUE = ffi.typeof("reml_value_t*")
_SPAN = ffi.typeof("reml_span_t*")
_TEXT = ffi.typeof("char**")
_SIZE = ffi.typeof("size_t*")
_CONTEXT = ffi.typeof("reml_embed_context_t*")


def library_version() -> str:
    """Version of the library."""
    return str(ffi.string(lib.reml_embed_version()).decode())


def abi_version() -> str:
    """Version of the interface that the library offers."""
    return str(ffi.string(lib.reml_embed_abi_version()).decode())


def unicode_version() -> str:
    """Version of the Unicode tables in the library."""
    return str(ffi.string(lib.reml_embed_unicode_version()).decode())


def status_label(status: int) -> str:
    """Name of a status: ``"abi_mismatch"``."""
    return str(ffi.string(lib.reml_embed_status_label(status)).decode())


def string(pointer: Any) -> str | None:
    """Copy of a NUL-terminated text; None for NULL."""
    return None if pointer == NULL else str(ffi.string(pointer).decode("utf-8", "replace"))


def span_text(call: Callable[[Any], int]) -> tuple[int, str]:
    """Status and copy of a text that *call* lends through a ``reml_span_t*``."""
    span = ffi.new(_SPAN)
    status = call(span)
    if status or span.data == NULL:
        return status, ""
    return status, bytes(ffi.buffer(span.data, span.length)).decode("utf-8", "replace")


def owned_text(call: Callable[[Any, Any], int]) -> tuple[int, str]:
    """Status and copy of a text that *call* transfers; the library's buffer is freed."""
    text, length = ffi.new(_TEXT), ffi.new(_SIZE)
    status = call(text, length)
    if text[0] == NULL:
        return status, ""
    try:
        return status, bytes(ffi.buffer(text[0], length[0])).decode("utf-8", "replace")
    finally:
        lib.reml_embed_free(text[0])


def context_pointer(identity: int) -> Any:
    """The id of a context as C takes it."""
    return ffi.cast(_CONTEXT, identity)


def value_struct(handle: tuple[int, int, int]) -> Any:
    """``reml_value_t`` from (kind, context, bits)."""
    return ffi.new(_VALUE, handle)[0]


# --- versions -----------------------------------------------------------------------------------------------------------


def _numbers(version: str) -> tuple[int, int, int] | None:
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 7 for part in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def acceptable(offered: str, requested: str) -> bool:
    """Does a library that offers one version serve what was made for the other? (CONTRACTS 0.1)"""
    ours, theirs = _numbers(offered), _numbers(requested)
    if ours is None or theirs is None or ours[0] != theirs[0] or (ours[0] == 0 and ours[1] != theirs[1]):
        return False
    return theirs <= ours


def refusal_record(message: str, requested: str) -> str:
    """The audit record of a refusal that never reaches the library: what the library itself would have written."""
    arch, system = platform.machine(), platform.system().lower()
    metadata = {
        "audit.channel": "embed",
        "audit.policy.version": "rust.poc.audit.v1",
        "effect.capability": "native.embed",
        "effect.manifest_path": None,
        "effect.provider": "core",
        "effect.stage.actual": "experimental",
        "effect.stage.required": "at_least:experimental",
        "embed.abi.version": requested,
        "embed.status": "abi_mismatch",
        "error.code": "native.embed.abi_mismatch",
        "error.message": message,
        "error.severity": "error",
        "event.kind": "native.embed.call",
        "native.embed.abi_mismatch": True,
        "native.embed.entrypoint": "reml_create_context",
        "schema.version": "3.0.0-alpha",
        "target.arch": arch,
        "target.os": "macos" if system == "darwin" else system,
        "target.triple": f"{arch}-unknown-linux-gnu" if system == "linux" else f"{arch}-{system}",
    }
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    envelope = {"audit_id": str(uuid.uuid4()), "capability": "native.embed", "metadata": metadata}
    return json.dumps(
        {"timestamp": now, "category": "native.embed", "envelope": envelope}, separators=(",", ":"), ensure_ascii=False
    )


def check_versions(requested: str, *, header: str = HEADER_VERSION, library: str | None = None) -> None:
    """
    Compare the version of the header this package was made from with the library's, before anything else is called.

    A *requested* version that the right library refuses is left to the library, which records it.

    Raises:
        AbiMismatchError: the library is another one; ``error.record`` is the audit record.
    """
    offered = abi_version() if library is None else library
    if not acceptable(offered, header):
        message = f"abi mismatch: expected {header}, got {offered}"
        raise AbiMismatchError(message, record=refusal_record(message, requested))


# --- each lifecycle call leaves one record --------------------------------------------------------------------------------


class _Ledger(threading.local):
    """Lifecycle calls that this thread has made through the package, nested ones included."""

    calls = 0


_ledger = _Ledger()


class Lifecycle:
    """
    Around one of the guide's calls: afterwards the library's counter of this thread has grown by exactly one for it.

    Raises:
        AuditMissingError: it has not. An exception of the call itself is its cause.
    """

    __slots__ = ("_before", "_call")

    def __init__(self, call: str) -> None:
        self._call = call
        self._before = 0

    def __enter__(self) -> None:
        self._before = lib.reml_embed_audit_count(NULL) - _ledger.calls
        _ledger.calls += 1

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _check_record(self._call, self._before, error)


def uncounted_lifecycle() -> None:
    """A lifecycle call that nobody checks (a finaliser's) is about to be made: it may fall into one that is checked."""
    _ledger.calls += 1


def _check_record(call: str, before: int, cause: BaseException | None) -> None:
    missing = before + _ledger.calls - lib.reml_embed_audit_count(NULL)
    if missing:
        _ledger.calls -= missing  # tell it once
        what = "left no audit record" if missing > 0 else f"left {1 - missing} audit records"
        raise AuditMissingError(f"{call} {what}") from cause


# --- audit records that go to Python ------------------------------------------------------------------------------------------


class SinkHolder:
    """What C holds of an audit sink in Python: a handle to this, alive as long as the context."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
        self.error: BaseException | None = None
        self.handle = ffi.new_handle(self)


@ffi.def_extern(error=1)  # type: ignore[untyped-decorator]
def reml_python_sink(line: Any, length: int, user: Any) -> int:
    """One record. Whatever the sink raises is kept for the call that is refused because of it."""
    holder: SinkHolder = ffi.from_handle(user)
    try:
        holder.write(bytes(ffi.buffer(line, length)).decode("utf-8"))
    except BaseException as error:  # noqa: BLE001  (C must not see it; it becomes the cause of AuditUnavailableError)
        holder.error = error
        return 1
    holder.error = None
    return 0
