"""Files of scripts as hosts and operators see them: refusals at the system's border, records, gates (LANGUAGE 8.10; CONTRACTS 6)."""
# covers: 8.10

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reml_embed as reml
from reml_embed.audit import gates
from reml_embed.audit.kinds import missing_keys
from reml_embed.audit.records import Record
from reml_embed.audit.validation import validate, verify_metadata

HEAD = "use Core.IO\nuse Core.Path\n"
#: Each opens, lists or changes something; the folder is the first argument of the program.
PROGRAMS = {
    "read_text": 'IO.read_text(at("note")).is_ok()',
    "read_bytes": 'IO.read_bytes(at("note")).is_ok()',
    "with_reader": 'IO.with_reader(at("note"), |r| r.read_all()).is_ok()',
    "write_text": 'IO.write_text(at("new"), "x").is_ok()',
    "write_bytes": 'IO.write_bytes(at("new"), Bytes.empty()).is_ok()',
    "with_writer": 'IO.with_writer(at("new"), |w| w.write_text("x")).is_ok()',
    "append": 'IO.with_writer(at("note"), |w| w.write_text("x"), append = true).is_ok()',
    "exists": 'IO.exists(at("note")).is_ok()',
    "metadata": 'IO.metadata(at("note")).is_ok()',
    "remove": 'IO.remove(at("note")).is_ok()',
    "glob": 'Path.glob(at("*").to_string()).is_ok()',
    "validate": 'Path.validate(at("note"), at("")).is_ok()',
    "watch": 'Path.watch([at("")], |event| false, max_depth = Some(0)).is_ok()',
}
AT = "fn at(name: Str) -> Path = Path.path(Env.args()[0]).join(name)\n"
#: What reads file names of the folder, in any way.
CALLS = "trace=openat,open,creat,unlink,unlinkat,rename,renameat,renameat2,stat,lstat,newfstatat,statx,readlink,readlinkat,access,faccessat,faccessat2"

strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed: system calls cannot be compared"
)


def source(name: str) -> str:
    return f"{HEAD}{AT}fn main() -> Bool = {PROGRAMS[name]}\n"


def run_of(folder: Path, text: str, **options: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The value of ``main`` and the records of files."""
    with reml.Context(args=[str(folder)], **options) as context:
        value = context.load(text)["main"]()
        return value, [record for record in context.drain() if record["category"] == "core.io"]


def metadata_of(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record["envelope"]["metadata"] for record in records]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    (made / "note").write_text("a note\n", encoding="utf-8")
    return made


# --- refusals ------------------------------------------------------------------------------------------------------------


def traced(folder: Path, name: str, *options: str) -> tuple[str, list[str]]:
    """What the program printed, and the calls of the system that name something in *folder*."""
    program, trace = folder.parent / "program.reml", folder.parent / "trace"
    program.write_text(source(name), encoding="utf-8")
    done = subprocess.run(
        ["strace", "-f", "-e", CALLS, "-o", trace, sys.executable, "-m", "reml_embed.cli", "run", program, *options, folder],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "PTRACE" in done.stderr or not trace.exists():
        pytest.skip("strace may not trace here")
    return done.stdout.strip(), [
        line for line in trace.read_text(errors="replace").splitlines() if f'"{folder}' in line
    ]


@strace
@pytest.mark.parametrize("name", ["read_text", "write_text", "remove", "glob", "watch"])
def test_an_untrusted_program_reaches_no_file(folder: Path, name: str) -> None:
    printed, calls = traced(folder, name, "--untrusted")
    assert (printed, calls) == ("false", [])
    assert sorted(entry.name for entry in folder.iterdir()) == ["note"]
    if name == "read_text":  # the same program, trusted: the trace sees files
        printed, calls = traced(folder, name)
        assert printed == "true"
        assert any("openat" in call and "note" in call for call in calls)


@strace
def test_an_untrusted_program_reads_what_it_was_granted_by_name(folder: Path) -> None:
    printed, calls = traced(folder, "read_text", "--untrusted", "--grant", "io.fs.read")
    assert printed == "true"
    assert calls
    printed, calls = traced(folder, "write_text", "--untrusted", "--grant", "io.fs.read")
    assert (printed, calls) == ("false", [])


@strace
def test_a_context_without_the_grant_makes_no_call_that_one_with_other_grants_does_not(folder: Path) -> None:
    script = folder.parent / "host.py"
    script.write_text(
        "import sys, reml_embed as reml\n"
        f"HEAD = {HEAD + AT!r}\n"
        "with reml.Context(args=[sys.argv[1]], grants=[]) as context:\n"
        + "".join(
            f"    assert context.load(HEAD + {f'fn main() -> Bool = {text}'!r})['main']() is False\n"
            for text in PROGRAMS.values()
        ),
        encoding="utf-8",
    )
    trace = folder.parent / "trace"
    done = subprocess.run(
        ["strace", "-f", "-e", CALLS, "-o", trace, sys.executable, script, folder],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "PTRACE" in done.stderr or not trace.exists():
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    assert [line for line in trace.read_text(errors="replace").splitlines() if f'"{folder}' in line] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_function_is_refused_without_its_capability_and_says_so_in_the_log(folder: Path, name: str) -> None:
    value, records = run_of(folder, source(name), grants=[])
    assert value is False
    (error,) = metadata_of(records)
    assert (error["event.kind"], error["io.error.kind"]) in {
        ("core.io.error", "SecurityViolation"), ("core.path.glob", "SecurityViolation"),
    }  # fmt: skip
    assert error["bridge.id"] == f"io::{error['io.capability']}"
    assert sorted(entry.name for entry in folder.iterdir()) == ["note"]


def test_a_capability_taken_away_during_a_run_stops_an_open_reader(folder: Path) -> None:
    with reml.Context(args=[str(folder)]) as context:
        context.define("Host.revoke", lambda: context.revoke("io.fs.read"), signature="() -> ()")
        module = context.load(
            f'{HEAD}{AT}extern "host" {{ fn Host.revoke() -> () }}\n'
            'fn main() -> Str = to_string(IO.with_reader(at("note"), |r| {\n'
            "  let first = r.read(1)?\n  Host.revoke()\n  println(first)\n  r.read(1)\n}).map_err(|e| e.kind))\n"
        )
        assert module["main"]() == 'Err("SecurityViolation")'


def test_a_refused_stage_is_recorded_as_the_diagnostic_and_as_the_error(folder: Path) -> None:
    from reml_embed.registry.capability import CapabilityRegistry

    registry = CapabilityRegistry()
    registry.set_stage("io.fs.read", "experimental")
    with reml.Context(args=[str(folder)], registry=registry) as context:
        module = context.load(f'{HEAD}{AT}fn main() -> Str = to_string(IO.read_text(at("note")).map_err(|e| e.kind))')
        assert module["main"]() == 'Err("SecurityViolation")'
        found = metadata_of(context.drain())
    assert [one["capability.error.code"] for one in found if one["event.kind"] == "capability_check"] == [
        "effects.contract.stage_mismatch"
    ]
    assert [one["io.error.kind"] for one in found if one["event.kind"] == "core.io.error"] == ["SecurityViolation"]


# --- records --------------------------------------------------------------------------------------------------------------


EVERYTHING = """
fn main() -> Bool {
  let made = IO.write_text(at("b"), "1\\n2\\n")
  let read = IO.with_reader(at("b"), |r| { r.read_line()?; r.copy_to(IO.bytes_writer(helper = "bridge.release_note")) })
  let noted = read |> IO.log_io("bridge.release_note", Some(at("b")), IO.elapsed_since_start(), IO.audit_sink())
  let copied = IO.with_reader(at("b"), |r| IO.with_writer(at("c"), |w| r.copy_to(w)))
  let _ = IO.with_writer(at("c"), |w| { w.write_text("x")?; w.flush() }, append = true)
  let _ = (IO.exists(at("c")), IO.metadata(at("c")), IO.read_bytes(at("c")), IO.remove(at("c")))
  let _ = (Path.glob(at("*").to_string()), Path.glob("["), Path.validate(at("b"), at("")), Path.validate(Path.path("x"), at("")))
  let _ = (IO.read_text(at("none")), IO.with_reader(at("b"), |r| r.read(-1)))
  let writer = spawn(async { Async.sleep_async(50.ms).await; IO.write_text(at("new"), "x").is_ok() })
  let _ = Path.watch([at("")], |event| false)
  made.is_ok() && read.is_ok() && noted.is_ok() && copied.is_ok()
}
"""


@pytest.fixture
def log(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "log.ndjson"
    with reml.Context(args=[str(folder)], audit=path) as context:
        assert context.load(HEAD + AT + EVERYTHING)["main"]() is True
    return path


def test_every_operation_leaves_a_record_with_the_keys_of_its_kind(log: Path) -> None:
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    files = [record for record in records if record["category"] == "core.io"]
    assert {record["envelope"]["metadata"]["event.kind"] for record in files} == {
        "core.io.operation", "core.io.error", "core.io.watch", "core.path.glob",
    }  # fmt: skip
    for record in files:
        assert missing_keys(Record(record)) == [], record
    names = {record["envelope"]["metadata"]["io.operation"] for record in files}
    assert names >= {
        "io.write_text", "file.open", "reader.read_line", "io.copy", "file.create", "writer.write_text", "writer.flush",
        "bridge.release_note", "file.exists", "file.metadata", "io.read_bytes", "file.remove", "path.glob", "path.validate",
        "watch.start", "watch.events",
    }  # fmt: skip
    for metadata in metadata_of(files):
        assert metadata["bridge.id"] == f"io::{metadata['io.capability']}" == f"io::{metadata['bridge.capability']}"
        assert {
            "io.operation",
            "io.path",
            "io.capability",
            "io.helper",
            "bridge.stage.required",
            "bridge.stage.actual",
        } <= metadata.keys()


def test_the_log_is_valid_and_its_metadata_are_complete(log: Path) -> None:
    assert validate(log).ok
    assert verify_metadata(log).ok


@pytest.mark.parametrize("scenario", ["reader_writer", "path_glob", "watcher_audit", "buffered"])
def test_the_gates_of_core_io_pass_on_what_is_written(log: Path, scenario: str) -> None:
    (result,) = gates.evaluate(gates.find(["core_io"], scenario), [log])
    assert (result.total > 0, result.pass_rate) == (True, 1.0), result


def test_io_helper_equals_what_log_io_writes(log: Path) -> None:
    found = [
        (one["io.operation"], one["io.helper"])
        for one in metadata_of([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()])
        if one.get("io.helper") == "bridge.release_note"
    ]
    assert found == [("io.copy", "bridge.release_note"), ("bridge.release_note", "bridge.release_note")]


def test_codes_of_records_are_those_of_the_contract(log: Path) -> None:
    found = metadata_of([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()])
    codes = {one["error.code"] for one in found if "error.code" in one and "io.operation" in one}
    assert codes == {
        "core.io.not_found",
        "core.io.invalid_input",
        "core.path.glob.invalid_pattern",
        "core.path.security.invalid",
    }


# --- values for the host -----------------------------------------------------------------------------------------------------


def test_an_error_reaches_the_host_with_kind_message_and_context(folder: Path) -> None:
    with reml.Context(args=[str(folder)]) as context:
        module = context.load(f"{HEAD}fn read(name: Str) -> Result<Str, IoError> = IO.read_text(Path.path(name))")
        assert module["read"](str(folder / "note")) == reml.Ok("a note\n")
        error = module["read"](str(folder / "none")).value
    assert error.kind == "NotFound"
    assert error.message == f"{folder}/none: there is no such file or folder"


# --- atomic writes --------------------------------------------------------------------------------------------------------------


def test_a_reader_sees_the_old_or_the_new_file_and_never_a_part(folder: Path) -> None:
    target = folder / "note"
    target.write_text("0" * 200_000)
    stop, torn = threading.Event(), list[int]()

    def look() -> None:
        while not stop.is_set():
            text = target.read_text()
            if len(text) != 200_000 or len(set(text)) != 1:
                torn.append(len(text))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        run_of(
            folder,
            f'{HEAD}{AT}fn main() -> () {{ for i in 0..60 {{ let _ = IO.write_text(at("note"), to_string(i % 10).repeat(200000)) }} }}',
        )
    finally:
        stop.set()
        thread.join()
    assert torn == []
    assert [entry.name for entry in folder.iterdir()] == ["note"]


def test_a_kill_during_a_write_leaves_a_whole_file(folder: Path) -> None:
    target = folder / "note"
    target.write_text("old" * 100_000)
    program = folder.parent / "program.reml"
    program.write_text(
        f'{HEAD}{AT}fn main() -> () {{ println("ready")\n for i in 0..100000 {{ let _ = IO.write_text(at("note"), "new".repeat(100000)) }} }}',
        encoding="utf-8",
    )
    for delay in (0.01, 0.05):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys, reml_embed as reml; c = reml.Context(args=[sys.argv[1]], output=lambda t: print('ready', flush=True)); c.load(open(sys.argv[2]).read())['main']()",
                str(folder),
                str(program),
            ],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert target.read_text() in {"old" * 100_000, "new" * 100_000}


# --- names ---------------------------------------------------------------------------------------------------------------------


PARTS = st.lists(st.sampled_from(["a", "b", ".", "..", "", "ü", "..."]), max_size=8)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PARTS, st.booleans())
def test_normalize_is_that_of_posix(parts: list[str], absolute: bool) -> None:
    text = ("/" if absolute else "") + "/".join(parts)
    expected = posixpath.normpath(text) if text else "."
    if expected.startswith("//"):  # POSIX leaves two slashes to the system
        expected = expected[1:]
    assert NORMALIZE(text) == expected


NAMES = st.text(st.sampled_from("ab.Aü-]"), min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
PATTERNS = st.text(st.sampled_from("ab.A*?ü"), min_size=1, max_size=5).filter(
    lambda text: "**" not in text and text not in {".", ".."}
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.sets(NAMES, max_size=6), st.sets(NAMES, max_size=3), PATTERNS)
def test_glob_finds_what_the_shell_finds(tmp_path: Path, names: set[str], folders: set[str], pattern: str) -> None:
    import glob

    root = tmp_path / "glob"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name in names:
        (root / name).write_text("")
    for name in folders - names:
        (root / name).mkdir()
        (root / name / "ab").write_text("")
    for text in (f"{root}/{pattern}", f"{root}/*/{pattern}", f"{root}/**/{pattern}"):
        expected = sorted(set(glob.glob(text, recursive=True)), key=os.fsencode)  # noqa: PTH207 - the judge
        assert GLOB(text).value == expected, text


CONTEXT = reml.Context()
MODULE = CONTEXT.load(
    f"{HEAD}fn normal(text: Str) -> Str = Path.path(text).normalize().to_string()\n"
    "fn find(pattern: Str) -> Result<List<Str>, Str> = Path.glob(pattern).map(|l| l.map(|p| p.to_string())).map_err(|e| e.message)\n"
)
NORMALIZE, GLOB = MODULE["normal"], MODULE["find"]


def test_the_opaque_bindings_of_the_language_text_still_load(tmp_path: Path) -> None:
    """LANGUAGE 11.2: a host may supply stubs of its own under the same names."""
    bindings = """extern "host" {
      type Path
      type AuditSink
      type Reader
      type Writer
      type IoError
      fn with_reader<T>(path: Path, body: fn(Reader) -> Result<T, IoError>) -> Result<T, IoError>
      fn Reader.copy_to(self, out: Writer) -> Result<Bytes, IoError>
      fn bytes_writer(helper: Str) -> Writer
      fn log_io<T>(outcome: Result<T, IoError>, op: Str, path: Option<Path>, elapsed: Duration, sink: AuditSink) -> Result<T, IoError>
      fn elapsed_since_start() -> Duration
    }"""
    block = Path(__file__).resolve().parents[2] / "examples/guide/01_load_release_note/load_release_note.reml"
    seen = list[Any]()

    def log_io(outcome: Any, op: str, path: Any, elapsed: Any, sink: Any) -> Any:
        seen.append((op, path, sink))
        return outcome

    with reml.Context() as context:
        context.load(bindings, ambient=True)
        context.bind("with_reader", lambda path, body: body(path))
        context.bind("Reader.copy_to", lambda reader, out: reml.Ok(reader + out))
        context.bind("bytes_writer", lambda helper: helper.encode())
        context.bind("elapsed_since_start", lambda: reml.Duration(1))
        context.bind("log_io", log_io)
        assert context.load(block)["load_release_note"](b"p:", "sink") == reml.Ok(b"p:bridge.release_note")
    assert seen == [("bridge.release_note", b"p:", "sink")]


def test_docs_name_every_function_of_the_section() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/files.md").read_text(encoding="utf-8")
    for name in re.findall(r"pub fn ((?:IO|Path|Reader|Writer)\.\w+)", CORE.read_text(encoding="utf-8")):
        assert f"`{name}" in text, name


CORE = Path(__file__).resolve().parents[2] / "native/src/vm/core/96_io.reml"
