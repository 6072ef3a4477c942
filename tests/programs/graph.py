"""Prints what graph.reml must print."""

import heapq

LIST = [
    ("a", "b", 7),
    ("a", "c", 3),
    ("c", "b", 1),
    ("b", "d", 2),
    ("c", "d", 8),
    ("d", "e", 2),
    ("x", "y", 1),
    ("c", "e", 9),
]


def text(v):
    if isinstance(v, str):
        return f'"{v}"'
    if isinstance(v, list):
        return "[" + ", ".join(map(text, v)) + "]"
    if isinstance(v, tuple):
        return "(" + ", ".join(map(text, v)) + ")"
    return str(v)


def graph(edges):
    g = {}
    for a, b, c in edges:
        g.setdefault(a, []).append((b, c))
        g.setdefault(b, [])
    return g


g = graph(LIST)
seen, queue = {"a": 0}, ["a"]
for node in queue:
    for to, _ in g[node]:
        if to not in seen:
            seen[to] = seen[node] + 1
            queue.append(to)
print(text(list(seen.items())))


def dfs(g, start):
    stack, out = [start], []
    while stack:
        node = stack.pop()
        if node in out:
            continue
        out.append(node)
        stack.extend(reversed([to for to, _ in g[node]]))
    return out


print(text(dfs(g, "a")))
best, heap = {"a": (0, "a")}, [(0, "a")]
while heap:
    cost, node = heapq.heappop(heap)
    if best[node][0] < cost:
        continue
    for to, c in g[node]:
        if to not in best or cost + c < best[to][0]:
            best[to] = (cost + c, node)
            heapq.heappush(heap, (cost + c, to))


def path(to):
    return [to] if best[to][0] == 0 else path(best[to][1]) + [to]


for node in sorted(best):
    print(f"{node} {best[node][0]} from {best[node][1]}: {' > '.join(path(node))}")
print("[]")


def topological(g):
    marks, order = {}, []

    def visit(node, trail):
        if marks.get(node) == 2:
            return None
        if marks.get(node) == 1:
            return trail[trail.index(node) :] + [node]
        marks[node] = 1
        for to, _ in g[node]:
            cycle = visit(to, trail + [node])
            if cycle:
                return cycle
        marks[node] = 2
        order.insert(0, node)
        return None

    for node in sorted(g):
        cycle = visit(node, [])
        if cycle:
            return "Err(" + text(cycle) + ")"
    return "Ok(" + text(order) + ")"


print(topological(g))
print(topological(graph([("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("d", "b", 1)])))
both = graph(LIST + [(b, a, c) for a, b, c in LIST])
parts = []
for node in sorted(g):
    if not any(node in p for p in parts):
        parts.append(sorted(dfs(both, node)))
print(text(parts))
