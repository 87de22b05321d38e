"""The C header with which an extension module joins the running event loop."""

from importlib.metadata import version as _version
from pathlib import Path as _Path

__all__ = ["__version__", "get_cmake_dir", "get_include", "get_pkgconfig_dir"]

__version__ = _version("rsloop-bridge")

_HERE = _Path(__file__).parent


def get_include() -> str:
    """Return the directory that holds `rsloop_bridge.h`, for a compiler's include path.

    The header needs CPython's own headers and those of POSIX. Safe from any thread.
    """
    return str(_HERE / "include")


def get_cmake_dir() -> str:
    """Return the directory for CMake's `rsloop_bridge_DIR`. Safe from any thread."""
    return str(_HERE / "share" / "cmake" / "rsloop_bridge")


def get_pkgconfig_dir() -> str:
    """Return the directory for `PKG_CONFIG_PATH`. Safe from any thread."""
    return str(_HERE / "share" / "pkgconfig")
