"""A datagram socket closed or detached under its transport, whose number another gets."""

import asyncio
import errno
import os
import socket

import pytest

from .conftest import Run
from .datagrams import Datagrams, address_of, close, endpoint


@pytest.mark.parametrize("how", ["close", "detach"])
def test_nothing_is_received_from_others(run: Run, how: str) -> None:
    async def main() -> None:
        transport, protocol = end = await endpoint()
        sock = transport.get_extra_info("socket")._sock
        number, address = sock.fileno(), address_of(end)
        if how == "close":
            with socket.socket(type=socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", 0))
                address = other.getsockname()
                sock.close()
                os.dup2(other.fileno(), number)
        else:
            sock.detach()
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.sendto(b"not for you", address)
            for _ in range(3):
                await asyncio.sleep(0.01)
        assert protocol.received == []
        assert {error.errno for error in protocol.errors} <= {errno.EBADF}  # type: ignore[attr-defined]
        with socket.socket(fileno=number) as other:
            assert other.recv(100) == b"not for you"
            transport.abort()
            await protocol.lost

    run(main())


@pytest.mark.parametrize("how", ["close", "detach"])
def test_what_is_sent_goes_to_nobody(run: Run, how: str) -> None:
    async def main() -> None:
        receiver = await endpoint()
        transport, protocol = await endpoint()
        sock = transport.get_extra_info("socket")._sock
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            number = sock.detach()
            if how == "close":
                os.dup2(other.fileno(), number)
            transport.sendto(b"x", address_of(receiver))
            os.close(number)
        assert [error.errno for error in protocol.errors] == [errno.EBADF]  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
        assert receiver[1].received == []
        transport.abort()
        await protocol.lost
        await close(receiver)

    run(main())


def test_a_socket_that_blocks_in_its_place_does_not_block_the_loop(run: Run) -> None:
    left, right = socket.socketpair(type=socket.SOCK_DGRAM)  # both block
    transport: asyncio.DatagramTransport

    class Replacing(Datagrams):
        def datagram_received(self, data: bytes, addr: object) -> None:
            os.dup2(left.fileno(), transport.get_extra_info("socket").fileno())
            super().datagram_received(data, addr)

    async def main() -> None:
        nonlocal transport
        transport, protocol = end = await endpoint(Replacing)
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            for data in (b"1", b"2"):
                peer.sendto(data, address_of(end))
            await protocol.until(lambda: len(protocol.received) == 1)
            for _ in range(3):
                await asyncio.sleep(0.01)
        assert [data for data, _ in protocol.received] == [b"1"]
        await close(end)

    run(main())
    left.close()
    right.close()
