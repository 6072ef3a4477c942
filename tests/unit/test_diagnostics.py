"""What a wrong source is told: shape, expected tokens, fix-its, order, numbers (LANGUAGE 2.4, 9)."""
# covers: 2.4, 9.1, 9.2, 9.3

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import reml_embed as reml

CODES = Path(__file__).resolve().parents[2] / "native" / "src" / "diag" / "code.def"


def told(source: str | bytes, **options: object) -> tuple[reml.Diagnostic, ...]:
    """Diagnostics of a source, whether it loads or not."""
    with reml.Context(**options) as context:
        try:
            context.load(source)
        except reml.LoadError as error:
            return error.diagnostics
        return context.diagnostics


def raw(source: str) -> list[dict[str, object]]:
    """The JSON of a failed load as the library writes it."""
    from reml_embed._ffi import lib, span_text

    with reml.Context() as context:
        with pytest.raises(reml.LoadError):
            context.load(source)
        _, text = span_text(lambda out: lib.reml_embed_diagnostics_json(context._id, out))
    return json.loads(text)


# --- shape -----------------------------------------------------------------------------------------------------------------


def test_the_shape_of_a_diagnostic():
    (found,) = raw('module A.B\n\nlet é = 1\nlet x: Int = "s"\n')
    assert {"severity", "code", "codes", "domain", "message", "module", "primary", "notes", "fixits"} <= set(found)
    assert (found["severity"], found["code"], found["codes"], found["domain"], found["module"]) == (
        "error", "type.mismatch", ["type.mismatch"], "type", "A.B",
    )  # fmt: skip
    assert found["primary"] == {
        "start_line": 4, "start_col": 14, "end_line": 4, "end_col": 17, "byte_start": 36, "byte_end": 39,
    }  # fmt: skip
    assert [note["message"] for note in found["notes"]] == ["expected: Int", "found: Str"]
    assert "expected" not in found


def test_aliases_are_among_the_codes():
    (found,) = raw("fn f() = if 1 { }")
    assert (found["code"], found["codes"]) == (
        "type.condition.bool_required",
        ["type.condition.bool_required", "E7006"],
    )


def test_columns_are_clusters_and_offsets_bytes():
    source = 'let s = "e\u0301👨\u200d👩\u200d👧"; let t = nope'
    (found,) = told(source)
    assert found.primary
    assert (found.primary.start_col, found.primary.byte_start) == (23, source.encode().index(b"nope"))


def test_a_crlf_is_one_line_end():
    (found,) = told("let a = 1\r\nlet b = 2\rlet c = nope")
    assert found.primary
    assert (found.primary.start_line, found.primary.start_col) == (3, 9)


# --- syntax errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "column", "tokens"),
    [
        ("let x = f(1 2)", 13, ("`)`", "`,`")),
        ("let x = [1 2]", 12, ("`]`", "`,`")),
        ("let x = f(1,", 13, ("`)`",)),
        ("let x = {", 10, ("`}`",)),
        ("fn f(a b) = 1", 8, ("`)`", "`,`", "`:`", "`=`")),
        ("fn f(a:) = 1", 8, ("type",)),
        ("let a = 1 2", 11, ("`;`", "newline", "end-of-file")),
        ("let (a, = 1", 9, ("`)`", "pattern")),
        ("type T = |", 11, ("upper-identifier",)),
        ("fn f(x: [Int; n]) = 1", 15, ("integer-literal",)),
        ("extern f()", 8, ("string-literal",)),
        ("fn f() = match x { 1 2 }", 22, ("`->`", "`=>`")),
        ("fn f() { while true 1 }", 21, ("`{`",)),
        ("use", 4, ("`::`", "identifier", "`self`", "`super`")),
        ("let x = a.", 11, ("identifier", "integer-literal")),
    ],
)
def test_expected_tokens(source, column, tokens):
    (found,) = told(source)
    assert found.code == "parser.syntax.expected_tokens"
    assert found.primary
    assert found.primary.start_col == column
    if set(tokens) - {"`->`", "`=>`"}:
        assert found.expected == tokens
    else:
        assert set(tokens) <= set(found.expected)


def test_closers_come_first_and_point_at_their_opener():
    (found,) = told("fn f() = g(1, [2, 3)")
    assert (found.expected[0], found.primary and found.primary.start_col) == ("`]`", 20)
    assert found.notes[0].span
    assert found.notes[0].span.start_col == 15


def test_starts_of_expressions_are_listed_and_cut_to_six():
    (found,) = raw("let x = ")
    assert {"identifier", "integer-literal", "`(`", "`-`", "`match`"} <= set(found["expected"]["tokens"])
    more = len(found["expected"]["tokens"]) - 6
    assert re.fullmatch(rf"expected [^,]+(, [^,]+){{5}} … and {more} more", found["expected"]["humanized"])


def test_two_expected_tokens_are_joined_by_or():
    (found,) = raw("let x = [1 2]")
    assert found["expected"] == {"tokens": ["`]`", "`,`"], "humanized": "expected `]` or `,`"}


@pytest.mark.parametrize(
    ("source", "code", "kind", "text"),
    [
        ("fn f() { var x = 1; x = 2 }", "parser.syntax.expected_tokens", "replace", ":="),
        ("fn f() = (1", "parser.syntax.expected_tokens", "insert", ")"),
        ("fn f() = handle g() handler E { }", "effects.handler.missing_with", "insert", "with "),
        ("let e\u0301 = 1", "E6002", "replace", "é"),
        ("let a\u202eb = 1", "E6001", "delete", ""),
        ("let count = 1\nlet b = cuont", "type.unresolved_ident", "replace", "count"),
        ("fn f() { let x = 1\n x := 2 }", "language.assign.immutable", "replace", "var"),
        ('@cfg(target_oz = "x") let a = 1', "target.config.unknown_key", "replace", "target_os"),
        (
            "fn f(x: Int) -> Int = match x with | 1 if x > 0 -> 1 | _ -> 2",
            "pattern.guard.if_deprecated",
            "replace",
            "when",
        ),
    ],
)
def test_fixits(source, code, kind, text):
    (found,) = told(source)
    assert found.code == code
    assert [(fix.kind, fix.text) for fix in found.fixits] == [(kind, text)]


def test_every_fixit_makes_the_source_better():
    for source in ("fn f() { var x = 1; x = 2; x }", "fn f() = (1", "let a = [1, 2", "let a\u202eb = 1"):
        (found,) = told(source)
        (fix,) = found.fixits
        changed = source[: fix.span.start_col - 1] + fix.text + source[fix.span.end_col - 1 :]
        assert told(changed) == ()


def test_recovery_goes_on_at_the_next_item():
    found = told("let a = = 1\nfn f( = 1\n  let inner = 3\ntype T = |\nlet ok = 1\nlet b 1\n")
    assert [(item.code, item.primary and item.primary.start_line) for item in found] == [
        ("parser.syntax.expected_tokens", line) for line in (1, 2, 5, 6)
    ]


def test_at_most_twenty_syntax_errors():
    assert len(told("let = 1\n" * 50)) == 20


def test_types_are_not_checked_after_a_syntax_error():
    assert [item.code for item in told('let a: Int = "s"\nlet = 1')] == ["parser.syntax.expected_tokens"]


# --- order and numbers ------------------------------------------------------------------------------------------------------


def test_diagnostics_are_sorted_by_position_then_severity():
    found = told("fn g() -> Int = nope1\nfn f() -> Int {\n  1\n  nope2\n}\nlet x: Int = true\n")
    places = [(item.primary.byte_start, item.severity) for item in found if item.primary]
    order = ["error", "warning", "info", "hint"]
    assert places == sorted(places, key=lambda place: (place[0], order.index(place[1])))
    assert {item.severity for item in found} == {"error", "warning"}


def test_at_most_a_hundred_per_load():
    source = "\n".join(f"let a{number} = nope{number}" for number in range(300))
    found = told(source)
    assert len(found) == 100
    assert [item.primary.start_line for item in found if item.primary] == list(range(1, 101))


def test_a_hundred_warnings_do_not_hide_an_error():
    source = "fn f() {\n" + "  1\n" * 150 + "  nope()\n}"
    found = told(source)
    assert len(found) == 100
    assert any(item.severity == "error" for item in found)


def test_an_error_causes_no_others():
    for source in (
        "let a = nope\nlet b = a + 1\nlet c: Str = b\nfn f() = a.x.y(b)[0]",
        "fn f(x: Missing) -> Missing = x.y + x.z\nlet a = f(1)\nlet b = a.q",
        'let a = [1, "x", nope].map(|n| n + 1)',
        "fn f() = match nope { Some(x) -> x + 1, None -> 2 }",
    ):
        codes = [item.code for item in told(source) if item.severity == "error"]
        assert set(codes) <= {"type.unresolved_ident", "type.unknown_type", "type.array.literal.element_mismatch"}
        assert len(codes) <= 2, source


def test_loading_fails_only_for_errors():
    source = "fn f() {\n  1\n  ()\n}"
    with reml.Context() as context:
        context.load(source)
        assert [item.severity for item in context.diagnostics] == ["warning"]
    with reml.Context(warnings_as_errors=True) as context, pytest.raises(reml.LoadError) as caught:
        context.load(source)
    assert [item.severity for item in caught.value.diagnostics] == ["error"]


# --- codes ------------------------------------------------------------------------------------------------------------------


def test_codes_have_the_domains_of_the_reference():
    domains = {"syntax", "type", "effect", "pattern", "module", "target", "runtime", "ffi", "async", "conductor"}
    rows = re.findall(r'^CODE\(\w+, "([^"]+)", "(\w+)", RL_(\w+)\)', CODES.read_text(), re.MULTILINE)
    assert {domain for _, domain, _ in rows} <= domains
    assert len({code for code, _, _ in rows}) == len(rows)
    warnings = {code for code, _, severity in rows if severity == "WARNING"}
    assert {"W6101", "W6102", "language.use.core_unavailable", "language.attribute.unknown", "type.unused.must_use",
            "language.statement.unused_value", "pattern.exhaustiveness.missing", "pattern.unreachable_arm",
            "pattern.guard.if_deprecated", "effects.unsafe.release_missing", "effects.unhandled_at_entry", "E1301",
            "effects.stage.promote_without_checks"} == warnings  # fmt: skip
    assert {code for code, _, severity in rows if severity == "HINT"} == {
        "language.attribute.unchecked", "effects.unsafe.unused", "async.await.redundant",
    }  # fmt: skip
