"""Protocols that record what the transport tells them, and let a test wait for it."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from .descriptors import fill


class Calls:
    """A list of calls that can be waited on."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []

    def note(self, call: str) -> None:
        """Record `call` and wake whoever waits."""
        self.calls.append(call)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Return once `predicate()` holds; it is asked again after each call."""
        while not predicate():
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter


class Connection(Calls, asyncio.BaseProtocol):
    """Records the beginning and the end of a connection, and keeps the bytes received."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()
        self.lost: asyncio.Future[Exception | None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None

    @property
    def transport(self) -> asyncio.Transport:
        """The transport given to connection_made."""
        assert self._transport is not None
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.note("connection_made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("connection_lost")
        self.lost.set_result(exc)

    async def received(self, count: int) -> bytes:
        """Wait for `count` bytes in all, and return everything received."""
        await self.until(lambda: len(self.data) >= count)
        return bytes(self.data)


class Recorder(Connection, asyncio.Protocol):
    """Records the calls of a stream transport and the bytes received."""

    def __init__(self, *, keep_open_at_eof: bool | None = None) -> None:
        super().__init__()
        self.keep_open_at_eof = keep_open_at_eof

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.data += data
        self.note("data_received")

    def eof_received(self) -> bool | None:
        self.note("eof_received")
        return self.keep_open_at_eof

    def pause_writing(self) -> None:
        self.note("pause_writing")

    def resume_writing(self) -> None:
        self.note("resume_writing")


class BufferedRecorder(Connection, asyncio.BufferedProtocol):
    """As `Recorder`, with a buffer of its own of `size` bytes."""

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.hints: list[int] = []
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> Any:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        self.data += self.buffer[:nbytes]
        self.note("buffer_updated")

    def eof_received(self) -> bool | None:
        self.note("eof_received")
        return None


def fill_kernel_buffer(transport: asyncio.Transport) -> int:
    """Write behind the transport's back until the kernel takes no more; return the count."""
    return fill(transport.get_extra_info("socket").fileno())


def reset(peer: socket.socket) -> None:
    """Close `peer` so that the other side gets a reset instead of an end of file."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


async def receive_exactly(peer: socket.socket, count: int) -> bytes:
    """Receive `count` bytes on the non-blocking socket `peer`."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        piece = await loop.sock_recv(peer, min(count - len(data), 1 << 20))
        assert piece, f"end of file after {len(data)} of {count} bytes"
        data += piece
    return bytes(data)


async def receive_to_end(peer: socket.socket) -> bytes:
    """Receive on the non-blocking socket `peer` until the end of file."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while piece := await loop.sock_recv(peer, 1 << 20):
        data += piece
    return bytes(data)
