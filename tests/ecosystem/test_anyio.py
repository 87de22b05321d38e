"""anyio's asyncio backend, with rsloop as its loop, and its plugin for pytest."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rsloop

anyio = pytest.importorskip("anyio")
tls = pytest.importorskip("anyio.streams.tls")


def run(main: Any) -> None:
    anyio.run(main, backend_options={"loop_factory": rsloop.new_event_loop})


def test_tcp_tls_and_udp(server_tls: Any, client_tls: Any) -> None:
    async def echo(stream: Any) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def exercise(stream: Any) -> None:
        async with stream:
            for data in (b"a", b"b" * 100_000):
                await stream.send(data)
                received = b""
                while len(received) < len(data):
                    received += await stream.receive()
                assert received == data

    async def main() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        below = await anyio.create_tcp_listener(local_host="127.0.0.1")
        secure = tls.TLSListener(below, server_tls, standard_compatible=False)
        async with listener, secure, anyio.create_task_group() as group:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            group.start_soon(listener.serve, echo)
            await exercise(await anyio.connect_tcp("127.0.0.1", port))
            port = below.extra(anyio.abc.SocketAttribute.local_port)
            group.start_soon(secure.serve, echo)
            plain = await anyio.connect_tcp("127.0.0.1", port)
            await exercise(
                await tls.TLSStream.wrap(
                    plain, hostname="127.0.0.1", ssl_context=client_tls, standard_compatible=False
                )
            )
            async with await anyio.create_udp_socket(local_host="127.0.0.1") as left:
                address = left.extra(anyio.abc.SocketAttribute.local_address)
                async with await anyio.create_connected_udp_socket(*address) as right:
                    await right.send(b"datagram")
                    data, sender = await left.receive()
                    await left.sendto(data.upper(), *sender)
                    assert await right.receive() == b"DATAGRAM"
            group.cancel_scope.cancel()

    run(main)


def test_processes_threads_and_signals() -> None:
    async def main() -> None:
        done = await anyio.run_process([sys.executable, "-c", "print(6 * 7)"])
        assert done.stdout == b"42\n"
        async with await anyio.open_process(["cat"]) as process:
            await process.stdin.send(b"through")
            await process.stdin.aclose()
            assert await process.stdout.receive() == b"through"
        assert process.returncode == 0

        def in_thread() -> int:
            result: int = anyio.from_thread.run(in_loop, 20)
            return result + 1

        async def in_loop(number: int) -> int:
            await anyio.sleep(0)
            return number * 2

        assert await anyio.to_thread.run_sync(in_thread) == 41

        with anyio.open_signal_receiver(signal.SIGUSR1) as received:
            os.kill(os.getpid(), signal.SIGUSR1)
            async for number in received:
                assert number == signal.SIGUSR1
                break

    run(main)


def test_cancel_scopes_and_files(tmp_path: Path) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await anyio.sleep_forever()
        async with await anyio.open_file(tmp_path / "file", "w") as file:
            await file.write("text")
        assert await anyio.Path(tmp_path / "file").read_text() == "text"
        send, receive = anyio.create_memory_object_stream[int](1)
        async with anyio.create_task_group() as group, send, receive:
            for number in range(3):
                group.start_soon(send.send, number)
            assert sorted([await receive.receive() for _ in range(3)]) == [0, 1, 2]

    run(main)


TESTS = """
import asyncio, anyio, pytest, rsloop

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": rsloop.new_event_loop}

@pytest.fixture
async def stream():
    send, receive = anyio.create_memory_object_stream[int](1)
    async with send, receive:
        yield send, receive

async def test_on_our_loop(stream):
    assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
    send, receive = stream
    await send.send(3)
    assert await receive.receive() == 3

@pytest.mark.parametrize("number", range(5))
async def test_timeouts(number):
    with anyio.move_on_after(0.001):
        await anyio.sleep_forever()

@pytest.mark.xfail(strict=True)
async def test_failures_are_reported():
    assert False
"""


def test_the_plugin_for_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_by_plugin.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed, 1 xfailed" in done.stdout
