"""The rows over sockets: each returns the CPU time of a number of operations.

The other side is another process, which is not counted.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timing import Loop, timed

if TYPE_CHECKING:
    import ssl

CONNECTIONS = 10
MESSAGE_BYTES = 1024


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    start_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport's write method, and the CPU time at the last connection."""
        Echo.start_ns = time.process_time_ns()
        # uvloop's transports are no asyncio.Transport.
        stream: Any = transport
        self.write = stream.write

    def data_received(self, data: bytes) -> None:
        """Echo."""
        self.write(data)


def tcp_echo(loop: Loop, operations: int) -> int:
    """Echo 1 KiB messages of ten connections; the client is another process."""
    return echo(loop, operations, MESSAGE_BYTES)


def tls_echo(message_bytes: int) -> Callable[[Loop, int], int]:
    """Return the row that echoes messages of this size over TLS."""

    def measure(loop: Loop, operations: int) -> int:
        import ssl

        import trustme

        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        with authority.cert_pem.tempfile() as trusted:
            return echo(loop, operations, message_bytes, context, trusted)

    return measure


def echo(
    loop: Loop,
    operations: int,
    message_bytes: int,
    context: "ssl.SSLContext | None" = None,
    trusted: str | None = None,
) -> int:
    """Echo messages of ten connections; the client is another process."""

    async def main() -> None:
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        arguments = [port, CONNECTIONS, message_bytes, operations, *([trusted] if trusted else [])]
        await drive("echo_client.py", arguments)
        server.close()

    Echo.start_ns = 0
    loop.run_until_complete(main())
    return time.process_time_ns() - Echo.start_ns


def stream_echo(loop: Loop, operations: int) -> int:
    """Echo 1 KiB messages of ten connections by `asyncio.start_server`."""
    first_ns: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_ns[:] = [time.process_time_ns()]
        while data := await reader.read(MESSAGE_BYTES):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await drive("echo_client.py", [port, CONNECTIONS, MESSAGE_BYTES, operations])
        server.close()

    loop.run_until_complete(main())
    return time.process_time_ns() - first_ns[0]


def accept(loop: Loop, operations: int) -> int:
    """Accept connections, echo 1 KiB on each, and see it closed; the client is another process."""

    async def main() -> None:
        server = await loop.create_server(ShortEcho, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await drive("connecting_client.py", [port, MESSAGE_BYTES, operations])
        server.close()

    ShortEcho.start_ns = 0
    loop.run_until_complete(main())
    return time.process_time_ns() - ShortEcho.start_ns


def connect(loop: Loop, operations: int) -> int:
    """Open connections, have 1 KiB echoed on each, and close; the server is another process."""

    async def opened_and_closed(port: int) -> None:
        done = loop.create_future()
        await loop.create_connection(lambda: Asking(done), "127.0.0.1", port)
        await done

    async def main(port: int) -> None:
        for _ in range(operations):
            await opened_and_closed(port)

    path = Path(__file__).with_name("closing_server.py")
    command = [sys.executable, "-S", str(path), str(MESSAGE_BYTES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        # It ends when its standard input does.
        return timed(loop, main(int(server.stdout.readline())))


class ShortEcho(Echo):
    """The same for connections that end after one message."""

    start_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport's write method, and the CPU time at the first connection."""
        ShortEcho.start_ns = ShortEcho.start_ns or time.process_time_ns()
        stream: Any = transport
        self.write = stream.write


class Asking(asyncio.Protocol):
    """Sends one message, and closes at the answer."""

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.missing = MESSAGE_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send."""
        # uvloop's transports are no asyncio.Transport.
        stream: Any = transport
        self.close = stream.close
        stream.write(bytes(MESSAGE_BYTES))

    def data_received(self, data: bytes) -> None:
        """Close when all is back."""
        self.missing -= len(data)
        if not self.missing:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if exc is None and not self.missing:
            self.done.set_result(None)
        else:
            self.done.set_exception(exc or ConnectionError("the server closed a connection"))


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends each datagram back to whoever sent it."""

    start_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport's sendto method."""
        # uvloop's transports are no asyncio.DatagramTransport.
        endpoint: Any = transport
        self.sendto = endpoint.sendto

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Echo; and keep the CPU time at the first datagram."""
        DatagramEcho.start_ns = DatagramEcho.start_ns or time.process_time_ns()
        self.sendto(data, addr)


def udp_echo(loop: Loop, operations: int) -> int:
    """Echo 1 KiB datagrams of ten sockets through one; the client is another process."""

    async def main() -> None:
        address = ("127.0.0.1", 0)
        transport, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=address)
        port = transport.get_extra_info("sockname")[1]
        await drive("datagram_client.py", [port, CONNECTIONS, MESSAGE_BYTES, operations])
        transport.close()
        await asyncio.sleep(0)

    DatagramEcho.start_ns = 0
    loop.run_until_complete(main())
    return time.process_time_ns() - DatagramEcho.start_ns


async def drive(client: str, arguments: list[Any], descriptors: Sequence[int] = ()) -> None:
    """Run a client, a program beside this one that inherits `descriptors`, to its end."""
    path = Path(__file__).with_name(client)
    command = [sys.executable, "-S", str(path), *map(str, arguments)]
    # Waited for in a thread, so that the loop's child watcher is not part of the row.
    process = subprocess.Popen(command, pass_fds=descriptors)  # noqa: ASYNC220
    status = await asyncio.get_running_loop().run_in_executor(None, process.wait)
    if status:
        raise SystemExit(f"{client} failed with status {status}")
