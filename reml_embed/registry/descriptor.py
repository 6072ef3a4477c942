"""
What is known of a capability (CONTRACTS 4.1): its descriptor, and the parts of it. Values; JSON on the outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from reml_embed.errors import InvalidArgumentError
from reml_embed.registry._shape import Reader, key
from reml_embed.registry.stage import InvalidStageError, StageId

Json = Any

#: Code of complaints about descriptors and metadata; the library uses the same.
INVALID = "capability.descriptor.invalid"


class CapabilityId(str):
    """
    The name of a capability: words between dots, none of them empty; upper and lower case differ.

    Raises:
        InvalidArgumentError: it is none.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> CapabilityId:
        """Check *text*."""
        if isinstance(text, CapabilityId):
            return text
        if not isinstance(text, str):
            raise TypeError(f"a capability id is a text, got {type(text).__name__}")
        if not all(text.split(".")):
            raise InvalidArgumentError(f"{text!r} is no capability id: words between dots")
        if not text.isprintable() or " " in text or "," in text or '"' in text:
            raise InvalidArgumentError(
                f"{text!r} is no capability id: it has spaces, commas, quotes or unprintable characters"
            )
        return super().__new__(cls, text)


def read_id(given: Reader, name: str = "id") -> CapabilityId:
    """The id that stands in a JSON object. Raises: FileError."""
    try:
        return CapabilityId(given.get(name, str))
    except InvalidArgumentError as error:
        raise given.wrong(error.message, name) from None


def effect_set(effects: Iterable[str]) -> tuple[str, ...]:
    """Effect tags as they are kept: sorted, each once. Unknown ones stay."""
    if isinstance(effects, str):
        raise TypeError("effects must be an iterable of tags, got a str")
    return tuple(sorted(set(effects)))


@dataclass(frozen=True, slots=True)
class Provider:
    """
    Who provides a capability.

    Attributes:
        kind: ``core``, ``plugin``, ``external_bridge`` or ``runtime_component``.
        name: the package of a plugin, else the name; None for core.
        version: where there is one.
    """

    kind: str = "core"
    name: str | None = None
    version: str | None = None

    #: Kind → the member that carries its name, and whether it may have a version.
    KINDS: ClassVar[dict[str, tuple[str | None, bool]]] = {
        "core": (None, False),
        "plugin": ("package", True),
        "external_bridge": ("name", True),
        "runtime_component": ("name", False),
    }

    @classmethod
    def core(cls) -> Provider:
        """The runtime itself."""
        return cls()

    @classmethod
    def plugin(cls, package: str, version: str | None = None) -> Provider:
        """A plugin."""
        return cls("plugin", package, version)

    @classmethod
    def external_bridge(cls, name: str, version: str | None = None) -> Provider:
        """A runtime behind a bridge."""
        return cls("external_bridge", name, version)

    @classmethod
    def runtime_component(cls, name: str) -> Provider:
        """A part of the runtime with a name of its own."""
        return cls("runtime_component", name)

    @classmethod
    def from_json(cls, value: Json, path: str = "$.provider") -> Provider:
        """From its JSON form. Raises: FileError."""
        given = Reader(value, path, code=INVALID)
        kind = given.get("kind", str)
        if kind not in cls.KINDS:
            raise given.wrong(f"unknown provider `{kind}` (known: {', '.join(cls.KINDS)})", "kind")
        member, versioned = cls.KINDS[kind]
        given.only("kind", *([member] if member else []), *(["version"] if versioned else []))
        return cls(kind, given.get(member, str) if member else None, given.get("version", str, None))

    def to_json(self) -> dict[str, Json]:
        """Its JSON form."""
        member, versioned = self.KINDS[self.kind]
        made: dict[str, Json] = {"kind": self.kind}
        if member:
            made[member] = self.name
        if versioned and self.version is not None:
            made["version"] = self.version
        return made

    def __str__(self) -> str:
        """As records and tables name it: ``core``, ``geo@1.2``."""
        return self.kind if self.name is None else self.name + (f"@{self.version}" if self.version else "")


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """
    One thing that a capability may do.

    Attributes:
        kind: ``read_config``, ``write_config``, ``file_system``, ``network`` or ``runtime``.
        value: the pattern of a file system or network permission (``/srv/**``, ``*.example.org:443``), the operation of a runtime one.
    """

    kind: str
    value: str | None = None

    #: Kind → the member that carries its value.
    KINDS: ClassVar[dict[str, str | None]] = {
        "read_config": None, "write_config": None, "file_system": "pattern", "network": "pattern", "runtime": "operation",
    }  # fmt: skip

    @classmethod
    def from_json(cls, value: Json, path: str = "$") -> Permission:
        """From its JSON form. Raises: FileError."""
        given = Reader(value, path, code=INVALID)
        kind = given.get("kind", str)
        if kind not in cls.KINDS:
            raise given.wrong(f"unknown permission `{kind}` (known: {', '.join(cls.KINDS)})", "kind")
        member = cls.KINDS[kind]
        given.only("kind", *([member] if member else []))
        return cls(kind, given.get(member, str) if member else None)

    def to_json(self) -> dict[str, Json]:
        """Its JSON form."""
        member = self.KINDS[self.kind]
        return {"kind": self.kind, member: self.value} if member else {"kind": self.kind}


ISOLATION_LEVELS = ("none", "sandboxed", "full_isolation")


@dataclass(frozen=True, slots=True)
class Signature:
    """
    Who vouches for a descriptor.

    Attributes:
        issuer: the name that trust lists hold.
        algorithm: ``sha256``.
        digest: lower-case hexadecimal digits over the canonical descriptor (`CapabilityDescriptor.canonical`).
    """

    issuer: str
    algorithm: str
    digest: str

    def to_json(self) -> dict[str, Json]:
        """Its JSON form."""
        return {"issuer": self.issuer, "algorithm": self.algorithm, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class SandboxProfile:
    """
    The sandbox that a capability runs in.

    Attributes:
        name: which one.
        version: of its rules, a number or a text.
    """

    name: str
    version: int | str

    def to_json(self) -> dict[str, Json]:
        """Its JSON form."""
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True, slots=True)
class CapabilitySecurity:
    """The security part of a descriptor; see CONTRACTS 4.1 for its members."""

    audit_required: bool = False
    isolation_level: str = "none"
    permissions: tuple[Permission, ...] = ()
    sandbox_profile: SandboxProfile | None = None
    signature: Signature | None = None
    policy: str | None = None

    @classmethod
    def from_json(cls, value: Json, path: str = "$.security") -> CapabilitySecurity:
        """From its JSON form. Raises: FileError."""
        given = Reader(value, path, code=INVALID)
        given.only("audit_required", "isolation_level", "permissions", "sandbox_profile", "signature", "policy")
        level = given.get("isolation_level", str, "none")
        if level not in ISOLATION_LEVELS:
            raise given.wrong(
                f"unknown isolation level `{level}` (known: {', '.join(ISOLATION_LEVELS)})", "isolation_level"
            )
        permissions = tuple(
            Permission.from_json(item, f"{path}.permissions[{index}]")
            for index, item in enumerate(given.get("permissions", list, []))
        )
        profile = signature = None
        if given.get("sandbox_profile", dict, None) is not None:
            inner = given.child("sandbox_profile")
            inner.only("name", "version")
            version = inner.value.get("version")
            if isinstance(version, bool) or not isinstance(version, int | str):
                raise inner.wrong("expected a number or a text", "version")
            profile = SandboxProfile(inner.get("name", str), version)
        if given.get("signature", dict, None) is not None:
            inner = given.child("signature")
            inner.only("issuer", "algorithm", "digest")
            signature = Signature(inner.get("issuer", str), inner.get("algorithm", str), inner.get("digest", str))
        audit = given.get("audit_required", bool, False)
        return cls(audit, level, permissions, profile, signature, given.get("policy", str, None))

    def to_json(self) -> dict[str, Json]:
        """Its JSON form; nothing is left out."""
        return {
            "audit_required": self.audit_required,
            "isolation_level": self.isolation_level,
            "permissions": [permission.to_json() for permission in self.permissions],
            "sandbox_profile": self.sandbox_profile.to_json() if self.sandbox_profile else None,
            "signature": self.signature.to_json() if self.signature else None,
            "policy": self.policy,
        }


@dataclass(frozen=True, slots=True)
class VerifiedAt:
    """When something was verified, since 1970-01-01 UTC."""

    seconds: int
    nanos: int

    @classmethod
    def of(cls, nanoseconds: int) -> VerifiedAt:
        """From ``time.time_ns()``."""
        return cls(*divmod(nanoseconds, 1_000_000_000))

    def to_json(self) -> dict[str, Json]:
        """Its JSON form."""
        return {"seconds": self.seconds, "nanos": self.nanos}


@dataclass(frozen=True, slots=True)
class CapabilityDescriptor:
    """
    What is known of a capability.

    Attributes:
        id: its name.
        stage: how far it has come.
        effect_scope: tags of what it may do; sorted.
        provider: who provides it.
        manifest_path: the manifest that declares it.
        last_verified_at: the last successful verification.
        security: what guards it.
    """

    id: CapabilityId
    stage: StageId
    effect_scope: tuple[str, ...] = ()
    provider: Provider = field(default_factory=Provider)
    manifest_path: str | None = None
    last_verified_at: VerifiedAt | None = None
    security: CapabilitySecurity = field(default_factory=CapabilitySecurity)

    #: Its JSON members, in their order.
    MEMBERS: ClassVar[tuple[str, ...]] = (
        "id", "stage", "effect_scope", "provider", "manifest_path", "last_verified_at", "security",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", CapabilityId(self.id))
        object.__setattr__(self, "stage", StageId.parse(self.stage))
        object.__setattr__(self, "effect_scope", effect_set(self.effect_scope))

    @classmethod
    def from_json(cls, value: Json, path: str = "$") -> CapabilityDescriptor:
        """
        From its JSON form; everything but ``id`` and ``stage`` may be left out.

        Raises:
            FileError: something in it is wrong; ``key_path`` says what.
        """
        given = Reader(value, path, code=INVALID)
        given.only(*cls.MEMBERS)
        name = read_id(given)
        try:
            stage = StageId.parse(given.get("stage", str))
        except InvalidStageError as error:
            raise given.wrong(error.message, "stage", code=error.code) from None
        verified = None
        if given.get("last_verified_at", dict, None) is not None:
            inner = given.child("last_verified_at")
            verified = VerifiedAt(inner.get("seconds", int), inner.get("nanos", int))
        return cls(
            name,
            stage,
            tuple(given.texts("effect_scope", [])),
            Provider.from_json(given.value["provider"], key(path, "provider"))
            if given.value.get("provider")
            else Provider(),
            given.get("manifest_path", str, None),
            verified,
            CapabilitySecurity.from_json(given.value["security"], key(path, "security"))
            if given.value.get("security")
            else CapabilitySecurity(),
        )

    def to_json(self) -> dict[str, Json]:
        """Its JSON form; nothing is left out."""
        return {
            "id": str(self.id),
            "stage": self.stage.value,
            "effect_scope": list(self.effect_scope),
            "provider": self.provider.to_json(),
            "manifest_path": self.manifest_path,
            "last_verified_at": self.last_verified_at.to_json() if self.last_verified_at else None,
            "security": self.security.to_json(),
        }

    def canonical(self) -> bytes:
        """
        What a signature is over: the descriptor as it was before it was signed and verified (both members null), as compact JSON
        with sorted keys.
        """
        bare = replace(self, last_verified_at=None, security=replace(self.security, signature=None)).to_json()
        return json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
