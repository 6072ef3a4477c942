"""
``create-audit-index``: ``index.json`` from specs ``profile:target:path[:status[:level[:pass_rate]]]`` (CONTRACTS 3.7).

Comes in: specs. Goes out: the index, with what the store's retention lets go.
"""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reml_embed._files import replace_file
from reml_embed.audit.ids import cli_identity, now, source_commit
from reml_embed.audit.policy import LEVELS
from reml_embed.audit.records import read
from reml_embed.audit.store import CI_BYTES_MOST, CI_KEPT_PER_TARGET, INDEX, KEPT, KEPT_OTHERWISE


class SpecError(ValueError):
    """A spec that is none; the message names it."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One log: whose it is and what is said about it."""

    profile: str
    target: str
    path: Path
    status: str | None
    level: str
    pass_rate: float | None

    @classmethod
    def parse(cls, text: str) -> Spec:
        """
        A spec from its text.

        Raises:
            SpecError: parts are missing or wrong.
        """
        parts = text.split(":")
        if not 3 <= len(parts) <= 6 or not all(parts[:3]):
            raise SpecError(f"`{text}` is not PROFILE:TARGET:PATH[:STATUS[:LEVEL[:PASS_RATE]]]")
        profile, target, path, status, level, rate = [*parts, *[""] * (6 - len(parts))]
        if level and level not in LEVELS:
            raise SpecError(f"`{text}`: the level `{level}` is not one of {', '.join(LEVELS)}")
        try:
            pass_rate = float(rate) if rate else None
        except ValueError:
            raise SpecError(f"`{text}`: the pass rate `{rate}` is no number") from None
        if pass_rate is not None and not (math.isfinite(pass_rate) and 0 <= pass_rate <= 1):
            raise SpecError(f"`{text}`: the pass rate `{rate}` is not between 0 and 1")
        return cls(profile, target, Path(path), status or None, level or "full", pass_rate)


@dataclass(frozen=True, slots=True)
class Made:
    """What `create_index` did: the index, where it is, and whether the store has become large."""

    index: dict[str, Any]
    path: Path
    warning: str | None


def _packed(path: Path) -> Path:
    if path.suffix == ".gz":
        return path
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as plain, gzip.open(packed, "wb") as file:
        shutil.copyfileobj(plain, file)
    path.unlink()
    return packed


def _entry(spec: Spec, store: str | None) -> dict[str, Any]:
    first, good = None, True
    for line in read(spec.path):
        good &= line.record is not None
        if first is None and line.record is not None:
            first = line.record.timestamp
    path = _packed(spec.path) if store == "ci" else spec.path
    return {
        "build_id": str(cli_identity(started=first or now(), sequence=1)["audit.build_id"]), "timestamp": first or now(), "profile": spec.profile,
        "audit_store": store or "directory", "target": spec.target, "audit_level": spec.level, "path": str(path),
        "status": spec.status or ("ok" if good else "error"), "pass_rate": spec.pass_rate, "size_bytes": path.stat().st_size,
        "commit": source_commit(),
    }  # fmt: skip


def create_index(
    specs: Iterable[str], *, store: str | None = None, folder: Path | None = None, output: Path | None = None
) -> Made:
    """
    Make ``index.json``. Entries keep the order of *specs*, oldest first; the store's retention decides which of them stay. The file of a pruned
    entry is removed when it lies below *folder*, never elsewhere.

    Raises:
        SpecError: a spec is wrong. OSError: a log cannot be read, or the index cannot be written.
    """
    wanted = [Spec.parse(text) for text in specs]
    for spec in wanted:
        spec.path.open("rb").close()  # before anything is changed
    entries = [_entry(spec, store) for spec in wanted]
    most = KEPT.get(store or "", KEPT_OTHERWISE)
    kept: list[dict[str, Any]] = []
    pruned: list[dict[str, Any]] = []
    for entry in reversed(entries):
        same = sum(other["target"] == entry["target"] for other in kept)
        full = len(kept) >= most or (store == "ci" and same >= CI_KEPT_PER_TARGET)
        (pruned if full else kept).append(entry)
    kept.reverse()
    pruned.reverse()
    for entry in pruned:
        path = Path(entry["path"])
        if folder is not None and path.resolve().is_relative_to(folder.resolve()):
            path.unlink(missing_ok=True)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in kept:
        groups.setdefault((entry["profile"], entry["target"]), []).append(entry)
    retained = [
        {"profile": profile, "target": target, "count": len(items), "size_bytes": sum(item["size_bytes"] for item in items)}
        for (profile, target), items in sorted(groups.items())
    ]  # fmt: skip
    index = {"entries": kept, "retained_entries": retained, "pruned": [entry["path"] for entry in pruned]}
    path = output or (folder or Path()) / INDEX
    replace_file(path, json.dumps(index, ensure_ascii=False, indent=2) + "\n")
    size = sum(item["size_bytes"] for item in retained)
    large = store == "ci" and size > CI_BYTES_MOST
    return Made(index, path, f"the store holds {size >> 20} MB, more than {CI_BYTES_MOST >> 20}" if large else None)
