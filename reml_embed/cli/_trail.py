"""
The audit trail of a command: records of channel ``cli`` with the identity of the run (CONTRACTS 0.5, 3.6).

A command that changes something opens a `Trail` and logs what it did::

    trail = Trail("capability.enable", {"id": "console"}, path)
    audit_id = trail.log("capability.enable", metadata={…})
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from reml_embed.audit import AuditContext, FileSink, RecordSink, cli_identity, new_id
from reml_embed.audit.kinds import POLICY_VERSION
from reml_embed.audit.records import Json
from reml_embed.cli._common import shown_name

DEFAULT_PATH = Path(".reml") / "audit.ndjson"


def trail_option(function: Any) -> Any:
    """``--audit PATH``."""
    text = f"Append audit records to this file; else to $REML_EMBED_AUDIT_PATH, else to {DEFAULT_PATH.as_posix()}."
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("--audit", "audit", type=kind, metavar="PATH", help=text)(function)


def trail_path(given: Path | None) -> Path:
    """Where the trail of a command goes; the directory of the default is made."""
    if given is not None:
        return given
    named = os.environ.get("REML_EMBED_AUDIT_PATH")
    if named:
        return Path(named)
    DEFAULT_PATH.parent.mkdir(exist_ok=True)
    return DEFAULT_PATH


def change_set(
    command: str, arguments: Mapping[str, Json], run_id: str, *, inputs: Iterable[str] = (), target: str | None = None,
    collections: Json = None,
) -> dict[str, Json]:  # fmt: skip
    """The change set of a command run: the command itself, its inputs, and a ChangeSet of collections where there is one."""
    workspace = os.environ.get("REMLC_WORKSPACE_ROOT") or "."
    words = [shown_name(word) for word in sys.argv[1:]]
    items: list[Json] = [{"kind": "cli-command", "command": command, "arguments": dict(arguments)}]
    items += [{"kind": "input", "path": path, "target": target} for path in inputs]
    made: dict[str, Json] = {
        "policy": POLICY_VERSION,
        "origin": "cli",
        "source": {"command": command, "args": words, "workspace": workspace},
        "run_id": run_id,
        "items": items,
    }
    if collections is not None:
        made["collections"] = collections
    return made


class Trail:
    """
    The records of one command run.

    Args:
        command: name of the command: ``capability.enable``.
        arguments: what it was given, as JSON.
        path: of the log; see `trail_path`. The log is opened with the first record.
        sink: takes the records instead of a file.
        inputs: paths of input files.
        target: what the inputs are for.
        channel: of the records.

    Attributes:
        run_id: ``cli.run_id``. identity: `cli_identity` of the run. change_set: ``cli.change_set``.
    """

    def __init__(
        self, command: str, arguments: Mapping[str, Json] | None = None, path: Path | None = None, *,
        sink: RecordSink | None = None, inputs: Iterable[str] = (), target: str | None = None, channel: str = "cli",
        run_id: str | None = None, collections: Json = None,
    ) -> None:  # fmt: skip
        self.command = command
        self.run_id = run_id or new_id()
        self.identity = cli_identity(channel)
        self.change_set = change_set(
            command, arguments or {}, self.run_id, inputs=inputs, target=target, collections=collections
        )
        members: dict[str, Json] = {key: value for key, value in self.identity.items() if key != "audit.sequence"}
        members |= {"cli.change_set": self.change_set, "cli.command": command, "cli.run_id": self.run_id}
        self.metadata = members
        self._path = path
        self._sink = sink
        self._channel = channel

    @property
    def audit_id(self) -> str:
        """``cli.audit_id``: of the run, not of a record."""
        return str(self.identity["cli.audit_id"])

    @property
    def command_line(self) -> str:
        """The command as it was typed."""
        return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])

    @property
    def context(self) -> AuditContext:
        """The audit context of the run."""
        if self._sink is None:
            self._sink = FileSink(trail_path(self._path))
        return AuditContext(self._sink, channel=self._channel, metadata=self.metadata)

    def log(self, event: str, payload: Mapping[str, Json] | None = None, **more: Any) -> str:
        """As `AuditContext.log`, with the ``cli.*`` keys of the run; answers the audit id of the record."""
        return self.context.log(event, payload, **more)
