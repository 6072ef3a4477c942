"""
What may cross into a foreign library, and how: types, signatures, calling conventions, the ABI that each target expects (CONTRACTS 2.2–2.4).

Comes in: texts such as ``(F64, ConstPtr<u8>) -> I32``. Goes out: `Signature`, `CallingConvention`, `Abi`. Nothing here opens a library.
"""

from __future__ import annotations

import enum
import platform as machine_facts
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from reml_embed.errors import RemlError

if TYPE_CHECKING:
    from reml_embed.registry.target import TargetProblem


class FfiErrorKind(enum.Enum):
    """What went wrong with a foreign call; `code` is what diagnostics and records say."""

    LibraryNotFound = "ffi.library_not_found"
    SymbolNotFound = "ffi.contract.symbol_missing"
    InvalidSignature = "ffi.signature.invalid"
    CallFailed = "ffi.call.failed"
    SecurityViolation = "capability.security.violation"
    UnsupportedPlatform = "ffi.unsupported_platform"
    InvalidArgument = "ffi.wrap.invalid_argument"
    NullReturn = "ffi.wrap.null_return"
    OwnershipViolation = "ffi.wrap.ownership_violation"

    @property
    def code(self) -> str:
        """The code of records and diagnostics."""
        return self.value


class BridgeErrorKind(enum.Enum):
    """Which step of the audited call refused it."""

    Capability = "Capability"
    Security = "Security"
    Audit = "Audit"
    Contract = "Contract"


class FfiError(RemlError):
    """
    A foreign call, or what leads to one, failed.

    Attributes:
        kind: an `FfiErrorKind`.
        code: as records have it; more special than the kind's where there is one (``ffi.call.executor_missing``).
        symbol, library: of what was called; empty when not known.
        problems: diagnostics of the target that belong to it.
    """

    default_label = "error"

    def __init__(
        self, kind: FfiErrorKind, message: str, *, code: str | None = None, symbol: str = "", library: str = "",
        problems: tuple[TargetProblem, ...] = (),
    ) -> None:  # fmt: skip
        self.kind = kind
        self.problems = problems
        self.code = code or kind.code
        self.symbol = symbol
        self.library = library
        super().__init__(f"{self.code}: {message}")


class BridgeError(RemlError):
    """
    A step before the call refused it: nothing was called. The cause (`__cause__`) is the step's own error, if it has one.

    Attributes:
        kind: a `BridgeErrorKind`.
        code: as records have it: ``ffi.contract.unsupported_abi``.
        symbol, library: of what was not called.
    """

    default_status, default_label = 12, "denied"

    def __init__(self, kind: BridgeErrorKind, code: str, message: str, *, symbol: str = "", library: str = "") -> None:
        self.kind = kind
        self.code = code
        self.symbol = symbol
        self.library = library
        super().__init__(f"{code}: {message}")


# --- types --------------------------------------------------------------------------------------------------------------


class FfiType(enum.Enum):
    """What an argument or a result is in C."""

    Void = "void"
    Bool = "_Bool"
    I8 = "int8_t"
    I16 = "int16_t"
    I32 = "int32_t"
    I64 = "int64_t"
    U8 = "uint8_t"
    U16 = "uint16_t"
    U32 = "uint32_t"
    U64 = "uint64_t"
    F32 = "float"
    F64 = "double"
    Ptr = "void *"
    ConstPtr = "const void *"
    Struct = "struct"
    Enum = "enum"
    Fn = "function"

    @property
    def is_integer(self) -> bool:
        """I8 … U64, and Enum."""
        return self.name in _INTEGERS or self is FfiType.Enum

    @property
    def is_pointer(self) -> bool:
        """Ptr, ConstPtr and Fn."""
        return self in (FfiType.Ptr, FfiType.ConstPtr, FfiType.Fn)


_INTEGERS = {f"{sign}{bits}": (sign == "I", bits) for sign in "IU" for bits in (8, 16, 32, 64)}

#: Names that Reml has for them (LANGUAGE 4.1).
_REML_NAMES = {
    "()": FfiType.Void, "Unit": FfiType.Void, "Int": FfiType.I64, "UInt": FfiType.U64, "Float": FfiType.F64,
    "bool": FfiType.Bool, "isize": FfiType.I64, "usize": FfiType.U64,
    **{kind.name.lower(): kind for kind in FfiType if kind.name in _INTEGERS or kind.name in ("F32", "F64")},
}  # fmt: skip
_NAMES = {kind.name: kind for kind in FfiType} | _REML_NAMES


@dataclass(frozen=True, slots=True)
class TypeRef:
    """
    A type in a signature.

    Attributes:
        kind: which.
        detail: of Struct and Enum: their C name; of Ptr, ConstPtr and Fn: what they point to, as it was written (not looked at).
    """

    kind: FfiType
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind.name}<{self.detail}>" if self.detail else self.kind.name

    @property
    def c_name(self) -> str:
        """The type as cffi reads it."""
        if self.kind in (FfiType.Struct, FfiType.Enum):
            return self.detail
        return "void *" if self.kind is FfiType.Fn else self.kind.value

    def range(self) -> tuple[int, int]:
        """Least and greatest value of an integer type."""
        signed, bits = _INTEGERS.get(self.kind.name, (True, 32))
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def _invalid(text: str, why: str) -> FfiError:
    return FfiError(FfiErrorKind.InvalidSignature, f"{why} in `{text}`")


def _parse_type(text: str, whole: str) -> TypeRef:
    word = text.strip()
    match = re.fullmatch(r"([A-Za-z]\w*|\(\))\s*(?:<(.+)>|\((\w+)\))?", word, re.DOTALL)
    kind = _NAMES.get(match[1]) if match else None
    if match is None or kind is None:
        raise _invalid(whole, f"no type `{word}`")
    detail = (match[2] or match[3] or "").strip()
    if detail and not (kind.is_pointer or kind in (FfiType.Struct, FfiType.Enum)):
        raise _invalid(whole, f"`{kind.name}` takes no argument")
    if kind in (FfiType.Struct, FfiType.Enum) and not re.fullmatch(r"(?:struct |enum )?[A-Za-z_]\w*", detail):
        raise _invalid(whole, f"`{kind.name}` needs the name of a C type: {kind.name}<div_t>")
    return TypeRef(kind, detail)


def _split(text: str, whole: str) -> list[str]:
    """Parts between commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)" and text[place - 1 : place] != "-")
        if depth < 0:
            raise _invalid(whole, "unbalanced brackets")
        if letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    if depth:
        raise _invalid(whole, "unbalanced brackets")
    return [*parts, text[start:]] if text.strip() else []


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters and result of a foreign function; `variadic`: further arguments may follow."""

    parameters: tuple[TypeRef, ...]
    result: TypeRef
    variadic: bool = False

    @classmethod
    def parse(cls, text: str) -> Signature:
        """
        From ``(F64) -> F64``, ``(ConstPtr<u8>, ...) -> I32``, or as Reml writes it: ``(x: f64, p: Ptr<u8>) -> ()``; ``fn`` may stand before it, and
        effects behind it.

        Raises:
            FfiError: InvalidSignature.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected a signature, got {type(text).__name__}")
        match = re.fullmatch(r"\s*(?:fn\s*)?\((.*)\)\s*->\s*(\(\)|.+?)\s*(?:!\s*\{.*\})?\s*", text, re.DOTALL)
        if match is None:
            raise _invalid(text, "expected `(parameters) -> result`")
        parts = [part.strip() for part in _split(match[1], text)]
        variadic = bool(parts) and parts[-1] == "..."
        if variadic:
            parts.pop()
            if not parts:
                raise FfiError(
                    FfiErrorKind.InvalidSignature,
                    "`...` stands behind at least one parameter",
                    code="ffi.varargs.invalid",
                )
        parameters = tuple(_parse_type(re.sub(r"^[a-z_]\w*\s*:", "", part), text) for part in parts)
        if any(parameter.kind is FfiType.Void for parameter in parameters):
            raise _invalid(text, "a parameter cannot be Void")
        return cls(parameters, _parse_type(match[2], text), variadic)

    def __str__(self) -> str:
        parts = [str(parameter) for parameter in self.parameters] + ["..."] * self.variadic
        return f"({', '.join(parts)}) -> {self.result}"

    @property
    def c_pointer(self) -> str:
        """The type of a pointer to such a function, as cffi reads it."""
        parts = [parameter.c_name for parameter in self.parameters] + ["..."] * self.variadic
        return f"{self.result.c_name}(*)({', '.join(parts) or 'void'})"


# --- calling conventions and ABIs -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallingConvention:
    """How arguments travel. The known ones are constants of the class; others are `custom`."""

    name: str
    is_custom: bool = False

    C: ClassVar[CallingConvention]
    StdCall: ClassVar[CallingConvention]
    FastCall: ClassVar[CallingConvention]
    SysV: ClassVar[CallingConvention]
    WasmSystemV: ClassVar[CallingConvention]

    @classmethod
    def custom(cls, name: str) -> CallingConvention:
        """One that is not known here."""
        return cls(name, is_custom=True)

    @classmethod
    def parse(cls, text: str) -> CallingConvention:
        """By its name, in any case and with or without ``_``; an unknown one is custom."""
        return _CONVENTIONS.get(text.replace("_", "").lower()) or cls.custom(text)

    def __str__(self) -> str:
        return f"Custom({self.name})" if self.is_custom else self.name


CallingConvention.C = CallingConvention("C")
CallingConvention.StdCall = CallingConvention("StdCall")
CallingConvention.FastCall = CallingConvention("FastCall")
CallingConvention.SysV = CallingConvention("SysV")
CallingConvention.WasmSystemV = CallingConvention("WasmSystemV")
_CONVENTIONS = {
    name.lower(): getattr(CallingConvention, name) for name in ("C", "StdCall", "FastCall", "SysV", "WasmSystemV")
} | {"systemv": CallingConvention.SysV, "win64": CallingConvention.StdCall, "cdecl": CallingConvention.C}


@dataclass(frozen=True, slots=True)
class Abi:
    """A row of CONTRACTS 2.4."""

    target: str
    expected_abi: str
    platform: str
    convention: CallingConvention

    @property
    def arch(self) -> str:
        """CPU word."""
        return self.target.partition("-")[0]


#: CONTRACTS 2.4.
ABIS = (
    Abi("x86_64-unknown-linux-gnu", "system_v", "linux-x86_64", CallingConvention.SysV),
    Abi("x86_64-pc-windows-msvc", "msvc", "windows-msvc-x64", CallingConvention.StdCall),
    Abi("x86_64-pc-windows-gnu", "gnu", "windows-gnu-x64", CallingConvention.StdCall),
    Abi("arm64-apple-darwin", "darwin_aapcs64", "macos-arm64", CallingConvention.SysV),
    Abi("aarch64-unknown-linux-gnu", "aapcs64", "linux-arm64", CallingConvention.SysV),
)


def find_abi(platform: str | Mapping[str, object] | Abi) -> Abi:
    """
    The row of a platform: its id (``linux-x86_64``), its triple, or a mapping with ``platform``, ``target`` or ``triple``.

    Raises:
        FfiError: UnsupportedPlatform.
    """
    if isinstance(platform, Abi):
        return platform
    names = _names_of(platform) if isinstance(platform, Mapping) else [platform]
    for row in ABIS:
        if any(name in (row.platform, row.target) for name in names):
            return row
    shown = ", ".join(str(name) for name in names) or "none given"
    raise FfiError(
        FfiErrorKind.UnsupportedPlatform,
        f"unknown platform `{shown}`; known: {', '.join(row.platform for row in ABIS)}",
    )


def _names_of(platform: Mapping[str, object]) -> list[object]:
    return [platform[key] for key in ("platform", "target", "triple") if platform.get(key)]


def host_abi() -> Abi:
    """
    The row of the machine we run on.

    Raises:
        FfiError: UnsupportedPlatform.
    """
    cpu = {"amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}.get(
        machine_facts.machine().lower(), machine_facts.machine()
    )
    system = {"darwin": "macos", "win32": "windows-msvc"}.get(sys.platform, sys.platform)
    return find_abi(f"{system}-{'x64' if system.startswith('windows') and cpu == 'x86_64' else cpu}")


class Facts(Protocol):
    """What is known of a platform: a `PlatformInfo`, or a `Target`."""

    @property
    def os(self) -> str:
        """``Windows``, in any case."""

    @property
    def arch(self) -> str:
        """``X64``, ``x86_64``."""

    @property
    def family(self) -> str:
        """``Unix``, ``Windows``, ``Wasm``, in any case."""


def resolve_calling_convention(
    platform: str | Mapping[str, object] | Abi | Facts, metadata: Mapping[str, object]
) -> CallingConvention:
    """
    How a function is called on *platform* (the guide's §1.1).

    Args:
        platform: what `platform_info` answers, or see `find_abi`.
        metadata: what is declared of the function, all optional: ``abi``; ``callconv``, which must be followed; ``preferred_convention``,
            which is followed where the platform has it.

    Returns: the declared convention, or the platform's when none is declared.

    Raises:
        FfiError: UnsupportedPlatform, with ``target.config.unsupported_value`` among its problems.
        BridgeError: the declared ABI is not the platform's (``ffi.contract.unsupported_abi``).
    """
    if isinstance(platform, str | Mapping | Abi):
        found = _convention_of_names(platform, metadata)
    else:
        found = _convention_of_facts(platform)
    declared = metadata.get("callconv")
    if declared is not None:
        if not isinstance(declared, str) or not declared:
            raise FfiError(FfiErrorKind.InvalidArgument, f"callconv must be a name, got {declared!r}")
        return CallingConvention.parse(declared)
    wish = metadata.get("preferred_convention")
    preferred = CallingConvention.parse(wish) if isinstance(wish, str) else wish
    return preferred if isinstance(preferred, CallingConvention) and preferred in _LEGAL[found] else found


#: What the conventions of platforms leave free.
_LEGAL: dict[CallingConvention, tuple[CallingConvention, ...]] = {
    CallingConvention.StdCall: (CallingConvention.StdCall, CallingConvention.FastCall, CallingConvention.C),
    CallingConvention.SysV: (CallingConvention.SysV, CallingConvention.C),
    CallingConvention.WasmSystemV: (CallingConvention.WasmSystemV, CallingConvention.C),
}


def _convention_of_names(
    platform: str | Mapping[str, object] | Abi, metadata: Mapping[str, object]
) -> CallingConvention:
    from reml_embed.registry.target import TRIPLES  # noqa: PLC0415  (targets are above types)

    try:
        row = find_abi(platform)
    except FfiError as error:
        names = _names_of(platform) if isinstance(platform, Mapping) else [platform]
        for name in names:
            if name in TRIPLES:  # a target that has no row of CONTRACTS 2.4
                return _convention_of_facts(TRIPLES[str(name)])
        raise _unsupported(str(error), {"triple": str(names[0]) if names else ""}) from None
    check_abi(metadata.get("abi"), row)
    return row.convention


def _convention_of_facts(facts: Facts) -> CallingConvention:
    system, arch, family = facts.os.lower(), facts.arch.lower(), facts.family.lower()
    if family == "unix":
        return CallingConvention.SysV
    if family == "wasm":
        return CallingConvention.WasmSystemV
    if system == "windows" and arch in {"x64", "x86_64"}:
        return CallingConvention.StdCall
    raise _unsupported(f"no calling convention is known for {facts.os} on {facts.arch}", {"os": system, "arch": arch})


def _unsupported(message: str, requested: dict[str, str]) -> FfiError:
    from reml_embed.registry.target import TargetProblem, host_target  # noqa: PLC0415  (targets are above types)

    text = message.removeprefix(f"{FfiErrorKind.UnsupportedPlatform.code}: ")
    problem = TargetProblem("target.config.unsupported_value", text, requested=requested, detected=host_target().json())
    return FfiError(FfiErrorKind.UnsupportedPlatform, text, problems=(problem,))


def check_abi(declared: object, row: Abi, *, symbol: str = "", library: str = "") -> None:
    """
    Hold a declared ABI against the expected one; None agrees with all.

    Raises:
        BridgeError: Contract, ``ffi.contract.unsupported_abi``.
    """
    if declared is None or declared == row.expected_abi:
        return
    raise BridgeError(
        BridgeErrorKind.Contract, "ffi.contract.unsupported_abi",
        f"declared {declared}, expected {row.expected_abi} on {row.platform}", symbol=symbol, library=library,
    )  # fmt: skip


# --- effects --------------------------------------------------------------------------------------------------------------

#: Effects per style of call (CONTRACTS 2.3), sorted.
EFFECTS: dict[str, tuple[str, ...]] = {
    "sync": ("ffi", "unsafe"),
    "blocking": ("ffi", "io.blocking", "unsafe"),
    "async": ("ffi", "io.async", "unsafe"),
    "timer": ("ffi", "io.timer", "unsafe"),
}
#: What a contract may say of the ownership of a result.
OWNERSHIPS = ("borrowed", "transferred", "reference")


def check_ownership(
    signature: Signature, ownership: str | None, *, releasable: bool, symbol: str = "", library: str = ""
) -> str:
    """
    The ownership of a result, as `metadata.bridge.ownership` has it: ``none`` for what is no pointer, by default ``borrowed`` for one.

    Raises:
        BridgeError: Contract, ``ffi.contract.ownership_mismatch``: no word of the contract, a pointer that is transferred and has no release
            handler, or ownership of what owns nothing.
    """

    def refuse(why: str) -> BridgeError:
        return BridgeError(
            BridgeErrorKind.Contract, "ffi.contract.ownership_mismatch", why, symbol=symbol, library=library
        )

    if ownership not in (None, "none", *OWNERSHIPS):
        raise refuse(f"ownership must be one of {', '.join(OWNERSHIPS)}, got {ownership!r}")
    if not signature.result.kind.is_pointer:
        if ownership not in (None, "none"):
            raise refuse(f"{signature.result} owns nothing, so it cannot be {ownership}")
        return "none"
    if ownership == "none":
        raise refuse("a pointer is borrowed, transferred or a reference")
    if ownership == "transferred" and not releasable:
        raise refuse("a transferred pointer needs a release handler")
    return ownership or "borrowed"
