"""``reml capability`` (CONTRACTS 4.6, 19.2)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NoReturn

import click

from reml_embed.audit import new_id, now
from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.cli._capabilities import STAGE, BrokenFileError
from reml_embed.cli._common import PATH, show_line
from reml_embed.cli._effects import mismatches_after
from reml_embed.cli._trail import Trail, trail_option
from reml_embed.effects import EffectError, StageCheckFileError, StageChecks
from reml_embed.errors import AuditUnavailableError, InvalidArgumentError, RemlError
from reml_embed.registry._shape import FileError, write_json
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.descriptor import CapabilityDescriptor
from reml_embed.registry.errors import CapabilityError
from reml_embed.registry.runtime_file import DEFAULT_PATH, validation_report
from reml_embed.registry.stage import StageId
from reml_embed.registry.state import CapabilityState, StateFile

COLUMNS = ("Capability", "Stage", "Effect Scope", "Provider", "Manifest Path")


@click.group()
def capability() -> None:
    """See what the runtime may do, and decide what it may do in this directory."""


def refuse(command: click.Context, error: RemlError) -> NoReturn:
    """Say why on standard error. Exit 1 for what the registry refuses, 2 for a file or a log that cannot be used."""
    if isinstance(error, FileError | StageCheckFileError):
        raise BrokenFileError(error)
    if isinstance(error, InvalidArgumentError):
        raise click.UsageError(error.message)
    if isinstance(error, AuditUnavailableError):
        click.echo(f"error[audit.unavailable]: {error.message}", err=True)
        command.exit(2)
    if isinstance(error, CapabilityError):
        click.echo(f"error[{error.code()}]: {error.message}", err=True)
        command.exit(1)
    raise error


def current() -> CapabilityRegistry:
    """
    A registry that stands as was decided in this directory.

    Raises:
        FileError: the state file is not what it should be.
    """
    registry = CapabilityRegistry()
    StateFile().apply(registry)
    return registry


def table(descriptors: list[CapabilityDescriptor]) -> str:
    """A Markdown table of capabilities."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in descriptors:
        cells = (
            f"`{row.id}`",
            row.stage.value,
            ", ".join(row.effect_scope),
            str(row.provider),
            row.manifest_path or "-",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


@capability.command("list")
@click.option("--stage", type=STAGE, help="Only those that stand at this stage.")
@click.option(
    "--format", "form", type=click.Choice(["json", "markdown"]), default="json", show_default=True, help="How to print."
)
@click.pass_context
def list_all(command: click.Context, stage: StageId | None, form: str) -> None:
    """List the capabilities in the order of their registration."""
    try:
        found = [row for row in current().describe_all() if stage is None or row.stage is stage]
    except RemlError as error:
        refuse(command, error)
    if form == "markdown":
        click.echo(table(found))
    else:
        show_line({"schema_version": SCHEMA_VERSION, "capabilities": [row.to_json() for row in found]})


@capability.command()
@click.argument("id")
@click.option(
    "--output", "form", type=click.Choice(["human", "json"]), default="json", show_default=True, help="How to print."
)
@click.pass_context
def describe(command: click.Context, id: str, form: str) -> None:
    """Print what is known of the capability ID. Exits with 1 when nobody registered it."""
    try:
        registry = current()
        handle = registry.get(id)
        enabled = registry.is_enabled(id)
    except RemlError as error:
        refuse(command, error)
    row = handle.descriptor()
    if form == "json":
        show_line(row.to_json())
        return
    security = row.security
    facts: list[tuple[str, Any]] = [
        ("stage", row.stage), ("effects", ", ".join(row.effect_scope) or "-"), ("provider", row.provider),
        ("manifest", row.manifest_path or "-"), ("enabled", "yes" if enabled else "no"), ("kind", handle.kind),
        *((name.replace("_", " "), ", ".join(map(str, value)) or "-" if isinstance(value, list) else value)
          for name, value in handle.metadata().items()),
        ("audit required", "yes" if security.audit_required else "no"), ("isolation", security.isolation_level),
        ("permissions", ", ".join(" ".join(filter(None, (one.kind, one.value))) for one in security.permissions) or "-"),
        ("sandbox profile", f"{security.sandbox_profile.name} {security.sandbox_profile.version}" if security.sandbox_profile else "-"),
        ("policy", security.policy or "-"), ("signed by", security.signature.issuer if security.signature else "-"),
    ]  # fmt: skip
    click.echo(row.id)
    for name, value in facts:
        click.echo(f"  {name:<16} {value}")


def _metadata(id: str, stage: StageId, **more: str) -> dict[str, Any]:
    return {"capability.id": id, "capability": id, "stage": stage.value, **more}


@capability.command()
@click.argument("id")
@click.option("--stage", type=STAGE, help="Let it stand there; not above the stage that it has reached.")
@trail_option
@click.pass_context
def enable(command: click.Context, id: str, stage: StageId | None, audit: Path | None) -> None:
    """Enable the capability ID in this directory, which counts as opting in to it. Exits with 1 when it does not stand that high."""
    trail = Trail("capability.enable", {"id": id, "stage": stage.value if stage else None}, audit)

    def log(state: CapabilityState) -> str:
        payload = {"event": "capability.enable", "capability": id, "stage": state.stage.value, "enabled": True}
        return trail.log("capability.enable", payload, capability=id, metadata=_metadata(id, state.stage))

    try:
        state = StateFile().enable(CapabilityRegistry(), id, stage, log)
    except RemlError as error:
        refuse(command, error)
    show_line({"id": id, "stage": state.stage.value, "enabled": True, "audit_id": state.audit_id})


@capability.command()
@click.argument("id")
@trail_option
@click.pass_context
def disable(command: click.Context, id: str, audit: Path | None) -> None:
    """Disable the capability ID in this directory: `reml run` and `reml check` refuse what needs it."""
    trail = Trail("capability.disable", {"id": id}, audit)

    def log(state: CapabilityState) -> str:
        payload = {"event": "capability.disable", "capability": id, "stage": state.stage.value, "enabled": False}
        return trail.log("capability.disable", payload, capability=id, metadata=_metadata(id, state.stage))

    try:
        state = StateFile().disable(CapabilityRegistry(), id, log)
    except RemlError as error:
        refuse(command, error)
    show_line({"id": id, "enabled": False, "audit_id": state.audit_id})


@capability.group()
def stage() -> None:
    """Check capabilities at their stage, and promote them to the next one."""


@stage.command(context_settings={"ignore_unknown_options": True})
@click.argument("id")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@trail_option
@click.pass_context
def check(command: click.Context, id: str, words: tuple[str, ...], audit: Path | None) -> None:
    """
    Run COMMAND, the tests of the capability ID, and record whether it passed at the stage where ID stands.

    What COMMAND prints is shown; the last line is a JSON object. Exits with 0 when it passed, else with 1.
    """
    trail = Trail("capability.stage.check", {"id": id, "command": list(words)}, audit)
    try:
        at = StateFile().stage(CapabilityRegistry(), id)
        StageChecks().read()  # a damaged file is told of before anything runs
    except RemlError as error:
        refuse(command, error)
    audit_id = new_id()
    try:
        code = subprocess.run(list(words), check=False).returncode
    except (OSError, ValueError) as error:
        raise click.UsageError(f"cannot run {words[0]}: {error}") from None
    passed, ended = code == 0, now()
    payload = {"event": "capability.stage.check", "capability": id, "stage": at.value, "tests_passed": passed, "exit_code": code,
               "command": list(words)}  # fmt: skip
    try:
        trail.log(
            "capability.stage.check",
            payload,
            category="capability",
            capability=id,
            metadata=_metadata(id, at),
            audit_id=audit_id,
        )
        StageChecks().record(id, at.value, tests_passed=passed, audit_id=audit_id, timestamp=ended)
    except RemlError as error:
        refuse(command, error)
    except OSError as error:
        raise BrokenFileError(
            FileError(f"cannot be written: {error.strerror}", code="capability.file.io_error", file=StageChecks().path)
        ) from None
    show_line({"id": id, "stage": at.value, "tests_passed": passed, "audit_id": audit_id})
    command.exit(0 if passed else 1)


@stage.command()
@click.argument("id")
@click.option("--to", "to", type=STAGE, required=True, help="The next stage: beta, then stable.")
@trail_option
@click.pass_context
def promote(command: click.Context, id: str, to: StageId, audit: Path | None) -> None:
    """
    Promote the capability ID to the next stage in this directory.

    Exits with 1 when that is not the next stage, or while `effects.stage.promote_without_checks` is open: no passing test run is
    recorded (`reml capability stage check`), or diagnostics of it are open.
    """
    trail = Trail("capability.stage.promote", {"id": id, "to": to.value}, audit)

    def log(before: StageId, state: CapabilityState) -> str:
        metadata = _metadata(id, state.stage) | {"capability.from": before.value, "capability.to": state.stage.value}
        payload = {"event": "capability.stage.promote", "capability": id, "stage": state.stage.value, "from": before.value,
                   "to": state.stage.value}  # fmt: skip
        return trail.log("capability.stage.promote", payload, capability=id, metadata=metadata)

    try:
        before, state = StateFile().promote(CapabilityRegistry(), id, to, now(), log)
    except RemlError as error:
        refuse(command, error)
    try:
        for message in mismatches_after(id, state.stage.value):
            click.echo(f"warning[manifest.dsl.stage_mismatch]: {message}", err=True)
    except EffectError as error:  # of the manifest, which only `reml run` needs
        click.echo(f"warning[{error.code}]: {error.message.removeprefix(f'{error.code}: ')}", err=True)
    show_line({"id": id, "from": before.value, "to": state.stage.value, "audit_id": state.audit_id})


@capability.command()
@click.argument("files", type=PATH, nargs=-1, metavar="[FILE]...")
@click.option("--effect-stage", type=STAGE, help="The stage that goes before $REMLC_EFFECT_STAGE and the files.")
@click.option("--target", "triple", help="The triple whose override counts.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there, too.")
@click.pass_context
def validate(
    command: click.Context,
    files: tuple[Path, ...],
    effect_stage: StageId | None,
    triple: str | None,
    output: Path | None,
) -> None:
    """Check runtime capability FILEs and print the report. Exits with 0 when all are well, else with 1."""
    report = validation_report(files or (DEFAULT_PATH,), CapabilityRegistry(), cli=effect_stage, triple=triple)
    if output is not None:
        try:
            write_json(output, report, indent=None)
        except FileError as error:
            raise BrokenFileError(error) from None
    show_line(report)
    command.exit(0 if report["validation"]["status"] == "ok" else 1)
