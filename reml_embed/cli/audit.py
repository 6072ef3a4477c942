"""``reml audit``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from reml_embed.audit import verify as verify_log
from reml_embed.cli._common import format_option
from reml_embed.errors import InvalidArgumentError


@click.group()
def audit() -> None:
    """Look after audit logs."""


@audit.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--head", help="Hash that the log must end in, noted earlier: finds a log that was cut.")
@format_option
@click.pass_context
def verify(command: click.Context, path: Path, head: str | None, form: str) -> None:
    """
    Check the log at PATH: every record is what was written, none is missing, none was added.

    Exits with 0 when it is whole, with 1 when it is not, with 2 when it cannot be read.
    """
    try:
        report = verify_log(path, head=head)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.message, param_hint="--head") from None
    if form == "json":
        click.echo(json.dumps(dataclasses.asdict(report), separators=(",", ":")))
    else:
        numbers = f", {report.first_sequence} to {report.last_sequence}" if report.records else ""
        click.echo(f"{path}: {report.verdict}: {report.records} records{numbers}")
        if report.pending:
            click.echo(f"{report.pending} more events lie in the journal; the next opener appends them")
        if report.detail:
            click.echo(report.detail, err=True)
    command.exit(0 if report.ok else 2 if report.verdict == "unreadable" else 1)
