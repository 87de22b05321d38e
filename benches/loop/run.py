"""Compare the loops by CPU time per operation: asyncio, its peers and rsloop, in one run.

    python benches/loop/run.py [--rounds N] [--quick] [--floor] [--other NAME=PYTHON] [ROW ...]

Every round measures each loop in a fresh process, one after the other, so that what else the
machine does falls on all of them alike. The table gives the median of the rounds in nanoseconds
of CPU time (user and system) per operation, and the ratio to rsloop: 2.00 means twice the time.
Loops that are not installed are left out by name, and so is a row that a peer cannot do.
`--floor` adds the least that any loop could take, from a hundred lines of C that need a C
compiler, where a row neither waits nor reads. `--other` adds the loop of the module NAME in another
environment, the one of the interpreter PYTHON; NAME=PYTHON:MODULE gives it another name here.
"""

import argparse
import importlib.util
import json
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from workloads import ROWS

WORKER = Path(__file__).with_name("worker.py")
OURS = "rsloop"
LOOPS = ("asyncio", "uvloop", "rloop", "zuvloop", OURS)
#: What one loop may take for one row before it is taken for hung.
LONGEST_SECONDS = 60


@dataclass
class Contender:
    """A loop, where it is found, and what it has shown so far."""

    name: str
    python: str
    module: str
    unable: set[str] = field(default_factory=set)
    results: dict[str, list[float]] = field(default_factory=lambda: {row: [] for row in ROWS})

    def measure(self, rows: list[str], scale: float) -> None:
        """Add a result for each row, from one fresh process, or from one more after a failure."""
        left = [row for row in rows if row not in self.unable]
        while left:
            done, trouble = self.run_worker(left, scale)
            for row, value in done.items():
                self.results[row].append(value)
            left = [row for row in left if row not in done]
            if not left:
                return
            if self.name == OURS:
                raise SystemExit(f"{OURS} failed at {left[0]}:\n{trouble}")
            print(f"{self.name}: left out of {left[0]}: {trouble.splitlines()[-1]}", flush=True)
            self.unable.add(left.pop(0))

    def run_worker(self, rows: list[str], scale: float) -> tuple[dict[str, float], str]:
        """Return nanoseconds per operation, up to the first row that fails, and why it did."""
        command = [self.python, str(WORKER), self.module, str(scale), *rows]
        done: dict[str, float] = {}
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as worker,
        ):
            assert worker.stdout is not None
            while True:
                hung = threading.Timer(LONGEST_SECONDS, worker.kill)
                hung.start()
                line = worker.stdout.readline()
                hung.cancel()
                if not line:
                    break
                row, value = json.loads(line)
                done[row] = value
            status = worker.wait()
            errors.seek(0)
            killed = f"killed, as what hangs for {LONGEST_SECONDS} s is"
            ending = killed if status == -signal.SIGKILL else f"status {status}"
            return done, errors.read() or ending


def contenders(others: list[str], floor: bool) -> list[Contender]:
    """Return the loops that are installed here, and those of other environments."""
    found = []
    for loop in LOOPS:
        if importlib.util.find_spec(loop):
            found.append(Contender(loop, sys.executable, loop))
        else:
            print(f"{loop}: not installed, left out")
    for other in others:
        name, _, place = other.partition("=")
        python, _, module = place.partition(":")
        found.append(Contender(name, python, module or name))
    if floor:
        unable = {row for row in ROWS if not ROWS[row].only_schedules}
        found.append(Contender("floor", sys.executable, "floor", unable))
    return found


def main() -> None:
    """Run the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--floor", action="store_true", help="compare with a minimal loop in C")
    parser.add_argument("--quick", action="store_true", help="a tenth of the operations")
    parser.add_argument(
        "--other",
        action="append",
        default=[],
        metavar="NAME=PYTHON[:MODULE]",
        help="compare with the loop of another environment",
    )
    options = parser.parse_args()
    rows = options.rows or list(ROWS)
    if unknown := set(rows) - ROWS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    loops = contenders(options.other, options.floor)
    for _ in range(options.rounds):
        for loop in loops:
            loop.measure(rows, 0.1 if options.quick else 1)
    print(f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}")
    print(f"medians of {options.rounds} rounds, ns of CPU time per operation (ratio to rsloop)")
    print(f"{'':24}" + "".join(f"{loop.name:>20}" for loop in loops))
    for row in rows:
        medians = [statistics.median(loop.results[row] or [0]) for loop in loops]
        named = zip(loops, medians, strict=True)
        base = next((median for loop, median in named if loop.name == OURS), 0)
        cells = [cell(median, base) for median in medians]
        print(f"{ROWS[row].title:24}" + "".join(f"{each:>20}" for each in cells), flush=True)


def cell(median: float, base: float) -> str:
    """Return what the table says of one loop in one row."""
    if not median:
        return "-"
    return f"{median:11.0f}" + (f" ({median / base:6.2f})" if base else "")


if __name__ == "__main__":
    main()
