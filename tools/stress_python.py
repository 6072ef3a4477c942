"""
Run the Python suite with the extension itself under AddressSanitizer and UndefinedBehaviorSanitizer.

    stress_python.py --archive build/asan/libreml_internal.a --cc CC [-- PYTEST ARGUMENT …]

Builds a second copy of the package in build/asan-python, linked against the instrumented *archive*, and runs pytest on it with the
sanitizers' runtime preloaded. Leaks are looked for by the C suite: CPython itself leaks on purpose.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "asan-python"
FLAGS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"


def runtime(compiler: str, name: str) -> str:
    """Path of the sanitizer's shared runtime; empty when the compiler links it statically."""
    done = subprocess.run([*compiler.split(), f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    path = done.stdout.strip()
    return path if os.path.sep in path else ""


def main() -> int:
    """Command line; pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("pytest", nargs="*")
    options = parser.parse_args()
    preload = [path for path in (runtime(options.cc, "libasan.so"), runtime(options.cc, "libubsan.so")) if path]
    if not preload:
        print(
            "stress-python: no shared sanitizer runtime with this compiler, the C suite alone was stressed",
            file=sys.stderr,
        )
        return 0

    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for name in (
        "pyproject.toml",
        "setup.py",
        "build_ffi.py",
        "README.md",
        "LICENSE",
        "native",
        "reml_embed",
        "tools",
        "examples",
    ):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, COPY / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        elif source.exists():
            shutil.copy2(source, COPY / name)
    environment = os.environ | {
        "CC": options.cc, "CFLAGS": FLAGS, "LDFLAGS": "-fsanitize=address,undefined", "REML_EMBED_ARCHIVE": str(options.archive.resolve()),
    }  # fmt: skip
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=COPY, env=environment, check=True)

    environment = os.environ | {
        "LD_PRELOAD": " ".join(preload),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that every object of Python has its own red zones
        "PYTHONPATH": str(COPY),  # before the editable install
        "REML_STRESS": "1",
    }
    # -P: without it the package in the working directory, which is not instrumented, would come first.
    found = subprocess.run(
        [sys.executable, "-P", "-c", "import reml_embed._embed as e; print(e.__file__)"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    if not Path(found).is_relative_to(COPY):
        print(f"stress-python: {found} was loaded instead of the copy in {COPY}", file=sys.stderr)
        return 1
    command = [sys.executable, "-P", "-m", "pytest", "-q", "--timeout", "1200", *options.pytest]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
