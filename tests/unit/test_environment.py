"""What a program may see of its surroundings: arguments and variables."""
# covers: 8.9

import os

import pytest

import reml_embed as reml

SOURCE = """
fn seen(name: Str) -> Str =
  match Env.get_env(name) with
  | Ok(Some(value)) -> "is " + value
  | Ok(None) -> "unset"
  | Err(e) -> "denied " + e.key.unwrap_or("?")
fn main() = (Env.args(), seen("HOME"), seen("OTHER"))
"""


def run(**options):
    with reml.Context(**options) as context:
        context.load(SOURCE)
        return context.run()


def test_by_default_there_are_no_arguments_and_no_variables():
    assert run() == ([], "denied HOME", "denied OTHER")


def test_a_program_sees_what_it_is_given():
    assert run(args=["one", "zwei é"], environment={"HOME": "/home/é"}) == (["one", "zwei é"], "is /home/é", "unset")
    assert run(environment=os.environ)[2] in ("unset", "is " + os.environ.get("OTHER", ""))


def test_both_can_change_between_runs():
    with reml.Context(args=["first"]) as context:
        context.load(SOURCE)
        context.set_args([])
        context.set_environment({"HOME": "here"}, deny_others=True)
        assert context.run() == ([], "is here", "denied OTHER")
        context.set_environment({})
        assert context.run() == ([], "unset", "unset")


@pytest.mark.parametrize(
    "wrong", [{"args": "word"}, {"args": [1]}, {"environment": {"A": 1}}, {"environment": {1: "a"}}]
)
def test_only_texts_are_taken(wrong):
    with pytest.raises(TypeError):
        run(**wrong)


def test_a_text_with_nul_is_refused():
    with pytest.raises(ValueError):
        run(args=["a\0b"])
    with pytest.raises(ValueError):
        run(environment={"A": "\0"})
