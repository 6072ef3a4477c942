"""``reml version``."""

from __future__ import annotations

import platform

import click

from reml_embed import __version__, abi_version, library_version, unicode_version
from reml_embed._ffi import HEADER_VERSION
from reml_embed.cli._common import format_option, show_line


@click.command()
@format_option
def version(form: str) -> None:
    """Versions of the package, the library, its interface and Python."""
    facts = {
        "package": __version__,
        "library": library_version(),
        "abi": abi_version(),
        "header": HEADER_VERSION,
        "unicode": unicode_version(),
        "python": platform.python_version(),
    }
    if form == "json":
        show_line(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:<8} {value}")
