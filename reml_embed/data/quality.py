"""
Quality of data: what a schema finds in rows, and what their columns are like (CONTRACTS 10.6).

`validate` looks, `apply` changes and looks; both answer a `QualityReport`, which has the fields of `RuntimeMetrics`, leave the record
``reml.data.validate`` or ``reml.data.apply`` where there is a log, and are measured as ``data.validation``.

A list is rows; anything else is one row. A column is the path of a leaf without positions: ``ports[]``.
"""

from __future__ import annotations

import copy
import datetime
import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from reml_embed.audit.ids import new_id, now
from reml_embed.config import changes as config_changes
from reml_embed.config import schema as schemas
from reml_embed.config.changes import DataChangeSet
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.config.schema import Field, Schema
from reml_embed.data.change_set import ChangeSet, Step, flatten, jsonable, path_text
from reml_embed.metrics import RuntimeMetrics, emit_metrics

#: So many findings are kept; how many there were is in ``custom["findings.total"]``.
MOST_FINDINGS = 1000
#: So many columns have numbers, the first by name; how many there were is in ``custom["columns.total"]``.
MOST_COLUMNS = 500
#: Bars of a histogram.
MOST_BINS = 10
PERCENTILES = (50, 90, 95, 99)
SEVERITIES = ("None", "Warn", "Error")
_WORDS = {"warning": "Warn", "error": "Error"}
_RULES = {"config.missing_field": "required", "config.schema.type_mismatch": "type"}


class Log(Protocol):
    """What takes the record: an `AuditContext`, or anything with its `log`."""

    def log(
        self, event: str, payload: Mapping[str, Any] | None = None, *, change_set: Mapping[str, Any] | None = None,
        audit_id: str | None = None,
    ) -> str:  # fmt: skip
        """Write one record; the audit id comes back."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is wrong with the data.

    Attributes:
        rule: id of the rule, ``required``, ``type`` or ``default``.
        scope: where: ``[3].price``; ``$`` is all of it.
        severity: ``Warn`` or ``Error``.
        diagnostic: code, message and place, in the shape of CONTRACTS 21.
        auto_fixed: it was mended.
    """

    rule: str
    scope: str
    severity: str
    diagnostic: Mapping[str, Any]
    auto_fixed: bool = False

    def json(self) -> dict[str, Any]:
        """``{rule, scope, severity, diagnostic, auto_fixed}``."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"diagnostic": dict(self.diagnostic)}


@dataclass(frozen=True, slots=True)
class ColumnStats:
    """
    Numbers of one column: how many values it has that are not null, how many different ones; of numbers and times the bounds, of numbers
    the rest. What a text says stays out: reports go into logs.
    """

    count: int
    distinct: int | None = None
    min: Any = None
    max: Any = None
    mean: float | None = None
    stddev: float | None = None
    percentiles: Mapping[str, float] | None = None
    histogram: tuple[Mapping[str, float], ...] | None = None

    def json(self) -> dict[str, Any]:
        """What is known; ``count`` always."""
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        made = {name: value for name, value in shown.items() if value is not None}
        if self.histogram is not None:
            made["histogram"] = [dict(row) for row in self.histogram]
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport(RuntimeMetrics):
    """
    What was found in data, with the fields of `RuntimeMetrics`: how long it took, rows a minute, the share of rows with an error.

    Attributes:
        profile: what the data were held against.
        findings: at most `MOST_FINDINGS`.
        stats: by column.
        generated_at: when.
        audit_id: of the record; None: there is none.
        problems: all of them as they were found, with their places; no part of the JSON.
    """

    profile: str
    findings: tuple[Finding, ...]
    stats: Mapping[str, ColumnStats]
    generated_at: str
    audit_id: str | None = None
    problems: tuple[Problem, ...] = field(default=(), compare=False, repr=False)

    @property
    def severity_max(self) -> str:
        """``None``, ``Warn`` or ``Error``; what was mended counts, too."""
        return max((finding.severity for finding in self.findings), key=SEVERITIES.index, default=SEVERITIES[0])

    def json(self) -> dict[str, Any]:
        """The object of CONTRACTS 10.6."""
        metrics = self.payload("data.validation")
        made: dict[str, Any] = {"profile": self.profile, "findings": [finding.json() for finding in self.findings]}
        made |= {"stats": {name: self.stats[name].json() for name in sorted(self.stats)}}
        made |= {"generated_at": self.generated_at, "severity_max": self.severity_max}
        made |= {name: metrics[name] for name in ("latency_ms", "throughput_per_min", "error_rate", "custom")}
        made["last_audit_id"] = metrics["audit_id"]
        return made | ({"audit_id": self.audit_id} if self.audit_id is not None else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QualityReport:
        """
        Read a report back; members that we do not know are left out.

        Raises:
            ValueError: a member is missing or of another kind; the message names it.
        """
        for name, kind in (("profile", str), ("findings", list), ("stats", dict), ("generated_at", str)):
            if not isinstance(data.get(name), kind):
                raise ValueError(f"expected {kind.__name__} at $.{name}, got {type(data.get(name)).__name__}")  # noqa: TRY004
        metrics = RuntimeMetrics.from_payload({**data, "audit_id": data.get("last_audit_id")})
        return cls(
            **{one.name: getattr(metrics, one.name) for one in fields(RuntimeMetrics)},
            profile=data["profile"],
            findings=tuple(
                _known(Finding, row, f"$.findings[{index}]", ("rule", "scope", "severity", "diagnostic"))
                for index, row in enumerate(data["findings"])
            ),
            stats={
                name: _known(ColumnStats, row, f"$.stats.{name}", ("count",)) for name, row in data["stats"].items()
            },
            generated_at=data["generated_at"],
            audit_id=data.get("audit_id"),
        )


def _known(kind: Any, row: Any, place: str, needed: tuple[str, ...]) -> Any:
    if not isinstance(row, Mapping):
        raise ValueError(f"expected an object at {place}, got {type(row).__name__}")  # noqa: TRY004
    for name in needed:
        if name not in row:
            raise ValueError(f"expected a member at {place}.{name}, got nothing")
    values = {one.name: row[one.name] for one in fields(kind) if one.name in row}
    if isinstance(values.get("histogram"), list):
        values["histogram"] = tuple(values["histogram"])
    if kind is Finding and values["severity"] not in SEVERITIES[1:]:
        raise ValueError(f"expected Warn or Error at {place}.severity, got {values['severity']!r}")
    return kind(**values)


# --- looking ----------------------------------------------------------------------------------------------------------


def validate(
    data: Any, schema: Schema | Mapping[str, Any], *, profile: str = "", audit: Log | None = None,
    references: Mapping[str, Schema] | None = None,
) -> QualityReport:  # fmt: skip
    """
    Hold data against a schema; nothing is changed.

    Args:
        data: plain data, or a `Document`, whose places are named then.
        schema: of the guide (for each row), or a JSON Schema (for all of it).
        profile: what the report says that it was held against; by default the name of the schema.
        audit: takes the record ``reml.data.validate``.
        references: further schemas by the names that fields have for them.

    Raises:
        ConfigError: the schema is none. AuditUnavailableError: the log does not take the record.
    """
    document = _document(data)
    report = report_of(document, lambda: problems_of(document, schema, references), profile or _name(schema))
    return _recorded("reml.data.validate", report, audit)


def apply(
    data: Any, changes: ChangeSet | DataChangeSet, schema: Schema | Mapping[str, Any], *, profile: str = "",
    audit: Log | None = None, references: Mapping[str, Schema] | None = None, fix: bool = False,
) -> tuple[Any, QualityReport]:  # fmt: skip
    """
    Data with changes made, when the schema has nothing against them; *data* stays as it is. Arguments are those of `validate`, and:

    Args:
        data: plain data, or a `Document`.
        changes: what changes.
        schema: what has to hold afterwards.
        profile: see `validate`.
        audit: takes the record ``reml.data.apply``.
        references: see `validate`.
        fix: fill in what is missing and has a default; each such field is a finding that is ``auto_fixed``.

    Raises:
        ConfigError: ``ValidationError``: a change does not fit, or what comes out has errors. Otherwise as `validate`.
    """
    document = _document(data)
    value = config_changes.apply_diff(document.value, changes)
    made = Document(document.file, document.format, document.text, value, document.places)
    fixed = _fill_in(made, schema) if fix and isinstance(schema, Schema) else []
    report = report_of(made, lambda: problems_of(made, schema, references), profile or _name(schema), fixed)
    if any(problem.severity == "error" for problem in report.problems):
        raise ConfigError("ValidationError", [one for one in report.problems if one.severity == "error"])
    flat = changes.flat() if isinstance(changes, DataChangeSet) else changes
    return made.value, _recorded("reml.data.apply", report, audit, change_set=flat.json())


def recorded(report: QualityReport, event: str, audit: Log, **more: Any) -> QualityReport:
    """*report* with the audit id of its record; *more* goes to `Log.log`. Raises: AuditUnavailableError."""
    audit_id = str(more.setdefault("audit_id", new_id()))
    known = replace(report, audit_id=audit_id, last_audit_id=audit_id)
    audit.log(event, known.json(), **more)
    return known


def _recorded(event: str, report: QualityReport, audit: Log | None, **more: Any) -> QualityReport:
    known = report if audit is None else recorded(report, event, audit, **more)
    emit_metrics("data.validation", known)
    return known


def _document(data: Any) -> Document:
    return data if isinstance(data, Document) else Document("", "json", "", data)


def _name(schema: Schema | Mapping[str, Any]) -> str:
    return schema.name if isinstance(schema, Schema) else str(schema.get("$id") or schema.get("title") or "json-schema")


def problems_of(
    document: Document, schema: Schema | Mapping[str, Any], references: Mapping[str, Schema] | None = None
) -> list[Problem]:
    """
    All that is wrong with a document, or its rows, by a schema.

    Raises:
        ConfigError: the schema is none.
    """
    if not isinstance(schema, Schema):
        return schemas.validate_json_schema(document, schema, _name(schema))
    return schemas.validate_rows(document, schema, references)


def _fill_in(document: Document, schema: Schema) -> list[Problem]:
    """Put defaults where something is missing; what was filled in comes back."""
    document.value = copy.deepcopy(document.value)
    filled = []
    for row, path in _rows(document.value):
        for name, part in schema.fields.items():
            if part.default_value is not None and isinstance(row, dict) and _put(row, part):
                where = (*path, *(name.split(".")))
                text = f"`{name}` was missing: its default was filled in"
                problem = document.problem("config.missing_field", text, where, severity="warning")
                filled.append(replace(problem, details={"rule": "default"}))
    return filled


def _put(row: dict[str, Any], part: Field) -> bool:
    """Is the field missing, and is there now its default?"""
    *outer, last = part.name.split(".")
    if part.name in row:
        return False
    here: Any = row
    for step in outer:
        here = here.setdefault(step, {})
        if not isinstance(here, dict):
            return False  # validating says so
    if here.get(last) is not None:
        return False
    here[last] = copy.deepcopy(part.default_value)
    return True


def _rows(value: Any) -> list[tuple[Any, tuple[Step, ...]]]:
    return [(row, (index,)) for index, row in enumerate(value)] if isinstance(value, list) else [(value, ())]


_ROW = re.compile(r"\[(\d+)\]")


def report_of(
    document: Document, look: Callable[[], list[Problem]], profile: str, fixed: Iterable[Problem] = ()
) -> QualityReport:
    """The report of one look at a document; *fixed* is what was mended before."""
    began = time.perf_counter()
    problems = look()
    rows = _rows(document.value)
    bad: set[str] = set()
    for problem in problems:
        if problem.severity == "error":
            place = _ROW.match(problem.key_path)
            bad.add(place[1] if place else "")
    whole = "" in bad and isinstance(document.value, list)  # of no single row
    columns = _columns(rows)
    stats = {name: _column_stats(columns[name]) for name in sorted(columns)[:MOST_COLUMNS]}
    seconds = max(time.perf_counter() - began, 1e-9)
    found = [(one, True) for one in fixed] + [(one, False) for one in problems if one.severity in _WORDS]
    return QualityReport(
        latency_ms=round(seconds * 1000, 3),
        throughput_per_min=round(len(rows) / seconds * 60, 3),
        error_rate=1.0 if whole else len(bad) / len(rows) if rows else 0.0,
        custom={"rows": len(rows), "columns.total": len(columns), "findings.total": len(found)},
        profile=profile,
        findings=tuple(_finding(problem, auto_fixed=mended) for problem, mended in found[:MOST_FINDINGS]),
        stats=stats,
        generated_at=now(),
        problems=tuple(problems),
    )


def _finding(problem: Problem, *, auto_fixed: bool) -> Finding:
    rule = problem.details.get("rule") or _RULES.get(problem.code) or problem.code.rpartition(".")[2]
    scope = problem.key_path or "$"
    return Finding(str(rule), scope, _WORDS[problem.severity], problem.json("data"), auto_fixed=auto_fixed)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _columns(rows: list[tuple[Any, tuple[Step, ...]]]) -> dict[str, list[Any]]:
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    for row, _ in rows:
        for path, leaf in flatten(row).items():
            columns[_column(path)].append(leaf)
    return columns


def _column(path: tuple[Step, ...]) -> str:
    text = "".join("[]" if isinstance(step, int) else f".{path_text((step,))}" for step in path)
    return text.removeprefix(".") or "$"


def _column_stats(values: list[Any]) -> ColumnStats:
    known = [value for value in values if value is not None]
    stats = ColumnStats(len(known), len({(type(value).__name__, repr(value)) for value in known}))
    times = [value for value in known if isinstance(value, datetime.date | datetime.time)]
    if times and len(times) == len(known):
        shown = sorted(str(jsonable(value)) for value in times)
        return replace(stats, min=shown[0], max=shown[-1])
    numbers = [number for value in known if (number := _number(value)) is not None]
    if not numbers or len(numbers) != len(known):
        return stats
    numbers.sort()
    rank = {f"p{share}": numbers[max(0, math.ceil(share / 100 * len(numbers)) - 1)] for share in PERCENTILES}
    mean, stddev = _moments(numbers)
    return replace(
        stats,
        min=numbers[0],
        max=numbers[-1],
        mean=mean,
        stddev=stddev,
        percentiles=rank,
        histogram=_histogram(numbers),
    )


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer that no float holds
        return None


def _moments(numbers: list[float | int]) -> tuple[float | None, float | None]:
    try:
        mean = math.fsum(numbers) / len(numbers)
        spread = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers))
    except OverflowError:
        return None, None
    return mean, spread


def _histogram(numbers: list[float | int]) -> tuple[dict[str, float], ...]:
    """At most `MOST_BINS` bars of one width; *numbers* ascend."""
    low, high = float(numbers[0]), float(numbers[-1])
    bins = min(MOST_BINS, len(numbers)) if high > low else 1
    width = high / bins - low / bins
    counts = [0] * bins
    for number in numbers:
        at = int(float(number) / width - low / width) if width else 0
        counts[max(0, min(at, bins - 1))] += 1
    edges = [*(low + index * width for index in range(bins)), high]
    return tuple({"from": edges[index], "to": edges[index + 1], "count": counts[index]} for index in range(bins))
