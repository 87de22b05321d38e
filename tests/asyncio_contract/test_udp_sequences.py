"""Sequences of operations on a datagram transport, drawn by hypothesis: the same on both loops."""

import asyncio
import socket
import tempfile
from typing import Any

import pytest

from .datagrams import Datagrams
from .stories import Story, same_on_both_loops

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")


class DatagramStory(Story):
    """An endpoint that is connected to a socket whose queue is short: a unix one."""

    transport: Any
    # One datagram is read in a turn, and the queue holds some ten of them.
    looks = 12

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        self.folder = tempfile.TemporaryDirectory()
        ours, theirs = f"{self.folder.name}/ours", f"{self.folder.name}/theirs"
        self.peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.peer.setblocking(False)
        self.peer.bind(theirs)
        self.transport, self.protocol = await loop.create_datagram_endpoint(
            Datagrams, local_addr=ours, remote_addr=theirs, family=socket.AF_UNIX
        )
        self.peer.connect(ours)
        self.sent = 0

    def state(self) -> tuple[object, ...]:
        transport = self.transport
        return transport.is_closing(), transport.get_write_buffer_size(), len(self.protocol.calls)

    async def end(self) -> None:
        self.transport.abort()
        await self.settle()
        protocol = self.protocol
        lost = repr(protocol.lost.result()) if protocol.lost.done() else "not lost"
        received = [data for data, _ in protocol.received]
        self.seen.append((protocol.calls, received, list(map(repr, protocol.errors))))
        self.seen.append(lost)
        self.peer.close()
        self.folder.cleanup()

    def send(self) -> None:
        self.sent += 1
        self.transport.sendto(b"datagram %d" % self.sent)

    def send_nothing(self) -> None:
        self.transport.sendto(b"")

    def send_a_bytearray(self) -> None:
        data = bytearray(b"mutable")
        self.transport.sendto(data)
        data[:] = b"MUTABLE"

    def send_many(self) -> None:
        for _ in range(30):
            self.send()

    def send_too_much(self) -> None:
        self.transport.sendto(bytes(10_000_000))

    def limits(self) -> None:
        self.transport.set_write_buffer_limits(high=100, low=10)

    def peer_sends(self) -> int:
        return self.peer.send(b"from the peer")

    def peer_sends_many(self) -> None:
        for number in range(8):
            self.peer.send(b"from the peer %d" % number)

    def peer_reads(self) -> list[bytes]:
        received = []
        try:
            while True:
                received.append(self.peer.recv(1000))
        except BlockingIOError:
            return received

    def peer_closes(self) -> None:
        self.peer.close()

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()


OPERATIONS = (
    *("send", "send nothing", "send a bytearray", "send many", "send too much", "limits"),
    *("peer sends", "peer sends many", "peer reads", "peer closes", "close", "abort"),
)


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(strategies.lists(strategies.sampled_from(OPERATIONS), max_size=12))  # type: ignore[untyped-decorator]
def test_the_same_story_on_both_loops(operations: list[str]) -> None:
    same_on_both_loops(DatagramStory, operations)
