"""Prints what queens.reml must print."""

from itertools import permutations


def solutions(n):
    return [
        p
        for p in permutations(range(n))
        if len({c + i for i, c in enumerate(p)}) == n == len({c - i for i, c in enumerate(p)})
    ]


for n in range(1, 10):
    print(f"{n}: {len(solutions(n))}")
six = sorted(solutions(6), key=lambda p: p)
for p in six:  # the program grows boards from row 0 on and puts each row in front
    print(list(reversed(p)))
for c in solutions(8)[0]:
    print(" ".join("Q" if i == c else "." for i in range(8)))


def turn(p):
    return tuple(len(p) - 1 - p.index(i) for i in range(len(p)))


def least(p):
    out = []
    for _ in range(4):
        out += [p, p[::-1]]
        p = turn(p)
    return min(out)


print(len({least(p) for p in solutions(8)}))
