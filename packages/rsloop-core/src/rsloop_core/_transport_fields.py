"""What inherited code sets and Rust keeps."""

from typing import Any


def set_by_inherited_code(read: Any) -> property:
    """Make a property whose initial assignment by inherited code does nothing."""
    return property(read, lambda _self, _value: None)
