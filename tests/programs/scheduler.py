"""The same scheduler with generators: a task yields None to let others run, or ("fork", name, generator)."""

from collections import deque

lines = []


def say(line):
    lines.append(f"{len(lines) + 1:02d} {line}")


def counter(name, start, stop):
    for i in range(start, stop):
        say(f"{name} {i}")
        yield None
    say(f"{name} ends")


def tree(name, depth):
    say(f"at {name}")
    if depth > 0:
        for side in "lr":
            yield ("fork", name + side, tree(name + side, depth - 1))
            yield None


def run(task):
    switches, ready = 0, deque([task])
    while ready:
        current = ready.popleft()
        for event in current:
            if event is None:
                switches += 1
                ready.append(current)
                break
            say(f"fork {event[1]}")
            ready.append(event[2])
    return switches


def first():
    yield ("fork", "a", counter("a", 0, 3))
    yield ("fork", "b", counter("b", 10, 12))
    yield from counter("main", 100, 102)


total = run(first())
print("\n".join(lines))
print(f"{total} switches")
lines.clear()
total += run(tree("t", 2))
print("; ".join(lines))
print(f"{total} switches")
