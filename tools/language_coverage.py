"""
Which test covers which section of the language reference, as a table: docs/language-coverage.md.

Tests say it themselves: a line ``// covers: 5.7, 8.4`` in a Reml file, ``# covers: 9.1`` in a Python file. Run by ``make docs``;
``--check`` writes nothing and fails when the table is not up to date, a section has no test, or a tag names no section.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "language-coverage.md"
FOLDERS = (
    ("tests/language", "*.reml"),
    ("tests/programs", "*.reml"),
    ("tests/unit", "*.py"),
    ("tests/differential", "*.py"),
)
TAG = re.compile(rb"(?://|#) covers: ([0-9., ]+)")
MOST_NAMES = 6

# number, title, priority
SECTIONS = [
    ("1.1", "Encoding and lines", "P0"),
    ("1.2", "Comments", "P0"),
    ("1.3", "Newlines and statement ends", "P0"),
    ("1.4", "Identifiers", "P0"),
    ("1.5", "Keywords", "P0"),
    ("1.6", "Tokens", "P0"),
    ("1.7", "Literals", "P0"),
    ("2", "Grammar", "P0"),
    ("2.1", "Operator precedence", "P0"),
    ("2.2", "Disambiguation of `{`", "P0"),
    ("2.3", "Implicit blocks and arm layout", "P0, implicit blocks P1"),
    ("2.4", "Syntax errors", "P0"),
    ("3.1", "Modules", "P0"),
    ("3.2", "Names and namespaces", "P0"),
    ("3.3", "`use`", "P0"),
    ("3.4", "Visibility", "P0"),
    ("3.5", "Attributes", "P0"),
    ("3.6", "Host names and `extern`", 'P0, `extern "C"` P1'),
    ("4.1", "Type forms", "P0, `[T; N]` P1"),
    ("4.2", "Declarations", "P0"),
    ("4.3", "Records", "P0, open records P1"),
    ("4.4", "Inference", "P0"),
    ("4.5", "Casts", "P0"),
    ("4.6", "Traits, impls, methods", "P0, dictionaries P1"),
    ("4.7", "Principal type errors", "P0"),
    ("5", "Order of evaluation", "P0"),
    ("5.1", "Bindings and assignment", "P0"),
    ("5.2", "Blocks, `defer`, `return`", "P0"),
    ("5.3", "Calls, named and default arguments", "P0"),
    ("5.4", "Pipes", "P0"),
    ("5.5", "Conditionals and loops", "P0"),
    ("5.6", "`match`", "P0"),
    ("5.7", "Patterns", "P0, regex and active P1"),
    ("5.8", "`?`", "P0"),
    ("5.9", "Lambdas", "P0"),
    ("5.10", "Panics", "P0"),
    ("5.11", "Operators", "P0, NFC equality P1"),
    ("5.12", "Access, index, ranges, durations", "P0"),
    ("5.13", "`unsafe`", "P0"),
    ("6.1", "Tags", "P0"),
    ("6.2", "Latent sets and annotations", "P0"),
    ("6.3", "Effect declarations", "P0"),
    ("6.4", "Handlers", "P0"),
    ("7.1", "Futures", "P0"),
    ("7.2", "References", "P0"),
    ("7.3", "Conductors", "P1"),
    ("8.1", "Modules of the core library", "P0"),
    ("8.2", "Free functions", "P0/P1"),
    ("8.3", "`Option` and `Result`", "P0/P1"),
    ("8.4", "`List`", "P0/P1"),
    ("8.5", "`Map`, `Set`, mutable collections", "P0/P1"),
    ("8.6", "`Iter` and `Range`", "P1"),
    ("8.7", "`Str`, `Char`, `Bytes`", "P0/P1"),
    ("8.8", "Numbers", "P0/P1"),
    ("8.9", "Time, environment, misc", "P0/P1"),
    ("8.10", "Files and paths", "P1"),
    ("8.11", "Running", "P0"),
    ("9.1", "Diagnostics: shape", "P0"),
    ("9.2", "Expected tokens", "P0"),
    ("9.3", "Load-time codes", "P0"),
    ("9.4", "Run-time codes", "P0"),
    ("11.1", "Guide: the C sample", "P0"),
    ("11.2", "Guide, block 1: `load_release_note`", "P0"),
    ("11.3", "Guide, block 2: `reload`", "P0"),
    ("11.4", "Guide, block 3: `emit_metrics`", "P0"),
    ("11.5", "Guide, block 4: `run_wasi`", "P0"),
    ("11.6", "Guide, block 5: `game_loop.on_tick`", "P0"),
    ("11.7", "Guide, block 6: `handle_diff`", "P0"),
    ("11.8", "Guide, block 7: `run_stream_async`", "P0"),
    ("11.9", "Guide, block 8: `with_foreign_stub`", "P0"),
]

#: Not part of the runtime yet, and why. A section leaves this table with its first test.
LATER: dict[str, str] = {}


def read_tags() -> tuple[dict[str, list[str]], list[str]]:
    """Section → tests in order of their paths; and what is wrong with tags."""
    known = {number for number, _, _ in SECTIONS}
    found: dict[str, list[str]] = defaultdict(list)
    problems = []
    for folder, pattern in FOLDERS:
        for path in sorted((ROOT / folder).rglob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            for tag in TAG.findall(path.read_bytes()):
                for number in tag.decode().replace(",", " ").split():
                    if number not in known:
                        problems.append(f"{name}: there is no section {number}")
                    elif name not in found[number]:
                        found[number].append(name)
    return found, problems


def cell(names: list[str]) -> str:
    """The first few tests, and how many more there are."""
    shown = [f"[{Path(name).stem}](../{name})" for name in names[:MOST_NAMES]]
    more = len(names) - len(shown)
    return " · ".join(shown) + (f" · and {more} more" if more else "")


def render(found: dict[str, list[str]]) -> str:
    """The page."""
    lines = [
        "# Language coverage",
        "",
        "Sections of the language reference and the tests that hold them. Made by `make docs` (tools/language_coverage.py) from the",
        "`covers:` lines of the tests; edit those.",
        "",
        "| Section | Title | Priority | Tests | |",
        "| --- | --- | --- | ---: | --- |",
    ]
    for number, title, priority in SECTIONS:
        names = found.get(number, [])
        text = cell(names) if names else f"*later: {LATER.get(number, 'none')}*"
        lines.append(f"| {number} | {title} | {priority} | {len(names)} | {text} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` look whether it is up to date."""
    found, problems = read_tags()
    for number, title, _ in SECTIONS:
        if number not in found and number not in LATER:
            problems.append(f"section {number} ({title}) has no test")
        if number in found and number in LATER:
            problems.append(f"section {number} ({title}) has tests: it is no later one")
    page = render(found)
    if "--check" not in arguments:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        problems.append(f"{PAGE.relative_to(ROOT)} is out of date: run `make docs`")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
