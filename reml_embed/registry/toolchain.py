"""
Toolchains: does what compiles for a target really make what the target is (guide 1.1; CONTRACTS 5.5)?

`verify` compiles a probe with the compiler that is found for the triple and reads the object file that comes out: format, machine,
width of pointers, byte order; and the data layout, where the compiler tells it. Nothing that was compiled is run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reml_embed._ffi import library_version
from reml_embed.audit.ids import now
from reml_embed.config import documents
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.registry import target as targets
from reml_embed.registry.target import Platform, Target

MANIFEST = "toolchain-manifest.toml"
_TIMEOUT_S = 300  # zig compiles a C library at its first use of a target
_PROBE = """
char reml_pointer_bytes[sizeof(void*)];
unsigned reml_byte_order = 0x01020304u;
int reml_add(int a, int b) { return a + b; }
"""

#: Names that zig has for triples.
_ZIG = {
    "x86_64-unknown-linux-gnu": "x86_64-linux-gnu", "aarch64-unknown-linux-gnu": "aarch64-linux-gnu",
    "arm64-apple-darwin": "aarch64-macos", "x86_64-apple-darwin": "x86_64-macos",
    "x86_64-pc-windows-gnu": "x86_64-windows-gnu", "x86_64-pc-windows-msvc": "x86_64-windows-msvc",
    "wasm32-wasi": "wasm32-wasi",
}  # fmt: skip
#: Prefixes of GNU cross compilers for triples.
_GNU = {
    "aarch64-unknown-linux-gnu": "aarch64-linux-gnu-", "x86_64-pc-windows-gnu": "x86_64-w64-mingw32-",
    "x86_64-unknown-linux-gnu": "x86_64-linux-gnu-",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """
    What `verify` found.

    Attributes:
        status: ``ok``; ``warning`` when no compiler for the triple is installed, so that nothing could be compiled; ``error``.
        hash: of everything but the time.
    """

    profile: str
    status: str
    checks: tuple[Check, ...]
    hash: str

    def json(self) -> dict[str, Any]:
        """``{profile, status, checks[{name, ok, detail}], hash}``."""
        return {
            "profile": self.profile,
            "status": self.status,
            "checks": [asdict(check) for check in self.checks],
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler for one triple: *command* with its options; *emits_layout* when it prints LLVM text."""

    name: str
    command: tuple[str, ...]
    emits_layout: bool


def find_compiler(triple: str, environment: Mapping[str, str] | None = None) -> Compiler | None:
    """
    A compiler for *triple*: the GNU cross compiler of that name, clang, zig; for this machine ``$CC`` or ``cc``.

    clang and zig make objects for every triple; GNU compilers for theirs.
    """
    environment = os.environ if environment is None else environment
    path = environment.get("PATH")
    native = triple == targets.host_triple()
    own = environment.get("CC", "").split() if native else []
    if own and shutil.which(own[0], path=path):
        return Compiler(own[0], tuple(own), emits_layout="clang" in own[0])
    clang = shutil.which("clang", path=path)
    if clang:
        return Compiler("clang", (clang, f"--target={triple}"), emits_layout=True)
    zig = shutil.which("zig", path=path)
    command = (zig, "cc") if zig else (sys.executable, "-m", "ziglang", "cc") if find_spec("ziglang") else None
    if command and triple in _ZIG:
        return Compiler("zig", (*command, "-target", _ZIG[triple]), emits_layout=False)
    for name in [f"{_GNU[triple]}gcc" if triple in _GNU else "", "cc" if native else "", "gcc" if native else ""]:
        found = shutil.which(name, path=path) if name else None
        if found:
            return Compiler(name, (found,), emits_layout=False)
    return None


# --- object files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """What the head of an object file says."""

    format: str
    machine: str
    pointer_bytes: int
    byte_order: str


_ELF_MACHINES = {62: "x86_64", 183: "aarch64", 3: "x86", 40: "arm", 243: "riscv64"}
_COFF_MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64", 0x14C: "x86"}
_MACHO_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
_FORMATS = {"linux": "elf", "macos": "mach-o", "windows": "coff", "wasm": "wasm"}


def read_object(data: bytes) -> ObjectFile | None:
    """What an object file was made for; None: it is none that we know."""
    if data[:4] == b"\x7fELF" and len(data) > 20:
        order = "little" if data[5] == 1 else "big"
        machine = int.from_bytes(data[18:20], "little" if order == "little" else "big")
        return ObjectFile("elf", _ELF_MACHINES.get(machine, f"elf machine {machine}"), 8 if data[4] == 2 else 4, order)
    if data[:4] in {b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf"}:
        order = "little" if data[0] == 0xCF else "big"
        machine = int.from_bytes(data[4:8], "little" if order == "little" else "big")
        return ObjectFile("mach-o", _MACHO_MACHINES.get(machine, f"mach-o cpu {machine:#x}"), 8, order)
    if data[:4] == b"\0asm":
        return ObjectFile("wasm", "wasm32", 4, "little")
    machine = int.from_bytes(data[:2], "little")
    if machine in _COFF_MACHINES:
        return ObjectFile("coff", _COFF_MACHINES[machine], 4 if machine == 0x14C else 8, "little")
    return None


def _run(compiler: Compiler, folder: Path, *options: str) -> tuple[bool, str]:
    command = [*compiler.command, *options, "probe.c"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error).splitlines()[0]
    text = (done.stderr or done.stdout).strip()
    return done.returncode == 0, done.stdout if done.returncode == 0 else (text.splitlines() or ["no message"])[0]


def _compile(row: Platform, compiler: Compiler) -> tuple[list[Check], bytes]:
    """Compile the probe and look at the object; the checks and the object come back."""
    with tempfile.TemporaryDirectory(prefix="reml-toolchain-") as name:
        folder = Path(name)
        (folder / "probe.c").write_text(_PROBE, encoding="utf-8")
        ok, text = _run(compiler, folder, "-std=c11", "-O1", "-ffreestanding", "-c", "-o", "probe.o")
        if not ok:
            return [Check("compile", ok=False, detail=f"{compiler.name}: {text}")], b""
        data = (folder / "probe.o").read_bytes()
        checks = [Check("compile", ok=True, detail=f"{compiler.name}: {len(data)} bytes for {row.triple}")]
        found = read_object(data)
        if found is None:
            return [*checks, Check("object", ok=False, detail="an object file of no known format")], data
        for what, there, wanted in (
            ("object_format", found.format, _FORMATS[row.os]),
            ("machine", found.machine, row.arch),
            ("pointer_bytes", str(found.pointer_bytes), str(row.pointer_bytes)),
            ("byte_order", found.byte_order, targets.layout_fields(row.layout)["byte order"]),
        ):
            detail = there if there == wanted else f"{there}, the profile needs {wanted}"
            checks.append(Check(what, ok=there == wanted, detail=detail))
        if compiler.emits_layout:
            checks.append(_check_layout(row, compiler, folder))
        return checks, data


def _check_layout(row: Platform, compiler: Compiler, folder: Path) -> Check:
    ok, text = _run(compiler, folder, "-std=c11", "-O0", "-ffreestanding", "-S", "-emit-llvm", "-o", "-")
    layout = re.search(r'^target datalayout = "([^"]*)"', text, re.MULTILINE) if ok else None
    if layout is None:
        return Check(
            "data_layout", ok=not ok, detail="the compiler does not tell its layout" if not ok else "no layout found"
        )
    mine, theirs = targets.layout_fields(row.layout), targets.layout_fields(layout[1])
    wrong = [
        f"{name} {theirs[name]} instead of {mine[name]}"
        for name in ("byte order", "pointer", "mangling")
        if mine.get(name) != theirs.get(name)
    ]
    return Check("data_layout", ok=not wrong, detail="; ".join(wrong) or layout[1])


# --- verifying --------------------------------------------------------------------------------------------------------


def _keep(row: Platform, data: bytes, environment: Mapping[str, str] | None) -> list[Check]:
    """Put the object into the folder that ``REML_TOOLCHAIN_CACHE`` names, to be looked at; nothing without one."""
    given = (os.environ if environment is None else environment).get("REML_TOOLCHAIN_CACHE")
    if not given or not data:
        return []
    path = Path(given) / f"{row.triple}.o"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        documents.replace_file(path, data)
    except (OSError, ConfigError) as error:
        return [Check("cache", ok=False, detail=str(error))]
    return [Check("cache", ok=True, detail=str(path))]


def verify(profile: Target, environment: Mapping[str, str] | None = None) -> Report:
    """
    Check a profile against this library and against what a compiler makes of it; ``REML_TOOLCHAIN_CACHE`` names where the object that it
    made is kept.
    """
    row, version = profile.platform, library_version()
    checks = []
    for name in ("runtime_revision", "stdlib_version"):
        there = getattr(profile, name)
        detail = there if there == version else f"{there or 'not set'}, this library is {version}"
        checks.append(Check(name, ok=there == version, detail=detail))
    unknown = sorted(
        name for name in profile.capabilities if name not in targets.CAPABILITIES and name not in targets._registered
    )
    checks.append(
        Check(
            "capabilities",
            ok=not unknown,
            detail=f"unknown: {', '.join(unknown)}" if unknown else f"{len(profile.capabilities)} known",
        )
    )
    if row is None:
        checks.append(Check("triple", ok=False, detail=f"{profile.triple or 'none'} is no triple that is known"))
        return _report(profile, checks, compiled=True)
    convention = f"ffi.callconv.{row.convention}"
    has = convention in profile.capabilities
    checks.append(
        Check("calling_convention", ok=has, detail=convention if has else f"{convention} is not among the capabilities")
    )
    compiler = find_compiler(row.triple, environment)
    if compiler is None:
        detail = f"no compiler for {row.triple} is installed: clang, or pip install 'reml-embed[cross]'"
        return _report(profile, [*checks, Check("compile", ok=False, detail=detail)], compiled=False)
    looked, data = _compile(row, compiler)
    return _report(profile, [*checks, *looked, *_keep(row, data, environment)], compiled=True)


def _report(profile: Target, checks: list[Check], *, compiled: bool) -> Report:
    wrong = [check for check in checks if not check.ok and (compiled or check.name != "compile")]
    status = "error" if wrong else "ok" if compiled else "warning"
    name = profile.profile_id
    shown = {"profile": name, "status": status, "checks": [asdict(check) for check in checks]}
    return Report(name, status, tuple(checks), targets.hash_of(shown))


# --- what is installed ------------------------------------------------------------------------------------------------


def home(environment: Mapping[str, str] | None = None) -> Path:
    """``REML_TOOLCHAIN_HOME``, by default ``~/.reml/toolchains``."""
    environment = os.environ if environment is None else environment
    given = environment.get("REML_TOOLCHAIN_HOME")
    return Path(given) if given else Path.home() / ".reml" / "toolchains"


@dataclass(slots=True)
class Installed:
    """
    A toolchain that was installed: its manifest.

    Attributes:
        artifacts: file name → SHA-256, of the files beside the manifest.
        signature: SHA-256 over the manifest without it; tells a manifest that somebody changed.
    """

    profile_id: str
    runtime_revision: str
    stdlib_version: str
    capabilities: list[str]
    artifacts: dict[str, str]
    installed_at: str
    last_verified_at: str
    compiler: str = ""
    signature: str = field(default="")

    def signed(self) -> str:
        """What the signature must be."""
        kept = {key: value for key, value in asdict(self).items() if key != "signature"}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """
        Write the manifest, signed.

        Raises:
            ConfigError: ``IoError``.
        """
        self.signature = self.signed()
        lines = ["# Written by `reml toolchain install`; a change by hand breaks the signature."]
        for key, value in asdict(self).items():
            if not isinstance(value, dict):
                lines.append(f"{key} = {json.dumps(value)}")
        lines.append("[artifacts]")
        lines += [f"{json.dumps(name)} = {json.dumps(digest)}" for name, digest in sorted(self.artifacts.items())]
        documents.replace_file(folder / MANIFEST, ("\n".join(lines) + "\n").encode())


def load_installed(folder: Path) -> Installed:
    """
    The toolchain in *folder*.

    Raises:
        ConfigError: no manifest there, or not one of ours.
    """
    document = documents.check(documents.read(folder / MANIFEST))
    try:
        found = Installed(**document.value)
    except TypeError as error:
        problem = document.problem("config.manifest.type_mismatch", "not the manifest of a toolchain")
        raise ConfigError("ValidationError", [problem]) from error
    return found


def damage(found: Installed, folder: Path) -> str | None:
    """What is wrong with an installed toolchain: its signature, a file that is gone or changed; None: nothing."""
    if found.signed() != found.signature:
        return "the manifest does not match its signature"
    for name, digest in found.artifacts.items():
        path = folder / Path(name).name
        if not path.is_file():
            return f"{name} is gone"
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return f"{name} has changed"
    return None


def install(profile: Target, environment: Mapping[str, str] | None = None) -> tuple[Installed, Report]:
    """
    Verify a profile and keep the proof: the compiled probe and a signed manifest below `home`.

    Raises:
        ConfigError: ``IoError``: the folder cannot be written.
    """
    report = verify(profile, environment)
    folder = home(environment) / profile.profile_id
    row = profile.platform
    compiler = find_compiler(row.triple, environment) if row else None
    data = _compile(row, compiler)[1] if row and compiler and report.status == "ok" else b""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = Problem("config.manifest.io_error", error.strerror or str(error), str(folder))
        raise ConfigError("IoError", [problem]) from error
    artifacts = {}
    if data:
        documents.replace_file(folder / "probe.o", data)
        artifacts["probe.o"] = hashlib.sha256(data).hexdigest()
    time = now()
    before = load_installed(folder).installed_at if (folder / MANIFEST).is_file() else time
    made = Installed(
        profile.profile_id, profile.runtime_revision, profile.stdlib_version, sorted(profile.capabilities), artifacts,
        before, time, compiler.name if compiler else "",
    )  # fmt: skip
    made.save(folder)
    return made, report


def installed(environment: Mapping[str, str] | None = None) -> list[tuple[Path, Installed]]:
    """Every toolchain below `home`, sorted by name; folders without a readable manifest are left out."""
    found = []
    base = home(environment)
    for folder in sorted(base.iterdir()) if base.is_dir() else []:
        try:
            found.append((folder, load_installed(folder)))
        except ConfigError:
            continue
    return found


def prune(environment: Mapping[str, str] | None = None) -> list[str]:
    """Remove toolchains whose profile is gone, whose library is another, or which are damaged; their names come back."""
    gone = []
    known = set(targets.profile_ids(environment))
    for folder, found in installed(environment):
        if found.profile_id not in known or found.runtime_revision != library_version() or damage(found, folder):
            shutil.rmtree(folder)
            gone.append(folder.name)
    return gone
