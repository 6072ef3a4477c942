"""Prints what async_pipeline.reml must print: the same tasks on a small scheduler with virtual time."""

import heapq
from collections import deque


class Loop:
    """Ready tasks first in, first out; timers by (due, order); time moves only when nothing is ready."""

    def __init__(self):
        self.now, self.order, self.ready, self.timers = 0, 0, deque(), []

    def spawn(self, generator):
        task = {"generator": generator, "waiters": [], "value": None, "done": False, "dropped": False}
        self.ready.append(task)
        return task

    def step(self, task):
        try:
            request = next(task["generator"])
        except StopIteration as stop:
            task["value"], task["done"] = stop.value, True
            self.ready.extend(task["waiters"])
            return
        if isinstance(request, int):
            heapq.heappush(self.timers, (self.now + request, self.order, task))
            self.order += 1
        elif request["done"]:
            self.ready.appendleft(task)
        else:
            request["waiters"].append(task)

    def drive(self, root, until=None):
        """Until the task is done or, with *until*, until that time."""
        while not root["done"]:
            if not self.ready:
                due = self.timers[0][0]
                if until is not None and due >= until:
                    return False
                self.now = due
                while self.timers and self.timers[0][0] <= self.now:
                    self.ready.append(heapq.heappop(self.timers)[2])
            self.step(self.ready.popleft())
        return True


class Channel:
    def __init__(self, capacity):
        self.capacity, self.items, self.closed = capacity, [], False


def send(c, value):
    while len(c.items) >= c.capacity:
        yield 1
    c.items.append(value)


def receive(c):
    while not c.items:
        if c.closed:
            return None
        yield 1
    return c.items.pop(0)


def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def produce(jobs, count):
    for i in range(1, count + 1):
        yield from send(jobs, (i, i * i % 7))
        yield 1
    jobs.closed = True
    return count


def work(name, speed, jobs, results):
    try:
        done = 0
        while (job := (yield from receive(jobs))) is not None:
            yield job[1] * speed
            yield from send(results, (name, job[0], collatz(job[0])))
            done += 1
        return done
    finally:
        print(f"{name} leaves")


def collect(results):
    totals = {}
    while (done := (yield from receive(results))) is not None:
        print(f"{done[0]} did {done[1]}: {done[2]}")
        totals[done[0]] = totals.get(done[0], 0) + done[2]
    return totals


def run(loop, spawned, count):
    jobs, results = Channel(2), Channel(1)
    collector = loop.spawn(collect(results))
    producer = loop.spawn(produce(jobs, count))
    workers = [loop.spawn(work(n, s, jobs, results)) for n, s in (("ann", 1), ("bob", 2), ("cy", 3))]
    spawned += [collector, producer, *workers]
    finished = 0
    for w in workers:
        yield w
        finished += w["value"]
    yield producer
    print(f"{producer['value']} produced, {finished} finished")
    results.closed = True
    yield collector
    return collector["value"]


loop = Loop()
root = loop.spawn(run(loop, [], 20))
loop.drive(root)
for name, total in sorted(root["value"].items()):
    print(f"{name}: {total}")

spawned = []
start = loop.now
slow = loop.spawn(run(loop, spawned, 1000))
assert not loop.drive(slow, until=start + 40)
print("Timeout: timed out after 40ms")
for task in spawned:  # dropped at the end of the run, in the order they were spawned
    task["generator"].close()
