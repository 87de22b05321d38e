"""asyncio streams over TCP: reading, writing, closing, many at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from .conftest import Run

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def stream_pair() -> AsyncIterator[tuple[Streams, Streams]]:
    """Yield the two ends of a connection, `(reader, writer)` each: client first."""
    accepted: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result((reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    client = await asyncio.open_connection(*server.sockets[0].getsockname())
    served = await accepted
    server.close()
    try:
        yield client, served
    finally:
        for _, writer in (client, served):
            writer.close()
        for _, writer in (client, served):
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.sleep(0)


def test_echo(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, writer), (server_reader, server_writer)):
            writer.write(b"hello\n")
            await writer.drain()
            server_writer.write(await server_reader.readline())
            assert await reader.readexactly(6) == b"hello\n"

    run(main())


def test_reading_by_lines_separators_counts_and_to_the_end(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, _), (_, server_writer)):
            server_writer.write(b"line one\nuntil;exactlythe rest of it")
            server_writer.write_eof()
            assert await reader.readline() == b"line one\n"
            assert await reader.readuntil(b";") == b"until;"
            assert await reader.readexactly(7) == b"exactly"
            assert await reader.read() == b"the rest of it"
            assert reader.at_eof()
            assert await reader.read() == b""

    run(main())


def test_incomplete_reads_raise(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, _), (_, server_writer)):
            server_writer.write(b"short")
            server_writer.close()
            with pytest.raises(asyncio.IncompleteReadError) as caught:
                await reader.readexactly(10)
            assert caught.value.partial == b"short"
            assert caught.value.expected == 10

    run(main())


def test_a_line_beyond_the_limit_raises(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, _), (_, server_writer)):
            server_writer.write(b"-" * 100_000 + b"\n")
            with pytest.raises(ValueError, match=r"Separator is (not )?found"):
                await reader.readline()

    run(main())


def test_back_pressure_passes_through_both_ends(run: Run) -> None:
    size = 8 << 20

    async def main() -> None:
        async with stream_pair() as ((reader, writer), (server_reader, server_writer)):

            async def send() -> None:
                for _ in range(size >> 16):
                    writer.write(bytes(65536))
                    await writer.drain()
                writer.write_eof()

            async def echo() -> None:
                while data := await server_reader.read(65536):
                    server_writer.write(data)
                    await server_writer.drain()
                server_writer.write_eof()

            sending, echoing = asyncio.ensure_future(send()), asyncio.ensure_future(echo())
            received = 0
            while data := await reader.read(65536):
                received += len(data)
            assert received == size
            await asyncio.gather(sending, echoing)

    run(main())


def test_reset_raises_in_the_reader(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, _), (_, server_writer)):
            server_writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
            server_writer.transport.abort()
            with pytest.raises(ConnectionResetError):
                await reader.read()

    run(main())


def test_drain_after_a_lost_connection_raises(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, writer), (_, server_writer)):
            server_writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
            server_writer.transport.abort()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            with pytest.raises(ConnectionResetError):
                await writer.drain()

    run(main())


def test_wait_closed_returns_after_the_end(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((_, writer), (server_reader, _)):
            assert not writer.is_closing()
            writer.close()
            assert writer.is_closing()
            await writer.wait_closed()
            assert await server_reader.read() == b""

    run(main())


def test_extra_info_of_a_writer(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((_, writer), (_, server_writer)):
            assert writer.get_extra_info("peername") == server_writer.get_extra_info("sockname")
            assert writer.can_write_eof()

    run(main())


def test_async_iteration_over_lines(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, _), (_, server_writer)):
            server_writer.writelines([b"one\n", b"two\n", b"three"])
            server_writer.write_eof()
            assert [line async for line in reader] == [b"one\n", b"two\n", b"three"]

    run(main())


def test_handlers_may_be_coroutines_and_serve_many(run: Run) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def client(number: int, port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"client %d\n" % number)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def main() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answers = await asyncio.gather(*(client(number, port) for number in range(200)))
        assert answers == [b"CLIENT %d\n" % number for number in range(200)]
        server.close()
        await server.wait_closed()
        for _ in range(3):
            await asyncio.sleep(0)

    run(main())


def test_cancelling_a_read_keeps_the_stream_usable(run: Run) -> None:
    async def main() -> None:
        async with stream_pair() as ((reader, _), (_, server_writer)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.001)
            server_writer.write(b"x")
            assert await reader.read(1) == b"x"

    run(main())
