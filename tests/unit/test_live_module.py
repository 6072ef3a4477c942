"""A module that is replaced while a program calls it (guide §2; CONTRACTS 11): `LiveModule`."""

import threading

import pytest

from reml_embed import Limits, LoadError, RemlError, UnknownFunctionError
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.errors import BusyError, DeniedError, StaleError
from reml_embed.live import ApplyFailed, AuditIncomplete, LiveModule, RollbackFailed, ValidationFailed
from reml_embed.live import module as live_module


def pair(number):
    """A version whose two functions must agree."""
    return f"module Pair\nfn left() -> Int = {number}\nfn right() -> Int = {-number}\nfn both() -> (Int, Int) = (left(), right())\n"


COUNTER = """\
module Counter
type State = { seen: [Int] }
let log: Vec<Int> = Vec.new()
fn add(x: Int) -> Int { log.push(x); log.len() }
fn export_state() -> State {
  var all: [Int] = []
  for x in log { all := all ++ [x] }
  { seen = all }
}
fn import_state(s: State) -> () { for x in s.seen { log.push(x) } }
"""
#: The state has another form; what was counted is summed up.
SUMS = """\
module Counter
type Old = { seen: [Int] }
type State = { count: Int, total: Int }
let counts: Vec<Int> = Vec.new()
let sums: Vec<Int> = Vec.new()
fn add(x: Int) -> Int { counts.push(1); sums.push(x); total_of(counts) }
fn total_of(v: Vec<Int>) -> Int { var n = 0; for x in v { n := n + x }; n }
fn total() -> Int = total_of(sums)
fn export_state() -> State = { count = total_of(counts), total = total_of(sums) }
fn import_state(s: State) -> () { counts.push(s.count); sums.push(s.total) }
fn migrate(old: Old) -> State {
  var n = 0
  var sum = 0
  for x in old.seen { n := n + 1; sum := sum + x }
  { count = n, total = sum }
}
"""


def test_a_running_program_takes_a_new_version_of_a_module():
    with LiveModule(pair(1)) as live:
        left = live["left"]
        assert left() == 1
        made = live.reload(pair(2))
        assert (left(), live.call("right")) == (2, -2)
        assert made is live.state
        assert made.value["module"] == "Pair"
        assert made.value["exports"]["left"] == "() -> Int"


def test_a_wrong_source_is_refused_and_the_last_good_version_serves_on():
    told = []
    with LiveModule(pair(1)) as live:
        before = live.state
        with pytest.raises(ValidationFailed, match="type mismatch|expected") as caught:
            live.reload('module Pair\nfn left() -> Int = "one"\n', on_diagnostic=told.append)
        assert isinstance(caught.value.__cause__, LoadError)
        assert told == list(caught.value.diagnostics)
        assert told
        assert (live.call("left"), live.state) == (1, before)


@pytest.mark.parametrize(
    ("source", "code", "allowed"),
    [
        ("module Pair\nfn left() -> Int = 2\nfn both() -> (Int, Int) = (1, 1)", "reload.export.removed", "right"),
        (pair(2).replace("fn left() -> Int = 2", 'fn left() -> Str = "2"').replace("(Int, Int)", "(Str, Int)"), "reload.export.changed", "left both"),
        (pair(2).replace("module Pair", "module Other"), "reload.module.renamed", None),
    ],
)  # fmt: skip
def test_a_removed_or_changed_export_is_refused_unless_allowed(source, code, allowed):
    with LiveModule(pair(1)) as live:
        with pytest.raises(ValidationFailed) as caught:
            live.reload(source)
        assert code in {found.code for found in caught.value.diagnostics}
        assert live.call("both") == (1, -1)
        if allowed:
            live.reload(source, allow=allowed.split())
            assert live.call("left") in {2, "2"}


def test_only_marked_functions_are_exports_where_some_are_marked():
    first = 'module M\n@dsl_export(category = "x")\nfn shown() -> Int = helper()\nfn helper() -> Int = 1\n'
    with LiveModule(first) as live:
        live.reload('module M\n@dsl_export(category = "x")\nfn shown() -> Int = 2\n')
        assert live.call("shown") == 2
        with pytest.raises(UnknownFunctionError):
            live.call("helper")


def test_a_type_of_an_exported_signature_must_stay_as_it_is():
    first = "module M\ntype P = { x: Int }\nfn at(p: P) -> Int = p.x\n"
    with LiveModule(first) as live, pytest.raises(ValidationFailed, match="P.*is now") as caught:
        live.reload("module M\ntype P = { x: Int, y: Int }\nfn at(p: P) -> Int = p.x\n")
    assert caught.value.code == "reload.type.changed"


def test_state_goes_over_by_export_state_and_import_state():
    with LiveModule(COUNTER) as live:
        assert [live.call("add", n) for n in (5, 6)] == [1, 2]
        live.reload(COUNTER + "fn more() -> Int = log.len()\n")
        assert live.call("more") == 2


def test_state_of_another_form_goes_through_migrate():
    with LiveModule(COUNTER) as live:
        for n in (5, 6):
            live.call("add", n)
        live.reload(SUMS)
        assert (live.call("total"), live.call("add", 1)) == (11, 3)
        live.reload(SUMS)  # the state has the new form now
        assert live.call("total") == 12


def test_constructors_of_sum_types_become_those_of_the_new_version():
    source = """\
module M
type Mode = | Off | On(Int)
let modes: Vec<Mode> = Vec.new()
fn set(n: Int) -> () { modes.push(if n == 0 { Off } else { On(n) }) }
fn level() -> Int { var n = 0; for m in modes { n := match m with | Off -> 0 | On(x) -> x }; n }
fn export_state() -> [Mode] { var all: [Mode] = []; for m in modes { all := all ++ [m] }; all }
fn import_state(all: [Mode]) -> () { for m in all { modes.push(m) } }
"""
    with LiveModule(source) as live:
        live.call("set", 0)
        live.call("set", 7)
        live.reload(source)
        assert live.call("level") == 7


@pytest.mark.parametrize(
    ("source", "code", "error"),
    [
        (SUMS.replace("migrate", "other"), "reload.state.mismatch", ApplyFailed),
        (SUMS.replace("import_state", "take").replace("migrate", "other"), "reload.state.lost", ValidationFailed),
        (SUMS.replace("counts.push(s.count)", "counts.push(1 / (s.count - s.count))"), "reload.state.mismatch", ApplyFailed),
    ],
)  # fmt: skip
def test_state_that_the_new_version_does_not_take_is_refused_and_nothing_is_lost(source, code, error):
    with LiveModule(COUNTER) as live:
        live.call("add", 5)
        with pytest.raises(error) as caught:
            live.reload(source)
        assert caught.value.code == code
        assert live.call("add", 6) == 2


def test_state_may_get_lost_where_that_is_allowed():
    with LiveModule(COUNTER) as live:
        live.call("add", 5)
        live.reload("module Counter\nfn add(x: Int) -> Int = x\n", allow={"export_state"})
        assert live.call("add", 9) == 9


def test_rollback_serves_the_version_before_with_the_state_that_it_had():
    with LiveModule(COUNTER) as live:
        live.call("add", 5)
        first = live.state
        live.reload(SUMS)
        live.call("add", 100)
        assert live.rollback() == first
        assert live.call("add", 6) == 2
        with pytest.raises(RollbackFailed, match="no earlier version"):
            live.rollback()


def test_host_functions_grants_limits_and_log_are_those_of_the_version_before():
    sink, asked = MemorySink(), []

    def setup(context):
        context.bind("tick", lambda n: asked.append(n) or n + 1, capability="io.fs.read")

    source = 'module M\nextern "host" { fn tick(n: Int) -> Int }\nfn go(n: Int) -> Int = tick(n)\nfn spin() -> Int { var n = 0; while true { n := n + 1 }; n }\n'
    with LiveModule(
        source, setup=setup, context_audit=sink, limits=Limits(fuel=100_000), grants=["io.fs.read"]
    ) as live:
        for n in (1, 2):
            assert live.call("go", n) == n + 1
            with pytest.raises(RemlError, match="fuel|limit"):
                live.call("spin")
            live.reload(source)
        live.revoke("io.fs.read")
        with pytest.raises((DeniedError, ValidationFailed)):
            live.call("go", 3)
        with pytest.raises(ValidationFailed):
            live.reload(source)  # what is not granted does not load
        live.grant("io.fs.read")
        live.reload(source)
        assert live.call("go", 3) == 4
    assert asked == [1, 2, 3]
    kinds = sink.kinds
    assert kinds.count("bridge.reload") == 4
    assert kinds.count("parser.reload") == 3


def test_a_log_file_is_continued_by_the_next_version(tmp_path):
    from reml_embed.audit.records import read

    path = tmp_path / "audit.ndjson"
    with LiveModule(pair(1), context_audit=path) as live:
        live.call("left")
        live.reload(pair(2))
        live.call("left")
    found = [line.record for line in read(path)]
    assert [record.sequence for record in found] == list(range(1, len(found) + 1))
    assert {"parser.reload", "bridge.reload"} <= {record.kind for record in found}


def test_records_name_what_changed_under_one_audit_id():
    sink = MemorySink()
    with LiveModule(pair(1), audit=AuditContext(sink, channel="bridge")) as live:
        made = live.reload(pair(2))
        with pytest.raises(ValidationFailed):
            live.reload("module Pair\n")
        live.rollback()
    rows = [(record.kind, record.metadata.get("bridge.reload")) for record in sink.taken]
    assert rows == [
        ("parser.reload", None),
        ("bridge.reload", "applied"),
        ("bridge.reload", "rejected"),
        ("bridge.rollback", "rolled_back"),
    ]
    assert {record.audit_id for record in sink.taken[:2]} == {made.audit_id}
    assert [item["key"] for item in sink.taken[0].change_set["items"]] == ["sha256"]


def test_a_log_that_refuses_keeps_the_old_version():
    sink = MemorySink()
    with LiveModule(pair(1), audit=AuditContext(sink)) as live:
        sink.failing = True
        with pytest.raises(AuditIncomplete):
            live.reload(pair(2))
        assert live.call("left") == 1


def test_a_call_in_flight_ends_in_the_version_where_it_began_which_closes_when_idle():
    inside, go_on = threading.Event(), threading.Event()
    contexts = []

    def setup(context):
        contexts.append(context)

        def wait():
            inside.set()
            assert go_on.wait(20)
            return 0

        context.bind("wait", wait)

    def source(n):
        return f'module M\nextern "host" {{ fn wait() -> Int }}\nfn slow() -> Int = {n} + wait()\nfn quick() -> Int = {n}\n'

    found = []
    with LiveModule(source(1), setup=setup, audit=AuditContext(MemorySink())) as live:
        caller = threading.Thread(target=lambda: found.append(live.call("slow")))
        caller.start()
        assert inside.wait(20)
        live.reload(source(2))
        assert live.call("quick") == 2
        assert not contexts[0].closed
        go_on.set()
        caller.join(20)
        assert found == [1]
        assert contexts[0].closed
        assert not contexts[1].closed
    assert contexts[1].closed


def test_a_reload_from_inside_a_call_is_refused():
    held = []

    def setup(context):
        context.bind("again", lambda: held[0].reload(pair(3)))

    source = 'module M\nextern "host" { fn again() -> Int }\nfn go() -> Int = again()\n'
    with LiveModule(source, setup=setup) as live:
        held.append(live)
        with pytest.raises(BusyError, match="inside a call"):
            live.call("go")


def test_nothing_is_called_after_close():
    live = LiveModule(pair(1))
    live.close()
    live.close()
    with pytest.raises(StaleError):
        live.call("left")
    with pytest.raises(StaleError):
        live.reload(pair(2))


def test_serving_keeps_one_version_for_several_calls():
    with LiveModule(pair(1)) as live:
        done = threading.Event()

        def replace():
            live.reload(pair(2))
            done.set()

        with live.serving() as module:
            other = threading.Thread(target=replace)
            other.start()
            assert (module["left"](), module["right"]()) == (1, -1)
        other.join(20)
        assert done.is_set()
        assert live.call("left") == 2


def test_while_threads_call_at_full_speed_1000_reloads_lose_no_call_and_return_no_half_new_answer():
    stop, wrong, calls = threading.Event(), [], [0, 0]
    sources = [pair(1), pair(2)]

    def work(number):
        while not stop.is_set():
            try:
                with live.serving() as module:
                    left, right = module["left"](), module["right"]()
                one, other = live.call("both")
                if left != -right or one != -other or left not in {1, 2}:
                    wrong.append((left, right, one, other))
            except Exception as error:  # noqa: BLE001
                wrong.append(error)
                return
            calls[number] += 2

    with LiveModule(sources[0], audit=AuditContext(MemorySink())) as live:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        last = live.state
        for count in range(1000):
            last = live.reload(sources[(count + 1) % 2])
        stop.set()
        for thread in threads:
            thread.join(30)
        assert live.state is last
        assert live.call("left") == 1
    assert wrong == []
    assert min(calls) > 100


def test_while_a_thread_counts_200_reloads_lose_no_count():
    stop = threading.Event()
    source = """\
module N
let box: Vec<Int> = Vec.new()
fn next() -> Int { if box.len() == 0 { box.push(0) }; box.push(last(box) + 1); last(box) }
fn last(v: Vec<Int>) -> Int { var n = 0; for x in v { n := x }; n }
fn export_state() -> Int = last(box)
fn import_state(n: Int) -> () { box.push(n) }
"""  # fmt: skip
    seen = []

    def work():
        while not stop.is_set():
            seen.append(live.call("next"))

    with LiveModule(source, audit=AuditContext(MemorySink())) as live:
        thread = threading.Thread(target=work)
        thread.start()
        for _ in range(200):
            live.reload(source)
        stop.set()
        thread.join(30)
    assert seen == list(range(1, len(seen) + 1))


def test_contexts_of_old_versions_do_not_pile_up():
    made = []
    with LiveModule(pair(1), setup=made.append, audit=AuditContext(MemorySink())) as live:
        for _ in range(30):
            live.reload(pair(2))
        assert [context.closed for context in made] == [True] * 30 + [False]
        assert len(live._history) == live_module.HISTORY_MOST
