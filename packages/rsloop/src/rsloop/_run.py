"""Run a program on a new loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rsloop_core import Loop

T = TypeVar("T")


def new_event_loop() -> Loop:
    """Return a new loop, which the caller closes.

    It is not set as the current loop of the thread. Suits every parameter that takes a loop
    factory: `asyncio.Runner(loop_factory=rsloop.new_event_loop)`. Safe from any thread.

    Raises OSError when the process is out of descriptors.
    """
    return Loop()


def run(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run the coroutine `main` on a new loop and return its result.

    Afterwards the remaining tasks are cancelled, asynchronous generators and the default
    executor shut down, and the loop closed. An interrupt (SIGINT) cancels `main` first, and
    raises KeyboardInterrupt when that has ended.

    `debug` switches the loop's debug mode on or off; None leaves it as the environment says
    (`PYTHONASYNCIODEBUG`, `-X dev`). `loop_factory` makes the loop in place of
    `rsloop.new_event_loop`.

    Raises RuntimeError when a loop is already running in this thread, what the running
    CPython's `asyncio.run` raises when `main` is not a coroutine (ValueError; from 3.14
    TypeError, and other awaitables are taken), and otherwise whatever `main` raises.

    To be called from the thread that is to run the loop. Follows `asyncio.run`.

    Differs: without `loop_factory` the loop is rsloop's, whatever policy is set, and it does
    not become the policy's current loop.
    """
    # As asyncio.run, fail here with a short traceback instead of inside the runner.
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("rsloop.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=loop_factory or new_event_loop) as runner:
        return runner.run(main)
