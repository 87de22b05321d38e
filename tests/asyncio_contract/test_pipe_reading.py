"""Reading from pipes, until they end."""

import asyncio
import errno
import os
import sys
from asyncio import unix_events
from contextvars import ContextVar
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .pipes import ReadPipe, read_from, write_to


def test_types(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        reading, reader = await read_from(read_end)
        assert isinstance(reading, asyncio.ReadTransport)
        assert isinstance(reading, unix_events._UnixReadPipeTransport)  # type: ignore[attr-defined]
        assert type(reading).__name__ == "_UnixReadPipeTransport"
        reading.close()
        await reader.lost
        os.close(write_end)

    run(main())


def test_repr_tells_the_state(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        reading, reader = await read_from(read_end)
        await asyncio.sleep(0)
        shown = f"_UnixReadPipeTransport fd={read_end}"
        assert repr(reading) == f"<{shown} polling>"
        reading.pause_reading()
        assert repr(reading) == f"<{shown} idle>"
        reading.close()
        assert repr(reading) == f"<{shown.replace(' ', ' closing ', 1)} idle>"
        await reader.lost
        await asyncio.sleep(0)
        assert repr(reading) == f"<{shown.replace(' ', ' closed ', 1)} closed>"
        os.close(write_end)

    run(main())


def test_as_much_as_there_is_at_once(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        reading, reader = await read_from(read_end)
        for size in (1, 1024, 65536):
            before = len(reader.data)
            calls = len(reader.calls)
            os.write(write_end, bytes(size))
            await reader.received(before + size)
            assert reader.calls[calls:] == ["data_received"]
        reading.close()
        assert await reader.lost is None
        os.close(write_end)

    run(main())


@pytest.mark.skipif(
    unix_events._UnixReadPipeTransport.is_reading  # type: ignore[attr-defined]
    is asyncio.ReadTransport.is_reading,
    reason="early CPython 3.11 does not tell whether a pipe is read",
)
def test_pausing_and_resuming(run: Run) -> None:
    reading: Any = None

    class Pauses(ReadPipe):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            reading.pause_reading()

    async def main() -> None:
        nonlocal reading
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        reading, reader = await loop.connect_read_pipe(Pauses, os.fdopen(read_end, "rb", 0))
        assert reading.is_reading()
        reading.resume_reading()  # which was not paused
        os.write(write_end, b"first")
        await reader.received(5)
        assert not reading.is_reading()
        reading.pause_reading()
        os.write(write_end, b"second")
        os.close(write_end)
        for _ in range(4):
            await asyncio.sleep(0)
        assert reader.data == b"first"
        reading.resume_reading()
        assert await reader.received(11) == b"firstsecond"
        assert not reader.lost.done()
        reading.resume_reading()
        assert await reader.lost is None
        assert reader.calls[-2:] == ["eof_received", "connection_lost"]
        reading.resume_reading()
        reading.pause_reading()
        assert not reading.is_reading()
        await asyncio.sleep(0)

    run(main())


def test_paused_from_the_beginning(run: Run, loop_kind: str) -> None:
    if sys.version_info < (3, 11, 3):
        stdlib_fault(loop_kind, "begins to read, paused or not")

    class Pauses(ReadPipe):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert isinstance(transport, asyncio.ReadTransport)
            transport.pause_reading()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        os.write(write_end, b"early")
        reading, reader = await loop.connect_read_pipe(Pauses, os.fdopen(read_end, "rb", 0))
        # The loop waits for the thread, and hears of the pipe if it watches it.
        await loop.run_in_executor(None, lambda: None)
        assert reader.calls == ["connection_made"]
        reading.resume_reading()
        assert await reader.received(5) == b"early"
        os.close(write_end)
        await reader.lost
        await asyncio.sleep(0)

    run(main())


def test_closing_in_data_received(run: Run) -> None:
    reading: Any = None

    class Closes(ReadPipe):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            reading.close()
            reading.close()
            assert reading.is_closing()

    async def main() -> None:
        nonlocal reading
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        reading, reader = await loop.connect_read_pipe(Closes, os.fdopen(read_end, "rb", 0))
        os.write(write_end, b"data")
        assert await reader.lost is None
        assert reader.calls == ["connection_made", "data_received", "connection_lost"]
        await asyncio.sleep(0)
        reading.close()
        with pytest.raises(BrokenPipeError):
            os.write(write_end, b"more")
        os.close(write_end)

    run(main())


def test_an_error_of_the_protocol_is_reported_and_reading_goes_on(run: Run) -> None:
    class Fails(ReadPipe):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"bad":
                raise ZeroDivisionError

    async def main() -> None:
        reports: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        read_end, write_end = os.pipe()
        reading, reader = await loop.connect_read_pipe(Fails, os.fdopen(read_end, "rb", 0))
        os.write(write_end, b"bad")
        await reader.received(3)
        await asyncio.sleep(0)
        (report,) = reports
        assert report["message"] == "Exception in callback _UnixReadPipeTransport._read_ready()"
        assert isinstance(report["exception"], ZeroDivisionError)
        assert "transport" not in report
        assert not reading.is_closing()
        os.write(write_end, b"good")
        assert await reader.received(7) == b"badgood"
        os.close(write_end)
        assert await reader.lost is None
        reports.clear()
        await asyncio.sleep(0)

    run(main())


def test_an_exit_in_the_protocol_ends_the_run(loop: asyncio.AbstractEventLoop) -> None:
    reading: Any = None
    reader: Any = None

    class Exits(ReadPipe):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            raise SystemExit

    async def main() -> None:
        nonlocal reading, reader
        reading, reader = await loop.connect_read_pipe(Exits, os.fdopen(read_end, "rb", 0))
        os.write(write_end, b"data")
        await loop.create_future()

    async def closed() -> None:
        reading.close()
        await reader.lost
        await asyncio.sleep(0)

    read_end, write_end = os.pipe()
    task = loop.create_task(main())
    with pytest.raises(SystemExit):
        loop.run_until_complete(task)
    loop.run_until_complete(closed())
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    os.close(write_end)


def test_error_of_the_system_is_reported(run: Run) -> None:
    async def main() -> None:
        class Pipe:
            def fileno(self) -> int:
                return descriptor

            def close(self) -> None:
                os.close(descriptor)

        reports: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        descriptor, write_end = os.pipe()
        pipe: Any = Pipe()
        reading, reader = await loop.connect_read_pipe(ReadPipe, pipe)
        await asyncio.sleep(0)
        # What the transport takes for a pipe becomes a directory, whose reading fails.
        directory = os.open("/", os.O_RDONLY)
        os.write(write_end, b"data")
        read_ready: Any = reading
        saved = os.dup(descriptor)
        os.dup2(directory, descriptor)
        read_ready._read_ready()
        os.dup2(saved, descriptor)
        error = await reader.lost
        assert isinstance(error, IsADirectoryError)
        assert error.errno == errno.EISDIR
        (report,) = reports
        assert report["message"] == "Fatal read error on pipe transport"
        assert report["exception"] is error
        assert report["transport"] is reading
        assert report["protocol"] is reader
        reports.clear()
        for each in (saved, directory, write_end):
            os.close(each)
        await asyncio.sleep(0)

    run(main())


def test_another_protocol_gets_what_comes_later(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        reading, first = await read_from(read_end)
        os.write(write_end, b"first")
        await first.received(5)
        second = ReadPipe()
        reading.set_protocol(second)
        assert reading.get_protocol() is second
        os.write(write_end, b"second")
        assert await second.received(6) == b"second"
        assert first.data == b"first"
        os.close(write_end)
        assert await second.lost is None
        await asyncio.sleep(0)

    run(main())


def test_data_comes_in_the_context_of_the_connecting(run: Run) -> None:
    place = ContextVar("place", default="nowhere")
    seen: list[str] = []

    class Notes(ReadPipe):
        def data_received(self, data: bytes) -> None:
            seen.append(place.get())
            super().data_received(data)

        def eof_received(self) -> None:
            seen.append(place.get())
            super().eof_received()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        place.set("where it was connected")
        _, reader = await loop.connect_read_pipe(Notes, os.fdopen(read_end, "rb", 0))
        place.set("elsewhere")
        os.write(write_end, b"data")
        await reader.received(4)
        os.close(write_end)
        await reader.lost
        assert seen == ["where it was connected"] * 2
        await asyncio.sleep(0)

    run(main())


def test_debug_mode(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        reading, reader = await read_from(read_end)
        writing, writer = await write_to(write_end)
        reading.pause_reading()
        writing.write(bytes(300_000))
        reading.resume_reading()
        await reader.received(300_000)
        assert writer.calls == ["pause_writing", "resume_writing"]
        writing.close()
        assert await reader.lost is None
        assert await writer.lost is None
        await asyncio.sleep(0)

    run(main(), debug=True)
