"""Prints what sieve.reml must print."""

LIMIT = 10000
primes = [n for n in range(2, LIMIT + 1) if all(n % d for d in range(2, int(n**0.5) + 1))]
print(f"{len(primes)} primes, the last is {primes[-1]}, their sum is {sum(primes)}")
print(primes[:15])
twins = [(a, b) for a, b in zip(primes, primes[1:]) if b - a == 2]
print(f"{len(twins)} twins, the last are {twins[-1]}")
for n in [360, 9991, 65536, 99999989, 510510]:
    powers, rest, d = {}, n, 2
    while rest > 1:
        while rest % d == 0:
            powers[d] = powers.get(d, 0) + 1
            rest //= d
        d += 1
        if d * d > rest > 1:
            powers[rest] = powers.get(rest, 0) + 1
            rest = 1
    print(f"{n} = " + " * ".join(str(p) if k == 1 else f"{p}^{k}" for p, k in powers.items()))
known = set(primes)
for n in [4, 100, 9998]:
    a = next(p for p in primes if n - p in known)
    print(f"{n} = {a} + {n - a}")
from collections import Counter

gaps = Counter(b - a for a, b in zip(primes, primes[1:]))
for gap, count in sorted(gaps.items(), key=lambda kv: (-kv[1], kv[0]))[:4]:
    print(f"gap {gap:2d}: {count}")
