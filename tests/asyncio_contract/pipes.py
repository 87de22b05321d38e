"""Protocols for the two ends of a pipe, and transports over a new one."""

import asyncio
import os
from typing import Any

from .recorders import Calls, Recorder


class WritePipe(Calls, asyncio.BaseProtocol):
    """Records what a write-pipe transport tells."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: asyncio.Future[Exception | None] = self._loop.create_future()

    def pause_writing(self) -> None:
        self.note("pause_writing")

    def resume_writing(self) -> None:
        self.note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class ReadPipe(Recorder):
    """A recorder for a transport that only reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self.note("connection_made")


async def read_from(descriptor: int) -> tuple[asyncio.ReadTransport, ReadPipe]:
    """Return a transport that reads, and its protocol."""
    loop = asyncio.get_running_loop()
    return await loop.connect_read_pipe(ReadPipe, os.fdopen(descriptor, "rb", 0))


async def write_to(
    descriptor: int, protocol: type[WritePipe] = WritePipe
) -> tuple[asyncio.WriteTransport, Any]:
    """Return a transport that writes, and its protocol."""
    loop = asyncio.get_running_loop()
    return await loop.connect_write_pipe(protocol, os.fdopen(descriptor, "wb", 0))
