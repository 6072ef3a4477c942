"""Prints what machine.reml must print."""

import math

print(math.factorial(10))
# 4 set-up, 13 per round for n = 10…1 (label, load, jz, 4 of f, 4 of n, store, jump counted below), then label, load, jz, label, load, print
rounds = 10
per_round = 1 + 2 + 4 + 4 + 1
print(f"Ok({4 + rounds * per_round + 3 + 3})")
steps = 2
n = 2
while True:
    steps += 1 + 4  # outer:, load, push, less, jz
    if not n < 30:
        break
    steps += 2  # push 2, store d
    d, prime = 2, False
    while True:
        steps += 1 + 8  # inner:, load, load, mul, load, push, add, less, jz
        if not d * d < n + 1:
            prime = True
            break
        steps += 7  # load, load, load, div, load, mul, sub …
        steps += 1  # jz next
        if n - n // d * d == 0:
            break
        steps += 5
        d += 1
    if prime:
        print(n)
        steps += 3  # prime:, load, print
    steps += 1 + 2  # next:, call, jump
    steps += 1 + 5  # bump:, load, push, add, store, ret
    n += 1
steps += 2  # end:, halt
print(f"Ok({steps})")
print("Err(Underflow(2))")
print("Err(DivisionByZero(2))")
print('Err(Unknown(2, "frob 2"))')
print('Err(NoLabel("nowhere"))')
print("Err(TooLong)")
print('Err(Unknown(1, "push x"))')
