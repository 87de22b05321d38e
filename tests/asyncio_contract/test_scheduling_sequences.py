"""Random programs of callbacks, timers and tasks: the same order on both loops."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

LIMIT = 300


class Program:
    """Callbacks that schedule, cancel and wake others at random."""

    def __init__(self, loop: Any, seed: int) -> None:
        self.loop = loop
        self.random = random.Random(seed)
        self.ran: list[str] = []
        self.made = 0
        self.handles: list[Any] = []
        self.futures: list[asyncio.Future[None]] = []
        # All deadlines are past and differ, since equal ones have no order.
        self.deadlines = iter(self.random.sample(range(1, 100_000), LIMIT))

    def run(self) -> list[str]:
        """Run until nothing is left; return what ran, in order."""
        for _ in range(5):
            self.schedule()
        for _ in range(LIMIT):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        self.made = LIMIT
        for future in self.futures:
            future.cancel()
        for _ in range(5):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        return self.ran

    def schedule(self) -> None:
        """Schedule one more thing."""
        if self.made >= LIMIT:
            return
        self.made += 1
        name = str(self.made)
        kind = self.random.randrange(8)
        if kind <= 1:
            self.handles.append(self.loop.call_soon(self.step, f"soon {name}"))
        elif kind == 2:
            self.handles.append(self.loop.call_soon_threadsafe(self.step, f"threadsafe {name}"))
        elif kind == 3:
            deadline = next(self.deadlines) / 1e6
            self.handles.append(self.loop.call_at(deadline, self.step, f"timer {name}"))
        elif kind == 4 and self.handles:
            self.random.choice(self.handles).cancel()
        elif kind == 5:
            self.loop.create_task(self.task(f"task {name}"), name=name)
        elif kind == 6:
            future = self.loop.create_future()
            future.add_done_callback(lambda _: self.step(f"future {name}"))
            self.futures.append(future)
        elif self.futures:
            future = self.futures.pop(self.random.randrange(len(self.futures)))
            future.set_result(None)

    def step(self, name: str) -> None:
        """Note the name, and schedule up to three more things."""
        self.ran.append(name)
        for _ in range(self.random.randrange(4)):
            self.schedule()

    async def task(self, name: str) -> None:
        """Take up to three turns."""
        for turn in range(self.random.randrange(1, 4)):
            self.step(f"{name} turn {turn}")
            await asyncio.sleep(0)


def play(make_loop: Callable[[], Any], seed: int) -> list[str]:
    """Return the order of one seed on a fresh loop."""
    loop = make_loop()
    try:
        return Program(loop, seed).run()
    finally:
        loop.close()


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_the_same_order_on_both_loops(first: int) -> None:
    import rsloop_core

    longest = 0
    for seed in range(first, first + 20):
        expected = play(asyncio.SelectorEventLoop, seed)
        longest = max(longest, len(expected))
        assert play(rsloop_core.Loop, seed) == expected, f"seed {seed}"
    assert longest > 100
