"""Writing to a transport whose buffer is Rust's: what happens at its limit, and after its end."""

import sys
from asyncio import transports
from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES
from asyncio.log import logger
from collections.abc import Callable
from typing import Any

_FlowControlMixin: Any = transports._FlowControlMixin


def set_write_buffer_limits(self: Any, high: int | None = None, low: int | None = None) -> None:
    """Do what the inherited _set_write_buffer_limits() does, and tell Rust the upper limit."""
    _FlowControlMixin._set_write_buffer_limits(self, high, low)
    self._high_water_bytes = int(min(self._high_water, sys.maxsize))


def late_write_warning(message: str) -> Callable[[Any, int], None]:
    """Make the method that logs message when writes go on and on after the connection is lost."""

    def warn_of_late_write(_self: Any, earlier: int) -> None:
        if earlier >= LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            logger.warning(message)

    return warn_of_late_write
