"""
The form in which every part writes what it measured (``measurement.schema.json``): made, written, read and checked here.

Samples go in raw; figures are made by report.py. The C programs write the same form themselves (``c/harness.c``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NEEDED = {"kind": str, "unit": str, "environment": dict, "versions": dict, "missing": dict, "rows": list}


class Malformed(ValueError):
    """A file that is not a measurement of ours; says which and why."""


def row(name: str, engine: str, samples: Sequence[float], *, unit: str | None = None, iterations: int = 1,
        reason: str = "") -> dict[str, Any]:  # fmt: skip
    """One engine's samples for one row; a *reason* says that it failed, and then there are none."""
    made: dict[str, Any] = {"row": name, "engine": engine, "iterations": iterations, "failed": bool(reason)}
    if unit:
        made["unit"] = unit
    if reason:
        made["reason"] = reason
    made["samples"] = [] if reason else [float(f"{value:.9g}") for value in samples]
    return made


def write(path: Path, document: dict[str, Any]) -> None:
    """As one JSON file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check(document: Any, name: str) -> dict[str, Any]:
    """*document* itself; Malformed when something that the report needs is not there."""
    if not isinstance(document, dict):
        raise Malformed(f"{name}: not a table")
    for key, kind in NEEDED.items():
        if not isinstance(document.get(key), kind):
            raise Malformed(f"{name}: no {key}")
    for number, item in enumerate(document["rows"]):
        if not isinstance(item, dict) or not {"row", "engine", "samples"} <= item.keys():
            raise Malformed(f"{name}: row {number} has no row, engine or samples")
        if not all(isinstance(value, int | float) and value == value for value in item["samples"]):
            raise Malformed(f"{name}: row {number} ({item['row']}, {item['engine']}): a sample is no number")
    return document


def read(path: Path) -> dict[str, Any]:
    """One file; Malformed names it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Malformed(f"{path}: {error}") from None
    return check(document, str(path))
