"""
What a file operation was about (CONTRACTS 6.1): `IoContext`, with the effects that were counted while it ran.

Pure values, and one counter for each thread. `IoContext.to_json` is the one form: ``extensions.io`` is it, ``metadata`` has the same under
dotted keys.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from reml_embed.audit.gates import platform_id
from reml_embed.audit.ids import now

#: What names a file: a text, bytes, or a path object.
PathLike: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

#: ``io.path`` of readers and writers that have no file.
MEMORY = "<memory>"


def shown(path: PathLike) -> str:
    r"""A path as records show it: valid UTF-8, bytes that are none as ``\xff``."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(slots=True)
class EffectLabels:
    """
    What an operation did, as yes or no, and how often.

    Attributes:
        mem … time: yes or no.
        mem_bytes: bytes of buffers. The other numbers count calls and events.
    """

    mem: bool = False
    mutating: bool = False
    debug: bool = False
    async_pending: bool = False
    audit: bool = False
    cell: bool = False
    rc: bool = False
    unicode: bool = False
    io: bool = False
    io_blocking: bool = False
    io_async: bool = False
    security: bool = False
    transfer: bool = False
    fs_sync: bool = False
    time: bool = False
    mem_bytes: int = 0
    predicate_calls: int = 0
    rc_ops: int = 0
    time_calls: int = 0
    io_blocking_calls: int = 0
    io_async_calls: int = 0
    fs_sync_calls: int = 0
    security_events: int = 0

    def merge(self, other: EffectLabels) -> None:
        """Add what *other* counted."""
        for name in _LABELS:
            mine, more = getattr(self, name), getattr(other, name)
            setattr(self, name, (mine or more) if isinstance(mine, bool) else mine + more)

    def to_json(self) -> dict[str, bool | int]:
        """What is true or not zero, by name."""
        return {name: value for name in sorted(_LABELS) if (value := getattr(self, name))}


_LABELS = tuple(row.name for row in fields(EffectLabels))


class _Counters(threading.local):
    def __init__(self) -> None:
        self.labels = EffectLabels()


_counters = _Counters()


def count_effects(**labels: bool | int) -> None:
    """
    Count effects of the running thread, by their names in `EffectLabels`.

    Raises:
        TypeError: no such label.
    """
    _counters.labels.merge(EffectLabels(**labels))  # type: ignore[arg-type]


def take_io_effects_snapshot() -> EffectLabels:
    """What this thread counted since the last time; it begins anew."""
    taken, _counters.labels = _counters.labels, EffectLabels()
    return taken


@dataclass(slots=True)
class BufferStats:
    """
    Of a buffered reader.

    Attributes:
        capacity: bytes that fit. fill: bytes that are in it; most that were, once it is closed. last_fill_timestamp: None: never.
    """

    capacity: int
    fill: int = 0
    last_fill_timestamp: str | None = None


@dataclass(slots=True)
class WatchStats:
    """
    Of a watcher.

    Attributes:
        queue_size: events that waited. delay_ns: from seeing the oldest of them to handing it out.
        paths, events_total, events: of a `WatcherAuditSnapshot`; None: not told.
        dropped: events that did not fit in the queue.
    """

    queue_size: int = 0
    delay_ns: int = 0
    paths: list[str] | None = None
    events_total: int | None = None
    events: list[dict[str, Any]] | None = None
    dropped: int | None = None


@dataclass(slots=True)
class GlobStats:
    """
    Of a glob.

    Attributes:
        pattern: as it was given. offending_path: where it failed; None: nowhere.
    """

    pattern: str
    offending_path: str | None = None


@dataclass(slots=True)
class IoContext:
    """
    What an operation was about.

    Attributes:
        operation: ``reader.read``, ``io.copy``, … (`adapters.OPERATIONS`).
        helper: who did it: ``bridge.copy``, ``path.glob``, or the name that a caller gave.
        path: as records show it; `MEMORY` where there is no file.
        capability: what guards it.
        bytes_processed: bytes that went through.
        timestamp: when it began.
        effects: see `take_effects`.
        buffer, watch, glob: where there is one.
        feature: of a watcher: ``watcher.recursive``.
        stage_required, stage_actual: of the capability.
        tags: effects that the guard asks for.
        elapsed_ns: how long it took, where somebody says so (`log_io`).
    """

    operation: str
    helper: str
    path: str | None = None
    capability: str | None = None
    bytes_processed: int = 0
    timestamp: str = field(default_factory=now)
    effects: EffectLabels = field(default_factory=EffectLabels)
    buffer: BufferStats | None = None
    watch: WatchStats | None = None
    glob: GlobStats | None = None
    feature: str | None = None
    stage_required: str | None = None
    stage_actual: str | None = None
    tags: tuple[str, ...] = ()
    elapsed_ns: int | None = None

    def watching(self) -> WatchStats:
        """`watch`, made when it is not there."""
        self.watch = self.watch or WatchStats()
        return self.watch

    def globbing(self) -> GlobStats:
        """`glob`, made when it is not there."""
        self.glob = self.glob or GlobStats(self.path or "")
        return self.glob

    def take_effects(self) -> EffectLabels:
        """Add what this thread has counted (`take_io_effects_snapshot`); what was added."""
        taken = take_io_effects_snapshot()
        self.effects.merge(taken)
        return taken

    def to_json(self) -> dict[str, Any]:
        """``extensions.io``."""
        made: dict[str, Any] = {
            "operation": self.operation, "path": self.path, "capability": self.capability, "helper": self.helper,
            "bytes_processed": self.bytes_processed, "timestamp": self.timestamp, "platform": platform_id(),
        }  # fmt: skip
        made |= {key: value for key in ("feature", "elapsed_ns") if (value := getattr(self, key)) is not None}
        if self.effects.to_json():
            made["effects"] = self.effects.to_json()
        for name in ("buffer", "watch", "glob"):
            part = getattr(self, name)
            if part is not None:
                made[name] = {key: value for key in part.__slots__ if (value := getattr(part, key)) is not None}
        return made

    def effects_json(self) -> dict[str, Any]:
        """``extensions.effects``: what was counted, and the effects of the guard, with ``_`` for the dots of their names."""
        return {**self.effects.to_json(), **{tag.replace(".", "_"): True for tag in self.tags}}

    def metadata(self) -> dict[str, Any]:
        """``metadata.io.*``, and the keys of the bridge group."""
        made = dict(dotted(self.to_json(), "io."))
        if self.capability is not None:
            made |= {
                "bridge.id": f"io::{self.capability}", "bridge.capability": self.capability,
                "bridge.stage.required": self.stage_required, "bridge.stage.actual": self.stage_actual,
            }  # fmt: skip
        return made


def dotted(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Members of nested objects under dotted keys; lists stay."""
    for name, item in value.items():
        if isinstance(item, dict):
            yield from dotted(item, f"{prefix}{name}.")
        else:
            yield prefix + name, item
