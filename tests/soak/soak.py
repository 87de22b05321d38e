"""Do everything a server does, for as long as asked, and watch for what is not given back.

python tests/soak/soak.py SECONDS

Each round has every kind of traffic end in every way: finished, cancelled, aborted, timed out.
Between rounds nothing may be left: the descriptors and threads are those of the start, and after
the first rounds memory stays where it is. Prints a line a round; fails with what has grown.
"""

import asyncio
import contextlib
import gc
import os
import random
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import trustme

import rsloop

# Allocators settle in the first rounds, and give pages back as they please: what counts is the
# least that a window of rounds ends with.
WINDOW_ROUNDS = 6
TOLERATED_BYTES = 2 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")

AUTHORITY = trustme.CA()
SERVER_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.issue_cert("localhost").configure_cert(SERVER_TLS)
CLIENT_TLS = ssl.create_default_context()
AUTHORITY.configure_trust(CLIENT_TLS)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes until the peer ends, in whichever way."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def echo_server(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Serve while the block runs, and yield the port."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def talk(port: int, tls: ssl.SSLContext | None, rng: random.Random) -> None:
    """Exchange a message with the echo server, and part from it politely or not."""
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    message = rng.randbytes(rng.choice((1, 1000, 300_000)))
    try:
        writer.write(message)
        if rng.random() < 0.2:
            return
        assert await reader.readexactly(len(message)) == message
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    finally:
        writer.transport.abort()


async def streams(tls: bool, rng: random.Random) -> None:
    """Have clients of a TCP or TLS server at once, some of them cancelled in the middle."""
    async with echo_server(SERVER_TLS if tls else None) as port:
        clients = [
            asyncio.create_task(talk(port, CLIENT_TLS if tls else None, rng)) for _ in range(20)
        ]
        await asyncio.sleep(rng.random() / 100)
        for client in rng.sample(clients, 5):
            client.cancel()
        for outcome in await asyncio.gather(*clients, return_exceptions=True):
            if outcome is not None and not isinstance(outcome, asyncio.CancelledError):
                raise outcome


class Datagrams(asyncio.DatagramProtocol):
    """Puts what it receives into a queue."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """Keep it."""
        self.received.put_nowait(data)


async def datagrams(rng: random.Random) -> None:
    """Send datagrams from one endpoint to another."""
    loop = asyncio.get_running_loop()
    receiver, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    sender, _ = await loop.create_datagram_endpoint(
        Datagrams, remote_addr=receiver.get_extra_info("sockname")
    )
    message = rng.randbytes(100)
    for _ in range(20):
        sender.sendto(message)
    for _ in range(20):
        assert await protocol.received.get() == message
    sender.close()
    receiver.abort()
    await asyncio.sleep(0)


async def child(rng: random.Random) -> None:
    """Talk to a child process, or kill it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    if rng.random() < 0.3:
        process.kill()
    output, _ = await process.communicate(b"data")
    assert process.returncode == (0 if output else -9)


async def timeouts(_rng: random.Random) -> None:
    """Time out of waits, and leave cancelled timers behind."""
    loop = asyncio.get_running_loop()
    for _ in range(200):
        loop.call_later(3600, print).cancel()
    for _ in range(5):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await loop.create_future()


async def threads(_rng: random.Random) -> None:
    """Wake the loop from other threads."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    woken = [threading.Thread(target=loop.call_soon_threadsafe, args=(int,)) for _ in range(5)]
    for thread in woken:
        thread.start()
    for thread in woken:
        await asyncio.to_thread(thread.join)
    loop.call_soon_threadsafe(done.set_result, None)
    await done


TRAFFIC: tuple[Callable[[random.Random], Awaitable[None]], ...] = (
    lambda rng: streams(False, rng),
    lambda rng: streams(True, rng),
    datagrams,
    child,
    timeouts,
    threads,
)


async def everything(rng: random.Random) -> None:
    """Run every kind of traffic at once, twice."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for traffic in 2 * TRAFFIC:
            group.create_task(_awaited(traffic(rng)))


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


def descriptors() -> int:
    """Count the open descriptors of the process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_bytes() -> int:
    """Return the resident memory of the process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def main(seconds: float) -> None:
    """Soak."""
    seed = random.randrange(2**32)
    print(f"seed {seed}, {seconds:.0f} seconds", flush=True)
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    resident: list[int] = []
    before = (descriptors(), threading.active_count())
    while time.monotonic() < deadline or len(resident) < 3 * WINDOW_ROUNDS:
        for _ in range(5):
            rsloop.run(everything(rng))
        gc.collect()
        resident.append(resident_bytes())
        after = (descriptors(), threading.active_count())
        kib = resident[-1] >> 10
        print(f"round {len(resident)}: {after[0]} descriptors, {after[1]} threads, {kib} KiB")
        if after != before:
            raise SystemExit(f"descriptors and threads were {before}, are {after}")
    # The first window is for warming up.
    settled = min(resident[WINDOW_ROUNDS : 2 * WINDOW_ROUNDS])
    last = min(resident[-WINDOW_ROUNDS:])
    print(f"memory: {settled >> 10} KiB once settled, {last >> 10} KiB at last")
    if last > settled + TOLERATED_BYTES:
        raise SystemExit("memory has grown")


if __name__ == "__main__":
    main(float(sys.argv[1]))
