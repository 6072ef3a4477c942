"""
Data: what differs between two values as one change set, what collects items into a value, and shared cells (CONTRACTS 7, 8).

`change_set` knows plain data only (what JSON and TOML can say): no files, no commands, no registry. `collectors`, `formatter`, `quality` and
`ref` stand above it: they ask the registry or schemas and write records. They are imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

from reml_embed.data.change_set import (
    ChangeSet,
    ChangeSetError,
    Item,
    apply,
    compare,
    flatten,
    path_text,
    same,
    split_path,
    unflatten,
)

if TYPE_CHECKING:
    from reml_embed.data.collectors import (
        CollectError,
        CollectErrorKind,
        Collector,
        CollectorAuditTrail,
        Histogram,
        HistogramCollector,
        ListCollector,
        MapCollector,
        SetCollector,
        StringCollector,
        TableCollector,
        VecCollector,
        collect,
    )
    from reml_embed.data.effect_set import EffectSet
    from reml_embed.data.formatter import FormatterContext
    from reml_embed.data.quality import ColumnStats, Finding, QualityReport

_LATER = {
    "CollectError": "collectors", "CollectErrorKind": "collectors", "Collector": "collectors", "CollectorAuditTrail": "collectors",
    "EffectSet": "effect_set", "FormatterContext": "formatter", "Histogram": "collectors", "HistogramCollector": "collectors",
    "ListCollector": "collectors", "MapCollector": "collectors", "SetCollector": "collectors", "StringCollector": "collectors",
    "TableCollector": "collectors", "VecCollector": "collectors", "collect": "collectors", "ColumnStats": "quality", "Finding": "quality",
    "QualityReport": "quality",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


__all__ = [
    "ChangeSet",
    "ChangeSetError",
    "CollectError",
    "CollectErrorKind",
    "Collector",
    "CollectorAuditTrail",
    "ColumnStats",
    "EffectSet",
    "Finding",
    "FormatterContext",
    "Histogram",
    "HistogramCollector",
    "Item",
    "ListCollector",
    "MapCollector",
    "QualityReport",
    "SetCollector",
    "StringCollector",
    "TableCollector",
    "VecCollector",
    "apply",
    "collect",
    "compare",
    "flatten",
    "path_text",
    "same",
    "split_path",
    "unflatten",
]
