"""Python awaitables awaited from Rust."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import bridge_tests
import pytest
from bridge_tests import Gate, Locals

from .conftest import Run


def call_from_worker(awaitable: Any) -> Any:
    gate = Gate()
    future = bridge_tests.call_from_worker(gate, awaitable)
    gate.open()
    return future


@pytest.fixture(
    params=[bridge_tests.call_from_send, call_from_worker, bridge_tests.call_from_local],
    ids=lambda call: call.__name__,
)
def call(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    caller: Callable[[Any], Any] = request.param
    return caller


def test_coroutines_futures_and_awaitables_return_their_results(
    run: Run, call: Callable[[Any], Any]
) -> None:
    class Awaitable:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "from __await__"

    async def coroutine() -> str:
        await asyncio.sleep(0.001)
        return "from a coroutine"

    async def main() -> list[str]:
        future = asyncio.get_running_loop().create_future()
        future.set_result("from a future")
        rust = bridge_tests.future_into_py("value")
        return [await call(each) for each in (coroutine(), Awaitable(), future, rust)]

    assert run(main()) == ["from a coroutine", "from __await__", "from a future", "the value"]


def test_exceptions_come_back_as_they_were(run: Run, call: Callable[[Any], Any]) -> None:
    exception = LookupError("from Python")

    async def fail() -> None:
        raise exception

    async def main() -> None:
        await call(fail())

    with pytest.raises(LookupError) as caught:
        run(main())
    assert caught.value is exception


def test_a_cancelled_task_cancels_the_awaitable(run: Run, call: Callable[[Any], Any]) -> None:
    async def main() -> None:
        inner = asyncio.get_running_loop().create_future()
        outer = call(inner)
        asyncio.get_running_loop().call_later(0.001, inner.cancel)
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert outer.cancelled()

    run(main())


@pytest.mark.parametrize("other", [1, None, "text", lambda: None])
def test_what_cannot_be_awaited_is_a_type_error(
    run: Run, call: Callable[[Any], Any], other: object
) -> None:
    async def main() -> None:
        await call(other)

    with pytest.raises(TypeError, match="can be awaited"):
        run(main())


def test_the_python_side_runs_in_the_captured_context(run: Run, call: Callable[[Any], Any]) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def read() -> str:
        before = variable.get()
        variable.set("changed inside")
        return before

    async def main() -> tuple[str, str]:
        variable.set("captured")
        future = call(read())
        variable.set("changed after")
        return await future, variable.get()

    assert run(main()) == ("captured", "changed after")


def test_locals_work_from_another_thread(run: Run) -> None:
    async def main() -> str:
        locals_, gate = Locals(), Gate()
        assert locals_.event_loop is asyncio.get_running_loop()
        made: list[Any] = []
        thread = threading.Thread(target=lambda: made.append(locals_.future(gate)))
        thread.start()
        thread.join()
        locals_.drop_elsewhere()
        asyncio.get_running_loop().call_soon(gate.open_elsewhere)
        value: str = await made[0]
        return value

    assert run(main()) == "the value"


def test_pyo3s_own_asynchronous_functions_can_await_python(run: Run) -> None:
    async def value() -> str:
        await asyncio.sleep(0)
        return "the value"

    async def main() -> str:
        return await bridge_tests.call_from_pyo3(value())

    assert run(main()) == "the value"
