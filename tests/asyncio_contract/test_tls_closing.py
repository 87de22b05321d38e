"""TLS connections that end: properly, cut off, broken, too late, in the middle of everything."""

import asyncio
import gc
import socket
import ssl
import sys
import weakref
from typing import Any

import pytest

from .conftest import Log, LoopFactory, Run, counts, stdlib_fault
from .recorders import Recorder
from .tls_connections import HOST, Authority, client_and_peer, settle, tls_pair

over_both_data_paths = True
# With the stdlib loop as well: the connection of a protocol or session that raised.
kept_by_cpython = sys.version_info >= (3, 14)

BULK = bytes(range(256)) * (8 << 12)  # 8 MiB


def said(reason: str) -> str:
    """Return what the running OpenSSL says when records cannot be read for this reason."""
    return reason if ssl.OPENSSL_VERSION_INFO < (3, 2) else "RECORD_LAYER_FAILURE"


def test_proper_end(run: Run, loop_kind: str, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            await peer.send(b"last words")
            await peer.say_goodbye()
            assert await client.lost is None
            assert client.data == b"last words"
            assert client.calls[1:] == ["data_received", "eof_received", "connection_lost"]
            if loop_kind == "rsloop":
                assert client.transport.get_extra_info("close_notify_received") is True

    run(main())


def test_truncation(run: Run, loop_kind: str, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            await peer.send(b"last wo")
            peer.sock.close()
            # asyncio does not tell it from a proper end; what is ours does.
            assert await client.lost is None
            assert client.data == b"last wo"
            assert client.calls[1:] == ["data_received", "eof_received", "connection_lost"]
            if loop_kind == "rsloop":
                assert client.transport.get_extra_info("close_notify_received") is False

    run(main())


def test_truncation_in_a_record(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            await peer.send(b"whole")
            assert await client.received(5) == b"whole"
            peer.tls.write(b"half")
            await peer.loop.sock_sendall(peer.sock, peer.outgoing.read()[:-3])
            peer.sock.close()
            assert await client.lost is None
            assert client.data == b"whole"

    run(main())


def test_end_while_reading_is_paused(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            client.transport.pause_reading()
            await peer.send(b"last words")
            await peer.say_goodbye()
            await settle()
            assert client.data == b""
            client.transport.resume_reading()
            assert await client.lost is None
            assert client.data == b"last words"

    run(main())


def test_close_sends_what_is_queued(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            for start in range(0, len(BULK), 100_000):
                client.transport.write(BULK[start : start + 100_000])
            client.transport.close()
            assert await peer.receive_to_end() == BULK
            await peer.say_goodbye()
            assert await client.lost is None

    run(main())


def test_peer_that_is_done_still_gets_what_is_queued(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            client.transport.write(BULK)
            await peer.say_goodbye()
            assert await peer.receive_to_end() == BULK
            assert await client.lost is None

    run(main())


def test_close_during_a_download(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            sending = asyncio.ensure_future(peer.send(BULK))
            await client.received(1)
            client.transport.close()
            received = len(client.data)
            await client.lost
            assert len(client.data) == received < len(BULK)
            with pytest.raises(ConnectionError):
                await sending

    run(main())


def test_close_inside_data_received(run: Run, authority: Authority) -> None:
    class Closing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.close()

    async def main() -> None:
        async with client_and_peer(authority, Closing) as (client, peer):
            await peer.send(b"enough")
            assert await peer.receive_to_end() == b""
            await peer.say_goodbye()
            assert await client.lost is None
            assert client.calls == [
                "connection_made",
                "data_received",
                "eof_received",
                "connection_lost",
            ]

    run(main())


def test_peer_that_never_says_goodbye(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority, ssl_shutdown_timeout=0.01) as (client, _peer):
            client.transport.close()
            error = await client.lost
            assert type(error) is TimeoutError
            assert str(error) == "SSL shutdown timed out"

    run(main())


def test_a_second_close_forgets_nothing(run: Run, loop_kind: str, authority: Authority) -> None:
    stdlib_fault(loop_kind, "cannot abort a TLS connection that was closed twice")

    async def main() -> None:
        async with client_and_peer(authority) as (client, _peer):
            transport = client.transport
            transport.close()
            transport.close()
            assert transport.is_closing()
            assert transport.is_reading()
            assert transport.get_protocol() is client
            assert transport.get_write_buffer_limits()[0] > 0
            # The peer answers nothing, and shutting down would take half a minute.
            transport.abort()
            assert await client.lost is None

    run(main())


def test_broken_pipe(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            sock = served.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            served.transport.abort()  # which resets the connection
            while not client.lost.done():
                client.transport.write(b"x" * 65536)
                await asyncio.sleep(0)
            error = client.lost.result()
            assert isinstance(error, ConnectionError)
            assert client.calls.count("connection_lost") == 1

    run(main())


def test_abort_drops_what_is_queued(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, _peer):
            client.transport.write(BULK)
            client.transport.abort()
            assert client.transport.is_closing()
            assert await client.lost is None

    run(main())


def test_late_writes_are_logged(run: Run, authority: Authority, asyncio_log: Log) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, _peer):
            client.transport.close()
            for _ in range(5):
                client.transport.write(b"too late")
            assert asyncio_log.messages == []
            client.transport.write(b"too late")
            client.transport.writelines([b"too", b"late"])
            assert asyncio_log.messages == ["SSL connection is closed"] * 2

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tampered_record(run: Run, authority: Authority, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        context = authority.server()
        context.minimum_version = context.maximum_version = version
        async with client_and_peer(authority, server_context=context) as (client, peer):
            peer.tls.write(b"genuine")
            record = bytearray(peer.outgoing.read())
            record[-1] ^= 1
            await peer.loop.sock_sendall(peer.sock, record)
            error = await client.lost
            assert type(error) is ssl.SSLError
            assert error.library == "SSL"
            assert error.reason == said("DECRYPTION_FAILED_OR_BAD_RECORD_MAC")
            assert f"[SSL: {error.reason}]" in str(error)
            assert "eof_received" not in client.calls

    run(main())


def test_data_before_a_broken_record(run: Run, loop_kind: str, authority: Authority) -> None:
    stdlib_fault(loop_kind, "drops data that came together with what breaks the connection")

    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            peer.tls.write(b"genuine")
            records = peer.outgoing.read()
            await peer.loop.sock_sendall(peer.sock, records + b"garbage that is no record")
            error = await client.lost
            assert isinstance(error, ssl.SSLError)
            assert client.data == b"genuine"

    run(main())


def test_plain_text_in_the_middle(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with client_and_peer(authority) as (client, peer):
            await peer.loop.sock_sendall(peer.sock, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            error = await client.lost
            assert type(error) is ssl.SSLError
            assert error.reason == said("WRONG_VERSION_NUMBER")

    run(main())


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
def test_protocol_that_raises(
    run: Run, authority: Authority, asyncio_log: Log, method: str
) -> None:
    class OopsError(Exception):
        pass

    class Raising(Recorder):
        pass

    def fail(self: Recorder, *_: object) -> None:
        raise OopsError

    setattr(Raising, method, fail)
    handled: list[BaseException | None] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            handled.append(sys.exception())
            loop.default_exception_handler(context)

        loop.set_exception_handler(handler)
        async with client_and_peer(authority, Raising) as (client, peer):
            await peer.send(b"data" if method == "data_received" else b"")
            await peer.say_goodbye()
            error = await client.lost
            assert isinstance(error, OopsError)
            assert handled[0] is error
            expected = {
                "data_received": "Fatal error on SSL protocol",
                "eof_received": "Error calling eof_received()",
            }
            assert asyncio_log.messages[0].splitlines()[0] == expected[method]

    run(main())


def test_extra_info_outlives_the_connection(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with tls_pair(authority.server(), authority.client()) as (client, served):
            transport = client.transport
            tls = transport.get_extra_info("ssl_object")
            served.transport.close()
            await client.lost
            assert transport.get_extra_info("ssl_object") is tls
            assert transport.get_extra_info("cipher")[0]
            assert transport.get_extra_info("peername") is None
            assert transport.get_write_buffer_size() == 0
            assert transport.is_closing()
            assert tls.version() == "TLSv1.3"

    run(main())


class Tracked(asyncio.Protocol):
    """A protocol that a weak reference can follow."""


@pytest.mark.parametrize("ending", ["close", "drop"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pending_connections_go_with_their_loop(
    loop_factory: LoopFactory, authority: Authority, ending: str, asyncio_log: Log
) -> None:
    """One that has much to send, and one in the middle of its handshake."""
    gc.collect()
    before = counts()
    loop = loop_factory()

    async def leave_open() -> list[Any]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Tracked, "127.0.0.1", 0, ssl=authority.server())
        client, protocol = await loop.create_connection(
            Tracked,
            *server.sockets[0].getsockname(),
            ssl=authority.client(),
            server_hostname=HOST,
        )
        client.pause_reading()
        client.write(bytes(10_000_000))
        silent.setblocking(False)
        await loop.sock_connect(silent, server.sockets[0].getsockname())
        await settle()
        return [server, client, protocol]

    with socket.socket() as silent:
        opened = loop.run_until_complete(leave_open())
        alive = [weakref.ref(each) for each in [loop, *opened]]
        if ending == "close":
            loop.close()
    del loop, opened
    for _ in range(3):
        gc.collect()
    assert [ref() for ref in alive if ref() is not None] == []
    assert counts() == before
