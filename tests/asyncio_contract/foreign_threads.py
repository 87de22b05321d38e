"""A program that breaks asyncio's rules: it uses a running loop's objects from other threads.

Run as ``foreign_threads.py stdlib|rsloop tcp|unix|udp|pipes|tls|loop rounds [debug]``. What comes
of it is not promised, exceptions least of all; the process must live, and the loop go on.
"""

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import random
import socket
import ssl
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

THREADS = 4
OPERATIONS = 150
SECONDS_FOR_A_ROUND = 20

Operation = Callable[[], Any]


class Plain(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: object) -> None:
        pass

    def error_received(self, error: OSError) -> None:
        pass


class Buffered(asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(1000)

    def buffer_updated(self, nbytes: int) -> None:
        pass


async def tcp(ssl_of_server: Any = None, ssl_of_client: Any = None) -> list[Any]:
    """Return both transports of a connection, over TLS if there are contexts."""
    loop = asyncio.get_running_loop()
    accepted = asyncio.Event()

    class Accepted(Plain):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            server_side.append(transport)
            accepted.set()

    server_side: list[Any] = []
    server = await loop.create_server(Accepted, "127.0.0.1", 0, ssl=ssl_of_server)
    client, _ = await loop.create_connection(
        Plain,
        *server.sockets[0].getsockname(),
        ssl=ssl_of_client,
        server_hostname="server.example" if ssl_of_client else None,
    )
    await accepted.wait()
    server.close()
    return [client, *server_side]


async def unix() -> list[Any]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Plain, sock=sock))[0] for sock in socket.socketpair()]


async def udp() -> list[Any]:
    loop = asyncio.get_running_loop()
    bound, _ = await loop.create_datagram_endpoint(Plain, local_addr=("127.0.0.1", 0))
    address = bound.get_extra_info("sockname")
    connected, _ = await loop.create_datagram_endpoint(Plain, remote_addr=address)
    return [bound, connected]


async def pipes() -> list[Any]:
    loop = asyncio.get_running_loop()
    read, write = os.pipe()
    reader, _ = await loop.connect_read_pipe(Plain, os.fdopen(read, "rb", 0))
    writer, _ = await loop.connect_write_pipe(Plain, os.fdopen(write, "wb", 0))
    return [reader, writer]


def tls_maker() -> Callable[[], Any]:
    try:
        from trustme import CA
    except ImportError:
        from openssl_authority import CA  # type: ignore[import-not-found,no-redef]

    authority = CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("server.example").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    return lambda: tcp(server_context, client_context)


def transport_operations(transport: Any, chance: random.Random) -> list[Operation]:
    """Return what a thread may do to a transport; what this kind has not is an AttributeError."""
    return [
        lambda: transport.write(bytes(chance.randrange(1, 100_000))),
        lambda: transport.writelines([b"one", bytearray(b"two"), bytes(1000)]),
        lambda: transport.sendto(bytes(chance.randrange(1, 2000))),
        transport.pause_reading,
        transport.resume_reading,
        lambda: transport.set_write_buffer_limits(high=chance.choice([0, 10, 100_000])),
        lambda: transport.get_write_buffer_size(),
        lambda: transport.set_protocol(chance.choice([Plain, Buffered])()),
        lambda: (repr(transport), transport.is_closing(), transport.get_extra_info("socket")),
        lambda: transport.write_eof() if chance.random() < 0.02 else None,
        lambda: transport.abort() if chance.random() < 0.01 else None,
        lambda: transport.close() if chance.random() < 0.01 else None,
    ]


def loop_operations(loop: Any, sock: socket.socket, chance: random.Random) -> list[Operation]:
    """Return what a thread may do to the loop, its handles, timers and futures."""
    handles = [loop.call_soon_threadsafe(int)]
    future = loop.create_future()
    return [
        lambda: handles.append(loop.call_soon(int)),
        lambda: handles.append(loop.call_soon_threadsafe(int)),
        lambda: handles.append(loop.call_later(chance.random() / 500, int)),
        lambda: handles.append(loop.call_at(loop.time(), int)),
        lambda: chance.choice(handles).cancel(),
        lambda: (repr(chance.choice(handles)), repr(loop), loop.is_running(), loop.get_debug()),
        handles.clear,
        lambda: loop.add_reader(sock, int),
        lambda: loop.remove_reader(sock),
        lambda: loop.add_writer(sock, int),
        lambda: loop.remove_writer(sock),
        lambda: loop.set_debug(chance.random() < 0.5),
        lambda: loop.create_task(asyncio.sleep(0)),
        lambda: loop.run_in_executor(None, int),
        lambda: loop.run_until_complete(loop.create_future()),
        lambda: future.add_done_callback(id),
        future.cancel,
        loop.run_forever,
        loop.close,
        lambda: gc.collect() if chance.random() < 0.02 else None,
    ]


def act(operations: list[Operation], chance: random.Random) -> None:
    """Do operations drawn at random."""
    for _ in range(OPERATIONS):
        with contextlib.suppress(Exception):
            chance.choice(operations)()


async def play(make: Callable[[], Any] | None, seed: int) -> None:
    """Let threads do things to what `make` makes, while the loop runs."""
    loop = asyncio.get_running_loop()
    transports = await make() if make else []
    sock, other = socket.socketpair()
    threads = []
    for number in range(THREADS):
        chance = random.Random(seed * THREADS + number)
        operations: list[Operation] = []
        for transport in transports:
            operations += transport_operations(transport, chance) if transport else []
        if not operations:
            operations = loop_operations(loop, sock, chance)
        threads.append(threading.Thread(target=act, args=(operations, chance)))
        threads[-1].start()
    while any(thread.is_alive() for thread in threads):
        for transport in transports:
            with contextlib.suppress(Exception):
                transport.write(bytes(5000))
        await asyncio.sleep(0)
    for transport in transports:
        with contextlib.suppress(Exception):
            transport.abort()
    loop.remove_reader(sock)
    loop.remove_writer(sock)
    sock.close()
    other.close()


def main(kind: str, what: str, rounds: int, *, debug: bool) -> None:
    """Play so many rounds, each on a loop of its own."""
    sys.setswitchinterval(1e-6)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    if kind == "stdlib":
        make_loop: Any = asyncio.SelectorEventLoop
    else:
        import rsloop_core

        make_loop = rsloop_core.Loop
    makers = {"tcp": tcp, "unix": unix, "udp": udp, "pipes": pipes, "loop": None}
    make: Any = tls_maker() if what == "tls" else makers[what]
    for seed in range(rounds):
        # A deadlock shows where its threads are.
        faulthandler.dump_traceback_later(SECONDS_FOR_A_ROUND, exit=True)
        loop = make_loop()
        loop.set_debug(debug)
        loop.run_until_complete(play(make, seed))
        # What is left of all that does not keep the loop from working.
        assert loop.run_until_complete(asyncio.sleep(0.001, "works")) == "works"
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    faulthandler.cancel_dump_traceback_later()
    print("lives")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), debug="debug" in sys.argv)
