"""Memory that runs out is an error of the program's, and no end of the process."""

import sys
import sysconfig

import pytest

from .conftest import stdlib_fault
from .test_life_cycle import run_program

pytest.importorskip("_testcapi", reason="only CPython's own tests can make memory run out")

PROGRAM = """
import asyncio, socket, warnings
from _testcapi import remove_mem_hooks, set_nomemory

# What was to be closed may be left open.
warnings.simplefilter("ignore")

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data)

class BufferedEcho(asyncio.BufferedProtocol):
    connection_made = Echo.connection_made
    room = bytearray(100)
    def get_buffer(self, hint):
        return self.room
    def buffer_updated(self, count):
        self.transport.write(self.room[:count])

class Datagrams(asyncio.DatagramProtocol):
    connection_made = Echo.connection_made
    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)

def stream(loop, protocol):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop.run_until_complete(loop.create_connection(protocol, sock=ours))
    theirs.send(b"x" * 1000)
    return loop.run_forever

def plain(loop):
    return stream(loop, Echo)

def buffered(loop):
    return stream(loop, BufferedEcho)

def datagrams(loop):
    made = loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    transport, _ = loop.run_until_complete(made)
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.sendto(b"x" * 1000, transport.get_extra_info("sockname"))
    return loop.run_forever

def handles(loop):
    handle = loop.call_soon(id, 1)
    timer = loop.call_later(1, print, 1, 2, 3)
    def look():
        for each in (handle, timer):
            repr(each), each._args, each._callback, each.cancelled()
        timer.when(), timer.cancel(), loop.time(), loop.call_at(1.5, print, 1, 2, 3)
    return look

def operations(loop):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.send(b"x" * 100)
    loop.create_task(loop.sock_recv(ours, 100))
    return loop.run_forever

outcomes = set()
for nth in range(COUNT):
    loop = Loop()
    loop.set_exception_handler(lambda _, context: seen.append(context.get("exception")))
    seen = []
    run = SCENE(loop)
    loop.call_later(0.001, loop.stop)
    set_nomemory(nth, nth + 1)
    try:
        run()
    except BaseException as error:
        remove_mem_hooks()
        seen.append(error)
    remove_mem_hooks()
    asyncio._set_running_loop(None)  # which may have failed
    outcomes.update(type(each).__name__ for each in seen)
    loop.close()
print(*sorted(outcomes))
"""


@pytest.mark.parametrize("scene", ["plain", "buffered", "datagrams", "handles", "operations"])
def test_each_allocation_may_fail(loop_kind: str, scene: str) -> None:
    if scene != "handles":
        stdlib_fault(loop_kind, "loses the timer that is due when memory runs out")
    elif sysconfig.get_config_var("Py_GIL_DISABLED"):
        stdlib_fault(loop_kind, "hangs without a GIL when memory runs out")
    elif sys.version_info[:2] == (3, 12):
        pytest.skip("CPython 3.12 crashes where the text of a handle lacks memory, on both loops")
    program = PROGRAM.replace("SCENE", scene).replace("COUNT", "60")
    done = run_program(loop_kind, program)
    assert done.returncode == 0, done.stderr
    assert "MemoryError" in done.stdout.split()
