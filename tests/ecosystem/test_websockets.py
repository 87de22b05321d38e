"""The websockets package on both ends: plain, over TLS and over a unix socket."""

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest

import rsloop

websockets = pytest.importorskip("websockets")
client = pytest.importorskip("websockets.asyncio.client")
server = pytest.importorskip("websockets.asyncio.server")


async def echo(websocket: Any) -> None:
    async for message in websocket:
        await websocket.send(message)


async def exercise(websocket: Any) -> None:
    assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
    for message in ("text", b"\0bytes", "x" * 900_000, b""):
        await websocket.send(message)
        assert await websocket.recv() == message
    # In pieces, and with a ping between them.
    await websocket.send([b"one", b"two", b"three"])
    await (await websocket.ping())
    assert await websocket.recv() == b"onetwothree"
    numbers = [str(number) for number in range(500)]

    async def send() -> None:
        for number in numbers:
            await websocket.send(number)

    sending = asyncio.create_task(send())
    assert [await websocket.recv() for _ in numbers] == numbers
    await sending


def test_plain() -> None:
    async def main() -> None:
        async with server.serve(echo, "127.0.0.1", 0) as served:
            port = served.sockets[0].getsockname()[1]
            async with client.connect(f"ws://127.0.0.1:{port}", proxy=None) as websocket:
                await exercise(websocket)
            assert websocket.close_code == 1000

    rsloop.run(main())


def test_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with server.serve(echo, "127.0.0.1", 0, ssl=server_tls) as served:
            port = served.sockets[0].getsockname()[1]
            async with client.connect(
                f"wss://127.0.0.1:{port}", ssl=client_tls, proxy=None
            ) as websocket:
                await exercise(websocket)

    rsloop.run(main())


def test_over_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        async with server.unix_serve(echo, path), client.unix_connect(path) as websocket:
            await exercise(websocket)

    rsloop.run(main())


def test_a_server_that_closes_ends_its_connections() -> None:
    async def main() -> None:
        async with server.serve(echo, "127.0.0.1", 0) as served:
            port = served.sockets[0].getsockname()[1]
            async with contextlib.AsyncExitStack() as stack:
                sockets = [
                    await stack.enter_async_context(
                        client.connect(f"ws://127.0.0.1:{port}", proxy=None)
                    )
                    for _ in range(20)
                ]
                served.close()
                for websocket in sockets:
                    with pytest.raises(websockets.ConnectionClosedOK):
                        await websocket.recv()
                    assert websocket.close_code == 1001

    rsloop.run(main())
