"""Bytes from the program to the socket: write, writelines, write_eof and their errors."""

import array
import asyncio
import socket
import sys
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .connections import SIDES, connection
from .recorders import Recorder, fill_kernel_buffer, receive_exactly, receive_to_end, reset

pytestmark = pytest.mark.parametrize("side", SIDES)


@pytest.mark.parametrize(
    "data",
    [b"data", bytearray(b"data"), memoryview(b"data"), memoryview(bytearray(b"-data-"))[1:5]],
    ids=["bytes", "bytearray", "memoryview", "slice"],
)
def test_bytes_like_objects_are_sent(run: Run, side: str, data: Any) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            transport.write(data)
            assert await receive_exactly(peer, 4) == b"data"

    run(main())


@pytest.mark.parametrize("bad", ["text", None, 1, [1, 2], object(), array.array("b", b"data")])
def test_other_objects_are_refused_at_the_call(run: Run, side: str, bad: Any) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            with pytest.raises(TypeError, match="data argument must be"):
                transport.write(bad)
            transport.write(b"still works")
            assert await receive_exactly(peer, 11) == b"still works"

    run(main())


def test_write_returns_none_and_sends_at_once(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            assert transport.write(b"now") is None  # type: ignore[func-returns-value]
            assert transport.get_write_buffer_size() == 0
            # Without giving the loop a turn.
            assert peer.recv(3) == b"now"

    run(main())


def test_empty_writes_do_nothing(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            transport.write(b"")
            transport.writelines([])
            assert transport.get_write_buffer_size() == 0
            transport.close()
            assert await receive_to_end(peer) == b""

    run(main())


def test_writelines_of_empty_pieces_does_nothing(run: Run, side: str, loop_kind: str) -> None:
    if (3, 12) <= sys.version_info < (3, 14):
        stdlib_fault(loop_kind, "of early 3.12 and 3.13 spins on empty pieces")

    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            transport.writelines([b"", b""])
            assert transport.get_write_buffer_size() == 0
            transport.close()
            assert await receive_to_end(peer) == b""

    run(main())


def test_large_writes_arrive_whole_and_in_order(run: Run, side: str) -> None:
    pieces = [bytes([number]) * (100_000 + number) for number in range(40)]

    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            for piece in pieces:
                transport.write(piece)
            assert transport.get_write_buffer_size() > 0
            whole = b"".join(pieces)
            assert await receive_exactly(peer, len(whole)) == whole
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_a_buffer_changed_after_the_write_does_not_change_what_is_sent(
    run: Run, side: str, loop_kind: str
) -> None:
    if sys.version_info >= (3, 12):
        stdlib_fault(loop_kind, "keeps a reference to the caller's buffer")

    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            filled = fill_kernel_buffer(transport)
            data = bytearray(b"original")
            transport.write(data)
            data[:] = b"changed!"
            assert (await receive_exactly(peer, filled + 8))[filled:] == b"original"

    run(main())


def test_writelines_of_any_iterable(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            transport.writelines([b"one ", bytearray(b"two "), memoryview(b"three ")])
            transport.writelines(piece for piece in (b"four ", b"five"))
            assert await receive_exactly(peer, 23) == b"one two three four five"

    run(main())


def test_scattered_memory_is_refused_at_the_call(run: Run, side: str, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "ends the connection")

    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            scattered = memoryview(b"s-c-a-t-")[::2]
            with pytest.raises(BufferError):
                transport.write(scattered)
            with pytest.raises(BufferError):
                transport.writelines([b"not sent", scattered])
            transport.write(b"works")
            assert await receive_exactly(peer, 5) == b"works"

    run(main())


def test_writelines_of_any_buffer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            pieces: Any = [array.array("B", b"array "), b"bytes "]
            transport.writelines(pieces)
            assert await receive_exactly(peer, 12) == b"array bytes "

    run(main())


def test_writelines_of_many_and_large_pieces(run: Run, side: str) -> None:
    pieces = [bytes([number % 256]) * (number % 977) for number in range(5000)]

    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            whole = b"".join(pieces)
            transport.writelines(pieces)
            transport.write(b"end")
            assert await receive_exactly(peer, len(whole) + 3) == whole + b"end"

    run(main())


@pytest.mark.parametrize("bad", [1, ["text"], [1]])
def test_bad_writelines_raise_type_error(run: Run, side: str, bad: Any) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            with pytest.raises(TypeError):
                transport.writelines(bad)

    run(main())


def test_write_eof_ends_one_direction_only(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            assert transport.can_write_eof() is True
            transport.write(b"request")
            transport.write_eof()
            assert await receive_to_end(peer) == b"request"
            assert not transport.is_closing()
            peer.send(b"response")
            assert await protocol.received(8) == b"response"

    run(main())


def test_write_eof_waits_for_the_buffer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            filled = fill_kernel_buffer(transport)
            transport.write(b"rest")
            transport.write_eof()
            data = await receive_to_end(peer)
            assert data[filled:] == b"rest"

    run(main())


def test_write_eof_twice_is_harmless_and_write_after_it_is_not(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            transport.write_eof()
            transport.write_eof()
            with pytest.raises(RuntimeError, match="after write_eof"):
                transport.write(b"late")
            with pytest.raises(RuntimeError, match="after write_eof"):
                transport.writelines([b"late"])

    run(main())


def test_write_eof_after_close_is_harmless(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            transport.close()
            transport.write_eof()
            assert await protocol.lost is None

    run(main())


def test_writes_after_the_end_are_dropped_and_logged(run: Run, side: str, asyncio_log: Log) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            transport.close()
            for _ in range(10):
                transport.write(b"into the void")
            await protocol.lost
            for _ in range(10):
                transport.write(b"into the void")
            assert await receive_to_end(peer) == b""

    run(main())
    assert set(asyncio_log.messages) == {"socket.send() raised exception."}
    # asyncio counts closing as the first failure, and logs from the fifth on.
    assert len(asyncio_log.messages) == 16


def test_write_to_a_broken_connection_ends_it(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            transport.pause_reading()
            reset(peer)
            for _ in range(3):
                transport.write(b"data")
            error = await protocol.lost
            assert isinstance(error, ConnectionError)
            assert protocol.calls[-1] == "connection_lost"
            assert transport.is_closing()

    run(main())


def test_buffered_write_to_a_broken_connection_ends_it(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            fill_kernel_buffer(transport)
            transport.pause_reading()
            transport.write(bytes(1000))
            reset(peer)
            error = await protocol.lost
            assert isinstance(error, ConnectionError)
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_both_peers_writing_in_bulk_do_not_deadlock(run: Run, side: str) -> None:
    payload = bytes(4 << 20)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder, side) as (transport, protocol, peer):
            transport.write(payload)
            sending = asyncio.ensure_future(loop.sock_sendall(peer, payload))
            assert len(await receive_exactly(peer, len(payload))) == len(payload)
            await sending
            assert len(await protocol.received(len(payload))) == len(payload)

    run(main())


def test_echo_inside_data_received(run: Run, side: str) -> None:
    class Echo(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    async def main() -> None:
        async with connection(Echo, side) as (_, _protocol, peer):
            for number in range(100):
                message = b"%d" % number
                peer.send(message)
                assert await receive_exactly(peer, len(message)) == message
            peer.shutdown(socket.SHUT_WR)

    run(main())
