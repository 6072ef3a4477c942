"""``reml check``."""

from __future__ import annotations

from pathlib import Path

import click

from reml_embed import Context, LoadError, RemlError
from reml_embed.cli._common import SOURCE, Outcome, as_diagnostic, complain, format_option, load_module, with_option


def check_files(context: Context, files: tuple[Path, ...], outcome: Outcome, *, human: bool) -> None:
    """Say of each file what is wrong with it."""
    for file in files:
        try:
            found = context.check(file)
            text, coloured = context.diagnostics_text(), context.diagnostics_text(colour=True)
        except RemlError as error:  # an empty file
            diagnostic, text = as_diagnostic(error)
            found, coloured = [diagnostic], text
        errors = sum(diagnostic.severity == "error" for diagnostic in found)
        outcome.ok = outcome.ok and errors == 0
        outcome.add(found, file=str(file))
        if human:
            if found:
                complain(text, coloured)
            click.echo(f"{file}: {'ok' if not errors else '1 error' if errors == 1 else f'{errors} errors'}")


@click.command()
@click.argument("files", type=SOURCE, nargs=-1, required=True, metavar="FILE...")
@with_option
@format_option
@click.pass_context
def check(command: click.Context, files: tuple[Path, ...], modules: tuple[Path, ...], form: str) -> None:
    """Say what is wrong with each FILE, without running it."""
    outcome, human = Outcome(ok=True), form == "human"
    try:
        with Context() as context:
            try:
                for module in modules:
                    load_module(context, module, outcome, human=human, file=str(module))
                check_files(context, files, outcome, human=human)
            except LoadError as error:  # of a module
                outcome.ok = False
                outcome.add(error.diagnostics, file=str(module))
                if human:
                    complain(error.text, error.coloured)
            context.drain()
            outcome.audit_count = context.audit_count + 1  # the record of closing
    except RemlError as error:
        outcome.ok = False
        diagnostic, text = as_diagnostic(error)
        outcome.add([diagnostic])
        if human:
            complain(text, text)
    if not human:
        outcome.show()
    command.exit(0 if outcome.ok else 1)
