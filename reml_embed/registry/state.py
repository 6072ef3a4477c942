"""
What an operator decided about capabilities (CONTRACTS 4.6): the file ``.reml/capabilities.json`` of a directory.

``{"schema_version": …, "capabilities": {id: {stage, enabled, promoted_at, audit_id}}}``. It is written atomically and read anew for every
question. ``reml run`` and ``reml check`` in that directory honour it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.effects import StageChecks
from reml_embed.registry._shape import FileError, key, locked, read_rows, write_json
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.errors import CapabilityError, NotRegistered, StageViolation
from reml_embed.registry.stage import InvalidStageError, StageId, StageRequirement


class PromotionError(CapabilityError):
    """
    A promotion that its stage checks do not allow.

    Attributes:
        code: ``effects.stage.promote_without_checks``.
        reason: which check is missing.
    """

    KIND, MEANING = 8, "a promotion that its stage checks do not allow"

    def __init__(self, id: str, reason: str) -> None:
        super().__init__(id, detail=reason)
        self.reason = reason

    def code(self) -> str:
        """``effects.stage.promote_without_checks``."""
        return "effects.stage.promote_without_checks"

    @property
    def diagnostic(self) -> str:
        """The same."""
        return self.code()


@dataclass(frozen=True, slots=True)
class CapabilityState:
    """
    What was decided about one capability.

    Attributes:
        stage: where it stands.
        enabled: may it be used?
        promoted_at: when it was promoted to that stage, RFC 3339; None when it was not.
        audit_id: of the record that tells of the last decision.
    """

    stage: StageId
    enabled: bool
    promoted_at: str | None
    audit_id: str

    def to_json(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "stage": self.stage.value,
            "enabled": self.enabled,
            "promoted_at": self.promoted_at,
            "audit_id": self.audit_id,
        }


class StateFile:
    """
    The decisions of one directory.

    Args:
        directory: in which ``.reml`` lies, or will.
    """

    def __init__(self, directory: str | Path = ".") -> None:
        self.path = Path(directory) / ".reml" / "capabilities.json"
        self.checks = StageChecks(directory)

    def read(self) -> dict[str, CapabilityState]:
        """
        Id → decision, in the order of the file; empty without a file.

        Raises:
            FileError: it cannot be read or is not what it should be: ``file``, ``key_path``, ``line``, ``code`` say where and why.
        """
        found: dict[str, CapabilityState] = {}
        for name, row in read_rows(self.path, "capabilities").items():
            row.only("stage", "enabled", "promoted_at", "audit_id")
            try:
                stage = StageId.parse(row.get("stage", str))
            except InvalidStageError as error:
                raise row.wrong(error.message, "stage", code=error.code) from None
            promoted = row.get("promoted_at", str, None)
            found[name] = CapabilityState(stage, row.get("enabled", bool), promoted, row.get("audit_id", str))
        return found

    def _write(self, states: dict[str, CapabilityState]) -> None:
        rows = {name: states[name].to_json() for name in sorted(states)}
        write_json(self.path, {"schema_version": SCHEMA_VERSION, "capabilities": rows})

    def apply(self, registry: CapabilityRegistry) -> None:
        """
        Let *registry* stand as was decided. What is enabled here counts as opted in to.

        Raises:
            FileError: of `read`; or the file names an id that nobody registered (code ``runtime.capability.unknown``).
        """
        for name, state in self.read().items():
            try:
                registry.set_stage(name, state.stage)
                if state.enabled:
                    registry.enable(name)
                else:
                    registry.disable(name)
            except NotRegistered as error:
                place = key("$.capabilities", name)
                raise FileError(error.detail(), code=error.code(), file=self.path, key_path=place) from None

    # --- decisions ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _now(registry: CapabilityRegistry, states: dict[str, CapabilityState], id: str) -> tuple[StageId, StageId]:
        """Where a capability stands, and the highest stage that it reached: registered, or promoted to."""
        registered = registry.describe(id).stage
        state = states.get(id)
        if state is None:
            return registered, registered
        return state.stage, max(registered, state.stage) if state.promoted_at else registered

    def _decide(
        self, id: str, decide: Callable[[dict[str, CapabilityState]], CapabilityState], log: Callable[[CapabilityState], str],
    ) -> CapabilityState:  # fmt: skip
        """Record a decision, then write it: what cannot be recorded does not happen."""
        with locked(self.path):
            states = self.read()
            state = decide(states)
            state = replace(state, audit_id=log(state))
            self._write(states | {id: state})
        return state

    def enable(
        self,
        registry: CapabilityRegistry,
        id: str,
        stage: StageId | str | None,
        log: Callable[[CapabilityState], str],
    ) -> CapabilityState:
        """
        Enable a capability, at a stage not above the one that it reached; by default where it stands.

        Args:
            registry: with the built-in stages.
            log: writes the record of the decision and answers its audit id.

        Raises:
            NotRegistered; StageViolation: *stage* is above what it reached; FileError.
        """

        def decide(states: dict[str, CapabilityState]) -> CapabilityState:
            current, reached = self._now(registry, states, id)
            wanted = current if stage is None else StageId.parse(stage)
            if wanted > reached:
                raise StageViolation(id, StageRequirement.at_least(wanted), reached, registry.describe(id))
            before = states.get(id)
            promoted = before.promoted_at if before and before.stage == wanted else None
            return CapabilityState(wanted, enabled=True, promoted_at=promoted, audit_id="")

        return self._decide(id, decide, log)

    def disable(self, registry: CapabilityRegistry, id: str, log: Callable[[CapabilityState], str]) -> CapabilityState:
        """
        Disable a capability: no check of it passes from now on.

        Raises:
            NotRegistered; FileError.
        """

        def decide(states: dict[str, CapabilityState]) -> CapabilityState:
            current, _ = self._now(registry, states, id)
            before = states.get(id)
            return CapabilityState(
                current, enabled=False, promoted_at=before.promoted_at if before else None, audit_id=""
            )

        return self._decide(id, decide, log)

    def stage(self, registry: CapabilityRegistry, id: str) -> StageId:
        """
        Where a capability stands in this directory.

        Raises:
            NotRegistered; FileError.
        """
        return self._now(registry, self.read(), id)[0]

    def promote(
        self, registry: CapabilityRegistry, id: str, to: StageId | str, timestamp: str,
        log: Callable[[StageId, CapabilityState], str],
    ) -> tuple[StageId, CapabilityState]:  # fmt: skip
        """
        Promote a capability to the next stage: experimental → beta → stable, one step at a time.

        Args:
            timestamp: becomes ``promoted_at``.
            log: writes the record; it is given the stage before.

        Returns: the stage before, and the decision.

        Raises:
            NotRegistered.
            StageViolation: *to* is not the next stage.
            PromotionError: no passing test run is recorded for the stage where it stands, or diagnostics are open.
            FileError, reml_embed.effects.StageCheckFileError: a file cannot be read or written.
        """
        before: list[StageId] = []

        def decide(states: dict[str, CapabilityState]) -> CapabilityState:
            current, _ = self._now(registry, states, id)
            wanted = StageId.parse(to)
            if current.next is not wanted:
                steps = f"the next stage is {current.next}" if current.next else "it is the last stage"
                raise StageViolation(
                    id, StageRequirement.exact(wanted), current, registry.describe(id),
                    detail=f"stage {current} cannot be promoted to {wanted}: {steps}",
                )  # fmt: skip
            reason = self.checks.why_not(id, current.value)
            if reason is not None:
                raise PromotionError(id, reason)
            before.append(current)
            state = states.get(id)
            return CapabilityState(wanted, enabled=state.enabled if state else True, promoted_at=timestamp, audit_id="")

        state = self._decide(id, decide, lambda made: log(before[0], made))
        return before[0], state
