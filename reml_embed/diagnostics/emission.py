"""
From a pure diagnostic to what is shown and recorded (CONTRACTS 21).

Building a diagnostic is pure. When it is shown it gets its id, its time and its audit envelope; errors and warnings leave a record
``diagnostic.emitted`` under the same audit id. What the library said is not changed.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from reml_embed.audit.ids import label_uuid, new_id, now
from reml_embed.audit.kinds import POLICY_VERSION, SCHEMA_VERSION
from reml_embed.diagnostics.catalog import SEVERITIES, check_code, domain_of, normal_domain, read_domain
from reml_embed.diagnostics.shape import Diagnostic, Json, Span, from_json

CAPABILITY: Final = "core.diagnostics"

#: Every diagnostic that is shown has these (CONTRACTS 21); ``primary`` has those of `PLACE`.
REQUIRED: Final = ("message", "severity", "primary", "audit", "audit_metadata", "timestamp")
PLACE: Final = ("file", "start_line", "start_col", "end_line", "end_col")

SEVERITY_HINTS: Final = ("rollback", "retry", "ignore", "escalate")

#: Where the data of a domain sits in ``extensions``.
EXTENSION_OF: Final = {
    "effect": "effects", "target": "target", "config": "config", "manifest": "config", "plugin": "plugin", "lsp": "lsp",
    "runtime": "runtime", "type": "typeclass",
}  # fmt: skip

#: Members of extensions that records repeat under dotted keys (CONTRACTS 3.3, 5.5, 12.5): key, extension, path in it.
FLAT_KEYS: Final = (
    ("bridge.id", "bridge", "id"),
    ("bridge.stage.required", "bridge", "stage.required"),
    ("bridge.stage.actual", "bridge", "stage.actual"),
    ("bridge.target.requested", "bridge", "target.requested"),
    ("bridge.target.detected", "bridge", "target.detected"),
    ("effect.capability", "effects", "capability"),
    ("effect.stage.required", "effects", "required_stage"),
    ("effect.stage.actual", "effects", "actual_stage"),
    ("target.profile.requested", "target", "requested.profile_id"),
    ("target.profile.detected", "target", "detected.profile_id"),
    ("typeclass.constraint", "typeclass", "constraint"),
    ("typeclass.resolution_state", "typeclass", "resolution_state"),
    ("typeclass.dictionary", "typeclass", "dictionary"),
    ("typeclass.candidates", "typeclass", "candidates"),
    ("typeclass.pending", "typeclass", "pending"),
    ("typeclass.generalized_typevars", "typeclass", "generalized_typevars"),
    ("typeclass.graph.export_dot", "typeclass", "graph.export_dot"),
)
_STAGE_GROUP: Final = ("effect.capability", "effect.stage.required", "effect.stage.actual")


class Log(Protocol):
    """Where records go: `reml_embed.audit.AuditContext`, or the trail of a command."""

    def log(self, event: str, payload: Mapping[str, Json] | None = None, **more: Any) -> str:
        """Write one record; its audit id."""


def build(
    code: str, message: str | None = None, *, severity: str | None = None, domain: str | None = None, file: str | None = None,
    span: Span | None = None, data: Mapping[str, Json] | None = None, extensions: Mapping[str, Json] | None = None,
    severity_hint: str | None = None, **more: Json,
) -> Diagnostic:  # fmt: skip
    """
    A diagnostic that Python makes; pure: without id and time. *message*, *severity* and *domain* are by default what the catalog says of
    *code*; without a *span* it is about the whole of *file*.

    *data* is what is known in the domain; it lies in ``extensions`` under the domain's name (``extensions["target"]``), where *extensions*
    gives the same by name. *severity_hint* is ``rollback``, ``retry``, ``ignore`` or ``escalate``; *more* are further members of
    CONTRACTS 21: ``related``, ``notes``, ``hints``, ``structured_hints``, ``fixits``, …

    Raises:
        CatalogError: the domain is none, or nobody registered the code and that is refused.
        ValueError: the severity, or its hint, is none.
    """
    entry = check_code(code)
    severity = severity or (entry.default_severity if entry else "error")
    if severity not in SEVERITIES:
        raise ValueError(f"severity: expected one of {', '.join(SEVERITIES)}, got {severity!r}")
    if severity_hint is not None and severity_hint not in SEVERITY_HINTS:
        raise ValueError(f"severity_hint: expected one of {', '.join(SEVERITY_HINTS)}, got {severity_hint!r}")
    domain = normal_domain(domain or (entry.default_domain if entry else "") or domain_of(code))
    members: dict[str, Any] = {
        "severity": severity, "code": code, "codes": [code], "domain": domain,
        "message": message or (entry.default_message if entry else "") or code, "module": "", "primary": None, "notes": [], "fixits": [],
        "line": None, "column": None,
    }  # fmt: skip
    if span is not None:
        members["primary"] = {name: value for name in Span.__slots__ if (value := getattr(span, name)) is not None}
        members |= {"line": span.start_line, "column": span.start_col}
    if file is not None:
        members["file"] = file
    if severity_hint is not None:
        members["severity_hint"] = severity_hint
    found = dict(extensions or {})
    if data is not None:
        name = EXTENSION_OF.get(domain, domain.removeprefix("other:"))
        found[name] = {**_object(found.get(name)), **data}
    if found:
        members["extensions"] = found
    return from_json(members | more)


def problems(data: Mapping[str, Any]) -> list[str]:
    """What a shown diagnostic lacks or has wrongly of CONTRACTS 21, as key paths; empty: nothing."""
    found = [name for name in REQUIRED if not data.get(name)]
    primary = data.get("primary")
    if isinstance(primary, Mapping):
        found += [f"primary.{name}" for name in PLACE if primary.get(name) is None]
    if data.get("severity") not in (None, *SEVERITIES):
        found.append("severity")
    audit = data.get("audit")
    if isinstance(audit, Mapping):
        found += [f"audit.{name}" for name in ("audit_id", "metadata") if not audit.get(name)]
        if audit.get("metadata") != data.get("audit_metadata"):
            found.append("audit_metadata")
    return found


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = _object(value).get(name)
    return value


# --- what the library says in notes -------------------------------------------------------------------------------------

_SET = re.compile(r"\{(.*)\}")


def _facts(notes: Any) -> dict[str, str]:
    """Notes of the form ``name: value``, by name."""
    pairs = (str(note.get("message", "")).partition(": ") for note in notes if isinstance(note, dict))
    return {name: value for name, mark, value in pairs if mark}


def _tags(text: str | None) -> list[str]:
    """``{io, mut}`` or ``io`` as a list."""
    if text is None:
        return []
    inner = _SET.fullmatch(text)
    return sorted({tag for part in (inner[1] if inner else text).split(",") if (tag := part.strip())})


def effects_extension(data: Mapping[str, Any]) -> dict[str, Json]:
    """``extensions.effects`` (CONTRACTS 19.2) of an effect diagnostic of the library, from its notes; empty: it says nothing."""
    facts, found = _facts(data.get("notes") or ()), dict[str, Any]()
    if data.get("code") == "effects.contract.stage_mismatch":
        actual = facts.get("declared") or facts.get("actual")
        required = facts.get("required")
        if required and not required.startswith(("at_least:", "exact:")):
            required = f"at_least:{required}"
        found = {
            "stage": actual,
            "required_stage": required,
            "actual_stage": actual,
            "capability": facts.get("capability"),
        }
    elif "excess" in facts or "effect" in facts:
        before, over = _tags(facts.get("actual")), _tags(facts.get("excess") or facts.get("effect"))
        found = {"before": before or over, "handled": [], "residual": over}
    return {name: value for name, value in found.items() if value is not None}


# --- emission -----------------------------------------------------------------------------------------------------------


class Emitter:
    """
    Shows diagnostics: gives each its id, time and audit envelope, and records errors and warnings.

    The audit id of a finding in a source follows from what and where it is: every tool that shows the same finding shows the same id,
    on the command line, in an editor, in the log (decision 0021). Failures of a run are incidents: their ids are random.

    Args:
        log: where ``diagnostic.emitted`` goes; None: nowhere.
        channel: ``cli``, ``lsp``, ``runtime``, …
        metadata: keys of every envelope, as those of the command's run (``cli.run_id``).
        root: findings name files relative to it; by default ``REMLC_WORKSPACE_ROOT`` or the working directory.
        target: ``{"requested": {…}, "detected": {…}}`` for diagnostics of the domain ``target``.
        clock, make_id: for tests.

    Attributes:
        cfg: ``extensions.cfg`` of diagnostics that follow (CONTRACTS 5.4); None: none.
    """

    def __init__(
        self, log: Log | None = None, *, channel: str = "cli", metadata: Mapping[str, Json] | None = None,
        root: str | os.PathLike[str] | None = None, target: Mapping[str, Json] | None = None, clock: Callable[[], str] = now,
        make_id: Callable[[], str] = new_id,
    ) -> None:  # fmt: skip
        self.log = log
        self.channel = channel
        self.metadata = dict(metadata or {})
        self.root = Path(root or os.environ.get("REMLC_WORKSPACE_ROOT") or ".").resolve()
        self.target = target
        self.cfg: Mapping[str, Json] | None = None
        self.clock = clock
        self.make_id = make_id

    def audit_id(self, data: Mapping[str, Any], file: str) -> str:
        """The id of a finding, or a new one for what is none."""
        primary = data.get("primary")
        if not isinstance(primary, Mapping) or not file or data.get("stack"):
            return self.make_id()
        place = ":".join(str(primary.get(name)) for name in PLACE[1:])
        path = os.path.relpath(Path(file).resolve(), self.root).replace(os.sep, "/")
        return label_uuid(f"diagnostic/{data.get('code')}/{path}:{place}#{data.get('message')}")

    def emit(
        self, diagnostic: Diagnostic | Mapping[str, Json], *, file: str | os.PathLike[str] | None = None
    ) -> dict[str, Any]:
        """
        The diagnostic as it is shown; recorded when it is an error or a warning. *file* is the source it is about, where it does not say
        so itself.

        Raises:
            CatalogError: nobody registered its code, and that is refused.
            AuditUnavailableError, …: what the log raises; nothing may be shown then.
        """
        source = diagnostic.json if isinstance(diagnostic, Diagnostic) else dict(diagnostic)
        entry = check_code(str(source["code"]))
        name = str(source.get("file") or (os.fspath(file) if file is not None else ""))
        place = _object(source.get("primary")) or dict.fromkeys(PLACE[1:], 1)
        domain = str(source.get("domain") or (entry.default_domain if entry else "") or domain_of(str(source["code"])))
        shown: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "id": self.make_id(), "timestamp": self.clock()}
        shown |= {**source, "domain": read_domain(domain), "primary": {"file": name, **place}}
        extensions = self._extensions(source, domain)
        if extensions:
            shown["extensions"] = extensions
        metadata: dict[str, Any] = {
            "event.kind": "diagnostic.emitted", "schema.version": SCHEMA_VERSION, "audit.policy.version": POLICY_VERSION,
            "audit.channel": self.channel, "diagnostic.id": shown["id"], "error.code": source["code"], "error.message": source["message"],
            "error.severity": source["severity"], **self.metadata, **self._flat(extensions), **_object(source.get("audit_metadata")),
        }  # fmt: skip
        audit_id = self.audit_id(source, name)
        if self.log is not None and source["severity"] in ("error", "warning"):
            payload = {key: shown[key] for key in ("code", "severity", "domain", "message", "primary")}
            own = {
                key: value
                for key, value in metadata.items()
                if key not in ("event.kind", "audit.channel", *self.metadata)
            }
            audit_id = self.log.log(
                "diagnostic.emitted", payload, capability=CAPABILITY, metadata=own, extensions=extensions or None, audit_id=audit_id,
            )  # fmt: skip
        metadata = dict(sorted(metadata.items()))
        shown["audit"] = {"audit_id": audit_id, "capability": CAPABILITY, "metadata": metadata}
        shown["audit_metadata"] = dict(metadata)
        return shown

    def _extensions(self, source: Mapping[str, Any], domain: str) -> dict[str, Any]:
        extensions = dict(_object(source.get("extensions")))
        if domain == "effect":
            found = effects_extension(source)
            if found:
                extensions["effects"] = {**found, **_object(extensions.get("effects"))}
        if domain == "target" and self.target is not None:
            extensions["target"] = {**self.target, **_object(extensions.get("target"))}
        if self.cfg is not None:
            extensions["cfg"] = dict(self.cfg)
        return extensions

    @staticmethod
    def _flat(extensions: Mapping[str, Any]) -> dict[str, Json]:
        found = {key: value for key, name, path in FLAT_KEYS if (value := _at(extensions.get(name), path)) is not None}
        if any(key in found for key in _STAGE_GROUP) and not all(key in found for key in _STAGE_GROUP):
            found = {
                key: value for key, value in found.items() if key not in _STAGE_GROUP
            }  # a part of the group is worth nothing
        elif _STAGE_GROUP[0] in found:
            found |= {"effect.provider": "core", "effect.manifest_path": None}
        return found


def is_audit_id(text: str) -> bool:
    """Is *text* a UUID as records write it?"""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
