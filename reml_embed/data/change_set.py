"""
Change sets: the difference of two values as a list that can be reviewed, logged and applied (CONTRACTS 7.1, 10.5).

A value is flattened first: each leaf has one key, ``service.ports[0]``; an empty container is a leaf; a scalar alone is ``$``. Names
that are no plain words are quoted as in JSON (``"a.b"[1]``), so that every value comes back from its leaves. Two values are the same
only if their types are, too: ``1``, ``1.0`` and ``true`` are three values.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from reml_embed.errors import RemlError

#: A step of a path: a name in a map, or a position in a list.
Step: TypeAlias = str | int

POLICY = "core.collections.audit.v1"
ORIGIN = "core.collections"
CATEGORY = "collections.diff"
#: Deeper values are refused: neither recursion nor review would survive them.
MOST_DEPTH = 200

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_STEP = re.compile(r'\[(?P<index>0|[1-9][0-9]{0,8})\]|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<quoted>"(?:[^"\\]|\\.)*")')


class ChangeSetError(RemlError):
    """
    A change set that is none, or does not fit the value it is applied to; nothing was changed.

    Attributes:
        key: where it does not fit; empty: the set itself is wrong.
        conflict: it is well formed, but the live value is another than it says.
    """

    def __init__(self, message: str, key: str = "", *, conflict: bool = False) -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.key = key
        self.conflict = conflict


# --- paths ------------------------------------------------------------------------------------------------------------


def step_text(step: Step) -> str:
    """One step as it is written: ``name``, ``"odd name"``, ``[3]``."""
    if isinstance(step, int):
        return f"[{step}]"
    return step if _PLAIN.match(step) else json.dumps(step, ensure_ascii=False)


def path_text(path: Iterable[Step]) -> str:
    """A path as it is written: ``service.ports[0]``; the root is ``$``."""
    text = ""
    for step in path:
        written = step_text(step)
        text += written if isinstance(step, int) or not text else f".{written}"
    return text or "$"


def split_path(text: str) -> tuple[Step, ...]:
    """
    The steps of a written path.

    Raises:
        ChangeSetError: it is none.
    """
    if text == "$":
        return ()
    steps: list[Step] = []
    at = 0
    while at < len(text) or not steps:
        dot = bool(steps) and text[at] == "."
        found = _STEP.match(text, at + dot)
        if not found or (bool(steps) and dot == bool(found["index"])):
            raise ChangeSetError(f"`{text}` is no path (column {at + 1})")
        try:
            steps.append(int(found["index"]) if found["index"] else found["name"] or json.loads(found["quoted"]))
        except ValueError:
            raise ChangeSetError(f"`{text}` is no path (column {at + 1})") from None
        at = found.end()
    return tuple(steps)


# --- values -----------------------------------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    """Equal in value and in type, through lists and maps; NaN is the same as NaN."""
    stack = [(a, b)]
    while stack:
        left, right = stack.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, dict):
            if left.keys() != right.keys():
                return False
            stack += [(left[key], right[key]) for key in left]
        elif isinstance(left, list):
            if len(left) != len(right):
                return False
            stack += zip(left, right, strict=True)
        elif isinstance(left, float):
            if repr(left) != repr(right):  # tells 0.0 and -0.0 apart, and takes NaN for NaN
                return False
        elif left != right:
            return False
    return True


def type_tag(value: Any) -> str:
    """``null``, ``bool``, ``number``, ``string``, ``list`` or ``map``; times of TOML are strings."""
    tags: dict[type, str] = {
        type(None): "null",
        bool: "bool",
        int: "number",
        float: "number",
        list: "list",
        dict: "map",
    }
    return tags.get(type(value), "string")


def jsonable(value: Any) -> Any:
    """A leaf as JSON says it: times of TOML as RFC 3339 text, NaN and infinities as null (CONTRACTS 0.2)."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def byte_count(value: Any) -> int:
    """Bytes of a leaf as compact JSON in UTF-8."""
    return len(json.dumps(jsonable(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def flatten(value: Any) -> dict[tuple[Step, ...], Any]:
    """
    The leaves of a value by path, in the order of the value; empty containers are leaves.

    Raises:
        ChangeSetError: nested deeper than `MOST_DEPTH`, or with something in it that is no plain data.
    """
    leaves: dict[tuple[Step, ...], Any] = {}
    stack: list[tuple[tuple[Step, ...], Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if len(path) > MOST_DEPTH:
            raise ChangeSetError(f"nested deeper than {MOST_DEPTH}", path_text(path[:8]) + "…")
        if isinstance(item, dict) and item:
            odd = next((key for key in item if not isinstance(key, str)), None)
            if odd is not None:
                raise ChangeSetError(f"a name that is no text: {odd!r}", path_text(path))
            stack += [((*path, key), item[key]) for key in reversed(item)]
        elif isinstance(item, list) and item:
            stack += [((*path, index), item[index]) for index in range(len(item) - 1, -1, -1)]
        else:
            leaves[path] = item
    return leaves


def unflatten(leaves: Mapping[tuple[Step, ...], Any]) -> Any:
    """
    The value with these leaves; names keep the order in which they come, list items that of their numbers.

    Raises:
        ChangeSetError: leaves that no value has: a gap in a list, something below a leaf, names and positions mixed.
    """
    if set(leaves) == {()}:
        return leaves[()]
    root = _Node()
    for path, value in leaves.items():
        here = root
        for step in path[:-1]:
            below = here.setdefault(step, _Node())
            if not isinstance(below, _Node):
                raise ChangeSetError("something lies below a leaf", path_text(path))
            here = below
        if not path or path[-1] in here:
            raise ChangeSetError("two values for one key", path_text(path))
        here[path[-1]] = value
    return _build(root, ())


class _Node(dict[Step, Any]):
    """A container under construction, by step."""


def _build(node: Any, path: tuple[Step, ...]) -> Any:
    if not isinstance(node, _Node):
        return node
    positions = [step for step in node if isinstance(step, int)]
    if not positions:
        return {step: _build(below, (*path, step)) for step, below in node.items()}
    if len(positions) != len(node):
        raise ChangeSetError("names and positions in one container", path_text(path))
    if sorted(positions) != list(range(len(positions))):
        raise ChangeSetError(
            f"a list of {len(positions)} items with positions {sorted(positions)[:8]}", path_text(path)
        )
    return [_build(node[index], (*path, index)) for index in range(len(positions))]


# --- change sets ------------------------------------------------------------------------------------------------------

_KINDS = ("added", "removed", "updated")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Item:
    """
    One change: *kind* is ``added``, ``removed`` or ``updated``; *key* the path as it is written.

    *previous* is meaningless for ``added``, *current* for ``removed``.
    """

    kind: str
    key: str
    previous: Any = None
    current: Any = None

    def json(self) -> dict[str, Any]:
        """``{kind, key, previous?, current?}`` with the full form of the kind."""
        shown: dict[str, Any] = {"kind": f"{CATEGORY}.{self.kind}", "key": self.key}
        if self.kind != "added":
            shown["previous"] = jsonable(self.previous)
        if self.kind != "removed":
            shown["current"] = jsonable(self.current)
        return shown


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """
    What must change to make one value of another (CONTRACTS 7.1).

    Always ``total == added + removed + updated == len(items)``.
    """

    items: tuple[Item, ...]
    kind: str = "collections.diff.map"

    @property
    def summary(self) -> dict[str, int]:
        """``added, removed, updated, total``."""
        counts = {kind: sum(item.kind == kind for item in self.items) for kind in _KINDS}
        return counts | {"total": len(self.items)}

    def __bool__(self) -> bool:
        return bool(self.items)

    def json(self) -> dict[str, Any]:
        """The object of CONTRACTS 7.1."""
        return {
            "origin": ORIGIN,
            "policy": POLICY,
            "category": CATEGORY,
            "stage": "stable",
            "kind": self.kind,
            "summary": self.summary,
            "metadata": {"stage": "stable", "category": CATEGORY, "kind": self.kind, "origin": ORIGIN},
            "items": [item.json() for item in self.items],
            "total": len(self.items),
        }

    def schema_diff(self) -> dict[str, Any]:
        """The ``schema_diff`` of ``config diff`` (CONTRACTS 10.5): the same changes with types and sizes."""
        changes = []
        total_bytes = 0
        for item in self.items:
            known = item.previous if item.kind == "removed" else item.current
            size = sum(
                byte_count(value)
                for value, there in ((item.previous, item.kind != "added"), (item.current, item.kind != "removed"))
                if there
            )
            total_bytes += size
            changes.append(
                {
                    "kind": item.kind.capitalize(),
                    "key": item.key,
                    "previous": jsonable(item.previous) if item.kind != "added" else None,
                    "current": jsonable(item.current) if item.kind != "removed" else None,
                    "type_tag": type_tag(known),
                    "mem_bytes": size,
                }
            )
        metadata = {"origin": ORIGIN, "policy": POLICY, "category": CATEGORY, "stage": "stable"}
        return {
            "kind": "MapDiff",
            "metadata": metadata | {"total": len(self.items), "mem_bytes": total_bytes},
            "changes": changes,
        }


def compare(old: Any, new: Any) -> ChangeSet:
    """
    What turns *old* into *new*: keys of *old* first, sorted (updated and removed), then added ones, sorted.

    Raises:
        ChangeSetError: a value that cannot be flattened.
    """
    before = {path_text(path): value for path, value in flatten(old).items()}
    after = {path_text(path): value for path, value in flatten(new).items()}
    items = []
    for key in sorted(before):
        if key not in after:
            items.append(Item("removed", key, previous=before[key]))
        elif not same(before[key], after[key]):
            items.append(Item("updated", key, before[key], after[key]))
    items += [Item("added", key, current=after[key]) for key in sorted(after) if key not in before]
    return ChangeSet(tuple(items))


def apply(value: Any, changes: ChangeSet) -> Any:
    """
    *value* with all changes made, or an error and nothing: each ``previous`` is checked against what is there.

    *value* stays as it is. ``apply(old, compare(old, new))`` is *new*, list order and types included; names that were there keep
    their order, new ones come last.

    Raises:
        ChangeSetError: a change that does not fit; ``conflict`` is True when the live value is another than the change says.
    """
    leaves = flatten(value)
    for item in changes.items:
        path = split_path(item.key)
        there = leaves.get(path, _MISSING)
        if item.kind == "added":
            if there is not _MISSING:
                raise ChangeSetError("is already there", item.key, conflict=True)
            leaves[path] = item.current
            continue
        if there is _MISSING:
            raise ChangeSetError("is not there any more", item.key, conflict=True)
        if not (same(there, item.previous) or same(jsonable(there), item.previous)):
            shown = json.dumps(jsonable(there), ensure_ascii=False)[:80]
            raise ChangeSetError(f"is now {shown}, which the change does not know", item.key, conflict=True)
        if item.kind == "removed":
            del leaves[path]
        else:
            leaves[path] = item.current
    if not leaves:
        raise ChangeSetError("nothing would be left; the empty value is a change, too")
    return unflatten(leaves)


def from_json(data: Any) -> ChangeSet:
    """
    A change set from its JSON object; kinds may be short (``added``) or full (``collections.diff.added``).

    Raises:
        ChangeSetError: a member that is missing or of another type, or counts that do not agree.
    """
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        raise ChangeSetError("a change set is an object with a list `items`")
    items = []
    for number, row in enumerate(data["items"]):
        place = f"items[{number}]"
        if not isinstance(row, dict):
            raise ChangeSetError("an item is an object", place)
        kind = str(row.get("kind", "")).removeprefix(f"{CATEGORY}.")
        if kind not in _KINDS:
            raise ChangeSetError(f"`{row.get('kind')}` is no kind of change", f"{place}.kind")
        if not isinstance(row.get("key"), str):
            raise ChangeSetError("the key is no text", f"{place}.key")
        split_path(row["key"])
        for member, wanted in (("previous", kind != "added"), ("current", kind != "removed")):
            if wanted and member not in row:
                raise ChangeSetError(f"{kind} needs `{member}`", place)
        items.append(Item(kind, row["key"], row.get("previous"), row.get("current")))
    found = ChangeSet(tuple(items), str(data.get("kind", "collections.diff.map")))
    if "total" in data and data["total"] != len(items):
        raise ChangeSetError(f"total is {data['total']}, but there are {len(items)} items", "total")
    return found
