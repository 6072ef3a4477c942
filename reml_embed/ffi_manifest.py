"""
Manifests of foreign functions: what a project calls in shared libraries, checked without calling it (CONTRACTS 2.8).

Comes in: a TOML or JSON file. Goes out: `Report`: each declaration with what is wrong with it, and the summary of CONTRACTS 2.8. The form::

    [library.libm]                          # a name of your choice
    path = "m"                              # as bind_library takes it; or one per platform:
    # path = { linux-x86_64 = "libm.so.6", macos-arm64 = "libSystem.dylib" }

    [[function]]
    library = "libm"
    name = "cos"
    signature = "(F64) -> F64"
    link_name = "cos"                       # the symbol; by default the name
    abi = "system_v"                        # that it was declared for; by default the platform's
    callconv = "sysv"                       # by default the platform's
    ownership = "borrowed"                  # of a pointer that it answers: borrowed, transferred, reference
    release = "free"                        # of a transferred one: the symbol of its release handler
    style = "sync"                          # sync, blocking, async, timer
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reml_embed.abi import (
    EFFECTS,
    Abi,
    BridgeError,
    BridgeErrorKind,
    FfiError,
    FfiErrorKind,
    Signature,
    check_ownership,
    find_abi,
    host_abi,
    resolve_calling_convention,
)
from reml_embed.library import bind_library
from reml_embed.registry._shape import FileError, Reader, read_json

CODE = "ffi.manifest.invalid"
_KEYS = ("library", "name", "signature", "link_name", "abi", "callconv", "ownership", "release", "style")


@dataclass(frozen=True, slots=True)
class Declaration:
    """A function of a manifest, and what is wrong with it."""

    library: str
    name: str
    symbol: str
    abi: str
    ownership: str
    key_path: str
    line: int | None
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Is nothing wrong?"""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found. `linked`: libraries were opened and symbols looked up, since the platform is this machine's."""

    file: str
    platform: str
    linked: bool
    declarations: tuple[Declaration, ...]

    @property
    def passed(self) -> bool:
        """Does every declaration hold?"""
        return all(declaration.passed for declaration in self.declarations)

    @property
    def summary(self) -> dict[str, Any]:
        """The summary JSON of CONTRACTS 2.8."""
        total = len(self.declarations)
        passed = sum(declaration.passed for declaration in self.declarations)
        return {
            "ffi_bridge_pass_rate": passed / total if total else 1.0,
            "total_ffi_declarations": total,
            "passed_ffi_declarations": passed,
            "abi_breakdown": dict(sorted(Counter(item.abi for item in self.declarations).items())),
            "ownership_breakdown": dict(sorted(Counter(item.ownership for item in self.declarations).items())),
        }

    def problems(self) -> list[str]:
        """One line for each: file, line, key path, code, what is wrong."""
        return [
            f"{self.file}{f':{item.line}' if item.line else ''}: {message} at {item.key_path}"
            for item in self.declarations
            for _, message in item.problems
        ]


def read_manifest(path: str | os.PathLike[str]) -> tuple[Any, list[int]]:
    """
    What a manifest holds, and the lines where its functions begin (of TOML).

    Raises:
        FileNotFoundError: there is none. FileError: it cannot be read or parsed.
    """
    file = Path(path)
    if file.suffix == ".json":
        return read_json(file), []
    try:
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}", code=CODE, file=file) from None
    except UnicodeDecodeError as error:
        raise FileError(f"is not UTF-8: byte {error.start}", code=CODE, file=file) from None
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        raise FileError(f"is not TOML: {error}", code=CODE, file=file, line=int(place[1]) if place else None) from None
    except RecursionError:
        raise FileError("is nested too deep", code=CODE, file=file) from None
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*function\s*\]\]", line)]
    return found, lines


def check(path: str | os.PathLike[str], platform: str | None = None) -> Report:
    """
    Hold each declaration against the platform: its signature, ABI, calling convention and ownership; on the machine's own platform also
    that the library can be opened and has the symbols. Nothing is called.

    Raises:
        FileNotFoundError, FileError: the manifest cannot be read, or has not the form. FfiError: unknown platform.
    """
    row = host_abi() if platform is None else find_abi(platform)
    found, lines = read_manifest(path)
    manifest = Reader(found, file=path, code=CODE)
    manifest.only("schema_version", "library", "function")
    manifest.get("schema_version", str, "")
    libraries = _libraries(manifest, row)
    functions = manifest.get("function", list, [])
    linked = row == host_abi()
    symbols = _Symbols(libraries) if linked else None
    return Report(
        os.fspath(path), row.platform, linked,
        tuple(
            _check(Reader(item, f"$.function[{index}]", path, code=CODE), libraries, row, symbols, lines[index] if index < len(lines) else None)
            for index, item in enumerate(functions)
        ),
    )  # fmt: skip


def _libraries(manifest: Reader, row: Abi) -> dict[str, str | None]:
    """Paths by name; None: not for this platform."""
    given = manifest.get("library", dict, {})
    paths: dict[str, str | None] = {}
    for name in given:
        library = manifest.child("library").child(name)
        library.only("path")
        path = library.value.get("path")
        if isinstance(path, Mapping):
            per_platform = library.child("path")
            for platform in per_platform.value:
                per_platform.get(platform, str)
                _known_platform(per_platform, platform)
            path = path.get(row.platform)
        else:
            path = library.get("path", str)
        paths[name] = path
    return paths


def _known_platform(reader: Reader, platform: str) -> None:
    try:
        find_abi(platform)
    except FfiError as error:
        raise reader.wrong(str(error), platform) from None


class _Symbols:
    """Libraries that are opened once, to look symbols up."""

    def __init__(self, paths: dict[str, str | None]) -> None:
        self._paths = paths
        self._open: dict[str, Any] = {}

    def find(self, library: str, symbol: str) -> None:
        """Raises FfiError: LibraryNotFound, SymbolNotFound."""
        if library not in self._open:
            path = self._paths[library]
            if path is None:
                raise FfiError(
                    FfiErrorKind.LibraryNotFound, f"`{library}` has no path for this platform", library=library
                )
            self._open[library] = bind_library(path)
        self._open[library].find(symbol)


def _check(
    given: Reader, libraries: Mapping[str, str | None], row: Abi, symbols: _Symbols | None, line: int | None
) -> Declaration:
    given.only(*_KEYS)
    words = {key: given.get(key, str, None) for key in _KEYS if key not in ("library", "name", "signature")}
    library, name, text = (given.get(key, str) for key in ("library", "name", "signature"))
    if library not in libraries:
        raise given.wrong(f"no library `{library}` (known: {', '.join(libraries) or 'none'})", "library")
    if (words["style"] or "sync") not in EFFECTS:
        raise given.wrong(f"unknown style (known: {', '.join(EFFECTS)})", "style")
    symbol, release = words["link_name"] or name, words["release"]
    problems: list[tuple[str, str]] = []
    ownership = words["ownership"] or "none"

    def attempt(step: Any) -> Any:
        try:
            return step()
        except (FfiError, BridgeError) as error:
            problems.append((error.code, str(error)))
            return None

    attempt(lambda: resolve_calling_convention(row, {"abi": words["abi"], "callconv": words["callconv"]}))
    signature = attempt(lambda: Signature.parse(text))
    if signature is not None:
        ownership = (
            attempt(lambda: check_ownership(signature, words["ownership"], releasable=release is not None)) or ownership
        )
        attempt(lambda: _no_stray_release(ownership, release))
    if symbols is not None:
        attempt(lambda: symbols.find(library, symbol))
        if release is not None:
            attempt(lambda: _find_release(symbols, library, release))
    return Declaration(
        library, name, symbol, words["abi"] or row.expected_abi, ownership, given.path, line, tuple(problems)
    )


def _no_stray_release(ownership: str, release: str | None) -> None:
    if release is not None and ownership != "transferred":
        raise BridgeError(
            BridgeErrorKind.Contract, "ffi.contract.ownership_mismatch", f"what is {ownership} has no release handler"
        )


def _find_release(symbols: _Symbols, library: str, release: str) -> None:
    """In the library itself, or, like `free`, in what every process has."""
    try:
        symbols.find(library, release)
    except FfiError as error:
        if error.kind is not FfiErrorKind.SymbolNotFound:
            raise
        bind_library(None).find(release)


def dump(summary: Mapping[str, Any]) -> str:
    """As JSON: one line."""
    return json.dumps(summary, separators=(",", ":"))
