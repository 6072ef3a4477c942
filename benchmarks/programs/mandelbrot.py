def inside(cr, ci):
    zr = zi = tr = ti = 0.0
    i = 0
    while i < 50 and tr + ti <= 4.0:
        zi = 2.0 * zr * zi + ci
        zr = tr - ti + cr
        tr = zr * zr
        ti = zi * zi
        i += 1
    return tr + ti <= 4.0


n = 500
count = 0
for y in range(n):
    ci = 2.0 * y / n - 1.0
    for x in range(n):
        if inside(2.0 * x / n - 1.5, ci):
            count += 1
print(count)
