"""
JSON from outside, checked while it is read: every complaint names the file, the line where there is one, the key path and a code.

Comes in: parsed JSON and what is expected of it. Goes out: typed values. Must not know: what they are for.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reml_embed import _files
from reml_embed._files import replace_file
from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.diagnostics import Entry, register_catalog
from reml_embed.errors import RemlError

register_catalog("capability files", {
    "capability.file.invalid": Entry("a file of capabilities is not what it has to be", "error", "security"),
    "capability.file.io_error": Entry("a file of capabilities cannot be read or written", "error", "security"),
    "capability.descriptor.invalid": Entry("a descriptor is not what it has to be", "error", "security"),
})  # fmt: skip


class FileError(RemlError, ValueError):
    """
    A file, or a value given in its stead, that is not what it should be. Nothing has been changed.

    Attributes:
        code: ``capability.file.invalid``, ``capability.file.io_error``, ``config.invalid_stage`` or ``config.manifest.parse_error``.
        file: its path; None for a value that came from no file.
        key_path: where in it: ``$.capabilities["io.fs.read"].stage``.
        line: the line of a syntax error, from 1.
        detail: what is wrong there.
    """

    def __init__(self, detail: str, *, code: str = "capability.file.invalid", file: str | os.PathLike[str] | None = None,
                 key_path: str = "$", line: int | None = None) -> None:  # fmt: skip
        self.code, self.key_path, self.line, self.detail = code, key_path, line, detail
        self.file = None if file is None else os.fspath(file)
        place = "" if self.file is None else self.file + (f":{line}" if line else "") + ": "
        super().__init__(f"{place}{code}: {detail} at {key_path}")


def key(path: str, name: str) -> str:
    """The key path of a member."""
    return f"{path}.{name}" if name.replace("_", "a").isalnum() else f"{path}[{json.dumps(name, ensure_ascii=False)}]"


_WORDS = {str: "a text", bool: "true or false", int: "an integer", list: "a list", dict: "an object"}


class Reader:
    """
    One JSON object that is being read.

    Args:
        value: what stands there.
        path: its key path.
        file: where it is from.
        code: of complaints.

    Raises:
        FileError: it is no object.
    """

    def __init__(
        self,
        value: object,
        path: str = "$",
        file: str | os.PathLike[str] | None = None,
        *,
        code: str = "capability.file.invalid",
    ) -> None:
        self.path, self.file, self.code = path, file, code
        if not isinstance(value, Mapping):
            raise self.wrong(f"expected an object, got {kind(value)}")
        self.value: Mapping[str, Any] = value

    def wrong(self, detail: str, name: str | None = None, *, code: str | None = None) -> FileError:
        """The complaint about this object, or about its member *name*."""
        return FileError(
            detail, code=code or self.code, file=self.file, key_path=self.path if name is None else key(self.path, name)
        )

    def only(self, *names: str) -> None:
        """Refuse members with other names."""
        for name in self.value:
            if name not in names:
                raise self.wrong(f"unknown key (known: {', '.join(names)})", str(name))

    def get(self, name: str, wanted: type, default: Any = ...) -> Any:
        """The member *name*, of the type *wanted*; null is as good as absent where there is a default."""
        found = self.value.get(name)
        if found is None and default is not ...:
            return default
        if name not in self.value:
            raise self.wrong("missing key", name)
        if not isinstance(found, wanted) or (wanted is int and isinstance(found, bool)):
            raise self.wrong(f"expected {_WORDS[wanted]}, got {kind(found)}", name)
        return found

    def texts(self, name: str, default: Any = ...) -> list[str]:
        """A list of texts."""
        found: list[Any] = self.get(name, list, default)
        for index, item in enumerate(found):
            if not isinstance(item, str):
                place = f"{key(self.path, name)}[{index}]"
                raise FileError(f"expected a text, got {kind(item)}", code=self.code, file=self.file, key_path=place)
        return found

    def child(self, name: str) -> Reader:
        """The object under *name*."""
        return Reader(self.get(name, dict), key(self.path, name), self.file, code=self.code)


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {bool: "a bool", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise FileError("duplicate key", key_path=key("$", name))
        made[name] = value
    return made


def read_json(path: Path) -> Any:
    """
    What the JSON file at *path* holds.

    Raises:
        FileNotFoundError: there is none. FileError: it cannot be read, or is not JSON.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}", code="capability.file.io_error", file=path) from None
    except UnicodeDecodeError as error:
        raise FileError(f"is not UTF-8: byte {error.start}", file=path) from None
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise FileError(f"is not JSON: {error.msg}, column {error.colno}", file=path, line=error.lineno) from None
    except FileError as error:
        raise FileError(error.detail, file=path, key_path=error.key_path) from None
    except RecursionError:
        raise FileError("is nested too deeply", file=path) from None
    except ValueError as error:  # an integer of thousands of digits
        raise FileError(f"is not JSON: {error}", file=path) from None


def read_rows(path: Path, member: str) -> dict[str, Reader]:
    """
    The objects in *member* of a file ``{"schema_version": …, member: {…}}`` of this version; none without a file.

    Raises:
        FileError: it cannot be read or is not what it should be.
    """
    try:
        given = Reader(read_json(path), file=path)
    except FileNotFoundError:
        return {}
    given.only("schema_version", member)
    version = given.get("schema_version", str)
    if version != SCHEMA_VERSION:
        raise given.wrong(f"schema version {version} is not {SCHEMA_VERSION}", "schema_version")
    rows = given.child(member)
    return {name: rows.child(name) for name in rows.value}


def write_json(path: Path, value: object, *, indent: int | None = 2) -> None:
    """
    Replace the file at *path* whole: readers see the old text or the new one, never a part; its folder is made. Without *indent* it is one
    compact line, as logs have it.

    Raises:
        FileError: it cannot be written; the old file is as it was.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":")) + "\n"
    try:
        replace_file(path, text)
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", code="capability.file.io_error", file=path) from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """
    Alone with the file at *path* while it is read and written, among threads and processes.

    Raises:
        FileError: its folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_files.locked(path))
        except OSError as error:
            raise FileError(
                f"cannot be written: {error.strerror}", code="capability.file.io_error", file=path
            ) from None
        yield
