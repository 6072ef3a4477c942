"""Records that the host makes, through a context and without one."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

import reml_embed as reml
from reml_embed import audit


def records(path):
    return [line.record for line in audit.read(path)]


def test_a_record_of_the_host_gets_its_place_in_the_log(tmp_path):
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:
        first = context.audit_log(
            "snapshot.updated", metadata={"snapshot.name": "a"}, channel="cli", category="snapshot"
        )
        context.load("fn main() -> Int = 1")
        context.run()
        audit_id = audit.new_id()
        assert context.audit_log("k", audit_id=audit_id, change_set={"items": []}, extensions={"x": 1}) == audit_id
    found = records(path)
    assert [record.kind for record in found] == [
        "native.embed.call", "snapshot.updated", "native.embed.call", "native.embed.call", "ffi.call", "k", "native.embed.call",
    ]  # fmt: skip
    assert found[1].audit_id == first
    assert (found[1].channel, found[1].category) == ("cli", "snapshot")
    assert (found[5].change_set, found[5].extensions) == ({"items": []}, {"x": 1})
    assert audit.verify(path).ok


def test_it_can_be_made_inside_a_host_function(tmp_path):
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:

        @context.host("Host.note")
        def note(text: str) -> None:
            context.audit_log("host.note", metadata={"text": text})

        context.load('fn main() -> () { Host.note("inside") }')
        context.run()
    assert [record.metadata["text"] for record in records(path) if record.kind == "host.note"] == ["inside"]
    assert audit.verify(path).ok


def test_it_waits_without_a_sink_and_reaches_a_callback_at_once():
    with reml.Context() as context:
        context.audit_log("one")
        assert [record["envelope"]["metadata"]["event.kind"] for record in context.drain()][-1] == "one"
    sink = audit.MemorySink()
    with reml.Context(audit=sink) as context:
        context.audit_log("two")
        assert sink.kinds[-1] == "two"


@pytest.mark.parametrize(
    "members",
    [
        {"metadata": {"event.kind": "x"}}, {"metadata": {"audit.sequence": 1}}, {"metadata": {"x": float("nan")}},
        {"metadata": {"x": object()}}, {"metadata": {"x": "\ud800"}}, {"channel": "radio"}, {"audit_id": "1"},
        {"timestamp": "now"}, {"capability": "a\0b"}, {"metadata": {"x": "y" * (5 << 20)}}, {"category": "a\nb"},
        {"metadata": {"x": 10**400}},
    ],
)  # fmt: skip
def test_a_bad_record_is_refused_and_nothing_is_written(members, tmp_path):
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:
        with pytest.raises(reml.InvalidArgumentError):
            context.audit_log("k", **members)
        with pytest.raises(reml.InvalidArgumentError):
            audit.append(path, "k", **members)
        context.audit_log("after")
    assert "k" not in [record.kind for record in records(path)]
    assert "after" in [record.kind for record in records(path)]


def test_a_key_given_twice_is_refused():
    from reml_embed._ffi import ffi, lib, string

    text = ffi.new("char[]", b'{"a":1,"b":{"c":1,"c":2}}')
    kind = ffi.new("char[]", b"k")
    record = ffi.new(
        "reml_audit_record_t*", {"struct_size": ffi.sizeof("reml_audit_record_t"), "kind": kind, "metadata": text}
    )
    with reml.Context() as context:
        assert lib.reml_embed_audit_log(context._id, record, ffi.NULL) == 4
        assert string(lib.reml_last_error(context._id)) == (
            "invalid argument: metadata: the key `c` appears twice at byte 24"
        )


def test_a_failing_sink_refuses_it_and_the_record_is_nowhere():
    sink = audit.MemorySink()
    with reml.Context(audit=sink) as context:
        sink.failing = True
        with pytest.raises(reml.AuditUnavailableError) as caught:
            context.audit_log("k")
        assert isinstance(caught.value.__cause__, OSError)
        sink.failing = False
        context.audit_log("after")
    assert [kind for kind in sink.kinds if kind != "native.embed.call"] == ["after"]


def test_a_closed_context_takes_none(context):
    context.close()
    with pytest.raises(reml.StaleError):
        context.audit_log("k")


def test_the_context_sink_and_the_file_sink_write_what_the_context_logs(tmp_path):
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:
        log = audit.AuditContext(audit.ContextSink(context), channel="bridge")
        one = log.log(
            "doc.doctest", {"n": 1}, metadata={"b": 2}, change_set={"c": 3}, extensions={"e": 4}, capability="x"
        )
    other = audit.FileSink(tmp_path / "other.ndjson")
    original = next(record for record in records(path) if record.audit_id == one)
    other.write_record(original)
    [copied] = records(other.path)
    for record in (original, copied):
        for key in audit.kinds.CHAIN_KEYS:
            del record.metadata[key]
    assert copied == original


def test_a_flat_record_has_no_place_in_the_audit_log(tmp_path):
    with pytest.raises(audit.AuditValidationError):
        audit.FileSink(tmp_path / "x").write_record(audit.Record({"event": "gc.stats"}))
    assert list(tmp_path.iterdir()) == []


def test_append_joins_a_log_that_this_process_has_open(tmp_path):
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:
        audit.append(path, "one")
        context.audit_log("two")
    assert [record.kind for record in records(path) if record.category is None] == ["one", "two"]
    assert audit.verify(path).ok


def test_append_is_refused_while_another_process_holds_the_log(tmp_path):
    path = tmp_path / "audit.ndjson"
    program = (
        "import sys, reml_embed as r\nc = r.Context(audit=sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(reml.AuditUnavailableError, match="in use by another process"):
            audit.append(path, "k")
        other.stdin.close()
        other.wait()
    audit.append(path, "k")
    assert audit.verify(path).ok


def test_append_to_what_is_no_log_changes_nothing(tmp_path):
    path = tmp_path / "diary"
    path.write_text("dear diary\n")
    with pytest.raises(reml.AuditUnavailableError):
        audit.append(path, "k")
    assert path.read_text() == "dear diary\n"
    with pytest.raises(reml.AuditUnavailableError, match="no such file or directory"):
        audit.append(tmp_path / "no" / "where", "k")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(reml.AuditUnavailableError, match="permission denied"):
        audit.append(tmp_path / "log", "k")


def _append_many(path, count):
    for number in range(count):
        audit.append(path, "k", metadata={"n": number})


def test_several_processes_append_to_one_file(tmp_path):
    path = tmp_path / "audit.ndjson"
    ways = multiprocessing.get_context("spawn")
    workers = [ways.Process(target=_append_many, args=(path, 20)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    report = audit.verify(path)
    assert (report.verdict, report.records) == ("ok", 60)


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    path = tmp_path / "audit.ndjson"
    program = (
        "import sys, reml_embed as r\n"
        "c = r.Context(audit=sys.argv[1]); c.set_audit_policy(every=True); c.load('fn f(n: Int) -> Int = n')\n"
        "f = c.function('f'); n = 0\n"
        "while True:\n"
        "    n += 1; f(n); c.audit_log('k', metadata={'n': n, 'text': 'x' * (n % 977)}); print(n, flush=True)\n"
    )
    for wait in (1, 40, 333):
        before = sum(record.kind == "k" for record in records(path)) if path.exists() else 0
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) as child:
            last = 0
            for line in child.stdout:
                last = int(line)
                if last >= wait:
                    break
            child.send_signal(signal.SIGKILL)
            last = max([last, *(int(line) for line in child.stdout if line.endswith("\n"))])
        audit.recover(path)
        assert audit.verify(path).verdict == "ok"
        numbers = [record.metadata["n"] for record in records(path) if record.kind == "k"][before:]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) in {last, last + 1}


def test_json_that_python_writes_is_json_that_the_library_takes(tmp_path):
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=20,
    )  # fmt: skip
    with reml.Context() as context:
        context.drain()

        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.dictionaries(text.map(lambda key: "x" + key), values, max_size=5))
        def check(metadata):
            context.audit_log("k", metadata=metadata)
            [record] = context.drain()
            got = record["envelope"]["metadata"]
            assert {key: value for key, value in got.items() if key[0] == "x"} == json.loads(json.dumps(metadata))
            assert list(got) == sorted(got, key=lambda key: json.dumps(key, ensure_ascii=False)[1:-1].encode())

        check()
