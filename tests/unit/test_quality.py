"""Quality of data: reports and the records `reml.data.validate` and `reml.data.apply` (CONTRACTS 10.6)."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reml_embed.audit import AuditContext, AuditValidationError
from reml_embed.audit.kinds import KINDS, missing_keys
from reml_embed.audit.records import Record
from reml_embed.cli.reml_config import reml_config
from reml_embed.cli.reml_run import reml_run
from reml_embed.config import documents, schema
from reml_embed.config.problems import ConfigError
from reml_embed.data import ColumnStats, Finding, QualityReport, change_set, quality
from reml_embed.errors import AuditUnavailableError
from reml_embed.metrics import RuntimeMetrics

SCHEMA = """{"name": "Orders", "fields": {
  "id": "integer",
  "price": {"data_type": "number", "rules": [{"id": "positive", "kind": {"rule": "range", "min": 0}, "severity": "warning"}]},
  "currency": {"data_type": "string", "default_value": "EUR"}}}"""
ROWS = [{"id": 1, "price": 2.5}, {"id": "x", "price": -1}, {"price": 10, "tags": ["a", "b", "a"], "currency": "USD"}]


@pytest.fixture
def orders():
    return schema.read(documents.parse(SCHEMA, "json", "orders.schema.json"))


class Lines:
    """A sink that keeps records."""

    def __init__(self):
        self.records = []

    def write_record(self, record):
        self.records.append(record)


def test_a_report_has_the_fields_of_the_contract(orders):
    """profile, findings, stats, generated_at; those of RuntimeMetrics; severity_max."""
    report = quality.validate(ROWS, orders)
    shown = report.json()
    assert set(shown) == {
        "profile", "findings", "stats", "generated_at", "severity_max", "latency_ms", "throughput_per_min", "error_rate", "last_audit_id",
        "custom",
    }  # fmt: skip
    assert isinstance(report, RuntimeMetrics)
    names = {one.name for one in dataclasses.fields(RuntimeMetrics)}
    assert names <= set(shown)
    assert (shown["profile"], shown["severity_max"], shown["last_audit_id"]) == ("Orders", "Error", None)
    assert shown["error_rate"] == pytest.approx(2 / 3)
    assert shown["custom"] == {"columns.total": 4, "findings.total": 3, "rows": 3}
    assert datetime.datetime.fromisoformat(shown["generated_at"]).tzinfo is datetime.UTC


def test_a_finding_names_rule_scope_severity_and_diagnostic(orders):
    document = documents.parse(json.dumps(ROWS), "json", "orders.json")
    found = [(one.rule, one.scope, one.severity, one.auto_fixed) for one in quality.validate(document, orders).findings]
    assert found == [
        ("type", "[1].id", "Error", False),
        ("positive", "[1].price", "Warn", False),
        ("required", "[2].id", "Error", False),
    ]
    finding = quality.validate(document, orders).findings[0].json()
    assert set(finding) == {"rule", "scope", "severity", "diagnostic", "auto_fixed"}
    assert finding["diagnostic"]["code"] == "config.schema.type_mismatch"
    assert finding["diagnostic"]["primary"]["file"] == "orders.json"


def test_severity_max_is_none_warn_or_error(orders):
    assert quality.validate([], orders).severity_max == "None"
    assert quality.validate([{"id": 1, "price": -1}], orders).severity_max == "Warn"
    assert quality.validate(5, orders).severity_max == "Error"
    assert quality.validate(5, orders).error_rate == 1.0


def test_stats_of_numbers(orders):
    stats = quality.validate([{"n": value} for value in (1, 2, 2, 3, None)], orders).stats["n"].json()
    assert stats == {
        "count": 4, "distinct": 3, "min": 1, "max": 3, "mean": 2.0, "stddev": pytest.approx(0.7071, abs=1e-4),
        "percentiles": {"p50": 2, "p90": 3, "p95": 3, "p99": 3},
        "histogram": [
            {"from": 1.0, "to": 1.5, "count": 1}, {"from": 1.5, "to": 2.0, "count": 0}, {"from": 2.0, "to": 2.5, "count": 2},
            {"from": 2.5, "to": 3.0, "count": 1},
        ],
    }  # fmt: skip
    one = quality.validate([{"n": 5}], orders).stats["n"].json()
    assert one["histogram"] == [{"from": 5.0, "to": 5.0, "count": 1}]


def test_texts_stay_out_of_reports_and_times_have_bounds(orders):
    days = [datetime.date(2026, 3, 2), datetime.date(2026, 3, 1)]
    stats = quality.validate(
        [{"t": "secret", "d": day, "b": True, "m": 1} for day in days] + [{"m": "x"}], orders
    ).stats
    assert stats["t"].json() == {"count": 2, "distinct": 1}
    assert stats["b"].json() == {"count": 2, "distinct": 1}
    assert stats["m"].json() == {"count": 3, "distinct": 2}
    assert stats["d"].json() == {"count": 2, "distinct": 2, "min": "2026-03-01", "max": "2026-03-02"}


def test_columns_are_paths_without_positions(orders):
    value = {"a": [1, 2], "b": {"c.d": [{"e": 1}], "f[0]": 2}, "g": [], "h": {}}
    assert sorted(quality.validate(value, orders).stats) == ["a[]", 'b."c.d"[].e', 'b."f[0]"', "g", "h"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
        | st.sampled_from([10**400, -(10**400), 1e308, -1e308, 5e-324, 2**63, float("nan"), float("inf")]),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
        max_leaves=25,
    )
)  # fmt: skip
def test_whatever_data_there_are_the_report_is_json_that_reads_back(data):
    wanted = schema.read(documents.parse(SCHEMA, "json"))
    report = quality.validate(data, wanted)
    text = json.dumps(report.json(), allow_nan=False)
    assert QualityReport.from_json(json.loads(text)).json() == json.loads(text)
    for stats in report.stats.values():
        if stats.histogram is not None:
            assert sum(row["count"] for row in stats.histogram) == stats.count


def test_many_findings_and_columns_are_cut_and_counted(orders):
    report = quality.validate([{"id": "x", "price": 1}] * 3000, orders)
    assert (len(report.findings), report.custom["findings.total"]) == (quality.MOST_FINDINGS, 3000)
    wide = quality.validate({f"k{number}": 1 for number in range(3000)}, orders)
    assert (len(wide.stats), wide.custom["columns.total"]) == (quality.MOST_COLUMNS, 3000)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"profile": 5}, r"\$\.profile"),
        ({"findings": None}, r"\$\.findings"),
        ({"findings": [5]}, r"\$\.findings\[0\]"),
        (
            {"findings": [{"rule": "a", "scope": "$", "severity": "error", "diagnostic": {}}]},
            r"\$\.findings\[0\]\.severity",
        ),
        ({"stats": {"a": {"distinct": 1}}}, r"\$\.stats\.a\.count"),
        ({"error_rate": "no"}, r"\$\.error_rate"),
    ],
)
def test_a_damaged_report_is_refused_naming_the_member(orders, change, place):
    good = quality.validate(ROWS, orders).json()
    with pytest.raises(ValueError, match=place):
        QualityReport.from_json(good | change)


def test_validating_leaves_reml_data_validate(orders):
    log = Lines()
    report = quality.validate(ROWS, orders, audit=AuditContext(log), profile="nightly")
    [record] = log.records
    assert (record.kind, record.category, record.audit_id) == ("reml.data.validate", "data", report.audit_id)
    assert record.metadata["event"] == {"event": "reml.data.validate", **report.json()}
    assert report.json()["audit_id"] == str(report.last_audit_id) == report.audit_id
    assert not missing_keys(record)
    assert set(KINDS["reml.data.apply"].required) == {
        f"event.{key}" for key in ("profile", "findings", "stats", "generated_at")
    }
    with pytest.raises(AuditValidationError, match="event.stats"):
        AuditContext(log).log("reml.data.validate", {"profile": "x", "findings": [], "generated_at": "now"})


def test_applying_leaves_reml_data_apply_with_the_change_set(orders):
    log, old = Lines(), [{"id": 1, "price": 1}]
    changes = change_set.compare(old, [{"id": 2, "price": 1}])
    value, report = quality.apply(old, changes, orders, audit=AuditContext(log))
    assert (value, old) == ([{"id": 2, "price": 1}], [{"id": 1, "price": 1}])
    [record] = log.records
    assert (record.kind, record.audit_id) == ("reml.data.apply", report.audit_id)
    assert record.change_set["total"] == 1
    assert not missing_keys(record)


def test_changes_whose_outcome_is_wrong_are_not_applied(orders):
    log, old = Lines(), [{"id": 1, "price": 1}]
    for new, code in (([{"id": "x", "price": 1}], "type_mismatch"), ([{"price": 1}], "missing_field")):
        with pytest.raises(ConfigError, match=code):
            quality.apply(old, change_set.compare(old, new), orders, audit=AuditContext(log))
    with pytest.raises(ConfigError, match="config.change_set.conflict"):
        quality.apply([{"id": 7}], change_set.compare(old, []), orders)
    assert log.records == []


def test_what_has_a_default_is_filled_in_and_found_as_auto_fixed(orders):
    old = [{"id": 1, "price": 1}, {"id": 2, "price": 1, "currency": "USD"}]
    value, report = quality.apply(old, change_set.compare(old, old), orders, fix=True)
    assert [row["currency"] for row in value] == ["EUR", "USD"]
    assert "currency" not in old[0]
    [finding] = report.findings
    assert (finding.rule, finding.scope, finding.severity, finding.auto_fixed) == (
        "default",
        "[0].currency",
        "Warn",
        True,
    )
    assert quality.apply(old, change_set.compare(old, old), orders)[0] == old


def test_a_json_schema_is_fine_too():
    report = quality.validate(
        [1, "x"], {"$schema": "https://json-schema.org/draft/2020-12/schema", "items": {"type": "integer"}}
    )
    assert [(one.rule, one.scope) for one in report.findings] == [("type", "[1]")]
    assert report.error_rate == 0.5
    with pytest.raises(ConfigError, match="config.schema.invalid"):
        quality.validate([1], {"type": 5})


def test_a_report_that_cannot_be_recorded_is_told_of(orders):
    class Full:
        def write_record(self, _record):
            raise AuditUnavailableError("full")

    with pytest.raises(AuditUnavailableError):
        quality.validate([], orders, audit=AuditContext(Full()))


def test_validation_is_measured_as_data_validation(orders, tmp_path, monkeypatch):
    monkeypatch.setenv("REML_EMBED_STRUCTURED_LOG", str(tmp_path / "log"))
    quality.validate(ROWS, orders)
    line = json.loads((tmp_path / "log").read_text())
    assert (line["event"], line["error_rate"]) == ("data.validation", pytest.approx(2 / 3))


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("REML")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    (tmp_path / "s.json").write_text(SCHEMA)
    (tmp_path / "good.json").write_text('[\n {"id": 1, "price": 1}]\n')
    (tmp_path / "next.json").write_text('[\n {"id": 2, "price": -1}]\n')
    (tmp_path / "bad.json").write_text('[\n {"id": "x", "price": 1}]\n')
    return tmp_path


def call(group, *words, code=0):
    done = CliRunner().invoke(group, words)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def kinds(path):
    return [Record.parse(line).kind for line in path.read_text().splitlines()]


def test_reml_config_validate_records_what_a_schema_finds(folder):
    found = json.loads(
        call(
            reml_config, "validate", "bad.json", "--schema", "s.json", "--format", "json", "--report", "r.json", code=2
        ).stdout
    )
    assert set(found) == {"diagnostics", "audit_id", "profile"}
    assert found["diagnostics"][0]["primary"]["start_line"] == 2
    report = QualityReport.from_json(json.loads((folder / "r.json").read_text()))
    assert (report.audit_id, report.profile, report.severity_max) == (found["audit_id"], "strict-json", "Error")
    trail = folder / ".reml" / "audit.ndjson"
    assert kinds(trail) == ["reml.data.validate"]
    assert Record.parse(trail.read_text()).audit_id == found["audit_id"]
    call(reml_config, "validate", "next.json", "--schema", "s.json", "--audit", "own.ndjson", code=1)  # a warning
    call(reml_config, "validate", "good.json", "--schema", "s.json", "--audit", "own.ndjson")
    assert kinds(folder / "own.ndjson") == ["reml.data.validate"] * 2
    call(reml_config, "validate", "good.json")
    assert len(kinds(trail)) == 1  # without a schema there is no quality to tell of


@pytest.mark.parametrize("group", [reml_config, reml_run])
def test_a_difference_is_applied_only_when_the_schema_has_nothing_against_it(folder, group):
    before = (folder / "good.json").read_bytes()
    failed = call(
        group, "diff", "good.json", "bad.json", "--apply", "--schema", "s.json", code=2 if group is reml_config else 1
    )
    assert "bad.json:2:3: error[config.schema.type_mismatch]" in failed.stderr
    assert (folder / "good.json").read_bytes() == before
    assert not (folder / ".reml").exists()
    warns = 1 if group is reml_config else 0  # 1 is a warning there, and a failure here
    shown = call(group, "diff", "good.json", "next.json", "--apply", "--schema", "s.json", code=warns)
    assert "warning[config.schema.rule_violation]" in shown.stderr
    trail = folder / ".reml" / "audit.ndjson"
    assert kinds(trail) == ["config.apply", "reml.data.apply"]
    first, second = map(Record.parse, trail.read_text().splitlines())
    assert first.audit_id == second.audit_id
    assert second.metadata["event"]["severity_max"] == "Warn"


def test_a_schema_or_report_that_cannot_be_used_is_named(folder):
    assert "--schema" in call(reml_config, "validate", "good.json", "--report", "r.json", code=2).stderr
    assert (
        "none.json: error[config.manifest.io_error]"
        in call(reml_config, "validate", "good.json", "--schema", "none.json", code=4).stderr
    )
    (folder / "wrong.json").write_text('{"name": "W", "fields": {"a": "nothing"}}')
    assert (
        "config.schema.invalid" in call(reml_config, "validate", "good.json", "--schema", "wrong.json", code=2).stderr
    )
    assert (
        "config.manifest.io_error"
        in call(reml_config, "validate", "good.json", "--schema", "s.json", "--report", "none/r.json", code=4).stderr
    )


def test_the_names_are_those_of_the_contract():
    assert [one.name for one in dataclasses.fields(Finding)] == [
        "rule",
        "scope",
        "severity",
        "diagnostic",
        "auto_fixed",
    ]
    assert [one.name for one in dataclasses.fields(ColumnStats)] == [
        "count", "distinct", "min", "max", "mean", "stddev", "percentiles", "histogram",
    ]  # fmt: skip
