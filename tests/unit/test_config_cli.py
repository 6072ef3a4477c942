"""``remlc config|manifest``, ``reml-config`` and ``reml-run diff`` (CONTRACTS 10.5, 10.7): output and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from reml_embed import audit
from reml_embed.cli.config import config, manifest
from reml_embed.cli.diff import diff
from reml_embed.cli.reml_config import reml_config
from reml_embed.config import ConfigError, documents, read_changes

SAMPLES = Path(__file__).parents[2] / "examples" / "core_config"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run a command in an empty folder; answers its result after a look at the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REML_EMBED_AUDIT_PATH", raising=False)
    for name in ("REML_CONFIG_COMPAT", "REML_CONFIG_TRIVIA", "REML_CONFIG_FEATURES", "REML_LOCALE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")

    def run(group, *arguments, code=0):
        done = CliRunner().invoke(group, [str(word) for word in arguments])
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return run


@pytest.fixture
def files(tmp_path):
    """Two JSON documents in the folder of the command."""
    (tmp_path / "old.json").write_text('{\n  "a": 1,\n  "b": [1, 2]\n}\n')
    (tmp_path / "new.json").write_text('{"b": [2, 1, true], "c": {}}')
    return tmp_path / "old.json", tmp_path / "new.json"


def records(path=".reml/audit.ndjson"):
    return [json.loads(line)["envelope"] for line in Path(path).read_text(encoding="utf-8").splitlines()]


# --- remlc ------------------------------------------------------------------------------------------------------------


def test_config_lint_prints_the_object_of_the_guide(command, monkeypatch):
    monkeypatch.chdir(SAMPLES.parents[1])
    sample = "examples/core_config/cli"
    done = command(
        config, "lint", "--manifest", f"{sample}/reml.toml", "--schema", f"{sample}/schema.json", "--format", "json"
    )
    assert done.stdout == (SAMPLES / "cli" / "lint.expected.json").read_text(encoding="utf-8")


def test_config_diff_has_both_the_change_set_and_the_schema_diff(command, monkeypatch):
    monkeypatch.chdir(SAMPLES.parents[1])
    sample = "examples/core_config/cli"
    done = command(config, "diff", f"{sample}/config_old.json", f"{sample}/config_new.json", "--format", "json")
    assert done.stdout == (SAMPLES / "cli" / "diff.expected.json").read_text(encoding="utf-8")
    shown = json.loads(done.stdout)
    assert shown["summary"] == {"added": 1, "removed": 1, "updated": 4, "total": 6}
    assert {item["kind"].rpartition(".")[0] for item in shown["change_set"]["items"]} == {"collections.diff"}
    assert [row["key"] for row in shown["schema_diff"]["changes"]] == [
        row["key"] for row in shown["change_set"]["items"]
    ]


def test_config_lint_exits_with_2_and_names_file_line_and_key_path(command, tmp_path):
    (tmp_path / "reml.toml").write_text('[project]\nname = "a"\nversion = "1.0.0"\nstage = "alpha"\n')
    done = command(config, "lint", code=2)
    assert "reml.toml:4:1: error[config.invalid_stage]" in done.stderr
    assert "at `project.stage`" in done.stderr
    found = json.loads(command(config, "lint", "--format", "json", code=2).stdout)
    assert found["stats"] == {"validated": False, "manifest_loaded": True, "schema_checked": False}
    assert found["exit_code"] == 2
    [problem] = found["diagnostics"]
    assert {"code", "domain", "severity", "message", "primary", "extensions", "audit"} == problem.keys()
    assert problem["extensions"]["config"]["key_path"] == "project.stage"
    assert problem["audit"]["metadata"]["config.key_path"] == "project.stage"


@pytest.mark.parametrize("text", [None, "[project\n", "\xff"])
def test_config_lint_of_a_manifest_that_cannot_be_loaded(command, tmp_path, text):
    if text is not None:
        (tmp_path / "reml.toml").write_bytes(text.encode("latin-1"))
    found = json.loads(command(config, "lint", "--format", "json", code=2).stdout)
    assert not found["stats"]["manifest_loaded"]
    assert found["diagnostics"][0]["code"] in {"config.manifest.io_error", "config.manifest.parse_error"}


def test_config_diff_of_what_cannot_be_read_exits_with_1(command, files):
    assert "config.manifest.io_error" in command(config, "diff", files[0], "gone.json", code=1).stderr
    files[1].write_text("{")
    assert f"{files[1]}:1:2: error[config.manifest.parse_error]" in command(config, "diff", *files, code=1).stderr


def test_manifest_dump_matches_the_dsl_export_of_the_source(command, tmp_path):
    done = command(manifest, "dump", "--manifest", SAMPLES / "reml.toml")
    table = json.loads(done.stdout)["dsl"]["audit_bridge"]
    assert table["exports"][0]["signature"]["stage_bounds"] == {
        "minimum": "beta",
        "current": "beta",
        "maximum": "stable",
    }
    assert table["capabilities"] == ["core.runtime.bridge", "io.fs.read"]
    command(manifest, "dump", "--manifest", SAMPLES / "reml.toml", "--output", tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == done.stdout
    command(manifest, "dump", "--manifest", "gone.toml", code=2)
    (tmp_path / "reml.toml").write_text("x = 1")
    command(manifest, "dump", code=1)


# --- reml-config ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        ("{}", [], 0),
        ('{"a": 1,}', [], 2),
        ('{"a": 1,}', ["--profile", "json-relaxed"], 0),
        ("{}", ["--profile", "odd"], 2),
        (None, [], 4),
    ],
)
def test_validate_exits_by_what_it_finds(command, tmp_path, text, options, code):
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    done = command(reml_config, "validate", "x.json", "--format", "json", *options, code=code)
    found = json.loads(done.stdout)
    assert {"diagnostics", "audit_id", "profile"} == found.keys()
    for problem in found["diagnostics"]:
        assert {"code", "message", "locale", "audit_id", "domain", "severity_hint"} <= problem.keys()
        assert problem["audit_id"] == found["audit_id"]


def test_warnings_exit_with_1_or_2_on_demand(command, tmp_path):
    (tmp_path / "reml.toml").write_text('[project]\nname = "a"\nversion = "1.0.0"\nodd = 1\n')
    command(reml_config, "validate", "reml.toml", code=1)
    command(reml_config, "validate", "reml.toml", "--fail-on-warning", code=2)


def test_the_locale_is_option_then_environment_then_a_warning(command, tmp_path, monkeypatch):
    (tmp_path / "x.json").write_text("{")

    def locale(*options):
        done = command(reml_config, "validate", "x.json", "--format", "json", *options, code=2)
        return json.loads(done.stdout)["diagnostics"][0]["locale"], "cli.locale.default" in done.stderr

    assert locale("--locale", "ja-JP") == ("ja-JP", False)
    monkeypatch.setenv("REML_LOCALE", "fr_FR.UTF-8")
    assert locale() == ("fr-FR", False)
    monkeypatch.delenv("REML_LOCALE")
    assert locale() == ("en-US", False)
    monkeypatch.setenv("LANG", "C")
    assert locale() == ("en-US", True)


def test_compare_review_apply_approve_and_take_back(command, files):
    old, new = files
    before = old.read_bytes()
    review = command(reml_config, "diff", old, new)
    assert "added    c" in review.stdout
    assert old.read_bytes() == before
    applied = json.loads(command(reml_config, "diff", old, new, "--apply", "--format", "json").stdout)
    assert {"audit_id", "change_set", "domain", "severity_hint", "applied"} == applied.keys()
    assert applied["applied"]
    assert json.loads(old.read_text()) == {"b": [2, 1, True], "c": {}}
    assert old.read_text().startswith('{\n  "b"'), "the file keeps its indentation"
    audit_id = applied["audit_id"]
    approved = json.loads(command(reml_config, "approve", audit_id, "--assign", "ops", "--note", "ok").stdout)
    assert approved == {"audit_id": audit_id, "status": "approved", "assignee": "ops", "note": "ok"}
    dry = json.loads(command(reml_config, "rollback", audit_id, "--dry-run").stdout)
    assert dry["status"] == "dry_run"
    back = json.loads(command(reml_config, "rollback", audit_id, "--confirm").stdout)
    assert (back["status"], back["change_set"]) == ("rolled_back", applied["change_set"])
    assert old.read_bytes() == before, "byte for byte"
    command(reml_config, "rollback", audit_id, "--confirm", code=2)
    kinds = [envelope["metadata"]["event.kind"] for envelope in records()]
    assert kinds == ["config.apply", "config.approve", "config.rollback"]
    assert {envelope["audit_id"] for envelope in records()} == {audit_id}
    assert records()[0]["change_set"] == applied["change_set"]
    assert records()[0]["metadata"]["config.change_set.total"] == 5
    assert audit.verify(".reml/audit.ndjson").ok


def test_a_change_is_not_taken_back_over_something_else(command, files):
    old, new = files
    audit_id = json.loads(command(reml_config, "diff", old, new, "--apply", "--format", "json").stdout)["audit_id"]
    old.write_text("{}")
    assert "has changed since" in command(reml_config, "rollback", audit_id, "--confirm", code=2).stderr
    assert old.read_text() == "{}"


def test_a_proposal_is_recorded_with_audit_only(command, files):
    old, new = files
    command(reml_config, "diff", old, new)
    assert not Path(".reml").exists()
    shown = json.loads(command(reml_config, "diff", old, new, "--audit", "--format", "json").stdout)
    assert not shown["applied"]
    assert records()[0]["metadata"]["event.kind"] == "config.diff"
    assert "was never applied" in command(reml_config, "rollback", shown["audit_id"], "--confirm", code=2).stderr


@pytest.mark.parametrize(
    ("audit_id", "code"),
    [("../../etc/passwd", 2), ("A" * 36, 2), ("00000000-0000-4000-8000-000000000000", 4)],
)
def test_an_audit_id_that_is_none_is_refused(command, audit_id, code):
    command(reml_config, "approve", audit_id, code=code)
    command(reml_config, "rollback", audit_id, "--confirm", code=code)


def test_a_damaged_state_is_refused(command, files):
    audit_id = json.loads(command(reml_config, "diff", *files, "--apply", "--format", "json").stdout)["audit_id"]
    state = Path(".reml/config-audit") / f"{audit_id}.json"
    for text in ("{", "[]", '{"audit_id": 1}', state.read_text().replace('"applied"', '"odd"')):
        state.write_text(text)
        command(reml_config, "rollback", audit_id, "--confirm", code=2)


def test_rollback_wants_to_be_told(command):
    command(reml_config, "rollback", "00000000-0000-4000-8000-000000000000", code=2)


def test_no_record_no_change(command, files, tmp_path):
    old, new = files
    before = old.read_bytes()
    (tmp_path / ".reml").mkdir()
    (tmp_path / ".reml" / "audit.ndjson").write_text("no log\n")
    done = subprocess.run(
        [sys.executable, "-m", "reml_embed.cli.reml_config", "diff", old, new, "--apply"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "audit.unavailable" in done.stderr
    assert "Traceback" not in done.stderr
    assert old.read_bytes() == before


def test_a_read_only_folder_leaves_the_old_file(command, files, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reml_embed._files.tempfile.mkstemp", refused)
    before = files[0].read_bytes()
    assert "Permission denied" in command(reml_config, "diff", *files, "--apply", code=4).stderr
    assert files[0].read_bytes() == before


def test_toml_keeps_its_comments_when_a_change_is_applied(command, tmp_path):
    (tmp_path / "old.toml").write_text('# top\n[server]\nport = 1 # keep me\nhost = "a"\n\n[[row]]\nx = 1.0\n')
    (tmp_path / "new.toml").write_text('[server]\nport = 2\nhost = "a"\n\n[[row]]\nx = 1.0\n\n[[row]]\nx = 2\n')
    command(reml_config, "diff", "old.toml", "new.toml", "--apply")
    text = (tmp_path / "old.toml").read_text()
    assert "# top" in text
    assert "port = 2 # keep me" in text
    assert "no difference" in command(reml_config, "diff", "old.toml", "new.toml").stdout


def test_null_does_not_go_into_toml(command, tmp_path):
    (tmp_path / "old.toml").write_text("a = 1\n")
    (tmp_path / "new.json").write_text('{"a": null}')
    command(reml_config, "diff", "old.toml", "new.json", "--apply", code=2)
    assert (tmp_path / "old.toml").read_text() == "a = 1\n"


def test_render_fills_names_in_or_says_which_are_missing(command, tmp_path):
    (tmp_path / "t.txt").write_text("host=${server.host}\nport=${server.port:-80}\ncost=$$5\nlist=${tags}\n")
    (tmp_path / "env.toml").write_text('tags = ["a"]\n[server]\nhost = "h"\n')
    command(reml_config, "render", "--template", "t.txt", "--env", "env.toml", "--output", "out.txt")
    assert (tmp_path / "out.txt").read_text() == 'host=h\nport=80\ncost=$5\nlist=["a"]\n'
    (tmp_path / "t.txt").write_text("a\n  ${gone} ${lost}")
    done = command(reml_config, "render", "--template", "t.txt", "--env", "env.toml", "--output", "out.txt", code=3)
    assert "t.txt:2:3: error[config.render.unknown_name]" in done.stderr
    assert "`lost`" in done.stderr
    assert (tmp_path / "out.txt").read_text().startswith("host=h"), "the old output stays"
    command(reml_config, "render", "--template", "gone", "--env", "env.toml", "--output", "out.txt", code=4)


# --- reml-run diff ----------------------------------------------------------------------------------------------------


def test_reml_run_diff_prints_its_object(command, files):
    shown = json.loads(command(diff, *files, "--format", "json").stdout)
    assert shown.keys() == {"command", "change_set", "schema_diff", "result"}
    assert (shown["command"], shown["result"]["status"]) == ("diff", "compared")
    applied = json.loads(command(diff, *files, "--format", "json", "--apply").stdout)
    assert applied["result"]["status"] == "applied"
    assert records()[0]["audit_id"] == applied["result"]["audit_id"]
    again = json.loads(command(diff, *files, "--format", "json", "--apply").stdout)
    assert again["result"]["status"] == "unchanged"


def test_reml_run_diff_of_schemas_shows_their_fields(command, tmp_path):
    for name, kind in (("a.json", "string"), ("b.json", "integer")):
        (tmp_path / name).write_text(json.dumps({"name": "S", "fields": {"x": {"data_type": kind}}}))
    shown = json.loads(command(diff, "a.json", "b.json", "--format", "json").stdout)["schema_diff"]
    assert [(row["name"], row["attributes"]) for row in shown["changed"]] == [("x", ["data_type"])]


def test_reml_run_diff_exits_by_what_went_wrong(command, files):
    command(diff, files[0], "gone.json", code=2)
    files[1].write_text("{")
    command(diff, *files, code=1)


# --- compatibility and migrations -------------------------------------------------------------------------------------


def test_the_manifest_of_the_directory_says_how_documents_are_read(command, tmp_path):
    (tmp_path / "app.json").write_text('{"a": 1,}\n')
    (tmp_path / "next.json").write_text('{"a": 2,}\n')
    command(reml_config, "validate", "app.json", code=2)
    (tmp_path / "reml.toml").write_text('[config.compatibility.json]\nprofile = "json-relaxed"\n')
    found = command(reml_config, "validate", "app.json", "--format", "json")
    assert json.loads(found.stdout)["profile"] == "json-relaxed"
    command(diff, "app.json", "next.json")
    command(reml_config, "diff", "app.json", "next.json")
    made = [record["metadata"] for record in records() if record["metadata"]["event.kind"] == "config_compat_changed"]
    assert [row["config.source"] for row in made] == ["manifest"] * 3
    command(reml_config, "validate", "app.json", "--profile", "strict-json", code=2)  # the command line wins
    (tmp_path / "reml.toml").write_text('[config.compatibility.json]\nprofile = "lax"\n')
    wrong = command(reml_config, "validate", "app.json", code=2)
    assert "reml.toml:2:1: error[config.compat.unknown_profile]" in wrong.stderr
    command(reml_config, "validate", "app.json", "--profile", "json-relaxed")


def test_a_migration_is_shown_and_recorded(command, tmp_path):
    def write(name, **fields):
        (tmp_path / name).write_text(json.dumps({"name": "S", "version": "1.0.0", "fields": fields}))

    write("old.json", a="integer", b="string")
    write("new.json", a="string", c={"data_type": "string", "required": True})
    shown = json.loads(command(diff, "old.json", "new.json", "--audit", "--format", "json").stdout)
    assert shown["migration"]["data_loss_risk"] == "high"
    assert {step["kind"] for step in shown["migration"]["steps"]} == {"add_field", "remove_field", "change_type"}
    [record] = records()
    plan = shown["migration"]
    assert {key: value for key, value in record["metadata"].items() if key.startswith("config.migration.")} == {
        "config.migration.steps": len(plan["steps"]), "config.migration.risk": "high", "config.migration.downtime": True,
        "config.migration.estimated_seconds": plan["estimated_duration"]["seconds"],
    }  # fmt: skip
    told = command(diff, "old.json", "new.json").stdout
    assert "migration: risk high, with downtime" in told
    assert "(breaking)" in told
    (tmp_path / "data.json").write_text('{"name": 5, "fields": 6}')
    assert "migration" not in command(reml_config, "diff", "data.json", "data.json", "--audit").stdout


def test_changes_that_are_none_are_config_change_set_invalid(command, tmp_path):
    for text in ("5", '{"items": 5}', '{"items": [{"kind": "odd", "key": "a"}]}', '{"items": [{"kind": "added"}]}'):
        (tmp_path / "changes.json").write_text(text)
        with pytest.raises(ConfigError) as failure:
            read_changes(documents.read("changes.json"))
        assert failure.value.code == "config.change_set.invalid"
        assert failure.value.problems[0].file == "changes.json"


@pytest.mark.parametrize("words", [("diff", "old.json", "new.json", "--apply"), ("rollback", "ID", "--confirm"), ("approve", "ID"),
                                   ("render", "--template", "old.json", "--env", "new.json", "--output", "old.json")])  # fmt: skip
def test_a_full_disk_leaves_the_old_file_and_no_other(command, files, monkeypatch, words):
    audit_id = ""
    if "ID" in words:
        audit_id = json.loads(command(reml_config, "diff", *files, "--apply", "--format", "json").stdout)["audit_id"]
    before = {
        path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and "audit.ndjson" not in path.name
    }

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reml_embed._files.os.fsync", full)
    failed = command(reml_config, *(audit_id if word == "ID" else word for word in words), code=4)
    assert "error[config.manifest.io_error]: No space left on device" in failed.stderr
    assert {
        path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and "audit.ndjson" not in path.name
    } == before
