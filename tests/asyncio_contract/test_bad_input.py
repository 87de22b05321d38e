"""Bad arguments to every public method: the same exception and message as from the stdlib loop."""

import asyncio
import functools
import inspect
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log
from .connections import listening_socket

Case = Callable[[Any], Any]


async def noop() -> None:
    """Do nothing."""


def with_socket(method: str, *arguments: Any) -> Case:
    """Return a case that calls a method with a fresh socket and more arguments."""

    async def case(loop: Any) -> None:
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            await getattr(loop, method)(left, *arguments)

    return case


def call(method: str, *arguments: Any, **keywords: Any) -> Case:
    """Return a case that calls a method."""
    return lambda loop: getattr(loop, method)(*arguments, **keywords)


LOOP_CASES: dict[str, Case] = {
    "call_soon()": call("call_soon"),
    "call_soon_threadsafe()": call("call_soon_threadsafe"),
    "call_later()": call("call_later"),
    "call_later(1)": call("call_later", 1),
    "call_later(None, f)": call("call_later", None, print),
    "call_later('1', f)": call("call_later", "1", print),
    "call_later([], f)": call("call_later", [], print),
    "call_at()": call("call_at"),
    "call_at(1)": call("call_at", 1),
    "call_at(None, f)": call("call_at", None, print),
    "time(1)": call("time", 1),
    "stop(1)": call("stop", 1),
    "close(1)": call("close", 1),
    "is_running(1)": call("is_running", 1),
    "is_closed(1)": call("is_closed", 1),
    "get_debug(1)": call("get_debug", 1),
    "set_debug()": call("set_debug"),
    "create_future(1)": call("create_future", 1),
    "run_forever(1)": call("run_forever", 1),
    "run_until_complete()": call("run_until_complete"),
    "run_until_complete(None)": call("run_until_complete", None),
    "run_until_complete('x')": call("run_until_complete", "x"),
    "run_until_complete(function)": call("run_until_complete", noop),
    "create_task()": call("create_task"),
    "create_task(None)": call("create_task", None),
    "create_task(function)": call("create_task", noop),
    "create_task(1, name='x')": call("create_task", 1, name="x"),
    "set_task_factory()": call("set_task_factory"),
    "set_task_factory(1)": call("set_task_factory", 1),
    "set_exception_handler(1)": call("set_exception_handler", 1),
    "call_exception_handler()": call("call_exception_handler"),
    "set_default_executor(1)": call("set_default_executor", 1),
    "run_in_executor(None)": call("run_in_executor", None),
    "run_in_executor(1, f)": call("run_in_executor", 1, print),
    "add_reader()": call("add_reader"),
    "add_reader(0)": call("add_reader", 0),
    "add_reader(None, f)": call("add_reader", None, print),
    "add_reader('x', f)": call("add_reader", "x", print),
    "add_reader(1.5, f)": call("add_reader", 1.5, print),
    "add_reader(-1, f)": call("add_reader", -1, print),
    "add_reader(True, f)": call("add_reader", True, print),
    "add_reader(1 << 40, f)": call("add_reader", 1 << 40, print),
    "add_reader(10**6, f)": call("add_reader", 10**6, print),
    "add_reader(10**30, f)": call("add_reader", 10**30, print),
    "add_writer(None, f)": call("add_writer", None, print),
    "add_writer(-1, f)": call("add_writer", -1, print),
    "remove_reader()": call("remove_reader"),
    "remove_reader(None)": call("remove_reader", None),
    "remove_reader(-1)": call("remove_reader", -1),
    "remove_writer('x')": call("remove_writer", "x"),
    "add_signal_handler('x', f)": call("add_signal_handler", "x", print),
    "add_signal_handler(0, f)": call("add_signal_handler", 0, print),
    "add_signal_handler(9, f)": call("add_signal_handler", 9, print),
    "add_signal_handler(1000, f)": call("add_signal_handler", 1000, print),
    "remove_signal_handler(None)": call("remove_signal_handler", None),
    "remove_signal_handler(1000)": call("remove_signal_handler", 1000),
    "create_connection()": call("create_connection"),
    "create_connection(f)": call("create_connection", asyncio.Protocol),
    "create_connection(f, sock='x')": call("create_connection", asyncio.Protocol, sock="x"),
    "create_connection(f, host, None)": call("create_connection", asyncio.Protocol, "127.0.0.1"),
    "create_connection(f, 1, 1)": call("create_connection", asyncio.Protocol, 1, 1),
    "create_connection(f, host, -1)": call("create_connection", asyncio.Protocol, "127.0.0.1", -1),
    "create_connection(f, host, 70000)": call(
        "create_connection", asyncio.Protocol, "127.0.0.1", 70000
    ),
    "create_connection(ssl='x')": call(
        "create_connection", asyncio.Protocol, "127.0.0.1", 1, ssl="x"
    ),
    "create_connection(local_addr=1)": call(
        "create_connection", asyncio.Protocol, "127.0.0.1", 1, local_addr=1
    ),
    "create_server()": call("create_server"),
    "create_server(f)": call("create_server", asyncio.Protocol),
    "create_server(f, 1, 0)": call("create_server", asyncio.Protocol, 1, 0),
    "create_server(f, host, 'x')": call("create_server", asyncio.Protocol, "127.0.0.1", "x"),
    "create_server(f, host, -1)": call("create_server", asyncio.Protocol, "127.0.0.1", -1),
    "create_server(f, host, 70000)": call("create_server", asyncio.Protocol, "127.0.0.1", 70000),
    "create_server(ssl=True)": call("create_server", asyncio.Protocol, "127.0.0.1", 0, ssl=True),
    "create_server(sock='x')": call("create_server", asyncio.Protocol, sock="x"),
    "create_server(host=[])": call("create_server", asyncio.Protocol, [], 0),
    "create_unix_connection(f)": call("create_unix_connection", asyncio.Protocol),
    "create_unix_connection(f, 1)": call("create_unix_connection", asyncio.Protocol, 1),
    "create_unix_server(f)": call("create_unix_server", asyncio.Protocol),
    "create_unix_server(f, 'a' * 500)": call(
        "create_unix_server", asyncio.Protocol, "/" + "a" * 500
    ),
    "create_datagram_endpoint(f)": call("create_datagram_endpoint", asyncio.DatagramProtocol),
    "create_datagram_endpoint(f, 1)": call("create_datagram_endpoint", asyncio.DatagramProtocol, 1),
    "connect_accepted_socket(f, 'x')": call("connect_accepted_socket", asyncio.Protocol, "x"),
    "connect_read_pipe(f, None)": call("connect_read_pipe", asyncio.Protocol, None),
    "connect_write_pipe(f, None)": call("connect_write_pipe", asyncio.BaseProtocol, None),
    "start_tls(None)": call("start_tls", None, None, None),
    "sendfile(None, None)": call("sendfile", None, None),
    "subprocess_exec(f, 1)": call("subprocess_exec", asyncio.SubprocessProtocol, 1),
    "subprocess_shell(f, 1)": call("subprocess_shell", asyncio.SubprocessProtocol, 1),
    "getaddrinfo(1.5)": call("getaddrinfo", 1.5, 1),
    "getaddrinfo(flags=None)": call("getaddrinfo", "127.0.0.1", 1, flags=None),
    "getaddrinfo(family='x')": call("getaddrinfo", "127.0.0.1", 1, family="x"),
    "getaddrinfo(colour=1)": call("getaddrinfo", "127.0.0.1", 1, colour=1),
    "getnameinfo(flags='x')": call("getnameinfo", ("127.0.0.1", 1), "x"),
    "getnameinfo('x')": call("getnameinfo", "x"),
    "sock_recv(None)": call("sock_recv", None, 1),
    "sock_recv('x')": with_socket("sock_recv", "x"),
    "sock_recv(-1)": with_socket("sock_recv", -1),
    "sock_recv_into(bytes)": with_socket("sock_recv_into", b"read-only"),
    "sock_recv_into(None)": with_socket("sock_recv_into", None),
    "sock_recvfrom('x')": with_socket("sock_recvfrom", "x"),
    "sock_recvfrom_into(None)": with_socket("sock_recvfrom_into", None),
    "sock_sendall('x')": with_socket("sock_sendall", "x"),
    "sock_sendall(None)": with_socket("sock_sendall", None),
    "sock_sendto(None, None)": with_socket("sock_sendto", None, None),
    "sock_connect(None)": with_socket("sock_connect", None),
    "sock_accept(None)": call("sock_accept", None),
    "sock_accept(not listening)": with_socket("sock_accept"),
    "sock_sendfile(None)": with_socket("sock_sendfile", None),
    "shutdown_asyncgens(1)": call("shutdown_asyncgens", 1),
    "shutdown_default_executor('x')": call("shutdown_default_executor", "x", "y"),
}


def transport_call(method: str, *arguments: Any, **keywords: Any) -> Case:
    """Return a case that calls a method of a transport."""
    return lambda transport: getattr(transport, method)(*arguments, **keywords)


TRANSPORT_CASES: dict[str, Case] = {
    "write()": transport_call("write"),
    "write(None)": transport_call("write", None),
    "write('x')": transport_call("write", "x"),
    "write(1)": transport_call("write", 1),
    "write([])": transport_call("write", []),
    "write(b'', 1)": transport_call("write", b"", 1),
    "writelines()": transport_call("writelines"),
    "writelines(1)": transport_call("writelines", 1),
    "writelines('x')": transport_call("writelines", "x"),
    "writelines([1])": transport_call("writelines", [1]),
    "write_eof(1)": transport_call("write_eof", 1),
    "can_write_eof(1)": transport_call("can_write_eof", 1),
    "close(1)": transport_call("close", 1),
    "abort(1)": transport_call("abort", 1),
    "is_closing(1)": transport_call("is_closing", 1),
    "is_reading(1)": transport_call("is_reading", 1),
    "pause_reading(1)": transport_call("pause_reading", 1),
    "resume_reading(1)": transport_call("resume_reading", 1),
    "set_protocol()": transport_call("set_protocol"),
    "get_protocol(1)": transport_call("get_protocol", 1),
    "get_extra_info()": transport_call("get_extra_info"),
    "get_extra_info([])": transport_call("get_extra_info", []),
    "get_write_buffer_size(1)": transport_call("get_write_buffer_size", 1),
    "get_write_buffer_limits(1)": transport_call("get_write_buffer_limits", 1),
    "limits('x')": transport_call("set_write_buffer_limits", "x"),
    "limits(1, 2)": transport_call("set_write_buffer_limits", 1, 2),
    "limits(-1)": transport_call("set_write_buffer_limits", -1),
    "limits(1.5)": transport_call("set_write_buffer_limits", 1.5),
    "limits(colour=1)": transport_call("set_write_buffer_limits", colour=1),
}


#: Where our words are others, and say the same.
OWN_WORDS = {
    "add_reader(10**30, f)": "Python int too large to convert to C long",
    "writelines(1)": "'int' object is not iterable",
    "writelines('x')": "a bytes-like object is required, not 'str'",
    "writelines([1])": "a bytes-like object is required, not 'int'",
}


def described(error: BaseException) -> str:
    """Write an exception down, without the class whose method complains and without addresses."""
    words = re.sub(r"\b(\w+\.)+(\w+\(\))", r"\2", str(error))
    words = re.sub(r"0x[0-9a-f]+|\bfd=\d+|:\d{4,5}\b|, \d{4,5}\b", "", words)
    # Later CPythons say it so.
    words = words.replace("a bytes, bytearray, or memoryview object", "a bytes-like object")
    return f"{type(error).__name__}: {words}"


def assert_alike(name: str, expected: str, found: str) -> None:
    """Assert that what a case came to on rsloop is as good as what it came to on asyncio."""
    if "positional argument" in expected or "keyword argument" in expected:
        # The words for a wrong number of arguments differ between C and Python, within CPython too.
        method = re.search(r"\w+\(\)", expected)
        assert method, expected
        assert found.startswith("TypeError: ")
        assert method[0] in found
    elif name in OWN_WORDS:
        assert found == f"{expected.split(':')[0]}: {OWN_WORDS[name]}"
    else:
        assert found == expected


def outcome_on_loop(make_loop: Callable[[], Any], case: Case) -> str:
    """Return what a case comes to on a fresh loop: an exception, or "accepted"."""
    loop = make_loop()

    async def awaited(result: Any) -> None:
        await asyncio.wait_for(result, 5)

    try:
        result = case(loop)
        if inspect.isawaitable(result):
            loop.run_until_complete(awaited(result))
    except Exception as error:
        return described(error)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    return "accepted"


def outcome_on_transport(make_loop: Callable[[], Any], case: Case) -> str:
    """Return what a case comes to on the transport of a fresh connection."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
            try:
                case(transport)
            except Exception as error:
                return described(error)
            finally:
                transport.abort()
                for _ in range(3):
                    await asyncio.sleep(0)
        return "accepted"

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main())


@pytest.fixture
def rsloop_factory() -> Callable[[], Any]:
    """Return the factory of rsloop's loops."""
    import rsloop_core

    return functools.partial(rsloop_core.Loop)


@pytest.mark.parametrize("name", LOOP_CASES)
def test_loop_methods_refuse_alike(
    name: str, rsloop_factory: Callable[[], Any], asyncio_log: Log
) -> None:
    case = LOOP_CASES[name]
    expected = outcome_on_loop(asyncio.SelectorEventLoop, case)
    assert_alike(name, expected, outcome_on_loop(rsloop_factory, case))


@pytest.mark.parametrize("name", TRANSPORT_CASES)
def test_transport_methods_refuse_alike(name: str, rsloop_factory: Callable[[], Any]) -> None:
    case = TRANSPORT_CASES[name]
    expected = outcome_on_transport(asyncio.SelectorEventLoop, case)
    assert_alike(name, expected, outcome_on_transport(rsloop_factory, case))


def test_the_table_names_every_public_method() -> None:
    public = {name for name in dir(asyncio.SelectorEventLoop) if not name.startswith("_")}
    # Attributes, methods without arguments to get wrong, and those of setters covered above.
    exempt = {"slow_callback_duration", "default_exception_handler"}
    getters = {name for name in public if name.startswith("get_")} - {"getaddrinfo", "getnameinfo"}
    named = {name.split("(")[0] for name in LOOP_CASES}
    assert public - exempt - getters - named == set()
