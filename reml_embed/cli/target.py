"""``reml target``, ``reml toolchain`` and ``reml build --emit-metadata`` (guide 0, 1.1; CONTRACTS 5.5)."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from reml_embed.audit.ids import now
from reml_embed.cli._common import PATH, SOURCE, complain
from reml_embed.cli._documents import show_json
from reml_embed.cli._effects import MANIFEST
from reml_embed.cli._trail import Trail, trail_option
from reml_embed.config import documents, manifest
from reml_embed.config.problems import ConfigError
from reml_embed.context import Context
from reml_embed.errors import LoadError, RemlError
from reml_embed.registry import target as targets
from reml_embed.registry import toolchain as toolchains
from reml_embed.registry.target import EnvError, Target, TargetError, TargetProblem

_form = click.option(
    "--format", "form", type=click.Choice(["human", "json"]), default="human", show_default=True, help="How to print."
)


def chosen(name: str | None) -> Target:
    """
    The profile of that name, else what the environment asks for.

    Raises:
        click.exceptions.Exit: 1, after it has said that there is no such profile; 2 for a variable or file that cannot be read.
    """
    try:
        return targets.load_profile(name) if name else targets.infer_target_from_env()
    except TargetError as error:
        _fail(error, 1)
    except (EnvError, ConfigError) as error:
        _fail(error, 2)
    raise AssertionError


def _fail(error: RemlError, code: int) -> None:
    click.echo(str(error), err=True)
    raise click.exceptions.Exit(code)


@click.group("target")
def target() -> None:
    """What code is made for, and what is here."""


@target.command("list")
@_form
def list_profiles(form: str) -> None:
    """List the profiles that are known."""
    rows = []
    for name in targets.profile_ids():
        try:
            found = targets.load_profile(name)
            rows.append({"id": name, "triple": found.triple, "capabilities": sorted(found.capabilities)})
        except ConfigError as error:
            click.echo(str(error), err=True)
    if form == "json":
        show_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['id']:22} {row['triple']:28} {len(row['capabilities'])} capabilities")


@target.command()
@click.argument("profile", required=False)
@_form
def show(profile: str | None, form: str) -> None:
    """Show a profile, or the target that the environment asks for."""
    shown = chosen(profile).json()
    if form == "json":
        show_json(shown)
        return
    for key, value in shown.items():
        text = (
            ", ".join(value)
            if isinstance(value, list)
            else json.dumps(value)
            if isinstance(value, dict | bool)
            else value
        )
        click.echo(f"{key:22} {text}".rstrip())


@target.command()
@click.argument("profile", required=False)
@click.option("--warn-only", is_flag=True, help="Mismatches are warnings, and exit with 0.")
@click.option(
    "--output", "form", type=click.Choice(["human", "json"]), default="human", show_default=True, help="How to print."
)
@click.option(
    "--metadata", type=PATH, help="What `reml build --emit-metadata` wrote: the linker's values are compared with it."
)
@click.option("--linker-triple", metavar="T", help="The triple that an external linker is given.")
@click.option("--data-layout", metavar="L", help="The data layout that it is given.")
@click.pass_context
def validate(
    command: click.Context, profile: str | None, warn_only: bool, form: str, metadata: Path | None, linker_triple: str | None,
    data_layout: str | None,
) -> None:  # fmt: skip
    """
    Compare what was asked for with what is here.

    Exits with 0, with 1 when there are errors, with 2 when a file or variable cannot be read.
    """
    requested, detected = chosen(profile), targets.host_target()
    if metadata is not None or linker_triple or data_layout:
        triple, layout = _linker(metadata, linker_triple, data_layout)
        problems = targets.check_linker(requested, triple, layout, strict=not warn_only)
    else:
        problems = targets.validate_target(requested, detected, strict=False if warn_only else None)
    severities = {problem.severity for problem in problems}
    status = "error" if "error" in severities and not warn_only else "warning" if severities else "ok"
    _record(problems)
    if form == "json":
        show_json(
            {
                "profile_id": requested.profile_id or None,
                "status": status,
                "requested": requested.json(),
                "detected": detected.json(),
                "diagnostics": [problem.json() for problem in problems],
            }
        )
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        click.echo(f"{requested.profile_id or requested.triple or 'target'}: {status}")
    command.exit(1 if status == "error" else 0)


def _linker(path: Path | None, triple: str | None, layout: str | None) -> tuple[str, str]:
    try:
        made: Any = documents.check(documents.read(path)).value if path is not None else {}
    except ConfigError as error:
        _fail(error, 2)
    return triple or str(made.get("llvm_triple", "")), layout or str(made.get("data_layout", ""))


def _record(problems: list[TargetProblem]) -> None:
    """Leave a record of each problem, where somebody asked for a log."""
    if problems and os.environ.get("REML_EMBED_AUDIT_PATH"):
        trail = Trail("target.validate")
        for problem in problems:
            trail.log("target.diagnostic", category="target", metadata=problem.metadata())


@target.command()
@click.argument("profile")
@click.option("--triple", help="Its triple; by default that of this machine.")
def scaffold(profile: str, triple: str | None) -> None:
    """Write profiles/PROFILE.toml, to be edited."""
    path = Path("profiles") / f"{profile}.toml"
    if Path(profile).name != profile or profile.startswith("."):
        raise click.BadParameter(f"`{profile}` is no name of a profile", param_hint="PROFILE")
    if path.exists():
        raise click.ClickException(f"{path} is there already")
    host = targets.host_target()
    names = "".join(f'    "{name}",\n' for name in sorted(host.capabilities))
    text = (
        f'[profile]\nid = "{profile}"\ntriple = "{triple or host.triple}"\nruntime_revision = "{host.runtime_revision}"\n'
        f'stdlib_version = "{host.stdlib_version}"\ncapabilities = [\n{names}]\n'
    )
    path.parent.mkdir(exist_ok=True)
    documents.replace_file(path, text.encode())
    click.echo(str(path))


@target.command()
@click.option("--write-cache", is_flag=True, help="Write the list to ~/.reml/targets/cache.json.")
def sync(write_cache: bool) -> None:
    """Read every profile again and show which ones changed since the cache was written."""
    path = Path.home() / ".reml" / "targets" / "cache.json"
    before = documents.read(path).value if path.is_file() else {}
    known = before.get("profiles", {}) if isinstance(before, dict) else {}
    found = {name: targets.hash_of(targets.load_profile(name).json()) for name in targets.profile_ids()}
    for name in sorted(found.keys() | known.keys()):
        state = (
            "gone"
            if name not in found
            else "new"
            if name not in known
            else "same"
            if found[name] == known[name]
            else "changed"
        )
        click.echo(f"{name:22} {state}")
    if write_cache:
        path.parent.mkdir(parents=True, exist_ok=True)
        documents.replace_file(path, (json.dumps({"synced_at": now(), "profiles": found}, indent=1) + "\n").encode())


# --- toolchains -------------------------------------------------------------------------------------------------------


@click.group("toolchain")
def toolchain() -> None:
    """What compiles for a target."""


@toolchain.command("list")
@_form
def list_installed(form: str) -> None:
    """List what is installed."""
    rows = []
    for folder, found in toolchains.installed():
        problem = toolchains.damage(found, folder)
        rows.append(
            {
                "profile_id": found.profile_id,
                "compiler": found.compiler,
                "last_verified_at": found.last_verified_at,
                "damage": problem,
            }
        )
    if form == "json":
        show_json(rows)
    else:
        for row in rows:
            click.echo(
                f"{row['profile_id']:22} {row['compiler']:10} verified {row['last_verified_at']} {row['damage'] or ''}".rstrip()
            )


def _install(profile: str) -> None:
    try:
        found, report = toolchains.install(chosen(profile))
    except ConfigError as error:
        _fail(error, 2)
    _show(report, "human")
    click.echo(f"{found.profile_id}: manifest in {toolchains.home() / found.profile_id}")
    if report.status == "error":
        raise click.exceptions.Exit(1)


@toolchain.command("install")
@click.argument("profile")
def install_one(profile: str) -> None:
    """Verify a profile and keep the proof."""
    _install(profile)


@toolchain.command()
def update() -> None:
    """Verify everything that is installed again."""
    for _, found in toolchains.installed():
        _install(found.profile_id)


@toolchain.command()
def prune() -> None:
    """Remove what is damaged, of another version, or whose profile is gone."""
    for name in toolchains.prune():
        click.echo(name)


def _show(report: toolchains.Report, form: str) -> None:
    if form == "json":
        show_json(report.json())
        return
    for check in report.checks:
        click.echo(f"  {'ok ' if check.ok else 'NO '} {check.name:20} {check.detail}")
    click.echo(f"{report.profile}: {report.status}")


@toolchain.command()
@click.argument("profile", required=False)
@click.option("--all", "every", is_flag=True, help="All profiles.")
@click.option(
    "--format", "form", type=click.Choice(["human", "json"]), default="human", show_default=True, help="How to print."
)
@trail_option
@click.pass_context
def verify(command: click.Context, profile: str | None, every: bool, form: str, audit: Path | None) -> None:
    """
    Compile a probe for PROFILE (else $REML_TARGET_PROFILE, else this machine's) and look at what comes out; the report is recorded.

    Exits with 0, with 1 when something does not fit, with 2 when it cannot be checked.
    """
    names = targets.profile_ids() if every else [profile or os.environ.get("REML_TARGET_PROFILE") or _host_profile()]
    trail = Trail("toolchain.verify", {"profiles": list(names)}, audit)
    failed = False
    for name in names:
        report = toolchains.verify(chosen(name))
        metadata = {
            "toolchain.profile": name,
            "toolchain.status": report.status,
            "toolchain.report": report.json(),
            "target.hash": report.hash,
        }
        trail.log("toolchain.verify", category="target", capability="core.runtime.bridge", metadata=metadata)
        _show(report, form)
        failed = failed or report.status == "error"
    command.exit(1 if failed else 0)


def _host_profile() -> str:
    triple = targets.host_triple()
    for name in ("desktop-x86_64", *targets.profile_ids()):
        if targets.load_profile(name).triple == triple:
            return name
    raise click.UsageError("no profile fits this machine; name one")


def _target_of_manifest() -> str | None:
    """``build.target`` of the manifest here, when the environment asks for nothing."""
    if any(name.startswith("REML_TARGET_") for name in os.environ) or not MANIFEST.is_file():
        return None
    found = manifest.read(MANIFEST)
    wrong = [one for one in found.problems if one.key_path.startswith("build") or found.document.value is None]
    if any(problem.severity == "error" for problem in wrong):
        _fail(ConfigError("ValidationError", wrong), 1)
    named = found.value.get("build", {}).get("target")
    return named if isinstance(named, str) else None


# --- building ---------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("files", nargs=-1, type=SOURCE)
@click.option(
    "--emit-metadata", "path", type=PATH, required=True, help="Where triple and data layout for external linkers go."
)
@click.option(
    "--target", "profile", metavar="PROFILE",
    help="Profile to build for; else what the environment asks for, else `build.target` of reml.toml.",
)  # fmt: skip
@click.pass_context
def build(command: click.Context, files: tuple[Path, ...], path: Path, profile: str | None) -> None:
    """
    Check FILES for a target, and write what linkers of that target must be given.

    Exits with 0; 1 when a file has errors or the target is unknown; 2 when a file cannot be read or written.
    """
    wanted = chosen(profile or _target_of_manifest())
    try:
        with Context(target=wanted.for_context()) as context:
            for file in files:
                context.load(file)
        made = targets.artifact_metadata(wanted)
        with suppress(OSError):  # what keeps it from being made is said by the next step
            path.parent.mkdir(parents=True, exist_ok=True)
        documents.replace_file(path, (json.dumps(made, indent=2) + "\n").encode())
    except LoadError as error:
        complain(error.text, error.coloured)
        command.exit(1)
    except TargetError as error:
        _fail(error, 1)
    except ConfigError as error:
        _fail(error, 2)
    click.echo(f"{path}: {made['llvm_triple']}, {made['hash'][:12]}")
