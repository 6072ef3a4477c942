"""The target that the environment asks for (CONTRACTS 5.2), for commands that load sources."""

from __future__ import annotations

import os
from typing import Any

import click

from reml_embed.cli._pipeline import Session
from reml_embed.config.problems import ConfigError
from reml_embed.context import Context
from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.shape import from_json
from reml_embed.registry import target as targets
from reml_embed.registry.target import EnvError, Target, TargetError, TargetProblem
from reml_embed.target import comparison

_PREFIXES = ("REML_TARGET_", "REML_STD_VERSION", "REML_RUNTIME_REVISION")


def requested_target() -> Target | None:
    """
    The target that variables ask for; None: they ask for nothing.

    Raises:
        TargetError: no such profile. click.UsageError: a variable or a profile's file that cannot be read.
    """
    if not any(name.startswith(_PREFIXES) for name in os.environ):
        return None
    try:
        return targets.infer_target_from_env()
    except (EnvError, ConfigError) as error:
        raise click.UsageError(str(error)) from None


def as_diagnostic(problem: TargetProblem) -> Diagnostic:
    """A problem of a target in the shape of the language's diagnostics."""
    shape = {
        "codes": [problem.code],
        "module": "",
        "primary": None,
        "notes": [],
        "fixits": [],
        "line": None,
        "column": None,
    }
    return from_json(problem.json() | shape)


def target_options(session: Session, *, runs: bool) -> dict[str, Any] | None:
    """
    What the environment asks of contexts, as arguments of `Context`; what is wrong is shown.

    None: with an error among it, so that nothing may be loaded. *runs*: the program will run here, so the target must be this machine;
    otherwise any target is fine, and only names that nobody knows are errors.
    """
    try:
        found = requested_target()
    except TargetError as error:
        _show(session, error.problems)
        return None
    if found is None:
        return {}
    session.emitter.target = comparison({key: value for key, value in found.json().items() if value})
    problems = targets.validate_target(found)
    if not runs:
        problems = [problem for problem in problems if problem.code == "target.capability.unknown"]
    _show(session, problems)
    if any(problem.severity == "error" for problem in problems):
        return None
    return {"target": found.for_context()}


def _show(session: Session, problems: list[TargetProblem]) -> None:
    text = "\n".join(str(problem) for problem in problems)
    session.add([as_diagnostic(problem) for problem in problems], text=text)
    session.outcome.ok = session.outcome.ok and not problems


def note_cfg(session: Session, context: Context) -> None:
    """Diagnostics that follow carry what ``@cfg`` asked of the module that was loaded last, where the target wants that."""
    asked = context.cfg_log
    if not asked:
        return
    errors = sum(item["code"].startswith("target.") and item["severity"] == "error" for item in session.shown)
    target: Any = session.emitter.target
    profile = target["requested"].get("profile_id") if target else None
    cfg: dict[str, Any] = {"target_config_errors": errors, "evaluated": asked, "target_profile": profile}
    session.emitter.cfg = cfg
