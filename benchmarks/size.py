"""
How large the libraries are once stripped: ``size.py [--json PATH] [--folder build]``.

Ours as a host links it, beside the shared libraries of the peers: those that are installed, and QuickJS and wasm3 as build_peers.py
compiled them.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import measurement
from build_peers import Missing, run

ROOT = Path(__file__).parent.parent
ROW = "stripped library"


def ours(folder: Path, job: str = "lib") -> Path:
    """The shared library, without its links."""
    for name in ("libreml_embed.so", "libreml_embed.dylib"):
        if (folder / name).exists():
            return (folder / name).resolve()
    raise Missing(f"not built: make {job}")


def installed(pattern: str) -> Path:
    """A shared library that the system's linker knows."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    if found := re.search(rf"{pattern}\S* .*=> (\S+)", known):
        return Path(found[1]).resolve()
    raise Missing("not installed")


def linked(folder: Path, name: str, target: Path) -> Path:
    """A shared library out of a static one."""
    archive = folder / "bench" / "sources" / f"lib{name}.a"
    if not archive.exists():
        reason = folder / "bench" / "engines" / f"{name}.missing"
        raise Missing(
            reason.read_text(encoding="utf-8").strip() if reason.exists() else "not built: make bench-engines"
        )
    command = [*machine.compiler(), "-shared", "-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive"]
    run([*command, "-lm", "-ldl", "-pthread", "-o", str(target)], f"lib{name}")
    return target


def stripped(library: Path, scratch: Path) -> int:
    """Bytes, once stripped."""
    target = scratch / "stripped"
    run(["strip", "-o", str(target), str(library)], f"strip {library.name}")
    return target.stat().st_size


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / "build")
    options = parser.parse_args()
    load_before = machine.load()
    rows, missing = [], {}
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        libraries = {
            "reml": lambda: ours(options.folder),
            "reml, built for size": lambda: ours(options.folder / "small", "lib-small"),
            "lua": lambda: installed(r"liblua5\.4\.so"),
            "luajit": lambda: installed(r"libluajit-5\.1\.so"),
            "quickjs": lambda: linked(options.folder, "quickjs", scratch / "libquickjs.so"),
            "wasm3": lambda: linked(options.folder, "wasm3", scratch / "libwasm3.so"),
        }
        for engine, find in libraries.items():
            try:
                rows.append(measurement.row(ROW, engine, [stripped(find(), scratch) / 1024], unit="KiB"))
                print(f"{engine:<10}{rows[-1]['samples'][0]:10.1f} KiB")
            except (Missing, OSError) as error:
                missing[engine] = str(error)
                print(f"missing: {engine} ({error})")
    if options.json:
        measurement.write(
            options.json,
            {
                "kind": "size",
                "title": "Size",
                "baseline": "lua",
                "note": "Shared libraries, stripped. wasm3 has no compiler and no library of functions in it.",
                "unit": "KiB",
                "environment": machine.describe("does not matter", load_before, "none"),
                "versions": {},
                "missing": missing,
                "rows": rows,
            },
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
