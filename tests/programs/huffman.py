"""Huffman coding with lists kept in ascending weight."""

import bisect
from collections import Counter


def build(text):
    trees = sorted(((n, c) for c, n in sorted(Counter(text).items())), key=lambda t: t[0])
    trees = [(n, c, None, None) for n, c in trees]
    while len(trees) > 1:
        a, b, *trees = trees
        node = (a[0] + b[0], None, a, b)
        trees.insert(bisect.bisect_right([t[0] for t in trees], node[0]), node)
    return trees[0] if trees else None


def codes(tree, prefix=""):
    if tree[1] is not None:
        return {tree[1]: prefix or "0"}
    return codes(tree[2], prefix + "0") | codes(tree[3], prefix + "1")


def show(text):
    tree = build(text)
    if tree is None:
        print("nothing to do")
        return
    table = codes(tree)
    bits = "".join(table[c] for c in text)
    for symbol, code in sorted(table.items()):
        print(f"'{symbol}' {code}")
    back = {code: symbol for symbol, code in table.items()}
    out, current = "", ""
    for bit in bits:
        current += bit
        if current in back:
            out += back[current]
            current = ""
    print(f"{len(bits)} bits for {len(text)} characters; {'same' if out == text else 'different'}")
    if len(bits) <= 40:
        print(bits)


show("abracadabra")
show("aaaa")
show("")
show("she sells sea shells by the sea shore")
