"""The compiled asyncio event loop of rsloop."""

from rsloop_core._core import __version__
from rsloop_core._loop import Loop

__all__ = ["Loop", "__version__"]
