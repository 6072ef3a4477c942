"""
Guide §10 (incremental analysis in an editor, pull): the driver belongs to the host, the script changes it in place.

A difference asks for more input. Without a parked continuation the function ends after switching the flow (``None``); with one it is
resumed, and the driver's own ``on_diagnostic`` hears of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml

MODES = "05_game_loop"  # the streaming types are those of the game loop


class Editor:
    """The host: a cache of file chunks, a driver, and what was resumed and reported."""

    def __init__(self, context: reml.Context, *, parked: bool) -> None:
        self.events: list[Any] = []
        self.outcomes: list[Any] = []
        self.resumed: list[tuple[Any, bytes]] = []
        _, streaming, _ = guide.load_bindings(context, MODES, "06_handle_diff")
        context.bind("FlowController.with_mode", self.with_mode)
        context.bind("FileCache.patch_and_slice", lambda cache, diff: {"bytes": cache[: diff.span.bytes]})
        context.bind("resume", self.resume)
        context.set_value("file_cache", b"let x = 1\nlet y = 2\n")
        manual = streaming.type("FlowPolicy").Manual()
        context.set_value(
            "driver",
            {
                "parser": "ast",
                "feeder": "editor",
                "sink": context.callback("(StreamOutcome<Ast>) -> ()", self.outcomes.append),
                "flow": {"mode": "push", "high_watermark": 8, "low_watermark": 2, "policy": manual},
                "on_diagnostic": context.callback("(StreamEvent) -> ()", self.events.append),
                "state": self.continuation(["statement"]) if parked else None,
                "meta": {"consumed_bytes": 0, "resume_count": 0, "lag": None},
            },
        )
        self.block = guide.load_block(context, "06_handle_diff")
        self.driver = context.value("driver")

    def continuation(self, tokens: list[str]) -> dict[str, Any]:
        return {"meta": {"resume_hint": None, "expected_tokens": tokens}}

    def with_mode(self, flow: Any, mode: str) -> dict[str, Any]:
        return {"mode": mode, "high_watermark": flow.high_watermark, "low_watermark": flow.low_watermark,
                "policy": flow.policy}  # fmt: skip

    def resume(self, continuation: Any, more: bytes) -> dict[str, Any]:
        self.resumed.append((continuation, more))
        return self.continuation(["expression", "end of file"])

    def handle(self, size: int) -> Any:
        """What the block answers for a difference of *size* bytes."""
        return self.block["handle_diff"]({"span": {"bytes": size}})


def main() -> None:
    """Once without a continuation, once with one."""
    for parked in (False, True):
        with reml.Context() as context:
            editor = Editor(context, parked=parked)
            print("answer:", editor.handle(9), "- mode:", editor.driver.flow.mode)
            print("  resumed with:", [more for _, more in editor.resumed])
            print("  reported:", [(event.reason, event.meta.expected_tokens) for event in editor.events])


if __name__ == "__main__":
    main()
