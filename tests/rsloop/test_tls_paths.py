"""Which way the data of a TLS connection takes."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

import pytest

import rsloop
import rsloop_core._core

trustme = pytest.importorskip("trustme")

HOST = "server.example"


def direct_is_possible() -> bool:
    """Tell whether this build of CPython lets rsloop reach its OpenSSL."""
    import _ssl

    return (
        not sysconfig.get_config_var("Py_GIL_DISABLED")
        and bool(getattr(_ssl, "__file__", None))
        and sys.implementation.name == "cpython"
        and "linux" in sys.platform
    )


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def switched_off() -> Iterator[None]:
    """Keep the connections of this test off the direct path."""
    before = rsloop_core._core.use_direct_tls(False)
    yield
    rsloop_core._core.use_direct_tls(before)


async def paths(server: ssl.SSLContext, client: ssl.SSLContext) -> list[bool]:
    """Exchange data over a connection; return for both sides whether it took the direct path."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    readers = [asyncio.StreamReader(), asyncio.StreamReader()]
    protocols = [asyncio.StreamReaderProtocol(reader) for reader in readers]
    made = await asyncio.gather(
        loop.create_connection(lambda: protocols[0], sock=left, ssl=client, server_hostname=HOST),
        loop.connect_accepted_socket(lambda: protocols[1], sock=right, ssl=server),
    )
    for (transport, _), reader in zip(made, reversed(readers), strict=True):
        transport.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
    transports: list[Any] = [transport for transport, _ in made]
    found = [transport._tls.direct for transport in transports]
    for transport, _ in made:
        transport.abort()
    await asyncio.sleep(0.01)
    return found


def test_direct_where_it_can_be(contexts: Any) -> None:
    assert rsloop.run(paths(*contexts)) == [direct_is_possible()] * 2


def test_switched_off(contexts: Any, switched_off: None) -> None:
    assert rsloop.run(paths(*contexts)) == [False, False]


def test_contexts_that_call_back_take_the_methods(contexts: Any) -> None:
    server, client = contexts
    client._msg_callback = lambda *_: None
    try:
        assert rsloop.run(paths(server, client)) == [False, direct_is_possible()]
    finally:
        client._msg_callback = None


def test_subclasses_take_the_methods(contexts: Any) -> None:
    class Reading(ssl.SSLObject):
        def read(self, *args: Any) -> Any:
            return super().read(*args)

    server, client = contexts
    client.sslobject_class = Reading
    try:
        assert rsloop.run(paths(server, client)) == [False, direct_is_possible()]
    finally:
        client.sslobject_class = ssl.SSLObject


def test_environment_variable() -> None:
    script = """
import rsloop, test_tls_paths as here
authority = here.trustme.CA()
server = here.ssl.create_default_context(here.ssl.Purpose.CLIENT_AUTH)
authority.issue_cert(here.HOST).configure_cert(server)
client = here.ssl.create_default_context()
authority.configure_trust(client)
print(rsloop.run(here.paths(server, client)))
"""
    environment = {
        **os.environ,
        "RSLOOP_TLS": "memory-bio",
        "PYTHONPATH": os.path.dirname(__file__),
    }
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[False, False]\n", done.stderr
