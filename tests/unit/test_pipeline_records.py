"""Records of pipelines (CONTRACTS 3.2, 3.4, 3.7): one at the start, exactly one at the end, on every path."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import reml_embed as reml
from reml_embed import audit
from reml_embed.audit import AuditContext, MemorySink, Record, missing_keys
from reml_embed.audit.store import CI_KEPT_PER_TARGET, KEPT, KEPT_OTHERWISE, Store
from reml_embed.pipelines import Pipeline, error_of

REML = [sys.executable, "-m", "reml_embed.cli"]
BASE = (
    "scenario.id", "cli.input", "cli.run_id", "cli.command", "cli.phase", "cli.program", "cli.command_line", "audit.channel",
    "effect.capability", "effect.stage.required", "effect.stage.actual", "effect.provider", "effect.manifest_path",
)  # fmt: skip
GOOD, BAD = 'fn main() -> Str = "ok"\n', "fn main() -> Int = nope\n"


@pytest.fixture
def command(tmp_path):
    """Run `reml` in an empty folder; the records that it left on standard error come with it."""

    def run(*arguments, code=0, **options):
        done = subprocess.run(
            [*REML, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False, **options
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run


@pytest.fixture
def source(tmp_path):
    """Write a program."""

    def write(text, name="orders.reml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


def records(text: str) -> list[dict]:
    """The records among the lines of *text*."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"timestamp"')]


def kinds(text: str) -> list[str]:
    return [record["envelope"]["metadata"]["event.kind"] for record in records(text)]


def logged(body, path="examples/orders.reml"):
    """Kinds and metadata that a pipeline around *body* leaves."""
    sink = MemorySink()
    log = AuditContext(sink, channel="cli")
    try:
        with Pipeline(log, path, metadata={"cli.command": "check"}) as pipeline:
            body(pipeline)
    except BaseException as error:  # noqa: BLE001
        caught = error
    else:
        caught = None
    return [record["envelope"]["metadata"] for record in sink.records], caught


# --- the records themselves ----------------------------------------------------------------------------------------------------


def test_id_dsl_id_and_node_follow_from_the_path():
    (started, completed), _ = logged(lambda pipeline: None)
    for metadata in (started, completed):
        assert metadata["pipeline.id"] == "dsl://examples/orders.reml"
        assert metadata["pipeline.dsl_id"] == "orders.reml"
        assert metadata["pipeline.node"] == "orders"
        assert metadata["scenario.id"] == "orders"


def test_a_completed_pipeline_says_outcome_count_diagnostics_and_exit_code():
    (started, completed), _ = logged(
        lambda pipeline: pipeline.finish(count=2, diagnostics=3, code=1, phase="TypeCheck")
    )
    assert started["event.kind"] == "pipeline_started"
    assert completed["event.kind"] == "pipeline_completed"
    found = {key: completed[f"pipeline.{key}"] for key in ("outcome", "count", "diagnostics", "exit_code")}
    assert found == {"outcome": "success", "count": 2, "diagnostics": 3, "exit_code": "failure"}
    assert completed["cli.phase"] == "TypeCheck"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), "runtime.interrupted"),
        (MemoryError(), "runtime.limit.memory"),
        (BrokenPipeError(), "cli.output.closed"),
        (SystemExit(143), "cli.terminated"),
        (FileNotFoundError(2, "No such file", "x"), "cli.input.unreadable"),
        (ZeroDivisionError("by zero"), "host.call.failed"),
        (reml.RunError("x", code="runtime.panic"), "runtime.panic"),
        (reml.BusyError("busy"), "native.embed.busy"),
    ],
)
def test_what_ends_a_pipeline_is_its_failure(error, code):
    def body(pipeline):
        raise error

    found, caught = logged(body)
    assert caught is error
    assert [metadata["event.kind"] for metadata in found] == ["pipeline_started", "pipeline_failed"]
    assert (found[1]["error.code"], found[1]["error.severity"]) == (code, "error")
    assert found[1]["error.message"]
    assert reml.diagnostics.catalog.entry_of(code) is not None


def test_a_pipeline_ends_once():
    def body(pipeline):
        pipeline.finish()
        pipeline.finish(code=1)
        pipeline.fail("a.b", "late")
        raise KeyboardInterrupt

    found, _ = logged(body)
    assert [metadata["event.kind"] for metadata in found] == ["pipeline_started", "pipeline_completed"]


def test_ctrl_c_while_a_record_is_written_waits_for_it():
    class Slow(MemorySink):
        def write_record(self, record: Record) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            super().write_record(record)

    for body in (lambda pipeline: None, lambda pipeline: pipeline.finish()):
        sink = Slow()
        with pytest.raises(KeyboardInterrupt), Pipeline(AuditContext(sink, channel="cli"), "a.reml") as pipeline:
            body(pipeline)
        kinds_found = [record["envelope"]["metadata"]["event.kind"] for record in sink.records]
        assert kinds_found[0] == "pipeline_started"
        assert len(kinds_found) == 2


def test_a_log_that_refuses_hides_no_error():
    sink = MemorySink()
    with pytest.raises(ZeroDivisionError) as caught, Pipeline(AuditContext(sink, channel="cli"), "a.reml"):
        sink.failing = True
        raise ZeroDivisionError
    assert isinstance(caught.value, ZeroDivisionError)
    sink = MemorySink()
    sink.failing = True
    with pytest.raises(OSError, match="told to fail"), Pipeline(AuditContext(sink, channel="cli"), "a.reml"):
        pytest.fail("what cannot be recorded is not begun")


def test_a_crash_of_a_host_function_fails_the_pipeline():
    sink = MemorySink()
    with (
        pytest.raises(ZeroDivisionError),
        Pipeline(AuditContext(sink, channel="runtime"), "a.reml"),
        reml.Context() as context,
    ):

        @context.host("Host.crash")
        def crash() -> int:
            return 1 // 0

        context.load("fn main() -> Int = Host.crash()")
        context.run()
    assert sink.kinds == ["pipeline_started", "pipeline_failed"]


def test_without_a_log_nothing_is_written_and_errors_pass():
    with pytest.raises(KeyError), Pipeline(None, "a.reml"):
        raise KeyError("x")
    with Pipeline(None, "a.reml") as pipeline:
        pipeline.finish()


def test_messages_of_failures_are_one_line():
    assert error_of(ValueError("one\ntwo"))[1] == "ValueError: one"
    assert error_of(OSError("x"))[0] == "host.call.failed"


# --- the commands --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run", "check"])
@pytest.mark.parametrize("option", ["--emit-audit", "--emit-audit=on", "--emit-audit-log"])
def test_two_records_on_standard_error_when_there_is_no_store(command, source, name, option):
    done = command(name, option, source(GOOD))
    assert kinds(done.stderr) == ["pipeline_started", "pipeline_completed"]
    assert "pipeline_" not in done.stdout


@pytest.mark.parametrize("name", ["run", "check"])
def test_all_base_keys_are_on_every_pipeline_record(command, source, name):
    file = source(GOOD, "examples/orders.reml")
    for record in records(command(name, file, "--emit-audit").stderr):
        metadata = record["envelope"]["metadata"]
        assert set(BASE) <= set(metadata)
        assert missing_keys(Record(record)) == []
        assert (metadata["cli.command"], metadata["cli.program"], metadata["audit.channel"]) == (name, "reml", "cli")
        assert metadata["cli.command_line"] == f"reml {name} {file} --emit-audit"
        assert metadata["cli.input"] == file
        assert metadata["effect.capability"] == record["envelope"]["capability"] == "core.diagnostics"
        assert (metadata["effect.stage.required"], metadata["effect.stage.actual"]) == ("at_least:beta", "stable")
        assert metadata["effect.manifest_path"] is None
        assert record["category"] == "pipeline"


def test_records_of_a_run_share_run_id_audit_id_and_change_set(command, source):
    found = [
        record["envelope"]["metadata"]
        for record in records(command("check", source(BAD), "--emit-audit", code=1).stderr)
    ]
    assert [metadata["event.kind"] for metadata in found] == [
        "pipeline_started",
        "diagnostic.emitted",
        "pipeline_completed",
    ]
    for key in ("cli.run_id", "cli.audit_id", "audit.id.label", "audit.build_id"):
        assert len({metadata[key] for metadata in found}) == 1
    assert found[0]["cli.audit_id"] == audit.ids.label_uuid(found[0]["audit.id.label"])
    change = found[0]["cli.change_set"]
    assert [item["kind"] for item in change["items"]] == ["cli-command", "input"]
    assert change["items"][1]["path"] == "orders.reml"


def test_a_source_with_errors_completes_with_exit_code_failure(command, source):
    for name in ("run", "check"):
        metadata = records(command(name, source(BAD), "--emit-audit", code=1).stderr)[-1]["envelope"]["metadata"]
        assert (metadata["pipeline.outcome"], metadata["pipeline.exit_code"], metadata["pipeline.diagnostics"]) == (
            "success",
            "failure",
            1,
        )
        assert metadata["cli.phase"] == "TypeCheck"


def test_a_failed_run_completes_with_exit_code_failure(command, source):
    for text in ("fn main() -> Int = 1 / 0\n", 'fn main() -> Result<Int, Str> = Err("no")\n'):
        found = records(command("run", source(text), "--emit-audit", code=1).stderr)
        metadata = found[-1]["envelope"]["metadata"]
        assert metadata["event.kind"] == "pipeline_completed"
        assert (metadata["pipeline.exit_code"], metadata["cli.phase"]) == ("failure", "Execution")


def test_each_input_of_check_is_a_pipeline(command, source):
    done = command("check", source(GOOD, "a.reml"), source(BAD, "b.reml"), "--emit-audit", code=1)
    ends = [
        r["envelope"]["metadata"]
        for r in records(done.stderr)
        if r["envelope"]["metadata"]["event.kind"] == "pipeline_completed"
    ]
    assert [(end["pipeline.dsl_id"], end["pipeline.exit_code"]) for end in ends] == [
        ("a.reml", "success"),
        ("b.reml", "failure"),
    ]
    assert [end["cli.phase"] for end in ends] == ["Execution", "TypeCheck"]


def test_off_disables_and_nothing_asked_is_nothing_written(command, source):
    file = source(GOOD)
    for options in (
        [],
        ["--emit-audit=off"],
        ["--emit-audit=off", "--emit-audit-log"],
        ["--emit-audit=off", "--audit-store", "local"],
    ):
        assert command("run", file, *options).stderr == ""


def test_wrong_usage_that_shows_late_fails_the_pipeline(command, source):
    file = source("fn main(n: Int) -> Int = n\n")
    found = records(command("run", file, "--arg", "x", "--emit-audit", code=2).stderr)
    assert [r["envelope"]["metadata"]["event.kind"] for r in found] == ["pipeline_started", "pipeline_failed"]
    assert found[1]["envelope"]["metadata"]["error.code"] == "cli.usage"


@pytest.mark.parametrize(("number", "code", "error"), [
    (signal.SIGINT, 130, "runtime.interrupted"), (signal.SIGTERM, 143, "cli.terminated"), (signal.SIGHUP, 129, "cli.terminated"),
])  # fmt: skip
def test_a_signal_ends_the_pipeline_once(source, tmp_path, number, code, error):
    file = source('fn main() -> Int { println("go"); var i = 0; while true { i := i + 1 }; i }\n')
    child = subprocess.Popen([*REML, "run", file, "--emit-audit"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             cwd=tmp_path, env=os.environ | {"PYTHONUNBUFFERED": "1"})  # fmt: skip
    assert child.stdout.readline() == "go\n"
    child.send_signal(number)
    _, err = child.communicate(timeout=20)
    assert child.returncode == code, err
    ends = [kind for kind in kinds(err) if kind != "diagnostic.emitted"]
    assert ends == ["pipeline_started", "pipeline_failed"]
    assert records(err)[-1]["envelope"]["metadata"]["error.code"] == error
    assert "Traceback" not in err


def test_a_reader_that_goes_away_fails_the_pipeline_once(source, tmp_path):
    file = source('fn main() -> () { for i in 0..200000 { println("line {i}") } }\n')
    with subprocess.Popen([*REML, "run", file, "--emit-audit"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          cwd=tmp_path) as child:  # fmt: skip
        child.stdout.readline()
        child.stdout.close()
        err = child.stderr.read()
    assert child.returncode == 1
    assert kinds(err) == ["pipeline_started", "pipeline_failed"]
    assert records(err)[-1]["envelope"]["metadata"]["error.code"] == "cli.output.closed"


# --- where they go ---------------------------------------------------------------------------------------------------------------


def test_a_file_holds_the_records_of_the_run_and_of_its_context(command, source, tmp_path):
    found = json.loads(command("run", source(GOOD), "--audit", "log.ndjson", "--format", "json").stdout)
    lines = (tmp_path / "log.ndjson").read_text().splitlines()
    assert found["audit_count"] == len(lines)
    seen = kinds("\n".join(lines))
    assert (seen[0], seen[-1]) == ("pipeline_started", "pipeline_completed")
    assert seen.count("native.embed.call") == 4
    assert audit.verify(tmp_path / "log.ndjson").ok


def test_a_log_that_cannot_be_written_lets_nothing_begin(command, source):
    for name in ("run", "check"):
        done = command(name, source('fn main() { println("ran") }\n'), "--audit", "no/such/folder.ndjson", code=1)
        assert "ran" not in done.stdout
        assert done.stderr.startswith("error[audit.unavailable]: ")
        assert "Traceback" not in done.stderr


def test_audit_and_store_say_two_things(command, source):
    assert "--audit-store" in command("run", source(GOOD), "--audit", "a", "--audit-store", "tmp", code=2).stderr
    command("run", source(GOOD), "--audit-store", "nowhere", code=2)


@pytest.mark.parametrize("store", ["ci", "local", "tmp"])
def test_a_store_keeps_a_file_of_each_run_and_an_index(command, source, tmp_path, store):
    for code, text in ((0, GOOD), (1, BAD)):
        command("check", source(text), "--audit-store", store, "--audit-dir", "logs", code=code)
    index = json.loads((tmp_path / "logs" / "index.json").read_text())
    assert list(index) == ["entries", "retained_entries", "pruned"]
    good, bad = index["entries"]
    assert set(good) == {
        "build_id", "timestamp", "profile", "audit_store", "target", "audit_level", "path", "status", "pass_rate", "size_bytes", "commit",
    }  # fmt: skip
    assert (good["status"], bad["status"], good["audit_store"]) == ("success", "failure", store)
    path = tmp_path / "logs" / bad["path"]
    assert {item.name for item in (tmp_path / "logs").iterdir()} == {
        ".index.json.lock",
        "index.json",
        good["path"],
        bad["path"],
    }
    assert path.stat().st_size == bad["size_bytes"]
    assert path.suffix == (".gz" if store == "ci" else ".ndjson")
    assert [line.record.kind for line in audit.read(path)] == [
        "pipeline_started",
        "diagnostic.emitted",
        "pipeline_completed",
    ]
    (kept,) = index["retained_entries"]
    assert (kept["count"], kept["size_bytes"]) == (2, good["size_bytes"] + bad["size_bytes"])


def test_stores_are_where_they_are_expected_without_a_directory(command, source, tmp_path):
    command("check", source(GOOD), "--audit-store", "local")
    assert len(list((tmp_path / ".reml" / "audit" / "local").glob("*.ndjson"))) == 1
    command("check", source(GOOD), "--audit-dir", "mine")
    assert json.loads((tmp_path / "mine" / "index.json").read_text())["entries"][0]["audit_store"] == "directory"


def test_the_audit_level_chooses_records_of_the_trail(command, source, tmp_path):
    for level, seen in (
        ("summary", ["diagnostic.emitted"]),
        ("full", ["pipeline_started", "diagnostic.emitted", "pipeline_completed"]),
        ("debug", ["pipeline_started", "diagnostic.emitted", "pipeline_completed"]),
    ):
        done = command("check", source(BAD), "--emit-audit", "--audit-level", level, code=1)
        assert kinds(done.stderr) == seen
        for record in records(done.stderr):  # the groups of keys hold at every level
            assert missing_keys(Record(record)) == []
    command("check", source(GOOD), "--audit-store", "tmp", "--audit-dir", "logs", "--audit-level", "summary")
    assert json.loads((tmp_path / "logs" / "index.json").read_text())["entries"][0]["audit_level"] == "summary"
    command("check", source(GOOD), "--audit-level", "loud", code=2)


def test_a_run_that_is_ended_from_outside_is_in_the_index_too(source, tmp_path):
    file = source('fn main() -> Int { println("go"); var i = 0; while true { i := i + 1 }; i }\n')
    child = subprocess.Popen([*REML, "run", file, "--audit-store", "local", "--audit-dir", "logs"], stdout=subprocess.PIPE, text=True,
                             cwd=tmp_path, env=os.environ | {"PYTHONUNBUFFERED": "1"})  # fmt: skip
    assert child.stdout.readline() == "go\n"
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)
    assert child.returncode == 143
    (entry,) = json.loads((tmp_path / "logs" / "index.json").read_text())["entries"]
    assert entry["status"] == "failure"
    assert [line.record.kind for line in audit.read(tmp_path / "logs" / entry["path"])] == [
        "pipeline_started",
        "pipeline_failed",
    ]


def test_retention_is_that_of_the_store():
    assert KEPT == {"ci": 100, "local": 30, "tmp": 20}
    assert KEPT_OTHERWISE == 50


@pytest.mark.parametrize(("name", "most"), [("local", 30), ("tmp", 20), (None, 50), ("ci", 20)])
def test_the_oldest_files_of_a_store_go_first(tmp_path, name, most):
    store = Store(name, tmp_path)
    for number in range(most + 3):
        (tmp_path / f"{number}.ndjson").write_text("")
        pruned, warning = store.enter({"path": f"{number}.ndjson", "target": "t", "profile": "p", "size_bytes": 0})
        assert warning is None
    assert pruned == ("2.ndjson",)
    assert len(store.index()["entries"]) == most
    assert sorted(path.name for path in tmp_path.glob("*.ndjson")) == sorted(f"{n}.ndjson" for n in range(3, most + 3))


def test_the_ci_store_keeps_twenty_for_each_target_and_warns_when_large(tmp_path):
    store = Store("ci", tmp_path)
    for number in range(CI_KEPT_PER_TARGET + 5):
        for target in ("a", "b"):
            _, warning = store.enter(
                {"path": f"{target}{number}", "target": target, "profile": "p", "size_bytes": 20 << 20}
            )
    assert [row["count"] for row in store.index()["retained_entries"]] == [20, 20]
    assert warning is not None
    assert "more than 500" in warning


def test_an_index_that_is_none_is_an_error_and_nothing_is_lost(command, source, tmp_path):
    (tmp_path / "logs").mkdir()
    for text in ("{", "[]", '{"entries": [1]}'):
        (tmp_path / "logs" / "index.json").write_text(text)
        done = command("check", source(GOOD), "--audit-dir", "logs", code=1)
        assert "index.json" in done.stderr
        assert "Traceback" not in done.stderr
        assert (tmp_path / "logs" / "index.json").read_text() == text
    assert len(list((tmp_path / "logs").glob("*.ndjson"))) == 3


def test_a_store_is_no_way_out_of_its_directory(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "precious").write_text("x")
    store = Store("tmp", tmp_path / "logs")
    for number in range(21):
        store.enter(
            {"path": "../precious" if number == 0 else f"{number}", "target": "t", "profile": "p", "size_bytes": 0}
        )
    assert (tmp_path / "precious").exists()


# --- one id for CLI, editor and log ------------------------------------------------------------------------------------------------


def test_cli_and_lsp_show_the_same_audit_id_as_the_log(command, source, tmp_path):
    file = source('let s = "😀"; let b = nope\n')
    plain = json.loads(command("check", file, "--output", "json", code=1).stdout)["diagnostics"]
    old = json.loads(command("check", file, "--format", "json", code=1).stdout)["diagnostics"]
    lsp = command("check", str(tmp_path / file), "--output", "lsp", "--emit-audit", code=1)
    (seen,) = json.loads(lsp.stdout)["diagnostics"]
    human = command("check", file, "--emit-audit", code=1).stderr
    (record,) = [r for r in records(human) if r["envelope"]["metadata"]["event.kind"] == "diagnostic.emitted"]
    ids = {
        plain[0]["audit"]["audit_id"],
        old[0]["audit"]["audit_id"],
        seen["data"]["audit_id"],
        record["envelope"]["audit_id"],
    }
    assert len(ids) == 1
    assert f"  = audit: {ids.pop()}\n" in human
    assert seen["range"]["start"] == {"line": 0, "character": 22}


WARNING = 'fn main() -> Str {\n  1\n  "ok"\n}\n'


@pytest.mark.parametrize("name", ["run", "check"])
def test_records_made_while_a_context_writes_the_log_go_by_way_of_it(command, source, tmp_path, name):
    for _ in range(2):  # the chain goes on in a log that is there
        before = (tmp_path / "log").read_text().count("\n") if (tmp_path / "log").exists() else 0
        found = json.loads(command(name, source(WARNING), "--audit", "log", "--format", "json").stdout)
        text = (tmp_path / "log").read_text()
        assert found["audit_count"] == text.count("\n") - before
    assert audit.verify(tmp_path / "log").ok
    seen = [kind for kind in kinds(text) if kind.startswith(("pipeline", "diagnostic"))]
    assert seen == ["pipeline_started", "diagnostic.emitted", "pipeline_completed"] * 2
    (record,) = [r for r in records(text)[before:] if r["envelope"]["metadata"]["event.kind"] == "diagnostic.emitted"]
    assert record["envelope"]["audit_id"] == found["diagnostics"][0]["audit"]["audit_id"]
    for line in audit.read(tmp_path / "log"):
        assert missing_keys(line.record) == []


def test_a_log_of_the_environment_may_be_the_trail_too(command, source, tmp_path):
    environment = os.environ | {"REML_EMBED_AUDIT_PATH": str(tmp_path / "log")}
    for name in ("run", "check"):
        command(name, source(WARNING), "--audit", "log", env=environment)
        assert "pipeline_" not in command(name, source(GOOD), env=environment).stderr
        command(name, source(GOOD), "--emit-audit", env=environment)
    assert audit.verify(tmp_path / "log").ok


def test_a_full_disk_is_an_error_and_the_command_does_not_claim_success(source, tmp_path):
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*REML, "check", source(GOOD), "--emit-audit"],
            stdout=subprocess.PIPE,
            stderr=full,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert done.returncode != 0
    assert done.stdout == b""


@pytest.mark.parametrize("words", [[], ["x" * 5000]], ids=["a short command line", "a long one"])
@pytest.mark.parametrize("name", ["run", "check"])
def test_every_record_of_a_command_run_carries_its_four_keys(command, source, tmp_path, name, words):
    files = [source(WARNING), *(words if name == "run" else ["--filter=code=" + word for word in words])]
    command(name, *files, "--audit", "log")
    found = [record["envelope"]["metadata"] for record in records((tmp_path / "log").read_text())]
    assert {m.get("native.embed.entrypoint") for m in found} > {"reml_create_context", "reml_dispose_context"}
    for key in ("cli.run_id", "cli.audit_id", "cli.command"):
        assert len({metadata[key] for metadata in found}) == 1
    assert {metadata["cli.change_set"]["origin"] for metadata in found} == {"cli"}
