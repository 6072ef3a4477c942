"""CONTRACTS 19.2: stages of handlers, opting in, what a handler leaves in diagnostics, records and ``--effects-debug``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import reml_embed as reml
from reml_embed.audit.kinds import KINDS, missing_keys
from reml_embed.audit.records import Record
from reml_embed.cli import reml as cli
from reml_embed.effects import EffectError, OptIn
from reml_embed.registry.capability import CapabilityRegistry

QUIET = """
@handles(Console)
@requires_capability(stage="experimental")
fn quiet() -> List<Str> =
  handle { perform Console.log("a"); perform Console.log("b") } with handler Console {
    operation log(text, resume) { [text].concat(resume(())) }
    operation ask(text, resume) { resume("") }
    return value { [] }
  }
@requires_capability(stage="experimental")
fn main() -> List<Str> = quiet()
"""
BARE = QUIET.replace('@requires_capability(stage="experimental")\n', "")
OPTED_IN = OptIn(features=["algebraic-effects"])


@contextmanager
def loaded(source: str, effects: OptIn | None = None, **more: Any) -> Iterator[reml.Context]:
    with reml.Context(effects=effects, **more) as context:
        context.load(source)
        yield context


def codes(source: str, effects: OptIn | None = None) -> list[tuple[str, str]]:
    with reml.Context(effects=effects) as context:
        return [(item.severity, item.code) for item in context.check(source)]


def kinds(context: reml.Context, kind: str) -> list[dict[str, Any]]:
    return [row for row in context.drain() if row["envelope"]["metadata"]["event.kind"] == kind]


# --- opting in ---------------------------------------------------------------------------------------------------------


def test_a_plain_context_demands_nothing() -> None:
    with loaded(QUIET) as context:
        assert context.run() == ["a", "b"]
    assert codes(QUIET) == [("hint", "effects.stage.missing_opt_in")] * 2
    assert codes(BARE) == [("hint", "effects.stage.missing_opt_in")]


def test_experimental_use_without_opt_in_is_recorded() -> None:
    with loaded(QUIET) as context:
        found = kinds(context, "effects.stage.missing_opt_in")
    assert [row["envelope"]["metadata"]["source.line"] for row in found] == [3, 10]
    first = found[0]["envelope"]["metadata"]
    assert first["effect.capability"] == "console"
    assert first["effect.stage.required"] == "at_least:experimental"
    assert first["effect.stage.actual"] == "experimental"
    assert not any(missing_keys(Record(row)) for row in found)


def test_the_feature_opts_in() -> None:
    assert codes(QUIET, OPTED_IN) == []
    with loaded(QUIET, OPTED_IN) as context:
        assert kinds(context, "effects.stage.missing_opt_in") == []


def test_an_id_opts_in() -> None:
    assert codes(QUIET, OptIn(capabilities=["console"])) == []
    assert codes(QUIET, OptIn(capabilities=["foreign-call"])) != []


def test_an_explicit_grant_opts_in() -> None:
    with reml.Context(granted_capabilities=["console"], effects=OptIn(demanded=True)) as context:
        assert context.check(QUIET) == []


def test_missing_opt_in_is_an_error_where_opt_in_is_demanded() -> None:
    assert codes(QUIET, OptIn(demanded=True)) == [("error", "effects.stage.missing_opt_in")] * 2
    assert codes(QUIET, OptIn(demanded=True, features=["algebraic-effects"])) == []
    assert codes(QUIET, OptIn(demanded=True, capabilities=["console"])) == []


def test_acknowledged_errors_are_warnings() -> None:
    found = codes(QUIET, OptIn(demanded=True, acknowledged=True))
    assert found == [("warning", "effects.stage.missing_opt_in")] * 2


def test_unknown_features_are_refused_by_the_context() -> None:
    with pytest.raises(ValueError, match="known: algebraic-effects"):
        reml.Context(effects=OptIn(features=["nope"]))


def test_opting_in_is_refused_while_the_context_runs() -> None:
    with reml.Context() as context:
        context.define("change", lambda: context.set_effects(OPTED_IN), signature="() -> ()")
        context.load("fn main() = change()")
        with pytest.raises(reml.BusyError):
            context.run()


# --- the attribute ---------------------------------------------------------------------------------------------------------


def test_experimental_needs_the_attribute_on_the_handler() -> None:
    assert codes(BARE, OPTED_IN) == [("error", "effects.contract.stage_mismatch")]


def test_experimental_needs_the_attribute_on_the_caller() -> None:
    caller = QUIET.replace('@requires_capability(stage="experimental")\nfn main', "fn main")
    assert codes(caller, OPTED_IN) == [("error", "effects.contract.stage_mismatch")]


def test_a_stage_above_that_of_the_capability_is_a_mismatch() -> None:
    source = QUIET.replace('stage="experimental"', 'stage="stable"')
    with reml.Context(effects=OPTED_IN) as context:
        (found,) = [item for item in context.check(source) if item.code == "effects.contract.stage_mismatch"]
    effects = found.json["extensions"]["effects"]  # type: ignore[index,call-overload]
    assert effects["required_stage"] == "at_least:stable"
    assert effects["actual_stage"] == "experimental"
    assert effects["capability"] == "console"


def test_beta_without_the_attribute_is_checked_like_experimental() -> None:
    source = BARE.replace("Console", "AsyncStream").replace("fn quiet", "fn quiet", 1)
    source = "effect AsyncStream { operation log: Str -> (); operation ask: Str -> Str }\n" + source
    register("async-stream", "beta")
    assert codes(source) == [("hint", "effects.stage.missing_opt_in")]
    with_attribute = source.replace("@handles", '@requires_capability(stage="beta")\n@handles')
    assert codes(with_attribute, OptIn(demanded=True, capabilities=["async-stream"])) == [
        ("error", "effects.contract.stage_mismatch")  # main calls it without saying so
    ]


def test_stable_needs_nothing() -> None:
    register("settled-log", "stable")
    source = "effect SettledLog { operation log: Str -> (); operation ask: Str -> Str }\n"
    source += BARE.replace("Console", "SettledLog")
    assert codes(source, OptIn(demanded=True)) == []


def register(name: str, stage: str) -> None:
    from reml_embed._ffi import NULL, ffi, lib

    kind = ffi.new("char[]", b"native")
    descriptor = ffi.new("char[]", json.dumps({"id": name, "stage": stage}).encode())
    spec = ffi.new("reml_capability_spec_t*", {"struct_size": ffi.sizeof("reml_capability_spec_t")})
    spec.kind, spec.descriptor = kind, descriptor
    assert lib.reml_capability_register(NULL, spec, NULL) in (0, 1)  # 1: another test has


# --- extensions.effects ------------------------------------------------------------------------------------------------------


def test_extensions_effects_tell_of_the_stage() -> None:
    with reml.Context() as context:
        found = context.check(QUIET)[0]
    effects = found.json["extensions"]["effects"]  # type: ignore[index,call-overload]
    metadata = effects.pop("capability_metadata")
    assert metadata["id"] == "console"
    assert metadata["stage"] == "experimental"
    assert effects == {
        "stage": "experimental", "before": ["io"], "handled": ["io"], "residual": [], "handler_name": "Console",
        "capability": "console", "required_stage": "at_least:experimental", "actual_stage": "experimental",
    }  # fmt: skip


# --- records and events ----------------------------------------------------------------------------------------------------------


def test_every_handler_leaves_a_record_with_all_keys() -> None:
    with loaded(QUIET, OPTED_IN) as context:
        context.run()
        context.run()
        (row,) = kinds(context, "effects.handled")
    metadata = row["envelope"]["metadata"]
    kind = KINDS["effects.handled"]
    assert set(kind.required) | set(kind.optional) <= set(metadata)
    assert missing_keys(Record(row)) == []
    assert row["envelope"]["capability"] == "console"
    assert (metadata["effect.order.before"], metadata["effect.order.after"]) == (["io"], [])
    assert metadata["effect.residual.diff"] == []
    assert metadata["effect.handler"] == "Console"
    assert row["extensions"]["effects"]["stage"] == "experimental"


def test_each_application_leaves_a_record_under_the_policy_every() -> None:
    with loaded(QUIET, OPTED_IN) as context:
        context.set_audit_policy(every=True)
        context.run()
        context.run()
        assert len(kinds(context, "effects.handled")) == 2
        context.set_audit_policy(every=False)
        context.run()
        assert kinds(context, "effects.handled") == []


def test_after_is_before_without_handled_and_with_the_residual() -> None:
    source = """
    effect Ask { operation ask: Str -> Str }
    fn asked() -> Str = { println("x"); do Ask.ask("q") }
    fn main() -> Str = handle asked() with handler Ask {
      operation ask(q, resume) { panic("no") }
    }
    """
    with loaded(source) as context:
        (row,) = context.handlers()
    assert row["effects"]["before"] == ["Ask", "io"]
    assert row["effects"]["handled"] == ["Ask"]
    assert row["effects"]["residual"] == ["io", "panic"]
    assert row["message"] == "effects.contract.mismatch open"


def test_what_is_promised_is_resolved() -> None:
    source = "fn main() -> () ! {io} = handle { println(1) } with handler Console { operation log(t, resume) { resume(()) }\n"
    source += '  operation ask(t, resume) { resume("") } }'
    with loaded(source) as context:
        (row,) = context.handlers()
    assert row["effects"]["residual"] == ["io"]
    assert row["message"] == "effects.contract.mismatch resolved"


def test_observers_see_handle_perform_and_resume() -> None:
    events: list[dict[str, Any]] = []
    with loaded(QUIET, OPTED_IN) as context:
        context.observe_effects(events.append)
        context.run()
        assert [event["event"] for event in events] == ["handle", "perform", "resume", "perform", "resume"]
        assert events[1] == {"event": "perform", "effect": "Console", "operation": "log", "handled_by": "handler"}
        context.observe_effects(None)
        context.run()
    assert len(events) == 5


def test_observers_see_every_application() -> None:
    events: list[dict[str, Any]] = []
    source = """
    effect Ask { operation ask: () -> Int }
    fn once() -> Int = handle do Ask.ask() with handler Ask { operation ask(resume) { resume(1) } }
    fn main() -> Int = { var total = 0; for n in 1..=50 { total += once() }; total }
    """
    with loaded(source) as context:
        context.observe_effects(events.append)
        assert context.run() == 50
    assert sum(event["event"] == "handle" for event in events) == 50


def test_an_observer_that_raises_does_no_harm() -> None:
    def observer(event: dict[str, Any]) -> None:
        raise RuntimeError(event)

    with loaded(QUIET, OPTED_IN) as context:
        context.observe_effects(observer)
        assert context.run() == ["a", "b"]


def test_an_observer_cannot_run_the_context() -> None:
    with loaded(QUIET, OPTED_IN) as context:
        failures: list[str] = []

        def observer(event: dict[str, Any]) -> None:
            try:
                context.run()
            except reml.RemlError as error:
                failures.append(error.label)

        context.observe_effects(observer)
        assert context.run() == ["a", "b"]
    assert set(failures) == {"busy"}


# --- the command line ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REML_EMBED_AUDIT_PATH", raising=False)
    path = tmp_path / "quiet.reml"
    path.write_text(QUIET)
    return path


def run(*words: str) -> Any:
    return CliRunner().invoke(cli, words)


def test_deny_experimental_exits_with_1(program: Path) -> None:
    for command in ("run", "check"):
        result = run(command, "--deny", "experimental", program.name)
        assert result.exit_code == 1
        assert "error[effects.stage.missing_opt_in]" in result.stderr
        assert run(command, program.name).exit_code == 0
        assert run(command, "-Zalgebraic-effects", "--deny", "experimental", program.name).exit_code == 0


def test_ack_experimental_diagnostics_makes_warnings(program: Path) -> None:
    result = run("run", "--deny", "experimental", "--ack-experimental-diagnostics", program.name)
    assert result.exit_code == 0
    assert "warning[effects.stage.missing_opt_in]" in result.stderr


def test_untrusted_demands_opt_in(program: Path) -> None:
    assert run("run", "--untrusted", program.name).exit_code == 1
    assert run("run", "--untrusted", "-Zalgebraic-effects", program.name).exit_code == 0


def test_unknown_feature_ends_with_2_and_the_list(program: Path) -> None:
    result = run("run", "-Znope", program.name)
    assert result.exit_code == 2
    assert "unknown feature 'nope'; known: algebraic-effects" in result.stderr


GUIDE = """{
  "effects": {
    "stage": "experimental",
    "before": ["io"],
    "handled": ["io"],
    "residual": [],
    "handler": "Console"
  },
  "message": "effects.contract.mismatch resolved"
}
"""


def test_effects_debug_prints_what_the_guide_prints(program: Path) -> None:
    program.write_text(QUIET.replace("fn main() -> List<Str> = quiet()", "fn main() = { let _ = quiet() }"))
    assert run("run", "-Zalgebraic-effects", "--effects-debug", program.name).stdout == GUIDE
    assert run("check", "-Zalgebraic-effects", "--effects-debug", program.name).stdout == GUIDE + "quiet.reml: ok\n"


def test_effects_debug_is_part_of_the_json_forms(program: Path) -> None:
    shape = [json.loads(GUIDE)]
    flags = ("-Zalgebraic-effects", "--effects-debug")
    assert json.loads(run("run", *flags, "--format", "json", program.name).stdout)["effects_debug"] == shape
    assert json.loads(run("check", *flags, "--format", "json", program.name).stdout)["effects_debug"] == shape


def test_a_manifest_above_experimental_demands_opt_in(program: Path) -> None:
    manifest = Path("reml.toml")
    manifest.write_text('[dsl.quiet]\nentry = "quiet.reml"\nexpect_effects = ["io"]\ncapabilities = ["tracing"]\n')
    manifest.write_text(manifest.read_text() + 'expect_effects_stage = "beta"\n')
    result = run("run", program.name)
    assert result.exit_code == 1
    assert "error[effects.stage.missing_opt_in]" in result.stderr
    assert run("run", "-Zalgebraic-effects", program.name).exit_code == 0


def test_a_manifest_that_expects_another_stage_is_a_mismatch(program: Path) -> None:
    Path("reml.toml").write_text('[dsl.quiet]\nentry = "quiet.reml"\nexpect_effects_stage = "beta"\n')
    result = run("run", "-Zalgebraic-effects", program.name)
    assert result.exit_code == 1
    expected = "dsl.quiet.expect_effects_stage is beta, console stands at experimental"
    assert f"error[manifest.dsl.stage_mismatch]: reml.toml: {expected}" in result.stderr
    Path("reml.toml").write_text('[dsl.quiet]\nentry = "quiet.reml"\nexpect_effects_stage = "experimental"\n')
    assert run("run", "-Zalgebraic-effects", program.name).exit_code == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[dsl.quiet\n", "config.manifest.parse_error"),
        ("dsl = 1\n", "config.manifest.parse_error"),
        ("[dsl]\nquiet = 1\n", "config.manifest.parse_error"),
        ("[dsl.quiet]\n", "manifest.entry.missing"),
        ('[dsl.quiet]\nentry = "quiet.reml"\nexpect_effects_stage = "alpha"\n', "config.invalid_stage"),
        ('[dsl.quiet]\nentry = "quiet.reml"\ncapabilities = "console"\n', "config.manifest.parse_error"),
    ],
)
def test_a_broken_manifest_names_file_key_and_code(program: Path, text: str, code: str) -> None:
    Path("reml.toml").write_text(text)
    result = run("run", program.name)
    assert result.exit_code in (1, 2)
    assert f"{code}: reml.toml" in result.stderr
    assert "Traceback" not in result.output


def test_missing_operations_are_listed_in_extensions() -> None:
    source = 'fn main() -> Str = handle do Console.ask("q") with handler Console { }'
    with reml.Context() as context:
        found = next(item for item in context.check(source) if item.code == "effects.handler.unhandled_operation")
    effects = found.json["extensions"]["effects"]  # type: ignore[index,call-overload]
    assert effects == {"handler_name": "Console", "unhandled_operations": ["log", "ask"]}


def test_a_broken_contract_tells_its_sets_in_extensions() -> None:
    with reml.Context() as context:
        (found,) = context.check("fn f() -> () ! {mut} = println(1)")
    assert found.code == "effects.contract.mismatch"
    effects = found.json["extensions"]["effects"]  # type: ignore[index,call-overload]
    assert effects == {"before": ["io"], "handled": [], "residual": ["io"]}


def test_a_disabled_capability_binds_its_effect() -> None:
    registry = CapabilityRegistry()
    with reml.Context(registry=registry) as context:
        registry.disable("console")
        found = [item for item in context.check(QUIET) if item.severity == "error"]
        assert {item.code for item in found} == {"target.capability.unknown"}
        assert "console, which is disabled" in found[0].message
        registry.enable("console")
        assert context.check(QUIET) == []  # enabled by name: opted in to


def test_integrated_type_rows_are_blocked(program: Path) -> None:
    result = run("run", "-Ztype-row-integration", program.name)
    assert result.exit_code == 1
    assert "effects.type_row.integration_blocked" in result.stderr
    with pytest.raises(EffectError, match="metadata-only"):
        reml.Context(effects=OptIn(features=["type-row-integration"]))


def test_named_handlers_are_told_with_the_sets_of_their_calls() -> None:
    source = """
    handler Quiet for Console {
      operation log(text, resume) { resume(()) }
      operation ask(text, resume) { resume("no") }
    }
    fn main() -> Str = handle { println("x"); perform Console.ask("?") } with Quiet
    """
    events: list[dict[str, Any]] = []
    with loaded(source, output=len) as context:
        context.observe_effects(events.append)
        assert context.run() == "no"
        (row,) = kinds(context, "effects.handled")
    assert events[0]["effects"] == {
        "stage": "experimental", "before": ["io"], "handled": ["io"], "residual": ["io"], "handler": "Quiet",
    }  # fmt: skip
    assert row["envelope"]["metadata"]["effect.handler"] == "Quiet"
