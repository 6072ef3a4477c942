"""
Write ``docs/core-io-effects-matrix.md`` from the tables of reml_embed/hostio/adapters.py: ``make_io_matrix.py [--check] [--confirm LOG]``.

With ``--check`` nothing is written and the exit status is 1 when the page is not what it would become. ``--confirm LOG`` runs every row of it in a temporary folder
and appends the records to an audit log.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from reml_embed.audit import FileSink
from reml_embed.hostio import Host
from reml_embed.hostio.matrix import confirm, page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "core-io-effects-matrix.md"


def main(arguments: list[str]) -> int:
    """Command line."""
    if "--confirm" in arguments:
        with tempfile.TemporaryDirectory() as folder:
            confirm(Path(folder), Host(audit=FileSink(arguments[arguments.index("--confirm") + 1])))
        return 0
    if "--check" in arguments:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            print(f"{PAGE.name} is not what the tables give: make docs", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
