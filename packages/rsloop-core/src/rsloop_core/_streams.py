"""Where CPython's loop makes its stream transports, ours makes its own."""

import asyncio
import ssl
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

from rsloop_core._stream_transport import StreamTransport

if TYPE_CHECKING:
    import socket


class Streams(asyncio.SelectorEventLoop):
    """The hooks by which create_connection(), create_server() and their kin make transports.

    They take whatever keywords the running CPython's hooks take: 3.15 adds context.
    """

    def _make_socket_transport(
        self,
        sock: "socket.socket",
        protocol: asyncio.BaseProtocol,
        waiter: "asyncio.Future[None] | None" = None,
        *,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        **context: Any,
    ) -> StreamTransport:
        self._ensure_fd_no_transport(sock)
        return StreamTransport(self, sock, protocol, waiter, extra, server, **context)

    def _make_ssl_transport(
        self,
        rawsock: "socket.socket",
        protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext,
        waiter: "asyncio.Future[None] | None" = None,
        *,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        context: Any = None,
        **tls: Any,
    ) -> asyncio.Transport:
        self._ensure_fd_no_transport(rawsock)
        ssl_protocol = sslproto.SSLProtocol(self, protocol, sslcontext, waiter, **tls)  # type: ignore[arg-type]
        given = {} if context is None else {"context": context}
        StreamTransport(self, rawsock, ssl_protocol, extra=extra, server=server, **given)
        return ssl_protocol._app_transport
