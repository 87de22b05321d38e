"""How the rows take the time: CPU time of this process, user and system."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

Loop = asyncio.AbstractEventLoop


def timed_forever(loop: Loop) -> int:
    """Run the loop until it is stopped; return the CPU time in nanoseconds."""
    start = time.process_time_ns()
    loop.run_forever()
    return time.process_time_ns() - start


def timed(loop: Loop, main: Coroutine[Any, Any, None]) -> int:
    """Run `main`; return the CPU time in nanoseconds."""
    start = time.process_time_ns()
    loop.run_until_complete(main)
    return time.process_time_ns() - start
