"""
Handlers and stages (CONTRACTS 19): opt-ins, stage checks, host handlers, the sandbox for foreign calls.

What handlers *do* is the machine's business and no part of this module; here is the policy on top of it: who may use what is
experimental, when a capability may be promoted, what a handler leaves in the log. Comes in: names of features, outcomes of tests, the
directory ``.reml``. Goes out: options of a context, records.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reml_embed.errors import RemlError
from reml_embed.target import STAGES

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on this system
    fcntl = None  # type: ignore[assignment]

#: What `-Z` may opt in to, and what that means.
FEATURES: dict[str, str] = {
    "algebraic-effects": "handlers of effects whose capability is experimental, and code that requires an experimental capability",
}


#: Tags of the language itself (CONTRACTS 0.7); everything else is an extension tag.
CORE_TAGS = ("mut", "io", "ffi", "panic", "unsafe")

#: Extension tags the documents name, and what each is about. Plug-ins add theirs with `register_tag`.
TAGS: dict[str, str] = dict.fromkeys(
    (
        "async_pending",
        "audit",
        "cell",
        "config",
        "db",
        "debug",
        "diagnostic",
        "fs.read",
        "fs.symlink",
        "fs.write",
        "fs_sync",
        "gpu",
        "hardware",
        "io.async",
        "io.blocking",
        "io.timer",
        "mem",
        "memory",
        "migration",
        "native",
        "net",
        "network",
        "process",
        "rc",
        "realtime",
        "runtime",
        "security",
        "signal",
        "syscall",
        "thread",
        "time",
        "trace",
        "transfer",
        "unicode",
        "watcher",
    ),
    "",
)

#: Recommended tags of each FFI boundary (guide 1, CONTRACTS 0.7).
BOUNDARY_EFFECTS: dict[str, tuple[str, ...]] = {
    "rest": ("audit", "network"),
    "database": ("audit", "db"),
    "gpu": ("gpu", "runtime"),
    "embedded_io": ("runtime",),
}

_TAG = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


def register_tag(name: str, description: str) -> None:
    """
    Make an extension tag of a plug-in known, with what it is about. The same again changes nothing.

    Raises:
        ValueError: no lower-case dotted or snake_case word, a tag of the language, or known with another description.
    """
    if not _TAG.fullmatch(name):
        raise ValueError(f"an effect tag is a lower-case dotted or snake_case word, got {name!r}")
    if name in CORE_TAGS:
        raise ValueError(f"{name!r} is a tag of the language")
    if not description:
        raise ValueError(f"the tag {name!r} needs a description")
    if TAGS.get(name, description) not in (description, ""):
        raise ValueError(f"the tag {name!r} is known with another description: {TAGS[name]}")
    TAGS[name] = description


class EffectError(RemlError):
    """
    Something of this module was refused.

    Attributes:
        code: the contract (``"effects.handler.depth_exceeded"``).
        unhandled_operations: operations that a handler lacks, sorted.
    """

    def __init__(self, code: str, message: str, *, unhandled_operations: Iterable[str] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.unhandled_operations = tuple(sorted(unhandled_operations))


def check_features(names: Iterable[str]) -> tuple[str, ...]:
    """
    The features, each once and sorted.

    Raises:
        ValueError: an unknown one; the message lists those that are known. TypeError: a text instead of a list.
    """
    if isinstance(names, str):
        raise TypeError("features must be an iterable of names, got a str")
    found = sorted(set(names))
    for name in found:
        if name not in FEATURES:
            raise ValueError(f"unknown feature {name!r}; known: {', '.join(sorted(FEATURES))}")
    return tuple(found)


# --- stage checks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageCheck:
    """
    One outcome of tests for a capability at a stage (CONTRACTS 19.2).

    Attributes:
        id: of the capability.
        stage: ``experimental``, ``beta`` or ``stable``: where it stood when the tests ran.
        tests_passed: did they?
        audit_id: of the record that tells of the run.
        timestamp: RFC 3339 UTC, whole seconds.
        open_diagnostics: codes of experimental diagnostics that the run left open, sorted; usually none.
    """

    id: str
    stage: str
    tests_passed: bool
    audit_id: str
    timestamp: str
    open_diagnostics: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its object in the file; ``open_diagnostics`` only when there are some."""
        data: dict[str, Any] = {
            "id": self.id, "stage": self.stage, "tests_passed": self.tests_passed, "audit_id": self.audit_id,
            "timestamp": self.timestamp,
        }  # fmt: skip
        if self.open_diagnostics:
            data["open_diagnostics"] = list(self.open_diagnostics)
        return data


class StageCheckFileError(EffectError):
    """
    ``stage-checks.json`` is not what it should be; nothing in it has been changed.

    Attributes:
        path: the file. key_path: where in it: ``$[3].stage``. line: for text that is no JSON, else None.
    """

    def __init__(self, path: Path, key_path: str, message: str, line: int | None = None) -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__("effects.stage.checks_invalid", f"{place}: {message} at {key_path}")
        self.path = path
        self.key_path = key_path
        self.line = line


def _read_check(path: Path, index: int, row: object) -> StageCheck:
    where = f"$[{index}]"
    if not isinstance(row, dict):
        raise StageCheckFileError(path, where, f"expected an object, got {type(row).__name__}")
    for name in ("id", "stage", "audit_id", "timestamp"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise StageCheckFileError(path, f"{where}.{name}", "expected a text")
    if row["stage"] not in STAGES:
        raise StageCheckFileError(path, f"{where}.stage", f"expected one of {', '.join(STAGES)}, got {row['stage']!r}")
    if not isinstance(row.get("tests_passed"), bool):
        raise StageCheckFileError(path, f"{where}.tests_passed", "expected true or false")
    codes = row.get("open_diagnostics", [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise StageCheckFileError(path, f"{where}.open_diagnostics", "expected a list of codes")
    return StageCheck(
        row["id"], row["stage"], row["tests_passed"], row["audit_id"], row["timestamp"], tuple(sorted(codes))
    )


def write_atomically(path: Path, text: str) -> None:
    """Replace the file by *text*, so that a reader sees the old one or the new one; its directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


_local_locks: dict[str, threading.Lock] = {}
_local_locks_lock = threading.Lock()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with the file: among threads of this process, and among processes where the system has such locks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _local_locks_lock:
        mine = _local_locks.setdefault(str(path.resolve()), threading.Lock())
    with mine, path.with_name(f".{path.name}.lock").open("a", encoding="utf-8") as guard:
        if fcntl is not None:
            fcntl.flock(guard, fcntl.LOCK_EX)
        yield


class StageChecks:
    """
    The outcomes of tests that promotion asks about: the file ``.reml/stage-checks.json`` of a directory.

    The file is a list of ``{id, stage, tests_passed, audit_id, timestamp}``; the latest of an id at a stage counts. It is read anew
    for every question, written atomically, and safe against other processes that record at the same time.
    """

    def __init__(self, directory: str | os.PathLike[str] = ".") -> None:
        self.path = Path(directory) / ".reml" / "stage-checks.json"

    def read(self) -> list[StageCheck]:
        """
        All of them, oldest first; empty without a file.

        Raises:
            StageCheckFileError: the file is no such list. OSError: it cannot be read.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except UnicodeDecodeError as error:
            raise StageCheckFileError(self.path, "$", f"not UTF-8 ({error.reason})") from None
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else None
            raise StageCheckFileError(self.path, "$", f"no JSON ({error})", line) from None
        if not isinstance(rows, list):
            raise StageCheckFileError(self.path, "$", f"expected a list, got {type(rows).__name__}")
        return [_read_check(self.path, index, row) for index, row in enumerate(rows)]

    def record(
        self,
        id: str,  # noqa: A002  (named as in the file)
        stage: str,
        *,
        tests_passed: bool,
        audit_id: str,
        timestamp: str,
        open_diagnostics: Iterable[str] = (),
    ) -> StageCheck:
        """
        Add an outcome.

        Raises:
            ValueError: the id is empty or the stage is none. StageCheckFileError: the file is damaged; it stays as it is.
            OSError: it cannot be written; it stays as it is.
        """
        check = StageCheck(id, stage, tests_passed, audit_id, timestamp, tuple(sorted(set(open_diagnostics))))
        if stage not in STAGES:
            raise ValueError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
        if not id or not audit_id or not timestamp:
            raise ValueError("a stage check needs id, audit_id and timestamp")
        with _locked(self.path):
            rows = [row.to_json() for row in (*self.read(), check)]
            lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
            write_atomically(self.path, f"[\n{lines}\n]\n")
        return check

    def latest(self, id: str, stage: str) -> StageCheck | None:  # noqa: A002
        """The last outcome for the capability at that stage."""
        return next((row for row in reversed(self.read()) if (row.id, row.stage) == (id, stage)), None)

    def why_not(self, id: str, stage: str) -> str | None:  # noqa: A002
        """
        Why the capability may not leave *stage* yet: the sentence of ``effects.stage.promote_without_checks``; None when it may.

        Raises:
            StageCheckFileError, OSError: the checks cannot be read.
        """
        check = self.latest(id, stage)
        if check is None:
            return f"no test run of {id} is recorded for stage {stage}"
        if not check.tests_passed:
            return f"the last test run of {id} at stage {stage} failed ({check.timestamp}, {check.audit_id})"
        if check.open_diagnostics:
            return f"experimental diagnostics of {id} are open: {', '.join(check.open_diagnostics)}"
        return None
