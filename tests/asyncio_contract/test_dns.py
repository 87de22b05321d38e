"""getaddrinfo and getnameinfo."""

import asyncio
import socket
from typing import Any

import pytest

from .conftest import Run

CASES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("127.0.0.1", 80), {}),
    (("127.0.0.1", "80"), {"type": socket.SOCK_STREAM}),
    (("::1", 80), {"flags": socket.AI_NUMERICHOST}),
    (("localhost", 80), {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
    ((None, 80), {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
    ((b"127.0.0.1", b"80"), {"type": socket.SOCK_DGRAM}),
]


@pytest.mark.parametrize(("arguments", "options"), CASES)
def test_getaddrinfo_agrees_with_the_socket_module(
    run: Run, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.getaddrinfo(*arguments, **options) == socket.getaddrinfo(
            *arguments, **options
        )

    run(main())


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("not-a-number", 80), socket.gaierror),
        (("a\0b", 80), socket.gaierror),
        ((object(), 80), TypeError),
        (("127.0.0.1", "no-such-service"), socket.gaierror),
    ],
)
def test_getaddrinfo_refuses_as_the_socket_module(
    run: Run, arguments: tuple[Any, ...], kind: type[Exception]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(kind):
            await loop.getaddrinfo(*arguments, flags=socket.AI_NUMERICHOST)

    run(main())


def test_getnameinfo(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert await loop.getnameinfo(("127.0.0.1", 80), flags) == ("127.0.0.1", "80")
        with pytest.raises(socket.gaierror):
            await loop.getnameinfo(("no-address", 80), flags | socket.NI_NAMEREQD)

    run(main())
