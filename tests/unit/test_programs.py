"""What the textbook programs must print comes from their Python twins: the ``// prints:`` lines are those twins' output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "programs"
PROGRAMS = sorted(FOLDER.glob("*.reml"))


def test_there_are_programs_and_each_has_a_twin():
    assert len(PROGRAMS) >= 40
    assert {p.stem for p in PROGRAMS} == {p.stem for p in FOLDER.glob("*.py")}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_expected_output_is_that_of_the_python_version(program):
    printed = subprocess.run(
        [sys.executable, program.with_suffix(".py")], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    expected = [
        line.removeprefix("// prints:").removeprefix(" ")
        for line in program.read_text(encoding="utf-8").splitlines()
        if line.startswith("// prints:")
    ]
    assert printed.rstrip("\n").split("\n") == expected
