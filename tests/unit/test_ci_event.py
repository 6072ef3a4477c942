"""The event of a test run: ``reml.test`` in the structured log (CONTRACTS 5.5), and what dashboards show of it (guide §9.2)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reml_embed._exporter import Exporter
from reml_embed.audit.kinds import KINDS
from reml_embed.audit.records import Record
from reml_embed.audit.schema import violations
from reml_embed.ci import ci_event, log_ci_event
from reml_embed.cli import reml as commands
from reml_embed.registry.target import load_profile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A directory with a module, and a structured log that is read by the call."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REML_EMBED_STRUCTURED_LOG", str(tmp_path / "log"))
    (tmp_path / "a.reml").write_text("module A\n\nfn good() -> Bool = true\nfn bad() -> Bool = false\n")
    return lambda: [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]


def run(*words, code=0):
    done = CliRunner().invoke(commands, words, prog_name="reml")
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_the_event_has_the_members_of_the_contract():
    made = ci_event(
        ["target.abi.mismatch", "effects.contract.mismatch", "type.mismatch"], 12.34567, load_profile("windows-msvc")
    )
    assert made == {
        "event": "reml.test", "target": "windows-msvc", "features": [], "duration_ms": 12.346,
        "diagnostics": {"target_config_errors": 1, "effects_cfg_contract": 1},
    }  # fmt: skip
    assert KINDS["reml.test"].required == tuple(
        f"event.{key}" for key in ("target", "features", "diagnostics", "duration_ms")
    )
    assert not violations(Record(made))
    assert violations(Record({"event": "reml.test"}))


def test_reml_run_test_writes_the_event(log):
    run("run", "test", "A::good")
    run("run", "test", "A::bad", code=1)
    first, second = log()
    assert (first["event"], first["diagnostics"]) == (
        "reml.test",
        {"target_config_errors": 0, "effects_cfg_contract": 0},
    )
    assert first["duration_ms"] > 0
    assert first["target"] == second["target"]


def test_errors_about_the_target_are_counted(log, monkeypatch):
    monkeypatch.setenv("REML_TARGET_PROFILE", "mac-arm64")
    monkeypatch.setenv("REML_TARGET_FEATURES", "neon")
    shown = run("run", "test", "A::good", code=1).stderr
    [made] = log()
    assert (made["target"], made["features"]) == ("mac-arm64", ["neon"])
    assert made["diagnostics"]["target_config_errors"] == shown.count("error[target.") > 0


def test_every_suite_of_examples_writes_one_event(log):
    run("examples", "run", "--suite", "core_config", "--suite", "core_diagnostics")
    config, pipelines = log()
    assert config["diagnostics"]["effects_cfg_contract"] == 0
    assert pipelines["diagnostics"]["effects_cfg_contract"] == 1  # the branch that is meant to fail


def test_a_log_that_cannot_be_written_fails_no_test(log, monkeypatch, tmp_path):
    monkeypatch.setenv("REML_EMBED_STRUCTURED_LOG", str(tmp_path / "none" / "log"))
    assert "core.diagnostics.metric_emit_failed" in run("run", "test", "A::good").stderr
    assert "the event of the suite was not written" in run("examples", "run", "--suite", "core_config").stderr
    monkeypatch.delenv("REML_EMBED_STRUCTURED_LOG")
    assert run("run", "test", "A::good").stderr == ""
    assert log_ci_event(ci_event([], 1)) is False


def test_pytest_writes_the_event_with_the_plugin(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from reml_embed import Context\n"
        "from reml_embed.registry.target import load_profile\n"
        "def test_well(): pass\n"
        "def test_profile(): load_profile('nope')\n"
        "def test_cfg():\n"
        "    with Context() as context: context.load('@cfg(capability = \"no.such\") fn f() -> Int = 1')\n"
    )
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "reml_embed.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "test_it.py",
    ]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "REML_EMBED_STRUCTURED_LOG": "log"}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    [made] = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert made["diagnostics"] == {"target_config_errors": 2, "effects_cfg_contract": 0}
    environment["REML_EMBED_STRUCTURED_LOG"] = "none/log"
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "reml.test was not written: none/log: No such file or directory" in done.stdout
    assert done.returncode == 1


def test_target_config_errors_is_the_figure_of_the_dashboard(tmp_path):
    log_ci_event(ci_event(["target.abi.mismatch"], 1, load_profile("mac-arm64")), tmp_path / "log")
    found = Exporter([tmp_path / "log"], process=False).samples()
    assert found["reml_target_config_errors"] == [(("mac-arm64",), 1.0)]
    board = (ROOT / "dashboards" / "reml-embed.json").read_text(encoding="utf-8")
    assert '"expr": "reml_target_config_errors"' in board
