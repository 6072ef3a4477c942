"""The same maze: same generator, same shuffle, any correct union-find and any shortest path (a maze has one)."""


def carve(width, height, seed):
    state = seed
    walls = []
    for y in range(height):
        for x in range(width):
            at = y * width + x
            if x + 1 < width:
                walls.append((at, at + 1))
            if y + 1 < height:
                walls.append((at, at + width))
    for i in range(len(walls) - 1, 0, -1):
        state = (state * 1103515245 + 12345) % 2147483648
        j = state // 65536 % (i + 1)
        walls[i], walls[j] = walls[j], walls[i]
    group = list(range(width * height))
    members = {i: [i] for i in group}
    open_ = set()
    for a, b in walls:
        x, y = group[a], group[b]
        if x != y:
            for m in members[y]:
                group[m] = x
            members[x] += members.pop(y)
            open_.add((a, b))
    return open_


def path(open_, start, end):
    links = {}
    for a, b in open_:
        links.setdefault(a, []).append(b)
        links.setdefault(b, []).append(a)
    work, before = [start], {start: start}
    while work:
        at = work.pop()
        for to in links[at]:
            if to not in before:
                before[to] = at
                work.append(to)
    way = [end]
    while way[-1] != start:
        way.append(before[way[-1]])
    return way


width, height = 12, 7
open_ = carve(width, height, 2026)
way = path(open_, 0, 83)
print("+" + "--+" * width)
for y in range(height):
    line, floor = "|", "+"
    for x in range(width):
        at = y * width + x
        line += ("* " if at in way else "  ") + (" " if (at, at + 1) in open_ else "|")
        floor += ("  " if (at, at + width) in open_ else "--") + "+"
    print(line)
    print(floor)
print(f"{len(open_)} walls gone, way of {len(way)}")
large = carve(40, 40, 7)
print(f"{len(large)} walls gone, way of {len(path(large, 0, 1599))}")
