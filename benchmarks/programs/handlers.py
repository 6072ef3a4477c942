"""A computation that asks for every value: a generator driven with ``send``."""


def walk(n):
    total = 0
    for i in range(n):
        total += yield i
    return total


def main():
    seen = 0
    generator = walk(2000000)
    value = next(generator)
    try:
        while True:
            seen += 1
            value = generator.send(value * 2 + seen % 3)
    except StopIteration as end:
        print(end.value)
    print(seen)


main()
