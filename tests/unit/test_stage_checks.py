"""CONTRACTS 19.2: what promotion asks about, ``.reml/stage-checks.json``."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from reml_embed.effects import (
    BOUNDARY_EFFECTS,
    FEATURES,
    TAGS,
    StageCheckFileError,
    StageChecks,
    check_features,
    register_tag,
)

AUDIT_ID = "6e3cb4a0-1b1c-4b6b-a9f0-0a7b2c9e5d11"
AT = "2026-03-02T08:50:33Z"


def record(checks: StageChecks, id: str = "console", stage: str = "experimental", *, passed: bool = True) -> None:  # noqa: A002
    checks.record(id, stage, tests_passed=passed, audit_id=AUDIT_ID, timestamp=AT)


def test_file_is_a_list_of_exactly_the_five_members(tmp_path: Path) -> None:
    checks = StageChecks(tmp_path)
    record(checks)
    data = json.loads((tmp_path / ".reml" / "stage-checks.json").read_text())
    expected = {"id": "console", "stage": "experimental", "tests_passed": True, "audit_id": AUDIT_ID, "timestamp": AT}
    assert data == [expected]


def test_latest_outcome_counts(tmp_path: Path) -> None:
    checks = StageChecks(tmp_path)
    record(checks, passed=True)
    record(checks, passed=False)
    assert "failed" in str(checks.why_not("console", "experimental"))
    record(checks, passed=True)
    assert checks.why_not("console", "experimental") is None


def test_a_run_for_another_stage_or_id_does_not_count(tmp_path: Path) -> None:
    checks = StageChecks(tmp_path)
    record(checks, stage="experimental")
    assert checks.why_not("console", "beta") == "no test run of console is recorded for stage beta"
    assert checks.why_not("foreign-call", "experimental") is not None


def test_open_experimental_diagnostics_keep_promotion_closed(tmp_path: Path) -> None:
    checks = StageChecks(tmp_path)
    codes = ["effects.stage.missing_opt_in"]
    checks.record("console", "experimental", tests_passed=True, audit_id=AUDIT_ID, timestamp=AT, open_diagnostics=codes)
    assert "effects.stage.missing_opt_in" in str(checks.why_not("console", "experimental"))
    record(checks)
    assert checks.why_not("console", "experimental") is None


@pytest.mark.parametrize(
    ("text", "key_path"),
    [
        ("{}", "$"), ("[1]", "$[0]"), ('[{"id": ""}]', "$[0].id"),
        ('[{"id": "a", "stage": "alpha", "audit_id": "x", "timestamp": "y", "tests_passed": true}]', "$[0].stage"),
        ('[{"id": "a", "stage": "beta", "audit_id": "x", "timestamp": "y", "tests_passed": 1}]', "$[0].tests_passed"),
    ],
)  # fmt: skip
def test_damaged_file_is_named_with_its_key_path_and_kept(tmp_path: Path, text: str, key_path: str) -> None:
    checks = StageChecks(tmp_path)
    checks.path.parent.mkdir()
    checks.path.write_text(text)
    with pytest.raises(StageCheckFileError) as caught:
        record(checks)
    assert caught.value.key_path == key_path
    assert str(checks.path) in str(caught.value)
    assert checks.path.read_text() == text


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    checks = StageChecks(tmp_path)
    checks.path.parent.mkdir()
    checks.path.write_text('[\n{"id": \n')
    with pytest.raises(StageCheckFileError) as caught:
        checks.read()
    assert caught.value.line == 3
    assert caught.value.code == "effects.stage.checks_invalid"


def test_nothing_is_lost_when_many_record_at_once(tmp_path: Path) -> None:
    threads = [threading.Thread(target=record, args=(StageChecks(tmp_path), f"id{n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.id for row in StageChecks(tmp_path).read()) == sorted(f"id{n}" for n in range(12))


def test_a_stage_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="experimental, beta, stable"):
        record(StageChecks(tmp_path), stage="alpha")
    assert not (tmp_path / ".reml" / "stage-checks.json").exists()


def test_unknown_features_are_refused_with_the_list_of_known_ones() -> None:
    assert check_features(["algebraic-effects", "algebraic-effects"]) == ("algebraic-effects",)
    with pytest.raises(ValueError, match="unknown feature 'nope'") as caught:
        check_features(["nope"])
    assert all(name in str(caught.value) for name in FEATURES)


def test_recommended_tags_of_each_boundary() -> None:
    assert set(BOUNDARY_EFFECTS["rest"]) == {"network", "audit"}
    assert set(BOUNDARY_EFFECTS["database"]) == {"db", "audit"}
    assert set(BOUNDARY_EFFECTS["gpu"]) == {"gpu", "runtime"}
    assert set(BOUNDARY_EFFECTS["embedded_io"]) == {"runtime"}


def test_a_plug_in_registers_its_tags_with_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reml_embed.effects.TAGS", dict(TAGS))
    register_tag("billing.ledger", "postings of the ledger")
    register_tag("billing.ledger", "postings of the ledger")
    with pytest.raises(ValueError, match="another description"):
        register_tag("billing.ledger", "something else")
    for wrong in ("Billing", "a b", "", "a..b", "io"):
        with pytest.raises(ValueError, match="tag"):
            register_tag(wrong, "x")
    with pytest.raises(ValueError, match="description"):
        register_tag("billing.other", "")
