"""Guide 11.1 and CONTRACTS 19.1: opting in, testing a handler, and what promotion asks about."""

from __future__ import annotations

import json
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
