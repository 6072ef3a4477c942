"""
A bridge of the registry that is reloaded by `reload` (CONTRACTS 11, 12.1)::

    scene = BridgeReloader(bridges, "host.scene", state, parser=install)
    bridges.register_bridge(descriptor, reload=scene.reload, rollback=scene.rollback)
    bridges.acquire_bridge("host.scene").reload(diff)      # ReloadFailure: its cause is the ReloadError
"""

from __future__ import annotations

import os
import threading
from typing import Any

from reml_embed.audit.context import StructuredLog
from reml_embed.live.difference import Converters
from reml_embed.live.reload import Parser, reload, rollback
from reml_embed.live.state import ReloadState
from reml_embed.registry.bridge import RuntimeBridgeRegistry, records_itself


class BridgeReloader:
    """
    What reloads one bridge: contract, stage and log are those of the registry; records, diagnostics and state have one audit id.

    Args:
        registry: where the bridge is registered, or will be.
        id: of the bridge.
        state: what it runs with.
        parser: as in `reload`, and so are the others.
        converters: field → what makes a value of its new type.
        log: takes the flat lines.

    Attributes:
        state: what it runs with now.
    """

    def __init__(
        self, registry: RuntimeBridgeRegistry, id: str, state: ReloadState[Any], *, parser: Parser | None = None,  # noqa: A002
        converters: Converters | None = None, log: StructuredLog | str | os.PathLike[str] | None = None,
    ) -> None:  # fmt: skip
        self.state = state
        self._registry, self._id, self._parser, self._converters, self._log = registry, id, parser, converters, log
        self._lock = threading.Lock()

    def _options(self) -> dict[str, Any]:
        descriptor = self._registry.describe_bridge(self._id)
        return {
            "spec": descriptor.reload, "audit": self._registry.audit, "log": self._log, "parser": self._parser,
            "required": descriptor.requirement(self._registry.state(self._id).stage), "capability": descriptor.capability,
            "on_diagnostic": self._registry.tell,
        }  # fmt: skip

    @records_itself
    def reload(self, diff: object, *, audit_id: str | None = None) -> ReloadState[Any]:
        """As `reload`; the registry turns its errors into ReloadFailure."""
        with self._lock:
            self.state = reload(
                state=self.state, diff=diff, converters=self._converters, audit_id=audit_id, **self._options()
            )
            return self.state

    @records_itself
    def rollback(self) -> ReloadState[Any]:
        """As `rollback`."""
        with self._lock:
            self.state = rollback(self.state, **self._options())
            return self.state
