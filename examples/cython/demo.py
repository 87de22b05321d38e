"""Await results that threads in Cython work out, on rsloop or on another loop.

`python demo.py --loop asyncio` runs it on asyncio's own loop.
"""

import argparse
import asyncio
import importlib
from typing import Any

import rsloop_example_cython


async def main() -> None:
    """Divide numbers on threads, all at once; one cannot be divided."""
    loop = asyncio.get_running_loop()
    print("loop:", f"{type(loop).__module__}.{type(loop).__name__}")
    quotients = await asyncio.gather(
        *(rsloop_example_cython.sleep_and_divide(1, divisor) for divisor in (1, 2, 4, 0)),
        return_exceptions=True,
    )
    print("quotients:", *map(repr, quotients))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("rsloop", "asyncio", "uvloop"), default="rsloop")
    package: Any = importlib.import_module(parser.parse_args().loop)
    package.run(main())
