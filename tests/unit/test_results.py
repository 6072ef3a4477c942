"""Results know whether they are borrowed or transferred, and refuse to be used afterwards."""
# covers: 8.11

import gc

import pytest

import reml_embed as reml

SOURCE = 'module R\nfn text() -> Str = "hello"\nfn list() -> List<Int> = [1, 2]\nfn number() -> Int = 5\nfn unit() {}\nfn bad() -> Result<Int, Str> = Err("no")\n'


@pytest.fixture
def ran(context):
    context.load(SOURCE)
    context.execute("text")
    return context


def codes(context):
    return [record["envelope"]["metadata"].get("error.code") for record in context.drain()]


def test_a_borrowed_result_is_valid_until_the_next_run_load_or_close(ran):
    result = ran.result_borrow()
    assert result.valid
    assert (result.value, result.text, result.type, result.kind, result.ownership) == (
        "hello",
        "hello",
        "Str",
        "STRING",
        "borrowed",
    )
    for invalidate in (lambda: ran.execute("list"), lambda: ran.load("module Other\nfn f() -> Int = 1\n"), ran.close):
        result = ran.result_borrow()
        invalidate()
        assert not result.valid
        for use in (
            lambda: result.value,
            lambda: result.text,
            lambda: result.type,
            lambda: result.variant,
            result.retain,
        ):
            with pytest.raises(reml.StaleError):
                use()


def test_releasing_a_borrowed_result_is_an_ownership_violation(ran):
    result = ran.result_borrow()
    with pytest.raises(reml.OwnershipError):
        result.release()
    assert "ffi.wrap.ownership_violation" in codes(ran)
    assert result.value == "hello"


def test_a_borrowed_result_can_be_retained(ran):
    kept = ran.result_borrow().retain()
    ran.execute("list")
    assert kept.value == "hello"
    kept.release()
    assert ran.metrics().live == 0


def test_a_transferred_result_outlives_the_run_and_is_released_once(ran):
    result = ran.result_take()
    ran.execute("list")
    assert result.value == "hello"
    assert ran.metrics().live == 1
    result.release()
    assert not result.valid
    with pytest.raises(reml.StaleError):
        _ = result.value
    with pytest.raises(reml.OwnershipError):
        result.release()
    assert "ffi.wrap.ownership_violation" in codes(ran)
    counters = ran.metrics()
    assert (counters.acquired, counters.released, counters.live) == (1, 1, 0)


def test_a_transferred_result_is_released_by_its_block_or_when_it_is_collected(ran):
    with ran.result_take() as result:
        assert result.value == "hello"
    assert not result.valid
    ran.execute("list")
    kept = ran.result_take()
    assert ran.metrics().live == 1
    del kept
    gc.collect()
    assert ran.metrics().live == 0


def test_a_result_can_be_taken_once(ran):
    ran.result_take()
    assert ran.result_borrow().kind == "NONE"
    with pytest.raises(reml.RemlError, match="no result"):
        ran.result_take()


def test_scalars_and_unit_need_no_release(ran):
    ran.execute("number")
    with ran.result_take() as result:
        assert (result.kind, result.value, result.type) == ("INT", 5, "Int")
    ran.execute("unit")
    assert ran.result_borrow().kind == "UNIT"
    assert ran.result_borrow().value is None


def test_before_anything_has_run_there_is_no_result(context):
    context.load(SOURCE)
    result = context.result_borrow()
    assert (result.kind, result.value, result.text) == ("NONE", None, "")


def test_variants_are_named(ran):
    ran.execute("bad")
    assert ran.result_borrow().variant == "Err"
    assert ran.result_borrow().type == "Result<Int, Str>"
    ran.execute("list")
    assert ran.result_borrow().variant is None


def test_results_of_a_closed_context_are_gone():
    with reml.Context() as context:
        module = context.load(SOURCE)
        context.execute("text")
        taken = context.result_take()
        called = context.call(module["list"])
        assert called.value == [1, 2]
    for result in (taken, called):
        assert not result.valid
        with pytest.raises(reml.StaleError):
            _ = result.value
    del taken, called
    gc.collect()


def test_each_reading_is_counted_once(ran):
    before = ran.metrics()
    ran.result_borrow()
    ran.result_take()
    after = ran.metrics()
    assert after.total_calls - before.total_calls == 2
    assert after.borrowed_results - before.borrowed_results == 1
    assert after.transferred_results - before.transferred_results == 1
    ran.run("list")
    assert ran.metrics().borrowed_results == after.borrowed_results + 1


def test_process_counters_are_the_sum_of_the_contexts(context):
    reml.reset_metrics()
    module = context.load(SOURCE)
    module["number"]()
    with reml.Context() as other:
        other.load(SOURCE)["number"]()
    total = reml.process_metrics()
    assert total.total_calls == total.success_calls == 2
    assert total.pass_rate == 1.0
    assert reml.FfiMetrics(0, 0, 0, 0, 0, 0, 0, 0).pass_rate == 1.0
