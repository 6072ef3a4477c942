"""
Every command line that the guide prints works as printed (guide 0–4, 10.5, 11; CONTRACTS 5–8, 10, 11).

The table names where each line stands. Lines of the guide are typed as they are there; of those that call programs of another repository
(``cargo run … --bin remlc --``, ``tooling/…``, ``scripts/…``) the program is the one that `docs/guide-map.md` names, the words are the same.
`<name>` of the guide became a file or id of the prepared directory.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reml_embed.audit import AuditContext, FileSink
from reml_embed.cli import reml
from reml_embed.cli.reml_config import reml_config
from reml_embed.cli.reml_run import reml_run
from reml_embed.cli.remlc import remlc
from reml_embed.registry.target import host_target

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"reml": reml, "remlc": remlc, "reml-run": reml_run, "reml-config": reml_config}
MODULES = {"reml": "reml_embed.cli", "remlc": "reml_embed.cli.remlc", "reml-run": "reml_embed.cli.reml_run",
           "reml-config": "reml_embed.cli.reml_config"}  # fmt: skip


# --- prepared directories ---------------------------------------------------------------------------------------------


def nothing(_: Path) -> None:
    """An empty directory."""


def examples(here: Path) -> None:
    """A checkout's ``examples/``."""
    shutil.copytree(ROOT / "examples", here / "examples")


def deep(here: Path) -> Path:
    """Three steps below ``examples/``, as the guide stands; results go where it puts them."""
    examples(here)
    inner = here / "compiler" / "frontend" / "work"
    (inner / "examples" / "core_config" / "cli").mkdir(parents=True)
    return inner


def documents(here: Path) -> None:
    """Two versions of a configuration, called as the guide calls them, and with the endings that they mostly have."""
    for name in ("old", "old.json"):
        (here / name).write_text('{"limits": {"cpu": 1}, "list": [1, 2]}\n')
    for name in ("new", "new.json"):
        (here / name).write_text('{"limits": {"cpu": 2}, "list": [2, 1], "more": true}\n')
    (here / "template").write_text("cpu is ${limits.cpu}\n")


def schemas(here: Path) -> None:
    """Two versions of a schema."""
    fields = {"a": {"data_type": "integer"}, "b": {"data_type": "string", "required": False}}
    for name, kept in (("old", "ab"), ("new", "a")):
        made = {"name": "S", "version": "1.0.0", "fields": {key: fields[key] for key in kept}}
        (here / f"{name}.json").write_text(json.dumps(made))


def proposed(here: Path) -> None:
    """A change that was recorded; its audit id stands for ``<audit_id>``."""
    documents(here)
    shown = call("reml-config diff old.json new.json --apply --format json --locale en-US", here)
    (here / "ID").write_text(json.loads(shown.stdout)["audit_id"])


def state(here: Path) -> None:
    """A state and a reviewed difference."""
    documents(here)
    made = {
        "run_id": "session-7", "last_applied_at": "2026-03-02T08:34:10.250Z", "bridge_id": "host.scene", "stage": "beta",
        "schema_version": "1.0.0", "value": json.loads((here / "old.json").read_text()),
    }  # fmt: skip
    (here / "runtime.state").write_text(json.dumps(made))
    (here / "diff.json").write_text(call("remlc config diff old.json new.json --format json", here).stdout)


def reloaded(here: Path) -> None:
    """The same after a reload."""
    state(here)
    call("reml-run reload runtime.state diff.json", here)


LOGS = """module Logs
@handles(Console)
@requires_capability(stage="experimental")
fn collected(names: List<Str>) -> List<Str> =
  handle { for name in names { perform Console.log(name) } }
  with handler Console {
    operation log(text, resume) { [text].concat(resume(())) }
    operation ask(question, resume) { resume("") }
    return value { [] }
  }
@requires_capability(stage="experimental")
pub fn collect_logs() -> Bool = collected(["a", "b"]) == ["a", "b"]
"""


def handler(here: Path) -> None:
    """A handler of Console and its test."""
    (here / "async.reml").write_text(LOGS)


def tested(here: Path) -> None:
    """The same, opted in to and tested."""
    handler(here)
    call("reml run -Zalgebraic-effects test async::collect_logs", here)
    call("reml capability enable console --stage experimental", here)


def at_beta(here: Path) -> None:
    """The same, promoted and tested again."""
    tested(here)
    call("reml capability stage promote console --to beta", here)
    call("reml run -Zalgebraic-effects test async::collect_logs", here)


def foreign(here: Path) -> None:
    """Foreign calls with a passed check, and a manifest that expects the stage they are promoted to."""
    (here / "calls.reml").write_text("module Calls\npub fn main() -> Int = 1\n")
    (here / "reml.toml").write_text(
        '[dsl.calls]\nentry = "calls.reml"\nexpect_effects = ["ffi"]\ncapabilities = ["foreign-call"]\nexpect_effects_stage = "beta"\n'
    )
    call("reml capability stage check foreign-call -- true", here)


def source(here: Path) -> None:
    """A program, and the manifest that names it."""
    (here / "main.reml").write_text('module Main\nfn main() -> Str { "ok" }\n')
    (here / "reml.toml").write_text('[project]\nname = "x"\nversion = "1.0.0"\n[dsl.main]\nentry = "main.reml"\n')


FILES = """module Files
use Core.IO
use Core.Path
fn main() -> Bool {
  let found = Path.glob("*.txt")
  let wrong = Path.glob("[")
  let writer = spawn(async { Async.sleep_async(50.ms).await; IO.write_text(Path.path("seen/a.txt"), "x").is_ok() })
  let watched = Path.watch([Path.path("seen")], |event| false)
  found.is_ok() && wrong.is_err() && watched.is_ok()
}
"""


def io_log(here: Path) -> None:
    """The log of a program that globs and watches."""
    (here / ".reml").mkdir()
    (here / "seen").mkdir()
    (here / "files.reml").write_text(FILES)
    done = call("reml run files.reml --audit .reml/audit.ndjson", here)
    assert done.stdout == "true\n", done.stderr


def collector_log(here: Path) -> None:
    """The log of collectors with a change set."""
    (here / ".reml").mkdir()
    (here / "c.json").write_text((ROOT / "examples" / "core_iter" / "changes.json").read_text())
    call("reml audit compare --target audit_bridge --change-set c.json --audit .reml/audit.ndjson", here)


def stream_log(here: Path) -> None:
    """The log of a streaming runner on Windows, with a diagnostic for each wait of its bridge."""
    (here / ".reml").mkdir()
    platform = {"bridge.platform": "windows-msvc-x64"}
    bridge = {"bridge.id": "host.scene", "bridge.stage.required": "at_least:beta", "bridge.stage.actual": "stable",
              "bridge.capability": "core.runtime.bridge"}  # fmt: skip
    signal = {"kind": "pending", "bridge_id": "host.scene", "stage_required": "at_least:beta", "stage_actual": "stable"}
    log = AuditContext(FileSink(here / ".reml" / "audit.ndjson"), strict=False)
    rates = {f"parser.stream.{name}": 1.0 for name in ("outcome_consistency", "demandhint_coverage")}
    log.log("parser.stream.metrics", metadata={**platform, **rates})
    waits = {"reason": "Backpressure", "resume_hint": {"min_bytes": 64}}
    more = {"stream.last_reason": "pending.backpressure", "bridge.stream.signal": signal, **platform, **bridge}
    log.log("parser.stream.pending", waits, metadata=more)
    found = {"error.code": "bridge.stage.backpressure", "error.message": "waits", "error.severity": "warning"}
    log.log("diagnostic.emitted", metadata={**found, **platform, **bridge, "bridge.stage": {"required": "at_least:beta", "actual": "stable"}},
            extensions={"bridge": {"id": "host.scene", "stage": {"required": "at_least:beta", "actual": "stable"}}})  # fmt: skip


def mac_report(here: Path) -> None:
    """Reports of gates, the one of macOS among them."""
    made = {"metric": "ffi_bridge.audit_pass_rate", "total": 1, "passed": 1, "failed": 0, "pass_rate": 1.0, "sources": ["a"], "failures": [],
            "platform": "macos-arm64"}  # fmt: skip
    (here / "bridge.json").write_text(json.dumps(made))


def graph(here: Path) -> None:
    """The constraint graph of the guide's program."""
    examples(here)
    call(
        "remlc examples/core_diagnostics/constraint_graph/simple_chain.reml --emit-telemetry constraint_graph=chain.json",
        here,
    )


def profile(here: Path) -> None:
    """A profile of one's own, and a home without anything."""
    call("reml target scaffold mine", here)


def built(here: Path) -> None:
    """What a linker must be given."""
    call("reml build --emit-metadata build/target.json --target desktop-x86_64", here)


# --- what is looked at ------------------------------------------------------------------------------------------------

Look = Callable[[str, Path], object]


def has(*keys: str, **values: Any) -> Look:
    """One JSON object with these members (``a.b`` is one of an inner object), and with these values."""

    def look(text: str, _: Path) -> None:
        found = json.loads(text)
        for key in (*keys, *values):
            inner: Any = found
            for step in key.split("."):
                assert step in inner, (key, found)
                inner = inner[step]
            assert key not in values or inner == values[key], (key, inner)

    return look


def exactly(*keys: str, **values: Any) -> Look:
    """The same, and no other members."""

    def look(text: str, here: Path) -> None:
        has(*keys, **values)(text, here)
        assert set(json.loads(text)) == {*keys, *values}

    return look


def says(*words: str) -> Look:
    """A text with these words."""

    def look(text: str, _: Path) -> None:
        for word in words:
            assert re.search(word, text, re.MULTILINE), text

    return look


ANYTHING = says("")


def leaves(path: str, look: Look = ANYTHING) -> Look:
    """A file, which is as it should be."""
    return lambda _, here: look((here / path).read_text(), here)


def same_as_kept(folder: str) -> Look:
    """Files that are, after the command, those of the checkout: golden files are true."""

    def look(_: str, here: Path) -> None:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert (here / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path

    return look


def rates(*metrics: str) -> Look:
    """Gates that all have samples, and all pass."""

    def look(text: str, _: Path) -> None:
        found = json.loads(text)
        rows = found.get("metrics", [found])
        assert [(row["metric"], row["pass_rate"]) for row in rows] == [(metric, 1.0) for metric in metrics]
        assert all(
            set(row) >= {"metric", "total", "passed", "failed", "pass_rate", "sources", "failures"} for row in rows
        )

    return look


def both(*looks: Look) -> Look:
    """All of them."""
    return lambda text, here: [look(text, here) for look in looks]


LINT = {
    "command": "config.lint", "manifest": "../../../examples/core_config/cli/reml.toml",
    "schema": "../../../examples/core_config/cli/schema.json", "diagnostics": [],
    "stats": {"validated": True, "manifest_loaded": True, "schema_checked": True}, "exit_code": 0,
}  # fmt: skip


def is_the_object_of_the_guide(text: str, _: Path) -> None:
    """What guide 4.1 prints, members in its order."""
    assert text == json.dumps(LINT, indent=2) + "\n"


def has_both_differences(text: str, _: Path) -> None:
    """guide 4.1, end."""
    found = json.loads(text)
    assert {item["kind"].rpartition(".")[0] for item in found["change_set"]["items"]} == {"collections.diff"}
    assert len(found["schema_diff"]["changes"]) == found["summary"]["total"] == 6


def is_promoted(id: str, to: str) -> Look:  # noqa: A002
    return both(exactly("audit_id", "from", id=id, to=to), lambda text, _: uuid.UUID(json.loads(text)["audit_id"]))


def stages_are_those_of_the_source(text: str, _: Path) -> None:
    """guide 1.2: what the dump says is what ``@dsl_export`` says."""
    table = json.loads(text)["dsl"]["audit_bridge"]
    assert table["exports"][0]["signature"]["stage_bounds"] == {
        "minimum": "beta",
        "current": "beta",
        "maximum": "stable",
    }
    assert table["capabilities"] == ["core.runtime.bridge", "io.fs.read"]


@dataclass(frozen=True)
class Line:
    """One command line: where it is printed, as what, in which directory, how it ends, what it prints or leaves."""

    section: str
    command: str
    prepare: Callable[[Path], Path | None] = nothing
    look: Look = ANYTHING
    code: int = 0


def g(section: str, command: str, *more: Any, **rest: Any) -> Line:
    """A line of the user's guide."""
    return Line(f"guide {section}", command, *more, **rest)


def c(section: str, command: str, *more: Any, **rest: Any) -> Line:
    """A line of the contract."""
    return Line(f"CONTRACTS {section}", command, *more, **rest)


STREAM_GATES = tuple(
    f"parser.stream.{name}"
    for name in (
        "outcome_consistency",
        "demandhint_coverage",
        "bridge_backpressure_diagnostics",
        "bridge_stage_propagation",
    )
)

LINES = (
    # --- guide 0, 1.1: targets
    g("0", "reml toolchain verify", nothing, leaves(".reml/audit.ndjson", says('"event.kind":"toolchain.verify"'))),
    g("0", "reml target validate", nothing, says(": ok$")),
    g("1.1", "reml target show", nothing, says(r"^capabilities .*ffi\.callconv\.")),
    g("1.1", "reml build --emit-metadata build/target.json", nothing, leaves("build/target.json", has("llvm_triple", "data_layout", "hash"))),
    g("1.1", "reml toolchain verify desktop-x86_64", nothing, leaves(".reml/audit.ndjson", says('"toolchain.report":{'))),
    # --- guide 1.2: the audit log
    g("1.2", "reml audit metrics --section ffi_bridge", nothing, has("pass_rate", metric="ffi_bridge.audit_pass_rate")),
    g("1.2", "reml audit sync --report bridge.json", mac_report, leaves("reports/ffi-bridge-summary.md", says("macos-arm64"))),
    g("1.2", "reml examples run --suite core_diagnostics --update-golden", examples,
      both(says("pipeline_success: ok", "pipeline_branch: ok: exit 1 .allowed failure"), same_as_kept("examples/core_diagnostics"))),
    g("4.1", "reml examples run --suite core_config --update-golden", examples,
      both(says("golden files written"), same_as_kept("examples/core_config"))),
    g("1.2", "remlc manifest dump --manifest examples/core_config/reml.toml", examples, stages_are_those_of_the_source),
    g("1.2", "reml examples run --suite core_iter", examples,
      leaves("reports/spec-audit/ch1/core_iter_collectors.audit.jsonl", says('"collector.stage.required"'))),
    # --- guide 1.4
    g("1.4", "reml audit metrics --section core_io --scenario watcher_audit/path_glob", io_log,
      rates("core_io.path_glob_pass_rate", "core_io.watcher_audit_pass_rate")),
    g("1.4", "reml examples run --suite core_io", examples, says("file_copy.*: ok")),
    g("1.4", "reml examples run --suite core_path", examples, says("relative_denied.*: ok")),
    # --- guide 1.5, 1.6
    g("1.5", "reml audit compare --target audit_bridge", nothing, exactly("compared", target="audit_bridge", differences=[])),
    g("1.5", "reml audit metrics --section collectors --scenario audit_cap", collector_log, rates("collectors.audit_cap_pass_rate")),
    g("1.6", "reml audit compare --section ref_count", nothing, has("compared", differences=[])),
    # --- guide 1.7
    g("1.7", "remlc --emit-telemetry constraint_graph=chain.json examples/core_diagnostics/constraint_graph/simple_chain.reml", examples,
      leaves("chain.json", has("graph"))),
    g("1.7", "reml telemetry export --dot-out chain.dot --svg-out chain.svg --graph-name SimpleChain chain.json", graph,
      both(leaves("chain.dot", says("^digraph SimpleChain")), leaves("chain.svg", says("<svg")))),
    # --- guide 2, 3
    g("2", "reml-run reload --rollback", reloaded, has(**{"command": "reload", "result.status": "rolled_back"})),
    g("3", "reml-config diff old new", documents, says("1 added, 0 removed, 3 updated")),
    # --- guide 4
    g("4", "reml-run lint main.reml", source, says("ok: 0 errors, 0 warnings")),
    g("4", "reml-run lint main.reml --format json --domain config --fail-on-warning", source,
      exactly("diagnostics", "audit_id", command="lint", file="main.reml", domain="config", summary={"errors": 0, "warnings": 0}, exit_code=0)),
    g("4", "reml-run diff old.json new.json", documents, says("compared, audit id")),
    g("4", "reml-run diff old.json new.json --format table --apply --audit", documents,
      both(says("applied, audit id"), leaves("old.json", has(list=[2, 1], more=True)))),
    g("4", "reml-run reload runtime.state diff.json", state, has(**{"command": "reload", "result.status": "applied"})),
    g("4", "reml-run reload runtime.state diff.json --dry-run", state, has("result.audit_id", **{"result.status": "dry_run"})),
    g("4", "reml-run reload runtime.state diff.json --rollback", reloaded, has("result.audit_id", **{"result.status": "rolled_back"})),
    g("4", "reml-run reload runtime.state diff.json --audit   | jq '.result | {status, audit_id}'", state, exactly("audit_id", status="applied")),
    # --- guide 4.1
    g("4.1", "reml examples run --suite core_config", examples, says("core_config/lint: ok", "core_config/diff: ok")),
    g("4.1", "remlc config lint --manifest ../../../examples/core_config/cli/reml.toml --schema ../../../examples/core_config/cli/schema.json "
      "--format json > examples/core_config/cli/lint.expected.json", deep,
      leaves("examples/core_config/cli/lint.expected.json", is_the_object_of_the_guide)),
    g("4.1", "remlc config diff ../../../examples/core_config/cli/config_old.json ../../../examples/core_config/cli/config_new.json "
      "--format json > examples/core_config/cli/diff.expected.json", deep,
      leaves("examples/core_config/cli/diff.expected.json", has_both_differences)),
    # --- guide 10.5
    g("10.5", "reml audit metrics --section streaming --platform windows-msvc --require-success", stream_log, rates(*STREAM_GATES)),
    g("10.5", "reml audit metrics --section streaming --platform windows-msvc --require-success", nothing, says('"pass_rate": null'), code=1),
    # --- guide 11
    g("11.1", "reml run -Zalgebraic-effects test async::collect_logs", handler,
      both(says(r"collect_logs \.\.\. ok", "console at experimental: passed"), leaves(".reml/stage-checks.json", says('"console"')))),
    g("11.1", "reml capability enable console --stage experimental", nothing, exactly("audit_id", id="console", stage="experimental", enabled=True)),
    g("11.1", "reml capability stage promote console --to beta", tested, is_promoted("console", "beta")),
    g("11.1", "reml capability stage promote console --to stable", at_beta, is_promoted("console", "stable")),
    g("11.1", "reml capability stage promote console --to beta", nothing, code=1),  # effects.stage.promote_without_checks
    g("11.1", "reml check async.reml --effects-debug", tested,
      says('"stage": "experimental"', '"handler": "Console"', '"message": "effects.contract.mismatch resolved"')),
    g("11.2", "reml capability stage promote foreign-call --to beta", foreign, is_promoted("foreign-call", "beta")),
    g("11", "reml capability list --stage stable", nothing, has("capabilities", schema_version="3.0.0-alpha")),
    g("11", "reml-run lint --domain async --deny experimental", source, says("main.reml: ok")),
    # --- the memo
    Line("memo 1, 4", "reml capability list", nothing, has("capabilities")),
    # --- contract 5.5
    c("5.5", "reml target list", nothing, says("^desktop-x86_64 ", "^wasi-preview2 ")),
    c("5.5", "reml target show desktop-x86_64 --format json", nothing, has("os", "family", "arch", "capabilities", profile_id="desktop-x86_64")),
    c("5.5", "reml target validate desktop-x86_64", nothing, says("desktop-x86_64: ok")),
    c("5.5", "reml target validate mac-arm64 --output json", nothing, exactly("requested", "detected", "diagnostics", profile_id="mac-arm64", status="error"), code=1),
    c("5.5", "reml target validate mac-arm64 --warn-only --output json", nothing, has(status="warning")),
    c("5.5", "reml target validate desktop-x86_64 --metadata build/target.json --linker-triple aarch64-apple-darwin", built, code=1),
    c("5.5", "reml target validate desktop-x86_64 --metadata build/target.json", built, says("ok$")),
    c("5.5", "reml target scaffold mine", nothing, leaves("profiles/mine.toml", says('id = "mine"'))),
    c("5.5", "reml target validate mine", profile, says("mine: ok")),
    c("5.5", "reml target sync --write-cache", nothing, leaves("home/.reml/targets/cache.json", has("profiles.mac-arm64"))),
    c("5.5", "reml toolchain install desktop-x86_64", nothing, leaves("home/.reml/toolchains/desktop-x86_64/toolchain-manifest.toml", says("^signature = "))),
    c("5.5", "reml toolchain list", nothing),
    c("5.5", "reml toolchain update", nothing),
    c("5.5", "reml toolchain prune", nothing),
    c("5.5", "reml toolchain verify desktop-x86_64 --format json", nothing, exactly("checks", "hash", profile="desktop-x86_64", status="ok")),
    c("5.5", "reml toolchain verify --all", nothing, says("^desktop-x86_64: ", "^wasi-preview2: ")),
    c("5.5", "REML_TARGET_PROFILE=mac-arm64 reml toolchain verify", nothing, says("^mac-arm64: ")),
    c("5.5", "reml target show no-such-profile", nothing, code=1),
    # --- contract 4.6
    c("4.6", "reml capability list --format markdown", nothing, says(r"\| Capability \| Stage \| Effect Scope \| Provider \| Manifest Path \|")),
    c("4.6", "reml capability describe gc", nothing, has("effect_scope", id="gc")),
    c("4.6", "reml capability describe no.such", nothing, code=1),
    c("4.6", "reml capability disable console", nothing, exactly("audit_id", id="console", enabled=False)),
    # --- contract 7.6
    c("7.6", "reml audit metrics --section collectors --scenario audit_cap --require-success", collector_log, rates("collectors.audit_cap_pass_rate")),
    # --- contract 10.5
    c("10.5", "remlc manifest dump --manifest reml.toml --format json --output out.json", source, leaves("out.json", has("project.name"))),
    c("10.5", "remlc manifest dump", nothing, code=2),
    c("10.5", "remlc config lint", source, says("reml.toml: valid")),
    c("10.5", "remlc config lint --format json", nothing, exactly("manifest", "schema", "diagnostics", "stats", command="config.lint", exit_code=2), code=2),
    c("10.5", "remlc config diff old.json new.json --format json", documents,
      exactly("base", "target", "change_set", "schema_diff", command="config.diff", summary={"added": 1, "removed": 0, "updated": 3, "total": 4})),
    c("10.5", "remlc config diff old.json gone.json", documents, code=1),
    c("10.5", "reml-config validate old.json --format json --profile strict-json --locale en-US --fail-on-warning", documents,
      exactly("audit_id", diagnostics=[], profile="strict-json")),
    c("10.5", "reml-config diff old.json new.json --format json --apply --audit --locale en-US", documents,
      exactly("audit_id", "change_set", domain="config", severity_hint="rollback", applied=True)),
    c("10.5", "reml-config render --template template --env new.json --output done", documents, leaves("done", says("^cpu is 2$"))),
    c("10.5", "reml-config render --template old.json --env gone.json --output done", documents, code=4),
    c("10.5", "reml-config approve <audit_id> --assign owner --note seen", proposed,
      exactly("audit_id", status="approved", assignee="owner", note="seen")),
    c("10.5", "reml-config rollback <audit_id> --dry-run", proposed, exactly("audit_id", "change_set", status="dry_run")),
    c("10.5", "reml-config rollback <audit_id> --confirm", proposed,
      both(has(status="rolled_back"), leaves("old.json", has(list=[1, 2])))),
    c("10.5", "reml-run lint --format json --deny experimental", source, says('"command":"lint","file":"reml.toml"', '"file":"main.reml"')),
    c("10.5", "reml-run lint", nothing, code=2),
    c("10.5", "reml-run diff old.json new.json --format json", schemas,
      has("change_set", "schema_diff.added", "schema_diff.removed", "schema_diff.changed", "result.status", "result.audit_id", command="diff")),
    c("10.5", "reml-run diff old.json gone.json", documents, code=2),
    # --- contract 11
    c("11", "reml-run reload runtime.state diff.json --dry-run --audit", state, exactly("result", "diagnostics", command="reload")),
    c("11", "reml-run reload gone.state diff.json", state, code=2),
)  # fmt: skip


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    stdout: str
    stderr: str


def by_shell(line: str, here: Path) -> Ended:
    """With a shell, the programs in its path."""
    programs = here.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name, module in MODULES.items():
        script = f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def call(line: str, here: Path) -> Ended:
    """Run a line as it is printed in *here*; without a shell where it needs none."""
    if re.search(r"[|<>$;]|^\w+=", line):
        return by_shell(line, here)
    program, *words = shlex.split(line)
    before = Path.cwd()
    os.chdir(here)
    try:
        done = CliRunner().invoke(PROGRAMS[program], words, prog_name=program)
    finally:
        os.chdir(before)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(line) from done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory, a home of its own in it, and an environment that asks for nothing."""
    for name in [name for name in os.environ if name.startswith(("REML", "GITHUB_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "here"
    (folder / "home").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("CI", raising=False)
    return folder


def needs(line: Line) -> str | None:
    """What a line cannot do without, and what is not here."""
    if "toolchain" in line.command or "desktop-x86_64" in line.command:
        if host_target().triple != "x86_64-unknown-linux-gnu":
            return "another machine"
        if "toolchain" in line.command and not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
            return "no compiler"
    words = ("jq", "bash") if "|" in line.command else ("bash",) if ">" in line.command else ()
    return next((f"no {word}" for word in words if shutil.which(word) is None), None)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.section}: {line.command}")
def test_a_printed_command_line_works_as_printed(line: Line, here: Path) -> None:
    missing = needs(line)
    if missing:
        pytest.skip(missing)
    place = line.prepare(here) or here
    identity = here / "ID"
    command = line.command.replace("<audit_id>", identity.read_text()) if identity.exists() else line.command
    done = call(command, place)
    assert done.code == line.code, (command, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    line.look(done.stdout, place)


def test_every_command_of_the_table_is_known_to_its_program() -> None:
    """No line ends as wrong usage by chance: its words are those of a command that is there."""
    for line in LINES:
        program, *words = shlex.split(re.sub(r"^\w+=\S+ ", "", line.command).partition("|")[0].partition(">")[0])
        group: Any = PROGRAMS[program]
        while words and hasattr(group, "commands") and words[0] in group.commands:
            group = group.commands[words.pop(0)]
        options = {option for parameter in group.params for option in parameter.opts}
        for word in words[: words.index("--") if "--" in words else None]:
            if word.startswith("--"):
                assert word.partition("=")[0] in options or program == "remlc", (line.command, word)


def test_the_map_of_the_guide_says_which_program_stands_for_which() -> None:
    page = (ROOT / "docs" / "guide-map.md").read_text(encoding="utf-8")
    for foreign_name, ours in (
        ("tooling/ci/collect-iterator-audit-metrics.py", "reml audit metrics"), ("tooling/ci/sync-iterator-audit.sh", "reml audit sync"),
        ("tooling/examples/run_examples.sh", "reml examples run"), ("scripts/poc_dualwrite_compare.sh", "reml audit compare"),
        ("cargo run … --bin remlc -- …", "remlc …"), ("tooling/telemetry", "reml telemetry export"), ("core_iter_collectors", "--suite core_iter"),
    ):  # fmt: skip
        assert re.search(rf"^\| .*{re.escape(foreign_name)}.* \| .*{re.escape(ours)}", page, re.MULTILINE), foreign_name
