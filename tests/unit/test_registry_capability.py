"""The capability registry as Python sees it (CONTRACTS 4.1-4.5, 4.7; the memo on its data model)."""

import builtins
import contextlib
import dataclasses
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reml_embed as reml
from reml_embed._ffi import ffi, lib
from reml_embed.audit import AuditContext, MemorySink, Record, missing_keys
from reml_embed.errors import InvalidArgumentError, RemlError
from reml_embed.registry import errors
from reml_embed.registry.capability import (
    KINDS,
    MATRIX,
    RUNTIME_CAPABILITIES,
    AlreadyRegistered,
    AtLeast,
    CapabilityDescriptor,
    CapabilityError,
    CapabilityGuard,
    CapabilityId,
    CapabilityRegistry,
    CapabilitySecurity,
    ContractViolation,
    EffectScopeMismatch,
    Exact,
    FfiCapability,
    FileError,
    GcCapability,
    InvalidHandle,
    IoCapability,
    ManifestLoadFailure,
    MetricsStageGuard,
    MissingDependency,
    NotRegistered,
    Permission,
    PluginCapability,
    Provider,
    RuntimeError,  # noqa: A004
    SandboxProfile,
    SecurityViolation,
    Signature,
    StageId,
    StageViolation,
    SystemCapability,
    UnsafeViolation,
    VerifiedAt,
    runtime_capability_id,
    transform_capability_manifest,
    verify_stage_for_io,
)
from reml_embed.registry.handles import make_handle

BUILT_IN = """
io.fs.read stable io,fs.read
io.fs.write stable io,fs.write,mem
fs.permissions.read stable io,security
fs.permissions.modify stable io,security
fs.symlink.query stable io,fs.symlink
fs.symlink.modify stable io,fs.symlink,security
fs.watcher.native stable io,watcher
fs.watcher.recursive stable io,watcher
watcher.resource_limits stable io,watcher
memory.buffered_io stable mem
security.fs.policy stable security
net.http.client experimental net,io
net.tcp.connect experimental net,io
net.tcp.listen experimental net,io
net.udp.bind experimental net,io
net.udp.send experimental net,io
core.process experimental process,thread,io.blocking,signal,hardware,security
core.signal experimental signal,process,unsafe,audit,security,io.blocking
core.system experimental syscall,unsafe,audit,security,memory
core.time.timezone.lookup beta time
core.time.timezone.local beta time
core.collections.ref stable mem,mut,rc
core.collections.audit stable audit,mem
metrics.emit stable audit
native.intrinsic experimental native,audit,unsafe
native.embed experimental native,audit,unsafe
native.inline_asm experimental native,audit,unsafe
native.llvm_ir experimental native,audit,unsafe
core.diagnostics stable audit
core.runtime.bridge beta runtime,audit
async stable io.async,io.timer
runtime.async stable io.async,io.timer
actor beta io.async,audit
runtime.actor beta io.async,audit
async.stream beta io.async
async.backpressure beta io.async
async.distributed experimental io.async,network,security
async.supervisor beta io.async,audit
tracing beta trace,audit
gc stable runtime,memory
gpu experimental gpu,runtime,unsafe,audit
embedded.io experimental runtime,unsafe,audit
ffi.bridge beta ffi,audit,security
foreign-call experimental ffi,audit
console experimental io,audit
"""


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def registry(sink):
    """A registry of its own with the built-in capabilities, whose records are kept."""
    return CapabilityRegistry(audit=AuditContext(sink))


@pytest.fixture
def empty():
    return CapabilityRegistry(empty=True)


def gc(name="my.gc", stage="beta", effects=("memory",), **more):
    return GcCapability(
        CapabilityDescriptor(CapabilityId(name), StageId.parse(stage), effects, **more), strategy="rc", concurrent=True
    )


def ffi_descriptor(**changes):
    security = CapabilitySecurity(
        audit_required=True,
        permissions=(Permission("runtime", "verify_abi"),),
        sandbox_profile=SandboxProfile("ffi", 1),
        policy="ffi.default",
    )
    base = CapabilityDescriptor(CapabilityId("my.ffi"), StageId.BETA, ("ffi", "audit", "security"), security=security)
    scope = changes.pop("effect_scope", base.effect_scope)
    return dataclasses.replace(base, effect_scope=scope, security=dataclasses.replace(security, **changes))


# --- 4.4 built-in capabilities -----------------------------------------------------------------------------------------


def test_built_in_capabilities_are_there_in_the_order_of_the_table(registry):
    rows = [line.split() for line in BUILT_IN.split("\n") if line]
    found = registry.describe_all()
    assert [row.id for row in found[: len(rows)]] == [row[0] for row in rows]
    for (name, stage, effects), row in zip(rows, found, strict=False):
        assert (name, row.stage.value, list(row.effect_scope)) == (name, stage, sorted(effects.split(",")))
        assert row.provider == Provider.core()
        assert row.last_verified_at is None


def test_the_process_registry_is_one(registry):
    process = CapabilityRegistry.process()
    assert process is CapabilityRegistry.process()
    assert len(process) >= len(registry)
    registry.register(gc())
    assert "my.gc" not in process


def test_the_ids_the_guide_asks_for_are_registered(registry):
    """§11 second: ``CapabilityRegistry::get("async")`` and ``get("actor")``."""
    assert registry.get("async").as_async().supports_mailbox
    assert registry.get("actor").as_actor().mailbox_capacity == 1024


def test_a_stage_conflict_over_native_embed_is_effects_contract_stage_mismatch(registry):
    """CONTRACTS 1.5: stage experimental, effects native, audit, unsafe, provider core."""
    descriptor = registry.describe("native.embed")
    assert (descriptor.stage, descriptor.effect_scope, descriptor.provider) == (
        StageId.EXPERIMENTAL,
        ("audit", "native", "unsafe"),
        Provider.core(),
    )
    assert (
        registry.verify_stage("native.embed", "at_least:experimental", ["native", "audit", "unsafe"])
        is StageId.EXPERIMENTAL
    )
    with pytest.raises(StageViolation) as caught:
        registry.verify_stage("native.embed", "at_least:beta")
    assert caught.value.diagnostic == "effects.contract.stage_mismatch"


# --- 4.1, 4.2 register, get, describe ------------------------------------------------------------------------------------


def test_duplicate_registration_is_already_registered(empty):
    empty.register(gc())
    with pytest.raises(AlreadyRegistered) as caught:
        empty.register(gc(stage="stable"))
    assert caught.value.code() == "runtime.capability.already_registered"
    assert caught.value.id == "my.gc"
    assert empty.describe("my.gc").stage is StageId.BETA


def test_unknown_id_is_not_registered(empty):
    for call in (empty.get, empty.describe, empty.verify_capability, empty.is_enabled, empty.enable, empty.disable, empty.unregister,
                 lambda name: empty.verify_capability_stage(name, "beta"), lambda name: empty.set_stage(name, "beta"), empty.verify_signature):  # fmt: skip
        with pytest.raises(NotRegistered) as caught:
            call("no.such")
        assert caught.value.code() == caught.value.diagnostic == "runtime.capability.unknown"
        assert (caught.value.id, caught.value.actual_stage(), caught.value.descriptor) == ("no.such", None, None)
    with pytest.raises(NotRegistered) as caught:
        empty.verify_capability_stage("no.such", "at_least:beta")
    assert caught.value.required == AtLeast("beta")


def test_describe_all_is_in_the_order_of_registration(registry):
    before = [row.id for row in registry.describe_all()]
    mine = Provider.runtime_component("mine")
    for name in ("z.last", "a.first", "m.middle"):
        registry.register(gc(name, provider=mine))
    assert [row.id for row in registry.describe_all()] == [*before, "z.last", "a.first", "m.middle"]
    registry.unregister("a.first")
    registry.register(gc("a.first", provider=mine))
    assert [row.id for row in registry.describe_all()][-3:] == ["z.last", "m.middle", "a.first"]


def test_get_returns_a_clone(empty):
    mine = IoCapability(gc("my.io").descriptor(), adapters=["fs"])
    empty.register(mine)
    first, second = empty.get("my.io"), empty.get("my.io")
    assert first == second
    assert first is not second
    first.adapters.append("net")
    first._descriptor = dataclasses.replace(first.descriptor(), stage=StageId.STABLE)
    mine.adapters.clear()
    assert empty.get("my.io").adapters == ["fs"]
    assert empty.describe("my.io").stage is StageId.BETA


def test_the_descriptor_is_copied_at_registration(empty):
    handle = gc()
    empty.register(handle)
    handle._descriptor = dataclasses.replace(handle.descriptor(), stage=StageId.EXPERIMENTAL)
    assert empty.describe("my.gc").stage is StageId.BETA


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_helper_and_its_metadata(empty, kind):
    """`as_gc()` and `descriptor()` work; the other helpers answer nothing."""
    descriptor = ffi_descriptor() if kind == "ffi" else gc("my.handle").descriptor()
    empty.register(make_handle(kind, descriptor))
    handle = empty.get(descriptor.id)
    assert type(handle) is KINDS[kind]
    assert handle.descriptor() == descriptor
    for other in KINDS:
        assert (getattr(handle, f"as_{other}")() is handle) == (other == kind)
    assert handle == make_handle(kind, descriptor)
    assert handle.expect(kind) is handle


def test_handles_are_taken_apart_by_their_kind(registry):
    """Guide 1.3: ``match handle { CapabilityHandle::Gc(cap) => … }``."""
    match registry.verify_capability_stage("gc", "stable"):
        case GcCapability(strategy=strategy) as found:
            assert strategy
            assert found.descriptor().effect_scope == ("memory", "runtime")
        case other:
            pytest.fail(f"{other} is no gc")


def test_metadata_of_each_kind_are_those_of_the_table():
    wanted = {
        "gc": "strategy supports_compaction concurrent", "io": "adapters operations supports_async",
        "async": "scheduler supports_backpressure supports_blocking_adapter supports_mailbox",
        "actor": "scheduler supports_remote_mailbox mailbox_capacity", "audit": "transport schema_version persists_history",
        "metrics": "exporters supports_histogram supports_sampling",
        "collections": "collector_effects tracks_mutation tracks_reference_count",
        "memory": "model max_allocation_bytes supports_guard_pages", "security": "policies enforces_path_sandbox tracks_manifest",
        "native": "operations", "system": "operations", "process": "operations", "signal": "operations",
        "ffi": "operations sandbox_calls verify_abi", "plugin": "package version bundle_id bundle_version exposed_capabilities",
        "hardware": "accelerators supports_simd supports_gpu", "realtime": "latency_budget_ns supports_deadlines clock_source",
    }  # fmt: skip
    descriptor = gc().descriptor()
    assert {kind: " ".join(make_handle(kind, descriptor).metadata()) for kind in KINDS} == wanted
    assert make_handle("actor", descriptor).as_actor().mailbox_capacity == 1024
    assert make_handle("realtime", descriptor).as_realtime().latency_budget_ns == 1_000_000


def test_handles_of_another_kind_are_an_invalid_handle(registry):
    with pytest.raises(InvalidHandle) as caught:
        registry.get("gc").expect("io")
    assert (caught.value.code(), caught.value.expected, caught.value.actual) == (
        "capability.handle.invalid",
        "io",
        "gc",
    )
    with pytest.raises(FileError):
        make_handle("wizard", gc().descriptor())
    with pytest.raises(FileError, match=r"unknown key .* at \$\.metadata\.nope"):
        make_handle("gc", gc().descriptor(), {"nope": 1})


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a,b", "a\0b", "a\nb", 'a"b', 7])
def test_capability_id_is_a_non_empty_dotted_string(text):
    with pytest.raises((InvalidArgumentError, TypeError)):
        CapabilityId(text)
    with pytest.raises((InvalidArgumentError, TypeError)):
        CapabilityRegistry.process().verify_stage(text, "stable")


def test_capability_ids_are_case_sensitive(empty):
    empty.register(gc("My.Gc"))
    assert "my.gc" not in empty
    assert "My.Gc" in empty
    assert 7 not in empty


# --- descriptors as JSON -------------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
permissions = st.one_of(
    st.sampled_from([Permission("read_config"), Permission("write_config")]),
    st.builds(Permission, st.sampled_from(["file_system", "network", "runtime"]), texts),
)
securities = st.builds(
    CapabilitySecurity, st.booleans(), st.just("none"), st.lists(permissions, max_size=3).map(tuple),
    st.none() | st.builds(SandboxProfile, texts, st.integers(0, 2**31) | texts), st.none() | st.builds(Signature, texts, texts, texts), st.none() | texts,
)  # fmt: skip
providers = st.one_of(
    st.just(Provider.core()), st.builds(Provider.plugin, texts, st.none() | texts), st.builds(Provider.external_bridge, texts, st.none() | texts),
    st.builds(Provider.runtime_component, texts),
)  # fmt: skip
words = st.from_regex(r"[a-z_]{1,6}(\.[a-z]{1,5}){0,2}", fullmatch=True)
descriptors = st.builds(
    CapabilityDescriptor, words.map(CapabilityId), st.sampled_from(list(StageId)), st.lists(words, max_size=4).map(tuple), providers,
    st.none() | texts, st.none() | st.builds(VerifiedAt, st.integers(0, 2**33), st.integers(0, 999_999_999)), securities,
)  # fmt: skip


@given(descriptors)
def test_descriptors_survive_json(descriptor):
    assert CapabilityDescriptor.from_json(json.loads(json.dumps(descriptor.to_json()))) == descriptor


@given(descriptors)
def test_descriptors_survive_the_library(descriptor):
    registry = CapabilityRegistry(empty=True)
    registry.register(SystemCapability(descriptor))
    assert registry.describe(descriptor.id) == registry.get(descriptor.id).descriptor() == registry.describe_all()[0]
    assert registry.describe(descriptor.id) == descriptor


def test_the_json_of_a_descriptor_has_the_names_of_the_contract():
    assert list(gc().descriptor().to_json()) == [
        "id",
        "stage",
        "effect_scope",
        "provider",
        "manifest_path",
        "last_verified_at",
        "security",
    ]
    assert list(CapabilitySecurity().to_json()) == [
        "audit_required",
        "isolation_level",
        "permissions",
        "sandbox_profile",
        "signature",
        "policy",
    ]
    assert Provider.plugin("geo", "1.2").to_json() == {"kind": "plugin", "package": "geo", "version": "1.2"}
    assert Provider.core().to_json() == {"kind": "core"}
    assert Permission("file_system", "/srv/**").to_json() == {"kind": "file_system", "pattern": "/srv/**"}
    assert Permission("runtime", "verify_abi").to_json() == {"kind": "runtime", "operation": "verify_abi"}


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [({"stage": "alpha"}, "$.stage", "config.invalid_stage"), ({"stage": 1}, "$.stage", None), ({"id": ""}, "$.id", None),
     ({"nope": 1}, "$.nope", None), ({"effect_scope": ["a", 1]}, "$.effect_scope[1]", None), ({"effect_scope": "io"}, "$.effect_scope", None),
     ({"provider": {"kind": "wizard"}}, "$.provider.kind", None), ({"provider": {"kind": "plugin"}}, "$.provider.package", None),
     ({"provider": {"kind": "core", "name": "x"}}, "$.provider.name", None), ({"security": {"audit_required": 1}}, "$.security.audit_required", None),
     ({"security": {"permissions": [{"kind": "network"}]}}, "$.security.permissions[0].pattern", None),
     ({"security": {"isolation_level": "total"}}, "$.security.isolation_level", None), ({"last_verified_at": {"seconds": 1}}, "$.last_verified_at.nanos", None),
     ({"security": {"sandbox_profile": {"name": "x", "version": True}}}, "$.security.sandbox_profile.version", None)],
)  # fmt: skip
def test_a_wrong_descriptor_names_the_key_path(change, path, code):
    with pytest.raises(FileError) as caught:
        CapabilityDescriptor.from_json({"id": "a.b", "stage": "beta"} | change)
    assert (caught.value.key_path, caught.value.code) == (path, code or "capability.descriptor.invalid")


# --- 4.2 verify -------------------------------------------------------------------------------------------------------------


def test_verify_capability_stage_returns_the_typed_handle(registry):
    handle = registry.verify_capability_stage("gc", AtLeast(StageId.BETA), ["memory"])
    assert isinstance(handle, GcCapability)
    assert handle.as_gc() is handle
    assert handle.descriptor().stage is StageId.STABLE
    assert handle.descriptor().effect_scope == ("memory", "runtime")
    assert registry.verify_stage("gc", "at_least:beta", ["memory"]) is StageId.STABLE


def test_last_verified_at_is_updated_in_the_registry_and_in_the_copy(registry):
    assert registry.describe("gc").last_verified_at is None
    first = registry.verify_capability_stage("gc", "stable").descriptor().last_verified_at
    assert first is not None
    assert registry.describe("gc").last_verified_at == first
    with pytest.raises(StageViolation):
        registry.verify_capability_stage("gc", "beta")
    assert registry.describe("gc").last_verified_at == first
    assert registry.get("gc").descriptor().last_verified_at == first


def test_existence_stage_and_effects_are_checked_in_that_order(registry):
    with pytest.raises(NotRegistered):
        registry.verify_capability_stage("no.such", "stable", ["nothing"])
    with pytest.raises(StageViolation) as caught:
        registry.verify_capability_stage("gpu", AtLeast("beta"), ["nothing"])
    error = caught.value
    assert (error.required, error.actual, error.actual_stage()) == (
        AtLeast("beta"),
        StageId.EXPERIMENTAL,
        StageId.EXPERIMENTAL,
    )
    assert error.descriptor == registry.describe("gpu")
    assert error.detail() == "stage experimental does not satisfy at_least:beta"
    assert (error.code(), error.diagnostic) == ("capability.stage.mismatch", "effects.contract.stage_mismatch")


def test_effect_scope_mismatch_names_the_missing_effects(registry):
    with pytest.raises(EffectScopeMismatch) as caught:
        registry.verify_capability_stage("core.collections.audit", Exact("stable"), ["audit", "mem", "rc", "io"])
    error = caught.value
    assert error.missing_effects == ("io", "rc")
    assert (error.required, error.actual) == (("audit", "io", "mem", "rc"), ("audit", "mem"))
    assert (error.code(), error.diagnostic) == (
        "capability.effect_scope.mismatch",
        "effects.contract.effect_scope_mismatch",
    )
    assert error.actual_stage() is StageId.STABLE
    assert registry.verify_capability_stage(
        "core.collections.audit", Exact("stable"), ["audit", "mem"]
    ).as_collections()


def test_a_disabled_capability_passes_no_check(registry):
    registry.disable("gc")
    assert not registry.is_enabled("gc")
    with pytest.raises(SecurityViolation):
        registry.verify_capability_stage("gc", "stable")
    assert registry.describe("gc").stage is StageId.STABLE
    registry.enable("gc")
    assert registry.verify_stage("gc", "stable") is StageId.STABLE


def test_missing_dependency_exists(registry):
    with pytest.raises(MissingDependency) as caught:
        registry.verify_dependencies("my.gc", ["gc", "b.missing", "a.missing"])
    assert caught.value.missing == ("a.missing", "b.missing")
    assert caught.value.code() == "runtime.capability.missing_dependency"
    with pytest.raises(MissingDependency):
        registry.register(gc(), depends_on=["a.missing"])
    assert "my.gc" not in registry
    registry.register(gc(), depends_on=["gc", "metrics.emit"])
    registry.verify_capability_stage("my.gc", "beta")
    registry.disable("metrics.emit")
    with pytest.raises(MissingDependency) as caught:
        registry.verify_capability_stage("my.gc", "beta")
    assert caught.value.missing == ("metrics.emit",)
    assert caught.value.actual_stage() is StageId.BETA


def test_a_plugin_needs_what_it_exposes(registry):
    descriptor = gc("plugin.geo", provider=Provider.plugin("geo", "1.2")).descriptor()
    registry.register(PluginCapability(descriptor, package="geo", exposed_capabilities=["geo.lookup"]))
    with pytest.raises(MissingDependency):
        registry.verify_capability_stage("plugin.geo", "beta")
    registry.register(SystemCapability(gc("geo.lookup", provider=Provider.plugin("geo", "1.2")).descriptor()))
    assert registry.verify_capability_stage("plugin.geo", "beta").as_plugin().package == "geo"


def test_a_missing_dependency_is_recorded(registry, sink):
    registry.register(gc(), depends_on=["metrics.emit"])
    registry.disable("metrics.emit")
    with pytest.raises(MissingDependency):
        registry.verify_capability_stage("my.gc", "beta")
    record = sink.taken[-1]
    assert (record.kind, record.metadata["capability.result"]) == ("capability_check", "error")
    assert record.metadata["capability.error.code"] == "runtime.capability.missing_dependency"
    assert record.metadata["effect.stage.actual"] == "beta"
    assert missing_keys(record) == []


def test_what_is_no_text_is_a_type_error(registry):
    for call in (registry.get, registry.describe, registry.verify_capability, registry.disable, registry.stage_of):
        for value in (7, None, b"gc"):
            with pytest.raises((TypeError, InvalidArgumentError)):
                call(value)
    with pytest.raises(TypeError):
        registry.verify_stage("gc", "stable", "memory")
    with pytest.raises(InvalidArgumentError):
        registry.get("a\0b")


def test_stage_of_is_the_highest_stage_among_enabled_capabilities(registry):
    """The user expects Stable for ``io.async``."""
    assert registry.stage_of("io.async") is StageId.STABLE
    assert registry.stage_of("gpu") is StageId.EXPERIMENTAL
    assert registry.stage_of("no.such.tag") is None
    registry.disable("async")
    registry.disable("runtime.async")
    assert registry.stage_of("io.async") is StageId.BETA


@pytest.mark.parametrize(
    ("guard", "id", "effects"),
    [("guard_io_capability", "io.fs.read", ["io", "fs.read"]), ("guard_time_capability", "core.time.timezone.lookup", ["time"]),
     ("guard_async_capability", "async", ["io.async"])],
)  # fmt: skip
def test_guards_keep_what_was_found(registry, guard, id, effects):  # noqa: A002
    found = getattr(registry, guard)(id, "at_least:beta", effects)
    assert found == CapabilityGuard(id, AtLeast("beta"), registry.describe(id).stage)
    assert found.satisfies("at_least:experimental")
    assert found.satisfies("exact:stable") == (found.actual_stage is StageId.STABLE)
    with pytest.raises(EffectScopeMismatch):
        getattr(registry, guard)(id, "at_least:beta", ["gpu"])


def test_unsafe_violation_exists(registry):
    with pytest.raises(UnsafeViolation) as caught:
        registry.guard_unsafe_capability("gpu", "experimental", ["gpu"], in_unsafe=False)
    assert caught.value.code() == "capability.unsafe.violation"
    assert (
        registry.guard_unsafe_capability("gpu", "experimental", ["gpu"], in_unsafe=True).actual_stage
        is StageId.EXPERIMENTAL
    )
    assert registry.guard_unsafe_capability("gc", "stable", in_unsafe=False)


def test_legacy_stable_restores_the_fallback_of_the_memo():
    registry = CapabilityRegistry(legacy_stable=True)
    assert registry.verify_stage("no.such", "at_least:beta", ["io"]) is StageId.STABLE
    handle = registry.verify_capability_stage("no.such", "stable")
    assert (handle.kind, handle.descriptor().stage) == ("none", StageId.STABLE)
    with pytest.raises(StageViolation) as caught:
        registry.verify_stage("no.such", "exact:beta")
    assert caught.value.actual_stage() is StageId.STABLE
    with pytest.raises(NotRegistered) as missing:
        registry.get("no.such")
    assert missing.value.actual_stage() is StageId.STABLE


def test_names_of_the_memo_work(registry):
    assert verify_stage_for_io("io.fs.read", AtLeast("stable"), ["io", "fs.read"], registry=registry) is StageId.STABLE
    guard = MetricsStageGuard(registry=registry)
    assert guard.stage is None
    assert guard.verify() is guard.stage is StageId.STABLE
    registry.disable("metrics.emit")
    with pytest.raises(SecurityViolation):
        guard.verify()
    assert guard.stage is None
    registry.enable("metrics.emit")
    assert guard.verify() is StageId.STABLE


# --- administration -----------------------------------------------------------------------------------------------------------


def test_enable_does_not_lift_a_stage(registry):
    with pytest.raises(StageViolation):
        registry.enable("gpu", "beta")
    registry.enable("gc", StageId.BETA)
    assert registry.describe("gc").stage is StageId.BETA
    registry.set_stage("gc", "stable")
    assert registry.describe("gc").stage is StageId.STABLE


def test_core_capabilities_are_not_taken_out(registry):
    with pytest.raises(SecurityViolation):
        registry.unregister("gc")
    registry.register(gc(provider=Provider.runtime_component("mine")))
    registry.unregister("my.gc")
    assert "my.gc" not in registry


def test_revoke_plugin_removes_its_entries_and_is_recorded(registry, sink):
    provider = Provider.plugin("geo", "1.2")
    registry.register(PluginCapability(gc("plugin.geo", provider=provider).descriptor(), package="geo"))
    registry.register(SystemCapability(gc("geo.lookup", provider=provider).descriptor()))
    registry.register(SystemCapability(gc("other.lookup", provider=Provider.plugin("other")).descriptor()))
    assert registry.revoke_plugin("plugin.geo") == ["plugin.geo", "geo.lookup"]
    assert "geo.lookup" not in registry
    assert "other.lookup" in registry
    [record] = sink.taken
    assert record.kind == "plugin.revoke"
    assert record.metadata["plugin.package"] == "geo"
    assert record.metadata["plugin.version"] == "1.2"
    assert record.metadata["plugin.capabilities"] == ["plugin.geo", "geo.lookup"]
    assert missing_keys(record) == []
    assert registry.revoke_plugin("other") == ["other.lookup"]
    for name in ("geo", "gc", "no.such"):
        with pytest.raises(NotRegistered):
            registry.revoke_plugin(name)


def test_custom_target_capabilities_become_known():
    source = '@cfg(capability = "acme.quantum")\nfn f() -> Int = 1\nfn main() -> Int = 1\n'
    with reml.Context() as context, pytest.raises(reml.LoadError) as caught:
        context.load(source)
    assert caught.value.code == "target.capability.unknown"
    registry = CapabilityRegistry.process()
    from reml_embed.target import CUSTOM_CAPABILITIES

    try:
        registry.register_custom_target_capability("acme.quantum")
        assert "acme.quantum" in registry.custom_target_capabilities
        with reml.Context() as context:
            context.load(source)
        with reml.Context(target={"known_capabilities": ["acme.other"]}) as context:
            context.load(source)
    finally:
        CUSTOM_CAPABILITIES.discard("acme.quantum")
    with pytest.raises(ValueError):
        registry.register_custom_target_capability("a,b")
    own = CapabilityRegistry()
    own.register_custom_target_capability("acme.quantum")
    with reml.Context(registry=own) as context:
        context.load(source)
    with reml.Context(registry=CapabilityRegistry()) as context, pytest.raises(reml.LoadError):
        context.load(source)


def test_runtime_capability_names_map_to_ids(registry):
    wanted = {"AsyncScheduler": "async", "ActorMailbox": "actor", "AsyncBackpressure": "async.backpressure",
              "DistributedActor": "async.distributed", "AsyncTracing": "tracing", "AsyncSupervisor": "async.supervisor"}  # fmt: skip
    assert {name: runtime_capability_id(name) for name in wanted} == wanted
    assert set(RUNTIME_CAPABILITIES) == {
        "SIMD",
        "HardwareRng",
        "CryptoExtensions",
        "GPU",
        "ThreadLocal",
        "AsyncScheduler",
        "AsyncBackpressure",
        "ActorMailbox",
        "DistributedActor",
        "AsyncTracing",
        "AsyncSupervisor",
        "Vector512",
        "RegexJit",
        "RegexMetrics",
    }
    assert runtime_capability_id("ExternalBridge(host.fs)") == "host.fs"
    with pytest.raises(KeyError):
        runtime_capability_id("Wizard")
    assert set(wanted) < set(registry.runtime_capabilities())
    registry.disable("async.distributed")
    assert "DistributedActor" not in registry.runtime_capabilities()


def test_transform_capability_manifest():
    manifest = {
        "capabilities": [
            {"id": "io.fs.read", "stage": "stable", "effect_scope": ["io", "fs.read"], "aliases": ["fs"]},
            {"id": "gpu", "stage": "exact:experimental"},
            {"id": "actor"},
        ],
        "stage_bounds": {"maximum": "beta"},
    }
    assert transform_capability_manifest(
        manifest, {"stage": "beta", "effect_scope": ["audit"], "stage_bounds": {"current": "beta"}}
    ) == {
        "requirements": [
            {"id": "io.fs.read", "stage": "exact:stable", "declared_effects": ["fs.read", "io"], "aliases": ["fs"]},
            {"id": "gpu", "stage": "exact:experimental", "declared_effects": ["audit"], "aliases": []},
            {"id": "actor", "stage": "exact:beta", "declared_effects": ["audit"], "aliases": []},
        ],
        "stage_bounds": {"minimum": "experimental", "current": "beta", "maximum": "beta"},
    }
    assert transform_capability_manifest({}) == {
        "requirements": [], "stage_bounds": {"minimum": "experimental", "current": "experimental", "maximum": "stable"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "manifest",
    [
        {"capabilities": [{"id": "gpu", "stage": "alpha"}]},
        {"stage_bounds": {"minimum": "alpha"}},
        {"stage_bounds": {"minimum": "stable", "maximum": "beta"}},
    ],
)
def test_a_bad_stage_of_a_manifest_is_a_stage_violation(manifest):
    with pytest.raises(StageViolation):
        transform_capability_manifest(manifest)
    with pytest.raises(FileError, match=r"\$\.capabilities\[0\]\.nope"):
        transform_capability_manifest({"capabilities": [{"id": "gpu", "nope": 1}]})


# --- 4.3 errors ---------------------------------------------------------------------------------------------------------------

#: CONTRACTS 4.3 as it is printed there.
TABLE = {
    "AlreadyRegistered": ("runtime.capability.already_registered", "runtime.capability.already_registered", "id"),
    "NotRegistered": ("runtime.capability.unknown", "runtime.capability.unknown", "id required"),
    "StageViolation": ("capability.stage.mismatch", "effects.contract.stage_mismatch", "id required actual descriptor"),
    "EffectScopeMismatch": (
        "capability.effect_scope.mismatch",
        "effects.contract.effect_scope_mismatch",
        "id required actual descriptor missing_effects",
    ),
    "MissingDependency": (
        "runtime.capability.missing_dependency",
        "runtime.capability.missing_dependency",
        "id missing",
    ),
    "ContractViolation": (
        "config.manifest.capability_contract",
        "config.manifest.capability_contract",
        "id required declared manifest_path source_span",
    ),
    "ManifestLoadFailure": (
        "config.manifest.capability_contract",
        "config.manifest.capability_contract",
        "manifest_path detail",
    ),
    "SecurityViolation": ("capability.security.violation", "capability.security.violation", "id descriptor reason"),
    "InvalidHandle": ("capability.handle.invalid", "capability.handle.invalid", "id expected actual"),
    "UnsafeViolation": ("capability.unsafe.violation", "capability.unsafe.violation", "id"),
}

DESCRIPTOR = CapabilityDescriptor(CapabilityId("my.cap"), StageId.BETA, ("io",))
SAMPLES = [
    AlreadyRegistered("my.cap"), NotRegistered("my.cap"), StageViolation("my.cap", AtLeast("stable"), StageId.BETA, DESCRIPTOR),
    EffectScopeMismatch("my.cap", ["io", "mem"], ["io"], DESCRIPTOR), MissingDependency("my.cap", ["b", "a"], DESCRIPTOR),
    ContractViolation("my.cap", required=None, declared=None, manifest_path="reml.toml", descriptor=DESCRIPTOR),
    ManifestLoadFailure("reml.toml", "no such file"), SecurityViolation("my.cap", "no", DESCRIPTOR), InvalidHandle("my.cap", "gc", "io", DESCRIPTOR),
    UnsafeViolation("my.cap", DESCRIPTOR),
]  # fmt: skip


def test_the_matrix_is_the_table_of_the_contract():
    assert {row.variant: (row.code, row.diagnostic, " ".join(row.fields)) for row in MATRIX} == TABLE
    assert [row.variant for row in MATRIX] == list(TABLE)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_each_error_offers_code_detail_and_actual_stage(error):
    assert isinstance(error, CapabilityError)
    assert isinstance(error, RemlError)
    assert error.code() == TABLE[type(error).__name__][0]
    assert isinstance(error.detail(), str)
    assert error.detail()
    assert "unknown" not in error.detail(), "a field of the sentence is missing"
    assert error.actual_stage() is (StageId.BETA if error.descriptor else None)
    assert list(error.fields()) == TABLE[type(error).__name__][2].split()
    json.dumps(error.fields())


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_capability_error_converts_into_runtime_error(error):
    """The open item of the memo: code, stage and descriptor are kept."""
    made = error.to_runtime_error()
    assert isinstance(made, RuntimeError)
    assert isinstance(made, builtins.RuntimeError)
    assert (made.code, made.stage, made.descriptor, made.capability) == (
        error.code(),
        error.actual_stage(),
        error.descriptor,
        error.id,
    )
    assert (made.diagnostic, made.detail, made.__cause__) == (error.diagnostic, error.detail(), error)


def test_kinds_of_the_library_and_of_python_are_the_same():
    for kind in errors.VARIANTS:
        assert ffi.string(lib.reml_capability_error_label(kind.KIND)).decode() == kind.__name__
    words = [ffi.string(lib.reml_capability_kind_label(number)).decode() for number in range(1, len(KINDS) + 1)]
    assert words == list(KINDS)
    assert ffi.string(lib.reml_capability_kind_label(len(KINDS) + 1)).decode() in {"unknown", "none"}


# --- 4.5 audit ------------------------------------------------------------------------------------------------------------------


def test_capability_check_of_a_success_has_every_key(registry, sink):
    registry.verify_capability_stage("gc", "at_least:beta", ["memory"])
    [record] = sink.taken
    assert (record.kind, record.category, record.capability) == ("capability_check", "capability", "gc")
    assert missing_keys(record) == []
    found = {key: value for key, value in record.metadata.items() if not key.startswith("audit.")}
    assert found == {
        "capability.id": "gc", "capability.ids": ["gc"], "capability.provider": "core", "capability.provider.kind": "core",
        "capability.result": "success", "effect.actual_capabilities": [{"id": "gc", "stage": "stable"}],
        "effect.actual_effects": ["memory", "runtime"], "effect.capability": "gc", "effect.capability_descriptor": {"id": "gc", "stage": "stable"},
        "effect.manifest_path": None, "effect.provider": "core", "effect.required_capabilities": [{"id": "gc", "stage": "at_least:beta"}],
        "effect.required_effects": ["memory"], "effect.stage.actual": "stable", "effect.stage.required": "at_least:beta",
        "event.domain": "runtime.capability", "event.kind": "capability_check", "schema.version": "3.0.0-alpha",
    }  # fmt: skip


#: CONTRACTS 4.5, byte for byte.
GOLDEN = '{"timestamp":"2026-03-02T08:22:41Z","category":"capability","envelope":{"audit_id":"c3b0b3a1-9f8a-44a9-8a3a-2b1b8e6e4a10","capability":"async.distributed","metadata":{"audit.channel":"runtime","audit.policy.version":"rust.poc.audit.v1","capability.error.code":"capability.stage.mismatch","capability.error.message":"stage experimental does not satisfy at_least:beta","capability.id":"async.distributed","capability.ids":["async.distributed"],"capability.provider":"core","capability.provider.kind":"core","capability.result":"error","effect.actual_capabilities":[{"id":"async.distributed","stage":"experimental"}],"effect.actual_effects":["io.async","network","security"],"effect.capability":"async.distributed","effect.capability_descriptor":{"id":"async.distributed","stage":"experimental"},"effect.manifest_path":null,"effect.provider":"core","effect.required_capabilities":[{"id":"async.distributed","stage":"at_least:beta"}],"effect.required_effects":["io.async","network"],"effect.stage.actual":"experimental","effect.stage.required":"at_least:beta","event.domain":"runtime.capability","event.kind":"capability_check","schema.version":"3.0.0-alpha"}}}'


def test_capability_check_of_a_stage_violation_is_the_line_of_the_contract(registry, sink):
    with pytest.raises(StageViolation):
        registry.verify_capability_stage("async.distributed", "at_least:beta", ["network", "io.async"])
    [record] = sink.taken
    record.data["timestamp"] = "2026-03-02T08:22:41Z"
    record.envelope["audit_id"] = "c3b0b3a1-9f8a-44a9-8a3a-2b1b8e6e4a10"
    assert record.to_json() == GOLDEN


def test_capability_check_of_an_effect_mismatch_names_what_is_missing(registry, sink):
    with pytest.raises(EffectScopeMismatch):
        registry.verify_capability_stage("gc", "stable", ["memory", "gpu"])
    [record] = sink.taken
    assert record.metadata["effect.missing_effects"] == ["gpu"]
    assert record.metadata["capability.error.code"] == "capability.effect_scope.mismatch"
    assert missing_keys(record) == []


def test_capability_check_of_an_unknown_id_is_complete(registry, sink):
    with pytest.raises(NotRegistered):
        registry.verify_capability_stage("no.such", "stable")
    [record] = sink.taken
    assert record.metadata["capability.error.code"] == "runtime.capability.unknown"
    assert record.metadata["effect.stage.actual"] == "unknown"
    assert missing_keys(record) == []


def test_capability_check_of_a_plugin_names_it(registry, sink):
    registry.register(SystemCapability(gc("geo.lookup", provider=Provider.plugin("geo", "1.2")).descriptor()))
    registry.verify_capability_stage("geo.lookup", "beta")
    [record] = sink.taken
    assert record.metadata["plugin.package"] == "geo"
    assert record.metadata["capability.provider.kind"] == "plugin"
    assert (
        record.metadata["effect.provider"]
        == record.metadata["capability.provider"]
        == str(Provider.plugin("geo", "1.2"))
    )


def test_records_wait_in_the_registry_that_was_told_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv("REML_EMBED_AUDIT_PATH", raising=False)
    registry = CapabilityRegistry()
    registry.verify_stage("gc", "stable")
    with pytest.raises(StageViolation):
        registry.verify_stage("gc", "beta")
    assert [Record(row).metadata["capability.result"] for row in registry.drain()] == ["success", "error"]
    assert registry.drain() == []
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(tmp_path / "log.ndjson"))
    registry.verify_stage("gc", "stable")
    assert registry.drain() == []
    assert "capability_check" in (tmp_path / "log.ndjson").read_text()
    assert reml.audit.verify(tmp_path / "log.ndjson").ok


def test_a_log_that_takes_nothing_refuses_the_check(registry, sink):
    sink.failing = True
    for requirement in ("stable", "beta"):
        with pytest.raises(Exception) as caught:
            registry.verify_stage("gc", requirement)
        assert not isinstance(caught.value, CapabilityError)
    sink.failing = False
    assert registry.verify_stage("gc", "stable") is StageId.STABLE


def test_a_check_for_a_context_is_recorded_in_its_log_and_not_twice(registry, sink):
    with reml.Context() as context:
        context.drain()
        registry.verify_capability_stage("gc", "stable", context=context)
        with pytest.raises(StageViolation):
            registry.verify_capability_stage("gc", "beta", context=context)
        records = [Record(row) for row in context.drain()]
    assert [record.metadata["capability.result"] for record in records if record.kind == "capability_check"] == [
        "success",
        "error",
    ]
    assert all(missing_keys(record) == [] for record in records)
    assert sink.taken == []


# --- threads --------------------------------------------------------------------------------------------------------------------


def test_registry_is_safe_under_concurrent_register_and_get():
    registry, problems = CapabilityRegistry(), []
    threads, rounds = 6, 60
    start = threading.Barrier(threads)

    def work(number):
        try:
            start.wait()
            for turn in range(rounds):
                registry.register(gc(f"t{number}.n{turn}"))
                assert registry.get(f"t{number}.n{turn}").as_gc().strategy == "rc"
                registry.verify_capability_stage(f"t{number}.n{turn}", "beta", ["memory"])
                shared = f"shared.n{turn}"
                with contextlib.suppress(AlreadyRegistered):
                    registry.register(gc(shared))
                assert registry.describe(shared).stage is StageId.BETA
                registry.disable("console")
                registry.enable("console")
                rows = [row.id for row in registry.describe_all() if row.id.startswith(f"t{number}.")]
                assert rows == [f"t{number}.n{past}" for past in range(turn + 1)]
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert problems == []
    ids = [row.id for row in registry.describe_all()]
    assert len(ids) == len(set(ids)) == len(CapabilityRegistry()) + threads * rounds + rounds
    assert len(registry.drain()) == threads * rounds


def test_only_one_of_many_registers_an_id():
    registry, won = CapabilityRegistry(empty=True), []
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        try:
            registry.register(GcCapability(DESCRIPTOR, strategy=str(number)))
            won.append(number)
        except AlreadyRegistered:
            pass

    running = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(won) == 1
    assert registry.get("my.cap").as_gc().strategy == str(won[0])


# --- 2.7 ------------------------------------------------------------------------------------------------------------------------


def test_an_ffi_capability_that_passes_the_checklist_registers(empty):
    empty.register(FfiCapability(ffi_descriptor()))
    assert empty.get("my.ffi").as_ffi().verify_abi


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"effect_scope": ("audit", "ffi")}, "security"), ({"effect_scope": ("ffi", "security")}, "audit"), ({"effect_scope": ("audit", "security")}, "ffi"),
     ({"audit_required": False}, "audit_required"), ({"sandbox_profile": None}, "sandbox profile"), ({"permissions": ()}, "verify_abi"),
     ({"permissions": (Permission("runtime", "other"),)}, "verify_abi"), ({"policy": None}, "policy")],
)  # fmt: skip
def test_an_ffi_capability_that_fails_the_checklist_is_a_security_violation(empty, change, reason):
    with pytest.raises(SecurityViolation) as caught:
        empty.register(FfiCapability(ffi_descriptor(**change)))
    assert reason in caught.value.reason
    assert "my.ffi" not in empty
