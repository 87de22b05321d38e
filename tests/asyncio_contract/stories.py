"""Sequences of operations that are drawn at random, and played on both loops."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any


class Story:
    """Plays operations on one loop, and keeps what can be seen of it.

    An operation is the name of a method, with spaces for underscores; it may be a coroutine.
    """

    #: How often the loop looks at its descriptors after each operation.
    looks = 4

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.bell = socket.socketpair()

    async def begin(self) -> None:
        """Open what the operations are about."""
        raise NotImplementedError

    def state(self) -> tuple[object, ...]:
        """Return what the loop's objects say of themselves."""
        raise NotImplementedError

    async def end(self) -> None:
        """Close everything, and note what has come of it."""
        raise NotImplementedError

    async def play(self, operations: list[str]) -> list[object]:
        """Play the operations and return the story."""
        with self.bell[0], self.bell[1]:
            await self.begin()
            for operation in operations:
                try:
                    result: object = getattr(self, operation.replace(" ", "_"))()
                    if asyncio.iscoroutine(result):
                        result = await result
                except Exception as error:
                    result = repr(error)
                await self.settle()
                self.seen.append((operation, result, *self.state()))
            await self.end()
        return self.seen

    async def settle(self) -> None:
        """Let the loop look at its descriptors a few times, and run what comes of it."""
        loop = asyncio.get_running_loop()
        for _ in range(self.looks):
            looked = loop.create_future()
            loop.add_reader(self.bell[0], looked.set_result, None)
            self.bell[1].send(b"!")
            await looked
            loop.remove_reader(self.bell[0])
            self.bell[0].recv(1)


def same_on_both_loops(make_story: Callable[[], Story], operations: list[str]) -> None:
    """Assert that the operations make the same story on asyncio's loop and on rsloop."""
    import rsloop_core

    def play(make_loop: Callable[[], Any]) -> list[object]:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(make_story().play(operations))

    assert play(rsloop_core.Loop) == play(asyncio.SelectorEventLoop)
