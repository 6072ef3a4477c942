"""
Real work on real data: the words in the source files of the Python standard library, counted by a Reml program.

    main.py [--limit-mb N] [--top N] [--check] [FOLDER]

Python finds and reads the files and shows the progress; ``words.reml`` tokenises, counts, ranks and reports, called once per file.
At the end comes what crossed the border, and how fast. ``--check`` counts everything again in Python and compares.
"""

from __future__ import annotations

import argparse
import collections
import re
import sys
import sysconfig
import time
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import reml_embed as reml

PROGRAM = Path(__file__).with_name("words.reml")


def sources(folder: Path, limit: int) -> list[Path]:
    """Python files below *folder*, installed packages left out, in a fixed order, at most *limit* bytes of them."""
    found, total = [], 0
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" in path.parts or "dist-packages" in path.parts or not path.is_file():
            continue
        total += path.stat().st_size
        if total > limit:
            break
        found.append(path)
    return found


def text_of(path: Path) -> str:
    """The file's text in the encoding that it declares; bytes that do not fit it become U+FFFD."""
    data = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(iter(data.splitlines(keepends=True)).__next__)
    except SyntaxError:
        encoding = "utf-8"
    return data.decode(encoding, errors="replace")


def words_of(text: str) -> Iterator[str]:
    """What ``count_words`` in words.reml counts, said in Python; the same for ASCII text."""
    return (word for word in re.findall(r"\w+", text) if not word[0].isdigit())


@dataclass
class Crossing:
    """What went over the border, and the seconds that it took."""

    load_s: float = 0.0
    calls: int = 0
    sent: int = 0
    inside_s: float = 0.0
    reports_s: float = 0.0


class Check:
    """The same count in Python; ``trouble`` names the first difference."""

    def __init__(self) -> None:
        self.expected: collections.Counter[str] = collections.Counter()
        self.trouble = ""

    def file(self, path: Path, text: str, report: Any) -> None:
        """Compare one file's report, where both sides must agree on what a letter is."""
        counted = collections.Counter(words_of(text))
        self.expected.update(counted)
        if text.isascii() and (report.words, report.distinct) != (counted.total(), len(counted)) and not self.trouble:
            self.trouble = f"{path}: Reml counts {report.words} words, Python {counted.total()}"

    def ranking(self, best: list[Any]) -> None:
        """Compare the most frequent words."""
        mine = [(entry.word, entry.count) for entry in best]
        theirs = sorted(self.expected.items(), key=lambda entry: (-entry[1], entry[0]))[: len(mine)]
        if mine != theirs and not self.trouble:
            self.trouble = f"Reml ranks {mine}, Python {theirs}"


def count(program: reml.Module, folder: Path, files: list[Path], console: Console, check: Check | None) -> Crossing:
    """Hand every file to the program; the bar moves by bytes."""
    crossing = Crossing()
    read_file = program["read_file"]
    sizes = [path.stat().st_size for path in files]
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("counting words", total=sum(sizes))
        for path, size in zip(files, sizes, strict=True):
            parts = path.parent.relative_to(folder).parts
            text = text_of(path)
            before = time.perf_counter()
            report = read_file(parts[0] if parts else ".", text)
            crossing.inside_s += time.perf_counter() - before
            crossing.calls += 1
            crossing.sent += len(text.encode())
            if check:
                check.file(path, text, report)
            progress.advance(task, size)
    return crossing


def show(console: Console, best: list[Any], directories: list[Any], most: int) -> None:
    """Two tables: words, and directories."""
    table = Table("rank", "word", "times", title="most frequent words")
    for rank, entry in enumerate(best, 1):
        table.add_row(str(rank), entry.word, f"{entry.count:,}")
    console.print(table)
    table = Table("directory", "files", "lines", "words", "different", "most of all", title="per directory")
    for row in directories[:most]:
        figures = (f"{figure:,}" for figure in (row.files, row.lines, row.words, row.distinct))
        table.add_row(row.directory, *figures, f"{row.favourite.word} ({row.favourite.count:,})")
    console.print(table)


def main() -> int:
    """Command line; 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--limit-mb", type=float, default=32.0)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    files = sources(options.folder, int(options.limit_mb * 1e6))
    if not files:
        print(f"no Python files in {options.folder}", file=sys.stderr)
        return 2
    console = Console()
    check = Check() if options.check else None

    with reml.Context() as context:
        before = time.perf_counter()
        program = context.load(PROGRAM)
        load_s = time.perf_counter() - before
        crossing = count(program, options.folder, files, console, check)
        before = time.perf_counter()
        best, directories, total = program["ranking"](options.top), program["by_directory"](), program["summary"]()
        crossing.load_s, crossing.reports_s = load_s, time.perf_counter() - before
        metrics = context.metrics()

    show(console, best, directories, options.top)
    megabytes, millions = crossing.sent / 1e6, total.words / 1e6
    print(f"{total.files:,} files, {total.lines:,} lines, {total.words:,} words, {total.distinct:,} different")
    print(f"crossed the border: {crossing.calls:,} calls with {megabytes:.1f} MB of text in and a record out each,")
    print(f"    then 3 calls with {len(best) + len(directories) + 1:,} records out; ", end="")
    print(f"the bridge counted {metrics.success_calls:,} good calls of {metrics.total_calls:,}")
    print(f"time in Reml: {crossing.inside_s:.2f} s: {megabytes / crossing.inside_s:.1f} MB/s, ", end="")
    print(
        f"{millions / crossing.inside_s:.2f} million words/s, {crossing.inside_s / crossing.calls * 1e6:,.0f} µs a call;"
    )
    print(f"    program loaded in {crossing.load_s * 1e3:.1f} ms, reports made in {crossing.reports_s * 1e3:.1f} ms")
    if check:
        check.ranking(best)
        print(check.trouble or "checked: Python counts the same")
        return 1 if check.trouble else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
