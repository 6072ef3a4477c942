"""Prints what simplifier.reml must print."""

ENV = {"x": 4, "y": -2}


class Failed(Exception):
    pass


class Evaluate:
    def __init__(self, env):
        self.env = env

    def lit(self, n):
        return n

    def name(self, x):
        if x not in self.env:
            raise Failed(f"unbound {x}")
        return self.env[x]

    def add(self, a, b):
        return a + b

    def mul(self, a, b):
        return a * b

    def neg(self, a):
        return -a

    def square(self, a):
        return a * a


class Print:
    def lit(self, n):
        return f"({n})" if n < 0 else str(n)

    def name(self, x):
        return x

    def add(self, a, b):
        return f"({a} + {b})"

    def mul(self, a, b):
        return f"{a}*{b}"

    def neg(self, a):
        return self.mul(self.lit(-1), a)

    def square(self, a):
        return a + "²"


class Build:
    def lit(self, n):
        return ("lit", n)

    def name(self, x):
        return ("name", x)

    def add(self, a, b):
        return ("sum", a, b)

    def mul(self, a, b):
        return ("prod", a, b)

    def neg(self, a):
        return ("prod", ("lit", -1), a)

    def square(self, a):
        return ("prod", a, a)


class Cost:
    def lit(self, n):
        return 0

    name = lit

    def add(self, a, b):
        return 1 + a + b

    def mul(self, a, b):
        return 3 + a + b

    def neg(self, a):
        return 3 + a

    def square(self, a):
        return 3 + 2 * a


def polynomial(i):
    x = i.name("x")
    return i.add(i.mul(i.lit(3), i.square(x)), i.add(i.neg(x), i.lit(7)))


def walk(e, i):
    kind = e[0]
    if kind == "lit":
        return i.lit(e[1])
    if kind == "name":
        return i.name(e[1])
    if kind == "sum":
        return i.add(walk(e[1], i), walk(e[2], i))
    if kind == "prod":
        return i.mul(walk(e[1], i), walk(e[2], i))
    if e[2] == 2:
        return i.square(walk(e[1], i))
    return i.lit(1) if e[2] <= 0 else i.mul(walk(e[1], i), walk(("power", e[1], e[2] - 1), i))


def show(e):
    if e[0] in ("lit", "name"):
        return str(e[1])
    if e[0] == "sum":
        return f"({show(e[1])} + {show(e[2])})"
    return f"{show(e[1])}*{show(e[2])}" if e[0] == "prod" else f"{show(e[1])}^{e[2]}"


def lit(e):
    return e[1] if e[0] == "lit" else None


def fold(e):
    kind, a = e[0], e[1]
    b = e[2] if len(e) > 2 else None
    if kind in ("sum", "prod") and lit(a) is not None and lit(b) is not None:
        return ("lit", a[1] + b[1] if kind == "sum" else a[1] * b[1])
    if kind == "power" and lit(a) is not None:
        return ("lit", a[1] ** b)
    if kind == "prod" and lit(b) is not None:
        return ("prod", b, a)
    if kind == "prod" and lit(a) is not None and b[0] == "prod" and lit(b[1]) is not None:
        return ("prod", ("lit", a[1] * b[1][1]), b[2])
    return None


def units(e):
    kind, a = e[0], e[1]
    b = e[2] if len(e) > 2 else None
    if kind == "sum" and lit(a) == 0:
        return b
    if (kind == "sum" and lit(b) == 0) or (kind == "power" and b == 1):
        return a
    if kind == "prod" and lit(a) == 1:
        return b
    if kind == "prod" and lit(a) == 0:
        return ("lit", 0)
    return ("lit", 1) if kind == "power" and b == 0 else None


def scaled(e):
    return e[0] == "prod" and lit(e[1]) is not None


def collect(e):
    kind, a = e[0], e[1]
    b = e[2] if len(e) > 2 else None
    if kind == "prod" and a[0] == b[0] == "power" and a[1] == b[1]:
        return ("power", a[1], a[2] + b[2])
    if kind == "prod" and a == b:
        return ("power", a, 2)
    if kind == "sum" and a == b:
        return ("prod", ("lit", 2), a)
    if kind == "sum" and scaled(a) and scaled(b) and a[2] == b[2]:
        return ("prod", ("lit", a[1][1] + b[1][1]), a[2])
    if kind == "sum" and scaled(a) and a[2] == b:
        return ("prod", ("lit", a[1][1] + 1), b)
    return None


def then(first, second):
    def apply(e):
        once = first(e)
        if once is None:
            return second(e)
        again = second(once)
        return once if again is None else again

    return apply


def bottom_up(rule, e):
    if e[0] in ("sum", "prod"):
        e = (e[0], bottom_up(rule, e[1]), bottom_up(rule, e[2]))
    elif e[0] == "power":
        e = ("power", bottom_up(rule, e[1]), e[2])
    better = rule(e)
    return e if better is None else bottom_up(rule, better)


def plus(a, b):
    return ("sum", a, b)


def times(a, b):
    return ("prod", a, b)


def number(n):
    return ("lit", n)


x, y = ("name", "x"), ("name", "y")
rules = then(then(fold, units), collect)
print(f"Ok({polynomial(Evaluate(ENV))})")
try:
    polynomial(Evaluate({}))
except Failed as why:
    print(f'Err("{why}")')
print(polynomial(Print()))
tree = polynomial(Build())
print(show(tree))
print(polynomial(Cost()))
print("fold,units,collect")
minus_one = number(-1)
samples = [
    plus(times(number(2), x), times(number(3), x)),
    times(plus(number(2), number(3)), ("power", number(4), 2)),
    plus(times(times(x, x), ("power", y, 1)), number(0)),
    plus(times(plus(x, y), plus(x, y)), times(minus_one, times(number(1), number(0)))),
    plus(times(minus_one, times(minus_one, x)), x),
    plus(times(("power", x, 2), ("power", x, 3)), times(number(0), x)),
    tree,
]
for e in samples:
    simple = bottom_up(rules, e)
    before, after = walk(e, Evaluate(ENV)), walk(simple, Evaluate(ENV))
    print(
        f"{show(e)} => {show(simple)}  [Ok({before}) {str(before == after).lower()}]"
        f" {walk(e, Cost())}>{walk(simple, Cost())}"
    )
print(str(bottom_up(collect, plus(x, x)) == bottom_up(rules, plus(x, x))).lower())
print(walk(plus(("power", x, 3), y), Print()))
