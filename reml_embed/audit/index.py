"""
Finding records: the segments of a log, following it while it grows, and a SQLite index (CONTRACTS 3.7).

Comes in: the path of a log. Goes out: `Entry` objects. The index is a mirror: it may be deleted at any time and is built anew; the log stays the truth, and
every record that is found is read from it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from reml_embed.audit.records import (
    LINE_BYTES_MOST,
    Line,
    Problem,
    Record,
    parse_line,
    refuse_unless_plain,
    segments,
    status_of,
    symbol_of,
    torn,
)  # fmt: skip
from reml_embed.errors import RemlError

_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT UNIQUE, start TEXT, bytes INTEGER, lines INTEGER);
CREATE TABLE record (file INTEGER, line INTEGER, offset INTEGER, length INTEGER, timestamp TEXT, kind TEXT, audit_id TEXT, category TEXT, capability TEXT,
                     channel TEXT, symbol TEXT, status TEXT, severity TEXT, sequence INTEGER, PRIMARY KEY (file, line)) WITHOUT ROWID;
CREATE TABLE damaged (file INTEGER, line INTEGER, code TEXT, message TEXT, PRIMARY KEY (file, line)) WITHOUT ROWID;
CREATE INDEX record_id ON record (audit_id);
CREATE INDEX record_kind ON record (kind, timestamp);
CREATE INDEX record_time ON record (timestamp);
"""


class IndexUnavailableError(RemlError):
    """The index cannot be read or made."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record and where it stands: file, number of the line, the line itself."""

    path: Path
    line: Line

    @property
    def record(self) -> Record:
        """The record; entries of an index always have one."""
        if self.line.record is None:
            raise ValueError("a line without a record")
        return self.line.record


# --- following ------------------------------------------------------------------------------------------------------------


class Follower:
    """
    Reads a log while others write it, across rotation. A line is read when its line end is there; nothing is left out and nothing comes twice.

    Args:
        path: of the log; it may appear later.
        from_end: pass over what is there already.
    """

    def __init__(self, path: str | os.PathLike[str], *, from_end: bool = False) -> None:
        self.path = Path(path)
        self._file: IO[bytes] | None = None
        self._number = 0
        self._rest = b""
        self._skipping = False
        self._seen: set[tuple[int, int]] = {self._identity(file) for file in segments(path)[:-1]} if from_end else set()
        self._from_end = from_end

    @staticmethod
    def _identity(path: Path | IO[bytes]) -> tuple[int, int]:
        status = path.stat() if isinstance(path, Path) else os.fstat(path.fileno())
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self) -> IO[bytes] | None:
        """
        The oldest file that was not read yet, open; None: there is none.

        Between listing and opening the writer may rotate, so that a name means a newer file than it did: what was found counts only
        if a second look finds nothing older.
        """
        while True:
            found = self._oldest()
            if found is None:
                return None
            again = self._oldest()
            same = again is not None and self._identity(again) == self._identity(found)
            if again is not None:
                again.close()
            if same:
                return found
            found.close()

    def _oldest(self) -> IO[bytes] | None:
        for path in segments(self.path):
            if path.suffix == ".gz":
                continue
            try:
                file = path.open("rb")
            except FileNotFoundError:  # renamed a moment ago: it comes again under its new name
                continue
            if self._identity(file) not in self._seen:
                return file
            file.close()
        return None

    def _turn_to(self, file: IO[bytes]) -> None:
        self.close()
        self._seen.add(self._identity(file))
        self._file, self._number, self._rest = file, 0, b""
        if self._from_end:
            self._from_end = False
            self._pass_over(file)

    def _pass_over(self, file: IO[bytes]) -> None:
        while block := file.read(1 << 20):
            self._number += block.count(b"\n")
            self._rest = block[block.rfind(b"\n") + 1 :] if b"\n" in block else self._rest + block

    def _was_cut(self, file: IO[bytes]) -> bool:
        return os.fstat(file.fileno()).st_size < file.tell()

    def poll(self) -> Iterator[Entry]:
        """Whole lines that came since the last call."""
        while True:
            file = self._file
            if file is not None:
                if self._was_cut(file):  # somebody emptied it in place: begin again
                    file.seek(0)
                    self._number, self._rest = 0, b""
                yield from self._read(file)
            following = self._next()
            if following is None:
                return
            if file is not None:  # nothing is written to it any more; what came before the rotation is read first
                yield from self._read(file)
            self._turn_to(following)

    def _read(self, file: IO[bytes]) -> Iterator[Entry]:
        while block := file.read(1 << 20):
            yield from self._lines(block)

    def _lines(self, block: bytes) -> Iterator[Entry]:
        pieces = (self._rest + block).split(b"\n")
        self._rest = pieces.pop()
        for piece in pieces:
            self._number += 1
            if self._skipping:
                self._skipping = False
                continue
            if piece.strip():
                record, problem = parse_line(piece.rstrip(b"\r"))
                yield Entry(self.path, Line(self._number, piece.decode("utf-8", "replace"), record, problem))
        if len(self._rest) > LINE_BYTES_MOST:
            problem = Problem("audit.record.too_long", f"more than {LINE_BYTES_MOST >> 20} MiB")
            if not self._skipping:
                yield Entry(self.path, Line(self._number + 1, "", None, problem))
            self._rest, self._skipping = b"", True

    def torn(self) -> Entry | None:
        """What stands behind the last line end, while it is no line."""
        if not self._rest.strip():
            return None
        return Entry(self.path, Line(self._number + 1, "", None, torn(len(self._rest))))

    def follow(self, *, pause: float = 0.2, until: Callable[[], bool] = lambda: False) -> Iterator[Entry]:
        """Lines as they come, for ever, or until *until* says so."""
        while not until():
            yield from self.poll()
            time.sleep(pause)


# --- the index ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """
    What is looked for; None: whatever.

    Attributes:
        kind: exact, or a pattern: ``bridge.*``.
        audit_id: of a record, of a command (``cli.audit_id``) it is not.
        capability, symbol, status, severity, category, channel: exact, or a pattern.
        since: RFC 3339; records from it on.
        until: RFC 3339; records before it.
        last: only the last so many.
    """

    kind: str | None = None
    audit_id: str | None = None
    capability: str | None = None
    symbol: str | None = None
    status: str | None = None
    severity: str | None = None
    category: str | None = None
    channel: str | None = None
    since: str | None = None
    until: str | None = None
    last: int | None = None

    def where(self) -> tuple[str, list[Any]]:
        """As SQL with its values."""
        terms, values = [], []
        for name in ("kind", "audit_id", "capability", "symbol", "status", "severity", "category", "channel"):
            wanted = getattr(self, name)
            if wanted is not None:
                terms.append(f"{name} GLOB ?" if set(wanted) & set("*?[") else f"{name} = ?")
                values.append(wanted)
        # Whole seconds compare as texts once a fraction is set apart: `…00Z` and `…00.5Z`.
        for name, sign in (("since", ">="), ("until", "<")):
            wanted = getattr(self, name)
            if wanted is not None:
                terms.append(f"rtrim(timestamp, 'Z') {sign} ?")
                values.append(wanted.rstrip("Z"))
        return " AND ".join(terms) or "1", values


class Index:
    """
    The index of a log, beside it as ``PATH.index.sqlite``; in memory where nothing may be written there.

    Args:
        path: of the log.
        file: where the index is kept.

    Raises:
        FileNotFoundError: there is no such log.
        IndexUnavailableError: what is at *file* is no index.
    """

    def __init__(self, path: str | os.PathLike[str], file: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path)
        if not segments(self.path):
            raise FileNotFoundError(2, "no such file or directory", os.fspath(path))
        self.file = Path(file) if file is not None else self.path.with_name(self.path.name + ".index.sqlite")
        self.in_memory = False
        self._db = self._open(required=file is not None)

    def _open(self, *, required: bool) -> sqlite3.Connection:
        try:
            return self._connect(str(self.file))
        except sqlite3.OperationalError as error:
            if required:
                raise IndexUnavailableError(f"{self.file}: {error}") from error
            self.in_memory = True
            return self._connect(":memory:")
        except sqlite3.DatabaseError as error:
            if required:
                raise IndexUnavailableError(f"{self.file}: {error}") from error
            self.file.unlink(missing_ok=True)  # ours by its name, and damaged: it is only a mirror
            return self._connect(str(self.file))

    @staticmethod
    def _connect(name: str) -> sqlite3.Connection:
        made = sqlite3.connect(name, timeout=30, isolation_level=None)
        try:
            version = made.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                made.execute("BEGIN IMMEDIATE")
                if made.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    for table in ("record", "damaged", "file"):
                        made.execute(f"DROP TABLE IF EXISTS {table}")
                    for statement in _SCHEMA.split(";"):
                        made.execute(statement)
                    made.execute(f"PRAGMA user_version = {_VERSION}")
                made.execute("COMMIT")
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Let go of it."""
        self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self) -> int:
        """Take in what came since; the number of records that are new. Files that have changed otherwise are read anew."""
        db, added = self._db, 0
        if self.path.exists():
            refuse_unless_plain(self.path)
        db.execute("BEGIN IMMEDIATE")
        try:
            known = {row[1]: row for row in db.execute("SELECT id, path, start, bytes, lines FROM file")}
            present = [file for file in segments(self.path) if file.suffix != ".gz"]
            renamed = {row[2]: row for row in known.values()}
            for file in present:
                with file.open("rb") as stream:
                    start = _start_of(stream)
                    row = known.get(str(file))
                    if row is None or row[2] != start:
                        moved = renamed.get(start) if start else None
                        if row is not None:
                            self._forget(row[0])
                            del known[str(file)]
                        if moved is not None and moved[1] != str(file) and not (row is not None and moved[0] == row[0]):
                            db.execute("DELETE FROM file WHERE path = ?", (str(file),))
                            db.execute("UPDATE file SET path = ? WHERE id = ?", (str(file), moved[0]))
                            known.pop(moved[1], None)
                            row = known[str(file)] = (moved[0], str(file), start, moved[3], moved[4])
                        else:
                            row = None
                    added += self._take_in(file, stream, start, row)
            kept = {str(file) for file in present}
            for path, row in known.items():
                if path not in kept:
                    self._forget(row[0])
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        return added

    def _forget(self, identity: int) -> None:
        self._empty(identity)
        self._db.execute("DELETE FROM file WHERE id = ?", (identity,))

    def _empty(self, identity: int) -> None:
        for table in ("record", "damaged"):
            self._db.execute(f"DELETE FROM {table} WHERE file = ?", (identity,))  # noqa: S608  (names of ours)

    def _take_in(self, file: Path, stream: IO[bytes], start: str, row: tuple[Any, ...] | None) -> int:
        db = self._db
        identity, offset, number = (None, 0, 0) if row is None else (row[0], row[3], row[4])
        if row is not None and os.fstat(stream.fileno()).st_size < offset:
            self._empty(row[0])
            offset = number = 0
        if identity is None:
            identity = db.execute(
                "INSERT INTO file (path, start, bytes, lines) VALUES (?, ?, 0, 0)", (str(file), start)
            ).lastrowid
        stream.seek(offset)
        rows: list[tuple[Any, ...]] = []
        damaged: list[tuple[Any, ...]] = []
        for raw in _whole_lines(stream):
            number += 1
            record, problem = parse_line(raw.rstrip(b"\r\n")) if raw.strip() else (None, None)
            if problem is not None:
                damaged.append((identity, number, problem.code, problem.message))
            if record is not None:
                rows.append((identity, number, offset, len(raw), *_columns(record)))
            offset += len(raw)
        db.executemany("INSERT OR REPLACE INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        db.executemany("INSERT OR REPLACE INTO damaged VALUES (?,?,?,?)", damaged)
        db.execute("UPDATE file SET start = ?, bytes = ?, lines = ? WHERE id = ?", (start, offset, number, identity))
        return len(rows)

    def count(self) -> int:
        """Records in it."""
        return int(self._db.execute("SELECT count(*) FROM record").fetchone()[0])

    def damaged(self) -> list[Entry]:
        """Lines that are no records, in the order of the log; `find` passes over them."""
        files = {str(file): place for place, file in enumerate(segments(self.path))}
        rows = self._db.execute("SELECT path, line, code, message FROM damaged JOIN file ON file.id = damaged.file")
        found = sorted(rows.fetchall(), key=lambda row: (files.get(row[0], 0), row[1]))
        return [Entry(Path(path), Line(number, "", None, Problem(code, text))) for path, number, code, text in found]

    def find(self, query: Query) -> Iterator[Entry]:
        """Records that fit, in the order of the log, each read from the log itself."""
        where, values = query.where()
        files = {str(file): place for place, file in enumerate(segments(self.path))}
        rows = self._db.execute(
            f"SELECT path, line, offset, length, record.audit_id FROM record JOIN file ON file.id = record.file WHERE {where}",  # noqa: S608  (terms of ours; values are bound)
            values,
        ).fetchall()
        rows.sort(key=lambda row: (files.get(row[0], 0), row[1]))
        if query.last is not None:
            rows = rows[max(0, len(rows) - query.last) :] if query.last > 0 else []
        yield from self._entries(rows)

    def _entries(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Entry]:
        stream: IO[bytes] | None = None
        opened = ""
        try:
            for path, number, offset, length, audit_id in rows:
                if path != opened:
                    if stream is not None:
                        stream.close()
                    opened, stream = path, Path(path).open("rb")  # noqa: SIM115  (closed below)
                if stream is None:
                    continue
                stream.seek(offset)
                raw = stream.read(length)
                record, problem = parse_line(raw.rstrip(b"\r\n"))
                if record is None or record.audit_id != audit_id:
                    raise IndexUnavailableError(
                        f"{path}:{number}: the log was changed behind the index; run `reml audit index`"
                    )
                yield Entry(Path(path), Line(number, raw.rstrip(b"\r\n").decode("utf-8", "replace"), record, problem))
        finally:
            if stream is not None:
                stream.close()


def _start_of(stream: IO[bytes]) -> str:
    """What tells one file from another: the hash of its first line, which carries number and chain; empty for none."""
    stream.seek(0)
    line = stream.readline(1 << 16)
    return hashlib.sha256(line).hexdigest() if line.endswith(b"\n") or len(line) == 1 << 16 else ""


def _whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    while raw := stream.readline():
        if not raw.endswith(b"\n"):
            return
        yield raw


def _columns(record: Record) -> tuple[Any, ...]:
    return (
        record.timestamp, record.kind, record.audit_id, record.category, record.capability, record.channel, symbol_of(record),
        status_of(record), record.severity, record.sequence,
    )  # fmt: skip


def search(
    path: str | os.PathLike[str], query: Query, *, damaged: Callable[[list[Entry]], None] | None = None
) -> Iterator[Entry]:
    """
    Bring the index of the log at *path* up to date, and find.

    Args:
        path: of the log.
        query: what is looked for.
        damaged: is told the lines that are no records, before anything is found.

    Raises:
        OSError: the log cannot be read, or is packed. IndexUnavailableError: the index cannot be made.
    """
    with closing(Index(path)) as index:
        index.update()
        if damaged is not None:
            damaged(index.damaged())
        yield from index.find(query)
