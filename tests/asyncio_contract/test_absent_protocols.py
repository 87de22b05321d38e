"""What is no protocol in the place of one: each call of its methods is refused, and told."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log, Run
from .pipes import ReadPipe
from .recorders import Calls
from .tls_connections import HOST, Authority, settle

FATAL = "Fatal error: protocol.{}() call failed."
LOST = "_call_connection_lost"


class Reports(Calls):
    """An exception handler that notes what it is told."""

    def __call__(self, _loop: Any, context: dict[str, Any]) -> None:
        assert isinstance(context["exception"], AttributeError)
        assert "has no attribute" in str(context["exception"])
        self.note(context["message"])


def reports() -> Reports:
    """Note what the running loop reports."""
    found = Reports()
    asyncio.get_running_loop().set_exception_handler(found)
    return found


async def connected() -> tuple[asyncio.Transport, socket.socket, socket.socket]:
    """Return a transport, the socket it has, and the one at the other end."""
    left, right = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=left)
    return transport, left, right


@pytest.mark.parametrize("kind", [None, 5])
def test_data_for_no_protocol_ends_the_connection(run: Run, kind: Any) -> None:
    async def main() -> None:
        told = reports()
        transport, _, right = await connected()
        with right:
            transport.set_protocol(kind)
            assert transport.get_protocol() is kind
            right.send(b"data")
            await told.until(lambda: len(told.calls) == 2)
            assert transport.is_closing()
        assert told.calls[0] == FATAL.format("data_received")
        assert LOST in told.calls[1]

    run(main())


def test_the_end_for_no_protocol_ends_the_connection(run: Run) -> None:
    async def main() -> None:
        told = reports()
        transport, _, right = await connected()
        transport.set_protocol(None)  # type: ignore[arg-type]
        right.close()
        await told.until(lambda: len(told.calls) == 2)
        assert told.calls[0] == FATAL.format("eof_received")
        assert LOST in told.calls[1]

    run(main())


def test_closing_without_a_protocol_is_told(run: Run) -> None:
    async def main() -> None:
        told = reports()
        transport, left, right = await connected()
        with right:
            transport.set_protocol(None)  # type: ignore[arg-type]
            transport.close()
            await told.until(lambda: bool(told.calls))
            assert left.fileno() == -1
        [message] = told.calls
        assert LOST in message

    run(main())


def test_tls_data_for_no_protocol_ends_the_connection(run: Run, authority: Authority) -> None:
    async def main() -> None:
        told = reports()
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        accepting = asyncio.ensure_future(
            loop.connect_accepted_socket(asyncio.Protocol, left, ssl=authority.server())
        )
        transport, _ = await loop.create_unix_connection(
            asyncio.Protocol, sock=right, ssl=authority.client(), server_hostname=HOST
        )
        peer, _ = await accepting
        transport.set_protocol(None)  # type: ignore[arg-type]
        peer.write(b"data")
        await told.until(lambda: bool(told.calls))
        assert told.calls[0] == "Fatal error on SSL protocol"
        assert transport.is_closing()
        peer.abort()
        await settle()

    run(main())


def test_a_datagram_for_no_protocol_is_told(run: Run) -> None:
    async def main() -> None:
        told = reports()
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        transport.set_protocol(None)  # type: ignore[arg-type]
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"data", transport.get_extra_info("sockname"))
            await told.until(lambda: bool(told.calls))
            with pytest.raises(AttributeError, match="error_received"):
                transport.sendto(bytes(100_000), sock.getsockname())
        assert not transport.is_closing()
        transport.set_protocol(protocol)
        transport.close()
        await asyncio.sleep(0)
        assert told.calls == ["Exception in callback _SelectorDatagramTransport._read_ready()"]

    run(main())


def test_what_a_pipe_brings_for_no_protocol_is_told(run: Run) -> None:
    async def main() -> None:
        told = reports()
        near, far = os.pipe()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            asyncio.Protocol, os.fdopen(near, "rb", 0)
        )
        transport.set_protocol(None)  # type: ignore[arg-type]
        os.write(far, b"data")
        await told.until(lambda: bool(told.calls))
        assert not transport.is_closing()
        recorder = ReadPipe()
        transport.set_protocol(recorder)
        os.close(far)
        await recorder.lost
        [message] = told.calls
        assert message.endswith("_read_ready()")

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("factory", [lambda: None, lambda: 5, object], ids=["None", "5", "object"])
def test_a_factory_without_a_protocol_is_refused(run: Run, factory: Callable[[], Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        near, far = os.pipe()
        with left, right, os.fdopen(near, "rb", 0) as pipe, os.fdopen(far, "wb", 0):
            for made in (
                lambda: loop.create_unix_connection(factory, sock=left),
                lambda: loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0)),
                lambda: loop.connect_read_pipe(factory, pipe),
            ):
                with pytest.raises(AttributeError, match="connection_made"):
                    await made()
                gc.collect()

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_server_without_protocols_says_nothing(run: Run, asyncio_log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asked = loop.create_future()
        server = await loop.create_server(lambda: asked.set_result(None), "127.0.0.1", 0)  # type: ignore[arg-type, return-value]
        with socket.create_connection(server.sockets[0].getsockname()):
            await asked
            await asyncio.sleep(0)
        server.close()

    run(main())
    assert asyncio_log.messages == []
