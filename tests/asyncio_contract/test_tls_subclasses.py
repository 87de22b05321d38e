"""Subclasses of SSLContext, truststore's among them: what they override is what happens."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from .conftest import Log, Run
from .recorders import Recorder
from .tls_connections import HOST, Authority, settle, tls_pair

over_both_data_paths = True


class Noting(ssl.SSLContext):
    """A context that notes what it wraps, and is otherwise as any."""

    wrapped: list[tuple[bool, str | None]]

    def wrap_bio(self, incoming: Any, outgoing: Any, *args: Any, **options: Any) -> ssl.SSLObject:
        tls = super().wrap_bio(incoming, outgoing, *args, **options)
        self.wrapped.append((tls.server_side, tls.server_hostname))
        return tls


async def connect_in_vain(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """Connect, and raise what the handshake raises."""
    loop = asyncio.get_running_loop()
    served: list[Recorder] = []

    def accept() -> Recorder:
        served.append(Recorder())
        return served[-1]

    async with await loop.create_server(accept, "127.0.0.1", 0, ssl=server_context) as server:
        try:
            await loop.create_connection(
                Recorder,
                *server.sockets[0].getsockname(),
                ssl=client_context,
                server_hostname=HOST,
            )
        finally:
            await settle()
            for recorder in served:
                if recorder.calls:
                    await recorder.lost


def test_wrap_bio_of_a_subclass_is_called(run: Run, authority: Authority) -> None:
    server, client = Noting(ssl.PROTOCOL_TLS_SERVER), Noting(ssl.PROTOCOL_TLS_CLIENT)
    server.wrapped, client.wrapped = [], []
    authority.certificate.configure_cert(server)
    authority.authority.configure_trust(client)

    async def main() -> None:
        async with tls_pair(server, client) as (connected, served):
            assert connected.transport.get_extra_info("sslcontext") is client
            assert served.transport.get_extra_info("sslcontext") is server
            connected.transport.write(b"ping")
            assert await served.received(4) == b"ping"
            served.transport.write(b"pong")
            assert await connected.received(4) == b"pong"

    run(main())
    assert (server.wrapped, client.wrapped) == ([(True, None)], [(False, HOST)])


def test_wrap_bio_of_a_subclass_may_refuse(run: Run) -> None:
    class Refusing(ssl.SSLContext):
        def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
            raise LookupError("not today")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right, pytest.raises(LookupError, match="not today"):
            await loop.create_connection(
                Recorder,
                sock=left,
                ssl=Refusing(ssl.PROTOCOL_TLS_CLIENT),
                server_hostname=HOST,
            )
        await settle()

    run(main())


def test_subclass_that_verifies_by_itself(run: Run, authority: Authority, asyncio_log: Log) -> None:
    """As truststore does on macOS and Windows, in the SSLObject's do_handshake()."""
    seen: list[bytes | None] = []

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            seen.append(self.getpeercert(binary_form=True))
            if pinned != seen[-1]:
                raise ssl.SSLCertVerificationError("another certificate is pinned")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslobject_class = Pinned
    pinned: bytes | None = b"another"

    async def main() -> None:
        nonlocal pinned
        with pytest.raises(ssl.SSLCertVerificationError, match="pinned"):
            await connect_in_vain(authority.server(), context)
        pinned = seen[-1]
        assert pinned is not None
        async with tls_pair(authority.server(), context) as (client, served):
            client.transport.write(b"ping")
            assert await served.received(4) == b"ping"

    run(main())


@pytest.fixture
def trust(authority: Authority, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return truststore, where the system's certificates are `authority`'s alone."""
    truststore = pytest.importorskip("truststore")
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(authority.authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    return truststore


def test_truststore_context(run: Run, authority: Authority, trust: Any) -> None:
    async def main() -> None:
        context = trust.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert isinstance(context, ssl.SSLContext)
        async with tls_pair(authority.server(), context) as (client, served):
            transport = client.transport
            assert transport.get_extra_info("sslcontext") is context
            assert isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
            assert ("DNS", HOST) in transport.get_extra_info("peercert")["subjectAltName"]
            transport.write(b"ping" * 10_000)
            assert await served.received(40_000) == b"ping" * 10_000
            served.transport.write(b"pong")
            assert await client.received(4) == b"pong"

    run(main())


def test_truststore_refuses_whom_the_system_does_not_know(
    run: Run, trust: Any, asyncio_log: Log
) -> None:
    async def main() -> None:
        context = trust.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect_in_vain(Authority().server(), context)

    run(main())


def test_start_tls_by_a_truststore_context(run: Run, authority: Authority, trust: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[Recorder] = loop.create_future()

        def accept() -> Recorder:
            accepted.set_result(Recorder())
            return accepted.result()

        server = await loop.create_server(accept, "127.0.0.1", 0)
        transport, client = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
        served = await accepted
        server.close()
        await served.until(lambda: bool(served.calls))
        context = trust.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ours, theirs = await asyncio.gather(
            loop.start_tls(transport, client, context, server_hostname=HOST),
            loop.start_tls(served.transport, served, authority.server(), server_side=True),
        )
        assert ours is not None
        assert theirs is not None
        ours.write(b"ping")
        assert await served.received(4) == b"ping"
        ours.close()
        theirs.close()
        await asyncio.gather(client.lost, served.lost)
        await settle()

    run(main())
