"""``reml audit compare``: the records of one scenario, of the C runtime and of Python, key by key."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from reml_embed.audit import FileSink, Record, read
from reml_embed.cli._common import show_line
from reml_embed.cli.gates import FILE, EnvironmentProblem, broken
from reml_embed.data.formatter import PATH, FormatterContext
from reml_embed.errors import RemlError


def _records(path: Path) -> list[Record]:
    found = []
    try:
        for line in read(path):
            if line.record is None:
                raise EnvironmentProblem(f"{path}:{line.number}: {line.problem}")
            found.append(line.record)
    except OSError as error:
        raise broken(error) from None
    return found


def _formatter(change_set: Path | None) -> FormatterContext:
    found = FormatterContext.from_environment(None if change_set is None else {PATH: str(change_set)})
    if found.problem is not None:
        if change_set is not None:
            raise EnvironmentProblem(found.problem.message)
        click.echo(f"warning[{found.problem.code}]: {found.problem.message}", err=True)
    return found


def _keep(path: Path, records: list[Record]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sink = FileSink(path)
        for record in records:
            sink.write_record(record)
    except OSError as error:
        raise broken(error) from None
    except RemlError as error:
        raise EnvironmentProblem(f"{path}: {error}") from None


def _known(option: str, name: str, known: Iterable[str]) -> str:
    if name not in known:
        raise click.BadParameter(f"`{name}` is none of {', '.join(known)}", param_hint=option)
    return name


@click.command()
@click.option(
    "--target", default="audit_bridge", show_default=True, metavar="NAME", help="What is compared: audit_bridge."
)
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    help="Only this part of it: collectors or ref_count; again for more.",
)
@click.option("--left", type=FILE, metavar="LOG", help="Compare logs that were written before: that of the C runtime …")
@click.option("--right", type=FILE, metavar="LOG", help="… and that of Python.")
@click.option(
    "--change-set",
    type=FILE,
    metavar="PATH",
    help=f"A change set of collections for the records; by default what ${PATH} says.",
)
@click.option("--audit", type=FILE, metavar="PATH", help="Append the records of both sides to this log.")
@click.pass_context
def compare(
    command: click.Context, target: str, sections: tuple[str, ...], left: Path | None, right: Path | None, change_set: Path | None,
    audit: Path | None,
) -> None:  # fmt: skip
    """
    Run each scenario in the C runtime and in Python, and print {target, compared, differences} of their records, key by key.

    Exits with 0, with 1 when they differ or there is nothing to compare, with 2 when a file cannot be read or written.
    """
    from reml_embed.data import sides  # noqa: PLC0415  (other commands start without it)

    _known("--target", target, sides.TARGETS)
    for section in sections:
        _known("--section", section, sides.SECTIONS)
    if (left is None) != (right is None):
        raise click.UsageError("--left and --right go together")
    if left is not None and right is not None:
        if sections or audit or change_set:
            raise click.UsageError(
                "--left and --right compare logs; --section, --change-set and --audit belong to scenarios"
            )
        found = sides.compare_logs(target, _records(left), _records(right))
    else:
        found = sides.compare(target, sections, _formatter(change_set))
        if audit is not None:
            _keep(audit, found.records)
    show_line(found.json())
    command.exit(0 if found.ok else 1)
