"""Schemas (CONTRACTS 10.2): reading, validating, comparing, and what a migration costs."""

import json
from pathlib import Path

import pytest

from reml_embed import config
from reml_embed.config import ConfigError, DataType, Field, Schema, diff, documents, validate_migration
from reml_embed.config import schema as schemas


def schema(fields, version="1.0.0", **more):
    return schemas.read(
        documents.parse(json.dumps({"name": "S", "version": version, "fields": fields, **more}), "json", "s.json")
    )


def problems(value, fields):
    document = documents.parse(json.dumps(value, indent=1), "json", "d.json")
    return [(p.code, p.key_path, p.place.line, p.severity) for p in schemas.validate(document, schema(fields))]


def test_a_schema_comes_back_from_its_document():
    first = schema({
        "port": {"data_type": {"kind": "integer"}, "rules": [{"id": "r", "kind": {"rule": "range", "min": 1}, "severity": "critical"}]},
        "tags": {"data_type": {"kind": "list", "items": "string"}, "required": False, "default_value": []},
        "mode": {"data_type": {"kind": "enum", "values": ["a", "b"]}},
        "inner": {"data_type": {"kind": "object", "fields": {"x": "Number"}}},
        "by_name": {"data_type": {"kind": "map", "key": "string", "value": "boolean"}},
        "other": {"data_type": {"kind": "reference", "schema": "T"}},
    })  # fmt: skip
    again = schemas.read(documents.parse(json.dumps(first.json()), "json", "s.json"))
    assert again == first
    assert not diff(first, again)


def test_the_short_form_of_a_type_is_accepted_in_any_case():
    assert schema({"a": {"data_type": "String"}, "b": "INTEGER"}).fields["b"].data_type == DataType("integer")


@pytest.mark.parametrize(
    ("document", "key_path", "reason"),
    [
        ({"name": "S", "fields": {"a": {"data_type": "text"}}}, "fields.a.data_type", "no such type"),
        ({"name": "S", "fields": {"a": {"type": "string"}}}, "fields.a.type", "unknown key"),
        ({"fields": {}}, "", "needs a name"),
        ({"name": "S", "feilds": {}}, "feilds", "unknown key"),
        ({"name": "S", "version": "1"}, "version", "a version is"),
        (
            {"name": "S", "fields": {"a": {"rules": [{"id": "x", "kind": "odd"}]}}},
            "fields.a.rules[0]",
            "a rule needs kind",
        ),
        (
            {"name": "S", "fields": {"a": {"rules": [{"kind": {"rule": "regex", "pattern": "("}}]}}},
            "fields.a.rules[0]",
            "the pattern",
        ),
        ({"name": "S", "fields": {"a": {"required": "yes"}}}, "fields.a.required", "true or false"),
        ([], "", "a schema is a map"),
    ],
)
def test_a_malformed_schema_is_refused_with_its_key_path(document, key_path, reason):
    with pytest.raises(ConfigError, match=reason) as failure:
        schemas.read(documents.parse(json.dumps(document), "json", "s.json"))
    assert failure.value.code == "config.schema.invalid"
    assert failure.value.problems[0].key_path == key_path
    assert failure.value.problems[0].file == "s.json"


def test_missing_and_wrong_fields_are_named_with_line_and_key_path():
    fields = {
        "project.name": "string",
        "project.port": "integer",
        "list": {"data_type": {"kind": "list", "items": "integer"}},
    }
    assert problems({"project": {"port": "80"}, "list": [1, "x", 2.5, True]}, fields) == [
        ("config.missing_field", "project.name", 2, "error"),
        ("config.schema.type_mismatch", "project.port", 3, "error"),
        ("config.schema.type_mismatch", "list[1]", 7, "error"),
        ("config.schema.type_mismatch", "list[2]", 8, "error"),
        ("config.schema.type_mismatch", "list[3]", 9, "error"),
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("boolean", [True], [1, "true", None]),
        ("integer", [1, -5], [True, 1.0, "1"]),
        ("number", [1, 1.5], [True, "1"]),
        ("string", [""], [1, None]),
        ("bytes", ["aGk="], ["***", 1]),
        ("timestamp", ["2026-03-02T08:00:00Z"], ["2026-03-02", "2026-03-02T08:00:00", 1]),
        ("date", ["2026-03-02"], ["2026-13-02", 20260302]),
        ("any", [None, [1]], []),
    ],
)
def test_every_kind_of_type(kind, good, bad):
    for value in good:
        assert problems({"a": value}, {"a": kind}) == []
    for value in bad:
        assert [code for code, *_ in problems({"a": value}, {"a": kind})] == ["config.schema.type_mismatch"]


def test_rules_have_their_severities_and_messages():
    rules = [
        {"id": "low", "kind": {"rule": "range"}, "params": {"min": 10}, "severity": "warning", "message": "too low"},
        {"id": "even", "kind": {"rule": "enum", "values": [2, 4]}, "severity": "critical"},
    ]
    document = documents.parse('{"a": 3}', "json", "d.json")
    found = schemas.validate(document, schema({"a": {"data_type": "integer", "rules": rules}}))
    assert [(p.severity, p.message, p.details["rule_severity"]) for p in found] == [
        ("warning", "too low", "warning"), ("error", "is none of [2, 4]", "critical"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ({"rule": "range", "min": 1, "max": 3}, [1, 3, "x"], [0, 4, 3.5]),
        ({"rule": "length", "min": 1, "max": 2}, ["a", [1, 2], 5], ["", "abc", {}]),
        ({"rule": "regex", "pattern": "^a+$"}, ["aa", 1], ["b", ""]),
        ({"rule": "custom", "name": "no.such.check"}, [], [1]),
    ],
)
def test_every_rule(rule, good, bad):
    fields = {"a": {"data_type": "any", "rules": [{"id": "r", "kind": rule}]}}
    for value in good:
        assert problems({"a": value}, fields) == []
    for value in bad:
        assert [code for code, *_ in problems({"a": value}, fields)] == ["config.schema.rule_violation"]


def test_a_custom_rule_is_a_function_of_the_host(monkeypatch):
    monkeypatch.setitem(schemas.CUSTOM, "even", lambda value, _: None if value % 2 == 0 else "is odd")
    fields = {"a": {"data_type": "integer", "rules": [{"id": "even", "kind": "custom"}]}}
    assert problems({"a": 2}, fields) == []
    assert problems({"a": 3}, fields)[0][0] == "config.schema.rule_violation"


@pytest.mark.parametrize(
    ("version", "reason"),
    [("1.2.0", None), ("1.3.9", None), ("2.0.0", "major"), ("1.1.9", "schema_ahead"), ("0.9.0", "major")],
)
def test_same_major_and_not_older_than_the_schema(version, reason):
    document = documents.parse("{}", "json", "d.json")
    found = schemas.version_problem(document, version, schema({}, "1.2.0"))
    assert (found and found.details["version_reason"]) == reason
    assert found is None or found.code == "config.schema.version_incompatible"


def test_json_schema_finds_everything_with_its_place():
    document = documents.parse('{\n "port": "x",\n "tags": ["a", 1]\n}', "json", "d.json")
    rules = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"port": {"type": "integer"}, "tags": {"items": {"type": "string"}}},
        "required": ["name"],
    }
    found = schemas.validate_json_schema(document, rules, "s.json")
    assert [(p.code, p.key_path, p.place.line) for p in found] == [
        ("config.missing_field", "", 1),
        ("config.schema.type_mismatch", "port", 2),
        ("config.schema.type_mismatch", "tags[1]", 3),
    ]
    with pytest.raises(ConfigError) as failure:
        schemas.validate_json_schema(document, {"$schema": "x", "type": "nonsense"}, "s.json")
    assert (failure.value.code, failure.value.problems[0].key_path) == ("config.schema.invalid", "type")


def test_a_schema_diff_names_the_attributes_that_changed():
    old, new = (
        schema({"a": "string", "b": "integer", "c": "any"}),
        schema({"b": {"data_type": "number", "required": False}, "c": "any", "d": "any"}),
    )
    found = diff(old, new).json()
    assert [row["name"] for row in found["added"]] == ["d"]
    assert [row["name"] for row in found["removed"]] == ["a"]
    assert [(row["name"], row["attributes"]) for row in found["changed"]] == [("b", ["data_type", "required"])]


@pytest.mark.parametrize(
    ("old", "new", "dangerous"),
    [
        ({"a": "string"}, {}, ["a"]),  # a required field is removed
        ({"a": {"required": False}}, {}, []),
        ({"a": "string"}, {"a": "integer"}, ["a"]),  # its type changes without a converter
        ({"a": "integer"}, {"a": "number"}, []),
        ({}, {"a": "string"}, ["a"]),  # required, without default
        ({}, {"a": {"data_type": "string", "default_value": "x"}}, []),
        ({"a": {"required": False}}, {"a": {"required": True}}, ["a"]),
        (
            {"a": {"data_type": {"kind": "enum", "values": ["x"]}}},
            {"a": {"data_type": {"kind": "enum", "values": ["x", "y"]}}},
            [],
        ),
        (
            {"a": {"data_type": {"kind": "enum", "values": ["x", "y"]}}},
            {"a": {"data_type": {"kind": "enum", "values": ["x"]}}},
            ["a"],
        ),
    ],
)
def test_dangerous_changes(old, new, dangerous):
    assert [name for name, _ in diff(schema(old), schema(new)).dangerous()] == dangerous


def test_a_breaking_step_is_at_least_high_risk_and_needs_downtime():
    plan = validate_migration(schema({"a": "string"}), schema({"a": "integer"}))
    assert (plan.data_loss_risk, plan.requires_downtime) == ("high", True)
    assert plan.steps == ({"kind": "change_type", "name": "a", "from": "string", "to": "integer", "breaking": True},)
    easy = validate_migration(schema({}), schema({"a": {"required": False}}))
    assert (easy.data_loss_risk, easy.requires_downtime, [step["kind"] for step in easy.steps]) == (
        "low",
        False,
        ["add_field"],
    )
    none = validate_migration(schema({}), schema({}))
    assert (none.data_loss_risk, none.json()["estimated_duration"]) == ("none", {"seconds": 0})
    renamed = Schema("S", fields={"b": Field("b", DataType("string"), metadata={"renamed_from": "a"})})
    assert [step["kind"] for step in validate_migration(schema({"a": "string"}), renamed).steps] == ["rename_field"]
    assert plan.metadata().keys() == {
        "config.migration.steps", "config.migration.risk", "config.migration.downtime", "config.migration.estimated_seconds",
    }  # fmt: skip


def test_load_answers_a_value_that_the_schema_has_nothing_against(tmp_path):
    """CONTRACTS 10.2: `load(path, schema)`, `validate(value, schema)`."""
    wanted = config.Schema("S", fields={"a": config.Field("a", config.DataType("integer"))})
    (tmp_path / "good.toml").write_text("a = 1\n")
    (tmp_path / "bad.json").write_text('{\n "a": "x"}')
    assert config.load(tmp_path / "good.toml", wanted) == {"a": 1}
    with pytest.raises(config.ConfigError) as failure:
        config.load(tmp_path / "bad.json", wanted)
    [problem] = failure.value.problems
    assert (problem.code, problem.key_path, problem.place.line) == ("config.schema.type_mismatch", "a", 2)
    with pytest.raises(config.ConfigError) as failure:
        config.load(tmp_path / "gone.json", wanted)
    assert failure.value.kind == "IoError"
    assert config.validate({"a": 1}, wanted) == []
    assert [problem.code for problem in config.validate({}, wanted)] == ["config.missing_field"]


def test_every_code_of_the_contract_is_used():
    """CONTRACTS 10.3: a code that nothing says would be a promise that nothing keeps."""
    package = Path(config.__file__).parents[1]
    text = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py") if path.name != "config_codes.py")
    assert [code for code in config.CODES if f'"{code}"' not in text] == []


def test_the_cost_of_a_plan_is_that_of_its_steps():
    plan = validate_migration(schema({"a": "integer", "b": "string"}), schema({"a": "string", "c": "string"}))
    assert (
        config.estimate_migration_cost(plan) == config.estimate_migration_cost(plan.steps) == plan.estimated_seconds > 0
    )
