"""
Which diagnostic codes there are (CONTRACTS 21): those of the library, and what Python modules register for their own.

A code is registered once, under the namespace of who makes it. What nobody registered is refused while `refuse_unregistered` holds,
as it does in this package's tests.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reml_embed._ffi import ffi, lib, string
from reml_embed.errors import EXCEPTIONS, CatalogError, RemlError

SEVERITIES = ("error", "warning", "info", "hint")

#: Domains of diagnostics; ``other:<name>`` is one too, and ``network`` is read as ``net``.
DOMAINS = frozenset((
    "syntax", "parser", "type", "effect", "pattern", "module", "ffi", "conductor", "runtime", "net", "config", "manifest", "target",
    "security", "plugin", "cli", "lsp", "regex", "template", "text", "data", "audit", "async",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What is known of a code.

    Attributes:
        default_message: a sentence for those who give none; empty where each diagnostic has its own, as in the library.
        default_severity: ``error``, ``warning``, ``info`` or ``hint``.
        default_domain: one of `DOMAINS`; empty: the first word of the code.
        docs_url: where to read more.
    """

    default_message: str = ""
    default_severity: str = "error"
    default_domain: str = ""
    docs_url: str | None = None


_lock = threading.RLock()
_entries: dict[str, tuple[str, Entry]] = {}
_strict = False


def normal_domain(domain: str) -> str:
    """
    The name of a domain as it is written.

    Raises:
        CatalogError: ``catalog.unknown_domain``.
    """
    name = "net" if domain == "network" else domain
    if name in DOMAINS or (name.startswith("other:") and len(name) > len("other:")):
        return name
    raise CatalogError(
        "catalog.unknown_domain", f"`{domain}` is no domain of diagnostics; others are written `other:<name>`"
    )


def read_domain(domain: str) -> str:
    """The same for what others made: a name that is none becomes ``other:<name>``."""
    try:
        return normal_domain(domain)
    except CatalogError:
        return f"other:{domain or 'unknown'}"


def domain_of(code: str) -> str:
    """The domain that a code's first word names: ``effects.handler.arity`` is of ``effect``; ``other:<word>`` for unknown ones."""
    word = code.split(".", 1)[0]
    word = {"effects": "effect", "parser": "syntax", "typeclass": "type", "network": "net", "native": "ffi"}.get(
        word, word
    )
    return word if word in DOMAINS else f"other:{word}"


def _library() -> Iterator[tuple[str, Entry]]:
    domain, severity = ffi.new("const char**"), ffi.new("const char**")
    for index in range(1 << 16):
        code = string(lib.reml_embed_diagnostic_code(index, domain, severity))
        if code is None:
            return
        yield code, Entry("", string(severity[0]) or "error", string(domain[0]) or "")


def _known() -> dict[str, tuple[str, Entry]]:
    with _lock:
        if not _entries:
            _entries.update((code, ("reml", entry)) for code, entry in [*_OWN.items(), *_statuses(), *_library()])
        return _entries


#: Codes of this module's own refusals.
_OWN = {
    "catalog.duplicate_key": Entry("a diagnostic code is registered twice", "error", "other:catalog"),
    "catalog.unknown_code": Entry("nobody registered a diagnostic code", "error", "other:catalog"),
    "catalog.unknown_domain": Entry("a domain of diagnostics that is none", "error", "other:catalog"),
    "catalog.invalid_entry": Entry("an entry of a catalog that is none", "error", "other:catalog"),
}

#: Codes of failures whose status has a better name than its label.
_STATUS_CODES = {13: "audit.unavailable", 5: "runtime.limit.memory"}


def code_of(error: RemlError) -> str:
    """The diagnostic code of an exception: its own, or that of its status (``native.embed.busy``)."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else _STATUS_CODES.get(error.status, f"native.embed.{error.label}")


def _statuses() -> Iterator[tuple[str, Entry]]:
    for status, cls in EXCEPTIONS.items():
        if status not in _STATUS_CODES:
            yield (
                f"native.embed.{cls.default_label}",
                Entry((cls.__doc__ or "").strip().partition("\n")[0], "error", "ffi"),
            )


def _entry(namespace: str, code: str, given: Entry | Mapping[str, Any]) -> Entry:
    """An entry, checked."""
    if not isinstance(given, Entry):
        unknown = set(given) - set(Entry.__slots__)
        if unknown:
            raise CatalogError("catalog.invalid_entry", f"`{code}` of {namespace}: unknown member `{min(unknown)}`")
        given = Entry(**given)
    if not code or code != code.strip():
        raise CatalogError("catalog.invalid_entry", f"`{code}` of {namespace} is no diagnostic code")
    if given.default_severity not in SEVERITIES:
        raise CatalogError(
            "catalog.invalid_entry", f"`{code}` of {namespace}: `{given.default_severity}` is no severity"
        )
    if given.default_domain:
        normal_domain(given.default_domain)
    return given


def register_catalog(
    namespace: str,
    entries: Mapping[str, Entry | Mapping[str, Any]] | Iterable[tuple[str, Entry | Mapping[str, Any]]],
) -> None:
    """
    Make the codes of *namespace* known; all of them or, on failure, none. An entry may be a mapping with the members of `Entry`.

    Raises:
        CatalogError: ``catalog.duplicate_key`` (a code is there already, or twice in *entries*), ``catalog.unknown_domain``,
            ``catalog.invalid_entry`` (no code, no namespace, a severity that is none).
    """
    pairs = list(entries.items()) if isinstance(entries, Mapping) else list(entries)
    if not namespace:
        raise CatalogError("catalog.invalid_entry", "a catalog needs the name of who makes its codes")
    with _lock:
        known, added = _known(), dict[str, tuple[str, Entry]]()
        for code, entry in pairs:
            checked = _entry(namespace, code, entry)
            owner = known.get(code) or added.get(code)
            if owner is not None:
                raise CatalogError(
                    "catalog.duplicate_key", f"`{code}` of {namespace} is registered already, by {owner[0]}"
                )
            added[code] = (namespace, checked)
        known.update(added)


def unregister_catalog(namespace: str) -> None:
    """Forget the codes of *namespace*: for tests, and for plug-ins that go."""
    with _lock:
        for code in [code for code, (owner, _) in _known().items() if owner == namespace and namespace != "reml"]:
            del _entries[code]


def entry_of(code: str) -> Entry | None:
    """What is known of *code*; None: nobody registered it."""
    found = _known().get(code)
    return None if found is None else found[1]


def codes(namespace: str | None = None) -> list[str]:
    """All registered codes, or those of one namespace (the library's is ``reml``), sorted."""
    return sorted(code for code, (owner, _) in _known().items() if namespace in (None, owner))


@contextmanager
def refuse_unregistered() -> Iterator[None]:
    """While this is open, a diagnostic whose code nobody registered cannot be built or emitted."""
    global _strict  # noqa: PLW0603  (a switch of the process, for tests)
    before, _strict = _strict, True
    try:
        yield
    finally:
        _strict = before


def check_code(code: str) -> Entry | None:
    """
    `entry_of`, but unknown codes are refused while `refuse_unregistered` holds.

    Raises:
        CatalogError: ``catalog.unknown_code``.
    """
    entry = entry_of(code)
    if entry is None and _strict:
        raise CatalogError("catalog.unknown_code", f"nobody registered the diagnostic code `{code}`")
    return entry
