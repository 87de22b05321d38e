"""Awaits of what another thread answers at once: they may end without a turn of the loop."""

import asyncio
import os
import random
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Locals

from .conftest import LoopFactory, Run

KINDS = pytest.mark.parametrize("local", [False, True], ids=["send", "local"])

# On one processor the thread could not answer while the await watches for it.
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


async def ends_at_once(microseconds: int, *, local: bool) -> bool | None:
    """Await an answer, and tell whether it came while the await watched for it.

    None where the thread was faster, and there was nothing to watch for.
    """
    future = bridge_tests.answered(microseconds, local)
    if future.done():
        return None
    try:
        next(future.__await__())
    except StopIteration:
        at_once = True
    else:
        at_once = False
    assert await future == microseconds
    return at_once


@KINDS
@pytest.mark.skipif(PROCESSORS == 1, reason="there is one processor")
@pytest.mark.parametrize("loop_factory", ["asyncio", "rsloop"], indirect=True)
def test_an_answer_that_comes_at_once_takes_no_turn(run: Run, *, local: bool) -> None:
    async def main() -> None:
        # On a machine that does other things it takes new attempts after some in vain.
        while not await ends_at_once(5, local=local):
            pass

    run(main())


@KINDS
def test_the_loop_has_its_turns(run: Run, *, local: bool) -> None:
    async def main() -> int:
        longest = in_a_row = 0
        for _ in range(5000):
            at_once = await ends_at_once(5, local=local)
            if at_once is not None:
                in_a_row = in_a_row + 1 if at_once else 0
                longest = max(longest, in_a_row)
        return longest

    # A tenth of a millisecond of watching.
    assert run(main()) < 500


class OwnQueue(asyncio.SelectorEventLoop):
    """A loop that has, as far as anybody knows, a queue of its own."""

    def call_soon(self, *arguments: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        """Schedule as asyncio does."""
        return super().call_soon(*arguments, **options)


@KINDS
@pytest.mark.parametrize("name", ["uvloop", "one's own"])
def test_a_loop_that_cannot_tell_whether_it_is_idle_has_its_turns(
    name: str, *, local: bool
) -> None:
    async def main() -> int:
        return [await ends_at_once(5, local=local) for _ in range(1000)].count(True)

    factory = pytest.importorskip(name).new_event_loop if name == "uvloop" else OwnQueue
    with asyncio.Runner(loop_factory=factory) as runner:
        # One or the other that came between the question and the await.
        assert runner.run(main()) < 100


@KINDS
def test_what_is_ready_runs_first(run: Run, *, local: bool) -> None:
    async def main() -> int:
        at_once = 0
        for _ in range(300):
            asyncio.get_running_loop().call_soon(int)
            at_once += bool(await ends_at_once(15, local=local))
        return at_once

    # One or the other that came between the question and the await.
    assert run(main()) < 30


@KINDS
def test_answers_that_take_their_time_are_not_watched_for(run: Run, *, local: bool) -> None:
    async def main() -> int:
        return [await ends_at_once(300, local=local) for _ in range(50)].count(True)

    assert run(main()) < 5


@KINDS
@pytest.mark.parametrize("longest", [20, 60])
def test_no_answer_is_lost_whenever_it_comes(run: Run, longest: int, *, local: bool) -> None:
    # Before, at and after the moment at which an await gives up to watch for it.
    chance = random.Random(longest)

    async def main() -> None:
        for _ in range(3000):
            microseconds = chance.randrange(longest)
            assert await bridge_tests.answered(microseconds, local) == microseconds

    run(main())


@pytest.fixture
def asks(run: Run) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Run a coroutine function beside a task that asks for one answer after the other."""

    async def ask() -> None:
        while True:
            for local in (False, True):
                await bridge_tests.answered(0, local)

    async def main(beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asking = asyncio.create_task(ask())
        await beside()
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    return lambda beside: run(main(beside))


def test_timers_run_meanwhile(asks: Any) -> None:
    async def beside() -> None:
        for _ in range(20):
            await asyncio.sleep(0.002)

    asks(beside)


def test_descriptors_are_read_meanwhile(asks: Any) -> None:
    async def beside() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            for each in (left, right):
                each.setblocking(False)
            for _ in range(200):
                await loop.sock_sendall(left, b"x")
                assert await loop.sock_recv(right, 1) == b"x"

    asks(beside)


def test_other_tasks_run_meanwhile(asks: Any) -> None:
    async def beside() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)

    asks(beside)


def test_other_threads_call_meanwhile(asks: Any) -> None:
    async def beside() -> None:
        for _ in range(200):
            await asyncio.to_thread(int)

    asks(beside)


def test_a_time_limit_holds(run: Run) -> None:
    async def ask() -> None:
        while True:
            await bridge_tests.answered(0)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.02)

    run(main())


def test_an_await_outside_of_its_loop_delivers_nothing(loop_factory: LoopFactory) -> None:
    loop = loop_factory()

    async def find() -> Locals:
        return Locals()

    with closing(loop):
        found = loop.run_until_complete(find())
        for _ in range(600):
            future = bridge_tests.answered_with_locals(found, 5)
            if not future.done():  # or the thread was faster than the first poll
                # The answer comes now, or a moment later; but the loop does not run.
                assert next(future.__await__()) is future
                future._asyncio_future_blocking = False
            assert loop.run_until_complete(future) == 5
