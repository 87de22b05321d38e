"""sock_recv(), sock_sendall() and their kin: the caller's own sockets, without a transport."""

import asyncio
import socket
from asyncio import base_events
from typing import Any

from rsloop_core._core import accept, connect

_WOULD_BLOCK = (BlockingIOError, InterruptedError)


class SockMethods(asyncio.SelectorEventLoop):
    """The part of the loop that works on bare sockets.

    Each method makes its system call at once, and waits only where that would block. Cancelled,
    it takes and sends nothing more, and the socket is free for others.

    Differs: a socket that blocks does not block the loop in sock_recv(), sock_recv_into() and
    sock_sendall().
    """

    def _inspect_sock(self, sock: socket.socket) -> None:
        """Refuse sock as asyncio does: what _check_sock() does where there is reason to look."""
        base_events._check_ssl_socket(sock)  # type: ignore[attr-defined]
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        """Return up to n bytes from sock, b"" at the end. Follows asyncio.loop.sock_recv."""
        self._check_sock(sock)
        data = self._receive(sock, n)
        if data is None:
            data = await self._when_readable(sock, self._receive, sock, n)
        return data

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """Receive into buf, and return how many bytes. Follows asyncio.loop.sock_recv_into."""
        self._check_sock(sock)
        count = self._receive_into(sock, buf)
        if count is None:
            count = await self._when_readable(sock, self._receive_into, sock, buf)
        return count

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """Return a datagram and its sender. Follows asyncio.loop.sock_recvfrom."""
        self._check_sock(sock)
        try:
            return sock.recvfrom(bufsize)
        except _WOULD_BLOCK:
            pass
        return await self._when_readable(sock, _recvfrom, sock, bufsize)

    async def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> tuple[int, Any]:
        """Receive a datagram into buf, and return its size and sender.

        Follows asyncio.loop.sock_recvfrom_into.
        """
        self._check_sock(sock)
        if not nbytes:
            nbytes = len(buf)
        try:
            return sock.recvfrom_into(buf, nbytes)
        except _WOULD_BLOCK:
            pass
        return await self._when_readable(sock, _recvfrom_into, sock, buf, nbytes)

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """Send all of data. Follows asyncio.loop.sock_sendall."""
        self._check_sock(sock)
        sent = self._send(sock, data) or 0
        if type(data) is bytes and sent == len(data):
            return
        with memoryview(data) as view:
            if sent == view.nbytes:
                return
            rest = view.cast("B")[sent:]

        def send_more() -> bool | None:
            nonlocal rest
            rest = rest[self._send(sock, rest) or 0 :]
            return None if rest else True

        try:
            await self._when_writable(sock, send_more)
        finally:
            # What is raised keeps this frame, and a bytearray cannot be resized while it is viewed.
            rest.release()

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send data as a datagram to address. Follows asyncio.loop.sock_sendto."""
        self._check_sock(sock)
        try:
            return sock.sendto(data, address)
        except _WOULD_BLOCK:
            pass
        return await self._when_writable(sock, _sendto, sock, data, address)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect sock to address. Follows asyncio.loop.sock_connect."""
        self._check_sock(sock)
        connected = connect(sock, address)
        if connected is None:
            await super().sock_connect(sock, address)
        elif not connected:
            await self._when_writable(sock, _finish_connecting, sock, address)

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Return a connection of the listening sock, and the peer's address.

        Follows asyncio.loop.sock_accept.
        """
        self._check_sock(sock)
        accepted = accept(sock)
        if accepted is None:
            accepted = await self._when_readable(sock, accept, sock)
        return accepted


# Each attempt looks the method up: a program may have replaced it meanwhile.


def _recvfrom(sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
    return sock.recvfrom(bufsize)


def _recvfrom_into(sock: socket.socket, buf: Any, nbytes: int) -> tuple[int, Any]:
    return sock.recvfrom_into(buf, nbytes)


def _finish_connecting(sock: socket.socket, address: Any) -> bool:
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")
    return True


def _sendto(sock: socket.socket, data: Any, address: Any) -> int:
    return sock.sendto(data, 0, address)
