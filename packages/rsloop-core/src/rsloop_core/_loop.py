"""The loop class: what is hot comes from Rust, what is cold from CPython's asyncio."""

from rsloop_core._children import Children
from rsloop_core._core import LoopBase
from rsloop_core._datagrams import Datagrams
from rsloop_core._debug import Debug
from rsloop_core._files import Files
from rsloop_core._listeners import Listeners
from rsloop_core._names import Names
from rsloop_core._pipes import Pipes
from rsloop_core._running import Running
from rsloop_core._selector import RegistryView
from rsloop_core._signals import Signals
from rsloop_core._sock_methods import SockMethods
from rsloop_core._streams import Streams


class Loop(
    LoopBase,
    Running,
    Listeners,
    Streams,
    SockMethods,
    Files,
    Datagrams,
    Pipes,
    Names,
    Signals,
    Children,
    Debug,
):
    """An asyncio event loop with its hot paths in Rust.

    It is an asyncio.SelectorEventLoop, and every method that Rust does not replace is the running
    CPython's own. One thread runs it; only call_soon_threadsafe() may be called from others.
    """

    # What asyncio and our own bases set on every loop. With it in slots, the instance has no
    # __dict__ until somebody hangs something on it, and as long as it has none, the interpreter
    # finds loop.call_soon and its kin without looking there first. A name that is missing here
    # costs only that.
    __slots__ = (
        "_asyncgens",
        "_asyncgens_shutdown_called",
        "_calm",
        "_children",
        "_clock_resolution",
        "_coroutine_origin_tracking_enabled",
        "_coroutine_origin_tracking_saved_depth",
        "_csock",
        "_current_handle",
        "_default_executor",
        "_exception_handler",
        "_executor_shutdown_called",
        "_guarding",
        "_internal_fds",
        "_noted_signals",
        "_numbers_found",
        "_numbers_read",
        "_old_agen_hooks",
        "_pair_process",
        "_replaced_wakeup_fd",
        "_selector",
        "_signal_handlers",
        "_ssock",
        "_stormy",
        "_timer_cancelled_count",
        "_unix_server_sockets",
        "_watcher",
        "slow_callback_duration",
    )

    def __init__(self) -> None:
        """Make a loop; raises OSError when the process has no descriptor left for it."""
        super().__init__(RegistryView(self))  # type: ignore[call-arg]

    def close(self) -> None:
        """Close the loop: drop what is queued, and close its descriptors.

        Raises RuntimeError while the loop runs. Closing twice does nothing. Follows
        asyncio.loop.close.
        """
        if self.is_closed():
            return
        try:
            super().close()  # refuses in another thread to take signal handlers away
        finally:
            if self.is_closed():
                self._close_signal_pair()
                self._close_pidfds()
                self._release()
