"""Stream transports: CPython's transport, with its hot half and its state in Rust."""

import asyncio
import sys
from asyncio import constants, selector_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from rsloop_core._core import Stream, attach_stream_methods, open_stream
from rsloop_core._tls_protocol import SSLProtocol
from rsloop_core._transport_fields import in_state, set_by_inherited_code

if TYPE_CHECKING:
    import socket


def _in_stream(name: str) -> property:
    return in_state("_stream", name)


class StreamTransport(selector_events._SelectorSocketTransport):
    """A connected stream socket.

    What happens with each byte is Rust: reading, write(), writelines(), flow control. What
    happens once in a connection is the running CPython's.
    """

    #: Set once, by open_stream(), and read-only: Rust looks into it without asking.
    __slots__ = ("_stream",)

    _stream: Stream

    _closing = _in_stream("closing")
    _conn_lost = _in_stream("conn_lost")
    _empty_waiter = _in_stream("empty_waiter")
    _eof = _in_stream("eof")
    _paused = _in_stream("paused")
    _protocol_paused = _in_stream("protocol_paused")

    #: Inherited code looks whether it is empty, and clears it.
    _buffer = set_by_inherited_code(lambda self: self._stream)
    #: Rust calls neither; set in each instance they would be reference cycles.
    _write_ready = set_by_inherited_code(lambda _self: None)
    _read_ready_cb = set_by_inherited_code(lambda _self: None)

    def __init__(
        self,
        loop: asyncio.SelectorEventLoop,
        sock: "socket.socket",
        protocol: asyncio.BaseProtocol,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        open_stream(self, loop, sock.fileno())
        super().__init__(loop, sock, protocol, *args, **kwargs)

    def _get_protocol(self) -> asyncio.BaseProtocol | None:
        return self._stream.protocol

    def _set_protocol(self, protocol: asyncio.BaseProtocol | None) -> None:
        buffered = isinstance(protocol, asyncio.BufferedProtocol)
        tls = None
        if isinstance(protocol, SSLProtocol):
            tls = protocol._tls
            protocol.taking_over(paused=self._protocol_paused)
        self._stream.set_protocol(protocol, buffered, tls)

    _protocol = property(_get_protocol, _set_protocol)

    def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_write_buffer_limits(high, low)
        self._stream.set_high_water(int(min(self._high_water, sys.maxsize)))

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            super()._call_connection_lost(exc)
        finally:
            self._stream.release()

    def _shut_down_writing(self) -> None:
        import socket

        self._sock.shutdown(socket.SHUT_WR)

    def _warn_of_late_write(self, earlier: int) -> None:
        if earlier >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            logger.warning("socket.send() raised exception.")


attach_stream_methods(StreamTransport)
