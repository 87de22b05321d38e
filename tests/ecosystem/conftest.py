"""Say which versions ran, and check that what they leave behind is nothing."""

import contextlib
import gc
import importlib.metadata
import os
import ssl
import threading
from collections.abc import Iterator

import pytest

PROGRAMS = (
    *("aiohttp", "anyio", "asyncpg", "fastapi", "httpx"),
    *("redis", "starlette", "tornado", "uvicorn", "websockets"),
)


def pytest_report_header() -> str:
    versions = []
    for name in PROGRAMS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return "programs: " + ", ".join(versions)


def open_descriptors() -> dict[str, str]:
    """Map each open descriptor to what it refers to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        # The descriptor of this very listing is closed by now.
        with contextlib.suppress(FileNotFoundError):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


@pytest.fixture(autouse=True)
def nothing_leaked() -> Iterator[None]:
    """Fail the test when it leaves a descriptor or a thread behind."""
    gc.collect()
    descriptors = open_descriptors()
    threads = set(threading.enumerate())
    yield
    gc.collect()
    assert not open_descriptors().items() - descriptors.items()
    for thread in set(threading.enumerate()) - threads:
        # anyio's threads are told to end when their loop closes, and nobody waits for them.
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def server_tls() -> ssl.SSLContext:
    """Return a context for servers on 127.0.0.1, whose authority `client_tls` trusts."""
    return _contexts()[0]


@pytest.fixture(scope="session")
def client_tls() -> ssl.SSLContext:
    """Return a context that trusts `server_tls` and nothing else."""
    return _contexts()[1]


_made: list[tuple[ssl.SSLContext, ssl.SSLContext]] = []


def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    if not _made:
        trustme = pytest.importorskip("trustme")
        authority = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
        client = ssl.create_default_context()
        authority.configure_trust(client)
        _made.append((server, client))
    return _made[0]
