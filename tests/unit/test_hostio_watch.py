"""Watching files (CONTRACTS 6.1, 6.2), with the system's backend and with the polling one."""

import os
import threading
import time

import pytest

from reml_embed import hostio
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.audit.kinds import missing_keys
from reml_embed.hostio import IoError, IoErrorKind, WatchLimits
from reml_embed.registry.capability import CapabilityRegistry


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def host(sink):
    return hostio.Host(registry=CapabilityRegistry(audit=AuditContext(MemorySink())), audit=sink)


@pytest.fixture(params=["native", "poll"])
def backend(request, monkeypatch):
    monkeypatch.setenv("REML_WATCHER_BACKEND", request.param)
    return request.param


def collect(watcher, wanted, seconds=10):
    """(kind, name) of what comes until all of *wanted* is there."""
    found, end = set(), time.monotonic() + seconds
    while not wanted <= found and time.monotonic() < end:
        found |= {(event.kind, event.path.name) for event in watcher.take(0.2)}
    return found


def operations(sink):
    return [record.metadata["io.operation"] for record in sink.taken]


def test_created_modified_and_deleted_are_seen(host, tmp_path, backend):
    (tmp_path / "old").write_text("1")
    (tmp_path / "gone").touch()
    with hostio.watch(tmp_path, host=host) as watcher:
        (tmp_path / "new").touch()
        (tmp_path / "old").write_text("22")
        later = time.time() + 10  # polling compares whole seconds
        os.utime(tmp_path / "old", (later, later))
        (tmp_path / "gone").unlink()
        wanted = {("created", "new"), ("modified", "old"), ("deleted", "gone")}
        assert wanted <= collect(watcher, wanted)


def test_records_have_queue_size_and_delay(host, sink, tmp_path):
    with hostio.watch(tmp_path, host=host, helper="mine") as watcher:
        (tmp_path / "new").touch()
        collect(watcher, {("created", "new")})
    assert operations(sink)[:2] == ["watch.start", "watch.recursive"]
    assert operations(sink)[-1] == "watch.stop"
    for record in sink.taken:
        assert record.kind == "core.io.watch"
        assert missing_keys(record) == []
        assert record.metadata["io.helper"] == "mine"
        assert record.metadata["io.path"] == str(tmp_path)
    [events] = [record for record in sink.taken if record.metadata["io.operation"] == "watch.events"][:1]
    assert events.metadata["io.watch.queue_size"] >= 1
    assert events.metadata["io.watch.delay_ns"] >= 0
    assert events.metadata["io.watch.paths"] == [str(tmp_path)]


def test_the_snapshot_keeps_the_last_64_events(host, sink, tmp_path):
    with hostio.watch(tmp_path, host=host) as watcher:
        for number in range(100):
            (tmp_path / f"{number:03}").touch()
        collect(watcher, {("created", f"{number:03}") for number in range(100)})
        found = watcher.snapshot()
    assert found.paths == (str(tmp_path),)
    assert found.events_total >= 100
    assert len(found.events) == 64
    assert set(found.events[0]) == {"kind", "path", "queue_size", "delay_ns", "timestamp"}
    last = sink.taken[-1].metadata
    assert {key: last[key] for key in found.metadata()} == found.metadata()


@pytest.mark.parametrize(
    ("depth", "seen"), [(None, {"a", "b", "c"}), (0, {"a"}), (1, {"a", "b"}), (2, {"a", "b", "c"})]
)
def test_max_depth_bounds_what_is_seen(host, sink, tmp_path, depth, seen):
    (tmp_path / "one" / "two").mkdir(parents=True)
    with hostio.watch(tmp_path, WatchLimits(max_depth=depth), host=host) as watcher:
        (tmp_path / "one" / "two" / "c").touch()
        (tmp_path / "one" / "b").touch()
        (tmp_path / "a").touch()
        found = collect(watcher, {("created", name) for name in seen})
        found |= collect(watcher, {("created", "never")}, 0.3)
    assert {name for kind, name in found if kind == "created"} == seen
    assert ("watch.recursive" in operations(sink)) == (depth != 0)
    assert ("watch.resource_limits" in operations(sink)) == (depth is not None)


def test_exclude_patterns_hide(host, tmp_path):
    (tmp_path / "build" / "x").mkdir(parents=True)
    with hostio.watch(tmp_path, WatchLimits(exclude_patterns=("*.tmp", "build/**")), host=host) as watcher:
        for name in ("a.tmp", "build/o", "build/x/o", "last"):
            (tmp_path / name).touch()
        found = collect(watcher, {("created", "last")})
        found |= collect(watcher, {("created", "never")}, 0.3)
    assert {name for _, name in found} == {"last"}


def test_events_per_second_are_limited_and_none_is_lost(host, tmp_path):
    with hostio.watch(tmp_path, WatchLimits(max_events_per_second=5), host=host) as watcher:
        for name in "abcdefgh":
            (tmp_path / name).touch()
        begin = time.monotonic()
        first = watcher.take(5)
        while watcher.take(0) and time.monotonic() - begin < 0.5:
            pass
        assert 0 < len(first) <= 5
        assert watcher.snapshot().events_total <= 5
        wanted = {("created", name) for name in "abcdefgh"} - {(event.kind, event.path.name) for event in first}
        assert {name for _, name in collect(watcher, wanted)} >= {"h"}
    assert watcher.dropped == 0


def test_recursion_and_limits_have_guards_of_their_own(host, sink, tmp_path):
    registry = host.fs.registry
    registry.disable("fs.watcher.recursive")
    with pytest.raises(IoError) as found:
        hostio.watch(tmp_path, host=host)
    assert found.value.kind is IoErrorKind.SecurityViolation
    assert sink.taken[-1].metadata["io.capability"] == "fs.watcher.recursive"
    registry.disable("watcher.resource_limits")
    with pytest.raises(IoError) as found:
        hostio.watch(tmp_path, WatchLimits(max_depth=0), host=host)
    assert "watcher.resource_limits" in str(found.value)


def test_a_watcher_loses_its_right_in_the_middle(host, tmp_path):
    with hostio.watch(tmp_path, host=host) as watcher:
        host.fs.registry.disable("fs.watcher.native")
        (tmp_path / "new").touch()
        with pytest.raises(IoError) as found:
            watcher.take(5)
        assert found.value.kind is IoErrorKind.SecurityViolation
        host.fs.registry.enable("fs.watcher.native")
        assert ("created", "new") in collect(watcher, {("created", "new")})


@pytest.mark.parametrize("limits", [
    {"max_events_per_second": 0}, {"max_events_per_second": 1.5}, {"max_depth": -1}, {"max_depth": 256}, {"max_depth": True}, {"exclude_patterns": "*.tmp"},
    {"exclude_patterns": ("",)},
])  # fmt: skip
def test_limits_that_are_none(host, sink, tmp_path, limits):
    with pytest.raises(IoError) as found:
        hostio.watch(tmp_path, WatchLimits(**limits), host=host)
    assert (found.value.kind, found.value.code) == (IoErrorKind.InvalidInput, "core.io.watcher_error")
    assert sink.taken[-1].metadata["io.watch.queue_size"] == 0
    assert sink.taken[-1].metadata["io.watch.delay_ns"] == 0


def test_paths_that_are_not_there(host, tmp_path):
    with pytest.raises(IoError) as found:
        hostio.watch([tmp_path, tmp_path / "missing"], host=host)
    assert (found.value.kind, found.value.code) == (IoErrorKind.NotFound, "core.io.watcher_error")
    with pytest.raises(IoError) as found:
        hostio.watch([], host=host)
    assert found.value.kind is IoErrorKind.InvalidInput


def test_an_unknown_backend_is_refused(host, tmp_path, monkeypatch):
    monkeypatch.setenv("REML_WATCHER_BACKEND", "magic")
    with pytest.raises(IoError, match="REML_WATCHER_BACKEND"):
        hostio.watch(tmp_path, host=host)


def test_a_policy_counts(host, tmp_path):
    home = hostio.Host(
        registry=host.fs.registry, audit=host.trail.audit, policy=hostio.SecurityPolicy((str(tmp_path / "in"),))
    )
    (tmp_path / "in").mkdir()
    with pytest.raises(hostio.PathSecurityError) as found:
        hostio.watch(tmp_path, host=home)
    assert found.value.reason == "outside_allowed_root"
    hostio.watch(tmp_path / "in", host=home).close()


def test_closing_from_another_thread_ends_the_iteration(host, sink, tmp_path, backend):
    watcher = hostio.watch(tmp_path, host=host)
    threading.Timer(0.2, watcher.close).start()
    assert list(watcher) == []
    assert watcher.closed
    assert watcher.take() == []
    count = len(sink.lines)
    watcher.close()
    assert len(sink.lines) == count


def test_concurrent_watchers_each_see_everything(host, tmp_path):
    found = [set() for _ in range(4)]
    watchers = [hostio.watch(tmp_path, host=host) for _ in found]
    wanted = {("created", f"{number}") for number in range(20)}

    def follow(number):
        found[number] |= collect(watchers[number], wanted)

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    for number in range(20):
        (tmp_path / f"{number}").touch()
    [thread.join() for thread in threads]
    [watcher.close() for watcher in watchers]
    assert all(wanted <= seen for seen in found)


def test_two_threads_may_share_a_watcher(host, tmp_path):
    with hostio.watch(tmp_path, host=host) as watcher:
        found, wanted = set(), {("created", f"{number}") for number in range(20)}
        end = time.monotonic() + 10

        def follow():
            while not wanted <= found and time.monotonic() < end:
                found.update((event.kind, event.path.name) for event in watcher.take(0.1))

        threads = [threading.Thread(target=follow) for _ in range(2)]
        [thread.start() for thread in threads]
        for number in range(20):
            (tmp_path / f"{number}").touch()
        [thread.join() for thread in threads]
    assert wanted <= found


def test_a_single_file_can_be_watched(host, tmp_path):
    (tmp_path / "a").write_text("1")
    with hostio.watch(tmp_path / "a", host=host) as watcher:
        (tmp_path / "b").write_text("1")
        (tmp_path / "a").write_text("22")
        found = collect(watcher, {("modified", "a")})
    assert {name for _, name in found} == {"a"}
