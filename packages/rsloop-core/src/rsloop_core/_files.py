"""sendfile() and sock_sendfile(): asyncio's rules, with one wait for the socket instead of many."""

import asyncio
import errno
import io
import os
import socket
import sys
from asyncio import base_events
from typing import Any

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
#: As asyncio has it, for where the kernel takes 32 bits.
_MOST_BYTES = sys.maxsize // 2 + 1
#: CPython 3.14 moves the file's position also where nothing was sent.
_MOVES_ALWAYS = asyncio.SelectorEventLoop._sock_sendfile_update_filepos.__code__.co_argcount == 3  # type: ignore[attr-defined]


class Files(asyncio.SelectorEventLoop):
    """The part of the loop that sends files by the system call.

    asyncio waits for the socket after each call of os.sendfile(), and waits anew each time. Here a
    file that the kernel takes at once is sent at once; the rest is one wait, as in sock_sendall().

    Differs: sending such a file does not yield to other tasks. A transport that is closed ends its
    sendfile() with ConnectionError. sock_sendfile() on a transport's socket sends nothing.
    """

    async def _sock_sendfile_native(
        self, sock: socket.socket, file: Any, offset: int, count: int | None
    ) -> int:
        return await self._send_file(sock, file, offset, count)

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        transports: Any = self._transports  # type: ignore[attr-defined]
        number = transp._sock_fd
        del transports[number]
        resume_reading = transp.is_reading()
        transp.pause_reading()
        try:
            await transp._make_empty_waiter()
            sock = transp._sock
            if self._debug and sock.gettimeout() != 0:  # type: ignore[attr-defined]
                raise ValueError("the socket must be non-blocking")
            base_events._check_ssl_socket(sock)  # type: ignore[attr-defined]
            self._check_sendfile_params(sock, file, offset, count)  # type: ignore[attr-defined]
            return await self._send_file(sock, file, offset, count, transp)
        finally:
            transp._reset_empty_waiter()
            if resume_reading:
                transp.resume_reading()
            if transp._sock is not None:  # else the number may be another's by now
                transports[number] = transp

    async def _send_file(
        self,
        sock: socket.socket,
        file: Any,
        offset: int,
        count: int | None,
        transport: Any = None,
    ) -> int:
        if not hasattr(os, "sendfile"):
            raise asyncio.SendfileNotAvailableError("os.sendfile() is not available")
        try:
            fileno = file.fileno()
        except (AttributeError, io.UnsupportedOperation):
            raise asyncio.SendfileNotAvailableError("not a regular file")  # noqa: B904
        try:
            size = os.fstat(fileno).st_size
        except OSError:
            raise asyncio.SendfileNotAvailableError("not a regular file")  # noqa: B904
        if not (count or size):
            return 0  # an empty file
        self._ensure_fd_no_transport(sock)  # type: ignore[attr-defined]
        sending = _Sending(self, sock, fileno, offset, count, size)
        total = sending.attempt()
        if total is None:
            sending.has_waited = True
            waiting = self._when_writable(sock, sending.attempt)  # type: ignore[attr-defined]
            if transport is not None:
                # It gets an error when the transport lets go of the socket.
                transport._empty_waiter = waiting
            total = await waiting
        return total


class _Sending:
    """A file on its way into a socket."""

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        fileno: int,
        offset: int,
        count: int | None,
        size: int,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._fileno = fileno
        self._offset = offset
        self._count = count
        self._size = size
        self._total = 0
        self.has_waited = False

    def attempt(self) -> int | None:
        """Send what the kernel takes; return the number of bytes when that was all, else None."""
        try:
            is_all = self._send()
        except _WOULD_BLOCK:
            return None
        except OSError as error:
            refusal = self._refusal(error)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            self._move_position()
            raise
        else:
            if not is_all:
                return None
            self._move_position()
            return self._total
        self._move_position()
        raise refusal

    def _send(self) -> bool:
        while True:
            most = self._count - self._total if self._count else self._size
            if most <= 0:
                return True
            most = min(most, _MOST_BYTES)
            sent = os.sendfile(self._sock.fileno(), self._fileno, self._offset, most)
            if not sent:
                return True  # the end of the file
            self._offset += sent
            self._total += sent
            if sent < most and self._offset < self._size:
                return False  # the socket is full

    def _refusal(self, error: OSError) -> Exception:
        if not self._total:
            # Mostly because the file is not one that can be mapped; it may be read, though.
            return asyncio.SendfileNotAvailableError("os.sendfile call failed")
        not_connected = error.errno == errno.ENOTCONN and type(error) is not ConnectionError
        if self.has_waited and not_connected:
            # The connection was closed meanwhile, which other systems report otherwise.
            closed = ConnectionError("socket is not connected", errno.ENOTCONN)
            closed.__cause__ = error
            return closed
        return error

    def _move_position(self) -> None:
        if _MOVES_ALWAYS:
            self._loop._sock_sendfile_update_filepos(self._fileno, self._offset)
        else:
            self._loop._sock_sendfile_update_filepos(self._fileno, self._offset, self._total)
