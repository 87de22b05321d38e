"""Where CPython's loop makes its stream transports, ours makes its own."""

import asyncio
import ssl
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rsloop_core._stream_transport import StreamTransport
from rsloop_core._tls_protocol import SSLProtocol, SSLTransport

if TYPE_CHECKING:
    import socket


F = TypeVar("F", bound=Callable[..., object])


class _Sslproto:
    """What stands for the module asyncio.sslproto."""

    SSLProtocol = SSLProtocol


def _with_names(method: F, **names: object) -> F:
    """Make a copy of a method of asyncio's loop for which these global names mean these objects."""
    original = cast("FunctionType", method)
    given = {**original.__globals__, **names}
    copy = FunctionType(original.__code__, given, original.__name__, original.__defaults__)
    copy.__kwdefaults__ = original.__kwdefaults__
    copy.__doc__ = original.__doc__
    return cast("F", copy)


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
    ) -> SSLTransport:
        self._ensure_fd_no_transport(rawsock)
        ssl_protocol = SSLProtocol(self, protocol, sslcontext, waiter, **tls)
        given = {} if context is None else {"context": context}
        StreamTransport(self, rawsock, ssl_protocol, extra=extra, server=server, **given)
        return ssl_protocol._get_app_transport()

    #: CPython's own, of whichever version runs, with our protocol where it names asyncio's.
    start_tls = _with_names(asyncio.BaseEventLoop.start_tls, sslproto=_Sslproto)
