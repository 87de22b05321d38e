"""sock_recv, sock_sendall and their family on the caller's own sockets."""

import array
import asyncio
import inspect
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Pair, Run, stdlib_fault
from .connections import listening_socket


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


class Unready:
    """What looks like a socket that is not ready, and has no descriptor to wait for."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def fileno(self) -> Any:
        return self.number

    def gettimeout(self) -> float:
        return 0

    def recv(self, _: object) -> Any:
        raise BlockingIOError

    send = recv


@pytest.mark.parametrize("number", [-1, "one", None])
def test_what_has_no_descriptor_is_refused(run: Run, number: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock: Any = Unready(number)
        calls: list[Any] = [loop.sock_recv(sock, 1), loop.sock_sendall(sock, b"x")]
        for call in calls:
            with pytest.raises(ValueError, match="Invalid file"):
                await call

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


@pytest.fixture
def datagram_pair() -> Iterator[Pair]:
    """Yield two non-blocking sockets for datagrams, each with an address."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as one,
        socket.socket(type=socket.SOCK_DGRAM) as two,
    ):
        for sock in (one, two):
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
        yield one, two


def test_datagrams(run: Run, datagram_pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, two = datagram_pair
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


def test_waiting_receive_into_a_buffer(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        buffer = bytearray(b"----------")
        receiving = asyncio.ensure_future(loop.sock_recv_into(pair[0], memoryview(buffer)[2:6]))
        await asyncio.sleep(0)
        pair[1].send(b"long data")
        assert await receiving == 4
        assert buffer == b"--long----"
        assert await loop.sock_recv_into(pair[0], bytearray()) == 0

    run(main())


def test_waiting_datagrams(run: Run, datagram_pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, two = datagram_pair
        buffer = bytearray(10)
        waiting = [
            asyncio.ensure_future(loop.sock_recvfrom(one, 100)),
            asyncio.ensure_future(loop.sock_recvfrom_into(two, buffer)),
        ]
        await asyncio.sleep(0)
        one.sendto(b"data", two.getsockname())
        two.sendto(b"back", one.getsockname())
        assert await waiting[0] == (b"back", two.getsockname())
        assert await waiting[1] == (4, one.getsockname())
        assert buffer[:4] == b"data"

    run(main())


@pytest.mark.parametrize("size", [-1, 0, 1, 3, 1 << 18, (1 << 18) + 1, True])
def test_sizes(run: Run, pair: Pair, size: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pair[1].send(b"data")
        if size < 0:
            with pytest.raises(ValueError, match="negative buffersize in recv"):
                await loop.sock_recv(pair[0], size)
        else:
            assert await loop.sock_recv(pair[0], size) == b"data"[:size]

    run(main())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sock_recv", ("1",)),
        ("sock_recv", (None,)),
        ("sock_recv", (1 << 70,)),
        ("sock_recv_into", (b"read-only",)),
        ("sock_recv_into", ("text",)),
        ("sock_recvfrom", ("1",)),
        ("sock_sendall", ("text",)),
        ("sock_sendall", (None,)),
        ("sock_sendall", (memoryview(b"abcdef")[::2],)),
        ("sock_sendto", (b"data", 7)),
    ],
)
def test_bad_arguments(run: Run, pair: Pair, name: str, arguments: Any) -> None:
    """The exception is the one of the socket's own method."""
    direct = getattr(pair[0], {"sock_sendall": "send"}.get(name, name.removeprefix("sock_")))
    with pytest.raises(Exception) as expected:
        direct(*arguments)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(expected.type) as seen:
            await getattr(loop, name)(pair[0], *arguments)
        assert seen.type is expected.type
        assert str(seen.value) == str(expected.value)

    run(main())


@pytest.mark.parametrize("name", ["sock_recv", "sock_sendall", "sock_recv_into", "sock_accept"])
def test_closed_sockets(run: Run, name: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        closed = socket.socket()
        closed.setblocking(False)
        closed.close()
        argument: Any = {"sock_recv": 1, "sock_sendall": b"x", "sock_recv_into": bytearray(1)}
        arguments = (argument[name],) if name in argument else ()
        with pytest.raises(OSError, match="Bad file descriptor") as error:
            await getattr(loop, name)(closed, *arguments)
        assert error.value.errno == 9

    run(main())


@pytest.mark.parametrize("name", ["sock_recv", "sock_sendall", "sock_accept", "sock_connect"])
def test_tls_sockets_are_refused(run: Run, name: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context()
        with socket.socket() as plain:
            wrapped = context.wrap_socket(plain, server_hostname="x", do_handshake_on_connect=False)
            with wrapped:
                wrapped.setblocking(False)
                arguments = () if name == "sock_accept" else (b"x",)
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await getattr(loop, name)(wrapped, *arguments)

    run(main())


def test_peer_that_resets_a_waiting_receive(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            client = socket.create_connection(listener.getsockname())
            server, _ = await loop.sock_accept(listener)
        with server:
            receiving = asyncio.ensure_future(loop.sock_recv(server, 10))
            await asyncio.sleep(0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            with pytest.raises(ConnectionResetError) as error:
                await receiving
            assert error.value.errno == 104
            assert error.value.strerror == os.strerror(104)

    run(main())


def test_data_and_cancellation_in_the_same_turn(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        pair[1].send(b"data")
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert not loop.remove_reader(pair[0])
        assert await loop.sock_recv(pair[0], 100) == b"data"

    run(main())


def test_a_buffer_may_be_resized_once_its_sending_is_cancelled(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        data = bytearray(3_000_000)
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0):
                await loop.sock_sendall(pair[0], data)
        data.clear()  # while what was raised keeps the frames that it came through
        assert raised.value.__context__ is not None

    run(main())


def test_nothing_is_watched_after_an_operation(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        pair[1].send(b"data")
        assert await receiving == b"data"
        assert not loop.remove_reader(pair[0])
        payload = bytes(3_000_000)
        sending = asyncio.ensure_future(loop.sock_sendall(pair[0], payload))
        received = 0
        while received < len(payload):
            received += len(await loop.sock_recv(pair[1], 1 << 20))
        await sending
        assert not loop.remove_writer(pair[0])

    run(main())


def test_a_second_receiver_takes_the_place_of_the_first(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        pair[1].send(b"data")
        assert await second == b"data"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        third = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        pair[1].send(b"more")
        assert await third == b"more"

    run(main())


def test_the_end_of_the_first_leaves_the_second_alone(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(loop.sock_recv(pair[0], 100))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        pair[1].send(b"data")
        assert await second == b"data"

    run(main())


def test_sockets_of_transports_are_refused(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
        with right:
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_recv(left, 1)
            transport.close()
            await asyncio.sleep(0)

    run(main())


def test_items_larger_than_a_byte(run: Run, loop_kind: str, pair: Pair) -> None:
    stdlib_fault(loop_kind, "counts items as bytes")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        numbers = array.array("I", range(500_000))
        sending = asyncio.ensure_future(loop.sock_sendall(pair[0], numbers))
        received = bytearray()
        while len(received) < 2_000_000:
            received += await loop.sock_recv(pair[1], 1 << 20)
        await sending
        assert received == numbers.tobytes()

    run(main())


def test_blocking_sockets_do_not_block_the_loop(run: Run, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "blocks")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 10))
            await asyncio.sleep(0.01)
            right.send(b"data")
            assert await receiving == b"data"

    run(main(), debug=False)


def test_loop_closed_with_an_operation_pending(loop: asyncio.AbstractEventLoop, pair: Pair) -> None:
    task = loop.create_task(loop.sock_recv(pair[0], 1))
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
