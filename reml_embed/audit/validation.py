"""
Validating logs (CONTRACTS 3.7): against schema and table (`validate`), and by the groups of the metadata verifier (`verify_metadata`).

Comes in: lines. Goes out: findings that name line, kind, keys and code. A bad line never ends the reading.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Final

from reml_embed.audit.kinds import BRIDGE_REQUIRED, BRIDGE_SHOULD, missing_keys, missing_text
from reml_embed.audit.records import Line, Record, has, lookup, read
from reml_embed.audit.schema import violations


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is wrong.

    Attributes:
        line: number in the file, from 1.
        severity: ``error`` or ``warning``.
        code: ``audit.record.…``; of the metadata verifier ``audit.metadata.<group>``.
        kind: ``event.kind`` of the record, when it has one.
        audit_id: its id, when it has one.
        keys: the keys in question, sorted.
        message: one line in words.
    """

    line: int
    severity: str
    code: str
    kind: str | None
    audit_id: str | None
    keys: tuple[str, ...]
    message: str


@dataclass(slots=True)
class Verdict:
    """What a check of a whole log found."""

    path: str
    lines: int = 0
    records: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Is there no error?"""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As ``--format json`` prints it."""
        return {
            "path": self.path, "ok": self.ok, "lines": self.lines, "records": self.records,
            "findings": [asdict(finding) | {"keys": list(finding.keys)} for finding in self.findings],
        }  # fmt: skip


def _check(
    source: str | os.PathLike[str] | IO[bytes], judge: Callable[[Line, Record], Iterator[Finding]], name: str | None
) -> Verdict:
    shown = os.fspath(source) if isinstance(source, str | os.PathLike) else "-"
    verdict = Verdict(name or shown)
    for line in read(source):
        verdict.lines += 1
        if line.record is None:
            problem = line.problem
            code, message = (problem.code, problem.message) if problem else ("audit.record.not_json", "not JSON")
            verdict.findings.append(Finding(line.number, "error", code, None, None, (), message))
            continue
        verdict.records += 1
        verdict.findings += judge(line, line.record)
    return verdict


def _validate_line(line: Line, record: Record) -> Iterator[Finding]:
    for found in violations(record):
        yield Finding(line.number, "error", found.code, record.kind, record.audit_id, found.keys, found.message)


def validate(source: str | os.PathLike[str] | IO[bytes], *, name: str | None = None) -> Verdict:
    """
    Check each line of a log against the schema and the required keys of its kind.

    Raises:
        OSError: it cannot be read.
    """
    return _check(source, _validate_line, name)


# --- the metadata verifier ------------------------------------------------------------------------------------------------

_ITERATOR: Final = tuple(
    f"effect.stage.iterator.{name}" for name in ("required", "actual", "kind", "capability", "source")
)
_ITERATOR_SHOULD: Final = (
    "effect.residual", "effect.handler_stack", "effect.unhandled_operations", "effect.capability_descriptor",
)  # fmt: skip
_STAGE_GROUP: Final = ("effect.stage.required", "effect.stage.actual", "effect.capability")


def _any(record: Record, *keys: str) -> bool:
    return any(has(record, key) for key in keys)


def _begins(record: Record, prefix: str) -> bool:
    name = prefix.removesuffix(".")
    return any(key.startswith(prefix) for key in record.metadata) or isinstance(record.metadata.get(name), dict)


def _is_crossing(record: Record) -> bool:
    crossing = record.category == "ffi.bridge" or _any(record, "bridge.extern_symbol", "bridge.return.status")
    return crossing and lookup(record, "ffi.status") != "stubbed"


def _is_iterator(record: Record) -> bool:
    return _any(record, *_ITERATOR)


@dataclass(frozen=True, slots=True)
class MetadataGroup:
    """One group of CONTRACTS 3.7: which records it concerns, what they must have and what they should have."""

    name: str
    concerns: Callable[[Record], bool]
    required: tuple[str, ...]
    should: tuple[str, ...] = ()


METADATA_GROUPS: Final = (
    MetadataGroup("common", lambda _: True, ("schema.version",)),
    MetadataGroup("cli", lambda record: has(record, "cli.run_id"), ("cli.audit_id", "cli.change_set")),
    MetadataGroup("bridge", _is_crossing, BRIDGE_REQUIRED, BRIDGE_SHOULD),
    MetadataGroup("effect", lambda record: _any(record, *_STAGE_GROUP), _STAGE_GROUP),
    MetadataGroup("effect", _is_iterator, (*_STAGE_GROUP, *_ITERATOR), _ITERATOR_SHOULD),
    MetadataGroup(
        "typeclass",
        lambda record: _begins(record, "typeclass."),
        ("typeclass.constraint", "typeclass.resolution_state"),
        tuple(
            f"typeclass.{name}"
            for name in ("dictionary", "candidates", "pending", "generalized_typevars", "graph.export_dot")
        ),
    ),
    MetadataGroup("parse", lambda record: _begins(record, "parse."), ("parse.input_name", "parse.stage_trace")),
)


def _verify_line(strict: bool) -> Callable[[Line, Record], Iterator[Finding]]:
    def judge(line: Line, record: Record) -> Iterator[Finding]:
        if record.is_flat:
            return
        told: set[str] = set()

        def finding(severity: str, group: str, keys: set[str], message: str) -> Finding:
            told.update(keys)
            return Finding(
                line.number, severity, f"audit.metadata.{group}", record.kind, record.audit_id, tuple(sorted(keys)), message
            )  # fmt: skip

        for group in METADATA_GROUPS:
            if not group.concerns(record):
                continue
            missing = {key for key in group.required if not has(record, key)} - told
            if missing:
                yield finding("error", group.name, missing, missing_text(missing))
            wanted = {key for key in group.should if not has(record, key)} - told
            if wanted:
                text = f"keys that should be there are missing: [{', '.join(sorted(wanted))}]"
                yield finding("error" if strict else "warning", group.name, wanted, text)
        rest = set(missing_keys(record)) - told
        if rest:
            yield finding("error", "kind", rest, missing_text(rest))

    return judge


def verify_metadata(
    source: str | os.PathLike[str] | IO[bytes], *, strict: bool = False, name: str | None = None
) -> Verdict:
    """
    Check the metadata of each record by the groups of CONTRACTS 3.7 and by the keys of its kind; what "should" be there is a warning, with
    *strict* an error.

    Raises:
        OSError: it cannot be read.
    """
    return _check(source, _verify_line(strict), name)
