"""loop.sendfile and loop.sock_sendfile."""

import asyncio
import io
import socket
import ssl
from pathlib import Path

import pytest

from .conftest import Run
from .connections import SIDES, connection
from .recorders import Recorder, receive_exactly

PAYLOAD = bytes(range(256)) * 8192


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a file of two megabytes."""
    path = tmp_path / "payload"
    path.write_bytes(PAYLOAD)
    return path


def send_little(transport: asyncio.Transport) -> None:
    """Let the kernel take less of the transport than the file, until the peer receives."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


@pytest.mark.parametrize("side", SIDES)
def test_file_through_a_transport(run: Run, side: str, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder, side) as (transport, _, peer):
            transport.write(b"before ")
            with file.open("rb") as opened:
                receiving = asyncio.ensure_future(receive_exactly(peer, len(PAYLOAD) + 13))
                assert await loop.sendfile(transport, opened) == len(PAYLOAD)
                assert opened.tell() == len(PAYLOAD)
            transport.write(b" after")
            assert await receiving == b"before " + PAYLOAD + b" after"

    run(main())


def test_part_of_a_file(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, peer):
            with file.open("rb") as opened:
                assert await loop.sendfile(transport, opened, offset=100, count=1000) == 1000
                assert opened.tell() == 1100
            assert await receive_exactly(peer, 1000) == PAYLOAD[100:1100]

    run(main())


def test_fallback_for_objects_without_a_descriptor(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, peer):
            assert await loop.sendfile(transport, io.BytesIO(b"in memory")) == 9
            assert await receive_exactly(peer, 9) == b"in memory"
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sendfile(transport, io.BytesIO(b"x"), fallback=False)

    run(main())


def test_closing_transport_is_refused(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, _peer):
            transport.close()
            with file.open("rb") as opened, pytest.raises(RuntimeError, match="is closing"):
                await loop.sendfile(transport, opened)

    run(main())


def test_file_through_a_bare_socket(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        right.setblocking(False)
        with left, right, file.open("rb") as opened:
            receiving = asyncio.ensure_future(receive_exactly(right, len(PAYLOAD)))
            assert await loop.sock_sendfile(left, opened) == len(PAYLOAD)
            assert await receiving == PAYLOAD

    run(main())


@pytest.mark.parametrize(
    ("offset", "count", "kind"),
    [
        (-1, 1, ValueError),
        (0, 0, ValueError),
        (0, -1, ValueError),
        ("0", 1, TypeError),
        (0, "1", TypeError),
    ],
)
def test_bad_ranges_are_refused(
    run: Run, file: Path, offset: object, count: object, kind: type[Exception]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right, file.open("rb") as opened, pytest.raises(kind):
            await loop.sock_sendfile(left, opened, offset, count)  # type: ignore[arg-type]

    run(main())


def test_text_files_are_refused(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right, file.open() as opened, pytest.raises(ValueError, match="binary mode"):
            await loop.sock_sendfile(left, opened)  # type: ignore[arg-type]

    run(main())


@pytest.mark.parametrize(
    ("offset", "count", "sent"),
    [
        (0, None, 2 << 20),
        (100, None, (2 << 20) - 100),
        (2 << 20, None, 0),
        (3 << 20, None, 0),
        ((2 << 20) - 5, 100, 5),
        (7, 1, 1),
    ],
)
@pytest.mark.parametrize("through", ["transport", "socket"])
def test_what_is_sent_and_where_the_file_stands(
    run: Run, file: Path, through: str, offset: int, count: int | None, sent: int
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, peer):
            left, right = socket.socketpair()
            with left, right, file.open("rb") as opened:
                left.setblocking(False)
                right.setblocking(False)
                opened.seek(3)
                if through == "transport":
                    receiver, sending = peer, loop.sendfile(transport, opened, offset, count)
                else:
                    receiver, sending = right, loop.sock_sendfile(left, opened, offset, count)
                receiving = asyncio.ensure_future(receive_exactly(receiver, sent))
                assert await sending == sent
                assert await receiving == PAYLOAD[offset : offset + sent]
                # Newer CPythons set the position even when nothing was sent.
                assert opened.tell() in ({offset + sent} if sent else {3, offset})

    run(main())


def test_writing_is_refused_meanwhile(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, peer):
            send_little(transport)
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(loop.sendfile(transport, opened))
                for _ in range(3):
                    await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="sendfile is in progress"):
                    transport.write(b"x")
                with pytest.raises(RuntimeError, match="sendfile is in progress"):
                    transport.writelines([b"x"])
                assert await receive_exactly(peer, len(PAYLOAD)) == PAYLOAD
                assert await sending == len(PAYLOAD)
            transport.write(b"x")
            assert await receive_exactly(peer, 1) == b"x"

    run(main())


@pytest.mark.parametrize("paused", [False, True])
def test_reading_rests_meanwhile(run: Run, file: Path, paused: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, protocol, peer):
            if paused:
                transport.pause_reading()
            send_little(transport)
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(loop.sendfile(transport, opened))
                await asyncio.sleep(0)
                peer.send(b"meanwhile")
                for _ in range(3):
                    await asyncio.sleep(0.001)
                assert protocol.data == b""
                await receive_exactly(peer, len(PAYLOAD))
                await sending
            assert transport.is_reading() is not paused
            transport.resume_reading()
            assert await protocol.received(9) == b"meanwhile"

    run(main())


def test_cancelled_in_the_middle(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, peer):
            with file.open("rb") as opened:
                send_little(transport)
                sending = asyncio.ensure_future(loop.sendfile(transport, opened, fallback=False))
                for _ in range(10):
                    await asyncio.sleep(0.001)
                received = len(await receive_exactly(peer, 1000))
                assert received == 1000
                assert not sending.done()
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
            assert transport.is_reading()
            assert not transport.is_closing()
            transport.abort()

    run(main())


def test_peer_that_goes_away_in_the_middle(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right, file.open("rb") as opened:
            sending = asyncio.ensure_future(loop.sock_sendfile(left, opened))
            await asyncio.sleep(0.001)
            assert not sending.done()
            right.recv(100)
            right.close()
            with pytest.raises(ConnectionError):
                await sending
            assert 0 < opened.tell() < len(PAYLOAD)

    run(main())


def test_objects_without_a_descriptor_through_a_bare_socket(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
                await loop.sock_sendfile(left, io.BytesIO(b"x"), fallback=False)
            assert await loop.sock_sendfile(left, io.BytesIO(b"in memory"), 3) == 6
            assert right.recv(100) == b"memory"

    run(main())


def test_empty_files(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        (tmp_path / "empty").touch()
        async with connection(Recorder) as (transport, _, _peer):
            with (tmp_path / "empty").open("rb") as empty:
                assert await loop.sendfile(transport, empty) == 0
                assert await loop.sendfile(transport, empty, fallback=False) == 0

    run(main())


def test_datagrams_are_refused(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with socket.socket(type=socket.SOCK_DGRAM) as sock, file.open("rb") as opened:
            sock.setblocking(False)
            with pytest.raises(ValueError, match="only SOCK_STREAM type sockets"):
                await loop.sock_sendfile(sock, opened)
            with pytest.raises(RuntimeError, match="sendfile is not supported for transport"):
                await loop.sendfile(transport, opened)  # type: ignore[arg-type]
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_tls_sockets_are_refused(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context()
        with socket.socket() as plain, file.open("rb") as opened:
            wrapped = context.wrap_socket(plain, server_hostname="x", do_handshake_on_connect=False)
            with wrapped, pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                await loop.sock_sendfile(wrapped, opened)

    run(main())
