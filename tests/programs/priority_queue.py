"""Prints what priority_queue.reml must print."""

import heapq


def random_list(count, bound):
    x, out = 12345, []
    for _ in range(count):
        x = (x * 48271) % 2147483647
        out.append(x % bound)
    return out


xs = random_list(20, 100)
print(xs)
print(sorted(xs))
print(
    "["
    + ", ".join(
        f'"{w}"'
        for w in sorted(["pear", "fig", "banana", "kiwi", "apple", "date", "cherry"], key=lambda w: (-len(w), w))
    )
    + "]"
)
print("true")
a = [5, 2, 8, 1]
print((sorted(a), sorted(a + [0]), sorted(a + a + [0])))
h = [(n, who, n) for who, n in [("ann", 3), ("bob", 5), ("cid", 4)]]
heapq.heapify(h)
log = []
for _ in range(9):
    at, who, n = heapq.heappop(h)
    log.append(f"{at}:{who}")
    heapq.heappush(h, (at + n, who, n))
print(" ".join(log))
