def make(depth):
    return [None, None] if depth == 0 else [make(depth - 1), make(depth - 1)]


def check(tree):
    left, right = tree
    return 1 if left is None else 1 + check(left) + check(right)


most = 14
long_lived = make(most)
total = 0
for depth in range(4, most + 1, 4):
    for _ in range(2 ** (most - depth + 4)):
        total += check(make(depth))
print(total + check(long_lived))
