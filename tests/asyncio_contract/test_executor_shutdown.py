"""The end of executors: waiting, refusing, timing out, and never deadlocking."""

import asyncio
import concurrent.futures
import sys
import threading
import time
from typing import Any

import pytest

from .conftest import LoopFactory, Run
from .test_life_cycle import run_program

Loop = asyncio.AbstractEventLoop


def test_shutdown_without_an_executor(loop: Loop) -> None:
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.run_until_complete(loop.shutdown_default_executor())


def test_shutdown_twice_and_at_once(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, str)
        await asyncio.gather(*(loop.shutdown_default_executor() for _ in range(3)))

    run(main())


@pytest.mark.skipif(
    sys.version_info < (3, 13),
    reason="new in 3.12, where both loops report that the thread given up on comes too late",
)
def test_shutdown_that_times_out_warns_and_goes_on(run: Run) -> None:
    release = threading.Event()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        waiting = loop.run_in_executor(None, release.wait)
        await asyncio.sleep(0)
        try:
            with pytest.warns(RuntimeWarning, match="joining its threads within 0.01 seconds"):
                await loop.shutdown_default_executor(0.01)
        finally:
            release.set()
        assert await waiting

    run(main())
    for thread in threading.enumerate():
        if "_do_shutdown" in thread.name:
            # The one that was given up on ends by itself.
            thread.join()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_shutdown_with_time_enough_waits(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        job = loop.run_in_executor(None, time.sleep, 0.01)
        await loop.shutdown_default_executor(timeout=30)
        assert job.done() or await job is None

    run(main())


def test_a_job_may_call_the_loop_while_the_executor_shuts_down(run: Run) -> None:
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def job() -> None:
            # The loop must still run, or this would wait for ever.
            asyncio.run_coroutine_threadsafe(note(), loop).result(10)

        async def note() -> None:
            seen.append("noted")

        loop.run_in_executor(None, job)
        await loop.shutdown_default_executor()

    run(main())
    assert seen == ["noted"]


def test_a_job_may_start_another_through_the_loop(run: Run) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()

        async def inner() -> int:
            return await loop.run_in_executor(None, pow, 2, 10)

        def job() -> int:
            return asyncio.run_coroutine_threadsafe(inner(), loop).result(10)

        return await loop.run_in_executor(None, job)

    assert run(main()) == 1024


def test_closing_the_loop_does_not_wait_for_its_threads(loop_factory: LoopFactory) -> None:
    release = threading.Event()
    loop = loop_factory()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    loop.run_in_executor(None, release.wait)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert not release.is_set()
    release.set()
    executor.shutdown(wait=True)


def test_results_that_come_after_the_loop_stopped_are_there_in_the_next_run(loop: Loop) -> None:
    release = threading.Event()
    future = loop.run_in_executor(None, release.wait)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert not future.done()
    release.set()
    assert loop.run_until_complete(asyncio.wait_for(future, 10)) is True


def test_many_threads_finish_while_the_loop_sleeps(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(16) as executor:
            for _ in range(20):
                jobs = [loop.run_in_executor(executor, time.sleep, 0.0005) for _ in range(32)]
                await asyncio.wait_for(asyncio.gather(*jobs), 20)

    run(main())


def test_interpreter_ends_with_a_job_that_runs(loop_kind: str) -> None:
    """The default executor's threads are joined at exit; a job that ends lets the process end."""
    program = """
import asyncio, time
loop = Loop()
loop.run_in_executor(None, time.sleep, 0.05)
loop.call_soon(loop.stop)
loop.run_forever()
print("leaving", flush=True)
"""
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stdout) == (0, "leaving\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_interpreter_ends_by_an_interrupt_while_a_job_runs(loop_kind: str) -> None:
    program = """
import asyncio, signal, time
async def main():
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, signal.raise_signal, signal.SIGINT)
    await loop.run_in_executor(None, time.sleep, 0.05)
try:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    done = run_program(loop_kind, program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
