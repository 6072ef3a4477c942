"""
The configuration of a run (guide 0, 9.1, 10; CONTRACTS 5.1): how sources are parsed, and extensions for target, streaming and runtime.

Layers, the later one wins where it says something: `Context(run_config=…)`, the manifest, the environment; for commands their options.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reml_embed.config import documents, manifest
from reml_embed.config.manifest import LEFT_RECURSION
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.registry.target import Target, TargetError, from_table, infer_target_from_env

EXTENSIONS = ("target", "stream", "runtime")
#: Tables of a manifest that a run reads.
TABLES = ("run", "runtime")
_WORDS = ("left_recursion", "packrat", "merge_warnings")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """
    How programs are run.

    Attributes:
        left_recursion: ``auto``, ``on`` or ``off``: for parsers that a program builds.
        packrat: remember what parsers found.
        merge_warnings: show equal warnings once.
        extensions: ``target`` (a `Target`), ``stream`` and ``runtime`` (maps, CONTRACTS 12–15).
    """

    left_recursion: str = "auto"
    packrat: bool = True
    merge_warnings: bool = True
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.left_recursion not in LEFT_RECURSION:
            raise ValueError(f"left_recursion is one of {', '.join(LEFT_RECURSION)}, got {self.left_recursion!r}")
        for name, value in self.extensions.items():
            if name not in EXTENSIONS:
                raise ValueError(f"no extension {name!r}; known: {', '.join(EXTENSIONS)}")
            if not isinstance(value, Target if name == "target" else Mapping):
                raise TypeError(f"the extension {name} holds a {'Target' if name == 'target' else 'map'}")

    @property
    def target(self) -> Target | None:
        """``extensions["target"]``."""
        found = self.extensions.get("target")
        return found if isinstance(found, Target) else None

    def with_target(self, target: Target) -> RunConfig:
        """The same for another target."""
        return replace(self, extensions={**self.extensions, "target": target})

    def json(self) -> dict[str, Any]:
        """All of it as JSON."""
        extensions = {
            name: value.json() if isinstance(value, Target) else manifest.plain(dict(value))
            for name, value in self.extensions.items()
        }
        return {
            "left_recursion": self.left_recursion,
            "packrat": self.packrat,
            "merge_warnings": self.merge_warnings,
            "extensions": extensions,
        }


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """*old* with *new* over it; maps in both are merged."""
    made = dict(old)
    for key, value in new.items():
        before = made.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        made[key] = _merged(before, value) if isinstance(before, Mapping) and both else value
    return made


def from_manifest(value: Mapping[str, Any], base: RunConfig | None = None) -> RunConfig:
    """
    *base* with what the tables ``run`` and ``runtime`` of a checked manifest say.

    Raises:
        TargetError, ConfigError: of ``run.target``, see `from_table`.
    """
    found = base or RunConfig()
    run, runtime = value.get("run", {}), value.get("runtime", {})
    found = replace(found, **{name: run[name] for name in _WORDS if name in run})
    extensions = dict(found.extensions)
    for name, table in (("stream", run.get("stream")), ("runtime", runtime)):
        if table:
            extensions[name] = _merged(extensions.get(name, {}), table)
    target = run.get("target", {})
    if any(key != "capabilities" or any(isinstance(row, str) for row in rows) for key, rows in target.items()):
        extensions["target"] = from_table(target, found.target)
    return replace(found, extensions=extensions)


def read_manifest(path: str | os.PathLike[str], base: RunConfig | None = None) -> tuple[RunConfig, list[Problem]]:
    """
    *base* with what the manifest in a file says, and warnings about its tables ``run`` and ``runtime``. The others are not looked at.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or those tables are wrong; file, line and key path of each mistake are named.
        TargetError: ``target.profile.missing``.
    """
    return _checked(manifest.read(path), base)


def from_settings(settings: Iterable[str], base: RunConfig | None = None, source: str = "--config") -> RunConfig:
    """
    *base* with single settings: ``packrat=false``, ``stream.chunk_size=4096``, ``runtime.gc.profile=game``. What is no JSON is a text.

    Raises:
        ConfigError: no such key, or another kind of value than it has; the key is named. TargetError: ``target.profile.missing``.
    """
    value: dict[str, Any] = {}
    for text in settings:
        key, found, word = text.partition("=")
        steps = key.strip().split(".")
        if steps[0] not in TABLES:
            steps.insert(0, "run")
        if not found or not all(steps):
            problem = Problem("config.manifest.parse_error", "expected KEY=VALUE", source, text)
            raise ConfigError("ValidationError", [problem])
        try:
            what = json.loads(word)
        except (ValueError, RecursionError):
            what = word
        here = value
        for step in steps[:-1]:
            here = here.setdefault(step, {}) if isinstance(here, dict) else {}
        here[steps[-1]] = what
    made, problems = _checked(manifest.from_document(documents.Document(source, "toml", "", value)), base)
    if problems:  # nobody types a key that means nothing
        raise ConfigError("ValidationError", [replace(problem, severity="error") for problem in problems])
    return made


def _checked(found: manifest.Manifest, base: RunConfig | None) -> tuple[RunConfig, list[Problem]]:
    document = found.document
    ours = [p for p in found.problems if p in document.problems or p.key_path.partition(".")[0] in TABLES]
    if any(problem.severity == "error" for problem in ours):
        raise ConfigError("ValidationError", ours)
    try:
        return from_manifest(found.value, base), ours
    except TargetError as error:
        place = document.place(("run", "target", "profile_id"))
        where = f"{document.file}:{place.line}:{place.column}" if place else document.file
        raise TargetError(
            [replace(row, message=f"{row.message} (run.target.profile_id of {where})") for row in error.problems]
        ) from error


def from_environment(base: RunConfig | None = None, environment: Mapping[str, str] | None = None) -> RunConfig:
    """
    *base* with the target that the environment asks for over the one it has.

    Raises:
        TargetError, EnvError, ConfigError: see `infer_target_from_env`.
    """
    found = base or RunConfig()
    return found.with_target(infer_target_from_env(environment, found.target))
