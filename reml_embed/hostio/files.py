"""
Files (CONTRACTS 6.2): readers, writers, copying, and what can be asked of a file by its name.

Every function asks its capability first, leaves a record, and raises `IoError`; readers and writers are closed with their block. Only regular
files are opened: pipes, devices and sockets are refused before anything can wait for them. Where the host has a policy, files are opened below its
roots, folder by folder (`paths.beneath`).
"""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from reml_embed.audit.context import AuditContext
from reml_embed.audit.ids import now
from reml_embed.audit.sinks import RecordSink
from reml_embed.hostio.adapters import GUARDS, OPERATIONS, Host, Trail
from reml_embed.hostio.context import MEMORY, BufferStats, EffectLabels, IoContext, PathLike, count_effects, shown
from reml_embed.hostio.errors import IoError, IoErrorKind, IoFailure
from reml_embed.hostio.paths import _text, beneath, check_link, path
from reml_embed.values import Duration, Err

#: Bytes that `copy` holds.
COPY_BYTES: Final = 64 * 1024
#: One read takes no more, whatever is asked for.
READ_BYTES_MOST: Final = 16 << 20
#: Bytes of a buffered reader, unless it is told otherwise.
BUFFER_BYTES: Final = 8 * 1024
#: A longer line is refused.
LINE_BYTES_MOST: Final = 1 << 20
#: A bytes writer holds no more, unless it is told otherwise.
MEMORY_BYTES_MOST: Final = 256 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """
    How a file is created.

    Attributes:
        append: write behind what is there.
        truncate: begin with an empty file; by default unless *append* is set.
        permissions: ``0o640``; by default those of the process. Needs ``fs.permissions.modify``.
    """

    append: bool = False
    truncate: bool | None = None
    permissions: int | None = None

    def __post_init__(self) -> None:
        if self.append and self.truncate:
            raise IoError(IoErrorKind.InvalidInput, "append and truncate exclude each other")
        _check_mode(self.permissions)


def _check_mode(mode: int | None) -> None:
    if mode is not None and (isinstance(mode, bool) or not isinstance(mode, int) or not 0 <= mode <= 0o777):
        raise IoError(IoErrorKind.InvalidInput, f"permissions: expected 0 to 0o777, got {mode!r}")


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """
    What is known of a file.

    Attributes:
        size: bytes. created: when its inode last changed, where the system does not tell its birth. modified: when its content did; both in
            seconds since 1970. permissions: the nine bits.
    """

    size: int
    created: float
    modified: float
    permissions: int


def _check_size(size: int, about: IoContext) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        words = f"size: expected 0 or more bytes, got {size!r}"
        raise IoError(IoErrorKind.InvalidInput, words, about, code=OPERATIONS[about.operation].code)


# --- opening ----------------------------------------------------------------------------------------------------------------


@contextmanager
def _located(
    given: PathLike, host: Host, context: IoContext, *, follow_last: bool = True
) -> Iterator[tuple[str, int | None]]:
    """A name and the folder that it is in: None: the name is a path of its own."""
    if host.policy is None:
        yield _text(given), None
        return
    host.fs.ensure("ensure_security_policy", context)
    with beneath(given, host.policy, follow_last=follow_last) as (folder, name):
        yield name, folder


def _refuse_special(status: os.stat_result, context: IoContext) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
    raise IoError(IoErrorKind.InvalidInput, f"{context.path}: {what}", context)


def _open(given: PathLike, flags: int, mode: int, host: Host, context: IoContext) -> int:
    """
    A descriptor of a regular file. Nothing waits: what is no regular file is looked at first, opened without waiting, and looked at again.
    """
    with _located(given, host, context) as (name, folder):
        flags |= os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | (0 if folder is None else os.O_NOFOLLOW)
        try:
            _refuse_special(os.stat(name, dir_fd=folder, follow_symlinks=folder is None), context)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
        descriptor = os.open(name, flags, mode, dir_fd=folder)
    try:
        _refuse_special(os.fstat(descriptor), context)
    except BaseException:
        os.close(descriptor)
        raise
    count_effects(io=True, io_blocking=True, io_blocking_calls=1)
    return descriptor


class _Stream:
    """What readers and writers share: a descriptor, a lock, totals for each operation, closing once."""

    def __init__(self, descriptor: int, host: Host, context: IoContext) -> None:
        self.context = context
        self._host = host
        self._descriptor = descriptor
        self._lock = threading.RLock()
        self._totals: dict[str, IoContext] = {}
        self.closed = False

    def _about(self, operation: str) -> IoContext:
        """The totals of an operation; the first time its guards are asked for the record, later only whether they still hold."""
        about = self._totals.get(operation)
        if about is None:
            about = self._host.begin(operation, None, _given_helper(self.context))
            about.path = self.context.path
            self._check_open(about)
            self._host.guard(about)
            self._totals[operation] = about
        else:
            self._check_open(about)
            for name in OPERATIONS[operation].guards:
                self._host.fs.recheck(name, about)
        return about

    def _check_open(self, about: IoContext) -> None:
        if self.closed:
            error = IoError(
                IoErrorKind.InvalidInput, f"{self.context.path}: closed", about, code=OPERATIONS[about.operation].code
            )
            self._host.trail.failed(error)
            raise error

    def _went(self, about: IoContext, count: int) -> None:
        about.bytes_processed += count
        self.context.bytes_processed += count
        self.context.effects.merge(about.take_effects())

    def close(self) -> None:
        """Close it; its records are written. Again: nothing. Raises: what the audit log raises; it is closed then, too."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            try:
                self._release()
            finally:
                for about in self._totals.values():
                    self._host.trail.done(about)

    def _release(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:  # the safety net: without records
        self._release()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.context.path}{' (closed)' if self.closed else ''}>"


class Reader(_Stream):
    """
    Reads a file from its begin; see `open`. Threads take turns.

    Attributes:
        context: what it was opened for, with all bytes and effects so far.
        closed: is it?
    """

    def read(self, size: int) -> bytes:
        """
        At most *size* bytes, as many as the system gives at once; empty at the end.

        Raises:
            IoError: ``core.io.read_error``; InvalidInput: it is closed, or *size* is none.
        """
        return self._read(size, "reader.read")

    def _read(self, size: int, operation: str) -> bytes:
        with self._lock:
            about = self._about(operation)
            with self._host.failures(about):
                data = self._pull(size, about)
            about.bytes_processed += len(data)
            return data

    def _pull(self, size: int, about: IoContext) -> bytes:
        """Read for *about*, whose bytes are not counted here; raises what the system answers."""
        with self._lock:
            self._check_open(about)
            _check_size(size, about)
            data = os.read(self._descriptor, min(size, READ_BYTES_MOST))
            count_effects(io=True, io_blocking=True, io_blocking_calls=1, mem=True, mem_bytes=len(data))
            self.context.bytes_processed += len(data)
            self.context.effects.merge(about.take_effects())
            return data

    def read_exact(self, size: int) -> bytes:
        """
        Exactly *size* bytes.

        Raises:
            IoError: UnexpectedEof: there are fewer; what was read is lost. Otherwise as `read`.
        """
        with self._lock:
            parts, missing = [], size
            while True:
                part = self._read(missing, "reader.read_exact")
                parts.append(part)
                missing -= len(part)
                if missing == 0:
                    return b"".join(parts)
                if not part:
                    about = self._totals["reader.read_exact"]
                    with self._host.failures(about):
                        raise IoError(
                            IoErrorKind.UnexpectedEof,
                            f"{about.path}: ends {missing} bytes too early",
                            about,
                            code="core.io.read_error",
                        )

    def copy_to(self, writer: Writer | BytesWriter, *, helper: str | None = None) -> bytes:
        """`copy`, and what a bytes writer holds then; empty for other writers."""
        copy(self, writer, helper=helper)
        return writer.bytes() if isinstance(writer, BytesWriter) else b""


class Writer(_Stream):
    """
    Writes a file; see `create`. Threads take turns.

    Attributes: as those of `Reader`.
    """

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """
        Write all of *data*; how many bytes that are.

        Raises:
            IoError: ``core.io.write_error``; WriteZero: there is no room. A part may be written then.
        """
        view = memoryview(data).cast("B")
        with self._lock:
            about = self._about("writer.write")
            done = 0
            with self._host.failures(about):
                while done < len(view):
                    count_effects(io=True, io_blocking=True, io_blocking_calls=1, mutating=True)
                    wrote = os.write(self._descriptor, view[done:])
                    if wrote == 0:
                        raise IoError(
                            IoErrorKind.WriteZero, f"{about.path}: no room", about, code="core.io.write_error"
                        )
                    done += wrote
                    self._went(about, wrote)
            return done

    def flush(self) -> None:
        """
        Hand everything to the system. Nothing is held back here, so this only says whether it may still be done; see `sync`.

        Raises:
            IoError: it is closed, or not allowed any more.
        """
        with self._lock:
            about = self._about("writer.flush")
            count_effects(io=True, io_blocking=True, io_blocking_calls=1)
            self._went(about, 0)


class BytesWriter:
    """
    Writes to memory; see `bytes_writer`.

    Attributes:
        context: with its helper, and all bytes so far.
        limit: bytes that it holds at most.
    """

    def __init__(self, context: IoContext, host: Host, limit: int) -> None:
        self.context, self.limit = context, limit
        self._host, self._lock = host, threading.Lock()
        self._data = io.BytesIO()
        self._told = False
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """
        Take all of *data*.

        Raises:
            IoError: OutOfMemory: more than *limit*; nothing of it was taken. InvalidInput: it is closed.
        """
        with self._lock, self._host.failures(self.context):
            self._host.fs.recheck("ensure_buffered_io_capability", self.context)
            if self.closed:
                raise IoError(
                    IoErrorKind.InvalidInput, "the bytes writer is closed", self.context, code="core.io.write_error"
                )
            size = memoryview(data).nbytes
            if self._data.tell() + size > self.limit:
                words = f"a bytes writer holds at most {self.limit} bytes"
                raise IoError(IoErrorKind.OutOfMemory, words, self.context, code="core.io.write_error")
            count_effects(io=True, mem=True, mem_bytes=size)
            self._data.write(data)
            self.context.bytes_processed += size
            self.context.take_effects()
            return size

    def flush(self) -> None:
        """Nothing is held back."""

    def bytes(self) -> bytes:
        """What was written; also when it is closed."""
        return self._data.getvalue()

    def close(self) -> None:
        """Its record is written, if anything was. Again: nothing."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        if self.context.bytes_processed:
            self._host.trail.done(self.context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BufferedReader:
    """
    Reads through a buffer; see `buffered`. Threads take turns.

    Attributes:
        context: ``context.buffer`` has capacity and fill; at the end the most that was in it.
        closed: is it?
    """

    def __init__(self, reader: Reader, context: IoContext, host: Host, capacity: int) -> None:
        self.context = context
        self._reader, self._host = reader, host
        self._data, self._at = b"", 0
        self._stats = context.buffer = BufferStats(capacity)
        self._most = 0
        self._lock = threading.RLock()
        self.closed = False

    @property
    def buffer(self) -> BufferStats:
        """How full it is now."""
        return self._stats

    def _fill(self) -> bool:
        """Read once into the empty buffer; False at the end."""
        with self._host.failures(self.context):
            for guard in OPERATIONS["reader.buffered"].guards:
                self._host.fs.recheck(guard, self.context)
            self._data = self._reader._pull(self._stats.capacity, self.context)
        self._at = 0
        self._stats.fill = len(self._data)
        self._stats.last_fill_timestamp = now()
        self._most = max(self._most, len(self._data))
        return bool(self._data)

    def _take(self, count: int) -> bytes:
        data = self._data[self._at : self._at + count]
        self._at += len(data)
        self._stats.fill = len(self._data) - self._at
        self.context.bytes_processed += len(data)
        return data

    def _check(self) -> None:
        with self._host.failures(self.context):
            if self.closed:
                words = f"{self.context.path}: closed"
                raise IoError(IoErrorKind.InvalidInput, words, self.context, code="core.io.read_error.buffered")

    def read(self, size: int) -> bytes:
        """
        At most *size* bytes: what is in the buffer, else what one read fills it with; empty at the end.

        Raises:
            IoError: ``core.io.read_error.buffered``; otherwise as `Reader.read`.
        """
        with self._lock:
            self._check()
            with self._host.failures(self.context):
                _check_size(size, self.context)
            if size and self._at == len(self._data):
                self._fill()
            return self._take(size)

    def read_line(self) -> str | None:
        """
        The next line without its end (LF or CR LF); None at the end.

        Raises:
            IoError: InvalidInput: it is no UTF-8, or longer than `LINE_BYTES_MOST`. Otherwise as `read`.
        """
        with self._lock:
            self._check()
            parts: list[bytes] = []
            length = 0
            while self._at < len(self._data) or self._fill():
                end = self._data.find(b"\n", self._at)
                part = self._take((end + 1 if end >= 0 else len(self._data)) - self._at)
                parts.append(part)
                length += len(part)
                if end >= 0 or length > LINE_BYTES_MOST:
                    break
            if not parts:
                return None
            line = b"".join(parts).removesuffix(b"\n").removesuffix(b"\r")
            with self._host.failures(self.context):
                code = "core.io.read_error.buffered"
                if length > LINE_BYTES_MOST:
                    words = f"{self.context.path}: a line of more than {LINE_BYTES_MOST} bytes"
                    raise IoError(IoErrorKind.InvalidInput, words, self.context, code=code)
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError:
                    words = f"{self.context.path}: a line that is no UTF-8"
                    raise IoError(IoErrorKind.InvalidInput, words, self.context, code=code) from None
            self.context.effects.unicode = True
            return text

    def lines(self) -> Iterator[str]:
        """The lines that are left."""
        while (line := self.read_line()) is not None:
            yield line

    def close(self) -> None:
        """Close it and its reader; its record is written. Again: nothing."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._data, self._stats.fill = b"", self._most
            self.context.effects.io = True
            try:
                self._reader.close()
            finally:
                self._host.trail.done(self.context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- functions --------------------------------------------------------------------------------------------------------------


def open(given: PathLike, *, host: Host | None = None, helper: str | None = None) -> Reader:  # noqa: A001  (the contract's name)
    """
    Open a regular file for reading; close it, or use it as a context manager.

    Args:
        helper: ``io.helper`` of its records.

    Raises:
        IoError: NotFound, PermissionDenied, InvalidInput (a folder, a pipe, a device), refused. PathSecurityError: the host's policy.
    """
    home = host or Host()
    with home.operation("file.open", given, helper) as context:
        context.effects.io = True
        reader = Reader(_open(given, os.O_RDONLY, 0, home, context), home, context)
    reader.context = _of_stream(context)
    return reader


def create(
    given: PathLike, options: FileOptions | None = None, *, host: Host | None = None, helper: str | None = None
) -> Writer:
    """
    Open a regular file for writing; it is made when it is not there.

    Raises:
        IoError, PathSecurityError: as `open`.
    """
    home, chosen = host or Host(), options or FileOptions()
    with home.operation("file.create", given, helper) as context:
        context.effects.io = context.effects.mutating = True
        if chosen.permissions is not None:
            home.fs.ensure("ensure_permissions_modify", context)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if chosen.append else 0)
        descriptor = _open(given, flags, 0o666 if chosen.permissions is None else chosen.permissions, home, context)
        writer = Writer(descriptor, home, context)  # from here on it closes what is not needed
        if chosen.permissions is not None:
            os.fchmod(descriptor, chosen.permissions)
        if chosen.truncate or (chosen.truncate is None and not chosen.append):
            os.ftruncate(descriptor, 0)
    writer.context = _of_stream(context)
    return writer


def _of_stream(opened: IoContext) -> IoContext:
    """The context of a stream begins where that of opening it ended."""
    return IoContext(
        opened.operation, opened.helper, opened.path, opened.capability, timestamp=opened.timestamp, stage_required=opened.stage_required,
        stage_actual=opened.stage_actual, tags=opened.tags, effects=EffectLabels(**opened.effects.to_json()),  # type: ignore[arg-type]
    )  # fmt: skip


def with_reader(
    given: PathLike, body: Callable[[Reader], T], *, host: Host | None = None, helper: str | None = None
) -> T:
    """
    Call *body* with a reader of a file, which is closed when it ends, by any route; what *body* answers.

    Raises:
        IoError, PathSecurityError: as `open`; and what *body* raises.
    """
    home = host or Host()
    context = home.guard(home.begin("with_reader", given, helper))
    context.take_effects()
    with home.failures(context):
        reader = open(given, host=home, helper=helper)
    try:
        return body(reader)
    finally:
        try:
            reader.close()
        finally:
            context.bytes_processed = reader.context.bytes_processed
            context.effects.merge(reader.context.effects)
            home.trail.done(context)


def copy(reader: Reader | BufferedReader, writer: Writer | BytesWriter, *, helper: str | None = None) -> int:
    """
    Copy what is left of *reader*, 64 KiB at a time; how many bytes that were. Both stay open.

    Args:
        helper: ``io.helper`` of the record; by default the one that the bytes writer or the reader was given, else ``bridge.copy``.

    Raises:
        IoError: of the reader or the writer; a part may be copied.
    """
    home = reader._host
    context = home.begin("io.copy", None, helper or _given_helper(writer.context) or _given_helper(reader.context))
    context.path = reader.context.path
    home.guard(context)
    context.effects.merge(EffectLabels(io=True, transfer=True))
    try:
        while data := reader.read(COPY_BYTES):
            writer.write(data)
            context.bytes_processed += len(data)
            calls = 1 if isinstance(writer, BytesWriter) else 2
            context.effects.merge(
                EffectLabels(io_blocking=True, io_blocking_calls=calls, mem=True, mem_bytes=len(data))
            )
    except IoFailure as error:
        if error.context is not None:
            error.context.effects.transfer = True
        raise
    home.trail.done(context)
    return context.bytes_processed


def _given_helper(context: IoContext) -> str | None:
    """The helper that a caller named; None: it is the one of the table."""
    return None if context.helper == OPERATIONS[context.operation].helper else context.helper


def buffered(
    reader: Reader, capacity: int = BUFFER_BYTES, *, host: Host | None = None, helper: str | None = None
) -> BufferedReader:
    """
    Read through a buffer of *capacity* bytes; the reader is closed with it.

    Raises:
        IoError: InvalidInput: *capacity* is not 1 to 2 to the 30th. Refused.
    """
    home = host or reader._host
    context = home.begin("reader.buffered", None, helper or _given_helper(reader.context))
    context.path, context.buffer = reader.context.path, BufferStats(0)
    home.guard(context)
    with home.failures(context):
        context.effects.io = True
        if isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= 1 << 30:
            words = f"capacity: expected 1 to {1 << 30} bytes, got {capacity!r}"
            raise IoError(IoErrorKind.InvalidInput, words, context, code="core.io.read_error.buffered")
    context.take_effects()
    return BufferedReader(reader, context, home, capacity)


def read_line(reader: BufferedReader) -> str | None:
    """`BufferedReader.read_line`."""
    return reader.read_line()


def bytes_writer(helper: str = "bytes", *, host: Host | None = None, limit: int = MEMORY_BYTES_MOST) -> BytesWriter:
    """
    A writer to memory, whose helper names the records of what is copied to it.

    Raises:
        IoError: refused.
    """
    home = host or Host()
    context = home.guard(home.begin("bytes_writer.write", MEMORY, helper))
    context.take_effects()
    return BytesWriter(context, home, limit)


def metadata(given: PathLike, *, host: Host | None = None, helper: str | None = None) -> FileMetadata:
    """
    What is known of a file or folder; of a link: of what it leads to.

    Raises:
        IoError, PathSecurityError: as `open`; of anything that is there.
    """
    home = host or Host()
    with home.operation("file.metadata", given, helper) as context, _located(given, home, context) as (name, folder):
        found = os.stat(name, dir_fd=folder, follow_symlinks=folder is None)
        count_effects(io=True, io_blocking=True, io_blocking_calls=1)
    born = getattr(found, "st_birthtime", found.st_ctime)
    return FileMetadata(found.st_size, born, found.st_mtime, stat.S_IMODE(found.st_mode) & 0o777)


def permissions(given: PathLike, *, host: Host | None = None, helper: str | None = None) -> int:
    """The nine bits of a file's permissions. Raises: as `metadata`."""
    home = host or Host()
    with home.operation("file.permissions", given, helper) as context, _located(given, home, context) as (name, folder):
        found = os.stat(name, dir_fd=folder, follow_symlinks=folder is None)
        count_effects(io=True, io_blocking=True, io_blocking_calls=1)
    return stat.S_IMODE(found.st_mode) & 0o777


def set_permissions(given: PathLike, mode: int, *, host: Host | None = None, helper: str | None = None) -> None:
    """
    Set them; of a link where the host has a policy: refused.

    Raises:
        IoError: InvalidInput: *mode* is not 0 to 0o777. Otherwise as `metadata`.
    """
    home = host or Host()
    with (
        home.operation("file.set_permissions", given, helper) as context,
        _located(given, home, context) as (name, folder),
    ):
        _check_mode(mode)
        flags = (
            getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_CLOEXEC | (0 if folder is None else os.O_NOFOLLOW)
        )
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            if stat.S_ISLNK(os.fstat(descriptor).st_mode):  # a moment ago it was none
                raise IoError(IoErrorKind.SecurityViolation, f"{context.path}: a symbolic link", context)
            if hasattr(os, "O_PATH"):  # a file need not be readable to be changed
                os.chmod(f"/proc/self/fd/{descriptor}", mode)  # noqa: PTH101
            else:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        count_effects(io=True, mutating=True, io_blocking=True, io_blocking_calls=1)


def read_link(given: PathLike, *, host: Host | None = None, helper: str | None = None) -> Path:
    """Where a symbolic link leads, as it says. Raises: IoError: it is none. Otherwise as `metadata`."""
    home = host or Host()
    with home.operation("file.read_link", given, helper) as context, _located(given, home, context, follow_last=False) as (name, folder):  # fmt: skip
        target = os.readlink(name, dir_fd=folder)
        count_effects(io=True, io_blocking=True, io_blocking_calls=1)
    return Path(target)


def symlink(target: PathLike, link: PathLike, *, host: Host | None = None, helper: str | None = None) -> None:
    """
    Make a symbolic link. Where the host has a policy, it must be one that the policy lets through.

    Raises:
        IoError: InvalidInput: something is there. PathSecurityError: the policy.
    """
    home = host or Host()
    with home.operation("file.symlink", link, helper) as context, _located(link, home, context, follow_last=False) as (name, folder):  # fmt: skip
        if home.policy is not None:
            check_link(target, link, home.policy)
        os.symlink(_text(target), name, dir_fd=folder)
        count_effects(io=True, mutating=True, io_blocking=True, io_blocking_calls=1)


def remove(given: PathLike, *, host: Host | None = None, helper: str | None = None) -> None:
    """
    Remove a file; of a link the link.

    Raises:
        IoError: NotFound, PermissionDenied, InvalidInput (a folder), refused. PathSecurityError: the host's policy.
    """
    home = host or Host()
    with home.operation("file.remove", given, helper) as context, _located(given, home, context, follow_last=False) as (name, folder):  # fmt: skip
        if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            raise IoError(IoErrorKind.InvalidInput, f"{context.path}: a folder", context)
        os.unlink(name, dir_fd=folder)
        count_effects(io=True, mutating=True, io_blocking=True, io_blocking_calls=1)


def sync(what: Writer | PathLike, *, host: Host | None = None, helper: str | None = None) -> None:
    """
    Let the disk have what was written to a file, or to a writer.

    Raises:
        IoError: ``core.io.write_error``; the writer is closed. Otherwise as `open`.
    """
    home = host or (what._host if isinstance(what, Writer) else Host())
    where = shown(what) if not isinstance(what, Writer) else what.context.path or ""
    with home.operation("file.sync", where or None, helper) as context:
        count_effects(io=True, io_blocking=True, io_blocking_calls=1, fs_sync=True, fs_sync_calls=1)
        if isinstance(what, Writer):
            with what._lock:
                what._check_open(context)
                os.fsync(what._descriptor)
            return
        descriptor = _open(what, os.O_RDONLY, 0, home, context)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def log_io(
    event: str, given: PathLike | None, duration: float | Duration, audit: AuditContext | RecordSink, *, outcome: Any = None,
    context: IoContext | None = None,
) -> Any:  # fmt: skip
    """
    Record what a bridge did with files.

    Args:
        event: ``io.operation``, and ``io.helper`` where nothing else is known: ``bridge.release_note``.
        given: the path; None: that of *context*.
        duration: seconds, or a `Duration`; ``io.elapsed_ns`` of the record.
        audit: where it goes.
        outcome: what was done came to; an `IoError`, or an `Err` with one, is recorded as ``core.io.error``.
        context: of the operation: its capability, bytes and effects are told. By default that of the error, or one that says ``io.fs.read``.

    Returns: *outcome*.
    """
    trail = Trail(audit if isinstance(audit, AuditContext) else AuditContext(audit))
    found = outcome.value if isinstance(outcome, Err) else outcome
    failure = found if isinstance(found, IoFailure) else None
    base = context or (failure.context if failure is not None else None)
    guard = GUARDS["ensure_read"]
    about = IoContext(event, event, capability=guard.capability, stage_required=guard.requirement)
    if base is not None:
        about = IoContext(
            event, _given_helper(base) or event, base.path, base.capability, base.bytes_processed, effects=base.effects, buffer=base.buffer,
            watch=base.watch, glob=base.glob, feature=base.feature, stage_required=base.stage_required, stage_actual=base.stage_actual,
            tags=base.tags,
        )  # fmt: skip
    if given is not None:
        about.path = shown(given)
    about.elapsed_ns = duration.nanoseconds if isinstance(duration, Duration) else round(duration * 1e9)
    about.take_effects()
    if failure is None:
        trail.done(about, kind="core.io.operation")
    else:
        trail.failed(failure.told_of(about))
    return outcome


__all__ = [
    "BufferedReader", "BytesWriter", "FileMetadata", "FileOptions", "Reader", "Writer", "buffered", "bytes_writer", "copy", "create", "log_io",
    "metadata", "open", "path", "permissions", "read_line", "read_link", "remove", "set_permissions", "symlink", "sync", "with_reader",
]  # fmt: skip
