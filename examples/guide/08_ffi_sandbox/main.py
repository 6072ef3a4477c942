"""Guide §11.2: a foreign call is an effect, and a handler answers it: nothing foreign is called, everything is logged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml
from reml_embed import effects

FOLDER = "08_ffi_sandbox"


class Sandbox:
    """The host: how requests are encoded, what the stub answers, the audit log."""

    def __init__(self, context: reml.Context) -> None:
        self.audited: list[tuple[str, dict[str, Any]]] = []
        guide.load_bindings(context, FOLDER)
        self.stubs = effects.Sandbox(context)
        context.bind("AuditLog.log", self.log)
        context.bind("encode", lambda request: json.dumps(request).encode())
        context.bind(
            "stub_response", lambda name, payload: json.dumps({"stub": name, "echo": payload.decode()}).encode()
        )
        context.bind("decode_response", self.decode)
        context.set_value("audit", self.audited)
        self.block = guide.load_block(context, FOLDER)

    def log(self, audit: list[tuple[str, dict[str, Any]]], event: str, value: dict[str, Any]) -> None:
        """What the block calls `audit.log`: the context's log gets the whole record of a stubbed call."""
        audit.append((event, value))
        self.stubs.log(audit, event, value)

    def decode(self, payload: bytes) -> reml.Ok[Any] | reml.Err[Any]:
        answer = json.loads(payload)
        return reml.Err("refused") if "refuse" in answer["echo"] else reml.Ok(answer)

    def send(self, request: dict[str, Any]) -> Any:
        """Run the block on a request."""
        return self.block["with_foreign_stub"](request)


def main() -> None:
    """One request that is answered, one that is refused."""
    with reml.Context() as context:
        sandbox = Sandbox(context)
        for request in ({"op": "ping"}, {"op": "refuse"}):
            print(sandbox.send(request))
        for event, value in sandbox.audited:
            print(event, value)
        for record in context.drain():
            metadata = record["envelope"]["metadata"]
            if metadata.get("ffi", {}).get("status") == "stubbed":
                print(metadata["event"]["stage"], metadata["event"]["capability"], metadata["ffi"]["library"])


if __name__ == "__main__":
    main()
