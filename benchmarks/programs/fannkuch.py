def fannkuch(n):
    p, q, s = list(range(n)), [0] * n, list(range(n))
    sign, most, total = 1, 0, 0
    while True:
        q0 = p[0]
        if q0 != 0:
            for i in range(1, n):
                q[i] = p[i]
            flips = 1
            while True:
                qq = q[q0]
                if qq == 0:
                    total += sign * flips
                    most = max(most, flips)
                    break
                q[q0] = q0
                if q0 >= 3:
                    i, j = 1, q0 - 1
                    while i < j:
                        q[i], q[j] = q[j], q[i]
                        i += 1
                        j -= 1
                q0 = qq
                flips += 1
        if sign == 1:
            p[0], p[1] = p[1], p[0]
            sign = -1
        else:
            p[1], p[2] = p[2], p[1]
            sign = 1
            for i in range(2, n):
                sx = s[i]
                if sx != 0:
                    s[i] = sx - 1
                    break
                if i == n - 1:
                    return total, most
                s[i] = i
                first = p[0]
                for j in range(i + 1):
                    p[j] = p[j + 1]
                p[i + 1] = first


sums = most = 0
for _ in range(3):
    total, most = fannkuch(9)
    sums += total
print(sums, most)
