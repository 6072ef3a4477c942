"""Prints what json_printer.reml must print."""

import json


def scalar(value):
    if isinstance(value, float) and value == int(value) and abs(value) < 1e16:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def pretty(value, depth=0):
    pad, inner = "  " * depth, "  " * (depth + 1)
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + pretty(item, depth + 1) for item in value) + "\n" + pad + "]"
    if isinstance(value, dict) and value:
        fields = (f"{inner}{scalar(key)}: {pretty(value[key], depth + 1)}" for key in sorted(value))
        return "{\n" + ",\n".join(fields) + "\n" + pad + "}"
    if value == [] or value == {}:
        return "[]" if isinstance(value, list) else "{}"
    return scalar(value)


def total(value):
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return value
    if isinstance(value, list):
        return sum(map(total, value))
    if isinstance(value, dict):
        return sum(map(total, value.values()))
    return 0


def size(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + (max(map(size, value), default=0) if isinstance(value, list) else 0)


text = (
    '{"name": "Käse \\u0041\\n", "price": 12.50, "tags": ["fresh", "\\"local\\""], "stock": {"berlin": 3, "ulm": 0, "graz": 1e2},'
    ' "empty": [{}, []], "sold": null, "organic": true, "offsets": [-1, -0.25, 3e-3]}'
)
document = json.loads(text)
print(pretty(document))
print(scalar(float(total(document))), size(document))
compact = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
compact = compact.replace("100.0", "100")
print(compact)
print(
    json.dumps(
        {"id": 7, "lines": [{"count": 2, "sku": "a"}, {"count": 1, "sku": "b"}], "note": None}, separators=(",", ":")
    )
)
for wrong in ['{"a": }', "[1, 2", '{"a": 1,}', "nul", "[1] []", '"\\x"']:
    try:
        json.loads(wrong)
        print("fine")
    except ValueError:
        print("wrong:", wrong)
