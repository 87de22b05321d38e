"""Sequences of operations on pipe transports, drawn by hypothesis: the same on both loops."""

import os
import sys
from typing import Any

import pytest

from .pipes import read_from, write_to
from .stories import Story, same_on_both_loops

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")


class PipeStory(Story):
    """A transport at one end of a pipe, and at the other the bare descriptor `far`."""

    transport: Any
    protocol: Any
    far: int

    def state(self) -> tuple[object, ...]:
        return self.transport.is_closing(), list(self.protocol.calls)

    async def end(self) -> None:
        self.transport.close()
        self.far_closes()
        await self.settle()
        lost = self.protocol.lost
        self.seen.append((*self.state(), repr(lost.result()) if lost.done() else "not lost"))

    def far_closes(self) -> None:
        if self.far != -1:
            os.close(self.far)
            self.far = -1

    def close(self) -> None:
        self.transport.close()


class WritingStory(PipeStory):
    """A transport that writes."""

    async def begin(self) -> None:
        self.far, near = os.pipe()
        os.set_blocking(self.far, False)
        self.transport, self.protocol = await write_to(near)
        self.written = 0

    def state(self) -> tuple[object, ...]:
        described = [word for word in repr(self.transport).split() if not word.startswith("fd=")]
        return (*super().state(), self.transport.get_write_buffer_size(), described)

    def write(self) -> None:
        self.written += 1
        self.transport.write(b"%d," % self.written)

    def write_nothing(self) -> None:
        self.transport.write(b"")

    def write_much(self) -> None:
        self.transport.write(bytes(100_000))

    def write_lines(self) -> None:
        self.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])

    def limits(self) -> None:
        self.transport.set_write_buffer_limits(high=1000, low=10)

    def write_eof(self) -> None:
        self.transport.write_eof()

    def abort(self) -> None:
        if not self.transport.is_closing():  # asyncio loses it twice: see docs/differences.md
            self.transport.abort()

    def far_reads(self) -> object:
        try:
            return len(os.read(self.far, 30_000))
        except BlockingIOError:
            return "nothing"


class ReadingStory(PipeStory):
    """A transport that reads."""

    async def begin(self) -> None:
        near, self.far = os.pipe()
        self.transport, self.protocol = await read_from(near)

    def state(self) -> tuple[object, ...]:
        received = bytes(self.protocol.data)
        return (*super().state(), self.transport.is_reading(), received)

    def far_writes(self) -> None:
        os.write(self.far, b"data,")

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        self.transport.resume_reading()

    def another_protocol(self) -> None:
        self.transport.set_protocol(self.protocol)


WRITING = (
    *("write", "write nothing", "write much", "write lines", "limits", "far reads"),
    *("write eof", "close", "abort", "far closes"),
)
READING = ("far writes", "pause", "resume", "another protocol", "close", "far closes")


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(strategies.lists(strategies.sampled_from(WRITING), max_size=12))  # type: ignore[untyped-decorator]
def test_the_same_story_of_writing_on_both_loops(operations: list[str]) -> None:
    same_on_both_loops(WritingStory, operations)


@pytest.mark.skipif(sys.version_info < (3, 11, 3), reason="asyncio's pipes have no is_reading")
@hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(strategies.lists(strategies.sampled_from(READING), max_size=12))  # type: ignore[untyped-decorator]
def test_the_same_story_of_reading_on_both_loops(operations: list[str]) -> None:
    same_on_both_loops(ReadingStory, operations)
