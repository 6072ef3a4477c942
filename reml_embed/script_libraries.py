"""
Scripts call shared libraries: `Context.bind_library` (LANGUAGE 3.6; CONTRACTS 2).

Comes in: what modules declare with ``extern "C"``, a library, C prototypes to hold the declarations against. Goes out: host functions that go
through `reml_embed.library.call_ffi`. A pointer that a function answers enters the script borrowed or transferred, as it is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cffi  # type: ignore[import-untyped]

from reml_embed.abi import FfiError, FfiErrorKind, FfiType, Signature, TypeRef
from reml_embed.foreign import ForeignPtr
from reml_embed.library import (
    ForeignContract,
    ForeignFunction,
    Library,
    Pointer,
    Wrapper,
    auto_bind,
    bind_library,
    call_ffi,
)

if TYPE_CHECKING:
    import os

    from reml_embed.context import Context
    from reml_embed.registry.capability import CapabilityRegistry

#: NULL is a value for scripts: they ask `is_null`.
_WRAPPER = Wrapper("script", null_check=False)


def bind(
    context: Context, path: str | os.PathLike[str] | None, module: str | None, *, header: str, release: Mapping[str, str],
    contract: ForeignContract | None, registry: CapabilityRegistry | None,
) -> list[str]:  # fmt: skip
    """See `Context.bind_library`."""
    wanted = [
        row for row in context.externs()
        if row["abi"] == "C" and not row["bound"] and (module is None or row["module"] == module)
    ]  # fmt: skip
    library = bind_library(path, context=context, registry=registry)
    prototypes = Prototypes(header, library)
    handlers: dict[str, ForeignFunction] = {}
    bound: list[tuple[str, Callable[..., Any]]] = []
    for row in wanted:
        symbol = row["symbol"]
        try:
            library.find(symbol)
        except FfiError as error:
            if error.kind is FfiErrorKind.SymbolNotFound:
                continue  # of another library
            raise
        signature = declared_signature(row)
        prototypes.check(row, signature)
        handler = _handler(library, release.get(symbol), handlers) if row["ownership"] == "transferred" else None
        function = auto_bind(
            library, row["name"], signature, link_name=symbol, wrapper=_WRAPPER, release=handler,
            contract=replace(contract or ForeignContract(), ownership=row["ownership"] or None),
        )  # fmt: skip
        bound.append((symbol, _callable(context, function, row, consumes=symbol in release.values())))
    if not bound:
        library.close()
        names = ", ".join(row["symbol"] for row in wanted) or "nothing that is not bound"
        raise FfiError(
            FfiErrorKind.SymbolNotFound, f"{library.name} has none of what is declared: {names}", library=library.name
        )
    for symbol, call in bound:
        context.bind(symbol, call)
    return [symbol for symbol, _ in bound]


def declared_signature(row: Mapping[str, Any]) -> Signature:
    """
    The signature of a declaration in Reml.

    Raises:
        FfiError: InvalidSignature: it is variadic, or names a type that has no width of its own.
    """
    where = f"{row['module']}:{row['line']}: `{row['name']}`"
    if row["variadic"]:
        raise FfiError(
            FfiErrorKind.InvalidSignature, f"{where} takes any number of arguments, whose C types a script cannot say: bind it by hand",
            symbol=row["symbol"],
        )  # fmt: skip
    text = f"({', '.join(row['parameters'])}) -> {row['result']}"
    try:
        return Signature.parse(text)
    except FfiError as error:
        raise FfiError(FfiErrorKind.InvalidSignature, f"{where}: {error}", symbol=row["symbol"]) from None


def _handler(library: Library, symbol: str | None, known: dict[str, ForeignFunction]) -> ForeignFunction | None:
    if symbol is None:
        return None  # auto_bind refuses it: ffi.contract.ownership_mismatch
    if symbol not in known:
        known[symbol] = auto_bind(library, symbol, "(Ptr) -> Void")
    return known[symbol]


def _callable(
    context: Context, function: ForeignFunction, row: Mapping[str, Any], *, consumes: bool
) -> Callable[..., Any]:
    """The host function behind a declaration."""
    result = row["result"]

    def call(*arguments: Any) -> Any:
        given = list(arguments)
        if consumes and given and isinstance(given[0], ForeignPtr) and given[0].ownership == "transferred":
            given[0] = given[0].take()  # the script gives it up: its handler does not run any more
        answer = call_ffi(function, given)
        if isinstance(answer, Pointer):
            return answer.give(context, result)
        if answer is None and result.startswith("Ptr<"):
            return context.foreign_ptr(None, result)
        return answer

    call.__name__ = function.name
    return call


# --- C prototypes -----------------------------------------------------------------------------------------------------------


class Prototypes:
    """
    C declarations that the declarations of scripts are held against.

    Raises:
        FfiError: InvalidSignature: cffi cannot read them.
    """

    def __init__(self, header: str, library: Library) -> None:
        self._ffi = cffi.FFI()
        try:
            self._ffi.cdef(header)
        except Exception as error:  # noqa: BLE001  (whatever a parser of C may raise)
            raise FfiError(FfiErrorKind.InvalidSignature, f"header: {str(error).splitlines()[0]}") from None
        self._handle = self._ffi.dlopen(library.path or None)

    def check(self, row: Mapping[str, Any], signature: Signature) -> None:
        """
        Hold a declaration against its prototype, if there is one.

        Raises:
            FfiError: InvalidSignature.
        """
        try:
            found = self._ffi.typeof(getattr(self._handle, row["symbol"]))
        except AttributeError:
            return
        declared = (*signature.parameters, signature.result)
        expected = (*found.args, found.result)
        fits = len(declared) == len(expected) and not found.ellipsis
        if fits and all(self._same(kind, c_type) for kind, c_type in zip(declared, expected, strict=True)):
            return
        raise FfiError(
            FfiErrorKind.InvalidSignature,
            f"{row['module']}:{row['line']}: `{row['name']}` is declared {signature}, the header has {found.cname}",
            symbol=row["symbol"],
        )

    def _same(self, declared: TypeRef, c_type: Any) -> bool:
        kind, foreign = declared.kind, self._ffi
        if c_type.kind in ("void", "pointer", "function"):
            return kind is FfiType.Void if c_type.kind == "void" else kind.is_pointer
        if c_type.kind == "enum":
            return kind.is_integer and declared.range()[1] >> 31 in (0, 1)
        if c_type.kind != "primitive":
            return False
        if c_type.cname in ("_Bool", "float", "double"):
            return bool(kind.value == c_type.cname)
        low, high = declared.range() if kind.is_integer else (0, 0)
        bits = 8 * foreign.sizeof(c_type)
        signed = int(foreign.cast(c_type, -1)) < 0
        return kind.is_integer and high.bit_length() + (low < 0) == bits and (low < 0) == signed
