"""``reml ffi`` and manifests of foreign functions (CONTRACTS 2.8); the examples of docs/ffi.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from reml_embed import ffi_manifest
from reml_embed.cli import reml
from reml_embed.registry._shape import FileError

GOOD = """
[library.libm]
path = { linux-x86_64 = "m", linux-arm64 = "m", macos-arm64 = "libSystem.dylib" }
[library.libc]
path = "c"

[[function]]
library = "libm"
name = "cosine"
link_name = "cos"
signature = "(F64) -> F64"

[[function]]
library = "libc"
name = "malloc"
signature = "(U64) -> Ptr"
ownership = "transferred"
release = "free"
"""


def run(*arguments: str):
    return CliRunner().invoke(reml, ["ffi", *arguments])


def write(folder: Path, text: str, name: str = "ffi.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_check_prints_the_summary_of_the_contract(tmp_path):
    done = run("check", write(tmp_path, GOOD), "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "ffi_bridge_pass_rate": 1.0,
        "total_ffi_declarations": 2,
        "passed_ffi_declarations": 2,
        "abi_breakdown": {ffi_manifest.host_abi().expected_abi: 2},
        "ownership_breakdown": {"none": 1, "transferred": 1},
    }


def test_a_json_manifest_has_the_same_form(tmp_path):
    manifest = {
        "library": {"m": {"path": "m"}},
        "function": [{"library": "m", "name": "cos", "signature": "(F64) -> F64"}],
    }
    assert run("check", write(tmp_path, json.dumps(manifest), "ffi.json")).exit_code == 0


def test_another_platform_is_checked_without_its_libraries(tmp_path):
    done = run("check", write(tmp_path, GOOD), "--platform", "windows-msvc-x64", "--format", "json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["abi_breakdown"] == {"msvc": 2}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ('name = "cos"\nsignature = "(F64) -> Nope"', "ffi.signature.invalid"),
        ('name = "cos"\nsignature = "(F64) -> F64"\nabi = "msvc"', "ffi.contract.unsupported_abi"),
        ('name = "no_such_function"\nsignature = "() -> Void"', "ffi.contract.symbol_missing"),
        ('name = "cos"\nsignature = "(F64) -> F64"\nownership = "borrowed"', "ffi.contract.ownership_mismatch"),
        ('name = "cos"\nsignature = "(F64) -> Ptr"\nownership = "transferred"', "ffi.contract.ownership_mismatch"),
        ('name = "cos"\nsignature = "(F64) -> F64"\nrelease = "free"', "ffi.contract.ownership_mismatch"),
        (
            'name = "cos"\nsignature = "(F64) -> Ptr"\nownership = "transferred"\nrelease = "no_such"',
            "ffi.contract.symbol_missing",
        ),
    ],
)
def test_a_declaration_that_does_not_hold_is_named_with_file_line_key_path_and_code(tmp_path, change, code):
    path = write(tmp_path, f'[library.m]\npath = "m"\n\n[[function]]\nlibrary = "m"\n{change}\n')
    done = run("check", path, "--format", "json")
    assert done.exit_code == 1
    assert re.search(rf"ffi\.toml:4: {re.escape(code)}: .+ at \$\.function\[0\]", done.stderr)
    assert json.loads(done.stdout)["passed_ffi_declarations"] == 0


def test_a_library_that_is_not_there_fails_its_declarations(tmp_path):
    path = write(
        tmp_path,
        '[library.x]\npath = "no-such-library"\n[[function]]\nlibrary = "x"\nname = "f"\nsignature = "() -> Void"\n',
    )
    done = run("check", path)
    assert done.exit_code == 1
    assert "ffi.library_not_found" in done.stderr


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[library", "is not TOML"),
        ("librarys = 1", "unknown key (known: schema_version, library, function) at $.librarys"),
        ("[library.m]\npath = 5", "expected a text, got a number at $.library.m.path"),
        ('[library.m]\npath = { "plan9-mips" = "m" }', "unknown platform `plan9-mips`"),
        ('[[function]]\nlibrary = "m"', "missing key at $.function[0].name"),
        ('[[function]]\nlibrary = "m"\nname = "f"\nsignature = "() -> Void"', "no library `m`"),
        ("function = 5", "expected a list, got a number at $.function"),
        ("function = [5]", "expected an object, got a number at $.function[0]"),
        (
            '[library.m]\npath = "m"\n[[function]]\nlibrary = "m"\nname = "f"\nsignature = "() -> Void"\nstyle = "odd"',
            "unknown style",
        ),
        (
            '[library.m]\npath = "m"\n[[function]]\nlibrary = "m"\nname = "f"\nsignature = "() -> Void"\nowner = "me"',
            "unknown key",
        ),
    ],
)
def test_a_manifest_of_another_form_is_wrong_usage_and_names_the_key(tmp_path, text, what):
    done = run("check", write(tmp_path, text))
    assert done.exit_code == 2
    assert what in re.sub(r"\s+", " ", done.stderr)
    assert "ffi.manifest.invalid" in done.stderr
    assert "Traceback" not in done.output


def test_a_missing_manifest_and_an_unknown_platform_are_wrong_usage(tmp_path):
    assert run("check", str(tmp_path / "nothing.toml")).exit_code == 2
    assert run("check", str(tmp_path)).exit_code == 2
    assert run("check", write(tmp_path, GOOD), "--platform", "plan9").exit_code == 2
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(FileError, match="not UTF-8"):
        ffi_manifest.check(tmp_path / "bytes.toml")
    (tmp_path / "bad.json").write_text('{"a": 1,')
    with pytest.raises(FileError):
        ffi_manifest.check(tmp_path / "bad.json")


def test_metrics_prints_the_counters_of_the_bridge(tmp_path):
    path = write(tmp_path, "fn main() -> Int = 1", "main.reml")
    done = run("metrics", path, "--reset", "--format", "json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert list(found) == [
        "total_calls",
        "success_calls",
        "borrowed_results",
        "transferred_results",
        "null_results",
        "acquired",
        "released",
        "live",
        "pass_rate",
    ]
    assert found["total_calls"] == found["success_calls"]
    assert found["pass_rate"] == 1.0
    assert "pass_rate" in run("metrics").stdout


def test_metrics_of_a_program_that_fails_exit_with_one(tmp_path):
    for source in ('fn main() -> Int = panic("no")', "fn main("):
        done = run("metrics", write(tmp_path, source, "main.reml"), "--format", "json")
        assert done.exit_code == 1
        assert json.loads(done.stdout)
        assert done.stderr


DOC = Path(__file__).parents[2] / "docs" / "ffi.md"


def test_the_examples_of_the_document_work(tmp_path):
    text = DOC.read_text(encoding="utf-8")
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, names)
    manifest = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert manifest
    assert run("check", write(tmp_path, manifest[1])).exit_code == 0
