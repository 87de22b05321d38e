"""The event loop policy, for programs that cannot pass a loop factory.

CPython deprecates policies from 3.14 and plans to remove them in 3.16. Hence this module is
imported only when `rsloop.install` or `rsloop.EventLoopPolicy` is asked for.
"""

import asyncio
import sys
import warnings
from typing import Any

from rsloop_core import Loop

_ADVICE = "use rsloop.run(main()), or pass loop_factory=rsloop.new_event_loop to asyncio.run()"
_DEPRECATED = sys.version_info >= (3, 14)
_GONE = not hasattr(asyncio, "set_event_loop_policy")


def _warn(name: str) -> None:
    """Warn about `rsloop.name` on behalf of the code that called our caller."""
    if _DEPRECATED:
        warnings.warn(
            f"rsloop.{name} is deprecated, because Python deprecates event loop policies and "
            f"plans to remove them in Python 3.16; {_ADVICE}",
            DeprecationWarning,
            stacklevel=4 if name == "EventLoopPolicy" else 3,
        )


def resolve(name: str) -> Any:
    """Return `install` or `EventLoopPolicy` for the package's `__getattr__`.

    `EventLoopPolicy` raises AttributeError where the running Python has no policies, and warns
    (DeprecationWarning) where it deprecates them. `install` does so when it is called.
    """
    if name == "install":
        return install
    if _GONE:
        raise AttributeError(f"rsloop.EventLoopPolicy: {_gone()}")
    _warn("EventLoopPolicy")
    return EventLoopPolicy


def _gone() -> str:
    return (
        f"Python {sys.version_info[0]}.{sys.version_info[1]} has no event loop policies; {_ADVICE}"
    )


if not _GONE:
    with warnings.catch_warnings():
        # Naming the base class and setting the policy warn on their own where policies are
        # deprecated. Ours has been given by then, and says what to do instead.
        warnings.simplefilter("ignore", DeprecationWarning)
        _Base = asyncio.DefaultEventLoopPolicy

    class EventLoopPolicy(_Base):
        """An event loop policy whose loops are rsloop's; else the platform's own."""

        def new_event_loop(self) -> Loop:
            """Return a new loop, which the caller closes."""
            return Loop()


def install() -> None:
    """Make rsloop's the loops of `asyncio.run`, `asyncio.new_event_loop` and the like.

    Changes the policy of the whole process, so call it once, from the main thread, before any
    loop is made. Prefer `rsloop.run`, which needs no policy.

    Warns (DeprecationWarning) from Python 3.14. Raises RuntimeError where the running Python
    has no policies any more.
    """
    if _GONE:
        raise RuntimeError(f"rsloop.install(): {_gone()}")
    _warn("install()")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(EventLoopPolicy())
