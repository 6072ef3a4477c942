"""The command line: what it prints and how it exits."""
# covers: 8.11

import json
import os
import pty
import signal
import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

import reml_embed as reml
from reml_embed import cli
from reml_embed.cli.reml_config import reml_config
from reml_embed.cli.reml_run import reml_run
from reml_embed.cli.remlc import remlc

REML = [sys.executable, "-m", "reml_embed.cli"]
MEMBERS = ["ok", "value", "type", "stdout", "diagnostics", "audit_count"]


@pytest.fixture
def command(tmp_path):
    """Run `reml` in an empty folder."""

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

    def write(text, name="program.reml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


def test_run_shows_the_result(command, source):
    done = command("run", source('fn main() -> Str { println("hi"); "ok" }\n'))
    assert (done.stdout, done.stderr) == ("hi\nok\n", "")
    assert command("run", source("fn main() {}\n")).stdout == ""
    assert command("run", source("fn other() -> List<Int> = [1, 2]\n"), "--entry", "other").stdout == "[1, 2]\n"


def test_run_as_json_is_one_object(command, source, tmp_path):
    done = command(
        "run",
        source('fn main() -> (Int, Str) { println("hi"); (1, "ä") }\n'),
        "--format",
        "json",
        "--audit",
        "log.ndjson",
    )
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert list(found) == MEMBERS
    assert found == {"ok": True, "value": '(1, "ä")', "type": "(Int, Str)", "stdout": "hi\n", "diagnostics": [],
                     "audit_count": len((tmp_path / "log.ndjson").read_text().splitlines())}  # fmt: skip


def test_an_err_exits_with_1(command, source):
    file = source('fn main() -> Result<Int, Str> = Err("no")\n')
    assert command("run", file, code=1).stdout == 'Err("no")\n'
    found = json.loads(command("run", file, "--format", "json", code=1).stdout)
    assert (found["ok"], found["value"], found["type"], found["diagnostics"]) == (
        False,
        'Err("no")',
        "Result<Int, Str>",
        [],
    )
    own = source('type Answer = | Fine | Err(Str)\nfn main() -> Answer = Answer.Err("mine")\n')
    command("run", own)


def test_errors_of_the_source_go_to_stderr_and_exit_with_1(command, source):
    file = source('fn main() -> Int = "text"\n')
    done = command("run", file, code=1)
    assert done.stdout == ""
    assert "program.reml:1:20" in done.stderr
    assert "\x1b[" not in done.stderr
    found = json.loads(command("run", file, "--format", "json", code=1).stdout)
    assert list(found) == MEMBERS
    (diagnostic,) = found["diagnostics"]
    assert {
        "severity",
        "code",
        "codes",
        "domain",
        "message",
        "module",
        "primary",
        "notes",
        "fixits",
        "line",
        "column",
    } <= set(diagnostic)
    assert (diagnostic["code"], diagnostic["line"], diagnostic["column"]) == ("type.mismatch", 1, 20)
    assert (found["ok"], found["value"], found["type"]) == (False, None, None)


def test_a_failed_run_is_a_diagnostic_with_its_code(command, source):
    file = source('fn main() -> Int {\n  println("before")\n  1 / 0\n}\n')
    done = command("run", file, code=1)
    assert done.stdout == "before\n"
    assert "error[runtime.arith.div_zero]" in done.stderr
    assert "program.reml:3:3" in done.stderr
    found = json.loads(command("run", file, "--format", "json", code=1).stdout)
    (diagnostic,) = found["diagnostics"]
    assert (diagnostic["code"], diagnostic["line"], found["stdout"]) == ("runtime.arith.div_zero", 3, "before\n")
    assert diagnostic["stack"][0]["function"] == "main"
    found = json.loads(command("run", file, "--entry", "nope", "--format", "json", code=1).stdout)
    assert [item["code"] for item in found["diagnostics"]] == ["runtime.entry.unknown"]


def test_arguments_are_read_by_their_types(command, source):
    file = source('fn show(n: Int, x: Float, b: Bool, s: Str, xs: List<Int>) -> Str = format("{n} {x} {b} {s} {xs}")\n')
    words = [part for word in ("3", "2.5", "true", "a b", "[1, 2]") for part in ("--arg", word)]
    assert command("run", file, "--entry", "show", *words).stdout == "3 2.5 true a b [1, 2]\n"
    command("run", file, "--entry", "show", "--arg", "1", code=2)
    words[1] = "three"
    assert "`three` is no Int" in command("run", file, "--entry", "show", *words, code=2).stderr


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "missing.reml"], ["run", "--nope"], ["check"], ["nope"], ["run", "program.reml", "--limit", "nope=1"],
                  ["run", "program.reml", "--limit", "fuel=x"], ["run", "program.reml", "--limit", "fuel=-1"], ["run", "program.reml", "--format", "xml"],
                  ["audit"], ["audit", "verify"], ["dis", "missing.reml"]],
)  # fmt: skip
def test_wrong_usage_exits_with_2(command, source, arguments):
    source("fn main() {}\n")
    done = command(*arguments, code=2)
    assert done.stdout == ""
    assert done.stderr


def test_limits(command, source):
    file = source("fn main() -> Int { var i = 0; while true { i := i + 1 }; i }\n")
    for options in (
        ["--limit", "fuel=10000"],
        ["--untrusted"],
        ["--untrusted", "--limit", "fuel=500", "--limit", "call_depth=10"],
    ):
        found = json.loads(command("run", file, *options, "--format", "json", code=1).stdout)
        stopped = {"runtime.limit.instructions"}
        if options == ["--untrusted"]:  # 10^8 instructions or two seconds: under a sanitizer the seconds come first
            stopped.add("runtime.limit.deadline")
        assert found["diagnostics"][0]["code"] in stopped


def test_ctrl_c_exits_with_130_and_is_recorded(source, tmp_path):
    file = source('fn main() -> Int { println("go"); var i = 0; while true { i := i + 1 }; i }\n')
    child = subprocess.Popen([*REML, "run", file, "--audit", "log.ndjson"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             cwd=tmp_path, env=os.environ | {"PYTHONUNBUFFERED": "1"})  # fmt: skip
    assert child.stdout.readline() == "go\n"
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err == "error[runtime.interrupted]: interrupted\n"
    assert "runtime.interrupted" in (tmp_path / "log.ndjson").read_text()
    assert reml.audit.verify(tmp_path / "log.ndjson").ok


def test_check_names_every_file(command, source):
    good, bad = source("fn f() -> Int = 1\n", "good.reml"), source("fn f() -> Int = x\nfn g() -> Int = y\n", "bad.reml")
    assert command("check", good).stdout == "good.reml: ok\n"
    done = command("check", good, bad, code=1)
    assert done.stdout == "good.reml: ok\nbad.reml: 2 errors\n"
    assert "bad.reml:1:17" in done.stderr
    found = json.loads(command("check", good, bad, "--format", "json", code=1).stdout)
    assert list(found) == MEMBERS
    assert [(item["file"], item["line"]) for item in found["diagnostics"]] == [("bad.reml", 1), ("bad.reml", 2)]
    assert (found["ok"], found["value"], found["type"], found["stdout"], found["audit_count"]) == (
        False,
        None,
        None,
        "",
        4,
    )


def test_a_log_that_cannot_be_opened_is_an_error(command, source):
    file = source("fn main() {}\n")
    found = json.loads(command("run", file, "--audit", "no/such/folder.ndjson", "--format", "json", code=1).stdout)
    assert [item["code"] for item in found["diagnostics"]] == ["audit.unavailable"]


def test_audit_verify(command, source, tmp_path):
    command("run", source("fn main() {}\n"), "--audit", "log.ndjson")
    done = command("audit", "verify", "log.ndjson")
    assert done.stdout.startswith("log.ndjson: ok: ")
    report = json.loads(command("audit", "verify", "log.ndjson", "--format", "json").stdout)
    assert report["verdict"] == "ok"
    lines = (tmp_path / "log.ndjson").read_bytes().splitlines(keepends=True)
    (tmp_path / "log.ndjson").write_bytes(b"".join(lines[1:]))
    assert "broken" in command("audit", "verify", "log.ndjson", code=1).stdout
    command("audit", "verify", "missing.ndjson", code=2)
    command("audit", "verify", "log.ndjson", "--head", "xyz", code=2)
    (tmp_path / "log.ndjson").write_bytes(b"".join(lines[:-1]))
    command("audit", "verify", "log.ndjson", "--head", report["head"], code=1)


def test_dis_shows_ir_and_bytecode(command, source):
    file = source("fn f(x: Int) -> Int = x + 1\nfn g() -> Int = 2\n")
    done = command("dis", file)
    assert "; ir" in done.stdout
    assert "; bytecode" in done.stdout
    assert "fn g" in done.stdout
    assert "fn g" not in command("dis", file, "--function", "f", "--what", "ir").stdout
    assert command("dis", file, "--what", "tokens").stdout
    command("dis", file, "--function", "nope", code=1)
    command("dis", source("fn (\n", "bad.reml"), code=1)


def test_version_names_everything(command):
    facts = json.loads(command("version", "--format", "json").stdout)
    assert facts["abi"] == facts["header"] == "0.1.0"
    assert facts["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert command("version").stdout.splitlines()[0].split() == ["package", reml.__version__]


def test_help_lists_the_commands(command):
    done = command("--help")
    for name in ("run", "check", "bench", "dis", "audit", "version"):
        assert f"  {name} " in done.stdout


def every_command():
    """Each command of each program, as the words that name it."""

    def below(command, words):
        yield command, words
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                yield from below(command.commands[name], [*words, name])

    for program in (cli.reml, remlc, reml_run, reml_config):
        yield from below(program, [program.name])


@pytest.mark.parametrize(
    ("entry", "words"), list(every_command()), ids=lambda each: " ".join(each) if isinstance(each, list) else ""
)
def test_every_command_shows_its_help(entry, words):
    done = CliRunner().invoke(entry, ["--help"], prog_name=" ".join(words), terminal_width=200)
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith(f"Usage: {' '.join(words)} ")
    shown = done.stdout.splitlines()[2].strip()
    assert shown[0].isupper(), shown


def test_colours_go_to_terminals_only(source, tmp_path):
    file = source("fn main() -> Int = x\n")
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        leader, follower = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | variables
        child = subprocess.Popen([*REML, "run", file], stdout=follower, stderr=follower, cwd=tmp_path, env=environment)
        child.wait(timeout=60)
        os.close(follower)
        shown = os.read(leader, 100_000).decode()
        os.close(leader)
        assert ("\x1b[" in shown) == coloured
        assert child.returncode == 1


def test_a_reader_that_goes_away_is_no_traceback(source, tmp_path):
    file = source('fn main() -> () { for i in 0..200000 { println("line {i}") } }\n')
    with subprocess.Popen([*REML, "run", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as child:
        child.stdout.readline()
        child.stdout.close()
        err = child.stderr.read()
    assert child.returncode == 1
    assert err == b""


def test_bench_without_a_checkout_says_where_to_get_one(command, tmp_path):
    assert "source checkout" in command("bench", "--folder", str(tmp_path), code=2).stderr


ASKING = 'fn main() -> Str {\n  let name = do Console.ask("who? ")\n  do Console.log("hi " + name)\n  do Console.ask("")\n}\n'


def test_standard_input_answers_console_ask(command, source):
    file = source(ASKING)
    done = command("run", file, input="Ada\r\nlast")
    assert (done.stdout, done.stderr) == ("hi Ada\nlast\n", "")  # no question: nobody types
    assert command("run", file, stdin=subprocess.DEVNULL).stdout == "hi \n\n"
    assert command("run", file, "--untrusted", "--grant", "console", input="Ada\n").stdout == "hi \n\n"
    refused = command("run", file, "--untrusted", code=1)  # CONTRACTS 19.2: experimental ids are opted in to by name
    assert "effects.stage.missing_opt_in" in refused.stderr
    assert json.loads(command("run", file, "--format", "json", input="Ada\nx\n").stdout)["value"] == "x"


def test_a_question_is_shown_to_who_types(source, tmp_path):
    leader, follower = pty.openpty()
    child = subprocess.Popen([*REML, "run", source(ASKING)], stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             cwd=tmp_path)  # fmt: skip
    os.write(leader, b"Ada\nx\n")
    assert child.communicate(timeout=60) == ("hi Ada\nx\n", "who? ")
    child = subprocess.Popen([*REML, "run", source(ASKING)], stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             cwd=tmp_path)  # fmt: skip
    assert child.stderr.read(5) == "who? "
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[1] == "error[runtime.interrupted]: interrupted\n"
    assert child.returncode == 130
    os.close(follower)
    os.close(leader)


def test_warnings_go_to_stderr_and_stay_beside_a_failure(command, source):
    text = "fn main() -> Int {\n  let x = match Some(3) { Some(n) => n, None => 0, _ => 1 }\n  [1][x]\n}\n"
    done = command("run", source(text), code=1)
    assert "warning[pattern.unreachable_arm]" in done.stderr
    assert "error[runtime.index.out_of_bounds]" in done.stderr
    found = json.loads(command("run", source(text), "--format", "json", code=1).stdout)
    assert [item["code"] for item in found["diagnostics"]] == ["runtime.index.out_of_bounds", "pattern.unreachable_arm"]
    done = command("run", source(text.replace("[x]", "[x - 3]")))
    assert done.stdout == "1\n"
    assert done.stderr.startswith("warning[pattern.unreachable_arm]")


def test_modules_are_loaded_before_the_program_that_uses_them(command, source):
    shapes = source("module Shapes\npub fn area(w: Int, h: Int) -> Int = w * h\n", "shapes.reml")
    main = source("module Main\nuse Shapes\nfn main() -> Int = Shapes.area(3, 4)\n")
    assert command("run", main, "--with", shapes).stdout == "12\n"
    assert command("check", main, "--with", shapes).stdout == "program.reml: ok\n"
    bad = source("fn f() -> Int = x\n", "bad.reml")
    for name in ("run", "check"):
        assert "unknown name: x" in command(name, main, "--with", bad, code=1).stderr
        assert not json.loads(command(name, main, "--with", bad, "--format", "json", code=1).stdout)["ok"]
        command(name, main, "--with", "missing.reml", code=2)


def test_arguments_that_do_not_fit_are_wrong_usage(command, source):
    file = source(
        "fn main(n: Int) -> Int = n\nfn pick(r: { a: Int, b: Str }) -> Str = r.b\nfn one(c: Char) -> Char = c\n"
    )
    for entry, word in (("main", "9" * 20), ("pick", '{"a": 1}'), ("pick", "[" * 100_000), ("one", "ab")):
        assert "--arg" in command("run", file, "--entry", entry, "--arg", word, code=2).stderr


def test_a_future_of_an_entry_with_arguments_is_driven(command, source):
    file = source(
        'async fn main(x: Int) -> Int { Async.sleep_async(20.ms).await; 12 / x }\nasync fn no(x: Int) -> Result<Int, Str> = Err("no")\n'
    )
    assert command("run", file, "--arg", "3").stdout == "4\n"
    failed = command("run", file, "--arg", "0", code=1).stderr
    assert "runtime.arith.div_zero" in failed
    assert "<await>" not in failed  # no place of the program
    found = json.loads(command("run", file, "--entry", "no", "--arg", "0", "--format", "json", code=1).stdout)
    assert (found["value"], found["type"]) == ('Err("no")', "Result<Int, Str>")


def test_failures_without_a_place_are_no_traceback(command, source):
    empty, good = source("", "empty.reml"), source("fn main() {}\n")
    for name in ("run", "check", "dis"):
        assert command(name, empty, code=1).stderr == "error[native.embed.invalid_argument]: source is empty\n"
        failed = command(name, good, code=1, env=os.environ | {"REML_EMBED_FORCE_UNSUPPORTED": "1"})
        assert (failed.stdout, failed.stderr) == (
            "",
            "error[native.embed.unsupported_target]: unsupported target: linux\n",
        )
    assert command("check", empty, good, code=1).stdout == "empty.reml: 1 error\nprogram.reml: ok\n"
    found = json.loads(command("check", empty, "--format", "json", code=1).stdout)
    assert [(item["code"], item["file"]) for item in found["diagnostics"]] == [
        ("native.embed.invalid_argument", "empty.reml")
    ]
