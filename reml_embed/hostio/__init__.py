"""
Files, paths and watching for hosts, guarded and recorded (CONTRACTS 6)::

    from reml_embed import hostio

    host = hostio.Host(audit=sink, policy=hostio.SecurityPolicy(("/srv/data",)))
    with hostio.open("/srv/data/note.md", host=host) as reader, hostio.create("/srv/data/copy.md", host=host) as writer:
        hostio.copy(reader, writer)

Comes in: names of files. Goes out: bytes, and for each operation a record that says operation, path, capability and helper. Every function asks the
capability registry first (`adapters.GUARDS`); failures are `IoError` and `PathSecurityError`. Must not know: scripts; their ``Core.IO`` is the
library's, with the same keys and reasons.
"""

from reml_embed.hostio.adapters import GUARDS, OPERATIONS, FsAdapter, Guard, Host, Operation, WatcherAdapter
from reml_embed.hostio.context import (
    BufferStats,
    EffectLabels,
    GlobStats,
    IoContext,
    WatchStats,
    count_effects,
    take_io_effects_snapshot,
)
from reml_embed.hostio.errors import IoError, IoErrorKind, IoFailure, PathSecurityError, PathSecurityKind
from reml_embed.hostio.files import (
    BufferedReader,
    BytesWriter,
    FileMetadata,
    FileOptions,
    Reader,
    Writer,
    buffered,
    bytes_writer,
    copy,
    create,
    log_io,
    metadata,
    open,  # noqa: A004  (the contract's name)
    permissions,
    read_line,
    read_link,
    remove,
    set_permissions,
    symlink,
    sync,
    with_reader,
)
from reml_embed.hostio.paths import (
    SecurityPolicy,
    glob,
    is_absolute,
    is_safe_symlink,
    join,
    normalize,
    parent,
    path,
    sandbox_path,
    validate_path,
)
from reml_embed.hostio.watch import Watcher, WatcherAuditSnapshot, WatchEvent, WatchLimits, watch

__all__ = [
    "GUARDS",
    "OPERATIONS",
    "BufferStats",
    "BufferedReader",
    "BytesWriter",
    "EffectLabels",
    "FileMetadata",
    "FileOptions",
    "FsAdapter",
    "GlobStats",
    "Guard",
    "Host",
    "IoContext",
    "IoError",
    "IoErrorKind",
    "IoFailure",
    "Operation",
    "PathSecurityError",
    "PathSecurityKind",
    "Reader",
    "SecurityPolicy",
    "WatchEvent",
    "WatchLimits",
    "WatchStats",
    "Watcher",
    "WatcherAdapter",
    "WatcherAuditSnapshot",
    "Writer",
    "buffered",
    "bytes_writer",
    "copy",
    "count_effects",
    "create",
    "glob",
    "is_absolute",
    "is_safe_symlink",
    "join",
    "log_io",
    "metadata",
    "normalize",
    "open",
    "parent",
    "path",
    "permissions",
    "read_line",
    "read_link",
    "remove",
    "sandbox_path",
    "set_permissions",
    "symlink",
    "sync",
    "take_io_effects_snapshot",
    "validate_path",
    "watch",
    "with_reader",
]
