"""
Compatibility profiles: how much a reader forgives (CONTRACTS 10.4).

Layers, the first that says something wins: command line, environment, manifest, the default of the format.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from reml_embed.config.problems import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Compatibility:
    """
    What a reader lets pass.

    Attributes:
        trailing_comma: ``Forbid`` or ``ArraysAndObjects``.
        unquoted_key: ``Forbid``, ``AllowAlpha`` (letters, ``_``) or ``AllowAlphaNumeric`` (and digits, ``-``).
        duplicate_key: ``Error``, ``LastWriteWins`` or ``FirstWriteWins``.
        number: ``Strict`` or ``AllowLeadingPlus``.
        trivia: ``strict_json`` (blanks only), ``json_relaxed`` (comments ``//`` and ``/* */``) or ``toml_relaxed``.
        feature_guard: which of `FEATURES` are approved; empty: all that the profile forgives.
    """

    profile: str
    trailing_comma: str
    unquoted_key: str
    duplicate_key: str
    number: str
    trivia: str
    feature_guard: tuple[str, ...] = ()

    def approves(self, feature: str) -> bool:
        """May a document use what the profile forgives?"""
        return not self.feature_guard or feature in self.feature_guard

    def json(self) -> dict[str, Any]:
        """All attributes."""
        return asdict(self) | {"feature_guard": list(self.feature_guard)}


PROFILES = {
    row.profile: row
    for row in (
        Compatibility("strict-json", "Forbid", "Forbid", "Error", "Strict", "strict_json"),
        Compatibility(
            "json-relaxed", "ArraysAndObjects", "AllowAlpha", "LastWriteWins", "AllowLeadingPlus", "json_relaxed"
        ),
        Compatibility("toml-strict", "Forbid", "AllowAlphaNumeric", "Error", "Strict", "toml_relaxed"),
        Compatibility("toml-relaxed", "ArraysAndObjects", "AllowAlphaNumeric", "Error", "Strict", "toml_relaxed"),
    )
}
ALIASES = {
    "strict": "strict-json",
    "json-strict": "strict-json",
    "relaxed-json": "json-relaxed",
    "toml": "toml-relaxed",
    "strict-toml": "toml-strict",
    "relaxed-toml": "toml-relaxed",
}
DEFAULTS = {"json": "strict-json", "toml": "toml-relaxed"}
#: What a profile may forgive: the attribute that says so, and its value that does not.
FEATURES = {
    "comments": ("trivia", "strict_json"),
    "trailing_comma": ("trailing_comma", "Forbid"),
    "unquoted_key": ("unquoted_key", "Forbid"),
    "duplicate_key": ("duplicate_key", "Error"),
    "leading_plus": ("number", "Strict"),
}
CHOICES = {
    "trailing_comma": ("Forbid", "ArraysAndObjects"),
    "unquoted_key": ("Forbid", "AllowAlpha", "AllowAlphaNumeric"),
    "duplicate_key": ("Error", "LastWriteWins", "FirstWriteWins"),
    "number": ("Strict", "AllowLeadingPlus"),
    "trivia": ("strict_json", "json_relaxed", "toml_relaxed"),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A compatibility and the layer that decided it: ``cli``, ``env``, ``manifest`` or ``default``."""

    compatibility: Compatibility
    source: str
    format: str

    def metadata(self) -> dict[str, Any]:
        """Keys of the record ``config_compat_changed``."""
        return {
            "config.source": self.source,
            "config.format": self.format,
            "config.profile": self.compatibility.profile,
            "config.compatibility": self.compatibility.json(),
        }


def named(name: str, origin: str) -> Compatibility:
    """A profile by its name or alias; *origin* tells who asked, for the error."""
    known = PROFILES.get(ALIASES.get(name, name))
    if known is None:
        text = f"no compatibility profile `{name}`; known: {', '.join(PROFILES)}"
        raise ConfigError("ValidationError", [Problem("config.compat.unknown_profile", text, file=origin)])
    return known


def resolve(
    format: str,  # noqa: A002  (the word of the contract)
    *,
    cli: str | None = None,
    environment: Mapping[str, str] | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> Resolved:
    """
    The compatibility for documents of one format.

    Args:
        format: ``json`` or ``toml``.
        cli: profile named on the command line.
        environment: ``REML_CONFIG_COMPAT``, ``REML_CONFIG_TRIVIA``, ``REML_CONFIG_FEATURES``; by default this process's.
        manifest: table ``config.compatibility.<format>`` of the manifest.

    Raises:
        ConfigError: ``config.compat.unknown_profile``, ``config.compat.env_invalid``, ``config.feature.mismatch``.
    """
    environment = os.environ if environment is None else environment
    if cli:
        return Resolved(named(cli, "--profile"), "cli", format)
    wanted = environment.get("REML_CONFIG_COMPAT", "")
    trivia = environment.get("REML_CONFIG_TRIVIA", "")
    features = environment.get("REML_CONFIG_FEATURES", "")
    if wanted or trivia or features:
        base = named(wanted, "REML_CONFIG_COMPAT") if wanted else PROFILES[DEFAULTS[format]]
        if trivia and trivia not in CHOICES["trivia"]:
            text = f"`{trivia}` is no trivia; known: {', '.join(CHOICES['trivia'])}"
            raise ConfigError(
                "ValidationError", [Problem("config.compat.env_invalid", text, file="REML_CONFIG_TRIVIA")]
            )
        names = tuple(sorted({name.strip() for name in features.split(",") if name.strip()}))
        _check_features(names, "REML_CONFIG_FEATURES")
        return Resolved(
            replace(base, trivia=trivia or base.trivia, feature_guard=names or base.feature_guard), "env", format
        )
    if manifest:
        return Resolved(from_table(manifest, format), "manifest", format)
    return Resolved(PROFILES[DEFAULTS[format]], "default", format)


def _check_features(
    names: Iterable[str], file: str = "", key_path: str = "", rules: Compatibility | None = None
) -> None:
    """
    Features have names that are known, and with *rules* only those that are forgiven may be approved.

    Raises:
        ConfigError: ``config.feature.mismatch``.
    """
    for name in names:
        if name not in FEATURES:
            text = f"`{name}` is no feature; known: {', '.join(FEATURES)}"
        elif rules is not None and getattr(rules, FEATURES[name][0]) == FEATURES[name][1]:
            text = f"profile {rules.profile} does not forgive `{name}`, so it cannot be approved"
        else:
            continue
        raise ConfigError("ValidationError", [Problem("config.feature.mismatch", text, file, key_path)])


def from_table(table: Mapping[str, Any], format: str) -> Compatibility:  # noqa: A002
    """
    From the manifest: a profile, and what differs from it.

    Raises:
        ConfigError: ``config.compat.unknown_profile``, ``config.compat.env_invalid``, ``config.feature.mismatch``, with the key path.
    """
    origin = f"config.compatibility.{format}"

    def wrong(code: str, text: str, key: str) -> ConfigError:
        return ConfigError("ValidationError", [Problem(code, text, key_path=f"{origin}.{key}")])

    profile = table.get("profile", DEFAULTS[format])
    base = PROFILES.get(ALIASES.get(str(profile), str(profile)))
    if base is None:
        text = f"no compatibility profile `{profile}`; known: {', '.join(PROFILES)}"
        raise wrong("config.compat.unknown_profile", text, "profile")
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key == "feature_guard":
            if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
                raise wrong("config.compat.env_invalid", "a list of texts is expected", key)
            changes[key] = tuple(value)
        elif key in CHOICES:
            if value not in CHOICES[key]:
                text = f"`{value}` is no {key}; known: {', '.join(CHOICES[key])}"
                raise wrong("config.compat.env_invalid", text, key)
            changes[key] = value
        elif key != "profile":
            text = f"unknown key; known: profile, {', '.join(CHOICES)}, feature_guard"
            raise wrong("config.compat.unknown_profile", text, key)
    made = replace(base, **changes)
    _check_features(made.feature_guard, "", f"{origin}.feature_guard", made)
    return made
