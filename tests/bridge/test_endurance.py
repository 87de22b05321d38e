"""What goes wrong once in a thousand times, tried often enough.

The exits take minutes: `pytest -m endurance`, or `nox -s endurance`.
"""

import asyncio
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import Run
from .test_exit import LOOPS, PROLOGUE
from .test_outcomes import MAKERS, Make

Call = Callable[[Gate, Callable[[], None]], "asyncio.Future[None]"]

RACES = 10_000
BATCH = 50
EXITS = 200
# Workers that attach, workers that sleep, results on their way, and pending futures, all at once.
BUSY_EXIT = """
gates = [bridge_tests.Gate() for _ in range(3)]
async def main():
    global held
    held = [bridge_tests.busy_worker() for _ in range(4)]
    held += [bridge_tests.future_into_py("value", gates[0]) for _ in range(50)]
    held += [bridge_tests.spawn_into_py("value", gates[1]) for _ in range(50)]
    held += [bridge_tests.local_future_into_py("value", gates[2]) for _ in range(50)]
    held += [bridge_tests.call_from_worker(gates[1], asyncio.sleep(100))]
    held += [bridge_tests.sum_of_tasks(10)]
    await asyncio.sleep(int(sys.argv[2]) / 1e5)
    gates[1].open()
    gates[2].open_elsewhere()
    gates[0].wake_old_for_ever()
loop.run_until_complete(main())
"""


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_cancel_races(run: Run, make: Make) -> None:
    """A thread opens the gate while the loop cancels: each ends once, and is dropped once."""
    drops = Drops()

    async def batch(index: int) -> tuple[int, int]:
        gate = Gate()
        futures = [make("value", gate, drops) for _ in range(BATCH)]
        opener = threading.Thread(target=gate.open)
        await asyncio.sleep(0)
        opener.start()
        for _ in range(index % 7 * 20):
            pass  # the race is run from several distances
        cancelled = [future.cancel() for future in futures[index % 2 :: 2]]
        done = await asyncio.gather(*futures, return_exceptions=True)
        opener.join()
        wrong = [each for each in done if each != "the value" and not is_cancelled(each)]
        assert wrong == []
        # Who was told that the cancelling worked must find it cancelled.
        assert sum(map(is_cancelled, done)) == sum(cancelled)
        return len(done), sum(cancelled)

    async def main() -> tuple[int, int]:
        counts = [await batch(index) for index in range(RACES // BATCH)]
        return sum(one for one, _ in counts), sum(other for _, other in counts)

    ended, cancelled = run(main())
    assert ended == RACES
    assert cancelled > 0
    assert drops.wait_for(RACES) == RACES


def is_cancelled(outcome: object) -> bool:
    return isinstance(outcome, asyncio.CancelledError)


@pytest.mark.parametrize(
    "call", [bridge_tests.call_on_worker, bridge_tests.call_in_poll], ids=lambda call: call.__name__
)
def test_cancel_races_with_polls_that_attach(run: Run, call: Call) -> None:
    """As above, with futures that call Python in their polls, on workers or on the loop."""
    # Changed on several threads: by operations that are atomic.
    callers: list[int] = []
    alive: set[int] = set()

    class Function:
        """Counts its calls, and what is left of it."""

        def __init__(self, number: int) -> None:
            self.number = number
            alive.add(number)

        def __call__(self) -> None:
            callers.append(threading.get_ident())

        def __del__(self) -> None:
            alive.discard(self.number)

    async def batch(index: int) -> int:
        gate = Gate()
        futures = [call(gate, Function(BATCH * index + number)) for number in range(BATCH)]
        opener = threading.Thread(target=gate.open)
        await asyncio.sleep(0)
        opener.start()
        await asyncio.sleep(0)
        for future in futures[index % 2 :: 2]:
            future.cancel()
        done = await asyncio.gather(*futures, return_exceptions=True)
        opener.join()
        wrong = [each for each in done if each is not None and not is_cancelled(each)]
        assert wrong == []
        return sum(each is None for each in done)

    async def main() -> int:
        return sum([await batch(index) for index in range(RACES // BATCH)])

    # A cancelled future may have made its call before it was dropped.
    assert run(main()) <= len(callers) <= RACES
    assert (set(callers) == {threading.get_ident()}) is (call is bridge_tests.call_in_poll)
    deadline = time.monotonic() + 10
    while alive and time.monotonic() < deadline:
        # What a worker drops detached, PyO3 gives back when somebody next calls it.
        bridge_tests.executor()
        time.sleep(0.001)
    assert alive == set()


@pytest.mark.endurance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("loop", LOOPS)
def test_exits(loop: str) -> None:
    """Interpreters that exit in the midst of it all: silently, with status 0."""
    if loop == "uvloop":
        pytest.importorskip(loop)
    delays = random.Random(5)  # the same in each run
    for _ in range(EXITS):
        command = [sys.executable, "-c", PROLOGUE + textwrap.dedent(BUSY_EXIT)]
        delay = str(delays.randrange(300))
        done = subprocess.run(
            [*command, loop, delay],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parent,  # where one of the loops is
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), delay
