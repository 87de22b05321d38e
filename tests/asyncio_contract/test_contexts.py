"""In which context each callback of a transport runs."""

import asyncio
import contextvars
import sys

import pytest

from .conftest import Run
from .connections import SIDES, connection
from .recorders import Recorder

where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")

pytestmark = pytest.mark.parametrize("side", SIDES)


class Noting(Recorder):
    """Notes the context variable at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, str] = {}

    def note(self, call: str) -> None:
        self.seen[call] = where.get()
        super().note(call)


def test_connection_made_and_data_received_run_in_the_makers_context(run: Run, side: str) -> None:
    async def main() -> None:
        where.set("at creation")
        async with connection(Noting, side) as (_, protocol, peer):
            where.set("after creation")
            peer.send(b"x")
            await protocol.received(1)
            assert protocol.seen == {
                "connection_made": "at creation",
                "data_received": "at creation",
            }

    run(main())


def test_the_makers_context_is_copied(run: Run, side: str) -> None:
    class Setting(Noting):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            where.set("set by connection_made")

    async def main() -> None:
        where.set("at creation")
        async with connection(Setting, side) as (_, _protocol, _peer):
            assert where.get() == "at creation"

    run(main())


def test_data_received_after_resume_reading(run: Run, side: str) -> None:
    async def main() -> None:
        where.set("at creation")
        async with connection(Noting, side) as (transport, protocol, peer):
            transport.pause_reading()
            where.set("at resume")
            transport.resume_reading()
            peer.send(b"x")
            await protocol.received(1)
            # From 3.15 on a transport keeps the context that it began with.
            expected = "at creation" if sys.version_info >= (3, 15) else "at resume"
            assert protocol.seen["data_received"] == expected

    run(main())


def test_connection_lost_after_close(run: Run, side: str) -> None:
    async def main() -> None:
        where.set("at creation")
        async with connection(Noting, side) as (transport, protocol, _):
            where.set("at close")
            transport.close()
            await protocol.lost
            expected = "at creation" if sys.version_info >= (3, 15) else "at close"
            assert protocol.seen["connection_lost"] == expected

    run(main())


def test_end_of_file_and_what_follows_run_in_the_makers_context(run: Run, side: str) -> None:
    async def main() -> None:
        where.set("at creation")
        async with connection(Noting, side) as (_, protocol, peer):
            where.set("after creation")
            peer.close()
            await protocol.lost
            assert protocol.seen["eof_received"] == "at creation"
            assert protocol.seen["connection_lost"] == "at creation"

    run(main())


def test_pause_writing_runs_in_the_writers_context(run: Run, side: str) -> None:
    async def main() -> None:
        where.set("at creation")
        async with connection(Noting, side) as (transport, protocol, _):
            where.set("at write")
            transport.write(bytes(50_000_000))
            assert protocol.seen["pause_writing"] == "at write"

    run(main())
