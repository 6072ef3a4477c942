"""``reml audit metrics``, ``report`` and ``sync``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reml_embed._files import replace_file
from reml_embed.audit import gates, page, summaries
from reml_embed.cli._trail import DEFAULT_PATH
from reml_embed.errors import RemlError

FILE = click.Path(dir_okay=False, path_type=Path)
_SHOWN_FAILURES = 5


class EnvironmentProblem(click.ClickException):
    """A file that is missing, not readable, or not what it should be."""

    exit_code = 2


def broken(error: RemlError | OSError) -> EnvironmentProblem:
    """A failure of the environment."""
    if isinstance(error, OSError):
        return EnvironmentProblem(f"{error.filename or 'output'}: {(error.strerror or str(error)).lower()}")
    return EnvironmentProblem(str(error))


def _sections() -> str:
    return "; ".join(
        f"{section} ({', '.join(names)})" if names else section
        for section in gates.SECTIONS
        if (names := [gate.scenario for gate in gates.GATES if gate.section == section and gate.scenario]) or True
    )


def _tell(results: Sequence[gates.Result]) -> None:
    """For the log of a job: a line for each gate, and the first of its failures."""
    for result in results:
        place = f" [{result.platform}]" if result.platform else ""
        rate = "no samples" if result.pass_rate is None else f"{result.pass_rate!r} ({result.passed} of {result.total})"
        click.echo(f"{result.metric}{place}: {rate}", err=True)
        for failure in result.failures[:_SHOWN_FAILURES]:
            click.echo(f"  {failure['file']}:{failure['index'] + 1}: missing {', '.join(failure['missing'])}", err=True)
        if len(result.failures) > _SHOWN_FAILURES:
            click.echo(f"  … and {len(result.failures) - _SHOWN_FAILURES} more", err=True)
        if not result.ok and result.platform == gates.WATCHED_PLATFORM:
            click.echo(f"  collect the log of {gates.WATCHED_PLATFORM} again", err=True)


def _tell_nothing(damaged: Sequence[gates.Item]) -> None:
    """No gate has samples; lines that are no records may be why."""
    click.echo("no gate has samples", err=True)
    for item in damaged[:_SHOWN_FAILURES]:
        if item.problem is not None:
            click.echo(f"{item.file}:{item.index + 1}: error[{item.problem.code}]: {item.problem.message}", err=True)
    if len(damaged) > _SHOWN_FAILURES:
        click.echo(f"… and {len(damaged) - _SHOWN_FAILURES} more lines that are no records", err=True)


def _counters(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise gates.GateError(f"{path}: $: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise gates.GateError(f"{path}: $: expected an object, got {type(data).__name__}")
    return data


def written_log() -> tuple[Path, ...]:
    """The log that commands write when nobody names one: $REML_EMBED_AUDIT_PATH, else the default, where it is there."""
    path = Path(os.environ.get("REML_EMBED_AUDIT_PATH") or DEFAULT_PATH)
    return (path,) if path.is_file() else ()


def _plan(chosen: Sequence[gates.Gate], inputs: Sequence[Path], outputs: Sequence[Path]) -> dict[str, Any]:
    return {
        "dry_run": True,
        "gates": [
            {"metric": g.metric, "section": g.section, "scenario": g.scenario, "threshold": g.threshold} for g in chosen
        ],
        "sources": [str(path) for path in inputs],
        "outputs": [str(path) for path in outputs],
    }


@click.command(epilog=f"Sections and their scenarios: {_sections()}.")
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    help="Gates to compute; again for more; else all that have samples.",
)
@click.option("--scenario", metavar="NAME[/NAME]...", help="Only these gates of the section.")
@click.option("--case", metavar="NAME", help="Only records whose `case` is this.")
@click.option(
    "--platform", "platforms", multiple=True, metavar="ID", help="Judge this platform by itself; again for more."
)
@click.option("--matrix", type=FILE, metavar="FILE", help="Markdown table for the gates that confirm its rows.")
@click.option(
    "--audit-source",
    "audit_sources",
    type=FILE,
    multiple=True,
    metavar="PATH",
    help="An audit log; again for more. Without any source: the log that commands write.",
)
@click.option(
    "--diagnostic-source",
    "diagnostic_sources",
    type=FILE,
    multiple=True,
    metavar="PATH",
    help="Diagnostics as JSON; again for more.",
)
@click.option(
    "--counters", type=FILE, metavar="PATH", help="JSON of the run's own counters: the gate of the bridge must agree."
)
@click.option("--output", type=FILE, metavar="PATH", help="Write the result here, too.")
@click.option("--secondary-output", type=FILE, metavar="PATH", help="And here.")
@click.option(
    "--require-success", is_flag=True, help="Exit with 1 when a rate is below its threshold, or has no samples."
)
@click.option("--check", is_flag=True, help="As --require-success; compare what --output holds instead of writing it.")
@click.option("--dry-run", is_flag=True, help="Say what would be computed from what; read and write nothing.")
@click.pass_context
def metrics(
    command: click.Context, sections: tuple[str, ...], scenario: str | None, case: str | None, platforms: tuple[str, ...],
    matrix: Path | None, audit_sources: tuple[Path, ...], diagnostic_sources: tuple[Path, ...], counters: Path | None,
    output: Path | None, secondary_output: Path | None, require_success: bool, check: bool, dry_run: bool,
) -> None:  # fmt: skip
    """
    Compute gates: which share of the records of the logs is as it must be.

    Prints {metric, total, passed, failed, pass_rate, sources, failures}, or {"metrics": [...]} of several. Exits with 0, with 1 when
    --require-success is given and a rate is too low, with 2 when a source cannot be read.
    """
    outputs = [path for path in (output, secondary_output) if path is not None]
    if not (audit_sources or diagnostic_sources or counters):
        audit_sources = written_log()
    try:
        chosen = gates.find(sections, scenario)
    except gates.GateError as error:
        raise click.UsageError(str(error)) from None
    if dry_run:
        extra = [path for path in (matrix, counters) if path is not None]
        click.echo(json.dumps(_plan(chosen, [*audit_sources, *diagnostic_sources, *extra], outputs), indent=2))
        return
    damaged: list[gates.Item] = []
    try:
        results = gates.evaluate(
            chosen, audit_sources, diagnostic_sources=diagnostic_sources, platforms=platforms, matrix=matrix, case=case,
            keep_empty=bool(sections), damaged=damaged,
        )  # fmt: skip
        differs = gates.compare(results, _counters(counters)) if counters is not None else None
        text = json.dumps(gates.report(results), ensure_ascii=False, indent=2) + "\n"
        click.echo(text, nl=False)
        _tell(results)
        if not results:
            _tell_nothing(damaged)
        stale = _deliver(outputs, text, check=check)
    except (gates.GateError, OSError) as error:
        raise broken(error) from None
    if differs is not None:
        click.echo(f"error[ffi_bridge.counters]: {differs}", err=True)
    failed = (require_success or check) and (not results or not all(result.ok for result in results))
    command.exit(1 if failed or stale or differs is not None else 0)


def _deliver(outputs: Sequence[Path], text: str, *, check: bool) -> bool:
    """Write the files, or say which are not what they should be."""
    stale = False
    for path in outputs:
        if not check:
            replace_file(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            click.echo(f"{path}: not what the sources give", err=True)
            stale = True
    return stale


@click.command()
@click.option(
    "--report",
    "reports",
    type=FILE,
    multiple=True,
    metavar="PATH...",
    help="JSON of `reml audit metrics`; again for more.",
)
@click.argument("more", type=FILE, nargs=-1, metavar="[PATH]...")
@click.option(
    "--into",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    metavar="DIR",
    help="Where the pages are.",
)
@click.pass_context
def sync(command: click.Context, reports: tuple[Path, ...], more: tuple[Path, ...], folder: Path) -> None:
    """
    Merge results of gates into reports/ffi-bridge-summary.md and reports/iterator-collector-summary.md.

    Exits with 1 when ffi_bridge.audit_pass_rate of macos-arm64 is missing or below 1.0, with 2 when a report cannot be read.
    """
    if not (reports or more):
        raise click.UsageError("no report: --report PATH")
    try:
        done = summaries.sync((*reports, *more), folder)
    except (gates.GateError, OSError) as error:
        raise broken(error) from None
    for path in done.pages:
        click.echo(str(path))
    if done.problem is not None:
        click.echo(f"error[ffi_bridge.platform]: {done.problem}", err=True)
        command.exit(1)


@click.command()
@click.argument("logs", type=FILE, nargs=-1, required=True, metavar="LOG...")
@click.option("--output", type=FILE, required=True, metavar="PAGE.html", help="The page to write.")
@click.option("--title", metavar="TEXT", help="What stands on top; by default the names of the logs.")
def report(logs: tuple[Path, ...], output: Path, title: str | None) -> None:
    """
    Write one HTML page about LOGs: verdicts, rates, a timeline, symbols, failures and capability checks. It needs no network.

    Exits with 2 when a log cannot be read, or the page cannot be written.
    """
    try:
        text = page.render(page.collect(logs), title=title)
        replace_file(output, text)
    except (gates.GateError, OSError) as error:
        raise broken(error) from None
    click.echo(f"{output}: {output.stat().st_size} bytes")
