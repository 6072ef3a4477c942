"""Prints what async_actors.reml must print: generators as actors, a round-robin scheduler."""

from collections import deque


class Actor:
    def __init__(self, name):
        self.name, self.mailbox, self.seen = name, deque(), 0


def next_message(me):
    while not me.mailbox:
        yield
    me.seen += 1
    return me.mailbox.popleft()


def player(me, limit):
    while True:
        kind, *rest = yield from next_message(me)
        if kind == "ball":
            hits, other = rest
            print(me.name, hits)
            if hits >= limit:
                other.mailbox.append(("stop",))
                return hits
            other.mailbox.append(("ball", hits + 1, me))
        elif kind == "stop":
            return 0


def ring_member(me, following):
    total = 0
    while True:
        kind, *rest = yield from next_message(me)
        if kind == "stop" or rest[0] == 0:
            following.mailbox.append(("stop",))
            return total
        total += rest[0]
        following.mailbox.append(("token", rest[0] - 1))


def counter(me):
    try:
        total = 0
        while True:
            kind, *rest = yield from next_message(me)
            if kind == "add":
                total += rest[0]
            elif kind == "ask":
                rest[0].append(total)
    finally:
        print(f"{me.name} saw {me.seen}")


def run(*generators):
    """Round and round until all are done; their results."""
    results, ready = {}, deque(enumerate(generators))
    while ready:
        number, generator = ready.popleft()
        try:
            next(generator)
            ready.append((number, generator))
        except StopIteration as stop:
            results[number] = stop.value
    return [results[number] for number in sorted(results)]


ann, bob = Actor("ping"), Actor("pong")
ann.mailbox.append(("ball", 1, bob))
print(run(player(ann, 7), player(bob, 7)))

members = [Actor(f"r{i}") for i in range(5)]
members[0].mailbox.append(("token", 23))
print(run(*(ring_member(m, members[(i + 1) % 5]) for i, m in enumerate(members))))
print([m.seen for m in members])

bank = Actor("bank")
opened = counter(bank)
for i in range(1, 5):
    answer = []
    bank.mailbox.extend([("add", i * i), ("ask", answer)])
    while not answer:
        next(opened)
    print(f"after {i}: {answer[0]}")
opened.close()
print("Cancelled")
bank.mailbox.extend([("add", 100), ("ask", [])])
print(f"Timeout, {len(bank.mailbox)} letters")
