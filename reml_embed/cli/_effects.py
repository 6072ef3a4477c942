"""What ``reml run`` and ``reml check`` are told of effects: ``-Z``, ``--deny``, ``--ack-experimental-diagnostics``, ``--effects-debug``."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reml_embed.diagnostics import Diagnostic, plain
from reml_embed.effects import (
    FEATURES,
    DslEntry,
    EffectError,
    OptIn,
    check_features,
    read_dsl,
    stage_mismatches,
    stage_of_capability,
)

MANIFEST = Path("reml.toml")


@dataclass(frozen=True, slots=True)
class EffectsAsked:
    """
    What the options say.

    Attributes:
        features: opted in to with ``-Z``.
        deny: experimental use without opt-in is an error.
        acknowledged: … and that a warning.
        debug: show each handler that is applied.
    """

    features: tuple[str, ...] = ()
    deny: bool = False
    acknowledged: bool = False
    debug: bool = False

    def opt_in(self, files: Sequence[Path], *, untrusted: bool = False) -> OptIn:
        """
        What a context for these files opts in to; the manifest of the directory may demand it.

        Raises:
            EffectError: the manifest cannot be read.
        """
        stages = [entry.stage for entry in entries_of(files)]
        demanded = self.deny or untrusted or any(stage not in (None, "experimental") for stage in stages)
        return OptIn(features=self.features, demanded=demanded, acknowledged=self.acknowledged)


_OPTIONS = (
    click.option("-Z", "features", multiple=True, metavar="FEATURE",
                 help=f"Opt in to something experimental: {', '.join(sorted(FEATURES))}."),
    click.option("--deny", "denied", type=click.Choice(["experimental"]), multiple=True,
                 help="Experimental use that nobody has opted in to is an error."),
    click.option("--ack-experimental-diagnostics", "acknowledged", is_flag=True,
                 help="Errors about what is experimental are warnings."),
    click.option("--effects-debug", "effects_debug", is_flag=True, help="Show each handler that is applied, as JSON."),
)  # fmt: skip


def effects_options(function: Any) -> Any:
    """All of the options above, as one argument ``effects``."""

    @functools.wraps(function)
    def packed(
        *arguments: Any, features: tuple[str, ...], denied: tuple[str, ...], acknowledged: bool, effects_debug: bool,
        **others: Any,
    ) -> Any:  # fmt: skip
        try:
            known = check_features(features)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="-Z") from None
        except EffectError as error:
            raise click.ClickException(error.message) from None
        asked = EffectsAsked(known, "experimental" in denied, acknowledged, effects_debug)
        return function(*arguments, effects=asked, **others)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def guide_object(event: dict[str, Any]) -> dict[str, Any]:
    """What ``--effects-debug`` shows of an application: ``{effects{stage, before, handled, residual, handler}, message}``."""
    return {"effects": event["effects"], "message": event["message"]}


def guide_text(event: dict[str, Any]) -> str:
    """The same as the guide prints it: members on lines of their own, lists on one."""
    lines = [f'    "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in event["effects"].items()]
    effects = ",\n".join(lines)
    message = json.dumps(event["message"], ensure_ascii=False)
    return f'{{\n  "effects": {{\n{effects}\n  }},\n  "message": {message}\n}}'


def entries_of(files: Sequence[Path]) -> list[DslEntry]:
    """What the manifest of the directory says about these files; nothing without one."""
    if not MANIFEST.is_file():
        return []
    wanted = {file.resolve() for file in files}
    return [entry for entry in read_dsl(MANIFEST) if entry.path.resolve() in wanted]


def mismatches_after(id: str, stage: str) -> list[str]:  # noqa: A002
    """Where the manifest of the directory expects another stage than the one to which capability *id* was promoted."""
    if not MANIFEST.is_file():
        return []
    entries = [entry for entry in read_dsl(MANIFEST) if id in entry.capabilities]
    return stage_mismatches(entries, stage_of=lambda name: stage if name == id else stage_of_capability(name))


def manifest_diagnostics(files: Sequence[Path], used: Sequence[str]) -> list[Diagnostic]:
    """``manifest.dsl.stage_mismatch`` for the files: *used* are the capabilities of their handlers."""
    found = [row for entry in entries_of(files) for row in stage_mismatches([entry], used)]
    return [plain("manifest.dsl.stage_mismatch", message, "manifest") for message in found]
