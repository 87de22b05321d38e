"""Accepting connections, and going on without descriptors."""

import asyncio
import errno
import socket
import ssl
import weakref
from asyncio import base_events, constants, trsock
from collections.abc import Callable
from typing import Any

from rsloop_core._core import Clients, accept, accept_streams

#: What passes when something is closed. The listener stays readable meanwhile.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listeners(asyncio.SelectorEventLoop):
    """The part of the loop that create_server() and its kin listen with."""

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: ssl.SSLContext | None = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: Any = None,
    ) -> None:
        # From 3.13 on. In a server that was stopped and started there may be some already.
        if type(getattr(server, "_clients", None)) is weakref.WeakSet and not server._clients:
            server._clients = Clients()
        timeouts = (ssl_handshake_timeout, ssl_shutdown_timeout)
        rest = timeouts if context is None else (*timeouts, context)
        super()._start_serving(  # type: ignore[misc]
            protocol_factory, sock, sslcontext, server, backlog, *rest
        )

    def _accept_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: ssl.SSLContext | None = None,
        server: asyncio.AbstractServer | None = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: Any = None,
    ) -> None:
        try:
            # Here and not in a method of its own, because every connection comes by.
            if sslcontext is None and accept_streams(
                self, sock, protocol_factory, server, backlog + 1, context
            ):
                return
            exhausted = None
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise  # the loop reports it
            exhausted = error
        timeouts = (ssl_handshake_timeout, ssl_shutdown_timeout)
        rest = timeouts if context is None else (*timeouts, context)
        arguments = (protocol_factory, sock, sslcontext, server, backlog, *rest)
        exhausted = exhausted or self._accept_by_tasks(*arguments)
        if exhausted is not None:
            self.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": exhausted,
                    "socket": trsock.TransportSocket(sock),
                }
            )
            self._remove_reader(sock.fileno())
            self.call_later(constants.ACCEPT_RETRY_DELAY, self._accept_again, sock, arguments)

    def _accept_again(self, sock: socket.socket, arguments: Any) -> None:
        """Go on listening when descriptors are free again, and say nothing before."""
        if sock.fileno() == -1:  # the server was closed meanwhile
            return
        exhausted = None
        try:
            # One way to accept is enough to find out.
            exhausted = self._accept_by_tasks(*arguments)
        finally:
            # Also after an error of one connection, which the loop reports.
            if exhausted is not None:
                self.call_later(constants.ACCEPT_RETRY_DELAY, self._accept_again, sock, arguments)
            elif sock.fileno() != -1:
                self._start_serving(*arguments)

    def _accept_by_tasks(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: ssl.SSLContext | None,
        server: asyncio.AbstractServer | None,
        backlog: int,
        ssl_handshake_timeout: float | None,
        ssl_shutdown_timeout: float | None,
        context: Any = None,
    ) -> OSError | None:
        """Accept what waits, backlog and one more at most, with a task for each, as asyncio does.

        Returns the error that passes.
        """
        own: dict[str, Any] = {}
        for _ in range(backlog + 1):
            try:
                accepted = accept(sock)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno in EXHAUSTED:
                    return error
                raise  # the loop reports it
            if accepted is None:
                return None
            connection, address = accepted
            if self._debug:
                base_events.logger.debug(
                    "%r got a new connection from %r: %r", server, address, connection
                )
            if context is not None:
                own = {"context": context.copy()}
            served = self._accept_connection2(
                protocol_factory,
                connection,
                {"peername": address},
                sslcontext,
                server,
                ssl_handshake_timeout,
                ssl_shutdown_timeout,
                **own,
            )
            self.create_task(served, **own)
        return None
