"""Shared cells: CONTRACTS 8. What is said of a cell holds for cells of Python and for those of scripts."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink, Record, missing_keys
from reml_embed.data.collectors import CollectError, collect
from reml_embed.data.ref import (
    CAPABILITY,
    BorrowError,
    EffectfulRef,
    RefHandle,
    hand_over,
    register_ref_capability,
)
from reml_embed.registry.capability import CapabilityRegistry

SOURCE = """
let place: Ref<Int> = Ref.new(1)
let cell: Cell<Int> = Cell.new(1)
fn get() -> Ref<Int> = place
fn get_cell() -> Cell<Int> = cell
fn make(value: Int) -> Ref<Int> = Ref.new(value)
fn number(value: Int) -> Int = value
fn read(place: Ref<Int>) -> Int = place.get()
fn write(place: Ref<Int>, value: Int) -> () = place.set(value)
"""
#: The record of CONTRACTS 8.
SAMPLE = '{"timestamp":"2026-03-02T08:29:00Z","category":"ref","envelope":{"audit_id":"77a0e1e6-5d6a-4b9b-9d06-2f9f4f6c9b04","capability":"core.collections.ref","metadata":{"audit.channel":"runtime","audit.policy.version":"rust.poc.audit.v1","collector.effect.mem":true,"collector.effect.mut":false,"collector.effect.rc":true,"collector.effect.rc_ops":1,"event.kind":"ref.clone","ref.strong_count":2,"schema.version":"3.0.0-alpha"}}}'


class Side:
    """One of the two sides: a first handle of a cell that holds 1, and the records it leaves."""

    def __init__(self, name: str) -> None:
        self.sink = MemorySink()
        self.context = reml.Context(audit=self.sink)
        self.module = self.context.load(SOURCE)
        self.handle: RefHandle[int]
        if name == "python":
            self.handle = RefHandle.try_new(1, audit=AuditContext(self.sink))
        else:
            self.handle = self.module["get_cell" if name == "cell" else "get"]()

    @property
    def records(self) -> list[Record]:
        self.context.drain()
        return [record for record in self.sink.taken if record.category == "ref"]

    @property
    def told(self) -> list[tuple[Any, ...]]:
        """(kind, mem, mut, rc, rc_ops, strong_count) of each record."""
        names = (
            "collector.effect.mem",
            "collector.effect.mut",
            "collector.effect.rc",
            "collector.effect.rc_ops",
            "ref.strong_count",
        )
        return [(record.kind, *(record.metadata[name] for name in names)) for record in self.records]


@pytest.fixture(params=["python", "script", "cell"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    made = Side(request.param)
    yield made
    del made.handle
    made.context.close()


# --- operations and what they record ---------------------------------------------------------------------------------------


def test_operations_record_the_effects_of_the_table(side: Side) -> None:
    place = side.handle
    other = place.clone()
    with place.borrow() as borrowed:
        assert borrowed.value == 1
    with other.borrow_mut() as cell:
        cell.value = 2
    assert (place.strong_count(), place.value) == (2, 2)
    other.drop()
    assert place.into_inner() == 2
    assert side.told == [
        ("ref.new", True, False, False, 0, 1), ("ref.clone", True, False, True, 1, 2), ("ref.borrow", False, False, True, 1, 2),
        ("ref.borrow_mut", False, True, True, 1, 2), ("ref.drop", False, False, True, 1, 1), ("ref.drop", False, False, True, 1, 0),
    ]  # fmt: skip


def test_a_clone_has_every_member_of_the_sample(side: Side) -> None:
    other = side.handle.clone()
    record = next(record for record in side.records if record.kind == "ref.clone")
    sample = Record.parse(SAMPLE)
    assert {key: record.metadata.get(key) for key in sample.metadata if key != "audit.channel"} == {
        key: value for key, value in sample.metadata.items() if key != "audit.channel"
    }
    assert (record.category, record.capability) == (sample.category, sample.capability)
    assert missing_keys(record) == []
    other.drop()


def test_clone_and_drop_both_carry_rc_rc_ops_and_mut(side: Side) -> None:
    side.handle.clone().drop()
    for kind in ("ref.clone", "ref.drop"):
        record = next(record for record in side.records if record.kind == kind)
        assert record.metadata["collector.effect.rc"] is True
        assert record.metadata["collector.effect.rc_ops"] == 1
        assert record.metadata["collector.effect.mut"] is False


def test_a_drop_does_not_increase_the_count_of_operations(side: Side) -> None:
    for _ in range(3):
        side.handle.clone().drop()
    assert [row[4] for row in side.told if row[0] == "ref.drop"] == [1, 2, 3]


def test_a_handle_that_python_lets_go_is_dropped_with_a_record(side: Side) -> None:
    other = side.handle.clone()
    del other
    gc.collect()
    assert side.told[-1] == ("ref.drop", False, False, True, 1, 1)
    assert side.handle.strong_count() == 1


def test_counts_return_to_zero(side: Side) -> None:
    handles = [side.handle.clone() for _ in range(5)]
    assert side.handle.strong_count() == 6
    for handle in handles:
        handle.drop()
    side.handle.drop()
    assert side.told[-1][-1] == 0


def test_a_handle_is_dropped_once_and_is_of_no_use_then(side: Side) -> None:
    other = side.handle.clone()
    other.drop()
    for use in (
        other.drop,
        other.clone,
        other.borrow,
        other.borrow_mut,
        other.strong_count,
        other.get,
        other.into_inner,
        lambda: other.set(3),
    ):
        with pytest.raises(ValueError, match="dropped"):
            use()
    assert side.handle.strong_count() == 1


def test_copying_is_cloning_and_pickling_is_refused(side: Side) -> None:
    other = copy.copy(side.handle)
    assert side.handle.strong_count() == 2
    other.drop()
    with pytest.raises(TypeError):
        pickle.dumps(side.handle)


# --- borrows -----------------------------------------------------------------------------------------------------------------


def test_two_mutable_borrows_conflict(side: Side) -> None:
    other = side.handle.clone()
    first = side.handle.borrow_mut()
    for taken in (
        other.borrow_mut,
        other.try_borrow_mut,
        side.handle.borrow_mut,
        other.borrow,
        other.get,
        lambda: other.set(3),
        other.into_inner,
    ):
        with pytest.raises(BorrowError.BorrowConflict):
            taken()
    first.release()
    other.borrow_mut().release()
    other.drop()


def test_borrow_mut_conflicts_if_borrowed_at_all_and_many_may_read(side: Side) -> None:
    with side.handle.borrow() as one, side.handle.borrow() as two:
        assert one.value == two.value == 1
        with pytest.raises(BorrowError.BorrowConflict, match="reading"):
            side.handle.borrow_mut()
        with pytest.raises(BorrowError.BorrowConflict):
            side.handle.set(5)
        assert side.handle.get() == 1
    side.handle.borrow_mut().release()


def test_a_refused_borrow_leaves_no_record(side: Side) -> None:
    with side.handle.borrow_mut(), pytest.raises(BorrowError.BorrowConflict):
        side.handle.borrow()
    assert [row[0] for row in side.told] == ["ref.new", "ref.borrow_mut"]


def test_a_mutable_borrow_that_ends_by_an_exception_poisons(side: Side) -> None:
    other = side.handle.clone()
    with pytest.raises(ZeroDivisionError), side.handle.borrow_mut() as cell:
        cell.value = 7
        cell.value = 1 // 0
    for use in (other.borrow, other.borrow_mut, other.get, lambda: other.set(1), other.into_inner):
        with pytest.raises(BorrowError.Poisoned):
            use()
    assert other.strong_count() == 2
    other.drop()


def test_a_reading_borrow_that_ends_by_an_exception_does_not_poison(side: Side) -> None:
    with pytest.raises(ZeroDivisionError), side.handle.borrow() as cell:
        _ = cell.value // 0
    assert side.handle.get() == 1


def test_a_borrow_that_is_let_go_is_given_back(side: Side) -> None:
    side.handle.borrow_mut()
    gc.collect()
    side.handle.borrow_mut().release()


def test_a_borrow_is_over_after_its_release(side: Side) -> None:
    cell = side.handle.borrow_mut()
    cell.release()
    cell.release()
    with pytest.raises(ValueError, match="over"):
        _ = cell.value
    with pytest.raises(ValueError, match="over"):
        cell.value = 3
    with pytest.raises(ValueError, match="over"):
        cell.__enter__()


def test_into_inner_needs_count_one(side: Side) -> None:
    other = side.handle.clone()
    with pytest.raises(BorrowError.BorrowConflict, match="2 handles"):
        side.handle.into_inner()
    other.drop()
    assert side.handle.into_inner() == 1


def test_a_borrow_keeps_its_handle(side: Side) -> None:
    cell = side.handle.clone().borrow_mut()
    gc.collect()
    assert side.handle.strong_count() == 2
    cell.release()
    gc.collect()
    assert side.handle.strong_count() == 1


# --- the capability ----------------------------------------------------------------------------------------------------------


def refusing() -> CapabilityRegistry:
    made = CapabilityRegistry(audit=AuditContext(MemorySink()))
    made.disable(CAPABILITY)
    return made


@pytest.mark.parametrize("kind", [RefHandle, EffectfulRef])
def test_a_denied_capability_gives_capability_denied_from_try_new_not_a_panic(kind: type[RefHandle[int]]) -> None:
    sink = MemorySink()
    for registry in (refusing(), CapabilityRegistry(empty=True, audit=AuditContext(MemorySink()))):
        with pytest.raises(BorrowError.CapabilityDenied) as caught:
            kind.try_new(1, registry=registry, audit=AuditContext(sink))
        assert not isinstance(caught.value, RuntimeError)
    assert sink.lines == []


def test_new_wraps_try_new_and_panics_on_failure() -> None:
    assert RefHandle.new(1, audit=AuditContext(MemorySink())).get() == 1
    with pytest.raises(RuntimeError) as caught:
        RefHandle.new(1, registry=refusing())
    assert isinstance(caught.value, reml.RemlError)


def test_try_new_verifies_exactly_stable_with_mem_mut_rc() -> None:
    sink = MemorySink()
    RefHandle.try_new(1, registry=CapabilityRegistry(audit=AuditContext(sink))).drop()
    check = sink.taken[0].metadata
    assert check["capability.id"] == CAPABILITY
    assert check["effect.stage.required"] == "exact:stable"
    assert check["effect.required_effects"] == ["mem", "mut", "rc"]
    assert sink.kinds == ["capability_check", "ref.new", "ref.drop"]


def test_a_cell_of_a_script_asks_the_registry_of_its_context() -> None:
    with reml.Context(registry=refusing(), audit=MemorySink()) as context:
        place = context.load(SOURCE)["get"]()
        assert place.value == 1  # what scripts do themselves is not asked for
        with pytest.raises(BorrowError.CapabilityDenied):
            place.clone()
        assert place.value == 1


def test_register_ref_capability_is_idempotent_and_of_a_runtime_component() -> None:
    registry = CapabilityRegistry(empty=True, audit=AuditContext(MemorySink()))
    register_ref_capability(registry)
    found = registry.describe(CAPABILITY)
    register_ref_capability(registry)
    assert registry.describe(CAPABILITY) == found
    assert (str(found.stage), found.effect_scope, found.provider.kind) == (
        "stable",
        ("mem", "mut", "rc"),
        "runtime_component",
    )
    RefHandle.try_new(1, registry=registry).drop()
    register_ref_capability()
    assert CAPABILITY in CapabilityRegistry.process()


def test_registering_from_many_threads_registers_once() -> None:
    registry = CapabilityRegistry(empty=True, audit=AuditContext(MemorySink()))
    threads = [threading.Thread(target=register_ref_capability, args=(registry,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry) == 1


# --- FFI hand-over -------------------------------------------------------------------------------------------------------------


def test_hand_over_requires_registers_and_verifies_before_there_is_a_cell() -> None:
    sink, calls = MemorySink(), list[int]()
    registry = CapabilityRegistry(empty=True, audit=AuditContext(MemorySink()))
    with reml.Context(audit=sink, registry=registry, grants=[]) as context:
        module = context.load(SOURCE)

        def make(value: int) -> Any:
            calls.append(value)
            assert CAPABILITY in registry
            return module["make"](value)

        with pytest.raises(BorrowError.CapabilityDenied, match="not granted"):
            hand_over(context, make, 5)
        assert (calls, CAPABILITY in registry) == ([], False)
        context.grant(CAPABILITY)
        place = hand_over(context, make, 5)
        assert isinstance(place, reml.ScriptRef)
        with place.borrow_mut() as cell:
            cell.value = 6
        assert module["read"](place) == 6
        registry.disable(CAPABILITY)
        with pytest.raises(BorrowError.CapabilityDenied):
            hand_over(context, make, 7)
        assert calls == [5]
        place.drop()
        context.drain()
    kinds = [kind for kind in sink.kinds if kind and kind.startswith(("ref.", "capability_check"))]
    assert kinds[:3] == ["capability_check", "ref.new", "ref.borrow_mut"]


def test_hand_over_refuses_what_is_no_cell_of_a_script(context: reml.Context) -> None:
    module = context.load(SOURCE)
    with pytest.raises(TypeError, match="Ref or Cell"):
        hand_over(context, module["number"], 5)


# --- both sides see the same cell ------------------------------------------------------------------------------------------------


def test_all_handles_of_a_scripts_cell_are_counted_together(context: reml.Context) -> None:
    module = context.load(SOURCE)
    one, two = module["get"](), module["get"]()
    assert isinstance(one, RefHandle)
    assert one.strong_count() == 1
    assert two.strong_count() == one.strong_count() == 2
    with one.borrow_mut(), pytest.raises(BorrowError.BorrowConflict):
        two.borrow()
    del two
    assert one.strong_count() == 1
    three = one.clone()
    assert three == one
    module["write"](three, 9)
    assert one.get() == 9


def test_a_handle_that_does_not_count_leaves_no_record(context: reml.Context) -> None:
    sink = MemorySink()
    with reml.Context(audit=sink) as other:
        place = other.load(SOURCE)["get"]()
        place.value += 1
        assert place.get() == 2
        del place
        other.drain()
    assert [kind for kind in sink.kinds if kind and kind.startswith("ref.")] == []


def test_handles_of_a_closed_context_end_quietly() -> None:
    errors = MemorySink()
    with reml.Context(audit=errors) as context:
        place = context.load(SOURCE)["get"]()
        other = place.clone()
    del other
    with pytest.raises(reml.RemlError):
        place.clone()
    with pytest.raises(reml.RemlError):
        place.get()
    del place
    gc.collect()


def test_a_handle_let_go_by_another_thread_is_counted_and_recorded_at_the_next_operation() -> None:
    side = Side("script")
    box = [side.handle.clone()]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert side.handle.strong_count() == 1
    assert side.told[-1] == ("ref.drop", False, False, True, 1, 1)
    del side.handle
    side.context.close()


def test_a_borrow_let_go_by_another_thread_is_given_back_at_the_next_operation() -> None:
    side = Side("script")
    box = [side.handle.borrow_mut()]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    with side.handle.borrow_mut() as cell:
        cell.value = 3
    assert side.handle.get() == 3
    del side.handle
    side.context.close()


def test_a_context_with_late_handles_can_be_let_go() -> None:
    side = Side("script")
    box = [side.handle.borrow_mut(), side.handle.clone()]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    gone = weakref.ref(side.context)
    del side, box, thread
    gc.collect()
    assert gone() is None


def test_threads_agree_about_the_count() -> None:
    sink = MemorySink()
    place = RefHandle.try_new(0, audit=AuditContext(sink))

    def work() -> None:
        for _ in range(200):
            other = place.clone()
            while True:
                try:
                    with other.borrow_mut() as cell:
                        cell.value += 1
                    break
                except BorrowError.BorrowConflict:
                    continue
            other.drop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (place.strong_count(), place.value) == (1, 800)
    assert max(record["envelope"]["metadata"]["collector.effect.rc_ops"] for record in sink.records) == 800
    place.drop()
    assert sink.records[-1]["envelope"]["metadata"]["ref.strong_count"] == 0


def test_a_log_that_refuses_lets_nothing_happen() -> None:
    sink = MemorySink()
    place = RefHandle.try_new(1, audit=AuditContext(sink))
    sink.failing = True
    for use in (place.clone, place.borrow, place.borrow_mut):
        with pytest.raises(OSError, match="told to fail"):
            use()
    sink.failing = False
    assert place.strong_count() == 1
    place.borrow_mut().release()
    sink.failing = True
    with pytest.raises(OSError, match="told to fail"):
        place.drop()
    with pytest.raises(ValueError, match="dropped"):
        place.get()


# --- a collector of a cell -------------------------------------------------------------------------------------------------------


def test_a_cell_collector_ends_as_a_cell_that_holds_what_came_last() -> None:
    sink = MemorySink()
    place = collect("cell", [1, 2, 3], audit=AuditContext(sink))
    assert isinstance(place, RefHandle)
    assert place.get() == 3
    metadata = next(record.metadata for record in sink.taken if record.kind == "collector.finish")
    assert metadata["collector.effect.cell"] is True
    assert metadata["collector.effect.cell_mutations"] == 3
    with pytest.raises(CollectError.Custom):
        collect("cell", [], audit=AuditContext(sink))


def test_a_cell_collector_without_the_capability_of_cells_is_denied() -> None:
    sink = MemorySink()
    with pytest.raises(CollectError.CapabilityDenied):
        collect("cell", [1], audit=AuditContext(sink), registry=refusing())
    assert sink.kinds == ["collector.finish"]
