"""A forked child starts afresh: it never waits for threads that stayed with the parent."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, importlib, os, sys, warnings
import bridge_tests
warnings.simplefilter("ignore", DeprecationWarning)
module = importlib.import_module(sys.argv[1])

async def in_parent():
    global held, gate
    gate = bridge_tests.Gate()
    held = [bridge_tests.spawn_into_py("value", gate)]
    held.append(bridge_tests.local_future_into_py("value", gate))
    assert await bridge_tests.spawn_into_py("value") == "the value"

async def in_child():
    assert await bridge_tests.yield_locally(3)
    assert await bridge_tests.call_from_local(asyncio.sleep(0, "slept")) == "slept"
    try:
        bridge_tests.spawn_into_py("value")
    except RuntimeError as error:
        assert "forked" in str(error), error
    else:
        raise AssertionError("not refused")

loop = module.new_event_loop()
loop.run_until_complete(in_parent())
child = os.fork()
if child == 0:
    with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
        runner.run(in_child())
    # Wakers and awaitables of the parent do nothing here.
    gate.open()
    held.clear()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
gate.open()
assert loop.run_until_complete(asyncio.wait_for(held[0], 10)) == "the value"
assert loop.run_until_complete(asyncio.wait_for(held[1], 10)) == "the value"
loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("loop", ["asyncio", "rsloop"])
def test_a_child_refuses_workers_and_runs_the_rest(loop: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, loop],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
