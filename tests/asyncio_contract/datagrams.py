"""Datagram endpoints that record, and one whose kernel queue is full."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .recorders import Calls

#: What a datagram counts for in the write buffer beside its bytes.
HEADER_BYTES = 8 if sys.version_info >= (3, 13) else 0


class Datagrams(Calls, asyncio.DatagramProtocol):
    """Records what a datagram transport delivers."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost: asyncio.Future[Exception | None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.note("connection_made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))
        self.note("datagram_received")

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)
        self.note("error_received")

    def pause_writing(self) -> None:
        self.note("pause_writing")

    def resume_writing(self) -> None:
        self.note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("connection_lost")
        self.lost.set_result(exc)


# The transport is no asyncio.DatagramTransport to the type checker, since that class lacks the
# methods of flow control, which every transport has.
Endpoint = tuple[Any, Datagrams]


async def endpoint(factory: type[Datagrams] = Datagrams, **options: Any) -> Endpoint:
    """Return a datagram endpoint, bound to the loopback unless told otherwise."""
    options = options or {"local_addr": ("127.0.0.1", 0)}
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(factory, **options)


async def close(*endpoints: Endpoint) -> None:
    """Close endpoints and wait until their sockets are gone."""
    for transport, protocol in endpoints:
        transport.close()
        await protocol.lost
    await asyncio.sleep(0)


def address_of(end: Endpoint) -> Any:
    """Return the address that an endpoint is bound to."""
    return end[0].get_extra_info("sockname")


@asynccontextmanager
async def stalled(
    folder: Path, *, connected: bool = True
) -> AsyncIterator[tuple[Endpoint, socket.socket]]:
    """Yield an endpoint with one byte in its write buffer, and the peer that does not read.

    Unix sockets, since on these alone a slow receiver stops the sender.
    """
    path = str(folder / "peer")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(path)
        peer.setblocking(False)
        if connected:
            end = await endpoint(remote_addr=path, family=socket.AF_UNIX)
        else:
            end = await endpoint(local_addr=str(folder / "one"), family=socket.AF_UNIX)
        while end[0].get_write_buffer_size() == 0:
            end[0].sendto(b"x", None if connected else path)
        yield end, peer
        if not end[1].lost.done():
            end[0].abort()
        await end[1].lost
        await asyncio.sleep(0)


async def drain(end: Endpoint, peer: socket.socket, count: int) -> list[bytes]:
    """Read what `peer` gets, but for the bytes that stalled it, until `count` have come."""
    found: list[bytes] = []
    while len(found) < count:
        try:
            data = peer.recv(1000)
        except BlockingIOError:
            await asyncio.sleep(0)
        else:
            found += [data] if data != b"x" else []
    return found
