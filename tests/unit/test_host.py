"""Python functions called by scripts."""
# covers: 3.6, 9.4, 8.11

import gc
import weakref
from typing import Any

import pytest

import reml_embed as reml
from reml_embed._signatures import signature_text, type_text

EXCEPTIONS = [
    ValueError("v"), TypeError("t"), KeyError("k"), IndexError("i"), OSError(2, "no"), RuntimeError(), ZeroDivisionError("z"), MemoryError("m"),
    RecursionError("r"), StopIteration(5), StopAsyncIteration(), UnicodeDecodeError("utf-8", b"x", 0, 1, "why"), AssertionError("a"),
    KeyboardInterrupt(), SystemExit(3), GeneratorExit(), BaseException("base"), Exception("\ud800"), ExceptionGroup("g", [ValueError(1)]),
    reml.RunError("own", code="x"), Warning("w"),
]  # fmt: skip


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", ["run", "call", "nested", "comparator", "deferred", "map"])
def test_the_same_exception_object_comes_out(context, capfd, error, way):
    def fail(_x):
        raise error

    context.define("fail", fail, signature="(x: Int) -> Int")
    context.define("again", lambda: context.run("M.main"), signature="() -> Int")
    module = context.load(
        "module M\nfn main() -> Int = fail(1)\nfn call(x: Int) -> Int = fail(x)\nfn nested() -> Int = again()\nfn deeper() -> Int = nested()\n"
        "fn comparator() -> List<Int> = [3, 1, 2].sort_by(|x| fail(x))\nfn deferred() -> Int { defer fail(2); fail(1) }\nfn fine() -> Int = 1\n"
    )
    with pytest.raises(BaseException) as caught:
        if way == "run":
            context.run("M.main")
        elif way == "call":
            module["call"](1)
        elif way == "map":
            import array

            module["call"].map(array.array("q", [1]))
        else:
            context.run({"nested": "M.deeper"}.get(way, "M." + way))
    assert caught.value is error
    assert error.reml_stack
    assert error.__notes__[0].startswith("in Reml, innermost first:\n  ")
    assert module["fine"]() == 1
    assert capfd.readouterr() == ("", "")
    for attribute in ("reml_stack", "__notes__", "row"):
        error.__dict__.pop(attribute, None)


def test_the_stack_of_the_script_is_attached(context):
    def fail():
        raise ValueError("mine")

    context.define("fail", fail, signature="() -> Int")
    context.load("module M\nfn inner() -> Int =\n  fail() + 1\nfn main() -> Int = inner() + 1\n")
    with pytest.raises(ValueError, match="mine") as caught:
        context.run()
    assert [str(entry) for entry in caught.value.reml_stack] == ["inner (M:3)", "main (M:4)"]
    assert caught.value.__notes__ == ["in Reml, innermost first:\n  inner (M:3)\n  main (M:4)"]
    assert caught.traceback[-1].name == "fail"


def test_a_host_function_may_handle_the_failure_of_a_nested_run(context):
    seen = []

    @context.host("attempt")
    def attempt(name: str) -> str:
        try:
            return str(context.run(name))
        except (ValueError, reml.RunError) as error:
            seen.append(error)
            return "failed"

    def fail():
        raise ValueError("inside")

    context.define("fail", fail, signature="() -> Int")
    context.load(
        'fn bad() -> Int = fail()\nfn worse() -> Int = 1 / 0\nfn good() -> Int = 3\nfn main() -> Str = attempt("bad") + attempt("good") + attempt("worse")\n'
    )
    assert context.run() == "failed3failed"
    assert [type(error).__name__ for error in seen] == ["ValueError", "RunError"]


def test_a_result_of_the_wrong_type_is_an_error_that_names_it(context):
    context.define("number", lambda: "five", signature="() -> Int")
    context.load("fn main() -> Int = number()\n")
    with pytest.raises(TypeError, match=r"^expected Int, got str at result"):
        context.run()
    record = context.drain()
    codes = [entry["envelope"]["metadata"].get("error.code") for entry in record]
    assert "host.value.type_mismatch" in codes


def test_an_unbound_host_function_fails_when_it_is_called(context):
    context.load('extern "host" {\n  fn missing() -> Int;\n}\nfn main() -> Int = missing()\nfn fine() -> Int = 1\n')
    assert context.run("fine") == 1
    with pytest.raises(reml.RunError) as caught:
        context.run()
    assert caught.value.code == "host.symbol.unbound"


def test_a_declared_function_is_bound_without_a_signature(context):
    context.define("price", lambda sku, n: len(sku) * n)
    module = context.load('fn price(sku: Str, n: Int) -> Int\nfn main() -> Int = price("abc", 2)\n')
    assert module["main"]() == 6


def test_every_kind_of_value_reaches_the_host_and_comes_back(context):
    seen = []

    @context.host("mirror")
    def mirror(
        a: int, b: float, c: bool, d: str, e: bytes, f: None, g: list[int], h: dict[str, int], i: tuple[int, str], j: int | None, k: set[int], m: Any,
    ) -> dict[str, list[int]]:  # fmt: skip
        seen.append((a, b, c, d, e, f, g, h, i, j, k, m))
        return {d: [a, *g]}

    module = context.load(
        'fn go(b: Bytes, m: Any) -> Map<Str, List<Int>> = mirror(1, 2.5, true, "s", b, (), [4, 5], Map.from_list([("k", 6)]), (7, "t"), Some(8), Set.from_list([9]), m)\n'
    )
    assert module["go"](b"x", [10]) == {"s": [1, 4, 5]}
    assert seen == [(1, 2.5, True, "s", b"x", None, [4, 5], {"k": 6}, (7, "t"), 8, frozenset({9}), [10])]


def test_arguments_are_not_limited_to_a_few(context):
    names = [f"a{number}" for number in range(12)]
    context.define(
        "add_all", lambda *numbers: sum(numbers), signature=f"({', '.join(name + ': Int' for name in names)}) -> Int"
    )
    context.load(f"fn main() -> Int = add_all({', '.join(str(number) for number in range(12))})\n")
    assert context.run() == 66


def test_defining_again_replaces_and_lets_the_old_one_go(context):
    class Callable:
        def __init__(self, answer):
            self.answer = answer

        def __call__(self):
            return self.answer

    first = Callable(1)
    context.define("answer", first, signature="() -> Int")
    module = context.load("fn main() -> Int = answer()\n")
    assert module["main"]() == 1
    gone = weakref.ref(first)
    del first
    context.define("answer", Callable(2), signature="() -> Int")
    assert module["main"]() == 2
    assert gone() is None
    with pytest.raises(reml.RemlError, match="another signature"):
        context.define("answer", Callable(3), signature="() -> Str")
    assert module["main"]() == 2


def test_a_function_cannot_be_replaced_while_it_runs(context):
    def replace():
        context.define("replace", lambda: 2, signature="() -> Int")

    context.define("replace", replace, signature="() -> Int")
    context.load("fn main() -> Int = replace()\n")
    with pytest.raises(reml.BusyError):
        context.run()


def test_host_functions_die_with_their_context_even_when_they_know_it():
    class Callable:
        def __init__(self, context):
            self.context = context

        def __call__(self):
            return 1

    context = reml.Context()
    callable_ = Callable(context)
    gone = weakref.ref(callable_)
    context.define("one", callable_, signature="() -> Int")
    function = context.load("fn main() -> Int = one()\n")["main"]
    assert function() == 1
    del context, callable_, function
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("signature", ["(", "(x: Unknown) -> Int", "x -> ", "(x: Int) -> Int extra"])
def test_wrong_signatures_are_refused(context, signature):
    with pytest.raises(reml.RemlError):
        context.define("f", lambda: 1, signature=signature)
    context.define("f", lambda: 1, signature="() -> Int")


def test_what_cannot_be_called_is_refused(context):
    with pytest.raises(TypeError, match="expected a callable"):
        context.define("f", 5)


def test_calls_in_both_directions_nest(context):
    @context.host("down")
    def down(n: int) -> int:
        return 0 if n == 0 else count(n - 1) + 1

    count = context.load("fn count(n: Int) -> Int = down(n)\n")["count"]
    assert count(50) == 50
    with pytest.raises((reml.LimitError, RecursionError)):
        count(100_000)
    assert count(5) == 5


def test_a_value_under_conversion_keeps_its_context_still(context):
    """Python code that runs while arguments are converted cannot run, collect or close the context."""
    refused = []
    module = context.load("fn total(xs: List<Str>) -> Int = xs.len()\nfn one() -> Int = 1\n")

    def items():
        for use in (
            module["one"],
            context.collect,
            context.close,
            lambda: context.load("fn x() -> Int = 1\n"),
            context.run,
        ):
            try:
                use()
            except reml.BusyError as error:
                refused.append(error)
        yield "a"

    assert module["total"](items()) == 1
    assert len(refused) == 5
    assert module["one"]() == 1


# --- signatures from annotations ----------------------------------------------------------------------------------------------


def test_annotations_become_signatures():
    def price(sku: str, count: int = 1, *, _unused: int = 0) -> float: ...
    def mixed(a: list[dict[str, tuple[int, bool]]], b: "int | None", c: frozenset[bytes], d: Any) -> None: ...
    def outcome(f: reml.Duration) -> reml.Ok[int] | reml.Err[str]: ...
    def bare(a, b): ...
    def partly(a: int, b): ...
    def star(*a: int) -> int: ...

    assert signature_text(lambda: 1) is None
    assert signature_text(bare) is None
    assert signature_text(len) is None
    assert signature_text(mixed) == "(a: List<Map<Str, (Int, Bool)>>, b: Option<Int>, c: Set<Bytes>, d: Any) -> ()"
    assert signature_text(outcome) == "(f: Duration) -> Result<Int, Str>"
    for wrong in (price, partly, star):
        with pytest.raises(TypeError):
            signature_text(wrong)


@pytest.mark.parametrize("annotation", [complex, tuple[int, ...], tuple[int], int | str, list, type, "x"])
def test_annotations_without_a_reml_type_are_refused(annotation):
    with pytest.raises(TypeError, match="no Reml type"):
        type_text(annotation)
