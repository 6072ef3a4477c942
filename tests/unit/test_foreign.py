"""Host pointers that scripts use: borrowed and transferred, from Python (CONTRACTS 2; RELIABILITY T19–T21)."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading

import numpy
import pytest

import reml_embed as reml
from reml_embed import Context, ForeignBuffer, ForeignPtr

SOURCE = """
fn total(b: ForeignBuffer) -> Int {
  var n = 0
  for i in 0..b.len() { n += b.get(i).unwrap_or(0) }
  n
}
fn sum(b: ForeignBuffer) -> Float {
  var s = 0.0
  for i in 0..b.len() / 8 { s += b.f64_at(i).unwrap_or(0.0) }
  s
}
fn same(b: ForeignBuffer) -> ForeignBuffer = b
fn part(b: ForeignBuffer, from: Int, to: Int) -> Bytes = b.slice(from, to)
fn same_pointer(p: Ptr<u8>) -> Ptr<u8> = p
fn is_null(p: Ptr<u8>) -> Bool = p.is_null()
struct Keep { held: Option<ForeignBuffer> }
let keep = Keep { held = None }
fn hold(b: ForeignBuffer) { keep.held := Some(b) }
fn drop_it() { keep.held := None }
fn held() -> Int = match keep.held { | Some(b) -> b.len() | None -> 0 - 1 }
"""


@pytest.fixture
def context():
    with Context() as made:
        made.load(SOURCE)
        yield made


def violations(records: list[dict]) -> list[dict]:
    return [
        record["envelope"]["metadata"]["bridge"]
        for record in records
        if record["envelope"]["metadata"].get("error.code") == "ffi.wrap.ownership_violation"
    ]


def balanced(context: Context) -> reml.FfiMetrics:
    metrics = context.metrics()
    assert metrics.acquired == metrics.released + metrics.live
    return metrics


@pytest.mark.parametrize(
    "data", [b"\1\2\3", bytearray(b"\1\2\3"), memoryview(b"\1\2\3"), numpy.array([1, 2, 3], dtype="uint8")]
)
def test_any_python_buffer_is_a_foreign_buffer(context, data):
    assert context.function("total")(data) == 6


def test_a_numpy_array_is_read_without_a_copy(context):
    data = numpy.arange(4.0)
    with context.foreign_buffer(data) as buffer:
        assert context.function("sum")(buffer) == 6.0
        data[0] = 100.0
        assert context.function("sum")(buffer) == 106.0


def test_reading_stays_within_the_bounds(context):
    with context.foreign_buffer(b"abc") as buffer:
        part = context.function("part")
        assert part(buffer, 1, 2) == b"b"
        assert part(buffer, -(2**63), 2**63 - 1) == b"abc"
        assert part(buffer, 3, 1) == b""
    assert context.function("total")(b"") == 0


@pytest.mark.parametrize("data", [5, "text", [1], None, numpy.arange(10.0)[::2]])
def test_what_has_no_contiguous_buffer_is_a_type_error_that_names_the_place(context, data):
    with pytest.raises(TypeError, match=r"expected ForeignBuffer, got \w+.*at args\[0\]"):
        context.function("total")(data)
    balanced(context)


def test_a_loan_is_refused_after_its_owner_has_ended_it(context):
    data = bytearray(b"\5\6")
    with context.foreign_buffer(data) as buffer:
        context.function("hold")(buffer)
        with pytest.raises(BufferError):
            data.append(1)
    data.append(1)  # only Python's again
    context.drain()
    with pytest.raises(reml.RunError) as caught:
        context.function("held")()
    assert caught.value.code == "ffi.wrap.ownership_violation"
    for use in (lambda: buffer.address, buffer.tobytes, lambda: len(buffer), buffer.end):
        with pytest.raises(reml.StaleError, match="its owner has ended the loan"):
            use()
    found = violations(context.drain())
    assert len(found) == 6  # the reading, the call that failed for it, and the four uses
    assert {bridge["status"] for bridge in found} == {"error"}
    assert not buffer.alive


def test_a_loan_ends_at_the_latest_when_python_lets_it_go(context):
    buffer = context.foreign_buffer(bytearray(3))
    context.function("hold")(buffer)
    del buffer
    gc.collect()
    with pytest.raises(reml.RunError, match="its owner has ended the loan"):
        context.function("held")()


def test_a_loan_let_go_in_another_thread_keeps_its_memory(context):
    boxed = [context.foreign_buffer(bytearray(b"\7" * 3))]
    context.function("hold")(boxed[0])
    thread = threading.Thread(target=boxed.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert context.function("held")() == 3


def test_a_loan_for_one_run_is_over_with_it(context):
    buffer = context.foreign_buffer(b"abc", one_run=True)
    context.function("hold")(buffer)
    with pytest.raises(reml.RunError, match="the run that it was lent for is over"):
        context.function("held")()


def test_the_release_handler_runs_once_when_the_script_drops_it(context):
    released = []
    buffer = context.foreign_buffer(b"abcd", ownership="transferred", release=released.append)
    address = buffer.address
    context.function("hold")(buffer)
    del buffer
    gc.collect()
    context.collect()
    assert released == []
    assert context.function("held")() == 4
    context.function("drop_it")()
    context.collect()
    assert released == [address]
    context.close()
    assert released == [address]


def test_closing_releases_what_the_script_still_has(context):
    released = []
    for _ in range(3):
        context.function("hold")(
            context.foreign_ptr(64, "ForeignBuffer", ownership="transferred", release=released.append)
        )
    thread = threading.get_ident()
    seen = []
    context.foreign_ptr(1, ownership="transferred", release=lambda _: seen.append(threading.get_ident()))
    context.close()
    assert released == [64, 64, 64]
    assert seen == [thread]


def test_the_script_keeps_a_passed_object_alive(context):
    class Data(bytearray):
        pass

    import weakref

    data = Data(b"\1\2")
    seen = weakref.ref(data)
    context.function("hold")(data)
    del data
    gc.collect()
    assert seen() is not None
    context.function("drop_it")()
    context.collect()
    gc.collect()
    assert seen() is None


def test_a_pointer_taken_back_is_pythons_again(context):
    released = []
    pointer = context.foreign_ptr(4096, ownership="transferred", release=released.append)
    with pytest.raises(reml.InvalidArgumentError, match="transferred, not lent"):
        pointer.end()
    assert pointer.take() == 4096
    for again in (pointer.take, pointer.release, lambda: pointer.address):
        with pytest.raises(reml.StaleError, match="released or taken back"):
            again()
    with pytest.raises(reml.StaleError, match="released or taken back"):
        context.function("same_pointer")(pointer).address  # noqa: B018
    context.close()
    assert released == []


def test_release_now_and_not_again(context):
    released = []
    pointer = context.foreign_ptr(8, ownership="transferred", release=released.append)
    pointer.release()
    assert released == [8]
    with pytest.raises(reml.StaleError):
        pointer.release()
    assert len(violations(context.drain())) == 1


def test_a_borrowed_pointer_cannot_be_released_or_taken(context):
    pointer = context.foreign_ptr(8)
    for use in (pointer.release, pointer.take):
        with pytest.raises(reml.InvalidArgumentError, match="only borrowed"):
            use()
    assert len(violations(context.drain())) == 2
    assert pointer.alive


def test_a_use_after_the_context_is_gone_is_refused_and_recorded(context):
    pointer = context.foreign_ptr(8)
    context.function("hold")(b"abc")
    result = context.call(context.function("held"))
    taken = context.call(context.function("same"), b"abc")
    context.close()
    reml.audit.drain()
    for use in (lambda: pointer.address, pointer.end, lambda: taken.value, taken.release):
        with pytest.raises(reml.StaleError, match="closed"):
            use()
    assert len(violations(reml.audit.drain())) == 4
    assert not pointer.alive
    del result


def test_a_pointer_of_another_context_is_refused_and_recorded(context):
    with Context() as other:
        other.load(SOURCE)
        pointer = context.foreign_ptr(8)
        with pytest.raises(reml.WrongContextError):
            other.function("same_pointer")(pointer)
        assert len(violations(other.drain())) == 1


def test_a_pointer_comes_back_as_the_same_one(context):
    pointer = context.foreign_ptr(4096)
    back = context.function("same_pointer")(pointer)
    assert isinstance(back, ForeignPtr)
    assert back == pointer
    assert back.address == 4096
    assert back.type == "Ptr<u8>"
    assert isinstance(context.function("same")(b"x"), ForeignBuffer)


def test_a_pointer_of_another_type_is_refused(context):
    with pytest.raises(TypeError, match="of another type"):
        context.function("same_pointer")(context.foreign_ptr(8, "Ptr<Int>"))
    with pytest.raises(reml.InvalidArgumentError, match="not an opaque host type"):
        context.foreign_ptr(8, "Int")


@pytest.mark.parametrize("pointer", [0, None, ctypes.c_void_p(0)])
def test_a_null_pointer_owns_nothing(context, pointer):
    released = []
    assert context.function("is_null")(context.foreign_ptr(pointer, ownership="transferred", release=released.append))
    context.close()
    assert released == []


def test_wrong_words_are_refused_before_anything_is_done(context):
    for arguments in (
        {"ownership": "owned"},
        {"release": print},
        {"ownership": "transferred"},
        {"ownership": "transferred", "release": print, "one_run": True},
    ):
        with pytest.raises(ValueError, match="pointer|ownership|loan"):
            context.foreign_ptr(8, **arguments)
    for pointer in (-1, 1 << 70):
        with pytest.raises(OverflowError):
            context.foreign_ptr(pointer)
    for pointer in ("8", 8.0, True):
        with pytest.raises(TypeError):
            context.foreign_ptr(pointer)
    assert balanced(context).live == 0


def test_what_a_release_handler_raises_goes_to_the_unraisable_hook(context, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    pointer = context.foreign_ptr(8, ownership="transferred", release=lambda _: 1 / 0)
    pointer.release()
    assert [type(hook.exc_value) for hook in seen] == [ZeroDivisionError]
    assert balanced(context).live == 1  # the handle


def test_a_release_handler_may_not_run_the_context(context):
    seen = []

    def handler(_: int) -> None:
        with pytest.raises(reml.BusyError):
            context.function("held")()
        seen.append(context.metrics().live)

    context.foreign_ptr(8, ownership="transferred", release=handler).release()
    assert seen == [1]


def test_host_functions_answer_pointers_borrowed_and_transferred():
    """Table 2.6: the record of the call has the row of what was answered."""
    released = []
    with Context() as context:
        context.bind("lent", lambda: context.foreign_ptr(8))
        context.bind("given", lambda: context.foreign_ptr(8, ownership="transferred", release=released.append))
        context.bind("null", lambda: context.foreign_ptr(None))
        context.load("""
            extern "C" {
              @ownership("borrowed") fn lent() -> Ptr<u8>
              @ownership("transferred") fn given() -> Ptr<u8>
              @ownership("borrowed") fn null() -> Ptr<u8>
            }
            fn main() { unsafe { defer (); let _ = lent(); let _ = given(); let _ = null() } }
        """)
        context.set_audit_policy(every=True)
        context.run()
        context.collect()
        rows = {
            bridge["extern_symbol"]: (
                bridge["ownership"],
                *(bridge["return"][key] for key in ("status", "wrap", "release_handler", "rc_adjustment")),
            )
            for bridge in (record["envelope"]["metadata"].get("bridge") for record in context.drain())
            if bridge
        }
        assert rows["lent"] == ("borrowed", "wrap", "wrap_foreign_ptr", "none", "none")
        assert rows["given"] == ("transferred", "pending", "wrap_foreign_ptr", "dec_ref", "none")
        assert rows["null"] == ("borrowed", "null", "none", "none", "none")
        assert rows["reml_ffi_release_foreign"] == (
            "transferred",
            "wrap_and_release",
            "wrap_foreign_ptr",
            "dec_ref",
            "dec_ref",
        )
    assert released == [8]


def test_an_answer_of_another_ownership_than_declared_is_a_contract_violation():
    with Context() as context:
        context.bind("given", lambda: context.foreign_ptr(8, ownership="transferred", release=lambda _: None))
        context.load(
            '@ownership("borrowed") extern "C" fn given() -> Ptr<u8>\nfn main() { unsafe { let _ = given() } }'
        )
        with pytest.raises(reml.RunError) as caught:
            context.run()
        assert caught.value.code == "ffi.contract.ownership_mismatch"


def test_records_of_calls_say_whether_a_release_is_pending():
    with Context() as context:
        context.load('fn text() -> Str = "x"\nfn number() -> Int = 1')
        context.set_audit_policy(every=True)
        assert context.function("text")() == "x"
        with context.call(context.function("text")):
            pass
        context.function("number")()
        statuses = [
            (bridge["extern_symbol"], bridge["return"]["status"])
            for bridge in (record["envelope"]["metadata"].get("bridge") for record in context.drain())
            if bridge
        ]
        assert statuses == [("text", "wrap_and_release"), ("text", "pending"), ("number", "none")]


def test_a_host_function_with_annotations_takes_and_answers_buffers():
    with Context() as context:

        @context.host("Host.make")
        def make(size: int) -> memoryview:
            return memoryview(bytes(range(size)))

        @context.host("Host.size")
        def size(data: ForeignBuffer) -> int:
            return len(data)

        context.load("fn main() -> (Int, Bytes) { let b = Host.make(5); (Host.size(b), b.slice(1, 3)) }")
        assert context.run() == (5, b"\1\2")
        context.collect()
        balanced(context)


def test_a_leaked_result_is_reported_at_the_end():
    reml.audit.drain()
    context = Context()
    context.load("fn main() -> List<Int> = [1]")
    context.execute()
    taken = context.result_take()
    context.close()
    leaks = [
        record["envelope"]["metadata"]
        for record in reml.audit.drain()
        if record["envelope"]["metadata"].get("bridge", {}).get("status") == "leak"
    ]
    assert [leak["bridge"]["extern_symbol"] for leak in leaks] == ["reml_embed_result_take"]
    assert leaks[0]["ffi"]["status"] == "leak"
    assert taken.valid is False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_runs_no_release_handler(context):
    """What a child inherited is its parent's (T30)."""
    released = []
    context.function("hold")(context.foreign_ptr(8, "ForeignBuffer", ownership="transferred", release=released.append))
    child = os.fork()
    if child == 0:
        try:
            context.close()
        finally:
            os._exit(len(released))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert released == []
    context.close()
    assert released == [8]
