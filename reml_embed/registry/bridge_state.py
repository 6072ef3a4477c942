"""
What an operator decided about bridges: the file ``.reml/bridges.json`` of a directory, and the descriptors that it finds there.

``{"schema_version": …, "bridges": {id: {stage, completed: {item: audit_id}, events: [kind], frozen}}}``, written
atomically, read anew for every question. Descriptors: ``[[bridge]]`` of ``reml.toml``, and each file below ``.reml/bridges``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from reml_embed.audit.kinds import SCHEMA_VERSION
from reml_embed.audit.records import Record, lookup, read
from reml_embed.registry._shape import FileError, Reader, locked, read_rows, write_json
from reml_embed.registry.bridge import BridgeState, RuntimeBridgeRegistry
from reml_embed.registry.bridge_shape import RuntimeBridgeDescriptor, load_descriptors
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.stage import InvalidStageError, StageId

MANIFEST: Final = Path("reml.toml")


def descriptor_files(directory: Path) -> list[Path]:
    """Where a directory declares bridges: its manifest, then ``.reml/bridges/*.toml`` and ``*.json`` by name."""
    folder = directory / ".reml" / "bridges"
    found = sorted(path for path in folder.glob("*") if path.suffix in {".toml", ".json"}) if folder.is_dir() else []
    manifest = directory / MANIFEST
    return [*([manifest] if manifest.is_file() else []), *found]


def declared(paths: Iterable[Path]) -> dict[str, RuntimeBridgeDescriptor]:
    """
    Id → descriptor, in the order of the files.

    Raises:
        FileError: a file is not what it should be, cannot be read, or declares a bridge again.
    """
    found: dict[str, RuntimeBridgeDescriptor] = {}
    for path in paths:
        try:
            rows = load_descriptors(path)
        except FileNotFoundError:
            raise FileError("cannot be read: no such file", code="capability.file.io_error", file=path) from None
        for row in rows:
            if row.id in found:
                first = found[row.id].manifest_path
                raise FileError(f"`{row.id}` is declared in {first}, too", code="bridge.descriptor.invalid", file=path)
            found[row.id] = row
    return found


def _rows(states: dict[str, BridgeState]) -> dict[str, Any]:
    return {
        name: {
            "stage": state.stage.value, "completed": dict(sorted(state.completed.items())), "events": sorted(state.events),
            "frozen": state.frozen,
        }
        for name, state in sorted(states.items())
    }  # fmt: skip


class BridgeStateFile:
    """
    The decisions of one directory.

    Args:
        directory: in which ``.reml`` lies, or will.
    """

    def __init__(self, directory: str | Path = ".") -> None:
        self.path = Path(directory) / ".reml" / "bridges.json"

    def read(self) -> dict[str, BridgeState]:
        """
        Id → state; empty without a file.

        Raises:
            FileError: it cannot be read or is not what it should be: ``file``, ``key_path``, ``line``, ``code`` say where and why.
        """
        return {name: self._read_row(row) for name, row in read_rows(self.path, "bridges").items()}

    @staticmethod
    def _read_row(row: Reader) -> BridgeState:
        row.only("stage", "completed", "events", "frozen")
        try:
            stage = StageId.parse(row.get("stage", str))
        except InvalidStageError as error:
            raise row.wrong(error.message, "stage", code=error.code) from None
        done = row.child("completed")
        completed = {item: done.get(item, str) for item in done.value}
        return BridgeState(stage, completed, set(row.texts("events")), row.get("frozen", str, None))

    def write(self, states: dict[str, BridgeState]) -> None:
        """
        Replace the file.

        Raises:
            FileError: it cannot be written; the old file is as it was.
        """
        write_json(self.path, {"schema_version": SCHEMA_VERSION, "bridges": _rows(states)})

    @contextmanager
    def changing(self) -> Iterator[dict[str, BridgeState]]:
        """Alone with the states; what they are at the end is written, if that is not what they were."""
        with locked(self.path):
            states, before = self.read(), _rows(self.read())
            yield states
            if _rows(states) != before:
                self.write(states)


def open_registry(
    descriptors: dict[str, RuntimeBridgeDescriptor], id: str, states: dict[str, BridgeState], *, capabilities: CapabilityRegistry,
    audit: Any = None,
) -> RuntimeBridgeRegistry:  # fmt: skip
    """A registry with one bridge of the directory, standing where it was left; nothing is recorded by opening it."""
    registry = RuntimeBridgeRegistry(capabilities)
    if id in descriptors:
        registry.adopt(descriptors[id], states.get(id) or BridgeState(descriptors[id].stage))
    registry.audit = audit
    return registry


def compare(
    descriptors: dict[str, RuntimeBridgeDescriptor], sources: Iterable[Path], states: dict[str, BridgeState]
) -> list[dict[str, Any]]:
    """
    Differences between what a manifest declares and what logs tell (CONTRACTS 12.6), each ``{bridge, key, expected, found, file, line}``.

    Raises:
        OSError: a log cannot be read.
    """
    found: list[dict[str, Any]] = []
    seen: dict[str, set[str]] = {name: set() for name in descriptors}

    def differ(
        bridge: str, key: str, expected: Any, actual: Any, file: Path | None = None, line: int | None = None
    ) -> None:
        place = {"file": None if file is None else file.as_posix(), "line": line}
        found.append({"bridge": bridge, "key": key, "expected": expected, "found": actual, **place})

    for path in sources:
        for line in read(path):
            if line.record is None:
                differ("", "record", "a record", str(line.problem), path, line.number)
                continue
            name = lookup(line.record, "bridge.id")
            if not isinstance(name, str):
                continue
            if name not in descriptors:
                differ(name, "bridge.id", "a bridge of the manifest", name, path, line.number)
                continue
            seen[name].add(line.record.kind or "")
            for key, expected, actual in _differences(line.record, descriptors[name], states.get(name)):
                differ(name, key, expected, actual, path, line.number)
    for name, row in descriptors.items():
        stage = states[name].stage if name in states else row.stage
        for kind in sorted(row.mandatory_events(stage) - seen[name]):
            differ(name, "event.kind", kind, None)
    return found


def _differences(
    record: Record, row: RuntimeBridgeDescriptor, state: BridgeState | None
) -> Iterator[tuple[str, Any, Any]]:
    """What a record tells otherwise than the manifest."""
    reached = max(row.stage, state.stage) if state is not None else row.stage
    try:
        actual = StageId.parse_actual(str(lookup(record, "bridge.stage.actual")))
    except InvalidStageError:
        yield "bridge.stage.actual", row.stage.value, lookup(record, "bridge.stage.actual")
    else:
        if not row.stage <= actual <= reached:
            yield "bridge.stage.actual", reached.value, actual.value
    if row.audit.stage_required is not None:
        required = lookup(record, "bridge.stage.required")
        if required != str(row.audit.stage_required) and record.kind not in {
            "bridge.promote",
            "bridge.rollout",
            "bridge_stage_verified",
        }:
            yield "bridge.stage.required", str(row.audit.stage_required), required
    mode = row.audit.stage_mode
    if mode is not None and lookup(record, "bridge.stage.mode") != mode:
        yield "bridge.stage.mode", mode, lookup(record, "bridge.stage.mode")
    capability = lookup(record, "bridge.capability")
    if capability != row.capability:
        yield "bridge.capability", row.capability, capability
