"""
Peers that no package installs as programs: ``build_peers.py [--folder FOLDER] [--offline]``.

QuickJS and wasm3 are packages of PyPI for Python; their source packages hold the engines' own C sources. These are fetched once with
pip, compiled, and linked into ``run-js`` and ``run-wasm`` (whole programs) and into ``engines/*.so`` (calls from C, loaded by
``build/bench/calls``), as is LuaJIT where its library is installed. ``engines/NAME.missing`` says why one is not there. Nothing here
fails: a peer that cannot be had is named, and the measurement goes on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

HERE = Path(__file__).parent
C = HERE / "c"
ROOT = HERE.parent
# peer → package, sources below its folder, flags as its own build has them, headers
PACKAGES = {
    "quickjs": ("quickjs==1.19.4", "upstream-quickjs/*.c", ["-O2", "-D_GNU_SOURCE", '-DCONFIG_VERSION="2021-03-27"', "-DCONFIG_BIGNUM"]),
    "wasm3": ("pywasm3==0.5.0", "wasm3/*.c", ["-O3", "-fomit-frame-pointer", "-fno-stack-protector"]),
}  # fmt: skip
WREN = "neither Debian, PyPI nor npm has its sources"


class Missing(Exception):
    """Why a peer cannot be had."""


def run(command: list[str], what: str) -> None:
    """A step that must succeed; Missing with the last line of what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        wanted = [line for line in lines if "error" in line.lower()] or lines or [f"exit {done.returncode}"]
        raise Missing(f"{what}: {wanted[-1].strip()}")


def pip() -> list[str]:
    """A pip that runs: that of this Python, or another one's."""
    for command in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip3"]):
        if (
            shutil.which(command[0])
            and subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0
        ):
            return command
    raise Missing("its sources come with pip, and there is none")


def fetch(name: str, folder: Path, *, offline: bool) -> Path:
    """The folder of the peer's sources."""
    requirement, pattern, _ = PACKAGES[name]
    place = folder / "sources" / name
    if found := next(iter(sorted(place.glob(f"*/{pattern}"))), None):
        return found.parent
    if offline:
        raise Missing("its sources were not fetched (offline)")
    place.mkdir(parents=True, exist_ok=True)
    run([*pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:", "--dest", str(place), requirement],
        f"sources of {requirement}")  # fmt: skip
    for archive in place.glob("*.tar.gz"):
        with tarfile.open(archive) as package:
            package.extractall(place, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    if found := next(iter(sorted(place.glob(f"*/{pattern}"))), None):
        return found.parent
    raise Missing(f"{requirement} holds no {pattern}")


def stale(target: Path, sources: list[Path]) -> bool:
    """Whether *target* has to be made again."""
    return not target.exists() or any(source.stat().st_mtime > target.stat().st_mtime for source in sources)


def archive(name: str, sources: Path, folder: Path) -> Path:
    """The engine as a static library, fit for a shared object too."""
    target = folder / "sources" / f"lib{name}.a"
    files = sorted(sources.glob("*.c"))
    if stale(target, files):
        objects = []
        for file in files:
            made = file.with_suffix(".o")
            run(
                [*machine.compiler(), *PACKAGES[name][2], "-fPIC", "-w", "-c", str(file), "-o", str(made)],
                f"{name}: {file.name}",
            )
            objects.append(str(made))
        target.unlink(missing_ok=True)
        run(["ar", "rcs", str(target), *objects], f"{name}: ar")
    return target


FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", f"-I{C}"]


def link(target: Path, file: Path, flags: list[str], libraries: list[str], *, shared: bool) -> None:
    """One C file of ours with an engine, as a program or as something that ``calls`` loads."""
    inputs = [file, C / "harness.h", Path(__file__), *[Path(each) for each in libraries if not each.startswith("-")]]
    if not stale(target, inputs):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # An engine's own symbols stay inside.
    mode = ["-fPIC", "-shared", "-Wl,-Bsymbolic", "-Wl,--exclude-libs,ALL"] if shared else []
    run(
        [
            *machine.compiler(),
            *FLAGS,
            *flags,
            *mode,
            str(file),
            *libraries,
            "-lm",
            "-ldl",
            "-pthread",
            "-o",
            str(target),
        ],
        target.name,
    )


def package_config(*arguments: str) -> list[str]:
    """Words that pkg-config answers; Missing when it does not know the package."""
    if shutil.which("pkg-config") is None:
        raise Missing("no pkg-config")
    done = subprocess.run(["pkg-config", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"{arguments[-1]} is not installed (Debian: libluajit-5.1-dev)")
    return done.stdout.split()


def build_quickjs(folder: Path, *, offline: bool) -> None:
    """``run-js`` and the engine."""
    sources = fetch("quickjs", folder, offline=offline)
    library, headers = archive("quickjs", sources, folder), ["-isystem", str(sources)]
    link(folder / "run-js", C / "run_js.c", headers, [str(library)], shared=False)
    link(folder / "engines" / "quickjs.so", C / "engine_quickjs.c", headers, [str(library)], shared=True)


def build_wasm3(folder: Path, *, offline: bool) -> None:
    """``run-wasm``, the engine, and what it calls in WebAssembly."""
    sources = fetch("wasm3", folder, offline=offline)
    library, headers = archive("wasm3", sources, folder), ["-isystem", str(sources)]
    link(folder / "run-wasm", C / "run_wasm.c", headers, [str(library)], shared=False)
    guest = C / "guest_wasm.c"
    target = folder / "engines" / "guest.wasm"
    target.parent.mkdir(parents=True, exist_ok=True)
    if stale(target, [guest]):
        compile_wasm(
            guest,
            target,
            ["-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,--allow-undefined", "-mbulk-memory"],
        )
    link(
        folder / "engines" / "wasm3.so",
        C / "engine_wasm3.c",
        [*headers, f'-DGUEST="{target}"'],
        [str(library)],
        shared=True,
    )


def compile_wasm(source: Path, target: Path, flags: list[str]) -> None:
    """C to WebAssembly; Missing says what the machine lacks."""
    if shutil.which("clang") is None or not (
        shutil.which("wasm-ld") or any(shutil.which(f"wasm-ld-{v}") for v in range(11, 24))
    ):
        raise Missing("WebAssembly needs clang and wasm-ld (Debian: clang lld)")
    triple = "wasm32" if "-nostdlib" in flags else "wasm32-wasi"
    run(["clang", f"--target={triple}", "-O2", "-w", *flags, str(source), "-o", str(target), *([] if "-nostdlib" in flags else ["-lm"])],
        f"WebAssembly (Debian: wasi-libc libclang-rt-14-dev-wasm32): {source.name}")  # fmt: skip


def build_luajit(folder: Path, *, offline: bool) -> None:
    """The engine, linked with LuaJIT's shared library; ``calls`` loads it so that it finds its own symbols before Lua's."""
    del offline
    flags, libraries = package_config("--cflags", "luajit"), package_config("--libs", "luajit")
    link(
        folder / "engines" / "luajit.so",
        C / "engine_lua.c",
        [*flags, "-DHAVE_LUA", "-DHAVE_LUAJIT"],
        libraries,
        shared=True,
    )


BUILDERS = {"luajit": build_luajit, "quickjs": build_quickjs, "wasm3": build_wasm3}


def main() -> int:
    """Command line; always 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument(
        "--offline", action="store_true", default=bool(os.environ.get("BENCH_OFFLINE")), help="fetch nothing"
    )
    options = parser.parse_args()
    folder = options.folder.resolve()
    reasons = {"wren": WREN}
    for name, build in BUILDERS.items():
        try:
            build(folder, offline=options.offline)
        except (Missing, OSError) as error:
            reasons[name] = str(error)
    engines = folder / "engines"
    engines.mkdir(parents=True, exist_ok=True)
    for name in [*BUILDERS, "wren"]:
        (engines / f"{name}.missing").unlink(missing_ok=True)
        if name in reasons:
            (engines / f"{name}.so").unlink(missing_ok=True)
            (engines / f"{name}.missing").write_text(reasons[name] + "\n", encoding="utf-8")
            print(f"missing peer: {name} ({reasons[name]})")
        else:
            print(f"peer: {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
