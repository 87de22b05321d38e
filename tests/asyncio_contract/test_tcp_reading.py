"""Bytes from the socket to the protocol: data_received, buffers, pausing, end of file."""

import asyncio
import socket
import sys
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .connections import SIDES, connection
from .recorders import BufferedRecorder, Recorder, receive_to_end, reset

pytestmark = pytest.mark.parametrize("side", SIDES)


def test_bytes_arrive_in_order(run: Run, side: str) -> None:
    payload = bytes(range(256)) * 4096

    async def main() -> None:
        async with connection(Recorder, side) as (_, protocol, peer):
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(peer, payload)
            assert await protocol.received(len(payload)) == payload
            assert protocol.calls[0] == "connection_made"

    run(main())


def test_connection_made_comes_before_data_that_is_already_there(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (_, protocol, peer):
            peer.send(b"at once")
            await protocol.received(7)
            assert protocol.calls == ["connection_made", "data_received"]

    run(main())


def test_buffered_protocol_reads_into_its_own_buffer(run: Run, side: str) -> None:
    payload = bytes(range(256)) * 16

    async def main() -> None:
        async with connection(BufferedRecorder, side) as (_, protocol, peer):
            peer.send(payload)
            assert await protocol.received(len(payload)) == payload
            assert all(hint == -1 for hint in protocol.hints)
            peer.close()
            assert await protocol.lost is None
            assert protocol.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_empty_buffer_is_a_fatal_error(run: Run, side: str, asyncio_log: Log) -> None:
    class Empty(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            return bytearray()

    async def main() -> None:
        async with connection(Empty, side) as (_, protocol, peer):
            peer.send(b"x")
            assert isinstance(await protocol.lost, RuntimeError)

    run(main())
    assert "get_buffer() call failed" in asyncio_log.messages[0]


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        (None, "get_buffer() call failed"),
        (7, "get_buffer() call failed"),
        ("text", "Fatal read error on socket transport"),
        (b"read-only", "Fatal read error on socket transport"),
        (memoryview(bytearray(8))[::2], "Fatal read error on socket transport"),
    ],
    ids=["None", "int", "str", "bytes", "strided"],
)
def test_what_is_no_buffer_is_a_fatal_type_error(
    run: Run, side: str, asyncio_log: Log, buffer: Any, message: str
) -> None:
    class Wrong(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            return buffer

    async def main() -> None:
        async with connection(Wrong, side) as (_, protocol, peer):
            peer.send(b"x")
            assert isinstance(await protocol.lost, TypeError)

    run(main())
    assert message in asyncio_log.messages[0]


def test_protocol_replaced_in_its_own_get_buffer(run: Run, side: str, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "tells the new protocol what is in the old one's buffer")

    successor: Recorder

    class Leaving(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            self.transport.set_protocol(successor)
            return super().get_buffer(sizehint)

    async def main() -> None:
        nonlocal successor
        successor = Recorder()
        async with connection(Leaving, side) as (transport, protocol, peer):
            successor.connection_made(transport)
            peer.send(b"first")
            assert await protocol.received(5) == b"first"
            peer.send(b"second")
            assert await successor.received(6) == b"second"
            protocol.lost.set_result(None)
            transport.close()
            await successor.lost

    run(main())


def test_buffer_updated_that_raises_is_a_fatal_error(run: Run, side: str, asyncio_log: Log) -> None:
    class Failing(BufferedRecorder):
        def buffer_updated(self, nbytes: int) -> None:
            raise LookupError("failed")

    async def main() -> None:
        async with connection(Failing, side) as (_, protocol, peer):
            peer.send(b"x")
            assert isinstance(await protocol.lost, LookupError)

    run(main())
    assert "buffer_updated() call failed" in asyncio_log.messages[0]


def test_data_received_that_raises_closes_with_the_exception(
    run: Run, side: str, asyncio_log: Log
) -> None:
    class Failing(Recorder):
        def data_received(self, data: bytes) -> None:
            raise LookupError("failed")

    handled: list[BaseException | None] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            handled.append(sys.exception())
            loop.default_exception_handler(context)

        loop.set_exception_handler(handler)
        async with connection(Failing, side) as (transport, protocol, peer):
            peer.send(b"x")
            error = await protocol.lost
            assert isinstance(error, LookupError)
            assert handled == [error]
            assert transport.is_closing()

    run(main())
    assert "data_received() call failed" in asyncio_log.messages[0]


def test_end_of_file_closes_by_default(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]
            assert transport.is_closing()
            assert await receive_to_end(peer) == b""

    run(main())


@pytest.mark.parametrize("answer", [None, False])
def test_false_from_eof_received_closes_after_flushing(
    run: Run, side: str, answer: bool | None
) -> None:
    class Answering(Recorder):
        def eof_received(self) -> bool | None:
            self.transport.write(b"last words")
            return super().eof_received()

    async def main() -> None:
        async with connection(lambda: Answering(keep_open_at_eof=answer), side) as (
            _,
            protocol,
            peer,
        ):
            peer.shutdown(socket.SHUT_WR)
            assert await receive_to_end(peer) == b"last words"
            assert await protocol.lost is None

    run(main())


def test_true_from_eof_received_keeps_the_other_direction(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(lambda: Recorder(keep_open_at_eof=True), side) as (
            transport,
            protocol,
            peer,
        ):
            peer.shutdown(socket.SHUT_WR)
            await protocol.until(lambda: "eof_received" in protocol.calls)
            for _ in range(3):
                await asyncio.sleep(0)
            assert not transport.is_closing()
            assert not protocol.lost.done()
            transport.write(b"after the end of file")
            transport.close()
            assert await receive_to_end(peer) == b"after the end of file"
            assert await protocol.lost is None
            assert protocol.calls.count("eof_received") == 1

    run(main())


def test_eof_received_that_raises_closes_with_the_exception(
    run: Run, side: str, asyncio_log: Log
) -> None:
    class Failing(Recorder):
        def eof_received(self) -> bool | None:
            raise LookupError("failed")

    async def main() -> None:
        async with connection(Failing, side) as (_, protocol, peer):
            peer.close()
            assert isinstance(await protocol.lost, LookupError)

    run(main())
    assert "eof_received() call failed" in asyncio_log.messages[0]


def test_reset_arrives_as_connection_reset_error(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (_, protocol, peer):
            reset(peer)
            error = await protocol.lost
            assert type(error) is ConnectionResetError
            assert error.errno == 104
            assert "eof_received" not in protocol.calls

    run(main())


def test_pause_stops_and_resume_continues(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            assert transport.is_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            peer.send(b"while paused")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.resume_reading()
            assert transport.is_reading()
            assert await protocol.received(12) == b"while paused"

    run(main())


def test_pausing_and_resuming_may_be_repeated(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            transport.pause_reading()
            transport.pause_reading()
            transport.resume_reading()
            transport.resume_reading()
            peer.send(b"data")
            assert await protocol.received(4) == b"data"

    run(main())


def test_paused_in_connection_made(run: Run, side: str, loop_kind: str) -> None:
    if sys.version_info < (3, 11, 3):
        stdlib_fault(loop_kind, "of early 3.11 reads although paused in connection_made")

    class Paused(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    async def main() -> None:
        async with connection(Paused, side) as (transport, protocol, peer):
            peer.send(b"data")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            assert not transport.is_reading()
            transport.resume_reading()
            assert await protocol.received(4) == b"data"

    run(main())


def test_paused_in_data_received(run: Run, side: str) -> None:
    class Pausing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        async with connection(Pausing, side) as (transport, protocol, peer):
            loop = asyncio.get_running_loop()
            sending = asyncio.ensure_future(loop.sock_sendall(peer, bytes(3 << 20)))
            await protocol.until(lambda: len(protocol.data) > 0)
            calls = len(protocol.calls)
            for _ in range(10):
                await asyncio.sleep(0)
            assert len(protocol.calls) == calls
            while len(protocol.data) < 3 << 20:
                before = len(protocol.data)
                transport.resume_reading()
                await protocol.until(lambda before=before: len(protocol.data) > before)  # type: ignore[misc]
            await sending

    run(main())


def test_end_of_file_is_held_back_while_paused(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            transport.pause_reading()
            peer.close()
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.calls == ["connection_made"]
            transport.resume_reading()
            assert await protocol.lost is None
            assert protocol.calls[1:] == ["eof_received", "connection_lost"]

    run(main())


def test_pausing_a_closed_transport_is_harmless(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            transport.close()
            transport.pause_reading()
            transport.resume_reading()
            assert not transport.is_reading()
            await protocol.lost
            transport.pause_reading()
            transport.resume_reading()

    run(main())


def test_close_in_data_received_ends_the_deliveries(run: Run, side: str) -> None:
    class Closing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.close()

    async def main() -> None:
        async with connection(Closing, side) as (_, protocol, peer):
            loop = asyncio.get_running_loop()
            sending = asyncio.ensure_future(loop.sock_sendall(peer, bytes(8 << 20)))
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "data_received", "connection_lost"]
            await asyncio.gather(sending, return_exceptions=True)

    run(main())


def test_set_protocol_redirects_what_follows(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, first, peer):
            peer.send(b"one")
            await first.received(3)
            second = Recorder()
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            peer.send(b"two")
            assert await second.received(3) == b"two"
            assert first.data == b"one"
            # No connection_made for the second, but the end is its.
            assert second.calls == ["data_received"]
            transport.close()
            await second.lost
            assert not first.lost.done()

    run(main())


def test_set_protocol_to_a_buffered_one_and_back(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, first, peer):
            buffered = BufferedRecorder()
            transport.set_protocol(buffered)
            peer.send(b"into the buffer")
            assert await buffered.received(15) == b"into the buffer"
            transport.set_protocol(first)
            peer.send(b"plain")
            assert await first.received(5) == b"plain"
            peer.close()
            await first.lost

    run(main())


def test_set_protocol_inside_data_received(run: Run, side: str) -> None:
    class Switching(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.successor = Recorder()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(self.successor)

    async def main() -> None:
        async with connection(Switching, side) as (_, first, peer):
            peer.send(b"one")
            await first.received(3)
            peer.send(b"two")
            assert await first.successor.received(3) == b"two"
            peer.close()
            await first.successor.lost

    run(main())
