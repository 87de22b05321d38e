"""create_connection: addresses, sockets of the caller, errors, cancellation."""

import asyncio
import errno
import socket
import sys
from typing import Any

import pytest

from .conftest import LoopFactory, Run
from .connections import listening_socket
from .recorders import Recorder

Loop = asyncio.AbstractEventLoop


def refused_port() -> int:
    """Return a port on which nothing listens now."""
    with listening_socket() as listener:
        port: int = listener.getsockname()[1]
    return port


async def settle() -> None:
    """Give the loop the turns that closing a transport takes."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_returns_transport_and_protocol_after_connection_made(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            made: list[Recorder] = []

            def factory() -> Recorder:
                made.append(Recorder())
                return made[-1]

            transport, protocol = await loop.create_connection(factory, *listener.getsockname())
            assert made == [protocol]
            assert protocol.calls == ["connection_made"]
            assert protocol.transport is transport
            transport.close()
            await protocol.lost

    run(main())


def test_host_may_be_a_name(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            port = listener.getsockname()[1]
            transport, protocol = await loop.create_connection(Recorder, "localhost", port)
            assert transport.get_extra_info("peername")[1] == port
            transport.close()
            await protocol.lost

    run(main())


def test_port_may_be_a_string_and_host_bytes(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            host, port = listener.getsockname()
            for given in ((host, str(port)), (host.encode(), port)):
                transport, protocol = await loop.create_connection(Recorder, *given)
                transport.close()
                await protocol.lost

    run(main())


def test_local_address(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            transport, protocol = await loop.create_connection(
                Recorder, *listener.getsockname(), local_addr=("127.0.0.1", 0)
            )
            assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
            transport.close()
            await protocol.lost

    run(main())


def test_connected_socket_of_the_caller(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            sock = socket.create_connection(listener.getsockname())
            transport, protocol = await loop.create_connection(Recorder, sock=sock)
            assert transport.get_extra_info("socket").fileno() == sock.fileno()
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            # The transport owns it, and has closed it.
            assert sock.fileno() == -1

    run(main())


def test_unix_sockets_of_the_caller_are_stream_sockets_too(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with right:
            transport, protocol = await loop.create_connection(Recorder, sock=left)
            right.send(b"data")
            assert await protocol.received(4) == b"data"
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)

    run(main())


def test_refusal_is_connection_refused_error(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        port = refused_port()
        with pytest.raises(ConnectionRefusedError) as caught:
            await loop.create_connection(Recorder, "127.0.0.1", port)
        assert caught.value.errno == errno.ECONNREFUSED
        assert f"('127.0.0.1', {port})" in str(caught.value)

    run(main())


def test_refusal_by_all_of_several_addresses(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        port = refused_port()

        async def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
                for host in ("127.0.0.1", "127.0.0.2")
            ]

        loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
        with pytest.raises(OSError, match=r"refused|Multiple exceptions"):
            await loop.create_connection(Recorder, "name", port)
        if sys.version_info >= (3, 12):
            with pytest.raises(ExceptionGroup) as caught:
                await loop.create_connection(Recorder, "name", port, all_errors=True)
            assert len(caught.value.exceptions) == 2

    run(main())


def test_second_address_is_tried_when_the_first_refuses(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            port = listener.getsockname()[1]

            async def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> list[Any]:
                return [
                    (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                    for address in ("127.0.0.3", "127.0.0.1")
                ]

            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
            for delay in (None, 0.05):
                transport, protocol = await loop.create_connection(
                    Recorder, "name", port, happy_eyeballs_delay=delay
                )
                assert transport.get_extra_info("peername") == ("127.0.0.1", port)
                transport.close()
                await protocol.lost

    run(main())


def test_unresolvable_host_is_gaierror(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(socket.gaierror):
            # The flag makes the resolver refuse a name without asking the network.
            await loop.create_connection(
                Recorder, "not-an-address", 80, flags=socket.AI_NUMERICHOST
            )

    run(main())


def test_empty_answer_of_the_resolver_is_oserror(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
            return []

        loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
        with pytest.raises(OSError, match="empty list"):
            await loop.create_connection(Recorder, "name", 80)

    run(main())


def test_contradicting_arguments_are_refused(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with listening_socket() as listener, socket.socket() as sock:
            host, port = listener.getsockname()
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await loop.create_connection(Recorder, host, port, sock=sock)
            with pytest.raises(ValueError, match="host and port was not specified"):
                await loop.create_connection(Recorder)
            with pytest.raises(ValueError, match="server_hostname is only meaningful with ssl"):
                await loop.create_connection(Recorder, host, port, server_hostname="name")
            with pytest.raises(ValueError, match="ssl_handshake_timeout is only meaningful"):
                await loop.create_connection(Recorder, host, port, ssl_handshake_timeout=1)
            with pytest.raises(ValueError, match="ssl_shutdown_timeout is only meaningful"):
                await loop.create_connection(Recorder, host, port, ssl_shutdown_timeout=1)
        with (
            socket.socket(type=socket.SOCK_DGRAM) as datagram,
            pytest.raises(ValueError, match="A Stream Socket was expected"),
        ):
            await loop.create_connection(Recorder, sock=datagram)

    run(main())


@pytest.mark.parametrize("port", [-1, 65536, 1.5, object()])
def test_bad_ports_are_refused(run: Run, port: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises((OverflowError, OSError, TypeError)):
            await loop.create_connection(Recorder, "127.0.0.1", port)

    run(main())


def test_factory_that_raises_closes_the_socket(run: Run) -> None:
    def factory() -> asyncio.Protocol:
        raise LookupError("no protocol")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            sock = socket.socket()
            sock.connect(listener.getsockname())
            with sock, pytest.raises(LookupError):
                await loop.create_connection(factory, sock=sock)

    run(main())


def test_cancelled_connect_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            for turns in range(6):
                task = loop.create_task(
                    loop.create_connection(asyncio.Protocol, *listener.getsockname())
                )
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    transport, _ = await task
                except asyncio.CancelledError:
                    continue
                transport.close()
                await settle()
            await settle()

    run(main())


def test_wait_for_a_connection_that_never_comes(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def sock_connect(sock: socket.socket, address: Any) -> None:
            await asyncio.Event().wait()

        loop.sock_connect = sock_connect  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                loop.create_connection(asyncio.Protocol, "127.0.0.1", 80), timeout=0.01
            )

    run(main())


def test_many_connections_at_once(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(EchoOnce, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        pairs = await asyncio.gather(
            *(loop.create_connection(Recorder, *address) for _ in range(100))
        )
        for number, (transport, _) in enumerate(pairs):
            transport.write(b"%d" % number)
        for number, (_, protocol) in enumerate(pairs):
            assert await protocol.lost is None
            assert protocol.data == b"%d" % number
        server.close()
        await server.wait_closed()
        await settle()

    run(main())


class EchoOnce(asyncio.Protocol):
    """Echoes the first bytes and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()


def test_closed_loop_refuses(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loop.close()
    coroutine = loop.create_connection(Recorder, "127.0.0.1", 80)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_until_complete(coroutine)
    coroutine.close()
