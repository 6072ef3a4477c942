"""Foreign libraries (CONTRACTS 2.2–2.7, 2.9): bound, held to a contract, called with records; on the libm, libc and libz of this machine."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import reml_embed as reml
from reml_embed import audit, library
from reml_embed.abi import (
    ABIS,
    BridgeError,
    BridgeErrorKind,
    CallingConvention,
    FfiError,
    FfiErrorKind,
    FfiType,
    Signature,
    host_abi,
    resolve_calling_convention,
)
from reml_embed.library import (
    ForeignContract,
    Wrapper,
    auto_bind,
    bind_library,
    call_ffi,
    call_with_capability,
    get_function,
)
from reml_embed.registry.capability import CapabilityRegistry
from reml_embed.registry.security import SecurityPolicy

USER_KEYS = ("status", "target", "arch", "platform", "abi", "expected_abi", "ownership", "extern_symbol", "return")
RETURN_KEYS = ("ownership", "status", "wrap", "release_handler", "rc_adjustment")
ALLOWED = {
    *USER_KEYS,
    "audit_pass_rate",
    "extern_name",
    "link_name",
    "library",
    "callconv",
    "block_target",
    "diagnostics",
}


@pytest.fixture
def sink():
    return audit.MemorySink()


@pytest.fixture
def registry(sink):
    return CapabilityRegistry(audit=audit.AuditContext(sink))


@pytest.fixture
def libm(sink, registry):
    with bind_library("m", audit=sink, registry=registry) as made:
        yield made


@pytest.fixture
def libc(sink, registry):
    with bind_library(None, audit=sink, registry=registry, cdef="typedef struct { int quot; int rem; } div_t;") as made:
        yield made


@pytest.fixture
def libz(sink, registry):
    with bind_library("z", audit=sink, registry=registry) as made:
        yield made


def calls(sink) -> list[dict]:
    return [
        record["envelope"]["metadata"]
        for record in sink.records
        if record["envelope"]["metadata"]["event.kind"] == "ffi.call"
    ]


def row(metadata: dict) -> tuple[str, ...]:
    bridge = metadata["bridge"]
    return (bridge["ownership"], *(bridge["return"][key] for key in RETURN_KEYS))


# --- 2.3 the audited call -----------------------------------------------------------------------------------------------


def test_call_ffi_calls_a_real_library(libm):
    cos = auto_bind(libm, "cos", "(F64) -> F64")
    assert call_ffi(cos, [0.0]) == 1.0
    assert cos(0) == 1.0


def test_audited_call_order(libm, sink):
    call_ffi(auto_bind(libm, "cos", "(F64) -> F64"), [0.0])
    assert sink.kinds == ["capability_check", "ffi.call.start", "ffi.call.end", "ffi.call"]
    numbers = {
        metadata["ffi.call_id"]
        for metadata in (r["envelope"]["metadata"] for r in sink.records)
        if "ffi.call_id" in metadata
    }
    assert numbers == {1}


def test_every_bridge_record_has_all_user_listed_keys_and_no_other(libm, libc, libz, sink):
    call_ffi(auto_bind(libm, "cos", "(F64) -> F64"), [0.0])
    free = auto_bind(libc, "free", "(Ptr) -> Void")
    call_ffi(auto_bind(libc, "malloc", "(U64) -> Ptr", ownership="transferred", release=free), [8]).release()
    call_ffi(auto_bind(libz, "zlibVersion", "() -> ConstPtr<u8>"))
    with pytest.raises(FfiError):
        call_ffi(auto_bind(libm, "sin", "(F64) -> F64"), ["x"])
    found = calls(sink)
    assert len(found) == 6
    for metadata in found:
        bridge = metadata["bridge"]
        assert set(USER_KEYS) <= set(bridge) <= ALLOWED
        assert set(bridge["return"]) == set(RETURN_KEYS)
        assert 0 <= bridge["audit_pass_rate"] <= 1
    for record in sink.taken:
        assert audit.missing_keys(record) == []


def test_the_ffi_block_says_effects_capability_stage_and_latency(libm, sink):
    cos = auto_bind(libm, "cos", "(F64) -> F64", contract=ForeignContract(style="blocking"), wrapper=Wrapper("cosine"))
    call_ffi(cos, [0.0])
    metadata = calls(sink)[0]
    block = metadata["ffi"]
    assert block["effect_flags"] == ["ffi", "io.blocking", "unsafe"]
    assert (block["event"], block["status"], block["symbol"], block["wrapper"]) == (
        "ffi.call",
        "success",
        "cos",
        "cosine",
    )
    assert block["library"].startswith("libm")
    assert (block["capability"], block["capability_stage"]) == ("ffi.bridge", "beta")  # mandatory when not stable
    assert block["latency_ns"] > 0
    assert metadata["ffi.wrapper"] == {"name": "cosine", "null_check": True, "call_mode": "wrapped"}


@pytest.mark.parametrize(
    ("style", "effects"),
    [
        ("sync", ["ffi", "unsafe"]),
        ("blocking", ["ffi", "io.blocking", "unsafe"]),
        ("async", ["ffi", "io.async", "unsafe"]),
        ("timer", ["ffi", "io.timer", "unsafe"]),
    ],
)
def test_effects_per_call_style(style, effects):
    assert list(ForeignContract(style=style).effects) == effects


# --- 2.6 the rows of the table --------------------------------------------------------------------------------------------


def test_scalar_and_void_results_own_nothing(libm, sink):
    call_ffi(auto_bind(libm, "fabs", "(F64) -> F64"), [-1.5])
    assert row(calls(sink)[0]) == ("none", "none", "none", "none", "none", "none")


def test_a_borrowed_result_is_wrapped(libz, sink):
    version = call_ffi(auto_bind(libz, "zlibVersion", "() -> ConstPtr<u8>"))
    assert version.text() == zlib.ZLIB_RUNTIME_VERSION
    assert version.ownership == "borrowed"
    assert row(calls(sink)[0]) == ("borrowed", "borrowed", "wrap", "wrap_foreign_ptr", "none", "none")
    with pytest.raises(reml.OwnershipError, match="only borrowed"):
        version.release()
    assert calls(sink)[-1]["error.code"] == "ffi.wrap.ownership_violation"


def test_a_transferred_pointer_is_released_once_by_its_handler(libc, sink):
    free = auto_bind(libc, "free", "(Ptr) -> Void")
    malloc = auto_bind(libc, "malloc", "(U64) -> Ptr", ownership="transferred", release=free)
    with call_ffi(malloc, [16]) as block:
        assert libc.live == 1
        assert block.alive
    assert (libc.acquired, libc.released, libc.live) == (1, 1, 0)
    found = calls(sink)
    assert [metadata["ffi"]["symbol"] for metadata in found] == ["malloc", "free", "malloc"]
    assert row(found[0]) == ("transferred", "transferred", "pending", "wrap_foreign_ptr", "dec_ref", "none")
    assert row(found[2]) == ("transferred", "transferred", "wrap_and_release", "wrap_foreign_ptr", "dec_ref", "dec_ref")
    for use in (block.release, lambda: block.address, block.text, lambda: block.read(1)):
        with pytest.raises(reml.OwnershipError, match="released before"):
            use()
    assert [metadata["error.code"] for metadata in calls(sink)[3:]] == ["ffi.wrap.ownership_violation"] * 4
    assert libc.live == 0


def test_a_transferred_pointer_never_released_is_a_leak(libc, sink):
    freed = []
    malloc = auto_bind(
        libc,
        "malloc",
        "(U64) -> Ptr",
        ownership="transferred",
        release=lambda a: freed.append(a) or ctypes.CDLL(None).free(ctypes.c_void_p(a)),
    )
    call_ffi(malloc, [16])
    gc.collect()
    leak = calls(sink)[-1]
    assert (leak["bridge"]["status"], leak["ffi"]["status"]) == ("leak", "leak")
    assert len(freed) == 1
    assert libc.live == 0


def test_a_failure_has_the_declared_ownership(libc, sink):
    malloc = auto_bind(libc, "malloc", "(U64) -> Ptr", ownership="transferred", release=print)
    with pytest.raises(FfiError):
        call_ffi(malloc, [-1])
    assert row(calls(sink)[0]) == ("transferred", "transferred", "failure", "none", "none", "none")


def test_a_wrapped_function_converts_null_to_null_return(libc, sink):
    getenv = auto_bind(libc, "getenv", "(ConstPtr<u8>) -> Ptr")
    with pytest.raises(FfiError, match="answered NULL") as caught:
        call_ffi(getenv, ["REML_NO_SUCH_VARIABLE"])
    assert caught.value.kind is FfiErrorKind.NullReturn
    assert caught.value.code == "ffi.wrap.null_return"
    assert row(calls(sink)[0]) == ("borrowed", "borrowed", "null", "none", "none", "none")
    raw = library.wrap(getenv, Wrapper("raw", call_mode="raw"))
    assert call_ffi(raw, ["REML_NO_SUCH_VARIABLE"]) is None


def test_an_error_map_turns_results_into_failures(libz):
    compress = auto_bind(
        libz,
        "compress",
        "(Ptr<u8>, Ptr<u64>, ConstPtr<u8>, U64) -> I32",
        wrapper=Wrapper("compress", error_map={-5: "buffer too small"}),
    )
    with pytest.raises(FfiError, match="answered -5: buffer too small") as caught:
        call_ffi(compress, [bytearray(1), libz.new("uint64_t[1]", [1]), b"x" * 100, 100])
    assert caught.value.kind is FfiErrorKind.CallFailed


def test_compress_and_uncompress_with_buffers(libz):
    signature = "(Ptr<u8>, Ptr<u64>, ConstPtr<u8>, U64) -> I32"
    compress, uncompress = auto_bind(libz, "compress", signature), auto_bind(libz, "uncompress", signature)
    text = b"reml " * 500
    packed, length = bytearray(4096), libz.new("uint64_t[1]", [4096])
    assert compress(packed, length, text, len(text)) == 0
    assert zlib.decompress(bytes(packed[: length[0]])) == text
    out, room = numpy.zeros(4096, dtype="uint8"), libz.new("uint64_t[1]", [4096])
    assert uncompress(out, room, memoryview(packed), length[0]) == 0
    assert out[: room[0]].tobytes() == text


# --- values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "name", "arguments", "why"),
    [
        ("(F64) -> F64", "cos", ["x"], "expected float, got str"),
        ("(F64) -> F64", "cos", [True], "expected float, got bool"),
        ("(F64) -> F64", "cos", [], "takes 1 arguments, got 0"),
        ("(F64) -> F64", "cos", [1.0, 2.0], "takes 1 arguments, got 2"),
        ("(F64, I32) -> F64", "ldexp", [1.0, 2**31], "out of range for I32"),
        ("(F64, I32) -> F64", "ldexp", [1.0, 2.0], "expected int, got float"),
        ("(F64, Ptr) -> F64", "modf", [1.0, b"read-only"], "expected Ptr, got bytes"),
        ("(F64, Ptr) -> F64", "modf", [1.0, "text"], "a str is read-only"),
        ("(F64, Ptr) -> F64", "modf", [1.0, 1 << 80], "no address"),
        ("(F64, Ptr) -> F64", "modf", [1.0, object()], "expected Ptr, got object"),
        ("(ConstPtr<u8>) -> F64", "nan", ["a\0b"], "a text with a NUL"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_place_and_nothing_is_called(
    libm, sink, signature, name, arguments, why
):
    with pytest.raises(FfiError, match=why) as caught:
        call_ffi(auto_bind(libm, name, signature), arguments)
    assert caught.value.kind is FfiErrorKind.InvalidArgument
    assert "ffi.call.start" not in sink.kinds
    assert calls(sink)[0]["bridge"]["status"] == "error"


def test_structs_cross_by_value_when_they_are_declared(libc):
    div = auto_bind(libc, "div", "(I32, I32) -> Struct<div_t>")
    answer = call_ffi(div, [17, 5])
    assert (answer.quot, answer.rem) == (3, 2)
    with pytest.raises(FfiError, match="no_such_t") as caught:
        auto_bind(libc, "div", "(I32, I32) -> Struct<no_such_t>")
    assert caught.value.kind is FfiErrorKind.InvalidSignature


def test_further_arguments_of_a_variadic_function_say_their_type(libc):
    snprintf = auto_bind(libc, "snprintf", "(Ptr<u8>, U64, ConstPtr<u8>, ...) -> I32")
    out = bytearray(16)
    assert call_ffi(snprintf, [out, 16, "%d!", libc._ffi.cast("int", 42)]) == 3
    assert bytes(out[:3]) == b"42!"
    with pytest.raises(FfiError, match="must say their C type"):
        call_ffi(snprintf, [out, 16, "%d!", 42])


# --- refusals before the call ----------------------------------------------------------------------------------------------


def test_a_library_that_is_not_there(registry):
    for path in ("no-such-library", "/no/such/file.so", "", "a\0b"):
        with pytest.raises(FfiError) as caught:
            bind_library(path, registry=registry)
        assert (caught.value.kind, caught.value.code) == (FfiErrorKind.LibraryNotFound, "ffi.library_not_found")


def test_a_symbol_that_is_not_there(libm):
    with pytest.raises(FfiError, match="has no `no_such_function`") as caught:
        get_function(libm, "no_such_function")
    assert caught.value.code == "ffi.contract.symbol_missing"
    for name in ("", "a b", "int", "x;"):
        with pytest.raises(FfiError) as caught:
            get_function(libm, name)
        assert caught.value.kind is FfiErrorKind.InvalidSignature


def test_a_function_without_signature_cannot_be_called(libm):
    with pytest.raises(FfiError, match="auto_bind"):
        call_ffi(get_function(libm, "cos"), [1.0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F64 -> F64",
        "(F64 -> F64",
        "(Nope) -> F64",
        "(Void) -> I32",
        "(I32<u8>) -> I32",
        "(Struct) -> I32",
        "(...) -> I32",
        "(I32,,I32) -> I32",
        "(I32) -> ",
    ],
)
def test_wrong_signatures_are_refused(text):
    with pytest.raises(FfiError) as caught:
        Signature.parse(text)
    assert caught.value.kind is FfiErrorKind.InvalidSignature


def test_signatures_are_read_as_reml_writes_them_too():
    assert str(Signature.parse("fn(x: f64, p: Ptr<u8>) -> () ! {ffi, unsafe}")) == "(F64, Ptr<u8>) -> Void"
    assert Signature.parse("(Int, Bool) -> Float").parameters[0].kind is FfiType.I64
    assert (
        str(Signature.parse(str(Signature.parse("(Struct<div_t>, Fn, ...) -> ConstPtr<u8>"))))
        == "(Struct<div_t>, Fn, ...) -> ConstPtr<u8>"
    )


def test_a_contract_for_another_abi_is_refused(libm):
    with pytest.raises(BridgeError) as caught:
        auto_bind(libm, "cos", "(F64) -> F64", contract=ForeignContract(abi="msvc"))
    assert (caught.value.kind, caught.value.code) == (BridgeErrorKind.Contract, "ffi.contract.unsupported_abi")


@pytest.mark.parametrize(
    ("signature", "ownership"),
    [
        ("(F64) -> F64", "borrowed"),
        ("(U64) -> Ptr", "transferred"),
        ("(U64) -> Ptr", "owned"),
        ("(U64) -> Ptr", "none"),
    ],
)
def test_a_contract_whose_ownership_does_not_hold_is_refused(libc, signature, ownership):
    with pytest.raises(BridgeError) as caught:
        auto_bind(libc, "malloc", signature, ownership=ownership)
    assert (caught.value.kind, caught.value.code) == (BridgeErrorKind.Contract, "ffi.contract.ownership_mismatch")


def test_a_disabled_capability_refuses_the_call_and_leaves_a_failed_record(libm, registry, sink):
    cos = auto_bind(libm, "cos", "(F64) -> F64")
    registry.disable("ffi.bridge")
    with pytest.raises(BridgeError) as caught:
        call_ffi(cos, [0.0])
    assert caught.value.kind is BridgeErrorKind.Capability
    assert sink.kinds == ["capability_check", "ffi.call"]
    assert calls(sink)[0]["ffi"]["status"] == "failed"


def test_call_with_capability_asks_for_that_one(libm, sink):
    cos = auto_bind(libm, "cos", "(F64) -> F64")
    assert call_with_capability("foreign-call", cos, [0.0]) == 1.0
    assert calls(sink)[0]["ffi"]["capability_stage"] == "experimental"
    for wrong in ("no.such", "metrics.emit", ("foreign-call", "at_least:beta")):
        with pytest.raises(BridgeError) as caught:
            call_with_capability(wrong, cos, [0.0])
        assert caught.value.kind is BridgeErrorKind.Capability


def test_a_security_policy_is_held_before_the_contract(libm, sink):
    policy = SecurityPolicy("at_least:beta", minimum_isolation="full_isolation")
    cos = auto_bind(libm, "cos", "(F64) -> F64", contract=ForeignContract(policy=policy))
    with pytest.raises(BridgeError) as caught:
        call_ffi(cos, ["not a float either"])
    assert caught.value.kind is BridgeErrorKind.Security
    assert sink.kinds == ["capability_check", "ffi.call"]


def test_without_a_log_nothing_is_called(registry):
    sink = audit.MemorySink()
    with bind_library(None, audit=sink, registry=registry) as libc:
        called = []
        function = auto_bind(
            libc, "abs", "(I32) -> I32", wrapper=Wrapper("seen", error_map=lambda result: called.append(result))
        )
        sink.failing = True
        with pytest.raises(BridgeError) as caught:
            call_ffi(function, [-1])
        assert caught.value.kind is BridgeErrorKind.Audit
        assert called == []


def test_a_closed_library_cannot_be_called(libm):
    cos = auto_bind(libm, "cos", "(F64) -> F64")
    libm.close()
    libm.close()
    with pytest.raises(FfiError, match="closed"):
        call_ffi(cos, [0.0])


# --- 2.4 ABIs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "abi", "platform", "convention"),
    [
        ("x86_64-unknown-linux-gnu", "system_v", "linux-x86_64", "SysV"),
        ("x86_64-pc-windows-msvc", "msvc", "windows-msvc-x64", "StdCall"),
        ("x86_64-pc-windows-gnu", "gnu", "windows-gnu-x64", "StdCall"),
        ("arm64-apple-darwin", "darwin_aapcs64", "macos-arm64", "SysV"),
        ("aarch64-unknown-linux-gnu", "aapcs64", "linux-arm64", "SysV"),
    ],
)
def test_expected_abi_per_target(target, abi, platform, convention):
    for name in (target, platform, {"platform": platform}, {"triple": target}):
        assert resolve_calling_convention(name, {"abi": abi}) == getattr(CallingConvention, convention)
    with pytest.raises(BridgeError) as caught:
        resolve_calling_convention(platform, {"abi": "other"})
    assert caught.value.code == "ffi.contract.unsupported_abi"
    assert len(ABIS) == 5


def test_declared_conventions_are_known_by_name_or_custom():
    assert resolve_calling_convention("windows-msvc-x64", {"callconv": "fastcall"}) is CallingConvention.FastCall
    assert resolve_calling_convention("linux-x86_64", {"callconv": "wasm_system_v"}) is CallingConvention.WasmSystemV
    assert str(resolve_calling_convention("linux-x86_64", {"callconv": "vectorcall"})) == "Custom(vectorcall)"
    with pytest.raises(FfiError) as caught:
        resolve_calling_convention("plan9-mips", {})
    assert caught.value.code == "ffi.unsupported_platform"
    with pytest.raises(FfiError):
        resolve_calling_convention("linux-x86_64", {"callconv": 5})


def test_this_machine_is_one_of_the_targets(libm):
    with reml.Context() as context:
        context.load('fn main() -> Str = "x"')
        context.execute()
        with context.result_take():
            pass
        bridge = next(
            r["envelope"]["metadata"]["bridge"] for r in context.drain() if "bridge" in r["envelope"]["metadata"]
        )
    row = host_abi()
    assert (row.target, row.platform, row.expected_abi) == (bridge["target"], bridge["platform"], bridge["abi"])


# --- executors ------------------------------------------------------------------------------------------------------------


def test_executor_missing_and_already_set(libm):
    cos = auto_bind(libm, "cos", "(F64) -> F64", contract=ForeignContract(style="async"))
    with pytest.raises(FfiError) as caught:
        asyncio.run(library.call_ffi_async(cos, [0.0]))
    assert caught.value.code == "ffi.call.executor_missing"
    with ThreadPoolExecutor(1) as executor:
        library.set_executor(executor)
        try:
            with pytest.raises(FfiError) as caught:
                library.set_executor(executor)
            assert caught.value.code == "ffi.call.executor_already_set"
            assert asyncio.run(library.call_ffi_async(cos, [0.0])) == 1.0
        finally:
            library.set_executor(None)


# --- counters and logs ------------------------------------------------------------------------------------------------------


def test_calls_are_counted_once_for_the_context_and_its_log():
    with reml.Context() as context, bind_library("m", context=context) as libm:
        cos = auto_bind(libm, "cos", "(F64) -> F64")
        before = context.metrics()
        call_ffi(cos, [0.0])
        with pytest.raises(FfiError):
            call_ffi(cos, ["x"])
        after = context.metrics()
        assert (after.total_calls - before.total_calls, after.success_calls - before.success_calls) == (2, 1)
        records = [record["envelope"]["metadata"] for record in context.drain()]
        call = ["capability_check", "ffi.call.start", "ffi.call.end", "ffi.call"]
        refused = ["capability_check", "ffi.call"]
        assert [metadata["event.kind"] for metadata in records] == ["native.embed.call", *call, *refused]
        assert records[-1]["bridge"]["audit_pass_rate"] == after.pass_rate


def test_calls_without_a_context_are_counted_for_the_process():
    library.drain()
    before = reml.process_metrics()
    with bind_library("m") as libm:
        call_ffi(auto_bind(libm, "cos", "(F64) -> F64"), [0.0])
    assert reml.process_metrics().total_calls == before.total_calls + 1
    assert [record["envelope"]["metadata"]["event.kind"] for record in library.drain()] == [
        "ffi.call.start",
        "ffi.call.end",
        "ffi.call",
    ]


def test_records_of_libraries_go_to_the_log_that_the_environment_names(tmp_path, monkeypatch):
    path = tmp_path / "audit.ndjson"
    monkeypatch.setenv("REML_EMBED_AUDIT_PATH", str(path))
    with bind_library("m", registry=CapabilityRegistry(audit=audit.AuditContext(audit.MemorySink()))) as libm:
        call_ffi(auto_bind(libm, "cos", "(F64) -> F64"), [0.0])
    assert audit.verify(path).records == 3
    assert json.loads(path.read_text().splitlines()[-1])["envelope"]["metadata"]["ffi"]["symbol"] == "cos"


# --- scripts call libraries (LANGUAGE 3.6) ----------------------------------------------------------------------------------

MATH = """
module Calls.Math
extern "C" {
  fn cos(x: f64) -> f64
  @link_name("ldexp") fn scale(x: f64, exponent: i32) -> f64
}
fn main() -> (f64, f64) = unsafe { (cos(0.0), scale(1.5, 4)) }
"""


def test_extern_c_items_are_bound_to_real_symbols_and_called():
    with reml.Context() as context:
        context.load(MATH)
        assert [row["bound"] for row in context.externs()] == [False, False]
        assert context.bind_library("m", "Calls.Math", header="double cos(double); double ldexp(double, int);") == [
            "cos",
            "ldexp",
        ]
        assert context.run() == (1.0, 24.0)
        assert all(row["bound"] for row in context.externs())
        found = [record["envelope"]["metadata"] for record in context.drain()]
        regions = [metadata for metadata in found if metadata["event.kind"] == "unsafe.region"]
        assert [(region["unsafe.function"], region["unsafe.line"]) for region in regions] == [("main", 7)]
        called = [
            metadata["ffi"]["symbol"]
            for metadata in found
            if metadata["event.kind"] == "ffi.call" and metadata["ffi"]["library"].startswith("libm")
        ]
        assert called == ["cos", "ldexp"]


@pytest.mark.parametrize(
    "header",
    [
        "float cos(float);",
        "double cos(double, double);",
        "double cos(double, ...);",
        "double *cos(double);",
        "double ldexp(double, long);",
        "double ldexp(double, unsigned);",
    ],
)
def test_a_declaration_that_does_not_agree_with_the_header_is_refused(header):
    with reml.Context() as context:
        context.load(MATH)
        with pytest.raises(FfiError, match=r"Calls.Math:\d+: `\w+` is declared .* the header has") as caught:
            context.bind_library("m", header=header)
        assert caught.value.code == "ffi.signature.invalid"
        assert not any(row["bound"] for row in context.externs())  # nothing was bound


def test_what_a_library_does_not_have_is_left_for_another_one():
    with reml.Context() as context:
        context.load(
            'extern "C" {\n  fn cos(x: f64) -> f64\n  fn zlibVersion() -> Ptr<u8>\n}\nfn main() -> (f64, Bool) = unsafe { (cos(0.0), zlibVersion().is_null()) }'
        )
        assert context.bind_library("z") == ["zlibVersion"]
        with pytest.raises(reml.RunError) as caught:
            context.run()
        assert caught.value.code == "host.symbol.unbound"
        assert context.bind_library("m") == ["cos"]
        assert context.run() == (1.0, False)
        with pytest.raises(FfiError, match="nothing that is not bound") as failed:
            context.bind_library("m")
        assert failed.value.kind is FfiErrorKind.SymbolNotFound


MALLOC = """
extern "C" {
  @ownership("transferred") fn malloc(size: u64) -> Ptr<u8>
  fn free(p: Ptr<u8>)
  @ownership("borrowed") fn memset(p: Ptr<u8>, value: i32, size: u64) -> Ptr<u8>
}
fn main() -> Bool = unsafe {
  defer println("released by whoever owns it")
  let p = malloc(16)
  memset(p, 7, 16).is_null()
}
fn by_hand() { unsafe { let p = malloc(16); defer free(p) } }
fn twice() { unsafe { let p = malloc(16); defer free(p); free(p) } }
"""


def test_a_transferred_pointer_of_a_script_is_released_once_by_free():
    with reml.Context(output=lambda _: None) as context:
        context.load(MALLOC)
        with pytest.raises(BridgeError) as caught:
            context.bind_library(None)
        assert caught.value.code == "ffi.contract.ownership_mismatch"
        assert context.bind_library(None, release={"malloc": "free"}) == ["malloc", "free", "memset"]

        def freed() -> int:
            found = [record["envelope"]["metadata"] for record in context.drain()]
            return sum(
                1
                for metadata in found
                if metadata.get("ffi", {}).get("symbol") == "free" and metadata["ffi"]["library"] == "process"
            )

        assert context.run() is False
        context.collect()
        assert freed() == 1
        context.run("by_hand")
        context.collect()
        assert freed() == 1
        with pytest.raises(reml.StaleError, match="released or taken back"):
            context.run("twice")
        metrics = context.metrics()
        assert metrics.acquired == metrics.released + metrics.live


def test_variadic_declarations_and_bad_headers_are_refused():
    with reml.Context() as context:
        context.load('extern "C" fn printf(format: Ptr<u8>, ...) -> i32')
        with pytest.raises(FfiError, match="bind it by hand"):
            context.bind_library(None)
        with pytest.raises(FfiError, match="header: "):
            context.bind_library(None, header="double cos(")
        with pytest.raises(FfiError):
            context.bind_library("no-such-library")


def test_a_foreign_call_that_is_denied_fails_the_run_with_the_bridge_error():
    registry = CapabilityRegistry()
    registry.disable("ffi.bridge")
    with reml.Context() as context:
        context.load(MATH)
        context.bind_library("m", registry=registry)
        with pytest.raises(BridgeError) as caught:
            context.run()
        assert caught.value.kind is BridgeErrorKind.Capability


# --- unsafe (LANGUAGE 5.13) ---------------------------------------------------------------------------------------------------


def diagnostics(source: str) -> list[tuple[str, str]]:
    with reml.Context() as context:
        return [(item.code, item.severity) for item in context.check(source)]


def test_an_unsafe_block_that_takes_over_a_value_without_a_defer_is_a_warning():
    extern = '@ownership("transferred") extern "C" fn open() -> Ptr<u8>\nextern "C" fn close(p: Ptr<u8>)\n'
    missing = ("effects.unsafe.release_missing", "warning")
    assert diagnostics(extern + "fn f() { unsafe { let _ = open() } }") == [missing]
    assert diagnostics(extern + "fn f() { unsafe { let p = open(); defer close(p) } }") == []
    assert diagnostics(extern + 'fn f() { unsafe { defer println("x"); unsafe { let _ = open() } } }') != [missing]
    borrowed = '@ownership("borrowed") extern "C" fn open() -> Ptr<u8>\n'
    assert diagnostics(borrowed + "fn f() { unsafe { let _ = open() } }") == []
    at_block = (
        '@ownership("transferred") extern "C" { fn open() -> Ptr<u8>\n @ownership("borrowed") fn peek() -> Ptr<u8> }\n'
    )
    assert diagnostics(at_block + "fn f() { unsafe { let _ = open() } }") == [missing]
    assert diagnostics(at_block + "fn f() { unsafe { let _ = peek() } }") == []


def test_an_unsafe_block_without_an_unsafe_operation_is_a_hint():
    assert diagnostics("fn f() -> Int = unsafe { 1 }") == [("effects.unsafe.unused", "hint")]


def test_an_extern_c_call_outside_of_unsafe_is_an_error():
    assert diagnostics('extern "C" fn c() -> Int\nfn f() -> Int = c()') == [("effects.unsafe.required", "error")]


def test_running_an_unsafe_block_leaves_a_record_with_function_and_line():
    with reml.Context() as context:
        context.bind("c", lambda: 1)
        context.load(
            'module A.B\nextern "C" fn c() -> Int\n\nfn inner() -> Int {\n  unsafe { c() }\n}\nfn main() -> Int = inner() + inner()'
        )
        assert context.run() == 2
        found = [
            r["envelope"]["metadata"]
            for r in context.drain()
            if r["envelope"]["metadata"]["event.kind"] == "unsafe.region"
        ]
        assert [(metadata["unsafe.function"], metadata["unsafe.line"]) for metadata in found] == [("inner", 5)] * 2
        for metadata in found:
            assert metadata["schema.version"] == "3.0.0-alpha"


def test_a_pointer_let_go_on_another_thread_is_released_all_the_same():
    with reml.Context() as context, bind_library(None, context=context) as libc:
        freed = []
        malloc = auto_bind(libc, "malloc", "(U64) -> Ptr", ownership="transferred", release=freed.append)
        boxed = [call_ffi(malloc, [8])]
        address = boxed[0].address
        thread = threading.Thread(target=boxed.clear)
        thread.start()
        thread.join()
        gc.collect()
        assert freed == [address]
        assert libc.live == 0
        ctypes.CDLL(None).free(ctypes.c_void_p(address))
