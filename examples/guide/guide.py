"""What the guide's examples share: loading a block with its bindings."""

from __future__ import annotations

from pathlib import Path

import reml_embed as reml

HERE = Path(__file__).resolve().parent


def load_bindings(context: reml.Context, *folders: str) -> list[reml.Module]:
    """The shared bindings and those of *folders*, visible to what is loaded after them without ``use``."""
    files = [HERE / "shared.reml", *(HERE / folder / "bindings.reml" for folder in folders)]
    return [context.load(file, ambient=True) for file in files]


def block_file(folder: str) -> Path:
    """The guide's block itself, as it is printed there."""
    return HERE / folder / f"{folder.split('_', 1)[1]}.reml"


def block_text(folder: str) -> str:
    """Its text."""
    return block_file(folder).read_text(encoding="utf-8")


def load_block(context: reml.Context, folder: str) -> reml.Module:
    """Load it."""
    return context.load(block_file(folder))
