"""
Watching files (CONTRACTS 6.2): what was created, modified or deleted below some paths.

A `Watcher` is an iterator. It sees what happens from the moment it is made, keeps it in a queue, and hands it out one by one; each batch leaves a
``core.io.watch`` record. ``REML_WATCHER_BACKEND=poll`` looks every 100 ms instead of asking the system.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from reml_embed.audit.ids import now
from reml_embed.errors import require
from reml_embed.hostio.adapters import Host
from reml_embed.hostio.context import IoContext, PathLike, WatchStats, count_effects, shown
from reml_embed.hostio.errors import IoError, IoErrorKind
from reml_embed.hostio.paths import _text, check

BACKEND_VARIABLE: Final = "REML_WATCHER_BACKEND"
#: Between two looks of the polling backend.
POLL_MS: Final = 100
#: Events that are kept for audit (CONTRACTS 0.1).
AUDIT_EVENTS: Final = 64
#: Events that wait at most; what does not fit is counted.
QUEUE_MOST: Final = 1 << 16

EventKind = Literal["created", "modified", "deleted"]
_KINDS: Final[dict[int, EventKind]] = {1: "created", 2: "modified", 3: "deleted"}


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """
    Something happened to a path.

    Attributes:
        kind: ``created``, ``modified`` or ``deleted``. A file that is replaced whole is ``created`` or ``modified``.
    """

    kind: EventKind
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimits:
    """
    What a watcher does not do.

    Attributes:
        max_events_per_second: more wait, those of the same kind and path as one. None: no limit.
        max_depth: folders below a watched one that count, 0 to 255; 0: what is in it itself. None: all.
        exclude_patterns: globs of names, or of paths below the watched one (``*.tmp``, ``build/**``).
    """

    max_events_per_second: int | None = None
    max_depth: int | None = None
    exclude_patterns: tuple[str, ...] = ()

    def problem(self) -> str | None:
        """What is wrong with it."""
        rate, depth, patterns = self.max_events_per_second, self.max_depth, self.exclude_patterns
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or rate < 1):
            return f"max_events_per_second: expected 1 or more, got {rate!r}"
        if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= 255):
            return f"max_depth: expected 0 to 255, got {depth!r}"
        if not isinstance(patterns, tuple | list) or not all(isinstance(item, str) and item for item in patterns):
            return "exclude_patterns: expected a sequence of patterns"
        return None

    @property
    def any(self) -> bool:
        """Is anything limited?"""
        return self.max_events_per_second is not None or self.max_depth is not None or bool(self.exclude_patterns)


@dataclass(frozen=True, slots=True)
class WatcherAuditSnapshot:
    """
    What a watcher saw.

    Attributes:
        paths: what is watched. events_total: handed out. events: the last 64: ``{kind, path, queue_size, delay_ns, timestamp}``.
    """

    paths: tuple[str, ...]
    events_total: int
    events: tuple[dict[str, Any], ...]

    def metadata(self) -> dict[str, Any]:
        """``metadata.io.watch.*``."""
        return {
            "io.watch.paths": list(self.paths), "io.watch.events_total": self.events_total, "io.watch.events": [dict(row) for row in self.events],
        }  # fmt: skip


class Watcher:
    """
    Sees changes; made by `watch`. Close it, or use it as a context manager; closing from another thread ends the iteration.

    Attributes:
        dropped: events that did not fit in the queue.
        closed: is it?
    """

    def __init__(self, roots: list[str], limits: WatchLimits, host: Host, helper: str | None, *, poll: bool) -> None:
        self._roots, self._limits, self._host, self._helper = roots, limits, host, helper
        self._glob = require("wcmatch.glob", "ops")
        watchfiles = require("watchfiles", "ops")
        self._stop = threading.Event()
        self._waiting: OrderedDict[tuple[EventKind, str], int] = OrderedDict()  # → when it was seen
        self._audited: deque[dict[str, Any]] = deque(maxlen=AUDIT_EVENTS)
        self._total = self.dropped = 0
        self._lock = threading.RLock()
        self._handed: deque[float] = deque()  # when the events of the last second were handed out
        self.closed = False
        self._changes = watchfiles.watch(
            *roots, watch_filter=None, debounce=50, step=10, stop_event=self._stop, rust_timeout=POLL_MS, yield_on_timeout=True,
            raise_interrupt=True, force_polling=poll, poll_delay_ms=POLL_MS, recursive=limits.max_depth != 0,
            ignore_permission_denied=True,
        )  # fmt: skip
        self._take(next(self._changes, set()))  # from here on it watches

    # --- what is seen -----------------------------------------------------------------------------------------------------

    def _wanted(self, name: str) -> bool:
        for root in self._roots:
            if name == root:
                return True
            if name.startswith(root.rstrip("/") + "/"):
                below = name[len(root.rstrip("/")) + 1 :]
                if self._limits.max_depth is not None and below.count("/") > self._limits.max_depth:
                    continue
                flags = self._glob.GLOBSTAR | self._glob.CASE | self._glob.DOTGLOB | self._glob.MATCHBASE
                patterns = list(self._limits.exclude_patterns)
                if not (patterns and self._glob.globmatch(below, patterns, flags=flags)):
                    return True
        return False

    def _take(self, changes: Iterable[tuple[int, str]]) -> None:
        seen = time.monotonic_ns()
        for change, name in sorted((int(kind), name) for kind, name in changes):
            key = (_KINDS[change], name)
            if key in self._waiting or not self._wanted(name):
                continue
            if len(self._waiting) >= QUEUE_MOST:
                self.dropped += 1
                continue
            self._waiting[key] = seen

    def _allowed(self) -> int:
        """How many may be handed out now."""
        rate = self._limits.max_events_per_second
        if rate is None:
            return len(self._waiting)
        at = time.monotonic()
        while self._handed and at - self._handed[0] >= 1:
            self._handed.popleft()
        return min(len(self._waiting), rate - len(self._handed))

    def take(self, timeout: float | None = None) -> list[WatchEvent]:
        """
        The events that wait, once there are some; none when *timeout* seconds pass, or when it is closed.

        Raises:
            IoError: ``core.io.watcher_error``; not allowed any more.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if self.closed:
                    return []
                count = self._allowed()
                if count > 0:
                    return self._hand_out(count)
                if end is not None and time.monotonic() >= end:
                    return []
                about = self._host.begin("watch.events", self._roots[0], self._helper)
                with self._host.failures(about):
                    try:
                        self._take(next(self._changes))
                    except StopIteration:
                        return []
                    except RuntimeError as error:  # what the backend says
                        raise IoError(
                            IoErrorKind.InvalidInput, str(error), about, code="core.io.watcher_error"
                        ) from error

    def _hand_out(self, count: int) -> list[WatchEvent]:
        context = self._host.begin("watch.events", self._roots[0], self._helper)
        queue, oldest = len(self._waiting), next(iter(self._waiting.values()))
        at = time.monotonic_ns()
        stats = context.watching()
        stats.queue_size, stats.delay_ns = queue, at - oldest
        self._host.watcher.recheck("watcher.fschange", context)
        self._fill_stage(context)
        rows, events = [], []
        for _ in range(count):
            (kind, name), seen = self._waiting.popitem(last=False)
            rows.append(
                {"kind": kind, "path": shown(name), "queue_size": queue, "delay_ns": at - seen, "timestamp": now()}
            )
            events.append(WatchEvent(kind, Path(name)))
            queue -= 1
            self._handed.append(at / 1e9)
        if self._limits.max_events_per_second is None:
            self._handed.clear()
        self._audited.extend(rows)
        self._total += len(rows)
        count_effects(io=True, io_async=True, io_async_calls=1)
        stats.paths = [shown(root) for root in self._roots]
        stats.events_total, stats.events = self._total, rows[-AUDIT_EVENTS:]
        stats.dropped = self.dropped or None
        context.take_effects()
        self._host.trail.done(context)
        return events

    def _fill_stage(self, context: IoContext) -> None:
        context.stage_required, context.stage_actual, context.tags = self._stage

    _stage: tuple[str | None, str | None, tuple[str, ...]] = (None, None, ())

    def __iter__(self) -> Iterator[WatchEvent]:
        """Events, until it is closed."""
        while not self.closed:
            yield from self.take()

    def snapshot(self) -> WatcherAuditSnapshot:
        """What it saw so far."""
        with self._lock:
            return WatcherAuditSnapshot(
                tuple(shown(root) for root in self._roots), self._total, tuple(dict(row) for row in self._audited)
            )

    def close(self) -> None:
        """Stop watching; a record with the snapshot is written. Again: nothing. Any thread may do it."""
        self._stop.set()
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._changes.close()
            context = self._host.begin("watch.stop", self._roots[0], self._helper)
            self._fill_stage(context)
            context.effects.io = True
            found = self.snapshot()
            context.watch = WatchStats(
                len(self._waiting), 0, list(found.paths), found.events_total, list(found.events), self.dropped or None
            )
            self._host.trail.done(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Watcher {', '.join(map(shown, self._roots))}{' (closed)' if self.closed else ''}>"


def _polls(context: IoContext) -> bool:
    backend = os.environ.get(BACKEND_VARIABLE, "")
    if backend not in ("", "native", "poll"):
        words = f"{BACKEND_VARIABLE}: expected `poll` or `native`, got {backend!r}"
        raise IoError(IoErrorKind.InvalidInput, words, context, code="core.io.watcher_error")
    return backend == "poll"


def watch(
    paths: Iterable[PathLike] | PathLike, limits: WatchLimits | None = None, *, host: Host | None = None, helper: str | None = None,
) -> Watcher:  # fmt: skip
    """
    Watch files and folders; with folders below them unless ``limits.max_depth`` is 0.

    Raises:
        IoError: NotFound; InvalidInput: no path, or limits that are none; UnsupportedPlatform; refused: of ``watcher.recursive`` and
            ``watcher.resource_limits`` only where they are needed. PathSecurityError: the host's policy.
    """
    home, chosen = host or Host(), limits or WatchLimits()
    given = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
    first = given[0] if given else None
    started: list[IoContext] = []
    for operation in _operations(chosen):
        context = home.begin(operation, first, helper)
        context.effects.io = True
        started.append(home.guard(context))
        context.take_effects()
    about = started[0]
    with home.failures(about):
        problem = chosen.problem() or (None if given else "no path to watch")
        if problem is not None:
            raise IoError(IoErrorKind.InvalidInput, problem, about, code="core.io.watcher_error")
        roots = []
        for item in given:
            text = _text(item)
            if home.policy is not None:
                home.fs.ensure("ensure_security_policy", about)
                text = str(check(text, home.policy))
            roots.append(os.path.realpath(text, strict=True))
        try:
            watcher = Watcher(roots, chosen, home, helper, poll=_polls(about))
        except RuntimeError as error:  # what the backend says
            raise IoError(IoErrorKind.InvalidInput, str(error), about, code="core.io.watcher_error") from error
    watcher._stage = (about.stage_required, about.stage_actual, about.tags)
    shown_roots = [shown(root) for root in roots]
    try:
        for context in started:
            context.watching().paths = shown_roots
            home.trail.done(context)
    except BaseException:
        watcher._stop.set()
        watcher._changes.close()
        raise
    return watcher


def _operations(limits: WatchLimits) -> list[str]:
    """What is guarded: each feature that is needed."""
    found = ["watch.start"]
    if limits.max_depth != 0:
        found.append("watch.recursive")
    if limits.any:
        found.append("watch.resource_limits")
    return found
