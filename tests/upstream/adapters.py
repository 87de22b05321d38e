"""What a suite needs told, beside asyncio, to run on the loop that asyncio hands out."""

import asyncio
import importlib
import logging
from typing import Any


def adapt(suite: str) -> None:
    """Prepare the suite called `suite`, if it needs that."""
    if suite in ADAPTERS:
        ADAPTERS[suite]()


def adapt_uvloop() -> None:
    """Give asyncio's loop to the tests that uvloop holds against itself.

    Beside each stands a copy for asyncio, with lower expectations here and there: not run.
    """
    case: Any = importlib.import_module("uvloop._testbase").UVTestCase
    case.new_loop = lambda self: asyncio.new_event_loop()
    case.new_policy = lambda self: asyncio.DefaultEventLoopPolicy()


def adapt_tornado() -> None:
    """Log no request that succeeds: many tests expect that nothing is logged."""
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)


ADAPTERS = {"tornado": adapt_tornado, "uvloop": adapt_uvloop}
