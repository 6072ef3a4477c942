"""Guide 11.1 and CONTRACTS 19.1: opting in, testing a handler, and what promotion asks about."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reml_embed.cli import reml as cli

ASYNC = """
module Logs
@handles(Console)
@requires_capability(stage="experimental")
fn collected(names: List<Str>) -> List<Str> =
  handle {
    for name in names { perform Console.log(name) }
  } with handler Console {
    operation log(text, resume) { [text].concat(resume(())) }
    operation ask(question, resume) { resume("") }
    return value { [] }
  }

@requires_capability(stage="experimental")
pub fn collect_logs() -> () = {
  println("printed by the test")
  assert(collected(["a", "b"]) == ["a", "b"])
}
pub fn fails() -> () = { println("before"); assert(false) }
pub fn refuses() -> Result<Int, Str> = Err("no")
pub fn denies() -> Bool = false
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("REML_EMBED_AUDIT_PATH", "REMLC_EFFECT_STAGE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "async.reml").write_text(ASYNC)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(cli, words)


def checks() -> list[dict[str, Any]]:
    path = Path(".reml", "stage-checks.json")
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found


def records(kind: str) -> list[dict[str, Any]]:
    lines = Path(".reml", "audit.ndjson").read_text().splitlines()
    rows = [json.loads(line)["envelope"] for line in lines]
    return [row for row in rows if row["metadata"]["event.kind"] == kind]


# --- reml run test -------------------------------------------------------------------------------------------------------


def test_run_test_runs_the_function_with_captured_output(directory: Path) -> None:
    result = run("run", "-Zalgebraic-effects", "test", "async::collect_logs")
    assert result.exit_code == 0
    assert result.stdout == "test async::collect_logs ... ok\n  console at experimental: passed\n"
    assert "printed by the test" not in result.output


def test_run_test_records_the_outcome_as_a_stage_check(directory: Path) -> None:
    run("run", "-Zalgebraic-effects", "test", "async::collect_logs")
    (check,) = checks()
    (record,) = records("effects.stage.check")
    assert set(check) == {"id", "stage", "tests_passed", "audit_id", "timestamp"}
    assert (check["id"], check["stage"], check["tests_passed"]) == ("console", "experimental", True)
    assert check["audit_id"] == record["audit_id"]
    assert record["capability"] == "console"
    assert record["metadata"]["test.target"] == "async::collect_logs"
    assert record["metadata"]["effect.stage.actual"] == "experimental"


def test_without_the_flag_the_diagnostic_stays_open(directory: Path) -> None:
    result = run("run", "test", "async::collect_logs")
    assert result.exit_code == 0
    assert "hint[effects.stage.missing_opt_in]" in result.stderr
    assert checks()[0]["open_diagnostics"] == ["effects.stage.missing_opt_in"]


@pytest.mark.parametrize("function", ["fails", "refuses", "denies"])
def test_a_failing_test_is_recorded_and_shows_what_it_printed(directory: Path, function: str) -> None:
    result = run("run", "-Zalgebraic-effects", "test", f"async::{function}")
    assert result.exit_code == 1
    assert f"test async::{function} ... FAILED\n" in result.stdout
    assert ("before" in result.stdout) == (function == "fails")
    assert checks()[0]["tests_passed"] is False


def test_a_module_that_does_not_load_is_a_failed_check(directory: Path) -> None:
    Path("async.reml").write_text(ASYNC.replace('@requires_capability(stage="experimental")\n', "", 1))
    result = run("run", "-Zalgebraic-effects", "test", "async::collect_logs")
    assert result.exit_code == 1
    assert "error[effects.contract.stage_mismatch]" in result.stderr
    (check,) = checks()
    assert (check["id"], check["tests_passed"]) == ("console", False)


def test_json_has_the_checks_and_the_output(directory: Path) -> None:
    result = run("run", "-Zalgebraic-effects", "test", "async::collect_logs", "--format", "json")
    data = json.loads(result.stdout)
    assert data["ok"] is True
    assert data["stdout"] == "printed by the test\n"
    assert data["stage_checks"] == checks()


@pytest.mark.parametrize("name", ["async", "Logs"])
def test_modules_are_known_by_file_and_by_header(directory: Path, name: str) -> None:
    assert run("run", "-Zalgebraic-effects", "test", f"{name}::collect_logs").exit_code == 0


def test_modules_of_the_manifest_are_known_by_section_too(directory: Path) -> None:
    Path("src").mkdir()
    Path("async.reml").rename("src/main.reml")
    manifest = '[project]\nname = "logs"\n[dsl.async]\nentry = "src/main.reml"\ncapabilities = ["console"]\n'
    Path("reml.toml").write_text(manifest)
    assert run("run", "-Zalgebraic-effects", "test", "async::collect_logs").exit_code == 0
    Path("reml.toml").write_text(manifest.replace("src/main", "src/gone"))
    result = run("run", "-Zalgebraic-effects", "test", "async::collect_logs")
    assert result.exit_code in (1, 2)
    assert "manifest.entry.missing: src/gone.reml" in result.stderr


def test_modules_that_are_used_are_loaded_before(directory: Path) -> None:
    Path("uses.reml").write_text("module Uses\nuse Deep.Tools.{three}\npub fn works() -> Bool = three() == 3\n")
    Path("a_tools.reml").write_text("module Deep.Tools\nuse Base\npub fn three() -> Int = Base.two() + 1\n")
    Path("z_base.reml").write_text("module Base\npub fn two() -> Int = 2\n")
    result = run("run", "test", "uses::works")
    assert (result.exit_code, result.stdout) == (0, "test uses::works ... ok\n")
    assert checks() == []
    assert records("effects.stage.check")[0]["metadata"]["test.passed"] is True


@pytest.mark.parametrize(
    ("target", "said"),
    [("nowhere::f", "no module `nowhere`; known: Logs, async"), ("async::", "expected MODULE::FUNCTION")],
)
def test_a_module_that_is_not_there_ends_with_2(directory: Path, target: str, said: str) -> None:
    result = run("run", "test", target)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_function_that_is_not_there_is_a_failure(directory: Path) -> None:
    result = run("run", "-Zalgebraic-effects", "test", "async::nothing")
    assert result.exit_code == 1
    assert "runtime.entry.unknown" in result.stderr


def test_a_file_named_test_is_still_a_file(directory: Path) -> None:
    Path("test").write_text("fn main() -> Int = 7")
    assert run("run", "test").stdout == "7\n"
    Path("test").unlink()
    result = run("run", "test")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_a_damaged_file_of_checks_is_named_and_kept(directory: Path) -> None:
    Path(".reml").mkdir()
    Path(".reml", "stage-checks.json").write_text("[{]")
    result = run("run", "-Zalgebraic-effects", "test", "async::collect_logs")
    assert result.exit_code == 1
    assert "error[effects.stage.checks_invalid]" in result.stderr
    assert "stage-checks.json:1" in result.stderr
    assert Path(".reml", "stage-checks.json").read_text() == "[{]"
    assert "Traceback" not in result.output


def test_a_directory_that_cannot_be_written_is_an_error(directory: Path) -> None:
    Path(".reml").write_text("a file where a directory should be")
    result = run("run", "-Zalgebraic-effects", "test", "async::collect_logs")
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output


# --- the guide's flow, with its commands -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """A command that has run, in a process of its own: what a directory's files say of capabilities stays in the process."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def reml(line: str) -> Ended:
    """A command as the guide prints it."""
    words = line.split()
    assert words[0] == "reml"
    command = [sys.executable, "-m", "reml_embed.cli", *words[1:]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_the_flow_of_guide_11_1_with_the_printed_commands(directory: Path) -> None:
    # 1 the experimental feature is enabled
    assert reml("reml run -Zalgebraic-effects test async::collect_logs").exit_code == 0
    # 2 the capability is opted in to
    enabled = reml("reml capability enable console --stage experimental")
    assert enabled.exit_code == 0
    assert json.loads(enabled.stdout)["enabled"] is True
    assert "missing_opt_in" not in reml("reml check async.reml").output
    # 3 the handler stands at its stage, and says so
    debug = reml("reml check --effects-debug --format json async.reml")
    (applied,) = json.loads(debug.stdout)["effects_debug"]
    assert applied["effects"]["stage"] == "experimental"
    assert applied["message"] == "effects.contract.mismatch resolved"
    # 4 promote, test again, promote
    assert reml("reml capability stage promote console --to beta").exit_code == 0
    too_early = reml("reml capability stage promote console --to stable")
    assert too_early.exit_code == 1
    assert "effects.stage.promote_without_checks" in too_early.output
    assert reml("reml run -Zalgebraic-effects test async::collect_logs").exit_code == 0
    assert [check["stage"] for check in checks()] == ["experimental", "beta"]
    assert reml("reml capability stage promote console --to stable").exit_code == 0
    assert json.loads(reml("reml capability describe console").stdout)["stage"] == "stable"
    promotions = records("capability.stage.promote")
    assert all(row["capability"] == "console" for row in promotions)
    assert [row["metadata"]["stage"] for row in promotions][-1] == "stable"


def test_promotion_fails_while_an_experimental_diagnostic_is_open(directory: Path) -> None:
    assert reml("reml run test async::collect_logs").exit_code == 0  # passes, but nobody has opted in
    result = reml("reml capability stage promote console --to beta")
    assert result.exit_code == 1
    assert "effects.stage.promote_without_checks" in result.output
    assert reml("reml run -Zalgebraic-effects test async::collect_logs").exit_code == 0
    assert reml("reml capability stage promote console --to beta").exit_code == 0


def test_promotion_fails_after_a_failed_test(directory: Path) -> None:
    assert reml("reml run -Zalgebraic-effects test async::fails").exit_code == 1
    assert reml("reml capability stage promote console --to beta").exit_code == 1


def test_promoting_foreign_calls_wants_the_manifest_at_the_same_stage(directory: Path) -> None:
    Path("calls.reml").write_text("module Calls\npub fn main() -> Int = 1\n")
    manifest = '[dsl.calls]\nentry = "calls.reml"\nexpect_effects = ["ffi"]\ncapabilities = ["foreign-call"]\n'
    Path("reml.toml").write_text(manifest + 'expect_effects_stage = "experimental"\n')
    assert reml("reml run calls.reml").exit_code == 0
    assert reml("reml capability stage check foreign-call -- true").exit_code == 0
    promoted = reml("reml capability stage promote foreign-call --to beta")
    assert promoted.exit_code == 0
    assert "warning[manifest.dsl.stage_mismatch]" in promoted.stderr
    for command in ("run", "check"):
        result = reml(f"reml {command} calls.reml")
        assert result.exit_code == 1
        assert "error[manifest.dsl.stage_mismatch]" in result.stderr
    Path("reml.toml").write_text(manifest + 'expect_effects_stage = "beta"\n')
    assert reml("reml run calls.reml").exit_code == 0
    assert reml("reml check calls.reml").exit_code == 0


def test_help_names_the_options_of_effects() -> None:
    for command in ("run", "check"):
        shown = run(command, "--help")
        assert shown.exit_code == 0
        for option in ("-Z FEATURE", "--deny", "--ack-experimental-diagnostics", "--effects-debug", "--effect-stage"):
            assert option in shown.stdout
