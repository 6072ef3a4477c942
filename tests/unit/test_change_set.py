"""Change sets (CONTRACTS 7.1, 10.5): what `compare` finds, `apply` makes, for every value that JSON and TOML can say."""

import contextlib
import datetime
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reml_embed.data import ChangeSetError, apply, compare, flatten, path_text, same, split_path, unflatten
from reml_embed.data.change_set import MOST_DEPTH, from_json

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.text() | st.sampled_from(["a", "b", "$", "[0]", "a.b", "0", '"', "", "a b"])
VALUES = st.recursive(
    LEAVES, lambda part: st.lists(part, max_size=4) | st.dictionaries(NAMES, part, max_size=4), max_leaves=25
)


@settings(max_examples=400, deadline=None)
@given(VALUES, VALUES)
def test_applying_the_difference_of_two_values_gives_the_second(old, new):
    changes = compare(old, new)
    assert same(apply(old, changes), new)
    sent = from_json(json.loads(json.dumps(changes.json())))
    assert same(apply(old, sent), new), "and so it does after a way through JSON"


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_a_value_comes_back_from_its_leaves(value):
    assert same(unflatten(flatten(value)), value)
    assert not compare(value, value)
    for path in flatten(value):
        assert split_path(path_text(path)) == path


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_a_change_set_of_other_values_changes_nothing_or_fits(old, new, live):
    changes = compare(old, new)
    before = json.dumps(live)
    with contextlib.suppress(ChangeSetError):
        apply(live, changes)
    assert json.dumps(live) == before


def test_the_shape_of_a_change_set():
    changes = compare({"limits": {"cpu": "1"}, "old": 1, "b": 1}, {"limits": {"cpu": "2"}, "b": 1, "z": True, "a": [1]})
    shown = changes.json()
    assert shown == {
        "origin": "core.collections",
        "policy": "core.collections.audit.v1",
        "category": "collections.diff",
        "stage": "stable",
        "kind": "collections.diff.map",
        "summary": {"added": 2, "removed": 1, "updated": 1, "total": 4},
        "metadata": {
            "stage": "stable", "category": "collections.diff", "kind": "collections.diff.map", "origin": "core.collections",
        },
        "items": [
            {"kind": "collections.diff.updated", "key": "limits.cpu", "previous": "1", "current": "2"},
            {"kind": "collections.diff.removed", "key": "old", "previous": 1},
            {"kind": "collections.diff.added", "key": "a[0]", "current": 1},
            {"kind": "collections.diff.added", "key": "z", "current": True},
        ],
        "total": 4,
    }  # fmt: skip
    assert list(shown) == ["origin", "policy", "category", "stage", "kind", "summary", "metadata", "items", "total"]


def test_the_schema_diff_names_types_and_sizes():
    found = compare({"a": 1, "b": None, "c": [1]}, {"a": True, "b": "é", "d": {}}).schema_diff()
    assert found["kind"] == "MapDiff"
    assert [row["type_tag"] for row in found["changes"]] == ["bool", "string", "number", "map"]
    assert [row["kind"] for row in found["changes"]] == ["Updated", "Updated", "Removed", "Added"]
    assert found["changes"][2] == {
        "kind": "Removed", "key": "c[0]", "previous": 1, "current": None, "type_tag": "number", "mem_bytes": 1,
    }  # fmt: skip
    assert found["changes"][1]["mem_bytes"] == len(b"null") + len('"é"'.encode())
    assert found["metadata"]["mem_bytes"] == sum(row["mem_bytes"] for row in found["changes"])
    assert found["metadata"]["total"] == 4


@pytest.mark.parametrize(("a", "b"), [(1, 1.0), (1, True), (0, False), (0.0, -0.0), ("1", 1), (None, False), ([], {})])
def test_values_of_two_types_are_never_the_same(a, b):
    assert not same(a, b)
    changes = compare({"k": a}, {"k": b})
    assert same(apply({"k": a}, changes), {"k": b})


@pytest.mark.parametrize(
    ("live", "reason"),
    [({"a": 2}, "a: is now 2"), ({}, "a: is not there any more"), ({"a": 1, "c": 0}, "c: is already there")],
)
def test_every_previous_value_is_checked_before_anything_is_changed(live, reason):
    changes = compare({"a": 1}, {"a": 3, "c": 1})
    kept = dict(live)
    with pytest.raises(ChangeSetError, match=reason) as failure:
        apply(live, changes)
    assert failure.value.conflict
    assert live == kept


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "an object with a list"),
        ({"items": {}}, "an object with a list"),
        ({"items": [1]}, r"items\[0\]: an item is an object"),
        ({"items": [{"kind": "moved", "key": "a"}]}, r"items\[0\]\.kind: `moved` is no kind"),
        ({"items": [{"kind": "added", "key": 1}]}, r"items\[0\]\.key"),
        ({"items": [{"kind": "added", "key": "a.", "current": 1}]}, "is no path"),
        ({"items": [{"kind": "added", "key": "a"}]}, "added needs `current`"),
        ({"items": [{"kind": "updated", "key": "a", "current": 1}]}, "updated needs `previous`"),
        ({"items": [], "total": 1}, "total is 1, but there are 0 items"),
    ],
)
def test_a_malformed_change_set_is_refused_with_its_place(data, reason):
    with pytest.raises(ChangeSetError, match=reason):
        from_json(data)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "[", "a[01]", "a[-1]", "a b", '"a', "a.[0]", "a$", "[0]b"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ChangeSetError, match="no path"):
        split_path(text)


@pytest.mark.parametrize("items", [["a", "a.b"], ["a[0]", "a[2]"], ["a[0]", "a.b"]])
def test_leaves_that_no_value_has_are_refused(items):
    changes = from_json({"items": [{"kind": "added", "key": key, "current": 1} for key in items]})
    with pytest.raises(ChangeSetError):
        apply({"z": 0}, changes)


def test_the_order_of_names_is_kept_and_new_ones_come_last():
    old = {"z": 1, "m": 2, "a": 3}
    assert list(apply(old, compare(old, {"a": 3, "b": 0, "m": 5, "z": 1}))) == ["z", "m", "a", "b"]


def test_nesting_without_end_is_an_error_and_no_crash():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ChangeSetError, match=f"deeper than {MOST_DEPTH}"):
        compare(deep, [])


def test_times_are_shown_as_text_and_compared_as_times():
    when = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
    changes = compare({"at": when}, {"at": when.replace(hour=9)})
    assert changes.items[0].json()["current"] == "2026-03-02T09:00:00Z"
    assert apply({"at": when}, changes) == {"at": when.replace(hour=9)}
