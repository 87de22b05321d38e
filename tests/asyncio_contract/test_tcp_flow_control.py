"""pause_writing and resume_writing: called exactly at the limits, once each."""

import asyncio
import socket
import sys
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .connections import SIDES, connection
from .recorders import Recorder, fill_kernel_buffer, receive_exactly

pytestmark = pytest.mark.parametrize("side", SIDES)


def flow_calls(protocol: Recorder) -> list[str]:
    """Return the flow-control calls among those that `protocol` recorded."""
    return [call for call in protocol.calls if call.endswith("_writing")]


def test_default_limits(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            assert transport.get_write_buffer_limits() == (16384, 65536)

    run(main())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (16384, 65536)),
        ({"high": 1000}, (250, 1000)),
        ({"low": 1000}, (1000, 4000)),
        ({"high": 1000, "low": 10}, (10, 1000)),
        ({"high": 0}, (0, 0)),
        ({"high": 0, "low": 0}, (0, 0)),
        ({"high": 5, "low": 5}, (5, 5)),
    ],
)
def test_limits_follow_from_each_other(
    run: Run, side: str, given: dict[str, int], expected: tuple[int, int]
) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            transport.set_write_buffer_limits(**given)
            assert transport.get_write_buffer_limits() == expected

    run(main())


@pytest.mark.parametrize(
    "given", [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}, {"high": 10, "low": -1}]
)
def test_impossible_limits_are_refused(run: Run, side: str, given: dict[str, int]) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, _peer):
            with pytest.raises(ValueError, match="must be >= low"):
                transport.set_write_buffer_limits(**given)
            assert transport.get_write_buffer_limits() == (16384, 65536)

    run(main())


def test_pause_comes_with_the_first_byte_above_high(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            transport.set_write_buffer_limits(high=100, low=50)
            fill_kernel_buffer(transport)
            transport.write(bytes(100))
            assert transport.get_write_buffer_size() == 100
            assert flow_calls(protocol) == []
            transport.write(b"x")
            # At the call itself, not in a later turn.
            assert flow_calls(protocol) == ["pause_writing"]
            transport.write(bytes(1000))
            assert transport.get_write_buffer_size() == 1101
            assert flow_calls(protocol) == ["pause_writing"]

    run(main())


def test_pause_by_writelines(run: Run, side: str, loop_kind: str) -> None:
    if (3, 12) <= sys.version_info < (3, 14):
        stdlib_fault(loop_kind, "of early 3.12 and 3.13 forgets the limits in writelines")

    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            transport.set_write_buffer_limits(high=100, low=50)
            fill_kernel_buffer(transport)
            transport.writelines([bytes(60), bytes(60)])
            assert transport.get_write_buffer_size() == 120
            assert flow_calls(protocol) == ["pause_writing"]

    run(main())


def test_zero_high_pauses_with_any_byte_left(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=0)
            transport.write(b"goes out at once")
            assert flow_calls(protocol) == []
            await receive_exactly(peer, 16)
            filled = fill_kernel_buffer(transport)
            transport.write(b"x")
            assert flow_calls(protocol) == ["pause_writing"]
            await receive_exactly(peer, filled + 1)
            await protocol.until(lambda: len(flow_calls(protocol)) == 2)
            assert flow_calls(protocol) == ["pause_writing", "resume_writing"]

    run(main())


def test_resume_comes_when_low_is_reached(run: Run, side: str) -> None:
    sizes: list[int] = []

    class Watching(Recorder):
        def resume_writing(self) -> None:
            sizes.append(self.transport.get_write_buffer_size())
            super().resume_writing()

    async def main() -> None:
        async with connection(Watching, side) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=200_000, low=100_000)
            filled = fill_kernel_buffer(transport)
            transport.write(bytes(300_000))
            assert flow_calls(protocol) == ["pause_writing"]
            await receive_exactly(peer, filled + 300_000)
            await protocol.until(lambda: len(flow_calls(protocol)) == 2)
            assert sizes[0] <= 100_000
            assert flow_calls(protocol) == ["pause_writing", "resume_writing"]
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_lowering_the_limits_pauses_what_is_above_them(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, protocol, _):
            fill_kernel_buffer(transport)
            transport.write(bytes(1000))
            assert flow_calls(protocol) == []
            transport.set_write_buffer_limits(high=999)
            assert flow_calls(protocol) == ["pause_writing"]

    run(main())


def test_writing_inside_resume_writing(run: Run, side: str) -> None:
    class Writing(Recorder):
        left = 5

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.left:
                self.left -= 1
                self.transport.write(bytes(1_000_000))

    async def main() -> None:
        async with connection(Writing, side) as (transport, protocol, peer):
            # Small enough that no write below fits the kernel's buffers.
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            filled = fill_kernel_buffer(transport)
            transport.write(bytes(1_000_000))
            await receive_exactly(peer, filled + 6_000_000)
            assert flow_calls(protocol) == ["pause_writing", "resume_writing"] * 6

    run(main())


def test_pause_writing_that_raises_is_reported_and_writing_goes_on(
    run: Run, side: str, asyncio_log: Log
) -> None:
    class Failing(Recorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            raise LookupError("failed")

    async def main() -> None:
        async with connection(Failing, side) as (transport, protocol, peer):
            filled = fill_kernel_buffer(transport)
            transport.write(bytes(100_000))
            assert not transport.is_closing()
            await receive_exactly(peer, filled + 100_000)
            await protocol.until(lambda: "resume_writing" in protocol.calls)

    run(main())
    assert "pause_writing() failed" in asyncio_log.messages[0]


def test_resume_writing_that_raises_is_reported(run: Run, side: str, asyncio_log: Log) -> None:
    class Failing(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            raise LookupError("failed")

    async def main() -> None:
        async with connection(Failing, side) as (transport, protocol, peer):
            filled = fill_kernel_buffer(transport)
            transport.write(bytes(100_000))
            await receive_exactly(peer, filled + 100_000)
            await protocol.until(lambda: "resume_writing" in protocol.calls)
            assert not transport.is_closing()

    run(main())
    assert "resume_writing() failed" in asyncio_log.messages[0]


def test_stream_writers_drain_waits_for_the_peer(run: Run, side: str) -> None:
    async def main() -> None:
        async with connection(Recorder, side) as (transport, _, peer):
            loop = asyncio.get_running_loop()
            protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
            protocol.connection_made(transport)
            transport.set_protocol(protocol)
            writer = asyncio.StreamWriter(transport, protocol, None, loop)
            filled = fill_kernel_buffer(transport)
            writer.write(bytes(200_000))
            draining: asyncio.Future[Any] = asyncio.ensure_future(writer.drain())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not draining.done()
            await receive_exactly(peer, filled + 200_000)
            await draining

    run(main())
