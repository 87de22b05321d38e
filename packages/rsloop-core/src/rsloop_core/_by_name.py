"""Calls that name a positional parameter, such as call_soon(callback=f).

The Rust methods take the leading parameters by position, as nearly every caller passes them. A
call with too few of them is sent here: these functions have asyncio's signatures, so the
interpreter sorts the arguments out, or says what is wrong with them.
"""

import contextvars
from collections.abc import Callable, Iterable
from typing import Any

from rsloop_core._core import LoopBase
from rsloop_core._stream_transport import StreamTransport

_Callback = Callable[..., object]
_Context = contextvars.Context | None


def call_soon(self: LoopBase, callback: _Callback, *args: Any, context: _Context = None) -> object:
    return self.call_soon(callback, *args, context=context)


def call_soon_threadsafe(
    self: LoopBase, callback: _Callback, *args: Any, context: _Context = None
) -> object:
    return self.call_soon_threadsafe(callback, *args, context=context)


def call_later(
    self: LoopBase, delay: float, callback: _Callback, *args: Any, context: _Context = None
) -> object:
    return self.call_later(delay, callback, *args, context=context)


def call_at(
    self: LoopBase, when: float, callback: _Callback, *args: Any, context: _Context = None
) -> object:
    return self.call_at(when, callback, *args, context=context)


def _add_reader(self: LoopBase, fd: Any, callback: _Callback, *args: Any, **context: Any) -> object:
    return self._add_reader(fd, callback, *args, **context)


def _add_writer(self: LoopBase, fd: Any, callback: _Callback, *args: Any, **context: Any) -> object:
    return self._add_writer(fd, callback, *args, **context)


def _remove_reader(self: LoopBase, fd: Any) -> object:
    return self._remove_reader(fd)


def _remove_writer(self: LoopBase, fd: Any) -> object:
    return self._remove_writer(fd)


def write(self: StreamTransport, data: Any) -> None:
    self.write(data)


def writelines(self: StreamTransport, list_of_data: Iterable[Any]) -> None:
    self.writelines(list_of_data)
