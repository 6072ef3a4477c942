"""
Guide §10 (SSE pipeline): the script's feeder awaits the host's event stream, the host pumps what it yields.

A server on this machine sends server-sent events. ``sse_client.fetch`` is an ``async def``: its coroutine runs while the script waits. The
native ``run_stream_async`` calls the script's feeder, awaits the future that it answers and reads the ``Poll``: a chunk is
parsed, ``Pending`` is tried again after its time, an error ends the stream.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import guide

import reml_embed as reml

FOLDER = "07_sse_stream"
DEMAND = {"min_bytes": 1, "preferred_bytes": None, "frame_boundary": None}


@dataclass
class FetchError:
    """Why a fetch did not go well; opaque to the script, which asks its methods."""

    kind: str
    message: str
    is_retryable: bool


class EventServer(ThreadingHTTPServer):
    """An HTTP server in threads of its own that sends *events*; the first *refuse* requests are told to come back later."""

    daemon_threads = True

    def __init__(self, events: list[str], refuse: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), EventRequest)
        self.events, self.refuse = events, refuse
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class EventRequest(BaseHTTPRequestHandler):
    """One client of the stream."""

    server: EventServer

    def do_GET(self) -> None:
        """Send the events, a write and a pause for each."""
        if self.server.refuse:
            self.server.refuse -= 1
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in self.server.events:
            self.wfile.write(f"data: {event}\n\n".encode())
            time.sleep(0.005)

    def log_message(self, *_: object) -> None:
        """Quietly."""


class SseClient:
    """Reads an event stream as the script asks for bytes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stream: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def fetch(self, size: int) -> reml.Ok[bytes] | reml.Err[FetchError]:
        """At most *size* bytes of the body; none at its end."""
        try:
            if self.stream is None:
                await self.connect()
            data = await self.stream.read(size) if self.stream else b""
        except ConnectionError as error:
            return reml.Err(FetchError("http", str(error), is_retryable="503" in str(error)))
        if not data:
            await self.close()
        return reml.Ok(data)

    async def connect(self) -> None:
        """Ask for the events."""
        stream, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(b"GET /events HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
        status = (await stream.readuntil(b"\r\n\r\n")).decode().split()[1]
        if status != "200":
            await self.close()
            raise ConnectionError(f"status {status}")
        self.stream = stream

    async def close(self) -> None:
        """Hang up."""
        if self.writer is not None:
            self.writer.close()
            await self.writer.wait_closed()
            self.writer = None


@dataclass
class EventsParser:
    """Cuts ``data:`` lines out of what has come so far."""

    events: list[str] = field(default_factory=list)
    rest: bytes = b""

    def feed(self, data: bytes) -> None:
        """Take a chunk, which may end anywhere."""
        *whole, self.rest = (self.rest + data).split(b"\n\n")
        self.events += [block.removeprefix(b"data: ").decode() for block in whole]


class Host:
    """The native side of the stream runner."""

    def __init__(self, context: reml.Context, client: SseClient) -> None:
        self.parser = EventsParser()
        self.logged: list[Any] = []
        self.polls: list[str] = []
        self.config: Any = None
        self.task: Any = None
        self.failure: str | None = None
        _, streaming, _ = guide.load_bindings(context, "05_game_loop", FOLDER)
        self.event = streaming.type("StreamEvent")
        functions: dict[str, Callable[..., Any]] = {
            "Logger.json": lambda log, value: log.append(value),
            "SseClient.fetch": SseClient.fetch,
            "FetchError.is_retryable": lambda error: error.is_retryable,
            "FetchError.kind": lambda error: error.kind,
            "FetchError.message": lambda error: error.message,
            "HostRuntime.executor": lambda runtime: f"{runtime} loop",
            "run_stream_async": self.run_stream_async,
            "pump_stream": self.pump,
        }
        glue = context.load(Path(__file__).with_name("glue.reml"))
        for name, function in functions.items():
            context.bind(name, function)
        self.start, self.stop = glue["start_stream"], glue["stop_stream"]
        for name, value in {
            "log": self.logged,
            "sse_client": client,
            "eventsParser": self.parser,
            "runtime": "asyncio",
            "shutdown_token": asyncio.Event(),
        }.items():
            context.set_value(name, value)
        guide.load_block(context, FOLDER)

    def run_stream_async(self, parser: EventsParser, feeder: reml.Function, config: Any) -> Any:
        """What the block calls: a Task of the script for the coroutine below."""
        self.config = config
        self.task = self.start(parser, feeder, config)
        return self.task

    async def pump(self, parser: EventsParser, feeder: reml.Function, config: Any) -> dict[str, int]:
        """Until the stream ends: demand, await the feeder's future, do what its ``Poll`` says."""
        chunks = 0
        while True:
            poll = await feeder(DEMAND)
            self.polls.append(type(poll).__name__)
            if type(poll).__name__ == "Pending":
                await asyncio.sleep(poll.wake.value.nanoseconds / 1e9)
                continue
            answer = poll.value
            if type(answer).__name__ == "Error":
                error = answer.value
                config.diagnostics(
                    self.event.Error(
                        code=error.kind,
                        message=error.detail,
                        meta={"consumed_bytes": chunks, "resume_count": 0, "lag": None},
                    )
                )
                self.stop(self.task)  # whoever joins the task is answered an error
                return {"chunks": chunks}
            if type(answer).__name__ == "Closed" or not answer.value:
                return {"chunks": chunks}
            parser.feed(answer.value)
            chunks += 1
            config.diagnostics(self.event.Progress(consumed=len(answer.value)))


def stream(events: list[str], *, refuse: int = 0, port: int | None = None) -> Host:
    """Run the block against a server; *port*: another one than it has."""
    with EventServer(events, refuse) as server, reml.Context() as context:
        host = Host(context, SseClient(server.server_port if port is None else port))
        try:
            context.run("")  # the module starts the stream and joins it: initialisation waits for the network
        except reml.RunError as error:
            host.failure = error.code
        return host


def main() -> None:
    """A stream whose server is busy at first, then one whose server is not there."""
    host = stream(["ready", "price 12", "price 13", "done"], refuse=2)
    print("events:", host.parser.events)
    print("polls:", host.polls[:3], "…")
    print("bytes:", sum(event.consumed for event in host.logged))
    host = stream([], port=1)
    print("without a server:", host.failure, [event.code for event in host.logged])


if __name__ == "__main__":
    main()
