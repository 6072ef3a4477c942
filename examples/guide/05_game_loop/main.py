"""
Guide §10 (game hot reload, push): the driver is a struct of the script, and the host pumps files through it.

Each tick the loop calls the script's closure: it adjusts the flow in place and pumps. A pump takes what the watcher has, parses it,
and tells the driver's own `sink`: a whole scene, or how many bytes more are wanted.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml


class GameLoop:
    """Calls back once a frame."""

    def __init__(self) -> None:
        self.bodies: list[reml.Function] = []

    def tick(self, dt: reml.Duration) -> None:
        for body in self.bodies:
            body(dt)


class Engine:
    """The host: a watcher that yields chunks of files, a parser of scenes, a logger, an audit log."""

    def __init__(self, context: reml.Context) -> None:
        self.context = context
        self.chunks: deque[bytes] = deque()
        self.scenes: list[tuple[str, int]] = []
        self.trace: list[tuple[str, Any]] = []
        self.audited: list[tuple[str, Any]] = []
        self.loop = GameLoop()
        self.buffer = b""
        self.consumed = 0
        _, bindings = guide.load_bindings(context, "05_game_loop")
        self.outcome = bindings.type("StreamOutcome")
        self.event = bindings.type("StreamEvent")
        for name, function in {
            "AssetWatcher.feeder": lambda watcher: watcher,
            "initial_meta": self.meta,
            "apply_scene_update": lambda scene, meta: self.scenes.append((scene, meta.consumed_bytes)),
            "Logger.trace": lambda log, event, value: log.append((event, value)),
            "AuditLog.log": lambda audit, event, value: audit.append((event, value)),
            "GameLoop.on_tick": lambda loop, body: loop.bodies.append(body),
            "FlowController.adjust": self.adjust,
            "StreamDriver.pump": self.pump,
        }.items():
            context.bind(name, function)
        for name, value in {
            "log": self.trace,
            "audit": self.audited,
            "assetWatcher": self.chunks,
            "game_loop": self.loop,
            "sceneParser": self.parse,
        }.items():
            context.set_value(name, value)

    def meta(self) -> dict[str, Any]:
        return {"consumed_bytes": self.consumed, "resume_count": 0, "lag": None}

    def parse(self, data: bytes) -> tuple[str, bytes] | None:
        """A scene is a line."""
        line, end, rest = data.partition(b"\n")
        return (line.decode(), rest) if end else None

    def adjust(self, flow: Any, dt: reml.Duration) -> dict[str, Any]:
        """A slow frame halves what may wait."""
        high = flow.high_watermark // 2 if dt > reml.Duration(20_000_000) else flow.high_watermark
        return {"mode": flow.mode, "high_watermark": high, "low_watermark": flow.low_watermark, "policy": flow.policy}

    def pump(self, driver: Any) -> None:
        """Move what the feeder has, up to the watermark, through the parser into the sink."""
        try:
            while driver.feeder and len(self.buffer) < driver.flow.high_watermark:
                self.buffer += driver.feeder.popleft()
            while (parsed := driver.parser(self.buffer)) is not None:
                scene, rest = parsed
                self.consumed += len(self.buffer) - len(rest)
                self.buffer = rest
                driver.sink(self.outcome.Completed(value=scene, meta=self.meta()))
        except UnicodeDecodeError as error:
            self.buffer = b""
            driver.on_diagnostic(self.event.Error(code="scene.encoding", message=error.reason, meta=self.meta()))
            return
        if self.buffer:
            driver.sink(
                self.outcome.Pending(
                    continuation={"meta": {"resume_hint": None, "expected_tokens": ["newline"]}},
                    demand={"min_bytes": 1, "preferred_bytes": None, "frame_boundary": None},
                    meta=self.meta(),
                )
            )


def main() -> None:
    """Three frames: half a scene, the rest and another one, broken bytes in a slow frame."""
    with reml.Context() as context:
        engine = Engine(context)
        block = guide.load_block(context, "05_game_loop")
        context.run("")  # the empty entry: the module makes the driver and registers its closure
        driver = block.value("driver")
        for milliseconds, chunks in ((16, [b"level"]), (16, [b" one\nlevel two\n"]), (33, [b"\xff\n"])):
            engine.chunks.extend(chunks)
            engine.loop.tick(reml.Duration(milliseconds * 1_000_000))
            print(f"{milliseconds} ms: scenes {engine.scenes}, high watermark {driver.flow.high_watermark}")
        print("pending:", [(event, demand.min_bytes) for event, demand in engine.trace])
        print("audited:", [(event, value.code) for event, value in engine.audited])


if __name__ == "__main__":
    main()
