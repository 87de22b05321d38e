"""rsloop.run and rsloop.new_event_loop."""

import asyncio
import contextvars
import subprocess
import sys
from typing import Any

import pytest

import rsloop

RUNNERS: list[Any] = [
    pytest.param(asyncio.run, id="asyncio"),
    pytest.param(rsloop.run, id="rsloop"),
]


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.mark.parametrize("run", RUNNERS)
def test_run_returns_the_result(run: Any) -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 42

    assert run(main()) == 42


@pytest.mark.parametrize("run", RUNNERS)
def test_run_raises_what_the_coroutine_raises(run: Any) -> None:
    class BoomError(Exception):
        pass

    async def main() -> None:
        raise BoomError

    with pytest.raises(BoomError):
        run(main())


def test_run_uses_rsloop_and_closes_it() -> None:
    loop = rsloop.run(running_loop())
    assert isinstance(loop, rsloop.Loop)
    assert loop.is_closed()


def test_each_run_has_a_loop_of_its_own() -> None:
    assert rsloop.run(running_loop()) is not rsloop.run(running_loop())


def test_run_uses_the_loop_factory_that_is_passed() -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        made.append(asyncio.SelectorEventLoop())
        return made[-1]

    assert [rsloop.run(running_loop(), loop_factory=factory)] == made
    assert made[0].is_closed()


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("debug", [True, False])
def test_run_sets_debug(run: Any, debug: bool) -> None:
    async def main() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert run(main(), debug=debug) is debug


@pytest.mark.parametrize("run", RUNNERS)
def test_run_refuses_what_is_not_a_coroutine(run: Any) -> None:
    expected = TypeError if sys.version_info >= (3, 14) else ValueError
    with pytest.raises(expected):
        run(lambda: None)


@pytest.mark.parametrize("run", RUNNERS)
def test_run_inside_a_running_loop_is_refused(run: Any) -> None:
    async def main() -> None:
        inner = running_loop()
        try:
            with pytest.raises(
                RuntimeError, match=r"run\(\) cannot be called from a running event"
            ):
                run(inner)
        finally:
            inner.close()

    run(main())


@pytest.mark.parametrize("run", RUNNERS)
def test_run_cancels_the_tasks_that_are_left(run: Any) -> None:
    cancelled: list[str] = []

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("left")
            raise

    async def main() -> asyncio.Task[None]:
        task = asyncio.ensure_future(left())
        await asyncio.sleep(0)
        return task

    assert run(main()).cancelled()
    assert cancelled == ["left"]


@pytest.mark.parametrize("run", RUNNERS)
def test_run_closes_asynchronous_generators(run: Any) -> None:
    closed: list[str] = []
    kept: list[Any] = []

    async def numbers() -> Any:
        try:
            yield 1
        finally:
            closed.append("numbers")

    async def main() -> None:
        kept.append(numbers())
        assert await anext(kept[0]) == 1

    run(main())
    assert closed == ["numbers"]


@pytest.mark.parametrize("run", RUNNERS)
def test_run_copies_the_context(run: Any) -> None:
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("outer")

    async def main() -> str:
        seen = variable.get()
        variable.set("inner")
        return seen

    assert run(main()) == "outer"
    assert variable.get() == "outer"


INTERRUPTED = """
import asyncio, os, signal
import rsloop

async def main():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise

try:
    {run}(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("run", ["asyncio.run", "rsloop.run"])
def test_run_turns_an_interrupt_into_cancellation_then_keyboard_interrupt(run: str) -> None:
    program = [sys.executable, "-W", "error", "-c", INTERRUPTED.format(run=run)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30)
    assert (done.stdout.split(), done.stderr) == (["cancelled", "interrupted"], "")
    assert done.returncode == 0


def test_new_event_loop_is_a_loop_factory() -> None:
    with asyncio.Runner(loop_factory=rsloop.new_event_loop) as runner:
        assert type(runner.run(running_loop())) is rsloop.Loop


def test_new_event_loop_neither_runs_nor_becomes_current() -> None:
    loop = rsloop.new_event_loop()
    try:
        assert type(loop).__name__ == "Loop"
        assert not loop.is_running()
        assert asyncio._get_running_loop() is None
    finally:
        loop.close()
