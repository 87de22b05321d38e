"""Whatever asyncio does with a future comes out as with one of its own: both are compared.

Each scenario is given a future of either kind that ends as told when its gate is opened.
"""

import asyncio
import contextvars
import functools
import gc
import re
import sys
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from bridge_tests import Gate, fail_with, future_into_py

from .conftest import Run

Made = tuple["asyncio.Future[Any]", Callable[[], None]]
Make = Callable[[str], Made]
Scenario = Callable[[Make], Coroutine[Any, Any, Any]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__.replace("_", " ")] = function
    return function


class CyclicError(ValueError):
    """An exception that holds the future that fails with it."""

    future: Any


def of_rust(end: str) -> Made:
    gate = Gate()
    if end == "value":
        return future_into_py("value", gate), gate.open
    error = CyclicError("the error")
    if end == "at once":
        return fail_with(error), gate.open
    future = fail_with(error, gate)
    if end == "cycle":
        error.future = future
    return future, gate.open


def of_asyncio(end: str) -> Made:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    error = CyclicError("the error")
    if end == "at once":
        future.set_exception(error)
    elif end == "cycle":
        error.future = future

    def open_gate() -> None:
        if not future.done():
            if end == "value":
                future.set_result("the value")
            else:
                future.set_exception(error)

    return future, open_gate


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """Return what awaiting gives: the value, or the exception's type, arguments and context."""
    try:
        return await awaitable
    except BaseException as error:
        return type(error), error.args, type(error.__context__), type(error.__cause__)


@scenario
async def a_cancel_message_reaches_each_awaiter(make: Make) -> Any:
    future, _ = make("value")
    tasks = [asyncio.create_task(outcome(future)) for _ in range(2)]
    await asyncio.sleep(0)
    assert future.cancel("why") is True
    assert future.cancel("again") is False
    return [await task for task in tasks], await outcome(future), future.cancelled()


@scenario
async def a_cancelled_task_hands_its_message_on(make: Make) -> Any:
    future, _ = make("value")
    task = asyncio.ensure_future(outcome(future))
    await asyncio.sleep(0)
    task.cancel("from the task")
    return await task, await outcome(future), future.cancelled()


@scenario
async def it_is_gathered_with_errors(make: Make) -> Any:
    made = [make("value"), make("error"), make("value")]
    gathered = asyncio.gather(*(future for future, _ in made), return_exceptions=True)
    made[2][0].cancel("third")
    for _, open_gate in made:
        open_gate()
    return [repr(each) for each in await gathered]


@scenario
async def the_first_error_ends_a_gathering(make: Make) -> Any:
    made = [make("value"), make("error")]
    gathered = asyncio.gather(*(future for future, _ in made))
    made[1][1]()
    found = await outcome(gathered)
    pending = made[0][0].done()
    made[0][1]()
    return found, pending, await made[0][0]


@scenario
async def a_cancelled_gathering_cancels_it(make: Make) -> Any:
    made = [make("value"), make("value")]
    gathered = asyncio.gather(*(future for future, _ in made))
    await asyncio.sleep(0)
    gathered.cancel("all")
    return await outcome(gathered), [future.cancelled() for future, _ in made]


@scenario
async def waiting_returns_at_the_first(make: Make) -> Any:
    made = [make("value"), make("error"), make("value")]
    futures = [future for future, _ in made]
    made[1][1]()
    done, pending = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    found = [futures.index(future) for future in done], len(pending)
    for _, open_gate in made:
        open_gate()
    done, pending = await asyncio.wait(futures, timeout=10)
    return found, len(done), len(pending), [repr(future.exception()) for future in futures]


@scenario
async def waiting_may_time_out(make: Make) -> Any:
    future, open_gate = make("value")
    done, pending = await asyncio.wait([future], timeout=0)
    open_gate()
    return len(done), len(pending), await future


@scenario
async def a_time_limit_cancels_it(make: Make) -> Any:
    found = []
    for limit in (0, 0.001):
        future, _ = make("value")
        found += [await outcome(asyncio.wait_for(future, limit)), future.cancelled()]
    return found


@scenario
async def a_time_limit_of_none_is_none(make: Make) -> Any:
    future, open_gate = make("value")
    asyncio.get_running_loop().call_soon(open_gate)
    return await asyncio.wait_for(future, None)


@scenario
async def what_is_done_needs_no_time(make: Make) -> Any:
    future, open_gate = make("error")
    open_gate()
    await asyncio.wait([future])
    return await outcome(asyncio.wait_for(future, 0))


@scenario
async def a_shield_keeps_the_inner_one(make: Make) -> Any:
    future, open_gate = make("value")
    shield = asyncio.shield(future)
    await asyncio.sleep(0)
    shield.cancel("outer")
    found = await outcome(shield), future.cancelled()
    open_gate()
    return found, await future


@scenario
async def a_shield_ends_with_the_inner_one(make: Make) -> Any:
    future, _ = make("value")
    shield = asyncio.shield(future)
    future.cancel("inner")
    return await outcome(shield)


@scenario
async def a_task_group_is_cancelled_by_its_error(make: Make) -> Any:
    future, open_gate = make("error")
    other, _ = make("value")

    async def wait(one: "asyncio.Future[Any]") -> Any:
        return await one

    found: list[str] = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait(future))
            group.create_task(wait(other))
            await asyncio.sleep(0)
            open_gate()
    except* ValueError as errors:
        found += [repr(error) for error in errors.exceptions]
    return found, other.cancelled()


@scenario
async def they_come_as_they_are_completed(make: Make) -> Any:
    made = [make("value"), make("error")]
    ordered = iter(asyncio.as_completed([future for future, _ in made]))
    found = []
    for _, open_gate in reversed(made):
        open_gate()
        found.append(await outcome(next(ordered)))
    return found


@scenario
async def other_loops_are_refused(make: Make) -> Any:
    future, open_gate = make("value")

    async def use() -> list[Any]:
        loop = asyncio.get_running_loop()
        found: list[Any] = []
        for function in (
            lambda: asyncio.ensure_future(future, loop=loop),
            lambda: asyncio.gather(future, loop.create_future()),
        ):
            with pytest.raises(ValueError, match="loop") as raised:
                function()
            found.append(str(raised.value))
        with pytest.raises(RuntimeError, match="attached to a different loop") as refused:
            await future
        return [*found, type(refused.value)]

    found = await asyncio.to_thread(asyncio.run, use())
    open_gate()
    return found, await future


@scenario
async def callbacks_are_called_later_in_order(make: Make) -> Any:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    calls: list[Any] = []

    def note(name: str, done: "asyncio.Future[Any]") -> None:
        calls.append((name, variable.get(), done is future))

    future, open_gate = make("value")
    first = functools.partial(note, "first")
    future.add_done_callback(first)
    future.add_done_callback(first)
    variable.set(1)
    future.add_done_callback(functools.partial(note, "second"))
    given = contextvars.copy_context()
    given.run(variable.set, 7)
    variable.set(2)
    future.add_done_callback(functools.partial(note, "given"), context=given)
    removed = future.remove_done_callback(first)
    open_gate()
    await asyncio.wait([future])
    future.add_done_callback(functools.partial(note, "late"))
    before = len(calls)
    await asyncio.sleep(0)
    return removed, before, calls


@scenario
async def a_callback_that_raises_is_reported(make: Make) -> Any:
    reports: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(repr(context["exception"])))

    def fail(_: object) -> None:
        raise LookupError("in a callback")

    future, open_gate = make("value")
    future.add_done_callback(fail)
    open_gate()
    return await future, reports


@scenario
async def it_is_awaited_by_a_task_in_python(make: Make) -> Any:
    future, open_gate = make("value")
    task = asyncio.tasks._PyTask(outcome(future))  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    open_gate()
    return await task


@scenario
async def its_states_are_told(make: Make) -> Any:
    future, open_gate = make("error")
    found: list[Any] = [future.done(), future.cancelled(), future.get_loop() is not None]
    for ask in (future.result, future.exception):
        with pytest.raises(asyncio.InvalidStateError) as raised:
            ask()
        found.append(str(raised.value).replace("set", "ready"))
    open_gate()
    await asyncio.wait([future])
    found += [future.done(), future.cancelled(), repr(future.exception()), future.cancel()]
    with pytest.raises(ValueError, match="the error"):
        future.result()
    return found, weakref.ref(future)() is future


@scenario
async def how_it_is_shown(make: Make) -> Any:
    def callback(_: object) -> None:
        """Shown by its name."""

    loop = asyncio.get_running_loop()
    found: list[str] = []
    for end in ("value", "error", "cycle", "cancelled"):
        loop.set_debug(end == "error")
        future, open_gate = make("value" if end == "cancelled" else end)
        loop.set_debug(False)
        for _ in range(4):
            found.append(repr(future))
            future.add_done_callback(callback)
        if end == "cancelled":
            future.cancel()
        if end == "cycle":
            future.remove_done_callback(callback)
        open_gate()
        await asyncio.wait([future])
        if end == "cycle":
            exception = future.exception()
            assert exception is not None
            exception.args = (future,)
        found.append(repr(future))
    # A future of asyncio's is made by a method of the loop, in a frame that may be Python's.
    return [re.sub(r"created at [^ >]+", "created", each.replace("Rust", "")) for each in found]


@scenario
async def an_eager_task_awaits_it(make: Make) -> Any:
    if sys.version_info < (3, 12):
        return None
    future, open_gate = make("value")
    loop = asyncio.get_running_loop()
    task = asyncio.eager_task_factory(loop, outcome(future))
    done = task.done()
    open_gate()
    return done, await task


@scenario
async def a_coroutine_that_is_closed_leaves_it(make: Make) -> Any:
    future, open_gate = make("value")

    async def wait() -> Any:
        return await future

    coroutine = wait()
    assert coroutine.send(None) is future
    future._asyncio_future_blocking = False
    coroutine.close()
    thrown = wait()
    thrown.send(None)
    future._asyncio_future_blocking = False
    with pytest.raises(LookupError):
        thrown.throw(LookupError())
    open_gate()
    return future.cancelled(), await future


@scenario
async def errors_nobody_retrieved_are_reported_once(make: Make) -> Any:
    reports: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(repr(context["exception"])))
    for retrieve in (False, True):
        future, open_gate = make("error")
        open_gate()
        await asyncio.wait([future])
        if retrieve:
            future.exception()
        del future, open_gate
    cancelled, _ = make("error")
    cancelled.cancel()
    del cancelled
    await asyncio.sleep(0)
    return reports


@scenario
async def what_is_being_handled_becomes_the_context(make: Make) -> Any:
    found: list[Any] = []
    for end in ("error", "at once", "cancelled"):
        future, open_gate = make("value" if end == "cancelled" else end)
        if end == "cancelled":
            future.cancel()
        open_gate()
        await asyncio.wait([future])
        for how in ("await", "result", "outside"):
            try:
                try:
                    raise KeyError("handled")
                except KeyError:
                    if how != "outside":
                        await future if how == "await" else future.result()
                await future
            except (ValueError, asyncio.CancelledError) as error:
                found.append((end, how, repr(error), repr(error.__context__)))
    return found


@scenario
async def how_they_are_reported(make: Make) -> Any:
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    found: list[Any] = []
    for end in ("error", "at once", "cycle"):
        for debug in (False, True):
            loop.set_debug(debug)
            future, open_gate = make(end)
            loop.set_debug(False)
            open_gate()
            await asyncio.wait([future])
            del future, open_gate
            gc.collect()
            (report,) = reports
            reported = report["future"]
            found += [sorted(report), report["message"].replace("RustFuture", "Future")]
            found += [reported.get_loop() is loop, reported.done(), reported.cancelled()]
            found += [repr(report["exception"]), reported.exception() is report["exception"]]
            # Where it was made: here, in a frame among those of this module and of the loop.
            frames = report.get("source_traceback", ())
            found += [frame.lineno for frame in frames if frame.name == "how_they_are_reported"]
            assert bool(frames) is debug
            # The handler may keep the future; nobody hears of it again.
            del report, reported
            reports.clear()
            gc.collect()
            found.append(reports)
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_a_future_of_asyncio(run: Run, name: str) -> None:
    expected = run(SCENARIOS[name](of_asyncio))
    assert run(SCENARIOS[name](of_rust)) == expected
