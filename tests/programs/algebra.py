"""Prints what algebra.reml must print."""

from fractions import Fraction


class Mod7:
    def __init__(self, n):
        self.n = n % 7

    def __add__(self, b):
        return Mod7(self.n + b.n)

    def __mul__(self, b):
        return Mod7(self.n * b.n)

    def __neg__(self):
        return Mod7(-self.n)

    def __sub__(self, b):
        return Mod7(self.n - b.n)

    def __truediv__(self, b):
        return self * Mod7(pow(b.n, 5, 7))

    def __eq__(self, b):
        return self.n == b.n

    def __hash__(self):
        return self.n

    def __str__(self):
        return f"{self.n}m"


class Complex:
    def __init__(self, re, im):
        self.re, self.im = re, im

    def __add__(self, b):
        return Complex(self.re + b.re, self.im + b.im)

    def __sub__(self, b):
        return Complex(self.re - b.re, self.im - b.im)

    def __neg__(self):
        return Complex(-self.re, -self.im)

    def __mul__(self, b):
        return Complex(self.re * b.re - self.im * b.im, self.re * b.im + self.im * b.re)

    def inverse(self):
        norm = self.re * self.re + self.im * self.im
        return Complex(self.re / norm, -self.im / norm)

    def __str__(self):
        return f"<{self.re} {self.im}>"


def power(x, n):
    result = x
    for _ in range(n - 1):
        result = result * x
    return result


def total(xs):
    xs = list(xs)
    result = xs[0]
    for x in xs[1:]:
        result = result + x
    return result


def product(a, b):
    return [[total(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]


def matrix_power(m, n):
    result = m
    for _ in range(n - 1):
        result = product(result, m)
    return result


def show(m):
    return "; ".join(" ".join(str(x) for x in row) for row in m)


def determinant(m):
    if len(m) == 1:
        return m[0][0]
    terms = [m[0][j] * determinant([r[:j] + r[j + 1 :] for r in m[1:]]) for j in range(len(m))]
    return total(-t if j % 2 else t for j, t in enumerate(terms))


def solve(m, v):
    d = determinant(m)
    if d == type(d)(0):
        return None
    return [determinant([r[:j] + [x] + r[j + 1 :] for r, x in zip(m, v)]) / d for j in range(len(v))]


def some(xs):
    return "None" if xs is None else "Some([" + ", ".join(str(x) for x in xs) + "])"


def poly_product(a, b):
    out = [a[0] * b[0] - a[0] * b[0]] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] = out[i + j] + x * y
    return out


def at(p, x):
    result = p[-1]
    for c in reversed(p[:-1]):
        result = result * x + c
    return result


F = Fraction
fib = [[1, 1], [1, 0]]
print(show(matrix_power(fib, 10)))
print([row[0] for row in matrix_power(fib, 50)])
print(show([[x + y for x, y in zip(a, b)] for a, b in zip(fib, product(fib, fib))]))
print(determinant([[2, 0, 1], [1, 3, 2], [1, 1, 4]]))
halves = [[F(1, 2), F(1, 3)], [F(-1, 4), F(5, 6)]]
print(show(product(halves, halves)))
print(determinant(halves))
print(some(solve(halves, [F(1), F(2)])))
print(some(solve([[F(1, 2), F(1)], [F(1), F(2)]], [F(1), F(2)])))
sevens = [[Mod7(3), Mod7(5)], [Mod7(6), Mod7(2)]]
print(show(matrix_power(sevens, 6)))
print(f"({determinant(sevens)}, {some(solve(sevens, [Mod7(1), Mod7(4)]))})")
i = Complex(0, 1)
print(f"({power(i, 3)}, {power(Complex(2, 1), 5)})")
z = Complex(F(1, 2), F(-3))
print(f"(Some({z.inverse()}), Some({z * z.inverse()}), None)")
print(show(matrix_power([[i, -i], [i * i, i]], 4)))
p = [1, -3, 2]
print(f"(Poly({poly_product(p, p)}), {at(p, 5)}, {at(poly_product(p, p), 5)})")
print(at(poly_product([Mod7(1), Mod7(4)], [Mod7(3), Mod7(2)]), Mod7(6)))
print(3**20 + 2 - 5)
