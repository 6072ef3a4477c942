"""Whatever stands in a file about capabilities: it is read, or refused with file, key path and code; nothing else happens."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reml_embed.registry.capability import (
    CapabilityDescriptor,
    CapabilityRegistry,
    FileError,
    ManifestLoadFailure,
    StageViolation,
    transform_capability_manifest,
)
from reml_embed.registry.conductor import ConductorContract, read_manifest
from reml_embed.registry.records import read as read_records
from reml_embed.registry.runtime_file import RuntimeFile, validation_report
from reml_embed.registry.security import SecurityPolicy
from reml_embed.registry.state import StateFile

#: Names that the readers know, so that random values often get past the first check.
NAMES = [
    "schema_version", "capabilities", "stage", "enabled", "promoted_at", "audit_id", "overrides", "records", "capability", "id", "effect_scope",
    "provider", "kind", "security", "permissions", "signature", "requirements", "source_span", "start", "end", "declared_effects", "required_stage",
    "stage_bounds", "minimum", "run", "target",
]  # fmt: skip
WORDS = [
    "3.0.0-alpha",
    "beta",
    "stable",
    "alpha",
    "at_least:beta",
    "core",
    "plugin",
    "gc",
    "",
    "io.fs.read",
    "\0",
    "\ud800",
]
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=4))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)

READERS = [
    CapabilityDescriptor.from_json, SecurityPolicy.from_json, ConductorContract.from_json,
]  # fmt: skip


def refusal(call, *kinds):
    """What a call raises of these kinds; None when it answers. Anything else goes through, and fails the test."""
    try:
        call()
    except kinds as error:
        return error
    return None


@given(values)
def test_values_are_read_or_refused_with_a_key_path(value):
    for reader in READERS:
        error = refusal(lambda reader=reader: reader(value), FileError)
        assert error is None or (error.key_path.startswith("$") and error.code and error.detail)
    if isinstance(value, dict):
        error = refusal(lambda: transform_capability_manifest(value), FileError, StageViolation)
        assert error is None or isinstance(error, StageViolation) or error.key_path.startswith("$")


@given(
    st.one_of(
        values.map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    )
)
def test_files_are_read_or_refused_and_stay_as_they_are(content):
    registry = CapabilityRegistry()
    with tempfile.TemporaryDirectory() as folder:
        state = StateFile(folder)
        state.path.parent.mkdir()
        for path, read in (
            (state.path, state.read), (state.path, lambda: state.apply(registry)), (Path(folder) / "runtime.json", lambda: RuntimeFile.read(Path(folder) / "runtime.json", registry)),
            (Path(folder) / "records.json", lambda: read_records(Path(folder) / "records.json")),
        ):  # fmt: skip
            path.write_bytes(content)
            error = refusal(read, FileError)
            assert error is None or (error.file == str(path) and error.key_path.startswith("$"))
            assert path.read_bytes() == content
        report = validation_report([Path(folder) / "runtime.json"], registry)
        assert report["validation"]["status"] in {"ok", "error"}
        json.dumps(report)


toml = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(["[[run.target.capabilities]]\n", "[run.target]\n", 'id = "gc"\n', 'stage = "beta"\n', "stage = 1\n", "source_span = { start = 1, end = 2 }\n",
                              'declared_effects = ["io"]\n', "capabilities = []\n", "x = 2024-99-99\n", '"']), max_size=8).map(lambda lines: "".join(lines).encode()),
)  # fmt: skip


@given(toml)
def test_manifests_are_read_or_a_load_failure(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reml.toml"
        path.write_bytes(content)
        error = refusal(lambda: read_manifest(path), ManifestLoadFailure)
        assert error is None or (error.manifest_path == str(path) and error.detail() and str(path) in str(error))
        assert path.read_bytes() == content


def test_numbers_of_thousands_of_digits_are_refused(tmp_path):
    digits = "1" * 10_000
    (tmp_path / "runtime.json").write_text(f'{{"stage": {digits}}}')
    with pytest.raises(FileError):
        RuntimeFile.read(tmp_path / "runtime.json")
    (tmp_path / "reml.toml").write_text(f"a = {digits}\n")
    with pytest.raises(ManifestLoadFailure):
        read_manifest(tmp_path / "reml.toml")


def test_large_files_are_read(tmp_path):
    state = StateFile(tmp_path)
    state.path.parent.mkdir()
    row = {"stage": "beta", "enabled": True, "promoted_at": None, "audit_id": "x"}
    state.path.write_text(
        json.dumps(
            {"schema_version": "3.0.0-alpha", "capabilities": {f"host.c{number}": row for number in range(20_000)}}
        )
    )
    assert len(state.read()) == 20_000
