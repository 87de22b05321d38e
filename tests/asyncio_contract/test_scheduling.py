"""call_soon: order, arguments, what runs in which turn of the loop."""

import asyncio
import functools
import weakref

from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def test_callbacks_run_in_the_order_of_the_calls(loop: Loop) -> None:
    ran: list[int] = []
    for number in range(1000):
        loop.call_soon(ran.append, number)
    run_turns(loop, 1)
    assert ran == list(range(1000))


def test_call_soon_runs_nothing_at_the_call(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_soon(ran.append, "later")
    assert ran == []
    run_turns(loop, 1)
    assert ran == ["later"]


def test_every_argument_arrives(loop: Loop) -> None:
    got: list[tuple[object, ...]] = []

    def callback(*args: object) -> None:
        got.append(args)

    for count in range(12):
        loop.call_soon(callback, *range(count))
    run_turns(loop, 1)
    assert got == [tuple(range(count)) for count in range(12)]


def test_callback_may_be_any_callable(loop: Loop) -> None:
    ran: list[str] = []

    class Callable:
        def __call__(self, text: str) -> None:
            ran.append(text)

        def method(self, text: str) -> None:
            ran.append(text)

    loop.call_soon(Callable(), "object")
    loop.call_soon(Callable().method, "method")
    loop.call_soon(functools.partial(ran.append, "partial"))
    loop.call_soon(lambda: ran.append("lambda"))
    loop.call_soon(ran.append, "builtin")
    run_turns(loop, 1)
    assert ran == ["object", "method", "partial", "lambda", "builtin"]


def test_callback_scheduled_by_a_callback_runs_in_the_next_turn(loop: Loop) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        loop.call_soon(ran.append, "nested")

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == ["first", "second"]
    run_turns(loop, 1)
    assert ran == ["first", "second", "nested"]


def test_a_chain_of_callbacks_runs_to_its_end(loop: Loop) -> None:
    left = 10_000

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    assert left == 0


def test_callback_scheduled_before_the_run_waits_for_it(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_soon(ran.append, "scheduled while idle")

    async def main() -> None:
        ran.append("main")

    loop.run_until_complete(main())
    assert ran == ["scheduled while idle", "main"]


def test_sleep_zero_gives_every_task_one_turn(loop: Loop) -> None:
    ran: list[tuple[str, int]] = []

    async def worker(name: str) -> None:
        for turn in range(3):
            ran.append((name, turn))
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(worker("a"), worker("b"), worker("c"))

    loop.run_until_complete(main())
    assert ran == [(name, turn) for turn in range(3) for name in "abc"]


def test_return_value_of_a_callback_is_ignored(loop: Loop) -> None:
    loop.call_soon(lambda: 1)
    loop.call_soon(lambda: NotImplemented)
    loop.call_soon(lambda: object())
    run_turns(loop, 1)


def test_arguments_are_released_after_the_call(loop: Loop) -> None:
    class Argument:
        pass

    argument = Argument()
    reference = weakref.ref(argument)
    loop.call_soon(lambda argument: None, argument)
    del argument
    assert reference() is not None
    run_turns(loop, 1)
    assert reference() is None
