"""
Run Reml programs inside a Python program::

    import reml_embed as reml

    with reml.Context() as context:

        @context.host("Host.price")
        def price(sku: str) -> float:
            return 2.5

        orders = context.load(Path("orders.reml"))
        total = orders["total"]            # looked up and checked once
        total(3, 2.5)                      # 7.5
        total.map(quantities, prices)      # whole arrays in one crossing
        context.run("main")                # the guide's entry point

Errors are below `RemlError`; `LoadError` prints like a compiler's. What Python calls a value of Reml: `reml_embed.values`.
"""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

from reml_embed import audit
from reml_embed._ffi import Function, abi_version, library_version, unicode_version
from reml_embed.audit import Report, Sink
from reml_embed.context import Context, Memory
from reml_embed.data.ref import RefHandle
from reml_embed.diagnostics import Diagnostic, Fixit, Note, Span, StackEntry
from reml_embed.errors import (
    AbiMismatchError,
    AuditMissingError,
    AuditUnavailableError,
    BusyError,
    CatalogError,
    DeniedError,
    ForkedError,
    HandleError,
    InvalidArgumentError,
    LimitError,
    LoadError,
    MissingExtraError,
    OutOfMemoryError,
    OwnershipError,
    PendingError,
    RemlError,
    RunError,
    SignatureError,
    StaleError,
    UnknownFunctionError,
    UnsupportedTargetError,
    WrongContextError,
    WrongThreadError,
)
from reml_embed.foreign import ForeignBuffer, ForeignPtr
from reml_embed.limits import Limits
from reml_embed.metrics import FfiMetrics, process_metrics, reset_metrics
from reml_embed.module import Export, Module
from reml_embed.program import Program
from reml_embed.results import BorrowedResult, TransferredResult
from reml_embed.values import (
    Duration,
    Err,
    FutureProxy,
    Ok,
    Opaque,
    Proxy,
    Record,
    ScriptRef,
    Some,
    StructProxy,
    TableProxy,
    Variant,
    VecProxy,
)

try:
    __version__ = _version("reml-embed")
except _PackageNotFoundError:  # a source tree that is not installed
    __version__ = library_version()

__all__ = [
    "AbiMismatchError",
    "AuditMissingError",
    "AuditUnavailableError",
    "BorrowedResult",
    "BusyError",
    "CatalogError",
    "Context",
    "DeniedError",
    "Diagnostic",
    "Duration",
    "Err",
    "Export",
    "FfiMetrics",
    "Fixit",
    "ForeignBuffer",
    "ForeignPtr",
    "ForkedError",
    "Function",
    "FutureProxy",
    "HandleError",
    "InvalidArgumentError",
    "LimitError",
    "Limits",
    "LoadError",
    "Memory",
    "MissingExtraError",
    "Module",
    "Note",
    "Ok",
    "Opaque",
    "OutOfMemoryError",
    "OwnershipError",
    "PendingError",
    "Program",
    "Proxy",
    "Record",
    "RefHandle",
    "RemlError",
    "Report",
    "RunError",
    "ScriptRef",
    "SignatureError",
    "Sink",
    "Some",
    "Span",
    "StackEntry",
    "StaleError",
    "StructProxy",
    "TableProxy",
    "TransferredResult",
    "UnknownFunctionError",
    "UnsupportedTargetError",
    "Variant",
    "VecProxy",
    "WrongContextError",
    "WrongThreadError",
    "__version__",
    "abi_version",
    "audit",
    "library_version",
    "process_metrics",
    "reset_metrics",
    "unicode_version",
]
