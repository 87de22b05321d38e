"""{{description}}"""

from {{crate_name}}._native import RustPanic, greet, relay

__all__ = ["RustPanic", "greet", "relay"]
