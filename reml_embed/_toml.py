"""
TOML as people write manifests: line breaks, comments and a last comma inside inline tables are read, too (CONTRACTS 10.1).

Everything that reads ``reml.toml`` comes here, so that what one command accepts no other one refuses.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeAlias

#: (kind, text, offset) of a piece of TOML.
Token: TypeAlias = tuple[str, str, int]

_TOKEN = re.compile(
    r'(?P<string>"""(?:\\.|[^\\])*?"""(?!")|\'\'\'.*?\'\'\'(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')|(?P<comment>#[^\n]*)|(?P<newline>\n)'
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<equals>=)|(?P<blank>[ \t\r]+)|(?P<dot>\.)|(?P<word>[A-Za-z0-9_-]+)|(?P<other>.)",
    re.DOTALL,
)
#: The place at the end of a message of `decode`.
WHERE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


def scan(text: str) -> list[Token]:
    """The pieces of a text, all of them, in their order; never fails."""
    return [(found.lastgroup or "", found[0], found.start()) for found in _TOKEN.finditer(text)]


def relax(text: str, tokens: list[Token]) -> tuple[str, list[tuple[str, int]]]:
    """
    *text* as the standard's parser takes it, and what was forgiven, each with its offset.

    Characters become blanks one by one, so that an offset in the new text is an offset in the old one.
    """
    if "{" not in text:
        return text, []
    tables = _InlineTables(text)
    return tables.relax(tokens), tables.forgiven


def decode(text: str, relaxed: str) -> dict[str, Any]:
    """
    The data of a text that was relaxed.

    Raises:
        TOMLDecodeError: it is none; the place in the message is that in *text*. RecursionError, ValueError: as `tomllib.loads`.
    """
    try:
        return tomllib.loads(relaxed)
    except tomllib.TOMLDecodeError as error:
        found = WHERE.search(str(error))
        if relaxed == text or not found or not found["line"]:
            raise
        begins = [0, *(end.end() for end in re.finditer("\n", relaxed))]
        offset = min(begins[int(found["line"]) - 1] + int(found["column"]) - 1, len(text))
        line, column = text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1
        raise tomllib.TOMLDecodeError(f"{WHERE.sub('', str(error))} (at line {line}, column {column})") from None


def loads(text: str) -> dict[str, Any]:
    """As `tomllib.loads`, with what this module is for."""
    return decode(text, relax(text, scan(text) if "{" in text else [])[0])


class _InlineTables:
    def __init__(self, text: str) -> None:
        self.changed = list(text)
        self.forgiven: list[tuple[str, int]] = []
        self.open: list[str] = []
        self.comma: int | None = None  # the last thing that was read inside the innermost table, behind a value
        self.begins = False  # nothing was read inside the innermost bracket
        self.in_value = False  # on a line behind `=`

    def relax(self, tokens: list[Token]) -> str:
        for kind, text, start in tokens:
            if kind in {"newline", "comment"}:
                self.pass_by(kind, text, start)
            elif text in {'"', "'"}:  # without its end: what follows is inside, and the standard's parser says so
                break
            elif kind == "comma":
                self.comma = start if self.open and self.open[-1] == "{" and not self.begins else None
            elif kind != "blank":
                self.take(kind, text)
                self.comma, self.begins = None, kind == "open"
        return "".join(self.changed)

    def take(self, kind: str, text: str) -> None:
        # `[` at the begin of a line outside values is a header, not a list.
        if kind == "open" and (self.open or self.in_value):
            self.open.append(text)
        elif kind == "close" and self.open:
            if text == "}" and self.comma is not None:
                self.blank(self.comma, 1)
                self.forgiven.append(("a comma before `}`", self.comma))
            self.open.pop()
        elif kind == "equals":
            self.in_value = True

    def pass_by(self, kind: str, text: str, start: int) -> None:
        if self.open and self.open[-1] == "{":
            self.blank(start, len(text))
            if kind == "newline":
                self.forgiven.append(("a line break inside an inline table", start))
        elif kind == "newline" and not self.open:
            self.in_value = False

    def blank(self, start: int, length: int) -> None:
        self.changed[start : start + length] = " " * length
