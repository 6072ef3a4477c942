"""
Pipelines: one input on its way through a command, as records (CONTRACTS 3.2, 3.4).

``pipeline_started`` at the start and exactly one of ``pipeline_completed`` and ``pipeline_failed`` at the end, whatever happens in
between. A source with errors completes: what failed then is its exit code. A pipeline fails when its work itself could not be done.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Any, Final

from reml_embed.audit.ids import now
from reml_embed.diagnostics.catalog import Entry, code_of, register_catalog
from reml_embed.diagnostics.emission import Log
from reml_embed.diagnostics.shape import Json
from reml_embed.errors import RemlError

CAPABILITY: Final = "core.diagnostics"

#: The stage that pipelines ask of `CAPABILITY`, and the one that it has.
STAGES: Final = ("at_least:beta", "stable")

register_catalog("pipeline", {
    "cli.input.unreadable": Entry("the input cannot be read"),
    "cli.output.closed": Entry("whoever read the output has gone"),
    "cli.usage": Entry("the command was not used rightly"),
    "cli.terminated": Entry("the command was told to end"),
})  # fmt: skip


def error_of(error: BaseException) -> tuple[str, str]:
    """Code and message of what ended a pipeline."""
    message = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, RemlError):
        return code_of(error), error.message
    if isinstance(error, KeyboardInterrupt):
        return "runtime.interrupted", "interrupted"
    if isinstance(error, MemoryError):
        return "runtime.limit.memory", "out of memory"
    if isinstance(error, BrokenPipeError):
        return "cli.output.closed", "whoever read the output has gone"
    if isinstance(error, SystemExit):
        return "cli.terminated", f"ended with {error.code}"
    if isinstance(error, OSError) and error.filename is not None:
        return "cli.input.unreadable", f"{error.filename}: {error.strerror}"
    return "host.call.failed", f"{type(error).__name__}: {message}"


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until this is left, so that a record is written once, and is known to be."""
    waiting: list[tuple[int, FrameType | None]] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: waiting.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        before(*waiting[0])


class Pipeline:
    """
    Records of one pipeline. Use it in a ``with`` block; `finish` says how it ended, an exception says that it failed.

    Args:
        log: where records go; None: nowhere.
        path: of the input, as it was given: ``pipeline.id`` is ``dsl://<path>``.
        metadata: further keys of its records: ``cli.command``, ``cli.phase``, …
        capability: what the pipeline uses.
        change_set: ``envelope.change_set`` of its records.

    Attributes:
        ended: has its end been recorded?
    """

    def __init__(
        self, log: Log | None, path: str, *, metadata: Mapping[str, Json] | None = None, capability: str = CAPABILITY,
        change_set: Mapping[str, Json] | None = None,
    ) -> None:  # fmt: skip
        pure = PurePath(path)
        self._log = log
        self._capability = capability
        self._more: dict[str, Any] = {} if change_set is None else {"change_set": dict(change_set)}
        self._keys: dict[str, Json] = {
            "pipeline.id": f"dsl://{path}", "pipeline.dsl_id": pure.name, "pipeline.node": pure.stem, "scenario.id": pure.stem,
            "cli.input": str(path), "effect.capability": capability, "effect.stage.required": STAGES[0],
            "effect.stage.actual": STAGES[1], "effect.provider": "core", "effect.manifest_path": None, **(metadata or {}),
        }  # fmt: skip
        self._started = False
        self.ended = False

    def _write(self, event: str, **keys: Json) -> None:
        if self._log is not None:
            self._log.log(
                event,
                category="pipeline",
                capability=self._capability,
                metadata={**self._keys, "timestamp": now(), **keys},
                **self._more,
            )

    def __enter__(self) -> Pipeline:
        try:
            with _uninterrupted():
                self._write("pipeline_started")
                self._started = True
        except BaseException as error:
            self._fail(error)
            raise
        return self

    def finish(self, *, count: int = 1, diagnostics: int = 0, code: int = 0, phase: str | None = None) -> None:
        """
        Record that the work was done; once.

        Args:
            count: sources that went through.
            diagnostics: how many were found.
            code: exit code of the command; anything but 0 is a ``failure``.
            phase: where it ended.
        """
        if self.ended:
            return
        keys: dict[str, Json] = {
            "pipeline.outcome": "success", "pipeline.count": count, "pipeline.diagnostics": diagnostics,
            "pipeline.exit_code": "success" if code == 0 else "failure",
        }  # fmt: skip
        if phase is not None:
            keys["cli.phase"] = phase
        with _uninterrupted():
            self._write("pipeline_completed", **keys)
            self.ended = True

    def fail(self, code: str, message: str, *, severity: str = "error") -> None:
        """Record that the work could not be done; once."""
        if self.ended:
            return
        with _uninterrupted():
            self._write("pipeline_failed", **{"error.code": code, "error.message": message, "error.severity": severity})
            self.ended = True

    def _fail(self, error: BaseException) -> None:
        """What ends a pipeline is said even when the log refuses: the first error counts."""
        if not self._started:
            return
        try:
            self.fail(*error_of(error))
        except Exception as refused:  # noqa: BLE001  (whatever a sink raises)
            error.add_note(f"audit: {refused}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._fail(error)
        else:
            self.finish()
