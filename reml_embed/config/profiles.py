"""
Compatibility profiles: how much a reader forgives (CONTRACTS 10.4).

Layers, the first that says something wins: command line, environment, manifest, the default of the format.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
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
        feature_guard: features a document may ask for; empty: any.
    """

    profile: str
    trailing_comma: str
    unquoted_key: str
    duplicate_key: str
    number: str
    trivia: str
    feature_guard: tuple[str, ...] = ()

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
        ConfigError: ``config.compat.unknown_profile``, ``config.compat.env_invalid``.
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
        return Resolved(
            replace(base, trivia=trivia or base.trivia, feature_guard=names or base.feature_guard), "env", format
        )
    if manifest:
        return Resolved(from_table(manifest, format), "manifest", format)
    return Resolved(PROFILES[DEFAULTS[format]], "default", format)


def from_table(table: Mapping[str, Any], format: str) -> Compatibility:  # noqa: A002
    """From the manifest: a profile, and what differs from it."""
    origin = f"config.compatibility.{format}"
    base = named(str(table["profile"]), origin) if "profile" in table else PROFILES[DEFAULTS[format]]
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key == "feature_guard":
            changes[key] = tuple(value)
        elif key in CHOICES:
            if value not in CHOICES[key]:
                text = f"`{value}` is no {key}; known: {', '.join(CHOICES[key])}"
                raise ConfigError(
                    "ValidationError", [Problem("config.compat.env_invalid", text, key_path=f"{origin}.{key}")]
                )
            changes[key] = value
        elif key != "profile":
            text = f"unknown key; known: profile, {', '.join(CHOICES)}, feature_guard"
            raise ConfigError(
                "ValidationError", [Problem("config.compat.unknown_profile", text, key_path=f"{origin}.{key}")]
            )
    return replace(base, **changes)
