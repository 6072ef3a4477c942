"""Prints what word_statistics.reml must print."""

import re
import statistics
from collections import Counter

TEXT = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of
Darkness, it was the spring of hope, it was the winter of despair.
"""
words = re.findall(r"[a-z]+", TEXT.lower())
count = Counter(words)
print(f"{len(words)} words, {len(count)} different, {len(TEXT)} characters, {len(TEXT.strip().splitlines())} lines")
ranked = sorted(count.items(), key=lambda kv: (-kv[1], kv[0]))
for word, n in ranked[:6]:
    print(f"{word:8}{n:3} {'#' * n}")
print("once: " + " ".join(w for w, n in ranked if n == 1))
lengths = [len(w) for w in words]
print(
    f"length: mean {statistics.mean(lengths):.3f} median {statistics.median(lengths):.1f} deviation {statistics.pstdev(lengths):.4f}"
)
print("longest: " + max(words, key=len))
for length in sorted(set(lengths)):
    n = lengths.count(length)
    print(f"{length:2} |{'*' * (n // 2)} {n}")
letters = Counter(c for c in TEXT.lower() if c.isalpha())
print("[" + ", ".join(f"('{c}', {n})" for c, n in sorted(letters.items(), key=lambda kv: (-kv[1], kv[0]))[:5]) + "]")
short = sum(n <= 3 for n in lengths)
print(f"({short}, {len(words) - short}, None, Some(2.0))")
