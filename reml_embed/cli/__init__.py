"""
The command ``reml``: one file per family; each parses, calls the library and prints.

Exit codes: 0 well · 1 an error in the source, a failed run, a result ``Err`` · 2 wrong usage, missing file, broken environment ·
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys

import click

from reml_embed.cli.audit import audit
from reml_embed.cli.bench import bench
from reml_embed.cli.check import check
from reml_embed.cli.dis import dis
from reml_embed.cli.run import run
from reml_embed.cli.version import version


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def reml() -> None:
    """Run, check and look into Reml programs."""


for command in (run, check, bench, dis, audit, version):
    reml.add_command(command)


def main() -> None:
    """Entry point."""
    try:
        code = reml.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written while the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
