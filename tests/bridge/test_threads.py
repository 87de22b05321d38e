"""Loops that run at the same time, each in a thread of its own."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import bridge_tests
from bridge_tests import Drops, Gate, Locals

from .conftest import Run

THREADS = 4
ROUNDS = 50


def test_each_thread_has_its_own_futures(run: Run) -> None:
    together = threading.Barrier(THREADS, timeout=10)

    async def main(name: str) -> list[str]:
        async def python_side() -> str:
            await asyncio.sleep(0)
            return name

        together.wait()
        results: list[str] = []
        for _ in range(ROUNDS):
            gate = Gate()
            asyncio.get_running_loop().call_soon(gate.open_elsewhere)
            results += await asyncio.gather(
                bridge_tests.call_from_worker(gate, python_side()),
                bridge_tests.call_from_local(python_side()),
                bridge_tests.convert_by_calling(lambda: name, gate),
            )
        return results

    with ThreadPoolExecutor(THREADS) as pool:
        names = [f"thread {number}" for number in range(THREADS)]
        for name, results in zip(names, pool.map(lambda n: run(main(n)), names), strict=True):
            assert results == [name] * (3 * ROUNDS)


def test_one_gate_for_the_futures_of_all_threads(run: Run) -> None:
    gate, drops = Gate(), Drops()
    made = threading.Barrier(THREADS + 1, timeout=10)

    async def main(*, cancel: bool) -> int:
        makers = (bridge_tests.future_into_py, bridge_tests.local_future_into_py)
        futures = [make("value", gate, drops) for make in makers for _ in range(ROUNDS)]
        if cancel:
            for future in futures:
                future.cancel()
        made.wait()
        results = await asyncio.gather(*futures, return_exceptions=True)
        return results.count("the value")

    def run_main(number: int) -> int:
        return run(main(cancel=number % 2 == 1))

    with ThreadPoolExecutor(THREADS) as pool:
        runs = [pool.submit(run_main, number) for number in range(THREADS)]
        made.wait()
        gate.open_elsewhere()
        counts = [each.result() for each in runs]
    assert counts == [2 * ROUNDS, 0] * (THREADS // 2)
    assert drops.wait_for(THREADS * 2 * ROUNDS) == THREADS * 2 * ROUNDS


def test_workers_finish_futures_while_the_gil_is_held(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        futures = [bridge_tests.spawn_into_py("value", None, drops) for _ in range(ROUNDS)]
        dropped = drops.wait_attached(ROUNDS)
        await asyncio.gather(*futures)
        return dropped

    assert run(main()) == ROUNDS


def test_a_future_that_yields_once_stays_in_the_call(run: Run) -> None:
    async def main() -> list[int]:
        # A poll that was interrupted for long is not repeated there, so one call proves nothing.
        return [await bridge_tests.polls_elsewhere(1) for _ in range(ROUNDS)]

    assert 0 in run(main())


def test_a_future_that_yields_often_leaves_the_call(run: Run) -> None:
    async def main() -> int:
        return await bridge_tests.polls_elsewhere(5)

    assert run(main()) >= 4


class Witness:
    """Notes the thread on which it is freed."""

    def __init__(self) -> None:
        self.freed_on: list[int] = []

    def __del__(self) -> None:
        self.freed_on.append(threading.get_ident())


VARIABLE: contextvars.ContextVar[Witness] = contextvars.ContextVar("VARIABLE")


def test_a_context_that_a_worker_finished_with_is_freed_on_the_loops_thread(run: Run) -> None:
    async def main() -> list[int]:
        gate = Gate()
        context = contextvars.copy_context()
        context.run(VARIABLE.set, Witness())
        freed_on = context[VARIABLE].freed_on
        future = context.run(bridge_tests.future_into_py, "value", gate)
        del context
        gate.open_elsewhere()
        await future
        del future
        while not freed_on:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return freed_on

    assert run(main()) == [threading.get_ident()]


def test_locals_that_are_last_dropped_elsewhere_are_freed_on_the_loops_thread(run: Run) -> None:
    async def main() -> list[int]:
        gate = Gate()
        context = contextvars.copy_context()
        context.run(VARIABLE.set, Witness())
        freed_on = context[VARIABLE].freed_on
        captured = context.run(Locals)
        captured.drop_elsewhere_after(gate)
        del context, captured
        assert freed_on == []
        gate.open_elsewhere()
        while not freed_on:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return freed_on

    assert run(main()) == [threading.get_ident()]
