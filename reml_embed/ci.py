"""The event of a test run: one flat line for dashboards (CONTRACTS 5.5)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from reml_embed.audit import StructuredLog
from reml_embed.registry.target import Target, host_target

#: What `ci_event` counts, by the beginning of a code: the figures of CONTRACTS 5.5.
CI_FIGURES = {"target_config_errors": "target.", "effects_cfg_contract": "effects.contract."}


def ci_event(errors: Iterable[str], duration_ms: float, target: Target | None = None) -> dict[str, Any]:
    """
    The flat event of a test run: ``{event: "reml.test", target, features, diagnostics, duration_ms}`` (CONTRACTS 5.5).

    Args:
        errors: codes of the errors that were found, each as often as it was.
        duration_ms: how long the run took.
        target: what the code was made for; by default this machine. The event has its profile, or else its triple.
    """
    codes, made_for = list(errors), target or host_target()
    return {
        "event": "reml.test",
        "target": made_for.profile_id or made_for.triple or made_for.os,
        "features": sorted(made_for.features),
        "diagnostics": {
            name: sum(code.startswith(beginning) for code in codes) for name, beginning in CI_FIGURES.items()
        },
        "duration_ms": round(duration_ms, 3),
    }


def log_ci_event(event: dict[str, Any], log: StructuredLog | str | os.PathLike[str] | None = None) -> bool:
    """
    Write *event* to *log*, else to the file that ``REML_EMBED_STRUCTURED_LOG`` names; False: there is none.

    Raises:
        OSError: the file cannot be written.
    """
    target = log if log is not None else os.environ.get("REML_EMBED_STRUCTURED_LOG") or None
    if target is None:
        return False
    (target if isinstance(target, StructuredLog) else StructuredLog(target)).json(event)
    return True
