"""The demo of examples/cython: RSLOOP_EXAMPLE names the folder with its copy."""

import pytest

from .demo import LOOPS, run_demo


@pytest.mark.parametrize("loop", LOOPS)
def test_threads_in_cython_complete_futures_on_each_loop(loop: str) -> None:
    assert run_demo(loop) == ["quotients: 1.0 0.5 0.25 ZeroDivisionError('division by zero')"]
