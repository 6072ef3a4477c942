"""``reml run``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reml_embed import Context, Function, LoadError, RemlError, RunError, TransferredResult
from reml_embed._ffi import ffi, lib, owned_text
from reml_embed._files import check_place
from reml_embed.ci import ci_event, log_ci_event
from reml_embed.cli._capabilities import file_capabilities, runtime_options
from reml_embed.cli._common import (
    SOURCE,
    as_diagnostic,
    check_text,
    format_option,
    limit_options,
    read_limits,
    shown_name,
    with_option,
)
from reml_embed.cli._effects import EffectsAsked, effects_options, guide_text, manifest_diagnostics
from reml_embed.cli._pipeline import Asked, PipelineCommand, Session, pipeline_options
from reml_embed.cli._target import config_options, note_cfg, target_options
from reml_embed.cli._test_run import TestRun, debug_objects, record, verdict
from reml_embed.cli._trail import Trail
from reml_embed.diagnostics import build, plain
from reml_embed.effects import EffectError
from reml_embed.limits import Limits
from reml_embed.profiling import Profile
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


@dataclass(frozen=True, slots=True)
class ProfileFiles:
    """What ``--profile`` writes."""

    svg: Path
    folded: Path

    @classmethod
    def at(cls, path: Path) -> ProfileFiles:
        """
        For the PATH of the option, with the ending of one of the files or without.

        Raises:
            click.BadParameter: they cannot be written.
        """
        stem = path.with_suffix("") if path.suffix in (".svg", ".folded") else path
        found = cls(stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.folded"))
        for file in (found.svg, found.folded):
            try:
                check_place(file)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise click.BadParameter(f"{shown_name(file)}: {reason}", param_hint="--profile") from None
        return found

    @contextmanager
    def around(self, context: Context, title: str) -> Iterator[None]:
        """
        Profile what is done meanwhile, and write it however that ends.

        Raises:
            click.ClickException: the files could not be written after all.
        """
        profile: Profile | None = None
        try:
            with context.profile() as profile:
                yield
        except BaseException:
            try:
                self._write(profile, title)
            except click.ClickException as problem:  # why the program ended is what matters
                problem.show()
            raise
        self._write(profile, title)

    def _write(self, profile: Profile | None, title: str) -> None:
        if profile is None:
            return
        try:
            profile.write_folded(self.folded)
            profile.write_svg(self.svg, title)
        except OSError as error:
            raise click.ClickException(f"--profile: {shown_name(self.svg)}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Program:
    """
    What is run.

    Attributes:
        files: the last is the program. entry: its function. words: arguments of it.
        loaded: called with the context when all is loaded. observer: told of handlers, or None. denied: capabilities taken away first.
        profile: where the profile of the run goes, or None.
    """

    files: Sequence[Path]
    entry: str
    words: tuple[str, ...] = ()
    loaded: Callable[[Context], object] | None = None
    observer: Callable[[dict[str, Any]], object] | None = None
    denied: tuple[str, ...] = ()
    profile: ProfileFiles | None = None


def check_manifest(context: Context, files: Sequence[Path]) -> None:
    """
    Do the capabilities stand where the manifest expects them?

    Raises:
        LoadError: ``manifest.dsl.stage_mismatch``.
    """
    found = manifest_diagnostics(files, [row["capability"] for row in context.handlers() if "capability" in row])
    if found:
        text = "\n".join(f"error[{item.code}]: {item.message}" for item in found)
        raise LoadError(found[0].message, tuple(found), text=text)


def execute(program: Program, options: dict[str, Any], session: Session) -> None:
    """Create, load (the last of *files* is the program), run, read and close; the outcome holds what is known whenever this ends."""
    outcome = session.outcome
    context = session.context(**options)
    try:
        with context, session.logging_into(context):
            try:
                if program.observer is not None:
                    context.observe_effects(program.observer)
                for capability in program.denied:
                    context.revoke(capability)
                for file in program.files:
                    session.load(context, file)
                    note_cfg(session, context)
                if program.loaded is not None:
                    program.loaded(context)
                check_manifest(context, program.files)
                title = f"reml run {shown_name(program.files[-1].name)}"
                with program.profile.around(context, title) if program.profile else nullcontext():
                    result = call(context, program.entry, program.words)
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


def run_program(program: Program, options: dict[str, Any], session: Session) -> int:
    """One pipeline around `execute`; the exit code."""
    files = program.files
    with session.pipeline(files[-1]) as pipeline:
        try:
            execute(program, options, session)
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


class FileOrTest(click.Path):
    """An existing file, or the word ``test`` in front of ``MODULE::FUNCTION``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does it; what stands behind ``test`` is looked at later."""
        return Path("test") if value == "test" else super().convert(value, param, ctx)


def wants_test(command: click.Context, file: Path, args: tuple[str, ...]) -> bool:
    """Is it ``test MODULE::FUNCTION``? A file that is called so is run as ``./test``."""
    if file != Path("test"):
        return False
    if args and "::" in args[0]:
        return True
    SOURCE.convert("test", next(item for item in command.command.params if item.name == "file"), command)
    return False


def run_test(
    asked: Asked, test: TestRun, options: dict[str, Any], effects: EffectsAsked, form: str, denied: tuple[str, ...],
    settings: tuple[str, ...], profile: ProfileFiles | None,
) -> int:  # fmt: skip
    """``reml run test``: the exit code."""
    session, printed, events = Session("run", "Test", test.files, asked, form), list[str](), list[dict[str, Any]]()
    options |= {"audit": session.context_log, "output": printed.append, "input": None}
    program = Program(test.files, test.function, (), test.watch, _collector(events, effects), denied, profile)
    checks: list[dict[str, Any]] = []
    began = time.perf_counter()
    target = target_options(session, settings, runs=True)
    try:
        code = 1 if target is None else run_program(program, options | target, session)
        outcome = session.outcome
        passed = code == 0 and not (outcome.type == "Bool" and outcome.value == "false")
        if code != 130:
            trail = session.trail or Trail("run.test", {"test": test.target}, asked.audit, inputs=session.inputs)
            checks = record(test, session, trail, passed=passed)
        code = code if passed or code else 1
    except (RemlError, OSError) as error:  # of the log, or of the file of stage checks
        session.refused(error if isinstance(error, RemlError) else EffectError("effects.stage.checks_io", str(error)))
        passed, code = False, 1
    session.outcome.ok, session.outcome.stdout = passed, "".join(printed)
    _show_debug(events, session, effects)
    verdict(test, session, session.outcome.stdout, checks, passed=passed)
    more = {"test": test.target, "stage_checks": checks, **debug_objects(events, effects)}
    session.outcome.__dict__.update(more)
    log_test(session, began)
    session.close(code, ok=passed, stdout=session.outcome.stdout, **more)
    return code


def log_test(session: Session, began: float) -> None:
    """The line ``reml.test`` of the structured log, where there is one."""
    errors = [item["code"] for item in session.shown if item["severity"] == "error"]
    made_for = session.config.target if session.config is not None else None
    event = ci_event(errors, (time.perf_counter() - began) * 1000, made_for)
    try:
        log_ci_event(event)
    except OSError as error:
        text = f"the event of the test was not written: {error.filename}: {error.strerror}"
        session.add([build("core.diagnostics.metric_emit_failed", text)])


def _collector(events: list[dict[str, Any]], asked: EffectsAsked) -> Callable[[dict[str, Any]], object] | None:
    return (lambda event: events.append(event) if event["event"] == "handle" else None) if asked.debug else None


def _show_debug(events: list[dict[str, Any]], session: Session, asked: EffectsAsked) -> None:
    if asked.debug and session.human:
        for event in events:
            click.echo(guide_text(event))


@click.command(cls=PipelineCommand)
@click.argument("file", type=FileOrTest(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.argument("args", nargs=-1)
@click.option("--entry", default="main", show_default=True, help="Function to run: `main`, `Billing.total`.")
@click.option("--arg", "words", multiple=True, help="An argument of it, in order; lists and records as JSON.")
@click.option(
    "--profile",
    "profile_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Sample where its time goes: a flame graph (PATH.svg) and the folded stacks (PATH.folded).",
)
@with_option
@runtime_options
@limit_options
@config_options
@format_option
@effects_options
@pipeline_options
@click.pass_context
def run(
    command: click.Context, file: Path, args: tuple[str, ...], entry: str, words: tuple[str, ...], modules: tuple[Path, ...],
    runtime: dict[str, Any], limits: tuple[str, ...], untrusted: bool, form: str, asked: Asked, effects: EffectsAsked,
    settings: tuple[str, ...], profile_path: Path | None,
) -> None:  # fmt: skip
    """
    Run the program in FILE and show its result. Env.args() answers ARGS, Env.get_env the variables of this process, Console.ask the
    lines of standard input (--untrusted: neither, and no files but what
    --grant names). Warnings go to standard error.

    The tables `run` and `runtime` of reml.toml say how, the environment over them, and --config and --target over both.

    `reml run test MODULE::FUNCTION` runs that function of the modules of the manifest (without a reml.toml: of the directory) as a test,
    with captured output, and records the outcome as a stage check in .reml/stage-checks.json.

    Exits with 0, or with 1 when the program is wrong, fails, or answers `Err` (a test: also `false`).
    """
    check_text("--entry", entry)
    for word in words:
        check_text("--arg", word)
    allowed: Limits = read_limits(limits, untrusted=untrusted)
    test = TestRun(args[0], modules) if wants_test(command, file, args) else None
    files = test.files if test else [*modules, file]
    options: dict[str, Any] = {**runtime, "limits": allowed, "args": args[1:] if test else args}
    options |= {"environment": None if untrusted else os.environ, "explicit_experimental": untrusted}
    try:
        options["effects"] = effects.opt_in(files, untrusted=untrusted)
    except EffectError as error:
        raise click.ClickException(error.message) from None
    profile = None if profile_path is None else ProfileFiles.at(profile_path)
    denied = tuple(name for name in file_capabilities() if name not in command.params["grants"]) if untrusted else ()
    if test:
        command.exit(run_test(asked, test, options, effects, form, denied, settings, profile))
    session, printed, events = Session("run", "Embed", files, asked, form), list[str](), list[dict[str, Any]]()
    options |= {
        "audit": session.context_log,
        "input": None if untrusted else answer,
        "output": None if session.human else printed.append,
    }
    target = target_options(session, settings, runs=True)
    try:
        program = Program(files, entry, words, observer=_collector(events, effects), denied=denied, profile=profile)
        code = 1 if target is None else run_program(program, options | target, session)
    except RemlError as error:  # of the log
        session.refused(error)
        code = 1
    outcome = session.outcome
    outcome.stdout = "".join(printed)
    if session.human and outcome.value is not None and outcome.type != "()":
        click.echo(outcome.value)
    _show_debug(events, session, effects)
    outcome.__dict__.update(debug_objects(events, effects))
    session.close(
        code,
        **debug_objects(events, effects),
        ok=outcome.ok,
        value=outcome.value,
        type=outcome.type,
        stdout=outcome.stdout,
    )
    command.exit(code)
