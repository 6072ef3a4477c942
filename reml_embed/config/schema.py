"""
Schemas: what a document must look like, and what it means to go from one schema to the next (CONTRACTS 10.2).

Two forms are read: the schemas of the guide (`Schema`) and JSON Schema 2020-12 (recognised by ``$schema``, or by ``properties``).
"""

from __future__ import annotations

import base64
import binascii
import datetime
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reml_embed.config import documents
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.data.change_set import Step, path_text, same, type_tag
from reml_embed.errors import require

SCALARS = ("boolean", "integer", "number", "string", "bytes", "timestamp", "date", "any")
RULES = ("range", "regex", "length", "enum", "custom")
SEVERITIES = ("info", "warning", "error", "critical")
ATTRIBUTES = ("data_type", "required", "description", "default_value", "examples", "rules", "metadata")
_FIELD_KEYS = {"name", *ATTRIBUTES}
_SCHEMA_KEYS = {"$comment", "name", "description", "version", "fields", "metadata"}


@dataclass(frozen=True, slots=True)
class DataType:
    """
    A type of values: *kind* is one of `SCALARS`, or ``list`` (*items*), ``map`` (*key*, *value*), ``enum`` (*values*), ``object``
    (*fields*), ``reference`` (*schema*, the name of another one).
    """

    kind: str
    items: DataType | None = None
    key: DataType | None = None
    value: DataType | None = None
    values: tuple[Any, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    schema: str = ""

    def json(self) -> dict[str, Any]:
        """``{kind, …}``."""
        shown: dict[str, Any] = {"kind": self.kind}
        if self.items is not None:
            shown["items"] = self.items.json()
        if self.key is not None and self.value is not None:
            shown |= {"key": self.key.json(), "value": self.value.json()}
        if self.kind == "enum":
            shown["values"] = list(self.values)
        if self.kind == "object":
            shown["fields"] = {name: part.json() for name, part in self.fields.items()}
        if self.schema:
            shown["schema"] = self.schema
        return shown


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule beyond the type: *rule* is one of `RULES`, *params* its numbers, patterns and values."""

    id: str
    rule: str
    severity: str = "error"
    message: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """``{id, kind: {rule, …}, severity, message, params}``."""
        return {
            "id": self.id,
            "kind": {"rule": self.rule},
            "severity": self.severity,
            "message": self.message,
            "params": dict(self.params),
        }


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema."""

    name: str
    data_type: DataType
    required: bool = True
    description: str = ""
    default_value: Any = None
    examples: tuple[Any, ...] = ()
    rules: tuple[Rule, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """All attributes."""
        return {
            "name": self.name,
            "data_type": self.data_type.json(),
            "required": self.required,
            "description": self.description,
            "default_value": self.default_value,
            "examples": list(self.examples),
            "rules": [rule.json() for rule in self.rules],
            "metadata": dict(self.metadata),
        }

    def differs(self, other: Field) -> list[str]:
        """Names of the attributes that are not the same, in the order of `ATTRIBUTES`."""
        mine, theirs = self.json(), other.json()
        return [name for name in ATTRIBUTES if not same(mine[name], theirs[name])]


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema of the guide; fields are found by name, or by a path with dots (``project.name``)."""

    name: str
    version: tuple[int, int, int] = (1, 0, 0)
    description: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The document of this schema."""
        return {
            "name": self.name,
            "description": self.description,
            "version": dict(zip(("major", "minor", "patch"), self.version, strict=True)),
            "fields": {name: part.json() for name, part in self.fields.items()},
            "metadata": dict(self.metadata),
        }


# --- reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """A schema from plain data; every mistake is noted with its key path."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def wrong(self, message: str, path: tuple[Step, ...]) -> None:
        self.problems.append(self.document.problem("config.schema.invalid", message, path))

    def schema(self) -> Schema:
        data = self.document.value
        if not isinstance(data, dict):
            self.wrong(f"a schema is a map, not a {type_tag(data)}", ())
            return Schema("")
        for key in data:
            if key not in _SCHEMA_KEYS:
                self.wrong(f"unknown key; known: {', '.join(sorted(_SCHEMA_KEYS))}", (key,))
        name = data.get("name")
        if not isinstance(name, str) or not name:
            self.wrong("a schema needs a name", ("name",) if "name" in data else ())
        return Schema(
            name=name if isinstance(name, str) else "",
            version=self.version(data.get("version", {})),
            description=str(data.get("description", "")),
            fields=self.fields(data.get("fields", {}), ("fields",)),
            metadata=data.get("metadata", {}) if isinstance(data.get("metadata", {}), dict) else {},
        )

    def version(self, data: Any) -> tuple[int, int, int]:
        if isinstance(data, str) and re.fullmatch(r"\d+\.\d+\.\d+", data):
            major, minor, patch = map(int, data.split("."))
            return major, minor, patch
        names = ("major", "minor", "patch")
        if isinstance(data, dict) and all(type(data.get(name, 0)) is int and data.get(name, 0) >= 0 for name in names):
            return data.get("major", 1), data.get("minor", 0), data.get("patch", 0)
        self.wrong("a version is {major, minor, patch} or `1.2.3`", ("version",))
        return 1, 0, 0

    def fields(self, data: Any, path: tuple[Step, ...]) -> dict[str, Field]:
        rows: dict[str, Any] = {}
        if isinstance(data, list):
            for number, row in enumerate(data):
                if isinstance(row, dict) and isinstance(row.get("name"), str):
                    rows[row["name"]] = row
                else:
                    self.wrong("a field in a list needs a name", (*path, number))
        elif isinstance(data, dict):
            rows = data
        else:
            self.wrong("fields are a map", path)
        return {name: self.field(name, row, (*path, name)) for name, row in rows.items()}

    def field(self, name: str, data: Any, path: tuple[Step, ...]) -> Field:
        if isinstance(data, str):  # "name": "string"
            return Field(name, self.data_type(data, path))
        if not isinstance(data, dict):
            self.wrong("a field is a map, or the name of a type", path)
            return Field(name, DataType("any"))
        for key in data:
            if key not in _FIELD_KEYS:
                self.wrong(f"unknown key; known: {', '.join(sorted(_FIELD_KEYS))}", (*path, key))
        required = data.get("required", True)
        if not isinstance(required, bool):
            self.wrong("`required` is true or false", (*path, "required"))
        rules = data.get("rules", [])
        if not isinstance(rules, list):
            self.wrong("rules are a list", (*path, "rules"))
            rules = []
        examples = data.get("examples", [])
        return Field(
            name,
            self.data_type(data.get("data_type", "any"), (*path, "data_type")),
            required=required is True,
            description=str(data.get("description") or ""),
            default_value=data.get("default_value"),
            examples=tuple(examples) if isinstance(examples, list) else (examples,),
            rules=tuple(self.rule(row, (*path, "rules", index)) for index, row in enumerate(rules)),
            metadata=data.get("metadata", {}) if isinstance(data.get("metadata", {}), dict) else {},
        )

    def data_type(self, data: Any, path: tuple[Step, ...]) -> DataType:
        if isinstance(data, str):
            data = {"kind": data}
        kind = str(data.get("kind", "")).lower() if isinstance(data, dict) else ""
        if kind in SCALARS:
            return DataType(kind)
        if kind == "list":
            return DataType(kind, items=self.data_type(data.get("items", "any"), (*path, "items")))
        if kind == "map":
            key = self.data_type(data.get("key", "string"), (*path, "key"))
            return DataType(kind, key=key, value=self.data_type(data.get("value", "any"), (*path, "value")))
        if kind == "enum" and isinstance(data.get("values"), list) and data["values"]:
            return DataType(kind, values=tuple(data["values"]))
        if kind == "object":
            return DataType(kind, fields=self.fields(data.get("fields", {}), (*path, "fields")))
        if kind == "reference" and isinstance(data.get("schema"), str):
            return DataType(kind, schema=data["schema"])
        known = ", ".join((*SCALARS, "list", "map", "enum (with values)", "object", "reference (with schema)"))
        self.wrong(f"no such type; known: {known}", path)
        return DataType("any")

    def rule(self, data: Any, path: tuple[Step, ...]) -> Rule:
        kind = data.get("kind") if isinstance(data, dict) else None
        kind = {"rule": kind} if isinstance(kind, str) else kind
        if not isinstance(kind, dict) or kind.get("rule") not in RULES:
            self.wrong(f"a rule needs kind {{rule: {' | '.join(RULES)}}}", path)
            return Rule("", "custom")
        severity = str(data.get("severity", "error")).lower()
        if severity not in SEVERITIES:
            self.wrong(f"a severity is one of {', '.join(SEVERITIES)}", (*path, "severity"))
            severity = "error"
        params = {name: value for name, value in kind.items() if name != "rule"} | dict(data.get("params") or {})
        rule = Rule(str(data.get("id", kind["rule"])), kind["rule"], severity, str(data.get("message", "")), params)
        if rule.rule == "regex":
            try:
                re.compile(str(params.get("pattern", "")))
            except re.error as error:
                self.wrong(f"the pattern is none: {error}", path)
        return rule


def read(document: Document) -> Schema:
    """
    A schema from a document.

    Raises:
        ConfigError: ``config.schema.invalid`` for every mistake in it, with file, line and key path.
    """
    reader = _Reader(document)
    schema = reader.schema()
    errors = [problem for problem in document.problems if problem.severity == "error"] + reader.problems
    if errors:
        raise ConfigError("ValidationError", errors)
    return schema


class _DiffReader(_Reader):
    """A `SchemaDiff` from plain data."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.seen: set[str] = set()

    def rows(self, kind: str) -> list[tuple[Any, tuple[Step, ...]]]:
        data = self.document.value.get(kind, [])
        if not isinstance(data, list):
            self.wrong(f"`{kind}` is a list", (kind,))
            return []
        return [(row, (kind, index)) for index, row in enumerate(data)]

    def named(self, row: Any, path: tuple[Step, ...]) -> Field:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
            self.wrong("a field is a map with a name", path)
            return Field("", DataType("any"))
        return self.field(row["name"], row, path)

    def once(self, row: Any, path: tuple[Step, ...]) -> Field:
        part = self.named(row, path)
        if part.name in self.seen:
            problem = self.document.problem("config.compat.duplicate_key", f"`{part.name}` is named twice", path)
            self.problems.append(problem)
        self.seen.add(part.name)
        return part

    def change(self, row: Any, path: tuple[Step, ...]) -> tuple[Field, Field, tuple[str, ...]]:
        sides = row if isinstance(row, dict) else {}
        pair = [
            {"name": sides.get("name"), **sides[side]} if isinstance(sides.get(side), dict) else None
            for side in ("previous", "current")
        ]
        before, after = self.named(pair[0], (*path, "previous")), self.once(pair[1], (*path, "current"))
        if before.name != after.name:
            self.wrong("a change is of one field; another name is a removal and an addition", path)
        return before, after, tuple(before.differs(after))


def read_diff(document: Document) -> SchemaDiff:
    """
    A `SchemaDiff` from its JSON form ``{added[], removed[], changed[{name, previous, current, attributes[]}]}``; attributes are found anew.

    Raises:
        ConfigError: ``config.schema.invalid`` for every mistake in it, with file, line and key path, ``config.compat.duplicate_key`` for a
            field that is named twice.
    """
    reader = _DiffReader(document)
    found = SchemaDiff(
        tuple(reader.once(*row) for row in reader.rows("added")),
        tuple(reader.once(*row) for row in reader.rows("removed")),
        tuple(reader.change(*row) for row in reader.rows("changed")),
    )
    errors = [problem for problem in document.problems if problem.severity == "error"] + reader.problems
    if errors:
        raise ConfigError("ValidationError", errors)
    return found


def is_json_schema(value: Any) -> bool:
    """Is the document a JSON Schema, and not one of the guide's?"""
    return isinstance(value, dict) and ("$schema" in value or ("properties" in value and "fields" not in value))


# --- validating -------------------------------------------------------------------------------------------------------

#: Checks of rules ``custom``, by the name in their params: a value and the params in, the complaint or None out.
CUSTOM: dict[str, Callable[[Any, Mapping[str, Any]], str | None]] = {}


class _Validator:
    def __init__(self, document: Document, schemas: Mapping[str, Schema]) -> None:
        self.document, self.schemas = document, schemas
        self.problems: list[Problem] = []

    def wrong(self, code: str, message: str, path: tuple[Step, ...], **more: Any) -> None:
        self.problems.append(self.document.problem(code, message, path, **more))

    def fields(self, fields: Mapping[str, Field], value: Mapping[str, Any], path: tuple[Step, ...]) -> None:
        for name, part in fields.items():
            found, there = _find(value, name)
            if found is None:
                if part.required and part.default_value is None:
                    self.wrong("config.missing_field", f"`{name}` is missing", (*path, *name.split(".")))
            else:
                self.value(part, there, (*path, *found))

    def value(self, part: Field, value: Any, path: tuple[Step, ...]) -> None:
        if self.typed(part.data_type, value, path):
            for rule in part.rules:
                self.rule(rule, value, path)

    def typed(self, wanted: DataType, value: Any, path: tuple[Step, ...]) -> bool:
        if wanted.kind == "list" and isinstance(value, list) and wanted.items is not None:
            results = [self.typed(wanted.items, item, (*path, index)) for index, item in enumerate(value)]
            return all(results)
        if wanted.kind == "map" and isinstance(value, dict) and wanted.value is not None:
            results = [self.typed(wanted.value, item, (*path, key)) for key, item in value.items()]
            return all(results)
        if wanted.kind == "object" and isinstance(value, dict):
            before = len(self.problems)
            self.fields(wanted.fields, value, path)
            return len(self.problems) == before
        if wanted.kind == "reference":
            return self.reference(wanted.schema, value, path)
        if _fits(wanted, value):
            return True
        expected = f"one of {list(wanted.values)}" if wanted.kind == "enum" else wanted.kind
        shown = repr(value) if type_tag(value) not in {"list", "map"} else ""
        self.wrong(
            "config.schema.type_mismatch", f"{expected} expected, found {type_tag(value)} {shown}".rstrip(), path
        )
        return False

    def reference(self, name: str, value: Any, path: tuple[Step, ...]) -> bool:
        known = self.schemas.get(name)
        if known is None:
            self.wrong("config.schema.invalid", f"no schema named `{name}` is known", path)
            return False
        if not isinstance(value, dict):
            self.wrong("config.schema.type_mismatch", f"{name} expected, found {type_tag(value)}", path)
            return False
        before = len(self.problems)
        self.fields(known.fields, value, path)
        return len(self.problems) == before

    def rule(self, rule: Rule, value: Any, path: tuple[Step, ...]) -> None:
        complaint = _broken(rule, value)
        if complaint:
            severity = "error" if rule.severity == "critical" else rule.severity
            details = {"rule": rule.id, "rule_severity": rule.severity}
            self.wrong(
                "config.schema.rule_violation", rule.message or complaint, path, severity=severity, details=details
            )


def _find(value: Mapping[str, Any], name: str) -> tuple[tuple[Step, ...] | None, Any]:
    """A field by its name, or step by step along its dots."""
    if name in value:
        return (name,), value[name]
    here: Any = value
    steps = name.split(".")
    for step in steps:
        if not isinstance(here, dict) or step not in here:
            return None, None
        here = here[step]
    return tuple(steps), here


def _is_date(value: Any, kind: str) -> bool:
    if isinstance(value, datetime.datetime):
        return kind == "timestamp"
    if isinstance(value, datetime.date):
        return kind == "date"
    if not isinstance(value, str):
        return False
    try:
        if kind == "date":
            datetime.date.fromisoformat(value)
            return True
        return datetime.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_bytes(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def _fits(wanted: DataType, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    checks: dict[str, Callable[[], bool]] = {
        "any": lambda: True,
        "boolean": lambda: isinstance(value, bool),
        "integer": lambda: number and isinstance(value, int),
        "number": lambda: number,
        "string": lambda: isinstance(value, str),
        "bytes": lambda: _is_bytes(value),
        "timestamp": lambda: _is_date(value, "timestamp"),
        "date": lambda: _is_date(value, "date"),
        "enum": lambda: any(same(value, one) for one in wanted.values),
    }
    return wanted.kind in checks and checks[wanted.kind]()


def _broken(rule: Rule, value: Any) -> str | None:
    """Why *value* breaks *rule*; None: it does not, or the rule says nothing of such values."""
    params = rule.params
    if rule.rule in {"range", "length"}:
        low, high = params.get("min"), params.get("max")
        if rule.rule == "length" and not isinstance(value, str | list | dict):
            return None
        if rule.rule == "range" and (not isinstance(value, int | float) or isinstance(value, bool)):
            return None
        measured = len(value) if rule.rule == "length" else value
        what = f"{'length ' if rule.rule == 'length' else ''}{measured}"
        if low is not None and measured < low:
            return f"{what} is below {low}"
        return f"{what} is above {high}" if high is not None and measured > high else None
    if rule.rule == "regex":
        pattern = str(params.get("pattern", ""))
        return None if not isinstance(value, str) or re.search(pattern, value) else f"does not match {pattern}"
    if rule.rule == "enum":
        values = params.get("values", [])
        return None if any(same(value, one) for one in values) else f"is none of {values}"
    check = CUSTOM.get(str(params.get("name", rule.id)))
    return check(value, params) if check else f"the rule `{params.get('name', rule.id)}` is not known here"


def load(path: str | os.PathLike[str], schema: Schema, schemas: Mapping[str, Schema] | None = None) -> Any:
    """
    The value of a JSON or TOML file that *schema* has nothing against.

    Raises:
        ConfigError: ``IoError``: it cannot be read; ``ValidationError``: all that is wrong with it, with file, line and key path.
    """
    document = documents.check(documents.read(path))
    errors = [problem for problem in validate(document, schema, schemas) if problem.severity == "error"]
    if errors:
        raise ConfigError("ValidationError", errors)
    return document.value


def validate(value: Any, schema: Schema, schemas: Mapping[str, Schema] | None = None) -> list[Problem]:
    """
    All that is wrong with a document, or with plain data, by *schema*; *schemas* are those that references name.

    Keys that the schema does not name are fine: a schema says what must be there.
    """
    document = value if isinstance(value, Document) else Document("", "json", "", value)
    checker = _Validator(document, {schema.name: schema, **(schemas or {})})
    if not isinstance(document.value, dict):
        checker.wrong("config.schema.type_mismatch", f"a map is expected, found {type_tag(document.value)}", ())
    else:
        checker.fields(schema.fields, document.value, ())
    return checker.problems


def validate_rows(document: Document, schema: Schema, schemas: Mapping[str, Schema] | None = None) -> list[Problem]:
    """As `validate`; of a list each item is held against *schema*."""
    if not isinstance(document.value, list):
        return validate(document, schema, schemas)
    checker = _Validator(document, {schema.name: schema, **(schemas or {})})
    for number, row in enumerate(document.value):
        if isinstance(row, dict):
            checker.fields(schema.fields, row, (number,))
        else:
            checker.wrong("config.schema.type_mismatch", f"a map is expected, found {type_tag(row)}", (number,))
    return checker.problems


def validate_json_schema(document: Document, schema: Any, file: str) -> list[Problem]:
    """
    The same by a JSON Schema 2020-12.

    Raises:
        ConfigError: ``config.schema.invalid``: the schema is none.
        MissingExtraError: the extra ``ops`` is not installed.
    """
    library = require("jsonschema", "ops")
    try:
        library.Draft202012Validator.check_schema(schema)
    except library.SchemaError as broken:
        problem = Problem("config.schema.invalid", broken.message, file, path_text(broken.absolute_path))
        raise ConfigError("ValidationError", [problem]) from broken
    problems = []
    for error in sorted(
        library.Draft202012Validator(schema).iter_errors(document.value), key=lambda e: list(map(str, e.absolute_path))
    ):
        code = "config.missing_field" if error.validator == "required" else "config.schema.type_mismatch"
        if error.validator not in {"required", "type"}:
            code = "config.schema.rule_violation"
        details = {"rule": str(error.validator)}
        problems.append(document.problem(code, error.message, tuple(error.absolute_path), details=details))
    return problems


def version_problem(document: Document, version: Any, schema: Schema) -> Problem | None:
    """Same major, and not older than the schema; None: they go together (CONTRACTS 10.2)."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", str(version))
    if not found:
        return None
    mine = tuple(map(int, found.groups()))
    reason = "major" if mine[0] != schema.version[0] else "schema_ahead" if mine < schema.version else ""
    if not reason:
        return None
    wanted = ".".join(map(str, schema.version))
    details = {"version_reason": reason, "schema_name": schema.name, "schema_version": wanted}
    return document.problem(
        "config.schema.version_incompatible", f"{version} does not go with schema {schema.name} {wanted}",
        ("project", "version"), details=details,
    )  # fmt: skip


# --- from one schema to the next --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """Fields added, removed and changed; *changed* holds (previous, current, names of attributes)."""

    added: tuple[Field, ...] = ()
    removed: tuple[Field, ...] = ()
    changed: tuple[tuple[Field, Field, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def dangerous(self, converters: Container[str] = ()) -> Iterator[tuple[str, str]]:
        """(field, reason) for each change that running data may not survive (CONTRACTS 11); *converters*: fields that have one."""
        for part in self.removed:
            if part.required:
                yield part.name, "a required field is removed"
        for before, after, attributes in self.changed:
            if (
                "data_type" in attributes
                and after.name not in converters
                and not converts(before.data_type, after.data_type)
            ):
                kinds = f"{before.data_type.kind} to {after.data_type.kind}"
                yield before.name, f"its type changes from {kinds} without a converter"
            if after.required and not before.required and after.default_value is None:
                yield after.name, "it becomes required without a default"
        for part in self.added:
            if part.required and part.default_value is None:
                yield part.name, "a required field is added without a default"

    def json(self) -> dict[str, Any]:
        """``{added[], removed[], changed[{name, previous, current, attributes[]}]}``."""
        return {
            "added": [part.json() for part in self.added],
            "removed": [part.json() for part in self.removed],
            "changed": [
                {"name": after.name, "previous": before.json(), "current": after.json(), "attributes": list(attributes)}
                for before, after, attributes in self.changed
            ],
        }


def converts(before: DataType, after: DataType) -> bool:
    """Is every value of *before* a value of *after*?"""
    if same(before.json(), after.json()) or after.kind == "any":
        return True
    if before.kind == "enum" and after.kind == "enum":
        return all(any(same(one, other) for other in after.values) for one in before.values)
    if before.kind == after.kind == "list" and before.items and after.items:
        return converts(before.items, after.items)
    if before.kind == after.kind == "map" and before.value and after.value:
        return converts(before.value, after.value)
    if before.kind == "enum":
        return all(_fits(after, one) for one in before.values)
    return (before.kind, after.kind) in {
        ("integer", "number"),
        ("date", "string"),
        ("timestamp", "string"),
        ("bytes", "string"),
    }


def diff(old: Schema, new: Schema) -> SchemaDiff:
    """What distinguishes two schemas, fields sorted by name."""
    both = sorted(old.fields.keys() & new.fields.keys())
    changed = [(old.fields[name], new.fields[name], old.fields[name].differs(new.fields[name])) for name in both]
    return SchemaDiff(
        added=tuple(new.fields[name] for name in sorted(new.fields.keys() - old.fields.keys())),
        removed=tuple(old.fields[name] for name in sorted(old.fields.keys() - new.fields.keys())),
        changed=tuple((before, after, tuple(names)) for before, after, names in changed if names),
    )


RISKS = ("none", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """
    Steps from one schema to the next.

    Attributes:
        steps: ``{kind: add_field|remove_field|rename_field|change_type|reorganize_data, …, breaking}``.
        estimated_seconds: for data of a thousand documents.
        requires_downtime, data_loss_risk: any breaking step makes the risk at least ``high`` and needs downtime.
    """

    steps: tuple[dict[str, Any], ...]
    estimated_seconds: float
    requires_downtime: bool
    data_loss_risk: str

    def json(self) -> dict[str, Any]:
        """The object of CONTRACTS 10.2."""
        return {
            "steps": list(self.steps),
            "estimated_duration": {"seconds": self.estimated_seconds},
            "requires_downtime": self.requires_downtime,
            "data_loss_risk": self.data_loss_risk,
        }

    def metadata(self) -> dict[str, Any]:
        """Keys ``config.migration.*`` of its record (CONTRACTS 10.6)."""
        return {
            "config.migration.steps": len(self.steps),
            "config.migration.risk": self.data_loss_risk,
            "config.migration.downtime": self.requires_downtime,
            "config.migration.estimated_seconds": self.estimated_seconds,
        }


#: Seconds that a step takes for a thousand documents, and the least risk that it brings.
_COSTS = {
    "add_field": (0.5, "low"),
    "remove_field": (0.5, "high"),
    "rename_field": (1.0, "medium"),
    "change_type": (2.0, "medium"),
    "reorganize_data": (5.0, "medium"),
}


def estimate_migration_cost(plan: MigrationPlan | Iterable[Mapping[str, Any]]) -> float:
    """Seconds that a plan, or its steps, take for a thousand documents."""
    steps = plan.steps if isinstance(plan, MigrationPlan) else plan
    return sum(_COSTS[step["kind"]][0] for step in steps)


def validate_migration(old: Schema, new: Schema) -> MigrationPlan:
    """What has to be done to data of *old* so that it is data of *new*."""
    found = diff(old, new)
    dangerous = {name for name, _ in found.dangerous()}
    steps: list[dict[str, Any]] = []
    removed = {part.name: part for part in found.removed}
    for part in found.added:
        origin = part.metadata.get("renamed_from")
        if origin in removed and converts(removed[origin].data_type, part.data_type):
            del removed[origin]
            steps.append({"kind": "rename_field", "from": origin, "to": part.name, "breaking": False})
        else:
            steps.append({"kind": "add_field", "name": part.name, "breaking": part.name in dangerous})
    steps += [{"kind": "remove_field", "name": name, "breaking": removed[name].required} for name in removed]
    for before, after, attributes in found.changed:
        if "data_type" in attributes:
            kind = (
                "reorganize_data"
                if {before.data_type.kind, after.data_type.kind} & {"list", "map", "object"}
                else "change_type"
            )
            step = {"kind": kind, "name": after.name, "from": before.data_type.kind, "to": after.data_type.kind}
            steps.append(step | {"breaking": after.name in dangerous})
        elif after.name in dangerous:
            steps.append({"kind": "add_field", "name": after.name, "breaking": True})
    risk = max((RISKS.index(_COSTS[step["kind"]][1]) for step in steps), default=0)
    breaking = any(step["breaking"] for step in steps)
    risk = max(risk, RISKS.index("high")) if breaking else risk
    return MigrationPlan(tuple(steps), estimate_migration_cost(steps), breaking, RISKS[risk])
