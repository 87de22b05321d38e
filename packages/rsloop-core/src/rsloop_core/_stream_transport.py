"""Stream transports: CPython's transport, with its hot half and its state in Rust."""

import asyncio
from asyncio import selector_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from rsloop_core._core import Stream, attach_stream_methods, open_stream
from rsloop_core._flow_control import late_write_warning, set_write_buffer_limits

if TYPE_CHECKING:
    import contextvars
    import socket


class StreamTransport(selector_events._SelectorSocketTransport):
    """A connected stream socket.

    What happens to every connection and with each byte is Rust: opening, reading, write(),
    writelines(), flow control, closing. The rest is the running CPython's. The attributes that
    it uses are Rust's too, see attributes.rs.
    """

    #: Set once, by open_stream(), and read-only: Rust looks into it without asking.
    __slots__ = ("_stream",)

    _stream: Stream

    #: asyncio's limits, until a transport is given its own.
    _high_water: float = 64 * 1024
    _low_water: float = 16 * 1024

    def __init__(
        self,
        loop: asyncio.SelectorEventLoop,
        sock: "socket.socket",
        protocol: asyncio.BaseProtocol,
        waiter: "asyncio.Future[None] | None" = None,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        context: "contextvars.Context | None" = None,
    ) -> None:
        open_stream(self, loop, sock, protocol, waiter, extra, server, context)

    @property
    def _buffer(self) -> Stream:
        """Inherited code looks whether it is empty, and clears it."""
        return self._stream

    def _shut_down_writing(self) -> None:
        import socket

        self._sock.shutdown(socket.SHUT_WR)

    def _log(self, message: str) -> None:
        logger.debug(message, self)

    _set_write_buffer_limits = set_write_buffer_limits
    _warn_of_late_write = late_write_warning("socket.send() raised exception.")


attach_stream_methods(StreamTransport)
