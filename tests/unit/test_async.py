"""Scripts on an event loop: `Context.run_async`, `Context.call_async`, async host functions."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import pytest

import reml_embed as reml

T = TypeVar("T")


def go(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, at most some seconds."""

    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await main

    return asyncio.run(bounded())


def test_run_async_lets_other_coroutines_go_on() -> None:
    with reml.Context() as context:
        context.load("async fn main() -> Int { Async.sleep_async(30.ms).await; Async.sleep_async(10.ms).await; 5 }")
        turns: list[int] = []

        async def other() -> None:
            for turn in range(3):
                turns.append(turn)
                await asyncio.sleep(0.005)

        async def main() -> int:
            result, _ = await asyncio.gather(context.run_async("main"), other())
            return int(result)

        began = time.monotonic()
        assert go(main()) == 5
        assert time.monotonic() - began >= 0.04
        assert turns == [0, 1, 2]


def test_run_async_of_an_entry_that_does_not_wait() -> None:
    with reml.Context() as context:
        context.load('fn main() -> Str = "now"\nfn bad() -> Int { panic("no") }')
        assert go(context.run_async()) == "now"
        with pytest.raises(reml.RunError, match="no"):
            go(context.run_async("bad"))
        with pytest.raises(reml.UnknownFunctionError):
            go(context.run_async("nowhere"))


def test_an_async_host_function_is_a_future_of_the_script() -> None:
    with reml.Context() as context:
        order: list[str] = []

        @context.host("fetch")
        async def fetch(key: str, delay: int) -> int:
            order.append(f"{key} begins")
            await asyncio.sleep(delay / 1000)
            order.append(f"{key} ends")
            return delay

        context.load(
            """
            fn both() -> Int {
              let slow = fetch("slow", 30)
              let fast = fetch("fast", 5)
              let pair = Async.join(slow, fast).await
              pair.0 + pair.1
            }
            """
        )
        assert go(context.run_async("both")) == 35
        assert order == ["slow begins", "fast begins", "fast ends", "slow ends"]


def test_runs_of_one_context_take_turns() -> None:
    with reml.Context() as context:
        seen: list[str] = []

        @context.host("step")
        async def step(name: str) -> str:
            seen.append(name)
            await asyncio.sleep(0)
            return name

        module = context.load('async fn work(n: Str) -> Str { step(n).await; step(n).await; format("{n} done") }')
        work = module["work"]

        async def main() -> list[str]:
            return await asyncio.gather(*(context.call_async(work, name) for name in "abc"))

        assert go(main()) == ["a done", "b done", "c done"]
        assert seen == ["a", "b", "c", "a", "b", "c"]


def test_exceptions_come_out_as_the_same_object() -> None:
    with reml.Context() as context:
        raised = LookupError("no such price")

        @context.host("price")
        async def price(sku: str) -> float:
            await asyncio.sleep(0)
            raise raised

        context.load('async fn main() -> Float { price("a").await }')
        with pytest.raises(LookupError) as caught:
            go(context.run_async("main"))
        assert caught.value is raised
        assert any("in Reml" in note for note in raised.__notes__)


def test_values_of_another_type_are_errors_at_the_await() -> None:
    with reml.Context() as context:

        @context.host("number", signature="() -> Future<Int>")
        async def number() -> Any:
            return "seven"

        context.load("async fn main() -> Int { number().await }")
        with pytest.raises(TypeError, match="expected Int, got str"):
            go(context.run_async("main"))


def test_plain_values_are_futures_that_are_done() -> None:
    with reml.Context() as context:

        @context.host("ready", signature="(n: Int) -> Future<List<Int>>")
        def ready(n: int) -> list[int]:
            return [n, n + 1]

        context.load("fn main() -> List<Int> { ready(3).await }")
        assert context.run("main") == [3, 4]
        assert go(context.run_async("main")) == [3, 4]


def test_a_run_without_an_event_loop_turns_one_while_it_waits() -> None:
    with reml.Context() as context:
        order: list[str] = []

        @context.host("fetch")
        async def fetch(name: str, delay: int) -> int:
            order.append(name)
            await asyncio.sleep(delay / 1000)
            order.append(name)
            return delay

        context.load("""
            let ready = fetch("init", 1).await
            fn main() -> Int {
              let slow = fetch("slow", 30)
              let fast = fetch("fast", 5)
              fast.await + slow.await + ready
            }
            fn bad() -> Int { fails().await }
            extern "host" { fn fails() -> Future<Int> }
        """)

        async def fails() -> int:
            await asyncio.sleep(0)
            raise LookupError("away")

        context.bind("fails", fails)
        assert context.run("main") == 36
        assert order == ["init", "init", "slow", "fast", "fast", "slow"]
        with pytest.raises(LookupError):
            context.run("bad")


def test_coroutines_that_a_run_did_not_wait_for_are_cancelled_with_the_context() -> None:
    ended: list[str] = []
    with reml.Context() as context:

        @context.host("fetch")
        async def fetch() -> int:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return 1

        @context.host("tick")
        async def tick() -> int:
            await asyncio.sleep(0.001)
            return 1

        context.load("fn main() -> Int { let f = fetch(); tick().await }")
        assert context.run("main") == 1
    assert ended == ["cancelled"]


def test_a_run_inside_an_event_loop_does_not_wait_for_that_loop() -> None:
    with reml.Context() as context:

        @context.host("fetch")
        async def fetch() -> int:
            return 1

        context.load("fn main() -> Int { fetch().await }")

        async def main() -> None:
            with pytest.raises(RuntimeError, match="run_async"):
                context.run("main")
            assert await context.run_async("") is None

        go(main())


def test_futures_and_tasks_of_scripts_are_awaitable() -> None:
    with reml.Context() as context:
        module = context.load(
            """
            fn later(n: Int) -> Future<Int> = async { Async.sleep_async(5.ms).await; n * 2 }
            fn same(f: Future<Int>) -> Future<Int> = f
            """
        )

        async def main() -> tuple[int, int, bool]:
            future = module["later"](21)
            assert isinstance(future, reml.FutureProxy)
            assert "Future" in repr(future)
            first = await future
            again = module["same"](future)
            return first, await again, future == again

        assert go(main()) == (42, 42, True)


def test_cancelling_the_coroutine_cancels_the_script_and_what_it_waits_for() -> None:
    printed: list[str] = []
    with reml.Context(output=printed.append) as context:
        cancelled: list[str] = []

        @context.host("forever")
        async def forever() -> int:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append("host")
                raise
            return 0

        context.load('async fn main() -> Int { defer println("left"); forever().await }')

        async def main() -> None:
            running = asyncio.ensure_future(context.run_async("main"))
            await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        go(main())
        assert printed == ["left\n"] or "".join(printed) == "left\n"
        assert cancelled == ["host"]
        assert context.memory().live_handles == 0


def test_what_the_script_gives_up_is_cancelled() -> None:
    with reml.Context() as context:
        cancelled: list[str] = []

        @context.host("slow")
        async def slow(name: str) -> str:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(name)
                raise
            return name

        context.load(
            """
            async fn main() -> Str {
              match Async.timeout(slow("a"), 5.ms).await {
                Ok(text) => text
                Err(error) => error.message
              }
            }
            """
        )

        async def main() -> str:
            text = await context.run_async("main")
            await asyncio.sleep(0)
            return str(text)

        assert go(main()) == "timed out after 5ms"
        assert cancelled == ["a"]


def test_a_cancelled_host_coroutine_cancels_the_run() -> None:
    with reml.Context() as context:
        tasks: list[asyncio.Future[int]] = []

        @context.host("wait", signature="() -> Future<Int>")
        def wait() -> Awaitable[int]:
            tasks.append(asyncio.get_running_loop().create_future())
            return tasks[-1]

        context.load("async fn main() -> Int { wait().await }")

        async def main() -> None:
            running = asyncio.ensure_future(context.run_async("main"))
            await asyncio.sleep(0.005)
            tasks[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        go(main())


def test_closing_a_context_wakes_who_waits() -> None:
    context = reml.Context()
    context.load("async fn main() -> Int { Async.sleep_async(1.h).await; 1 }")

    async def main() -> None:
        running = asyncio.ensure_future(context.run_async("main"))
        await asyncio.sleep(0.005)
        context.close()
        with pytest.raises(reml.StaleError):
            await running

    go(main())


def test_limits_hold_while_it_waits() -> None:
    with reml.Context(limits=reml.Limits(fuel=50_000)) as context:
        context.load("async fn main() -> Int { loop { Async.sleep_async(0.ms).await } }")
        with pytest.raises(reml.LimitError):
            go(context.run_async("main"))


def test_many_runs_leave_nothing_behind() -> None:
    with reml.Context() as context:

        @context.host("echo")
        async def echo(n: int) -> int:
            await asyncio.sleep(0)
            return n

        module = context.load("async fn twice(n: Int) -> Int { echo(n).await + echo(n).await }")
        twice = module["twice"]

        async def main() -> int:
            return sum(await asyncio.gather(*(context.call_async(twice, n) for n in range(200))))

        assert go(main()) == 2 * sum(range(200))
        gc.collect()
        assert context.memory().live_handles == 0
        assert not context._jobs._coroutines


def test_a_job_leaves_one_record() -> None:
    with reml.Context() as context:
        context.load("async fn main() -> Int { Async.sleep_async(1.ms).await; 1 }")
        context.drain()
        assert go(context.run_async("main")) == 1
        records = [record["envelope"]["metadata"] for record in context.drain()]
        starts = [record for record in records if record.get("native.embed.entrypoint") == "reml_embed_start"]
        assert len(starts) == 1
        assert starts[0]["embed.run.entrypoint"] == "main"
        assert starts[0]["embed.status"] == "ok"


def test_what_a_host_function_answers_may_be_a_task() -> None:
    with reml.Context() as context:
        context.load('extern "host" { fn count(n: Int) -> Task<Int> }', ambient=True)

        async def count(n: int) -> int:
            await asyncio.sleep(0.001)
            return n + 1

        context.bind("count", count)
        context.load(
            """
            fn main() -> Result<Int, AsyncError> { count(4).join().await }
            fn stop() -> Str {
              let t = count(1)
              t.cancel()
              match t.await { Ok(_) => "went on", Err(e) => e.message }
            }
            """
        )
        assert go(context.run_async("main")) == reml.Ok(5)
        assert go(context.run_async("stop")) == "the task was cancelled"
        assert not context._jobs._coroutines


def test_modules_are_initialised_on_the_event_loop() -> None:
    with reml.Context() as context:

        @context.host("setting")
        async def setting(name: str) -> int:
            await asyncio.sleep(0.001)
            return len(name)

        context.load('let size: Int = setting("size").await\nfn main() -> Int = size * 2')
        other: list[int] = []

        async def main() -> int:
            async def beside() -> None:
                other.append(1)

            result, _ = await asyncio.gather(context.run_async("main"), beside())
            return int(result)

        assert go(main()) == 8
        assert other == [1]
        assert context.run("main") == 8


@pytest.mark.parametrize("entry", ["sleeps", "naps", "asks"])
def test_a_deadline_counts_while_a_run_waits(entry: str) -> None:
    printed: list[str] = []
    with reml.Context(limits=reml.Limits(deadline_ms=60), output=printed.append) as context:

        @context.host("never")
        async def never() -> int:
            await asyncio.sleep(5)
            return 1

        context.load(
            'async fn sleeps() -> Int { defer println("left"); Async.sleep_async(5.s).await; 1 }\n'
            'async fn naps() -> Int { defer println("left"); for i in 0..1000 { Async.sleep_async(5.ms).await }; 1 }\n'
            'async fn asks() -> Int { defer println("left"); never().await }\n'
            "fn quick() -> Int = 2\n"
        )
        began = time.monotonic()
        with pytest.raises(reml.LimitError) as caught:
            asyncio.run(context.run_async(entry))
        assert caught.value.code == "runtime.limit.deadline"
        assert time.monotonic() - began < 2
        assert "".join(printed) == "left\n"
        assert context.run("quick") == 2
