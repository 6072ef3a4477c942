"""The same Lisp in Python, values as Python values."""


class Problem(Exception):
    pass


class Sym(str):
    pass


def show(v):
    if v is True or v is False:
        return "#t" if v else "#f"
    if isinstance(v, list):
        return "(" + " ".join(map(show, v)) + ")"
    if isinstance(v, tuple):
        return f"<{v[1]}>" if v[0] == "builtin" else f"<lambda {' '.join(v[1])}>"
    return str(v)


def quoted(text):
    return '"' + text + '"'


def read(ts, at):
    if at >= len(ts):
        raise Problem("Syntax(" + quoted("unexpected end") + ")")
    if ts[at] == ")":
        raise Problem("Syntax(" + quoted("unexpected )") + ")")
    if ts[at] == "(":
        items, i = [], at + 1
        while i >= len(ts) or ts[i] != ")":
            item, i = read(ts, i)
            items.append(item)
        return items, i + 1
    token = ts[at]
    try:
        return int(token), at + 1
    except ValueError:
        return (token == "#t" if token in {"#t", "#f"} else Sym(token)), at + 1


def number(v):
    if isinstance(v, bool) or not isinstance(v, int):
        raise Problem(f"WrongArgument({quoted(show(v))})")
    return v


def call(name, args):
    if name == "list":
        return args
    if name in {"car", "cdr"}:
        if len(args) == 1 and isinstance(args[0], list) and args[0]:
            return args[0][0] if name == "car" else args[0][1:]
        raise Problem(f"WrongArgument({quoted(' '.join(map(show, args)))})")
    if name == "null?":
        return args == [[]]
    if name == "cons":
        return [args[0], *args[1]]
    ns = [number(a) for a in args]
    if name == "+":
        return sum(ns)
    if name == "*":
        out = 1
        for n in ns:
            out *= n
        return out
    if name == "-":
        return -ns[0] if len(ns) == 1 else ns[0] - ns[1]
    return ns[0] < ns[1] if name == "<" else ns[0] == ns[1]


def evaluate(v, scope):
    if isinstance(v, Sym):
        at = scope
        while at is not None:
            if v in at[0]:
                return at[0][v]
            at = at[1]
        raise Problem(f"Unbound({quoted(v)})")
    if not isinstance(v, list) or not v:
        return v
    match v:
        case ["quote", x]:
            return x
        case ["if", test, yes, no]:
            return evaluate(no if evaluate(test, scope) is False else yes, scope)
        case ["define", name, body]:
            scope[0][name] = evaluate(body, scope)
            return name
        case ["lambda", params, body]:
            return ("closure", params, body, scope)
    callee = evaluate(v[0], scope)
    args = [evaluate(a, scope) for a in v[1:]]
    if not isinstance(callee, tuple):
        raise Problem(f"NotCallable({quoted(show(callee))})")
    if callee[0] == "builtin":
        return call(callee[1], args)
    return evaluate(callee[2], (dict(zip(callee[1], args, strict=False)), callee[3]))


scope = ({name: ("builtin", name) for name in ["+", "-", "*", "<", "=", "list", "car", "cdr", "cons", "null?"]}, None)
for line in [
    "(define square (lambda (x) (* x x)))",
    "(square 12)",
    "(define fact (lambda (n) (if (< n 2) 1 (* n (fact (- n 1))))))",
    "(fact 15)",
    "(define compose (lambda (f g) (lambda (x) (f (g x)))))",
    "((compose square (lambda (x) (+ x 1))) 6)",
    "(define map (lambda (f xs) (if (null? xs) (quote ()) (cons (f (car xs)) (map f (cdr xs))))))",
    "(map square (list 1 2 3 4))",
    "square",
    "car",
    "(quote (a (b c) #t))",
    "(1 2)",
    "(undefined 2)",
    "(+ 1 #t)",
    "(car (quote ()))",
    "(square",
    ")",
]:
    try:
        ts = line.replace("(", " ( ").replace(")", " ) ").split()
        shown = show(evaluate(read(ts, 0)[0], scope))
    except Problem as problem:
        shown = f"error: {problem}"
    print(f"{line} => {shown}")
