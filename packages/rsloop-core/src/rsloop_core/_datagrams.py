"""Where CPython's loop makes its datagram transports, ours makes its own."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from rsloop_core._datagram_transport import DatagramTransport

if TYPE_CHECKING:
    import socket


class Datagrams(asyncio.SelectorEventLoop):
    """The hook by which create_datagram_endpoint() makes transports."""

    def _make_datagram_transport(
        self,
        sock: "socket.socket",
        protocol: asyncio.DatagramProtocol,
        address: Any = None,
        waiter: "asyncio.Future[None] | None" = None,
        extra: dict[str, Any] | None = None,
    ) -> DatagramTransport:
        if sys.version_info >= (3, 12):
            self._ensure_fd_no_transport(sock)
        return DatagramTransport(self, sock, protocol, address, waiter, extra)
