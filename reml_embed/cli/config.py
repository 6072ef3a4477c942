"""``remlc config lint|diff`` and ``remlc manifest dump`` (guide 4.1; CONTRACTS 10.5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from reml_embed.audit import new_id
from reml_embed.audit.ids import now
from reml_embed.cli._common import PATH, format_option
from reml_embed.cli._documents import complain, read_pair, show_json, show_table
from reml_embed.config import documents, schema
from reml_embed.config.manifest import Manifest, check_sources, with_sources
from reml_embed.config.manifest import read as read_manifest
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.data.change_set import flatten
from reml_embed.errors import LoadError


@click.group()
def config() -> None:
    """Check manifests and compare documents."""


@click.group()
def manifest() -> None:
    """Look into a manifest."""


@config.command()
@click.option(
    "--manifest", "manifest_path", type=PATH, default=Path("reml.toml"), show_default=True, help="The manifest."
)
@click.option("--schema", "schema_path", type=PATH, help="A schema that the manifest has to satisfy.")
@format_option
@click.pass_context
def lint(command: click.Context, manifest_path: Path, schema_path: Path | None, form: str) -> None:
    """
    Check a manifest: its text, its tables, its DSLs against their sources, and a schema.

    Exits with 0 when it is valid, with 2 when it is not.
    """
    stats = {"validated": False, "manifest_loaded": False, "schema_checked": False}
    problems = lint_manifest(manifest_path, schema_path, stats)
    code = 2 if any(problem.severity == "error" for problem in problems) else 0
    if form == "json":
        audit = {"audit_id": new_id(), "timestamp": now()}
        shown = {
            "command": "config.lint",
            "manifest": str(manifest_path),
            "schema": str(schema_path) if schema_path else None,
        }
        found = [problem.json("cli", audit) for problem in problems]
        show_json(shown | {"diagnostics": found, "stats": stats, "exit_code": code})
    else:
        complain(problems)
        checked = ["manifest", *(["schema"] if stats["schema_checked"] else [])]
        click.echo(f"{manifest_path}: {'valid' if code == 0 else 'not valid'} ({' and '.join(checked)} checked)")
    command.exit(code)


def lint_manifest(path: Path, schema_path: Path | None, stats: dict[str, bool]) -> list[Problem]:
    """All that is wrong with a manifest; *stats* notes how far the checks came."""
    try:
        found = read_manifest(path)
    except ConfigError as error:
        return error.problems
    stats["manifest_loaded"] = found.document.value is not None
    problems = list(found.problems)
    if not stats["manifest_loaded"]:
        return problems
    problems += check_sources(found)
    if schema_path is not None:
        try:
            problems += check_schema(found, schema_path)
        except ConfigError as error:
            return problems + error.problems
        stats["schema_checked"] = True
    stats["validated"] = not any(problem.severity == "error" for problem in problems)
    return problems


def check_schema(found: Manifest, path: Path) -> list[Problem]:
    """
    What is wrong with a manifest by the schema in a file, of the guide's form or a JSON Schema.

    Raises:
        ConfigError: the schema cannot be read, or is none.
    """
    document = documents.check(documents.read(path))
    if schema.is_json_schema(document.value):
        return schema.validate_json_schema(found.document, document.value, document.file)
    wanted = schema.read(document)
    mismatch = schema.version_problem(found.document, found.project.get("version"), wanted)
    return ([mismatch] if mismatch else []) + schema.validate(found.document, wanted)


@config.command()
@click.argument("base", type=PATH)
@click.argument("target", type=PATH)
@format_option
@click.pass_context
def diff(command: click.Context, base: Path, target: Path, form: str) -> None:
    """
    Show what turns document BASE into TARGET.

    Exits with 0, or with 1 when one of them cannot be read.
    """
    try:
        pair = read_pair(base, target)
        shown: dict[str, Any] = {"command": "config.diff"}
        for name, document in (("base", pair.old), ("target", pair.new)):
            count = len(flatten(document.value))
            shown[name] = {"path": document.file, "format": document.format, "entries": count}
        shown |= {"summary": pair.changes.summary, "change_set": pair.changes.json(), "schema_diff": pair.schema_diff}
    except ConfigError as error:
        complain(error.problems)
        command.exit(1)
    if form == "json":
        show_json(shown)
    else:
        show_table(pair.changes, f"{base} → {target}")


@manifest.command()
@click.option("--manifest", "path", type=PATH, default=Path("reml.toml"), show_default=True, help="The manifest.")
@click.option("--format", "form", type=click.Choice(["json"]), default="json", help="How to print.")
@click.option("--output", type=PATH, help="Write there instead of standard output.")
@click.pass_context
def dump(command: click.Context, path: Path, form: str, output: Path | None) -> None:  # noqa: ARG001  (one form so far)
    """
    Print a manifest as JSON, with every signature as its source exports it.

    Exits with 0; 1 when the manifest or a source is wrong; 2 when a file cannot be read or written.
    """
    try:
        found = read_manifest(path)
        complain(found.problems)
        if not found.ok:
            command.exit(1)
        text = json.dumps(with_sources(found), ensure_ascii=False, indent=2) + "\n"
        if output is None:
            click.echo(text, nl=False)
        else:
            documents.replace_file(output, text.encode())
    except LoadError as error:
        click.echo(str(error), err=True)
        command.exit(1)
    except ConfigError as error:
        complain(error.problems)
        command.exit(2 if error.kind == "IoError" else 1)
