from math import sqrt


def a(i, j):
    ij = i + j
    return 1.0 / (ij * (ij + 1) // 2 + i + 1)


def multiply(x, y, n):
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += x[j] * a(i, j)
        y[i] = total


def multiply_transposed(x, y, n):
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += x[j] * a(j, i)
        y[i] = total


n = 300
u, v, t = [1.0] * n, [0.0] * n, [0.0] * n
for _ in range(10):
    multiply(u, t, n)
    multiply_transposed(t, v, n)
    multiply(v, t, n)
    multiply_transposed(t, u, n)
vbv = vv = 0.0
for i in range(n):
    vbv += u[i] * v[i]
    vv += v[i] * v[i]
print(f"{sqrt(vbv / vv):.9f}")
