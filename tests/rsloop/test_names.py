"""Addresses that are spelt out are translated without a thread."""

import asyncio
import concurrent.futures
import socket
from typing import Any

import pytest

import rsloop


class Counting(concurrent.futures.ThreadPoolExecutor):
    """Counts what it is given to do."""

    submitted = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        self.submitted += 1
        return super().submit(*arguments, **options)


def submitted_by(method: str, *arguments: Any, **options: Any) -> int:
    """Call a method of a new loop; return how many calls its executor got."""
    executor = Counting()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        await getattr(loop, method)(*arguments, **options)

    rsloop.run(main())
    return executor.submitted


@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1", "::1", "fe80::1%1", None])
@pytest.mark.parametrize("port", [80, "80", b"80", None])
def test_a_literal_address_needs_no_thread(host: Any, port: Any) -> None:
    if host is None and port is None:
        return
    assert submitted_by("getaddrinfo", host, port, type=socket.SOCK_STREAM) == 0


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("localhost", 80, {}),
        ("127.0.0.1", "http", {}),
        ("127.0.0.1", 80, {"flags": socket.AI_CANONNAME}),
        ("127.1", 80, {}),
    ],
)
def test_a_name_needs_one(host: Any, port: Any, options: Any) -> None:
    assert submitted_by("getaddrinfo", host, port, **options) == 1


def test_a_numeric_name_needs_no_thread() -> None:
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert submitted_by("getnameinfo", ("127.0.0.1", 80), numeric) == 0
    assert submitted_by("getnameinfo", ("127.0.0.1", 80), socket.NI_NUMERICHOST) == 1
