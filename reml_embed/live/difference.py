"""
Differences that a reload takes: what they are, why they may be dangerous, and what becomes of a value (CONTRACTS 11, step 1 and 2).

Comes in: a ChangeSet, a SchemaDiff, the output of ``config diff``, as objects or JSON. Goes out: a `Difference`, pure.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reml_embed.config import changes, documents, schema
from reml_embed.config.changes import DataChangeSet
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.config.schema import Field, Schema, SchemaDiff
from reml_embed.data import change_set
from reml_embed.data.change_set import ChangeSet, ChangeSetError, Item, path_text, same, type_tag

#: Field name → what makes a value of its new type from one of the old.
Converters = Mapping[str, Callable[[Any], Any]]
#: Formats by the name that a `ReloadSpec` gives them; parameters in angle brackets do not count.
FORMATS = ("SchemaDiff", "ChangeSet", "config.diff")


@dataclass(frozen=True, slots=True)
class Difference:
    """
    A difference of two configurations.

    Attributes:
        format: one of `FORMATS`, as it was given.
        change_set: what changes, for review and records; of schemas one item a field.
        schema_diff: of schemas; None: the change set is about the value.
        document: where it was read from, for places in complaints.
    """

    format: str
    change_set: ChangeSet
    schema_diff: SchemaDiff | None = None
    document: Document | None = None

    def dangers(self, value: Any, known: Schema | None, converters: Converters) -> Iterator[tuple[str, str]]:
        """(key, reason) for each change that would do harm to *value* (CONTRACTS 11, "Dangerous")."""
        if self.schema_diff is not None:
            yield from self.schema_diff.dangerous(converters)
            return
        for key, count in Counter(item.key for item in self.change_set.items).items():
            if count > 1:
                yield key, "the key is there twice"
        for item in self.change_set.items:
            if item.kind == "updated" and item.key not in converters and not _typed_by(known, item.key):
                before, after = type_tag(item.previous), type_tag(item.current)
                if before != after and "null" not in {before, after}:
                    yield item.key, f"its type changes from {before} to {after} without a converter"
        if known is not None:
            yield from self._broken_by(value, known, converters)

    def _broken_by(self, value: Any, known: Schema, converters: Converters) -> Iterator[tuple[str, str]]:
        """What of *known* the new value would not keep and the old one does."""
        try:
            after = changes.apply_diff(value, self.change_set)
        except ConfigError:
            return  # it cannot be applied at all: step 2 says so
        before = {(problem.code, problem.key_path) for problem in validate(value, known)}
        for problem in validate(after, known):
            if (problem.code, problem.key_path) in before or problem.key_path in converters:
                continue
            if problem.code == "config.missing_field":
                yield problem.key_path, "a required field is removed"
            elif problem.code == "config.schema.type_mismatch":
                yield problem.key_path, f"its type changes without a converter: {problem.message}"

    def apply(self, value: Any, known: Schema | None, converters: Converters) -> tuple[Any, Schema | None]:
        """
        The new value and its schema; *value* stays as it is.

        Raises:
            ConfigError: it does not fit the value or the schema, or what comes out is not valid.
        """
        if self.schema_diff is None:
            made: Any = changes.apply_diff(value, self.change_set)
            after = known
        else:
            after = None if known is None else next_schema(known, self.schema_diff)
            made = migrate(value, self.schema_diff, converters)
        if after is not None:
            wrong = [problem for problem in validate(made, after) if problem.severity == "error"]
            if wrong:
                raise ConfigError("ValidationError", wrong)
        return made, after


def _typed_by(known: Schema | None, key: str) -> bool:
    """Does a schema say what type the key has? Then it decides."""
    return known is not None and any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in known.fields)


def validate(value: Any, known: Schema) -> list[Problem]:
    """All that is wrong with *value* by the schema; key paths as change sets write them."""
    return schema.validate(Document("", "json", "", value), known)


# --- reading ----------------------------------------------------------------------------------------------------------


class FormatError(ConfigError):
    """
    Not a difference, or one of another format: *received* says what it is.
    """

    def __init__(self, received: str, message: str, file: str = "", problems: list[Problem] | None = None) -> None:
        found = problems or [Problem("config.change_set.invalid", message, file)]
        super().__init__("ValidationError", found)
        self.received = received


def read(given: object) -> Difference:
    """
    A difference from what a host has: a `Difference`, `SchemaDiff`, `ChangeSet`, `DataChangeSet`, a `Document` or plain JSON data.

    Raises:
        FormatError: it is none of these. ConfigError: a key stands in it twice.
    """
    if isinstance(given, Difference):
        return given
    if isinstance(given, SchemaDiff):
        return Difference("SchemaDiff", field_changes(given), given)
    if isinstance(given, DataChangeSet):
        return Difference("ChangeSet", given.flat())
    if isinstance(given, ChangeSet):
        return Difference("ChangeSet", given)
    return _from_document(given if isinstance(given, Document) else Document("", "json", "", given))


def name_of(value: Any) -> str:
    """What JSON data is, as far as one can tell: a format, or a type."""
    if not isinstance(value, dict):
        return type_tag(value)
    if "change_set" in value:
        return "config.diff"
    if {"added", "removed", "changed"} & value.keys() and {"items", "entries"} & value.keys():
        return "mixture of ChangeSet and SchemaDiff"  # to take one half of it would be a guess
    if {"added", "removed", "changed"} & value.keys() and all(
        isinstance(value.get(name, []), list) for name in ("added", "removed", "changed")
    ):
        return "SchemaDiff"
    if "items" in value or "entries" in value:
        return "ChangeSet"
    kind = value.get("kind")
    return kind if isinstance(kind, str) else "map"


def _from_document(document: Document) -> Difference:
    _refuse_broken(document)
    value = document.value
    received = name_of(value)
    if received not in FORMATS:
        raise FormatError(received, f"not a difference, but a {received}", document.file)
    part = value.get("schema_diff") if received == "config.diff" else value
    try:
        if name_of(part) == "SchemaDiff":
            inner = document if part is value else Document(document.file, "json", "", part)
            found = schema.read_diff(inner)
            return Difference(received, field_changes(found), found, document)
        return Difference(received, changes.read_changes(document), None, document)
    except ConfigError as error:
        if any(problem.code == "config.compat.duplicate_key" for problem in error.problems):
            raise
        raise FormatError(received, "", document.file, error.problems) from error


def _refuse_broken(document: Document) -> None:
    errors = [problem for problem in document.problems if problem.severity == "error"]
    if any(problem.code == "config.compat.duplicate_key" for problem in errors):
        raise ConfigError("ValidationError", errors)
    if errors:
        raise FormatError("text", "", document.file, errors)


def field_changes(found: SchemaDiff) -> ChangeSet:
    """One item for each field of a `SchemaDiff`."""
    items = [Item("updated", _key(after.name), before.json(), after.json()) for before, after, _ in found.changed]
    items += [Item("removed", _key(part.name), previous=part.json()) for part in found.removed]
    items.sort(key=lambda item: item.key)
    items += [Item("added", _key(part.name), current=part.json()) for part in sorted(found.added, key=lambda p: p.name)]
    return ChangeSet(tuple(items))


def _key(name: str) -> str:
    """The name of a field as a path: its dots are steps, unless it is no path."""
    try:
        change_set.split_path(name)
    except ChangeSetError:
        return path_text((name,))
    return name


# --- schemas ----------------------------------------------------------------------------------------------------------


def _conflict(name: str, message: str) -> ConfigError:
    return ConfigError("ValidationError", [Problem("config.change_set.conflict", message, "", name)])


def next_schema(known: Schema, found: SchemaDiff) -> Schema:
    """
    *known* with the fields of the difference.

    Raises:
        ConfigError: a field is not what the difference says it is.
    """
    fields: dict[str, Field] = dict(known.fields)
    for part in found.added:
        if part.name in fields:
            raise _conflict(part.name, "the field is already there")
        fields[part.name] = part
    for before in (*found.removed, *(row[0] for row in found.changed)):
        there = fields.get(before.name)
        if there is None or not same(there.json(), before.json()):
            now = "not there any more" if there is None else "another one now"
            raise _conflict(before.name, f"the field is {now}")
    for part in found.removed:
        del fields[part.name]
    for before, after, _ in found.changed:
        fields = {after.name if name == before.name else name: after if name == before.name else part
                  for name, part in fields.items()}  # fmt: skip
    return replace(known, fields=fields)


def migrate(value: Any, found: SchemaDiff, converters: Converters) -> Any:
    """
    *value* as the new schema wants it: defaults where a field is new or becomes required, without what was removed, converted.

    Raises:
        ConfigError: *value* is no map, or a converter fails.
    """
    made = copy.deepcopy(value)
    if not isinstance(made, dict):
        raise _conflict("$", f"a schema is about a map, not a {type_tag(value)}")
    for part in found.removed:
        holder, step = _holder(made, part.name)
        if holder is not None:
            del holder[step]
    for _, after, attributes in found.changed:
        holder, step = _holder(made, after.name)
        if holder is not None and "data_type" in attributes and after.name in converters:
            try:
                holder[step] = converters[after.name](holder[step])
            except Exception as error:
                raise _conflict(after.name, f"the converter fails: {error}") from error
        elif holder is None and after.required and after.default_value is not None:
            _put(made, after)
    for part in found.added:
        if part.default_value is not None and _holder(made, part.name)[0] is None:
            _put(made, part)
    return made


def _holder(value: dict[str, Any], name: str) -> tuple[dict[str, Any] | None, str]:
    """The map that holds a field, and under which name; None: it is not there."""
    if name in value:
        return value, name
    here: Any = value
    *way, last = name.split(".")
    for step in way:
        here = here.get(step) if isinstance(here, dict) else None
    return (here, last) if isinstance(here, dict) and last in here else (None, last)


def _put(value: dict[str, Any], part: Field) -> None:
    here = value
    *way, last = part.name.split(".")
    for step in way:
        below = here.setdefault(step, {})
        if not isinstance(below, dict):
            raise _conflict(part.name, f"`{step}` is no map")
        here = below
    here[last] = copy.deepcopy(part.default_value)


def from_file(path: str) -> Difference:
    """
    A difference from a JSON file.

    Raises:
        ConfigError: ``IoError``, or as `read`.
    """
    return read(documents.parse(documents.read_text(path), "json", path))
