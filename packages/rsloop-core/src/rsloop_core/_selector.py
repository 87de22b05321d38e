"""What stands where CPython's loop keeps its selector."""

import selectors
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rsloop_core._core import LoopBase


class RegistryView(selectors.BaseSelector):
    """A read-only view of the descriptors that the Rust loop watches.

    Inherited code asks it for the repr of a transport. Everything that would change it goes
    through the loop's own hooks instead, so those methods only say so.
    """

    def __init__(self, loop: "LoopBase") -> None:
        self._loop: LoopBase | None = loop

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """Return the key of a watched descriptor; raises KeyError for any other."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        events = self._loop._watched_events(fd) if self._loop is not None else 0
        if not events:
            raise KeyError(f"{fileobj!r} is not watched")
        return selectors.SelectorKey(fileobj, fd, events, None)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return an empty mapping: the registry cannot be enumerated from Python."""
        return {}

    def close(self) -> None:
        """Let go of the loop."""
        self._loop = None

    def register(self, fileobj: object, events: int, data: object = None) -> NoReturn:
        """Refuse: use loop.add_reader() or loop.add_writer()."""
        raise _refusal()

    def unregister(self, fileobj: object) -> NoReturn:
        """Refuse: use loop.remove_reader() or loop.remove_writer()."""
        raise _refusal()

    def select(self, timeout: float | None = None) -> NoReturn:
        """Refuse: the loop polls by itself."""
        raise _refusal()


def _refusal() -> RuntimeError:
    return RuntimeError("rsloop has no selector: use add_reader(), add_writer() and their kin")
