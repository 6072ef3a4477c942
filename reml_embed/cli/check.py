"""``reml check``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reml_embed import Context, LoadError, RemlError
from reml_embed.cli._capabilities import runtime_options
from reml_embed.cli._common import SOURCE, as_diagnostic, format_option, with_option
from reml_embed.cli._effects import EffectsAsked, effects_options, guide_object, guide_text, manifest_diagnostics
from reml_embed.cli._pipeline import Asked, PipelineCommand, Session, pipeline_options
from reml_embed.cli._target import config_options, note_cfg, target_options
from reml_embed.cli._telemetry import Graphs, explained, telemetry_option
from reml_embed.effects import EffectError


class _Drop:
    """An audit sink that keeps nothing: for contexts that only look."""

    def write(self, line: str, /) -> None:
        """Let it go."""


DROP = _Drop()


def check_file(context: Context, file: Path, session: Session, graphs: Graphs) -> int:
    """Say what is wrong with one file, without adding it; the number of errors."""
    try:
        found = context.check(file, telemetry=graphs.wanted)
        text, coloured = context.diagnostics_text(), context.diagnostics_text(colour=True)
    except RemlError as error:  # an empty file
        diagnostic, text = as_diagnostic(error)
        found, coloured = [diagnostic], text
    graphs.take(context, file)
    note_cfg(session, context)
    session.add(explained(context, file, found), text=text, coloured=coloured, file=file)
    mismatches = manifest_diagnostics([file], [])
    session.add(mismatches, text="\n".join(f"error[{item.code}]: {item.message}" for item in mismatches), file=file)
    return sum(diagnostic.severity == "error" for diagnostic in found) + len(mismatches)


def applied_handlers(files: Sequence[Path], modules: Sequence[Path]) -> list[dict[str, Any]]:
    """Where the files apply handlers; a file that does not load tells of none."""
    found: list[dict[str, Any]] = []
    for file in files:
        with Context(audit=DROP) as context:
            try:
                for name in (*modules, file):
                    before = len(context.handlers())
                    context.load(name)
                found += context.handlers()[before:]
            except RemlError:
                continue
    return found


def load_modules(context: Context, files: Sequence[Path], session: Session) -> bool:
    """Load what the files use; False when one is wrong."""
    for file in files:
        try:
            session.load(context, file)
        except LoadError as error:
            session.add(error.diagnostics, text=error.text, coloured=error.coloured, file=file)
            return False
    return True


def check_files(
    files: Sequence[Path], modules: Sequence[Path], session: Session, options: dict[str, Any], graphs: Graphs
) -> bool:
    """Check each file in a context with *options*; one pipeline each. True: all are well."""
    ok = True
    with session.context(**options) as context:
        with session.logging_into(context):
            loaded = load_modules(context, modules, session)
            for file in files:
                before = len(session.shown)
                with session.pipeline(file) as pipeline:
                    errors = check_file(context, file, session, graphs) if loaded else 1
                    ok = ok and errors == 0
                    if session.human and loaded:
                        click.echo(
                            f"{file}: {'ok' if not errors else '1 error' if errors == 1 else f'{errors} errors'}"
                        )
                    found, code = len(session.shown) - before, 1 if errors else 0
                    pipeline.finish(count=1 + len(modules), diagnostics=found, code=code, phase=session.phase(before))
        context.drain()
        session.outcome.audit_count = context.audit_count + 1  # the record of closing
    return ok and loaded


def run_check(
    files: Sequence[Path], modules: Sequence[Path], session: Session, options: dict[str, Any] | None = None,
    telemetry: Path | None = None, settings: tuple[str, ...] = (),
) -> int:  # fmt: skip
    """The whole command; its exit code. *telemetry* is that of `telemetry_option`."""
    graphs = Graphs(telemetry, files)
    target = target_options(session, settings, runs=False)
    options = {"audit": session.context_log, **(options or {}), **(target or {})}
    try:
        session.outcome.ok = target is not None and check_files(files, modules, session, options, graphs)
        graphs.write(session)
    except RemlError as error:
        session.refused(error)
    code = 0 if session.outcome.ok else 1
    session.close(code)
    return code


@click.command(cls=PipelineCommand)
@click.argument("files", type=SOURCE, nargs=-1, required=True, metavar="FILE...")
@with_option
@runtime_options
@telemetry_option
@config_options
@format_option
@effects_options
@pipeline_options
@click.pass_context
def check(
    command: click.Context, files: tuple[Path, ...], modules: tuple[Path, ...], runtime: dict[str, Any], telemetry: Path | None,
    form: str, asked: Asked, effects: EffectsAsked, settings: tuple[str, ...],
) -> None:  # fmt: skip
    """Say what is wrong with each FILE, without running it."""
    session = Session("check", "Check", files, asked, form)
    try:
        options: dict[str, Any] = {**runtime, "effects": effects.opt_in(files)}
    except EffectError as error:
        raise click.ClickException(error.message) from None
    events = applied_handlers(files, modules) if effects.debug else []
    for event in events if session.human else ():
        click.echo(guide_text(event))
    if effects.debug:
        session.outcome.__dict__["effects_debug"] = [guide_object(event) for event in events]
    command.exit(run_check(files, modules, session, options, telemetry, settings))
