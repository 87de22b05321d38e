"""run_forever, run_until_complete, stop and close: the life of a loop."""

import asyncio
import errno
import functools
import gc
import sys
import threading
import weakref
from collections.abc import Generator
from typing import Any

import pytest

from .conftest import LoopFactory, stdlib_fault
from .descriptors import few_descriptors
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def drop(loops: list[Loop]) -> None:
    """Give up the last reference to each of `loops`."""
    loops.clear()
    gc.collect()


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_run_until_complete_returns_the_result(loop: Loop) -> None:
    assert loop.run_until_complete(answer()) == 42


def test_run_until_complete_raises_the_exception(loop: Loop) -> None:
    error = LookupError("lost")

    async def fail() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        loop.run_until_complete(fail())
    assert caught.value is error


def test_run_until_complete_takes_futures_tasks_and_awaitables(loop: Loop) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, "future")
    assert loop.run_until_complete(future) == "future"
    assert loop.run_until_complete(loop.create_task(answer())) == 42

    class Awaitable:
        def __await__(self) -> Generator[Any, None, int]:
            return answer().__await__()

    assert loop.run_until_complete(Awaitable()) == 42


def test_run_until_complete_of_a_done_future(loop: Loop) -> None:
    future = loop.create_future()
    future.set_result("done")
    assert loop.run_until_complete(future) == "done"


def test_run_until_complete_leaves_no_callback_on_the_future(loop: Loop) -> None:
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        loop.run_until_complete(future)
    # A callback left behind would stop the next run at the wrong time.
    future.set_result(None)
    ran: list[str] = []

    async def main() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        ran.append("to the end")

    loop.run_until_complete(main())
    assert ran == ["to the end"]


def test_cancelled_main_task_raises_cancelled_error(loop: Loop) -> None:
    task = loop.create_task(asyncio.sleep(300))
    loop.call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_future_of_another_loop_is_refused(loop: Loop, loop_factory: LoopFactory) -> None:
    other = loop_factory()
    try:
        future = other.create_future()
        with pytest.raises(ValueError, match="loop"):
            loop.run_until_complete(future)
    finally:
        other.close()


@pytest.mark.parametrize("bad", [None, 1, "text", object(), answer])
def test_what_cannot_be_awaited_is_refused(loop: Loop, bad: Any) -> None:
    with pytest.raises(TypeError):
        loop.run_until_complete(bad)
    assert not loop.is_running()


def test_run_forever_returns_none_after_stop(loop: Loop) -> None:
    loop.call_soon(loop.stop)
    assert loop.run_forever() is None


def test_stop_before_the_run_lets_one_turn_pass(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_soon(ran.append, "ready")
    loop.stop()
    loop.run_forever()
    assert ran == ["ready"]


def test_stop_finishes_the_turn_but_not_the_next(loop: Loop) -> None:
    ran: list[str] = []

    def stop() -> None:
        loop.stop()
        loop.call_soon(ran.append, "next turn")

    loop.call_soon(stop)
    loop.call_soon(ran.append, "same turn")
    loop.run_forever()
    assert ran == ["same turn"]
    run_turns(loop, 1)
    assert ran == ["same turn", "next turn"]


def test_stopping_twice_stops_one_run(loop: Loop) -> None:
    loop.call_soon(loop.stop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    ran: list[str] = []
    loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(ran.append, "third turn")))
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert ran == ["third turn"]


def test_a_stopped_loop_runs_again(loop: Loop) -> None:
    for _ in range(5):
        assert loop.run_until_complete(answer()) == 42
        run_turns(loop, 1)


def test_is_running_only_during_the_run(loop: Loop) -> None:
    seen: list[bool] = []
    assert not loop.is_running()
    loop.call_soon(lambda: seen.append(loop.is_running()))
    run_turns(loop, 1)
    assert seen == [True]
    assert not loop.is_running()


def test_running_loop_is_set_during_the_run_only(loop: Loop) -> None:
    seen: list[object] = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    run_turns(loop, 1)
    assert seen == [loop]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_nested_run_is_refused_and_the_outer_goes_on(loop: Loop, loop_kind: str) -> None:
    if sys.version_info[:2] == (3, 13):
        stdlib_fault(loop_kind, "of 3.13.0 forgets the outer run when it refuses the nested one")

    async def main() -> str:
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_forever()
        coroutine = answer()
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_until_complete(coroutine)
        coroutine.close()
        await asyncio.sleep(0)
        return "went on"

    assert loop.run_until_complete(main()) == "went on"


def test_running_another_loop_inside_a_loop_is_refused(
    loop: Loop, loop_kind: str, loop_factory: LoopFactory
) -> None:
    if sys.version_info[:2] == (3, 13):
        stdlib_fault(loop_kind, "of 3.13.0 forgets the outer run when it refuses the nested one")
    other = loop_factory()

    async def main() -> None:
        with pytest.raises(
            RuntimeError,
            match="Cannot run the event loop while another loop is running",
        ):
            other.run_forever()
        assert asyncio.get_running_loop() is loop
        assert not other.is_running()

    try:
        loop.run_until_complete(main())
        # The refusal must leave the other loop usable.
        assert other.run_until_complete(answer()) == 42
    finally:
        other.close()


def test_running_in_a_second_thread_at_once_is_refused(loop: Loop) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            loop.run_forever()
        except RuntimeError as error:
            refused.append(str(error))

    def start() -> None:
        thread.start()
        thread.join()

    thread = threading.Thread(target=second)
    loop.call_soon(start)
    run_turns(loop, 1)
    assert refused == ["This event loop is already running"]


def test_a_loop_may_run_in_one_thread_after_another(loop: Loop) -> None:
    results: list[int] = []

    def run_there() -> None:
        results.append(loop.run_until_complete(answer()))

    for _ in range(2):
        thread = threading.Thread(target=run_there)
        thread.start()
        thread.join()
    results.append(loop.run_until_complete(answer()))
    assert results == [42, 42, 42]


def test_loops_in_two_threads_do_not_meet(loop_factory: LoopFactory) -> None:
    results: dict[str, list[int]] = {}

    async def count(name: str) -> None:
        for number in range(200):
            results.setdefault(name, []).append(number)
            await asyncio.sleep(0)

    def thread_main(name: str) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(count(name))

    threads = [threading.Thread(target=thread_main, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"a": list(range(200)), "b": list(range(200))}


def test_closing_is_final_and_repeatable(loop: Loop) -> None:
    assert not loop.is_closed()
    loop.close()
    assert loop.is_closed()
    loop.close()
    assert loop.is_closed()


def test_closing_a_running_loop_is_refused(loop: Loop) -> None:
    def close() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.call_soon(close)
    run_turns(loop, 1)
    assert not loop.is_closed()


def test_a_closed_loop_refuses_work(loop: Loop) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon(lambda: None)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_later(1, lambda: None)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_at(1, lambda: None)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_forever()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_in_executor(None, lambda: None)
    coroutine = answer()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_until_complete(coroutine)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()


def test_what_a_closed_loop_still_answers(loop: Loop) -> None:
    loop.close()
    assert not loop.is_running()
    assert loop.is_closed()
    assert loop.get_debug() in (True, False)
    assert isinstance(loop.time(), float)
    assert "closed=True" in repr(loop)
    loop.create_future()
    loop.stop()


def test_unclosed_loop_warns_when_collected(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loops = [loop]
    del loop
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        drop(loops)


def test_a_closed_loop_is_collected(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loop.run_until_complete(answer())
    loop.call_later(300, print)
    reference = weakref.ref(loop)
    loop.close()
    del loop
    gc.collect()
    assert reference() is None


def test_a_loop_that_refers_to_itself_is_collected(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loop.itself = loop  # type: ignore[attr-defined]
    loop.call_soon(lambda loop: None, loop)
    loop.call_later(300, lambda loop: None, loop)
    loop.set_exception_handler(functools.partial(print, loop))
    reference = weakref.ref(loop)
    loop.close()
    del loop
    gc.collect()
    assert reference() is None


def test_a_loop_dropped_without_close_is_collected(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    loop.call_soon(lambda loop: None, loop)
    loop.call_later(300, lambda loop: None, loop)
    reference = weakref.ref(loop)
    loops = [loop]
    del loop
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        drop(loops)
    assert reference() is None


def test_many_loops_one_after_another(loop_factory: LoopFactory) -> None:
    for _ in range(100):
        loop = loop_factory()
        assert loop.run_until_complete(answer()) == 42
        loop.close()


def test_runner_closes_and_cancels(loop_factory: LoopFactory) -> None:
    cancelled: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("lingering task")
            raise

    async def main() -> str:
        main.task = asyncio.ensure_future(linger())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "result"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        assert runner.run(main()) == "result"
    assert cancelled == ["lingering task"]
    assert loop.is_closed()


@pytest.mark.parametrize("left", [0, 1])
def test_no_descriptor_left_for_a_loop(
    loop_factory: LoopFactory, loop_kind: str, left: int
) -> None:
    stdlib_fault(loop_kind, "fails once more when it is collected")
    with few_descriptors(left), pytest.raises(OSError, match="Too many open files") as caught:
        loop_factory()
    assert caught.value.errno == errno.EMFILE
