"""Conductor contracts against registry and manifest (CONTRACTS 3.2, 4.2, 10.1)."""

import pytest

import reml_embed as reml
from reml_embed.audit import AuditContext, MemorySink, missing_keys
from reml_embed.registry.capability import (
    AtLeast,
    CapabilityRegistry,
    ContractViolation,
    EffectScopeMismatch,
    Exact,
    FileError,
    InvalidStageError,
    ManifestLoadFailure,
    NotRegistered,
    StageViolation,
)
from reml_embed.registry.conductor import ConductorContract, DuplicateDslIdError, Requirement, Span

MANIFEST = """\
[project]
name = "plant"

[[run.target.capabilities]]
id = "io.fs.read"
stage = "at_least:beta"
declared_effects = ["io", "fs.read"]
source_span = { start = 10, end = 20 }
provider = "core"

[[run.target.capabilities]]
id = "gc"
stage = "stable"
declared_effects = []
"""
READ = Requirement("io.fs.read", AtLeast("beta"), ("fs.read", "io"), Span(10, 20), "read")


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def registry(sink):
    return CapabilityRegistry(audit=AuditContext(sink))


@pytest.fixture
def manifest(tmp_path):
    def write(text=MANIFEST):
        path = tmp_path / "reml.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_a_contract_that_holds_passes(registry, manifest, sink):
    contract = ConductorContract((READ, Requirement("gc", AtLeast("stable"))), manifest())
    registry.verify_conductor_contract(contract)
    assert sink.kinds == ["capability_check", "capability_check"]
    registry.verify_conductor_contract(ConductorContract((READ,)))


def test_a_contract_is_read_from_json_and_written(manifest):
    value = {
        "requirements": [
            {
                "id": "io.fs.read",
                "stage": "at_least:beta",
                "declared_effects": ["fs.read", "io"],
                "source_span": {"start": 10, "end": 20},
            }
        ],
        "manifest_path": "reml.toml",
    }
    contract = ConductorContract.from_json(value)
    assert contract.requirements == (Requirement("io.fs.read", AtLeast("beta"), ("io", "fs.read"), Span(10, 20)),)
    assert contract.to_json() == value
    for change, path in (
        ({"stage": "alpha"}, "$.requirements[0].stage"),
        ({"nope": 1}, "$.requirements[0].nope"),
        ({"source_span": {"start": "1"}}, "$.requirements[0].source_span.start"),
        ({"id": ""}, "$.requirements[0].id"),
    ):
        with pytest.raises(FileError) as caught:
            ConductorContract.from_json({"requirements": [value["requirements"][0] | change]})
        assert caught.value.key_path == path


def test_each_requirement_is_verified_and_a_failure_leaves_capability_mismatch(registry, sink):
    contract = ConductorContract((READ, Requirement("gpu", AtLeast("beta"), ("gpu",), None, "render")), dsl_id="pipe")
    with pytest.raises(StageViolation):
        registry.verify_conductor_contract(contract)
    assert sink.kinds == ["capability_check", "capability_check", "capability_mismatch"]
    record = sink.taken[-1]
    assert (record.category, record.capability) == ("capability", "gpu")
    assert missing_keys(record) == []
    found = record.metadata
    assert (found["capability.id"], found["capability.expected_stage"], found["capability.actual_stage"]) == (
        "gpu",
        "at_least:beta",
        "experimental",
    )
    assert (found["dsl.node"], found["dsl.id"]) == ("render", "pipe")


def test_dsl_node_falls_back_to_unknown(registry, sink):
    with pytest.raises(NotRegistered):
        registry.verify_conductor_contract(ConductorContract((Requirement("no.such", Exact("stable")),)))
    record = sink.taken[-1]
    assert (record.metadata["dsl.node"], record.metadata["capability.actual_stage"]) == ("unknown", "unknown")
    assert missing_keys(record) == []
    with pytest.raises(EffectScopeMismatch):
        registry.verify_conductor_contract(ConductorContract((Requirement("gc", Exact("stable"), ("gpu",)),)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [('"at_least:beta"', '"at_least:stable"', "stage at_least:beta is needed, at_least:stable is declared"), ('"at_least:beta"', '"exact:beta"', "exact:beta is declared"),
     ('"at_least:beta"', '"stable"', "stage beta is needed, stable is declared"), ('["io", "fs.read"]', '["io"]', "effects {fs.read, io} is needed, {io} is declared"),
     ("end = 20", "end = 21", "span 10..20 is needed, 10..21 is declared"), ("source_span = { start = 10, end = 20 }\n", "", "span 10..20 is needed, none is declared"),
     ('"io.fs.read"', '"io.fs.write"', "is not declared")],
)  # fmt: skip
def test_contract_violation_when_the_manifest_differs_in_stage_effects_or_span(
    registry, manifest, sink, old, new, words
):
    path = manifest(MANIFEST.replace(old, new, 1))
    with pytest.raises(ContractViolation) as caught:
        registry.verify_conductor_contract(ConductorContract((READ,), path))
    error = caught.value
    assert (error.code(), error.id, error.manifest_path, error.source_span) == (
        "config.manifest.capability_contract",
        "io.fs.read",
        path,
        Span(10, 20),
    )
    assert words in error.detail()
    assert error.required == READ
    assert sink.kinds == ["capability_check", "capability_check", "capability_mismatch"]
    check = sink.taken[1]
    assert missing_keys(check) == []
    found = check.metadata
    assert (found["capability.result"], found["capability.error.code"]) == (
        "error",
        "config.manifest.capability_contract",
    )
    assert found["capability.error.message"] == error.detail()
    assert (found["config.manifest.path"], found["config.manifest.span.start"], found["config.manifest.span.end"]) == (
        path,
        10,
        20,
    )
    assert found["effect.stage.actual"] == "stable"
    assert missing_keys(sink.taken[2]) == []


def test_a_bare_stage_in_the_manifest_compares_the_stage_alone(registry, manifest):
    registry.verify_conductor_contract(ConductorContract((READ,), manifest(MANIFEST.replace("at_least:beta", "beta"))))


def test_an_unknown_span_is_not_compared(registry, manifest):
    registry.verify_conductor_contract(
        ConductorContract((Requirement("io.fs.read", "at_least:beta", ("io", "fs.read")),), manifest())
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [("a = [", "not TOML"), ("[run]\ntarget = 1\n", "expected a table, got a number at $.run.target"), ("[run.target]\ncapabilities = 1\n", "expected a list"),
     ('[[run.target.capabilities]]\nid = "gc"\nstage = "alpha"\n', "config.invalid_stage"), ('[[run.target.capabilities]]\nid = "gc"\n', "missing key at $.run.target.capabilities[0].stage"),
     ('[[run.target.capabilities]]\nid = "gc"\nstage = "beta"\nnope = 1\n', "$.run.target.capabilities[0].nope"), (MANIFEST.replace('"gc"', '"io.fs.read"'), "declared twice"),
     ("x = " + "[" * 3000, "")],
)  # fmt: skip
def test_manifest_load_failure_names_file_and_place(registry, manifest, sink, text, words):
    path = manifest(text)
    with pytest.raises(ManifestLoadFailure) as caught:
        registry.verify_conductor_contract(ConductorContract((READ,), path))
    assert caught.value.code() == "config.manifest.capability_contract"
    assert caught.value.manifest_path == path
    assert words in caught.value.detail()
    assert path in str(caught.value)
    assert sink.taken[1].metadata["config.manifest.path"] == path
    assert missing_keys(sink.taken[1]) == []


def test_a_missing_or_unreadable_manifest_is_a_load_failure(registry, tmp_path, sink):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ManifestLoadFailure):
            registry.verify_conductor_contract(ConductorContract((READ,), str(path)))
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"a = '\xff'")
    with pytest.raises(ManifestLoadFailure) as caught:
        registry.verify_conductor_contract(ConductorContract((READ,), str(bad)))
    assert caught.value.source_span == Span(5, 6)
    bad.write_text("a = 1\nb = = 2\n")
    with pytest.raises(ManifestLoadFailure) as caught:
        registry.verify_conductor_contract(ConductorContract((READ,), str(bad)))
    assert caught.value.source_span == Span(10, 10)
    assert "line 2" in caught.value.detail()
    assert sink.taken[-2].metadata["config.manifest.span.start"] == 10


def test_a_manifest_without_capabilities_declares_none(registry, manifest):
    with pytest.raises(ContractViolation, match="is not declared"):
        registry.verify_conductor_contract(ConductorContract((READ,), manifest("[project]\nname = 'x'\n")))
    registry.verify_conductor_contract(ConductorContract((), manifest("")))


def test_duplicate_dsl_id(registry, sink):
    one, other = ConductorContract((READ,), dsl_id="pipe"), ConductorContract((), dsl_id="other")
    registry.verify_conductor_contracts([one, other, ConductorContract(())])
    with pytest.raises(DuplicateDslIdError) as caught:
        registry.verify_conductor_contracts([one, other, ConductorContract((), dsl_id="pipe")])
    assert (caught.value.code, caught.value.dsl_id) == ("conductor.dsl_id.duplicate", "pipe")
    with pytest.raises(DuplicateDslIdError):
        registry.verify_conductor_contract(ConductorContract((READ,), nodes=("a", "b", "a")))
    assert sink.kinds == ["capability_check"]


SOURCE = """\
module Plant
fn step(x: Int) -> Int = x
conductor pipe {
  source: step(2) |> with_capabilities(["io.fs.read", "gc"], stage = "at_least:beta", effects = ["io"])
  total: source |> step |> depends_on([source]) |> with_capabilities(["gpu"])
}
conductor bad { source: step(1) |> with_capabilities(["gc"], stage = "alpha") }
let number = 1
"""


def test_the_contract_of_a_loaded_conductor(registry, context):
    context.load(SOURCE)
    contract = ConductorContract.of(context, "pipe", manifest_path="reml.toml")
    assert (contract.dsl_id, contract.nodes, contract.manifest_path) == ("pipe", ("source", "total"), "reml.toml")
    assert contract.requirements == (
        Requirement("io.fs.read", AtLeast("beta"), ("io",), None, "source"),
        Requirement("gc", AtLeast("beta"), ("io",), None, "source"),
        Requirement("gpu", AtLeast("experimental"), (), None, "total"),
    )
    with pytest.raises(EffectScopeMismatch):
        registry.verify_conductor_contract(ConductorContract(contract.requirements))
    with pytest.raises(InvalidStageError):
        ConductorContract.of(context, "bad")
    with pytest.raises(TypeError, match="no conductor"):
        ConductorContract.of(context, "number")
    with pytest.raises(reml.RunError):
        ConductorContract.of(context, "missing")
