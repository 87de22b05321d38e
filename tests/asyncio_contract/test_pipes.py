"""connect_read_pipe and connect_write_pipe."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
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


def test_bytes_go_through_a_pipe(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        reading, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(read_end, "rb"))
        writing, writer = await loop.connect_write_pipe(WritePipe, os.fdopen(write_end, "wb"))
        writing.write(b"through")
        assert await reader.received(7) == b"through"
        assert reading.get_extra_info("pipe") is not None
        writing.close()
        assert await writer.lost is None
        assert await reader.lost is None
        assert reader.calls == [
            "connection_made",
            "data_received",
            "eof_received",
            "connection_lost",
        ]
        await asyncio.sleep(0)

    run(main())


def test_back_pressure(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        writing, writer = await loop.connect_write_pipe(WritePipe, os.fdopen(write_end, "wb"))
        writing.write(bytes(1_000_000))
        assert writer.calls == ["pause_writing"]
        _, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(read_end, "rb"))
        await reader.received(1_000_000)
        await writer.until(lambda: "resume_writing" in writer.calls)
        assert writing.get_write_buffer_size() == 0
        writing.close()
        await reader.lost
        await asyncio.sleep(0)

    run(main())


def test_closed_reader_breaks_the_writer(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        writing, writer = await loop.connect_write_pipe(WritePipe, os.fdopen(write_end, "wb"))
        os.close(read_end)
        error = await writer.lost
        assert error is None or isinstance(error, BrokenPipeError)
        assert writing.is_closing()
        await asyncio.sleep(0)

    run(main())


def test_pausing_a_read_pipe(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        reading, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(read_end, "rb"))
        reading.pause_reading()
        os.write(write_end, b"data")
        for _ in range(4):
            await asyncio.sleep(0)
        assert reader.data == b""
        reading.resume_reading()
        assert await reader.received(4) == b"data"
        os.close(write_end)
        await reader.lost
        await asyncio.sleep(0)

    run(main())


def test_regular_files_are_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        path = tmp_path / "file"
        path.write_bytes(b"data")
        with path.open("rb") as file, pytest.raises(ValueError, match="for pipes/sockets"):
            await loop.connect_read_pipe(ReadPipe, file)
        with path.open("wb") as file, pytest.raises(ValueError, match="for pipes"):
            await loop.connect_write_pipe(WritePipe, file)

    run(main())


def test_pseudo_terminals(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        master, slave = os.openpty()
        reading, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(master, "rb", 0))
        os.write(slave, b"typed\n")
        assert await reader.received(7) == b"typed\r\n"
        reading.close()
        await reader.lost
        os.close(slave)
        await asyncio.sleep(0)

    run(main())
