"""Loops that Rust runs."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import bridge_tests
import pytest

from .conftest import LoopFactory, Run


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


def test_rust_ends_no_loop_that_runs_and_runs_none_beside_it(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="already running"):
            bridge_tests.run_until_complete(loop, text)
        other = asyncio.new_event_loop()
        try:
            with pytest.raises(RuntimeError, match="while another loop is running"):
                bridge_tests.run_until_complete(other, text)
        finally:
            other.close()

    run(main())
    gc.collect()


WITHOUT_RSLOOP = """
import asyncio, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "rsloop":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
import bridge_tests

async def kind():
    return type(asyncio.get_running_loop()).__module__

assert bridge_tests.run(kind).startswith("asyncio.")
loop = asyncio.new_event_loop()
assert bridge_tests.run_until_complete(loop, kind).startswith("asyncio.")
loop.close()
"""


def test_rust_runs_asyncios_loop_where_rsloop_is_not_installed() -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_RSLOOP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_rsloop_that_cannot_be_imported_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rsloop", object())
    with pytest.raises(AttributeError, match="new_event_loop"):
        bridge_tests.run(text)


def test_what_is_left_is_ended_before_the_loop_closes() -> None:
    ended: list[str] = []
    left: list[object] = []

    async def items() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            ended.append("generator")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        left.extend([loop, asyncio.create_task(wait()), items()])
        await anext(left[2])  # type: ignore[call-overload]
        await loop.run_in_executor(None, threading.current_thread)
        left.append(loop._default_executor)  # type: ignore[attr-defined]
        return "done"

    assert bridge_tests.run(main) == "done"
    loop, _, _, executor = left
    assert ended == ["task", "generator"]
    assert loop.is_closed()  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(print)  # type: ignore[attr-defined]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt, as in a program that was not begun in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_the_future_and_raises() -> None:
    cancelled: list[bool] = []

    async def main() -> str:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return "not interrupted"

    with pytest.raises(KeyboardInterrupt):
        bridge_tests.run(main)
    assert cancelled == [True]


def test_ctrl_c_is_left_to_the_main_thread() -> None:
    found: list[Callable[..., object] | int | None] = []

    async def main() -> str:
        found.append(signal.getsignal(signal.SIGINT))
        return "done"

    thread = threading.Thread(target=bridge_tests.run, args=(main,))
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
