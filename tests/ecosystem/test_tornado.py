"""Tornado's server, client, websockets and timers."""

import asyncio
import ssl
from typing import Any

import pytest

import rsloop

tornado: Any = pytest.importorskip("tornado")
for module in ("httpclient", "httpserver", "ioloop", "netutil", "web", "websocket"):
    pytest.importorskip(f"tornado.{module}")


async def main(server_tls: ssl.SSLContext | None, client_tls: ssl.SSLContext | None) -> None:

    class Upper(tornado.web.RequestHandler):  # type: ignore[misc]
        async def post(self) -> None:
            await asyncio.sleep(0)
            self.write(self.request.body.upper())

    class Numbers(tornado.web.RequestHandler):  # type: ignore[misc]
        async def get(self) -> None:
            for number in range(100):
                self.write(b"%d\n" % number)
                await self.flush()

    class Reverse(tornado.websocket.WebSocketHandler):  # type: ignore[misc]
        async def on_message(self, message: Any) -> None:
            await self.write_message(message[::-1])

    assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
    application = tornado.web.Application(
        [("/upper", Upper), ("/numbers", Numbers), ("/reverse", Reverse)]
    )
    server = tornado.httpserver.HTTPServer(application, ssl_options=server_tls)
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    base = f"http{'s' if server_tls else ''}://127.0.0.1:{sockets[0].getsockname()[1]}"
    client = tornado.httpclient.AsyncHTTPClient(force_instance=True)

    async def fetch(path: str, **options: Any) -> bytes:
        response = await client.fetch(f"{base}/{path}", ssl_options=client_tls, **options)
        return bytes(response.body)

    bodies = [b"body %d" % number for number in range(100)]
    answers = await asyncio.gather(*(fetch("upper", method="POST", body=body) for body in bodies))
    assert answers == [body.upper() for body in bodies]
    size = 1_000_000
    assert await fetch("upper", method="POST", body=b"a" * size) == b"A" * size
    assert (await fetch("numbers")).split() == [b"%d" % number for number in range(100)]

    request = tornado.httpclient.HTTPRequest(
        f"{base}/reverse".replace("http", "ws", 1), ssl_options=client_tls
    )
    websocket = await tornado.websocket.websocket_connect(request)
    for text in ("abc", "x" * 100_000):
        await websocket.write_message(text)
        assert await websocket.read_message() == text[::-1]
    websocket.close()
    assert await websocket.read_message() is None

    ticks = asyncio.Event()
    periodic = tornado.ioloop.PeriodicCallback(ticks.set, 1)
    periodic.start()
    await ticks.wait()
    periodic.stop()
    loop = tornado.ioloop.IOLoop.current()
    assert loop.asyncio_loop is asyncio.get_running_loop()
    assert await loop.run_in_executor(None, pow, 2, 10) == 1024

    client.close()
    server.stop()
    await server.close_all_connections()


def test_requests_streams_and_websockets() -> None:
    rsloop.run(main(None, None))


def test_the_same_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    rsloop.run(main(server_tls, client_tls))
