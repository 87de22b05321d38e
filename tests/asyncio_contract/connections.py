"""TCP connections with the transport under test at one end and a bare socket at the other."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

P = TypeVar("P", bound=asyncio.BaseProtocol)

SIDES = ("client", "server")


def listening_socket(host: str = "127.0.0.1") -> socket.socket:
    """Return a non-blocking socket that listens on a port of the kernel's choice."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    listener.setblocking(False)
    return listener


@contextlib.asynccontextmanager
async def connection(
    make_protocol: Callable[[], P], side: str = "client"
) -> AsyncIterator[tuple[asyncio.Transport, P, socket.socket]]:
    """Yield `(transport, protocol, peer)` of a fresh connection.

    `side` says which end the transport is: it comes from create_connection or from
    create_server. Everything is closed at the end, as far as the test has not done it.
    """
    loop = asyncio.get_running_loop()
    if side == "client":
        with listening_socket() as listener:
            transport, protocol = await loop.create_connection(
                make_protocol, *listener.getsockname()
            )
            peer, _ = await loop.sock_accept(listener)
        close: Callable[[], Any] = transport.close
    else:
        made: asyncio.Future[tuple[Any, P]] = loop.create_future()

        def factory() -> P:
            # Not asyncio.Protocol itself: its slots leave no room for the replacement.
            protocol = make_protocol()
            original = protocol.connection_made

            def connection_made(transport: asyncio.BaseTransport) -> None:
                original(transport)
                made.set_result((transport, protocol))

            protocol.connection_made = connection_made  # type: ignore[method-assign]
            return protocol

        server = await loop.create_server(factory, "127.0.0.1", 0)
        peer = socket.socket()
        peer.setblocking(False)
        await loop.sock_connect(peer, server.sockets[0].getsockname())
        transport, protocol = await made
        del protocol.connection_made
        server.close()
        close = transport.close
    try:
        with peer:
            yield transport, protocol, peer
    finally:
        close()
        # Let connection_lost run, which closes the socket.
        for _ in range(3):
            await asyncio.sleep(0)
        if transport.get_write_buffer_size():
            transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)
