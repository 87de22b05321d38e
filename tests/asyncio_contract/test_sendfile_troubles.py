"""loop.sendfile and loop.sock_sendfile where something comes between."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .connections import connection
from .recorders import Recorder, receive_exactly, receive_to_end
from .test_sendfile import send_little
from .turns import turns

SIZE = 2 << 20
PAYLOAD = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a file of two megabytes."""
    path = tmp_path / "payload"
    path.write_bytes(PAYLOAD)
    return path


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two connected sockets that do not block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


Pair = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closing_the_transport_meanwhile(run: Run, loop_kind: str, file: Path, end: str) -> None:
    stdlib_fault(loop_kind, "waits for ever")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, protocol, peer):
            send_little(transport)
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(loop.sendfile(transport, opened))
                await turns(3)
                getattr(transport, end)()
                with pytest.raises(ConnectionError, match="Connection is closed"):
                    await sending
            assert await protocol.lost is None
            received = await receive_to_end(peer)
            assert len(received) < SIZE
            assert PAYLOAD.startswith(received)

    run(main())


def test_cancelled_while_earlier_data_waits(run: Run, loop_kind: str, file: Path) -> None:
    stdlib_fault(loop_kind, "refuses to write from then on")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, protocol, peer):
            send_little(transport)
            transport.write(PAYLOAD)
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(loop.sendfile(transport, opened))
                await turns(2)
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
            transport.write(b"after")
            assert await receive_exactly(peer, SIZE + 5) == PAYLOAD + b"after"
            assert transport.is_reading()
            peer.send(b"answer")
            assert await protocol.received(6) == b"answer"

    run(main())


@pytest.mark.parametrize("closing", [False, True], ids=["open", "closing"])
def test_cancelled_in_the_turn_that_sends_the_earlier_data(
    run: Run, loop_kind: str, file: Path, pair: Pair, closing: bool
) -> None:
    stdlib_fault(loop_kind, "fails on the cancelled future, and is never closed")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock, peer = pair
        transport, protocol = await loop.create_connection(Recorder, sock=sock)
        fill(transport)
        with file.open("rb") as opened:
            sending = asyncio.ensure_future(loop.sendfile(transport, opened))
            await turns(2)
            if closing:
                transport.close()
            while transport.get_write_buffer_size():
                # The poll of this turn finds room, when what cancels is in the queue already.
                with contextlib.suppress(BlockingIOError):
                    while peer.recv(SIZE):
                        pass
                loop.call_soon(sending.cancel)
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await sending
        if not closing:
            transport.write(b"after")
            assert peer.recv(SIZE).endswith(b"after")
            transport.close()
        assert await protocol.lost is None

    run(main())


def fill(transport: asyncio.Transport) -> int:
    """Write until a little waits, and return how many bytes that were in all."""
    written = 0
    while not transport.get_write_buffer_size():
        transport.write(b"x" * 1024)
        written += 1024
    return written


@pytest.mark.parametrize("waits", [False, True], ids=["sending", "waiting"])
def test_reading_that_is_resumed_meanwhile(run: Run, file: Path, waits: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, protocol, peer):
            send_little(transport)
            earlier = fill(transport) if waits else 0
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(loop.sendfile(transport, opened))
                await turns(3)
                assert not transport.is_reading()
                transport.resume_reading()
                peer.send(b"meanwhile")
                assert await protocol.received(9) == b"meanwhile"
                received = await receive_exactly(peer, earlier + SIZE)
                assert received.endswith(PAYLOAD)
                assert await sending == SIZE
            peer.send(b" and after")
            assert await protocol.received(19) == b"meanwhile and after"

    run(main())


def test_cancelling_leaves_the_position_and_frees_the_socket(
    run: Run, file: Path, pair: Pair
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair
        with file.open("rb") as opened:
            opened.seek(3)
            sending = asyncio.ensure_future(loop.sock_sendfile(left, opened))
            await turns(3)
            assert not sending.done()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert opened.tell() == 3
        assert not loop.remove_writer(left)
        sent = len(right.recv(SIZE))
        assert 0 < sent < SIZE

    run(main())


def test_socket_of_a_transport_is_refused(run: Run, loop_kind: str, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, peer = socket.socketpair()
        left.setblocking(False)
        peer.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
        with peer, file.open("rb") as opened:
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_sendfile(left, opened, count=10, fallback=False)
            # A difference on purpose: asyncio finds out when it would wait.
            if loop_kind == "rsloop":
                with pytest.raises(BlockingIOError):
                    peer.recv(10)
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_peer_that_goes_away_from_a_transport(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, protocol, peer):
            send_little(transport)
            with file.open("rb") as opened:
                sending = asyncio.ensure_future(loop.sendfile(transport, opened, fallback=False))
                await turns(3)
                await receive_exactly(peer, 1000)
                peer.close()
                with pytest.raises(ConnectionError):
                    await sending
                assert 0 < opened.tell() < SIZE
            assert not transport.is_closing() or not protocol.lost.done()
            transport.abort()
            await protocol.lost

    run(main())


def test_files_that_cannot_be_mapped(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, _ = pair
        read_end, write_end = os.pipe()
        with os.fdopen(read_end, "rb") as pipe, os.fdopen(write_end, "wb", 0) as writing:
            writing.write(b"in a pipe")
            # The kernel says that it has no size, so there seems nothing to send.
            assert await loop.sock_sendfile(left, pipe, fallback=False) == 0
            # CPython 3.14 sets a position all the same.
            error, words = asyncio.SendfileNotAvailableError, r"os\.sendfile call failed"
            if sys.version_info >= (3, 14):
                error, words = OSError, "Illegal seek"
            with pytest.raises(error, match=words):
                await loop.sock_sendfile(left, pipe, count=9, fallback=False)

    run(main())


def test_sockets_that_cannot_send(run: Run, file: Path, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        closed, _ = pair
        closed.close()
        with socket.socket() as unconnected, file.open("rb") as opened:
            unconnected.setblocking(False)
            for sock in (closed, unconnected):
                with pytest.raises((asyncio.SendfileNotAvailableError, OSError)):
                    await loop.sock_sendfile(sock, opened, fallback=False)
            with pytest.raises(OSError, match=r"Broken pipe|not connected"):
                await loop.sock_sendfile(unconnected, opened)

    run(main())


class Pretender:
    """Looks like a file, and has no open descriptor."""

    def __init__(self, number: object) -> None:
        self.number = number

    def fileno(self) -> Any:
        return self.number


def test_objects_that_pretend_to_be_files(run: Run, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, _ = pair
        pretender: Any = Pretender(1 << 20)
        with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
            await loop.sock_sendfile(left, pretender, fallback=False)
        other: Any = Pretender("number")
        with pytest.raises(TypeError):
            await loop.sock_sendfile(left, other, fallback=False)
        nothing: Any = object()
        with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file") as raised:
            await loop.sock_sendfile(left, nothing, fallback=False)
        assert isinstance(raised.value.__context__, AttributeError)
        assert not raised.value.__suppress_context__

    run(main())


def test_offset_beyond_what_files_have(run: Run, file: Path, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with file.open("rb") as opened, pytest.raises(OverflowError):
            await loop.sock_sendfile(pair[0], opened, offset=1 << 70, fallback=False)

    run(main())


def test_file_that_shrinks_meanwhile(run: Run, file: Path, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair
        with file.open("r+b") as opened:
            sending = asyncio.ensure_future(loop.sock_sendfile(left, opened))
            await turns(3)
            received = len(right.recv(1000))
            opened.truncate(SIZE // 2)
            rest = await receive_exactly(right, SIZE // 2 - received)
            assert await sending == SIZE // 2
            assert rest == PAYLOAD[received : SIZE // 2]
            assert opened.tell() == SIZE // 2

    run(main())


def test_file_that_grows_meanwhile(run: Run, file: Path, pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair
        with file.open("rb") as opened:
            sending = asyncio.ensure_future(loop.sock_sendfile(left, opened))
            await turns(3)
            with file.open("ab") as growing:
                growing.write(b"more")
            assert await receive_exactly(right, SIZE + 4) == PAYLOAD + b"more"
            assert await sending == SIZE + 4

    run(main())


def test_several_files_in_a_row(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        (tmp_path / "small").write_bytes(b"small ")
        async with connection(Recorder) as (transport, _, peer):
            with (tmp_path / "small").open("rb") as opened:
                for _ in range(3):
                    assert await loop.sendfile(transport, opened, fallback=False) == 6
                    transport.write(b"file ")
            assert await receive_exactly(peer, 33) == b"small file " * 3

    run(main())


def test_debug_mode(run: Run, file: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as (transport, _, peer):
            send_little(transport)
            with file.open("rb") as opened:
                receiving = asyncio.ensure_future(receive_exactly(peer, SIZE))
                assert await loop.sendfile(transport, opened, fallback=False) == SIZE
                assert await receiving == PAYLOAD
                left, right = socket.socketpair()
                with left, right, pytest.raises(ValueError, match="must be non-blocking"):
                    await loop.sock_sendfile(left, opened)

    run(main(), debug=True)
