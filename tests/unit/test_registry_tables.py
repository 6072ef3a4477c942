"""What docs/ says about capabilities is what the code says."""

import csv
import subprocess
import sys
from pathlib import Path

from reml_embed.registry.capability import MATRIX, CapabilityRegistry

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_of_the_docs_are_those_of_the_code():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_capability_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_matrix_has_every_error_of_the_contract():
    with (ROOT / "docs" / "capability-errors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["code"], row["diagnostic"]) for row in rows] == [
        (row.variant, row.code, row.diagnostic) for row in MATRIX
    ]


def test_every_built_in_capability_has_a_row():
    page = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")
    assert [row.id for row in CapabilityRegistry().describe_all() if f"| `{row.id}` | {row.stage} |" not in page] == []
