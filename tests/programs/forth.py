"""The same machine, interpreting nested lists."""

import re


class Problem(Exception):
    pass


def parse(words, at, until, defined):
    out = []
    while True:
        if at >= len(words):
            if until:
                raise Problem("missing " + " or ".join(until))
            return out, at
        word = words[at]
        if word in until:
            return out, at
        if word == ":":
            body, end = parse(words, at + 2, [";"], defined)
            defined[words[at + 1]] = body
            at = end + 1
        elif word == "if":
            yes, middle = parse(words, at + 1, ["else", "then"], defined)
            no, end = parse(words, middle + 1, ["then"], defined) if words[middle] == "else" else ([], middle)
            out.append(("if", yes, no))
            at = end + 1
        elif word == "times":
            body, end = parse(words, at + 1, ["end"], defined)
            out.append(("times", body))
            at = end + 1
        else:
            out.append(int(word) if re.fullmatch(r"-?\d+", word) else word)
            at += 1


def truncated(a, b):
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class Machine:
    def __init__(self):
        self.stack, self.out, self.words = [], [], {}

    def pop(self):
        if not self.stack:
            raise Problem("stack is empty")
        return self.stack.pop()

    def execute(self, code):
        for item in code:
            if isinstance(item, int):
                self.stack.append(item)
            elif isinstance(item, tuple) and item[0] == "if":
                self.execute(item[1] if self.pop() != 0 else item[2])
            elif isinstance(item, tuple):
                for _ in range(self.pop()):
                    self.execute(item[1])
            elif item in self.words:
                self.execute(self.words[item])
            else:
                self.primitive(item)

    def primitive(self, word):
        if word == ".":
            self.out.append(str(self.pop()))
        elif word == "dup":
            a = self.pop()
            self.stack += [a, a]
        elif word == "drop":
            self.pop()
        elif word in {"swap", "over", "+", "-", "*", "/", "mod", "<", "="}:
            b = self.pop()
            a = self.pop()
            if word in {"/", "mod"} and b == 0:
                raise Problem("division by zero")
            results = {
                "swap": lambda: [b, a], "over": lambda: [a, b, a], "+": lambda: [a + b], "-": lambda: [a - b],
                "*": lambda: [a * b], "/": lambda: [truncated(a, b)], "mod": lambda: [a - b * truncated(a, b)],
                "<": lambda: [-(a < b)], "=": lambda: [-(a == b)],
            }  # fmt: skip
            self.stack += results[word]()
        else:
            raise Problem(word + "?")


m = Machine()
for line in [
    "1 2 + .",
    "7 2 / . 7 2 mod . -7 2 mod .",
    ": square dup * ; 12 square .",
    ": fact dup 1 < if drop 1 else dup 1 - fact * then ; 10 fact .",
    ": fib 0 1 : step swap over + ; ; 20 fib",
    "drop drop 0 1 20 times swap over + end drop .",
    "1 2 3",
    "+ + .",
    "3 3 = . 3 4 = .",
    "1 0 /",
    "+",
    "nonsense",
    "1 if 2",
    ": broken 1 2",
    "5 times 42 . end",
]:
    m.out = []
    try:
        code, _ = parse(line.split(), 0, [], m.words)
        m.execute(code)
        said = " ".join(m.out) + " ok" + (f" {m.stack}" if m.stack else "")
    except Problem as problem:
        said = f"{' '.join(m.out)} error: {problem}"
        m.stack = []
    print(f"{line} | {said.strip()}")
