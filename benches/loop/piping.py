"""Pipes: the loop's own two ends, another process's, and a child's."""

import asyncio
import functools
import os
import time
from typing import Any

from connections import CONNECTIONS, MESSAGE_BYTES, drive
from timing import Loop


class Echo(asyncio.Protocol):
    """Writes to one pipe what comes out of another."""

    start_ns = 0

    def __init__(self, writing: Any) -> None:
        self.write = writing.write

    def data_received(self, data: bytes) -> None:
        """Echo; and keep the CPU time at the first message."""
        Echo.start_ns = Echo.start_ns or time.process_time_ns()
        self.write(data)


def pipe_echo(loop: Loop, operations: int) -> int:
    """Echo 1 KiB messages of ten pairs of pipes; the client is another process."""

    async def main() -> None:
        transports, theirs = [], []
        for _ in range(CONNECTIONS):
            read_end, their_write_end = os.pipe()
            their_read_end, write_end = os.pipe()
            writing, _ = await loop.connect_write_pipe(
                asyncio.BaseProtocol, os.fdopen(write_end, "wb", 0)
            )
            reading, _ = await loop.connect_read_pipe(
                functools.partial(Echo, writing), os.fdopen(read_end, "rb", 0)
            )
            transports += [reading, writing]
            theirs += [their_read_end, their_write_end]
        arguments = [MESSAGE_BYTES, operations, *theirs]
        await drive("pipe_client.py", arguments, descriptors=theirs)
        for transport in transports:
            transport.close()
        for descriptor in theirs:
            os.close(descriptor)
        await asyncio.sleep(0)

    Echo.start_ns = 0
    loop.run_until_complete(main())
    return time.process_time_ns() - Echo.start_ns


class Counter(asyncio.Protocol):
    """Waits for a number of bytes."""

    def __init__(self, missing: int, done: "asyncio.Future[None]") -> None:
        self.missing = missing
        self.done = done

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.missing -= len(data)
        if not self.missing:
            self.done.set_result(None)


class Source(asyncio.BaseProtocol):
    """Writes messages as long as the transport takes them."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.message = bytes(MESSAGE_BYTES)
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        stream: Any = transport
        self.write = stream.write
        self.resume_writing()

    def pause_writing(self) -> None:
        """Stop writing."""
        self.paused = True

    def resume_writing(self) -> None:
        """Write until that is too much."""
        self.paused = False
        while self.left and not self.paused:
            self.left -= 1
            self.write(self.message)


def pipe_stream(loop: Loop, operations: int) -> int:
    """Write 1 KiB messages into a pipe as fast as they are read, on the same loop."""

    async def main() -> None:
        read_end, write_end = os.pipe()
        done = loop.create_future()
        reading, _ = await loop.connect_read_pipe(
            lambda: Counter(operations * MESSAGE_BYTES, done), os.fdopen(read_end, "rb", 0)
        )
        writing, _ = await loop.connect_write_pipe(
            lambda: Source(operations), os.fdopen(write_end, "wb", 0)
        )
        await done
        writing.close()
        reading.close()
        await asyncio.sleep(0)

    start = time.process_time_ns()
    loop.run_until_complete(main())
    return time.process_time_ns() - start


class Conversation(asyncio.SubprocessProtocol):
    """Writes a message to a child whenever the child has sent back the last one."""

    start_ns = 0

    def __init__(self, messages: int, done: "asyncio.Future[None]") -> None:
        self.left = messages
        self.missing = MESSAGE_BYTES
        self.message = bytes(MESSAGE_BYTES)
        self.done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write the first message."""
        child: Any = transport
        self.stdin = child.get_pipe_transport(0)
        self.stdin.write(self.message)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Count what has come back, and write the next message."""
        Conversation.start_ns = Conversation.start_ns or time.process_time_ns()
        self.missing -= len(data)
        if self.missing:
            return
        self.left -= 1
        if self.left:
            self.missing = MESSAGE_BYTES
            self.stdin.write(self.message)
        else:
            self.stdin.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the child has ended."""
        self.done.set_result(None)


def child_echo(loop: Loop, operations: int) -> int:
    """Exchange 1 KiB messages with a child, which is `cat`, over its stdin and stdout."""

    async def main() -> None:
        done = loop.create_future()
        await loop.subprocess_exec(lambda: Conversation(operations, done), "cat", stderr=None)
        await done

    Conversation.start_ns = 0
    loop.run_until_complete(main())
    return time.process_time_ns() - Conversation.start_ns
