"""What the modules of a context are loaded for: the target that ``@cfg`` asks about (LANGUAGE 3.5)."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any

from reml_embed._ffi import ffi, lib

_TEXTS = ("os", "family", "arch", "abi", "env", "vendor", "profile_id", "runtime_revision", "stdlib_version")
_LISTS = ("features", "capabilities", "known_capabilities", "runners", "known_runners")

#: Target capabilities that hosts made known for every context (`CapabilityRegistry.register_custom_target_capability`).
CUSTOM_CAPABILITIES: set[str] = set()

#: Stages of a capability, lowest first.
STAGES = ("experimental", "beta", "stable")


def detected() -> dict[str, str]:
    """What this machine is, in the names of a target."""
    system, arch = platform.system().lower(), platform.machine().lower()
    name = {"darwin": "macos"}.get(system, system)
    return {"os": name, "family": "windows" if name == "windows" else "unix", "arch": arch}


def comparison(requested: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """What a target diagnostic compares (CONTRACTS 5.4): what was *requested* of modules, else this machine, and what was found."""
    return {"requested": {**detected(), **(requested or {})}, "detected": detected()}


def joined(what: str, names: Iterable[str]) -> str:
    """Names as the library reads them: between commas."""
    if isinstance(names, str):
        raise TypeError(f"{what} must be an iterable of names, got a str")
    found = list(names)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{what} must hold str, got {type(name).__name__}")
        if not name or "," in name or "\0" in name or name != name.strip(" "):
            raise ValueError(f"{what} must hold names without commas, got {name!r}")
    return ",".join(found)


def _extra(values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if "=" in name or "," in str(value) or str(value) != str(value).strip(" "):
            raise ValueError(f"extra must hold names and texts without commas, got {name!r}: {value!r}")
    joined("extra", values)
    return ",".join(f"{name}={value}" for name, value in values.items())


def text(value: str, keep: list[object]) -> object:
    """A C text that lives as long as *keep*."""
    if "\0" in value:
        raise ValueError("embedded null character")
    keep.append(ffi.new("char[]", value.encode()))
    return keep[-1]


def to_c(target: Mapping[str, Any], features: Iterable[str], keep: list[object], known: Iterable[str] = ()) -> object:
    """
    The library's struct; what it points to is added to *keep*. *known*: further capabilities that ``@cfg`` may ask for.

    Raises:
        TypeError, ValueError: an unknown name, or something that is no text or list.
    """
    made = ffi.new("reml_embed_target_t*", {"struct_size": ffi.sizeof("reml_embed_target_t")})
    keep.append(made)
    values = dict(target)
    more = joined("features", features)
    if more:
        given = joined("features", values.get("features", ()))
        values["features"] = [name for name in f"{given},{more}".split(",") if name]
    if known:
        given = joined("known_capabilities", values.get("known_capabilities", ()))
        values["known_capabilities"] = sorted({name for name in given.split(",") if name}.union(known))
    if values.pop("diagnostics", False):
        made.flags |= lib.REML_EMBED_TARGET_LOG_CFG
    for name, value in values.items():
        if name in _LISTS:
            setattr(made, name, text(joined(name, value), keep))
        elif name == "extra":
            made.extra = text(_extra(value), keep)
        elif name not in _TEXTS:
            raise ValueError(f"unknown part of a target: {name!r} (known: {', '.join((*_TEXTS, *_LISTS, 'extra'))})")
        elif isinstance(value, str):
            setattr(made, name, text(value, keep))
        elif value is not None:
            raise TypeError(f"{name} must be a str, got {type(value).__name__}")
    return made
