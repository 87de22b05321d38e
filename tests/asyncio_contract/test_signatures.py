"""Every method that rsloop puts in place of CPython's takes the calls that CPython's takes."""

import asyncio
import inspect
from typing import Any

import pytest

from .turns import run_turns

Loop = asyncio.AbstractEventLoop
BASE = asyncio.SelectorEventLoop
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

# The constructor alone differs on purpose: there is no selector to choose.
NOT_COMPARED = {"__init__", "__init_subclass__", "__subclasshook__", "__class_getitem__"}


def replaced_methods() -> dict[str, Any]:
    """Map the name of each method that rsloop replaces to the replacement."""
    import rsloop_core

    found: dict[str, Any] = {}
    for kind in rsloop_core.Loop.__mro__:
        if kind is BASE:
            break
        for name, value in vars(kind).items():
            inherited = getattr(BASE, name, None)
            if inspect.isfunction(inherited) and name not in NOT_COMPARED:
                found.setdefault(name, value)
    return found


def test_some_methods_are_replaced() -> None:
    replaced = replaced_methods()
    assert {"call_soon", "call_later", "create_task", "close"} <= replaced.keys()


def test_every_replacement_has_a_signature() -> None:
    without = []
    for name, method in replaced_methods().items():
        try:
            inspect.signature(method)
        except ValueError:
            without.append(name)
    assert without == []


def test_every_replacement_takes_the_calls_of_the_original() -> None:
    refused = []
    for name, method in replaced_methods().items():
        original = inspect.signature(getattr(BASE, name)).parameters.values()
        signature = inspect.signature(method)
        positional = [parameter for parameter in original if parameter.kind in POSITIONAL]
        required = [one for one in positional if one.default is inspect.Parameter.empty]
        keywords = {
            parameter.name: None
            for parameter in original
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        more = [None] * any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in original)
        for arguments in (required, [*positional, *more]):
            try:
                signature.bind(*([None] * len(arguments)), **keywords)
            except TypeError as error:
                refused.append(f"{name}: {error}")
    assert refused == []


def test_replacements_are_of_the_same_kind() -> None:
    for name, method in replaced_methods().items():
        original = getattr(BASE, name)
        assert inspect.iscoroutinefunction(method) is inspect.iscoroutinefunction(original), name


def test_positional_parameters_have_asyncios_names(loop: Any) -> None:
    ran: list[str] = []

    async def main() -> None:
        ran.append("coro")

    loop.call_soon(callback=lambda: ran.append("call_soon"))
    loop.call_soon_threadsafe(callback=lambda: ran.append("call_soon_threadsafe"))
    loop.call_later(delay=0, callback=lambda: ran.append("call_later"))
    loop.call_at(when=0, callback=lambda: ran.append("call_at"))
    run_turns(loop, 2)
    loop.set_debug(enabled=False)
    loop.set_task_factory(factory=None)
    loop.run_until_complete(future=loop.create_task(coro=main()))
    assert sorted(ran) == ["call_at", "call_later", "call_soon", "call_soon_threadsafe", "coro"]


@pytest.mark.parametrize("name", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_unknown_keywords_are_refused(loop: Any, name: str) -> None:
    leading = (0,) if name in ("call_later", "call_at") else ()
    with pytest.raises(TypeError):
        getattr(loop, name)(*leading, print, colour="red")
