"""The C header with which an extension module joins the running rsloop event loop."""

from importlib.metadata import version as _version
from pathlib import Path as _Path

__all__ = ["__version__", "get_include"]

__version__ = _version("rsloop-bridge")


def get_include() -> str:
    """Return the directory that holds `rsloop_bridge.h`, for a compiler's include path.

    The header needs nothing but CPython's own headers. Safe from any thread.
    """
    return str(_Path(__file__).parent / "include")
