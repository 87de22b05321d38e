"""Compare rsloop-bridge with pyo3-async-runtimes, on asyncio, uvloop and rsloop, in one run.

    python benches/bridge/compare.py [--rounds N] [--quick] [--instructions] [ROW ...]

Every round measures each pair of extension and loop in a fresh process, one after the other, so
that what else the machine does falls on all of them alike. The tables give medians of the rounds
per operation: wall time, CPU time of all threads (user and system), bytes of a pending future.
The ratios are the peer's, on asyncio and with the better of its runtimes, to ours, on asyncio and
on rsloop, and `goal` is the least they are to be; `loops` is the better of ours on asyncio and
uvloop to ours on rsloop.
`--instructions` counts instructions by valgrind instead, which tells more on a busy machine.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import COUNTED
from rows import ROWS

WORKER = Path(__file__).with_name("measure.py")
EXTENSIONS = ("peer.async_std", "peer.tokio", "ours")
LOOPS = ("asyncio", "uvloop", "rsloop")
PEERS = ("peer.async_std asyncio", "peer.tokio asyncio")
OTHERS = ("ours asyncio", "ours uvloop")
ALONE = "ours asyncio"
# Not those that wait for a clock, and not the thousands that valgrind's one thread would starve.
COUNTED_ROWS = (
    "ready",
    "ready_100",
    "yield",
    "yield_local",
    "cross",
    "cross_local",
    "call_local",
    "into_local",
    "cancel",
)

Found = dict[str, tuple[float, float]]


def able(pair: str, rows: list[str]) -> list[str]:
    """Return those of `rows` that are measured with this pair of extension and loop."""
    return [row for row in rows if pair == ALONE or row == "bytes" or not ROWS[row].alone]


def measure(pair: str, rows: list[str], scale: float) -> Found:
    """Return wall and CPU time per operation of each row, from one fresh process."""
    found: Found = {}
    timed = [row for row in rows if row != "bytes"]
    # All memory from the C library, which is asked how much it gave.
    for group, more in ((timed, {}), (["bytes"] * ("bytes" in rows), {"PYTHONMALLOC": "malloc"})):
        if group:
            command = [sys.executable, str(WORKER), *pair.split(), str(scale), *group]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=os.environ | more
            )
            if done.returncode:
                raise SystemExit(f"{pair} failed:\n{done.stderr}")
            found |= json.loads(done.stdout)
    return found


def count(pair: str, rows: list[str]) -> dict[str, float]:
    """Return the instructions per operation of each row, by valgrind: the difference of two runs.

    All from one process, most of whose instructions start Python; valgrind writes down its count
    with each call of `getppid`.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = (
            f"--callgrind-out-file={folder}/out",
            "--dump-before=getppid",
            "--fair-sched=yes",
        )
        command = ["valgrind", "--tool=callgrind", *options, sys.executable, str(WORKER)]
        command += [*pair.split(), "count", *rows]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        dumps = [Path(folder, f"out.{number}") for number in range(1, 3 * len(rows) + 1)]
        if done.returncode or not all(dump.exists() for dump in dumps):
            raise SystemExit(f"{pair} failed:\n{done.stderr}")
        found = [re.findall(r"^totals: (\d+)", dump.read_text(), re.MULTILINE) for dump in dumps]
    totals = [sum(int(part) for part in parts) for parts in found]
    operations = COUNTED[1] - COUNTED[0]
    return {
        row: (totals[3 * place + 2] - totals[3 * place + 1]) / operations
        for place, row in enumerate(rows)
    }


def table(
    title: str, pairs: list[str], cells: dict[str, dict[str, float]], goals: dict[str, float]
) -> None:
    """Print one table: a row of `cells` a line, and its ratios."""
    extensions, loops = zip(*(pair.split() for pair in pairs), strict=True)
    print(f"\n{title}")
    print(f"{'':28}" + "".join(f"{each:>15}" for each in extensions) + f"{'ratio on':>17}")
    heads = "".join(f"{each:>15}" for each in loops)
    print(f"{'':28}{heads}{'asyncio':>9}{'rsloop':>8}{'goal':>6}{'loops':>7}")
    for row, found in cells.items():
        name = ROWS[row].title if row in ROWS else "bytes while pending"
        line = "".join(f"{found[pair]:15.0f}" if pair in found else f"{'':15}" for pair in pairs)
        on_asyncio = quotient(found, PEERS, "ours asyncio")
        on_rsloop = quotient(found, PEERS, "ours rsloop")
        goal = f"{goals[row]:.1f}" if row in goals else ""
        loops_ratio = quotient(found, OTHERS, "ours rsloop")
        print(f"{name:28}{line}{on_asyncio:>9}{on_rsloop:>8}{goal:>6}{loops_ratio:>7}", flush=True)


def quotient(found: dict[str, float], theirs: tuple[str, ...], ours: str) -> str:
    """Return how many times `ours` the least of `theirs` is, or nothing if either is missing."""
    others = [found[pair] for pair in theirs if pair in found]
    return f"{min(others) / found[ours]:.2f}" if others and ours in found else ""


def main() -> None:
    """Run the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join([*ROWS, 'bytes'])}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a fifth of the operations")
    parser.add_argument("--instructions", action="store_true", help="count, by valgrind")
    options = parser.parse_args()
    rows = options.rows or [*ROWS, "bytes"]
    if unknown := set(rows) - ROWS.keys() - {"bytes"}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    extensions = [
        each for each in EXTENSIONS if importlib.util.find_spec(f"bench_{each.partition('.')[0]}")
    ]
    loops = [loop for loop in LOOPS if importlib.util.find_spec(loop)]
    for missing in sorted({*EXTENSIONS, *LOOPS} - {*extensions, *loops}):
        print(f"{missing}: not installed, left out")
    pairs = [f"{extension} {loop}" for extension in extensions for loop in loops]
    print(f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}")
    if options.instructions:
        rows = options.rows or list(COUNTED_ROWS)
        found = {pair: count(pair, able(pair, rows)) for pair in pairs}
        counted = {
            row: {pair: found[pair][row] for pair in pairs if row in found[pair]} for row in rows
        }
        table("instructions per operation, of all threads", pairs, counted, {})
        return
    results: dict[str, dict[str, list[tuple[float, float]]]] = {row: {} for row in rows}
    scale = 0.2 if options.quick else 1
    for _ in range(options.rounds):
        for pair in pairs:
            for row, value in measure(pair, able(pair, rows), scale).items():
                results[row].setdefault(pair, []).append(value)
    for clock, title in enumerate(("wall", "CPU")):
        medians = {
            row: {
                pair: statistics.median(value[clock] for value in values)
                for pair, values in found.items()
            }
            for row, found in results.items()
            if row != "bytes"
        }
        goals = {
            name: row.goal
            for name, row in ROWS.items()
            if row.goal and row.goal_clock == title.lower()
        }
        table(
            f"ns of {title} time per operation, medians of {options.rounds} rounds",
            pairs,
            medians,
            goals,
        )
    if "bytes" in rows:
        sizes = {
            pair: statistics.median(value[0] for value in values)
            for pair, values in results["bytes"].items()
        }
        table("bytes of a pending future", pairs, {"bytes": sizes}, {"bytes": 2.5})


if __name__ == "__main__":
    main()
