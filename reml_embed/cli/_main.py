"""How the commands of this package begin and end: one place for exit codes and for what ends them from outside."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from reml_embed.cli._common import as_diagnostic
from reml_embed.errors import AuditUnavailableError, RemlError


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """Being told to end is an exception, so that what is open is closed and recorded."""
    raise SystemExit(128 + number)


def _drop_output() -> None:
    """Nothing may be written while the interpreter ends: whoever read our output has gone."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell(problem: click.ClickException) -> None:
    """Wrong usage is told with how to use it; everything else is one line, as all errors are."""
    if type(problem).show is click.ClickException.show:
        click.echo(f"error: {problem.format_message()}", err=True)
    else:
        problem.show()


def run_group(group: click.Command, program: str, *, io_error: int = 2, unavailable: int = 1) -> NoReturn:
    """
    Run a command line and end the process: 0 well · 1 errors · 2 wrong usage, missing file · 130 Ctrl-C · 143 told to end.

    A file that cannot be read or written ends with *io_error*, a log that cannot be kept with *unavailable*: one line on standard error,
    never a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name that is no text is shown with escapes
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    code: object
    try:
        code = group.main(prog_name=program, standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as problem:
        _tell(problem)
        code = problem.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        code = 1
    except RemlError as error:
        print(as_diagnostic(error)[1], file=sys.stderr)
        code = unavailable if isinstance(error, AuditUnavailableError) else 1
    except OSError as error:
        name = (
            f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else "cannot read or write: "
        )
        print(f"error: {name}{error.strerror or error}", file=sys.stderr)
        code = io_error
    _drop_output()
    sys.exit(code if isinstance(code, int) else 0)
