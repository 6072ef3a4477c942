"""The measuring programs in C: what they check beside the clock, in short runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = (ROOT / "build" / "release" / "libreml_internal.a", ROOT / "build" / "libreml_embed.a")


def build(name: str, folder: Path) -> Path:
    """The program of benchmarks/c, linked with the library that was built here."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("there is no C compiler here")
    archive = next((path for path in ARCHIVES if path.exists()), None)
    if archive is None:
        pytest.skip("the library is not built: make lib")
    sources = [str(ROOT / "benchmarks" / "c" / f"{file}.c") for file in (name, "harness", "callee")]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "native" / "include")]
    program = folder / name
    built = subprocess.run(
        [*compiler, *flags, *sources, str(archive), "-lm", "-pthread", "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return program


def measure(
    program: Path, *arguments: str, **settings: str
) -> tuple[int, dict[tuple[str, str], dict[str, object]], str]:
    """Status, rows by row and engine, what it said on standard error."""
    output = program.parent / "out.json"
    ran = subprocess.run(
        [program, "--rounds", "1", "--sample-ms", "1", "--json", str(output), *arguments],
        env={**os.environ, "BENCH_DIRECTORY": str(program.parent), "BENCH_QUICK": "1", **settings},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    return ran.returncode, {(row["row"], row["engine"]): row for row in rows}, ran.stderr


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("audit", tmp_path_factory.mktemp("audit"))


def test_audit_loses_no_record_in_bursts_summaries_and_rendered_logs(audit: Path) -> None:
    status, rows, said = measure(audit)
    assert (status, said) == (0, "")
    assert {engine for row, engine in rows if row == "scalar call"} == {
        "no log",
        "summary",
        "every, journal",
        "every, rendered",
    }
    assert all(not row["failed"] and row["samples"] for row in rows.values())
    assert not [path for path in audit.parent.iterdir() if path.name.endswith((".ndjson", ".journal"))]


def test_audit_with_a_call_behind_the_logs_back_is_a_wrong_result(audit: Path) -> None:
    status, rows, said = measure(audit, "--only", "scalar call", BENCH_LOSE="1")
    assert status == 1
    assert {engine for (_, engine), row in rows.items() if row["failed"]} == {
        "summary",
        "every, journal",
        "every, rendered",
    }
    assert "every, journal: calls of add: 10500 in the log, 10501 made" in said


def test_scaling_answers_the_same_on_every_thread_size_and_heap(tmp_path: Path) -> None:
    status, rows, said = measure(build("scaling", tmp_path))
    assert (status, said) == (0, "")
    parts = {row.split(":")[0] for row, _ in rows}
    assert parts == {"threads", "growth", "collector"}
    assert all(row["samples"] and row["samples"][0] >= 0 for row in rows.values())
    flat = {
        engine: row["samples"][0]
        for (name, engine), row in rows.items()
        if name == "growth: List, memory of an element"
    }
    assert flat["10^5"] <= flat["10^3"]  # 8 bytes and what is spare
