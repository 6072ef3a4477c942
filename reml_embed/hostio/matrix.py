"""
Which operation needs which capability and has which effects, as a page, and the proof of it (CONTRACTS 6.5).

`page` is ``docs/core-io-effects-matrix.md``, made from `GUARDS` and `OPERATIONS`. `confirm` runs every row, so that its log passes the gates ``file_ops``,
``effects_matrix`` and ``capability_matrix``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from reml_embed.hostio import files, paths
from reml_embed.hostio.adapters import GUARDS, OPERATIONS, Host
from reml_embed.hostio.watch import WatchLimits, watch

_HEAD: Final = """<!-- Made by tools/make_io_matrix.py (`make docs`); edit reml_embed/hostio/adapters.py. -->

# Operations on files: capabilities and effects

What `reml_embed.hostio` does, what the capability registry is asked before it is done, and the effects that the record tells of. An operation that also needs
others asks for them, too. Programs (`Core.IO`, docs/files.md) name theirs alike. `tools/make_io_matrix.py --confirm LOG` runs every row; `reml audit metrics --section core_io --matrix` on this page and that log
gives the gates `file_ops`, `effects_matrix` and `capability_matrix`.

"""


def _codes(words: Iterator[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "–"


def page() -> str:
    """The page."""
    lines = [
        "| operation | capability | requirement | effects | guard | also guarded by |",
        "|---|---|---|---|---|---|",
    ]
    for row in OPERATIONS.values():
        first, *others = (GUARDS[name] for name in row.guards)
        effects = tuple(sorted({tag for name in row.guards for tag in GUARDS[name].effects}))
        lines.append(
            f"| `{row.name}` | `{first.capability}` | `{first.requirement}` | {_codes(effects)} | {_guard(first.name)} | "
            f"{_codes(guard.capability for guard in others)} |"
        )
    return _HEAD + "\n".join(lines) + "\n"


def _guard(name: str) -> str:
    return (
        f'`WatcherAdapter.ensure_watcher_feature("{name}")`' if name.startswith("watcher.") else f"`FsAdapter.{name}`"
    )


def confirm(folder: Path, host: Host) -> None:
    """
    Do every operation once, in an empty folder that is there.

    Raises:
        IoError: one of them does not work.
    """
    file, other, link = folder / "one.txt", folder / "two.txt", folder / "link"

    def read_and_write() -> None:
        with files.create(file, host=host) as writer:
            writer.write(b"one\ntwo\n")
            writer.flush()
            files.sync(writer)
        with files.open(file, host=host) as reader, files.create(other, host=host) as writer:
            reader.read(1)
            reader.read_exact(1)
            files.copy(reader, writer)
        with files.bytes_writer(host=host) as memory:
            files.with_reader(file, lambda reader: reader.copy_to(memory), host=host)
        with files.buffered(files.open(file, host=host), host=host) as lines:
            lines.read_line()

    def ask() -> None:
        files.metadata(file, host=host)
        files.set_permissions(file, 0o600, host=host)
        files.permissions(file, host=host)
        files.symlink(file.name, link, host=host)
        files.read_link(link, host=host)
        paths.glob(folder / "*", host=host)
        paths.validate_path(file, paths.SecurityPolicy((str(folder),)), host=host)
        paths.sandbox_path(file.name, folder, host=host)
        paths.is_safe_symlink(link, folder, host=host)

    def watching() -> None:
        with watch(folder, WatchLimits(max_depth=3), host=host) as watcher:
            files.remove(link, host=host)
            watcher.take(10)

    steps: tuple[Callable[[], None], ...] = (read_and_write, ask, watching)
    for step in steps:
        step()
