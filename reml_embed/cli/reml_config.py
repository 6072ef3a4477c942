"""
The command ``reml-config``: validate, compare, render, approve and take back configuration (guide 3; CONTRACTS 10.5).

Exit codes: 0 well · 1 warnings · 2 not valid, or wrong usage · 3 a template that cannot be rendered · 4 a file that cannot be read or
written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from reml_embed.audit import new_id
from reml_embed.cli._common import PATH
from reml_embed.cli._documents import (
    EXIT_CODES,
    IO_ERROR,
    OK,
    SEVERITY_HINTS,
    VALIDATION_ERROR,
    WARNINGS,
    apply_recorded,
    compatibility_for,
    complain,
    diff_options,
    held_against,
    locale_of,
    note_compatibility,
    read_pair,
    record,
    report_on,
    schema_option,
    show_json,
    show_table,
)
from reml_embed.cli._main import run_group
from reml_embed.cli._trail import Trail, trail_option
from reml_embed.config import approvals, changes, documents
from reml_embed.config.manifest import from_document, is_manifest
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.data.quality import recorded
from reml_embed.metrics import emit_metrics

_locale = click.option(
    "--locale", metavar="L", help="Language of the messages: `en-US`; else $REML_LOCALE, else $LANG."
)
_profile = click.option(
    "--profile", metavar="P", help="How much is forgiven: strict-json, json-relaxed, toml-strict, toml-relaxed."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def reml_config() -> None:
    """Validate, compare, render, approve and take back configuration."""


def shown_problem(problem: Problem, locale: str, audit_id: str) -> dict[str, Any]:
    """A diagnostic as `reml-config` prints it."""
    return {
        "code": problem.code,
        "message": str(problem.message),
        "locale": locale,
        "audit_id": audit_id,
        "domain": problem.domain,
        "severity": problem.severity,
        "severity_hint": SEVERITY_HINTS[problem.severity],
        **{key: value for key, value in problem.json("cli").items() if key in {"primary", "extensions"}},
    }


def language(given: str | None) -> str:
    """The locale of the messages; a note when nobody chose one."""
    locale, by_default = locale_of(given)
    if by_default:
        complain([Problem("cli.locale.default", f"nobody chose a locale: {locale}", "--locale")])
    return locale


@reml_config.command()
@click.argument("file", type=PATH)
@click.option(
    "--format", "form", type=click.Choice(["human", "json"]), default="human", show_default=True, help="How to print."
)
@_profile
@_locale
@click.option("--fail-on-warning", is_flag=True, help="Warnings exit with 2 instead of 1.")
@schema_option
@click.option("--report", "report_path", type=PATH, metavar="FILE", help="Write the quality report there, as JSON.")
@trail_option
@click.pass_context
def validate(
    command: click.Context, file: Path, form: str, profile: str | None, locale: str | None, fail_on_warning: bool,
    schema_path: Path | None, report_path: Path | None, audit: Path | None,
) -> None:  # fmt: skip
    """Check a document: its text by the profile, a manifest by its rules, data by a schema."""
    if report_path is not None and schema_path is None:
        raise click.UsageError("--report is of data that a --schema was held against")
    audit_id, name = new_id(), language(locale)
    used = profile or ""
    try:
        resolved = compatibility_for(file, profile)
        used = resolved.compatibility.profile
        document = documents.read(file, resolved.compatibility)
        problems = list(from_document(document).problems if is_manifest(document) else document.problems)
        kind = "ValidationError"
        trail = Trail("config.validate", {"file": str(file)}, audit, inputs=[str(file)])
        note_compatibility(trail, resolved)
        if schema_path is not None and not any(problem.severity == "error" for problem in problems):
            report = recorded(report_on(document, schema_path, used), "reml.data.validate", trail, audit_id=audit_id)
            problems += report.problems
            emit_metrics("data.validation", report)
            if report_path is not None:
                text = json.dumps(report.json(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
                documents.replace_file(report_path, text.encode())
    except ConfigError as error:
        problems, kind = error.problems, error.kind
    severities = {problem.severity for problem in problems}
    code = EXIT_CODES[kind] if "error" in severities else OK
    if not code and "warning" in severities:
        code = VALIDATION_ERROR if fail_on_warning else WARNINGS
    if form == "json":
        show_json(
            {
                "diagnostics": [shown_problem(problem, name, audit_id) for problem in problems],
                "audit_id": audit_id,
                "profile": used,
            }
        )
    else:
        complain(problems)
        click.echo(f"{file}: {'valid' if 'error' not in severities else 'not valid'} (profile {used})")
    command.exit(code)


@reml_config.command()
@diff_options
@_profile
@_locale
@click.pass_context
def diff(
    command: click.Context, old: Path, new: Path, form: str, applies: bool, audited: bool, schema_path: Path | None,
    profile: str | None, locale: str | None,
) -> None:  # fmt: skip
    """Show what turns document OLD into NEW, for review; then apply it."""
    language(locale)
    try:
        pair = read_pair(old, new, profile)
        report = held_against(pair, schema_path)
        trail = Trail("config.diff", {"old": str(old), "new": str(new)}, inputs=[str(old), str(new)])
        note_compatibility(trail, *pair.resolved)
        audit_id = new_id()
        if applies and pair.changes:
            audit_id = apply_recorded(trail, pair, report)
        elif audited:
            audit_id = record(trail, "config.diff", pair, status="proposed", keep=True)
    except ConfigError as error:
        complain(error.problems)
        command.exit(EXIT_CODES[error.kind])
    applied = applies and bool(pair.changes)
    if form == "json":
        hint = "rollback" if applied else "ignore"
        shown = {"audit_id": audit_id, "change_set": pair.changes.json(), "domain": "config", "severity_hint": hint}
        show_json(shown | {"applied": applied})
    else:
        show_table(pair.changes, f"{old} → {new}")
        click.echo(f"audit id {audit_id}{', applied' if applied else ''}")
    command.exit(WARNINGS if report is not None and report.severity_max == "Warn" else OK)


@reml_config.command()
@click.option("--template", type=PATH, required=True, help="Text with names in it: ${name}, ${name:-default}, $$.")
@click.option("--env", "values", type=PATH, required=True, help="JSON or TOML with the values.")
@click.option("--output", type=PATH, required=True, help="Where the result goes, whole or not at all.")
@click.pass_context
def render(command: click.Context, template: Path, values: Path, output: Path) -> None:
    """Fill a template in."""
    try:
        rules = compatibility_for(values)
        document = documents.check(documents.read(values, rules.compatibility))
        note_compatibility(Trail("config.render", {"template": str(template), "env": str(values)}), rules)
        text = documents.read_text(template)
        documents.replace_file(output, changes.render(text, document.value, str(template)).encode())
    except ConfigError as error:
        complain(error.problems)
        command.exit(EXIT_CODES[error.kind])
    click.echo(str(output))


@reml_config.command()
@click.argument("audit_id")
@click.option("--assign", "assignee", metavar="OWNER", help="Who answers for it.")
@click.option("--note", help="Why.")
@click.pass_context
def approve(command: click.Context, audit_id: str, assignee: str | None, note: str | None) -> None:
    """Approve a change that was recorded."""
    try:
        change = approvals.load(audit_id)
        change.approve(assignee, note)
        trail = Trail("config.approve", {"audit_id": audit_id})
        trail.log("config.approve", category="config", metadata=_metadata(change), audit_id=audit_id)
        change.save()
    except ConfigError as error:
        complain(error.problems)
        command.exit(EXIT_CODES[error.kind])
    show_json({"audit_id": audit_id, "status": "approved", "assignee": assignee, "note": note})


def _metadata(change: approvals.Change) -> dict[str, Any]:
    return {
        "config.source": "cli",
        "config.path": change.path,
        "config.change_set.total": change.change_set.get("total", 0),
        "config.status": change.status,
        "requested_by": change.assignee or "unknown",
    }


@reml_config.command()
@click.argument("audit_id")
@click.option("--dry-run", is_flag=True, help="Only say whether it can be taken back.")
@click.option("--confirm", is_flag=True, help="Put the old text back.")
@click.pass_context
def rollback(command: click.Context, audit_id: str, dry_run: bool, confirm: bool) -> None:
    """Put back what a file was before a change was applied, byte for byte."""
    if dry_run == confirm:
        raise click.UsageError("say --confirm to put the old text back, or --dry-run to look only")
    try:
        change = approvals.load(audit_id)
        previous = change.rollback()
        if not dry_run:
            with documents.replaced(change.path, previous):
                trail = Trail("config.rollback", {"audit_id": audit_id})
                trail.log("config.rollback", category="config", metadata=_metadata(change), audit_id=audit_id)
                change.save()
    except ConfigError as error:
        complain(error.problems)
        command.exit(EXIT_CODES[error.kind])
    status = "dry_run" if dry_run else "rolled_back"
    show_json({"audit_id": audit_id, "status": status, "change_set": change.change_set})


def main() -> None:
    """Entry point."""
    run_group(reml_config, "reml-config", io_error=IO_ERROR, unavailable=IO_ERROR)


if __name__ == "__main__":
    main()
