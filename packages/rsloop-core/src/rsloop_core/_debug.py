"""Debug mode: asyncio's own handles, which remember where they were made."""

import asyncio
import contextvars
from asyncio import base_events, events
from asyncio.log import logger
from collections.abc import Callable
from typing import Any

from rsloop_core import _handles


class Debug(asyncio.SelectorEventLoop):
    """What the Rust half calls in debug mode, or when a callback fails.

    A debug loop makes the handles of CPython's asyncio, so that their checks, tracebacks and
    messages are CPython's too.
    """

    def _debug_call_soon(
        self,
        method: str,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if method == "call_soon":
            self._check_thread()
        self._check_callback(callback, method)
        handle = asyncio.Handle(callback, args, self, context)
        _forget_own_frame(handle)
        self._add_callback(handle)
        return handle

    def _debug_call_at(
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
        _forget_own_frame(timer)
        self._schedule_timer(timer)
        return timer

    def _warn_if_slow(self, handle: Any, seconds: float) -> None:
        if seconds >= self.slow_callback_duration:
            transport = isinstance(handle, asyncio.BaseTransport)
            described = repr(handle) if transport else base_events._format_handle(handle)
            logger.warning("Executing %s took %.3f seconds", described, seconds)

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


def _forget_own_frame(handle: events.Handle) -> None:
    """Drop the innermost frame of the traceback, which is this module's."""
    if handle._source_traceback:
        del handle._source_traceback[-1]
