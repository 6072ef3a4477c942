"""
Comparing, planning and applying: ``Config.compare`` and what follows it (CONTRACTS 10.2, 7.5).

`compare` and `apply_diff` work on plain data; `apply_to_file` puts the result in the place of a file, in its own format and with
its comments, or leaves the file as it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from reml_embed.config import documents
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Place, Problem
from reml_embed.data import change_set
from reml_embed.data.change_set import ChangeSet, ChangeSetError, Item, Step, same, split_path, step_text
from reml_embed.errors import require

OPERATIONS = ("added", "removed", "updated")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a `DataChangeSet`: *path* holds the steps as they are written (``ports``, ``[0]``)."""

    op: str
    path: tuple[str, ...]
    previous: Any = None
    current: Any = None
    severity: str = "warning"
    message: str = ""

    @property
    def key(self) -> str:
        """The path as one text."""
        text = "".join(step if step.startswith("[") else f".{step}" for step in self.path)
        return text.removeprefix(".") or "$"

    def json(self) -> dict[str, Any]:
        """``{op, path, previous?, current?, severity, message?}``."""
        shown: dict[str, Any] = {"op": self.op, "path": list(self.path)}
        if self.op != "added":
            shown["previous"] = change_set.jsonable(self.previous)
        if self.op != "removed":
            shown["current"] = change_set.jsonable(self.current)
        shown["severity"] = self.severity
        return shown | ({"message": self.message} if self.message else {})


@dataclass(frozen=True, slots=True)
class DataChangeSet:
    """The change set of Core.Data, which schemas and reload use (CONTRACTS 7.5)."""

    entries: tuple[Entry, ...] = field(default_factory=tuple)

    def json(self) -> dict[str, Any]:
        """``{entries, summary}``."""
        counts = {op: sum(entry.op == op for entry in self.entries) for op in OPERATIONS}
        return {"entries": [entry.json() for entry in self.entries], "summary": counts | {"total": len(self.entries)}}

    def flat(self) -> ChangeSet:
        """The same as a change set with keys."""
        return ChangeSet(tuple(Item(entry.op, entry.key, entry.previous, entry.current) for entry in self.entries))


class DifferenceError(ConfigError):
    """Two values that should be equal are not: *change_set* says how."""

    def __init__(self, changes: ChangeSet) -> None:
        first = changes.items[0]
        more = f" and {len(changes.items) - 1} more" if len(changes.items) > 1 else ""
        text = f"{first.kind} at `{first.key}`{more}"
        super().__init__("ValidationError", [Problem("config.change_set.conflict", text, key_path=first.key)])
        self.change_set = changes


def plan(old: Any, new: Any, severities: Mapping[str, str] | None = None) -> DataChangeSet:
    """What turns *old* into *new*; *severities* by operation, ``warning`` where it says nothing."""
    rows = []
    for item in _compare(old, new).items:
        path = tuple(step_text(step) for step in split_path(item.key))
        severity = (severities or {}).get(item.kind, "warning")
        rows.append(Entry(item.kind, path, item.previous, item.current, severity))
    return DataChangeSet(tuple(rows))


def compare(old: Any, new: Any) -> None:
    """
    Nothing when both are the same.

    Raises:
        DifferenceError: they are not; it carries the change set.
    """
    changes = _compare(old, new)
    if changes:
        raise DifferenceError(changes)


def _compare(old: Any, new: Any) -> ChangeSet:
    try:
        return change_set.compare(old, new)
    except ChangeSetError as error:
        raise _refusal(error) from error


def _refusal(error: ChangeSetError, file: str = "") -> ConfigError:
    code = "config.change_set.conflict" if error.conflict else "config.change_set.invalid"
    message = str(error).removeprefix(f"{error.key}: ") if error.key else str(error)
    return ConfigError("ValidationError", [Problem(code, message, file, error.key)])


def apply_diff(value: Any, changes: ChangeSet | DataChangeSet) -> Any:
    """
    *value* with all changes, or an error and nothing; every ``previous`` is checked first. *value* stays as it is.

    Raises:
        ConfigError: ``ValidationError`` for an entry that cannot be applied.
    """
    flat = changes.flat() if isinstance(changes, DataChangeSet) else changes
    try:
        return change_set.apply(value, flat)
    except ChangeSetError as error:
        raise _refusal(error) from error


def read_changes(document: Document) -> ChangeSet:
    """
    A change set from a document: a ChangeSet, the output of ``config diff``, or a Core.Data change set.

    Raises:
        ConfigError: it is none of these.
    """
    value = documents.check(document).value
    data = value.get("change_set", value) if isinstance(value, dict) else value
    if isinstance(data, dict) and isinstance(data.get("entries"), list):
        data = {"items": [_item(row) for row in data["entries"]]}
    try:
        return change_set.from_json(data)
    except ChangeSetError as error:
        raise _refusal(error, document.file) from error


def _item(row: Any) -> Any:
    if not isinstance(row, dict) or not isinstance(row.get("path"), list):
        return row
    path = [str(step) for step in row["path"]]
    return {"kind": row.get("op"), "key": Entry("", tuple(path)).key} | {
        name: row[name] for name in ("previous", "current") if name in row
    }


# --- files ------------------------------------------------------------------------------------------------------------


def applied_text(path: str | os.PathLike[str], changes: ChangeSet) -> bytes:
    """
    What a JSON or TOML file would be with the changes made. TOML keeps comments and layout where it can, JSON its indentation.

    Raises:
        ConfigError: ``IoError``, or ``ValidationError`` when the changes do not fit.
        MissingExtraError: a TOML file, and the extra ``ops`` is not installed.
    """
    document = documents.check(documents.read(path))
    return render_document(document, apply_diff(document.value, changes)).encode()


def apply_to_file(path: str | os.PathLike[str], changes: ChangeSet) -> None:
    """Apply changes to a JSON or TOML file: the whole new file, or the old one untouched; fails as `applied_text`."""
    documents.replace_file(path, applied_text(path, changes))


def render_document(document: Document, value: Any) -> str:
    """
    *value* as a text in the format and manner of *document*.

    Raises:
        ConfigError: ``ApplyError``: the format cannot say it (null in TOML).
    """
    if document.format == "json":
        indent = re.search(r"\n([ \t]+)\S", document.text)
        step: str | int | None = indent[1] if indent else (None if "\n" not in document.text.strip() else 2)
        text = json.dumps(value, ensure_ascii=False, indent=step, allow_nan=False)
        return text + ("\n" if document.text.endswith("\n") or not document.text else "")
    return _render_toml(document, value)


def _render_toml(document: Document, value: Any) -> str:

    library = require("tomlkit", "ops")
    problem = Problem("config.change_set.invalid", "TOML cannot say null, nor anything but a table", document.file)
    if not isinstance(value, dict) or _has_null(value):
        raise ConfigError("ApplyError", [problem])
    with suppress(Exception):  # keeping the layout is a courtesy; what is written is checked in any case
        kept = library.parse(document.text)
        _edit(kept, value)
        text: str = library.dumps(kept)
        if same(documents.parse(text, "toml").value, value):
            return text
    text = library.dumps(value)
    if not same(documents.parse(text, "toml").value, value):
        raise ConfigError("ApplyError", [problem])
    return text


def _has_null(value: Any) -> bool:
    return any(leaf is None for leaf in change_set.flatten(value).values())


def _edit(kept: Any, wanted: Mapping[str, Any]) -> None:
    """Change a table of tomlkit until it is *wanted*, touching only what differs."""
    for key in [key for key in kept if key not in wanted]:
        del kept[key]
    for key, value in wanted.items():
        if key not in kept:
            kept[key] = value
        elif isinstance(value, dict) and isinstance(kept[key], dict):
            _edit(kept[key], value)
        elif not same(_plain(kept[key]), value):
            kept[key] = value


def _plain(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item


# --- templates --------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_.]*)(?::-(?P<default>[^}]*))?\}")


def render(template: str, values: Mapping[str, Any], file: str = "") -> str:
    """
    A template with its names filled in: ``${name}``, ``${name:-default}``, ``$$`` for a dollar sign.

    Names with dots reach into maps. Texts are put in as they are, everything else as JSON.

    Raises:
        ConfigError: ``RenderError``, naming every name that has no value, with its line.
    """
    problems: list[Problem] = []

    def fill(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        value: Any = values
        steps: list[Step] = list(found["name"].split("."))
        for step in steps:
            value = value.get(step, _NONE) if isinstance(value, Mapping) else _NONE
        if value is _NONE:
            value = values.get(found["name"], _NONE)
        if value is _NONE and found["default"] is not None:
            return found["default"]
        if value is _NONE:
            line = template.count("\n", 0, found.start()) + 1
            column = found.start() - (template.rfind("\n", 0, found.start()) + 1) + 1
            place = Place(line, column)
            problems.append(Problem("config.render.unknown_name", "nothing has this name", file, found["name"], place))
            return ""
        return value if isinstance(value, str) else json.dumps(change_set.jsonable(value), ensure_ascii=False)

    text = _NAME.sub(fill, template)
    if problems:
        raise ConfigError("RenderError", problems)
    return text


_NONE = object()
