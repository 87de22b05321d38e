"""How a server takes connections: many at once, without descriptors, ten thousand in all."""

import asyncio
import contextlib
import errno
import fcntl
import os
import resource
import socket
import subprocess
import sys
import time
from asyncio import constants
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .descriptors import few_descriptors
from .recorders import Calls, Recorder


class Counter(Calls, asyncio.Protocol):
    """One object for all connections of a server, which it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.transports: list[Any] = []
        self.gone = 0

    def __call__(self) -> "Counter":
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)
        self.note("connection_made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone += 1
        self.note("connection_lost")

    async def closed(self) -> None:
        """Close every connection, and wait until that is done."""
        for transport in self.transports:
            transport.close()
        await self.until(lambda: self.gone == len(self.transports))


class Reports(Calls):
    """The loop's exception handler from now on, which keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[dict[str, Any]] = []
        self._loop.set_exception_handler(self)

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.contexts.append(context)
        self.note("report")


@contextlib.asynccontextmanager
async def serving(
    host: str = "127.0.0.1",
    *,
    path: Path | None = None,
    sock: socket.socket | None = None,
    backlog: int = 100,
) -> AsyncIterator[tuple[Counter, asyncio.Server]]:
    """Count the connections of a server, and close it and them at the end."""
    loop = asyncio.get_running_loop()
    counter = Counter()
    server: asyncio.Server
    if path is not None:
        server = await loop.create_unix_server(counter, path, backlog=backlog)
    elif sock is not None:
        sock.bind(("127.0.0.1", 0))
        server = await loop.create_server(counter, sock=sock, backlog=backlog)
    else:
        server = await loop.create_server(counter, host, 0, backlog=backlog)
    yield counter, server
    server.close()
    await counter.closed()


def connecting(address: Any) -> socket.socket:
    """Return a socket that connects to `address` without waiting for it."""
    sock = socket.socket()
    sock.setblocking(False)
    assert sock.connect_ex(address) in (0, 115)
    return sock


def test_a_burst_of_connections(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as clients:
            async with serving(backlog=400) as (counter, server):
                address = server.sockets[0].getsockname()
                names = set()
                for _ in range(300):
                    sock = clients.enter_context(connecting(address))
                    await loop.sock_connect(sock, address)
                    names.add(sock.getsockname())
                await counter.until(lambda: len(counter.transports) == 300)
                assert {one.get_extra_info("peername") for one in counter.transports} == names

    run(main())


@pytest.mark.parametrize("backlog", [0, 1])
def test_a_small_backlog_serves_as_well(run: Run, loop_kind: str, backlog: int) -> None:
    if backlog == 0 and sys.version_info < (3, 14):
        stdlib_fault(loop_kind, "accepts nothing with this backlog")

    async def main() -> None:
        with contextlib.ExitStack() as clients:
            async with serving(backlog=backlog) as (counter, server):
                for number in range(1, 4):
                    clients.enter_context(connecting(server.sockets[0].getsockname()))
                    await counter.until(lambda number=number: len(counter.transports) == number)  # type: ignore[misc]

    run(main())


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
def test_what_an_accepted_connection_is(run: Run, tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        host = "::1" if kind == "ipv6" else "127.0.0.1"
        path = tmp_path / "socket" if kind == "unix" else None
        async with serving(host, path=path) as (counter, server):
            (listener,) = server.sockets
            address = listener.getsockname()
            with socket.socket(listener.family) as client:
                client.connect(address)
                await counter.until(lambda: bool(counter.transports))
                transport = counter.transports[0]
                accepted = transport.get_extra_info("socket")
                assert transport.get_extra_info("peername") == client.getsockname()
                assert transport.get_extra_info("sockname") == client.getpeername() == address
                assert (accepted.family, accepted.type) == (client.family, socket.SOCK_STREAM)
                assert accepted.proto == listener.proto
                assert accepted.gettimeout() == 0
                assert not os.get_blocking(accepted.fileno())
                assert fcntl.fcntl(accepted.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
                if kind != "unix":
                    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(main())


def test_named_unix_clients(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        names = (str(tmp_path / "client"), f"\0rsloop-{os.getpid()}-{tmp_path.name}".encode())
        async with serving(path=tmp_path / "server") as (counter, _):
            for name in names:
                with socket.socket(socket.AF_UNIX) as client:
                    client.bind(name)
                    client.connect(str(tmp_path / "server"))
                    before = len(counter.transports)
                    await counter.until(lambda before=before: len(counter.transports) > before)  # type: ignore[misc]
                    assert counter.transports[-1].get_extra_info("peername") == name

    run(main())


class Listener(socket.socket):
    """A listening socket with a method of its own, whose first connection is gone already."""

    accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.accepted += 1
        if self.accepted == 1:
            raise ConnectionAbortedError(103, "Software caused connection abort")
        return super().accept()


def test_a_subclass_accepts_by_its_own_method(run: Run) -> None:
    async def main() -> None:
        listener = Listener()
        async with serving(sock=listener) as (counter, _):
            with connecting(listener.getsockname()):
                await counter.until(lambda: bool(counter.transports))
                assert listener.accepted > 1
                assert counter.transports[0].get_extra_info("socket").gettimeout() == 0

    run(main())


class Unlucky(socket.socket):
    """A listening socket that first wants descriptors, and whose next connection has failed."""

    accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.accepted += 1
        if self.accepted == 1:
            raise OSError(24, "Too many open files")
        if self.accepted == 2:
            raise OSError(113, "No route to host")
        return super().accept()


def test_a_failed_connection_does_not_end_the_listening(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.01)

    async def main() -> None:
        reports = Reports()
        listener = Unlucky()
        # The stdlib loop goes on after the want of descriptors as often as the backlog says.
        async with serving(sock=listener, backlog=1) as (counter, _):
            with connecting(listener.getsockname()):
                await counter.until(lambda: bool(counter.transports))
        errors = [context["exception"].errno for context in reports.contexts]
        assert errors == [24, 113]

    run(main())


def test_want_of_descriptors_is_waited_out(run: Run, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "reports it a hundred times a second")

    async def main() -> None:
        reports = Reports()
        async with serving() as (counter, server):
            address = server.sockets[0].getsockname()
            # Signals need descriptors of the loop, which it opens before it first waits.
            await asyncio.sleep(0.01)
            clients = [connecting(address) for _ in range(8)]
            with few_descriptors(3):
                await counter.until(lambda: len(counter.transports) == 3)
                before = time.process_time()
                await asyncio.sleep(2.5)
                assert time.process_time() - before < 0.05 * 2.5
                assert len(counter.transports) == 3
            [report] = reports.contexts
            assert report["message"] == "socket.accept() out of system resource"
            assert report["exception"].errno == 24
            assert report["socket"].getsockname() == address
            await asyncio.wait_for(counter.until(lambda: len(counter.transports) == 8), 3)
            # A new want is a new report.
            clients += [connecting(address) for _ in range(2)]
            with few_descriptors(0):
                await reports.until(lambda: len(reports.calls) == 2)
            await asyncio.wait_for(counter.until(lambda: len(counter.transports) == 10), 3)
            assert len(reports.calls) == 2
            for client in clients:
                client.close()

    run(main())


class Wanting(socket.socket):
    """A listening socket that wants something three times, and then accepts."""

    number = 0
    wants = 3

    def accept(self) -> tuple[socket.socket, Any]:
        if self.wants:
            self.wants -= 1
            raise OSError(self.number, os.strerror(self.number))
        return super().accept()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_every_want_that_passes_is_told_once(
    run: Run, loop_kind: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    stdlib_fault(loop_kind, "reports it with each attempt")
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.01)

    async def main() -> None:
        reports = Reports()
        listener = Wanting()
        listener.number = number
        async with serving(sock=listener) as (counter, _):
            with connecting(listener.getsockname()):
                await counter.until(lambda: bool(counter.transports))
        assert listener.wants == 0
        assert [context["exception"].errno for context in reports.contexts] == [number]

    run(main())


@pytest.mark.parametrize("way", ["debug mode", "task factory", "unix"])
def test_want_of_descriptors_however_connections_are_accepted(
    run: Run, loop_kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    stdlib_fault(loop_kind, "reports it a hundred times a second")
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.01)

    def task(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> "asyncio.Task[Any]":
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main() -> None:
        if way == "task factory":
            asyncio.get_running_loop().set_task_factory(task)
        reports = Reports()
        async with serving(path=tmp_path / "server" if way == "unix" else None) as (
            counter,
            server,
        ):
            listener = server.sockets[0]
            await asyncio.sleep(0.01)  # the loop opens its descriptors for signals
            with socket.socket(listener.family) as one, socket.socket(listener.family) as two:
                with few_descriptors(1):
                    one.connect(listener.getsockname())
                    two.connect(listener.getsockname())
                    await reports.until(lambda: bool(reports.contexts))
                    await asyncio.sleep(0.1)
                    assert len(counter.transports) == 1
                await counter.until(lambda: len(counter.transports) == 2)
            [report] = reports.contexts
            assert report["message"] == "socket.accept() out of system resource"
            assert report["exception"].errno == errno.EMFILE

    run(main(), debug=way == "debug mode")


def test_server_closed_while_it_wants_descriptors(
    run: Run, loop_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdlib_fault(loop_kind, "tries to listen on the closed socket")
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.05)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = Reports()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        await asyncio.sleep(0.01)
        with connecting(server.sockets[0].getsockname()):
            with few_descriptors(0):
                await reports.until(lambda: bool(reports.calls))
                server.close()
            await asyncio.sleep(0.2)
        assert len(reports.calls) == 1

    run(main())


CLIENT = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
address = ("127.0.0.1", int(sys.argv[1]))
sockets = [socket.create_connection(address) for _ in range(int(sys.argv[2]))]
for sock in sockets:
    sock.send(b"ping")
for sock in sockets:
    assert sock.recv(10) == b"pong"
"""


def test_ten_thousand_connections(run: Run) -> None:
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip("the system allows too few descriptors")

    class Pong(Counter):
        answered = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transports.append(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            assert exc is None or isinstance(exc, ConnectionResetError)
            self.gone += 1
            if self.gone == count:
                self.note("all")

        def data_received(self, data: bytes) -> None:
            assert data == b"ping"
            self.answered += 1
            if self.answered == count:
                for transport in self.transports:
                    transport.write(b"pong")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        counter = Pong()
        server = await loop.create_server(counter, "127.0.0.1", 0, backlog=1000)
        port = str(server.sockets[0].getsockname()[1])
        command = [sys.executable, "-c", CLIENT, port, str(count)]
        client = subprocess.Popen(command)  # noqa: ASYNC220 - it is a matter of a millisecond
        await counter.until(lambda: counter.gone == count)
        assert await asyncio.to_thread(client.wait) == 0
        server.close()

    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
