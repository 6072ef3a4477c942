"""
What is wrong with a document: code, sentence, and the place in file, line and key path (CONTRACTS 10.3, 21).

A `Problem` is plain data; commands complete it with ids and times when they show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.config_codes import CODES
from reml_embed.diagnostics.shape import from_json
from reml_embed.errors import RemlError


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a text: line and column from 1, the column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong with a document, or worth knowing.

    Attributes:
        code: see `CODES`.
        message: one line in words.
        file: the document, as it was named.
        key_path: where in it: ``project.version``, ``dsl.orders.exports[0]``; empty: the whole document.
        place: where in its text, when it is known.
        severity: ``error``, ``warning`` or ``info``.
        details: further members of ``extensions.config``.
    """

    code: str
    message: str
    file: str = ""
    key_path: str = ""
    place: Place | None = None
    severity: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.severity:
            object.__setattr__(self, "severity", CODES[self.code])

    @property
    def domain(self) -> str:
        """``config`` or ``manifest``."""
        return self.code.split(".", 1)[0]

    def __str__(self) -> str:
        place = f":{self.place.line}:{self.place.column}" if self.place else ""
        key = f" at `{self.key_path}`" if self.key_path else ""
        return f"{self.file}{place}: {self.severity}[{self.code}]: {self.message}{key}"

    def json(self, source: str = "file", audit: dict[str, Any] | None = None) -> dict[str, Any]:
        """The shape of ``config lint``: ``code, domain, severity, message, primary, extensions, audit`` (CONTRACTS 10.5)."""
        extension: dict[str, Any] = {"source": source, "path": self.file, "key_path": self.key_path, **self.details}
        line, column = (self.place.line, self.place.column) if self.place else (1, 1)
        primary = {"file": self.file, "start_line": line, "start_col": column, "end_line": line, "end_col": column}
        metadata = {
            "config.source": source,
            "config.path": self.file,
            "config.key_path": self.key_path,
            **{f"config.{name}": value for name, value in self.details.items() if isinstance(value, str)},
        }
        return {
            "code": self.code,
            "domain": self.domain,
            "severity": self.severity,
            "message": self.message,
            "primary": primary,
            "extensions": {"config": extension},
            "audit": {**(audit or {}), "metadata": metadata | (audit or {}).get("metadata", {})},
        }


def diagnostics(problems: list[Problem]) -> tuple[list[Diagnostic], str]:
    """Problems in the shape of the language's diagnostics, and as a compiler prints them."""
    found, text = [], ""
    for problem in problems:
        shown = problem.json()
        place = {"line": shown["primary"]["start_line"], "column": shown["primary"]["start_col"]}
        more = {"codes": [problem.code], "module": "", "notes": [], "fixits": [], "extensions": shown["extensions"]}
        found.append(from_json({key: value for key, value in shown.items() if key != "audit"} | place | more))
        key = f"\n  = note: at `{problem.key_path}`" if problem.key_path else ""
        where = f"{problem.file}:{place['line']}:{place['column']}"
        text += f"{problem.severity}[{problem.code}]: {problem.message}\n --> {where}{key}\n"
    return found, text


class ConfigError(RemlError):
    """
    A document, a schema or a change that cannot be used; nothing was changed.

    Attributes:
        kind: ``ValidationError``, ``RenderError``, ``IoError`` or ``ApplyError``.
        problems: all that is wrong, in the order of the text.
    """

    def __init__(self, kind: str, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.kind = kind
        self.problems = problems

    @property
    def code(self) -> str:
        """Code of the first error."""
        return next((problem.code for problem in self.problems if problem.severity == "error"), self.problems[0].code)
