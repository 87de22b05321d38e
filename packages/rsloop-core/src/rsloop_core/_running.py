"""run_forever(): what surrounds the ticks."""

import asyncio
import sys
import threading
from asyncio import events


class Running(asyncio.SelectorEventLoop):
    """The part of the loop that makes it the running one; the ticks are Rust."""

    def run_forever(self) -> None:
        """Run until stop() is called.

        Raises RuntimeError when the loop is closed, or when it or another loop runs already in
        this thread; a refused run changes nothing. KeyboardInterrupt and SystemExit end the run
        and go to the caller. Follows asyncio.loop.run_forever.
        """
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        hooks = sys.get_asyncgen_hooks()
        try:
            self._thread_id = threading.get_ident()
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook,
                finalizer=self._asyncgen_finalizer_hook,
            )
            events._set_running_loop(self)
            self._run_until_stopped()
        finally:
            self._stopping = False
            self._thread_id = None  # type: ignore[assignment]
            events._set_running_loop(None)
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*hooks)
            self._unguard_signals()
