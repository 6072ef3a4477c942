"""Versions are compared before anything else is called."""

import json

import pytest

import reml_embed as reml
from reml_embed import _ffi


def test_header_library_and_requested_version_agree_here():
    assert _ffi.HEADER_VERSION == reml.abi_version() == "0.1.0"
    _ffi.check_versions("0.1.0")


@pytest.mark.parametrize("library", ["0.2.0", "1.1.0", "0.0.9", "", "0.1", "0.1.0.0", "0.1.x", "٠.١.٠", "0.1.-1"])
def test_a_wrong_library_is_refused_with_the_audit_content_of_the_library_itself(library):
    with pytest.raises(reml.AbiMismatchError) as caught:
        _ffi.check_versions("0.1.0", library=library)
    metadata = json.loads(caught.value.record)["envelope"]["metadata"]
    assert metadata["native.embed.entrypoint"] == "reml_create_context"
    assert metadata["embed.abi.version"] == "0.1.0"
    assert metadata["embed.status"] == "abi_mismatch"
    assert metadata["native.embed.abi_mismatch"] is True
    assert metadata["error.severity"] == "error"
    assert metadata["error.message"] == f"abi mismatch: expected 0.1.0, got {library}"


def test_the_refusal_has_every_key_that_the_library_writes():
    reml.audit.drain()
    with pytest.raises(reml.AbiMismatchError):
        reml.Context(abi_version="9.9.9")
    (theirs,) = reml.audit.drain()
    ours = json.loads(_ffi.refusal_record("abi mismatch: expected 0.1.0, got 9.9.9", "9.9.9"))
    assert ours.keys() == theirs.keys()
    assert ours["envelope"]["metadata"] == theirs["envelope"]["metadata"]


def test_a_library_that_is_newer_in_the_same_line_serves():
    _ffi.check_versions("0.1.0", library="0.1.7")


@pytest.mark.parametrize("requested", ["9.9.9", "0.2.0", "0.1.1", "0.0.0", "1.0.0", "banana", "", "0.1", "0.1.0 "])
def test_a_requested_version_that_is_not_served_is_refused_by_the_library(requested):
    reml.audit.drain()
    with pytest.raises(reml.AbiMismatchError) as caught:
        reml.Context(abi_version=requested)
    assert caught.value.status == 2
    assert caught.value.record is None
    assert str(caught.value) == f"abi mismatch: expected 0.1.0, got {requested}"
    (record,) = reml.audit.drain()
    assert record["envelope"]["metadata"]["embed.abi.version"] == (requested or "unknown")


def test_an_unsupported_target_is_refused_early(monkeypatch):
    monkeypatch.setenv("REML_EMBED_FORCE_UNSUPPORTED", "TRUE")
    with pytest.raises(reml.UnsupportedTargetError) as caught:
        reml.Context()
    assert caught.value.status == 3
    assert str(caught.value) == "unsupported target: linux"
    record = reml.audit.drain()[-1]
    assert record["envelope"]["metadata"]["native.embed.unsupported_target"] is True
