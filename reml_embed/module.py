"""A loaded module: its functions and types by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from reml_embed.errors import UnknownFunctionError, refuse_pickling

if TYPE_CHECKING:
    from reml_embed._fast import Function
    from reml_embed.context import Context


@dataclass(frozen=True, slots=True)
class Export:
    """
    A declaration with ``@dsl_export``.

    Attributes:
        module: the module's path.
        name: its name there.
        kind: ``function`` or ``value``.
        type: its type as Reml writes it.
        metadata: the arguments of the attribute by name; those without a name are the list ``arguments``.
    """

    module: str
    name: str
    kind: str
    type: str
    metadata: dict[str, Any]


class Module(Mapping[str, "Function"]):
    """
    What a source declares: ``module["total"]`` is a function, ``module.type("Shape")`` a class.

    Attributes:
        name: its path: ``Billing.Orders``.
        context: where it is loaded.
    """

    __slots__ = ("_functions", "context", "name")

    def __init__(self, context: Context, name: str) -> None:
        self.context = context
        self.name = name
        self._functions: dict[tuple[str, str | None], Function] = {}

    def function(self, name: str, signature: str | None = None) -> Function:
        """
        A function of this module, looked up and checked once.

        Args:
            name: ``total``, or ``Order.total`` for a function of a type.
            signature: ``(Int, Int) -> Int``: what it must be; for a generic function, which instance is meant.

        Raises:
            UnknownFunctionError: there is none (a KeyError, too).
            SignatureError: it has another signature, or a generic one and none was given.
        """
        key = name, signature
        found = self._functions.get(key)
        if found is None:
            of_type = "." in name  # the library looks for the type in the module that declared it last
            found = self.context.function(name if of_type else f"{self.name}.{name}", signature)
            if found.module != self.name:
                raise UnknownFunctionError(f"entrypoint not found: {self.name}.{name}", code="runtime.entry.unknown")
            self._functions[key] = found
        return found

    def value(self, name: str) -> Any:
        """What the top-level ``let`` or ``conductor`` *name* of this module holds; see `Context.value`."""
        return self.context.value(f"{self.name}.{name}")

    def __getitem__(self, name: str) -> Function:
        return self.function(name)

    def __contains__(self, name: object) -> bool:
        return name in self.signatures

    def __iter__(self) -> Iterator[str]:
        return iter(self.signatures)

    def __len__(self) -> int:
        return len(self.signatures)

    @property
    def signatures(self) -> dict[str, str]:
        """Name → signature of each function, in the order of the source."""
        prefix = self.name + "."
        found: dict[str, str] = {}
        for path, signature in self.context.functions():
            name = path.removeprefix(prefix)
            if path.startswith(prefix) and "." not in name.removeprefix(name.split(".")[0] + "."):
                found[name] = signature
        return found

    @property
    def exports(self) -> dict[str, Export]:
        """Name → what ``@dsl_export`` says, in the order of the source."""
        return {found.name: found for found in self.context.exports() if found.module == self.name}

    def type(self, name: str) -> Any:
        """
        The class for a type that this module declares.

        A record: its frozen dataclass. A sum type: a class whose attributes are its constructors (``Shape.Circle(2.0)``), which are
        subclasses of it. Values of the type that come out of Reml are instances of these.

        Raises:
            KeyError: the module declares no record or sum type of that name.
        """
        shapes = self.context._border.declared(self.name, name)
        if not shapes:
            raise KeyError(f"module {self.name} declares no record or sum type `{name}`")
        cls = shapes[0][0]
        return cls if len(shapes) == 1 and cls.__name__ == name and "." not in cls.__qualname__ else cls.__mro__[1]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Module {self.name}>"

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)
