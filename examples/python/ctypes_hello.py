"""
The guide's flow without our Python package: the plain shared library, driven through ctypes.

    ctypes_hello.py [LIBRARY]        LIBRARY defaults to build/libreml_embed.so, then to the installed one

Prints the version of the ABI, the status of each of the four calls, the printable result and the four audit records.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import sys
from pathlib import Path

SOURCE = b'module Embed.Sample\n\nfn main() -> Str { "ok" }'


class Span(ctypes.Structure):
    """reml_span_t: borrowed bytes."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t))


def open_library(name: str | None) -> ctypes.CDLL:
    """The library with the signatures that this example uses; every status is a C enum, that is an int."""
    built = Path(__file__).resolve().parents[2] / "build" / "libreml_embed.so"
    path = name or (str(built) if built.exists() else ctypes.util.find_library("reml_embed"))
    if path is None:
        raise SystemExit("libreml_embed.so not found: run `make lib` or name it")
    library = ctypes.CDLL(path)
    context = ctypes.c_void_p
    library.reml_embed_abi_version.restype = ctypes.c_char_p
    library.reml_embed_status_label.argtypes = [ctypes.c_int]
    library.reml_embed_status_label.restype = ctypes.c_char_p
    library.reml_last_error.argtypes = [context]
    library.reml_last_error.restype = ctypes.c_char_p
    library.reml_create_context.argtypes = [ctypes.c_char_p, ctypes.POINTER(context)]
    library.reml_load_module.argtypes = [context, ctypes.c_char_p, ctypes.c_size_t]
    library.reml_run.argtypes = [context, ctypes.c_char_p]
    library.reml_dispose_context.argtypes = [context]
    library.reml_embed_result_text.argtypes = [context, ctypes.POINTER(Span)]
    library.reml_embed_audit_drain.argtypes = [
        context,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    library.reml_embed_free.argtypes = [ctypes.c_void_p]
    return library


def main() -> int:
    """Create, load, run, read, dispose; then drain the log."""
    library = open_library(sys.argv[1] if len(sys.argv) > 1 else None)
    version = library.reml_embed_abi_version()
    print(f"ABI {version.decode()}")

    def done(what: str, status: int) -> None:
        print(f"{what}: {library.reml_embed_status_label(status).decode()}")
        if status != 0:
            raise SystemExit(f"{what}: {(library.reml_last_error(context) or b'unknown error').decode()}")

    context = ctypes.c_void_p()
    done("create", library.reml_create_context(version, ctypes.byref(context)))
    done("load", library.reml_load_module(context, SOURCE, len(SOURCE)))
    done("run", library.reml_run(context, b"main"))
    text = Span()
    done("read", library.reml_embed_result_text(context, ctypes.byref(text)))
    print(f"result: {ctypes.string_at(text.data, text.length).decode()}")  # copied before the context goes
    done("dispose", library.reml_dispose_context(context))

    lines, length = ctypes.c_void_p(), ctypes.c_size_t()
    done("drain", library.reml_embed_audit_drain(None, ctypes.byref(lines), ctypes.byref(length)))
    for line in ctypes.string_at(lines, length.value).decode().splitlines():
        metadata = json.loads(line)["envelope"]["metadata"]
        if metadata["event.kind"] == "native.embed.call":
            print(
                f"record: {metadata['native.embed.entrypoint']} {metadata['embed.abi.version']} {metadata['embed.status']}"
            )
    library.reml_embed_free(lines)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
