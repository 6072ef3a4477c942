"""From a Python function's annotations to a signature in Reml: ``(sku: Str, count: Int) -> Float``."""

from __future__ import annotations

import collections.abc
import datetime
import inspect
import types
import typing
from typing import Any, Union

from reml_embed.foreign import ForeignBuffer
from reml_embed.values import Duration, Err, Ok

_PLAIN: dict[Any, str] = {
    int: "Int",
    float: "Float",
    bool: "Bool",
    str: "Str",
    bytes: "Bytes",
    memoryview: "ForeignBuffer",
    ForeignBuffer: "ForeignBuffer",
    None: "()",
    types.NoneType: "()",
    Any: "Any",
    object: "Any",
    Duration: "Duration",
    datetime.timedelta: "Duration",
    datetime.datetime: "Timestamp",
}
_GENERIC: dict[Any, str] = {
    list: "List",
    collections.abc.Sequence: "List",
    collections.abc.Iterable: "List",
    dict: "Map",
    collections.abc.Mapping: "Map",
    set: "Set",
    frozenset: "Set",
}


def type_text(annotation: Any) -> str:
    """
    The Reml type for a Python annotation.

    Raises:
        TypeError: there is none; a signature must be given in words then.
    """
    try:
        if annotation in _PLAIN:
            return _PLAIN[annotation]
    except TypeError:  # unhashable
        pass
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is collections.abc.Awaitable and arguments:
        return f"Future<{type_text(arguments[0])}>"
    if origin in _GENERIC and arguments:
        return f"{_GENERIC[origin]}<{', '.join(type_text(argument) for argument in arguments)}>"
    if origin is tuple and arguments and Ellipsis not in arguments:
        if len(arguments) < 2:
            return _unknown(annotation)
        return f"({', '.join(type_text(argument) for argument in arguments)})"
    if origin in (Union, types.UnionType):
        return _union_text(annotation, arguments)
    if origin is collections.abc.Callable and len(arguments) == 2 and arguments[0] is not Ellipsis:
        return f"fn({', '.join(type_text(argument) for argument in arguments[0])}) -> {type_text(arguments[1])}"
    return _unknown(annotation)


def _union_text(annotation: Any, arguments: tuple[Any, ...]) -> str:
    rest = [argument for argument in arguments if argument is not types.NoneType]
    if len(rest) == 1 and len(rest) < len(arguments):
        return f"Option<{type_text(rest[0])}>"
    good = [argument for argument in rest if typing.get_origin(argument) is Ok]
    bad = [argument for argument in rest if typing.get_origin(argument) is Err]
    if len(arguments) == 2 and len(good) == 1 and len(bad) == 1:
        return f"Result<{type_text(typing.get_args(good[0])[0])}, {type_text(typing.get_args(bad[0])[0])}>"
    return _unknown(annotation)


def _unknown(annotation: Any) -> str:
    raise TypeError(f'no Reml type for {annotation!r}: give the signature in words, signature="(x: Int) -> Str"')


def signature_text(function: Any) -> str | None:
    """
    The signature of a function by its annotations; None when it has none at all.

    Raises:
        TypeError: some parameters are annotated and others are not, or there is no Reml type for one.
    """
    try:
        annotations = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError, NameError):
        annotations, parameters = {}, []
    if not annotations:
        return None
    parts = []
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"the parameter `{parameter}` cannot be said in Reml: give the signature in words")
        if parameter.name not in annotations:
            raise TypeError(f"the parameter `{parameter.name}` has no annotation")
        parts.append(f"{parameter.name}: {type_text(annotations[parameter.name])}")
    result = type_text(annotations.get("return"))
    if inspect.iscoroutinefunction(function):
        result = f"Future<{result}>"
    return f"({', '.join(parts)}) -> {result}"
