"""connect_read_pipe and connect_write_pipe."""

import asyncio
import errno
import os
import socket
import tty
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
from .pipes import ReadPipe, WritePipe


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


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_slow_reader_holds_the_writer_back(run: Run, kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        if kind == "pipe":
            read_end, write_end = os.pipe()
        elif kind == "socket":
            left, right = socket.socketpair()
            read_end, write_end = left.detach(), right.detach()
        else:
            read_end, write_end = os.openpty()
            tty.setraw(write_end)
        writing, writer = await loop.connect_write_pipe(WritePipe, os.fdopen(write_end, "wb", 0))
        writing.set_write_buffer_limits(high=1000, low=100)
        total = 0
        while not writer.calls:
            writing.write(bytes(500))
            total += 500
        assert writer.calls == ["pause_writing"]
        assert writing.get_write_buffer_size() > 1000
        reading, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(read_end, "rb", 0))
        await reader.received(total)
        await writer.until(lambda: len(writer.calls) == 2)
        assert writer.calls == ["pause_writing", "resume_writing"]
        assert writing.get_write_buffer_size() == 0
        reading.close()
        await reader.lost
        writing.abort()
        await writer.lost
        await asyncio.sleep(0)

    run(main())


def test_what_waits_is_written_before_the_end(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        writing, writer = await loop.connect_write_pipe(WritePipe, os.fdopen(write_end, "wb", 0))
        writing.write(bytes(300_000))
        assert writing.can_write_eof()
        writing.write_eof()
        assert writing.is_closing()
        assert not writer.lost.done()
        _, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(read_end, "rb", 0))
        assert await reader.lost is None
        assert len(reader.data) == 300_000
        assert await writer.lost is None
        await asyncio.sleep(0)

    run(main())


def test_aborted_writer_drops_what_waits(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        writing, writer = await loop.connect_write_pipe(WritePipe, os.fdopen(write_end, "wb", 0))
        writing.write(bytes(300_000))
        writing.abort()
        assert await writer.lost is None
        with open(read_end, "rb", 0) as rest:  # noqa: ASYNC230 - it is in the pipe already
            assert len(rest.read()) < 300_000
        await asyncio.sleep(0)

    run(main())


def test_character_devices(run: Run, asyncio_log: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        null, writer = await loop.connect_write_pipe(
            WritePipe, os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb", 0)
        )
        null.write(bytes(1_000_000))
        assert null.get_write_buffer_size() == 0
        null.close()
        assert await writer.lost is None
        full, writer = await loop.connect_write_pipe(
            WritePipe, os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", 0)
        )
        full.write(b"x")
        error = await writer.lost
        assert isinstance(error, OSError)
        assert error.errno == errno.ENOSPC
        assert reports == []
        await asyncio.sleep(0)

    run(main())


def test_terminal_that_hangs_up(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        master, slave = os.openpty()
        _, reader = await loop.connect_read_pipe(ReadPipe, os.fdopen(master, "rb", 0))
        os.write(slave, b"last")
        os.close(slave)
        error = await reader.lost
        assert reader.data == b"last"
        assert isinstance(error, OSError)
        assert error.errno == errno.EIO
        await asyncio.sleep(0)

    run(main())


def test_directories_are_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for connect in (loop.connect_read_pipe, loop.connect_write_pipe):
            descriptor = os.open(tmp_path, os.O_RDONLY)

            class Directory:
                closed = False

                def fileno(self, descriptor: int = descriptor) -> int:
                    return descriptor

                def close(self) -> None:
                    self.closed = True

            pipe: Any = Directory()
            with pytest.raises(ValueError, match="Pipe transport is"):
                await connect(ReadPipe, pipe)
            assert not pipe.closed
            os.close(descriptor)

    run(main())


def test_extra_information_and_states(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        read_pipe, write_pipe = os.fdopen(read_end, "rb", 0), os.fdopen(write_end, "wb", 0)
        reading, reader = await loop.connect_read_pipe(ReadPipe, read_pipe)
        writing, writer = await loop.connect_write_pipe(WritePipe, write_pipe)
        assert reading.get_extra_info("pipe") is read_pipe
        assert writing.get_extra_info("pipe") is write_pipe
        assert not os.get_blocking(read_end)
        assert not os.get_blocking(write_end)
        assert not reading.is_closing()
        assert not writing.is_closing()
        assert reading.get_protocol() is reader
        reading.close()
        writing.close()
        assert await reader.lost is None
        assert await writer.lost is None
        assert read_pipe.closed
        assert write_pipe.closed
        await asyncio.sleep(0)

    run(main())
