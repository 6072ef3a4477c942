"""
What changes while it runs (guide §2; CONTRACTS 11).

`reload` and `rollback` replace the configuration of a bridge after a checked difference; `LiveModule` replaces a module of Reml under
a program that goes on calling it. Must not know: commands.
"""

from reml_embed.live.bridge import BridgeReloader
from reml_embed.live.module import LiveModule
from reml_embed.live.reload import (
    ApplyFailed,
    AuditIncomplete,
    ReloadError,
    ReloadSpec,
    ReloadState,
    RollbackFailed,
    RollbackInfo,
    ValidationFailed,
    reload,
    rollback,
)

__all__ = [
    "ApplyFailed",
    "AuditIncomplete",
    "BridgeReloader",
    "LiveModule",
    "ReloadError",
    "ReloadSpec",
    "ReloadState",
    "RollbackFailed",
    "RollbackInfo",
    "ValidationFailed",
    "reload",
    "rollback",
]
