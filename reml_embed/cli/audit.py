"""``reml audit``: verify, validate, read and find records; the schema; the index of stored logs."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from reml_embed.audit import Record
from reml_embed.audit import verify as verify_log
from reml_embed.audit.index import Entry, Follower, Index, IndexUnavailableError, Query, search
from reml_embed.audit.policy import PolicyError, load_policy
from reml_embed.audit.records import describe, refuse_unless_plain, segments
from reml_embed.audit.schema import schema_text
from reml_embed.audit.specs import SpecError, create_index
from reml_embed.audit.store import KEPT
from reml_embed.audit.validation import Verdict
from reml_embed.audit.validation import validate as validate_log
from reml_embed.audit.validation import verify_metadata as verify_log_metadata
from reml_embed.cli._common import PATH, compact, format_option, show_line
from reml_embed.errors import InvalidArgumentError

_LOG = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.group()
def audit() -> None:
    """Look after audit logs."""


def _fail(path: Path | str, error: OSError) -> NoReturn:
    """A file that cannot be read ends with 2."""
    click.echo(f"error: {path}: {error.strerror or error}", err=True)
    raise click.exceptions.Exit(2)


@audit.command()
@click.argument("path", type=PATH)
@click.option(
    "--expect-head",
    "--head",
    "head",
    metavar="HASH",
    help="Hash that the log must end in, noted earlier: finds a log that was cut.",
)
@format_option
@click.pass_context
def verify(command: click.Context, path: Path, head: str | None, form: str) -> None:
    """
    Check the log at PATH: every record is what was written, none is missing, none was added.

    Exits with 0 when it is whole, with 1 when it is not, with 2 when it cannot be read.
    """
    try:
        report = verify_log(path, head=head)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.message, param_hint="--expect-head") from None
    if form == "json":
        show_line(dataclasses.asdict(report))
    else:
        numbers = f", {report.first_sequence} to {report.last_sequence}" if report.records else ""
        click.echo(f"{path}: {report.verdict}: {report.records} records{numbers}")
        if report.pending:
            click.echo(f"{report.pending} more events lie in the journal; the next opener appends them")
        if report.detail:
            click.echo(report.detail, err=True)
    command.exit(0 if report.ok else 2 if report.verdict == "unreadable" else 1)


@audit.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a record."""
    click.echo(schema_text(), nl=False)


@audit.command()
@click.argument("path", type=PATH)
@click.option("--policy", "policy", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="The policy whose retention_days counts.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only name the files.")
def prune(path: Path, policy: Path, dry_run: bool) -> None:
    """
    Remove rotated files of the log at PATH whose last record is older than the policy's retention_days. The file being written stays.

    Exits with 0, with 2 when the policy is wrong or a file cannot be removed.
    """
    if not segments(path):
        _fail(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    try:
        rules = load_policy(policy).policy
        gone = rules.expired(path) if dry_run else rules.prune(path)
    except PolicyError as error:
        raise click.BadParameter(error.message, param_hint="--policy") from None
    except OSError as error:
        _fail(Path(str(error.filename)), error)
    for file in gone:
        click.echo(str(file))


def _source(path: Path) -> Any:
    return sys.stdin.buffer if str(path) == "-" else path


def _show_verdicts(command: click.Context, verdicts: list[Verdict], form: str) -> NoReturn:
    if form == "json":
        shown = [verdict.to_json() for verdict in verdicts]
        click.echo(
            compact(shown[0] if len(shown) == 1 else {"ok": all(verdict.ok for verdict in verdicts), "files": shown})
        )
    else:
        for verdict in verdicts:
            for finding in verdict.findings:
                kind = f"{finding.kind}: " if finding.kind else ""
                text = f"{verdict.path}:{finding.line}: {finding.severity}[{finding.code}]: {kind}{finding.message}"
                click.echo(text if text.isprintable() else ascii(text)[1:-1])
            errors = sum(finding.severity == "error" for finding in verdict.findings)
            rest = len(verdict.findings) - errors
            click.echo(
                f"{verdict.path}: {verdict.records} records, {errors} errors" + (f", {rest} warnings" if rest else "")
            )
    command.exit(0 if all(verdict.ok for verdict in verdicts) else 1)


@audit.command()
@click.argument("paths", type=_LOG, nargs=-1, required=True, metavar="PATH...")
@format_option
@click.pass_context
def validate(command: click.Context, paths: tuple[Path, ...], form: str) -> None:
    """
    Check each line of the logs at PATH against the schema and the keys that its kind requires; `-` is standard input.

    Exits with 0 when all is well, with 1 when something is wrong, with 2 when a log cannot be read.
    """
    verdicts = []
    for path in paths:
        try:
            verdicts.append(validate_log(_source(path), name=str(path)))
        except OSError as error:
            _fail(path, error)
    _show_verdicts(command, verdicts, form)


@click.command("verify-audit-metadata")
@click.argument("paths", type=_LOG, nargs=-1, required=True, metavar="PATH...")
@click.option("--strict", is_flag=True, help="What should be there must be there.")
@format_option
@click.pass_context
def verify_audit_metadata(command: click.Context, paths: tuple[Path, ...], strict: bool, form: str) -> None:
    """
    Check that the metadata of each record has the keys of its groups: common, cli, bridge, effect, typeclass, parse.

    Exits with 0 or 1, with 2 when a log cannot be read.
    """
    verdicts = []
    for path in paths:
        try:
            verdicts.append(verify_log_metadata(_source(path), strict=strict, name=str(path)))
        except OSError as error:
            _fail(path, error)
    _show_verdicts(command, verdicts, form)


@click.command("create-audit-index")
@click.argument("specs", nargs=-1, required=True, metavar="PROFILE:TARGET:PATH[:STATUS[:LEVEL[:PASS_RATE]]]...")
@click.option(
    "--audit-store", "store", type=click.Choice(list(KEPT)), help="Whose retention applies; `ci` packs files."
)
@click.option("--audit-dir", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where the store is.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The index; by default index.json of the directory.",
)
@format_option
@click.pass_context
def create_audit_index(
    command: click.Context,
    specs: tuple[str, ...],
    store: str | None,
    folder: Path | None,
    output: Path | None,
    form: str,
) -> None:
    """
    Make index.json from SPECS, one for each log. What the store no longer keeps is named in `pruned`; its file goes when it lies in the store.

    Exits with 0, with 2 when a spec is wrong or its log is not there.
    """
    try:
        made = create_index(specs, store=store, folder=folder, output=output)
    except SpecError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        _fail(error.filename or "index", error)
    if form == "json":
        show_line(made.index)
    else:
        click.echo(f"{made.path}: {len(made.index['entries'])} entries, {len(made.index['pruned'])} pruned")
    if made.warning:
        click.echo(f"warning: {made.warning}", err=True)
    command.exit(0)


audit.add_command(verify_audit_metadata)
audit.add_command(create_audit_index)


# --- reading ----------------------------------------------------------------------------------------------------------------


_SHOWN_DAMAGES = 5


def _tell(entry: Entry, severity: str = "error") -> None:
    problem = entry.line.problem
    if problem is not None:
        click.echo(f"{entry.path}:{entry.line.number}: {severity}[{problem.code}]: {problem.message}", err=True)


def _tell_damages(entries: list[Entry]) -> None:
    """Lines that are passed over are named, the first of them."""
    for entry in entries[:_SHOWN_DAMAGES]:
        _tell(entry, "warning")
    if len(entries) > _SHOWN_DAMAGES:
        click.echo(f"… and {len(entries) - _SHOWN_DAMAGES} more lines that are no records", err=True)


def _show(entry: Entry, form: str) -> bool:
    """Print a line of a log; False when it is none."""
    if entry.line.record is None:
        _tell(entry)
        return False
    click.echo(entry.line.text if form == "json" else describe(entry.record))
    return True


@audit.command()
@click.argument("path", type=PATH)
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="How many of the last lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, across rotation, until interrupted.")
@format_option
@click.pass_context
def tail(command: click.Context, path: Path, lines: int, follow: bool, form: str) -> None:
    """
    Show the last records of the log at PATH; a torn last line is named.

    Exits with 0, with 1 when another line is no record, with 2 when there is no log (with --follow it may come later).
    """
    if not follow and not segments(path):
        _fail(path, FileNotFoundError(2, "no such file or directory"))
    follower = Follower(path)
    good = True
    try:
        if path.exists():
            refuse_unless_plain(path)
        waiting: list[Entry] = []
        for entry in follower.poll():
            waiting = [*waiting, entry][-lines:] if lines else []
        for entry in waiting:
            good &= _show(entry, form)
        sys.stdout.flush()
        end = follower.torn()
        if end is not None and lines and not follow:
            _tell(end, "warning")
        while follow:
            for entry in follower.follow():
                good &= _show(entry, form)
                sys.stdout.flush()
    except OSError as error:
        _fail(path, error)
    finally:
        follower.close()
    command.exit(0 if good else 1)


def _query_options(function: Any) -> Any:
    rows = (
        ("--kind", "Kind of event; `bridge.*` is a pattern."), ("--audit-id", "Id of the record."), ("--capability", "Capability."),
        ("--symbol", "Symbol of a crossing, or lifecycle function."), ("--status", "What became of it: ok, error, …"),
        ("--severity", "error, warning, …"), ("--category", "Category."), ("--channel", "Channel."),
        ("--since", "Records from this time on, RFC 3339."), ("--until", "Records before this time."),
    )  # fmt: skip
    for name, text in reversed(rows):
        function = click.option(name, help=text)(function)
    return click.option("--last", type=click.IntRange(min=0), help="Only the last so many.")(function)


def _found(path: Path, query: Query) -> Iterator[Entry]:
    try:
        yield from search(path, query, damaged=_tell_damages)
    except OSError as error:
        _fail(path, error)
    except IndexUnavailableError as error:
        click.echo(f"error: {error}", err=True)
        raise click.exceptions.Exit(2) from None


@audit.command()
@click.argument("path", type=PATH)
@_query_options
@format_option
@click.pass_context
def query(command: click.Context, /, path: Path, form: str, **wanted: Any) -> None:
    """
    Find records of the log at PATH and of its rotated files; the index beside it (PATH.index.sqlite) is brought up to date first.

    Exits with 0 when something was found, with 1 when nothing was, with 2 when the log cannot be read.
    """
    count = 0
    for entry in _found(path, Query(**wanted)):
        count += _show(entry, form)
    command.exit(0 if count else 1)


@audit.command()
@click.argument("path", type=PATH)
@click.argument("which", metavar="AUDIT_ID|NUMBER")
@format_option
@click.pass_context
def show(command: click.Context, path: Path, which: str, form: str) -> None:
    """
    Show one record whole: by its audit id, or by its number in the chain.

    Exits with 0, with 1 when there is none, with 2 when the log cannot be read.
    """
    number = int(which) if which.isascii() and which.isdigit() and len(which) < 19 else None
    entries = _found(path, Query(audit_id=None if number is not None else which))
    found = [entry for entry in entries if number is None or entry.record.sequence == number]
    for entry in found:
        record: Record = entry.record
        if form == "json":
            click.echo(entry.line.text)
        else:
            click.echo(f"{entry.path}:{entry.line.number}: {describe(record)}")
            click.echo(json.dumps(record.data, ensure_ascii=not entry.line.text.isprintable(), indent=2))
    if not found:
        click.echo(f"error: no record `{which}` in {path}", err=True)
    command.exit(0 if found else 1)


@audit.command("index")
@click.argument("path", type=PATH)
@format_option
@click.pass_context
def make_index(command: click.Context, path: Path, form: str) -> None:
    """
    Build the index of the log at PATH anew. It is a mirror: deleting PATH.index.sqlite loses nothing.

    Exits with 0, with 2 when the log cannot be read.
    """
    try:
        path.with_name(path.name + ".index.sqlite").unlink(missing_ok=True)
        with Index(path) as index:
            added = index.update()
            _tell_damages(index.damaged())
            made = {"path": str(path), "index": None if index.in_memory else str(index.file), "records": added}
    except OSError as error:
        _fail(path, error)
    except IndexUnavailableError as error:
        click.echo(f"error: {error}", err=True)
        command.exit(2)
    click.echo(compact(made) if form == "json" else f"{made['index'] or 'in memory only'}: {made['records']} records")
    command.exit(0)
