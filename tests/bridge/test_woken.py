"""Where Rust goes on after another thread has woken it."""

import asyncio
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import LoopFactory, Run
from .deaf import Deaf

CALLS = range(20)


async def ends_here(*, spawned: bool = False, gates: int = 1) -> bool:
    """Have another thread open one gate after the other."""
    passed = [Gate() for _ in range(gates)]
    future = bridge_tests.ends_here(*passed, spawned=spawned)
    for gate in passed:
        assert gate.wait_for_polls(1)
        gate.open_elsewhere()
        await asyncio.sleep(0)
    return bool(await future)


def test_a_future_ends_in_the_loop_s_thread(run: Run) -> None:
    async def main() -> list[bool]:
        return [await ends_here() for _ in CALLS]

    # Not each one: on a busy machine the loop may come too late.
    assert any(run(main()))


def test_a_spawned_future_ends_in_the_executor_s_threads(run: Run) -> None:
    async def main() -> list[bool]:
        return [await ends_here(spawned=True) for _ in CALLS]

    assert not any(run(main()))


def test_futures_that_end_slowly_end_in_the_executor_s_threads(run: Run) -> None:
    async def main() -> list[bool]:
        found = []
        # Two are enough, but on a busy machine the loop may come too late for one.
        for _ in range(6):
            gate = Gate()
            future = bridge_tests.ends_slowly_here(gate)
            gate.open_elsewhere()
            found.append(await future)
        return found

    assert run(main())[-1] is False


def test_futures_that_go_on_waiting_go_to_the_executor_s_threads(run: Run) -> None:
    async def main() -> bool:
        for _ in range(3):
            found = await ends_here(gates=5)
        return found

    assert run(main()) is False


def test_a_loop_whose_wakeup_takes_the_gil_is_not_asked() -> None:
    async def main() -> list[bool]:
        return [await ends_here() for _ in CALLS]

    with asyncio.Runner(loop_factory=Deaf) as runner:
        assert not any(runner.run(main()))


@pytest.mark.parametrize("attached", [False, True])
def test_a_future_ends_while_python_keeps_the_loop(run: Run, *, attached: bool) -> None:
    async def main() -> int:
        gate, opened, drops = Gate(), Gate(), Drops()
        waits = bridge_tests.future_into_py("value", opened, drops)
        future = bridge_tests.opens_after(gate, opened)
        gate.open_elsewhere()
        dropped = drops.wait_attached(1) if attached else drops.wait_for(1)
        await asyncio.gather(future, waits)
        return int(dropped)

    assert run(main()) == 1


def left_to(loop: asyncio.AbstractEventLoop, drops: Drops) -> Any:
    """Make a future, and have another thread wake it when its loop has stopped."""
    gate = Gate()

    async def main() -> Any:
        return bridge_tests.future_into_py("value", gate, drops)

    future = loop.run_until_complete(main())
    gate.open_elsewhere()
    return future


def test_a_future_ends_while_its_loop_does_not_run(loop_factory: LoopFactory) -> None:
    loop, drops = loop_factory(), Drops()
    future = left_to(loop, drops)
    assert drops.wait_for(1) == 1
    assert loop.run_until_complete(future) == "the value"
    loop.close()


def test_a_future_that_was_left_to_a_loop_that_closes_is_dropped_once(
    loop_factory: LoopFactory,
) -> None:
    loop, drops = loop_factory(), Drops()
    future = left_to(loop, drops)
    loop.close()
    assert drops.wait_for(1) == 1
    del future


def test_a_future_that_was_left_to_the_loop_can_be_cancelled(run: Run) -> None:
    async def main() -> int:
        gate, drops = Gate(), Drops()
        for _ in range(100):
            future = bridge_tests.future_into_py("value", gate, drops)
            gate.open_elsewhere()
            future.cancel()
            with pytest.raises(asyncio.CancelledError):
                await future
            gate = Gate()
        return int(drops.wait_for(100))

    assert run(main()) == 100


def test_wakes_that_come_after_pauses_are_looked_after(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        for _ in range(3):
            gate = Gate()
            future = bridge_tests.future_into_py("value", gate, drops)
            gate.open_elsewhere()
            await future
            # Longer than the thread that looks goes on looking.
            await asyncio.sleep(0.05)
        gate = Gate()
        future = bridge_tests.future_into_py("value", gate, drops)
        gate.open_elsewhere()
        dropped = drops.wait_for(4)
        await future
        return int(dropped)

    assert run(main()) == 4
