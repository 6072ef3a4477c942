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

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from reml_embed.audit.index import Follower, Index, Query
    from reml_embed.audit.otel import OtelSink
    from reml_embed.audit.policy import AuditPolicy, FilteredSink, PolicyError, RedactPolicy, load_policy
    from reml_embed.audit.schema import make_schema
    from reml_embed.audit.validation import validate, verify_metadata

#: What not every program needs is imported when it is asked for.
_LATER = {
    "AuditPolicy": "policy", "FilteredSink": "policy", "Follower": "index", "Index": "index", "OtelSink": "otel", "PolicyError": "policy",
    "Query": "index", "RedactPolicy": "policy", "load_policy": "policy", "make_schema": "schema", "validate": "validation",
    "verify_metadata": "validation",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


__all__ = [
    "GROUPS",
    "KINDS",
    "AuditContext",
    "AuditPolicy",
    "AuditValidationError",
    "CallbackSink",
    "ConsoleSink",
    "ContextSink",
    "FileSink",
    "FilteredSink",
    "Follower",
    "Index",
    "Kind",
    "Line",
    "MemorySink",
    "MultiSink",
    "OtelSink",
    "PolicyError",
    "Problem",
    "Query",
    "Record",
    "RecordSink",
    "RedactPolicy",
    "Report",
    "Sink",
    "StructuredLog",
    "append",
    "cli_identity",
    "drain",
    "has",
    "load_policy",
    "lookup",
    "make_schema",
    "missing_keys",
    "new_id",
    "now",
    "parse",
    "read",
    "recover",
    "validate",
    "verify",
    "verify_metadata",
]
