"""
Data at rest: what differs between two values, as one change set (CONTRACTS 7).

Comes in: plain data (what JSON and TOML can say). Goes out: change sets and their application. Must not know: files, commands.
"""

from reml_embed.data.change_set import (
    ChangeSet,
    ChangeSetError,
    Item,
    apply,
    compare,
    flatten,
    path_text,
    same,
    split_path,
    unflatten,
)

__all__ = [
    "ChangeSet",
    "ChangeSetError",
    "Item",
    "apply",
    "compare",
    "flatten",
    "path_text",
    "same",
    "split_path",
    "unflatten",
]
