"""Asynchronous functions of PyO3's own, beside those of the bridge's macro.

`docs/extensions/async-functions.md` has the table that these tests hold to the truth.
"""

import asyncio
import threading

import bridge_tests
import pytest
from bridge_tests import Drops, Gate

from .conftest import Run


def test_pyo3_makes_a_coroutine_that_starts_when_it_is_awaited(run: Run) -> None:
    async def main() -> list[tuple[int, bool]]:
        gate, drops = Gate(), Drops()
        coroutine = bridge_tests.pyo3s_polls(gate, drops)
        assert asyncio.iscoroutine(coroutine)
        assert not asyncio.isfuture(coroutine)
        assert gate.polls == 0
        asyncio.get_running_loop().call_soon(gate.open)
        return await coroutine

    # On the loop's thread, attached.
    assert run(main()) == [(threading.get_ident(), True)] * 2


def test_the_bridge_makes_a_future_that_starts_in_the_call(run: Run) -> None:
    async def main() -> list[tuple[int, bool]]:
        gate, drops = Gate(), Drops()
        future = bridge_tests.bridges_polls(gate, drops)
        assert asyncio.isfuture(future)
        assert not asyncio.iscoroutine(future)
        assert gate.wait_for_polls(1)
        gate.open_elsewhere()
        return await future

    first, later = run(main())
    # First in the call, and detached; then, too, on whichever thread.
    assert first[0] == threading.get_ident()
    assert (first[1], later[1]) == (False, False)


def test_both_drop_their_futures_when_they_are_cancelled(run: Run) -> None:
    async def main() -> list[int]:
        counts = []
        for function in (bridge_tests.pyo3s_polls, bridge_tests.bridges_polls):
            gate, drops = Gate(), Drops()
            future = asyncio.ensure_future(function(gate, drops))
            await asyncio.sleep(0)
            assert gate.wait_for_polls(1)
            future.cancel()
            with pytest.raises(asyncio.CancelledError):
                await future
            counts.append(drops.wait_for(1))
        return counts

    assert run(main()) == [1, 1]


def test_pyo3s_cancel_handle_keeps_the_future(run: Run) -> None:
    async def main() -> str:
        gate = Gate()
        task = asyncio.ensure_future(bridge_tests.pyo3s_handled(gate))
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_soon(gate.open)
        return await task

    assert run(main()) == "CancelledError"


def test_tokios_timers_panic_in_pyo3s_functions(run: Run) -> None:
    if bridge_tests.executor() != "tokio":
        pytest.skip("another executor")

    async def main() -> None:
        # PyO3's PanicException, which is no Exception.
        with pytest.raises(BaseException, match="no reactor running"):
            await bridge_tests.pyo3s_sleep_by_tokio()
        assert await bridge_tests.sleep_by_tokio() == "slept"

    run(main())


def test_methods_by_either(run: Run) -> None:
    async def main() -> tuple[str, str]:
        gate = Gate()
        methods = bridge_tests.Methods(gate)
        asyncio.get_running_loop().call_soon(gate.open_elsewhere)
        return await asyncio.gather(methods.by_pyo3(), methods.by_the_bridge())

    assert tuple(run(main())) == ("the value", "the value")
