"""Shortest paths with a heap from the standard library."""

import heapq


def shortest(n, edges, start):
    graph = [[] for _ in range(n)]
    for a, b, cost in edges:
        graph[a].append((b, cost))
        graph[b].append((a, cost))
    distances, before = [None] * n, [-1] * n
    distances[start] = 0
    heap = [(0, start)]
    while heap:
        distance, node = heapq.heappop(heap)
        if distances[node] != distance:
            continue
        for to, cost in graph[node]:
            if distances[to] is None or distance + cost < distances[to]:
                distances[to], before[to] = distance + cost, node
                heapq.heappush(heap, (distance + cost, to))
    return distances, before


def route(before, to):
    return [] if to < 0 else [*route(before, before[to]), to]


roads = [(0, 1, 7), (0, 2, 9), (0, 5, 14), (1, 2, 10), (1, 3, 15), (2, 3, 11), (2, 5, 2), (3, 4, 6), (4, 5, 9)]
distances, before = shortest(7, roads, 0)
for node in range(7):
    if distances[node] is None:
        print(f"{node}: out of reach")
    else:
        print(f"{node}: {distances[node]:2d} by {'-'.join(map(str, route(before, node)))}")
edges = []
for y in range(30):
    for x in range(30):
        at = y * 30 + x
        if x + 1 < 30:
            edges.append((at, at + 1, (x * 7 + y * 3) % 10 + 1))
        if y + 1 < 30:
            edges.append((at, at + 30, (x * 5 + y * 11) % 10 + 1))
far, back = shortest(900, edges, 0)
print(f"corner Some({far[899]}) in {len(route(back, 899)) - 1} steps")
print(f"farthest {max(d for d in far if d is not None)}")
