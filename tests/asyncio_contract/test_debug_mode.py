"""Debug mode: slow callbacks, wrong threads, unclosed transports, bad callbacks."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def busy(seconds: float) -> None:
    """Keep the thread busy for `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_slow_callback_is_named(loop: Loop, asyncio_log: Log) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.call_soon(busy, 0.02)
    run_turns(loop, 1)
    (message,) = (text for text in asyncio_log.messages if text.startswith("Executing"))
    assert "busy" in message
    assert "took" in message
    assert "seconds" in message


def test_slow_step_names_the_coroutine(loop: Loop, asyncio_log: Log) -> None:
    async def sluggish() -> None:
        busy(0.02)

    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.run_until_complete(sluggish())
    (message,) = (text for text in asyncio_log.messages if text.startswith("Executing"))
    assert "sluggish" in message
    assert "Task" in message


def test_slow_timer_is_named(loop: Loop, asyncio_log: Log) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.call_later(0, busy, 0.02)
    run_turns(loop, 2)
    assert any("busy" in text for text in asyncio_log.messages if text.startswith("Executing"))


def test_fast_callbacks_are_not_reported(loop: Loop, asyncio_log: Log) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 10
    loop.call_soon(busy, 0.001)
    run_turns(loop, 1)
    assert not [text for text in asyncio_log.messages if text.startswith("Executing")]


def test_without_debug_nothing_is_reported(loop: Loop, asyncio_log: Log) -> None:
    loop.slow_callback_duration = 0.001
    loop.call_soon(busy, 0.005)
    run_turns(loop, 1)
    assert asyncio_log.messages == []


def drop(things: list[Any]) -> None:
    """Give up the last reference to each of `things`."""
    things.clear()
    gc.collect()


@pytest.mark.parametrize(
    "call",
    [
        lambda loop: loop.call_soon(print),
        lambda loop: loop.call_later(1, print),
        lambda loop: loop.call_at(1, print),
    ],
    ids=["call_soon", "call_later", "call_at"],
)
def test_calls_from_another_thread_are_detected(loop: Loop, call: Callable[[Loop], Any]) -> None:
    loop.set_debug(True)
    refused: list[str] = []

    def other() -> None:
        try:
            call(loop)
        except RuntimeError as error:
            refused.append(str(error))

    async def main() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    loop.run_until_complete(main())
    assert refused == [
        "Non-thread-safe operation invoked on an event loop other than the current one"
    ]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("name", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_callbacks_are_checked(loop: Loop, name: str, debug: bool) -> None:
    async def coroutine_function() -> None:
        raise AssertionError("never runs")

    loop.set_debug(debug)
    schedule: Callable[..., Any] = getattr(loop, name)
    leading = (300,) if name in ("call_later", "call_at") else ()
    coroutine = coroutine_function()
    refused: list[bool] = []
    for bad in (1, "text", coroutine, coroutine_function):
        try:
            schedule(*leading, bad).cancel()
        except TypeError:
            refused.append(True)
        else:
            refused.append(False)
    coroutine.close()
    # Without debug mode anything is taken, and fails when it runs.
    assert refused == [debug] * 4


def test_missing_callback_is_refused_at_the_call(loop: Loop) -> None:
    with pytest.raises(TypeError):
        loop.call_soon()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        loop.call_later(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        loop.call_at()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="delay"):
        loop.call_later(None, print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="when"):
        loop.call_at(None, print)  # type: ignore[arg-type]


def test_handles_remember_where_they_were_made(loop: Loop) -> None:
    loop.set_debug(True)
    for handle in (loop.call_soon(print), loop.call_later(300, print)):
        assert "test_debug_mode.py" in repr(handle)
        handle.cancel()
    run_turns(loop, 1)


def test_error_reports_say_where_the_handle_was_made(loop: Loop) -> None:
    contexts: list[dict[str, Any]] = []
    loop.set_debug(True)
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    loop.call_soon(divmod, 1, 0)
    run_turns(loop, 1)
    (context,) = contexts
    frames = context["source_traceback"]
    assert frames[-1].filename.endswith("test_debug_mode.py")


def test_unclosed_transport_warns(loop: Loop) -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        transports = [(await loop.create_connection(asyncio.Protocol, sock=left))[0]]
        transports[0].pause_reading()
        # Let the start of the reader, and what it refers to, pass.
        for _ in range(3):
            await asyncio.sleep(0)
        # Both sockets stay referenced here: only the transport may warn.
        with left, right, pytest.warns(ResourceWarning, match="unclosed transport"):
            drop(transports)

    loop.run_until_complete(main())


def test_never_awaited_coroutine_warns(loop: Loop) -> None:
    async def forgotten() -> None:
        raise AssertionError("never runs")

    async def main() -> None:
        coroutines = [forgotten()]
        with pytest.warns(RuntimeWarning, match="was never awaited"):
            drop(coroutines)

    loop.set_debug(True)
    loop.run_until_complete(main())


def test_debug_mode_runs_everything_as_usual(loop: Loop) -> None:
    loop.set_debug(True)
    ran: list[str] = []
    loop.call_soon(ran.append, "soon")
    loop.call_later(0, ran.append, "later")
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(ran.append, "threadsafe"))
    thread.start()
    thread.join()
    run_turns(loop, 3)
    assert sorted(ran) == ["later", "soon", "threadsafe"]
