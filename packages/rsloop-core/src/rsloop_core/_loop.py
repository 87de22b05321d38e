"""The loop class: what is hot comes from Rust, what is cold from CPython's asyncio."""

from rsloop_core._core import LoopBase
from rsloop_core._debug import Debug
from rsloop_core._running import Running
from rsloop_core._selector import RegistryView
from rsloop_core._signals import Signals
from rsloop_core._streams import Streams


class Loop(LoopBase, Running, Streams, Signals, Debug):
    """An asyncio event loop with its hot paths in Rust.

    It is an asyncio.SelectorEventLoop, and every method that Rust does not replace is the running
    CPython's own. One thread runs it; only call_soon_threadsafe() may be called from others.
    """

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
                self._release()
