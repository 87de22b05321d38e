"""What a connection goes through from its acceptance to its end: in which turns and contexts."""

import asyncio
import contextvars
import errno
import gc
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import LoopFactory, Run, stdlib_fault
from .recorders import Calls
from .turns import turns

VARIABLE = contextvars.ContextVar("VARIABLE", default="none")


class Stories(Calls):
    """A protocol factory; what its protocols have been told, and the variable's value there."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []
        self.transports: list[Any] = []
        self.on: dict[str, Callable[[], object]] = {}

    def tell(self, what: str) -> None:
        self.told.append((what, VARIABLE.get()))
        VARIABLE.set(f"by {what}")
        self.note(what)
        self.on.get(what, int)()

    def __call__(self) -> "Story":
        self.tell("factory")
        return Story(self)


class Story(asyncio.Protocol):
    """Tells the stories what happens to it."""

    def __init__(self, stories: Stories) -> None:
        self.tell = stories.tell
        self.transports = stories.transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)
        self.tell("made")

    def data_received(self, data: bytes) -> None:
        self.tell("data")

    def connection_lost(self, exc: Exception | None) -> None:
        self.tell("lost")


async def serve(factory: Stories) -> tuple[asyncio.Server, socket.socket]:
    """Return a server, and a client that has just connected to it."""
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    return server, socket.create_connection(server.sockets[0].getsockname())


def fail() -> None:
    raise ZeroDivisionError


def test_contexts_of_an_accepted_connection(run: Run) -> None:
    """The factory's is a copy of the server's; connection_made and reading have copies of that."""

    async def main() -> None:
        stories = Stories()
        VARIABLE.set("server's")
        server, client = await serve(stories)
        VARIABLE.set("later")
        with client:
            client.sendall(b"x")
            await stories.until(lambda: "data" in stories.calls)
        await stories.until(lambda: "lost" in stories.calls)
        server.close()
        await server.wait_closed()
        one_context = sys.version_info >= (3, 15)
        assert stories.told == [
            ("factory", "server's"),
            ("made", "by factory"),
            ("data", "by made" if one_context else "by factory"),
            # Closed by the end of the stream, while reading.
            ("lost", "by data"),
        ]

    run(main())


class Asking:
    """Asks a transport something when it dies."""

    transport: Any = None
    answers: list[object]

    def __init__(self, answers: list[object]) -> None:
        self.answers = answers

    def __del__(self) -> None:
        self.answers.append(self.transport.is_closing())


@pytest.mark.parametrize("end", ["pause_reading", "close"])
def test_what_dies_with_the_context_for_reading_may_use_the_transport(
    run: Run, loop_kind: str, end: str
) -> None:
    """The transport never reads, so nothing keeps the copy of the factory's context."""
    if sys.version_info < (3, 11, 5):
        stdlib_fault(loop_kind, "keeps the context")
    variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable")
    answers: list[object] = []

    transports: list[Any] = []
    told = asyncio.Event()

    class Protocol(asyncio.Protocol):
        def __init__(self) -> None:
            self.asking: Asking | None = Asking(answers)
            variable.set(self.asking)

        def connection_made(self, transport: Any) -> None:
            assert self.asking is not None
            self.asking.transport = transport
            getattr(transport, end)()
            self.asking = None
            variable.set(None)  # from 3.15 on, in the only context there is
            transports.append(transport)
            told.set()

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await told.wait()
            await turns(5)
            gc.collect()
            assert answers == [end == "close"]
            transports.pop().abort()
            await turns(1)
        server.close()

    run(main())


def test_turns_of_an_accepted_connection(run: Run) -> None:
    """The protocol is made in one turn, told in the next, and reads after what it then queues."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stories = Stories()
        for when in ("factory", "made", "data"):
            stories.on[when] = lambda when=when: loop.call_soon(stories.tell, f"after {when}")  # type: ignore[misc]
        server, client = await serve(stories)
        with client:
            client.sendall(b"x")
            await stories.until(lambda: "after data" in stories.calls)
        await stories.until(lambda: "lost" in stories.calls)
        server.close()
        each = [(when, f"after {when}") for when in ("factory", "made", "data")]
        expected = [what for pair in each for what in pair]
        # What the factory queues comes before connection_made, which is queued after it.
        assert stories.calls == [*expected, "lost"]

    run(main())


# asyncio leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_factory_that_fails_costs_its_connection_only(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stories = Stories()
        reports: list[Any] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        stories.on["factory"] = fail
        server, client = await serve(stories)
        with client:
            await stories.until(lambda: stories.calls == ["factory"])
            stories.on.clear()
            address = server.sockets[0].getsockname()
            with socket.create_connection(address):
                await stories.until(lambda: "made" in stories.calls)
            await stories.until(lambda: "lost" in stories.calls)
            gc.collect()
            assert client.recv(1) == b""
        server.close()
        assert reports == []

    run(main())


@pytest.mark.parametrize("when", ["made", "lost"])
def test_a_failing_callback_is_reported_as_one(run: Run, when: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stories = Stories()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        stories.on[when] = fail
        server, client = await serve(stories)
        with client:
            client.sendall(b"x")
            # Reading begins whatever connection_made has said.
            await stories.until(lambda: "data" in stories.calls)
        await stories.until(lambda: "lost" in stories.calls)
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        name = {"made": "connection_made", "lost": "_call_connection_lost"}[when]
        (report,) = reports
        assert isinstance(report["exception"], ZeroDivisionError)
        assert report["message"].startswith("Exception in callback ")
        assert name in report["message"]
        assert isinstance(report["handle"], asyncio.Handle)
        # The socket is closed nevertheless.
        assert stories.transports[0].get_extra_info("socket").fileno() == -1

    run(main())


@pytest.mark.parametrize("asked", ["while open", "afterwards"])
def test_extra_info_outlives_the_connection(run: Run, asked: str) -> None:
    async def main() -> None:
        stories = Stories()
        server, client = await serve(stories)
        names = (client.getpeername(), client.getsockname())
        with client:
            await stories.until(lambda: "made" in stories.calls)
            (transport,) = stories.transports
            if asked == "while open":
                assert transport.get_extra_info("socket").getpeername() == names[1]
        await stories.until(lambda: "lost" in stories.calls)
        await asyncio.sleep(0)
        sock = transport.get_extra_info("socket")
        assert type(sock) is asyncio.trsock.TransportSocket
        assert sock is transport.get_extra_info("socket")
        assert sock.fileno() == -1
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert sock.proto == server.sockets[0].proto
        assert "fd=-1" in repr(sock)
        assert "[closed]" in repr(sock._sock)
        info = (transport.get_extra_info("sockname"), transport.get_extra_info("peername"))
        assert info == names
        assert list(transport._extra) == ["peername", "socket", "sockname"]
        server.close()

    run(main())


def test_a_client_finds_its_own_socket_after_the_connection(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stories = Stories()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sock = socket.create_connection(listener.getsockname())
            names = (sock.getsockname(), sock.getpeername())
            transport, _ = await loop.create_connection(stories, sock=sock)
            transport.close()
            await stories.until(lambda: "lost" in stories.calls)
            await asyncio.sleep(0)
            assert transport.get_extra_info("socket")._sock is sock
            said = (transport.get_extra_info("sockname"), transport.get_extra_info("peername"))
            assert said == names
            assert list(transport._extra) == ["socket", "sockname", "peername"]  # type: ignore[attr-defined]

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="close_clients is new in 3.13")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_a_server_closes_its_clients(run: Run, method: str) -> None:
    async def main() -> None:
        stories = Stories()
        server, client = await serve(stories)
        with client, socket.create_connection(client.getpeername()):
            await stories.until(lambda: stories.calls.count("made") == 2)
            server.close()
            getattr(server, method)()
            await server.wait_closed()
            assert stories.calls.count("lost") == 2

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="servers count connections before")
def test_a_server_does_not_wait_for_a_transport_that_was_collected(run: Run) -> None:
    async def main() -> None:
        stories = Stories()
        server, client = await serve(stories)
        with client:
            await stories.until(lambda: "made" in stories.calls)
            (transport,) = stories.transports
            transport.pause_reading()  # the loop lets go of it
            await asyncio.sleep(0)
            stories.transports.clear()
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                del transport
                gc.collect()
            assert any("unclosed transport" in str(each.message) for each in warned)
            assert client.recv(1) == b""
            server.close()
            await server.wait_closed()

    run(main())


@pytest.mark.parametrize("server_is_kept", [False, True])
def test_a_server_is_collected_with_its_connections(
    loop_factory: LoopFactory,
    loop_kind: str,
    server_is_kept: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if server_is_kept and sys.version_info >= (3, 13):
        stdlib_fault(loop_kind, "wakes who waits for the server with each connection")

    async def main() -> tuple[asyncio.Server, list[socket.socket]]:
        stories = Stories()
        server, client = await serve(stories)
        other = socket.create_connection(client.getpeername())
        await stories.until(lambda: stories.calls.count("made") == 2)
        for transport in stories.transports:
            transport.get_protocol().transport = transport  # so that only the collector finds them
        stories.transports.clear()
        server.close()
        return server, [client, other]

    reports: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reports.append)
    loop = loop_factory()
    server, clients = loop.run_until_complete(main())
    kept = [server] if server_is_kept else []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del server
        loop.close()
        del loop
        gc.collect()
        assert sum("unclosed transport" in str(each.message) for each in warned) == 2
        warned.clear()
    kept.clear()
    for client in clients:
        assert client.recv(1) == b""
        client.close()
    assert not reports


def test_no_task_stands_for_an_accepted_connection_on_rsloop(run: Run, loop_kind: str) -> None:
    async def main() -> None:
        stories = Stories()
        current: list[Any] = []
        stories.on["factory"] = lambda: current.append(asyncio.current_task())
        server, client = await serve(stories)
        with client:
            await stories.until(lambda: "made" in stories.calls)
        await stories.until(lambda: "lost" in stories.calls)
        server.close()
        # See docs/differences.md. A task factory sees a task on both.
        assert (current[0] is None) == (loop_kind == "rsloop")

    run(main())


def test_a_task_factory_makes_a_task_for_each_accepted_connection(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[str] = []

        def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
            made.append(coro.__name__)
            return asyncio.Task(coro, loop=loop, **options)

        stories = Stories()
        server, client = await serve(stories)
        loop.set_task_factory(factory)
        with client:
            await stories.until(lambda: "made" in stories.calls)
        await stories.until(lambda: "lost" in stories.calls)
        server.close()
        assert made == ["_accept_connection2"]

    run(main())


def test_sock_connect_to_a_port_where_nobody_listens(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        with socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(ConnectionRefusedError) as refused:
                await loop.sock_connect(sock, address)
            assert str(address) in str(refused.value)
            assert refused.value.errno == errno.ECONNREFUSED

    run(main())
