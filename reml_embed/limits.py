"""What a script may use up (DESIGN 2.7)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from reml_embed._ffi import UNLIMITED, ffi, lib

_STANDARD = ffi.new("reml_embed_limits_t*")
lib.reml_embed_limits_default(_STANDARD)
_UNTRUSTED = ffi.new("reml_embed_limits_t*")
lib.reml_embed_limits_untrusted(_UNTRUSTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Limits of a context; what is not given is the library's default. Reaching one ends the run with `LimitError`.

    Attributes:
        fuel: instructions per outermost run.
        heap_bytes: all memory of the context.
        deadline_ms: wall clock of a run; 0: none.
        call_depth: frames.
        string_bytes: one string or bytes value.
        output_bytes: printed per run.
        source_bytes: one source.
        nesting: syntactic depth.
        identifier_bytes: one name.
        instances: of generic functions.
        type_depth: how deep types nest.

    `Limits.UNLIMITED` takes a limit away, by name; that leaves an audit record.
    """

    UNLIMITED: ClassVar[int] = UNLIMITED

    fuel: int = _STANDARD.fuel
    heap_bytes: int = _STANDARD.heap_bytes
    deadline_ms: int = _STANDARD.deadline_ms
    call_depth: int = _STANDARD.call_depth
    string_bytes: int = _STANDARD.string_bytes
    output_bytes: int = _STANDARD.output_bytes
    source_bytes: int = _STANDARD.source_bytes
    nesting: int = _STANDARD.nesting
    identifier_bytes: int = _STANDARD.identifier_bytes
    instances: int = _STANDARD.instances
    type_depth: int = _STANDARD.type_depth

    def __post_init__(self) -> None:
        for name in LIMIT_NAMES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an int, got {type(value).__name__}")
            if not 0 <= value <= UNLIMITED:
                raise ValueError(f"{name} must lie between 0 and 2**64 - 1, got {value}")

    @classmethod
    def untrusted(cls, **changes: int) -> Limits:
        """Limits for hostile code: tight, and with a deadline; *changes* replace single ones."""
        return cls(**{name: getattr(_UNTRUSTED, name) for name in LIMIT_NAMES} | changes)


#: Names of the limits, as fields and for ``--limit NAME=VALUE``.
LIMIT_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Limits))


def to_c(limits: Limits) -> object:
    """The library's struct."""
    made = ffi.new("reml_embed_limits_t*")
    made.struct_size = ffi.sizeof("reml_embed_limits_t")
    for name in LIMIT_NAMES:
        setattr(made, name, getattr(limits, name))
    return made


def from_c(made: object) -> Limits:
    """From the library's struct."""
    return Limits(**{name: getattr(made, name) for name in LIMIT_NAMES})
