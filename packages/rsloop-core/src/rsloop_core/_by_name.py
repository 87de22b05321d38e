"""Calls that name a positional parameter, such as call_soon(callback=f).

The Rust methods take the leading parameters by position, as nearly every caller passes them. A
call with too few of them is sent here: these functions have asyncio's signatures, so the
interpreter sorts the arguments out, or says what is wrong with them.

They call the class, not the object: a subclass or a library may have put a method of its own
there, which came here by calling the original.
"""

import contextvars
from collections.abc import Callable, Iterable
from typing import Any

from rsloop_core._core import LoopBase
from rsloop_core._datagram_transport import DatagramTransport
from rsloop_core._pipe_transports import _UnixWritePipeTransport
from rsloop_core._stream_transport import StreamTransport
from rsloop_core._tls_protocol import SSLTransport

_Callback = Callable[..., object]
_Context = contextvars.Context | None


def call_soon(self: LoopBase, callback: _Callback, *args: Any, context: _Context = None) -> object:
    return LoopBase.call_soon(self, callback, *args, context=context)


def call_soon_threadsafe(
    self: LoopBase, callback: _Callback, *args: Any, context: _Context = None
) -> object:
    return LoopBase.call_soon_threadsafe(self, callback, *args, context=context)


def call_later(
    self: LoopBase, delay: float, callback: _Callback, *args: Any, context: _Context = None
) -> object:
    return LoopBase.call_later(self, delay, callback, *args, context=context)


def call_at(
    self: LoopBase, when: float, callback: _Callback, *args: Any, context: _Context = None
) -> object:
    return LoopBase.call_at(self, when, callback, *args, context=context)


def _add_reader(self: LoopBase, fd: Any, callback: _Callback, *args: Any, **context: Any) -> object:
    return LoopBase._add_reader(self, fd, callback, *args, **context)


def _add_writer(self: LoopBase, fd: Any, callback: _Callback, *args: Any, **context: Any) -> object:
    return LoopBase._add_writer(self, fd, callback, *args, **context)


def _remove_reader(self: LoopBase, fd: Any) -> object:
    return LoopBase._remove_reader(self, fd)


def _remove_writer(self: LoopBase, fd: Any) -> object:
    return LoopBase._remove_writer(self, fd)


def write(self: Any, data: Any) -> None:
    _ours(self).write(self, data)


def writelines(self: Any, list_of_data: Iterable[Any]) -> None:
    _ours(self).writelines(self, list_of_data)


def sendto(self: DatagramTransport, data: Any, addr: Any = None) -> None:
    DatagramTransport.sendto(self, data, addr)


def _ours(transport: Any) -> Any:
    """Return the class of ours that a transport is of."""
    kinds = (StreamTransport, SSLTransport, _UnixWritePipeTransport)
    return next(kind for kind in kinds if isinstance(transport, kind))
