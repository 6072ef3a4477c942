"""
The configuration of a run (guide 0, 9.1, 10; CONTRACTS 5.1): how sources are parsed, and extensions for target, streaming and runtime.

Layers, the later one wins where it says something: `Context(run_config=…)`, the manifest, the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reml_embed.registry.target import Target, infer_target_from_env

LEFT_RECURSION = ("auto", "on", "off")
EXTENSIONS = ("target", "stream", "runtime")


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
            name: value.json() if isinstance(value, Target) else dict(value) for name, value in self.extensions.items()
        }
        return {
            "left_recursion": self.left_recursion,
            "packrat": self.packrat,
            "merge_warnings": self.merge_warnings,
            "extensions": extensions,
        }


def from_manifest(manifest: Mapping[str, Any], base: RunConfig | None = None) -> RunConfig:
    """*base* with what the tables ``run`` and ``runtime`` of a manifest say."""
    found = base or RunConfig()
    run, runtime = manifest.get("run"), manifest.get("runtime")
    if isinstance(run, Mapping):
        words = {name: run[name] for name in ("left_recursion", "packrat", "merge_warnings") if name in run}
        found = replace(found, **words)
        if isinstance(run.get("stream"), Mapping):
            found = replace(found, extensions={**found.extensions, "stream": dict(run["stream"])})
    if isinstance(runtime, Mapping):
        merged = {**found.extensions.get("runtime", {}), **runtime}
        found = replace(found, extensions={**found.extensions, "runtime": merged})
    return found


def from_environment(base: RunConfig | None = None, environment: Mapping[str, str] | None = None) -> RunConfig:
    """
    *base* with the target that the environment asks for, merged over the one it has.

    Raises:
        TargetError, EnvError, ConfigError: see `infer_target_from_env`.
    """
    return (base or RunConfig()).with_target(infer_target_from_env(environment))
