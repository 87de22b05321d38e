"""`_transports`, in which some libraries look for the connections of a loop."""

import asyncio
import gc
from typing import Any

from .conftest import Run
from .connections import connection
from .datagrams import close, endpoint
from .recorders import Recorder


def test_each_transport_is_found_by_its_descriptor(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        table = loop._transports
        assert list(table) == list(table.values()) == []
        async with connection(Recorder) as (stream, _, _peer):
            datagrams = await endpoint()
            found = {
                transport.get_extra_info("socket").fileno(): transport
                for transport in (stream, datagrams[0])
            }
            assert len(table) == 2
            assert set(table) == set(table.keys()) == set(found)
            assert dict(table) == dict(table.items()) == found
            assert set(table.values()) == set(found.values())
            for fd, transport in found.items():
                assert fd in table
                assert table[fd] is table.get(fd) is transport
            await close(datagrams)

    run(main())


def test_transports_may_go_while_one_looks(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with connection(Recorder) as (first, _, _), connection(Recorder) as (second, _, _):
            seen = []
            for fd in loop._transports:
                del loop._transports[fd]
                seen.append(fd)
                break
            assert len(loop._transports) == 1
            left = next(iter(loop._transports.values()))
            assert left in (first, second)
            assert left.get_extra_info("socket").fileno() not in seen

    run(main())


def test_it_keeps_no_transport_alive(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, protocol, _peer):
            transport.abort()
            await protocol.lost
        del transport, protocol
        await asyncio.sleep(0)
        gc.collect()
        assert len(loop._transports) == 0
        assert list(loop._transports.items()) == []

    run(main())
