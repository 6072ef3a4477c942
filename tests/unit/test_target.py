"""What modules are loaded for, values at top level, metadata of exports."""
# covers: 3.5, 3.6

import pytest

import reml_embed as reml

SOURCE = """
@cfg(target_os = "wasi") fn place() -> Str = "wasi"
@cfg(not(target_os = "wasi")) fn place() -> Str = "else"
fn main() -> List<Str> {
  var found: List<Str> = [place()]
  @cfg(feature = "simd") { found := found.push("simd") }
  @cfg(feature = "neon") { found := found.push("neon") }
  @cfg(extra.board = "pico") { found := found.push("pico") }
  @cfg(capability = "unicode.nfc") { found := found.push("nfc") }
  @cfg(has_target_profile = "true") { found := found.push("profile") }
  found
}
"""


def run(**options: object) -> list[str]:
    with reml.Context(**options) as context:
        context.load(SOURCE)
        return context.run()


def test_target_is_what_cfg_asks_about():
    assert run() == ["else"]
    assert run(target={"os": "wasi"}) == ["wasi"]
    assert run(features=["neon"]) == ["else", "neon"]
    target = {"features": {"simd"}, "extra": {"board": "pico"}, "capabilities": ["unicode.nfc"], "profile_id": "p"}
    assert run(target=target, features=["neon"]) == ["else", "simd", "neon", "pico", "nfc", "profile"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"target": {"oz": "x"}}, ValueError),
        ({"target": {"os": 3}}, TypeError),
        ({"target": {"features": "simd"}}, TypeError),
        ({"target": {"features": ["a,b"]}}, ValueError),
        ({"target": {"extra": {"a": "b,c"}}}, ValueError),
        ({"features": [1]}, TypeError),
        ({"minimum_stage": "alpha"}, ValueError),
    ],
)
def test_wrong_targets_are_refused(options, error):
    with pytest.raises(error):
        reml.Context(**options)


def test_stage_and_capabilities():
    source = '@requires_capability(stage = "beta", id = "net") fn main() -> Int = 1'
    with reml.Context() as context:
        context.load(source)
        assert context.run() == 1
    with reml.Context(minimum_stage="stable") as context, pytest.raises(reml.LoadError) as caught:
        context.load(source)
    assert [item.code for item in caught.value.diagnostics] == ["effects.contract.stage_mismatch"]
    with reml.Context(granted_capabilities=["io"]) as context, pytest.raises(reml.LoadError) as caught:
        context.load(source)
    assert [item.code for item in caught.value.diagnostics] == ["target.capability.unknown"]
    with reml.Context(granted_capabilities=["net"], minimum_stage="beta") as context:
        context.load(source)


def test_unknown_keys_have_a_fixit():
    with reml.Context() as context, pytest.raises(reml.LoadError) as caught:
        context.load('@cfg(target_oss = "linux") fn main() = 1')
    (found,) = caught.value.diagnostics
    assert (found.code, found.fixits[0].text) == ("target.config.unknown_key", "target_os")
    assert "target_family" in found.notes[0].message


def test_host_values():
    with reml.Context() as context:
        context.load('extern "host" { let limit: Int\n let names: List<Str>\n let hook: fn(Int) -> Int }', ambient=True)
        module = context.load('fn inc(x: Int) -> Int = x + 1\nfn main() -> Str = names[0] + format("{hook(limit)}")')
        with pytest.raises(reml.RunError) as caught:
            context.run()
        assert caught.value.code == "host.symbol.unbound"
        context.set_value("limit", 41)
        context.set_value("names", ["n"])
        context.set_value("hook", module["inc"])
        assert context.run() == "n42"
        context.set_value("limit", 1)
        assert (context.run(), context.value("limit")) == ("n2", 1)
        with pytest.raises(TypeError):
            context.set_value("limit", "x")
        with pytest.raises(KeyError):
            context.set_value("nothing", 1)


def test_top_level_values():
    with reml.Context() as context:
        context.load('module A\nlet names = ["a", "b"]\nvar n = 40 + 2\ntype P = { x: Int }\nlet p = P { x = 1 }')
        assert (context.value("names"), context.value("A.n"), context.value("p").x) == (["a", "b"], 42, 1)
        with pytest.raises(reml.RunError):
            context.value("nothing")
        context.load("module B\nlet bad: Int = [1][3]")
        with pytest.raises(reml.RunError) as caught:
            context.value("bad")
        assert caught.value.code == "runtime.index.out_of_bounds"


def test_host_functions_may_run_during_initialisation():
    with reml.Context() as context:

        @context.host("next")
        def following(x: int) -> int:
            return x + 1

        context.load("let n = next(1)")
        assert context.value("n") == 2


def test_exports():
    source = """module Dsl
extern "host" { type Parser<T> }
@dsl_export("main", name = "config", category = "data", allows_effects = [io, Console, panic], version = "1.2",
    stage_bounds = { minimum = "beta", n = -1, f = 1.5, on = true, c = 'x' }, empty = {}, map = { "k": [1, 2] })
fn config() -> Parser<Int> = todo
@dsl_export let p = |x: Int| config()
"""
    with reml.Context() as context:
        module = context.load(source)
        context.load("module Other")
        assert list(module.exports) == ["config", "p"]
        found = module.exports["config"]
        assert (found.module, found.kind, found.type) == ("Dsl", "function", "() -> Parser<Int> ! {panic}")
        assert found.metadata == {
            "arguments": ["main"],
            "name": "config",
            "category": "data",
            "allows_effects": ["io", "Console", "panic"],
            "version": "1.2",
            "stage_bounds": {"minimum": "beta", "n": -1, "f": 1.5, "on": True, "c": "x"},
            "empty": {},
            "map": {"k": [1, 2]},
        }
        assert module.exports["p"].metadata == {}
        assert len(context.exports()) == 2
