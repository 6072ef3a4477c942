"""``reml run``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reml_embed import Context, Function, LoadError, RemlError, RunError, TransferredResult
from reml_embed._ffi import ffi, lib, owned_text
from reml_embed.cli._capabilities import runtime_options
from reml_embed.cli._common import SOURCE, as_diagnostic, format_option, limit_options, read_limits, with_option
from reml_embed.cli._pipeline import Asked, PipelineCommand, Session, pipeline_options
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
    files: Sequence[Path], entry: str, words: tuple[str, ...], options: dict[str, Any], session: Session
) -> None:
    """Create, load (the last of *files* is the program), run, read and close; the outcome holds what is known whenever this ends."""
    outcome = session.outcome
    context = Context(**options)
    try:
        with context, session.logging_into(context):
            try:
                for file in files:
                    session.load(context, file)
                result = call(context, entry, words)
                outcome.type, outcome.value = result.type, result.text
                outcome.ok = not (result.variant == "Err" and outcome.type.startswith("Result<"))
            finally:
                context.drain()  # summaries become records
                outcome.audit_count = context.audit_count
    finally:
        outcome.audit_count += context.closed  # the record of closing itself


def explain(error: RemlError, session: Session) -> None:
    """Put a failure of the program in front of what else was found, and show it."""
    found, earlier = error, session.outcome.diagnostics
    session.outcome.ok, session.outcome.diagnostics = False, []
    if isinstance(found, LoadError | RunError):
        text = found.text or f"error[{found.code}]: {found.diagnostics[0].message if found.diagnostics else found}"
        session.add(found.diagnostics, text=text, coloured=found.coloured)
    else:
        diagnostic, text = as_diagnostic(found)
        session.add([diagnostic], text=text)
    session.outcome.diagnostics += earlier


def run_program(
    files: Sequence[Path], entry: str, words: tuple[str, ...], options: dict[str, Any], session: Session
) -> int:
    """One pipeline around `execute`; the exit code."""
    with session.pipeline(files[-1]) as pipeline:
        try:
            execute(files, entry, words, options, session)
            code = 0 if session.outcome.ok else 1
        except RemlError as error:
            explain(error, session)
            code = 1
        except KeyboardInterrupt:
            session.add([plain("runtime.interrupted", "interrupted")], text="error[runtime.interrupted]: interrupted")
            session.outcome.ok = False
            pipeline.fail("runtime.interrupted", "interrupted")
            code = 130
        pipeline.finish(count=len(files), diagnostics=len(session.shown), code=code, phase=session.phase())
    return code


@click.command(cls=PipelineCommand)
@click.argument("file", type=SOURCE)
@click.argument("args", nargs=-1)
@click.option("--entry", default="main", show_default=True, help="Function to run: `main`, `Billing.total`.")
@click.option("--arg", "words", multiple=True, help="An argument of it, in order; lists and records as JSON.")
@with_option
@runtime_options
@limit_options
@format_option
@pipeline_options
@click.pass_context
def run(
    command: click.Context, file: Path, args: tuple[str, ...], entry: str, words: tuple[str, ...], modules: tuple[Path, ...],
    runtime: dict[str, Any], limits: tuple[str, ...], untrusted: bool, form: str, asked: Asked,
) -> None:  # fmt: skip
    """
    Run the program in FILE and show its result. Env.args() answers ARGS, Env.get_env the variables of this process, Console.ask the
    lines of standard input (--untrusted: neither). Warnings go to standard error.

    Exits with 0, or with 1 when the program is wrong, fails, or answers `Err`.
    """
    allowed: Limits = read_limits(limits, untrusted=untrusted)
    session, printed = Session("run", "Embed", [*modules, file], asked, form), list[str]()
    options: dict[str, Any] = {"audit": session.context_log, "limits": allowed}
    options |= {"args": args, "environment": None if untrusted else os.environ}
    options |= {"input": None if untrusted else answer, "output": None if session.human else printed.append, **runtime}
    options["explicit_experimental"] = untrusted
    try:
        code = run_program((*modules, file), entry, words, options, session)
    except RemlError as error:  # of the log
        session.refused(error)
        code = 1
    outcome = session.outcome
    outcome.stdout = "".join(printed)
    if session.human and outcome.value is not None and outcome.type != "()":
        click.echo(outcome.value)
    session.close(code, ok=outcome.ok, value=outcome.value, type=outcome.type, stdout=outcome.stdout)
    command.exit(code)
