"""Programs that replace `asyncio.Handle._run`, as aiodebug does, to see each callback run."""

import asyncio
from asyncio import base_events
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log, Run

Loop = asyncio.AbstractEventLoop
Watch = Callable[[], list[str]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Return what begins to note the handles that run, and returns the list of them."""

    def begin() -> list[str]:
        seen: list[str] = []
        original = asyncio.Handle._run

        def run(handle: asyncio.Handle) -> None:
            seen.append(base_events._format_handle(handle))  # type: ignore[attr-defined]
            original(handle)

        monkeypatch.setattr(asyncio.Handle, "_run", run)
        return seen

    return begin


def named_callback(*args: object) -> None:
    """Do nothing, under a name that can be shown."""


def count(seen: list[str], *parts: str) -> int:
    """Count the handles whose description has all of these."""
    return sum(1 for each in seen if all(part in each for part in parts))


@pytest.mark.parametrize("debug", [False, True])
def test_callbacks_timers_and_tasks_are_seen(run: Run, watch: Watch, debug: bool) -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(named_callback, 1, 2, 3)
        loop.call_soon(named_callback).cancel()
        loop.call_soon_threadsafe(named_callback)
        loop.call_later(0.001, named_callback)
        await asyncio.create_task(child())
        await asyncio.sleep(0.01)

    seen = watch()
    run(main(), debug=debug)
    assert count(seen, "named_callback") == 3
    assert count(seen, "TimerHandle", "named_callback") == 1
    assert count(seen, "child() running") == 2


def test_who_begins_while_the_loop_runs_sees_what_comes(run: Run, watch: Watch) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001)
        loop.call_later(0.01, named_callback)
        seen = watch()
        await asyncio.sleep(0.02)
        return seen

    assert count(run(main()), "named_callback") == 1


def test_what_transports_do_is_seen(run: Run, watch: Watch) -> None:
    seen: list[str] = []
    during: list[int] = []

    class Server(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            during.append(len(seen))
            raise ValueError(data)

    async def main() -> None:
        nonlocal seen
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        server = await loop.create_server(Server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(0.01)
        seen = watch()
        await asyncio.sleep(0.01)
        before = len(seen)
        writer.write(b"data")
        assert await reader.read() == b""
        assert during[0] > before  # seen before it runs
        writer.close()
        server.close()
        await server.wait_closed()

    run(main())


def test_an_exception_is_reported_once(run: Run, watch: Watch, asyncio_log: Log) -> None:
    def fail() -> None:
        raise ValueError("expected")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0.01)

    watch()
    run(main())
    (message,) = asyncio_log.messages
    assert "Exception in callback" in message
    assert "fail" in message


def test_what_ends_the_loop_ends_it(loop: Loop, watch: Watch) -> None:
    def leave(*args: Any) -> None:
        raise SystemExit(7)

    watch()
    loop.call_soon(leave)
    with pytest.raises(SystemExit):
        loop.run_forever()
