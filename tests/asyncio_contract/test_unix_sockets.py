"""Unix stream sockets and connect_accepted_socket."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
from .recorders import Recorder


async def settle() -> None:
    """Give the loop the turns that closing a transport takes."""
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", ["str", "path", "bytes", "abstract"])
def test_echo_over_every_kind_of_address(run: Run, tmp_path: Path, kind: str) -> None:
    address: Any = {
        "str": str(tmp_path / "socket"),
        "path": tmp_path / "socket",
        "bytes": os.fsencode(tmp_path / "socket"),
        "abstract": f"\0rsloop-contract-{os.getpid()}-{tmp_path.name}",
    }[kind]

    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(5))
            writer.close()

        server = await asyncio.start_unix_server(echo, address)
        reader, writer = await asyncio.open_unix_connection(address)
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        await settle()

    run(main())


def test_recorder_sees_the_same_calls_as_over_tcp(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[Recorder] = loop.create_future()

        def factory() -> Recorder:
            accepted.set_result(Recorder())
            return accepted.result()

        server = await loop.create_unix_server(factory, str(tmp_path / "socket"))
        transport, client = await loop.create_unix_connection(Recorder, str(tmp_path / "socket"))
        served = await accepted
        transport.write(b"data")
        assert await served.received(4) == b"data"
        transport.write_eof()
        assert await served.lost is None
        assert await client.lost is None
        assert served.calls == [
            "connection_made",
            "data_received",
            "eof_received",
            "connection_lost",
        ]
        assert transport.get_extra_info("peername") == str(tmp_path / "socket")
        server.close()
        await settle()

    run(main())


def test_stale_socket_files_are_replaced(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, path)
        server.close()
        await server.wait_closed()
        # 3.13 began to remove the file at close.
        assert os.access(path, os.F_OK) is (sys.version_info < (3, 13))

    run(main())


def test_files_that_are_no_sockets_are_kept(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError, match="already in use"):
            await loop.create_unix_server(Recorder, str(path))
        with pytest.raises(OSError, match=r"Connection refused|not a socket"):
            await loop.create_unix_connection(Recorder, str(path))
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_connection(Recorder, str(tmp_path / "missing"))

    run(main())
    assert path.read_text() == "precious"


def test_contradicting_arguments_are_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as sock, socket.socket() as inet:
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await loop.create_unix_server(Recorder, path, sock=sock)
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await loop.create_unix_connection(Recorder, path, sock=sock)
            with pytest.raises(ValueError, match="path was not specified"):
                await loop.create_unix_server(Recorder)
            with pytest.raises(ValueError, match="no path and sock"):
                await loop.create_unix_connection(Recorder)
            with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
                await loop.create_unix_connection(Recorder, sock=inet)

    run(main())


def test_connect_accepted_socket(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        with client:
            transport, protocol = await loop.connect_accepted_socket(Recorder, accepted)
            client.send(b"data")
            assert await protocol.received(4) == b"data"
            transport.write(b"answer")
            client.settimeout(10)
            assert client.recv(10) == b"answer"
        assert await protocol.lost is None
        await settle()

    run(main())
