"""Signal handlers: added, run, replaced, removed, and what they leave behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from .conftest import LoopFactory, stdlib_fault, wakeup_descriptor
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_handler_runs_with_its_arguments(loop: Loop) -> None:
    got: list[tuple[Any, ...]] = []

    def handler(*args: Any) -> None:
        got.append(args)
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two")
    loop.call_soon(send, signal.SIGUSR1)
    loop.run_forever()
    assert got == [(1, "two")]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True


def test_handler_runs_in_the_loops_thread_not_in_the_interrupted_callback(loop: Loop) -> None:
    ran: list[str] = []

    def callback() -> None:
        signal.raise_signal(signal.SIGUSR1)
        ran.append("callback went on")

    def handler() -> None:
        ran.append("handler")
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(callback)
    loop.run_forever()
    assert ran == ["callback went on", "handler"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_idle_loop_wakes_for_a_signal_from_outside(loop: Loop) -> None:
    distant = loop.call_later(300, pytest.fail, "the distant timer fired")
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    child: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        code = f"import os; os.kill({os.getpid()}, {int(signal.SIGUSR1)})"
        child.append(subprocess.Popen([sys.executable, "-S", "-c", code]))

    loop.call_soon(start)
    loop.run_forever()
    assert child[0].wait() == 0
    distant.cancel()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_adding_again_replaces_the_handler(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, pytest.fail, "the replaced handler ran")
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    loop.call_soon(send, signal.SIGUSR1)
    loop.run_forever()
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


def test_several_signals(loop: Loop) -> None:
    ran: list[str] = []

    def handler(name: str) -> None:
        ran.append(name)
        if len(ran) == 3:
            loop.stop()

    numbers = {"1": signal.SIGUSR1, "2": signal.SIGUSR2, "hup": signal.SIGHUP}
    for name, number in numbers.items():
        loop.add_signal_handler(number, handler, name)
        loop.call_soon(send, number)
    loop.run_forever()
    assert sorted(ran) == ["1", "2", "hup"]
    for number in numbers.values():
        loop.remove_signal_handler(number)


def test_removing_restores_the_default_action(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_removing_restores_pythons_handler_of_sigint(loop: Loop) -> None:
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, print)
    assert signal.getsignal(signal.SIGINT) is not before
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_removing_restores_the_default_action_whatever_was_there_before(loop: Loop) -> None:
    defaults = {
        signal.SIGUSR1: signal.SIG_DFL,
        signal.SIGPIPE: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, lambda *_: None) for number in defaults}
    try:
        for number in defaults:
            loop.add_signal_handler(number, print)
            loop.add_signal_handler(number, print)
            assert loop.remove_signal_handler(number)
        assert {number: signal.getsignal(number) for number in defaults} == defaults
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_another_loop_hears_its_signals_again(
    loop: Loop, loop_factory: LoopFactory, loop_kind: str
) -> None:
    stdlib_fault(loop_kind, "takes the wakeup descriptor away from other loops for good")
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    other = loop_factory()
    other.add_signal_handler(signal.SIGUSR2, print)
    other.close()
    distant = loop.call_later(300, pytest.fail, "the distant timer fired")
    loop.call_soon(send, signal.SIGUSR1)
    loop.run_forever()
    distant.cancel()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert wakeup_descriptor() == -1


def test_removing_what_was_never_added(loop: Loop) -> None:
    assert loop.remove_signal_handler(signal.SIGUSR2) is False


def test_wakeup_descriptor_is_given_back(loop: Loop) -> None:
    before = wakeup_descriptor()
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert wakeup_descriptor() != -1
    loop.remove_signal_handler(signal.SIGUSR1)
    assert wakeup_descriptor() == before == -1


def test_closing_the_loop_removes_the_handlers(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    assert wakeup_descriptor() == -1


def test_signals_are_handled_in_later_runs_too(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    for _ in range(3):
        loop.call_soon(send, signal.SIGUSR1)
        loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_between_two_runs_is_not_lost(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    signal.raise_signal(signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_storm_ends_with_a_handler_call(loop: Loop) -> None:
    calls = 0

    def handler() -> None:
        nonlocal calls
        calls += 1
        loop.stop()

    def storm() -> None:
        # More would fill the stdlib loop's wakeup socket, and Python reports that.
        for _ in range(200):
            signal.raise_signal(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(storm)
    loop.run_forever()
    run_turns(loop, 3)
    assert 1 <= calls <= 200
    before = calls
    loop.call_soon(send, signal.SIGUSR1)
    loop.run_forever()
    assert calls == before + 1
    loop.remove_signal_handler(signal.SIGUSR1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_signals_that_cannot_be_caught(loop: Loop, number: int) -> None:
    with pytest.raises(RuntimeError, match=f"sig {int(number)} cannot be caught"):
        loop.add_signal_handler(number, print)
    assert wakeup_descriptor() == -1


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("SIGUSR1", TypeError),
        (1.5, TypeError),
        (None, TypeError),
        (0, ValueError),
        (1000, ValueError),
        (-1, ValueError),
    ],
)
def test_bad_signal_numbers(loop: Loop, number: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        loop.add_signal_handler(number, print)
    with pytest.raises(kind):
        loop.remove_signal_handler(number)


def test_bad_handlers(loop: Loop) -> None:
    async def coroutine_function() -> None:
        raise AssertionError("never runs")

    with pytest.raises(TypeError, match="coroutines cannot be used"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine_function)
    coroutine = coroutine_function()
    with pytest.raises(TypeError, match="coroutines cannot be used"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine)  # type: ignore[arg-type]
    coroutine.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_another_thread_may_not_add_handlers(loop: Loop) -> None:
    refused: list[type[BaseException]] = []

    def other() -> None:
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except (RuntimeError, ValueError) as error:
            refused.append(type(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert refused == [RuntimeError]


def test_a_loop_in_another_thread_leaves_signals_alone(loop: Loop) -> None:
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0),))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before


def test_closed_loop_refuses(loop: Loop) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_a_python_handler_runs_while_the_loop_sleeps(loop: Loop) -> None:
    # signal.signal, not the loop's method: Python runs it between two callbacks.
    ran: list[int] = []

    def handler(number: int, frame: object) -> None:
        ran.append(number)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    distant = loop.call_later(300, pytest.fail, "the distant timer fired")
    thread = threading.Thread(target=send, args=(signal.SIGUSR1,))
    try:
        loop.call_soon(thread.start)
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()
        distant.cancel()
    assert ran == [signal.SIGUSR1]


def test_a_foreign_wakeup_descriptor_is_restored_after_the_run(loop: Loop) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        signal.set_wakeup_fd(left.fileno())
        try:
            loop.run_until_complete(asyncio.sleep(0))
            assert wakeup_descriptor() == left.fileno()
        finally:
            signal.set_wakeup_fd(-1)


async def interrupted(cancelled: list[str]) -> None:
    """Be interrupted by a signal, and note the cancellation."""
    try:
        asyncio.get_running_loop().call_soon(send, signal.SIGINT)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.append("main")
        raise


def test_runner_turns_sigint_into_keyboard_interrupt(loop_factory: LoopFactory) -> None:
    cancelled: list[str] = []

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(interrupted(cancelled))
    assert cancelled == ["main"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_runner_handles_sigint_again_after_a_main_that_handled_it_itself(
    loop_factory: LoopFactory,
) -> None:
    async def handling() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, pytest.fail, "nobody sent it")

    cancelled: list[str] = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(handling())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(interrupted(cancelled))
    assert cancelled == ["main"]


def test_runner_lets_main_swallow_the_cancellation(loop_factory: LoopFactory) -> None:
    async def main() -> str:
        try:
            asyncio.get_running_loop().call_soon(send, signal.SIGINT)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return "swallowed"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == "swallowed"


def test_second_sigint_interrupts_a_busy_main(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        send(signal.SIGINT)
        send(signal.SIGINT)
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_plain_run_forever_raises_keyboard_interrupt(loop: Loop) -> None:
    loop.call_soon(send, signal.SIGINT)
    loop.call_later(300, pytest.fail, "never interrupted").cancel()
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert not loop.is_running()
    loop.run_until_complete(asyncio.sleep(0))


def test_sigint_from_another_process_reaches_an_idle_loop(loop: Loop) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        code = f"import os; os.kill({os.getpid()}, {int(signal.SIGINT)})"
        children.append(subprocess.Popen([sys.executable, "-S", "-c", code]))

    loop.call_soon(start)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert children[0].wait() == 0


def test_a_wakeup_descriptor_that_the_program_sets_while_the_loop_runs_stays(loop: Loop) -> None:
    left, right = socket.socketpair()
    left.setblocking(False)
    with left, right:
        # A timer, so that the loop has waited: then a wakeup descriptor of its own is in place.
        loop.call_later(0.001, lambda: (signal.set_wakeup_fd(left.fileno()), loop.stop()))
        loop.run_forever()
        try:
            assert wakeup_descriptor() == left.fileno()
        finally:
            signal.set_wakeup_fd(-1)


def test_closing_in_another_thread_refuses_but_closes(loop: Loop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    refused: list[BaseException] = []

    def close() -> None:
        with pytest.raises(ValueError, match="main thread") as error:
            loop.close()
        refused.append(error.value)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert loop.is_closed()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_a_wakeup_descriptor_that_is_closed_already_does_no_harm(loop: Loop) -> None:
    left, right = socket.socketpair()
    left.setblocking(False)
    signal.set_wakeup_fd(left.fileno())
    left.close()
    right.close()
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
    finally:
        signal.set_wakeup_fd(-1)
