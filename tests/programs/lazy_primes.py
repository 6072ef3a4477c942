"""Prints what lazy_primes.reml must print."""

from itertools import count, islice, takewhile


def sieve(numbers):
    while True:
        prime = next(numbers)
        yield prime
        numbers = filter(lambda n, p=prime: n % p, numbers)


def primes():
    return sieve(count(2))


print(list(islice(primes(), 15)))
print(sum(takewhile(lambda p: p < 500, primes())))
twins = ((p, q) for p, q in zip(primes(), islice(primes(), 1, None)) if q - p == 2)
for pair in islice(twins, 8):
    print(pair)


def collatz(n):
    while n != 1:
        yield n
        n = n // 2 if n % 2 == 0 else 3 * n + 1
    yield 1


print(len(list(collatz(27))), max(collatz(27)))
print([sum(islice(primes(), n)) for n in range(6)])
gaps = {}
for p, q in islice(zip(primes(), islice(primes(), 1, None)), 100):
    gaps[q - p] = gaps.get(q - p, 0) + 1
print("{" + ", ".join(f"{gap}: {n}" for gap, n in sorted(gaps.items())) + "}")
squares = (n * n for n in count(1))
print(list(islice((s for s in squares if s % 3 == 1), 2, 7)))
words = ["lazy", "sieve"]
print(", ".join(f"{i}:{w}" for i, w in enumerate(c for word in words for c in word)))
