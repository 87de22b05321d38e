"""Sequences of operations on a bare socket, drawn by hypothesis: the same on both loops."""

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from .stories import Story, same_on_both_loops

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")


class SockStory(Story):
    """A socket on which one task at a time receives and one sends, and its peer."""

    async def begin(self) -> None:
        self.sock, self.peer = socket.socketpair()
        self.sock.setblocking(False)
        self.peer.setblocking(False)
        self.space = bytearray(20)
        self.tasks: dict[str, asyncio.Task[Any]] = {}

    def state(self) -> tuple[object, ...]:
        return tuple((name, self.outcome(task)) for name, task in sorted(self.tasks.items()))

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
        loop = asyncio.get_running_loop()
        self.seen.append((loop.remove_reader(self.sock), loop.remove_writer(self.sock)))
        self.seen.append((self.state(), bytes(self.space)))
        self.sock.close()
        self.peer.close()

    def outcome(self, task: "asyncio.Task[Any]") -> object:
        if not task.done():
            return "waits"
        return "cancelled" if task.cancelled() else repr(task.exception() or task.result())

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> str:
        if name in self.tasks and not self.tasks[name].done():
            coroutine.close()
            return "not now"
        self.tasks[name] = asyncio.ensure_future(coroutine)
        return "started"

    def receive(self) -> str:
        return self.start("in", asyncio.get_running_loop().sock_recv(self.sock, 10))

    def receive_into(self) -> str:
        return self.start("in", asyncio.get_running_loop().sock_recv_into(self.sock, self.space))

    def receive_from(self) -> str:
        return self.start("in", asyncio.get_running_loop().sock_recvfrom(self.sock, 10))

    def receive_from_into(self) -> str:
        loop = asyncio.get_running_loop()
        return self.start("in", loop.sock_recvfrom_into(self.sock, self.space, 5))

    def send(self) -> str:
        return self.start("out", asyncio.get_running_loop().sock_sendall(self.sock, b"data"))

    def send_much(self) -> str:
        data = bytearray(1_000_000)
        return self.start("out", asyncio.get_running_loop().sock_sendall(self.sock, data))

    def stop_receiving(self) -> bool:
        return "in" in self.tasks and self.tasks["in"].cancel()

    def stop_sending(self) -> bool:
        return "out" in self.tasks and self.tasks["out"].cancel()

    def peer_sends(self) -> None:
        self.peer.send(b"0123456789abcdef")

    def peer_sends_as_receiving_stops(self) -> bool:
        self.peer_sends()
        return self.stop_receiving()

    def peer_reads(self) -> object:
        try:
            return bool(self.peer.recv(2_000_000))
        except BlockingIOError:
            return "nothing"

    def peer_ends(self) -> None:
        self.peer.shutdown(socket.SHUT_WR)

    def peer_closes(self) -> None:
        self.peer.close()


OPERATIONS = (
    *("receive", "receive into", "receive from", "receive from into", "send", "send much"),
    *("stop receiving", "stop sending", "peer sends", "peer sends as receiving stops"),
    *("peer reads", "peer ends", "peer closes"),
)


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(strategies.lists(strategies.sampled_from(OPERATIONS), max_size=12))  # type: ignore[untyped-decorator]
def test_the_same_story_on_both_loops(operations: list[str]) -> None:
    same_on_both_loops(SockStory, operations)
