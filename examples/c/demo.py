"""Await results that threads in C work out, on rsloop or on another loop.

`python demo.py --loop asyncio` runs it on asyncio's own loop.
"""

import argparse
import asyncio
import importlib
from typing import Any

import rsloop_example_c


async def main() -> None:
    """Add numbers on threads, all at once, and give one up."""
    loop = asyncio.get_running_loop()
    print("loop:", f"{type(loop).__module__}.{type(loop).__name__}")
    sums = await asyncio.gather(
        *(rsloop_example_c.sleep_and_add(number, number, 10) for number in range(5))
    )
    print("sums:", *sums)
    try:
        await asyncio.wait_for(rsloop_example_c.sleep_and_add(1, 1, 200), 0.01)
    except TimeoutError:
        print("too late: the thread's result is discarded")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("rsloop", "asyncio", "uvloop"), default="rsloop")
    package: Any = importlib.import_module(parser.parse_args().loop)
    package.run(main())
