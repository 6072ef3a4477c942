"""Files that are replaced whole: the one way in which this package writes what others may be reading."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


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


def _sync_folder(folder: Path) -> None:
    """The new name is on the disk, too, where the system can say so."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)
