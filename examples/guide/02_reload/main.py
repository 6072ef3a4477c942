"""Guide §2: a declaration without a body is a function of the host, for the script and for the host alike."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml

SIGNATURE = "(Parser<Int>, ReloadState<Int>, SchemaDiff<Old, New>) -> Result<ReloadState<Int>, ReloadError>"
CALLER = """\
fn twice(parser: Parser<Int>, state: ReloadState<Int>, diff: SchemaDiff<Old, New>) -> Result<ReloadState<Int>, ReloadError> {
  let first = reload(parser, state, diff)?
  reload(parser, first, diff)
}
"""


@dataclass
class State:
    """What a reload carries over."""

    generation: int


def reload(parser: Any, state: State, diff: dict[str, Any]) -> reml.Ok[State] | reml.Err[str]:
    """A generation more, unless the difference takes something away."""
    if diff.get("removed"):
        return reml.Err(f"{parser}: cannot remove {diff['removed']}")
    return reml.Ok(State(state.generation + 1))


def main() -> None:
    """Call the block's function from the host and from a script, bound and unbound."""
    with reml.Context() as context:
        guide.load_bindings(context, "02_reload")
        context.load(guide.block_text("02_reload") + CALLER)  # private to its module, so the caller joins it
        entry = context.function("reload", SIGNATURE)
        try:
            entry("parser", State(0), {})
        except reml.RunError as error:
            print("unbound:", error.code)
        context.bind("reload", reload)
        print("from the host:", entry("parser", State(0), {}))
        print("from a script:", context.function("twice")("parser", State(0), {}))
        print("refused:", entry("parser", State(0), {"removed": "rate"}))


if __name__ == "__main__":
    main()
