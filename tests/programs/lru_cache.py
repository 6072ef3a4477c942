"""Prints what lru_cache.reml must print."""

from collections import OrderedDict


class Cache(OrderedDict):
    def __init__(self, n):
        super().__init__()
        self.n, self.hits, self.misses = n, 0, 0

    def look(self, k):
        if k in self:
            self.hits += 1
            self.move_to_end(k)
            return self[k]
        self.misses += 1
        return None

    def put(self, k, v):
        self[k] = v
        self.move_to_end(k)
        if len(self) > self.n:
            self.popitem(last=False)

    def order(self):
        return list(reversed(self))


def text(v):
    if v is None:
        return "None"
    if isinstance(v, str):
        return f'"{v}"'
    if isinstance(v, list):
        return "[" + ", ".join(map(text, v)) + "]"
    if isinstance(v, tuple):
        return "(" + ", ".join(map(text, v)) + ")"
    return str(v)


class Some:
    def __init__(self, v):
        self.v = v

    def __str__(self):
        return f"Some({text(self.v)})"


def get(c, k):
    v = c.look(k)
    return None if v is None else Some(v)


c = Cache(3)
for k, v in [("a", 1), ("b", 2), ("c", 3)]:
    c.put(k, v)
print(text((get(c, "a"), c.order())))
c.put("d", 4)
print(text((get(c, "b"), c.order())))
c.put("c", 30)
print(text((get(c, "c"), get(c, "zz"), c.order(), c.hits, c.misses)))
c.put("e", 5)
print(text((c.order(), len(c))))
seed, w = 1, Cache(50)
for _ in range(5000):
    seed = (seed * 1103515245 + 12345) % 2147483648
    k = (seed // 65536) % 100
    if w.look(k) is None:
        w.put(k, k * k)
print(text((w.hits, w.misses, len(w), len(w), w.order()[:5])))
m = Cache(2)
out = []
for n in [3, 4, 3, 5, 4]:
    v = m.look(n)
    if v is None:
        print(f"square {n}")
        v = n * n
        m.put(n, v)
    out.append(v)
print(text(out))
print(text((m.hits, m.misses)))
