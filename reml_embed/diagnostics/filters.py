"""Which diagnostics are shown: ``severity=…``, include and exclude by code or domain, effect tags (CONTRACTS 21)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from reml_embed.diagnostics.catalog import SEVERITIES

_KEYS = ("code", "domain")


@dataclass(frozen=True, slots=True)
class Filter:
    """
    What is shown; by default everything. What is not shown still counts and is still recorded.

    Attributes:
        severities: only these.
        include: (``code`` or ``domain``, pattern) pairs, of which one has to fit when there are any. Patterns as of file names.
        exclude: pairs, of which none may fit; they beat *include*.
        effect_tags: only what is about one of these effect tags.
    """

    severities: frozenset[str] = frozenset()
    include: tuple[tuple[str, str], ...] = ()
    exclude: tuple[tuple[str, str], ...] = ()
    effect_tags: frozenset[str] = field(default=frozenset())

    def __call__(self, shown: Mapping[str, Any]) -> bool:
        """Is *shown*, a diagnostic as it is emitted, to be seen?"""
        if self.severities and shown["severity"] not in self.severities:
            return False
        if any(_fits(shown, key, pattern) for key, pattern in self.exclude):
            return False
        if self.include and not any(_fits(shown, key, pattern) for key, pattern in self.include):
            return False
        return not self.effect_tags or bool(self.effect_tags & effect_tags(shown))


def _fits(shown: Mapping[str, Any], key: str, pattern: str) -> bool:
    if key == "domain":
        return fnmatchcase(str(shown.get("domain", "")), "net" if pattern == "network" else pattern)
    return any(fnmatchcase(str(code), pattern) for code in (shown.get("codes") or [shown["code"]]))


def effect_tags(shown: Mapping[str, Any]) -> frozenset[str]:
    """The effect tags that a diagnostic is about."""
    effects = (shown.get("extensions") or {}).get("effects")
    if not isinstance(effects, dict):
        return frozenset()
    lists = (effects.get(name) or () for name in ("before", "handled", "residual"))
    return frozenset(str(tag) for tags in lists for tag in tags)


def parse(
    filters: Iterable[str] = (), include: Iterable[str] = (), exclude: Iterable[str] = (), tags: Iterable[str] = ()
) -> Filter:
    """
    The filter that words of a command line ask for: ``severity=error,warning``, ``code=type.*``, ``domain=effect``.

    Raises:
        ValueError: a word is none of these; the message says what is known.
    """
    severities, wanted, unwanted = set[str](), list[tuple[str, str]](), list[tuple[str, str]]()
    for word in filters:
        key, values = _pair(word, ("severity", *_KEYS))
        if key != "severity":
            wanted += [(key, value) for value in values]
            continue
        for value in values:
            if value not in SEVERITIES:
                raise ValueError(f"`{value}` is no severity; known: {', '.join(SEVERITIES)}")
            severities.add(value)
    for words, found in ((include, wanted), (exclude, unwanted)):
        for word in words:
            key, values = _pair(word, _KEYS)
            found += [(key, value) for value in values]
    return Filter(frozenset(severities), tuple(wanted), tuple(unwanted), frozenset(tags))


def _pair(word: str, keys: tuple[str, ...]) -> tuple[str, list[str]]:
    key, mark, value = word.partition("=")
    values = [part.strip() for part in value.split(",") if part.strip()]
    if not mark or key not in keys or not values:
        raise ValueError(f"`{word}` is no filter; write {', '.join(f'{key}=…' for key in keys)}")
    return key, values
