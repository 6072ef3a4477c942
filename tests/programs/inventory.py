"""Prints what inventory.reml must print."""

log = [
    "add bolt 100", "add nut 250", "add gear 12", "take bolt 30", "take gear 20", "move gear shelf-2", "add bolt 5",
    "tag bolt metal", "tag nut metal", "tag gear metal", "tag gear moving", "take washer 1", "add tape 3", "tag tape soft",
    "drop nut", "add nut 7", "polish nut",
]  # fmt: skip
stock, places, tags, errors = {}, {}, {}, []
for number, line in enumerate(log, 1):
    verb, item, *rest = line.split()
    if verb == "add":
        stock[item] = stock.get(item, 0) + int(rest[0])
    elif verb == "take":
        if item not in stock:
            errors.append(f"line {number}: no {item}")
        elif stock[item] < int(rest[0]):
            errors.append(f"line {number}: only {stock[item]} {item}")
        else:
            stock[item] -= int(rest[0])
    elif verb == "move":
        places[item] = rest[0]
    elif verb == "tag":
        tags.setdefault(rest[0], set()).add(item)
    elif verb == "drop":
        del stock[item]
    else:
        errors.append(f"line {number}: unknown {verb}")


def text(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(k)}: {text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, set):
        return "#{" + ", ".join(map(text, sorted(value))) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


print(text(stock))
print(text(dict(sorted(stock.items()))))
print(text(places))
print(text({tag: tags[tag] for tag in sorted(tags)}))
for error in errors:
    print(error)
metal = tags["metal"] & set(stock)
print(text(metal), text(metal - tags["moving"]), text(metal | tags["soft"]), text(metal <= set(stock)).lower())
for item, count in sorted(stock.items(), key=lambda p: (-p[1], p[0])):
    print(f"{item:<6}{count:>5} {places.get(item, '-')}")
before = dict(stock)
stock["bolt"] += 1000
print(text({k: (before[k], stock[k]) for k in sorted(stock) if before[k] != stock[k]}).replace("'", '"'))
