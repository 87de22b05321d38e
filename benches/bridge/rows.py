"""The rows of the comparison. Each is a coroutine function of an extension's functions and a count.

The functions are those of `bench_ours`, or of a runtime of `bench_peer`, which has the same
names. A row that ends in `_local` is driven by the loop where the extension has such a function,
and by the executor where it has not: the peer has no other way.
"""

import asyncio
import ctypes
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

Functions = Any
Run = Callable[[Functions, int], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Row:
    """One row: its title, how many operations one measurement takes, and what runs them."""

    title: str
    operations: int
    run: Run
    # How many times as fast as the peer it is to be, by which of the two clocks.
    goal: float | None = None
    goal_clock: str = "wall"
    # No loop and no bridge take part: measured once, in the column of ours on asyncio.
    alone: bool = False


def sequential(name: str, *arguments: Any) -> Run:
    """Await one after the other."""

    async def run(functions: Functions, count: int) -> None:
        function = getattr(functions, name)
        for _ in range(count):
            await function(*arguments)

    return run


def at_once(width: int, name: str, *arguments: Any) -> Run:
    """Await `width` at a time."""

    async def run(functions: Functions, count: int) -> None:
        function = getattr(functions, name)
        for _ in range(count // width):
            await asyncio.gather(*[function(*arguments) for _ in range(width)])

    return run


async def hand_overs(functions: Functions, count: int) -> None:
    """Hand over to another thread and back, without Python: the least that `cross_local` takes."""
    functions.hand_overs(count)


async def step() -> int:
    """Suspend once, as a coroutine that does something would."""
    await asyncio.sleep(0)
    return 7


def calls(name: str) -> Run:
    """Python awaits Rust, which awaits Python, one after the other."""

    async def run(functions: Functions, count: int) -> None:
        function = getattr(functions, name)
        for _ in range(count):
            await function(step())

    return run


def calls_inside(name: str) -> Run:
    """One Rust future awaits coroutines, one after the other."""

    async def run(functions: Functions, count: int) -> None:
        await getattr(functions, name)(step, count)

    return run


async def cancel_storm(functions: Functions, count: int) -> None:
    """Cancel up to a thousand pending futures at a time, and wait for their ends."""
    width = min(count, 1000)
    for _ in range(count // width):
        futures: list[asyncio.Future[Any]] = [functions.pending() for _ in range(width)]
        await asyncio.sleep(0)
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)


async def pending_bytes(functions: Functions, count: int) -> float:
    """Return the bytes that each pending future takes, of every allocator. Needs PYTHONMALLOC."""
    warm: list[Awaitable[Any]] = [functions.pending() for _ in range(100)]
    await asyncio.sleep(0.05)
    kept: list[Awaitable[Any]] = [warm[0]] * count
    before = allocated()
    for number in range(count):
        kept[number] = functions.pending()
    await asyncio.sleep(0.2)
    taken = (allocated() - before) / count
    for future in (*warm, *kept):
        future.cancel()  # type: ignore[attr-defined]
    await asyncio.gather(*warm, *kept, return_exceptions=True)
    return taken


class _MallInfo(ctypes.Structure):
    """The C library's `struct mallinfo2`."""

    _fields_ = [
        ("arena", ctypes.c_size_t),
        ("unused", ctypes.c_size_t * 3),
        ("hblkhd", ctypes.c_size_t),
        ("unused_too", ctypes.c_size_t * 2),
        ("uordblks", ctypes.c_size_t),
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


def allocated() -> int:
    """Return how many bytes are allocated by `malloc`, in all threads' arenas."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _MallInfo
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


ROWS = {
    "ready": Row("ready, one by one", 20_000, sequential("ready"), 50),
    "ready_100": Row("ready, 100 at once", 20_000, at_once(100, "ready")),
    "ready_1000": Row("ready, 1000 at once", 20_000, at_once(1000, "ready")),
    "yield": Row("yields once", 5_000, sequential("yield_once")),
    "yield_local": Row("yields once, loop-driven", 5_000, sequential("yield_once_local")),
    "sleep_1000": Row("sleeps 1 ms, 1000 at once", 10_000, at_once(1000, "sleep", 1)),
    "blocking_1000": Row("blocking, 1000 at once", 10_000, at_once(1000, "blocking")),
    "cross": Row("other thread", 5_000, sequential("cross"), 4),
    "cross_local": Row("other thread, loop-driven", 5_000, sequential("cross_local"), 8),
    "cross_1000": Row("other thread, 1000 at once", 20_000, at_once(1000, "cross"), 10),
    "cross_1000_local": Row("the same, loop-driven", 20_000, at_once(1000, "cross_local")),
    "hand_overs": Row("two hand-overs alone", 5_000, hand_overs, alone=True),
    "call": Row("Python, Rust, Python", 5_000, calls("call")),
    "call_local": Row("the same, loop-driven", 5_000, calls("call_local")),
    "into": Row("into_future", 5_000, calls_inside("call_many")),
    "into_local": Row("into_future, loop-driven", 5_000, calls_inside("call_many_local"), 3),
    "cancel": Row("cancel 1000", 10_000, cancel_storm, 7, "cpu"),
}
