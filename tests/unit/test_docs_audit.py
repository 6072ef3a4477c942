"""docs/audit.md works as written: its files are written, its commands run in their order, and what they print is what the page says."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")

#: What differs from run to run, and what stands for it.
VOLATILE = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\b\d{4,6} bytes\b", "SIZE bytes"),
)


def normal(text: str) -> str:
    """Text without what differs."""
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    return text


def steps() -> list[tuple[str, str]]:
    """(file name, content) of files, ("$", command and output) of commands, in the order of the page."""
    found: list[tuple[str, str]] = []
    for kind, name, text in re.findall(r"^```(\w+) ?([\w.]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        if kind == "console":
            found += [("$", piece) for piece in re.split(r"^\$ ", text, flags=re.MULTILINE) if piece]
        elif name:
            found.append((name, text))
    return found


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="the page names its platform")
def test_the_tour_works_as_written(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("reml", "-m reml_embed.cli"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    folder = tmp_path / "tour"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop("REML_EMBED_AUDIT_PATH", None)
    commands = 0
    for name, text in steps():
        if name != "$":
            (folder / name).write_text(text, encoding="utf-8")
            continue
        command, _, expected = text.partition("\n")
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        shown = re.sub(r"^bash: line .*Killed.*\n", "", done.stdout, flags=re.MULTILINE)
        assert normal(shown) == normal(expected), command
        commands += 1
    assert commands > 15
