"""Random sequences of operations on a stream transport: the same story on both loops."""

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest

from .recorders import BufferedRecorder, Recorder

LENGTH = 14
OPERATIONS = (
    "write",
    "write much",
    "writelines",
    "write_eof",
    "pause_reading",
    "resume_reading",
    "limits",
    "close",
    "abort",
    "set_protocol",
    "peer sends",
    "peer sends",
    "peer reads",
    "peer reads",
    "peer shuts down",
    "peer closes",
)
# Drawn less often, or most sequences would end at once.
FINAL = {"close", "abort", "peer closes"}


class Story:
    """Plays a sequence on one loop and keeps what could be seen of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: list[object] = []

    async def play(self) -> list[object]:
        """Play the sequence and return the story."""
        loop = asyncio.get_running_loop()
        left, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        self.bell = socket.socketpair()
        self.protocols: list[Recorder | BufferedRecorder] = [self.make_protocol()]
        self.transport, _ = await loop.create_connection(lambda: self.protocols[0], sock=left)
        for _ in range(LENGTH):
            operation = self.random.choice(OPERATIONS)
            if operation in FINAL and self.random.random() < 0.6:
                operation = "peer sends"
            try:
                result: object = getattr(self, operation.replace(" ", "_"))()
            except (OSError, RuntimeError, TypeError, ValueError) as error:
                result = type(error).__name__
            await self.settle()
            self.seen.append((operation, result, *self.state()))
        self.transport.abort()
        await self.settle()
        for protocol in self.protocols:
            lost = repr(protocol.lost.result()) if protocol.lost.done() else "not lost"
            self.seen.append((merged(protocol.calls), bytes(protocol.data), lost))
        self.peer.close()
        for sock in self.bell:
            sock.close()
        return self.seen

    def make_protocol(self) -> Recorder | BufferedRecorder:
        """Return a protocol of either kind."""
        keep_open = self.random.random() < 0.5
        if self.random.random() < 0.3:
            # Large enough that one turn takes all that waits.
            return BufferedRecorder(65536)
        return Recorder(keep_open_at_eof=keep_open)

    def state(self) -> tuple[object, ...]:
        """Return what the transport says of itself."""
        transport = self.transport
        return (
            transport.is_closing(),
            transport.is_reading(),
            transport.get_write_buffer_size() > 0,
            transport.get_protocol() is self.protocols[-1],
        )

    async def settle(self) -> None:
        """Let the loop look at its descriptors a few times, and run what comes of it."""
        loop = asyncio.get_running_loop()
        for _ in range(4):
            looked = loop.create_future()
            loop.add_reader(self.bell[0], looked.set_result, None)
            self.bell[1].send(b"!")
            await looked
            loop.remove_reader(self.bell[0])
            self.bell[0].recv(1)

    def write(self) -> None:
        self.transport.write(self.random.randbytes(self.random.randrange(100)))

    def write_much(self) -> None:
        self.transport.write(bytes(3_000_000))

    def writelines(self) -> None:
        # Early 3.13 releases break the transport by a writelines() after the end.
        if not self.transport.is_closing():
            self.transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])

    def write_eof(self) -> None:
        self.transport.write_eof()

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def limits(self) -> tuple[int, int]:
        self.transport.set_write_buffer_limits(high=self.random.choice([0, 10, 1_000_000]))
        return self.transport.get_write_buffer_limits()

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def set_protocol(self) -> None:
        if not self.transport.is_closing():
            self.protocols.append(self.make_protocol())
            # It gets no connection_made of its own.
            self.transport.set_protocol(self.protocols[-1])

    def peer_sends(self) -> int:
        return self.peer.send(self.random.randbytes(self.random.randrange(1, 200)))

    def peer_reads(self) -> object:
        # How much arrives at once is the kernel's choice, so read all there is.
        total = 0
        try:
            while data := self.peer.recv(1 << 20):
                total += len(data)
        except BlockingIOError:
            return total > 0
        return "end of file"

    def peer_shuts_down(self) -> None:
        self.peer.shutdown(socket.SHUT_WR)

    def peer_closes(self) -> None:
        self.peer.close()


def merged(calls: list[str]) -> list[str]:
    """Drop repeated deliveries: how bytes are cut into pieces is not promised."""
    return [
        call
        for number, call in enumerate(calls)
        if not (
            number and call == calls[number - 1] and call in ("data_received", "buffer_updated")
        )
    ]


def play(make_loop: Callable[[], Any], seed: int) -> list[object]:
    """Return the story of one seed on a fresh loop."""
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(Story(seed).play())


@pytest.mark.parametrize("first", range(0, 400, 20))
def test_the_same_story_on_both_loops(first: int, asyncio_log: Any) -> None:
    import rsloop_core

    for seed in range(first, first + 20):
        expected = play(asyncio.SelectorEventLoop, seed)
        assert play(rsloop_core.Loop, seed) == expected, f"seed {seed}"
