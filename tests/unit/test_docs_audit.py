"""docs/audit.md and docs/operations.md work as written: their files are written, their commands run in their order, and what they print is what the page says."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: The programs that pages call.
PROGRAMS = {
    "reml": "-m reml_embed.cli",
    "remlc": "-m reml_embed.cli.remlc",
    "reml-run": "-m reml_embed.cli.reml_run",
    "reml-config": "-m reml_embed.cli.reml_config",
    "python": "",
}

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


def steps(page: str) -> list[tuple[str, str]]:
    """(file name, content) of files, ("$", command and output) of commands, in the order of the page."""
    found: list[tuple[str, str]] = []
    whole = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for kind, name, text in re.findall(r"^```(\w+) ?([\w.]*)\n(.*?)^```$", whole, re.MULTILINE | re.DOTALL):
        if kind == "console":
            found += [("$", piece) for piece in re.split(r"^\$ ", text, flags=re.MULTILINE) if piece]
        elif name:
            found.append((name, text))
    return found


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="the page names its platform")
@pytest.mark.parametrize("page", ["audit.md", "operations.md"])
def test_the_tour_works_as_written(page: str, tmp_path: Path) -> None:
    if page == "operations.md" and (shutil.which("jq") is None or find_spec("watchfiles") is None):
        pytest.skip("jq or watchfiles is not there")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in PROGRAMS.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    folder = tmp_path / "tour"
    folder.mkdir()
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop("REML_EMBED_AUDIT_PATH", None)
    commands = 0
    for name, text in steps(page):
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
