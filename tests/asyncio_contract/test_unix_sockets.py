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


class Served:
    """A factory of the protocols of a server."""

    def __init__(self) -> None:
        self.first: asyncio.Future[Recorder] = asyncio.get_running_loop().create_future()

    def __call__(self) -> Recorder:
        self.first.set_result(Recorder())
        return self.first.result()

    async def over(self) -> None:
        """Wait for the end of the first connection."""
        await (await self.first).lost


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


def test_abstract_names_as_bytes_leave_no_file(run: Run, tmp_path: Path) -> None:
    name = b"\0rsloop-bytes-%d-%s" % (os.getpid(), os.fsencode(tmp_path.name))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        served = Served()
        server: Any = await loop.create_unix_server(served, name)  # type: ignore[arg-type]
        assert server.sockets[0].getsockname() == name
        transport, _ = await loop.create_unix_connection(Recorder, name)  # type: ignore[arg-type]
        assert transport.get_extra_info("peername") == name
        transport.close()
        await served.over()
        server.close()
        await settle()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, name)  # type: ignore[arg-type]

    run(main())


def test_sockets_of_ones_own(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        served = Served()
        server = await loop.create_unix_server(served, sock=listener, start_serving=False)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, path)
        await server.start_serving()
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        transport, _ = await loop.create_unix_connection(Recorder, sock=client)
        assert client.gettimeout() == listener.gettimeout() == 0
        assert transport.get_extra_info("socket").fileno() == client.fileno()
        transport.close()
        await served.over()
        server.close()
        await settle()
        assert client.fileno() == listener.fileno() == -1

    run(main())


def test_other_sockets_are_refused(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (
            socket.socket() as inet,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        ):
            for sock in (inet, datagrams):
                with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
                    await loop.create_unix_server(Recorder, sock=sock)
                with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
                    await loop.create_unix_connection(Recorder, sock=sock)
            with pytest.raises(ValueError, match="A Stream Socket was expected"):
                await loop.connect_accepted_socket(Recorder, datagrams)

    run(main())


def test_tls_arguments_without_tls_are_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        refused: list[tuple[Any, dict[str, Any], str]] = [
            (loop.create_unix_connection, {"server_hostname": "x"}, "only meaningful with ssl"),
            (loop.create_unix_connection, {"ssl": True}, "you have to pass server_hostname"),
            (loop.create_unix_connection, {"ssl_handshake_timeout": 1}, "only meaningful with ssl"),
            (loop.create_unix_connection, {"ssl_shutdown_timeout": 1}, "only meaningful with ssl"),
            (loop.create_unix_server, {"ssl_handshake_timeout": 1}, "only meaningful with ssl"),
            (loop.create_unix_server, {"ssl_shutdown_timeout": 1}, "only meaningful with ssl"),
        ]
        for method, keywords, message in refused:
            with pytest.raises(ValueError, match=message):
                await method(Recorder, path, **keywords)
        with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
            await loop.create_unix_server(Recorder, path, ssl=True)
        assert not (tmp_path / "socket").exists()

    run(main())


def test_paths_that_cannot_be(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError, match="AF_UNIX path too long"):
            await loop.create_unix_server(Recorder, str(tmp_path / ("x" * 200)))
        with pytest.raises(OSError, match="AF_UNIX path too long"):
            await loop.create_unix_connection(Recorder, str(tmp_path / ("x" * 200)))
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_server(Recorder, str(tmp_path / "missing" / "socket"))

    run(main())


def test_a_new_server_takes_the_path_and_keeps_it(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        served = Served()
        first = await loop.create_unix_server(Recorder, path)
        second = await loop.create_unix_server(served, path)
        # The file is the second's by now.
        first.close()
        await first.wait_closed()
        transport, _ = await loop.create_unix_connection(Recorder, path)
        transport.close()
        await served.over()
        second.close()
        await settle()
        assert os.access(path, os.F_OK) is (sys.version_info < (3, 13))

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the parameter came with 3.13")
def test_the_file_stays_on_request(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        server = await loop.create_unix_server(Recorder, path, cleanup_socket=False)
        server.close()
        await server.wait_closed()
        assert os.access(path, os.F_OK)
        # A file that is gone already is no matter.
        server = await loop.create_unix_server(Recorder, path)
        os.unlink(path)
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.parametrize("family", ["unix", "inet"])
def test_accepted_sockets_need_not_be_non_blocking(run: Run, family: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        if family == "unix":
            accepted, peer = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                peer = socket.create_connection(listener.getsockname())
                accepted, _ = listener.accept()
        with peer:
            transport, protocol = await loop.connect_accepted_socket(Recorder, accepted)
            assert protocol.calls == ["connection_made"]
            assert accepted.gettimeout() == 0
            with pytest.raises(ValueError, match="only meaningful with ssl"):
                await loop.connect_accepted_socket(Recorder, accepted, ssl_handshake_timeout=1)
        assert await protocol.lost is None
        assert transport.is_closing()
        await settle()

    run(main())
