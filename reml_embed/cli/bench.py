"""``reml bench``: runs what lies in ``benchmarks/`` of a checkout."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]


@click.command()
@click.option("--rounds", default=15, show_default=True, help="Interleaved rounds.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="A folder for the report: Markdown, JSON and plots (SVG).")  # fmt: skip
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=None,
              help="A checkout of reml-embed; by default the one that this package runs from.")  # fmt: skip
@click.pass_context
def bench(command: click.Context, rounds: int, output: Path | None, folder: Path | None) -> None:
    """
    Measure calls across the border, beside the peers that are installed here, and print the table.

    The C harness and the whole programs take part when `make bench-c` and `make bench-programs` have built them; what is missing is
    named. `make bench` measures everything there is.
    """
    root = folder or ROOT
    scripts = root / "benchmarks"
    if not (scripts / "python_calls.py").exists():
        raise click.UsageError("the benchmarks are in the source checkout, not in the wheel: name one with --folder")
    with tempfile.TemporaryDirectory() as results:
        out, built = Path(results), root / "build" / "bench"
        jobs: list[tuple[str, list[str | Path]]] = [
            ("calls from Python", [sys.executable, scripts / "python_calls.py", "--rounds", str(rounds), "--json", out / "python.json"]),
        ]  # fmt: skip
        if (built / "calls").exists():
            jobs.append(("calls from C", [built / "calls", "--json", out / "c.json"]))
        else:
            click.echo("missing: the C harness (make bench-c builds it)", err=True)
        if (built / "run-file").exists():
            jobs.append(("whole programs", [sys.executable, scripts / "programs.py", "--json", out / "programs.json"]))
        else:
            click.echo("missing: the runner of whole programs (make bench-programs builds it)", err=True)
        for title, job in jobs:
            click.echo(f"measuring {title} …", err=True)
            if subprocess.run([str(part) for part in job], stdout=subprocess.DEVNULL, check=False).returncode != 0:
                click.echo(f"failed: {title}", err=True)
        files = sorted(out.glob("*.json"))
        if not files:
            command.exit(1)
        kept: list[str | Path] = ["--output", output] if output else []
        done = subprocess.run([sys.executable, scripts / "report.py", *files, *kept], check=False)
        command.exit(done.returncode)
