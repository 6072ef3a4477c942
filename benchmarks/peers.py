"""
Every engine's way to do the same few things from Python, for python_calls.py and test_calls.py.

In: a folder for what has to be compiled. Out: cases that were each run once and answered right, versions, and the engines that are
missing with the reason. The C side of cffi and ctypes is ``c/callee.c``, the file that the C harness measures too.
"""

from __future__ import annotations

import array
import ctypes
import functools
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TEXT = "twenty bytes of text"
RECORD = {"id": 1, "count": 3, "price": 2.5, "total": 0.0}
ANSWER = {"id": 1, "count": 3, "price": 2.5, "total": 7.5}
BATCH = 1_000_000

EMPTY, ADD, STRING, RECORDS, CALLBACK, BATCHES, LINE, BRANCH, LIFE = ROWS = (
    "empty call", "add (Int, Int) -> Int", "string of 20 bytes", "record of four fields",
    "callback into Python", "batch of 10^6 doubles", "NumPy batch, x * 2 + 1", "NumPy batch, with a branch",
    "create load run dispose",
)  # fmt: skip

REML = """\
module Bench.Calls
type Order = { id: Int, count: Int, price: Float, total: Float }
fn empty() {}
fn add(a: Int, b: Int) -> Int = a + b
fn echo(s: Str) -> Str = s
fn total(o: Order) -> Order = Order { ..o, total = o.price * o.count.to_float() }
fn back(x: Int) -> Int = host(x)
fn scale(x: Float) -> Float = x * 1.5 + 2.0
fn line(x: Float) -> Float = x * 2.0 + 1.0
fn branch(x: Float) -> Float = if x > 500000.0 then x * 2.0 + 1.0 else 0.5 - x
"""
REML_LIFE = """\
fn square(x: Int) -> Int {
  x * x
}
fn sum(n: Int) -> Int {
  if n == 0 { return 0 }
  square(n) + sum(n - 1)
}
fn main() -> Int {
  sum(3)
}
"""
LUA = """\
function empty() end
function add(a, b) return a + b end
function echo(s) return s end
function total(r) return {id = r.id, count = r.count, price = r.price, total = r.price * r.count} end
function back(x) return host(x) end
function scale_all(t) local r = {}; for i = 1, #t do r[i] = t[i] * 1.5 + 2.0 end; return r end
"""
LUA_LIFE = """\
local function square(x)
  return x * x
end
local function sum(n)
  if n == 0 then return 0 end
  return square(n) + sum(n - 1)
end
function main()
  return sum(3)
end
"""
JAVASCRIPT = """\
function empty() {}
function add(a, b) { return a + b }
function echo(s) { return s }
function total(t) { const r = JSON.parse(t); return JSON.stringify({...r, total: r.price * r.count}) }
function back(x) { return host(x) }
"""
JAVASCRIPT_LIFE = """\
function square(x) {
  return x * x
}
function sum(n) {
  if (n == 0) { return 0 }
  return square(n) + sum(n - 1)
}
function main() {
  return sum(3)
}
"""


@dataclass
class Case:
    """One engine's call for one row; *units* is what a call counts for."""

    row: str
    engine: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    units: int = 1


@dataclass
class Peers:
    """What was found."""

    cases: list[Case] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, row: str, engine: str, function: Callable[..., Any], *arguments: Any, expect: Any = None,
            read: Callable[[Any], Any] = lambda value: value, units: int = 1) -> None:  # fmt: skip
        """Take a case in after one call that must answer *expect*; one that does not is wrong and is not timed."""
        answer = read(function(*arguments))
        if answer != expect:
            self.wrong[row, engine] = f"{answer!r} instead of {expect!r}"
        else:
            self.cases.append(Case(row, engine, function, arguments, units))


def doubles() -> array.array[float]:
    """The batch's input."""
    return array.array("d", range(BATCH))


def host(x: int) -> int:
    """What scripts call back."""
    return x + 1


def add_python(peers: Peers, _folder: Path) -> None:
    """Plain Python functions: the floor of what a Python programmer knows."""

    def empty() -> None:
        pass

    def add(a: int, b: int) -> int:
        return a + b

    def echo(s: str) -> str:
        return s

    def total(r: dict[str, Any]) -> dict[str, Any]:
        return {"id": r["id"], "count": r["count"], "price": r["price"], "total": r["price"] * r["count"]}

    def back(x: int) -> int:
        return host(x)

    peers.versions["python"] = sys.version.split()[0]
    peers.add(EMPTY, "python", empty)
    peers.add(ADD, "python", add, 2, 3, expect=5)
    peers.add(STRING, "python", echo, TEXT, expect=TEXT)
    peers.add(RECORDS, "python", total, RECORD, expect=ANSWER)
    peers.add(CALLBACK, "python", back, 1, expect=2)


def build_cffi(folder: Path) -> Any:
    """The callee as a cffi module in API mode, compiled once into *folder*."""
    import cffi

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("_bench_callee" + sysconfig.get_config_var("EXT_SUFFIX"))
    sources = [HERE / "c" / "callee.c", HERE / "c" / "harness.h", Path(__file__)]
    if not path.exists() or path.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        ffi = cffi.FFI()
        ffi.cdef(
            """
            typedef struct { int64_t id; int64_t count; double price; double total; } bench_record_t;
            void callee_empty(void);
            int64_t callee_add(int64_t a, int64_t b);
            size_t callee_echo(const char* text, size_t length, char* out);
            bench_record_t callee_total(bench_record_t record);
            int64_t call_python(int64_t x);
            void callee_scale_all(const double* in, double* out, size_t count);
            void callee_line_all(const double* in, double* out, size_t count);
            void callee_branch_all(const double* in, double* out, size_t count);
            extern "Python" int64_t bench_back(int64_t x);
            """
        )
        ffi.set_source(
            "_bench_callee",
            '#include "harness.h"\nstatic int64_t bench_back(int64_t);\nstatic int64_t call_python(int64_t x) { return bench_back(x); }\n',
            sources=[str(HERE / "c" / "callee.c")],
            include_dirs=[str(HERE / "c")],
            extra_compile_args=["-O2"],
            py_limited_api=False,
        )
        ffi.compile(tmpdir=str(folder), target=str(path.name))
    spec = importlib.util.spec_from_file_location("_bench_callee", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_cffi(peers: Peers, folder: Path) -> None:
    """cffi in API mode."""
    import cffi

    module = build_cffi(folder)
    ffi, lib = module.ffi, module.lib
    buffer = ffi.new("char[64]")

    def echo(text: str) -> str:
        data = text.encode()
        return ffi.unpack(buffer, lib.callee_echo(data, len(data), buffer)).decode()  # type: ignore[no-any-return]

    def total(record: dict[str, Any]) -> dict[str, Any]:
        answer = lib.callee_total(ffi.new("bench_record_t*", record)[0])
        return {"id": answer.id, "count": answer.count, "price": answer.price, "total": answer.total}

    @ffi.def_extern(name="bench_back")
    def back(x: int) -> int:
        return host(x)

    peers.versions["cffi"] = cffi.__version__
    peers.add(EMPTY, "cffi", lib.callee_empty)
    peers.add(ADD, "cffi", lib.callee_add, 2, 3, expect=5)
    peers.add(STRING, "cffi", echo, TEXT, expect=TEXT)
    peers.add(RECORDS, "cffi", total, RECORD, expect=ANSWER)
    peers.add(CALLBACK, "cffi", lib.call_python, 1, expect=2)
    source, target = doubles(), array.array("d", bytes(8 * BATCH))
    pointers = ffi.from_buffer("double[]", source), ffi.from_buffer("double[]", target)
    peers.add(
        BATCHES, "cffi", lib.callee_scale_all, *pointers, BATCH, read=lambda _: target[2], expect=5.0, units=BATCH
    )


def add_ctypes(peers: Peers, folder: Path) -> None:
    """ctypes with the same functions, out of the same shared object."""
    library = ctypes.CDLL(build_cffi(folder).__file__)

    class Record(ctypes.Structure):
        _fields_ = (
            ("id", ctypes.c_int64),
            ("count", ctypes.c_int64),
            ("price", ctypes.c_double),
            ("total", ctypes.c_double),
        )

    library.callee_empty.restype = None
    library.callee_add.argtypes = [ctypes.c_int64, ctypes.c_int64]
    library.callee_add.restype = ctypes.c_int64
    library.callee_echo.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    library.callee_echo.restype = ctypes.c_size_t
    library.callee_total.argtypes = [Record]
    library.callee_total.restype = Record
    buffer = ctypes.create_string_buffer(64)

    def echo(text: str) -> str:
        data = text.encode()
        length = library.callee_echo(data, len(data), buffer)
        return buffer.raw[:length].decode()

    def total(record: dict[str, Any]) -> dict[str, Any]:
        answer = library.callee_total(Record(**record))
        return {"id": answer.id, "count": answer.count, "price": answer.price, "total": answer.total}

    peers.versions["ctypes"] = ctypes.__version__
    peers.add(EMPTY, "ctypes", library.callee_empty)
    peers.add(ADD, "ctypes", library.callee_add, 2, 3, expect=5)
    peers.add(STRING, "ctypes", echo, TEXT, expect=TEXT)
    peers.add(RECORDS, "ctypes", total, RECORD, expect=ANSWER)


def add_lupa(peers: Peers, _folder: Path) -> None:
    """Lua 5.4 inside Python."""
    from lupa import __version__ as version
    from lupa import lua54

    lua = lua54.LuaRuntime()
    names = lua.globals()
    names.host = host
    lua.execute(LUA)
    total_in_lua, table_from = names.total, lua.table_from

    def total(record: dict[str, Any]) -> dict[str, Any]:
        answer = total_in_lua(table_from(record))
        return {"id": answer["id"], "count": answer["count"], "price": answer["price"], "total": answer["total"]}

    scale_all = names.scale_all

    def batch(values: array.array[float]) -> list[float]:
        return list(scale_all(table_from(values)).values())

    def life() -> int:
        fresh = lua54.LuaRuntime()
        fresh.execute(LUA_LIFE)
        return fresh.globals().main()  # type: ignore[no-any-return]

    peers.versions["lupa"] = f"{version} with {lua.eval('_VERSION')}"
    peers.add(EMPTY, "lupa", names.empty)
    peers.add(ADD, "lupa", names.add, 2, 3, expect=5)
    peers.add(STRING, "lupa", names.echo, TEXT, expect=TEXT)
    peers.add(RECORDS, "lupa", total, RECORD, expect=ANSWER)
    peers.add(CALLBACK, "lupa", names.back, 1, expect=2)
    peers.add(BATCHES, "lupa", batch, doubles(), read=lambda values: values[2], expect=5.0, units=BATCH)
    peers.add(LIFE, "lupa", life, expect=14)


def add_quickjs(peers: Peers, _folder: Path) -> None:
    """JavaScript inside Python; records cross as JSON, there is no other way in its interface."""
    import quickjs

    context = quickjs.Context()
    context.add_callable("host", host)
    context.eval(JAVASCRIPT)
    total_in_js = context.get("total")

    def total(record: dict[str, Any]) -> dict[str, Any]:
        return json.loads(total_in_js(json.dumps(record)))  # type: ignore[no-any-return]

    def life() -> int:
        fresh = quickjs.Context()
        fresh.eval(JAVASCRIPT_LIFE)
        return fresh.get("main")()  # type: ignore[no-any-return]

    from importlib.metadata import version

    peers.versions["quickjs"] = version("quickjs")
    peers.add(EMPTY, "quickjs", context.get("empty"))
    peers.add(ADD, "quickjs", context.get("add"), 2, 3, expect=5)
    peers.add(STRING, "quickjs", context.get("echo"), TEXT, expect=TEXT)
    peers.add(RECORDS, "quickjs", total, RECORD, expect=ANSWER)
    peers.add(CALLBACK, "quickjs", context.get("back"), 1, expect=2)
    peers.add(LIFE, "quickjs", life, expect=14)


def add_numpy(peers: Peers, folder: Path) -> None:
    """NumPy's arrays: its own expressions, and the plain C loop over the same memory."""
    import numpy as np

    values = np.arange(BATCH, dtype=np.float64)
    peers.versions["numpy"] = np.__version__

    def add(row: str, engine: str, function: Callable[[], Any]) -> None:
        peers.add(row, engine, function, read=marks, expect=MARKS[row], units=BATCH)

    add(BATCHES, "numpy", lambda: values * 1.5 + 2.0)
    add(LINE, "numpy", lambda: values * 2.0 + 1.0)
    add(BRANCH, "numpy", lambda: np.where(values > 500000.0, values * 2.0 + 1.0, 0.5 - values))
    module = build_cffi(folder)
    target = np.empty_like(values)
    pointers = module.ffi.from_buffer("double[]", values), module.ffi.from_buffer("double[]", target)
    for row, function in ((LINE, module.lib.callee_line_all), (BRANCH, module.lib.callee_branch_all)):
        peers.add(
            row,
            "cffi",
            function,
            *pointers,
            BATCH,
            read=lambda _: marks(target),
            expect=MARKS[row],
            units=BATCH,
        )


def marks(answer: Any) -> tuple[float, float]:
    """Two elements of a batch's answer, on both sides of the branch."""
    return float(answer[2]), float(answer[BATCH - 2])


MARKS = {BATCHES: (5.0, 1499999.0), LINE: (5.0, 1999997.0), BRANCH: (-1.5, 1999997.0)}


def add_reml(peers: Peers, _folder: Path) -> None:
    """Ours."""
    import reml_embed

    context = reml_embed.Context()

    @context.host("host", signature="(x: Int) -> Int")
    def _(x: int) -> int:
        return x + 1

    module = context.load(REML)
    total = module["total"]

    def read(record: Any) -> dict[str, Any]:
        return {"id": record.id, "count": record.count, "price": record.price, "total": record.total}

    def records(record: dict[str, Any]) -> dict[str, Any]:
        return read(total(record))

    def life() -> Any:
        with reml_embed.Context() as fresh:
            fresh.load(REML_LIFE)
            return fresh.run("main")

    peers.versions["reml"] = reml_embed.__version__
    peers.add(EMPTY, "reml", module["empty"])
    peers.add(ADD, "reml", module["add"], 2, 3, expect=5)
    peers.add(STRING, "reml", module["echo"], TEXT, expect=TEXT)
    peers.add(RECORDS, "reml", records, RECORD, expect=ANSWER)
    peers.add(CALLBACK, "reml", module["back"], 1, expect=2)
    peers.add(BATCHES, "reml", module["scale"].map, doubles(), read=lambda answer: answer[2], expect=5.0, units=BATCH)
    peers.add(LIFE, "reml", life, expect=14)
    try:
        import numpy as np
    except ImportError:
        return
    values = np.arange(BATCH, dtype=np.float64)
    target = np.empty_like(values)
    for row, name in ((LINE, "line"), (BRANCH, "branch")):
        whole = functools.partial(module[name].map, values, out=target)
        peers.add(row, "reml", whole, read=lambda _: marks(target), expect=MARKS[row], units=BATCH)


ENGINES: dict[str, Callable[[Peers, Path], None]] = {
    "python": add_python,
    "cffi": add_cffi,
    "ctypes": add_ctypes,
    "lupa": add_lupa,
    "quickjs": add_quickjs,
    "numpy": add_numpy,
    "reml": add_reml,
}


def gather(folder: Path) -> Peers:
    """Ask every engine; one that cannot be imported or built is missing."""
    peers = Peers()
    for name, add in ENGINES.items():
        try:
            add(peers, folder)
        except ImportError as error:
            peers.missing[name] = str(error)
        except Exception as error:
            if name == "reml":
                raise
            peers.missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    peers.cases.sort(key=lambda case: ROWS.index(case.row))
    return peers
