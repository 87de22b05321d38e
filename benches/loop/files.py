"""Files by sendfile: through a transport, and through a bare socket."""

import asyncio
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from connections import drive
from timing import Loop


def sendfile(file_bytes: int) -> Callable[[Loop, int], int]:
    """Return the row that sends a file of this size through a transport, again and again."""

    async def send(loop: Loop, sock: socket.socket, file: Any, operations: int) -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=sock)
        for _ in range(operations):
            await loop.sendfile(transport, file, fallback=False)
        transport.close()

    return lambda loop, operations: to_client(loop, operations, file_bytes, send)


def sock_sendfile(file_bytes: int) -> Callable[[Loop, int], int]:
    """Return the row that sends a file of this size through a socket, again and again."""

    async def send(loop: Loop, sock: socket.socket, file: Any, operations: int) -> None:
        for _ in range(operations):
            await loop.sock_sendfile(sock, file, fallback=False)

    return lambda loop, operations: to_client(loop, operations, file_bytes, send)


def to_client(
    loop: Loop,
    operations: int,
    file_bytes: int,
    send: Callable[[Loop, socket.socket, Any, int], Awaitable[None]],
) -> int:
    """Send a file to a client that drops it; the client is another process."""
    used_ns = 0

    async def main() -> None:
        nonlocal used_ns
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = asyncio.ensure_future(
                drive("dropping_client.py", [port, file_bytes * operations])
            )
            sock, _ = await loop.run_in_executor(None, listener.accept)
        sock.setblocking(False)
        with sock, tempfile.TemporaryFile() as file:
            file.write(bytes(file_bytes))
            file.flush()
            start = time.process_time_ns()
            await send(loop, sock, file, operations)
            used_ns = time.process_time_ns() - start
            await client

    loop.run_until_complete(main())
    return used_ns
