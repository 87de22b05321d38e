"""Writing to pipes, and closing them with something still to write."""

import array
import asyncio
import errno
import gc
import os
import re
import socket
import warnings
from asyncio import unix_events
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .descriptors import fill
from .pipes import WritePipe, read_from, write_to


def test_types(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        assert isinstance(writing, asyncio.WriteTransport)
        assert isinstance(writing, unix_events._UnixWritePipeTransport)  # type: ignore[attr-defined]
        assert type(writing).__name__ == "_UnixWritePipeTransport"
        writing.close()
        await writer.lost
        os.close(read_end)

    run(main())


def test_repr_tells_the_state(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        shown = f"_UnixWritePipeTransport fd={write_end}"
        assert repr(writing) == f"<{shown} idle bufsize=0>"
        fill(write_end)
        writing.write(bytes(100))
        assert repr(writing) == f"<{shown} polling bufsize=100>"
        writing.close()
        closing = shown.replace(" ", " closing ", 1)
        assert repr(writing) == f"<{closing} polling bufsize=100>"
        writing.abort()
        assert repr(writing) == f"<{closing} idle bufsize=0>"
        await writer.lost
        await asyncio.sleep(0)
        assert repr(writing) == f"<{shown.replace(' ', ' closed ', 1)} closed>"
        os.close(read_end)

    run(main())


@pytest.mark.parametrize(
    "make",
    [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data))],
    ids=["bytes", "bytearray", "memoryview", "writable memoryview"],
)
@pytest.mark.parametrize("blocked", [False, True])
def test_bytes_like_data(run: Run, make: Callable[[bytes], Any], blocked: bool) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, _ = await write_to(write_end)
        before = fill(write_end) if blocked else 0
        data = make(b"some bytes")
        writing.write(data)
        if not isinstance(data, bytes) and not memoryview(data).readonly:
            memoryview(data)[:] = b"-" * 10  # what was written does not change any more
        writing.write(make(b""))
        writing.writelines([make(b" of"), b"", make(b" several")])
        assert writing.get_write_buffer_size() == (21 if blocked else 0)
        _, reader = await read_from(read_end)
        assert (await reader.received(before + 21))[before:] == b"some bytes of several"
        writing.close()
        await reader.lost
        await asyncio.sleep(0)

    run(main())


def test_items_larger_than_a_byte(run: Run, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "counts items as bytes, and waits to write nothing")

    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        numbers = array.array("I", range(10))
        writing.write(memoryview(numbers))
        assert writing.get_write_buffer_size() == 0
        assert os.read(read_end, 1000) == numbers.tobytes()
        writing.close()
        assert await writer.lost is None
        os.close(read_end)

    run(main())


@pytest.mark.parametrize("data", ["text", 1, None, array.array("B", b"x"), [b"x"]])
def test_what_is_not_bytes_like_is_refused(run: Run, data: Any) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        with pytest.raises(AssertionError, match=re.escape(repr(data))):
            writing.write(data)
        with pytest.raises(TypeError):
            writing.write()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            writing.write(b"x", b"y")  # type: ignore[call-arg]
        writing.write(data=b"alive")
        assert os.read(read_end, 10) == b"alive"
        writing.close()
        await writer.lost
        os.close(read_end)

    run(main())


def test_memory_that_is_not_contiguous(run: Run, loop_kind: str) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        scattered = memoryview(b"0123456789")[::2]
        if loop_kind == "stdlib":
            # A difference on purpose: see docs/differences.md.
            asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
            writing.write(scattered)
            assert isinstance(await writer.lost, BufferError)
        else:
            with pytest.raises(BufferError):
                writing.write(scattered)
            writing.write(b"alive")
            assert os.read(read_end, 10) == b"alive"
            writing.close()
            assert await writer.lost is None
        os.close(read_end)

    run(main())


def test_the_limits(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        assert writing.get_write_buffer_limits() == (16384, 65536)
        writing.set_write_buffer_limits(high=10)
        assert writing.get_write_buffer_limits() == (2, 10)
        full = fill(write_end)
        writing.write(bytes(10))
        assert writer.calls == []  # the limit itself is not too much
        writing.write(b"x")
        assert writer.calls == ["pause_writing"]
        writing.write(b"x")
        assert writer.calls == ["pause_writing"]
        assert writing.get_write_buffer_size() == 12
        assert len(os.read(read_end, full)) == full
        await writer.until(lambda: len(writer.calls) == 2)
        assert writer.calls == ["pause_writing", "resume_writing"]
        assert os.read(read_end, 100) == bytes(10) + b"xx"
        writing.set_write_buffer_limits(high=0)
        fill(write_end)
        writing.write(b"x")
        assert writer.calls[2:] == ["pause_writing"]
        with pytest.raises(ValueError, match="must be >= low"):
            writing.set_write_buffer_limits(high=1, low=2)
        writing.abort()
        await writer.lost
        os.close(read_end)

    run(main())


def test_many_small_pieces_wait(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        before = fill(write_end)
        expected = b"".join(b"%d," % number for number in range(5000))
        for number in range(5000):
            writing.write(b"%d," % number)
        writing.close()
        _, reader = await read_from(read_end)
        assert await reader.lost is None
        assert reader.data[before:] == expected
        assert await writer.lost is None
        await asyncio.sleep(0)

    run(main())


def test_reader_that_has_gone(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        os.close(read_end)
        writing.write(b"x")  # before the loop has noticed
        assert writing.is_closing()
        assert isinstance(await writer.lost, BrokenPipeError)
        await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_reader_that_goes_with_something_to_write(run: Run, kind: str) -> None:
    async def main() -> None:
        if kind == "pipe":
            read_end, write_end = os.pipe()
        else:
            read_end, write_end = (end.detach() for end in socket.socketpair())
        writing, writer = await write_to(write_end)
        await asyncio.sleep(0)
        writing.write(bytes(1_000_000))
        assert writer.calls == ["pause_writing"]
        os.close(read_end)
        assert isinstance(await writer.lost, BrokenPipeError)
        assert writing.get_write_buffer_size() == 0
        assert writer.calls == ["pause_writing"]
        await asyncio.sleep(0)

    run(main())


def test_late_writes_are_logged_from_the_sixth_on(run: Run, asyncio_log: Any) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        os.close(read_end)
        assert await writer.lost is None
        for _ in range(5):
            writing.write(b"x")
        writing.write(b"")
        assert asyncio_log.messages == []
        writing.write(b"x")
        writing.writelines([b"x"])
        message = "pipe closed by peer or os.write(pipe, data) raised exception."
        assert asyncio_log.messages == [message] * 2
        assert writing.get_write_buffer_size() == 0
        await asyncio.sleep(0)

    run(main())


def test_closed_descriptor(run: Run) -> None:
    async def main() -> None:
        class Pipe:
            def fileno(self) -> int:
                return write_end

            def close(self) -> None:
                pass

        read_end, write_end = os.pipe()
        loop = asyncio.get_running_loop()
        pipe: Any = Pipe()
        writing, writer = await loop.connect_write_pipe(WritePipe, pipe)
        os.close(write_end)
        writing.write(b"x")
        error = await writer.lost
        assert isinstance(error, OSError)
        assert error.errno == errno.EBADF
        os.close(read_end)

    run(main())


def test_aborting_after_closing(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        before = fill(write_end)
        writing.write(b"x")
        writing.close()
        writing.close()
        assert writing.is_closing()
        assert not writer.lost.done()
        writing.abort()
        assert await writer.lost is None
        assert len(os.read(read_end, before + 1)) == before
        os.close(read_end)
        await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("first", ["abort", "close"])
def test_aborting_again(run: Run, loop_kind: str, first: str) -> None:
    stdlib_fault(loop_kind, "tells the protocol twice, or fails once the transport is gone")

    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        getattr(writing, first)()
        writing.abort()
        assert await writer.lost is None
        await asyncio.sleep(0)
        writing.abort()
        writing.close()
        os.close(read_end)

    run(main())


@pytest.mark.parametrize("last", [b"", b"last words", bytes(1_000_000)])
def test_closing_when_told_to_resume(run: Run, loop_kind: str, last: bytes) -> None:
    stdlib_fault(loop_kind, "drops what is written then, and tells the protocol twice")

    writing: Any = None

    class Closes(WritePipe):
        def resume_writing(self) -> None:
            super().resume_writing()
            writing.write(last)
            writing.close()

    async def main() -> None:
        nonlocal writing
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end, Closes)
        writing.write(bytes(1_000_000))
        assert writer.calls == ["pause_writing"]
        _, reader = await read_from(read_end)
        assert await reader.lost is None
        assert await writer.lost is None
        assert reader.data == bytes(1_000_000) + last
        await asyncio.sleep(0)

    run(main())


def test_writing_when_told_to_resume(run: Run) -> None:
    writing: Any = None

    class Continues(WritePipe):
        def resume_writing(self) -> None:
            super().resume_writing()
            if len(self.calls) < 6:
                writing.write(bytes(1_000_000))

    async def main() -> None:
        nonlocal writing
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end, Continues)
        writing.write(bytes(1_000_000))
        _, reader = await read_from(read_end)
        await reader.received(3_000_000)
        await writer.until(lambda: len(writer.calls) == 6)
        assert writer.calls == ["pause_writing", "resume_writing"] * 3
        writing.close()
        await reader.lost
        assert len(reader.data) == 3_000_000
        await asyncio.sleep(0)

    run(main())


def test_writing_resumes_in_the_context_of_the_write(run: Run) -> None:
    place = ContextVar("place", default="nowhere")
    seen: list[str] = []

    class Notes(WritePipe):
        def resume_writing(self) -> None:
            seen.append(place.get())
            super().resume_writing()

    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end, Notes)
        place.set("where it was written")
        writing.write(bytes(1_000_000))
        place.set("elsewhere")
        _, reader = await read_from(read_end)
        await reader.received(1_000_000)
        await writer.until(lambda: "resume_writing" in writer.calls)
        assert seen == ["where it was written"]
        writing.close()
        await reader.lost
        await asyncio.sleep(0)

    run(main())


def test_fifo(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "fifo"
        os.mkfifo(path)
        _, reader = await read_from(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        writing, writer = await write_to(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        writing.write(bytes(300_000))
        await reader.received(300_000)
        writing.close()
        assert await writer.lost is None
        assert await reader.lost is None
        await asyncio.sleep(0)

    run(main())


def test_unclosed_transport_warns(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, _ = await write_to(write_end)
        await asyncio.sleep(0)
        os.close(read_end)
        asyncio.get_running_loop()._remove_reader(write_end)  # type: ignore[attr-defined]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del writing
            gc.collect()
        shown = [str(each.message) for each in caught if each.category is ResourceWarning]
        assert len(shown) == 1
        assert shown[0].startswith("unclosed transport <_UnixWritePipeTransport")

    run(main())


def test_keeping_the_protocol(run: Run) -> None:
    async def main() -> None:
        read_end, write_end = os.pipe()
        writing, writer = await write_to(write_end)
        assert [writing.get_protocol()] == [writer]
        other = WritePipe()
        writing.set_protocol(other)
        assert [writing.get_protocol()] == [other]
        writing.write(bytes(1_000_000))
        assert other.calls == ["pause_writing"]
        writing.abort()
        assert await other.lost is None
        assert not writer.lost.done()
        os.close(read_end)

    run(main())
