"""
What a conductor needs, and what its manifest declares (CONTRACTS 4.2, 10.1).

A contract is a list of requirements: a capability, its stage, the effects that are declared, the place that asks for it. Each is verified in
a registry; then the manifest's ``run.target.capabilities`` has to say the same.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reml_embed import _toml
from reml_embed.audit.context import AuditContext
from reml_embed.audit.sinks import ContextSink
from reml_embed.errors import RemlError
from reml_embed.registry._shape import FileError, Reader, kind
from reml_embed.registry.descriptor import CapabilityId, effect_set, read_id
from reml_embed.registry.errors import (
    CapabilityError,
    ContractViolation,
    ManifestLoadFailure,
)
from reml_embed.registry.stage import InvalidStageError, StageRequirement

if TYPE_CHECKING:
    from reml_embed.context import Context
    from reml_embed.registry.capability import CapabilityRegistry, Recorder

PARSE_ERROR = "config.manifest.parse_error"


class DuplicateDslIdError(RemlError, ValueError):
    """
    Two parts of a conductor, or two conductors, have the same id.

    Attributes:
        code: ``conductor.dsl_id.duplicate``.
        dsl_id: which.
    """

    code = "conductor.dsl_id.duplicate"

    def __init__(self, dsl_id: str) -> None:
        super().__init__(f"{self.code}: `{dsl_id}` is there twice")
        self.dsl_id = dsl_id


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a source: byte offsets, *end* behind the last one."""

    start: int
    end: int

    @classmethod
    def from_json(cls, value: Any, path: str = "$", file: str | os.PathLike[str] | None = None) -> Span:
        """From ``{start, end}``. Raises: FileError."""
        given = Reader(value, path, file)
        given.only("start", "end")
        return cls(given.get("start", int), given.get("end", int))

    def to_json(self) -> dict[str, int]:
        """Its JSON form."""
        return {"start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class Requirement:
    """
    One capability that a conductor needs.

    Attributes:
        id: which.
        stage: what is asked of its stage.
        declared_effects: tags that are used through it; sorted.
        source_span: the place that asks; None where it is not known.
        node: the conductor's node that asks; becomes ``dsl.node``.
    """

    id: CapabilityId
    stage: StageRequirement
    declared_effects: tuple[str, ...] = ()
    source_span: Span | None = None
    node: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", CapabilityId(self.id))
        object.__setattr__(self, "stage", StageRequirement.parse(self.stage))
        object.__setattr__(self, "declared_effects", effect_set(self.declared_effects))

    @classmethod
    def from_json(
        cls, value: Any, path: str = "$", file: str | os.PathLike[str] | None = None, *, more: tuple[str, ...] = ()
    ) -> Requirement:
        """From ``{id, stage, declared_effects[], source_span{start, end}}``. Raises: FileError."""
        given = Reader(value, path, file)
        given.only("id", "stage", "declared_effects", "source_span", *more)
        name = read_id(given)
        try:
            stage = StageRequirement.parse(given.get("stage", str))
        except InvalidStageError as error:
            raise given.wrong(error.message, "stage", code=error.code) from None
        span = given.value.get("source_span")
        place = None if span is None else Span.from_json(span, f"{path}.source_span", file)
        node = given.get("node", str, None) if "node" in more else None
        return cls(name, stage, tuple(given.texts("declared_effects", [])), place, node)

    def to_json(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "id": str(self.id), "stage": str(self.stage), "declared_effects": list(self.declared_effects),
            "source_span": self.source_span.to_json() if self.source_span else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConductorContract:
    """
    What a conductor needs.

    Attributes:
        requirements: in the order of the source.
        manifest_path: the ``reml.toml`` to compare with; None: none.
        dsl_id: the conductor's id.
        nodes: ids of its nodes, which have to differ.
    """

    requirements: tuple[Requirement, ...]
    manifest_path: str | None = None
    dsl_id: str | None = None
    nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "requirements", tuple(self.requirements))
        object.__setattr__(self, "nodes", tuple(self.nodes))
        if self.manifest_path is not None:
            object.__setattr__(self, "manifest_path", os.fspath(self.manifest_path))

    @classmethod
    def from_json(cls, value: Any) -> ConductorContract:
        """From ``{requirements: […], manifest_path?, dsl_id?, nodes?}``; a requirement may have a ``node``. Raises: FileError."""
        given = Reader(value)
        given.only("requirements", "manifest_path", "dsl_id", "nodes")
        rows = [
            Requirement.from_json(row, f"$.requirements[{index}]", more=("node",))
            for index, row in enumerate(given.get("requirements", list))
        ]
        nodes = tuple(given.texts("nodes", []))
        return cls(tuple(rows), given.get("manifest_path", str, None), given.get("dsl_id", str, None), nodes)

    def to_json(self) -> dict[str, Any]:
        """Its JSON form."""
        made: dict[str, Any] = {"requirements": [row.to_json() for row in self.requirements]}
        if self.manifest_path is not None:
            made["manifest_path"] = self.manifest_path
        return made

    @classmethod
    def of(
        cls, context: Context, name: str, *, manifest_path: str | os.PathLike[str] | None = None
    ) -> ConductorContract:
        """
        The contract of a conductor that is loaded: what its nodes say with ``with_capabilities(["io.fs.read"], stage = "beta",
        effects = ["io"])``. Without a stage, ``at_least:experimental`` is asked.

        Raises:
            TypeError: *name* is no conductor. InvalidStageError: a stage is none. RunError: there is no such value.
        """
        value = context.value(name)
        if not hasattr(value, "nodes") or not hasattr(value, "channels"):
            raise TypeError(f"`{name}` is no conductor")
        found: list[Requirement] = []
        for node in value.nodes:
            for note in node.metadata:
                if note.key == "with_capabilities":
                    found += _requirements(node.name, note.args)
        path = None if manifest_path is None else os.fspath(manifest_path)
        return cls(tuple(found), path, value.id, tuple(node.name for node in value.nodes))


def _requirements(node: str, args: Iterable[tuple[str, Any]]) -> list[Requirement]:
    names: list[str] = []
    stage, effects = StageRequirement.at_least("experimental"), tuple[str, ...]()
    for label, value in args:
        if label == "stage":
            stage = StageRequirement.parse(str(value))
        elif label == "effects":
            effects = tuple(str(item) for item in value)
        elif not label:
            names += [value] if isinstance(value, str) else [str(item) for item in value]
    return [Requirement(CapabilityId(name), stage, effects, None, node) for name in names]


def check_unique(ids: Iterable[str | None]) -> None:
    """
    Refuse an id that is there twice.

    Raises:
        DuplicateDslIdError: one is.
    """
    seen: set[str] = set()
    for name in ids:
        if name is None:
            continue
        if name in seen:
            raise DuplicateDslIdError(name)
        seen.add(name)


# --- the manifest ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declared:
    """
    What a manifest says of one capability.

    Attributes:
        requirement: id, stage, effects, span.
        bare: the stage was written without ``exact:`` or ``at_least:``; then only the stage itself is compared.
    """

    requirement: Requirement
    bare: bool


def _toml_place(text: str, error: tomllib.TOMLDecodeError) -> tuple[str, Span | None]:
    """What is wrong, with line and column, and the byte offset of it."""
    found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    if not found:
        return str(error), Span(len(text.encode()), len(text.encode()))
    lines = text.split("\n")
    before = "\n".join(lines[: int(found[1]) - 1]) + ("\n" if found[1] != "1" else "")
    start = len((before + lines[int(found[1]) - 1][: int(found[2]) - 1]).encode())
    return str(error), Span(start, start)


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Declared]:
    """
    Id → what ``run.target.capabilities`` of the manifest declares.

    Raises:
        ManifestLoadFailure: it cannot be read, is not TOML, or that part is not what it should be; ``detail()`` names line or key path.
    """
    name = os.fspath(path)
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ManifestLoadFailure(name, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ManifestLoadFailure(name, f"not UTF-8: byte {error.start}", Span(error.start, error.start + 1)) from None
    try:
        manifest: Any = _toml.loads(text)
    except tomllib.TOMLDecodeError as error:
        detail, place = _toml_place(text, error)
        raise ManifestLoadFailure(name, f"not TOML: {detail}", place) from None
    except RecursionError:
        raise ManifestLoadFailure(name, "nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise ManifestLoadFailure(name, f"not TOML: {error}") from None
    found: dict[str, Declared] = {}
    for index, row in enumerate(_rows(name, manifest)):
        if isinstance(row, str):  # of the target
            continue
        place_of = f"$.run.target.capabilities[{index}]"
        try:
            made = Requirement.from_json(row, place_of, more=("provider",))
        except FileError as error:
            raise ManifestLoadFailure(name, f"{error.code}: {error.detail} at {error.key_path}") from None
        if made.id in found:
            raise ManifestLoadFailure(name, f"capability {made.id} is declared twice at {place_of}.id")
        found[made.id] = Declared(made, bare=row["stage"].strip().isalpha())
    return found


def _rows(name: str, manifest: Any) -> list[Any]:
    """``run.target.capabilities``; empty when the manifest has no such part."""
    rows: Any = manifest
    path = "$"
    for part in ("run", "target", "capabilities"):
        if not isinstance(rows, Mapping):
            raise ManifestLoadFailure(name, f"expected a table, got {kind(rows)} at {path}")
        path, rows = f"{path}.{part}", rows.get(part, [] if part == "capabilities" else {})
    if not isinstance(rows, list):
        raise ManifestLoadFailure(name, f"expected a list, got {kind(rows)} at {path}")
    return rows


def compare(requirement: Requirement, declared: Declared | None, manifest_path: str) -> None:
    """
    Does the manifest say what the conductor needs? Stage, effects and span have to be equal; a span that the conductor does not know is
    not compared.

    Raises:
        ContractViolation: it does not; ``detail()`` names every difference.
    """
    if declared is None:
        raise ContractViolation(
            requirement.id, required=requirement, declared=None, manifest_path=manifest_path, source_span=requirement.source_span,
            detail=f"capability {requirement.id} is not declared in {manifest_path} at run.target.capabilities",
        )  # fmt: skip
    said = declared.requirement
    stages = (requirement.stage.stage, said.stage.stage) if declared.bare else (requirement.stage, said.stage)
    pairs: list[tuple[str, Any, Any]] = []
    if stages[0] != stages[1]:
        pairs.append(("stage", *stages))
    if requirement.declared_effects != said.declared_effects:
        pairs.append(("effects", _words(requirement.declared_effects), _words(said.declared_effects)))
    if requirement.source_span is not None and requirement.source_span != said.source_span:
        pairs.append(("span", _range(requirement.source_span), _range(said.source_span)))
    if pairs:
        differences = "; ".join(f"{what} {wanted} is needed, {found} is declared" for what, wanted, found in pairs)
        raise ContractViolation(
            requirement.id, required=requirement, declared=said, manifest_path=manifest_path,
            source_span=requirement.source_span or said.source_span, detail=f"capability {requirement.id}: {differences}",
        )  # fmt: skip


def _words(effects: tuple[str, ...]) -> str:
    return f"{{{', '.join(effects)}}}"


def _range(span: Span | None) -> str:
    return "none" if span is None else f"{span.start}..{span.end}"


# --- verification -----------------------------------------------------------------------------------------------------------


def verify(registry: CapabilityRegistry, contract: ConductorContract, *, context: Context | None = None) -> None:
    """See `CapabilityRegistry.verify_conductor_contract`."""
    check_unique(contract.nodes)
    log: Recorder = registry.audit
    if context is not None:
        log = AuditContext(ContextSink(context), channel="runtime")
    for requirement in contract.requirements:
        try:
            registry.verify_capability_stage(
                requirement.id, requirement.stage, requirement.declared_effects, context=context
            )
        except CapabilityError as error:
            _log_mismatch(log, contract, requirement, error)
            raise
    if contract.manifest_path is None:
        return
    try:
        declared = read_manifest(contract.manifest_path)
        for requirement in contract.requirements:
            compare(requirement, declared.get(requirement.id), contract.manifest_path)
    except (ManifestLoadFailure, ContractViolation) as error:
        rows = [row for row in contract.requirements if row.id == error.id] or list(contract.requirements)
        for requirement in rows:
            _log_contract_failure(registry, log, requirement, error)
            _log_mismatch(log, contract, requirement, error)
        raise


def _actual(error: CapabilityError) -> str:
    """The stage that was found, as `capability_mismatch` has it: what the manifest declares, where that is what differs."""
    if isinstance(error, ContractViolation) and isinstance(error.declared, Requirement):
        return str(error.declared.stage)
    stage = error.actual_stage()
    return stage.value if stage else "unknown"


def _log_mismatch(log: Recorder, contract: ConductorContract, requirement: Requirement, error: CapabilityError) -> None:
    metadata: dict[str, Any] = {
        "capability.id": str(requirement.id),
        "capability.expected_stage": str(requirement.stage),
        "capability.actual_stage": _actual(error),
        "capability.error.code": error.code(),
        "capability.error.message": error.detail(),
        "dsl.node": requirement.node or "unknown",
    }
    if contract.dsl_id is not None:
        metadata["dsl.id"] = contract.dsl_id
    log.log("capability_mismatch", category="capability", capability=str(requirement.id), metadata=metadata)


def _log_contract_failure(
    registry: CapabilityRegistry,
    log: Recorder,
    requirement: Requirement,
    error: ManifestLoadFailure | ContractViolation,
) -> None:
    """The ``capability_check`` of a requirement that the registry was content with and the manifest is not."""
    keep = registry.check_request(requirement.id, requirement.stage, requirement.declared_effects)
    fields: dict[str, Any] = {"id": str(requirement.id), "manifest_path": error.manifest_path}
    fields["descriptor"] = registry.describe(requirement.id).to_json()
    if error.source_span is not None:
        fields["source_span"] = error.source_span.to_json()
    metadata = registry.check_metadata(keep, failure=(error.KIND, fields)) | {
        "capability.error.message": error.detail()
    }
    log.log("capability_check", category="capability", capability=str(requirement.id), metadata=metadata)
