"""Loops that run at the same time, each in a thread of its own."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import bridge_tests
from bridge_tests import Drops, Gate

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
