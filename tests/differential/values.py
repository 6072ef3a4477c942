"""
Reml's values and arithmetic in plain Python, written from the language reference and from nothing else: the second opinion.

A value is int, float, bool, str, list, tuple, `Some`/`NONE`, `Record`, `Variant`, `dict` (a Map) or a Python function. Types are
tuples: ``("Int",)``, ``("List", T)``, ``("Option", T)``, ``("Result", T, E)``, ``("Tuple", A, B)``, ``("Map", K, V)``, ``("Named", name)``, ``("Fn", A, R)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

INT, FLOAT, BOOL, STR, UNIT = ("Int",), ("Float",), ("Bool",), ("Str",), ("Unit",)
LOWEST, HIGHEST = -(2**63), 2**63 - 1


class Panic(Exception):
    """The run ends with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Break(Exception):
    """Leave the innermost loop."""


class Continue(Exception):
    """Next round of the innermost loop."""


class Return(Exception):
    """Leave the function with a value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(frozen=True)
class Some:
    """``Some(value)``; None stands for ``None``."""

    value: Any


@dataclass(frozen=True)
class Ok:
    """``Ok(value)``."""

    value: Any


@dataclass(frozen=True)
class Err:
    """``Err(value)``."""

    value: Any


@dataclass(frozen=True)
class Record:
    """A named record: fields in ascending order of their names."""

    name: str
    fields: tuple[tuple[str, Any], ...]

    def get(self, name: str) -> Any:
        return dict(self.fields)[name]

    def put(self, name: str, value: Any) -> Record:
        return Record(self.name, tuple((n, value if n == name else v) for n, v in self.fields))


@dataclass(frozen=True)
class Variant:
    """A constructor with its payload."""

    tag: int
    name: str
    payload: tuple[Any, ...]


def fit(value: int) -> int:
    """An i64, or the trap."""
    if not LOWEST <= value <= HIGHEST:
        raise Panic("runtime.arith.overflow")
    return value


def divide(a: int, b: int) -> int:
    """Toward zero."""
    if b == 0:
        raise Panic("runtime.arith.div_zero")
    return fit(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


def remainder(a: int, b: int) -> int:
    """With the sign of the dividend."""
    if b == 0:
        raise Panic("runtime.arith.div_zero")
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


def power(a: int, b: int) -> int:
    if b < 0:
        raise Panic("runtime.arith.negative_exponent")
    if abs(a) > 1 and b > 64:
        raise Panic("runtime.arith.overflow")
    return fit(a ** (b if abs(a) > 1 else b % 2 if a == -1 else min(b, 1)))


def float_divide(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def to_int(value: float) -> int:
    if math.isnan(value) or math.isinf(value) or not -(2.0**63) <= value < 2.0**63:
        raise Panic("E7102")
    return int(value)


def order(kind: tuple[Any, ...], a: Any, b: Any) -> int:
    """Negative, 0 or positive by the order of sorting, Map and Set: NaN last, equal to itself."""
    if kind == FLOAT:
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) - math.isnan(b)
        return (a > b) - (a < b)
    if kind[0] == "List":
        for x, y in zip(a, b, strict=False):
            if found := order(kind[1], x, y):
                return found
        return len(a) - len(b)
    if kind[0] == "Tuple":
        return next((found for k, x, y in zip(kind[1:], a, b, strict=True) if (found := order(k, x, y))), 0)
    if kind[0] == "Option":
        if a is None or b is None:
            return (a is not None) - (b is not None)
        return order(kind[1], a.value, b.value)
    return (a > b) - (a < b)


def equal(kind: tuple[Any, ...], a: Any, b: Any, types: dict[str, Any]) -> bool:
    """Structural; NaN is unequal to itself, also inside."""
    head = kind[0]
    if head == "List":
        return len(a) == len(b) and all(equal(kind[1], x, y, types) for x, y in zip(a, b, strict=True))
    if head == "Tuple":
        return all(equal(k, x, y, types) for k, x, y in zip(kind[1:], a, b, strict=True))
    if head == "Option":
        return (a is None) == (b is None) and (a is None or equal(kind[1], a.value, b.value, types))
    if head == "Result":
        return type(a) is type(b) and equal(kind[1 + isinstance(a, Err)], a.value, b.value, types)
    if head == "Map":
        return sorted(a) == sorted(b) and all(equal(kind[2], a[k], b[k], types) for k in a)
    if isinstance(a, Record):
        fields = types[kind[1]].fields
        return all(equal(fields[n], v, b.get(n), types) for n, v in a.fields)
    if isinstance(a, Variant):
        payload = types[kind[1]].variants[a.tag][1]
        return a.tag == b.tag and all(
            equal(k, x, y, types) for k, x, y in zip(payload, a.payload, b.payload, strict=True)
        )
    return a == b


def show_float(value: float) -> str:
    """Shortest round trip; exponent form below 1e-5 and from 1e16 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0.0:
        return "-0.0" if math.copysign(1.0, value) < 0 else "0.0"
    digits, _, exponent = format(abs(value), ".17e").partition("e")
    for precision in range(17):
        digits, _, exponent = format(abs(value), f".{precision}e").partition("e")
        if float(f"{digits}e{exponent}") == abs(value):
            break
    sign, power_of_ten = "-" if value < 0 else "", int(exponent)
    if abs(value) < 1e-5 or abs(value) >= 1e16:
        return f"{sign}{digits}e{power_of_ten}"
    figures = digits.replace(".", "")
    if power_of_ten < 0:
        return sign + "0." + "0" * (-power_of_ten - 1) + figures
    figures = figures.ljust(power_of_ten + 1, "0")
    return sign + figures[: power_of_ten + 1] + "." + (figures[power_of_ten + 1 :] or "0")


def quote(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


def show(kind: tuple[Any, ...], value: Any, types: dict[str, Any], *, inside: bool = False) -> str:
    """Display text by the static type."""
    head = kind[0]
    if head == "Int":
        return str(value)
    if head == "Float":
        return show_float(value)
    if head == "Bool":
        return "true" if value else "false"
    if head == "Str":
        return quote(value) if inside else value
    if head == "Unit":
        return "()"
    if head == "List":
        return "[" + ", ".join(show(kind[1], v, types, inside=True) for v in value) + "]"
    if head == "Option":
        return "None" if value is None else f"Some({show(kind[1], value.value, types, inside=True)})"
    if head == "Result":
        at = isinstance(value, Err)
        return ("Err(" if at else "Ok(") + show(kind[1 + at], value.value, types, inside=True) + ")"
    if head == "Tuple":
        return "(" + ", ".join(show(k, v, types, inside=True) for k, v in zip(kind[1:], value, strict=True)) + ")"
    if head == "Map":
        parts = (
            f"{show(kind[1], k, types, inside=True)}: {show(kind[2], value[k], types, inside=True)}"
            for k in sorted(value)
        )
        return "{" + ", ".join(parts) + "}"
    declared = types[kind[1]]
    if isinstance(value, Record):
        inner = ", ".join(f"{n}: {show(declared.fields[n], v, types, inside=True)}" for n, v in value.fields)
        return f"{value.name} {{ {inner} }}"
    payload = declared.variants[value.tag][1]
    if not payload:
        return value.name
    return (
        f"{value.name}("
        + ", ".join(show(k, v, types, inside=True) for k, v in zip(payload, value.payload, strict=True))
        + ")"
    )
