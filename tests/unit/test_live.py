"""Structs, Vec and Table stay in the context; proxies show them live."""
# covers: 7.2, 8.5

import gc
import threading

import pytest

import reml_embed as reml

SOURCE = """\
module Live
struct Account { owner: Str, balance: Int, history: Vec<Int> }
fn open(owner: Str) -> Account = Account { owner = owner, balance = 0, history = Vec.new() }
fn deposit(account: Account, amount: Int) -> () {
  account.balance := account.balance + amount
  account.history.push(amount)
}
fn balance(account: Account) -> Int = account.balance
fn numbers() -> Vec<Int> { let v: Vec<Int> = Vec.new(); v.push(1); v.push(2); v.push(3); v }
fn sum(v: Vec<Int>) -> Int { var total = 0; for x in v { total := total + x }; total }
fn ages() -> Table<Str, Int> { let t: Table<Str, Int> = Table.new(); t.insert("ann", 30); t.insert("bob", 40); t }
fn age(t: Table<Str, Int>, name: Str) -> Option<Int> = t.get(name)
fn options() -> Table<Str, Option<Int>> { let t: Table<Str, Option<Int>> = Table.new(); t.insert("none", None); t.insert("one", Some(1)); t }
fn same(a: Account) -> Account = a
fn walk(t: Table<Str, Int>) -> Int { var n = 0; for (k, x) in t { poke(t); n := n + x }; n }
"""


@pytest.fixture
def live(context):
    context.define("poke", lambda table: table.update(fresh=9), signature="(t: Table<Str, Int>) -> ()")
    return context.load(SOURCE)


def test_a_struct_is_read_and_written_in_place(live):
    account = live["open"]("ann")
    assert isinstance(account, reml.StructProxy)
    live["deposit"](account, 5)
    assert account.balance == 5
    account.balance = 100
    account.owner = "eve"
    assert live["balance"](account) == 100
    assert account.owner == "eve"
    assert list(account.history) == [5]
    account.history = [1, 2]
    assert list(account.history) == [1, 2]
    assert {"owner", "balance", "history"} <= set(dir(account))
    assert 'owner: "eve"' in repr(account)


def test_a_struct_refuses_what_it_has_not(live):
    account = live["open"]("ann")
    with pytest.raises(AttributeError, match="Account has no field `name`"):
        _ = account.name
    with pytest.raises(AttributeError):
        account.name = 1
    with pytest.raises(AttributeError):
        del account.owner
    with pytest.raises(TypeError, match="expected Int, got str at balance"):
        account.balance = "much"


def test_the_same_object_comes_back(live):
    account = live["open"]("ann")
    again = live["same"](account)
    assert again == account
    assert hash(again) == hash(account)
    assert account != live["open"]("ann")
    assert len({account, again}) == 1


def test_a_vec_is_a_mutable_sequence(live):
    vec = live["numbers"]()
    assert list(vec) == [1, 2, 3]
    assert (len(vec), vec[0], vec[-1], vec[1:]) == (3, 1, 3, [2, 3])
    vec.append(4)
    vec[0] = 10
    vec.insert(1, 11)
    vec.extend(x for x in (5, 6))
    assert list(vec) == [10, 11, 2, 3, 4, 5, 6]
    assert vec.pop() == 6
    assert vec.pop(0) == 10
    del vec[0]
    del vec[-2:]
    vec.reverse()
    vec[1:] = [7, 8, 9]
    assert list(vec) == [3, 7, 8, 9]
    assert live["sum"](vec) == 27
    assert 8 in vec
    assert vec.index(8) == 2
    vec += [1]
    vec.remove(7)
    assert list(vec) == [3, 8, 9, 1]
    vec.clear()
    assert list(vec) == []
    for use in (lambda: vec[0], lambda: vec.pop(), lambda: vec.__setitem__(0, 1)):
        with pytest.raises(IndexError):
            use()
    with pytest.raises(TypeError, match="expected Int, got str"):
        vec.append("x")


def test_a_table_is_a_mutable_mapping(live):
    table = live["ages"]()
    assert dict(table) == {"ann": 30, "bob": 40}
    table["cat"] = 5
    table["ann"] = 31
    assert list(table) == ["ann", "bob", "cat"]
    assert live["age"](table, "cat") == 5
    assert "bob" in table
    assert 5 not in table
    assert table.get("dan", 7) == 7
    assert table.pop("bob") == 40
    del table["ann"]
    assert table.items() == [("cat", 5)]
    for use in (lambda: table["ann"], lambda: table.__delitem__("ann")):
        with pytest.raises(KeyError):
            use()
    with pytest.raises(TypeError):
        table[1] = 2
    table.clear()
    assert len(table) == 0


def test_a_table_of_options_tells_none_from_missing(live):
    table = live["options"]()
    assert table["none"] is None
    assert table["one"] == 1
    with pytest.raises(KeyError):
        table["two"]


def test_a_ref_is_one_place_for_both_sides(context):
    module = context.load(
        "let place: Ref<List<Int>> = Ref.new([1])\nfn get() -> Ref<List<Int>> = place\nfn add(x: Int) -> () = place.set(place.get().push(x))\n"
        "fn read(r: Ref<List<Int>>) -> Int = r.get().len()\n"
    )
    handle = module["get"]()
    assert isinstance(handle, reml.RefHandle)
    assert handle.get() == [1]
    module["add"](2)
    assert handle.value == [1, 2]
    handle.value = [7, 8, 9]
    assert module["read"](handle) == 3
    assert handle == module["get"]()
    with pytest.raises(TypeError, match="expected Int, got str"):
        handle.set(["x"])


def test_changing_a_table_while_the_script_walks_it_is_noticed(live):
    with pytest.raises(reml.RunError) as caught:
        live["walk"](live["ages"]())
    assert caught.value.code == "runtime.iterator.invalidated"


def test_proxies_of_another_context_or_a_closed_one_are_refused(live):
    vec = live["numbers"]()
    with reml.Context() as other:
        other_sum = other.load("fn sum(v: Vec<Int>) -> Int = v.len()\n")["sum"]
        with pytest.raises(TypeError):
            other_sum(vec)
    live.context.close()
    for use in (lambda: len(vec), lambda: list(vec), lambda: vec.append(1)):
        with pytest.raises(reml.StaleError):
            use()
    assert "closed" in repr(vec)


def test_handles_are_released_with_their_proxies_on_whatever_thread(live):
    proxies = [live["open"](str(number)) for number in range(50)]
    assert live.context.metrics().live == 50
    del proxies[:25]
    assert live.context.metrics().live == 25
    thread = threading.Thread(target=proxies.clear)
    thread.start()
    thread.join()
    gc.collect()
    live["numbers"]()  # a call takes in what other threads have let go
    assert live.context.metrics().live == 0
    counted = live.context.metrics()
    assert counted.acquired == counted.released + counted.live


def test_functions_are_values(context):
    module = context.load(
        "fn adder(n: Int) -> fn(Int) -> Int = |x| x + n\nfn twice(f: fn(Int) -> Int, x: Int) -> Int = f(f(x))\nfn inc(x: Int) -> Int = x + 1\n"
    )
    add = module["adder"](3)
    assert isinstance(add, reml.Function)
    assert add(4) == 7
    assert module["twice"](add, 1) == 7
    assert module["twice"](module["inc"], 1) == 3
    with pytest.raises(TypeError, match="another signature"):
        module["twice"](module["twice"], 1)
    with pytest.raises(TypeError, match=r"not a function of this context \(Context.callback makes one\)"):
        module["twice"](lambda x: x, 1)


def test_dropped_closures_give_their_handles_back(context):
    module = context.load("fn adder(n: Int) -> fn(Int) -> Int = |x| x + n\n")
    for number in range(200):
        assert module["adder"](number)(1) == number + 1
    assert context.metrics().live == 0
    context.collect()
    assert context.memory().heap_live_objects < 50


def test_opaque_host_objects_are_the_same_python_object(context):
    class Connection:
        pass

    connection = Connection()
    context.load(
        'module Db\nextern "host" {\n  type Conn\n  fn connect() -> Conn;\n  fn name(c: Conn) -> Str;\n}\n',
        ambient=True,
    )
    seen = []
    context.define("connect", lambda: connection)
    context.define("name", lambda given: seen.append(given) or "n")
    module = context.load("module User\nfn main() -> Str = name(connect())\nfn get() -> Conn = connect()\n")
    assert module["main"]() == "n"
    assert seen == [connection]
    assert module["get"]() is connection
