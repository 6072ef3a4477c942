"""The hosts of the guide's boundary table do what the table says (CONTRACTS 0.7, guide 1): examples/boundaries."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.effects import BOUNDARY_EFFECTS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "boundaries"


def load(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"boundary_{name}", EXAMPLES / name / "main.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


rest, database = load("rest"), load("database")


@pytest.mark.parametrize("name", ["rest", "database"])
def test_the_example_prints_what_is_expected(name: str) -> None:
    words = [sys.executable, EXAMPLES / name / "main.py"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(words, capture_output=True, check=False, timeout=120, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (EXAMPLES / name / "expected.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "file", "function"), [("rest", "orders.reml", "post_order"), ("database", "bank.reml", "in_transaction")]
)
def test_the_functions_declare_the_recommended_effects(name: str, file: str, function: str) -> None:
    line = next(line for line in (EXAMPLES / name / file).read_text("utf-8").splitlines() if f"fn {function}" in line)
    declared = line.rsplit("! {", 1)[1].rstrip("}").split(", ")
    assert sorted(declared) == sorted(BOUNDARY_EFFECTS[name])


# --- REST -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.ndjson"


def test_every_record_of_a_call_carries_the_audit_id_that_was_sent_as_a_header(log: Path) -> None:
    shop = rest.Shop(b"key")
    with shop.open() as url:
        rest.run(url, b"key", log, ("tea", 3), ("salt", 1))
    assert set(rest.calls(log)) == set(shop.seen)
    assert len(shop.seen) == 2


def test_failed_attempts_are_repeated_after_waits_that_double(log: Path) -> None:
    waits: list[float] = []
    shop = rest.Shop(b"key", failures=3)
    with shop.open() as url:
        assert rest.run(url, b"key", log, ("tea", 3), sleep=waits.append) == ["tea: order-1 after 4 attempts"]
    assert waits == [0.01, 0.02, 0.04]


def test_attempts_end_after_the_last_one(log: Path) -> None:
    waits: list[float] = []
    shop = rest.Shop(b"key", failures=99)
    with shop.open() as url:
        assert rest.run(url, b"key", log, ("tea", 3), sleep=waits.append) == ["tea: refused after 4 attempts (busy)"]
    assert len(waits) == 3
    assert list(rest.calls(log).values()) == [["rest.attempt 503"] * 4 + ["rest.call 503"]]


def test_a_wrong_signature_is_refused_and_not_repeated(log: Path) -> None:
    shop = rest.Shop(b"key")
    with shop.open() as url:
        assert rest.run(url, b"other", log, ("tea", 3)) == ["tea: refused after 1 attempts (bad signature)"]
    assert shop.seen == {}


@pytest.mark.parametrize("changed", ["method", "path", "audit_id", "body"])
def test_the_signature_covers_all_that_the_other_side_acts_upon(changed: str) -> None:
    parts: dict[str, Any] = {"method": "POST", "path": "/orders", "audit_id": "a", "body": b"{}"}
    other = parts | {changed: b"[]" if changed == "body" else "other"}
    assert rest.signature(b"key", **parts) != rest.signature(b"key", **other)


def test_what_is_wrong_before_the_border_does_not_cross(log: Path) -> None:
    shop = rest.Shop(b"key")
    with shop.open() as url:
        rest.run(url, b"key", log, ("air", 0))
    assert shop.seen == {}
    assert rest.calls(log) == {}


def test_without_the_grant_the_module_does_not_load() -> None:
    with reml.Context(grants=set()) as context:
        context.bind("post_order", print, capability=rest.CAPABILITY, stage="at_least:experimental", effects=["net"])
        with pytest.raises(reml.LoadError) as caught:
            context.load(EXAMPLES / "rest" / "orders.reml")
    assert caught.value.diagnostics[0].code == "target.capability.unknown"


# --- database -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(tmp_path: Path) -> sqlite3.Connection:
    return database.open_database(tmp_path / "bank.db", [("ada", 1000), ("ben", 0)])


def balances(connection: sqlite3.Connection) -> dict[str, int]:
    """Account → cents."""
    return dict(connection.execute("SELECT name, cents FROM account"))


def test_commit_and_rollback_are_both_recorded_under_the_id_of_the_transaction(
    bank: sqlite3.Connection, log: Path
) -> None:
    database.run(bank, log, ("ada", "ben", 300), ("ben", "ada", 500))
    records = database.borders(log)
    assert [record["metadata"]["event.kind"] for record in records] == ["db.commit", "db.rollback"]
    assert all(record["audit_id"] == record["metadata"]["db.transaction"] for record in records)
    assert records[1]["metadata"]["event"]["reason"] == "Problem.Overdrawn(cents=200)"
    assert records[1]["metadata"]["event"]["changes"] == ["ben -500", "ada +500"]


def test_an_err_leaves_the_database_as_it_was(bank: sqlite3.Connection, log: Path) -> None:
    assert database.run(bank, log, ("ada", "eve", 1)) == ["ada → eve: no account eve, nothing moved"]
    assert balances(bank) == {"ada": 1000, "ben": 0}
    assert not bank.in_transaction


def test_a_failure_inside_rolls_back_is_recorded_and_comes_out(bank: sqlite3.Connection, log: Path) -> None:
    bank.execute(
        "CREATE TRIGGER no BEFORE UPDATE ON account WHEN NEW.name = 'ben' BEGIN SELECT RAISE(FAIL, 'disk full'); END"
    )
    with pytest.raises(sqlite3.DatabaseError, match="disk full"):
        database.run(bank, log, ("ada", "ben", 1))
    assert balances(bank) == {"ada": 1000, "ben": 0}
    assert "disk full" in database.borders(log)[0]["metadata"]["event"]["reason"]


def test_what_cannot_be_recorded_is_not_committed(bank: sqlite3.Connection) -> None:
    class Broken:
        def log(self, *_: Any, **__: Any) -> str:
            raise OSError("the log is full")

    host = database.Bank(bank, Broken())

    def work(tx: Any) -> Any:
        tx.post("ada", -1)
        return reml.Ok(1)

    with pytest.raises(OSError, match="the log is full"):
        host.in_transaction(None, work)
    assert balances(bank) == {"ada": 1000, "ben": 0}
    assert not bank.in_transaction


def test_a_transaction_that_is_over_cannot_be_used(bank: sqlite3.Connection) -> None:
    kept: list[Any] = []
    host = database.Bank(bank, AuditContext(MemorySink()))
    host.in_transaction(None, lambda tx: kept.append(tx) or reml.Ok(1))
    with pytest.raises(reml.StaleError, match="is over"):
        kept[0].post("ada", 1)


def test_only_the_border_makes_a_transaction() -> None:
    source = (EXAMPLES / "database" / "bank.reml").read_text("utf-8")
    wrong = source + '\nfn sneak() -> Int ! {db} {\n  bank.post("ada", 1)\n  1\n}\n'
    with reml.Context() as context:
        found = context.check(wrong)
    assert any(item.severity == "error" for item in found)


def test_the_checklists_of_the_guide_stand_in_the_page() -> None:
    page = (ROOT / "docs" / "boundaries.md").read_text("utf-8")
    for word in ("`gpu, runtime`", "`runtime`", "defer", "interrupt", "failsafe", "audit_id", "Config.compare"):
        assert word in page
    for tags in BOUNDARY_EFFECTS.values():
        assert any(set(tags) == set(found.split(", ")) for found in re.findall(r"`([a-z, ]+)`", page))


def test_the_logs_of_both_are_whole(bank: sqlite3.Connection, log: Path) -> None:
    database.run(bank, log, ("ada", "ben", 300))
    assert reml.audit.verify(log).verdict == "ok"
    kinds = [json.loads(line)["envelope"]["metadata"]["event.kind"] for line in log.read_text("utf-8").splitlines()]
    assert "capability_check" in kinds
