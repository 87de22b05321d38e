"""`_ready`, `_scheduled` and `_run_once`, which the test helpers of many programs use."""

import asyncio
from typing import Any

import pytest

from .conftest import Log
from .turns import run_turns

Loop = Any


def test_ready_has_what_waits_for_the_next_turn_in_order(loop: Loop) -> None:
    assert not loop._ready
    handles = [loop.call_soon(lambda: None) for _ in range(3)]
    assert list(loop._ready) == handles
    assert len(loop._ready) == 3
    run_turns(loop, 1)
    assert not loop._ready


def test_the_loop_is_run_until_nothing_is_ready(loop: Loop) -> None:
    async def step(left: int) -> None:
        for _ in range(left):
            await asyncio.sleep(0)

    async def main() -> bool:
        task = loop.create_task(step(5))
        await asyncio.sleep(0)
        while loop._ready:  # noqa: ASYNC110  # what such helpers do
            await asyncio.sleep(0)
        return bool(task.done())

    assert loop.run_until_complete(main())


def test_scheduled_has_the_timers_the_earliest_first(loop: Loop) -> None:
    assert not loop._scheduled
    later, sooner = loop.call_later(200, print), loop.call_later(100, print)
    assert set(loop._scheduled) == {later, sooner}
    assert loop._scheduled[0] is sooner
    assert all(isinstance(timer, asyncio.TimerHandle) for timer in loop._scheduled)


def test_a_cancelled_timer_stays_for_a_while_and_says_so(loop: Loop) -> None:
    timer = loop.call_later(100, print)
    timer.cancel()
    assert [each.cancelled() for each in loop._scheduled] == [True]


@pytest.mark.parametrize("debug", [False, True], ids=["fast", "debug"])
def test_cancelled_timers_leave_when_they_are_most(loop: Loop, debug: bool) -> None:
    loop.set_debug(debug)
    kept = loop.call_later(1000, print)
    timers = [loop.call_later(2000, print) for _ in range(1000)]
    for timer in timers:
        timer.cancel()
    run_turns(loop, 1)
    assert kept in loop._scheduled
    # Up to a hundred are not worth a search.
    left = len(loop._scheduled) - 1
    assert left <= 100
    assert sum(timer._scheduled for timer in timers) == left
    kept.cancel()


def test_timers_are_run_before_their_time(loop: Loop) -> None:
    """What helpers do that pretend that time has passed."""
    ran: list[str] = []
    loop.call_later(1000, ran.append, "timer")
    for timer in list(loop._scheduled):
        timer._run()
        timer.cancel()
    assert ran == ["timer"]
    run_turns(loop, 2)
    assert ran == ["timer"]


def test_a_timer_that_fails_before_its_time_is_reported(loop: Loop, asyncio_log: Log) -> None:
    timer = loop.call_later(1000, int, "no number")
    for each in list(loop._scheduled):
        each._run()
        each.cancel()
    assert timer.cancelled()
    (message,) = asyncio_log.messages
    assert "Exception in callback int(" in message


@pytest.mark.parametrize("debug", [False, True])
def test_a_closed_loop_has_neither(loop: Loop, debug: bool) -> None:
    loop.set_debug(debug)
    loop.call_soon(print)
    loop.call_later(1, print)
    assert (len(loop._ready), len(loop._scheduled)) == (1, 1)
    loop.close()
    assert not loop._ready
    assert not loop._scheduled


def test_run_once_runs_one_turn(loop: Loop) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        loop.call_soon(ran.append, "next turn")

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    loop._run_once()
    assert ran == ["first", "second"]
    loop._run_once()
    assert ran == ["first", "second", "next turn"]


def test_a_run_makes_its_turns_by_run_once(loop: Loop, loop_kind: str) -> None:
    turns: list[None] = []
    original = loop._run_once

    def run_once() -> None:
        turns.append(None)
        original()

    loop._run_once = run_once
    run_turns(loop, 1)
    assert bool(turns) == (loop_kind == "stdlib")  # ours are made in Rust
