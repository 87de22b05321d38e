"""Bad arguments to the methods of servers, and of transports that are no streams."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from .conftest import Log
from .test_bad_input import Case, assert_alike, described, rsloop_factory
from .test_bad_input import transport_call as call

__all__ = ["rsloop_factory"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: What all transports have.
COMMON: dict[str, Case] = {
    "close(1)": call("close", 1),
    "is_closing(1)": call("is_closing", 1),
    "set_protocol()": call("set_protocol"),
    "get_protocol(1)": call("get_protocol", 1),
    "get_extra_info()": call("get_extra_info"),
    "get_extra_info([])": call("get_extra_info", []),
}
WRITING: dict[str, Case] = {
    "abort(1)": call("abort", 1),
    "get_write_buffer_size(1)": call("get_write_buffer_size", 1),
    "limits('x')": call("set_write_buffer_limits", "x"),
    "limits(1, 2)": call("set_write_buffer_limits", 1, 2),
    "limits(-1)": call("set_write_buffer_limits", -1),
    "limits(colour=1)": call("set_write_buffer_limits", colour=1),
}
DATAGRAM_CASES = (
    COMMON
    | WRITING
    | {
        "sendto()": call("sendto"),
        "sendto(None)": call("sendto", None),
        "sendto('x')": call("sendto", "x"),
        "sendto(1)": call("sendto", 1),
        "sendto([])": call("sendto", []),
        "sendto(b'', 1, 2)": call("sendto", b"", 1, 2),
    }
)
CONNECTED_CASES = DATAGRAM_CASES | {
    "sendto(b'x', elsewhere)": call("sendto", b"x", ("127.0.0.1", 9)),
    "sendto(b'x', 1)": call("sendto", b"x", 1),
}
WRITE_PIPE_CASES = (
    COMMON
    | WRITING
    | {
        "write()": call("write"),
        "write(None)": call("write", None),
        "write('x')": call("write", "x"),
        "write(1)": call("write", 1),
        "write(b'', 1)": call("write", b"", 1),
        "writelines of 1": call("writelines", 1),
        "writelines(['x'])": call("writelines", ["x"]),
        "write_eof(1)": call("write_eof", 1),
        "can_write_eof(1)": call("can_write_eof", 1),
    }
)
READ_PIPE_CASES = COMMON | {
    "pause_reading(1)": call("pause_reading", 1),
    "resume_reading(1)": call("resume_reading", 1),
    "is_reading(1)": call("is_reading", 1),
    "write(b'')": call("write", b""),
}
CHILD_CASES = COMMON | {
    "get_pid(1)": call("get_pid", 1),
    "get_returncode(1)": call("get_returncode", 1),
    "get_pipe_transport()": call("get_pipe_transport"),
    "get_pipe_transport('x')": call("get_pipe_transport", "x"),
    "get_pipe_transport([])": call("get_pipe_transport", []),
    "send_signal()": call("send_signal"),
    "send_signal('x')": call("send_signal", "x"),
    "send_signal(1000)": call("send_signal", 1000),
    "kill(1)": call("kill", 1),
    "terminate(1)": call("terminate", 1),
}
SERVER_CASES: dict[str, Case] = {
    "close(1)": call("close", 1),
    "is_serving(1)": call("is_serving", 1),
    "get_loop(1)": call("get_loop", 1),
    "start_serving(1)": call("start_serving", 1),
    "serve_forever(1)": call("serve_forever", 1),
    "wait_closed(1)": call("wait_closed", 1),
    "sockets = 1": lambda server: setattr(server, "sockets", 1),
}


@contextlib.asynccontextmanager
async def datagrams() -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    local = ("127.0.0.1", 0)
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local)
    yield transport
    transport.abort()


@contextlib.asynccontextmanager
async def connected_datagrams() -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=peer.getsockname()
        )
        yield transport
        transport.abort()


@contextlib.asynccontextmanager
async def write_pipe() -> AsyncIterator[Any]:
    read, write = os.pipe()
    with os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0) as pipe:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
        yield transport
        transport.abort()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def read_pipe() -> AsyncIterator[Any]:
    read, write = os.pipe()
    with os.fdopen(read, "rb", 0) as pipe, os.fdopen(write, "wb", 0):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, pipe)
        yield transport
        transport.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def child() -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "300")
    yield transport
    transport.close()
    waited: Any = transport
    await waited._wait()


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)
    yield server
    server.close()


GROUPS: dict[str, tuple[Callable[[], Any], dict[str, Case]]] = {
    "datagrams": (datagrams, DATAGRAM_CASES),
    "connected datagrams": (connected_datagrams, CONNECTED_CASES),
    "write pipe": (write_pipe, WRITE_PIPE_CASES),
    "read pipe": (read_pipe, READ_PIPE_CASES),
    "child": (child, CHILD_CASES),
    "server": (server, SERVER_CASES),
}


def outcomes(make_loop: Callable[[], Any], group: str) -> dict[str, str]:
    """Return what each case of a group comes to, each on an object of its own."""
    opener, cases = GROUPS[group]

    async def outcome(case: Case) -> str:
        async with opener() as opened:
            try:
                result = case(opened)
            except Exception as error:
                return described(error)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "accepted" if result is None else f"accepted: {result!r}"

    async def main() -> dict[str, str]:
        found = {}
        for name, case in cases.items():
            found[name] = await outcome(case)
            for _ in range(4):
                await asyncio.sleep(0)
        return found

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main())


@pytest.mark.parametrize("group", GROUPS)
def test_methods_refuse_alike(
    group: str, rsloop_factory: Callable[[], Any], asyncio_log: Log
) -> None:
    expected = outcomes(asyncio.SelectorEventLoop, group)
    found = outcomes(rsloop_factory, group)
    assert found.keys() == expected.keys()
    for name in found:
        assert_alike(name, expected[name], found[name])
