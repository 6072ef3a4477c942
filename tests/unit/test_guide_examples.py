"""The blocks of the runtime guide do what the guide says (LANGUAGE 11), with the hosts of examples/guide."""
# covers: 11.2, 11.3, 11.4, 11.5, 11.6, 11.7, 11.8, 11.9

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import reml_embed as reml

GUIDE = Path(__file__).resolve().parents[2] / "examples" / "guide"
EXAMPLES = sorted(path.parent.name for path in GUIDE.glob("*/main.py"))


@pytest.fixture
def example(request: pytest.FixtureRequest) -> ModuleType:
    """The module of the example that the test names with its marker."""
    name = request.param
    spec = importlib.util.spec_from_file_location(f"guide_{name}", GUIDE / name / "main.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def of(name: str) -> Any:
    return pytest.mark.parametrize("example", [name], indirect=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_runs_by_itself(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", str(GUIDE / name / "main.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_block_loads_without_a_word(name: str, context: reml.Context) -> None:
    sys.path.insert(0, str(GUIDE))
    import guide

    folders = [name] if (GUIDE / name / "bindings.reml").exists() else []
    if name[:2] in ("06", "07"):
        folders.insert(0, "05_game_loop")
    guide.load_bindings(context, *folders)
    guide.load_block(context, name)
    # `await e.await` and the guard with `if` stand in the guide; what is experimental says so.
    said = {"07": ["async.await.redundant", "pattern.guard.if_deprecated"], "08": ["effects.stage.missing_opt_in"]}
    expected = said.get(name[:2], [])
    assert [item.code for item in context.diagnostics] == expected


# --- 1 ----------------------------------------------------------------------------------------------------------------


@of("01_load_release_note")
def test_the_helper_of_the_writer_is_that_of_the_logged_outcome(example: ModuleType, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_bytes(b"release")
    result, records = example.load_release_note(note)
    assert result == reml.Ok(b"release")
    assert [(one["io.operation"], one["io.helper"], one["io.path"]) for one in records] == [
        ("file.open", "io.with_reader", str(note)),
        ("io.copy", "bridge.release_note", str(note)),
        ("bridge.release_note", "bridge.release_note", str(note)),
    ]
    assert records[-1]["io.elapsed_ns"] > 0


@of("01_load_release_note")
def test_a_note_that_is_missing_or_refused_is_an_error_that_is_logged(example: ModuleType, tmp_path: Path) -> None:
    result, records = example.load_release_note(tmp_path / "missing")
    assert result.value.kind == "NotFound"
    assert [one["event.kind"] for one in records] == ["core.io.error", "core.io.error"]
    (tmp_path / "note.md").write_bytes(b"release")
    result, records = example.load_release_note(tmp_path / "note.md", grants=[])
    assert result.value.kind == "SecurityViolation"
    assert {one["io.error.kind"] for one in records} == {"SecurityViolation"}


# --- 2 ----------------------------------------------------------------------------------------------------------------


@of("02_reload")
def test_a_declaration_without_body_needs_its_symbol(example: ModuleType, context: reml.Context) -> None:
    example.guide.load_bindings(context, "02_reload")
    context.load(example.guide.block_text("02_reload") + example.CALLER)
    entry, twice = context.function("reload", example.SIGNATURE), context.function("twice")
    for function in (entry, twice):
        with pytest.raises(reml.RunError) as caught:
            function("parser", example.State(0), {})
        assert caught.value.code == "host.symbol.unbound"
    context.bind("reload", example.reload)
    assert entry("parser", example.State(0), {}) == reml.Ok(example.State(1))
    assert twice("parser", example.State(5), {}) == reml.Ok(example.State(7))


# --- 3 ----------------------------------------------------------------------------------------------------------------


@of("03_metrics")
def test_the_logger_receives_a_map_of_mixed_values(example: ModuleType) -> None:
    identity = uuid.uuid4()
    assert example.emit("tick", identity, {"n": 1, "list": [1, "a", None]}) == {
        "event": "tick", "audit_id": str(identity), "latency_ms": 1.5, "throughput_per_min": 120.0, "error_rate": 0.25,
        "custom": {"n": 1, "list": [1, "a", None]},
    }  # fmt: skip
    assert example.emit("tick", None, {})["audit_id"] is None


def test_a_uuid_is_its_canonical_text(context: reml.Context) -> None:
    module = context.load("fn same(id: Uuid) -> Uuid = id\nfn text(id: Uuid) -> Any = id")
    identity = uuid.UUID(int=0xABC)
    assert module["same"](identity) == str(identity)
    assert module["same"](str(identity).upper()) == str(identity)
    assert module["text"](identity) == str(identity)
    for wrong, error in (("no uuid", ValueError), (5, TypeError)):
        with pytest.raises(error):
            module["same"](wrong)


# --- 4 ----------------------------------------------------------------------------------------------------------------


@of("04_run_wasi")
def test_the_host_sees_the_defaults_filled_in(example: ModuleType) -> None:
    result, [config] = example.run(int, b"17", "Int")
    assert result == reml.Ok(17)
    assert (config.left_recursion, config.packrat, config.extensions) == ("off", False, {})
    result, _ = example.run(bytes.decode, b"x", "Str")
    assert result == reml.Ok("x")
    result, _ = example.run(int, b"x", "Int")
    assert result.value.code == "wasi.input"


# --- 5 ----------------------------------------------------------------------------------------------------------------


@of("05_game_loop")
def test_ticks_pump_what_the_watcher_has(example: ModuleType, context: reml.Context) -> None:
    engine = example.Engine(context)
    block = example.guide.load_block(context, "05_game_loop")
    assert not engine.loop.bodies
    context.run("")
    assert len(engine.loop.bodies) == 1
    driver = block.value("driver")
    assert (driver.flow.mode, driver.flow.high_watermark, driver.flow.low_watermark) == ("push", 65536, 16384)
    spec = driver.flow.policy.backpressure
    assert (spec.max_lag, spec.debounce, spec.throttle) == (reml.Duration(16_000_000), reml.Duration(4_000_000), None)

    engine.chunks.extend([b"on", b"e\ntw", b"o\n", b"thr"])
    engine.loop.tick(reml.Duration(16_000_000))
    assert engine.scenes == [("one", 4), ("two", 8)]
    [(event, demand)] = engine.trace
    assert (event, demand.min_bytes) == ("scene.pending", 1)
    engine.chunks.append(b"ee\n")
    engine.loop.tick(reml.Duration(30_000_000))
    assert engine.scenes[-1] == ("three", 14)
    assert driver.flow.high_watermark == 32768  # the closure assigned the field of the very struct that we hold


@of("05_game_loop")
def test_the_host_calls_the_functions_of_the_struct(example: ModuleType, context: reml.Context) -> None:
    engine = example.Engine(context)
    block = example.guide.load_block(context, "05_game_loop")
    context.run("")
    driver = block.value("driver")
    driver.sink(engine.outcome.Completed(value="scene", meta=engine.meta()))
    driver.on_diagnostic(engine.event.Progress(consumed=3))
    assert engine.scenes == [("scene", 0)]
    assert [(event, value.consumed) for event, value in engine.audited] == [("parser.stream", 3)]


# --- 6 ----------------------------------------------------------------------------------------------------------------


@of("06_handle_diff")
def test_without_a_continuation_only_the_flow_changes(example: ModuleType, context: reml.Context) -> None:
    editor = example.Editor(context, parked=False)
    assert editor.handle(4) is None
    assert editor.driver.flow.mode == "pull"
    assert editor.driver.state is None
    assert not editor.resumed
    assert not editor.events


@of("06_handle_diff")
def test_a_parked_continuation_is_resumed_and_replaced(example: ModuleType, context: reml.Context) -> None:
    editor = example.Editor(context, parked=True)
    before = editor.driver.state
    assert editor.handle(3) == reml.Some(None)
    [(continuation, more)] = editor.resumed
    assert (continuation, more) == (before, b"let")
    assert editor.driver.state != before
    [event] = editor.events
    assert event.reason == "InputExhausted"
    assert event.meta.expected_tokens == ["expression", "end of file"]
    assert editor.handle(4) == reml.Some(None)
    assert len(editor.events) == 2


# --- 8 ----------------------------------------------------------------------------------------------------------------


@of("08_ffi_sandbox")
def test_a_foreign_call_is_answered_by_its_handler(example: ModuleType, context: reml.Context) -> None:
    sandbox = example.Sandbox(context)
    assert sandbox.send({"op": "ping"}) == reml.Ok({"stub": "service", "echo": '{"op": "ping"}'})
    assert sandbox.audited == [("ffi.call", {"name": "service", "bytes": len('{"op": "ping"}')})]
    assert sandbox.send({"op": "refuse"}) == reml.Err("refused")
    assert len(sandbox.audited) == 2


@of("08_ffi_sandbox")
@pytest.mark.parametrize("name", ["encode", "decode_response", "stub_response"])
def test_effects_that_the_host_does_not_rule_out_break_the_contract(
    name: str, example: ModuleType, context: reml.Context
) -> None:
    context.load(GUIDE / "shared.reml", ambient=True)
    bindings = (GUIDE / "08_ffi_sandbox" / "bindings.reml").read_text(encoding="utf-8")
    lines = [line.removesuffix(" ! {}") if f"fn {name}(" in line else line for line in bindings.splitlines()]
    context.load("\n".join(lines), ambient=True)
    with pytest.raises(reml.LoadError) as caught:
        example.guide.load_block(context, "08_ffi_sandbox")
    errors = [item.code for item in caught.value.diagnostics if item.severity == "error"]
    assert errors == ["effects.contract.mismatch"]


# --- 7 ----------------------------------------------------------------------------------------------------------------


@of("07_sse_stream")
def test_the_stream_of_a_server_goes_through_the_feeder(example: ModuleType) -> None:
    events = [f"event {i}" for i in range(5)]
    host = example.stream(events)
    assert host.parser.events == events
    assert host.failure is None
    assert set(host.polls) == {"Ready"}
    assert sum(event.consumed for event in host.logged) == sum(len(f"data: {event}\n\n") for event in events)
    assert (host.config.max_inflight, host.config.executor) == (4, "asyncio loop")
    spec = host.config.backpressure
    assert (spec.max_lag, spec.debounce, spec.throttle) == (
        reml.Duration(250_000_000), reml.Duration(25_000_000), reml.Duration(50_000_000),
    )  # fmt: skip


@of("07_sse_stream")
def test_a_busy_server_is_asked_again_after_the_time_the_feeder_names(example: ModuleType) -> None:
    began = time.monotonic()
    host = example.stream(["late"], refuse=2)
    assert host.polls[:3] == ["Pending", "Pending", "Ready"]
    assert host.parser.events == ["late"]
    assert time.monotonic() - began >= 0.2


@of("07_sse_stream")
def test_an_error_of_the_stream_fails_the_initialisation(example: ModuleType) -> None:
    host = example.stream([], port=1)
    assert host.failure == "runtime.init.failed"
    [event] = host.logged
    assert event.code == "http"
