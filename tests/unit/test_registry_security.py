"""Security policies, permissions, sandboxes, signatures (CONTRACTS 2.7, 4.2)."""

import dataclasses
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reml_embed.registry.capability import (
    AtLeast,
    CapabilityDescriptor,
    CapabilityId,
    CapabilityRegistry,
    CapabilitySecurity,
    EffectScopeMismatch,
    EffectViolation,
    FileError,
    NotRegistered,
    Permission,
    SandboxProfile,
    SecurityViolation,
    Signature,
    StageId,
    StageViolation,
    SystemCapability,
    VerifiedAt,
)
from reml_embed.registry.security import SandboxRules, SecurityPolicy, covers, permits, sign, signature_digest


def descriptor(**security):
    return CapabilityDescriptor(
        CapabilityId("my.cap"), StageId.BETA, ("io", "audit"), security=CapabilitySecurity(**security)
    )


@pytest.fixture
def registry():
    return CapabilityRegistry(trusted_issuers=["acme"])


class Envelope:
    """An envelope that is an object."""

    def __init__(self):
        self.metadata = {"a": 1}


# --- enforce -------------------------------------------------------------------------------------------------------------


def test_enforce_adds_stage_requirement_and_effect_scope_to_the_envelope(registry):
    security = registry.get("security.fs.policy").as_security()
    policy = SecurityPolicy(AtLeast("beta"), ("memory",))
    envelope = {"capability": "gc", "metadata": {"event.kind": "x"}}
    assert security.enforce(policy, registry.get("gc"), envelope) is envelope
    assert envelope["metadata"] == {
        "event.kind": "x",
        "stage_requirement": "at_least:beta",
        "effect_scope": ["memory", "runtime"],
    }
    other = Envelope()
    security.enforce(policy, registry.get("gc"), other)
    assert other.metadata == {"a": 1, "stage_requirement": "at_least:beta", "effect_scope": ["memory", "runtime"]}
    empty = {}
    security.enforce(policy, registry.get("gc"), empty)
    assert set(empty["metadata"]) == {"stage_requirement", "effect_scope"}
    with pytest.raises(TypeError):
        security.enforce(policy, registry.get("gc"), object())


def test_enforce_refuses_a_stage_or_an_effect_and_leaves_the_envelope(registry):
    security = registry.get("security.fs.policy").as_security()
    envelope = {"metadata": {}}
    with pytest.raises(StageViolation) as caught:
        security.enforce(SecurityPolicy(AtLeast("beta"), ("nothing",)), registry.get("gpu"), envelope)
    assert caught.value.actual_stage() is StageId.EXPERIMENTAL
    with pytest.raises(EffectViolation) as missing:
        security.enforce(SecurityPolicy(AtLeast("beta"), ("gpu", "memory")), registry.get("gc"), envelope)
    assert isinstance(missing.value, EffectScopeMismatch)
    assert missing.value.missing_effects == ("gpu",)
    assert envelope == {"metadata": {}}


def test_a_policy_holds_permissions_isolation_and_signature_too():
    handle = SystemCapability(
        descriptor(permissions=(Permission("network", "*.example.org:443"),), isolation_level="sandboxed")
    )
    SecurityPolicy("beta", ("io",), (Permission("network", "api.example.org:443"),), "sandboxed").check(handle)
    for policy in (
        SecurityPolicy("beta", required_permissions=(Permission("network", "api.example.org:80"),)),
        SecurityPolicy("beta", minimum_isolation="full_isolation"),
        SecurityPolicy("beta", trusted_issuers=frozenset({"acme"})),
    ):
        with pytest.raises(SecurityViolation):
            policy.check(handle)
    signed = SystemCapability(sign(handle.descriptor(), "acme"))
    SecurityPolicy("beta", trusted_issuers=frozenset({"acme"})).check(signed)


@pytest.mark.parametrize(
    ("value", "path", "code"),
    [({}, "$.required_stage", None), ({"required_stage": "alpha"}, "$.required_stage", "config.invalid_stage"),
     ({"required_stage": "beta", "requierd_effects": []}, "$.requierd_effects", None), ({"required_stage": "beta", "required_effects": [1]}, "$.required_effects[0]", None),
     ({"required_stage": "beta", "minimum_isolation": "much"}, "$.minimum_isolation", None), ([], "$", None)],
)  # fmt: skip
def test_a_policy_with_a_wrong_key_names_file_key_path_and_code(value, path, code):
    with pytest.raises(FileError) as caught:
        SecurityPolicy.from_json(value, file="policy.json")
    assert (caught.value.key_path, caught.value.code, caught.value.file) == (
        path,
        code or "capability.file.invalid",
        "policy.json",
    )
    assert "policy.json" in str(caught.value)
    assert path in str(caught.value)


def test_a_policy_is_read_from_json():
    value = {
        "required_stage": "at_least:beta",
        "required_effects": ["mem", "io"],
        "trusted_issuers": ["acme"],
        "required_permissions": [{"kind": "read_config"}],
    }
    policy = SecurityPolicy.from_json(value)
    assert policy == SecurityPolicy(
        AtLeast("beta"), ("io", "mem"), (Permission("read_config"),), "none", frozenset({"acme"})
    )


# --- permissions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "wanted", "answer"),
    [(("file_system", "/srv/**"), ("file_system", "/srv/a/b.txt"), True), (("file_system", "/srv/*"), ("file_system", "/srv/a/b.txt"), False),
     (("file_system", "/srv/*.txt"), ("file_system", "/srv/b.txt"), True), (("file_system", "/srv/**"), ("file_system", "/srv/../etc/passwd"), False),
     (("file_system", "/srv/**"), ("file_system", "/srvx/a"), False), (("file_system", "/srv/??"), ("file_system", "/srv/ab"), True),
     (("network", "*.example.org:443"), ("network", "api.example.org:443"), True), (("network", "*.example.org:443"), ("network", "a.b.example.org:443"), False),
     (("network", "**"), ("network", "anything:1"), True), (("network", "example.org:443"), ("network", "exampleXorg:443"), False),
     (("runtime", "verify_abi"), ("runtime", "verify_abi"), True), (("runtime", "*"), ("runtime", "verify_abi"), False),
     (("read_config", None), ("read_config", None), True), (("read_config", None), ("write_config", None), False), (("network", "**"), ("file_system", "/a"), False)],
)  # fmt: skip
def test_permissions_cover_by_pattern(held, wanted, answer):
    assert covers(Permission(*held), Permission(*wanted)) is answer


def test_a_refused_path_has_the_diagnostic_for_paths(registry):
    registry.register(SystemCapability(descriptor(permissions=(Permission("file_system", "/srv/**"),))))
    registry.require_permission("my.cap", Permission("file_system", "/srv/a"))
    with pytest.raises(SecurityViolation) as caught:
        registry.require_permission("my.cap", Permission("file_system", "/etc/passwd"))
    assert (caught.value.code(), caught.value.diagnostic) == (
        "capability.security.violation",
        "core.path.security.capability_denied",
    )
    with pytest.raises(SecurityViolation) as caught:
        registry.require_permission("my.cap", Permission("network", "x:1"))
    assert caught.value.diagnostic == "capability.security.violation"
    assert not permits(registry.describe("gc"), Permission("read_config"))


# --- sandboxes -------------------------------------------------------------------------------------------------------------------


def test_a_sandbox_profile_bounds_what_registers():
    profile = SandboxProfile("strict", 2)
    rules = SandboxRules(profile, (Permission("file_system", "/srv/**"),), frozenset({"io", "audit"}))
    registry = CapabilityRegistry(empty=True, sandbox_rules={"strict": rules})

    def attempt(**changes):
        given = {"isolation_level": "sandboxed", "sandbox_profile": profile} | changes
        registry.register(SystemCapability(descriptor(**given)))

    for changes, reason in (
        ({"sandbox_profile": None}, "without a sandbox profile"), ({"sandbox_profile": SandboxProfile("strict", 1)}, "version 2"),
        ({"isolation_level": "none"}, "needs isolation"), ({"permissions": (Permission("network", "**"),)}, "does not allow network"),
    ):  # fmt: skip
        with pytest.raises(SecurityViolation, match=reason):
            attempt(**changes)
    wide = dataclasses.replace(
        descriptor(isolation_level="sandboxed", sandbox_profile=profile), effect_scope=("gpu", "io")
    )
    with pytest.raises(SecurityViolation, match="effects gpu"):
        registry.register(SystemCapability(wide))
    assert len(registry) == 0
    attempt(permissions=(Permission("file_system", "/srv/a"),))
    assert registry.describe("my.cap").security.sandbox_profile == profile


# --- signatures --------------------------------------------------------------------------------------------------------------------


def test_the_digest_is_sha256_over_the_canonical_descriptor():
    fresh = descriptor(policy="ä")
    text = json.dumps(fresh.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert signature_digest(fresh) == hashlib.sha256(text.encode()).hexdigest()
    signed = sign(fresh, "acme")
    assert signature_digest(signed) == signature_digest(fresh)
    assert signature_digest(dataclasses.replace(signed, last_verified_at=VerifiedAt(1, 2))) == signature_digest(fresh)


def test_verify_signature_accepts_a_trusted_issuer(registry):
    registry.register(SystemCapability(sign(descriptor(), "acme")))
    registry.verify_signature("my.cap")
    registry.verify_capability_stage("my.cap", "beta")
    registry.verify_signature("my.cap")  # verifying changes last_verified_at, which is not signed
    registry.verify_signature(
        "my.cap", {"issuer": "acme", "algorithm": "sha256", "digest": signature_digest(descriptor())}
    )


@pytest.mark.parametrize(
    "signature",
    [
        None,
        Signature("mallory", "sha256", ""),
        Signature("acme", "md5", ""),
        Signature("acme", "sha256", "0" * 64),
        Signature("acme", "sha256", "ä"),
    ],
)
def test_any_other_signature_is_a_security_violation(registry, signature):
    registry.register(SystemCapability(descriptor()))
    with pytest.raises(SecurityViolation) as caught:
        registry.verify_signature("my.cap", signature)
    assert caught.value.reason
    with pytest.raises(NotRegistered):
        registry.verify_signature("no.such", signature)


def test_an_untrusted_issuer_with_the_right_digest_is_refused(registry):
    registry.register(SystemCapability(sign(descriptor(), "mallory")))
    with pytest.raises(SecurityViolation, match="mallory is not trusted"):
        registry.verify_signature("my.cap")


@given(st.sampled_from(["stage", "effect_scope", "manifest_path", "policy", "audit_required"]))
def test_changing_anything_breaks_the_signature(member):
    signed = sign(descriptor(), "acme")
    if member in {"policy", "audit_required"}:
        changed = dataclasses.replace(
            signed, security=dataclasses.replace(signed.security, **{member: "x" if member == "policy" else True})
        )
    else:
        changed = dataclasses.replace(
            signed, **{member: {"stage": StageId.STABLE, "effect_scope": ("io",), "manifest_path": "x"}[member]}
        )
    registry = CapabilityRegistry(empty=True, trusted_issuers=["acme"])
    registry.register(SystemCapability(changed))
    with pytest.raises(SecurityViolation, match="not over this descriptor"):
        registry.verify_signature("my.cap")
