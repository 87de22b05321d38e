"""Handshakes that fail, and servers that survive them."""

import asyncio
import contextlib
import socket
import ssl
import sys
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .connections import listening_socket
from .recorders import Recorder
from .tls_connections import HOST, Authority, Peer, settle, tls_pair

over_both_data_paths = True
# With the stdlib loop as well: the connection of a protocol or session that raised.
kept_by_cpython = sys.version_info >= (3, 14)


@contextlib.asynccontextmanager
async def raw_server(authority: Authority, **options: Any) -> Any:
    """Yield a bare socket that is connected to a TLS server of the loop, and what it accepted."""
    loop = asyncio.get_running_loop()
    accepted: list[Recorder] = []

    def accept() -> Recorder:
        accepted.append(Recorder())
        return accepted[-1]

    server = await loop.create_server(accept, "127.0.0.1", 0, ssl=authority.server(), **options)
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, server.sockets[0].getsockname())
        yield sock, accepted
    server.close()
    await settle()


def test_server_survives_rejected_clients(run: Run, authority: Authority, asyncio_log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: list[Recorder] = []

        class Accepted(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                accepted.append(self)

        server = await loop.create_server(Accepted, "127.0.0.1", 0, ssl=authority.server())
        address = server.sockets[0].getsockname()
        for _ in range(3):
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await loop.create_connection(
                    Recorder, *address, ssl=ssl.create_default_context(), server_hostname=HOST
                )
            assert caught.value.verify_code in (19, 20)
            with socket.socket() as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, address)
                await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    while await loop.sock_recv(sock, 1000):
                        pass
        await settle()
        made = len(accepted)
        transport, _ = await loop.create_connection(
            Recorder, *address, ssl=authority.client(), server_hostname=HOST
        )
        transport.write(b"welcome")
        while len(accepted) == made:
            await settle()
        assert await accepted[-1].received(7) == b"welcome"
        transport.close()
        await asyncio.gather(*(protocol.lost for protocol in accepted))
        server.close()
        await settle()

    run(main())


def test_server_gives_up_on_a_silent_client(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with raw_server(authority, ssl_handshake_timeout=0.01) as (sock, accepted):
            assert await loop.sock_recv(sock, 1) == b""
            assert [protocol.calls for protocol in accepted] == [[]]

    run(main())


def test_server_is_left_in_the_middle(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with raw_server(authority) as (sock, accepted):
            sock.close()
            await settle()
            assert all(protocol.calls == [] for protocol in accepted)

    run(main())


def test_server_gets_plain_text(run: Run, loop_kind: str, authority: Authority) -> None:
    stdlib_fault(loop_kind, "sends no alert when it ends a connection")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with raw_server(authority) as (sock, accepted):
            # In a record, or OpenSSL would not think much of the client's understanding of alerts.
            await loop.sock_sendall(sock, b"\x16\x03\x01\x00\x05hello")
            alert = await loop.sock_recv(sock, 1000)
            assert alert[0] == 21
            assert await loop.sock_recv(sock, 1) == b""
            assert [protocol.calls for protocol in accepted] == [[]]

    run(main())


@pytest.mark.parametrize("end", ["close", "reset"])
def test_peer_leaves_during_the_handshake(run: Run, authority: Authority, end: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        right.setblocking(False)

        async def leave() -> None:
            await loop.sock_recv(right, 1 if end == "reset" else 100_000)
            right.close()

        leaving = asyncio.ensure_future(leave())
        with pytest.raises(ConnectionResetError):
            await loop.create_connection(
                Recorder, sock=left, ssl=authority.client(), server_hostname=HOST
            )
        await leaving
        await settle()

    run(main())


def test_no_common_version(run: Run, authority: Authority, asyncio_log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server_context, client_context = authority.server(), authority.client()
        server_context.minimum_version = ssl.TLSVersion.TLSv1_3
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=client_context,
                server_hostname=HOST,
            )
        server.close()
        await settle()

    run(main())


def test_cancelled_handshake(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            connecting = asyncio.ensure_future(
                loop.create_connection(
                    Recorder, *listener.getsockname(), ssl=authority.client(), server_hostname=HOST
                )
            )
            with (await loop.sock_accept(listener))[0] as sock:
                sock.setblocking(False)
                assert await loop.sock_recv(sock, 1)
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting
                with contextlib.suppress(ConnectionError):
                    while await loop.sock_recv(sock, 1000):
                        pass
        await settle()

    run(main())


def test_handshake_that_raises_something_else(
    run: Run, authority: Authority, asyncio_log: Log
) -> None:
    class OopsError(Exception):
        pass

    class Raising(ssl.SSLObject):
        def do_handshake(self) -> None:
            if self._sslobj.pending() == 0 and self.version() is None:  # type: ignore[attr-defined]
                super().do_handshake()
            raise OopsError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = authority.client()
        context.sslobject_class = Raising
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=authority.server())
        with pytest.raises(OopsError):
            await loop.create_connection(
                Recorder, *server.sockets[0].getsockname(), ssl=context, server_hostname=HOST
            )
        server.close()
        await settle()

    run(main())


def test_handshake_records_one_byte_at_a_time(run: Run, authority: Authority) -> None:
    class Dripping(Peer):
        async def flush(self) -> None:
            for byte in self.outgoing.read():
                await self.loop.sock_sendall(self.sock, bytes([byte]))
                await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        right.setblocking(False)
        with right:
            peer = Dripping(right, authority.server())
            (transport, client), _ = await asyncio.gather(
                loop.create_connection(
                    Recorder, sock=left, ssl=authority.client(), server_hostname=HOST
                ),
                peer.handshake(),
            )
            await peer.send(b"drop by drop")
            assert await client.received(12) == b"drop by drop"
            assert client.calls == ["connection_made", "data_received"]
            transport.abort()
            await client.lost
            await settle()

    run(main())


def test_many_connections_at_once(run: Run, authority: Authority) -> None:
    async def one(number: int) -> None:
        async with tls_pair(server_context, client_context) as (client, served):
            data = b"%d" % number * 1000
            client.transport.write(data)
            assert await served.received(len(data)) == data

    async def main() -> None:
        await asyncio.gather(*map(one, range(30)))

    server_context, client_context = authority.server(), authority.client()
    run(main())
