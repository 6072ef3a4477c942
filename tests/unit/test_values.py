"""Values go over exactly, or not at all (CONTRACTS 2.7a)."""
# covers: 8.11

import datetime
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reml_embed as reml

SOURCE = """\
module Values
type Shape = | Circle(Float) | Rect(Float, Float) | Named { label: Str, size: Int } | Empty
type Color = | Red | Green
type Point = { y: Int, x: Int }
type Tree = | Leaf | Node(Tree, Int, Tree)
type Words = { class: Str, state': Int }
fn int(x: Int) -> Int = x
fn byte(x: u8) -> u8 = x
fn small(x: i16) -> i16 = x
fn big(x: u64) -> u64 = x
fn float(x: Float) -> Float = x
fn single(x: f32) -> f32 = x
fn bool(x: Bool) -> Bool = x
fn str(x: Str) -> Str = x
fn bytes(x: Bytes) -> Bytes = x
fn char(x: Char) -> Char = x
fn unit(x: ()) -> () = x
fn pair(x: (Int, Str)) -> (Int, Str) = x
fn list(x: List<Int>) -> List<Int> = x
fn floats(x: List<Float>) -> List<Float> = x
fn lists(x: List<List<Str>>) -> List<List<Str>> = x
fn map(x: Map<Str, Int>) -> Map<Str, Int> = x
fn keyed(x: Map<List<Int>, Str>) -> Map<List<Int>, Str> = x
fn set(x: Set<Int>) -> Set<Int> = x
fn option(x: Option<Int>) -> Option<Int> = x
fn deep(x: Option<Option<Int>>) -> Option<Option<Int>> = x
fn nothing(x: Option<()>) -> Option<()> = x
fn result(x: Result<Int, Str>) -> Result<Int, Str> = x
fn point(x: Point) -> Point = x
fn anonymous(x: { a: Int, b: Str }) -> { a: Int, b: Str } = x
fn shape(x: Shape) -> Shape = x
fn color(x: Color) -> Color = x
fn tree(x: Tree) -> Tree = x
fn words(x: Words) -> Words = x
fn any(x: Any) -> Any = x
fn anys(x: List<Any>) -> List<Any> = x
fn many(a: Int, b: List<Point>) -> Int = a
"""


@pytest.fixture(scope="module")
def values():
    with reml.Context() as context:
        yield context.load(SOURCE)


@pytest.mark.parametrize("number", [0, 1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_ints_are_exact(values, number):
    assert values["int"](number) == number
    assert type(values["int"](number)) is int


@pytest.mark.parametrize(
    ("name", "number"),
    [("int", 2**63), ("int", -(2**63) - 1), ("int", 2**64), ("int", 10**30), ("byte", 256), ("byte", -1), ("small", 32768), ("small", -32769),
     ("big", 2**64), ("big", -1)],
)  # fmt: skip
def test_ints_out_of_range_are_refused(values, name, number):
    with pytest.raises(OverflowError, match=r"out of range at args\[0\]"):
        values[name](number)


@pytest.mark.parametrize(
    ("name", "number"), [("byte", 255), ("byte", 0), ("small", -32768), ("big", 2**64 - 1), ("big", 2**63)]
)
def test_sized_ints_reach_their_ends(values, name, number):
    assert values[name](number) == number


@pytest.mark.parametrize("number", [0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 2.0**53 + 2])
def test_floats_are_exact(values, number):
    back = values["float"](number)
    assert back == number
    assert math.copysign(1, back) == math.copysign(1, number)


def test_nan_is_nan(values):
    assert math.isnan(values["float"](math.nan))
    assert all(math.isnan(x) for x in values["floats"]([math.nan, math.nan]))


def test_an_int_is_a_float_when_it_is_exactly_one(values):
    assert values["float"](3) == 3.0
    assert values["float"](2**53) == 2.0**53
    with pytest.raises(OverflowError, match="not exactly a float"):
        values["float"](2**53 + 1)


def test_an_f32_is_refused_when_it_would_be_rounded(values):
    assert values["single"](1.5) == 1.5
    with pytest.raises(OverflowError, match="not exactly an f32"):
        values["single"](0.1)


def test_bool_and_int_are_different(values):
    assert values["bool"](True) is True
    assert values["bool"](False) is False
    for name, wrong in (("int", True), ("bool", 1), ("float", True), ("bool", None)):
        with pytest.raises(TypeError, match="expected"):
            values[name](wrong)


def test_subclasses_and_numpy_scalars_go_in(values):
    numpy = pytest.importorskip("numpy")

    class Number(int):
        pass

    assert values["int"](Number(5)) == 5
    assert values["int"](numpy.int64(5)) == 5
    assert values["int"](numpy.uint8(5)) == 5
    assert values["float"](numpy.float64(0.1)) == 0.1
    with pytest.raises(TypeError, match=r"expected Int, got float64"):
        values["int"](numpy.float64(1.0))


@pytest.mark.parametrize(
    "text", ["", "a", "\0", "a\0b", "häß", "€", "😀", "e\u0301", "\u2028", "x" * 100_000, "😀" * 1000]
)
def test_text_is_exact(values, text):
    assert values["str"](text) == text


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_lone_surrogates_are_refused(values, text):
    with pytest.raises(ValueError, match=r"lone surrogate at args\[0\]"):
        values["str"](text)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe", bytes(range(256)) * 100])
def test_bytes_are_exact(values, data):
    assert values["bytes"](data) == data


def test_text_and_bytes_are_different(values):
    for name, wrong in (("str", b"a"), ("bytes", "a"), ("bytes", bytearray(b"a")), ("str", 1)):
        with pytest.raises(TypeError, match="expected"):
            values[name](wrong)


def test_a_large_text_goes_over_and_one_beyond_the_limit_does_not():
    with reml.Context(limits=reml.Limits(string_bytes=1 << 20)) as context:
        same = context.load("fn same(x: Str) -> Str = x\n")["same"]
        assert same("a" * (1 << 20)) == "a" * (1 << 20)
        with pytest.raises(ValueError, match="longer than limit string_bytes"):
            same("a" * ((1 << 20) + 1))


@pytest.mark.parametrize("char", ["a", "\0", "é", "😀", "\U0010ffff"])
def test_chars(values, char):
    assert values["char"](char) == char


@pytest.mark.parametrize(
    ("char", "error"), [("", ValueError), ("ab", ValueError), ("\ud800", ValueError), (97, TypeError)]
)
def test_what_is_no_char(values, char, error):
    with pytest.raises(error):
        values["char"](char)


def test_unit_is_none(values):
    assert values["unit"](None) is None
    with pytest.raises(TypeError):
        values["unit"](0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pair", (1, "a")), ("list", []), ("list", [1, 2, 3]), ("list", list(range(10_000))), ("lists", [["a"], [], ["b", "c"]]),
        ("map", {}), ("map", {"a": 1, "b": 2}), ("set", frozenset()), ("set", frozenset({3, 1, 2})), ("option", None), ("option", 5),
        ("deep", None), ("deep", reml.Some(None)), ("deep", reml.Some(5)), ("nothing", None), ("nothing", reml.Some(None)),
        ("result", reml.Ok(1)), ("result", reml.Err("e")), ("keyed", {(1, 2): "x"}),
    ],
)  # fmt: skip
def test_values_come_back_as_they_went_in(values, name, value):
    back = values[name](value)
    assert back == value
    assert type(back) is type(value)


def test_any_iterable_is_a_list(values):
    for iterable in ((1, 2), iter([1, 2]), range(1, 3), {1: "a", 2: "b"}.keys(), (x for x in [1, 2])):
        assert values["list"](iterable) == [1, 2]
    assert values["set"]([2, 2, 1]) == {1, 2}
    for wrong in ("12", b"12", {1: 2}, 5, None):
        with pytest.raises(TypeError):
            values["list"](wrong)


def test_keys_that_are_equal_in_reml_are_refused_and_not_lost(values):
    """Strings compare by NFC there."""
    with pytest.raises(ValueError, match=r"two of its keys are equal in Reml at args\[0\]"):
        values["map"]({"\u00e9": 1, "e\u0301": 2})
    assert values["map"]({"e\u0301": 2}) == {"e\u0301": 2}


def test_errors_name_the_place(values):
    with pytest.raises(TypeError, match=r"^expected Int, got str at args\[1\]\[1\]\.y$"):
        values["many"](1, [{"x": 1, "y": 2}, {"x": 1, "y": "2"}])
    with pytest.raises(TypeError, match=r"^expected Str, got int at args\[0\]\[1\]$"):
        values["pair"]((1, 2))
    with pytest.raises(TypeError, match="wrong number of elements"):
        values["pair"]((1, "a", 2))


def test_what_an_iterator_raises_comes_out(values):
    def items():
        yield 1
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        values["list"](items())


# --- records and sum types -----------------------------------------------------------------------------------------------------


def test_a_named_record_is_a_frozen_dataclass_with_its_fields_as_declared(values):
    point = values["point"]({"x": 1, "y": 2})
    assert repr(point) == "Point(y=2, x=1)"
    assert (point.x, point.y) == (1, 2)
    assert type(point) is values.type("Point")
    assert isinstance(point, reml.Record)
    assert point == values.type("Point")(x=1, y=2)
    assert hash(point) == hash(values.type("Point")(2, 1))
    with pytest.raises(AttributeError):
        point.x = 3
    match point:
        case object(x=x, y=y):
            assert (x, y) == (1, 2)


def test_a_record_goes_in_as_a_dict_or_as_anything_with_its_fields(values):
    class Other:
        x, y = 3, 4

    assert values["point"](Other()).x == 3
    for wrong in ({"x": 1}, {"x": 1, "y": 2, "z": 3}, {"x": 1, "z": 2}, object(), 5):
        with pytest.raises(TypeError):
            values["point"](wrong)


def test_an_anonymous_record_has_one_class_per_shape(values):
    one, other = values["anonymous"]({"a": 1, "b": "x"}), values["anonymous"]({"b": "y", "a": 2})
    assert type(one) is type(other)
    assert (one.a, one.b) == (1, "x")
    assert values["anonymous"](one) == one


def test_names_that_python_reserves_get_a_tail(values):
    record = values["words"]({"class": "c", "state'": 1})
    assert (record.class_, record.state_) == ("c", 1)
    assert values["words"](record) == record


def test_a_sum_type_has_a_class_per_constructor(values):
    shape = values.type("Shape")
    for made in (shape.Circle(1.5), shape.Rect(1.0, 2.0), shape.Named(label="x", size=3), shape.Empty()):
        back = values["shape"](made)
        assert back == made
        assert type(back) is type(made)
        assert isinstance(back, shape)
        assert isinstance(back, reml.Variant)
    match values["shape"](shape.Rect(1.0, 2.0)):
        case shape.Rect(width, height):
            assert (width, height) == (1.0, 2.0)
    assert values["shape"](shape.Empty) == shape.Empty()
    assert repr(shape.Circle(1.5)) == "Shape.Circle(value=1.5)"
    for wrong in (1.5, "Circle", object(), values.type("Color").Red()):
        with pytest.raises(TypeError, match="expected Shape"):
            values["shape"](wrong)


def test_enums(values):
    color = values.type("Color")
    assert values["color"](color.Red()) == color.Red()
    assert values["color"](color.Green) == color.Green()
    assert color.Red() != color.Green()
    assert len({color.Red(), color.Red()}) == 1


def test_unknown_types_are_key_errors(values):
    for name in ("Nothing", "int"):
        with pytest.raises(KeyError):
            values.type(name)


def chain(values, length):
    tree = values.type("Tree")
    made = tree.Leaf()
    for number in range(length):
        made = tree.Node(made, number, tree.Leaf())
    return made


def test_deep_values_go_over_or_are_refused_and_never_crash(values):
    assert values["tree"](chain(values, 300)) is not None
    with pytest.raises(RecursionError, match=r"nested too deep at args\[0\]…"):
        values["tree"](chain(values, 100_000))


def test_a_value_too_deep_for_python_can_be_held(context):
    module = context.load(
        "type Chain = | End | Link(Chain)\nfn make(n: Int) -> Chain { var c = End; var i = 0; while i < n { c := Link(c); i := i + 1 }; c }\n"
        "fn length(c: Chain) -> Int { var n = 0; var at = c; loop { match at with | End -> break n | Link(rest) -> { at := rest; n := n + 1 } } }\n"
    )
    with pytest.raises(RecursionError):
        module["make"](5_000)
    with context.call(module["make"], 5_000) as chain_result:
        assert chain_result.kind == "ADT"


# --- Any, times ------------------------------------------------------------------------------------------------------------------


def test_any_is_what_it_holds(values):
    point = values["point"]({"x": 1, "y": 2})
    for value in (
        1,
        2.5,
        True,
        "a",
        b"b",
        None,
        [1, "a", None],
        (1, "a"),
        {"k": [1.5]},
        point,
        values.type("Color").Red(),
    ):
        assert values["any"](value) == value
        assert values["anys"]([value, value]) == [value, value]
    for wrong in (object(), {1: 2}, {1, 2}, 2**63):
        with pytest.raises((TypeError, OverflowError)):
            values["any"](wrong)


def test_functions_are_any_too(values):
    assert values["any"](values["int"])(5) == 5


def test_durations_are_whole_nanoseconds():
    delta = datetime.timedelta(days=-1, microseconds=1)
    assert reml.Duration.from_timedelta(delta).to_timedelta() == delta
    assert reml.Duration(1500) > reml.Duration(1)
    with pytest.raises(ValueError, match="nanoseconds|microseconds"):
        reml.Duration(1).to_timedelta()


def test_times_go_over_exactly(context):
    module = context.load(
        "fn long(d: Duration) -> Int = d.as_nanos()\nfn same(d: Duration) -> Duration = d\nfn at(t: Timestamp) -> Timestamp = t\n"
    )
    assert module["long"](datetime.timedelta(milliseconds=1)) == 1_000_000
    assert module["same"](reml.Duration(-7)) == reml.Duration(-7)
    for wrong in (5, 1.5, None):
        with pytest.raises(TypeError, match="expected Duration"):
            module["same"](wrong)
    with pytest.raises(OverflowError):
        module["same"](datetime.timedelta(days=200_000))
    now = datetime.datetime(2026, 3, 2, 8, 15, 0, 123456, tzinfo=datetime.timezone(datetime.timedelta(hours=9)))
    assert module["at"](now) == now
    assert module["at"](now).tzinfo is datetime.UTC
    with pytest.raises(TypeError, match="expected Timestamp"):
        module["at"](now.replace(tzinfo=None))


# --- laws ------------------------------------------------------------------------------------------------------------------------------

plain = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans(), st.text(), st.binary(), st.none()
)
anything = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)


@given(anything)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_of_any_comes_back_unaltered(values, value):
    assert values["any"](value) == value


@given(st.lists(st.lists(st.text(max_size=20), max_size=8), max_size=40))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_nested_list_comes_back_unaltered(values, value):
    assert values["lists"](value) == value


@given(st.dictionaries(st.text(st.characters(codec="latin-1")), st.integers(-(2**63), 2**63 - 1)))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_map_comes_back_in_the_order_of_its_keys(values, value):
    back = values["map"](value)
    assert back == value
    assert list(back) == sorted(value)
