"""
Collectors: what takes items one by one and ends as one value, after it has proved its right to be audited (CONTRACTS 7.3, 7.4)::

    found = ListCollector(audit=log)
    found.extend(range(12))
    values = found.finish()  # verifies core.collections.audit, leaves one record collector.finish

Each collector leaves exactly one record: of its finish, or of the failure that ended it. `KINDS` is the whole table of kinds.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NoReturn, TypeAlias, TypeVar, cast

from reml_embed.audit.context import AuditContext
from reml_embed.audit.records import Json
from reml_embed.audit.sinks import ContextSink
from reml_embed.data.effect_set import EffectSet, byte_size
from reml_embed.data.formatter import FormatterContext
from reml_embed.data.ref import CAPABILITY as CELL_CAPABILITY
from reml_embed.data.ref import BorrowError, EffectfulRef
from reml_embed.diagnostics.catalog import Entry, register_catalog
from reml_embed.diagnostics.emission import Log, build
from reml_embed.diagnostics.shape import Diagnostic
from reml_embed.errors import RemlError
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.errors import CapabilityError
from reml_embed.registry.stage import AtLeast, Exact, StageId, StageRequirement

if TYPE_CHECKING:
    from reml_embed.context import Context

AUDIT_CAPABILITY: Final = "core.collections.audit"
AUDIT_EFFECTS: Final = ("audit", "mem")
FAILED: Final = "core.prelude.collector_failed"
EXTENSION: Final = "prelude.collector"

register_catalog("core.prelude", {FAILED: Entry("a collector failed", "error", "runtime")})

#: Where records go.
AnyLog: TypeAlias = AuditContext | Log

T = TypeVar("T")
Out = TypeVar("Out")


# --- what goes wrong ------------------------------------------------------------------------------------------------------


class CollectErrorKind(StrEnum):
    """Why a collector failed."""

    MEMORY_ERROR = "memory_error"
    CAPACITY_OVERFLOW = "capacity_overflow"
    DUPLICATE_KEY = "duplicate_key"
    INVALID_ENCODING = "invalid_encoding"
    ITERATOR_FAILURE = "iterator_failure"
    UNSTABLE_ORDER = "unstable_order"
    CAPABILITY_DENIED = "capability_denied"
    CUSTOM = "custom"


class CollectError(RemlError):
    """
    A collector failed; it takes nothing more.

    There is a class for each kind: ``except CollectError.CapabilityDenied``.

    Attributes:
        kind: why.
        key: the key, or the number of the item, that it is about; None: none.
        trail: what the collector did until then.
    """

    kind: ClassVar[CollectErrorKind] = CollectErrorKind.CUSTOM
    MemoryError: ClassVar[type[CollectError]]
    CapacityOverflow: ClassVar[type[CollectError]]
    DuplicateKey: ClassVar[type[CollectError]]
    InvalidEncoding: ClassVar[type[CollectError]]
    IteratorFailure: ClassVar[type[CollectError]]
    UnstableOrder: ClassVar[type[CollectError]]
    CapabilityDenied: ClassVar[type[CollectError]]
    Custom: ClassVar[type[CollectError]]

    def __init__(self, message: str, *, key: object = None, trail: CollectorAuditTrail | None = None) -> None:
        super().__init__(message)
        self.key = None if key is None else _key_text(key)
        self.trail = trail

    @property
    def code(self) -> str:
        """Code of its diagnostic."""
        return FAILED

    def diagnostic(self) -> Diagnostic:
        """The same as a diagnostic ``core.prelude.collector_failed``, with what the trail says in extensions and audit metadata."""
        found: dict[str, Json] = {"error": {"kind": self.kind.value, "key": self.key}}
        if self.trail is None:
            return build(FAILED, self.message, extensions={EXTENSION: found})
        self.trail.error = self
        return build(
            FAILED, self.message, extensions={EXTENSION: self.trail.extension() | found, **self.trail.shared()},
            audit_metadata=self.trail.metadata(),
        )  # fmt: skip


def _error_class(kind: CollectErrorKind) -> type[CollectError]:
    name = "".join(word.title() for word in kind.value.split("_"))
    made = type(name, (CollectError,), {"kind": kind, "__module__": __name__, "__qualname__": f"CollectError.{name}",
                                        "__doc__": f"A collector failed: {kind.value}."})  # fmt: skip
    setattr(CollectError, name, made)
    return made


#: Class of each kind.
ERRORS: Final = {kind: _error_class(kind) for kind in CollectErrorKind}


def _key_text(key: object) -> str:
    text = key if isinstance(key, str) else repr(key)
    return text[:200].encode("utf-8", "backslashreplace").decode("utf-8")


# --- kinds ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CollectorKind:
    """
    One row of the table of kinds.

    Attributes:
        name: ``list``.
        requirement: the stage that it needs; the one it has stands in the registry, under `capability`.
        effects: what it does to its own value: ``mem``, ``mut``, ``cell``.
        ordered: is its value another when the items come in another order?
    """

    name: str
    requirement: StageRequirement
    effects: tuple[str, ...] = ("mem",)
    ordered: bool = True

    @property
    def capability(self) -> str:
        """``core.collector.list``."""
        return f"core.collector.{self.name}"


_STABLE, _BETA = Exact(StageId.STABLE), AtLeast(StageId.BETA)

#: CONTRACTS 7.3. A histogram is experimental: it is refused until it is promoted, or made with a lower requirement.
KINDS: Final = {row.name: row for row in (
    CollectorKind("list", _STABLE),
    CollectorKind("set", _STABLE, ordered=False),
    CollectorKind("map", _BETA, ordered=False),
    CollectorKind("vec", _BETA, ("mem", "mut")),
    CollectorKind("string", _BETA),
    CollectorKind("table", _BETA, ("mem", "mut")),
    CollectorKind("cell", _BETA, ("cell", "mut")),
    CollectorKind("histogram", _BETA, ordered=False),
)}  # fmt: skip


@dataclass
class CollectorAuditTrail:
    """
    What is told of one collector.

    Attributes:
        kind: of the collector.
        effects: what it did.
        requirement: the stage it needs. actual: the one that was found; None: nobody registered it. source: where: ``registry``.
        case: the scenario of a gate: ``audit_cap``.
        error: what ended it.
        capability: of the audit.
    """

    kind: CollectorKind
    requirement: StageRequirement
    effects: EffectSet = field(default_factory=EffectSet)
    actual: StageId | None = None
    source: str = "registry"
    case: str | None = None
    error: CollectError | None = None
    capability: str = AUDIT_CAPABILITY

    @property
    def mismatch(self) -> bool:
        """Is the stage that was found not the one that is needed?"""
        return self.actual is None or not self.requirement.satisfied_by(self.actual)

    def shared(self) -> dict[str, Json]:
        """What envelope metadata and extensions of diagnostics both carry: ``collector.capability``, ``collector.effect.audit``."""
        return {"collector.capability": self.capability, "collector.effect.audit": self.effects.audit}

    def metadata(self) -> dict[str, Json]:
        """All keys of CONTRACTS 7.4."""
        found: dict[str, Json] = {
            "collector.kind": self.kind.name, "collector.stage.required": self.requirement.stage.value,
            "collector.stage.mode": self.requirement.mode,
            "collector.stage.actual": None if self.actual is None else self.actual.value,
            "collector.stage.mismatch": self.mismatch, "collector.stage.source": self.source,
            **self.effects.metadata(), **self.shared(),
        }  # fmt: skip
        if self.case is not None:
            found["case"] = self.case
        if self.error is not None:
            found["collector.error.kind"] = self.error.kind.value
            if self.error.key is not None:
                found["collector.error.key"] = self.error.key
        return found

    def extension(self) -> dict[str, Json]:
        """``extensions["prelude.collector"]`` of a diagnostic."""
        stage = {
            name.rpartition(".")[2]: value
            for name, value in self.metadata().items()
            if name.startswith("collector.stage.")
        }
        effects: dict[str, Json] = {name.rpartition(".")[2]: value for name, value in self.effects.metadata().items()}
        return {"kind": self.kind.name, "capability": self.capability, "stage": stage, "effects": effects}


def log_of(audit: AnyLog | None, registry: CapabilityRegistry, context: Context | None) -> AnyLog:
    """Where records go: to *audit*, else to the log of *context*, else to where those of *registry* go."""
    if audit is not None:
        return audit
    return cast("Log", registry.audit) if context is None else AuditContext(ContextSink(context))


def record_finish(log: AnyLog, trail: CollectorAuditTrail, formatter: FormatterContext) -> str:
    """Write the record ``collector.finish`` of *trail*; its audit id."""
    more: dict[str, Any] = {} if formatter.change_set is None else {"change_set": formatter.merged()}
    return log.log(
        "collector.finish", category="collector", capability=trail.capability,
        metadata=trail.metadata() | formatter.metadata(), **more,
    )  # fmt: skip


def verify_kind(
    trail: CollectorAuditTrail, registry: CapabilityRegistry, context: Context | None = None
) -> CapabilityError | None:
    """Look at the stage of the kind, then verify the right to be audited; what was refused, or None. Fills *trail*."""
    try:
        descriptor = registry.describe(trail.kind.capability)
        trail.actual = descriptor.stage
        registry.verify_capability_stage(trail.kind.capability, trail.requirement, trail.kind.effects, context=context)
        registry.verify_capability_stage(AUDIT_CAPABILITY, Exact(StageId.STABLE), AUDIT_EFFECTS, context=context)
    except CapabilityError as error:
        return error
    trail.effects.mark("audit", "mem")
    return None


# --- collectors -------------------------------------------------------------------------------------------------------------


class Collector(Generic[T, Out]):
    """
    Base of the collectors: items go in by `push` and `extend`, the value comes out of `finish`, once.

    Args:
        audit: where the record goes; by default to the log of *context*, else where the records of *registry* go.
        registry: who is asked; by default the process's.
        context: whose log gets the ``capability_check`` records, too.
        formatter: what records get besides; by default what the environment says, see `FormatterContext.from_environment`.
        case: scenario of a gate: ``audit_cap``.
        requirement: the stage that its kind needs, instead of that of `KINDS`.
        most: how many items it takes; None: any number. most_bytes: how much memory, as `byte_size` counts.
    """

    KIND: ClassVar[CollectorKind]

    def __init__(
        self, *, audit: AnyLog | None = None, registry: CapabilityRegistry | None = None, context: Context | None = None,
        formatter: FormatterContext | None = None, case: str | None = None,
        requirement: StageRequirement | StageId | str | None = None, most: int | None = None, most_bytes: int | None = None,
    ) -> None:  # fmt: skip
        self._registry = CapabilityRegistry.process() if registry is None else registry
        self._context = context
        self._log = audit
        self._formatter = formatter
        self._most, self._most_bytes = most, most_bytes
        self._count = 0
        wanted = self.KIND.requirement if requirement is None else StageRequirement.parse(requirement)
        self.trail = CollectorAuditTrail(self.KIND, wanted, case=case)
        self.trail.effects.mark(*self.KIND.effects)
        self._ended = False

    def __len__(self) -> int:
        return self._count

    @property
    def effects(self) -> EffectSet:
        """What it did so far; whoever feeds it marks here what the feeding did: ``collector.effects.mark_io_blocking()``."""
        return self.trail.effects

    def _take(self, item: T) -> int:
        """Keep *item*; the bytes that it takes."""
        raise NotImplementedError

    def _value(self) -> Out:
        """The value."""
        raise NotImplementedError

    # --- feeding

    def reserve(self, slots: int) -> None:
        """
        Say how many items are to come.

        Raises:
            CollectError.CapacityOverflow: more than it takes. ValueError: a negative number.
        """
        self._going()
        if slots < 0:
            raise ValueError(f"slots must not be negative, got {slots}")
        if self._most is not None and self._count + slots > self._most:
            self._fail(CollectErrorKind.CAPACITY_OVERFLOW, f"room for {slots} more items, but {self._most} is the most")
        self.effects.mark_reserve(slots)

    def push(self, item: T) -> None:
        """
        Take one item.

        Raises:
            CollectError: it cannot; the collector has failed, and its record is written.
            ValueError: it was finished before.
        """
        self._going()
        if self._most is not None and self._count >= self._most:
            self._fail(CollectErrorKind.CAPACITY_OVERFLOW, f"more than {self._most} items", self._count)
        try:
            size = self._take(item)
        except MemoryError:
            self._fail(CollectErrorKind.MEMORY_ERROR, "no memory is left", self._count)
        except (TypeError, ValueError) as error:
            self._fail(CollectErrorKind.CUSTOM, f"{type(error).__name__}: {error}", self._count, error)
        if size:
            self.effects.mark_mem(size)
        self._count += 1
        if self._most_bytes is not None and self.effects.mem_bytes > self._most_bytes:
            self._fail(CollectErrorKind.MEMORY_ERROR, f"more than {self._most_bytes} bytes", self._count - 1)

    def extend(self, items: Iterable[T], *, where: Callable[[T], object] | None = None) -> None:
        """
        Take all *items*, or those that *where* is true of.

        Raises:
            CollectError: as `push`; ``IteratorFailure`` when the iterator or *where* raises; ``UnstableOrder`` when the order of the items
                means something here and *items* has none.
        """
        self._going()
        if self.KIND.ordered and isinstance(items, set | frozenset):
            self._fail(CollectErrorKind.UNSTABLE_ORDER, f"a set has no order, and a {self.KIND.name} keeps one")
        try:
            walk = iter(items)
            while True:
                try:
                    item = next(walk)
                except StopIteration:
                    return
                if where is not None:
                    self.effects.mark_predicate()
                    if not where(item):
                        continue
                self.push(item)
        except CollectError:
            raise
        except MemoryError:
            self._fail(CollectErrorKind.MEMORY_ERROR, "no memory is left", self._count)
        except Exception as error:  # noqa: BLE001  (whatever the iterator raises)
            text = f"after {self._count} items: {type(error).__name__}: {error}"
            self._fail(CollectErrorKind.ITERATOR_FAILURE, text, self._count, error)

    # --- ending

    def finish(self) -> Out:
        """
        The value, after its kind's stage and the right to be audited were verified; one record ``collector.finish``.

        Raises:
            CollectError.CapabilityDenied: the registry refuses.
            AuditUnavailableError, …: the log does not take the record; the collector can be finished again then.
            ValueError: it was finished before.
        """
        self._going()
        refused = verify_kind(self.trail, self._registry, self._context)
        if refused is not None:
            self._fail(CollectErrorKind.CAPABILITY_DENIED, str(refused), refused.id or None, refused)
        self.effects.finish += 1
        try:
            self._record()
        except BaseException:
            self.effects.finish -= 1
            raise
        self._ended = True
        return self._value()

    def fail(self, message: str, *, key: object = None) -> NoReturn:
        """
        End it with an error of one's own.

        Raises:
            CollectError.Custom: always.
        """
        self._going()
        self._fail(CollectErrorKind.CUSTOM, message, key)

    def _going(self) -> None:
        if self._ended:
            raise ValueError(f"this collector of a {self.KIND.name} has ended")

    def _fail(
        self, kind: CollectErrorKind, message: str, key: object = None, cause: BaseException | None = None
    ) -> NoReturn:
        self._ended = True
        error = ERRORS[kind](message, key=key, trail=self.trail)
        self.trail.error = error
        if self.trail.actual is None:
            with suppress(CapabilityError):
                self.trail.actual = self._registry.describe(self.KIND.capability).stage
        try:
            self._record()
        except Exception as refused:  # noqa: BLE001  (the first failure counts)
            error.add_note(f"audit: {refused}")
        raise error from cause

    def _record(self) -> None:
        record_finish(
            log_of(self._log, self._registry, self._context),
            self.trail,
            self._formatter or FormatterContext.from_environment(),
        )


class ListCollector(Collector[T, list[T]]):
    """Items in the order in which they came."""

    KIND = KINDS["list"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._items: list[T] = []

    def _take(self, item: T) -> int:
        self._items.append(item)
        return byte_size(item)

    def _value(self) -> list[T]:
        return self._items


class VecCollector(ListCollector[T]):
    """The same, changed in place."""

    KIND = KINDS["vec"]


class SetCollector(Collector[T, frozenset[T]]):
    """Distinct items; one that is there already takes no memory."""

    KIND = KINDS["set"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._items: set[T] = set()

    def _take(self, item: T) -> int:
        before = len(self._items)
        self._items.add(item)
        return byte_size(item) if len(self._items) > before else 0

    def _value(self) -> frozenset[T]:
        return frozenset(self._items)


class MapCollector(Collector[tuple[Any, Any], dict[Any, Any]]):
    """Pairs of key and value; a key that comes again is an error."""

    KIND = KINDS["map"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._items: dict[Any, Any] = {}

    def _take(self, item: tuple[Any, Any]) -> int:
        key, value = item
        if key in self._items:
            self._fail(CollectErrorKind.DUPLICATE_KEY, f"the key {_key_text(key)} comes twice", key)
        self._items[key] = value
        return byte_size(key) + byte_size(value)

    def _value(self) -> dict[Any, Any]:
        return self._items


class TableCollector(MapCollector):
    """The same in the order in which keys came, changed in place."""

    KIND = KINDS["table"]


class StringCollector(Collector[str | bytes, str]):
    """Texts, or their UTF-8, one behind the other; a character may be spread over several pieces of bytes."""

    KIND = KINDS["string"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parts: list[bytes] = []

    def _take(self, item: str | bytes) -> int:
        if not isinstance(item, str | bytes):
            raise TypeError(f"a text or bytes are expected, got {type(item).__name__}")
        try:
            self._parts.append(item.encode("utf-8") if isinstance(item, str) else item)
        except UnicodeEncodeError as error:
            self._fail(CollectErrorKind.INVALID_ENCODING, f"character {error.start + 1} is a lone surrogate", len(self))
        return len(self._parts[-1])

    def finish(self) -> str:
        """As `Collector.finish`; ``InvalidEncoding`` when the bytes are no UTF-8."""
        self._going()
        try:
            self._text = b"".join(self._parts).decode("utf-8")
        except UnicodeDecodeError as error:
            self._fail(CollectErrorKind.INVALID_ENCODING, f"byte {error.start + 1} is not UTF-8", error.start)
        return super().finish()

    def _value(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class Histogram:
    """
    How often values fell where.

    Attributes:
        bounds: upper ends of the buckets, inclusive, ascending. counts: values in each; the last one holds what lies above all bounds.
        total: values. sum: of them.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: int
    sum: float


class HistogramCollector(Collector[float, Histogram]):
    """Numbers, counted by bucket; *bounds* ascend."""

    KIND = KINDS["histogram"]

    def __init__(self, bounds: Sequence[float], **options: Any) -> None:
        if any(not math.isfinite(bound) for bound in bounds) or any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(f"bounds must be finite and ascend, got {list(bounds)}")
        super().__init__(**options)
        self._bounds = tuple(float(bound) for bound in bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self.effects.mark_mem((len(self._bounds) + len(self._counts)) * byte_size(0))

    def _take(self, item: float) -> int:
        if isinstance(item, bool) or not isinstance(item, int | float) or not math.isfinite(item):
            raise ValueError(f"a finite number is expected, got {item!r}")
        self._counts[bisect_left(self._bounds, item)] += 1
        self._sum += item
        return 0

    def _value(self) -> Histogram:
        return Histogram(self._bounds, tuple(self._counts), sum(self._counts), self._sum)


class CellCollector(Collector[T, "EffectfulRef[T]"]):
    """A shared cell that holds what came last; every item is written to the same place."""

    KIND = KINDS["cell"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._held: T | None = None

    def _take(self, item: T) -> int:
        self._held = item
        self.effects.mark_cell()
        return 0

    def finish(self) -> EffectfulRef[T]:
        """As `Collector.finish`; `Custom` when nothing came, ``CapabilityDenied`` also when ``core.collections.ref`` is."""
        self._going()
        if not len(self):
            self._fail(CollectErrorKind.CUSTOM, "nothing came that the cell could hold")
        try:
            self._made = EffectfulRef.try_new(
                cast("T", self._held), audit=self._log, registry=self._registry, context=self._context
            )
        except BorrowError.CapabilityDenied as error:
            self._fail(CollectErrorKind.CAPABILITY_DENIED, str(error), CELL_CAPABILITY, error)
        return super().finish()

    def _value(self) -> EffectfulRef[T]:
        return self._made


#: Collector of each kind.
COLLECTORS: dict[str, type[Collector[Any, Any]]] = {
    made.KIND.name: made
    for made in (
        ListCollector, SetCollector, MapCollector, VecCollector, StringCollector, TableCollector, CellCollector, HistogramCollector,
    )
}  # fmt: skip


def collect(
    kind: str, items: Iterable[Any], /, *arguments: Any, where: Callable[[Any], object] | None = None, **options: Any
) -> Any:
    """
    *items* as one value: ``collect("set", words, case="audit_cap", audit=log)``.

    Args:
        kind: a name of `KINDS`.
        items: pairs, or a mapping, for kinds with keys.
        *arguments: of its collector.
        where: see `Collector.extend`.
        **options: of its collector.

    Raises:
        CollectError: see `Collector`. KeyError: no such kind.
    """
    collector = COLLECTORS[kind](*arguments, **options)
    collector.extend(items.items() if isinstance(items, Mapping) else items, where=where)
    return collector.finish()
