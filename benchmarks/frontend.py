"""
How fast source becomes bytecode: ``frontend.py --runner PATH [--json PATH]``.

Generated modules of 0.25, 0.5, 1 and 2 MB, each a run of the same 12 declarations under other names (types, matches, records,
closures, loops, text, comments), all reached from ``main``. *runner* (``make build/bench/frontend``) loads and compiles them,
and between two rounds has Lua compile a module of the same work. Linear means: the same MB/s at every size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

SIZES = [250_000, 500_000, 1_000_000, 2_000_000]

REML = """
// Part {n}: orders, their totals and a report of them.
type Kind{n} = | Plain | Rebate(Float) | Bundle {{ count: Int, name: Str }}
type Order{n} = {{ id: Int, price: Float, kind: Kind{n} }}

fn factor{n}(kind: Kind{n}) -> Float =
  match kind with
  | Plain -> 1.0
  | Rebate(r) when r > 0.5 -> 0.5
  | Rebate(r) -> 1.0 - r
  | Bundle {{ count, name }} -> if name.is_empty() {{ 1.0 }} else {{ count.to_float() }}

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
  let orders = [Order{n} {{ id: {n}, price: 2.5, kind: Rebate(0.25) }}, Order{n} {{ id: depth, price: 1.0, kind: Plain }}]
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


def main() -> int:
    """Command line; exit 1 when a module is not compiled."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runner", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.runner.resolve().parent / "frontend-sources"
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, float]] = []
    print(f"{'MB':>6} {'load MB/s':>10} {'compile MB/s':>13} {'both MB/s':>10} {'Lua MB/s':>9} {'of Lua':>7}")
    for size in SIZES:
        source, other = folder / f"{size}.reml", folder / f"{size}.lua"
        text = reml_module(size)
        source.write_text(text, encoding="utf-8")
        other.write_text(lua_module(text.count("\ntype Kind")), encoding="utf-8")
        done = subprocess.run(
            [str(options.runner), str(source), str(other)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return 1
        row = json.loads(done.stdout)
        rows.append(row)
        megabytes = row["bytes"] / 1e6
        both = megabytes / (row["load"] + row["compile"])
        lua = row["lua_bytes"] / 1e6 / row["lua"] if "lua" in row else 0.0
        print(
            f"{megabytes:6.2f} {megabytes / row['load']:10.1f} {megabytes / row['compile']:13.1f} {both:10.1f} "
            + (f"{lua:9.1f} {both / lua:7.2f}" if lua else "  missing")
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
