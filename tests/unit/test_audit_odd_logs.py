"""Commands on logs that are none: each says what is wrong with which line of which file, and ends at once."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reml_embed.audit import FileSink, Record

REML = [sys.executable, "-m", "reml_embed.cli", "audit"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    """The bytes of a log of three records."""
    path = tmp_path / "good.ndjson"
    for number in range(3):
        FileSink(path).write_record(
            Record({"envelope": {"metadata": {"event.kind": "order.shipped", "order": number}}})
        )
    return path.read_bytes()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command on the file `odd`, in its folder."""

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*REML, *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=20,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stderr
        return done

    return command


READERS = [("tail", "odd"), ("query", "odd"), ("show", "odd", "1"), ("index", "odd")]


@pytest.mark.parametrize("words", [("verify", "odd"), *READERS], ids=lambda words: words[0])
def test_a_packed_log_is_refused_by_name(run: Run, good: bytes, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "odd").write_bytes(gzip.compress(good))
    done = run(*words)
    assert (done.returncode, "packed by gzip: unpack it first" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [("verify", "odd"), *READERS], ids=lambda words: words[0])
def test_a_pipe_that_nobody_writes_is_refused_at_once(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "odd")
    done = run(*words)
    assert (done.returncode, "not a file that can be read at any place" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
def test_a_damaged_line_is_named_and_passed_over(run: Run, good: bytes, tmp_path: Path, words: tuple[str, ...]) -> None:
    lines = good.splitlines(keepends=True)
    (tmp_path / "odd").write_bytes(lines[0] + b"{not json\n" + lines[1] + b"\xff\n" + lines[2])
    for _ in range(2):  # an index that is there already knows them, too
        done = run(*words)
        assert "odd:2: " in done.stderr
        assert "[audit.record.not_json]: " in done.stderr
        assert "odd:4: " in done.stderr
        assert "[audit.record.not_utf8]: byte 1 is not UTF-8" in done.stderr
        assert "order.shipped" in done.stdout or "3 records" in done.stdout


def test_tail_names_a_torn_last_line(run: Run, good: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(good[:-10])
    done = run("tail", "odd")
    assert done.stderr.startswith("odd:3: warning[audit.record.torn]: the last line is torn: ")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)


def test_thousands_of_damaged_lines_are_counted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"{\n" * 5000)
    done = run("query", "odd")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 6
    assert done.stderr.endswith("… and 4995 more lines that are no records\n")


def test_gates_over_a_log_without_records_say_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\n" * 3)
    done = run("metrics", "--audit-source", "odd", "--require-success")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == [
        "no gate has samples",
        "odd:1: error[audit.record.not_utf8]: byte 1 is not UTF-8",
    ]


@pytest.mark.parametrize("words", [("verify", "odd"), *READERS, ("validate", "odd")], ids=lambda words: words[0])
@pytest.mark.parametrize(
    "content", [b"", b"{}" * 5_000_000 + b"\n", os.urandom(4096)], ids=["empty", "10 MB", "binary"]
)
def test_any_bytes_have_an_answer(run: Run, tmp_path: Path, words: tuple[str, ...], content: bytes) -> None:
    (tmp_path / "odd").write_bytes(content)
    assert run(*words).returncode in (0, 1)
