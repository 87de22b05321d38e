"""Loops in processes: fork, exit with everything pending, loops left open."""

import subprocess
import sys
import sysconfig

import pytest

from .conftest import stdlib_fault

PRELUDE = {
    "stdlib": "from asyncio import SelectorEventLoop as Loop\n",
    "rsloop": "from rsloop_core import Loop\n",
}


def run_program(loop_kind: str, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program that knows the class `Loop` in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, *options, "-c", PRELUDE[loop_kind] + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


PENDING = """
import asyncio, threading
loop = Loop()
async def forever():
    await asyncio.Event().wait()
async def main():
    tasks.append(loop.create_task(forever()))
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(
        asyncio.Protocol, *server.sockets[0].getsockname())
    keep.extend([server, transport])
    loop.call_later(300, print)
tasks, keep = [], []
loop.run_until_complete(main())
print("done", flush=True)
"""


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "import os; os._exit(4)"])
def test_exit_with_everything_pending(loop_kind: str, ending: str) -> None:
    done = run_program(loop_kind, PENDING + ending, "-W", "ignore")
    expected = {"": 0, "raise SystemExit(3)": 3}.get(ending, 4)
    assert (done.returncode, done.stdout) == (expected, "done\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_exit_out_of_a_running_loop(loop_kind: str) -> None:
    done = run_program(
        loop_kind,
        "import sys\nloop = Loop()\nloop.call_soon(sys.exit, 5)\nloop.run_forever()\n",
        "-W",
        "ignore",
    )
    assert done.returncode == 5, done.stderr
    assert done.stderr == ""


def test_exit_while_a_daemon_thread_runs_a_loop(loop_kind: str) -> None:
    done = run_program(
        loop_kind,
        "import threading\nloop = Loop()\nstarted = threading.Event()\n"
        "loop.call_soon(started.set)\n"
        "threading.Thread(target=loop.run_forever, daemon=True).start()\n"
        "started.wait()\nprint('leaving')\n",
        "-W",
        "ignore",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")


# Dies when the interpreter clears its modules, from when on no other thread may go on.
LASTING = """
import time
class Lasting:
    def __del__(self, sleep=time.sleep):
        sleep(0.05)
lasting = Lasting()
"""

BUSY = """
import asyncio, threading
loop = Loop()
started = threading.Event()
async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
async def streams():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    while True:
        writer.write(b"x")
        await reader.read(1)
        started.set()
class Pong(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, addr):
        started.set()
        self.transport.sendto(data, addr)
async def datagrams():
    one, _ = await loop.create_datagram_endpoint(Pong, local_addr=("127.0.0.1", 0))
    two, _ = await loop.create_datagram_endpoint(Pong, local_addr=("127.0.0.1", 0))
    one.sendto(b"x", two.get_extra_info("sockname"))
    await asyncio.Event().wait()
async def callbacks():
    started.set()
    while True:
        await asyncio.sleep(0)
async def finalizers():
    class Dying:
        def __del__(self):
            for _ in range(100):
                started.set()
    while True:
        loop.call_soon(id, Dying())
        await asyncio.sleep(0)
async def timers():
    started.set()
    while True:
        await asyncio.sleep(0.001)
threading.Thread(target=loop.run_until_complete, args=(BUSY(),), daemon=True).start()
started.wait()
print("leaving")
"""


@pytest.mark.parametrize("busy", ["streams", "datagrams", "callbacks", "finalizers", "timers"])
def test_exit_while_a_daemon_thread_is_busy_with_a_loop(loop_kind: str, busy: str) -> None:
    # Until 3.14 CPython unwinds the stack of the thread, wherever it is.
    for _ in range(3):
        done = run_program(loop_kind, LASTING + BUSY.replace("BUSY", busy), "-W", "ignore")
        assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")


LINGERING = """
import asyncio, gc, sys, threading, time, weakref
loop = Loop()
entered, leaving = threading.Lock(), threading.Lock()
entered.acquire()
leaving.acquire()
kept = []
def linger(*_):
    entered.release()
    while True:
        pass
def weak_reference():
    kept.append(weakref.ref(loop.call_soon(int), linger))
def delay():
    class Delay:
        __radd__ = linger
    loop.call_soon(loop.call_later, Delay(), print)
def number():
    class Number:
        __float__ = __lt__ = __gt__ = linger
    loop.call_soon(loop.call_at, Number(), print)
    loop.call_soon(loop.call_at, Number(), print)
def pieces():
    class Pieces:
        __iter__ = linger
    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            loop.call_soon(transport.writelines, Pieces())
    async def main():
        server = await loop.create_server(Protocol, "127.0.0.1", 0)
        kept.append(await loop.create_connection(Protocol, *server.sockets[0].getsockname()))
    kept.append(loop.create_task(main()))
def audit_hook():
    sys.addaudithook(lambda event, _: event == "socket.connect" and linger())
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        kept.append(server)
        address = server.sockets[0].getsockname()
        kept.append(await loop.create_connection(asyncio.Protocol, *address))
    kept.append(loop.create_task(main()))
def collection():
    class Garbage:
        __del__ = linger
        def __init__(self):
            self.itself = self
    gc.collect()
    gc.disable()
    gc.set_threshold(1)
    Garbage()
    # No Python code runs between the allocations and the poll, which is due by then.
    loop.call_soon(gc.enable)
    loop.call_soon(kept.extend, map(list, [()] * 10))
    loop.call_soon(time.sleep, 0.001)
    loop.call_soon(loop.call_soon, int)
loop.call_soon(leaving.acquire)
LINGERING()
threading.Thread(target=loop.run_forever, daemon=True).start()
# In between this thread makes nothing that could begin a collection here.
leaving.release()
entered.acquire()
print("leaving")
"""


@pytest.mark.parametrize(
    "lingering", ["weak_reference", "delay", "number", "pieces", "audit_hook", "collection"]
)
def test_exit_while_a_daemon_thread_lingers_in_what_a_loop_called(
    loop_kind: str, lingering: str
) -> None:
    at_a_death = lingering in ("weak_reference", "collection")
    if at_a_death and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without a GIL, what a thread has made dies there, and collections begin later")
    program = LASTING + LINGERING.replace("LINGERING", lingering)
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")


def test_a_forked_child_runs_a_loop_of_its_own(loop_kind: str) -> None:
    program = """
import asyncio, os
loop = Loop()
async def main():
    pid = os.fork()
    if pid == 0:
        asyncio._set_running_loop(None)
        child = Loop()
        status = child.run_until_complete(asyncio.sleep(0.001, 7))
        child.close()
        os._exit(status)
    await asyncio.sleep(0.01)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(loop.run_until_complete(main()))
loop.close()
"""
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


def test_multiprocessing_by_fork_from_a_running_loop(loop_kind: str) -> None:
    program = """
import asyncio, concurrent.futures, multiprocessing
loop = Loop()
async def main():
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        jobs = [loop.run_in_executor(pool, pow, number, 2) for number in range(10)]
        return sum(await asyncio.gather(*jobs))
print(loop.run_until_complete(main()))
loop.close()
"""
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stdout) == (0, "285\n"), done.stderr


def test_idle_loop_has_one_thread(loop_kind: str) -> None:
    program = """
import os
loop = Loop()
loop.call_later(0.01, lambda: print(len(os.listdir("/proc/self/task"))))
loop.call_later(0.02, loop.stop)
loop.run_forever()
loop.close()
"""
    done = run_program(loop_kind, program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("ending", ["loop.close()", "del loop; gc.collect()"])
def test_a_forked_childs_end_of_the_loop_leaves_the_parents_alone(
    loop_kind: str, ending: str
) -> None:
    if loop_kind == "stdlib" and ending == "loop.close()":
        pytest.skip("the stdlib loop shares its self-pipe's registration with the child")
    program = f"""
import gc, os, socket
loop = Loop()
loop.itself = loop
left, right = socket.socketpair()
loop.add_reader(left, lambda: print("read", left.recv(9)))
loop.call_soon(loop.stop)
loop.run_forever()
pid = os.fork()
if pid == 0:
    {ending}
    os._exit(0)
os.waitpid(pid, 0)
right.send(b"x")
loop.call_later(0.05, loop.stop)
loop.run_forever()
loop.close()
"""
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "read b'x'\n", "")


def test_a_forked_child_goes_on_with_its_parents_loop(loop_kind: str) -> None:
    stdlib_fault(loop_kind, "shares the poller with its parent")
    program = """
import asyncio, os, signal, socket, threading
loop = Loop()
left, right = socket.socketpair()
here, there = socket.socketpair()
loop.add_reader(left, lambda: print("parent", left.recv(9), flush=True))
loop.add_signal_handler(signal.SIGUSR1, print, "signal")
loop.run_until_complete(asyncio.sleep(0))
pid = os.fork()
if pid == 0:
    # Neither what the child stops nor what it begins to watch is the parent's.
    loop.remove_reader(left)
    arrived = asyncio.Event()
    loop.add_reader(here, arrived.set)
    threading.Timer(0.01, loop.call_soon_threadsafe, (there.send, b"x")).start()
    loop.run_until_complete(asyncio.wait_for(arrived.wait(), 5))
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.run_until_complete(asyncio.sleep(0.01))
    print("child", here.recv(9), flush=True)
    loop.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
right.send(b"y")
loop.run_until_complete(asyncio.sleep(0.01))
loop.close()
"""
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "signal\nchild b'x'\nparent b'y'\n"


def test_a_program_that_forks_in_a_callback_goes_on_twice(loop_kind: str) -> None:
    stdlib_fault(loop_kind, "shares the poller with its parent")
    program = """
import asyncio, os, socket
loop = Loop()
left, right = socket.socketpair()
left.setblocking(False)
async def child():
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    waiting = asyncio.ensure_future(loop.sock_recv(mine, 9))
    await asyncio.sleep(0.01)
    theirs.send(b"x")
    print("child", await waiting, flush=True)
    os._exit(0)
async def parent(pid):
    waiting = asyncio.ensure_future(loop.sock_recv(left, 9))
    await asyncio.sleep(0)
    assert os.waitpid(pid, 0)[1] == 0
    right.send(b"y")
    print("parent", await waiting)
    loop.stop()
def fork():
    # Not in a task: from 3.14 on, CPython forgets in a child which task runs.
    pid = os.fork()
    asyncio._set_running_loop(loop)
    tasks.append(loop.create_task(parent(pid) if pid else child()))
tasks = []
loop.call_soon(fork)
loop.run_forever()
loop.close()
"""
    done = run_program(loop_kind, program, "-W", "ignore")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "child b'x'\nparent b'y'\n"
