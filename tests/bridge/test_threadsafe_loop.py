"""Loops that cannot watch descriptors are woken by `call_soon_threadsafe`."""

import asyncio
import gc
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import LoopFactory, Run
from .deaf import Deaf, Earless, Told


@pytest.fixture(params=[Deaf, Earless])
def loop_factory(request: pytest.FixtureRequest) -> type[Told]:
    factory: type[Told] = request.param
    return factory


def test_results_arrive_from_other_threads(run: Run) -> None:
    async def main() -> Any:
        gate = Gate()
        futures = [bridge_tests.future_into_py("value", gate) for _ in range(100)]
        futures += [bridge_tests.local_future_into_py("value", gate) for _ in range(100)]
        gate.open_elsewhere()
        assert await bridge_tests.yield_locally(10)
        return await asyncio.gather(*futures, bridge_tests.call_from_send(asyncio.sleep(0, 1)))

    assert run(main()) == ["the value"] * 200 + [1]


def test_cancelling_drops_the_future(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge_tests.future_into_py("value", Gate(), drops), 0.001)
        return drops.wait_for(1)

    assert run(main()) == 1


def test_a_result_for_a_closed_loop_is_dropped_with_all_that_was_pending(
    loop_factory: LoopFactory,
) -> None:
    drops, gate, never = Drops(), Gate(), Gate()

    async def main() -> list[Any]:
        return [bridge_tests.future_into_py("value", each, drops) for each in (gate, never)]

    loop = loop_factory()
    futures = loop.run_until_complete(main())
    assert gate.wait_for_polls(1)
    assert never.wait_for_polls(1)
    loop.close()
    gate.open_elsewhere()
    assert drops.wait_for(2) == 2
    del futures
    gc.collect()


def test_a_loop_that_closes_after_it_was_told_drops_what_it_was_told_of(
    loop_factory: type[Told],
) -> None:
    drops, gate, never = Drops(), Gate(), Gate()

    async def main() -> list[Any]:
        futures = [bridge_tests.future_into_py("value", each, drops) for each in (gate, never)]
        return [*futures, asyncio.gather(*futures)]

    loop = loop_factory()
    futures = loop.run_until_complete(main())
    # A result that the loop has no turn left for.
    loop.told.clear()
    gate.open_elsewhere()
    assert drops.wait_for(1) == 1
    assert loop.told.wait(30)
    loop.close()
    assert drops.wait_for(2) == 2
    futures.clear()
    gc.collect()
