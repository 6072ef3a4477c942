"""Guide §1.4: a reader that lives as long as its callback, and an outcome that is logged on its way back."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml


@dataclass
class Files:
    """The host's files: opaque paths, readers and writers, and what happened in which order."""

    events: list[str] = field(default_factory=list)
    log: list[tuple[str, Any, Any]] = field(default_factory=list)

    def with_reader(self, path: Path, body: reml.Function) -> reml.Ok[Any] | reml.Err[Any]:
        self.events.append("with_reader")
        try:
            with path.open("rb") as file:
                return body(file)
        except OSError as error:
            return reml.Err(error)
        finally:
            self.events.append("closed")

    def copy_to(self, reader: Any, writer: bytearray) -> reml.Ok[bytes]:
        self.events.append("copy_to")
        writer += reader.read()
        return reml.Ok(bytes(writer))

    def bytes_writer(self, helper: str) -> bytearray:
        self.events.append(f"bytes_writer {helper}")
        return bytearray()

    def elapsed_since_start(self) -> reml.Duration:
        self.events.append("elapsed_since_start")
        return reml.Duration(time.monotonic_ns())

    def log_io(self, outcome: Any, op: str, path: Path | None, elapsed: reml.Duration, sink: list[Any]) -> Any:
        self.events.append("log_io")
        sink.append((op, path, type(outcome).__name__, elapsed))
        return outcome

    def offer(self, context: reml.Context) -> None:
        """Bind what bindings.reml declares."""
        context.bind("with_reader", self.with_reader)
        context.bind("Reader.copy_to", self.copy_to)
        context.bind("bytes_writer", self.bytes_writer)
        context.bind("elapsed_since_start", self.elapsed_since_start)
        context.bind("log_io", self.log_io)


def load_release_note(path: Path) -> tuple[Any, Files, list[Any]]:
    """Run the block on *path*: its result, what the host saw, and the audit sink."""
    files, sink = Files(), []
    with reml.Context() as context:
        guide.load_bindings(context, "01_load_release_note")
        files.offer(context)
        block = guide.load_block(context, "01_load_release_note")
        return block["load_release_note"](path, sink), files, sink


def main() -> None:
    """Load a note that is there and one that is not."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note.md"
        note.write_text("# 1.0\n", encoding="utf-8")
        for path in (note, Path(folder) / "missing.md"):
            result, files, sink = load_release_note(path)
            print(type(result).__name__, result.value if isinstance(result, reml.Ok) else type(result.value).__name__)
            print("  order:", ", ".join(files.events))
            print("  audit:", [(op, outcome) for op, _, outcome, _ in sink])


if __name__ == "__main__":
    main()
