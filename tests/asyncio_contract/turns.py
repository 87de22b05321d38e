"""Run a loop for a given number of turns."""

import asyncio


def run_turns(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    """Run `loop` so that what is ready now, and `turns - 1` generations after it, runs."""
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


async def turns(count: int) -> None:
    """Let the other tasks run for `count` turns."""
    for _ in range(count):
        await asyncio.sleep(0)
