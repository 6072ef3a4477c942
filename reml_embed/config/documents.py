"""
Documents: JSON and TOML with the place of every value, read as strictly as their compatibility says (CONTRACTS 10.1, 10.4).

Comes in: a file or text. Goes out: a `Document`: plain data, places by path, problems. Must not know: manifests, schemas, commands.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reml_embed import _files, _toml
from reml_embed.config.problems import ConfigError, Place, Problem
from reml_embed.config.profiles import DEFAULTS, PROFILES, Compatibility
from reml_embed.data.change_set import MOST_DEPTH, Step, path_text

#: A larger document is refused before it is read.
MOST_BYTES = 64 << 20


@dataclass(slots=True)
class Document:
    """
    A document that was read.

    Attributes:
        file: as it was named.
        format: ``json`` or ``toml``.
        text: what was read, without a byte-order mark.
        value: plain data; times of TOML are `datetime` objects.
        places: where each key begins, by path; a value of a list stands at its own begin.
        problems: what was forgiven or not, in the order of the text. With an error among them the value is a best guess.
    """

    file: str
    format: str
    text: str
    value: Any = None
    places: dict[tuple[Step, ...], Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: tuple[Step, ...]) -> Place | None:
        """The place of *path*, or of the nearest container around it that has one."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path)

    def problem(self, code: str, message: str, path: tuple[Step, ...] = (), **more: Any) -> Problem:
        """A problem at *path* of this document."""
        key_path = path_text(path) if path else ""
        return Problem(code, message, self.file, key_path, self.place(path), **more)


def format_of(path: str | os.PathLike[str]) -> str:
    """``toml`` for names that end so, else ``json``."""
    return "toml" if Path(path).suffix.lower() == ".toml" else "json"


def read(path: str | os.PathLike[str], compatibility: Compatibility | None = None) -> Document:
    """
    Read a document; the ending of its name tells the format.

    Raises:
        ConfigError: ``IoError`` when the file cannot be read or is no UTF-8. What is wrong with the text is in `problems`.
    """
    return parse(read_text(path), format_of(path), os.fspath(path), compatibility)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """
    The bytes of a file.

    Raises:
        ConfigError: ``IoError``: it cannot be read, or is larger than `MOST_BYTES`.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError("IoError", [_io_problem(os.fspath(path), error.strerror or str(error))]) from error
    if len(data) > MOST_BYTES:
        raise ConfigError("IoError", [_io_problem(os.fspath(path), f"larger than {MOST_BYTES} bytes")])
    return data


def read_text(path: str | os.PathLike[str]) -> str:
    """
    The text of a file, without a byte-order mark.

    Raises:
        ConfigError: ``IoError``: it cannot be read, or is no UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = _io_problem(os.fspath(path), f"not UTF-8 in line {line}", Place(line, 1))
        raise ConfigError("IoError", [problem]) from error


def _io_problem(file: str, message: str, place: Place | None = None) -> Problem:
    return Problem("config.manifest.io_error", message, file, place=place)


def parse(text: str, format: str, file: str = "", compatibility: Compatibility | None = None) -> Document:  # noqa: A002
    """A document from its text; never raises for what is wrong in it: see `Document.problems`."""
    document = Document(file, format, text)
    compatibility = compatibility or PROFILES[DEFAULTS[format]]
    if format == "toml":
        _read_toml(document, compatibility)
    else:
        _Json(document, compatibility).read()
    return document


def check(document: Document) -> Document:
    """The document itself when it has no errors; else ConfigError ``ValidationError`` with all of them."""
    if any(problem.severity == "error" for problem in document.problems):
        raise ConfigError("ValidationError", document.problems)
    return document


class _Lines:
    """Offsets of a text to lines and columns."""

    def __init__(self, text: str) -> None:
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        line = bisect_right(self.starts, offset)
        return Place(line, offset - self.starts[line - 1] + 1)


# --- JSON -------------------------------------------------------------------------------------------------------------

_BLANK = re.compile(r"[ \t\n\r]*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|#[^\n]*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(
    r"(?P<plus>\+?)(?P<body>-?(?:0|[1-9][0-9]*)(?P<float>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))(?![\w.+-])"
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_UNQUOTED = {"AllowAlpha": re.compile(r"[A-Za-z_]+\Z"), "AllowAlphaNumeric": re.compile(r"[A-Za-z0-9_-]+\Z")}
_MOST_DIGITS = 4000  # Python's own bound lies a little higher


class _Stop(Exception):  # noqa: N818  (the text makes no sense from here on)
    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


class _Json:
    """One pass over a JSON text; what the compatibility forbids is noted and read all the same."""

    def __init__(self, document: Document, compatibility: Compatibility) -> None:
        self.document, self.text, self.rules = document, document.text, compatibility
        self.lines = _Lines(document.text)
        self.at = 0

    def read(self) -> None:
        try:
            self.document.value = self.value(())
            self.skip()
            if self.at < len(self.text):
                self.note("config.manifest.parse_error", "something follows the value", self.at, ())
        except _Stop as stop:
            self.note("config.manifest.parse_error", str(stop), stop.offset, ())

    def note(self, code: str, message: str, offset: int, path: tuple[Step, ...]) -> None:
        key = path_text(path) if path else ""
        self.document.problems.append(Problem(code, message, self.document.file, key, self.lines.place(offset)))

    def forgive(self, feature: str, what: str, offset: int, path: tuple[Step, ...]) -> None:
        """Something that the profile lets pass: is it approved?"""
        if not self.rules.approves(feature):
            text = f"{what} is forgiven by profile {self.rules.profile}, but `{feature}` is not among its approved features"
            self.note("config.feature.unapproved", text, offset, path)

    def skip(self) -> None:
        while True:
            found = _BLANK.match(self.text, self.at)
            self.at = found.end() if found else self.at
            comment = _COMMENT.match(self.text, self.at)
            if not comment:
                return
            relaxed = self.rules.trivia != "strict_json" and not comment[0].startswith("#")
            if not (relaxed or (self.rules.trivia == "toml_relaxed" and comment[0].startswith("#"))):
                raise _Stop(self.at, f"comments are not allowed by profile {self.rules.profile}")
            self.forgive("comments", "a comment", self.at, ())
            self.at = comment.end()

    def peek(self) -> str:
        self.skip()
        return self.text[self.at : self.at + 1]

    def value(self, path: tuple[Step, ...]) -> Any:
        if len(path) > MOST_DEPTH:
            raise _Stop(self.at, f"nested deeper than {MOST_DEPTH}")
        first = self.peek()
        self.document.places.setdefault(path, self.lines.place(self.at))
        if first == "{":
            return self.object(path)
        if first == "[":
            return self.array(path)
        if first == '"':
            return self.string()
        return self.scalar(path)

    def scalar(self, path: tuple[Step, ...]) -> Any:
        number = _NUMBER.match(self.text, self.at)
        if number:
            if number["plus"]:
                if self.rules.number != "AllowLeadingPlus":
                    self.note("config.compat.number_format", "a number with a leading `+`", self.at, path)
                else:
                    self.forgive("leading_plus", "a number with a leading `+`", self.at, path)
            if len(number["body"]) > _MOST_DIGITS:
                raise _Stop(self.at, f"a number of more than {_MOST_DIGITS} digits")
            value = float(number["body"]) if number["float"] else int(number["body"])
            if value in {math.inf, -math.inf}:
                self.note("config.compat.number_format", "a number that no Float can hold", self.at, path)
            self.at = number.end()
            return value
        word = _WORD.match(self.text, self.at)
        known = {"true": True, "false": False, "null": None}
        if word and word[0] in known:
            self.at = word.end()
            return known[word[0]]
        if self.at >= len(self.text):
            raise _Stop(self.at, "the text ends where a value is expected")
        if re.match(r"[-+.\d]", self.text[self.at]):
            raise _Stop(self.at, "a number that JSON does not know")
        raise _Stop(self.at, f"a value is expected, found `{word[0] if word else self.text[self.at]}`")

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise _Stop(self.at, "a text that does not end, or has a control character or an unknown escape in it")
        self.at = found.end()
        text: str = json.loads(found[0])
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Stop(found.start(), "half of a surrogate pair") from None
        return text

    def array(self, path: tuple[Step, ...]) -> list[Any]:
        items: list[Any] = []
        self.at += 1
        while self.peek() != "]":
            items.append(self.value((*path, len(items))))
            if not self.comma("]", path):
                break
        self.close("]")
        return items

    def object(self, path: tuple[Step, ...]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self.at += 1
        while self.peek() != "}":
            start = self.at
            name = self.name(path)
            here = (*path, name)
            double = name in members
            if double and self.rules.duplicate_key == "Error":
                self.note("config.compat.duplicate_key", "this name was there before", start, here)
            elif double:
                self.forgive("duplicate_key", "a name that was there before", start, here)
            if not double:
                self.document.places[here] = self.lines.place(start)
            if self.peek() != ":":
                raise _Stop(self.at, "`:` is expected after a name")
            self.at += 1
            value = self.value(here)
            if not double or self.rules.duplicate_key != "FirstWriteWins":
                members[name] = value
            if not self.comma("}", path):
                break
        self.close("}")
        return members

    def name(self, path: tuple[Step, ...]) -> str:
        if self.text[self.at : self.at + 1] == '"':
            return self.string()
        word = re.compile(r"[A-Za-z0-9_-]+").match(self.text, self.at)
        if not word:
            raise _Stop(self.at, "a name in quotes is expected")
        allowed, here = _UNQUOTED.get(self.rules.unquoted_key), (*path, word[0])
        if allowed is None:
            self.note("config.compat.unquoted_key", "a name without quotes", self.at, here)
        elif not allowed.match(word[0]):
            text = f"`{word[0]}` needs quotes: profile {self.rules.profile} lets names without them have letters and `_` only"
            self.note("config.key.unquoted", text, self.at, here)
        else:
            self.forgive("unquoted_key", "a name without quotes", self.at, here)
        self.at = word.end()
        return word[0]

    def comma(self, end: str, path: tuple[Step, ...]) -> bool:
        if self.peek() != ",":
            return False
        offset = self.at
        self.at += 1
        if self.peek() == end:
            if self.rules.trailing_comma != "ArraysAndObjects":
                self.note("config.compat.trailing_comma", f"a comma before `{end}`", offset, path)
            else:
                self.forgive("trailing_comma", f"a comma before `{end}`", offset, path)
        return True

    def close(self, end: str) -> None:
        if self.peek() != end:
            raise _Stop(self.at, f"`,` or `{end}` is expected")
        self.at += 1


# --- TOML -------------------------------------------------------------------------------------------------------------


def _read_toml(document: Document, compatibility: Compatibility) -> None:
    lines, tokens = _Lines(document.text), _toml.scan(document.text)
    text, forgiven = _toml.relax(document.text, tokens)
    code, severity = "config.compat.trailing_comma", "warning"
    if compatibility.trailing_comma != "Forbid":
        code, severity = "config.feature.unapproved", "error"
        forgiven = [] if compatibility.approves("trailing_comma") else forgiven
    for message, offset in forgiven:
        document.problems.append(Problem(code, message, document.file, "", lines.place(offset), severity))
    try:
        document.value = _toml.decode(document.text, text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        message = str(error) if not isinstance(error, RecursionError) else f"nested deeper than {MOST_DEPTH}"
        where = _toml.WHERE.search(message)
        place = lines.place(len(document.text))
        if where and where["line"]:
            place = Place(int(where["line"]), int(where["column"]))
        plain = _toml.WHERE.sub("", message)
        code = "config.compat.duplicate_key" if "overwrite" in plain.lower() else "config.manifest.parse_error"
        document.problems.append(Problem(code, plain[:1].lower() + plain[1:], document.file, place=place))
        return
    _TomlKeys(document, [token for token in tokens if token[0] not in {"blank", "comment"}], lines).read()


class _TomlKeys:
    """Where each key of a well-formed TOML text begins: headers, keys and lists are followed as TOML means them."""

    def __init__(self, document: Document, tokens: list[tuple[str, str, int]], lines: _Lines) -> None:
        self.document, self.tokens, self.lines = document, tokens, lines
        self.at = 0
        self.counts: dict[tuple[Step, ...], int] = {}

    def read(self) -> None:
        self.document.places[()] = Place(1, 1)
        table: tuple[Step, ...] = ()
        while self.at < len(self.tokens):
            kind, text, start = self.tokens[self.at]
            if kind == "newline":
                self.at += 1
            elif kind == "open" and text == "[":
                double = self.at + 1 < len(self.tokens) and self.tokens[self.at + 1][1] == "["
                self.at += 1 + double
                table = self.table(self.key(), double=double)
                self.mark(table, start)
                self.at += 1 + double
            else:
                self.pair(table)

    def mark(self, path: tuple[Step, ...], offset: int) -> None:
        for length in range(1, len(path) + 1):
            self.document.places.setdefault(path[:length], self.lines.place(offset))

    def key(self) -> list[str]:
        parts = []
        while self.at < len(self.tokens):
            kind, text, _ = self.tokens[self.at]
            if kind in {"word", "string"}:
                parts.append(next(iter(tomllib.loads(f"{text} = 0"))))
            elif kind != "dot":
                break
            self.at += 1
        return parts

    def table(self, parts: list[str], *, double: bool) -> tuple[Step, ...]:
        path: tuple[Step, ...] = ()
        for number, part in enumerate(parts):
            path = (*path, part)
            if double and number == len(parts) - 1:
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
        return path

    def pair(self, table: tuple[Step, ...]) -> None:
        start = self.tokens[self.at][2]
        path = (*table, *self.key())
        self.mark(path, start)
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "equals":
            self.at += 1
            self.value(path)
        else:
            self.at += 1

    def value(self, path: tuple[Step, ...]) -> None:
        stack: list[tuple[str, tuple[Step, ...]]] = []  # what is open, and its path
        index: list[int] = []
        here = path
        while self.at < len(self.tokens):
            kind, text, start = self.tokens[self.at]
            if kind == "newline" and not stack:
                return
            if kind == "close" and stack:
                here = stack.pop()[1]
                index.pop()
                self.at += 1
            elif stack and stack[-1][0] == "{" and kind in {"word", "string"} and self.names_a_key():
                here = (*stack[-1][1], *self.key())
                self.mark(here, start)
                self.at += 1
            elif kind in {"comma", "newline"}:
                if kind == "comma":
                    index[-1] += 1
                self.at += 1
            else:
                if stack and stack[-1][0] == "[":
                    here = (*stack[-1][1], index[-1])
                    self.mark(here, start)
                if kind == "open":
                    stack.append((text, here))
                    index.append(0)
                self.at += 1

    def names_a_key(self) -> bool:
        """Does an `=` follow the words and dots from here?"""
        at = self.at
        while at < len(self.tokens) and self.tokens[at][0] in {"word", "string", "dot"}:
            at += 1
        return at < len(self.tokens) and self.tokens[at][0] == "equals"


# --- writing ----------------------------------------------------------------------------------------------------------


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """
    Put *data* in the place of a file: whoever looks sees the old content or the new one, whenever the machine stops.

    Raises:
        ConfigError: ``IoError``: no such folder, no permission, no space; the old file is as it was.
    """
    try:
        _files.replace_file(path, data, make_folder=False)
    except OSError as error:
        raise ConfigError("IoError", [_io_problem(os.fspath(path), error.strerror or str(error))]) from error


@contextmanager
def replaced(path: str | os.PathLike[str], data: bytes) -> Iterator[None]:
    """
    Put *data* in the place of a file for good, unless the block fails: then the old content is put back.

    For changes that need a record: no record, no change.

    Raises:
        ConfigError: ``IoError``, as `replace_file`.
    """
    before = read_bytes(path)
    replace_file(path, data)
    try:
        yield
    except BaseException:
        replace_file(path, before)
        raise
