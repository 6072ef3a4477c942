"""What a command found, as one JSON object (CONTRACTS 21): ``{schema_version, command, phase, run_id, diagnostics, summary, exit_code}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.diagnostics.shape import Json

COMMANDS: Final = ("Build", "Test", "Fmt", "Check", "Publish", "New", "Lint", "Diff", "Reload", "Embed")
PHASES: Final = ("Parsing", "TypeCheck", "EffectCheck", "Codegen", "Execution", "Formatting", "Reporting")

#: The phase that a source does not leave when it has an error of this domain; others fail in the last phase of the command.
PHASE_OF: Final = {
    "syntax": "Parsing", "regex": "Parsing", "template": "Parsing", "type": "TypeCheck", "pattern": "TypeCheck", "module": "TypeCheck",
    "target": "TypeCheck", "ffi": "TypeCheck", "async": "TypeCheck", "conductor": "TypeCheck", "effect": "EffectCheck",
}  # fmt: skip


def phase_of(diagnostics: Iterable[Mapping[str, Any]], *, last: str = "Execution") -> str:
    """The phase in which work ended: the earliest that has an error, else *last*."""
    failed = {
        last if item.get("stack") is not None else PHASE_OF.get(str(item.get("domain")), last)
        for item in diagnostics
        if item.get("severity") == "error"
    }
    return min(failed, key=PHASES.index, default=last)


def exit_code(value: int) -> dict[str, Json]:
    """``{label, value}``: ``success`` for 0, ``failure`` for the rest."""
    return {"label": "success" if value == 0 else "failure", "value": value}


def envelope(
    command: str, *, phase: str, run_id: str, diagnostics: Sequence[Mapping[str, Any]], inputs: Sequence[str], started_at: str,
    finished_at: str, value: int, artifact: str | None = None, stats: Mapping[str, Json] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """
    The object: *command* is one of `COMMANDS`, *phase* one of `PHASES`, *value* the exit code; *stats* are facts of this command, added to
    ``errors`` and ``warnings``, the numbers of the diagnostics shown.
    """
    if command not in COMMANDS or phase not in PHASES:
        raise ValueError(f"no such command or phase: {command}, {phase}")
    severities = [item["severity"] for item in diagnostics]
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "phase": phase,
        "run_id": run_id,
        "diagnostics": list(diagnostics),
        "summary": {
            "inputs": list(inputs), "started_at": started_at, "finished_at": finished_at, "artifact": artifact,
            "stats": {"errors": severities.count("error"), "warnings": severities.count("warning"), **(stats or {})},
        },
        "exit_code": exit_code(value),
    }  # fmt: skip
