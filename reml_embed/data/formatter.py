"""
How a change set of collections gets into records (CONTRACTS 7.2).

A host, or whoever starts a command, names it: ``REML_COLLECTIONS_CHANGE_SET`` holds the JSON itself and wins, ``REML_COLLECTIONS_CHANGE_SET_PATH``
names a file. `FormatterContext.change_set` puts it into ``envelope.change_set`` and repeats what gates look for as flat metadata. What
cannot be read is a warning, and the work goes on without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reml_embed.audit.records import Json, Record
from reml_embed.data.change_set import CATEGORY, ChangeSetError
from reml_embed.diagnostics.catalog import Entry, register_catalog
from reml_embed.diagnostics.emission import build
from reml_embed.diagnostics.shape import Diagnostic

INLINE: Final = "REML_COLLECTIONS_CHANGE_SET"
PATH: Final = "REML_COLLECTIONS_CHANGE_SET_PATH"
INVALID: Final = "collections.change_set.invalid"
TOTAL: Final = "collections.change_set.total"
#: Longer texts are refused: a change set stands in each record of a run.
MOST_BYTES: Final = 256 * 1024

_COUNTS: Final = ("added", "removed", "updated")
_FLAT: Final = ("category", "kind", "origin", "policy", "stage", "total")

register_catalog("collections", {
    INVALID: Entry("the change set of collections cannot be used", "warning", "data"),
})  # fmt: skip


def _count(data: Mapping[str, Any], name: str, place: str) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ChangeSetError(f"a count is expected, got {json.dumps(value)[:40]}", f"{place}{name}")
    return value


def _counted(items: list[Any]) -> dict[str, int]:
    counts = dict.fromkeys(_COUNTS, 0)
    for number, row in enumerate(items):
        if not isinstance(row, dict):
            raise ChangeSetError("an item is an object", f"items[{number}]")
        kind = str(row.get("kind", "")).removeprefix(f"{CATEGORY}.")
        if kind not in counts:
            raise ChangeSetError(f"`{row.get('kind')}` is no kind of change", f"items[{number}].kind")
        if "key" not in row:
            raise ChangeSetError("an item has a key", f"items[{number}].key")
        counts[kind] += 1
    return counts


def check(data: Any) -> dict[str, Any]:
    """
    *data* as a change set of CONTRACTS 7.1, of maps or of sets: unknown members are kept, counts must agree.

    Raises:
        ChangeSetError: it is none; ``key`` says where.
    """
    if not isinstance(data, dict):
        raise ChangeSetError("a change set is a JSON object")
    items = data.get("items")
    if not isinstance(items, list):
        raise ChangeSetError("a change set has a list `items`", "items")
    for part in ("summary", "metadata"):
        if not isinstance(data.get(part, {}), dict):
            raise ChangeSetError("an object is expected", part)
    counts = {**_counted(items), "total": len(items)}
    told = [(f"summary.{name}", _count(data.get("summary", {}), name, "summary."), counts[name]) for name in counts]
    for place, count, found in [*told, ("total", _count(data, "total", ""), len(items))]:
        if count not in (None, found):
            raise ChangeSetError(f"{count} is told, but there are {found}", place)
    return data


def flatten(data: Mapping[str, Any]) -> dict[str, Json]:
    """The keys that records repeat: ``collections.diff.*``, ``….summary.*``, ``….metadata.*`` and ``collections.change_set.total``."""
    flat: dict[str, Json] = {f"{CATEGORY}.{name}": data[name] for name in _FLAT if data.get(name) is not None}
    for part in ("summary", "metadata"):
        inside = data.get(part) or {}
        flat |= {f"{CATEGORY}.{part}.{name}": value for name, value in inside.items()}
    return flat | {TOTAL: len(data["items"])}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read(text: str) -> dict[str, Any]:
    if len(text) > MOST_BYTES:
        raise ChangeSetError(f"longer than {MOST_BYTES >> 10} KiB")
    try:
        return check(json.loads(text, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise ChangeSetError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ChangeSetError("nested too deeply") from None


def _read_file(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():
        raise ChangeSetError("is no file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    return _read(data.decode("utf-8"))


@dataclass(frozen=True, slots=True)
class FormatterContext:
    """
    What records get besides what they say themselves.

    Attributes:
        change_set: a change set of collections; None: there is none.
        problem: why the one that was named cannot be used, as a warning ``collections.change_set.invalid``.
    """

    change_set: dict[str, Any] | None = None
    problem: Diagnostic | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> FormatterContext:
        """What the two variables say; never raises for what they hold."""
        variables = os.environ if environment is None else environment
        inline, path = variables.get(INLINE), variables.get(PATH)
        if not inline and not path:
            return cls()
        source = INLINE if inline else PATH
        try:
            return cls(_read(inline) if inline else _read_file(Path(path or "")))
        except OSError as error:
            why = error.strerror or str(error)
        except UnicodeDecodeError as error:
            why = f"byte {error.start + 1} is not UTF-8"
        except (ChangeSetError, ValueError) as error:
            why = str(error)
        named = source if inline else f"{source}: {path}"
        shown = f"{named}: {why}".encode("utf-8", "backslashreplace").decode("utf-8")
        data: dict[str, Json] = {"source": source, "reason": why.encode("utf-8", "backslashreplace").decode("utf-8")}
        return cls(problem=build(INVALID, f"the change set of collections is left out: {shown}", data=data))

    def metadata(self) -> dict[str, Json]:
        """The flat keys; empty without a change set."""
        return {} if self.change_set is None else flatten(self.change_set)

    def merged(self, change_set: Mapping[str, Json] | None = None) -> dict[str, Json] | None:
        """``envelope.change_set``: the whole change set when the envelope has none, else under its ``collections``."""
        if self.change_set is None:
            return None if change_set is None else dict(change_set)
        return dict(self.change_set) if not change_set else {**change_set, "collections": self.change_set}

    def inject(self, record: Record) -> Record:
        """A copy of *record* with the change set and its flat keys; the same record when there is none, and for flat ones."""
        if self.change_set is None or record.is_flat:
            return record
        found = record.change_set
        envelope = record.envelope | {
            "change_set": self.merged(found if isinstance(found, dict) else None),
            "metadata": record.metadata | self.metadata(),
        }
        return Record(record.data | {"envelope": envelope})
