"""The order in which callbacks, descriptors, timers and transports take their turns."""

import asyncio
import socket

import pytest

from .conftest import Pair, Run
from .connections import SIDES, connection, listening_socket
from .recorders import Recorder
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def test_ready_then_descriptors_then_timers(loop: Loop, pair: Pair) -> None:
    left, right = pair
    ran: list[str] = []
    loop.add_reader(left, ran.append, "reader")
    right.send(b"x")
    loop.call_at(loop.time() - 1, ran.append, "timer")
    loop.call_soon(ran.append, "ready")
    run_turns(loop, 1)
    loop.remove_reader(left)
    assert ran == ["ready", "reader", "timer"]


@pytest.mark.parametrize("kind", ["reader", "writer"])
def test_what_is_ready_when_it_is_first_watched_has_its_place_in_the_next_turn(
    loop: Loop, pair: Pair, kind: str
) -> None:
    left, right = pair
    right.send(b"x")
    order: list[str] = []

    def watch() -> None:
        add = loop.add_reader if kind == "reader" else loop.add_writer
        add(left, ready)
        loop.call_soon(again, "next turn", "the one after")

    def again(*notes: str) -> None:
        order.append(notes[0])
        if notes[1:]:
            loop.call_soon(again, *notes[1:])
        else:
            loop.stop()

    def ready() -> None:
        order.append(kind)
        loop.remove_reader(left)
        loop.remove_writer(left)

    loop.call_soon(watch)
    loop.run_forever()
    assert order == ["next turn", kind, "the one after"]


def test_what_a_new_connection_has_to_say_comes_before_the_end_of_an_older_one(run: Run) -> None:
    """As a program finds out that replaces one connection by another, and closes the old one."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[str] = []

        class Protocol(asyncio.Protocol):
            def __init__(self, name: str) -> None:
                self.name = name
                self.lost = loop.create_future()

            def data_received(self, data: bytes) -> None:
                told.append(f"{self.name} data")

            def connection_lost(self, exc: Exception | None) -> None:
                told.append(f"{self.name} lost")
                self.lost.set_result(None)

        old_end, old = socket.socketpair()
        new_end, new = socket.socketpair()
        with old_end, new_end:
            new_end.send(b"x")
            first, old_protocol = await loop.connect_read_pipe(
                lambda: Protocol("old"), old.makefile("rb", buffering=0)
            )
            old.close()
            second, new_protocol = await loop.connect_read_pipe(
                lambda: Protocol("new"), new.makefile("rb", buffering=0)
            )
            new.close()
            first.close()
            await old_protocol.lost
            assert told == ["new data", "old lost"]
            second.close()
            await new_protocol.lost

    run(main())


def test_what_a_reader_schedules_waits_for_the_next_turn(loop: Loop, pair: Pair) -> None:
    left, right = pair
    ran: list[str] = []

    def read() -> None:
        left.recv(1)
        ran.append("reader")
        loop.call_soon(ran.append, "from the reader")

    loop.add_reader(left, read)
    right.send(b"x")
    loop.call_at(loop.time() - 1, ran.append, "timer")
    run_turns(loop, 2)
    loop.remove_reader(left)
    assert ran == ["reader", "timer", "from the reader"]


def test_what_a_callback_schedules_comes_after_due_timers(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_soon(lambda: loop.call_soon(ran.append, "second turn"))
    loop.call_at(loop.time() - 1, ran.append, "timer")
    run_turns(loop, 2)
    assert ran == ["timer", "second turn"]


def test_connection_made_comes_a_turn_before_the_return(run: Run) -> None:
    ran: list[str] = []

    class Noting(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            ran.append("connection_made")
            asyncio.get_running_loop().call_soon(ran.append, "from connection_made")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            transport, protocol = await loop.create_connection(Noting, *listener.getsockname())
            ran.append("returned")
            transport.close()
            await protocol.lost

    run(main())
    assert ran == ["connection_made", "from connection_made", "returned"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("end", ["close", "abort"])
def test_connection_lost_takes_its_place_in_the_queue(run: Run, side: str, end: str) -> None:
    ran: list[str] = []

    class Noting(Recorder):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            ran.append("connection_lost")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Noting, side) as (transport, protocol, _):
            loop.call_soon(ran.append, "before")
            getattr(transport, end)()
            loop.call_soon(ran.append, "after")
            await protocol.lost

    run(main())
    assert ran == ["before", "connection_lost", "after"]


@pytest.mark.parametrize("side", SIDES)
def test_data_received_runs_after_ready_callbacks(run: Run, loop_kind: str, side: str) -> None:
    ran: list[str] = []

    class Noting(Recorder):
        def data_received(self, data: bytes) -> None:
            ran.append("data_received")
            super().data_received(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Noting, side) as (_, protocol, peer):
            # Let the transport start to read.
            for _ in range(3):
                await asyncio.sleep(0)
            peer.send(b"x")
            loop.call_at(loop.time() - 1, ran.append, "timer")
            loop.call_soon(ran.append, "ready")
            await protocol.received(1)
            await asyncio.sleep(0)

    run(main())
    assert ran[0] == "ready"
    # Differs: rsloop skips some polls while callbacks are ready, so a timer may overtake.
    assert ran[1:] == ["data_received", "timer"] or (
        loop_kind == "rsloop" and ran[1:] == ["timer", "data_received"]
    )


def test_reading_starts_after_connection_made(run: Run) -> None:
    # Data that waits in the kernel must not overtake what connection_made schedules.
    ran: list[str] = []

    class Noting(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            asyncio.get_running_loop().call_soon(ran.append, "from connection_made")

        def data_received(self, data: bytes) -> None:
            ran.append("data_received")
            super().data_received(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        right.send(b"already there")
        with right:
            transport, protocol = await loop.create_connection(Noting, sock=left)
            await protocol.received(13)
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)

    run(main())
    assert ran == ["from connection_made", "data_received"]


def test_tasks_wake_in_the_order_of_their_events(run: Run) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(5)]
        woken: list[str] = []

        async def wait(number: int) -> None:
            await futures[number]
            woken.append(str(number))

        tasks = [asyncio.ensure_future(wait(number)) for number in range(5)]
        await asyncio.sleep(0)
        for number in (3, 1, 4, 0, 2):
            futures[number].set_result(None)
        await asyncio.wait(tasks)
        return woken

    assert run(main()) == ["3", "1", "4", "0", "2"]
