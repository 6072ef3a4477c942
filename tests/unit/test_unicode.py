"""Unicode beside Python's own tables: every scalar, and texts of scalars that combine.

Python's tables are of an older or newer Unicode version; what is assigned in both must agree, since normalisation of
assigned scalars never changes and properties hardly ever.
"""
# covers: 8.7, 5.11

import random
import sys
import unicodedata
from pathlib import Path

import pytest

import reml_embed as reml

SOURCE = """\
module Forms
fn normal(s: Str) -> List<Str> = [
  s.normalize(NormalizationForm.NFC), s.normalize(NormalizationForm.NFD),
  s.normalize(NormalizationForm.NFKC), s.normalize(NormalizationForm.NFKD),
]
fn is_normal(s: Str) -> List<Bool> = [
  s.is_normalized(NormalizationForm.NFC), s.is_normalized(NormalizationForm.NFD),
  s.is_normalized(NormalizationForm.NFKC), s.is_normalized(NormalizationForm.NFKD),
]
fn upper(s: Str) -> Str = s.to_upper()
fn lower(s: Str) -> Str = s.to_lower()
fn equal(a: Str, b: Str) -> Bool = a == b
fn less(a: Str, b: Str) -> Bool = a < b
fn graphemes(s: Str) -> List<Str> = s.graphemes()
fn property(s: Str) -> List<Bool> = s.chars().flat_map(|c| [
  c.is_alphabetic(), c.is_numeric(), c.is_whitespace(), c.is_upper(), c.is_lower(), c.is_control(), c.is_punctuation(),
  c.is_xid_start(), c.is_xid_continue(),
])
"""
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
ASSIGNED = [
    chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF and unicodedata.category(chr(c)) != "Cn"
]
COMBINING = [c for c in ASSIGNED if unicodedata.combining(c) or unicodedata.decomposition(c)]


@pytest.fixture
def forms(context: reml.Context) -> reml.Module:
    return context.load(SOURCE)


def texts(count: int, *pools: list[str]) -> list[str]:
    chance = random.Random(20261121)
    return ["".join(chance.choice(chance.choice(pools)) for _ in range(chance.randrange(1, 9))) for _ in range(count)]


def test_every_scalar_has_pythons_normal_forms(forms):
    # One crossing for all: a line feed keeps neighbours apart.
    joined = "\n".join(ASSIGNED)
    for form, found in zip(FORMS, forms["normal"](joined), strict=True):
        assert found == unicodedata.normalize(form, joined), form


def test_combining_texts_have_pythons_normal_forms(forms):
    normal, is_normal = forms["normal"], forms["is_normal"]
    hangul = [chr(c) for c in (*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3), 0xAC00, 0xAC01)]
    marks = [c for c in ASSIGNED if unicodedata.combining(c)]
    for text in texts(4000, COMBINING, marks, list("aeioucnAEIOU"), hangul):
        expected = [unicodedata.normalize(form, text) for form in FORMS]
        assert normal(text) == expected, ascii(text)
        assert is_normal(text) == [text == e for e in expected], ascii(text)


def test_texts_are_equal_and_ordered_as_in_nfc(forms):
    equal, less = forms["equal"], forms["less"]
    for text in texts(500, COMBINING, list("ae")):
        apart = unicodedata.normalize("NFD", text)
        assert equal(text, apart)
        other = texts(1, COMBINING)[0] + text[:2]
        nfc = [unicodedata.normalize("NFC", t) for t in (text, other)]
        assert equal(text, other) == (nfc[0] == nfc[1])
        assert less(text, other) == (nfc[0] < nfc[1])


def test_case_mapping_is_pythons(forms):
    # Scalars whose case partner is newer than Python's tables are left out.
    known = [c for c in ASSIGNED if c not in "\u0264\u019b"]
    joined = "\n".join(known)
    assert forms["upper"](joined) == joined.upper()
    assert forms["lower"](joined) == joined.lower()
    for text in texts(2000, list("ΣσAb'.\u00ad\u0301 1ʰ\u0345"), list("Σ")):
        assert forms["lower"](text) == text.lower(), ascii(text)


def test_properties_are_pythons(forms):
    newer = "property changed since Python's tables were made"
    found = forms["property"]("".join(ASSIGNED))
    strange = []
    for i, c in enumerate(ASSIGNED):
        category = unicodedata.category(c)
        _, numeric, space, _, _, control, punctuation, _, xid_continue = found[9 * i : 9 * i + 9]
        if (
            numeric != category.startswith("N")
            or control != (category == "Cc")
            or punctuation != category.startswith("P")
        ):
            strange.append(ascii(c))
        if xid_continue != ("a" + c).isidentifier() and c not in "\u30fb\uff65\u200c\u200d":
            strange.append(ascii(c))
        if space != (c.isspace() and c not in "\x1c\x1d\x1e\x1f"):
            strange.append(ascii(c))
    assert len(strange) < 12, f"{newer}: {strange}"


def test_graphemes_join_to_the_text(forms):
    graphemes = forms["graphemes"]
    emoji = list("👩👨🏽\u200d\ufe0f💻🇯🇵🇩❤")
    for text in texts(500, COMBINING, emoji, list("a\r\n")):
        assert "".join(graphemes(text)) == text


def test_published_grapheme_clusters(forms):
    file = Path(__file__).parent.parent / "native" / "unicode" / "GraphemeBreakTest-16.0.0.txt"
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            clusters = ["".join(chr(int(c, 16)) for c in part.replace("×", " ").split()) for part in line.split("÷")]
            assert forms["graphemes"]("".join(clusters)) == [c for c in clusters if c], line
