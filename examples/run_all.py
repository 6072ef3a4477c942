"""
What ``make run`` ends with: every example, in the order in which a newcomer reads them; 1 when one of them fails.

    run_all.py [--limit-mb N]        the limit goes to the last one, which reads the Python standard library
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "build" / "examples"


def run(title: str, *command: str | Path, **environment: str) -> bool:
    """Show the command's own output under *title*; False when it did not end with 0."""
    print(f"\n--- {title}", flush=True)
    done = subprocess.run([str(part) for part in command], env=os.environ | environment, check=False)
    if done.returncode != 0:
        print(f"{title}: ended with {done.returncode}", file=sys.stderr)
    return done.returncode == 0


def run_guide_sample() -> bool:
    """The guide's C program prints nothing when all is well; the log tells what it did."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.ndjson"
        if not run("the guide's sample, from C (examples/c/hello.c)", BUILT / "hello", REML_EMBED_AUDIT_PATH=str(log)):
            return False
        for line in log.read_text(encoding="utf-8").splitlines():
            metadata = json.loads(line)["envelope"]["metadata"]
            entry, version = metadata.get("native.embed.entrypoint"), metadata.get("embed.abi.version")
            if entry is not None:
                print(f"record {metadata['audit.sequence']}: {entry} (ABI {version}): {metadata['embed.status']}")
    return True


def run_capability() -> bool:
    """Its log goes to a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        title = "capabilities refused, and the log of it, from C (examples/c/capability.c)"
        return run(title, BUILT / "capability", Path(folder) / "audit.ndjson")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--limit-mb", default="32")
    options = parser.parse_args()
    python = sys.executable
    boundaries = sorted((HERE / "boundaries").glob("*/main.py"))
    blocks = sorted((HERE / "guide").glob("*/main.py"))
    results = [
        run_guide_sample(),
        run("host functions, from C (examples/c/host_function.c)", BUILT / "host_function"),
        run("hostile scripts under limits (examples/c/limits.c)", BUILT / "limits"),
        run("one program, many tenants (examples/c/tenants.c)", BUILT / "tenants"),
        run("a module replaced while a program runs (examples/c/reload.c)", BUILT / "reload"),
        run_capability(),
        run("the same flow, from Python (examples/python/hello.py)", python, HERE / "python" / "hello.py"),
        run("the plain shared library, through ctypes", python, HERE / "python" / "ctypes_hello.py"),
        run("words of the standard library (examples/stdlib_words)", python, HERE / "stdlib_words" / "main.py",
            "--limit-mb", options.limit_mb),
        *(run(f"the guide's boundary {path.parent.name} (examples/boundaries)", python, path) for path in boundaries),
        *(run(f"the guide's block {path.parent.name} (examples/guide)", python, path) for path in blocks),
    ]  # fmt: skip
    failed = results.count(False)
    print(f"\n{len(results) - failed} of {len(results)} examples ended well")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
