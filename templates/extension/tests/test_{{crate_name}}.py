"""What the extension does, on asyncio's own loop and on rsloop where it is installed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import {{crate_name}}

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "rsloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on one of the loops."""
    runner: Run = pytest.importorskip(request.param).run
    return runner


def test_greet(run: Run) -> None:
    async def main() -> None:
        greetings = [{{crate_name}}.greet(name, 1) for name in ("Ada", "Grace")]
        assert await asyncio.gather(*greetings) == ["Hello, Ada!", "Hello, Grace!"]

    run(main())


def test_cancelling_is_prompt(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for({{crate_name}}.greet("nobody", 60_000), 0.01)

    run(main())


def test_relay(run: Run) -> None:
    async def main() -> None:
        assert await {{crate_name}}.relay(asyncio.sleep(0.001, "slept")) == "slept"

    run(main())
