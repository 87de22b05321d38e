"""Loops that watch no descriptors, as Windows' proactor loop: threads wake them by a call."""

import asyncio
from typing import Any, NoReturn


class Deaf(asyncio.SelectorEventLoop):
    """A loop that refuses readers."""

    def add_reader(self, *_: object) -> NoReturn:
        """Refuse, as `asyncio.AbstractEventLoop` does."""
        raise NotImplementedError


class Earless(asyncio.SelectorEventLoop):
    """A loop that has no such method at all."""

    def __getattribute__(self, name: str) -> Any:
        """Hide the method that CPython's own code does not use."""
        if name == "add_reader":
            raise AttributeError(name)
        return super().__getattribute__(name)


new_event_loop = Deaf
