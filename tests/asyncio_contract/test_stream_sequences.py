"""Sequences of operations on a stream transport, drawn by hypothesis: the same on both loops."""

import functools
import socket

import pytest

from .stories import same_on_both_loops
from .stream_stories import StreamStory

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")

OPERATIONS = (
    *("write", "write nothing", "write a bytearray", "write much", "write text", "writelines"),
    *("write eof", "pause", "resume", "no limits", "low limits", "limits of zero", "bad limits"),
    *("close", "abort", "set protocol", "set half open protocol", "set buffered protocol"),
    *("peer sends", "peer sends a lot", "peer reads", "peer shuts down", "peer closes"),
    "peer resets",
)
SEQUENCES = strategies.lists(strategies.sampled_from(OPERATIONS), max_size=12)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["tcp", "unix"])
@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(operations=SEQUENCES)  # type: ignore[untyped-decorator]
def test_the_same_story_on_both_loops(family: int, operations: list[str]) -> None:
    same_on_both_loops(functools.partial(StreamStory, family), operations)
