"""
Diagnostics as editors read them: objects of the Language Server Protocol (CONTRACTS 21).

Positions there count from zero, in UTF-16 code units; ours count from one, in clusters as a reader sees them. Byte offsets decide where
they are known, else the library says where a column begins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reml_embed._ffi import ffi, lib
from reml_embed.diagnostics.catalog import entry_of

#: LSP DiagnosticSeverity.
SEVERITIES = {"error": 1, "warning": 2, "info": 3, "hint": 4}

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_UNNECESSARY = (
    "pattern.unreachable_arm",
    "language.control_flow.unreachable",
    "effects.unsafe.unused",
    "async.await.redundant",
)
_LARGEST = 2**31 - 1  # what LSP's `uinteger` holds


class Positions:
    """Where things are in one source, as editors count."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(source))]

    def _line(self, number: int) -> bytes:
        """The bytes of a line, from zero, without its end and without a byte order mark."""
        start = self.starts[number]
        stop = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.source)
        line = self.source[start:stop].rstrip(b"\r\n") if number + 1 < len(self.starts) else self.source[start:stop]
        return line.removeprefix(_BOM) if number == 0 else line

    def at(self, line: int, column: int, offset: int | None = None) -> dict[str, int]:
        """The LSP Position of a line and column from one; *offset*, the byte in the source, is exact where it is known."""
        number = min(max(line - 1, 0), len(self.starts) - 1)
        text = self._line(number)
        if offset is None:
            before = int(lib.reml_embed_column_offset(ffi.from_buffer("char[]", text), len(text), max(column, 0)))
        else:
            shift = len(_BOM) if number == 0 and self.source.startswith(_BOM) else 0
            before = min(max(offset - self.starts[number] - shift, 0), len(text))
        return {"line": number, "character": len(text[:before].decode("utf-8", "replace").encode("utf-16-le")) // 2}

    def range(self, span: Mapping[str, Any]) -> dict[str, dict[str, int]]:
        """The LSP Range of a span."""
        return {
            "start": self.at(span["start_line"], span["start_col"], span.get("byte_start")),
            "end": self.at(span["end_line"], span["end_col"], span.get("byte_end")),
        }


def uri(file: str | os.PathLike[str]) -> str:
    """``file:///…`` of a path."""
    return Path(os.path.abspath(file)).as_uri()  # noqa: PTH100  (links stay: an editor knows the file by the name it opened)


def to_lsp(
    shown: Mapping[str, Any], positions: Positions | None, file: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """
    The LSP Diagnostic of an emitted one. ``data`` carries what editors hand back: ``audit_id``, the id, domain, extensions and fix-its.
    *file* is its source, by default the one it names. Without the *positions* in it the range is where the numbers say, counted from zero.
    """
    primary = shown["primary"]
    place = positions or Positions(b"")
    whole: dict[str, Any] = place.range(primary) if positions else _counted(primary)
    notes = [note for note in shown.get("notes") or () if isinstance(note, dict)]
    said = [str(note["message"]) for note in notes if not note.get("span")]
    data = {
        name: shown[name]
        for name in ("id", "timestamp", "schema_version", "domain", "codes", "extensions")
        if name in shown
    }
    found: dict[str, Any] = {
        "range": whole,
        "severity": SEVERITIES[shown["severity"]],
        "code": shown["code"],
        "source": "reml",
        "message": "\n".join([str(shown["message"]), *said]),
        "data": {"audit_id": shown["audit"]["audit_id"], **data},
    }
    entry = entry_of(shown["code"])
    if entry is not None and entry.docs_url:
        found["codeDescription"] = {"href": entry.docs_url}
    if shown["code"] in _UNNECESSARY:
        found["tags"] = [1]
    if positions:
        found["data"]["fixits"] = [
            {
                "kind": fix["kind"],
                "range": place.range(fix["span"]),
                "newText": "" if fix["kind"] == "delete" else fix["text"],
            }
            for fix in shown.get("fixits") or ()
        ]
        related = [
            {
                "location": {"uri": uri(file or primary["file"]), "range": place.range(note["span"])},
                "message": note["message"],
            }
            for note in notes
            if note.get("span")
        ]
        if related:
            found["relatedInformation"] = related
    return found


def _counted(primary: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    def position(line: Any, column: Any) -> dict[str, int]:
        return {"line": min(max(int(line) - 1, 0), _LARGEST), "character": min(max(int(column) - 1, 0), _LARGEST)}

    return {
        "start": position(primary["start_line"], primary["start_col"]),
        "end": position(primary["end_line"], primary["end_col"]),
    }


def publish(file: str | os.PathLike[str], shown: Iterable[Mapping[str, Any]], source: bytes | None) -> dict[str, Any]:
    """PublishDiagnosticsParams of one file: ``{"uri", "diagnostics"}``."""
    positions = None if source is None else Positions(source)
    return {"uri": uri(file), "diagnostics": [to_lsp(item, positions, file) for item in shown]}
