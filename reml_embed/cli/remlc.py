"""
The command ``remlc``: the compiler's front. ``remlc FILE`` is ``remlc check FILE``.

Sources go through `check_sources`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reml_embed.cli._capabilities import runtime_options
from reml_embed.cli._common import SOURCE, with_option
from reml_embed.cli._main import run_group
from reml_embed.cli._pipeline import Asked, PipelineCommand, Session, pipeline_options
from reml_embed.cli._telemetry import telemetry_option
from reml_embed.cli.check import run_check
from reml_embed.cli.config import config, manifest


class DefaultGroup(click.Group):
    """A group whose first word may be left out: what is no command of it begins the arguments of *check*."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, with the word put in."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup, context_settings={"help_option_names": ["-h", "--help"]})
def remlc() -> None:
    """Check Reml sources, manifests and configuration. `remlc FILE` is `remlc check FILE`."""


@remlc.command("check", cls=PipelineCommand)
@click.argument("files", type=SOURCE, nargs=-1, required=True, metavar="FILE...")
@with_option
@runtime_options
@telemetry_option
@pipeline_options
@click.pass_context
def check_sources(
    command: click.Context, files: tuple[Path, ...], modules: tuple[Path, ...], runtime: dict[str, Any], telemetry: Path | None,
    asked: Asked,
) -> None:  # fmt: skip
    """
    Say what is wrong with each FILE, without running it.

    Exits with 0, with 1 when a file has errors, with 2 for wrong usage and files that are not there.
    """
    session = Session("check", "Check", files, asked)
    command.exit(run_check(files, modules, session, runtime, telemetry))


for group in (config, manifest):
    remlc.add_command(group)


def main() -> None:
    """Entry point."""
    run_group(remlc, "remlc")


if __name__ == "__main__":
    main()
