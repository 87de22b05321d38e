"""redis-py's asyncio client against a Redis server of its own, over TCP, a unix socket and TLS."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rsloop

redis = pytest.importorskip("redis")
client_module = pytest.importorskip("redis.asyncio")

#: Two free ports may be taken by somebody else before the server takes them.
ATTEMPTS = 5

Connect = Callable[[], Any]


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, dict[str, Any]]]:
    """Start a server, and return the arguments by which clients reach it, by the way."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed: no redis-server")
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    with tempfile.TemporaryDirectory(prefix="rsloop-redis-") as name:
        folder = Path(name)
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(str(folder / "certificate.pem"), append=True)
        process, ports = start(program, folder)
        try:
            yield {
                "tcp": {"host": "127.0.0.1", "port": ports[0]},
                "unix": {"unix_socket_path": str(folder / "socket")},
                "tls": {
                    "host": "127.0.0.1",
                    "port": ports[1],
                    "ssl": True,
                    "ssl_ca_certs": str(folder / "ca.pem"),
                    "ssl_check_hostname": True,
                },
            }
        finally:
            process.terminate()
            process.communicate()


def start(program: str, folder: Path) -> tuple["subprocess.Popen[str]", tuple[int, ...]]:
    """Start a server, and return it with its ports, plain and TLS, once it accepts."""
    for _ in range(ATTEMPTS):
        ports = free_ports()
        options = {
            "bind": "127.0.0.1",
            "port": ports[0],
            "tls-port": ports[1],
            "unixsocket": folder / "socket",
            "dir": folder,
            "save": "",
            "tls-cert-file": folder / "certificate.pem",
            "tls-key-file": folder / "key.pem",
            "tls-ca-cert-file": folder / "ca.pem",
            "tls-auth-clients": "no",
        }
        command = [program]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if any("eady to accept connections" in line for line in process.stdout):
            return process, ports
        process.communicate()
    pytest.fail("redis-server does not start")


def free_ports() -> tuple[int, ...]:
    """Return two ports that nobody listens on now."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]


@pytest.fixture(params=["tcp", "unix", "tls"])
def connect(request: pytest.FixtureRequest, server: dict[str, dict[str, Any]]) -> Connect:
    """Return what makes a client that reaches the server in one of the ways."""
    arguments = server[request.param]
    return lambda: client_module.Redis(**arguments)


@contextlib.asynccontextmanager
async def emptied(connect: Connect) -> AsyncIterator[Any]:
    client = connect()
    try:
        await client.flushall()
        yield client
    finally:
        await client.aclose()


def run(connect: Connect, main: Callable[[Any], Awaitable[None]]) -> None:
    async def connected() -> None:
        assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
        async with emptied(connect) as client:
            await main(client)

    rsloop.run(connected())


def test_values_pipelines_and_transactions(connect: Connect) -> None:
    async def main(client: Any) -> None:
        blob = bytes(range(256)) * 8192
        assert await client.set("blob", blob)
        assert await client.get("blob") == blob
        assert await client.get("nothing") is None
        async with client.pipeline(transaction=True) as pipeline:
            for number in range(1000):
                pipeline.rpush("numbers", number)
            assert await pipeline.execute() == list(range(1, 1001))
        found = await client.lrange("numbers", 0, -1)
        assert list(map(int, found)) == list(range(1000))
        async with client.pipeline() as pipeline:
            await pipeline.watch("watched")
            await client.set("watched", "by somebody else")
            pipeline.multi()
            pipeline.set("watched", "by us")
            with pytest.raises(redis.WatchError):
                await pipeline.execute()
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            await client.lpush("blob", 1)

    run(connect, main)


def test_many_commands_at_once(connect: Connect) -> None:
    async def main(client: Any) -> None:
        async def remember(number: int) -> int:
            await client.set(f"key {number}", number)
            return int(await client.get(f"key {number}"))

        assert await asyncio.gather(*map(remember, range(64))) == list(range(64))

    run(connect, main)


def test_messages_to_subscribers(connect: Connect) -> None:
    async def main(client: Any) -> None:
        async with client.pubsub() as subscription:
            await subscription.subscribe("news")
            messages = subscription.listen()
            assert (await anext(messages))["type"] == "subscribe"
            for number in range(100):
                assert await client.publish("news", number) == 1
                assert int((await anext(messages))["data"]) == number
            await messages.aclose()

    run(connect, main)


def test_waiting_for_a_value(connect: Connect) -> None:
    async def main(client: Any) -> None:
        async with emptied(connect) as other:
            waiting = asyncio.create_task(client.blpop("queue", timeout=0))
            # The server knows when a client waits.
            while not (await other.info("clients"))["blocked_clients"]:
                pass
            await other.rpush("queue", "at last")
            assert await waiting == (b"queue", b"at last")
        assert await client.blpop("queue", timeout=0.05) is None

    run(connect, main)


def test_cancelled_and_timed_out_commands_leave_the_client_usable(connect: Connect) -> None:
    async def main(client: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.blpop("nothing", timeout=0)
        task = asyncio.create_task(client.blpop("nothing", timeout=0))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.ping()

    run(connect, main)
