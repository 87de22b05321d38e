from asyncio import Future
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["RustPanic", "greet", "relay"]

_T = TypeVar("_T")

class RustPanic(RuntimeError): ...

def greet(name: str, delay_ms: int) -> Future[str]: ...
def relay(awaitable: Awaitable[_T]) -> Future[_T]: ...
