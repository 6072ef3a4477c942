"""
``reml examples run``: the suites of ``examples/``, run as the commands that they show, and compared with their golden files.

A suite is a directory with a ``suite.toml``: a table of cases, each a command, how it has to end, and golden files for what it prints and
records (CONTRACTS 0.8, 3.4). Golden files hold no ids and times: what is compared went through `reml_embed.testing.normalised`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reml_embed.audit import AuditValidationError, Record
from reml_embed.ci import ci_event, log_ci_event
from reml_embed.cli._common import format_option, show_line
from reml_embed.errors import RemlError
from reml_embed.registry.target import infer_target_from_env
from reml_embed.testing import normalised

ROOT = Path(__file__).resolve().parents[2]

#: The commands that cases may run, as modules.
PROGRAMS = {"reml": "reml_embed.cli", "remlc": "reml_embed.cli.remlc", "reml-run": "reml_embed.cli.reml_run",
            "reml-config": "reml_embed.cli.reml_config"}  # fmt: skip

_MEMBERS = {
    "name": str,
    "command": list,
    "exit": int,
    "allowed_failure": bool,
    "output": str,
    "audit": str,
    "log": str,
    "log_category": str,
}
#: Stands in a command for the path of a log of its own.
LOG = "{log}"
_SECONDS_MOST = 120
_ERROR = re.compile(r"^error\[([\w.]+)\]", re.MULTILINE)
_DIFFERENCE_MOST = 40  # lines


class SuiteError(click.ClickException):
    """A suite that cannot be run."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Case:
    """
    One row of a suite.

    Attributes:
        name: of the case.
        command: its words; the first one names a program of `PROGRAMS`.
        exit: how it has to end.
        allowed_failure: an exit other than 0 is meant.
        output: golden file of standard output, or None.
        audit: golden file of the records on standard error, or None.
        log: golden file of the records of the log whose path stands in the command as `LOG`, or None.
        log_category: only those of this category.
    """

    name: str
    command: tuple[str, ...]
    exit: int = 0
    allowed_failure: bool = False
    output: str | None = None
    audit: str | None = None
    log: str | None = None
    log_category: str | None = None


def read_suite(folder: Path) -> tuple[str, list[Case]]:
    """
    Title and cases of the suite in *folder*.

    Raises:
        SuiteError: it is none; the message names file, case and member.
    """
    file = folder / "suite.toml"
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SuiteError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"{file}: {error}") from None
    rows = data.get("case")
    if not isinstance(rows, list) or not rows:
        raise SuiteError(f"{file}: `case`: a suite has at least one [[case]]")
    return str(data.get("title", folder.name)), [_read_case(file, number, row) for number, row in enumerate(rows, 1)]


def _read_case(file: Path, number: int, row: dict[str, Any]) -> Case:
    where = f"{file}: case[{number}]"
    for name, value in row.items():
        kind = _MEMBERS.get(name)
        if kind is None:
            raise SuiteError(f"{where}.{name}: unknown; known: {', '.join(_MEMBERS)}")
        if type(value) is not kind:
            raise SuiteError(f"{where}.{name}: expected {kind.__name__}, got {type(value).__name__}")
    command = row.get("command") or []
    if not row.get("name") or not command or not all(isinstance(word, str) for word in command):
        raise SuiteError(f"{where}: `name` and `command`, a list of words, are needed")
    if command[0] not in PROGRAMS:
        raise SuiteError(f"{where}.command: `{command[0]}` is none of {', '.join(PROGRAMS)}")
    if ("log" in row) != (LOG in command):
        raise SuiteError(f"{where}: `log` and the word `{LOG}` in the command go together")
    for member in ("output", "audit", "log"):
        if member in row and (Path(row[member]).is_absolute() or not {"..", "."}.isdisjoint(row[member].split("/"))):
            raise SuiteError(f"{where}.{member}: the name of a file beside suite.toml is expected, got `{row[member]}`")
    if row.get("exit", 0) != 0 and not row.get("allowed_failure", False):
        raise SuiteError(f"{where}: an exit other than 0 is an `allowed_failure`")
    return Case(**{**row, "command": tuple(command)})


def _environment() -> dict[str, str]:
    """What cases see: nothing that would change what they print."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REML", "GITHUB_"))}
    return kept | {
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


@dataclass(frozen=True, slots=True)
class Done:
    """How a case ended: what it printed, and its log; the path of that is `LOG` again."""

    returncode: int
    stdout: str
    stderr: str
    log: str = ""


def run_case(case: Case, root: Path) -> Done:
    """
    Run its command in *root*.

    Raises:
        SuiteError: it did not end in time.
    """
    program, *words = case.command
    script = f"import sys; sys.argv[0] = {program!r}; from {PROGRAMS[program]} import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.ndjson"
        words = [str(log) if word == LOG else word for word in words]
        try:
            done = subprocess.run(
                [sys.executable, "-c", script, *words], cwd=root, env=_environment(), capture_output=True, encoding="utf-8",
                errors="replace", timeout=_SECONDS_MOST, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise SuiteError(f"{case.name}: did not end within {_SECONDS_MOST} s") from None
        found = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        texts = (text.replace(str(log), LOG) for text in (done.stdout, done.stderr, found))
        return Done(done.returncode, *texts)


def golden_texts(case: Case, done: Done, *, with_audit: bool) -> dict[str, str]:
    """What the golden files of *case* would hold after this run, by name."""
    ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    if case.output is not None:
        text = normalised(done.stdout, ids)
        if case.output.endswith(".json"):
            with suppress(
                ValueError
            ):  # what is no JSON is compared as it is: the difference shows what was printed instead
                text = json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
        texts[case.output] = text
    if with_audit and case.audit is not None:
        lines = [line for line in done.stderr.splitlines(keepends=True) if line.startswith('{"')]
        texts[case.audit] = normalised("".join(lines), ids)
    if with_audit and case.log is not None:
        lines = [line for line in done.log.splitlines(keepends=True) if _is_of(case.log_category, line)]
        texts[case.log] = normalised("".join(lines), ids)
    return texts


def _is_of(category: str | None, line: str) -> bool:
    if category is None:
        return True
    try:
        return Record.parse(line).category == category
    except AuditValidationError:
        return True  # the difference shows it


def differences(folder: Path, texts: dict[str, str]) -> list[str]:
    """What differs from the golden files of *folder*, as lines for people."""
    found: list[str] = []
    for name, text in texts.items():
        try:
            expected = (folder / name).read_text(encoding="utf-8")
        except OSError as error:
            found.append(f"{name}: {error.strerror}")
            continue
        if expected != text:
            lines = list(difflib.unified_diff(expected.splitlines(), text.splitlines(), name, "now", lineterm="", n=1))
            found += lines[:_DIFFERENCE_MOST]
            if len(lines) > _DIFFERENCE_MOST:
                found.append(f"… and {len(lines) - _DIFFERENCE_MOST} more lines")
    return found


def errors_of(done: Done) -> list[str]:
    """Codes of the errors that a case has shown, to people or as JSON."""
    found: Any = None
    with suppress(ValueError):
        found = json.loads(done.stdout)
    rows = found.get("diagnostics") if isinstance(found, dict) else None
    shown = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return _ERROR.findall(done.stderr) + [str(row.get("code")) for row in shown if row.get("severity") == "error"]


def _log_event(errors: list[str], began: float) -> None:
    """The line ``reml.test`` of a suite, in the structured log where there is one."""
    try:
        log_ci_event(ci_event(errors, (time.perf_counter() - began) * 1000, infer_target_from_env()))
    except (OSError, RemlError) as error:
        click.echo(f"warning: the event of the suite was not written: {error}", err=True)


@click.group()
def examples() -> None:
    """Run the examples of a checkout."""


def examples_folder(given: Path | None) -> Path:
    """The directory ``examples/`` of a checkout: of *given*, of the current directory, of the one that this package runs from."""
    here = Path() if any(Path().glob("examples/*/suite.toml")) else ROOT
    folder = (given or here) / "examples"
    if not folder.is_dir():
        raise click.UsageError("the examples are in the source checkout, not in the wheel: name one with --folder")
    return folder


_folder_option = click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=None,
                              help="A checkout of reml-embed; by default the current directory, else the one that this package runs from.")  # fmt: skip


@examples.command("list")
@_folder_option
def show_suites(folder: Path | None) -> None:
    """The suites that there are."""
    for file in sorted(examples_folder(folder).glob("*/suite.toml")):
        title, cases = read_suite(file.parent)
        click.echo(f"{file.parent.name:<20} {len(cases)} cases: {title}")


@examples.command("run")
@click.option("--suite", "suites", multiple=True, required=True, metavar="NAME", help="Which one; again for more.")
@click.option("--with-audit", is_flag=True, help="Compare the records, too.")
@click.option("--update-golden", is_flag=True, help="Rewrite the golden files; implies --with-audit.")
@format_option
@_folder_option
@click.pass_context
def run_suites(
    command: click.Context,
    suites: tuple[str, ...],
    with_audit: bool,
    update_golden: bool,
    form: str,
    folder: Path | None,
) -> None:
    """
    Run the cases of a suite and compare what they print, and record, with their golden files.

    A case that fails as it should is an allowed failure. Exits with 0, with 1 when a case is not as it should be, with 2 when a suite is
    not there.
    """
    home = examples_folder(folder)
    failed = total = 0
    rows: list[dict[str, Any]] = []
    for name in suites:
        began, errors = time.perf_counter(), list[str]()
        known = sorted(file.parent.name for file in home.glob("*/suite.toml"))
        if name not in known:
            raise click.BadParameter(f"`{name}` is no suite; known: {', '.join(known)}", param_hint="--suite")
        _, cases = read_suite(home / name)
        for case in cases:
            total += 1
            done = run_case(case, home.parent)
            errors += errors_of(done)
            texts = golden_texts(case, done, with_audit=with_audit or update_golden)
            if done.returncode != case.exit:
                wrong = [
                    f"ended with {done.returncode}, not {case.exit}",
                    *done.stderr.splitlines()[-_DIFFERENCE_MOST:],
                ]
            elif update_golden:
                wrong = []
                for file, text in texts.items():
                    (home / name / file).write_text(text, encoding="utf-8")
            else:
                wrong = differences(home / name, texts)
            allowed = " (allowed failure)" if case.allowed_failure and done.returncode == case.exit else ""
            rows.append(
                {"suite": name, "name": case.name, "status": "failed" if wrong else "passed", "exit": done.returncode}
            )
            if form == "human":
                click.echo(f"{name}/{case.name}: {'FAILED' if wrong else 'ok'}: exit {done.returncode}{allowed}")
            for line in wrong:
                click.echo(f"    {line}", err=True)
            failed += bool(wrong)
        _log_event(errors, began)
    if form == "json":  # what `reml audit metrics --scenario example_suite` judges
        show_line({"examples": rows})
    else:
        click.echo(f"{total - failed} of {total} cases ok{', golden files written' if update_golden else ''}")
    command.exit(1 if failed else 0)
