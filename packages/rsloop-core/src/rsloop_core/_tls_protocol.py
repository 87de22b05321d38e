"""TLS: CPython's protocol and transport, with their hot half and their state in Rust."""

import asyncio
import ssl
import sys
from asyncio import sslproto
from collections.abc import Callable
from typing import Any, cast

from rsloop_core._core import Tls, attach_tls_methods, open_tls
from rsloop_core._flow_control import late_write_warning
from rsloop_core._transport_fields import set_by_inherited_code


def _in_tls(name: str) -> property:
    """Make a property for a field that inherited code sets and Rust reads."""

    def read(self: "SSLProtocol") -> Any:
        return getattr(self._tls, name)

    def write(self: "SSLProtocol", value: Any) -> None:
        setattr(self._tls, name, value)

    return property(read, write)


class SSLTransport(sslproto._SSLProtocolTransport):
    """What the application's protocol sees of a TLS connection.

    write(), writelines() and get_write_buffer_size() are Rust.
    """

    #: Set once, by open_tls(), and read-only: Rust looks into it without asking.
    __slots__ = ("_tls",)

    _tls: Tls

    def __init__(self, loop: asyncio.AbstractEventLoop, ssl_protocol: "SSLProtocol") -> None:
        open_tls(self, ssl_protocol._tls)
        super().__init__(loop, ssl_protocol)  # type: ignore[arg-type]

    def close(self) -> None:
        """Send what waits and a close_notify, and close when the peer's has come."""
        # The inherited method forgets the connection when it is called again: abort() then does
        # nothing, and most other methods raise AttributeError.
        if not self._closed:  # type: ignore[has-type]
            super().close()

    _warn_of_late_write = late_write_warning("SSL connection is closed")


attach_tls_methods(SSLTransport)


class SSLProtocol(sslproto.SSLProtocol):
    """What stands between a transport of records and the application's protocol.

    The handshake, the shutdown, the end of file and the timeouts are the running CPython's; what
    moves data is Rust.
    """

    _app_reading_paused = _in_tls("app_reading_paused")
    _app_writing_paused = _in_tls("app_writing_paused")
    _ssl_reading_paused = _in_tls("ssl_reading_paused")
    _ssl_writing_paused = _in_tls("ssl_writing_paused")
    _conn_lost = _in_tls("conn_lost")

    _outgoing: ssl.MemoryBIO

    #: Inherited code looks whether it is empty, and clears it.
    _write_backlog = set_by_inherited_code(lambda self: self._tls)
    _write_buffer_size = set_by_inherited_code(lambda self: len(self._tls))

    #: Keeps __init__ from making a buffer of this size, which nearly no connection needs.
    max_size: int = 0  # type: ignore[misc]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._tls = Tls()
        super().__init__(*args, **kwargs)
        self._tls.begin(self, self._sslobj, self._incoming, self._outgoing)
        # What get_buffer() makes for a transport that is not our own.
        self.max_size = sslproto.SSLProtocol.max_size

    def _get_state(self) -> Any:
        return self._tls.phase

    def _set_state_object(self, state: Any) -> None:
        self._tls.set_phase(state, state.name)

    _state = property(_get_state, _set_state_object)

    def _get_app_transport(self) -> SSLTransport:
        if self._app_transport is None:
            if self._app_transport_created:
                raise RuntimeError("the transport of this connection is gone")
            self._app_transport = SSLTransport(self._loop, self)
            self._app_transport_created = True
        return cast("SSLTransport", self._app_transport)

    def _set_app_protocol(self, app_protocol: asyncio.BaseProtocol) -> None:
        super()._set_app_protocol(app_protocol)
        if isinstance(app_protocol, SSLProtocol):
            app_protocol.taking_over(paused=self._app_writing_paused)
        self._tls.set_app_protocol(app_protocol, self._app_protocol_is_buffer)

    def _set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_write_buffer_limits(high, low)  # type: ignore[misc]
        limits = (self._outgoing_high_water, self._outgoing_low_water)
        self._tls.set_outgoing_limits(*(int(min(limit, sys.maxsize)) for limit in limits))

    def _set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        super()._set_read_buffer_limits(high, low)  # type: ignore[misc]
        limits = (self._incoming_high_water, self._incoming_low_water)
        self._tls.set_incoming_limits(*(int(min(limit, sys.maxsize)) for limit in limits))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake over transport, which is connected."""
        self._tls.set_transport(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the application's protocol, and let go of everything."""
        # What is left to send is forgotten. Inherited code would do that whether or not another
        # thread is inside of the session, and so of this, too.
        self._tls.in_turn(self._outgoing.read)
        self._outgoing = ssl.MemoryBIO()
        try:
            super().connection_lost(exc)
        finally:
            self._tls.release()

    def taking_over(self, *, paused: bool) -> None:
        """Learn that a transport has this protocol from now on: start_tls().

        paused says whether it has paused the protocol before, which is the application's.
        """
        self._ssl_writing_paused = self._app_writing_paused = paused

    def resume_writing(self) -> None:
        """Go on sending records: the transport below has room again."""
        self._ssl_writing_paused = False
        self._process_outgoing()

    def buffer_updated(self, nbytes: int) -> None:
        """Take records from a transport that is not our own: TLS in TLS."""
        self._tls.take_records(bytes(self._ssl_buffer_view[:nbytes]))

    def _go_on(self) -> None:
        self._tls.go_on()

    # The two steps in which OpenSSL works outside of Rust, each for one thread at a time.

    def _do_handshake(self) -> None:
        self._step(self._sslobj.do_handshake, self._on_handshake_complete)

    def _do_shutdown(self) -> None:
        if self._eof_received:
            self._on_unwrapped(None)
        else:
            self._step(self._sslobj.unwrap, self._on_unwrapped)

    def _step(self, step: Callable[[], object], done: Callable[[Any], None]) -> None:
        try:
            if not self._tls.in_turn(step):
                return
        except sslproto.SSLAgainErrors:
            self._process_outgoing()
        except ssl.SSLError as error:
            done(error)
        else:
            done(None)

    def _on_unwrapped(self, error: ssl.SSLError | None) -> None:
        if error is None:
            self._process_outgoing()
            self._call_eof_received()
        self._on_shutdown_complete(error)

    def _do_flush(self) -> None:
        # It ends the reading, so what has arrived must have been read.
        if not self._tls.has_to_wait():
            super()._do_flush()  # type: ignore[misc]

    def _do_read(self) -> None:
        self._tls.do_read()

    def _do_write(self) -> None:
        self._tls.do_write()

    def _process_outgoing(self) -> None:
        self._tls.process_outgoing()

    def _on_shutdown_complete(self, shutdown_exc: BaseException | None) -> None:
        if shutdown_exc is None and not self._eof_received:
            self._tls.close_notify_received = True
        super()._on_shutdown_complete(shutdown_exc)  # type: ignore[misc]

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if isinstance(exc, ssl.SSLError):
            # The session has written an alert that says what is wrong. Inherited code forgets it,
            # and the peer can only guess.
            self._process_outgoing()
        super()._fatal_error(exc, message)  # type: ignore[misc]

    def _get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "close_notify_received":
            return self._tls.close_notify_received
        return super()._get_extra_info(name, default)
