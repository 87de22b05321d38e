"""Signals: asyncio's own code, on a socket pair that is made with the first need."""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any, TypeVarTuple, Unpack

_Ts = TypeVarTuple("_Ts")


class Signals(asyncio.SelectorEventLoop):
    """The part of the loop that meets the signal module.

    CPython's loop opens a socket pair when it is made and writes to it to wake itself up. Ours
    has a descriptor of its own for that, so the pair only carries signal numbers, from the
    handler in C to the loop.
    """

    _ssock: socket.socket | None
    _csock: socket.socket | None
    #: The handlers that add_signal_handler() replaced, by signal.
    _replaced_handlers: dict[int, Any]
    #: The wakeup descriptor that add_signal_handler() replaced.
    _replaced_wakeup_fd: int

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None
        self._replaced_handlers = {}
        self._replaced_wakeup_fd = -1

    def _close_self_pipe(self) -> None:
        # Called before the signal handlers are removed, which still needs the pair's number.
        pass

    def _open_signal_pair(self) -> None:
        self._ssock, self._csock = socket.socketpair()
        self._ssock.setblocking(False)
        self._csock.setblocking(False)
        self._internal_fds += 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)

    def _close_signal_pair(self) -> None:
        if self._ssock is None or self._csock is None:
            return
        self._remove_reader(self._ssock.fileno())
        self._ssock.close()
        self._csock.close()
        self._ssock = self._csock = None
        self._internal_fds -= 1

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[_Ts]], object], *args: Unpack[_Ts]
    ) -> None:
        """Run callback(*args) in the loop whenever the process gets the signal sig.

        Raises TypeError for a coroutine function, ValueError for a signal that cannot be caught,
        RuntimeError outside of the main thread. Follows asyncio.loop.add_signal_handler.
        """
        self._check_closed()
        first = not self._signal_handlers
        if first and self._ssock is None:
            self._open_signal_pair()
        replaced = signal.getsignal(sig) if sig in signal.valid_signals() else None
        replaced_wakeup_fd = _current_wakeup_fd() if first else -1
        known = sig in self._signal_handlers
        try:
            super().add_signal_handler(sig, callback, *args)
        except BaseException:
            if not self._signal_handlers:
                if replaced_wakeup_fd != -1:
                    signal.set_wakeup_fd(replaced_wakeup_fd)
                self._close_signal_pair()
            raise
        if not known:
            self._replaced_handlers[sig] = replaced
        if first:
            self._replaced_wakeup_fd = replaced_wakeup_fd

    def remove_signal_handler(self, sig: int) -> bool:
        """Take the handler of the signal sig away and return whether there was one.

        The handler and the wakeup descriptor that add_signal_handler() found come back. Follows
        asyncio.loop.remove_signal_handler.

        Differs: asyncio sets the default action whatever was there before.
        """
        removed = super().remove_signal_handler(sig)
        if removed:
            replaced = self._replaced_handlers.pop(sig, None)
            if replaced is not None:  # None: a handler that was not installed from Python
                signal.signal(sig, replaced)
            if not self._signal_handlers:
                if self._replaced_wakeup_fd != -1:
                    signal.set_wakeup_fd(self._replaced_wakeup_fd)
                    self._replaced_wakeup_fd = -1
                self._close_signal_pair()
        return removed


def _current_wakeup_fd() -> int:
    """Return the wakeup descriptor, -1 for none or where this thread may not ask."""
    try:
        current = signal.set_wakeup_fd(-1)
    except ValueError:
        return -1
    if current != -1:
        signal.set_wakeup_fd(current)
    return current
