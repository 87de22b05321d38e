"""Sequences of operations on a server and its clients, drawn by hypothesis."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from .recorders import Recorder
from .stories import Story, same_on_both_loops

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")


class ServerStory(Story):
    """A server on the loopback, and clients that are plain sockets."""

    server: Any

    async def begin(self) -> None:
        self.accepted: list[Recorder] = []
        self.clients: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            self.accept, "127.0.0.1", 0, start_serving=False, backlog=50
        )
        self.address = self.server.sockets[0].getsockname()
        self.starts: list[asyncio.Task[None]] = []
        self.waiting: asyncio.Task[None] | None = None

    def accept(self) -> Recorder:
        self.accepted.append(Recorder(keep_open_at_eof=len(self.accepted) % 2 == 0))
        return self.accepted[-1]

    def state(self) -> tuple[object, ...]:
        return (
            self.server.is_serving(),
            len(self.server.sockets),
            self.waiting is not None and self.waiting.done(),
            [(recorder.calls, bytes(recorder.data)) for recorder in map(copied, self.accepted)],
        )

    async def end(self) -> None:
        self.server.close()
        for recorder in self.accepted:
            recorder.transport.abort()
        await self.settle()
        for client in self.clients:
            client.close()
        await self.server.wait_closed()
        if self.waiting is not None:
            await self.waiting
        started = await asyncio.gather(*self.starts, return_exceptions=True)
        self.seen.append((self.state(), list(map(repr, started))))

    def start(self) -> None:
        self.starts.append(asyncio.ensure_future(self.server.start_serving()))

    def close(self) -> None:
        self.server.close()

    def wait(self) -> None:
        if self.waiting is None:
            self.waiting = asyncio.ensure_future(self.server.wait_closed())

    def connect(self) -> None:
        client = socket.socket()
        self.clients.append(client)
        client.connect(self.address)

    def connect_many(self) -> None:
        for _ in range(5):
            self.connect()

    def client_sends(self) -> None:
        self.clients[-1].send(b"words") if self.clients else None

    def client_shuts_down(self) -> None:
        if self.clients:
            self.clients[-1].shutdown(socket.SHUT_WR)

    def client_leaves(self) -> None:
        if self.clients:
            self.clients.pop().close()

    def answer(self) -> None:
        for recorder in self.accepted:
            recorder.transport.write(b"answer")

    def close_clients(self) -> None:
        # 3.13 and newer.
        with contextlib.suppress(AttributeError):
            self.server.close_clients()

    def abort_clients(self) -> None:
        with contextlib.suppress(AttributeError):
            self.server.abort_clients()


class copied:  # noqa: N801
    """What a recorder has noted so far."""

    def __init__(self, recorder: Recorder) -> None:
        self.calls = list(recorder.calls)
        self.data = recorder.data


OPERATIONS = (
    *("start", "close", "wait", "connect", "connect many", "client sends", "client shuts down"),
    *("client leaves", "answer", "close clients", "abort clients"),
)
SEQUENCES = strategies.lists(strategies.sampled_from(OPERATIONS), max_size=10)


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(SEQUENCES.map(lambda operations: ["start", *operations]))  # type: ignore[untyped-decorator]
def test_the_same_story_on_both_loops(operations: list[str]) -> None:
    same_on_both_loops(ServerStory, operations)
