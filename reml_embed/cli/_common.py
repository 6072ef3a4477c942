"""What several commands share: sources, limits, the JSON object, how diagnostics are printed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import click

from reml_embed.diagnostics import Diagnostic, Json, plain
from reml_embed.diagnostics.catalog import code_of
from reml_embed.errors import RemlError
from reml_embed.limits import LIMIT_NAMES, Limits

#: An existing file; a missing one ends with 2.
SOURCE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
#: A path as it was given; the command says what is wrong with it.
PATH = click.Path(path_type=Path)


def format_option(function: Any) -> Any:
    """``--format human|json``."""
    choice = click.Choice(["human", "json"])
    return click.option("--format", "form", type=choice, default="human", show_default=True, help="How to print.")(
        function
    )


def check_text(option: str, given: str) -> None:
    """Refuse what is no UTF-8."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("not UTF-8", param_hint=option) from None


def with_option(function: Any) -> Any:
    """``--with FILE``."""
    text = "A file of a module that FILE uses, loaded before it; again for more, in the order of their uses."
    return click.option("--with", "modules", type=SOURCE, multiple=True, metavar="FILE", help=text)(function)


def limit_options(function: Any) -> Any:
    """``--limit NAME=VALUE`` and ``--untrusted``."""
    function = click.option(
        "--untrusted",
        is_flag=True,
        help="Tight limits; files and experimental capabilities only by name: for hostile code.",
    )(function)
    text = f"Change a limit: {', '.join(LIMIT_NAMES)}. VALUE is a number or `unlimited`."
    return click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help=text)(function)


def read_limits(given: tuple[str, ...], *, untrusted: bool) -> Limits:
    """Limits from the options."""
    changes: dict[str, int] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in LIMIT_NAMES:
            raise click.BadParameter(f"`{name}` is no limit; known: {', '.join(LIMIT_NAMES)}", param_hint="--limit")
        try:
            changes[name] = Limits.UNLIMITED if value == "unlimited" else int(value)
        except ValueError:
            raise click.BadParameter(f"`{value}` is neither a number nor `unlimited`", param_hint="--limit") from None
    try:
        return Limits.untrusted(**changes) if untrusted else Limits(**changes)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--limit") from None


def compact(value: object) -> str:
    """*value* as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def show_line(value: object) -> None:
    """Print *value* as JSON: one line on standard output."""
    click.echo(compact(value))


def wants_colour(stream: TextIO) -> bool:
    """Colours go to terminals only, and not there when NO_COLOR is set."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def shown_name(file: str | Path) -> str:
    """A file name as text: its bytes that are no UTF-8 are replaced."""
    return os.fsencode(file).decode("utf-8", "replace")


@dataclass
class Outcome:
    """What a command found; `show` prints it as the object of the JSON form."""

    ok: bool = False
    value: str | None = None
    type: str | None = None
    stdout: str = ""
    diagnostics: list[dict[str, Json]] = field(default_factory=list)
    audit_count: int = 0

    def show(self) -> None:
        """Print it as JSON: one line on standard output."""
        show_line(self.__dict__)


def complain(text: str, coloured: str) -> None:
    """Print diagnostics where errors go."""
    shown = coloured if wants_colour(sys.stderr) else text
    click.echo(shown.rstrip("\n"), err=True, color=True)


def as_diagnostic(error: RemlError) -> tuple[Diagnostic, str]:
    """A failure without diagnostics of its own as one, and as text for people."""
    code = code_of(error)
    message = error.message.removeprefix(f"{code}: ")
    return plain(code, message), f"error[{code}]: {message}"
