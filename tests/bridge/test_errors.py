"""Errors that cross between the languages, and panics where nobody awaits."""

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator
from typing import Any

import bridge_tests
import pytest
from bridge_tests import RustPanic

from .conftest import Run


def test_a_librarys_error_is_raised_as_the_exception_it_becomes(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(LookupError, match=r"^it is missing$"):
            await bridge_tests.fail_by_question_mark("it")

    run(main())


def test_an_error_of_the_system_is_raised_as_the_one_it_is(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError) as caught:
            await bridge_tests.fail_by_question_mark("it", "/nonexistent/path")
        assert "No such file" in str(caught.value)

    run(main())


def test_an_exception_keeps_identity_traceback_cause_and_notes(run: Run) -> None:
    class CustomError(Exception):
        pass

    cause = KeyError("the cause")
    raised = CustomError("the error", 7)
    raised.add_note("the note")

    async def innermost() -> None:
        raise raised from cause

    async def fail() -> None:
        await asyncio.sleep(0)
        await innermost()

    async def main() -> None:
        with pytest.raises(CustomError) as caught:
            await bridge_tests.pass_through(fail())
        assert caught.value is raised
        assert caught.value.__cause__ is cause
        assert caught.value.__notes__ == ["the note"]
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-2:] == ["fail", "innermost"]

    run(main())


@pytest.mark.parametrize("thing", [None, 7, "text", object(), asyncio.sleep])
def test_what_cannot_be_awaited_is_refused_at_once(run: Run, thing: Any) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="expected something that can be awaited, not"):
            bridge_tests.pass_through(thing)

    run(main())


def test_a_panic_in_a_waker_is_reported_and_the_loop_runs_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[BaseException | None] = []

    async def main() -> object:
        monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
        waiting = bridge_tests.panic_in_waker(asyncio.sleep(0))
        for _ in range(5):
            await asyncio.sleep(0)
        monkeypatch.undo()
        return waiting

    run(main())
    assert [(type(each), str(each)) for each in unraisable] == [(RustPanic, "the waker's panic")]


async def never() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


@pytest.mark.parametrize("of_stream", [False, True], ids=["future", "stream"])
def test_a_waker_that_panics_in_its_drop_is_reported_and_stops_nothing(
    run: Run, of_stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[str] = []
    hook = "unraisablehook"
    monkeypatch.setattr(sys, hook, lambda report: reports.append(str(report.exc_value)))

    async def main() -> str:
        if of_stream:
            bridge_tests.panic_in_dropped_waker_of_stream(never())
        else:
            bridge_tests.panic_in_dropped_waker(asyncio.sleep(60))
        while not reports:  # noqa: ASYNC110
            await asyncio.sleep(0)
        # What the loop is given later is delivered, from this thread and from others.
        assert await bridge_tests.spawn_into_py("value") == "the value"
        assert await bridge_tests.yield_locally(3)
        return await bridge_tests.call_from_local(asyncio.sleep(0, "slept"))

    assert run(main()) == "slept"
    assert set(reports) == {"the dropped waker's panic"}
