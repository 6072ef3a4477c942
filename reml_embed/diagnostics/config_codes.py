"""
Codes of configurations and manifests, in one place for everything that reads them.

Apart from `reml_embed.config`, so that whoever only names a code does not load what reads documents.
"""

from __future__ import annotations

from reml_embed.diagnostics.catalog import Entry, register_catalog

#: Code → severity (CONTRACTS 10.3; those of ``config.schema`` beside
#: ``version_incompatible`` are ours).
CODES: dict[str, str] = {
    "config.missing_field": "error",
    "config.invalid_stage": "error",
    "config.project.kind_unknown": "error",
    "config.project.version_invalid": "error",
    "config.build.optimize_unknown": "error",
    "config.manifest.io_error": "error",
    "config.manifest.parse_error": "error",
    "config.manifest.signature_serialization": "error",
    "config.manifest.capability_contract": "error",
    "config.manifest.type_mismatch": "error",
    "config.manifest.unknown_key": "warning",
    "manifest.entry.missing": "error",
    "config.dsl.not_found": "error",
    "config.dsl.export_not_found": "error",
    "config.dsl.unknown_kind": "error",
    "config.schema.version_incompatible": "error",
    "config.schema.invalid": "error",
    "config.schema.type_mismatch": "error",
    "config.schema.rule_violation": "error",
    "manifest.dsl.unknown_effect": "error",
    "manifest.dsl.effect_mismatch": "error",
    "manifest.dsl.category_mismatch": "error",
    "manifest.dsl.stage_mismatch": "error",
    "manifest.dsl.capability_missing": "error",
    "manifest.dsl.stage_prerelease_conflict": "error",
    "config.compat.trailing_comma": "error",
    "config.compat.unquoted_key": "error",
    "config.compat.duplicate_key": "error",
    "config.compat.number_format": "error",
    "config.compat.env_invalid": "error",
    "config.compat.unknown_profile": "error",
    "config.feature.mismatch": "error",
    "config.feature.unapproved": "error",
    "config.key.unquoted": "error",
    "config.change_set.invalid": "error",
    "config.change_set.conflict": "error",
    "config.render.unknown_name": "error",
    "cli.locale.default": "warning",
}


register_catalog("config", {code: Entry(default_severity=severity) for code, severity in CODES.items()})
