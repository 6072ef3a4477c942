"""
Stores: directories in which each command run leaves the file of its records (CONTRACTS 3.7).

``index.json`` beside the files says what is there. How many files stay is a property of the store; the oldest go first.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reml_embed._files import locked, replace_file
from reml_embed.audit.ids import cli_identity, source_commit
from reml_embed.audit.records import Record
from reml_embed.audit.sinks import FileSink
from reml_embed.errors import AuditUnavailableError

#: Entries that a store keeps.
KEPT: Final = {"ci": 100, "local": 30, "tmp": 20}
#: … and a directory that is no named store.
KEPT_OTHERWISE: Final = 50
#: The store ``ci`` packs its files, keeps so many for each target, and warns above this size.
CI_KEPT_PER_TARGET: Final = 20
CI_BYTES_MOST: Final = 500 << 20

INDEX: Final = "index.json"


def default_folder(store: str) -> Path:
    """Where a store is, when nobody says."""
    return Path(tempfile.gettempdir()) / "reml-audit" if store == "tmp" else Path(".reml") / "audit" / store


@dataclass(frozen=True, slots=True)
class Kept:
    """What `StoreFile.close` did: the file of the run, the files that had to go, and whether the store has become large."""

    path: Path
    pruned: tuple[str, ...]
    warning: str | None


class Store:
    """
    A store.

    Args:
        name: ``ci``, ``local`` or ``tmp``; None: a directory without a policy of its own.
        folder: where it is; made when the first file is opened.
    """

    def __init__(self, name: str | None, folder: Path | None = None) -> None:
        if name is not None and name not in KEPT:
            raise ValueError(f"a store is one of {', '.join(KEPT)}, got {name!r}")
        if name is None and folder is None:
            raise ValueError("a store needs a name or a directory")
        self.name = name
        self.folder = folder or default_folder(name or "local")

    def open(self, subject: str = "", *, target: str = "") -> StoreFile:
        """
        The file of a new run about *subject*, whose stem becomes part of its name, for the system *target*.

        Raises:
            AuditUnavailableError: the directory cannot be made.
        """
        build_id = str(cli_identity()["audit.build_id"])
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(subject).stem)[:60]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number in range(10_000):
                path = self.folder / f"{build_id}{f'-{stem}' if stem else ''}{f'-{number}' if number else ''}.ndjson"
                if path.with_name(path.name + ".gz").exists():
                    continue
                try:
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
                except FileExistsError:
                    continue
                return StoreFile(self, path, build_id, target)
        except OSError as error:
            raise AuditUnavailableError(f"{self.folder}: {error.strerror}") from error
        raise AuditUnavailableError(f"{self.folder}: too many files of one second")

    def index(self) -> dict[str, Any]:
        """
        What ``index.json`` says; an empty index when there is none.

        Raises:
            AuditUnavailableError: it is there, but no index.
        """
        empty: dict[str, Any] = {"entries": [], "retained_entries": [], "pruned": []}
        try:
            found = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return empty
        except (OSError, ValueError, RecursionError) as error:
            raise AuditUnavailableError(f"{self.folder / INDEX}: {error}") from error
        entries = found.get("entries") if isinstance(found, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and "path" in entry for entry in entries):
            raise AuditUnavailableError(f"{self.folder / INDEX}: `entries` is no list of objects with a `path`")
        return {**empty, **found}

    def _retain(self, entries: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Those that stay and those that go; the last are the newest."""
        most = KEPT.get(self.name or "", KEPT_OTHERWISE)
        kept: list[dict[str, Any]] = []
        gone: list[dict[str, Any]] = []
        for entry in reversed(entries):
            same = sum(other.get("target") == entry.get("target") for other in kept)
            full = len(kept) >= most or (self.name == "ci" and same >= CI_KEPT_PER_TARGET)
            (gone if full else kept).append(entry)
        return kept[::-1], gone[::-1]

    def enter(self, entry: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
        """Put *entry* into the index and let go what is too old; the files that went, and a warning."""
        with locked(self.folder / INDEX):
            index = self.index()
            kept, gone = self._retain([*index["entries"], entry])
            for old in gone:
                (self.folder / Path(str(old["path"])).name).unlink(missing_ok=True)
            groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for item in kept:
                groups.setdefault((str(item.get("profile")), str(item.get("target"))), []).append(item)
            index["entries"] = kept
            index["retained_entries"] = [
                {"profile": profile, "target": target, "count": len(items), "size_bytes": sum(item.get("size_bytes") or 0 for item in items)}
                for (profile, target), items in sorted(groups.items())
            ]  # fmt: skip
            index["pruned"] = [str(old["path"]) for old in gone]
            replace_file(self.folder / INDEX, json.dumps(index, ensure_ascii=False, indent=2) + "\n")
        size = sum(item["size_bytes"] for item in index["retained_entries"])
        large = self.name == "ci" and size > CI_BYTES_MOST
        return tuple(
            index["pruned"]
        ), f"{self.folder} holds {size >> 20} MB, more than {CI_BYTES_MOST >> 20}" if large else None


class StoreFile:
    """The file of one run in a store; `close` enters it into the index."""

    def __init__(self, store: Store, path: Path, build_id: str, target: str) -> None:
        self.store, self.path = store, path
        self._sink = FileSink(path)
        self._build_id, self._target = build_id, target
        self._first: str | None = None

    def write_record(self, record: Record, /) -> None:
        """
        Take one record.

        Raises:
            AuditUnavailableError: it cannot be written.
        """
        self._sink.write_record(record)
        self._first = self._first or record.timestamp

    def close(self, *, status: str, pass_rate: float | None = None, audit_level: str = "full") -> Kept:
        """
        The run is over: pack the file where the store packs, enter it into the index, let the oldest go.

        Raises:
            AuditUnavailableError: the index cannot be written; the file of the run is whole.
        """
        try:
            self.path.with_name(self.path.name + ".journal").unlink(
                missing_ok=True
            )  # it is all in the file, which nobody writes again
            if self.store.name == "ci":
                packed = self.path.with_name(self.path.name + ".gz")
                with self.path.open("rb") as plain, gzip.open(packed, "wb") as file:
                    shutil.copyfileobj(plain, file)
                self.path.unlink()
                self.path = packed
            entry = {
                "build_id": self._build_id, "timestamp": self._first, "profile": os.environ.get("REML_RUN_PROFILE") or "default",
                "audit_store": self.store.name or "directory", "target": self._target, "audit_level": audit_level, "path": self.path.name,
                "status": status, "pass_rate": pass_rate, "size_bytes": self.path.stat().st_size, "commit": source_commit(),
            }  # fmt: skip
            pruned, warning = self.store.enter(entry)
        except OSError as error:
            raise AuditUnavailableError(f"{self.store.folder}: {error.strerror}") from error
        return Kept(self.path, pruned, warning)
