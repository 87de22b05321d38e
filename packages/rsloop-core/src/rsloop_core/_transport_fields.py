"""How a transport shows inherited code the state that it keeps in Rust."""

from typing import Any


def in_state(slot: str, name: str) -> property:
    """Make a property for a field that inherited code sets and Rust reads."""

    def read(self: Any) -> Any:
        return getattr(getattr(self, slot), name)

    def write(self: Any, value: Any) -> None:
        setattr(getattr(self, slot), name, value)

    return property(read, write)


def set_by_inherited_code(read: Any) -> property:
    """Make a property whose initial assignment by inherited code does nothing."""
    return property(read, lambda _self, _value: None)
