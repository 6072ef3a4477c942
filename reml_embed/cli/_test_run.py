"""
``reml run test MODULE::FUNCTION``: run one function of the directory's modules as a test, and record the outcome as a stage check
(CONTRACTS 19.1, 19.2).

Which modules: the entries of ``[dsl.<name>]`` in ``reml.toml``; without a manifest every ``*.reml`` of the directory. MODULE is the name of
the section, the stem of the file, or the path in the module's header. Modules that it uses are loaded before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reml_embed import Context
from reml_embed.audit import now
from reml_embed.cli._effects import MANIFEST, EffectsAsked, guide_object
from reml_embed.cli._pipeline import Session
from reml_embed.cli._trail import Trail
from reml_embed.effects import EffectError, StageChecks, read_dsl, stage_of_capability

_TARGET = re.compile(r"(?P<module>[^:\s]+(?:::[^:\s]+)*)::(?P<function>\w+)")
_HEADER = re.compile(r"^\s*(?:pub\s+)?module\s+([\w.]+)", re.MULTILINE)
_USE = re.compile(r"^\s*(?:pub\s+)?use\s+([\w.]+)", re.MULTILINE)

#: Diagnostics that keep `effects.stage.promote_without_checks` open for the capability they are about.
EXPERIMENTAL = ("effects.stage.missing_opt_in", "effects.contract.stage_mismatch")


@dataclass(frozen=True, slots=True)
class Source:
    """A module that may be tested: *names* are all it may be called by, *path* of its header is first where there is one."""

    file: Path
    names: tuple[str, ...]
    header: str
    uses: tuple[str, ...]


def _source(file: Path, *names: str) -> Source:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"manifest.entry.missing: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""  # loading says what is wrong with it
    found = _HEADER.search(text)
    header = found[1] if found else ""
    return Source(file, tuple(dict.fromkeys(name for name in (header, *names, file.stem) if name)), header,
                  tuple(_USE.findall(text)))  # fmt: skip


def sources(more: Iterable[Path] = ()) -> list[Source]:
    """
    What may be tested here.

    Raises:
        EffectError: the manifest cannot be read.
    """
    if MANIFEST.is_file():
        found = [_source(entry.path, entry.name) for entry in read_dsl(MANIFEST)]
    else:
        found = [_source(file) for file in sorted(Path().glob("*.reml")) if file.is_file()]
    known = {item.file.resolve() for item in found}
    return found + [_source(file) for file in more if file.resolve() not in known]


def split(target: str) -> tuple[str, str]:
    """``async::collect_logs`` as module and function; ``a::b::f`` is function ``f`` of module ``a.b``."""
    found = _TARGET.fullmatch(target)
    if not found:
        raise click.UsageError(f"expected MODULE::FUNCTION, got `{target}`")
    return found["module"].replace("::", "."), found["function"]


def pick(module: str, known: Sequence[Source]) -> Source:
    """The module of that name."""
    found = [item for item in known if module in item.names]
    if len(found) == 1:
        return found[0]
    if not found:
        names = ", ".join(sorted({name for item in known for name in item.names})) or "none"
        raise click.UsageError(f"no module `{module}`; known: {names}")
    raise click.UsageError(f"`{module}` is more than one file: {', '.join(str(item.file) for item in found)}")


def in_order(wanted: Source, known: Sequence[Source]) -> list[Path]:
    """The file of *wanted* last, before it those of the modules that it uses, directly or not."""
    order: list[Path] = []
    open_items, seen = [(wanted, False)], set[Path]()
    while open_items:
        item, done = open_items.pop()
        if done:
            order.append(item.file)
            continue
        if item.file in seen:
            continue
        seen.add(item.file)
        open_items.append((item, True))
        open_items += [
            (other, False)
            for other in reversed(known)
            if other.header and any(use == other.header or use.startswith(f"{other.header}.") for use in item.uses)
        ]
    return order


class TestRun:
    """One run of a test: its files, and what it left."""

    __test__ = False  # not for pytest

    def __init__(self, target: str, modules: Sequence[Path]) -> None:
        self.target = target
        module, self.function = split(target)
        try:
            known = sources(modules)
            self.wanted = pick(module, known)
        except EffectError as error:
            raise click.ClickException(error.message) from None
        self.files = in_order(self.wanted, known)
        self.capabilities: list[str] = []

    def watch(self, context: Context) -> None:
        """After loading: which capabilities the handlers of the modules stand for."""
        self.capabilities = sorted({row["capability"] for row in context.handlers() if "capability" in row})


def _about(diagnostic: dict[str, Any]) -> str | None:
    effects = diagnostic.get("extensions", {}).get("effects", {})
    return effects.get("capability") if isinstance(effects, dict) else None


def record(run: TestRun, session: Session, trail: Trail, *, passed: bool) -> list[dict[str, Any]]:
    """
    Leave a record and a stage check for each capability that the tested modules use; the checks.

    Raises:
        EffectError, OSError: the file of the checks cannot be used.
    """
    checks = StageChecks()
    checks.read()  # a damaged file is told of before a record says that there is a check
    experimental = [item for item in session.shown if item["code"] in EXPERIMENTAL]
    ids = sorted({*run.capabilities, *filter(None, map(_about, experimental))})
    left = []
    known: list[str | None] = [id_ for id_ in ids if stage_of_capability(id_) is not None]
    for id_ in known or [None]:
        metadata: dict[str, Any] = {"test.target": run.target, "test.passed": passed}
        stage = stage_of_capability(id_) if id_ else None
        open_codes = sorted({item["code"] for item in experimental if _about(item) in (id_, None)})
        if id_ and stage:
            metadata |= {
                "capability.id": id_, "effect.capability": id_, "effect.manifest_path": None, "effect.provider": "core",
                "effect.stage.actual": stage, "effect.stage.required": f"at_least:{stage}", "effect.diagnostics.open": open_codes,
            }  # fmt: skip
        audit_id = trail.log("effects.stage.check", metadata=metadata, capability=id_)
        if id_ and stage:
            check = checks.record(
                id_, stage, tests_passed=passed, audit_id=audit_id, timestamp=now(), open_diagnostics=open_codes
            )
            left.append(check.to_json())
    return left


def verdict(run: TestRun, session: Session, printed: str, checks: list[dict[str, Any]], *, passed: bool) -> None:
    """Say how it went, to people; what the test printed is shown when it failed."""
    if not session.human:
        return
    if not passed and printed:
        click.echo(printed, nl=not printed.endswith("\n"))
    click.echo(f"test {run.target} ... {'ok' if passed else 'FAILED'}")
    for check in checks:
        open_codes = "".join(f", open: {code}" for code in check.get("open_diagnostics", ()))
        click.echo(f"  {check['id']} at {check['stage']}: {'passed' if passed else 'failed'}{open_codes}")


def debug_objects(events: list[dict[str, Any]], asked: EffectsAsked) -> dict[str, Any]:
    """For the forms that are objects: the applications, when they were asked for."""
    return {"effects_debug": [guide_object(event) for event in events]} if asked.debug else {}
