"""Datagram transports: CPython's transport, with its hot half and its state in Rust."""

import asyncio
from asyncio import selector_events
from typing import TYPE_CHECKING, Any

from rsloop_core._core import Datagram, attach_datagram_methods, open_datagram
from rsloop_core._flow_control import late_write_warning, set_write_buffer_limits
from rsloop_core._transport_fields import set_by_inherited_code

if TYPE_CHECKING:
    import socket


class DatagramTransport(selector_events._SelectorDatagramTransport, asyncio.DatagramTransport):
    """A datagram socket.

    What happens with each datagram is Rust: receiving, sendto(), flow control. What happens once
    in the life of a transport is the running CPython's.
    """

    #: Set once, by open_datagram(), and read-only: Rust looks into it without asking.
    __slots__ = ("_datagram",)

    _datagram: Datagram

    #: Inherited code looks whether it is empty, and clears it.
    _buffer = set_by_inherited_code(lambda self: self._datagram)
    _buffer_size = set_by_inherited_code(lambda self: self._datagram.pending_bytes())

    def __init__(
        self,
        loop: asyncio.SelectorEventLoop,
        sock: "socket.socket",
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        open_datagram(self, loop, sock)
        # The type checker knows this class by another constructor.
        super().__init__(loop, sock, protocol, address, *args, **kwargs)  # type: ignore[call-arg, arg-type]
        connected = self._extra["peername"] is not None
        self._datagram.set_peer(address or None, connected)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            super()._call_connection_lost(exc)
        finally:
            self._datagram.release()

    _set_write_buffer_limits = set_write_buffer_limits
    _warn_of_late_write = late_write_warning("socket.send() raised exception.")


attach_datagram_methods(DatagramTransport)
