"""
Calls from the Pythons of 3.12 or later that are installed beside the one that runs this: ``newer_python.py [--json-folder FOLDER]``.

Each gets an environment of its own below ``build/bench``, with the package compiled for it out of this checkout, and runs
python_calls.py there. One that cannot be had is written down as missing with the reason, so that its goal names it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import measurement
from build_peers import Missing, run

HERE = Path(__file__).parent
ROOT = HERE.parent
NEW = (3, 12)
COMMANDS = ["python3.14", "python3.13", "python3.12"]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
NEEDED = ["cffi>=2.0", "setuptools>=77", "click", "rich", "numpy", "lupa>=2.2", "quickjs>=1.19"]


def candidates() -> list[str]:
    """What may be one: ``BENCH_PYTHON``, commands, and those that pyenv keeps aside; the newest first."""
    kept = [str(folder / "bin" / name) for name in COMMANDS for folder in sorted(PYENV.glob("3.*"), reverse=True)]
    return [*filter(None, [os.environ.get("BENCH_PYTHON")]), *COMMANDS, *kept]


def newer() -> list[tuple[str, str]]:
    """Path and version of each that really starts and is not of this version."""
    found: dict[str, str] = {}
    for name in candidates():
        if shutil.which(name) is None:
            continue
        asked = [name, "-c", "import sys; print(sys.executable, *sys.version_info[:3])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            continue
        executable, *version = done.stdout.split()
        both = int(version[0]), int(version[1])
        if both >= NEW and both != sys.version_info[:2]:
            found.setdefault(".".join(version), executable)
    return [(executable, version) for version, executable in found.items()]


def environment(executable: str, version: str, folder: Path) -> Path:
    """The Python of an environment that can import the package."""
    place = folder / f"python-{version}"
    inside = place / "bin" / "python"
    if not inside.exists():
        run([executable, "-m", "venv", str(place)], "venv")
    if (
        subprocess.run(
            [str(inside), "-c", "import cffi, setuptools, click, rich"], capture_output=True, check=False
        ).returncode
        != 0
    ):
        for requirement in NEEDED:
            done = subprocess.run(
                [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                print(f"missing peer: {requirement}")
    archive = ROOT / "build" / "release" / "libreml_internal.a"
    settings = {**os.environ, **({"REML_EMBED_ARCHIVE": str(archive)} if archive.exists() else {})}
    command = [
        str(inside),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-build-isolation",
        "--no-deps",
        "--force-reinstall",
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Missing(f"the package does not install for Python {version}: {lines[-1]}")
    return inside


def measure_all(folder: Path, arguments: list[str]) -> None:
    """One measurement for the newest; what is not there is written down."""
    for stale in folder.glob("python-calls-*.json"):
        stale.unlink()
    pythons = newer()
    if not pythons:
        print("missing: no Python of 3.12 or later beside this one")
        return
    executable, version = pythons[0]
    kind = "python-calls-" + "-".join(version.split(".")[:2])
    target = folder / f"{kind}.json"
    try:
        inside = environment(executable, version, ROOT / "build" / "bench")
        # In a folder of its own: the checkout's package has its extension for another Python.
        command = [str(inside), "-P", str(HERE / "python_calls.py"), "--kind", kind, "--json", str(target), *arguments]
        done = subprocess.run(
            command,
            cwd=folder,
            check=False,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
        if done.returncode == 0 or target.exists():
            return
        raise Missing(f"python_calls.py ended with {done.returncode} under Python {version}")
    except (Missing, OSError) as error:
        print(f"missing: Python {version} ({error})")
        facts = machine.describe("not run", machine.load(), "none") | {"python": f"CPython {version}"}
        measurement.write(
            target,
            {"kind": kind, "title": f"Calls from Python {version}", "baseline": "cffi", "note": "", "unit": "ns", "environment": facts,
             "versions": {}, "missing": {"reml": str(error)}, "rows": []},
        )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json-folder", type=Path, default=ROOT / "build" / "bench")
    options, rest = parser.parse_known_args()
    measure_all(options.json_folder.resolve(), rest)
