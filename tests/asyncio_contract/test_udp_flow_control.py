"""Datagram endpoints: pause_writing and resume_writing, and what the buffer counts."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .datagrams import HEADER_BYTES, Datagrams, close, drain, endpoint, stalled

#: What waits in a stalled endpoint from the start.
ONE_BYTE = 1 + HEADER_BYTES


def flow_calls(protocol: Datagrams) -> list[str]:
    """Return the flow-control calls among those that `protocol` recorded."""
    return [call for call in protocol.calls if call.endswith("_writing")]


def test_limits(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        transport: Any = one[0]
        assert transport.get_write_buffer_limits() == (16384, 65536)
        for given, expected in [
            ({"high": 1000}, (250, 1000)),
            ({"low": 1000}, (1000, 4000)),
            ({"high": 0}, (0, 0)),
            ({}, (16384, 65536)),
            ({"high": 10**30}, (10**30 // 4, 10**30)),
        ]:
            transport.set_write_buffer_limits(**given)
            assert transport.get_write_buffer_limits() == expected
        for given in [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}]:
            with pytest.raises(ValueError, match="must be >= low"):
                transport.set_write_buffer_limits(**given)
        await close(one)

    run(main())


def test_buffer_counts_bytes_and_from_3_13_headers(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, _):
            transport = one[0]
            assert transport.get_write_buffer_size() == ONE_BYTE
            transport.sendto(bytes(100))
            assert transport.get_write_buffer_size() == ONE_BYTE + 100 + HEADER_BYTES
            transport.sendto(b"")
            expected = ONE_BYTE + 100 + 2 * HEADER_BYTES
            assert transport.get_write_buffer_size() == expected

    run(main())


def test_buffer_is_empty_when_all_is_sent(run: Run, loop_kind: str, tmp_path: Path) -> None:
    if sys.version_info[:2] == (3, 13):
        stdlib_fault(loop_kind, "of early 3.13 never forgets the headers")

    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            for number in range(20):
                one[0].sendto(b"%d" % number)
            await drain(one, peer, 20)
            await asyncio.sleep(0)
            assert one[0].get_write_buffer_size() == 0

    run(main())


def test_pause_comes_with_the_first_byte_above_high(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, _):
            transport, protocol = one
            transport.set_write_buffer_limits(high=ONE_BYTE + 100 + HEADER_BYTES)
            transport.sendto(bytes(100))
            assert flow_calls(protocol) == []
            transport.sendto(b"y")
            # At the call itself, not in a later turn.
            assert flow_calls(protocol) == ["pause_writing"]
            transport.sendto(bytes(100))
            assert flow_calls(protocol) == ["pause_writing"]

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="an empty datagram is not sent")
def test_empty_datagrams_fill_the_buffer_too(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, _):
            one[0].set_write_buffer_limits(high=100)
            for _ in range(20):
                one[0].sendto(b"")
            assert flow_calls(one[1]) == ["pause_writing"]

    run(main())


def test_new_limits_count_at_once(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, _):
            one[0].set_write_buffer_limits(high=ONE_BYTE)
            assert flow_calls(one[1]) == []
            one[0].set_write_buffer_limits(high=0)
            assert flow_calls(one[1]) == ["pause_writing"]

    run(main())


def test_resume_comes_at_low(run: Run, loop_kind: str, tmp_path: Path) -> None:
    if sys.version_info[:2] == (3, 13):
        stdlib_fault(loop_kind, "of early 3.13 never forgets the headers")

    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            transport, protocol = one
            low = 10 * ONE_BYTE
            transport.set_write_buffer_limits(high=2 * low, low=low)
            count = 0
            while not flow_calls(protocol):
                transport.sendto(b"y")
                count += 1
            sizes: list[int] = []
            resume = protocol.resume_writing

            def resume_writing() -> None:
                sizes.append(transport.get_write_buffer_size())
                resume()

            protocol.resume_writing = resume_writing  # type: ignore[method-assign]
            await drain(one, peer, count)
            await protocol.until(lambda: len(flow_calls(protocol)) == 2)
            assert flow_calls(protocol) == ["pause_writing", "resume_writing"]
            assert sizes[0] <= low

    run(main())


def test_pause_writing_that_raises_goes_to_the_handler(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        async with stalled(tmp_path) as (one, _):

            def pause_writing() -> None:
                raise ZeroDivisionError

            one[1].pause_writing = pause_writing  # type: ignore[method-assign]
            one[0].set_write_buffer_limits(high=0)
        (context,) = contexts
        assert context["message"] == "protocol.pause_writing() failed"
        assert isinstance(context["exception"], ZeroDivisionError)
        assert context["transport"] is one[0]

    run(main())


def test_what_waits_is_as_it_was_when_sent(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            data = bytearray(b"before")
            one[0].sendto(data)
            one[0].sendto(memoryview(data))
            data[:] = b"after!"
            assert await drain(one, peer, 2) == [b"before", b"before"]

    run(main())


def test_nothing_overtakes_what_waits(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            one[0].sendto(b"first")
            while True:  # there is room now, but the first one goes first
                try:
                    peer.recv(10)
                except BlockingIOError:
                    break
            one[0].sendto(b"second")
            assert await drain(one, peer, 2) == [b"first", b"second"]

    run(main())
