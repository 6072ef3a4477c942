"""``remlc`` and ``reml-run lint``: forms of output, filters, exit codes, bad input (CONTRACTS 0.6, 3.4, 10.5, 20, 21)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reml_embed.cli.reml_run import reml_run
from reml_embed.cli.remlc import remlc
from reml_embed.diagnostics import problems
from reml_embed.diagnostics.envelope import COMMANDS, PHASES

GOOD, BAD, WARNING = "fn f() -> Int = 1\n", "fn f() -> Int = nope\n", "fn f() {\n  1\n  ()\n}\n"
EXPERIMENTAL = '@requires_capability(stage = "experimental", id = "async.distributed") fn f() -> Int = 1\n'


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Write a program into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="a.reml"):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(data)
        return name

    return write


def call(group, *words, code=0):
    """Run a command line here."""
    program = {remlc: "remlc", reml_run: "reml-run"}[group]
    done = CliRunner().invoke(group, words, prog_name=program)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def script(module, *words, **options):
    """Run a command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, timeout=60, check=False, **options
    )


# --- remlc -----------------------------------------------------------------------------------------------------------------------


def test_remlc_file_is_remlc_check_file(source):
    for text, code in ((GOOD, 0), (BAD, 1)):
        file = source(text)
        short, long = call(remlc, file, code=code), call(remlc, "check", file, code=code)
        assert (short.stdout, short.stderr) == (long.stdout, long.stderr)
    assert call(remlc, source(GOOD)).stdout == "a.reml: ok\n"


def test_options_may_stand_before_the_file(source):
    assert '"pipeline_started"' in call(remlc, "--emit-audit", source(GOOD)).stderr
    call(remlc, "--output", "json", source(GOOD))


def test_the_json_form_is_the_envelope_of_the_contract(source):
    done = call(remlc, source(BAD), "--output", "json", code=1)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert list(found) == ["schema_version", "command", "phase", "run_id", "diagnostics", "summary", "exit_code"]
    assert (found["schema_version"], found["command"], found["phase"]) == ("3.0.0-alpha", "Check", "TypeCheck")
    assert (found["command"] in COMMANDS, found["phase"] in PHASES) == (True, True)
    assert found["exit_code"] == {"label": "failure", "value": 1}
    assert found["summary"]["inputs"] == ["a.reml"]
    assert found["summary"]["stats"] == {"errors": 1, "warnings": 0}
    (item,) = found["diagnostics"]
    assert problems(item) == []
    assert item["code"] == "type.unresolved_ident"
    found = json.loads(call(remlc, source(GOOD), "--output", "json").stdout)
    assert (found["exit_code"], found["diagnostics"]) == ({"label": "success", "value": 0}, [])


def test_the_run_id_of_the_envelope_is_that_of_the_records(source):
    done = call(remlc, source(BAD), "--output", "json", "--emit-audit", code=1)
    found = json.loads(done.stdout)
    for line in done.stderr.splitlines():
        assert json.loads(line)["envelope"]["metadata"]["cli.run_id"] == found["run_id"]
    (item,) = found["diagnostics"]
    record = json.loads(done.stderr.splitlines()[1])
    assert record["envelope"]["audit_id"] == item["audit"]["audit_id"]
    metadata = record["envelope"]["metadata"]
    assert {name: metadata[name] for name in item["audit_metadata"]} == item["audit_metadata"]


def test_the_lsp_form_is_one_line_for_each_file(source, tmp_path):
    done = call(
        remlc,
        source(GOOD, "good.reml"),
        source('let s = "😀"; let b = nope', "bad file.reml"),
        "--output",
        "lsp",
        code=1,
    )
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert good == {"uri": (tmp_path / "good.reml").as_uri(), "diagnostics": []}
    assert bad["uri"].endswith("/bad%20file.reml")
    (item,) = bad["diagnostics"]
    assert item["range"] == {"start": {"line": 0, "character": 22}, "end": {"line": 0, "character": 26}}
    assert (item["severity"], item["code"], item["source"]) == (1, "type.unresolved_ident", "reml")


def test_filters_change_what_is_shown_and_nothing_else(source):
    file = source(BAD + WARNING.replace("f()", "g()"))
    for options, codes in (
        ([], {"type.unresolved_ident", "language.statement.unused_value"}),
        (["--filter", "severity=warning"], {"language.statement.unused_value"}),
        (["--include", "code=type.*"], {"type.unresolved_ident"}),
        (["--exclude", "domain=type"], set()),
        (["--effect-tag", "io"], set()),
    ):
        done = call(remlc, file, *options, "--output", "json", "--emit-audit", code=1)
        assert {item["code"] for item in json.loads(done.stdout)["diagnostics"]} == codes
        kinds = [json.loads(line)["envelope"]["metadata"]["event.kind"] for line in done.stderr.splitlines()]
        assert kinds == ["pipeline_started", *["diagnostic.emitted"] * 2, "pipeline_completed"]
    done = call(remlc, file, "--filter", "severity=warning", code=1)
    assert "unused_value" in done.stderr
    assert "unresolved_ident" not in done.stderr
    assert done.stdout == "a.reml: 1 error\n"


def test_effect_tags_choose_effect_diagnostics(source):
    file = source("fn f() -> () ! {} = println(1)\nfn g() -> Int = nope\n")
    done = call(remlc, file, "--effect-tag", "io", "--output", "json", code=1)
    assert [item["code"] for item in json.loads(done.stdout)["diagnostics"]] == ["effects.contract.mismatch"]


def test_a_target_diagnostic_carries_requested_and_detected(source):
    done = call(remlc, source('@cfg(target_oz = "x") let a = 1\n'), "--output", "json", code=1)
    (item,) = json.loads(done.stdout)["diagnostics"]
    target = item["extensions"]["target"]
    assert target["requested"].keys() >= {"os", "arch", "family"}
    assert target["requested"] == target["detected"]


def test_modules_that_a_file_uses_are_loaded_and_named(source):
    broken = source("module Shapes\npub fn area() -> Int = nope\n", "shapes.reml")
    main = source("module Main\nuse Shapes\nfn main() -> Int = Shapes.area()\n", "main.reml")
    done = call(remlc, main, "--with", broken, "--output", "json", "--emit-audit", code=1)
    (item,) = json.loads(done.stdout)["diagnostics"]
    assert item["primary"]["file"] == "shapes.reml"
    kinds = [json.loads(line)["envelope"]["metadata"]["event.kind"] for line in done.stderr.splitlines()]
    assert kinds == ["diagnostic.emitted", "pipeline_started", "pipeline_completed"]


def test_wrong_usage_and_missing_files_exit_with_2(source, tmp_path):
    source(GOOD)
    (tmp_path / "folder").mkdir()
    for words in ([], ["missing.reml"], ["folder"], ["--nope"], ["a.reml", "--output", "xml"], ["a.reml", "--filter", "x"], ["check"],
                  ["a.reml", "--emit-audit=maybe"], ["a.reml", "--audit", "folder"]):  # fmt: skip
        done = call(remlc, *words, code=2)
        assert done.stdout == ""
        assert done.stderr


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "native.embed.invalid_argument"), (b"\xff\xfe\x00", "parser.lexer.invalid_utf8"), (b"let a = \0", "parser.lexer.unknown_token"),
     (b"fn f() = 1 //" + b"x" * (17 << 20), "parser.limit.exceeded"), (b'let a = "' + b"x" * 3_000_000 + b'" + nope', "type.unresolved_ident")],
    ids=["empty", "utf16", "nul", "huge", "one-line"],
)  # fmt: skip
@pytest.mark.parametrize("output", ["human", "json", "lsp"])
def test_bad_sources_are_diagnostics_in_every_form(source, data, code, output):
    done = call(remlc, source(data), "--output", output, code=1)
    assert code in done.stderr + done.stdout
    assert len(done.output) < 60_000
    assert "Traceback" not in done.output


def test_file_names_that_are_no_text_are_shown_as_something_else(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"\xfe.reml")).write_text(WARNING)
    except OSError:
        pytest.skip("this file system takes text only")
    for options in ([], ["--output", "json"], ["--output", "lsp"], ["--emit-audit"], ["--audit", "log"]):
        done = script("reml_embed.cli.remlc", b"\xfe.reml", *options, cwd=tmp_path)
        assert done.returncode == 0
        assert b"Traceback" not in done.stderr
    assert b"%FE.reml" in script("reml_embed.cli.remlc", b"\xfe.reml", "--output", "lsp", cwd=tmp_path).stdout


def test_closed_and_full_outputs_are_no_traceback(source, tmp_path):
    file = source(BAD)
    for words in ([], ["--output", "json"], ["--emit-audit"]):
        command = f'"$0" -m reml_embed.cli.remlc {file} {" ".join(words)}'
        for redirection in (">&-", "2>&-", ">/dev/full" if Path("/dev/full").exists() else ""):
            done = subprocess.run(
                ["sh", "-c", f"{command} {redirection}", sys.executable],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode in (1, 2)
            assert "Traceback" not in done.stderr
            assert "Exception ignored" not in done.stderr


# --- reml-run lint ---------------------------------------------------------------------------------------------------------------


def test_lint_reports_as_one_object(source):
    found = json.loads(call(reml_run, "lint", source(WARNING), "--format", "json").stdout)
    assert list(found) == ["command", "file", "domain", "diagnostics", "summary", "audit_id", "exit_code"]
    assert (found["command"], found["file"], found["domain"], found["exit_code"]) == ("lint", "a.reml", None, 0)
    assert found["summary"] == {"errors": 0, "warnings": 1}
    (item,) = found["diagnostics"]
    assert problems(item) == []
    assert item["primary"]["file"] == "a.reml"


def test_the_audit_id_of_a_lint_is_that_of_its_records(source):
    done = call(reml_run, "lint", source(GOOD), "--format", "json", "--emit-audit")
    metadata = [json.loads(line)["envelope"]["metadata"] for line in done.stderr.splitlines()]
    assert [item["event.kind"] for item in metadata] == ["pipeline_started", "pipeline_completed"]
    assert {item["cli.audit_id"] for item in metadata} == {json.loads(done.stdout)["audit_id"]}
    assert {(item["cli.program"], item["cli.command"]) for item in metadata} == {("reml-run", "lint")}


def test_warnings_fail_only_with_the_flag(source):
    file = source(WARNING)
    call(reml_run, "lint", file)
    assert "a.reml: failed" in call(reml_run, "lint", file, "--fail-on-warning", code=1).stdout
    assert (
        json.loads(call(reml_run, "lint", file, "--fail-on-warning", "--format", "json", code=1).stdout)["exit_code"]
        == 1
    )
    call(reml_run, "lint", source(GOOD), "--fail-on-warning")
    call(reml_run, "lint", source(BAD), code=1)


def test_deny_experimental_finds_what_is_left(source):
    file = source(EXPERIMENTAL)
    call(reml_run, "lint", file, "--domain", "async")
    done = call(reml_run, "lint", file, "--domain", "async", "--deny", "experimental", "--format", "json", code=1)
    found = json.loads(done.stdout)
    (item,) = found["diagnostics"]
    assert item["primary"]["start_line"] == 1
    assert (item["code"], item["severity"]) == ("effects.contract.stage_mismatch", "error")
    assert item["extensions"]["effects"]["stage"] == "experimental"
    assert found["domain"] == "async"
    for stage in ("beta", "stable"):
        call(
            reml_run,
            "lint",
            source(EXPERIMENTAL.replace("experimental", stage).replace("async.distributed", "async")),
            "--deny",
            "experimental",
        )


def test_deny_experimental_does_not_ask_what_is_enabled(source):
    from reml_embed.cli import reml

    done = CliRunner().invoke(reml, ["capability", "enable", "async.distributed", "--stage", "experimental"])
    assert done.exit_code == 0, done.output
    call(reml_run, "lint", source(EXPERIMENTAL), "--deny", "experimental", code=1)


def test_a_domain_chooses_warnings_but_hides_no_error(source):
    file = source(WARNING + BAD.replace("f()", "g()"))
    for domain, count in (("async", 1), ("type", 2)):
        found = json.loads(call(reml_run, "lint", file, "--domain", domain, "--format", "json", code=1).stdout)
        assert len(found["diagnostics"]) == count
        assert found["summary"]["errors"] == 1
    assert (
        json.loads(call(reml_run, "lint", source(GOOD), "--domain", "network", "--format", "json").stdout)["domain"]
        == "net"
    )


def test_several_files_are_several_objects(source):
    done = call(reml_run, "lint", source(GOOD, "a.reml"), source(BAD, "b.reml"), "--format", "json", code=1)
    assert [(item["file"], item["exit_code"]) for item in map(json.loads, done.stdout.splitlines())] == [
        ("a.reml", 0),
        ("b.reml", 1),
    ]


def test_wrong_usage_of_lint_exits_with_2(source):
    source(GOOD)
    for words in (
        [],
        ["missing.reml"],
        ["a.reml", "--domain", "nowhere"],
        ["a.reml", "--deny", "beta"],
        ["a.reml", "--format", "xml"],
    ):
        call(reml_run, "lint", *words, code=2)


MANIFEST = '[project]\nname = "a"\nversion = "1.0.0"\n[dsl.x]\nentry = "a.reml"\n'


def test_lint_looks_at_manifests_and_other_configurations(source):
    source(GOOD)
    file = source(MANIFEST.replace('version = "1.0.0"', 'version = "1"'), "reml.toml")
    done = call(reml_run, "lint", file, code=1)
    assert "error[config.project.version_invalid]" in done.stderr
    assert "reml.toml:3:1" in done.stderr
    [found] = json.loads(call(reml_run, "lint", file, "--format", "json", code=1).stdout)["diagnostics"]
    assert (found["domain"], found["extensions"]["config"]["key_path"]) == ("config", "project.version")
    assert (found["primary"]["start_line"], found["file"]) == (3, "reml.toml")
    call(reml_run, "lint", source('{"a": 1}', "b.json"), "--domain", "config")
    call(reml_run, "lint", source('{"a": 1,}', "b.json"), "--domain", "config", code=1)


def test_lint_of_a_configuration_can_fail_on_warnings(source):
    source(GOOD)
    file = source(MANIFEST + "odd = 1\n", "reml.toml")
    call(reml_run, "lint", file)
    call(reml_run, "lint", file, "--fail-on-warning", code=1)
    call(reml_run, "lint", file, "--fail-on-warning", "--domain", "async")


def test_lint_without_files_takes_the_manifest_and_its_entries(source):
    source(GOOD)
    source(MANIFEST, "reml.toml")
    done = call(reml_run, "lint")
    assert done.stdout.splitlines() == ["reml.toml: ok: 0 errors, 0 warnings", "a.reml: ok: 0 errors, 0 warnings"]
    source(BAD)
    assert "a.reml: failed" in call(reml_run, "lint", code=1).stdout


def test_the_entry_points_are_declared():
    import tomllib

    scripts = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["remlc"] == "reml_embed.cli.remlc:main"
    assert scripts["reml-run"] == "reml_embed.cli.reml_run:main"
    for module in ("reml_embed.cli.remlc", "reml_embed.cli.reml_run"):
        assert b"Usage: " in script(module, "--help").stdout
