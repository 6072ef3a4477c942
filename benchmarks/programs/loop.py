def run(n):
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


print(run(100000000))
