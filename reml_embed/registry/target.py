"""
Targets: what was asked for, what is really there, and what stands between them (guide 0, 1.1; CONTRACTS 5).

Comes in: profiles, environment variables, the machine. Goes out: a `Target` for the run configuration, diagnostics that name both sides,
metadata for linkers. `TRIPLES` is the one table of platforms; everything about an architecture follows from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as python_platform
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from reml_embed._ffi import library_version
from reml_embed.audit.ids import now
from reml_embed.config import documents
from reml_embed.config.documents import Document
from reml_embed.config.manifest import is_name, is_pair
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.diagnostics.catalog import Entry, register_catalog
from reml_embed.errors import RemlError

#: Names of what a target has (CONTRACTS 5.1); `register_capability` adds more.
CAPABILITIES = (
    "unicode.nfc", "unicode.grapheme", "fs.case_sensitive", "fs.case_insensitive", "fs.case_preserving", "fs.path_utf8",
    "thread.local", "process.job_control", "clock.monotonic", "clock.highres", "ffi.callconv.c", "ffi.callconv.sysv",
    "ffi.callconv.win64", "ffi.callconv.wasm", "wasi.preview2",
)  # fmt: skip
_registered: set[str] = set()

#: Ids of target diagnostics (CONTRACTS 5.4).
IDS = {
    "target.profile.missing": "TARGET01",
    "target.abi.mismatch": "TARGET02",
    "target.config.mismatch": "TARGET03",
    "target.capability.unknown": "TARGET04",
    "target.config.unsupported_value": "TARGET05",
}
register_catalog(
    "target",
    {
        "target.abi.mismatch": Entry(default_domain="target"),
        "target.config.mismatch": Entry(default_severity="warning", default_domain="target"),
        "target.config.unsupported_value": Entry(default_domain="target"),
    },
)


@dataclass(frozen=True, slots=True)
class Platform:
    """What a triple implies. *convention* is what C functions are called by; *layout* the compiler's data layout."""

    triple: str
    os: str
    family: str
    arch: str
    vendor: str
    env: str
    abi: str
    cpu: str
    features: tuple[str, ...]
    layout: str
    convention: str
    pointer_bytes: int = 8


_X86 = ("+sse4.2", "+popcnt")
_ELF64 = "e-m:e-p:64:64-f64:64:64-v128:128:128-a:0:64"
_MACHO64 = "e-m:o-i64:64-f80:128-n8:16:32:64-S128"
_COFF64 = "e-m:w-p:64:64-f64:64:64-v128:128:128-a:0:64"
_ARM64 = "e-m:e-i8:8:32-i16:16:32-i64:64-i128:128-n32:64-S128"
_WASM32 = "e-m:e-p:32:32-i64:64-n32:64-S128"

TRIPLES = {
    row.triple: row
    for row in (
        Platform("x86_64-unknown-linux-gnu", "linux", "unix", "x86_64", "unknown", "gnu", "system_v", "x86-64", _X86, _ELF64, "sysv"),
        Platform("aarch64-unknown-linux-gnu", "linux", "unix", "aarch64", "unknown", "gnu", "aapcs64", "generic", (), _ARM64, "sysv"),
        Platform("arm64-apple-darwin", "macos", "unix", "aarch64", "apple", "", "darwin_aapcs64", "apple-m1", (), _MACHO64, "sysv"),
        Platform("x86_64-apple-darwin", "macos", "unix", "x86_64", "apple", "", "system_v", "x86-64", (), _MACHO64, "sysv"),
        Platform("x86_64-pc-windows-msvc", "windows", "windows", "x86_64", "pc", "msvc", "msvc", "x86-64", _X86, _COFF64, "win64"),
        Platform("x86_64-pc-windows-gnu", "windows", "windows", "x86_64", "pc", "gnu", "gnu", "x86-64", _X86, _COFF64, "win64"),
        Platform("aarch64-linux-android", "linux", "unix", "aarch64", "unknown", "android", "aapcs64", "generic", (), _ARM64, "sysv"),
        Platform("wasm32-wasi", "wasm", "wasm", "wasm32", "unknown", "wasi", "wasm", "generic", (), _WASM32, "wasm", 4),
    )
}  # fmt: skip

_TEXTS = ("os", "family", "arch", "abi", "vendor", "env", "profile_id", "triple", "stdlib_version", "runtime_revision")
_PROFILE_KEYS = {"id", "features", "capabilities", "diagnostics", "extra", "feature_requirements", *_TEXTS} - {
    "profile_id"
}


@dataclass(frozen=True, slots=True)
class Target:
    """
    ``RunConfig.extensions["target"]`` (CONTRACTS 5.1): what code is made for, or runs on.

    Texts are empty where nothing is known. *diagnostics* asks for the log of ``@cfg`` evaluations. *notes*: what was odd in its file or in
    the environment; `validate_target` tells of it.
    """

    os: str = ""
    family: str = ""
    arch: str = ""
    abi: str = ""
    vendor: str = ""
    env: str = ""
    profile_id: str = ""
    triple: str = ""
    stdlib_version: str = ""
    runtime_revision: str = ""
    features: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    diagnostics: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    feature_requirements: frozenset[str] = frozenset()
    notes: tuple[TargetProblem, ...] = field(default=(), compare=False, repr=False)

    def json(self) -> dict[str, Any]:
        """All that is known, sets sorted; texts that are empty are left out."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS if getattr(self, name)}
        shown |= {"features": sorted(self.features), "capabilities": sorted(self.capabilities)}
        shown |= {"diagnostics": self.diagnostics, "extra": dict(sorted(self.extra.items()))}
        return shown | {"feature_requirements": sorted(self.feature_requirements)}

    def for_context(self) -> dict[str, Any]:
        """
        As `Context(target=…)` takes it.

        Raises:
            TargetError: ``target.config.unsupported_value``: a name or text that ``@cfg`` cannot ask for.
        """
        unusable = _unusable(self)
        if unusable:
            raise TargetError(unusable)
        shown: dict[str, Any] = {
            name: getattr(self, name) for name in _TEXTS if name != "triple" and getattr(self, name)
        }
        if self.features:
            shown["features"] = sorted(self.features)
        if self.capabilities:
            shown["capabilities"] = sorted(self.capabilities)
        known = sorted(self.capabilities | _registered)
        if known:
            shown["known_capabilities"] = known
        if self.extra:
            shown["extra"] = dict(self.extra)
        return shown | ({"diagnostics": True} if self.diagnostics else {})

    @property
    def platform(self) -> Platform | None:
        """The row of its triple."""
        return TRIPLES.get(self.triple)


class EnvError(RemlError):
    """
    A variable, or what it names, cannot be used (LANGUAGE 8.9, CONTRACTS 5.3).

    Attributes:
        kind: ``NotFound``, ``PermissionDenied``, ``InvalidEncoding``, ``UnsupportedPlatform`` or ``IoFailure``.
        key: the variable.
        scope: ``process``, ``session`` or ``system``.
    """

    def __init__(self, kind: str, key: str, message: str, scope: str = "process") -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.kind = kind
        self.key = key
        self.scope = scope


class TargetError(RemlError):
    """A target that cannot be used; *problems* says why."""

    def __init__(self, problems: list[TargetProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    @property
    def code(self) -> str:
        """Code of the first problem."""
        return self.problems[0].code


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """
    A diagnostic of domain ``target`` (CONTRACTS 5.4); *requested* and *detected* are always both there.

    Attributes:
        capability: the name that nobody knows, for ``target.capability.unknown``.
    """

    code: str
    message: str
    severity: str = "error"
    profile_id: str = ""
    requested: Mapping[str, Any] = field(default_factory=dict)
    detected: Mapping[str, Any] = field(default_factory=dict)
    capability: str = ""
    runtime_revision: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""

    def __str__(self) -> str:
        return f"{self.severity}[{self.code}]: {self.message}"

    def json(self) -> dict[str, Any]:
        """Code, id, severity, message and ``extensions.target``."""
        extension: dict[str, Any] = {"profile_id": self.profile_id or None}
        extension |= {"requested": dict(self.requested), "detected": dict(self.detected)}
        if self.capability:
            extension["capability"] = self.capability
        extension |= {"runtime_revision": dict(self.runtime_revision), "hash": self.hash}
        shown: dict[str, Any] = {
            "code": self.code,
            "domain": "target",
            "severity": self.severity,
            "message": self.message,
        }
        if self.code in IDS:
            shown["id"] = IDS[self.code]
        return shown | {"extensions": {"target": extension}}

    def metadata(self) -> dict[str, Any]:
        """Keys of the record ``target.diagnostic``."""
        return {
            "target.profile.requested": self.requested.get("profile_id") or self.profile_id or "unknown",
            "target.profile.detected": self.detected.get("profile_id") or self.detected.get("triple") or "unknown",
            "error.code": self.code,
            "error.message": self.message,
            "error.severity": self.severity,
        }


def register_capability(name: str) -> None:
    """Make the name of a target capability known to `validate_target` and to ``@cfg``."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", name):
        raise ValueError(f"a capability is a dotted lower-case word, got {name!r}")
    _registered.add(name)


# --- what is there ----------------------------------------------------------------------------------------------------

_ARCHES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_HOSTS = {
    ("linux", "x86_64"): "x86_64-unknown-linux-gnu", ("linux", "aarch64"): "aarch64-unknown-linux-gnu",
    ("darwin", "aarch64"): "arm64-apple-darwin", ("darwin", "x86_64"): "x86_64-apple-darwin",
    ("win32", "x86_64"): "x86_64-pc-windows-msvc",
}  # fmt: skip
_COMMON = ("unicode.nfc", "unicode.grapheme", "thread.local", "clock.monotonic", "clock.highres", "ffi.callconv.c")


def host_triple() -> str:
    """The triple of this machine; empty when it is none that we know."""
    machine = _ARCHES.get(python_platform.machine().lower(), "")
    return _HOSTS.get(("linux" if sys.platform.startswith("linux") else sys.platform, machine), "")


def host_target() -> Target:
    """What this machine is and has."""
    row = TRIPLES.get(host_triple())
    versions: dict[str, Any] = {"runtime_revision": library_version(), "stdlib_version": library_version()}
    if row is None:
        return Target(arch=python_platform.machine().lower(), os=sys.platform, **versions)
    more = {f"ffi.callconv.{row.convention}"}
    more |= (
        {"fs.case_sensitive", "fs.path_utf8", "process.job_control"}
        if row.os == "linux"
        else {"fs.case_insensitive", "fs.case_preserving"}
    )
    return _from_platform(row, capabilities=frozenset({*_COMMON, *more}), **versions)


def _from_platform(row: Platform, **more: Any) -> Target:
    return Target(
        os=row.os, family=row.family, arch=row.arch, abi=row.abi, vendor=row.vendor, env=row.env, triple=row.triple,
        features=frozenset(more.pop("features", ())), **more,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlatformInfo:
    """What runs here (CONTRACTS 5.1), in the words of the runtime: ``Linux``, ``X64``, ``Unix``."""

    os: str
    arch: str
    family: str
    variant: str | None
    features: frozenset[str]
    runtime_capabilities: frozenset[str]
    target_capabilities: frozenset[str]
    profile_id: str | None
    triple: str | None
    stdlib_version: str
    runtime_revision: str

    def json(self) -> dict[str, Any]:
        """All of it, sets sorted."""
        return {
            name: sorted(value) if isinstance(value := getattr(self, name), frozenset) else value
            for name in self.__slots__
        }


_OS_WORDS = {
    "linux": "Linux", "macos": "MacOS", "darwin": "MacOS", "windows": "Windows", "win32": "Windows", "freebsd": "FreeBSD", "wasm": "Wasm",
    "wasi": "Wasm",
}  # fmt: skip
_ARCH_WORDS = {
    "x86_64": "X64", "amd64": "X64", "aarch64": "ARM64", "arm64": "ARM64", "x86": "X86", "i386": "X86", "i686": "X86", "arm": "ARM",
    "armv7l": "ARM", "wasm32": "WASM32", "riscv64": "RISCV64",
}  # fmt: skip
_FAMILY_WORDS = {"unix": "Unix", "windows": "Windows", "wasm": "Wasm"}

#: Ids of living bridges; `registry.bridge` keeps them here, since the platform knows nothing of bridges.
live_bridges: set[str] = set()


def platform_info(target: Target | None = None) -> PlatformInfo:
    """What is detected here; live bridges are among the runtime capabilities as ``ExternalBridge(id)``."""
    found = target or host_target()
    threads = {"ThreadLocal", "AsyncScheduler", "ActorMailbox", "AsyncBackpressure", "AsyncTracing", "AsyncSupervisor"}
    simd = {"SIMD", "HardwareRng", "CryptoExtensions"} if found.arch in {"x86_64", "aarch64"} else set()
    return PlatformInfo(
        os=_OS_WORDS.get(found.os, "Other"),
        arch=_ARCH_WORDS.get(found.arch, "Other"),
        family=_FAMILY_WORDS.get(found.family, "Other"),
        variant=found.env or None,
        features=found.features,
        runtime_capabilities=frozenset(threads | simd | {f"ExternalBridge({name})" for name in live_bridges}),
        target_capabilities=found.capabilities,
        profile_id=found.profile_id or None,
        triple=found.triple or None,
        stdlib_version=found.stdlib_version,
        runtime_revision=found.runtime_revision,
    )


# --- profiles ---------------------------------------------------------------------------------------------------------


def profile_folders(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Where profiles are looked for, first ones win: ``REML_TARGET_PROFILE_PATH``, ``profiles`` here, those of this package."""
    environment = os.environ if environment is None else environment
    given = environment.get("REML_TARGET_PROFILE_PATH")
    own = Path(str(resources.files("reml_embed") / "profiles"))
    return [*([Path(given)] if given else []), Path("profiles"), own]


def profile_ids(environment: Mapping[str, str] | None = None) -> list[str]:
    """Ids of all profiles that are found, sorted."""
    found = set()
    for folder in profile_folders(environment):
        files = [folder] if folder.is_file() else sorted(folder.glob("*.toml")) if folder.is_dir() else []
        found |= {file.name.removesuffix(".toml") for file in files}
    return sorted(found)


def load_profile(name: str, environment: Mapping[str, str] | None = None) -> Target:
    """
    A profile by its id.

    Raises:
        TargetError: ``target.profile.missing``. ConfigError: its file is wrong, with line and key path.
    """
    for folder in profile_folders(environment):
        path = folder if folder.is_file() and folder.stem == name else folder / f"{name}.toml"
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) and path.is_file():
            return read_profile(path)
    known = ", ".join(profile_ids(environment))
    problem = TargetProblem(
        "target.profile.missing", f"no target profile `{name}`; known: {known}", profile_id=name,
        requested={"profile_id": name}, detected=host_target().json(),
    )  # fmt: skip
    raise TargetError([problem])


def read_profile(path: Path) -> Target:
    """
    A profile from its file.

    Raises:
        ConfigError: it cannot be read, or a key is unknown or holds something else than it should.
    """
    document = documents.check(documents.read(path))
    table = document.value.get("profile")
    problems: list[Problem] = []
    if not isinstance(table, dict) or not isinstance(table.get("id"), str):
        problems.append(
            document.problem("config.missing_field", "a profile is a table `profile` with an id", ("profile",))
        )
        raise ConfigError("ValidationError", problems)
    unknown = [key for key in table if key not in _PROFILE_KEYS]
    problems += _wrong_types(document, {key: value for key, value in table.items() if key not in unknown})
    if problems:
        raise ConfigError("ValidationError", problems)
    values = {key: value for key, value in table.items() if key != "id" and key not in unknown}
    made = replace(_merge(_of_triple(table.get("triple", "")), values), profile_id=table["id"])
    return _noted(made, [_unknown_key(document, key) for key in unknown])


def _unknown_key(document: Document, key: str) -> str:
    place = document.place(("profile", key))
    where = f"{document.file}:{place.line}:{place.column}" if place else document.file
    return f"{where}: unknown key `profile.{key}`; known: {', '.join(sorted(_PROFILE_KEYS))}"


def _noted(target: Target, texts: Iterable[str]) -> Target:
    """*target* with a note ``target.config.unknown_key`` for each text."""
    notes = [
        TargetProblem(
            "target.config.unknown_key", text, "warning", profile_id=target.profile_id, requested=target.json(),
            detected=host_target().json(),
        )
        for text in texts
    ]  # fmt: skip
    return replace(target, notes=(*target.notes, *notes)) if notes else target


_KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(_TEXTS, (str, "a text")),
    **dict.fromkeys(("features", "capabilities", "feature_requirements"), (list, "a list of texts")),
    "diagnostics": (bool, "true or false"),
    "extra": (dict, "a table of texts"),
}


def _wrong_types(document: Document, table: Mapping[str, Any]) -> Iterable[Problem]:
    for key, value in table.items():
        wanted, words = _KINDS.get(key, (object, ""))
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if not isinstance(value, wanted) or not all(isinstance(part, str) for part in parts):
            yield document.problem("config.manifest.type_mismatch", f"{words} is expected", ("profile", key))


def _of_triple(triple: str) -> Target:
    row = TRIPLES.get(triple)
    if row is not None:
        return _from_platform(row)
    parts = [*triple.split("-", 3), "", "", "", ""][:4]
    arch, vendor, system, abi = parts
    family = {"windows": "windows", "wasi": "wasm", "wasm": "wasm"}.get(system, "unix" if system else "")
    return Target(os=system, family=family, arch=arch, abi=abi, vendor=vendor, env=abi, triple=triple)


def _merge(target: Target, values: Mapping[str, Any]) -> Target:
    changes: dict[str, Any] = {}
    for key, value in values.items():
        changes[key] = frozenset(value) if isinstance(value, list) else value
    return replace(target, **changes)


# --- the environment --------------------------------------------------------------------------------------------------

_VARIABLES = {
    "REML_TARGET_OS": "os", "REML_TARGET_FAMILY": "family", "REML_TARGET_ARCH": "arch", "REML_TARGET_ENV": "env",
    "REML_TARGET_VENDOR": "vendor", "REML_TARGET_ABI": "abi", "REML_STD_VERSION": "stdlib_version",
    "REML_RUNTIME_REVISION": "runtime_revision",
}  # fmt: skip
#: Further variables of a target; others that begin with ``REML_TARGET_`` mean nothing.
_KNOWN = ("PROFILE", "PROFILE_PATH", "TRIPLE", "FEATURES", "CAPABILITIES", "DIAGNOSTICS")
_TRUTHS = {**dict.fromkeys(("1", "true", "on", "yes"), True), **dict.fromkeys(("0", "false", "off", "no"), False)}


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def from_table(table: Mapping[str, Any], base: Target | None = None) -> Target:
    """
    What the table ``run.target`` of a checked manifest asks for: its profile, or else its triple, *base* or this machine, with the single
    keys over it. Capabilities are the texts of its list; the tables there say what conductors need.

    Raises:
        TargetError: ``target.profile.missing``. ConfigError: the profile's file is wrong.
    """
    if table.get("profile_id"):
        found = load_profile(table["profile_id"])
    elif table.get("triple"):
        found = replace(
            _of_triple(table["triple"]), runtime_revision=library_version(), stdlib_version=library_version()
        )
    else:
        found = base or host_target()
    values = {key: value for key, value in table.items() if key in _KINDS and key != "capabilities"}
    names = frozenset(name for name in table.get("capabilities", ()) if isinstance(name, str))
    sets = {"capabilities": found.capabilities | names}
    for key in ("features", "feature_requirements"):
        sets[key] = getattr(found, key) | frozenset(values.pop(key, ()))
    return replace(found, **{**values, **sets, "extra": {**found.extra, **values.get("extra", {})}})


def infer_target_from_env(environment: Mapping[str, str] | None = None, base: Target | None = None) -> Target:
    """
    The target that the environment asks for (CONTRACTS 5.2, 5.3): the profile first, then single variables; nothing set means *base*, or
    else this machine.

    Raises:
        TargetError: ``target.profile.missing``. EnvError: ``InvalidEncoding`` for a value that cannot be read.
        ConfigError: the profile's file is wrong.
    """
    environment = os.environ if environment is None else environment
    for key, value in environment.items():
        if key.startswith("REML_TARGET_") or key in _VARIABLES:
            try:
                f"{key}{value}".encode()
            except UnicodeEncodeError:
                raise EnvError("InvalidEncoding", key, "not UTF-8") from None
    name = environment.get("REML_TARGET_PROFILE", "")
    target = load_profile(name, environment) if name else base or host_target()
    if environment.get("REML_TARGET_TRIPLE"):
        triple = environment["REML_TARGET_TRIPLE"]
        kept: dict[str, Any] = {
            "profile_id": target.profile_id,
            "runtime_revision": target.runtime_revision,
            "stdlib_version": target.stdlib_version,
        }
        target = replace(_of_triple(triple), capabilities=target.capabilities if name else frozenset(), **kept)
    changes: dict[str, Any] = {
        part: environment[variable] for variable, part in _VARIABLES.items() if environment.get(variable)
    }
    for variable, part in (("REML_TARGET_FEATURES", "features"), ("REML_TARGET_CAPABILITIES", "capabilities")):
        if variable in environment:
            changes[part] = getattr(target, part) | _names(environment[variable])
    wish = environment.get("REML_TARGET_DIAGNOSTICS")
    if wish is not None:
        if wish.strip().lower() not in _TRUTHS:
            raise EnvError("InvalidEncoding", "REML_TARGET_DIAGNOSTICS", f"{wish!r} is neither true nor false")
        changes["diagnostics"] = _TRUTHS[wish.strip().lower()]
    prefix = "REML_TARGET_EXTRA_"
    extra = {key.removeprefix(prefix).lower(): value for key, value in environment.items() if key.startswith(prefix)}
    if extra:
        changes["extra"] = {**target.extra, **extra}
    known = {*_VARIABLES, *(f"REML_TARGET_{name}" for name in _KNOWN)}
    odd = [key for key in sorted(environment) if key.startswith("REML_TARGET_") and key not in known]
    return _noted(
        replace(target, **changes),
        [f"{key}: no such variable; known: {', '.join(sorted(known))}" for key in odd if not key.startswith(prefix)],
    )


def _unusable(target: Target) -> list[TargetProblem]:
    """Names and texts that are none: empty, with commas, with NUL."""
    odd = [
        f"{part} {name!r}"
        for part in ("features", "capabilities")
        for name in sorted(getattr(target, part))
        if not is_name(name)
    ]
    odd += [f"extra {name!r}: {value!r}" for name, value in target.extra.items() if not is_pair((name, value))]
    odd += [f"{part} {getattr(target, part)!r}" for part in _TEXTS if "\0" in getattr(target, part)]
    detected = host_target().json() if odd else {}
    return [
        TargetProblem(
            "target.config.unsupported_value", f"{text}: names and texts of a target have no commas", profile_id=target.profile_id,
            requested=target.json(), detected=detected,
        ) for text in odd
    ]  # fmt: skip


# --- checking ---------------------------------------------------------------------------------------------------------


def validate_target(
    requested: Target, detected: Target | None = None, *, strict: bool | None = None
) -> list[TargetProblem]:
    """
    What stands between the target that was asked for and what is there (CONTRACTS 5.4).

    Args:
        requested: of a profile or the environment.
        detected: by default this machine.
        strict: mismatches are errors; by default in CI (``CI`` is set), when reproducibility is demanded (``SOURCE_DATE_EPOCH`` is set),
            or when *requested* names a profile, since a wrong profile at start-up must not be run.
    """
    detected = detected or host_target()
    if strict is None:
        strict = bool(os.environ.get("CI") or os.environ.get("SOURCE_DATE_EPOCH") or requested.profile_id)
    facts: dict[str, Any] = {
        "profile_id": requested.profile_id, "requested": requested.json(), "detected": detected.json(),
        "runtime_revision": {"profile": requested.runtime_revision, "artifact": detected.runtime_revision},
        "hash": hash_of(requested.json()),
    }  # fmt: skip
    problems = [*requested.notes, *_unusable(requested)]
    for name in sorted(requested.capabilities):
        if name not in CAPABILITIES and name not in _registered:
            text = f"no capability named {name} is known"
            problems.append(TargetProblem("target.capability.unknown", text, capability=name, **facts))
    for part, code in (("abi", "target.abi.mismatch"), ("runtime_revision", "target.abi.mismatch")):
        wanted, there = getattr(requested, part), getattr(detected, part)
        if wanted and there and wanted != there:
            problems.append(TargetProblem(code, f"{part} {wanted} was asked for, {there} is there", **facts))
    severity = "error" if strict else "warning"
    for part in ("os", "family", "arch", "vendor", "env", "stdlib_version"):
        wanted, there = getattr(requested, part), getattr(detected, part)
        if wanted and there and wanted != there:
            text = f"{part} {wanted} was asked for, {there} is there"
            problems.append(TargetProblem("target.config.mismatch", text, severity, **facts))
    missing = (
        sorted(requested.capabilities - detected.capabilities - {"wasi.preview2"})
        if requested.os == detected.os
        else []
    )
    for name in (name for name in missing if name in CAPABILITIES or name in _registered):
        text = f"capability {name} was asked for and is not there"
        problems.append(TargetProblem("target.config.mismatch", text, severity, **facts))
    if requested.family and requested.family not in _FAMILY_WORDS:
        text = f"family {requested.family} is none of {', '.join(_FAMILY_WORDS)}"
        problems.append(TargetProblem("target.config.unsupported_value", text, **facts))
    return problems


def check_linker(target: Target, triple: str, layout: str, *, strict: bool = True) -> list[TargetProblem]:
    """What distinguishes a linker's triple and data layout from those of *target*: fields are compared, not texts (guide 1.1)."""
    row = target.platform
    facts: dict[str, Any] = {
        "profile_id": target.profile_id,
        "requested": target.json(),
        "hash": hash_of(target.json()),
    }
    facts["detected"] = {"triple": triple, "data_layout": layout}
    severity = "error" if strict else "warning"
    problems = []
    if triple and triple != target.triple:
        text = f"the linker's triple is {triple}, that of the target {target.triple}"
        problems.append(TargetProblem("target.config.mismatch", text, severity, **facts))
    if row is not None and layout:
        mine, theirs = layout_fields(row.layout), layout_fields(layout)
        for name in sorted(mine.keys() & theirs.keys()):
            if mine[name] != theirs[name]:
                text = f"data layout: {name} is {theirs[name]} for the linker, {mine[name]} for the target"
                problems.append(TargetProblem("target.config.mismatch", text, severity, **facts))
    return problems


def layout_fields(layout: str) -> dict[str, str]:
    """
    What matters of a compiler's data layout: byte order, mangling, widths of pointers and registers, alignment of the stack.

    Compilers write the same layout in several ways, so texts are never compared.
    """
    fields = {"byte order": "little", "pointer": "64"}
    for part in layout.split("-"):
        if part in {"e", "E"}:
            fields["byte order"] = "little" if part == "e" else "big"
        elif part.startswith("m:"):
            fields["mangling"] = part[2:]
        elif re.match(r"p:\d+", part):
            fields["pointer"] = part.split(":")[1]
        elif re.match(r"S\d+$", part):
            fields["stack"] = part[1:]
        elif re.match(r"n\d", part):
            fields["native"] = part[1:]
    return fields


# --- metadata ---------------------------------------------------------------------------------------------------------


def hash_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of canonical JSON without ``hash`` and ``timestamp``, hexadecimal (CONTRACTS 5.3)."""
    kept = {key: item for key, item in value.items() if key not in {"hash", "timestamp"}}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _build_time() -> str:
    """Now, or the time that ``SOURCE_DATE_EPOCH`` gives to reproducible builds."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given.isdigit():
        return now()
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(given)))
    except (OverflowError, ValueError, OSError):
        return now()


def artifact_metadata(target: Target) -> dict[str, Any]:
    """
    ``RunArtifactMetadata`` (CONTRACTS 5.1): what an external linker must be given.

    Raises:
        TargetError: ``target.config.unsupported_value``: a triple that we know nothing of.
    """
    row = target.platform
    if row is None:
        text = f"no data layout is known for triple {target.triple or 'of this machine'}; known: {', '.join(TRIPLES)}"
        facts: dict[str, Any] = {
            "profile_id": target.profile_id,
            "requested": target.json(),
            "detected": host_target().json(),
        }
        raise TargetError([TargetProblem("target.config.unsupported_value", text, **facts)])
    made: dict[str, Any] = {
        "target": target.json(),
        "llvm_triple": row.triple,
        "data_layout": row.layout,
        "runtime_revision": target.runtime_revision or library_version(),
        "stdlib_version": target.stdlib_version or library_version(),
        "emitted_capabilities": sorted(target.capabilities),
        "timestamp": _build_time(),
    }
    return made | {"hash": hash_of(made)}
