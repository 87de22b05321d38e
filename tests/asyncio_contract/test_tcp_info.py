"""What a TCP transport tells about itself: extra information, types, options."""

import asyncio
import socket
import weakref
from asyncio.trsock import TransportSocket
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .connections import SIDES, connection, listening_socket
from .recorders import Recorder

pytestmark = pytest.mark.parametrize("side", SIDES)


def test_transport_is_an_asyncio_transport(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            assert isinstance(transport, asyncio.Transport)
            assert isinstance(transport, asyncio.ReadTransport)
            assert isinstance(transport, asyncio.WriteTransport)
            assert not isinstance(transport, asyncio.DatagramTransport)
            assert weakref.ref(transport)() is transport
            assert hash(transport) == hash(transport)

    run(main())


def test_addresses(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            assert transport.get_extra_info("sockname") == peer.getpeername()
            assert transport.get_extra_info("peername") == peer.getsockname()

    run(main())


def test_socket_is_wrapped(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            sock = transport.get_extra_info("socket")
            assert type(sock) is TransportSocket
            assert sock.family == socket.AF_INET
            assert sock.type == socket.SOCK_STREAM
            assert sock.getsockname() == peer.getpeername()
            assert sock.gettimeout() == 0
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1

    run(main())


def test_unknown_names_give_the_default(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            assert transport.get_extra_info("unknown") is None
            assert transport.get_extra_info("unknown", 7) == 7
            assert transport.get_extra_info("sslcontext") is None
            assert transport.get_extra_info("peercert") is None
            assert transport.get_extra_info("ssl_object") is None

    run(main())


def test_nagles_algorithm_is_off(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    run(main())


def test_nagles_algorithm_is_off_where_the_socket_names_no_protocol(
    run: Run, side: str, loop_kind: str
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as listening, socket.socket() as ours:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            ours.connect(listening.getsockname())
            accepted = listening.accept()[0]
            assert ours.proto == accepted.proto == 0
            with accepted:
                given = accepted if side == "server" else ours
                connect = (
                    loop.connect_accepted_socket if side == "server" else loop.create_connection
                )
                transport, _ = await connect(asyncio.Protocol, sock=given)
                off = given.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                transport.close()
                await asyncio.sleep(0)
        stdlib_fault(loop_kind, "looks for the number of TCP in the socket's protocol")
        assert off == 1

    run(main())


def test_get_protocol(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            assert transport.get_protocol() is protocol

    run(main())


def test_start_tls_is_supported_by_the_transport(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            assert transport._start_tls_compatible  # type: ignore[attr-defined]

    run(main())


def test_extra_info_survives_the_end_of_the_peer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            address = peer.getsockname()
            peer.close()
            await protocol.lost
            assert transport.get_extra_info("peername") == address

    run(main())


def test_addresses_over_ipv6(run: Run, side: str) -> None:
    try:
        listening_socket("::1").close()
    except OSError:
        pytest.skip("no IPv6 loopback here")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        connected: asyncio.Future[Recorder] = loop.create_future()

        def factory() -> Recorder:
            connected.set_result(Recorder())
            return connected.result()

        server = await loop.create_server(factory, "::1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(Recorder, "::1", port)
        transport.write(b"x")
        accepted_one = await connected
        await accepted_one.received(1)
        wanted = transport if side == "client" else accepted_one.transport
        sockname, peername = (wanted.get_extra_info(name) for name in ("sockname", "peername"))
        assert len(sockname) == len(peername) == 4
        assert sockname[0] == peername[0] == "::1"
        transport.close()
        await accepted_one.lost
        server.close()
        await asyncio.sleep(0)

    run(main())


def test_rust_state_cannot_be_exchanged(run: Run, loop_kind: str, side: str) -> None:
    if loop_kind == "stdlib":
        pytest.skip("the state is rsloop's own")

    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            state: Any = transport
            kind: Any = type(transport)
            with pytest.raises(AttributeError):
                state._stream = object()
            with pytest.raises(AttributeError):
                del state._stream
            with pytest.raises(RuntimeError, match="already"):
                state.__init__(asyncio.get_running_loop(), peer, asyncio.Protocol())
            with pytest.raises(RuntimeError, match="__init__"):
                kind.__new__(kind).write(b"x")
            transport.write(b"x")
            assert await asyncio.get_running_loop().sock_recv(peer, 9) == b"x"

    run(main())
