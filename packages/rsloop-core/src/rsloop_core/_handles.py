"""What the Rust handles say of themselves and of their callbacks: asyncio's own words."""

from asyncio import format_helpers
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsloop_core._core import Handle


def describe(handle: "Handle") -> str:
    """Return the repr of a handle, as asyncio writes it."""
    info = [type(handle).__name__]
    if handle.cancelled():
        info.append("cancelled")
    when = getattr(handle, "when", None)
    if when is not None:
        info.append(f"when={when()}")
    if handle._callback is not None:
        info.append(callback_source(handle))
    return f"<{' '.join(info)}>"


def callback_source(handle: Any) -> str:
    """Return the callback of a handle, its arguments and where it was defined."""
    source = format_helpers._format_callback_source  # type: ignore[attr-defined]
    return str(source(handle._callback, handle._args or ()))
