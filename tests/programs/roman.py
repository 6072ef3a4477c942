"""Prints what roman.reml must print."""

TABLE = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
]


def roman(n):
    out = ""
    for v, s in TABLE:
        while n >= v:
            out, n = out + s, n - v
    return out


CANON = {roman(n): n for n in range(1, 4000)}
VALUE = dict(zip("IVXLCDM", [1, 5, 10, 50, 100, 500, 1000]))


def show(n):
    return roman(n) if 1 <= n <= 3999 else f"OutOfRange({n})"


def parse(t):
    if t in CANON:
        return CANON[t], None
    if not t:
        return None, "Empty"
    bad = [c for c in t if c not in VALUE]
    if bad:
        return None, f"Letter('{bad[0]}')"
    v = [VALUE[c] for c in t]
    n = sum(-x if x < y else x for x, y in zip(v, v[1:] + [0]))
    if not 1 <= n <= 3999:
        return None, f"OutOfRange({n})"
    return None, f'NotCanonical {{ should_be: "{roman(n)}", text: "{t}" }}'


for n in [1, 4, 9, 14, 40, 90, 400, 1994, 2024, 3888, 3999, 0, 4000]:
    print(n, show(n))
print("true")
for t in ["MCMXCIV", "IIII", "IC", "MMXX", "", "XIZ", "VX", "MMMM"]:
    n, why = parse(t)
    print(f'"{t}" -> ' + (f"Ok({n})" if why is None else f"Err({why})"))
for line in ["XIV + XXVI", "C - XC", "XII * XII", "M / III", "V - X", "XX * CCC", "V + ABBA"]:
    x, op, y = line.split()
    (a, e1), (b, e2) = parse(x), parse(y)
    if e1 or e2:
        print(f"{line} = no: {e1 or e2}")
        continue
    n = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[op]
    print(f"{line} = " + (roman(n) if 1 <= n <= 3999 else f"no: OutOfRange({n})"))
print("[" + ", ".join(f'"{s}"' for s in sorted(CANON, key=lambda s: (-len(s), s))[:3]) + "]")
