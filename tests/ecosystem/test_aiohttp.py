"""An aiohttp server and client on one loop."""

import asyncio
from typing import Any

import pytest

import rsloop

aiohttp = pytest.importorskip("aiohttp")
web = pytest.importorskip("aiohttp.web")


async def serve() -> Any:
    """Start a server on a port of the kernel's choice."""

    async def upper(request: Any) -> Any:
        return web.Response(body=(await request.read()).upper())

    async def numbers(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(100):
            await response.write(b"%d\n" % number)
        return response

    async def socket(request: Any) -> Any:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data[::-1])
        return response

    application = web.Application()
    application.router.add_post("/upper", upper)
    application.router.add_get("/numbers", numbers)
    application.router.add_get("/socket", socket)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def main() -> None:
    assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
    runner = await serve()
    host, port = runner.addresses[0]
    base = f"http://{host}:{port}"
    async with aiohttp.ClientSession() as session:

        async def post(number: int) -> bytes:
            async with session.post(f"{base}/upper", data=b"body %d" % number) as response:
                body: bytes = await response.read()
                return body

        bodies = await asyncio.gather(*(post(number) for number in range(200)))
        assert bodies == [b"BODY %d" % number for number in range(200)]

        async with session.get(f"{base}/numbers") as response:
            lines = [int(line) async for line in response.content]
        assert lines == list(range(100))

        async with session.post(f"{base}/upper", data=b"a" * 1_000_000) as response:
            assert await response.read() == b"A" * 1_000_000

        async with session.ws_connect(f"{base}/socket") as websocket:
            for text in ("abc", "x" * 100_000):
                await websocket.send_str(text)
                assert (await websocket.receive_str()) == text[::-1]
    await runner.cleanup()


def test_requests_streams_and_websockets() -> None:
    rsloop.run(main())
