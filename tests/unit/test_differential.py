"""Generated programs answer what a second, simple evaluation in Python answers. The long run is ``make differential``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "differential"


def test_generated_programs_answer_what_python_says():
    done = subprocess.run(
        [sys.executable, FOLDER / "run.py", "--programs", "1200", "--seed", "1", "--jobs", "2"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.startswith("1,200 programs, 0 differences")
