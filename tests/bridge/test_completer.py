"""Completers of the C header: one extension, without Rust, on each loop."""

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .c_extension import CXX, build, load
from .conftest import LoopFactory, Run
from .deaf import Deaf, Earless


@pytest.fixture(params=["asyncio", "uvloop", "rsloop", Deaf, Earless])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    """Make loops of one kind, among which are two that watch no descriptors."""
    kind: Any = request.param
    return kind if isinstance(kind, type) else pytest.importorskip(kind).new_event_loop


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("completer", tmp_path_factory.mktemp("completer"))


@pytest.fixture(scope="session")
def extension(library: Path) -> Any:
    return load(library)


def counted(extension: Any, converted: int, discarded: int, before: tuple[int, int]) -> None:
    """Wait until so many payloads were converted and discarded since `before`, and no more."""
    deadline = time.monotonic() + 10
    wanted = (before[0] + converted, before[1] + discarded)
    while extension.counts() != wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    assert extension.counts() == wanted


@pytest.mark.parametrize("how", ["here", "joined", "thread"])
def test_a_payload_becomes_the_result(run: Run, extension: Any, how: str) -> None:
    async def main() -> list[int]:
        made = [extension.make() for _ in range(100)]
        extension.complete(made[0][0], 100, "n", how)
        results: list[int] = await asyncio.gather(*(future for _, future in made))
        return results

    assert run(main()) == list(range(100))


def test_the_same_source_works_in_cxx(run: Run, tmp_path: Path) -> None:
    extension = load(build("completer", tmp_path, language=CXX))

    async def main() -> list[int]:
        made = [extension.make() for _ in range(100)]
        extension.complete(made[0][0], 100, "n", "thread")
        results: list[int] = await asyncio.gather(*(future for _, future in made))
        return results

    assert run(main()) == list(range(100))


def test_the_loop_is_woken_from_its_sleep(run: Run, extension: Any) -> None:
    async def main() -> int:
        number, future = extension.make()
        extension.complete(number, 1, "n", "thread", 20_000)
        result: int = await future
        return result

    assert run(main()) == 0


def test_a_result_comes_later_than_the_call(run: Run, extension: Any) -> None:
    async def main() -> None:
        number, future = extension.make()
        extension.complete(number, 1, "n", "here")
        assert not future.done()
        assert await future == 0

    run(main())


def test_completing_from_a_callback_of_a_completion(run: Run, extension: Any) -> None:
    async def main() -> int:
        number, future = extension.make()
        inner_number, inner = extension.make()
        extension.set_callable(lambda: extension.complete(inner_number, 1, "n", "here"))
        extension.complete(number, 1, "c", "here")
        await future
        result: int = await inner
        return result

    assert run(main()) == 0


def test_what_the_conversion_raises_is_the_exception(run: Run, extension: Any) -> None:
    async def main() -> None:
        number, future = extension.make()
        extension.complete(number, 1, "e", "joined")
        with pytest.raises(ValueError, match="number 0"):
            await future

    run(main())


def test_a_conversion_that_fails_without_an_exception_is_said_so(run: Run, extension: Any) -> None:
    async def main() -> None:
        number, future = extension.make()
        extension.complete(number, 1, "0", "joined")
        with pytest.raises(SystemError, match="NULL without an exception"):
            await asyncio.wait_for(future, 10)

    run(main())


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_conversion_may_cancel_its_own_future(run: Run, extension: Any) -> None:
    async def main() -> None:
        number, future = extension.make()
        extension.set_callable(future.cancel)
        extension.complete(number, 1, "c", "joined")
        with pytest.raises(asyncio.CancelledError):
            await future
        extension.set_callable(int)

    run(main())


def test_a_stop_iteration_does_not_leave_the_future_pending(run: Run, extension: Any) -> None:
    async def main() -> None:
        number, future = extension.make()
        extension.complete(number, 1, "s", "joined")
        with pytest.raises((TypeError, RuntimeError), match="StopIteration"):
            await asyncio.wait_for(future, 10)

    run(main())


def test_without_a_conversion_the_future_is_cancelled(run: Run, extension: Any) -> None:
    before = extension.counts()

    async def main() -> None:
        number, future = extension.make()
        extension.complete(number, 1, "x", "joined")
        with pytest.raises(asyncio.CancelledError):
            await future

    run(main())
    counted(extension, 0, 1, before)


def test_a_cancelled_futures_payload_is_discarded(run: Run, extension: Any) -> None:
    before = extension.counts()

    async def main() -> None:
        number, future = extension.make()
        future.cancel()
        extension.complete(number, 1, "n", "joined")
        await asyncio.sleep(0.01)
        assert future.cancelled()

    run(main())
    counted(extension, 0, 1, before)


def test_a_future_cancelled_by_the_conversion_stays_cancelled(run: Run, extension: Any) -> None:
    async def main() -> None:
        number, future = extension.make()
        extension.set_callable(future.cancel)
        extension.complete(number, 1, "c", "here")
        with pytest.raises(asyncio.CancelledError):
            await future

    run(main())


def test_the_conversion_runs_in_the_context_of_the_making(run: Run, extension: Any) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")

    async def main() -> str:
        variable.set("made here")
        number, future = extension.make()
        variable.set("set later")
        extension.set_callable(variable.get)
        extension.complete(number, 1, "c", "thread", 1000)
        result: str = await future
        return result

    assert run(main()) == "made here"


def test_outside_of_a_loop_it_is_refused(extension: Any) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        extension.make()


@pytest.mark.parametrize("when", ["before", "after"])
def test_closing_the_loop_discards(loop_factory: LoopFactory, extension: Any, when: str) -> None:
    before = extension.counts()
    loop = loop_factory()

    async def main() -> tuple[int, weakref.ref[Any]]:
        number, future = extension.make()
        return number, weakref.ref(future)

    number, future = loop.run_until_complete(main())
    if when == "before":
        extension.complete(number, 1, "n", "joined")
    loop.close()
    gc.collect()
    # A loop that watches no descriptor has no way to say that it closes.
    told = when == "before" or not isinstance(loop, Deaf | Earless)
    assert (future() is None) == told
    if when == "after":
        extension.complete(number, 1, "n", "joined")
    gc.collect()
    assert future() is None
    counted(extension, 0, 1, before)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are not listed here")
def test_no_descriptor_is_left_behind(loop_factory: LoopFactory, extension: Any) -> None:
    def use_a_loop() -> None:
        loop = loop_factory()

        async def main() -> int:
            number, future = extension.make()
            extension.complete(number, 1, "n", "thread")
            await future
            pending: int = extension.make()[0]
            return pending

        pending = loop.run_until_complete(main())
        loop.close()
        gc.collect()
        extension.complete(pending, 1, "n", "here")

    use_a_loop()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        use_a_loop()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_threads_and_cancellations_race(run: Run, extension: Any) -> None:
    """Each of 10,000 payloads is converted or discarded, once, whoever is faster."""
    before = extension.counts()

    async def main() -> tuple[int, int]:
        results = cancelled = 0
        for turn in range(100):
            made = [extension.make() for _ in range(100)]
            first = made[0][0]
            extension.complete(first, 50, "n", "thread")
            extension.complete(first + 50, 50, "n", "thread", 1 + turn)
            await asyncio.sleep(0)
            for _, future in made[turn % 3 :: 3]:
                future.cancel()
            done = await asyncio.gather(*(each for _, each in made), return_exceptions=True)
            cancelled += sum(isinstance(each, asyncio.CancelledError) for each in done)
            results += sum(isinstance(each, int) for each in done)
        # Discarded payloads are on their way still.
        await asyncio.sleep(0.05)
        return results, cancelled

    results, cancelled = run(main())
    assert results + cancelled == 10_000
    assert cancelled
    counted(extension, results, cancelled, before)


def test_loops_in_parallel_threads(loop_factory: LoopFactory, extension: Any) -> None:
    """Each thread opens and closes ports of its own, all at the same time."""

    async def main() -> int:
        total = 0
        for _ in range(20):
            made = [extension.make() for _ in range(10)]
            for number, _ in made:
                extension.complete(number, 1, "n", "thread")
            total += len(await asyncio.gather(*(future for _, future in made)))
        return total

    def run_loops() -> int:
        total = 0
        for _ in range(5):
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                total += runner.run(main())
        return total

    with ThreadPoolExecutor(4) as threads:
        counts = [threads.submit(run_loops) for _ in range(4)]
    assert [count.result() for count in counts] == [1000] * 4


SCRIPT = """
import asyncio, importlib, os, sys, warnings
from c_extension import load
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)
warnings.simplefilter("ignore", ResourceWarning)
extension = load(Path(sys.argv[1]))
new_event_loop = importlib.import_module(sys.argv[2]).new_event_loop
async def make(count):
    made = [extension.make() for _ in range(count)]
    global held
    held = [future for _, future in made]
    return made[0][0]
"""
AT_EXIT = """
loop = new_event_loop()
first = loop.run_until_complete(make(100))
extension.complete(first, 50, "n", "thread", 5000)
extension.complete(first + 50, 50, "n", "thread", 100)
"""
IN_CHILD = """
async def again(how):
    number, future = extension.make()
    extension.complete(number, 1, "n", how)
    assert await future == 0
    return 7
loop = new_event_loop()
first = loop.run_until_complete(make(2))
child = os.fork()
if child == 0:
    extension.complete(first, 1, "n", "joined")
    assert extension.counts() == (0, 1), extension.counts()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        sys.exit(runner.run(again("thread")))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
extension.complete(first, 2, "n", "thread")
assert loop.run_until_complete(asyncio.wait_for(asyncio.gather(*held), 10)) == [0, 1]
loop.close()
"""


def run_script(script: str, library: Path, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip(loop)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script, str(library), loop],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rsloop", "deaf"])
@pytest.mark.parametrize("close", ["", "loop.close()\n"], ids=["open", "closed"])
def test_threads_outlive_the_interpreter(library: Path, loop: str, close: str) -> None:
    for _ in range(3):
        run_script(AT_EXIT + close, library, loop)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rsloop", "deaf"])
def test_a_forked_child_starts_afresh(library: Path, loop: str) -> None:
    run_script(IN_CHILD, library, loop)
