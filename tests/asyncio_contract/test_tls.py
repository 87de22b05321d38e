"""TLS: data in both directions, what a transport tells, streams and unix sockets."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from .conftest import Log, Run
from .connections import listening_socket
from .recorders import Recorder
from .tls_connections import HOST, Authority, settle, tls_pair

over_both_data_paths = True


def test_data_in_both_directions(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            client.transport.write(b"to the server")
            assert await served.received(13) == b"to the server"
            served.transport.writelines([b"to ", b"the ", b"client"])
            assert await client.received(13) == b"to the client"

    run(main())


def test_transport_tells_about_tls(run: Run, authority: Authority) -> None:
    async def main() -> None:
        context = authority.client()
        async with tls_pair(authority.server(), context) as (client, served):
            transport = client.transport
            assert isinstance(transport, asyncio.Transport)
            assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
            assert transport.get_extra_info("sslcontext") is context
            certificate = transport.get_extra_info("peercert")
            assert ("DNS", HOST) in certificate["subjectAltName"]
            assert transport.get_extra_info("cipher")[0]
            assert transport.get_extra_info("compression") is None
            address = served.transport.get_extra_info("sockname")
            assert transport.get_extra_info("peername") == address
            assert transport.get_extra_info("socket").fileno() > 0
            assert not transport.can_write_eof()
            with pytest.raises(NotImplementedError):
                transport.write_eof()

    run(main())


def test_much_data_at_once_both_ways(run: Run, authority: Authority) -> None:
    payload = bytes(range(256)) * 16384

    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            client.transport.write(payload)
            served.transport.write(payload)
            assert await served.received(len(payload)) == payload
            assert await client.received(len(payload)) == payload

    run(main())


def test_close_reaches_the_other_side_as_end_of_file(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            client.transport.write(b"last words")
            client.transport.close()
            assert client.transport.is_closing()
            assert await served.lost is None
            assert served.data == b"last words"
            assert served.calls[-2:] == ["eof_received", "connection_lost"]
            assert await client.lost is None

    run(main())


def test_abort_ends_both_sides(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            client.transport.abort()
            assert await client.lost is None
            await served.lost

    run(main())


def test_pausing_and_resuming(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            served.transport.pause_reading()
            assert not served.transport.is_reading()
            client.transport.write(b"while paused")
            for _ in range(10):
                await asyncio.sleep(0)
            assert served.data == b""
            served.transport.resume_reading()
            assert await served.received(12) == b"while paused"

    run(main())


def test_alpn(run: Run, authority: Authority) -> None:
    async def main() -> None:
        server_context, client_context = authority.server(), authority.client()
        server_context.set_alpn_protocols(["h2", "http/1.1"])
        client_context.set_alpn_protocols(["http/1.1"])
        async with tls_pair(server_context, client_context) as (client, served):
            for protocol in (client, served):
                tls = protocol.transport.get_extra_info("ssl_object")
                assert tls.selected_alpn_protocol() == "http/1.1"

    run(main())


def test_client_certificates(run: Run, authority: Authority) -> None:
    async def main() -> None:
        server_context, client_context = authority.server(), authority.client()
        server_context.verify_mode = ssl.CERT_REQUIRED
        authority.authority.configure_trust(server_context)
        authority.authority.issue_cert("client.example").configure_cert(client_context)
        async with tls_pair(server_context, client_context) as (client, served):
            client.transport.write(b"x")
            await served.received(1)
            certificate = served.transport.get_extra_info("peercert")
            assert ("DNS", "client.example") in certificate["subjectAltName"]

    run(main())


def test_server_name_indication(run: Run, authority: Authority) -> None:
    names: list[str | None] = []

    async def main() -> None:
        server_context = authority.server()
        server_context.sni_callback = lambda _object, name, _context: names.append(name)
        async with tls_pair(server_context, authority.client()):
            assert names == [HOST]

    run(main())


@pytest.mark.parametrize(("hostname", "trusting"), [("other.example", True), (HOST, False)])
def test_certificates_are_verified(
    run: Run, authority: Authority, asyncio_log: Log, hostname: str, trusting: bool
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=authority.server())
        context = authority.client() if trusting else ssl.create_default_context()
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=context,
                server_hostname=hostname,
            )
        server.close()
        await settle()

    run(main())


def test_handshake_timeout(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (
            listening_socket() as listener,
            pytest.raises(ConnectionAbortedError, match="handshake is taking longer"),
        ):
            await loop.create_connection(
                Recorder,
                *listener.getsockname(),
                ssl=authority.client(),
                server_hostname=HOST,
                ssl_handshake_timeout=0.01,
            )
        await settle()

    run(main())


def test_peer_that_speaks_no_tls(run: Run, authority: Authority, asyncio_log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        class Greeter(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                self.transport.write(b"220 plain text\r\n")

        server = await loop.create_server(Greeter, "127.0.0.1", 0)
        with pytest.raises(ssl.SSLError):
            await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=authority.client(),
                server_hostname=HOST,
            )
        server.close()
        await settle()

    run(main())


def test_start_tls_on_both_sides(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        plain_client, client = await loop.create_connection(Recorder, sock=left)
        plain_server, served = await loop.create_connection(Recorder, sock=right)
        plain_client.write(b"plain")
        assert await served.received(5) == b"plain"
        secure_server, secure_client = await asyncio.gather(
            loop.start_tls(plain_server, served, authority.server(), server_side=True),
            loop.start_tls(plain_client, client, authority.client(), server_hostname=HOST),
        )
        assert secure_client
        assert secure_server
        secure_client.write(b"secret")
        assert await served.received(11) == b"plainsecret"
        secure_server.write(b"answer")
        assert await client.received(6) == b"answer"
        secure_client.close()
        await asyncio.gather(client.lost, served.lost)
        await settle()

    run(main())


def test_streams_over_tls(run: Run, authority: Authority) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=authority.server())
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=authority.client(), server_hostname=HOST
        )
        for number in range(100):
            writer.write(b"line %d\n" % number)
            assert await reader.readline() == b"line %d\n" % number
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        await settle()

    run(main())


def test_stream_writer_start_tls(run: Run, authority: Authority) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.start_tls(authority.server())
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go ahead\n"
        await writer.start_tls(authority.client(), server_hostname=HOST)
        writer.write(b"secret\n")
        assert await reader.readline() == b"SECRET\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await settle()

    run(main())


def test_tls_over_unix_sockets(run: Run, authority: Authority, tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        path = str(tmp_path / "socket")
        server = await asyncio.start_unix_server(echo, path, ssl=authority.server())
        reader, writer = await asyncio.open_unix_connection(
            path, ssl=authority.client(), server_hostname=HOST
        )
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await settle()

    run(main())


def test_server_hostname_rules(run: Run, authority: Authority) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right, pytest.raises(ValueError, match="server_hostname"):
            await loop.create_connection(Recorder, sock=left, ssl=authority.client())

    run(main())
