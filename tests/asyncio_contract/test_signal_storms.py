"""More signals than the loop can take one by one, and signals at awkward moments."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

import pytest

from .conftest import LoopFactory, stdlib_fault

Loop = asyncio.AbstractEventLoop

FLOOD = """
import os, signal, sys
parent = int(sys.argv[1])
for _ in range(5000):
    os.kill(parent, signal.SIGUSR1)
os.kill(parent, signal.SIGUSR2)
"""


def flood() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-S", "-c", FLOOD, str(os.getpid())])


@pytest.mark.parametrize("last", [signal.SIGUSR2, signal.SIGUSR1, signal.SIGTERM])
def test_the_last_of_a_storm_is_not_lost(
    loop: Loop, loop_kind: str, last: int, capfd: pytest.CaptureFixture[str]
) -> None:
    stdlib_fault(loop_kind, "loses what comes when its socket is full, and says so on stderr")
    calls: Counter[int] = Counter()

    def storm() -> None:
        for _ in range(3000):
            signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(last)
        loop.call_later(0.02, loop.stop)

    for number in {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM}:
        loop.add_signal_handler(number, calls.update, [number])
    loop.call_soon(storm)
    loop.run_forever()
    assert calls[last] == 1 or last == signal.SIGUSR1
    assert calls.keys() == {signal.SIGUSR1, last}
    for number in {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM}:
        loop.remove_signal_handler(number)
    assert capfd.readouterr().err == ""


def test_the_last_of_a_storm_is_not_lost_where_sockets_have_little_room(
    loop: Loop, loop_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdlib_fault(loop_kind, "loses what comes when its socket is full")
    pair = socket.socketpair

    def small_pair() -> tuple[socket.socket, socket.socket]:
        sockets = pair()
        for sock in sockets:
            # As little as the kernel allows: room for some six numbers on Linux.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return sockets

    def storm() -> None:
        for _ in range(20):
            signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR2)

    ran: list[int] = []
    monkeypatch.setattr(socket, "socketpair", small_pair)
    loop.add_signal_handler(signal.SIGUSR1, ran.append, signal.SIGUSR1)
    loop.add_signal_handler(signal.SIGUSR2, loop.stop)
    loop.call_soon(storm)
    loop.run_forever()
    assert ran
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGUSR2)


def test_a_storm_from_another_process_while_a_callback_blocks(loop: Loop, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "loses what comes when its socket is full")
    calls: Counter[int] = Counter()
    children = []

    def block() -> None:
        children.append(flood())
        assert children[0].wait() == 0

    loop.add_signal_handler(signal.SIGUSR1, calls.update, [signal.SIGUSR1])
    loop.add_signal_handler(signal.SIGUSR2, lambda: (calls.update([signal.SIGUSR2]), loop.stop()))
    loop.call_soon(block)
    loop.run_forever()
    assert calls[signal.SIGUSR1] > 0
    assert calls[signal.SIGUSR2] == 1
    loop.close()


def test_a_storm_while_the_loop_runs_starves_nothing(loop: Loop, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "loses what comes when its socket is full")
    calls: Counter[str] = Counter()
    children = []

    def tick() -> None:
        calls["tick"] += 1
        loop.call_later(0.001, tick)

    loop.add_signal_handler(signal.SIGUSR1, calls.update, ["usr1"])
    loop.add_signal_handler(signal.SIGUSR2, loop.stop)
    loop.call_soon(tick)
    loop.call_soon(lambda: children.append(flood()))
    loop.run_forever()
    assert children[0].wait() == 0
    assert calls["usr1"] > 0
    assert calls["tick"] > 0
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGUSR2)


def test_single_signals_call_the_handler_once_each(loop: Loop) -> None:
    """Whatever makes storms whole must not count a lone signal twice."""
    calls: list[int] = []
    sent = 0

    def handler() -> None:
        nonlocal sent
        calls.append(len(calls))
        if sent == 300:
            loop.call_later(0.005, loop.stop)
        else:
            sent += 1
            signal.raise_signal(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, handler)
    sent += 1
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    assert len(calls) == 300
    loop.remove_signal_handler(signal.SIGUSR1)


def test_no_signal_is_slept_over(loop: Loop) -> None:
    """Signals that come just as the loop goes to sleep: a distant timer must not be their end."""
    rounds = 300
    answered = threading.Semaphore(0)
    distant = loop.call_later(300, pytest.fail, "the loop slept over a signal")
    left = rounds

    def handler() -> None:
        nonlocal left
        left -= 1
        answered.release()
        if not left:
            loop.stop()

    def send() -> None:
        for number in range(rounds):
            # A little later each time, to meet every moment of going to sleep.
            until = time.perf_counter() + number * 2e-7
            while time.perf_counter() < until:
                pass
            os.kill(os.getpid(), signal.SIGUSR1)
            answered.acquire()

    loop.add_signal_handler(signal.SIGUSR1, handler)
    thread = threading.Thread(target=send)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    distant.cancel()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_may_remove_itself_and_others(loop: Loop) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert loop.remove_signal_handler(signal.SIGUSR2)
        loop.call_later(0.005, loop.stop)

    loop.add_signal_handler(signal.SIGUSR1, first)
    loop.add_signal_handler(signal.SIGUSR2, ran.append, "second")
    loop.call_soon(signal.raise_signal, signal.SIGUSR1)
    loop.run_forever()
    assert ran == ["first"]
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_a_failing_handler_is_reported_and_called_again(loop: Loop) -> None:
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(context))
    loop.add_signal_handler(signal.SIGUSR1, divmod, 1, 0)
    for _ in range(2):
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        loop.call_later(0.005, loop.stop)
        loop.run_forever()
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError] * 2
    loop.remove_signal_handler(signal.SIGUSR1)


def test_system_calls_go_on_after_a_signal(loop: Loop) -> None:
    """As with siginterrupt(): C code that reads is not interrupted by a handled signal."""
    read, write = os.pipe()
    loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    later = threading.Timer(0.05, os.write, (write, b"x"))
    timer.start()
    later.start()
    assert os.read(read, 1) == b"x"
    timer.join()
    later.join()
    os.close(read)
    os.close(write)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_runner_ends_by_sigint_while_a_thread_works(loop_factory: LoopFactory) -> None:
    release = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, signal.raise_signal, signal.SIGINT)
        loop.call_later(0.02, release.set)
        await loop.run_in_executor(None, release.wait)

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_runner_leaves_a_foreign_sigint_handler_alone(loop_factory: LoopFactory) -> None:
    ran: list[int] = []

    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)

    before = signal.signal(signal.SIGINT, lambda number, _frame: ran.append(number))
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())
        assert ran == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_loops_own_sigint_handler_wins_over_the_runner(loop_factory: LoopFactory) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, told.set)
        signal.raise_signal(signal.SIGINT)
        await told.wait()
        loop.remove_signal_handler(signal.SIGINT)
        return "told"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == "told"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
