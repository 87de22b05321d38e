"""Datagram endpoints: sending and receiving."""

import asyncio
import gc
import socket
import sys
import weakref
from typing import Any

import pytest

from .conftest import NOT_EARLY_311, Run, stdlib_fault
from .datagrams import Datagrams, address_of, close, endpoint


def test_datagrams_arrive_with_their_sender(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        address = address_of(two)
        for number in range(20):
            one[0].sendto(b"%d" % number, address)
        await two[1].until(lambda: len(two[1].received) == 20)
        sender = address_of(one)
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


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, type("Sub", (bytes,), {})])
def test_every_kind_of_bytes_is_sent(run: Run, kind: Any) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        one[0].sendto(kind(b"data"), address_of(two))
        await two[1].until(lambda: bool(two[1].received))
        assert two[1].received == [(b"data", address_of(one))]
        assert type(two[1].received[0][0]) is bytes
        await close(one, two)

    run(main())


def test_arguments_may_be_named(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        one[0].sendto(b"1", addr=address_of(two))
        one[0].sendto(data=b"2", addr=address_of(two))
        one[0].sendto(addr=address_of(two), data=b"3")
        await two[1].until(lambda: len(two[1].received) == 3)
        assert [data for data, _ in two[1].received] == [b"1", b"2", b"3"]
        send: Any = one[0].sendto
        for arguments, keywords in [((), {}), ((b"", None, 1), {}), ((b"",), {"to": 1})]:
            with pytest.raises(TypeError):
                send(*arguments, **keywords)
        await close(one, two)

    run(main())


@pytest.mark.parametrize("bad", ["text", None, 1, [1]])
def test_bad_data_is_refused(run: Run, bad: Any) -> None:
    async def main() -> None:
        one = await endpoint()
        name = type(bad).__name__
        with pytest.raises(TypeError) as caught:
            one[0].sendto(bad, ("127.0.0.1", 1))
        assert str(caught.value) == f"data argument must be a bytes-like object, not '{name}'"
        await close(one)

    run(main())


def test_empty_datagrams_arrive(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", address_of(two))
            await two[1].until(lambda: bool(two[1].received))
        assert two[1].received[0][0] == b""
        await close(one, two)

    run(main())


def test_empty_datagrams_are_sent_from_3_13(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        connected = await endpoint(remote_addr=address_of(two))
        for sender in (one[0], connected[0]):
            sender.sendto(b"", None if sender is connected[0] else address_of(two))
            sender.sendto(b"end", address_of(two))
        await two[1].until(lambda: [data for data, _ in two[1].received].count(b"end") == 2)
        expected = [b"", b"end"] * 2 if sys.version_info >= (3, 13) else [b"end"] * 2
        assert [data for data, _ in two[1].received] == expected
        await close(one, two, connected)

    run(main())


def test_largest_datagram_arrives_whole(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        one[0].sendto(bytes(65507), address_of(two))
        await two[1].until(lambda: bool(two[1].received))
        assert two[1].received == [(bytes(65507), address_of(one))]
        await close(one, two)

    run(main())


def test_what_a_datagram_schedules_runs_before_the_next(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []

        class Scheduling(Datagrams):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                seen.append(int(data))
                loop.call_soon(seen.append, f"after {int(data)}")
                super().datagram_received(data, addr)

        one = await endpoint(Scheduling, local_addr=("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number in range(5):
                sock.sendto(b"%d" % number, address_of(one))
        await one[1].until(lambda: len(one[1].received) == 5)
        await asyncio.sleep(0)
        assert seen == [entry for number in range(5) for entry in (number, f"after {number}")]
        await close(one)

    run(main())


def test_many_senders_are_told_apart(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        clients = [await endpoint(remote_addr=address_of(server)) for _ in range(5)]
        for turn in range(4):
            for number, client in enumerate(clients):
                client[0].sendto(b"%d %d" % (turn, number))
        await server[1].until(lambda: len(server[1].received) == 20)
        for data, sender in server[1].received:
            server[0].sendto(data, sender)
        for number, client in enumerate(clients):
            await client[1].until(lambda client=client: len(client[1].received) == 4)  # type: ignore[misc]
            expected = [(b"%d %d" % (turn, number), address_of(server)) for turn in range(4)]
            assert client[1].received == expected
        await close(server, *clients)

    run(main())


@NOT_EARLY_311
def test_reading_can_be_paused(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        # Both loops have these methods here, which only stream transports promise.
        transport: Any = one[0]
        transport.pause_reading()
        transport.pause_reading()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number in range(3):
                sock.sendto(b"%d" % number, address_of(one))
        for _ in range(5):
            await asyncio.sleep(0)
        assert one[1].received == []
        assert not transport.is_reading()
        transport.resume_reading()
        assert transport.is_reading()
        await one[1].until(lambda: len(one[1].received) == 3)
        await close(one)

    run(main())


@NOT_EARLY_311
def test_reading_can_be_paused_between_two_datagrams(run: Run) -> None:
    class Pausing(Datagrams):
        transport: Any

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            assert self.transport.is_reading()
            self.transport.pause_reading()
            super().datagram_received(data, addr)

    async def main() -> None:
        one = await endpoint(Pausing, local_addr=("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number in range(20):
                sock.sendto(b"%d" % number, address_of(one))
        for count in range(1, 21):
            await one[1].until(lambda count=count: len(one[1].received) == count)  # type: ignore[misc]
            for _ in range(count % 4):
                await asyncio.sleep(0)
            assert len(one[1].received) == count
            one[0].resume_reading()
        assert [int(data) for data, _ in one[1].received] == list(range(20))
        await close(one)

    run(main())


def test_endless_datagrams_leave_time_for_the_rest(run: Run) -> None:
    class Endless(Datagrams):
        transport: Any

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data, addr)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        busy = await endpoint(Endless, local_addr=("127.0.0.1", 0))
        for _ in range(10):
            busy[0].sendto(b"to itself", address_of(busy))
        one, two = await endpoint(), await endpoint()
        for number in range(1, 11):
            one[0].sendto(b"data", address_of(two))
            await two[1].until(lambda number=number: len(two[1].received) == number)  # type: ignore[misc]
        timer = loop.create_future()
        loop.call_later(0.01, timer.set_result, None)
        await timer
        await close(busy, one, two)

    run(main())


def test_protocol_can_be_replaced(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        other = Datagrams()
        one[0].set_protocol(other)
        assert one[0].get_protocol() is other
        two[0].sendto(b"data", address_of(one))
        await other.until(lambda: bool(other.received))
        assert one[1].received == []
        one[0].close()
        await other.lost
        await close(two)

    run(main())


def test_a_closed_endpoint_dies_without_the_collector(run: Run) -> None:
    async def main() -> None:
        transport, protocol = await endpoint()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"data", transport.get_extra_info("sockname"))
        await protocol.until(lambda: bool(protocol.received))
        await close((transport, protocol))
        dead = weakref.ref(transport)
        del transport
        assert dead() is None

    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


def test_broadcast_is_allowed_on_request(run: Run) -> None:
    async def main() -> None:
        plain = await endpoint()
        allowed = await endpoint(local_addr=("127.0.0.1", 0), allow_broadcast=True)
        for end, expected in ((plain, False), (allowed, True)):
            sock = end[0].get_extra_info("socket")
            assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)) is expected
        plain[0].sendto(b"data", ("255.255.255.255", 9))
        assert [type(error) for error in plain[1].errors] == [PermissionError]
        await close(plain, allowed)

    run(main())


def test_broadcasting_endpoint_is_not_connected(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        client = await endpoint(remote_addr=address_of(server), allow_broadcast=True)
        assert client[0].get_extra_info("peername") is None
        client[0].sendto(b"1")
        client[0].sendto(b"2", address_of(server))
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            client[0].sendto(b"3", ("127.0.0.1", 1))
        await server[1].until(lambda: len(server[1].received) == 2)
        await close(server, client)

    run(main())


def test_a_port_can_be_shared(run: Run) -> None:
    async def main() -> None:
        one = await endpoint(local_addr=("127.0.0.1", 0), reuse_port=True)
        two = await endpoint(local_addr=address_of(one), reuse_port=True)
        assert address_of(one) == address_of(two)
        with pytest.raises(OSError, match="in use"):
            await endpoint(local_addr=address_of(one))
        await close(one, two)

    run(main())


def test_a_socket_of_the_caller(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        client = await endpoint(sock=sock)
        assert sock.gettimeout() == 0
        client[0].sendto(b"data", address_of(server))
        await server[1].until(lambda: bool(server[1].received))
        await close(client, server)
        assert sock.fileno() == -1

    run(main())


def test_a_connected_socket_of_the_caller(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.connect(address_of(server))
        client = await endpoint(sock=sock)
        client[0].sendto(b"1")
        # It was connected elsewhere, so no address is compared or used.
        client[0].sendto(b"2", ("127.0.0.1", 1))
        await server[1].until(lambda: len(server[1].received) == 2)
        await close(client, server)

    run(main())


def test_a_pair_of_sockets(run: Run, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "takes an unnamed peer for none, and closes at the first datagram")

    async def main() -> None:
        one, two = [
            await endpoint(sock=sock)
            for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ]
        one[0].sendto(b"there")
        await two[1].until(lambda: bool(two[1].received))
        two[0].sendto(b"back")
        await one[1].until(lambda: bool(one[1].received))
        assert [one[1].received, two[1].received] == [[(b"back", None)], [(b"there", None)]]
        await close(one, two)

    run(main())


class Shouting(socket.socket):
    """Changes what it sends and receives, as the sockets of proxies do."""

    def sendto(self, *arguments: Any) -> int:
        return super().sendto(arguments[0].upper(), *arguments[1:])

    def recvfrom(self, *arguments: Any) -> Any:
        data, address = super().recvfrom(*arguments)
        return data + b"!", address


def test_methods_of_a_socket_subclass_are_used(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        sock = Shouting(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        client = await endpoint(sock=sock)
        client[0].sendto(b"data", address_of(server))
        await server[1].until(lambda: bool(server[1].received))
        server[0].sendto(*server[1].received[0])
        await client[1].until(lambda: bool(client[1].received))
        assert client[1].received == [(b"DATA!", address_of(server))]
        await close(client, server)

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
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for option in ("family", "reuse_port", "allow_broadcast", "flags", "proto"):
                with pytest.raises(ValueError, match="when sock is specified"):
                    await loop.create_datagram_endpoint(Datagrams, sock=sock, **{option: 1})

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython 3.11 does not look")
def test_a_socket_in_use_is_refused(run: Run) -> None:
    async def main() -> None:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        one = await endpoint(sock=sock)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await endpoint(sock=sock)
        await close(one)

    run(main())
