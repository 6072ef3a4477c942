#!/usr/bin/env python3
"""
Write native/src/base/unicode_tables.inc: the Unicode facts that the language needs, as compact tables.

Usage: make_unicode_tables.py [--check] [FILE]

With --check nothing is written; the exit status says whether the file is what would be written (0), is not (1), or
could not be made here because the packages below are missing or speak of another version (77: skipped).

Needs the packages unicodedata2 (general categories, combining classes, decompositions, widths) and uniseg (derived
properties and segmentation), both of UNICODE_VERSION. Simple case mappings come from Python itself, plus the few pairs
that UNICODE_VERSION has and an older Python has not.
"""

import pathlib
import sys

UNICODE_VERSION = "16.0.0"
DEFAULT = pathlib.Path(__file__).resolve().parent.parent / "native" / "src" / "base" / "unicode_tables.inc"
CODE_POINTS = 0x110000

# White_Space has been stable since Unicode 4.1 but for U+180E, which left it in 6.3.
WHITE_SPACE = {
    *range(0x09, 0x0E),
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
}

# Case pairs (upper, lower) of Unicode 16.0 that Python 3.13 (Unicode 15.1) does not know.
NEW_CASE_PAIRS = [
    (0x1C89, 0x1C8A),
    (0xA7CB, 0x0264),
    (0xA7CC, 0xA7CD),
    (0xA7DA, 0xA7DB),
    (0xA7DC, 0x019B),
    *((0x10D50 + i, 0x10D70 + i) for i in range(22)),
]

# Bits of a record; unicode.c uses the names.
FLAGS = [
    "XID_START",
    "XID_CONTINUE",
    "UPPER_START",
    "WHITE_SPACE",
    "ALPHABETIC",
    "NUMERIC",
    "UPPER",
    "LOWER",
    "EMOJI_PART",
    "PICTOGRAPHIC",
    "NFC_NO",
    "NFC_MAYBE",
    "COMPATIBLE",  # its compatibility decomposition differs from the canonical one: such text is neither NFKC nor NFKD
    "CASE_IGNORABLE",
    "PUNCTUATION",
]
BIT = {name: 1 << i for i, name in enumerate(FLAGS)}

GRAPHEME_CLASSES = [
    "Other",
    "CR",
    "LF",
    "Control",
    "Extend",
    "ZWJ",
    "Regional_Indicator",
    "Prepend",
    "SpacingMark",
    "L",
    "V",
    "T",
    "LV",
    "LVT",
]
CONJUNCT_CLASSES = ["None", "Consonant", "Extend", "Linker"]

COMPATIBILITY_IDEOGRAPHS = range(0x2F800, 0x2FA1E)


class Missing(Exception):
    """What the tables are made from is not here."""


def load():
    try:
        import unicodedata2
        import uniseg
        from uniseg import db
    except ImportError as error:
        raise Missing(str(error)) from None
    for name, found in (("unicodedata2", unicodedata2.unidata_version), ("uniseg", uniseg.unidata_version)):
        if found != UNICODE_VERSION:
            raise Missing(f"{name} is of Unicode {found}, not {UNICODE_VERSION}")
    return unicodedata2, db


def is_surrogate(c: int) -> bool:
    return 0xD800 <= c <= 0xDFFF


def canonical_decompositions(ucd) -> dict[int, tuple[int, ...]]:
    """One step each, as in UnicodeData.txt; Hangul syllables are left to arithmetic."""
    found = {}
    for c in range(CODE_POINTS):
        text = "" if is_surrogate(c) else ucd.decomposition(chr(c))
        if text and not text.startswith("<"):
            found[c] = tuple(int(part, 16) for part in text.split())
    return found


def primary_composites(ucd, decompositions) -> dict[tuple[int, int], int]:
    pairs = {}
    for c, parts in decompositions.items():
        if len(parts) == 2 and ucd.normalize("NFC", chr(c)) == chr(c):
            pairs[parts] = c
    return pairs


def make_records(ucd, db, composites) -> tuple[list[tuple[int, ...]], list[int]]:
    """The distinct records, and the number of its record for each code point."""
    handle = {
        name: db.get_handle(name)
        for name in (
            "Grapheme_Cluster_Break",
            "InCB",
            "Alphabetic",
            "Uppercase",
            "Lowercase",
            "XID_Start",
            "XID_Continue",
            "Emoji_Component",
            "Extended_Pictographic",
            "Case_Ignorable",
        )
    }
    truth = {"Y": True, "Yes": True, "True": True, "N": False, "No": False, "False": False, "": False, None: False}
    maybe = {second for _, second in composites} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    # … and what begins with such a scalar when taken apart.
    maybe |= {c for (first, _), c in composites.items() if first in maybe}
    numbers: dict[tuple[int, ...], int] = {}
    of_code_point = []
    for c in range(CODE_POINTS):
        char = chr(c)
        value = {name: db.get_value(h, c) for name, h in handle.items()}
        has = lambda name: truth[value[name]] if not isinstance(value[name], bool) else value[name]  # noqa: E731
        category = ucd.category(char)
        flags = 0
        flags |= BIT["XID_START"] * has("XID_Start")
        flags |= BIT["XID_CONTINUE"] * has("XID_Continue")
        flags |= BIT["UPPER_START"] * (category in ("Lu", "Lt"))
        flags |= BIT["WHITE_SPACE"] * (c in WHITE_SPACE)
        flags |= BIT["ALPHABETIC"] * has("Alphabetic")
        flags |= BIT["NUMERIC"] * category.startswith("N")
        flags |= BIT["UPPER"] * has("Uppercase")
        flags |= BIT["LOWER"] * has("Lowercase")
        emoji_part = c in (0x200D, 0xFE0F) or has("Extended_Pictographic") or (c >= 0x80 and has("Emoji_Component"))
        flags |= BIT["EMOJI_PART"] * emoji_part
        flags |= BIT["PICTOGRAPHIC"] * has("Extended_Pictographic")
        if not is_surrogate(c):
            flags |= BIT["NFC_NO"] * (ucd.normalize("NFC", char) != char)
            flags |= BIT["COMPATIBLE"] * (ucd.normalize("NFKD", char) != ucd.normalize("NFD", char))
        flags |= BIT["NFC_MAYBE"] * (c in maybe)
        flags |= BIT["CASE_IGNORABLE"] * has("Case_Ignorable")
        flags |= BIT["PUNCTUATION"] * category.startswith("P")
        grapheme = GRAPHEME_CLASSES.index(value["Grapheme_Cluster_Break"] or "Other")
        if 0xAC00 <= c <= 0xD7A3:
            grapheme = GRAPHEME_CLASSES.index("LVT")  # unicode.c tells LV by arithmetic; it keeps the table small
        conjunct = CONJUNCT_CLASSES.index(value["InCB"] or "None")
        wide = ucd.east_asian_width(char) in ("W", "F")
        no_cell = category in ("Mn", "Me") or (category == "Cf" and c != 0xAD) or 0x1160 <= c <= 0x11FF
        cells = 0 if no_cell else 2 if wide else 1
        record = (flags, grapheme, ucd.combining(char), conjunct, cells)
        of_code_point.append(numbers.setdefault(record, len(numbers)))
    if len(numbers) > 256:
        raise AssertionError("too many records for a byte")
    return list(numbers), of_code_point


def split_blocks(values: list[int], shift: int) -> tuple[list[int], list[int]]:
    """Values in blocks of 1 << shift, each distinct block once: the number of its block for each, and the blocks."""
    size = 1 << shift
    numbers: dict[tuple[int, ...], int] = {}
    index = [numbers.setdefault(tuple(values[i : i + size]), len(numbers)) for i in range(0, len(values), size)]
    return index, [value for block in numbers for value in block]


def simple_case(char: str, full: str, title: str) -> str:
    if len(full) == 1:
        return full
    return title if len(title) == 1 else char


def case_maps() -> tuple[dict[int, int], dict[int, int]]:
    upper, lower = {}, {}
    for c in range(CODE_POINTS):
        if is_surrogate(c):
            continue
        char = chr(c)
        up = simple_case(char, char.upper(), char.title())
        low = "i" if c == 0x130 else char.lower() if len(char.lower()) == 1 else char
        if up != char:
            upper[c] = ord(up)
        if low != char:
            lower[c] = ord(low)
    for big, small in NEW_CASE_PAIRS:
        upper.setdefault(small, big)
        lower.setdefault(big, small)
    return upper, lower


def special_upper() -> list[tuple[int, ...]]:
    """Upper-case mappings to more than one scalar (SpecialCasing.txt without conditions), filled up with zeros."""
    found = []
    for c in range(CODE_POINTS):
        full = "" if is_surrogate(c) else chr(c).upper()
        if len(full) > 1:
            found.append((c, *map(ord, full), *[0] * (3 - len(full))))
    return found


def compatible_decompositions(ucd) -> dict[int, tuple[int, ...]]:
    """One step each, as in UnicodeData.txt."""
    found = {}
    for c in range(CODE_POINTS):
        text = "" if is_surrogate(c) else ucd.decomposition(chr(c))
        if text.startswith("<"):
            found[c] = tuple(int(part, 16) for part in text.split()[1:])
    return found


def pool_of(sequences) -> tuple[list[int], dict[tuple[int, ...], int]]:
    """All sequences in one array, those that lie inside others shared: the array and the place of each."""
    pool: list[int] = []
    places = {}
    text = ""  # the pool as characters, for searching
    for sequence in sorted(set(sequences), key=lambda s: (-len(s), s)):
        at = text.find("".join(map(chr, sequence)))
        if at < 0:
            at = len(pool)
            pool += sequence
            text += "".join(map(chr, sequence))
        places[sequence] = at
    return pool, places


def case_ranges(mapping: dict[int, int]) -> list[tuple[int, int, int, int]]:
    """(first, last, stride, delta): neighbours that move by the same distance, every one or every second."""
    ranges: list[tuple[int, int, int, int]] = []
    for c in sorted(mapping):
        delta = mapping[c] - c
        if ranges:
            first, last, stride, d = ranges[-1]
            gap = c - last
            if d == delta and gap in (1, 2) and (first == last or gap == stride):
                ranges[-1] = (first, c, gap, d)
                continue
        ranges.append((c, c, 1, delta))
    return ranges


def rows(values: list[str], per_line: int) -> list[str]:
    return ["    " + " ".join(f"{v}," for v in values[i : i + per_line]) for i in range(0, len(values), per_line)]


def array(kind: str, name: str, values: list[str], per_line: int) -> list[str]:
    return [f"static const {kind} {name}[{len(values)}] = {{", *rows(values, per_line), "};", ""]


def smallest(values: list[int]) -> str:
    return "uint8_t" if max(values) < 256 else "uint16_t"


def render() -> str:
    ucd, db = load()
    decompositions = canonical_decompositions(ucd)
    composites = primary_composites(ucd, decompositions)
    records, of_code_point = make_records(ucd, db, composites)

    best = None
    for leaf in (3, 4, 5, 6, 7):
        for middle in (3, 4, 5, 6, 7):
            blocks, leaves = split_blocks(of_code_point, leaf)
            top, middles = split_blocks(blocks, middle)
            size = (
                len(leaves) + len(middles) * (1 if max(middles) < 256 else 2) + len(top) * (1 if max(top) < 256 else 2)
            )
            if best is None or size < best[0]:
                best = (size, leaf, middle, top, middles, leaves)
    _, leaf, middle, top, middles, leaves = best

    out = [
        f"/* Generated by tools/make_unicode_tables.py from Unicode {UNICODE_VERSION}; do not edit. */",
        f'#define UNICODE_VERSION_TEXT "{UNICODE_VERSION}"',
        "",
    ]
    out += ["enum {", *(f"    FLAG_{name} = 1 << {i}," for i, name in enumerate(FLAGS)), "};"]
    out += ["enum {", *(f"    GRAPHEME_{name.upper()} = {i}," for i, name in enumerate(GRAPHEME_CLASSES)), "};"]
    out += ["enum {", *(f"    CONJUNCT_{name.upper()} = {i}," for i, name in enumerate(CONJUNCT_CLASSES)), "};", ""]
    out += [
        "typedef struct record {",
        "    uint16_t flags;",
        "    uint8_t grapheme, combining_class, conjunct, cells;",
        "} record_t;",
        "",
    ]
    out += array("record_t", "records", [f"{{0x{f:03x}, {g}, {ccc}, {j}, {w}}}" for f, g, ccc, j, w in records], 5)
    out += [f"#define LEAF_BITS {leaf}", f"#define MIDDLE_BITS {middle}", ""]
    out += array(smallest(top), "top_index", [str(v) for v in top], 24)
    out += array(smallest(middles), "middle_index", [str(v) for v in middles], 24)
    out += array("uint8_t", "leaf_records", [str(v) for v in leaves], 24)

    upper, lower = case_maps()
    out += [
        "typedef struct case_range {",
        "    uint32_t first;",
        "    int32_t delta;",
        "    uint16_t span, stride;",
        "} case_range_t;",
        "",
    ]
    for name, mapping in (("to_upper_ranges", upper), ("to_lower_ranges", lower)):
        out += array(
            "case_range_t", name, [f"{{0x{a:x}, {d}, {b - a}, {s}}}" for a, b, s, d in case_ranges(mapping)], 5
        )

    out += ["/* Upper-case mappings to two or three scalars, sorted; 0 fills up. */"]
    special = special_upper()
    out += ["typedef struct special_upper {", "    uint16_t scalar, to[3];", "} special_upper_t;", ""]
    out += array(
        "special_upper_t",
        "special_uppers",
        [f"{{0x{c:x}, {{0x{x:x}, 0x{y:x}, 0x{z:x}}}}}" for c, x, y, z in special],
        4,
    )

    compatible = compatible_decompositions(ucd)
    single = {c: parts[0] for c, parts in compatible.items() if len(parts) == 1}
    several = {c: parts for c, parts in compatible.items() if len(parts) > 1}
    out += [
        "/* Compatibility decompositions by one step: to one scalar as ranges, else a place in a pool and a length. */"
    ]
    ranges = case_ranges(single)
    lone = [r for r in ranges if (r[1] - r[0]) // r[2] < 2 and max(r[1], r[1] + r[3]) < 0x10000]
    out += array(
        "case_range_t",
        "compatible_ranges",
        [f"{{0x{a:x}, {d}, {b - a}, {s}}}" for a, b, s, d in ranges if (a, b, s, d) not in lone],
        5,
    )
    pairs_16 = [(c, c + d) for a, b, s, d in lone for c in range(a, b + 1, s)]
    out += ["typedef struct compatible_pair {", "    uint16_t scalar, to;", "} compatible_pair_t;", ""]
    out += array("compatible_pair_t", "compatible_pairs", [f"{{0x{c:x}, 0x{to:x}}}" for c, to in pairs_16], 8)
    pool, places = pool_of(several.values())
    out += [
        "typedef struct compatible_sequence {",
        "    uint32_t scalar;",
        "    uint16_t place, length;",
        "} compatible_sequence_t;",
        "",
    ]
    out += array(
        "compatible_sequence_t",
        "compatible_sequences",
        [f"{{0x{c:x}, {places[parts]}, {len(parts)}}}" for c, parts in sorted(several.items())],
        6,
    )
    out += array("uint16_t", "compatible_pool", [f"0x{c:x}" for c in pool], 16)
    out += [f"#define LONGEST_DECOMPOSITION {max(len(ucd.normalize('NFKD', chr(c))) for c in compatible)}", ""]

    pairs = {c: (parts + (0,))[:2] for c, parts in decompositions.items()}
    ideographs = [pairs.pop(c)[0] for c in range(COMPATIBILITY_IDEOGRAPHS.start, COMPATIBILITY_IDEOGRAPHS.stop)]
    short = [(c, *p) for c, p in sorted(pairs.items()) if max(c, *p) < 0x10000]
    long = [(c, *p) for c, p in sorted(pairs.items()) if max(c, *p) >= 0x10000]
    out += [
        "/* Canonical decompositions by one step, sorted; `second` is 0 when there is one part only. */",
        "typedef struct short_decomposition {",
        "    uint16_t composed, first, second;",
        "} short_decomposition_t;",
        "typedef struct long_decomposition {",
        "    uint32_t composed, first, second;",
        "} long_decomposition_t;",
        "",
    ]
    out += array(
        "short_decomposition_t", "short_decompositions", [f"{{0x{a:x}, 0x{b:x}, 0x{c:x}}}" for a, b, c in short], 5
    )
    out += array(
        "long_decomposition_t", "long_decompositions", [f"{{0x{a:x}, 0x{b:x}, 0x{c:x}}}" for a, b, c in long], 4
    )
    out += [f"#define FIRST_IDEOGRAPH 0x{COMPATIBILITY_IDEOGRAPHS.start:x}u /* each decomposes into one scalar */"]
    out += array("uint32_t", "ideograph_decompositions", [f"0x{c:x}" for c in ideographs], 12)
    out += ["/* Primary composites: places in the tables above, sorted by (first, second). */"]
    for name, table in (("short_composites", short), ("long_composites", long)):
        places = [i for i, (c, a, b) in enumerate(table) if composites.get((a, b)) == c]
        places.sort(key=lambda i, table=table: table[i][1:])
        out += array("uint16_t", name, [str(i) for i in places], 20)
    return "\n".join(out).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    names = [a for a in arguments if not a.startswith("--")]
    path = pathlib.Path(names[0]) if names else DEFAULT
    try:
        text = render()
    except Missing as missing:
        print(f"cannot make the tables here: {missing}", file=sys.stderr)
        return 77
    if check:
        if path.read_text(encoding="utf-8") == text:
            return 0
        print(f"{path} is not what {pathlib.Path(__file__).name} writes", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
