"""Context.compile: programs that are compiled once and run in many contexts."""

from __future__ import annotations

import gc
import threading

import pytest

import reml_embed as reml

COUNTER = "module Counter\nvar n = 0\npub fn next() -> Int { n := n + 1\n n }\nfn main() -> Int = next()\n"


def test_a_program_is_shared_and_values_are_not() -> None:
    with reml.Context() as first:
        program = first.compile(COUNTER)
        assert (program.sources, program.contexts) == (1, 0)
        assert program.bytes > 0
        with reml.Context() as tenant, reml.Context() as other:
            module = tenant.load(program)
            other.load(program)
            assert module.name == "Counter"
            assert program.contexts == 2
            assert [module["next"]() for _ in range(3)] == [1, 2, 3]
            assert other.run("main") == 1
            assert first.run("main") == 1
        assert program.contexts == 0
        program.close()


def test_functions_of_the_host_are_those_of_each_context() -> None:
    def open_one(bonus: int) -> reml.Context:
        context = reml.Context()

        @context.host("Host.plus")
        def plus(x: int) -> int:
            return x + bonus

        return context

    with open_one(1) as first, open_one(100) as tenant:
        program = first.compile("fn main() -> Int = Host.plus(1)\n")
        tenant.load(program)
        assert program.contexts == 1
        assert (first.run("main"), tenant.run("main")) == (2, 101)
        with reml.Context() as without, pytest.raises(reml.RunError):
            without.load(program)  # declared by the program, bound by nobody
            without.run("main")


def test_a_context_that_differs_checks_the_sources_anew(tmp_path) -> None:
    file = tmp_path / "here.reml"
    file.write_text(
        '@cfg(target_os = "windows")\nfn here() -> Int = 2\n@cfg(target_os = "linux")\nfn here() -> Int = 1\n'
    )
    with reml.Context(target={"os": "linux"}) as first, reml.Context(target={"os": "windows"}) as other:
        program = first.compile(file)
        other.load(program)
        assert program.contexts == 0
        assert (first.run("here"), other.run("here")) == (1, 2)


def test_a_wrong_source_is_reported_and_nothing_is_loaded() -> None:
    with reml.Context() as context:
        with pytest.raises(reml.LoadError) as caught:
            context.compile("module Fine\nfn main() -> Int = 1\n", 'fn wrong() -> Int = ""\n')
        assert caught.value.diagnostics[0].code.startswith("type.")
        with pytest.raises(reml.RunError, match="no module loaded"):
            context.run("main")
        with pytest.raises(reml.InvalidArgumentError):
            context.compile()


def test_a_closed_program_is_refused_and_lives_on_where_it_is_loaded() -> None:
    with reml.Context() as first, reml.Context() as tenant:
        with first.compile(COUNTER) as program:
            tenant.load(program)
        program.close()
        assert repr(program) == "<Program, closed>"
        with pytest.raises(reml.StaleError):
            first.load(program)
        with pytest.raises(reml.StaleError):
            _ = program.contexts
        with pytest.raises(reml.InvalidArgumentError):
            tenant.load(program, name="other")
        assert tenant.run("main") == 1


def test_it_goes_with_its_last_reference() -> None:
    with reml.Context() as first:
        programs = [first.compile(f"module M{i}\nfn main() -> Int = {i}\n") for i in range(3)]
        ids = [program._id for program in programs]
        del programs
        gc.collect()
        from reml_embed._ffi import ffi, lib

        info = ffi.new("reml_program_info_t*", {"struct_size": ffi.sizeof("reml_program_info_t")})
        assert all(lib.reml_program_info(each, info) == lib.REML_EMBED_STATUS_STALE for each in ids)


def test_threads_share_a_program() -> None:
    with reml.Context() as first:
        program = first.compile(COUNTER)
    answers: list[int] = []

    def live() -> None:
        for _ in range(10):
            with reml.Context() as context:
                answers.append(context.load(program)["next"]())

    threads = [threading.Thread(target=live) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 40
    assert program.contexts == 0
