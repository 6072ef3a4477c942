"""Guide §6: a record that the host builds goes in, a line of the structured log comes out, and Prometheus sees it."""

from __future__ import annotations

import io
import json
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml
from reml_embed.audit import StructuredLog
from reml_embed.metrics import RuntimeMetrics


class Logger:
    """The host's own logger, which writes structured lines; the script only holds it."""

    def __init__(self) -> None:
        self.lines = io.StringIO()
        self.log = StructuredLog(self.lines)

    def json(self, value: dict[str, Any]) -> None:
        self.log.json(value)


def emit(event: str, audit_id: uuid.UUID | None, custom: dict[str, Any]) -> dict[str, Any]:
    """Run the block once: what the logger received."""
    logger = Logger()
    with reml.Context() as context:
        guide.load_bindings(context)
        context.bind("Logger.json", Logger.json)
        context.set_value("log", logger)
        block = guide.load_block(context, "03_metrics")
        metrics = block.type("RuntimeMetrics")(
            latency_ms=1.5, throughput_per_min=120.0, error_rate=0.25, last_audit_id=audit_id, custom=custom
        )
        block["emit_metrics"](event, metrics)
    return json.loads(logger.lines.getvalue())


def main() -> None:
    """One event with an audit id, one without."""
    for audit_id in (uuid.UUID(int=7), None):
        line = emit("runtime.tick", audit_id, {"workers": 4, "queue": ["a", "b"]})
        # The line is the record that hosts emit themselves: it reads back as one.
        assert RuntimeMetrics.from_payload(line).payload("runtime.tick") == line
        print(json.dumps(line, sort_keys=True))


if __name__ == "__main__":
    main()
