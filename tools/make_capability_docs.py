"""
Write what docs/ says about capabilities: ``make_capability_docs.py [--check]``.

``docs/capabilities.md``: the built-in ones, from the library's own registry. ``docs/capability-errors.csv``: every refusal with its code,
from `reml_embed.registry.errors.MATRIX`. With ``--check`` nothing is written and the exit status is 1 when a page is not what it would
become. Needs the built package.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

from reml_embed.registry.capability import MATRIX, RUNTIME_CAPABILITIES, CapabilityRegistry

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by tools/make_capability_docs.py (`make docs`) from native/src/host/capability.def and reml_embed/registry/errors.py. -->\n"


def capabilities() -> str:
    """The built-in capabilities in the order of their registration, the errors, the names of the platform view."""
    registry = CapabilityRegistry()
    lines = [
        NOTE,
        "# Capabilities\n",
        "What the runtime may do. `reml capability list` prints the same as JSON, as it stands in a directory.\n",
        "| capability | stage | effects | handle | metadata |",
        "|---|---|---|---|---|",
    ]
    for row in registry.describe_all():
        handle = registry.get(row.id)
        metadata = ", ".join(f"`{name}={json.dumps(value)}`" for name, value in handle.metadata().items() if value)
        effects = ", ".join(f"`{tag}`" for tag in row.effect_scope)
        lines.append(f"| `{row.id}` | {row.stage} | {effects} | `{handle.kind}` | {metadata} |")
    lines += [
        "\n## Refusals\n",
        "The same table is `docs/capability-errors.csv`.\n",
        "| error | when | code | diagnostic | fields |",
        "|---|---|---|---|---|",
    ]
    for error in MATRIX:
        fields = ", ".join(f"`{name}`" for name in error.fields)
        lines.append(f"| `{error.variant}` | {error.meaning} | `{error.code}` | `{error.diagnostic}` | {fields} |")
    lines += ["\n## Names of the platform view\n", "| RuntimeCapability | capability |", "|---|---|"]
    lines += [
        f"| `{name}` | {f'`{id_}`' if id_ else 'a fact of the machine'} |" for name, id_ in RUNTIME_CAPABILITIES.items()
    ]
    lines.append("| `ExternalBridge(id)` | the bridge `id` |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """The matrix as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["variant", "code", "diagnostic", "fields", "meaning"])
    writer.writerows([row.variant, row.code, row.diagnostic, " ".join(row.fields), row.meaning] for row in MATRIX)
    return out.getvalue()


def main() -> int:
    """Command line."""
    stale = 0
    for name, text in {"capabilities.md": capabilities(), "capability-errors.csv": errors()}.items():
        page = ROOT / "docs" / name
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            print(f"docs/{name} is not what the code says: make docs", file=sys.stderr)
            stale = 1
            continue
        page.write_text(text, encoding="utf-8")
        print(f"wrote docs/{name}")
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
