"""The loops that every test of the bridge runs on, with the same assertions."""

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import pytest

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Run(Protocol):
    """Runs a coroutine to its end, on a loop of its own."""

    def __call__(self, main: Coroutine[Any, Any, T]) -> T: ...


@pytest.fixture(params=["asyncio", "uvloop", "rsloop"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    """Make loops of one kind; a kind that is not installed is skipped by name."""
    name: str = request.param
    if name == "uvloop":
        pytest.importorskip(name)
    factory: LoopFactory = importlib.import_module(name).new_event_loop
    return factory


@pytest.fixture
def run(loop_factory: LoopFactory) -> Run:
    """Run a coroutine as `asyncio.run` does, on the loop under test."""

    def run_main(main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main)

    return run_main
