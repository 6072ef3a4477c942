"""For tests of programs that embed Reml; our own use it, too."""

from __future__ import annotations

import json
import re
from typing import Any


class MemorySink:
    """
    An audit sink that keeps what it gets: ``Context(audit=MemorySink())``.

    Attributes:
        lines: the records as they came.
        failing: while True it refuses everything, as a full disk would.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failing = False

    def write(self, line: str) -> None:
        """Take one record."""
        if self.failing:
            raise OSError("the sink was told to fail")
        self.lines.append(line)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records, parsed."""
        return [json.loads(line) for line in self.lines]

    def lifecycle(self) -> list[tuple[str, str]]:
        """(function, status) of each lifecycle call: ``("reml_run", "ok")``."""
        return [
            (metadata["native.embed.entrypoint"], metadata["embed.status"])
            for metadata in (record["envelope"]["metadata"] for record in self.records)
            if metadata["event.kind"] == "native.embed.call"
        ]


class Output:
    """Collects what scripts print: ``Context(output=Output())``; ``str()`` is all of it."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __call__(self, text: str) -> None:
        """Take one text."""
        self.parts.append(text)

    def __str__(self) -> str:
        return "".join(self.parts)


_CHANGING = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"
    r"|(?P<build>\b\d{8}T\d{6}Z(?:-[0-9A-Za-z]+)?)"
    r"|(?P<hash>\b[0-9a-f]{64}\b)"
    r"|(?P<ns>(?<=_ns\":)\d+)"
)


def normalised(text: str, ids: dict[str, str] | None = None) -> str:
    """
    *text* of records or diagnostics without what differs from run to run: ids, times, build ids, hashes, nanoseconds.

    Ids stay valid and stay different from each other: they are numbered as they appear. *ids* keeps the numbers for further texts of the
    same run.
    """
    known = {} if ids is None else ids

    def put(match: re.Match[str]) -> str:
        if match["uuid"]:
            return known.setdefault(match["uuid"], f"00000000-0000-4000-8000-{len(known) + 1:012d}")
        if match["time"]:
            return "2000-01-01T00:00:00Z"
        if match["ns"]:
            return "0"
        return "20000101T000000Z" if match["build"] else "0" * 64

    return _CHANGING.sub(put, text)
