"""
What file operations refuse, and why (CONTRACTS 6.1, 6.3)::

    RemlError, OSError
    └── IoFailure                   code, codes, context, audit_id
        ├── IoError                 kind: IoErrorKind
        └── PathSecurityError       kind: PathSecurityKind; path, root, reason, policy, offending_path

`CODES` is the one list of codes, `REASONS` that of reasons.
"""

from __future__ import annotations

import enum
import errno
import re
from typing import TYPE_CHECKING, Any, Final

from reml_embed.diagnostics import Diagnostic, Entry, build, register_catalog
from reml_embed.diagnostics.catalog import entry_of
from reml_embed.errors import RemlError

if TYPE_CHECKING:
    from reml_embed.hostio.context import IoContext
    from reml_embed.hostio.paths import SecurityPolicy
    from reml_embed.registry.errors import CapabilityError


class IoErrorKind(enum.StrEnum):
    """What kind of failure it is."""

    NotFound = "NotFound"
    PermissionDenied = "PermissionDenied"
    ConnectionRefused = "ConnectionRefused"
    InvalidInput = "InvalidInput"
    TimedOut = "TimedOut"
    WriteZero = "WriteZero"
    Interrupted = "Interrupted"
    UnexpectedEof = "UnexpectedEof"
    OutOfMemory = "OutOfMemory"
    SecurityViolation = "SecurityViolation"
    UnsupportedPlatform = "UnsupportedPlatform"

    @property
    def code(self) -> str:
        """``core.io.not_found``."""
        return "core.io." + re.sub(r"(?<!^)([A-Z])", r"_\1", self.value).lower()


class PathSecurityKind(enum.StrEnum):
    """What a path was refused for."""

    InvalidInput = "InvalidInput"
    SandboxViolation = "SandboxViolation"
    SymlinkViolation = "SymlinkViolation"
    CapabilityDenied = "CapabilityDenied"
    Io = "Io"


#: Kind → its code, and the kind that ``io.error.kind`` names.
_SECURITY: Final = {
    PathSecurityKind.InvalidInput: ("core.path.security.invalid", IoErrorKind.InvalidInput),
    PathSecurityKind.SandboxViolation: ("core.path.security.violation", IoErrorKind.SecurityViolation),
    PathSecurityKind.SymlinkViolation: ("core.path.security.symlink", IoErrorKind.SecurityViolation),
    PathSecurityKind.CapabilityDenied: ("core.path.security.capability_denied", IoErrorKind.SecurityViolation),
    PathSecurityKind.Io: ("core.path.security.io_error", IoErrorKind.PermissionDenied),
}

#: Reason → the kind that has it.
REASONS: Final = {
    "invalid_path": PathSecurityKind.InvalidInput,
    "relative_path_denied": PathSecurityKind.InvalidInput,
    "traversal_detected": PathSecurityKind.SandboxViolation,
    "outside_allowed_root": PathSecurityKind.SandboxViolation,
    "symlink_denied": PathSecurityKind.SymlinkViolation,
    "symlink_absolute_target": PathSecurityKind.SymlinkViolation,
    "symlink_traversal": PathSecurityKind.SymlinkViolation,
    "symlink_inspection_failed": PathSecurityKind.SymlinkViolation,
    "capability_denied": PathSecurityKind.CapabilityDenied,
    "io_error": PathSecurityKind.Io,
}

#: Code → what it says, and its domain (CONTRACTS 6.3).
CODES: Final[dict[str, tuple[str, str]]] = {
    **{kind.code: (f"a file operation failed: {kind.value}", "runtime") for kind in IoErrorKind},
    "core.io.read_error": ("reading failed", "runtime"),
    "core.io.write_error": ("writing failed", "runtime"),
    "core.io.read_error.buffered": ("reading through a buffer failed", "runtime"),
    "core.io.watcher_error": ("watching files failed", "runtime"),
    "core.path.error": ("an operation on a path failed", "runtime"),
    "core.path.glob.invalid_pattern": ("a pattern of paths is none", "runtime"),
    "core.path.glob.io_error": ("a folder cannot be read while paths are matched", "runtime"),
    "core.path.glob.invalid_input": ("a pattern of paths cannot be used", "runtime"),
    "core.path.glob.unsupported_platform": ("paths cannot be matched on this system", "runtime"),
    "core.path.security.invalid": ("a path is none that a policy can judge", "security"),
    "core.path.security.violation": ("a path leaves its sandbox", "security"),
    "core.path.security.symlink": ("a symbolic link is not safe", "security"),
    "core.path.security.capability_denied": ("a path was refused, for the capability is not there", "security"),
    "core.path.security.io_error": ("a path cannot be inspected", "security"),
}

register_catalog("hostio", {
    code: Entry(message, "error", domain) for code, (message, domain) in CODES.items() if entry_of(code) is None
})  # fmt: skip

_KINDS: Final = {
    errno.ENOENT: IoErrorKind.NotFound, errno.EACCES: IoErrorKind.PermissionDenied, errno.EPERM: IoErrorKind.PermissionDenied,
    errno.EROFS: IoErrorKind.PermissionDenied, errno.ECONNREFUSED: IoErrorKind.ConnectionRefused, errno.ETIMEDOUT: IoErrorKind.TimedOut,
    errno.EINTR: IoErrorKind.Interrupted, errno.ENOMEM: IoErrorKind.OutOfMemory, errno.ENOSPC: IoErrorKind.WriteZero,
    errno.EDQUOT: IoErrorKind.WriteZero, errno.EFBIG: IoErrorKind.WriteZero, errno.ENOSYS: IoErrorKind.UnsupportedPlatform,
    errno.EOPNOTSUPP: IoErrorKind.UnsupportedPlatform, errno.EMFILE: IoErrorKind.OutOfMemory, errno.ENFILE: IoErrorKind.OutOfMemory,
}  # fmt: skip


class IoFailure(RemlError, OSError):
    """
    A file operation that failed.

    Attributes:
        code: ``core.io.read_error``.
        codes: *code* first, then the code of the kind where it is another.
        kind_name: ``io.error.kind``.
        context: what it was about; None before it is known.
        cause: the capability's refusal, where that is the reason.
        audit_id: of its record; None: it has none yet.
    """

    def __init__(self, message: str, *, code: str, kind_name: IoErrorKind, context: IoContext | None = None) -> None:
        super().__init__(message)
        self.code, self.kind_name, self.context = code, kind_name, context
        self.codes = tuple(dict.fromkeys((code, kind_name.code)))
        self.cause: CapabilityError | None = None
        self.audit_id: str | None = None

    def security(self) -> dict[str, Any]:
        """``security.*`` of records; empty when it is not about a policy."""
        return {}

    def told_of(self, context: IoContext) -> IoFailure:
        """The same failure as that of another operation, unrecorded."""
        made = type(self).__new__(type(self))
        made.args = self.args
        made.__dict__.update(self.__dict__, context=context, audit_id=None, cause=None)
        return made

    def metadata(self) -> dict[str, Any]:
        """All keys of its record but the base ones: ``io.*``, ``error.*``, ``security.*``."""
        return {
            **(self.context.metadata() if self.context else {}), **self.security(), "io.error.kind": self.kind_name.value,
            "error.code": self.code, "error.message": self.message, "error.severity": "error",
        }  # fmt: skip

    def extensions(self) -> dict[str, Any]:
        """``extensions.io``, ``extensions.effects``, ``extensions.security``: what `metadata` says, nested."""
        made: dict[str, Any] = {"io": {"error": {"kind": self.kind_name.value}}, "effects": {}}
        if self.context is not None:
            made = {"io": {**self.context.to_json(), **made["io"]}, "effects": self.context.effects_json()}
        if self.security():
            made["security"] = {key.removeprefix("security."): value for key, value in self.security().items()}
        return made

    def diagnostic(self, code: str | None = None) -> Diagnostic:
        """The diagnostic that tells of it; *code*: of another one that is about the same, as the capability's."""
        return build(
            code or self.code, self.message, extensions=self.extensions(), codes=[code] if code else list(self.codes),
            audit_metadata={key: value for key, value in self.metadata().items() if not key.startswith("error.")},
        )  # fmt: skip


class IoError(IoFailure):
    """
    A file operation failed.

    Attributes:
        kind: an `IoErrorKind`.
    """

    def __init__(
        self, kind: IoErrorKind, message: str, context: IoContext | None = None, *, code: str | None = None
    ) -> None:
        super().__init__(message, code=code or kind.code, kind_name=kind, context=context)
        self.kind = kind

    @classmethod
    def from_os(cls, error: OSError, context: IoContext, *, code: str | None = None) -> IoError:
        """From what the system answered; *code* is that of the operation."""
        fallback = IoErrorKind.InvalidInput
        if error.errno == errno.EIO:
            fallback = IoErrorKind.WriteZero if "write" in context.operation else IoErrorKind.UnexpectedEof
        kind = _KINDS.get(error.errno or 0, fallback)
        words = (error.strerror or str(error) or "failed").lower()
        made = cls(kind, f"{context.path or context.operation}: {words}", context, code=code)
        made.errno = error.errno
        return made


class PathSecurityError(IoFailure):
    """
    A path that is refused.

    Attributes:
        kind: a `PathSecurityKind`; `reason` has it.
        path: as it was given. root: of the sandbox, or None. reason: one of `REASONS`.
        policy: None where there is none. offending_path: the link, or where the path leads.
    """

    def __init__(
        self, reason: str, path: str, *, root: str | None = None, policy: SecurityPolicy | None = None,
        offending_path: str | None = None, detail: str | None = None, context: IoContext | None = None,
    ) -> None:  # fmt: skip
        self.kind = REASONS[reason]
        code, kind_name = _SECURITY[self.kind]
        words = detail or reason.replace("_", " ")
        super().__init__(f"{path}: {words}", code=code, kind_name=kind_name, context=context)
        self.path, self.root, self.reason, self.policy = path, root, reason, policy
        self.offending_path = path if offending_path is None else offending_path

    def security(self) -> dict[str, Any]:
        """``security.*`` of records."""
        made: dict[str, Any] = {"security.path": self.path, "security.reason": self.reason,
                                "security.offending_path": self.offending_path}  # fmt: skip
        if self.root is not None:
            made["security.root"] = self.root
        if self.policy is not None:
            made |= {"security.policy": self.policy.name, "security.policy_digest": self.policy.digest}
        if self.context is not None and self.context.capability is not None:
            made["security.capability"] = self.context.capability
        return made
