"""Loops in several threads at once, and threads that reach into a loop which is not theirs."""

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest

from .conftest import LoopFactory, stdlib_fault

T = TypeVar("T")

Loop = asyncio.AbstractEventLoop

THREADS = 4


def in_parallel(work: Callable[[int], T]) -> list[T]:
    """Call `work` with 0, 1, ... in as many threads, begun together, and return the results."""
    begin = threading.Barrier(THREADS)

    def one(number: int) -> T:
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as executor:
        return list(executor.map(one, range(THREADS)))


@contextmanager
def running_elsewhere(loop: Loop) -> Iterator[None]:
    """Run `loop` in another thread meanwhile."""
    started = threading.Event()
    loop.call_soon(started.set)
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(loop.run_forever)
        started.wait()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            run.result()


def needs_locked_handles(loop_kind: str) -> None:
    """Skip on stdlib loops whose handles another thread cannot cancel safely."""
    if sys.version_info < (3, 14):
        stdlib_fault(loop_kind, "runs None when a handle is cancelled as it begins to run")


def test_each_loop_serves_its_own_connections(
    loop_factory: LoopFactory, switch_interval: None
) -> None:
    async def main(number: int) -> list[bytes]:
        answered = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line.upper())
            writer.close()
            await writer.wait_closed()
            answered.set()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            lines = []
            for count in range(50):
                writer.write(b"loop %d line %d\n" % (number, count))
                lines.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
            await answered.wait()
            return lines

    def work(number: int) -> list[bytes]:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main(number))

    for number, lines in enumerate(in_parallel(work)):
        assert lines == [b"LOOP %d LINE %d\n" % (number, count) for count in range(50)]


def test_each_loop_runs_its_own_tasks_and_timers(
    loop_factory: LoopFactory, switch_interval: None
) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def step(count: int) -> int:
        await asyncio.sleep(0 if count % 2 else 1e-6)
        assert asyncio.get_running_loop() is not None
        return count + variable.get()

    async def main(number: int) -> int:
        variable.set(number)
        return sum(await asyncio.gather(*(step(count) for count in range(500))))

    def work(number: int) -> int:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main(number))

    assert in_parallel(work) == [sum(range(500)) + 500 * number for number in range(THREADS)]


def test_loops_are_made_and_closed_in_parallel(loop_factory: LoopFactory) -> None:
    def work(_: int) -> int:
        ran: list[int] = []
        for count in range(20):
            loop = loop_factory()
            loop.call_soon(ran.append, count)
            loop.call_soon(loop.stop)
            loop.run_forever()
            loop.close()
        return len(ran)

    assert in_parallel(work) == [20] * THREADS


def test_loops_pass_a_token_around(loop_factory: LoopFactory, switch_interval: None) -> None:
    loops = [loop_factory() for _ in range(THREADS)]
    rounds = 200
    passed: list[list[int]] = [[] for _ in loops]

    def take(who: int, count: int) -> None:
        passed[who].append(count)
        following = (who + 1) % THREADS
        if count < rounds * THREADS:
            loops[following].call_soon_threadsafe(take, following, count + 1)
        else:
            for loop in loops:
                loop.call_soon_threadsafe(loop.stop)

    loops[0].call_soon_threadsafe(take, 0, 1)
    in_parallel(lambda who: loops[who].run_forever())
    for loop in loops:
        loop.close()
    for who, counts in enumerate(passed):
        assert counts == list(range(who + 1, rounds * THREADS + 1, THREADS))


def test_every_callback_of_many_threads_runs_once(loop: Loop, switch_interval: None) -> None:
    ran: list[tuple[int, int]] = []
    each = 500
    with running_elsewhere(loop):

        def work(number: int) -> None:
            for count in range(each):
                loop.call_soon_threadsafe(lambda *who: ran.append(who), number, count)

        in_parallel(work)
    for number in range(THREADS):
        assert [count for who, count in ran if who == number] == list(range(each))


def test_callbacks_cancelled_by_other_threads_before_their_turn_never_run(
    loop: Loop, switch_interval: None
) -> None:
    ran: list[int] = []
    busy, go_on = threading.Event(), threading.Event()

    def keep_busy() -> None:
        busy.set()
        go_on.wait()

    with running_elsewhere(loop):
        loop.call_soon_threadsafe(keep_busy)
        busy.wait()

        def work(number: int) -> None:
            for _ in range(200):
                handle = loop.call_soon_threadsafe(ran.append, number)
                handle.cancel()
                assert handle.cancelled()

        try:
            in_parallel(work)
        finally:
            go_on.set()
    assert ran == []


def test_a_callback_cancelled_as_it_begins_gets_its_own_arguments_or_none(
    loop: Loop, loop_kind: str, switch_interval: None
) -> None:
    needs_locked_handles(loop_kind)
    ran: list[tuple[object, ...]] = []

    with running_elsewhere(loop):

        def work(number: int) -> None:
            for count in range(500):
                handle = loop.call_soon_threadsafe(lambda *got: ran.append(got), number, count)
                handle.cancel()
                assert handle.cancelled()

        in_parallel(work)
    assert len(set(ran)) == len(ran)
    assert set(ran) <= {(number, count) for number in range(THREADS) for count in range(500)}


def test_threads_that_cancel_the_same_handle_free_its_arguments_once(
    loop: Loop, loop_kind: str, switch_interval: None
) -> None:
    needs_locked_handles(loop_kind)

    class Argument:
        pass

    freed: list[weakref.ref[Argument]] = []
    handles: list[asyncio.Handle] = []

    def cancel_all(_: int) -> None:
        for handle in handles:
            handle.cancel()

    with running_elsewhere(loop):
        for _ in range(50):
            arguments = [Argument() for _ in range(20)]
            freed.extend(map(weakref.ref, arguments))
            handles[:] = [loop.call_soon_threadsafe(id, argument) for argument in arguments]
            in_parallel(cancel_all)
            assert all(handle.cancelled() for handle in handles)
        del arguments
    gc.collect()
    assert [reference() for reference in freed] == [None] * 1000


def test_a_timer_can_be_looked_at_and_cancelled_while_it_comes_due(
    loop: Loop, loop_kind: str, switch_interval: None
) -> None:
    needs_locked_handles(loop_kind)
    handles: list[asyncio.TimerHandle] = []

    def schedule(made: threading.Event) -> None:
        handles[:] = [loop.call_later(1e-6 * delay, int, "7", delay) for delay in range(8, 37)]
        made.set()

    with running_elsewhere(loop):
        for _ in range(20):
            made = threading.Event()
            loop.call_soon_threadsafe(schedule, made)
            made.wait()

            def work(number: int) -> None:
                for handle in handles:
                    assert "TimerHandle" in repr(handle)
                    if number:
                        handle.cancel()
                        assert handle.cancelled()

            in_parallel(work)


def test_handles_are_weakly_referenced_from_other_threads(
    loop: Loop, switch_interval: None
) -> None:
    references: list[weakref.ref[asyncio.Handle]] = []

    with running_elsewhere(loop):

        def work(_: int) -> None:
            for _ in range(200):
                reference = weakref.ref(loop.call_soon_threadsafe(int))
                alive = reference()
                assert alive is None or isinstance(alive, asyncio.Handle)
                references.append(reference)

        in_parallel(work)
    gc.collect()
    assert [reference() for reference in references] == [None] * (200 * THREADS)


def test_garbage_is_collected_while_loops_run(
    loop_factory: LoopFactory, switch_interval: None
) -> None:
    class Node:
        handle: asyncio.Handle

        def method(self) -> None:
            pass

    references: list[weakref.ref[Node]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(200):
            node = Node()
            node.handle = loop.call_soon(node.method)
            references.append(weakref.ref(node))
            await asyncio.sleep(0)

    def work(number: int) -> None:
        if number == 0:
            for _ in range(20):
                gc.collect()
        else:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(main())

    in_parallel(work)
    gc.collect()
    assert len(references) == 200 * (THREADS - 1)
    assert [reference() for reference in references] == [None] * len(references)


@pytest.mark.parametrize("name", ["is_running", "is_closed", "get_debug", "time"])
def test_state_is_read_from_any_thread(loop: Loop, name: str) -> None:
    with running_elsewhere(loop):
        results = in_parallel(lambda _: [type(getattr(loop, name)()) for _ in range(200)])
    kind = float if name == "time" else bool
    assert results == [[kind] * 200] * THREADS
