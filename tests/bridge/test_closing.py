"""Loops that close while futures are pending."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import LoopFactory
from .test_outcomes import MAKERS, Make


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    maker: Make = request.param
    return maker


def run_once(loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> Any:
    """Call `function` on the running loop, and stop the loop."""

    async def call() -> list[Any]:
        return [function()]

    return loop.run_until_complete(call())[0]


def test_closing_drops_the_rust_future(loop_factory: LoopFactory, make: Make) -> None:
    loop = loop_factory()
    gate, drops = Gate(), Drops()
    future = run_once(loop, lambda: make("value", gate, drops))
    assert gate.wait_for_polls(1)
    loop.close()
    assert drops.wait_for(1) == 1
    assert not future.done()
    # Wakers outlive the loop.
    gate.open_elsewhere()
    gc.collect()
    assert drops.count == 1


def test_a_result_that_comes_after_the_close_is_dropped(
    loop_factory: LoopFactory, make: Make
) -> None:
    loop = loop_factory()
    gate, drops = Gate(), Drops()
    future = run_once(loop, lambda: make("value", gate, drops))
    assert gate.wait_for_polls(1)
    gate.open_elsewhere()
    loop.close()
    assert drops.wait_for(1) == 1
    del future
    gc.collect()


def test_cancelling_after_the_close_says_the_loop_is_closed_or_nothing(
    loop_factory: LoopFactory, make: Make
) -> None:
    loop = loop_factory()
    future = run_once(loop, lambda: make("value", Gate()))
    loop.close()
    assert future.cancel()
    assert future.cancelled()


def test_closing_ends_python_calls(loop_factory: LoopFactory) -> None:
    loop = loop_factory()

    async def never() -> None:
        await asyncio.Event().wait()

    # A coroutine of PyO3's own, which can be resumed here when no loop runs any more.
    call = bridge_tests.call_from_pyo3(never())
    run_once(loop, lambda: call.send(None))
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    with pytest.raises(RuntimeError, match="the event loop is closed"):
        call.send(None)


def test_a_closed_loop_is_not_kept_alive(loop_factory: LoopFactory, make: Make) -> None:
    class Witness:
        pass

    loop = loop_factory()
    future = run_once(loop, lambda: make("value", Gate()))
    witness = Witness()
    alive = weakref.ref(witness)

    def handler(_loop: object, _context: object, _witness: Witness = witness) -> None:
        raise AssertionError

    loop.set_exception_handler(handler)
    loop.close()
    del loop, future, witness, handler
    gc.collect()
    assert alive() is None


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are not listed here")
def test_no_descriptor_is_left_behind(loop_factory: LoopFactory) -> None:
    def use_a_loop() -> None:
        loop = loop_factory()
        run_once(loop, lambda: bridge_tests.future_into_py("value", Gate()))
        loop.close()

    use_a_loop()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        use_a_loop()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_loops_one_after_the_other_have_ports_of_their_own(loop_factory: LoopFactory) -> None:
    for _ in range(20):
        loop = loop_factory()
        gate = Gate()

        async def main(gate: Gate = gate) -> str:
            asyncio.get_running_loop().call_soon(gate.open_elsewhere)
            return await bridge_tests.future_into_py("value", gate)

        assert loop.run_until_complete(main()) == "the value"
        loop.close()
