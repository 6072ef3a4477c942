"""
What figures were measured on, and where: processor, kernel, clock, compiler, versions, load; the process pinned to one core.

``machine.py`` prints the facts as JSON. Nothing here measures.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

CLOCK = {  # the system's own files, in the order in which they are asked
    "governor": ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",),
    "turbo": ("/sys/devices/system/cpu/cpufreq/boost", "/sys/devices/system/cpu/intel_pstate/no_turbo"),
}
NOT_TOLD = "not told by this system"
USABLE = (
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
)  # before anything is pinned


def first_line(command: list[str]) -> str:
    """First line that *command* prints, or ``not installed``."""
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def read(path: str) -> str | None:
    """A one-line file of the system, or None."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def processor() -> str:
    """The processor's name as the kernel knows it."""
    for line in (read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def clock() -> dict[str, str]:
    """Governor and turbo, where the system tells."""
    found = {}
    for name, paths in CLOCK.items():
        texts = {path: text for path in paths if (text := read(path)) is not None}
        path, text = next(iter(texts.items()), ("", NOT_TOLD))
        if name == "turbo" and path:
            text = "on" if (text == "1") != path.endswith("no_turbo") else "off"
        found[name] = text
    return found


def load() -> str:
    """Load of the last 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def compiler() -> list[str]:
    """The compiler's command: ``CC`` or ``cc``; a ccache in front of it is left out."""
    words = [word for word in os.environ.get("CC", "cc").split() if Path(word).name != "ccache"]
    return words or ["cc"]


def pin() -> str:
    """
    Put this process, and those that it starts, on one core; says which, or why not.

    The core is ``BENCH_CPU`` (``none`` for none), else the last that the process may use: the first ones get the interrupts.
    """
    wanted = os.environ.get("BENCH_CPU", "")
    if wanted == "none":
        return "no: BENCH_CPU=none"
    if not hasattr(os, "sched_setaffinity"):
        return "no: this system has no such call"
    core = int(wanted) if wanted.isdecimal() else max(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        return f"no: {error.strerror}"
    return f"core {core}"


def facts() -> dict[str, str]:
    """What stays the same during a run."""
    return {
        "processor": processor(),
        "cores": f"{os.cpu_count()} cores, {USABLE} usable",
        **clock(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "compiler": first_line([*compiler(), "--version"]),
        "flags": os.environ.get("BENCH_FLAGS", "-O2"),
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
    }


def describe(pinned: str, load_before: str, clock_used: str) -> dict[str, str]:
    """The environment of one measurement, to be called after it."""
    return {
        **facts(),
        "pinned": pinned,
        "clock": clock_used,
        "load before": load_before,
        "load after": load(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


if __name__ == "__main__":
    print(json.dumps(facts(), indent=1))
