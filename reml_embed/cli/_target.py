"""The run configuration of commands that load sources (CONTRACTS 5.1, 5.2): manifest, environment and options."""

from __future__ import annotations

import functools
import os
from typing import Any

import click

from reml_embed.cli._common import check_text
from reml_embed.cli._effects import MANIFEST
from reml_embed.cli._pipeline import Session
from reml_embed.config.problems import ConfigError, Problem, diagnostics
from reml_embed.context import Context
from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.shape import from_json
from reml_embed.registry import target as targets
from reml_embed.registry.target import EnvError, TargetError, TargetProblem
from reml_embed.run_config import RunConfig, from_environment, from_settings, read_manifest
from reml_embed.target import comparison

#: What is wrong with a target wherever it is.
_OF_NAMES = ("target.capability.unknown", "target.config.unknown_key", "target.config.unsupported_value")
_PREFIXES = ("REML_TARGET_", "REML_STD_VERSION", "REML_RUNTIME_REVISION")


def config_options(function: Any) -> Any:
    """``--config`` and ``--target``, as one argument ``settings``."""

    @functools.wraps(function)
    def packed(*arguments: Any, config: tuple[str, ...], target: str | None, **others: Any) -> Any:
        settings = (*config, *([f"target.profile_id={target}"] if target else ()))
        for word in settings:
            check_text("--config", word)
        return function(*arguments, settings=settings, **others)

    text = "Change the run configuration, as `[run]` and `[runtime]` of the manifest do: packrat=false, stream.chunk_size=4096."
    option = click.option("--config", multiple=True, metavar="KEY=VALUE", help=text)
    text = "Profile of the target; else the environment's, the manifest's, this machine."
    return option(click.option("--target", metavar="PROFILE", help=text)(packed))


def read_config(settings: tuple[str, ...]) -> tuple[RunConfig | None, list[Problem]]:
    """
    What manifest, environment and *settings* say, the later one over the one before, with warnings; None: they say nothing.

    Raises:
        ConfigError: the manifest or a setting is wrong. TargetError: no such profile.
        click.UsageError: a variable that cannot be read.
    """
    config, problems = RunConfig(), list[Problem]()
    if MANIFEST.is_file():
        config, problems = read_manifest(MANIFEST)
    if any(name.startswith(_PREFIXES) for name in os.environ):
        try:
            config = from_environment(config)
        except (EnvError, ConfigError) as error:
            raise click.UsageError(str(error)) from None
    config = from_settings(settings, config)
    return None if config == RunConfig() else config, problems


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


def target_options(session: Session, settings: tuple[str, ...] = (), *, runs: bool) -> dict[str, Any] | None:
    """
    What manifest, environment and *settings* ask of contexts, as arguments of `Context`; what is wrong is shown.

    None: with an error among it, so that nothing may be loaded. *runs*: the program will run here, so the target must be this machine;
    otherwise any target is fine, and only names that nobody knows are errors.
    """
    try:
        config, warnings = read_config(settings)
    except TargetError as error:
        _show(session, error.problems)
        return None
    except ConfigError as error:
        found, text = diagnostics(error.problems)
        session.add(found, text=text, file=error.problems[0].file)
        session.outcome.ok = False
        return None
    if warnings:
        found, text = diagnostics(warnings)
        session.add(found, text=text, file=warnings[0].file)
    if config is None:
        return {}
    session.config = config
    if config.target is None:
        return {"run_config": config}
    session.emitter.target = comparison({key: value for key, value in config.target.json().items() if value})
    problems = targets.validate_target(config.target)
    if not runs:
        problems = [problem for problem in problems if problem.code in _OF_NAMES]
    _show(session, problems)
    if any(problem.severity == "error" for problem in problems):
        return None
    return {"run_config": config}


def _show(session: Session, problems: list[TargetProblem]) -> None:
    if session.trail is not None:
        for problem in problems:
            session.trail.log("target.diagnostic", metadata=problem.metadata())
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
