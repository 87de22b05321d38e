"""Asynchronous generators: finalised by the loop, all closed at shutdown."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator

import pytest

Loop = asyncio.AbstractEventLoop


async def count(closed: list[str]) -> AsyncIterator[int]:
    try:
        for number in range(10):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        closed.append("closed")


def test_abandoned_generator_is_closed_by_the_loop(loop: Loop) -> None:
    closed: list[str] = []

    async def main() -> None:
        generator = count(closed)
        async for _ in generator:
            break
        del generator
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert closed == ["closed"]


def test_shutdown_closes_what_is_left(loop: Loop) -> None:
    closed: list[str] = []
    generators = [count(closed), count(closed)]

    async def main() -> None:
        for generator in generators:
            assert await anext(generator) == 0

    loop.run_until_complete(main())
    assert closed == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert closed == ["closed", "closed"]


def test_generator_started_after_shutdown_warns(loop: Loop) -> None:
    closed: list[str] = []
    loop.run_until_complete(loop.shutdown_asyncgens())

    async def main() -> None:
        with pytest.warns(ResourceWarning, match="was scheduled after"):
            async for _ in count(closed):
                pass

    loop.run_until_complete(main())


def test_hooks_are_restored_after_the_run(loop: Loop) -> None:
    before = sys.get_asyncgen_hooks()
    loop.run_until_complete(asyncio.sleep(0))
    assert sys.get_asyncgen_hooks() == before


def test_hooks_are_set_during_the_run(loop: Loop) -> None:
    async def main() -> None:
        hooks = sys.get_asyncgen_hooks()
        assert hooks.firstiter is not None
        assert hooks.finalizer is not None

    loop.run_until_complete(main())


def test_hooks_are_restored_when_the_run_raises(loop: Loop) -> None:
    before = sys.get_asyncgen_hooks()

    def leave() -> None:
        raise SystemExit

    loop.call_soon(leave)
    with pytest.raises(SystemExit):
        loop.run_forever()
    assert sys.get_asyncgen_hooks() == before


def test_coroutine_origin_tracking_follows_debug(loop: Loop) -> None:
    before = sys.get_coroutine_origin_tracking_depth()
    seen: list[int] = []
    loop.set_debug(True)
    loop.call_soon(lambda: seen.append(sys.get_coroutine_origin_tracking_depth()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen[0] > 0
    assert sys.get_coroutine_origin_tracking_depth() == before
