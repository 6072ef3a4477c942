"""Prints what word_wrap.reml must print."""

import textwrap

TEXT = """The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs.
How vexingly quick daft zebras jump!

Sphinx of black quartz, judge my vow. Incomprehensibilities are long words."""


def greedy(p, width):
    return textwrap.wrap(p, width, break_long_words=False, break_on_hyphens=False)


def ragged(words, width):
    # every way to cut, from the back; ties go to the shorter first line, as in the program
    best = {len(words): (0, None)}
    for i in reversed(range(len(words))):
        options = []
        for j in range(i + 1, len(words) + 1):
            used = len(" ".join(words[i:j]))
            if used > width and j > i + 1:
                break
            slack = max(width - used, 0)
            options.append(((0 if j == len(words) else slack**2) + best[j][0], j))
        best[i] = min(options)
    at = 0
    while at < len(words):
        yield " ".join(words[at : best[at][1]])
        at = best[at][1]


for paragraph in TEXT.split("\n\n"):
    words = paragraph.split()
    p = " ".join(words)
    print(f"--- {len(words)} words")
    for line in greedy(p, 20):
        print(f"|{line:20}|")
    lines = greedy(p, 26)
    for i, line in enumerate(lines):
        shown = line
        parts = line.split()
        if i + 1 < len(lines) and len(parts) > 1:
            gaps = len(parts) - 1
            blanks = 26 - sum(map(len, parts))
            shown = (
                "".join(w + " " * (blanks // gaps + (k < blanks % gaps)) for k, w in enumerate(parts[:-1])) + parts[-1]
            )
        print(f"|{shown}|")
    for line in ragged(words, 24):
        blanks = max(24 - len(line), 0)
        print(">" + " " * (blanks // 2) + line + " " * (blanks - blanks // 2) + "<")
