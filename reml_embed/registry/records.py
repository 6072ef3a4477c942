"""
Stage records (CONTRACTS 4.6, 12.1): what was asked of each capability last and what was found, in the file that
``BRIDGE_STAGE_RECORDS_PATH`` names.

The file is ``{"schema_version": …, "records": [{capability, required, actual, timestamp, …}]}``: the latest record per capability, sorted by
id. Without the variable nothing is written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from reml_embed.audit.ids import now
from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.registry._shape import Reader, locked, read_json, write_json
from reml_embed.registry.stage import StageId, StageRequirement

VARIABLE = "BRIDGE_STAGE_RECORDS_PATH"


def path_from_environment() -> Path | None:
    """The file that the environment names; None when it names none."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def read(path: Path) -> dict[str, dict[str, Any]]:
    """
    Capability → its latest record; empty without a file.

    Raises:
        FileError: the file cannot be read or is not what it should be.
    """
    try:
        given = Reader(read_json(path), file=path)
    except FileNotFoundError:
        return {}
    given.only("schema_version", "records")
    found: dict[str, dict[str, Any]] = {}
    for index, row in enumerate(given.get("records", list)):
        item = Reader(row, f"$.records[{index}]", path)
        found[item.get("capability", str)] = dict(item.value)
    return found


def write(
    capability: str, required: StageRequirement, actual: StageId | None, *, timestamp: str | None = None, path: Path | None = None,
    **more: str,
) -> None:  # fmt: skip
    """
    Note what was found of a capability.

    Args:
        actual: None: it is not registered (``unknown`` in the file).
        path: by default the one that the environment names; without one nothing happens.
        more: ``kind``, ``engine``, ``bundle_hash``, ``module_hash`` of bridges.

    Raises:
        FileError: the file cannot be read or written; it is as it was.
    """
    path = path or path_from_environment()
    if path is None:
        return
    record = {
        "capability": str(capability), "required": str(required), "actual": actual.value if actual else "unknown",
        "timestamp": timestamp or now(), **more,
    }  # fmt: skip
    with locked(path):
        found = read(path)
        found[record["capability"]] = record
        write_json(path, {"schema_version": SCHEMA_VERSION, "records": [found[name] for name in sorted(found)]})
