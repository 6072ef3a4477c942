"""Prints what big_integers.reml must print."""

import math

print(math.factorial(50))
x, y = 0, 1
for _ in range(300):
    x, y = y, x + y
print(x)
print(2**200)
print((-7) ** 33)
a, b = 123456789012345678901234567890, -987654321098765432109876543210
print(f'("{a + b}", "{a - b}", "{b - a}")')
print(a * b)


def div(n, d):
    q = abs(n) // abs(d) * (1 if (n < 0) == (d < 0) else -1)
    return q, n - q * d


print(f'("{div(b, 97)[0]}", {div(b, 97)[1]}, "{div(a, -12345)[0]}", {div(a, -12345)[1]})')
print('("0", true, Some("0"), true, true)')
print(-(2**63))
digits = [int(c) for c in str(math.factorial(100))]
print((len(digits), sum(digits)))
