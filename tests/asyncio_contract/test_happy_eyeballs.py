"""create_connection with happy_eyeballs_delay: several addresses tried in parallel."""

import asyncio
import socket
import sys
from collections.abc import Collection
from typing import Any

import pytest

from .conftest import Run
from .connections import listening_socket
from .recorders import Recorder

#: Longer than any attempt on the loopback, and shorter than patience.
DELAY = 0.05


class Attempts:
    """Stands in for a loop's resolver, and decides what becomes of each connect."""

    def __init__(
        self,
        addresses: list[str],
        port: int,
        *,
        silent: Collection[str] = (),
        refused: Collection[str] = (),
    ) -> None:
        self.order: list[str] = []
        self.times: list[float] = []
        self.cancelled: list[str] = []
        self.sockets: list[socket.socket] = []
        self._infos = [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (host, port),
            )
            for host in addresses
        ]
        self._silent = silent
        self._refused = refused
        loop: Any = asyncio.get_running_loop()
        self.all_begun = loop.create_future()
        self._loop = loop
        self._connect = loop.sock_connect
        loop.getaddrinfo = self._getaddrinfo
        loop.sock_connect = self._sock_connect

    async def _getaddrinfo(self, *_arguments: Any, **_options: Any) -> list[Any]:
        return self._infos

    async def _sock_connect(self, sock: socket.socket, address: Any) -> None:
        self.order.append(address[0])
        self.times.append(self._loop.time())
        self.sockets.append(sock)
        if len(self.order) == len(self._infos) and not self.all_begun.done():
            self.all_begun.set_result(None)
        if address[0] in self._silent:
            try:
                await self._loop.create_future()
            except asyncio.CancelledError:
                self.cancelled.append(address[0])
                raise
        if address[0] in self._refused:
            raise ConnectionRefusedError(address)
        await self._connect(sock, address)


async def connect(port: int, **options: Any) -> tuple[str, Recorder]:
    """Connect to the name that Attempts resolves; return the peer's host and the protocol."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, "name", port, **options)
    host: str = transport.get_extra_info("peername")[0]
    transport.close()
    await protocol.lost
    return host, protocol


def test_next_address_is_tried_after_the_delay(run: Run) -> None:
    async def main() -> None:
        with listening_socket() as listener:
            port = listener.getsockname()[1]
            attempts = Attempts(["127.0.0.3", "127.0.0.1"], port, silent={"127.0.0.3"})
            host, _ = await connect(port, happy_eyeballs_delay=DELAY)
            assert host == "127.0.0.1"
            assert attempts.order == ["127.0.0.3", "127.0.0.1"]
            assert attempts.times[1] - attempts.times[0] >= DELAY * 0.9
            # The loser is called off, and its socket closed.
            assert attempts.cancelled == ["127.0.0.3"]
            assert [sock.fileno() for sock in attempts.sockets] == [-1, -1]

    run(main())


def test_next_address_is_tried_at_once_after_a_failure(run: Run) -> None:
    async def main() -> None:
        with listening_socket() as listener:
            port = listener.getsockname()[1]
            attempts = Attempts(["127.0.0.3", "127.0.0.1"], port, refused={"127.0.0.3"})
            host, _ = await connect(port, happy_eyeballs_delay=1000)
            assert host == "127.0.0.1"
            assert attempts.order == ["127.0.0.3", "127.0.0.1"]

    run(main())


def test_without_a_delay_addresses_are_tried_one_by_one(run: Run) -> None:
    async def main() -> None:
        with listening_socket() as listener:
            port = listener.getsockname()[1]
            attempts = Attempts(["127.0.0.1", "127.0.0.3"], port, silent={"127.0.0.3"})
            host, _ = await connect(port)
            assert host == "127.0.0.1"
            assert attempts.order == ["127.0.0.1"]

    run(main())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["::1", "::2", "::3", "127.0.0.2", "127.0.0.3"]),
        ({"interleave": 1}, ["::1", "127.0.0.2", "::2", "127.0.0.3", "::3"]),
        ({"interleave": 2}, ["::1", "::2", "127.0.0.2", "::3", "127.0.0.3"]),
        ({"happy_eyeballs_delay": 1000}, ["::1", "127.0.0.2", "::2", "127.0.0.3", "::3"]),
        (
            {"happy_eyeballs_delay": 1000, "interleave": 0},
            ["::1", "::2", "::3", "127.0.0.2", "127.0.0.3"],
        ),
    ],
)
def test_families_take_turns(run: Run, options: dict[str, Any], expected: list[str]) -> None:
    async def main() -> None:
        addresses = ["::1", "::2", "::3", "127.0.0.2", "127.0.0.3"]
        attempts = Attempts(addresses, 1, refused=addresses)
        with pytest.raises(OSError, match=r"."):
            await connect(1, **options)
        assert attempts.order == expected

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors is new in CPython 3.12")
def test_all_errors_are_told(run: Run) -> None:
    async def main() -> None:
        Attempts(["127.0.0.2", "127.0.0.3"], 1, refused={"127.0.0.2", "127.0.0.3"})
        with pytest.raises(ExceptionGroup) as caught:
            await connect(1, happy_eyeballs_delay=DELAY, all_errors=True)
        kinds = [type(error) for error in caught.value.exceptions]
        assert kinds == [ConnectionRefusedError] * 2

    run(main())


def test_cancelling_calls_off_every_attempt(run: Run) -> None:
    async def main() -> None:
        hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
        attempts = Attempts(hosts, 1, silent=hosts)
        connecting = asyncio.ensure_future(connect(1, happy_eyeballs_delay=0.001))
        await attempts.all_begun
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert sorted(attempts.cancelled) == hosts
        assert [sock.fileno() for sock in attempts.sockets] == [-1] * 3

    run(main())
