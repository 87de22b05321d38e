"""start_tls: plain connections that become TLS, and TLS in TLS."""

import asyncio
import inspect
import socket
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .recorders import BufferedRecorder, Recorder, fill_kernel_buffer
from .tls_connections import HOST, Authority, Peer, settle

over_both_data_paths = True


async def plain_pair(
    left: Any = Recorder, right: Any = Recorder
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return `(transport, protocol)` of both sides of a socket pair."""
    loop = asyncio.get_running_loop()
    socks = socket.socketpair()
    return (
        await loop.create_connection(left, sock=socks[0]),
        await loop.create_connection(right, sock=socks[1]),
    )


async def upgrade(
    authority: Authority, client: tuple[Any, Any], served: tuple[Any, Any], **options: Any
) -> tuple[Any, Any]:
    """Upgrade both sides, client first."""
    loop = asyncio.get_running_loop()
    upgraded = await asyncio.gather(
        loop.start_tls(*client, authority.client(), server_hostname=HOST, **options),
        loop.start_tls(*served, authority.server(), server_side=True, **options),
    )
    return upgraded[0], upgraded[1]


async def end(*protocols: Any) -> None:
    """Wait until these protocols have lost their connections."""
    await asyncio.gather(*(protocol.lost for protocol in protocols))
    await settle()


def test_tls_in_tls(run: Run, authority: Authority) -> None:
    bulk = bytes(range(256)) * 4096

    async def main() -> None:
        client, served = await plain_pair()
        outer = await upgrade(authority, client, served)
        inner = await upgrade(authority, (outer[0], client[1]), (outer[1], served[1]))
        for transport in inner:
            assert transport.get_extra_info("ssl_object") is not None
            assert transport.get_extra_info("socket").fileno() > 0
        inner[0].write(bulk)
        inner[1].write(bulk)
        assert await served[1].received(len(bulk)) == bulk
        assert await client[1].received(len(bulk)) == bulk
        inner[0].close()
        await end(client[1], served[1])
        assert client[1].calls.count("connection_lost") == 1
        assert served[1].calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_back_pressure_through_tls_in_tls(run: Run, authority: Authority) -> None:
    """A reader that pauses stops the writer, by way of four protocols and a socket."""
    piece = bytes(range(256)) * 256

    async def main() -> None:
        client, served = await plain_pair()
        outer = await upgrade(authority, client, served)
        inner = await upgrade(authority, (outer[0], client[1]), (outer[1], served[1]))
        inner[1].pause_reading()
        sent = 0
        while client[1].calls[-1] != "pause_writing":
            inner[0].write(piece)
            sent += len(piece)
            await asyncio.sleep(0)  # let the reading side buffer what it will
            assert sent < 16 << 20
        await settle()
        assert client[1].calls[-1] == "pause_writing"
        assert not served[1].data
        inner[1].resume_reading()
        await client[1].until(lambda: client[1].calls[-1] == "resume_writing")
        assert await served[1].received(sent) == piece * (sent // len(piece))
        assert client[1].calls.count("pause_writing") == 1
        inner[0].close()
        await end(client[1], served[1])

    run(main())


def test_connection_made_is_not_called_again(run: Run, authority: Authority) -> None:
    async def main() -> None:
        client, served = await plain_pair()
        upgraded = await upgrade(authority, client, served)
        assert client[1].calls == served[1].calls == ["connection_made"]
        assert upgraded[0] is not client[0]
        assert upgraded[0].get_protocol() is client[1]
        upgraded[0].close()
        await end(client[1], served[1])

    run(main())


def test_buffered_protocols(run: Run, authority: Authority) -> None:
    async def main() -> None:
        client, served = await plain_pair(BufferedRecorder, BufferedRecorder)
        client[0].write(b"plain")
        assert await served[1].received(5) == b"plain"
        upgraded = await upgrade(authority, client, served)
        upgraded[0].write(b"secret" * 10)
        assert await served[1].received(65) == b"plain" + b"secret" * 10
        upgraded[0].close()
        await end(client[1], served[1])

    run(main())


def test_upgrade_while_writing_is_paused(run: Run, loop_kind: str, authority: Authority) -> None:
    stdlib_fault(loop_kind, "fails an assertion when the transport resumes, and never writes again")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        right.setblocking(False)
        transport, client = await loop.create_connection(Recorder, sock=left)
        filler = fill_kernel_buffer(transport)
        plain = b"p" * 100_000
        transport.write(plain)
        assert client.calls[-1] == "pause_writing"
        starting = asyncio.ensure_future(
            loop.start_tls(transport, client, authority.client(), server_hostname=HOST)
        )
        with right:
            await settle()
            got = 0
            while got < filler + len(plain):
                got += len(await loop.sock_recv(right, filler + len(plain) - got))
            peer = Peer(right, authority.server())
            await peer.handshake()
            secure = await starting
            assert secure is not None
            assert client.calls == ["connection_made", "pause_writing", "resume_writing"]
            secure.write(b"secret")
            assert await peer.receive(6) == b"secret"
            secure.abort()
            await end(client)

    run(main())


def test_failed_upgrade(run: Run, authority: Authority, asyncio_log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, served = await plain_pair()
        results = await asyncio.gather(
            loop.start_tls(*client, authority.client(), server_hostname="other.example"),
            loop.start_tls(*served, authority.server(), server_side=True),
            return_exceptions=True,
        )
        assert type(results[0]).__name__ == "SSLCertVerificationError"
        for transport, _ in (client, served):
            transport.abort()
        await settle()

    run(main())


def test_upgrade_that_takes_too_long(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, served = await plain_pair()
        with pytest.raises(ConnectionAbortedError, match=r"longer than 0\.01 seconds"):
            await loop.start_tls(
                *client, authority.client(), server_hostname=HOST, ssl_handshake_timeout=0.01
            )
        assert client[0].is_closing()
        await served[1].lost
        await settle()

    run(main())


def test_cancelled_upgrade(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, served = await plain_pair()
        starting = asyncio.ensure_future(
            loop.start_tls(*client, authority.client(), server_hostname=HOST)
        )
        await served[1].until(lambda: bool(served[1].data))
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert client[0].is_closing()
        await served[1].lost
        await settle()

    run(main())


def test_what_cannot_be_upgraded(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, served = await plain_pair()
        anything: Any = object()
        with pytest.raises(TypeError, match="is not supported by start_tls"):
            await loop.start_tls(anything, client[1], authority.client())
        with pytest.raises(TypeError, match=r"instance of ssl\.SSLContext"):
            await loop.start_tls(client[0], client[1], anything)
        with pytest.raises(ValueError, match="ssl_handshake_timeout should be a positive"):
            await loop.start_tls(
                client[0], client[1], authority.client(), server_side=True, ssl_handshake_timeout=-1
            )
        client[0].close()
        await end(client[1], served[1])

    run(main())


def test_write_on_the_old_transport(run: Run, authority: Authority) -> None:
    async def main() -> None:
        client, served = await plain_pair()
        upgraded = await upgrade(authority, client, served)
        assert client[0].get_extra_info("sockname") == upgraded[0].get_extra_info("sockname")
        client[0].close()
        await end(client[1], served[1])
        assert upgraded[0].is_closing()

    run(main())


@pytest.mark.skipif(
    "_stream_reader" not in inspect.getsource(asyncio.BaseEventLoop.start_tls),
    reason="this CPython leaves them where they are",
)
def test_records_that_the_stream_reader_has_already(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"STARTTLS\n"
            while not reader._buffer:  # type: ignore[attr-defined]
                await settle()
            await writer.start_tls(authority.server())
            done.set_result(await reader.readline())
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        # Announces the upgrade and begins it without waiting for an answer.
        transport, client = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        transport.write(b"STARTTLS\n")
        secure = await loop.start_tls(transport, client, authority.client(), server_hostname=HOST)
        assert secure is not None
        secure.write(b"secret\n")
        assert await done == b"secret\n"
        await client.lost
        server.close()
        await settle()

    run(main())
