"""
What collectors and shared cells did, counted: the ``collector.effect.*`` keys of records (CONTRACTS 7.4, 8).

A flag says that something happened, a number how often; ``mem_bytes`` alone counts bytes, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

#: Bytes of one slot of the runtime: a number, a flag, a reference.
SLOT_BYTES = 8
#: Keys of CONTRACTS 7.4 behind ``collector.effect.``.
PREFIX = "collector.effect."


@dataclass(slots=True)
class EffectSet:
    """
    The effects of one collector, or of one handle of a cell.

    Attributes:
        mem, mut, debug, async_pending, audit, cell, rc, transfer, io, io_blocking, io_async, security, time: did it happen?
        rc_ops: clones that raised a reference count. predicate_calls: questions asked of a filter. mem_bytes: bytes taken; see `byte_size`.
        mem_reservation: slots that were asked for in advance. reserve: how often they were. finish: how often it was finished.
        cell_mutations, time_calls, io_blocking_calls, io_async_calls, security_events: how often.
    """

    mem: bool = False
    mut: bool = False
    debug: bool = False
    async_pending: bool = False
    audit: bool = False
    cell: bool = False
    rc: bool = False
    rc_ops: int = 0
    transfer: bool = False
    predicate_calls: int = 0
    mem_bytes: int = 0
    io: bool = False
    io_blocking: bool = False
    io_async: bool = False
    security: bool = False
    time: bool = False
    mem_reservation: int = 0
    reserve: int = 0
    finish: int = 0
    cell_mutations: int = 0
    time_calls: int = 0
    io_blocking_calls: int = 0
    io_async_calls: int = 0
    security_events: int = 0

    def mark(self, *names: str) -> None:
        """
        Set flags by name: ``effects.mark("debug", "transfer")``.

        Raises:
            ValueError: one is no flag; nothing was set.
        """
        for name in names:
            if name not in FLAGS:
                raise ValueError(f"`{name}` is no effect flag; known: {', '.join(FLAGS)}")
        for name in names:
            setattr(self, name, True)

    def mark_mem(self, size: int = 0) -> None:
        """*size* bytes were taken."""
        self.mem = True
        self.mem_bytes += size

    def mark_mut(self) -> None:
        """Something was changed in place."""
        self.mut = True

    def mark_rc(self) -> None:
        """A reference count was raised."""
        self.rc = True
        self.rc_ops += 1

    def release_rc(self) -> None:
        """A reference count was lowered; that is no operation that is counted."""
        self.rc = True

    def mark_reserve(self, slots: int) -> None:
        """Room for *slots* items was asked for."""
        self.mem = True
        self.reserve += 1
        self.mem_reservation += slots

    def mark_cell(self) -> None:
        """A cell was written to."""
        self.cell = self.mut = True
        self.cell_mutations += 1

    def mark_predicate(self) -> None:
        """A filter was asked."""
        self.predicate_calls += 1

    def mark_time(self) -> None:
        """A clock was read."""
        self.time = True
        self.time_calls += 1

    def mark_io_blocking(self) -> None:
        """Input or output that made the caller wait."""
        self.io = self.io_blocking = True
        self.io_blocking_calls += 1

    def mark_io_async(self) -> None:
        """Input or output that was waited for."""
        self.io = self.io_async = True
        self.io_async_calls += 1

    def mark_security(self) -> None:
        """Something that a security policy looks at."""
        self.security = True
        self.security_events += 1

    def metadata(self) -> dict[str, Any]:
        """All of it as ``collector.effect.*``."""
        return {f"{PREFIX}{name}": getattr(self, name) for name in NAMES}


#: The names behind ``collector.effect.``, in the order of the contract, and those that are flags.
NAMES = tuple(member.name for member in fields(EffectSet))
FLAGS = tuple(member.name for member in fields(EffectSet) if member.type == "bool")


def byte_size(value: Any) -> int:
    """
    Bytes that *value* takes, as the runtime lays values out: a slot for each value, and the UTF-8 of texts, the bytes of bytes.

    ``byte_size(7) == 8``, ``byte_size("ab") == 10``, ``byte_size([1, 2]) == 24``. What Python keeps besides does not count. A container that
    is met again on the way counts its slot only.
    """
    total, stack, seen = 0, [value], set[int]()
    while stack:
        item = stack.pop()
        total += SLOT_BYTES
        if isinstance(item, str):
            total += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
        elif isinstance(item, bytes | bytearray):
            total += len(item)
        elif isinstance(item, dict | list | tuple | set | frozenset):
            if id(item) in seen:
                continue
            seen.add(id(item))
            stack.extend(item)
            if isinstance(item, dict):
                stack.extend(item.values())
    return total
