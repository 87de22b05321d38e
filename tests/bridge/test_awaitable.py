"""The awaitable is a future to all of asyncio."""

import asyncio
import contextvars
import copy
import gc
import inspect
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from bridge_tests import (
    Drops,
    Gate,
    call_from_send,
    fail_with,
    future_into_py,
    local_future_into_py,
)

from .conftest import Run

T = TypeVar("T")


async def done(future: "asyncio.Future[T]") -> "asyncio.Future[T]":
    """Let the loop run until the future is done, without waiting for it."""
    while not future.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    return future


def test_gather_wait_shield_and_as_completed(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        futures = [future_into_py("value", gate) for _ in range(4)]
        asyncio.get_running_loop().call_soon(gate.open_elsewhere)
        assert await asyncio.gather(*futures) == ["the value"] * 4
        done, pending = await asyncio.wait(futures)
        assert (len(done), len(pending)) == (4, 0)
        assert await asyncio.shield(futures[0]) == "the value"
        assert [await next_one for next_one in asyncio.as_completed(futures)] == ["the value"] * 4

    run(main())


def test_wait_for_and_timeout_cancel_it(run: Run) -> None:
    async def main() -> None:
        drops = Drops()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future_into_py("value", Gate(), drops), 0.001)
        assert drops.wait_for(1) == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await future_into_py("value", Gate(), drops)
        assert drops.wait_for(2) == 2

    run(main())


def test_a_shielded_future_survives_its_waiter(run: Run) -> None:
    async def main() -> str:
        gate, drops = Gate(), Drops()
        future = future_into_py("value", gate, drops)
        outer = asyncio.shield(future)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert drops.count == 0
        gate.open()
        return await future

    assert run(main()) == "the value"


def test_two_tasks_may_await_it(run: Run) -> None:
    async def main() -> list[str]:
        gate = Gate()
        future = future_into_py("value", gate)

        async def wait() -> str:
            return await future

        tasks = [asyncio.create_task(wait()) for _ in range(2)]
        await asyncio.sleep(0)
        gate.open_elsewhere()
        return await asyncio.gather(*tasks)

    assert run(main()) == ["the value", "the value"]


def test_it_is_a_future_and_not_a_coroutine(run: Run) -> None:
    async def main() -> None:
        future = future_into_py("value")
        assert asyncio.isfuture(future)
        assert not asyncio.iscoroutine(future)
        assert inspect.isawaitable(future)
        assert asyncio.ensure_future(future) is future
        assert future.get_loop() is asyncio.get_running_loop()
        assert weakref.ref(future)() is future
        assert type(future)[int].__origin__ is type(future)  # type: ignore[index]
        await future

    run(main())


def test_what_it_has_not_of_asyncios_futures(run: Run) -> None:
    async def main() -> None:
        future: Any = future_into_py("value", Gate())
        for name in ("set_result", "set_exception", "_log_traceback", "send", "throw", "close"):
            assert not hasattr(future, name), name
        with pytest.raises(AttributeError):
            future.name = "an attribute"
        for refused in (
            lambda: type(future)(),
            lambda: type("Derived", (type(future),), {}),
            lambda: copy.copy(future),
            lambda: copy.deepcopy(future),
            lambda: pickle.dumps(future),
        ):
            with pytest.raises(TypeError):
                refused()
        assert iter(future) is future

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="call graphs came with 3.14")
def test_call_graphs_know_the_tasks_alone(run: Run) -> None:
    graph: Any = getattr(asyncio, "capture_call_graph", None)

    async def main() -> tuple[list[str], int]:
        gate = Gate()
        future = future_into_py("value", gate)
        with pytest.raises(TypeError):
            graph(future)

        async def inner() -> str:
            return await future

        async def outer() -> str:
            return await inner()

        task = asyncio.create_task(outer())
        through = asyncio.ensure_future(call_from_send(task))
        await asyncio.sleep(0)
        found = graph(task)
        gate.open()
        await through
        names = [entry.frame.f_code.co_name for entry in found.call_stack]
        return names, len(found.awaited_by)

    assert run(main()) == (["inner", "outer"], 0)


def test_run_until_complete_accepts_it(loop_factory: Callable[[], Any]) -> None:
    loop = loop_factory()
    try:
        gate = Gate()

        async def make() -> Any:
            return [future_into_py("value", gate)]

        (future,) = loop.run_until_complete(make())
        loop.call_soon(gate.open)
        assert loop.run_until_complete(future) == "the value"
    finally:
        loop.close()


def test_states_and_their_representations(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        future = future_into_py("value", gate)
        assert (future.done(), future.cancelled(), repr(future)) == (
            False,
            False,
            "<RustFuture pending>",
        )
        with pytest.raises(asyncio.InvalidStateError):
            future.result()
        with pytest.raises(asyncio.InvalidStateError):
            future.exception()
        gate.open()
        await future
        assert future.done()
        assert (future.result(), future.exception()) == ("the value", None)
        assert repr(future) == "<RustFuture finished result='the value'>"
        assert future.cancel() is False
        failed = await done(future_into_py("error"))
        assert repr(failed) == "<RustFuture finished exception=ValueError('the error')>"
        assert isinstance(failed.exception(), ValueError)
        cancelled = future_into_py("value", Gate())
        cancelled.cancel()
        assert repr(cancelled) == "<RustFuture cancelled>"
        with pytest.raises(asyncio.CancelledError):
            cancelled.exception()

    run(main())


def test_it_is_done_without_anybody_having_waited(run: Run) -> None:
    async def main() -> str:
        gate = Gate()
        future = future_into_py("value", gate)
        gate.open_elsewhere()
        return (await done(future)).result()

    assert run(main()) == "the value"


def test_callbacks_run_once_in_order_in_their_contexts_and_later(run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    calls: list[tuple[str, str, Any]] = []

    async def main() -> None:
        gate = Gate()
        future = future_into_py("value", gate)
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        future.add_done_callback(
            lambda f: calls.append(("first", variable.get(), f)), context=context
        )
        variable.set("current")
        future.add_done_callback(lambda f: calls.append(("second", variable.get(), f)))
        variable.set("later")

        def removed(_: object) -> None:
            raise AssertionError

        future.add_done_callback(removed)
        future.add_done_callback(removed)
        assert future.remove_done_callback(removed) == 2
        assert future.remove_done_callback(removed) == 0
        gate.open()
        await future
        future.add_done_callback(lambda f: calls.append(("third", variable.get(), f)))
        assert len(calls) == 2
        await asyncio.sleep(0)
        expected = [("first", "given"), ("second", "current"), ("third", "later")]
        assert [call[:2] for call in calls] == expected
        assert all(call[2] is future for call in calls)

    run(main())


def test_the_wrong_loop_is_told(run: Run, loop_factory: Callable[[], Any]) -> None:
    async def make() -> tuple[Any, Gate]:
        gate = Gate()
        return future_into_py("value", gate), gate

    async def use(future: Any) -> None:
        await future

    loop = loop_factory()
    try:
        future, gate = loop.run_until_complete(make())
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            run(use(future))
        gate.open()
        assert loop.run_until_complete(future) == "the value"
    finally:
        loop.close()


def test_an_exception_that_nobody_retrieves_is_reported_once(run: Run) -> None:
    reports: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        await done(future_into_py("error"))
        retrieved = await done(future_into_py("error"))
        retrieved.exception()
        del retrieved
        gc.collect()

    run(main())
    assert [str(report["exception"]) for report in reports] == ["the error"]
    assert "never retrieved" in reports[0]["message"]


def test_an_exception_that_nobody_asked_for_is_reported_with_its_future(run: Run) -> None:
    reports: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        gates = [Gate(), Gate()]
        future = local_future_into_py("error", gates[0])
        next_one = local_future_into_py("value", gates[1])
        for gate in gates:
            gate.open()
        # Results come in the order of the wakes, so that both futures have theirs then.
        await next_one
        del future

    run(main())
    (report,) = reports
    assert report["future"].done()
    assert report["future"].exception() is report["exception"]
    assert str(report["exception"]) == "the error"


def test_cycles_through_it_are_collected(run: Run) -> None:
    class Node:
        future: Any

    async def main() -> None:
        gate, drops = Gate(), Drops()
        node = Node()
        node.future = future_into_py("value", gate, drops)
        node.future.add_done_callback(lambda _, node=node: None)
        witness = weakref.ref(node)
        gate.open()
        await node.future
        del node
        gc.collect()
        assert witness() is None
        node = Node()
        node.future = fail_with(ValueError(node))
        witness = weakref.ref(node)
        node.future.exception()
        del node
        gc.collect()
        assert witness() is None

    run(main())


def test_a_task_that_waits_for_rust_alone_is_not_collected(run: Run) -> None:
    async def main() -> bool:
        gate = Gate()
        finished = asyncio.Event()

        async def wait() -> None:
            await future_into_py("value", gate)
            finished.set()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task_alive = weakref.ref(task)
        del task
        gc.collect()
        assert task_alive() is not None
        gate.open_elsewhere()
        await asyncio.wait_for(finished.wait(), 10)
        return True

    assert run(main())


def test_a_pending_awaitable_that_nobody_holds_drops_its_future(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        future_into_py("value", Gate(), drops)
        gc.collect()
        return drops.wait_for(1)

    assert run(main()) == 1
