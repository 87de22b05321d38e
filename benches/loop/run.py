"""Compare the loops by CPU time per operation: asyncio, uvloop and rsloop, in one run.

    python benches/loop/run.py [--rounds N] [--quick] [--floor] [ROW ...]

Every round measures each loop in a fresh process, one after the other, so that what else the
machine does falls on all of them alike. The table gives the median of the rounds in nanoseconds
of CPU time (user and system) per operation, and the ratio to rsloop: 2.00 means twice the time.
Loops that are not installed are left out by name. `--floor` adds the least that any loop could
take, from a hundred lines of C that need a C compiler, where a row neither waits nor reads.
"""

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from workloads import ROWS

WORKER = Path(__file__).with_name("worker.py")
LOOPS = ("asyncio", "uvloop", "rsloop")


def measure(loop: str, rows: list[str], scale: float) -> dict[str, float]:
    """Return nanoseconds of CPU time per operation for each row, from one fresh process."""
    command = [sys.executable, str(WORKER), loop, str(scale), *rows]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{loop} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--floor", action="store_true", help="compare with a minimal loop in C")
    parser.add_argument("--quick", action="store_true", help="a tenth of the operations")
    options = parser.parse_args()
    rows = options.rows or list(ROWS)
    if unknown := set(rows) - ROWS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    loops = [loop for loop in LOOPS if importlib.util.find_spec(loop)]
    for missing in sorted(set(LOOPS) - set(loops)):
        print(f"{missing}: not installed, left out")
    if options.floor:
        loops.append("floor")
    results: dict[str, dict[str, list[float]]] = {row: {loop: [] for loop in loops} for row in rows}
    for _ in range(options.rounds):
        for loop in loops:
            able = [row for row in rows if loop != "floor" or ROWS[row].only_schedules]
            for row, value in measure(loop, able, 0.1 if options.quick else 1).items():
                results[row][loop].append(value)
    print(f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}")
    print(f"medians of {options.rounds} rounds, ns of CPU time per operation (ratio to rsloop)")
    print(f"{'':24}" + "".join(f"{loop:>20}" for loop in loops))
    for row in rows:
        measured = {loop: values for loop, values in results[row].items() if values}
        medians = {loop: statistics.median(values) for loop, values in measured.items()}
        base = medians.get("rsloop")
        cells = [
            f"{median:11.0f}" + (f" ({median / base:6.2f})" if base else "")
            for median in medians.values()
        ]
        print(f"{ROWS[row].title:24}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
