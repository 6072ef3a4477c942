"""Documents (CONTRACTS 10.1, 10.4): JSON and TOML with places, as strict as the profile says."""

import dataclasses
import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reml_embed.config import ConfigError, documents, resolve
from reml_embed.config.profiles import ALIASES, FEATURES, PROFILES, from_table, named
from reml_embed.data import flatten, path_text, same

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    LEAVES, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=4), max_leaves=20
)


def codes(document):
    return [(problem.code, problem.place.line, problem.place.column) for problem in document.problems]


@settings(max_examples=200, deadline=None)
@given(VALUES, st.sampled_from([None, 0, 1, "\t"]))
def test_json_is_read_as_python_reads_it(value, indent):
    text = json.dumps(value, indent=indent)
    document = documents.parse(text, "json")
    assert document.problems == []
    assert same(document.value, value)
    for path in flatten(value):
        assert path in document.places


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]",:0123456789.+-eEtrufalsn \n\\/*#ab', max_size=40))
def test_reading_json_never_fails_and_agrees_with_python(text):
    document = documents.parse(text, "json", "x.json")
    try:
        expected = json.loads(text)
    except (ValueError, RecursionError):
        assert document.problems
    else:
        if not document.problems:
            assert same(document.value, expected)
        else:  # what Python forgives: two values for a name, NaN, numbers beyond every Float
            assert {problem.code for problem in document.problems} <= {
                "config.compat.duplicate_key", "config.compat.number_format", "config.manifest.parse_error",
            }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{"a": [1, 2,]}', "config.compat.trailing_comma", (1, 12)),
        ('{"a": 1,\n}', "config.compat.trailing_comma", (1, 8)),
        ("{\n  a: 1}", "config.compat.unquoted_key", (2, 3)),
        ('{"a": 1,\n "a": 2}', "config.compat.duplicate_key", (2, 2)),
        ('{"a": +1}', "config.compat.number_format", (1, 7)),
        ('{"a": 1e999}', "config.compat.number_format", (1, 7)),
        ('{"a" 1}', "config.manifest.parse_error", (1, 6)),
        ("", "config.manifest.parse_error", (1, 1)),
        ("[1] 2", "config.manifest.parse_error", (1, 5)),
        ("[01]", "config.manifest.parse_error", (1, 2)),
        ('["\\q"]', "config.manifest.parse_error", (1, 2)),
        ('["a\nb"]', "config.manifest.parse_error", (1, 2)),
        ("// c\n1", "config.manifest.parse_error", (1, 1)),
        ("[" * 5000, "config.manifest.parse_error", (1, 202)),
    ],
)
def test_strict_json_names_line_column_and_code(text, code, place):
    assert codes(documents.parse(text, "json")) == [(code, *place)]


def test_json_relaxed_forgives_what_the_table_says():
    text = '{ // orders\n  a: [1, +2,], /* and */ "b": {"c": 1,},\n "b": 2 }'
    document = documents.parse(text, "json", compatibility=PROFILES["json-relaxed"])
    assert (document.value, document.problems) == ({"a": [1, 2], "b": 2}, [])
    assert codes(documents.parse("{a1: 1}", "json", compatibility=PROFILES["json-relaxed"])) == [
        ("config.key.unquoted", 1, 2)  # allowed are letters
    ]


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("// why\n{}", "comments"),
        ('{"a": [1,]}', "trailing_comma"),
        ("{a: 1}", "unquoted_key"),
        ('{"a": 1, "a": 2}', "duplicate_key"),
        ('{"a": +1}', "leading_plus"),
    ],
)
def test_what_is_forgiven_must_be_approved_where_there_is_a_feature_guard(text, feature):
    assert set(FEATURES) == {"comments", "trailing_comma", "unquoted_key", "duplicate_key", "leading_plus"}
    rules = PROFILES["json-relaxed"]
    approved = dataclasses.replace(rules, feature_guard=(feature,))
    assert documents.parse(text, "json", compatibility=approved).problems == []
    others = dataclasses.replace(rules, feature_guard=tuple(set(FEATURES) - {feature}))
    [problem] = documents.parse(text, "json", "app.json", compatibility=others).problems
    assert (problem.code, problem.severity) == ("config.feature.unapproved", "error")
    assert problem.place
    assert f"`{feature}`" in problem.message


def test_a_feature_guard_holds_for_toml_too():
    text = "a = { b = 1, }\n"
    guarded = dataclasses.replace(PROFILES["toml-relaxed"], feature_guard=("comments",))
    assert [code for code, _, _ in codes(documents.parse(text, "toml", compatibility=guarded))] == [
        "config.feature.unapproved"
    ]
    assert documents.parse(text, "toml").problems == []


def test_what_a_profile_does_not_forgive_cannot_be_approved():
    for table, word in (
        ({"feature_guard": ["trailing_comma"]}, "does not forgive"), ({"profile": "json-relaxed", "feature_guard": ["wings"]}, "no feature"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=word) as failure:
            from_table(table, "json")
        assert failure.value.code == "config.feature.mismatch"
        assert failure.value.problems[0].key_path == "config.compatibility.json.feature_guard"
    with pytest.raises(ConfigError, match="REML_CONFIG_FEATURES"):
        resolve("json", environment={"REML_CONFIG_FEATURES": "wings"})
    with pytest.raises(ConfigError, match="a list of texts"):
        from_table({"feature_guard": 5}, "json")


def test_all_that_is_wrong_is_told_at_once():
    document = documents.parse('{"a": [1,], b: +2, "a": 3,}', "json")
    assert [code for code, _, _ in codes(document)] == [
        "config.compat.trailing_comma", "config.compat.unquoted_key", "config.compat.number_format",
        "config.compat.duplicate_key", "config.compat.trailing_comma",
    ]  # fmt: skip


def test_line_breaks_and_a_last_comma_inside_inline_tables_are_read():
    text = '[project]\nname = "a"\ndependencies = {\n  core = "1.0", # the core\n  net = { path = "x" },\n}\nstage = "beta"\n'
    document = documents.parse(text, "toml")
    assert document.problems == []
    assert document.value["project"] == {
        "name": "a",
        "dependencies": {"core": "1.0", "net": {"path": "x"}},
        "stage": "beta",
    }
    strict = documents.parse(text, "toml", compatibility=PROFILES["toml-strict"])
    assert {(p.code, p.severity) for p in strict.problems} == {("config.compat.trailing_comma", "warning")}
    assert strict.value == document.value


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a = 1\na = 2\n", "config.compat.duplicate_key", (2, 6)),
        ("a = {\n b = 1,\n c = }\n", "config.manifest.parse_error", (3, 6)),
        ("[a\n", "config.manifest.parse_error", (1, 3)),
        ("a = " + "[" * 3000, "config.manifest.parse_error", (1, 3005)),
    ],
)
def test_what_is_wrong_in_toml_is_placed_in_the_text_as_written(text, code, place):
    assert codes(documents.parse(text, "toml")) == [(code, *place)]


def test_every_key_of_toml_has_its_place():
    text = """title = "x"
[project]
"odd key".x = 1.5
list = [ 1, [2, { k = 3 }],
  "x" ]
[[dsl.items]]
entry = "e"
[[dsl.items]]
entry = '''
[not] = a table
'''
[dsl.items.sub]
when = 2026-03-02T08:00:00Z
"""
    document = documents.parse(text, "toml")
    places = {path_text(path): (place.line, place.column) for path, place in document.places.items()}
    assert document.value == tomllib.loads(text)
    assert {path_text(path) for path in flatten(document.value)} <= places.keys()
    assert places["project.list[1][1].k"] == (4, 19)
    assert places["project.list[2]"] == (5, 3)
    assert places["dsl.items[1].entry"] == (9, 1)
    assert places["dsl.items[1].sub.when"] == (13, 1)
    assert places['project."odd key".x'] == (3, 1)


def test_profiles_are_those_of_the_contract():
    rows = {
        name: (row.trailing_comma, row.unquoted_key, row.duplicate_key, row.number, row.trivia)
        for name, row in PROFILES.items()
    }
    assert rows == {
        "strict-json": ("Forbid", "Forbid", "Error", "Strict", "strict_json"),
        "json-relaxed": ("ArraysAndObjects", "AllowAlpha", "LastWriteWins", "AllowLeadingPlus", "json_relaxed"),
        "toml-strict": ("Forbid", "AllowAlphaNumeric", "Error", "Strict", "toml_relaxed"),
        "toml-relaxed": ("ArraysAndObjects", "AllowAlphaNumeric", "Error", "Strict", "toml_relaxed"),
    }
    for alias in ("strict", "json-strict", "relaxed-json", "toml", "strict-toml", "relaxed-toml"):
        assert named(alias, "test").profile == ALIASES[alias]


def test_the_first_layer_that_says_something_wins():
    environment = {"REML_CONFIG_COMPAT": "json-relaxed"}
    table = {"profile": "strict-json", "trailing_comma": "ArraysAndObjects", "feature_guard": ["trailing_comma"]}
    found = [
        resolve("json", cli="toml", environment=environment, manifest=table),
        resolve("json", environment=environment, manifest=table),
        resolve("json", environment={}, manifest=table),
        resolve("json", environment={}),
    ]
    assert [(one.source, one.compatibility.profile) for one in found] == [
        ("cli", "toml-relaxed"), ("env", "json-relaxed"), ("manifest", "strict-json"), ("default", "strict-json"),
    ]  # fmt: skip
    assert found[2].compatibility.trailing_comma == "ArraysAndObjects"
    assert found[2].metadata().keys() == {"config.source", "config.format", "config.profile", "config.compatibility"}
    assert resolve("json", environment={"REML_CONFIG_TRIVIA": "json_relaxed"}).compatibility.trivia == "json_relaxed"


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (lambda: resolve("json", cli="lax", environment={}), "config.compat.unknown_profile"),
        (lambda: resolve("json", environment={"REML_CONFIG_TRIVIA": "odd"}), "config.compat.env_invalid"),
        (lambda: from_table({"trailing_comma": "Maybe"}, "json"), "config.compat.env_invalid"),
        (lambda: from_table({"trailing": 1}, "json"), "config.compat.unknown_profile"),
    ],
)
def test_unknown_profiles_and_values_are_refused(action, code):
    with pytest.raises(ConfigError) as failure:
        action()
    assert failure.value.code == code


@pytest.mark.parametrize("name", ["gone.json", "folder", "binary.json"])
def test_a_file_that_cannot_be_read_is_an_io_error(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.json").write_bytes(b"{\n\xff\xfe}")
    with pytest.raises(ConfigError) as failure:
        documents.read(tmp_path / name)
    assert (failure.value.kind, failure.value.code) == ("IoError", "config.manifest.io_error")
    assert name in str(failure.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf{}")
    assert documents.read(tmp_path / "a.json").value == {}


def test_replacing_a_file_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o640)
    documents.replace_file(path, b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        documents.replace_file(path, b"newer")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_replacement_whose_block_fails_is_taken_back(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), documents.replaced(path, b"new"):
        assert path.read_text() == "new"
        raise RuntimeError
    assert path.read_text() == "old"
