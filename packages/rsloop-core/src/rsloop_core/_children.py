"""Child processes: each is watched by its pidfd, in the loop's own poller."""

import asyncio
import functools
import os
import sys
import warnings
from asyncio import base_subprocess, events, tasks, unix_events
from asyncio.log import logger
from typing import Any

from rsloop_core._listeners import EXHAUSTED

#: CPython 3.14 has no watchers that a program can choose; the loop keeps its own.
_private_watcher: type | None = getattr(unix_events, "_PidfdChildWatcher", None)
#: What asyncio reports for a child whose exit status somebody else has taken.
_UNKNOWN = 255


class ChildTransport(unix_events._UnixSubprocessTransport):
    """A child and its pipes, as CPython has it."""

    _loop: Any
    _pipes: dict[int, Any]

    def close(self) -> None:
        """Close the pipes, and kill the child if it still lives.

        A loop that is closed can no longer close the pipes, which then close themselves when they
        are collected. Early releases up to 3.13 try, and fail where nobody can catch it.
        """
        pipes: Any = self._pipes
        if self._loop is not None and self._loop.is_closed():
            self._pipes = {}
        try:
            super().close()
        finally:
            self._pipes = pipes


class Children(asyncio.SelectorEventLoop):
    """The part of the loop that waits for child processes; subprocess.Popen starts them.

    A child watcher that the program has set does the waiting instead, where there is such a thing.

    Differs: CPython 3.11 waits for each child in a thread. Later versions use pidfds too, but a
    loop that closes before its children end leaves them open, and a child that is already reaped
    (transport.close() and the like ask Popen whether it lives) is reported as 255.
    """

    #: The transports of the living children, by pidfd.
    _children: dict[int, base_subprocess.BaseSubprocessTransport]

    def __init__(self, *args: Any) -> None:
        self._children = {}
        super().__init__(*args)

    async def _make_subprocess_transport(
        self,
        protocol: asyncio.SubprocessProtocol,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> asyncio.SubprocessTransport:
        positional = (protocol, args, shell, stdin, stdout, stderr, bufsize)
        if not _pidfds_work() or not _is_default(self._chosen_watcher()):
            inherited: Any = super()
            return await inherited._make_subprocess_transport(*positional, extra=extra, **kwargs)
        waiter = self.create_future()
        transport = ChildTransport(self, *positional, waiter=waiter, extra=extra, **kwargs)
        self._watch_child(transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await tasks.shield(transport._wait())
            raise
        return transport

    def _chosen_watcher(self) -> object:
        if _private_watcher is not None:
            return self._watcher
        with warnings.catch_warnings():
            # 3.12 and 3.13 announce the end of the function that they themselves call.
            warnings.simplefilter("ignore", DeprecationWarning)
            return events.get_child_watcher()

    def _watch_child(self, transport: Any) -> None:
        pidfd = None
        try:
            pidfd = os.pidfd_open(transport.get_pid())
            self._add_reader(pidfd, self._child_exited, pidfd, transport)
        except ProcessLookupError:
            # It has ended and somebody has reaped it: the kernel does where SIGCHLD is ignored.
            self._report_child(transport, _returncode_of_a_reaped(transport))
        except BaseException:
            if pidfd is not None:
                os.close(pidfd)
            # Nobody would notice its end, so it must not live on.
            transport.close()
            self._report_child(transport, transport._proc.wait())
            raise
        else:
            self._children[pidfd] = transport

    def _child_exited(self, pidfd: int, transport: Any) -> None:
        self._remove_reader(pidfd)
        del self._children[pidfd]
        try:
            _, status = os.waitpid(transport.get_pid(), 0)
        except ChildProcessError:
            returncode = _returncode_of_a_reaped(transport)
        else:
            returncode = os.waitstatus_to_exitcode(status)
        finally:
            os.close(pidfd)
        self._report_child(transport, returncode)

    def _report_child(self, transport: Any, returncode: int) -> None:
        self._child_watcher_callback(transport.get_pid(), returncode, transport)

    def _close_pidfds(self) -> None:
        while self._children:
            pidfd, _ = self._children.popitem()
            os.close(pidfd)


def _returncode_of_a_reaped(transport: Any) -> int:
    """Return what Popen knows of a child that is gone, or else what asyncio reports of such."""
    known: int | None = transport._proc.returncode
    if known is not None:
        return known
    logger.warning(
        "child process pid %d exit status already read:  will report returncode %d",
        transport.get_pid(),
        _UNKNOWN,
    )
    return _UNKNOWN


def _is_default(watcher: object) -> bool:
    """Tell whether a watcher is what the running CPython chooses by itself."""
    if _private_watcher is not None:
        return type(watcher) is _private_watcher
    # An exact comparison, since a subclass may want to hear of each child. 3.11 waits in threads
    # even where there are pidfds; from 3.12 on threads are what the program has chosen.
    defaults: list[type] = [unix_events.PidfdChildWatcher]
    if sys.version_info < (3, 12):
        defaults.append(unix_events.ThreadedChildWatcher)
    return type(watcher) in defaults


@functools.cache
def _pidfds_work() -> bool:
    """Tell whether the kernel has pidfds, and lets this process use them.

    Raises OSError where there is no descriptor left to find out, and asks again the next time.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except AttributeError:
        return False
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        return False
    return True
