"""
A layered drawing of a directed graph from left to right, as SVG: what `reml_embed.telemetry` draws where Graphviz is not installed.

Layers by longest path once edges against the direction are turned; long edges bend around what stands between; the order within a layer
follows the neighbours. Everything is iterative and takes time linear in nodes, edges and bends. The elements carry the same classes and
titles as those of ``dot -Tsvg``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from itertools import pairwise

_FONT_PX = 14
_ROW_GAP, _LAYER_GAP, _MARGIN = 18.0, 64.0, 12.0
_BENDS_MOST = 20_000  # beyond it long edges go straight
_SWEEPS = 8
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 10 8" refX="10" refY="4" markerWidth="9" markerHeight="7" orient="auto">'
    '<path d="M0,0 L10,4 L0,8 z"/></marker></defs>'
)
_COLOURS = {"type": "#f4f6fb", "capability": "#fdf3d8", "implementation": "#e3f4e6"}


def _text_width(text: str) -> float:
    """In pixels: wide characters take two columns, combining ones none."""
    columns = sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
    return columns * _FONT_PX * 0.56


def _lines(label: str) -> list[str]:
    clean = "".join(
        char if char >= " " or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in label.replace("\r\n", "\n")
    )
    return clean.split("\n")


def _box(label: str, shape: str) -> tuple[float, float]:
    lines = _lines(label)
    width, height = max(map(_text_width, lines)), len(lines) * (_FONT_PX + 4)
    if shape == "diamond":
        return width * 1.5 + 30, height * 1.6 + 16
    return (width * 1.15 + 26 if shape == "ellipse" else width + 22), height + 16


def _forward(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges without those to oneself, turned where they close a circle."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for start, end in edges:
        leaving[start].append(end)
    state, turned = [0] * count, set()
    for root in range(count):
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(leaving[root]))]
        while stack:
            node, rest = stack[-1]
            for end in rest:
                if state[end] == 1:
                    turned.add((node, end))
                elif state[end] == 0:
                    state[end] = 1
                    stack.append((end, iter(leaving[end])))
                    break
            else:
                state[node] = 2
                stack.pop()
    return [(end, start) if (start, end) in turned else (start, end) for start, end in edges if start != end]


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest path from the left; sources then move right, next to what they lead to."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    entered = [0] * count
    for start, end in edges:
        leaving[start].append(end)
        waiting[end] += 1
        entered[end] += 1
    layer = [0] * count
    ready = [node for node in range(count) if waiting[node] == 0]
    for node in ready:  # grows while we walk
        for end in leaving[node]:
            layer[end] = max(layer[end], layer[node] + 1)
            waiting[end] -= 1
            if waiting[end] == 0:
                ready.append(end)
    for node in reversed(ready):
        if not entered[node] and leaving[node]:
            layer[node] = min(layer[end] for end in leaving[node]) - 1
    return layer


class _Drawing:
    """A graph on its way to coordinates. Places are the nodes, then the bends of long edges."""

    def __init__(self, nodes: Sequence[tuple[str, str, str, str]], edges: Sequence[tuple[str, str, str]]) -> None:
        number = {node[0]: at for at, node in enumerate(nodes)}
        self.labels = [label for _, _, label in edges]
        self.pairs = [(number[start], number[end]) for start, end, _ in edges]
        self.layer = _layers(len(nodes), _forward(len(nodes), self.pairs))
        self.size = [_box(label, shape) for _, label, shape, _ in nodes]
        self.links: list[list[int]] = [[] for _ in nodes]
        bends = sum(max(abs(self.layer[start] - self.layer[end]) - 1, 0) for start, end in self.pairs)
        self.chains = [self._chain(start, end, bend=bends <= _BENDS_MOST) for start, end in self.pairs]
        self.columns: list[list[int]] = [[] for _ in range(max(self.layer, default=0) + 1)]
        for place, at in enumerate(self.layer):
            self.columns[at].append(place)
        self._order()
        self.x, self.y = [0.0] * len(self.layer), [0.0] * len(self.layer)
        self.width, self.height = self._spread()

    def _chain(self, start: int, end: int, *, bend: bool) -> list[int]:
        """The places of an edge from its start to its end."""
        left, right = (start, end) if self.layer[start] <= self.layer[end] else (end, start)
        chain = [left]
        for at in range(self.layer[left] + 1, self.layer[right]) if bend else ():
            self.layer.append(at)
            self.size.append((0.0, 6.0))
            self.links.append([])
            chain.append(len(self.layer) - 1)
        chain.append(right)
        for one, other in pairwise(chain):
            self.links[one].append(other)
            self.links[other].append(one)
        return chain if left == start else chain[::-1]

    def _order(self) -> None:
        """Within columns by the mean of the neighbours to one side, in turn."""
        position = [0.0] * len(self.layer)
        for column in self.columns:
            for at, place in enumerate(column):
                position[place] = float(at)
        for sweep in range(_SWEEPS):
            step = 1 if sweep % 2 == 0 else -1
            for column in self.columns[::step]:
                wish = {}
                for place in column:
                    near = [
                        position[other]
                        for other in self.links[place]
                        if (self.layer[other] - self.layer[place]) * step < 0
                    ]
                    wish[place] = sum(near) / len(near) if near else position[place]
                column.sort(key=wish.__getitem__)
                for at, place in enumerate(column):
                    position[place] = float(at)

    def _spread(self) -> tuple[float, float]:
        """Columns side by side, each centred; width and height of the whole."""
        gaps = [_LAYER_GAP] * len(self.columns)  # behind each column: room for the labels that stand there
        for (start, end), label in zip(self.pairs, self.labels, strict=True):
            if label:
                left = min(self.layer[start], self.layer[end])
                gaps[left] = max(gaps[left], _LAYER_GAP / 2 + _text_width(label))
        heights = [sum(self.size[place][1] + _ROW_GAP for place in column) - _ROW_GAP for column in self.columns]
        tallest, edge = max(heights, default=0.0), _MARGIN
        for column, height, gap in zip(self.columns, heights, gaps, strict=True):
            width = max((self.size[place][0] for place in column), default=0.0)
            top = _MARGIN + (tallest - height) / 2
            for place in column:
                self.x[place], self.y[place] = edge + width / 2, top + self.size[place][1] / 2
                top += self.size[place][1] + _ROW_GAP
            edge += width + gap
        loops = 26.0 if any(self.layer[start] == self.layer[end] for start, end in self.pairs) else 0.0
        return edge - gaps[-1] + _MARGIN + loops, tallest + 2 * _MARGIN

    def path(self, points: Sequence[int], beside: float) -> tuple[str, float, float]:
        """A curve through the places, from border to border, and where its label stands."""
        start, end = points[0], points[-1]
        x, y, size = self.x, self.y, self.size
        if self.layer[start] == self.layer[end]:  # to oneself, or within the column: around the right side
            from_x, to_x = x[start] + size[start][0] / 2, x[end] + size[end][0] / 2
            from_y, to_y = (y[start], y[end]) if start != end else (y[start] - 5, y[start] + 5)
            far = max(from_x, to_x) + 24
            curve = f"M{from_x:.1f},{from_y:.1f} C{far:.1f},{from_y:.1f} {far:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
            return curve, far, (from_y + to_y) / 2
        way = 1 if self.layer[start] < self.layer[end] else -1
        beside *= way
        stops = [(x[start] + way * size[start][0] / 2, y[start] + beside)]
        stops += [(x[place], y[place] + beside) for place in points[1:-1]]
        stops.append((x[end] - way * size[end][0] / 2, y[end] + beside))
        parts = [f"M{stops[0][0]:.1f},{stops[0][1]:.1f}"]
        for (ax, ay), (bx, by) in pairwise(stops):
            half = (ax + bx) / 2
            parts.append(f"C{half:.1f},{ay:.1f} {half:.1f},{by:.1f} {bx:.1f},{by:.1f}")
        (ax, ay), (bx, by) = stops[len(stops) // 2 - 1], stops[len(stops) // 2]
        return " ".join(parts), (ax + bx) / 2, (ay + by) / 2


def draw(name: str, nodes: Sequence[tuple[str, str, str, str]], edges: Sequence[tuple[str, str, str]]) -> str:
    """
    The SVG of a graph.

    Args:
        name: of the graph; its title.
        nodes: id, label, shape (``ellipse``, ``box``, ``diamond``), kind.
        edges: id of the start, id of the end, label or an empty text; both are among the nodes.
    """
    drawing = _Drawing(nodes, edges)
    width, height = drawing.width, drawing.height
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" font-family="Times,serif" font-size="{_FONT_PX}">'
    )
    out = ['<?xml version="1.0" encoding="UTF-8" standalone="no"?>', head, _ARROW]
    out.append(f'<g id="graph0" class="graph"><title>{escape(name)}</title>')
    out.append(f'<rect width="{width:.1f}" height="{height:.1f}" fill="white"/>')
    there = set(drawing.pairs)
    for at, (start_id, end_id, label) in enumerate(edges):
        start, end = drawing.pairs[at]
        path, x, y = drawing.path(drawing.chains[at], 5.0 if (end, start) in there else 0.0)  # both ways: side by side
        out.append(f'<g id="edge{at + 1}" class="edge"><title>{escape(start_id)}-&gt;{escape(end_id)}</title>')
        out.append(f'<path d="{path}" fill="none" stroke="#444" marker-end="url(#arrow)"/>')
        if label:
            style = 'text-anchor="middle" fill="#444" stroke="white" stroke-width="3" paint-order="stroke"'
            out.append(f'<text x="{x:.1f}" y="{y - 4:.1f}" {style}>{escape(label)}</text>')
        out.append("</g>")
    for at, (node_id, label, shape, kind) in enumerate(nodes):
        x, y = drawing.x[at], drawing.y[at]
        out.append(f'<g id="node{at + 1}" class="node"><title>{escape(node_id)}</title>')
        out.append(_outline(shape, _COLOURS.get(kind, "white"), x, y, *drawing.size[at]))
        lines = _lines(label)
        for row, line in enumerate(lines):
            base = y + (row - (len(lines) - 1) / 2) * (_FONT_PX + 4) + _FONT_PX * 0.34
            out.append(f'<text x="{x:.1f}" y="{base:.1f}" text-anchor="middle">{escape(line)}</text>')
        out.append("</g>")
    return "\n".join([*out, "</g>", "</svg>", ""])


def _outline(shape: str, fill: str, x: float, y: float, width: float, height: float) -> str:
    paint = f'fill="{fill}" stroke="black"'
    if shape == "box":
        return f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" {paint}/>'
    if shape == "diamond":
        corners = [(x - width / 2, y), (x, y - height / 2), (x + width / 2, y), (x, y + height / 2)]
        return f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}" {paint}/>'
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}" {paint}/>'
