"""Json crosses by what it holds (CONTRACTS 2.7a)."""
# covers: 8.9

import pytest

import reml_embed as reml

SOURCE = """
fn text(j: Json) -> Str = j.to_string()
fn same(j: Json) -> Json = j
fn document() -> Json = { "a": [1, 2.5, "x", (), true], "b": Json.Object({}) }
fn inside() = (Some(Json.Null), [Json.Number(1), Json.String("s")])
fn first(xs: List<Json>) -> Option<Json> = xs.first()
"""


@pytest.fixture
def functions(context):
    context.load(SOURCE)
    return {name: context.function(name) for name in ("text", "same", "first")}


def test_it_comes_out_as_plain_objects(context):
    context.load(SOURCE)
    assert context.run("document") == {"a": [1.0, 2.5, "x", None, True], "b": {}}
    assert context.run("inside") == (reml.Some(None), [1.0, "s"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (-2.5, "-2.5"),
        ("é\n", '"é\\n"'),
        ([], "[]"),
        ((1, "x", [None]), '[1,"x",[null]]'),
        ({"b": 1, "a": {"k": [False]}}, '{"a":{"k":[false]},"b":1}'),
    ],
)
def test_plain_objects_go_in(functions, value, text):
    assert functions["text"](value) == text


def test_what_goes_in_comes_back(functions):
    value = {"name": "x", "sizes": [1.0, 2.0], "none": None, "deep": [[[{}]]], "yes": True}
    assert functions["same"](value) == value
    assert functions["first"]([1.0, "x"]) == 1.0


def test_an_int_that_no_float_is_exactly_is_refused(functions):
    with pytest.raises(OverflowError):
        functions["text"](2**53 + 1)


@pytest.mark.parametrize("value", [b"bytes", object(), {1: 2}, {"a": {1, 2}}, [1j]])
def test_what_is_no_json_is_refused(functions, value):
    with pytest.raises(TypeError):
        functions["text"](value)


def test_nesting_without_end_is_refused(functions):
    value = []
    value.append(value)
    with pytest.raises(RecursionError):
        functions["text"](value)
