"""``reml dis``."""

from __future__ import annotations

from pathlib import Path

import click

from reml_embed import Context, LoadError, RemlError, RunError, UnknownFunctionError
from reml_embed.cli._common import SOURCE, as_diagnostic, complain


@click.command()
@click.argument("file", type=SOURCE)
@click.option("--function", default="", help="Only this function.")
@click.option("--what", type=click.Choice(["ir", "bytecode", "tree", "tokens"]), multiple=True,
              help="What to show; typed IR and bytecode by default.")  # fmt: skip
@click.pass_context
def dis(command: click.Context, file: Path, function: str, what: tuple[str, ...]) -> None:
    """Show how FILE is compiled: typed IR and bytecode, or its syntax tree or tokens."""
    shown = what or ("ir", "bytecode")
    try:
        with Context() as context:
            context.load(file)
            texts = [
                context.explain(part, function).rstrip("\n") for part in shown
            ]  # nothing is printed before an error
        for part, text in zip(shown, texts, strict=True):
            click.echo(f"; {part}\n{text}" if len(shown) > 1 else text)
    except UnknownFunctionError as error:
        complain(text := f"error[{error.code}]: {file} has no function `{function}`", text)
        command.exit(1)
    except (LoadError, RunError) as error:
        text = error.text or f"error[{error.code}]: {error.message}"
        complain(text, error.coloured or text)
        command.exit(1)
    except RemlError as error:
        _, text = as_diagnostic(error)
        complain(text, text)
        command.exit(1)
