"""
Configuration: manifests, schemas, differences and their application (guide 3, 4; CONTRACTS 10).

Comes in: JSON and TOML files. Goes out: problems with file, line and key path; change sets that can be reviewed; new files, whole or
not at all. The fixed way: `compare`, review, `apply_diff`, an audit id, reload. Must not know: commands, running contexts.
"""

from reml_embed.config.changes import (
    DataChangeSet,
    DifferenceError,
    Entry,
    apply_diff,
    apply_to_file,
    compare,
    plan,
    read_changes,
    render,
)
from reml_embed.config.documents import Document
from reml_embed.config.manifest import Manifest, bridge_stage, update_dsl_signature
from reml_embed.config.problems import ConfigError, Place, Problem
from reml_embed.config.profiles import PROFILES, Compatibility, resolve
from reml_embed.config.schema import (
    DataType,
    Field,
    MigrationPlan,
    Rule,
    Schema,
    SchemaDiff,
    diff,
    estimate_migration_cost,
    load,
    validate,
    validate_migration,
)
from reml_embed.diagnostics.config_codes import CODES

__all__ = [
    "CODES",
    "PROFILES",
    "Compatibility",
    "ConfigError",
    "DataChangeSet",
    "DataType",
    "DifferenceError",
    "Document",
    "Entry",
    "Field",
    "Manifest",
    "MigrationPlan",
    "Place",
    "Problem",
    "Rule",
    "Schema",
    "SchemaDiff",
    "apply_diff",
    "apply_to_file",
    "bridge_stage",
    "compare",
    "diff",
    "estimate_migration_cost",
    "load",
    "plan",
    "read_changes",
    "render",
    "resolve",
    "update_dsl_signature",
    "validate",
    "validate_migration",
]
