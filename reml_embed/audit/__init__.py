"""
The audit log as Python sees it (CONTRACTS 3)::

    from reml_embed import audit

    log = audit.AuditContext(audit.FileSink("audit.ndjson"), domain="orders", channel="runtime")
    log.log("snapshot.updated", {"event": "snapshot.updated"}, metadata={"snapshot.name": "a", "snapshot.hash": "…"})

    for line in audit.read("audit.ndjson"):
        print(line.number, line.record.kind if line.record else line.problem)

Something happened → `Record` → policy → sink. What a kind of event must carry stands in `audit.kinds`; the library numbers and chains the lines of
a file. Nothing that runs reads a log to decide.
"""

from reml_embed.audit.chain import Report, Sink, append, drain, parse, recover, verify
from reml_embed.audit.context import AuditContext, StructuredLog
from reml_embed.audit.ids import cli_identity, new_id, now
from reml_embed.audit.kinds import GROUPS, KINDS, Kind, missing_keys
from reml_embed.audit.records import AuditValidationError, Line, Problem, Record, has, lookup, read
from reml_embed.audit.sinks import (
    CallbackSink,
    ConsoleSink,
    ContextSink,
    FileSink,
    MemorySink,
    MultiSink,
    RecordSink,
)

__all__ = [
    "GROUPS",
    "KINDS",
    "AuditContext",
    "AuditValidationError",
    "CallbackSink",
    "ConsoleSink",
    "ContextSink",
    "FileSink",
    "Kind",
    "Line",
    "MemorySink",
    "MultiSink",
    "Problem",
    "Record",
    "RecordSink",
    "Report",
    "Sink",
    "StructuredLog",
    "append",
    "cli_identity",
    "drain",
    "has",
    "lookup",
    "missing_keys",
    "new_id",
    "now",
    "parse",
    "read",
    "recover",
    "verify",
]
