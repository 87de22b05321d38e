"""The executors, what runs on them, and blocking calls."""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import bridge_tests
import pytest
from bridge_tests import Drops, Gate, RustPanic

from .conftest import Run


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


@pytest.mark.parametrize("library", ["async-std", "smol", "tokio"])
def test_sockets_work_of_each_library_that_the_executor_serves(
    run: Run, library: "bridge_tests.Library"
) -> None:
    if library == "tokio" != bridge_tests.executor():
        pytest.skip("tokio's sockets need its executor")

    async def main() -> list[str]:
        texts = [f"text {number}" for number in range(5)]
        return await asyncio.gather(*[bridge_tests.echo(library, text) for text in texts])

    assert run(main()) == [f"text {number}" for number in range(5)]


def test_timers_and_tasks_of_async_std_and_smol_work_on_every_executor(run: Run) -> None:
    async def main() -> None:
        assert await bridge_tests.sleep_by_async_std() == "slept"
        assert await bridge_tests.sleep_by_smol() == "slept"
        assert await bridge_tests.sum_of_tasks(10) == 45

    run(main())


# How many blocking calls an executor has at a time, where the environment says one.
BLOCKING = {"async-std": 1, "smol": 1, "tokio": 512}

BUSY = """
import asyncio, importlib, sys
import bridge_tests
from bridge_tests import Drops, Gate

async def main():
    busy = Gate()
    before = [bridge_tests.spawn_blocking_into_py("value", busy) for _ in range(int(sys.argv[2]))]
    assert busy.wait_for_polls(len(before))
    gate, drops = Gate(), Drops()
    cancelled = bridge_tests.spawn_blocking_into_py("value", gate, drops)
    assert cancelled.cancel()
    assert drops.count == 1
    after = bridge_tests.spawn_blocking_into_py("value")
    busy.open()
    assert await asyncio.gather(*before, after) == ["the value"] * (len(before) + 1)
    assert gate.polls == 0

with asyncio.Runner(loop_factory=importlib.import_module(sys.argv[1]).new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rsloop"])
def test_a_blocking_call_that_is_cancelled_before_it_begins_never_runs(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip(loop)
    threads = BLOCKING.get(bridge_tests.executor())
    if threads is None:
        pytest.skip("this executor has a thread for each call, which begins at once")
    run_alone(BUSY, loop, str(threads), BLOCKING_MAX_THREADS="1")


REFUSED = """
import asyncio, importlib, sys
import bridge_tests
from bridge_tests import Drops, Gate, RustPanic

async def refused(awaitable):
    try:
        await awaitable
    except RustPanic as panic:
        return str(panic)

async def main():
    assert await bridge_tests.future_into_py("value") == "the value"
    gate, drops = Gate(), Drops()
    for start in bridge_tests.spawn_into_py, bridge_tests.spawn_blocking_into_py:
        try:
            start("value", gate, drops)
        except RustPanic as panic:
            assert str(panic) == "no thread"
        else:
            raise AssertionError("nothing was raised")
    assert drops.count == 2
    # The loop is asked to poll one of them, and if it is late the executor is given that, too.
    awaited = [bridge_tests.future_into_py("value", gate, drops) for _ in range(3)]
    waiting = asyncio.gather(*map(refused, awaited))
    await asyncio.sleep(0)
    gate.open()
    assert (await waiting).count("no thread") >= 2
    assert drops.count == 5

with asyncio.Runner(loop_factory=importlib.import_module(sys.argv[1]).new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rsloop"])
def test_a_future_ends_with_the_error_of_an_executor_that_has_no_thread(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip(loop)
    done = process(REFUSED, loop, BRIDGE_TESTS_REFUSE_THREADS="1")
    assert done.returncode == 0, done.stderr
    # Rust's own hook tells of each panic, and nothing else is told.
    assert done.stderr.count("panicked at") in {4, 5}
    assert "Exception ignored" not in done.stderr


NO_ROOM = """
import asyncio, importlib, resource, sys
import bridge_tests
from bridge_tests import RustPanic

async def main():
    with open("/proc/self/statm") as statm:
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    # Less than the stack of a thread.
    resource.setrlimit(resource.RLIMIT_AS, (taken + 1_500_000, resource.RLIM_INFINITY))
    try:
        for start in bridge_tests.spawn_into_py, bridge_tests.spawn_blocking_into_py:
            try:
                await start("value")
            except RustPanic as panic:
                print(panic)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert await bridge_tests.spawn_into_py("value") == "the value"
    assert await bridge_tests.spawn_blocking_into_py("value") == "the value"

with asyncio.Runner(loop_factory=importlib.import_module(sys.argv[1]).new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="sizes are not told here")
def test_futures_are_refused_while_the_system_gives_no_thread() -> None:
    done = process(NO_ROOM, "rsloop")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Resource temporarily unavailable") == 2


THREADS = """
import asyncio, pathlib, sys
import bridge_tests

# A thread has the name of the one that made it until it gives itself its own.
def smol_threads():
    names = {path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")}
    return len([name for name in names if name.startswith("smol")])

async def main():
    assert await bridge_tests.spawn_into_py("value") == "the value"
    async with asyncio.timeout(30):
        while smol_threads() < int(sys.argv[1]):
            await asyncio.sleep(0)
    print(smol_threads())

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are not listed here")
def test_smol_has_the_threads_that_the_environment_says() -> None:
    if bridge_tests.executor() != "smol":
        pytest.skip("another executor")
    assert run_alone(THREADS, "1") == "1\n"
    assert run_alone(THREADS, "3", SMOL_THREADS="3") == "3\n"


def run_alone(script: str, *arguments: str, **environment: str) -> str:
    """Run a script in a process of its own, which is to be silent; return what it prints."""
    done = process(script, *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def process(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "SMOL_THREADS"}
        | environment,
    )
