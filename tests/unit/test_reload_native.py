"""`Context.reload_module` and `rollback_module`: another version of a module inside one context (decision 0035)."""

import gc
import json
import threading
import weakref

import pytest

import reml_embed
from reml_embed import BusyError, Context, LimitError, Limits, LoadError, RunError, StaleError
from reml_embed.live import LiveModule

COUNTER = "module Counter\nvar count = 0\nfn add(x: Int) -> Int { count := count + x; count }\n"
DOUBLE = "module Counter\nvar count = 1000\nfn add(x: Int) -> Int { count := count + 2 * x; count }\n"


@pytest.fixture
def context():
    with Context() as made:
        yield made


def test_a_function_that_python_holds_calls_the_new_version_and_state_goes_over(context):
    add = context.load(COUNTER)["add"]
    assert add(5) == 5
    module = context.reload_module("Counter", DOUBLE)
    assert add(1) == 7
    assert module["add"](1) == 9
    context.rollback_module()
    assert add(1) == 6


def test_a_source_of_a_file_is_named_in_what_is_wrong(context, tmp_path):
    context.load(COUNTER)
    path = tmp_path / "counter.reml"
    path.write_text("module Counter\nfn add(x: Int) -> Int = x + true\n")
    with pytest.raises(LoadError) as caught:
        context.reload_module("Counter", path)
    assert caught.value.diagnostics[0].code == "type.mismatch"
    assert f"{path}:2:29" in caught.value.text


def test_what_the_program_relies_on_must_be_there(context):
    add = context.load(COUNTER)["add"]
    with pytest.raises(LoadError, match=r"add: \(Int\) -> Int is now \(Str\) -> Int") as caught:
        context.reload_module("Counter", "module Counter\nvar count = 0\nfn add(x: Str) -> Int = 1\n", file="new.reml")
    assert [found.code for found in caught.value.diagnostics] == ["reload.export.changed"]
    assert "new.reml:3:4" in caught.value.text
    assert add(2) == 2


def test_allow_and_let_go_say_what_may_go(context):
    module = context.load(COUNTER + "fn spare() -> Int = 1\n")
    add, spare = module["add"], module["spare"]
    smaller = COUNTER.replace("count + x", "count - x")
    with pytest.raises(LoadError, match=r"reload\.export\.removed"):
        context.reload_module("Counter", smaller)
    context.reload_module("Counter", smaller, allow=["spare"])
    assert add(3) == -3
    with pytest.raises(StaleError):
        spare()
    held = context.load("module Held\n@dsl_export\nfn f() -> Int = g()\nfn g() -> Int = 1\n")["g"]
    with pytest.raises(LoadError, match=r"reload\.value\.held"):
        context.reload_module("Held", "module Held\n@dsl_export\nfn f() -> Int = 2\n")
    context.reload_module("Held", "module Held\n@dsl_export\nfn f() -> Int = 2\n", let_go=True)
    with pytest.raises(StaleError):
        held()


def test_an_initialisation_that_fails_raises_what_failed_and_changes_nothing(context):
    calls = []

    @context.host("Host.ready", signature="(n: Int) -> Int")
    def ready(n):
        calls.append(n)
        raise KeyError("not ready")

    add = context.load(COUNTER)["add"]
    assert add(1) == 1
    with pytest.raises(RunError) as caught:
        context.reload_module("Counter", "module Counter\nvar count = 1 / 0\nfn add(x: Int) -> Int = x\n")
    assert caught.value.code == "runtime.arith.div_zero"
    with pytest.raises(KeyError, match="not ready"):
        context.reload_module("Counter", "module Counter\nvar count = Host.ready(7)\nfn add(x: Int) -> Int = x\n")
    assert calls == [7]
    assert add(1) == 2
    spin = "module Counter\nvar count = 0\nfn spin() -> Int { loop { count := count + 1 } }\nlet n = spin()\nfn add(x: Int) -> Int = x\n"
    context.limits = Limits(fuel=100_000)
    with pytest.raises(LimitError):
        context.reload_module("Counter", spin)
    assert add(1) == 3


def test_records_and_variants_are_of_the_same_classes_in_each_version(context):
    source = (
        "module Shapes\ntype Shape = Circle(Float) | Dot\ntype Point = { x: Int, y: Int }\n"
        "fn shapes() -> [Shape] = [Circle(1.5), Dot]\nfn point() -> Point = { x: 1, y: 2 }\n"
        "fn area(s: Shape) -> Float = match s { Circle(r) -> r, Dot -> 0.0 }\nfn any() -> Any = point()\n"
        "fn left(p: Point) -> Int = p.x\n"
    )
    module = context.load(source)
    before, point, any_before = module["shapes"](), module["point"](), module["any"]()
    context.reload_module(
        "Shapes", source.replace("-> r,", "-> r * 10.0,").replace("type Shape", "type More = A | B(Int)\ntype Shape")
    )
    after = module["shapes"]()
    assert after == before
    assert type(after[0]) is type(before[0])
    assert module["area"](before[0]) == 15.0
    assert module["point"]() == point
    assert module["any"]() == any_before
    assert module["left"](point) == 1
    assert module.type("Shape").Circle(2.0) == module.type("Shape").Circle(2.0)
    with pytest.raises(LoadError, match="Point: Point\\(x: Int, y: Int\\) is now Point\\(x: Int, z: Int\\)"):
        context.reload_module("Shapes", source.replace("y: Int", "z: Int").replace("y: 2", "z: 2"))
    context.rollback_module()
    assert module["area"](before[0]) == 1.5


def test_host_functions_of_python_see_the_types_of_the_version_on_trial(context):
    seen = []

    @context.host("Host.see", signature="(value: Any) -> Int")
    def see(value):
        seen.append(value)
        return len(seen)

    source = (
        "module M\ntype A = { a: Int }\nfn make() -> A = { a: 1 }\nlet n = Host.see(make())\nfn f() -> A = make()\n"
    )
    module = context.load(source)
    first = module["f"]()
    context.reload_module(
        "M", "module M\ntype Z = P(Int) | Q\ntype A = { a: Int }\nfn make() -> A = { a: 2 }\nlet p = Host.see(P(3))\n"
        "let n = Host.see(make())\nfn f() -> A = make()\n",
    )  # fmt: skip
    assert [getattr(value, "a", None) or value.value for value in seen] == [1, 3, 2]
    assert type(seen[2]) is type(first)
    with pytest.raises(RunError):
        context.reload_module(
            "M", "module M\ntype Y = { y: Int }\ntype A = { a: Int }\nfn make() -> A = { a: 2 }\nlet y: Y = { y: 9 }\nlet p = Host.see(y)\n"
            "let bad = 1 / (p - p)\nfn f() -> A = make()\n",
        )  # fmt: skip
    assert seen[3].y == 9
    assert module["f"]().a == 2


def test_live_values_that_python_holds_go_over_with_what_they_share(context):
    source = "module M\nlet log: Vec<Int> = Vec.new()\nfn get() -> Vec<Int> = log\nfn add(x: Int) -> Int { log.push(x); log.len() }\n"
    module = context.load(source)
    log = module["get"]()
    assert module["add"](1) == 1
    context.reload_module("M", source.replace("log.len()", "log.len() * 10"))
    assert module["add"](2) == 20
    assert list(log) == [1, 2]
    assert log == module["get"]()


def test_python_objects_in_state_live_as_long_as_a_version_that_holds_them(context):
    class Texture:
        pass

    source = (
        'module M\nextern "host" {\n  type Texture\n}\nvar kept: [Texture] = []\nfn keep(t: Texture) -> Int { kept := kept ++ [t]; kept.len() }\n'
        "fn first() -> Texture = kept[0]\nfn drop() -> Int { kept := []; 0 }\n"
    )
    module = context.load(source)
    texture = Texture()
    gone = weakref.ref(texture)
    module["keep"](texture)
    context.reload_module("M", source)
    assert module["first"]() is texture
    context.reload_module("M", source)
    context.rollback_module()
    assert module["first"]() is texture
    del texture
    module["drop"]()
    context.collect()
    context.collect()
    module["drop"]()
    gc.collect()
    assert gone() is None


def test_inside_a_run_and_on_another_thread_it_is_refused(context):
    refused = []

    @context.host("Host.inside", signature="() -> Int")
    def inside():
        with pytest.raises(BusyError):
            context.reload_module("Counter", DOUBLE)
        refused.append(True)
        return 1

    context.load(COUNTER)
    context.load("module Run\nfn go() -> Int = Host.inside()\n")
    assert context.function("Run.go")() == 1
    assert refused == [True]

    def elsewhere():
        with pytest.raises(reml_embed.WrongThreadError):
            context.reload_module("Counter", DOUBLE)
        refused.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(refused) == 2


def test_a_dry_run_and_a_missing_version_change_nothing(context):
    add = context.load(COUNTER)["add"]
    context.reload_module("Counter", DOUBLE, dry_run=True)
    assert add(1) == 1
    with pytest.raises(LoadError, match=r"reload\.rollback\.none"):
        context.rollback_module()
    context.reload_module("Counter", DOUBLE, keep=False)
    with pytest.raises(LoadError, match=r"reload\.rollback\.none"):
        context.rollback_module()
    with pytest.raises(LoadError, match=r"reload\.module\.unknown"):
        context.reload_module("Nobody", DOUBLE)
    assert add(1) == 3


def test_records_follow_each_other_under_one_audit_id(context):
    audit_id = "b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30"
    add = context.load(COUNTER)["add"]
    add(1)
    context.drain()
    context.reload_module("Counter", DOUBLE, audit_id=audit_id)
    records = [
        record["envelope"]
        for record in (json.loads(line) if isinstance(line, str) else line for line in context.drain())
    ]
    told = [record for record in records if record["metadata"]["event.kind"].endswith("reload")]
    assert [record["metadata"]["event.kind"] for record in told] == ["parser.reload", "reml.reload", "bridge.reload"]
    assert {record["audit_id"] for record in told} == {audit_id}
    assert told[0]["metadata"]["config.change_set.total"] == 1
    assert told[2]["metadata"]["bridge.reload"] == "applied"


def test_while_calls_go_on_a_thousand_reloads_lose_none_and_give_no_half_new_answer():
    """One thread calls as fast as it can, another one replaces: a live module overlaps versions, so nobody waits for the other's end."""
    source = "module M\nlet a = {n}\nlet b = {n}\nfn pair() -> (Int, Int) = (a, b)\n"
    wrong, calls, done = [], [0], threading.Event()

    with LiveModule(source.replace("{n}", "0"), context_audit=None) as live:

        def work():
            while not done.is_set():
                first, second = live.call("pair")
                calls[0] += 1
                if first != second:
                    wrong.append((first, second))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            for number in range(1, 1001):
                live.reload(source.replace("{n}", str(number)))
        finally:
            done.set()
            thread.join()
        assert live.call("pair") == (1000, 1000)
    assert wrong == []
    assert calls[0] > 0


def test_between_calls_of_one_context_a_thousand_reloads_lose_none_and_do_not_grow_it(context):
    source = "module M\nlet a = {n}\nvar calls = 0\nfn next() -> (Int, Int) {\n  calls := calls + 1\n  (a, calls)\n}\n"
    step = context.load(source.replace("{n}", "0"))["next"]
    sizes = []
    for number in range(1000):
        assert step() == (number, number + 1)
        context.reload_module("M", source.replace("{n}", str(number + 1)))
        context.drain()
        if number in {200, 999}:
            context.collect()
            sizes.append(context.memory().live_bytes)
    assert sizes[1] < sizes[0] * 1.25
