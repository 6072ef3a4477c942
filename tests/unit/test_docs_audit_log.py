"""docs/audit-log.md shows a real log: its chain holds, its code runs, its verdicts are what the library says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "audit-log.md").read_text(encoding="utf-8")
ARCHIVE = ROOT / "build" / "libreml_embed.a"


def block(kind: str) -> str:
    """The text of the one fenced block that begins with ```kind."""
    found = re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, kind
    return str(found[0])


LOG = block("json lines").splitlines(keepends=True)


@pytest.fixture(scope="module")
def broken_record() -> Callable[[list[str]], int]:
    """The page's own verifier, a second opinion beside the library's."""
    names: dict[str, Callable[[list[str]], int]] = {}
    exec(block("python"), names)
    return names["broken_record"]


@pytest.fixture(scope="module")
def verify(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The page's C program."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("there is no C compiler here")
    if not ARCHIVE.exists():
        pytest.skip("build/libreml_embed.a is not there: make lib")
    folder = tmp_path_factory.mktemp("verify")
    (folder / "verify.c").write_text(block("c"), encoding="utf-8")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", str(ROOT / "native" / "include")]
    sources = [str(folder / "verify.c"), str(ARCHIVE), "-lm", "-pthread", "-o", str(folder / "verify")]
    subprocess.run([*compiler, *flags, *sources], check=True)

    def run(lines: list[str], *arguments: str) -> str:
        path = folder / "audit.ndjson"
        path.unlink(missing_ok=True)
        if lines:
            path.write_text("".join(lines), encoding="utf-8")
        done = subprocess.run([folder / "verify", path, *arguments], capture_output=True, text=True, check=False)
        return done.stdout.rstrip("\n")

    return run


def changed() -> list[str]:
    """One word of record 7."""
    assert "mian" in LOG[6]
    return [line.replace('"embed.run.entrypoint":"mian"', '"embed.run.entrypoint":"main"') for line in LOG]


def last_hash(line: str) -> str:
    found = re.search(r'"audit\.chain\.hash":"([0-9a-f]{64})"', line)
    assert found
    return found[1]


CASES: dict[str, tuple[list[str], list[str]]] = {
    "nothing": (LOG, []),
    "a word changed in record 7": (changed(), []),
    "record 3 deleted": (LOG[:2] + LOG[3:], []),
    "cut in the middle of record 9": ([*LOG[:8], LOG[8][:282]], []),
    "records 5 to 9 cut off, a head was noted": (LOG[:4], [last_hash(LOG[8])]),
    "records 5 to 9 cut off, no head and no journal": (LOG[:4], []),
    "no such file": ([], []),
}


def test_log_on_the_page_is_whole(broken_record: Callable[[list[str]], int]) -> None:
    assert len(LOG) == 9
    assert broken_record([line.rstrip("\n") for line in LOG]) == 0
    assert f"--expect-head {last_hash(LOG[8])}" in PAGE


@pytest.mark.parametrize(
    ("lines", "record"), [(changed(), 7), (LOG[:2] + LOG[3:], 3), (LOG[:1] + LOG[:1] + LOG[1:], 2)]
)
def test_verifier_of_the_page_names_the_record(
    broken_record: Callable[[list[str]], int], lines: list[str], record: int
) -> None:
    assert broken_record([line.rstrip("\n") for line in lines]) == record


@pytest.mark.parametrize("case", CASES)
def test_verdicts_on_the_page_are_the_librarys(case: str, verify: Callable[..., str]) -> None:
    lines, arguments = CASES[case]
    row = re.search(rf"^\| {re.escape(case)} \| `([^`]*)` \|$", PAGE, re.MULTILINE)
    assert row, case
    assert verify(lines, *arguments) == row[1]


def test_every_row_of_verdicts_is_tried() -> None:
    table = PAGE.split("| what was done to the log above | verdict |")[1].split("\n\n")[0]
    assert table.count("\n|") - 1 == len(CASES)
