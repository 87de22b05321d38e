"""The rows that neither read nor write: each returns the CPU time of a number of operations."""

import asyncio
import time
from concurrent.futures import Executor, ThreadPoolExecutor

from timing import Loop, timed, timed_forever


def chain(loop: Loop, operations: int) -> int:
    """Each callback schedules the next."""
    left = operations

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    return timed_forever(loop)


def batch(loop: Loop, operations: int) -> int:
    """Callbacks scheduled a hundred at a time."""
    left = operations // 100

    def nothing() -> None:
        pass

    def schedule() -> None:
        nonlocal left
        left -= 1
        for _ in range(99):
            loop.call_soon(nothing)
        loop.call_soon(schedule if left else loop.stop)

    loop.call_soon(schedule)
    return timed_forever(loop)


def call_later(loop: Loop, operations: int) -> int:
    """Timers of a millisecond, set a hundred at a time."""
    return timers(loop, operations, 0.001)


def call_later_zero(loop: Loop, operations: int) -> int:
    """Timers set a hundred at a time and due at once, which uvloop takes for `call_soon`."""
    return timers(loop, operations, 0)


def timers(loop: Loop, operations: int, delay: float) -> int:
    """Timers set a hundred at a time, the last of which sets the next hundred."""
    left = operations // 100

    def nothing() -> None:
        pass

    def schedule() -> None:
        nonlocal left
        left -= 1
        for _ in range(99):
            loop.call_later(delay, nothing)
        loop.call_later(delay, schedule if left else loop.stop)

    loop.call_soon(schedule)
    return timed_forever(loop)


def cancelled_timers(loop: Loop, operations: int) -> int:
    """Timers that are cancelled before they are due, as those of timeouts are."""
    left = operations // 100

    def nothing() -> None:
        pass

    def schedule() -> None:
        nonlocal left
        left -= 1
        for _ in range(100):
            loop.call_later(60, nothing).cancel()
        loop.call_soon(schedule if left else loop.stop)

    loop.call_soon(schedule)
    return timed_forever(loop)


def sleep_zero(loop: Loop, operations: int) -> int:
    """One task that yields."""

    async def main() -> None:
        for _ in range(operations):
            await asyncio.sleep(0)

    return timed(loop, main())


def create_task(loop: Loop, operations: int) -> int:
    """Tasks made and awaited one by one."""

    async def nothing() -> None:
        pass

    async def main() -> None:
        for _ in range(operations):
            await loop.create_task(nothing())

    return timed(loop, main())


def ping_pong(loop: Loop, operations: int) -> int:
    """Two tasks that wake each other through futures."""

    async def main() -> None:
        ball: list[asyncio.Future[None]] = [loop.create_future(), loop.create_future()]

        async def player(own: int) -> None:
            for _ in range(operations // 2):
                await ball[own]
                ball[own] = loop.create_future()
                ball[1 - own].set_result(None)

        players = [loop.create_task(player(own)) for own in (0, 1)]
        await asyncio.sleep(0)
        ball[0].set_result(None)
        await asyncio.wait(players)

    return timed(loop, main())


def gather(loop: Loop, operations: int) -> int:
    """Tasks gathered a thousand at a time."""

    async def nothing() -> None:
        pass

    async def main() -> None:
        for _ in range(max(operations // 1000, 1)):
            await asyncio.gather(*[nothing() for _ in range(1000)])

    return timed(loop, main())


def run_in_executor(loop: Loop, operations: int) -> int:
    """Calls of one thread, each awaited before the next."""

    def nothing() -> None:
        pass

    async def main(executor: Executor) -> None:
        for _ in range(operations):
            await loop.run_in_executor(executor, nothing)

    with ThreadPoolExecutor(1) as executor:
        return timed(loop, main(executor))


def run_until_complete(loop: Loop, operations: int) -> int:
    """Runs of the loop for a coroutine that ends at once."""

    async def nothing() -> None:
        pass

    start = time.process_time_ns()
    for _ in range(operations):
        loop.run_until_complete(nothing())
    return time.process_time_ns() - start
