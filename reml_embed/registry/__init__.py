"""
What the runtime may do, administered from Python (CONTRACTS 4; DESIGN 2.6).

Comes in: descriptors, manifests, decisions of an operator. Goes out: verified handles, refusals, files below ``.reml``. The list itself and
its checks are the library's (``reml_capability.h``); nothing here knows what runs in a context.

`capability` is the front: registry, descriptors, handles, errors. `stage`, `security`, `conductor` are what it stands on; `state`,
`runtime_file` and `records` are the files. `bridge` is the registry of external runtimes; `bridge_shape` and `bridge_state` are its values
and files.
"""

from reml_embed.registry.bridge import RuntimeBridgeDescriptor, RuntimeBridgeRegistry
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.stage import StageId, StageRequirement

__all__ = ["CapabilityRegistry", "RuntimeBridgeDescriptor", "RuntimeBridgeRegistry", "StageId", "StageRequirement"]
