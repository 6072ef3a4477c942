"""Collectors and the injection of change sets: CONTRACTS 7.2 to 7.4."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink, Record, missing_keys, read, validate
from reml_embed.audit.gates import Result as Verdict
from reml_embed.audit.gates import evaluate, find
from reml_embed.audit.kinds import KINDS as EVENT_KINDS
from reml_embed.cli import reml as cli
from reml_embed.cli.remlc import remlc
from reml_embed.data import FormatterContext
from reml_embed.data.collectors import (
    COLLECTORS,
    ERRORS,
    KINDS,
    CollectError,
    CollectErrorKind,
    Histogram,
    HistogramCollector,
    ListCollector,
    MapCollector,
    SetCollector,
    StringCollector,
    collect,
)
from reml_embed.data.effect_set import FLAGS, NAMES, EffectSet, byte_size
from reml_embed.data.formatter import INLINE, MOST_BYTES, PATH
from reml_embed.diagnostics.emission import Emitter
from reml_embed.registry.capability import CapabilityRegistry, Exact, StageId
from reml_embed.registry.descriptor import CapabilityDescriptor, CapabilityId, Provider
from reml_embed.registry.handles import CollectionsCapability

CHANGES: dict[str, Any] = {
    "origin": "core.collections", "policy": "core.collections.audit.v1", "category": "collections.diff", "stage": "stable",
    "kind": "collections.diff.map", "summary": {"added": 1, "removed": 0, "updated": 1, "total": 2},
    "metadata": {"stage": "stable", "category": "collections.diff", "kind": "collections.diff.map", "origin": "core.collections"},
    "items": [
        {"kind": "collections.diff.updated", "key": "a", "previous": 1, "current": 2},
        {"kind": "collections.diff.added", "key": "c", "current": 3},
    ],
    "total": 2,
}  # fmt: skip
#: The record of CONTRACTS 7.4.
SAMPLE = '{"timestamp":"2026-03-02T08:27:30Z","category":"collector","envelope":{"audit_id":"3f0d2b4e-0d3f-4f0d-8a34-9c1f7a2a5b60","capability":"core.collections.audit","metadata":{"audit.channel":"runtime","audit.policy.version":"rust.poc.audit.v1","case":"audit_cap","collections.change_set.total":2,"collector.capability":"core.collections.audit","collector.effect.audit":true,"collector.effect.mem":true,"collector.effect.mem_bytes":96,"collector.kind":"list","collector.stage.actual":"stable","collector.stage.mismatch":false,"collector.stage.mode":"exact","collector.stage.required":"stable","collector.stage.source":"registry","event.kind":"collector.finish","schema.version":"3.0.0-alpha"}}}'


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INLINE, raising=False)
    monkeypatch.delenv(PATH, raising=False)


class Log:
    """A log in memory."""

    def __init__(self) -> None:
        self.sink = MemorySink()
        self.audit = AuditContext(self.sink)

    @property
    def finished(self) -> list[dict[str, Any]]:
        return [record.metadata for record in self.sink.taken if record.kind == "collector.finish"]


def judged(log: Log, folder: Path, section: str, scenario: str | None = None) -> list[Verdict]:
    """What the gates of *section* say of the log."""
    path = folder / "log.ndjson"
    path.write_text("\n".join(log.sink.lines) + "\n", encoding="utf-8")
    return evaluate(find([section], scenario), [path], keep_empty=False)


@pytest.fixture
def log() -> Log:
    return Log()


def registry_without_right(*, stage: str = "beta", effects: tuple[str, ...] = ("audit", "mem")) -> CapabilityRegistry:
    """A registry whose core.collections.audit is another than the built-in one."""
    made = CapabilityRegistry(empty=True, audit=AuditContext(MemorySink()))
    for row in CapabilityRegistry.process().describe_all():
        if row.id.startswith("core.collector."):
            made.register(CollectionsCapability(row))
    descriptor = CapabilityDescriptor(CapabilityId("core.collections.audit"), StageId(stage), effects, Provider.core())
    made.register(CollectionsCapability(descriptor))
    return made


# --- 7.3 kinds and stages ---------------------------------------------------------------------------------------------------


def test_kinds_and_their_stages_are_those_of_the_contract() -> None:
    registry = CapabilityRegistry.process()
    for name, row in KINDS.items():
        wanted = "exact:stable" if name in ("list", "set") else "at_least:beta"
        actual = {"list": "stable", "set": "stable", "histogram": "experimental"}.get(name, "beta")
        assert str(row.requirement) == wanted
        assert row.capability == f"core.collector.{name}"
        assert str(registry.describe(row.capability).stage) == actual
    assert set(KINDS) >= {"list", "set", "map", "vec", "string", "table", "cell", "histogram"}


@pytest.mark.parametrize(
    ("kind", "items", "value", "size"),
    [
        ("list", [1, 2, 3], [1, 2, 3], 24),
        ("vec", ["ab", "c"], ["ab", "c"], 19),
        ("set", [1, 1, 2], frozenset((1, 2)), 16),
        ("map", {"a": 1}, {"a": 1}, 17),
        ("table", [("b", 1), ("a", 2)], {"b": 1, "a": 2}, 34),
        ("string", ["a", "ß", b"\xc3", b"\x9f"], "aßß", 5),
    ],
)
def test_each_kind_collects_its_value_and_records_its_finish(
    log: Log, kind: str, items: Any, value: Any, size: int
) -> None:
    found = collect(kind, items, audit=log.audit)
    assert (found, type(found)) == (value, type(value))
    [metadata] = log.finished
    assert metadata["collector.kind"] == kind
    assert metadata["collector.effect.mem_bytes"] == size
    assert metadata["collector.effect.finish"] == 1
    assert metadata["collector.stage.mismatch"] is False


def test_a_table_keeps_the_order_in_which_keys_came(log: Log) -> None:
    assert list(collect("table", [("b", 1), ("a", 2)], audit=log.audit)) == ["b", "a"]


def test_a_histogram_is_refused_while_it_is_experimental(log: Log) -> None:
    with pytest.raises(CollectError.CapabilityDenied) as caught:
        collect("histogram", [1.0], [2.0], audit=log.audit)
    assert "stage experimental does not satisfy at_least:beta" in str(caught.value)
    [metadata] = log.finished
    assert metadata["collector.stage.mismatch"] is True
    assert metadata["collector.stage.actual"] == "experimental"
    assert metadata["collector.error.kind"] == "capability_denied"


def test_a_histogram_counts_when_its_stage_is_asked_for(log: Log) -> None:
    made = collect("histogram", [1, 2, 2.5, 9], [2, 3], audit=log.audit, requirement="at_least:experimental")
    assert made == Histogram((2.0, 3.0), (2, 1, 1), 4, 14.5)
    assert log.finished[0]["collector.effect.mem_bytes"] == 40


@pytest.mark.parametrize("bounds", [[2, 1], [1, 1], [float("nan")], [float("inf")]])
def test_bounds_of_a_histogram_ascend(bounds: list[float]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        HistogramCollector(bounds)


# --- 7.3 finish verifies core.collections.audit ------------------------------------------------------------------------------


def test_finish_verifies_core_collections_audit_exactly_stable_with_effects_audit_and_mem() -> None:
    records = MemorySink()
    registry = CapabilityRegistry(audit=AuditContext(records))
    collect("list", [1], registry=registry)
    checks = [record.metadata for record in records.taken if record.kind == "capability_check"]
    audit = next(check for check in checks if check["capability.id"] == "core.collections.audit")
    assert audit["effect.stage.required"] == "exact:stable"
    assert audit["effect.required_effects"] == ["audit", "mem"]
    assert audit["capability.result"] == "success"
    assert records.kinds[-1] == "collector.finish"  # without a log of its own it goes where those of the registry go


@pytest.mark.parametrize(
    "registry",
    [
        lambda: registry_without_right(stage="beta"),
        lambda: registry_without_right(stage="stable", effects=("audit",)),
        lambda: CapabilityRegistry(empty=True, audit=AuditContext(MemorySink())),
    ],
    ids=["stage", "effects", "not registered"],
)
def test_finish_without_the_right_is_capability_denied(log: Log, registry: Callable[[], CapabilityRegistry]) -> None:
    collector = ListCollector[int](audit=log.audit, registry=registry())
    collector.push(1)
    with pytest.raises(CollectError.CapabilityDenied) as caught:
        collector.finish()
    assert caught.value.kind is CollectErrorKind.CAPABILITY_DENIED
    [metadata] = log.finished
    assert metadata["collector.effect.audit"] is False
    assert metadata["collector.error.kind"] == "capability_denied"
    assert metadata["collector.effect.finish"] == 0
    with pytest.raises(ValueError, match="ended"):
        collector.push(2)


def test_a_disabled_capability_denies_too(log: Log) -> None:
    registry = CapabilityRegistry(audit=AuditContext(MemorySink()))
    registry.disable("core.collections.audit")
    with pytest.raises(CollectError.CapabilityDenied):
        collect("set", [1], audit=log.audit, registry=registry)


def test_records_go_to_the_log_of_the_context() -> None:
    sink = MemorySink()
    with reml.Context(audit=sink) as context:
        collect("list", [1, 2], context=context)
        context.drain()
    kinds = sink.kinds
    assert kinds.index("capability_check") < kinds.index("collector.finish")


# --- 7.3 errors -----------------------------------------------------------------------------------------------------------------


def broken() -> Iterator[int]:
    yield 1
    raise OSError("the disk is gone")


def failing(log: Log, kind: CollectErrorKind) -> CollectError:
    tries: dict[CollectErrorKind, Callable[[], object]] = {
        CollectErrorKind.MEMORY_ERROR: lambda: collect("list", ["x" * 100], audit=log.audit, most_bytes=50),
        CollectErrorKind.CAPACITY_OVERFLOW: lambda: collect("list", [1, 2, 3], audit=log.audit, most=2),
        CollectErrorKind.DUPLICATE_KEY: lambda: collect("map", [("a", 1), ("a", 2)], audit=log.audit),
        CollectErrorKind.INVALID_ENCODING: lambda: collect("string", [b"ab\xff"], audit=log.audit),
        CollectErrorKind.ITERATOR_FAILURE: lambda: collect("list", broken(), audit=log.audit),
        CollectErrorKind.UNSTABLE_ORDER: lambda: collect("list", {1, 2}, audit=log.audit),
        CollectErrorKind.CAPABILITY_DENIED: lambda: collect("list", [1], audit=log.audit, registry=registry_without_right()),
        CollectErrorKind.CUSTOM: lambda: ListCollector[int](audit=log.audit).fail("not today", key="a"),
    }  # fmt: skip
    with pytest.raises(ERRORS[kind]) as caught:
        tries[kind]()
    return caught.value


def test_the_error_kinds_are_those_of_the_contract() -> None:
    assert [kind.value for kind in CollectErrorKind] == [
        "memory_error",
        "capacity_overflow",
        "duplicate_key",
        "invalid_encoding",
        "iterator_failure",
        "unstable_order",
        "capability_denied",
        "custom",
    ]


@pytest.mark.parametrize("kind", list(CollectErrorKind))
def test_each_kind_of_error_happens_leaves_one_record_and_a_diagnostic(log: Log, kind: CollectErrorKind) -> None:
    error = failing(log, kind)
    assert error.kind is kind
    [metadata] = log.finished
    assert metadata["collector.error.kind"] == kind.value
    diagnostic = error.diagnostic()
    assert diagnostic.code == "core.prelude.collector_failed"
    assert diagnostic.extensions["prelude.collector"]["error"]["kind"] == kind.value


def test_the_key_of_an_error_is_recorded_as_collector_error_key(log: Log) -> None:
    assert failing(log, CollectErrorKind.DUPLICATE_KEY).key == "a"
    assert log.finished[0]["collector.error.key"] == "a"


def test_an_error_of_the_iterator_is_the_cause_and_what_came_before_is_counted(log: Log) -> None:
    error = failing(log, CollectErrorKind.ITERATOR_FAILURE)
    assert isinstance(error.__cause__, OSError)
    assert log.finished[0]["collector.effect.mem_bytes"] == 8


def test_a_filter_that_raises_is_an_iterator_failure(log: Log) -> None:
    with pytest.raises(CollectError.IteratorFailure):
        ListCollector[int](audit=log.audit).extend([1], where=lambda item: item / 0)
    assert log.finished[0]["collector.effect.predicate_calls"] == 1


def test_what_cannot_be_kept_is_a_custom_error(log: Log) -> None:
    with pytest.raises(CollectError.Custom):
        collect("set", [[1]], audit=log.audit)
    with pytest.raises(CollectError.Custom):
        collect("map", [1], audit=log.audit)
    with pytest.raises(CollectError.Custom):
        collect("string", [1], audit=log.audit)


def test_a_lone_surrogate_is_an_invalid_encoding(log: Log) -> None:
    with pytest.raises(CollectError.InvalidEncoding):
        collect("string", ["a\ud800"], audit=log.audit)


def test_a_set_may_fill_what_has_no_order(log: Log) -> None:
    assert collect("set", {1, 2}, audit=log.audit) == {1, 2}


def test_a_collector_is_finished_once(log: Log) -> None:
    collector = SetCollector[int](audit=log.audit)
    collector.finish()
    with pytest.raises(ValueError, match="ended"):
        collector.finish()
    assert len(log.finished) == 1


def test_a_log_that_refuses_leaves_the_collector_unfinished_and_nothing_is_lost(log: Log) -> None:
    collector = ListCollector[int](audit=log.audit)
    collector.push(5)
    log.sink.failing = True
    with pytest.raises(OSError, match="told to fail"):
        collector.finish()
    log.sink.failing = False
    assert collector.finish() == [5]
    assert [row["collector.effect.finish"] for row in log.finished] == [1]


def test_a_failure_is_told_even_when_the_log_refuses(log: Log) -> None:
    log.sink.failing = True
    with pytest.raises(CollectError.DuplicateKey) as caught:
        collect("map", [(1, 1), (1, 2)], audit=log.audit)
    assert any("audit: " in note for note in caught.value.__notes__)


# --- 7.3 the trail ------------------------------------------------------------------------------------------------------------


def test_the_trail_copies_capability_and_audit_effect_into_metadata_and_diagnostic_extensions(log: Log) -> None:
    error = failing(log, CollectErrorKind.DUPLICATE_KEY)
    shown = Emitter(log.audit).emit(error.diagnostic())
    for place in (log.finished[0], shown["extensions"], shown["audit_metadata"], shown["audit"]["metadata"]):
        assert place["collector.capability"] == "core.collections.audit"
        assert place["collector.effect.audit"] is False
    record = log.sink.taken[-1]
    assert record.kind == "diagnostic.emitted"
    assert record.metadata["collector.capability"] == "core.collections.audit"
    assert record.extensions["prelude.collector"]["kind"] == "map"


def test_the_gate_of_the_prelude_takes_the_diagnostic(log: Log, tmp_path: Path) -> None:
    Emitter(log.audit).emit(failing(log, CollectErrorKind.DUPLICATE_KEY).diagnostic())
    [result] = judged(log, tmp_path, "prelude-guard")
    assert (result.total, result.pass_rate) == (1, 1.0)


# --- 7.4 keys -----------------------------------------------------------------------------------------------------------------


def test_a_finish_carries_all_keys_of_the_contract(log: Log) -> None:
    collect("list", [1], audit=log.audit)
    names = [
        "mem",
        "mut",
        "debug",
        "async_pending",
        "audit",
        "cell",
        "rc",
        "rc_ops",
        "transfer",
        "predicate_calls",
        "mem_bytes",
        "io",
        "io_blocking",
        "io_async",
        "security",
        "time",
        "mem_reservation",
        "reserve",
        "finish",
        "cell_mutations",
        "time_calls",
        "io_blocking_calls",
        "io_async_calls",
        "security_events",
    ]
    assert sorted(names) == sorted(NAMES)
    wanted = {f"collector.effect.{name}" for name in names} | {
        f"collector.stage.{name}" for name in ("required", "mode", "actual", "mismatch", "source")
    }
    assert wanted | {"collector.kind", "collector.capability"} <= set(log.finished[0])
    row = EVENT_KINDS["collector.finish"]
    assert wanted <= {*row.required, *row.optional}


def test_a_finish_has_every_member_of_the_sample(log: Log) -> None:
    formatter = FormatterContext(CHANGES)
    collect("list", range(12), audit=log.audit, case="audit_cap", formatter=formatter)
    record, sample = log.sink.taken[-1], Record.parse(SAMPLE)
    assert {key: record.metadata.get(key) for key in sample.metadata} == sample.metadata
    assert (record.category, record.capability) == (sample.category, sample.capability)
    assert record.change_set == CHANGES
    assert missing_keys(record) == []


def test_mem_bytes_counts_bytes_only_not_changes(log: Log) -> None:
    collect("list", range(12), audit=log.audit, formatter=FormatterContext(CHANGES))
    assert log.finished[0]["collector.effect.mem_bytes"] == 96


def test_effects_are_counted_as_they_happen(log: Log) -> None:
    collector = ListCollector[int](audit=log.audit)
    collector.reserve(8)
    collector.extend(range(4), where=lambda item: item % 2)
    effects = collector.effects
    effects.mark_io_blocking()
    effects.mark_io_async()
    effects.mark_time()
    effects.mark_security()
    effects.mark("debug", "async_pending", "transfer")
    assert collector.finish() == [1, 3]
    found = {
        key.rpartition(".")[2]: value for key, value in log.finished[0].items() if key.startswith("collector.effect.")
    }
    assert {name for name in FLAGS if found[name]} == {
        "mem",
        "audit",
        "io",
        "io_blocking",
        "io_async",
        "time",
        "security",
        "debug",
        "async_pending",
        "transfer",
    }
    assert {name: found[name] for name in ("predicate_calls", "reserve", "mem_reservation", "time_calls", "security_events")} == {
        "predicate_calls": 4, "reserve": 1, "mem_reservation": 8, "time_calls": 1, "security_events": 1,
    }  # fmt: skip


def test_unknown_flags_are_refused_and_set_nothing() -> None:
    effects = EffectSet()
    with pytest.raises(ValueError, match="no effect flag"):
        effects.mark("mem", "mem_bytes")
    assert effects == EffectSet()


def test_byte_size_is_a_slot_for_each_value_and_the_bytes_of_texts() -> None:
    assert [byte_size(value) for value in (7, None, "ab", "ß", b"abc", [1, 2], {"a": [1]}, ())] == [
        8,
        8,
        10,
        10,
        11,
        24,
        33,
        8,
    ]
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert byte_size(deep) == 800_008
    deep = []
    deep.append(deep)
    assert byte_size(deep) == 16


def test_reserving_more_than_fits_is_a_capacity_overflow(log: Log) -> None:
    with pytest.raises(CollectError.CapacityOverflow):
        ListCollector[int](audit=log.audit, most=3).reserve(4)
    with pytest.raises(ValueError, match="negative"):
        ListCollector[int](audit=log.audit).reserve(-1)


def test_a_string_collector_refuses_bytes_that_stay_incomplete(log: Log) -> None:
    collector = StringCollector(audit=log.audit)
    collector.push(b"\xc3")
    with pytest.raises(CollectError.InvalidEncoding):
        collector.finish()
    assert len(log.finished) == 1


def test_the_log_of_collectors_is_valid(log: Log, tmp_path: Path) -> None:
    for kind in ("list", "set", "vec"):
        collect(kind, [1, 2], audit=log.audit, formatter=FormatterContext(CHANGES), case="audit_cap")
    [result] = judged(log, tmp_path, "collectors", "audit_cap")
    assert validate(tmp_path / "log.ndjson").ok
    assert (result.metric, result.total, result.pass_rate) == ("collectors.audit_cap_pass_rate", 3, 1.0)


def test_records_without_a_change_set_fail_the_gate(log: Log, tmp_path: Path) -> None:
    collect("list", [1], audit=log.audit)
    [result] = judged(log, tmp_path, "collectors", "audit_cap")
    assert result.failures[0]["missing"] == ["collections.change_set.total"]


def test_every_collector_has_a_row() -> None:
    assert set(COLLECTORS) <= set(KINDS)
    assert KINDS["list"].requirement == Exact("stable")
    assert len(MapCollector()) == 0


# --- 7.2 injection ------------------------------------------------------------------------------------------------------------


def test_the_inline_change_set_wins(tmp_path: Path) -> None:
    file = tmp_path / "changes.json"
    file.write_text(json.dumps({**CHANGES, "items": [], "total": 0, "summary": {}}), encoding="utf-8")
    found = FormatterContext.from_environment({INLINE: json.dumps(CHANGES), PATH: str(file)})
    assert found.change_set == CHANGES
    assert FormatterContext.from_environment({PATH: str(file)}).metadata()["collections.change_set.total"] == 0
    assert FormatterContext.from_environment({}) == FormatterContext()
    assert FormatterContext.from_environment({INLINE: "", PATH: ""}) == FormatterContext()


def test_an_envelope_without_a_change_set_gets_the_whole_one_else_it_lies_under_collections() -> None:
    formatter = FormatterContext(CHANGES)
    record = AuditContext(MemorySink()).record("custom.event")
    assert formatter.inject(record).change_set == CHANGES
    other = AuditContext(MemorySink()).record("custom.event", change_set={"origin": "cli"})
    assert formatter.inject(other).change_set == {"origin": "cli", "collections": CHANGES}
    assert other.change_set == {"origin": "cli"}
    assert FormatterContext().inject(record) is record
    flat = Record({"event": "reml.reload"})
    assert formatter.inject(flat) is flat


def test_the_change_set_is_flattened_into_metadata() -> None:
    flat = FormatterContext(CHANGES).metadata()
    assert flat["collections.change_set.total"] == 2
    assert flat["collections.diff.kind"] == "collections.diff.map"
    assert flat["collections.diff.summary.updated"] == 1
    assert flat["collections.diff.metadata.origin"] == "core.collections"


def test_a_change_set_of_a_set_is_taken() -> None:
    data = {**CHANGES, "kind": "collections.diff.set", "summary": {}, "total": 1,
            "items": [{"kind": "removed", "key": "a b", "previous": True}]}  # fmt: skip
    assert FormatterContext.from_environment({INLINE: json.dumps(data)}).metadata()["collections.change_set.total"] == 1


BAD = {
    "no JSON": "{", "no object": "[]", "no items": "{}", "NaN": '{"items":[],"total":NaN}', "a wrong total": '{"items":[],"total":1}',
    "a wrong count": '{"items":[],"summary":{"added":1}}', "an unknown kind": '{"items":[{"kind":"moved","key":"a"}]}',
    "no key": '{"items":[{"kind":"added"}]}', "an item that is none": '{"items":[1]}', "too deep": "[" * 100_000, "too long": " " * (MOST_BYTES + 1),
    "a total that is no count": '{"items":[],"total":true}', "a long number": '{"items":[],"total":' + "1" * 5000 + "}",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_an_invalid_change_set_is_a_warning_and_no_change_set(text: str, tmp_path: Path) -> None:
    file = tmp_path / "changes.json"
    file.write_text(text, encoding="utf-8")
    for variables in ({INLINE: text}, {PATH: str(file)}):
        found = FormatterContext.from_environment(variables)
        assert found.change_set is None
        assert found.problem is not None
        assert (found.problem.code, found.problem.severity) == ("collections.change_set.invalid", "warning")
        assert next(iter(variables)) in found.problem.message


def test_an_unreadable_file_is_a_warning(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path / "nowhere", tmp_path, binary, fifo, "a\0b"):
        problem = FormatterContext.from_environment({PATH: str(path)}).problem
        assert problem is not None, path


SOURCE = "module A\nfn main() -> Int = 3\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.reml"
    file.write_text(SOURCE, encoding="utf-8")
    return file


def invoke(command: Any, *words: str, **variables: str) -> Result:
    return CliRunner().invoke(command, list(words), env=variables, catch_exceptions=False)


@pytest.mark.parametrize(
    ("command", "words"),
    [(cli, ["run", "a.reml"]), (cli, ["check", "a.reml"]), (remlc, ["a.reml"]), (remlc, ["check", "a.reml"])],
    ids=["run", "check", "remlc", "remlc check"],
)
def test_commands_put_the_change_set_on_their_pipeline_records(source: Path, command: Any, words: list[str]) -> None:
    done = invoke(command, *words, "--audit", "log.ndjson", "--emit-audit", **{INLINE: json.dumps(CHANGES)})
    assert done.exit_code == 0, done.output
    log = source.with_name("log.ndjson")
    records = [line.record for line in read(log) if line.record and (line.record.kind or "").startswith("pipeline_")]
    assert [record.kind for record in records] == ["pipeline_started", "pipeline_completed"]
    for record in records:
        assert record.change_set == CHANGES
        assert record.metadata["collections.change_set.total"] == 2
        assert record.metadata["collections.diff.summary.added"] == 1
        assert record.metadata["cli.change_set"]["collections"] == CHANGES
    assert validate(log).ok


def test_a_command_goes_on_without_a_change_set_that_is_invalid_and_says_so(source: Path) -> None:
    done = invoke(cli, "run", "a.reml", "--audit", "log.ndjson", **{PATH: "nowhere.json"})
    assert (done.exit_code, done.stdout) == (0, "3\n")
    assert done.stderr.count("warning[collections.change_set.invalid]") == 1
    assert "nowhere.json" in done.stderr
    records = [line.record for line in read(source.with_name("log.ndjson")) if line.record]
    [emitted] = [record for record in records if record.kind == "diagnostic.emitted"]
    assert emitted.metadata["error.code"] == "collections.change_set.invalid"
    assert all("collections.change_set.total" not in record.metadata for record in records)
    assert validate(source.with_name("log.ndjson")).ok


def test_the_warning_is_among_the_diagnostics_of_the_object_that_is_printed(source: Path) -> None:
    done = invoke(remlc, "a.reml", "--output", "json", **{INLINE: "{"})
    shown = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [item["code"] for item in shown["diagnostics"]] == ["collections.change_set.invalid"]


def test_a_long_change_set_does_not_stop_a_command(source: Path) -> None:
    items = [{"kind": "added", "key": f"key{number}", "current": number} for number in range(2_000)]
    done = invoke(
        cli, "run", "a.reml", "--audit", "log.ndjson", "--emit-audit", **{INLINE: json.dumps({"items": items})}
    )
    assert done.exit_code == 0, done.output
    assert validate(source.with_name("log.ndjson")).ok
