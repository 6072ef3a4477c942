"""
States of bridges: what runs, since when, and what ran before (CONTRACTS 11: ReloadState, RollbackInfo).

Comes in: JSON files. Goes out: the same, byte for byte where nothing changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.config import documents, schema
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.config.schema import Schema
from reml_embed.registry.stage import InvalidStageError, StageId

T = TypeVar("T")

#: So many earlier values are kept.
HISTORY_MOST = 10
FAILED_STEPS = ("compare", "apply", "audit")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z\Z")
_TEXTS = ("run_id", "last_applied_at", "bridge_id", "stage", "schema_version")
_KNOWN = frozenset({*_TEXTS, "audit_id", "value", "schema", "history"})
#: Members of a row of the history.
_ROW = ("run_id", "last_applied_at", "audit_id", "schema_version", "value", "schema")


def now_ms() -> str:
    """The time in UTC with milliseconds: ``2026-03-02T08:34:10.250Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class ReloadState(Generic[T]):
    """
    What a bridge runs with.

    Attributes:
        run_id: unique for each reload and long session.
        last_applied_at: RFC 3339, with milliseconds.
        bridge_id: of the bridge. stage: where it stands.
        schema_version: of `schema`; without one, of the state itself.
        value: the configuration, plain data.
        audit_id: of the reload that made it; None: it was never reloaded.
        schema: what `value` must look like; None: nobody says.
        history: at most 10 earlier states without their histories, the oldest first.
        more: members of the file that we do not know; they are kept.
        built: what the parser made of `value`; never written.
    """

    run_id: str
    last_applied_at: str
    bridge_id: str
    stage: StageId
    schema_version: str
    value: T
    audit_id: str | None = None
    schema: Schema | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    built: Any = field(default=None, compare=False)

    def json(self) -> dict[str, Any]:
        """The object of the file."""
        made: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS} | {"stage": self.stage.value}
        if self.audit_id is not None:
            made["audit_id"] = self.audit_id
        made["value"] = self.value
        if self.schema is not None:
            made["schema"] = self.schema.json()
        if self.history:
            made["history"] = [dict(row) for row in self.history]
        return made | dict(self.more)

    def text(self) -> bytes:
        """The file: JSON of two blanks a level, UTF-8."""
        return (json.dumps(self.json(), ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()

    def followed_by(self, value: T, known: Schema | None, *, run_id: str, audit_id: str, at: str) -> Self:
        """The next state, with this one at the end of its history."""
        row = {name: found for name, found in self.json().items() if name in _ROW}
        history = (*self.history, row)[-HISTORY_MOST:]
        return replace(
            self, run_id=run_id, last_applied_at=at, audit_id=audit_id, value=value, schema=known, history=history, built=None
        )  # fmt: skip

    def previous(self) -> Self | None:
        """The state before the last reload, from the history; None: there is none."""
        if not self.history:
            return None
        row = dict(self.history[-1])
        before = read(Document("", "json", "", {"bridge_id": self.bridge_id, "stage": self.stage.value, **row}))
        return replace(self, run_id=before.run_id, last_applied_at=before.last_applied_at, audit_id=before.audit_id,
                       schema_version=before.schema_version, value=before.value, schema=before.schema,
                       history=self.history[:-1], built=None)  # fmt: skip


def read(document: Document) -> ReloadState[Any]:
    """
    A state from a document.

    Raises:
        ConfigError: ``config.missing_field``, ``config.manifest.type_mismatch``, ``config.invalid_stage``,
            ``config.schema.version_incompatible``, …: for every mistake in it, with file, line and key path.
    """
    data = documents.check(document).value
    if not isinstance(data, dict):
        problem = document.problem("config.manifest.type_mismatch", "the state of a bridge is a map")
        raise ConfigError("ValidationError", [problem])
    reader = _Reader(document, data)
    known = reader.schema()
    made: ReloadState[Any] = ReloadState(
        reader.text("run_id"), reader.time(), reader.text("bridge_id"), reader.stage(), reader.version(known),
        data.get("value"), reader.optional_text("audit_id"), known, reader.history(),
        {name: value for name, value in data.items() if name not in _KNOWN},
    )  # fmt: skip
    if "value" not in data:
        reader.wrong("config.missing_field", "`value` is missing", "value")
    if reader.problems:
        raise ConfigError("ValidationError", reader.problems)
    return made


class _Reader:
    def __init__(self, document: Document, data: dict[str, Any]) -> None:
        self.document, self.data = document, data
        self.problems: list[Problem] = []

    def wrong(self, code: str, message: str, *path: str | int, **more: Any) -> None:
        self.problems.append(self.document.problem(code, message, path, **more))

    def text(self, name: str) -> str:
        value = self.data.get(name)
        if name not in self.data:
            self.wrong("config.missing_field", f"`{name}` is missing", name)
        elif not isinstance(value, str) or not value:
            self.wrong("config.manifest.type_mismatch", "a text is expected", name)
        return value if isinstance(value, str) else ""

    def optional_text(self, name: str) -> str | None:
        return None if self.data.get(name) is None else self.text(name)

    def time(self) -> str:
        text = self.text("last_applied_at")
        if text and not _TIME.match(text):
            self.wrong("config.manifest.type_mismatch", "a time is written 2026-03-02T08:34:10.250Z", "last_applied_at")
        return text

    def stage(self) -> StageId:
        text = self.text("stage")
        try:
            return StageId.parse(text)
        except InvalidStageError as error:
            if text:
                self.wrong("config.invalid_stage", error.message, "stage")
            return StageId.EXPERIMENTAL

    def schema(self) -> Schema | None:
        given = self.data.get("schema")
        if given is None:
            return None
        try:
            return schema.read(Document(self.document.file, "json", "", given))
        except ConfigError as error:
            for problem in error.problems:
                path = ("schema", *(problem.key_path.split(".") if problem.key_path else ()))
                self.wrong(problem.code, problem.message, *path)
            return None

    def version(self, known: Schema | None) -> str:
        """Of the schema; without one of the state, which must not be from a later version of this package."""
        text = self.text("schema_version")
        found = _VERSION.match(text)
        if text and not found:
            self.wrong("config.manifest.type_mismatch", "a version is written 1.2.3", "schema_version")
        if not found:
            return text
        mine = tuple(map(int, found.groups()[:3]))
        if known is not None:
            reason = "major" if mine[0] != known.version[0] else "schema_ahead" if mine < known.version else ""
            wanted = ".".join(map(str, known.version))
            said = f"{text} does not go with schema {known.name} {wanted}"
        else:
            reason = "major" if mine[0] > int(SCHEMA_VERSION.split(".", 1)[0]) else ""
            wanted, said = SCHEMA_VERSION, f"the state is of version {text}, this is {SCHEMA_VERSION}"
        if reason:
            details = {
                "version_reason": reason,
                "schema_name": known.name if known else "ReloadState",
                "schema_version": wanted,
            }
            self.wrong("config.schema.version_incompatible", said, "schema_version", details=details)
        return text

    def history(self) -> tuple[Mapping[str, Any], ...]:
        rows = self.data.get("history", [])
        if not isinstance(rows, list):
            self.wrong("config.manifest.type_mismatch", "the history is a list", "history")
            return ()
        for index, row in enumerate(rows):
            if not isinstance(row, dict) or "value" not in row:
                self.wrong("config.manifest.type_mismatch", "an earlier state is a map with a value", "history", index)
        return tuple(rows[-HISTORY_MOST:])


# --- the way back -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RollbackInfo:
    """
    What is needed to go back, and why one might.

    Attributes:
        audit_id, run_id: of the reload.
        reason: one line in words.
        failed_step: ``compare``, ``apply`` or ``audit``; None: it succeeded.
        previous_state: the state before it, as JSON.
        change_set: what should have changed, as JSON; None: it was not even a difference.
        created_at: RFC 3339.
        previous_text: the file before it, byte for byte; empty: there was no file.
        digest: SHA-256 of the file after it.
    """

    audit_id: str
    run_id: str
    reason: str
    failed_step: str | None
    previous_state: Mapping[str, Any]
    change_set: Mapping[str, Any] | None
    created_at: str
    previous_text: str = ""
    digest: str = ""

    def json(self) -> dict[str, Any]:
        """The object of ``<state>.rollback.json``."""
        return {
            "audit_id": self.audit_id, "run_id": self.run_id, "reason": self.reason, "failed_step": self.failed_step,
            "previous_state": dict(self.previous_state), "change_set": self.change_set, "created_at": self.created_at,
            "previous_text": self.previous_text, "digest": self.digest,
        }  # fmt: skip

    def short(self) -> dict[str, Any]:
        """The same without the text of the file."""
        return {name: value for name, value in self.json().items() if name not in {"previous_text", "digest"}}


class StateFile:
    """
    The state of a bridge on disk, and ``<state>.rollback.json`` beside it. Use it inside `reml_embed.registry._shape.locked`.

    Attributes:
        path: of the state. rollback_path: of what is beside it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.rollback_path = self.path.with_name(self.path.name + ".rollback.json")

    def read(self) -> tuple[bytes, ReloadState[Any]]:
        """
        The file as it is, and the state in it.

        Raises:
            ConfigError: as `read`, or ``IoError``.
        """
        data = documents.read_bytes(self.path)
        return data, read(documents.parse(documents.read_text(self.path), "json", os.fspath(self.path)))

    def save_rollback(self, info: RollbackInfo, before: bytes, after: bytes = b"") -> None:
        """
        Write what is needed to go back to *before*, byte for byte.

        Raises:
            ConfigError: ``IoError``.
        """
        whole = replace(info, previous_text=before.decode(), digest=hashlib.sha256(after or before).hexdigest())
        text = json.dumps(whole.json(), ensure_ascii=False, indent=2) + "\n"
        documents.replace_file(self.rollback_path, text.encode())

    def read_rollback(self) -> RollbackInfo | None:
        """
        What was saved; None: nothing, or it was used up.

        Raises:
            ConfigError: ``ValidationError``: damaged, or from another version. ``IoError``.
        """
        if not self.rollback_path.exists():
            return None
        document = documents.check(documents.read(self.rollback_path))
        try:
            found = RollbackInfo(**document.value)
            whole = isinstance(found.previous_text, str) and isinstance(found.previous_state, dict)
            if whole and hashlib.sha256(found.previous_text.encode()).hexdigest() != found.digest:
                read(documents.parse(found.previous_text, "json", os.fspath(self.rollback_path)))
        except TypeError:
            whole = False
        if not whole:
            problem = document.problem("config.change_set.invalid", "not what a reload leaves, or of another version")
            raise ConfigError("ValidationError", [problem])
        return found
