"""Files that are replaced whole, and by one at a time: the one way in which this package writes what others may be reading."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks: then only threads of this process are kept apart
    fcntl = None  # type: ignore[assignment]

_local: dict[str, threading.Lock] = {}
_local_guard = threading.Lock()


def replace_file(path: str | os.PathLike[str], content: str | bytes, *, make_folder: bool = True) -> None:
    """
    Put *content* in the place of a file: whoever looks sees the old content or the new one, whenever the machine stops.

    Args:
        path: of the file; its mode stays as it was, a new one is 0644.
        content: a text is written as UTF-8, its line ends as they are.
        make_folder: make its folder, where there is none.

    Raises:
        OSError: no such folder, no permission, no space; the old file is as it was.
    """
    target, temporary = Path(path), ""
    if make_folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o644)
        Path(temporary).replace(target)
    except BaseException:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise
    _sync_folder(target.parent)


@contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """
    Alone with a file or a folder, among threads of this process and among processes; not reentrant.

    The lock of a file is a hidden file beside it, so that the file itself may be replaced or missing; its folder is made where there
    is none. A folder that exists is locked itself, and nothing is put into it.

    Raises:
        OSError: the folder cannot be written.
    """
    target = Path(path)
    with _local_guard:
        mine = _local.setdefault(str(target.resolve()), threading.Lock())
    with mine, contextlib.ExitStack() as stack:
        if fcntl is not None:
            fcntl.flock(_lockable(target, stack), fcntl.LOCK_EX)
        yield


def _lockable(target: Path, stack: contextlib.ExitStack) -> int:
    if target.is_dir():
        handle = os.open(target, os.O_RDONLY)
        stack.callback(os.close, handle)
        return handle
    target.parent.mkdir(parents=True, exist_ok=True)
    return stack.enter_context(target.with_name(f".{target.name}.lock").open("a", encoding="utf-8")).fileno()


def check_place(path: str | os.PathLike[str]) -> None:
    """
    Could `replace_file` put a file there? Its folder is made where there is none.

    Raises:
        OSError: it could not.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    Path(temporary).unlink()


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk, too, where the system can say so."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)
