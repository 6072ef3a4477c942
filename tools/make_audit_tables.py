"""
Write what is made from the table of event kinds (reml_embed/audit/kinds.py): ``make_audit_tables.py [--check]``.

``docs/audit-kinds.md`` and ``reml_embed/audit/audit-record.schema.json``. With ``--check`` nothing is written and the exit status is 1 when a file is not what it
would become.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reml_embed.audit.kinds import (
    BASE_KEYS,
    BRIDGE_KIND,
    BRIDGE_REQUIRED,
    CHAIN_KEYS,
    CHANNELS,
    GROUPS,
    KINDS,
    VALUES,
    Kind,
)
from reml_embed.audit.schema import schema_text

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by tools/make_audit_tables.py (`make docs`); edit reml_embed/audit/kinds.py. -->\n"


def _codes(names: tuple[str, ...]) -> str:
    return " ".join(f"`{name}`" for name in names) or "–"


def _row(kind: Kind) -> str:
    meaning = kind.meaning.replace("|", "\\|")
    return f"| `{kind.name}` | {meaning} | {_codes(kind.required)} | {_codes(kind.optional)} | {kind.section} |"


def kinds_page() -> str:
    """docs/audit-kinds.md."""
    lines = [
        NOTE,
        "# Kinds of events\n",
        "What a record of each kind must carry, and what it may. A key is found as a dotted key of the metadata, along nested objects, or in the payload `event`;",
        "`event.x` is the member `x` of that payload. Kinds that are not named here are fine and demand nothing. `reml audit validate` checks logs against this table.\n",
        f"Every record has {_codes(BASE_KEYS)}; in a file also {_codes(CHAIN_KEYS)}. `audit.channel` is one of {_codes(CHANNELS)}.\n",
    ]
    category = None
    for kind in (*KINDS.values(), BRIDGE_KIND):
        if kind.category != category:
            category = kind.category
            lines += [
                f"\n## {category}\n",
                "| kind | tells that | required | may carry | contract |",
                "|---|---|---|---|---|",
            ]
        lines.append(_row(kind))
    lines += ["\n## Groups\n", "Whatever the kind: when one key of a group is there, all of it must be.\n"]
    lines += ["| group | when one of these is there | these are required | contract |", "|---|---|---|---|"]
    lines += [
        f"| {group.name} | {_codes(group.any_of)} | {_codes(group.required)} | {group.section} |" for group in GROUPS
    ]
    lines += [
        "\n`bridge.capability` is found in `envelope.capability`, too. A record of a verified stage (`capability_check`, `native.embed.call`) needs `effect.provider` and",
        f"`effect.manifest_path` as well; null is a value. An `ffi.call` that crossed the border (`ffi.status` is not `stubbed`) needs {_codes(BRIDGE_REQUIRED)}.\n",
        "## Values\n", "| key | one of |", "|---|---|",
        *(f"| `{key}` | {_codes(values)} |" for key, values in sorted(VALUES.items())),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Every file that is made, with its text."""
    return {
        ROOT / "docs" / "audit-kinds.md": kinds_page(),
        ROOT / "reml_embed" / "audit" / "audit-record.schema.json": schema_text(),
    }


def main() -> int:
    """Write, or compare."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not up to date: make docs")
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
