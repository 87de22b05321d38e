"""A socket closed or detached under its transport, whose number another descriptor gets."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Run, stdlib_fault
from .connections import connection, listening_socket
from .recorders import Recorder

pytestmark = pytest.mark.parametrize("how", ["close", "detach"])


class Reused:
    """A transport whose socket is gone, and a pair of sockets one of which has its number."""

    transport: Any
    protocol: Recorder
    ours: socket.socket
    theirs: socket.socket

    @classmethod
    async def make(cls, how: str) -> "Reused":
        """Make the transport, and take its socket away as `how` says."""
        self = cls()
        loop = asyncio.get_running_loop()
        with listening_socket() as listener:
            sock = socket.create_connection(listener.getsockname())
            self.transport, self.protocol = await loop.create_connection(Recorder, sock=sock)
            peer, _ = await loop.sock_accept(listener)
        number = sock.fileno()
        if how == "close":
            sock.close()
        else:
            os.close(sock.detach())
        peer.close()
        self.ours, self.theirs = socket.socketpair()
        if self.theirs.fileno() == number:
            self.ours, self.theirs = self.theirs, self.ours
        elif self.ours.fileno() != number:
            os.dup2(self.ours.fileno(), number)
            self.ours.close()
            self.ours = socket.socket(fileno=number)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        return self

    def close(self) -> None:
        """Close the pair."""
        self.ours.close()
        self.theirs.close()


def test_what_is_written_goes_to_nobody(run: Run, how: str) -> None:
    async def main() -> None:
        reused = await Reused.make(how)
        reused.transport.write(b"secret")
        error = await reused.protocol.lost
        assert isinstance(error, OSError)
        assert error.errno == 9
        with pytest.raises(BlockingIOError):
            reused.theirs.recv(100)
        assert reused.ours.fileno() > 0
        reused.close()

    run(main())


@pytest.mark.parametrize("end", ["close", "abort", "pause_reading"])
def test_others_stay_watched(run: Run, loop_kind: str, how: str, end: str) -> None:
    stdlib_fault(loop_kind, "stops watching the new owner of the number")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reused = await Reused.make(how)
        arrived = asyncio.Event()
        # Below the check that would refuse a number that a transport thinks its own.
        watch: Callable[..., Any] = loop._add_reader  # type: ignore[attr-defined]
        watch(reused.ours.fileno(), arrived.set)
        getattr(reused.transport, end)()
        await asyncio.sleep(0.01)
        reused.theirs.send(b"data")
        await asyncio.wait_for(arrived.wait(), 5)
        assert reused.ours.recv(100) == b"data"
        loop._remove_reader(reused.ours.fileno())  # type: ignore[attr-defined]
        reused.transport.abort()
        await reused.protocol.lost
        assert os.fstat(reused.ours.fileno())
        reused.close()

    run(main())


def test_nothing_is_read_from_others(run: Run, how: str) -> None:
    async def main() -> None:
        reused = await Reused.make(how)
        reused.theirs.send(b"not for you")
        for _ in range(3):
            await asyncio.sleep(0.01)
        assert reused.protocol.data == b""
        assert reused.ours.recv(100) == b"not for you"
        reused.transport.abort()
        await reused.protocol.lost
        reused.close()

    run(main())


@pytest.mark.parametrize("end", ["close", "abort"])
def test_connection_is_lost_though_data_waits(run: Run, loop_kind: str, how: str, end: str) -> None:
    if end == "close":
        stdlib_fault(loop_kind, "raises OSError, and the connection is never lost")

    async def main() -> None:
        async with connection(Recorder) as (transport, protocol, _peer):
            transport.write(bytes(16 << 20))
            sock = transport.get_extra_info("socket")._sock
            if how == "close":
                sock.close()
            else:
                os.close(sock.detach())
            # asyncio fails once to withdraw what is closed, and can be called again.
            with contextlib.suppress(OSError):
                getattr(transport, end)()
            transport.abort()
            error = await protocol.lost
            assert (error is None) == (end == "abort")
            assert protocol.calls.count("connection_lost") == 1

    run(main())
