"""What `reml run` and `reml check` do about capabilities: they honour ``.reml`` of the directory and the runtime capability file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from reml_embed.errors import RemlError
from reml_embed.registry._shape import FileError
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.errors import CapabilityError, SecurityViolation
from reml_embed.registry.runtime_file import DEFAULT_PATH, RuntimeFile, environment_stage, resolve
from reml_embed.registry.stage import InvalidStageError, StageId
from reml_embed.registry.state import StateFile
from reml_embed.target import joined


class StageType(click.ParamType):  # type: ignore[type-arg]
    """A stage by its name."""

    name = "stage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> StageId:
        """From text; what is none ends with 2."""
        try:
            return StageId.parse(value)
        except InvalidStageError as error:
            self.fail(f"{error.code}: {error.message}", param, ctx)

    def get_metavar(self, *_: object, **__: object) -> str:
        """As help shows it."""
        return "STAGE"


STAGE = StageType()


class RefusedError(click.ClickException):
    """What the registry refuses before anything runs: exit 1."""

    exit_code = 1

    def __init__(self, error: CapabilityError) -> None:
        super().__init__(f"{error.diagnostic}: {error.message}")


class BrokenFileError(click.ClickException):
    """A file that cannot be used: the environment is broken, exit 2."""

    exit_code = 2

    def __init__(self, error: RemlError) -> None:
        super().__init__(error.message)


_OPTIONS = (
    click.option("--effect-stage", type=STAGE,
                 help="The least stage of code that may be loaded; goes before $REMLC_EFFECT_STAGE and the runtime capability file."),
    click.option("--runtime-capabilities", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help=f"A runtime capability file; by default {DEFAULT_PATH.as_posix()}, where it exists."),
    click.option("--grant", "grants", multiple=True, metavar="ID",
                 help="A capability that the program may use; again for more. With one of them, no others; by default every enabled one."),
)  # fmt: skip


def runtime_options(function: Any) -> Any:
    """The options above; the command gets what `honour_files` answers as one argument ``runtime``: options of `Context`."""

    @functools.wraps(function)
    def packed(
        *arguments: Any, effect_stage: StageId | None, runtime_capabilities: Path | None, grants: tuple[str, ...], **others: Any
    ) -> Any:  # fmt: skip
        options = honour_files(effect_stage, runtime_capabilities)
        if grants:
            offered = options.get("granted_capabilities")
            options["granted_capabilities"] = [id for id in read_grants(grants) if offered is None or id in offered]  # noqa: A001
        return function(*arguments, runtime=options, **others)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def read_grants(given: tuple[str, ...]) -> list[str]:
    """Ids of ``--grant``, each once; a wrong one ends with 2."""
    try:
        joined("--grant", given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--grant") from None
    known = {descriptor.id for descriptor in CapabilityRegistry.process().describe_all()}
    for name in given:
        if name not in known:
            raise click.BadParameter(
                f"runtime.capability.unknown: capability {name} is not registered", param_hint="--grant"
            )
    return sorted(set(given))


def file_capabilities() -> tuple[str, ...]:
    """Ids of what guards files, paths and watchers (CONTRACTS 6.2): those that ``--untrusted`` takes away unless ``--grant`` names them."""
    return tuple(
        descriptor.id
        for descriptor in CapabilityRegistry.process().describe_all()
        if descriptor.id.startswith(("io.fs.", "fs.", "watcher.", "security.fs."))
    )


def honour_files(effect_stage: StageId | None, runtime_file: Path | None, triple: str | None = None) -> dict[str, Any]:
    """
    Let the process's registry stand as the directory's operator decided.

    Returns: options of `Context`: ``minimum_stage`` and ``granted_capabilities``, where somebody names them.

    Raises:
        BrokenFileError: a file is not what it should be. RefusedError: embedding itself does not stand as it has to (CONTRACTS 1.5).
    """
    registry = CapabilityRegistry.process()
    try:
        StateFile().apply(registry)
        if not registry.is_enabled("native.embed"):
            raise SecurityViolation("native.embed", "is disabled", registry.describe("native.embed"))
        if runtime_file is None and DEFAULT_PATH.exists():
            runtime_file = DEFAULT_PATH
        file = RuntimeFile.read(runtime_file, registry) if runtime_file else None
        found = resolve(effect_stage, environment_stage(), file, triple)
    except FileError as error:
        raise BrokenFileError(error) from None
    except CapabilityError as error:
        raise RefusedError(error) from None
    options: dict[str, Any] = {}
    if found.stage is not None:
        options["minimum_stage"] = found.stage.value
    if found.capabilities is not None:
        options["granted_capabilities"] = found.capabilities
    return options
