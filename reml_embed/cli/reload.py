"""
``reml-run reload`` (guide 4; CONTRACTS 11).

The order on disk: ``<state>.rollback.json``, then the state in one step, then the records; when these are refused, the old state is back. So
whenever the machine stops, the state is the old one or the new one, and the way back is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from reml_embed.audit import AuditContext, MemorySink, new_id
from reml_embed.audit.records import Json, Record, read, segments
from reml_embed.audit.sinks import ConsoleSink, FileSink
from reml_embed.cli._common import PATH
from reml_embed.cli._trail import DEFAULT_PATH, Trail, trail_path
from reml_embed.config import documents
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.emission import Emitter, build
from reml_embed.errors import RemlError
from reml_embed.live import difference, reload, rollback
from reml_embed.live.errors import ReloadError
from reml_embed.live.state import ReloadState, RollbackInfo, StateFile, now_ms
from reml_embed.live.state import read as read_state
from reml_embed.registry._shape import FileError, locked
from reml_embed.registry.bridge import BridgeState
from reml_embed.registry.bridge_shape import ReloadUnsupported, RuntimeBridgeDescriptor
from reml_embed.registry.bridge_state import BridgeStateFile, declared, descriptor_files
from reml_embed.registry.capability import CapabilityRegistry


class OneId(Emitter):
    """Shows every diagnostic under the id of the action."""

    def __init__(self, id: str, log: Any, **more: Any) -> None:  # noqa: A002
        super().__init__(log, **more)
        self._id = id

    def audit_id(self, data: Any, file: str) -> str:  # noqa: ARG002
        """That of the action."""
        return self._id


class Records:
    """Takes the records of the command: into the trail, unless it only tries; onto standard error, where that is asked for."""

    def __init__(self, *, show: bool, keep: bool) -> None:
        self.console = ConsoleSink() if show else None
        self.keep = keep
        self.file: FileSink | None = None

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        if self.keep:
            self.file = self.file or FileSink(trail_path(None))
            self.file.write_record(record)
        if self.console is not None:
            self.console.write_record(record)


@dataclass
class Answer:
    """The object on standard output."""

    audit_id: str
    status: str = "failed"
    run_id: str = ""
    change_set: Any = None
    rollback_info: dict[str, Any] | None = None
    diagnostics: list[dict[str, Json]] = field(default_factory=list)

    def show(self) -> None:
        """Print it."""
        result: dict[str, Any] = {
            "status": self.status, "audit_id": self.audit_id, "run_id": self.run_id, "change_set": self.change_set,
        }  # fmt: skip
        if self.rollback_info is not None:
            result["rollback_info"] = self.rollback_info
        whole = {"command": "reload", "result": result, "diagnostics": self.diagnostics}
        click.echo(json.dumps(whole, ensure_ascii=False, indent=2))


class Run:
    """One run of the command."""

    def __init__(self, state: Path, diff: Path | None, *, dry: bool, audited: bool) -> None:
        self.file = StateFile(state)
        self.dry = dry
        self.answer = Answer(new_id())
        arguments: dict[str, Json] = {"state": str(Path.cwd() / state), "diff": None if diff is None else str(diff)}
        inputs = [str(path) for path in (state, diff) if path is not None]
        self.trail = Trail(
            "reload", arguments, sink=Records(show=audited, keep=not dry), inputs=inputs, target="reload"
        )
        self.options: dict[str, Any] = {
            "audit": self.trail, "audit_id": self.answer.audit_id, "dry_run": dry, "on_diagnostic": self.tell,
            "registry": CapabilityRegistry(audit=AuditContext(MemorySink())),
        }  # fmt: skip
        self.bridge: RuntimeBridgeDescriptor | None = None

    def tell(self, found: Diagnostic) -> None:
        """Show a diagnostic, and record it where the log takes it."""
        for log in (None,) if self.dry else (self.trail, None):
            emitter = OneId(self.answer.audit_id, log, metadata=self.trail.metadata)
            with suppress(RemlError, OSError):
                self.answer.diagnostics.append(emitter.emit(found))
                return

    def complain(self, error: ConfigError | FileError) -> int:
        """Show what is wrong with a file; the exit code."""
        for problem in error.problems if isinstance(error, ConfigError) else ():
            more: dict[str, Any] = {}
            if problem.place is not None:
                line, column = problem.place.line, problem.place.column
                more["primary"] = {"start_line": line, "start_col": column, "end_line": line, "end_col": column}
            data = {"path": problem.file, "key_path": problem.key_path, **problem.details}
            self.tell(build(problem.code, problem.message, severity=problem.severity, file=problem.file or None,
                            extensions={"config": data}, **more))  # fmt: skip
        if isinstance(error, FileError):
            self.tell(build("bridge.contract.violation", str(error), domain="runtime"))
        return 2 if isinstance(error, FileError) or error.kind == "IoError" else 1

    def open(self) -> tuple[bytes, ReloadState[Any]]:
        """The state, and what the directory says about its bridge."""
        before, state = self.file.read()
        self.answer.run_id = state.run_id
        self.bridge = declared(descriptor_files(Path())).get(state.bridge_id)
        if self.bridge is not None:
            if self.bridge.reload is None:
                raise ReloadUnsupported(state.bridge_id)
            self.options |= {
                "spec": self.bridge.reload, "required": self.bridge.requirement(state.stage), "capability": self.bridge.capability,
            }  # fmt: skip
        return before, state

    def attempt(self, diff: Path | None, *, back: bool) -> int:
        """Reload, or go *back*; the exit code."""
        try:
            if not self.file.path.exists():
                self.file.read()  # says why
            with nullcontext() if self.dry else locked(self.file.path):  # a dry run leaves no lock file
                if back:
                    self.rollback()
                else:
                    self.reload(diff or Path())
        except (ConfigError, FileError) as error:
            return self.complain(error)
        except ReloadUnsupported as error:
            self.tell(build("bridge.contract.violation", error.message, domain="runtime"))
            return 2 if back else 1
        except ReloadError:
            return 1
        return 0

    def note(self, *events: str) -> None:
        """What a declared bridge owes the log is kept for its promotion."""
        if self.bridge is not None and not self.dry:
            with suppress(FileError), BridgeStateFile().changing() as states:
                states.setdefault(self.bridge.id, BridgeState(self.bridge.stage)).events.update(events)

    def reload(self, diff: Path) -> None:
        """Apply *diff*."""
        before, state = self.open()
        document = documents.parse(documents.read_text(diff), "json", os.fspath(diff))

        @contextmanager
        def commit(fresh: ReloadState[Any]) -> Iterator[None]:
            after = fresh.text()
            info = RollbackInfo(
                self.answer.audit_id, state.run_id, "applied", None, state.json(), self.changes_of(document), now_ms()
            )
            self.file.save_rollback(info, before, after)
            with documents.replaced(self.file.path, after):
                yield

        self.answer.change_set = self.changes_of(document)
        try:
            fresh = reload(None, state, document, commit=commit, **self.options)
        except ReloadError as error:
            self.answer.status = "rejected" if error.kind == "ValidationFailed" else "failed"
            if error.rollback is not None:
                self.answer.rollback_info = error.rollback.json()
                if not self.dry:
                    with suppress(ConfigError):
                        self.file.save_rollback(error.rollback, before)
            raise
        self.answer.status = "dry_run" if self.dry else "applied"
        self.answer.run_id = state.run_id if self.dry else fresh.run_id
        self.note("parser.reload", "bridge.reload")

    @staticmethod
    def changes_of(document: Document) -> Any:
        """What would change, as far as the document is a difference."""
        with suppress(ConfigError):
            return difference.read(document).change_set.json()
        return None

    def rollback(self) -> None:
        """Put back what was before the last reload."""
        before, state = self.open()
        info = self.file.read_rollback()
        target, text = self.way_back(before, state, info)
        self.answer.change_set = info.change_set if info else None

        @contextmanager
        def commit(_state: ReloadState[Any]) -> Iterator[None]:
            with documents.replaced(self.file.path, text):
                yield

        rollback(state, info=info, before=target, commit=commit, **self.options)
        self.answer.status = "dry_run" if self.dry else "rolled_back"
        self.answer.rollback_info = info.short() if info else None
        self.answer.run_id = target.run_id if target is not None else state.run_id
        if not self.dry:
            self.file.rollback_path.unlink(missing_ok=True)
            self.note("bridge.rollback")

    def way_back(
        self, before: bytes, state: ReloadState[Any], info: RollbackInfo | None
    ) -> tuple[ReloadState[Any] | None, bytes]:
        """The state to go back to and its file: what the last reload left, else the history."""
        if info is None:
            target = state.previous()
            return target, target.text() if target is not None else before
        text = info.previous_text.encode()
        if before != text and hashlib.sha256(before).hexdigest() != info.digest:
            problem = Problem(
                "config.change_set.conflict", "the state has changed since the reload", os.fspath(self.file.path)
            )
            raise ConfigError("ValidationError", [problem])
        path = os.fspath(self.file.rollback_path)
        return read_state(documents.parse(text.decode("utf-8-sig"), "json", path)), text


def last_recorded() -> Path | None:
    """The state of the last reload that the trail of this directory tells of; None: it tells of none."""
    path = Path(os.environ.get("REML_EMBED_AUDIT_PATH") or DEFAULT_PATH)
    for file in reversed(segments(path)):
        last = None
        for line in read(file):
            if line.record is not None and line.record.kind == "bridge.reload":
                last = _state_of(line.record) or last
        if last is not None:
            return Path(last)
    return None


def _state_of(record: Record) -> str | None:
    here: Any = record.metadata.get("cli.change_set")
    for step in ("items", 0, "arguments", "state"):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step == 0 and here:
            here = here[0]
        else:
            return None
    return here if isinstance(here, str) else None


@click.command("reload")
@click.argument("state", type=PATH, required=False)
@click.argument("diff", type=PATH, required=False)
@click.option("--dry-run", "dry", is_flag=True, help="Check everything; write nothing but the result.")
@click.option("--rollback", "back", is_flag=True,
              help="Put back what was before the last reload; without STATE, of the state that was recorded last.")  # fmt: skip
@click.option("--audit", "audited", is_flag=True, help="Show the records on standard error, too.")
@click.pass_context
def reload_command(
    command: click.Context, state: Path | None, diff: Path | None, dry: bool, back: bool, audited: bool
) -> None:
    """
    Apply DIFF to the STATE of a bridge: both are JSON; DIFF is a ChangeSet, a SchemaDiff or the whole output of `config diff`.

    Standard output holds exactly one JSON object. The records go to $REML_EMBED_AUDIT_PATH, else to .reml/audit.ndjson; what is needed to
    go back is kept in STATE.rollback.json. Exits with 0; 1 when DIFF is refused or does not fit; 2 when a file cannot be read or written.
    """
    if not back and (state is None or diff is None):
        raise click.UsageError("name STATE and DIFF; only --rollback goes without them")
    if state is None:
        state = last_recorded()
        if state is None:
            raise click.UsageError("no reload is recorded here: name STATE")
    run = Run(state, diff, dry=dry, audited=audited)
    try:
        code = run.attempt(diff, back=back)
    except KeyboardInterrupt:  # the old state is back
        run.tell(build("runtime.interrupted", "stopped by Ctrl-C", domain="runtime"))
        run.answer.show()
        raise
    run.answer.show()
    command.exit(code)
