"""sock_recv, sock_sendall and their family on the caller's own sockets."""

import asyncio
import inspect
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Run
from .connections import listening_socket

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Yield two connected non-blocking sockets."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


@pytest.mark.parametrize(
    "name",
    [
        "sock_recv",
        "sock_recv_into",
        "sock_recvfrom",
        "sock_recvfrom_into",
        "sock_sendall",
        "sock_sendto",
        "sock_connect",
        "sock_accept",
        "sock_sendfile",
    ],
)
def test_they_are_coroutine_functions(loop: asyncio.AbstractEventLoop, name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(loop, name))


def test_receive_waits_for_data(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        assert not receiving.done()
        pair[1].send(b"data")
        assert await receiving == b"data"

    run(main())


def test_receive_into_a_buffer(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        buffer = bytearray(10)
        pair[1].send(b"data")
        assert await loop.sock_recv_into(pair[0], buffer) == 4
        assert buffer[:4] == b"data"

    run(main())


def test_send_everything(run: Run, pair: Pair) -> None:
    payload = bytes(range(256)) * 20_000

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(pair[0], payload))
        received = bytearray()
        while len(received) < len(payload):
            received += await loop.sock_recv(pair[1], 1 << 20)
        assert received == payload
        assert await sending is None  # type: ignore[func-returns-value]

    run(main())


def test_accept_and_connect(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener, socket.socket() as client:
            client.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            connection, address = await accepting
            with connection:
                assert address == client.getsockname()
                assert connection.gettimeout() == 0

    run(main())


def test_refused_connect(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            address = listener.getsockname()
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, address)

    run(main())


def test_datagrams(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as two,
        ):
            for sock in (one, two):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            assert await loop.sock_sendto(one, b"data", two.getsockname()) == 4
            assert await loop.sock_recvfrom(two, 100) == (b"data", one.getsockname())
            await loop.sock_sendto(one, b"more", two.getsockname())
            buffer = bytearray(10)
            count, address = await loop.sock_recvfrom_into(two, buffer)
            assert buffer[:count] == b"more"
            assert address == one.getsockname()

    run(main())


def test_cancelled_receive_takes_nothing(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        pair[1].send(b"data")
        assert await loop.sock_recv(pair[0], 100) == b"data"

    run(main())


def test_blocking_sockets_are_refused_in_debug_mode(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            calls: list[Any] = [
                loop.sock_recv(left, 1),
                loop.sock_sendall(left, b"x"),
                loop.sock_accept(left),
                loop.sock_connect(left, ("127.0.0.1", 1)),
            ]
            for call in calls:
                with pytest.raises(ValueError, match="the socket must be non-blocking"):
                    await call

    run(main(), debug=True)


def test_receive_at_end_of_file(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pair[1].close()
        assert await loop.sock_recv(pair[0], 100) == b""

    run(main())
