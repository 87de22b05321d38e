"""loop.sendfile and loop.sock_sendfile."""

import asyncio
import io
import socket
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
