"""create_server and the Server it returns."""

import asyncio
import errno
import inspect
import os
import socket
import sys
from typing import Any

import pytest

from .conftest import Log, Run
from .connections import listening_socket
from .recorders import Recorder, receive_to_end

Loop = asyncio.AbstractEventLoop


async def settle() -> None:
    """Give the loop the turns that closing a transport takes."""
    for _ in range(4):
        await asyncio.sleep(0)


async def connect(server: asyncio.Server) -> socket.socket:
    """Return a non-blocking socket connected to `server`."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, server.sockets[0].getsockname())
    return sock


class Accepting:
    """A protocol factory that remembers its protocols."""

    def __init__(self) -> None:
        self.protocols: list[Recorder] = []
        self._more = asyncio.Event()

    def __call__(self) -> Recorder:
        self.protocols.append(Recorder())
        self._more.set()
        return self.protocols[-1]

    async def until(self, count: int) -> list[Recorder]:
        """Wait until `count` protocols have had their connection_made."""
        while len(self.protocols) < count:
            self._more.clear()
            await self._more.wait()
        for protocol in self.protocols:
            await protocol.until(lambda protocol=protocol: bool(protocol.calls))  # type: ignore[misc]
        return self.protocols


def test_server_is_an_asyncio_server(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        assert isinstance(server, asyncio.Server)
        assert isinstance(server, asyncio.AbstractServer)
        assert server.get_loop() is loop
        assert server.is_serving()
        server.close()

    run(main())


def test_sockets_are_a_tuple_of_wrapped_sockets(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        (sock,) = server.sockets
        assert isinstance(server.sockets, tuple)
        assert sock.getsockname()[1] > 0
        server.close()
        assert server.sockets == ()
        assert not server.is_serving()

    run(main())


def test_connections_are_accepted(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        clients = [await connect(server) for _ in range(50)]
        protocols = await accepting.until(50)
        for client in clients:
            client.close()
        for protocol in protocols:
            assert await protocol.lost is None
        server.close()
        await server.wait_closed()
        await settle()

    run(main())


def test_closed_server_refuses_and_keeps_its_connections(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with await connect(server) as client:
            (protocol,) = await accepting.until(1)
            server.close()
            with pytest.raises(ConnectionRefusedError):
                await loop.create_connection(Recorder, *address)
            client.send(b"still here")
            assert await protocol.received(10) == b"still here"
        await protocol.lost
        await server.wait_closed()
        await settle()

    run(main())


def test_closing_twice_is_harmless(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        server.close()
        server.close()
        await server.wait_closed()
        await server.wait_closed()

    run(main())


def test_wait_closed_waits_for_the_connections(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        with await connect(server):
            (protocol,) = await accepting.until(1)
            server.close()
            waiting = asyncio.ensure_future(server.wait_closed())
            await settle()
            # Before 3.12 it forgot to wait.
            assert waiting.done() is (sys.version_info < (3, 12))
            protocol.transport.close()
            await waiting
        await settle()

    run(main())


def test_server_as_a_context_manager(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Recorder, "127.0.0.1", 0) as server:
            assert server.is_serving()
        assert not server.is_serving()
        assert server.sockets == ()

    run(main())


def test_start_serving_later(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        await server.start_serving()
        await server.start_serving()
        assert server.is_serving()
        (await connect(server)).close()
        (protocol,) = await accepting.until(1)
        await protocol.lost
        server.close()
        await server.wait_closed()
        await settle()

    run(main())


def test_serve_forever_until_cancelled(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
        task = asyncio.ensure_future(server.serve_forever())
        await settle()
        assert server.is_serving()
        with pytest.raises(RuntimeError, match="is already being awaited on serve_forever"):
            await server.serve_forever()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(main())


def test_closing_ends_serve_forever(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        task = asyncio.ensure_future(server.serve_forever())
        await settle()
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the method came with Python 3.13")
def test_close_clients_flushes(run: Run) -> None:
    if sys.version_info < (3, 13):
        raise AssertionError("unreachable: the mark skips")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        with await connect(server) as one, await connect(server) as two:
            for protocol in await accepting.until(2):
                protocol.transport.write(bytes(10_000_000))
            server.close()
            server.close_clients()
            received = await asyncio.gather(receive_to_end(one), receive_to_end(two))
            assert [len(data) for data in received] == [10_000_000] * 2
            await server.wait_closed()
        await settle()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the method came with Python 3.13")
def test_abort_clients_drops(run: Run) -> None:
    if sys.version_info < (3, 13):
        raise AssertionError("unreachable: the mark skips")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        with await connect(server):
            (protocol,) = await accepting.until(1)
            protocol.transport.write(bytes(50_000_000))
            assert protocol.transport.get_write_buffer_size() > 0
            server.close()
            server.abort_clients()
            assert await protocol.lost is None
            await server.wait_closed()
        await settle()

    run(main())


def test_several_hosts(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            port = listener.getsockname()[1]
        server = await loop.create_server(Recorder, ["127.0.0.1", "127.0.0.2"], port)
        names = {sock.getsockname() for sock in server.sockets}
        assert names == {("127.0.0.1", port), ("127.0.0.2", port)}
        server.close()

    run(main())


@pytest.mark.parametrize("host", [None, ""])
def test_no_host_means_every_interface(run: Run, host: str | None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, host, 0, family=socket.AF_INET)
        (sock,) = server.sockets
        assert sock.getsockname()[0] == "0.0.0.0"
        server.close()

    run(main())


def test_listening_socket_of_the_caller(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        server = await loop.create_server(accepting, sock=sock)
        assert sock.gettimeout() == 0
        (await connect(server)).close()
        (protocol,) = await accepting.until(1)
        await protocol.lost
        server.close()
        assert sock.fileno() == -1
        await server.wait_closed()
        await settle()

    run(main())


def test_busy_port_is_refused_with_the_address(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            host, port = listener.getsockname()
            with pytest.raises(
                OSError, match="error while attempting to bind on address"
            ) as caught:
                await loop.create_server(Recorder, host, port)
            assert caught.value.errno == errno.EADDRINUSE
            assert str(port) in str(caught.value)

    run(main())


def test_reuse_port(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one = await loop.create_server(Recorder, "127.0.0.1", 0, reuse_port=True)
        port = one.sockets[0].getsockname()[1]
        two = await loop.create_server(Recorder, "127.0.0.1", port, reuse_port=True)
        one.close()
        two.close()

    run(main())


def test_contradicting_arguments_are_refused(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await loop.create_server(Recorder, "127.0.0.1", 0, sock=sock)
            with pytest.raises(ValueError, match="Neither host/port nor sock"):
                await loop.create_server(Recorder)
            with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
                await loop.create_server(Recorder, "127.0.0.1", 0, ssl=True)
            with pytest.raises(ValueError, match="ssl_handshake_timeout is only meaningful"):
                await loop.create_server(Recorder, "127.0.0.1", 0, ssl_handshake_timeout=1)
        with (
            socket.socket(type=socket.SOCK_DGRAM) as datagram,
            pytest.raises(ValueError, match="A Stream Socket was expected"),
        ):
            await loop.create_server(Recorder, sock=datagram)

    run(main())


def test_unresolvable_host_is_gaierror(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
        with pytest.raises(socket.gaierror):
            await loop.create_server(Recorder, "name", 80)

    run(main())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_factory_that_raises_does_not_end_the_server(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        failing = True

        def factory() -> Recorder:
            nonlocal failing
            if failing:
                failing = False
                raise LookupError("no protocol")
            return accepting()

        server = await loop.create_server(factory, "127.0.0.1", 0)
        (await connect(server)).close()
        (await connect(server)).close()
        (protocol,) = await accepting.until(1)
        await protocol.lost
        server.close()
        await settle()

    # asyncio reports it in debug mode only, and leaves the socket to the collector.
    run(main())


def test_connection_made_that_raises_is_reported(run: Run, asyncio_log: Log) -> None:
    class Failing(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            transport.close()
            raise LookupError("failed")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Failing, "127.0.0.1", 0)
        with await connect(server) as client:
            assert await receive_to_end(client) == b""
        server.close()
        await settle()

    run(main())
    assert any("connection_made" in text for text in asyncio_log.messages)


def test_backlog_is_accepted_in_one_go(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0, backlog=200)
        address = server.sockets[0].getsockname()
        # All are in the kernel's queue before the loop gets a turn.
        clients = [socket.create_connection(address) for _ in range(150)]
        protocols = await accepting.until(150)
        for client in clients:
            client.close()
        await asyncio.gather(*(protocol.lost for protocol in protocols))
        server.close()
        await settle()

    run(main())


@pytest.mark.parametrize("wanted", [True, False, None])
def test_connections_are_kept_alive_on_request(run: Run, wanted: bool | None) -> None:
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        if "keep_alive" not in inspect.signature(asyncio.BaseEventLoop.create_server).parameters:
            with pytest.raises(TypeError, match="keep_alive"):
                await loop.create_server(Recorder, "127.0.0.1", 0, keep_alive=wanted)
            return
        asked: asyncio.Future[Recorder] = loop.create_future()

        def factory() -> Recorder:
            recorder = Recorder()
            asked.set_result(recorder)
            return recorder

        server = await loop.create_server(factory, "127.0.0.1", 0, keep_alive=wanted)
        assert bool(server.sockets[0].getsockopt(*option)) is bool(wanted)
        address = server.sockets[0].getsockname()
        transport, client = await loop.create_connection(Recorder, *address)
        accepted = await asked
        await accepted.until(lambda: bool(accepted.calls))
        sock = accepted.transport.get_extra_info("socket")
        assert bool(sock.getsockopt(*option)) is bool(wanted)
        transport.close()
        await accepted.lost
        await client.lost
        server.close()
        await server.wait_closed()

    run(main())


def test_cancelled_wait_closed_leaves_the_server_as_it_is(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Recorder] = loop.create_future()

        def factory() -> Recorder:
            recorder = Recorder()
            asked.set_result(recorder)
            return recorder

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, client = await loop.create_connection(Recorder, *address)
        accepted = await asked
        await accepted.until(lambda: bool(accepted.calls))
        server.close()
        first, second = (asyncio.ensure_future(server.wait_closed()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        # Before 3.12 nobody waits for the connections.
        assert first.cancelled() is not second.done()
        assert client.calls == ["connection_made"]
        transport.close()
        await asyncio.wait_for(second, 5)
        await client.lost
        await accepted.lost
        await asyncio.wait_for(server.wait_closed(), 5)

    run(main())


def test_descriptors_are_not_inherited(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting()
        server = await loop.create_server(accepting, "127.0.0.1", 0)
        assert os.get_inheritable(server.sockets[0].fileno()) is False
        with await connect(server):
            (protocol,) = await accepting.until(1)
            number = protocol.transport.get_extra_info("socket").fileno()
            assert os.get_inheritable(number) is False
        await protocol.lost
        server.close()
        await settle()

    run(main())


def test_repr_names_the_sockets(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        assert repr(server).startswith("<Server sockets=(")
        server.close()

    run(main())
