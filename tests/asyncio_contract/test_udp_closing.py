"""Datagram endpoints: close(), abort(), and what comes after."""

import asyncio
import gc
import socket
import warnings
from pathlib import Path

import pytest

from .conftest import Log, Run, stdlib_fault
from .datagrams import address_of, close, drain, endpoint, stalled


def test_close_calls_connection_lost_once(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        assert not one[0].is_closing()
        one[0].close()
        assert one[0].is_closing()
        one[0].close()
        one[0].abort()
        assert one[1].calls == ["connection_made"]  # never from within close()
        assert await one[1].lost is None
        await asyncio.sleep(0)
        assert one[1].calls == ["connection_made", "connection_lost"]
        assert one[0].is_closing()
        assert one[0].get_write_buffer_size() == 0

    run(main())


def test_nothing_is_received_after_close(run: Run) -> None:
    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        two[0].sendto(b"data", address_of(one))
        one[0].close()
        await one[1].lost
        assert one[1].received == []
        await close(two)

    run(main())


def test_close_from_datagram_received_ends_the_receiving(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number in range(5):
                sock.sendto(b"%d" % number, address_of(one))
        await one[1].until(lambda: len(one[1].received) == 2)
        await close(one)
        count = len(one[1].received)
        await asyncio.sleep(0)
        assert len(one[1].received) == count < 5

    run(main())


@pytest.mark.parametrize("connected", [True, False])
def test_close_sends_what_waits_first(run: Run, tmp_path: Path, connected: bool) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            receiver = None if connected else peer.getsockname()
            for number in range(50):
                one[0].sendto(b"%d" % number, receiver)
            one[0].close()
            assert one[0].is_closing()
            # Still open for the caller, too: what is sent now comes after what waits.
            one[0].sendto(b"last", receiver)
            await asyncio.sleep(0)
            assert not one[1].lost.done()
            assert await drain(one, peer, 51) == [*[b"%d" % n for n in range(50)], b"last"]
            assert await one[1].lost is None

    run(main())


def test_abort_drops_what_waits(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, peer):
            one[0].sendto(b"dropped")
            one[0].abort()
            assert one[0].is_closing()
            assert await one[1].lost is None
            while True:
                try:
                    assert peer.recv(10) == b"x"
                except BlockingIOError:
                    break

    run(main())


def test_abort_after_close_drops_what_waits(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with stalled(tmp_path) as (one, _):
            one[0].close()
            one[0].abort()
            assert await one[1].lost is None

    run(main())


def test_aborted_buffer_is_empty(run: Run, loop_kind: str, tmp_path: Path) -> None:
    stdlib_fault(loop_kind, "still counts what it has dropped")

    async def main() -> None:
        async with stalled(tmp_path) as (one, _):
            one[0].abort()
            assert one[0].get_write_buffer_size() == 0

    run(main())


def test_sending_after_close_does_nothing_and_warns(run: Run, asyncio_log: Log) -> None:
    async def main() -> None:
        server = await endpoint()
        one = await endpoint(remote_addr=address_of(server))
        one[0].abort()
        for _ in range(7):
            one[0].sendto(b"data")
        with pytest.raises(ValueError, match="Invalid address"):
            one[0].sendto(b"data", ("127.0.0.1", 1))
        await one[1].lost
        await close(server)
        assert server[1].received == []

    run(main())
    # One was counted by abort() itself.
    assert asyncio_log.messages == ["socket.send() raised exception."] * 3


def test_sending_without_a_peer_after_the_end_does_nothing(
    run: Run, loop_kind: str, asyncio_log: Log
) -> None:
    stdlib_fault(loop_kind, "raises AttributeError from its own remains")

    async def main() -> None:
        one, two = await endpoint(), await endpoint()
        await close(one)
        for _ in range(7):
            one[0].sendto(b"data", address_of(two))
        await close(two)
        assert two[1].received == []

    run(main())
    assert asyncio_log.messages == ["socket.send() raised exception."] * 3


def test_unclosed_endpoint_warns_and_is_closed(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        sock = one[0].get_extra_info("socket")
        one[0].get_extra_info("socket")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loop = asyncio.get_running_loop()
            loop._remove_reader(sock.fileno())  # type: ignore[attr-defined]
            del one
            gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
        assert str(caught[0].message).startswith("unclosed transport <")
        assert sock.fileno() == -1

    run(main())


def test_connection_lost_may_use_the_transport(run: Run) -> None:
    async def main() -> None:
        one = await endpoint()
        lost = one[1].connection_lost
        seen: list[bool] = []

        def connection_lost(exc: Exception | None) -> None:
            seen.append(one[0].is_closing())
            one[0].close()
            one[0].abort()
            lost(exc)

        one[1].connection_lost = connection_lost  # type: ignore[method-assign]
        await close(one)
        assert seen == [True]

    run(main())
