"""``reml metrics``."""

from __future__ import annotations

from pathlib import Path

import click

from reml_embed.errors import MissingExtraError


@click.group()
def metrics() -> None:
    """Show numbers to monitoring tools."""


@metrics.command()
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="Where to listen; 0: any free port.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Which address to listen on.")
@click.option("--log", "logs", type=click.Path(dir_okay=False, path_type=Path), multiple=True, metavar="PATH",
              help="An audit or structured log to read along; again for more. It may appear later.")  # fmt: skip
@click.option("--once", is_flag=True, help="Print the metrics once instead, and end.")
def serve(port: int, address: str, logs: tuple[Path, ...], once: bool) -> None:
    """
    Answer scrapes of Prometheus on http://ADDRESS:PORT/metrics until Ctrl-C.

    Exits with 2 when the port is taken, or prometheus-client is not installed (`pip install 'reml-embed[ops]'`).
    """
    from reml_embed._exporter import Exporter  # noqa: PLC0415  (only this command pays for it)

    exporter = Exporter(logs)
    try:
        if once:
            click.echo(exporter.render(), nl=False)
            return
        server = exporter.serve(port, address)
    except MissingExtraError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.BadParameter(f"{address}:{port}: {error.strerror or error}".lower(), param_hint="--port") from None
    with server:
        click.echo(server.url)
        server.wait()
