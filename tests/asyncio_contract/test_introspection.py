"""What tools see of the tasks: all_tasks, the call graph, and python -m asyncio ps and pstree."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from .conftest import Run
from .test_life_cycle import PRELUDE

Loop = asyncio.AbstractEventLoop


def test_all_tasks_are_those_of_this_loop(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        other = loop.create_task(asyncio.sleep(0), name="other")
        eager: Any = getattr(asyncio, "eager_task_factory", None)
        tasks: set[Any] = {asyncio.current_task(), other}
        if eager is not None:
            tasks.add(eager(loop, asyncio.sleep(0.001)))
        assert asyncio.all_tasks() == asyncio.all_tasks(loop) == tasks
        await asyncio.wait(tasks - {asyncio.current_task()})
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_tasks_of_another_loop_are_told_apart(loop_factory: Callable[[], Loop]) -> None:
    left, right = loop_factory(), loop_factory()
    try:
        task = left.create_task(asyncio.sleep(0))
        assert asyncio.all_tasks(left) == {task}
        assert asyncio.all_tasks(right) == set()
        left.run_until_complete(task)
        assert asyncio.all_tasks(left) == set()
    finally:
        left.close()
        right.close()


async def leaf() -> None:
    await asyncio.Event().wait()


async def branch() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf(), name="leaf")


def test_stack_of_a_task(run: Run) -> None:
    async def main() -> None:
        task = asyncio.create_task(branch(), name="branch")
        await asyncio.sleep(0)
        (frame,) = task.get_stack()
        assert frame.f_code.co_name == "branch"
        out = io.StringIO()
        task.print_stack(file=out)
        assert "in branch" in out.getvalue()
        task.cancel()
        await asyncio.wait([task])

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in 3.14")
def test_call_graph(run: Run) -> None:
    module: Any = asyncio

    async def main() -> None:
        task = asyncio.create_task(branch(), name="branch")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (inner,) = (each for each in asyncio.all_tasks() if each.get_name() == "leaf")
        graph = module.capture_call_graph(inner)
        assert graph.future is inner
        names = [entry.frame.f_code.co_name for entry in graph.call_stack]
        assert names[-1] == "leaf"
        (awaiter,) = graph.awaited_by
        assert awaiter.future is task
        assert "name='leaf'" in module.format_call_graph(inner)
        own = module.capture_call_graph()
        assert own.future is asyncio.current_task()
        assert "main" in [entry.frame.f_code.co_name for entry in own.call_stack]
        task.cancel()
        await asyncio.wait([task])

    run(main())


PROGRAM = """
import asyncio, sys
async def leaf():
    await asyncio.Event().wait()
async def branch():
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf(), name="the leaf")
async def main():
    asyncio.get_running_loop().set_task_factory(FACTORY)
    task = asyncio.create_task(branch(), name="the branch")
    await asyncio.sleep(0.01)
    print("up", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    task.cancel()
with asyncio.Runner(loop_factory=Loop) as runner:
    runner.run(main())
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in 3.14")
@pytest.mark.parametrize("factory", ["None", "asyncio.eager_task_factory"])
@pytest.mark.parametrize("tool", ["ps", "pstree"])
def test_the_tools_of_asyncio_see_the_tasks(loop_kind: str, tool: str, factory: str) -> None:
    program = PRELUDE[loop_kind] + PROGRAM.replace("FACTORY", factory)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        seen = subprocess.run(
            [sys.executable, "-m", "asyncio", tool, str(process.pid)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        process.stdin.close()
        assert process.wait() == 0
    if "ermission" in seen.stderr:
        pytest.skip("this process may not look into another")
    assert seen.returncode == 0, seen.stderr
    for name in ("Task-1", "the branch", "the leaf"):
        assert name in seen.stdout, seen.stdout
    assert "leaf" in seen.stdout


Factory = Callable[..., "asyncio.Future[Any]"]


def keywords_of_this_python() -> dict[str, Any]:
    """Return what create_task() may be given beside the coroutine."""
    keywords: dict[str, Any] = {"name": "given"}
    if sys.version_info >= (3, 14):
        keywords["eager_start"] = False
    return keywords


@pytest.mark.parametrize("bound", ["function", "method", "partial", "class", "builtin"])
def test_task_factories_of_every_kind(loop: Loop, bound: str) -> None:
    import functools

    got: list[tuple[Any, ...]] = []

    def factory(loop: Loop, coro: Coroutine[Any, Any, Any], **keywords: Any) -> Any:
        got.append((loop, sorted(keywords)))
        return asyncio.Task(coro, loop=loop, **keywords)

    class Factory:
        def method(self, loop: Loop, coro: Any, **keywords: Any) -> Any:
            return factory(loop, coro, **keywords)

    class Made(asyncio.Task[Any]):
        def __init__(self, loop: Loop, coro: Any, **keywords: Any) -> None:
            got.append((loop, sorted(keywords)))
            super().__init__(coro, loop=loop, **keywords)

    kinds: dict[str, Any] = {
        "function": factory,
        "method": Factory().method,
        "partial": functools.partial(factory),
        "class": Made,
        "builtin": getattr(asyncio, "eager_task_factory", factory),
    }
    loop.set_task_factory(kinds[bound])
    assert loop.get_task_factory() is kinds[bound] or bound == "method"

    async def main() -> None:
        task = loop.create_task(asyncio.sleep(0, 3), **keywords_of_this_python())
        assert await task == 3
        assert task.get_name() == "given"

    if sys.version_info >= (3, 13, 3):
        assert loop.run_until_complete(loop.create_task(main())) is None
    else:
        loop.run_until_complete(main())
    for made_by, _ in got:
        assert made_by is loop


def test_a_factorys_failure_reaches_the_caller_and_closes_nothing(loop: Loop) -> None:
    def factory(loop: Loop, coro: Any, **keywords: Any) -> Any:
        raise KeyError("no task today")

    loop.set_task_factory(factory)
    coro = asyncio.sleep(0)
    with pytest.raises(KeyError, match="no task today"):
        loop.create_task(coro)
    loop.set_task_factory(None)
    loop.run_until_complete(coro)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_eager_tasks_that_end_at_once_take_no_turn(run: Run) -> None:
    seen: list[str] = []

    async def quick() -> str:
        seen.append(repr(asyncio.current_task() is not None))
        return "quick"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        module: Any = asyncio
        loop.set_task_factory(module.eager_task_factory)
        loop.call_soon(seen.append, "turn")
        outer = asyncio.current_task()
        task = loop.create_task(quick())
        assert task.done()
        assert asyncio.current_task() is outer
        assert await task == "quick"
        assert seen == ["True"]
        await asyncio.sleep(0)
        assert seen == ["True", "turn"]
        failed = loop.create_task(divide())
        assert failed.done()
        with pytest.raises(ZeroDivisionError):
            await failed

    async def divide() -> None:
        raise ZeroDivisionError

    run(main())
