"""The command ``reml-run``: what operators do with programs and configurations (CONTRACTS 10.5)."""

from __future__ import annotations

import click

from reml_embed.cli._main import run_group
from reml_embed.cli.diff import diff
from reml_embed.cli.lint import lint
from reml_embed.cli.reload import reload_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def reml_run() -> None:
    """Look after programs that are to run, and that do."""


for command in (lint, diff, reload_command):
    reml_run.add_command(command)


def main() -> None:
    """Entry point."""
    run_group(reml_run, "reml-run")


if __name__ == "__main__":
    main()
