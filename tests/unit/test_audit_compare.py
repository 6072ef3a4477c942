"""``reml audit compare``: the C runtime and Python tell the same of the same scenario (CONTRACTS 7.6, 8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink, Record, read, validate
from reml_embed.audit.gates import evaluate, find
from reml_embed.cli import reml as cli
from reml_embed.data import EffectSet, FormatterContext, collectors, sides
from reml_embed.data.collectors import CollectError
from reml_embed.data.effect_set import byte_size
from reml_embed.data.formatter import INLINE, PATH
from reml_embed.data.native import finish_native, native_bytes
from reml_embed.data.ref import EffectfulRef, RefState
from reml_embed.registry.capability import CapabilityRegistry

CHANGES = {"items": [{"kind": "added", "key": "a", "current": 1}], "total": 1}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(INLINE, raising=False)
    monkeypatch.delenv(PATH, raising=False)
    monkeypatch.chdir(tmp_path)


def call(*words: str, code: int = 0, **variables: str) -> Result:
    done = CliRunner().invoke(cli, ["audit", "compare", *words], env=variables)
    assert done.exit_code == code, done.output
    return done


def printed(*words: str, code: int = 0) -> dict[str, Any]:
    done = call(*words, code=code)
    assert done.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- what is printed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [[], ["--target", "audit_bridge"], ["--section", "ref_count"], ["--section", "collectors"]]
)
def test_the_sides_agree_and_the_command_prints_target_compared_differences(words: list[str]) -> None:
    found = printed(*words)
    assert list(found) == ["target", "compared", "differences"]
    assert (found["target"], found["differences"]) == ("audit_bridge", [])
    assert found["compared"] > 100


def test_all_sections_are_the_target() -> None:
    parts = [printed("--section", name)["compared"] for name in sides.SECTIONS]
    assert (
        printed()["compared"] == sum(parts) == printed("--section", "collectors", "--section", "ref_count")["compared"]
    )


def test_a_difference_names_case_key_left_and_right_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectors, "byte_size", lambda value: byte_size(value) + 1)
    found = printed("--section", "collectors", code=1)
    assert found["differences"][0] == {
        "case": "audit_cap/list",
        "key": "collector.effect.mem_bytes",
        "left": 96,
        "right": 108,
    }
    assert {row["key"] for row in found["differences"]} == {"collector.effect.mem_bytes"}


def test_a_count_that_python_loses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(self: EffectfulRef[Any]) -> RefState:
        self._live = False
        return self._cell.state

    monkeypatch.setattr(EffectfulRef, "_release", forgets)
    found = printed("--section", "ref_count", code=1)
    rows = {(row["case"], row["key"]): (row["left"], row["right"]) for row in found["differences"]}
    assert rows["ref_count/clone_and_drop", "strong_count.dropped"] == (1, 4)
    assert rows["ref_count/clone_and_drop", "ref.strong_count"] == (0, 4)


def test_a_record_that_a_side_does_not_leave_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EffectfulRef, "_record", lambda *_: None)
    found = printed("--section", "ref_count", code=1)
    assert any(row["key"] == "records" and row["left"] > row["right"] for row in found["differences"])


def test_types_are_compared_too_and_a_missing_key_is_null() -> None:
    made = sides.Comparison("audit_bridge")
    made.add("case", {"a": True, "b": None, "c": 1}, {"a": 1, "c": 1})
    assert [row.json() for row in made.differences] == [
        {"case": "case", "key": "a", "left": True, "right": 1}, {"case": "case", "key": "b", "left": None, "right": None},
    ]  # fmt: skip
    assert made.compared == 3
    assert not sides.Comparison("audit_bridge").ok


# --- the path that is denied ---------------------------------------------------------------------------------------------------


def test_the_denied_path_is_run_on_both_sides() -> None:
    found = sides.compare(sections=["collectors"])
    denied = [record for record in found.records if record.metadata["compare.case"] == "audit_cap/denied"]
    assert [record.metadata["compare.side"] for record in denied] == ["c", "python"]
    assert {record.metadata["collector.error.kind"] for record in denied} == {"capability_denied"}
    assert {record.metadata["collector.error.key"] for record in denied} == {"core.collections.audit"}


# --- the C side ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("List<Int>", [1, 2, 3]), ("List<Str>", ["a", "ßß", ""]), ("Map<Str, List<Int>>", {"a": [1], "bc": []}),
        ("Set<Int>", {3, 4}), ("List<(Int, Str)>", [(1, "x")]), ("Str", "aß"),
    ],
)  # fmt: skip
def test_bytes_of_a_native_value_are_those_of_the_same_value_in_python(
    context: reml.Context, written: str, value: Any
) -> None:
    module = context.load(f"fn same(value: {written}) -> {written} = value\n")
    with context.call(module["same"], value) as made:
        assert native_bytes(context, made) == byte_size(value) - 8


def test_what_is_no_collection_is_refused(context: reml.Context) -> None:
    module = context.load("fn one() -> Int = 1\n")
    with context.call(module["one"]) as made, pytest.raises(ValueError, match="INT is no collection"):
        finish_native(context, made)


def test_a_native_finish_asks_the_registry_of_the_context_and_is_recorded_in_its_log() -> None:
    sink = MemorySink()
    registry = CapabilityRegistry(audit=AuditContext(MemorySink()))
    with reml.Context(audit=sink, registry=registry) as context:
        module = context.load("fn list() -> List<Int> = [1, 2]\n")
        with context.call(module["list"]) as made:
            finish_native(context, made, formatter=FormatterContext(CHANGES))
            registry.disable("core.collections.audit")
            with pytest.raises(CollectError.CapabilityDenied):
                finish_native(context, made)
        context.drain()
    good, bad = (record for record in sink.taken if record.kind == "collector.finish")
    assert good.change_set == CHANGES
    assert good.metadata["collector.effect.mem_bytes"] == 16
    assert bad.metadata["collector.error.kind"] == "capability_denied"
    assert sink.kinds.count("capability_check") == 4


def test_no_handle_is_left_behind_by_reading_a_native_value(context: reml.Context) -> None:
    module = context.load('fn list() -> List<List<Str>> = [["a"], []]\n')
    before = context.memory().live_handles
    with context.call(module["list"]) as made:
        native_bytes(context, made)
    assert context.memory().live_handles == before


# --- logs that were written before -------------------------------------------------------------------------------------------------


@pytest.fixture
def logs() -> tuple[Path, Path]:
    records = sides.compare().records
    for side in ("c", "python"):
        lines = [record.to_json() for record in records if record.metadata["compare.side"] == side]
        Path(f"{side}.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path("c.ndjson"), Path("python.ndjson")


def test_logs_are_compared_as_scenarios_are(logs: tuple[Path, Path]) -> None:
    assert printed("--left", str(logs[0]), "--right", str(logs[1]))["differences"] == []
    changed = [json.loads(line) for line in logs[1].read_text(encoding="utf-8").splitlines()]
    last = next(row for row in reversed(changed) if row["category"] == "ref")
    last["envelope"]["metadata"]["ref.strong_count"] = 9
    logs[1].write_text("".join(json.dumps(row) + "\n" for row in changed), encoding="utf-8")
    [row] = printed("--left", str(logs[0]), "--right", str(logs[1]), code=1)["differences"]
    assert (row["key"], row["right"]) == ("ref.strong_count", 9)


def test_a_log_without_such_records_is_nothing_to_compare() -> None:
    Path("empty.ndjson").touch()
    assert printed("--left", "empty.ndjson", "--right", "empty.ndjson", code=1) == {
        "target": "audit_bridge",
        "compared": 0,
        "differences": [],
    }


def test_a_record_that_is_missing_in_a_log_is_found(logs: tuple[Path, Path]) -> None:
    lines = logs[1].read_text(encoding="utf-8").splitlines(keepends=True)
    logs[1].write_text("".join(lines[1:]), encoding="utf-8")
    found = printed("--left", str(logs[0]), "--right", str(logs[1]), code=1)
    assert found["differences"][0] == {"case": "audit_cap/list", "key": "records", "left": 1, "right": 0}


@pytest.mark.parametrize(
    "words",
    [
        ["--left", "nowhere", "--right", "nowhere"], ["--left", "nowhere"], ["--target", "nothing"], ["--section", "nothing"],
        ["--left", "a", "--right", "b", "--section", "ref_count"], ["--change-set", "nowhere"], ["--audit", "folder/below/a file/log"],
    ],
)  # fmt: skip
def test_wrong_usage_and_missing_files_exit_with_2_without_a_traceback(words: list[str]) -> None:
    Path("folder").touch()
    done = call(*words, code=2)
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_a_line_that_is_no_record_is_named() -> None:
    Path("bad.ndjson").write_text("{}\n{\n", encoding="utf-8")
    assert "bad.ndjson:2" in call("--left", "bad.ndjson", "--right", "bad.ndjson", code=2).stderr


# --- the log that gates read -----------------------------------------------------------------------------------------------------


def test_the_log_of_both_sides_passes_the_gate_of_the_contract() -> None:
    Path("changes.json").write_text(json.dumps(CHANGES), encoding="utf-8")
    printed("--change-set", "changes.json", "--audit", "reports/spec-audit/log.ndjson")
    log = Path("reports/spec-audit/log.ndjson")
    assert validate(log).ok
    [result] = evaluate(find(["collectors"], "audit_cap"), [log])
    assert result.pass_rate == 1.0
    assert result.total == 2 * len(sides.SECTIONS["collectors"])
    records = [line.record for line in read(log) if line.record is not None]
    assert {record.metadata["case"] for record in records if record.category == "collector"} == {"audit_cap"}


def test_the_change_set_of_the_environment_is_in_the_records_and_a_bad_one_is_a_warning() -> None:
    call("--audit", "good.ndjson", "--section", "collectors", **{INLINE: json.dumps(CHANGES)})
    assert all(line.record.change_set == CHANGES for line in read("good.ndjson") if isinstance(line.record, Record))
    done = call("--section", "collectors", **{INLINE: "{"})
    assert "warning[collections.change_set.invalid]" in done.stderr


def test_effects_are_told_alike_for_every_kind() -> None:
    found = sides.compare(sections=["collectors"])
    for record in found.records:
        assert {f"collector.effect.{name}" for name in EffectSet.__slots__} <= set(record.metadata)
