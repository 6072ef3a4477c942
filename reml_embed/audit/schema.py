"""
The JSON Schema of a record, made from the table of kinds (CONTRACTS 3.7), and the same rules as Python.

Comes in: `kinds`. Goes out: ``audit-record.schema.json`` (in the package, what ``reml audit schema`` prints), and `violations` of one record.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reml_embed.audit.kinds import (
    BASE_KEYS,
    BRIDGE_KIND,
    BRIDGE_REQUIRED,
    CHAIN_KEYS,
    GROUPS,
    KINDS,
    STAGE_VERIFIED,
    VALUES,
    Kind,
    missing_keys,
    missing_text,
)
from reml_embed.audit.records import Json, Record, has, lookup

SCHEMA_ID: Final = "urn:reml-embed:audit-record:3.0.0-alpha"
FILE: Final = Path(__file__).with_name("audit-record.schema.json")

_TIME = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?Z$"
)
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_HASH = r"^[0-9a-f]{64}$"


# --- the schema -----------------------------------------------------------------------------------------------------------


def _splits(key: str) -> list[list[str]]:
    """All ways in which a dotted key may be nested: ``a.b`` → ``[a.b]``, ``[a][b]``."""
    parts = key.split(".")
    ways = []
    for mask in range(1 << (len(parts) - 1)):
        way = [parts[0]]
        for index, part in enumerate(parts[1:]):
            if mask >> index & 1:
                way.append(part)
            else:
                way[-1] += "." + part
        ways.append(way)
    return ways


def _at(path: list[str], value: Json) -> Json:
    """The schema "there is something at *path*", which is *value*."""
    made = value
    for name in reversed(path):
        made = {"type": "object", "required": [name], "properties": {name: made}}
    return made


def _present(key: str, value: Json = True) -> Json:
    """In metadata: *key* is there in one of its forms; see `records.lookup`."""
    return {"anyOf": [_at([*lead, *way], value) for lead in ([], ["event"]) for way in _splits(key)]}


def _key(key: str) -> Json:
    return {"$ref": f"#/$defs/key/{key}"}


def _all_keys() -> list[str]:
    named = (
        {key for row in (*KINDS.values(), BRIDGE_KIND) for key in row.required}
        | set(BRIDGE_REQUIRED)
        | set(STAGE_VERIFIED)
    )
    named |= {key for group in GROUPS for key in (*group.any_of, *group.required)} | set(VALUES)
    return sorted(named)


def _metadata_of(row: Kind) -> Json:
    return {"allOf": [_key(key) for key in row.required]}


def _in_metadata(value: Json) -> Json:
    return {"properties": {"envelope": {"properties": {"metadata": value}}}}


def _is_kind(name: str) -> Json:
    return {"required": ["event.kind"], "properties": {"event.kind": {"const": name}}}


def _rules() -> list[Json]:
    """What each kind and each group demands of an envelope."""
    rules: list[Json] = []
    inside: list[Json] = []
    for row in KINDS.values():
        if row.required:
            inside.append({"if": _is_kind(row.name), "then": _metadata_of(row)})
        if row.verifies_stage:
            stage = {"anyOf": [_key(key) for key in GROUPS[0].any_of]}
            both = {"allOf": [_key(key) for key in STAGE_VERIFIED]}
            inside.append({"if": {"allOf": [_is_kind(row.name), stage]}, "then": both})
    named = [name for name in KINDS if name.startswith("bridge.")]
    other_bridges = {
        "required": ["event.kind"],
        "properties": {"event.kind": {"pattern": r"^bridge\.", "not": {"enum": named}}},
    }
    inside.append({"if": other_bridges, "then": _metadata_of(BRIDGE_KIND)})
    crossing = {"allOf": [_is_kind("ffi.call"), {"not": _present("ffi.status", {"const": "stubbed"})}]}
    inside.append({"if": crossing, "then": {"allOf": [_key(key) for key in BRIDGE_REQUIRED]}})
    inside += [
        {"if": _key(key), "then": _present(key, {"enum": list(values)})}
        for key, values in VALUES.items()
        if key != "audit.channel"
    ]
    for group in GROUPS:
        trigger = {"anyOf": [_key(key) for key in group.any_of]}
        needed = [_key(key) for key in group.required if key != "bridge.capability"]
        inside.append({"if": trigger, "then": {"allOf": needed}})
        if "bridge.capability" in group.required:
            rules.append(
                {
                    "if": _at(["envelope", "metadata"], trigger),
                    "then": {"anyOf": [_at(["envelope", "metadata"], _key("bridge.capability")), _at(["envelope", "capability"], {"type": "string"})]},
                }
            )  # fmt: skip
    return [*rules, _in_metadata({"allOf": inside})]


def _flat_keys() -> dict[str, list[str]]:
    """What lines of the structured log must have: the payload's keys."""
    keys = {
        name: [key.removeprefix("event.") for key in row.required if key.startswith("event.")]
        for name, row in KINDS.items()
    }
    return {name: names for name, names in keys.items() if names}


def make_schema() -> dict[str, Json]:
    """The schema of one record (JSON Schema 2020-12)."""
    chain: dict[str, Json] = {key: {"type": "string", "pattern": _HASH} for key in CHAIN_KEYS[1:]}
    metadata = {
        "type": "object",
        "minProperties": 1,
        "required": list(BASE_KEYS),
        "properties": {
            "event.kind": {"type": "string", "minLength": 1},
            "schema.version": {"type": "string", "minLength": 1},
            "audit.policy.version": {"type": "string", "minLength": 1},
            "audit.channel": {"enum": list(VALUES["audit.channel"])},
            "audit.sequence": {"type": "integer", "minimum": 1},
            **chain,
        },
    }
    envelope = {
        "type": "object",
        "required": ["audit_id", "metadata"],
        "properties": {
            "audit_id": {"type": "string", "pattern": _UUID},
            "change_set": {"type": "object"},
            "capability": {"type": "string"},
            "metadata": metadata,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "A record of the audit log of reml-embed",
        "description": "Made from reml_embed/audit/kinds.py; keys and kinds that are not named here are allowed.",
        "type": "object",
        "if": {"required": ["envelope"]},
        "then": {"$ref": "#/$defs/record"},
        "else": {"$ref": "#/$defs/flat"},
        "$defs": {
            "record": {
                "type": "object",
                "required": ["timestamp", "envelope"],
                "properties": {
                    "timestamp": {"type": "string", "pattern": _TIME},
                    "category": {"type": "string"},
                    "envelope": envelope,
                    "extensions": {"type": "object"},
                },
                "allOf": _rules(),
            },
            "flat": {
                "type": "object",
                "required": ["event"],
                "properties": {"event": {"type": "string", "minLength": 1}},
                "allOf": [
                    {"if": {"properties": {"event": {"const": name}}}, "then": {"required": keys}}
                    for name, keys in _flat_keys().items()
                ],
            },
            "key": {key: _present(key) for key in _all_keys()},
        },
    }


def schema_text() -> str:
    """The schema as the package ships it."""
    return json.dumps(make_schema(), ensure_ascii=False, separators=(",", ":")) + "\n"


# --- the same rules for one record ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Violation:
    """
    What a record does against the schema.

    Attributes:
        code: ``audit.record.member``, ``audit.record.value`` or ``audit.record.missing_keys``.
        keys: where: key paths from the root for members, keys of the metadata else; sorted.
        message: one line in words.
    """

    code: str
    keys: tuple[str, ...]
    message: str


def _wrong(path: str, expected: str) -> Violation:
    return Violation("audit.record.member", (path,), f"`{path}` must be {expected}")


_OBJECT, _STRING = (dict, "an object"), (str, "a text")


def _text_problem(where: str, value: Json, pattern: str, expected: str) -> list[Violation]:
    good = isinstance(value, str) and re.search(pattern, value) is not None and not value.endswith("\n")
    return [] if good else [_wrong(where, expected)]


def _members(record: Record) -> list[Violation]:
    """Types of the members that every envelope has."""
    data, found = record.data, []
    found += _text_problem("timestamp", data.get("timestamp"), _TIME, "a time such as 2026-03-02T08:15:00Z")
    envelope = data["envelope"]
    rows = [(data, "category", "", _STRING), (data, "extensions", "", _OBJECT)]
    if not isinstance(envelope, dict):
        found.append(_wrong("envelope", "an object"))
    else:
        rows += [(envelope, "capability", "envelope.", _STRING), (envelope, "change_set", "envelope.", _OBJECT)]
        found += _text_problem("envelope.audit_id", envelope.get("audit_id"), _UUID, "a lower-case UUID")
        if not isinstance(envelope.get("metadata"), dict):
            found.append(_wrong("envelope.metadata", "an object"))
    found += [
        _wrong(lead + name, word) for holder, name, lead, (kind, word) in rows if name in holder and not isinstance(holder[name], kind)
    ]  # fmt: skip
    return found


def _common(metadata: dict[str, Json]) -> list[Violation]:
    """Types of the keys that every metadata has, where they are there."""
    found = [
        _wrong(key, "a text that is not empty")
        for key in BASE_KEYS
        if key in metadata and key != "audit.channel" and not (isinstance(metadata[key], str) and metadata[key])
    ]
    for key in CHAIN_KEYS[1:]:
        if key in metadata:
            found += _text_problem(key, metadata[key], _HASH, "a hash of 64 hexadecimal digits")
    number = metadata.get("audit.sequence", 1)
    if isinstance(number, bool) or not isinstance(number, int | float) or number != int(number) or number < 1:
        found.append(_wrong("audit.sequence", "a number from 1"))
    return found


def _values(record: Record) -> list[Violation]:
    found = []
    for key, allowed in VALUES.items():
        if has(record, key) and lookup(record, key) not in allowed:
            shown = json.dumps(lookup(record, key), ensure_ascii=True)[:60]
            found.append(
                Violation("audit.record.value", (key,), f"`{key}` is {shown}, not one of {', '.join(allowed)}")
            )
    return found


def _no_kind(data: dict[str, Json]) -> list[Violation]:
    """What is wrong with an object that is neither a record nor a flat line."""
    text = "neither `envelope` nor `event` is there: a record has the one, a flat line the other"
    found = [Violation("audit.record.member", ("envelope", "event"), text)]
    if "event" in data:
        found = [_wrong("event", "a text that is not empty")]
    if "timestamp" in data:
        found += _text_problem("timestamp", data["timestamp"], _TIME, "a time such as 2026-03-02T08:15:00Z")
    return found


def violations(record: Record) -> list[Violation]:
    """All that a record does against the schema; flat records need an ``event``."""
    if record.is_flat:
        if not record.kind:
            return _no_kind(record.data)
        lacking = [key for key in _flat_keys().get(record.kind, ()) if key not in record.data]
        return (
            [Violation("audit.record.missing_keys", tuple(sorted(lacking)), missing_text(lacking))] if lacking else []
        )
    found = _members(record)
    metadata = record.metadata
    if any(violation.keys in {("envelope",), ("envelope.metadata",)} for violation in found):
        return found
    found += _common(metadata) + _values(record)
    missing = sorted({*missing_keys(record), *(key for key in BASE_KEYS if metadata and key not in metadata)})
    if missing:
        found.append(Violation("audit.record.missing_keys", tuple(missing), missing_text(missing)))
    return found
