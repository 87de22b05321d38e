"""The demo of examples/c: RSLOOP_EXAMPLE names the folder with its copy."""

import pytest

from .demo import LOOPS, run_demo


@pytest.mark.parametrize("loop", LOOPS)
def test_threads_in_c_complete_futures_on_each_loop(loop: str) -> None:
    assert run_demo(loop) == ["sums: 0 2 4 6 8", "too late: the thread's result is discarded"]
