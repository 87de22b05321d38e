"""Loops that cannot watch descriptors are woken by `call_soon_threadsafe`."""

import asyncio
import gc
from typing import Any, NoReturn

import bridge_tests
import pytest
from bridge_tests import Drops, Gate


class Deaf(asyncio.SelectorEventLoop):
    """A loop without readers, as Windows' proactor loop is."""

    def add_reader(self, *_: object) -> NoReturn:
        raise NotImplementedError


def test_results_arrive_from_other_threads() -> None:
    async def main() -> Any:
        gate = Gate()
        futures = [bridge_tests.future_into_py("value", gate) for _ in range(100)]
        futures += [bridge_tests.local_future_into_py("value", gate) for _ in range(100)]
        gate.open_elsewhere()
        assert await bridge_tests.yield_locally(10)
        return await asyncio.gather(*futures, bridge_tests.call_from_send(asyncio.sleep(0, 1)))

    with asyncio.Runner(loop_factory=Deaf) as runner:
        assert runner.run(main()) == ["the value"] * 200 + [1]


def test_cancelling_drops_the_future() -> None:
    async def main() -> int:
        drops = Drops()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge_tests.future_into_py("value", Gate(), drops), 0.001)
        return drops.wait_for(1)

    with asyncio.Runner(loop_factory=Deaf) as runner:
        assert runner.run(main()) == 1


def test_a_result_for_a_closed_loop_is_dropped_with_all_that_was_pending() -> None:
    drops, gate, never = Drops(), Gate(), Gate()

    async def main() -> list[Any]:
        return [bridge_tests.future_into_py("value", each, drops) for each in (gate, never)]

    loop = Deaf()
    futures = loop.run_until_complete(main())
    assert gate.wait_for_polls(1)
    assert never.wait_for_polls(1)
    loop.close()
    gate.open_elsewhere()
    assert drops.wait_for(2) == 2
    del futures
    gc.collect()
