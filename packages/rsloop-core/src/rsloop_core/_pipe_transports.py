"""Pipe transports: CPython's two, with their hot halves and their state in Rust.

They have CPython's names, which its messages and the transports' repr() show.
"""

import asyncio
from asyncio import unix_events
from asyncio.log import logger
from typing import Any

from rsloop_core._core import (
    PipeReader,
    PipeWriter,
    attach_pipe_reader_methods,
    attach_pipe_writer_methods,
    open_pipe_reader,
    open_pipe_writer,
)
from rsloop_core._flow_control import late_write_warning, set_write_buffer_limits
from rsloop_core._transport_fields import set_by_inherited_code


def _fail_with_traceback(self: Any, exc: BaseException, message: str) -> None:
    """End a pipe's transport because a system call has failed."""
    try:
        raise exc  # so that what is logged has a traceback
    except Exception as error:
        self._fatal_error(error, message)


class _UnixReadPipeTransport(unix_events._UnixReadPipeTransport):
    """The end of a pipe that is read, a socket, a terminal or another character device.

    What happens with each piece of data is Rust; what happens once is the running CPython's.
    """

    #: Set once, by open_pipe_reader(), and read-only: Rust looks into it without asking.
    __slots__ = ("_reader",)

    _reader: PipeReader
    _loop: Any

    def __init__(
        self,
        loop: asyncio.SelectorEventLoop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: "asyncio.Future[None] | None" = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        open_pipe_reader(self)
        super().__init__(loop, pipe, protocol, waiter, extra)

    def _end_of_pipe(self) -> None:
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        self._closing = True  # type: ignore[misc]  # the base has a __dict__
        self._loop._remove_reader(self._fileno)
        self._loop.call_soon(self._protocol.eof_received)
        self._loop.call_soon(self._call_connection_lost, None)

    _fail = _fail_with_traceback


class _UnixWritePipeTransport(unix_events._UnixWritePipeTransport):
    """The end of a pipe that is written, a socket, a terminal or another character device.

    What happens with each piece of data is Rust; what happens once is the running CPython's.

    Differs: close() and abort() may follow one another, and come in resume_writing().
    """

    #: Set once, by open_pipe_writer(), and read-only: Rust looks into it without asking.
    __slots__ = ("_writer",)

    _writer: PipeWriter

    #: Inherited code looks whether it is empty, and clears it.
    _buffer = set_by_inherited_code(lambda self: self._writer)

    def __init__(
        self,
        loop: asyncio.SelectorEventLoop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: "asyncio.Future[None] | None" = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        open_pipe_writer(self)
        super().__init__(loop, pipe, protocol, waiter, extra)

    def abort(self) -> None:
        """Close without writing what waits. Follows asyncio.WriteTransport.abort."""
        if self._pipe is not None:
            super().abort()

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if self._pipe is not None:
            super()._call_connection_lost(exc)

    _fail = _fail_with_traceback

    _set_write_buffer_limits = set_write_buffer_limits
    _warn_of_late_write = late_write_warning(
        "pipe closed by peer or os.write(pipe, data) raised exception."
    )


attach_pipe_reader_methods(_UnixReadPipeTransport)
attach_pipe_writer_methods(_UnixWritePipeTransport)
