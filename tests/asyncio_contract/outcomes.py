"""What a call comes to, so that two calls can be compared."""

from typing import Any


def outcome(call: Any, *arguments: Any, **options: Any) -> Any:
    """Return what a call returns, or the class and the arguments of what it raises."""
    try:
        return call(*arguments, **options)
    except Exception as error:
        return type(error), error.args


async def async_outcome(call: Any, *arguments: Any, **options: Any) -> Any:
    """Do the same for a coroutine function."""
    try:
        return await call(*arguments, **options)
    except Exception as error:
        return type(error), error.args
