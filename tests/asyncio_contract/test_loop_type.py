"""What kind of object a loop is: its type, attributes, references, and debug flag."""

import asyncio
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import LoopFactory

Loop = asyncio.AbstractEventLoop


@pytest.fixture
def subclass_loop(loop_factory: LoopFactory) -> Iterator[Loop]:
    """Yield a loop of a Python subclass of the type under test."""
    base = type(closed(loop_factory()))
    loop: Loop = type("Subclass", (base,), {"extra": lambda self: "extra"})()
    yield loop
    loop.close()


def closed(loop: Loop) -> Loop:
    """Close `loop` and return it."""
    loop.close()
    return loop


def test_loop_is_an_asyncio_loop(loop: Loop) -> None:
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)
    assert isinstance(loop, asyncio.SelectorEventLoop)


def test_name_of_the_type(loop: Loop, loop_kind: str) -> None:
    expected = {"stdlib": "_UnixSelectorEventLoop", "rsloop": "Loop"}
    assert type(loop).__name__ == expected[loop_kind]


def test_repr_tells_the_state(loop: Loop) -> None:
    assert repr(loop) == f"<{type(loop).__name__} running=False closed=False debug=False>"
    loop.set_debug(True)
    loop.close()
    assert repr(loop) == f"<{type(loop).__name__} running=False closed=True debug=True>"


def test_loop_can_be_referenced_weakly_and_hashed(loop: Loop) -> None:
    assert weakref.ref(loop)() is loop
    assert {loop: 1}[loop] == 1
    assert loop == loop


def test_attributes_can_be_added_and_removed(loop: Loop) -> None:
    loop.extra = "kept"  # type: ignore[attr-defined]
    assert vars(loop)["extra"] == "kept"
    del loop.extra  # type: ignore[attr-defined]
    assert not hasattr(loop, "extra")


@pytest.mark.parametrize(
    "name", ["call_soon", "call_later", "create_task", "create_server", "time"]
)
def test_methods_can_be_replaced_on_one_loop(loop: Loop, name: str) -> None:
    def replacement(*args: object, **kwargs: object) -> str:
        return "replaced"

    setattr(loop, name, replacement)
    assert getattr(loop, name)() == "replaced"
    delattr(loop, name)
    assert getattr(loop, name) is not replacement


def test_a_subclass_works(subclass_loop: Loop) -> None:
    assert subclass_loop.extra() == "extra"  # type: ignore[attr-defined]
    assert subclass_loop.run_until_complete(asyncio.sleep(0, "slept")) == "slept"


def test_a_subclass_that_overrides_call_soon_sees_its_own_calls(
    loop_factory: LoopFactory,
) -> None:
    base = type(closed(loop_factory()))
    calls: list[str] = []

    def call_soon(self: Loop, callback: object, *args: object, context: object = None) -> object:
        calls.append("call_soon")
        return base.call_soon(self, callback, *args, context=context)  # type: ignore[arg-type]

    loop: Loop = type("Subclass", (base,), {"call_soon": call_soon})()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert calls == ["call_soon"]


def test_debug_can_be_switched(loop: Loop) -> None:
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_debug_can_be_switched_while_running(loop: Loop) -> None:
    async def main() -> None:
        loop.set_debug(True)
        await asyncio.sleep(0)
        assert loop.get_debug()
        loop.set_debug(False)
        await asyncio.sleep(0)
        assert not loop.get_debug()

    loop.run_until_complete(main())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-X", "dev"], "True"),
        ([], "False"),
    ],
)
def test_debug_follows_the_interpreters_development_mode(
    loop_kind: str, options: list[str], expected: str
) -> None:
    source = {"stdlib": "from asyncio import SelectorEventLoop as Loop"}
    code = source.get(loop_kind, "from rsloop_core import Loop")
    code += "\nloop = Loop()\nprint(loop.get_debug())\nloop.close()"
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_slow_callback_duration_is_an_attribute(loop: Loop) -> None:
    assert loop.slow_callback_duration == 0.1
    loop.slow_callback_duration = 0.5
    assert loop.slow_callback_duration == 0.5


def test_new_loop_opens_few_descriptors(loop_factory: LoopFactory) -> None:
    before = len(os.listdir("/proc/self/fd"))
    loop = loop_factory()
    loop.run_until_complete(asyncio.sleep(0))
    after = len(os.listdir("/proc/self/fd"))
    loop.close()
    # The stdlib loop needs a selector and a pair of sockets.
    assert after - before <= 3


def test_a_subclass_may_pass_arguments_on_by_name(loop_factory: LoopFactory) -> None:
    base: Any = loop_factory

    class Chatty(base):  # type: ignore[misc]
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            return super().call_soon(callback=callback, context=context)

        def call_later(self, delay: Any, callback: Any, *args: Any, context: Any = None) -> Any:
            return super().call_later(delay, callback=callback, context=context)

    loop: Any = Chatty()
    ran: list[str] = []
    loop.call_soon(lambda: ran.append("soon"))

    def later() -> None:
        ran.append("later")
        loop.stop()

    loop.call_later(0, later)
    loop.run_forever()
    loop.close()
    assert ran == ["soon", "later"]


def test_loop_has_no_dict_until_something_is_hung_on_it(loop: Any, loop_kind: str) -> None:
    if loop_kind == "stdlib":
        pytest.skip("the stdlib loop keeps its own state there")
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.run_in_executor(None, int))
    loop.add_signal_handler(signal.SIGUSR1, int)
    # Methods are found faster without one. A name here belongs into Loop.__slots__.
    assert vars(loop) == {}
    loop.colour = "red"
    assert vars(loop) == {"colour": "red"}
