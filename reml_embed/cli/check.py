"""``reml check``."""

from __future__ import annotations

from pathlib import Path

import click

from reml_embed import Context, LoadError
from reml_embed.cli._common import SOURCE, Outcome, complain, format_option, load_module, with_option


@click.command()
@click.argument("files", type=SOURCE, nargs=-1, required=True, metavar="FILE...")
@with_option
@format_option
@click.pass_context
def check(command: click.Context, files: tuple[Path, ...], modules: tuple[Path, ...], form: str) -> None:
    """Say what is wrong with each FILE, without running it."""
    outcome = Outcome(ok=True)
    with Context() as context:
        try:
            for module in modules:
                load_module(context, module, outcome, human=form == "human", file=str(module))
        except LoadError as error:
            outcome.ok = False
            outcome.add(error.diagnostics, file=str(module))
            if form == "human":
                complain(error.text, error.coloured)
        for file in files if outcome.ok else ():
            found = context.check(file)
            errors = sum(diagnostic.severity == "error" for diagnostic in found)
            outcome.ok = outcome.ok and errors == 0
            outcome.add(found, file=str(file))
            if form == "json":
                continue
            if found:
                complain(context.diagnostics_text(), context.diagnostics_text(colour=True))
            click.echo(f"{file}: {'ok' if not errors else '1 error' if errors == 1 else f'{errors} errors'}")
        context.drain()
        outcome.audit_count = context.audit_count + 1  # the record of closing
    if form == "json":
        outcome.show()
    command.exit(0 if outcome.ok else 1)
