"""
The guide's flow from Python, with the audit record that each of its four calls leaves.

Then the same module once more as a function, called with arguments.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import reml_embed as reml

SOURCE = """\
module Embed.Sample

fn main() -> Str { "ok" }

fn price(count: Int, each: Float) -> Float = count.to_float() * each
"""


def main() -> None:
    """Create, load, run, dispose; a context manager does the first and the last."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.ndjson"
        with reml.Context(audit=log) as context:
            module = context.load(SOURCE)
            print(f"main says {context.run('main')!r}")
        for line in log.read_text(encoding="utf-8").splitlines():
            metadata = json.loads(line)["envelope"]["metadata"]
            if metadata["event.kind"] == "native.embed.call":
                entry, version = metadata["native.embed.entrypoint"], metadata["embed.abi.version"]
                print(f"record {metadata['audit.sequence']}: {entry} (ABI {version}): {metadata['embed.status']}")

    with reml.Context() as context:
        module = context.load(SOURCE)
        price = module["price"]
        print(f"price{price.signature} of 3 at 2.5 each: {price(3, 2.5)}")


if __name__ == "__main__":
    main()
