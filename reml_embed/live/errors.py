"""
Why a reload or its way back failed (CONTRACTS 11)::

    RemlError
    └── ReloadError              kind, audit_id, rollback, diagnostics
        ├── ValidationFailed     step compare: the difference is dangerous, or has another format
        ├── ApplyFailed          step apply: it does not fit, or the parser refuses what comes out
        ├── AuditIncomplete      step audit: a mandatory record or audit id is missing
        └── RollbackFailed       there is no way back
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from reml_embed.errors import RemlError

if TYPE_CHECKING:
    from reml_embed.diagnostics import Diagnostic
    from reml_embed.live.state import RollbackInfo


class ReloadError(RemlError):
    """
    A reload, or a rollback, that did not happen; what was running runs on.

    Attributes:
        kind: name of the class, as the contract lists them.
        audit_id: of the action; its records and diagnostics have the same.
        rollback: what `rollback` needs; None: there is nothing to go back from.
        diagnostics: what was found.
        code: of the first diagnostic.
    """

    kind: ClassVar[str] = "ReloadError"
    default_code: ClassVar[str] = "bridge.contract.violation"

    def __init__(self, message: str, *, audit_id: str = "", rollback: RollbackInfo | None = None,
                 diagnostics: tuple[Diagnostic, ...] = ()) -> None:  # fmt: skip
        super().__init__(message)
        self.audit_id, self.rollback, self.diagnostics = audit_id, rollback, diagnostics

    @property
    def code(self) -> str:
        """Code of the first diagnostic."""
        return str(self.diagnostics[0].code) if self.diagnostics else self.default_code


class ValidationFailed(ReloadError):
    """The difference is dangerous (``bridge.diff.rejected``) or has another format (``bridge.diff.invalid``)."""

    kind = "ValidationFailed"


class ApplyFailed(ReloadError):
    """The difference does not fit the value, or the parser refuses what comes out."""

    kind = "ApplyFailed"


class RollbackFailed(ReloadError):
    """There is nothing to go back to, or it cannot be put back."""

    kind = "RollbackFailed"


class AuditIncomplete(ReloadError):
    """A mandatory record was not taken, or there is no audit id: so nothing was changed."""

    kind = "AuditIncomplete"
    default_code = "bridge.audit.missing_event"
