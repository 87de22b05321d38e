"""Where Rust goes on after a Python awaitable that it waits for has ended."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import bridge_tests
import pytest

from .conftest import LoopFactory, Run


def test_a_future_goes_on_in_the_loop_s_thread(run: Run) -> None:
    async def main() -> list[bool]:
        return [await bridge_tests.goes_on_here(asyncio.sleep(0)) for _ in range(20)]

    # Not each one: on a busy machine polls that should be quick may take long.
    assert any(run(main()))


def test_a_spawned_future_goes_on_in_the_executor_s_threads(run: Run) -> None:
    async def main() -> list[bool]:
        calls = range(20)
        return [await bridge_tests.goes_on_here(asyncio.sleep(0), spawned=True) for _ in calls]

    assert not any(run(main()))


def test_futures_that_take_long_then_go_on_in_the_executor_s_threads(run: Run) -> None:
    async def main() -> list[bool]:
        return [await bridge_tests.goes_on_slowly_here(asyncio.sleep(0)) for _ in range(3)]

    assert run(main())[-1] is False


def test_the_locals_are_those_of_the_call(run: Run) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def main() -> tuple[Any, bool]:
        variable.set("of the call")
        future = bridge_tests.call_after(asyncio.sleep(0), bridge_tests.Locals)
        variable.set("later")
        found = await future
        return found.context[variable], found.event_loop is asyncio.get_running_loop()

    assert run(main()) == ("of the call", True)


@pytest.mark.parametrize("local", [False, True])
def test_a_waker_may_be_called_under_a_lock_that_polls_take(run: Run, local: bool) -> None:
    async def main() -> str:
        return await bridge_tests.call_under_lock(asyncio.sleep(0, "the result"), local)

    assert run(main()) == "the result"


class Impatient:
    """A future whose callbacks are called by what completes it, and not by the loop."""

    _asyncio_future_blocking = False

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._callbacks: list[Callable[[Any], object]] = []

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._callbacks.append(callback)

    def complete(self) -> None:
        for callback in self._callbacks:
            callback(self)

    def result(self) -> str:
        return "the result"

    def __await__(self) -> Any:
        raise NotImplementedError


def test_an_end_in_the_midst_of_a_poll_is_not_lost(run: Run) -> None:
    async def main() -> str:
        future = Impatient()
        return await bridge_tests.call_in_first_poll(future, future.complete)

    assert run(main()) == "the result"


class AtOnce(Impatient):
    """A future that is done, and calls what it is given in the call."""

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        callback(self)


@pytest.mark.parametrize("local", [False, True])
def test_an_end_in_the_midst_of_the_start_is_not_lost(run: Run, local: bool) -> None:
    async def main() -> str:
        async with asyncio.timeout(10):
            return await bridge_tests.call_after(AtOnce(), lambda: "the result", local)

    assert run(main()) == "the result"


async def wait_for_impatient(
    function: Callable[[], object], local: bool
) -> tuple[Impatient, asyncio.Future[object]]:
    future = Impatient()
    return future, bridge_tests.call_after(future, function, local)


async def result_of(awaitable: asyncio.Future[object]) -> object:
    return await awaitable


def test_a_local_future_rests_while_its_loop_does_not_run(loop_factory: LoopFactory) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        future, awaitable = runner.run(wait_for_impatient(asyncio.get_running_loop, local=True))
        future.complete()
        assert runner.run(result_of(awaitable)) is runner.get_loop()


def test_a_loop_that_runs_in_a_poll_has_its_own_locals(loop_factory: LoopFactory) -> None:
    async def look() -> bool:
        return bridge_tests.Locals().event_loop is asyncio.get_running_loop()

    def run_another() -> bool:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(look())

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        future, awaitable = runner.run(wait_for_impatient(run_another, local=False))
        future.complete()
        assert runner.run(result_of(awaitable)) is True
