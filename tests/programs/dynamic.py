"""The same tables, written directly."""

from functools import cache


def edits(a, b):
    cost = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if i == 0 or j == 0:
                cost[i][j] = i + j
            else:
                cost[i][j] = min(cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
    script, i, j = [], len(a), len(b)
    while i or j:
        here = cost[i][j]
        if i and j and a[i - 1] == b[j - 1] and cost[i - 1][j - 1] == here:
            script.append(a[i - 1])
            i, j = i - 1, j - 1
        elif i and j and cost[i - 1][j - 1] + 1 == here:
            script.append(f"{a[i - 1]}>{b[j - 1]}")
            i, j = i - 1, j - 1
        elif i and cost[i - 1][j] + 1 == here:
            script.append(f"-{a[i - 1]}")
            i -= 1
        else:
            script.append(f"+{b[j - 1]}")
            j -= 1
    return script[::-1]


def common(a, b):
    @cache
    def length(i, j):
        if i == 0 or j == 0:
            return 0
        return length(i - 1, j - 1) + 1 if a[i - 1] == b[j - 1] else max(length(i - 1, j), length(i, j - 1))

    out, i, j = "", len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            out, i, j = a[i - 1] + out, i - 1, j - 1
        elif length(i - 1, j) >= length(i, j - 1):
            i -= 1
        else:
            j -= 1
    return out


def ways(coins, amount):
    sums = [1] + [0] * amount
    for coin in coins:
        for at in range(coin, amount + 1):
            sums[at] += sums[at - coin]
    return sums[amount]


for a, b in [("kitten", "sitting"), ("", "abc"), ("flaw", "lawn"), ("same", "same")]:
    script = edits(a, b)
    print(f'"{a}" to "{b}": {sum(len(s) > 1 for s in script)} by {" ".join(script)}')
print(common("AGGTABQRS", "GXTXAYBRS"))
best = [0] * 16
for weight, value in [(12, 4), (2, 2), (1, 1), (1, 2), (4, 10)]:
    for at in range(15, weight - 1, -1):
        best[at] = max(best[at], best[at - weight] + value)
print(best[15])
print([ways([1, 2, 5, 10, 20, 50], n) for n in [1, 5, 10, 50, 100]])
runs = []
for x in [10, 9, 2, 5, 3, 7, 101, 18, 4, 19, 20]:
    longest = max((run for run in runs if run[-1] < x), key=len, default=[])
    runs.append([*longest, x])
print(max(runs, key=len))
