"""
Where records go (CONTRACTS 3.1).

Comes in: `Record` objects, or lines (`write`, so that every sink can be given to `Context(audit=…)`). Goes out: files, the log of a context,
memory, callbacks. A sink that cannot take a record raises, and has then taken nothing of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, Protocol, runtime_checkable

from reml_embed.audit.chain import append
from reml_embed.audit.ids import new_id, now
from reml_embed.audit.kinds import BASE_KEYS, CHAIN_KEYS, POLICY_VERSION, SCHEMA_VERSION
from reml_embed.audit.records import AuditValidationError, Record, describe
from reml_embed.testing import MemorySink as _LineMemorySink

if TYPE_CHECKING:
    from reml_embed.context import Context


@runtime_checkable
class RecordSink(Protocol):
    """Takes records. Raising means: not taken."""

    def write_record(self, record: Record, /) -> object:
        """Take one record."""


class LineSink:
    """Base of the sinks here: a line is a record, too."""

    def write_record(self, record: Record, /) -> object:
        """Take one record."""
        raise NotImplementedError

    def write(self, line: str, /) -> object:
        """Take one record as a line."""
        return self.write_record(Record.parse(line))


class MemorySink(_LineMemorySink):
    """Keeps what it gets: `lines`, `records` (parsed), `taken` (`Record` objects); ``failing`` makes it refuse."""

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        self.write(record.to_json())

    @property
    def taken(self) -> list[Record]:
        """The records."""
        return [Record.parse(line) for line in self.lines]

    @property
    def kinds(self) -> list[str | None]:
        """Their kinds."""
        return [record.kind for record in self.taken]


class CallbackSink(LineSink):
    """Calls a function with each record."""

    def __init__(self, take: Callable[[Record], object]) -> None:
        self._take = take

    def write_record(self, record: Record, /) -> object:
        """Take one record."""
        return self._take(record)


class ConsoleSink(LineSink):
    """
    Prints records, one line each.

    Args:
        stream: by default standard error.
        human: `describe` instead of JSON.
    """

    def __init__(self, stream: IO[str] | None = None, *, human: bool = False) -> None:
        self._stream = stream
        self._human = human

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        stream = self._stream or sys.stderr
        stream.write((describe(record) if self._human else record.to_json()) + "\n")
        stream.flush()


def _failure_record(name: str, failures: int, error: Exception) -> Record:
    """``audit.sink_failed``: a secondary sink has begun to refuse."""
    metadata = {
        "audit.channel": "runtime", "audit.policy.version": POLICY_VERSION, "schema.version": SCHEMA_VERSION, "audit.sink.name": name,
        "audit.sink.failures": failures, "error.code": _error_kind(error), "error.message": str(error), "error.severity": "warning",
    }  # fmt: skip
    return Record.make("audit.sink_failed", metadata, timestamp=now(), audit_id=new_id(), category="audit")


def _error_kind(error: Exception) -> str:
    """AuditErrorKind of CONTRACTS 3.1 as a code."""
    if isinstance(error, UnicodeError | AuditValidationError):
        return "audit.sink.encoding"
    return "audit.sink.policy_violation" if isinstance(error, PermissionError) else "audit.sink.transport"


class MultiSink(LineSink):
    """
    Writes to a primary sink and to others. The first one decides; failures of the others are reported, also by a record
    (``audit.sink_failed``) to the primary one, and never end the audited call.

    Attributes:
        failures: (name of the sink, exception) of each refusal of a secondary sink, the last 64.
        failed: how many refusals there were.
    """

    def __init__(
        self, sinks: Iterable[RecordSink], *, report: Callable[[RecordSink, Exception], object] | None = None
    ) -> None:
        self._sinks = list(sinks)
        if not self._sinks:
            raise ValueError("a MultiSink needs at least one sink")
        self._report = report
        self._failing: set[int] = set()
        self.failures: list[tuple[str, Exception]] = []
        self.failed = 0

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        primary, *others = self._sinks
        primary.write_record(record)
        for place, sink in enumerate(others):
            try:
                sink.write_record(record)
                self._failing.discard(place)
            except Exception as error:  # noqa: BLE001  (whatever it is, the call goes on)
                self.failed += 1
                self.failures = [*self.failures[-63:], (type(sink).__name__, error)]
                if self._report is not None:
                    self._report(sink, error)
                if place not in self._failing:  # one record for each time that it begins to fail
                    self._failing.add(place)
                    primary.write_record(_failure_record(type(sink).__name__, self.failed, error))


#: Keys that the library gives to each record that it takes.
_LIBRARY_KEYS = frozenset({*BASE_KEYS, *CHAIN_KEYS})


def members_of(record: Record) -> dict[str, Any]:
    """The members of an envelope record as the library takes them."""
    return {
        "category": record.category,
        "capability": record.capability,
        "channel": record.channel,
        "audit_id": record.audit_id,
        "metadata": {key: value for key, value in record.metadata.items() if key not in _LIBRARY_KEYS},
        "change_set": record.change_set,
        "extensions": record.data.get("extensions"),
        "timestamp": record.timestamp,
    }


def _kind_of(record: Record) -> str:
    if record.is_flat:
        raise AuditValidationError("a flat record has no place in the audit log: see StructuredLog")
    if record.kind is None:
        raise AuditValidationError("audit metadata validation failed: missing keys [event.kind]", ("event.kind",))
    return record.kind


class ContextSink(LineSink):
    """The log of a context: records get their place among those that the library makes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def write_record(self, record: Record, /) -> None:
        """
        Take one record.

        Raises:
            AuditUnavailableError: the context's log does not take it. InvalidArgumentError: it is none.
        """
        self._context.audit_log(_kind_of(record), **members_of(record))


class FileSink(LineSink):
    """
    A chained log file. Each record is in the file, numbered and chained, when the call returns; between calls nothing is held, so that several
    processes may take turns.

    Args:
        path: of the log; its directory must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def write_record(self, record: Record, /) -> None:
        """
        Take one record.

        Raises:
            AuditUnavailableError: it cannot be written, or another process holds the log. InvalidArgumentError: it is no record.
        """
        append(self.path, _kind_of(record), **members_of(record))
