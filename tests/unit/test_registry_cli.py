"""``reml capability`` and what `reml run` and `reml check` make of its decisions (CONTRACTS 4.6, 19.2)."""

import json
import os
import subprocess
import sys

import pytest

import reml_embed as reml
from reml_embed.audit import lookup, missing_keys, read
from reml_embed.registry.capability import CapabilityRegistry

REML = [sys.executable, "-m", "reml_embed.cli"]


@pytest.fixture
def command(tmp_path):
    """Run `reml` in an empty folder; its standard output, parsed where it is JSON."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in {"REML_EMBED_AUDIT_PATH", "REMLC_EFFECT_STAGE", "BRIDGE_STAGE_RECORDS_PATH"}
    }

    def run(*arguments, code=0, env=None):
        done = subprocess.run(
            [*REML, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
            env=environment | (env or {}),
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def answer(command):
    return lambda *arguments, **more: json.loads(command(*arguments, **more).stdout)


def records(tmp_path, name=".reml/audit.ndjson"):
    found = [line.record for line in read(tmp_path / name)]
    assert all(record is not None and missing_keys(record) == [] for record in found)
    assert reml.audit.verify(tmp_path / name).ok
    return found


def test_list_prints_the_descriptors_in_the_order_of_registration(command, answer):
    found = answer("capability", "list")
    assert list(found) == ["schema_version", "capabilities"]
    assert found["schema_version"] == "3.0.0-alpha"
    assert found["capabilities"] == [row.to_json() for row in CapabilityRegistry().describe_all()]
    assert command("capability", "list").stdout.count("\n") == 1


def test_list_by_stage(answer):
    """§11 second: confirm with ``reml capability list --stage stable``."""
    found = answer("capability", "list", "--stage", "stable")["capabilities"]
    assert {row["stage"] for row in found} == {"stable"}
    assert {"async", "gc", "io.fs.read"} <= {row["id"] for row in found}
    assert "gpu" in {row["id"] for row in answer("capability", "list", "--stage", "experimental")["capabilities"]}


def test_list_as_markdown(command):
    lines = command("capability", "list", "--format", "markdown").stdout.splitlines()
    assert lines[0] == "| Capability | Stage | Effect Scope | Provider | Manifest Path |"
    assert lines[2] == "| `io.fs.read` | stable | fs.read, io | core | - |"
    assert len(lines) == len(CapabilityRegistry()) + 2


def test_describe(command, answer):
    assert answer("capability", "describe", "gc") == CapabilityRegistry().describe("gc").to_json()
    assert (
        command("capability", "describe", "gc").stdout
        == command("capability", "describe", "gc", "--output", "json").stdout
    )
    human = command("capability", "describe", "ffi.bridge", "--output", "human").stdout
    assert "ffi.bridge" in human
    assert "runtime verify_abi" in human
    done = command("capability", "describe", "no.such", code=1)
    assert done.stdout == ""
    assert "runtime.capability.unknown" in done.stderr


def test_enable(command, answer, tmp_path):
    """The guide: ``reml capability enable console --stage experimental``."""
    found = answer("capability", "enable", "console", "--stage", "experimental")
    assert list(found) == ["id", "stage", "enabled", "audit_id"]
    assert (found["id"], found["stage"], found["enabled"]) == ("console", "experimental", True)
    assert answer("capability", "enable", "gpu")["stage"] == "experimental"
    first, _ = records(tmp_path)
    assert first.audit_id == found["audit_id"]
    assert (first.kind, first.capability, first.channel) == ("capability.enable", "console", "cli")
    assert (lookup(first, "stage"), lookup(first, "capability"), lookup(first, "cli.command")) == (
        "experimental",
        "console",
        "capability.enable",
    )
    state = json.loads((tmp_path / ".reml" / "capabilities.json").read_text())
    assert state["capabilities"]["console"]["audit_id"] == found["audit_id"]


def test_enable_at_a_stage_above_the_registered_one_exits_with_1(command, tmp_path):
    done = command("capability", "enable", "console", "--stage", "stable", code=1)
    assert done.stdout == ""
    assert "capability.stage.mismatch" in done.stderr
    assert "runtime.capability.unknown" in command("capability", "enable", "no.such", code=1).stderr
    assert "runtime.capability.unknown" in command("capability", "disable", "no.such", code=1).stderr
    assert not (tmp_path / ".reml" / "capabilities.json").exists()


def test_disable(answer, tmp_path):
    found = answer("capability", "disable", "gpu")
    assert list(found) == ["id", "enabled", "audit_id"]
    assert (found["id"], found["enabled"]) == ("gpu", False)
    [record] = records(tmp_path)
    assert (record.kind, record.audit_id) == ("capability.disable", found["audit_id"])


def test_promote_needs_a_check_at_each_stage(command, answer, tmp_path):
    """The guide: test, ``--to beta``, test again, ``--to stable``."""
    done = command("capability", "stage", "promote", "console", "--to", "beta", code=1)
    assert done.stdout == ""
    assert "effects.stage.promote_without_checks" in done.stderr
    command("capability", "stage", "check", "console", "--", sys.executable, "-c", "raise SystemExit(3)", code=1)
    command("capability", "stage", "promote", "console", "--to", "beta", code=1)
    checked = answer("capability", "stage", "check", "console", "--", sys.executable, "-c", "pass")
    assert (checked["id"], checked["stage"], checked["tests_passed"]) == ("console", "experimental", True)
    found = answer("capability", "stage", "promote", "console", "--to", "beta")
    assert list(found) == ["id", "from", "to", "audit_id"]
    assert (found["id"], found["from"], found["to"]) == ("console", "experimental", "beta")
    command("capability", "stage", "promote", "console", "--to", "stable", code=1)
    answer("capability", "stage", "check", "console", "--", sys.executable, "-c", "pass")
    assert answer("capability", "stage", "promote", "console", "--to", "stable")["from"] == "beta"
    assert answer("capability", "describe", "console")["stage"] == "stable"
    rows = records(tmp_path)
    promoted = [row for row in rows if row.kind == "capability.stage.promote"]
    assert [(lookup(row, "stage"), lookup(row, "capability"), lookup(row, "capability.from")) for row in promoted] == [
        ("beta", "console", "experimental"), ("stable", "console", "beta"),
    ]  # fmt: skip
    assert promoted[0].audit_id == found["audit_id"]
    checks = json.loads((tmp_path / ".reml" / "stage-checks.json").read_text())
    assert [(row["id"], row["stage"], row["tests_passed"]) for row in checks] == [
        ("console", "experimental", False), ("console", "experimental", True), ("console", "beta", True),
    ]  # fmt: skip
    assert {row["audit_id"] for row in checks} <= {row.audit_id for row in rows}


def test_promote_goes_one_step_at_a_time(command, answer):
    answer("capability", "stage", "check", "console", "--", sys.executable, "-c", "pass")
    for to in ("stable", "experimental"):
        assert (
            "capability.stage.mismatch"
            in command("capability", "stage", "promote", "console", "--to", to, code=1).stderr
        )
    assert (
        "runtime.capability.unknown"
        in command("capability", "stage", "promote", "no.such", "--to", "beta", code=1).stderr
    )


def test_stage_check_shows_what_the_command_prints_and_passes_options_on(command):
    done = command(
        "capability",
        "stage",
        "check",
        "console",
        "--",
        sys.executable,
        "-c",
        "import sys; print(sys.argv[1:])",
        "--to",
        "-x",
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "['--to', '-x']"
    assert json.loads(lines[-1])["tests_passed"] is True


@pytest.mark.parametrize(
    "arguments",
    [["list", "--stage", "alpha"], ["list", "--format", "xml"], ["describe"], ["describe", ""], ["enable", "a\nb"], ["disable", "a..b"], ["stage", "check", "a,b", "--", "true"], ["describe", "gc", "--output", "xml"], ["enable"], ["enable", "gc", "--stage", "alpha"],
     ["stage", "promote", "gc"], ["stage", "promote", "gc", "--to", "alpha"], ["stage", "check", "gc"], ["stage", "check", "gc", "--", "./no-such-command"], ["nope"]],
)  # fmt: skip
def test_wrong_usage_exits_with_2(command, arguments):
    done = command("capability", *arguments, code=2)
    assert done.stdout == ""
    if "alpha" in arguments:
        assert "config.invalid_stage" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["describe", "gc"],
        ["enable", "gc"],
        ["disable", "gc"],
        ["stage", "promote", "console", "--to", "beta"],
        ["stage", "check", "gc", "--", "true"],
    ],
)
def test_a_malformed_state_file_exits_with_2_and_is_left_intact(command, tmp_path, arguments):
    state = tmp_path / ".reml" / "capabilities.json"
    state.parent.mkdir()
    state.write_text('{"schema_version": "3.0.0-alpha", "capabilities": {"gc": {"stage": "betta"}}}')
    before = state.read_text()
    done = command("capability", *arguments, code=2)
    for part in ("capabilities.json", "$.capabilities.gc.stage", "config.invalid_stage"):
        assert part in done.stderr
    assert (state.read_text(), done.stdout) == (before, "")


def test_a_log_that_cannot_be_written_refuses_the_decision(command, tmp_path):
    done = command("capability", "enable", "console", "--audit", "no/such/folder/log.ndjson", code=2)
    assert done.stdout == ""
    assert "log.ndjson" in done.stderr
    assert not (tmp_path / ".reml" / "capabilities.json").exists()


def test_the_trail_goes_where_it_is_told(command, answer, tmp_path):
    answer("capability", "enable", "console", "--audit", "mine.ndjson")
    answer("capability", "enable", "console", env={"REML_EMBED_AUDIT_PATH": str(tmp_path / "env.ndjson")})
    assert [len(records(tmp_path, name)) for name in ("mine.ndjson", "env.ndjson")] == [1, 1]
    assert not (tmp_path / ".reml" / "audit.ndjson").exists()


# --- honoured by reml run and reml check ----------------------------------------------------------------------------------------

PROGRAM = '@requires_capability(stage="beta", id="tracing")\npub fn traced() -> Int = 1\nfn main() -> Int = 2\n'


def test_a_disabled_capability_is_refused_by_run_and_check(command, answer, tmp_path):
    (tmp_path / "program.reml").write_text(PROGRAM)
    command("run", "program.reml")
    command("check", "program.reml")
    answer("capability", "disable", "tracing")
    for name in ("run", "check"):
        found = json.loads(command(name, "program.reml", "--format", "json", code=1).stdout)
        assert "target.capability.unknown" in [row["code"] for row in found["diagnostics"]]
    for program in (["remlc", "check"], ["reml_run", "lint"]):
        words = [sys.executable, "-m", f"reml_embed.cli.{program[0]}", program[1], "program.reml"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
        assert (done.returncode, "target.capability.unknown" in done.stdout + done.stderr) == (1, True), (words, done)
    answer("capability", "enable", "tracing")
    command("run", "program.reml")


def test_enabling_is_opting_in(command, answer, tmp_path):
    """CONTRACTS 19.1, 19.2: where opting in is demanded, ``reml capability enable console --stage experimental`` is one way."""
    attribute = '@requires_capability(stage="experimental", id="console")\n'
    (tmp_path / "program.reml").write_text(
        f"{attribute}pub fn logged() -> Int = 1\n{attribute}fn main() -> Int = logged()\n"
    )
    for options in (["--deny", "experimental"], ["--untrusted"]):
        found = json.loads(command("run", "program.reml", "--format", "json", *options, code=1).stdout)
        assert "effects.stage.missing_opt_in" in [row["code"] for row in found["diagnostics"]]
    answer("capability", "enable", "console", "--stage", "experimental")
    for options in (["--deny", "experimental"], ["--untrusted"]):
        command("run", "program.reml", *options)
    answer("capability", "disable", "console")
    command("run", "program.reml", "--deny", "experimental", code=1)


def test_embedding_itself_has_to_be_enabled(command, answer, tmp_path):
    """CONTRACTS 1.5: a conflict over ``native.embed`` is reported before any embed code runs."""
    (tmp_path / "program.reml").write_text(PROGRAM)
    answer("capability", "disable", "native.embed")
    for name in ("run", "check"):
        done = command(name, "program.reml", "--audit", "log.ndjson", code=1)
        assert (done.stdout, "native.embed" in done.stderr) == ("", True)
    assert not (tmp_path / "log.ndjson").exists()
    answer("capability", "enable", "native.embed")
    command("run", "program.reml")


def test_run_and_check_tell_of_a_malformed_state_file(command, tmp_path):
    (tmp_path / "program.reml").write_text(PROGRAM)
    (tmp_path / ".reml").mkdir()
    (tmp_path / ".reml" / "capabilities.json").write_text('{"capabilities": ')
    for name in ("run", "check"):
        assert "capabilities.json:1" in command(name, "program.reml", code=2).stderr


def test_the_effect_stage_comes_from_command_line_environment_and_file_in_this_order(command, tmp_path):
    (tmp_path / "program.reml").write_text(PROGRAM)
    (tmp_path / "runtime.json").write_text('{"stage": "stable"}')
    file = ["--runtime-capabilities", "runtime.json"]

    def refused(*arguments, **more):
        found = json.loads(command("run", "program.reml", "--format", "json", *arguments, code=1, **more).stdout)
        assert found["diagnostics"][0]["code"] == "effects.contract.stage_mismatch"

    refused(*file)
    refused("--effect-stage", "stable")
    refused(env={"REMLC_EFFECT_STAGE": "stable"})
    command("run", "program.reml", *file, env={"REMLC_EFFECT_STAGE": "beta"})
    refused("--effect-stage", "stable", *file, env={"REMLC_EFFECT_STAGE": "beta"})
    command("run", "program.reml", "--effect-stage", "experimental", *file, env={"REMLC_EFFECT_STAGE": "stable"})
    (tmp_path / ".reml").mkdir()
    (tmp_path / ".reml" / "runtime-capabilities.json").write_text('{"stage": "stable"}')
    refused()
    assert "config.invalid_stage" in command("run", "program.reml", code=2, env={"REMLC_EFFECT_STAGE": "alpha"}).stderr


def test_capabilities_of_the_runtime_file_are_what_is_granted(command, tmp_path):
    (tmp_path / "program.reml").write_text(PROGRAM)
    (tmp_path / "runtime.json").write_text('{"capabilities": ["gc"]}')
    found = json.loads(
        command("check", "program.reml", "--format", "json", "--runtime-capabilities", "runtime.json", code=1).stdout
    )
    assert found["diagnostics"][0]["code"] == "target.capability.unknown"
    (tmp_path / "runtime.json").write_text('{"capabilities": ["gc", "tracing"]}')
    command("check", "program.reml", "--runtime-capabilities", "runtime.json")
    command("check", "program.reml", "--runtime-capabilities", "runtime.json", "--grant", "tracing")
    (tmp_path / "runtime.json").write_text('{"capabilities": ["gc"]}')
    command(
        "check", "program.reml", "--runtime-capabilities", "runtime.json", "--grant", "tracing", code=1
    )  # not offered
    assert "no such file" in command("check", "program.reml", "--runtime-capabilities", "none.json", code=2).stderr


def test_validate_prints_and_writes_the_report(command, answer, tmp_path):
    (tmp_path / "good.json").write_text('{"stage": "beta"}')
    (tmp_path / "bad.json").write_text('{"stage": "alpha"}')
    found = answer("capability", "validate", "good.json", "--output", "report.json", "--effect-stage", "stable")
    assert found["validation"]["status"] == "ok"
    assert json.loads((tmp_path / "report.json").read_text()) == found
    gate = answer("audit", "metrics", "--section", "runtime", "--audit-source", "report.json")
    gates = gate.get("metrics", [gate])
    assert [row["pass_rate"] for row in gates if row["metric"] == "runtime.capability_validation"] == [1.0]
    assert answer("capability", "validate", "good.json", "bad.json", code=1)["validation"]["status"] == "error"
    assert answer("capability", "validate", code=1)["validation"]["errors"][0]["code"] == "capability.file.io_error"
