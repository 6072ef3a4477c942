"""
Well-typed random Reml programs, each with a Python function that says what it answers.

Every generated expression is a `Node`: its source text, its type, how tightly it binds and a function from an environment to its
value. The environment maps names to one-element lists (cells), so that closures share what they capture; a `let` makes a new
environment. Nothing here shares code with the library.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from values import (
    BOOL,
    FLOAT,
    INT,
    STR,
    Break,
    Continue,
    Err,
    Ok,
    Panic,
    Record,
    Return,
    Some,
    Variant,
    divide,
    equal,
    fit,
    float_divide,
    order,
    power,
    remainder,
    show,
    to_int,
)  # fmt: skip

Type = tuple[Any, ...]
Env = dict[str, list[Any]]
STEPS = 20_000  # of the Python evaluation; a program that needs more is thrown away

POSTFIX, PREFIX, CAST, POW, MUL, ADD, RANGE, REL, EQ, AND, OR, PIPE, LOOSE = 9, 8, 7.5, 7, 6, 5, 4.5, 4, 3, 2, 1, 0, -1


class Abort(Exception):
    """A clause of this handler has ended without resuming."""

    def __init__(self, handler: Handler, value: Any) -> None:
        super().__init__()
        self.handler, self.value = handler, value


@dataclass
class Handler:
    """A running `handle`: what its clause does, and what waits behind its calls of resume."""

    clause: Callable[[Handler, int], Any]
    after: list[Callable[[Any], Any]] = field(default_factory=list)


# Weights by static type: what the impls in PRELUDE say.
PRELUDE = """
trait Weigh {
  fn weigh(self) -> Int
  fn twice(self) -> Int = self.weigh() + self.weigh()
}
impl Weigh for Int { fn weigh(self) = self % 1000 }
impl Weigh for Str { fn weigh(self) -> Int { self.len() } }
impl Weigh for Bool {
  fn weigh(self) -> Int = if self then 1 else 0
  fn twice(self) -> Int = 7
}
impl<T: Weigh> Weigh for List<T> {
  fn weigh(self) -> Int = self.fold(0, |sum, x| sum + x.weigh())
  fn twice(self) -> Int = self.fold(1, |sum, x| sum + x.twice())
}
impl Weigh for Option<T> where T: Weigh {
  fn weigh(self) -> Int = match self with | Some(x) -> x.weigh() + 1 | None -> 0
}
impl<A: Weigh, B: Weigh> Weigh for (A, B) { fn weigh(self) -> Int = self.0.weigh() - self.1.weigh() }
fn heavier<T: Weigh>(a: T, b: T) -> T = if b.weigh() > a.weigh() then b else a
fn both_ways<A, B>(pair: (A, B), f: fn(A, B) -> C) -> (C, (B, A)) = (f(pair.0, pair.1), (pair.1, pair.0))
effect Ask { operation ask(n: Int) -> Int }
"""


def weighable(kind: Type) -> bool:
    if kind[0] in {"List", "Option", "Tuple"}:
        return all(map(weighable, kind[1:]))
    return kind in (INT, STR, BOOL)


def weigh(kind: Type, value: Any) -> int:
    if kind == INT:
        return remainder(value, 1000)
    if kind == STR:
        return len(value)
    if kind == BOOL:
        return int(value)
    if kind[0] == "List":
        return sum(weigh(kind[1], v) for v in value)
    if kind[0] == "Option":
        return 0 if value is None else weigh(kind[1], value.value) + 1
    return weigh(kind[1], value[0]) - weigh(kind[2], value[1])


def twice(kind: Type, value: Any) -> int:
    if kind == BOOL:
        return 7
    if kind[0] == "List":
        return 1 + sum(twice(kind[1], v) for v in value)
    return 2 * weigh(kind, value)


class TooLong(Exception):
    """The program needs more steps than we grant."""


@dataclass
class Node:
    """An expression; `run` evaluates it."""

    kind: Type
    text: str
    binds: float
    run: Callable[[Env], Any]

    def at(self, least: float) -> str:
        """The text where an operand must bind at least so tightly."""
        return self.text if self.binds >= least else f"({self.text})"


@dataclass
class Declared:
    """A type of the module: a record (fields) or a sum (variants with their payloads)."""

    name: str
    fields: dict[str, Type] = field(default_factory=dict)
    variants: list[tuple[str, tuple[Type, ...]]] = field(default_factory=list)


@dataclass
class Helper:
    """A function of the module."""

    name: str
    params: list[tuple[str, Type]]
    result: Type
    call: Callable[..., Any]


@dataclass
class Scope:
    """Names in scope: type and whether assignable. `loops`: break and continue are legal; `result`: of the function around."""

    names: dict[str, tuple[Type, bool]]
    loops: bool = False
    result: Type | None = None
    asks: bool = False  # within a handler of Ask

    def child(self, **more: Any) -> Scope:
        return Scope(
            dict(self.names),
            more.get("loops", self.loops),
            more.get("result", self.result),
            more.get("asks", self.asks),
        )


def in_order(work: Callable[..., Any], *operands: Node) -> Callable[[Env], Any]:
    """The operands from left to right, then `work` on their values."""
    return lambda env: work(*[operand.run(env) for operand in operands])


def head(node: Node) -> str:
    """The text as scrutinee, condition or iterable, where a brace would end the expression."""
    return f"({node.text})" if "{" in node.text else node.text


def has_hole(kind: Type) -> bool:
    """May a value of this type leave a part of it unknown, as ``None`` and ``Ok(1)`` do?"""
    return kind[0] in {"Option", "Result", "List", "Map"} or any(has_hole(k) for k in kind[1:] if isinstance(k, tuple))


def type_text(kind: Type) -> str:
    head = kind[0]
    if head == "Unit":
        return "()"
    if head == "Named":
        return kind[1]
    if head == "Tuple":
        return "(" + ", ".join(map(type_text, kind[1:])) + ")"
    if head == "Fn":
        return "fn(" + ", ".join(map(type_text, kind[1:-1])) + ") -> " + type_text(kind[-1])
    return head + ("<" + ", ".join(map(type_text, kind[1:])) + ">" if len(kind) > 1 else "")


class Module:
    """One source with many programs `p0`, `p1`, … of type `() -> Str`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.types: dict[str, Declared] = {}
        self.helpers: list[Helper] = []
        self.lines: list[str] = [PRELUDE]
        self.handlers: list[Handler] = []
        self.steps = 0
        self.fresh = 0
        self.helper_calls = 0
        self.declare_types()
        for _ in range(6):
            self.declare_helper()

    # --- small choices ------------------------------------------------------------------------------------------------

    def name(self, prefix: str) -> str:
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    def step(self) -> None:
        self.steps += 1
        if self.steps > STEPS:
            raise TooLong

    def any_type(self, depth: int = 2) -> Type:
        r = self.random
        if depth == 0 or r.random() < 0.5:
            return r.choice([INT, INT, FLOAT, BOOL, STR, STR])
        pick = r.randrange(7)
        if pick == 0:
            return ("List", self.any_type(depth - 1))
        if pick == 1:
            return ("Option", self.any_type(depth - 1))
        if pick == 2:
            return ("Tuple", self.any_type(depth - 1), self.any_type(depth - 1))
        if pick == 3:
            return ("Map", r.choice([INT, STR]), self.any_type(depth - 1))
        if pick == 4:
            return ("Result", self.any_type(depth - 1), r.choice([STR, INT]))
        return ("Named", r.choice(list(self.types))) if self.types else INT

    # --- declarations -------------------------------------------------------------------------------------------------

    def declare_types(self) -> None:
        r = self.random
        for i in range(3):
            made = Declared(f"Rec{i}", {n: self.any_type(1) for n in r.sample(["a", "b", "count", "name", "z"], 3)})
            self.lines.append(
                f"type {made.name} = {{ " + ", ".join(f"{n}: {type_text(t)}" for n, t in made.fields.items()) + " }"
            )
            self.types[made.name] = made
        for i in range(3):
            made = Declared(f"Sum{i}")
            for tag in range(r.randint(2, 5)):
                payload = tuple(self.any_type(1) for _ in range(r.choice([0, 1, 1, 2])))
                made.variants.append((f"V{i}x{tag}", payload))
            shown = [n + (f"({', '.join(map(type_text, p))})" if p else "") for n, p in made.variants]
            self.lines.append(f"type {made.name} = " + "".join(f"| {v} " for v in shown))
            self.types[made.name] = made

    def declare_helper(self) -> None:
        """A function of one to three parameters; a third of them recursive on their first."""
        r = self.random
        name = self.name("help")
        recursive = r.random() < 0.35
        params = [(self.name("q"), self.any_type(1)) for _ in range(r.randint(1, 3))]
        if recursive:
            params[0] = (params[0][0], INT)
        result = self.any_type(1)
        self.helper_calls = 1
        scope = Scope({n: (t, False) for n, t in params}, result=result)
        lines, run = self.body(scope, result, 3, 3, "  ")
        known: list[Helper] = []
        first = params[0][0]
        guard: list[str] = []
        base: Node | None = None
        if recursive:
            base = self.expr(scope, result, 1)
            guard = [f"  if {first} <= 0 {{ return {base.text} }}"]
            again = [self.expr(scope, t, 1) for _, t in params[1:]]
            merged = f"{name}({', '.join([f'{first} - 1', *(a.text for a in again)])})"
            lines = [*guard, f"  let again = {merged}", *lines]

        def call(*arguments: Any) -> Any:
            self.step()
            env: Env = {n: [v] for (n, _), v in zip(params, arguments, strict=True)}
            try:
                if base is not None:
                    if arguments[0] <= 0:
                        return base.run(env)
                    rest = [a.run(env) for a in again]
                    env["again"] = [known[0].call(fit(arguments[0] - 1), *rest)]
                return run(env)
            except Return as left:
                return left.value

        self.lines.append(
            f"fn {name}({', '.join(f'{n}: {type_text(t)}' for n, t in params)}) -> {type_text(result)} {{\n"
            + "\n".join(lines) + "\n}"
        )  # fmt: skip
        known.append(Helper(name, params, result, call))
        self.helpers.append(known[0])

    def program(self, index: int) -> tuple[str, Callable[[], str]] | None:
        """Source of `p<index>` and what it answers or panics with; None when it runs too long."""
        self.helper_calls = 3
        result = self.any_type(2)
        lines, run = self.body(Scope({}, result=result), result, 4, 5, "  ")
        text = (
            f"fn v{index}() -> {type_text(result)} {{\n" + "\n".join(lines) + "\n}\n"
            f"fn p{index}() -> Str = v{index}().to_string()"
        )

        def answer() -> str:
            self.steps = 0
            self.handlers.clear()
            try:
                value = run({})
            except Return as left:
                value = left.value
            return show(result, value, self.types)

        try:
            expected = answer()
        except Panic as panic:
            expected = f"panic {panic.code}"
        except (TooLong, RecursionError):
            return None
        return text, lambda: expected

    # --- statements ---------------------------------------------------------------------------------------------------

    def body(
        self, scope: Scope, result: Type, depth: int, most: int, indent: str
    ) -> tuple[list[str], Callable[[Env], Any]]:
        """Some statements and a last expression."""
        scope = scope.child()
        lines: list[str] = []
        parts: list[Callable[[Env], Env]] = []
        for _ in range(self.random.randint(0, most)):
            text, run = self.statement(scope, depth, indent)
            lines += text
            parts.append(run)
        last = self.expr(scope, result, depth)
        lines.append(indent + last.text)

        def run_all(env: Env) -> Any:
            for part in parts:
                env = part(env)
            return last.run(env)

        return lines, run_all

    def block(self, scope: Scope, depth: int, indent: str, **more: Any) -> tuple[list[str], Callable[[Env], None]]:
        """Statements without a value."""
        scope = scope.child(**more)
        lines: list[str] = []
        parts: list[Callable[[Env], Env]] = []
        for _ in range(self.random.randint(1, 3)):
            text, run = self.statement(scope, depth, indent)
            lines += text
            parts.append(run)

        def run_all(env: Env) -> None:
            for part in parts:
                env = part(env)

        return lines, run_all

    def statement(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        r = self.random
        assignable = [n for n, (t, mutable) in scope.names.items() if mutable]
        pick = r.random()
        if depth > 0 and pick < 0.12:
            return self.if_statement(scope, depth - 1, indent)
        if depth > 0 and pick < 0.2:
            return self.for_statement(scope, depth - 1, indent)
        if depth > 0 and pick < 0.26:
            return self.while_statement(scope, depth - 1, indent)
        if assignable and pick < 0.45:
            return self.assignment(scope, r.choice(assignable), depth, indent)
        if pick < 0.5 and depth > 0:
            return self.leave(scope, depth - 1, indent)
        if pick < 0.56:
            return self.split_tuple(scope, depth, indent)
        if pick < 0.62 and depth > 0:
            return self.closure(scope, depth - 1, indent)
        if pick < 0.68 and scope.result and scope.result[0] in {"Option", "Result"}:
            return self.try_statement(scope, depth, indent)
        kind = self.any_type(2)
        value = self.expr(scope, kind, depth)
        mutable = r.random() < 0.4
        reuse = [n for n in scope.names if n.startswith("x")]
        name = r.choice(reuse) if reuse and r.random() < 0.2 else self.name("x")
        scope.names[name] = (kind, mutable)
        written = f": {type_text(kind)}" if r.random() < 0.6 or has_hole(kind) else ""

        def run(env: Env) -> Env:
            self.step()
            return {**env, name: [value.run(env)]}

        return [f"{indent}{'var' if mutable else 'let'} {name}{written} = {value.text}"], run

    def split_tuple(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        kind = ("Tuple", self.any_type(1), self.any_type(1))
        value = self.expr(scope, kind, depth)
        left, right = self.name("x"), self.name("x")
        scope.names[left], scope.names[right] = (kind[1], False), (kind[2], False)

        def run(env: Env) -> Env:
            a, b = value.run(env)
            return {**env, left: [a], right: [b]}

        return [f"{indent}let ({left}, {right}): {type_text(kind)} = {value.text}"], run

    def closure(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        """`let f = |a| { counter += …; … }`: what it captures stays shared."""
        given, result = self.any_type(1), self.any_type(1)
        name, param = self.name("x"), self.name("l")
        inner = scope.child(loops=False, result=None, asks=False)
        inner.names[param] = (given, False)
        numbers = [n for n, (t, mutable) in scope.names.items() if mutable and t == INT]
        change = self.random.choice(numbers) if numbers else None
        body = self.expr(inner, result, depth)
        count = f"{change} += 1; " if change else ""
        scope.names[name] = (("Fn", given, result), False)

        def run(env: Env) -> Env:
            captured = env

            def call(value: Any) -> Any:
                self.step()
                if change:
                    captured[change][0] = fit(captured[change][0] + 1)
                return body.run({**captured, param: [value]})

            return {**env, name: [call]}

        text = f"{indent}let {name} = |{param}: {type_text(given)}| -> {type_text(result)} {{ {count}{body.text} }}"
        return [text], run

    def try_statement(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        """`let x = e?` in a function that answers an Option or a Result."""
        assert scope.result is not None
        kind = self.any_type(1)
        carrier = (scope.result[0], kind, *scope.result[2:])
        value = self.expr(scope, carrier, depth)
        name, held = self.name("x"), self.name("x")
        scope.names[name] = (kind, False)

        def run(env: Env) -> Env:
            found = value.run(env)
            if found is None or isinstance(found, Err):
                raise Return(found)
            return {**env, name: [found.value]}

        lines = [f"{indent}let {held}: {type_text(carrier)} = {value.text}", f"{indent}let {name} = {held}?"]
        return lines, run

    def assignment(self, scope: Scope, name: str, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        kind = scope.names[name][0]
        value = self.expr(scope, kind, depth)
        if kind == INT and self.random.random() < 0.6:
            sign, work = self.random.choice(
                [("+=", lambda a, b: a + b), ("-=", lambda a, b: a - b), ("*=", lambda a, b: a * b)]
            )

            def add(env: Env) -> Env:
                old = env[name][0]
                env[name][0] = fit(work(old, value.run(env)))
                return env

            return [f"{indent}{name} {sign} {value.text}"], add

        def put(env: Env) -> Env:
            self.step()
            env[name][0] = value.run(env)
            return env

        return [f"{indent}{name} := {value.text}"], put

    def if_statement(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        test = self.expr(scope, BOOL, depth)
        yes_text, yes = self.block(scope, depth, indent + "  ")
        has_else = self.random.random() < 0.5
        no_text, no = self.block(scope, depth, indent + "  ") if has_else else ([], None)
        lines = [f"{indent}if {head(test)} {{", *yes_text, indent + ("} else {" if has_else else "}"), *no_text]
        if has_else:
            lines.append(indent + "}")

        def run(env: Env) -> Env:
            self.step()
            if test.run(env):
                yes(env)
            elif no:
                no(env)
            return env

        return lines, run

    def for_statement(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        name = self.name("i")
        if self.random.random() < 0.5:
            low, high = self.random.randint(-2, 2), self.random.randint(-1, 5)
            inclusive = self.random.random() < 0.3
            over_text, kind = f"{low}..{'=' if inclusive else ''}{high}", INT

            def items(_env: Env) -> Any:
                return range(low, high + inclusive)

        else:
            kind = self.any_type(1)
            over = self.expr(scope, ("List", kind), 1)
            over_text, items = head(over), over.run
        inner = scope.child(loops=True)
        inner.names[name] = (kind, False)
        lines, body = self.block(inner, depth, indent + "  ", loops=True)

        def run(env: Env) -> Env:
            for item in items(env):
                self.step()
                try:
                    body({**env, name: [item]})
                except Break:
                    break
                except Continue:
                    continue
            return env

        return [f"{indent}for {name} in {over_text} {{", *lines, indent + "}"], run

    def while_statement(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        """Counted, so that it ends: `continue` comes after the count."""
        name = self.name("n")
        test = self.expr(scope, BOOL, min(depth, 2))
        lines, body = self.block(scope, depth, indent + "    ", loops=True)
        times = self.random.randint(1, 4)

        def run(env: Env) -> Env:
            count = 0
            while count < times and test.run(env):
                self.step()
                count += 1
                try:
                    body(env)
                except Break:
                    break
                except Continue:
                    continue
            return env

        condition = f"({test.text})" if "{" in test.text else test.at(EQ)
        opening = [f"{indent}{{", f"{indent}  var {name} = 0", f"{indent}  while {name} < {times} && {condition} {{"]
        return [*opening, f"{indent}    {name} += 1", *lines, f"{indent}  }}", f"{indent}}}"], run

    def leave(self, scope: Scope, depth: int, indent: str) -> tuple[list[str], Callable[[Env], Env]]:
        """`if … { break }` and the like, or an early return."""
        test = self.expr(scope, BOOL, depth)
        if scope.loops and self.random.random() < 0.7:
            word, how = self.random.choice([("break", Break), ("continue", Continue)])

            def run(env: Env) -> Env:
                if test.run(env):
                    raise how
                return env

            return [f"{indent}if {head(test)} {{ {word} }}"], run
        assert scope.result is not None
        value = self.expr(scope, scope.result, depth)

        def run_return(env: Env) -> Env:
            if test.run(env):
                raise Return(value.run(env))
            return env

        return [f"{indent}if {head(test)} {{ return {value.text} }}"], run_return

    # --- expressions --------------------------------------------------------------------------------------------------

    def expr(self, scope: Scope, kind: Type, depth: int) -> Node:
        r = self.random
        found = [n for n, (t, _) in scope.names.items() if t == kind]
        if found and r.random() < (0.6 if depth <= 0 else 0.25):
            name = r.choice(found)
            return Node(kind, name, POSTFIX + 1, lambda env: env[name][0])
        if depth <= 0:
            return self.literal(scope, kind, 0)
        general = [
            self.choose,
            self.pick_match,
            self.call_helper,
            self.from_option,
            self.through_lambda,
            self.from_tuple,
            self.through_block,
            self.call_closure,
            self.choose_heavier,
            self.handled,
            self.swapped,
        ]
        if r.random() < 0.25 and (made := r.choice(general)(scope, kind, depth - 1)):
            return made
        maker = getattr(self, "make_" + kind[0].lower(), None)
        made = maker(scope, kind, depth - 1) if maker and r.random() < 0.8 else None
        return made or self.literal(scope, kind, depth - 1)

    def literal(self, scope: Scope, kind: Type, depth: int) -> Node:
        r = self.random
        form = kind[0]
        if form == "Int":
            value = r.choice(
                [0, 1, 2, 3, 5, 7, 10, -1, -2, -7, 100, 2**31, 2**62, -(2**63), 2**63 - 1, r.randint(-99, 99)]
            )
            return Node(kind, str(value), PREFIX if value < 0 else POSTFIX, lambda _env: value)
        if form == "Float":
            number = r.choice([0.0, 1.0, -1.5, 0.1, 1e300, 2.5e-7, 3.0, 1e16, r.randint(-50, 50) / 4])
            text = repr(number) if "e" in repr(number) and "." in repr(number) else repr(number).replace("e+", "e")
            return Node(kind, text, PREFIX if text.startswith("-") else POSTFIX, lambda _env: number)
        if form == "Bool":
            truth = r.random() < 0.5
            return Node(kind, "true" if truth else "false", POSTFIX, lambda _env: truth)
        if form == "Str":
            text = r.choice(["", "a", "b c", "Reml", "x,y,z", "é日本", "tab\there", 'quo"te', "12", "-7", "zz", "\\"])
            escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
            return Node(kind, f'"{escaped}"', POSTFIX, lambda _env: text)
        if form == "Unit":
            return Node(kind, "()", POSTFIX, lambda _env: ())
        if form == "List":
            parts = [self.expr(scope, kind[1], depth) for _ in range(r.randint(1, 4))]
            return Node(
                kind, "[" + ", ".join(p.text for p in parts) + "]", POSTFIX, lambda env: [p.run(env) for p in parts]
            )
        if form == "Tuple":
            parts = [self.expr(scope, k, depth) for k in kind[1:]]
            return Node(
                kind,
                "(" + ", ".join(p.text for p in parts) + ")",
                POSTFIX,
                lambda env: tuple(p.run(env) for p in parts),
            )
        if form == "Option":
            if r.random() < 0.3:
                return Node(kind, "None", POSTFIX, lambda _env: None)
            inner = self.expr(scope, kind[1], depth)
            return Node(kind, f"Some({inner.text})", POSTFIX, lambda env: Some(inner.run(env)))
        if form == "Result":
            good = r.random() < 0.6
            inner = self.expr(scope, kind[1 if good else 2], depth)
            make = Ok if good else Err
            return Node(kind, f"{'Ok' if good else 'Err'}({inner.text})", POSTFIX, lambda env: make(inner.run(env)))
        if form == "Map":
            pairs = [(self.expr(scope, kind[1], 0), self.expr(scope, kind[2], depth)) for _ in range(r.randint(1, 3))]
            text = "Map.from_list([" + ", ".join(f"({k.text}, {v.text})" for k, v in pairs) + "])"
            return Node(kind, text, POSTFIX, lambda env: {k.run(env): v.run(env) for k, v in pairs})
        return self.construct(scope, kind, depth)

    def construct(self, scope: Scope, kind: Type, depth: int) -> Node:
        """A record with its fields in any order, or a constructor."""
        declared = self.types[kind[1]]
        if declared.fields:
            names = list(declared.fields)
            self.random.shuffle(names)
            parts = [(n, self.expr(scope, declared.fields[n], depth)) for n in names]
            sign = self.random.choice([": ", " = "])
            text = f"{kind[1]} {{ " + ", ".join(f"{n}{sign}{p.text}" for n, p in parts) + " }"

            def make(env: Env) -> Record:
                found = {n: p.run(env) for n, p in parts}
                return Record(kind[1], tuple((n, found[n]) for n in sorted(found)))

            return Node(kind, text, POSTFIX, make)
        tag = self.random.randrange(len(declared.variants))
        name, payload = declared.variants[tag]
        values = [self.expr(scope, k, depth) for k in payload]
        prefix = self.random.choice(["", "", kind[1] + ".", kind[1] + "::"])
        text = prefix + name + (f"({', '.join(v.text for v in values)})" if values else "")
        return Node(kind, text, POSTFIX, lambda env: Variant(tag, name, tuple(v.run(env) for v in values)))

    # --- forms for any type -------------------------------------------------------------------------------------------

    def choose(self, scope: Scope, kind: Type, depth: int) -> Node:
        test, yes, no = self.expr(scope, BOOL, depth), self.expr(scope, kind, depth), self.expr(scope, kind, depth)
        return Node(
            kind, f"if {head(test)} then {yes.text} else {no.text}", LOOSE,
            lambda env: yes.run(env) if test.run(env) else no.run(env),
        )  # fmt: skip

    def through_block(self, scope: Scope, kind: Type, depth: int) -> Node:
        """`if true { let …; value } else { … }`: statements inside an expression."""
        name, inner_kind = self.name("x"), self.any_type(1)
        value = self.expr(scope, inner_kind, depth)
        inner = scope.child()
        inner.names[name] = (inner_kind, False)
        result = self.expr(inner, kind, depth)
        text = f"{{ let {name} = {value.text}; {result.text} }}"
        if has_hole(inner_kind):
            text = f"{{ let {name}: {type_text(inner_kind)} = {value.text}; {result.text} }}"
        return Node(kind, text, LOOSE, lambda env: result.run({**env, name: [value.run(env)]}))

    def call_helper(self, scope: Scope, kind: Type, depth: int) -> Node | None:
        able = [h for h in self.helpers if h.result == kind]
        if not able or self.helper_calls <= 0:
            return None
        self.helper_calls -= 1
        helper = self.random.choice(able)
        values = [self.expr(scope, t, depth) for _, t in helper.params]
        if helper.params[0][1] == INT:
            small = self.random.randint(0, 4)
            values[0] = Node(INT, str(small), POSTFIX, lambda _env: small)
        positional = self.random.randint(0, len(values))
        written = [v.text for v in values[:positional]]
        written += [
            f"{n} = {v.text}" for (n, _), v in zip(helper.params[positional:], values[positional:], strict=True)
        ]
        return Node(
            kind,
            f"{helper.name}({', '.join(written)})",
            POSTFIX,
            lambda env: helper.call(*[v.run(env) for v in values]),
        )

    def through_lambda(self, scope: Scope, kind: Type, depth: int) -> Node:
        """A lambda called on the spot through a pipe."""
        name, given = self.name("l"), self.any_type(1)
        value = self.expr(scope, given, depth)
        inner = scope.child(loops=False)
        inner.names = {n: (t, False) for n, (t, _) in inner.names.items()} | {name: (given, False)}
        body = self.expr(inner, kind, depth)
        return Node(
            kind, f"{value.at(OR)} |> |{name}: {type_text(given)}| {body.at(PIPE + 0.5)}", LOOSE,
            lambda env: body.run({**env, name: [value.run(env)]}),
        )  # fmt: skip

    def call_closure(self, scope: Scope, kind: Type, depth: int) -> Node | None:
        able = [(n, t) for n, (t, _) in scope.names.items() if t[0] == "Fn" and t[-1] == kind]
        if not able:
            return None
        name, form = self.random.choice(able)
        value = self.expr(scope, form[1], depth)
        return Node(kind, f"{name}({value.text})", POSTFIX, lambda env: (env[name][0])(value.run(env)))

    def choose_heavier(self, scope: Scope, kind: Type, depth: int) -> Node | None:
        """A generic function that calls a trait's method."""
        if not weighable(kind):
            return None
        a, b = self.expr(scope, kind, depth), self.expr(scope, kind, depth)
        name = self.name("x")
        text = f"{{ let {name}: {type_text(kind)} = {a.text}; heavier({name}, {b.text}) }}"
        return Node(kind, text, LOOSE, in_order(lambda x, y: y if weigh(kind, y) > weigh(kind, x) else x, a, b))

    def swapped(self, scope: Scope, kind: Type, depth: int) -> Node:
        """A generic function of a pair and a lambda of two parameters."""
        other = self.any_type(1)
        a, b = self.expr(scope, kind, depth), self.expr(scope, other, depth)
        x, y, name = self.name("l"), self.name("l"), self.name("x")
        text = (
            f"{{ let {name}: {type_text(('Tuple', kind, other))} = ({a.text}, {b.text}); "
            f"both_ways({name}, |{x}, {y}| ({y}, {x})).0.1 }}"
        )
        return Node(kind, text, LOOSE, in_order(lambda found, _other: found, a, b))

    def handled(self, scope: Scope, kind: Type, depth: int) -> Node | None:
        """`handle … with handler Ask { … }`: resumes with a computed answer, sometimes gives up, sometimes works on what comes back."""
        if depth <= 0:
            return None
        r = self.random
        inner = scope.child(asks=True)
        body = self.expr(inner, kind, depth)
        factor, most = r.randint(-2, 3), r.choice([None, 5, 100])
        given_up = self.expr(scope, kind, 0)
        returned = self.name("l")
        outer = scope.child()
        outer.names[returned] = (kind, False)
        last = self.expr(outer, kind, 1)
        adds = kind == INT and r.random() < 0.5
        resume = f"resume(n * {factor} + 1)" + (" + 3" if adds else "")
        clause = f"if n > {most} {{ {given_up.text} }} else {{ {resume} }}" if most else resume
        text = (
            f"handle {{ {body.text} }} with handler Ask {{ operation ask(n, resume) {{ {clause} }} "
            f"return {returned} {{ {last.text} }} }}"
        )

        def run(env: Env) -> Any:
            def answer(handler: Handler, n: int) -> Any:
                if most and n > most:
                    raise Abort(handler, given_up.run(env))
                value = fit(fit(n * factor) + 1)
                if adds:
                    handler.after.append(lambda found: fit(found + 3))
                return value

            handler = Handler(answer)
            depth_before = len(self.handlers)
            self.handlers.append(handler)
            try:
                value = body.run(env)
                del self.handlers[depth_before:]
                value = last.run({**env, returned: [value]})
            except Abort as abort:
                if abort.handler is not handler:
                    raise
                value = abort.value
            finally:
                del self.handlers[depth_before:]
            for work in reversed(handler.after):
                value = work(value)
            return value

        return Node(kind, f"({text})", POSTFIX, run)

    def ask(self, scope: Scope, depth: int) -> Node:
        n = self.expr(scope, INT, depth)

        def run(env: Env) -> Any:
            value = n.run(env)
            self.step()
            handler, hidden = self.handlers[-1], self.handlers
            self.handlers = hidden[:-1]  # the clause runs outside of its handler
            try:
                return handler.clause(handler, value)
            finally:
                self.handlers = hidden

        return Node(INT, f"(do Ask.ask({n.text}))", POSTFIX, run)

    def from_option(self, scope: Scope, kind: Type, depth: int) -> Node:
        option, other = self.expr(scope, ("Option", kind), depth), self.expr(scope, kind, depth)
        if self.random.random() < 0.2:

            def unwrap(env: Env) -> Any:
                found = option.run(env)
                if found is None:
                    raise Panic("runtime.unwrap")
                return found.value

            typed = f"{{ let o: {type_text(option.kind)} = {option.text}; o.unwrap() }}"
            return Node(kind, typed, LOOSE, unwrap)

        def run(env: Env) -> Any:
            found, spare = option.run(env), other.run(env)
            return spare if found is None else found.value

        return Node(kind, f"{option.at(POSTFIX)}.unwrap_or({other.text})", POSTFIX, run)

    def from_tuple(self, scope: Scope, kind: Type, depth: int) -> Node:
        other = self.any_type(1)
        first = self.random.random() < 0.5
        pair = self.expr(scope, ("Tuple", kind, other) if first else ("Tuple", other, kind), depth)
        index = 0 if first else 1
        return Node(kind, f"{pair.at(POSTFIX)}.{index}", POSTFIX, lambda env: pair.run(env)[index])

    def pick_match(self, scope: Scope, kind: Type, depth: int) -> Node:
        """A match over a sum, an option, an integer, a list or a tuple."""
        r = self.random
        over: Type = r.choice(
            [
                INT,
                ("Option", self.any_type(1)),
                ("List", self.any_type(1)),
                ("Named", r.choice([n for n, d in self.types.items() if d.variants])),
            ]
        )
        value = self.expr(scope, over, depth)
        arms: list[tuple[str, Node | None, Callable[[Any], dict[str, Any] | None], Node]] = []

        def arm(pattern: str, names: dict[str, Type], test: Callable[[Any], dict[str, Any] | None]) -> None:
            inner = scope.child()
            inner.names |= {n: (t, False) for n, t in names.items()}
            guard = self.expr(inner, BOOL, min(depth, 1)) if r.random() < 0.2 else None
            arms.append((pattern, guard, test, self.expr(inner, kind, depth)))

        if over == INT:
            for _ in range(r.randint(1, 3)):
                a = r.randint(-3, 8)
                b = a + r.randint(0, 5)
                form = r.randrange(3)
                if form == 0:
                    arm(str(a), {}, lambda v, a=a: {} if v == a else None)
                elif form == 1:
                    arm(f"{a}..={b}", {}, lambda v, a=a, b=b: {} if a <= v <= b else None)
                else:
                    arm(f"{a} | {b + 1}", {}, lambda v, a=a, b=b: {} if v in (a, b + 1) else None)
            n = self.name("m")
            arm(n, {n: INT}, lambda v: {n: v})
        elif over[0] == "Option":
            n = self.name("m")
            arm(f"Some({n})", {n: over[1]}, lambda v: None if v is None else {n: v.value})
            arm("None", {}, lambda v: {} if v is None else None)
        elif over[0] == "List":
            h, t = self.name("m"), self.name("m")
            arm("[]", {}, lambda v: None if v else {})
            arm(f"[{h}]", {h: over[1]}, lambda v: {h: v[0]} if len(v) == 1 else None)
            arm(f"[{h}, ..{t}]", {h: over[1], t: over}, lambda v: {h: v[0], t: v[1:]} if v else None)
        else:
            for tag, (name, payload) in enumerate(self.types[over[1]].variants):
                names = [self.name("m") if r.random() < 0.8 else "_" for _ in payload]
                pattern = name + (f"({', '.join(names)})" if names else "")
                bound = {n: t for n, t in zip(names, payload, strict=True) if n != "_"}
                arm(
                    pattern, bound,
                    lambda v, tag=tag, names=names: {n: p for n, p in zip(names, v.payload, strict=True) if n != "_"} if v.tag == tag else None,
                )  # fmt: skip
        last = self.expr(scope, kind, 0)
        arms.append(("_", None, lambda _v: {}, last))
        text = " ".join(
            f"| {pattern}{f' when {guard.at(OR)}' if guard else ''} -> {body.at(PIPE)}"
            for pattern, guard, _, body in arms
        )
        scrutinee = self.name("s")
        shown = f"match {scrutinee} {{ {text} }}" if r.random() < 0.4 else f"match {scrutinee} with {text}"
        shown = f"{{ let {scrutinee}: {type_text(over)} = {value.text}; {shown} }}"

        def run(env: Env) -> Any:
            self.step()
            found = value.run(env)
            for _, guard, test, body in arms:
                bound = test(found)
                if bound is None:
                    continue
                inner = {**env, **{n: [v] for n, v in bound.items()}}
                if guard is None or guard.run(inner):
                    return body.run(inner)
            raise Panic("runtime.match.no_arm")

        return Node(kind, shown, LOOSE, run)

    # --- forms for one type -------------------------------------------------------------------------------------------

    def make_int(self, scope: Scope, _kind: Type, depth: int) -> Node:
        r = self.random
        if scope.asks and r.random() < 0.4:
            return self.ask(scope, depth)
        if r.random() < 0.1:
            kind = self.any_type(2)
            if weighable(kind):
                name, value = self.name("x"), self.expr(scope, kind, depth)
                method, work = r.choice([("weigh", weigh), ("twice", twice)])
                text = f"{{ let {name}: {type_text(kind)} = {value.text}; {name}.{method}() }}"
                return Node(INT, text, LOOSE, in_order(lambda found: work(kind, found), value))
        pick = r.randrange(10)
        if pick < 6:
            sign, binds, work = r.choice([
                ("+", ADD, lambda a, b: fit(a + b)), ("-", ADD, lambda a, b: fit(a - b)), ("*", MUL, lambda a, b: fit(a * b)),
                ("/", MUL, divide), ("%", MUL, remainder), ("^", POW, power),
            ])  # fmt: skip
            a, b = self.expr(scope, INT, depth), self.expr(scope, INT, depth)
            left, right = (CAST, POW) if sign == "^" else (binds, binds + 0.25)
            return Node(INT, f"{a.at(left)} {sign} {b.at(right)}", binds, lambda env: work(a.run(env), b.run(env)))
        if pick == 6:
            a = self.expr(scope, INT, depth)
            return Node(INT, f"-({a.text})", PREFIX, lambda env: fit(-a.run(env)))
        if pick == 7:
            s = self.expr(scope, STR, depth)
            return Node(INT, f"{s.at(POSTFIX)}.len()", POSTFIX, lambda env: len(s.run(env)))
        if pick == 8:
            xs = self.expr(scope, ("List", INT), depth)

            def total(env: Env) -> int:
                value = 0
                for x in xs.run(env):
                    value = fit(value + x)
                return value

            return Node(INT, f"{xs.at(POSTFIX)}.sum()", POSTFIX, total)
        f = self.expr(scope, FLOAT, depth)
        return Node(INT, f"{f.at(POSTFIX)}.to_int()", POSTFIX, lambda env: to_int(f.run(env)))

    def make_float(self, scope: Scope, _kind: Type, depth: int) -> Node:
        r = self.random
        if r.random() < 0.75:
            sign, binds, work = r.choice([
                ("+", ADD, lambda a, b: a + b), ("-", ADD, lambda a, b: a - b), ("*", MUL, lambda a, b: a * b),
                ("/", MUL, float_divide),
            ])  # fmt: skip
            a, b = self.expr(scope, FLOAT, depth), self.expr(scope, FLOAT, depth)
            return Node(
                FLOAT, f"{a.at(binds)} {sign} {b.at(binds + 0.25)}", binds, lambda env: work(a.run(env), b.run(env))
            )
        a = self.expr(scope, INT, depth)
        if r.random() < 0.5:
            return Node(FLOAT, f"{a.at(PREFIX)} as Float", CAST, lambda env: float(a.run(env)))
        return Node(FLOAT, f"{a.at(POSTFIX)}.to_float()", POSTFIX, lambda env: float(a.run(env)))

    def make_bool(self, scope: Scope, _kind: Type, depth: int) -> Node:
        r = self.random
        pick = r.randrange(6)
        if pick < 2:
            kind = self.any_type(1)
            a, b = self.expr(scope, kind, depth), self.expr(scope, kind, depth)
            same = r.random() < 0.5
            named = f"{{ let e: {type_text(kind)} = {a.text}; e {'==' if same else '!='} {b.at(REL)} }}"
            return Node(BOOL, named, LOOSE, lambda env: equal(kind, a.run(env), b.run(env), self.types) == same)
        if pick == 2:
            kind = r.choice([INT, INT, STR, BOOL, ("Tuple", INT, STR), ("List", INT)])
            a, b = self.expr(scope, kind, depth), self.expr(scope, kind, depth)
            sign, test = r.choice(
                [("<", lambda o: o < 0), ("<=", lambda o: o <= 0), (">", lambda o: o > 0), (">=", lambda o: o >= 0)]
            )
            return Node(
                BOOL, f"{a.at(RANGE)} {sign} {b.at(RANGE)}", REL, lambda env: test(order(kind, a.run(env), b.run(env)))
            )
        if pick == 3:
            a, b = self.expr(scope, BOOL, depth), self.expr(scope, BOOL, depth)
            if r.random() < 0.5:
                return Node(BOOL, f"{a.at(AND)} && {b.at(EQ)}", AND, lambda env: a.run(env) and b.run(env))
            return Node(BOOL, f"{a.at(OR)} || {b.at(AND)}", OR, lambda env: a.run(env) or b.run(env))
        if pick == 4:
            a = self.expr(scope, BOOL, depth)
            return Node(BOOL, f"!{a.at(POSTFIX)}", PREFIX, lambda env: not a.run(env))
        xs, x = self.expr(scope, ("List", INT), depth), self.expr(scope, INT, depth)
        return Node(
            BOOL,
            f"{xs.at(POSTFIX)}.contains({x.text})",
            POSTFIX,
            in_order(lambda found, given: given in found, xs, x),
        )

    def make_str(self, scope: Scope, _kind: Type, depth: int) -> Node:
        r = self.random
        pick = r.randrange(7)
        s = self.expr(scope, STR, depth)
        if pick < 2:
            t = self.expr(scope, STR, depth)
            sign = r.choice(["+", "++"])
            return Node(STR, f"{s.at(ADD)} {sign} {t.at(ADD + 0.25)}", ADD, lambda env: s.run(env) + t.run(env))
        if pick == 2:
            kind = self.any_type(1)
            value = self.expr(scope, kind, depth)
            text = f"{{ let t: {type_text(kind)} = {value.text}; t.to_string() }}"
            return Node(STR, text, LOOSE, lambda env: show(kind, value.run(env), self.types))
        if pick == 3:
            n = self.expr(scope, INT, 0)
            return Node(
                STR,
                f"{s.at(POSTFIX)}.take({n.text})",
                POSTFIX,
                in_order(lambda found, given: found[: max(0, given)], s, n),
            )
        if pick == 4:
            return Node(STR, f"{s.at(POSTFIX)}.reverse()", POSTFIX, lambda env: s.run(env)[::-1])
        if pick == 5:
            parts = self.expr(scope, ("List", STR), depth)
            return Node(STR, f'{parts.at(POSTFIX)}.join("-")', POSTFIX, lambda env: "-".join(parts.run(env)))
        n = self.expr(scope, INT, depth)
        return Node(
            STR, f'format("%s|%05d|%x", {s.text}, {n.text}, 255)', POSTFIX,
            in_order(lambda found, given: f"{found}|{given:05d}|ff", s, n),
        )  # fmt: skip

    def make_list(self, scope: Scope, kind: Type, depth: int) -> Node | None:
        r = self.random
        item = kind[1]
        pick = r.randrange(7)
        if pick == 0:
            a, b = self.expr(scope, kind, depth), self.expr(scope, kind, depth)
            return Node(kind, f"{a.at(ADD)} ++ {b.at(ADD + 0.25)}", ADD, lambda env: a.run(env) + b.run(env))
        if pick < 3:
            given = self.any_type(1)
            xs = self.expr(scope, ("List", given), depth)
            name = self.name("l")
            inner = scope.child(loops=False)
            inner.names = {n: (t, False) for n, (t, _) in inner.names.items()} | {name: (given, False)}
            if pick == 1:
                body = self.expr(inner, item, min(depth, 2))

                def mapped(env: Env) -> list[Any]:
                    out = []
                    for x in xs.run(env):
                        self.step()
                        out.append(body.run({**env, name: [x]}))
                    return out

                return Node(kind, f"{xs.at(POSTFIX)}.map(|{name}| {body.text})", POSTFIX, mapped)
            ys = self.expr(scope, kind, depth)
            inner.names[name] = (item, False)
            test = self.expr(inner, BOOL, min(depth, 2))
            return Node(
                kind, f"{ys.at(OR)} |> List.filter(|{name}| {test.text})", LOOSE,
                lambda env: [y for y in ys.run(env) if test.run({**env, name: [y]})],
            )  # fmt: skip
        xs = self.expr(scope, kind, depth)
        if pick == 3:
            x = self.expr(scope, item, depth)
            return Node(
                kind,
                f"{xs.at(POSTFIX)}.push({x.text})",
                POSTFIX,
                in_order(lambda found, given: [*found, given], xs, x),
            )
        if pick == 4:
            return Node(kind, f"{xs.at(POSTFIX)}.reverse()", POSTFIX, lambda env: xs.run(env)[::-1])
        if pick == 5:
            n = self.expr(scope, INT, 0)
            if r.random() < 0.5:
                return Node(
                    kind,
                    f"{xs.at(POSTFIX)}.take({n.text})",
                    POSTFIX,
                    in_order(lambda found, given: found[: max(0, given)], xs, n),
                )
            return Node(
                kind,
                f"{xs.at(POSTFIX)}.drop({n.text})",
                POSTFIX,
                in_order(lambda found, given: found[max(0, given) :], xs, n),
            )
        if item in (INT, STR, FLOAT):
            return Node(
                kind, f"{xs.at(POSTFIX)}.sort()", POSTFIX,
                lambda env: sorted(xs.run(env), key=functools.cmp_to_key(lambda a, b: order(item, a, b))),
            )  # fmt: skip
        return None

    def make_option(self, scope: Scope, kind: Type, depth: int) -> Node:
        xs, n = self.expr(scope, ("List", kind[1]), depth), self.expr(scope, INT, 0)

        def get(env: Env) -> Any:
            found, at = xs.run(env), n.run(env)
            return Some(found[at]) if 0 <= at < len(found) else None

        if self.random.random() < 0.5:
            return Node(kind, f"{xs.at(POSTFIX)}.get({n.text})", POSTFIX, get)
        return Node(
            kind,
            f"{xs.at(POSTFIX)}.first()",
            POSTFIX,
            in_order(lambda found: Some(found[0]) if found else None, xs),
        )

    def make_map(self, scope: Scope, kind: Type, depth: int) -> Node:
        m, k = self.expr(scope, kind, depth), self.expr(scope, kind[1], 0)
        if self.random.random() < 0.3:
            return Node(
                kind, f"{m.at(POSTFIX)}.remove({k.text})", POSTFIX,
                in_order(lambda found, key: {a: b for a, b in found.items() if a != key}, m, k),
            )  # fmt: skip
        v = self.expr(scope, kind[2], depth)
        return Node(
            kind, f"{m.at(POSTFIX)}.insert({k.text}, {v.text})", POSTFIX,
            in_order(lambda found, key, given: found | {key: given}, m, k, v),
        )  # fmt: skip

    def make_named(self, scope: Scope, kind: Type, depth: int) -> Node | None:
        declared = self.types[kind[1]]
        if not declared.fields:
            return None
        base = self.expr(scope, kind, depth)
        name = self.random.choice(list(declared.fields))
        value = self.expr(scope, declared.fields[name], depth)
        return Node(
            kind, f"{kind[1]} {{ {name}: {value.text}, ..{base.at(POSTFIX)} }}", POSTFIX,
            in_order(lambda new, old: old.put(name, new), value, base),
        )  # fmt: skip


def module(seed: int, count: int) -> tuple[str, list[str]]:
    """Source with `p0` … and what each of them answers (`panic CODE` when it panics)."""
    made = Module(seed)
    expected: list[str] = []
    while len(expected) < count:
        program = made.program(len(expected))
        if program is None:
            continue
        made.lines.append(program[0])
        expected.append(program[1]())
    return "\n".join(made.lines) + "\n", expected
