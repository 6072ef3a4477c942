"""
Who writes records: `AuditContext` for the audit log, `StructuredLog` for the flat lines beside it (CONTRACTS 0.4, 3.1).

Comes in: events with their payload. Goes out: `Record` objects to a sink.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import IO, Any

from reml_embed.audit import ids
from reml_embed.audit.kinds import CHANNELS, POLICY_VERSION, SCHEMA_VERSION, kind_of, require_keys
from reml_embed.audit.records import Json, Record, has, lookup
from reml_embed.audit.sinks import RecordSink


class AuditContext:
    """
    Writes records of one subject to one sink.

    Args:
        sink: where they go.
        domain: who speaks; becomes ``event.domain``, and the category of kinds without one.
        subject: about what; becomes ``event.subject``.
        channel: ``cli``, ``embed``, ``runtime``, ``bridge``, ``lsp`` or ``ci``.
        metadata: keys of every record.
        strict: refuse records that lack required keys. Without it they are written, and the validator finds them.
    """

    def __init__(
        self, sink: RecordSink, *, domain: str = "", subject: str = "", channel: str = "runtime",
        metadata: Mapping[str, Json] | None = None, strict: bool = True,
    ) -> None:  # fmt: skip
        if channel not in CHANNELS:
            raise ValueError(f"channel must be one of {', '.join(CHANNELS)}, got {channel!r}")
        self.sink = sink
        self.domain = domain
        self.subject = subject
        self.channel = channel
        self.metadata = dict(metadata or {})
        self.strict = strict

    def record(
        self, event: str, payload: Mapping[str, Json] | None = None, *, category: str | None = None,
        capability: str | None = None, metadata: Mapping[str, Json] | None = None,
        change_set: Mapping[str, Json] | None = None, extensions: Mapping[str, Json] | None = None,
        audit_id: str | None = None, timestamp: str | None = None,
    ) -> Record:  # fmt: skip
        """The record that `log` writes, unwritten."""
        row = kind_of(event)
        members: dict[str, Json] = {
            "audit.channel": self.channel, "audit.policy.version": POLICY_VERSION, "schema.version": SCHEMA_VERSION,
        }  # fmt: skip
        if self.domain:
            members["event.domain"] = self.domain
        if self.subject:
            members["event.subject"] = self.subject
        members |= self.metadata
        members |= metadata or {}
        if payload is not None:
            flat = {"event": event, **payload}
            members["event"] = flat
            for key in row.required if row is not None else ():  # dotted keys stand next to the payload
                if key not in members and not key.startswith("event.") and has(Record(flat), key):
                    members[key] = lookup(Record(flat), key)
        record = Record.make(
            event,
            members,
            timestamp=timestamp or ids.now(),
            audit_id=audit_id or ids.new_id(),
            category=category or (row.category if row is not None else "") or self.domain or None,
            capability=capability,
            change_set=change_set,
            extensions=extensions,
        )
        if self.strict:
            require_keys(record)
        return record

    def log(
        self, event: str, payload: Mapping[str, Json] | None = None, *, category: str | None = None,
        capability: str | None = None, metadata: Mapping[str, Json] | None = None,
        change_set: Mapping[str, Json] | None = None, extensions: Mapping[str, Json] | None = None,
        audit_id: str | None = None,
    ) -> str:  # fmt: skip
        """
        Write one record; what it carries is in the sink when this returns.

        Args:
            event: the kind.
            payload: the flat payload, kept whole under ``metadata["event"]``, its own ``event`` included.
            category: of the record; by default that of the kind.
            capability: what was used.
            metadata: dotted keys.
            change_set: a JSON object.
            extensions: a JSON object.
            audit_id: by default a new one.

        Returns:
            The audit id.

        Raises:
            AuditValidationError: the kind demands keys that are missing; nothing was written.
            AuditUnavailableError: the sink does not take it.
        """
        record = self.record(
            event, payload, category=category, capability=capability, metadata=metadata, change_set=change_set,
            extensions=extensions, audit_id=audit_id,
        )  # fmt: skip
        self.sink.write_record(record)
        return str(record.audit_id)

    def log_with_span(self, event: str, span: Any, payload: Mapping[str, Json] | None = None, **more: Any) -> str:
        """
        As `log`, with the place in a source: *span* is a mapping, a `Span` or a (start, end) pair; it becomes ``event.span``.
        """
        if isinstance(span, Mapping):
            place = dict(span)
        elif isinstance(span, tuple):
            place = {"start": span[0], "end": span[1]}
        else:
            place = {name: getattr(span, name) for name in span.__slots__}
        return self.log(event, payload, metadata={**(more.pop("metadata", None) or {}), "event.span": place}, **more)

    def bind(self, **metadata: Json) -> AuditContext:
        """The same with further keys; ``_`` in a name stands for ``.``."""
        more = {name.replace("_", "."): value for name, value in metadata.items()}
        return AuditContext(
            self.sink, domain=self.domain, subject=self.subject, channel=self.channel, metadata=self.metadata | more,
            strict=self.strict,
        )  # fmt: skip


class StructuredLog:
    """
    The flat log beside the audit log: one compact JSON object a line, as the guide's ``log.json`` writes them.

    Args:
        target: path of a file, which is appended to, or an open text stream.
    """

    def __init__(self, target: str | os.PathLike[str] | IO[str]) -> None:
        self._target = target

    def json(self, payload: Mapping[str, Json]) -> None:
        """
        Write *payload* as it is.

        Raises:
            ValueError: it is not JSON (NaN included). OSError: the file cannot be written.
        """
        line = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
        if isinstance(self._target, str | os.PathLike):
            data, at = line.encode("utf-8"), 0
            descriptor = os.open(self._target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                while at < len(data):
                    at += os.write(descriptor, data[at:])
            finally:
                os.close(descriptor)
        else:
            self._target.write(line)
            self._target.flush()
