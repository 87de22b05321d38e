"""Sequences of operations on a TLS transport, drawn by hypothesis: the same on both loops."""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Iterator

import pytest

from .recorders import Recorder
from .stories import same_on_both_loops
from .stream_stories import StreamStory, in_the_kernel
from .tls_connections import HOST, Authority, Peer

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "by methods"])
def data_path(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have rsloop move data in one of its two ways: see docs/architecture.md."""
    from rsloop_core import _core

    before = _core.use_direct_tls(request.param)
    yield
    _core.use_direct_tls(before)


class TlsStory(StreamStory):
    """A client whose peer is a TLS session over a bare socket."""

    # A shutdown takes several turns.
    looks = 8

    def __init__(self, authority: Authority, version: ssl.TLSVersion) -> None:
        super().__init__(socket.AF_UNIX)
        self.server, self.client = authority.server(), authority.client()
        self.server.maximum_version = self.client.maximum_version = version

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        ours, self.peer = socket.socketpair()
        for sock in (ours, self.peer):
            sock.setblocking(False)
        self.tls = Peer(self.peer, self.server)
        self.protocols = [Recorder()]
        (self.transport, _), _ = await asyncio.gather(
            loop.create_connection(
                lambda: self.protocols[0], sock=ours, ssl=self.client, server_hostname=HOST
            ),
            self.tls.handshake(),
        )
        # The session tickets of TLS 1.3.
        await self.settle()

    def close(self) -> None:
        # asyncio's TLS transport forgets its connection when it is closed again.
        if not self.transport.is_closing():
            self.transport.close()

    async def peer_sends(self) -> None:
        await self.tls.send(b"from the peer")

    async def peer_sends_a_lot(self) -> None:
        await self.tls.send(bytes(30_000))

    async def peer_reads(self) -> object:
        """Read all that the transport has sent and still sends."""
        sock = self.transport.get_extra_info("socket")
        total = 0
        while True:
            closed = sock.fileno() < 0
            waiting = not closed and self.transport.get_write_buffer_size() + in_the_kernel(sock)
            with contextlib.suppress(BlockingIOError):
                while records := self.peer.recv(1 << 20):
                    self.tls.incoming.write(records)
            try:
                while data := self.tls.tls.read(1 << 20):
                    total += len(data)
            except ssl.SSLWantReadError:
                pass
            else:
                return total, "end of stream"
            if closed or not waiting:
                return total
            await self.settle()

    async def peer_shuts_down(self) -> None:
        await self.tls.say_goodbye()


OPERATIONS = (
    *("write", "write nothing", "write a bytearray", "write much", "write text", "writelines"),
    # Not limits of zero: asyncio's TLS then pauses and resumes in turns, each time it has nothing
    # to send, and does that less often while reading is paused.
    *("write eof", "pause", "resume", "no limits", "low limits", "bad limits"),
    *("close", "abort", "set protocol", "set buffered protocol"),
    *("peer sends", "peer sends a lot", "peer reads", "peer shuts down", "peer closes"),
)
SEQUENCES = strategies.lists(strategies.sampled_from(OPERATIONS), max_size=10)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("data_path")
@pytest.mark.parametrize("version", VERSIONS)
@hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(operations=SEQUENCES)  # type: ignore[untyped-decorator]
def test_the_same_story_on_both_loops(
    authority: Authority, version: ssl.TLSVersion, operations: list[str]
) -> None:
    same_on_both_loops(functools.partial(TlsStory, authority, version), operations)
