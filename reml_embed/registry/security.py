"""
What a capability may do, and who vouches for it (CONTRACTS 2.7, 4.2): policies, permissions, sandboxes, signatures.

Comes in: descriptors, policies, tables of the host. Goes out: nothing, or a refusal. Must not know: the registry.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from reml_embed.registry._shape import Reader
from reml_embed.registry.descriptor import (
    ISOLATION_LEVELS,
    CapabilityDescriptor,
    Permission,
    SandboxProfile,
    Signature,
    effect_set,
)
from reml_embed.registry.errors import EffectScopeMismatch, SecurityViolation, StageViolation
from reml_embed.registry.handles import CapabilityHandle
from reml_embed.registry.stage import InvalidStageError, StageRequirement

VERIFY_ABI = Permission("runtime", "verify_abi")
FFI_EFFECTS = ("audit", "ffi", "security")


# --- permissions ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def _pattern(text: str, separator: str) -> re.Pattern[str]:
    """``**`` is anything, ``*`` anything without the separator, ``?`` one character of that."""
    parts = (
        ".*"
        if part == "**"
        else f"[^{separator}]*"
        if part == "*"
        else f"[^{separator}]"
        if part == "?"
        else re.escape(part)
        for part in re.split(r"(\*\*|\*|\?)", text)
    )
    return re.compile("".join(parts), re.DOTALL)


def covers(held: Permission, wanted: Permission) -> bool:
    """
    Does holding *held* allow *wanted*?

    Patterns of files: ``/srv/*.txt``, ``/srv/**``; a wanted path with ``..`` in it is covered by nothing. Patterns of networks:
    ``api.example.org:443``, ``*.example.org:*``, ``**``. Everything else has to be equal.
    """
    if held.kind != wanted.kind:
        return False
    if held == wanted or held.kind in {"read_config", "write_config"}:
        return True
    if held.value is None or wanted.value is None:
        return False
    if held.kind == "file_system":
        return ".." not in wanted.value.split("/") and bool(_pattern(held.value, "/").fullmatch(wanted.value))
    if held.kind == "network":
        return bool(_pattern(held.value, ".:").fullmatch(wanted.value))
    return False


def permits(descriptor: CapabilityDescriptor, wanted: Permission) -> bool:
    """Is *wanted* among the permissions of the capability?"""
    return any(covers(held, wanted) for held in descriptor.security.permissions)


def require_permission(descriptor: CapabilityDescriptor, wanted: Permission) -> None:
    """
    Refuse what the capability has no permission for.

    Raises:
        SecurityViolation: it has none.
    """
    if not permits(descriptor, wanted):
        what = f"{wanted.kind} {wanted.value}" if wanted.value else wanted.kind
        path = wanted.value if wanted.kind == "file_system" else None
        raise SecurityViolation(descriptor.id, f"no permission for {what}", descriptor, path=path)


# --- sandboxes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SandboxRules:
    """
    What a sandbox profile allows at most. A registry that knows rules for a profile's name holds every descriptor against them.

    Attributes:
        profile: name and version.
        permissions: what may be permitted inside it.
        effects: tags that may be in an effect scope inside it; None: all.
        isolation_level: the least isolation that it is for.
    """

    profile: SandboxProfile
    permissions: tuple[Permission, ...] = ()
    effects: frozenset[str] | None = None
    isolation_level: str = "sandboxed"


def check_sandbox(descriptor: CapabilityDescriptor, rules: Mapping[str, SandboxRules]) -> None:
    """
    Hold a descriptor against the rules of its sandbox profile; a profile without rules allows everything.

    Raises:
        SecurityViolation: it is isolated but names no profile; the version is another one, or it wants more than the rules allow.
    """
    security = descriptor.security
    profile = security.sandbox_profile
    if profile is None:
        if security.isolation_level != "none":
            raise SecurityViolation(
                descriptor.id, f"isolation {security.isolation_level} without a sandbox profile", descriptor
            )
        return
    rule = rules.get(profile.name)
    if rule is None:
        return
    if str(rule.profile.version) != str(profile.version):
        reason = f"sandbox profile {profile.name} has version {rule.profile.version}, not {profile.version}"
        raise SecurityViolation(descriptor.id, reason, descriptor)
    if ISOLATION_LEVELS.index(security.isolation_level) < ISOLATION_LEVELS.index(rule.isolation_level):
        raise SecurityViolation(
            descriptor.id, f"sandbox profile {profile.name} needs isolation {rule.isolation_level}", descriptor
        )
    for wanted in security.permissions:
        if not any(covers(held, wanted) for held in rule.permissions):
            what = f"{wanted.kind} {wanted.value}" if wanted.value else wanted.kind
            raise SecurityViolation(descriptor.id, f"sandbox profile {profile.name} does not allow {what}", descriptor)
    extra = set(descriptor.effect_scope) - rule.effects if rule.effects is not None else set()
    if extra:
        reason = f"sandbox profile {profile.name} does not allow effects {', '.join(sorted(extra))}"
        raise SecurityViolation(descriptor.id, reason, descriptor)


# --- the checklist of foreign functions ---------------------------------------------------------------------------------------


def ffi_checklist(descriptor: CapabilityDescriptor) -> list[str]:
    """What CONTRACTS 2.7 asks of an FFI capability and *descriptor* does not have; empty when it may register."""
    security = descriptor.security
    missing = [tag for tag in FFI_EFFECTS if tag not in descriptor.effect_scope]
    points = {
        f"effect scope lacks {', '.join(missing)}": bool(missing),
        "audit_required is not set": not security.audit_required,
        "sandbox profile is not set": security.sandbox_profile is None,
        "permission runtime verify_abi is missing": VERIFY_ABI not in security.permissions,
        "policy is not set": security.policy is None,
    }
    return [text for text, open_ in points.items() if open_]


def check_ffi(descriptor: CapabilityDescriptor) -> None:
    """
    The checklist of CONTRACTS 2.7.

    Raises:
        SecurityViolation: a point is open; ``reason`` names all that are.
    """
    points = ffi_checklist(descriptor)
    if points:
        raise SecurityViolation(descriptor.id, "; ".join(points), descriptor)


# --- signatures -----------------------------------------------------------------------------------------------------------------


def signature_digest(descriptor: CapabilityDescriptor) -> str:
    """SHA-256 over the canonical descriptor, lower-case hexadecimal."""
    return hashlib.sha256(descriptor.canonical()).hexdigest()


def sign(descriptor: CapabilityDescriptor, issuer: str) -> CapabilityDescriptor:
    """The descriptor with a signature of *issuer*."""
    signature = Signature(issuer, "sha256", signature_digest(descriptor))
    return replace(descriptor, security=replace(descriptor.security, signature=signature))


def check_signature(descriptor: CapabilityDescriptor, signature: Signature | None, trusted: Iterable[str]) -> None:
    """
    Is *signature* that of a trusted issuer over this very descriptor?

    Raises:
        SecurityViolation: there is none, its issuer is not in the list, its algorithm is not ``sha256``, or the digest is another one.
    """
    if signature is None:
        raise SecurityViolation(descriptor.id, "is not signed", descriptor)
    if signature.issuer not in set(trusted):
        raise SecurityViolation(descriptor.id, f"issuer {signature.issuer} is not trusted", descriptor)
    if signature.algorithm != "sha256":
        raise SecurityViolation(descriptor.id, f"signature algorithm {signature.algorithm} is not sha256", descriptor)
    if not hmac.compare_digest(signature.digest.lower().encode(), signature_digest(descriptor).encode()):
        raise SecurityViolation(descriptor.id, "the signature is not over this descriptor", descriptor)


# --- policies -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """
    What a handle has to satisfy before it is used.

    Attributes:
        required_stage: of its stage.
        required_effects: tags that its scope has to have.
        required_permissions: what it has to be permitted.
        minimum_isolation: ``none``, ``sandboxed`` or ``full_isolation``.
        trusted_issuers: whose signature it needs; None: no signature is asked for.
    """

    required_stage: StageRequirement
    required_effects: tuple[str, ...] = ()
    required_permissions: tuple[Permission, ...] = ()
    minimum_isolation: str = "none"
    trusted_issuers: frozenset[str] | None = field(default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "required_stage", StageRequirement.parse(self.required_stage))
        object.__setattr__(self, "required_effects", effect_set(self.required_effects))

    @classmethod
    def from_json(cls, value: Any, path: str = "$", file: str | None = None) -> SecurityPolicy:
        """
        From its JSON form, whose members are named like the attributes; only ``required_stage`` must be there.

        Raises:
            FileError: something in it is wrong, a key is not known; ``key_path`` says where.
        """
        given = Reader(value, path, file)
        given.only("required_stage", "required_effects", "required_permissions", "minimum_isolation", "trusted_issuers")
        try:
            stage = StageRequirement.parse(given.get("required_stage", str))
        except InvalidStageError as error:
            raise given.wrong(error.message, "required_stage", code=error.code) from None
        level = given.get("minimum_isolation", str, "none")
        if level not in ISOLATION_LEVELS:
            raise given.wrong(f"unknown isolation level `{level}`", "minimum_isolation")
        permissions = [
            Permission.from_json(item, f"{path}.required_permissions[{index}]")
            for index, item in enumerate(given.get("required_permissions", list, []))
        ]
        issuers = frozenset(given.texts("trusted_issuers")) if given.value.get("trusted_issuers") is not None else None
        return cls(stage, tuple(given.texts("required_effects", [])), tuple(permissions), level, issuers)

    def check(self, handle: CapabilityHandle) -> None:
        """
        Hold *handle* against the policy: stage, effects, permissions, isolation, signature, in that order.

        Raises:
            StageViolation, EffectScopeMismatch, SecurityViolation: it does not hold.
        """
        descriptor = handle.descriptor()
        if not self.required_stage.satisfied_by(descriptor.stage):
            raise StageViolation(descriptor.id, self.required_stage, descriptor.stage, descriptor)
        if not set(self.required_effects) <= set(descriptor.effect_scope):
            raise EffectScopeMismatch(descriptor.id, self.required_effects, descriptor.effect_scope, descriptor)
        for permission in self.required_permissions:
            require_permission(descriptor, permission)
        level = descriptor.security.isolation_level
        if ISOLATION_LEVELS.index(level) < ISOLATION_LEVELS.index(self.minimum_isolation):
            raise SecurityViolation(
                descriptor.id, f"isolation {level} is less than {self.minimum_isolation}", descriptor
            )
        if self.trusted_issuers is not None:
            check_signature(descriptor, descriptor.security.signature, self.trusted_issuers)


def enforce(policy: SecurityPolicy, handle: CapabilityHandle, envelope: MutableMapping[str, Any] | object) -> object:
    """
    Hold *handle* against *policy* and note in an audit envelope that it held.

    Args:
        envelope: an envelope (a mapping with ``metadata``, or an object that has it).

    Returns: *envelope*, whose metadata now have ``stage_requirement`` (``at_least:beta``) and ``effect_scope`` (sorted list).

    Raises:
        StageViolation, EffectScopeMismatch, SecurityViolation: it does not hold; the envelope is as it was.
    """
    policy.check(handle)
    found = (
        envelope.setdefault("metadata", {})
        if isinstance(envelope, MutableMapping)
        else getattr(envelope, "metadata", None)
    )
    if not isinstance(found, MutableMapping):
        raise TypeError(f"expected an audit envelope, got {type(envelope).__name__}")
    found["stage_requirement"] = str(policy.required_stage)
    found["effect_scope"] = list(handle.descriptor().effect_scope)
    return envelope
