"""Handle and TimerHandle: cancelling, comparing, showing, collecting."""

import asyncio
import contextvars
import functools
import gc
import math
import socket
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log, LoopFactory
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def named_callback(*args: object) -> None:
    """Do nothing, under a name that a repr can show."""


def test_cancelled_handle_never_runs(loop: Loop) -> None:
    handle = loop.call_soon(pytest.fail, "a cancelled callback ran")
    assert not handle.cancelled()
    handle.cancel()
    assert handle.cancelled()
    run_turns(loop, 2)


def test_cancel_returns_none_and_may_be_repeated(loop: Loop) -> None:
    handle = loop.call_soon(named_callback)
    assert handle.cancel() is None  # type: ignore[func-returns-value]
    assert handle.cancel() is None  # type: ignore[func-returns-value]
    run_turns(loop, 1)
    assert handle.cancelled()


def test_a_callback_can_cancel_the_next_one(loop: Loop) -> None:
    ran: list[str] = []
    following: asyncio.Handle

    def first() -> None:
        ran.append("first")
        following.cancel()

    loop.call_soon(first)
    following = loop.call_soon(ran.append, "second")
    loop.call_soon(ran.append, "third")
    run_turns(loop, 1)
    assert ran == ["first", "third"]


def test_a_callback_can_cancel_itself_while_it_runs(loop: Loop) -> None:
    ran: list[str] = []
    handle: asyncio.Handle

    def callback() -> None:
        handle.cancel()
        ran.append("ran")

    handle = loop.call_soon(callback)
    run_turns(loop, 2)
    assert ran == ["ran"]
    assert handle.cancelled()


def test_a_handle_that_ran_is_not_cancelled(loop: Loop) -> None:
    handle = loop.call_soon(named_callback)
    run_turns(loop, 1)
    assert not handle.cancelled()


def test_cancel_releases_callback_and_arguments(loop: Loop) -> None:
    class Target:
        def method(self, other: object) -> None:
            raise AssertionError("a cancelled callback ran")

    target, argument = Target(), Target()
    references = [weakref.ref(target), weakref.ref(argument)]
    handle = loop.call_soon(target.method, argument)
    handle.cancel()
    del target, argument
    assert [reference() for reference in references] == [None, None]


def test_context_of_a_handle(loop: Loop) -> None:
    context = contextvars.copy_context()
    given = loop.call_soon(named_callback, context=context)
    timer = loop.call_later(300, named_callback, context=context)
    if sys.version_info >= (3, 12):
        assert given.get_context() is context
        assert timer.get_context() is context
        current = loop.call_soon(named_callback)
        assert isinstance(current.get_context(), contextvars.Context)
    timer.cancel()
    run_turns(loop, 1)


def test_handles_are_asyncio_handles(loop: Loop) -> None:
    soon = loop.call_soon(named_callback)
    later = loop.call_later(300, named_callback)
    assert isinstance(soon, asyncio.Handle)
    assert not isinstance(soon, asyncio.TimerHandle)
    assert isinstance(later, asyncio.TimerHandle)
    assert isinstance(later, asyncio.Handle)
    later.cancel()
    run_turns(loop, 1)


def test_handles_can_be_referenced_weakly_and_hashed(loop: Loop) -> None:
    soon = loop.call_soon(named_callback)
    later = loop.call_later(300, named_callback)
    assert weakref.ref(soon)() is soon
    assert weakref.ref(later)() is later
    assert len({soon, later}) == 2
    later.cancel()
    run_turns(loop, 1)


def test_repr_names_the_callback_and_the_state(loop: Loop) -> None:
    handle = loop.call_soon(named_callback)
    assert "Handle" in repr(handle)
    assert "named_callback()" in repr(handle)
    assert "cancelled" not in repr(handle)
    handle.cancel()
    assert "cancelled" in repr(handle)
    assert "named_callback" not in repr(handle)


def test_repr_in_debug_mode_tells_arguments_and_origin(loop: Loop) -> None:
    loop.set_debug(True)
    handle = loop.call_soon(named_callback, 1, "two")
    assert "named_callback(1, 'two')" in repr(handle)
    assert "test_handles.py" in repr(handle)
    assert "created at" in repr(handle)
    handle.cancel()
    assert "cancelled" in repr(handle)
    # What was cancelled stays known in debug mode.
    assert "named_callback(1, 'two')" in repr(handle)


def test_repr_of_a_timer_names_its_deadline(loop: Loop) -> None:
    handle = loop.call_at(12345678.5, named_callback)
    assert "TimerHandle" in repr(handle)
    assert "when=12345678.5" in repr(handle)
    assert "named_callback()" in repr(handle)
    handle.cancel()
    assert "cancelled" in repr(handle)
    assert "when=12345678.5" in repr(handle)


def test_repr_survives_an_argument_whose_repr_fails(loop: Loop) -> None:
    class Awkward:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    handle = loop.call_soon(named_callback, Awkward())
    assert "named_callback" in repr(handle)
    run_turns(loop, 1)


def test_timers_compare_by_deadline(loop: Loop) -> None:
    early = loop.call_at(10.0, named_callback)
    late = loop.call_at(20.0, named_callback)
    assert early < late
    assert early <= late
    assert late > early
    assert late >= early
    assert not late < early
    assert early != late
    assert sorted([late, early]) == [early, late]
    early.cancel()
    late.cancel()


def test_timers_are_equal_when_all_they_hold_is(loop: Loop) -> None:
    one = loop.call_at(10.0, named_callback, 1)
    two = loop.call_at(10.0, named_callback, 1)
    other = loop.call_at(10.0, named_callback, 2)
    assert one == two
    assert one <= two
    assert one >= two
    assert one != other
    assert hash(one) == hash(two) == hash(10.0)
    one.cancel()
    assert one != two
    two.cancel()
    other.cancel()


def test_timers_do_not_compare_with_other_types(loop: Loop) -> None:
    handle = loop.call_at(10.0, named_callback)
    assert handle != 10.0
    assert handle.__lt__(10.0) is NotImplemented  # type: ignore[operator]
    assert handle.__eq__(10.0) is NotImplemented
    with pytest.raises(TypeError):
        handle < 10.0  # type: ignore[operator]  # noqa: B015
    handle.cancel()


def test_infinite_timers_compare(loop: Loop) -> None:
    never = loop.call_at(math.inf, named_callback)
    early = loop.call_at(10.0, named_callback)
    assert early < never
    assert never > early
    never.cancel()
    early.cancel()


def test_a_cycle_through_a_ready_handle_is_collected(loop: Loop) -> None:
    class Owner:
        handle: asyncio.Handle

        def callback(self) -> None:
            pass

    owner = Owner()
    owner.handle = loop.call_soon(owner.callback)
    reference = weakref.ref(owner)
    run_turns(loop, 1)
    del owner
    gc.collect()
    assert reference() is None


def test_a_cycle_through_a_timer_is_collected_after_it_ran(loop: Loop) -> None:
    class Owner:
        handle: asyncio.Handle

        def callback(self) -> None:
            pass

    owner = Owner()
    owner.handle = loop.call_later(0, owner.callback)
    reference = weakref.ref(owner)
    run_turns(loop, 2)
    del owner
    gc.collect()
    assert reference() is None


def test_a_pending_timer_keeps_its_callback_alive(loop: Loop) -> None:
    ran: list[str] = []

    class Owner:
        def callback(self) -> None:
            ran.append("ran")
            loop.stop()

    loop.call_later(0.001, Owner().callback)
    gc.collect()
    loop.run_forever()
    assert ran == ["ran"]


def test_dropping_the_handle_does_not_cancel_the_callback(loop: Loop) -> None:
    ran: list[str] = []
    handle = loop.call_soon(ran.append, "soon")
    del handle
    gc.collect()
    run_turns(loop, 1)
    assert ran == ["soon"]


def test_closing_the_loop_releases_what_is_pending(loop: Loop) -> None:
    class Owner:
        def callback(self) -> None:
            raise AssertionError("ran after close")

    owners = [Owner(), Owner()]
    references = [weakref.ref(owner) for owner in owners]
    loop.call_soon(owners[0].callback)
    loop.call_later(300, owners[1].callback)
    owners.clear()
    loop.close()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


class Owner:
    """Keeps a handle that refers back to it."""

    handle: Any


def kept_and_queued(loop: Any, owner: Owner) -> None:
    owner.handle = loop.call_soon(lambda: owner)


def kept_and_cancelled(loop: Any, owner: Owner) -> None:
    # The context refers to the owner, and a cancelled handle keeps its context.
    OWNER.set(owner)
    owner.handle = loop.call_soon(print)
    owner.handle.cancel()


def kept_and_cancelled_by_itself(loop: Any, owner: Owner) -> None:
    OWNER.set(owner)
    owner.handle = loop.call_soon(lambda: owner.handle.cancel())


def kept_by_the_exception_handler(loop: Any, owner: Owner) -> None:
    def keep(_loop: object, report: dict[str, Any]) -> None:
        handle = report["handle"]
        handle._context[OWNER].handle = handle

    OWNER.set(owner)
    loop.set_exception_handler(keep)
    loop.call_soon(lambda: 1 / 0)


OWNER: contextvars.ContextVar[Owner] = contextvars.ContextVar("OWNER")
KEPT = [
    kept_and_queued,
    kept_and_cancelled,
    kept_and_cancelled_by_itself,
    kept_by_the_exception_handler,
]


@pytest.mark.parametrize("ending", ["run", "close", "both"])
@pytest.mark.parametrize("keep", KEPT)
def test_a_handle_in_a_cycle_is_collected(
    loop: asyncio.AbstractEventLoop, keep: Callable[[Any, Owner], None], ending: str
) -> None:
    def make() -> weakref.ref[Owner]:
        owner = Owner()
        keep(loop, owner)
        return weakref.ref(owner)

    if keep is kept_by_the_exception_handler and ending == "close":
        pytest.skip("the callback has to run")
    # From outside the loop, and from a callback.
    owners = [contextvars.copy_context().run(make)]
    if ending != "close":
        loop.call_soon(lambda: owners.append(make()), context=contextvars.copy_context())
        run_turns(loop, 3)
    if ending != "run":
        loop.close()
    gc.collect()
    assert [owner() for owner in owners] == [None] * len(owners)


def test_a_loop_that_a_kept_handle_refers_to_is_collected(loop_factory: LoopFactory) -> None:
    def make() -> weakref.ref[Owner]:
        owner: Any = Owner()
        owner.loop = loop_factory()
        owner.handle = owner.loop.call_soon(lambda: owner)
        return weakref.ref(owner)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the loop is not closed
        watched = make()
        gc.collect()
    assert watched() is None


def test_a_long_chain_of_handles_dies_without_deep_recursion(
    loop: asyncio.AbstractEventLoop,
) -> None:
    handle = None
    for _ in range(200_000):
        handle = loop.call_soon(print, handle)
    timer = None
    for _ in range(200_000):
        timer = loop.call_later(3600, print, timer)
    last = weakref.ref(handle), weakref.ref(timer)
    del handle, timer
    loop.close()
    gc.collect()
    assert (last[0](), last[1]()) == (None, None)


def test_a_callback_lives_while_it_runs(loop: Any, asyncio_log: Log) -> None:
    # A reader that runs a tick itself is ready again in it, and refused: its context is entered.
    left, right = socket.socketpair()
    alive: list[bool] = []

    def read() -> None:
        loop._run_once()
        loop.remove_reader(left)
        gc.collect()
        alive.append(watched() is not None)
        loop.stop()

    callback = functools.partial(read)
    watched = weakref.ref(callback)
    with left, right:
        loop.add_reader(left, callback)
        del callback
        right.send(b"x")
        loop.run_forever()
    assert asyncio_log.messages  # the refusal
    assert alive == [True]
