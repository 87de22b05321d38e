"""A thread that answers the loop at once, again and again, takes nothing from what else it does.

A loop may spare itself a sleep that would be short, and it must not do so at the cost of others.
"""

import asyncio
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from .conftest import Pair

Loop = asyncio.AbstractEventLoop


class Exchange:
    """The loop asks a thread, the thread answers, and so on; the loop stops at `last`."""

    def __init__(self, loop: Loop, last: int | None, delay: Callable[[], None]) -> None:
        self.loop = loop
        self.last = last
        self.delay = delay
        self.answers = 0
        self.asked: SimpleQueue[bool] = SimpleQueue()
        self.thread = threading.Thread(target=self.answer)

    def answer(self) -> None:
        while self.asked.get():
            self.delay()
            self.loop.call_soon_threadsafe(self.ask)

    def ask(self) -> None:
        self.answers += 1
        if self.answers == self.last:
            self.loop.stop()
        self.asked.put(True)


@contextmanager
def exchanging(
    loop: Loop, last: int | None = None, delay: Callable[[], None] = lambda: None
) -> Iterator[Exchange]:
    """Begin an exchange with the next run of `loop`."""
    exchange = Exchange(loop, last, delay)
    exchange.thread.start()
    loop.call_soon(exchange.ask)
    try:
        yield exchange
    finally:
        exchange.asked.put(False)
        exchange.thread.join()


def test_timers_run(loop: Loop) -> None:
    fired: list[float] = []

    def fire() -> None:
        fired.append(loop.time())
        if len(fired) == 20:
            loop.stop()
        else:
            loop.call_later(0.002, fire)

    with exchanging(loop) as exchange:
        loop.call_later(0.002, fire)
        loop.run_forever()
    assert exchange.answers > 20
    assert all(later - earlier > 0.0019 for earlier, later in itertools.pairwise(fired))


def test_descriptors_are_read(loop: Loop, pair: Pair) -> None:
    left, right = pair
    received = 0

    def read() -> None:
        nonlocal received
        received += len(left.recv(1))
        if received == 200:
            loop.stop()
        else:
            loop.call_soon(right.send, b"x")

    with exchanging(loop) as exchange:
        loop.add_reader(left, read)
        right.send(b"x")
        loop.run_forever()
        loop.remove_reader(left)
    assert exchange.answers > 0


def test_signals_are_handled(loop: Loop) -> None:
    received = 0

    def handle() -> None:
        nonlocal received
        received += 1
        if received == 20:
            loop.stop()
        else:
            loop.call_later(0.001, os.kill, os.getpid(), signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, handle)
    with exchanging(loop) as exchange:
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert exchange.answers > 20


@pytest.mark.parametrize("longest", [2e-5, 1e-4])
def test_no_answer_is_missed_whenever_it_comes(loop: Loop, longest: float) -> None:
    # Before, at and after the moment at which a loop would give up to watch for it.
    chance = random.Random(longest)

    def delay() -> None:
        end = time.perf_counter() + chance.random() * longest
        while time.perf_counter() < end:
            pass

    with exchanging(loop, 5000, delay) as exchange:
        # No other timer: an answer that is missed shows as a hang.
        loop.run_forever()
    assert exchange.answers == 5000


def test_a_loop_without_answers_sleeps(loop: Loop) -> None:
    with exchanging(loop, 1000):
        loop.run_forever()
    loop.call_later(0.5, loop.stop)
    before = time.process_time()
    loop.run_forever()
    assert time.process_time() - before < 0.1
