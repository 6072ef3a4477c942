"""``reml-run diff``: what distinguishes two documents or schemas (guide 4; CONTRACTS 10.5)."""

from __future__ import annotations

from pathlib import Path

import click

from reml_embed.audit import new_id
from reml_embed.cli._documents import (
    apply_recorded,
    complain,
    diff_options,
    held_against,
    note_compatibility,
    read_pair,
    record,
    show_json,
    show_migration,
    show_table,
)
from reml_embed.cli._trail import Trail
from reml_embed.config.problems import ConfigError


@click.command()
@diff_options
@click.pass_context
def diff(
    command: click.Context, old: Path, new: Path, form: str, applies: bool, audited: bool, schema_path: Path | None
) -> None:
    """
    Show what turns OLD into NEW: documents, or schemas.

    Exits with 0; 1 when the difference cannot be made or applied; 2 when a file cannot be read or written.
    """
    try:
        pair = read_pair(old, new)
        migration = pair.migration
        schema_diff, report = pair.schema_diff, held_against(pair, schema_path)
        trail = Trail("diff", {"old": str(old), "new": str(new)}, inputs=[str(old), str(new)])
        note_compatibility(trail, *pair.resolved)
        audit_id, status = new_id(), "compared" if pair.changes else "unchanged"
        if applies and pair.changes:
            audit_id, status = apply_recorded(trail, pair, report), "applied"
        elif audited:
            audit_id = record(trail, "config.diff", pair, status="proposed", keep=True)
    except ConfigError as error:
        complain(error.problems)
        command.exit(2 if error.kind == "IoError" else 1)
    if form == "json":
        result = {"status": status, "audit_id": audit_id}
        shown = {"command": "diff", "change_set": pair.changes.json(), "schema_diff": schema_diff, "result": result}
        show_json(shown | ({"migration": migration.json()} if migration is not None else {}))
    else:
        show_table(pair.changes, f"{old} → {new}")
        if migration is not None and migration.steps:
            show_migration(migration)
        click.echo(f"{status}, audit id {audit_id}")
