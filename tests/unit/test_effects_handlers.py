"""CONTRACTS 19.2: handlers that a host puts around every run."""

from __future__ import annotations

from typing import Any

import pytest

import reml_embed as reml
from reml_embed.effects import EffectError, Resume

ASK = """
effect Ask { operation ask: Str -> Int; operation tell: (Str, Int) -> () }
fn main() -> Int = { do Ask.tell("n", 1); do Ask.ask("a") + do Ask.ask("bb") }
"""


def console(log: Any = len, ask: Any = str.upper) -> dict[str, Any]:
    return {"log": lambda text: log(text) and None, "ask": ask}


def test_python_answers_what_reaches_the_root_unhandled() -> None:
    told: list[tuple[str, int]] = []
    with reml.Context() as context:
        context.load(ASK)
        with context.handle("Ask", {"ask": len, "tell": lambda text, n: told.append((text, n))}):
            assert context.run() == 3
        assert told == [("n", 1)]
        with pytest.raises(reml.RunError, match=r"no handler for Ask\.tell"):
            context.run()


def test_a_handler_of_the_script_is_nearer() -> None:
    source = 'fn main() -> Str = handle perform Console.ask("q") with handler Console {\n'
    source += '  operation ask(q, resume) { resume("script") }\n  operation log(t, resume) { resume(()) }\n}'
    with reml.Context() as context:
        context.load(source)
        with context.handle("Console", console()):
            assert context.run() == "script"


def test_the_host_is_asked_before_the_root_handlers_of_the_runtime() -> None:
    printed: list[str] = []
    logged: list[str] = []
    with reml.Context(output=printed.append) as context:
        context.load('fn main() = perform Console.log("x")')
        with context.handle("Console", console(log=logged.append)):
            context.run()
        context.run()
    assert (logged, printed) == (["x"], ["x\n"])


def test_of_several_the_latest_answers_and_closing_goes_back() -> None:
    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        outer = context.handle("Console", console(ask=lambda q: "outer"))
        with context.handle("Console", console(ask=lambda q: "inner")):
            assert context.run() == "inner"
        assert context.run() == "outer"
        inner = context.handle("Console", console(ask=lambda q: "again"))
        outer.close()
        assert context.run() == "again"
        inner.close()
        inner.close()
        assert context.run() == ""


def test_effects_of_modules_loaded_later_are_known_by_name() -> None:
    with reml.Context() as context, context.handle("Ask", {"ask": len, "tell": lambda text, n: None}):
        context.load(ASK)
        assert [item.code for item in context.diagnostics] == []  # the entry's effect has a handler
        assert context.run() == 3


def test_a_qualified_name_means_the_effect_of_that_module() -> None:
    with reml.Context() as context:
        for name in ("A", "B"):
            context.load(f"module {name}\npub effect E {{ operation e: () -> Int }}\npub fn f() -> Int = do E.e()")
        with context.handle("E", {"e": lambda: 1}), context.handle("B.E", {"e": lambda: 2}):
            assert (context.run("A.f"), context.run("B.f")) == (1, 2)


def test_more_than_32_handlers_are_refused() -> None:
    with reml.Context() as context:
        held = [context.handle("Console", console()) for _ in range(32)]
        with pytest.raises(EffectError, match="more than 32") as caught:
            context.handle("Console", console())
        assert caught.value.code == "effects.handler.depth_exceeded"
        held[5].close()
        context.handle("Console", console())


def test_handlers_of_a_script_have_no_such_bound() -> None:
    source = """
    effect E { operation e: () -> Int }
    fn nest(n: Int) -> Int = if n == 0 { do E.e() } else {
      handle nest(n - 1) with handler E { operation e(resume) { resume(n) } }
    }
    fn main() -> Int = nest(100)
    """
    with reml.Context() as context:
        context.load(source)
        assert context.run() == 1


def test_missing_operations_are_named() -> None:
    with reml.Context() as context:
        context.load(ASK)
        with pytest.raises(EffectError) as caught:
            context.handle("Ask", {})
        assert caught.value.code == "effects.handler.unhandled_operation"
        assert caught.value.unhandled_operations == ("ask", "tell")
        with pytest.raises(EffectError) as caught:
            context.handle("Ask", {"ask": len, "tell": print, "more": len})
        assert caught.value.code == "effects.operation.unknown"


def test_a_module_whose_effect_has_other_operations_does_not_load() -> None:
    with reml.Context() as context, context.handle("Ask", {"ask": len}):
        with pytest.raises(reml.LoadError) as caught:
            context.load(ASK)
        (found,) = caught.value.diagnostics
        effects = found.json["extensions"]["effects"]  # type: ignore[index,call-overload]
        assert found.code == "effects.handler.unhandled_operation"
        assert effects == {"handler_name": "Ask", "unhandled_operations": ["tell"]}
        context.load("fn main() = 1")


def test_a_second_resume_is_refused() -> None:
    def twice(question: str, resume: Resume) -> None:
        resume(question)
        resume(question)

    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        with context.handle("Console", console(ask=twice)), pytest.raises(EffectError) as caught:
            context.run()
        assert caught.value.code == "effects.handler.invalid_resume"
        with context.handle("Console", console(ask=lambda q, resume: resume("once"))):
            assert context.run() == "once"


def test_resuming_after_the_operation_has_returned_is_refused() -> None:
    kept: list[Resume] = []

    def keep(question: str, resume: Resume) -> None:
        kept.append(resume)
        resume(question)

    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        with context.handle("Console", console(ask=keep)):
            assert context.run() == "q"
    with pytest.raises(EffectError, match="invalid_resume"):
        kept[0]("late")


def test_not_resuming_ends_the_run() -> None:
    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        with context.handle("Console", console(ask=lambda q, resume: None)), pytest.raises(EffectError) as caught:
            context.run()
        assert caught.value.code == "runtime.effect.unhandled"


def test_exceptions_and_wrong_answers_end_the_run() -> None:
    def fail(question: str) -> str:
        raise LookupError(question)

    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        with context.handle("Console", console(ask=fail)), pytest.raises(LookupError):
            context.run()
        with context.handle("Console", console(ask=lambda q: 1)), pytest.raises(TypeError):
            context.run()
        with context.handle("Console", console()):
            assert context.run() == "Q"


def test_a_handler_may_call_back_into_the_context() -> None:
    with reml.Context() as context:
        module = context.load(
            'fn main() -> Str = perform Console.ask("q")\nfn twice(t: Str) -> Str = "{t}{t}"'.replace(
                '"{t}{t}"', "t + t"
            )
        )
        with context.handle("Console", console(ask=module["twice"])):
            assert context.run() == "qq"


def test_operations_must_be_callable() -> None:
    with reml.Context() as context, pytest.raises(TypeError, match=r"Console\.log"):
        context.handle("Console", {"log": 1, "ask": str})  # type: ignore[dict-item]


def test_values_of_every_bank_cross() -> None:
    source = """
    effect Mix { operation mix: (Int, Str, Float, List<Int>) -> (Float, Str) }
    fn main() -> (Float, Str) = do Mix.mix(1, "s", 2.5, [3])
    """
    with reml.Context(stress_gc=True) as context:
        context.load(source)
        with context.handle("Mix", {"mix": lambda n, s, f, xs: (n + f + xs[0], s)}):
            assert context.run() == (6.5, "s")


def test_performs_are_told_as_handled_by_the_host() -> None:
    events: list[dict[str, Any]] = []
    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        context.observe_effects(events.append)
        context.run()
        with context.handle("Console", console()):
            context.run()
    assert [event["handled_by"] for event in events] == ["root", "host"]


def test_crossings_are_counted() -> None:
    with reml.Context() as context:
        context.load('fn main() -> Str = perform Console.ask("q")')
        before = context.metrics().total_calls
        with context.handle("Console", console()):
            context.run()
        assert context.metrics().total_calls >= before + 1


def test_it_goes_with_its_context() -> None:
    context = reml.Context()
    handler = context.handle("Console", console())
    context.close()
    handler.close()
    assert repr(handler) == "<HostHandler of Console, closed>"
