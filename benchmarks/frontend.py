"""
How fast source becomes bytecode: ``frontend.py [--runner PATH] [--json PATH] [--rounds N] [--sizes MB …]``.

Generated modules of 0.25, 0.5, 1 and 2 MB, each a run of the same 12 declarations under other names (types, matches, records,
closures, loops, text, comments), all reached from ``main``. *runner* (``make build/bench/frontend``) loads and compiles them,
and between two rounds has Lua compile a module of the same work. Linear means: the same MB/s at every size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import machine
import measurement

RUNNER = Path(__file__).parent.parent / "build" / "bench" / "frontend"
SIZES = [0.25, 0.5, 1.0, 2.0]

REML = """
// Part {n}: orders, their totals and a report of them.
type Kind{n} = | Plain{n} | Rebate{n}(Float) | Bundle{n} {{ count: Int, name: Str }}
type Order{n} = {{ id: Int, price: Float, kind: Kind{n} }}

fn factor{n}(kind: Kind{n}) -> Float =
  match kind with
  | Plain{n} -> 1.0
  | Rebate{n}(r) when r > 0.5 -> 0.5
  | Rebate{n}(r) -> 1.0 - r
  | Bundle{n} {{ count, name }} -> if name.is_empty() {{ 1.0 }} else {{ count.to_float() }}

fn total{n}(orders: List<Order{n}>) -> Float {{
  var sum = 0.0
  for order in orders {{
    let paid = order.price * factor{n}(order.kind)
    if paid > 0.0 {{ sum += paid }}
  }}
  sum
}}

fn names{n}(orders: List<Order{n}>) -> List<Str> =
  orders
    |> List.filter(|o| o.id % 2 == 0)
    |> List.map(|o| "order " + o.id.to_string() + ", " + o.price.to_string())

fn search{n}(xs: List<Int>, wanted: Int) -> Option<Int> {{
  var low = 0
  var high = xs.len()
  while low < high {{
    let middle = (low + high) / 2
    if xs[middle] == wanted {{ return Some(middle) }}
    if xs[middle] < wanted {{ low := middle + 1 }} else {{ high := middle }}
  }}
  None
}}

fn part{n}(depth: Int) -> Int {{
  let orders = [Order{n} {{ id: {n}, price: 2.5, kind: Rebate{n}(0.25) }}, Order{n} {{ id: depth, price: 1.0, kind: Plain{n} }}]
  let found = search{n}([1, 3, 5, {n}], 5).unwrap_or(-1)
  found + names{n}(orders).len() + total{n}(orders).to_int()
}}
"""

LUA = """
-- Part {n}: orders, their totals and a report of them.
local Plain{n}, Rebate{n}, Bundle{n} = 1, 2, 3
local part{n}
do
local function factor(kind)
  if kind.tag == Plain{n} then return 1.0
  elseif kind.tag == Rebate{n} and kind.r > 0.5 then return 0.5
  elseif kind.tag == Rebate{n} then return 1.0 - kind.r
  else if kind.name == "" then return 1.0 else return kind.count end end
end

local function total(orders)
  local sum = 0.0
  for _, order in ipairs(orders) do
    local paid = order.price * factor(order.kind)
    if paid > 0.0 then sum = sum + paid end
  end
  return sum
end

local function names(orders)
  local found = {{}}
  for _, o in ipairs(orders) do
    if o.id % 2 == 0 then found[#found + 1] = "order " .. tostring(o.id) .. ", " .. tostring(o.price) end
  end
  return found
end

local function search(xs, wanted)
  local low = 0
  local high = #xs
  while low < high do
    local middle = (low + high) // 2
    if xs[middle + 1] == wanted then return middle end
    if xs[middle + 1] < wanted then low = middle + 1 else high = middle end
  end
  return nil
end

function part{n}(depth)
  local orders = {{{{ id = {n}, price = 2.5, kind = {{ tag = Rebate{n}, r = 0.25 }} }}, {{ id = depth, price = 1.0, kind = {{ tag = Plain{n} }} }}}}
  local found = search({{1, 3, 5, {n}}}, 5) or -1
  return found + #names(orders) + math.floor(total(orders))
end
parts[#parts + 1] = part{n}
end
"""


def reml_module(size: int) -> str:
    """About *size* bytes of Reml; ``main`` reaches every function and runs one."""
    parts: list[str] = []
    while sum(map(len, parts[-1:])) * len(parts) < size:
        parts.append(REML.format(n=len(parts)))
    calls = [
        f"fn group{i}(depth: Int) -> Int = " + " + ".join(f"part{n}(depth)" for n in range(i, min(i + 50, len(parts))))
        for i in range(0, len(parts), 50)
    ]
    groups = " + ".join(f"group{i}(depth)" for i in range(0, len(parts), 50))
    return "module Generated\n" + "".join(parts) + "\n".join(calls) + f"\nfn main(depth: Int) -> Int = {groups}\n"


def lua_module(count: int) -> str:
    """The same parts for Lua, each in a block of its own (a function has at most 200 local names)."""
    text = "local parts = {}\n"
    for n in range(count):
        text += "do\n" + LUA.format(n=n).replace(f"local part{n}\ndo\n", f"local part{n}\n", 1)
    return text


def rates(size: float, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one size: MB/s of every round."""
    megabytes, name = found["bytes"] / 1e6, f"{size:g} MB"
    both = [load + compiled for load, compiled in zip(found["load"], found["compile"], strict=True)]
    seconds = {"reml": both, "reml, load": found["load"], "reml, compile": found["compile"]}
    rows = [
        measurement.row(name, engine, [megabytes / taken for taken in rounds]) for engine, rounds in seconds.items()
    ]
    if "lua" in found:
        rows.append(measurement.row(name, "lua", [found["lua_bytes"] / 1e6 / taken for taken in found["lua"]]))
    return rows


def main() -> int:
    """Command line; exit 1 when a module is not compiled."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runner", type=Path, default=RUNNER)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", type=float, nargs="*", default=SIZES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pinned, load_before = machine.pin(), machine.load()
    folder = options.runner.resolve().parent / "frontend-sources"
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    print(f"{'size':<10}{'engine':<16}{'MB/s, median':>14}")
    for size in options.sizes:
        source, other = folder / f"{size:g}.reml", folder / f"{size:g}.lua"
        text = reml_module(int(size * 1e6))
        source.write_text(text, encoding="utf-8")
        other.write_text(lua_module(text.count("\ntype Kind")), encoding="utf-8")
        command = [str(options.runner), str(options.rounds), str(source), str(other)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return 1
        found = json.loads(done.stdout)
        versions |= {"lua": found["lua_version"]} if "lua" in found else {}
        for row in rates(size, found):
            print(f"{row['row']:<10}{row['engine']:<16}{statistics.median(row['samples']):14.1f}", flush=True)
            rows.append(row)
    if options.json:
        measurement.write(
            options.json,
            {
                "kind": "frontend",
                "title": "From source to bytecode",
                "baseline": "lua",
                "note": "Generated modules of the same work in both languages. Load is parsing and checking types; linear means the same MB/s at every size.",
                "unit": "MB/s",
                "environment": machine.describe(pinned, load_before, "processor time"),
                "versions": versions,
                "missing": {} if versions else {"lua": "no lua5.4 known to pkg-config"},
                "rows": rows,
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
