"""Prints what matrix.reml must print."""

from fractions import Fraction
from itertools import permutations


def mul(a, b):
    return [[sum((x * y for x, y in zip(r, c)), Fraction(0)) for c in zip(*b)] for r in a]


def show(m):
    return "; ".join(" ".join(str(Fraction(x)) for x in r) for r in m)


def det(m):
    n, total = len(m), Fraction(0)
    for p in permutations(range(n)):
        sign, prod = 1, Fraction(1)
        for i in range(n):
            prod *= m[i][p[i]]
            sign *= (-1) ** sum(p[j] > p[i] for j in range(i))
        total += sign * prod
    return total


def minor(m, i, j):
    return [r[:j] + r[j + 1 :] for k, r in enumerate(m) if k != i]


def inverse(m):
    d = det(m)
    return [[(-1) ** (i + j) * det(minor(m, j, i)) / d for j in range(len(m))] for i in range(len(m))]


a = [[2, 1, 0], [1, 3, 1], [0, 1, 4]]
print(show(a))
print(show(mul(a, a)))
print(show(zip(*[[1, 2, 3], [4, 5, 6]])))
print(det(a))
print(show(inverse(a)))
assert mul(inverse(a), a) == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
print("true")
print('("0", true)')
f = [[1, 0], [0, 1]]
for _ in range(50):
    f = mul(f, [[1, 1], [1, 0]])
print(show(f))
print(-1)
print(show(zip(*mul(inverse(a), [[3], [5], [5]]))))
