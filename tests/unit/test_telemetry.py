"""Constraint graphs: document, DOT, SVG, commands, record (CONTRACTS 9)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from reml_embed import Context, RemlError
from reml_embed._ffi import lib
from reml_embed.audit.kinds import missing_keys
from reml_embed.audit.records import read
from reml_embed.cli import reml
from reml_embed.cli.remlc import remlc
from reml_embed.telemetry import (
    Edge,
    EmptyGraphError,
    Graph,
    Node,
    TelemetryError,
    default_path,
    document_text,
    explain_failures,
    has_dot,
    make_document,
    read_graph,
    sanitise_name,
    to_dot,
    to_svg,
)

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path("examples/core_diagnostics/constraint_graph/simple_chain.reml")
OUTPUT = ROOT / "examples" / "core_diagnostics" / "output"
TIME = "2026-03-02T08:30:20Z"

MISSING = """module M
trait Show { fn show(self) -> Str }
fn all<T: Show>(x: T) -> Str = x.show()
fn f() -> Str = all(3)
"""

needs_log = pytest.mark.skipif(not hasattr(lib, "reml_embed_audit_log"), reason="the library takes no records of hosts")
needs_dot = pytest.mark.skipif(not has_dot(), reason="Graphviz is not on this machine")


def document_of(text: str, **more: Any) -> dict[str, Any]:
    """The document of a text."""
    with Context() as context:
        context.check(text, telemetry=True)
        return make_document(context.constraints(), generated_at=TIME, **more)


def command(*words: str | Path, **more: Any) -> Any:
    """Run ``reml`` in this process."""
    return CliRunner().invoke(reml, [str(word) for word in words], **more)


def shapes_of(svg: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Nodes (title, label) and edges (title, label) of an SVG, of Graphviz or of ours, sorted."""
    root = ET.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", svg))
    found: dict[str, list[tuple[str, str]]] = {"node": [], "edge": []}
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        kind = group.get("class", "")
        if kind in found:
            title = group.findtext("{http://www.w3.org/2000/svg}title") or ""
            texts = [text.text or "" for text in group.iter("{http://www.w3.org/2000/svg}text")]
            found[kind].append((title, "\n".join(texts)))
    return sorted(found["node"]), sorted(found["edge"])


# --- the stored outputs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The three files of simple_chain, made anew by the commands of the guide."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(tmp_path / "audit.ndjson"))
    graph, dot, svg = tmp_path / "g.json", tmp_path / "g.dot", tmp_path / "g.svg"
    done = command("check", SOURCE, "--emit-telemetry", f"constraint_graph={graph}")
    assert done.exit_code == 0, done.output
    done = command("telemetry", "export", "--dot-out", dot, "--svg-out", svg, "--graph-name", "SimpleChain", graph)
    assert done.exit_code == 0, done.output
    return {"json": graph.read_text("utf-8"), "dot": dot.read_text("utf-8"), "svg": svg.read_text("utf-8")}


def test_the_json_of_simple_chain_is_the_stored_one_byte_for_byte(rebuilt: dict[str, str]) -> None:
    stored = (OUTPUT / "simple_chain-constraint_graph.json").read_text("utf-8")
    time = re.compile(r'"generated_at": "[^"]*"')
    assert time.sub("", rebuilt["json"]) == time.sub("", stored)


def test_the_dot_of_simple_chain_is_the_stored_one_byte_for_byte(rebuilt: dict[str, str]) -> None:
    assert rebuilt["dot"] == (OUTPUT / "simple_chain.dot").read_text("utf-8")
    assert rebuilt["dot"].startswith("digraph SimpleChain {\n  rankdir=LR;\n")


def test_the_svg_of_simple_chain_has_the_stored_nodes_and_edges(rebuilt: dict[str, str]) -> None:
    assert shapes_of(rebuilt["svg"]) == shapes_of((OUTPUT / "simple_chain.svg").read_text("utf-8"))


@pytest.mark.parametrize("use_dot", [pytest.param(True, marks=needs_dot), False])
def test_both_ways_to_draw_give_the_stored_nodes_and_edges(use_dot: bool) -> None:
    graph = read_graph(json.loads((OUTPUT / "simple_chain-constraint_graph.json").read_text("utf-8")))
    drawn = shapes_of(to_svg(graph, "SimpleChain", use_dot=use_dot))
    assert drawn == shapes_of((OUTPUT / "simple_chain.svg").read_text("utf-8"))
    assert len(drawn[0]) == len(graph.nodes)
    assert len(drawn[1]) == len(graph.edges)


# --- the document ---------------------------------------------------------------------------------------------------------


def test_the_document_has_the_parts_and_fields_of_the_contract() -> None:
    document = document_of("fn inc(x) = x + 1\nfn main() -> Int = inc(2)\n", source="a.reml")
    assert list(document) == ["schema_version", "generated_at", "input", "functions", "metrics", "graph", "resolutions"]
    assert document["schema_version"] == "3.0.0-alpha"
    assert set(document["functions"][0]) == {
        "name", "param_types", "return_type", "typed_exprs", "constraints", "unresolved_identifiers",
    }  # fmt: skip
    assert set(document["metrics"]) == {
        "typed_functions", "typed_exprs", "constraints_total", "constraint_breakdown", "unresolved_identifiers", "call_sites",
        "binary_expressions", "unify_calls", "ast_nodes", "token_count",
    }  # fmt: skip
    assert set(document["graph"]) == {"nodes", "edges", "node_count", "edge_count"}
    assert document["graph"]["node_count"] == len(document["graph"]["nodes"])
    assert document["graph"]["edge_count"] == len(document["graph"]["edges"])


def test_the_breakdown_counts_operands_and_arities_and_adds_up() -> None:
    metrics = document_of("fn inc(x: Int) -> Int = x + 1\nfn main() -> Int = inc(inc(2)) * 3\n")["metrics"]
    assert metrics["constraint_breakdown"]["binary.operands"] == 2
    assert metrics["constraint_breakdown"]["call.arity"] == 2
    assert metrics["constraints_total"] == sum(metrics["constraint_breakdown"].values())
    assert (metrics["call_sites"], metrics["binary_expressions"], metrics["typed_functions"]) == (2, 2, 2)
    assert metrics["unify_calls"] > 0


def test_without_an_input_the_key_is_left_out() -> None:
    assert "input" not in document_of("fn f() -> Int = 1\n")


def test_ids_are_n0_n1_in_order_of_first_appearance_and_stable() -> None:
    source = (ROOT / SOURCE).read_text("utf-8")
    first, second = document_of(source), document_of(source)
    assert document_text(first) == document_text(second)
    assert [node["id"] for node in first["graph"]["nodes"]] == [f"n{at}" for at in range(first["graph"]["node_count"])]
    met = [end for edge in first["graph"]["edges"] for end in (edge["from"], edge["to"])]
    assert set(met) <= {node["id"] for node in first["graph"]["nodes"]}


def test_capability_and_implementation_nodes_are_labelled_cap_and_impl() -> None:
    nodes = document_of((ROOT / SOURCE).read_text("utf-8"))["graph"]["nodes"]
    labels = {node["kind"]: node["label"] for node in nodes}
    assert labels["capability"] == "cap:core.diagnostics"
    assert labels["implementation"].startswith("impl:")
    assert {node["kind"] for node in nodes} == {"type", "capability", "implementation"}


def test_dictionary_kind_none_is_emitted_never_omitted() -> None:
    failed = [entry for entry in document_of(MISSING)["resolutions"] if entry["resolution_state"] == "unresolved"]
    assert failed[0]["dictionary"]["kind"] == "none"
    assert set(failed[0]["dictionary"]) >= {"kind", "identifier", "trait_name", "type_args", "repr"}
    assert failed[0]["graph"] == {"export_dot": None}


def test_the_default_path_is_below_tmp_telemetry_and_named_after_the_stem() -> None:
    assert default_path(Path("a/orders.reml")).as_posix() == "tmp/telemetry/orders-constraint_graph.json"


def test_nobody_asked_nothing_is_there() -> None:
    with Context() as context:
        context.check("fn f() -> Int = 1\n")
        with pytest.raises(RemlError, match="constraint graph"):
            context.constraints()


# --- DOT ------------------------------------------------------------------------------------------------------------------


def test_dot_is_byte_exact() -> None:
    graph = Graph(
        (Node("n0", "Int", "type"), Node("n1", "cap:db", "capability"), Node("n2", "impl:Show", "implementation"),
         Node("n3", "?", "guess")),
        (Edge("n0", "n3", "equal"), Edge("n0", "n1", "capability"), Edge("n0", "n2", "implementation"), Edge("n3", "n0", "maybe")),
    )  # fmt: skip
    assert to_dot(graph, "G") == (
        "digraph G {\n  rankdir=LR;\n"
        '  "n0" [label="Int", shape=ellipse];\n'
        '  "n1" [label="cap:db", shape=box];\n'
        '  "n2" [label="impl:Show", shape=diamond];\n'
        '  "n3" [label="?", shape=ellipse];\n'
        '  "n0" -> "n3";\n'
        '  "n0" -> "n1" [label="capability"];\n'
        '  "n0" -> "n2" [label="implementation"];\n'
        '  "n3" -> "n0" [label="maybe"];\n'
        "}\n"
    )


def test_labels_escape_quotes_backslashes_and_newlines() -> None:
    assert '[label="a\\"b\\\\c\\nd", shape' in to_dot(Graph((Node("n", 'a"b\\c\nd', "type"),), ()))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("SimpleChain", "SimpleChain"),
        ("a b-c", "a_b_c"),
        ("", "ConstraintGraph"),
        ("図", "_"),
        ('x"{', "x__"),
        ("9a", "_9a"),
    ],
)
def test_the_name_is_sanitised(name: str, wanted: str) -> None:
    assert sanitise_name(name) == wanted


words = st.text(max_size=8).filter(lambda text: not any(0xD800 <= ord(char) <= 0xDFFF for char in text))


@st.composite
def graphs(draw: Any) -> Graph:
    """Graphs with circles, loops, odd labels and ids."""
    ids = draw(st.lists(st.text('abc"\\ <&é', min_size=1, max_size=4), min_size=1, max_size=8, unique=True))
    kinds = st.sampled_from(["type", "capability", "implementation", "other"])
    nodes = tuple(Node(name, draw(words), draw(kinds)) for name in ids)
    ends = st.sampled_from(ids)
    kinds = st.sampled_from(["equal", "capability", "x"])
    edges = draw(st.lists(st.builds(Edge, ends, ends, kinds), max_size=14))
    return Graph(nodes, tuple(edges))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_the_builtin_layout_draws_every_node_and_edge_of_any_graph(graph: Graph) -> None:
    root = ET.fromstring(to_svg(graph, use_dot=False))
    titles: dict[str, list[str]] = {"node": [], "edge": []}
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        if group.get("class") in titles:
            titles[group.get("class", "")].append(group.findtext("{http://www.w3.org/2000/svg}title") or "")
    assert titles["node"] == [node.id for node in graph.nodes]
    assert titles["edge"] == [f"{edge.from_id}->{edge.to_id}" for edge in graph.edges]


def test_the_builtin_layout_draws_long_chains_and_many_edges() -> None:
    nodes = tuple(Node(f"n{at}", f"n{at}", "type") for at in range(3000))
    edges = [Edge(f"n{at}", f"n{at + 1}", "equal") for at in range(2999)]
    edges += [Edge("n0", f"n{at}", "equal") for at in range(2, 400)] + [Edge("n2999", "n0", "equal")]
    assert to_svg(Graph(nodes, tuple(edges)), use_dot=False).count('class="edge"') == len(edges)


def test_a_layer_is_left_of_the_next_in_the_builtin_layout() -> None:
    graph = Graph(tuple(Node(name, name, "type") for name in "abc"), (Edge("a", "b", "equal"), Edge("b", "c", "equal")))
    places = [float(found) for found in re.findall(r'<ellipse cx="([\d.]+)"', to_svg(graph, use_dot=False))]
    assert places == sorted(places)
    assert len(set(places)) == 3


def test_a_graphviz_that_fails_is_replaced_by_the_builtin_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = Graph((Node("n", "Int", "type"),), ())
    assert 'class="node"' in to_svg(graph)
    with pytest.raises(OSError, match="ended with 3"):
        to_svg(graph, use_dot=True)


# --- reading --------------------------------------------------------------------------------------------------------------


def test_a_root_without_graph_is_taken_as_the_graph_itself() -> None:
    inner = {"nodes": [{"id": "n0", "label": "Int", "kind": "type"}], "edges": [], "more": 1}
    assert read_graph(inner) == read_graph({"graph": inner, "unknown": []})


def test_unknown_kinds_are_kept() -> None:
    graph = read_graph(
        {"nodes": [{"id": "a", "kind": "odd"}, {"id": 2}], "edges": [{"from": "a", "to": 2, "kind": "x"}]}
    )
    assert graph == Graph((Node("a", "a", "odd"), Node("2", "2", "type")), (Edge("a", "2", "x"),))


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], "$"),
        ({"graph": []}, "$.graph"),
        ({"nodes": {}}, "$.nodes"),
        ({"nodes": [3]}, "$.nodes[0]"),
        ({"graph": {"nodes": [{"label": "x"}]}}, "$.graph.nodes[0].id"),
        ({"nodes": [{"id": "a", "label": None}]}, "$.nodes[0].label"),
        ({"nodes": [{"id": "a"}, {"id": "a"}]}, "$.nodes[1].id"),
        ({"nodes": [{"id": "a"}], "edges": [{"from": "a"}]}, "$.edges[0].to"),
        ({"nodes": [{"id": "a"}], "edges": [{"from": "b", "to": "a"}]}, "$.edges[0].from"),
        ({"nodes": [{"id": True}]}, "$.nodes[0].id"),
    ],
)
def test_what_is_no_graph_is_refused_with_its_key_path(document: Any, path: str) -> None:
    with pytest.raises(TelemetryError) as caught:
        read_graph(document)
    assert caught.value.key_path == path
    assert caught.value.code == "telemetry.graph.invalid"
    assert path in str(caught.value)


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(EmptyGraphError):
        read_graph({"graph": {"nodes": [], "edges": []}})


# --- commands -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REML_EMBED_AUDIT_PATH", raising=False)
    return tmp_path


def write(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_export_of_an_empty_graph_exits_1_and_writes_nothing(folder: Path) -> None:
    done = command("telemetry", "export", "--dot-out", "g.dot", write(folder / "g.json", {"graph": {"nodes": []}}))
    assert done.exit_code == 1
    assert "telemetry.graph.empty" in done.output
    assert not (folder / "g.dot").exists()


@pytest.mark.parametrize("content", ["{", "[1]", '{"graph": 3}', "\udcff", '{"nodes": [{}]}'])
def test_export_of_a_file_that_is_no_graph_exits_2_and_names_it(folder: Path, content: str) -> None:
    (folder / "g.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    done = command("telemetry", "export", "g.json")
    assert done.exit_code == 2
    assert "g.json" in done.output
    assert "Traceback" not in done.output


def test_export_of_a_missing_file_exits_2(folder: Path) -> None:
    assert command("telemetry", "export", "nope.json").exit_code == 2
    assert command("telemetry", "export", folder).exit_code == 2


def test_export_that_cannot_write_exits_2(folder: Path) -> None:
    write(folder / "g.json", {"nodes": [{"id": "a"}]})
    (folder / "file").write_text("", encoding="utf-8")
    done = command("telemetry", "export", "g.json", "--dot-out", "file/g.dot")
    assert done.exit_code == 2
    assert "file/g.dot" in done.output


def test_export_without_outputs_prints_the_dot(folder: Path) -> None:
    done = command("telemetry", "export", write(folder / "g.json", {"nodes": [{"id": "a"}]}))
    assert done.exit_code == 0
    assert done.output.startswith("digraph ConstraintGraph {")


def test_export_writes_the_record_telemetry_constraint_graph(folder: Path) -> None:
    write(folder / "g.json", {"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"from": "a", "to": "b"}]})
    assert command("telemetry", "export", "g.json", "--dot-out", "g.dot", "--audit", "log.ndjson").exit_code == 0
    records = [line.record for line in read("log.ndjson")]
    assert len(records) == 1
    record = records[0]
    assert record is not None
    assert record.kind == "telemetry.constraint_graph"
    assert missing_keys(record) == []
    assert record.category == "telemetry"
    assert record.capability == "core.diagnostics"
    keys = record.metadata
    assert (keys["telemetry.path"], keys["telemetry.nodes"], keys["telemetry.edges"]) == ("g.json", 2, 1)
    assert keys["cli.run_id"]


def test_emit_telemetry_without_a_path_writes_to_the_default_place(folder: Path) -> None:
    (folder / "orders.reml").write_text("fn f(x) = x + 1\n", encoding="utf-8")
    done = command("check", "orders.reml", "--emit-telemetry", "constraint_graph")
    assert done.exit_code == 0, done.output
    document = json.loads((folder / "tmp/telemetry/orders-constraint_graph.json").read_text("utf-8"))
    assert document["input"] == "orders.reml"
    record = next(read(folder / ".reml/audit.ndjson")).record
    assert record is not None
    assert record.metadata["telemetry.path"] == "tmp/telemetry/orders-constraint_graph.json"


def test_remlc_takes_the_option_behind_the_file(folder: Path) -> None:
    (folder / "orders.reml").write_text("fn f(x) = x + 1\n", encoding="utf-8")
    done = CliRunner().invoke(remlc, ["orders.reml", "--emit-telemetry", "constraint_graph"])
    assert done.exit_code == 0, done.output
    assert (folder / "tmp/telemetry/orders-constraint_graph.json").exists()


@pytest.mark.parametrize("given", ["graph", "constraint_graph=", "constraint_graphs=x", ""])
def test_emit_telemetry_knows_constraint_graph_only(folder: Path, given: str) -> None:
    (folder / "a.reml").write_text("fn f() -> Int = 1\n", encoding="utf-8")
    assert command("check", "a.reml", "--emit-telemetry", given).exit_code == 2


def test_one_path_is_for_one_file(folder: Path) -> None:
    for name in ("a.reml", "b.reml"):
        (folder / name).write_text("fn f() -> Int = 1\n", encoding="utf-8")
    assert command("check", "a.reml", "b.reml", "--emit-telemetry", "constraint_graph=x.json").exit_code == 2
    assert command("check", "a.reml", "b.reml", "--emit-telemetry", "constraint_graph").exit_code == 0
    assert len(list((folder / "tmp/telemetry").iterdir())) == 2


def test_a_source_with_errors_of_types_still_has_a_graph(folder: Path) -> None:
    (folder / "m.reml").write_text(MISSING, encoding="utf-8")
    assert command("check", "m.reml", "--emit-telemetry", "constraint_graph=g.json").exit_code == 1
    states = [entry["resolution_state"] for entry in json.loads((folder / "g.json").read_text("utf-8"))["resolutions"]]
    assert "unresolved" in states


def test_a_source_with_errors_of_syntax_has_none_and_says_so(folder: Path) -> None:
    (folder / "m.reml").write_text("fn f( = ", encoding="utf-8")
    done = command("check", "m.reml", "--emit-telemetry", "constraint_graph=g.json")
    assert done.exit_code == 1
    assert "no constraint graph" in done.output
    assert not (folder / "g.json").exists()


def test_a_graph_that_cannot_be_written_exits_2_and_leaves_no_record(folder: Path) -> None:
    (folder / "m.reml").write_text("fn f() -> Int = 1\n", encoding="utf-8")
    (folder / "tmp").write_text("", encoding="utf-8")
    assert command("check", "m.reml", "--emit-telemetry", "constraint_graph").exit_code == 2
    assert not (folder / ".reml").exists()


# --- diagnostics ----------------------------------------------------------------------------------------------------------


def test_typeclass_failures_fill_typeclass_keys(folder: Path) -> None:
    (folder / "m.reml").write_text(MISSING, encoding="utf-8")
    done = command("check", "m.reml", "--format", "json")
    failure = next(entry for entry in json.loads(done.stdout)["diagnostics"] if entry["code"].startswith("typeclass."))
    keys = failure["audit_metadata"]
    assert keys["typeclass.constraint"] == "Show for Int"
    assert keys["typeclass.resolution_state"] == "unresolved"
    assert keys["typeclass.dictionary"]["kind"] == "none"
    for name in ("candidates", "pending", "generalized_typevars"):
        assert keys[f"typeclass.{name}"] == []
    assert keys == failure["audit"]["metadata"]
    assert failure["extensions"]["typeclass"]["dictionary"]["kind"] == "none"


def test_diagnostics_without_failures_of_traits_are_unchanged(folder: Path) -> None:
    (folder / "m.reml").write_text('fn f() -> Int = "x"\n', encoding="utf-8")
    failure = json.loads(command("check", "m.reml", "--format", "json").stdout)["diagnostics"][0]
    assert "typeclass" not in failure.get("extensions", {})
    assert not any(key.startswith("typeclass.") for key in failure["audit_metadata"])


def test_settled_resolutions_explain_nothing() -> None:
    entry = {"resolution_state": "resolved", "span": {"start": 1, "end": 2}}
    diagnostic = {"code": "x", "primary": {"byte_start": 1, "byte_end": 2}}
    assert explain_failures([diagnostic], [entry]) == [diagnostic]


def test_an_ambiguous_method_names_its_candidates() -> None:
    source = """module M
trait A { fn go(self) -> Int }
trait B { fn go(self) -> Int }
impl A for Int { fn go(self) -> Int = 1 }
impl B for Int { fn go(self) -> Int = 2 }
fn f() -> Int {
  let n: Int = 3
  n.go()
}
"""
    entry = next(item for item in document_of(source)["resolutions"] if item["resolution_state"] == "ambiguous")
    assert entry["candidates"] == ["A.go(…)", "B.go(…)"]


@needs_log
def test_the_record_of_a_typeclass_failure_carries_the_keys(folder: Path) -> None:
    (folder / "m.reml").write_text(MISSING, encoding="utf-8")
    command("check", "m.reml", "--audit", "log.ndjson")
    kinds = [line.record for line in read("log.ndjson") if line.record and line.record.kind == "diagnostic.emitted"]
    assert kinds[0].metadata["typeclass.resolution_state"] == "unresolved"


@needs_log
def test_the_record_of_a_graph_joins_the_trail_of_the_command(folder: Path) -> None:
    (folder / "m.reml").write_text("fn f() -> Int = 1\n", encoding="utf-8")
    done = command("check", "m.reml", "--emit-telemetry", "constraint_graph=g.json", "--audit", "log.ndjson")
    assert done.exit_code == 0, done.output
    records = [line.record for line in read("log.ndjson") if line.record]
    runs = {record.metadata["cli.run_id"] for record in records if "cli.run_id" in record.metadata}
    assert records[-1].kind == "telemetry.constraint_graph"
    assert len(runs) == 1
    assert not (folder / ".reml").exists()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser on this machine")
def test_a_browser_shows_the_builtin_drawing(tmp_path: Path) -> None:
    graph = read_graph(json.loads((OUTPUT / "simple_chain-constraint_graph.json").read_text("utf-8")))
    picture = tmp_path / "g.svg"
    picture.write_text(to_svg(graph, use_dot=False), encoding="utf-8")
    done = subprocess.run(
        ["env", "-u", "LD_PRELOAD", "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile", "--dump-dom", picture.as_uri()],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    shown = done.stdout.decode("utf-8", "replace")
    if not shown:
        pytest.skip("the browser does not start here")
    assert shown.count('class="node"') == len(graph.nodes)
    assert "parsererror" not in shown
