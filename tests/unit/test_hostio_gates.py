"""Real records of file operations pass the gates of CONTRACTS 6.5; the matrix is that of the tables."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reml_embed import hostio
from reml_embed.audit import AuditContext, FileSink, MemorySink, Record, gates
from reml_embed.audit.kinds import missing_keys
from reml_embed.hostio.adapters import OPERATIONS
from reml_embed.hostio.matrix import confirm, page
from reml_embed.registry.capability import CapabilityRegistry

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "core-io-effects-matrix.md"
SCENARIOS = (
    "reader_writer",
    "path_glob",
    "watcher_audit",
    "buffered",
    "file_ops",
    "effects_matrix",
    "capability_matrix",
)


def make_host(log):
    return hostio.Host(registry=CapabilityRegistry(audit=AuditContext(FileSink(log))), audit=FileSink(log))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of every operation, and of failures of most."""
    home = tmp_path_factory.mktemp("gates")
    path, folder = home / "audit.ndjson", home / "files"
    folder.mkdir()
    host = make_host(path)
    confirm(folder, host)
    closed = hostio.open(folder / "one.txt", host=host)
    closed.close()
    uses = (
        lambda: hostio.open(folder / "missing", host=host), lambda: closed.read(1), lambda: hostio.glob("a[", host=host),
        lambda: hostio.watch(folder / "missing", host=host), lambda: hostio.validate_path("x", hostio.SecurityPolicy(()), host=host),
        lambda: hostio.with_reader(folder / "one.txt", lambda reader: reader.read_exact(1000), host=host),
        lambda: hostio.buffered(hostio.open(folder / "one.txt", host=host), -1),
    )  # fmt: skip
    for use in uses:
        with pytest.raises(hostio.IoFailure):
            use()
    for capability in ("io.fs.read", "memory.buffered_io", "fs.watcher.native"):
        host.fs.registry.disable(capability)
    for use in (
        lambda: hostio.glob("*", host=host), lambda: hostio.watch(folder, host=host), lambda: hostio.bytes_writer(host=host),
        lambda: hostio.with_reader(folder / "one.txt", lambda reader: reader.read(1), host=host),
    ):  # fmt: skip
        with pytest.raises(hostio.IoFailure):
            use()
    return path


def metrics(*words):
    command = [sys.executable, "-m", "reml_embed.cli", "audit", "metrics", "--section", "core_io", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_real_records_pass_every_gate(log, scenario):
    code, result = metrics("--scenario", scenario, "--matrix", PAGE, "--audit-source", log, "--require-success")
    assert (code, result["pass_rate"]) == (0, 1.0), result["failures"]
    assert result["total"] > 0


@pytest.mark.parametrize("scenario", ["file_ops", "effects_matrix", "capability_matrix"])
def test_each_row_of_the_matrix_is_confirmed_by_its_own_records(log, tmp_path, scenario):
    """Without the records of one operation exactly its row fails."""
    lines = log.read_text().splitlines(keepends=True)
    for operation in ("io.copy", "path.is_safe_symlink", "watch.resource_limits"):
        part = tmp_path / f"{operation}.ndjson"
        part.write_text("".join(line for line in lines if f'"io.operation":"{operation}"' not in line))
        [result] = gates.evaluate(gates.find(["core_io"], scenario), [part], matrix=PAGE)
        assert result.failed == 1, (operation, result.failures)


def test_all_rows_are_there(log):
    done = {json.loads(line)["envelope"]["metadata"].get("io.operation") for line in log.read_text().splitlines()}
    assert done >= set(OPERATIONS)
    assert all(f"| `{name}` |" in page() for name in OPERATIONS)


def test_every_record_is_complete(log):
    for line in log.read_text().splitlines():
        assert missing_keys(Record.parse(line)) == []


def test_the_page_is_that_of_the_tables():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_io_matrix.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_tool_confirms_the_page(tmp_path):
    log = tmp_path / "log.ndjson"
    subprocess.run([sys.executable, ROOT / "tools" / "make_io_matrix.py", "--confirm", log], check=True)
    code, _ = metrics("--scenario", "capability_matrix", "--matrix", PAGE, "--audit-source", log, "--require-success")
    assert code == 0


def test_the_release_note_of_the_guide_passes_its_gates(tmp_path):
    """CONTRACTS 6.6, with the guide's helper."""
    note, log = tmp_path / "note.md", tmp_path / "log.ndjson"
    note.write_text("# 1.0\n")
    host = make_host(log)
    memory = hostio.bytes_writer(helper="bridge.release_note", host=host)
    data = hostio.with_reader(note, lambda reader: reader.copy_to(memory), host=host)
    hostio.log_io("bridge.release_note", note, 0.001, host.trail.audit, outcome=data, context=memory.context)
    assert data == b"# 1.0\n"
    code, result = metrics("--scenario", "reader_writer", "--audit-source", log, "--require-success")
    assert (code, result["pass_rate"]) == (0, 1.0), result
    helpers = [json.loads(line)["envelope"]["metadata"].get("io.helper") for line in log.read_text().splitlines()]
    assert helpers.count("bridge.release_note") == 2


def test_when_the_sink_of_a_host_is_given_the_registry_keeps_its_own(tmp_path):
    checks, records = MemorySink(), MemorySink()
    host = hostio.Host(registry=CapabilityRegistry(audit=AuditContext(checks)), audit=records)
    hostio.glob(tmp_path / "*", host=host)
    assert (checks.kinds, records.kinds) == (["capability_check"], ["core.path.glob"])


# --- the suites of programs (6.6) ---


def run_suites(*words):
    command = [
        sys.executable,
        "-m",
        "reml_embed.cli",
        "examples",
        "run",
        "--suite",
        "core_io",
        "--suite",
        "core_path",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [[], ["--with-audit"]])
def test_the_two_baseline_examples_run_from_the_suites(words):
    done = run_suites(*words)
    assert done.returncode == 0, done.stderr
    assert "core_io/file_copy: ok: exit 0" in done.stdout
    assert "core_path/relative_denied: ok: exit 1 (allowed failure)" in done.stdout


def test_the_suites_give_the_samples_of_their_gate(tmp_path):
    (tmp_path / "examples.json").write_text(run_suites("--with-audit", "--format", "json").stdout)
    code, result = metrics(
        "--scenario", "example_suite", "--audit-source", tmp_path / "examples.json", "--require-success"
    )
    assert (code, result["pass_rate"], result["total"]) == (0, 1.0, 7)


def golden_records(*suites):
    files = [file for suite in suites for file in sorted((ROOT / "examples" / suite).glob("*/*.expected.audit.jsonl"))]
    return files, [Record.parse(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("scenario", ["reader_writer", "path_glob"])
def test_records_of_programs_pass_the_same_gates(scenario):
    files, _ = golden_records("core_io", "core_path")
    code, result = metrics(
        "--scenario", scenario, *(word for file in files for word in ("--audit-source", file)), "--require-success"
    )
    assert (code, result["pass_rate"]) == (0, 1.0), result["failures"]


def test_programs_and_hosts_use_the_same_keys_and_operations(log):
    ours = [Record.parse(line).metadata for line in log.read_text().splitlines()]
    known = {key for metadata in ours for key in metadata if key.startswith(("io.", "security.", "bridge.", "error."))}
    for record in golden_records("core_io", "core_path")[1]:
        theirs = {key for key in record.metadata if key.startswith(("io.", "security.", "bridge.", "error."))}
        assert theirs <= known | {"io.elapsed_ns", "security.root"}, record.metadata["io.operation"]
        assert all(record.metadata[f"io.{key}"] for key in ("operation", "path", "capability", "helper"))
        assert missing_keys(record) == []
    assert {"file.open", "file.create", "io.copy", "file.remove", "file.metadata", "path.glob", "path.validate"} <= set(
        OPERATIONS
    )


def test_a_relative_path_is_refused_alike_by_programs_and_hosts():
    [theirs] = [
        record.metadata for record in golden_records("core_path")[1] if record.metadata["io.path"] == "notes/today.md"
    ]
    sink = MemorySink()
    host = hostio.Host(registry=CapabilityRegistry(audit=AuditContext(MemorySink())), audit=sink)
    with pytest.raises(hostio.PathSecurityError):
        hostio.validate_path("notes/today.md", hostio.SecurityPolicy(("/srv/notes",)), host=host)
    ours = sink.taken[0].metadata
    for key in ("error.code", "io.error.kind", "io.operation", "io.helper", "io.capability", "security.reason", "security.path", "security.root",
                "security.capability", "bridge.id", "bridge.stage.required", "bridge.stage.actual"):  # fmt: skip
        assert ours[key] == theirs[key], key
