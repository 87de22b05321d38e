"""Await a coroutine, through Rust, and one that fails."""

import asyncio

import my_calling_ext
import rsloop


async def double(number: int) -> int:
    """Return twice the number, a while later."""
    await asyncio.sleep(0.001)
    return 2 * number


async def fail() -> None:
    """Raise."""
    raise LookupError("no such thing")


async def main() -> None:
    """Await through Rust, many at once."""
    assert type(asyncio.get_running_loop()).__name__ == "Loop"
    results = await asyncio.gather(*(my_calling_ext.call(double(n)) for n in range(10)))
    print("doubled through rust:", results)
    try:
        await my_calling_ext.call(fail())
    except LookupError as error:
        print("raised through rust:", repr(error))


rsloop.run(main())
