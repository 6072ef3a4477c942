"""``reml ffi``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from reml_embed import Context, process_metrics, reset_metrics
from reml_embed.cli._common import PATH, SOURCE, complain, format_option, show_line
from reml_embed.errors import LoadError, RemlError, RunError


@click.group()
def ffi() -> None:
    """Look at the border to foreign code."""


@ffi.command()
@click.argument("file", type=SOURCE, required=False)
@click.option("--reset", is_flag=True, help="Set the counters to zero before FILE runs.")
@format_option
@click.pass_context
def metrics(command: click.Context, file: Path | None, reset: bool, form: str) -> None:
    """
    Print the counters of the bridge: of this process, after it has run the `main` of FILE.

    Exits with 1 when FILE fails.
    """
    code = 0
    if reset:
        reset_metrics()
    if file is not None:
        with Context(output=lambda text: click.echo(text, nl=False, err=True)) as context:
            try:
                context.load(file)
                context.run()
            except (LoadError, RunError) as error:
                complain(error.text or str(error), error.coloured or str(error))
                code = 1
            except RemlError as error:
                click.echo(str(error), err=True)
                code = 1
    found = process_metrics()
    numbers = {**dataclasses.asdict(found), "pass_rate": found.pass_rate}
    if form == "json":
        show_line(numbers)
    else:
        for name, value in numbers.items():
            click.echo(f"{name:20} {value}")
    command.exit(code)


@ffi.command()
@click.argument("manifest", type=PATH)
@click.option(
    "--platform",
    metavar="P",
    help="Hold it against this platform: linux-x86_64, macos-arm64, …; by default this machine's.",
)
@format_option
@click.pass_context
def check(command: click.Context, manifest: Path, platform: str | None, form: str) -> None:
    """
    Check the foreign functions that MANIFEST declares (TOML or JSON, see docs/ffi.md): signatures, ABI, calling conventions, ownership; on this
    machine's platform also libraries and symbols. Nothing is called.

    Exits with 0 when all hold, with 1 when one does not, with 2 when MANIFEST cannot be read.
    """
    from reml_embed import ffi_manifest  # noqa: PLC0415  (only this command opens libraries)
    from reml_embed.abi import FfiError  # noqa: PLC0415
    from reml_embed.registry._shape import FileError  # noqa: PLC0415

    try:
        report = ffi_manifest.check(manifest, platform)
    except FileNotFoundError:
        raise click.BadParameter(f"{manifest}: no such file", param_hint="MANIFEST") from None
    except FileError as error:
        raise click.BadParameter(error.message, param_hint="MANIFEST") from None
    except FfiError as error:
        raise click.BadParameter(error.message, param_hint="--platform") from None
    for problem in report.problems():
        click.echo(problem, err=True)
    summary = report.summary
    if form == "json":
        click.echo(ffi_manifest.dump(summary))
    else:
        where = "" if report.linked else " (symbols not looked up: another platform)"
        click.echo(
            f"{report.platform}: {summary['passed_ffi_declarations']} of {summary['total_ffi_declarations']} declarations hold{where}"
        )
    command.exit(0 if report.passed else 1)
