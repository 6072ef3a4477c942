"""docs/guide-map.md says where things are: what it calls present is there, what it calls later is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guide-map.md"
STATE, HOME, PROOF = 2, 3, 5


def rows() -> list[list[str]]:
    """Cells of the table of systems."""
    table = PAGE.read_text(encoding="utf-8").split("## Systems")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def paths(cell: str) -> list[str]:
    """What stands in backticks and is a path of this repository."""
    return [name for name in re.findall(r"`([^`]+)`", cell) if "/" in name]


def is_present(row: list[str]) -> bool:
    return "**now**" in row[STATE]


@pytest.mark.parametrize("row", [row for row in rows() if is_present(row)], ids=lambda row: row[1][:40])
def test_what_is_present_is_there(row: list[str]) -> None:
    assert paths(row[HOME]), row
    assert paths(row[PROOF]), row
    for name in paths(row[HOME]) + paths(row[PROOF]):
        assert (ROOT / name).exists(), f"{name} of the row for {row[0]} ({row[1]})"


@pytest.mark.parametrize("row", [row for row in rows() if not is_present(row)], ids=lambda row: row[1][:40])
def test_what_is_later_is_not_there(row: list[str]) -> None:
    assert "*later*" in row[STATE], row
    for name in paths(row[HOME]):
        if (ROOT / name).is_file() or ((ROOT / name).is_dir() and any((ROOT / name).iterdir())):
            assert row[HOME] != f"`{name}`", f"{name} exists: the row for {row[0]} ({row[1]}) is no longer `later`"
    assert paths(row[PROOF]) == [], row


def test_every_chapter_has_a_row() -> None:
    named = {cell for row in rows() for cell in re.findall(r"§(\d+)", row[0])}
    assert named == {str(number) for number in range(12)}
