"""The executors, blocking calls, and loops that Rust runs."""

import asyncio
import threading

import bridge_tests
import pytest
from bridge_tests import Drops, Gate, RustPanic

from .conftest import LoopFactory, Run


@pytest.mark.parametrize("locally", [False, True], ids=["Send", "local"])
def test_every_poll_enters_tokio_and_only_there(run: Run, locally: bool) -> None:
    async def main() -> tuple[bool, bool]:
        gate = Gate()
        future = bridge_tests.entered(gate, locally)
        assert gate.wait_for_polls(1)
        gate.open_elsewhere()
        return await future

    is_tokio = bridge_tests.executor() == "tokio"
    assert run(main()) == (is_tokio, is_tokio)


def test_tokios_timers_work(run: Run) -> None:
    async def main() -> list[str]:
        return await asyncio.gather(*[bridge_tests.sleep_by_tokio() for _ in range(20)])

    assert run(main()) == ["slept"] * 20


def test_a_blocking_call_does_not_block_the_loop(run: Run) -> None:
    async def main() -> str:
        gate = Gate()
        future = bridge_tests.spawn_blocking_into_py("value", gate)
        asyncio.get_running_loop().call_soon(gate.open)
        return await future

    assert run(main()) == "the value"


def test_a_blocking_call_that_fails_raises(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=r"^the error$"):
            await bridge_tests.spawn_blocking_into_py("error")
        with pytest.raises(RustPanic, match=r"^the panic$"):
            await bridge_tests.spawn_blocking_into_py("panic")

    run(main())


def test_a_blocking_call_that_is_cancelled_runs_to_its_end(run: Run) -> None:
    async def main() -> int:
        gate, drops = Gate(), Drops()
        future = bridge_tests.spawn_blocking_into_py("value", gate, drops)
        assert gate.wait_for_polls(1)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert drops.count == 0
        gate.open_elsewhere()
        return drops.wait_for(1)

    assert run(main()) == 1


async def text() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__


def test_rust_runs_a_loop_of_its_own() -> None:
    assert bridge_tests.run(text).startswith("rsloop")


def test_rust_runs_a_loop_in_another_thread() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(bridge_tests.run(text)))
    thread.start()
    thread.join()
    assert found[0].startswith("rsloop")


def test_errors_pass_through_the_loop_that_rust_runs() -> None:
    async def fail() -> str:
        raise LookupError("the cause")

    with pytest.raises(LookupError, match=r"^the cause$"):
        bridge_tests.run(fail)


def test_rust_runs_a_loop_that_exists(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    try:
        for _ in range(2):
            assert bridge_tests.run_until_complete(loop, text) == type(loop).__module__
    finally:
        loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        bridge_tests.run_until_complete(loop, text)


def test_rust_runs_no_loop_inside_of_one(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            bridge_tests.run(text)

    run(main())
