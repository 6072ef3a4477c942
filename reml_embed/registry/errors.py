"""
What the registry refuses, and why (CONTRACTS 4.3)::

    RemlError
    ├── CapabilityError               code(), detail(), actual_stage(); id, descriptor
    │   ├── AlreadyRegistered
    │   ├── NotRegistered             required
    │   ├── StageViolation            required, actual
    │   ├── EffectScopeMismatch       required, actual, missing_effects        (also called EffectViolation)
    │   ├── MissingDependency         missing
    │   ├── ContractViolation         required, declared, manifest_path, source_span
    │   ├── ManifestLoadFailure       manifest_path
    │   ├── SecurityViolation         reason
    │   ├── InvalidHandle             expected, actual
    │   └── UnsafeViolation
    └── RuntimeError                  code, stage, descriptor: what every CapabilityError converts into

Codes and sentences are the library's (``native/src/host/capability_error.c``), so a C host reads the same ones. `MATRIX` is the whole table;
``docs/capability-errors.csv`` is made from it.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from reml_embed._ffi import ffi, lib, string
from reml_embed.diagnostics.catalog import Entry, entry_of, register_catalog
from reml_embed.errors import EXCEPTIONS, OutOfMemoryError, RemlError
from reml_embed.registry._shape import FileError
from reml_embed.registry.descriptor import CapabilityDescriptor, effect_set
from reml_embed.registry.stage import InvalidStageError, StageId, StageRequirement

if TYPE_CHECKING:
    from reml_embed.registry.conductor import Span


class RuntimeError(RemlError, builtins.RuntimeError):  # noqa: A001  (the name of the memo)
    """
    A failure of the runtime, with what is known of the capability behind it.

    Attributes:
        code: ``capability.stage.mismatch``.
        diagnostic: the code of the diagnostic that tells of it: ``effects.contract.stage_mismatch``.
        stage: the stage that was found; None where there is none.
        descriptor: of the capability; None when it is not registered.
        capability: its id.
        detail: one line in words.
    """

    default_status, default_label = 12, "denied"

    def __init__(self, message: str, *, code: str, diagnostic: str | None = None, stage: StageId | None = None,
                 descriptor: CapabilityDescriptor | None = None, capability: str | None = None, detail: str | None = None) -> None:  # fmt: skip
        super().__init__(message)
        self.code, self.diagnostic = code, diagnostic or code
        self.stage, self.descriptor, self.capability = stage, descriptor, capability
        self.detail = message if detail is None else detail

    @classmethod
    def from_capability(cls, error: CapabilityError) -> RuntimeError:
        """From what the registry refused; *error* is its cause."""
        made = cls(
            error.message, code=error.code(), diagnostic=error.diagnostic, stage=error.actual_stage(),
            descriptor=error.descriptor, capability=error.id, detail=error.detail(),
        )  # fmt: skip
        made.__cause__ = error
        return made


def new_error() -> Any:
    """An empty ``reml_capability_error_t``."""
    return ffi.new(
        "reml_capability_error_t*", {"struct_size": ffi.sizeof("reml_capability_error_t"), "actual_stage": -1}
    )


def _told(kind: int, fields: dict[str, Any]) -> tuple[str, str, str]:
    """What the library calls a refusal: code, diagnostic, sentence."""
    error = new_error()
    text = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
    status = lib.reml_capability_error_make(kind, ffi.new("char[]", text), error)
    if status:
        raise EXCEPTIONS[status](f"{fields} is no capability error of kind {kind}", status=status)
    told = string(error.code) or "", string(error.diagnostic) or "", string(error.detail) or ""
    lib.reml_capability_error_release(error)
    return told


class CapabilityError(RemlError):
    """
    The registry refused something.

    Attributes:
        id: the capability.
        descriptor: its descriptor; None when it is not registered.
        diagnostic: code of the diagnostic that tells of it.
        missing_effects: effects that were asked for and are not there; sorted.
    """

    default_status, default_label = 12, "denied"

    KIND: ClassVar[int] = 0  # reml_capability_error_kind_t
    CODE: ClassVar[str] = ""
    DIAGNOSTIC: ClassVar[str] = ""
    FIELDS: ClassVar[tuple[str, ...]] = ()
    MEANING: ClassVar[str] = ""

    missing_effects: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        cls.CODE, cls.DIAGNOSTIC, _ = _told(cls.KIND, {})

    def __init__(
        self, id: str, descriptor: CapabilityDescriptor | None = None, *, detail: str | None = None, **fields: Any
    ) -> None:
        if detail is None:
            given = {"id": str(id), **fields} | ({"descriptor": descriptor.to_json()} if descriptor else {})
            detail = _told(self.KIND, given)[2]
        super().__init__(detail if not id or id in detail else f"capability {id}: {detail}")
        self.id, self.descriptor, self._detail = str(id), descriptor, detail

    @property
    def diagnostic(self) -> str:
        """Code of the diagnostic that tells of it."""
        return self.DIAGNOSTIC

    def code(self) -> str:
        """Which refusal it is: ``capability.stage.mismatch``."""
        return self.CODE

    def detail(self) -> str:
        """One line in words: ``stage experimental does not satisfy at_least:beta``."""
        return self._detail

    def actual_stage(self) -> StageId | None:
        """The stage that was found; None when there is none."""
        return self.descriptor.stage if self.descriptor else None

    def to_runtime_error(self) -> RuntimeError:
        """The same as a `RuntimeError`, keeping code, stage and descriptor."""
        return RuntimeError.from_capability(self)

    def fields(self) -> dict[str, Any]:
        """The fields of CONTRACTS 4.3 by name, as JSON."""
        return {name: _as_json(self.detail() if name == "detail" else getattr(self, name)) for name in self.FIELDS}


def _as_json(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, StageId | StageRequirement):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


class AlreadyRegistered(CapabilityError):
    """The id is taken."""

    KIND, FIELDS, MEANING = 1, ("id",), "the id is taken"


class NotRegistered(CapabilityError):
    """Nobody registered the id."""

    KIND, FIELDS, MEANING = 2, ("id", "required"), "nobody registered the id"

    def __init__(self, id: str, required: StageRequirement | None = None, *, legacy_stable: bool = False) -> None:
        super().__init__(id)
        self.required, self._legacy = required, legacy_stable

    def actual_stage(self) -> StageId | None:
        """None; stable where what is unknown counts as stable (``legacy_stable``)."""
        return StageId.STABLE if self._legacy else None


class StageViolation(CapabilityError):
    """Its stage is not what was asked for, or is no stage at all (then *actual* is None)."""

    KIND, FIELDS = 3, ("id", "required", "actual", "descriptor")
    MEANING = "its stage is not what was asked for"

    def __init__(self, id: str, required: StageRequirement | None, actual: StageId | None,
                 descriptor: CapabilityDescriptor | None = None, *, detail: str | None = None) -> None:  # fmt: skip
        super().__init__(id, descriptor, detail=detail, required=_as_json(required), actual=_as_json(actual))
        self.required, self.actual = required, actual

    def actual_stage(self) -> StageId | None:
        """The stage that was found."""
        return self.actual


class EffectScopeMismatch(CapabilityError):
    """Its effect scope lacks effects that were asked for."""

    KIND, FIELDS = 4, ("id", "required", "actual", "descriptor", "missing_effects")
    MEANING = "its effect scope lacks effects that were asked for"

    def __init__(self, id: str, required: Iterable[str], actual: Iterable[str],
                 descriptor: CapabilityDescriptor | None = None) -> None:  # fmt: skip
        self.required, self.actual = effect_set(required), effect_set(actual)
        self.missing_effects = effect_set(set(self.required) - set(self.actual))
        super().__init__(
            id,
            descriptor,
            required=list(self.required),
            actual=list(self.actual),
            missing_effects=list(self.missing_effects),
        )


#: What `SecurityCapability.enforce` calls it.
EffectViolation = EffectScopeMismatch


class MissingDependency(CapabilityError):
    """What it stands on is not registered, or is disabled."""

    KIND, FIELDS = 5, ("id", "missing")
    MEANING = "a capability that it stands on is not registered, or is disabled"

    def __init__(self, id: str, missing: Iterable[str], descriptor: CapabilityDescriptor | None = None) -> None:
        self.missing = tuple(sorted(set(missing)))
        super().__init__(id, descriptor, missing=list(self.missing))


class ContractViolation(CapabilityError):
    """A manifest declares it otherwise than the conductor that needs it, or not at all (then *declared* is None)."""

    KIND, FIELDS = 6, ("id", "required", "declared", "manifest_path", "source_span")
    MEANING = "the manifest declares it otherwise than the conductor that needs it"

    def __init__(self, id: str, *, required: Any, declared: Any, manifest_path: str, source_span: Span | None = None,
                 descriptor: CapabilityDescriptor | None = None, detail: str | None = None) -> None:  # fmt: skip
        super().__init__(id, descriptor, detail=detail, manifest_path=manifest_path)
        self.required, self.declared = required, declared
        self.manifest_path, self.source_span = manifest_path, source_span


class ManifestLoadFailure(CapabilityError):
    """The manifest of a contract cannot be read; *source_span* is where, when that is known."""

    KIND, FIELDS = 7, ("manifest_path", "detail")
    MEANING = "the manifest of a contract cannot be read"

    def __init__(self, manifest_path: str, detail: str, source_span: Span | None = None) -> None:
        super().__init__("", detail=detail)
        self.message = _told(self.KIND, {"manifest_path": manifest_path, "detail": detail})[2]
        self.args = (self.message,)
        self.manifest_path, self.source_span = manifest_path, source_span


class SecurityViolation(CapabilityError):
    """Its security policy, permissions, sandbox or signature do not allow it, or it is disabled."""

    KIND, FIELDS = 8, ("id", "descriptor", "reason")
    MEANING = "its policy, permissions, sandbox or signature do not allow it, or it is disabled"

    def __init__(
        self, id: str, reason: str, descriptor: CapabilityDescriptor | None = None, *, path: str | None = None
    ) -> None:
        super().__init__(id, descriptor, reason=reason)
        self.reason, self.path = reason, path

    @property
    def diagnostic(self) -> str:
        """``core.path.security.capability_denied`` where a path was refused, else the code."""
        return self.DIAGNOSTIC if self.path is None else "core.path.security.capability_denied"


class InvalidHandle(CapabilityError):
    """Its handle is of another kind than the one asked for."""

    KIND, FIELDS = 9, ("id", "expected", "actual")
    MEANING = "its handle is of another kind than the one asked for"

    def __init__(self, id: str, expected: str, actual: str, descriptor: CapabilityDescriptor | None = None) -> None:
        super().__init__(id, descriptor, expected=expected, actual=actual)
        self.expected, self.actual = expected, actual


class UnsafeViolation(CapabilityError):
    """Its scope has ``unsafe``, and it was used outside an unsafe region."""

    KIND, FIELDS = 10, ("id",)
    MEANING = "its scope has `unsafe`, and it was used outside an unsafe region"


def from_c(error: Any, *, legacy_stable: bool = False) -> Exception:
    """The exception for a filled ``reml_capability_error_t``, which is released."""
    kind, code = error.kind, string(error.code) or ""
    if error.fields == ffi.NULL:
        lib.reml_capability_error_release(error)
        return OutOfMemoryError(f"{code}: no memory is left to say more")
    fields: dict[str, Any] = json.loads(string(error.fields) or "{}")
    text = string(error.descriptor)
    detail = string(error.detail) or code
    lib.reml_capability_error_release(error)
    descriptor = CapabilityDescriptor.from_json(json.loads(text)) if text else None
    name = fields.get("id", "")
    required = fields.get("required")
    match kind:
        case NotRegistered.KIND:
            return NotRegistered(
                name, StageRequirement.parse(required) if required else None, legacy_stable=legacy_stable
            )
        case StageViolation.KIND:
            return StageViolation(
                name, StageRequirement.parse(fields["required"]), StageId.parse(fields["actual"]), descriptor
            )
        case EffectScopeMismatch.KIND:
            return EffectScopeMismatch(name, fields["required"], fields["actual"], descriptor)
        case MissingDependency.KIND:
            return MissingDependency(name, fields["missing"], descriptor)
        case SecurityViolation.KIND:
            return SecurityViolation(name, fields["reason"], descriptor)
        case AlreadyRegistered.KIND:
            return AlreadyRegistered(name)
        case lib.REML_CAPABILITY_ERROR_INVALID_STAGE:
            return InvalidStageError(fields["stage"])
        case lib.REML_CAPABILITY_ERROR_INVALID_DESCRIPTOR:
            return FileError(fields["reason"], code=code, key_path=fields["key_path"])
    return CapabilityError(name, descriptor, detail=detail)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the error matrix."""

    variant: str
    code: str
    fields: tuple[str, ...]
    diagnostic: str
    meaning: str


VARIANTS: tuple[type[CapabilityError], ...] = (
    AlreadyRegistered, NotRegistered, StageViolation, EffectScopeMismatch, MissingDependency, ContractViolation,
    ManifestLoadFailure, SecurityViolation, InvalidHandle, UnsafeViolation,
)  # fmt: skip

register_catalog("capability", {
    code: Entry(kind.MEANING, "error", "security") for kind in VARIANTS for code in (kind.CODE, kind.DIAGNOSTIC) if entry_of(code) is None
})  # fmt: skip

#: The table of CONTRACTS 4.3, in its order.
MATRIX: tuple[Row, ...] = tuple(
    Row(kind.__name__, kind.CODE, kind.FIELDS, kind.DIAGNOSTIC, kind.MEANING) for kind in VARIANTS
)
