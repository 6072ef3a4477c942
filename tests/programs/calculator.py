"""The same grammar with Python's re; float arithmetic is the same."""

import re


class Fault(Exception):
    pass


def scan(line):
    at, tokens = 0, []
    for m in re.finditer(r"\s+|\d+(?:\.\d+)?(?:e-?\d+)?|[A-Za-z_]\w*|[()=+*/^-]|.", line):
        text = m.group()
        at = m.start() + 1
        if text.isspace():
            continue
        if re.fullmatch(r"[$]", text):
            raise Fault(f'column {at}: what is "{text}"?')
        tokens.append((float(text) if text[0].isdigit() else text.lower(), at))
    return [*tokens, ("end", len(line) + 1)]


POWER = {"=": (2, 1), "+": (3, 4), "-": (3, 4), "*": (5, 6), "/": (5, 6), "^": (8, 7)}


class Parser:
    def __init__(self, tokens):
        self.tokens, self.at = tokens, 0

    def next(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def close(self):
        token, column = self.next()
        if token != ")":
            raise Fault(f"column {column}: `)` is missing")

    def operand(self):
        token, column = self.next()
        if isinstance(token, float):
            return token
        if token == "(":
            inner = self.expression(0)
            self.close()
            return inner
        if token in {"-", "+"}:
            return (token, self.expression(7))
        if token != "end" and re.fullmatch(r"\w+", token):
            if self.tokens[self.at][0] == "(":
                self.next()
                inner = self.expression(0)
                self.close()
                return (token, inner)
            return token
        raise Fault(f"column {column}: an operand is missing")

    def expression(self, least):
        left = self.operand()
        while self.tokens[self.at][0] in POWER:
            sign = self.tokens[self.at][0]
            lower, upper = POWER[sign]
            if lower < least:
                break
            self.next()
            left = (sign, left, self.expression(upper))
        return left


class Nothing(Exception):
    pass


def evaluate(node, names):
    if isinstance(node, float):
        return node
    if isinstance(node, str):
        if node not in names:
            raise Nothing(f"{node} has no value")
        return names[node]
    sign, *rest = node
    if sign == "=":
        if not isinstance(rest[0], str):
            raise Nothing("only a name takes a value")
        names[rest[0]] = evaluate(rest[1], names)
        return names[rest[0]]
    if len(rest) == 1:
        if sign not in {"-", "+", "sqrt", "half"}:
            raise Nothing(f"no function {sign}")
        value = evaluate(rest[0], names)
        return {"-": lambda: -value, "+": lambda: value, "sqrt": lambda: value**0.5, "half": lambda: value / 2}[sign]()
    a, b = evaluate(rest[0], names), evaluate(rest[1], names)
    if sign == "/" and b == 0:
        raise Nothing("division by zero")
    if sign == "^":
        return a**b
    return {"+": a + b, "-": a - b, "*": a * b}[sign] if sign != "/" else a / b


def shape(node):
    if isinstance(node, tuple):
        return "(" + " ".join([node[0], *map(shape, node[1:])]) + ")"
    return str(node)


names = {}
for line in [
    "1 + 2 * 3", "(1+2)*3", "2 ^ 3 ^ 2", "-2 ^ 2", "8 / 4 / 2", "x = y = 1.5e2", "X * y + half(10)", "sqrt(2) ^ 2 - 2 = 0",
    "10 / (5 - 5)", "zz + 1", "3 +", "(1 + 2", "4 4", "2 $ 3", "half(-x)", "",
]:  # fmt: skip
    try:
        parser = Parser(scan(line))
        node = parser.expression(0)
        token, column = parser.tokens[parser.at]
        if token != "end":
            raise Fault(f"column {column}: the end is expected")
        try:
            value = str(evaluate(node, names))
        except Nothing as nothing:
            value = f"nothing: {nothing}"
        print(f"{shape(node)} is {value}")
    except Fault as fault:
        print(fault)
