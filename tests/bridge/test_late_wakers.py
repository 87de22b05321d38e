"""Wakers that are fired when nobody can be woken any more: nothing happens, and nothing breaks."""

import asyncio
import os
import subprocess
import sys

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import LoopFactory, Run
from .test_outcomes import MAKERS, Make


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    maker: Make = request.param
    return maker


def test_after_completion(run: Run, make: Make) -> None:
    async def main() -> None:
        gate, drops = Gate(), Drops()
        future = make("value", gate, drops)
        await asyncio.sleep(0)
        gate.open_elsewhere()
        assert await future == "the value"
        assert drops.wait_for(1) == 1
        polls = gate.polls
        for _ in range(3):
            gate.wake_old()
            await asyncio.sleep(0)
        assert (gate.polls, drops.count) == (polls, 1)
        assert await future == "the value"

    run(main())


def test_after_cancellation(run: Run, make: Make) -> None:
    async def main() -> None:
        gate, drops = Gate(), Drops()
        future = make("value", gate, drops)
        await asyncio.sleep(0.001)
        future.cancel()
        assert drops.wait_for(1) == 1
        polls = gate.polls
        gate.wake_old()
        await asyncio.sleep(0)
        assert (gate.polls, drops.count) == (polls, 1)
        assert future.cancelled()

    run(main())


def test_after_the_loop_has_closed(loop_factory: LoopFactory, make: Make) -> None:
    gate, drops = Gate(), Drops()

    async def main() -> object:
        future = make("value", gate, drops)
        await asyncio.sleep(0.001)
        return [future]

    loop = loop_factory()
    held = loop.run_until_complete(main())
    loop.close()
    assert drops.wait_for(1) == 1
    polls = gate.polls
    gate.wake_old()
    del held, loop
    gate.wake_old()
    assert (gate.polls, drops.count) == (polls, 1)
    # Another loop, perhaps at the same address, is not taken for the old one.
    other = loop_factory()
    gate.wake_old()
    assert other.run_until_complete(asyncio.sleep(0, "unharmed")) == "unharmed"
    other.close()


SCRIPT = """
import asyncio, importlib, os, sys, warnings
import bridge_tests
warnings.simplefilter("ignore", DeprecationWarning)
warnings.simplefilter("ignore", ResourceWarning)
module = importlib.import_module(sys.argv[1])
gate = bridge_tests.Gate()
async def main():
    global held
    held = [make("value", gate) for make in
            (bridge_tests.future_into_py, bridge_tests.spawn_into_py,
             bridge_tests.local_future_into_py)]
    await asyncio.sleep(0.01)
loop = module.new_event_loop()
loop.run_until_complete(main())
"""
IN_CHILD = """
child = os.fork()
if child == 0:
    gate.wake_old()
    with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
        runner.run(asyncio.sleep(0))
        gate.wake_old()
        runner.run(asyncio.sleep(0))
    gate.wake_old()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
gate.open()
gathered = asyncio.wait_for(asyncio.gather(*held), 10)
assert loop.run_until_complete(gathered) == ["the value"] * 3
gate.wake_old()
loop.close()
"""
AT_EXIT = """
gate.wake_old_for_ever()
"""


def run_script(source: str, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip(loop)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + source, loop],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("loop", ["asyncio", "rsloop"])
def test_after_a_fork(loop: str) -> None:
    run_script(IN_CHILD, loop)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rsloop"])
@pytest.mark.parametrize("end", ["", "loop.close()\n"], ids=["open", "closed"])
def test_while_the_interpreter_exits(loop: str, end: str) -> None:
    for _ in range(3):
        run_script(AT_EXIT + end, loop)


def test_the_gate_keeps_wakers(run: Run) -> None:
    """What the tests above rest on: a waker that is kept does wake, while somebody waits."""

    async def main() -> None:
        gate = Gate()
        future = bridge_tests.local_future_into_py("value", gate)
        await asyncio.sleep(0)
        polls = gate.polls
        gate.wake_old()
        await asyncio.sleep(0.01)
        assert gate.polls > polls
        gate.open()
        await future

    run(main())
