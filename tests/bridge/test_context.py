"""The context that is captured in the call is the one that Python code runs in."""

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Awaitable

import bridge_tests
import pytest
from bridge_tests import Drops, Gate, Locals

from .conftest import LoopFactory, Run

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="none")


@pytest.mark.parametrize("ready", [True, False], ids=["ready", "pending"])
def test_the_conversion_sees_the_captured_context(run: Run, ready: bool) -> None:
    async def main() -> str:
        gate = None if ready else Gate()
        VARIABLE.set("captured")
        future = bridge_tests.convert_by_calling(VARIABLE.get, gate)
        VARIABLE.set("changed after")
        if gate is not None:
            gate.open_elsewhere()
        return await future

    assert run(main()) == "captured"


def test_a_local_poll_runs_in_the_captured_context(run: Run) -> None:
    def change() -> str:
        before = VARIABLE.get()
        VARIABLE.set("changed inside")
        return before

    async def main() -> tuple[str, str]:
        gate = Gate()
        VARIABLE.set("captured")
        future = bridge_tests.call_in_poll(gate, change)
        VARIABLE.set("changed after")
        gate.open_elsewhere()
        return await future, VARIABLE.get()

    assert run(main()) == ("captured", "changed after")


@pytest.mark.parametrize("woken", [True, False], ids=["by a thread", "by Python"])
def test_a_poll_in_the_loop_s_thread_runs_in_the_captured_context(
    loop_factory: LoopFactory, *, woken: bool
) -> None:
    def change() -> tuple[bool, str]:
        before = VARIABLE.get()
        VARIABLE.set("changed inside")
        return threading.get_ident() == here, before

    async def poll() -> tuple[bool, str]:
        gate = Gate()
        VARIABLE.set("captured")
        if woken:
            future = bridge_tests.calls_when_open(gate, change)
        else:
            future = bridge_tests.call_after(asyncio.sleep(0), change)
        VARIABLE.set("changed after")
        gate.open_elsewhere()
        found = await future
        assert VARIABLE.get() == "changed after"
        return found

    async def main() -> set[str]:
        found = [await poll() for _ in range(20)]
        # A loop that comes too late finds that the executor has made the poll.
        return {before for here, before in found if here}

    here = threading.get_ident()
    loop = loop_factory()
    outside = VARIABLE.get()
    assert loop.run_until_complete(main()) <= {"captured"}
    assert VARIABLE.get() == outside
    loop.close()


def test_every_poll_for_given_locals_runs_in_their_context(run: Run) -> None:
    found: list[tuple[int, str]] = []

    def change() -> None:
        found.append((threading.get_ident(), VARIABLE.get()))
        VARIABLE.set("changed inside")

    async def main() -> str:
        gate = Gate()
        VARIABLE.set("captured")
        locals_ = Locals()
        VARIABLE.set("changed after")
        future = locals_.call(gate, change)
        assert found.pop() == (here, "captured")
        gate.open_elsewhere()
        await future
        # By the loop, or on a worker, which has no context, if that comes too late.
        where, value = found.pop()
        assert where != here or value == "changed inside"
        return VARIABLE.get()

    here = threading.get_ident()
    assert run(main()) == "changed after"


def test_a_context_that_is_entered_already_is_copied(run: Run) -> None:
    async def main() -> str:
        VARIABLE.set("captured")
        locals_ = Locals()
        assert locals_.context[VARIABLE] == "captured"
        gate = Gate()
        # Called in the very context that the locals hold.
        future = locals_.context.run(locals_.future, gate)
        gate.open()
        value = await future
        return value + " in " + VARIABLE.get()

    assert run(main()) == "the value in captured"


def test_a_worker_finds_the_locals_of_the_future_it_polls(run: Run) -> None:
    async def in_python() -> tuple[str, int]:
        return VARIABLE.get(), id(asyncio.get_running_loop())

    called: list[str] = []

    def make() -> Awaitable[tuple[str, int]]:
        called.append(VARIABLE.get())
        return in_python()

    async def main() -> None:
        gate = Gate()
        VARIABLE.set("captured")
        future = bridge_tests.call_with_found_locals(gate, make)
        VARIABLE.set("changed after")
        assert gate.wait_for_polls(1)
        gate.open_elsewhere()
        assert await future == ("captured", id(asyncio.get_running_loop()))
        assert called == ["captured"]

    run(main())


def test_a_scope_carries_the_locals_into_a_task_of_the_extensions_own(run: Run) -> None:
    async def in_python() -> str:
        return VARIABLE.get()

    async def main() -> str:
        VARIABLE.set("captured")
        future = bridge_tests.call_in_scope(in_python)
        VARIABLE.set("changed after")
        return await future

    assert run(main()) == "captured"


def test_an_awaitable_can_be_made_in_a_poll_on_a_worker(run: Run) -> None:
    async def main() -> str:
        gate = Gate()
        future = bridge_tests.nested(gate)
        assert gate.wait_for_polls(1)
        gate.open_elsewhere()
        return await future

    assert run(main()) == "the inner value"


def test_a_chain_of_rust_and_python_keeps_loop_and_context(run: Run) -> None:
    async def deepest() -> str:
        return VARIABLE.get()

    def deeper() -> Awaitable[str]:
        return bridge_tests.call_in_scope(deepest)

    async def middle() -> str:
        # A coroutine that Rust awaits, and that awaits Rust, which awaits Python.
        return await deeper()

    async def main() -> str:
        gate = Gate()
        VARIABLE.set("captured")
        future = bridge_tests.call_with_found_locals(gate, middle)
        VARIABLE.set("changed after")
        gate.open_elsewhere()
        return await future

    assert run(main()) == "captured"


def test_a_loop_that_runs_inside_a_blocking_call_is_the_current_one(run: Run) -> None:
    async def value() -> str:
        return VARIABLE.get()

    async def inner() -> str:
        VARIABLE.set("inner")
        return await bridge_tests.call_in_scope(value)

    async def main() -> str:
        VARIABLE.set("captured")
        # In a poll of a future that has locals of its own: those of the running loop are nearer.
        return await bridge_tests.call_blocking(lambda: asyncio.run(inner()))

    assert run(main()) == "inner"


def test_locals_of_a_future_that_is_not_send_are_refused_on_another_thread(run: Run) -> None:
    async def main() -> None:
        gate, drops = Gate(), Drops()
        captured = Locals()
        with pytest.raises(RuntimeError, match="on the thread of its event loop"):
            await asyncio.to_thread(captured.local_future, gate, drops)
        assert (gate.polls, drops.count) == (0, 1)
        gate.open()
        assert await captured.local_future(gate, drops) == "the value"

    run(main())


def test_locals_keep_their_loop_alive(loop_factory: LoopFactory) -> None:
    async def capture() -> Locals:
        return Locals()

    loop = loop_factory()
    captured = loop.run_until_complete(capture())
    loop.close()
    alive = weakref.ref(loop)
    del loop
    gc.collect()
    assert captured.event_loop is alive()
    del captured
    gc.collect()
    assert alive() is None
