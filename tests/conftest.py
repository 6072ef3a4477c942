"""What all Python tests share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import reml_embed as reml
from reml_embed.diagnostics.catalog import refuse_unregistered

# The same examples on every run and every machine, and no folder of found ones.
hypothesis.settings.register_profile("repository", database=None, derandomize=True, deadline=None)
hypothesis.settings.load_profile("repository")


@pytest.fixture(scope="session", autouse=True)
def _registered_codes() -> Iterator[None]:
    """A diagnostic whose code nobody registered is refused (CONTRACTS 21)."""
    with refuse_unregistered():
        yield


@pytest.fixture
def context() -> Iterator[reml.Context]:
    """A context of its own for each test."""
    with reml.Context() as made:
        yield made


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in a Python of its own: what a process does at its end, with signals and after forks."""

    def run(program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "program.py"
        script.write_text("import reml_embed as reml\n" + program, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-X", "dev", str(script), *arguments],
            capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run
