"""``reml telemetry``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from reml_embed.cli._common import PATH
from reml_embed.cli._telemetry import record_graph, save
from reml_embed.cli._trail import Trail, trail_option
from reml_embed.telemetry import DEFAULT_GRAPH_NAME, EmptyGraphError, TelemetryError, read_graph, to_dot, to_svg


@click.group()
def telemetry() -> None:
    """What the type checker tells of a program."""


def read_document(path: Path) -> Any:
    """The JSON of a file; whatever is wrong with it ends with 2."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return json.loads(text)
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte {error.start + 1}"
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno}: {error.msg[0].lower()}{error.msg[1:]}"
    except (RecursionError, ValueError) as error:
        reason = f"not JSON: {error}"
    raise click.UsageError(f"{path}: {reason}")


@telemetry.command()
@click.argument("document", metavar="JSON", type=PATH)
@click.option("--dot-out", type=click.Path(dir_okay=False, path_type=Path), help="Write the graph as DOT.")
@click.option(
    "--svg-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it as SVG, with Graphviz where that is installed.",
)
@click.option(
    "--graph-name",
    default=DEFAULT_GRAPH_NAME,
    show_default=True,
    help="Its name; other characters than A-Z a-z 0-9 _ become _.",
)
@trail_option
@click.pass_context
def export(
    command: click.Context,
    document: Path,
    dot_out: Path | None,
    svg_out: Path | None,
    graph_name: str,
    audit: Path | None,
) -> None:
    """
    Draw the constraint graph in JSON (of --emit-telemetry; a root without `graph` is the graph itself).

    Exits with 0, with 1 when the graph is empty, with 2 when a file cannot be read or written or is no graph.
    """
    content = read_document(document)
    try:
        graph = read_graph(content)
    except EmptyGraphError as error:
        click.echo(f"error[{error.code}]: {document}: {error}", err=True)
        command.exit(1)
    except TelemetryError as error:
        raise click.UsageError(f"{document}: error[{error.code}]: {error}") from None
    dot = to_dot(graph, graph_name)
    if dot_out is None and svg_out is None:
        click.echo(dot, nl=False)
    if dot_out is not None:
        save(dot_out, dot)
    if svg_out is not None:
        save(svg_out, to_svg(graph, graph_name))
    trail = Trail("telemetry.export", {"graph_name": graph_name}, audit, inputs=[document.as_posix()])
    record_graph(trail, document, content)
