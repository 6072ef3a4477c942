"""
Diagnostics: one shape for errors, the command line, editors and the audit log (CONTRACTS 21).

``shape``: what the library says (LANGUAGE 9.1), as pure values. ``catalog``: which codes there are. ``emission``: ids, times and
records, set when a diagnostic is shown. ``filters``: which ones are shown. ``lsp``: how editors read them. ``envelope``: what a
command found, as one JSON object.
"""

from __future__ import annotations

from reml_embed.diagnostics import config_codes as _config_codes  # noqa: F401  (known before any other part names one)
from reml_embed.diagnostics.catalog import Entry, register_catalog
from reml_embed.diagnostics.emission import Emitter, build, problems
from reml_embed.diagnostics.shape import Diagnostic, Fixit, Json, Note, Span, StackEntry, from_json, parse, plain

__all__ = [
    "Diagnostic",
    "Emitter",
    "Entry",
    "Fixit",
    "Json",
    "Note",
    "Span",
    "StackEntry",
    "build",
    "from_json",
    "parse",
    "plain",
    "problems",
    "register_catalog",
]
