"""Datagram endpoints: IPv6, names, and Unix addresses."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
from .datagrams import Datagrams, address_of, close, endpoint

try:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
    HAS_IPV6 = True
except OSError:
    HAS_IPV6 = False

needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 on the loopback")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")


def test_connected_endpoint(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        address = address_of(server)
        client = await endpoint(remote_addr=address)
        assert client[0].get_extra_info("peername") == address
        client[0].sendto(b"without address")
        client[0].sendto(b"with the same", address)
        client[0].sendto(b"with an equal one", (*address,))
        await server[1].until(lambda: len(server[1].received) == 3)
        server[0].sendto(b"answer", server[1].received[0][1])
        await client[1].until(lambda: bool(client[1].received))
        assert client[1].received == [(b"answer", address)]
        for wrong in [("127.0.0.1", 1), "text", 0, list(address)]:
            with pytest.raises(ValueError, match="Invalid address") as caught:
                client[0].sendto(b"x", wrong)
            assert str(caught.value) == f"Invalid address: must be None or {address}"
        await close(server, client)

    run(main())


def test_extra_info(run: Run) -> None:
    async def main() -> None:
        server = await endpoint()
        client = await endpoint(remote_addr=address_of(server))
        assert server[0].get_extra_info("peername") is None
        assert client[0].get_extra_info("peername") == address_of(server)
        sock = client[0].get_extra_info("socket")
        assert type(sock).__name__ == "TransportSocket"
        assert sock.getsockname() == address_of(client)
        assert client[0].get_extra_info("no such thing", "default") == "default"
        await close(server, client)
        assert client[0].get_extra_info("peername") == address_of(server)

    run(main())


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("localhost", "127.0.0.1"),
        (b"127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("", "0.0.0.0"),
        ("0.0.0.0", "0.0.0.0"),
    ],
)
def test_hosts_mean_what_they_mean_to_a_socket(run: Run, host: Any, reached: str) -> None:
    async def main() -> None:
        # A socket that is connected to the sender's idea of the host would not do: the address
        # that counts is the one at which the datagram arrives.
        local = "0.0.0.0" if reached == "0.0.0.0" else reached
        server = await endpoint(local_addr=(local, 0))
        client = await endpoint()
        port = address_of(server)[1]
        client[0].sendto(b"data", (host, port))
        await server[1].until(lambda: bool(server[1].received))
        assert client[1].errors == []
        await close(server, client)

    run(main())


@needs_ipv6
def test_ipv6(run: Run) -> None:
    async def main() -> None:
        server = await endpoint(local_addr=("::1", 0))
        address = address_of(server)
        assert len(address) == 4
        client = await endpoint(local_addr=("::1", 0))
        port = address[1]
        forms: list[Any] = [
            address,
            ("::1", port),
            ("::1", port, 0),
            ("::1", port, 0, 0),
            ("0:0:0:0:0:0:0:1", port),
            ("::0.0.0.1", port),
        ]
        for form in forms:
            client[0].sendto(b"data", form)
        await server[1].until(lambda: len(server[1].received) == len(forms))
        assert server[1].received == [(b"data", address_of(client))] * len(forms)
        server[0].sendto(b"back", server[1].received[0][1])
        await client[1].until(lambda: bool(client[1].received))
        assert client[1].received == [(b"back", address)]
        await close(server, client)

    run(main())


@needs_ipv6
def test_mapped_addresses(run: Run) -> None:
    async def main() -> None:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        server = await endpoint(sock=sock)
        client = await endpoint()
        client[0].sendto(b"data", ("127.0.0.1", address_of(server)[1]))
        await server[1].until(lambda: bool(server[1].received))
        sender = ("::ffff:127.0.0.1", address_of(client)[1], 0, 0)
        assert server[1].received == [(b"data", sender)]
        server[0].sendto(b"back", sender)
        await client[1].until(lambda: bool(client[1].received))
        await close(server, client)

    run(main())


def link_local() -> tuple[str, int] | None:
    """Return a link-local address of this machine and the index of its interface."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        digits, index, _, scope, *_ = line.split()
        if scope == "20":
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), int(index, 16)
    return None


@pytest.mark.skipif(link_local() is None, reason="no link-local address")
def test_scopes(run: Run) -> None:
    async def main() -> None:
        found = link_local()
        assert found is not None
        host, scope = found
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind((host, 0, 0, scope))
        server = await endpoint(sock=sock)
        address = address_of(server)
        assert address[3] == scope
        client = await endpoint(local_addr=("::", 0))
        name = socket.if_indextoname(scope)
        forms = [address, (f"{host}%{name}", address[1]), (f"{host}%{scope}", address[1])]
        for form in forms:
            client[0].sendto(b"data", form)
        await server[1].until(lambda: len(server[1].received) == len(forms))
        sender = (host, address_of(client)[1], 0, scope)
        assert server[1].received == [(b"data", sender)] * len(forms)
        await close(server, client)

    run(main())


@needs_ipv6
def test_flow_labels_are_checked(run: Run) -> None:
    async def main() -> None:
        server = await endpoint(local_addr=("::1", 0))
        client = await endpoint(local_addr=("::1", 0))
        client[0].sendto(b"data", ("::1", address_of(server)[1], 0xFFFFF, 0))
        # A label that nobody leased may be refused, but not as malformed.
        assert all(isinstance(error, OSError) for error in client[1].errors)
        await close(server, client)

    run(main())


def test_unix_datagrams(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        paths = str(tmp_path / "one"), str(tmp_path / "two")
        one, two = [await endpoint(local_addr=path, family=socket.AF_UNIX) for path in paths]
        assert address_of(one) == paths[0]
        one[0].sendto(b"data", paths[1])
        one[0].sendto(b"bytes", os.fsencode(paths[1]))
        await two[1].until(lambda: len(two[1].received) == 2)
        assert two[1].received == [(b"data", paths[0]), (b"bytes", paths[0])]
        one[0].sendto(b"data", str(tmp_path / "missing"))
        assert [type(error) for error in one[1].errors] == [FileNotFoundError]
        await close(one, two)
        # As with any socket, the path stays: the next endpoint there removes it.
        again = await endpoint(local_addr=paths[0], family=socket.AF_UNIX)
        await close(again)

    run(main())


def test_connected_unix_datagrams(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        paths = str(tmp_path / "one"), str(tmp_path / "two")
        one = await endpoint(local_addr=paths[0], family=socket.AF_UNIX)
        two = await endpoint(local_addr=paths[1], remote_addr=paths[0], family=socket.AF_UNIX)
        nameless = await endpoint(remote_addr=paths[0], family=socket.AF_UNIX)
        two[0].sendto(b"named")
        two[0].sendto(b"again", paths[0])
        nameless[0].sendto(b"nameless")
        await one[1].until(lambda: len(one[1].received) == 3)
        assert one[1].received == [(b"named", paths[1]), (b"again", paths[1]), (b"nameless", None)]
        with pytest.raises(ValueError, match="Invalid address"):
            two[0].sendto(b"data", paths[1])
        await close(one, two, nameless)

    run(main())


@linux_only
def test_abstract_unix_datagrams(run: Run) -> None:
    async def main() -> None:
        names = [f"\0rsloop-{os.getpid()}-{number}" for number in range(2)]
        one, two = [await endpoint(local_addr=name, family=socket.AF_UNIX) for name in names]
        assert address_of(one) == names[0].encode()
        one[0].sendto(b"data", names[1])
        await two[1].until(lambda: bool(two[1].received))
        assert two[1].received == [(b"data", names[0].encode())]
        two[0].sendto(b"back", two[1].received[0][1])
        await one[1].until(lambda: bool(one[1].received))
        await close(one, two)

    run(main())


def test_impossible_unix_addresses_are_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="string is expected"):
            await loop.create_datagram_endpoint(
                Datagrams, local_addr=("127.0.0.1", 0), family=socket.AF_UNIX
            )
        with pytest.raises(OSError, match="path too long"):
            await loop.create_datagram_endpoint(
                Datagrams, local_addr=str(tmp_path / ("x" * 200)), family=socket.AF_UNIX
            )
        with pytest.raises(TypeError, match="2-tuple is expected"):
            await loop.create_datagram_endpoint(Datagrams, local_addr="127.0.0.1")

    run(main())


def test_every_address_is_tried(run: Run) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()

        async def getaddrinfo(host: Any, port: Any, **_options: Any) -> list[Any]:
            kind = (socket.AF_INET, socket.SOCK_DGRAM)
            return [(*kind, 0, "", ("192.0.2.254", port)), (*kind, 17, "", ("127.0.0.1", port))]

        loop.getaddrinfo = getaddrinfo
        one = await endpoint(local_addr=("name", 0))
        assert address_of(one)[0] == "127.0.0.1"
        await close(one)

    run(main())
