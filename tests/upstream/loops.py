"""The loops that a suite may run on, and how everything that asks asyncio for a loop gets one."""

import asyncio
import importlib
from typing import Any

#: The loops by their names on the command line: where the class of each is.
LOOPS = {
    "stdlib": ("asyncio", "SelectorEventLoop"),
    "rsloop": ("rsloop_core", "Loop"),
    "uvloop": ("uvloop", "Loop"),
}

made = 0


def take(loop: str) -> None:
    """Make every loop that asyncio hands out one of the kind named `loop`, and count them."""
    module, name = LOOPS[loop]
    loop_class = getattr(importlib.import_module(module), name)
    if loop != "stdlib":
        hand_out(loop_class)
    count(loop_class)


def hand_out(loop_class: Any) -> None:
    """Make every way in which the tests get a loop give `loop_class`."""
    # Named at run time: some of these exist in some CPythons only.
    for name in ("SelectorEventLoop", "EventLoop"):
        for module in (asyncio, asyncio.unix_events):
            if hasattr(module, name):
                setattr(module, name, loop_class)
    policy = next(
        getattr(asyncio.unix_events, name)
        for name in ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy")
        if hasattr(asyncio.unix_events, name)
    )
    policy._loop_factory = loop_class


def count(kind: Any) -> None:
    """Count every loop of this kind that is made from now on."""
    original = kind.__init__

    def counting(self: Any, *args: Any, **kwargs: Any) -> None:
        global made
        made += 1
        original(self, *args, **kwargs)

    kind.__init__ = counting
