"""Prints what derivatives.reml must print."""

import re

words = ["", "a", "b", "ab", "abab", "aab", "abc", "aaaa", "xay", "ababa", "bb"]
errors = {"((a)": "no ) at 4", "*a": "nothing to repeat at 0", "a)": "stray ) at 1"}
for pattern in ["(ab)*", "a*b", "a+|b?", "..", "(a|b)*a", "x.y", "(a|b)(a|b)", "((a)", "*a", "a)", "(ab|a)(bc|c)?", ""]:
    try:
        found = [w for w in words if re.fullmatch(pattern, w)]
    except re.error:
        print(f"{pattern:14} {errors[pattern]}")
    else:
        print(f"{pattern:14} [" + ", ".join(f'"{w}"' for w in found) + "]")
# minimal automata: (ab)* has 2 live states and the dead one; "second last is a" has 4
print(3)
print(4)
print("true")
print("false")
