"""call_soon_threadsafe: order, wake-ups from other threads, refusal after close."""

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from .turns import run_turns

Loop = asyncio.AbstractEventLoop


@pytest.fixture
def distant_timer(loop: Loop) -> Iterator[None]:
    """Keep a timer pending that is far beyond any test's time limit."""
    handle = loop.call_later(300, pytest.fail, "the distant timer fired")
    yield
    handle.cancel()


def test_order_is_shared_with_call_soon_on_the_same_thread(loop: Loop) -> None:
    ran: list[int] = []
    for number in range(0, 30, 3):
        loop.call_soon(ran.append, number)
        loop.call_soon_threadsafe(ran.append, number + 1)
        loop.call_soon(ran.append, number + 2)
    run_turns(loop, 1)
    assert ran == list(range(30))


def test_order_is_shared_with_call_soon_inside_a_callback(loop: Loop) -> None:
    ran: list[str] = []

    def schedule() -> None:
        loop.call_soon_threadsafe(ran.append, "threadsafe 1")
        loop.call_soon(ran.append, "soon 1")
        loop.call_soon_threadsafe(ran.append, "threadsafe 2")
        loop.call_soon(ran.append, "soon 2")
        loop.call_soon(loop.stop)

    loop.call_soon(schedule)
    loop.run_forever()
    assert ran == ["threadsafe 1", "soon 1", "threadsafe 2", "soon 2"]


def test_idle_loop_with_a_distant_timer_wakes(loop: Loop, distant_timer: None) -> None:
    ran: list[int] = []
    idle = threading.Event()

    def other_thread() -> None:
        idle.wait()
        loop.call_soon_threadsafe(ran.append, threading.get_ident())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other_thread)
    thread.start()
    loop.call_soon(idle.set)
    loop.run_forever()
    thread.join()
    assert ran == [thread.ident]


def test_ten_thousand_wakes_of_an_idle_loop(loop: Loop, distant_timer: None) -> None:
    # Each wake waits for the one before, so the loop falls asleep between them.
    turns = 10_000
    ran = 0
    asked = threading.Semaphore(0)

    def answer() -> None:
        nonlocal ran
        ran += 1
        if ran == turns:
            loop.stop()
        asked.release()

    def other_thread() -> None:
        for _ in range(turns):
            loop.call_soon_threadsafe(answer)
            asked.acquire()

    thread = threading.Thread(target=other_thread)
    thread.start()
    loop.run_forever()
    thread.join()
    assert ran == turns


def test_each_threads_callbacks_keep_their_order(loop: Loop, switch_interval: None) -> None:
    ran: list[tuple[int, int]] = []
    threads, each = 4, 500
    finished = 0

    def finish() -> None:
        nonlocal finished
        finished += 1
        if finished == threads:
            loop.stop()

    def other_thread(name: int) -> None:
        for number in range(each):
            loop.call_soon_threadsafe(lambda pair: ran.append(pair), (name, number))
        loop.call_soon_threadsafe(finish)

    workers = [threading.Thread(target=other_thread, args=(name,)) for name in range(threads)]
    for worker in workers:
        worker.start()
    loop.run_forever()
    for worker in workers:
        worker.join()
    assert len(ran) == threads * each
    for name in range(threads):
        assert [number for who, number in ran if who == name] == list(range(each))


def test_callbacks_posted_before_the_run_are_not_lost(loop: Loop) -> None:
    ran: list[str] = []
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(ran.append, "posted"))
    thread.start()
    thread.join()
    run_turns(loop, 1)
    assert ran == ["posted"]


def test_a_posted_callback_can_be_cancelled(loop: Loop) -> None:
    handle = loop.call_soon_threadsafe(pytest.fail, "a cancelled callback ran")
    handle.cancel()
    assert handle.cancelled()
    run_turns(loop, 2)


def test_stop_from_another_thread(loop: Loop, distant_timer: None) -> None:
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert not loop.is_running()


def test_context_is_the_one_given(loop: Loop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    got: list[str] = []
    loop.call_soon_threadsafe(lambda: got.append(variable.get()), context=context)
    loop.call_soon_threadsafe(lambda: got.append(variable.get()))
    run_turns(loop, 1)
    assert got == ["given", "none"]


def test_closed_loop_refuses_from_any_thread(loop: Loop) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon_threadsafe(lambda: None)
    refused: list[str] = []

    def other_thread() -> None:
        try:
            loop.call_soon_threadsafe(lambda: None)
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    assert refused == ["Event loop is closed"]


def test_posting_races_with_close(loop: Loop, switch_interval: None) -> None:
    started = threading.Barrier(3)
    refused = 0

    def other_thread() -> None:
        nonlocal refused
        started.wait()
        try:
            while True:
                loop.call_soon_threadsafe(lambda: None)
        except RuntimeError:
            refused += 1

    threads = [threading.Thread(target=other_thread) for _ in range(2)]
    for thread in threads:
        thread.start()
    started.wait()
    run_turns(loop, 20)
    loop.close()
    for thread in threads:
        thread.join()
    assert refused == 2


def test_run_coroutine_threadsafe(loop: Loop, distant_timer: None) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    results: list[int] = []

    def other_thread() -> None:
        results.append(asyncio.run_coroutine_threadsafe(double(21), loop).result())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other_thread)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [42]


def test_run_coroutine_threadsafe_passes_exceptions_and_cancellation(
    loop: Loop, distant_timer: None
) -> None:
    cancelled = threading.Event()
    outcomes: list[object] = []

    async def fail() -> None:
        raise LookupError("not here")

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def other_thread() -> None:
        outcomes.append(asyncio.run_coroutine_threadsafe(fail(), loop).exception())
        started = threading.Event()
        future = asyncio.run_coroutine_threadsafe(hang(), loop)
        loop.call_soon_threadsafe(lambda: loop.call_soon(started.set))
        started.wait()
        outcomes.append(future.cancel())
        cancelled.wait()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other_thread)
    thread.start()
    loop.run_forever()
    thread.join()
    assert isinstance(outcomes[0], LookupError)
    assert outcomes[1] is True
