"""The published schema, validation, the metadata verifier and the index of stored logs: CONTRACTS 3.3, 3.7, 3.9."""

import copy
import gzip
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import reml_embed as reml
from reml_embed import audit
from reml_embed.audit import schema
from reml_embed.audit.kinds import BRIDGE_REQUIRED, KINDS
from reml_embed.audit.records import read_text
from reml_embed.cli import reml as command_line

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = jsonschema.Draft202012Validator(schema.make_schema())
BASE = {
    "audit.channel": "cli", "audit.policy.version": "rust.poc.audit.v1", "event.kind": "k", "schema.version": "3.0.0-alpha",
}  # fmt: skip
CORPUS = Path(__file__).with_name("audit_corpus")


def run(*words):
    done = CliRunner().invoke(command_line, ["audit", *map(str, words)])
    return done.exit_code, done.output


def record(kind="k", **metadata):
    members = {**BASE, "event.kind": kind, **{key.replace("__", "."): value for key, value in metadata.items()}}
    return {"timestamp": "2026-03-02T08:15:00Z", "envelope": {"audit_id": audit.new_id(), "metadata": members}}


def write(path, *records):
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records))
    return path


def crossing():
    return record(
        "ffi.call",
        bridge={
            "status": "ok", "target": "x86_64-unknown-linux-gnu", "arch": "x86_64", "platform": "linux-x86_64", "abi": "system_v",
            "expected_abi": "system_v", "ownership": "none", "extern_symbol": "total", "audit_pass_rate": 1.0,
            "return": {"ownership": "none", "status": "none", "wrap": "none", "release_handler": "none", "rc_adjustment": "none"},
        },
        ffi={"event": "ffi.call", "library": "reml_embed", "symbol": "total", "effect_flags": [], "status": "success"},
    )  # fmt: skip


# --- the schema ---------------------------------------------------------------------------------------------------------


def test_the_schema_is_a_schema_and_has_an_id():
    jsonschema.Draft202012Validator.check_schema(schema.make_schema())
    assert schema.make_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema.make_schema()["$id"] == schema.SCHEMA_ID


def test_what_is_made_from_the_table_of_kinds_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_audit_tables.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_reml_audit_schema_prints_the_file_of_the_package():
    code, text = run("schema")
    assert code == 0
    assert text == schema.FILE.read_text(encoding="utf-8") == schema.schema_text()


def test_the_library_writes_what_the_schema_allows(tmp_path):
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:
        context.set_audit_policy(every=True)
        context.load("fn f(n: Int) -> Int = 10 / n\nfn main() -> Int = f(2)")
        context.run()
        function = context.function("f")
        function(1)
        with pytest.raises(reml.RunError):
            function(0)
        with pytest.raises(reml.RunError):
            context.run("nothing")
        context.audit_log("custom.kind", metadata={"x": 1})
    for line in path.read_text().splitlines():
        VALIDATOR.validate(json.loads(line))
    assert audit.validate(path).findings == []


def both(data):
    """Schema and Python agree; is it valid?"""
    mine = schema.violations(audit.Record(data))
    theirs = VALIDATOR.is_valid(data)
    assert theirs == (not mine), (data, mine)
    return theirs


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.required])
def test_schema_and_table_agree_on_every_required_key(name):
    keys = set(KINDS[name].required) | (set(BRIDGE_REQUIRED) if name == "ffi.call" else set())
    for _ in range(3):
        data = record(name, **{key: schema.VALUES.get(key, ("x",))[0] for key in keys})
        keys |= set(audit.missing_keys(audit.Record(data)))
    assert both(data)
    for key in keys:
        less = copy.deepcopy(data)
        del less["envelope"]["metadata"][key]
        assert not both(less), key


def test_keys_may_be_dotted_nested_or_in_the_payload():
    for metadata in (
        {"snapshot.name": "a", "snapshot.hash": "b"}, {"snapshot": {"name": "a", "hash": "b"}},
        {"event": {"event": "snapshot.updated", "snapshot.name": "a", "snapshot": {"hash": "b"}}},
    ):  # fmt: skip
        assert both(record("snapshot.updated", **metadata))
    assert not both(record("snapshot.updated", snapshot="a"))


def test_a_crossing_needs_the_bridge_block_and_a_stub_does_not():
    good = crossing()
    assert both(good)
    for key in BRIDGE_REQUIRED:
        less = copy.deepcopy(good)
        block = less["envelope"]["metadata"]["bridge"]
        *path, last = key.split(".")[1:]
        for name in path:
            block = block[name]
        del block[last]
        assert not both(less), key
    stub = record("ffi.call", ffi={**good["envelope"]["metadata"]["ffi"], "status": "stubbed", "library": "stub"})
    assert both(stub)


@pytest.mark.parametrize("key", schema.VALUES)
def test_listed_values_are_the_only_ones(key):
    metadata = {key: "something else"}
    if key == "audit.channel":
        assert not both(record(**metadata))
        return
    assert not both(record(**metadata))
    assert both(record(**{key: schema.VALUES[key][0]}))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("timestamp"), lambda data: data.update(timestamp="yesterday"), lambda data: data.update(timestamp=1),
        lambda data: data.update(category=1), lambda data: data.update(extensions=[]), lambda data: data.update(envelope=[]),
        lambda data: data["envelope"].pop("metadata"), lambda data: data["envelope"].update(metadata={}),
        lambda data: data["envelope"].update(metadata=[]), lambda data: data["envelope"].pop("audit_id"),
        lambda data: data["envelope"].update(audit_id="1"), lambda data: data["envelope"].update(audit_id=None),
        lambda data: data["envelope"].update(capability=1), lambda data: data["envelope"].update(change_set="x"),
        lambda data: data["envelope"]["metadata"].update({"audit.sequence": 0}),
        lambda data: data["envelope"]["metadata"].update({"audit.sequence": "1"}),
        lambda data: data["envelope"]["metadata"].update({"audit.sequence": True}),
        lambda data: data["envelope"]["metadata"].update({"audit.chain.hash": "00"}),
        lambda data: data["envelope"]["metadata"].update({"event.kind": ""}),
        lambda data: data["envelope"]["metadata"].update({"schema.version": 3}),
        *(lambda data, key=key: data["envelope"]["metadata"].pop(key) for key in audit.kinds.BASE_KEYS),
    ],
)  # fmt: skip
def test_wrong_members_are_found_by_schema_and_validator(change):
    data = record()
    assert both(data)
    change(data)
    assert not both(data)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "ok", "x", "2026-03-02T08:15:00Z"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["status", "id", "x", "event"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    ["bridge", "bridge.id", "bridge.status", "effect.capability", "effect.stage.actual", "effect.stage.required", "event", "ffi",
     "ffi.status", "audit.sequence", "error.severity", "bridge.stage.actual", "bridge.stage.required", "effect.order.before"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*KINDS, "custom", "bridge.other"]),
    st.dictionaries(KEYS, JSON_VALUES, max_size=5),
    st.dictionaries(st.sampled_from(["capability", "change_set", "audit_id", "more"]), JSON_VALUES, max_size=2),
)
def test_schema_and_validator_agree_on_whatever_comes(kind, metadata, envelope):
    data = record(kind, **metadata)
    data["envelope"].update(envelope)
    both(data)


# --- reml audit validate ------------------------------------------------------------------------------------------------


def test_validate_names_line_and_keys_and_goes_on(tmp_path):
    path = write(
        tmp_path / "log",
        record(),
        "nonsense",
        record("snapshot.updated"),
        '{"event":"gc.stats","policy":"Rc"}',
        record(),
    )
    verdict = audit.validate(path)
    assert (verdict.lines, verdict.records, verdict.ok) == (5, 4, False)
    assert [(found.line, found.code, found.keys) for found in verdict.findings] == [
        (2, "audit.record.not_json", ()),
        (3, "audit.record.missing_keys", ("snapshot.hash", "snapshot.name")),
        (
            4,
            "audit.record.missing_keys",
            tuple(sorted(key[6:] for key in KINDS["gc.stats"].required if key != "event.policy")),
        ),
    ]
    code, text = run("validate", path)
    assert code == 1
    assert text.splitlines()[1] == (
        f"{path}:3: error[audit.record.missing_keys]: snapshot.updated: audit metadata validation failed: "
        "missing keys [snapshot.hash, snapshot.name]"
    )
    code, text = run("validate", path, "--format", "json")
    shown = json.loads(text)
    assert code == 1
    assert [found["line"] for found in shown["findings"]] == [2, 3, 4]
    assert set(shown) == {"path", "ok", "lines", "records", "findings"}


def test_validate_exits_with_0_1_and_2(tmp_path):
    assert run("validate", write(tmp_path / "good", record()))[0] == 0
    assert run("validate", write(tmp_path / "bad", "{}"))[0] == 1
    assert run("validate", tmp_path / "missing")[0] == 2
    assert run("validate", tmp_path)[0] == 2
    assert run("validate")[0] == 2


def test_runtime_bridge_events_use_the_same_ndjson_shape_as_core_diagnostics_events(tmp_path):
    pipeline = record("pipeline_started", **dict.fromkeys(KINDS["pipeline_started"].required, "x"))
    bridge = record(
        "bridge.stage",
        bridge__id="a",
        bridge__stage__required="beta",
        bridge__stage__actual="beta",
        bridge__capability="c",
    )
    assert set(pipeline) == set(bridge)
    assert audit.validate(write(tmp_path / "log", pipeline, bridge)).ok


def test_groups_hold_at_every_level():
    from reml_embed.audit.policy import AuditPolicy, FilteredSink

    for level in ("summary", "full", "debug"):
        sink = audit.MemorySink()
        log = audit.AuditContext(FilteredSink(AuditPolicy(level=level), sink))
        with pytest.raises(audit.AuditValidationError):
            log.log("custom", metadata={"effect.capability": "x"})


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.ndjson")), ids=lambda path: path.stem)
def test_malformed_records_are_named_and_never_break_a_reader(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    found = [[item.line, item.code] for item in audit.validate(path).findings]
    assert found == expected
    for command in ("validate", "verify-audit-metadata", "tail", "verify"):
        done = CliRunner().invoke(command_line, ["audit", command, str(path)])
        assert done.exception is None or isinstance(done.exception, SystemExit), command
        assert done.exit_code in {0, 1, 2}


# --- verify-audit-metadata ----------------------------------------------------------------------------------------------


def groups(path, **options):
    return [
        (found.line, found.severity, found.code, found.keys)
        for found in audit.verify_metadata(path, **options).findings
    ]


def test_the_cli_keys_are_required_only_with_a_run_id(tmp_path):
    path = write(
        tmp_path / "log",
        record(),
        record(cli__run_id="r"),
        record(cli__run_id="r", cli__audit_id="a", cli__change_set={}),
    )
    assert groups(path) == [(2, "error", "audit.metadata.cli", ("cli.audit_id", "cli.change_set"))]


def test_schema_version_is_common(tmp_path):
    data = record()
    del data["envelope"]["metadata"]["schema.version"]
    assert groups(write(tmp_path / "log", data)) == [(1, "error", "audit.metadata.common", ("schema.version",))]


def test_expected_abi_is_required_and_pass_rate_and_callconv_should_be_there(tmp_path):
    without, bare = crossing(), crossing()
    del without["envelope"]["metadata"]["bridge"]["expected_abi"]
    del bare["envelope"]["metadata"]["bridge"]["audit_pass_rate"]
    path = write(tmp_path / "log", without, bare)
    assert groups(path) == [
        (1, "error", "audit.metadata.bridge", ("bridge.expected_abi",)),
        (1, "warning", "audit.metadata.bridge", ("bridge.callconv",)),
        (2, "warning", "audit.metadata.bridge", ("bridge.audit_pass_rate", "bridge.callconv")),
    ]
    assert [severity for _, severity, _, _ in groups(path, strict=True)] == ["error"] * 3


def test_strict_turns_should_into_errors(tmp_path):
    path = write(tmp_path / "log", crossing())
    assert run("verify-audit-metadata", path)[0] == 0
    assert run("verify-audit-metadata", path, "--strict")[0] == 1


def test_iterators_typeclasses_and_parsers_have_their_groups(tmp_path):
    stage = {"effect__capability": "x", "effect__stage__required": "beta", "effect__stage__actual": "beta"}
    path = write(
        tmp_path / "log",
        record(**stage, effect__stage__iterator__kind="map"),
        record(typeclass__constraint="Eq"),
        record(parse__input_name="a"),
        record(typeclass={"constraint": "Eq", "resolution_state": "resolved"}),
    )
    found = [item for item in groups(path) if item[1] == "error"]
    assert found == [
        (1, "error", "audit.metadata.effect", tuple(sorted(f"effect.stage.iterator.{name}" for name in ("required", "actual", "capability", "source")))),
        (2, "error", "audit.metadata.typeclass", ("typeclass.resolution_state",)),
        (3, "error", "audit.metadata.parse", ("parse.stage_trace",)),
    ]  # fmt: skip
    warned = {item[0]: item[3] for item in groups(path) if item[1] == "warning"}
    assert set(warned) == {1, 2, 4}
    assert "effect.handler_stack" in warned[1]
    assert "typeclass.dictionary" in warned[4]


# --- create-audit-index -------------------------------------------------------------------------------------------------


def test_the_index_has_an_entry_for_each_spec(tmp_path):
    log = write(tmp_path / "a.ndjson", record())
    code, text = run(
        "create-audit-index",
        f"dev:linux:{log}:ok:summary:0.5",
        f"dev:linux:{log}",
        "--audit-dir",
        tmp_path,
        "--format",
        "json",
    )
    assert code == 0
    index = json.loads((tmp_path / "index.json").read_text())
    assert json.loads(text) == index
    first, second = index["entries"]
    assert first == {
        "build_id": "20260302T081500Z", "timestamp": "2026-03-02T08:15:00Z", "profile": "dev", "audit_store": "directory", "target": "linux",
        "audit_level": "summary", "path": str(log), "status": "ok", "pass_rate": 0.5, "size_bytes": log.stat().st_size, "commit": None,
    }  # fmt: skip
    assert (second["status"], second["audit_level"], second["pass_rate"]) == ("ok", "full", None)
    assert index["retained_entries"] == [
        {"profile": "dev", "target": "linux", "count": 2, "size_bytes": 2 * log.stat().st_size}
    ]
    assert index["pruned"] == []


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "a:b",
        "a::p",
        "a:b:p:ok:loud",
        "a:b:p:ok:full:much",
        "a:b:p:ok:full:2",
        "a:b:p:ok:full:nan",
        "a:b:c:d:e:f:g",
    ],
)
def test_a_wrong_spec_is_named_and_nothing_is_written(bad, tmp_path):
    code, text = run("create-audit-index", bad, "--audit-dir", tmp_path)
    assert code == 2
    assert bad in text
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_missing_ends_with_2(tmp_path):
    code, text = run("create-audit-index", f"a:b:{tmp_path / 'nothing'}", "--audit-dir", tmp_path)
    assert code == 2
    assert "nothing" in text


@pytest.mark.parametrize(("store", "kept"), [("tmp", 20), ("local", 30), (None, 50), ("ci", 20)])
def test_stores_keep_what_the_contract_says_and_ci_packs(store, kept, tmp_path):
    logs = [write(tmp_path / f"{number}.ndjson", record()) for number in range(55)]
    words = ["--audit-store", store] if store else []
    code, _ = run("create-audit-index", *(f"dev:linux:{log}" for log in logs), *words, "--audit-dir", tmp_path)
    assert code == 0
    index = json.loads((tmp_path / "index.json").read_text())
    assert len(index["entries"]) == kept
    assert len(index["pruned"]) == 55 - kept
    assert not any(Path(path).exists() for path in index["pruned"])
    newest = Path(index["entries"][-1]["path"])
    if store == "ci":
        assert newest.name == "54.ndjson.gz"
        assert json.loads(gzip.decompress(newest.read_bytes()))["timestamp"] == "2026-03-02T08:15:00Z"
        assert audit.validate(newest).ok
    else:
        assert newest == logs[-1]


def test_what_lies_outside_the_store_is_never_removed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    logs = [write(outside / f"{number}.ndjson", record()) for number in range(25)]
    run(
        "create-audit-index", *(f"d:t:{log}" for log in logs), "--audit-store", "tmp", "--audit-dir", tmp_path / "store"
    )
    assert all(log.exists() for log in logs)


# --- round trips ----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4), st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_record_comes_out_of_its_text_as_it_went_in(metadata, more):
    made = audit.Record({**more, "envelope": {"metadata": metadata}})
    again = audit.Record.parse(made.to_json())
    assert again == made
    assert again.to_json() == made.to_json()
    assert list(again.data) == list(made.data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(data):
    import io

    for line in audit.read(io.BytesIO(data)):
        assert (line.record is None) != (line.problem is None)
        if line.record is not None:
            schema.violations(line.record)


def test_lines_of_a_text_are_read_as_those_of_a_file():
    assert [line.record.kind for line in read_text('{"event":"a"}\n{"event":"b"}')] == ["a", "b"]


def test_the_commands_of_the_contract_are_there_under_their_own_names(tmp_path):
    path = write(tmp_path / "log", record())
    assert CliRunner().invoke(command_line, ["verify-audit-metadata", "--strict", str(path)]).exit_code == 0
    words = ["create-audit-index", f"dev:linux:{path}", "--audit-dir", str(tmp_path)]
    assert CliRunner().invoke(command_line, words).exit_code == 0
    assert (tmp_path / "index.json").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"timestamp": 5}, [("envelope", "event"), ("timestamp",)]),
        ({}, [("envelope", "event")]),
        ({"event": 5, "timestamp": "2026-03-02T08:15:00Z"}, [("event",)]),
        ({"event": ""}, [("event",)]),
        ({"envelope": 5}, [("timestamp",), ("envelope",)]),
    ],
)
def test_what_is_no_record_at_all_is_told_by_what_it_lacks(tmp_path, line, told):
    (tmp_path / "log").write_text(json.dumps(line) + "\n")
    verdict = audit.validate(tmp_path / "log")
    assert [finding.keys for finding in verdict.findings] == told
    assert {finding.code for finding in verdict.findings} == {"audit.record.member"}
