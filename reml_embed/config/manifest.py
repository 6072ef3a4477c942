"""
The manifest ``reml.toml``: what a project is, which DSLs it exports, what it asks of the runtime (CONTRACTS 10.1).

Comes in: a document. Goes out: a `Manifest`: checked plain data, and problems with their places. What a DSL's source says with
``@dsl_export`` is the truth: `check_sources` compares, `update_dsl_signature` copies.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reml_embed.config import documents
from reml_embed.config.documents import Document
from reml_embed.config.problems import ConfigError, Problem
from reml_embed.config.profiles import DEFAULTS, Compatibility, from_table, resolve
from reml_embed.data.change_set import Step, jsonable, type_tag

STAGES = ("experimental", "beta", "stable")
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\Z")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[a-z][a-z0-9_]*)*\Z")

#: Tables of the manifest: what each key holds. ``list`` means a list of texts, ``any`` is looked at by nobody here.
KEYS: dict[str, dict[str, str]] = {
    "project": {
        "name": "text", "version": "text", "authors": "list", "license": "text", "description": "text", "kind": "text",
        "stage": "stage", "capabilities": "list",
    },
    "dependencies.*": {
        "package": "text", "version": "text", "path": "text", "git": "text", "branch": "text", "tag": "text", "rev": "text",
        "default_features": "bool", "optional": "bool", "features": "list", "registry": "text",
    },
    "dsl.*": {
        "entry": "text", "exports": "any", "kind": "text", "expect_effects": "list", "expect_effects_stage": "stage",
        "allow_prerelease": "bool", "capabilities": "list", "summary": "text",
    },
    "build": {
        "target": "text", "targets": "list", "features": "list", "optimize": "text", "warnings_as_errors": "bool",
        "profiles": "any",
    },
    "registry": {"upstream": "text", "mirrors": "list", "auth": "any"},
    "run": {
        "left_recursion": "recursion", "packrat": "bool", "merge_warnings": "bool", "target": "any", "stream": "any",
    },
    "run.target": {
        **dict.fromkeys(
            ("os", "family", "arch", "abi", "vendor", "env", "profile_id", "triple", "runtime_revision"), "word"
        ),
        "stdlib_version": "version", "features": "words", "feature_requirements": "words", "capabilities": "any",
        "diagnostics": "bool", "extra": "pairs",
    },
    "run.stream": {
        "enabled": "bool", "demand_min_bytes": "count", "demand_preferred_bytes": "count", "chunk_size": "count",
        **dict.fromkeys(("checkpoint", "resume_hint", "flow", "stats"), "any"),
    },
    "runtime.gc": {
        "profile": "text", "policy": "text", "pause_target_ms": "number", "heap_max_bytes": "count",
        "heap_size_limit": "count", "collection_frequency": "text", "concurrent_collection": "bool",
        "memory_pressure_threshold": "number", "debug_mode": "bool",
    },
}  # fmt: skip
_SIGNATURE = {
    "name": "text", "category": "text", "allows_effects": "list", "requires_capabilities": "list", "capabilities": "list",
    "stage_bounds": "any", "version": "text",
}  # fmt: skip
_TOP = {"project", "dependencies", "dsl", "build", "registry", "config", "run", "bridge", "runtime", "profile", "async"}
KINDS = ("application", "library", "plugin", "tooling")
DSL_KINDS = ("language", "analyzer", "runtime_bridge", "plugin")
OPTIMIZE = ("debug", "release", "size", "speed")
LEFT_RECURSION = ("auto", "on", "off")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: Kinds of values: what is expected, and whether a value is that.
_FITS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("a text", lambda value: isinstance(value, str)),
    "bool": ("a bool", lambda value: isinstance(value, bool)),
    "count": ("a whole number from 0", lambda value: type(value) is int and value >= 0),
    "number": ("a number from 0", lambda value: _is_number(value) and value >= 0),
    "word": ("a text", lambda value: isinstance(value, str) and "\0" not in value),
    "words": ("a list of texts without commas", lambda value: isinstance(value, list) and all(map(is_name, value))),
    "pairs": (
        "a table of texts without commas",
        lambda value: isinstance(value, dict) and all(map(is_pair, value.items())),
    ),
    "version": ("a semantic version", lambda value: isinstance(value, str) and _SEMVER.match(value) is not None),
    "recursion": (f"one of {', '.join(LEFT_RECURSION)}", lambda value: value in LEFT_RECURSION),
}


def is_name(value: Any) -> bool:
    """A text that can be one of a list of names, as ``@cfg`` has them: not empty, without commas."""
    return isinstance(value, str) and value == value.strip(" ") != "" and not {",", "\0"} & set(value)


def is_pair(pair: tuple[Any, Any]) -> bool:
    """A name and a text that can be one of a list of pairs."""
    name, value = pair
    return is_name(name) and "=" not in name and (value == "" or is_name(value))


@dataclass(slots=True)
class Manifest:
    """
    A manifest that was read.

    Attributes:
        file: as it was named.
        value: plain data with ``project.dependencies`` moved to ``dependencies``, and default stages filled in.
        document: text and places.
        problems: what is wrong, in the order in which it was looked for.
    """

    file: str
    value: dict[str, Any]
    document: Document
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No errors."""
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def folder(self) -> Path:
        """Where it stands; entries are relative to it."""
        return Path(self.file).parent

    @property
    def project(self) -> dict[str, Any]:
        """Its ``[project]``; empty when there is none."""
        table = self.value.get("project")
        return table if isinstance(table, dict) else {}

    @property
    def dsls(self) -> dict[str, dict[str, Any]]:
        """Its ``[dsl.*]`` by name."""
        tables = self.value.get("dsl")
        return (
            {name: table for name, table in tables.items() if isinstance(table, dict)}
            if isinstance(tables, dict)
            else {}
        )

    def entry(self, name: str) -> Path | None:
        """The source file of a DSL; None: it names none."""
        given = self.dsls.get(name, {}).get("entry")
        return self.folder / given if isinstance(given, str) and given else None

    def compatibility(self, form: str) -> Mapping[str, Any]:
        """Its table ``config.compatibility.<form>``; empty when there is none."""
        table: Any = self.value
        for step in ("config", "compatibility", form):
            table = table.get(step, {}) if isinstance(table, dict) else {}
        return table if isinstance(table, dict) else {}

    def json(self) -> dict[str, Any]:
        """Plain data fit for JSON."""
        return {key: plain(item) for key, item in self.value.items()}


def plain(value: Any) -> Any:
    """Plain data fit for JSON: times are texts, numbers that JSON has not are null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else jsonable(value)


def read(path: str | os.PathLike[str], compatibility: Compatibility | None = None) -> Manifest:
    """
    Read and check a manifest; what is wrong with it is in `Manifest.problems`.

    Raises:
        ConfigError: ``IoError``: the file cannot be read.
    """
    document = documents.read(path, compatibility or resolve("toml").compatibility)
    return from_document(document)


def is_manifest(document: Document) -> bool:
    """Is it a manifest, and not any other document? Its name says so, or its table ``project``."""
    return Path(document.file).name == "reml.toml" or (
        document.format == "toml" and isinstance(document.value, dict) and "project" in document.value
    )


def from_document(document: Document) -> Manifest:
    """A manifest from a document that was read."""
    value = copy.deepcopy(document.value) if isinstance(document.value, dict) else {}
    manifest = Manifest(document.file, value, document, list(document.problems))
    if document.value is None:
        return manifest
    if not isinstance(document.value, dict):
        manifest.problems.append(document.problem("config.manifest.type_mismatch", "a manifest is a table"))
        return manifest
    _Checker(manifest).check()
    return manifest


def _shown(value: Any) -> str:
    """A value in a message: its type, and what is short."""
    tag = type_tag(value)
    return f"{tag} `{value}`" if tag in {"number", "string"} and len(str(value)) <= 40 else str(tag)


class _Checker:
    """All rules that need nothing but the manifest itself and the names of files."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest, self.value = manifest, manifest.value

    def wrong(self, code: str, message: str, path: tuple[Step, ...], **more: Any) -> None:
        self.manifest.problems.append(self.manifest.document.problem(code, message, path, **more))

    def check(self) -> None:
        self.shape()
        self.project()
        self.build()
        for name in self.manifest.dsls:
            self.dsl(name)
        self.target_capabilities()
        self.compatibility()

    def compatibility(self) -> None:
        """The tables ``config.compatibility.json`` and ``.toml``."""
        for form in DEFAULTS:
            table = self.named(("config", "compatibility", form))
            if table is not None:
                try:
                    from_table(table, form)
                except ConfigError as error:
                    for problem in error.problems:
                        path = tuple(problem.key_path.split("."))
                        self.wrong(problem.code, problem.message, path)

    def shape(self) -> None:
        for key in self.value:
            if key not in _TOP:
                self.wrong("config.manifest.unknown_key", "no such table in a manifest", (key,))
        project = self.value.get("project")
        if isinstance(project, dict) and "dependencies" in project:
            moved = project.pop("dependencies")
            if isinstance(moved, dict):
                self.value["dependencies"] = moved | (self.value.get("dependencies") or {})
        for pattern, keys in KEYS.items():
            self.tables(tuple(pattern.split(".")), keys)
        runtime = self.named(("runtime",))
        if runtime is not None and not isinstance(runtime.get("profile", ""), str):
            text = f"a text is expected, found {_shown(runtime.pop('profile'))}"
            self.wrong("config.manifest.type_mismatch", text, ("runtime", "profile"))

    def named(self, path: tuple[str, ...]) -> dict[str, Any] | None:
        """The table at *path*; what is none is reported and replaced by an empty one."""
        around: Any = self.value
        for step in path[:-1]:
            around = around.get(step) if isinstance(around, dict) else None
        if not isinstance(around, dict) or path[-1] not in around:
            return None
        table = around[path[-1]]
        if isinstance(table, dict):
            return table
        self.wrong("config.manifest.type_mismatch", f"a table is expected, found {type_tag(table)}", path)
        around[path[-1]] = {}
        return None

    def tables(self, path: tuple[str, ...], keys: Mapping[str, str]) -> None:
        """The table at *path*; ``*`` at its end: all tables that it holds."""
        table = self.named(path if path[-1] != "*" else path[:-1])
        if table is not None and path[-1] == "*":
            self.rows(table, keys, path[0])
        elif table is not None:
            self.table(table, keys, path)

    def rows(self, table: dict[str, Any], keys: Mapping[str, str], name: str) -> None:
        for key, row in table.items():
            if isinstance(row, dict):
                self.table(row, keys, (name, key))
            elif name != "dependencies" or not isinstance(row, str):
                self.wrong("config.manifest.type_mismatch", f"a table is expected, found {type_tag(row)}", (name, key))

    def table(self, table: dict[str, Any], keys: Mapping[str, str], path: tuple[Step, ...]) -> None:
        for key, value in list(table.items()):
            kind = keys.get(key)
            here = (*path, key)
            if kind is None:
                self.wrong("config.manifest.unknown_key", f"unknown key; known: {', '.join(keys)}", here)
            elif kind == "stage":
                if value not in STAGES:
                    self.wrong("config.invalid_stage", f"`{value}` is no stage; known: {', '.join(STAGES)}", here)
                    table[key] = STAGES[0] if not isinstance(value, str) else value
            elif kind == "list":
                if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                    self.wrong("config.manifest.type_mismatch", "a list of texts is expected", here)
                    table[key] = []
            elif kind in _FITS and not _FITS[kind][1](value):
                text = f"{_FITS[kind][0]} is expected, found {_shown(value)}"
                self.wrong("config.manifest.type_mismatch", text, here)
                del table[key]

    def project(self) -> None:
        project = self.value.get("project")
        if not isinstance(project, dict):
            self.wrong("config.missing_field", "`project` is missing", ())
            return
        for key in ("name", "version"):
            if not project.get(key):
                self.wrong("config.missing_field", f"`project.{key}` is missing", ("project",))
        version = project.get("version")
        if version and not _SEMVER.match(version):
            self.wrong("config.project.version_invalid", f"`{version}` is no semantic version", ("project", "version"))
        kind = project.get("kind", KINDS[0])
        if kind not in KINDS:
            self.wrong(
                "config.project.kind_unknown", f"`{kind}` is no kind; known: {', '.join(KINDS)}", ("project", "kind")
            )

    def build(self) -> None:
        chosen = self.value.get("build", {}).get("optimize", OPTIMIZE[0])
        if chosen not in OPTIMIZE:
            path = ("build", "optimize")
            self.wrong("config.build.optimize_unknown", f"`{chosen}` is unknown; known: {', '.join(OPTIMIZE)}", path)

    def dsl(self, name: str) -> None:
        table, path = self.manifest.dsls[name], ("dsl", name)
        entry = self.manifest.entry(name)
        if entry is None:
            self.wrong("config.missing_field", f"`dsl.{name}.entry` is missing", path)
        elif not entry.is_file():
            self.wrong("manifest.entry.missing", f"no file {table['entry']}", (*path, "entry"))
        kind = table.get("kind", DSL_KINDS[0])
        if kind not in DSL_KINDS:
            text = f"`{kind}` is no kind; known: {', '.join(DSL_KINDS)}"
            self.wrong("config.dsl.unknown_kind", text, (*path, "kind"))
        for number, tag in enumerate(table.get("expect_effects", [])):
            if not _TAG.match(tag):
                self.wrong("manifest.dsl.unknown_effect", f"`{tag}` is no effect", (*path, "expect_effects", number))
        if table.get("expect_effects") and "expect_effects_stage" not in table:
            table["expect_effects_stage"] = "stable"
        if (
            "pre" in str(self.manifest.project.get("version", "")).partition("-")[2]
            and table.get("allow_prerelease") is False
        ):
            text = "the project is a pre-release, which this DSL does not allow"
            self.wrong("manifest.dsl.stage_prerelease_conflict", text, (*path, "allow_prerelease"))
        self.exports(table, path)

    def exports(self, table: dict[str, Any], path: tuple[Step, ...]) -> None:
        rows = table.get("exports", [])
        if not isinstance(rows, list):
            self.wrong("config.manifest.type_mismatch", "a list of names or tables is expected", (*path, "exports"))
            table["exports"] = []
            return
        for number, row in enumerate(rows):
            here = (*path, "exports", number)
            if isinstance(row, dict) and isinstance(row.get("name"), str):
                signature = row.get("signature", {})
                if isinstance(signature, dict):
                    self.table(signature, _SIGNATURE, (*here, "signature"))
                    self.bounds(signature.get("stage_bounds", {}), (*here, "signature", "stage_bounds"))
                else:
                    self.wrong(
                        "config.manifest.signature_serialization", "a signature is a table", (*here, "signature")
                    )
            elif not isinstance(row, str):
                self.wrong("config.manifest.type_mismatch", "a name, or a table with a name, is expected", here)

    def bounds(self, bounds: Any, path: tuple[Step, ...]) -> None:
        if not isinstance(bounds, dict):
            self.wrong("config.manifest.signature_serialization", "stage bounds are a table", path)
            return
        for key, value in bounds.items():
            if key not in {"minimum", "current", "maximum"}:
                self.wrong("config.manifest.unknown_key", "unknown key; known: minimum, current, maximum", (*path, key))
            elif value not in STAGES:
                self.wrong("config.invalid_stage", f"`{value}` is no stage; known: {', '.join(STAGES)}", (*path, key))

    def target_capabilities(self) -> None:
        run = self.value.get("run")
        target: Any = run.get("target") if isinstance(run, dict) else None
        rows = target.get("capabilities", []) if isinstance(target, dict) else []
        if not isinstance(rows, list):
            path: tuple[Step, ...] = ("run", "target", "capabilities")
            self.wrong("config.manifest.type_mismatch", "a list of names or tables is expected", path)
            target["capabilities"] = rows = []
        for number, row in enumerate(rows):
            path = ("run", "target", "capabilities", number)
            if isinstance(row, str):
                continue
            if not isinstance(row, dict) or not isinstance(row.get("id"), str):
                self.wrong("config.manifest.capability_contract", "a capability needs an id", path)
            elif row.get("stage", "stable") not in STAGES:
                text = f"`{row['stage']}` is no stage; known: {', '.join(STAGES)}"
                self.wrong("config.invalid_stage", text, (*path, "stage"))


# --- signatures -------------------------------------------------------------------------------------------------------


def signature_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The signature that a manifest holds, from the arguments of ``@dsl_export``."""
    signature: dict[str, Any] = {}
    for key in ("name", "category", "version"):
        if key in metadata:
            signature[key] = metadata[key]
    if "category" not in signature and metadata.get("arguments"):
        signature["category"] = metadata["arguments"][0]
    for key in ("allows_effects", "requires_capabilities", "capabilities"):
        if key in metadata:
            signature[key] = sorted(map(str, metadata[key]))
    if isinstance(metadata.get("stage_bounds"), dict):
        order = ("minimum", "current", "maximum")
        signature["stage_bounds"] = {
            key: metadata["stage_bounds"][key] for key in order if key in metadata["stage_bounds"]
        }
    return signature


def update_dsl_signature(value: dict[str, Any], dsl: str, signature: Mapping[str, Any]) -> dict[str, Any]:
    """
    The manifest's data with the signature of one export put in (CONTRACTS 10.1).

    ``expect_effects_stage`` becomes the ``current`` of its stage bounds, else ``minimum``, else ``maximum``; its capabilities join
    those of the DSL, sorted, once each; the export of the same name is replaced. *value* stays as it is.

    Raises:
        KeyError: there is no such DSL.
    """
    changed = copy.deepcopy(value)
    table = changed["dsl"][dsl]
    bounds = signature.get("stage_bounds", {})
    stage = next((bounds[key] for key in ("current", "minimum", "maximum") if bounds.get(key)), None)
    if stage:
        table["expect_effects_stage"] = stage
    wanted = {*signature.get("requires_capabilities", ()), *signature.get("capabilities", ())}
    capabilities = sorted({*table.get("capabilities", []), *wanted})
    if capabilities:
        table["capabilities"] = capabilities
    row = {"name": signature["name"], "signature": dict(signature)}
    exports = table.setdefault("exports", [])
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in exports]
    if signature["name"] in names:
        exports[names.index(signature["name"])] = row
    else:
        exports.append(row)
    return changed


def bridge_stage(signature: Mapping[str, Any]) -> dict[str, str]:
    """``bridge.stage.*`` of a bridge from the stage bounds of its DSL (CONTRACTS 10.1); empty without bounds."""
    bounds = signature.get("stage_bounds", {})
    minimum, maximum = bounds.get("minimum"), bounds.get("maximum")
    if not minimum:
        return {}
    exact = minimum == maximum
    capability = next(iter(signature.get("requires_capabilities", [])), None)
    return {
        "bridge.stage.required": f"{'exact' if exact else 'at_least'}:{minimum}",
        "bridge.stage.actual": bounds.get("current", minimum),
        "bridge.stage.mode": "exact" if exact else "at_least",
        **({"bridge.stage.capability": capability} if capability else {}),
    }


# --- what the sources say ---------------------------------------------------------------------------------------------


def source_signatures(path: Path) -> dict[str, dict[str, Any]]:
    """
    Signatures of a source's ``@dsl_export`` declarations by export name.

    Raises:
        LoadError: the source is wrong. OSError: it cannot be read.
    """
    from reml_embed.context import Context  # noqa: PLC0415  (only here does a manifest need the runtime)

    with Context() as context:
        module = context.load(path)
        found = {}
        for export in module.exports.values():
            signature = signature_of(export.metadata)
            signature.setdefault("name", export.name)
            found[signature["name"]] = signature
    return found


def check_sources(manifest: Manifest) -> list[Problem]:
    """What the manifest says of its DSLs, against what their sources export."""
    from reml_embed.errors import LoadError  # noqa: PLC0415

    problems: list[Problem] = []
    for name in manifest.dsls:
        entry = manifest.entry(name)
        if entry is None or not entry.is_file():
            continue
        try:
            signatures = source_signatures(entry)
        except (LoadError, OSError) as error:
            text = f"{entry.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            problems.append(manifest.document.problem("config.dsl.not_found", text, ("dsl", name, "entry")))
            continue
        problems += _compare(manifest, name, signatures)
    return problems


def _compare(manifest: Manifest, name: str, signatures: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    document, table, path = manifest.document, manifest.dsls[name], ("dsl", name)
    problems: list[Problem] = []
    allowed = set(table.get("expect_effects", []))
    for number, row in enumerate(table.get("exports", [])):
        export = row.get("name") if isinstance(row, dict) else row
        here = (*path, "exports", number)
        found = signatures.get(str(export))
        if found is None:
            problems.append(document.problem("config.dsl.export_not_found", f"the source exports no `{export}`", here))
            continue
        if isinstance(row, dict) and isinstance(row.get("signature"), dict):
            problems += _compare_signature(document, row["signature"], found, (*here, "signature"))
        missing = set(found.get("requires_capabilities", [])) - set(table.get("capabilities", []))
        if missing:
            text = f"`{export}` requires {', '.join(sorted(missing))}"
            problems.append(document.problem("manifest.dsl.capability_missing", text, (*path, "capabilities")))
        beyond = set(found.get("allows_effects", [])) - allowed
        if table.get("expect_effects") and beyond:
            text = f"`{export}` may have {', '.join(sorted(beyond))}, too"
            problems.append(document.problem("manifest.dsl.effect_mismatch", text, (*path, "expect_effects")))
        bounds = found.get("stage_bounds", {})
        stage = next((bounds[key] for key in ("current", "minimum", "maximum") if bounds.get(key)), None)
        declared = table.get("expect_effects_stage")
        if stage and declared and stage != declared:
            text = f"`{export}` is {stage}, the manifest expects {declared}"
            problems.append(document.problem("manifest.dsl.stage_mismatch", text, (*path, "expect_effects_stage")))
    return problems


_DIFFERENCES = {
    "category": "manifest.dsl.category_mismatch",
    "allows_effects": "manifest.dsl.effect_mismatch",
    "requires_capabilities": "manifest.dsl.capability_missing",
    "stage_bounds": "manifest.dsl.stage_mismatch",
}


def _compare_signature(
    document: Document, written: Mapping[str, Any], found: Mapping[str, Any], path: tuple[Step, ...]
) -> Iterable[Problem]:
    for key, code in _DIFFERENCES.items():
        mine, theirs = written.get(key), found.get(key)
        if isinstance(mine, list) and isinstance(theirs, list):
            mine, theirs = sorted(map(str, mine)), sorted(map(str, theirs))
        if key in written and mine != theirs:
            shown = "nothing" if theirs is None else theirs
            yield document.problem(code, f"the source says {shown}, the manifest {mine}", (*path, key))


def with_sources(manifest: Manifest) -> dict[str, Any]:
    """The manifest's data with every signature as its source exports it: what ``remlc manifest dump`` shows."""
    value = manifest.value
    for name in manifest.dsls:
        entry = manifest.entry(name)
        if entry is None or not entry.is_file():
            continue
        listed = {row.get("name") if isinstance(row, dict) else row for row in manifest.dsls[name].get("exports", [])}
        for export, signature in source_signatures(entry).items():
            if export in listed:
                value = update_dsl_signature(value, name, signature)
    return {key: plain(item) for key, item in value.items()}
