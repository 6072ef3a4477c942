"""Records that go in where a written open record type is expected (LANGUAGE 4.3)."""

from __future__ import annotations

import pytest

import reml_embed as reml

SOURCE = """
type P = { name: Str, age: Int }
fn person() -> P = { name: "Ann", age: 3 }
fn show(p: { name: Str, .. }) -> Str = format("{p.name} {p}")
fn same(p: { pos: { x: Int }, .. }) -> { pos: { x: Int }, .. } = p
fn names(ps: List<{ name: Str, .. }>) -> List<Str> = ps.map(|p| p.name)
"""


@pytest.fixture
def module():
    """The module of this file, loaded."""
    with reml.Context() as context:
        yield context.load(SOURCE)


def test_dicts_go_in_with_more_fields(module):
    assert module["show"]({"name": "Bob", "tags": ["a"], "n": 1}) == 'Bob { n: 1, name: "Bob", tags: ["a"] }'


def test_records_go_in_and_their_name_is_forgotten(module):
    assert module["show"](module["person"]()) == 'Ann { age: 3, name: "Ann" }'


def test_records_come_out_with_all_their_fields(module):
    out = module["same"]({"pos": {"x": 1}, "z": True})
    assert (out.pos.x, out.z) == (1, True)


def test_lists_may_be_mixed(module):
    assert module["names"]([{"name": "q"}, {"name": "r", "n": 1.5}, module["person"]()]) == ["q", "r", "Ann"]


@pytest.mark.parametrize("wrong", [{"nam": 1}, {"name": 5}, 3, "x", {1: 2}, {"name": "x", "o": object()}, None])
def test_what_has_not_the_fields_is_refused(module, wrong):
    with pytest.raises(TypeError):
        module["show"](wrong)
