"""A fast asyncio event loop written in Rust.

Importing this package changes nothing in asyncio: a loop is made only where one is asked for.
"""

from typing import TYPE_CHECKING, Any

from rsloop._run import new_event_loop, run
from rsloop_core import Loop

if TYPE_CHECKING:
    from rsloop._policy import EventLoopPolicy as EventLoopPolicy
    from rsloop._policy import install as install

# `install` and `EventLoopPolicy` are left out: a star import must not warn where CPython
# deprecates policies, nor fail where they are gone.
__all__ = ["Loop", "__version__", "new_event_loop", "run"]

__version__: str


def __getattr__(name: str) -> Any:
    """Resolve what most programs never ask for: the version, and the event loop policy."""
    if name == "__version__":
        from importlib.metadata import version

        return globals().setdefault(name, version("rsloop"))
    if name in ("EventLoopPolicy", "install"):
        from rsloop import _policy

        return _policy.resolve(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names; `install` and `EventLoopPolicy` are found by asking for them."""
    return [*__all__, "__all__", "__doc__", "__name__"]
