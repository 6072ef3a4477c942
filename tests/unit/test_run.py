"""Running: results, failures, output, limits."""
# covers: 8.11, 3.1, 5.10, 9.4, 11.1

import pytest

import reml_embed as reml
from reml_embed.testing import Output


def test_the_guides_flow(context):
    context.load('fn main() -> Str { "ok" }')
    assert context.run() == "ok"
    assert context.run("main") == "ok"


def test_entries_are_found_qualified_or_in_the_latest_module(context):
    context.load('module A\nfn main() -> Str = "a"\n')
    context.load('module B\nfn main() -> Str = "b"\n')
    assert context.run("main") == "b"
    assert context.run("A.main") == "a"


def test_the_empty_name_only_initialises(context):
    output = Output()
    context.set_output(output)
    context.load('let x = { println("init"); 1 }\nfn main() -> Int = x\n')
    assert context.run("") is None
    assert str(output) == "init\n"
    assert context.run() == 1
    assert str(output) == "init\n"


def test_an_err_is_a_result_and_not_an_exception(context):
    context.load('fn main() -> Result<Int, Str> = Err("no")\n')
    assert context.run() == reml.Err("no")
    assert context.run().error == "no"


def test_a_failure_says_what_and_where_and_the_context_stays_usable(context):
    module = context.load(
        "module Sums\nfn divide(a: Int, b: Int) -> Int =\n  a / b\nfn main() -> Int = divide(1, 0)\n", name="sums.reml"
    )
    with pytest.raises(reml.RunError) as caught:
        context.run()
    error = caught.value
    assert type(error) is reml.RunError
    assert error.code == "runtime.arith.div_zero"
    assert str(error) == "runtime.arith.div_zero: division by zero"
    assert error.stack[0] == reml.StackEntry("divide", "Sums", 3)
    assert error.diagnostics[0].line == 3
    assert "sums.reml:3:3" in error.text
    assert module["divide"](7, 2) == 3


@pytest.mark.parametrize(
    ("entry", "code"),
    [("nope", "runtime.entry.unknown"), ("A.nope", "runtime.entry.unknown"), ("needs", "runtime.entry.arity")],
)
def test_entries_that_cannot_be_run(context, entry, code):
    context.load("module A\nfn needs(x: Int) -> Int = x\n")
    with pytest.raises(reml.RunError) as caught:
        context.run(entry)
    assert caught.value.code == code
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]
    assert isinstance(caught.value, KeyError) == (code == "runtime.entry.unknown")


def test_nothing_is_loaded(context):
    with pytest.raises(reml.RunError, match="no module loaded"):
        context.run()


def test_old_diagnostics_are_not_taken_for_a_new_failure(context):
    with pytest.raises(reml.LoadError):
        context.load("fn main() -> Int = nonsense\n")
    with pytest.raises(reml.RunError) as caught:
        context.run()
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["native.embed.no_module"]


def test_entry_names_must_be_text(context):
    context.load("fn main() -> Int = 1\n")
    for wrong in ("\ud800", "a\0b"):
        with pytest.raises(ValueError, match="surrogates|null"):
            context.run(wrong)
    with pytest.raises((TypeError, AttributeError)):
        context.run(5)


# --- output ------------------------------------------------------------------------------------------------------------


def test_scripts_print_to_stdout_as_it_is_at_that_moment(context, capsys):
    context.load('fn main() -> () { println("häß{1 + 1}lich €😀"); print("end") }\n')
    context.run()
    assert capsys.readouterr().out == "häß{1 + 1}lich €😀\nend"


def test_output_can_go_elsewhere_and_come_back(capsys):
    output = Output()
    with reml.Context(output=output) as context:
        context.load('fn main() -> () = println("x")\n')
        context.run()
        context.set_output(None)
        context.run()
    assert str(output) == "x\n"
    assert capsys.readouterr().out == "x\n"


def test_what_the_output_raises_comes_out_of_the_run(context):
    error = BlockingIOError("full")

    def refuse(_text):
        raise error

    context.set_output(refuse)
    context.load('fn main() -> Int { println("x"); 1 }\n')
    with pytest.raises(BlockingIOError) as caught:
        context.run()
    assert caught.value is error


def test_input_answers_what_console_asks():
    questions = []

    def answer(question):
        questions.append(question)
        return "häß€😀"

    with reml.Context(input=answer) as context:
        context.load('fn main() -> Str = do Console.ask("name?")\n')
        assert context.run() == "häß€😀"
        context.set_input(None)
        assert context.run() == ""
    assert questions == ["name?"]


def test_what_the_input_raises_comes_out_of_the_run():
    error = BlockingIOError("nobody there")

    def refuse(_question):
        raise error

    with reml.Context(input=refuse) as context:
        context.load('fn main() -> Str = do Console.ask("name?")\n')
        with pytest.raises(BlockingIOError) as caught:
            context.run()
        assert caught.value is error
        context.set_input(lambda _question: 5)
        with pytest.raises(TypeError):
            context.run()


# --- limits ---------------------------------------------------------------------------------------------------------------


def test_limits_have_the_librarys_defaults():
    assert reml.Limits().fuel == 10**12
    assert reml.Limits().heap_bytes == 1 << 30
    assert reml.Limits().deadline_ms == 0
    untrusted = reml.Limits.untrusted()
    assert (untrusted.fuel, untrusted.heap_bytes, untrusted.deadline_ms) == (10**8, 64 << 20, 2000)
    assert reml.Limits.untrusted(fuel=5).fuel == 5
    assert reml.Limits.untrusted(fuel=5).call_depth == 10_000


@pytest.mark.parametrize("value", [-1, 2**64])
def test_limits_must_be_sensible(value):
    with pytest.raises(ValueError, match="fuel"):
        reml.Limits(fuel=value)
    with pytest.raises(TypeError, match="fuel"):
        reml.Limits(fuel=1.5)


def test_limits_come_back_as_they_were_set(context):
    assert context.limits == reml.Limits()
    tighter = reml.Limits(fuel=1000, heap_bytes=8 << 20)
    context.limits = tighter
    assert context.limits == tighter


@pytest.mark.parametrize(
    ("limits", "source", "code"),
    [
        (reml.Limits(fuel=100_000), "fn main() -> Int { var i = 0; while true { i := i + 1 }; i }", "runtime.limit.instructions"),
        (reml.Limits(call_depth=100), "fn f(n: Int) -> Int = 1 + f(n + 1)\nfn main() -> Int = f(0)", "runtime.stack.overflow"),
        (reml.Limits(deadline_ms=50), "fn main() -> Int { var i = 0; while true { i := i + 1 }; i }", "runtime.limit.deadline"),
        (reml.Limits(output_bytes=10), 'fn main() -> () { println("01234"); println("56789") }', "runtime.limit.output"),
        (reml.Limits(heap_bytes=2 << 20), "fn main() -> Int { let v: Vec<Int> = Vec.new(); while true { v.push(1) }; 1 }", "runtime.limit.memory"),
    ],
)  # fmt: skip
def test_reaching_a_limit_ends_the_run_and_not_the_context(limits, source, code):
    with reml.Context(limits=limits, output=Output()) as context:
        context.load(source + "\nfn small() -> Int = 7\n")
        with pytest.raises(reml.LimitError) as caught:
            context.run()
        assert caught.value.code == code
        assert caught.value.status == 15
        assert context.run("small") == 7


def test_a_source_beyond_the_limit_is_a_load_error():
    with reml.Context(limits=reml.Limits(source_bytes=10)) as context, pytest.raises(reml.LoadError) as caught:
        context.load("fn main() -> Int = 1\n")
    assert caught.value.code == "parser.limit.exceeded"


def test_limits_can_only_tighten_inside_a_run(context):
    seen = []

    @context.host("relax")
    def relax() -> None:
        context.limits = reml.Limits(fuel=10**12)
        seen.append(context.limits.fuel)

    context.limits = reml.Limits(fuel=50_000)
    context.load("fn main() -> Int { relax(); 1 }\n")
    context.run()
    assert seen == [50_000]


# --- life -------------------------------------------------------------------------------------------------------------------


def test_a_closed_context_refuses_everything_and_can_be_closed_again():
    context = reml.Context()
    module = context.load("fn f() -> Int = 1\n")
    function = module["f"]
    context.close()
    context.close()
    assert context.closed
    assert "closed" in repr(context)
    for use in (context.run, lambda: context.load("fn g() -> Int = 1"), function, lambda: module["g"], context.metrics,
                lambda: context.limits, context.result_borrow, lambda: function.signature, lambda: function.map(1),
                context.collect, context.__enter__, context.adopt, context.interrupt, lambda: context.host("h")(lambda: None)):  # fmt: skip
        with pytest.raises(reml.StaleError):
            use()
    assert "closed" in repr(function)


def test_contexts_are_independent(context):
    context.load("fn f() -> Int = 1\n")
    with reml.Context() as other:
        other.load("fn f() -> Int = 2\n")
        assert (context.run("f"), other.run("f")) == (1, 2)


def test_functions_keep_their_context_alive():
    def make():
        return reml.Context().load("fn f(x: Int) -> Int = x + 1\n")["f"]

    assert make()(1) == 2


def test_a_context_cannot_be_closed_while_it_runs(context):
    errors = []

    @context.host("close")
    def close() -> None:
        try:
            context.close()
        except reml.BusyError as error:
            errors.append(error)

    context.load("fn main() -> Int { close(); 5 }\n")
    assert context.run() == 5
    assert len(errors) == 1
    assert not context.closed


@pytest.mark.parametrize("thing", ["context", "module", "function", "result"])
def test_nothing_that_lives_in_a_context_can_be_pickled(context, thing):
    import pickle

    module = context.load("fn f() -> Int = 1\n")
    context.execute("f")
    things = {"context": context, "module": module, "function": module["f"], "result": context.result_take()}
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(things[thing])


def test_ir_and_bytecode_can_be_read(context):
    context.load("fn f(x: Int) -> Int = x + 1\n")
    assert "fn f" in context.explain("ir", "f")
    assert "ADD" in context.explain("bytecode", "f")
    assert context.explain("tree")
    assert context.explain("tokens")
    with pytest.raises(ValueError, match="expected one of"):
        context.explain("machine code")
