"""Guide §9.1: defaults of a record are Reml's; the host sees them filled in, for every T."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml


def run(parser: Any, data: bytes, of: str) -> tuple[Any, list[Any]]:
    """Run the block at the type *of*; its result, and the configurations that the host saw."""
    seen: list[Any] = []
    with reml.Context() as context:
        guide.load_bindings(context, "04_run_wasi")

        def wasm_run(parser: Any, data: bytes, config: Any) -> Any:
            seen.append(config)
            try:
                return reml.Ok(parser(data))
            except ValueError as error:
                return reml.Err({"severity": "error", "code": "wasi.input", "message": str(error), "notes": []})

        context.bind("wasm_run", wasm_run)
        guide.load_block(context, "04_run_wasi")
        entry = context.function("run_wasi", f"(Parser<{of}>, Bytes) -> Result<{of}, Diagnostic>")
        return entry(parser, data), seen


def main() -> None:
    """The same function at two types, and an input that the parser refuses."""
    for parser, data, of in ((int, b"42", "Int"), (bytes.decode, b"text", "Str"), (int, b"x", "Int")):
        result, seen = run(parser, data, of)
        print(result, seen[0])


if __name__ == "__main__":
    main()
