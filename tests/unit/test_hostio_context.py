"""Contexts and counters of file operations (CONTRACTS 6.1, 6.2)."""

import threading
from dataclasses import fields

import pytest

from reml_embed import hostio
from reml_embed.hostio import EffectLabels, IoContext, IoErrorKind
from reml_embed.hostio.errors import CODES, REASONS

BOOLS = "mem mutating debug async_pending audit cell rc unicode io io_blocking io_async security transfer fs_sync time"
COUNTERS = "mem_bytes predicate_calls rc_ops time_calls io_blocking_calls io_async_calls fs_sync_calls security_events"


@pytest.fixture(autouse=True)
def _clean():
    hostio.take_io_effects_snapshot()


def test_effect_labels_are_those_of_the_contract():
    labels = EffectLabels()
    assert [row.name for row in fields(EffectLabels)] == [*BOOLS.split(), *COUNTERS.split()]
    assert all(getattr(labels, name) is False for name in BOOLS.split())
    assert all(getattr(labels, name) == 0 for name in COUNTERS.split())


def test_the_snapshot_returns_and_clears():
    hostio.count_effects(io=True, io_blocking_calls=1)
    hostio.count_effects(io_blocking_calls=2, mem_bytes=10)
    assert hostio.take_io_effects_snapshot().to_json() == {"io": True, "io_blocking_calls": 3, "mem_bytes": 10}
    assert hostio.take_io_effects_snapshot().to_json() == {}


def test_counters_are_those_of_a_thread():
    hostio.count_effects(io=True)
    found = []
    thread = threading.Thread(target=lambda: found.append(hostio.take_io_effects_snapshot()))
    thread.start()
    thread.join()
    assert found == [EffectLabels()]
    assert hostio.take_io_effects_snapshot().io


def test_the_context_is_updated_right_after_the_snapshot():
    context = IoContext("reader.read", "bridge.reader", "a", "io.fs.read")
    hostio.count_effects(io=True, io_blocking_calls=1)
    assert context.take_effects() == EffectLabels(io=True, io_blocking_calls=1)
    hostio.count_effects(io_blocking_calls=1)
    context.take_effects()
    assert context.effects == EffectLabels(io=True, io_blocking_calls=2)
    assert hostio.take_io_effects_snapshot() == EffectLabels()


def test_an_unknown_label_is_refused():
    with pytest.raises(TypeError):
        hostio.count_effects(magic=True)


def test_error_kinds_and_their_codes():
    assert [kind.value for kind in IoErrorKind] == [
        "NotFound",
        "PermissionDenied",
        "ConnectionRefused",
        "InvalidInput",
        "TimedOut",
        "WriteZero",
        "Interrupted",
        "UnexpectedEof",
        "OutOfMemory",
        "SecurityViolation",
        "UnsupportedPlatform",
    ]
    assert IoErrorKind.UnexpectedEof.code == "core.io.unexpected_eof"
    assert {kind.code for kind in IoErrorKind} <= set(CODES)


def test_every_code_of_the_contract_is_in_the_catalog():
    from reml_embed.diagnostics.catalog import entry_of

    wanted = [
        "core.io.read_error",
        "core.io.write_error",
        "core.io.read_error.buffered",
        "core.io.watcher_error",
        "core.path.error",
        "core.path.glob.invalid_pattern",
        "core.path.glob.io_error",
        "core.path.glob.invalid_input",
        "core.path.glob.unsupported_platform",
        "core.path.security.invalid",
        "core.path.security.violation",
        "core.path.security.symlink",
        "core.path.security.capability_denied",
        "core.path.security.io_error",
    ]
    assert [code for code in (*wanted, *CODES) if entry_of(code) is None] == []
    assert set(wanted) <= set(CODES)


def test_every_reason_of_the_contract_is_there():
    wanted = (
        "relative_path_denied traversal_detected outside_allowed_root symlink_absolute_target symlink_traversal "
        "symlink_inspection_failed capability_denied io_error"
    )
    assert set(REASONS) >= set(wanted.split())


def test_buffer_watch_and_glob_are_in_both_forms():
    context = IoContext("path.glob", "path.glob", "a", "io.fs.read")
    context.globbing().offending_path = "b"
    context.watching().queue_size = 3
    context.buffer = hostio.BufferStats(8, 2)
    assert context.to_json()["glob"] == {"pattern": "a", "offending_path": "b"}
    metadata = context.metadata()
    assert metadata["io.glob.offending_path"] == "b"
    assert (metadata["io.watch.queue_size"], metadata["io.watch.delay_ns"]) == (3, 0)
    assert (metadata["io.buffer.capacity"], metadata["io.buffer.fill"]) == (8, 2)
