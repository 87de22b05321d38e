"""Rust streams in Python, and Python's asynchronous iterators in Rust."""

import asyncio
import contextlib
import contextvars
import gc
from collections.abc import AsyncIterator
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Drops, Gate, RustPanic

from .conftest import LoopFactory, Run

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="none")


@pytest.mark.parametrize("gated", [False, True], ids=["ready", "pending"])
def test_python_iterates_to_the_end(run: Run, gated: bool) -> None:
    async def main() -> tuple[list[int], int]:
        gate, drops = Gate() if gated else None, Drops()
        if gate is not None:
            asyncio.get_running_loop().call_soon(gate.open_elsewhere)
        stream = bridge_tests.numbers(5, gate, drops)
        items = [item async for item in stream]
        return items, drops.wait_for(1)

    assert run(main()) == ([1, 2, 3, 4, 5], 1)


def test_the_stream_is_polled_only_for_an_item(run: Run) -> None:
    async def main() -> list[int]:
        gate = Gate()
        gate.open()
        stream = bridge_tests.numbers(5, gate)
        polls = [gate.polls]
        for _ in range(2):
            await anext(stream)
            polls.append(gate.polls)
        return polls

    assert run(main()) == [0, 1, 2]


def test_an_error_is_raised_and_the_stream_can_be_asked_further(run: Run) -> None:
    async def main() -> None:
        stream = bridge_tests.numbers(1, end="error")
        with pytest.raises(ValueError, match=r"^the error$"):
            _ = [item async for item in stream]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    run(main())


def test_a_panic_is_raised_and_ends_the_stream(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        stream = bridge_tests.numbers(0, None, drops, "panic")
        with pytest.raises(RustPanic, match=r"^the panic$"):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return drops.count

    assert run(main()) == 1


def test_an_iterator_that_is_left_drops_the_stream(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        async for _ in bridge_tests.numbers(5, None, drops):
            break
        gc.collect()
        return drops.wait_for(1)

    assert run(main()) == 1


def test_a_cancelled_task_drops_the_stream(run: Run) -> None:
    async def iterate(gate: Gate, drops: Drops) -> None:
        async for _ in bridge_tests.numbers(5, gate, drops):
            pass

    async def main() -> int:
        gate, drops = Gate(), Drops()
        task = asyncio.create_task(iterate(gate, drops))
        await asyncio.sleep(0)
        assert gate.wait_for_polls(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()
        return drops.wait_for(1)

    assert run(main()) == 1


def test_a_wait_that_is_cancelled_loses_no_item(run: Run) -> None:
    async def main() -> list[int]:
        gate = Gate()
        stream = bridge_tests.numbers(3, gate)
        for _ in range(3):
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        gate.open_elsewhere()
        return [item async for item in stream]

    assert run(main()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("last", "end", "expected"),
    [(3, "value", [1, 2, 3]), (0, "error", ["ValueError('the error')"])],
    ids=["item", "error"],
)
def test_an_item_on_its_way_comes_with_the_next_wait(
    run: Run, last: int, end: "bridge_tests.End", expected: list[Any]
) -> None:
    async def main() -> list[Any]:
        gate = Gate()
        stream = bridge_tests.numbers(last, gate, end=end)
        waiting: Any = stream.__anext__()
        polls = gate.polls
        gate.open_elsewhere()
        # The loop does not run, so that the item is made, and stays on its way to here.
        assert gate.wait_for_polls(polls + 1)
        assert waiting.cancel()
        found: list[Any] = []
        while True:
            try:
                found.append(await anext(stream))
            except ValueError as error:
                found.append(repr(error))
            except StopAsyncIteration:
                return found

    assert run(main()) == expected


def test_two_that_wait_get_an_item_each(run: Run) -> None:
    async def main() -> set[int]:
        gate = Gate()
        stream = bridge_tests.numbers(2, gate)
        both = asyncio.gather(anext(stream), anext(stream))
        await asyncio.sleep(0)
        gate.open_elsewhere()
        return set(await both)

    assert run(main()) == {1, 2}


def test_closing_drops_the_stream_and_ends_the_iteration(run: Run) -> None:
    async def main() -> int:
        drops = Drops()
        stream = bridge_tests.numbers(5, None, drops)
        assert await anext(stream) == 1
        await stream.aclose()
        count = drops.count
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await stream.aclose()
        return count

    assert run(main()) == 1


def test_closing_ends_a_wait(run: Run) -> None:
    async def main() -> int:
        gate, drops = Gate(), Drops()
        stream = bridge_tests.numbers(5, gate, drops)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert gate.wait_for_polls(1)
        await stream.aclose()
        count = drops.count
        with pytest.raises(StopAsyncIteration):
            await waiting
        return count

    assert run(main()) == 1


def test_a_loop_that_closes_lets_go_of_the_stream(loop_factory: LoopFactory) -> None:
    drops = Drops()
    loop = loop_factory()

    async def begin() -> object:
        stream = bridge_tests.numbers(5, Gate(), drops)
        return stream.__anext__()

    waiting = loop.run_until_complete(begin())
    loop.close()
    del waiting
    gc.collect()
    assert drops.wait_for(1) == 1


async def items(
    count: int, seen: list[str] | None = None, closed: asyncio.Event | None = None
) -> AsyncIterator[int]:
    try:
        for number in range(count):
            await asyncio.sleep(0)
            if seen is not None:
                seen.append(f"{number} in {VARIABLE.get()}")
            yield number
    finally:
        if closed is not None:
            closed.set()


@pytest.mark.parametrize("count", [0, 1, 100])
def test_rust_iterates_to_the_end(run: Run, count: int) -> None:
    async def main() -> list[int]:
        return await bridge_tests.collect(items(count))

    assert run(main()) == list(range(count))


def test_the_iterators_exception_reaches_rust(run: Run) -> None:
    async def fail() -> AsyncIterator[int]:
        yield 1
        raise LookupError("the cause")

    async def main() -> None:
        await bridge_tests.collect(fail())

    with pytest.raises(LookupError, match=r"^the cause$"):
        run(main())


def test_what_cannot_be_iterated_is_refused_at_once(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="expected an asynchronous iterable, not list"):
            bridge_tests.collect([])  # type: ignore[arg-type]

    run(main())


def test_the_iterator_is_not_far_ahead(run: Run) -> None:
    async def main() -> tuple[int, list[int]]:
        gate = Gate()
        seen: list[str] = []
        collected = bridge_tests.collect(items(100, seen), gate)
        for _ in range(300):
            await asyncio.sleep(0)
        ahead = len(seen)
        gate.open_elsewhere()
        return ahead, await collected

    ahead, collected = run(main())
    assert 1 <= ahead <= 16
    assert collected == list(range(100))


def test_dropping_the_stream_closes_the_iterator(run: Run) -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        closed = asyncio.Event()
        VARIABLE.set("captured")
        taken = bridge_tests.collect(items(100, seen, closed), None, 1)
        VARIABLE.set("changed after")
        assert await taken == [0]
        await asyncio.wait_for(closed.wait(), 10)
        return seen

    assert run(main())[0] == "0 in captured"


def test_a_stream_goes_through_both_languages(run: Run) -> None:
    async def doubled(source: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in source:
            yield 2 * number

    async def main() -> list[int]:
        gate = Gate()
        asyncio.get_running_loop().call_soon(gate.open_elsewhere)
        return await bridge_tests.collect(doubled(bridge_tests.numbers(50, gate)))

    assert run(main()) == [2 * number for number in range(1, 51)]


def test_a_closed_loop_refuses_to_iterate(loop_factory: LoopFactory) -> None:
    loop = loop_factory()

    async def capture() -> bridge_tests.Locals:
        return bridge_tests.Locals()

    captured = loop.run_until_complete(capture())
    loop.close()
    iterator = items(1)
    with pytest.raises(RuntimeError, match="closed"):
        captured.iterate(iterator)


def test_break_leaves_an_iterator_that_has_a_name_open(run: Run) -> None:
    async def main() -> tuple[list[int], int, int]:
        drops = Drops()
        stream = bridge_tests.numbers(5, None, drops)
        found: list[int] = []
        for _ in range(2):
            async for number in stream:
                found.append(number)
                break
        before = drops.count
        async with contextlib.aclosing(stream):
            async for number in stream:
                found.append(number)
                break
        return found, before, drops.count

    assert run(main()) == ([1, 2, 3], 0, 1)
