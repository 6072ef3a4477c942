"""
Handlers and stages (CONTRACTS 19): opt-ins, stage checks, host handlers, the sandbox for foreign calls.

What handlers *do* is the machine's business and no part of this module; here is the policy on top of it: who may use what is
experimental, when a capability may be promoted, what a handler leaves in the log. Comes in: names of features, outcomes of tests, the
directory ``.reml``. Goes out: options of a context, records.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reml_embed import _toml
from reml_embed._ffi import NULL, ffi, lib
from reml_embed._files import locked, replace_file
from reml_embed.audit import AuditContext, ContextSink
from reml_embed.diagnostics import Entry, register_catalog
from reml_embed.errors import RemlError
from reml_embed.target import STAGES, joined, text
from reml_embed.values import Err, Ok

if TYPE_CHECKING:
    from reml_embed.context import Context

register_catalog("effects", {
    "effects.stage.checks_invalid": Entry("the file of stage checks is damaged", "error", "effect"),
    "effects.stage.checks_io": Entry("the file of stage checks cannot be used", "error", "effect"),
})  # fmt: skip

#: What `-Z` may opt in to, and what that means.
FEATURES: dict[str, str] = {
    "runtime-bridge": "bridges to external runtimes whose stage is experimental",
    "algebraic-effects": "handlers of effects whose capability is experimental, and code that requires an experimental capability",
}


#: Tags of the language itself (CONTRACTS 0.7); everything else is an extension tag.
CORE_TAGS = ("mut", "io", "ffi", "panic", "unsafe")

#: Extension tags the documents name, and what each is about. Plug-ins add theirs with `register_tag`.
TAGS: dict[str, str] = dict.fromkeys(
    (
        "async_pending",
        "audit",
        "cell",
        "config",
        "db",
        "debug",
        "diagnostic",
        "fs.read",
        "fs.symlink",
        "fs.write",
        "fs_sync",
        "gpu",
        "hardware",
        "io.async",
        "io.blocking",
        "io.timer",
        "mem",
        "memory",
        "migration",
        "native",
        "net",
        "network",
        "process",
        "rc",
        "realtime",
        "runtime",
        "security",
        "signal",
        "syscall",
        "thread",
        "time",
        "trace",
        "transfer",
        "unicode",
        "watcher",
    ),
    "",
)

#: Recommended tags of each FFI boundary (guide 1, CONTRACTS 0.7).
BOUNDARY_EFFECTS: dict[str, tuple[str, ...]] = {
    "rest": ("audit", "network"),
    "database": ("audit", "db"),
    "gpu": ("gpu", "runtime"),
    "embedded_io": ("runtime",),
}

_TAG = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


def register_tag(name: str, description: str) -> None:
    """
    Make an extension tag of a plug-in known, with what it is about. The same again changes nothing.

    Raises:
        ValueError: no lower-case dotted or snake_case word, a tag of the language, or known with another description.
    """
    if not _TAG.fullmatch(name):
        raise ValueError(f"an effect tag is a lower-case dotted or snake_case word, got {name!r}")
    if name in CORE_TAGS:
        raise ValueError(f"{name!r} is a tag of the language")
    if not description:
        raise ValueError(f"the tag {name!r} needs a description")
    if TAGS.get(name, description) not in (description, ""):
        raise ValueError(f"the tag {name!r} is known with another description: {TAGS[name]}")
    TAGS[name] = description


#: Features that cannot be had here, and why.
BLOCKED_FEATURES: dict[str, str] = {
    "type-row-integration": "effect sets are no part of types here: they are inferred beside them (`effect.type_row.*` say metadata-only)",
}


class EffectError(RemlError):
    """
    Something of this module was refused.

    Attributes:
        code: the contract (``"effects.handler.depth_exceeded"``).
        unhandled_operations: operations that a handler lacks, sorted.
    """

    def __init__(self, code: str, message: str, *, unhandled_operations: Iterable[str] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.unhandled_operations = tuple(sorted(unhandled_operations))


def check_features(names: Iterable[str]) -> tuple[str, ...]:
    """
    The features, each once and sorted.

    Raises:
        ValueError: an unknown one; the message lists those that are known. TypeError: a text instead of a list.
        EffectError: ``effects.type_row.integration_blocked``: one that cannot be had.
    """
    if isinstance(names, str):
        raise TypeError("features must be an iterable of names, got a str")
    found = sorted(set(names))
    for name in found:
        if name in BLOCKED_FEATURES:
            raise EffectError("effects.type_row.integration_blocked", f"-Z{name}: {BLOCKED_FEATURES[name]}")
        if name not in FEATURES:
            raise ValueError(f"unknown feature {name!r}; known: {', '.join(sorted(FEATURES))}")
    return tuple(found)


# --- opting in --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptIn:
    """
    What a context opts in to (CONTRACTS 19.2).

    Attributes:
        features: of `FEATURES`, as ``-Z`` names them.
        capabilities: ids of experimental capabilities that were enabled by name.
        demanded: experimental use that nobody has opted in to is an error, not a hint.
        acknowledged: errors about what is experimental are warnings.
    """

    features: Iterable[str] = ()
    capabilities: Iterable[str] = ()
    demanded: bool = False
    acknowledged: bool = False

    def to_c(self, keep: list[object]) -> object:
        """
        The library's struct; what it points to is added to *keep*.

        Raises:
            ValueError: an unknown feature, or an id with a comma in it.
        """
        flags = self.demanded * lib.REML_EFFECTS_DEMAND_OPT_IN | self.acknowledged * lib.REML_EFFECTS_ACKNOWLEDGE
        made = ffi.new("reml_effects_options_t*", {"struct_size": ffi.sizeof("reml_effects_options_t"), "flags": flags})
        keep.append(made)
        made.features = text(joined("features", check_features(self.features)), keep)
        made.capabilities = text(joined("capabilities", self.capabilities), keep)
        return made


# --- handlers of the host ------------------------------------------------------------------------------------------------


class Resume:
    """The continuation that an operation gets: call it once with the answer."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.answered = False
        self.answer: Any = None

    def __call__(self, value: Any = None) -> None:
        """
        Let the script go on with *value*, as soon as the operation returns.

        Raises:
            EffectError: ``effects.handler.invalid_resume``: it has been called before.
        """
        if self.answered:
            raise EffectError("effects.handler.invalid_resume", f"{self.operation} has been resumed before")
        self.answered, self.answer = True, value


def _takes_resume(function: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not say
        return False
    return bool(parameters) and parameters[-1].name == "resume"


def _with_resume(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def operation(*arguments: Any) -> Any:
        resume = Resume(name)
        function(*arguments, resume)
        if not resume.answered:
            raise EffectError("runtime.effect.unhandled", f"the handler of {name} has not resumed")
        return resume.answer

    return operation


class HostHandler:
    """
    A handler that Python has put around every run of a context; see `Context.handle`.

    Attributes:
        effect: its name. closed: it has been taken away.
    """

    def __init__(self, context: Context, effect: str, operations: Mapping[str, Callable[..., Any]]) -> None:
        self.effect = effect
        self.closed = False
        self._context = context
        names = list(operations)
        for name in names:
            if not callable(operations[name]):
                raise TypeError(f"{effect}.{name}: expected a callable, got {type(operations[name]).__name__}")
        slot = next(
            number for number in range(1, len(context._handler_slots) + 2) if number not in context._handler_slots
        )
        keep: list[object] = []
        rows = ffi.new("reml_host_operation_t[]", len(names) or 1)
        for row, name in zip(rows, names, strict=False):
            function, bound = operations[name], f"handler {slot}: {effect}.{name}"
            context.bind(bound, _with_resume(f"{effect}.{name}", function) if _takes_resume(function) else function)
            row.name, row.function = text(name, keep), text(bound, keep)
        out = ffi.new("uint32_t*")
        status = lib.reml_host_handle(context._id, text(effect, keep), rows, len(names), out)
        if status:
            raise self._refusal(status)
        self._id = out[0]
        self._slot = slot
        context._handler_slots.add(slot)

    def _refusal(self, status: int) -> BaseException:
        error = self._context._error(status)
        found = next(iter(getattr(error, "diagnostics", ())), None)
        if found is None or not found.code.startswith("effects."):
            return error
        extension: Any = found.json.get("extensions") or {}
        missing = extension.get("effects", {}).get("unhandled_operations", ())
        return EffectError(found.code, found.message, unhandled_operations=missing)

    def close(self) -> None:
        """Take it away. Closing twice is fine, and so is closing it after the context."""
        if self.closed:
            return
        self.closed = True
        self._context._handler_slots.discard(self._slot)
        if not self._context.closed:
            self._context._raise_for(lib.reml_host_unhandle(self._context._id, self._id))

    def __enter__(self) -> HostHandler:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<HostHandler of {self.effect}{', closed' if self.closed else ''}>"


# --- the sandbox for foreign calls -----------------------------------------------------------------------------------------


def stub_record(
    audit: AuditContext, name: str, payload_bytes: int, *, capability: str, stage: str, required: str = "experimental"
) -> str:
    """
    Leave the record of a foreign call that a stub answered (CONTRACTS 19.3): no border was crossed, so there is no ``metadata.bridge``.

    Args:
        audit: where it goes.
        name: what would have been called.
        payload_bytes: size of what it would have got.
        capability: what stands for foreign calls; mandatory.
        stage: where it stands; mandatory.
        required: the least stage that was asked for.

    Returns: the audit id.

    Raises:
        ValueError: no name, no capability, or no stage.
    """
    for what, value in (("stage", stage), ("required", required)):
        if value not in STAGES:
            raise ValueError(f"a stub record needs a {what}: one of {', '.join(STAGES)}, got {value!r}")
    if not name or not capability:
        raise ValueError("a stub record needs the name of what was called, and its capability")
    payload: dict[str, Any] = {
        "bytes": payload_bytes, "capability": capability, "effects": ["ffi"], "name": name, "payload_bytes": payload_bytes,
        "stage": stage, "status": "stubbed", "symbol": name,
    }  # fmt: skip
    metadata: dict[str, Any] = {
        "effect.capability": capability, "effect.manifest_path": None, "effect.provider": "core",
        "effect.stage.actual": stage, "effect.stage.required": f"at_least:{required}",
        "ffi": {
            "capability": capability, "capability_stage": stage, "effect_flags": ["ffi"], "event": "ffi.call", "library": "stub",
            "status": "stubbed", "symbol": name,
        },
    }  # fmt: skip
    return audit.log("ffi.call", payload, category="ffi.bridge", capability=capability, metadata=metadata)


class StubMissingError(EffectError):
    """What `ForeignCall.call` answers as its ``Err`` for a name that has no stub."""

    def __init__(self, name: str) -> None:
        super().__init__("ffi.contract.symbol_missing", f"no stub for {name!r}")
        self.name = name


class Sandbox:
    """
    The stub profile: foreign calls of a context's scripts are answered here and never cross; each leaves a record.

    It handles ``effect ForeignCall : ffi { operation call(name: Text, payload: Bytes) -> Result<Bytes, FfiError> }``: open it around runs
    (``with Sandbox(context, stubs):``). A script that handles the effect itself, as the guide's does, records with
    ``audit.log("ffi.call", …)``: bind `log` to that.

    Args:
        context: whose scripts.
        stubs: what answers each name: bytes, or a function of the payload. An exception of it is the answer ``Err``, like a missing stub.
        audit: where records go; by default the log of the context.
        capability: what stands for foreign calls; its stage is looked up at each call.
        effect: name of the effect.
        required: the least stage asked for.

    Attributes:
        calls: (name, payload) of each call, oldest first.
    """

    def __init__(
        self,
        context: Context,
        stubs: Mapping[str, bytes | Callable[[bytes], bytes]] | None = None,
        *,
        audit: AuditContext | None = None,
        capability: str = "foreign-call",
        effect: str = "ForeignCall",
        required: str = "experimental",
    ) -> None:
        self.context = context
        self.stubs = dict(stubs or {})
        self.audit = audit or AuditContext(ContextSink(context))
        self.capability = capability
        self.effect = effect
        self.required = required
        self.calls: list[tuple[str, bytes]] = []
        self._handler: HostHandler | None = None

    def record(self, name: str, payload_bytes: int) -> str:
        """
        Leave the record of one stubbed call; its audit id.

        Raises:
            EffectError: ``runtime.capability.unknown``: nothing stands for foreign calls.
        """
        stage = stage_of_capability(self.capability)
        if stage is None:
            raise EffectError("runtime.capability.unknown", f"no capability {self.capability!r} is registered")
        return stub_record(
            self.audit, name, payload_bytes, capability=self.capability, stage=stage, required=self.required
        )

    def call(self, name: str, payload: bytes) -> Ok[bytes] | Err[EffectError | str]:
        """The operation ``call``: recorded, then answered by the stub."""
        self.record(name, len(payload))
        self.calls.append((name, payload))
        stub = self.stubs.get(name)
        if stub is None:
            return Err(StubMissingError(name))
        try:
            return Ok(stub if isinstance(stub, bytes) else stub(payload))
        except Exception as error:  # noqa: BLE001  (what a foreign function does wrong is its answer)
            return Err(EffectError("ffi.call.failed", f"{name}: {error}"))

    def log(self, audit: object, event: str, value: Mapping[str, Any]) -> None:
        """
        For ``fn AuditLog.log(self, event: Str, value: Any)``: ``ffi.call`` with ``{name, bytes}`` becomes the whole record, any other
        event is logged as it is.

        Raises:
            ValueError: an ``ffi.call`` without name and bytes.
        """
        del audit
        if event != "ffi.call":
            self.audit.log(event, dict(value))
            return
        name, size = value.get("name"), value.get("bytes")
        if not isinstance(name, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError(f"ffi.call needs name and bytes, got {dict(value)!r}")
        self.record(name, size)

    def __enter__(self) -> Sandbox:
        if self._handler is not None:
            raise ValueError("the sandbox is open")
        self._handler = self.context.handle(self.effect, {"call": self.call})
        return self

    def __exit__(self, *reason: object) -> None:
        if self._handler is not None:
            self._handler.close()
            self._handler = None


# --- manifests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DslEntry:
    """
    What ``reml.toml`` says of the effects of a DSL: ``[dsl.<name>]`` (CONTRACTS 10.1).

    Attributes:
        name: of the section. path: of its entry. manifest: the file.
        stage: ``expect_effects_stage``; ``stable`` where only ``expect_effects`` is written; None: nothing is expected.
        capabilities: ids that the section names, sorted.
    """

    name: str
    path: Path
    manifest: Path
    stage: str | None
    capabilities: tuple[str, ...]


def _texts(manifest: Path, where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise EffectError("config.manifest.parse_error", f"{manifest}: expected a list of texts at {where}")
    return tuple(sorted(value))


def _dsl_entry(manifest: Path, name: str, section: object) -> DslEntry:
    where = f"dsl.{name}"
    if not isinstance(section, dict):
        raise EffectError("config.manifest.parse_error", f"{manifest}: expected a table at {where}")
    entry = section.get("entry")
    if not isinstance(entry, str) or not entry:
        raise EffectError("manifest.entry.missing", f"{manifest}: {where}.entry names no file")
    expected = _texts(manifest, f"{where}.expect_effects", section.get("expect_effects", []))
    stage = section.get("expect_effects_stage", "stable" if expected else None)
    if stage is not None and stage not in STAGES:
        known = ", ".join(STAGES)
        raise EffectError(
            "config.invalid_stage", f"{manifest}: {where}.expect_effects_stage must be one of {known}, got {stage!r}"
        )
    ids = _texts(manifest, f"{where}.capabilities", section.get("capabilities", []))
    return DslEntry(name, manifest.parent / entry, manifest, stage, ids)


def read_dsl(manifest: Path) -> list[DslEntry]:
    """
    The DSLs of a manifest, in its order.

    Raises:
        EffectError: ``config.manifest.parse_error``, ``config.manifest.io_error``, ``config.invalid_stage``,
            ``manifest.entry.missing``; the message names file, line and key.
    """
    try:
        data = _toml.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise EffectError("config.manifest.io_error", f"{manifest}: {error}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError, too
        raise EffectError("config.manifest.parse_error", f"{manifest}: {error}") from None
    sections = data.get("dsl", {})
    if not isinstance(sections, dict):
        raise EffectError("config.manifest.parse_error", f"{manifest}: expected a table at dsl")
    return [_dsl_entry(manifest, name, section) for name, section in sections.items()]


def stage_mismatches(
    entries: Iterable[DslEntry],
    used: Iterable[str] = (),
    *,
    stage_of: Callable[[str], str | None] | None = None,
) -> list[str]:
    """
    Where a manifest expects another stage than its capabilities have (``manifest.dsl.stage_mismatch``); one sentence each.

    The stage that counts is the lowest of those capabilities that the section names, or else of those in *used*. *stage_of* says where
    one stands; by default the registry of the process does.
    """
    found, look = [], stage_of or stage_of_capability
    for entry in entries:
        ids = entry.capabilities or tuple(sorted(set(used)))
        stages = [(STAGES.index(stage), id_) for id_ in ids if (stage := look(id_)) is not None]
        if entry.stage is None or not stages:
            continue
        lowest, id_ = min(stages)
        if STAGES[lowest] != entry.stage:
            found.append(
                f"{entry.manifest}: dsl.{entry.name}.expect_effects_stage is {entry.stage}, {id_} stands at {STAGES[lowest]}"
            )
    return found


def stage_of_capability(id: str) -> str | None:  # noqa: A002
    """The stage where a capability of this process stands; None: there is none of that name."""
    handle = ffi.new("reml_capability_handle_t**")
    if "\0" in id or lib.reml_capability_get(NULL, id.encode(), handle, NULL):
        return None
    try:
        return STAGES[lib.reml_capability_handle_stage(handle[0])]
    finally:
        lib.reml_capability_handle_release(handle[0])


# --- stage checks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageCheck:
    """
    One outcome of tests for a capability at a stage (CONTRACTS 19.2).

    Attributes:
        id: of the capability.
        stage: ``experimental``, ``beta`` or ``stable``: where it stood when the tests ran.
        tests_passed: did they?
        audit_id: of the record that tells of the run.
        timestamp: RFC 3339 UTC, whole seconds.
        open_diagnostics: codes of experimental diagnostics that the run left open, sorted; usually none.
    """

    id: str
    stage: str
    tests_passed: bool
    audit_id: str
    timestamp: str
    open_diagnostics: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its object in the file; ``open_diagnostics`` only when there are some."""
        data: dict[str, Any] = {
            "id": self.id, "stage": self.stage, "tests_passed": self.tests_passed, "audit_id": self.audit_id,
            "timestamp": self.timestamp,
        }  # fmt: skip
        if self.open_diagnostics:
            data["open_diagnostics"] = list(self.open_diagnostics)
        return data


class StageCheckFileError(EffectError):
    """
    ``stage-checks.json`` is not what it should be; nothing in it has been changed.

    Attributes:
        path: the file. key_path: where in it: ``$[3].stage``. line: for text that is no JSON, else None.
    """

    def __init__(self, path: Path, key_path: str, message: str, line: int | None = None) -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__("effects.stage.checks_invalid", f"{place}: {message} at {key_path}")
        self.path = path
        self.key_path = key_path
        self.line = line


def _read_check(path: Path, index: int, row: object) -> StageCheck:
    where = f"$[{index}]"
    if not isinstance(row, dict):
        raise StageCheckFileError(path, where, f"expected an object, got {type(row).__name__}")
    for name in ("id", "stage", "audit_id", "timestamp"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise StageCheckFileError(path, f"{where}.{name}", "expected a text")
    if row["stage"] not in STAGES:
        raise StageCheckFileError(path, f"{where}.stage", f"expected one of {', '.join(STAGES)}, got {row['stage']!r}")
    if not isinstance(row.get("tests_passed"), bool):
        raise StageCheckFileError(path, f"{where}.tests_passed", "expected true or false")
    codes = row.get("open_diagnostics", [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise StageCheckFileError(path, f"{where}.open_diagnostics", "expected a list of codes")
    return StageCheck(
        row["id"], row["stage"], row["tests_passed"], row["audit_id"], row["timestamp"], tuple(sorted(codes))
    )


class StageChecks:
    """
    The outcomes of tests that promotion asks about: the file ``.reml/stage-checks.json`` of a directory.

    The file is a list of ``{id, stage, tests_passed, audit_id, timestamp}``; the latest of an id at a stage counts. It is read anew
    for every question, written atomically, and safe against other processes that record at the same time.
    """

    def __init__(self, directory: str | os.PathLike[str] = ".") -> None:
        self.path = Path(directory) / ".reml" / "stage-checks.json"

    def read(self) -> list[StageCheck]:
        """
        All of them, oldest first; empty without a file.

        Raises:
            StageCheckFileError: the file is no such list. OSError: it cannot be read.
        """
        try:
            content = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except UnicodeDecodeError as error:
            raise StageCheckFileError(self.path, "$", f"not UTF-8 ({error.reason})") from None
        try:
            rows = json.loads(content)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else None
            raise StageCheckFileError(self.path, "$", f"no JSON ({error})", line) from None
        if not isinstance(rows, list):
            raise StageCheckFileError(self.path, "$", f"expected a list, got {type(rows).__name__}")
        return [_read_check(self.path, index, row) for index, row in enumerate(rows)]

    def record(
        self,
        id: str,  # noqa: A002  (named as in the file)
        stage: str,
        *,
        tests_passed: bool,
        audit_id: str,
        timestamp: str,
        open_diagnostics: Iterable[str] = (),
    ) -> StageCheck:
        """
        Add an outcome.

        Raises:
            ValueError: the id is empty or the stage is none. StageCheckFileError: the file is damaged; it stays as it is.
            OSError: it cannot be written; it stays as it is.
        """
        check = StageCheck(id, stage, tests_passed, audit_id, timestamp, tuple(sorted(set(open_diagnostics))))
        if stage not in STAGES:
            raise ValueError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
        if not id or not audit_id or not timestamp:
            raise ValueError("a stage check needs id, audit_id and timestamp")
        with locked(self.path):
            rows = [row.to_json() for row in (*self.read(), check)]
            lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
            replace_file(self.path, f"[\n{lines}\n]\n")
        return check

    def latest(self, id: str, stage: str) -> StageCheck | None:  # noqa: A002
        """The last outcome for the capability at that stage."""
        return next((row for row in reversed(self.read()) if (row.id, row.stage) == (id, stage)), None)

    def why_not(self, id: str, stage: str) -> str | None:  # noqa: A002
        """
        Why the capability may not leave *stage* yet: the sentence of ``effects.stage.promote_without_checks``; None when it may.

        Raises:
            StageCheckFileError, OSError: the checks cannot be read.
        """
        check = self.latest(id, stage)
        if check is None:
            return f"no test run of {id} is recorded for stage {stage}"
        if not check.tests_passed:
            return f"the last test run of {id} at stage {stage} failed ({check.timestamp}, {check.audit_id})"
        if check.open_diagnostics:
            return f"experimental diagnostics of {id} are open: {', '.join(check.open_diagnostics)}"
        return None
