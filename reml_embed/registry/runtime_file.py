"""
The runtime capability file (CONTRACTS 4.6): which stage a runtime asks of code, and which capabilities it offers, per target.

``{stage, capabilities[], overrides: {triple: {stage, capabilities[]}}}``. The stage that counts is the first of: ``--effect-stage``, the
variable ``REMLC_EFFECT_STAGE``, the override for the target, the file's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reml_embed.audit.ids import now
from reml_embed.registry._shape import FileError, Reader, read_json
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.stage import InvalidStageError, StageId

VARIABLE = "REMLC_EFFECT_STAGE"
#: Where it lies when nobody names another one.
DEFAULT_PATH = Path(".reml") / "runtime-capabilities.json"


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What a runtime offers.

    Attributes:
        stage: None: nothing is asked of code.
        capabilities: None: every enabled one.
    """

    stage: StageId | None = None
    capabilities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RuntimeFile:
    """
    A runtime capability file.

    Attributes:
        path: where it lies.
        offer: what it says for every target.
        overrides: triple → what it says for that one.
    """

    path: Path
    offer: Offer
    overrides: dict[str, Offer] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, registry: CapabilityRegistry | None = None) -> RuntimeFile:
        """
        The file at *path*.

        Args:
            registry: in which its capabilities have to be registered; None: they are not looked up.

        Raises:
            FileError: it cannot be read or is not what it should be.
        """
        try:
            given = Reader(read_json(path), file=path)
        except FileNotFoundError:
            raise FileError("no such file", code="capability.file.io_error", file=path) from None
        given.only("stage", "capabilities", "overrides")
        overrides = Reader(given.get("overrides", dict, {}), "$.overrides", path)
        rows = {name: overrides.child(name) for name in overrides.value}
        for row in rows.values():
            row.only("stage", "capabilities")
        return cls(path, _offer(given, registry), {name: _offer(row, registry) for name, row in rows.items()})

    def for_target(self, triple: str | None) -> Offer:
        """What it says for a target: its override where there is one, the rest from the file."""
        more = self.overrides.get(triple or "", Offer())
        return Offer(
            more.stage or self.offer.stage,
            self.offer.capabilities if more.capabilities is None else more.capabilities,
        )


def _offer(given: Reader, registry: CapabilityRegistry | None) -> Offer:
    text = given.get("stage", str, None)
    try:
        stage = None if text is None else StageId.parse(text)
    except InvalidStageError as error:
        raise given.wrong(error.message, "stage", code=error.code) from None
    if given.value.get("capabilities") is None:
        return Offer(stage)
    names = given.texts("capabilities")
    for index, name in enumerate(names):
        if registry is not None and name not in registry:
            raise FileError(
                f"capability {name} is not registered", code="runtime.capability.unknown", file=given.file,
                key_path=f"{given.path}.capabilities[{index}]",
            )  # fmt: skip
    return Offer(stage, tuple(names))


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    Which stage counts, and why.

    Attributes:
        stage: None: nobody names one.
        capabilities: what is offered; None: every enabled one.
        trace: ``{source, stage}`` of everybody who names a stage, the one that counts first. Sources: ``cli``, ``env``,
            ``override:<triple>``, ``json``.
    """

    stage: StageId | None
    capabilities: tuple[str, ...] | None
    trace: tuple[dict[str, str], ...]


def environment_stage() -> StageId | None:
    """
    The stage that ``REMLC_EFFECT_STAGE`` names; None when it is not set, or empty.

    Raises:
        FileError: it is no stage; ``file`` is the variable's name.
    """
    text = os.environ.get(VARIABLE)
    try:
        return StageId.parse(text) if text else None
    except InvalidStageError as error:
        raise FileError(error.message, code=error.code, file=VARIABLE) from None


def resolve(cli: StageId | None, env: StageId | None, file: RuntimeFile | None, triple: str | None = None) -> Resolved:
    """Who counts: the command line, then the environment, then the file with its override for the target."""
    override = file.overrides.get(triple or "") if file else None
    named = (
        ("cli", cli),
        ("env", env),
        (f"override:{triple}", override.stage if override else None),
        ("json", file.offer.stage if file else None),
    )
    trace = tuple({"source": source, "stage": stage.value} for source, stage in named if stage is not None)
    stage = next((stage for _, stage in named if stage is not None), None)
    return Resolved(stage, file.for_target(triple).capabilities if file else None, trace)


def validation_report(
    paths: Iterable[Path], registry: CapabilityRegistry, *, cli: StageId | None = None, triple: str | None = None,
    timestamp: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """
    Check runtime capability files.

    Returns:
        ``{timestamp, checked_files[], stage_summary{cli, env, json, runtime_candidates}, stage_trace[], validation{status, errors[]}}``; an
        error is ``{file, key_path, line, code, message}``, *status* is ``ok`` or ``error``. *json* is the stage of the last good file,
        *runtime_candidates* what the files offer: ``{file, target, stage}`` with ``*`` for every target. Never raises for bad files.
    """
    checked: list[str] = []
    errors: list[dict[str, Any]] = []
    candidates: list[dict[str, Any]] = []
    last: RuntimeFile | None = None
    env: StageId | None = None
    try:
        env = environment_stage()
    except FileError as error:
        errors.append(_error(error))
    for path in paths:
        checked.append(str(path))
        try:
            last = RuntimeFile.read(path, registry)
        except FileError as error:
            errors.append(_error(error))
            continue
        for target, offer in (("*", last.offer), *sorted(last.overrides.items())):
            if offer.stage is not None:
                candidates.append({"file": str(path), "target": target, "stage": offer.stage.value})
    resolved = resolve(cli, env, last, triple)
    return {
        "timestamp": timestamp or now(),
        "checked_files": checked,
        "stage_summary": {
            "cli": cli.value if cli else None,
            "env": env.value if env else None,
            "json": last.offer.stage.value if last and last.offer.stage else None,
            "runtime_candidates": candidates,
        },
        "stage_trace": list(resolved.trace),
        "validation": {"status": "error" if errors else "ok", "errors": errors},
    }


def _error(error: FileError) -> dict[str, Any]:
    return {
        "file": error.file,
        "key_path": error.key_path,
        "line": error.line,
        "code": error.code,
        "message": error.detail,
    }
