"""What may be done to a stream transport, and what its peer may do."""

import asyncio
import fcntl
import socket
import struct
import termios
from typing import Any

from .connections import listening_socket
from .outcomes import outcome
from .recorders import BufferedRecorder, Recorder, receive_to_end, reset
from .stories import Story


class StreamStory(Story):
    """A transport whose peer is a bare socket."""

    transport: Any
    peer: socket.socket

    def __init__(self, family: int) -> None:
        super().__init__()
        self.family = family

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self.family == socket.AF_UNIX:
            ours, self.peer = socket.socketpair()
        else:
            with listening_socket() as listener:
                ours = socket.create_connection(listener.getsockname())
                self.peer, _ = listener.accept()
        self.peer.setblocking(False)
        ours.setblocking(False)
        self.protocols: list[Any] = [Recorder()]
        self.transport, _ = await loop.create_connection(lambda: self.protocols[0], sock=ours)

    def state(self) -> tuple[object, ...]:
        transport = self.transport
        return (
            outcome(transport.is_closing),
            outcome(transport.is_reading),
            outcome(transport.get_write_buffer_limits),
            outcome(lambda: transport.get_write_buffer_size() > 0),
            outcome(lambda: transport.get_protocol() is self.protocols[-1]),
            [(merged(protocol.calls), bytes(protocol.data)) for protocol in self.protocols],
        )

    async def end(self) -> None:
        self.transport.abort()
        await self.settle()
        for protocol in self.protocols:
            self.seen.append(repr(protocol.lost.result()) if protocol.lost.done() else "not lost")
        self.seen.append(self.state())
        self.peer.close()

    def write(self) -> None:
        self.transport.write(b"some words")

    def write_nothing(self) -> None:
        self.transport.write(b"")

    def write_a_bytearray(self) -> None:
        data = bytearray(b"mutable")
        self.transport.write(data)
        data[:] = b"MUTABLE"

    def write_much(self) -> None:
        self.transport.write(bytes(8_000_000))

    def write_text(self) -> object:
        refusal = outcome(self.transport.write, "text")
        # Whose words 3.14 has changed in the middle.
        return refusal and refusal[0]

    def writelines(self) -> None:
        # Early 3.13 releases break the transport by a writelines() after the end.
        if not self.transport.is_closing():
            self.transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])

    def write_eof(self) -> None:
        self.transport.write_eof()

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        self.transport.resume_reading()

    def no_limits(self) -> None:
        self.transport.set_write_buffer_limits(high=100_000_000)

    def low_limits(self) -> None:
        self.transport.set_write_buffer_limits(high=10, low=5)

    def limits_of_zero(self) -> None:
        self.transport.set_write_buffer_limits(high=0)

    def bad_limits(self) -> None:
        self.transport.set_write_buffer_limits(high=1, low=2)

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def change(self, protocol: Any) -> None:
        if not self.transport.is_closing():
            # It gets no connection_made of its own.
            self.transport.set_protocol(protocol)
            self.protocols.append(protocol)

    def set_protocol(self) -> None:
        self.change(Recorder())

    def set_half_open_protocol(self) -> None:
        self.change(Recorder(keep_open_at_eof=True))

    def set_buffered_protocol(self) -> None:
        # Large enough that one turn takes all that waits.
        self.change(BufferedRecorder(65536))

    def peer_sends(self) -> Any:
        self.peer.send(b"from the peer")

    def peer_sends_a_lot(self) -> Any:
        # As much as one turn takes, at the most.
        self.peer.send(bytes(30_000))

    async def peer_reads(self) -> object:
        """Read all that the transport has sent and still sends."""
        sock = self.transport.get_extra_info("socket")
        if sock.fileno() < 0:
            return len(await receive_to_end(self.peer))
        total = 0
        while True:
            waiting = self.transport.get_write_buffer_size() + in_the_kernel(sock)
            try:
                while data := self.peer.recv(1 << 20):
                    total += len(data)
            except BlockingIOError:
                if not waiting:
                    return total
            else:
                return total, "end of file"
            await self.settle()
            if sock.fileno() < 0:
                return total + len(await receive_to_end(self.peer))

    def peer_shuts_down(self) -> Any:
        self.peer.shutdown(socket.SHUT_WR)

    def peer_closes(self) -> None:
        self.peer.close()

    def peer_resets(self) -> None:
        if self.family == socket.AF_UNIX:
            self.peer.close()
        else:
            reset(self.peer)


def in_the_kernel(sock: socket.socket) -> int:
    """Return how many bytes the kernel has taken that the peer has not got yet."""
    (count,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
    return int(count)


def merged(calls: list[str]) -> list[str]:
    """Drop repeated deliveries: how bytes are cut into pieces is not promised."""
    return [
        call
        for number, call in enumerate(calls)
        if not (
            number and call == calls[number - 1] and call in ("data_received", "buffer_updated")
        )
    ]
