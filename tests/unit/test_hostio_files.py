"""Files of hosts: readers, writers, copying, and what their records say (CONTRACTS 6.1, 6.2, 6.4)."""

import errno
import gc
import os
import socket
import subprocess
import sys
import threading

import pytest

from reml_embed import Duration, Err, Ok, hostio
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.audit.kinds import missing_keys
from reml_embed.errors import AuditUnavailableError
from reml_embed.hostio import FileOptions, IoError, IoErrorKind
from reml_embed.registry.capability import CapabilityRegistry


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def registry():
    return CapabilityRegistry(audit=AuditContext(MemorySink()))


@pytest.fixture
def host(registry, sink):
    return hostio.Host(registry=registry, audit=sink)


@pytest.fixture
def note(tmp_path):
    file = tmp_path / "note.md"
    file.write_bytes(b"# 1.0\nfirst\r\nlast")
    return file


def metadata_of(sink, operation):
    return [record.metadata for record in sink.taken if record.metadata.get("io.operation") == operation]


def failing(kind, code=None):
    class Expectation:
        def __enter__(self):
            self.context = pytest.raises(IoError)
            self.found = self.context.__enter__()
            return self.found

        def __exit__(self, *details):
            result = self.context.__exit__(*details)
            assert (self.found.value.kind, self.found.value.code) == (kind, code or kind.code)
            return result

    return Expectation()


# --- records (6.4) ---


def test_the_four_fields_of_a_context_are_always_set(host, sink, note):
    hostio.with_reader(note, lambda reader: reader.read(3), host=host)
    hostio.metadata(note, host=host)
    with hostio.bytes_writer(host=host) as memory:
        memory.write(b"x")
    with pytest.raises(IoError):
        hostio.open(note.parent / "missing", host=host)
    assert sink.taken
    for record in sink.taken:
        assert all(record.metadata[f"io.{key}"] for key in ("operation", "path", "capability", "helper")), record
        assert missing_keys(record) == []


def test_metadata_and_extensions_say_the_same(host, sink, note):
    hostio.with_reader(note, lambda reader: reader.read(3), host=host)
    for record in sink.taken:
        said = dict(hostio.context.dotted(record.data["extensions"]["io"], "io."))
        assert said == {key: value for key, value in record.metadata.items() if key.startswith("io.")}


def test_a_record_of_copying_has_what_the_contract_shows(host, sink, tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 2048)
    with hostio.open(tmp_path / "a", host=host) as reader, hostio.create(tmp_path / "b", host=host) as writer:
        assert hostio.copy(reader, writer) == 2048
    [record] = [record for record in sink.taken if record.metadata["io.operation"] == "io.copy"]
    assert (record.kind, record.category, record.capability) == ("core.io.operation", "core.io", "io.fs.read")
    wanted = {
        "bridge.capability": "io.fs.read", "bridge.id": "io::io.fs.read", "bridge.stage.actual": "stable",
        "bridge.stage.required": "at_least:beta", "io.bytes_processed": 2048, "io.capability": "io.fs.read", "io.effects.io": True,
        "io.helper": "bridge.copy", "io.operation": "io.copy", "io.path": str(tmp_path / "a"),
    }  # fmt: skip
    assert wanted.items() <= record.metadata.items()


def test_a_failure_is_recorded_once_with_kind_and_code(host, sink, tmp_path):
    with failing(IoErrorKind.NotFound) as found:
        hostio.with_reader(tmp_path / "missing", lambda reader: reader.read(1), host=host)
    [record] = [record for record in sink.taken if record.kind == "core.io.error"]
    assert record.audit_id == found.value.audit_id
    assert record.metadata["io.error.kind"] == "NotFound"
    assert record.metadata["error.code"] == "core.io.not_found"


def test_a_diagnostic_says_what_the_record_says(host, sink, tmp_path):
    with pytest.raises(IoError) as found:
        hostio.open(tmp_path / "missing", host=host)
    data = found.value.diagnostic().json
    record = sink.taken[-1]
    assert data["extensions"]["io"] == record.data["extensions"]["io"]
    assert data["audit_metadata"]["io.helper"] == record.metadata["io.helper"] == "bridge.open"
    assert data["codes"] == ["core.io.not_found"]


# --- readers ---


def test_copy_uses_64_kib(host, tmp_path):
    (tmp_path / "a").write_bytes(os.urandom(200_000))
    sizes = []
    with hostio.open(tmp_path / "a", host=host) as reader, hostio.bytes_writer(host=host) as memory:
        write = memory.write
        memory.write = lambda data: (sizes.append(len(data)), write(data))[1]
        hostio.copy(reader, memory)
        assert memory.bytes() == (tmp_path / "a").read_bytes()
    assert sizes == [65536, 65536, 65536, 200_000 - 3 * 65536]


def test_read_gives_empty_bytes_at_the_end(host, note):
    with hostio.open(note, host=host) as reader:
        assert reader.read(1000) == note.read_bytes()
        assert reader.read(10) == reader.read(10) == b""


def test_read_exact_takes_all_or_fails(host, sink, note):
    with hostio.open(note, host=host) as reader:
        assert reader.read_exact(0) == b""
        assert reader.read_exact(5) == b"# 1.0"
        with failing(IoErrorKind.UnexpectedEof, "core.io.read_error"):
            reader.read_exact(100)
    assert metadata_of(sink, "reader.read_exact")[-1]["io.bytes_processed"] == 17


@pytest.mark.parametrize("size", [-1, 1.5, "3", None, True])
def test_sizes_that_are_none_are_refused(host, note, size):
    with hostio.open(note, host=host) as reader, failing(IoErrorKind.InvalidInput, "core.io.read_error"):
        reader.read(size)


def leave_by_answer(reader, kept):
    return kept.append(reader)


def leave_by_exception(reader, kept):
    kept.append(reader)
    raise KeyError("own")


def leave_by_interrupt(reader, kept):
    kept.append(reader)
    raise KeyboardInterrupt


def leave_by_io_error(reader, kept):
    kept.append(reader)
    reader.read_exact(1000)


def leave_by_closing(reader, kept):
    kept.append(reader)
    reader.close()


@pytest.mark.parametrize(
    "leave", [leave_by_answer, leave_by_exception, leave_by_interrupt, leave_by_io_error, leave_by_closing]
)
def test_with_reader_closes_by_any_route(host, sink, note, leave):
    kept, before = [], len(os.listdir("/proc/self/fd"))
    try:
        hostio.with_reader(note, lambda reader: leave(reader, kept), host=host)
    except (KeyError, KeyboardInterrupt, IoError):
        assert leave is not leave_by_answer
    [reader] = kept
    assert reader.closed
    assert len(os.listdir("/proc/self/fd")) == before
    with failing(IoErrorKind.InvalidInput, "core.io.read_error"):
        reader.read(1)
    assert len(metadata_of(sink, "with_reader")) == 1


def test_with_reader_answers_what_the_body_answers(host, note):
    assert hostio.with_reader(note, lambda reader: Err(reader.read(1)), host=host) == Err(b"#")


def test_closing_twice_is_once(host, sink, note):
    reader = hostio.open(note, host=host)
    reader.read(1)
    reader.close()
    count = len(sink.lines)
    reader.close()
    assert len(sink.lines) == count


def test_a_reader_that_nobody_closes_keeps_no_descriptor(host, note):
    before = len(os.listdir("/proc/self/fd"))
    reader = hostio.open(note, host=host)
    del reader
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_closing_from_another_thread_while_reading(host, tmp_path):
    (tmp_path / "big").write_bytes(bytes(1 << 20))
    reader = hostio.open(tmp_path / "big", host=host)
    wrong = []

    def read():
        try:
            while reader.read(100):
                pass
        except IoError as error:
            wrong.append(error.kind)

    threads = [threading.Thread(target=read) for _ in range(3)]
    [thread.start() for thread in threads]
    reader.close()
    [thread.join() for thread in threads]
    assert set(wrong) <= {IoErrorKind.InvalidInput}


# --- what is no regular file ---


@pytest.mark.parametrize("special", ["pipe", "socket", "folder", "/dev/null", "/dev/zero", "link to a pipe"])
@pytest.mark.parametrize("way", [hostio.open, hostio.create, hostio.sync])
def test_what_is_no_regular_file_is_refused_at_once(host, tmp_path, special, way):
    path = tmp_path / "special"
    server = socket.socket(socket.AF_UNIX)
    if special in ("pipe", "link to a pipe"):
        os.mkfifo(path)
    elif special == "socket":
        server.bind(str(path))
    elif special == "folder":
        path.mkdir()
    else:
        path = special
    if special.startswith("link"):
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    code = "core.io.write_error" if way is hostio.sync else None
    with (
        server,
        failing(IoErrorKind.InvalidInput) if code is None else pytest.raises(IoError, match="no regular|a folder"),
    ):
        way(path, host=host)


def test_a_file_that_becomes_a_pipe_in_between_is_refused(host, note, monkeypatch):
    found = os.stat(note)
    monkeypatch.setattr(os, "stat", lambda *_, **__: found)  # what the first look says
    note.unlink()
    os.mkfifo(note)
    with failing(IoErrorKind.InvalidInput):
        hostio.open(note, host=host)


# --- names ---


def test_names_that_are_no_utf8_work_and_are_shown_with_escapes(host, sink, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.txt"
    with hostio.create(name, host=host) as writer:
        writer.write(b"x")
    assert hostio.with_reader(os.fsdecode(name), lambda reader: reader.read(9), host=host) == b"x"
    assert {metadata["io.path"] for metadata in (record.metadata for record in sink.taken)} == {
        rf"{tmp_path}/\xff\xfe.txt"
    }
    [line.encode() for line in sink.lines]


@pytest.mark.parametrize("name", ["", "a\0b", b"a\0b", "\ud800"])
def test_names_that_are_none_are_refused(host, name):
    with failing(IoErrorKind.InvalidInput, "core.path.error"):
        hostio.open(name, host=host)


# --- buffers ---


def test_a_buffered_reader_tells_capacity_and_fill(host, sink, note):
    with hostio.buffered(hostio.open(note, host=host), 8, host=host) as reader:
        assert reader.read(3) == b"# 1"
        assert (reader.buffer.capacity, reader.buffer.fill) == (8, 5)
        assert reader.buffer.last_fill_timestamp
    [metadata] = metadata_of(sink, "reader.buffered")
    assert (metadata["io.buffer.capacity"], metadata["io.buffer.fill"]) == (8, 8)
    assert metadata["io.buffer.fill"] <= metadata["io.buffer.capacity"]
    assert metadata["io.bytes_processed"] == 3


@pytest.mark.parametrize("capacity", [1, 2, 7, 8192])
def test_lines_come_without_their_ends(host, note, capacity):
    with hostio.buffered(hostio.open(note, host=host), capacity) as reader:
        assert [hostio.read_line(reader), *reader.lines()] == ["# 1.0", "first", "last"]
        assert reader.read_line() is None


def test_empty_lines_are_lines(host, tmp_path):
    (tmp_path / "a").write_bytes(b"\n\r\n\n")
    with hostio.buffered(hostio.open(tmp_path / "a", host=host)) as reader:
        assert list(reader.lines()) == ["", "", ""]


def test_a_line_that_is_no_utf8_is_an_error_and_the_next_one_is_not(host, tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\nok\n")
    with hostio.buffered(hostio.open(tmp_path / "a", host=host)) as reader:
        with failing(IoErrorKind.InvalidInput, "core.io.read_error.buffered"):
            reader.read_line()
        assert reader.read_line() == "ok"


def test_a_line_without_end_is_bounded(host, tmp_path):
    (tmp_path / "a").write_bytes(b"x" * (2 << 20))
    with hostio.buffered(hostio.open(tmp_path / "a", host=host), 65536) as reader:
        with failing(IoErrorKind.InvalidInput, "core.io.read_error.buffered"):
            reader.read_line()


@pytest.mark.parametrize("capacity", [0, -1, 1 << 31, "8", 1.0, True])
def test_capacities_that_are_none_are_refused(host, note, capacity):
    with hostio.open(note, host=host) as reader, failing(IoErrorKind.InvalidInput, "core.io.read_error.buffered"):
        hostio.buffered(reader, capacity)


def test_a_closed_buffered_reader_is_closed_with_its_reader(host, note):
    inner = hostio.open(note, host=host)
    reader = hostio.buffered(inner)
    reader.close()
    reader.close()
    assert inner.closed
    for use in (reader.read_line, lambda: reader.read(1)):
        with failing(IoErrorKind.InvalidInput, "core.io.read_error.buffered"):
            use()


def test_a_buffered_reader_whose_reader_was_closed_fails(host, note):
    inner = hostio.open(note, host=host)
    with hostio.buffered(inner) as reader:
        inner.close()
        with failing(IoErrorKind.InvalidInput, "core.io.read_error.buffered"):
            reader.read_line()


# --- writers ---


def test_options_append_truncate_permissions(host, tmp_path):
    file = tmp_path / "a"
    with hostio.create(file, FileOptions(permissions=0o640), host=host) as writer:
        assert writer.write(b"one") == 3
    assert file.stat().st_mode & 0o777 == 0o640
    with hostio.create(file, FileOptions(append=True), host=host) as writer:
        writer.write(bytearray(b"two"))
    assert file.read_bytes() == b"onetwo"
    with hostio.create(file, FileOptions(truncate=False), host=host) as writer:
        writer.write(memoryview(b"X"))
    assert file.read_bytes() == b"Xnetwo"
    with hostio.create(file, host=host):
        pass
    assert file.read_bytes() == b""


@pytest.mark.parametrize("options", [{"append": True, "truncate": True}, {"permissions": 0o4755}, {"permissions": -1}, {"permissions": "600"}])  # fmt: skip
def test_options_that_are_none_are_refused(options):
    with failing(IoErrorKind.InvalidInput):
        FileOptions(**options)


def test_a_full_disk_is_write_zero(host, sink, tmp_path, monkeypatch):
    with hostio.create(tmp_path / "a", host=host) as writer:

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with failing(IoErrorKind.WriteZero, "core.io.write_error"):
            writer.write(b"x")
    assert [r.metadata["io.error.kind"] for r in sink.taken if r.kind == "core.io.error"] == ["WriteZero"]


def test_a_short_write_goes_on_and_one_of_nothing_is_an_error(host, tmp_path, monkeypatch):
    write, most = os.write, [2, 1, 0]
    with hostio.create(tmp_path / "a", host=host) as writer:
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: most.pop(0)]))
        with failing(IoErrorKind.WriteZero, "core.io.write_error"):
            writer.write(b"12345")
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"123"


@pytest.mark.parametrize("use", [lambda writer: writer.write(b"x"), lambda writer: writer.flush(), hostio.sync])
def test_a_closed_writer_fails(host, tmp_path, use):
    with hostio.create(tmp_path / "a", host=host) as writer:
        pass
    with failing(IoErrorKind.InvalidInput, "core.io.write_error"):
        use(writer)


def test_sync_counts(host, sink, note):
    hostio.sync(note, host=host)
    [metadata] = metadata_of(sink, "file.sync")
    assert (metadata["io.effects.fs_sync"], metadata["io.effects.fs_sync_calls"]) == (True, 1)


def test_a_bytes_writer_keeps_bytes_and_is_bounded(host):
    with hostio.bytes_writer(host=host, limit=4) as memory:
        memory.write(b"abc")
        with failing(IoErrorKind.OutOfMemory, "core.io.write_error"):
            memory.write(b"de")
        memory.write(b"d")
    assert memory.bytes() == b"abcd"
    with failing(IoErrorKind.InvalidInput, "core.io.write_error"):
        memory.write(b"x")


# --- files by their names ---


def test_metadata_tells_size_times_and_permissions(host, note):
    note.chmod(0o604)
    found = hostio.metadata(note, host=host)
    assert (found.size, found.permissions, found.modified) == (17, 0o604, note.stat().st_mtime)
    assert found.created > 0


def test_remove_takes_files_and_links_but_no_folders(host, note):
    (note.parent / "link").symlink_to(note)
    hostio.remove(note.parent / "link", host=host)
    assert note.exists()
    hostio.remove(note, host=host)
    assert not note.exists()
    with failing(IoErrorKind.NotFound):
        hostio.remove(note, host=host)
    with failing(IoErrorKind.InvalidInput):
        hostio.remove(note.parent, host=host)


def test_permissions_and_links(host, note):
    hostio.set_permissions(note, 0o600, host=host)
    assert hostio.permissions(note, host=host) == 0o600
    with failing(IoErrorKind.InvalidInput):
        hostio.set_permissions(note, 0o7777, host=host)
    hostio.symlink("note.md", note.parent / "link", host=host)
    assert str(hostio.read_link(note.parent / "link", host=host)) == "note.md"
    with failing(IoErrorKind.InvalidInput):
        hostio.read_link(note, host=host)
    with failing(IoErrorKind.InvalidInput):
        hostio.symlink("x", note, host=host)


def test_missing_permissions_are_permission_denied(tmp_path):
    program = """
import os, sys
os.chmod(sys.argv[1], 0o755)
os.mkdir(sys.argv[1] + "/closed", 0o755)
open(sys.argv[1] + "/closed/a", "w").close()
os.chmod(sys.argv[1] + "/closed/a", 0o600)
from reml_embed import hostio
from reml_embed.audit import MemorySink
host = hostio.Host(audit=MemorySink())
if os.getuid() == 0:
    os.setuid(65534)
else:
    os.chmod(sys.argv[1] + "/closed/a", 0)
    os.chmod(sys.argv[1] + "/closed", 0o555)
for use in (hostio.open, hostio.create, hostio.remove):
    try:
        use(sys.argv[1] + "/closed/a", host=host)
    except hostio.IoError as error:
        print(error.kind, error.code)
"""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["PermissionDenied core.io.permission_denied"] * 3, done.stderr


# --- log_io ---


def test_log_io_has_the_helper_of_the_bytes_writer(host, sink, note):
    """The guide's release note."""
    memory = hostio.bytes_writer(helper="bridge.release_note", host=host)
    assert memory.context.helper == "bridge.release_note"
    outcome = hostio.with_reader(note, lambda reader: Ok(reader.copy_to(memory)), host=host)
    log = MemorySink()
    assert hostio.log_io("bridge.release_note", note, Duration(1_500), log, outcome=outcome) is outcome
    [record] = log.taken
    assert record.kind == "core.io.operation"
    assert record.metadata["io.helper"] == record.metadata["io.operation"] == "bridge.release_note"
    assert record.metadata["io.path"] == str(note)
    assert record.metadata["io.elapsed_ns"] == 1_500
    assert [metadata["io.helper"] for metadata in metadata_of(sink, "io.copy")] == ["bridge.release_note"]
    assert outcome == Ok(note.read_bytes())


def test_log_io_of_a_failure_is_an_error_with_the_same_helper_everywhere(host, tmp_path):
    with pytest.raises(IoError) as found:
        hostio.open(tmp_path / "missing", host=host, helper="bridge.release_note")
    log = MemorySink()
    hostio.log_io("bridge.release_note", None, 0.25, log, outcome=Err(found.value))
    [record] = log.taken
    assert (record.kind, record.metadata["io.error.kind"]) == ("core.io.error", "NotFound")
    assert (
        record.metadata["io.helper"]
        == found.value.diagnostic().json["audit_metadata"]["io.helper"]
        == "bridge.release_note"
    )
    assert record.metadata["io.path"] == str(tmp_path / "missing")
    assert missing_keys(record) == []


# --- the log fails ---


def test_when_the_log_fails_nothing_leaks(registry, note):
    broken = MemorySink()
    host = hostio.Host(registry=registry, audit=broken)
    before = len(os.listdir("/proc/self/fd"))
    reader = hostio.open(note, host=host)
    reader.read(1)
    broken.failing = True
    for use in (
        reader.close,
        lambda: hostio.open(note, host=host),
        lambda: hostio.create(note.parent / "x", host=host),
    ):
        with pytest.raises((OSError, AuditUnavailableError)):
            use()
    gc.collect()
    assert reader.closed
    assert len(os.listdir("/proc/self/fd")) == before


def test_log_io_of_a_refused_path_keeps_its_reason(host, sink):
    with pytest.raises(hostio.PathSecurityError) as found:
        hostio.validate_path("x", hostio.SecurityPolicy(("/srv",)), host=host)
    log = MemorySink()
    hostio.log_io("bridge.note", None, 0, log, outcome=found.value)
    [record] = log.taken
    assert (record.metadata["io.operation"], record.metadata["security.reason"]) == (
        "bridge.note",
        "relative_path_denied",
    )
    assert sink.taken[-1].audit_id == found.value.audit_id != record.audit_id


@pytest.mark.parametrize("size", [1 << 31, 1 << 62, 1 << 80])
def test_huge_sizes_take_what_is_there(host, note, size):
    with hostio.open(note, host=host) as reader:
        assert reader.read(size) == note.read_bytes()
    with hostio.open(note, host=host) as reader, failing(IoErrorKind.UnexpectedEof, "core.io.read_error"):
        reader.read_exact(size)
