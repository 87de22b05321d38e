"""Await Rust futures and Python coroutines together, on rsloop or on another loop.

`python demo.py --loop asyncio` runs it on asyncio's own loop.
"""

import argparse
import asyncio
import importlib
from typing import Any

import rsloop_example


async def python_side() -> str:
    """Sleep on the loop's timer."""
    await asyncio.sleep(0.01)
    return "python finished: called from rust"


async def main() -> None:
    """Run everything at once, and print what it gives."""
    loop = asyncio.get_running_loop()
    print("loop:", f"{type(loop).__module__}.{type(loop).__name__}")
    results = await asyncio.gather(
        rsloop_example.sleep_and_tag("hello from python", 50),
        rsloop_example.sum_of_squares(100),
        rsloop_example.count_in_turns(10),
        rsloop_example.call_python_awaitable(python_side()),
    )
    names = ("sleep_and_tag", "sum_of_squares", "count_in_turns", "call_python_awaitable")
    for name, result in zip(names, results, strict=True):
        print(f"{name}:", result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("rsloop", "asyncio", "uvloop"), default="rsloop")
    package: Any = importlib.import_module(parser.parse_args().loop)
    package.run(main())
