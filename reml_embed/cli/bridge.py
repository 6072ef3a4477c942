"""``reml bridge`` (CONTRACTS 12.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.audit.records import Record, read
from reml_embed.cli._capabilities import STAGE, BrokenFileError
from reml_embed.cli._common import show_line
from reml_embed.cli._trail import Trail, trail_option
from reml_embed.errors import AuditUnavailableError
from reml_embed.registry._shape import FileError, read_json
from reml_embed.registry.bridge import (
    GATES,
    SMOKE_TEST,
    BridgeState,
    PromotionFrozen,
    RuntimeBridgeError,
    StageViolation,
)
from reml_embed.registry.bridge_shape import SIGNAL_CHECKLIST, RuntimeBridgeDescriptor
from reml_embed.registry.bridge_state import (
    BridgeStateFile,
    compare,
    declared,
    descriptor_files,
    open_registry,
)
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.stage import StageId
from reml_embed.registry.state import StateFile

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def bridge() -> None:
    """Bridges to external runtimes that this directory declares: in reml.toml and below .reml/bridges."""


def bridges_option(function: Any) -> Any:
    """``--bridges FILE``."""
    text = "A file with descriptors, instead of those of the directory; again for more."
    return click.option("--bridges", "files", type=_FILE, multiple=True, metavar="FILE", help=text)(function)


def form_option(function: Any) -> Any:
    """``--format human|json``."""
    choice = click.Choice(["human", "json"])
    return click.option("--format", "form", type=choice, default="human", show_default=True, help="How to print.")(
        function
    )


@contextmanager
def told(command: click.Context) -> Iterator[None]:
    """Refusals become messages: exit 1 for what a bridge refuses, 2 for a file or a log that cannot be used."""
    try:
        yield
    except FileError as error:
        raise BrokenFileError(error) from None
    except AuditUnavailableError as error:
        click.echo(f"error[audit.unavailable]: {error.message}", err=True)
        command.exit(2)
    except RuntimeBridgeError as error:
        click.echo(f"error[{error.code}]: {error.message}", err=True)
        command.exit(1)


def find(files: tuple[Path, ...]) -> dict[str, RuntimeBridgeDescriptor]:
    """The bridges of the options, else of the directory."""
    return declared(files or descriptor_files(Path()))


def facts(row: RuntimeBridgeDescriptor, state: BridgeState) -> dict[str, Any]:
    """A descriptor with where it stands."""
    missing = [item for item in row.checklist if item not in state.completed]
    return {
        **row.to_json(), "stage": state.stage.value, "declared_stage": row.stage.value,
        "stage_required": str(row.requirement(state.stage)), "checklist_missing": missing,
        "events_missing": sorted(row.mandatory_events(state.stage) - state.events), "frozen": state.frozen,
    }  # fmt: skip


@bridge.command("list")
@bridges_option
@form_option
@click.pass_context
def list_all(command: click.Context, files: tuple[Path, ...], form: str) -> None:
    """List the bridges, each with its stage and what its next promotion lacks."""
    with told(command):
        states = BridgeStateFile().read()
        rows = [facts(row, states.get(row.id, BridgeState(row.stage))) for row in find(files).values()]
    if form == "json":
        show_line({"schema_version": SCHEMA_VERSION, "bridges": rows})
        return
    for row in rows:
        left = len(row["checklist_missing"])
        notes = [
            "frozen" if row["frozen"] else "",
            f"{left} item{'s' * (left != 1)} open" if left else "checklist complete",
        ]
        click.echo(f"{row['id']}  {row['stage']}  {', '.join(filter(None, notes))}")


@bridge.command()
@click.argument("id")
@bridges_option
@form_option
@click.pass_context
def describe(command: click.Context, id: str, files: tuple[Path, ...], form: str) -> None:
    """Show what is known of the bridge ID: contract, checklist, events. Exits with 1 when nobody declares it."""
    with told(command):
        registry = open_registry(find(files), id, BridgeStateFile().read(), capabilities=CapabilityRegistry())
        row, state = registry.describe_bridge(id), registry.state(id)
    known = facts(row, state)
    if form == "json":
        show_line(known)
        return
    click.echo(row.id)
    for name in (
        "stage",
        "stage_required",
        "required_capabilities",
        "required_effects",
        "target_profiles",
        "events_missing",
        "frozen",
    ):
        value = known[name]
        click.echo(f"  {name.replace('_', ' '):<22} {', '.join(value) if isinstance(value, list) else value or '-'}")
    click.echo("  checklist")
    for item in row.checklist:
        mark = "x" if item in state.completed else " "
        click.echo(f"    [{mark}] {item}{f': {SIGNAL_CHECKLIST[item]}' if item in SIGNAL_CHECKLIST else ''}")


def read_gates(path: Path) -> dict[str, float | None]:
    """Pass rates by metric from the output of ``reml audit metrics``; other metrics than the gates of bridges are passed over."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise FileError("cannot be read: no such file", code="capability.file.io_error", file=path) from None
    rows = content.get("metrics") if isinstance(content, dict) and "metrics" in content else [content]
    found: dict[str, float | None] = {}
    for index, row in enumerate(rows if isinstance(rows, list) else [rows]):
        place = f"$.metrics[{index}]"
        if not isinstance(row, Mapping) or not isinstance(row.get("metric"), str):
            raise FileError("expected a metric with a name", code="bridge.gates.invalid", file=path, key_path=place)
        rate = row.get("pass_rate")
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
            raise FileError(
                "expected a number or null", code="bridge.gates.invalid", file=path, key_path=f"{place}.pass_rate"
            )
        if row["metric"] in GATES:
            found[row["metric"]] = rate
    return found


def records_of(sources: tuple[Path, ...]) -> list[Record]:
    """The records of logs; lines that are none are passed over."""
    found = []
    for path in sources:
        try:
            found += [line.record for line in read(path) if line.record is not None]
        except OSError as error:
            raise FileError(f"cannot be read: {error.strerror}", code="capability.file.io_error", file=path) from None
    return found


@bridge.command()
@click.argument("id")
@click.option("--to", "to", type=STAGE, required=True, help="The next stage: beta, then stable.")
@click.option(
    "--evidence", default="", metavar="TEXT", help="Why it may: a run, a report. A promotion without is refused."
)
@click.option(
    "--audit-source",
    "sources",
    type=_FILE,
    multiple=True,
    metavar="PATH",
    help="A log in which mandatory events are looked for.",
)
@click.option(
    "--metrics",
    type=_FILE,
    metavar="PATH",
    help="Gates, as `reml audit metrics --section streaming` writes them: one below 1.0 freezes.",
)
@bridges_option
@trail_option
@click.pass_context
def promote(
    command: click.Context, id: str, to: StageId, evidence: str, sources: tuple[Path, ...], metrics: Path | None,
    files: tuple[Path, ...], audit: Path | None,
) -> None:  # fmt: skip
    """
    Promote the bridge ID to the next stage in this directory; prints {id, from, to, audit_id, missing}.

    Exits with 1 while something is missing (checklist, events, evidence, capabilities), or a gate has failed: then promotions stay
    frozen until the gates pass.
    """
    trail = Trail("bridge.promote", {"id": id, "to": to.value, "evidence": evidence}, audit, channel="bridge")
    with told(command):
        capabilities = CapabilityRegistry()
        StateFile().apply(capabilities)
        descriptors, learned = find(files), records_of(sources)
        gates = None if metrics is None else read_gates(metrics)
        with BridgeStateFile().changing() as states:
            registry = open_registry(descriptors, id, states, capabilities=capabilities, audit=trail)
            before = registry.state(id).stage
            registry.learn(learned)
            answer: dict[str, Any] = {"id": id, "from": before.value, "to": to.value, "audit_id": None, "missing": []}
            try:
                answer["audit_id"] = registry.promote(id, to, evidence, gates=gates).audit_id
            except StageViolation as error:
                answer["missing"] = list(error.missing)
                failure: RuntimeBridgeError | None = error
            except PromotionFrozen as error:
                answer["missing"] = [error.reason]
                failure = error
            except RuntimeBridgeError as error:
                answer["missing"] = [error.detail]
                failure = error
            else:
                failure = None
            states[id] = registry.state(id)  # a refusal changes something, too: what is frozen stays so
        show_line(answer)
        if failure is not None:
            raise failure


@bridge.command("check-off")
@click.argument("id")
@click.argument("item")
@click.option("--evidence", default="", metavar="TEXT", help="What shows it.")
@bridges_option
@trail_option
@click.pass_context
def check_off(
    command: click.Context, id: str, item: str, evidence: str, files: tuple[Path, ...], audit: Path | None
) -> None:
    """Say that ITEM of the checklist of the bridge ID is done, or that its smoke test passed (ITEM `bridge.smoke_test`)."""
    trail = Trail("bridge.check-off", {"id": id, "item": item}, audit, channel="bridge")
    with told(command), BridgeStateFile().changing() as states:
        registry = open_registry(find(files), id, states, capabilities=CapabilityRegistry(), audit=trail)
        audit_id = registry.complete_checklist(id, item, evidence=evidence)
        states[id] = registry.state(id)
        row, state = registry.describe_bridge(id), registry.state(id)
    missing = [name for name in row.checklist if name not in state.completed]
    show_line(
        {
            "id": id,
            "item": item,
            "audit_id": audit_id,
            "missing": [*missing, *([] if SMOKE_TEST in state.events else [SMOKE_TEST])],
        }
    )


@bridge.command()
@click.option("--manifest", type=_FILE, required=True, metavar="PATH", help="What declares the bridges.")
@click.option(
    "--audit-source", "sources", type=_FILE, multiple=True, required=True, metavar="PATH", help="A log; again for more."
)
@form_option
@click.pass_context
def check(command: click.Context, manifest: Path, sources: tuple[Path, ...], form: str) -> None:
    """
    Report differences between what a manifest declares of bridges and what logs tell: stages, mode, capability, mandatory events.

    Exits with 0 when there are none, with 1 when there are some, with 2 when a file cannot be read.
    """
    with told(command):
        descriptors = declared([manifest])
        try:
            found = compare(descriptors, sources, BridgeStateFile().read())
        except OSError as error:
            path = Path(error.filename or sources[0])
            raise FileError(f"cannot be read: {error.strerror}", code="capability.file.io_error", file=path) from None
    if form == "json":
        show_line(
            {
                "schema_version": SCHEMA_VERSION,
                "manifest": manifest.as_posix(),
                "bridges": list(descriptors),
                "differences": found,
            }
        )
    else:
        for row in found:
            place = f"{row['file']}:{row['line']}: " if row["file"] else ""
            click.echo(f"{place}{row['bridge']}: {row['key']}: expected {row['expected']}, found {row['found']}")
        click.echo(
            f"{len(descriptors)} bridge{'s' * (len(descriptors) != 1)}, {len(found)} difference{'s' * (len(found) != 1)}"
        )
    command.exit(1 if found else 0)
