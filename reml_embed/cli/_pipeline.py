"""
What commands share that take sources: how diagnostics are shown (``--output``, filters), and the trail of the pipeline
(``--emit-audit``, ``--audit-store``, ``--audit``).

A command makes a `Session`, opens a pipeline for each input, hands diagnostics to it, and ends with `Session.close`.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reml_embed import Context
from reml_embed.audit import ConsoleSink, ContextSink, FileSink, Record, RecordSink, new_id, now
from reml_embed.audit.policy import LEVELS, AuditPolicy, FilteredSink, Policies, PolicyError, load_policy
from reml_embed.audit.store import KEPT, Store, StoreFile
from reml_embed.cli._common import Outcome, as_diagnostic, complain, show_line, shown_name
from reml_embed.cli._trail import Trail
from reml_embed.context import command_fits
from reml_embed.data.formatter import FormatterContext
from reml_embed.diagnostics import Diagnostic, Emitter
from reml_embed.diagnostics.envelope import envelope, phase_of
from reml_embed.diagnostics.filters import Filter
from reml_embed.diagnostics.filters import parse as parse_filter
from reml_embed.diagnostics.lsp import publish
from reml_embed.errors import AuditUnavailableError, RemlError
from reml_embed.pipelines import Pipeline
from reml_embed.run_config import RunConfig
from reml_embed.target import comparison, detected

#: Keys that every record of a command run carries (CONTRACTS 0.5).
COMMAND_KEYS = ("cli.audit_id", "cli.change_set", "cli.command", "cli.run_id")

OUTPUTS = ("human", "json", "lsp")
_CHUNK = re.compile(r"^(?=(?:\x1b\[[0-9;]*m)*(?:error|warning|info|hint)\[)", re.MULTILINE)


class PipelineCommand(click.Command):
    """A command in which ``--emit-audit`` stands alone or with ``=on``, ``=off``; it never takes the word behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(
            ctx, ["--emit-audit=on" if word == "--emit-audit" else word for word in args[:end]] + args[end:]
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of `pipeline_options` say; `Session` reads it."""

    output: str | None
    shown: Filter
    audit: Path | None
    emit: bool | None
    store: str | None
    folder: Path | None
    level: str
    policies: Policies | None = None

    @property
    def wants_trail(self) -> bool:
        """Are records asked for?"""
        if self.emit is False:
            return False
        return bool(self.emit or self.audit or self.store or self.folder)


_OPTIONS = (
    click.option("--output", type=click.Choice(OUTPUTS), default=None,
                 help="How to print: for people, as one JSON object, as editors read it (LSP)."),
    click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only diagnostics with severity=, code= or domain=."),
    click.option("--include", multiple=True, metavar="KEY=VALUE", help="Show only those with code= or domain=; `type.*` is a pattern."),
    click.option("--exclude", multiple=True, metavar="KEY=VALUE", help="Do not show those with code= or domain=."),
    click.option("--effect-tag", "effect_tags", multiple=True, metavar="TAG", help="Show only those about this effect."),
    click.option("--audit", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH",
                 help="Append all audit records to this file."),
    click.option("--emit-audit", type=click.Choice(["on", "off"]), default=None, metavar="[=off]",
                 help="Write the records of the pipeline: to the store, else to standard error."),
    click.option("--emit-audit-log", is_flag=True, help="The same as --emit-audit."),
    click.option("--audit-store", type=click.Choice(list(KEPT)), default=None, help="Keep them in a file of this store."),
    click.option("--audit-dir", type=click.Path(file_okay=False, path_type=Path), default=None, help="Where the store is."),
    click.option("--audit-level", type=click.Choice(list(LEVELS)), default="full", show_default=True,
                 help="Which records of the pipeline: summary leaves out what went well."),
    click.option("--audit-policy", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
                 help="A policy: which records are written, what is hidden in them, how long rotated files stay."),
)  # fmt: skip


def pipeline_options(function: Any) -> Any:
    """All of the options above, as one argument ``asked``."""

    @functools.wraps(function)
    def packed(
        *arguments: Any, output: str | None, filters: tuple[str, ...], include: tuple[str, ...], exclude: tuple[str, ...],
        effect_tags: tuple[str, ...], audit: Path | None, emit_audit: str | None, emit_audit_log: bool, audit_store: str | None,
        audit_dir: Path | None, audit_level: str, audit_policy: Path | None, **others: Any,
    ) -> Any:  # fmt: skip
        try:
            shown = parse_filter(filters, include, exclude, effect_tags)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        if audit is not None and (audit_store or audit_dir):
            raise click.UsageError("--audit names a file: --audit-store and --audit-dir are for records without one")
        emit = emit_audit == "on" or emit_audit_log if emit_audit != "off" else False
        emitted = emit if emit_audit or emit_audit_log else None
        policies = _policies(audit_policy, wanted=bool(emitted or audit or audit_store or audit_dir))
        asked = Asked(output, shown, audit, emitted, audit_store, audit_dir, audit_level, policies)
        return function(*arguments, asked=asked, **others)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def _policies(path: Path | None, *, wanted: bool) -> Policies | None:
    """The file of ``--audit-policy``."""
    if path is None:
        return None
    if not wanted and not os.environ.get("REML_EMBED_AUDIT_PATH"):
        raise click.UsageError("--audit-policy is about a log: name one with --audit, or say --emit-audit")
    try:
        return load_policy(path)
    except PolicyError as error:
        raise click.BadParameter(error.message, param_hint="--audit-policy") from None


class _Switch:
    """A file, or the log of the context that has it open meanwhile."""

    def __init__(self, path: Path) -> None:
        self._file: RecordSink = FileSink(path)
        self.context: RecordSink | None = None
        self.written = 0

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        if self.context is not None:
            self.context.write_record(record)
            return
        try:
            self._file.write_record(record)
        except OSError as error:
            raise AuditUnavailableError(f"{error.filename}: {error.strerror}") from error
        self.written += 1


class Session:
    """
    One run of a command over sources: what it found, how that is shown, and its trail.

    Args:
        command: ``check``. title: of CONTRACTS 21: ``Check``.
        files: the inputs as they were given.
        asked: the options.
        form: of ``--format``; None: the command has no such option.

    Attributes:
        human: is it shown to people?
        context_log: where the contexts of the command write their records, when it is said.
        outcome: the object of ``--format json``.
        shown: all diagnostics as they were emitted.
        modules: file of each module that was loaded.
        config: the run configuration, when somebody asked for one.
    """

    def __init__(
        self, command: str, title: str, files: Sequence[Path | str], asked: Asked, form: str | None = None
    ) -> None:
        if asked.output is not None and form == "json":
            raise click.UsageError("--format json and --output exclude each other")
        self.output = "outcome" if form == "json" else asked.output or "human"
        self.human = self.output == "human"
        self.command, self.title = command, title
        self.paths = {shown_name(file): Path(file) for file in files}
        self.inputs = [shown_name(file) for file in files]
        self.filter = asked.shown
        self.context_log: Path | FilteredSink | None = asked.audit
        self._policies = asked.policies
        self._names_ids = asked.wants_trail and asked.audit is None
        self.run_id = new_id()
        self.started_at = now()
        self.outcome = Outcome()
        self.shown: list[dict[str, Any]] = []
        self.modules: dict[str, str] = {}
        self.config: RunConfig | None = None
        self._warned: set[tuple[Any, ...]] = set()
        self._switch: _Switch | None = None
        self._stored: StoreFile | None = None
        self._level = asked.level
        self._status = "failure"  # until `close` says otherwise
        self.formatter = FormatterContext.from_environment()
        self.trail = self._make_trail(asked) if asked.wants_trail else None
        self._guard_contexts(asked)
        metadata = {} if self.trail is None else {name: self.trail.metadata[name] for name in COMMAND_KEYS}
        self.emitter = Emitter(self.trail, channel="cli", metadata=metadata, target=comparison())
        if self.formatter.problem is not None:
            self._warn(self.formatter.problem)

    def _make_trail(self, asked: Asked) -> Trail:
        sink: RecordSink
        if asked.audit is not None:
            sink = self._switch = _Switch(asked.audit)
        elif asked.store or asked.folder:
            sink = self._stored = Store(asked.store, asked.folder).open(
                self.inputs[0] if self.inputs else "", target=machine()
            )
        else:
            sink = ConsoleSink()
        if self._stored is not None:
            click.get_current_context().call_on_close(self._enter_store)
        if asked.policies is not None:
            sink = asked.policies.guard(sink)
        if asked.level != "full":
            sink = FilteredSink(AuditPolicy(level=asked.level), sink)
        return Trail(
            self.command, {"files": list(self.inputs)}, sink=sink, inputs=self.inputs, run_id=self.run_id,
            collections=self.formatter.change_set,
        )  # fmt: skip

    def _guard_contexts(self, asked: Asked) -> None:
        """With a policy the records of contexts go through it, too, wherever their log is; its rotated files do not stay for ever."""
        path = asked.audit or Path(os.environ.get("REML_EMBED_AUDIT_PATH", ""))
        if asked.policies is None or path == Path():
            return
        self._switch = self._switch or _Switch(path)
        self.context_log = asked.policies.guard(self._switch)
        closing = click.get_current_context().call_on_close
        closing(lambda: self._prune(path))
        named = os.environ.pop("REML_EMBED_AUDIT_PATH", None)  # the library would write there by itself
        if named is not None:
            closing(lambda: os.environ.__setitem__("REML_EMBED_AUDIT_PATH", named))

    def _prune(self, path: Path) -> None:
        if self._policies is not None:
            try:
                self._policies.policy.prune(path)
            except OSError as error:
                click.echo(f"warning: {error.filename}: {error.strerror}", err=True)

    def _warn(self, problem: Diagnostic) -> None:
        """Say what is wrong with the surroundings of the run, which goes on."""
        with suppress(AuditUnavailableError):  # a log that refuses is told of when the run wants to write to it
            self.add([problem])

    @property
    def appended(self) -> int:
        """Records that went to the file of ``--audit`` by themselves, not by way of a context."""
        return 0 if self._switch is None else self._switch.written

    @contextmanager
    def logging_into(self, context: Context) -> Iterator[None]:
        """While this is open, *context* writes the file of ``--audit``, and records go by way of it."""
        if self._switch is None or self._policies is not None:  # behind a policy each writes for itself
            yield
            return
        self._switch.context = ContextSink(context)
        try:
            yield
        finally:
            self._switch.context = None

    def context(self, **options: Any) -> Context:
        """A context whose records belong to the run, from its first on; a long command line is left to the records of the trail."""
        if self._switch is None or self.trail is None:
            return Context(**options)
        metadata = self.trail.metadata
        members = {name: metadata[name] for name in COMMAND_KEYS}
        if not command_fits(members):
            short = {name: metadata["cli.change_set"][name] for name in ("policy", "origin", "run_id")}
            items = metadata["cli.change_set"]["items"]
            members["cli.change_set"] = {**short, "items": [], "omitted": len(items)}
        return Context(**options, audit_command=members)

    @contextmanager
    def pipeline(self, file: Path | str) -> Iterator[Pipeline]:
        """The pipeline of one input; wrong usage that shows only later fails it, too."""
        program = click.get_current_context().find_root().info_name or "reml"
        line = shown_name(shlex.join([program, *sys.argv[1:]]))
        keys: dict[str, Any] = {
            "cli.run_id": self.run_id,
            "cli.command": self.command,
            "cli.phase": "Execution",
            "cli.program": program,
        }
        keys |= {"cli.command_line": line, **self.formatter.metadata()}
        with Pipeline(self.trail, shown_name(file), metadata=keys, change_set=self.formatter.merged()) as pipeline:
            try:
                yield pipeline
            except click.ClickException as problem:
                pipeline.fail("cli.usage", problem.format_message())
                raise

    def phase(self, since: int = 0) -> str:
        """Where the work ended, by the diagnostics from number *since* on."""
        return phase_of(self.shown[since:])

    def load(self, context: Context, file: Path) -> None:
        """
        Load a file as a module; what is worth knowing about it is shown.

        Raises:
            LoadError, …: it is wrong.
        """
        module = context.load(file)
        self.modules[module.name] = shown_name(file)
        self.add(
            context.diagnostics,
            text=context.diagnostics_text(),
            coloured=context.diagnostics_text(colour=True),
            file=file,
        )

    def add(
        self, diagnostics: Sequence[Diagnostic], *, text: str = "", coloured: str = "", file: Path | str | None = None,
        keep: Callable[[Diagnostic], bool] = lambda _: True,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """
        Show those diagnostics that are to *keep*, and record them: *text* and *coloured* are all of them as a compiler prints them, in
        their order; *file* is the source where the module of a diagnostic does not tell.
        """
        fallback = shown_name(file) if file is not None else self.inputs[-1] if self.inputs else ""
        plain, painted = self._chunks(text, diagnostics), self._chunks(coloured or text, diagnostics)
        rows = [row for row in zip(diagnostics, plain, painted, strict=True) if keep(row[0])]
        found, texts = list[dict[str, Any]](), list[tuple[str, str]]()
        for item, said, seen in rows:
            name = self.modules.get(item.module, fallback)
            shown = self.emitter.emit(item, file=name) | {"file": name}
            if self._is_repeated(shown):
                continue
            found.append(shown)
            if self.human and self.filter(shown):
                named = f"  = audit: {shown['audit']['audit_id']}\n" if self._names_ids else ""
                texts.append((f"{said}{named}", f"{seen}{named}"))
        if texts:
            complain("\n".join(said for said, _ in texts), "\n".join(seen for _, seen in texts))
        self.shown += found
        self.outcome.diagnostics += found
        return found

    def _is_repeated(self, shown: dict[str, Any]) -> bool:
        """Is it a warning that was shown before, and are equal ones merged? It is recorded in any case."""
        if shown["severity"] != "warning" or (self.config is not None and not self.config.merge_warnings):
            return False
        primary = shown.get("primary") or {}
        key = (shown["code"], shown["message"], shown["file"], primary.get("start_line"), primary.get("start_col"))
        if key in self._warned:
            return True
        self._warned.add(key)
        return False

    @staticmethod
    def _chunks(text: str, diagnostics: Sequence[Diagnostic]) -> list[str]:
        """The text of each diagnostic."""
        parts = [part.rstrip("\n") + "\n" for part in _CHUNK.split(text) if part.strip()]
        if len(parts) == len(diagnostics):
            return parts
        return [f"{item.severity}[{item.code}]: {item.message}\n" for item in diagnostics]

    def silence(self) -> None:
        """Print nothing: the command has an object of its own."""
        self.output, self.human = "own", False

    def refused(self, error: RemlError) -> None:
        """The context could not be made, or the log takes no records: say so without it."""
        self.trail = self.emitter.log = None
        self.outcome.ok = False
        diagnostic, text = as_diagnostic(error)
        self.add([diagnostic], text=text + "".join(f"\n  = note: {note}" for note in getattr(error, "__notes__", ())))

    def close(self, code: int, **stats: Any) -> None:
        """Print the object of the forms that are objects; *code* is how the command ends."""
        if self.output == "outcome":
            self.outcome.audit_count = self.appended + (self.outcome.audit_count if self._policies is None else 0)
            self.outcome.show()
        elif self.output in ("json", "lsp"):
            self._print_object(code, stats)
        self._status = "success" if code == 0 else "failure"

    def _enter_store(self) -> None:
        """The command is over, however it ended: its file goes into the index of the store."""
        if self._stored is not None:
            kept = self._stored.close(status=self._status, audit_level=self._level)
            if kept.warning:
                click.echo(f"warning: {kept.warning}", err=True)

    def _print_object(self, code: int, stats: dict[str, Any]) -> None:
        if self.config is not None:
            stats = {**stats, "run_config": self.config.json()}
        visible = [item for item in self.shown if self.filter(item)]
        if self.output == "json":
            facts = envelope(
                self.title, phase=self.phase(), run_id=self.run_id, diagnostics=visible, inputs=self.inputs,
                started_at=self.started_at, finished_at=now(), value=code, stats=stats,
            )  # fmt: skip
            show_line(facts)
            return
        for file in filter(None, dict.fromkeys([*self.inputs, *(item["primary"]["file"] for item in visible)])):
            found = [item for item in visible if item["primary"]["file"] == file]
            path = self.paths.get(file, Path(file))
            show_line(publish(path, found, _source(path)))


def machine() -> str:
    """The system that this runs on, as ``x86_64-linux``."""
    found = detected()
    return f"{found['arch']}-{found['os']}"


def _source(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
