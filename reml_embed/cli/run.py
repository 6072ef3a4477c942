"""``reml run``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from reml_embed import Context, Function, LoadError, RemlError, RunError, TransferredResult
from reml_embed._ffi import ffi, lib, owned_text
from reml_embed.cli._common import (
    SOURCE,
    Outcome,
    as_diagnostic,
    complain,
    format_option,
    limit_options,
    load_module,
    read_limits,
    with_option,
)
from reml_embed.diagnostics import plain
from reml_embed.limits import Limits
from reml_embed.results import BorrowedResult


def parameter_types(context: Context, function: Function) -> list[str]:
    """The types of a function's parameters as Reml writes them."""
    handle, found = ffi.new("reml_function_t*", function._handle)[0], ffi.new("reml_type_t*")
    types = []
    for index in range(len(function.parameters)):
        lib.reml_function_param_type(context._id, handle, index, found)
        types.append(owned_text(lambda out, length: lib.reml_type_text(context._id, found[0], out, length))[1])
    return types


def read_argument(text: str, wanted: str) -> Any:
    """A value from a word of the command line: by its type, JSON for everything that is no scalar."""
    readers: dict[str, Any] = {
        "Int": int, "Float": float, "Str": str, "Char": str, "Bool": {"true": True, "false": False}.__getitem__,
    }  # fmt: skip
    try:
        return readers.get(wanted, json.loads)(text)
    except (ValueError, KeyError, RecursionError):
        raise click.BadParameter(f"`{text}` is no {wanted}", param_hint="--arg") from None


def answer(question: str) -> str:
    """The next line of standard input, empty at its end; the question is shown where somebody can type."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        sys.stdout.flush()
        click.echo(question, nl=False, err=True)
    return sys.stdin.buffer.readline().decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def call(context: Context, entry: str, words: tuple[str, ...]) -> BorrowedResult | TransferredResult:
    """Run the entry point, with arguments when there are some."""
    if not words:
        context.execute(entry)
        return context.result_borrow()
    function = context.function(entry)
    types = parameter_types(context, function)
    if len(types) != len(words):
        raise click.UsageError(f"`{entry}` takes {len(types)} arguments, {len(words)} were given")
    arguments = [read_argument(word, wanted) for word, wanted in zip(words, types, strict=True)]
    try:
        result = context.call(function, *arguments)
    except (
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:  # no host function is there that could raise them
        raise click.BadParameter(str(error), param_hint="--arg") from None
    return drive(context, result) if result.type.startswith("Future<") else result


def drive(context: Context, future: TransferredResult) -> TransferredResult:
    """The value of a Future, as an entry without arguments gives it."""
    value, wait = ffi.new("reml_value_t*"), ffi.new("int64_t*")
    status, job = context._border.start_future(*future._handle)
    handle = ffi.new("reml_job_t*", job)[0]
    try:
        while status == lib.REML_EMBED_STATUS_PENDING:
            context._raise_for(lib.reml_job_wait(context._id, handle, wait))
            time.sleep(min(max(wait[0], 0) / 1e9, 60))
            status = context._border.resume(*job)
        context._raise_for(lib.reml_job_result(context._id, handle, value))
    finally:
        context._border.release_job(*job)
        future.release()
    return TransferredResult(context, (value.kind, value.context, value.bits))


def execute(
    files: tuple[Path, ...],
    entry: str,
    words: tuple[str, ...],
    options: dict[str, Any],
    outcome: Outcome,
    *,
    human: bool,
) -> None:
    """Create, load (the last of *files* is the program), run, read and close; *outcome* holds what is known whenever this ends."""
    context = Context(**options)
    try:
        with context:
            try:
                for file in files:
                    load_module(context, file, outcome, human=human)
                result = call(context, entry, words)
                outcome.type, outcome.value = result.type, result.text
                outcome.ok = not (result.variant == "Err" and outcome.type.startswith("Result<"))
            finally:
                context.drain()  # summaries become records
                outcome.audit_count = context.audit_count
    finally:
        outcome.audit_count += context.closed  # the record of closing itself


def explain(error: RemlError | KeyboardInterrupt, outcome: Outcome, *, human: bool) -> int:
    """Put a failure into the outcome, print it for people, and say how to exit."""
    outcome.ok = False
    if isinstance(error, KeyboardInterrupt):
        text = coloured = "error[runtime.interrupted]: interrupted"
        outcome.add([plain("runtime.interrupted", "interrupted")])
    elif isinstance(error, LoadError | RunError):
        text = error.text or f"error[{error.code}]: {error.diagnostics[0].message if error.diagnostics else error}"
        coloured = error.coloured or text
        warnings, outcome.diagnostics = outcome.diagnostics, []
        outcome.add(error.diagnostics)
        outcome.diagnostics += warnings
    else:
        diagnostic, text = as_diagnostic(error)
        coloured = text
        outcome.add([diagnostic])
    if human:
        complain(text, coloured)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


@click.command()
@click.argument("file", type=SOURCE)
@click.argument("args", nargs=-1)
@click.option("--entry", default="main", show_default=True, help="Function to run: `main`, `Billing.total`.")
@click.option("--arg", "words", multiple=True, help="An argument of it, in order; lists and records as JSON.")
@click.option("--audit", type=click.Path(dir_okay=False, path_type=Path), help="Append audit records to this file.")
@with_option
@limit_options
@format_option
@click.pass_context
def run(
    command: click.Context, file: Path, args: tuple[str, ...], entry: str, words: tuple[str, ...], audit: Path | None,
    modules: tuple[Path, ...], limits: tuple[str, ...], untrusted: bool, form: str,
) -> None:  # fmt: skip
    """
    Run the program in FILE and show its result. Env.args() answers ARGS, Env.get_env the variables of this process, Console.ask the
    lines of standard input (--untrusted: neither). Warnings go to standard error.

    Exits with 0, or with 1 when the program is wrong, fails, or answers `Err`.
    """
    human = form == "human"
    allowed: Limits = read_limits(limits, untrusted=untrusted)
    outcome, printed = Outcome(), list[str]()
    options: dict[str, Any] = {"audit": audit, "limits": allowed, "output": None if human else printed.append}
    options |= {"args": args, "environment": None if untrusted else os.environ}
    options["input"] = None if untrusted else answer
    try:
        execute((*modules, file), entry, words, options, outcome, human=human)
        code = 0 if outcome.ok else 1
    except (RemlError, KeyboardInterrupt) as error:
        code = explain(error, outcome, human=human)
    outcome.stdout = "".join(printed)
    if not human:
        outcome.show()
    elif outcome.value is not None and outcome.type != "()":
        click.echo(outcome.value)
    command.exit(code)
