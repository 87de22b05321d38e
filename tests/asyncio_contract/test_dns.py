"""getaddrinfo and getnameinfo: what the socket module says, whoever asks it."""

import asyncio
import ipaddress
import itertools
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Log, LoopFactory, Run
from .outcomes import async_outcome, outcome

STREAM = socket.SOCK_STREAM
NUMERIC_NAMES = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def is_address(host: str) -> bool:
    """Tell whether this is an address in its usual form."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


HOSTS: list[Any] = [
    None,
    "127.0.0.1",
    b"127.0.0.1",
    bytearray(b"127.0.0.1"),
    "0.0.0.0",
    "255.255.255.255",
    "127.1",
    "0x7f.1",
    "2130706433",
    "127.0.0.01",
    "256.0.0.1",
    "1.2.3",
    "127.0.0.1 ",
    "127.0.0.1\0x",
    "127.0.0.1%1",
    "\uff11\uff12\uff17.0.0.1",
    "::",
    "::1",
    b"::1",
    "::ffff:1.2.3.4",
    "::1.2.3.4",
    "2001:DB8::0001",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "[::1]",
    "::1%1",
    "fe80::1%1",
    "fe80::1%lo",
    "fe80::1%lo\0",
    "fe80::1%no-such-interface",
    "fe80::1%nosuchinterface",
    "fe80::1%",
    "fe80::1%\xe9",
    "fe80::1%" + "x" * 70,
    "localhost",
    "",
    "x" * 70,
    1,
    object,
]

PORTS: list[Any] = [
    None,
    0,
    80,
    65535,
    65536,
    -1,
    10**30,
    True,
    80.0,
    "80",
    b"80",
    "080",
    "65536",
    "-1",
    "",
    " 80",
    "80\0",
    b"80\0",
    "\u0661",
    "http",
    b"domain",
    "no-such-service",
    object,
]

OPTIONS: list[dict[str, Any]] = [
    {},
    {"type": STREAM},
    {"type": socket.SOCK_DGRAM, "proto": socket.IPPROTO_UDP},
    {"family": socket.AF_INET, "type": STREAM},
    {"family": socket.AF_INET6, "type": STREAM},
    {"family": socket.AF_INET6, "type": STREAM, "flags": socket.AI_V4MAPPED},
    {"family": 99},
    {"type": STREAM, "proto": socket.IPPROTO_UDP},
    {"type": STREAM, "flags": socket.AI_PASSIVE},
    {"type": STREAM, "flags": socket.AI_CANONNAME},
    {"type": STREAM, "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV},
    {"type": STREAM, "flags": socket.AI_ADDRCONFIG},
    {"flags": 1 << 30},
]


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_hosts_mean_what_they_mean_to_the_socket_module(run: Run, host: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for options in OPTIONS:
            # Nobody outside of this machine is asked.
            harmless = not isinstance(host, str) or host == "localhost" or is_address(host)
            flags = options.get("flags", 0) | socket.AI_NUMERICHOST
            wanted = options if harmless else {**options, "flags": flags}
            expected = outcome(socket.getaddrinfo, host, 80, **wanted)
            assert await async_outcome(loop.getaddrinfo, host, 80, **wanted) == expected, options

    run(main())


def test_ports_mean_what_they_mean_to_the_socket_module(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        hosts: list[Any] = ["127.0.0.1", b"::1", None]
        for port, host, options in itertools.product(PORTS, hosts, OPTIONS):
            expected = outcome(socket.getaddrinfo, host, port, **options)
            found = await async_outcome(loop.getaddrinfo, host, port, **options)
            assert found == expected, (host, port, options)

    run(main())


def test_options_must_be_named(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
            (("127.0.0.1", 80, 0), {}),
            (("127.0.0.1",), {}),
            (("127.0.0.1", 80), {"flag": 0}),
            (("127.0.0.1", 80), {"flags": "0"}),
            (("127.0.0.1", 80), {"family": None}),
        ]
        for arguments, options in calls:
            with pytest.raises(TypeError):
                await loop.getaddrinfo(*arguments, **options)

    run(main())


NAMED: list[Any] = [
    ("127.0.0.1", 80),
    ("127.0.0.1", 65536),
    ("127.0.0.1", -1),
    ("127.0.0.1", "80"),
    ("::1", 80),
    ("::1", 80, 0, 0),
    ("::1", 80, 0xFFFFF, 0),
    ("::1", 80, 0x100000, 0),
    ("fe80::1", 80, 0, 1),
    ("fe80::1%1", 80),
    ("fe80::1", 80, 0, 99999),
    ("127.0.0.1", 80, 0),
    ("no-address", 80),
    ("127.0.0.1",),
    (),
    "127.0.0.1",
    ["127.0.0.1", 80],
    None,
]


def test_names_are_those_of_the_socket_module(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wanted: list[Any] = [
            NUMERIC_NAMES,
            NUMERIC_NAMES | socket.NI_DGRAM,
            NUMERIC_NAMES | socket.NI_NAMEREQD,
            socket.NI_NUMERICHOST,
            socket.NI_NUMERICHOST | socket.NI_DGRAM,
            "0",
        ]
        for address, flags in itertools.product(NAMED, wanted):
            expected = outcome(socket.getnameinfo, address, flags)
            found = await async_outcome(loop.getnameinfo, address, flags)
            assert found == expected, (address, flags)

    run(main())


def test_names_are_looked_up_without_stopping_the_loop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    threads = set()

    def waiting(*arguments: Any) -> tuple[Any, ...]:
        threads.add(threading.current_thread())
        assert answer.wait(10)
        return arguments

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        lookups = [
            asyncio.ensure_future(loop.getaddrinfo("name", 80, type=STREAM)),
            asyncio.ensure_future(loop.getaddrinfo("127.0.0.1", 80)),
            asyncio.ensure_future(loop.getnameinfo(("127.0.0.1", 80))),
            asyncio.ensure_future(loop.getnameinfo(("127.0.0.1", 80), NUMERIC_NAMES)),
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        assert not any(lookup.done() for lookup in lookups)
        answer.set()
        assert await asyncio.gather(*lookups) == [
            ("name", 80, 0, STREAM, 0, 0),
            ("127.0.0.1", 80, 0, 0, 0, 0),
            (("127.0.0.1", 80), 0),
            (("127.0.0.1", 80), NUMERIC_NAMES),
        ]
        assert threading.current_thread() not in threads

    # Whoever replaces these functions finds them used, and may have them wait.
    monkeypatch.setattr(socket, "getaddrinfo", waiting)
    monkeypatch.setattr(socket, "getnameinfo", waiting)
    run(main())


def test_debug_mode_tells_how_long_it_took(run: Run, asyncio_log: Log) -> None:
    import logging

    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.DEBUG)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo("127.0.0.1", 80, type=STREAM)

    try:
        run(main(), debug=True)
    finally:
        logger.setLevel(level)
    messages = [message for message in asyncio_log.messages if "127.0.0.1" in message]
    assert messages[0].startswith("Get address info 127.0.0.1:80, type=")
    assert messages[1].startswith("Getting address info 127.0.0.1:80, type=")


LOOKUPS: dict[str, Callable[[Any], Any]] = {
    "name": lambda loop: loop.getaddrinfo("name", 80),
    "literal": lambda loop: loop.getaddrinfo("127.0.0.1", 80),
    "numbers": lambda loop: loop.getnameinfo(("127.0.0.1", 80), NUMERIC_NAMES),
}


@pytest.mark.parametrize("kind", LOOKUPS)
def test_closed_loop_looks_nothing_up(loop_factory: LoopFactory, kind: str) -> None:
    loop = loop_factory()
    lookup = LOOKUPS[kind](loop)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        lookup.send(None)


@pytest.mark.parametrize("kind", LOOKUPS)
def test_nothing_is_looked_up_after_the_executor(run: Run, kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            await LOOKUPS[kind](loop)

    run(main())
