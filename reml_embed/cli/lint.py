"""``reml-run lint``: what keeps a source from production (CONTRACTS 10.5, 20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reml_embed import Context, RemlError
from reml_embed.audit import cli_identity
from reml_embed.cli._capabilities import honour_files
from reml_embed.cli._common import SOURCE, as_diagnostic, format_option, show_line, with_option
from reml_embed.cli._documents import compatibility_for
from reml_embed.cli._pipeline import Asked, PipelineCommand, Session, pipeline_options
from reml_embed.cli.check import load_modules
from reml_embed.config import documents
from reml_embed.config.manifest import check_sources, from_document, is_manifest
from reml_embed.config.manifest import read as read_manifest
from reml_embed.config.problems import ConfigError, diagnostics
from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.catalog import DOMAINS, normal_domain
from reml_embed.effects import OptIn
from reml_embed.errors import CatalogError
from reml_embed.target import STAGES

#: Suffixes of configurations; everything else is a Reml source.
CONFIGURATIONS = (".toml", ".json")


def read_domain(_command: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """The value of ``--domain``."""
    if given is None:
        return None
    try:
        return normal_domain(given)
    except CatalogError:
        raise click.BadParameter(f"`{given}` is no domain; known: {', '.join(sorted(DOMAINS))}") from None


def belongs(found: Diagnostic, domain: str | None) -> bool:
    """Is it reported? Errors always are: what does not load is fit for nothing."""
    return found.severity == "error" or domain is None or found.domain == domain


def lint_file(context: Context, file: Path, domain: str | None, session: Session) -> list[dict[str, Any]]:
    """Report what is found in one file."""
    try:
        found = context.check(file)
        text, coloured = context.diagnostics_text(), context.diagnostics_text(colour=True)
    except RemlError as error:  # an empty file
        diagnostic, text = as_diagnostic(error)
        found, coloured = [diagnostic], text
    return session.add(found, text=text, coloured=coloured, file=file, keep=lambda item: belongs(item, domain))


def lint_configuration(file: Path, domain: str | None, session: Session) -> list[dict[str, Any]]:
    """Report what is wrong with a manifest or another document."""
    try:
        document = documents.read(file, compatibility_for(file).compatibility)
        problems = document.problems
        if is_manifest(document):
            manifest = from_document(document)
            problems = manifest.problems + (check_sources(manifest) if manifest.ok else [])
    except ConfigError as error:
        problems = error.problems
    found, text = diagnostics(problems)
    return session.add(found, text=text, file=file, keep=lambda item: belongs(item, domain))


def entries() -> tuple[Path, ...]:
    """
    What is looked at when no file is named: the manifest here, and the entries of its DSLs.

    Raises:
        click.UsageError: there is no manifest.
    """
    manifest = Path("reml.toml")
    if not manifest.is_file():
        raise click.UsageError("name the files to look at: there is no reml.toml here whose entries could be meant")
    try:
        found = read_manifest(manifest)
    except ConfigError:  # said when the manifest itself is looked at
        return (manifest,)
    sources = [found.entry(name) for name in found.dsls]
    return (manifest, *(source for source in sources if source is not None and source.is_file()))


def counts(found: list[dict[str, Any]]) -> dict[str, int]:
    """``{errors, warnings}``."""
    severities = [item["severity"] for item in found]
    return {"errors": severities.count("error"), "warnings": severities.count("warning")}


@click.command(cls=PipelineCommand)
@click.argument("files", type=SOURCE, nargs=-1, metavar="FILE...")
@click.option(
    "--domain",
    callback=read_domain,
    metavar="NAME",
    help="Report warnings and hints of this domain only; errors always.",
)
@click.option("--deny", type=click.Choice(["experimental"]), multiple=True,
              help="What requires a capability of this stage is an error.")  # fmt: skip
@click.option("--fail-on-warning", is_flag=True, help="Exit with 1 for warnings, too.")
@with_option
@format_option
@pipeline_options
@click.pass_context
def lint(
    command: click.Context, files: tuple[Path, ...], domain: str | None, deny: tuple[str, ...], fail_on_warning: bool,
    modules: tuple[Path, ...], form: str, asked: Asked,
) -> None:  # fmt: skip
    """
    Check each FILE before it goes to production, without running it: Reml sources, manifests and other configurations (.toml, .json). Without
    FILE: reml.toml and the entries of its DSLs.

    With `--deny experimental` every `@requires_capability(stage="experimental")` that is left is an error. Exits with 0, with 1 for errors
    (and, with --fail-on-warning, for warnings), with 2 for wrong usage and files that are not there.
    """
    files = files or entries()
    session = Session("lint", "Lint", files, asked)
    audit_id = session.trail.audit_id if session.trail is not None else str(cli_identity()["cli.audit_id"])
    options: dict[str, Any] = {"audit": session.context_log, **honour_files(None, None)}
    if "experimental" in deny:
        options["effects"] = OptIn(
            demanded=True
        )  # handlers; attributes are found by their stage, whatever is enabled here
        options["minimum_stage"] = max("beta", options.get("minimum_stage", "beta"), key=STAGES.index)
    if form == "json":
        session.silence()
    reports: list[dict[str, Any]] = []
    try:
        with session.context(**options) as context, session.logging_into(context):
            loaded = load_modules(context, modules, session)
            for file in files:
                with session.pipeline(file) as pipeline:
                    found = []
                    if file.suffix in CONFIGURATIONS:
                        found = lint_configuration(file, domain, session)
                    elif loaded:
                        found = lint_file(context, file, domain, session)
                    numbers = counts(found)
                    failed = not loaded or numbers["errors"] > 0 or (fail_on_warning and numbers["warnings"] > 0)
                    pipeline.finish(count=1 + len(modules), diagnostics=len(found), code=int(failed))
                reports.append({
                    "command": "lint", "file": str(file), "domain": domain, "diagnostics": [item for item in found if session.filter(item)],
                    "summary": numbers, "audit_id": audit_id, "exit_code": int(failed),
                })  # fmt: skip
                if session.human:
                    click.echo(
                        f"{file}: {'failed' if failed else 'ok'}: {numbers['errors']} errors, {numbers['warnings']} warnings"
                    )
    except RemlError as error:
        session.refused(error)
        numbers = counts(session.shown)
        reports.append({
            "command": "lint", "file": str(files[-1]), "domain": domain, "diagnostics": session.shown, "summary": numbers,
            "audit_id": audit_id, "exit_code": 1,
        })  # fmt: skip
    code = int(any(report["exit_code"] for report in reports))
    for report in reports if form == "json" else ():
        show_line(report)
    session.close(code)
    command.exit(code)
