"""One reader of TOML for every command: what one accepts no other one refuses (CONTRACTS 10.1)."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reml_embed import _toml, effects
from reml_embed.config import documents, manifest
from reml_embed.registry import conductor

EXAMPLE = Path(__file__).parents[2] / "examples" / "core_config"

MANIFEST = """[project]
name = "shop"
dependencies = {
  core = "0.1",  # a comment, with a } in it
  text = "a { b,\\n }",
}

[dsl.prices]
entry = "prices.reml"

[[run.target.capabilities]]
id = "io.fs.read"
stage = "beta"
"""


def test_line_breaks_comments_and_last_commas_in_inline_tables_are_read() -> None:
    assert _toml.loads("a = {t = 07:32:00,\n n = +1,}") == {"a": {"t": datetime.time(7, 32), "n": 1}}
    assert _toml.loads(MANIFEST)["project"]["dependencies"] == {"core": "0.1", "text": "a { b,\n }"}


@pytest.mark.parametrize("text", ["a = {b = 1,,}", "a = {,}", "a = {\nb 1}", "a = [1\n,,]", "a = {", "a = '{\n'"])
def test_what_is_no_toml_stays_none(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        _toml.loads(text)


def test_the_place_in_a_message_is_that_of_the_text() -> None:
    text = "a = {\n  b = 1,\n  c = ?,\n}\n"
    with pytest.raises(tomllib.TOMLDecodeError, match=r"at line 3, column 7"):
        _toml.loads(text)


@pytest.mark.parametrize("text", ["a = 1\n", 'a = "{"\n', "[a]\nb = [{c = 1}, {d = [2, {e = 3}]}]\n", "a = {}"])
def test_what_the_standard_reads_means_the_same_here(text: str) -> None:
    assert _toml.loads(text) == tomllib.loads(text)


def test_every_reader_of_a_manifest_accepts_the_same_text(tmp_path: Path) -> None:
    file = tmp_path / "reml.toml"
    file.write_text(MANIFEST, encoding="utf-8")
    (tmp_path / "prices.reml").write_text("pub fn main() -> Int = 1\n", encoding="utf-8")
    assert [entry.name for entry in effects.read_dsl(file)] == ["prices"]
    assert list(conductor.read_manifest(file)) == ["io.fs.read"]
    assert not [problem for problem in documents.read(file).problems if problem.severity == "error"]
    assert manifest.read(file).document.value["project"]["name"] == "shop"


def test_check_reads_the_manifest_that_lint_accepts(tmp_path: Path) -> None:
    folder = tmp_path / "core_config"
    shutil.copytree(EXAMPLE, folder)
    command = [sys.executable, "-m", "reml_embed.cli", "check", "audit_bridge.reml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000])
def test_a_manifest_that_python_cannot_hold_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "reml.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(effects.EffectError, match=r"reml\.toml"):
        effects.read_dsl(file)
