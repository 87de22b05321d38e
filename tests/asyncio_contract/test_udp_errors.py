"""Datagram endpoints: what a failed send or receive does, and whom it tells."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .datagrams import Datagrams, Endpoint, address_of, close, drain, endpoint, stalled


async def check_alive(one: Endpoint) -> None:
    """Send a datagram through the endpoint and one to it."""
    two = await endpoint()
    before = len(one[1].received)
    one[0].sendto(b"alive", address_of(two))
    await two[1].until(lambda: bool(two[1].received))
    two[0].sendto(b"alive", address_of(one))
    await one[1].until(lambda: len(one[1].received) > before)
    await close(two)


def unused_address() -> Any:
    """Return an address of the loopback at which nobody listens."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()


def test_refusal_goes_to_error_received(run: Run) -> None:
    async def main() -> None:
        client = await endpoint(remote_addr=unused_address())
        client[0].sendto(b"to nobody")
        await client[1].until(lambda: bool(client[1].errors))
        (error,) = client[1].errors
        assert isinstance(error, ConnectionRefusedError)
        assert error.errno == errno.ECONNREFUSED
        assert not client[0].is_closing()
        await close(client)

    run(main())


def test_refusal_of_the_last_datagram_comes_with_the_next(run: Run) -> None:
    async def main() -> None:
        client = await endpoint(remote_addr=unused_address())
        client[0].sendto(b"to nobody")
        client[0].sendto(b"to nobody")  # the kernel tells of the first one now
        assert [type(error) for error in client[1].errors] == [ConnectionRefusedError]
        await close(client)

    run(main())


@pytest.mark.parametrize(
    ("data", "address", "expected"),
    [
        (bytes(100_000), ("127.0.0.1", 9), errno.EMSGSIZE),
        (b"data", ("127.0.0.1", 0), errno.EINVAL),
        (b"data", ("255.255.255.255", 9), errno.EACCES),
        (b"data", ("<broadcast>", 9), errno.EACCES),
        (b"data", ("::1", 9), socket.EAI_ADDRFAMILY),
        (b"data", ("127.0.0.1\0", 9), None),
    ],
)
def test_a_system_error_goes_to_error_received(
    run: Run, loop_kind: str, data: bytes, address: Any, expected: int | None
) -> None:
    if expected is None:
        stdlib_fault(loop_kind, "closes the endpoint at an address with a NUL")

    async def main() -> None:
        one = await endpoint()
        if expected is None:
            with pytest.raises((TypeError, ValueError)):
                one[0].sendto(data, address)
        else:
            one[0].sendto(data, address)
            # In the very call, not in a later turn.
            (error,) = one[1].errors
            assert isinstance(error, OSError)
            with pytest.raises(OSError, match=r".") as caught, socket.socket(type=2) as sock:
                sock.sendto(data, address)
            assert error.errno == expected
            assert (type(error), error.args) == (type(caught.value), caught.value.args)
        await check_alive(one)
        await close(one)

    run(main())


MALFORMED = [
    None,
    "127.0.0.1",
    ("127.0.0.1",),
    ("127.0.0.1", 1, 2),
    ("127.0.0.1", "80"),
    ("127.0.0.1", 65536),
    ("127.0.0.1", -1),
    ("127.0.0.1", 1.5),
    ("127.0.0.1", 10**30),
    (1, 80),
    (None, 80),
    ["127.0.0.1", 80],
    object(),
]


@pytest.mark.parametrize("address", MALFORMED, ids=repr)
def test_a_malformed_address_is_refused_where_it_is_given(
    run: Run, loop_kind: str, address: Any
) -> None:
    stdlib_fault(loop_kind, "closes the endpoint, and tells only its exception handler")

    async def main() -> None:
        one = await endpoint()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(b"data", address)
            except Exception as error:
                expected = error
        with pytest.raises(type(expected)) as caught:
            one[0].sendto(b"data", address)
        assert caught.value.args == expected.args
        assert one[1].errors == []
        await check_alive(one)
        await close(one)

    run(main())


def test_a_malformed_address_in_the_queue_goes_to_the_handler(
    run: Run, loop_kind: str, tmp_path: Path
) -> None:
    stdlib_fault(loop_kind, "closes the endpoint")

    async def main() -> None:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        async with stalled(tmp_path, connected=False) as (one, peer):
            one[0].sendto(b"bad", 1)
            one[0].sendto(b"good", peer.getsockname())
            assert await drain(one, peer, 1) == [b"good"]
            (context,) = contexts
            assert isinstance(context["exception"], TypeError)
            assert not one[0].is_closing()

    run(main())


def test_an_error_in_the_queue_costs_one_datagram(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path, connected=False) as (one, peer):
            one[0].sendto(b"first", peer.getsockname())
            one[0].sendto(b"to nobody", str(tmp_path / "missing"))
            one[0].sendto(b"second", peer.getsockname())
            assert one[1].errors == []
            assert await drain(one, peer, 2) == [b"first", b"second"]
            assert [type(error) for error in one[1].errors] == [FileNotFoundError]

    run(main())


def test_closing_waits_for_what_follows_an_error(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path, connected=False) as (one, peer):
            one[0].sendto(b"to nobody", str(tmp_path / "missing"))
            one[0].close()
            assert not one[1].lost.done()
            while not one[1].lost.done():
                await drain(one, peer, 0)
                try:
                    peer.recv(10)
                except BlockingIOError:
                    await asyncio.sleep(0)
            assert one[1].lost.result() is None
            assert one[1].calls[-2:] == ["error_received", "connection_lost"]

    run(main())


class Failing(Datagrams):
    """Raises from the callbacks named in `fail`."""

    fail: tuple[str, ...] = ()
    kind: type[BaseException] = ZeroDivisionError

    def note(self, call: str) -> None:
        super().note(call)
        if call in self.fail:
            raise self.kind(call)


class FailingToReceive(Failing):
    """Raises for each datagram and for each error."""

    fail = ("datagram_received", "error_received")


def test_datagram_received_that_raises_goes_to_the_handler(run: Run) -> None:
    async def main() -> None:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        one = await endpoint(FailingToReceive, local_addr=("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number in range(3):
                sock.sendto(b"%d" % number, address_of(one))
        await one[1].until(lambda: len(one[1].received) == 3)
        await asyncio.sleep(0)
        assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError] * 3
        expected = "Exception in callback _SelectorDatagramTransport._read_ready()"
        assert [context["message"] for context in contexts] == [expected] * 3
        for context in contexts:
            assert sorted(context) == ["exception", "handle", "message"]
            assert isinstance(context["handle"], asyncio.Handle)
        assert not one[0].is_closing()
        await close(one)

    run(main())


def test_error_received_that_raises_goes_to_whoever_called_it(run: Run) -> None:
    async def main() -> None:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        one = await endpoint(FailingToReceive, remote_addr=unused_address())
        with pytest.raises(ZeroDivisionError) as raised:
            one[0].sendto(bytes(100_000))
        assert raised.value.__context__ is one[1].errors[0]
        assert contexts == []
        one[0].sendto(b"to nobody")
        await one[1].until(lambda: len(one[1].errors) == 2)
        await asyncio.sleep(0)
        assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
        assert not one[0].is_closing()
        await close(one)

    run(main())


def test_what_a_queued_datagram_makes_raise_goes_to_the_handler(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        own = str(tmp_path / "one")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            path = str(tmp_path / "peer")
            peer.bind(path)
            peer.setblocking(False)
            one = await endpoint(FailingToReceive, local_addr=own, family=socket.AF_UNIX)
            while one[0].get_write_buffer_size() == 0:
                one[0].sendto(b"x", path)
            one[0].sendto(b"to nobody", str(tmp_path / "missing"))
            one[0].sendto(b"good", path)
            assert await drain(one, peer, 1) == [b"good"]
        (context,) = contexts
        expected = "Exception in callback _SelectorDatagramTransport._sendto_ready()"
        assert context["message"] == expected
        assert sorted(context) == ["exception", "handle", "message"]
        assert context["exception"].__context__ is one[1].errors[0]
        await close(one)

    run(main())


def test_connection_made_that_raises_goes_to_the_handler(run: Run) -> None:
    class FailingAtOnce(Failing):
        fail = ("connection_made",)

    async def main() -> None:
        kinds: list[type] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: kinds.append(type(context["exception"])))
        one = await endpoint(FailingAtOnce, local_addr=("127.0.0.1", 0))
        assert kinds == [ZeroDivisionError]
        two = await endpoint()
        two[0].sendto(b"data", address_of(one))
        await one[1].until(lambda: bool(one[1].received))
        await close(one, two)

    run(main())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_loop_passes_through_it(
    loop: asyncio.AbstractEventLoop, kind: type[BaseException]
) -> None:
    one = loop.run_until_complete(endpoint(Failing, local_addr=("127.0.0.1", 0)))
    protocol: Any = one[1]
    protocol.fail, protocol.kind = ("datagram_received",), kind
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        for number in range(3):
            sock.sendto(b"%d" % number, address_of(one))
    for _ in range(3):
        with pytest.raises(kind):
            loop.run_forever()
    assert [data for data, _ in protocol.received] == [b"0", b"1", b"2"]
    loop.run_until_complete(close(one))


def test_a_socket_closed_behind_the_transport(run: Run) -> None:
    async def main() -> None:
        stranger = await endpoint()
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        number = sock.fileno()
        one = await endpoint(sock=sock)
        sock.close()
        other = socket.socket(type=socket.SOCK_DGRAM)
        assert other.fileno() == number  # the lowest that is free
        one[0].sendto(b"not through the other socket", address_of(stranger))
        assert [getattr(error, "errno", None) for error in one[1].errors] == [errno.EBADF]
        one[0].close()
        await one[1].lost
        other.close()
        await asyncio.sleep(0)
        assert stranger[1].received == []
        await close(stranger)

    run(main())


def test_an_error_of_a_stalled_endpoint(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            one[0].sendto(b"lost")
            peer.close()
            await one[1].until(lambda: bool(one[1].errors))
            assert isinstance(one[1].errors[0], OSError)
            assert not one[0].is_closing()

    run(main())
