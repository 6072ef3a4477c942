"""
Reload and rollback of a bridge (guide §2; CONTRACTS 11).

The four steps of the guide: 1 the difference is checked, dangerous ones are refused → 2 `apply_diff` and the parser build what is new
→ 3 ``parser.reload`` is recorded → 4 on failure there is a `RollbackInfo`. One audit id runs through records, diagnostics, error and state.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from reml_embed.audit.context import AuditContext, StructuredLog
from reml_embed.audit.ids import new_id
from reml_embed.audit.sinks import FileSink
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.diagnostics import Diagnostic
from reml_embed.diagnostics.emission import build
from reml_embed.errors import RemlError
from reml_embed.live import difference
from reml_embed.live.difference import Converters, Difference, FormatError
from reml_embed.live.errors import ApplyFailed, AuditIncomplete, ReloadError, RollbackFailed, ValidationFailed
from reml_embed.live.state import ReloadState, RollbackInfo, now_ms
from reml_embed.metrics import Histogram, RuntimeMetrics, StageVerifier, emit_metrics
from reml_embed.registry.bridge import CAPABILITY
from reml_embed.registry.bridge_shape import ReloadSpec, ReloadUnsupported
from reml_embed.registry.stage import AtLeast, Exact, StageId, StageRequirement

__all__ = [
    "ApplyFailed", "AuditIncomplete", "ReloadError", "ReloadSpec", "ReloadState", "RollbackFailed", "RollbackInfo", "ValidationFailed",
    "metrics", "reload", "rollback",
]  # fmt: skip

T = TypeVar("T")
#: Builds the new parser or configuration from plain data, and refuses by raising; what it answers is `ReloadState.built`.
Parser = Callable[[Any], object]
#: Puts a state in its place for good, unless the block inside fails: then the old one is back.
Commit = Callable[[ReloadState[Any]], AbstractContextManager[object]]


class Log(Protocol):
    """Where records go: `reml_embed.audit.AuditContext`, or the trail of a command."""

    def log(
        self, event: str, payload: Mapping[str, Any] | None = None, *, category: str | None = None, capability: str | None = None,
        metadata: Mapping[str, Any] | None = None, change_set: Mapping[str, Any] | None = None, audit_id: str | None = None,
    ) -> str:  # fmt: skip
        """Write one record; its audit id."""


# --- numbers ----------------------------------------------------------------------------------------------------------


class _Numbers:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.latency = Histogram()
        self.failures = 0
        self.began = time.monotonic()


_numbers = _Numbers()


def metrics() -> dict[str, Any]:
    """``reload.latency_ms`` (histogram: buckets, count, sum_ms) and ``reload.failures_total`` of this process."""
    with _numbers.lock:
        latency = _numbers.latency
        shown = {"buckets": dict(latency.cumulative()), "count": latency.count, "sum_ms": latency.sum}
        return {"reload.latency_ms": shown, "reload.failures_total": _numbers.failures}


@contextmanager
def measured(act: Action) -> Iterator[None]:
    """Count what happens inside: how long it takes, and whether it fails."""
    begin, failed = time.perf_counter(), True
    try:
        yield
        failed = False
    finally:
        latency_ms = (time.perf_counter() - begin) * 1000
        with _numbers.lock:
            _numbers.latency.observe(latency_ms)
            _numbers.failures += failed
            count, failures = _numbers.latency.count, _numbers.failures
            minutes = max(time.monotonic() - _numbers.began, 1.0) / 60
        emit_metrics("reload", RuntimeMetrics(
            latency_ms=latency_ms, throughput_per_min=count / minutes, error_rate=failures / count, last_audit_id=act.audit_id,
            custom={"reload.failures_total": failures},
        ), log=act.log, registry=act.registry)  # fmt: skip


# --- one action -------------------------------------------------------------------------------------------------------


@dataclass
class Action:
    """
    One reload or rollback: its id, where it is recorded, and what it says about the bridge.

    Attributes:
        state: what runs now. spec: the contract.
        audit: takes the records. log: takes the flat lines.
        required: the stage that is asked for. capability: of the bridge.
        audit_id: of all of it.
        on_diagnostic: told of each diagnostic.
        registry: says whether ``metrics.emit`` may be used.
    """

    state: ReloadState[Any]
    spec: ReloadSpec
    audit: Log | None
    log: StructuredLog | None
    required: StageRequirement
    capability: str
    audit_id: str
    on_diagnostic: Callable[[Diagnostic], object] | None = None
    registry: StageVerifier | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def metadata(self, **more: Any) -> dict[str, Any]:
        """The bridge group (CONTRACTS 3.3) and more."""
        return {
            "bridge.id": self.state.bridge_id, "bridge.stage.required": str(self.required), "bridge.stage.actual": self.state.stage.value,
            "bridge.capability": self.capability, **more,
        }  # fmt: skip

    def record(self, event: str, payload: Mapping[str, Any] | None = None, *, flat: bool = False, **more: Any) -> None:
        """One record of the action; with *flat* its payload goes to the structured log, too (CONTRACTS 0.4)."""
        if self.audit is not None:
            metadata = self.metadata() | more.pop("metadata", {})
            self.audit.log(
                event,
                payload,
                category="bridge",
                capability=CAPABILITY,
                metadata=metadata,
                audit_id=self.audit_id,
                **more,
            )
        if flat and self.log is not None and payload is not None:
            self.log.json({"event": event, **payload})

    def bridge_event(self, event: str, outcome: str, total: int, *, breaking: bool = False, **more: Any) -> None:
        """``bridge.reload`` or ``bridge.rollback`` with the payload of the contract."""
        state = {"run_id": self.state.run_id, "last_applied_at": self.state.last_applied_at}
        payload: dict[str, Any] = {
            "bridge_id": self.state.bridge_id, "stage": self.state.stage.value, "audit_id": self.audit_id,
            "diff": {"change_set": total, "breaking": breaking}, "state": state, **more,
        }  # fmt: skip
        self.record(event, payload, flat=event == "bridge.reload", metadata={"bridge.reload": outcome})

    def diagnose(self, code: str, message: str, *, expected: str = "", received: str = "", **more: Any) -> Diagnostic:
        """A diagnostic of the bridge (CONTRACTS 12.5); kept, and told."""
        extension: dict[str, Any] = {
            "id": self.state.bridge_id,
            "stage": {"required": str(self.required), "actual": self.state.stage.value},
            "manifest_path": None, "checklist_missing": [],
        }  # fmt: skip
        keys = {"bridge.id": self.state.bridge_id, "bridge.capability": self.capability}
        if expected:
            keys |= {"bridge.diff.expected": expected, "bridge.diff.received": received}
        found = build(code, message, domain="runtime", severity_hint=more.pop("severity_hint", "escalate"),
                      extensions={"bridge": extension} | more.pop("extensions", {}), audit_metadata=keys | more.pop("keys", {}), **more)  # fmt: skip
        self.diagnostics.append(found)
        if self.on_diagnostic is not None:
            self.on_diagnostic(found)
        return found

    def fail(self, cls: type[ReloadError], message: str, info: RollbackInfo | None = None) -> ReloadError:
        """The error of the action, to be raised."""
        return cls(message, audit_id=self.audit_id, rollback=info, diagnostics=tuple(self.diagnostics))


def _action(
    state: ReloadState[Any], spec: ReloadSpec | None, audit: Log | None, log: StructuredLog | str | os.PathLike[str] | None,
    required: StageRequirement | str | None, capability: str | None, audit_id: str | None,
    on_diagnostic: Callable[[Diagnostic], object] | None, registry: StageVerifier | None,
) -> Action:  # fmt: skip
    target = log if log is not None else os.environ.get("REML_EMBED_STRUCTURED_LOG") or None
    lines = target if isinstance(target, StructuredLog) or target is None else StructuredLog(target)
    takes: Log | None = audit
    if takes is None and spec is None and os.environ.get("REML_EMBED_AUDIT_PATH"):
        takes = AuditContext(FileSink(os.environ["REML_EMBED_AUDIT_PATH"]), channel="bridge")
    asked = StageRequirement.parse(required) if required is not None else _requirement(state.stage)
    return Action(
        state,
        spec or ReloadSpec(requires_audit_id=audit is not None),
        audit,
        lines,
        asked,
        capability or CAPABILITY,
        audit_id or new_id(),
        on_diagnostic,
        registry,
    )


def _requirement(stage: StageId) -> StageRequirement:
    return Exact(stage) if stage is StageId.EXPERIMENTAL else AtLeast(stage)


def reload(
    parser: Parser | None, state: ReloadState[T], diff: object, *, audit: Log | None = None,
    log: StructuredLog | str | os.PathLike[str] | None = None, spec: ReloadSpec | None = None, converters: Converters | None = None,
    required: StageRequirement | str | None = None, capability: str | None = None, audit_id: str | None = None, dry_run: bool = False,
    commit: Commit | None = None, on_diagnostic: Callable[[Diagnostic], object] | None = None, registry: StageVerifier | None = None,
) -> ReloadState[T]:  # fmt: skip
    """
    Replace what a bridge runs with, after a checked difference.

    Args:
        parser: builds the new parser or configuration from plain data; None: plain data is all there is. What it answers is `built` of the
            new state. When a later step fails and the policy is Required it is called again with the old value.
        state: what runs now; it stays as it is.
        diff: a SchemaDiff, a ChangeSet, or the JSON of one of them or of ``config diff``.
        audit: takes the records; without it, and without *spec*, $REML_EMBED_AUDIT_PATH names a file, and where that is not set nothing is
            recorded.
        log: takes the flat lines: a log or the path of a file; else $REML_EMBED_STRUCTURED_LOG names one.
        spec: the contract of the bridge; by default a rollback and an audit id are required.
        converters: field → what makes a value of its new type from an old one; such a change of type is not dangerous.
        required: stage that the records name; by default what the stage of the state demands.
        capability: that they name; by default ``core.runtime.bridge``.
        audit_id: of the action; by default a new one.
        dry_run: check everything, change and record nothing.
        commit: see `Commit`; the records are written inside.
        on_diagnostic: told of each diagnostic.
        registry: says whether metrics may be emitted; by default the process's.

    Returns:
        the new state; with *dry_run* the one that it would be.

    Raises:
        ValidationFailed: step 1. ApplyFailed: step 2. AuditIncomplete: step 3. Each with a `RollbackInfo`.
        RollbackFailed: a later step failed, and so did putting the old value back.
    """
    act = _action(state, spec, audit, log, required, capability, audit_id, on_diagnostic, registry)
    if dry_run:
        act.audit = act.log = None
        return _Reload(act, parser or (lambda value: value), converters or {}, commit, dry=True).run(diff)
    with measured(act):
        return _Reload(act, parser or (lambda value: value), converters or {}, commit).run(diff)


class _Reload:
    def __init__(
        self, act: Action, parser: Parser, converters: Converters, commit: Commit | None, *, dry: bool = False
    ) -> None:
        self.act, self.parser, self.converters, self.dry = act, parser, converters, dry
        self.commit: Commit = commit or (lambda _state: nullcontext())
        self.run_id = new_id()
        self.total = 0
        self.change_set: Mapping[str, Any] | None = None

    def run(self, diff: object) -> ReloadState[Any]:
        act = self.act
        if act.spec.requires_audit_id and act.audit is None and not self.dry:
            act.diagnose("bridge.audit.missing_event", "the bridge demands an audit id, and there is no log",
                         keys={"bridge.missing_events": ["parser.reload", "bridge.reload"]})  # fmt: skip
            raise self.failure(AuditIncomplete, "audit", "there is no log for the mandatory records")
        found = self.compare(diff)
        self.change_set, self.total = found.change_set.json(), len(found.change_set.items)
        value, known = self.apply(found)
        built = self.build(value)
        fresh = act.state.followed_by(value, known, run_id=self.run_id, audit_id=act.audit_id, at=now_ms())
        fresh = replace(fresh, built=built)
        if not self.dry:
            self.put(fresh)
        return fresh

    # step 1
    def compare(self, diff: object) -> Difference:
        act = self.act
        expected = act.spec.diff_format
        try:
            found = difference.read(diff)
        except FormatError as error:
            raise self.reject("bridge.diff.invalid", _said(error), expected, error.received, error) from error
        except ConfigError as error:
            raise self.reject(
                "bridge.diff.rejected", f"a key is there twice: {_said(error)}", expected, "duplicate key", error
            ) from error
        wanted = expected.partition("<")[0].strip()
        if wanted not in {"SchemaDiff", found.format}:
            raise self.reject(
                "bridge.diff.invalid", f"expected {expected}, received {found.format}", expected, found.format
            )
        self.change_set, self.total = found.change_set.json(), len(found.change_set.items)
        dangers = list(found.dangers(act.state.value, act.state.schema, self.converters))
        if dangers:
            text = "; ".join(f"{key}: {reason}" for key, reason in dangers)
            notes = [{"message": f"{key}: {reason}"} for key, reason in dangers]
            raise self.reject("bridge.diff.rejected", text, expected, found.format, notes=notes)
        return found

    def reject(
        self, code: str, message: str, expected: str, received: str, error: ConfigError | None = None, **more: Any
    ) -> ReloadError:
        more |= _place(error)
        self.act.diagnose(code, message, expected=expected, received=received, **more)
        self.tell("rejected", breaking=code == "bridge.diff.rejected")
        return self.failure(ValidationFailed, "compare", message)

    # step 2
    def apply(self, found: Difference) -> tuple[Any, Any]:
        try:
            return found.apply(self.act.state.value, self.act.state.schema, self.converters)
        except ConfigError as error:
            for problem in error.problems:
                self.act.diagnose(problem.code, _said(problem), extensions={"config": {"key_path": problem.key_path}})
            self.tell("failed")
            raise self.failure(ApplyFailed, "apply", error.message) from error

    def build(self, value: Any) -> object:
        try:
            return self.parser(value)
        except Exception as error:
            text = f"the parser refuses the new value: {error or type(error).__name__}"
            self.act.diagnose("bridge.contract.violation", text)
            self.tell("failed")
            self.go_back("apply", text, error)
            raise self.failure(ApplyFailed, "apply", text) from error

    # step 3
    def put(self, fresh: ReloadState[Any]) -> None:
        act = self.act
        failing: type[ReloadError] = ApplyFailed
        try:
            with self.commit(fresh):
                failing = AuditIncomplete
                totals = {"config.change_set.total": self.total, "reload.run_id": fresh.run_id}
                act.record("parser.reload", metadata=totals, change_set=self.change_set)
                act.record("reml.reload", {"audit_id": act.audit_id, "change_set": self.change_set}, flat=True)
                act.bridge_event("bridge.reload", "applied", self.total)
                failing = ApplyFailed
        except (RemlError, OSError, ValueError) as error:
            step = "audit" if failing is AuditIncomplete else "apply"
            text = f"the log does not take the records: {error}" if step == "audit" else str(error)
            missing = {"bridge.missing_events": ["bridge.reload", "parser.reload"]} if step == "audit" else {}
            act.diagnose("bridge.audit.missing_event" if missing else "bridge.contract.violation", text, keys=missing)
            self.tell("failed")
            self.go_back(step, text, error)
            raise self.failure(failing, step, text) from error

    # step 4
    def go_back(self, step: str, text: str, cause: Exception) -> None:
        """What the parser may have put in place is replaced by the old value, where the contract demands it."""
        act = self.act
        if self.dry or act.spec.rollback != "required":
            return
        try:
            self.parser(act.state.value)
        except Exception as error:  # noqa: BLE001  (a host's parser raises anything)
            said = f"{text}; the old value is not back: {error}"
            raise self.failure(RollbackFailed, step, said) from cause
        self.quietly(lambda: act.bridge_event("bridge.rollback", "rolled_back", self.total, status="rolled_back"))

    def tell(self, outcome: str, *, breaking: bool = False) -> None:
        self.quietly(lambda: self.act.bridge_event("bridge.reload", outcome, self.total, breaking=breaking))

    @staticmethod
    def quietly(record: Callable[[], None]) -> None:
        """A log that fails does not hide why the reload failed."""
        try:
            record()
        except (RemlError, OSError, ValueError):
            return

    def failure(self, cls: type[ReloadError], step: str, reason: str) -> ReloadError:
        act = self.act
        info = RollbackInfo(act.audit_id, act.state.run_id, reason, step, act.state.json(), self.change_set, now_ms())
        return act.fail(cls, reason, info)


def _said(found: ConfigError | Problem) -> str:
    """The (first) problem in words, with its key."""
    problem = found.problems[0] if isinstance(found, ConfigError) else found
    return f"{problem.key_path}: {problem.message}" if problem.key_path else problem.message


def _place(error: ConfigError | None) -> dict[str, Any]:
    """Where a document is wrong, as members of a diagnostic."""
    if error is None:
        return {}
    problem = error.problems[0]
    found: dict[str, Any] = {"notes": [{"message": str(one)} for one in error.problems]}
    if problem.file:
        found["file"] = problem.file
    if problem.key_path or problem.file:
        found["extensions"] = {"config": {"path": problem.file, "key_path": problem.key_path}}
    if problem.place is not None:
        line, column = problem.place.line, problem.place.column
        place = {"start_line": line, "start_col": column, "end_line": line, "end_col": column}
        found |= {"primary": place, "line": line, "column": column}
    return found


def rollback(
    state: ReloadState[T], *, parser: Parser | None = None, info: RollbackInfo | None = None, audit: Log | None = None,
    log: StructuredLog | str | os.PathLike[str] | None = None, spec: ReloadSpec | None = None,
    required: StageRequirement | str | None = None, capability: str | None = None, audit_id: str | None = None, dry_run: bool = False,
    before: ReloadState[T] | None = None, commit: Commit | None = None, on_diagnostic: Callable[[Diagnostic], object] | None = None, registry: StageVerifier | None = None,
) -> ReloadState[T]:  # fmt: skip
    """
    Go back to what ran before the last reload.

    Args:
        state: what runs now.
        parser: called with the old value, so that what it builds is in place again.
        info: of the reload, where it left one.
        before: the state to go back to; by default that of the history.
        audit: as in `reload`, and so are the others.
        log: takes the flat lines.
        spec: the contract of the bridge.
        required: stage that the records name.
        capability: that they name.
        audit_id: of the action.
        dry_run: check everything, change and record nothing.
        commit: puts the state in its place.
        on_diagnostic: told of each diagnostic.
        registry: says whether metrics may be emitted; by default the process's.

    Returns:
        the previous state, as it was.

    Raises:
        ReloadUnsupported: the contract has no way back. RollbackFailed: there is nothing to go back to, or it was refused.
        AuditIncomplete: the contract demands an audit id, and there is no log.
    """
    act = _action(state, spec, audit, log, required, capability, audit_id, on_diagnostic, registry)
    if act.spec.rollback == "unsupported":
        raise ReloadUnsupported(state.bridge_id, "rollback")
    if dry_run:
        act.audit = act.log = None
        return _back(act, None, info, before, None)
    with measured(act):
        if act.spec.requires_audit_id and act.audit is None:
            act.diagnose("bridge.audit.missing_event", "the bridge demands an audit id, and there is no log",
                         keys={"bridge.missing_events": ["bridge.rollback"]})  # fmt: skip
            raise act.fail(AuditIncomplete, "there is no log for the mandatory record", info)
        return _back(act, parser, info, before, commit)


def _back(
    act: Action,
    parser: Parser | None,
    info: RollbackInfo | None,
    before: ReloadState[Any] | None,
    commit: Commit | None,
) -> ReloadState[Any]:
    total = int(((info.change_set if info else None) or {}).get("total", 0))

    def failed(text: str, cause: BaseException | None = None) -> ReloadError:
        act.diagnose("bridge.contract.violation", text)
        _Reload.quietly(lambda: act.bridge_event("bridge.rollback", "failed", total, status="failed"))
        error = act.fail(RollbackFailed, text, info)
        error.__cause__ = cause
        return error

    try:
        target = before or act.state.previous()
    except ConfigError as error:
        raise failed(f"the history is damaged: {error}", error) from error
    if target is None:
        raise failed("there is no earlier state")
    try:
        if parser is not None:
            target = replace(target, built=parser(target.value))
        with commit(target) if commit is not None else nullcontext():
            act.bridge_event("bridge.rollback", "rolled_back", total, status="rolled_back")
    except Exception as error:
        raise failed(f"the old value cannot be put back: {error or type(error).__name__}", error) from error
    return target
