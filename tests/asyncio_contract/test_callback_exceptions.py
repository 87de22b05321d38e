"""What happens when a callback raises: handlers, logging, SystemExit and its like."""

import asyncio
import contextvars
import gc
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def failing() -> None:
    raise ZeroDivisionError("the callback failed")


def test_exception_handler_gets_the_context(loop: Loop) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    handle = loop.call_soon(failing)
    run_turns(loop, 1)
    (context,) = contexts
    assert isinstance(context["exception"], ZeroDivisionError)
    assert context["handle"] is handle
    assert context["message"].startswith("Exception in callback")
    assert "failing" in context["message"]


def test_timer_exceptions_reach_the_handler_too(loop: Loop) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    handle = loop.call_later(0, failing)
    run_turns(loop, 2)
    (context,) = contexts
    assert context["handle"] is handle


def test_loop_goes_on_after_an_exception(loop: Loop) -> None:
    ran: list[str] = []
    loop.set_exception_handler(lambda *_: ran.append("handler"))
    loop.call_soon(ran.append, "before")
    loop.call_soon(failing)
    loop.call_soon(ran.append, "after")
    run_turns(loop, 1)
    assert ran == ["before", "handler", "after"]


def test_without_a_handler_it_is_logged(loop: Loop, asyncio_log: Log) -> None:
    loop.call_soon(failing)
    run_turns(loop, 1)
    (record,) = asyncio_log.records
    assert record.levelname == "ERROR"
    assert "Exception in callback failing()" in record.getMessage()
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


def test_get_exception_handler(loop: Loop) -> None:
    assert loop.get_exception_handler() is None

    def handler(loop: Loop, context: dict[str, Any]) -> None:
        pass

    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    with pytest.raises(TypeError):
        loop.set_exception_handler("not callable")  # type: ignore[arg-type]


def test_handler_that_raises_is_logged(loop: Loop, asyncio_log: Log) -> None:
    def handler(loop: Loop, context: dict[str, Any]) -> None:
        raise AttributeError("the handler failed")

    loop.set_exception_handler(handler)
    loop.call_soon(failing)
    run_turns(loop, 1)
    assert any("Unhandled error in exception handler" in text for text in asyncio_log.messages)


@pytest.mark.parametrize("kind", ["callback", "timer", "reader"])
def test_the_exception_is_being_handled_while_its_handler_runs(loop: Loop, kind: str) -> None:
    """So that logging.exception() finds it there, and the handler's own has it as context."""
    handled: list[BaseException | None] = []
    contexts: list[dict[str, Any]] = []

    def handler(loop: Loop, context: dict[str, Any]) -> None:
        contexts.append(context)
        handled.append(sys.exception())
        raise AttributeError("the handler failed")

    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.send(b"x")
        loop.set_exception_handler(handler)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "default_exception_handler", contexts.append)
            if kind == "reader":
                loop.add_reader(left, failing)
            elif kind == "timer":
                loop.call_later(0, failing)
            else:
                loop.call_soon(failing)
            loop.call_soon(lambda: handled.append(sys.exception()))
            run_turns(loop, 2 if kind == "timer" else 1)
            loop.remove_reader(left)
    error = contexts[0]["exception"]
    assert type(error) is ZeroDivisionError
    assert sorted(handled, key=lambda each: each is None) == [error, None]
    assert contexts[1]["message"] == "Unhandled error in exception handler"
    assert contexts[1]["exception"].__context__ is error


@pytest.mark.parametrize("name", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_what_cannot_be_called_fails_when_it_runs(loop: Loop, name: str) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    schedule: Callable[..., asyncio.Handle] = getattr(loop, name)
    leading = (0,) if name == "call_later" else ()
    handle = schedule(*leading, 7, "argument")
    assert " 7(" in repr(handle)
    run_turns(loop, 2)
    [context] = contexts
    assert context["message"].startswith("Exception in callback 7(")
    assert context["handle"] is handle
    assert isinstance(context["exception"], TypeError)
    assert str(context["exception"]) == "'int' object is not callable"


def test_handler_runs_in_the_context_of_the_callback(loop: Loop) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(variable.get()))
    context = contextvars.copy_context()
    context.run(variable.set, "callback")
    loop.call_soon(failing, context=context)
    run_turns(loop, 1)
    assert len(seen) == 1
    # CPython 3.12 began to run the handler in the failed callback's context.
    assert seen == (["callback"] if sys.version_info >= (3, 12) else ["none"])


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_and_keyboard_interrupt_leave_the_loop(
    loop: Loop, kind: type[BaseException]
) -> None:
    error = kind("leave")
    ran: list[str] = []

    def leave() -> None:
        raise error

    loop.call_soon(leave)
    loop.call_soon(ran.append, "after")
    with pytest.raises(kind) as caught:
        loop.run_forever()
    assert caught.value is error
    assert not loop.is_running()
    # What was ready behind it is not lost.
    run_turns(loop, 1)
    assert ran == ["after"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_and_keyboard_interrupt_leave_through_a_timer(
    loop: Loop, kind: type[BaseException]
) -> None:
    def leave() -> None:
        raise kind("leave")

    loop.call_later(0, leave)
    with pytest.raises(kind):
        loop.run_forever()
    assert not loop.is_running()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_system_exit_in_a_task_leaves_run_until_complete(
    loop: Loop, kind: type[BaseException]
) -> None:
    async def leave() -> None:
        await asyncio.sleep(0)
        raise kind("leave")

    with pytest.raises(kind):
        loop.run_until_complete(leave())
    assert not loop.is_running()
    assert loop.run_until_complete(asyncio.sleep(0, "again")) == "again"


def test_base_exceptions_of_other_kinds_reach_the_handler(loop: Loop) -> None:
    class Special(BaseException):
        pass

    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))

    def fail() -> None:
        raise Special

    loop.call_soon(fail)
    run_turns(loop, 1)
    assert isinstance(contexts[0]["exception"], Special)


def test_wrong_number_of_arguments_reaches_the_handler(loop: Loop) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    loop.call_soon(failing, "too many")  # type: ignore[arg-type]
    run_turns(loop, 1)
    assert isinstance(contexts[0]["exception"], TypeError)


def test_unretrieved_task_exception_is_reported(loop: Loop, asyncio_log: Log) -> None:
    async def fail() -> None:
        raise LookupError("nobody asked")

    async def main() -> None:
        task = loop.create_task(fail())
        await asyncio.sleep(0)
        del task

    loop.run_until_complete(main())
    gc.collect()
    assert any("never retrieved" in text for text in asyncio_log.messages)


def test_call_exception_handler_by_hand(loop: Loop) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    loop.call_exception_handler({"message": "by hand"})
    assert contexts == [{"message": "by hand"}]
