"""
The command ``reml``: one file per family; each parses, calls the library and prints.

Exit codes: 0 well · 1 an error in the source, a failed run, a result ``Err`` · 2 wrong usage, missing file, broken environment ·
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import click

from reml_embed.cli._main import run_group
from reml_embed.cli.audit import audit, create_audit_index, verify_audit_metadata
from reml_embed.cli.bench import bench
from reml_embed.cli.bridge import bridge
from reml_embed.cli.capability import capability
from reml_embed.cli.check import check
from reml_embed.cli.compare import compare
from reml_embed.cli.dis import dis
from reml_embed.cli.examples import examples
from reml_embed.cli.ffi import ffi
from reml_embed.cli.gates import metrics as audit_metrics
from reml_embed.cli.gates import report, sync
from reml_embed.cli.metrics import metrics
from reml_embed.cli.run import run
from reml_embed.cli.target import build, target, toolchain
from reml_embed.cli.telemetry import telemetry
from reml_embed.cli.version import version
from reml_embed.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def reml() -> None:
    """Run, check and look into Reml programs."""


for command in (
    run,
    check,
    watch,
    dis,
    build,
    examples,
    audit,
    capability,
    bridge,
    ffi,
    metrics,
    target,
    toolchain,
    telemetry,
    bench,
    version,
):
    reml.add_command(command)
for command in (audit_metrics, report, sync, compare):
    audit.add_command(command)
for command in (verify_audit_metadata, create_audit_index):  # the names of the contract
    reml.add_command(command)


def main() -> None:
    """Entry point."""
    run_group(reml, "reml")
