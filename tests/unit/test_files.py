"""Files are replaced whole, in one place; what keeps a command from running is told in one voice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reml_embed._files import replace_file

PACKAGE = Path(__file__).resolve().parents[2] / "reml_embed"


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.json"
    replace_file(file, "one\n")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"one\n", 0o644)
    file.chmod(0o600)
    replace_file(file, b"two")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"two", 0o600)
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "none" / "a", "", make_folder=False)


def test_a_file_that_cannot_be_written_stays_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"old")]


def test_nothing_else_makes_temporary_files_to_replace_others() -> None:
    found = {path.name for path in PACKAGE.rglob("*.py") if re.search(r"mkstemp|NamedTemporary", path.read_text())}
    assert found == {"_files.py"}


def test_a_file_that_keeps_a_command_from_running_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".reml").mkdir()
    (tmp_path / ".reml" / "capabilities.json").write_text("{")
    (tmp_path / "a.reml").write_text("fn main() -> Int = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "reml_embed.cli", "run", "a.reml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: \.reml/capabilities\.json:1: capability\.file\.invalid: .*\n", done.stderr)
