"""
The boundary *cloud API / REST* of the guide's table: effects ``network, audit``; signature, retry, traced by ``audit_id``.

One call of the script is one audit id. It is sent as a header and covered by the signature, and every record of the call carries it:
whoever reads the log of the shop finds the call in ours.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import reml_embed as reml
from reml_embed.audit import AuditContext, ContextSink, new_id

HERE = Path(__file__).resolve().parent
CAPABILITY = "net.http.client"
ATTEMPTS = 4
FIRST_WAIT_S = 0.01  # doubled after each attempt


def signature(secret: bytes, method: str, path: str, audit_id: str, body: bytes) -> str:
    """HMAC-SHA256 over all that the other side acts upon."""
    digest = hashlib.sha256(body).hexdigest()
    text = f"{method}\n{path}\n{audit_id}\n{digest}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


@dataclass
class SignedClient:
    """The host's side: signs, retries what may be retried, records each attempt and the outcome."""

    url: str
    secret: bytes
    audit: AuditContext
    sleep: Callable[[float], object] = time.sleep
    timeout_s: float = 5

    def post_order(self, order: Any) -> reml.Ok[Any] | reml.Err[Any]:
        """What the script calls: one audit id for all attempts."""
        audit_id, body = new_id(), json.dumps({"sku": order.sku, "quantity": order.quantity}).encode()
        for attempt in range(1, ATTEMPTS + 1):
            status, answer = self.send("POST", "/orders", body, audit_id)
            self.record("rest.attempt", audit_id, attempt, status)
            if status < 500 or attempt == ATTEMPTS:
                break
            self.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
        self.record("rest.call", audit_id, attempt, status)
        if status == 201:
            return reml.Ok({"id": answer["id"], "attempts": attempt})
        return reml.Err({"status": status, "attempts": attempt, "reason": answer["error"]})

    def send(self, method: str, path: str, body: bytes, audit_id: str) -> tuple[int, dict[str, Any]]:
        """One attempt; a server that is not there is a 503, too."""
        headers = {
            "Content-Type": "application/json",
            "X-Audit-Id": audit_id,
            "X-Signature": signature(self.secret, method, path, audit_id, body),
        }
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, {"error": error.reason}
        except OSError:
            return 503, {"error": "nobody answers"}

    def record(self, kind: str, audit_id: str, attempt: int, status: int) -> None:
        """A record under the id of the call."""
        payload = {"method": "POST", "path": "/orders", "attempt": attempt, "status": status}
        self.audit.log(kind, payload, category="rest", capability=CAPABILITY, audit_id=audit_id,
                       metadata={"rest.status": status, "rest.attempt": attempt, "effect.tags": ["audit", "network"]})  # fmt: skip


@dataclass
class Shop:
    """The other side, on this machine: refuses what is not signed, and fails the first attempts of each call."""

    secret: bytes
    failures: int = 2
    seen: dict[str, int] = field(default_factory=dict)  # audit id → attempts

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and body of the reply to a POST."""
        audit_id = headers.get("X-Audit-Id", "")
        wanted = signature(self.secret, "POST", path, audit_id, body)
        if not hmac.compare_digest(wanted, headers.get("X-Signature", "")):
            return 401, {"error": "bad signature"}
        self.seen[audit_id] = self.seen.get(audit_id, 0) + 1
        if self.seen[audit_id] <= self.failures:
            return 503, {"error": "busy"}
        return 201, {"id": f"order-{len(self.seen)}"}

    @contextmanager
    def open(self) -> Iterator[str]:
        """Serve, and say where."""
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = shop.answer(self.path, self.headers, body)
                text = json.dumps(answer).encode()
                self.send_response(status, answer.get("error"))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """The audit log tells."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


def run(
    url: str, secret: bytes, log: Path, *orders: tuple[str, int], sleep: Callable[[float], object] = time.sleep
) -> list[str]:
    """Let the script place *orders*; what it reports."""
    with reml.Context(audit=log, grants={CAPABILITY}) as context:
        client = SignedClient(url, secret, AuditContext(ContextSink(context)), sleep)
        context.bind(
            "post_order", client.post_order, capability=CAPABILITY, stage="at_least:experimental", effects=["net"]
        )
        module = context.load(HERE / "orders.reml")
        return [module["report"](sku, quantity) for sku, quantity in orders]


def calls(log: Path) -> dict[str, list[str]]:
    """Audit id → what happened under it, in the order of the log."""
    found: dict[str, list[str]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        envelope = json.loads(line)["envelope"]
        keys = envelope["metadata"]
        if keys["event.kind"].startswith("rest."):
            found.setdefault(envelope["audit_id"], []).append(f"{keys['event.kind']} {keys['rest.status']}")
    return found


def main() -> None:
    """An order that needs three attempts, one that is none, one with the wrong key, one to a shop that is closed."""
    shop = Shop(secret=b"shared with the shop")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.ndjson"
        with shop.open() as url:
            print(*run(url, shop.secret, log, ("tea", 3), ("air", 0)), sep="\n")
            print(*run(url, b"another key", log, ("silk", 1)), sep="\n")
        print(*run(url, shop.secret, log, ("salt", 2)), sep="\n")
        for audit_id, events in calls(log).items():
            print(f"  {', '.join(events)}; the shop knows the id: {audit_id in shop.seen}")
        print("  log:", reml.audit.verify(log).verdict)


if __name__ == "__main__":
    main()
