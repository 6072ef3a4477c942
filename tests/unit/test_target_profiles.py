"""Targets and toolchains (CONTRACTS 5): profiles, the environment, mismatches, metadata, what a compiler really makes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import reml_embed as reml
from reml_embed import audit, environment
from reml_embed.abi import CallingConvention, FfiError, FfiErrorKind, resolve_calling_convention
from reml_embed.audit import AuditContext, MemorySink
from reml_embed.cli.target import build, target, toolchain
from reml_embed.config import ConfigError
from reml_embed.registry import target as targets
from reml_embed.registry import toolchain as toolchains
from reml_embed.registry.target import EnvError, Target, TargetError
from reml_embed.run_config import RunConfig, from_environment, from_manifest

PROFILES = ["container.serverless", "desktop-x86_64", "mac-arm64", "mobile-arm64", "wasi-preview2", "windows-msvc"]
LINUX = Target(
    os="linux",
    family="unix",
    arch="x86_64",
    abi="system_v",
    triple="x86_64-unknown-linux-gnu",
    runtime_revision="0.1.0",
)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run a command in an empty folder with a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("REML_TARGET_PROFILE", "REML_TARGET_TRIPLE", "REML_EMBED_AUDIT_PATH", "REML_TOOLCHAIN_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)

    def run(group, *arguments, code=0):
        done = CliRunner().invoke(group, [str(word) for word in arguments])
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return run


# --- profiles and the environment -------------------------------------------------------------------------------------


def test_every_shipped_profile_loads_and_is_of_this_library():
    assert targets.profile_ids({}) == PROFILES
    for name in PROFILES:
        found = targets.load_profile(name, {})
        assert (found.profile_id, found.runtime_revision, found.stdlib_version) == (
            name,
            reml.library_version(),
            reml.library_version(),
        )
        assert found.platform is not None
        assert f"ffi.callconv.{found.platform.convention}" in found.capabilities
        assert found.capabilities <= set(targets.CAPABILITIES)


def test_an_unknown_profile_is_target_profile_missing():
    for name in ("nope", "../desktop-x86_64", ""):
        with pytest.raises(TargetError) as failure:
            targets.load_profile(name, {})
        assert failure.value.code == "target.profile.missing"
        assert failure.value.problems[0].json()["id"] == "TARGET01"


@pytest.mark.parametrize(
    ("text", "code", "key_path"),
    [
        ("[profile]\nid = 'x'\ncapabilities = 'a'", "config.manifest.type_mismatch", "profile.capabilities"),
        ("[profile]\nid = 'x'\ndiagnostics = 'yes'", "config.manifest.type_mismatch", "profile.diagnostics"),
        ("x = 1", "config.missing_field", "profile"),
        ("[profile", "config.manifest.parse_error", ""),
    ],
)
def test_a_wrong_profile_file_names_line_and_key_path(tmp_path, text, code, key_path):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError) as failure:
        targets.load_profile("x", {"REML_TARGET_PROFILE_PATH": str(tmp_path)})
    assert (failure.value.code, failure.value.problems[0].key_path) == (code, key_path)


def test_a_key_or_variable_that_nobody_knows_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "x.toml").write_text("[profile]\nid = 'x'\nodd = 1\n")
    environment = {
        "REML_TARGET_PROFILE_PATH": str(tmp_path),
        "REML_TARGET_PROFILE": "x",
        "REML_TARGET_OOS": "a",
        "REML_TARGET_EXTRA_X": "b",
    }
    found = targets.infer_target_from_env(environment)
    first, second = targets.validate_target(found)
    assert {problem.code for problem in (first, second)} == {"target.config.unknown_key"}
    assert {problem.severity for problem in (first, second)} == {"warning"}
    assert f"{tmp_path}/x.toml:3:1: unknown key `profile.odd`" in first.message
    assert second.message.startswith("REML_TARGET_OOS: ")
    assert "notes" not in found.json()


def test_nothing_set_means_this_machine():
    assert targets.infer_target_from_env({}) == targets.host_target()


def test_the_profile_comes_first_and_variables_override_it():
    found = targets.infer_target_from_env(
        {
            "REML_TARGET_PROFILE": "mac-arm64",
            "REML_TARGET_ARCH": "x86_64",
            "REML_TARGET_FEATURES": " B,a ,,a",
            "REML_TARGET_CAPABILITIES": "Custom.Thing",
            "REML_TARGET_DIAGNOSTICS": "On",
            "REML_TARGET_EXTRA_Region": "eu",
            "REML_STD_VERSION": "9.9.9",
        }
    )
    assert (found.profile_id, found.os, found.arch, found.stdlib_version) == ("mac-arm64", "macos", "x86_64", "9.9.9")
    assert (found.features, found.diagnostics, dict(found.extra)) == ({"a", "b"}, True, {"region": "eu"})
    assert "custom.thing" in found.capabilities
    assert found.json()["features"] == ["a", "b"]


def test_a_triple_is_split_into_its_parts():
    found = targets.infer_target_from_env({"REML_TARGET_TRIPLE": "riscv64-unknown-linux-musl"})
    assert (found.arch, found.vendor, found.os, found.env, found.family) == (
        "riscv64",
        "unknown",
        "linux",
        "musl",
        "unix",
    )
    known = targets.infer_target_from_env({"REML_TARGET_TRIPLE": "x86_64-pc-windows-msvc"})
    assert (known.abi, known.family) == ("msvc", "windows")


@pytest.mark.parametrize(
    "variables",
    [
        {"REML_TARGET_DIAGNOSTICS": "maybe"}, {"REML_TARGET_OS": "caf\udce9"}, {"REML_STD_VERSION": "\udcff\uffff"}, {"REML_RUNTIME_REVISION": "\udcff"},
        {"REML_TARGET_PROFILE": "\udcff"}, {"REML_TARGET_EXTRA_A": "\udcff"}, {"REML_TARGET_PROFILE_PATH": "\udcff"},
    ],
)  # fmt: skip
def test_a_variable_that_cannot_be_read_is_invalid_encoding(variables):
    with pytest.raises(EnvError) as failure:
        targets.infer_target_from_env(variables)
    assert (failure.value.kind, failure.value.key) == ("InvalidEncoding", next(iter(variables)))


def test_the_target_is_merged_into_the_run_configuration():
    base = RunConfig(extensions={"target": LINUX, "stream": {"enabled": True}})
    found = from_environment(base, {"REML_TARGET_PROFILE": "wasi-preview2"})
    assert found.target.profile_id == "wasi-preview2"
    assert found.extensions["stream"] == {"enabled": True}
    assert from_manifest({"run": {"packrat": False}, "runtime": {"profile": "x"}}, base).json()["packrat"] is False
    for wrong in ({"odd": {}}, {"target": {}}, {"stream": 1}):
        with pytest.raises((ValueError, TypeError)):
            RunConfig(extensions=wrong)
    with pytest.raises(ValueError, match="left_recursion"):
        RunConfig(left_recursion="maybe")


def test_a_profile_reaches_cfg():
    profile = targets.load_profile("wasi-preview2", {})
    source = '@cfg(target_profile = "wasi-preview2") fn main() -> Str = "wasi"\n@cfg(not(target_profile = "wasi-preview2")) fn main() -> Str = "other"\n'
    with reml.Context(target=profile.for_context()) as context:
        context.load(source)
        assert context.run("main") == "wasi"


def test_the_target_of_a_run_configuration_is_that_of_the_context():
    config = RunConfig(extensions={"target": targets.load_profile("mac-arm64", {})})
    with reml.Context(run_config=config) as context:
        context.load('@cfg(target_os = "macos") fn main() -> Int = 1\n')
        assert context.run("main") == 1
    with reml.Context(run_config=config, target={"os": "plan9"}) as context:
        context.load('@cfg(target_os = "plan9") fn main() -> Int = 2\n')
        assert context.run("main") == 2
    with reml.Context(run_config=RunConfig()) as context:
        context.load("fn main() -> Int = 3\n")
        assert (context.run("main"), context.cfg_log) == (3, [])


def run_reml(tmp_path, *words, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REML_")}
    done = subprocess.run(
        [sys.executable, "-m", "reml_embed.cli", *words], capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**environment, **variables}, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_program_for_another_target_is_not_run(tmp_path):
    (tmp_path / "a.reml").write_text('fn main() { println("ran") }\n')
    other = "windows-msvc" if targets.host_target().os != "windows" else "desktop-x86_64"
    code, out, err = run_reml(tmp_path, "run", "a.reml", REML_TARGET_PROFILE=other)
    assert (code, out) == (1, "")
    assert "error[target.config.mismatch]" in err
    assert run_reml(tmp_path, "run", "a.reml", REML_TARGET_PROFILE="nope")[0] == 1
    assert run_reml(tmp_path, "run", "a.reml", REML_TARGET_DIAGNOSTICS="maybe")[0] == 2
    assert run_reml(tmp_path, "run", "a.reml")[:2] == (0, "ran\n")


def test_a_program_can_be_checked_for_another_target(tmp_path):
    (tmp_path / "a.reml").write_text(
        '@cfg(target_os = "windows") fn main() -> Int = "wrong"\n@cfg(not(target_os = "windows")) fn main() -> Int = 1\n'
    )
    assert run_reml(tmp_path, "check", "a.reml", REML_TARGET_PROFILE="mac-arm64")[0] == 0
    assert run_reml(tmp_path, "check", "a.reml", REML_TARGET_PROFILE="windows-msvc")[0] == 1
    code, _, err = run_reml(tmp_path, "check", "a.reml", REML_TARGET_CAPABILITIES="fly.high")
    assert code == 1
    assert "target.capability.unknown" in err


def test_with_diagnostics_each_cfg_evaluation_goes_to_the_extension(tmp_path):
    (tmp_path / "a.reml").write_text('@cfg(target_os = "macos") fn main() -> Int = "wrong"\n')
    words = ("check", "a.reml", "--output", "json")
    code, out, _ = run_reml(tmp_path, *words, REML_TARGET_PROFILE="mac-arm64", REML_TARGET_DIAGNOSTICS="1")
    [found] = json.loads(out)["diagnostics"]
    assert (code, found["code"]) == (1, "type.mismatch")
    assert found["extensions"]["cfg"] == {
        "target_config_errors": 0,
        "evaluated": [{"key": "target_os", "value": "macos", "result": True, "byte_start": 5}],
        "target_profile": "mac-arm64",
    }
    [found] = json.loads(run_reml(tmp_path, *words, REML_TARGET_PROFILE="mac-arm64")[1])["diagnostics"]
    assert "cfg" not in found.get("extensions", {})


# --- mismatches -------------------------------------------------------------------------------------------------------


def codes(requested, detected=LINUX, **options):
    return [(p.code, p.severity) for p in targets.validate_target(requested, detected, **options)]


def test_what_fits_has_no_problems():
    assert codes(LINUX) == []
    assert targets.validate_target(targets.host_target()) == []


def test_a_wrong_profile_at_start_up_is_an_error_at_once():
    found = targets.validate_target(targets.load_profile("windows-msvc", {}), LINUX)
    assert {p.severity for p in found} == {"error"}
    assert {p.code for p in found} == {"target.abi.mismatch", "target.config.mismatch"}


def test_without_a_profile_a_mismatch_is_a_warning_but_an_error_in_ci(monkeypatch):
    other = Target(os="macos")
    monkeypatch.delenv("CI", raising=False)
    assert codes(other) == [("target.config.mismatch", "warning")]
    monkeypatch.setenv("CI", "1")
    assert codes(other) == [("target.config.mismatch", "error")]


def test_requested_and_detected_can_be_compared_in_one_diagnostic():
    [found] = targets.validate_target(Target(os="macos", profile_id="m"), LINUX)
    extension = found.json()["extensions"]["target"]
    assert (extension["requested"]["os"], extension["detected"]["os"]) == ("macos", "linux")
    assert extension.keys() >= {"profile_id", "requested", "detected", "runtime_revision", "hash"}
    assert found.metadata().keys() == {
        "target.profile.requested", "target.profile.detected", "error.code", "error.message", "error.severity",
    }  # fmt: skip


def test_an_unknown_capability_blocks_until_it_is_registered(monkeypatch):
    monkeypatch.setattr(targets, "_registered", set())
    wanted = Target(os="plan9", capabilities=frozenset({"custom.thing"}))
    found = targets.validate_target(wanted, LINUX)
    assert [(p.code, p.capability) for p in found if p.code == "target.capability.unknown"] == [
        ("target.capability.unknown", "custom.thing")
    ]
    targets.register_capability("custom.thing")
    assert "target.capability.unknown" not in {p.code for p in targets.validate_target(wanted, LINUX)}
    with pytest.raises(ValueError, match="dotted"):
        targets.register_capability("No")


def test_the_linker_must_have_the_same_triple_and_layout():
    profile = targets.load_profile("desktop-x86_64", {})
    row = profile.platform
    assert targets.check_linker(profile, row.triple, row.layout) == []
    newer = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
    assert targets.check_linker(profile, row.triple, newer) == [], "compilers write one layout in several ways"
    assert [p.code for p in targets.check_linker(profile, "arm64-apple-darwin", "E-m:o-p:32:32")] == [
        "target.config.mismatch"
    ] * 4


def test_platform_info_is_told_in_the_words_of_the_runtime(monkeypatch):
    monkeypatch.setattr(targets, "live_bridges", {"host.scene"})
    found = targets.platform_info(targets.load_profile("mac-arm64", {}))
    assert (found.os, found.arch, found.family, found.profile_id) == ("MacOS", "ARM64", "Unix", "mac-arm64")
    assert "ExternalBridge(host.scene)" in found.json()["runtime_capabilities"]
    assert "ffi.callconv.sysv" in found.target_capabilities


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target(os="freebsd", arch="amd64", family="unix"), ("FreeBSD", "X64", "Unix")),
        (Target(os="linux", arch="riscv64", family="unix"), ("Linux", "RISCV64", "Unix")),
        (Target(os="linux", arch="i686", family="unix"), ("Linux", "X86", "Unix")),
        (Target(os="linux", arch="armv7l", family="unix"), ("Linux", "ARM", "Unix")),
        (Target(os="wasm", arch="wasm32", family="wasm"), ("Wasm", "WASM32", "Wasm")),
        (Target(os="plan9", arch="mips"), ("Other", "Other", "Other")),
    ],
)
def test_platform_info_has_a_word_for_every_system_of_the_contract(target, words):
    info = targets.platform_info(target)
    assert (info.os, info.arch, info.family) == words


@pytest.mark.parametrize(
    ("profile", "convention"),
    [
        ("desktop-x86_64", "SysV"), ("mac-arm64", "SysV"), ("mobile-arm64", "SysV"), ("container.serverless", "SysV"),
        ("windows-msvc", "StdCall"), ("wasi-preview2", "WasmSystemV"),
    ],
)  # fmt: skip
def test_resolve_calling_convention_per_target(profile, convention):
    """guide 1.1: `resolve_calling_convention(platform_info(), metadata)`."""
    target = targets.load_profile(profile, {})
    expected = getattr(CallingConvention, convention)
    for platform in (targets.platform_info(target), target, target.triple):
        assert resolve_calling_convention(platform, {}) is expected
        assert resolve_calling_convention(platform, {"preferred_convention": "c"}) is CallingConvention.C
        assert resolve_calling_convention(platform, {"preferred_convention": expected}) is expected
        for illegal in ("vectorcall", "wasm_system_v" if convention != "WasmSystemV" else "stdcall", 5):
            assert resolve_calling_convention(platform, {"preferred_convention": illegal}) is expected
    assert resolve_calling_convention(targets.platform_info(), {}) is not None


@pytest.mark.parametrize(
    "platform", [Target(os="windows", arch="aarch64", family="windows"), Target(os="plan9"), "plan9-mips", {}]
)
def test_a_platform_without_a_convention_is_unsupported(platform):
    with pytest.raises(FfiError) as failure:
        resolve_calling_convention(platform, {})
    assert failure.value.kind is FfiErrorKind.UnsupportedPlatform
    [problem] = failure.value.problems
    assert (problem.code, problem.json()["id"]) == ("target.config.unsupported_value", "TARGET05")
    assert problem.detected


def test_the_hash_leaves_hash_and_time_out():
    made = targets.artifact_metadata(targets.load_profile("mac-arm64", {}))
    assert made["hash"] == targets.hash_of({**made, "timestamp": "never", "hash": "x"})
    assert made["hash"] != targets.hash_of({**made, "llvm_triple": "x"})
    assert made.keys() == {
        "target", "llvm_triple", "data_layout", "runtime_revision", "stdlib_version", "emitted_capabilities", "timestamp", "hash",
    }  # fmt: skip
    with pytest.raises(TargetError) as failure:
        targets.artifact_metadata(Target(triple="pdp11-dec-unix"))
    assert failure.value.code == "target.config.unsupported_value"


# --- changing the environment -----------------------------------------------------------------------------------------


def test_changes_of_variables_are_recorded_before_they_are_made(monkeypatch):
    sink = MemorySink()
    log = AuditContext(sink)
    monkeypatch.setenv("REML_TEST_GONE", "x")
    environment.set_env("REML_TEST_VALUE", "1", log, requested_by="ops")
    environment.remove_env("REML_TEST_GONE", log, requested_by="ops")
    environment.remove_env("REML_TEST_VALUE", log, requested_by="ops")
    with pytest.raises(EnvError, match="no such variable"):
        environment.remove_env("REML_TEST_VALUE", log, requested_by="ops")
    with pytest.raises(EnvError):
        environment.set_env("A=B", "1", log, requested_by="ops")
    with pytest.raises(EnvError):
        environment.set_env("A", "1", log, requested_by="ops", scope="system")
    found = [
        record.metadata if hasattr(record, "metadata") else record["envelope"]["metadata"] for record in sink.records
    ]
    assert [(m["env.operation"], m["env.status"]) for m in found] == [
        ("set", "ok"), ("remove", "ok"), ("remove", "ok"), ("remove", "failed"), ("set", "failed"), ("set", "failed"),
    ]  # fmt: skip
    assert found[3]["env.failure_reason"] == "NotFound"


# --- toolchains -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (shutil.which("clang") or shutil.which("cc")), reason="no C compiler is installed")
def test_verify_compiles_and_inspects_for_this_machine():
    name = {"x86_64-unknown-linux-gnu": "desktop-x86_64", "arm64-apple-darwin": "mac-arm64"}.get(targets.host_triple())
    if name is None:
        pytest.skip("no profile for this machine")
    report = toolchains.verify(targets.load_profile(name, {}))
    assert report.status == "ok", report
    assert {"compile", "object_format", "machine", "pointer_bytes", "byte_order"} <= {
        check.name for check in report.checks
    }


@pytest.mark.skipif(not shutil.which("clang"), reason="no cross compiler is installed")
@pytest.mark.parametrize("name", PROFILES)
def test_verify_compiles_for_every_profile_with_a_cross_compiler(name):
    report = toolchains.verify(targets.load_profile(name, {}))
    assert report.status == "ok", report


@pytest.mark.skipif(not shutil.which("clang"), reason="no cross compiler is installed")
def test_verify_finds_a_profile_that_is_wrong(tmp_path):
    (tmp_path / "odd.toml").write_text(
        '[profile]\nid = "odd"\ntriple = "wasm32-wasi"\nruntime_revision = "9"\nstdlib_version = "0.1.0"\ncapabilities = ["fly.high"]\n'
    )
    report = toolchains.verify(targets.load_profile("odd", {"REML_TARGET_PROFILE_PATH": str(tmp_path)}))
    wrong = {check.name for check in report.checks if not check.ok}
    assert (report.status, wrong) == ("error", {"runtime_revision", "capabilities", "calling_convention"})


def test_a_compiler_that_makes_something_else_is_found_out(tmp_path):
    fake = tmp_path / "clang"
    fake.write_text('#!/bin/sh\nfor a in "$@"; do [ "$p" = -o ] && o="$a"; p="$a"; done\nprintf "\\000asm" > "$o"\n')
    fake.chmod(0o755)
    report = toolchains.verify(targets.load_profile("mobile-arm64", {}), {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    wrong = {check.name for check in report.checks if not check.ok}
    assert report.status == "error"
    assert {"object_format", "machine", "pointer_bytes"} <= wrong


def test_without_a_compiler_nothing_is_claimed():
    report = toolchains.verify(targets.load_profile("mobile-arm64", {}), {"PATH": ""})
    if report.checks[-1].name != "compile":
        pytest.skip("zig is installed")
    assert (report.status, report.checks[-1].ok) == ("warning", False)
    assert "pip install" in report.checks[-1].detail


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x7fELF\x02\x01" + b"\0" * 12 + b"\x3e\0" + b"\0" * 8, ("elf", "x86_64", 8, "little")),
        (b"\x7fELF\x01\x02" + b"\0" * 12 + b"\0\x28" + b"\0" * 8, ("elf", "arm", 4, "big")),
        (b"\xcf\xfa\xed\xfe\x0c\0\0\x01", ("mach-o", "aarch64", 8, "little")),
        (b"\0asm\1\0\0\0", ("wasm", "wasm32", 4, "little")),
        (b"\x64\x86" + b"\0" * 18, ("coff", "x86_64", 8, "little")),
        (b"", None),
        (b"#!/bin/sh", None),
    ],
)
def test_object_files_are_read(data, expected):
    found = toolchains.read_object(data)
    assert (found and (found.format, found.machine, found.pointer_bytes, found.byte_order)) == expected


# --- commands ---------------------------------------------------------------------------------------------------------


def test_target_show_makes_calling_conventions_visible(command):
    assert "ffi.callconv.sysv" in command(target, "show", "desktop-x86_64").stdout
    shown = json.loads(command(target, "show", "desktop-x86_64", "--format", "json").stdout)
    assert shown == targets.load_profile("desktop-x86_64", {}).json()
    assert [row["id"] for row in json.loads(command(target, "list", "--format", "json").stdout)] == PROFILES
    assert "target.profile.missing" in command(target, "show", "nope", code=1).stderr


def test_target_validate_prints_both_sides(command):
    other = "windows-msvc" if targets.host_target().os != "windows" else "desktop-x86_64"
    shown = json.loads(command(target, "validate", other, "--output", "json", code=1).stdout)
    assert shown.keys() == {"profile_id", "status", "requested", "detected", "diagnostics"}
    assert (shown["profile_id"], shown["status"]) == (other, "error")
    assert (
        json.loads(command(target, "validate", other, "--output", "json", "--warn-only").stdout)["status"] == "warning"
    )
    assert json.loads(command(target, "validate", "--output", "json").stdout)["status"] == "ok"


def test_a_variable_that_cannot_be_read_exits_with_2(command, monkeypatch):
    monkeypatch.setenv("REML_TARGET_DIAGNOSTICS", "maybe")
    assert "REML_TARGET_DIAGNOSTICS" in command(target, "show", code=2).stderr


def test_target_diagnostics_are_recorded_where_a_log_is_asked_for(command, monkeypatch, tmp_path):
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(tmp_path / "log.ndjson"))
    monkeypatch.setenv("REML_TARGET_OS", "plan9")
    command(target, "validate")
    records = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    assert {record["envelope"]["metadata"]["event.kind"] for record in records} == {"target.diagnostic"}
    assert audit.verify(tmp_path / "log.ndjson").ok


def test_target_diagnostics_of_a_run_are_in_its_log(tmp_path):
    (tmp_path / "a.reml").write_text("fn main() -> Int = 1\n")
    run_reml(tmp_path, "run", "a.reml", "--audit", "log.ndjson", REML_TARGET_PROFILE="mac-arm64")
    records = [json.loads(line)["envelope"]["metadata"] for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    found = [row for row in records if row["event.kind"] == "target.diagnostic"]
    assert {row["error.code"] for row in found} >= {"target.abi.mismatch", "target.config.mismatch"}
    assert {row["target.profile.requested"] for row in found} == {"mac-arm64"}


def test_a_mismatch_is_an_error_where_reproducibility_is_demanded(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1772440000")
    [found] = targets.validate_target(Target(os="plan9"), LINUX)
    assert (found.code, found.severity) == ("target.config.mismatch", "error")
    assert targets.artifact_metadata(LINUX)["timestamp"] == "2026-03-02T08:26:40Z"
    for odd in ("soon", "9" * 40):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", odd)
        assert targets.artifact_metadata(LINUX)["timestamp"].startswith("20")


@pytest.mark.skipif(not (shutil.which("clang") or shutil.which("cc")), reason="no C compiler is installed")
def test_the_object_of_a_probe_is_kept_where_reml_toolchain_cache_says(tmp_path):
    profile = targets.load_profile("desktop-x86_64", {})
    report = toolchains.verify(profile, {"PATH": os.environ["PATH"], "REML_TOOLCHAIN_CACHE": str(tmp_path / "cache")})
    if not any(check.name == "compile" and check.ok for check in report.checks):
        pytest.skip("nothing compiles for x86_64 here")
    assert toolchains.read_object((tmp_path / "cache" / "x86_64-unknown-linux-gnu.o").read_bytes()).machine == "x86_64"
    (tmp_path / "file").write_text("")
    report = toolchains.verify(profile, {"PATH": os.environ["PATH"], "REML_TOOLCHAIN_CACHE": str(tmp_path / "file")})
    assert [check.name for check in report.checks if not check.ok] == ["cache"]


def test_build_metadata_goes_to_the_linker_and_back(command, tmp_path):
    (tmp_path / "a.reml").write_text("fn main() -> Int = 1\n")
    command(build, "a.reml", "--target", "desktop-x86_64", "--emit-metadata", "m.json")
    made = json.loads(Path("m.json").read_text())
    assert (made["llvm_triple"], made["target"]["profile_id"]) == ("x86_64-unknown-linux-gnu", "desktop-x86_64")
    command(target, "validate", "desktop-x86_64", "--metadata", "m.json")
    command(
        target, "validate", "desktop-x86_64", "--metadata", "m.json", "--linker-triple", "arm64-apple-darwin", code=1
    )
    (tmp_path / "b.reml").write_text("fn main( = 1\n")
    command(build, "b.reml", "--emit-metadata", "n.json", code=1)
    assert not Path("n.json").exists()
    command(build, "a.reml", "--emit-metadata", "build/target.json")
    assert Path("build/target.json").is_file()
    command(build, "a.reml", "--emit-metadata", "m.json/target.json", code=2)


def test_scaffold_writes_a_profile_that_loads(command):
    assert command(target, "scaffold", "mine").stdout == "profiles/mine.toml\n"
    assert targets.load_profile("mine", {}).profile_id == "mine"
    command(target, "scaffold", "mine", code=1)
    command(target, "scaffold", "../x", code=2)
    assert "new" in command(target, "sync", "--write-cache").stdout
    assert "new" not in command(target, "sync").stdout


@pytest.mark.skipif(not (shutil.which("clang") or shutil.which("cc")), reason="no C compiler is installed")
def test_toolchain_verify_keeps_its_report_as_a_record(command):
    done = command(toolchain, "verify", "--format", "json", "--audit", "log.ndjson")
    shown = json.loads(done.stdout)
    assert shown.keys() == {"profile", "status", "checks", "hash"}
    record = json.loads(Path("log.ndjson").read_text().splitlines()[0])["envelope"]
    assert record["metadata"]["toolchain.report"] == shown
    assert record["metadata"]["event.kind"] == "toolchain.verify"
    assert record["metadata"]["target.hash"] == shown["hash"]
    assert record["capability"] == "core.runtime.bridge"


@pytest.mark.skipif(not (shutil.which("clang") or shutil.which("cc")), reason="no C compiler is installed")
def test_an_installed_toolchain_that_is_changed_is_found_and_pruned(command):
    command(toolchain, "install", "desktop-x86_64")
    [row] = json.loads(command(toolchain, "list", "--format", "json").stdout)
    assert (row["profile_id"], row["damage"]) == ("desktop-x86_64", None)
    command(toolchain, "update")
    assert command(toolchain, "prune").stdout == ""
    [(folder, _)] = toolchains.installed()
    (folder / "probe.o").write_bytes(b"other")
    assert "has changed" in command(toolchain, "list").stdout
    assert command(toolchain, "prune").stdout == "desktop-x86_64\n"
    assert toolchains.installed() == []
