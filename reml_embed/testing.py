"""For tests of programs that embed Reml; our own use it, too."""

from __future__ import annotations

import json
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
