"""Which records are written, what is hidden in them, and where else they go: CONTRACTS 3.1."""

import copy
import datetime
import io
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import reml_embed as reml
from reml_embed import audit
from reml_embed.audit.policy import (
    LEVELS,
    PII_TYPES,
    SEVERITIES,
    AuditPolicy,
    Custom,
    FilteredSink,
    PolicyError,
    RedactPolicy,
    load_policy,
)
from reml_embed.cli import reml as command_line


def record(kind="k", severity=None, **metadata):
    members = {key.replace("__", "."): value for key, value in metadata.items()}
    if severity:
        members |= {"error.code": "x", "error.message": "m", "error.severity": severity}
    return audit.AuditContext(audit.MemorySink(), strict=False).record(kind, metadata=members)


# --- which ----------------------------------------------------------------------------------------------------------------


def test_summary_full_and_debug_are_warning_info_and_trace():
    assert LEVELS == {"summary": "Warning", "full": "Info", "debug": "Trace"}
    assert AuditPolicy(level="summary").severity == "Warning"


@pytest.mark.parametrize("level", SEVERITIES)
def test_records_of_severity_error_are_never_filtered_except_at_off(level):
    policy = AuditPolicy(level=level, exclude_patterns=("*",), include_patterns=("other",))
    assert policy.admits(record(severity="error")) == (level != "Off")


def test_levels_admit_their_severity_and_above():
    admitted = {
        level: [
            severity
            for severity in ("error", "warning", "info", "hint")
            if AuditPolicy(level=level).admits(record(severity=severity))
        ]
        for level in SEVERITIES
    }
    assert admitted == {
        "Off": [], "Error": ["error"], "Warning": ["error", "warning"], "Info": ["error", "warning", "info"],
        "Debug": ["error", "warning", "info", "hint"], "Trace": ["error", "warning", "info", "hint"],
    }  # fmt: skip
    assert AuditPolicy(level="Info").admits(record())
    assert not AuditPolicy(level="Warning").admits(record())


def test_exclude_beats_include():
    policy = AuditPolicy(include_patterns=("bridge.*",), exclude_patterns=("bridge.stage",))
    assert [policy.admits(record(kind)) for kind in ("bridge.reload", "bridge.stage", "k")] == [True, False, False]


def test_a_filtered_sink_writes_what_is_admitted_and_counts_the_rest():
    inner = audit.MemorySink()
    sink = FilteredSink(AuditPolicy(exclude_patterns=("a*",)), inner)
    for kind in ("a", "b", "ab", "c"):
        sink.write_record(record(kind))
    assert (inner.kinds, sink.filtered) == (["b", "c"], 2)


@pytest.mark.parametrize("policy", [{"level": "loud"}, {"retention_days": -1}])
def test_a_wrong_policy_is_refused(policy):
    with pytest.raises(PolicyError):
        AuditPolicy(**policy)


def test_a_context_may_log_through_a_policy(tmp_path):
    sink = FilteredSink(
        AuditPolicy(exclude_patterns=("native.*",), anonymize_pii=True), audit.FileSink(tmp_path / "log")
    )
    with reml.Context(audit=sink) as context:
        context.audit_log("k", metadata={"who": "ann@example.org"})
    [line] = audit.read(tmp_path / "log")
    assert line.record.metadata["who"] == "[redacted:Email]"
    assert audit.verify(tmp_path / "log").ok


def test_expired_segments_are_named_oldest_first_and_the_live_file_never(tmp_path):
    path = tmp_path / "log"
    for number, when in ((1, "2026-01-01T00:00:00Z"), (2, "2026-01-05T00:00:00Z"), (3, "2026-03-01T00:00:00Z")):
        audit.append(path, "k", timestamp=when)
        path.rename(f"{path}.{number}")
        path.with_name("log.journal").unlink()
    audit.append(path, "k", timestamp="2020-01-01T00:00:00Z")
    at = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
    names = lambda days: [file.name for file in AuditPolicy(retention_days=days).expired(path, at=at)]  # noqa: E731
    assert names(30) == ["log.1", "log.2"]
    assert names(58) == ["log.1"]
    assert names(400) == []
    assert AuditPolicy().expired(path, at=at) == []
    assert (tmp_path / "log.1").exists()


# --- hidden ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to ann.b+c@mail.example.org today", "Email"), ("4111 1111 1111 1111", "CreditCard"), ("4111-1111-1111-1111", "CreditCard"),
        ("4111111111111111", "CreditCard"), ("078-05-1120", "SocialSecurityNumber"), ("call +81 90-1234-5678", "PhoneNumber"),
        ("(03) 1234 5678", "PhoneNumber"), ("555-123-4567", "PhoneNumber"),
    ],
)  # fmt: skip
def test_personal_data_is_hidden(text, kind):
    hidden = RedactPolicy().apply(record(note=text)).metadata
    assert f"[redacted:{kind}]" in hidden["note"]
    assert [entry["type"] for entry in hidden["audit.redaction"]] == [kind]


@pytest.mark.parametrize(
    "text",
    ["2026-03-02", "2026-03-02T08:15:00Z", "c6cdebe5-2a50-4b2b-96c6-0f74f1fa0f11", "1234567890123456", "192.168.100.200", "3.0.0-alpha",
     "x86_64-unknown-linux-gnu", "a" * 64, "dsl://examples/a.reml", "version 1.2.3", "user@host", "12 34", "@name", "core.runtime.bridge"],
)  # fmt: skip
def test_what_is_no_personal_data_stays(text):
    made = record(note=text)
    assert RedactPolicy().apply(made) is made


def test_each_text_leaf_is_looked_at_and_nothing_else():
    made = record(a={"b": ["x", {"c": "ann@example.org"}]}, n=4111111111111111)
    made.data["envelope"]["change_set"] = {"who": "bob@example.org"}
    made.data["extensions"] = {"mail": ["eve@example.org"]}
    made.data["category"] = "k"
    before = copy.deepcopy(made.data)
    hidden = RedactPolicy().apply(made)
    assert made.data == before
    assert hidden.metadata["a"] == {"b": ["x", {"c": "[redacted:Email]"}]}
    assert hidden.metadata["n"] == 4111111111111111
    assert (hidden.change_set, hidden.extensions) == ({"who": "[redacted:Email]"}, {"mail": ["[redacted:Email]"]})
    assert {entry["path"] for entry in hidden.metadata["audit.redaction"]} == {
        "envelope.metadata.a.b[1].c", "envelope.change_set.who", "extensions.mail[0]",
    }  # fmt: skip


def test_the_trace_has_a_salted_digest_and_not_the_text():
    one, two = RedactPolicy(salt=b"one"), RedactPolicy(salt=b"two")
    made = record(note="ann@example.org and ann@example.org")
    [entry] = one.apply(made).metadata["audit.redaction"]
    assert (entry["count"], entry["digests"]) == (2, [one.digest("ann@example.org")] * 2)
    assert one.digest("ann@example.org") != two.digest("ann@example.org")
    assert "ann@" not in one.apply(made).to_json()
    assert RedactPolicy().salt != RedactPolicy().salt


def test_custom_patterns_and_replacements():
    policy = RedactPolicy(
        replacements={"Email": "<mail>", "PhoneNumber": None}, custom=(Custom("customer", r"C-\d{6}", "[c]"),)
    )
    hidden = policy.apply(record(note="C-123456 ann@example.org 555-123-4567")).metadata
    assert hidden["note"] == "[c] <mail> 555-123-4567"
    with pytest.raises(PolicyError, match="redact.Shoe"):
        RedactPolicy(replacements={"Shoe": "x"})
    with pytest.raises(PolicyError, match="pattern"):
        RedactPolicy(custom=(Custom("x", "(", ""),))


def test_hiding_comes_before_hashing(tmp_path):
    path = tmp_path / "log"
    FilteredSink(AuditPolicy(anonymize_pii=True), audit.FileSink(path)).write_record(record(note="ann@example.org"))
    assert audit.verify(path).ok
    assert b"ann@" not in path.read_bytes()


def test_when_hiding_fails_nothing_is_written(monkeypatch):
    inner = audit.MemorySink()
    sink = FilteredSink(AuditPolicy(anonymize_pii=True), inner)
    monkeypatch.setattr(RedactPolicy, "_rules", lambda self: 1 / 0)
    with pytest.raises(reml.AuditUnavailableError, match="cannot be redacted"):
        sink.write_record(record(note="ann@example.org"))
    assert inner.lines == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_mail_address_gets_through(before, after):
    hidden = RedactPolicy().apply(record(note=f"{before} ann@example.org {after}"))
    assert "ann@example.org" not in hidden.to_json()
    assert RedactPolicy().apply(hidden).metadata["note"].count("@example") == hidden.metadata["note"].count("@example")


# --- the file -------------------------------------------------------------------------------------------------------------


def test_a_policy_file(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(
        '[policy]\nlevel = "summary"\ninclude_patterns = ["a.*"]\nexclude_patterns = ["a.b"]\nretention_days = 7\nanonymize_pii = true\n'
        '[redact]\nsalt = "s"\nEmail = "<mail>"\n[[redact.custom]]\nname = "c"\npattern = "C-[0-9]+"\nreplacement = "[c]"\n'
    )
    found = load_policy(path)
    assert found.policy == AuditPolicy("summary", ("a.*",), ("a.b",), 7, anonymize_pii=True)
    assert (found.redact.salt, found.redact.replacements, found.redact.custom[0].name) == (
        b"s",
        {"Email": "<mail>"},
        "c",
    )
    inner = audit.MemorySink()
    found.guard(inner).write_record(record(severity="error", note="C-1 ann@example.org"))
    assert inner.taken[0].metadata["note"] == "[c] <mail>"
    path.write_text("")
    assert load_policy(path).redact is None


@pytest.mark.parametrize(
    ("text", "line", "key", "code"),
    [
        ('[policy]\nlevl = "x"\n', 2, "policy.levl", "unknown_key"), ('\n[police]\nlevel = "x"\n', 2, "police", "unknown_key"),
        ('[policy]\n\nlevel = "loud"\n', 3, "policy.level", "wrong_value"), ("[policy]\nlevel = 3\n", 2, "policy.level", "wrong_type"),
        ("[policy]\nretention_days = true\n", 2, "policy.retention_days", "wrong_type"),
        ("[policy]\nretention_days = -1\n", 2, "policy.retention_days", "wrong_value"),
        ("[policy]\ninclude_patterns = [1]\n", 2, "policy.include_patterns", "wrong_type"),
        ('[redact]\nShoe = "x"\n', 2, "redact.Shoe", "unknown_key"), ("policy = 3\n", 1, "policy", "wrong_type"),
        ('[[redact.custom]]\nname = "x"\n', 1, "redact.custom", "wrong_value"),
        ('[[redact.custom]]\nname = "x"\npattern = "("\nreplacement = ""\n', 3, "redact.custom.pattern", "wrong_value"),
        ('[[redact.custom]]\nnam = "x"\n', 2, "redact.custom.nam", "unknown_key"), ("[policy\n", 1, "", "not_toml"),
        ("[policy]\nlevel = \n", 2, "", "not_toml"),
    ],
)  # fmt: skip
def test_a_wrong_key_names_file_line_key_path_and_code(text, line, key, code, tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    error = caught.value
    assert (error.file, error.line, error.key, error.code) == (str(path), line, key, f"audit.policy.{code}")
    assert str(error).startswith(f"{path}:{line}: audit.policy.{code}: ")
    assert key in str(error)


def test_a_policy_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(PolicyError, match="nothing.toml"):
        load_policy(tmp_path / "nothing.toml")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(PolicyError, match="not_toml"):
        load_policy(tmp_path / "bytes")


# --- other sinks ----------------------------------------------------------------------------------------------------------


def test_otel_sink_hands_records_to_open_telemetry():
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    made = record("bridge.reload", severity="error", nested={"x": 1}, number=3)
    audit.OtelSink(provider).write_record(made)
    provider.shutdown()
    [done] = exporter.get_finished_logs()
    log = done.log_record
    assert json.loads(log.body) == made.data
    assert (log.severity_text, log.severity_number.value) == ("ERROR", 17)
    assert log.attributes["event.kind"] == "bridge.reload"
    assert log.attributes["audit.id"] == made.audit_id
    assert log.attributes["number"] == 3
    assert "nested" not in log.attributes
    assert log.timestamp == int(datetime.datetime.fromisoformat(made.timestamp).timestamp()) * 10**9


def test_console_sink_prints_a_line_that_cannot_forge_another():
    stream = io.StringIO()
    made = record("a\x1b[2J\nb")
    audit.ConsoleSink(stream, human=True).write_record(made)
    audit.ConsoleSink(stream).write_record(made)
    human, line = stream.getvalue().splitlines()
    assert "\x1b" not in human
    assert json.loads(line) == made.data


def test_a_callback_sink_gets_records():
    found = []
    audit.CallbackSink(found.append).write(record("x").to_json())
    assert found[0].kind == "x"


def test_a_secondary_sink_that_begins_to_fail_is_an_event_of_its_own():
    first, second = audit.MemorySink(), audit.MemorySink()
    sink = audit.MultiSink([first, second])
    second.failing = True
    for kind in ("a", "b"):
        sink.write_record(record(kind))
    second.failing = False
    sink.write_record(record("c"))
    second.failing = True
    sink.write_record(record("d"))
    assert first.kinds == ["a", "audit.sink_failed", "b", "c", "d", "audit.sink_failed"]
    told = first.taken[1]
    assert (told.metadata["audit.sink.name"], told.metadata["error.code"]) == ("MemorySink", "audit.sink.transport")
    assert audit.missing_keys(told) == []
    assert second.kinds == ["c"]


def test_every_type_of_personal_data_has_a_default():
    assert set(PII_TYPES) == {"Email", "PhoneNumber", "CreditCard", "SocialSecurityNumber"}


@pytest.mark.parametrize(("level", "kinds"), [("summary", []), ("full", ["pipeline_started", "pipeline_completed"])])
def test_audit_level_decides_which_records_of_a_pipeline_are_written(level, kinds, tmp_path):
    from click.testing import CliRunner

    from reml_embed.cli import reml as command_line

    source = tmp_path / "a.reml"
    source.write_text("fn main() -> Int = 1\n")
    words = ["check", str(source), "--emit-audit", "--audit-dir", str(tmp_path / "store"), "--audit-level", level]
    assert CliRunner().invoke(command_line, words).exit_code == 0
    [entry] = json.loads((tmp_path / "store" / "index.json").read_text())["entries"]
    assert entry["audit_level"] == level
    found = [line.record.kind for line in audit.read(tmp_path / "store" / entry["path"])]
    assert [kind for kind in found if kind.startswith("pipeline")] == kinds


def test_the_policy_of_the_manual_is_one(tmp_path):
    from pathlib import Path

    page = (Path(__file__).resolve().parents[2] / "docs" / "audit-log.md").read_text(encoding="utf-8")
    (tmp_path / "policy.toml").write_text(page.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    assert load_policy(tmp_path / "policy.toml").policy.exclude_patterns == ("dsl.vm.*",)


# --- commands -------------------------------------------------------------------------------------------------------------


POLICY = """[policy]
exclude_patterns = ["native.*"]
retention_days = 30
anonymize_pii = true
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REML_EMBED_AUDIT_PATH", raising=False)
    (tmp_path / "ann@example.org.reml").write_text("fn main() -> Int { unsafe { 1 } }\n")
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path


def command(*words, code=0):
    done = CliRunner().invoke(command_line, words, prog_name="reml")
    assert done.exit_code == code, (done.output, done.exception)
    return done


def rotated(path, *days):
    """A log whose rotated files end on these days of 2026-01, and which goes on."""
    for number, day in enumerate(days, 1):
        audit.append(path, "k", timestamp=f"2026-01-{day:02}T00:00:00Z")
        path.rename(f"{path}.{number}")
        path.with_name(path.name + ".journal").unlink()
    audit.append(path, "k")


@pytest.mark.parametrize("named", ["option", "environment"])
def test_a_policy_file_holds_for_all_records_of_a_run(folder, monkeypatch, named):
    words = ["run", "ann@example.org.reml", "--audit-policy", "policy.toml"]
    if named == "environment":
        monkeypatch.setenv("REML_EMBED_AUDIT_PATH", "log")
    else:
        words += ["--audit", "log"]
    rotated(folder / "log", 1, 2)
    assert command(*words).stdout == "1\n"
    records = [line.record for line in audit.read("log")]
    assert not any(record.kind.startswith("native.") for record in records)
    assert "ann@example.org" not in (folder / "log").read_text()
    assert "unsafe.region" in {record.kind for record in records}
    assert ("pipeline_completed" in {record.kind for record in records}) == (named == "option")
    assert audit.verify("log").ok
    assert [path.name for path in folder.glob("log.?")] == []  # thirty days are over


def test_the_count_of_records_is_that_of_the_log(folder):
    shown = json.loads(
        command(
            "run", "ann@example.org.reml", "--audit-policy", "policy.toml", "--audit", "log", "--format", "json"
        ).stdout
    )
    assert shown["audit_count"] <= len((folder / "log").read_text().splitlines())
    assert shown["audit_count"] >= 3


def test_a_policy_that_is_wrong_or_about_nothing_is_refused(folder):
    assert (
        "--audit-policy is about a log"
        in command("run", "ann@example.org.reml", "--audit-policy", "policy.toml", code=2).stderr
    )
    (folder / "policy.toml").write_text("[policy]\nlevel = 5\n")
    failed = command("run", "ann@example.org.reml", "--audit", "log", "--audit-policy", "policy.toml", code=2)
    assert "policy.toml:2: audit.policy.wrong_type: `policy.level`" in failed.stderr
    assert not (folder / "log").exists()


def test_reml_audit_prune_removes_what_is_older_than_retention_days(folder):
    rotated(folder / "log", 1, 5)
    named = command("audit", "prune", "log", "--policy", "policy.toml", "--dry-run").stdout
    assert named == "log.1\nlog.2\n"
    assert (folder / "log.1").exists()
    assert command("audit", "prune", "log", "--policy", "policy.toml").stdout == named
    assert sorted(path.name for path in folder.glob("log*")) == ["log", "log.journal"]
    assert command("audit", "prune", "log", "--policy", "policy.toml").stdout == ""
    assert "No such file" in command("audit", "prune", "none", "--policy", "policy.toml", code=2).stderr
    (folder / "policy.toml").write_text("[odd]\n")
    assert "audit.policy.unknown_key" in command("audit", "prune", "log", "--policy", "policy.toml", code=2).stderr


@pytest.mark.parametrize("where", ["pipe", "/dev/null"])
def test_a_log_that_is_a_pipe_or_a_device_is_refused_before_anything_runs(folder, where):
    os.mkfifo(folder / "pipe")
    done = command("run", "ann@example.org.reml", "--audit", where, code=1)
    assert done.stdout == ""
    assert "audit log is a pipe or a device, no file" in done.stderr
    assert not Path(f"{where}.journal").exists()
    with pytest.raises(reml.AuditUnavailableError):
        reml.Context(audit=where)
