"""Ids and times of records (CONTRACTS 0.2, 3.6)."""

from __future__ import annotations

import datetime
import itertools
import os
import uuid
from typing import Any

_sequence = itertools.count(1)


def new_id() -> str:
    """A fresh audit id: a random UUID (version 4), lower case."""
    return str(uuid.uuid4())


def now() -> str:
    """The time in UTC, whole seconds: ``2026-03-02T08:15:00Z``."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def source_commit() -> str | None:
    """Commit of what is worked on: ``REMLC_GIT_COMMIT``, else the first 7 characters of ``GITHUB_SHA``; None when neither is set."""
    return os.environ.get("REMLC_GIT_COMMIT") or os.environ.get("GITHUB_SHA", "")[:7] or None


def label_uuid(label: str) -> str:
    """The UUID of an id label: version 5 in the name space of URLs."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, label))


def cli_identity(
    channel: str = "cli", *, started: str | None = None, sequence: int | None = None, commit: str | None = None
) -> dict[str, Any]:
    """
    The deterministic identity of a command run: label ``<channel>/<build_id>#<sequence>`` and its UUID v5.

    Args:
        channel: begins the label.
        started: when the command began, RFC 3339; by default now.
        sequence: the number of the identity; by default the next of this process, from 1.
        commit: of the sources; by default `source_commit`.

    Returns:
        ``cli.audit_id``, ``audit.id.label``, ``audit.id.uuid``, ``audit.build_id``, ``audit.sequence``, ``audit.timestamp``,
        ``audit.source.workspace`` and, when known, ``audit.source.commit``. In a chained file ``audit.sequence`` is the number of the record,
        which the library gives: there that of the identity stands in the label.
    """
    started = started or now()
    commit = commit or source_commit()
    number = next(_sequence) if sequence is None else sequence
    build_id = started.replace("-", "").replace(":", "") + (f"-{commit}" if commit else "")
    label = f"{channel}/{build_id}#{number}"
    identity = {
        "cli.audit_id": label_uuid(label),
        "audit.id.label": label,
        "audit.id.uuid": label_uuid(label),
        "audit.build_id": build_id,
        "audit.sequence": number,
        "audit.timestamp": started,
        "audit.source.workspace": os.environ.get("REMLC_WORKSPACE_ROOT") or ".",
    }
    if commit:
        identity["audit.source.commit"] = commit
    return identity
