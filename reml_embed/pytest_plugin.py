"""
A plugin of pytest: ``pytest -p reml_embed.pytest_plugin`` ends with the line ``reml.test`` in the log that REML_EMBED_STRUCTURED_LOG
names (CONTRACTS 5.5).

Counted are the errors that ended tests. A log that cannot be written is told of where pytest prints, and changes no outcome.
"""

from __future__ import annotations

import time
from typing import Any

from reml_embed.ci import ci_event, log_ci_event
from reml_embed.errors import RemlError
from reml_embed.registry.target import Target, infer_target_from_env


class CiPlugin:
    """Counts while pytest runs."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.errors: list[str] = []

    def pytest_runtest_makereport(self, call: Any) -> None:
        """What ended a test, or a step of it."""
        error = call.excinfo.value if call.excinfo is not None else None
        if not isinstance(error, RemlError):
            return
        found = [item.code for item in getattr(error, "diagnostics", ()) if item.severity == "error"]
        self.errors += found or [problem.code for problem in getattr(error, "problems", ())] or _code(error)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The end of the run."""
        event = ci_event(self.errors, (time.perf_counter() - self.began) * 1000, _target())
        try:
            log_ci_event(event)
        except OSError as error:
            terminalreporter.write_line(f"reml.test was not written: {error.filename}: {error.strerror}")


def _code(error: RemlError) -> list[str]:
    code = getattr(error, "code", None)
    return [code] if isinstance(code, str) else []


def _target() -> Target | None:
    try:
        return infer_target_from_env()
    except RemlError:
        return None  # tests have said so


def pytest_configure(config: Any) -> None:
    """Called by pytest."""
    config.pluginmanager.register(CiPlugin(), "reml-ci")
