"""Conductors seen and run by the host (LANGUAGE 7.3), and top-level values."""
# covers: 7.3, 3.6, 8.11

from __future__ import annotations

import pytest

import reml_embed as reml

SOURCE = """\
module Plant
var log: List<Str> = []
fn step(name: Str, x: Int) -> Int { log := log.push(name); x }
conductor pipe {
  source: Raw = step("source", 2)
  total: source |> Int.pow(3) |> depends_on([source]) |> with_capabilities(["io.read"], stage = "beta")
  channels { source.out ~> total.in : Missing<Int> }
  execution { log := log.push("executed") }
  monitoring with Metrics.core { p99 }
}
conductor endless {
  a: step("a", 1) |> depends_on([b])
  b: step("b", 2) |> depends_on([a])
}
conductor broken { a: panic("no node") }
"""


@pytest.fixture
def plant(context: reml.Context) -> reml.Module:
    return context.load(SOURCE)


def test_a_conductor_is_plain_data(plant):
    pipe = plant.value("pipe")
    assert pipe.id == "pipe"
    assert [(node.name, node.label, node.depends_on) for node in pipe.nodes] == [
        ("source", "Raw", []),
        ("total", None, ["source"]),
    ]
    assert [(entry.key, entry.args) for entry in pipe.nodes[1].metadata] == [
        ("depends_on", [("", ["source"])]),
        ("with_capabilities", [("", ["io.read"]), ("stage", "beta")]),
    ]
    [channel] = pipe.channels
    assert (channel.from_.node, channel.to.path, channel.item) == ("source", "total.in", "Missing<Int>")
    assert pipe.monitoring == "Metrics.core { p99 }"
    assert plant.value("log") == []


def test_the_host_executes_it(plant):
    assert plant.context.execute_conductor("pipe") == reml.Ok([("source", 2), ("total", 8)])
    assert plant.context.execute_conductor("Plant.pipe") == reml.Ok([("source", 2), ("total", 8)])
    assert plant.value("log") == ["source", "executed"] * 2


def test_the_host_runs_single_nodes(plant):
    first, second = plant.value("pipe").nodes
    with pytest.raises(reml.RunError, match="source"):
        second.run()
    assert first.run() == 2
    assert second.run() == 8


def test_cycles_and_panics(plant):
    assert isinstance(plant.context.execute_conductor("endless"), reml.Err)
    assert plant.value("log") == []
    with pytest.raises(reml.RunError) as caught:
        plant.context.execute_conductor("broken")
    assert caught.value.code == "runtime.panic"


def test_other_names_are_no_conductors(plant):
    with pytest.raises(reml.RunError):
        plant.context.execute_conductor("missing")
    with pytest.raises(TypeError):
        plant.context.execute_conductor("log")


# --- top-level values -------------------------------------------------------------------------------------------------


def test_reading_a_value_initialises_the_modules(context):
    printed = []
    context.set_output(printed.append)
    module = context.load("module M\nlet limit = { println('x'); 5 }\nvar names = [\"a\"]".replace("'", '"'))
    assert not printed
    assert (module.value("limit"), context.value("names"), context.value("M.limit")) == (5, ["a"], 5)
    assert "".join(printed) == "x\n"
    with pytest.raises(reml.RunError):
        module.value("nothing")


def test_values_of_the_host(context):
    context.load('extern "host" {\n  type Log\n  let log: Log\n  let rate: Float\n}', ambient=True)
    module = context.load("fn get() -> Log = log\nfn twice() -> Float = rate * 2.0")
    with pytest.raises(reml.RunError) as caught:
        module["twice"]()
    assert caught.value.code == "host.symbol.unbound"
    log = object()
    context.set_value("log", log)
    context.set_value("rate", 1.25)
    assert module["get"]() is log
    assert module["twice"]() == 2.5
    with pytest.raises(TypeError):
        context.set_value("rate", "fast")
    assert module["twice"]() == 2.5
    with pytest.raises(KeyError):
        context.set_value("missing", 1)
    with pytest.raises(KeyError):
        context.set_value("twice", 1)


def test_values_of_the_host_live_as_long_as_the_script_holds_them(context):
    import weakref

    class Log:
        pass

    context.load('extern "host" {\n  type Log\n  let log: Log\n}', ambient=True)
    log = Log()
    alive = weakref.ref(log)
    context.set_value("log", log)
    del log
    context.collect()
    assert alive() is not None
    context.set_value("log", Log())
    context.collect()
    context.load("let nothing = 1")
    context.run("")  # what the collector let go is dropped at the end of a run
    assert alive() is None


def test_callbacks_are_function_values(context):
    module = context.load(
        "fn apply(f: fn(Int) -> Int, x: Int) -> Int = f(x)\nstruct Box { f: fn(Int) -> Int }\nfn call(b: Box, x: Int) -> Int = (b.f)(x)"
    )
    double = context.callback("(Int) -> Int", lambda x: x * 2)
    assert double(4) == 8
    assert module["apply"](double, 5) == 10
    assert module["call"]({"f": double}, 6) == 12

    def fail(x: int) -> int:
        raise LookupError(x)

    with pytest.raises(LookupError):
        module["apply"](context.callback("(Int) -> Int", fail), 1)
    with pytest.raises(reml.RemlError):
        context.callback("(Missing) -> Int", fail)
    with pytest.raises(TypeError):
        context.callback("(Int) -> Int", 5)


def test_bind_takes_the_declared_signature(context):
    context.load(
        'extern "host" {\n  type Shop\n  fn Shop.price(self, sku: Str) -> Float\n  let shop: Shop\n}', ambient=True
    )
    context.bind("Shop.price", lambda shop, sku: shop[sku])
    context.set_value("shop", {"a": 1.5})
    assert context.load('fn main() -> Float = shop.price("a")')["main"]() == 1.5
    with pytest.raises(TypeError):
        context.bind("Shop.price", None)
