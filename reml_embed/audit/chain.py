"""
The chained log that the library writes: verifying it, finishing what a killed process left, taking records that wait.

Comes in: paths. Goes out: reports and records. Python adds nothing to a log by itself: the library numbers and chains every line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from reml_embed._ffi import NULL, ffi, lib, owned_text, status_label, string
from reml_embed.errors import EXCEPTIONS, InvalidArgumentError


@runtime_checkable
class Sink(Protocol):
    """Takes audit records: one line of JSON each, without line end. Raising means: not taken, offer it again."""

    def write(self, line: str, /) -> object:
        """Take one record."""


@dataclass(frozen=True, slots=True)
class Report:
    """
    What `verify` found.

    Attributes:
        ok: the file is whole (a torn last line, which the next opener cuts, included).
        verdict: ``ok``, ``recovered_tail``, ``broken``, ``head_mismatch`` or ``unreadable``.
        record: number of the first bad record, from 1; 0 when there is none.
        records: good records from the start of the file.
        first_sequence, last_sequence: ``audit.sequence`` of the first and the last of them.
        pending: events in the journal that the next opener will append.
        torn_bytes: length of a torn last line.
        head: hash of the last good record; note it elsewhere to notice a file that was cut.
        detail: one line in words; empty when all is well.
    """

    ok: bool
    verdict: str
    record: int
    records: int
    first_sequence: int
    last_sequence: int
    pending: int
    torn_bytes: int
    head: str
    detail: str


def verify(path: str | os.PathLike[str], *, head: str | None = None) -> Report:
    """
    Check a log file: JSON, numbers without gaps, hash chain, and its end against *head* noted earlier.

    Reads only; the log may be written meanwhile. Deletion, insertion, reordering and any changed bit are found.

    Raises:
        InvalidArgumentError: *head* is not 64 hexadecimal digits.
    """
    report = ffi.new("reml_audit_report_t*", {"struct_size": ffi.sizeof("reml_audit_report_t")})
    expected = NULL if head is None else ffi.new("char[]", head.encode())
    status = lib.reml_audit_verify(ffi.new("char[]", os.fsencode(path)), expected, report)
    if status not in (0, 1):
        raise EXCEPTIONS[status](f"cannot verify {os.fspath(path)}: {status_label(status)}", status=status)
    return Report(
        ok=status == 0,
        verdict=string(lib.reml_audit_verdict_label(report.verdict)) or "unknown",
        record=report.record,
        records=report.records,
        first_sequence=report.first_sequence,
        last_sequence=report.last_sequence,
        pending=report.pending,
        torn_bytes=report.torn_bytes,
        head=string(report.head) or "",
        detail=string(report.detail) or "",
    )


def recover(path: str | os.PathLike[str]) -> None:
    """
    Write out what an ended process left in the journal of the log at *path*, as the next opener would.

    Raises:
        AuditUnavailableError: the log is in use, or does not end in a whole valid chain.
    """
    status = lib.reml_audit_recover(ffi.new("char[]", os.fsencode(path)))
    if status:
        raise EXCEPTIONS[status](f"cannot recover {os.fspath(path)}: {status_label(status)}", status=status)


def parse(text: str) -> list[dict[str, Any]]:
    """Records from NDJSON text."""
    return [json.loads(line) for line in text.split("\n") if line]


def drain() -> list[dict[str, Any]]:
    """
    Take the waiting records that belong to no living context: refused creations, and what closed contexts without a sink left.
    """
    status, text = owned_text(lambda out, length: lib.reml_embed_audit_drain(NULL, out, length))
    if status:
        raise EXCEPTIONS[status](f"cannot drain the log: {status_label(status)}", status=status)
    return parse(text)


def _json(what: str, value: Mapping[str, Any] | None, keep: list[object]) -> Any:
    if value is None:
        return NULL
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"invalid argument: {what}: {error}") from None
    return _text(what, text, keep)


def _text(what: str, text: str | None, keep: list[object]) -> Any:
    if text is None:
        return NULL
    if "\0" in text:
        raise InvalidArgumentError(f"invalid argument: {what}: a NUL in it")
    keep.append(ffi.new("char[]", text.encode("utf-8", "surrogatepass")))  # a lone surrogate: the library refuses it
    return keep[-1]


def record_struct(
    kind: str, keep: list[object], *, category: str | None = None, capability: str | None = None,
    channel: str | None = None, audit_id: str | None = None, metadata: Mapping[str, Any] | None = None,
    change_set: Mapping[str, Any] | None = None, extensions: Mapping[str, Any] | None = None,
    timestamp: str | None = None,
) -> Any:  # fmt: skip
    """``reml_audit_record_t``; *keep* holds its texts for as long as it is used."""
    members = {
        "struct_size": ffi.sizeof("reml_audit_record_t"),
        "kind": _text("kind", kind, keep),
        "category": _text("category", category, keep),
        "capability": _text("capability", capability, keep),
        "channel": _text("channel", channel, keep),
        "audit_id": _text("audit_id", audit_id, keep),
        "metadata": _json("metadata", metadata, keep),
        "change_set": _json("change_set", change_set, keep),
        "extensions": _json("extensions", extensions, keep),
        "timestamp": _text("timestamp", timestamp, keep),
    }
    return ffi.new("reml_audit_record_t*", members)


def append(path: str | os.PathLike[str], kind: str, **members: Any) -> str:
    """
    Append one record to the chained log at *path*, which is made when it is not there; the members are those of `Context.audit_log`.

    Returns:
        The audit id. The record is in the file, numbered and chained.

    Raises:
        InvalidArgumentError: a member is wrong. AuditUnavailableError: the log cannot be written, or another process holds it.
    """
    keep: list[object] = []
    record, out = record_struct(kind, keep, **members), ffi.new("char[37]")
    status = lib.reml_audit_append(ffi.new("char[]", os.fsencode(path)), record, out)
    if status:
        said = string(lib.reml_audit_last_problem()) or status_label(status)
        raise EXCEPTIONS[status](said, status=status, label=status_label(status))
    return string(out) or ""
