"""What the commands about documents share: reading two of them, showing problems and differences, applying a difference on record."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reml_embed.audit import ids
from reml_embed.cli._common import PATH
from reml_embed.cli._effects import MANIFEST
from reml_embed.cli._trail import Trail
from reml_embed.config import approvals, changes, documents, manifest, schema
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.config.profiles import Resolved, resolve
from reml_embed.data import change_set
from reml_embed.data.change_set import ChangeSet
from reml_embed.data.quality import QualityReport, problems_of, recorded, report_of
from reml_embed.metrics import emit_metrics

#: Exit codes of `reml-config`.
OK, WARNINGS, VALIDATION_ERROR, RENDER_ERROR, IO_ERROR = range(5)
EXIT_CODES = {
    "ValidationError": VALIDATION_ERROR,
    "ApplyError": VALIDATION_ERROR,
    "RenderError": RENDER_ERROR,
    "IoError": IO_ERROR,
}
#: What to do about a problem, for whoever automates (CONTRACTS 21).
SEVERITY_HINTS = {"error": "escalate", "warning": "ignore", "info": "ignore"}


def schema_option(function: Any) -> Any:
    """``--schema FILE``."""
    text = "A schema that the data have to satisfy, each row of a list; what it finds is recorded as a quality report."
    return click.option("--schema", "schema_path", type=PATH, metavar="FILE", help=text)(function)


def diff_options(function: Any) -> Any:
    """``OLD NEW --format --apply --audit --schema``: what every comparison of two documents takes."""
    for wrap in (
        schema_option,
        click.option("--audit", "audited", is_flag=True, help="Record the comparison; with --apply it is recorded in any case."),
        click.option("--apply", "applies", is_flag=True, help="Put the difference into OLD, in its own format, whole or not at all."),
        click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."),
        click.argument("new", type=PATH),
        click.argument("old", type=PATH),
    ):  # fmt: skip
        function = wrap(function)
    return function


def show_json(value: Any) -> None:
    """One object on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def complain(problems: list[Problem]) -> None:
    """Problems where errors go, one a line."""
    for problem in problems:
        click.echo(str(problem), err=True)


def locale_of(given: str | None, environment: dict[str, str] | None = None) -> tuple[str, bool]:
    """``--locale``, else ``REML_LOCALE``, else ``LANG``, else ``en-US``; and whether nobody chose."""
    environment = dict(os.environ) if environment is None else environment
    for text in (given, environment.get("REML_LOCALE"), environment.get("LANG")):
        name = (text or "").partition(".")[0].replace("_", "-")
        if name and name not in {"C", "POSIX"}:
            return name, False
    return "en-US", True


def compatibility_for(path: Path, profile: str | None = None) -> Resolved:
    """
    How strictly a file is read: option, environment, the manifest of the directory, default of its format.

    Raises:
        ConfigError: no such profile, or the manifest's table is wrong.
    """
    form, table = documents.format_of(path), dict[str, Any]()
    if path.name != MANIFEST.name and MANIFEST.is_file() and not profile:
        found = manifest.read(MANIFEST)
        wrong = [one for one in found.problems if one.key_path.startswith("config.") or found.document.value is None]
        if wrong:
            raise ConfigError("ValidationError", wrong)
        table = dict(found.compatibility(form))
    return resolve(form, cli=profile, manifest=table)


def note_compatibility(trail: Trail, *found: Resolved) -> None:
    """A record ``config_compat_changed`` for each that somebody chose."""
    seen: list[Resolved] = []
    for one in found:
        if one.source != "default" and one not in seen:
            seen.append(one)
            trail.log("config_compat_changed", metadata=one.metadata())


@dataclass(slots=True)
class Pair:
    """Two documents and what distinguishes them."""

    old: Document
    new: Document
    changes: ChangeSet
    resolved: tuple[Resolved, ...] = ()

    @property
    def schema_diff(self) -> dict[str, Any]:
        """Of schemas, what changes in their fields; of other documents, the typed list of changes."""
        if self.is_of_schemas:
            return schema.diff(schema.read(self.old), schema.read(self.new)).json()
        return self.changes.schema_diff()

    @property
    def is_of_schemas(self) -> bool:
        """Are both schemas?"""
        return all(_is_schema(document.value) for document in (self.old, self.new))

    @property
    def migration(self) -> schema.MigrationPlan | None:
        """Of schemas, what has to be done to the data; None: they are none."""
        if not self.is_of_schemas:
            return None
        try:
            return schema.validate_migration(schema.read(self.old), schema.read(self.new))
        except ConfigError:  # other documents with the same names in them
            return None


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict) and {"name", "fields"} <= value.keys() and not schema.is_json_schema(value)


def read_pair(old: Path, new: Path, profile: str | None = None) -> Pair:
    """
    Two documents and their difference.

    Raises:
        ConfigError: one cannot be read, is no document, or cannot be compared.
    """
    found_rules = [compatibility_for(path, profile) for path in (old, new)]
    pair = [
        documents.check(documents.read(path, rules.compatibility))
        for path, rules in zip((old, new), found_rules, strict=True)
    ]
    try:
        found = change_set.compare(pair[0].value, pair[1].value)
    except change_set.ChangeSetError as error:
        problem = Problem("config.change_set.invalid", str(error), os.fspath(old))
        raise ConfigError("ValidationError", [problem]) from error
    return Pair(pair[0], pair[1], found, tuple(found_rules))


def report_on(document: Document, schema_path: Path, profile: str) -> QualityReport:
    """
    What a schema in a file, of the guide's form or a JSON Schema, finds in a document.

    Raises:
        ConfigError: the schema cannot be read, or is none.
    """
    found = documents.check(documents.read(schema_path))
    if schema.is_json_schema(found.value):
        return report_of(document, lambda: schema.validate_json_schema(document, found.value, found.file), profile)
    wanted = schema.read(found)
    return report_of(document, lambda: problems_of(document, wanted), profile)


def held_against(pair: Pair, schema_path: Path | None) -> QualityReport | None:
    """
    What a schema finds in `Pair.new`; warnings are shown. None: there is no schema.

    Raises:
        ConfigError: ``ValidationError``: it has errors, so that nothing may be applied.
    """
    if schema_path is None:
        return None
    report = report_on(pair.new, schema_path, pair.resolved[-1].compatibility.profile)
    if report.severity_max == "Error":
        raise ConfigError("ValidationError", list(report.problems))
    complain(list(report.problems))
    return report


def record(
    trail: Trail, event: str, pair: Pair, *, status: str, keep: bool, applied: tuple[bytes, bytes] | None = None
) -> str:
    """Log a change of *pair*; with *keep* its state is saved for approval and rollback. The audit id comes back."""
    metadata = {
        "config.source": "cli",
        "config.path": pair.old.file,
        "config.change_set.total": len(pair.changes.items),
        "config.status": status,
        "requested_by": os.environ.get("USER") or "unknown",
        **(pair.migration.metadata() if pair.migration is not None else {}),
    }
    shown = pair.changes.json()
    audit_id = trail.log(event, category="config", metadata=metadata, change_set=shown)
    if keep:
        created = ids.now()
        change = approvals.Change(
            audit_id, status, pair.old.file, pair.new.file, shown, created, history=[f"{created} {status}"]
        )
        if applied:
            change.keep_previous(*applied)
        change.save()
    return audit_id


def apply_recorded(trail: Trail, pair: Pair, report: QualityReport | None = None) -> str:
    """
    Put the difference of *pair* into the file of `Pair.old`, on record; the audit id comes back. *report*: of data that a schema was held
    against; it gets a record of its own, ``reml.data.apply``.

    Raises:
        ConfigError: it cannot be written; the file is as it was.
    """
    before, after = documents.read_bytes(pair.old.file), changes.applied_text(pair.old.file, pair.changes)
    with documents.replaced(pair.old.file, after):
        audit_id = record(trail, "config.apply", pair, status="applied", keep=True, applied=(before, after))
        if report is not None:
            known = recorded(report, "reml.data.apply", trail, audit_id=audit_id, change_set=pair.changes.json())
    if report is not None:
        emit_metrics("data.validation", known)
    return audit_id


def show_table(changes_found: ChangeSet, title: str) -> None:
    """A difference for people."""
    if not changes_found:
        click.echo(f"{title}: no difference")
        return
    summary = changes_found.summary
    rows = [("change", "key", "previous", "current")]
    for item in changes_found.items:
        before = "" if item.kind == "added" else _short(item.previous)
        after = "" if item.kind == "removed" else _short(item.current)
        rows.append((item.kind, item.key, before, after))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    click.echo(f"{title}: {summary['added']} added, {summary['removed']} removed, {summary['updated']} updated")
    for row in rows:
        click.echo(("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip())


def show_migration(plan: schema.MigrationPlan) -> None:
    """What has to be done to the data of a schema, for people."""
    downtime = "with" if plan.requires_downtime else "without"
    click.echo(
        f"migration: risk {plan.data_loss_risk}, {downtime} downtime, about {plan.estimated_seconds:g} s per 1000 documents"
    )
    for step in plan.steps:
        names = " → ".join(str(step[key]) for key in ("name", "from", "to") if key in step)
        click.echo(f"  {step['kind']:16} {names}{'  (breaking)' if step['breaking'] else ''}")


def _short(value: Any) -> str:
    text = json.dumps(change_set.jsonable(value), ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"
