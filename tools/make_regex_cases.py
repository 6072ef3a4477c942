#!/usr/bin/env python3
r"""
Write tests/native/regex_cases.inc: random regular expressions and texts, with what Python's `re.fullmatch` says.

Usage: make_regex_cases.py [--seed N] [--count N] [FILE]

The seed is fixed, so the file does not change by itself. Patterns keep to the dialect of LANGUAGE 5.7 where both agree;
`$` is written `\Z` for Python, whose `$` also matches before a last line feed.
"""

import argparse
import pathlib
import random
import re
import warnings

DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "native" / "regex_cases.inc"
LETTERS = "ab1_ -.\né日"


class Maker:
    """Makes patterns and texts that have a chance to match them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def literal(self) -> str:
        """One character."""
        letter = self.random.choice(LETTERS)
        return "\\" + letter if letter in ".-" else letter

    def character_class(self) -> str:
        """`[…]`."""
        items = []
        for _ in range(self.random.randint(1, 3)):
            kind = self.random.randrange(4)
            if kind == 0:
                items.append(self.random.choice(["\\d", "\\w", "\\s", "\\D", "\\W", "\\S"]))
            elif kind == 1:
                low, high = sorted(self.random.sample("abc12é日", 2))
                items.append(f"{low}-{high}")
            else:
                items.append(self.random.choice("ab1_ .é日"))
        return "[" + self.random.choice(["", "", "^"]) + "".join(items) + "]"

    def atom(self, depth: int) -> str:
        """What a quantifier can follow."""
        kind = self.random.randrange(10)
        if kind < 4:
            return self.literal()
        if kind == 4:
            return "."
        if kind == 5:
            return self.character_class()
        if kind == 6:
            return self.random.choice(["\\d", "\\w", "\\s", "\\D", "\\W", "\\S"])
        if depth == 0:
            return self.literal()
        return self.random.choice(["(", "(?:"]) + self.alternatives(depth - 1) + ")"

    def piece(self, depth: int) -> str:
        """An atom, perhaps repeated, or an assertion."""
        if self.random.randrange(12) == 0:
            return self.random.choice(["^", "$", "\\b", "\\b"])
        low = self.random.randint(0, 3)
        quantifiers = ["*", "+", "?", f"{{{low}}}", f"{{{low},}}", f"{{{low},{low + self.random.randint(0, 3)}}}"]
        quantifier = self.random.choice(quantifiers) if self.random.randrange(2) else ""
        return self.atom(depth) + quantifier + (self.random.choice(["", "", "?"]) if quantifier else "")

    def alternatives(self, depth: int) -> str:
        """Sequences with `|` between."""
        return "|".join(
            "".join(self.piece(depth) for _ in range(self.random.choice([0, 1, 1, 2, 3])))
            for _ in range(self.random.choice([1, 1, 1, 2, 3]))
        )

    def text(self) -> str:
        """A short text of the same letters."""
        return "".join(self.random.choice(LETTERS) for _ in range(self.random.choice([0, 1, 1, 2, 3, 4, 6, 9])))


def cases(seed: int, count: int) -> list[tuple[str, str, bool]]:
    """Patterns with texts; as many that match as can be had."""
    maker, made = Maker(seed), []
    while len(made) < count:
        pattern = maker.alternatives(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern.replace("$", "\\Z"), re.ASCII)
        chosen: dict[bool, list[str]] = {True: [], False: []}
        for _ in range(40):
            text = maker.text()
            chosen[compiled.fullmatch(text) is not None].append(text)
        for answer, texts in chosen.items():
            made += [(pattern, text, answer) for text in dict.fromkeys(texts[:2])]
    return made[:count]


def c_string(text: str) -> str:
    """A C literal; other bytes than plain ASCII as octal escapes, which end after three digits."""
    plain = {ord(c) for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.,:^$*+()[]{}|"}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=57)
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=DEFAULT)
    options = parser.parse_args()
    lines = ["/* Made by tools/make_regex_cases.py; do not edit. {pattern, text, does it match in full} */"]
    for pattern, text, answer in cases(options.seed, options.count):
        lines.append(f"{{{c_string(pattern)}, {c_string(text)}, {str(answer).lower()}}},")
    options.file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
