"""Success, exception and panic, for each way to make an awaitable."""

import asyncio
import traceback
from collections.abc import Callable

import bridge_tests
import pytest
from bridge_tests import Drops, Gate, RustPanic

from .conftest import Run

Make = Callable[..., "asyncio.Future[str]"]
MAKERS = [
    bridge_tests.future_into_py,
    bridge_tests.future_into_py_with_locals,
    bridge_tests.spawn_into_py,
    bridge_tests.local_future_into_py,
    bridge_tests.local_future_into_py_with_locals,
]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    maker: Make = request.param
    return maker


@pytest.fixture(params=["ready", "opened by the loop", "opened elsewhere"])
def gate(request: pytest.FixtureRequest) -> Callable[[], Gate | None]:
    """Give a gate that opens as the parameter says, or none."""

    def make_gate() -> Gate | None:
        if request.param == "ready":
            return None
        gate = Gate()
        loop = asyncio.get_running_loop()
        loop.call_soon(gate.open if request.param == "opened by the loop" else gate.open_elsewhere)
        return gate

    return make_gate


def test_a_value_is_returned(run: Run, make: Make, gate: Callable[[], Gate | None]) -> None:
    async def main() -> tuple[str, int]:
        drops = Drops()
        value = await make("value", gate(), drops)
        return value, drops.wait_for(1)

    assert run(main()) == ("the value", 1)


def test_an_error_is_raised(run: Run, make: Make, gate: Callable[[], Gate | None]) -> None:
    async def main() -> str:
        return await make("error", gate())

    with pytest.raises(ValueError, match=r"^the error$"):
        run(main())


def test_a_panic_is_raised_with_its_message(
    run: Run, make: Make, gate: Callable[[], Gate | None]
) -> None:
    async def main() -> str:
        return await make("panic", gate())

    with pytest.raises(RustPanic, match=r"^the panic$") as caught:
        run(main())
    assert isinstance(caught.value, RuntimeError)


def test_a_panic_in_the_conversion_is_raised(run: Run, gate: Callable[[], Gate | None]) -> None:
    async def main() -> None:
        await bridge_tests.convert_by_panicking(gate())

    with pytest.raises(RustPanic, match=r"^the conversion's panic$"):
        run(main())


@pytest.mark.parametrize("locally", [False, True], ids=["Send", "local"])
@pytest.mark.parametrize("ready", [False, True], ids=["pending", "ready"])
def test_a_panic_in_the_drop_of_a_finished_future_is_raised(
    run: Run, locally: bool, ready: bool
) -> None:
    async def main() -> None:
        gate = Gate()
        if ready:
            gate.open()
        future = bridge_tests.panic_in_drop(gate, locally)
        gate.open_elsewhere()
        await future

    with pytest.raises(RustPanic, match=r"^the drop's panic$"):
        run(main())


@pytest.mark.parametrize("locally", [False, True], ids=["Send", "local"])
def test_an_error_says_more_than_a_panic_in_the_drop_after_it(run: Run, locally: bool) -> None:
    async def main() -> None:
        gate = Gate()
        future = bridge_tests.panic_in_drop(gate, locally, "error")
        gate.open_elsewhere()
        await future

    with pytest.raises(ValueError, match=r"^the error$"):
        run(main())


@pytest.mark.parametrize("locally", [False, True], ids=["Send", "local"])
def test_a_panic_in_the_arguments_of_an_error_is_raised(
    run: Run, gate: Callable[[], Gate | None], locally: bool
) -> None:
    async def main() -> None:
        await asyncio.wait_for(bridge_tests.fail_by_panicking(gate(), locally), 10)

    with pytest.raises(RustPanic, match=r"^the conversion's panic$"):
        run(main())


def test_the_exception_itself_arrives_with_its_cause(
    run: Run, gate: Callable[[], Gate | None]
) -> None:
    cause = KeyError("the cause")
    exception = LookupError("the exception")
    exception.__cause__ = cause

    async def main() -> None:
        await bridge_tests.fail_with(exception, gate())

    with pytest.raises(LookupError) as caught:
        run(main())
    assert caught.value is exception
    assert caught.value.__cause__ is cause


def test_each_raise_begins_with_the_same_traceback(run: Run) -> None:
    async def main() -> list[int]:
        future = bridge_tests.future_into_py("error")
        depths = []
        for _ in range(3):
            try:
                await future
            except ValueError as error:
                depths.append(len(traceback.extract_tb(error.__traceback__)))
        return depths

    first, second, third = run(main())
    assert first == second == third


def test_a_stop_iteration_becomes_a_runtime_error(run: Run) -> None:
    async def main() -> None:
        await bridge_tests.fail_with(StopIteration(1))

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        run(main())
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("value", [(), (1, 2), ValueError("not raised"), None])
def test_values_that_look_like_arguments_are_returned_whole(run: Run, value: object) -> None:
    async def main() -> object:
        return await bridge_tests.convert_by_calling(lambda: value)

    assert run(main()) is value


def test_futures_progress_without_being_awaited_while_the_loop_is_blocked(run: Run) -> None:
    async def main() -> tuple[bool, str]:
        gate = Gate()
        future = bridge_tests.future_into_py("value", gate)
        assert gate.wait_for_polls(1)
        drops = Drops()
        other = bridge_tests.spawn_into_py("value", None, drops)
        assert drops.wait_for(1) == 1
        gate.open()
        return other.done(), await future + await other

    assert run(main()) == (False, "the valuethe value")


def test_local_futures_are_polled_on_the_loops_thread_only(run: Run) -> None:
    async def main() -> bool:
        return await bridge_tests.yield_locally(100)

    assert run(main())


def test_tasks_of_the_executor_may_be_spawned_inside(run: Run) -> None:
    async def main() -> list[int]:
        return await asyncio.gather(*(bridge_tests.sum_of_tasks(10) for _ in range(5)))

    assert run(main()) == [45] * 5


def test_many_at_once_all_arrive(run: Run) -> None:
    async def main() -> int:
        gate = Gate()
        futures = [bridge_tests.future_into_py("value", gate) for _ in range(1000)]
        gate.open_elsewhere()
        return len(await asyncio.gather(*futures))

    assert run(main()) == 1000


@pytest.mark.parametrize("make_outside", MAKERS, ids=lambda make: make.__name__)
def test_outside_a_running_loop_there_is_advice(make_outside: Make) -> None:
    with pytest.raises(RuntimeError, match=r"asyncio\.run\(\) or rsloop\.run\(\)"):
        make_outside("value")


def test_locals_outside_a_running_loop_are_refused() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        bridge_tests.Locals()
