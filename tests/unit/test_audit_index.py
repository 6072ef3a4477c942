"""Finding records: query, show, tail, the index, following a log across rotation."""

import json
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner

import reml_embed as reml
from reml_embed import audit
from reml_embed.audit.index import Follower, Index, Query, search
from reml_embed.audit.records import segments
from reml_embed.cli import reml as command_line


def run(*words):
    done = CliRunner().invoke(command_line, ["audit", *map(str, words)])
    return done.exit_code, done.output


def fill(path, count, **more):
    for number in range(count):
        audit.append(path, "k", metadata={"n": number, **more})


def numbers(entries):
    return [entry.record.metadata.get("n") for entry in entries]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.ndjson"
    rows = [
        ("bridge.reload", "2026-03-01T00:00:00Z", "core.runtime.bridge", {"n": 0, "bridge.status": "ok"}),
        ("bridge.stage", "2026-03-02T00:00:00.5Z", "core.runtime.bridge", {"n": 1, "error.severity": "error"}),
        ("ffi.call", "2026-03-02T00:00:00Z", "ffi.bridge", {"n": 2, "ffi": {"symbol": "total", "status": "success"}}),
        ("k", "2026-03-03T00:00:00Z", None, {"n": 3}),
    ]
    for kind, timestamp, capability, metadata in rows:
        audit.append(path, kind, timestamp=timestamp, capability=capability, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3]), ({"kind": "k"}, [3]), ({"kind": "bridge.*"}, [0, 1]), ({"capability": "ffi.bridge"}, [2]), ({"symbol": "total"}, [2]),
        ({"status": "ok"}, [0]), ({"status": "success"}, [2]), ({"severity": "error"}, [1]), ({"since": "2026-03-02T00:00:00Z"}, [1, 2, 3]),
        ({"since": "2026-03-02T00:00:00.1Z"}, [1, 3]), ({"until": "2026-03-02T00:00:00Z"}, [0]), ({"until": "2026-03-02T00:00:00.6Z"}, [0, 1, 2]),
        ({"last": 2}, [2, 3]), ({"last": 0}, []), ({"kind": "nothing"}, []), ({"kind": "' OR 1 --"}, []),
        ({"kind": "bridge.*", "severity": "error"}, [1]),
    ],
)  # fmt: skip
def test_records_are_found_by_kind_capability_symbol_status_severity_and_time(log, wanted, expected):
    assert numbers(search(log, Query(**wanted))) == expected


def test_a_record_is_found_by_its_audit_id_and_its_number(log):
    [entry] = search(log, Query(kind="k"))
    code, text = run("show", log, entry.record.audit_id, "--format", "json")
    assert (code, json.loads(text)) == (0, entry.record.data)
    assert run("show", log, "4", "--format", "json") == (0, text)
    assert json.loads(run("show", log, "4")[1].split("\n", 1)[1]) == entry.record.data
    assert run("show", log, "99")[0] == 1
    assert run("show", log, "no-such-id")[0] == 1
    assert run("show", log.with_name("none"), "1")[0] == 2


def test_the_index_is_a_mirror_that_can_be_built_anew(log):
    index = log.with_name(log.name + ".index.sqlite")
    first = numbers(search(log, Query()))
    assert index.exists()
    index.unlink()
    assert numbers(search(log, Query())) == first
    assert run("index", log, "--format", "json") == (0, f'{{"path":"{log}","index":"{index}","records":4}}\n')
    index.write_bytes(b"not a database at all, but long enough to be looked at" * 10)
    assert numbers(search(log, Query())) == first


def test_only_what_is_new_is_read(log):
    with Index(log) as index:
        assert index.update() == 4
        assert index.update() == 0
        audit.append(log, "k")
        assert index.update() == 1
        assert index.count() == 5


def test_rotated_files_are_part_of_the_log_and_read_once(tmp_path):
    path = tmp_path / "audit.ndjson"
    for round_ in range(3):
        fill(path, 5)
        with Index(path) as index:
            assert index.update() == 5
        path.rename(f"{path}.{(round_ + 1) * 5}")
        path.with_name(path.name + ".journal").unlink()
    with Index(path) as index:
        assert index.update() == 0
        assert index.count() == 15
        assert [len(list(index.find(Query(last=last)))) for last in (1, 100)] == [1, 15]
    assert [file.name for file in segments(path)] == ["audit.ndjson.5", "audit.ndjson.10", "audit.ndjson.15"]


def test_segments_that_are_gone_leave_the_index(tmp_path):
    path = tmp_path / "audit.ndjson"
    fill(path, 3)
    path.rename(f"{path}.3")
    path.with_name(path.name + ".journal").unlink()
    fill(path, 2)
    assert len(list(search(path, Query()))) == 5
    path.with_name(path.name + ".3").unlink()
    assert len(list(search(path, Query()))) == 2


def test_a_log_that_was_changed_in_place_is_read_anew_or_named(log):
    assert len(list(search(log, Query()))) == 4
    text = log.read_text().splitlines(keepends=True)
    log.write_text("".join(text[1:]))
    assert numbers(search(log, Query())) == [1, 2, 3]
    with Index(log) as index:
        index.update()
        text = log.read_text()
        log.write_text(text.replace('"audit_id":"', '"audit_id":"f', 1).replace("}}}\n", "}}\n", 1))
        with pytest.raises(reml.RemlError, match="changed behind the index"):
            list(index.find(Query()))


def test_lines_that_are_no_records_and_torn_lines_are_passed_over(log):
    with log.open("a") as file:
        file.write('nonsense\n{"event":"gc.stats"}\n{"event":"to')
    assert [entry.record.kind for entry in search(log, Query())][-1] == "gc.stats"
    with log.open("a") as file:
        file.write('rn"}\n')
    assert [entry.record.kind for entry in search(log, Query())][-1] == "torn"


def test_where_nothing_may_be_written_the_index_is_in_memory(log, monkeypatch):
    real = sqlite3.connect

    def refuse(name, **options):
        if name != ":memory:":
            raise sqlite3.OperationalError("unable to open database file")
        return real(name, **options)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with Index(log) as index:
        assert index.in_memory
        assert index.update() == 4


def test_an_index_of_another_version_is_made_anew(log):
    index = log.with_name(log.name + ".index.sqlite")
    with sqlite3.connect(index) as made:
        made.execute("CREATE TABLE record (x)")
        made.execute("PRAGMA user_version = 77")
    made.close()
    assert len(list(search(log, Query()))) == 4


def test_query_exits_with_0_1_and_2(log, tmp_path):
    code, text = run("query", log, "--kind", "bridge.*", "--format", "json")
    assert code == 0
    assert [json.loads(line)["envelope"]["metadata"]["n"] for line in text.splitlines()] == [0, 1]
    assert run("query", log, "--kind", "none")[0] == 1
    assert run("query", tmp_path / "missing")[0] == 2


def test_several_processes_may_use_the_index_at_once(log):
    program = (
        "import sys\nfrom reml_embed.audit.index import *\n"
        "for _ in range(5): assert len(list(search(sys.argv[1], Query()))) == 4\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, log]) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]


# --- tail -----------------------------------------------------------------------------------------------------------------


def test_tail_shows_the_last_records(log):
    code, text = run("tail", log, "-n", "2", "--format", "json")
    assert code == 0
    assert [json.loads(line)["envelope"]["metadata"]["n"] for line in text.splitlines()] == [2, 3]
    assert len(run("tail", log)[1].splitlines()) == 4
    assert run("tail", log, "-n", "0") == (0, "")
    assert run("tail", log.with_name("none"))[0] == 2


def test_tail_names_a_line_that_is_no_record(log):
    with log.open("a") as file:
        file.write("nonsense\n")
    code, text = run("tail", log, "-n", "1")
    assert code == 1
    assert f"{log}:5: error[audit.record.not_json" in text


def test_a_follower_reads_whole_lines_only_and_none_twice(tmp_path):
    path = tmp_path / "log"
    follower = Follower(path)
    assert list(follower.poll()) == []
    path.write_text('{"event":"a"}\n{"eve')
    assert [entry.record.kind for entry in follower.poll()] == ["a"]
    assert list(follower.poll()) == []
    with path.open("a") as file:
        file.write('nt":"b"}\n')
    [entry] = follower.poll()
    assert (entry.record.kind, entry.line.number) == ("b", 2)
    path.write_text('{"event":"c"}\n')  # emptied in place
    assert [entry.record.kind for entry in follower.poll()] == ["c"]
    follower.close()


def test_a_follower_goes_on_across_rotation_while_another_process_writes(tmp_path):
    path = tmp_path / "audit.ndjson"
    program = (
        "import sys, reml_embed as r\nfrom reml_embed._ffi import ffi, lib\n"
        "path = ffi.new('char[]', sys.argv[1].encode())\n"
        "o = ffi.new('reml_audit_file_options_t*', {'struct_size': ffi.sizeof('reml_audit_file_options_t'), 'path': path, 'rotate_bytes': 4000})\n"
        "c = r.Context(); c.drain(); assert lib.reml_embed_set_audit_file(c._id, o) == 0\n"
        "for n in range(300): c.audit_log('k', metadata={'n': n})\nc.audit_log('end')\nc.close()\n"
    )
    follower, found = Follower(path), []
    with subprocess.Popen([sys.executable, "-c", program, path]) as writer:
        deadline = time.monotonic() + 60
        while "end" not in found and time.monotonic() < deadline:
            kept = [entry.record for entry in follower.poll() if entry.record.kind in {"k", "end"}]
            found += [record.metadata.get("n", record.kind) for record in kept]
            time.sleep(0.002)
        assert writer.wait() == 0
    follower.close()
    assert found == [*range(300), "end"]
    assert len(segments(path)) > 5
    assert len(list(search(path, Query(kind="k")))) == 300


def test_tail_f_shows_what_comes_until_interrupted(log):
    with subprocess.Popen(
        [sys.executable, "-m", "reml_embed.cli", "audit", "tail", "-f", "-n", "1", "--format", "json", log],
        stdout=subprocess.PIPE,
        text=True,
    ) as tail:
        timer = threading.Timer(60, tail.kill)
        timer.start()
        assert json.loads(tail.stdout.readline())["envelope"]["metadata"]["n"] == 3
        audit.append(log, "k", metadata={"n": 4})
        assert json.loads(tail.stdout.readline())["envelope"]["metadata"]["n"] == 4
        tail.send_signal(2)
        assert tail.wait() == 130
        timer.cancel()


def test_verify_names_the_first_bad_record_and_takes_the_head_under_both_names(log):
    head = audit.verify(log).head
    assert run("verify", log, "--expect-head", head)[0] == 0
    assert run("verify", log, "--head", "0" * 64)[0] == 1
    assert run("verify", log, "--expect-head", "x")[0] == 2
    assert set(json.loads(run("verify", log, "--format", "json")[1])) >= {
        "verdict",
        "record",
        "records",
        "head",
        "detail",
    }
