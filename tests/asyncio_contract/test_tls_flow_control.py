"""Back-pressure through TLS: both ways, for both kinds of protocols, with everything full."""

import array
import asyncio
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .recorders import BufferedRecorder, Recorder
from .tls_connections import Authority, client_and_peer, settle, tls_pair

over_both_data_paths = True

BULK = bytes(range(256)) * (8 << 12)  # 8 MiB


def test_slow_reader_pauses_the_writer(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            sent = 0
            while client.calls[-1] != "pause_writing":
                client.transport.write(BULK[:65536])
                sent += 65536
            low, high = client.transport.get_write_buffer_limits()
            assert (low, high) == (128 * 1024, 512 * 1024)
            assert client.transport.get_write_buffer_size() >= high
            receiving = asyncio.ensure_future(peer.receive(sent))
            await client.until(lambda: client.calls[-1] == "resume_writing")
            assert client.transport.get_write_buffer_size() <= low
            assert await receiving == BULK[:65536] * (sent // 65536)
            assert client.calls.count("pause_writing") == 1

    run(main())


@pytest.mark.parametrize("end", ["abort", "broken", "broken while reading is paused"])
def test_writing_does_not_resume_after_the_end(run: Run, authority: Authority, end: str) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            if end == "broken while reading is paused":
                client.transport.pause_reading()
            while client.calls[-1] != "pause_writing":
                client.transport.write(BULK[:65536])
            await peer.receive(65536)
            client.transport.abort() if end == "abort" else peer.sock.close()
            error = await client.lost
            assert error is None if end == "abort" else isinstance(error, ConnectionError)
            await settle()
            assert "resume_writing" not in client.calls
            assert client.calls[-1] == "connection_lost"
            assert client.transport.get_write_buffer_size() == 0

    run(main())


def test_limits_of_zero(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            client.transport.set_write_buffer_limits(high=0)
            # asyncio takes an empty buffer for a full one here.
            assert client.calls[-1] == "pause_writing"
            client.transport.write(b"x")
            assert client.calls[-1] == "resume_writing"
            assert await peer.receive(1) == b"x"
            with pytest.raises(ValueError, match="must be >= low"):
                client.transport.set_write_buffer_limits(high=1, low=2)

    run(main())


def test_huge_limits(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            client.transport.set_write_buffer_limits(high=1 << 100, low=1 << 99)
            assert client.transport.get_write_buffer_limits() == (1 << 99, 1 << 100)
            client.transport.write(BULK)
            assert await peer.receive(len(BULK)) == BULK
            assert "pause_writing" not in client.calls

    run(main())


def test_paused_reader_stops_the_peer(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            client.transport.pause_reading()
            assert not client.transport.is_reading()
            sending = asyncio.ensure_future(peer.send(BULK))
            for _ in range(200):
                await asyncio.sleep(0)
            assert not sending.done()
            assert client.data == b""
            assert client.transport.get_read_buffer_size() < len(BULK) // 2
            client.transport.resume_reading()
            assert client.transport.is_reading()
            assert await client.received(len(BULK)) == BULK
            await sending

    run(main())


def test_pausing_inside_data_received(run: Run, authority: Authority) -> None:
    class Pausing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        async with client_and_peer(authority, Pausing) as (client, peer):
            sending = asyncio.ensure_future(peer.send(BULK))
            while len(client.data) < len(BULK):
                before = len(client.calls)
                client.transport.resume_reading()
                await client.until(lambda before=before: len(client.calls) > before)
                assert client.calls[before:] == ["data_received"]
            assert client.data == BULK
            await sending

    run(main())


def test_both_sides_write_in_bulk(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            for protocol in (client, served):
                for start in range(0, len(BULK), 1 << 20):
                    protocol.transport.write(BULK[start : start + (1 << 20)])
            assert await client.received(len(BULK)) == BULK
            assert await served.received(len(BULK)) == BULK
            for protocol in (client, served):
                assert protocol.transport.get_write_buffer_size() == 0
                paused = [call for call in protocol.calls if call.endswith("writing")]
                assert paused[::2] == ["pause_writing"] * (len(paused) // 2)
                assert paused[1::2] == ["resume_writing"] * (len(paused) // 2)

    run(main())


def test_paused_reader_still_writes(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            client.transport.pause_reading()
            client.transport.write(BULK)
            assert await peer.receive(len(BULK)) == BULK

    run(main())


def test_reading_paused_in_connection_made(run: Run, loop_kind: str, authority: Authority) -> None:
    stdlib_fault(loop_kind, "keeps back the end of the handshake while reading is paused")

    class Pausing(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()
            self.transport.write(b"hello")

    async def main() -> None:
        async with client_and_peer(authority, Pausing) as (client, peer):
            assert await peer.receive(5) == b"hello"
            await peer.send(b"later")
            await settle()
            assert client.data == b""
            client.transport.resume_reading()
            assert await client.received(5) == b"later"

    run(main())


@pytest.mark.parametrize("size", [1, 16, 1000, 16384, 100_000])
def test_buffered_protocols(run: Run, loop_kind: str, authority: Authority, size: int) -> None:
    if size > 16:
        stdlib_fault(loop_kind, "loses data where the buffer is no memoryview")

    async def main() -> None:
        count = 100 * size if size < 1000 else 3_000_000
        async with client_and_peer(authority, lambda: BufferedRecorder(size)) as (client, peer):
            await peer.send(b"first")
            assert await client.received(5) == b"first"
            sending = asyncio.ensure_future(peer.send(BULK[:count]))
            assert await client.received(5 + count) == b"first" + BULK[:count]
            await sending
            await peer.say_goodbye()
            assert await client.lost is None
            assert client.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_buffered_protocol_that_resizes_its_buffer(run: Run, authority: Authority) -> None:
    class Growing(BufferedRecorder):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.buffer += b"-"

    async def main() -> None:
        async with client_and_peer(authority, lambda: Growing(8)) as (client, peer):
            await peer.send(BULK[:200])
            assert await client.received(200) == BULK[:200]

    run(main())


def test_buffered_protocol_without_room(
    run: Run, loop_kind: str, authority: Authority, asyncio_log: Log
) -> None:
    stdlib_fault(loop_kind, "takes an empty buffer for the end of the stream")

    async def main() -> None:
        async with client_and_peer(authority, lambda: BufferedRecorder(0)) as (client, peer):
            await peer.send(b"no room")
            error = await client.lost
            assert type(error) is RuntimeError
            assert str(error) == "get_buffer() returned an empty buffer"

    run(main())


@pytest.mark.parametrize("space", [b"read only", memoryview(b"read only")])
def test_buffered_protocol_with_a_read_only_buffer(
    run: Run, loop_kind: str, authority: Authority, asyncio_log: Log, space: Any
) -> None:
    stdlib_fault(loop_kind, "asks for a buffer, and fails, before the handshake has been sent")

    class ReadOnly(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            return space

    async def main() -> None:
        async with client_and_peer(authority, lambda: ReadOnly(8)) as (client, peer):
            await peer.send(b"data")
            error = await client.lost
            assert type(error) is TypeError
            assert "read() argument 2 must be read-write bytes-like object, not" in str(error)

    run(main())


def test_buffered_protocol_that_pauses(run: Run, authority: Authority) -> None:
    class Pausing(BufferedRecorder):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    async def main() -> None:
        async with client_and_peer(authority, lambda: Pausing(1000)) as (client, peer):
            await peer.send(BULK[:5000])
            for count in range(1, 6):
                await client.received(1000 * count)
                assert len(client.data) == 1000 * count
                client.transport.resume_reading()
            assert client.data == BULK[:5000]

    run(main())


def test_change_of_protocols(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            await peer.send(b"to the first")
            await client.received(12)
            second = BufferedRecorder(64)
            client.transport.set_protocol(second)
            assert client.transport.get_protocol() is second
            await peer.send(b"to the second")
            assert await second.received(13) == b"to the second"
            client.transport.set_protocol(client)
            await peer.send(b"and back")
            assert await client.received(20) == b"to the firstand back"

    run(main())


def test_writes_of_every_kind(run: Run, authority: Authority) -> None:
    class Bytes(bytes):
        pass

    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            transport = client.transport
            changing = bytearray(b"bytearray ")
            for data in (b"bytes ", b"", changing, memoryview(b"memoryview "), Bytes(b"subclass ")):
                transport.write(data)
            changing[:] = b"overwritten"
            transport.writelines([b"lines ", b"", bytearray(b"of "), memoryview(b"pieces")])
            transport.writelines(iter([b"!", array.array("B", b"?")]))
            transport.writelines([])
            expected = b"bytes bytearray memoryview subclass lines of pieces!?"
            assert await peer.receive(len(expected)) == expected
            transport.write(data=b"by name")
            assert await peer.receive(7) == b"by name"
            wrong: Any
            for wrong in ("text", 1, None, [b"list"]):
                with pytest.raises(TypeError, match="expecting a bytes-like instance, got "):
                    transport.write(wrong)
            with pytest.raises(TypeError):
                transport.write()

    run(main())


def test_bad_pieces_are_refused(run: Run, loop_kind: str, authority: Authority) -> None:
    stdlib_fault(loop_kind, "ends the connection, and reports the error to the handler")

    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            bad: Any = [b"good", "bad"]
            with pytest.raises(TypeError, match="expecting a bytes-like instance, got str"):
                client.transport.writelines(bad)
            client.transport.write(b"works")
            assert await peer.receive(5) == b"works"

    run(main())


def test_scattered_memory_is_refused_at_the_call(
    run: Run, loop_kind: str, authority: Authority
) -> None:
    stdlib_fault(loop_kind, "ends the connection, and reports the error to the handler")

    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            scattered = memoryview(b"s-c-a-t-")[::2]
            with pytest.raises(BufferError):
                client.transport.write(scattered)
            with pytest.raises(BufferError):
                client.transport.writelines([b"not sent", scattered])
            client.transport.write(b"works")
            assert await peer.receive(5) == b"works"

    run(main())


def test_written_in_connection_made(run: Run, authority: Authority) -> None:
    class Eager(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            changing = bytearray(b"in connection_made")
            self.transport.write(changing)
            changing[:] = b"x"

    async def main() -> None:
        async with client_and_peer(authority, Eager) as (_client, peer):
            assert await peer.receive(18) == b"in connection_made"

    run(main())
