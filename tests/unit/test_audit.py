"""Every lifecycle call leaves one record; Python forwards what the library writes."""

import json

import pytest

import reml_embed as reml
from reml_embed import _ffi
from reml_embed.testing import MemorySink

SOURCE = 'module Embed.Sample\nfn main() -> Str { "ok" }\nfn add(a: Int, b: Int) -> Int = a + b\n'


def flow(**options):
    with reml.Context(**options) as context:
        context.load(SOURCE)
        context.run()


def metadata(record):
    return record["envelope"]["metadata"]


def test_the_minimal_flow_leaves_four_records_in_order(tmp_path):
    log = tmp_path / "audit.ndjson"
    flow(audit=log)
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    calls = [metadata(record) for record in records if metadata(record)["event.kind"] == "native.embed.call"]
    assert [(call["native.embed.entrypoint"], call["embed.abi.version"], call["embed.status"]) for call in calls] == [
        ("reml_create_context", "0.1.0", "ok"), ("reml_load_module", "0.1.0", "ok"), ("reml_run", "0.1.0", "ok"),
        ("reml_dispose_context", "0.1.0", "ok"),
    ]  # fmt: skip
    assert calls[1]["embed.source.bytes"] == len(SOURCE)
    assert calls[2]["embed.run.entrypoint"] == "main"
    assert [metadata(record)["audit.sequence"] for record in records] == list(range(1, len(records) + 1))
    report = reml.audit.verify(log)
    assert (report.ok, report.verdict, report.records) == (True, "ok", len(records))
    assert reml.audit.verify(log, head=report.head).ok


def test_a_sink_gets_the_same_records(tmp_path):
    sink = MemorySink()
    flow(audit=sink)
    assert sink.lifecycle() == [
        ("reml_create_context", "ok"), ("reml_load_module", "ok"), ("reml_run", "ok"), ("reml_dispose_context", "ok"),
    ]  # fmt: skip
    assert all("\n" not in line for line in sink.lines)


def test_failures_leave_records_with_their_code():
    sink = MemorySink()
    with reml.Context(audit=sink) as context:
        with pytest.raises(reml.LoadError):
            context.load("fn main() -> Int = nonsense\n")
        with pytest.raises(reml.RunError):
            context.run()
        context.load("fn main() -> Int = 1 / 0\n")
        with pytest.raises(reml.RunError):
            context.run()
        context.drain()
    failed = [metadata(record) for record in sink.records if metadata(record).get("error.code")]
    assert [
        (entry["native.embed.entrypoint"], entry["error.code"])
        for entry in failed
        if "native.embed.entrypoint" in entry
    ] == [
        ("reml_load_module", "type.unresolved_ident"),
        ("reml_run", "native.embed.no_module"),
        ("reml_run", "runtime.arith.div_zero"),
    ]
    assert {entry["error.severity"] for entry in failed} == {"error"}


def test_records_wait_without_a_sink_and_are_taken_once(context):
    context.load(SOURCE)
    assert [metadata(record)["native.embed.entrypoint"] for record in context.drain()] == [
        "reml_create_context",
        "reml_load_module",
    ]
    assert context.drain() == []
    assert context.audit_count == 2
    assert context.audit_dropped == 0


def test_what_a_closed_context_left_is_taken_from_the_process():
    reml.audit.drain()
    flow()
    kinds = [metadata(record)["event.kind"] for record in reml.audit.drain()]
    assert kinds.count("native.embed.call") == 4


def test_calls_are_told_in_summaries_or_one_by_one(context):
    add = context.load(SOURCE)["add"]
    context.drain()
    for number in range(10):
        add(number, 1)
    (summary,) = context.drain()
    assert metadata(summary)["ffi.count"] == 10
    assert metadata(summary)["ffi"]["symbol"] == "add"
    context.set_audit_policy(every=True)
    for number in range(3):
        add(number, 1)
    assert len(context.drain()) == 3


def test_a_call_that_leaves_no_record_is_noticed(context, monkeypatch):
    context.load(SOURCE)
    monkeypatch.setattr(_ffi, "lib", Silent())
    with pytest.raises(reml.AuditMissingError, match="reml_run left no audit record"):
        context.run()
    monkeypatch.undo()
    assert context.run() == "ok"


class Silent:
    """A library whose counter stands still."""

    def __init__(self):
        self._library = _ffi.lib

    def __getattr__(self, name):
        return getattr(self._library, name)

    @staticmethod
    def reml_embed_audit_count(_context):
        return 7


def test_a_missing_record_hides_no_exception(context, monkeypatch):
    context.load("fn main() -> Int = 1 / 0\n")
    monkeypatch.setattr(_ffi, "lib", Silent())
    with pytest.raises(reml.AuditMissingError) as caught:
        context.run()
    assert isinstance(caught.value.__cause__, reml.RunError)
    monkeypatch.undo()
    with pytest.raises(reml.RunError):
        context.run()


def test_nested_lifecycle_calls_are_each_counted(context):
    @context.host("nested")
    def nested() -> str:
        with reml.Context() as other:
            other.load(SOURCE)
            return str(other.run()) + str(context.run("other"))

    context.load("fn other() -> Int = 1\nfn main() -> Str = nested()\n")
    assert context.run() == "ok1"


def test_a_failing_sink_closes_the_door_until_it_works_again():
    sink = MemorySink()
    with reml.Context(audit=sink) as context:
        add = context.load(SOURCE)["add"]
        context.set_audit_policy(every=True)
        assert add(1, 2) == 3
        sink.failing = True
        with pytest.raises(reml.AuditUnavailableError) as caught:
            context.drain()
        assert isinstance(caught.value.__cause__, OSError)
        for refused in (context.run, lambda: add(1, 2), lambda: context.load("fn f() -> Int = 1\n")):
            with pytest.raises(reml.AuditUnavailableError):
                refused()
        sink.failing = False
        assert add(1, 2) == 3
        assert context.run() == "ok"


def test_a_sink_cannot_call_back_into_its_context():
    refused = []

    class Sink:
        context = None

        def write(self, _line):
            context, self.context = self.context, None  # once: the refusal leaves a record, too
            if context is not None:
                with pytest.raises(reml.BusyError):
                    context.run("main")
                refused.append(True)

    sink = Sink()
    with reml.Context(audit=sink) as context:
        context.load(SOURCE)
        sink.context = context
        context.run()
        context.drain()
        assert refused == [True]
        assert context.run() == "ok"


def test_a_log_that_cannot_be_opened_means_no_context(tmp_path):
    with pytest.raises(reml.AuditUnavailableError) as caught:
        reml.Context(audit=tmp_path / "missing" / "audit.ndjson")
    assert caught.value.status == 13


def test_the_environment_names_a_log(tmp_path, monkeypatch):
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(tmp_path / "log.ndjson"))
    flow()
    assert reml.audit.verify(tmp_path / "log.ndjson").records >= 4


def test_changes_to_a_log_are_found(tmp_path):
    log = tmp_path / "audit.ndjson"
    flow(audit=log)
    lines = log.read_bytes().splitlines(keepends=True)
    head = reml.audit.verify(log).head
    for broken, verdict, record in (
        (b"".join([lines[0], *lines[2:]]), "broken", 2),
        (b"".join([lines[0].replace(b'"ok"', b'"OK"'), *lines[1:]]), "broken", 1),
        (b"".join([lines[1], lines[0], *lines[2:]]), "broken", 1),
        (b"".join(lines[:-1]), "head_mismatch", 0),
    ):
        log.write_bytes(broken)
        report = reml.audit.verify(log, head=head)
        assert (report.ok, report.verdict, report.record) == (False, verdict, record)
        assert report.detail
    log.write_bytes(b"".join(lines) + b'{"torn')
    report = reml.audit.verify(log)
    assert (report.ok, report.verdict, report.torn_bytes) == (True, "recovered_tail", 6)
    assert reml.audit.verify(tmp_path / "missing").verdict == "unreadable"
    with pytest.raises(reml.InvalidArgumentError):
        reml.audit.verify(log, head="short")


def test_asking_for_no_limit_leaves_a_record():
    sink = MemorySink()
    with reml.Context(audit=sink, limits=reml.Limits(fuel=reml.Limits.UNLIMITED)):
        pass
    assert any("unlimited" in metadata(record)["event.kind"] for record in sink.records)
