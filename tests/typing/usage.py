"""Calls that users write; mypy reads this file (`make types`), nothing runs it."""

from pathlib import Path
from typing import assert_type

import reml_embed as reml
from reml_embed.registry.capability import (
    AtLeast,
    CapabilityDescriptor,
    CapabilityError,
    CapabilityRegistry,
    GcCapability,
    StageId,
)
from reml_embed.testing import MemorySink, Output


def embed() -> None:
    sink = MemorySink()
    with reml.Context(audit=sink, limits=reml.Limits(fuel=1_000_000), output=Output()) as context:

        @context.host("Host.price", signature="(sku: Str) -> Float")
        def price(sku: str) -> float:
            return len(sku) * 1.0

        assert_type(price("x"), float)
        orders = context.load(Path("orders.reml"))
        assert_type(orders, reml.Module)
        total = orders["total"]
        assert_type(total, reml.Function)
        assert_type(total.signature, str)
        total(3, 2.5)
        total.map([1], 2, out=None)
        context.run("main")
        with context.result_take() as result:
            assert_type(result, reml.TransferredResult)
            assert_type(result.text, str)
        assert_type(context.result_borrow().valid, bool)
        assert_type(context.metrics().total_calls, int)
        assert_type(context.check("fn f() {}"), list[reml.Diagnostic])
        context.limits = reml.Limits.untrusted(fuel=5)


def fail() -> str | None:
    try:
        reml.Context(audit="audit.ndjson").load("fn main( {}")
    except reml.LoadError as error:
        for diagnostic in error.diagnostics:
            assert_type(diagnostic.line, int | None)
        return error.code
    except reml.RunError as error:
        assert_type(error.stack, tuple[reml.StackEntry, ...])
    return None


def live(vec: reml.VecProxy[int], table: reml.TableProxy[str, int], place: reml.RefHandle[float]) -> None:
    assert_type(vec[0], int)
    assert_type(vec[1:], list[int])
    assert_type(table["a"], int)
    place.value = 2.5
    match reml.Ok(5):
        case reml.Ok(value):
            assert_type(value, int)


def administer(context: reml.Context) -> None:
    registry = CapabilityRegistry.process()
    assert_type(registry.describe_all(), list[CapabilityDescriptor])
    assert_type(registry.stage_of("io.async"), StageId | None)
    assert_type(registry.verify_stage("gc", "at_least:beta", ["memory"], context=context), StageId)
    handle = registry.verify_capability_stage("gc", AtLeast("beta"), {"memory"})
    assert_type(handle.as_gc(), GcCapability | None)
    match handle:
        case GcCapability(strategy=strategy):
            assert_type(strategy, str)
        case _:
            pass
    try:
        registry.guard_io_capability("io.fs.read", "stable")
    except CapabilityError as error:
        assert_type(error.code(), str)
        assert_type(error.actual_stage(), StageId | None)
        raise error.to_runtime_error() from error
