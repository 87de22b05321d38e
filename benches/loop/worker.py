"""Measure rows on one loop, and print a line of JSON for each: its name, and nanoseconds of CPU
time per operation.

python benches/loop/worker.py LOOP SCALE ROW ...
"""

import asyncio
import importlib
import json
import sys
from typing import Any

from workloads import ROWS


def make_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a fresh loop of this kind."""
    if kind == "asyncio":
        return asyncio.SelectorEventLoop()
    # By name at run time: uvloop may be missing, and is no dependency.
    module: Any = importlib.import_module(kind)
    loop: asyncio.AbstractEventLoop = module.new_event_loop()
    return loop


def main(kind: str, scale: float, rows: list[str]) -> None:
    """Measure `rows`, each on a loop of its own and after a short run to warm up."""
    for name in rows:
        row = ROWS[name]
        loop = make_loop(kind)
        asyncio.set_event_loop(loop)
        row.measure(loop, max(row.operations // 20, 100))
        operations = int(row.operations * scale)
        measured = row.measure(loop, operations) / operations
        loop.close()
        print(json.dumps([name, measured]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
