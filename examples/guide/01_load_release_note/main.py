"""Guide §1.4: a reader that lives as long as its callback, and an outcome that is logged on its way back, on the files of Core.IO."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml

CALLER = """
use Core.IO
use Core.Path

fn note(name: Str) -> Result<Bytes, IoError> = load_release_note(Path.path(name), IO.audit_sink())
"""


def load_release_note(path: Path, **options: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Run the block on *path* in a context with these *options*: its result, and the metadata of the records it left."""
    with reml.Context(**options) as context:
        guide.load_bindings(context, "01_load_release_note")
        block = guide.block_text("01_load_release_note")
        result = context.load(block + CALLER)["note"](str(path))
        records = [record["envelope"]["metadata"] for record in context.drain() if record["category"] == "core.io"]
        return result, records


def main() -> None:
    """Load a note that is there, one that is not, and one that may not be read."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note.md"
        note.write_text("# 1.0\n", encoding="utf-8")
        runs: list[tuple[Path, dict[str, Any]]] = [
            (note, {}),
            (Path(folder) / "missing.md", {}),
            (note, {"grants": []}),
        ]
        for path, options in runs:
            result, records = load_release_note(path, **options)
            print(type(result).__name__, result.value if isinstance(result, reml.Ok) else result.value.kind)
            for record in records:
                print(
                    " ",
                    *(
                        record.get(key, "-")
                        for key in ("event.kind", "io.operation", "io.helper", "io.bytes_processed")
                    ),
                )


if __name__ == "__main__":
    main()
