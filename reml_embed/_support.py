"""
What the fast half of the border (native/python) asks of Python: classes for records and variants, proxies, times, exceptions.

One `Support` belongs to one context. Its methods are called from C by name, with the context frozen: they may not run anything in it.
"""

from __future__ import annotations

import array
import dataclasses
import datetime
import keyword
import sys
import uuid
from typing import TYPE_CHECKING, Any

from reml_embed import foreign
from reml_embed._ffi import lib
from reml_embed.errors import StaleError
from reml_embed.values import PROXIES, Duration, Err, Ok, Opaque, Proxy, Record, Some, Variant

if TYPE_CHECKING:
    from reml_embed.context import Context
    from reml_embed.foreign import ForeignBuffer

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)

ShapeText = tuple[str, tuple[str | None, ...], tuple[int, ...]]
ShapeRow = tuple[type, tuple[str, ...], tuple[str, ...]]

# The classes of anonymous records: one per set of names, for all contexts.
_anonymous: dict[tuple[str, ...], ShapeRow] = {}


def attribute_names(names: tuple[str | None, ...]) -> tuple[str, ...]:
    """
    Python attributes for field names of Reml.

    A single positional payload is ``value``, several are ``value0``, ``value1`` …; a name that Python reserves gets a ``_`` behind
    it (``class_``), a ``'`` becomes ``_``.
    """
    made: list[str] = []
    for place, name in enumerate(names):
        if name is None:
            attribute = "value" if len(names) == 1 else f"value{place}"
        else:
            attribute = name.replace("'", "_")
            if keyword.iskeyword(attribute) or not attribute.isidentifier() or attribute.startswith("__"):
                attribute = attribute.lstrip("_") + "_"
        while attribute in made:
            attribute += "_"
        made.append(attribute)
    return tuple(made)


def make_class(name: str, shape: ShapeText, base: type, module: str) -> ShapeRow:
    """A frozen dataclass for one product; its fields in the order of their declaration."""
    _, names, positions = shape
    attributes = attribute_names(names)
    order = sorted(range(len(names)), key=lambda place: positions[place])
    cls: type = dataclasses.make_dataclass(
        name if name.isidentifier() else "record",
        [(attributes[place], Any) for place in order],
        bases=(base,),
        frozen=True,
        slots=True,
    )
    cls.__module__ = module
    cls.__qualname__ = name
    return cls, attributes, tuple(field or attribute for field, attribute in zip(names, attributes, strict=True))


class Support:
    """See the module's docstring."""

    def __init__(self, context: Context) -> None:
        self.context: Context | None = context  # None when it is closed
        self._made: dict[tuple[object, ...], tuple[ShapeRow, ...]] = {}

    # --- classes ------------------------------------------------------------------------------------------------------

    def classes(
        self, key: str | tuple[str, ...], category: str, name: str, shapes: tuple[ShapeText, ...]
    ) -> tuple[ShapeRow, ...]:
        """
        The class, attribute names and Reml names of each shape of a declaration; the same ones each time, in each version of a module.

        *key* is the module that declares it, or the names of an anonymous record.
        """
        if isinstance(key, tuple):
            if key not in _anonymous:
                _anonymous[key] = make_class("record", shapes[0], Record, "reml_embed.values")
            return (_anonymous[key],)
        declaration = (key, category, name, shapes)
        found = self._made.get(declaration)
        if found is None:
            found = self._made[declaration] = self._make(category, name, shapes)
        return found

    @staticmethod
    def _make(category: str, name: str, shapes: tuple[ShapeText, ...]) -> tuple[ShapeRow, ...]:
        module = "reml_embed.values"
        if category == "result":
            return tuple((Ok if shape[0] == "Ok" else Err, ("value",), ("value",)) for shape in shapes)
        if category == "option":
            return tuple((Some, ("value",), ("value",)) for _ in shapes)
        if category == "record":
            return (make_class(name, shapes[0], Record, module),)
        base: type = type(name, (Variant,), {"__slots__": (), "__module__": module})
        rows = tuple(make_class(shape[0], shape, base, module) for shape in shapes)
        for row in rows:
            row[0].__qualname__ = f"{name}.{row[0].__name__}"
            setattr(base, row[0].__name__, row[0])
        return rows

    # --- live values ----------------------------------------------------------------------------------------------------

    def proxy(self, kind: int, serial: int, bits: int, _type: int) -> Proxy:
        """A proxy that owns the handle."""
        context = self._living()
        if kind == lib.REML_KIND_HOST:
            return foreign.proxy(context, (kind, serial, bits))
        return PROXIES.get(kind, Opaque)(context, context._border, (kind, serial, bits))

    def foreign_buffer(self, data: object) -> ForeignBuffer:
        """What stands for *data* where a ForeignBuffer is expected: the script keeps it alive."""
        return foreign.wrap_buffer(self._living(), data, ownership="transferred", release=None, one_run=False)

    def _living(self) -> Context:
        if self.context is None:
            raise StaleError("the context is closed")
        return self.context

    # --- time -----------------------------------------------------------------------------------------------------------

    def duration_in(self, value: object) -> int:
        """Nanoseconds of a Duration or timedelta."""
        if isinstance(value, datetime.timedelta):
            return Duration.from_timedelta(value).nanoseconds
        if isinstance(value, Duration):
            return value.nanoseconds
        raise TypeError("expected Duration or timedelta")

    def duration_out(self, nanoseconds: int) -> Duration:
        """A Duration."""
        return Duration(nanoseconds)

    def uuid_in(self, value: object) -> str:
        """The canonical text of a Uuid."""
        if isinstance(value, uuid.UUID):
            return str(value)
        if isinstance(value, str):
            return str(uuid.UUID(value))
        raise TypeError("expected a UUID or its text")

    def timestamp_in(self, value: object) -> int:
        """Nanoseconds since 1970 of an aware datetime."""
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            raise TypeError("expected an aware datetime")
        return (value - _EPOCH) // _MICROSECOND * 1000

    def timestamp_out(self, nanoseconds: int) -> datetime.datetime:
        """An aware datetime in UTC; exact, or an error."""
        if nanoseconds % 1000:
            raise ValueError(f"a Timestamp of {nanoseconds} ns is no whole number of microseconds, as datetime needs")
        return _EPOCH + datetime.timedelta(microseconds=nanoseconds // 1000)

    # --- columns --------------------------------------------------------------------------------------------------------

    def column(self, code: str, rows: int, columns: tuple[object, ...]) -> object:
        """Room for the results of a batch: a NumPy array when a column is one, else an array.array."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and any(isinstance(column, numpy.ndarray) for column in columns):
            return numpy.empty(rows, dtype={"q": "int64", "d": "float64", "?": "bool"}[code])
        if code == "?":
            return memoryview(bytearray(rows)).cast("?")
        return array.array(code, bytes(8 * rows))

    # --- futures --------------------------------------------------------------------------------------------------------

    def pending(self, answer: object, serial: int, value_type: int, is_task: int) -> tuple[int, int, int]:
        """The handle of the Future or Task for what a host function has answered, whose value is of this type."""
        return self._living()._jobs.pending(answer, (serial, value_type), is_task=bool(is_task))

    def wait(self, seconds: float) -> None:
        """Let time pass while a run waits; negative: until a future is completed."""
        self._living()._jobs.wait(seconds)

    # --- failures ---------------------------------------------------------------------------------------------------------

    def error(self, status: int) -> BaseException:
        """The exception for a failed call, with what the context says about it."""
        return StaleError("the context is closed") if self.context is None else self.context._error(status)

    def trace(self, exception: BaseException) -> None:
        """Add the script's stack to an exception that a host function raised."""
        stack = tuple(entry for diagnostic in self._living().diagnostics for entry in diagnostic.stack)
        if not stack:
            return
        exception.reml_stack = getattr(exception, "reml_stack", ()) + stack  # type: ignore[attr-defined]
        exception.add_note("in Reml, innermost first:\n" + "\n".join(f"  {entry}" for entry in stack))

    def note_row(self, exception: BaseException, row: int) -> None:
        """Say which row of a batch failed."""
        exception.row = row  # type: ignore[attr-defined]
        exception.add_note(f"at row {row}")


def write_stdout(text: str) -> None:
    """Where scripts print unless told otherwise: whatever ``sys.stdout`` is at that moment."""
    if sys.stdout is not None:
        sys.stdout.write(text)
