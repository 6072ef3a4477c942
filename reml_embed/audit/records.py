"""
Records: the JSON objects of a log, and how their keys are found (CONTRACTS 0.4, 3.1).

Comes in: lines. Goes out: `Record` objects, problems with a code. Must not know: kinds, policies, sinks.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from reml_embed.errors import RemlError

#: Anything that JSON can say.
Json = Any

#: Longest line that is read; the library's own reader has the same bound.
LINE_BYTES_MOST: Final = 16 << 20

_MISSING: Final = object()
_DEPTH_MOST = 32  # dots in a key that is looked up


class AuditValidationError(RemlError, ValueError):
    """
    A record that must not be written: it lacks keys of its kind. Nothing was written.

    Attributes:
        missing: the keys, sorted.
    """

    def __init__(self, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(message, status=4, label="invalid_argument")
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Problem:
    """
    What is wrong with a line.

    Attributes:
        code: ``audit.record.not_json``, ``.not_object``, ``.duplicate_key``, ``.not_utf8``, ``.too_long``, ``.torn``.
        message: one line in words.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class BadRecordError(RemlError, ValueError):
    """A text that is no record; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem), status=4, label="invalid_argument")
        self.problem = problem


class Record:
    """
    One record of a log: an envelope record, or a flat one of the structured log. It keeps every member that it was read with, known or
    not, in its order.

    Attributes:
        data: the JSON object itself.
    """

    __slots__ = ("data",)

    def __init__(self, data: Mapping[str, Json]) -> None:
        self.data: dict[str, Json] = dict(data)

    @classmethod
    def make(
        cls, kind: str, metadata: Mapping[str, Json], *, timestamp: str, audit_id: str, category: str | None = None,
        capability: str | None = None, change_set: Mapping[str, Json] | None = None,
        extensions: Mapping[str, Json] | None = None,
    ) -> Record:  # fmt: skip
        """An envelope record with the members in the order that the library writes; keys of *metadata* ascend."""
        envelope: dict[str, Json] = {"audit_id": audit_id}
        if change_set is not None:
            envelope["change_set"] = dict(change_set)
        if capability is not None:
            envelope["capability"] = capability
        envelope["metadata"] = dict(sorted({**metadata, "event.kind": kind}.items()))
        data: dict[str, Json] = {"timestamp": timestamp}
        if category is not None:
            data["category"] = category
        data["envelope"] = envelope
        if extensions is not None:
            data["extensions"] = dict(extensions)
        return cls(data)

    @classmethod
    def parse(cls, text: str | bytes) -> Record:
        """
        The record of one line.

        Raises:
            BadRecordError: it is none.
        """
        record, problem = parse_line(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
        if record is None:
            raise BadRecordError(problem or Problem("audit.record.not_json", "not JSON"))
        return record

    def to_json(self) -> str:
        """Compact JSON, members in the order of `data`; what was read from such a line comes out unchanged."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @property
    def is_flat(self) -> bool:
        """Is it ``{"event": …}`` of the structured log and not an envelope?"""
        return "envelope" not in self.data

    @property
    def timestamp(self) -> str | None:
        """When it happened, RFC 3339."""
        return _text(self.data.get("timestamp"))

    @property
    def category(self) -> str | None:
        """Subsystem: ``native.embed``."""
        return _text(self.data.get("category"))

    @property
    def envelope(self) -> dict[str, Json]:
        """The envelope; empty for flat records."""
        return _object(self.data.get("envelope"))

    @property
    def metadata(self) -> dict[str, Json]:
        """``envelope.metadata``; empty for flat records."""
        return _object(self.envelope.get("metadata"))

    @property
    def audit_id(self) -> str | None:
        """The UUID of the record."""
        return _text(self.data.get("audit_id") if self.is_flat else self.envelope.get("audit_id"))

    @property
    def capability(self) -> str | None:
        """What was used."""
        return _text(self.envelope.get("capability"))

    @property
    def change_set(self) -> Json:
        """``envelope.change_set``."""
        return self.data.get("change_set") if self.is_flat else self.envelope.get("change_set")

    @property
    def extensions(self) -> dict[str, Json]:
        """Further members."""
        return _object(self.data.get("extensions"))

    @property
    def kind(self) -> str | None:
        """``event.kind``; of a flat record its ``event``."""
        return _text(self.data.get("event") if self.is_flat else self.metadata.get("event.kind"))

    @property
    def channel(self) -> str | None:
        """``audit.channel``."""
        return _text(self.metadata.get("audit.channel"))

    @property
    def sequence(self) -> int | None:
        """``audit.sequence``: its number in a chained file."""
        number = self.metadata.get("audit.sequence")
        return number if isinstance(number, int) and not isinstance(number, bool) else None

    @property
    def severity(self) -> str | None:
        """``error.severity``, or the ``severity`` of the payload."""
        return _text(lookup(self, "error.severity", lookup(self, "event.severity")))

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Record) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"<Record {self.kind} {self.audit_id}>"


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


# --- looking keys up ----------------------------------------------------------------------------------------------------


def _find(start: dict[str, Json], key: str) -> Json:
    """The value of a dotted key, in one piece or along nested objects; `_MISSING` when there is none."""
    waiting = [(start, key)]
    while waiting:
        node, rest = waiting.pop()
        if rest in node:
            return node[rest]
        at, dots = rest.find("."), 0
        while at != -1 and dots < _DEPTH_MOST:
            inner = node.get(rest[:at])
            if isinstance(inner, dict):
                waiting.append((inner, rest[at + 1 :]))
            at, dots = rest.find(".", at + 1), dots + 1
    return _MISSING


def _search(record: Record, key: str) -> Json:
    if record.is_flat:
        return _find(record.data, key)
    metadata = record.metadata
    found = _find(metadata, key)
    if found is _MISSING and isinstance(metadata.get("event"), dict):
        found = _find(metadata["event"], key)
    return found


def lookup(record: Record, key: str, default: Json = None) -> Json:
    """
    The value of *key* in the order of CONTRACTS 0.4: dotted key in metadata → nested object path → flat payload.

    ``lookup(record, "bridge.return.wrap")`` finds ``metadata["bridge.return.wrap"]`` and ``metadata["bridge"]["return"]["wrap"]``.
    """
    found = _search(record, key)
    return default if found is _MISSING else found


def has(record: Record, key: str) -> bool:
    """Is *key* there, be it null?"""
    return _search(record, key) is not _MISSING


# --- reading ------------------------------------------------------------------------------------------------------------


class _RefusedError(ValueError):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        name = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _RefusedError(Problem("audit.record.duplicate_key", f"the key `{name}` appears twice"))
    return made


def _no_constant(name: str) -> Json:
    raise _RefusedError(Problem("audit.record.not_json", f"{name} is not JSON"))


_decoder = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def parse_line(line: bytes) -> tuple[Record | None, Problem | None]:
    """A record, or what is wrong with the line."""
    if len(line) > LINE_BYTES_MOST:
        return None, Problem("audit.record.too_long", f"more than {LINE_BYTES_MOST >> 20} MiB")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, Problem("audit.record.not_utf8", f"byte {error.start + 1} is not UTF-8")
    try:
        data = _decoder.decode(text)
    except _RefusedError as refused:
        return None, refused.problem
    except json.JSONDecodeError as error:
        return None, Problem("audit.record.not_json", f"column {error.colno}: {error.msg[0].lower()}{error.msg[1:]}")
    except RecursionError:
        return None, Problem("audit.record.not_json", "nested too deeply")
    except ValueError as error:  # an integer of thousands of digits
        return None, Problem("audit.record.not_json", str(error))
    if not isinstance(data, dict):
        return None, Problem("audit.record.not_object", f"a JSON object is expected, not {type(data).__name__}")
    return Record(data), None


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line of a log.

    Attributes:
        number: from 1.
        text: without line end; bytes that are no UTF-8 are replaced.
        record: the record, when it is one.
        problem: why it is none.
    """

    number: int
    text: str
    record: Record | None
    problem: Problem | None


_PACKED: Final = b"\x1f\x8b"


def _open(path: str | os.PathLike[str]) -> IO[bytes]:
    file = Path(path).open("rb")  # noqa: SIM115  (the caller closes it)
    try:
        packed = file.read(2) == _PACKED
        file.seek(0)
    except OSError:  # a pipe
        packed = False
    if packed:
        file.close()
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return file


def torn(length: int) -> Problem:
    """What is wrong with *length* bytes behind the last line end."""
    return Problem("audit.record.torn", f"the last line is torn: {length} bytes")


def refuse_unless_plain(path: str | os.PathLike[str]) -> None:
    """
    A log that is searched or followed has to be a file that can be read at any place.

    Raises:
        OSError: it is a pipe or a device, is packed by gzip, or cannot be read.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "not a file that can be read at any place", os.fspath(path))
    with Path(path).open("rb") as file:
        if file.read(2) == _PACKED:
            raise OSError(errno.EINVAL, "packed by gzip: unpack it first", os.fspath(path))


def read(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[Line]:
    """
    The lines of a log, one after another; empty lines are passed over. A bad line does not end it: its `Line` has a problem. What stands
    behind the last line end counts when it is a record, else it is a torn line (``audit.record.torn``). Files packed by gzip are unpacked.

    Raises:
        OSError: the file cannot be read.
    """
    with _open(source) if isinstance(source, str | os.PathLike) else _borrowed(source) as file:
        number = 0
        while raw := file.readline(LINE_BYTES_MOST + 2):
            number += 1
            whole = raw.endswith(b"\n")
            body = raw.rstrip(b"\r\n") if whole else raw
            while not whole and len(raw) > LINE_BYTES_MOST:  # pass over the rest of a line without end
                raw = file.readline(LINE_BYTES_MOST + 2)
                whole = raw.endswith(b"\n")
            if not body.strip():
                continue
            record, problem = parse_line(body)
            if problem is not None and not whole and problem.code in {"audit.record.not_json", "audit.record.not_utf8"}:
                problem = torn(len(body))
            yield Line(number, body[: LINE_BYTES_MOST + 1].decode("utf-8", "replace"), record, problem)


class _borrowed:  # noqa: N801  (a context manager)
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def __enter__(self) -> IO[bytes]:
        return self.file

    def __exit__(self, *_: object) -> None:
        pass


def read_text(text: str) -> Iterator[Line]:
    """The lines of a text, as `read`."""
    return read(io.BytesIO(text.encode("utf-8", "surrogatepass")))


def segments(path: str | os.PathLike[str]) -> list[Path]:
    """The files of a log, oldest first: rotated ones (``PATH.N`` by N, packed ones included), then PATH itself when it is there."""
    base = Path(path)
    found = []
    if base.parent.is_dir():
        for file in base.parent.iterdir():
            match = re.fullmatch(re.escape(base.name) + r"\.([0-9]+)(\.gz)?", file.name)
            if match:
                found.append((int(match[1]), file))
    return [*(file for _, file in sorted(found)), *([base] if base.exists() else [])]


# --- what a record is about -------------------------------------------------------------------------------------------

_STATUS: Final = (
    "embed.status",
    "bridge.status",
    "ffi.status",
    "capability.result",
    "pipeline.outcome",
    "event.status",
    "status",
)
_SYMBOL: Final = ("ffi.symbol", "bridge.extern_symbol", "native.embed.entrypoint")
#: What people call what a record is about, where it has no symbol.
_SUBJECT: Final = (*_SYMBOL, "capability.id", "bridge.id", "pipeline.id", "config.path", "effect.handler", "error.code")


def _first(record: Record, keys: tuple[str, ...]) -> str | None:
    return next((str(value) for key in keys if (value := lookup(record, key)) is not None), None)


def status_of(record: Record) -> str | None:
    """What became of it: the first of the status keys that is there."""
    return _first(record, _STATUS)


def symbol_of(record: Record) -> str | None:
    """The symbol of a crossing, or the lifecycle function."""
    return _first(record, _SYMBOL)


def describe(record: Record) -> str:
    """
    One line for people: number, time, kind, what it is about, what became of it or its error. Control characters are shown as escapes.
    """
    error = lookup(record, "error.code", lookup(record, "capability.error.code"))
    said = lookup(record, "error.message", lookup(record, "capability.error.message"))
    severity = record.severity or "error"
    said = str(said).removeprefix(f"{error}: ")  # messages of runs begin with their code
    outcome = f"{severity}[{error}]: {said}" if error is not None else status_of(record) or ""
    number = "" if record.sequence is None else str(record.sequence)
    subject = _first(record, _SUBJECT) or record.capability or ""
    parts = (f"{number:>5}", record.timestamp or "-", f"{record.kind or '-':20}", subject, outcome)
    text = "  ".join(part for part in parts if part).rstrip()
    return text if text.isprintable() else ascii(text)[1:-1]
