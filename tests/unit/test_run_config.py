"""The configuration of a run: manifest, environment, options, in this order (CONTRACTS 5.1, 10.1)."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import reml_embed as reml
from reml_embed.cli import reml as commands
from reml_embed.config import documents, manifest
from reml_embed.config.problems import ConfigError
from reml_embed.registry.target import TargetError, load_profile
from reml_embed.run_config import RunConfig, from_environment, from_manifest, from_settings, read_manifest

MANIFEST = """[project]
name = "x"
version = "1.0.0"

[run]
left_recursion = "off"
packrat = false
merge_warnings = false

[run.target]
profile_id = "desktop-x86_64"
features = ["simd"]
capabilities = ["unicode.nfc", {id = "gc", stage = "stable"}]
diagnostics = true
extra = {board = "a"}

[run.stream]
enabled = true
chunk_size = 4096

[runtime]
profile = "server"
gc = {profile = "game", pause_target_ms = 2.5}
"""
#: Warns once, whatever runs it.
WARNS = "fn main() -> Int {\n  5\n  1\n}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty directory, and an environment that asks for nothing."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("REML_")]:
        monkeypatch.delenv(name)
    (tmp_path / "a.reml").write_text("fn main() -> Int = 1\n")
    return tmp_path


def run(*words, code=0):
    """A command line here."""
    done = CliRunner().invoke(commands, words, prog_name="reml")
    assert done.exit_code == code, (done.output, done.exception)
    return done


def config_of(*words):
    """The run configuration that a run says it has."""
    return json.loads(run("run", "a.reml", "--output", "json", *words).stdout)["summary"]["stats"].get("run_config")


def test_reml_run_reads_the_run_tables_of_the_manifest(folder):
    assert config_of() is None
    (folder / "reml.toml").write_text(MANIFEST)
    found = config_of()
    assert (found["left_recursion"], found["packrat"], found["merge_warnings"]) == ("off", False, False)
    assert found["extensions"]["stream"] == {"enabled": True, "chunk_size": 4096}
    assert found["extensions"]["runtime"] == {"profile": "server", "gc": {"profile": "game", "pause_target_ms": 2.5}}
    target = found["extensions"]["target"]
    assert (target["profile_id"], target["features"], target["extra"]) == ("desktop-x86_64", ["simd"], {"board": "a"})
    assert "gc" not in target["capabilities"]
    assert "ffi.callconv.sysv" in target["capabilities"]


def test_options_win_over_the_environment_and_that_over_the_manifest(folder, monkeypatch):
    (folder / "reml.toml").write_text(MANIFEST)
    monkeypatch.setenv("REML_TARGET_FEATURES", "avx")
    assert config_of()["extensions"]["target"]["features"] == ["avx", "simd"]
    found = config_of(
        "--config", "packrat=true", "--config", "stream.chunk_size=1", "--config", "runtime.gc.profile=ide"
    )
    assert (found["packrat"], found["left_recursion"]) == (True, "off")
    assert found["extensions"]["stream"] == {"enabled": True, "chunk_size": 1}
    assert found["extensions"]["runtime"]["gc"] == {"profile": "ide", "pause_target_ms": 2.5}
    monkeypatch.setenv("REML_TARGET_PROFILE", "mac-arm64")
    assert "target.config.mismatch" in run("run", "a.reml", code=1).stderr
    assert config_of("--target", "desktop-x86_64")["extensions"]["target"]["profile_id"] == "desktop-x86_64"


def test_the_target_of_the_manifest_reaches_cfg(folder):
    (folder / "reml.toml").write_text(MANIFEST)
    (folder / "a.reml").write_text(
        '@cfg(feature = "simd") fn main() -> Int = 1\n@cfg(not(feature = "simd")) fn main() -> Int = 2\n'
    )
    assert run("run", "a.reml").stdout == "1\n"
    assert run("check", "a.reml").stdout == "a.reml: ok\n"
    (folder / "reml.toml").unlink()
    assert run("run", "a.reml").stdout == "2\n"


@pytest.mark.parametrize(
    ("text", "place", "key", "word"),
    [
        ("[run]\npackrat = 1\n", "2:1", "run.packrat", "a bool is expected"),
        ('[run]\n\nleft_recursion = "maybe"\n', "3:1", "run.left_recursion", "one of auto, on, off"),
        ("run = 5\n", "1:1", "run", "a table is expected"),
        ("[run]\nstream = 5\n", "2:1", "run.stream", "a table is expected"),
        ("[run.stream]\nchunk_size = -1\n", "2:1", "run.stream.chunk_size", "a whole number from 0"),
        ("[run.target]\nos = 5\n", "2:1", "run.target.os", "a text is expected"),
        ("[run.target]\nfeatures = [1]\n", "2:1", "run.target.features", "a list of texts"),
        ('[run.target]\ncapabilities = "a"\n', "2:1", "run.target.capabilities", "a list of names or tables"),
        ("[run.target]\nextra = {a = 1}\n", "2:1", "run.target.extra", "a table of texts"),
        ('[run.target]\nstdlib_version = "new"\n', "2:1", "run.target.stdlib_version", "a semantic version"),
        ("[runtime]\nprofile = 1\n", "2:1", "runtime.profile", "a text is expected"),
        ('[runtime.gc]\npause_target_ms = "4"\n', "2:1", "runtime.gc.pause_target_ms", "a number from 0"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_an_error_with_file_line_and_key_path(folder, text, place, key, word):
    (folder / "reml.toml").write_text(text)
    found = run("run", "a.reml", code=1)
    assert found.stdout == ""
    assert "error[config.manifest.type_mismatch]" in found.stderr
    assert f" --> reml.toml:{place}\n  = note: at `{key}`" in found.stderr
    assert word in found.stderr


def test_a_manifest_that_is_no_toml_or_names_no_profile_stops_the_run(folder):
    (folder / "reml.toml").write_text("[run\n")
    assert "reml.toml: Expected ']'" in run("run", "a.reml", code=1).stderr
    (folder / "reml.toml").write_text('[run.target]\nprofile_id = "nope"\n')
    assert "target.profile.missing" in (said := run("run", "a.reml", code=1).stderr)
    assert "(run.target.profile_id of reml.toml:2:1)" in said


def test_a_key_that_nobody_knows_is_a_warning_and_other_tables_are_not_looked_at(folder):
    (folder / "reml.toml").write_text("[run]\nodd = 1\n\n[project]\nkind = 5\n")
    found = run("run", "a.reml")
    assert found.stdout == "1\n"
    assert found.stderr.count("[") == 1
    assert "warning[config.manifest.unknown_key]" in found.stderr
    with pytest.raises(ConfigError):
        from_settings(["odd=1"])


@pytest.mark.parametrize("word", ["packrat", "=1", ".=1", "packrat=1", "left_recursion=maybe", "stream=5", "a.b.c=1"])
def test_a_wrong_setting_is_refused_before_anything_is_loaded(folder, word):
    found = run("run", "a.reml", "--config", word, code=1)
    assert found.stdout == ""
    assert " --> --config:1:1" in found.stderr


def test_equal_warnings_are_shown_once_unless_merge_warnings_is_off(folder):
    (folder / "a.reml").write_text(WARNS)
    once = run("check", "a.reml", "a.reml")
    assert once.stderr.count("warning[") == 1
    twice = run("check", "a.reml", "a.reml", "--config", "merge_warnings=false")
    assert twice.stderr.count("warning[") == 2


def test_a_context_keeps_its_run_configuration_for_host_functions(folder):
    config = from_settings(["stream.chunk_size=5"])
    with reml.Context(run_config=config) as context:
        assert context.run_config is config
    with reml.Context() as context:
        assert context.run_config is None


def test_layers_say_only_what_they_say(folder):
    (folder / "reml.toml").write_text(MANIFEST)
    base = RunConfig(
        packrat=True, extensions={"stream": {"demand_min_bytes": 1}, "target": load_profile("windows-msvc")}
    )
    found, warnings = read_manifest("reml.toml", base)
    assert not warnings
    assert found.extensions["stream"] == {"demand_min_bytes": 1, "enabled": True, "chunk_size": 4096}
    assert found.target.profile_id == "desktop-x86_64"
    assert from_manifest({}, base) == base
    assert from_environment(base, {}).target.profile_id == "windows-msvc"
    over = from_manifest({"run": {"target": {"vendor": "us"}}}, base).target
    assert (over.vendor, over.profile_id) == ("us", "windows-msvc")
    for missing in ("nope", "../nope"):
        with pytest.raises(TargetError):
            from_manifest({"run": {"target": {"profile_id": missing}}})


def test_what_conductors_need_is_no_wish_for_a_target(folder):
    (folder / "reml.toml").write_text('[[run.target.capabilities]]\nid = "gc"\nstage = "stable"\n')
    assert config_of() is None


KEYS = ["run", "runtime", "target", "stream", "gc", "features", "capabilities", "extra", "os", "profile_id", "triple", "profile", "diagnostics",
        "packrat", "left_recursion", "chunk_size", "flow", "id", "stage", "a,b", "stdlib_version"]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.dates()
    | st.sampled_from(["off", "simd", "a,b", "", " x", "a\0", "desktop-x86_64", "x86_64-unknown-linux-gnu", "1.0.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.fixed_dictionaries({"run": VALUES}, optional={"runtime": VALUES}))
def test_whatever_a_manifest_says_it_is_a_run_configuration_or_an_error(value):
    found = manifest.from_document(documents.Document("reml.toml", "toml", "", value))
    if any(
        problem.severity == "error" and problem.key_path.partition(".")[0] in ("run", "runtime")
        for problem in found.problems
    ):
        return
    try:
        config = from_manifest(found.value)
        if config.target is not None:
            config.target.for_context()
    except TargetError:
        return
    json.dumps(config.json(), allow_nan=False)
    with reml.Context(run_config=config) as context:
        assert context.run_config is config


@pytest.mark.parametrize(
    "text", ['features = ["a,b"]', 'features = [""]', 'extra = {"a=b" = "x"}', 'extra = {a = "x,y"}', 'os = "a\\u0000"']
)
def test_names_that_no_target_can_have_are_refused_with_their_place(folder, text):
    (folder / "reml.toml").write_text(f"[run.target]\n{text}\n")
    assert " --> reml.toml:2:1" in run("run", "a.reml", code=1).stderr


def test_variables_and_profiles_with_such_names_are_refused_too(folder, monkeypatch):
    monkeypatch.setenv("REML_TARGET_EXTRA_X", "a,b")
    for words in (("run", "a.reml"), ("check", "a.reml"), ("build", "a.reml", "--emit-metadata", "m.json")):
        assert "error[target.config.unsupported_value]" in run(*words, code=1).stderr
    monkeypatch.delenv("REML_TARGET_EXTRA_X")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "odd.toml").write_text(
        '[profile]\nid = "odd"\ntriple = "x86_64-unknown-linux-gnu"\nfeatures = ["a,b"]\n'
    )
    assert "error[target.config.unsupported_value]" in run("run", "a.reml", "--target", "odd", code=1).stderr
    with pytest.raises(TargetError):
        reml.Context(run_config=RunConfig(extensions={"target": load_profile("odd")}))


def test_a_setting_may_be_anything_and_is_never_a_crash(folder):
    for word in ("stream.flow=" + "[" * 20_000, "stream.stats=NaN", "stream.checkpoint={", "a\udcff=1"):
        done = CliRunner().invoke(commands, ["run", "a.reml", "--config", word, "--output", "json"])
        assert isinstance(done.exception, SystemExit | None), done.exception
        assert done.exit_code == (2 if "\udcff" in word else 0 if "NaN" in word else done.exit_code)


def test_reml_build_is_for_the_target_of_the_manifest(folder):
    (folder / "reml.toml").write_text('[build]\ntarget = "mac-arm64"\n')
    run("build", "--emit-metadata", "m.json")
    assert json.loads((folder / "m.json").read_text())["llvm_triple"] == "arm64-apple-darwin"
    run("build", "--emit-metadata", "m.json", "--target", "windows-msvc")
    assert json.loads((folder / "m.json").read_text())["llvm_triple"] == "x86_64-pc-windows-msvc"
    (folder / "reml.toml").write_text("[build]\ntarget = 5\n")
    assert (
        "reml.toml:2:1: error[config.manifest.type_mismatch]"
        in run("build", "--emit-metadata", "m.json", code=1).stderr
    )
