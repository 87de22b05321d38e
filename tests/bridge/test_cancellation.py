"""Cancellation, from Python and from Rust."""

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import Run
from .test_outcomes import MAKERS, Make


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    maker: Make = request.param
    return maker


def test_cancelling_drops_the_rust_future_once(run: Run, make: Make) -> None:
    async def main() -> int:
        gate, drops = Gate(), Drops()
        future = make("value", gate, drops)
        assert gate.wait_for_polls(1)
        assert future.cancel("why")
        assert future.cancelled()
        assert not future.cancel()
        dropped = drops.wait_for(1)
        with pytest.raises(asyncio.CancelledError, match="why"):
            await future
        gate.open_elsewhere()
        await asyncio.sleep(0)
        return max(dropped, drops.count)

    assert run(main()) == 1


def test_cancelling_after_each_poll_drops_once_and_ends_the_polling(run: Run, make: Make) -> None:
    async def main() -> list[tuple[int, int]]:
        found = []
        for nth in range(1, 13):
            gate, drops = Gate(), Drops()
            future = make("value", gate, drops)
            for poll in range(1, nth + 1):
                if poll > 1:
                    gate.wake()
                # Turns of the loop, which polls those that are not Send.
                while gate.polls < poll:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            future.cancel()
            dropped = drops.wait_for(1)
            gate.wake_old()
            gate.open_elsewhere()
            await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await future
            found.append((gate.polls - nth, max(dropped, drops.count)))
        return found

    assert run(main()) == [(0, 1)] * 12


def test_cancelling_the_task_that_awaits_cancels_it(run: Run, make: Make) -> None:
    async def main() -> int:
        drops = Drops()

        async def wait() -> str:
            return await make("value", Gate(), drops)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return drops.wait_for(1)

    assert run(main()) == 1


def test_cancelling_after_the_result_is_on_its_way_wins(run: Run, make: Make) -> None:
    async def main() -> None:
        gate, drops = Gate(), Drops()
        future = make("value", gate, drops)
        assert gate.wait_for_polls(1)
        gate.open_elsewhere()
        if make.__name__.startswith("local"):
            assert future.cancel()
        else:
            # The future is finished, and so dropped, but the loop has not heard of it.
            assert drops.wait_for(1) == 1
            assert future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert drops.wait_for(1) == 1

    run(main())


def test_a_cancelled_error_from_rust_cancels_the_awaitable(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        error = asyncio.CancelledError("from within")
        future = bridge_tests.fail_with(error, gate)
        gate.open()
        with pytest.raises(asyncio.CancelledError) as caught:
            await future
        assert caught.value is error
        assert future.cancelled()

    run(main())


def test_races_of_cancelling_and_finishing_drop_exactly_once(run: Run) -> None:
    rounds = 300

    async def main() -> None:
        for _ in range(rounds):
            gate, drops = Gate(), Drops()
            future = bridge_tests.future_into_py("value", gate, drops)
            opener = threading.Thread(target=gate.open)
            opener.start()
            future.cancel()
            opener.join()
            assert drops.wait_for(1) == 1
            assert future.cancelled()
        gc.collect()

    run(main())


@pytest.mark.parametrize("locally", [False, True], ids=["Send", "local"])
def test_a_panic_in_the_drop_of_a_cancelled_future_is_reported(
    run: Run, locally: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[str] = []
    hook = "unraisablehook"
    monkeypatch.setattr(sys, hook, lambda report: reports.append(str(report.exc_value)))

    async def main() -> None:
        gate = Gate()
        future = bridge_tests.panic_in_drop(gate, locally)
        assert gate.wait_for_polls(1)
        if not locally:
            # From the call to a worker.
            gate.wake()
            assert gate.wait_for_polls(2)
        assert future.cancel()
        # A worker that has not let go yet drops the future itself, and sends the report.
        while not reports:  # noqa: ASYNC110
            await asyncio.sleep(0)

    run(main())
    assert reports == ["the drop's panic"]


def test_a_local_future_may_cancel_itself_in_its_poll(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        box: list[asyncio.Future[Any]] = []
        box.append(bridge_tests.call_in_poll(gate, lambda: box[0].cancel()))
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await box[0]

    run(main())


class Endless:
    """A coroutine function that waits until it is cancelled, and what has become of its call."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def test_dropping_the_rust_side_cancels_the_python_task(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        python_side = Endless()
        future = bridge_tests.call_and_drop(gate, python_side())
        await python_side.started.wait()
        gate.open_elsewhere()
        await future
        await asyncio.wait_for(python_side.cancelled.wait(), 10)

    run(main())


@pytest.mark.parametrize("call", [bridge_tests.call_from_send, bridge_tests.call_from_local])
def test_cancelling_reaches_through_rust_into_python(run: Run, call: Callable[..., Any]) -> None:
    async def main() -> None:
        python_side = Endless()
        future = call(python_side())
        await python_side.started.wait()
        future.cancel()
        await asyncio.wait_for(python_side.cancelled.wait(), 10)

    run(main())


def test_dropping_at_once_never_runs_the_coroutine_and_warns_of_nothing(run: Run) -> None:
    async def main() -> bool:
        locals_ = bridge_tests.Locals()
        ran = False

        async def python_side() -> None:
            nonlocal ran
            ran = True

        coroutine = python_side()
        thread = threading.Thread(target=bridge_tests.start_and_drop, args=(locals_, coroutine))
        thread.start()
        thread.join()
        # What a later thread posts comes after what the first one posted.
        gate = Gate()
        future = bridge_tests.spawn_into_py("value", gate)
        gate.open_elsewhere()
        await future
        gc.collect()
        return ran

    assert run(main()) is False


@pytest.mark.parametrize("end", ["value", "error"])
def test_a_task_that_refuses_to_be_cancelled_runs_on(run: Run, end: str) -> None:
    class Witness:
        """What the task returns, or raises with."""

    reports: list[Any] = []
    freed: list[int] = []

    async def main() -> None:
        gate = Gate()
        started, asked, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        tasks: list[asyncio.Task[Any] | None] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))

        async def python_side() -> Witness:
            tasks.append(asyncio.current_task())
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked.set()
            await asyncio.sleep(0)
            ended.set()
            witness = Witness()
            weakref.finalize(witness, lambda: freed.append(threading.get_ident()))
            if end == "error":
                raise ValueError(witness)
            return witness

        future = bridge_tests.call_and_drop(gate, python_side())
        await started.wait()
        gate.open_elsewhere()
        await future
        await asyncio.wait_for(asked.wait(), 10)
        await asyncio.wait_for(ended.wait(), 10)
        (task,) = tasks
        assert task is not None
        await asyncio.wait([task])
        assert not task.cancelled()
        del task
        tasks.clear()
        await asyncio.sleep(0)
        gc.collect()

    run(main())
    assert (reports, freed) == ([], [threading.get_ident()])


def test_what_is_dropped_after_its_task_ended_cancels_nothing(run: Run) -> None:
    async def main() -> None:
        freed: list[int] = []

        class Witness:
            pass

        async def python_side() -> Witness:
            witness = Witness()
            weakref.finalize(witness, lambda: freed.append(threading.get_ident()))
            return witness

        task = asyncio.ensure_future(python_side())
        started = bridge_tests.Started(task)
        await asyncio.wait([task])
        # Its callbacks, of which Rust's is one, run in the next turn at the latest.
        await asyncio.sleep(0)
        assert (task.done(), task.cancelled()) == (True, False)
        started.drop_elsewhere()
        del task
        while not freed:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert freed == [threading.get_ident()]

    run(main())
