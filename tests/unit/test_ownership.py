"""
Ownership at the border against a model of it (RELIABILITY T19–T21, CONTRACTS 2.9).

`Model` is what the header says, in Python: who owns each value and pointer. Each step does one thing to the library, mostly something wrong, and
to the model, and compares: the status, the counters, the release handlers that have run, and the log, whose records must add up to the counters.
``REML_OWNERSHIP_STEPS=100000`` (`make soak`) makes a long walk of it.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

import reml_embed as reml
from reml_embed._ffi import NULL, ffi, lib

SOURCE = b"""
struct Keep { held: Option<ForeignBuffer> }
let keep = Keep { held = None }
fn main() -> List<Int> = [1, 2, 3]
fn fails() -> Int = panic("on purpose")
fn hold(b: ForeignBuffer) { keep.held := Some(b) }
fn drop_it() { keep.held := None }
fn held() -> Int = match keep.held { | Some(b) -> b.len() | None -> 0 - 1 }
fn same(b: ForeignBuffer) -> ForeignBuffer = b
"""
OK, ERROR, INVALID, WRONG, STALE = 0, 1, 4, 7, 8
VIOLATION = "ffi.wrap.ownership_violation"
MEMORY = ffi.new("char[64]")


class Releases:
    """The release handlers that have run, by pointer."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def __call__(self, number: int) -> None:
        self.counts[number] = self.counts.get(number, 0) + 1


@dataclass(eq=False)
class Pointer:
    """A host pointer that entered a context."""

    number: int
    transferred: bool
    one_run: bool = False
    epoch: int = 0
    over: bool = False
    null: bool = False


@dataclass(eq=False)
class Value:
    """A handle that a host once got."""

    home: Home
    raw: object
    owners: int
    lent: bool = False
    origin: str = ""
    pointer: Pointer | None = None

    @property
    def alive(self) -> bool:
        return self.owners > 0 or self.lent


@dataclass(eq=False)
class Home:
    """A context and what the model knows of it."""

    context: object
    functions: dict[str, object] = field(default_factory=dict)
    dead: bool = False
    values: list[Value] = field(default_factory=list)
    pointers: list[Pointer] = field(default_factory=list)
    result: bool = False
    result_loan: Value | None = None
    kept: Pointer | None = None
    epoch: int = 0
    total: int = 0
    failed: int = 0
    violations: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("acquired", "released", "borrowed", "transferred", "null"), 0)
    )


class Model:
    """Two contexts, and the values and pointers of all that ever were."""

    def __init__(self) -> None:
        reml.audit.drain()
        self.releases = Releases()
        self.expected: dict[int, int] = {}
        self.numbers = 0
        self.process_violations = 0
        self.values: list[Value] = []
        self.homes = [self.make(), self.make()]
        self.gone: list[Home] = []

    def make(self) -> Home:
        out = ffi.new("reml_embed_context_t**")
        assert lib.reml_create_context(b"0.1.0", out) == OK
        home = Home(out[0])
        assert (
            lib.reml_embed_audit_policy(
                home.context, lib.REML_AUDIT_POLICY_EVERY, lib.REML_AUDIT_ON_FAILURE_REFUSE, 1000
            )
            == OK
        )
        assert lib.reml_load_module(home.context, SOURCE, len(SOURCE)) == OK
        for name in ("hold", "drop_it", "held", "same"):
            found = ffi.new("reml_function_t*")
            assert lib.reml_function_find(home.context, name.encode(), len(name), NULL, 0, found) == OK
            home.functions[name] = found[0]
        text = ffi.new("reml_type_t*")
        assert lib.reml_type_find(home.context, b"ForeignBuffer", 13, text) == OK
        home.functions["type"] = text[0]
        return home

    # --- choosing -------------------------------------------------------------------------------------------------------

    def home(self, a: int) -> Home:
        """Mostly a living one."""
        if a % 16 == 15 and self.gone:
            return self.gone[a % len(self.gone)]
        return self.homes[a % 2]

    def value(self, b: int) -> Value | None:
        """Mostly a young one; any that ever was."""
        if not self.values:
            return None
        return self.values[-1 - b % len(self.values)]

    # --- what the header says -------------------------------------------------------------------------------------------

    def violation(self, home: Home, times: int = 1) -> None:
        if home.dead:
            self.process_violations += times
        else:
            home.violations += times
            home.total += times
            home.failed += times

    def use(self, home: Home, value: Value) -> int:
        """A use of a value in a context: its status; a refusal is a violation."""
        if home.dead:
            status = STALE
        elif value.home is not home:
            status = WRONG
        elif not value.alive:
            status = STALE
        else:
            return OK
        self.violation(home)
        return status

    def over(self, home: Home, pointer: Pointer) -> bool:
        return pointer.over or (pointer.one_run and pointer.epoch < home.epoch)

    def add(
        self,
        home: Home,
        raw: object,
        *,
        owners: int = 1,
        lent: bool = False,
        origin: str = "",
        pointer: Pointer | None = None,
    ) -> Value:
        value = Value(home, raw, owners, lent, origin, pointer)
        home.counts["acquired"] += owners
        home.values.append(value)
        self.values.append(value)
        return value

    def release_owner(self, value: Value) -> None:
        value.owners -= 1
        value.home.counts["released"] += 1

    def end_loan(self, home: Home) -> None:
        if home.result_loan is not None:
            home.result_loan.lent = False
            home.result_loan = None
        home.result = False

    def success(self, home: Home) -> None:
        home.total += 1

    def give_up(self, home: Home, pointer: Pointer, *, handler: bool) -> None:
        pointer.over = True
        home.counts["released"] += 1
        self.success(home)
        if handler:
            self.expected[pointer.number] = self.expected.get(pointer.number, 0) + 1

    # --- steps ------------------------------------------------------------------------------------------------------------

    def run(self, a: int, _: int) -> None:
        home = self.home(a)
        status = lib.reml_run(home.context, b"main")
        assert status == (STALE if home.dead else OK)
        if not home.dead:
            home.epoch += 1
            self.end_loan(home)
            home.result = True

    def run_failing(self, a: int, _: int) -> None:
        home = self.home(a)
        status = lib.reml_run(home.context, b"fails")
        assert status == (STALE if home.dead else ERROR)
        home.epoch += 1

    def borrow(self, a: int, _: int) -> None:
        home, out = self.home(a), ffi.new("reml_value_t*")
        status = lib.reml_embed_result_borrow(home.context, out)
        if home.dead:
            assert status == STALE
            self.violation(home)
            return
        assert status == OK
        self.success(home)
        if not home.result:
            home.counts["null"] += 1
            assert out.kind == 0
            return
        home.counts["borrowed"] += 1
        if home.result_loan is None:
            home.result_loan = self.add(home, out[0], owners=0, lent=True)

    def take(self, a: int, _: int) -> None:
        home, out = self.home(a), ffi.new("reml_value_t*")
        status = lib.reml_embed_result_take(home.context, out)
        if home.dead:
            assert status == STALE
            self.violation(home)
            return
        self.success(home)
        if not home.result:
            assert status == ERROR
            home.counts["null"] += 1
            return
        assert status == OK
        self.end_loan(home)
        home.counts["transferred"] += 1
        self.add(home, out[0], origin="reml_embed_result_take")

    def string(self, a: int, _: int) -> None:
        home, out = self.home(a), ffi.new("reml_value_t*")
        status = lib.reml_value_string(home.context, b"text", 4, out)
        if home.dead:
            assert status == STALE
            self.violation(home)
            return
        assert status == OK
        self.add(home, out[0])

    def _acquire(self, a: int, b: int, call: object, *, borrowed: bool, result: bool) -> None:
        home, value, out = self.home(a), self.value(b), ffi.new("reml_value_t*")
        if value is None:
            return
        wanted = self.use(home, value)
        if wanted == OK and not borrowed and value.owners == 0:
            wanted = INVALID
            self.violation(home)
        assert call(home.context, value.raw, out) == wanted
        if wanted != OK:
            assert out.kind == 0
            return
        if borrowed:
            value.owners += 1
            home.counts["acquired"] += 1
            value.origin = "reml_ffi_acquire_borrowed"
            home.counts["borrowed"] += result
        else:
            value.origin = value.origin or "reml_ffi_acquire_transferred"
            home.counts["transferred"] += result

    def acquire_borrowed(self, a: int, b: int) -> None:
        self._acquire(a, b, lib.reml_ffi_acquire_borrowed, borrowed=True, result=False)

    def acquire_borrowed_result(self, a: int, b: int) -> None:
        self._acquire(a, b, lib.reml_ffi_acquire_borrowed_result, borrowed=True, result=True)

    def acquire_transferred(self, a: int, b: int) -> None:
        self._acquire(a, b, lib.reml_ffi_acquire_transferred, borrowed=False, result=False)

    def acquire_transferred_result(self, a: int, b: int) -> None:
        self._acquire(a, b, lib.reml_ffi_acquire_transferred_result, borrowed=False, result=True)

    def retain(self, a: int, b: int) -> None:
        home, value = self.home(a), self.value(b)
        if value is None:
            return
        wanted = self.use(home, value)
        assert lib.reml_value_retain(home.context, value.raw) == wanted
        if wanted == OK:
            value.owners += 1
            home.counts["acquired"] += 1

    def _release(self, a: int, b: int, call: object) -> None:
        home, value = self.home(a), self.value(b)
        if value is None:
            return
        wanted = self.use(home, value)
        if wanted == OK and value.owners == 0:
            wanted = INVALID
            self.violation(home)
        assert call(home.context, value.raw) == wanted
        if wanted == OK:
            self.release_owner(value)

    def release(self, a: int, b: int) -> None:
        self._release(a, b, lib.reml_value_release)

    def release_transferred(self, a: int, b: int) -> None:
        self._release(a, b, lib.reml_ffi_release_transferred)

    def _wrap(self, a: int, *, transferred: bool, one_run: bool = False, null: bool = False) -> None:
        home, out = self.home(a), ffi.new("reml_value_t*")
        self.numbers += 1
        given = ffi.new("reml_foreign_t*", {"struct_size": ffi.sizeof("reml_foreign_t")})
        given.data = NULL if null else MEMORY
        given.length = 0 if null else 8
        given.flags = lib.REML_FOREIGN_ONE_RUN if one_run else 0
        given.ownership = lib.REML_OWNERSHIP_TRANSFERRED if transferred else lib.REML_OWNERSHIP_BORROWED
        holder = None
        if transferred:
            from reml_embed import foreign

            number = self.numbers
            holder = foreign._Holder(None, lambda _: self.releases(number))
            given.release, given.user = lib.reml_python_release, holder.handle
        status = lib.reml_ffi_wrap_foreign_ptr(
            home.context, self.homes[0].functions["type"] if home.dead else home.functions["type"], given, out
        )
        if home.dead:
            assert status == STALE
            self.violation(home)
            return
        assert status == OK
        self.success(home)
        pointer = Pointer(self.numbers, transferred and not null, one_run, home.epoch + 1, null=null)
        if pointer.transferred:
            foreign._held.add(holder)
            home.counts["acquired"] += 1
        home.counts["null"] += null
        home.pointers.append(pointer)
        self.add(home, out[0], pointer=pointer)

    def lend(self, a: int, _: int) -> None:
        self._wrap(a, transferred=False)

    def lend_for_one_run(self, a: int, _: int) -> None:
        self._wrap(a, transferred=False, one_run=True)

    def transfer(self, a: int, _: int) -> None:
        self._wrap(a, transferred=True)

    def wrap_null(self, a: int, b: int) -> None:
        self._wrap(a, transferred=b % 2 == 0, null=True)

    def _pointer(self, a: int, b: int) -> tuple[Home, Value, int] | None:
        """The common half of what is done to pointers."""
        home, value = self.home(a), self.value(b)
        if value is None:
            return None
        wanted = self.use(home, value)
        if wanted == OK and value.pointer is None:
            wanted = INVALID
        elif wanted == OK and self.over(home, value.pointer):
            wanted = STALE
            self.violation(home)
        return home, value, wanted

    def end_borrow(self, a: int, b: int) -> None:
        found = self._pointer(a, b)
        if found is None:
            return
        home, value, wanted = found
        if wanted == OK and value.pointer.transferred:
            wanted = INVALID
            self.violation(home)
        assert lib.reml_ffi_end_borrow(home.context, value.raw) == wanted
        if wanted == OK:
            value.pointer.over = True

    def take_foreign(self, a: int, b: int) -> None:
        found, out = self._pointer(a, b), ffi.new("void**")
        if found is None:
            return
        home, value, wanted = found
        if wanted == OK and not value.pointer.transferred:
            wanted = INVALID
            self.violation(home)
        assert lib.reml_ffi_take_foreign(home.context, value.raw, out) == wanted
        assert (out[0] != NULL) == (wanted == OK)
        if wanted == OK:
            home.counts["transferred"] += 1
            self.give_up(home, value.pointer, handler=False)

    def release_foreign(self, a: int, b: int) -> None:
        found = self._pointer(a, b)
        if found is None:
            return
        home, value, wanted = found
        if wanted == OK and not value.pointer.transferred:
            wanted = INVALID
            self.violation(home)
        assert lib.reml_ffi_release_foreign(home.context, value.raw) == wanted
        if wanted == OK:
            self.give_up(home, value.pointer, handler=True)

    def host_data(self, a: int, b: int) -> None:
        found, out = self._pointer(a, b), ffi.new("void**")
        if found is None:
            return
        home, value, wanted = found
        assert lib.reml_value_host_data(home.context, value.raw, out) == wanted

    def info(self, a: int, b: int) -> None:
        home, value = self.home(a), self.value(b)
        if value is None:
            return
        wanted = self.use(home, value)
        if wanted == OK and value.pointer is None:
            wanted = INVALID
        out = ffi.new("reml_foreign_t*", {"struct_size": ffi.sizeof("reml_foreign_t")})
        assert lib.reml_ffi_foreign_info(home.context, value.raw, out) == wanted
        if wanted == OK:
            assert bool(out.flags & lib.REML_FOREIGN_OVER) == self.over(home, value.pointer)

    def _call(self, home: Home, name: str, arguments: list[Value]) -> tuple[int, object]:
        out = ffi.new("reml_value_t*")
        raw = ffi.new("reml_value_t[]", [value.raw for value in arguments]) if arguments else NULL
        return lib.reml_function_call(home.context, home.functions[name], raw, len(arguments), out), out

    def _argument(self, a: int, b: int, name: str) -> tuple[Home, Value, object] | None:
        home, value = self.home(a), self.value(b)
        if value is None:
            return None
        wanted = self.use(home, value)
        if wanted == OK and value.pointer is None:
            wanted = INVALID  # of another type
        status, out = self._call(home, name, [value])
        assert status == wanted
        if wanted != OK:
            return None
        home.epoch += 1
        self.success(home)
        return home, value, out

    def hold(self, a: int, b: int) -> None:
        found = self._argument(a, b, "hold")
        if found is not None:
            found[0].kept = found[1].pointer

    def same(self, a: int, b: int) -> None:
        found = self._argument(a, b, "same")
        if found is not None:
            home, value, out = found
            self.add(home, out[0], origin="reml_function_call", pointer=value.pointer)

    def drop_it(self, a: int, _: int) -> None:
        home = self.home(a)
        status, _out = self._call(home, "drop_it", [])
        if home.dead:
            assert status == STALE
            self.violation(home)
            return
        assert status == OK
        home.epoch += 1
        self.success(home)
        home.kept = None

    def held(self, a: int, _: int) -> None:
        home = self.home(a)
        status, _out = self._call(home, "held", [])
        if home.dead:
            assert status == STALE
            self.violation(home)
            return
        home.epoch += 1
        if home.kept is not None and self.over(home, home.kept):
            assert status == ERROR
            self.violation(home, 2)  # the reading, and the call that failed for it
        else:
            assert status == OK
            self.success(home)

    def release_function(self, a: int, b: int) -> None:
        """Of another context, always."""
        home, other = self.home(a), self.homes[(a + 1) % 2]
        if home is other:
            return
        status = lib.reml_function_release(home.context, other.functions["held"])
        assert status == (STALE if home.dead else WRONG)
        self.violation(home)

    def dispose(self, a: int, b: int) -> None:
        if b % 8:
            return  # not too often
        home = self.homes[a % 2]
        self.settle(home)
        self.check(home)
        self.finish(home)
        self.homes[a % 2] = self.make()

    # --- comparing --------------------------------------------------------------------------------------------------------

    def settle(self, home: Home) -> None:
        """A collection: what the script has dropped is released."""
        assert lib.reml_embed_collect(home.context) == OK
        reachable = {value.pointer for value in home.values if value.alive} | {home.kept}
        for pointer in home.pointers:
            if pointer.transferred and not pointer.over and pointer not in reachable:
                self.give_up(home, pointer, handler=True)
        home.pointers = [pointer for pointer in home.pointers if not pointer.over]
        home.values = [value for value in home.values if value.alive]

    def log(self, context: object) -> tuple[int, int, int, list[dict]]:
        """Calls, failed calls, violations that a log tells of since the last look, and its records."""
        text, length = ffi.new("char**"), ffi.new("size_t*")
        assert lib.reml_embed_audit_drain(context, text, length) == OK
        lines = bytes(ffi.buffer(text[0], length[0])).splitlines() if text[0] != NULL else []
        lib.reml_embed_free(text[0])
        total = failed = violations = 0
        found = []
        for line in lines:
            metadata = json.loads(line)["envelope"]["metadata"]
            if metadata["event.kind"] != "ffi.call":
                continue
            weight = metadata.get("ffi.count", 1)
            bridge = metadata["bridge"]
            assert {
                "status",
                "target",
                "arch",
                "platform",
                "abi",
                "expected_abi",
                "ownership",
                "extern_symbol",
                "return",
            } <= set(bridge)
            assert set(bridge["return"]) == {"ownership", "status", "wrap", "release_handler", "rc_adjustment"}
            total += weight
            failed += weight * (bridge["status"] != "ok")
            violations += weight * (metadata.get("error.code") == VIOLATION)
            found.append(metadata)
        return total, failed, violations, found

    def check(self, home: Home) -> None:
        found = ffi.new("reml_ffi_bridge_metrics_t*")
        assert lib.reml_ffi_bridge_context_metrics(home.context, found) == OK
        assert found.acquired == found.released + found.live
        counters = {
            "acquired": found.acquired, "released": found.released, "borrowed": found.borrowed_results,
            "transferred": found.transferred_results, "null": found.null_results,
        }  # fmt: skip
        assert counters == home.counts
        assert (found.total_calls, found.total_calls - found.success_calls) == (home.total, home.failed)
        total, failed, violations, _ = self.log(home.context)
        seen = home.functions.setdefault("seen", [0, 0, 0])
        seen[0] += total
        seen[1] += failed
        seen[2] += violations
        assert seen == [home.total, home.failed, home.violations]

    def finish(self, home: Home) -> None:
        """Dispose of a context: leaks are told, what it owned is released."""
        self.process_check()
        leaks: dict[str, int] = {}
        for value in home.values:
            if value.alive and value.origin and value.owners:
                leaks[value.origin] = leaks.get(value.origin, 0) + value.owners
        for pointer in home.pointers:
            if pointer.transferred and not pointer.over:
                self.expected[pointer.number] = self.expected.get(pointer.number, 0) + 1
        before = reml.process_metrics()
        assert lib.reml_dispose_context(home.context) == OK
        after = reml.process_metrics()
        assert after.acquired == after.released + after.live
        assert after.live == before.live - (home.counts["acquired"] - home.counts["released"])
        assert self.releases.counts == self.expected
        _, _, _, records = self.log(NULL)
        told = {
            metadata["bridge"]["extern_symbol"]: metadata.get("ffi.count", 1)
            for metadata in records
            if metadata["bridge"]["status"] == "leak"
        }
        assert told == leaks
        home.dead = True
        for value in home.values:
            value.owners, value.lent = 0, False
        self.gone.append(home)

    def process_check(self) -> None:
        _, _, violations, _ = self.log(NULL)
        assert violations == self.process_violations
        self.process_violations = 0

    def step(self, name: str, a: int, b: int) -> None:
        """Do it, and compare everything."""
        getattr(self, name)(a, b)
        for home in self.homes:
            self.settle(home)
            self.check(home)
        self.process_check()
        assert self.releases.counts == self.expected
        if len(self.values) > 200:  # the oldest are all dead by now, or as good as any other
            self.values = [value for value in self.values[:100] if value.alive] + self.values[100:]
        self.gone = self.gone[-4:]

    def close(self) -> None:
        for home in self.homes:
            self.settle(home)
            self.check(home)
            self.finish(home)
        assert all(count == 1 for count in self.releases.counts.values())


OPERATIONS = (
    "run", "run_failing", "borrow", "take", "string", "acquire_borrowed", "acquire_borrowed_result", "acquire_transferred",
    "acquire_transferred_result", "retain", "release", "release_transferred", "lend", "lend_for_one_run", "transfer", "wrap_null", "end_borrow",
    "take_foreign", "release_foreign", "host_data", "info", "hold", "same", "drop_it", "held", "release_function", "dispose",
)  # fmt: skip


class Machine(RuleBasedStateMachine):
    """One rule per operation."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def teardown(self) -> None:
        self.model.close()


def _rule(name: str) -> object:
    def step(self: Machine, a: int, b: int) -> None:
        self.model.step(name, a, b)

    step.__name__ = name
    return rule(a=st.integers(0, 31), b=st.integers(0, 15))(step)


for _name in OPERATIONS:
    setattr(Machine, _name, _rule(_name))

TestOwnership = Machine.TestCase
TestOwnership.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.mark.parametrize("seed", range(4))
def test_counters_and_log_agree_with_the_model_after_every_step(seed):
    """A random walk; its length is the environment's."""
    steps = int(os.environ.get("REML_OWNERSHIP_STEPS", "4000")) // 4
    source, model = random.Random(seed), Model()
    for number in range(steps):
        name = source.choice(OPERATIONS)
        try:
            model.step(name, source.randrange(32), source.randrange(64))
        except AssertionError as error:
            error.add_note(f"at step {number} ({name}) of seed {seed}")
            raise
    model.close()
