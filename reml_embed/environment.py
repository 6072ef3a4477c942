"""Changing environment variables, on record (CONTRACTS 3.2 ``env_mutation``, 5.3)."""

from __future__ import annotations

import os

from reml_embed.audit import AuditContext
from reml_embed.registry.target import EnvError


def set_env(key: str, value: str, audit: AuditContext, *, requested_by: str, scope: str = "process") -> str:
    """
    Set a variable of this process; the audit id of the record comes back.

    Raises:
        EnvError: ``InvalidEncoding``: no name, or a NUL in it; ``UnsupportedPlatform``: another scope than this process. The refusal is
            recorded, too.
    """
    return _change("set", key, value, audit, requested_by, scope)


def remove_env(key: str, audit: AuditContext, *, requested_by: str, scope: str = "process") -> str:
    """
    Remove a variable of this process; the audit id of the record comes back.

    Raises:
        EnvError: ``NotFound``, and as `set_env`.
    """
    return _change("remove", key, None, audit, requested_by, scope)


def _refusal(operation: str, key: str, value: str | None, scope: str) -> EnvError | None:
    if not key or "=" in key or "\0" in key or (value is not None and "\0" in value):
        return EnvError(
            "InvalidEncoding", key, "a name needs letters and no `=`; neither name nor value may hold NUL", scope
        )
    if scope != "process":
        return EnvError("UnsupportedPlatform", key, f"the scope {scope} cannot be changed from here", scope)
    if operation == "remove" and key not in os.environ:
        return EnvError("NotFound", key, "no such variable", scope)
    return None


def _change(operation: str, key: str, value: str | None, audit: AuditContext, requested_by: str, scope: str) -> str:
    """Record first, then change: a change without a record must not be."""
    refusal = _refusal(operation, key, value, scope)
    metadata = {"env.operation": operation, "env.key": key, "env.scope": scope, "requested_by": requested_by}
    metadata["env.status"] = "failed" if refusal else "ok"
    if refusal:
        metadata["env.failure_reason"] = refusal.kind
    audit_id = audit.log("env_mutation", category="env", metadata=metadata)
    if refusal:
        raise refusal
    if value is None:
        del os.environ[key]
    else:
        os.environ[key] = value
    return audit_id
