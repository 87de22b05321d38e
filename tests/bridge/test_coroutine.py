"""The lazy form: a coroutine around a Rust future."""

import asyncio
import gc
import inspect
from typing import Any

import pytest
from bridge_tests import Drops, Gate, coroutine_into_py

from .conftest import Run


def test_a_coroutine_serves_create_task_and_task_groups(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        coroutine = coroutine_into_py(gate)
        assert asyncio.iscoroutine(coroutine)
        assert not inspect.iscoroutine(coroutine)
        assert gate.polls == 0
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine), group.create_task(coroutine_into_py(gate))]
            asyncio.get_running_loop().call_soon(gate.open_elsewhere)
        assert [task.result() for task in tasks] == ["the value"] * 2
        with pytest.raises(RuntimeError, match="already awaited"):
            await coroutine

    run(main())


def test_a_cancelled_coroutine_drops_its_future(run: Run) -> None:
    async def main() -> None:
        task = asyncio.create_task(coroutine_into_py(Gate()))
        await asyncio.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())


def test_a_coroutine_that_never_runs_drops_its_future_without_a_warning(run: Run) -> None:
    async def main() -> tuple[int, int]:
        gate, drops = Gate(), Drops()
        coroutine = coroutine_into_py(gate, drops)
        del coroutine
        unstarted = coroutine_into_py(gate, drops)
        task = asyncio.create_task(unstarted)
        task.cancel()
        await asyncio.wait([task])
        return drops.count, gate.polls

    # Without a loop, too.
    drops = Drops()
    coroutine = coroutine_into_py(Gate(), drops)
    coroutine.close()
    del coroutine
    gc.collect()
    assert (drops.count, run(main())) == (1, (2, 0))


def test_a_coroutine_is_awaited_by_one_at_a_time(run: Run) -> None:
    async def main() -> str:
        gate = Gate()
        coroutine = coroutine_into_py(gate)
        task = asyncio.create_task(coroutine)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="being awaited already"):
            await coroutine
        gate.open()
        return await task

    assert run(main()) == "the value"


def test_a_task_tells_of_which_function_its_coroutine_is(run: Run) -> None:
    async def main() -> str:
        task = asyncio.create_task(coroutine_into_py(Gate()))
        await asyncio.sleep(0)
        text = repr(task)
        assert task.get_stack() == []
        task.cancel()
        await asyncio.wait([task])
        return text

    assert "coro=<bridge_tests::values::coroutine_into_py()>" in run(main())


def test_what_is_thrown_into_a_coroutine_is_raised_and_drops_its_future(run: Run) -> None:
    async def main() -> None:
        given = KeyError("given")
        for arguments, kind, message in [
            ((KeyError,), KeyError, ""),
            ((given,), KeyError, "'given'"),
            ((KeyError, "text"), KeyError, "'text'"),
            ((KeyError, given), KeyError, "'given'"),
            ((ValueError, given), ValueError, "'given'"),
            ((3,), TypeError, None),
            ((given, "text"), TypeError, None),
        ]:
            drops = Drops()
            coroutine: Any = coroutine_into_py(Gate(), drops)
            coroutine.send(None)
            with pytest.raises(kind) as caught:
                coroutine.throw(*arguments)
            assert message is None or str(caught.value) == message
            assert drops.wait_for(1) == 1

    run(main())
