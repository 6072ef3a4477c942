"""Functions: looked up once, called many times; batches in one crossing."""
# covers: 8.11, 3.1

import array
import contextlib
import gc
import os
import tracemalloc

import pytest

import reml_embed as reml

SOURCE = """\
module Calls
fn add(a: Int, b: Int) -> Int = a + b
fn scale(x: Float, by: Float) -> Float = x * by
fn even(n: Int) -> Bool = n % 2 == 0
fn both(a: Bool, b: Bool) -> Bool = a && b
fn nothing() {}
fn divide(a: Int, b: Int) -> Int = a / b
fn first(xs: List<T>) -> Option<T> = xs.get(0)
fn five() -> Int = 5
fn text(s: Str) -> Str = s
"""


@pytest.fixture
def calls(context):
    return context.load(SOURCE)


def test_a_function_tells_about_itself(calls):
    add = calls["add"]
    assert (add.name, add.__name__, add.signature, add.parameters) == ("add", "add", "(Int, Int) -> Int", ("a", "b"))
    assert add.context is calls.context
    assert repr(add) == "<Function add: (Int, Int) -> Int>"
    assert callable(add)


def test_arguments_by_place_and_by_name(calls):
    assert calls["divide"](7, 2) == calls["divide"](7, b=2) == calls["divide"](b=2, a=7) == 3
    assert calls["divide"](*[7], **{"b": 2}) == 3
    for arguments, named in (
        ((1,), {}),
        ((1, 2, 3), {}),
        ((1,), {"a": 1}),
        ((1,), {"c": 1}),
        ((), {}),
        ((1, 2), {"b": 1}),
    ):
        with pytest.raises(TypeError):
            calls["divide"](*arguments, **named)
    assert calls["nothing"]() is None


def test_signatures_are_checked_at_look_up(calls):
    assert calls.function("add", "(Int, Int) -> Int")(1, 2) == 3
    for wrong in ("(Int) -> Int", "(Int, Int) -> Str", "(Float, Int) -> Int"):
        with pytest.raises(reml.SignatureError, match=r"type\.mismatch"):
            calls.function("add", wrong)
    with pytest.raises(reml.RunError):
        calls.function("add", "(Int, -> Int")


def test_a_generic_function_needs_a_concrete_signature(calls):
    assert calls.function("first", "(List<Int>) -> Option<Int>")([7]) == 7
    assert calls.function("first", "(List<Str>) -> Option<Str>")([]) is None
    with pytest.raises(reml.SignatureError, match="concrete signature"):
        calls["first"]


def test_unknown_functions_are_key_errors(calls):
    with pytest.raises(KeyError):
        calls["nope"]
    with pytest.raises(reml.UnknownFunctionError):
        calls.context.function("Calls.nope")
    assert calls.get("nope") is None


def test_functions_of_types_are_reached_through_their_type(context):
    module = context.load(
        "module M\ntype P = { x: Int }\nimpl P { fn double(self) -> Int = self.x * 2 }\nfn f() -> Int = 1\n"
    )
    assert list(module) == ["P.double", "f"]
    assert module["P.double"]({"x": 4}) == 8


def test_a_failing_call_leaves_the_function_usable(calls):
    for _ in range(3):
        with pytest.raises(reml.RunError, match="division by zero"):
            calls["divide"](1, 0)
        assert calls["divide"](4, 2) == 2


def test_module_values_are_initialised_once_before_the_first_call(context):
    made = []
    context.define("make", lambda: made.append(1) or len(made), signature="() -> Int")
    module = context.load("module Init\nlet start = make()\nfn get(s: Str) -> Int = start\n")
    assert made == []
    assert module["get"]("a") == 1
    assert module["get"]("b") == 1
    assert made == [1]


def test_a_module_that_fails_to_initialise_says_so_each_time(context):
    module = context.load("let bad = 1 / 0\nfn get(s: Str) -> Str = s\nfn five() -> Int = 5\n")
    with pytest.raises(reml.RunError) as caught:
        module["get"]("a")
    assert caught.value.code == "runtime.arith.div_zero"
    for name, arguments in (("get", ("a",)), ("five", ())):
        with pytest.raises(reml.RunError) as caught:
            module[name](*arguments)
        assert caught.value.code == "runtime.init.failed"


# --- batches ------------------------------------------------------------------------------------------------------------------


def test_map_over_arrays(calls):
    result = calls["add"].map(array.array("q", [1, 2, 3]), array.array("q", [10, 20, 30]))
    assert result == array.array("q", [11, 22, 33])
    assert calls["scale"].map(array.array("d", [1.0, 2.0]), 2.5) == array.array("d", [2.5, 5.0])
    assert calls["even"].map(array.array("q", [1, 2])).tolist() == [False, True]


def test_map_over_numpy_arrays_whatever_their_strides(calls):
    numpy = pytest.importorskip("numpy")
    numbers = numpy.arange(10)
    result = calls["add"].map(numbers[::-2], 1)
    assert isinstance(result, numpy.ndarray)
    assert result.dtype == numpy.int64
    assert result.tolist() == [10, 8, 6, 4, 2]
    table = numpy.arange(6.0).reshape(2, 3)
    assert calls["scale"].map(table[:, 1], table[:, 2]).tolist() == [2.0, 20.0]
    flags = calls["both"].map(numpy.array([True, True, False]), numpy.array([True, False, True]))
    assert flags.dtype == numpy.bool_
    assert flags.tolist() == [True, False, False]
    assert calls["add"].map(numpy.array([], dtype="int64"), 1).tolist() == []


def test_map_writes_where_it_is_told(calls):
    numpy = pytest.importorskip("numpy")
    out = numpy.zeros((3, 2))
    result = calls["scale"].map(numpy.array([1.0, 2.0, 3.0]), 2.0, out=out[:, 1])
    assert result.base is out
    assert out.tolist() == [[0, 2], [0, 4], [0, 6]]
    target = array.array("d", [0, 0])
    assert calls["scale"].map(array.array("d", [1, 2]), 1.0, out=target) is target
    assert target.tolist() == [1, 2]


def test_map_over_a_million_doubles_copies_nothing():
    numpy = pytest.importorskip("numpy")
    values, out = numpy.linspace(-2.0, 3.0, 1_000_000), numpy.zeros(1_000_000)
    with reml.Context() as context:
        bend = context.load("fn bend(x: Float) -> Float = if x < 0.0 { -x } else if x > 1.0 { x * x } else { x }")[
            "bend"
        ]
        bend.map(values[:64], out=out[:64])
        address, before = out.__array_interface__["data"][0], context.memory()
        tracemalloc.start()
        assert bend.map(values, out=out) is out
        assert tracemalloc.get_traced_memory()[1] < 4096
        tracemalloc.stop()
        after = context.memory()
        assert (after.peak_bytes, after.allocations) == (before.peak_bytes, before.allocations)
    assert out.__array_interface__["data"][0] == address
    assert numpy.array_equal(out, numpy.where(values < 0, -values, numpy.where(values > 1, values * values, values)))


def test_map_refuses_columns_that_do_not_fit(calls):
    numbers, doubles = array.array("q", [1, 2]), array.array("d", [1, 2])
    for error, columns, out in (
        (TypeError, (numbers, doubles), None), (TypeError, (array.array("i", [1]), 1), None), (ValueError, (numbers, array.array("q", [1])), None),
        (TypeError, (1, 2), None), (TypeError, (numbers,), None), (TypeError, ([1], [2]), None), (TypeError, (b"12345678", 1), None),
        (ValueError, (numbers, 1), array.array("q", [0])), (TypeError, (numbers, 1), doubles), (TypeError, (numbers, 1), 5),
        (BufferError, (numbers, 1), memoryview(bytes(16)).cast("q")), (OverflowError, (numbers, 2**63), None),
    ):  # fmt: skip
        with pytest.raises(error):
            calls["add"].map(*columns, out=out)
    with pytest.raises(TypeError, match="only functions of Int, Float and Bool"):
        calls["text"].map(numbers)
    with pytest.raises(TypeError, match="at least one column"):
        calls["five"].map()
    with pytest.raises(TypeError, match="by name"):
        calls["add"].map(numbers, 1, result=numbers)


def test_map_refuses_two_dimensions(calls):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match="one dimension"):
        calls["even"].map(numpy.zeros((2, 2), dtype="int64"))


def test_map_stops_at_the_first_row_that_fails_and_says_which(calls):
    out = array.array("q", [0, 0, 0, 0])
    with pytest.raises(reml.RunError, match="division by zero") as caught:
        calls["divide"].map(array.array("q", [8, 6, 4, 2]), array.array("q", [1, 2, 0, 1]), out=out)
    assert caught.value.row == 2
    assert "at row 2" in caught.value.__notes__
    assert out.tolist() == [8, 3, 0, 0]


def test_a_batch_counts_as_one_crossing(calls):
    before = calls.context.metrics().total_calls
    calls["add"].map(array.array("q", range(1000)), 1)
    assert calls.context.metrics().total_calls == before + 1


@pytest.mark.skipif(
    "REML_STRESS" in os.environ, reason="with the sanitizers' allocator CPython's own caches grow for a while"
)
def test_calls_do_not_leak(context):
    module = context.load(
        "type P = { x: Int, s: Str }\nfn f(p: P, xs: List<Str>) -> Map<Str, P> = Map.from_list([(p.s, p)])\nfn g(a: Int) -> Int = a / 0\n"
    )
    function, failing = module["f"], module["g"]

    def work(times):
        for number in range(times):
            function({"x": number, "s": str(number)}, ["a", "b"])
            with contextlib.suppress(reml.RunError):
                failing(1)

    tracemalloc.start()
    held = []
    for _ in range(3):  # the first rounds fill caches
        work(300)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[2] - held[1] < 2_000
    assert context.metrics().live == 0
