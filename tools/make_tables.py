"""
Write the tables of docs/ that are made from the .def files: ``make_tables.py [--check]``.

``docs/bytecode.md`` from ``code/opcode.def``, ``docs/diagnostics.md`` from ``diag/code.def``. With ``--check`` nothing is written
and the exit status is 1 when a page is not what it would become.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by tools/make_tables.py (`make docs`); edit the .def file. -->\n"
STRING = r'"((?:[^"\\]|\\.)*)"'


def rows(path: Path, macro: str, strings: int) -> list[tuple[str, list[str], str]]:
    """(name, string operands, heading above it) for each row ``MACRO(NAME, "…", …)``; headings are ``/* --- … --- */`` lines."""
    found: list[tuple[str, list[str], str]] = []
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if title := re.fullmatch(r"/\* -+ (.*?) -* ?\*/", line.strip()):
            heading = title[1]
        elif row := re.match(rf"{macro}\((\w+)" + rf",\s*{STRING}" * strings, line):
            found.append((row[1], [text.replace('\\"', '"') for text in row.groups()[1:]], heading))
    return found


def cell(text: str) -> str:
    """Text that may stand in a cell of a Markdown table."""
    return text.replace("|", "\\|")


def bytecode() -> str:
    """One section per heading of opcode.def."""
    source = ROOT / "native" / "src" / "code" / "opcode.def"
    lines = [NOTE, "# Bytecode\n"]
    comment = re.match(r"/\*(.*?)\*/", source.read_text(encoding="utf-8"), re.DOTALL)
    if comment:
        lines += [
            "```text",
            *[re.sub(r"^ \* ?", "", line) for line in comment[1].strip("\n").rstrip().splitlines()],
            "```",
        ]
    previous = None
    for number, (name, (operands, meaning), heading) in enumerate(rows(source, "OP(?:_SCALAR)?", 2)):
        if heading != previous:
            lines += [f"\n## {heading}\n", "| code | instruction | operands | meaning |", "|---:|---|---|---|"]
            previous = heading
        lines.append(f"| {number} | `{name}` | `{operands}` | {cell(meaning)} |")
    return "\n".join(lines) + "\n"


def diagnostics() -> str:
    """Codes by domain."""
    source = ROOT / "native" / "src" / "diag" / "code.def"
    text = source.read_text(encoding="utf-8")
    severities = dict(re.findall(rf'CODE\(\w+, {STRING}, "[^"]*", RL_(\w+)\)', text))
    domains: dict[str, list[str]] = {}
    for _, (code, domain), _ in rows(source, "CODE", 2):
        domains.setdefault(domain, []).append(code)
    lines = [NOTE, "# Diagnostic codes"]
    for domain, codes in domains.items():
        lines += [f"\n## {domain}\n", "| code | severity |", "|---|---|"]
        lines += [f"| `{code}` | {severities.get(code, 'error').lower()} |" for code in codes]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Command line."""
    stale = 0
    for name, text in {"bytecode.md": bytecode(), "diagnostics.md": diagnostics()}.items():
        page = ROOT / "docs" / name
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            print(f"docs/{name} is not what the .def file says: make docs", file=sys.stderr)
            stale = 1
            continue
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")
        print(f"wrote docs/{name}")
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
