"""Loops that are closed, dropped or run again with everything pending: nothing stays behind."""

import asyncio
import gc
import os
import signal
import socket
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest

from .conftest import Log, LoopFactory, counts, stdlib_fault
from .test_life_cycle import run_program

Loop = asyncio.AbstractEventLoop


class Tracked(asyncio.Protocol, asyncio.DatagramProtocol):
    """A protocol that a weak reference can follow."""


async def everything(loop: Loop, folder: Path) -> list[Any]:
    """Open one of each, leave it open, and return what is to be looked for later."""
    left, right = socket.socketpair()
    left.setblocking(False)
    loop.add_reader(left, print)
    loop.add_writer(right, left.fileno)
    loop.remove_writer(right)
    server = await loop.create_server(Tracked, "127.0.0.1", 0)
    unix = await loop.create_unix_server(Tracked, str(folder / "socket"))
    client, protocol = await loop.create_connection(Tracked, *server.sockets[0].getsockname())
    datagrams, _ = await loop.create_datagram_endpoint(Tracked, ("127.0.0.1", 0))
    read, write = os.pipe()
    reading, _ = await loop.connect_read_pipe(Tracked, os.fdopen(read, "rb", 0))
    writing, _ = await loop.connect_write_pipe(Tracked, os.fdopen(write, "wb", 0))
    writing.write(bytes(1_000_000))
    client.write(bytes(10_000_000))
    loop.call_later(300, print)
    loop.call_soon(print)
    task = loop.create_task(asyncio.Event().wait())
    receiving = loop.create_task(loop.sock_recv(left, 1))
    await asyncio.sleep(0)
    generator = endless()
    await anext(generator)
    loop.add_signal_handler(signal.SIGUSR1, print)
    return [
        *(left, right, server, unix, client, protocol, datagrams),
        *(reading, writing, task, receiving, generator),
    ]


async def endless() -> Any:
    while True:
        yield 1


@pytest.mark.parametrize("ending", ["close", "drop"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_everything_pending_is_released(
    loop_factory: LoopFactory, tmp_path: Path, ending: str, asyncio_log: Log
) -> None:
    gc.collect()
    before = counts()
    loop = loop_factory()
    opened = loop.run_until_complete(everything(loop, tmp_path))
    alive = [weakref.ref(each) for each in [loop, *opened] if type(each).__name__ != "socket"]
    for task in opened:
        if isinstance(task, asyncio.Task):
            # It would be reported as destroyed, which is right, and tested elsewhere.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    if ending == "close":
        loop.close()
    else:
        # A handler is in the hands of the signal module.
        loop.remove_signal_handler(signal.SIGUSR1)
    for each in opened:
        if isinstance(each, socket.socket):
            each.close()
    del loop, opened, task, each
    for _ in range(3):
        gc.collect()
    assert [ref() for ref in alive if ref() is not None] == []
    assert counts() == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_hundreds_of_loops_leave_nothing(loop_factory: LoopFactory) -> None:
    gc.collect()
    before = counts()
    for number in range(300):
        loop = loop_factory()
        loop.call_later(300, print)
        if number % 2:
            loop.run_until_complete(asyncio.sleep(0))
        if number % 3:
            loop.close()
    del loop
    assert counts() == before


def test_a_loop_in_a_cycle_is_collected(loop_factory: LoopFactory) -> None:
    class Holder:
        pass

    holder: Any = Holder()
    holder.loop = loop_factory()
    holder.loop.call_soon(setattr, holder, "ran", True)
    holder.loop.holder = holder
    ref = weakref.ref(holder.loop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del holder
        gc.collect()
    assert ref() is None


def test_an_unclosed_loop_warns_and_is_closed(loop_factory: LoopFactory) -> None:
    loops = [loop_factory()]
    loops[0].run_until_complete(asyncio.sleep(0.001))
    # A loop and what it has are a cycle: it goes with the reference, or with the next collection.
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        collect(loops)


def collect(loops: list[Loop]) -> None:
    loops.clear()
    gc.collect()


def test_a_stopped_loop_goes_on_where_it_was(loop: Loop) -> None:
    ran: list[str] = []

    async def worker() -> str:
        for number in range(3):
            ran.append(f"worker {number}")
            await asyncio.sleep(0)
        return "done"

    task = loop.create_task(worker())
    timer = loop.call_later(0.01, ran.append, "timer")
    for _ in range(2):
        loop.call_soon(loop.stop)
        loop.run_forever()
    # On a busy machine the timer may be due by now.
    assert [each for each in ran if each != "timer"] == ["worker 0", "worker 1"]
    assert not task.done()
    assert loop.run_until_complete(task) == "done"
    loop.call_at(timer.when() + 0.001, loop.stop)
    loop.run_forever()
    assert sorted(ran) == ["timer", "worker 0", "worker 1", "worker 2"]


def test_transports_go_on_in_the_next_run(loop: Loop) -> None:
    async def connect() -> Any:
        left, right = socket.socketpair()
        right.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=left)
        return reader, writer, right

    reader, writer, peer = loop.run_until_complete(connect())
    peer.send(b"while it was stopped\n")
    assert loop.run_until_complete(reader.readline()) == b"while it was stopped\n"
    writer.close()
    loop.run_until_complete(writer.wait_closed())
    peer.close()


def test_two_loops_in_two_threads_talk(loop_factory: LoopFactory) -> None:
    rounds = 200
    loops = [loop_factory(), loop_factory()]
    counted = [0, 0]
    done = threading.Event()

    def ball(which: int, number: int) -> None:
        counted[which] += 1
        assert asyncio.get_running_loop() is loops[which]
        if number == 0:
            done.set()
        else:
            loops[1 - which].call_soon_threadsafe(ball, 1 - which, number - 1)

    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    for thread in threads:
        thread.start()
    loops[0].call_soon_threadsafe(ball, 0, rounds)
    assert done.wait(20)
    for loop, thread in zip(loops, threads, strict=True):
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert counted == [rounds // 2 + 1, rounds // 2]


EXITS = {
    "children and signals": """
import asyncio, signal
loop = Loop()
async def main():
    keep.append(await asyncio.create_subprocess_exec("sleep", "0.2", stdin=-1, stdout=-1))
    loop.add_signal_handler(signal.SIGUSR1, print)
    keep.append(loop.run_in_executor(None, int))
keep = []
loop.run_until_complete(main())
print("done", flush=True)
""",
    "datagrams and pipes": """
import asyncio, os
loop = Loop()
async def main():
    keep.append(await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)))
    read, write = os.pipe()
    keep.append(await loop.connect_read_pipe(asyncio.Protocol, os.fdopen(read, "rb", 0)))
    keep.append(await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write, "wb", 0)))
    keep[-1][0].write(bytes(1_000_000))
keep = []
loop.run_until_complete(main())
print("done", flush=True)
""",
    "a generator and a task": """
import asyncio
loop = Loop()
async def endless():
    try:
        while True:
            yield 1
    finally:
        pass
async def main():
    keep.append(endless())
    await anext(keep[0])
    keep.append(loop.create_task(asyncio.sleep(300)))
keep = []
loop.run_until_complete(main())
print("done", flush=True)
""",
    "an exception out of a callback": """
import asyncio
loop = Loop()
loop.call_later(300, print)
loop.call_soon(lambda: 1 / 0)
loop.call_soon(loop.stop)
loop.set_exception_handler(lambda *_: print("done", flush=True))
loop.run_forever()
""",
}


@pytest.mark.parametrize("what", EXITS)
def test_exit_with_this_pending_is_clean(loop_kind: str, what: str) -> None:
    if "children" in what:
        stdlib_fault(loop_kind, "complains at exit of transports whose loop is closed")
    done = run_program(loop_kind, EXITS[what], "-W", "ignore")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "panicked" not in done.stderr
    assert "Traceback" not in done.stderr
