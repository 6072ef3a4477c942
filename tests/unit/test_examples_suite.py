"""``reml examples run``: suites, their golden files, the normaliser (CONTRACTS 0.8, 3.4)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from reml_embed.audit import Record, missing_keys
from reml_embed.cli import reml
from reml_embed.cli.examples import ROOT, read_suite
from reml_embed.diagnostics import problems
from reml_embed.testing import normalised

EXAMPLES = ROOT / "examples"


def call(*words, code=0):
    """`reml examples …` here."""
    done = CliRunner().invoke(reml, ["examples", *words])
    assert done.exit_code == code, (done.output, done.exception)
    return done


@pytest.fixture
def checkout(tmp_path):
    """A checkout with the suite core_diagnostics."""
    shutil.copytree(EXAMPLES / "core_diagnostics", tmp_path / "examples" / "core_diagnostics")
    return tmp_path


def golden(name: str) -> list[dict]:
    """Records of a golden file."""
    lines = (EXAMPLES / "core_diagnostics" / f"{name}.expected.audit.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("suite", sorted(file.parent.name for file in EXAMPLES.glob("*/suite.toml")))
def test_every_suite_is_as_its_golden_files_say(suite):
    done = call("run", "--suite", suite, "--with-audit")
    assert "FAILED" not in done.output


def test_pipeline_success_leaves_two_records_and_exit_0():
    started, completed = (record["envelope"]["metadata"] for record in golden("pipeline_success"))
    assert (started["event.kind"], completed["event.kind"]) == ("pipeline_started", "pipeline_completed")
    assert (completed["pipeline.outcome"], completed["pipeline.exit_code"], completed["pipeline.diagnostics"]) == (
        "success",
        "success",
        0,
    )
    for metadata in (started, completed):
        assert metadata["pipeline.id"] == "dsl://examples/core_diagnostics/pipeline_success.reml"
        assert (metadata["pipeline.node"], metadata["pipeline.dsl_id"]) == ("pipeline_success", "pipeline_success.reml")


def test_pipeline_branch_completes_with_one_stage_mismatch_and_exit_code_failure():
    started, emitted, completed = (record["envelope"]["metadata"] for record in golden("pipeline_branch"))
    assert (started["event.kind"], emitted["event.kind"], completed["event.kind"]) == (
        "pipeline_started", "diagnostic.emitted", "pipeline_completed",
    )  # fmt: skip
    assert (completed["pipeline.outcome"], completed["pipeline.exit_code"], completed["pipeline.diagnostics"]) == (
        "success",
        "failure",
        1,
    )
    found = json.loads(
        (EXAMPLES / "core_diagnostics" / "pipeline_branch.expected.diagnostic.json").read_text(encoding="utf-8")
    )
    (item,) = found["diagnostics"]
    assert (item["code"], item["severity"], item["domain"]) == ("effects.contract.stage_mismatch", "error", "effect")
    effects = item["extensions"]["effects"]
    assert (effects["capability"], effects["required_stage"], effects["actual_stage"]) == (
        "async.stream",
        "at_least:stable",
        "beta",
    )
    assert emitted["effect.capability"] == "async.stream"
    assert found["exit_code"] == {"label": "failure", "value": 1}
    assert item["audit"]["audit_id"] == golden("pipeline_branch")[1]["envelope"]["audit_id"]


def test_a_failure_that_is_meant_is_an_allowed_failure():
    done = call("run", "--suite", "core_diagnostics")
    assert "core_diagnostics/pipeline_branch: ok: exit 1 (allowed failure)" in done.stdout
    assert "core_diagnostics/pipeline_success: ok: exit 0\n" in done.stdout


def test_golden_records_are_valid_records():
    for file in EXAMPLES.glob("core_diagnostics/*.expected.audit.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert missing_keys(Record.parse(line)) == []
    for file in EXAMPLES.glob("core_diagnostics/*.expected.diagnostic.json"):
        for item in json.loads(file.read_text(encoding="utf-8"))["diagnostics"]:
            assert problems(item) == []


def test_update_golden_rewrites_and_implies_with_audit(checkout):
    folder = checkout / "examples" / "core_diagnostics"
    before = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.expected.*")}
    assert any(name.endswith(".jsonl") for name in before)
    for name in before:
        (folder / name).write_text("old", encoding="utf-8")
    call("run", "--suite", "core_diagnostics", "--folder", str(checkout), code=1)
    call("run", "--suite", "core_diagnostics", "--folder", str(checkout), "--update-golden")
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.expected.*")} == before


def test_a_golden_file_that_differs_fails_and_shows_the_difference(checkout):
    file = checkout / "examples" / "core_diagnostics" / "pipeline_success.expected.audit.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("pipeline_completed", "pipeline_failed"), encoding="utf-8")
    call("run", "--suite", "core_diagnostics", "--folder", str(checkout))  # records are compared on demand
    done = call("run", "--suite", "core_diagnostics", "--folder", str(checkout), "--with-audit", code=1)
    assert "core_diagnostics/pipeline_success: FAILED" in done.stdout
    assert "pipeline_failed" in done.stderr
    file.unlink()
    assert (
        "No such file"
        in call("run", "--suite", "core_diagnostics", "--folder", str(checkout), "--with-audit", code=1).stderr
    )


def test_an_exit_that_was_not_meant_fails(checkout):
    (checkout / "examples" / "core_diagnostics" / "pipeline_success.reml").write_text("let a = nope\n")
    done = call("run", "--suite", "core_diagnostics", "--folder", str(checkout), code=1)
    assert "ended with 1, not 0" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "case"),
        ("[[case]]", "case[1]: `name`"),
        ("x = [", "suite.toml"),
        ('[[case]]\nname = "a"\ncommand = ["rm", "-r"]', "case[1].command: `rm`"),
        ('[[case]]\nname = "a"\ncommand = ["reml"]\nexit = "1"', "case[1].exit: expected int, got str"),
        ('[[case]]\nname = "a"\ncommand = ["reml"]\nexit = true', "case[1].exit: expected int, got bool"),
        ('[[case]]\nname = "a"\ncommand = ["reml"]\nexti = 1', "case[1].exti: unknown; known: name"),
        ('[[case]]\nname = "a"\ncommand = ["reml"]\nexit = 1', "allowed_failure"),
        ('[[case]]\nname = "a"\ncommand = ["reml"]\noutput = "../x"', "case[1].output"),
        ('[[case]]\nname = "a"\ncommand = ["reml", 1]', "list of words"),
    ],
)
def test_a_wrong_suite_is_an_error_naming_file_and_member(checkout, text, said):
    (checkout / "examples" / "core_diagnostics" / "suite.toml").write_text(text)
    done = call("run", "--suite", "core_diagnostics", "--folder", str(checkout), code=2)
    assert "suite.toml" in done.stderr
    assert said in done.stderr


def test_a_suite_that_is_not_there_is_wrong_usage(tmp_path):
    assert "core_diagnostics" in call("run", "--suite", "nope", code=2).stderr
    call("run", code=2)
    assert "source checkout" in call("run", "--suite", "core_diagnostics", "--folder", str(tmp_path), code=2).stderr
    assert "core_diagnostics" in call("list").stdout


def test_no_absolute_path_is_in_a_golden_file():
    for file in EXAMPLES.glob("*/*.expected.*"):
        assert not re.search(r'"(?:file://)?/[^"]*', file.read_text(encoding="utf-8"))
    title, cases = read_suite(EXAMPLES / "core_diagnostics")
    assert title
    assert all(word and not Path(word).is_absolute() for case in cases for word in case.command)


def test_the_normaliser_keeps_what_is_the_same_and_takes_what_changes():
    one, two = "c6cdebe5-2a50-4b2b-96c6-0f74f1fa0f11", "a6cdebe5-2a50-4b2b-96c6-0f74f1fa0f11"
    text = f'{{"a":"{one}","b":"{two}","c":"{one}","t":"2026-03-02T08:36:45Z","u":"2026-03-02T08:36:45.123Z","h":"{"ab" * 32}"}}'
    found = json.loads(normalised(text))
    assert found["a"] == found["c"] == "00000000-0000-4000-8000-000000000001"
    assert found["b"] == "00000000-0000-4000-8000-000000000002"
    assert found["t"] == found["u"] == "2000-01-01T00:00:00Z"
    assert found["h"] == "0" * 64
    assert normalised("cli/20260302T083645Z-1a2b3c4#1") == "cli/20000101T000000Z#1"
    assert normalised(normalised(text)) == normalised(text)
    ids: dict[str, str] = {}
    assert normalised(two, ids) == normalised(two, ids)
    assert normalised(one, ids).endswith("2")


def test_a_case_has_a_log_of_its_own_whose_path_is_not_in_the_golden_file(tmp_path):
    folder = tmp_path / "examples" / "mine"
    folder.mkdir(parents=True)
    (folder / "a.reml").write_text('fn main() -> Result<Bool, IoError> = IO.exists(Path.path("a"))\n', encoding="utf-8")
    case = (
        '[[case]]\nname = "a"\ncommand = ["reml", "run", "examples/mine/a.reml", "--audit", "{log}"]\nlog = "a.jsonl"\n'
    )
    (folder / "suite.toml").write_text(case, encoding="utf-8")
    call("run", "--suite", "mine", "--update-golden", "--folder", str(tmp_path))
    everything = (folder / "a.jsonl").read_text(encoding="utf-8")
    (folder / "suite.toml").write_text(case + 'log_category = "core.io"\n', encoding="utf-8")
    call("run", "--suite", "mine", "--update-golden", "--folder", str(tmp_path))
    call("run", "--suite", "mine", "--with-audit", "--folder", str(tmp_path))
    (line,) = (folder / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["category"] == "core.io"
    assert '"category":"core.io"' in everything
    assert '"{log}"' in line
    assert "/tmp" not in everything
    (folder / "a.jsonl").write_text(line.replace("core.io", "core.other") + "\n", encoding="utf-8")
    call("run", "--suite", "mine", "--with-audit", "--folder", str(tmp_path), code=1)


@pytest.mark.parametrize("case", ['command = ["reml", "version"]\nlog = "a"', 'command = ["reml", "version", "{log}"]'])
def test_a_log_and_its_word_go_together(tmp_path, case):
    folder = tmp_path / "examples" / "mine"
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text(f'[[case]]\nname = "a"\n{case}\n', encoding="utf-8")
    assert "{log}" in call("run", "--suite", "mine", "--folder", str(tmp_path), code=2).stderr
