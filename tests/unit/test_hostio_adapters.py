"""The guarded door to files: the table of CONTRACTS 6.2, asked each time, refusals recorded twice."""

import pytest

import reml_embed as reml
from reml_embed import hostio
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.audit.kinds import missing_keys
from reml_embed.hostio import GUARDS, OPERATIONS, IoContext, IoError, IoErrorKind, PathSecurityError, PathSecurityKind
from reml_embed.registry.capability import CapabilityRegistry, NotRegistered, SecurityViolation, StageViolation

TABLE = {
    "ensure_read": ("io.fs.read", "at_least:beta", {"io", "fs.read"}),
    "ensure_write": ("io.fs.write", "at_least:beta", {"io", "fs.write"}),
    "ensure_permissions_read": ("fs.permissions.read", "exact:stable", {"io", "security"}),
    "ensure_permissions_modify": ("fs.permissions.modify", "exact:stable", {"io", "security"}),
    "ensure_symlink_query": ("fs.symlink.query", "at_least:beta", {"io", "fs.symlink"}),
    "ensure_symlink_modify": ("fs.symlink.modify", "exact:stable", {"io", "fs.symlink", "security"}),
    "ensure_security_policy": ("security.fs.policy", "exact:stable", {"security"}),
    "ensure_buffered_io_capability": ("memory.buffered_io", "at_least:beta", {"mem"}),
    "watcher.fschange": ("fs.watcher.native", "at_least:beta", {"io", "watcher"}),
    "watcher.recursive": ("fs.watcher.recursive", "exact:stable", {"io", "watcher"}),
    "watcher.resource_limits": ("watcher.resource_limits", "at_least:beta", {"io", "watcher"}),
}


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def checks():
    return MemorySink()


@pytest.fixture
def registry(checks):
    return CapabilityRegistry(audit=AuditContext(checks))


@pytest.fixture
def host(registry, sink):
    return hostio.Host(registry=registry, audit=sink)


def test_the_guards_are_those_of_the_contract():
    assert {row.name: (row.capability, row.requirement, set(row.effects)) for row in GUARDS.values()} == TABLE


def ask(host, name):
    if name.startswith("watcher."):
        return host.watcher.ensure_watcher_feature(name)
    return getattr(host.fs, name)()


@pytest.mark.parametrize("name", TABLE)
def test_each_guard_asks_the_registry_and_the_registry_records(host, checks, name):
    found = ask(host, name)
    capability, requirement, effects = TABLE[name]
    assert (found.capability, str(found.requirement)) == (capability, requirement)
    [record] = checks.taken
    assert record.metadata["capability.id"] == capability
    assert record.metadata["effect.stage.required"] == requirement
    assert set(record.metadata["effect.required_effects"]) == effects


@pytest.mark.parametrize("alias", ["ensure_read_capability", "ensure_write_capability"])
def test_the_aliases_are_the_same(host, alias):
    assert getattr(host.fs, alias)().capability == TABLE[alias.removesuffix("_capability")][0]


@pytest.mark.parametrize("name", TABLE)
def test_a_failed_stage_check_is_recorded_twice(host, registry, sink, name):
    capability, requirement, _ = TABLE[name]
    registry.set_stage(capability, "experimental")
    with pytest.raises(IoError) as found:
        ask(host, name)
    assert found.value.kind is IoErrorKind.SecurityViolation
    assert isinstance(found.value.cause, StageViolation)
    first, second = sink.taken
    assert (first.kind, first.metadata["io.error.kind"], first.metadata["error.code"]) == (
        "core.io.error", "SecurityViolation", "core.io.security_violation",
    )  # fmt: skip
    assert (second.kind, second.metadata["error.code"]) == ("diagnostic.emitted", "effects.contract.stage_mismatch")
    assert first.audit_id == second.audit_id
    for record in (first, second):
        assert record.metadata["bridge.stage.required"] == requirement
        assert record.metadata["bridge.stage.actual"] == "experimental"
        assert record.metadata["io.capability"] == capability
        assert missing_keys(record) == []
    assert second.metadata["effect.stage.actual"] == "experimental"
    assert second.data["extensions"]["io"] == first.data["extensions"]["io"]


def test_exact_stable_is_not_satisfied_by_beta_and_at_least_beta_is(host, registry):
    for capability, *_ in TABLE.values():
        registry.set_stage(capability, "beta")
    for name, (_, requirement, _) in TABLE.items():
        if requirement == "exact:stable":
            with pytest.raises(IoError):
                ask(host, name)
        else:
            ask(host, name)


@pytest.mark.parametrize(("change", "cause"), [
    (lambda registry: registry.disable("io.fs.read"), SecurityViolation),
    (lambda registry: registry.set_stage("io.fs.read", "experimental"), StageViolation),
])  # fmt: skip
def test_no_answer_is_kept_across_changes_of_the_registry(host, registry, tmp_path, change, cause):
    (tmp_path / "a").write_bytes(b"12345")
    with (
        hostio.open(tmp_path / "a", host=host) as reader,
        hostio.buffered(hostio.open(tmp_path / "a", host=host), 2) as lines,
    ):
        assert reader.read(1) == b"1"
        assert lines.read(1) == b"1"
        change(registry)
        for use in (lambda: reader.read(1), lambda: hostio.open(tmp_path / "a", host=host), lambda: lines.read_line(),
                    lambda: hostio.copy(reader, hostio.bytes_writer(host=host))):  # fmt: skip
            with pytest.raises(IoError) as found:
                use()
            assert found.value.kind is IoErrorKind.SecurityViolation
            assert isinstance(found.value.cause, cause)
        registry.enable("io.fs.read", "experimental")
        registry.set_stage("io.fs.read", "stable")
        assert reader.read(1) == b"2"


def test_a_writer_loses_its_right_in_the_middle(host, registry, tmp_path):
    with hostio.create(tmp_path / "a", host=host) as writer:
        writer.write(b"x")
        registry.disable("io.fs.write")
        for use in (lambda: writer.write(b"y"), writer.flush, lambda: hostio.sync(writer)):
            with pytest.raises(IoError) as found:
                use()
            assert found.value.kind is IoErrorKind.SecurityViolation
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_capability_that_is_not_there_is_an_error(sink, tmp_path):
    host = hostio.Host(registry=CapabilityRegistry(empty=True), audit=sink)
    (tmp_path / "a").touch()
    with pytest.raises(IoError) as found:
        hostio.open(tmp_path / "a", host=host)
    assert isinstance(found.value.cause, NotRegistered)
    assert [record.metadata["error.code"] for record in sink.taken] == [
        "core.io.security_violation",
        "runtime.capability.unknown",
    ]
    assert [missing_keys(record) for record in sink.taken] == [[], []]


def test_paths_say_capability_denied(host, registry, sink, tmp_path):
    registry.set_stage("security.fs.policy", "beta")
    with pytest.raises(PathSecurityError) as found:
        hostio.validate_path(tmp_path, hostio.SecurityPolicy((str(tmp_path),)), host=host)
    assert (found.value.kind, found.value.reason) == (PathSecurityKind.CapabilityDenied, "capability_denied")
    assert found.value.code == "core.path.security.capability_denied"
    first, second = sink.taken
    assert first.metadata["io.error.kind"] == "SecurityViolation"
    assert first.metadata["security.capability"] == "security.fs.policy"
    assert second.metadata["error.code"] == "effects.contract.stage_mismatch"


def touch_nothing(*_, **__):
    raise AssertionError("the system was touched")


@pytest.mark.parametrize("use", [
    lambda path, host: hostio.open(path, host=host), lambda path, host: hostio.create(path, host=host),
    lambda path, host: hostio.metadata(path, host=host), lambda path, host: hostio.remove(path, host=host),
    lambda path, host: hostio.sync(path, host=host), lambda path, host: hostio.permissions(path, host=host),
    lambda path, host: hostio.set_permissions(path, 0o600, host=host), lambda path, host: hostio.read_link(path, host=host),
    lambda path, host: hostio.symlink("x", path, host=host), lambda path, host: hostio.glob(path, host=host),
    lambda path, host: hostio.sandbox_path(path, "/", host=host), lambda path, host: hostio.is_safe_symlink(path, "/", host=host),
    lambda path, host: hostio.validate_path(path, hostio.SecurityPolicy(("/",)), host=host),
    lambda path, host: hostio.with_reader(path, touch_nothing, host=host), lambda path, host: hostio.watch(path, host=host),
    lambda path, host: hostio.bytes_writer(host=host),
])  # fmt: skip
def test_every_operation_asks_before_it_touches_the_system(sink, tmp_path, monkeypatch, use):
    import os

    host, error = hostio.Host(registry=CapabilityRegistry(empty=True), audit=sink), None
    with monkeypatch.context() as patch:  # pytest uses them, too
        for name in ("open", "stat", "lstat", "unlink", "readlink", "symlink", "scandir"):
            real = getattr(os, name)
            patch.setattr(
                os,
                name,
                lambda *a, _real=real, **k: (
                    touch_nothing() if str(tmp_path) in map(str, a) or "/" in a else _real(*a, **k)
                ),
            )
        try:
            use(str(tmp_path), host)
        except hostio.IoFailure as refused:
            error = refused
    assert error is not None
    assert error.kind_name is IoErrorKind.SecurityViolation


def test_watchers_are_for_three_systems(host, sink):
    host.watcher.platform = "sunos5"
    with pytest.raises(IoError) as found:
        host.watcher.ensure_watcher_feature("watcher.recursive")
    assert (found.value.kind, found.value.code) == (IoErrorKind.UnsupportedPlatform, "core.io.unsupported_platform")
    assert sink.taken[0].metadata["io.feature"] == "watcher.recursive"
    for platform in ("linux", "darwin", "win32"):
        host.watcher.platform = platform
        host.watcher.ensure_watcher_feature("watcher.recursive")


@pytest.mark.parametrize("feature", ["watcher", "watcher.magic", "ensure_read", ""])
def test_an_unknown_feature_is_refused(host, feature):
    with pytest.raises(IoError) as found:
        host.watcher.ensure_watcher_feature(feature)
    assert found.value.kind is IoErrorKind.InvalidInput


def test_a_guard_of_the_table_stands_before_every_operation():
    assert {name for row in OPERATIONS.values() for name in row.guards} == set(GUARDS)
    assert all(row.helper for row in OPERATIONS.values())


def test_grants_of_a_context_count_and_its_log_gets_the_records(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    log = MemorySink()
    with reml.Context(audit=log, grants=["io.fs.read"]) as context:
        host = hostio.Host(context=context)
        assert hostio.with_reader(tmp_path / "a", lambda reader: reader.read(9), host=host) == b"x"
        with pytest.raises(IoError) as found:
            hostio.create(tmp_path / "b", host=host)
        assert found.value.kind is IoErrorKind.SecurityViolation
    assert not (tmp_path / "b").exists()
    kinds = [record["envelope"]["metadata"]["event.kind"] for record in log.records]
    assert kinds.count("core.io.operation") == 3
    assert "core.io.error" in kinds
    assert "capability_check" in kinds


def test_without_words_records_go_where_the_registry_records(registry, checks, tmp_path):
    with pytest.raises(IoError):
        hostio.open(tmp_path / "missing", host=hostio.Host(registry=registry))
    assert checks.kinds == ["capability_check", "core.io.error"]


def test_an_adapter_names_what_it_is_asked_for(host):
    about = IoContext("reader.read", "mine", "a")
    host.fs.ensure_read(about)
    assert (about.capability, about.stage_required, about.stage_actual) == ("io.fs.read", "at_least:beta", "stable")
