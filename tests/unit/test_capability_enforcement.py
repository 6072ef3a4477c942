"""What scripts may use: grants at load and at the call, from every way in (CONTRACTS 4, RELIABILITY T26)."""
# covers: 3.5, 3.6

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reml_embed as reml
from reml_embed.audit.kinds import missing_keys
from reml_embed.audit.records import Record
from reml_embed.registry.capability import CapabilityRegistry

#: What a host guards, and how a script reaches for it. Each leaves a mark that can be seen outside.
OPERATIONS = {
    "write": ("File.write", "io.fs.write", "fn go() -> Int = File.write(1)"),
    "send": ("Net.send", "net.http.client", "fn go() -> Int = Net.send(1)"),
    "spawn": ("Process.spawn", "core.process", "fn go() -> Int = Process.spawn(1)"),
    "thread": ("Worker.start", "async", "fn go() -> Int = Worker.start(1)"),
}
SETS = [(), ("io.fs.write",), ("net.http.client", "core.process"), tuple(row[1] for row in OPERATIONS.values()), None]


@pytest.fixture
def registry() -> CapabilityRegistry:
    return CapabilityRegistry()


class Host:
    """A context whose host functions write a file each: the side effect."""

    def __init__(self, folder: Path, registry: CapabilityRegistry, **options: object) -> None:
        self.folder = folder
        self.context = reml.Context(registry=registry, **options)  # type: ignore[arg-type]
        for label, (name, capability, _source) in OPERATIONS.items():
            self.context.define(name, self._mark(label), signature="(n: Int) -> Int", capability=capability)

    def _mark(self, label: str) -> Callable[[int], int]:
        def act(n: int) -> int:
            with (self.folder / label).open("a") as file:
                file.write("x")
            return n + 1

        return act

    def marks(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.folder.iterdir()}

    def checks(self) -> list[dict[str, object]]:
        found = [record["envelope"]["metadata"] for record in self.context.drain()]
        return [metadata for metadata in found if metadata["event.kind"] == "capability_check"]


@pytest.fixture
def host(tmp_path: Path, registry: CapabilityRegistry) -> Iterator[Host]:
    made = Host(tmp_path, registry)
    with made.context:
        yield made


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("grants", SETS, ids=lambda grants: "all" if grants is None else "+".join(grants) or "none")
def test_matrix_of_operations_and_capability_sets(tmp_path, registry, label, grants):
    """An operation works exactly when its capability is in the set; otherwise nothing happens outside."""
    host = Host(tmp_path, registry, grants=grants)
    _name, capability, source = OPERATIONS[label]
    allowed = grants is None or capability in grants
    with host.context as context:
        assert context.granted(capability) is allowed
        if allowed:
            context.load(source)
            assert context.run("go") == 2
            assert host.marks() == {label: 1}
        else:
            with pytest.raises(reml.LoadError) as caught:
                context.load(source)
            assert caught.value.diagnostics[0].code == "target.capability.unknown"
            assert host.marks() == {}


WAYS = {
    "direct": "fn go() -> Int = Net.send(1)",
    "stored": "let stored = Net.send\nfn go() -> Int = stored(1)",
    "closure": "fn wrap(f: fn(Int) -> Int) -> fn() -> Int = || f(1)\nfn go() -> Int = wrap(Net.send)()",
    "collection": "fn go() -> Int = [1, 2, 3].map(Net.send).fold(0, |a, b| a + b)",
    "pipe": "fn go() -> Int = 1 |> Net.send",
    "deferred": "fn go() -> Int { defer Net.send(1); 1 }",
    "async": "fn go() -> Int = { let a = async { Net.send(1) }; a.await }",
    "generic": "fn call<T>(f: fn(T) -> T, x: T) -> T = f(x)\nfn go() -> Int = call(Net.send, 1)",
    "handler": "effect Ask : io { operation ask : Int -> Int }\n"
    "fn go() -> Int = handle perform Ask.ask(1) with handler Ask { operation ask(n, resume) { resume(Net.send(n)) } return r { r } }",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_host_function_is_closed_after_revoke(host, way):
    host.context.load(WAYS[way])
    host.context.run("go")
    before = host.marks()["send"]
    host.context.revoke("net.http.client")
    with pytest.raises(reml.DeniedError, match="net.http.client") as caught:
        host.context.run("go")
    assert caught.value.code == "runtime.capability.denied"
    assert host.marks()["send"] == before
    host.context.grant("net.http.client")
    host.context.run("go")
    assert host.marks()["send"] > before


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_host_function_is_refused_at_load(tmp_path, registry, way):
    host = Host(tmp_path, registry, grants=[])
    with host.context as context, pytest.raises(reml.LoadError) as caught:
        context.load(WAYS[way])
    assert {diagnostic.code for diagnostic in caught.value.diagnostics if diagnostic.severity == "error"} == {
        "target.capability.unknown"
    }


def test_the_diagnostic_covers_the_call(host):
    host.context.revoke("net.http.client")
    found = host.context.check("module M\nfn go() -> Int =\n  1 + Net.send(40 + 1)\n")
    assert [(d.code, d.message) for d in found] == [
        ("target.capability.unknown", "`Net.send` needs capability net.http.client, which the host does not grant")
    ]
    assert (found[0].line, found[0].column) == (3, 7)


def test_a_python_function_that_was_taken_from_the_script_is_denied(host):
    module = host.context.load(
        "module M\nfn make() -> fn(Int) -> Int = |x| Net.send(x)\nfn go(x: Int) -> Int = Net.send(x)"
    )
    closure, function = module["make"](), module["go"]
    assert (closure(1), function(1)) == (2, 2)
    host.context.revoke("net.http.client")
    for held in (closure, function):
        with pytest.raises(reml.DeniedError):
            held(1)
    assert host.marks() == {"send": 2}


def test_revoking_in_a_callback_stops_the_run_that_called_it(host):
    @host.context.host("tick", signature="() -> ()")
    def tick() -> None:
        host.context.revoke("net.http.client")

    host.context.load("fn go() -> Int { Net.send(1); tick(); Net.send(2) }")
    with pytest.raises(reml.DeniedError):
        host.context.run("go")
    assert host.marks() == {"send": 1}


def test_revoking_from_another_thread_stops_a_run(host):
    started = threading.Event()
    host.context.define("ready", started.set, signature="() -> ()")
    host.context.load("fn go() -> Int { ready(); var n = 0; loop { n := Net.send(n) } }")

    def revoke() -> None:
        started.wait(20)
        host.context.revoke("net.http.client")

    thread = threading.Thread(target=revoke)
    thread.start()
    with pytest.raises(reml.DeniedError):
        host.context.run("go")
    thread.join()


def test_denied_calls_leave_a_record_with_capability_and_position(host):
    host.context.load("module M\nfn go() -> Int =\n    Net.send(1)\n", name="go.reml")
    (first,) = host.checks()
    assert (first["capability.result"], first["effect.stage.actual"]) == ("success", "experimental")
    host.context.revoke("net.http.client")
    with pytest.raises(reml.DeniedError):
        host.context.run("go")
    (denied,) = host.checks()
    assert denied["capability.id"] == "net.http.client"
    assert denied["capability.error.code"] == "runtime.capability.denied"
    assert (denied["script.file"], denied["script.line"], denied["script.column"]) == ("go.reml", 3, 5)
    assert denied["script.symbol"] == "Net.send"


def test_checks_are_recorded_once_and_not_at_each_call(host):
    host.context.load("fn go() -> Int { var n = 0; while n < 1000 { n := Net.send(n) }; n }")
    host.context.run("go")
    assert len(host.checks()) == 1


def test_records_have_the_keys_of_the_contract(host):
    host.context.load("fn go() -> Int = Net.send(1)")
    host.context.revoke("net.http.client")
    with pytest.raises(reml.DeniedError):
        host.context.run("go")
    checks = [line for line in host.context.drain() if line["envelope"]["metadata"]["event.kind"] == "capability_check"]
    assert len(checks) == 2
    assert [missing_keys(Record(line)) for line in checks] == [[], []]


STAGED = [
    ("at_least:beta", (), "effects.contract.stage_mismatch"),
    ("exact:experimental", (), None),
    (None, ("net", "io"), None),
    (None, ("net", "gpu"), "effects.contract.effect_scope_mismatch"),
    ("at_least:stable", ("gpu",), "effects.contract.stage_mismatch"),
]


@pytest.mark.parametrize(("stage", "effects", "code"), STAGED)
def test_stage_and_effects_are_checked_at_load(host, stage, effects, code):
    host.context.define(
        "f", lambda n: n, signature="(n: Int) -> Int", capability="net.http.client", stage=stage, effects=effects
    )
    found = [d.code for d in host.context.check("fn go() -> Int = f(1)")]
    assert found == ([code] if code else [])


def test_what_nobody_registered_is_unknown(host):
    host.context.define("f", lambda n: n, signature="(n: Int) -> Int", capability="my.thing")
    assert [d.code for d in host.context.check("fn go() -> Int = f(1)")] == ["runtime.capability.unknown"]


def test_a_promotion_reaches_contexts_that_are_open(host, registry):
    host.context.define("f", lambda n: n, signature="(n: Int) -> Int", capability="console", stage="exact:experimental")
    host.context.load("fn go() -> Int = f(1)")
    assert host.context.run("go") == 1
    registry.set_stage("console", "beta")
    with pytest.raises(reml.DeniedError, match="stage"):
        host.context.run("go")


@pytest.mark.parametrize("action", ["disable", "enable"])
def test_disable_binds_and_enable_opts_in(tmp_path, registry, action):
    getattr(registry, action)("net.http.client")
    host = Host(tmp_path, registry, explicit_experimental=True)
    with host.context as context:
        found = [d.code for d in context.check("fn go() -> Int = Net.send(1)")]
    assert found == ([] if action == "enable" else ["target.capability.unknown"])


def test_untrusted_contexts_opt_in_by_name(tmp_path, registry):
    host = Host(tmp_path, registry, explicit_experimental=True)
    source = "fn go() -> Int = Net.send(1)"
    with host.context as context:
        assert [d.code for d in context.check(source)] == ["effects.stage.missing_opt_in"]
        assert context.check("fn go() -> Int = File.write(1)") == []  # stable
        context.grant("net.http.client")
        assert context.check(source) == []


def test_attributes_follow_grants_as_they_are_now(host):
    source = '@requires_capability(id = "net.http.client") fn go() -> Int = 1'
    assert [d.code for d in host.context.check(source)] == ["effects.stage.missing_opt_in"]  # a hint
    host.context.revoke("net.http.client")
    assert [d.code for d in host.context.check(source)] == ["target.capability.unknown"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"stage": "at_least:beta"}, ValueError),
        ({"effects": ["net"]}, ValueError),
        ({"capability": "a", "stage": "alpha"}, ValueError),
        ({"capability": "a", "effects": "net"}, TypeError),
        ({"capability": "a", "effects": ["a,b"]}, ValueError),
        ({"capability": ""}, ValueError),
    ],
)
def test_needs_that_make_no_sense_are_refused(host, options, error):
    with pytest.raises(error):
        host.context.define("f", lambda n: n, signature="(n: Int) -> Int", **options)


@pytest.mark.parametrize("name", ["", "a,b", " a"])
def test_grants_of_no_id_are_refused(host, name):
    with pytest.raises(ValueError, match=r".*"):
        host.context.grant(name)
    with pytest.raises(ValueError, match=r".*"):
        host.context.revoke(name)


def test_grants_and_granted_capabilities_are_one(registry):
    with pytest.raises(TypeError, match="give one"):
        reml.Context(grants=[], granted_capabilities=[])
    with reml.Context(granted_capabilities=["gc"], registry=registry) as context:
        assert (context.granted("gc"), context.granted("gpu")) == (True, False)
    with pytest.raises(reml.StaleError):
        context.grant("gc")


def test_reml_run_grants_ids_by_name(tmp_path):
    source = tmp_path / "a.reml"
    source.write_text('@requires_capability(id = "io.fs.read") fn main() -> Int = 1\n')

    def reml_run(*grants: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "reml_embed.cli", "run", str(source), *(f"--grant={name}" for name in grants)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return done.returncode, done.stdout + done.stderr

    assert reml_run() == (0, "1\n")
    assert reml_run("gc", "io.fs.read") == (0, "1\n")
    code, text = reml_run("gc")
    assert code == 1
    assert "target.capability.unknown" in text
    code, text = reml_run("no.such")
    assert code == 2
    assert "Invalid value for --grant: runtime.capability.unknown: capability no.such is not registered" in text
    assert reml_run("a,b")[0] == 2


ROOT = Path(__file__).resolve().parents[2]


def test_the_c_program_shows_refusals_and_a_log_that_verifies(tmp_path):
    archive, compiler = ROOT / "build" / "libreml_embed.a", shutil.which("cc")
    if compiler is None or not archive.exists():
        pytest.skip("needs a C compiler and `make lib`")
    program, log = tmp_path / "capability", tmp_path / "log.ndjson"
    source, headers = ROOT / "examples" / "c" / "capability.c", ROOT / "native" / "include"
    command = [compiler, "-std=c11", f"-I{headers}", source, archive, "-lm", "-pthread", "-o", program]
    subprocess.run([str(word) for word in command], check=True)
    done = subprocess.run([program, log], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert [word for word in ("MISSING", "letters sent: 1", "  verify                 ok") if word in done.stdout] == [
        "letters sent: 1",
        "  verify                 ok",
    ]
    kinds = [json.loads(line)["envelope"]["metadata"]["event.kind"] for line in log.read_text().splitlines()]
    assert kinds.count("capability_check") == 3  # refused at load, passed at load, denied at the call
