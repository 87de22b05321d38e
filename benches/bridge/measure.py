"""Measure rows of one extension on one loop, and print JSON.

python benches/bridge/measure.py EXTENSION LOOP SCALE ROW ...
python benches/bridge/measure.py EXTENSION LOOP count ROW ...

For each row: nanoseconds of wall time and of CPU time per operation. The row `bytes` is measured
alone, and gives bytes. EXTENSION is `ours`, `peer.async_std` or `peer.tokio`.
"""

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from typing import Any

from rows import ROWS, Functions, pending_bytes

# Operations of the three runs of each row whose instructions are counted.
WARM_UP, COUNTED = 300, (200, 1200)


class LoopDriven:
    """The functions of an extension that has no loop-driven ones: its others in their place."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._functions, name.removesuffix("_local"))


def extension(kind: str) -> Functions:
    """Return the functions of this kind."""
    distribution, _, runtime = kind.partition(".")
    module: Any = importlib.import_module(f"bench_{distribution}")
    return LoopDriven(getattr(module, runtime)) if runtime else module


def make_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a fresh loop of this kind."""
    if kind == "asyncio":
        return asyncio.SelectorEventLoop()
    module: Any = importlib.import_module(kind)
    loop: asyncio.AbstractEventLoop = module.new_event_loop()
    return loop


def count(kind: str, loop_kind: str, rows: list[str]) -> None:
    """Run each of `rows` three times, for valgrind, which counts from one `getppid` to the next."""
    functions = extension(kind)
    # A collection in one of the runs would count for more than what is measured.
    gc.disable()
    with asyncio.Runner(loop_factory=lambda: make_loop(loop_kind)) as runner:
        for name in rows:
            for operations in (WARM_UP, *COUNTED):
                runner.run(ROWS[name].run(functions, operations))
                os.getppid()
    os._exit(0)


def main(kind: str, loop_kind: str, scale: float, rows: list[str]) -> None:
    """Measure `rows`, each after a short run to warm up."""
    functions = extension(kind)
    found: dict[str, tuple[float, float]] = {}
    with asyncio.Runner(loop_factory=lambda: make_loop(loop_kind)) as runner:
        for name in rows:
            if name == "bytes":
                size = runner.run(pending_bytes(functions, 10_000))
                found[name] = size, size
                continue
            row = ROWS[name]
            operations = max(int(row.operations * scale) // 1000, 1) * 1000
            runner.run(row.run(functions, 1000))
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            runner.run(row.run(functions, operations))
            wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
            found[name] = wall / operations, cpu / operations
    print(json.dumps(found), flush=True)
    # At once: what the peer's threads do at an ordinary exit is not what is measured here.
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[3] == "count":
        count(sys.argv[1], sys.argv[2], sys.argv[4:])
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])
