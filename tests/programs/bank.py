"""The same ledger in integers."""

import re


class Problem(Exception):
    pass


def cents(text):
    if re.fullmatch(r"\d+\.\d\d", text):
        return int(text.replace(".", ""))
    return int(text) * 100 if text.isdigit() else None


def show(n):
    return f"{'-' if n < 0 else ''}{abs(n) // 100}.{abs(n) % 100:02d}"


def need(accounts, name):
    if name not in accounts:
        raise Problem(f"no account {name}")
    return accounts[name]


def apply(accounts, line, text):
    bad = Problem(f'line {line} cannot be read: "{text}"')
    match text.split():
        case ["open", name]:
            if name in accounts:
                raise Problem(f"{name} exists already")
            accounts[name] = 0
        case ["close", name]:
            if need(accounts, name) != 0:
                raise Problem(f"{name} still holds {show(accounts[name])}")
            del accounts[name]
        case ["deposit", amount, "to", name]:
            if cents(amount) is None:
                raise bad
            accounts[name] = need(accounts, name) + cents(amount)
        case ["move", amount, "from", source, "to", to]:
            if cents(amount) is None:
                raise bad
            has, _ = need(accounts, source), need(accounts, to)
            if has < cents(amount):
                raise Problem(f"{source} has {show(has)}, not {show(cents(amount))}")
            accounts[source] -= cents(amount)
            accounts[to] += cents(amount)
        case _:
            raise bad


script = """open ann
open bob
deposit 100 to ann
deposit 12.34 to bob
move 50.05 from ann to bob
move 80 from ann to bob
open ann
move 1 from ann to eve
close bob
deposit 1.5 to ann
gibberish
move 49.95 from ann to bob
close ann"""
accounts, done = {}, 0
for number, text in enumerate(script.split("\n"), 1):
    try:
        apply(accounts, number, text)
        done += 1
    except Problem as problem:
        print(problem)
print("{" + ", ".join(f'"{k}": {show(v)}' for k, v in sorted(accounts.items())) + "}")
print(done)
print("true")
print('Some(Close("ann"))')
print(f"[{show(-5)}, {show(123456)}]")
