"""uvicorn serves a FastAPI application on the loop on which httpx and websockets ask it."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import rsloop

fastapi = pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")
responses = pytest.importorskip("starlette.responses")
uvicorn = pytest.importorskip("uvicorn")
websockets = pytest.importorskip("websockets")


def application() -> Any:
    """Make an application whose handlers are coroutines, threads, streams and sockets."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.state.events.append("up")
        yield
        app.state.events.append("down")

    app = fastapi.FastAPI(lifespan=lifespan)
    app.state.events = []

    async def loop() -> dict[str, str]:
        return {"loop": type(asyncio.get_running_loop()).__module__}

    def thread(number: int) -> dict[str, Any]:
        # No coroutine: Starlette runs it in a thread, by anyio.
        return {"number": number, "main": threading.current_thread() is threading.main_thread()}

    async def size(request: fastapi.Request) -> dict[str, int]:  # type: ignore[name-defined]
        return {"size": sum([len(piece) async for piece in request.stream()])}

    async def stream() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(100):
                await asyncio.sleep(0)
                yield b"%d\n" % number

        return responses.StreamingResponse(pieces())

    async def background(tasks: fastapi.BackgroundTasks) -> str:  # type: ignore[name-defined]
        tasks.add_task(app.state.events.append, "background")
        return "later"

    async def reverse(websocket: fastapi.WebSocket) -> None:  # type: ignore[name-defined]
        await websocket.accept()
        with contextlib.suppress(fastapi.WebSocketDisconnect):
            while True:
                await websocket.send_text((await websocket.receive_text())[::-1])

    for path, handler in {
        "/loop": loop,
        "/thread/{number}": thread,
        "/stream": stream,
        "/background": background,
    }.items():
        app.add_api_route(path, handler)
    app.add_api_route("/size", size, methods=["POST"])
    app.add_api_websocket_route("/reverse", reverse)
    return app


@contextlib.asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[int]:
    """Serve `app` in a task of the running loop."""
    config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", **options)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.001)
        yield listener.getsockname()[1]
        server.should_exit = True
        await task


async def exercise(base: str, tls: Any) -> None:
    async with httpx.AsyncClient(base_url=base, verify=tls, trust_env=False) as client:
        assert (await client.get("/loop")).json() == {"loop": "rsloop_core._loop"}
        answers = await asyncio.gather(*(client.get(f"/thread/{n}") for n in range(50)))
        assert [answer.json() for answer in answers] == [
            {"number": number, "main": False} for number in range(50)
        ]
        size = 3_000_000
        assert (await client.post("/size", content=bytes(size))).json() == {"size": size}
        async with client.stream("GET", "/stream") as response:
            lines = [int(line) async for line in response.aiter_lines()]
        assert lines == list(range(100))
        assert (await client.get("/background")).json() == "later"
        assert (await client.get("/missing")).status_code == 404
    async with websockets.connect(
        f"{base.replace('http', 'ws')}/reverse", ssl=tls or None, proxy=None
    ) as websocket:
        for text in ("abc", "x" * 100_000):
            await websocket.send(text)
            assert await websocket.recv() == text[::-1]


def test_http_and_websockets() -> None:
    async def main() -> None:
        app = application()
        async with served(app) as port:
            await exercise(f"http://127.0.0.1:{port}", tls=False)
        assert app.state.events == ["up", "background", "down"]

    rsloop.run(main())


def test_the_same_over_tls(client_tls: ssl.SSLContext, tmp_path: Any) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def main() -> None:
        app = application()
        async with served(app, ssl_certfile=str(tmp_path / "server.pem")) as port:
            await exercise(f"https://127.0.0.1:{port}", tls=trusting)

    rsloop.run(main())


def test_a_client_that_gives_up_does_no_harm() -> None:
    async def main() -> None:
        async with served(application()) as port:
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
                async with client.stream("GET", "/stream") as response:
                    async for _ in response.aiter_lines():
                        break
                requests = [asyncio.create_task(client.get("/loop")) for _ in range(20)]
                await asyncio.sleep(0)
                for request in requests:
                    request.cancel()
                await asyncio.gather(*requests, return_exceptions=True)
                assert (await client.get("/loop")).status_code == 200

    rsloop.run(main())
