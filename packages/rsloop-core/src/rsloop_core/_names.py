"""Names and addresses: what asks nobody is answered without a thread."""

import asyncio
import socket
from socket import getaddrinfo, getnameinfo
from typing import Any

# The flags with which a literal address asks nobody for sure. A canonical name may be looked up.
_HARMLESS = (
    socket.AI_PASSIVE
    | socket.AI_NUMERICHOST
    | socket.AI_NUMERICSERV
    | socket.AI_ADDRCONFIG
    | socket.AI_V4MAPPED
)
_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


class Names(asyncio.SelectorEventLoop):
    """getaddrinfo() and getnameinfo().

    An address that is spelt out is translated in place, by the very function of the socket module
    that asyncio has a thread call: result and exceptions are the same. Debug mode, which measures
    the time of each call, and a socket module whose functions somebody has replaced, by ones that
    may wait, go the long way.
    """

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Return the addresses of host and port, as socket.getaddrinfo() does.

        Raises what that raises: socket.gaierror for what cannot be found, and other exceptions for
        malformed arguments. Follows asyncio.loop.getaddrinfo.

        Differs: does not yield to other tasks when host is a literal address.
        """
        if (
            socket.getaddrinfo is getaddrinfo
            and not self._debug
            and isinstance(flags, int)
            and not flags & ~_HARMLESS
            and _is_numeric(port)
            and _is_literal(host)
            and self._may_start_threads()
        ):
            return getaddrinfo(host, port, family, type, proto, flags)
        return await super().getaddrinfo(
            host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Return the names of the address sockaddr, as socket.getnameinfo() does.

        Raises what that raises. Follows asyncio.loop.getnameinfo.

        Differs: does not yield to other tasks when the flags ask for numbers alone.
        """
        if (
            socket.getnameinfo is getnameinfo
            and isinstance(flags, int)
            and flags & _NUMERIC == _NUMERIC
            and self._may_start_threads()
        ):
            return getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)

    def _may_start_threads(self) -> bool:
        """Tell whether a thread would be started; what asyncio's way says else is to be said."""
        state: Any = self
        return not state._closed and not state._executor_shutdown_called


def _is_numeric(port: Any) -> bool:
    """Tell whether no name of a service is to be looked up."""
    if port is None or type(port) is int:
        return True
    if type(port) is str:
        return port.isascii() and port.isdigit()
    return type(port) is bytes and port.isdigit()


def _is_literal(host: Any) -> bool:
    """Tell whether no name of a host is to be looked up."""
    if host is None:
        return True
    if type(host) is bytes:
        host = host.decode("latin-1")
    if type(host) is not str:
        return False
    # The scope of an IPv6 address is an interface, which no name server knows.
    address, _, scope = host.partition("%")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if "%" in host and (family == socket.AF_INET or not (scope.isascii() and scope.isalnum())):
        return False
    try:
        socket.inet_pton(family, address)
    except (OSError, ValueError):
        return False
    return True
