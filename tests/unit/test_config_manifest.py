"""The manifest (CONTRACTS 10.1): its tables, its DSLs against their sources, the bridge spec that follows from it."""

import pytest

from reml_embed.config import bridge_stage, documents, update_dsl_signature
from reml_embed.config.manifest import check_sources, from_document, signature_of, with_sources
from reml_embed.config.manifest import read as read_manifest

SOURCE = """
module Orders
extern "host" { type Parser<T> }
@dsl_export("runtime_bridge", name = "orders", allows_effects = [io], requires_capabilities = ["net", "db"],
            stage_bounds = { minimum: "beta", current: "beta", maximum: "stable" })
pub fn orders() -> Parser<Int> ! {io}
"""
MANIFEST = """
[project]
name = "demo"
version = "1.2.0"

[dsl.orders]
entry = "orders.reml"
exports = ["orders"]
expect_effects = ["io"]
expect_effects_stage = "beta"
capabilities = ["db", "net"]
"""


def codes(text):
    return [(p.code, p.key_path) for p in from_document(documents.parse(text, "toml", "reml.toml")).problems]


@pytest.fixture
def project(tmp_path):
    """A project with one DSL; answers its manifest's path."""

    def make(manifest=MANIFEST, source=SOURCE):
        (tmp_path / "orders.reml").write_text(source, encoding="utf-8")
        (tmp_path / "reml.toml").write_text(manifest, encoding="utf-8")
        return tmp_path / "reml.toml"

    return make


def test_a_manifest_that_is_right_has_no_problems(project):
    manifest = read_manifest(project())
    assert manifest.problems == []
    assert check_sources(manifest) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("config.missing_field", "")]),
        ("[project]\nname = 'a'", [("config.missing_field", "project")]),
        ("project = 3", [("config.manifest.type_mismatch", "project"), ("config.missing_field", "project"), ("config.missing_field", "project")]),
        ("[project]\nname = 'a'\nversion = '1.x'", [("config.project.version_invalid", "project.version")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\nkind = 'game'", [("config.project.kind_unknown", "project.kind")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\nstage = 'alpha'", [("config.invalid_stage", "project.stage")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\nnmae = 1", [("config.manifest.unknown_key", "project.nmae")]),
        ("[project]\nname = 1\nversion = '1.0.0'", [("config.manifest.type_mismatch", "project.name"), ("config.missing_field", "project")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\n[build]\noptimize = 'max'", [("config.build.optimize_unknown", "build.optimize")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\n[dsl.x]\nkind = 'odd'\nentry = 'gone.reml'",
         [("manifest.entry.missing", "dsl.x.entry"), ("config.dsl.unknown_kind", "dsl.x.kind")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\n[dsl.x]\nexpect_effects = ['not an effect']",
         [("config.missing_field", "dsl.x"), ("manifest.dsl.unknown_effect", "dsl.x.expect_effects[0]")]),
        ("[project]\nname = 'a'\nversion = '1.0.0-pre.1'\n[dsl.x]\nentry='reml.toml'\nallow_prerelease = false",
         [("manifest.entry.missing", "dsl.x.entry"), ("manifest.dsl.stage_prerelease_conflict", "dsl.x.allow_prerelease")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\n[odd]\nx = 1", [("config.manifest.unknown_key", "odd")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\n[[run.target.capabilities]]\nid = 'net'\nstage = 'alpha'",
         [("config.invalid_stage", "run.target.capabilities[0].stage")]),
        ("[project]\nname = 'a'\nversion = '1.0.0'\n[[run.target.capabilities]]\nstage = 'beta'",
         [("config.manifest.capability_contract", "run.target.capabilities[0]")]),
    ],
)  # fmt: skip
def test_every_mistake_is_named_by_code_and_key_path(text, expected):
    assert codes(text) == expected


def test_dependencies_below_project_are_dependencies():
    text = '[project]\nname = "a"\nversion = "1.0.0"\ndependencies = { core = "1.0" }\n'
    manifest = from_document(documents.parse(text, "toml", "reml.toml"))
    assert (manifest.problems, manifest.value["dependencies"]) == ([], {"core": "1.0"})
    assert "dependencies" not in manifest.project


def test_the_stage_of_expected_effects_defaults_to_stable():
    text = '[project]\nname = "a"\nversion = "1.0.0"\n[dsl.x]\nentry = "x"\nexpect_effects = ["io"]\n'
    assert from_document(documents.parse(text, "toml", "reml.toml")).dsls["x"]["expect_effects_stage"] == "stable"


@pytest.mark.parametrize(
    ("change", "code", "key_path"),
    [
        (('exports = ["orders"]', 'exports = ["gone"]'), "config.dsl.export_not_found", "dsl.orders.exports[0]"),
        (('capabilities = ["db", "net"]', 'capabilities = ["db"]'), "manifest.dsl.capability_missing", "dsl.orders.capabilities"),
        (('expect_effects = ["io"]', 'expect_effects = ["db"]'), "manifest.dsl.effect_mismatch", "dsl.orders.expect_effects"),
        (('stage = "beta"', 'stage = "stable"'), "manifest.dsl.stage_mismatch", "dsl.orders.expect_effects_stage"),
        (('["orders"]', '[{ name = "orders", signature = { category = "language" } }]'), "manifest.dsl.category_mismatch", "dsl.orders.exports[0].signature.category"),
        (('["orders"]', '[{ name = "orders", signature = { stage_bounds = { minimum = "stable" } } }]'), "manifest.dsl.stage_mismatch", "dsl.orders.exports[0].signature.stage_bounds"),
    ],
)  # fmt: skip
def test_what_the_manifest_says_is_compared_with_the_source(project, change, code, key_path):
    manifest = read_manifest(project(MANIFEST.replace(*change)))
    assert manifest.problems == []
    found = check_sources(manifest)
    assert [(p.code, p.key_path) for p in found] == [(code, key_path)]
    assert found[0].place.line > 1


def test_a_source_that_does_not_load_is_a_problem_of_its_entry(project):
    found = check_sources(read_manifest(project(source="fn broken(")))
    assert [(p.code, p.key_path) for p in found] == [("config.dsl.not_found", "dsl.orders.entry")]


def test_the_dump_equals_what_the_source_exports(project):
    shown = with_sources(read_manifest(project()))
    assert shown["dsl"]["orders"]["exports"] == [{
        "name": "orders",
        "signature": {
            "name": "orders", "category": "runtime_bridge", "allows_effects": ["io"], "requires_capabilities": ["db", "net"],
            "stage_bounds": {"minimum": "beta", "current": "beta", "maximum": "stable"},
        },
    }]  # fmt: skip
    assert shown["dsl"]["orders"]["capabilities"] == ["db", "net"]


def test_update_dsl_signature_takes_current_then_minimum_then_maximum():
    value = {"dsl": {"x": {"capabilities": ["z"], "exports": ["a", "b"]}}}
    for bounds, stage in (
        ({"minimum": "beta", "current": "experimental"}, "experimental"),
        ({"minimum": "beta", "maximum": "stable"}, "beta"),
        ({"maximum": "stable"}, "stable"),
    ):
        changed = update_dsl_signature(
            value, "x", {"name": "b", "stage_bounds": bounds, "requires_capabilities": ["y", "z"]}
        )
        table = changed["dsl"]["x"]
        assert table["expect_effects_stage"] == stage
        assert table["capabilities"] == ["y", "z"]
        assert [row if isinstance(row, str) else row["name"] for row in table["exports"]] == ["a", "b"]
    assert value == {"dsl": {"x": {"capabilities": ["z"], "exports": ["a", "b"]}}}


def test_stage_bounds_become_the_four_keys_of_a_bridge():
    signature = signature_of(
        {"requires_capabilities": ["net"], "stage_bounds": {"maximum": "stable", "minimum": "beta", "current": "beta"}}
    )
    assert bridge_stage(signature) == {
        "bridge.stage.required": "at_least:beta", "bridge.stage.actual": "beta", "bridge.stage.mode": "at_least",
        "bridge.stage.capability": "net",
    }  # fmt: skip
    exact = bridge_stage({"stage_bounds": {"minimum": "beta", "maximum": "beta"}})
    assert exact == {"bridge.stage.required": "exact:beta", "bridge.stage.actual": "beta", "bridge.stage.mode": "exact"}
    assert bridge_stage({}) == {}


@pytest.mark.parametrize(
    ("table", "code", "key"),
    [
        ('profile = "lax"', "config.compat.unknown_profile", "profile"),
        ('trailing_comma = "Maybe"', "config.compat.env_invalid", "trailing_comma"),
        ("odd = 1", "config.compat.unknown_profile", "odd"),
        ('feature_guard = ["comments"]', "config.feature.mismatch", "feature_guard"),
        ("feature_guard = 5", "config.compat.env_invalid", "feature_guard"),
    ],
)
def test_the_compatibility_of_a_manifest_is_checked(tmp_path, table, code, key):
    (tmp_path / "reml.toml").write_text(
        f"[project]\nname = 'a'\nversion = '1.0.0'\n[config.compatibility.json]\n{table}\n"
    )
    [problem] = read_manifest(tmp_path / "reml.toml").problems
    assert (problem.code, problem.key_path, problem.place.line) == (code, f"config.compatibility.json.{key}", 5)


def test_a_signature_that_is_no_table_is_signature_serialization(tmp_path):
    (tmp_path / "a.reml").write_text("module A\n")
    for exports in ("signature = 5", "signature = {stage_bounds = 5}"):
        (tmp_path / "reml.toml").write_text(
            f"[project]\nname = 'a'\nversion = '1.0.0'\n[dsl.a]\nentry = 'a.reml'\nexports = [{{name = 'x', {exports}}}]\n"
        )
        [problem] = read_manifest(tmp_path / "reml.toml").problems
        assert problem.code == "config.manifest.signature_serialization"
        assert problem.key_path.startswith("dsl.a.exports[0].signature")
