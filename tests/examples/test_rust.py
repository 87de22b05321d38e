"""The demo of examples/rust, run where it was copied to: RSLOOP_EXAMPLE names the folder."""

import pytest

from .demo import LOOPS, run_demo

RESULTS = [
    "sleep_and_tag: rust finished: hello from python",
    f"sum_of_squares: {sum(number * number for number in range(101))}",
    "count_in_turns: 10",
    "call_python_awaitable: python finished: called from rust",
]


@pytest.mark.parametrize("loop", LOOPS)
def test_the_demo_gives_the_same_results_on_each_loop(loop: str) -> None:
    assert run_demo(loop) == RESULTS
