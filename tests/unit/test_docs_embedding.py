"""docs/embedding.md is a program: its pieces of C are compiled together and run, and each prints what stands below it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "embedding.md"
HEADERS = ROOT / "native" / "include"
ARCHIVE = ROOT / "build" / "libreml_embed.a"
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SEPARATOR = "=== piece "


@dataclass(frozen=True)
class Piece:
    """A block of statements and what it prints."""

    line: int
    code: str
    prints: str


def read_page() -> tuple[list[tuple[int, str]], list[Piece]]:
    """Declarations (```c) with their lines, and pieces (```c body, then ```text)."""
    page = PAGE.read_text(encoding="utf-8")
    declarations: list[tuple[int, str]] = []
    pieces: list[Piece] = []
    for block in FENCE.finditer(page):
        line = page.count("\n", 0, block.start()) + 2
        kind, text = block["kind"], block["text"]
        if kind == "c":
            declarations.append((line, text))
        elif kind == "c body":
            pieces.append(Piece(line, text, ""))
        elif kind == "text":
            assert pieces, f"{PAGE.name}:{line}: output without code"
            pieces[-1] = Piece(pieces[-1].line, pieces[-1].code, text)
    return declarations, pieces


def program() -> str:
    """All pieces as one program; compilers and sanitizers name lines of the page."""
    declarations, pieces = read_page()
    parts = [f'#line {line} "{PAGE.name}"\n{text}' for line, text in declarations]
    parts += [f'static void piece_{p.line}(void) {{\n#line {p.line} "{PAGE.name}"\n{p.code}}}\n' for p in pieces]
    calls = "".join(f'    puts("{SEPARATOR}{p.line}");\n    fflush(stdout);\n    piece_{p.line}();\n' for p in pieces)
    return "\n".join([*parts, f"int main(void) {{\n{calls}    return 0;\n}}\n"])


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What each piece prints, by its line."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("there is no C compiler here")
    if not ARCHIVE.exists():
        pytest.skip("build/libreml_embed.a is not there: make lib")
    folder = tmp_path_factory.mktemp("embedding")
    (folder / "tour.c").write_text(program(), encoding="utf-8")
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", *warnings, "-I", str(HEADERS), "-o", str(folder / "tour")]
    built = subprocess.run(
        [*compiler, *flags, str(folder / "tour.c"), str(ARCHIVE), "-lm", "-pthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([folder / "tour"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    parts = ran.stdout.split(SEPARATOR)[1:]
    return {int(part.split("\n", 1)[0]): part.split("\n", 1)[1] for part in parts}


@pytest.mark.parametrize("piece", read_page()[1], ids=lambda piece: f"line-{piece.line}")
def test_piece_prints_what_the_page_says(piece: Piece, printed: dict[int, str]) -> None:
    assert printed[piece.line] == piece.prints


def test_page_is_really_read() -> None:
    declarations, pieces = read_page()
    assert len(declarations) >= 5
    assert len(pieces) >= 15
    assert all(piece.prints for piece in pieces)
