"""One shape for CLI, editor and log (CONTRACTS 21)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.diagnostics import Emitter, Entry, Span, build, catalog, filters, from_json, problems, register_catalog
from reml_embed.diagnostics.envelope import COMMANDS, PHASES, envelope, phase_of
from reml_embed.diagnostics.lsp import Positions, publish, to_lsp

CODES = Path(__file__).resolve().parents[2] / "native" / "src" / "diag" / "code.def"
SAMPLE = """{"schema_version":"3.0.0-alpha","message":"backpressure reached a bridge below the required stage","severity":"error","domain":"runtime","code":"bridge.stage.backpressure","timestamp":"2026-03-02T08:36:45Z","primary":{"file":"scene.reml","start_line":1,"start_col":1,"end_line":1,"end_col":1},"related":[{"capability":"async.stream"}],"extensions":{"bridge":{"id":"host.scene","stage":{"required":"at_least:beta","actual":"experimental"},"signal":{"kind":"pending"}}},"audit":{"audit_id":"4d7b1b0a-63c5-43b6-9c6d-f1c9a8a1b2d3","metadata":{"bridge.id":"host.scene","bridge.stage.required":"at_least:beta","bridge.stage.actual":"experimental","event.kind":"diagnostic.emitted","schema.version":"3.0.0-alpha"}},"audit_metadata":{"bridge.id":"host.scene","bridge.stage.required":"at_least:beta","bridge.stage.actual":"experimental","event.kind":"diagnostic.emitted","schema.version":"3.0.0-alpha"}}"""


@pytest.fixture
def own_codes():
    """A catalog of one test."""
    register_catalog(
        "test", {"test.wrong": Entry("something is wrong", "warning", "data", "https://example.org/wrong")}
    )
    yield
    catalog.unregister_catalog("test")


def shown(source: str, *, file: str = "main.reml", log: object = None, **options: object) -> list[dict]:
    """What is said of a source, emitted."""
    emitter = Emitter(log)
    with reml.Context(**options) as context:
        return [emitter.emit(item, file=file) for item in context.check(source, name=file)]


# --- required fields ---------------------------------------------------------------------------------------------------------


def test_the_sample_of_the_contract_has_all_required_fields():
    assert problems(json.loads(SAMPLE)) == []


@pytest.mark.parametrize("name", ["message", "severity", "primary", "audit", "audit_metadata", "timestamp"])
def test_a_missing_required_field_is_named(name):
    data = json.loads(SAMPLE)
    del data[name]
    assert name in problems(data)


def test_a_missing_part_of_the_place_is_named():
    data = json.loads(SAMPLE)
    del data["primary"]["end_col"]
    data["audit"]["audit_id"] = None
    assert problems(data) == ["primary.end_col", "audit.audit_id"]


def test_every_diagnostic_that_is_shown_has_all_required_fields():
    for item in shown('let a: Int = "x"\nfn f() { 1; () }\nlet b = nope'):
        assert problems(item) == []
        assert item["primary"]["file"] == "main.reml"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["timestamp"])
        assert item["schema_version"] == "3.0.0-alpha"
        assert item["id"] != item["audit"]["audit_id"]


def test_a_diagnostic_without_a_place_gets_the_first_position_of_its_file():
    item = Emitter().emit(build("runtime.entry.unknown", "no main"), file="main.reml")
    assert item["primary"] == {"file": "main.reml", "start_line": 1, "start_col": 1, "end_line": 1, "end_col": 1}
    assert problems(item) == []


def test_completion_changes_nothing_else_of_what_the_library_said():
    with reml.Context() as context:
        (found,) = context.check('let é: Int = "x"')
    before = json.dumps(found.json)
    item = Emitter().emit(found, file="a.reml")
    added = {"schema_version", "id", "timestamp", "audit", "audit_metadata"}
    assert set(item) - set(found.json) == added
    assert {name: item[name] for name in found.json if name != "primary"} == {
        name: value for name, value in found.json.items() if name != "primary"
    }
    assert item["primary"] == {"file": "a.reml", **found.json["primary"]}
    assert json.dumps(found.json) == before


def test_emission_copies_the_metadata_of_the_audit_envelope():
    (item,) = shown("let b = nope")
    assert item["audit_metadata"] == item["audit"]["metadata"]
    assert item["audit_metadata"] is not item["audit"]["metadata"]
    assert item["audit_metadata"]["event.kind"] == "diagnostic.emitted"
    assert list(item["audit_metadata"]) == sorted(item["audit_metadata"])


def test_building_is_pure_and_emission_sets_ids_and_times():
    made = build("type.mismatch", "x")
    assert made == build("type.mismatch", "x")
    assert not {"id", "timestamp", "audit", "schema_version"} & set(made.json)
    first, second = Emitter().emit(made), Emitter().emit(made)
    assert first["id"] != second["id"]
    clock = Emitter(clock=lambda: "2026-03-02T08:36:45Z", make_id=lambda: "4d7b1b0a-63c5-43b6-9c6d-f1c9a8a1b2d3").emit(
        made
    )
    assert (clock["timestamp"], clock["id"]) == ("2026-03-02T08:36:45Z", "4d7b1b0a-63c5-43b6-9c6d-f1c9a8a1b2d3")


# --- one audit id ------------------------------------------------------------------------------------------------------------


def test_log_cli_and_editor_share_the_audit_id(tmp_path):
    log = MemorySink()
    source = 'let s = "😀"; let b = nope'
    (item,) = shown(source, log=AuditContext(log, channel="cli"))
    (record,) = log.records
    (diagnostic,) = publish("main.reml", [item], source.encode())["diagnostics"]
    assert item["audit"]["audit_id"] == record["envelope"]["audit_id"] == diagnostic["data"]["audit_id"]


def test_two_tools_that_show_the_same_finding_show_the_same_audit_id(tmp_path, monkeypatch):
    file = tmp_path / "a.reml"
    (cli,) = shown("let b = nope", file=str(file))
    editor = Emitter(channel="lsp", root=tmp_path.parent)
    monkeypatch.chdir(tmp_path)
    with reml.Context() as context:
        (found,) = context.check("let b = nope")
    monkeypatch.setenv("REMLC_WORKSPACE_ROOT", str(tmp_path.parent))
    assert (
        editor.emit(found, file="a.reml")["audit"]["audit_id"] == Emitter().emit(found, file=file)["audit"]["audit_id"]
    )
    assert Emitter(root=tmp_path).emit(found, file="b.reml")["audit"]["audit_id"] != cli["audit"]["audit_id"]


def test_failures_of_runs_are_incidents_with_ids_of_their_own():
    with reml.Context() as context:
        context.load("fn main() -> Int = 1 / 0", name="main.reml")
        with pytest.raises(reml.RunError) as caught:
            context.run()
    (found,) = caught.value.diagnostics
    emitter = Emitter()
    ids = {emitter.emit(found, file="main.reml")["audit"]["audit_id"] for _ in range(2)}
    assert len(ids) == 2


# --- records -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "count"), [("error", 1), ("warning", 1), ("info", 0), ("hint", 0)])
def test_diagnostic_emitted_is_recorded_only_for_error_and_warning(severity, count):
    log = MemorySink()
    item = Emitter(AuditContext(log, channel="cli")).emit(build("type.mismatch", "x", severity=severity), file="a.reml")
    assert len(log.records) == count
    assert problems(item) == []
    for record in log.records:
        metadata = record["envelope"]["metadata"]
        assert (metadata["event.kind"], metadata["error.code"], metadata["error.severity"]) == (
            "diagnostic.emitted", "type.mismatch", severity,
        )  # fmt: skip
        assert metadata["diagnostic.id"] == item["id"]
        assert metadata["event"]["primary"]["file"] == "a.reml"


# --- extensions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["target", "plugin", "lsp"])
def test_target_plugin_and_lsp_data_sit_in_their_extensions(domain):
    item = Emitter().emit(
        build("type.mismatch", "x", domain=domain, data={"a": 1}, extensions={domain: {"b": 2}, "cfg": {}})
    )
    assert item["extensions"][domain] == {"a": 1, "b": 2}
    assert item["extensions"]["cfg"] == {}
    assert item["domain"] == domain


def test_requested_and_detected_can_be_compared_from_one_diagnostic():
    target = {
        "requested": {"profile_id": "wasi-preview2", "os": "wasi"},
        "detected": {"profile_id": "desktop-x86_64", "os": "linux"},
    }
    with reml.Context(target={"profile_id": "wasi-preview2"}) as context:
        (found,) = context.check('@cfg(target_oz = "x") let a = 1')
    item = Emitter(target=target).emit(found, file="a.reml")
    assert item["extensions"]["target"] == target
    assert item["audit_metadata"]["target.profile.requested"] == "wasi-preview2"
    assert item["audit_metadata"]["target.profile.detected"] == "desktop-x86_64"


def test_bridge_extensions_are_repeated_as_flat_keys_as_in_the_sample():
    data = json.loads(SAMPLE)
    made = build(
        "type.mismatch", data["message"], domain="runtime", extensions=data["extensions"], related=data["related"]
    )
    item = Emitter().emit(made, file="scene.reml")
    flat = data["audit"]["metadata"]
    assert {name: item["audit_metadata"][name] for name in flat} == flat
    assert item["related"] == [{"capability": "async.stream"}]


def test_effect_diagnostics_say_which_effects_in_their_extension():
    (item,) = shown("fn f() -> () ! {} = println(1)")
    assert item["extensions"]["effects"] == {"before": ["io"], "handled": [], "residual": ["io"]}


def test_a_stage_mismatch_says_both_stages():
    source = '@requires_capability(stage = "experimental", id = "x") fn f() = 1'
    (item,) = shown(source, minimum_stage="beta")
    effects = item["extensions"]["effects"]
    assert (effects["required_stage"], effects["actual_stage"], effects["stage"]) == (
        "at_least:beta",
        "experimental",
        "experimental",
    )


# --- catalog -----------------------------------------------------------------------------------------------------------------


def test_the_codes_of_the_library_are_registered():
    rows = re.findall(r'^CODE\(\w+, "([^"]+)", "(\w+)", RL_(\w+)\)', CODES.read_text(), re.MULTILINE)
    for code, domain, severity in rows:
        entry = catalog.entry_of(code)
        assert entry is not None
        assert (entry.default_domain, entry.default_severity) == (domain, severity.lower())
    assert set(catalog.codes("reml")) >= {code for code, _, _ in rows}


def test_a_duplicate_code_is_refused_and_nothing_of_the_call_is_kept(own_codes):
    for entries in (
        {"test.new": Entry("x"), "test.wrong": Entry("y")},
        {"type.mismatch": Entry()},
        [("a.b", Entry()), ("a.b", Entry())],
    ):
        with pytest.raises(reml.CatalogError) as caught:
            register_catalog("second", entries)
        assert caught.value.code == "catalog.duplicate_key"
    assert catalog.entry_of("test.new") is None
    assert catalog.codes("second") == []


def test_wrong_catalog_entries_are_refused():
    for name, entries, code in (
        ("", {"x.y": Entry()}, "catalog.invalid_entry"),
        ("n", {"": Entry()}, "catalog.invalid_entry"),
        ("n", {"x.y": Entry("", "fatal")}, "catalog.invalid_entry"),
        ("n", {"x.y": {"message": "x"}}, "catalog.invalid_entry"),
        ("n", {"x.y": Entry("", "error", "nowhere")}, "catalog.unknown_domain"),
    ):
        with pytest.raises(reml.CatalogError) as caught:
            register_catalog(name, entries)
        assert caught.value.code == code


def test_entries_may_be_plain_mappings():
    facts = {
        "default_message": "m",
        "default_severity": "info",
        "default_domain": "cli",
        "docs_url": "https://example.org",
    }
    register_catalog("plain", {"plain.code": facts})
    try:
        made = build("plain.code")
        assert (made.message, made.severity, made.domain) == ("m", "info", "cli")
        assert to_lsp(Emitter().emit(made), None)["codeDescription"] == {"href": "https://example.org"}
    finally:
        catalog.unregister_catalog("plain")


def test_defaults_of_a_diagnostic_come_from_the_catalog(own_codes):
    made = build("test.wrong")
    assert (made.message, made.severity, made.domain) == ("something is wrong", "warning", "data")
    assert build("test.wrong", "else", severity="info", domain="net").severity == "info"


def test_unregistered_codes_are_refused_in_tests(own_codes):
    made = from_json({"severity": "error", "code": "nobody.knows", "message": "x"})
    with catalog.refuse_unregistered():
        Emitter().emit(build("test.wrong"))
        for attempt in (lambda: Emitter().emit(made), lambda: build("nobody.knows")):
            with pytest.raises(reml.CatalogError) as caught:
                attempt()
            assert caught.value.code == "catalog.unknown_code"


def test_domains_are_those_of_the_contract():
    assert build("type.mismatch", domain="network").domain == "net"
    assert build("type.mismatch", domain="other:mine").domain == "other:mine"
    for wrong in ("nowhere", "other:"):
        with pytest.raises(reml.CatalogError):
            build("type.mismatch", domain=wrong)
    with pytest.raises(ValueError, match="severity"):
        build("type.mismatch", severity="fatal")
    with pytest.raises(ValueError, match="severity_hint"):
        build("type.mismatch", severity_hint="panic")
    assert build("type.mismatch", severity_hint="retry").json["severity_hint"] == "retry"


# --- filters -----------------------------------------------------------------------------------------------------------------


def test_filters_choose_by_severity_code_domain_and_effect():
    found = shown("let a: Int = true\nfn f() -> () ! {} = println(1)\nfn g() { 1; () }\nlet b = nope\n")
    codes = [item["code"] for item in found]
    assert codes == [
        "type.mismatch",
        "effects.contract.mismatch",
        "language.statement.unused_value",
        "type.unresolved_ident",
    ]

    def kept(*filter_words: str, **words: list[str]) -> list[str]:
        chosen = filters.parse(filter_words, **words)
        return [item["code"] for item in found if chosen(item)]

    assert kept() == codes
    assert kept("severity=warning") == [codes[2]]
    assert kept("severity=error, warning") == codes
    assert kept("code=type.*") == [codes[0], codes[3]]
    assert kept(include=["domain=effect", "code=type.mismatch"]) == codes[:2]
    assert kept(include=["code=type.*"], exclude=["code=type.mismatch"]) == [codes[3]]
    assert kept(exclude=["domain=type,effect"]) == []
    assert kept(tags=["io"]) == [codes[1]]
    assert kept(tags=["net"]) == []


@pytest.mark.parametrize("word", ["severity=fatal", "colour=red", "severity", "code=", "=x", ""])
def test_a_word_that_is_no_filter_says_what_is_known(word):
    with pytest.raises(ValueError, match=r"severity|code="):
        filters.parse([word])


# --- editors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "start", "end"),
    [
        ("let b = nope", (0, 8), (0, 12)),
        ('let s = "😀"; let b = nope', (0, 22), (0, 26)),  # two code units
        ('let s = "e\u0301👨\u200d👩\u200d👧"; let b = nope', (0, 30), (0, 34)),  # one column each
        ("let a = 1\r\nlet s = 2\rlet b = nope", (2, 8), (2, 12)),
        ("\ufefflet b = nope", (0, 8), (0, 12)),
    ],
)
def test_lsp_positions_are_zero_based_and_in_utf16(source, start, end):
    (item,) = shown(source)
    (found,) = publish("main.reml", [item], source.encode())["diagnostics"]
    assert (found["range"]["start"], found["range"]["end"]) == (
        {"line": start[0], "character": start[1]}, {"line": end[0], "character": end[1]},
    )  # fmt: skip
    line = (
        source.removeprefix("\ufeff")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .split("\n")[start[0]]
        .encode("utf-16-le")
    )
    assert line[2 * start[1] : 2 * end[1]].decode("utf-16-le") == "nope"


def test_lsp_notes_and_fixits_are_placed_the_same_way():
    source = 'fn f() = g("😀", [2, 3)'
    (item,) = [item for item in shown(source) if item["code"] == "parser.syntax.expected_tokens"]
    found = to_lsp(item, Positions(source.encode()))
    (related,) = found["relatedInformation"]
    assert related["location"]["range"]["start"] == {"line": 0, "character": 17}
    assert related["location"]["uri"].startswith("file:///")
    source = 'fn f() { let s = "😀"; let count = 1; cuont }'
    (item,) = shown(source)
    (fix,) = to_lsp(item, Positions(source.encode()))["data"]["fixits"]
    assert fix["newText"] == "count"
    assert fix["range"] == to_lsp(item, Positions(source.encode()))["range"]


def test_lsp_severities_are_one_to_four():
    for number, severity in enumerate(("error", "warning", "info", "hint"), 1):
        assert to_lsp(Emitter().emit(build("type.mismatch", severity=severity)), None)["severity"] == number


def test_lsp_positions_outside_the_source_stay_inside_it():
    place = Positions(b"ab\ncd")
    assert place.at(99, 99) == {"line": 1, "character": 2}
    assert place.at(0, 0) == {"line": 0, "character": 0}
    assert place.at(1, 1, 10**9) == {"line": 0, "character": 2}
    assert Positions(b"\xff\xfe\n").at(1, 3) == {"line": 0, "character": 2}
    assert to_lsp(Emitter().emit(build("type.mismatch", span=Span(2, 3, 2, 9))), None)["range"]["start"] == {
        "line": 1,
        "character": 2,
    }


# --- envelope ----------------------------------------------------------------------------------------------------------------


def test_the_envelope_of_a_command_has_the_fields_of_the_contract():
    item = Emitter().emit(build("type.mismatch"))
    found = envelope(
        "Check",
        phase="TypeCheck",
        run_id="r",
        diagnostics=[item],
        inputs=["a"],
        started_at="x",
        finished_at="y",
        value=1,
    )
    assert list(found) == ["schema_version", "command", "phase", "run_id", "diagnostics", "summary", "exit_code"]
    assert list(found["summary"]) == ["inputs", "started_at", "finished_at", "artifact", "stats"]
    assert found["exit_code"] == {"label": "failure", "value": 1}
    assert found["summary"]["stats"] == {"errors": 1, "warnings": 0}
    assert COMMANDS == ("Build", "Test", "Fmt", "Check", "Publish", "New", "Lint", "Diff", "Reload", "Embed")
    assert PHASES == ("Parsing", "TypeCheck", "EffectCheck", "Codegen", "Execution", "Formatting", "Reporting")
    for wrong in ({"command": "Cook"}, {"phase": "Lunch"}):
        with pytest.raises(ValueError, match="no such"):
            envelope(**{"command": "Check", "phase": "Parsing", "run_id": "", "diagnostics": [], "inputs": [], "started_at": "",
                        "finished_at": "", "value": 0} | wrong)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "phase"),
    [("let =", "Parsing"), ("let a: Int = true", "TypeCheck"), ("fn f() -> () ! {} = println(1)", "EffectCheck"), ("let a = 1", "Execution"),
     ("fn f() { 1; () }", "Execution")],
)  # fmt: skip
def test_the_phase_is_where_the_work_ended(source, phase):
    assert phase_of(shown(source)) == phase
