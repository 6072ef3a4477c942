"""Loading: what is wrong is told as a compiler tells it, and changes nothing."""
# covers: 3.1, 3.6, 8.11, 9.1

import pytest

import reml_embed as reml

BROKEN = 'fn good() -> Int = 1\nfn bad() -> Int = "text"\nfn worse() -> Int = unknown\n'


def test_a_module_offers_its_functions_by_name(context):
    module = context.load('module Shop.Orders\nfn total(a: Int, b: Int) -> Int = a + b\nfn name() -> Str = "n"\n')
    assert module.name == "Shop.Orders"
    assert list(module) == ["total", "name"]
    assert module.signatures == {"total": "(Int, Int) -> Int", "name": "() -> Str"}
    assert "total" in module
    assert "nothing" not in module
    assert len(module) == 2
    assert module["total"] is module["total"]


def test_every_error_of_a_source_is_told_at_once(context):
    with pytest.raises(reml.LoadError) as caught:
        context.load(BROKEN, name="orders.reml")
    error = caught.value
    assert [diagnostic.line for diagnostic in error.diagnostics] == [2, 3]
    first = error.diagnostics[0]
    assert (first.severity, first.code, first.domain, first.column) == ("error", "type.mismatch", "type", 19)
    assert first.primary.start_line == 2
    assert first.primary.byte_start == BROKEN.index('"text"')
    assert error.code == "type.mismatch"
    assert error.message.startswith("2:19: type.mismatch: ")
    assert "orders.reml:2:19" in str(error)
    assert '2 | fn bad() -> Int = "text"' in str(error)
    assert "\x1b[" not in str(error)
    assert "\x1b[" in error.coloured


def test_a_failed_load_changes_nothing(context):
    module = context.load("module A\nfn f() -> Int = 1\n")
    with pytest.raises(reml.LoadError):
        context.load(BROKEN)
    assert module["f"]() == 1
    assert [path for path, _ in context.functions()] == ["A.f"]
    with pytest.raises(reml.UnknownFunctionError):
        context.function("good")


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "source is empty"), (b'fn f() -> Str = "\xff"', "UTF-8"), ('fn f() -> Str = "\ud800"', "UTF-8")],
)
def test_sources_that_are_none_are_refused(context, source, message):
    with pytest.raises(reml.RemlError, match=message):
        context.load(source)


def test_a_file_is_named_in_its_diagnostics(context, tmp_path):
    file = tmp_path / "broken.reml"
    file.write_text(BROKEN, encoding="utf-8")
    with pytest.raises(reml.LoadError, match=r"broken\.reml:2:19"):
        context.load(file)
    with pytest.raises(FileNotFoundError):
        context.load(tmp_path / "missing.reml")


def test_checking_tells_without_adding(context):
    assert context.check("fn f() -> Int = 1\n") == []
    found = context.check(BROKEN)
    assert [diagnostic.code for diagnostic in found][0] == "type.mismatch"
    assert context.functions() == []


def test_a_module_name_can_be_taken_once(context):
    context.load("module A\nfn f() -> Int = 1\n")
    with pytest.raises(reml.LoadError) as caught:
        context.load("module A\nfn g() -> Int = 2\n")
    assert caught.value.code == "language.duplicate_definition"


def test_ambient_items_need_no_use(context):
    context.load("module Tools\npub fn twice(x: Int) -> Int = 2 * x\n", ambient=True)
    assert context.load("module User\nfn f() -> Int = twice(4)\n")["f"]() == 8


def test_strict_options_turn_warnings_into_errors():
    source = "type T = | A | B\nfn f(t: T) -> Int = match t with | A -> 1\n"
    with reml.Context() as lax:
        lax.load(source)
        assert [diagnostic.severity for diagnostic in lax.diagnostics] == ["warning"]
    for option in ({"deny_non_exhaustive": True}, {"warnings_as_errors": True}):
        with reml.Context(**option) as strict, pytest.raises(reml.LoadError):
            strict.load(source)
    with reml.Context(strict_top_level=True) as strict, pytest.raises(reml.LoadError):
        strict.load('println("hi")\n')


def test_diagnostics_keep_members_that_we_do_not_know():
    from reml_embed.diagnostics import from_json

    made = from_json({"severity": "hint", "code": "x.y", "message": "m", "new": 1})
    assert made.json["new"] == 1
    assert str(made) == "hint[x.y]: m"


def test_parts_of_diagnostics_are_typed(context):
    with pytest.raises(reml.LoadError) as caught:
        context.load("fn main( = 1\n")
    (diagnostic,) = caught.value.diagnostics
    assert "`)`" in diagnostic.expected
    assert all(isinstance(note, reml.Note) for note in diagnostic.notes)
    assert str(diagnostic).startswith("1:10: error[parser.syntax.expected_tokens]: ")
