"""
The same scenario on both sides: in the C runtime and in Python, its records compared key by key (CONTRACTS 7.6; ``reml audit compare``).

Left is the C runtime: the script's collections and cells, the library's checks and counts, the log of a context. Right is Python: collectors
and `EffectfulRef`. What differs from run to run by its nature (ids, times, places in a chain) is left out, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from reml_embed.audit.context import AuditContext
from reml_embed.audit.records import Json, Record
from reml_embed.audit.sinks import MemorySink
from reml_embed.context import Context
from reml_embed.data.collectors import AUDIT_CAPABILITY, CollectError, collect
from reml_embed.data.formatter import FormatterContext
from reml_embed.data.native import finish_native
from reml_embed.data.ref import CAPABILITY, BorrowError, RefHandle
from reml_embed.registry.capability import CapabilityRegistry

#: What belongs to one run: of every record, of a chained file, of a command.
_VOLATILE: Final = ("audit.sequence", "audit.chain.", "cli.", "compare.")
_ABSENT: Final = None

Case = Callable[["Side"], None]


@dataclass
class Side:
    """
    One side of one case.

    Attributes:
        native: is it the C runtime?
        case: name of the case.
        facts: what came out besides records: errors, values, counts.
    """

    native: bool
    case: str
    formatter: FormatterContext
    registry: CapabilityRegistry
    context: Context
    sink: MemorySink
    facts: dict[str, Json] = field(default_factory=dict)

    @property
    def records(self) -> list[Record]:
        """Records of collectors and cells, in order."""
        self.context.drain()
        return [record for record in self.sink.taken if record.category in ("collector", "ref")]

    def try_to(self, name: str, action: Callable[[], object]) -> None:
        """Do something that may be refused; *name* is the fact that tells of it."""
        try:
            action()
            self.facts[name] = "ok"
        except BorrowError as error:
            self.facts[name] = error.kind
        except CollectError as error:
            self.facts[name] = error.kind.value


SOURCE: Final = """
fn list(items: List<Int>) -> List<Int> = items.iter().collect_list()
fn vec(items: List<Float>) -> Vec<Float> = items.iter().collect_vec()
fn set(items: List<Str>) -> Set<Str> = items.iter().collect_set()
fn map(items: List<(Str, Int)>) -> Map<Str, Int> = items.iter().collect_map()
fn table(items: List<(Str, List<Int>)>) -> Table<Str, List<Int>> {
    let made: Table<Str, List<Int>> = Table.new()
    for (key, value) in items { made.insert(key, value) }
    made
}
fn string(items: List<Str>) -> Str = items.join("")
fn cell(value: Int) -> Ref<Int> = Ref.new(value)
"""


@contextmanager
def _side(case: str, *, native: bool, formatter: FormatterContext) -> Iterator[Side]:
    sink = MemorySink()
    registry = CapabilityRegistry(audit=AuditContext(MemorySink()))
    with Context(audit=sink if native else MemorySink(), registry=registry) as context:
        context.load(SOURCE)
        yield Side(native, case, formatter, registry, context, sink)


# --- scenarios ---------------------------------------------------------------------------------------------------------------


def _collected(kind: str, items: list[Any]) -> Case:
    def run(side: Side) -> None:
        if not side.native:
            log = AuditContext(side.sink)
            collect(kind, items, audit=log, registry=side.registry, formatter=side.formatter, case="audit_cap")
            return
        with side.context.call(side.context.function(kind), items) as made:
            finish_native(side.context, made, registry=side.registry, formatter=side.formatter, case="audit_cap")

    return run


def _denied(kind: str, items: list[Any]) -> Case:
    def run(side: Side) -> None:
        side.registry.disable(AUDIT_CAPABILITY)
        side.try_to("finish", lambda: _collected(kind, items)(side))

    return run


def _place(side: Side) -> RefHandle[int]:
    if side.native:
        made: RefHandle[int] = side.context.function("cell")(1)
        made._count_in()
        return made
    return RefHandle.try_new(1, audit=AuditContext(side.sink), registry=side.registry)


def _clone_and_drop(side: Side) -> None:
    place = _place(side)
    handles = [place.clone() for _ in range(3)]
    side.facts["strong_count"] = place.strong_count()
    for handle in handles:
        handle.drop()
    side.facts["strong_count.dropped"] = place.strong_count()
    place.drop()


def _borrow(side: Side) -> None:
    place = _place(side)
    other = place.clone()
    with place.borrow() as one, other.borrow() as two:
        side.facts["read"] = [one.value, two.value]
        side.try_to("write while reading", place.borrow_mut)
    with other.borrow_mut() as cell:
        cell.value = 7
        side.try_to("second writer", place.borrow_mut)
        side.try_to("read while writing", place.borrow)
    side.facts["value"] = place.value
    other.drop()
    side.facts["inner"] = place.into_inner()


def _poisoned(side: Side) -> None:
    place = _place(side)
    with suppress(ZeroDivisionError), place.borrow_mut() as cell:
        cell.value = 7
        cell.value = 1 // 0
    side.try_to("read", place.borrow)
    side.try_to("inner", place.into_inner)
    place.drop()


def _cell_denied(side: Side) -> None:
    side.registry.disable(CAPABILITY)
    side.try_to("new", lambda: _place(side))


#: Sections of a target, and their cases.
SECTIONS: Final[dict[str, dict[str, Case]]] = {
    "collectors": {
        "audit_cap/list": _collected("list", list(range(12))),
        "audit_cap/vec": _collected("vec", [0.5, 1.5]),
        "audit_cap/set": _collected("set", ["b", "a", "b", "ß"]),
        "audit_cap/map": _collected("map", [("b", 1), ("a", 2)]),
        "audit_cap/table": _collected("table", [("b", [1, 2]), ("a", [])]),
        "audit_cap/string": _collected("string", ["a", "ß", ""]),
        "audit_cap/denied": _denied("list", [1, 2]),
    },
    "ref_count": {
        "ref_count/clone_and_drop": _clone_and_drop,
        "ref_count/borrow": _borrow,
        "ref_count/poisoned": _poisoned,
        "ref_count/denied": _cell_denied,
    },
}
TARGETS: Final = ("audit_bridge",)


# --- comparing ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that the sides tell differently; what a side does not have is None."""

    case: str
    key: str
    left: Json
    right: Json

    def json(self) -> dict[str, Json]:
        """``{case, key, left, right}``."""
        return {"case": self.case, "key": self.key, "left": self.left, "right": self.right}


@dataclass
class Comparison:
    """
    What came of it.

    Attributes:
        target: ``audit_bridge``. compared: how many keys were. differences: those that differ.
        records: all records, those of the C runtime before those of Python, each with ``compare.case`` and ``compare.side``.
    """

    target: str
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Is there something to compare, and no difference?"""
        return self.compared > 0 and not self.differences

    def json(self) -> dict[str, Json]:
        """``{target, compared, differences}`` (CONTRACTS 7.6)."""
        return {
            "target": self.target,
            "compared": self.compared,
            "differences": [row.json() for row in self.differences],
        }

    def add(self, case: str, left: Mapping[str, Json], right: Mapping[str, Json]) -> None:
        """Compare what two sides say of one thing."""
        for key in sorted(left.keys() | right.keys()):
            self.compared += 1
            one, two = left.get(key, _ABSENT), right.get(key, _ABSENT)
            if type(one) is not type(two) or one != two or (key in left) != (key in right):
                self.differences.append(Difference(case, key, one, two))

    def add_records(self, case: str, left: list[Record], right: list[Record]) -> None:
        """Compare two lists of records, each with its counterpart; ``records`` is how many there are."""
        self.add(case, {"records": len(left)}, {"records": len(right)})
        for one, two in zip(left, right, strict=False):
            self.add(case, comparable(one), comparable(two))


def comparable(record: Record) -> dict[str, Json]:
    """What of a record has to be the same on both sides."""
    found = {key: value for key, value in record.metadata.items() if not key.startswith(_VOLATILE)}
    return found | {"category": record.category, "capability": record.capability, "change_set": record.change_set}


def compare(
    target: str = "audit_bridge", sections: Iterable[str] = (), formatter: FormatterContext | None = None
) -> Comparison:
    """
    Run each case of the sections (none: of all) on both sides.

    Raises:
        KeyError: no such target or section.
    """
    if target not in TARGETS:
        raise KeyError(target)
    surroundings = FormatterContext.from_environment() if formatter is None else formatter
    found = Comparison(target)
    for section in sections or SECTIONS:
        for case, run in SECTIONS[section].items():
            told: list[list[Record]] = []
            facts: list[dict[str, Json]] = []
            for native in (True, False):
                with _side(case, native=native, formatter=surroundings) as side:
                    try:
                        run(side)
                    except Exception as error:  # noqa: BLE001  (a side that ends otherwise than the other differs)
                        side.facts["failed"] = f"{type(error).__name__}: {error}"
                    told.append(side.records)
                    facts.append(side.facts)
                found.records += [_marked(record, case, native=native) for record in told[-1]]
            found.add_records(case, *told)
            found.add(case, *facts)
    return found


def _marked(record: Record, case: str, *, native: bool) -> Record:
    envelope = record.envelope
    metadata = record.metadata | {"compare.case": case, "compare.side": "c" if native else "python"}
    return Record(record.data | {"envelope": envelope | {"metadata": metadata}})


def compare_logs(target: str, left: Iterable[Record], right: Iterable[Record]) -> Comparison:
    """
    Compare records that were written before: collectors and cells, by their ``compare.case``, else by their ``case``, else by their kind, in order.
    """
    sides: list[dict[str, list[Record]]] = []
    for records in (left, right):
        side: dict[str, list[Record]] = {}
        for record in records:
            if record.category in ("collector", "ref"):
                name = record.metadata.get("compare.case") or record.metadata.get("case") or record.kind
                side.setdefault(str(name), []).append(record)
        sides.append(side)
    found = Comparison(target)
    for case in dict.fromkeys([*sides[0], *sides[1]]):
        found.add_records(case, *(side.get(case, []) for side in sides))
    return found
