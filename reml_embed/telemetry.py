"""
Constraint graphs of the type checker, for people and tools (CONTRACTS 9).

Comes in: what `Context.constraints` answers, or a graph somebody wrote. Goes out: the JSON document, DOT, SVG, keys for diagnostics.
Must not know: the command line, audit logs::

    with Context() as context:
        context.check(Path("orders.reml"), telemetry=True)
        document = make_document(context.constraints(), generated_at=now(), source="orders.reml")
    graph = read_graph(document)
    Path("orders.dot").write_text(to_dot(graph, "Orders"))
    Path("orders.svg").write_text(to_svg(graph, "Orders"))
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reml_embed._layout import draw
from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.diagnostics import Entry, Json, register_catalog
from reml_embed.errors import RemlError

DEFAULT_GRAPH_NAME: Final = "ConstraintGraph"

#: Shapes of DOT; kinds that are not here are ellipses.
SHAPES: Final = {"type": "ellipse", "capability": "box", "implementation": "diamond"}
#: What `resolution_state` may be.
RESOLUTION_STATES: Final = (
    "resolved", "stage_mismatch", "unresolved", "ambiguous", "unresolved_typevar", "cyclic", "pending",
)  # fmt: skip
#: States that are no failure: decided, or left to the callers.
SETTLED: Final = frozenset({"resolved", "pending"})

_COUNTS = ("unresolved_identifiers", "call_sites", "binary_expressions", "unify_calls", "ast_nodes", "token_count")


register_catalog("telemetry", {
    "telemetry.graph.invalid": Entry("the document is no constraint graph", "error", "type"),
    "telemetry.graph.empty": Entry("the constraint graph has no nodes", "error", "type"),
})  # fmt: skip


class TelemetryError(RemlError, ValueError):
    """
    A document that is no constraint graph.

    Attributes:
        code: ``telemetry.graph.invalid``, or ``telemetry.graph.empty`` for one without nodes.
        key_path: where: ``$.graph.edges[3].to``.
    """

    def __init__(self, message: str, *, code: str = "telemetry.graph.invalid", key_path: str = "$") -> None:
        super().__init__(f"{message} at {key_path}", status=4, label="invalid_argument")
        self.code = code
        self.key_path = key_path


class EmptyGraphError(TelemetryError):
    """There is nothing to draw."""

    def __init__(self, key_path: str) -> None:
        super().__init__("the graph has no nodes", code="telemetry.graph.empty", key_path=key_path)


@dataclass(frozen=True, slots=True)
class Node:
    """A type, a capability (``cap:<id>``) or an implementation (``impl:<name>``); other kinds are kept."""

    id: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A constraint between two nodes: ``equal``, ``capability``, ``implementation``; other kinds are kept."""

    from_id: str
    to_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges in the order of the document; every edge joins two of the nodes."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


# --- the document -----------------------------------------------------------------------------------------------------


def make_document(
    raw: Mapping[str, Any], *, generated_at: str, source: str | None = None, export_dot: str | None = None
) -> dict[str, Json]:
    """
    The JSON document of one check; the same source gives the same document, but for *generated_at*.

    Args:
        raw: what `Context.constraints` answers.
        generated_at: RFC 3339, UTC.
        source: path of the source, as it was given.
        export_dot: path of the DOT file, when one is written beside.
    """
    counts: dict[str, Any] = raw["constraints"]
    functions: list[Any] = raw["functions"]
    nodes: list[Any] = [
        {"id": f"n{number}", "label": node["label"], "kind": node["kind"]} for number, node in enumerate(raw["nodes"])
    ]
    edges: list[Any] = [
        {"from": f"n{edge['from']}", "to": f"n{edge['to']}", "kind": edge["kind"]} for edge in raw["edges"]
    ]
    dot: dict[str, Json] = {} if export_dot is None else {"export_dot": export_dot}
    document: dict[str, Json] = {"schema_version": SCHEMA_VERSION, "generated_at": generated_at}
    if source is not None:
        document["input"] = source
    document["functions"] = functions
    document["metrics"] = {
        "typed_functions": len(functions),
        "typed_exprs": raw["typed_exprs"],
        "constraints_total": sum(counts.values()),
        "constraint_breakdown": dict(sorted(counts.items())),
        **{name: raw[name] for name in _COUNTS},
    }
    document["graph"] = {"nodes": nodes, "edges": edges, **dot, "node_count": len(nodes), "edge_count": len(edges)}
    document["resolutions"] = [{**entry, "graph": {"export_dot": export_dot}} for entry in raw["resolutions"]]
    return document


def document_text(document: Mapping[str, Json]) -> str:
    """The document as it stands in a file: indented by two, LF at the end."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def default_path(source: Path) -> Path:
    """Where the document of a source goes when nobody says: below the working directory."""
    return Path("tmp") / "telemetry" / f"{source.stem}-constraint_graph.json"


# --- reading a graph --------------------------------------------------------------------------------------------------


def _member(item: Any, key: str, path: str) -> str:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TelemetryError(
            f"expected a text, got {type(value).__name__}" if key in item else f"`{key}` is missing",
            key_path=f"{path}.{key}",
        )
    return str(value)


def _items(graph: Mapping[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    items = graph.get(key, [])
    if not isinstance(items, list):
        raise TelemetryError(f"expected a list, got {type(items).__name__}", key_path=f"{path}.{key}")
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise TelemetryError(f"expected an object, got {type(item).__name__}", key_path=f"{path}.{key}[{number}]")
    return items


def read_graph(document: Any) -> Graph:
    """
    The graph of a document; one whose root has no ``graph`` is taken as the graph itself. Members that are not known are passed over.

    Raises:
        EmptyGraphError: it has no nodes.
        TelemetryError: it is no graph; ``error.key_path`` says where.
    """
    if not isinstance(document, dict):
        raise TelemetryError(f"expected an object, got {type(document).__name__}")
    graph, path = (document["graph"], "$.graph") if "graph" in document else (document, "$")
    if not isinstance(graph, dict):
        raise TelemetryError(f"expected an object, got {type(graph).__name__}", key_path=path)
    nodes: dict[str, Node] = {}
    for number, item in enumerate(_items(graph, "nodes", path)):
        place = f"{path}.nodes[{number}]"
        name = _member(item, "id", place)
        if name in nodes:
            raise TelemetryError(f"the id `{name}` appears twice", key_path=f"{place}.id")
        label = _member(item, "label", place) if "label" in item else name
        nodes[name] = Node(name, label, _member(item, "kind", place) if "kind" in item else "type")
    if not nodes:
        raise EmptyGraphError(path)
    edges = []
    for number, item in enumerate(_items(graph, "edges", path)):
        place = f"{path}.edges[{number}]"
        ends = [_member(item, key, place) for key in ("from", "to")]
        for key, end in zip(("from", "to"), ends, strict=True):
            if end not in nodes:
                raise TelemetryError(f"there is no node `{end}`", key_path=f"{place}.{key}")
        edges.append(Edge(ends[0], ends[1], _member(item, "kind", place) if "kind" in item else "equal"))
    return Graph(tuple(nodes.values()), tuple(edges))


# --- DOT and SVG ------------------------------------------------------------------------------------------------------


def sanitise_name(name: str) -> str:
    """A name that DOT takes: what is not a letter of A–Z, a digit or ``_`` becomes ``_``; an empty one is the default."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name) or DEFAULT_GRAPH_NAME
    return f"_{name}" if name[0].isdigit() else name


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + text.replace("\r\n", "\\n")
        .replace("\n", "\\n")
        .replace("\r", "\\n")
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        + '"'
    )


def to_dot(graph: Graph, name: str = DEFAULT_GRAPH_NAME) -> str:
    """The graph as DOT, always the same bytes for the same graph: nodes and edges in their order, one a line."""
    lines = [f"digraph {sanitise_name(name)} {{", "  rankdir=LR;"]
    lines += [
        f"  {_quoted(node.id)} [label={_quoted(node.label)}, shape={SHAPES.get(node.kind, 'ellipse')}];"
        for node in graph.nodes
    ]
    for edge in graph.edges:
        label = "" if edge.kind == "equal" else f" [label={_quoted(edge.kind)}]"
        lines.append(f"  {_quoted(edge.from_id)} -> {_quoted(edge.to_id)}{label};")
    return "\n".join([*lines, "}", ""])


def has_dot() -> bool:
    """Is Graphviz on this machine?"""
    return shutil.which("dot") is not None


def _graphviz(dot: str, timeout_s: float) -> str:
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError("dot is not on this machine")
    try:
        done = subprocess.run(
            [program, "-Tsvg"],
            input=dot.encode("utf-8", "replace"),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"dot took more than {timeout_s} s") from None
    if done.returncode or b"</svg>" not in done.stdout:
        raise OSError(f"dot ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    return done.stdout.decode("utf-8")


def to_svg(graph: Graph, name: str = DEFAULT_GRAPH_NAME, *, use_dot: bool | None = None, timeout_s: float = 60) -> str:
    """
    The graph as SVG, from left to right.

    Args:
        graph: to draw.
        name: of the graph; see `sanitise_name`.
        use_dot: draw with Graphviz; False: with the layout of this package; None: with Graphviz when it is there and well.
        timeout_s: how long Graphviz may take, in seconds.

    Raises:
        OSError: *use_dot* is True and Graphviz is not there or fails.
    """
    if use_dot is not False:
        try:
            return _graphviz(to_dot(graph, name), timeout_s)
        except OSError:
            if use_dot:
                raise
    return draw(
        sanitise_name(name),
        [(node.id, node.label, SHAPES.get(node.kind, "ellipse"), node.kind) for node in graph.nodes],
        [(edge.from_id, edge.to_id, "" if edge.kind == "equal" else edge.kind) for edge in graph.edges],
    )


# --- diagnostics ------------------------------------------------------------------------------------------------------


def typeclass_extension(resolution: Mapping[str, Any]) -> dict[str, Json]:
    """``extensions.typeclass`` of a resolution; records repeat it under ``typeclass.*`` (CONTRACTS 3.7)."""
    names = (
        "trait_name", "type_args", "constraint", "resolution_state", "dictionary", "candidates", "pending", "generalized_typevars", "span",
    )  # fmt: skip
    extension: dict[str, Json] = {name: resolution[name] for name in names}
    extension["graph"] = dict(resolution.get("graph") or {"export_dot": None})
    return extension


def explain_failures(
    diagnostics: Iterable[Mapping[str, Any]], resolutions: Sequence[Mapping[str, Any]]
) -> list[dict[str, Json]]:
    """
    The diagnostics as JSON objects; those that a failed resolution made gain ``extensions.typeclass``. The others are unchanged.

    Args:
        diagnostics: in the shape of LANGUAGE 9.1.
        resolutions: of the same source; which one belongs to a diagnostic is told by the place.
    """
    failed = [entry for entry in resolutions if entry["resolution_state"] not in SETTLED]
    explained: list[dict[str, Json]] = []
    for diagnostic in diagnostics:
        made: dict[str, Any] = dict(diagnostic)
        primary = made.get("primary") or {}
        place = (primary.get("byte_start"), primary.get("byte_end"))
        for entry in failed:
            if (entry["span"]["start"], entry["span"]["end"]) != place:
                continue
            made["extensions"] = {**made.get("extensions", {}), "typeclass": typeclass_extension(entry)}
            break
        explained.append(made)
    return explained
