"""TLS connections: a certificate authority, pairs of protocols, and a peer that is no transport."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from .recorders import Recorder

try:
    from trustme import CA
except ImportError:
    from .openssl_authority import CA  # type: ignore[assignment]

HOST = "server.example"


class Authority:
    """A certificate authority, and contexts that use and trust it."""

    def __init__(self) -> None:
        self.authority = CA()
        self.certificate = self.authority.issue_cert(HOST)

    def server(self) -> ssl.SSLContext:
        """Return a context for the server named HOST."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.certificate.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Return a context that trusts this authority."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


async def settle() -> None:
    """Give the loop the turns that closing a TLS transport takes."""
    for _ in range(10):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def tls_pair(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, **options: Any
) -> AsyncIterator[tuple[Recorder, Recorder]]:
    """Yield the protocols of a TLS connection, client first."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[Recorder] = loop.create_future()

    class Accepted(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            accepted.set_result(self)

    server = await loop.create_server(Accepted, "127.0.0.1", 0, ssl=server_context)
    _, client = await loop.create_connection(
        Recorder,
        *server.sockets[0].getsockname(),
        ssl=client_context,
        **{"server_hostname": HOST, **options},
    )
    served = await accepted
    server.close()
    try:
        yield client, served
    finally:
        for protocol in (client, served):
            protocol.transport.close()
        await asyncio.gather(client.lost, served.lost)
        await settle()


class Peer:
    """A TLS server over a bare socket: it does what it is told, and nothing else."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.loop = asyncio.get_running_loop()

    async def _until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self.flush()
                records = await self.loop.sock_recv(self.sock, 65536)
                if not records:
                    raise EOFError from None
                self.incoming.write(records)
            else:
                await self.flush()
                return result

    async def flush(self) -> None:
        """Send the records that wait."""
        if self.outgoing.pending:
            await self.loop.sock_sendall(self.sock, self.outgoing.read())

    async def handshake(self) -> None:
        """Do the handshake."""
        await self._until_done(self.tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send data."""
        self.tls.write(data)
        await self.flush()

    async def receive(self, count: int) -> bytes:
        """Receive data of exactly this length."""
        data = bytearray()
        while len(data) < count:
            data += await self._until_done(lambda: self.tls.read(65536))
        return bytes(data)

    async def receive_to_end(self) -> bytes:
        """Receive until the other side says that it is done."""
        data = bytearray()
        # With our own close_notify sent, the other's is an exception.
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while piece := await self._until_done(lambda: self.tls.read(65536)):
                data += piece
        return bytes(data)

    async def say_goodbye(self) -> None:
        """Send a close_notify, and do not wait for the other side's."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.flush()


@contextlib.asynccontextmanager
async def client_and_peer(
    authority: Authority,
    make_protocol: Callable[[], Any] = Recorder,
    server_context: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Any, Peer]]:
    """Yield the protocol of a client, and the peer it is connected to."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
    peer = Peer(right, server_context or authority.server())
    options = {"ssl": authority.client(), "server_hostname": HOST, **options}
    with right:
        (transport, protocol), _ = await asyncio.gather(
            loop.create_connection(make_protocol, sock=left, **options), peer.handshake()
        )
        try:
            yield protocol, peer
        finally:
            transport.abort()
            await protocol.lost
            await settle()
