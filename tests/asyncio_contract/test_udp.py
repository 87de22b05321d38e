"""Datagram endpoints: sending, receiving, errors, closing."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
from .recorders import Calls


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

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


Endpoint = tuple[asyncio.DatagramTransport, Datagrams]


async def endpoint(**options: Any) -> Endpoint:
    """Return a datagram endpoint, bound to the loopback unless told otherwise."""
    options = options or {"local_addr": ("127.0.0.1", 0)}
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(Datagrams, **options)


async def close(*endpoints: Endpoint) -> None:
    """Close endpoints and wait until their sockets are gone."""
    for transport, protocol in endpoints:
        transport.close()
        await protocol.lost
    await asyncio.sleep(0)


def test_datagrams_arrive_with_their_sender(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        address = two[0].get_extra_info("sockname")
        for number in range(20):
            one[0].sendto(b"%d" % number, address)
        await two[1].until(lambda: len(two[1].received) == 20)
        sender = one[0].get_extra_info("sockname")
        assert two[1].received == [(b"%d" % number, sender) for number in range(20)]
        await close(one, two)

    run(main())


def test_transport_is_a_datagram_transport(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        if sys.version_info >= (3, 12):
            # The stdlib's own was none before.
            assert isinstance(one[0], asyncio.DatagramTransport)
        assert one[0].get_extra_info("socket").type == socket.SOCK_DGRAM
        await close(one)

    run(main())


def test_connected_endpoint(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        address = server[0].get_extra_info("sockname")
        client = await endpoint(remote_addr=address)
        assert client[0].get_extra_info("peername") == address
        client[0].sendto(b"without address")
        client[0].sendto(b"with the same", address)
        await server[1].until(lambda: len(server[1].received) == 2)
        server[0].sendto(b"answer", server[1].received[0][1])
        await client[1].until(lambda: bool(client[1].received))
        assert client[1].received == [(b"answer", address)]
        with pytest.raises(ValueError, match="Invalid address"):
            client[0].sendto(b"x", ("127.0.0.1", 1))
        await close(server, client)

    run(main())


def test_empty_datagrams_arrive(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", two[0].get_extra_info("sockname"))
            await two[1].until(lambda: bool(two[1].received))
        assert two[1].received[0][0] == b""
        await close(one, two)

    run(main())


def test_refusal_goes_to_error_received(run: Run) -> None:
    async def main() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            address = sock.getsockname()
        client = await endpoint(remote_addr=address)
        client[0].sendto(b"to nobody")
        await client[1].until(lambda: bool(client[1].errors))
        assert isinstance(client[1].errors[0], ConnectionRefusedError)
        assert not client[0].is_closing()
        await close(client)

    run(main())


def test_oversized_datagram_goes_to_error_received(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        address = two[0].get_extra_info("sockname")
        one[0].sendto(bytes(100_000), address)
        assert [type(error) for error in one[1].errors] == [OSError]
        one[0].sendto(b"still works", address)
        await two[1].until(lambda: bool(two[1].received))
        await close(one, two)

    run(main())


@pytest.mark.parametrize("bad", ["text", None, 1])
def test_bad_data_is_refused(run: Run, bad: Any) -> None:
    async def main() -> None:
        one = await endpoint()
        with pytest.raises(TypeError, match="data argument must be"):
            one[0].sendto(bad, ("127.0.0.1", 1))
        await close(one)

    run(main())


def test_abort_and_sendto_after_close(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        one[0].abort()
        assert one[0].is_closing()
        assert await one[1].lost is None
        await asyncio.sleep(0)

    run(main())


def test_unix_datagrams(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        paths = str(tmp_path / "one"), str(tmp_path / "two")
        one, two = [await endpoint(local_addr=path, family=socket.AF_UNIX) for path in paths]
        one[0].sendto(b"data", paths[1])
        await two[1].until(lambda: bool(two[1].received))
        assert two[1].received == [(b"data", paths[0])]
        await close(one, two)

    run(main())


def test_contradicting_arguments_are_refused(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="unexpected address family"):
            await loop.create_datagram_endpoint(Datagrams)
        with (
            socket.socket() as stream,
            pytest.raises(ValueError, match=r"(datagram|UDP) [Ss]ocket"),
        ):
            await loop.create_datagram_endpoint(Datagrams, sock=stream)

    run(main())
