"""The option ``--emit-telemetry`` of commands that check a source, and the one place that writes what it asks for (CONTRACTS 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import click

from reml_embed import Context, RemlError
from reml_embed._files import replace_file
from reml_embed.audit.ids import now
from reml_embed.cli._pipeline import Session
from reml_embed.cli._trail import Trail
from reml_embed.diagnostics import Diagnostic, Json
from reml_embed.telemetry import default_path, document_text, explain_failures, make_document

NAME: Final = "constraint_graph"
#: Codes beside ``typeclass.…`` that a failed resolution may have.
ALSO_OF_TRAITS: Final = frozenset(
    {"type.annotation.required", "type.instantiation.limit", "effects.contract.stage_mismatch"}
)


class _Wanted(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """``constraint_graph`` or ``constraint_graph=PATH``: an empty path stands for the default one."""

    name = NAME

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | None:
        what, equals, path = str(value).partition("=")
        if what != NAME or (equals and not path):
            self.fail(f"expected `{NAME}` or `{NAME}=PATH`, got `{value}`", param, ctx)
        return Path(path) if path else Path()


def telemetry_option(function: Any) -> Any:
    """``--emit-telemetry constraint_graph[=PATH]``; the parameter `telemetry` is None, an empty Path (the default place) or a Path."""
    text = f"Write what the type checker demanded, as JSON; without PATH to tmp/telemetry/<stem>-{NAME}.json."
    return click.option("--emit-telemetry", "telemetry", type=_Wanted(), metavar=f"{NAME}[=PATH]", help=text)(function)


class Graphs:
    """
    The graphs of a command's inputs, taken while its context is open and written when it is closed: the log may be the same file.

    Args:
        telemetry: of `telemetry_option`; None: nobody asked.
        files: the inputs.

    Raises:
        click.UsageError: one path, but several inputs.
    """

    def __init__(self, telemetry: Path | None, files: Sequence[Path]) -> None:
        self.path = telemetry
        self.taken: list[tuple[Path, dict[str, Json]]] = []
        if telemetry not in {None, Path()} and len(files) > 1:
            raise click.UsageError("--emit-telemetry with a path takes one FILE")

    @property
    def wanted(self) -> bool:
        """Is the checker to keep what it demands?"""
        return self.path is not None

    def take(self, context: Context, source: Path) -> None:
        """Keep the graph of the check that *context* has just made; the user is told when there is none."""
        if not self.wanted:
            return
        try:
            self.taken.append((source, context.constraints()))
        except RemlError:
            click.echo(f"{source}: no constraint graph: the source could not be read as a program", err=True)

    def write(self, session: Session) -> None:
        """
        Write them, and a record ``telemetry.constraint_graph`` for each: to the trail of the session, else to that of commands.

        Raises:
            AuditUnavailableError: a record cannot be written.
            click.FileError: a file cannot be written.
        """
        for source, raw in self.taken:
            path = default_path(source) if self.path == Path() else self.path or Path()
            document = make_document(raw, generated_at=now(), source=source.as_posix())
            save(path, document_text(document))
            trail = session.trail or Trail(session.command, {}, inputs=session.inputs, run_id=session.run_id)
            record_graph(trail, path, document)


def explained(context: Context, source: Path, found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """
    The diagnostics of a check of *source*; failures of traits say in ``extensions.typeclass`` what was looked for. Without such failures
    nothing is done; with them the source is checked once more when no graph of it is there.
    """
    if not any(diagnostic.code.startswith("typeclass.") or diagnostic.code in ALSO_OF_TRAITS for diagnostic in found):
        return list(found)
    try:
        try:
            graph = context.constraints()
        except RemlError:
            context.check(source, telemetry=True)
            graph = context.constraints()
    except (RemlError, OSError):  # it has gone, or has errors of syntax
        return list(found)
    resolutions: Any = [{**entry, "graph": {"export_dot": None}} for entry in cast("list[Any]", graph["resolutions"])]
    texts = explain_failures([diagnostic.json for diagnostic in found], resolutions)
    return [replace(diagnostic, json=text) for diagnostic, text in zip(found, texts, strict=True)]


class _UnwritableError(click.FileError):
    exit_code = 2


def save(path: Path, text: str) -> None:
    """Write a file; a failure is the user's to mend (exit 2)."""
    try:
        replace_file(path, text)
    except OSError as error:
        raise _UnwritableError(str(path), hint=error.strerror or str(error)) from None


def record_graph(trail: Trail, path: Path, document: dict[str, Json]) -> str:
    """The record of a graph that was written or exported; answers its audit id."""
    graph: Any = document.get("graph", document)
    keys: dict[str, Json] = {
        "telemetry.path": path.as_posix(), "telemetry.nodes": len(graph["nodes"]), "telemetry.edges": len(graph.get("edges", [])),
    }  # fmt: skip
    return trail.log("telemetry.constraint_graph", capability="core.diagnostics", metadata=keys)
