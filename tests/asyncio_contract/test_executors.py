"""run_in_executor: results, exceptions, cancellation, shutdown."""

import asyncio
import concurrent.futures
import contextvars
import threading

import pytest

from .conftest import LoopFactory, Run

Loop = asyncio.AbstractEventLoop


def test_function_runs_in_another_thread(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ident = await loop.run_in_executor(None, threading.get_ident)
        assert ident != threading.get_ident()

    run(main())


def test_arguments_and_result(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, divmod, 7, 3) == (2, 1)

    run(main())


def test_exception_arrives(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, divmod, 7, 0)

    run(main())


def test_own_executor(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="own") as executor:
            name = await loop.run_in_executor(executor, lambda: threading.current_thread().name)
        assert name.startswith("own")

    run(main())


def test_default_executor_can_be_set(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(
            concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
        )
        name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
        assert name.startswith("default")

    run(main())


def test_default_executor_must_be_a_thread_pool(loop: Loop) -> None:
    with pytest.raises(TypeError, match="ThreadPoolExecutor"):
        loop.set_default_executor(object())  # type: ignore[arg-type]


def test_to_thread_carries_the_context(run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def main() -> None:
        variable.set("carried")
        assert await asyncio.to_thread(variable.get) == "carried"

    run(main())


def test_cancelling_the_wait_does_not_stop_the_thread(run: Run) -> None:
    release = threading.Event()
    ended = threading.Event()

    def work() -> None:
        release.wait()
        ended.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, work)
        await asyncio.sleep(0)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert not ended.is_set()
        release.set()

    run(main())
    assert ended.is_set()


def test_shutdown_waits_and_then_refuses(loop: Loop) -> None:
    ran: list[str] = []

    async def main() -> None:
        loop.run_in_executor(None, ran.append, "ran")
        await loop.shutdown_default_executor()
        assert ran == ["ran"]
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, print)

    loop.run_until_complete(main())


def test_hundred_jobs(run: Run) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            *(loop.run_in_executor(None, pow, number, 2) for number in range(100))
        )

    assert run(main()) == [number**2 for number in range(100)]


def test_coroutines_are_refused_in_debug_mode(loop: Loop) -> None:
    async def coroutine_function() -> None:
        raise AssertionError("never runs")

    loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used"):
        loop.run_in_executor(None, coroutine_function)


def test_thread_outliving_the_loop_does_no_harm(loop_factory: LoopFactory) -> None:
    release = threading.Event()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    loop = loop_factory()

    async def main() -> None:
        loop.run_in_executor(executor, release.wait)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    loop.close()
    # Its result has nowhere to go; the pool logs nothing and the thread ends.
    release.set()
    executor.shutdown(wait=True)
