"""create_future and create_task: names, contexts, factories, eager start."""

import asyncio
import contextvars
import functools
import gc
import sys
import types
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from .conftest import Run
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_create_future_belongs_to_the_loop(loop: Loop) -> None:
    future = loop.create_future()
    assert isinstance(future, asyncio.Future)
    assert asyncio.isfuture(future)
    assert future.get_loop() is loop
    assert not future.done()


def test_future_callbacks_run_in_the_next_turn_in_order(loop: Loop) -> None:
    ran: list[tuple[int, Any]] = []
    future = loop.create_future()

    def callback(number: int, future: "asyncio.Future[Any]") -> None:
        ran.append((number, future))

    for number in range(3):
        future.add_done_callback(functools.partial(callback, number))
    future.set_result(None)
    assert ran == []
    run_turns(loop, 1)
    assert ran == [(number, future) for number in range(3)]


def test_future_callbacks_honour_their_context(loop: Loop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    seen: list[str] = []
    future = loop.create_future()
    future.add_done_callback(lambda _: seen.append(variable.get()), context=context)
    future.add_done_callback(lambda _: seen.append(variable.get()))
    future.set_result(None)
    run_turns(loop, 1)
    assert seen == ["given", "none"]


def test_create_task_gives_an_asyncio_task(loop: Loop) -> None:
    task = loop.create_task(answer())
    assert isinstance(task, asyncio.Task)
    assert task.get_loop() is loop
    assert task in asyncio.all_tasks(loop)
    assert loop.run_until_complete(task) == 42
    assert task not in asyncio.all_tasks(loop)


def test_task_starts_in_the_next_turn(loop: Loop) -> None:
    ran: list[str] = []

    async def body() -> None:
        ran.append("started")

    task = loop.create_task(body())
    assert ran == []
    run_turns(loop, 1)
    assert ran == ["started"]
    assert task.done()


def test_task_name(loop: Loop) -> None:
    named = loop.create_task(answer(), name="the name")
    assert named.get_name() == "the name"
    unnamed = loop.create_task(answer())
    assert unnamed.get_name().startswith("Task-")
    none = loop.create_task(answer(), name=None)
    assert none.get_name().startswith("Task-")
    number = loop.create_task(answer(), name=123)  # type: ignore[arg-type]
    assert number.get_name() == "123"
    loop.run_until_complete(asyncio.wait([named, unnamed, none, number]))


def test_task_context(loop: Loop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    context = contextvars.copy_context()

    async def body() -> str:
        before = variable.get()
        variable.set("set by the task")
        return before

    context.run(variable.set, "given")
    assert loop.run_until_complete(loop.create_task(body(), context=context)) == "given"
    assert context[variable] == "set by the task"
    # Without one, the task gets a copy.
    assert loop.run_until_complete(loop.create_task(body())) == "none"
    assert variable.get() == "none"


def test_create_task_refuses_what_is_no_coroutine(loop: Loop) -> None:
    for bad in (None, 1, "text", answer, loop.create_future()):
        with pytest.raises(TypeError, match="a coroutine was expected"):
            loop.create_task(bad)  # type: ignore[arg-type]


def test_create_task_refuses_unknown_keywords(loop: Loop) -> None:
    coroutine = answer()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, colour="red")  # type: ignore[call-arg]
    coroutine.close()


def test_generator_based_coroutines_as_this_python_has_it(loop: Loop) -> None:
    @types.coroutine
    def generator() -> Any:
        yield
        return "generator"

    if sys.version_info >= (3, 12):
        with pytest.raises(TypeError, match="a coroutine was expected"):
            loop.create_task(generator())
    else:
        assert loop.run_until_complete(loop.create_task(generator())) == "generator"

    async def awaits_it() -> Any:
        return await generator()

    assert loop.run_until_complete(loop.create_task(awaits_it())) == "generator"


def test_current_task(run: Run) -> None:
    async def child() -> "asyncio.Task[Any] | None":
        return asyncio.current_task()

    async def main() -> None:
        task = asyncio.create_task(child())
        assert await task is task
        assert asyncio.current_task() is not task

    run(main())


def test_task_factory_is_called_with_loop_and_coroutine(loop: Loop) -> None:
    calls: list[tuple[Any, ...]] = []

    def factory(
        loop: Loop, coroutine: Coroutine[Any, Any, int], **kwargs: Any
    ) -> "asyncio.Task[int]":
        calls.append((loop, coroutine))
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)  # type: ignore[arg-type]
    assert loop.get_task_factory() is factory
    coroutine = answer()
    task = loop.create_task(coroutine, name="through the factory")
    assert calls == [(loop, coroutine)]
    assert task.get_name() == "through the factory"
    assert loop.run_until_complete(task) == 42
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None


def test_task_factory_gets_the_context(loop: Loop) -> None:
    given: list[Any] = []

    def factory(
        loop: Loop,
        coroutine: Coroutine[Any, Any, int],
        context: contextvars.Context | None = None,
        **kwargs: Any,
    ) -> "asyncio.Task[int]":
        given.append(context)
        return asyncio.Task(coroutine, loop=loop, context=context, **kwargs)

    loop.set_task_factory(factory)  # type: ignore[arg-type]
    context = contextvars.copy_context()
    assert loop.run_until_complete(loop.create_task(answer(), context=context)) == 42
    assert given == [context]


def test_task_factory_with_the_two_oldest_parameters(loop: Loop) -> None:
    loop.set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))
    if sys.version_info >= (3, 14):
        # Every keyword, name and context too, goes to the factory from 3.13.3 on.
        task = loop.create_task(answer())
    else:
        task = loop.create_task(answer(), name="named")
        assert task.get_name() == "named"
    assert loop.run_until_complete(task) == 42


def test_task_factory_may_return_any_future(loop: Loop) -> None:
    class NamedFuture(asyncio.Future[str]):
        # Pythons before 3.13.3 set the name after the factory returned.
        def set_name(self, name: object) -> None:
            pass

    def factory(loop: Loop, coroutine: Any, **kwargs: Any) -> Any:
        coroutine.close()
        future = NamedFuture(loop=loop)
        future.set_result("from a plain future")
        return future

    loop.set_task_factory(factory)
    future: asyncio.Future[Any] = loop.create_task(answer())
    assert isinstance(future, NamedFuture)
    assert loop.run_until_complete(future) == "from a plain future"


def test_task_factory_must_be_callable(loop: Loop) -> None:
    with pytest.raises(TypeError, match="task factory must be a callable or None"):
        loop.set_task_factory("text")  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_task_factory(loop: Loop) -> None:
    if sys.version_info < (3, 12):
        raise AssertionError("unreachable: the mark skips")
    loop.set_task_factory(asyncio.eager_task_factory)
    ran: list[str] = []

    async def immediate() -> str:
        ran.append("immediate")
        return "result"

    async def main() -> None:
        task = asyncio.create_task(immediate())
        assert ran == ["immediate"]
        assert task.done()
        assert await task == "result"
        slow = asyncio.create_task(answer())
        assert not slow.done()
        assert await slow == 42

    loop.run_until_complete(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="the keyword came with Python 3.14")
def test_eager_start_of_one_task(run: Run) -> None:
    if sys.version_info < (3, 14):
        raise AssertionError("unreachable: the mark skips")

    async def main() -> None:
        ran: list[str] = []

        async def body() -> None:
            ran.append("ran")

        loop = asyncio.get_running_loop()
        eager = loop.create_task(body(), eager_start=True)
        assert ran == ["ran"]
        lazy = loop.create_task(body(), eager_start=False)
        assert ran == ["ran"]
        await asyncio.wait([eager, lazy])
        assert ran == ["ran", "ran"]

    run(main())


def test_eager_task_by_the_class(run: Run) -> None:
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")

    async def main() -> None:
        ran: list[str] = []

        async def body() -> None:
            ran.append("eager")

        loop = asyncio.get_running_loop()
        task = asyncio.Task(body(), loop=loop, eager_start=True)
        assert ran == ["eager"]
        await task

    run(main())


def test_cancelling_a_task_by_message(run: Run) -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(300))
        await asyncio.sleep(0)
        task.cancel("the reason")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())


def test_timeouts_and_task_groups(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(300)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(300), 0.001)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer()) for _ in range(10)]
        assert [task.result() for task in tasks] == [42] * 10

    run(main())


def test_task_group_reports_and_cancels(run: Run) -> None:
    async def fail() -> None:
        raise LookupError("failed")

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                hanging = group.create_task(asyncio.sleep(300))
                group.create_task(fail())
        assert caught.group_contains(LookupError)
        assert hanging.cancelled()

    run(main())


def test_done_task_is_released(loop: Loop) -> None:
    task = loop.create_task(answer())
    reference = weakref.ref(task)
    loop.run_until_complete(task)
    del task
    gc.collect()
    assert reference() is None


def test_a_thousand_tasks(run: Run) -> None:
    async def main() -> int:
        return sum(await asyncio.gather(*(answer() for _ in range(1000))))

    assert run(main()) == 42_000


def test_futures_wake_their_waiter_across_tasks(run: Run) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        ping: asyncio.Future[int] = loop.create_future()
        pong: asyncio.Future[int] = loop.create_future()
        log: list[int] = []

        async def player() -> None:
            log.append(await ping)
            pong.set_result(2)

        task = loop.create_task(player())
        ping.set_result(1)
        log.append(await pong)
        await task
        return log

    assert run(main()) == [1, 2]
