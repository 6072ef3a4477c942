"""
Runs that wait, on an asyncio event loop: the jobs of one context, and the coroutines that its scripts wait for.

Comes in: entries, functions, futures of scripts, awaitables of host functions. Goes out: their values and exceptions. Only the
thread that owns the context comes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reml_embed._ffi import ffi, lib
from reml_embed.values import Err, FutureProxy, Ok

if TYPE_CHECKING:
    from reml_embed._fast import Function, Job
    from reml_embed.context import Context

_PENDING = int(lib.REML_EMBED_STATUS_PENDING)
_PROMISE = ffi.typeof("reml_promise_t*")
_VALUE = ffi.typeof("reml_value_t*")
_NANOSECONDS = ffi.typeof("int64_t*")
_WANTED = ffi.typeof("int*")

Promise = tuple[int, int]


def _pair(kind: str, pair: tuple[int, int]) -> Any:
    return ffi.new(f"{kind}*", pair)[0]


class Jobs:
    """What waits in one context."""

    def __init__(self, context: Context) -> None:
        self._context: Context | None = context
        self._wake: dict[asyncio.Event, None] = {}  # in the order in which they began
        self._coroutines: dict[Promise, asyncio.Future[Any]] = {}
        self._failures: dict[int, BaseException] = {}
        self._tokens = itertools.count(1)
        self._own_loop: asyncio.AbstractEventLoop | None = None

    # --- driving --------------------------------------------------------------------------------------------------------

    async def entry(self, name: str) -> Any:
        """Run an entry point. The empty name only initialises, which does not wait for coroutines of a running event loop."""
        if not name:
            return self._living().run(name)
        return await self._drive(lambda context: context._border.start(name))

    async def call(self, function: Function, *arguments: Any) -> Any:
        """Call a function."""
        return await self._drive(lambda context: context._border.start_function(function, *arguments))

    async def future(self, proxy: FutureProxy[Any]) -> Any:
        """Await what the script calls a Future or Task."""
        return await self._drive(lambda context: context._border.start_future(*proxy._handle))

    async def _drive(self, start: Callable[[Context], tuple[int, Job]]) -> Any:
        context = self._living()
        context._epoch += 1
        wake = asyncio.Event()
        self._wake[wake] = None
        job: Job | None = None
        try:
            status, job = start(context)
            while status == _PENDING:
                self._drop_unwanted()
                await self._sleep(job, wake)
                status = self._living()._border.resume(*job)
            return self._living()._border.job_result(*job)
        finally:
            self._wake.pop(wake, None)
            if job is not None and self._context is not None:
                self._context._border.release_job(*job)
            self._drop_unwanted()

    async def _sleep(self, job: Job, wake: asyncio.Event) -> None:
        """Until the job can go on, or may."""
        out = ffi.new(_NANOSECONDS)
        context = self._living()
        context._raise_for(lib.reml_job_wait(context._id, _pair("reml_job_t", job), out))
        wake.clear()
        if out[0] < 0:
            await wake.wait()
            return
        try:
            async with asyncio.timeout(out[0] / 1e9):
                await wake.wait()
        except TimeoutError:
            pass

    def _living(self) -> Context:
        if self._context is None:
            raise _stale()
        return self._context

    def forget(self) -> None:
        """The context is closed: nothing can be completed any more."""
        self._context = None
        for coroutine in list(self._coroutines.values()):
            _cancel(coroutine)
        self._coroutines.clear()
        for wake in self._wake:
            wake.set()
        if self._own_loop is not None and not self._own_loop.is_running():
            if _running_loop() is None:
                self._own_loop.run_until_complete(asyncio.sleep(0))  # those that were cancelled end
            self._own_loop.close()
            self._own_loop = None

    # --- runs that wait where they are ------------------------------------------------------------------------------------

    def _loop_of_runs(self) -> asyncio.AbstractEventLoop:
        """The event loop for coroutines that were begun where none was running; it turns while a run waits."""
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
        return self._own_loop

    def wait(self, seconds: float) -> None:
        """
        Let the event loop turn until something is completed, or *seconds* have passed (negative: any time). May come back earlier.

        Raises:
            RuntimeError: what is waited for runs on an event loop that this very run keeps from turning.
        """
        loop = self._own_loop
        if loop is not None and self._coroutines and _running_loop() is None:
            loop.run_until_complete(self._turn(0.05 if seconds < 0 else min(seconds, 0.05)))
        elif seconds < 0:
            raise RuntimeError(
                "the script waits for a coroutine whose event loop it keeps from turning: use run_async, "
                "and for modules that wait while they are initialised a run before the event loop is started"
            )
        else:
            time.sleep(min(seconds, 0.01))  # in portions: an interrupt is seen between them

    async def _turn(self, seconds: float) -> None:
        wake = asyncio.Event()
        self._wake[wake] = None
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            pass
        finally:
            self._wake.pop(wake, None)

    # --- what host functions answer --------------------------------------------------------------------------------------

    def pending(self, answer: object, value_type: tuple[int, int], *, is_task: bool) -> tuple[int, int, int]:
        """
        The handle of a Future or Task that is completed when the awaitable is: on the running event loop, or while a run waits. A Task
        gets ``Ok(value)``, unless the value is an Ok or Err.
        """
        context = self._living()
        if isinstance(answer, FutureProxy):  # the script's own
            context._raise_for(lib.reml_value_retain(context._id, ffi.new(_VALUE, answer._handle)[0]))
            return answer._handle
        promise, future = ffi.new(_PROMISE), ffi.new(_VALUE)
        loop = _running_loop() or self._loop_of_runs() if inspect.isawaitable(answer) else None
        make = lib.reml_promise_new_task if is_task else lib.reml_promise_new
        context._raise_for(make(context._id, _pair("reml_type_t", value_type), promise, future))
        key: Promise = (promise.context, promise.id)
        if inspect.isawaitable(answer):
            coroutine: asyncio.Future[Any] = asyncio.ensure_future(answer, loop=loop)
            self._coroutines[key] = coroutine
            coroutine.add_done_callback(lambda done: self._finished(key, done, is_task=is_task))
        else:
            try:
                context._border.complete(key, _outcome(answer) if is_task else answer)
            except BaseException:
                lib.reml_promise_drop(context._id, promise[0])
                lib.reml_value_release(context._id, future[0])
                raise
        return (future.kind, future.context, future.bits)

    def _finished(self, key: Promise, done: asyncio.Future[Any], *, is_task: bool) -> None:
        if self._coroutines.pop(key, None) is None or self._context is None:
            if not done.cancelled():
                done.exception()  # looked at: nobody is left to tell
            return
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            try:
                value = done.result()
                self._context._border.complete(key, _outcome(value) if is_task else value)
            except Exception as wrong:  # noqa: BLE001  (a value of another type: whoever awaits it is told)
                error = wrong
        if error is not None:
            self._fail(key, error)
        for wake in self._wake:
            wake.set()

    def _fail(self, key: Promise, error: BaseException) -> None:
        context = self._living()
        token = next(self._tokens)
        self._failures[token] = error
        text = str(error)
        message = f"{type(error).__name__}: {text}" if text else type(error).__name__
        data = message.encode("utf-8", "replace")
        lib.reml_promise_fail(context._id, _pair("reml_promise_t", key), data, len(data), token)

    def original(self) -> BaseException | None:
        """The exception of an async host function that has ended the last run, with the script's stack; None: something else has."""
        if self._context is None or not self._failures:
            return None
        found = self._failures.pop(int(lib.reml_embed_failure_token(self._context._id)), None)
        if found is not None:
            self._context._support.trace(found)
        return found

    def _drop_unwanted(self) -> None:
        """Cancel the coroutines that the script has given up."""
        if self._context is None:
            return
        wanted = ffi.new(_WANTED)
        for key, coroutine in list(self._coroutines.items()):
            promise = _pair("reml_promise_t", key)
            if lib.reml_promise_wanted(self._context._id, promise, wanted) == 0 and wanted[0]:
                continue
            del self._coroutines[key]
            lib.reml_promise_drop(self._context._id, promise)
            _cancel(coroutine)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _outcome(value: object) -> object:
    return value if isinstance(value, Ok | Err) else Ok(value)


def _cancel(coroutine: asyncio.Future[Any]) -> None:
    with contextlib.suppress(RuntimeError):  # its event loop is closed
        coroutine.cancel()


def _stale() -> BaseException:
    from reml_embed.errors import StaleError  # noqa: PLC0415  (errors of a closed context only)

    return StaleError("the context is closed")
