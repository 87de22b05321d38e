"""close and abort: what is flushed, what connection_lost is told, what stays usable."""

import asyncio
import gc
import weakref

import pytest

from .conftest import Log, LoopFactory, Run
from .connections import SIDES, connection
from .recorders import Recorder, fill_kernel_buffer, receive_to_end

pytestmark = pytest.mark.parametrize("side", SIDES)


def test_close_tells_the_protocol_in_a_later_turn(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            assert not transport.is_closing()
            transport.close()
            assert transport.is_closing()
            assert "connection_lost" not in protocol.calls
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "connection_lost"]
            assert await receive_to_end(peer) == b""

    run(main())


def test_close_flushes_the_buffer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            filled = fill_kernel_buffer(transport)
            transport.write(b"rest" * 50_000)
            transport.close()
            for _ in range(3):
                await asyncio.sleep(0)
            assert not protocol.lost.done()
            data = await receive_to_end(peer)
            assert data[filled:] == b"rest" * 50_000
            assert await protocol.lost is None

    run(main())


def test_nothing_is_received_after_close(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            fill_kernel_buffer(transport)
            transport.write(b"keeps the connection open")
            transport.close()
            peer.send(b"too late")
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.abort()
            await protocol.lost

    run(main())


def test_closing_twice_loses_once(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            transport.close()
            transport.close()
            transport.abort()
            await protocol.lost
            transport.close()
            transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)
            assert protocol.calls.count("connection_lost") == 1

    run(main())


def test_abort_drops_the_buffer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            filled = fill_kernel_buffer(transport)
            transport.write(b"never sent")
            transport.abort()
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == 0
            assert "connection_lost" not in protocol.calls
            assert await protocol.lost is None
            assert len(await receive_to_end(peer)) == filled

    run(main())


def test_abort_after_close_drops_the_buffer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            fill_kernel_buffer(transport)
            transport.write(b"never sent")
            transport.close()
            transport.abort()
            assert await protocol.lost is None

    run(main())


def test_close_in_connection_made(run: Run, side: str) -> None:
    class Closing(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            transport.close()

    async def main() -> None:
        async with connection(Closing, side) as (_, protocol, peer):
            assert await protocol.lost is None
            assert await receive_to_end(peer) == b""
            assert protocol.calls == ["connection_made", "connection_lost"]

    run(main())


def test_write_and_close_in_connection_made(run: Run, side: str) -> None:
    class Greeting(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.write(b"goodbye")
            self.transport.close()

    async def main() -> None:
        async with connection(Greeting, side) as (_, protocol, peer):
            assert await receive_to_end(peer) == b"goodbye"
            assert await protocol.lost is None

    run(main())


def test_connection_lost_that_raises_is_reported_and_the_socket_closed(
    run: Run, side: str, asyncio_log: Log
) -> None:
    class Failing(Recorder):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            raise LookupError("failed")

    async def main() -> None:
        async with connection(Failing, side) as (transport, protocol, peer):
            transport.close()
            await protocol.lost
            assert await receive_to_end(peer) == b""

    run(main())
    assert any("connection_lost" in text for text in asyncio_log.messages)


def test_after_the_end_the_transport_answers(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            address = peer.getsockname()
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            assert transport.is_closing()
            assert not transport.is_reading()
            assert transport.get_write_buffer_size() == 0
            assert transport.get_extra_info("peername") == address
            assert "closed" in repr(transport)

    run(main())


def test_protocol_is_released_after_the_end(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, first, _):
            # The context manager holds on to the first protocol, so watch a second.
            protocol = Recorder()
            transport.set_protocol(protocol)
            reference = weakref.ref(protocol)
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            del protocol
            gc.collect()
            assert reference() is None
            assert transport.is_closing()
            assert not first.lost.done()

    run(main())


def test_transport_is_collected_after_the_end(run: Run, side: str) -> None:
    references: list[weakref.ref[asyncio.Transport]] = []

    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            references.append(weakref.ref(transport))
            transport.close()
            await protocol.lost

    run(main())
    gc.collect()
    assert references[0]() is None


def test_runner_with_an_open_transport_leaks_no_descriptor(
    loop_factory: LoopFactory, side: str
) -> None:
    # The check that follows each test counts descriptors.
    loop = loop_factory()

    async def main() -> None:
        context = connection(Recorder, side)
        transport, _, peer = await context.__aenter__()
        peer.close()
        transport.abort()
        await context.__aexit__(None, None, None)

    loop.run_until_complete(main())
    loop.close()


def test_repr_of_an_open_transport(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            number = transport.get_extra_info("socket").fileno()
            text = repr(transport)
            assert text.startswith(f"<{type(transport).__name__} fd={number} read=")
            assert "write=<idle, bufsize=0>" in text
            transport.close()
            assert "closing" in repr(transport)

    run(main())
