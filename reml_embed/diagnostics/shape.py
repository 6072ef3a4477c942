"""Diagnostics as they leave the library (LANGUAGE 9.1), and as Python makes them: pure values, without ids and times."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from reml_embed.diagnostics.catalog import domain_of

#: Anything that JSON can say.
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a source: lines and columns from 1, columns in characters as a reader counts them; the end is exclusive."""

    start_line: int
    start_col: int
    end_line: int
    end_col: int
    byte_start: int | None = None
    byte_end: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What helps to understand a diagnostic."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Fixit:
    """A change that would help: ``insert``, ``replace`` or ``delete``."""

    kind: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class StackEntry:
    """A function that was running when a script failed."""

    function: str
    module: str
    line: int

    def __str__(self) -> str:
        return f"{self.function} ({self.module}:{self.line})" if self.module else self.function


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """
    One thing that is wrong, or worth knowing.

    Attributes:
        severity: ``error``, ``warning``, ``info`` or ``hint``.
        code: the contract (``type.mismatch``); *codes* adds its aliases.
        domain: ``syntax type effect pattern module target runtime ffi async conductor``.
        message: one line in words.
        primary: where; None outside any source. *line* and *column* are its start.
        expected: tokens that would have been right here, for syntax errors.
        stack: innermost first, for run-time errors.
        json: all of it as JSON; what has no attribute here (``related``, ``hints``, …) is found there.
    """

    severity: str
    code: str
    message: str
    domain: str = ""
    codes: tuple[str, ...] = ()
    module: str = ""
    primary: Span | None = None
    notes: tuple[Note, ...] = ()
    expected: tuple[str, ...] = ()
    fixits: tuple[Fixit, ...] = ()
    stack: tuple[StackEntry, ...] = ()
    line: int | None = None
    column: int | None = None
    json: dict[str, Json] = field(default_factory=dict, compare=False, repr=False)

    @property
    def extensions(self) -> dict[str, Any]:
        """Data of the domains: ``effects``, ``bridge``, ``target``, … (CONTRACTS 21)."""
        found = self.json.get("extensions")
        return found if isinstance(found, dict) else {}

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line is not None else ""
        return f"{place}{self.severity}[{self.code}]: {self.message}"


def _span(data: Any) -> Span | None:
    if not data:
        return None
    names = ("start_line", "start_col", "end_line", "end_col", "byte_start", "byte_end")
    return Span(*(data.get(name) for name in names))


def from_json(data: dict[str, Any]) -> Diagnostic:
    """A diagnostic from its JSON object; members that we do not know stay in ``json``."""
    fixits = []
    for fix in data.get("fixits", ()):
        span = _span(fix["span"])
        if span is not None:
            fixits.append(Fixit(fix["kind"], span, fix["text"]))
    return Diagnostic(
        severity=data["severity"],
        code=data["code"],
        message=data["message"],
        domain=data.get("domain", ""),
        codes=tuple(data.get("codes", ())),
        module=data.get("module", ""),
        primary=_span(data.get("primary")),
        notes=tuple(Note(note["message"], _span(note.get("span"))) for note in data.get("notes", ())),
        expected=tuple((data.get("expected") or {}).get("tokens", ())),
        fixits=tuple(fixits),
        stack=tuple(StackEntry(entry["function"], entry["module"], entry["line"]) for entry in data.get("stack", ())),
        line=data.get("line"),
        column=data.get("column"),
        json=data,
    )


def plain(code: str, message: str, domain: str | None = None) -> Diagnostic:
    """An error outside any source, in the shape of LANGUAGE 9.1."""
    domain = domain or domain_of(code)
    return from_json({
        "severity": "error", "code": code, "codes": [code], "domain": domain, "message": message, "module": "",
        "primary": None, "notes": [], "fixits": [], "line": None, "column": None,
        **({"stack": []} if domain == "runtime" else {}),
    })  # fmt: skip


def parse(text: str) -> tuple[Diagnostic, ...]:
    """Diagnostics from the library's JSON list."""
    return tuple(from_json(item) for item in json.loads(text))
