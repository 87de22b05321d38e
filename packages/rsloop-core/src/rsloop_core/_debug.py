"""Debug mode: asyncio's own handles, which remember where they were made."""

import asyncio
import contextvars
from asyncio import base_events, events
from collections.abc import Callable
from typing import Any

from rsloop_core import _handles

#: What call_soon_threadsafe() returns: from CPython 3.14 on a class of its own, with a lock.
_threadsafe_handle_class: type[asyncio.Handle] = getattr(
    events, "_ThreadSafeHandle", asyncio.Handle
)


class Debug(asyncio.SelectorEventLoop):
    """What the Rust half calls in debug mode, or when a callback fails or is watched.

    A debug loop makes the handles of CPython's asyncio, so that their checks, tracebacks and
    messages are CPython's too.
    """

    def _call_soon_by_asyncio(
        self,
        method: str,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle_class = asyncio.Handle if method == "call_soon" else _threadsafe_handle_class
        if self._debug:
            if method == "call_soon":
                self._check_thread()
            self._check_callback(callback, method)
        handle = handle_class(callback, args, self, context)
        _forget_own_frames(handle)
        self._add_callback(handle)
        return handle

    def _call_at_by_asyncio(
        self,
        request: tuple[str, float],
        _when: object,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        method, when = request
        self._check_thread()
        self._check_callback(callback, method)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        _forget_own_frames(timer)
        self._schedule_timer(timer)
        return timer

    def _warn_if_slow(self, handle: Any, seconds: float) -> None:
        if seconds >= self.slow_callback_duration:
            transport = isinstance(handle, asyncio.BaseTransport)
            described = repr(handle) if transport else base_events._format_handle(handle)
            base_events.logger.warning("Executing %s took %.3f seconds", described, seconds)

    def _run_by_asyncio(self, handle: Any) -> None:
        """Run one of our handles by asyncio.Handle._run, which somebody has replaced to see it."""
        call = (handle._callback, handle._args, self, handle._context)
        if isinstance(handle, asyncio.TimerHandle):
            asyncio.TimerHandle(handle.when(), *call)._run()
        else:
            asyncio.Handle(*call)._run()

    def _turn_by_asyncio(self, turn: Callable[..., object], transport: object) -> None:
        asyncio.Handle(turn, (transport,), self)._run()

    def _callback_failed(self, handle: Any, exception: BaseException) -> None:
        self.call_exception_handler(
            {
                "message": f"Exception in callback {_handles.callback_source(handle)}",
                "exception": exception,
                "handle": handle,
            }
        )

    def _transport_failed(self, transport: asyncio.Transport, exception: BaseException) -> None:
        self.call_exception_handler(
            {
                "message": f"Exception in callback of {transport!r}",
                "exception": exception,
                "transport": transport,
                "protocol": transport.get_protocol(),
            }
        )


def _forget_own_frames(handle: asyncio.Handle) -> None:
    """Drop the innermost frames of the traceback, which are this module's and asyncio's."""
    frames = handle._source_traceback
    while frames and frames[-1].filename in (__file__, events.__file__):
        del frames[-1]
