"""Loops that watch no descriptors, as Windows' proactor loop: threads wake them by a call."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any, NoReturn, TypeVarTuple

Ts = TypeVarTuple("Ts")


class Told(asyncio.SelectorEventLoop):
    """A loop that notes when it was told by a call; another thread may be the one that tells."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Note that the callback has been queued."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self.told.set()
        return handle


class Deaf(Told):
    """A loop that refuses readers."""

    def add_reader(self, *_: object) -> NoReturn:
        """Refuse, as `asyncio.AbstractEventLoop` does."""
        raise NotImplementedError


class Earless(Told):
    """A loop that has no such method at all."""

    def __getattribute__(self, name: str) -> Any:
        """Hide the method that CPython's own code does not use."""
        if name == "add_reader":
            raise AttributeError(name)
        return super().__getattribute__(name)


new_event_loop = Deaf
