"""Prints what json_reader.reml must print."""

import json

samples = [
    r'{"name": "reml", "tags": ["a", "b\n", "\u00e9\"q\""], "n": [1, -2.5, 3e2, 0.125], "deep": {"x": {"y": [[]]}}, "none": null, "ok": true}',
    " [ ] ",
    "[1, 2,, 3]",
    '{"a": tru}',
    '"open',
    "[1] 2",
    '{"a" 1}',
    r'"\q"',
    "",
    "[[[[[[0]]]]]]",
    "-",
    '{"k":{}}',
]
# the texts of errors are this program's own; their places were worked out by hand
errors = {
    2: 'error at 6: unexpected ","',
    3: "error at 6: unknown word tru",
    4: "error at 0: string without end",
    5: "error at 4: text after the value",
    6: "error at 5: expected :",
    7: "error at 2: bad escape",
    8: "error at 0: unexpected end",
    10: "error at 0: bad number -",
}


def depth(v):
    if isinstance(v, list):
        return 1 + max(map(depth, v), default=0)
    if isinstance(v, dict):
        return 1 + max(map(depth, v.values()), default=0)
    return 0


def whole(v):
    if isinstance(v, float) and v.is_integer():
        return int(v)
    if isinstance(v, list):
        return [whole(x) for x in v]
    if isinstance(v, dict):
        return {k: whole(x) for k, x in v.items()}
    return v


for i, s in enumerate(samples):
    try:
        v = json.loads(s)
    except ValueError:
        print(errors[i])
    else:
        assert i not in errors
        print(depth(v), json.dumps(whole(v), separators=(",", ":"), ensure_ascii=False))
print("true")
