"""``reml watch``: serve a module, and take each version that is saved (CONTRACTS 11)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from reml_embed.cli._capabilities import runtime_options
from reml_embed.cli._common import SOURCE, limit_options, read_limits, with_option
from reml_embed.cli.run import answer
from reml_embed.errors import LoadError, RemlError, require
from reml_embed.limits import Limits
from reml_embed.live import LiveModule, ReloadError

#: Saves that come closer together than this, in milliseconds, are one.
DEBOUNCE_MS = 50
#: After so many milliseconds without news the files are looked at.
LOOK_MS = 500


def saves(files: set[Path]) -> Iterator[None]:
    """
    One answer for each time that one of the files may have been saved, and one now and then, for what was missed.

    Editors that replace a file show it as added, others as modified: both count.
    """
    library = require("watchfiles", "ops")
    folders = sorted({path.parent for path in files})
    found: set[tuple[Any, str]]
    for found in library.watch(*folders, watch_filter=None, debounce=DEBOUNCE_MS, step=DEBOUNCE_MS, recursive=False,
                               yield_on_timeout=True, rust_timeout=LOOK_MS):  # fmt: skip
        if not found or any(change != library.Change.deleted and Path(path) in files for change, path in found):
            yield


class Watcher:
    """
    One file under watch.

    Args:
        file: the module. modules: what it uses.
        entry: what is called after each version has taken over; None: ``main``, where there is one without parameters.
        allow: what a new version may remove or change.
        options: of each context.

    Attributes:
        versions: how many there were, good and bad.
    """

    def __init__(
        self, file: Path, modules: tuple[Path, ...], entry: str | None, allow: frozenset[str], options: dict[str, Any]
    ) -> None:
        self.file, self.modules, self.entry, self.allow, self.options = file, modules, entry, allow, options
        self.live: LiveModule | None = None
        self.versions = 0
        self.last: list[bytes] = []

    def take(self) -> None:
        """Serve what is saved, when it is another text; complain and serve on when it cannot be."""
        try:
            texts = [path.read_bytes() for path in (self.file, *self.modules)]
        except FileNotFoundError:
            return  # being replaced: the new one is announced, too
        if texts == self.last:
            return
        self.last = texts
        self.versions += 1
        try:
            if self.live is None:
                self.live = LiveModule(self.file, modules=self.modules, **self.options)
                what = f"serving {self.live.state.value['module']}"
            else:
                state = self.live.reload(self.file, allow=self.allow)
                what = f"reloaded {state.value['module']}, audit id {state.audit_id}"
        except (LoadError, ReloadError) as error:
            click.echo(str(error), err=True)
            then = "the last good version serves on" if self.live else "waiting for a version that loads"
            click.echo(f"{self.file}: {then}", err=True)
            return
        click.echo(what)
        self.run()

    def run(self) -> None:
        """Call the entry, where there is one."""
        assert self.live is not None  # noqa: S101  (it serves)
        entry = self.entry
        if entry is None:
            entry = "main" if self.live.state.value["exports"].get("main", "").startswith("() ->") else None
        if entry is None:
            return
        try:
            result = self.live.call(entry)
        except RemlError as error:
            click.echo(str(error), err=True)
            return
        if result is not None:
            click.echo(f"{entry}() = {result!r}")


@click.command()
@click.argument("file", type=SOURCE, metavar="FILE")
@click.argument("arguments", nargs=-1, metavar="[-- ARGUMENTS...]")
@with_option
@click.option(
    "--entry",
    metavar="NAME",
    default=None,
    help="Call this function after each version has taken over; `main` by default where there is one.",
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="A function or type that may be removed or changed; again for more.",
)
@click.option(
    "--versions",
    "most",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after so many versions, good and bad ones, the first one included.",
)
@runtime_options
@limit_options
def watch(
    file: Path, arguments: tuple[str, ...], modules: tuple[Path, ...], entry: str | None, allowed: tuple[str, ...], most: int | None,
    runtime: dict[str, Any], limits: tuple[str, ...], untrusted: bool,
) -> None:  # fmt: skip
    """
    Serve the module in FILE, and take each version that is saved.

    A version that does not load, or lacks what the one before exports, is refused: its errors are shown, and the last good version serves on.
    Ctrl-C ends with 130.
    """
    require("watchfiles", "ops")
    used: Limits = read_limits(limits, untrusted=untrusted)
    options: dict[str, Any] = {
        **runtime, "limits": used, "args": arguments, "explicit_experimental": untrusted,
        "environment": None if untrusted else os.environ, "input": None if untrusted else answer,
    }  # fmt: skip
    watcher = Watcher(file, modules, entry, frozenset(allowed), options)
    try:
        watcher.take()
        for _ in saves({path.resolve() for path in (file, *modules)}):
            if most is not None and watcher.versions >= most:
                break
            watcher.take()
    finally:
        if watcher.live is not None:
            watcher.live.close()
