"""Prints what life.reml must print."""

from collections import Counter


def parse(rows):
    return {(x, y) for y, row in enumerate(rows) for x, c in enumerate(row) if c == "#"}


def step(cells, w=None, h=None):
    near = Counter()
    for x, y in cells:
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx or dy:
                    n = (x + dx, y + dy)
                    near[(n[0] % w, n[1] % h) if w else n] += 1
    return {c for c, k in near.items() if k == 3 or (k == 2 and c in cells)}


def times(cells, n, w=None, h=None):
    for _ in range(n):
        cells = step(cells, w, h)
    return cells


def draw(cells):
    if not cells:
        print("(nothing)")
        return
    xs, ys = [x for x, _ in cells], [y for _, y in cells]
    for y in range(min(ys), max(ys) + 1):
        print("".join("#" if (x, y) in cells else "." for x in range(min(xs), max(xs) + 1)))


glider = parse([".#.", "..#", "###"])
for n in range(4):
    print(f"generation {n}")
    draw(times(glider, n))
print("[" + ", ".join(f"Cell2 {{ x: {x}, y: {y} }}" for x, y in sorted(times(glider, 40))) + "]")
print([len(times(parse([".##", "##.", ".#."]), n)) for n in (1, 5, 20, 50)])
draw(times(parse(["###"]), 1))
draw(times(parse(["#"]), 1))
t = times({(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}, 50, 8, 6)
print(f"({len(t)}, Some({min(y * 8 + x for x, y in t)}))")
