"""What a caller's SSLContext can be told: all of it works, because it is a real one."""

import asyncio
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from .conftest import Log, Run, stdlib_fault
from .recorders import Recorder
from .tls_connections import HOST, Authority, settle, tls_pair

over_both_data_paths = True


async def ping_pong(client: Recorder, served: Recorder) -> None:
    """Send something in each direction."""
    client.transport.write(b"ping")
    assert (await served.received(4))[-4:] == b"ping"
    served.transport.write(b"pong")
    assert (await client.received(4))[-4:] == b"pong"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_version(run: Run, authority: Authority, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        context = authority.client()
        context.minimum_version = context.maximum_version = version
        async with tls_pair(authority.server(), context) as (client, served):
            tls = client.transport.get_extra_info("ssl_object")
            assert tls.version() == version.name.replace("_", ".")
            await ping_pong(client, served)

    run(main())


def test_sni_callback_chooses_the_context(run: Run, authority: Authority) -> None:
    async def main() -> None:
        first, second = authority.server(), authority.server()
        second.set_alpn_protocols(["second"])
        client_context = authority.client()
        client_context.set_alpn_protocols(["second"])

        def choose(tls: ssl.SSLObject, name: str, context: ssl.SSLContext) -> None:
            assert isinstance(tls, ssl.SSLObject)
            assert name == HOST
            assert context is first
            tls.context = second

        first.sni_callback = choose
        async with tls_pair(first, client_context) as (client, served):
            tls = served.transport.get_extra_info("ssl_object")
            assert tls.context is second
            assert tls.selected_alpn_protocol() == "second"
            await ping_pong(client, served)

    run(main())


def test_sni_callback_refuses(
    run: Run, loop_kind: str, authority: Authority, asyncio_log: Log
) -> None:
    stdlib_fault(loop_kind, "sends no alert when it ends a connection")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = authority.server()
        context.sni_callback = lambda *_: ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=context)
        with pytest.raises(ssl.SSLError) as caught:
            await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=authority.client(),
                server_hostname=HOST,
            )
        assert caught.value.reason in ("TLSV1_UNRECOGNIZED_NAME", "TLSV1_ALERT_UNRECOGNIZED_NAME")
        server.close()
        await settle()

    run(main())


def test_keylog(run: Run, authority: Authority, tmp_path: Path) -> None:
    async def main() -> None:
        context = authority.client()
        context.keylog_filename = str(tmp_path / "keys")
        async with tls_pair(authority.server(), context) as (client, served):
            await ping_pong(client, served)

    run(main())
    assert "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_text()


def test_message_callback(run: Run, authority: Authority) -> None:
    seen: list[tuple[str, str]] = []

    async def main() -> None:
        context: Any = authority.client()
        context._msg_callback = lambda _tls, direction, _version, content, _type, _data: (
            seen.append((direction, content.name))
        )
        async with tls_pair(authority.server(), context) as (client, served):
            seen.clear()
            await ping_pong(client, served)
            assert ("write", "HEADER") in seen
            assert ("read", "HEADER") in seen

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_resumption(run: Run, authority: Authority, version: ssl.TLSVersion) -> None:
    class Resuming(ssl.SSLContext):
        saved: ssl.SSLSession | None = None

        def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
            return super().wrap_bio(*args, **{**kwargs, "session": self.saved})

    async def main() -> None:
        server_context = authority.server()
        context = Resuming(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        authority.authority.configure_trust(context)
        for expected in (False, True):
            async with tls_pair(server_context, context) as (client, served):
                await ping_pong(client, served)  # TLS 1.3 sends its tickets after the handshake
                tls = client.transport.get_extra_info("ssl_object")
                assert tls.session_reused is expected
                context.saved = tls.session

    run(main())


def test_encrypted_key(run: Run, authority: Authority, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(
        authority.certificate.private_key_pem.bytes(), password=None
    )
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    chain = b"".join(pem.bytes() for pem in authority.certificate.cert_chain_pems)
    (tmp_path / "pem").write_bytes(encrypted + chain)

    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "pem", password=lambda: "secret")
        async with tls_pair(context, authority.client()) as (client, served):
            await ping_pong(client, served)

    run(main())


@pytest.mark.skipif(not hasattr(ssl.SSLContext, "set_psk_client_callback"), reason="since 3.13")
def test_pre_shared_key(run: Run) -> None:
    async def main() -> None:
        client_context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.check_hostname = False
        client_context.verify_mode = ssl.CERT_NONE
        server_context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for context in (client_context, server_context):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("PSK")
        client_context.set_psk_client_callback(lambda hint: ("ClientId", b"shared"))
        server_context.set_psk_server_callback(lambda identity: b"shared", "ServerId")
        async with tls_pair(server_context, client_context) as (client, served):
            await ping_pong(client, served)

    run(main())


def test_post_handshake_authentication(run: Run, authority: Authority) -> None:
    async def main() -> None:
        server_context, client_context = authority.server(), authority.client()
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.post_handshake_auth = client_context.post_handshake_auth = True
        authority.authority.configure_trust(server_context)
        authority.authority.issue_cert("client.example").configure_cert(client_context)
        async with tls_pair(server_context, client_context) as (client, served):
            await ping_pong(client, served)
            tls = served.transport.get_extra_info("ssl_object")
            assert not tls.getpeercert()
            tls.verify_client_post_handshake()
            served.transport.write(b"who are you?")
            assert await client.received(16) == b"pongwho are you?"
            client.transport.write(b"me")
            await served.received(6)
            assert ("DNS", "client.example") in tls.getpeercert()["subjectAltName"]

    run(main())


def test_post_handshake_authentication_without_certificate(
    run: Run, loop_kind: str, authority: Authority, asyncio_log: Log
) -> None:
    stdlib_fault(loop_kind, "sends no alert when it ends a connection")

    async def main() -> None:
        server_context, client_context = authority.server(), authority.client()
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.post_handshake_auth = client_context.post_handshake_auth = True
        async with tls_pair(server_context, client_context) as (client, served):
            await ping_pong(client, served)
            served.transport.get_extra_info("ssl_object").verify_client_post_handshake()
            served.transport.write(b"who are you?")
            error = await served.lost
            assert type(error) is ssl.SSLError
            assert error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
            error = await client.lost
            assert type(error) is ssl.SSLError
            assert error.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"

    run(main())


def test_missing_client_certificate_shows_at_the_first_read(
    run: Run, loop_kind: str, authority: Authority, asyncio_log: Log
) -> None:
    stdlib_fault(loop_kind, "sends no alert when it ends a connection")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server_context = authority.server()
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.minimum_version = ssl.TLSVersion.TLSv1_3
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context)
        # In TLS 1.3 the client's handshake is over before the server has looked at it.
        _, client = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=authority.client(),
            server_hostname=HOST,
        )
        error = await client.lost
        assert type(error) is ssl.SSLError
        assert error.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        assert client.calls == ["connection_made", "connection_lost"]
        server.close()
        await settle()

    run(main())


def test_subclass_of_ssl_object(run: Run, authority: Authority) -> None:
    calls: list[str] = []

    class Noting(ssl.SSLObject):
        def do_handshake(self) -> None:
            calls.append("do_handshake")
            super().do_handshake()

        def read(self, *args: Any) -> Any:
            calls.append("read")
            return super().read(*args)

        def write(self, data: Any) -> int:
            calls.append("write")
            return super().write(data)

        def unwrap(self) -> None:
            calls.append("unwrap")
            super().unwrap()

    async def main() -> None:
        context = authority.client()
        context.sslobject_class = Noting
        async with tls_pair(authority.server(), context) as (client, served):
            assert type(client.transport.get_extra_info("ssl_object")) is Noting
            await ping_pong(client, served)
        assert set(calls) == {"do_handshake", "read", "write", "unwrap"}

    run(main())


def test_subclass_of_ssl_object_that_writes_in_parts(run: Run, authority: Authority) -> None:
    class Partial(ssl.SSLObject):
        def write(self, data: Any) -> int:
            return super().write(memoryview(data)[:1000])

    payload = bytes(range(251)) * 100

    async def main() -> None:
        context = authority.client()
        context.sslobject_class = Partial
        async with tls_pair(authority.server(), context) as (client, served):
            client.transport.write(payload)
            client.transport.write(bytearray(payload))
            client.transport.writelines([payload, memoryview(payload)])
            assert await served.received(4 * len(payload)) == 4 * payload
            assert client.transport.get_write_buffer_size() == 0

    run(main())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_renegotiation_is_refused(run: Run, authority: Authority, asyncio_log: Log) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[Recorder] = loop.create_future()

        def accept() -> Recorder:
            accepted.set_result(Recorder())
            return accepted.result()

        server = await loop.create_server(accept, "127.0.0.1", 0, ssl=authority.server())
        port = server.sockets[0].getsockname()[1]
        client = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert client.stdin is not None
        served = await accepted
        await served.until(lambda: bool(served.calls))
        client.stdin.write(b"before\n")
        assert await served.received(7) == b"before\n"
        client.stdin.write(b"R\n")
        output, _ = await client.communicate()
        assert b"RENEGOTIATING" in output
        assert b"no renegotiation" in output
        await served.lost
        assert served.data == b"before\n"
        server.close()
        await settle()

    run(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ssl": "no context"}, AttributeError),
        ({"ssl": True, "ssl_handshake_timeout": 0}, ValueError),
        ({"ssl": True, "ssl_shutdown_timeout": -1}, ValueError),
    ],
)
def test_what_cannot_be(run: Run, options: dict[str, Any], error: type[Exception]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right, pytest.raises(error):
            await loop.create_connection(Recorder, sock=left, server_hostname=HOST, **options)
        await settle()

    run(main())
