"""The demo of examples/rust, run where it was copied to: RSLOOP_EXAMPLE names the folder."""

import os
import subprocess
import sys

import pytest

LOOPS = {
    "rsloop": "loop: rsloop_core._loop.Loop",
    "asyncio": "loop: asyncio.unix_events._UnixSelectorEventLoop",
}
RESULTS = [
    "sleep_and_tag: rust finished: hello from python",
    f"sum_of_squares: {sum(number * number for number in range(101))}",
    "count_in_turns: 10",
    "call_python_awaitable: python finished: called from rust",
]


@pytest.mark.parametrize("loop", LOOPS)
def test_the_demo_gives_the_same_results_on_each_loop(loop: str) -> None:
    command = [sys.executable, "-W", "error", "demo.py", f"--loop={loop}"]
    example = os.environ["RSLOOP_EXAMPLE"]
    done = subprocess.run(command, cwd=example, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [LOOPS[loop], *RESULTS]
