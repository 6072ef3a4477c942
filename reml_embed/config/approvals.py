"""
Changes on their way: proposed, applied, approved, rolled back; one file per audit id in ``.reml/config-audit`` (CONTRACTS 10.5).

The file of an applied change holds the old text byte for byte, so that `rollback` can put it back, and the digest of the new one,
so that it is not put back over something else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reml_embed.audit import ids
from reml_embed.config import documents
from reml_embed.config.problems import ConfigError, Problem

FOLDER = Path(".reml") / "config-audit"
STATUSES = ("proposed", "applied", "approved", "rolled_back")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclass(slots=True)
class Change:
    """
    One change of a file.

    Attributes:
        audit_id: of its record. status: one of `STATUSES`.
        path: the file; other: the document it was compared with.
        change_set: what changes, as JSON. created_at: RFC 3339.
        applied: has the file been changed? Stays True when it is approved afterwards.
        previous: base64 of the old text. digest: SHA-256 of the new one, hexadecimal. Both only when applied.
        assignee, note: of the approval.
    """

    audit_id: str
    status: str
    path: str
    other: str
    change_set: dict[str, Any]
    created_at: str
    applied: bool = False
    previous: str = ""
    digest: str = ""
    assignee: str | None = None
    note: str | None = None
    history: list[str] = field(default_factory=list)

    def keep_previous(self, old: bytes, new: bytes) -> None:
        """Remember what the file was and what it has become."""
        self.applied = True
        self.previous = base64.b64encode(old).decode()
        self.digest = hashlib.sha256(new).hexdigest()

    def save(self) -> None:
        """
        Write it, replacing an older state as a whole.

        Raises:
            ConfigError: ``IoError``.
        """
        try:
            FOLDER.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = Problem("config.manifest.io_error", error.strerror or str(error), str(FOLDER))
            raise ConfigError("IoError", [problem]) from error
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"
        documents.replace_file(FOLDER / f"{self.audit_id}.json", text.encode())

    def approve(self, assignee: str | None, note: str | None) -> None:
        """
        Somebody answers for it.

        Raises:
            ConfigError: ``ValidationError``: it was rolled back.
        """
        if self.status == "rolled_back":
            raise _refusal(self.audit_id, "the change was rolled back")
        self.assignee, self.note = assignee, note
        self.turn("approved")

    def turn(self, status: str) -> None:
        """Note the new status and when it came."""
        self.status = status
        self.history.append(f"{ids.now()} {status}")

    def rollback(self) -> bytes:
        """
        The old text, to be put back.

        Raises:
            ConfigError: ``ValidationError``: never applied, rolled back before, or the file has changed since. ``IoError``.
        """
        if not self.applied or self.status == "rolled_back":
            reason = "was rolled back before" if self.status == "rolled_back" else "was never applied"
            raise _refusal(self.audit_id, f"the change {reason}")
        if hashlib.sha256(documents.read_bytes(self.path)).hexdigest() != self.digest:
            raise _refusal(self.path, "the file has changed since the change was applied")
        self.turn("rolled_back")
        return base64.b64decode(self.previous)


def _refusal(where: str, message: str) -> ConfigError:
    return ConfigError("ValidationError", [Problem("config.change_set.conflict", message, where)])


def load(audit_id: str) -> Change:
    """
    The change with this audit id.

    Raises:
        ConfigError: ``ValidationError``: no audit id, or a damaged file. ``IoError``: no such change here.
    """
    if not _UUID.match(audit_id):
        raise _refusal(audit_id, "no audit id: a UUID in lower case is expected")
    path = FOLDER / f"{audit_id}.json"
    document = documents.check(documents.read(path))
    try:
        change = Change(**document.value)
        base64.b64decode(change.previous, validate=True)
        known = change.status in STATUSES and change.audit_id == audit_id and isinstance(change.path, str)
    except (TypeError, binascii.Error):
        known = False
    if not known:
        problem = Problem(
            "config.change_set.invalid", "not the state of a change, or one of another version", str(path)
        )
        raise ConfigError("ValidationError", [problem])
    return change
