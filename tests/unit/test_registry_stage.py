"""Stages and requirements (CONTRACTS 0.3)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reml_embed._ffi import ffi, lib
from reml_embed.registry.stage import AtLeast, Exact, InvalidStageError, StageId, StageRequirement

STAGES = list(StageId)
stages = st.sampled_from(STAGES)
requirements = st.builds(StageRequirement, st.sampled_from(["exact", "at_least"]), stages)


def test_stage_order_is_experimental_beta_stable():
    assert [stage.value for stage in sorted(STAGES, reverse=True)] == ["stable", "beta", "experimental"]
    assert StageId.EXPERIMENTAL < StageId.BETA < StageId.STABLE
    assert [stage.next for stage in STAGES] == [StageId.BETA, StageId.STABLE, None]


@pytest.mark.parametrize(
    "text", ["alpha", "", " ", "Stabl", "beta ga", "at_least:alpha", "exact(alpha)", "atleast alpha"]
)
def test_alpha_is_rejected_with_config_invalid_stage(text):
    with pytest.raises(InvalidStageError) as caught:
        StageRequirement.parse(text)
    assert caught.value.code == "config.invalid_stage"
    with pytest.raises(InvalidStageError):
        StageId.parse(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("exact:beta", Exact("beta")), ("at_least:beta", AtLeast("beta")), ("at_least beta", AtLeast("beta")),
     ("atleast(beta)", AtLeast("beta")), ("exact(beta)", Exact("beta")), ("beta", Exact("beta")), ("Stable", Exact("stable")),
     ("at_least(stable)", AtLeast("stable")), (" exact : beta ", Exact("beta"))],
)  # fmt: skip
def test_readers_accept_every_form_of_a_requirement(text, wanted):
    assert StageRequirement.parse(text) == wanted


@pytest.mark.parametrize(
    "text", ["exactbeta", "exact:", "exact(beta", "at_least:beta:stable", "least:beta", "exact:beta)", "at_leastbeta"]
)
def test_other_forms_are_refused(text):
    with pytest.raises(InvalidStageError):
        StageRequirement.parse(text)


def test_requirements_are_written_with_their_mode_and_stages_plain():
    assert str(Exact("beta")) == "exact:beta"
    assert str(AtLeast(StageId.STABLE)) == "at_least:stable"
    assert str(StageId.EXPERIMENTAL) == "experimental"


def test_the_prefix_of_an_actual_stage_is_stripped():
    """Only ``bridge_stage_verified`` writes an actual stage in the form of a requirement."""
    assert StageId.parse_actual("at_least:beta") is StageId.BETA
    assert StageId.parse_actual("beta") is StageId.BETA


def test_exact_needs_equality_and_at_least_needs_no_less():
    for actual, wanted in itertools.product(STAGES, STAGES):
        assert Exact(wanted).satisfied_by(actual) == (actual is wanted)
        assert AtLeast(wanted).satisfied_by(actual) == (actual.rank >= wanted.rank)


@given(requirements)
def test_printing_and_parsing_are_inverse(requirement):
    assert StageRequirement.parse(str(requirement)) == requirement


@given(stages, stages, stages)
def test_the_order_is_total(a, b, c):
    assert (a < b) + (a == b) + (b < a) == 1
    assert not (a < b and b < c) or a < c
    assert (a <= b) == (a.rank <= b.rank)


@given(requirements, requirements, stages)
def test_meet_is_the_conjunction(left, right, actual):
    both = left.meet(right)
    wanted = left.satisfied_by(actual) and right.satisfied_by(actual)
    assert wanted == (both is not None and both.satisfied_by(actual))


@given(requirements, requirements, requirements)
def test_implication_is_a_preorder_and_agrees_with_meet(a, b, c):
    assert a.implies(a)
    assert not (a.implies(b) and b.implies(c)) or a.implies(c)
    meet = a.meet(b)
    assert a.implies(b) == (meet is not None and meet.stages == a.stages)


@given(stages, requirements)
def test_a_higher_stage_never_breaks_at_least(actual, requirement):
    if requirement.mode == "at_least" and requirement.satisfied_by(actual):
        assert all(requirement.satisfied_by(stage) for stage in STAGES if stage >= actual)


@given(
    st.one_of(
        st.text(max_size=30),
        requirements.map(str),
        st.sampled_from(["at_least beta", "atleast(beta)", "exact(stable)", "beta"]),
    ),
    stages,
)
def test_the_library_reads_requirements_alike(text, actual):
    """The second implementation of the rule, in C, agrees on every text without a NUL; case and blanks are Python's leniency."""
    if "\0" in text or text != text.strip().lower():
        return
    try:
        mine = StageRequirement.parse(text)
    except InvalidStageError:
        mine = None
    theirs = lib.reml_capability_requirement_parse(ffi.new("char[]", text.encode("utf-8", "surrogatepass")))
    assert (mine is None) == (theirs < 0), text
    if mine is not None:
        assert ffi.string(lib.reml_capability_requirement_text(theirs)).decode() == str(mine)
        assert bool(lib.reml_capability_satisfies(actual.rank, theirs)) == mine.satisfied_by(actual)
