"""Every section of the language reference has a test that says so, and docs/language-coverage.md tells which."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "language_coverage.py"


def test_the_table_is_up_to_date_and_has_no_holes():
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
