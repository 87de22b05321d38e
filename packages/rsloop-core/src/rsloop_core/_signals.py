"""Signals: asyncio's own code, on a socket pair that is made with the first need."""

import asyncio
import os
import signal
import socket
import threading
from asyncio import unix_events
from collections.abc import Callable
from typing import Any, TypeVarTuple, Unpack

_Ts = TypeVarTuple("_Ts")

#: More signal numbers than this, read at once, may have been more than the socket had room for.
_STORM = 64

#: More than a byte in a message of its own takes of a socket's buffer, on any kernel.
_ROOM_FOR_A_NUMBER = 4096

#: What signal.set_wakeup_fd() calls no descriptor.
_NONE = -1


class Noted(set[int]):
    """The signals for which Python's handler has run since they were last looked at.

    It is that handler, and no method of the loop, since the signal module would keep the loop.
    """

    def __call__(self, number: int, _frame: object) -> None:
        self.add(number)


class Signals(asyncio.SelectorEventLoop):
    """The part of the loop that meets the signal module.

    CPython's loop opens a socket pair when it is made and writes to it to wake itself up. Ours
    has a descriptor of its own for that, so the pair only carries signal numbers, from the
    interpreter's handler in C to the loop. It is opened before the loop first waits in the main
    thread, or with the first signal handler, and closed with the loop.
    """

    _ssock: socket.socket | None
    _csock: socket.socket | None
    #: The process that opened the pair.
    _pair_process: int
    #: The wakeup descriptor that the first add_signal_handler() replaced.
    _replaced_wakeup_fd: int
    #: What tells which signals came when the pair had no room for their numbers.
    _noted_signals: Noted
    #: How many signal numbers the current reading has found, and which.
    _numbers_read: int
    _numbers_found: set[int]
    #: Whether the last reading found a storm.
    _stormy: bool
    #: So many numbers always find room in the pair.
    _calm: int
    #: Whether the current run has made the pair the wakeup descriptor by itself.
    _guarding: bool

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None
        self._replaced_wakeup_fd = _NONE
        self._noted_signals = Noted()
        self._numbers_read = 0
        self._numbers_found = set()
        self._stormy = False
        self._calm = 0
        self._guarding = False

    def _close_self_pipe(self) -> None:
        # Inherited code calls this before it removes the signal handlers, which need the pair.
        pass

    def _open_signal_pair(self) -> socket.socket:
        if self._csock is None:
            self._ssock, self._csock = socket.socketpair()
            self._ssock.setblocking(False)
            self._csock.setblocking(False)
            room = self._csock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            self._calm = min(_STORM, room // _ROOM_FOR_A_NUMBER)
            self._pair_process = os.getpid()
            self._internal_fds += 1
            self._add_reader(self._ssock.fileno(), self._read_from_self)
        return self._csock

    def _renew_signal_pair(self) -> None:
        """Part from the pair of the parent in a forked child, which would read its signals."""
        if self._ssock is None or self._csock is None or self._pair_process == os.getpid():
            return
        # Asked before the pair is closed: a closed descriptor cannot be set again.
        is_wakeup_fd = _current_wakeup_fd() == self._csock.fileno()
        self._remove_reader(self._ssock.fileno())
        self._close_signal_pair()
        own = self._open_signal_pair().fileno()
        if is_wakeup_fd:
            signal.set_wakeup_fd(own, warn_on_full_buffer=False)

    def _close_signal_pair(self) -> None:
        if self._ssock is None or self._csock is None:
            return
        self._ssock.close()
        self._csock.close()
        self._ssock = self._csock = None
        self._internal_fds -= 1

    def _read_from_self(self) -> None:
        """Handle the signals whose numbers wait in the pair, and those that found it full.

        Why nothing is lost, and nothing slept over. For each signal the interpreter's handler in C
        marks it, and then tries to write its number. Python's handler, which notes it, runs later
        in the main thread: before the next Python function there begins.

        1. A number that was written makes the pair readable. The reading that finds it queues the
           loop's handler.
        2. A number that was refused found the pair full, hence readable: a reading is to come, or
           in progress, that takes more than `_calm` numbers: a storm. It begins after the refusal
           or is in progress at that moment.
        3. If it begins after the refusal, the note is there when it begins. The number is handled
           as one of those that are noted and not found; if it is found, that was an earlier
           signal of its kind, whose handler has yet to run and will run after both.
        4. If it was in progress, the note may come after the copy. Perhaps nothing makes the pair
           readable again, so that a storm is followed by another look, in the next turn. By then
           the note is there. If the storm has brought a number of its kind, its handler has been
           queued by the storm and runs after the refusal: it is left out. That holds as long as
           this look is no storm itself; in one, point 3 holds again.
        5. A note may be late also of a number that was written, and found by the reading before:
           in point 4 it is left out, and without a storm before or now nothing was refused. So a
           lone signal is never handled twice.
        """
        noted = self._noted_signals.copy()
        self._noted_signals -= noted  # and not what is noted between the two lines
        brought, self._numbers_found = self._numbers_found, set()
        self._numbers_read = 0
        inherited: Any = super()
        inherited._read_from_self()
        after_storm, self._stormy = self._stormy, self._numbers_read > self._calm
        refused = noted - self._numbers_found
        if self._stormy:
            self.call_soon(self._read_from_self)
        else:
            refused = refused - brought if after_storm else set()
        for number in refused:
            self._handle_signal(number)

    def _process_self_data(self, data: bytes) -> None:
        self._numbers_read += len(data)
        self._numbers_found.update(data)
        inherited: Any = super()
        inherited._process_self_data(data)

    def _guard_signals(self) -> None:
        """Let every signal wake the loop for the rest of this run.

        A signal that comes just before the system call that waits would otherwise be noticed
        when something else ends the wait. Rust calls this before the first wait of a run. A
        wakeup descriptor that the program has set stays.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            fd = self._open_signal_pair().fileno()
            found = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
        except (OSError, ValueError):
            return  # no descriptor is left, or this is not the main interpreter
        if found not in (_NONE, fd):
            try:
                signal.set_wakeup_fd(found)
            except (OSError, ValueError):
                found = _NONE  # it has been closed, or is another descriptor by now
        if found == _NONE:
            self._guarding = True

    def _unguard_signals(self) -> None:
        """Undo what _guard_signals() did in this run."""
        if self._guarding:
            self._guarding = False
            if not self._signal_handlers and self._csock is not None:
                found = signal.set_wakeup_fd(_NONE)
                if found not in (_NONE, self._csock.fileno()):  # the program's, of this run
                    signal.set_wakeup_fd(found)

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts
    ) -> None:
        """Run callback(*args) in the loop whenever the process gets the signal sig.

        Raises TypeError for a coroutine function, ValueError for a signal that cannot be caught,
        RuntimeError outside of the main thread. Follows asyncio.loop.add_signal_handler.
        """
        self._check_closed()
        first = not self._signal_handlers
        own_fd = self._open_signal_pair().fileno()
        wakeup_fd = _current_wakeup_fd()
        try:
            super().add_signal_handler(sig, callback, *args)
        except BaseException:
            if first and wakeup_fd != _current_wakeup_fd():
                signal.set_wakeup_fd(wakeup_fd)
            raise
        if signal.getsignal(sig) is unix_events._sighandler_noop:
            signal.signal(sig, self._noted_signals)
            signal.siginterrupt(sig, False)
            # Again, without asyncio's wish for a warning: a full socket loses nothing here.
            signal.set_wakeup_fd(own_fd, warn_on_full_buffer=False)
        if first and wakeup_fd != own_fd:
            self._replaced_wakeup_fd = wakeup_fd

    def remove_signal_handler(self, sig: int) -> bool:
        """Take the handler of the signal sig away and return whether there was one.

        The default action comes back, whatever was there before. Follows
        asyncio.loop.remove_signal_handler.

        Differs: with the last handler, the wakeup descriptor that add_signal_handler() found
        comes back.
        """
        removed = super().remove_signal_handler(sig)
        if removed and not self._signal_handlers:
            found, self._replaced_wakeup_fd = self._replaced_wakeup_fd, _NONE
            if found != _NONE:
                signal.set_wakeup_fd(found)
            elif self._guarding and self._csock is not None:
                signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return removed


def _current_wakeup_fd() -> int:
    """Return the wakeup descriptor, or -1 where there is none or this thread may not ask."""
    try:
        current = signal.set_wakeup_fd(_NONE)
    except ValueError:
        return _NONE
    if current != _NONE:
        signal.set_wakeup_fd(current, warn_on_full_buffer=False)
    return current
