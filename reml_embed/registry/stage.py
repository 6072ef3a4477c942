"""
Stages and what may be asked of them (CONTRACTS 0.3): pure values, compared, parsed and printed in one place.

The order is experimental < beta < stable. A requirement is printed ``exact:beta`` or ``at_least:beta``.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from typing import Literal

from reml_embed.errors import RemlError

Mode = Literal["exact", "at_least"]


class InvalidStageError(RemlError, ValueError):
    """
    A text that is no stage or no requirement (``alpha``, ``exactly:beta``).

    Attributes:
        code: ``config.invalid_stage``.
        text: what was given.
    """

    code = "config.invalid_stage"

    def __init__(self, text: str, what: str = "stage") -> None:
        super().__init__(f"`{text}` is no {what} (known: {', '.join(stage.value for stage in StageId)})")
        self.text = text


@functools.total_ordering
class StageId(enum.Enum):
    """How far something has come; ordered."""

    EXPERIMENTAL = "experimental"
    BETA = "beta"
    STABLE = "stable"

    @property
    def rank(self) -> int:
        """0, 1 or 2."""
        return _ORDER.index(self)

    @property
    def next(self) -> StageId | None:
        """The stage that a promotion leads to; None after stable."""
        return _ORDER[self.rank + 1] if self.rank + 1 < len(_ORDER) else None

    @classmethod
    def parse(cls, text: str | StageId) -> StageId:
        """
        A stage from its name, in upper or lower case.

        Raises:
            InvalidStageError: it is none.
        """
        if isinstance(text, StageId):
            return text
        try:
            return cls(text.strip().lower())
        except (ValueError, AttributeError):
            raise InvalidStageError(str(text)) from None

    @classmethod
    def parse_actual(cls, text: str | StageId) -> StageId:
        """
        The stage that a record calls the actual one: plain, or, in ``bridge_stage_verified`` only, in the form of a requirement, whose
        mode is dropped.
        """
        return text if isinstance(text, StageId) else StageRequirement.parse(text).stage

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, StageId):
            return NotImplemented
        return self.rank < other.rank

    def __str__(self) -> str:
        return self.value


_ORDER = tuple(StageId)
_FORM = re.compile(r"\s*(exact|at_?least)\s*(?::\s*(\w+)|\(\s*(\w+)\s*\)|\s(\w+))\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StageRequirement:
    """
    What is asked of a stage.

    Attributes:
        mode: ``exact`` or ``at_least``.
        stage: which one.
    """

    mode: Mode
    stage: StageId

    @classmethod
    def exact(cls, stage: StageId | str) -> StageRequirement:
        """Exactly that stage."""
        return cls("exact", StageId.parse(stage))

    @classmethod
    def at_least(cls, stage: StageId | str) -> StageRequirement:
        """That stage or a higher one."""
        return cls("at_least", StageId.parse(stage))

    @classmethod
    def parse(cls, text: str | StageRequirement | StageId) -> StageRequirement:
        """
        A requirement from its text: ``exact:beta``, ``at_least:beta``, and as they are found elsewhere ``at_least beta``,
        ``atleast(beta)``, ``exact(beta)`` and bare ``beta`` (exactly that).

        Raises:
            InvalidStageError: it is none.
        """
        if isinstance(text, StageRequirement):
            return text
        if isinstance(text, StageId):
            return cls("exact", text)
        found = _FORM.fullmatch(text)
        if not found:
            return cls("exact", StageId.parse(text))
        stage = found[2] or found[3] or found[4]
        return cls("exact" if found[1].lower() == "exact" else "at_least", StageId.parse(stage))

    def satisfied_by(self, actual: StageId) -> bool:
        """Is *actual* good enough?"""
        return actual == self.stage if self.mode == "exact" else actual >= self.stage

    @property
    def stages(self) -> frozenset[StageId]:
        """Every stage that is good enough; never empty."""
        return frozenset(stage for stage in StageId if self.satisfied_by(stage))

    def implies(self, other: StageRequirement) -> bool:
        """Does whatever satisfies this one satisfy *other*, too?"""
        return self.stages <= other.stages

    def meet(self, other: StageRequirement) -> StageRequirement | None:
        """The requirement that asks for both; None when no stage satisfies both."""
        both = self.stages & other.stages
        if not both:
            return None
        if StageId.STABLE in both and len(both) > 1:
            return StageRequirement("at_least", min(both))
        return self if self.stages == both else other if other.stages == both else StageRequirement("exact", min(both))

    def __str__(self) -> str:
        return f"{self.mode}:{self.stage}"


def Exact(stage: StageId | str) -> StageRequirement:
    """Exactly that stage."""
    return StageRequirement.exact(stage)


def AtLeast(stage: StageId | str) -> StageRequirement:
    """That stage or a higher one."""
    return StageRequirement.at_least(stage)
