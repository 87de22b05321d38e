from typing import Self

from typing_extensions import disjoint_base

__all__ = ["LoopBase", "__version__"]

__version__: str

@disjoint_base
class LoopBase:
    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
