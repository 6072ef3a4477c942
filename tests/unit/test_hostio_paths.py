"""Paths of hosts: names, patterns, policies, links (CONTRACTS 6.1, 6.2)."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reml_embed import hostio
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.hostio import IoError, IoErrorKind, PathSecurityError, PathSecurityKind, SecurityPolicy
from reml_embed.hostio.paths import beneath, check
from reml_embed.registry.capability import CapabilityRegistry

CODES = {
    PathSecurityKind.InvalidInput: "core.path.security.invalid", PathSecurityKind.SandboxViolation: "core.path.security.violation",
    PathSecurityKind.SymlinkViolation: "core.path.security.symlink", PathSecurityKind.Io: "core.path.security.io_error",
}  # fmt: skip


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def host(sink):
    return hostio.Host(registry=CapabilityRegistry(audit=AuditContext(MemorySink())), audit=sink)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"inside")
    (root / "sub" / "b.txt").write_bytes(b"b")
    (tmp_path / "secret").write_bytes(b"secret")
    return root


# --- names ---


def test_paths_are_names():
    assert hostio.path("a/b") == Path("a/b")
    assert hostio.join("a", "b", "c.txt") == Path("a/b/c.txt")
    assert hostio.parent("/a/b") == Path("/a")
    assert hostio.parent("a") == Path()
    assert hostio.parent("/") is None
    assert (hostio.is_absolute("/a"), hostio.is_absolute("a")) == (True, False)


@pytest.mark.parametrize(("given_", "normal"), [
    ("a/./b//c", "a/b/c"), ("a/b/../c", "a/c"), ("../a", "../a"), ("a/../../b", "../b"), ("/../a", "/a"), ("//a/b", "/a/b"), ("a/..", "."),
    (".", "."), ("/", "/"), ("a/", "a"),
])  # fmt: skip
def test_normalize_is_by_the_text_alone(given_, normal):
    assert str(hostio.normalize(given_)) == normal


@pytest.mark.parametrize("bad", ["", "a\0", b"\0"])
@pytest.mark.parametrize(
    "use", [hostio.path, hostio.parent, hostio.normalize, hostio.is_absolute, lambda p: hostio.join("a", p)]
)
def test_names_that_are_none(use, bad):
    with pytest.raises(IoError) as found:
        use(bad)
    assert (found.value.kind, found.value.code) == (IoErrorKind.InvalidInput, "core.path.error")


# --- validate_path ---


def refused(path, policy, host, reason):
    with pytest.raises(PathSecurityError) as found:
        hostio.validate_path(path, policy, host=host)
    error = found.value
    assert error.reason == reason
    assert error.code == CODES[error.kind]
    return error


def test_relative_paths_are_refused_unless_allowed(host, sink, root, monkeypatch):
    error = refused("a.txt", SecurityPolicy((str(root),), name="strict"), host, "relative_path_denied")
    assert error.kind is PathSecurityKind.InvalidInput
    [record] = sink.taken
    assert record.kind == "core.io.error"
    metadata = record.metadata
    assert (metadata["security.path"], metadata["security.root"], metadata["security.reason"]) == (
        "a.txt",
        str(root),
        "relative_path_denied",
    )
    assert (metadata["security.policy"], len(metadata["security.policy_digest"])) == ("strict", 64)
    assert metadata["security.capability"] == "security.fs.policy"
    monkeypatch.chdir(root)
    assert hostio.validate_path("a.txt", SecurityPolicy((str(root),), allow_relative=True), host=host) == root / "a.txt"


@pytest.mark.parametrize(
    "path", ["{root}/../secret", "{root}/sub/../../secret", "/../etc/passwd", "{root}/sub/../../root2/x", "{root}/.."]
)
def test_traversal_is_detected(host, root, path):
    error = refused(path.format(root=root), SecurityPolicy((str(root),)), host, "traversal_detected")
    assert error.kind is PathSecurityKind.SandboxViolation


def test_relative_traversal_is_detected(host, root, monkeypatch):
    monkeypatch.chdir(root)
    refused("../secret", SecurityPolicy((str(root),), allow_relative=True), host, "traversal_detected")


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}2/x", "{root}x", "/"])
def test_paths_outside_the_roots_are_refused(host, root, path):
    refused(path.format(root=root), SecurityPolicy((str(root),)), host, "outside_allowed_root")


def test_without_roots_nothing_is_allowed(host, root):
    refused(str(root / "a.txt"), SecurityPolicy(()), host, "outside_allowed_root")


@pytest.mark.parametrize("bad", ["", "a\0b", "/\ud800"])
def test_what_is_no_path_is_refused(host, root, bad):
    refused(bad, SecurityPolicy((str(root),)), host, "invalid_path")


def test_paths_inside_are_answered_without_dots(host, root, sink):
    policy = SecurityPolicy(("/nowhere", str(root)))
    assert hostio.validate_path(f"{root}/../root/a.txt", policy, host=host) == root / "a.txt"
    assert hostio.validate_path(f"{root}/sub/./../a.txt", policy, host=host) == root / "a.txt"
    assert hostio.validate_path(f"{root}/new/deep/file", policy, host=host) == root / "new" / "deep" / "file"
    assert hostio.validate_path(root, policy, host=host) == root
    assert {record.metadata["io.operation"] for record in sink.taken} == {"path.validate"}


def test_links_are_refused_unless_allowed(host, root):
    (root / "link").symlink_to("sub")
    for path in (root / "link", root / "link" / "b.txt"):
        error = refused(str(path), SecurityPolicy((str(root),)), host, "symlink_denied")
        assert error.offending_path == str(root / "link")
        assert hostio.validate_path(path, SecurityPolicy((str(root),), allow_symlinks=True), host=host).is_relative_to(
            root / "sub"
        )


@pytest.mark.parametrize(("target", "reason"), [
    ("/etc", "symlink_absolute_target"), ("../secret", "symlink_traversal"), ("sub/../../secret", "symlink_traversal"),
    ("link", "symlink_inspection_failed"), ("second", "symlink_inspection_failed"), ("{root}/a.txt", "symlink_absolute_target"),
])  # fmt: skip
def test_unsafe_links_are_refused_though_links_are_allowed(host, root, target, reason):
    (root / "link").symlink_to(target.format(root=root))
    (root / "second").symlink_to("link")
    for path in ("link", "second", "second/x"):
        error = refused(str(root / path), SecurityPolicy((str(root),), allow_symlinks=True), host, reason)
        assert error.kind is PathSecurityKind.SymlinkViolation


def test_dots_behind_a_link_lead_where_the_link_leads(host, root):
    """`link/..` is the folder above its target; by the text alone it would be the root."""
    (root / "sub" / "deep").mkdir()
    (root / "link").symlink_to("sub/deep")
    policy = SecurityPolicy((str(root),), allow_symlinks=True)
    assert hostio.validate_path(f"{root}/link/../b.txt", policy, host=host) == root / "sub" / "b.txt"


def test_a_root_behind_a_link_is_a_root(host, root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    policy = SecurityPolicy((str(tmp_path / "alias"),))
    assert hostio.validate_path(tmp_path / "alias" / "a.txt", policy, host=host) == tmp_path / "alias" / "a.txt"
    assert hostio.validate_path(root / "a.txt", policy, host=host).read_bytes() == b"inside"


def test_a_root_that_cannot_be_opened_is_an_io_error(host, tmp_path):
    refused(str(tmp_path / "none" / "x"), SecurityPolicy((str(tmp_path / "none"),)), host, "io_error")


@pytest.mark.parametrize("roots", [("relative",), ("",)])
def test_roots_that_are_none(roots):
    with pytest.raises((ValueError, IoError)):
        SecurityPolicy(roots)
    with pytest.raises(TypeError):
        SecurityPolicy("/srv")


def test_policies_differ_by_their_digest(root):
    digests = {
        SecurityPolicy((str(root),), allow_relative=a, allow_symlinks=b).digest
        for a in (True, False)
        for b in (True, False)
    }
    assert len(digests) == 4


@given(st.lists(st.sampled_from(["..", ".", "a", "sub", "", "b.txt", "…", "root"]), max_size=8))
def test_whatever_is_allowed_lies_below_the_root(parts):
    root = "/usr/share"
    try:
        found = check("/usr/share/" + "/".join(parts), SecurityPolicy((root,)))
    except PathSecurityError as error:
        assert error.reason in ("traversal_detected", "outside_allowed_root", "symlink_denied")
    else:
        assert os.path.normpath(found) == str(found)
        assert str(found) == root or str(found).startswith(root + "/")


# --- sandbox_path, is_safe_symlink ---


def test_sandbox_path_joins_and_checks_again(host, root):
    assert hostio.sandbox_path("sub/b.txt", root, host=host) == root / "sub" / "b.txt"
    assert hostio.sandbox_path(root / "a.txt", root, host=host) == root / "a.txt"
    (root / "out").symlink_to("..")
    for path, reason in (("../secret", "traversal_detected"), ("sub/../../secret", "traversal_detected"), ("/etc/passwd", "outside_allowed_root"),
                         ("out/secret", "symlink_traversal"), ("", "invalid_path")):  # fmt: skip
        with pytest.raises(PathSecurityError) as found:
            hostio.sandbox_path(path, root, host=host)
        assert found.value.reason == reason


def test_safe_links_are_safe(host, root):
    (root / "sub" / "up").symlink_to("../a.txt")
    (root / "dangling").symlink_to("not/yet/there")
    (root / "chain").symlink_to("sub/up")
    for name in ("sub/up", "dangling", "chain"):
        assert hostio.is_safe_symlink(root / name, root, host=host) is True


@pytest.mark.parametrize(("target", "reason"), [
    ("/etc/passwd", "symlink_absolute_target"), ("../../secret", "symlink_traversal"), ("../sub/../../secret", "symlink_traversal"),
    ("loop", "symlink_inspection_failed"), (None, "symlink_inspection_failed"),
])  # fmt: skip
def test_unsafe_links_have_their_reason(host, root, target, reason):
    link = root / "sub" / "loop"
    link.write_bytes(b"") if target is None else link.symlink_to(target)
    with pytest.raises(PathSecurityError) as found:
        hostio.is_safe_symlink(link, root, host=host)
    assert found.value.reason == reason
    assert found.value.code == "core.path.security.symlink"


def test_a_link_that_is_not_there_or_not_below_the_root(host, root, tmp_path):
    for link, reason in ((root / "none", "symlink_inspection_failed"), (tmp_path / "x", "outside_allowed_root")):
        with pytest.raises(PathSecurityError) as found:
            hostio.is_safe_symlink(link, root, host=host)
        assert found.value.reason == reason


# --- opening below a root ---


def test_files_of_a_host_with_a_policy_are_opened_below_its_roots(host, root):
    home = hostio.Host(registry=host.fs.registry, audit=host.trail.audit, policy=SecurityPolicy((str(root),)))
    assert hostio.with_reader(root / "a.txt", lambda reader: reader.read(9), host=home) == b"inside"
    (root / "link").symlink_to("../secret")
    uses = [hostio.open, hostio.create, hostio.metadata, hostio.sync, hostio.permissions]
    for use in uses:
        for path, reason in ((root / "link", "symlink_denied"), (root.parent / "secret", "outside_allowed_root"), ("a.txt", "relative_path_denied"),
                             (f"{root}/../secret", "traversal_detected")):  # fmt: skip
            with pytest.raises(PathSecurityError) as found:
                use(path, host=home)
            assert found.value.reason == reason
    hostio.remove(root / "link", host=home)  # the link itself
    assert (root.parent / "secret").read_bytes() == b"secret"
    assert not (root / "link").is_symlink()


def test_nobody_gets_out_by_swapping_a_folder_for_a_link(host, root):
    """Checking and opening are one: while another thread swaps the folder, no read ever sees the file outside."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "b.txt").write_bytes(b"SECRET")
    home = hostio.Host(registry=host.fs.registry, audit=AuditContext(MemorySink()), policy=SecurityPolicy((str(root),)))
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(root / "sub", root / "aside")
            os.symlink(outside, root / "sub")
            os.unlink(root / "sub")
            os.rename(root / "aside", root / "sub")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(400):
            try:
                seen.add(hostio.with_reader(root / "sub" / "b.txt", lambda reader: reader.read(9), host=home))
            except hostio.IoFailure as error:
                seen.add(error.kind_name)
    finally:
        stop.set()
        thread.join()
    assert b"SECRET" not in seen
    assert seen <= {b"b", IoErrorKind.NotFound, IoErrorKind.SecurityViolation, IoErrorKind.InvalidInput}


def test_a_last_name_that_becomes_a_link_is_not_followed(root):
    with beneath(root / "a.txt", SecurityPolicy((str(root),))) as (folder, name):
        os.unlink(root / "a.txt")
        os.symlink("../secret", root / "a.txt")
        with pytest.raises(OSError):
            os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)


def test_no_descriptor_is_left(host, root):
    before = len(os.listdir("/proc/self/fd"))
    for path in ("sub/b.txt", "../x", "none/x", "sub/../../x", "sub"):
        try:
            hostio.sandbox_path(path, root, host=host)
        except PathSecurityError:
            pass
    assert len(os.listdir("/proc/self/fd")) == before


# --- glob ---


@pytest.fixture
def tree(tmp_path):
    for name in ("b.txt", "a.txt", "A.TXT", ".hidden.txt", "sub/c.txt", "sub/deep/d.txt", "sub/.git/e.txt", "été.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(("pattern", "names"), [
    ("*.txt", ["a.txt", "b.txt", "été.txt"]), ("*.TXT", ["A.TXT"]), ("[ab].txt", ["a.txt", "b.txt"]), ("[!a].txt", ["b.txt"]), ("?.txt", ["a.txt", "b.txt"]),
    ("**/*.txt", ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt", "été.txt"]), ("sub/**", ["sub/c.txt", "sub/deep", "sub/deep/d.txt"]), (".*", [".hidden.txt"]),
    ("sub/*/d.txt", ["sub/deep/d.txt"]), ("none/*", []), ("a.txt", ["a.txt"]), ("a.txt/*", []), ("sub/../a.txt", ["sub/../a.txt"]), ("**/deep/*", ["sub/deep/d.txt"]),
])  # fmt: skip
def test_glob_is_case_sensitive_and_sorted(host, tree, monkeypatch, pattern, names):
    monkeypatch.chdir(tree)
    assert [str(path) for path in hostio.glob(pattern, host=host)] == names
    assert [str(path) for path in hostio.glob(tree / pattern, host=host)] == [f"{tree}/{name}" for name in names]


def test_a_glob_record_has_pattern_helper_and_no_offending_path(host, sink, tree):
    hostio.glob(tree / "*.txt", host=host)
    [record] = sink.taken
    assert record.kind == "core.path.glob"
    assert record.metadata["io.glob.pattern"] == f"{tree}/*.txt"
    assert record.metadata["io.helper"] == "path.glob"
    assert "io.glob.offending_path" not in record.metadata
    assert record.metadata["io.effects.predicate_calls"] == 3


@pytest.mark.parametrize(("pattern", "code"), [
    ("a[", "core.path.glob.invalid_pattern"), ("a[]", "core.path.glob.invalid_pattern"), ("a**/b", "core.path.glob.invalid_pattern"),
    ("**b", "core.path.glob.invalid_pattern"), ("", "core.path.glob.invalid_input"), ("a\0*", "core.path.glob.invalid_input"),
])  # fmt: skip
def test_patterns_that_are_none(host, sink, pattern, code):
    with pytest.raises(IoError) as found:
        hostio.glob(pattern, host=host)
    assert (found.value.kind, found.value.code) == (IoErrorKind.InvalidInput, code)
    [record] = sink.taken
    assert record.kind == "core.path.glob"
    assert record.metadata["io.glob.offending_path"] is not None
    assert record.metadata["error.code"] == code


def test_a_folder_that_cannot_be_read_is_named(host, sink, tree, monkeypatch):
    scandir = os.scandir

    def refuse(folder):
        if str(folder).rstrip("/").endswith("sub"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(IoError) as found:
        hostio.glob(tree / "**" / "*.txt", host=host)
    assert (found.value.kind, found.value.code) == (IoErrorKind.PermissionDenied, "core.path.glob.io_error")
    assert sink.taken[-1].metadata["io.glob.offending_path"].rstrip("/") == str(tree / "sub")


def test_glob_ends_with_loops_of_links_and_many_stars(host, tree):
    (tree / "sub" / "loop").symlink_to("..")
    found = hostio.glob(f"{tree}/**/**/**/*.txt", host=host)
    assert len(found) == len(set(found)) == 5
    assert len(hostio.glob(f"{tree}/sub/loop/*.txt", host=host)) == 3


def test_names_that_are_no_utf8_are_found(host, tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.txt", "wb"):
        pass
    [found] = hostio.glob(tmp_path / "*.txt", host=host)
    assert os.fsencode(found).endswith(b"/\xff.txt")


def test_globs_of_a_host_with_a_policy_stay_inside(host, sink, root):
    (root / "out").symlink_to("..")
    home = hostio.Host(registry=host.fs.registry, audit=sink, policy=SecurityPolicy((str(root),)))
    assert [path.name for path in hostio.glob(f"{root}/*", host=home)] == ["a.txt", "sub"]
    assert hostio.glob(f"{root}/*/secret", host=home) == []
    with pytest.raises(PathSecurityError) as found:
        hostio.glob(f"{root}/../*", host=home)
    assert found.value.reason == "traversal_detected"
    assert sink.taken[-1].metadata["io.glob.offending_path"] == f"{root}/.."


# --- links that a host makes, and new files, below a root ---


@pytest.mark.parametrize(("target", "reason"), [
    ("a.txt", None), ("../a.txt", "symlink_traversal"), ("/etc/passwd", "symlink_absolute_target"), ("sub/../../secret", "symlink_traversal"), ("", "invalid_path"),
])  # fmt: skip
def test_links_below_a_root_lead_below_it(host, root, target, reason):
    home = hostio.Host(
        registry=host.fs.registry, audit=host.trail.audit, policy=SecurityPolicy((str(root),), allow_symlinks=True)
    )
    if reason is None:
        hostio.symlink(target, root / "link", host=home)
        hostio.symlink("../a.txt", root / "sub" / "link", host=home)
        assert hostio.with_reader(root / "sub" / "link", lambda reader: reader.read(9), host=home) == b"inside"
        return
    with pytest.raises(PathSecurityError) as found:
        hostio.symlink(target, root / "link", host=home)
    assert found.value.reason == reason
    assert not os.path.lexists(root / "link")


def test_a_policy_without_links_makes_none(host, root):
    home = hostio.Host(registry=host.fs.registry, audit=host.trail.audit, policy=SecurityPolicy((str(root),)))
    with pytest.raises(PathSecurityError) as found:
        hostio.symlink("a.txt", root / "link", host=home)
    assert found.value.reason == "symlink_denied"


def test_new_files_below_a_root(host, root):
    home = hostio.Host(registry=host.fs.registry, audit=host.trail.audit, policy=SecurityPolicy((str(root),)))
    with hostio.create(root / "sub" / "new", hostio.FileOptions(permissions=0o600), host=home) as writer:
        writer.write(b"x")
    hostio.set_permissions(root / "sub" / "new", 0, host=home)
    hostio.set_permissions(root / "sub" / "new", 0o640, host=home)
    assert hostio.permissions(root / "sub" / "new", host=home) == 0o640
    with pytest.raises(IoError) as found:
        hostio.create(root / "none" / "new", host=home)
    assert found.value.kind is IoErrorKind.NotFound
    with pytest.raises(IoError) as found:
        hostio.create(root, host=home)
    assert found.value.kind is IoErrorKind.InvalidInput
