"""
Headers in, extension out: what setuptools builds ``reml_embed._embed`` from.

The declarations that cffi needs are the public headers themselves, run through the C preprocessor; none is copied. The shared
object holds the library, cffi's bindings and a second module, ``_fast`` (native/python), written against the limited C API.

Honours CC and, from the Makefile, REML_EMBED_ARCHIVE: an archive with the library's objects, linked instead of compiling every
source again. On Linux nothing but the module entry points is visible from outside.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()
INCLUDE = HERE / "native" / "include"
HEADERS = (
    "reml_embed.h",
    "reml_value.h",
    "reml_async.h",
    "reml_ffi_bridge.h",
    "reml_audit.h",
    "reml_capability.h",
    "reml_effects.h",
    "reml_program.h",
    "reml_ref.h",
    "reml_profile.h",
)
LIMITED_API = "0x030c0000" if sys.version_info >= (3, 12) else "0x030b0000"

# What C may call in Python by way of cffi; everything hot goes through native/python.
CALLBACKS = """
extern "Python" int32_t reml_python_sink(const char* line, size_t length, void* user);
extern "Python" void reml_python_release(void* data, size_t length, void* user);
"""


def preprocess(text: str, *options: str) -> str:
    """*text* after the C preprocessor, with the lines that say which file each part is from."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "headers.c"
        source.write_text(text, encoding="utf-8")
        command = [*compiler, "-std=c11", "-E", *options, f"-I{INCLUDE}", str(source)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def declarations() -> str:
    """The public headers as cffi reads them: declarations, and the names of constant macros (their values come from the compiler)."""
    includes = "".join(f'#include "{name}"\n' for name in HEADERS)
    ours, kept = False, []
    for line in preprocess(includes).splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            ours = Path(marker[1]).name in HEADERS
        elif ours and line.strip():
            kept.append(line.replace('__attribute__((visibility("default")))', ""))
    text = "\n".join(kept)
    for name, value in re.findall(r"^#define (REML_\w+) (.+)$", preprocess(includes, "-dM"), re.MULTILINE):
        if value.startswith('"'):
            text += f"\nstatic char *const {name};"
        elif re.fullmatch(r"[0-9]+|U?INT64_MAX", value):
            text += f"\n#define {name} ..."
    return text + CALLBACKS


def sources() -> tuple[list[str], list[str]]:
    """C files to compile, and objects to link instead, relative to the project."""
    glue = sorted(path.relative_to(HERE).as_posix() for path in (HERE / "native" / "python").glob("*.c"))
    archive = os.environ.get("REML_EMBED_ARCHIVE")
    if archive:
        return glue, [archive]
    sys.path.insert(0, str(HERE / "tools"))
    from embed_prelude import write  # noqa: PLC0415  (made only where the library is compiled)

    write(HERE / "native" / "src" / "vm" / "core", HERE / "build" / "gen" / "prelude_source.inc")
    return glue + sorted(path.relative_to(HERE).as_posix() for path in (HERE / "native" / "src").rglob("*.c")), []


def version() -> str:
    """The package's version, whose only home is pyproject.toml."""
    found = re.search(r'^version = "(.*)"$', (HERE / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise SystemExit("pyproject.toml names no version")
    return found[1]


files, objects = sources()
linux = sys.platform.startswith("linux")

ffi = cffi.FFI()
ffi.cdef(declarations())
ffi.set_source(
    "reml_embed._embed",
    "".join(f'#include "{name}"\n' for name in HEADERS),
    sources=files,
    extra_objects=objects,
    include_dirs=["native/include", "native/src", "build"],
    depends=[*(path.relative_to(HERE).as_posix() for path in sorted((HERE / "native").rglob("*.[hd]*"))), *objects],
    define_macros=[
        ("Py_LIMITED_API", LIMITED_API),
        ("_GNU_SOURCE", None),
        ("REML_EMBED_VERSION", f'"{version()}"'),
    ],
    # As in the Makefile, which says why.
    extra_compile_args=[
        "-std=c11",
        "-O2",
        *([] if objects else ["-g0"]),  # a wheel needs no debug information; `make build` keeps it
        "-fvisibility=hidden",
        "-fno-strict-aliasing",
        "-fno-math-errno",
        "-ffp-contract=off",
        "-fno-asynchronous-unwind-tables",
        "-fno-unwind-tables",
        "-ffunction-sections",
        "-fdata-sections",
        "-pthread",
    ],
    extra_link_args=[
        "-pthread",
        *(["-Wl,--version-script=native/python/extension.map", "-Wl,-Bsymbolic", "-Wl,--gc-sections"] if linux else []),
    ],
    libraries=["m"],
)

if __name__ == "__main__":
    print(declarations())
