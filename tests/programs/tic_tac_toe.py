"""The same game on strings."""

from functools import cache

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def winner(b):
    return next((b[i] for i, j, k in LINES if b[i] != "." and b[i] == b[j] == b[k]), None)


def put(b, at, m):
    return b[:at] + m + b[at + 1 :]


def other(m):
    return "o" if m == "x" else "x"


def free(b):
    return [i for i in range(9) if b[i] == "."]


@cache
def value(b, m):
    if winner(b):
        return -1
    return max((-value(put(b, at, m), other(m)) for at in free(b)), default=0)


def play(b, m):
    seen = [b]
    while not winner(b) and free(b):
        b = put(b, max(free(b), key=lambda at: (-value(put(b, at, m), other(m)), -at)), m)
        m = other(m)
        seen.append(b)
    return seen


def games(b, m):
    w = winner(b)
    if w or not free(b):
        return (w == "x", w == "o", w is None)
    return tuple(map(sum, zip(*(games(put(b, at, m), other(m)) for at in free(b)), strict=True)))


empty = "." * 9
first = value(empty, "x")
print(f"{first}, {value.cache_info().currsize} positions")
print(" ".join(play(empty, "x")))
print(f"{value('xo.......', 'x')} Some({play('xo.......', 'x')[-1]})".replace("Some(", 'Some("').replace(")", '")'))
print(tuple(int(n) for n in games("o...x...x", "o")))
print("Some(Cross)")
