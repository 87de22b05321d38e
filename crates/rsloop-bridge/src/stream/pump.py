"""Moves the items of an asynchronous iterator to Rust, in one task from beginning to end."""

from collections.abc import AsyncIterator
from typing import Any


async def pump(iterator: AsyncIterator[Any], sink: Any) -> None:
    """Put each item into `sink`, and wait where it says so; at the end close the iterator."""
    try:
        async for item in iterator:
            room = sink.put(item)
            if room is not None:
                await room
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
