"""
The record of a collection that a script made in the heap of the C runtime (CONTRACTS 7.6): what `Collector.finish` tells of one of Python's.

Comes in: a value that never became a Python object. Its kind and its bytes are read through the library's handles, the checks are the
library's, the record goes to the log of the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reml_embed._ffi import ffi, lib, value_struct
from reml_embed.data.collectors import (
    ERRORS,
    KINDS,
    CollectErrorKind,
    CollectorAuditTrail,
    log_of,
    record_finish,
    verify_kind,
)
from reml_embed.data.effect_set import SLOT_BYTES
from reml_embed.data.formatter import FormatterContext
from reml_embed.registry.capability import CapabilityRegistry

if TYPE_CHECKING:
    from reml_embed.context import Context
    from reml_embed.results import TransferredResult

#: Kind of a value (``reml_kind_t``) → kind of its collector.
COLLECTOR_OF: Final = {
    int(lib.REML_KIND_ARRAY): "list", int(lib.REML_KIND_SET): "set", int(lib.REML_KIND_MAP): "map",
    int(lib.REML_KIND_VEC): "vec", int(lib.REML_KIND_STRING): "string", int(lib.REML_KIND_TABLE): "table",
}  # fmt: skip

_TEXTS: Final = (int(lib.REML_KIND_STRING), int(lib.REML_KIND_BYTES))
_KEYED: Final = (int(lib.REML_KIND_MAP), int(lib.REML_KIND_TABLE))
_NESTED: Final = (
    *COLLECTOR_OF, int(lib.REML_KIND_TUPLE), int(lib.REML_KIND_RECORD), int(lib.REML_KIND_STRUCT), int(lib.REML_KIND_ADT),
)  # fmt: skip


def native_bytes(context: Context, value: TransferredResult) -> int:
    """Bytes of what *value* holds, as `byte_size` counts them: without the slot of *value* itself."""
    identity, total = context._id, -SLOT_BYTES
    stack = [(value_struct(value._handle), False)]
    while stack:
        item, owned = stack.pop()
        try:
            total += SLOT_BYTES
            if item.kind in _TEXTS:
                span = ffi.new("reml_span_t*")
                context._raise_for(lib.reml_value_span(identity, item, span))
                total += span.length
            elif item.kind in _NESTED:
                length = ffi.new("size_t*")
                context._raise_for(lib.reml_value_length(identity, item, length))
                for index in range(length[0]):
                    for read in (lib.reml_value_item, lib.reml_value_key)[: 2 if item.kind in _KEYED else 1]:
                        out = ffi.new("reml_value_t*")
                        context._raise_for(read(identity, item, index, out))
                        stack.append((out[0], True))
        finally:
            if owned:
                lib.reml_value_release(identity, item)
    return total


def finish_native(
    context: Context, value: TransferredResult, *, registry: CapabilityRegistry | None = None,
    formatter: FormatterContext | None = None, case: str | None = None,
) -> CollectorAuditTrail:  # fmt: skip
    """
    Verify and record a collection of the C runtime; *value* stays the caller's.

    Returns:
        Its trail.

    Raises:
        ValueError: *value* is no collection.
        CollectError.CapabilityDenied: the registry (by default that of *context*) refuses; that is recorded, too.
    """
    kind = COLLECTOR_OF.get(value._handle[0])
    if kind is None:
        raise ValueError(f"a {value.kind} is no collection")
    if registry is None:
        registry = context._registry or CapabilityRegistry.process()
    row = KINDS[kind]
    trail = CollectorAuditTrail(row, row.requirement, case=case)
    trail.effects.mark(*row.effects)
    trail.effects.mark_mem(native_bytes(context, value))
    refused = verify_kind(trail, registry, context)
    if refused is None:
        trail.effects.finish = 1
    else:
        trail.error = ERRORS[CollectErrorKind.CAPABILITY_DENIED](str(refused), key=refused.id or None, trail=trail)
    record_finish(log_of(None, registry, context), trail, formatter or FormatterContext.from_environment())
    if trail.error is not None:
        raise trail.error from refused
    return trail
