"""What a figure was measured on: processor, kernel, compiler, Python, load. Pure facts, gathered before a run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path


def version_of(command: list[str]) -> str:
    """First line that *command* prints, or ``not installed``."""
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def processor() -> str:
    """The processor's name as the kernel knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def describe() -> dict[str, str]:
    """One flat table; the same keys as the C harness writes, and Python."""
    return {
        "processor": processor(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "compiler": version_of([os.environ.get("CC", "cc").split()[0], "--version"]),
        "python": sys.version.split()[0],
        "load": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
