"""The rows of the comparison: each returns the CPU time of a number of operations."""

import asyncio
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

Loop = asyncio.AbstractEventLoop
CONNECTIONS = 10
MESSAGE_BYTES = 1024


@dataclass(frozen=True)
class Row:
    """One row: its title, how many operations it takes, and how it is measured."""

    title: str
    operations: int
    measure: Callable[[Loop, int], int]
    only_schedules: bool = False


def timed_forever(loop: Loop) -> int:
    """Run the loop until it is stopped; return the CPU time in nanoseconds."""
    start = time.process_time_ns()
    loop.run_forever()
    return time.process_time_ns() - start


def timed(loop: Loop, main: Coroutine[Any, Any, None]) -> int:
    """Run `main`; return the CPU time in nanoseconds."""
    start = time.process_time_ns()
    loop.run_until_complete(main)
    return time.process_time_ns() - start


def chain(loop: Loop, operations: int) -> int:
    """Each callback schedules the next."""
    left = operations

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    return timed_forever(loop)


def batch(loop: Loop, operations: int) -> int:
    """Callbacks scheduled a hundred at a time."""
    left = operations // 100

    def nothing() -> None:
        pass

    def schedule() -> None:
        nonlocal left
        left -= 1
        for _ in range(99):
            loop.call_soon(nothing)
        loop.call_soon(schedule if left else loop.stop)

    loop.call_soon(schedule)
    return timed_forever(loop)


def call_later(loop: Loop, operations: int) -> int:
    """Timers of a millisecond, set a hundred at a time."""
    return timers(loop, operations, 0.001)


def call_later_zero(loop: Loop, operations: int) -> int:
    """Timers set a hundred at a time and due at once, which uvloop takes for `call_soon`."""
    return timers(loop, operations, 0)


def timers(loop: Loop, operations: int, delay: float) -> int:
    """Timers set a hundred at a time, the last of which sets the next hundred."""
    left = operations // 100

    def nothing() -> None:
        pass

    def schedule() -> None:
        nonlocal left
        left -= 1
        for _ in range(99):
            loop.call_later(delay, nothing)
        loop.call_later(delay, schedule if left else loop.stop)

    loop.call_soon(schedule)
    return timed_forever(loop)


def cancelled_timers(loop: Loop, operations: int) -> int:
    """Timers that are cancelled before they are due, as those of timeouts are."""
    left = operations // 100

    def nothing() -> None:
        pass

    def schedule() -> None:
        nonlocal left
        left -= 1
        for _ in range(100):
            loop.call_later(60, nothing).cancel()
        loop.call_soon(schedule if left else loop.stop)

    loop.call_soon(schedule)
    return timed_forever(loop)


def sleep_zero(loop: Loop, operations: int) -> int:
    """One task that yields."""

    async def main() -> None:
        for _ in range(operations):
            await asyncio.sleep(0)

    return timed(loop, main())


def create_task(loop: Loop, operations: int) -> int:
    """Tasks made and awaited one by one."""

    async def nothing() -> None:
        pass

    async def main() -> None:
        for _ in range(operations):
            await loop.create_task(nothing())

    return timed(loop, main())


def ping_pong(loop: Loop, operations: int) -> int:
    """Two tasks that wake each other through futures."""

    async def main() -> None:
        ball: list[asyncio.Future[None]] = [loop.create_future(), loop.create_future()]

        async def player(own: int) -> None:
            for _ in range(operations // 2):
                await ball[own]
                ball[own] = loop.create_future()
                ball[1 - own].set_result(None)

        players = [loop.create_task(player(own)) for own in (0, 1)]
        await asyncio.sleep(0)
        ball[0].set_result(None)
        await asyncio.wait(players)

    return timed(loop, main())


def run_until_complete(loop: Loop, operations: int) -> int:
    """Runs of the loop for a coroutine that ends at once."""

    async def nothing() -> None:
        pass

    start = time.process_time_ns()
    for _ in range(operations):
        loop.run_until_complete(nothing())
    return time.process_time_ns() - start


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


async def drive(client: str, arguments: list[Any]) -> None:
    """Run a client, a program beside this one, to its end."""
    path = Path(__file__).with_name(client)
    command = [sys.executable, "-S", str(path), *map(str, arguments)]
    # Waited for in a thread, so that the loop's child watcher is not part of the row.
    process = subprocess.Popen(command)  # noqa: ASYNC220
    status = await asyncio.get_running_loop().run_in_executor(None, process.wait)
    if status:
        raise SystemExit(f"{client} failed with status {status}")


ROWS = {
    "chain": Row("call_soon chain", 300_000, chain, only_schedules=True),
    "batch": Row("call_soon batch of 100", 600_000, batch, only_schedules=True),
    "call_later": Row("call_later 1 ms", 200_000, call_later),
    "call_later_zero": Row("call_later 0", 200_000, call_later_zero),
    "cancelled": Row("call_later + cancel", 200_000, cancelled_timers),
    "sleep0": Row("sleep(0)", 200_000, sleep_zero, only_schedules=True),
    "task": Row("create_task + await", 100_000, create_task, only_schedules=True),
    "ping_pong": Row("future ping-pong", 200_000, ping_pong, only_schedules=True),
    "run": Row("run_until_complete", 40_000, run_until_complete, only_schedules=True),
    "tcp": Row("TCP echo 1 KiB x 10", 60_000, tcp_echo),
    "udp": Row("UDP echo 1 KiB x 10", 60_000, udp_echo),
}
# What makes the certificates is no dependency.
if importlib.util.find_spec("trustme"):
    ROWS["tls"] = Row("TLS echo 1 KiB x 10", 40_000, tls_echo(1024))
    ROWS["tls_large"] = Row("TLS echo 100 KiB x 10", 4_000, tls_echo(100 * 1024))
